//! Plugins and the tasks they open.

use super::{Batch, Cells, Config, ConfigDef, ConfigError, Header};
use bd_schema::SchemaRegistry;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Which part of a source an offset is of, such as `{"server": "tv"}`. Its JSON is byte-stable: keys in the order given.
pub type SourcePartition = Map<String, Value>;
/// A place in a part of a source, such as `{"file": "binlog.000002", "pos": 4711}`.
pub type SourceOffset = Map<String, Value>;

/// What a plugin does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginKind {
    /// Brings records into topics.
    Source,
    /// Takes records out of topics.
    Sink,
}

/// A task failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// It may work when tried again: a server that is away, a time-out. The message says what, on what, why.
    #[error("{0}")]
    Retriable(String),
    /// The same, and the other side said when to come back (`Retry-After`).
    #[error("{message}")]
    RetryAfter {
        /// What failed, on what, why.
        message: String,
        /// How long to wait.
        wait: Duration,
    },
    /// It will not work when tried again; the message says what to do.
    #[error("{0}")]
    Fatal(String),
}

impl From<ConfigError> for TaskError {
    fn from(error: ConfigError) -> Self {
        Self::Fatal(error.to_string())
    }
}

/// Set when a task is to end. Tasks look at it in loops that may last, and return as soon as it is set.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Whether to end.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Asks for the end.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// What a task is opened with.
#[derive(Clone)]
pub struct TaskContext {
    /// The connector's name.
    pub connector: String,
    /// The task's number, from 0.
    pub task: usize,
    /// The task's configuration, one of those that [`Plugin::tasks`] gave, with defaults.
    pub config: Config,
    /// The offsets committed for the connector so far, by the JSON text of their source partition. Empty for sinks.
    pub offsets: BTreeMap<String, SourceOffset>,
    /// Set when the task is to end.
    pub stop: StopFlag,
    /// The registry, where one is configured.
    pub registry: Option<Arc<dyn SchemaRegistry>>,
}

impl TaskContext {
    /// The offset committed for that partition of the source.
    pub fn offset(&self, partition: &SourcePartition) -> Option<&SourceOffset> {
        let key = serde_json::to_string(partition).ok()?;
        self.offsets.get(&key)
    }
}

/// A kind of connector.
pub trait Plugin: Send + Sync {
    /// Its class in `connector.class`, such as `io.debezium.connector.mysql.MySqlConnector`.
    fn class(&self) -> &'static str;

    /// Other names by which `connector.class` may call it; Kafka Connect's short forms (`MySqlConnector`, `MySql`) are the worker's.
    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }

    /// What it does.
    fn kind(&self) -> PluginKind;

    /// Its version.
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// Its configuration.
    fn config_def(&self) -> ConfigDef;

    /// What is wrong with a configuration beyond what its [`ConfigDef`] says. Quick, and without talking to a server.
    fn validate(&self, _config: &Config) -> Vec<ConfigError> {
        Vec::new()
    }

    /// The configurations of its tasks, at most `max`. One task with the connector's own by default.
    ///
    /// # Errors
    /// As for tasks.
    fn tasks(&self, config: &Config, _max: usize) -> Result<Vec<Config>, TaskError> {
        Ok(vec![config.clone()])
    }

    /// Opens a task of a source. Connections are made here or at the first poll.
    ///
    /// # Errors
    /// See [`TaskError`]. Sinks give [`TaskError::Fatal`].
    fn open_source(&self, _context: TaskContext) -> Result<Box<dyn SourceTask>, TaskError> {
        Err(TaskError::Fatal(format!("{} is no source", self.class())))
    }

    /// Opens a task of a sink.
    ///
    /// # Errors
    /// See [`TaskError`]. Sources give [`TaskError::Fatal`].
    fn open_sink(&self, _context: TaskContext) -> Result<Box<dyn SinkTask>, TaskError> {
        Err(TaskError::Fatal(format!("{} is no sink", self.class())))
    }
}

/// Input that cannot be used, for the dead-letter topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Sinks: the record's place in the batch. Sources: not used.
    pub index: usize,
    /// The input as it came, as far as it is known.
    pub key: Option<Vec<u8>>,
    /// The input as it came, as far as it is known.
    pub value: Option<Vec<u8>>,
    /// Headers that say where it comes from (file, line, ...), beside Connect's own.
    pub headers: Vec<Header>,
    /// What is wrong with it.
    pub reason: String,
}

/// What a source gave: one transaction.
#[derive(Debug, Clone, Default)]
pub struct Polled {
    /// The records.
    pub batches: Vec<Batch>,
    /// Input that cannot be used.
    pub rejected: Vec<Rejected>,
    /// Where the source stands after them; a `None` removes the offset. May be all there is: filtered input still moves on.
    pub offsets: Vec<(SourcePartition, Option<SourceOffset>)>,
}

/// A task of a source.
pub trait SourceTask: Send {
    /// The next records. Waits at most about `wait` while there are none, then gives `None`. What has gathered is given at once,
    /// up to a bound of the connector's (some thousand records, some MB).
    ///
    /// # Errors
    /// See [`TaskError`].
    fn poll(&mut self, wait: Duration) -> Result<Option<Polled>, TaskError>;

    /// What the last poll gave is durable, with its offsets.
    ///
    /// # Errors
    /// See [`TaskError`].
    fn committed(&mut self) -> Result<(), TaskError> {
        Ok(())
    }
}

/// Records of one partition of a topic for a sink.
#[derive(Debug, Clone)]
pub struct SinkBatch {
    /// The records, decoded and transformed. `partition` is set, `timestamps` has one entry a record.
    pub batch: Batch,
    /// The offset of each record, ascending.
    pub offsets: Vec<i64>,
}

/// A task of a sink.
pub trait SinkTask: Send {
    /// Delivers the records; all but the rejected ones are safe at the destination when this returns. The same records may come
    /// again after a failure: deliver them so that this changes nothing.
    ///
    /// # Errors
    /// See [`TaskError`].
    fn put(&mut self, batch: &SinkBatch) -> Result<Vec<Rejected>, TaskError>;
}

impl SinkBatch {
    /// The number of records.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// The values.
    pub fn values(&self) -> &Cells {
        &self.batch.values
    }
}
