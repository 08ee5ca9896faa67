//! Offsets: of partitions by time, and those that groups have committed.

use crate::client::{Client, Node};
use crate::error::{ClientError, Code};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{
    BrokerId, GroupId, ListOffsetsRequest, OffsetCommitRequest, OffsetFetchRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A topic and a partition.
pub type TopicPartition = (String, i32);

/// Which offset of a partition is asked for: the `timestamp` of ListOffsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first that is there.
    Earliest,
    /// The high watermark; for read_committed the last stable offset.
    Latest,
    /// Of the record with the greatest timestamp (KIP-734).
    MaxTimestamp,
    /// Of the first record at or after this time, ms.
    Timestamp(i64),
}

/// An offset found by its spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; -1 if no record is at or after the time asked for.
    pub offset: i64,
    /// The record's timestamp, ms; -1 if it was not asked for by time.
    pub timestamp: i64,
    /// The leader epoch of that record, -1 if unknown.
    pub leader_epoch: i32,
}

/// What a group has committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// What the consumer noted with it.
    pub metadata: String,
}

const RETRY: Duration = Duration::from_millis(100);

fn name(text: &str) -> TopicName {
    TopicName(StrBytes::from_string(text.to_owned()))
}

impl Client {
    /// Offsets of partitions, each by its spec, with one request a leader.
    ///
    /// # Errors
    /// [`ClientError`] for the first partition whose offset cannot be had.
    pub fn list_offsets(
        &mut self,
        wanted: &BTreeMap<TopicPartition, OffsetSpec>,
        read_committed: bool,
    ) -> Result<BTreeMap<TopicPartition, ListedOffset>, ClientError> {
        let until = Instant::now() + self.config().request_timeout;
        let mut found = BTreeMap::new();
        loop {
            let mut again = None;
            let mut by_leader: BTreeMap<i32, BTreeMap<&str, Vec<ListOffsetsPartition>>> = BTreeMap::new();
            for ((topic, partition), spec) in wanted {
                if found.contains_key(&(topic.clone(), *partition)) {
                    continue;
                }
                let timestamp = match spec {
                    OffsetSpec::Latest => -1,
                    OffsetSpec::Earliest => -2,
                    OffsetSpec::MaxTimestamp => -3,
                    OffsetSpec::Timestamp(ms) => (*ms).max(0),
                };
                let asked = ListOffsetsPartition::default()
                    .with_partition_index(*partition)
                    .with_current_leader_epoch(-1)
                    .with_timestamp(timestamp);
                let leader = self.leader(topic, *partition)?;
                by_leader.entry(leader).or_default().entry(topic).or_default().push(asked);
            }
            for (leader, topics) in by_leader {
                let topics = topics
                    .into_iter()
                    .map(|(t, parts)| ListOffsetsTopic::default().with_name(name(t)).with_partitions(parts));
                let request = ListOffsetsRequest::default()
                    .with_replica_id(BrokerId(-1))
                    .with_isolation_level(i8::from(read_committed))
                    .with_topics(topics.collect());
                // 7 is the first with MaxTimestamp; brokers without it get what they know.
                let max = wanted.values().any(|spec| *spec == OffsetSpec::MaxTimestamp);
                let response =
                    self.request_in(Node::Broker(leader), &request, if max { 7..=10 } else { 1..=10 })?;
                for topic in response.topics {
                    for p in topic.partitions {
                        let key = (topic.name.0.to_string(), p.partition_index);
                        if p.error_code == 0 {
                            let (offset, timestamp, leader_epoch) = (p.offset, p.timestamp, p.leader_epoch);
                            found.insert(key, ListedOffset { offset, timestamp, leader_epoch });
                        } else {
                            let resource = format!("{}-{}", key.0, key.1);
                            self.forget_topic(&key.0);
                            again = Some(ClientError::response("ListOffsets", resource, p.error_code, None));
                        }
                    }
                }
            }
            match again {
                None => return Ok(found),
                Some(error) if Instant::now() > until || !error.code().is_some_and(Code::is_retriable) => {
                    return Err(error);
                }
                Some(_) => std::thread::sleep(RETRY),
            }
        }
    }

    /// One offset.
    ///
    /// # Errors
    /// As [`Client::list_offsets`].
    pub fn list_offset(
        &mut self,
        topic: &str,
        partition: i32,
        spec: OffsetSpec,
        read_committed: bool,
    ) -> Result<ListedOffset, ClientError> {
        let key = (topic.to_owned(), partition);
        let found = self.list_offsets(&BTreeMap::from([(key.clone(), spec)]), read_committed)?;
        found.get(&key).copied().ok_or_else(|| ClientError::Partition {
            topic: topic.to_owned(),
            partition,
            reason: "the broker's answer to ListOffsets lacks it".into(),
        })
    }

    /// All that a group has committed; nothing for a group that nobody knows.
    ///
    /// # Errors
    /// [`ClientError`]: of the coordinator or of a partition.
    pub fn committed(&mut self, group: &str) -> Result<BTreeMap<TopicPartition, Committed>, ClientError> {
        let id = GroupId(StrBytes::from_string(group.to_owned()));
        let mut found = BTreeMap::new();
        // Only whole answers have an effect: a retry puts the same in again.
        let mut take = |topic: &str, partition: i32, offset: i64, metadata: Option<&str>, code: i16| {
            ClientError::check("OffsetFetch", format!("group {group}, {topic}-{partition}"), code, None)?;
            if offset >= 0 {
                let metadata = metadata.unwrap_or_default().to_owned();
                found.insert((topic.to_owned(), partition), Committed { offset, metadata });
            }
            Ok::<(), ClientError>(())
        };
        self.with_coordinator(|client| {
            let asked = OffsetFetchRequestGroup::default()
                .with_group_id(id.clone())
                .with_member_epoch(-1)
                .with_topics(None);
            let batched = OffsetFetchRequest::default().with_groups(vec![asked]);
            match client.request_in(Node::Group(group), &batched, 8..=9) {
                Ok(response) => {
                    for answer in response.groups {
                        ClientError::check("OffsetFetch", format!("group {group}"), answer.error_code, None)?;
                        for topic in answer.topics {
                            for p in topic.partitions {
                                let metadata = p.metadata.as_deref();
                                let topic = topic.name.0.as_str();
                                take(topic, p.partition_index, p.committed_offset, metadata, p.error_code)?;
                            }
                        }
                    }
                }
                Err(ClientError::Unsupported { .. }) => {
                    let one = OffsetFetchRequest::default().with_group_id(id.clone()).with_topics(None);
                    let response = client.request_in(Node::Group(group), &one, 2..=7)?;
                    ClientError::check("OffsetFetch", format!("group {group}"), response.error_code, None)?;
                    for topic in response.topics {
                        for p in topic.partitions {
                            let (topic, metadata) = (topic.name.0.as_str(), p.metadata.as_deref());
                            take(topic, p.partition_index, p.committed_offset, metadata, p.error_code)?;
                        }
                    }
                }
                Err(e) => return Err(e),
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Commits offsets for a group from outside: it must have no members.
    ///
    /// # Errors
    /// [`ClientError::Response`] for the first partition that was refused (`UNKNOWN_MEMBER_ID` if the group has members).
    pub fn commit(
        &mut self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, i64>,
    ) -> Result<(), ClientError> {
        let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for ((topic, partition), offset) in offsets {
            let commit = OffsetCommitRequestPartition::default()
                .with_partition_index(*partition)
                .with_committed_offset(*offset)
                .with_committed_leader_epoch(-1)
                .with_committed_metadata(Some(StrBytes::new()));
            topics.entry(topic).or_default().push(commit);
        }
        let topics = topics
            .into_iter()
            .map(|(t, parts)| OffsetCommitRequestTopic::default().with_name(name(t)).with_partitions(parts));
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
            .with_generation_id_or_member_epoch(-1)
            .with_retention_time_ms(-1)
            .with_topics(topics.collect());
        self.with_coordinator(|client| {
            let response = client.request_in(Node::Group(group), &request, 2..=9)?;
            for topic in response.topics {
                for p in topic.partitions {
                    let resource = format!("group {group}, {}-{}", topic.name.as_str(), p.partition_index);
                    ClientError::check("OffsetCommit", resource, p.error_code, None)?;
                }
            }
            Ok(())
        })
    }

    /// Runs what asks a group's coordinator, again while the coordinator moves or loads.
    ///
    /// # Errors
    /// Those of `ask`.
    pub fn with_coordinator<T>(
        &mut self,
        mut ask: impl FnMut(&mut Self) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let until = Instant::now() + self.config().request_timeout;
        loop {
            match ask(self) {
                Err(e) if matches!(e.code(), Some(Code(14..=16))) && Instant::now() < until => {
                    self.forget_coordinators();
                    std::thread::sleep(RETRY);
                }
                answer => return answer,
            }
        }
    }
}
