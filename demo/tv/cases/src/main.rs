//! `tv-cases`: writes cases of the digital-TV demo, loads them into Kafka topics, compares what came out.
#![allow(clippy::print_stdout, reason = "what a command finds goes to standard output")]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Result, anyhow, bail};
use clap::{Args, Parser, Subcommand};
use serde_json::Value;
use tv_cases::{
    OUTPUTS, Options, Output, Topic, avro::Registry, compare, expect::COUNTS_FILE, fetch::Outputs, generate,
    load, read_rows,
};

#[derive(Parser)]
#[command(
    about = "Writes cases of the digital-TV demo, loads them into Kafka topics, compares what came out"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a case: its inputs, and what must come out of them
    Generate(Generate),
    /// Work out by brute force what must come out of the inputs in a folder, and write it there
    Expect {
        /// The case's folder
        #[arg(long)]
        case: PathBuf,
    },
    /// Write a case's inputs into their topics
    Load(Load),
    /// Compare the output topics with what the case expects; exit 1 on any difference
    Compare(Compare),
}

#[derive(Args)]
struct Generate {
    /// Another seed, another case; the same one, the same bytes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Lines of actions.jsonl
    #[arg(long)]
    actions: usize,
    /// The folder to write
    #[arg(long)]
    out: PathBuf,
    /// Users, known and unknown ones [default: as many as devices]
    #[arg(long)]
    users: Option<usize>,
    /// Devices [default: one for 50 actions]
    #[arg(long)]
    devices: Option<usize>,
    /// Channels with a schedule [default: one for 10 devices]
    #[arg(long)]
    channels: Option<usize>,
    /// Days from the first action to about the last [default: 3]
    #[arg(long)]
    days: Option<usize>,
    /// Percent of rows that arrive too late [default: 1 with --hard, else 0]
    #[arg(long, value_name = "PERCENT")]
    late: Option<f64>,
    /// No row is late, also if topics have many partitions
    #[arg(long, conflicts_with = "late")]
    no_late: bool,
    /// Meet every rule at its edge, with dead letters and odd names [default up to 100000 actions]
    #[arg(long)]
    hard: bool,
    /// Meet none [default above]
    #[arg(long, conflicts_with = "hard")]
    plain: bool,
    /// Leave out the expected rows (they need memory: for millions of actions, gigabytes)
    #[arg(long)]
    no_expected: bool,
}

#[derive(Args)]
struct Load {
    /// The case's folder
    #[arg(long)]
    case: PathBuf,
    /// HOST:PORT of the cluster
    #[arg(long, default_value = "127.0.0.1:9092")]
    bootstrap: String,
    /// The schema registry, for the topics that are Avro: users and ads
    #[arg(long, default_value = "http://127.0.0.1:8081")]
    registry: String,
    /// Partitions of the topics
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    partitions: u16,
    /// Which topics, in which order; each is loaded whole before the next one
    #[arg(long, value_delimiter = ',', default_value = "channels,users,ads,places,actions")]
    order: Vec<Topic>,
    /// Create the topics that are not there
    #[arg(long)]
    create: bool,
}

#[derive(Args)]
struct Compare {
    /// The case's folder
    #[arg(long)]
    case: PathBuf,
    /// HOST:PORT of the cluster
    #[arg(long, default_value = "127.0.0.1:9092")]
    bootstrap: String,
    /// Compare the numbers of late rows and dead letters, too (of topics with one partition)
    #[arg(long)]
    counts: bool,
}

fn main() -> ExitCode {
    let answer = match Cli::parse().command {
        Command::Generate(options) => run_generate(options),
        Command::Expect { case } => run_expect(&case),
        Command::Load(options) => run_load(&options),
        Command::Compare(options) => run_compare(&options),
    };
    match answer {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run_generate(options: Generate) -> Result<bool> {
    let written = generate(
        &Options {
            seed: options.seed,
            actions: options.actions,
            users: options.users,
            devices: options.devices,
            channels: options.channels,
            days: options.days,
            late: if options.no_late { Some(0.0) } else { options.late },
            hard: if options.hard || options.plain { Some(options.hard) } else { None },
            inputs_only: options.no_expected,
        },
        &options.out,
    )?;
    println!(
        "{}: {} actions, {} ads, {} places, {} users, {} channels",
        options.out.display(),
        written.actions,
        written.ads,
        written.device_locations,
        written.users,
        written.channels
    );
    if let Some((sessions, show_views, ad_views)) = written.expected {
        println!("expected: {sessions} sessions, {show_views} show views, {ad_views} ad views");
    }
    Ok(true)
}

fn run_expect(folder: &Path) -> Result<bool> {
    let case = tv_cases::case::Case::read(folder)?;
    let expected = tv_cases::expect(&case)?;
    expected.write(folder)?;
    println!(
        "{}: {} shows, {} sessions, {} show views, {} ad views",
        folder.display(),
        expected.shows.len(),
        expected.sessions.len(),
        expected.show_views.len(),
        expected.ad_views.len()
    );
    Ok(true)
}

fn run_load(options: &Load) -> Result<bool> {
    let partitions = usize::from(options.partitions);
    if options.create {
        load::create_topics(&options.bootstrap, &options.order, partitions)?;
    }
    let registry = Registry::at(&options.registry);
    load::load(&options.case, &options.bootstrap, registry, &options.order, partitions, |topic, count| {
        println!("{topic}: {count} records");
    })?;
    Ok(true)
}

fn run_compare(options: &Compare) -> Result<bool> {
    let outputs = Outputs::at(&options.bootstrap);
    let (mut compared, mut equal) = (0, true);
    for Output { topic, file, is_table } in OUTPUTS {
        let path = options.case.join(file);
        if !path.exists() {
            continue;
        }
        let got = if is_table { outputs.table(topic)? } else { outputs.stream(topic)? };
        let report = compare(read_rows(&path)?, got);
        println!("{topic}: {report}");
        compared += 1;
        equal &= report.is_equal();
    }
    if compared == 0 {
        bail!("{} has no expected_*.jsonl to compare with", options.case.display());
    }
    if options.counts {
        equal &= compare_counts(&options.case.join(COUNTS_FILE), &outputs)?;
    }
    println!("{}", if equal { "equal" } else { "different" });
    Ok(equal)
}

/// Compares the numbers of records in the topics of late rows and dead letters.
fn compare_counts(path: &Path, outputs: &Outputs) -> Result<bool> {
    let bytes = std::fs::read(path).map_err(|error| anyhow!("cannot read {}: {error}", path.display()))?;
    let counts: Value =
        serde_json::from_slice(&bytes).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    let mut equal = true;
    for (name, topic) in [
        ("actions_late", "sessions-late"),
        ("actions_dead", "actions-dlq"),
        ("ads_late", "ads-late"),
        ("ads_dead", "ads-dlq"),
        ("device_locations_late", "device_locations-late"),
        ("device_locations_dead", "device_locations-dlq"),
    ] {
        let (expected, got) = (counts[name].as_u64(), outputs.count(topic)? as u64);
        println!("{topic}: {} expected, {got} got", expected.unwrap_or_default());
        equal &= expected == Some(got);
    }
    Ok(equal)
}
