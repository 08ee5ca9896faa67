//! Error codes and texts of group requests, byte by byte over a socket.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

mod support;

use bytes::Bytes;
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use std::time::Duration;
use support::raw::Raw;
use support::*;

fn s(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn group(name: &str) -> GroupId {
    GroupId(s(name))
}

fn topic(name: &str) -> TopicName {
    TopicName(s(name))
}

fn code(error: E) -> i16 {
    error.code()
}

/// A consumer's metadata: subscribed to `t`.
fn subscribed_to_t() -> Bytes {
    Bytes::from_static(&[0, 0, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff])
}

fn join(member: &str) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default().with_name(s("range")).with_metadata(subscribed_to_t());
    JoinGroupRequest::default()
        .with_group_id(group("g"))
        .with_member_id(s(member))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_protocol_type(s("consumer"))
        .with_protocols(vec![protocol])
}

/// Joins and syncs a single classic member; its id.
fn classic_member(raw: &mut Raw) -> StrBytes {
    let asked = raw.call(9, &join(""));
    assert_eq!(asked.error_code, code(E::MemberIdRequired));
    let joined = raw.call(9, &join(&asked.member_id));
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    let sync = SyncGroupRequest::default()
        .with_group_id(group("g"))
        .with_generation_id(1)
        .with_member_id(asked.member_id.clone())
        .with_protocol_type(Some(s("consumer")))
        .with_protocol_name(Some(s("range")));
    assert_eq!(raw.call(5, &sync).error_code, 0);
    // From version 5 on both names are to be given.
    let silent = sync.with_protocol_name(None);
    assert_eq!(raw.call(5, &silent).error_code, code(E::InconsistentGroupProtocol));
    asked.member_id
}

fn beat(member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group("g"))
        .with_member_id(s(member))
        .with_member_epoch(epoch)
        .with_rebalance_timeout_ms(-1)
        .with_subscribed_topic_names(None)
        .with_topic_partitions(None)
}

fn join_consumer(member: &str) -> ConsumerGroupHeartbeatRequest {
    beat(member, 0)
        .with_rebalance_timeout_ms(60_000)
        .with_subscribed_topic_names(Some(vec![topic("t")]))
        .with_topic_partitions(Some(vec![]))
}

fn commit(member: &str, epoch: i32) -> OffsetCommitRequest {
    let partition = |index: i32| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(index)
            .with_committed_offset(7)
            .with_committed_metadata(Some(s("m")))
    };
    let of_t = OffsetCommitRequestTopic::default()
        .with_name(topic("t"))
        .with_partitions(vec![partition(0), partition(99)]);
    OffsetCommitRequest::default()
        .with_group_id(group("g"))
        .with_member_id(s(member))
        .with_generation_id_or_member_epoch(epoch)
        .with_topics(vec![of_t])
}

fn committed(raw: &mut Raw, version: i16, request: &OffsetCommitRequest) -> [i16; 2] {
    let answer = raw.call(version, request);
    let of_t = &answer.topics[0].partitions;
    [of_t[0].error_code, of_t[1].error_code]
}

fn delete_offset(raw: &mut Raw, name: &str) -> (i16, i16) {
    let of_topic = OffsetDeleteRequestTopic::default()
        .with_name(topic(name))
        .with_partitions(vec![OffsetDeleteRequestPartition::default().with_partition_index(0)]);
    let answer =
        raw.call(0, &OffsetDeleteRequest::default().with_group_id(group("g")).with_topics(vec![of_topic]));
    (answer.error_code, answer.topics.first().map_or(0, |t| t.partitions[0].error_code))
}

fn server_with_topics(dir: &std::path::Path) -> (TestBroker, Raw) {
    let server = start(dir);
    server.broker.topics().create("t", 2, Default::default()).unwrap();
    server.broker.topics().create("other", 1, Default::default()).unwrap();
    let raw = Raw::connect(&server.address);
    (server, raw)
}

#[test]
fn a_classic_group_as_administrators_and_others_see_it() {
    let dir = tempfile::tempdir().unwrap();
    let (server, mut raw) = server_with_topics(dir.path());
    // Not there yet.
    let describe = DescribeGroupsRequest::default().with_groups(vec![group("g")]);
    let dead = raw.call(5, &describe).groups.remove(0);
    assert_eq!((dead.error_code, dead.group_state.as_str()), (0, "Dead"));
    let missing = raw.call(6, &describe).groups.remove(0);
    assert_eq!(missing.error_code, code(E::GroupIdNotFound));
    assert_eq!(missing.error_message.as_deref(), Some("Group g not found."));
    assert_eq!(committed(&mut raw, 8, &commit("m", 1)), [code(E::IllegalGeneration), 3]);
    assert_eq!(committed(&mut raw, 9, &commit("m", 1)), [code(E::GroupIdNotFound), 3]);
    assert_eq!(delete_offset(&mut raw, "t").0, code(E::GroupIdNotFound));

    let member = classic_member(&mut raw);
    let described = raw.call(6, &describe.clone().with_include_authorized_operations(true)).groups.remove(0);
    assert_eq!((described.group_state.as_str(), described.protocol_data.as_str()), ("Stable", "range"));
    assert_eq!(described.members[0].member_metadata, subscribed_to_t());
    // READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS
    assert_eq!(described.authorized_operations, 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11);
    let listed = |raw: &mut Raw, states: &[&str], types: &[&str]| -> Vec<(String, String)> {
        let request = ListGroupsRequest::default()
            .with_states_filter(states.iter().map(|t| s(t)).collect())
            .with_types_filter(types.iter().map(|t| s(t)).collect());
        let groups = raw.call(5, &request).groups;
        groups.iter().map(|g| (g.group_state.to_string(), g.group_type.to_string())).collect()
    };
    let stable = [("Stable".to_owned(), "Classic".to_owned())];
    assert_eq!(listed(&mut raw, &[], &[]), stable);
    assert_eq!(listed(&mut raw, &["stable"], &["classic"]), stable);
    assert_eq!(listed(&mut raw, &["Empty"], &[]), []);
    assert_eq!(listed(&mut raw, &[], &["consumer"]), []);

    // The other protocol's requests do not fit.
    assert_eq!(raw.call(1, &beat("x", 1)).error_message.as_deref(), Some("Group g is not a consumer group."));
    let other = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group("g")]);
    let other = raw.call(1, &other).groups.remove(0);
    assert_eq!(other.error_code, code(E::GroupIdNotFound));
    assert_eq!(other.error_message.as_deref(), Some("Group g is not a consumer group."));

    assert_eq!(committed(&mut raw, 9, &commit(&member, 0)), [code(E::IllegalGeneration), 3]);
    assert_eq!(committed(&mut raw, 9, &commit("x", 1)), [code(E::UnknownMemberId), 3]);
    assert_eq!(committed(&mut raw, 9, &commit(&member, 1)), [0, 3]);
    let mut long = commit(&member, 1);
    long.topics[0].partitions[0].committed_metadata = Some(s(&"m".repeat(4_097)));
    assert_eq!(committed(&mut raw, 9, &long), [code(E::OffsetMetadataTooLarge), 3]);
    assert_eq!(delete_offset(&mut raw, "t"), (0, code(E::GroupSubscribedToTopic)));
    assert_eq!(delete_offset(&mut raw, "other"), (0, 0));
    assert_eq!(delete_offset(&mut raw, "no-such"), (0, code(E::UnknownTopicOrPartition)));

    let leave = |member: &str, instance: Option<&str>| {
        let who = MemberIdentity::default()
            .with_member_id(s(member))
            .with_group_instance_id(instance.map(s))
            .with_reason(Some(s("because")));
        LeaveGroupRequest::default().with_group_id(group("g")).with_members(vec![who])
    };
    assert_eq!(raw.call(5, &leave("x", None)).members[0].error_code, code(E::UnknownMemberId));
    assert_eq!(raw.call(5, &leave("", Some("i"))).members[0].error_code, code(E::UnknownMemberId));
    let delete = DeleteGroupsRequest::default().with_groups_names(vec![group("g"), group("g"), group("no")]);
    let deleted = raw.call(2, &delete).results;
    assert_eq!(
        deleted.iter().map(|r| r.error_code).collect::<Vec<_>>(),
        [code(E::NonEmptyGroup), code(E::GroupIdNotFound)]
    );
    assert_eq!(raw.call(5, &leave(&member, None)).members[0].error_code, 0);
    assert_eq!(delete_offset(&mut raw, "t"), (0, 0));
    assert_eq!(raw.call(2, &delete).results[0].error_code, 0);
    assert!(listed(&mut raw, &[], &[]).is_empty());
    drop(raw);
    server.stop();
}

#[test]
fn a_consumer_protocol_group_as_members_and_administrators_see_it() {
    let dir = tempfile::tempdir().unwrap();
    let (server, mut raw) = server_with_topics(dir.path());
    let missing = raw.call(1, &beat("a", 1));
    assert_eq!(missing.error_code, code(E::GroupIdNotFound));
    assert_eq!(missing.error_message.as_deref(), Some("Consumer group g not found."));
    // In version 0 the coordinator makes the id.
    let made = raw.call(0, &join_consumer(""));
    assert_eq!((made.error_code, made.member_epoch), (0, 1));
    assert_eq!(made.member_id.as_ref().unwrap().len(), 22);
    assert_eq!(raw.call(0, &beat(made.member_id.as_deref().unwrap(), -1)).member_epoch, -1);

    let joined = raw.call(1, &join_consumer("a"));
    assert_eq!((joined.member_epoch, joined.heartbeat_interval_ms), (3, 100));
    let assigned = &joined.assignment.as_ref().unwrap().topic_partitions;
    let id = server.broker.topics().get("t").unwrap().id;
    assert_eq!((assigned[0].topic_id, &assigned[0].partitions[..]), (id, &[0, 1][..]));
    assert!(raw.call(1, &beat("a", 3)).assignment.is_none(), "nothing new");
    for (request, error) in [
        (beat("a", 4), E::FencedMemberEpoch),
        (beat("x", 3), E::UnknownMemberId),
        (join_consumer("b").with_server_assignor(Some(s("sticky"))), E::UnsupportedAssignor),
        (join_consumer("b").with_subscribed_topic_regex(Some(s("["))), E::InvalidRegularExpression),
        (join_consumer("b").with_topic_partitions(None), E::InvalidRequest),
        (
            join_consumer("b")
                .with_topic_partitions(Some(vec![TopicPartitions::default().with_topic_id(id)]))
                .with_rebalance_timeout_ms(-1),
            E::InvalidRequest,
        ),
    ] {
        assert_eq!(raw.call(1, &request).error_code, code(error), "{request:?}");
    }
    // The classic tools do not see it.
    let describe = DescribeGroupsRequest::default().with_groups(vec![group("g")]);
    assert_eq!(raw.call(5, &describe).groups[0].group_state.as_str(), "Dead");
    let no = raw.call(6, &describe).groups.remove(0);
    assert_eq!(no.error_message.as_deref(), Some("Group g is not a classic group."));

    assert_eq!(committed(&mut raw, 9, &commit("a", 2)), [code(E::StaleMemberEpoch), 3]);
    assert_eq!(committed(&mut raw, 9, &commit("x", 3)), [code(E::UnknownMemberId), 3]);
    assert_eq!(committed(&mut raw, 9, &commit("a", 3)), [0, 3]);
    assert_eq!(delete_offset(&mut raw, "t"), (0, code(E::GroupSubscribedToTopic)));
    assert_eq!(delete_offset(&mut raw, "other"), (0, 0));

    // Several groups in one OffsetFetch, each with its own error.
    let fetch = |member: Option<&str>, epoch: i32| {
        let of_t =
            OffsetFetchRequestTopics::default().with_name(topic("t")).with_partition_indexes(vec![0, 1]);
        let asked = OffsetFetchRequestGroup::default()
            .with_group_id(group("g"))
            .with_member_id(member.map(s))
            .with_member_epoch(epoch)
            .with_topics(Some(vec![of_t]));
        let unknown = OffsetFetchRequestGroup::default().with_group_id(group("no")).with_topics(None);
        OffsetFetchRequest::default().with_groups(vec![asked, unknown]).with_require_stable(true)
    };
    for (member, epoch, error) in [
        (None, -1, 0),
        (Some("a"), 3, 0),
        (Some("a"), 2, code(E::StaleMemberEpoch)),
        (Some("x"), 3, code(E::UnknownMemberId)),
    ] {
        let answer = raw.call(9, &fetch(member, epoch));
        assert_eq!(
            (answer.groups[0].error_code, answer.groups[1].error_code),
            (error, 0),
            "{member:?} {epoch}"
        );
        if error == 0 {
            let found: Vec<_> =
                answer.groups[0].topics[0].partitions.iter().map(|p| p.committed_offset).collect();
            assert_eq!(found, [7, -1]);
        }
    }

    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group("g"), group("no")]);
    let described = raw.call(1, &request).groups;
    assert_eq!(described[1].error_message.as_deref(), Some("Group no not found."));
    let g = &described[0];
    assert_eq!((g.group_state.as_str(), g.group_epoch, g.assignment_epoch), ("Stable", 3, 3));
    assert_eq!(g.assignor_name.as_str(), "uniform");
    let member = &g.members[0];
    assert_eq!((member.member_id.as_str(), member.member_epoch, member.member_type), ("a", 3, 1));
    assert_eq!(member.client_host.as_str(), "/127.0.0.1");
    assert_eq!(member.assignment.topic_partitions[0].topic_name, topic("t"));
    assert_eq!(member.target_assignment, member.assignment);
    drop(raw);
    server.stop();
}

#[test]
fn groups_have_a_greatest_size() {
    let dir = tempfile::tempdir().unwrap();
    let server = start_with(dir.path(), |c| (c.group_max_size, c.group_consumer_max_size) = (1, 1));
    server.broker.topics().create("t", 2, Default::default()).unwrap();
    let mut raw = Raw::connect(&server.address);
    let member = classic_member(&mut raw);
    // An id is given out, but there is no place for it.
    let mut second = Raw::connect(&server.address);
    let refused = second.call(3, &join(""));
    assert_eq!(refused.error_code, code(E::GroupMaxSizeReached));
    assert_eq!(refused.member_id.as_str(), "");
    let heartbeat =
        HeartbeatRequest::default().with_group_id(group("g")).with_generation_id(1).with_member_id(member);
    assert_eq!(raw.call(4, &heartbeat).error_code, 0, "the one that is there goes on");
    let consumer = |member: &str| join_consumer(member).with_group_id(group("h"));
    assert_eq!(raw.call(1, &consumer("a")).error_code, 0);
    assert_eq!(raw.call(1, &consumer("b")).error_code, code(E::GroupMaxSizeReached));
    drop((raw, second));
    server.stop();
}

#[test]
fn offsets_of_topics_that_nobody_uses_any_more_expire() {
    let dir = tempfile::tempdir().unwrap();
    let server = start_with(dir.path(), |c| c.offsets_retention_ms = 1);
    for name in ["t", "other"] {
        server.broker.topics().create(name, 2, Default::default()).unwrap();
    }
    let mut raw = Raw::connect(&server.address);
    let member = classic_member(&mut raw);
    let mut both = commit(&member, 1);
    both.topics.push(both.topics[0].clone().with_name(topic("other")));
    raw.call(9, &both);
    let groups = server.broker.groups();
    let has = |topic: &str| groups.committed("g", topic, 0, false).unwrap().is_some();
    assert!(has("t") && has("other"));
    until("the offset that is not used is gone", || {
        server.broker.maintain();
        !has("other")
    });
    assert!(has("t"), "a member subscribes to it");
    assert_eq!(groups.list().len(), 1);
    let who = MemberIdentity::default().with_member_id(member);
    raw.call(5, &LeaveGroupRequest::default().with_group_id(group("g")).with_members(vec![who]));
    until("the group is gone", || {
        server.broker.maintain();
        groups.list().is_empty()
    });
    drop(raw);
    server.stop();
    let server = start(dir.path());
    assert!(server.broker.groups().list().is_empty());
    server.stop();
}

#[test]
fn a_group_that_keeps_nothing_goes_when_unused_ones_are_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let server = start_with(dir.path(), |config| {
        config.maintenance_interval = Duration::from_millis(10);
        config.offsets_check_interval = Duration::from_secs(3600);
    });
    let mut raw = Raw::connect(&server.address);
    let who = MemberIdentity::default().with_member_id(classic_member(&mut raw));
    raw.call(5, &LeaveGroupRequest::default().with_group_id(group("g")).with_members(vec![who]));
    server.broker.topics().create("t", 1, [("retention.ms".to_owned(), "1".to_owned())].into()).unwrap();
    server.send("t", "old");
    let log = server.broker.topics().partition("t", 0).unwrap();
    until("retention has run", || log.log().start_offset() == 1);
    assert_eq!(server.broker.groups().list().len(), 1, "retention has no say in groups");
    drop(raw);
    server.stop();
    let server = start_with(dir.path(), |config| config.offsets_check_interval = Duration::from_millis(10));
    until("the group is gone", || server.broker.groups().list().is_empty());
    server.stop();
}

#[test]
fn no_member_is_told_an_assignment_that_is_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let faults = bd_log::testing::FaultFs::new(std::sync::Arc::new(bd_log::RealFs));
    let server = start_with(dir.path(), |config| {
        config.fs = std::sync::Arc::new(faults.clone());
        config.group_initial_rebalance_delay_ms = 200;
    });
    server.broker.topics().create("t", 1, Default::default()).unwrap();
    let mut members = [Raw::connect(&server.address), Raw::connect(&server.address)];
    assert_eq!(committed(&mut members[0], 8, &commit("", -1))[0], 0, "__consumer_offsets is there");
    members.iter_mut().for_each(|raw| raw.send(3, &join("")));
    let joined = members.each_mut().map(|raw| raw.receive::<JoinGroupRequest>(3));
    let sync = |of: &JoinGroupResponse| {
        SyncGroupRequest::default()
            .with_group_id(group("g"))
            .with_generation_id(of.generation_id)
            .with_member_id(of.member_id.clone())
    };
    let leader = joined.iter().position(|j| j.member_id == j.leader).unwrap();
    faults.fail_syncs(true);
    for index in [leader, 1 - leader] {
        let synced = members[index].call(3, &sync(&joined[index]));
        assert_eq!(synced.error_code, code(E::CoordinatorNotAvailable), "leader: {}", index == leader);
    }
    drop((members, server));
}

#[test]
fn a_group_has_intervals_of_its_own() {
    use kafka_protocol::messages::incremental_alter_configs_request::{
        AlterConfigsResource, AlterableConfig,
    };
    const GROUP: i8 = 32;
    let dir = tempfile::tempdir().unwrap();
    let (server, mut raw) = server_with_topics(dir.path());
    let set = |value: &str| {
        let config = AlterableConfig::default()
            .with_name(s("consumer.heartbeat.interval.ms"))
            .with_value(Some(s(value)));
        let resource = AlterConfigsResource::default()
            .with_resource_type(GROUP)
            .with_resource_name(s("g"))
            .with_configs(vec![config]);
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource])
    };
    assert_eq!(raw.call(1, &set("1")).responses[0].error_code, code(E::InvalidConfig));
    assert_eq!(raw.call(1, &join_consumer("a")).heartbeat_interval_ms, 100);
    assert_eq!(raw.call(1, &set("7000")).responses[0].error_code, 0);
    assert_eq!(raw.call(1, &beat("a", 1)).heartbeat_interval_ms, 7_000);
    drop(raw);
    server.stop();
}
