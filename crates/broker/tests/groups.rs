//! Consumer groups of librdkafka: sharing, rebalances, committed offsets over restarts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

mod support;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use support::members::{owned, poll_until};
use support::*;

fn member(server: &TestBroker, settings: &[(&str, &str)]) -> BaseConsumer {
    let often = [("heartbeat.interval.ms", "100"), ("session.timeout.ms", "6000")];
    members::join(server, &["t"], &[&often, settings])
}

#[test]
fn members_share_the_partitions_and_take_over_from_those_that_leave() {
    for assignor in ["range", "cooperative-sticky"] {
        let dir = tempfile::tempdir().unwrap();
        let server = start(dir.path());
        server.broker.topics().create("t", 4, Default::default()).unwrap();
        let settings = [("partition.assignment.strategy", assignor)];
        let a = member(&server, &settings);
        poll_until(&[&a], |sets| sets[0].len() == 4);
        let b = member(&server, &settings);
        poll_until(&[&a, &b], |sets| {
            sets[0].len() == 2 && sets[1].len() == 2 && sets[0].is_disjoint(&sets[1])
        });
        assert_eq!(server.broker.groups().describe("group").members.len(), 2);
        drop(a);
        poll_until(&[&b], |sets| sets[0].len() == 4);
        drop(b);
        server.stop();
    }
}

#[test]
fn a_member_that_dies_loses_its_partitions_when_its_session_ends() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    server.broker.topics().create("t", 2, Default::default()).unwrap();
    // Joined in process and never heard of again.
    let (sender, receiver) = std::sync::mpsc::channel();
    let request = bd_broker::group::JoinRequest {
        member_id: String::new(),
        instance_id: None,
        client_id: "dead".into(),
        client_host: String::new(),
        session_timeout_ms: 300,
        rebalance_timeout_ms: 300,
        protocol_type: "consumer".into(),
        protocols: vec![(
            "range".into(),
            bytes::Bytes::from_static(&[0, 0, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 0]),
        )],
        require_known_member_id: false,
        knows_skip_assignment: false,
    };
    server.broker.groups().join("group", request, Box::new(move |joined| sender.send(joined).unwrap()));
    assert_eq!(receiver.recv_timeout(PATIENCE).unwrap().error, None);
    let consumer = member(&server, &[]);
    poll_until(&[&consumer], |sets| sets[0].len() == 2);
    assert_eq!(server.broker.groups().describe("group").members.len(), 1);
    drop(consumer);
    server.stop();
}

#[test]
fn a_group_goes_on_from_its_committed_offsets_after_restarts_and_crashes() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = start(dir.path());
    let producer = server.producer(&[]);
    (0..30).for_each(|i| producer.send("t", 0, &i.to_string()));
    producer.delivered();
    drop(producer);
    let mut image = None;
    for round in 0..3 {
        let consumer = member(&server, &[]);
        let messages = take(&consumer, 10);
        assert_eq!(messages[0].offset(), round * 10);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("t", 0, Offset::Offset(round * 10 + 10)).unwrap();
        consumer.commit(&list, CommitMode::Sync).unwrap();
        if round == 0 {
            image = Some(crash_image(dir.path()));
        }
        drop(consumer);
        server.stop();
        server = start(dir.path());
    }
    assert_eq!(server.broker.groups().committed("group", "t", 0, true).unwrap().unwrap().offset, 30);
    server.stop();
    let image = image.unwrap();
    let crashed = start(image.path());
    assert_eq!(crashed.broker.groups().committed("group", "t", 0, true).unwrap().unwrap().offset, 10);
    crashed.stop();
}

#[test]
fn members_keep_their_place_over_a_restart_of_the_broker() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let port: u16 = server.address.rsplit(':').next().unwrap().parse().unwrap();
    server.broker.topics().create("t", 1, Default::default()).unwrap();
    let consumer = member(&server, &[("session.timeout.ms", "30000")]);
    poll_until(&[&consumer], |sets| sets[0].len() == 1);
    let before = server.broker.groups().describe("group").members;
    server.stop();
    let server = start_on(dir.path(), port);
    let after = server.broker.groups().describe("group").members;
    assert_eq!(after, before);
    server.send("t", "news");
    assert_eq!(values(&take(&consumer, 1)), ["news"]);
    assert_eq!(server.broker.groups().describe("group").members[0].0, before[0].0, "the same member still");
    drop(consumer);
    server.stop();
}

#[test]
fn groups_are_listed_and_deleted_by_an_admin_client() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    server.send("t", "x");
    let consumer = member(&server, &[]);
    take(&consumer, 1);
    let groups = consumer.fetch_group_list(None, PATIENCE).unwrap();
    assert_eq!(
        groups.groups().iter().map(|g| (g.name(), g.state())).collect::<Vec<_>>(),
        [("group", "Stable")]
    );
    let admin: AdminClient<DefaultClientContext> = server.client().create().unwrap();
    let delete = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let deleted = runtime.block_on(admin.delete_groups(&["group"], &AdminOptions::new())).unwrap();
        deleted[0].clone().map_err(|(_, code)| format!("{code:?}"))
    };
    assert_eq!(delete(), Err("NonEmptyGroup".into()));
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("t", 0, Offset::Offset(1)).unwrap();
    consumer.commit(&list, CommitMode::Sync).unwrap();
    drop(consumer);
    assert_eq!(delete(), Ok("group".into()));
    assert!(server.broker.groups().list().is_empty());
    server.stop();
    let server = start(dir.path());
    assert_eq!(server.broker.groups().committed("group", "t", 0, true), Ok(None));
    server.stop();
}

#[test]
fn a_static_member_that_restarts_in_time_gets_its_partitions_back_without_a_rebalance() {
    for assignor in ["range", "cooperative-sticky"] {
        let dir = tempfile::tempdir().unwrap();
        let server = start(dir.path());
        server.broker.topics().create("t", 4, Default::default()).unwrap();
        let of = |instance| {
            let settings = [("group.instance.id", instance), ("partition.assignment.strategy", assignor)];
            member(&server, &settings)
        };
        let (a, b) = (of("i"), of("j"));
        poll_until(&[&a, &b], |sets| sets[0].len() == 2 && sets[1].len() == 2);
        let had = owned(&a);
        let generation = || {
            let group = server.broker.groups().describe("group");
            (group.state, group.members.iter().map(|m| m.5.clone()).collect::<BTreeSet<_>>())
        };
        until("the group is stable", || generation().0 == bd_broker::group::State::Stable);
        let before = generation();
        // Static members do not leave.
        drop(a);
        assert_eq!(generation(), before);
        let a = of("i");
        poll_until(&[&a, &b], |sets| sets[0].len() == 2);
        assert_eq!(owned(&a), had);
        assert_eq!(generation(), before, "{assignor}");
        // A second one of the same name fences the first.
        let usurper = of("i");
        let deadline = Instant::now() + PATIENCE;
        let fenced = || match a.poll(Duration::from_millis(50)) {
            Some(Err(error)) => {
                error.rdkafka_error_code() == Some(rdkafka::types::RDKafkaErrorCode::Fatal)
                    || error.rdkafka_error_code() == Some(rdkafka::types::RDKafkaErrorCode::FencedInstanceId)
            }
            _ => false,
        };
        while !fenced() {
            assert!(Instant::now() < deadline, "not fenced");
            let _ = usurper.poll(Duration::from_millis(20));
            let _ = b.poll(Duration::from_millis(20));
        }
        drop((a, b, usurper));
        server.stop();
    }
}
