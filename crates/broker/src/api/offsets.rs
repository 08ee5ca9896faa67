//! OffsetCommit, OffsetFetch, OffsetDelete, TxnOffsetCommit.

use super::groups::may;
use super::{Call, RequestError, off_task, text};
use crate::broker::Broker;
use crate::error::number;
use crate::group::{Committed, Committer, MemberRef, OffsetWrite};
use crate::security::{Operation, ResourceType};
use crate::txn::{ProducerIdentity, TxnSupport};
use crate::wait::awaited;
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest,
    OffsetFetchResponse, TopicName, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

/// Whether the caller may read or see a topic.
fn may_topic(call: &Call, broker: &Broker, operation: Operation, topic: &str) -> bool {
    call.allows(broker, operation, ResourceType::Topic, topic)
}

/// The places of a request, in its order, and which of them are refused before anything is tried.
struct Asked {
    topics: Vec<(TopicName, Vec<i32>)>,
    refused: Vec<Option<E>>,
}

impl Asked {
    /// `refuse` says why a whole topic is refused.
    fn new(topics: Vec<(TopicName, Vec<i32>)>, refuse: impl Fn(&TopicName) -> Option<E>) -> Self {
        let each = topics.iter().flat_map(|(name, indexes)| std::iter::repeat_n(refuse(name), indexes.len()));
        Self { refused: each.collect(), topics }
    }

    /// Refuses single places of those that are left.
    fn refuse_each(mut self, refuse: impl Fn(&TopicName, i32) -> Option<E>) -> Self {
        let places =
            self.topics.iter().flat_map(|(name, indexes)| indexes.iter().map(move |index| (name, *index)));
        for (verdict, (name, index)) in self.refused.iter_mut().zip(places) {
            *verdict = verdict.or_else(|| refuse(name, index));
        }
        self
    }

    /// Of what belongs to the places, one each, that of those to be tried.
    fn tried<T>(&self, all: impl Iterator<Item = T>) -> Vec<T> {
        all.zip(&self.refused).filter(|(_, refused)| refused.is_none()).map(|(one, _)| one).collect()
    }

    /// The answers to all topics: `results` says what came of the places that were tried, `part` answers a partition with a code,
    /// `whole` a topic.
    fn answers<P, T>(
        self,
        results: Vec<Option<E>>,
        part: fn(i32, i16) -> P,
        whole: fn(TopicName, Vec<P>) -> T,
    ) -> Vec<T> {
        let mut results = results.into_iter();
        let mut verdicts = self.refused.into_iter().map(|r| r.or_else(|| results.next().flatten()));
        let answer = |(name, indexes): (TopicName, Vec<i32>)| {
            let parts =
                indexes.into_iter().zip(&mut verdicts).map(|(index, error)| part(index, number(error)));
            whole(name, parts.collect())
        };
        self.topics.into_iter().map(answer).collect()
    }
}

/// [`Asked`] of a request's topics.
macro_rules! asked {
    ($topics:expr, $refuse:expr) => {{
        let places = $topics
            .iter()
            .map(|t| (t.name.clone(), t.partitions.iter().map(|p| p.partition_index).collect::<Vec<i32>>()));
        Asked::new(places.collect(), $refuse)
    }};
}

/// The writes that a request asks for, of the places that are not refused.
macro_rules! writes {
    ($topics:expr, $asked:expr) => {
        $asked.tried($topics.iter().flat_map(|t| {
            t.partitions.iter().map(|p| {
                let epoch = p.committed_leader_epoch;
                write(&t.name, p.partition_index, p.committed_offset, epoch, &p.committed_metadata)
            })
        }))
    };
}

/// Why offsets of a topic may not be committed.
fn unreadable(call: &Call, broker: &Broker, topic: &TopicName) -> Option<E> {
    (!may_topic(call, broker, Operation::Read, topic)).then_some(E::TopicAuthorizationFailed)
}

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

/// The first version in which members of the consumer protocol commit offsets, and missing groups have a code of their own.
const KNOWS_MEMBER_EPOCHS: i16 = 9;

pub(super) async fn commit(
    broker: &Broker,
    call: &Call,
    request: OffsetCommitRequest,
) -> Result<OffsetCommitResponse, RequestError> {
    let group_refused =
        (!may(call, broker, Operation::Read, &request.group_id)).then_some(E::GroupAuthorizationFailed);
    let asked = asked!(request.topics, |topic| group_refused.or_else(|| unreadable(call, broker, topic)));
    let writes = writes!(request.topics, asked);
    let results = if writes.is_empty() {
        Vec::new()
    } else {
        let member =
            MemberRef { member_id: &request.member_id, instance_id: request.group_instance_id.as_deref() };
        let generation = request.generation_id_or_member_epoch;
        let committer = Committer { group: &request.group_id, member, generation };
        let (done, committed) = awaited();
        broker.groups().commit(committer, None, writes, done);
        committed.await.map_err(|_| RequestError::Closing)?
    };
    let as_of_version = |error| match error {
        Some(E::GroupIdNotFound) if call.version < KNOWS_MEMBER_EPOCHS => Some(E::IllegalGeneration),
        Some(E::StaleMemberEpoch) if call.version < KNOWS_MEMBER_EPOCHS => Some(E::UnsupportedVersion),
        other => other,
    };
    let topics = asked.answers(
        results.into_iter().map(as_of_version).collect(),
        |index, code| {
            OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(code)
        },
        |name, parts| OffsetCommitResponseTopic::default().with_name(name).with_partitions(parts),
    );
    Ok(OffsetCommitResponse::default().with_topics(topics))
}

pub(super) async fn txn_commit(
    broker: Arc<Broker>,
    call: &Call,
    request: TxnOffsetCommitRequest,
) -> Result<TxnOffsetCommitResponse, RequestError> {
    let id = &request.transactional_id;
    let refused = if !call.allows(&broker, Operation::Write, ResourceType::TransactionalId, id) {
        Some(E::TransactionalIdAuthorizationFailed)
    } else if !may(call, &broker, Operation::Read, &request.group_id) {
        Some(E::GroupAuthorizationFailed)
    } else {
        None
    };
    let asked = asked!(request.topics, |topic| refused.or_else(|| unreadable(call, &broker, topic)));
    let writes = writes!(request.topics, asked);
    let (done, committed) = awaited();
    let version = call.version;
    // Waits for a step of the same transactional id, if there is one.
    off_task(move || {
        if writes.is_empty() {
            return done(Vec::new());
        }
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
    let results = committed.await.map_err(|_| RequestError::Closing)?;
    let as_of_api = |error| match error {
        Some(E::GroupIdNotFound) => Some(E::IllegalGeneration),
        other => other,
    };
    let topics = asked.answers(
        results.into_iter().map(as_of_api).collect(),
        |index, code| {
            TxnOffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(code)
        },
        |name, parts| TxnOffsetCommitResponseTopic::default().with_name(name).with_partitions(parts),
    );
    Ok(TxnOffsetCommitResponse::default().with_topics(topics))
}

/// One group's offsets: for the places asked, or with `None` for all it has. With the group's error, none.
type GroupOffsets = Vec<(TopicName, Vec<(i32, Result<Option<Committed>, E>)>)>;

/// Who fetches offsets of which group.
struct Fetcher<'a> {
    broker: &'a Broker,
    call: &'a Call,
    group: &'a str,
    /// Members of the consumer protocol say who they are.
    member_id: Option<&'a str>,
    member_epoch: i32,
    stable: bool,
}

impl Fetcher<'_> {
    fn offsets(&self, places: Option<Vec<(TopicName, Vec<i32>)>>) -> Result<GroupOffsets, E> {
        let groups = self.broker.groups();
        if !may(self.call, self.broker, Operation::Describe, self.group) {
            return Err(E::GroupAuthorizationFailed);
        }
        groups.check_fetch(self.group, self.member_id, self.member_epoch).map_err(|e| e.code)?;
        let sees = |topic: &str| may_topic(self.call, self.broker, Operation::Describe, topic);
        let places = places.unwrap_or_else(|| {
            let all = groups.committed_places(self.group).into_iter().filter(|(topic, _)| sees(topic));
            all.map(|(topic, partitions)| (TopicName(text(&topic)), partitions)).collect()
        });
        let each = places.into_iter().map(|(topic, indexes)| {
            let allowed = sees(&topic);
            let offsets = indexes.into_iter().map(|index| match allowed {
                true => (index, groups.committed(self.group, &topic, index, self.stable)),
                false => (index, Err(E::TopicAuthorizationFailed)),
            });
            let offsets = offsets.collect();
            (topic, offsets)
        });
        Ok(each.collect())
    }
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
        return fetch_one(broker, call, request);
    }
    let groups = request.groups.into_iter().map(|group| {
        let places =
            group.topics.map(|topics| topics.into_iter().map(|t| (t.name, t.partition_indexes)).collect());
        let fetcher = Fetcher {
            broker,
            call,
            group: &group.group_id,
            member_id: group.member_id.as_deref(),
            member_epoch: group.member_epoch,
            stable,
        };
        let (error, offsets) = match fetcher.offsets(places) {
            Ok(offsets) => (None, offsets),
            Err(error) => (Some(error), Vec::new()),
        };
        let topics = offsets.into_iter().map(|(name, offsets)| {
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
        let topics = topics.collect();
        OffsetFetchResponseGroup::default()
            .with_group_id(group.group_id)
            .with_error_code(number(error))
            .with_topics(topics)
    });
    OffsetFetchResponse::default().with_groups(groups.collect())
}

/// Up to version 7 there is one group.
fn fetch_one(broker: &Broker, call: &Call, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let places: Option<Vec<(TopicName, Vec<i32>)>> =
        request.topics.map(|topics| topics.into_iter().map(|t| (t.name, t.partition_indexes)).collect());
    let fetcher = Fetcher {
        broker,
        call,
        group: &request.group_id,
        member_id: None,
        member_epoch: -1,
        stable: request.require_stable,
    };
    let (error, offsets) = match fetcher.offsets(places.clone()) {
        Ok(offsets) => (None, offsets),
        // Version 1 has no place for a group's error.
        Err(error) if call.version < 2 => {
            let each = places.unwrap_or_default().into_iter();
            let failed = |indexes: Vec<i32>| indexes.into_iter().map(|i| (i, Err(error))).collect();
            (None, each.map(|(topic, indexes)| (topic, failed(indexes))).collect())
        }
        Err(error) => (Some(error), Vec::new()),
    };
    let topics = offsets.into_iter().map(|(name, offsets)| {
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
    OffsetFetchResponse::default().with_error_code(number(error)).with_topics(topics.collect())
}

pub(super) async fn delete(
    broker: &Broker,
    call: &Call,
    request: OffsetDeleteRequest,
) -> Result<OffsetDeleteResponse, RequestError> {
    let failed = |code: E| OffsetDeleteResponse::default().with_error_code(code.code());
    if !may(call, broker, Operation::Delete, &request.group_id) {
        return Ok(failed(E::GroupAuthorizationFailed));
    }
    let known = |topic: &str, index| broker.topics().partition(topic, index).is_some();
    let asked = asked!(request.topics, |topic| unreadable(call, broker, topic))
        .refuse_each(|topic, index| (!known(topic, index)).then_some(E::UnknownTopicOrPartition));
    let all = request
        .topics
        .iter()
        .flat_map(|t| t.partitions.iter().map(|p| (t.name.to_string(), p.partition_index)));
    let places = asked.tried(all);
    let (done, deleted) = awaited();
    broker.groups().delete_offsets(&request.group_id, places, done);
    let results = match deleted.await.map_err(|_| RequestError::Closing)? {
        Ok(results) => results,
        Err(code) => return Ok(failed(code)),
    };
    let topics = asked.answers(
        results,
        |index, code| {
            OffsetDeleteResponsePartition::default().with_partition_index(index).with_error_code(code)
        },
        |name, parts| OffsetDeleteResponseTopic::default().with_name(name).with_partitions(parts),
    );
    Ok(OffsetDeleteResponse::default().with_topics(topics))
}
