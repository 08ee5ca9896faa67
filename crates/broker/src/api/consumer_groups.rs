//! ConsumerGroupHeartbeat, ConsumerGroupDescribe: groups of the consumer protocol (KIP-848).

use super::groups::{authorized_operations, may, owned};
use super::{Call, RequestError, text};
use crate::broker::Broker;
use crate::group::{Assignment, DescribedConsumer, GroupError, Heartbeat};
use crate::security::{Operation, ResourceType};
use crate::wait::awaited;
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::consumer_group_describe_response as describing;
use kafka_protocol::messages::consumer_group_heartbeat_response as beating;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, TopicName,
};

pub(super) async fn heartbeat(
    broker: &Broker,
    call: &Call,
    request: ConsumerGroupHeartbeatRequest,
) -> Result<ConsumerGroupHeartbeatResponse, RequestError> {
    let failed = |code: E, message: &str| {
        ConsumerGroupHeartbeatResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(text(message)))
    };
    if !may(call, broker, Operation::Read, &request.group_id) {
        return Ok(failed(E::GroupAuthorizationFailed, "Group authorization failed."));
    }
    let sees = |topic: &str| call.allows(broker, Operation::Describe, ResourceType::Topic, topic);
    if request.subscribed_topic_names.iter().flatten().any(|topic| !sees(topic)) {
        return Ok(failed(E::TopicAuthorizationFailed, "Topic authorization failed."));
    }
    let heartbeat = Heartbeat {
        member_id: request.member_id.to_string(),
        epoch: request.member_epoch,
        instance_id: owned(&request.instance_id),
        rack_id: owned(&request.rack_id),
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        names: request.subscribed_topic_names.map(|t| t.iter().map(|t| t.to_string()).collect()),
        regex: owned(&request.subscribed_topic_regex),
        assignor: owned(&request.server_assignor),
        owned: request.topic_partitions.map(|topics| {
            let mut owned = Assignment::new();
            for topic in topics {
                owned.entry(topic.topic_id).or_default().extend(topic.partitions);
            }
            owned.retain(|_, partitions| !partitions.is_empty());
            owned
        }),
        client_id: call.client_id.clone(),
        client_host: call.client.host.clone(),
    };
    let (done, answered) = awaited();
    broker.groups().consumer_heartbeat(&request.group_id, heartbeat, call.version >= 1, &sees, done);
    Ok(match answered.await.map_err(|_| RequestError::Closing)? {
        Err(GroupError { code, message }) => failed(code, &message),
        Ok(answer) => ConsumerGroupHeartbeatResponse::default()
            .with_member_id(Some(text(&answer.member_id)))
            .with_member_epoch(answer.epoch)
            .with_heartbeat_interval_ms(answer.interval_ms)
            .with_assignment(answer.assignment.map(|assignment| {
                let topics = assignment.into_iter().map(|(topic, partitions)| {
                    beating::TopicPartitions::default()
                        .with_topic_id(topic)
                        .with_partitions(partitions.into_iter().collect())
                });
                beating::Assignment::default().with_topic_partitions(topics.collect())
            })),
    })
}

pub(super) fn describe(
    broker: &Broker,
    call: &Call,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let groups = request.group_ids.into_iter().map(|id| {
        let described = describing::DescribedGroup::default().with_group_id(id.clone());
        if !may(call, broker, Operation::Describe, &id) {
            return described.with_error_code(E::GroupAuthorizationFailed.code());
        }
        let group = match broker.groups().describe_consumer(&id) {
            Ok(group) => group,
            Err(GroupError { code, message }) => {
                return described.with_error_code(code.code()).with_error_message(Some(text(&message)));
            }
        };
        let members: Vec<_> = group.members.into_iter().map(|m| member(broker, call.version, m)).collect();
        let seen = |assignment: &describing::Assignment| {
            assignment
                .topic_partitions
                .iter()
                .all(|t| call.allows(broker, Operation::Describe, ResourceType::Topic, &t.topic_name))
        };
        if !members.iter().all(|m| seen(&m.assignment) && seen(&m.target_assignment)) {
            let message = "The group has described topic(s) that the client is not authorized to describe.";
            return described
                .with_error_code(E::TopicAuthorizationFailed.code())
                .with_error_message(Some(text(message)));
        }
        let described = described
            .with_group_state(text(group.state))
            .with_group_epoch(group.epoch)
            .with_assignment_epoch(group.assignment_epoch)
            .with_assignor_name(text(&group.assignor))
            .with_members(members);
        if request.include_authorized_operations {
            described.with_authorized_operations(authorized_operations(call, broker, &id))
        } else {
            described
        }
    });
    ConsumerGroupDescribeResponse::default().with_groups(groups.collect())
}

/// A member's type, by its protocol.
const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

fn member(broker: &Broker, version: i16, member: DescribedConsumer) -> describing::Member {
    let assignment = |assignment: Assignment| {
        let topics = assignment.into_iter().filter_map(|(id, partitions)| {
            let topic = broker.topics().by_id(&id)?;
            Some(
                describing::TopicPartitions::default()
                    .with_topic_id(id)
                    .with_topic_name(TopicName(text(&topic.name)))
                    .with_partitions(partitions.into_iter().collect()),
            )
        });
        describing::Assignment::default().with_topic_partitions(topics.collect())
    };
    let kind = if member.is_classic { CLASSIC_MEMBER } else { CONSUMER_MEMBER };
    let described = describing::Member::default()
        .with_member_id(text(&member.id))
        .with_instance_id(member.instance_id.as_deref().map(text))
        .with_rack_id(member.rack_id.as_deref().map(text))
        .with_member_epoch(member.epoch)
        .with_client_id(text(&member.client_id))
        .with_client_host(text(&member.client_host))
        .with_subscribed_topic_names(member.names.iter().map(|n| TopicName(text(n))).collect())
        .with_subscribed_topic_regex(member.regex.as_deref().map(text))
        .with_assignment(assignment(member.assigned))
        .with_target_assignment(assignment(member.target));
    if version >= 1 { described.with_member_type(kind) } else { described }
}
