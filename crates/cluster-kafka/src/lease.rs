//! Owning partitions: a member of a consumer group that never fetches, whose rebalances come out as events.
//!
//! ```text
//!  group: revoke ──▶ callback keeps it ──▶ next() gives Revoked ──▶ the caller commits ──▶ next(): unassign ──▶ group goes on
//!  group: assign ──▶ callback accepts  ──▶ next() gives Assigned with this generation's metadata
//! ```
//! librdkafka runs the callbacks on the thread that polls, which is the caller's inside of `next`, and holds the rebalance
//! back until `unassign` is called; heartbeats are its own thread's.

use crate::admin::Admin;
use crate::config::KafkaConfig;
use crate::error::{code_of, coded, is_fenced, is_retriable, is_unknown_topic, named};
use crate::logging;
use crate::members::Members;
use bd_cluster::{ClusterError, GroupMember, Lease, LeaseConfig, LeaseEvent, TopicPartition};
use parking_lot::Mutex;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// At least as long may a caller stay away from `next` before the group goes on without it (Kafka's own default).
const MIN_POLL_INTERVAL: Duration = Duration::from_secs(300);

/// A member of a group.
pub(crate) struct KafkaLease {
    consumer: BaseConsumer<Rebalances>,
    members: Arc<Members>,
    group: String,
    /// This process's name for the member.
    id: String,
    /// Counts assignments.
    generation: i32,
    /// `Revoked` was given to the caller; the next call hands the partitions over.
    handing_over: bool,
}

/// What a rebalance callback has seen.
enum Change {
    Assigned(Vec<TopicPartition>, Option<ConsumerGroupMetadata>),
    Revoked(Vec<TopicPartition>),
    /// The group has gone on without this member.
    Lost,
    Failed(RDKafkaErrorCode),
}

/// The consumer's callbacks.
#[derive(Default)]
struct Rebalances {
    changes: Mutex<VecDeque<Change>>,
    closing: AtomicBool,
}

impl ClientContext for Rebalances {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        logging::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        logging::global_error(&error, reason);
    }
}

impl ConsumerContext for Rebalances {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partition = |e: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            TopicPartition::new(e.topic(), e.partition())
        };
        let partitions: Vec<TopicPartition> = list.elements().iter().map(partition).collect();
        let answered = match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                // Nothing is assigned to the consumer itself: it would fetch.
                let answered = consumer.assign(&TopicPartitionList::new());
                self.changes.lock().push_back(Change::Assigned(partitions, consumer.group_metadata()));
                answered
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => {
                if self.closing.load(Ordering::Acquire) {
                    consumer.unassign()
                } else if consumer.assignment_lost() {
                    self.changes.lock().push_back(Change::Lost);
                    consumer.unassign()
                } else {
                    self.changes.lock().push_back(Change::Revoked(partitions));
                    Ok(())
                }
            }
            error => {
                self.changes.lock().push_back(Change::Failed(error.into()));
                consumer.unassign()
            }
        };
        if let Err(error) = answered {
            tracing::warn!(%error, "a rebalance could not be answered");
        }
    }
}

impl KafkaLease {
    pub(crate) fn open(
        config: &KafkaConfig,
        lease: LeaseConfig,
        admin: &Admin,
        members: Arc<Members>,
    ) -> Result<Self, ClusterError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        if lease.group.is_empty() {
            return Err(ClusterError::Fatal {
                what: "open lease".into(),
                reason: "the group's id is empty".into(),
            });
        }
        for topic in &lease.topics {
            if admin.topic(topic)?.is_none() {
                return Err(ClusterError::UnknownTopic(topic.clone()));
            }
        }
        let session = lease.session_timeout;
        let heartbeat = (session / 3).clamp(Duration::from_millis(1), Duration::from_secs(3));
        let interval = session.max(MIN_POLL_INTERVAL);
        let mut client = config.consumer(&lease.client_id);
        client
            .set("group.id", &lease.group)
            .set("session.timeout.ms", session.as_millis().to_string())
            .set("heartbeat.interval.ms", heartbeat.as_millis().to_string())
            .set("max.poll.interval.ms", interval.as_millis().to_string())
            // The same partition numbers of all topics to the same member, as joins need.
            .set("partition.assignment.strategy", "range");
        let what = format!("join group {}", lease.group);
        let consumer = BaseConsumer::from_config_and_context(&client, Rebalances::default())
            .map_err(|e| named(&what, e))?;
        let topics: Vec<&str> = lease.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(|e| named(&what, e))?;
        let id =
            format!("{}-{}-{}", lease.client_id, std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Ok(Self { consumer, members, group: lease.group, id, generation: 0, handing_over: false })
    }

    fn hand_over(&mut self) -> Result<(), ClusterError> {
        if std::mem::take(&mut self.handing_over) {
            self.consumer
                .unassign()
                .map_err(|e| named(&format!("hand partitions of {} over", self.group), e))?;
        }
        Ok(())
    }

    /// An error that came by itself, of which librdkafka may recover.
    fn check(&self, error: KafkaError) -> Result<(), ClusterError> {
        let what = format!("member {} of group {}", self.id, self.group);
        match code_of(&error) {
            Some(code) if is_fenced(code) => Err(ClusterError::Fenced(format!("{what}: {error}"))),
            // A topic that was deleted: the group goes on without it, and takes it back when it is created.
            Some(code) if is_retriable(code) || is_unknown_topic(code) => {
                tracing::debug!(%error, "{what}");
                Ok(())
            }
            _ => Err(named(&what, error)),
        }
    }

    fn event(&mut self, change: Change) -> Result<LeaseEvent, ClusterError> {
        let fenced =
            || ClusterError::Fenced(format!("group {} has gone on without member {}", self.group, self.id));
        match change {
            Change::Assigned(_, None) => Err(fenced()),
            Change::Assigned(partitions, Some(metadata)) => {
                self.generation += 1;
                self.members.joined(&self.id, self.generation, metadata);
                let member = Some((self.id.clone(), self.generation));
                Ok(LeaseEvent::Assigned {
                    partitions,
                    member: GroupMember { group: self.group.clone(), member },
                })
            }
            Change::Revoked(partitions) => {
                self.handing_over = true;
                Ok(LeaseEvent::Revoked { partitions })
            }
            Change::Lost => Err(fenced()),
            Change::Failed(code) => {
                Err(coded(&format!("rebalance of group {}", self.group), code, code.to_string()))
            }
        }
    }
}

impl Lease for KafkaLease {
    fn next(&mut self, wait: Duration) -> Result<Option<LeaseEvent>, ClusterError> {
        self.hand_over()?;
        let deadline = Instant::now() + wait;
        loop {
            let change = self.consumer.context().changes.lock().pop_front();
            if let Some(change) = change {
                return self.event(change).map(Some);
            }
            let polled = self.consumer.poll(deadline.saturating_duration_since(Instant::now()));
            if let Some(Err(e)) = polled {
                self.check(e)?;
            }
            if self.consumer.context().changes.lock().is_empty() && Instant::now() >= deadline {
                return Ok(None);
            }
        }
    }
}

impl Drop for KafkaLease {
    /// Leaves the group: the consumer's own drop does, once no rebalance waits for an answer of ours.
    fn drop(&mut self) {
        self.members.left(&self.id);
        self.consumer.context().closing.store(true, Ordering::Release);
        let pending =
            self.consumer.context().changes.lock().drain(..).any(|c| matches!(c, Change::Revoked(_)));
        self.handing_over |= pending;
        if let Err(error) = self.hand_over() {
            tracing::warn!(%error, "closing a lease");
        }
    }
}
