//! What partitions and connections take: memory, files, and the time of a start, of a broker of its own.

use crate::process;
use crate::results::{self, Entry, Scale};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Starts are measured so often.
const STARTS: usize = 7;
/// What comes to rest does so in less than this.
const REST: Duration = Duration::from_secs(3);

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
    let empty = Broker::start(&options.bd, &options.work.join("empty"))?;
    let idle = empty.settled_rss()?;
    note("RSS, new and idle", idle / 1e6, "MB")?;
    let held = empty.connect(options.connections)?;
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
        let broker = Broker::start(&options.bd, &data)?;
        let began = Instant::now();
        let count = partitions.to_string();
        broker.tool(&["topics", "create", "scale", "--partitions", &count])?;
        note(&format!("{partitions} partitions created in one topic"), began.elapsed().as_secs_f64(), "s")?;
        let records = (u64::from(*partitions) * 4).to_string();
        broker.tool(&[
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
        ])?;
        note(&format!("RSS with {partitions} partitions, all written"), broker.settled_rss()? / 1e6, "MB")?;
        note(&format!("open files with {partitions} partitions, all written"), broker.open_files()?, "")?;
        broker.stop()?;
        let mut ready = Vec::new();
        for _ in 0..STARTS {
            let broker = Broker::start(&options.bd, &data)?;
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

/// A broker at work.
struct Broker<'a> {
    child: Child,
    bd: &'a Path,
    address: String,
    /// From its exec until it said that it is ready.
    ready: Duration,
}

impl<'a> Broker<'a> {
    fn start(bd: &'a Path, data: &Path) -> Result<Self> {
        let began = Instant::now();
        let mut child = Command::new(bd)
            .args(["up", "--roles", "cluster", "--free-ports", "--data"])
            .arg(data)
            .args(["--set", "broker.max.connections=20000"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| bd.display().to_string())?;
        let errors = child.stderr.take().context("its stderr")?;
        let mut lines = BufReader::new(errors).lines().map_while(std::io::Result::ok);
        let mut said = Vec::new();
        while said.last().is_none_or(|line: &String| !line.starts_with("ready")) {
            match lines.next() {
                Some(line) => said.push(line),
                None => bail!("bd did not start: {}", said.join("\n")),
            }
        }
        let ready = began.elapsed();
        std::thread::spawn(move || lines.for_each(|line| eprintln!("bd: {line}")));
        let mut told = BufReader::new(child.stdout.take().context("its stdout")?).lines();
        let address = told
            .by_ref()
            .map_while(std::io::Result::ok)
            .find_map(|line| line.strip_prefix("cluster").map(|rest| rest.trim().to_owned()));
        let address = address.context("bd told no address of its cluster")?;
        Ok(Self { child, bd, address, ready })
    }

    fn tool(&self, args: &[&str]) -> Result<()> {
        let output = Command::new(self.bd).args(args).args(["--bootstrap", &self.address]).output()?;
        if !output.status.success() {
            bail!("bd {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    fn connect(&self, count: u32) -> Result<Vec<TcpStream>> {
        (0..count).map(|_| TcpStream::connect(&self.address).map_err(Into::into)).collect()
    }

    /// RSS in bytes once it does not change any more.
    fn settled_rss(&self) -> Result<f64> {
        std::thread::sleep(REST);
        Ok(process::rss(self.child.id())?.0 as f64)
    }

    fn open_files(&self) -> Result<f64> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count() as f64)
    }

    fn stop(mut self) -> Result<()> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Broker<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
