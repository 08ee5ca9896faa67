//! `tv-world`: the world of the digital-TV demo. See the library's documentation.
#![allow(clippy::print_stdout, reason = "what a command finds goes to standard output")]

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;
use tv_world::bd::Urls;
use tv_world::layout::{Layout, Ports};
use tv_world::process::Process;
use tv_world::{replay, run, servers, supervise};

#[derive(Parser)]
#[command(
    about = "The world of the digital-TV demo: its simulator, its servers and the supervisor of `make demo`"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything: servers, simulator or replay, and bd, until Ctrl-C
    Demo(Box<supervise::Options>),
    /// Start or stop MariaDB and Mosquitto alone; they stay when this ends
    Servers(Servers),
    /// The simulator alone, with servers that run
    Run {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        world: run::Options,
    },
    /// A recorded case, with servers and a bd that run
    Replay {
        #[command(flatten)]
        place: Place,
        /// The case's folder
        #[arg(long, value_name = "DIR")]
        case: PathBuf,
        /// The program bd, to count the rows of topics
        #[arg(long, value_name = "PATH")]
        bd: PathBuf,
        #[command(flatten)]
        urls: Urls,
    },
}

#[derive(Args)]
struct Place {
    /// Where everything is kept
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    ports: Ports,
}

#[derive(Args)]
struct Servers {
    /// What to do
    #[arg(value_enum)]
    action: Action,
    /// Only these servers
    #[arg(value_enum)]
    only: Vec<Which>,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Copy, ValueEnum)]
enum Action {
    /// Start them, or find them running, and wait until they serve
    Start,
    /// End them
    Stop,
    /// Say which run
    Status,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Which {
    /// The database of users
    Mariadb,
    /// The MQTT broker
    Mosquitto,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(options) => supervise::run(&options),
        Command::Servers(options) => run_servers(&options),
        Command::Run { place, world } => live(|| Ok(run::run(Layout::new(&place.data)?, place.ports, world))),
        Command::Replay { place, case, bd, urls } => live(|| {
            let options = replay::Options { case, urls, bd };
            Ok(replay::run(Layout::new(&place.data)?, place.ports, options))
        }),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what lasts until a signal.
fn live<F: Future<Output = Result<()>>>(make: impl FnOnce() -> Result<F>) -> Result<ExitCode> {
    let future = make()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let result = runtime.block_on(future);
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

fn run_servers(options: &Servers) -> Result<ExitCode> {
    let layout = Layout::new(&options.place.data)?;
    let servers = servers::all(&layout, &options.place.ports);
    let wanted = |name: &str| {
        options.only.is_empty()
            || options.only.contains(&if name == "mariadb" { Which::Mariadb } else { Which::Mosquitto })
    };
    for server in servers.iter().filter(|server| wanted(server.name())) {
        let name = server.name();
        match options.action {
            Action::Start => {
                let process = servers::start(server.as_ref(), &layout)?;
                println!("{name:<10} 127.0.0.1:{} (process {})", server.port(), process.pid());
            }
            Action::Stop => {
                let ran = servers::stop(name, &layout)?;
                println!("{name:<10} {}", if ran { "stopped" } else { "did not run" });
            }
            Action::Status => {
                let state = Process::running(name, &layout.run())?.map_or_else(
                    || "does not run".to_owned(),
                    |process| format!("runs (process {})", process.pid()),
                );
                println!("{name:<10} {state}");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
