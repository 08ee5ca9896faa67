//! [`Cluster`] over a [`Broker`] in the same process: no socket, no protocol, no second copy of the records.
//!
//! ```text
//!  Reader ◀─ columns over the bytes that the log was read into ─┐
//!  Writer ── record batches, encoded once ─────────────────────▶├─ Broker (which may serve Kafka clients at the same time)
//!  Lease  ── a member of a consumer group ─────────────────────▶┘
//! ```
//! It uses the broker's own coordinators, so its transactions fence, and its group members share partitions with, Kafka clients
//! of the same broker. It neither opens nor closes the broker.
//!
//! ```
//! use bd_broker::{Broker, BrokerConfig};
//! use bd_cluster::{Cluster, NewTopic, ReaderConfig, RecordsBuilder, TopicPartition, WriterConfig};
//! use bd_cluster_embedded::EmbeddedCluster;
//! use std::time::Duration;
//!
//! let dir = tempfile::tempdir()?;
//! let cluster = EmbeddedCluster::new(Broker::open(BrokerConfig::new(dir.path()))?);
//! cluster.create_topic(&NewTopic::new("events", 1))?;
//! let events = TopicPartition::new("events", 0);
//! let mut records = RecordsBuilder::new();
//! records.push(Some(b"key"), Some(b"value"), 1_000, &[]);
//! cluster.open_writer(WriterConfig::default())?.append(&events, records)?.wait(Duration::from_secs(10))?;
//!
//! let mut reader = cluster.open_reader(ReaderConfig::default())?;
//! reader.assign(&events, 0)?;
//! let records = reader.poll(1 << 20, Duration::from_secs(10))?.ok_or("no records")?;
//! assert_eq!(records.value(0), Some(&b"value"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assign;
mod columns;
mod error;
mod lease;
mod reader;
mod writer;

use bd_broker::{Broker, Partition, ResponseError, TopicError, is_internal};
use bd_cluster::{
    Cluster, ClusterError, Lease, LeaseConfig, NewTopic, OffsetSpec, Reader, ReaderConfig, TopicInfo,
    TopicPartition, Writer, WriterConfig,
};
use error::{log_failed, refused};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long [`Cluster::committed`] waits for a transaction that is being completed.
const STABLE_WITHIN: Duration = Duration::from_secs(60);

/// A broker in this process as a [`Cluster`].
#[derive(Clone)]
pub struct EmbeddedCluster {
    broker: Arc<Broker>,
}

impl EmbeddedCluster {
    /// Over an open broker.
    pub fn new(broker: Arc<Broker>) -> Self {
        Self { broker }
    }

    /// The broker.
    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    fn partition(&self, at: &TopicPartition) -> Result<Arc<Partition>, ClusterError> {
        partition(&self.broker, at)
    }
}

/// A partition of a topic; topics are never created by asking.
fn partition(broker: &Broker, at: &TopicPartition) -> Result<Arc<Partition>, ClusterError> {
    broker
        .topics()
        .partition(&at.topic, at.partition)
        .ok_or_else(|| ClusterError::UnknownTopic(at.topic.to_string()))
}

impl Cluster for EmbeddedCluster {
    fn name(&self) -> String {
        "embedded".into()
    }

    fn create_topic(&self, topic: &NewTopic) -> Result<(), ClusterError> {
        let created = self.broker.topics().create(&topic.name, topic.partitions, topic.configs.clone());
        created.map(|_| ()).map_err(|error| topic_failed(&topic.name, error))
    }

    fn delete_topic(&self, name: &str) -> Result<(), ClusterError> {
        if is_internal(name) {
            return Err(ClusterError::InvalidTopic {
                name: name.to_owned(),
                reason: "it is the cluster's own".into(),
            });
        }
        self.broker.topics().delete(name).map_err(|error| topic_failed(name, error))
    }

    fn topic(&self, name: &str) -> Result<Option<TopicInfo>, ClusterError> {
        let info = |t: Arc<bd_broker::Topic>| TopicInfo {
            name: t.name.to_string(),
            partitions: t.partition_count(),
        };
        Ok(self.broker.topics().get(name).map(info))
    }

    fn topics(&self) -> Result<Vec<TopicInfo>, ClusterError> {
        let all = self.broker.topics().all();
        let own = all.iter().filter(|t| !t.name.starts_with("__"));
        Ok(own.map(|t| TopicInfo { name: t.name.to_string(), partitions: t.partition_count() }).collect())
    }

    fn offset(&self, at: &TopicPartition, spec: OffsetSpec) -> Result<i64, ClusterError> {
        let partition = self.partition(at)?;
        let log = partition.log();
        match spec {
            OffsetSpec::Earliest => Ok(log.start_offset()),
            OffsetSpec::Latest => Ok(log.high_watermark()),
            OffsetSpec::Stable => Ok(log.last_stable_offset()),
            OffsetSpec::AtTime(time) => {
                let end = log.high_watermark();
                let found = log.offset_for_timestamp(time).map_err(|e| log_failed("offset", at, &e))?;
                Ok(found.map_or(end, |(offset, _)| offset))
            }
        }
    }

    fn trim(&self, at: &TopicPartition, offset: i64) -> Result<i64, ClusterError> {
        let partition = self.partition(at)?;
        let log = partition.log();
        let (start, end) = (log.start_offset(), log.high_watermark());
        if offset < 0 || offset > end {
            return Err(ClusterError::OffsetOutOfRange { partition: at.clone(), offset, start, end });
        }
        log.delete_records_before(offset).map_err(|e| log_failed("trim", at, &e))
    }

    fn committed(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, ClusterError> {
        let deadline = Instant::now() + STABLE_WITHIN;
        partitions.iter().map(|at| self.committed_at(group, at, deadline)).collect()
    }

    fn open_reader(&self, config: ReaderConfig) -> Result<Box<dyn Reader>, ClusterError> {
        Ok(Box::new(reader::EmbeddedReader::new(Arc::clone(&self.broker), config.isolation)))
    }

    fn open_writer(&self, config: WriterConfig) -> Result<Box<dyn Writer>, ClusterError> {
        Ok(Box::new(writer::EmbeddedWriter::open(Arc::clone(&self.broker), config)?))
    }

    fn open_lease(&self, config: LeaseConfig) -> Result<Box<dyn Lease>, ClusterError> {
        Ok(Box::new(lease::EmbeddedLease::open(Arc::clone(&self.broker), config)?))
    }
}

impl EmbeddedCluster {
    fn committed_at(
        &self,
        group: &str,
        at: &TopicPartition,
        deadline: Instant,
    ) -> Result<Option<i64>, ClusterError> {
        loop {
            match self.broker.groups().committed(group, &at.topic, at.partition, true) {
                Ok(found) => return Ok(found.map(|c| c.offset)),
                // The end of a transaction is not announced; it is near, or else the deadline is.
                Err(ResponseError::UnstableOffsetCommit) if Instant::now() < deadline => {
                    std::thread::park_timeout(Duration::from_millis(2));
                }
                Err(code) => return Err(refused("committed offsets", code)),
            }
        }
    }
}

fn topic_failed(name: &str, error: TopicError) -> ClusterError {
    let name = name.to_owned();
    match error {
        TopicError::Config(error) => ClusterError::InvalidConfig { key: error.key, reason: error.reason },
        TopicError::Broker(error) => {
            ClusterError::Fatal { what: format!("topic {name}"), reason: error.to_string() }
        }
        TopicError::Refused { code, reason } => match code {
            ResponseError::TopicAlreadyExists => ClusterError::TopicExists(name),
            ResponseError::UnknownTopicOrPartition => ClusterError::UnknownTopic(name),
            _ => ClusterError::InvalidTopic { name, reason },
        },
    }
}
