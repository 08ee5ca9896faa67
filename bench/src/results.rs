//! The file of results: a JSON object a line, appended to as the run goes, so that what was measured survives what fails later.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

/// One thing that was found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", content = "of", rename_all = "snake_case")]
pub(crate) enum Entry {
    /// A line for the report.
    Note(String),
    /// One round of one server.
    Round(Round),
    /// From when a record was due until it was read, at a steady rate.
    Latency(Latency),
    /// The same of the disk alone.
    Floor(Floor),
    /// What the machine can do.
    Limit(Scale),
    /// What partitions and connections take.
    Scale(Scale),
    /// One program that ran to its end.
    Job(JobRun),
    /// What it wrote to a topic.
    Rows(TopicRows),
    /// From a start of bd to the first value on the dashboard.
    Start(Start),
    /// From commits in the database to the dashboard.
    Commits(Commits),
    /// What bd takes while a dashboard is watched.
    Watched(Watched),
    /// A recorded case through the whole path.
    Replay(Replay),
    /// One round of loading documents.
    Load(Load),
    /// One kind of search.
    Search(Search),
    /// One kind of call of a schema registry.
    Calls(Calls),
    /// What a registry of bd takes.
    Registry(Scale),
}

/// Which way records went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    Produce,
    /// Of what was written just before: from the page cache.
    Consume,
    /// After the kernel has forgotten the pages.
    ConsumeDisk,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Round {
    pub(crate) server: String,
    pub(crate) record_bytes: usize,
    pub(crate) compression: String,
    pub(crate) partitions: i32,
    pub(crate) direction: Direction,
    /// Both servers promise this on acknowledgement; `None`: each what it does unless told otherwise.
    #[serde(default)]
    pub(crate) promise: Option<String>,
    /// Bytes of values, before compression.
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    /// User and system time of the server's process.
    pub(crate) cpu_seconds: f64,
    /// User and system time of the client.
    pub(crate) client_cpu_seconds: f64,
    /// Resident at the end of the round.
    pub(crate) rss_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) server: String,
    /// Records a second.
    pub(crate) rate: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) max_ms: f64,
    /// User and system time of the server's process.
    pub(crate) cpu_seconds: f64,
    /// How long records came.
    pub(crate) seconds: f64,
    pub(crate) rss_bytes: u64,
}

/// A write and its fsync each millisecond, of the records of that millisecond: from when they were due until they were durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Floor {
    /// Records a second.
    pub(crate) rate: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) max_ms: f64,
}

/// One figure: what, how much, in which unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scale {
    pub(crate) what: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct JobRun {
    pub(crate) system: String,
    pub(crate) job: String,
    /// Records in the topics that it read.
    pub(crate) events: u64,
    pub(crate) seconds: f64,
    /// User and system time of all its processes.
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_rss_bytes: u64,
    pub(crate) succeeded: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TopicRows {
    pub(crate) system: String,
    pub(crate) job: String,
    pub(crate) topic: String,
    #[serde(flatten)]
    pub(crate) found: Found,
}

/// The rows of a topic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) rows: u64,
    /// Equal for equal multisets of rows, in whatever order rows and members come.
    pub(crate) fingerprint: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Start {
    /// Which start: the first one, a restart.
    pub(crate) name: String,
    /// From the start of bd's process until the panel of current viewers had a value.
    pub(crate) first_value_seconds: f64,
    /// Until the number of all viewers changed for the first time.
    pub(crate) first_change_seconds: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Commits {
    /// Of each commit: from the INSERT being sent until the dashboard's stream had the new number.
    pub(crate) ms: Vec<f64>,
    /// Of each commit: from the INSERT being sent until the database had committed it.
    pub(crate) insert_ms: Vec<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watched {
    pub(crate) seconds: f64,
    /// User and system time of bd's process.
    pub(crate) cpu_seconds: f64,
    /// Resident at the end.
    pub(crate) rss_bytes: u64,
    /// The most since bd's start.
    pub(crate) peak_rss_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Replay {
    /// Rows of all sources.
    pub(crate) inputs: u64,
    pub(crate) actions: u64,
    /// From the start of bd's process until everything was in its index.
    pub(crate) seconds: f64,
    /// The same from the first action.
    pub(crate) actions_seconds: f64,
    /// User and system time of bd's process.
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_rss_bytes: u64,
    /// What it was waited for, in order, and how long.
    pub(crate) phases: Vec<(String, f64)>,
    /// The line that it ended with.
    pub(crate) complete: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) server: String,
    pub(crate) documents: u64,
    /// Bytes of request bodies.
    pub(crate) bytes: u64,
    /// From the first request until the last document could be found.
    pub(crate) seconds: f64,
    /// User and system time of the server's process.
    pub(crate) cpu_seconds: f64,
    /// Resident at the end of the round.
    pub(crate) rss_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Search {
    pub(crate) server: String,
    /// What was asked for.
    pub(crate) query: String,
    /// Of each request.
    pub(crate) ms: Vec<f64>,
    /// User and system time of the server's process, for all requests.
    pub(crate) cpu_seconds: f64,
    /// Of the numbers of documents in all answers: equal ones mean equal answers.
    pub(crate) fingerprint: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Calls {
    pub(crate) server: String,
    /// What was called, and by how many at once.
    pub(crate) what: String,
    /// Schemas that were there before.
    pub(crate) schemas: u64,
    /// Of each call.
    pub(crate) ms: Vec<f64>,
    /// From the first call to the end of the last.
    pub(crate) seconds: f64,
    /// User and system time of the server's process.
    pub(crate) cpu_seconds: f64,
}

/// Adds an entry to the file.
pub(crate) fn append(path: &Path, entry: &Entry) -> Result<()> {
    let mut line = serde_json::to_string(entry)?;
    line.push('\n');
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Reads the whole file.
pub(crate) fn read(path: &Path) -> Result<Vec<Entry>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("{}: {line}", path.display())))
        .collect()
}
