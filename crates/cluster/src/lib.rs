//! The trait by which everything in bd uses a log, and its types.
//!
//! A [`Cluster`] is a set of topics with partitions, Kafka's model, in one of two homes: in process without a socket
//! (`bd-cluster-embedded`) or any Kafka over librdkafka (`bd-cluster-kafka`). Nothing here does I/O; the two homes do,
//! and both pass the suite in `conformance` (feature `conformance`).
//!
//! ```text
//!             open_reader                    open_writer
//!  Cluster ──────────────▶ Reader ─ Records ─▶ your code ─ RecordsBuilder ─▶ Writer ─ commit(offsets) ─▶ topic
//!     └─ open_lease ─▶ Lease: which partitions this member owns
//! ```
//!
//! # Rules
//! * **Blocking.** All calls block the calling thread for at most their stated wait, or until the cluster answers. Call them
//!   from a thread of your own, or from `spawn_blocking`; never from an async task.
//! * **Acknowledged means durable.** When a non-transactional [`Ack`] or a [`Writer::commit`] has returned `Ok`, the records
//!   survive `kill -9` and power loss (embedded), or are on all in-sync replicas (`acks=all` on Kafka).
//! * **A reader sees only durable records**; with [`Isolation::ReadCommitted`] only those of committed transactions, below the
//!   last stable offset. Control records are never shown, but positions step over them: see [`Records::next_offset`].
//! * **Order.** Records of one writer to one partition stand in the order of its `append` calls.
//! * **No batch of the wire** is visible: librdkafka has none to show. Readers get columns over an arena.

mod error;
mod partitioner;
mod reader;
mod records;
mod writer;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use error::{ClusterError, CommitError};
pub use partitioner::partition_of_key;
pub use reader::{Isolation, Lease, LeaseConfig, LeaseEvent, Reader, ReaderConfig};
pub use records::{HeaderRef, RecordRef, Records, RecordsBuilder, Span};
pub use writer::{Ack, GroupMember, Writer, WriterConfig, Written};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One partition of one topic.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's index, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// The partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A topic to be created. `configs` are Kafka's topic configs by their own names (`retention.ms`, `cleanup.policy`, ...).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// The name: Kafka's rules (1..=249 characters of `[a-zA-Z0-9._-]`, not `.` or `..`).
    pub name: String,
    /// The number of partitions, at least 1.
    pub partitions: i32,
    /// The number of replicas on a real cluster; -1 takes the cluster's default. Embedded has one replica.
    pub replication_factor: i16,
    /// Kafka's topic configs.
    pub configs: BTreeMap<String, String>,
}

impl NewTopic {
    /// A topic with the cluster's defaults but for its number of partitions.
    pub fn new(name: impl Into<String>, partitions: i32) -> Self {
        Self { name: name.into(), partitions, replication_factor: -1, configs: BTreeMap::new() }
    }

    /// The same with one config set.
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.insert(key.into(), value.into());
        self
    }
}

/// What is known of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// The name.
    pub name: String,
    /// The number of partitions.
    pub partitions: i32,
}

/// Which offset to look up, see [`Cluster::offset`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first offset that can still be read (the log start offset).
    Earliest,
    /// The end: one past the last durable record, of any transaction (the high watermark).
    Latest,
    /// The last stable offset: no open transaction stands below it.
    Stable,
    /// The first record at or after this time (ms since epoch); the high watermark where there is none.
    AtTime(i64),
}

/// A log with topics. See the crate's documentation for the rules.
pub trait Cluster: Send + Sync {
    /// A short name for messages: `embedded` or the bootstrap servers.
    fn name(&self) -> String;

    /// Creates a topic; it can be written and read when this returns.
    ///
    /// # Errors
    /// [`ClusterError::TopicExists`], [`ClusterError::InvalidTopic`], [`ClusterError::InvalidConfig`].
    fn create_topic(&self, topic: &NewTopic) -> Result<(), ClusterError>;

    /// Deletes a topic with its records; it is gone for [`Cluster::topic`] when this returns.
    ///
    /// # Errors
    /// [`ClusterError::UnknownTopic`].
    fn delete_topic(&self, name: &str) -> Result<(), ClusterError>;

    /// The topic of that name, `None` where there is none (it is never created by asking).
    fn topic(&self, name: &str) -> Result<Option<TopicInfo>, ClusterError>;

    /// All topics but the cluster's own (`__...`), by name.
    fn topics(&self) -> Result<Vec<TopicInfo>, ClusterError>;

    /// Looks up an offset of a partition.
    ///
    /// # Errors
    /// [`ClusterError::UnknownTopic`] also where the topic has no such partition.
    fn offset(&self, partition: &TopicPartition, spec: OffsetSpec) -> Result<i64, ClusterError>;

    /// Deletes the records before `offset` (Kafka's DeleteRecords); returns the new log start offset.
    ///
    /// # Errors
    /// [`ClusterError::OffsetOutOfRange`] where `offset` lies past the high watermark.
    fn trim(&self, partition: &TopicPartition, offset: i64) -> Result<i64, ClusterError>;

    /// The offsets committed for `group`, in the order asked; `None` where there is none. Waits for offsets of a transaction
    /// that is being completed (`require_stable`, KIP-447).
    fn committed(&self, group: &str, partitions: &[TopicPartition])
    -> Result<Vec<Option<i64>>, ClusterError>;

    /// Opens a reader without any partition; give it some with [`Reader::assign`].
    fn open_reader(&self, config: ReaderConfig) -> Result<Box<dyn Reader>, ClusterError>;

    /// Opens a writer. A transactional one aborts the open transaction of its predecessor (the writer of the same
    /// transactional id) and fences it before this returns.
    fn open_writer(&self, config: WriterConfig) -> Result<Box<dyn Writer>, ClusterError>;

    /// Joins a consumer group to own partitions.
    fn open_lease(&self, config: LeaseConfig) -> Result<Box<dyn Lease>, ClusterError>;
}
