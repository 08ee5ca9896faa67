//! What partitions and connections take: memory, files, and the time of a start, of a broker of its own.

use crate::bd::Bd;
use crate::results::{self, Entry, Scale};
use anyhow::{Result, bail};
use clap::Args;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Starts are measured so often.
const STARTS: usize = 7;

#[derive(Args)]
pub(crate) struct Options {
    /// The program
    #[arg(long)]
    bd: PathBuf,
    /// A folder for its data
    #[arg(long)]
    work: PathBuf,
    /// Partitions of the two brokers that are measured
    #[arg(long, value_delimiter = ',', default_value = "1000,10000")]
    partitions: Vec<u32>,
    /// Connections that are opened and left alone
    #[arg(long, default_value_t = 5000)]
    connections: u32,
    /// Where results are appended
    #[arg(long)]
    results: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let note = |what: &str, value: f64, unit: &str| -> Result<()> {
        println!("{what}: {value:.2} {unit}");
        let scale = Scale { what: what.to_owned(), value, unit: unit.to_owned() };
        results::append(&options.results, &Entry::Scale(scale))
    };
    let empty = start(&options.bd, &options.work.join("empty"))?;
    let idle = empty.settled_rss()?;
    note("RSS, new and idle", idle / 1e6, "MB")?;
    let held = connect(&empty, options.connections)?;
    let with_connections = empty.settled_rss()?;
    note(
        &format!("{} idle connections, each", options.connections),
        (with_connections - idle) / 1e3 / f64::from(options.connections),
        "KB of RSS",
    )?;
    drop(held);
    empty.stop()?;
    for partitions in &options.partitions {
        let data = options.work.join(partitions.to_string());
        let broker = start(&options.bd, &data)?;
        let began = Instant::now();
        let count = partitions.to_string();
        tool(options, &broker, &["topics", "create", "scale", "--partitions", &count])?;
        note(&format!("{partitions} partitions created in one topic"), began.elapsed().as_secs_f64(), "s")?;
        let records = (u64::from(*partitions) * 4).to_string();
        tool(
            options,
            &broker,
            &[
                "bench",
                "produce",
                "--topic",
                "scale",
                "--records",
                &records,
                "--size",
                "100",
                "--batch-bytes",
                "512",
            ],
        )?;
        note(&format!("RSS with {partitions} partitions, all written"), broker.settled_rss()? / 1e6, "MB")?;
        note(&format!("open files with {partitions} partitions, all written"), open_files(&broker)?, "")?;
        broker.stop()?;
        let mut ready = Vec::new();
        for _ in 0..STARTS {
            let broker = start(&options.bd, &data)?;
            ready.push(broker.ready.as_secs_f64() * 1e3);
            if ready.len() == STARTS {
                note(
                    &format!("RSS with {partitions} partitions, after a start"),
                    broker.settled_rss()? / 1e6,
                    "MB",
                )?;
            }
            broker.stop()?;
        }
        note(
            &format!("from exec to ready with {partitions} partitions, median of {STARTS}"),
            crate::table::median(ready),
            "ms",
        )?;
    }
    Ok(())
}

fn start(bd: &Path, data: &Path) -> Result<Bd> {
    Bd::start(bd, "cluster", data, &["broker.max.connections=20000"])
}

fn tool(options: &Options, broker: &Bd, args: &[&str]) -> Result<()> {
    let output =
        Command::new(&options.bd).args(args).args(["--bootstrap", broker.at("cluster")?]).output()?;
    if !output.status.success() {
        bail!("bd {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn connect(broker: &Bd, count: u32) -> Result<Vec<TcpStream>> {
    let address = broker.at("cluster")?;
    (0..count).map(|_| TcpStream::connect(address).map_err(Into::into)).collect()
}

fn open_files(broker: &Bd) -> Result<f64> {
    Ok(std::fs::read_dir(format!("/proc/{}/fd", broker.pid()))?.count() as f64)
}
