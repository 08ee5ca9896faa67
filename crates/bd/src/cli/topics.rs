//! `bd topics`, `bd configs`, `bd log`.

use super::ClusterArgs;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Topics {
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(subcommand)]
    pub(crate) action: Option<TopicsAction>,
}

#[derive(Subcommand)]
pub(crate) enum TopicsAction {
    /// All topics [default]
    List {
        /// Not those that the cluster keeps for itself
        #[arg(long)]
        exclude_internal: bool,
    },
    /// Partitions of a topic: leader, offsets, size; its id and the configs that were set
    Describe {
        /// Its name
        name: String,
    },
    /// Create a topic
    Create {
        /// Its name
        name: String,
        /// How many partitions
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..))]
        partitions: i32,
        /// How many brokers hold each partition; -1: as the cluster has it
        #[arg(long, default_value_t = -1, allow_negative_numbers = true)]
        replication_factor: i16,
        /// A topic config of Kafka's, such as retention.ms=3600000
        #[arg(long, value_name = "KEY=VALUE")]
        config: Vec<String>,
        /// Do nothing if it exists
        #[arg(long)]
        if_not_exists: bool,
    },
    /// Delete topics with their records
    Delete {
        /// Their names
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Do nothing for those that do not exist
        #[arg(long)]
        if_exists: bool,
    },
    /// Give a topic more partitions
    Alter {
        /// Its name
        name: String,
        /// How many it shall have
        #[arg(long, value_parser = clap::value_parser!(i32).range(1..))]
        partitions: i32,
    },
    /// Delete the records before an offset
    DeleteRecords {
        /// The topic
        name: String,
        /// The first offset that stays; -1 deletes all that is there
        #[arg(long, allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-1..))]
        before: i64,
        /// Only in this partition
        #[arg(long, value_parser = clap::value_parser!(i32).range(0..))]
        partition: Option<i32>,
    },
}

#[derive(Args)]
pub(crate) struct Configs {
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(subcommand)]
    pub(crate) action: ConfigsAction,
}

#[derive(Subcommand)]
pub(crate) enum ConfigsAction {
    /// Configs that were set
    Describe {
        #[command(flatten)]
        of: ConfigOf,
        /// Defaults, too
        #[arg(long)]
        all: bool,
    },
    /// Set configs
    Set {
        #[command(flatten)]
        of: ConfigOf,
        /// Such as retention.ms=3600000
        #[arg(required = true, value_name = "KEY=VALUE")]
        configs: Vec<String>,
    },
    /// Back to the default
    Unset {
        #[command(flatten)]
        of: ConfigOf,
        /// Such as retention.ms
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
    },
}

/// Whose configs.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ConfigOf {
    /// Of this topic
    #[arg(long, value_name = "NAME")]
    pub(crate) topic: Option<String>,
    /// Of the broker with this id; `default`: of all
    #[arg(long, value_name = "ID")]
    pub(crate) broker: Option<String>,
    /// Of this group
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,
}

#[derive(Args)]
pub(crate) struct LogArgs {
    #[command(subcommand)]
    pub(crate) action: LogAction,
}

#[derive(Subcommand)]
pub(crate) enum LogAction {
    /// Batches of a partition's folder, and their records
    Dump {
        /// The folder, such as data/cluster/orders-0
        dir: PathBuf,
        /// Records, too
        #[arg(long)]
        records: bool,
        /// Print JSON, one line for each batch
        #[arg(long)]
        json: bool,
    },
    /// Check all files of a partition's folder
    Verify {
        /// The folder, such as data/cluster/orders-0
        dir: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}
