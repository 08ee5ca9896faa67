//! Produce, ListOffsets, OffsetForLeaderEpoch, DeleteRecords.

use super::fetch::isolation;
use super::{Call, Frame, RequestError, Started, off_task, text};
use crate::broker::Broker;
use crate::error::code_of;
use crate::fetch::check_leader_epoch;
use crate::partition::{LEADER_EPOCH, Partition};
use crate::produce::{ProduceCall, Produced};
use crate::security::{CLUSTER, Operation, ResourceType};
use crate::topics::is_internal;
use crate::wait::awaited;
use crate::wire;
use bd_log::{Isolation, LogError};
use bytes::BytesMut;
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{
    DeleteRecordsRequest, DeleteRecordsResponse, ListOffsetsRequest, ListOffsetsResponse,
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, ProduceResponse, TopicName,
};
use std::collections::HashSet;
use std::sync::Arc;

/// The records are in the logs, in the order of the connection's requests, when this returns.
pub(super) fn produce(broker: &Broker, call: Call, frame: BytesMut) -> Result<Started, RequestError> {
    let request = wire::produce::ProduceRequest::decode(frame, call.version)?;
    let transactional_id = request.transactional_id.as_deref();
    let may_use = transactional_id
        .is_none_or(|id| call.allows(broker, Operation::Write, ResourceType::TransactionalId, id));
    let mut shape = Vec::with_capacity(request.topics.len());
    let mut records = Vec::new();
    for topic in request.topics {
        let name = if call.version >= 13 {
            broker.topics().by_id(&topic.id).map(|t| t.name.to_string()).ok_or(E::UnknownTopicId)
        } else {
            Ok(topic.name)
        };
        let allowed = name.as_ref().map_err(|e| *e).and_then(|name| {
            if !may_use {
                Err(E::TransactionalIdAuthorizationFailed)
            } else if !call.allows(broker, Operation::Write, ResourceType::Topic, name) {
                Err(E::TopicAuthorizationFailed)
            } else {
                Ok(())
            }
        });
        let indexes: Vec<i32> = topic.partitions.iter().map(|p| p.index).collect();
        let name = name.unwrap_or_default();
        if allowed.is_ok() {
            records.extend(topic.partitions.into_iter().map(|p| (name.clone(), p.index, p.records)));
        }
        shape.push((name, topic.id, indexes, allowed.err()));
    }
    let (done, durable) = awaited();
    let what = ProduceCall { transactional_id, acks: request.acks, version: call.version };
    broker.produce_as(what, records, done);
    let no_answer = request.acks == 0;
    Ok(Started::Overlapping(Box::pin(async move {
        let produced = durable.await.map_err(|_| RequestError::Closing)?;
        let refused =
            shape.iter().filter(|(.., refused)| refused.is_some()).map(|(.., indexes, _)| indexes.len());
        let failed = produced.iter().filter(|p| p.error.is_some()).count() + refused.sum::<usize>();
        if failed > 0 {
            call.counters.produce_failed(failed as u64);
        }
        if no_answer && failed == 0 {
            return Ok(Frame::new());
        }
        let mut produced = produced.into_iter();
        let responses = shape.into_iter().map(|(topic, id, indexes, refused)| {
            let partitions = indexes.into_iter().map(|index| {
                let result = match refused {
                    Some(code) => Some(Produced::failed(code, None)),
                    None => produced.next(),
                };
                produce_answer(index, result.unwrap_or_else(|| Produced::failed(E::UnknownServerError, None)))
            });
            TopicProduceResponse::default()
                .with_name(TopicName(text(&topic)))
                .with_topic_id(id)
                .with_partition_responses(partitions.collect())
        });
        let response = ProduceResponse::default().with_responses(responses.collect());
        if no_answer {
            // The only way to tell a client that waits for nothing: closing the connection makes it look for the reason.
            call.counters.answers(call.api, &response);
            return Err(RequestError::Closing);
        }
        call.answer(&response)
    })))
}

fn produce_answer(index: i32, result: Produced) -> PartitionProduceResponse {
    let record_errors = result.record_errors.into_iter().map(|(index, message)| {
        BatchIndexAndErrorMessage::default()
            .with_batch_index(index)
            .with_batch_index_error_message(Some(text(&message)))
    });
    PartitionProduceResponse::default()
        .with_index(index)
        .with_error_code(crate::error::number(result.error))
        .with_error_message(result.message.map(|m| text(&m)))
        .with_record_errors(record_errors.collect())
        .with_base_offset(result.base_offset)
        .with_log_append_time_ms(result.log_append_time_ms)
        .with_log_start_offset(result.log_start_offset)
}

/// The special timestamps of ListOffsets, each with the first version that knows it.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

fn known_since(timestamp: i64) -> Option<i16> {
    match timestamp {
        0.. => Some(0),
        LATEST | EARLIEST => Some(1),
        MAX_TIMESTAMP => Some(7),
        EARLIEST_LOCAL => Some(8),
        LATEST_TIERED => Some(9),
        _ => None,
    }
}

/// Whether a topic may be described (ListOffsets, OffsetForLeaderEpoch); replicas need the cluster's permission instead.
fn may_describe(broker: &Broker, call: &Call, topic: &str) -> Result<(), E> {
    allowed(broker, call, Operation::Describe, topic)
}

fn allowed(broker: &Broker, call: &Call, operation: Operation, topic: &str) -> Result<(), E> {
    match call.allows(broker, operation, ResourceType::Topic, topic) {
        true => Ok(()),
        false => Err(E::TopicAuthorizationFailed),
    }
}

fn partition(broker: &Broker, topic: &str, index: i32) -> Result<Arc<Partition>, E> {
    broker.topics().partition(topic, index).ok_or(E::UnknownTopicOrPartition)
}

/// Indexes of a topic that a request names more than once.
fn repeated(indexes: impl Iterator<Item = i32>) -> HashSet<i32> {
    let mut seen = HashSet::new();
    indexes.filter(|index| !seen.insert(*index)).collect()
}

pub(super) async fn list_offsets(
    broker: Arc<Broker>,
    call: &Call,
    request: ListOffsetsRequest,
) -> Result<ListOffsetsResponse, RequestError> {
    // Only consumers are kept from what is not durable.
    let isolation = match request.replica_id.0 {
        -1 => isolation(request.isolation_level),
        _ => Isolation::LogEnd,
    };
    let call = call.clone();
    off_task(move || {
        let topics = request.topics.into_iter().map(|topic| {
            let allowed = may_describe(&broker, &call, &topic.name);
            let repeated = repeated(topic.partitions.iter().map(|p| p.partition_index));
            let partitions = topic.partitions.iter().map(|wanted| {
                let answer =
                    ListOffsetsPartitionResponse::default().with_partition_index(wanted.partition_index);
                let found = allowed.and_then(|()| {
                    if repeated.contains(&wanted.partition_index) {
                        return Err(E::InvalidRequest);
                    }
                    if known_since(wanted.timestamp).is_none_or(|version| call.version < version) {
                        return Err(E::UnsupportedVersion);
                    }
                    let partition = partition(&broker, &topic.name, wanted.partition_index)?;
                    check_leader_epoch(wanted.current_leader_epoch)?;
                    offset_at(&partition, wanted.timestamp, isolation)
                });
                match found {
                    Ok((offset, timestamp)) => {
                        let answer = answer.with_offset(offset).with_timestamp(timestamp);
                        if call.version >= 4 && offset >= 0 {
                            answer.with_leader_epoch(LEADER_EPOCH)
                        } else {
                            answer
                        }
                    }
                    Err(code) => answer.with_error_code(code.code()).with_offset(-1).with_timestamp(-1),
                }
            });
            let partitions = partitions.collect();
            ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions)
        });
        ListOffsetsResponse::default().with_topics(topics.collect())
    })
    .await
}

/// (offset, timestamp), -1 for none.
fn offset_at(partition: &Partition, timestamp: i64, isolation: Isolation) -> Result<(i64, i64), E> {
    let log = partition.log();
    let end = match isolation {
        Isolation::LastStable => log.last_stable_offset(),
        Isolation::HighWatermark => log.high_watermark(),
        Isolation::LogEnd => log.end_offset(),
    };
    let visible = |found: Option<(i64, i64)>| found.filter(|(offset, _)| *offset < end).unwrap_or((-1, -1));
    let failed = |error: LogError| {
        let code = code_of(&error);
        if code == E::KafkaStorageError {
            tracing::error!(?partition, timestamp, %error, "cannot find an offset by time");
        }
        code
    };
    match timestamp {
        LATEST => Ok((end, -1)),
        // Nothing lies elsewhere than here.
        EARLIEST | EARLIEST_LOCAL => Ok((log.start_offset(), -1)),
        LATEST_TIERED => Ok((-1, -1)),
        MAX_TIMESTAMP => log.max_timestamp_offset().map(visible).map_err(failed),
        at => log.offset_for_timestamp(at).map(visible).map_err(failed),
    }
}

pub(super) fn offset_for_leader_epoch(
    broker: &Broker,
    call: &Call,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    // Whoever may act for the cluster may ask for all its topics.
    let cluster = call.allows(broker, Operation::ClusterAction, ResourceType::Cluster, CLUSTER);
    let topics = request.topics.into_iter().map(|topic| {
        let allowed = if cluster { Ok(()) } else { may_describe(broker, call, &topic.topic) };
        let partitions = topic.partitions.iter().map(|wanted| {
            let answer = EpochEndOffset::default().with_partition(wanted.partition);
            let found = allowed
                .and_then(|()| partition(broker, &topic.topic, wanted.partition))
                .and_then(|p| check_leader_epoch(wanted.current_leader_epoch).map(|()| p));
            match found {
                // The one epoch ends where the log ends; of others nothing is known.
                Ok(partition) if wanted.leader_epoch == LEADER_EPOCH => {
                    answer.with_leader_epoch(LEADER_EPOCH).with_end_offset(partition.log().end_offset())
                }
                Ok(_) => answer.with_leader_epoch(-1).with_end_offset(-1),
                Err(code) => answer.with_error_code(code.code()).with_leader_epoch(-1).with_end_offset(-1),
            }
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}

pub(super) async fn delete_records(
    broker: Arc<Broker>,
    call: &Call,
    request: DeleteRecordsRequest,
) -> Result<DeleteRecordsResponse, RequestError> {
    let call = call.clone();
    off_task(move || {
        let topics = request.topics.into_iter().map(|topic| {
            let allowed = allowed(&broker, &call, Operation::Delete, &topic.name);
            let partitions = topic.partitions.iter().map(|wanted| {
                let answer =
                    DeleteRecordsPartitionResult::default().with_partition_index(wanted.partition_index);
                let deleted = allowed.and_then(|()| {
                    delete_before(&broker, &topic.name, wanted.partition_index, wanted.offset)
                });
                match deleted {
                    Ok(start) => answer.with_low_watermark(start),
                    Err(code) => answer.with_low_watermark(-1).with_error_code(code.code()),
                }
            });
            let partitions = partitions.collect();
            DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions)
        });
        DeleteRecordsResponse::default().with_topics(topics.collect())
    })
    .await
}

/// -1 stands for the high watermark.
fn delete_before(broker: &Broker, name: &str, index: i32, offset: i64) -> Result<i64, E> {
    let topic = broker.topics().get(name).ok_or(E::UnknownTopicOrPartition)?;
    let partition = topic.partition(index).ok_or(E::UnknownTopicOrPartition)?;
    if is_internal(name) {
        return Err(E::InvalidTopicException);
    }
    if topic.configs().get("cleanup.policy").is_some_and(|policy| policy == "compact") {
        return Err(E::PolicyViolation);
    }
    let end = partition.log().high_watermark();
    let offset = if offset == -1 { end } else { offset };
    if offset < 0 || offset > end {
        return Err(E::OffsetOutOfRange);
    }
    partition.log().delete_records_before(offset).map_err(|error| {
        tracing::error!(?partition, offset, %error, "cannot delete records");
        code_of(&error)
    })
}
