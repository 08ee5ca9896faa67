//! `bd produce`, `bd consume`.

use super::ClusterArgs;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Produce {
    /// The topic
    pub(crate) topic: String,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// What stands before it in a line is the record's key
    #[arg(long, value_name = "TEXT", conflicts_with = "format")]
    pub(crate) key_separator: Option<String>,
    /// The key of all records
    #[arg(long, conflicts_with_all = ["key_separator", "format"])]
    pub(crate) key: Option<String>,
    /// A header of all records
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) header: Vec<String>,
    /// A line that is this text is a null value, which deletes its key in compacted topics
    #[arg(long, value_name = "TEXT", conflicts_with = "format")]
    pub(crate) null: Option<String>,
    /// What a record is
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: InputFormat,
    /// Read from files, not from stdin
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Vec<PathBuf>,
    /// Only to this partition
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partition: Option<i32>,
    /// How batches are compressed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) compression: Compression,
    /// Who has it when a record counts as written
    #[arg(long, value_enum, default_value_t)]
    pub(crate) acks: Acks,
}

/// What a record of the input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub(crate) enum InputFormat {
    /// A line
    #[default]
    Lines,
    /// A line of JSON: {"key": .., "value": .., "headers": [[name, value], ..], "partition": .., "timestamp": ..}, as consume prints it
    Json,
    /// A whole file
    Files,
}

/// Codecs of record batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub(crate) enum Compression {
    /// Not at all
    #[default]
    None,
    /// RFC 1952
    Gzip,
    /// Snappy
    Snappy,
    /// LZ4
    Lz4,
    /// RFC 8878
    Zstd,
}

/// Who has a record when it counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub(crate) enum Acks {
    /// All in-sync replicas
    #[default]
    #[value(alias = "-1")]
    All,
    /// The leader
    #[value(name = "1")]
    Leader,
    /// Nobody is waited for
    #[value(name = "0")]
    None,
}

impl Acks {
    /// The number in the protocol.
    pub(crate) fn number(self) -> i16 {
        match self {
            Self::All => -1,
            Self::Leader => 1,
            Self::None => 0,
        }
    }
}

#[derive(Args)]
pub(crate) struct Consume {
    /// The topic
    pub(crate) topic: String,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// From the first record that is there; else only what comes from now on
    #[arg(long, conflicts_with_all = ["offset", "from", "last"])]
    pub(crate) from_beginning: bool,
    /// From this offset on
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..), conflicts_with_all = ["from", "last"])]
    pub(crate) offset: Option<i64>,
    /// From this time on: 2026-02-28T14:30:00 (UTC unless it ends with +hh:mm), ms since 1970, or how long ago: 90s, 15m, 2h, 1d
    #[arg(long, value_name = "TIME", conflicts_with = "last")]
    pub(crate) from: Option<String>,
    /// The last so many records of each partition
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) last: Option<i64>,
    /// Only records before this time (as --from); ends where the topic ends now
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Only these partitions
    #[arg(long, value_delimiter = ',', value_name = "P,...", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partition: Vec<i32>,
    /// Read as a member of this group, and commit what was printed
    #[arg(long, conflicts_with_all = ["offset", "from", "last", "until", "partition"])]
    pub(crate) group: Option<String>,
    /// How the group shares partitions: classic, or consumer (KIP-848)
    #[arg(long, value_enum, default_value_t, requires = "group")]
    pub(crate) group_protocol: GroupProtocol,
    /// Only records whose key is this
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Only records whose key contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) key_contains: Option<String>,
    /// Only records whose value contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) value_contains: Option<String>,
    /// Only records with this header; with a value, only if it is this
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) header: Vec<String>,
    /// End after so many records
    #[arg(long, visible_alias = "limit")]
    pub(crate) max: Option<u64>,
    /// End where the topic ends now
    #[arg(long)]
    pub(crate) no_follow: bool,
    /// Print only how many records there are; ends where the topic ends now
    #[arg(long)]
    pub(crate) count: bool,
    /// Print rates to stderr: each second, and at the end
    #[arg(long)]
    pub(crate) stats: bool,
    /// What to print of a record
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Decode keys and values that have Confluent's framing by this schema registry: http(s)://[user:password@]host:port
    #[arg(long, value_name = "URL")]
    pub(crate) registry: Option<String>,
    /// How the registry is asked: basic.auth.user.info, bearer.auth.token, ssl.ca.location
    #[arg(long, value_name = "KEY=VALUE", requires = "registry")]
    pub(crate) registry_property: Vec<String>,
    /// Which records to read
    #[arg(long, value_enum, default_value_t)]
    pub(crate) isolation: IsolationName,
}

/// Kafka's protocols of consumer groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub(crate) enum GroupProtocol {
    /// Members share by JoinGroup and SyncGroup
    #[default]
    Classic,
    /// The coordinator shares (KIP-848)
    Consumer,
}

/// How records are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub(crate) enum Format {
    /// The value
    #[default]
    Value,
    /// Key, tab, value
    KeyValue,
    /// A JSON object: topic, partition, offset, timestamp, key, value, headers
    Json,
    /// As json, with keys, values and header values in hexadecimal
    Hex,
    /// The value's bytes, nothing between records
    Raw,
}

/// Kafka's isolation levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub(crate) enum IsolationName {
    /// Only what is committed
    #[default]
    #[value(name = "read_committed", alias = "read-committed")]
    ReadCommitted,
    /// Records of open and aborted transactions too
    #[value(name = "read_uncommitted", alias = "read-uncommitted")]
    ReadUncommitted,
}
