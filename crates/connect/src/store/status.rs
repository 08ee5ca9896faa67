//! The topic of states, written as they change.

use super::log::{TopicLog, compacted, now_ms};
use crate::ConnectError;
use crate::worker::WorkerConfig;
use bd_cluster::{Cluster, RecordsBuilder, TopicPartition, Writer, WriterConfig, partition_of_key};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The state of a connector or a task, by Connect's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Unassigned,
    Running,
    Paused,
    Stopped,
    Failed,
    Restarting,
}

impl State {
    /// All, for metrics.
    pub(crate) const ALL: [State; 6] =
        [Self::Unassigned, Self::Running, Self::Paused, Self::Stopped, Self::Failed, Self::Restarting];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unassigned => "UNASSIGNED",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Stopped => "STOPPED",
            Self::Failed => "FAILED",
            Self::Restarting => "RESTARTING",
        }
    }
}

/// The topic of states. Nothing depends on what it says but the lists of topics; so writes are not waited for.
pub(crate) struct StatusStore {
    partitions: Vec<TopicPartition>,
    worker_id: String,
    writer: Mutex<Box<dyn Writer>>,
    /// The topics that connectors have used, by connector, with the numbers of partitions that sinks began with.
    topics: Mutex<BTreeMap<String, BTreeMap<String, Option<i32>>>>,
}

impl StatusStore {
    pub(crate) fn open(cluster: &Arc<dyn Cluster>, config: &WorkerConfig) -> Result<Self, ConnectError> {
        let topic = compacted(&config.status_topic, 1, config.replication_factor);
        let mut log = TopicLog::open(cluster, &topic, "connect-status")?;
        let mut topics: BTreeMap<String, BTreeMap<String, Option<i32>>> = BTreeMap::new();
        let ends = log.ends()?;
        log.read_to(&ends, Instant::now() + Duration::from_secs(30), |_, _, key, value| {
            let key = String::from_utf8_lossy(key);
            let Some((topic, name)) =
                key.strip_prefix("status-topic-").and_then(|k| k.split_once(":connector-"))
            else {
                return;
            };
            let of = topics.entry(name.to_owned()).or_default();
            match value {
                Some(value) => {
                    let value: Option<Value> = serde_json::from_slice(value).ok();
                    let count = value.and_then(|v| v.get("topic")?.get("partitions")?.as_i64());
                    of.insert(topic.to_owned(), count.and_then(|c| i32::try_from(c).ok()));
                }
                None => drop(of.remove(topic)),
            }
        })?;
        let writer =
            cluster.open_writer(WriterConfig { client_id: "connect-status".into(), ..Default::default() })?;
        Ok(Self {
            partitions: log.partitions.clone(),
            worker_id: config.worker_id.clone(),
            writer: Mutex::new(writer),
            topics: Mutex::new(topics),
        })
    }

    fn write(&self, key: &str, value: Option<&Value>) {
        let place = partition_of_key(key.as_bytes(), self.partitions.len());
        let Some(at) = self.partitions.get(place) else { return };
        let mut builder = RecordsBuilder::new();
        let value = value.map(Value::to_string);
        builder.push(Some(key.as_bytes()), value.as_deref().map(str::as_bytes), now_ms(), &[]);
        if let Err(error) = self.writer.lock().append(at, builder) {
            tracing::warn!(key, %error, "a state was not written to the topic of states");
        }
    }

    fn state(&self, state: State, trace: Option<&str>) -> Value {
        json!({ "state": state.name(), "trace": trace, "worker_id": self.worker_id, "generation": 1 })
    }

    pub(crate) fn connector(&self, name: &str, state: State, trace: Option<&str>) {
        self.write(&format!("status-connector-{name}"), Some(&self.state(state, trace)));
    }

    pub(crate) fn task(&self, name: &str, task: usize, state: State, trace: Option<&str>) {
        self.write(&format!("status-task-{name}-{task}"), Some(&self.state(state, trace)));
    }

    pub(crate) fn task_gone(&self, name: &str, task: usize) {
        self.write(&format!("status-task-{name}-{task}"), None);
    }

    pub(crate) fn connector_gone(&self, name: &str) {
        self.write(&format!("status-connector-{name}"), None);
        self.forget_topics(name);
    }

    /// Notes that a connector uses a topic; a sink gives the number of its partitions. Gives the number that was noted first.
    pub(crate) fn topic(&self, name: &str, task: usize, topic: &str, partitions: Option<i32>) -> Option<i32> {
        let mut topics = self.topics.lock();
        if let Some(known) = topics.get(name).and_then(|of| of.get(topic))
            && (known.is_some() || partitions.is_none())
        {
            return *known;
        }
        topics.entry(name.to_owned()).or_default().insert(topic.to_owned(), partitions);
        drop(topics);
        let mut value = json!({
            "name": topic, "connector": name, "task": task, "discoverTimestamp": now_ms()
        });
        if let (Some(object), Some(count)) = (value.as_object_mut(), partitions) {
            // Not Kafka Connect's, which passes over it.
            object.insert("partitions".into(), Value::from(count));
        }
        self.write(&format!("status-topic-{topic}:connector-{name}"), Some(&json!({ "topic": value })));
        partitions
    }

    pub(crate) fn topics_of(&self, name: &str) -> Vec<String> {
        self.topics.lock().get(name).map(|of| of.keys().cloned().collect()).unwrap_or_default()
    }

    pub(crate) fn forget_topics(&self, name: &str) {
        let of = self.topics.lock().remove(name).unwrap_or_default();
        for topic in of.keys() {
            self.write(&format!("status-topic-{topic}:connector-{name}"), None);
        }
    }

    /// Waits until all is written.
    pub(crate) fn flush(&self, wait: Duration) {
        if let Err(error) = self.writer.lock().flush(wait) {
            tracing::warn!(%error, "states were not written to the topic of states");
        }
    }
}
