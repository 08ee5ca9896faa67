//! DescribeTopicPartitions (KIP-966): topics in pages of partitions.

use super::authorized::topic_operations;
use super::{Call, text};
use crate::broker::Broker;
use crate::partition::LEADER_EPOCH;
use crate::security::{Operation, ResourceType};
use crate::topics::{is_internal, name};
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName,
};
use std::collections::BTreeSet;

/// `Err`: Kafka closes the connection on a cursor that cannot be.
pub(super) fn describe(
    broker: &Broker,
    call: &Call,
    request: DescribeTopicPartitionsRequest,
) -> Result<DescribeTopicPartitionsResponse, String> {
    let all = request.topics.is_empty();
    let (from, first) = match &request.cursor {
        Some(cursor) => (cursor.topic_name.to_string(), cursor.partition_index),
        None => (String::new(), 0),
    };
    if first < 0 {
        return Err(format!("cursor partition must be valid: {first}"));
    }
    let names: BTreeSet<String> = if all {
        broker.topics().all().iter().map(|t| t.name.to_string()).collect()
    } else {
        request.topics.iter().map(|t| t.name.to_string()).collect()
    };
    if request.cursor.is_some() && !all && !names.contains(&from) {
        return Err(format!("topic list should contain the cursor topic: {from}"));
    }
    let most = request.response_partition_limit.min(broker.config().max_request_partitions).max(1);
    let mut left = usize::try_from(most).unwrap_or(1);
    let (mut topics, mut denied, mut next) = (Vec::new(), Vec::new(), None);
    for name in names.range(from.clone()..) {
        if !call.allows(broker, Operation::Describe, ResourceType::Topic, name) {
            if !all {
                denied.push(refused(name, E::TopicAuthorizationFailed));
            }
            continue;
        }
        if left == 0 {
            next = next.or(Some((name.clone(), 0)));
            continue;
        }
        let start = if *name == from { first } else { 0 };
        let (topic, rest) = page(broker, call, name, start, left);
        left -= topic.partitions.len().min(left);
        topics.push(topic);
        if let Some(index) = rest {
            next = Some((name.clone(), index));
            left = 0;
        }
    }
    topics.extend(denied);
    let cursor = next.map(|(name, index)| {
        Cursor::default().with_topic_name(TopicName(text(&name))).with_partition_index(index)
    });
    Ok(DescribeTopicPartitionsResponse::default().with_topics(topics).with_next_cursor(cursor))
}

fn refused(name: &str, code: E) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(code.code())
        .with_name(Some(TopicName(text(name))))
        .with_is_internal(code != E::TopicAuthorizationFailed && is_internal(name))
}

/// At most `most` partitions of a topic from `start` on, and where to go on if there are more.
fn page(
    broker: &Broker,
    call: &Call,
    name: &str,
    start: i32,
    most: usize,
) -> (DescribeTopicPartitionsResponseTopic, Option<i32>) {
    let Some(topic) = broker.topics().get(name) else {
        let code = match name::check(name) {
            Ok(()) => E::UnknownTopicOrPartition,
            Err(_) => E::InvalidTopicException,
        };
        return (refused(name, code), None);
    };
    let me = BrokerId(broker.config().node_id);
    let count = topic.partition_count();
    let end = count.min(start.saturating_add(i32::try_from(most).unwrap_or(i32::MAX)));
    let partitions = (start..end).map(|index| {
        DescribeTopicPartitionsResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(me)
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(vec![me])
            .with_isr_nodes(vec![me])
            .with_eligible_leader_replicas(Some(Vec::new()))
            .with_last_known_elr(Some(Vec::new()))
    });
    let answer = DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(TopicName(text(name))))
        .with_topic_id(topic.id)
        .with_is_internal(is_internal(name))
        .with_topic_authorized_operations(topic_operations(call, broker, name))
        .with_partitions(partitions.collect());
    (answer, (end < count).then_some(end))
}
