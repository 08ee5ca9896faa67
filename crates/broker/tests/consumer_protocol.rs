//! Consumer groups of the protocol of KIP-848, with librdkafka.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

mod support;

use bd_broker::group::{Assignment, Heartbeat};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use support::members::{Owned, owned, poll_until};
use support::*;

fn member(server: &TestBroker, topics: &[&str], settings: &[(&str, &str)]) -> BaseConsumer {
    let protocol = [("group.protocol", "consumer"), ("topic.metadata.refresh.interval.ms", "500")];
    members::join(server, topics, &[&protocol, settings])
}

fn sizes(sets: &[Owned]) -> Vec<usize> {
    sets.iter().map(BTreeSet::len).collect()
}

/// All `n` partitions, each once, with these numbers for the consumers.
fn shared(expected: &[usize]) -> impl Fn(&[Owned]) -> bool {
    move |sets| {
        let all: Owned = sets.iter().flatten().cloned().collect();
        sizes(sets) == expected && all.len() == expected.iter().sum::<usize>()
    }
}

#[test]
fn members_share_the_partitions_and_take_over_from_those_that_leave() {
    for assignor in ["uniform", "range"] {
        let dir = tempfile::tempdir().unwrap();
        let server = start(dir.path());
        server.broker.topics().create("t", 6, Default::default()).unwrap();
        let settings = [("group.remote.assignor", assignor)];
        let a = member(&server, &["t"], &settings);
        poll_until(&[&a], shared(&[6]));
        let b = member(&server, &["t"], &settings);
        poll_until(&[&a, &b], shared(&[3, 3]));
        let c = member(&server, &["t"], &settings);
        poll_until(&[&a, &b, &c], shared(&[2, 2, 2]));
        let group = server.broker.groups().describe_consumer("group").unwrap();
        assert_eq!((group.members.len(), group.assignor.as_str()), (3, assignor));
        drop(a);
        poll_until(&[&b, &c], shared(&[3, 3]));
        // Topics grow.
        server.broker.topics().add_partitions("t", 8, false).unwrap();
        poll_until(&[&b, &c], shared(&[4, 4]));
        drop(b);
        poll_until(&[&c], shared(&[8]));
        drop(c);
        until("the group is empty", || server.broker.groups().list()[0].state == "Empty");
        assert_eq!(server.broker.groups().list()[0].kind, "Consumer");
        server.stop();
    }
}

#[test]
fn a_member_that_dies_loses_its_partitions_when_its_session_ends() {
    let dir = tempfile::tempdir().unwrap();
    let server = start_with(dir.path(), |c| c.group_consumer_session_timeout_ms = 1_000);
    server.broker.topics().create("t", 2, Default::default()).unwrap();
    // Joined in process and never heard of again.
    let dead = Heartbeat {
        member_id: "dead".into(),
        rebalance_timeout_ms: 60_000,
        names: Some(BTreeSet::from(["t".to_owned()])),
        owned: Some(Assignment::new()),
        ..Heartbeat::default()
    };
    let (sender, receiver) = std::sync::mpsc::channel();
    let done = move |answer| sender.send(answer).unwrap();
    server.broker.groups().consumer_heartbeat("group", dead, true, &|_| true, done);
    assert_eq!(receiver.recv_timeout(PATIENCE).unwrap().unwrap().epoch, 1);
    let consumer = member(&server, &["t"], &[]);
    poll_until(&[&consumer], shared(&[2]));
    assert_eq!(server.broker.groups().describe_consumer("group").unwrap().members.len(), 1);
    drop(consumer);
    server.stop();
}

#[test]
fn members_keep_their_place_over_a_restart_of_the_broker() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let port: u16 = server.address.rsplit(':').next().unwrap().parse().unwrap();
    server.broker.topics().create("t", 4, Default::default()).unwrap();
    let (a, b) = (member(&server, &["t"], &[]), member(&server, &["t"], &[]));
    poll_until(&[&a, &b], shared(&[2, 2]));
    until("the group is stable", || {
        server.broker.groups().describe_consumer("group").unwrap().state == "Stable"
    });
    let before = server.broker.groups().describe_consumer("group").unwrap();
    let had = (owned(&a), owned(&b));
    server.stop();
    let server = start_on(dir.path(), port);
    assert_eq!(server.broker.groups().describe_consumer("group").unwrap(), before);
    server.send("t", "news");
    let deadline = Instant::now() + PATIENCE;
    let heard = || [&a, &b].iter().any(|c| matches!(c.poll(Duration::from_millis(20)), Some(Ok(_))));
    while !heard() {
        assert!(Instant::now() < deadline, "nothing is read after the restart");
    }
    assert_eq!((owned(&a), owned(&b)), had);
    let after = server.broker.groups().describe_consumer("group").unwrap();
    assert_eq!((after.epoch, after.members.len()), (before.epoch, 2), "the same members, no rebalance");
    drop((a, b));
    server.stop();
}

#[test]
fn a_group_goes_on_from_its_committed_offsets() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let producer = server.producer(&[]);
    (0..20).for_each(|i| producer.send("t", 0, &i.to_string()));
    producer.delivered();
    for round in 0..2 {
        let consumer = member(&server, &["t"], &[]);
        let messages = take(&consumer, 10);
        assert_eq!(messages[0].offset(), round * 10);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("t", 0, Offset::Offset(round * 10 + 10)).unwrap();
        consumer.commit(&list, CommitMode::Sync).unwrap();
        let committed = consumer.committed(PATIENCE).unwrap();
        assert_eq!(committed.elements()[0].offset(), Offset::Offset(round * 10 + 10));
    }
    server.stop();
}

#[test]
fn a_static_member_that_restarts_gets_its_partitions_back_without_a_rebalance() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    server.broker.topics().create("t", 4, Default::default()).unwrap();
    let (i, j) = ([("group.instance.id", "i")], [("group.instance.id", "j")]);
    let (a, b) = (member(&server, &["t"], &i), member(&server, &["t"], &j));
    poll_until(&[&a, &b], shared(&[2, 2]));
    let had = owned(&a);
    let epoch = server.broker.groups().describe_consumer("group").unwrap().epoch;
    drop(a);
    let group = server.broker.groups().describe_consumer("group").unwrap();
    assert_eq!(group.members.iter().filter(|m| m.epoch == -2).count(), 1, "{group:?}");
    let a = member(&server, &["t"], &i);
    poll_until(&[&a, &b], shared(&[2, 2]));
    assert_eq!(owned(&a), had);
    assert_eq!(server.broker.groups().describe_consumer("group").unwrap().epoch, epoch);
    drop((a, b));
    server.stop();
}

#[test]
fn topics_that_match_a_regular_expression_join_as_they_come() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    for topic in ["in-1", "in-2", "other"] {
        server.broker.topics().create(topic, 2, Default::default()).unwrap();
    }
    let a = member(&server, &["^in-.*"], &[]);
    poll_until(&[&a], shared(&[4]));
    let b = member(&server, &["^in-.*"], &[]);
    poll_until(&[&a, &b], shared(&[2, 2]));
    server.broker.topics().create("in-3", 2, Default::default()).unwrap();
    poll_until(&[&a, &b], shared(&[3, 3]));
    server.broker.topics().delete("in-1").unwrap();
    poll_until(&[&a, &b], shared(&[2, 2]));
    drop((a, b));
    server.stop();
}

#[test]
fn an_empty_group_changes_its_protocol_and_keeps_its_offsets() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let producer = server.producer(&[]);
    (0..30).for_each(|i| producer.send("t", 0, &i.to_string()));
    producer.delivered();
    for (round, protocol) in ["classic", "consumer", "classic"].into_iter().enumerate() {
        let consumer = member(&server, &["t"], &[("group.protocol", protocol)]);
        assert_eq!(take(&consumer, 10)[0].offset(), round as i64 * 10, "{protocol}");
        assert!(server.broker.groups().list()[0].kind.eq_ignore_ascii_case(protocol));
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("t", 0, Offset::Offset(round as i64 * 10 + 10)).unwrap();
        consumer.commit(&list, CommitMode::Sync).unwrap();
        drop(consumer);
        until("the group is empty", || server.broker.groups().list()[0].state == "Empty");
    }
    server.stop();
    let server = start(dir.path());
    assert_eq!(server.broker.groups().list()[0].kind, "Classic");
    server.broker.groups().delete("group").unwrap();
    server.stop();
}

#[test]
fn a_group_changes_its_protocol_member_by_member_and_back() {
    for assignor in ["range", "cooperative-sticky"] {
        let dir = tempfile::tempdir().unwrap();
        let server = start(dir.path());
        server.broker.topics().create("t", 6, Default::default()).unwrap();
        let kind = || server.broker.groups().list()[0].kind;
        let classic = || {
            let settings = [
                ("group.protocol", "classic"),
                ("partition.assignment.strategy", assignor),
                ("heartbeat.interval.ms", "100"),
                ("session.timeout.ms", "6000"),
            ];
            member(&server, &["t"], &settings)
        };
        let a = classic();
        poll_until(&[&a], shared(&[6]));
        assert_eq!(kind(), "Classic");
        // The first member that is new takes the group along.
        let b = member(&server, &["t"], &[]);
        poll_until(&[&a, &b], shared(&[3, 3]));
        assert_eq!(kind(), "Consumer");
        let group = server.broker.groups().describe_consumer("group").unwrap();
        assert_eq!(group.members.iter().filter(|m| m.is_classic).count(), 1);
        // Another of the old kind may still come.
        let c = classic();
        poll_until(&[&a, &b, &c], shared(&[2, 2, 2]));
        let mut list = TopicPartitionList::new();
        let (topic, partition) = owned(&a).first().unwrap().clone();
        list.add_partition_offset(&topic, partition, Offset::Offset(0)).unwrap();
        a.commit(&list, CommitMode::Sync).unwrap();
        // The last new one goes: the group is what it was.
        drop(b);
        poll_until(&[&a, &c], shared(&[3, 3]));
        assert_eq!(kind(), "Classic");
        let d = member(&server, &["t"], &[]);
        poll_until(&[&a, &c, &d], shared(&[2, 2, 2]));
        drop((a, c));
        poll_until(&[&d], shared(&[6]));
        assert_eq!(kind(), "Consumer");
        drop(d);
        server.stop();
    }
}
