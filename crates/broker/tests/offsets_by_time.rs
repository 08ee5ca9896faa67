//! ListOffsets, DeleteRecords and OffsetForLeaderEpoch over the wire.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

mod support;

use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::{
    DeleteRecordsRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use support::raw::{Raw, produce};
use support::*;

fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

/// (error, offset, timestamp, leader epoch) of partition 0 of `t`.
fn at(raw: &mut Raw, version: i16, timestamp: i64) -> (i16, i64, i64, i32) {
    let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default().with_name(name("t")).with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
    let answer = raw.call(version, &request);
    let found = &answer.topics[0].partitions[0];
    (found.error_code, found.offset, found.timestamp, found.leader_epoch)
}

fn put(raw: &mut Raw, timestamp: i64) {
    let mut batch = bd_log::batch::BatchBuilder::new();
    batch.append(timestamp, None, Some(b"x"), &[]);
    let answer = raw.call(11, &produce("t", 0, batch.build().freeze(), -1));
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
}

fn delete(raw: &mut Raw, topic: &str, partition: i32, offset: i64) -> (i16, i64) {
    let partition = DeleteRecordsPartition::default().with_partition_index(partition).with_offset(offset);
    let topic = DeleteRecordsTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    let answer = raw.call(2, &DeleteRecordsRequest::default().with_topics(vec![topic]));
    let deleted = &answer.topics[0].partitions[0];
    (deleted.error_code, deleted.low_watermark)
}

#[test]
fn special_timestamps_mean_what_they_mean_in_kafka() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    server.broker.topics().create("t", 1, BTreeMap::new()).unwrap();
    let mut raw = Raw::connect(&server.address);
    assert_eq!(at(&mut raw, 10, -3), (0, -1, -1, -1), "no record, no greatest timestamp");
    for timestamp in [1_000, 9_000, 3_000, 4_000] {
        put(&mut raw, timestamp);
    }
    assert_eq!(delete(&mut raw, "t", 0, 1), (0, 1));
    for version in 1..=10 {
        let epoch = if version >= 4 { 0 } else { -1 };
        let unknown = (E::UnsupportedVersion.code(), -1, -1, -1);
        let since = |first: i16, found| if version >= first { found } else { unknown };
        assert_eq!(at(&mut raw, version, -1), (0, 4, -1, epoch), "latest, v{version}");
        assert_eq!(at(&mut raw, version, -2), (0, 1, -1, epoch), "earliest, v{version}");
        assert_eq!(at(&mut raw, version, -3), since(7, (0, 1, 9_000, epoch)), "greatest, v{version}");
        assert_eq!(at(&mut raw, version, -4), since(8, (0, 1, -1, epoch)), "earliest local, v{version}");
        assert_eq!(at(&mut raw, version, -5), since(9, (0, -1, -1, -1)), "latest tiered, v{version}");
        assert_eq!(at(&mut raw, version, -9), unknown, "v{version}");
        assert_eq!(at(&mut raw, version, 9_001), (0, -1, -1, -1), "after all, v{version}");
        assert_eq!(at(&mut raw, version, 0), (0, 1, 9_000, epoch), "the first that is left, v{version}");
    }
    server.stop();
}

#[test]
fn a_partition_named_twice_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    server.broker.topics().create("t", 2, BTreeMap::new()).unwrap();
    let asked = |index| ListOffsetsPartition::default().with_partition_index(index).with_timestamp(-1);
    let topic = ListOffsetsTopic::default().with_name(name("t")).with_partitions(vec![
        asked(0),
        asked(1),
        asked(0),
        asked(2),
    ]);
    let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
    let answer = Raw::connect(&server.address).call(10, &request);
    let codes: Vec<i16> = answer.topics[0].partitions.iter().map(|p| p.error_code).collect();
    let (twice, unknown) = (E::InvalidRequest.code(), E::UnknownTopicOrPartition.code());
    assert_eq!(codes, [twice, 0, twice, unknown]);
    server.stop();
}

#[test]
fn records_are_deleted_up_to_the_high_watermark_where_the_topic_allows_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let topics = server.broker.topics();
    topics.create("t", 1, BTreeMap::new()).unwrap();
    let compact = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    topics.create("compacted", 1, compact).unwrap();
    let mut raw = Raw::connect(&server.address);
    (0..3).for_each(|i| put(&mut raw, i));
    assert_eq!(delete(&mut raw, "t", 0, 2), (0, 2));
    assert_eq!(delete(&mut raw, "t", 0, 4), (E::OffsetOutOfRange.code(), -1));
    assert_eq!(delete(&mut raw, "t", 0, -2), (E::OffsetOutOfRange.code(), -1));
    assert_eq!(delete(&mut raw, "t", 0, -1), (0, 3), "the high watermark");
    assert_eq!(delete(&mut raw, "t", 1, 0), (E::UnknownTopicOrPartition.code(), -1));
    assert_eq!(delete(&mut raw, "compacted", 0, 0), (E::PolicyViolation.code(), -1));
    server.stop();
}

#[test]
fn an_epoch_ends_where_its_log_ends() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    server.broker.topics().create("t", 1, BTreeMap::new()).unwrap();
    let mut raw = Raw::connect(&server.address);
    put(&mut raw, 1);
    let mut end = |partition: i32, current: i32, epoch: i32| {
        let partition = OffsetForLeaderPartition::default()
            .with_partition(partition)
            .with_current_leader_epoch(current)
            .with_leader_epoch(epoch);
        let topic = OffsetForLeaderTopic::default().with_topic(name("t")).with_partitions(vec![partition]);
        let request =
            OffsetForLeaderEpochRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
        let answer = raw.call(4, &request);
        let found = &answer.topics[0].partitions[0];
        (found.error_code, found.leader_epoch, found.end_offset)
    };
    assert_eq!(end(0, -1, 0), (0, 0, 1));
    assert_eq!(end(0, 0, 3), (0, -1, -1));
    assert_eq!(end(0, 5, 0), (E::UnknownLeaderEpoch.code(), -1, -1));
    assert_eq!(end(7, -1, 0), (E::UnknownTopicOrPartition.code(), -1, -1));
    server.stop();
}
