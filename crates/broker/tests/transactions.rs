//! Transactions of librdkafka: commit, abort, fencing, crashes, offsets as part of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

mod support;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::producer::Producer;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use support::*;

#[test]
fn committed_transactions_are_seen_whole_and_aborted_ones_never() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let producer = server.transactional("tx");
    for (values, commit) in [(["a", "b"], true), (["c", "d"], false), (["e", "f"], true)] {
        producer.begin_transaction().unwrap();
        values.iter().for_each(|v| producer.send("t", 0, v));
        producer.flush(PATIENCE).unwrap();
        if commit {
            producer.commit_transaction(PATIENCE).unwrap();
        } else {
            producer.abort_transaction(PATIENCE).unwrap();
        }
    }
    assert_eq!(server.read_all("read_committed", "t"), ["a", "b", "e", "f"]);
    assert_eq!(server.read_all("read_uncommitted", "t"), ["a", "b", "c", "d", "e", "f"]);
    server.stop();
}

#[test]
fn an_open_transaction_holds_readers_back_until_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let (first, second) = (server.transactional("1"), server.transactional("2"));
    first.begin_transaction().unwrap();
    first.send("t", 0, "first");
    first.flush(PATIENCE).unwrap();
    second.begin_transaction().unwrap();
    second.send("t", 0, "second");
    second.commit_transaction(PATIENCE).unwrap();
    assert_eq!(server.read_all("read_committed", "t"), Vec::<String>::new());
    let log = server.broker.topics().partition("t", 0).unwrap();
    assert_eq!(log.log().last_stable_offset(), 0);
    first.commit_transaction(PATIENCE).unwrap();
    assert_eq!(server.read_all("read_committed", "t"), ["first", "second"]);
    assert_eq!(log.log().last_stable_offset(), 4);
    server.stop();
}

#[test]
fn a_new_producer_aborts_its_predecessor_before_it_starts_and_fences_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let old = server.transactional("tx");
    old.begin_transaction().unwrap();
    old.send("t", 0, "old");
    old.flush(PATIENCE).unwrap();
    let new = server.transactional("tx");
    let log = server.broker.topics().partition("t", 0).unwrap();
    assert!(log.log().open_transactions().is_empty(), "aborted when init has returned");
    new.begin_transaction().unwrap();
    new.send("t", 0, "new");
    new.commit_transaction(PATIENCE).unwrap();
    let error = old.commit_transaction(PATIENCE).unwrap_err();
    let code = error.rdkafka_error_code();
    assert_eq!(code, Some(RDKafkaErrorCode::Fenced), "{error}");
    assert_eq!(server.read_all("read_committed", "t"), ["new"]);
    server.stop();
}

#[test]
fn a_crash_in_an_open_transaction_is_settled_by_the_next_producer() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let producer = server.transactional("tx");
    producer.begin_transaction().unwrap();
    producer.send("t", 0, "committed");
    producer.commit_transaction(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    producer.send("t", 0, "lost");
    producer.flush(PATIENCE).unwrap();
    let image = crash_image(dir.path());
    drop(server);

    let server = start(image.path());
    let log = server.broker.topics().partition("t", 0).unwrap();
    assert_eq!(log.log().open_transactions().len(), 1, "its producer may be alive");
    let producer = server.transactional("tx");
    assert!(log.log().open_transactions().is_empty());
    producer.begin_transaction().unwrap();
    producer.send("t", 0, "after");
    producer.commit_transaction(PATIENCE).unwrap();
    assert_eq!(server.read_all("read_committed", "t"), ["committed", "after"]);
    server.stop();
}

#[test]
fn an_open_transaction_goes_on_after_the_broker_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let port: u16 = server.address.rsplit(':').next().unwrap().parse().unwrap();
    let producer = server.transactional("tx");
    producer.begin_transaction().unwrap();
    producer.send("t", 0, "before");
    producer.flush(PATIENCE).unwrap();
    server.stop();
    let server = start_on(dir.path(), port);
    producer.send("t", 0, "after");
    producer.commit_transaction(PATIENCE).unwrap();
    assert_eq!(server.read_all("read_committed", "t"), ["before", "after"]);
    server.stop();
}

#[test]
fn a_transaction_that_lasts_too_long_is_aborted() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let producer = server.producer(&[
        ("transactional.id", "tx"),
        ("transaction.timeout.ms", "1000"),
        ("message.timeout.ms", "1000"),
    ]);
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    producer.send("t", 0, "late");
    producer.flush(PATIENCE).unwrap();
    let log = server.broker.topics().partition("t", 0).unwrap();
    until("abort", || log.log().open_transactions().is_empty());
    assert!(producer.commit_transaction(PATIENCE).is_err());
    assert_eq!(server.read_all("read_committed", "t"), Vec::<String>::new());
    server.stop();
}

fn place(topic: &str, offset: i64) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
    list
}

fn committed(consumer: &BaseConsumer, topic: &str) -> Offset {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, 0);
    consumer.committed_offsets(list, PATIENCE).unwrap().elements()[0].offset()
}

/// A consumer that has joined a group and owns partition 0 of `in`.
fn member(server: &TestBroker) -> BaseConsumer {
    let consumer: BaseConsumer = server
        .client()
        .set("group.id", "group")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&["in"]).unwrap();
    consumer
}

#[test]
fn offsets_are_committed_with_the_transaction_under_the_groups_generation() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let source = server.producer(&[]);
    (0..3).for_each(|i| source.send("in", 0, &i.to_string()));
    source.delivered();
    let consumer = member(&server);
    take(&consumer, 3);
    let group: ConsumerGroupMetadata = consumer.group_metadata().unwrap();
    let producer = server.transactional("tx");
    for (offset, commit, expected) in
        [(1, false, Offset::Invalid), (2, true, Offset::Offset(2)), (3, false, Offset::Offset(2))]
    {
        producer.begin_transaction().unwrap();
        producer.send("out", 0, &offset.to_string());
        producer.send_offsets_to_transaction(&place("in", offset), &group, PATIENCE).unwrap();
        assert_eq!(
            server.broker.groups().committed("group", "in", 0, true),
            Err(bd_broker::ResponseError::UnstableOffsetCommit)
        );
        producer.flush(PATIENCE).unwrap();
        if commit {
            producer.commit_transaction(PATIENCE).unwrap();
        } else {
            producer.abort_transaction(PATIENCE).unwrap();
        }
        assert_eq!(committed(&consumer, "in"), expected);
    }
    assert_eq!(server.read_all("read_committed", "out"), ["2"]);

    // A member of an earlier generation may not commit.
    drop(consumer);
    let consumer = member(&server);
    take(&consumer, 1);
    producer.begin_transaction().unwrap();
    let error = producer.send_offsets_to_transaction(&place("in", 1), &group, PATIENCE).unwrap_err();
    assert!(matches!(error, KafkaError::Transaction(ref e) if e.txn_requires_abort()), "{error}");
    producer.abort_transaction(PATIENCE).unwrap();
    assert_eq!(committed(&consumer, "in"), Offset::Offset(2));

    // All of it is there after a crash.
    let image = crash_image(dir.path());
    let crashed = start(image.path());
    let found = crashed.broker.groups().committed("group", "in", 0, true).unwrap().unwrap();
    assert_eq!(found.offset, 2);
    crashed.stop();
    drop(consumer);
    server.stop();
}
