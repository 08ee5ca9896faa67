//! One file a command.

mod config;
mod consume;
mod produce;
mod run;
mod sql;
mod topics;
mod up;

use crate::cli::{ClusterArgs, Command};
use anyhow::{Result, anyhow};
use bd_cluster_kafka::{KafkaCluster, KafkaConfig};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

/// Carries out a command.
pub(crate) fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Up(args) => up::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Topics(args) => topics::run(args),
        Command::Produce(args) => produce::run(&args),
        Command::Consume(args) => consume::run(&args),
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

/// The cluster that the options name.
fn connect(args: &ClusterArgs) -> Result<KafkaCluster> {
    let mut config = KafkaConfig::new(&args.bootstrap);
    config.properties = pairs("--property", &args.properties)?;
    KafkaCluster::connect(config).map_err(|e| {
        anyhow!("{e}\nIs a cluster at {}? `bd up` starts one at 127.0.0.1:9092.", args.bootstrap)
    })
}
