//! `bd-bench`: what `run.sh` needs to measure bd beside Apache Kafka, Apache Spark and Elasticsearch.
//!
//! ```text
//!  run.sh ─┬─ log    produce and consume against servers that run, in alternating rounds ─┐
//!          ├─ limits what the machine can do                                                ─┤
//!          ├─ scale  start a broker with many partitions and connections                          ─┤
//!          ├─ job    start a program, account for its whole process tree               ─┼─▶ results (JSON lines) ─▶ report
//!          ├─ rows   count and fingerprint the rows in a topic                          ─┤
//!          ├─ start, watch, commits   a live demo, as the dashboard's event stream shows it              │
//!          ├─ replay a recorded case through a demo                                        │
//!          ├─ search load and search servers that run, in alternating rounds                ┤
//!          ├─ registry  register and get schemas, at a bd of its own and at servers that run          ┘
//!          ├─ lines  load a file, a line a record          produce, consume: one run by hand
//!          └─ note   a line of text for the report
//! ```
//! It starts no servers and knows no ports: the script does that.
#![allow(clippy::print_stdout, reason = "what a command finds goes to standard output")]

mod bd;
mod client;
mod dashboard;
mod limits;
mod live;
mod log;
mod process;
mod registry;
mod replay;
mod report;
mod report_log;
mod report_path;
mod report_registry;
mod results;
mod rows;
mod scale;
mod search;
mod table;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use client::{Compression, Shape};
use results::{Entry, JobRun, TopicRows};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Parser)]
#[command(
    about = "Measures bd beside Apache Kafka, Apache Spark and Elasticsearch; run.sh is the whole benchmark"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write records to a topic as fast as they are acknowledged
    Produce(Once),
    /// Read a topic from its beginning
    Consume(Once),
    /// Measure servers in alternating rounds: throughput and CPU seconds
    Log(log::Options),
    /// Measure what the machine can do: memory, loopback, disk
    Limits(limits::Options),
    /// Measure what partitions and connections take, in a broker of its own
    Scale(scale::Options),
    /// Run a program to its end and record what it took
    Job(Job),
    /// Count the committed rows in topics and work out their fingerprints
    Rows(Rows),
    /// Write the lines of a file to a topic, each as a record without key
    Lines(Lines),
    /// Measure a start of bd in a live demo: from its process to the first value on the dashboard
    Start(live::StartOptions),
    /// Measure what bd takes in a live demo while its dashboard is watched
    Watch(live::WatchOptions),
    /// Measure commits in a live demo's database: from the INSERT to the dashboard
    Commits(live::CommitOptions),
    /// Measure a replay that is being started
    Replay(replay::Options),
    /// Measure search servers in alternating rounds: documents loaded, then searches
    Search(search::Options),
    /// Measure schema registries: registering, getting by id; bd's with many schemas
    Registry(registry::Options),
    /// Record a line of text for the report
    Note { results: PathBuf, text: String },
    /// Print the results as tables; exit 1 if a job failed, or two systems gave different rows
    Report { results: PathBuf },
}

#[derive(Args)]
struct Once {
    /// host:port
    #[arg(long)]
    bootstrap: String,
    #[arg(long)]
    topic: String,
    #[arg(long)]
    records: u64,
    /// Bytes of a record's value
    #[arg(long, default_value_t = 1000)]
    size: usize,
    #[arg(long, value_enum, default_value_t = Compression::None)]
    compression: Compression,
}

impl Once {
    fn shape(&self) -> Shape {
        Shape { records: self.records, record_bytes: self.size, compression: self.compression }
    }
}

#[derive(Args)]
struct Job {
    /// Whose: bd, Spark
    #[arg(long)]
    system: String,
    /// What it works out
    #[arg(long)]
    job: String,
    /// How many records it reads
    #[arg(long)]
    events: u64,
    /// End it after so many seconds
    #[arg(long, default_value_t = 1800)]
    timeout: u64,
    #[arg(long)]
    results: PathBuf,
    /// The program and its arguments, after --
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

#[derive(Args)]
struct Rows {
    #[arg(long)]
    bootstrap: String,
    #[arg(long)]
    system: String,
    #[arg(long)]
    job: String,
    #[arg(long)]
    results: PathBuf,
    #[arg(required = true)]
    topics: Vec<String>,
}

#[derive(Args)]
struct Lines {
    #[arg(long)]
    bootstrap: String,
    #[arg(long)]
    topic: String,
    #[arg(long)]
    file: PathBuf,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bd-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Produce(once) => {
            client::create_topic(&once.bootstrap, &once.topic)?;
            print_rate(&once.shape(), client::produce(&once.bootstrap, &once.topic, &once.shape())?);
        }
        Command::Consume(once) => {
            print_rate(&once.shape(), client::consume(&once.bootstrap, &once.topic, &once.shape())?);
        }
        Command::Log(options) => log::run(&options)?,
        Command::Limits(options) => limits::run(&options)?,
        Command::Scale(options) => scale::run(&options)?,
        Command::Job(job) => return run_job(job),
        Command::Rows(options) => {
            for topic in options.topics {
                let found = rows::of_topic(&options.bootstrap, &topic)?;
                println!("{topic}: {} rows, fingerprint {:016x}", found.rows, found.fingerprint);
                let (system, job) = (options.system.clone(), options.job.clone());
                results::append(&options.results, &Entry::Rows(TopicRows { system, job, topic, found }))?;
            }
        }
        Command::Lines(options) => {
            let count = rows::load_lines(&options.bootstrap, &options.topic, &options.file)?;
            println!("{}: {count} records", options.topic);
        }
        Command::Start(options) => live::start(&options)?,
        Command::Watch(options) => live::watch(&options)?,
        Command::Commits(options) => live::commits(&options)?,
        Command::Replay(options) => replay::run(&options)?,
        Command::Search(options) => search::run(&options)?,
        Command::Registry(options) => registry::run(&options)?,
        Command::Note { results, text } => {
            println!("{text}");
            results::append(&results, &Entry::Note(text))?;
        }
        Command::Report { results } => {
            let entries = results::read(&results)?;
            print!("{}", report::text(&entries));
            return Ok(if report::is_sound(&entries) { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_rate(shape: &Shape, took: Duration) {
    let megabytes = shape.bytes() as f64 / 1e6;
    println!("{megabytes:.0} MB in {:.2} s: {:.1} MB/s", took.as_secs_f64(), megabytes / took.as_secs_f64());
}

fn run_job(job: Job) -> Result<ExitCode> {
    let usage = process::run(&job.command, Duration::from_secs(job.timeout)).unwrap_or_else(|error| {
        // It belongs into the report, too.
        eprintln!("bd-bench: {error:#}");
        process::Usage { wall: Duration::ZERO, cpu: Duration::ZERO, peak_rss: 0, succeeded: false }
    });
    println!(
        "{} {}: {:.1} s, {:.1} CPU s, {:.0} MB at most{}",
        job.system,
        job.job,
        usage.wall.as_secs_f64(),
        usage.cpu.as_secs_f64(),
        usage.peak_rss as f64 / 1e6,
        if usage.succeeded { "" } else { ", FAILED" }
    );
    results::append(
        &job.results,
        &Entry::Job(JobRun {
            system: job.system,
            job: job.job,
            events: job.events,
            seconds: usage.wall.as_secs_f64(),
            cpu_seconds: usage.cpu.as_secs_f64(),
            peak_rss_bytes: usage.peak_rss,
            succeeded: usage.succeeded,
        }),
    )?;
    Ok(if usage.succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
