//! Groups as those who commit see them: offsets that were committed, and the metadata that fences old members (KIP-447).

use crate::ANSWER;
use crate::admin::again;
use crate::config::KafkaConfig;
use crate::error::{code_of, named};
use crate::logging::Logging;
use bd_cluster::{ClusterError, GroupMember, TopicPartition};
use parking_lot::Mutex;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// As many groups keep their client open.
const CLIENTS: usize = 8;
/// As many generations of a member are kept, so that the cluster itself refuses the old ones.
const GENERATIONS: i32 = 4;

/// What the leases and writers of one cluster know of groups.
pub(crate) struct Members {
    config: Arc<KafkaConfig>,
    /// The most recently used last.
    clients: Mutex<Vec<(String, Arc<BaseConsumer<Logging>>)>>,
    /// By the member's id and generation, as this process numbers them.
    joined: Mutex<HashMap<(String, i32), Arc<ConsumerGroupMetadata>>>,
}

impl Members {
    pub(crate) fn new(config: Arc<KafkaConfig>) -> Self {
        Self { config, clients: Mutex::new(Vec::new()), joined: Mutex::new(HashMap::new()) }
    }

    /// A lease's member has joined a new generation.
    pub(crate) fn joined(&self, id: &str, generation: i32, metadata: ConsumerGroupMetadata) {
        let mut joined = self.joined.lock();
        joined.insert((id.into(), generation), Arc::new(metadata));
        joined.remove(&(id.into(), generation - GENERATIONS));
    }

    /// A lease was closed.
    pub(crate) fn left(&self, id: &str) {
        self.joined.lock().retain(|(member, _), _| member != id);
    }

    /// What librdkafka sends along with the offsets of a transaction.
    pub(crate) fn metadata(&self, member: &GroupMember) -> Result<Arc<ConsumerGroupMetadata>, ClusterError> {
        match &member.member {
            Some(key) => self.joined.lock().get(key).cloned().ok_or_else(|| {
                let reason = "has left, or was given by another handle to the cluster";
                ClusterError::Fenced(format!(
                    "member {} generation {} of group {} {reason}",
                    key.0, key.1, member.group
                ))
            }),
            None => self.client(&member.group)?.group_metadata().map(Arc::new).ok_or_else(|| {
                ClusterError::Fatal {
                    what: format!("commit offsets of group {}", member.group),
                    reason: "the group's id is empty".into(),
                }
            }),
        }
    }

    pub(crate) fn committed(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, ClusterError> {
        let fail = |e| named(&format!("offsets committed for group {group}"), e);
        let client = self.client(group)?;
        // A coordinator that loads, or a transaction that is being completed, answers after a moment.
        again(|| {
            let mut asked = TopicPartitionList::with_capacity(partitions.len());
            for partition in partitions {
                asked.add_partition(&partition.topic, partition.partition);
            }
            client.committed_offsets(asked, ANSWER).map_err(fail).and_then(|t| found(&t, partitions, &fail))
        })
    }

    /// A client of the group that is not a member of it.
    fn client(&self, group: &str) -> Result<Arc<BaseConsumer<Logging>>, ClusterError> {
        let mut clients = self.clients.lock();
        if let Some(at) = clients.iter().position(|(name, _)| name == group) {
            let client = clients.remove(at);
            while client.1.poll(Duration::ZERO).is_some() {}
            clients.push(client.clone());
            return Ok(client.1);
        }
        let mut config = self.config.consumer("bd-offsets");
        // read_committed makes librdkafka ask for stable offsets only (`require_stable`).
        config.set("group.id", group).set("isolation.level", "read_committed");
        let client = BaseConsumer::from_config_and_context(&config, Logging::default())
            .map_err(|e| named(&format!("open a client of group {group}"), e))?;
        let client = Arc::new(client);
        if clients.len() >= CLIENTS {
            clients.remove(0);
        }
        clients.push((group.into(), client.clone()));
        Ok(client)
    }
}

/// The answer in the order asked.
fn found(
    answer: &TopicPartitionList,
    partitions: &[TopicPartition],
    fail: &impl Fn(rdkafka::error::KafkaError) -> ClusterError,
) -> Result<Vec<Option<i64>>, ClusterError> {
    let offset = |partition: &TopicPartition| {
        let Some(element) = answer.find_partition(&partition.topic, partition.partition) else {
            return Ok(None);
        };
        match element.error() {
            // A group may be asked about topics that do not exist (any more).
            Err(e) if code_of(&e) == Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(None),
            Err(e) => Err(fail(e)),
            Ok(()) => Ok(match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            }),
        }
    };
    partitions.iter().map(offset).collect()
}
