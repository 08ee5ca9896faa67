//! Requests about replicas and their folders, of which one node has one of each: DescribeLogDirs, AlterReplicaLogDirs,
//! ElectLeaders, AlterPartitionReassignments, ListPartitionReassignments.

use super::authorized::CLUSTER_FAILED;
use super::topics::check_assignment;
use super::{Call, text};
use crate::broker::Broker;
use crate::security::{CLUSTER, Operation, ResourceType};
use crate::topics::{Topic, TopicError};
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::alter_partition_reassignments_request::ReassignablePartition;
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse, DescribeLogDirsRequest, DescribeLogDirsResponse, ElectLeadersRequest,
    ElectLeadersResponse, ListPartitionReassignmentsResponse, TopicName,
};
use std::sync::Arc;

fn may(broker: &Broker, call: &Call, operation: Operation) -> bool {
    call.allows(broker, operation, ResourceType::Cluster, CLUSTER)
}

fn outcome(result: &Result<(), TopicError>) -> (i16, Option<String>) {
    match result {
        Ok(()) => (0, None),
        Err(error) => (error.code().code(), Some(error.to_string())),
    }
}

pub(super) fn describe_log_dirs(
    broker: &Broker,
    call: &Call,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    if !may(broker, call, Operation::Describe) {
        // Before version 3 there is no code for all: the answer is empty.
        let code = if call.version >= 3 { E::ClusterAuthorizationFailed.code() } else { 0 };
        return DescribeLogDirsResponse::default().with_error_code(code);
    }
    let wanted: Vec<(Arc<Topic>, Option<Vec<i32>>)> = match request.topics {
        None => broker.topics().all().into_iter().map(|topic| (topic, None)).collect(),
        Some(topics) => topics
            .into_iter()
            .filter_map(|t| Some((broker.topics().get(&t.topic)?, Some(t.partitions))))
            .collect(),
    };
    let topics = wanted.into_iter().map(|(topic, only)| {
        let partitions = topic.partitions().into_iter();
        let partitions = partitions.filter(|p| only.as_ref().is_none_or(|only| only.contains(&p.index)));
        let partitions = partitions.map(|partition| {
            DescribeLogDirsPartition::default()
                .with_partition_index(partition.index)
                .with_partition_size(i64::try_from(partition.log().size_bytes()).unwrap_or(i64::MAX))
        });
        DescribeLogDirsTopic::default()
            .with_name(TopicName(text(&topic.name)))
            .with_partitions(partitions.collect())
    });
    let mut dir = DescribeLogDirsResult::default()
        .with_log_dir(text(&log_dir(broker)))
        .with_topics(topics.filter(|t| !t.partitions.is_empty()).collect());
    if call.version >= 4
        && let Ok(space) = rustix::fs::statvfs(&broker.config().data_dir)
    {
        let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(space.f_frsize)).unwrap_or(i64::MAX);
        dir = dir.with_total_bytes(bytes(space.f_blocks)).with_usable_bytes(bytes(space.f_bavail));
    }
    DescribeLogDirsResponse::default().with_results(vec![dir])
}

/// The one folder, as an absolute path.
fn log_dir(broker: &Broker) -> String {
    let dir = &broker.config().data_dir;
    std::path::absolute(dir).unwrap_or_else(|_| dir.clone()).display().to_string()
}

/// A move to the folder where a partition is does nothing; there is no other.
pub(super) fn alter_log_dirs(
    broker: &Broker,
    call: &Call,
    request: AlterReplicaLogDirsRequest,
) -> AlterReplicaLogDirsResponse {
    let allowed = may(broker, call, Operation::Alter);
    let mine = log_dir(broker);
    let mut results: Vec<AlterReplicaLogDirTopicResult> = Vec::new();
    for dir in request.dirs {
        let here = dir.path.as_str() == mine;
        for topic in dir.topics {
            let partitions = topic.partitions.iter().map(|index| {
                let error = if !allowed {
                    Some(E::ClusterAuthorizationFailed)
                } else if !here {
                    Some(E::LogDirNotFound)
                } else if broker.topics().partition(&topic.name, *index).is_none() {
                    Some(E::UnknownTopicOrPartition)
                } else {
                    None
                };
                AlterReplicaLogDirPartitionResult::default()
                    .with_partition_index(*index)
                    .with_error_code(crate::error::number(error))
            });
            let partitions = partitions.collect();
            results.push(
                AlterReplicaLogDirTopicResult::default()
                    .with_topic_name(topic.name.clone())
                    .with_partitions(partitions),
            );
        }
    }
    AlterReplicaLogDirsResponse::default().with_results(results)
}

/// Every partition that exists has its one replica as leader. Asked for all, nothing is told of those.
pub(super) fn elect_leaders(
    broker: &Broker,
    call: &Call,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    if !may(broker, call, Operation::Alter) {
        return ElectLeadersResponse::default().with_error_code(E::ClusterAuthorizationFailed.code());
    }
    if call.version >= 1 && !matches!(request.election_type, 0 | 1) {
        return ElectLeadersResponse::default().with_error_code(E::InvalidRequest.code());
    }
    let results = request.topic_partitions.into_iter().flatten().map(|topic| {
        let found = broker.topics().get(&topic.topic);
        let partitions = topic.partitions.iter().map(|index| {
            let (code, message) = match &found {
                None => (E::UnknownTopicOrPartition, format!("No such topic as {}", topic.topic.as_str())),
                Some(t) if t.partition(*index).is_none() => {
                    let reason = format!("No such partition as {}-{index}", topic.topic.as_str());
                    (E::UnknownTopicOrPartition, reason)
                }
                Some(_) => {
                    let reason = "Leader election not needed for topic partition.";
                    (E::ElectionNotNeeded, reason.to_owned())
                }
            };
            PartitionResult::default()
                .with_partition_id(*index)
                .with_error_code(code.code())
                .with_error_message(Some(text(&message)))
        });
        let partitions = partitions.collect();
        ReplicaElectionResult::default().with_topic(topic.topic).with_partition_result(partitions)
    });
    ElectLeadersResponse::default().with_replica_election_results(results.collect())
}

/// The one assignment there is can be asked for; it is in force already.
pub(super) fn alter_reassignments(
    broker: &Broker,
    call: &Call,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    if !may(broker, call, Operation::Alter) {
        return AlterPartitionReassignmentsResponse::default()
            .with_error_code(E::ClusterAuthorizationFailed.code())
            .with_error_message(Some(text(CLUSTER_FAILED)));
    }
    let responses = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let (code, message) = outcome(&reassign(broker, &topic.name, partition));
            ReassignablePartitionResponse::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code)
                .with_error_message(message.map(|m| text(&m)))
        });
        let partitions = partitions.collect();
        ReassignableTopicResponse::default().with_name(topic.name).with_partitions(partitions)
    });
    AlterPartitionReassignmentsResponse::default()
        .with_error_message(None)
        .with_responses(responses.collect())
}

fn reassign(broker: &Broker, name: &str, wanted: &ReassignablePartition) -> Result<(), TopicError> {
    let unknown = |what: String| Err(TopicError::refused(E::UnknownTopicOrPartition, what));
    let Some(topic) = broker.topics().get(name) else {
        return unknown(format!("Unable to find a topic named {name}."));
    };
    if topic.partition(wanted.partition_index).is_none() {
        return unknown(format!("Unable to find partition {name}:{}.", wanted.partition_index));
    }
    match &wanted.replicas {
        Some(replicas) => check_assignment(broker, replicas),
        None => {
            Err(TopicError::refused(E::NoReassignmentInProgress, "No partition reassignment is in progress."))
        }
    }
}

/// None are ever under way.
pub(super) fn list_reassignments(broker: &Broker, call: &Call) -> ListPartitionReassignmentsResponse {
    let answer = ListPartitionReassignmentsResponse::default();
    if may(broker, call, Operation::Describe) {
        return answer.with_error_message(None);
    }
    answer
        .with_error_code(E::ClusterAuthorizationFailed.code())
        .with_error_message(Some(text(CLUSTER_FAILED)))
}
