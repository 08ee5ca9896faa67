//! The worker's own configuration, Kafka Connect's worker properties by their meaning.

use std::collections::BTreeMap;
use std::time::Duration;

/// How a worker works. The defaults suit an embedded cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfig {
    /// `group.id`: names the worker's cluster; part of the transactional ids of source tasks (`<group>-<connector>-<task>`).
    pub group_id: String,
    /// What statuses give as `worker_id`: the host and port of the REST interface.
    pub worker_id: String,
    /// `config.storage.topic`: configurations of connectors and tasks, and their target states.
    pub config_topic: String,
    /// `offset.storage.topic`: offsets of sources.
    pub offset_topic: String,
    /// `status.storage.topic`: states of connectors and tasks.
    pub status_topic: String,
    /// `offset.storage.partitions`, where the topic is created.
    pub offset_partitions: i32,
    /// `*.storage.replication.factor`, where the topics are created; -1 takes the cluster's default.
    pub replication_factor: i16,
    /// `offset.flush.interval.ms`: how long delivered records of a sink may stay uncommitted (they come again after a crash).
    /// Sources commit with every poll.
    pub offset_flush_interval: Duration,
    /// `task.shutdown.graceful.timeout.ms`: how long a stop waits for a task. One that lasts longer is left behind, fenced.
    pub shutdown_timeout: Duration,
    /// The first pause before a task that failed with a retriable error is opened again; it doubles up to
    /// [`WorkerConfig::max_backoff`].
    pub min_backoff: Duration,
    /// The longest such pause, where the other side asked for none.
    pub max_backoff: Duration,
    /// Converters for connectors that name none: `key.converter`, `value.converter`, `header.converter` and their own keys.
    pub converters: BTreeMap<String, String>,
    /// More than so many records in the offset topic make the worker write the live ones again and trim the others (the embedded
    /// log does not compact); 0 leaves it to the cluster.
    pub offset_topic_records: i64,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        let json = "org.apache.kafka.connect.json.JsonConverter";
        let converters = [
            ("key.converter", json),
            ("key.converter.schemas.enable", "false"),
            ("key.converter.decimal.format", "NUMERIC"),
            ("value.converter", json),
            ("value.converter.schemas.enable", "false"),
            ("value.converter.decimal.format", "NUMERIC"),
        ];
        Self {
            group_id: "connect-cluster".into(),
            worker_id: "127.0.0.1:8083".into(),
            config_topic: "connect-configs".into(),
            offset_topic: "connect-offsets".into(),
            status_topic: "connect-status".into(),
            offset_partitions: 1,
            replication_factor: -1,
            offset_flush_interval: Duration::from_millis(500),
            shutdown_timeout: Duration::from_secs(5),
            min_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(10),
            converters: converters.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            offset_topic_records: 50_000,
        }
    }
}
