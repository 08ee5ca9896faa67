//! What the tests share: a worker over an embedded cluster, connectors to test with, bounded waiting.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    unused_imports,
    reason = "helpers, not all used by each test file"
)]

mod faulty;
mod plugins;

pub(crate) use faulty::{Fault, FaultyCluster};
pub(crate) use plugins::{Collector, Numbers};

use bd_broker::{Broker, BrokerConfig};
use bd_cluster::{
    Cluster, Isolation, NewTopic, OffsetSpec, ReaderConfig, RecordsBuilder, TopicPartition, WriterConfig,
};
use bd_cluster_embedded::EmbeddedCluster;
use bd_connect::sdk::Plugin;
use bd_connect::{Worker, WorkerConfig};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A cluster in a folder of its own.
pub(crate) struct Home {
    pub(crate) cluster: Arc<dyn Cluster>,
    dir: TempDir,
}

impl Home {
    /// The cluster of the same folder as after a crash: the broker is not closed before.
    pub(crate) fn reopen(self) -> Self {
        let Self { cluster, dir } = self;
        drop(cluster);
        open(dir)
    }
}

pub(crate) fn home() -> Home {
    open(tempfile::tempdir().unwrap())
}

fn open(dir: TempDir) -> Home {
    let broker = Broker::open(BrokerConfig::new(dir.path())).unwrap();
    Home { cluster: Arc::new(EmbeddedCluster::new(broker)), dir }
}

/// A worker that tries again soon.
pub(crate) fn worker(cluster: &Arc<dyn Cluster>, plugins: Vec<Arc<dyn Plugin>>) -> Worker {
    let config = WorkerConfig {
        min_backoff: Duration::from_millis(5),
        max_backoff: Duration::from_millis(20),
        offset_flush_interval: Duration::from_millis(20),
        shutdown_timeout: Duration::from_secs(2),
        ..WorkerConfig::default()
    };
    Worker::open(Arc::clone(cluster), plugins, None, config).unwrap()
}

pub(crate) fn config(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// Waits until `get` gives something.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut get: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = get() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// A record: key, value, headers.
pub(crate) type Record = (Option<String>, Option<String>, Vec<(String, String)>);

/// All committed records of a partition; none where the topic is missing.
pub(crate) fn read(cluster: &dyn Cluster, topic: &str, partition: i32) -> Vec<Record> {
    let at = TopicPartition::new(topic, partition);
    let Ok(end) = cluster.offset(&at, OffsetSpec::Stable) else { return Vec::new() };
    let config = ReaderConfig { isolation: Isolation::ReadCommitted, client_id: "test".into() };
    let mut reader = cluster.open_reader(config).unwrap();
    reader.assign(&at, cluster.offset(&at, OffsetSpec::Earliest).unwrap()).unwrap();
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    let mut all = Vec::new();
    while reader.position(&at).unwrap() < end {
        let Some(records) = reader.poll(1 << 20, Duration::from_secs(5)).unwrap() else { break };
        for (i, record) in records.iter().enumerate() {
            let headers =
                records.headers(i).map(|h| (text(h.name), h.value.map(text).unwrap_or_default())).collect();
            all.push((record.key.map(text), record.value.map(text), headers));
        }
    }
    all
}

/// The values of [`read`]; null is `-`.
pub(crate) fn values(cluster: &dyn Cluster, topic: &str) -> Vec<String> {
    read(cluster, topic, 0).into_iter().map(|(_, v, _)| v.unwrap_or_else(|| "-".into())).collect()
}

/// Writes records with keys to partition 0 of a topic, which is created with one partition if need be.
pub(crate) fn write(cluster: &dyn Cluster, topic: &str, records: &[(Option<&str>, Option<&str>)]) {
    if cluster.topic(topic).unwrap().is_none() {
        cluster.create_topic(&NewTopic::new(topic, 1)).unwrap();
    }
    let mut builder = RecordsBuilder::new();
    for (key, value) in records {
        builder.push(key.map(str::as_bytes), value.map(str::as_bytes), 1_612_223_747_000, &[]);
    }
    let mut writer = cluster.open_writer(WriterConfig::default()).unwrap();
    writer.append(&TopicPartition::new(topic, 0), builder).unwrap().wait(DEADLINE).unwrap();
}

/// A value of the worker's metrics.
pub(crate) fn metric(worker: &Worker, line: &str) -> u64 {
    let text = worker.metrics();
    let found = text.lines().find_map(|l| l.strip_prefix(line)?.trim().parse().ok());
    found.unwrap_or(0)
}

/// Whether the task is in that state.
pub(crate) fn is_in(worker: &Worker, connector: &str, state: &str) -> bool {
    let line = format!("bd_connect_task_state{{connector=\"{connector}\",task=\"0\",state=\"{state}\"}}");
    metric(worker, &line) == 1
}

/// Waits until the topic of states holds a state of the task with that text in its record, the last one.
#[track_caller]
pub(crate) fn wait_for_state(cluster: &dyn Cluster, connector: &str, text: &str) {
    let key = format!("status-task-{connector}-0");
    until(text, || {
        let states = read(cluster, "connect-status", 0);
        let last = states.into_iter().rfind(|(k, ..)| k.as_deref() == Some(&key))?.1?;
        last.contains(text).then_some(())
    });
}
