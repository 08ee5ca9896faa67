//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup, ListGroups, DescribeGroups, DeleteGroups: groups of the classic protocol, and what
//! is asked about groups of either.

use super::{Call, RequestError, off_task, text};
use crate::broker::Broker;
use crate::error::number;
use crate::group::{GroupError, JoinRequest, JoinResponse, MemberRef, SyncRequest, SyncResponse};
use crate::security::{CLUSTER, Operation, ResourceType};
use crate::wait::awaited;
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, GroupId,
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) fn owned(text: &Option<StrBytes>) -> Option<String> {
    text.as_ref().map(|t| t.to_string())
}

pub(super) fn may(call: &Call, broker: &Broker, operation: Operation, group: &str) -> bool {
    call.allows(broker, operation, ResourceType::Group, group)
}

/// The bits of what the caller may do with a group.
pub(super) fn authorized_operations(call: &Call, broker: &Broker, group: &str) -> i32 {
    use Operation::{AlterConfigs, Delete, Describe, DescribeConfigs, Read};
    let all = [Read, Delete, Describe, DescribeConfigs, AlterConfigs];
    all.into_iter().filter(|o| may(call, broker, *o, group)).fold(0, |bits, o| bits | (1 << (o as i8)))
}

pub(super) async fn join(
    broker: &Broker,
    call: &Call,
    request: JoinGroupRequest,
) -> Result<JoinGroupResponse, RequestError> {
    let rebalance = if call.version >= 1 { request.rebalance_timeout_ms } else { request.session_timeout_ms };
    let join = JoinRequest {
        member_id: request.member_id.to_string(),
        instance_id: owned(&request.group_instance_id),
        client_id: call.client_id.clone(),
        client_host: call.client.host.clone(),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: rebalance,
        protocol_type: request.protocol_type.to_string(),
        protocols: request.protocols.into_iter().map(|p| (p.name.to_string(), p.metadata)).collect(),
        require_known_member_id: call.version >= 4,
        knows_skip_assignment: call.version >= 9,
    };
    let joined = if may(call, broker, Operation::Read, &request.group_id) {
        let (done, joined) = awaited();
        broker.groups().join(&request.group_id, join, Box::new(done));
        joined.await.map_err(|_| RequestError::Closing)?
    } else {
        JoinResponse::failed("", E::GroupAuthorizationFailed)
    };
    let members = joined.members.into_iter().map(|m| {
        JoinGroupResponseMember::default()
            .with_member_id(text(&m.member_id))
            .with_group_instance_id(m.instance_id.as_deref().map(text))
            .with_metadata(m.metadata)
    });
    // Before version 7 the protocol is not nullable.
    let protocol = joined.protocol.as_deref().map(text);
    let protocol = if call.version >= 7 { protocol } else { Some(protocol.unwrap_or_default()) };
    Ok(JoinGroupResponse::default()
        .with_error_code(number(joined.error))
        .with_generation_id(joined.generation)
        .with_protocol_type(joined.protocol_type.as_deref().map(text))
        .with_protocol_name(protocol)
        .with_leader(text(&joined.leader))
        .with_member_id(text(&joined.member_id))
        .with_skip_assignment(call.version >= 9 && joined.skip_assignment)
        .with_members(members.collect()))
}

pub(super) async fn sync(
    broker: &Broker,
    call: &Call,
    request: SyncGroupRequest,
) -> Result<SyncGroupResponse, RequestError> {
    let sync = SyncRequest {
        member_id: request.member_id.to_string(),
        instance_id: owned(&request.group_instance_id),
        generation: request.generation_id,
        protocol_type: owned(&request.protocol_type).filter(|_| call.version >= 5),
        protocol: owned(&request.protocol_name).filter(|_| call.version >= 5),
        assignments: request
            .assignments
            .into_iter()
            .map(|a| (a.member_id.to_string(), a.assignment))
            .collect(),
    };
    let synced = if call.version >= 5 && (sync.protocol_type.is_none() || sync.protocol.is_none()) {
        SyncResponse::failed(E::InconsistentGroupProtocol)
    } else if !may(call, broker, Operation::Read, &request.group_id) {
        SyncResponse::failed(E::GroupAuthorizationFailed)
    } else {
        let (done, synced) = awaited();
        broker.groups().sync(&request.group_id, sync, Box::new(done));
        synced.await.map_err(|_| RequestError::Closing)?
    };
    Ok(SyncGroupResponse::default()
        .with_error_code(number(synced.error))
        .with_protocol_type(synced.protocol_type.as_deref().map(text))
        .with_protocol_name(synced.protocol.as_deref().map(text))
        .with_assignment(synced.assignment))
}

pub(super) fn heartbeat(broker: &Broker, call: &Call, request: HeartbeatRequest) -> HeartbeatResponse {
    let member =
        MemberRef { member_id: &request.member_id, instance_id: request.group_instance_id.as_deref() };
    let result = if may(call, broker, Operation::Read, &request.group_id) {
        broker.groups().heartbeat(&request.group_id, member, request.generation_id)
    } else {
        Err(E::GroupAuthorizationFailed)
    };
    HeartbeatResponse::default().with_error_code(number(result.err()))
}

pub(super) fn leave(broker: &Broker, call: &Call, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let refused = if !may(call, broker, Operation::Read, &request.group_id) {
        Some(E::GroupAuthorizationFailed)
    } else if request.group_id.is_empty() {
        Some(E::InvalidGroupId)
    } else {
        None
    };
    if refused.is_some() {
        return LeaveGroupResponse::default().with_error_code(number(refused));
    }
    if call.version <= 2 {
        let member = MemberRef { member_id: &request.member_id, instance_id: None };
        let result = broker.groups().leave(&request.group_id, member);
        return LeaveGroupResponse::default().with_error_code(number(result.err()));
    }
    let members = request.members.into_iter().map(|leaving| {
        let member =
            MemberRef { member_id: &leaving.member_id, instance_id: leaving.group_instance_id.as_deref() };
        let result = broker.groups().leave(&request.group_id, member);
        if result.is_ok() {
            let (group, reason) =
                (request.group_id.as_str(), leaving.reason.as_deref().unwrap_or("not provided"));
            tracing::info!(group, member = member.member_id, reason, "a member left");
        }
        MemberResponse::default()
            .with_error_code(number(result.err()))
            .with_member_id(leaving.member_id)
            .with_group_instance_id(leaving.group_instance_id)
    });
    LeaveGroupResponse::default().with_members(members.collect())
}

pub(super) fn list(broker: &Broker, call: &Call, request: ListGroupsRequest) -> ListGroupsResponse {
    let matches = |filter: &[StrBytes], value: &str| {
        filter.is_empty() || filter.iter().any(|f| f.trim().eq_ignore_ascii_case(value))
    };
    let all = call.allows(broker, Operation::Describe, ResourceType::Cluster, CLUSTER);
    let groups = broker
        .groups()
        .list()
        .into_iter()
        .filter(|g| matches(&request.states_filter, g.state) && matches(&request.types_filter, g.kind))
        .filter(|g| all || may(call, broker, Operation::Describe, &g.id))
        .map(|group| {
            let listed = ListedGroup::default()
                .with_group_id(GroupId(text(&group.id)))
                .with_protocol_type(text(&group.protocol_type));
            let listed = if call.version >= 4 { listed.with_group_state(text(group.state)) } else { listed };
            if call.version >= 5 { listed.with_group_type(text(group.kind)) } else { listed }
        });
    ListGroupsResponse::default().with_groups(groups.collect())
}

pub(super) fn describe(
    broker: &Broker,
    call: &Call,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let groups = request.groups.into_iter().map(|id| {
        if !may(call, broker, Operation::Describe, &id) {
            return DescribedGroup::default()
                .with_group_id(id)
                .with_error_code(E::GroupAuthorizationFailed.code());
        }
        let name = id.to_string();
        let mut described = match broker.groups().describe_classic(&id) {
            Ok(group) => described(id, group),
            Err(GroupError { code, message }) => {
                let dead = DescribedGroup::default().with_group_id(id).with_group_state(text("Dead"));
                if call.version < 6 {
                    dead
                } else {
                    dead.with_error_code(code.code()).with_error_message(Some(text(&message)))
                }
            }
        };
        if call.version >= 3 && request.include_authorized_operations && described.error_code == 0 {
            described.authorized_operations = authorized_operations(call, broker, &name);
        }
        described
    });
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

fn described(id: GroupId, group: crate::group::DescribedGroup) -> DescribedGroup {
    let members = group.members.into_iter().map(|(id, instance, client, host, metadata, assignment)| {
        DescribedGroupMember::default()
            .with_member_id(text(&id))
            .with_group_instance_id(instance.as_deref().map(text))
            .with_client_id(text(&client))
            .with_client_host(text(&host))
            .with_member_metadata(metadata)
            .with_member_assignment(assignment)
    });
    DescribedGroup::default()
        .with_group_id(id)
        .with_group_state(text(group.state.name()))
        .with_protocol_type(text(&group.protocol_type))
        .with_protocol_data(text(&group.protocol))
        .with_members(members.collect())
}

pub(super) async fn delete(
    broker: Arc<Broker>,
    call: &Call,
    request: DeleteGroupsRequest,
) -> Result<DeleteGroupsResponse, RequestError> {
    let mut names = BTreeSet::new();
    let groups: Vec<GroupId> =
        request.groups_names.into_iter().filter(|g| names.insert(g.to_string())).collect();
    let allowed: Vec<bool> = groups.iter().map(|g| may(call, &broker, Operation::Delete, g)).collect();
    // Waits until the deletions are durable.
    let results = off_task(move || {
        let each = groups.into_iter().zip(allowed).map(|(group, allowed)| {
            let result =
                if allowed { broker.groups().delete(&group) } else { Err(E::GroupAuthorizationFailed) };
            DeletableGroupResult::default().with_error_code(number(result.err())).with_group_id(group)
        });
        each.collect()
    })
    .await?;
    Ok(DeleteGroupsResponse::default().with_results(results))
}
