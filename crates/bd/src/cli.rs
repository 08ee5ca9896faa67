//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// The whole streaming data pipeline in one program.
#[derive(Parser)]
#[command(name = "bd", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Start the roles of a pipeline file, or all of them on loopback
    Up(Up),
    /// Start a pipeline file; with --drain, play it to the ends of its topics and exit
    Run(Run),
    /// List, create, delete and describe topics
    Topics(Topics),
    /// Write lines to a topic
    Produce(Produce),
    /// Print the records of a topic
    Consume(Consume),
    /// Streaming SQL: one statement, a file, or a shell
    Sql(Sql),
    /// The keys of the pipeline file
    Config(ConfigArgs),
    /// The version of this program
    Version,
}

#[derive(Args)]
pub(crate) struct Up {
    /// The pipeline file; a further one adds to it, and wins where both say something
    pub(crate) files: Vec<PathBuf>,
    /// Run only these roles here
    #[arg(long, value_delimiter = ',', value_name = "ROLE,...")]
    pub(crate) roles: Vec<RoleName>,
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
}

#[derive(Args)]
pub(crate) struct Run {
    /// The pipeline file; a further one adds to it, and wins where both say something
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Read all topics to their ends, let every query finish, print what was counted, and exit
    #[arg(long)]
    pub(crate) drain: bool,
    /// Run only these roles here
    #[arg(long, value_delimiter = ',', value_name = "ROLE,...")]
    pub(crate) roles: Vec<RoleName>,
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
}

#[derive(Args)]
pub(crate) struct SettingsArgs {
    /// Where embedded roles keep their data [default: ./data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Set a key of the pipeline file, such as engine.batch.rows=100; `bd config` lists them
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Listeners that are not set take any free port; where they are is printed at the start
    #[arg(long)]
    pub(crate) free_ports: bool,
}

/// A role of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleName {
    /// The log, port 9092
    Cluster,
    /// Schemas, port 8081
    Registry,
    /// Streaming SQL, port 8088
    Engine,
    /// Connectors, port 8083
    Connect,
    /// Search and analytics, port 9200
    Search,
    /// Dashboards, topics, connectors and queries in the browser, port 8080
    Console,
}

/// Which cluster the commands of topics talk to.
#[derive(Args, Clone)]
pub(crate) struct ClusterArgs {
    /// host:port of the cluster
    #[arg(long, default_value = "127.0.0.1:9092", global = true)]
    pub(crate) bootstrap: String,
    /// A property of librdkafka, such as security.protocol=SSL
    #[arg(long = "property", value_name = "KEY=VALUE", global = true)]
    pub(crate) properties: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Topics {
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) action: Option<TopicsAction>,
}

#[derive(Subcommand)]
pub(crate) enum TopicsAction {
    /// All topics [default]
    List,
    /// Create a topic
    Create {
        /// Its name
        name: String,
        /// How many partitions
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..))]
        partitions: i32,
        /// A topic config of Kafka's, such as retention.ms=3600000
        #[arg(long, value_name = "KEY=VALUE")]
        config: Vec<String>,
    },
    /// Delete a topic with its records
    Delete {
        /// Its name
        name: String,
    },
    /// The partitions of a topic and their offsets
    Describe {
        /// Its name
        name: String,
    },
}

#[derive(Args)]
pub(crate) struct Produce {
    /// The topic
    pub(crate) topic: String,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// What stands before it in a line is the record's key
    #[arg(long, value_name = "TEXT")]
    pub(crate) key_separator: Option<String>,
    /// Read lines from a file, not from stdin
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Consume {
    /// The topic
    pub(crate) topic: String,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// From the first record that is there; else only what comes from now on
    #[arg(long, conflicts_with = "offset")]
    pub(crate) from_beginning: bool,
    /// From this offset on
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) offset: Option<i64>,
    /// Only this partition
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partition: Option<i32>,
    /// End after so many records
    #[arg(long)]
    pub(crate) max: Option<u64>,
    /// End where the topic ends now
    #[arg(long)]
    pub(crate) no_follow: bool,
    /// What to print of a record
    #[arg(long, value_enum, default_value_t = Format::Value)]
    pub(crate) format: Format,
    /// Which records to read
    #[arg(long, value_enum, default_value_t = IsolationName::ReadCommitted)]
    pub(crate) isolation: IsolationName,
}

/// How records are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The value
    Value,
    /// Key, tab, value
    KeyValue,
    /// A JSON object: partition, offset, timestamp, key, value, headers
    Json,
}

/// Kafka's isolation levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IsolationName {
    /// Only what is committed
    #[value(name = "read_committed", alias = "read-committed")]
    ReadCommitted,
    /// Records of open and aborted transactions too
    #[value(name = "read_uncommitted", alias = "read-uncommitted")]
    ReadUncommitted,
}

#[derive(Args)]
pub(crate) struct Sql {
    /// The server
    #[arg(long, default_value = "http://127.0.0.1:8088")]
    pub(crate) server: String,
    /// Carry out these statements and exit
    #[arg(short = 'e', value_name = "STATEMENT", conflicts_with = "file")]
    pub(crate) execute: Option<String>,
    /// Carry out the statements of a file and exit
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Push queries read topics from their beginning (as SET 'auto.offset.reset' = 'earliest')
    #[arg(long)]
    pub(crate) from_beginning: bool,
}

#[derive(Args)]
pub(crate) struct ConfigArgs {
    /// Print the JSON Schema of the pipeline file
    #[arg(long)]
    pub(crate) schema: bool,
}
