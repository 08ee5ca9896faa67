//! Connectors to test with.

use bd_connect::sdk::{
    Batch, Cells, Config, ConfigDef, ConfigKey, ConfigType, ConnectSchema, Plugin, PluginKind, Polled,
    Rejected, SinkBatch, SinkTask, SourceTask, TaskContext, TaskError,
};
use bd_schema::{DataType, Field, Row, Schema, Value};
use serde_json::{Map, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type OnPoll = dyn Fn(i64) -> Result<(), TaskError> + Send + Sync;

/// A source of the numbers 0, 1, ... up to `count`, `batch` of them a poll, as `{"n": 0}` with key `k0`.
pub(crate) struct Numbers {
    /// Asked before each poll, with the next number.
    pub(crate) on_poll: Arc<OnPoll>,
    /// How often a task was opened.
    pub(crate) opened: Arc<AtomicUsize>,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { on_poll: Arc::new(|_| Ok(())), opened: Arc::default() }
    }
}

impl Numbers {
    pub(crate) const CLASS: &'static str = "org.test.NumbersConnector";

    pub(crate) fn failing(on_poll: impl Fn(i64) -> Result<(), TaskError> + Send + Sync + 'static) -> Self {
        Self { on_poll: Arc::new(on_poll), ..Self::default() }
    }
}

impl Plugin for Numbers {
    fn class(&self) -> &'static str {
        Self::CLASS
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Source
    }

    fn config_def(&self) -> ConfigDef {
        ConfigDef {
            keys: vec![
                ConfigKey::required("topic", ConfigType::String, "The topic."),
                ConfigKey::optional("count", ConfigType::Long, "10", "How many."),
                ConfigKey::optional("batch", ConfigType::Int, "3", "How many a poll."),
                ConfigKey::optional("reject", ConfigType::Long, "-1", "The number that is rejected."),
                ConfigKey::optional("secret", ConfigType::Password, "", "A password."),
            ],
            prefixes: Vec::new(),
        }
    }

    fn open_source(&self, context: TaskContext) -> Result<Box<dyn SourceTask>, TaskError> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let next = context.offset(&partition()).and_then(|o| o.get("next")?.as_i64()).unwrap_or(0);
        let config: &Config = &context.config;
        let fields = vec![Field::new("n", DataType::BigInt)];
        Ok(Box::new(NumbersTask {
            next,
            count: config.number("count")?,
            batch: config.number("batch")?,
            reject: config.number("reject")?,
            topic: config.text("topic")?.to_owned(),
            schema: Arc::new(ConnectSchema::of(Some("org.test.Number".into()), Schema::new(fields))),
            on_poll: Arc::clone(&self.on_poll),
        }))
    }
}

fn partition() -> Map<String, serde_json::Value> {
    let mut partition = Map::new();
    partition.insert("source".into(), "numbers".into());
    partition
}

struct NumbersTask {
    next: i64,
    count: i64,
    batch: i64,
    reject: i64,
    topic: String,
    schema: Arc<ConnectSchema>,
    on_poll: Arc<OnPoll>,
}

impl SourceTask for NumbersTask {
    fn poll(&mut self, wait: Duration) -> Result<Option<Polled>, TaskError> {
        (self.on_poll)(self.next)?;
        if self.next >= self.count {
            std::thread::sleep(wait.min(Duration::from_millis(5)));
            return Ok(None);
        }
        let end = self.count.min(self.next + self.batch);
        let numbers = (self.next..end).filter(|n| *n != self.reject);
        let rows: Vec<Option<Row>> = numbers.clone().map(|n| Some(vec![Value::BigInt(n)])).collect();
        let keys: Vec<Option<Row>> = numbers.map(|n| Some(vec![Value::Varchar(format!("k{n}"))])).collect();
        let values = Cells::Rows { schema: Arc::clone(&self.schema), rows };
        let keys = Cells::Rows { schema: Arc::new(ConnectSchema::single(DataType::Varchar)), rows: keys };
        let mut offset = Map::new();
        offset.insert("next".into(), json!(end));
        let rejected = (self.next..end).filter(|n| *n == self.reject).map(|n| Rejected {
            index: 0,
            key: None,
            value: Some(format!("raw {n}").into_bytes()),
            headers: vec![("line".into(), Some(n.to_string().into_bytes()))],
            reason: "nobody likes it".into(),
        });
        let polled = Polled {
            rejected: rejected.collect(),
            batches: vec![Batch::new(self.topic.as_str(), values).with_keys(keys)],
            offsets: vec![(partition(), Some(offset))],
        };
        self.next = end;
        Ok(Some(polled))
    }
}

type OnPut = dyn Fn(&SinkBatch) -> Result<Vec<Rejected>, TaskError> + Send + Sync;

/// A sink that keeps `topic-partition@offset=value` of what it gets.
#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) got: Arc<Mutex<Vec<String>>>,
    pub(crate) on_put: Arc<OnPut>,
}

impl Default for Collector {
    fn default() -> Self {
        Self { got: Arc::default(), on_put: Arc::new(|_| Ok(Vec::new())) }
    }
}

impl Collector {
    pub(crate) const CLASS: &'static str = "org.test.CollectorConnector";

    pub(crate) fn failing(
        on_put: impl Fn(&SinkBatch) -> Result<Vec<Rejected>, TaskError> + Send + Sync + 'static,
    ) -> Self {
        Self { on_put: Arc::new(on_put), ..Self::default() }
    }

    pub(crate) fn got(&self) -> Vec<String> {
        self.got.lock().unwrap().clone()
    }
}

impl Plugin for Collector {
    fn class(&self) -> &'static str {
        Self::CLASS
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Sink
    }

    fn config_def(&self) -> ConfigDef {
        ConfigDef::default()
    }

    fn tasks(&self, config: &Config, max: usize) -> Result<Vec<Config>, TaskError> {
        Ok(vec![config.clone(); max])
    }

    fn open_sink(&self, _context: TaskContext) -> Result<Box<dyn SinkTask>, TaskError> {
        Ok(Box::new(self.clone()))
    }
}

impl SinkTask for Collector {
    fn put(&mut self, batch: &SinkBatch) -> Result<Vec<Rejected>, TaskError> {
        let rejected = (self.on_put)(batch)?;
        let at = format!("{}-{}", batch.batch.topic, batch.batch.partition.unwrap());
        let mut got = self.got.lock().unwrap();
        for (i, offset) in batch.offsets.iter().enumerate() {
            if rejected.iter().any(|r| r.index == i) {
                continue;
            }
            let value = match batch.values() {
                Cells::Null(_) => "-".to_owned(),
                Cells::Bytes(cells) => {
                    cells[i].as_ref().map_or("-".into(), |b| String::from_utf8_lossy(b).into_owned())
                }
                Cells::Rows { rows, .. } => format!("{:?}", rows[i]),
                Cells::Arrow { .. } => "arrow".to_owned(),
            };
            got.push(format!("{at}@{offset}={value}"));
        }
        Ok(rejected)
    }
}
