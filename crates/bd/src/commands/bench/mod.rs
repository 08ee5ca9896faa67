//! `bd bench`: a light client that loads a cluster and says what it took. Batches are made before the clock starts; what is
//! stamped into them afterwards is time and sequence.

mod consume;
mod histogram;
mod latency;
mod load;
mod pace;
mod produce;

use crate::cli::{Bench, BenchAction};
use anyhow::Result;
use histogram::Histogram;
use serde_json::{Map, Value, json};
use std::process::ExitCode;
use std::time::Duration;

pub(super) fn run(args: &Bench) -> Result<ExitCode> {
    let report = match &args.action {
        BenchAction::Produce(produce) => produce::run(&args.cluster, produce)?,
        BenchAction::Consume(consume) => consume::run(&args.cluster, consume)?,
        BenchAction::Latency(latency) => latency::run(&args.cluster, latency)?,
    };
    match args.cluster.json {
        true => super::print(&format!("{}\n", Value::Object(report.json)))?,
        false => super::print(&report.text)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What a run has found out, for people and programs.
#[derive(Default)]
struct Report {
    json: Map<String, Value>,
    text: String,
}

impl Report {
    fn add(&mut self, name: &str, value: Value, shown: &str) {
        let label = name.replace('_', " ");
        self.text.push_str(&format!("{label:21}{shown}\n"));
        self.json.insert(name.to_owned(), value);
    }

    /// Records and bytes of values in a time.
    fn rates(&mut self, records: u64, bytes: u64, took: Duration) {
        let seconds = took.as_secs_f64().max(1e-9);
        let (rate, megabytes) = (records as f64 / seconds, bytes as f64 / seconds / 1e6);
        self.add("records", json!(records), &records.to_string());
        self.add("seconds", json!(seconds), &format!("{seconds:.3}"));
        self.add("records_per_second", json!(rate), &format!("{rate:.0}"));
        self.add("mb_per_second", json!(megabytes), &format!("{megabytes:.2}"));
    }

    /// Percentiles in ms.
    fn latency(&mut self, name: &str, histogram: &Histogram) {
        if histogram.count() == 0 {
            return;
        }
        let ms = |ns: u64| ns as f64 / 1e6;
        let mut object = Map::new();
        let mut shown = format!("avg {:.3} ms", ms(histogram.mean()));
        object.insert("avg".into(), json!(ms(histogram.mean())));
        for (label, part) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)] {
            let value = ms(histogram.percentile(part));
            shown.push_str(&format!("  {label} {value:.3}"));
            object.insert(label.into(), json!(value));
        }
        self.add(name, Value::Object(object), &shown);
    }

    /// CPU time of this process since `before`.
    fn cpu(&mut self, before: Option<f64>) {
        if let (Some(before), Some(now)) = (before, cpu_seconds()) {
            let used = now - before;
            self.add("client_cpu_seconds", json!(used), &format!("{used:.2}"));
        }
    }
}

/// User and system time of this process, s; in the 10 ms steps in which Linux tells it.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in brackets, may hold spaces.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}
