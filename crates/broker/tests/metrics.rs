//! What operators see of logs, groups and transactions.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support;

use bd_broker::{ApiKey, Coordinated, error_name};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    FetchRequest, GroupId, HeartbeatRequest, MetadataRequest, OffsetCommitRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::producer::Producer;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use support::raw::{Raw, batch, produce};
use support::*;

fn counted(server: &TestBroker, what: Coordinated) -> u64 {
    let counted = server.broker.counters().snapshot().coordinated;
    counted.into_iter().find(|(of, _)| *of == what).unwrap().1
}

/// What an API answered, each code with how often.
fn errors(server: &TestBroker, api: ApiKey) -> Vec<(String, u64)> {
    let requests = server.broker.counters().snapshot().requests;
    let of = requests.into_iter().find(|of| of.api == api).map(|of| of.errors).unwrap_or_default();
    of.into_iter().map(|(code, times)| (error_name(code), times)).collect()
}

fn counts(all: &[(&str, u64)]) -> Vec<(String, u64)> {
    all.iter().map(|(name, times)| ((*name).to_owned(), *times)).collect()
}

fn name(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

#[test]
fn every_error_code_of_produce_and_fetch_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    server.broker.topics().create("t", 2, BTreeMap::new()).unwrap();
    let mut raw = Raw::connect(&server.address);
    raw.call(9, &produce("t", 0, batch(10), -1));
    let mut both = produce("t", 0, batch(10), -1);
    both.topic_data.extend(produce("none", 0, batch(10), -1).topic_data);
    raw.call(9, &both);
    let fetch = |session_id: i32, topics: &[(&'static str, i32, i64)]| {
        let topics = topics.iter().map(|(topic, partition, offset)| {
            let partition = FetchPartition::default()
                .with_partition(*partition)
                .with_fetch_offset(*offset)
                .with_partition_max_bytes(1 << 20);
            FetchTopic::default().with_topic(TopicName(name(topic))).with_partitions(vec![partition])
        });
        FetchRequest::default()
            .with_max_bytes(1 << 20)
            .with_session_id(session_id)
            .with_session_epoch(if session_id == 0 { -1 } else { 3 })
            .with_topics(topics.collect())
    };
    raw.call(12, &fetch(0, &[("t", 0, 0), ("t", 1, 0), ("t", 1, 0), ("t", 9, 0), ("none", 0, 0)]));
    raw.call(12, &fetch(0, &[("t", 0, 99)]));
    raw.call(12, &fetch(77, &[]));
    assert_eq!(errors(&server, ApiKey::Produce), counts(&[("NONE", 2), ("UNKNOWN_TOPIC_OR_PARTITION", 1)]));
    // One NONE is of the request, one of each partition.
    let of_fetch = [
        ("NONE", 4),
        ("OFFSET_OUT_OF_RANGE", 1),
        ("UNKNOWN_TOPIC_OR_PARTITION", 2),
        ("FETCH_SESSION_ID_NOT_FOUND", 1),
    ];
    assert_eq!(errors(&server, ApiKey::Fetch), counts(&of_fetch));
    // Without an answer nothing but errors counts, for which the connection is closed.
    let mut silent = Raw::connect(&server.address);
    silent.send(9, &produce("t", 0, batch(10), 0));
    silent.send(9, &produce("none", 0, batch(10), 0));
    assert!(silent.is_closed());
    assert_eq!(errors(&server, ApiKey::Produce), counts(&[("NONE", 2), ("UNKNOWN_TOPIC_OR_PARTITION", 2)]));
    server.stop();
}

#[test]
fn error_codes_of_groups_and_topics_are_counted_where_answers_have_them() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    server.broker.topics().create("t", 2, BTreeMap::new()).unwrap();
    let mut raw = Raw::connect(&server.address);
    let group = || GroupId(name("group"));
    raw.call(4, &HeartbeatRequest::default().with_group_id(group()).with_member_id(name("nobody")));
    let commit = |generation: i32| {
        let partition = |i| OffsetCommitRequestPartition::default().with_partition_index(i);
        let topic = OffsetCommitRequestTopic::default()
            .with_name(TopicName(name("t")))
            .with_partitions(vec![partition(0), partition(1)]);
        OffsetCommitRequest::default()
            .with_group_id(group())
            .with_generation_id_or_member_epoch(generation)
            .with_topics(vec![topic])
    };
    raw.call(8, &commit(5));
    raw.call(8, &commit(-1));
    let topics = ["t", "none"].map(|t| MetadataRequestTopic::default().with_name(Some(TopicName(name(t)))));
    raw.call(
        9,
        &MetadataRequest::default().with_allow_auto_topic_creation(false).with_topics(Some(topics.into())),
    );
    assert_eq!(errors(&server, ApiKey::Heartbeat), counts(&[("UNKNOWN_MEMBER_ID", 1)]));
    assert_eq!(errors(&server, ApiKey::OffsetCommit), counts(&[("NONE", 2), ("ILLEGAL_GENERATION", 2)]));
    // Each of the topic's partitions, and the topic.
    let of_metadata = [("NONE", 3), ("UNKNOWN_TOPIC_OR_PARTITION", 1)];
    assert_eq!(errors(&server, ApiKey::Metadata), counts(&of_metadata));
    assert_eq!(errors(&server, ApiKey::Produce), []);
    server.stop();
}

#[test]
fn groups_are_counted_by_state_and_their_lag_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    for value in ["a", "b", "c"] {
        server.send("t", value);
    }
    let consumer = members::join(&server, &["t"], &[]);
    take(&consumer, 1);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("t", 0, Offset::Offset(1)).unwrap();
    consumer.commit(&list, CommitMode::Sync).unwrap();
    let groups = server.broker.groups_snapshot();
    assert_eq!(
        groups.iter().map(|g| (g.protocol, g.state, g.groups)).collect::<Vec<_>>(),
        [("Classic", "Stable", 1)]
    );
    let lags = server.broker.lag_snapshots();
    assert_eq!(
        lags.iter().map(|l| (l.group.as_str(), l.committed, l.lag)).collect::<Vec<_>>(),
        [("group", 1, 2)]
    );
    assert_eq!(counted(&server, Coordinated::ClassicRebalance), 1);
    assert_eq!(counted(&server, Coordinated::OffsetCommit), 1);
    drop(consumer);
    server.broker.groups().delete("group").unwrap();
    assert_eq!(counted(&server, Coordinated::OffsetDeletion), 1);
    assert!(server.broker.groups_snapshot().is_empty() && server.broker.lag_snapshots().is_empty());
    server.stop();
}

#[test]
fn transactions_are_counted_by_their_outcome() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let producer = server.transactional("writer");
    for commits in [true, true, false] {
        producer.begin_transaction().unwrap();
        producer.send("t", 0, "x");
        producer.delivered();
        match commits {
            true => producer.commit_transaction(PATIENCE).unwrap(),
            false => producer.abort_transaction(PATIENCE).unwrap(),
        }
    }
    assert_eq!(counted(&server, Coordinated::TxnCommit), 2);
    assert_eq!(counted(&server, Coordinated::TxnAbort), 1);
    assert_eq!(counted(&server, Coordinated::TxnTimeout), 0);
    let logs = server.broker.logs_snapshot();
    assert_eq!((logs.producer_ids, logs.late_transactions, logs.offline), (1, 0, 0));
    drop(producer);
    server.stop();
}

#[test]
fn partitions_requests_and_fsyncs_are_seen() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let safe = BTreeMap::from([("min.insync.replicas".to_owned(), "2".to_owned())]);
    server.broker.topics().create("safe", 3, safe).unwrap();
    server.send("t", "x");
    let logs = server.broker.logs_snapshot();
    assert_eq!((logs.topics, logs.partitions), (2, 4));
    assert_eq!((logs.under_min_insync, logs.at_min_insync, logs.at_rest), (3, 1, 3));
    let partitions = server.broker.partition_snapshots();
    let of_t = partitions.iter().find(|p| &*p.topic == "t").unwrap();
    assert_eq!((of_t.start_offset, of_t.end_offset), (0, 1));
    assert!(of_t.log_bytes > 0);
    until("the answer is counted", || {
        let counters = server.broker.counters().snapshot();
        let produce = counters.requests.iter().find(|r| r.api == ApiKey::Produce).unwrap();
        produce.total.buckets.iter().sum::<u64>() == 1
    });
    let counters = server.broker.counters().snapshot();
    let produce = counters.requests.iter().find(|r| r.api == ApiKey::Produce).unwrap();
    let parts = [&produce.queue, &produce.local, &produce.remote, &produce.send];
    assert!(parts.iter().all(|part| part.buckets.iter().sum::<u64>() == 1));
    // Each part is cut to whole microseconds.
    let sum: u64 = parts.iter().map(|part| part.sum_us).sum();
    assert!((sum..=sum + 4).contains(&produce.total.sum_us), "{sum} of {}", produce.total.sum_us);
    assert!(counters.flushes.buckets.iter().sum::<u64>() >= 1);
    server.stop();
}
