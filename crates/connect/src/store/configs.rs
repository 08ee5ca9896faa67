//! The topic of configurations and target states.

use super::log::{self, TopicLog, compacted};
use crate::ConnectError;
use crate::worker::WorkerConfig;
use bd_cluster::{Cluster, TopicPartition, Writer, WriterConfig};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the first reading may take.
const LOAD: Duration = Duration::from_secs(120);

/// What a person wants a connector to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum TargetState {
    #[default]
    Started,
    Paused,
    Stopped,
}

impl TargetState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Started => "STARTED",
            Self::Paused => "PAUSED",
            Self::Stopped => "STOPPED",
        }
    }

    /// By its name; `RUNNING` is what requests call `STARTED`.
    pub(crate) fn of(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "STARTED" | "RUNNING" => Some(Self::Started),
            "PAUSED" => Some(Self::Paused),
            "STOPPED" => Some(Self::Stopped),
            _ => None,
        }
    }
}

/// A connector as it stands in the topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) target: TargetState,
}

#[derive(Default)]
struct Tables {
    configs: BTreeMap<String, BTreeMap<String, String>>,
    targets: BTreeMap<String, TargetState>,
    /// The configurations of tasks, by connector.
    tasks: BTreeMap<String, BTreeMap<usize, BTreeMap<String, String>>>,
}

impl Tables {
    fn apply(&mut self, key: &str, value: Option<&[u8]>) {
        let value: Option<Value> = match value.map(serde_json::from_slice) {
            None => None,
            Some(Ok(value)) => Some(value),
            Some(Err(error)) => {
                tracing::warn!(key, %error, "a configuration that is not JSON is passed over");
                return;
            }
        };
        if let Some(name) = key.strip_prefix("connector-") {
            match value.as_ref().and_then(properties) {
                Some(config) => drop(self.configs.insert(name.to_owned(), config)),
                None => {
                    self.configs.remove(name);
                    self.tasks.remove(name);
                }
            }
        } else if let Some(name) = key.strip_prefix("target-state-") {
            // Connect's second version says STOPPED where the first could only say PAUSED.
            let state =
                value.as_ref().and_then(|v| v.get("state.v2").or(v.get("state"))).and_then(Value::as_str);
            match state.and_then(TargetState::of) {
                Some(target) => drop(self.targets.insert(name.to_owned(), target)),
                None => drop(self.targets.remove(name)),
            }
        } else if let Some((name, task)) = key.strip_prefix("task-").and_then(|k| k.rsplit_once('-'))
            && let (Ok(task), Some(config)) = (task.parse(), value.as_ref().and_then(properties))
        {
            self.tasks.entry(name.to_owned()).or_default().insert(task, config);
        } else if let Some(name) = key.strip_prefix("commit-")
            && let Some(count) = value.as_ref().and_then(|v| v.get("tasks")).and_then(Value::as_u64)
            && let Some(tasks) = self.tasks.get_mut(name)
        {
            tasks.retain(|task, _| (*task as u64) < count);
        }
    }
}

fn properties(value: &Value) -> Option<BTreeMap<String, String>> {
    let properties = value.get("properties")?.as_object()?;
    let text = |v: &Value| match v {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    Some(properties.iter().map(|(k, v)| (k.clone(), text(v))).collect())
}

/// The topic of configurations. The worker is its only writer, so memory holds what the topic does.
pub(crate) struct ConfigStore {
    at: TopicPartition,
    writer: Mutex<Box<dyn Writer>>,
    tables: Mutex<Tables>,
}

impl ConfigStore {
    pub(crate) fn open(cluster: &Arc<dyn Cluster>, config: &WorkerConfig) -> Result<Self, ConnectError> {
        let topic = compacted(&config.config_topic, 1, config.replication_factor);
        let mut log = TopicLog::open(cluster, &topic, "connect-configs")?;
        if log.partitions.len() != 1 {
            return Err(ConnectError::Internal(format!(
                "topic {} must have one partition and has {}: name another one in config.storage.topic",
                topic.name,
                log.partitions.len()
            )));
        }
        let mut tables = Tables::default();
        let ends = log.ends()?;
        let whole = log.read_to(&ends, Instant::now() + LOAD, |_, _, key, value| {
            tables.apply(&String::from_utf8_lossy(key), value);
        })?;
        if !whole {
            return Err(ConnectError::Internal(format!("topic {} was not read within {LOAD:?}", topic.name)));
        }
        let writer = cluster
            .open_writer(WriterConfig { client_id: "connect-configs".into(), ..WriterConfig::default() })?;
        Ok(Self {
            at: TopicPartition::new(config.config_topic.as_str(), 0),
            writer: Mutex::new(writer),
            tables: Mutex::new(tables),
        })
    }

    /// All connectors, by name.
    pub(crate) fn all(&self) -> BTreeMap<String, Stored> {
        let tables = self.tables.lock();
        let stored = |(name, config): (&String, &BTreeMap<String, String>)| {
            let target = tables.targets.get(name).copied().unwrap_or_default();
            (name.clone(), Stored { config: config.clone(), target })
        };
        tables.configs.iter().map(stored).collect()
    }

    fn write(&self, records: Vec<(String, Option<Value>)>) -> Result<(), ConnectError> {
        let text: Vec<_> = records.into_iter().map(|(k, v)| (k, v.map(|v| v.to_string()))).collect();
        log::write(self.writer.lock().as_mut(), &self.at, &text)?;
        let mut tables = self.tables.lock();
        for (key, value) in &text {
            tables.apply(key, value.as_deref().map(str::as_bytes));
        }
        Ok(())
    }

    pub(crate) fn put(
        &self,
        name: &str,
        config: &BTreeMap<String, String>,
        target: Option<TargetState>,
    ) -> Result<(), ConnectError> {
        let mut records = Vec::new();
        if let Some(target) = target {
            records.push(target_record(name, target));
        }
        records.push((format!("connector-{name}"), Some(json!({ "properties": config }))));
        self.write(records)
    }

    pub(crate) fn put_target(&self, name: &str, target: TargetState) -> Result<(), ConnectError> {
        self.write(vec![target_record(name, target)])
    }

    /// Writes the configurations of a connector's tasks, if they are not those that stand there.
    pub(crate) fn put_tasks(
        &self,
        name: &str,
        tasks: &[BTreeMap<String, String>],
    ) -> Result<(), ConnectError> {
        let numbered: BTreeMap<usize, BTreeMap<String, String>> = tasks.iter().cloned().enumerate().collect();
        if self.tables.lock().tasks.get(name) == Some(&numbered) {
            return Ok(());
        }
        let mut records: Vec<_> = numbered
            .iter()
            .map(|(task, config)| (format!("task-{name}-{task}"), Some(json!({ "properties": config }))))
            .collect();
        records.push((format!("commit-{name}"), Some(json!({ "tasks": tasks.len() }))));
        self.write(records)
    }

    pub(crate) fn delete(&self, name: &str) -> Result<(), ConnectError> {
        self.write(vec![(format!("connector-{name}"), None), (format!("target-state-{name}"), None)])
    }
}

fn target_record(name: &str, target: TargetState) -> (String, Option<Value>) {
    // Workers that do not know STOPPED take it for PAUSED.
    let first = if target == TargetState::Stopped { TargetState::Paused } else { target };
    let value = json!({ "state": first.name(), "state.v2": target.name() });
    (format!("target-state-{name}"), Some(value))
}
