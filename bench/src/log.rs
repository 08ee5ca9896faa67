//! Rounds of producing and consuming against servers that run, in turns, so that whatever slows the machine slows all of them; then
//! latencies at steady rates. The client is `bd bench`, whose batches are made before the clock starts.

use crate::limits;
use crate::process;
use crate::results::{self, Direction, Entry, Latency, Round};
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

/// A running server.
#[derive(Debug, Clone)]
struct Server {
    name: String,
    bootstrap: String,
    pid: u32,
    /// Where its segments lie.
    data: PathBuf,
}

impl FromStr for Server {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('=').collect();
        match parts[..] {
            [name, bootstrap, pid, data] => {
                let pid = pid.parse().with_context(|| format!("{text}: the process id"))?;
                Ok(Self { name: name.into(), bootstrap: bootstrap.into(), pid, data: data.into() })
            }
            _ => Err(anyhow!("{text}: expected NAME=HOST:PORT=PID=DATA")),
        }
    }
}

#[derive(Args)]
pub(crate) struct Options {
    /// The program whose `bench` is the client
    #[arg(long)]
    bd: PathBuf,
    /// NAME=HOST:PORT=PID=DATA, once for each server; the ratios are of the first to the second
    #[arg(long = "server", required = true)]
    servers: Vec<Server>,
    /// Measured rounds, after one that is not counted
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Megabytes of values in a round of the largest records
    #[arg(long, default_value_t = 500)]
    megabytes: u64,
    /// Seconds of each measurement of latency; 0 leaves it out
    #[arg(long, default_value_t = 15)]
    latency_seconds: u64,
    /// Produce alone, of servers that were told to promise the same on acknowledgement: which, for the table
    #[arg(long)]
    promise: Option<String>,
    /// Where results are appended
    #[arg(long)]
    results: PathBuf,
}

/// What is written or read in one go.
struct Shape {
    record_bytes: usize,
    compression: &'static str,
    partitions: i32,
    records: u64,
}

/// A round of reading goes over its records again until it has taken so long: CPU time comes in steps of 10 ms.
const LEAST_READ: Duration = Duration::from_secs(2);
/// A round reads its records so often at most.
const MOST_PASSES: u32 = 40;

/// Records a second of the measurements of latency.
pub(crate) const RATES: [u64; 2] = [20_000, 100_000];

pub(crate) fn run(options: &Options) -> Result<()> {
    for record_bytes in [1000, 100] {
        for compression in ["none", "lz4"] {
            for partitions in [1, 12] {
                let records = options.megabytes * 1_000_000 / record_bytes as u64;
                // Small records cost more: fewer of them take as long.
                let records = if record_bytes < 1000 { records / 2 } else { records };
                throughput(options, &Shape { record_bytes, compression, partitions, records })?;
            }
        }
    }
    if options.latency_seconds > 0 {
        for rate in RATES {
            latency(options, rate)?;
        }
    }
    Ok(())
}

fn in_turn(servers: &[Server], round: u32) -> Vec<&Server> {
    let mut order: Vec<_> = servers.iter().collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

fn throughput(options: &Options, shape: &Shape) -> Result<()> {
    for round in 0..=options.rounds {
        for server in in_turn(&options.servers, round) {
            let topic =
                format!("bench-{}-{}-{}-{round}", shape.record_bytes, shape.compression, shape.partitions);
            let all = [Direction::Produce, Direction::Consume, Direction::ConsumeDisk];
            let directions = if options.promise.is_some() { &all[..1] } else { &all[..] };
            for &direction in directions {
                let result = one_round(options, server, &topic, shape, direction)
                    .with_context(|| format!("{} {topic} {direction:?}", server.name))?;
                println!(
                    "{} {topic} {direction:?}: {:.1} MB/s, {:.2} CPU s/GB",
                    server.name,
                    result.bytes as f64 / 1e6 / result.seconds,
                    result.cpu_seconds / result.bytes as f64 * 1e9
                );
                if round > 0 {
                    results::append(&options.results, &Entry::Round(result))?;
                }
            }
            client(options, server, &["topics", "delete", &topic])?;
        }
    }
    Ok(())
}

fn one_round(
    options: &Options,
    server: &Server,
    topic: &str,
    shape: &Shape,
    direction: Direction,
) -> Result<Round> {
    let (records, size, partitions) =
        (shape.records.to_string(), shape.record_bytes.to_string(), shape.partitions.to_string());
    let args = match direction {
        Direction::Produce => vec![
            "bench",
            "produce",
            "--topic",
            topic,
            "--records",
            &records,
            "--size",
            &size,
            "--partitions",
            &partitions,
            "--compression",
            shape.compression,
            "--acks",
            "all",
        ],
        Direction::Consume | Direction::ConsumeDisk => vec!["bench", "consume", "--topic", topic],
    };
    let (mut bytes, mut seconds, mut cpu, mut client_cpu) = (0, 0.0, Duration::ZERO, 0.0);
    for _ in 0..MOST_PASSES {
        if direction == Direction::ConsumeDisk {
            forget_pages(&server.data)?;
        }
        let before = process::cpu(server.pid)?;
        let report = json(&client(options, server, &args)?)?;
        cpu += process::cpu(server.pid)?.saturating_sub(before);
        let told = |key: &str| report[key].as_f64().ok_or_else(|| anyhow!("no {key} in {report}"));
        if told("records")? as u64 != shape.records {
            bail!("{} records were written or read, not {}", told("records")?, shape.records);
        }
        bytes += shape.records * shape.record_bytes as u64;
        seconds += told("seconds")?;
        client_cpu += told("client_cpu_seconds")?;
        if direction == Direction::Produce || seconds >= LEAST_READ.as_secs_f64() {
            break;
        }
    }
    Ok(Round {
        server: server.name.clone(),
        record_bytes: shape.record_bytes,
        compression: shape.compression.into(),
        partitions: shape.partitions,
        direction,
        promise: options.promise.clone(),
        bytes,
        seconds,
        cpu_seconds: cpu.as_secs_f64(),
        client_cpu_seconds: client_cpu,
        rss_bytes: process::rss(server.pid)?.0,
    })
}

fn latency(options: &Options, rate: u64) -> Result<()> {
    for round in 0..=options.rounds.min(3) {
        for server in in_turn(&options.servers, round) {
            let topic = format!("bench-latency-{rate}-{round}");
            // What was written before, and not fsynced, is not this round's work.
            rustix::fs::sync();
            let records = (rate * options.latency_seconds).to_string();
            let text = rate.to_string();
            let args = [
                "bench",
                "latency",
                "--topic",
                &topic,
                "--records",
                &records,
                "--size",
                "100",
                "--rate",
                &text,
                "--acks",
                "all",
            ];
            let before = process::cpu(server.pid)?;
            let report = json(&client(options, server, &args)?).with_context(|| server.name.clone())?;
            let cpu = process::cpu(server.pid)?.saturating_sub(before);
            let at = |percentile: &str| {
                report["latency_ms"][percentile].as_f64().ok_or_else(|| anyhow!("no {percentile}: {report}"))
            };
            let found = Latency {
                server: server.name.clone(),
                rate,
                p50_ms: at("p50")?,
                p99_ms: at("p99")?,
                p999_ms: at("p99.9")?,
                max_ms: at("max")?,
                cpu_seconds: cpu.as_secs_f64(),
                seconds: options.latency_seconds as f64,
                rss_bytes: process::rss(server.pid)?.0,
            };
            println!("{} {rate}/s: p50 {:.2} ms, p99 {:.2} ms", server.name, found.p50_ms, found.p99_ms);
            if round > 0 {
                results::append(&options.results, &Entry::Latency(found))?;
            }
            client(options, server, &["topics", "delete", &topic])?;
        }
        if let Some(server) = options.servers.first().filter(|_| round > 0) {
            let floor = limits::paced(&server.data, rate, Duration::from_secs(options.latency_seconds))?;
            results::append(&options.results, &Entry::Floor(floor))?;
        }
    }
    Ok(())
}

/// Runs the client against a server; what it prints.
fn client(options: &Options, server: &Server, args: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(&options.bd)
        .args(args)
        .args(["--bootstrap", &server.bootstrap, "--json"])
        .output()
        .with_context(|| options.bd.display().to_string())?;
    if !output.status.success() {
        bail!("bd {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

fn json(output: &[u8]) -> Result<Value> {
    serde_json::from_slice(output).with_context(|| String::from_utf8_lossy(output).into_owned())
}

/// Has the kernel write the segments below a folder to the disk and forget their pages.
fn forget_pages(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            forget_pages(&path)?;
        } else if path.extension().is_some_and(|e| e == "log") {
            // A topic that is being deleted takes its files away meanwhile.
            let Ok(file) = File::open(&path) else { continue };
            file.sync_all()?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        }
    }
    Ok(())
}
