//! The command line.

mod access;
mod bench;
mod groups;
mod records;
mod schema;
mod topics;

pub(crate) use access::*;
pub(crate) use bench::*;
pub(crate) use groups::*;
pub(crate) use records::*;
pub(crate) use schema::*;
pub(crate) use topics::*;

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
    /// Topics: list, describe, create, delete, add partitions, delete records
    Topics(Topics),
    /// Consumer groups: list, describe, delete, reset offsets
    Groups(Groups),
    /// Configs of topics, brokers and groups
    Configs(Configs),
    /// Access control lists
    Acls(Acls),
    /// Users that log in by SCRAM
    Users(Users),
    /// Write lines or files to a topic
    Produce(Produce),
    /// Print the records of a topic
    Consume(Consume),
    /// Schemas: list, show, diff, check, register, delete, infer from data
    Schema(SchemaArgs),
    /// Look into the files of a partition
    Log(LogArgs),
    /// Measure a cluster: produce, consume, end-to-end latency
    Bench(Bench),
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

/// Which cluster is talked to, and how results are printed.
#[derive(Args, Clone)]
pub(crate) struct ClusterArgs {
    /// host:port,... of the cluster [default: 127.0.0.1:9092]
    #[arg(long, visible_alias = "bootstrap-server", global = true, value_name = "HOST:PORT,...")]
    pub(crate) bootstrap: Option<String>,
    /// A properties file as Kafka's tools take it: security.protocol, sasl.mechanism, ssl.ca.location, ...
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) command_config: Option<PathBuf>,
    /// A property such as security.protocol=SSL; it wins over the file's
    #[arg(long = "property", value_name = "KEY=VALUE", global = true)]
    pub(crate) properties: Vec<String>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
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
