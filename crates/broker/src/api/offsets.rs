//! OffsetCommit, OffsetFetch, TxnOffsetCommit.

use super::{Call, RequestError, off_task, text};
use crate::broker::Broker;
use crate::error::number;
use crate::group::{Committed, Committer, MemberRef, OffsetWrite};
use crate::txn::{ProducerIdentity, TxnSupport};
use crate::wait::awaited;
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, TopicName,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

fn write(
    topic: &str,
    partition: i32,
    offset: i64,
    leader_epoch: i32,
    metadata: &Option<StrBytes>,
) -> OffsetWrite {
    let metadata = metadata.as_ref().map(|m| m.to_string()).unwrap_or_default();
    OffsetWrite { topic: topic.to_owned(), partition, offset, leader_epoch, metadata }
}

pub(super) async fn commit(
    broker: &Broker,
    request: OffsetCommitRequest,
) -> Result<OffsetCommitResponse, RequestError> {
    let member =
        MemberRef { member_id: &request.member_id, instance_id: request.group_instance_id.as_deref() };
    let writes = request.topics.iter().flat_map(|t| {
        t.partitions.iter().map(|p| {
            write(
                &t.name,
                p.partition_index,
                p.committed_offset,
                p.committed_leader_epoch,
                &p.committed_metadata,
            )
        })
    });
    let writes = writes.collect();
    let (done, committed) = awaited();
    let generation = request.generation_id_or_member_epoch;
    let committer = Committer { group: &request.group_id, member, generation };
    broker.groups().commit(committer, None, writes, done);
    let mut results = committed.await.map_err(|_| RequestError::Closing)?.into_iter();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().zip(&mut results).map(|(p, error)| {
            OffsetCommitResponsePartition::default()
                .with_partition_index(p.partition_index)
                .with_error_code(number(error))
        });
        let partitions = partitions.collect();
        OffsetCommitResponseTopic::default().with_name(topic.name).with_partitions(partitions)
    });
    Ok(OffsetCommitResponse::default().with_topics(topics.collect()))
}

pub(super) async fn txn_commit(
    broker: Arc<Broker>,
    call: &Call,
    request: TxnOffsetCommitRequest,
) -> Result<TxnOffsetCommitResponse, RequestError> {
    let writes: Vec<_> = request
        .topics
        .iter()
        .flat_map(|t| {
            t.partitions.iter().map(|p| {
                let epoch = p.committed_leader_epoch;
                write(&t.name, p.partition_index, p.committed_offset, epoch, &p.committed_metadata)
            })
        })
        .collect();
    let (done, committed) = awaited();
    let (topics, version) = (request.topics, call.version);
    // Waits for a step of the same transactional id, if there is one.
    off_task(move || {
        let member =
            MemberRef { member_id: &request.member_id, instance_id: request.group_instance_id.as_deref() };
        let producer =
            ProducerIdentity { producer_id: request.producer_id.into(), epoch: request.producer_epoch };
        let committer = Committer { group: &request.group_id, member, generation: request.generation_id };
        let support = TxnSupport::of_offset_commit(version);
        let id = &request.transactional_id;
        broker.txn_commit_offsets_as(support, id, producer, committer, writes, done);
    })
    .await?;
    let mut results = committed.await.map_err(|_| RequestError::Closing)?.into_iter();
    let topics = topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().zip(&mut results).map(|(p, error)| {
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(p.partition_index)
                .with_error_code(number(error))
        });
        let partitions = partitions.collect();
        TxnOffsetCommitResponseTopic::default().with_name(topic.name).with_partitions(partitions)
    });
    Ok(TxnOffsetCommitResponse::default().with_topics(topics.collect()))
}

/// One group's offsets: for the places asked, or with `None` for all it has.
type GroupOffsets = Vec<(TopicName, Vec<(i32, Result<Option<Committed>, E>)>)>;

fn offsets_of(
    broker: &Broker,
    group: &str,
    places: Option<Vec<(TopicName, Vec<i32>)>>,
    stable: bool,
) -> GroupOffsets {
    let places = places.unwrap_or_else(|| {
        let all = broker.groups().committed_places(group);
        all.into_iter().map(|(topic, partitions)| (TopicName(text(&topic)), partitions)).collect()
    });
    let one = |topic: &TopicName, index: i32| (index, broker.groups().committed(group, topic, index, stable));
    places
        .into_iter()
        .map(|(topic, indexes)| {
            let offsets = indexes.into_iter().map(|index| one(&topic, index)).collect();
            (topic, offsets)
        })
        .collect()
}

/// (error, offset, leader epoch, metadata); -1 where there is none.
fn fields(found: Result<Option<Committed>, E>) -> (i16, i64, i32, Option<StrBytes>) {
    match found {
        Ok(Some(c)) => (0, c.offset, c.leader_epoch, Some(text(&c.metadata))),
        Ok(None) => (0, -1, -1, Some(StrBytes::new())),
        Err(code) => (code.code(), -1, -1, Some(StrBytes::new())),
    }
}

pub(super) fn fetch(broker: &Broker, call: &Call, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let stable = request.require_stable;
    if call.version <= 7 {
        let places =
            request.topics.map(|topics| topics.into_iter().map(|t| (t.name, t.partition_indexes)).collect());
        let topics =
            offsets_of(broker, &request.group_id, places, stable).into_iter().map(|(name, offsets)| {
                let partitions = offsets.into_iter().map(|(index, found)| {
                    let (error, offset, epoch, metadata) = fields(found);
                    OffsetFetchResponsePartition::default()
                        .with_partition_index(index)
                        .with_error_code(error)
                        .with_committed_offset(offset)
                        .with_committed_leader_epoch(epoch)
                        .with_metadata(metadata)
                });
                OffsetFetchResponseTopic::default().with_name(name).with_partitions(partitions.collect())
            });
        return OffsetFetchResponse::default().with_topics(topics.collect());
    }
    let groups = request.groups.into_iter().map(|group| {
        let places =
            group.topics.map(|topics| topics.into_iter().map(|t| (t.name, t.partition_indexes)).collect());
        let topics =
            offsets_of(broker, &group.group_id, places, stable).into_iter().map(|(name, offsets)| {
                let partitions = offsets.into_iter().map(|(index, found)| {
                    let (error, offset, epoch, metadata) = fields(found);
                    OffsetFetchResponsePartitions::default()
                        .with_partition_index(index)
                        .with_error_code(error)
                        .with_committed_offset(offset)
                        .with_committed_leader_epoch(epoch)
                        .with_metadata(metadata)
                });
                OffsetFetchResponseTopics::default().with_name(name).with_partitions(partitions.collect())
            });
        OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_topics(topics.collect())
    });
    OffsetFetchResponse::default().with_groups(groups.collect())
}
