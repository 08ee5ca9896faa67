//! `bd`: the whole pipeline in one program. This crate assembles the roles, reads the pipeline file and is the command line; all
//! that a role does is in its own crate.
//!
//! ```text
//!  cli ─▶ commands ─┬─ up, run ─▶ config (YAML) ─▶ roles ─┬─ cluster: bd-broker, or a Kafka cluster
//!                   │                                     ├─ engine: bd-engine, served by rest (port 8088)
//!                   │                                     └─ registry, search, connect, console: crates of these names
//!                   ├─ topics, groups, configs, acls, users, produce, consume, bench ─▶ any cluster, over the Kafka protocol
//!                   ├─ schema ─▶ any schema registry, over Confluent's REST
//!                   └─ sql ─▶ any server that speaks ksqlDB's REST
//! ```

mod cli;
mod commands;
mod config;
mod rest;
mod roles;
mod table;

use clap::Parser;
use std::process::ExitCode;

/// Many threads of small work: with the C library's allocator the demo's process holds nearly twice the memory.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    start_logging();
    match commands::run(cli.command) {
        Ok(code) => code,
        // The reader of our output has enough, as in `bd consume ... | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Warnings and errors go to stderr; `BD_LOG=info` (or any filter of tracing's, such as `bd_broker=debug`) shows more.
fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("BD_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
