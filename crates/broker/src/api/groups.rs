//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup, ListGroups, DescribeGroups, DeleteGroups.

use super::{Call, RequestError, text};
use crate::broker::Broker;
use crate::error::number;
use crate::group::{JoinRequest, MemberRef, SyncRequest};
use crate::wait::awaited;
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

fn owned(text: &Option<StrBytes>) -> Option<String> {
    text.as_ref().map(|t| t.to_string())
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
    let (done, joined) = awaited();
    broker.groups().join(&request.group_id, join, Box::new(done));
    let joined = joined.await.map_err(|_| RequestError::Closing)?;
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
    let (done, synced) = awaited();
    broker.groups().sync(&request.group_id, sync, Box::new(done));
    let synced = synced.await.map_err(|_| RequestError::Closing)?;
    Ok(SyncGroupResponse::default()
        .with_error_code(number(synced.error))
        .with_protocol_type(synced.protocol_type.as_deref().map(text))
        .with_protocol_name(synced.protocol.as_deref().map(text))
        .with_assignment(synced.assignment))
}

pub(super) fn heartbeat(broker: &Broker, request: HeartbeatRequest) -> HeartbeatResponse {
    let member =
        MemberRef { member_id: &request.member_id, instance_id: request.group_instance_id.as_deref() };
    let result = broker.groups().heartbeat(&request.group_id, member, request.generation_id);
    HeartbeatResponse::default().with_error_code(number(result.err()))
}

pub(super) fn leave(broker: &Broker, call: &Call, request: LeaveGroupRequest) -> LeaveGroupResponse {
    if call.version <= 2 {
        let member = MemberRef { member_id: &request.member_id, instance_id: None };
        let result = broker.groups().leave(&request.group_id, member);
        return LeaveGroupResponse::default().with_error_code(number(result.err()));
    }
    let members = request.members.into_iter().map(|leaving| {
        let member =
            MemberRef { member_id: &leaving.member_id, instance_id: leaving.group_instance_id.as_deref() };
        let result = broker.groups().leave(&request.group_id, member);
        MemberResponse::default()
            .with_error_code(number(result.err()))
            .with_member_id(leaving.member_id)
            .with_group_instance_id(leaving.group_instance_id)
    });
    LeaveGroupResponse::default().with_members(members.collect())
}

pub(super) fn list(broker: &Broker, request: ListGroupsRequest) -> ListGroupsResponse {
    let wanted = |state: &str| {
        request.states_filter.is_empty()
            || request.states_filter.iter().any(|s| s.eq_ignore_ascii_case(state))
    };
    let groups = broker.groups().list().into_iter().filter(|g| wanted(g.state.name())).map(|group| {
        ListedGroup::default()
            .with_group_id(GroupId(text(&group.id)))
            .with_protocol_type(text(&group.protocol_type))
            .with_group_state(text(group.state.name()))
    });
    ListGroupsResponse::default().with_groups(groups.collect())
}

pub(super) fn describe(broker: &Broker, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let groups = request.groups.into_iter().map(|id| {
        let group = broker.groups().describe(&id);
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
    });
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

pub(super) fn delete(broker: &Broker, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let results = request.groups_names.into_iter().map(|group| {
        let result = broker.groups().delete(&group);
        DeletableGroupResult::default().with_error_code(number(result.err())).with_group_id(group)
    });
    DeleteGroupsResponse::default().with_results(results.collect())
}
