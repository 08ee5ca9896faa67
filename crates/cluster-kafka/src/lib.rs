//! The home of [`bd_cluster::Cluster`] on a real cluster: Apache Kafka, Redpanda, bd's own broker, anything that speaks the
//! protocol, over librdkafka.
//!
//! ```no_run
//! use bd_cluster::{Cluster, OffsetSpec, TopicPartition};
//! use bd_cluster_kafka::{KafkaCluster, KafkaConfig};
//!
//! let cluster = KafkaCluster::connect(KafkaConfig::new("kafka-0:9092").with("client.rack", "eu-1a"))?;
//! let end = cluster.offset(&TopicPartition::new("actions", 0), OffsetSpec::Latest)?;
//! # Ok::<(), bd_cluster::ClusterError>(())
//! ```
//!
//! ```text
//!  KafkaCluster ─┬─ Admin        topics, trim, offsets       AdminClient, two consumers without a group
//!                ├─ KafkaReader  one queue per partition     BaseConsumer, assigned by hand
//!                ├─ KafkaWriter  one answer per append       BaseProducer and the thread that polls it
//!                ├─ KafkaLease   rebalances as events        BaseConsumer, subscribed, never fetching
//!                └─ Members      who is who, for commits     (group, member) -> ConsumerGroupMetadata
//! ```
//!
//! # What it does not do
//! * It holds no records of its own: what is fetched ahead stays in librdkafka's queues, what is to be sent too.
//! * It does not work around the cluster's configuration: replication, `min.insync.replicas`, retention are the cluster's.
//! * The id and generation in a lease's [`bd_cluster::GroupMember`] are this process's own names for librdkafka's group
//!   metadata, which it does not show; they mean something to writers of the same [`KafkaCluster`] only.
//! * librdkafka takes a timestamp of 0 as "now"; a record of 1970-01-01T00:00:00.000 is written as one of 00:00:00.001.
//!
//! # Positions
//! librdkafka's positions do not move over control and aborted records, and its end-of-partition event carries no offset
//! here. [`bd_cluster::Records::next_offset`] is therefore proved: the end `E` of the partition is looked up *before* reading
//! starts again at a known position; an end-of-partition event after that means that all below `E` was delivered.

mod admin;
mod config;
mod error;
mod lease;
mod logging;
mod members;
mod reader;
mod signal;
mod writer;

pub use config::KafkaConfig;

use admin::Admin;
use bd_cluster::{
    Cluster, ClusterError, Lease, LeaseConfig, NewTopic, OffsetSpec, Reader, ReaderConfig, TopicInfo,
    TopicPartition, Writer, WriterConfig,
};
use members::Members;
use std::sync::Arc;
use std::time::Duration;

/// How long a call waits for the cluster's answer before it gives up with `Retriable`.
const ANSWER: Duration = Duration::from_secs(60);

/// A Kafka cluster, see the crate's documentation. Clones share their connections.
#[derive(Clone)]
pub struct KafkaCluster {
    config: Arc<KafkaConfig>,
    admin: Arc<Admin>,
    members: Arc<Members>,
}

impl KafkaCluster {
    /// Connects, and returns when a server has answered.
    ///
    /// # Errors
    /// [`ClusterError::InvalidConfig`] for a property that librdkafka does not know or that is not the user's to set,
    /// [`ClusterError::Retriable`] when no server answers within 30 s.
    pub fn connect(config: KafkaConfig) -> Result<Self, ClusterError> {
        config.check()?;
        let config = Arc::new(config);
        let members = Arc::new(Members::new(config.clone()));
        let admin = Arc::new(Admin::connect(&config)?);
        Ok(Self { config, admin, members })
    }
}

impl std::fmt::Debug for KafkaCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaCluster").field("bootstrap", &self.config.bootstrap).finish_non_exhaustive()
    }
}

impl Cluster for KafkaCluster {
    fn name(&self) -> String {
        self.config.bootstrap.clone()
    }

    fn create_topic(&self, topic: &NewTopic) -> Result<(), ClusterError> {
        self.admin.create_topic(topic)
    }

    fn delete_topic(&self, name: &str) -> Result<(), ClusterError> {
        self.admin.delete_topic(name)
    }

    fn topic(&self, name: &str) -> Result<Option<TopicInfo>, ClusterError> {
        self.admin.topic(name)
    }

    fn topics(&self) -> Result<Vec<TopicInfo>, ClusterError> {
        self.admin.topics()
    }

    fn offset(&self, partition: &TopicPartition, spec: OffsetSpec) -> Result<i64, ClusterError> {
        self.admin.check_partition(partition)?;
        self.admin.offset(partition, spec)
    }

    fn trim(&self, partition: &TopicPartition, offset: i64) -> Result<i64, ClusterError> {
        self.admin.trim(partition, offset)
    }

    fn committed(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, ClusterError> {
        self.members.committed(group, partitions)
    }

    fn open_reader(&self, config: ReaderConfig) -> Result<Box<dyn Reader>, ClusterError> {
        Ok(Box::new(reader::KafkaReader::open(&self.config, &config, self.admin.clone())?))
    }

    fn open_writer(&self, config: WriterConfig) -> Result<Box<dyn Writer>, ClusterError> {
        let writer =
            writer::KafkaWriter::open(&self.config, &config, self.admin.clone(), self.members.clone())?;
        Ok(Box::new(writer))
    }

    fn open_lease(&self, config: LeaseConfig) -> Result<Box<dyn Lease>, ClusterError> {
        Ok(Box::new(lease::KafkaLease::open(&self.config, config, &self.admin, self.members.clone())?))
    }
}
