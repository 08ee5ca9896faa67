//! One file a command.

mod acls;
mod bench;
mod config;
mod configs;
mod consume;
mod groups;
mod librdkafka;
mod log;
mod produce;
mod run;
mod schema;
mod sql;
mod time;
mod topics;
mod up;
mod users;

use crate::cli::{ClusterArgs, Command};
use crate::table;
use anyhow::{Context, Result, anyhow};
use bd_client::{Client, ClientConfig, parse_properties};
use bd_schema::RegistryClient;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

/// Carries out a command.
pub(crate) fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Up(args) => up::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Topics(args) => topics::run(args),
        Command::Groups(args) => groups::run(args),
        Command::Configs(args) => configs::run(&args),
        Command::Acls(args) => acls::run(args),
        Command::Users(args) => users::run(args),
        Command::Produce(args) => produce::run(&args),
        Command::Consume(args) => consume::run(&args),
        Command::Schema(args) => schema::run(args),
        Command::Log(args) => log::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Sql(args) => sql::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Version => print(&format!("bd {}\n", env!("CARGO_PKG_VERSION"))).map(|()| ExitCode::SUCCESS),
    }
}

/// Writes to standard output.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// `KEY=VALUE` options.
fn pairs(option: &str, pairs: &[String]) -> Result<BTreeMap<String, String>> {
    pairs
        .iter()
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) => Ok((key.trim().to_string(), value.to_string())),
            None => Err(anyhow!("{option} {pair}: expected KEY=VALUE")),
        })
        .collect()
}

/// The schema registry at a URL, asked as `--registry-property` says.
fn registry(url: &str, properties: &[String]) -> Result<RegistryClient> {
    let properties = pairs("--registry-property", properties)?;
    RegistryClient::new(url).with_properties(&properties).context("--registry-property")
}

/// What a command has to say: rows for people, a value for programs.
struct Answer {
    json: Value,
    text: String,
}

impl Answer {
    /// A table.
    fn table<S: AsRef<str>>(columns: &[S], rows: &[Vec<String>], json: Value) -> Self {
        Self { json, text: table::render(columns, rows) }
    }

    /// One line.
    fn line(text: impl Into<String>, json: Value) -> Self {
        Self { json, text: text.into() + "\n" }
    }

    fn print(&self, args: &ClusterArgs) -> Result<()> {
        self.print_as(args.json)
    }

    fn print_as(&self, json: bool) -> Result<()> {
        match json {
            true => print(&format!("{}\n", self.json)),
            false => print(&self.text),
        }
    }
}

const DEFAULT_BOOTSTRAP: &str = "127.0.0.1:9092";

/// The client's settings: the file's, then the options.
fn client_config(args: &ClusterArgs, client_id: &str) -> Result<ClientConfig> {
    let mut config = ClientConfig::new("");
    config.client_id = client_id.into();
    if let Some(path) = &args.command_config {
        let shown = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        for (key, value) in parse_properties(&text) {
            // Files that are made for other tools have keys of those tools.
            if ClientConfig::knows(&key) {
                config = config.set(&key, &value).with_context(|| shown.to_string())?;
            } else {
                tracing::info!("{shown}: {key} is not used");
            }
        }
    }
    for (key, value) in pairs("--property", &args.properties)? {
        config = config.set(&key, &value).context("--property")?;
    }
    if let Some(bootstrap) = &args.bootstrap {
        config.bootstrap.clone_from(bootstrap);
    }
    if config.bootstrap.is_empty() {
        config.bootstrap = DEFAULT_BOOTSTRAP.into();
    }
    Ok(config)
}

/// The cluster that the options name.
fn connect(args: &ClusterArgs, client_id: &str) -> Result<Client> {
    let config = client_config(args, client_id)?;
    let bootstrap = config.bootstrap.clone();
    Client::connect(config).map_err(|e| match e {
        bd_client::ClientError::Bootstrap(_) => {
            anyhow!("{e}\nIs a cluster at {bootstrap}? `bd up` starts one at {DEFAULT_BOOTSTRAP}.")
        }
        e => e.into(),
    })
}

/// A topic that must be there.
fn topic(client: &mut Client, name: &str) -> Result<bd_client::TopicInfo> {
    client.topic(name).map_err(|e| match e.code() {
        Some(bd_client::Code(3)) => anyhow!("topic {name} does not exist"),
        _ => e.into(),
    })
}

/// `TOPIC` or `TOPIC:0,1`: the topic and the partitions that are named.
fn topic_partitions(text: &str) -> Result<(String, Vec<i32>)> {
    let Some((topic, list)) = text.rsplit_once(':') else { return Ok((text.into(), Vec::new())) };
    let partitions = list.split(',').map(|p| p.trim().parse::<i32>());
    let partitions = partitions.collect::<Result<Vec<_>, _>>();
    let partitions = partitions.ok().filter(|list| list.iter().all(|p| *p >= 0));
    let partitions = partitions.ok_or_else(|| anyhow!("{text}: expected TOPIC or TOPIC:0,1,..."))?;
    Ok((topic.into(), partitions))
}

/// A protocol string.
fn text(value: &str) -> bd_client::protocol::StrBytes {
    bd_client::protocol::StrBytes::from_string(value.to_owned())
}

/// A topic's name in the protocol.
fn topic_name(value: &str) -> bd_client::messages::TopicName {
    bd_client::messages::TopicName(text(value))
}

/// A group's name in the protocol.
fn group_id(value: &str) -> bd_client::messages::GroupId {
    bd_client::messages::GroupId(text(value))
}
