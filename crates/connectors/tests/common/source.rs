//! What a worker does with a task of a source: commits what it polls, and opens it again from what was committed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "helpers of tests; not every test uses all"
)]

use bd_connect::sdk::{
    Cells, Config, Header, Plugin, Polled, Rejected, SourceOffset, SourceTask, StopFlag, TaskContext,
    TaskError,
};
use bd_schema::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A committed record.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub key: Option<String>,
    pub value: Vec<u8>,
    pub headers: Vec<Header>,
    pub timestamp: Option<i64>,
}

impl Record {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.value).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(n, _)| n == name)?;
        Some(String::from_utf8_lossy(value.as_ref()?).into_owned())
    }
}

/// What is durable.
pub struct Worker {
    plugin: Arc<dyn Plugin>,
    config: Config,
    pub offsets: BTreeMap<String, SourceOffset>,
    pub records: Vec<Record>,
    pub rejected: Vec<Rejected>,
}

impl Worker {
    pub fn new(plugin: Arc<dyn Plugin>, config: &[(&str, &str)]) -> Self {
        let mut flat = Config::default();
        for (key, value) in config {
            flat = flat.with(key, *value);
        }
        let config = flat.with_defaults(&plugin.config_def());
        assert_eq!(plugin.validate(&config), [], "the configuration");
        Self { plugin, config, offsets: BTreeMap::new(), records: Vec::new(), rejected: Vec::new() }
    }

    /// Changes a key for the next opening.
    pub fn set(&mut self, key: &str, value: &str) {
        self.config = self.config.clone().with(key, value);
    }

    /// Opens the task from what is committed.
    pub fn open(&self) -> Result<Box<dyn SourceTask>, TaskError> {
        let mut tasks = self.plugin.tasks(&self.config, 1).unwrap();
        self.plugin.open_source(TaskContext {
            connector: "test".to_owned(),
            task: 0,
            config: tasks.remove(0),
            offsets: self.offsets.clone(),
            stop: StopFlag::default(),
            registry: None,
        })
    }

    /// Opens it, again while the source is away.
    pub fn open_when_there(&self) -> Box<dyn SourceTask> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match self.open() {
                Ok(task) => return task,
                Err(TaskError::Fatal(e)) => panic!("{e}"),
                Err(e) => assert!(Instant::now() < deadline, "{e}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Makes a poll durable.
    pub fn commit(&mut self, polled: Polled) {
        for batch in polled.batches {
            let count = batch.len();
            assert_eq!(batch.keys.len(), count);
            assert!(batch.headers.is_empty() || batch.headers.len() == count);
            assert!(batch.timestamps.is_empty() || batch.timestamps.len() == count);
            let keys = texts(batch.keys);
            let Cells::Bytes(values) = batch.values else { panic!("the values are bytes") };
            for (at, (key, value)) in keys.into_iter().zip(values).enumerate() {
                self.records.push(Record {
                    key,
                    value: value.unwrap(),
                    headers: batch.headers.get(at).cloned().unwrap_or_default(),
                    timestamp: batch.timestamps.get(at).copied(),
                });
            }
        }
        self.rejected.extend(polled.rejected);
        for (partition, offset) in polled.offsets {
            let key = serde_json::to_string(&partition).unwrap();
            match offset {
                Some(offset) => self.offsets.insert(key, offset),
                None => self.offsets.remove(&key),
            };
        }
    }

    /// Polls and commits once; whether there was something.
    pub fn step(&mut self, task: &mut Box<dyn SourceTask>) -> Result<bool, TaskError> {
        let Some(polled) = task.poll(Duration::from_millis(50))? else { return Ok(false) };
        self.commit(polled);
        task.committed()?;
        Ok(true)
    }

    /// Polls and commits until it holds.
    pub fn until(&mut self, task: &mut Box<dyn SourceTask>, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !done(self) {
            assert!(
                Instant::now() < deadline,
                "{what}: {} records, {} rejected, offsets {:?}",
                self.records.len(),
                self.rejected.len(),
                self.offsets
            );
            self.step(task).unwrap();
        }
    }

    /// Polls until it fails, and gives the failure.
    pub fn failure(&mut self, task: &mut Box<dyn SourceTask>) -> TaskError {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match self.step(task) {
                Err(error) => return error,
                Ok(_) => assert!(Instant::now() < deadline, "it does not fail"),
            }
        }
    }

    /// The only offset.
    pub fn offset(&self) -> &SourceOffset {
        assert_eq!(self.offsets.len(), 1, "{:?}", self.offsets);
        self.offsets.values().next().unwrap()
    }

    pub fn texts(&self) -> Vec<String> {
        self.records.iter().map(Record::text).collect()
    }
}

fn texts(keys: Cells) -> Vec<Option<String>> {
    match keys {
        Cells::Null(count) => vec![None; count],
        Cells::Bytes(keys) => keys.into_iter().map(|k| k.map(|k| String::from_utf8(k).unwrap())).collect(),
        Cells::Rows { rows, .. } => rows
            .into_iter()
            .map(|row| match row?.remove(0) {
                Value::Varchar(text) => Some(text),
                other => panic!("a key is {other:?}"),
            })
            .collect(),
        Cells::Arrow { .. } => panic!("keys are rows"),
    }
}
