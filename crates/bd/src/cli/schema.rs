//! `bd schema`.

use super::ClusterArgs;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct SchemaArgs {
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(subcommand)]
    pub(crate) action: Option<SchemaAction>,
}

/// Which schema registry is talked to, and how results are printed.
#[derive(Args, Clone)]
pub(crate) struct RegistryArgs {
    /// http(s)://[user:password@]host:port of the schema registry, several by comma [default: BD_REGISTRY, or http://127.0.0.1:8081]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) registry: Option<String>,
    /// How the registry is asked: basic.auth.user.info, bearer.auth.token, ssl.ca.location
    #[arg(long = "registry-property", value_name = "KEY=VALUE", global = true)]
    pub(crate) properties: Vec<String>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum SchemaAction {
    /// Subjects with their versions, type, latest id and compatibility level [default]
    List(SchemaList),
    /// A schema: its text, references, metadata, or the columns that bd reads by it
    Show(SchemaShow),
    /// What changed between two schemas, field by field, and who can still read what
    Diff(SchemaDiff),
    /// Whether a schema may follow the versions of a subject; ends with 1 if not
    Check(SchemaCheck),
    /// Register a schema under a subject
    Register(SchemaRegister),
    /// Delete a subject or one of its versions
    Delete(SchemaDelete),
    /// A schema from sample data: JSON, CSV, TSV, Parquet, a topic
    Infer(SchemaInfer),
}

#[derive(Args, Default)]
pub(crate) struct SchemaList {
    /// Only subjects that begin with this
    #[arg(long, value_name = "TEXT")]
    pub(crate) prefix: Option<String>,
    /// Only subjects that contain this
    #[arg(value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Only subjects of this context; `.` is the default one
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Also what was deleted, but not permanently
    #[arg(long)]
    pub(crate) deleted: bool,
}

#[derive(Args)]
pub(crate) struct SchemaShow {
    /// The subject; without a version the latest
    #[arg(value_name = "SUBJECT[:VERSION]", required_unless_present = "id")]
    pub(crate) subject: Option<String>,
    /// The schema of this id
    #[arg(long, conflicts_with = "subject")]
    pub(crate) id: Option<u32>,
    /// Print only the text, as it is registered
    #[arg(long)]
    pub(crate) text: bool,
    /// Print the columns that bd reads by it
    #[arg(long, conflicts_with = "text")]
    pub(crate) columns: bool,
    /// Also if it was deleted, but not permanently
    #[arg(long)]
    pub(crate) deleted: bool,
}

/// What the file of a schema is.
#[derive(Args)]
pub(crate) struct SchemaFileArgs {
    /// The schema's type [default: by the file's name, .avsc .json .proto, or its text]
    #[arg(long = "type", value_enum, ignore_case = true)]
    pub(crate) schema_type: Option<SchemaTypeName>,
    /// What the schema refers to: an Avro type's full name, a $ref's URL, an import's path, and where it is registered
    #[arg(long, value_name = "NAME=SUBJECT:VERSION")]
    pub(crate) reference: Vec<String>,
}

/// The languages of schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaTypeName {
    /// Avro
    Avro,
    /// JSON Schema
    Json,
    /// Protobuf
    Protobuf,
}

#[derive(Args)]
pub(crate) struct SchemaDiff {
    /// SUBJECT A B, two versions; SUBJECT A, a version and the latest; SUBJECT FILE, the latest and a file; FILE FILE
    #[arg(required = true, num_args = 2..=3, value_name = "SUBJECT|VERSION|FILE")]
    pub(crate) what: Vec<String>,
    #[command(flatten)]
    pub(crate) file: SchemaFileArgs,
}

#[derive(Args)]
pub(crate) struct SchemaCheck {
    /// The subject and the schema's file; with --against only the file; `-` is stdin
    #[arg(required = true, num_args = 1..=2, value_name = "SUBJECT|FILE")]
    pub(crate) what: Vec<String>,
    #[command(flatten)]
    pub(crate) file: SchemaFileArgs,
    /// Only against this version, or `latest` [default: those that the subject's level names]
    #[arg(long, conflicts_with = "against")]
    pub(crate) version: Option<String>,
    /// Compare the normal forms
    #[arg(long, conflicts_with = "against")]
    pub(crate) normalize: bool,
    /// Without a registry: the earlier schema; several from the oldest to the newest
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Vec<PathBuf>,
    /// With --against: the level
    #[arg(long, value_enum, ignore_case = true, default_value_t, requires = "against")]
    pub(crate) level: LevelName,
}

/// Compatibility levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
#[value(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum LevelName {
    /// Anything goes
    None,
    /// The new schema reads what was written with the one before
    #[default]
    Backward,
    /// The new schema reads what was written with all earlier ones
    BackwardTransitive,
    /// The schema before reads what is written with the new one
    Forward,
    /// All earlier schemas read what is written with the new one
    ForwardTransitive,
    /// Both ways with the one before
    Full,
    /// Both ways with all earlier ones
    FullTransitive,
}

#[derive(Args)]
pub(crate) struct SchemaRegister {
    /// The subject, such as orders-value
    pub(crate) subject: String,
    /// The schema's file; `-` is stdin
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) file: SchemaFileArgs,
    /// Register the normal form: schemas that differ in order and form only are one
    #[arg(long)]
    pub(crate) normalize: bool,
    /// Only say what would be done; ends with 1 if it would be refused
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args)]
pub(crate) struct SchemaDelete {
    /// The subject; with a version only that
    #[arg(value_name = "SUBJECT[:VERSION]")]
    pub(crate) subject: String,
    /// For good, what was deleted before
    #[arg(long)]
    pub(crate) permanent: bool,
}

#[derive(Args)]
pub(crate) struct SchemaInfer {
    /// JSON lines or documents, CSV and TSV with a header, Parquet; `-` is stdin
    #[arg(required_unless_present = "topic", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The values of a topic, JSON
    #[arg(long, conflicts_with = "files", value_name = "NAME")]
    pub(crate) topic: Option<String>,
    #[command(flatten)]
    pub(crate) cluster: TopicClusterArgs,
    /// The type of the schema that is printed
    #[arg(long = "type", value_enum, ignore_case = true, default_value = "avro")]
    pub(crate) schema_type: SchemaTypeName,
    /// The record's, object's or message's full name [default: by the file's or topic's name]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Look at so many records at most
    #[arg(long, value_name = "ROWS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sample: u64,
    /// What the input is [default: by the file's name, or its text]
    #[arg(long, value_enum)]
    pub(crate) format: Option<SampleFormat>,
    /// Every field is optional, also where the sample always has it
    #[arg(long)]
    pub(crate) optional: bool,
    /// Dates, times and timestamps in strings stay strings
    #[arg(long)]
    pub(crate) no_dates: bool,
}

/// The cluster that a topic is read from.
#[derive(Args)]
pub(crate) struct TopicClusterArgs {
    /// host:port,... of the topic's cluster [default: 127.0.0.1:9092]
    #[arg(long, requires = "topic", value_name = "HOST:PORT,...")]
    pub(crate) bootstrap: Option<String>,
    /// A properties file for that cluster, as Kafka's tools take it
    #[arg(long, requires = "topic", value_name = "FILE")]
    pub(crate) command_config: Option<PathBuf>,
    /// A property for that cluster; it wins over the file's
    #[arg(long = "property", requires = "topic", value_name = "KEY=VALUE")]
    pub(crate) properties: Vec<String>,
}

impl TopicClusterArgs {
    /// As other commands have them.
    pub(crate) fn cluster(&self) -> ClusterArgs {
        ClusterArgs {
            bootstrap: self.bootstrap.clone(),
            command_config: self.command_config.clone(),
            properties: self.properties.clone(),
            json: false,
        }
    }
}

/// Formats of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SampleFormat {
    /// JSON: a value a line, an array of records, or one document after another
    Json,
    /// CSV with a header
    Csv,
    /// CSV with tabs and a header
    Tsv,
    /// Apache Parquet
    Parquet,
}
