//! Compacted topics, and consumers that see what is left of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support;

use bd_broker::group::{Committer, OffsetWrite};
use bd_broker::{OFFSETS_TOPIC, TXN_TOPIC};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, Producer};
use std::collections::BTreeMap;
use std::time::Duration;
use support::raw::Raw;
use support::*;

fn compacted(dir: &std::path::Path) -> TestBroker {
    let broker = start_with(dir, |config| {
        config.log_cleaner_backoff = Duration::from_millis(20);
        config.log.segment_bytes = 4096;
    });
    let configs = [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.2")];
    let configs: BTreeMap<String, String> =
        configs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    broker.broker.topics().create("table", 1, configs).unwrap();
    broker
}

#[test]
fn the_cleaner_looks_as_often_as_it_is_told_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start_with(dir.path(), |config| {
        config.log_cleaner_backoff = Duration::from_secs(3600);
        config.log.segment_bytes = 4096;
    });
    let configs = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    broker.broker.topics().create("table", 1, configs).unwrap();
    let mut raw = Raw::connect(&broker.address);
    let change = incremental_alter_configs_request::AlterableConfig::default()
        .with_name(StrBytes::from_static_str("log.cleaner.backoff.ms"))
        .with_value(Some(StrBytes::from_static_str("20")));
    let resource = incremental_alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(4)
        .with_configs(vec![change]);
    let answer: IncrementalAlterConfigsResponse =
        raw.call(1, &IncrementalAlterConfigsRequest::default().with_resources(vec![resource]));
    assert_eq!(answer.responses[0].error_code, 0, "{:?}", answer.responses[0].error_message);
    let producer = broker.producer(&[("linger.ms", "0")]);
    for round in 0..60 {
        let value = format!("{round} {}", "-".repeat(200));
        producer.send_record(BaseRecord::to("table").partition(0).key("key").payload(value.as_str()));
        producer.delivered();
    }
    let log = broker.broker.topics().partition("table", 0).unwrap();
    until("the log is small", || log.log().size_bytes() < 6_000);
    drop(producer);
    broker.stop();
}

#[test]
fn the_cleaner_keeps_the_last_record_of_each_key_and_transactions_whole() {
    let dir = tempfile::tempdir().unwrap();
    let broker = compacted(dir.path());
    let plain = broker.producer(&[("compression.type", "lz4"), ("linger.ms", "0")]);
    let transactional = broker.transactional("writer");
    for round in 0..40 {
        for key in 0..5 {
            let (key, value) = (format!("key {key}"), format!("{round} {}", "-".repeat(100)));
            plain.send_record(BaseRecord::to("table").partition(0).key(key.as_str()).payload(value.as_str()));
        }
        assert!(plain.delivered().iter().all(Result::is_ok));
        transactional.begin_transaction().unwrap();
        let (value, commits) = (format!("{round}"), round % 2 == 0);
        transactional.send_record(BaseRecord::to("table").partition(0).key("txn").payload(value.as_str()));
        transactional.delivered();
        if commits {
            transactional.commit_transaction(PATIENCE).unwrap();
        } else {
            transactional.abort_transaction(PATIENCE).unwrap();
        }
    }
    let log = broker.broker.topics().partition("table", 0).unwrap();
    until("the log is small", || {
        log.log().size_bytes() < 12_000 && log.log().compaction_due(i64::MAX / 2).unwrap().is_none()
    });
    let last = |isolation: &str| {
        let mut state = BTreeMap::new();
        let reader = broker.reader(isolation, "table", 1);
        let mut seen = 0;
        let end = log.log().end_offset();
        // At the end are the last record of "key 4", an aborted record and its marker.
        while seen < end - 3 {
            let message = take(&reader, 1).remove(0);
            seen = message.offset();
            let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
            state.insert(key, value(&message).split(' ').next().unwrap().to_owned());
        }
        state
    };
    let committed = last("read_committed");
    assert_eq!(committed.len(), 6);
    for (key, value) in committed {
        assert_eq!(value, if key == "txn" { "38" } else { "39" }, "{key}");
    }
    // A new start finds the same.
    broker.stop();
    let broker = compacted_again(dir.path());
    let log = broker.broker.topics().partition("table", 0).unwrap();
    assert_eq!(log.log().start_offset(), 0);
    assert!(broker.read_all("read_committed", "table").len() < 120);
    broker.stop();
}

fn compacted_again(dir: &std::path::Path) -> TestBroker {
    start_with(dir, |config| config.log.segment_bytes = 4096)
}

#[test]
fn a_record_without_key_is_refused_by_a_compacted_topic() {
    let dir = tempfile::tempdir().unwrap();
    let broker = compacted(dir.path());
    let producer = broker.producer(&[("linger.ms", "0")]);
    producer.send("table", 0, "no key");
    let error = producer.delivered().remove(0).unwrap_err();
    assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::InvalidRecord), "{error}");
    producer.send_record(BaseRecord::to("table").partition(0).key("k").payload("v"));
    assert!(producer.delivered().remove(0).is_ok());
    broker.stop();
}

/// Commits the offset of a partition of `table` in process.
fn commit(broker: &TestBroker, group: &str, partition: i32, offset: i64) {
    let write =
        OffsetWrite { topic: "table".into(), partition, offset, leader_epoch: -1, metadata: String::new() };
    let (sender, receiver) = std::sync::mpsc::channel();
    let done = move |results| sender.send(results).unwrap();
    broker.broker.groups().commit(Committer::of_group(group), None, vec![write], done);
    assert_eq!(receiver.recv_timeout(PATIENCE).unwrap(), [None]);
}

#[test]
fn committed_offsets_outlive_the_compaction_of_their_topic() {
    let dir = tempfile::tempdir().unwrap();
    let broker = compacted(dir.path());
    // With segments of 4 KiB instead of Kafka's 100 MiB.
    let configs = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    broker.broker.topics().create(OFFSETS_TOPIC, 1, configs).unwrap();
    commit(&broker, "once", 0, 7);
    for offset in 0..300 {
        commit(&broker, "often", 0, offset);
    }
    let log = broker.broker.topics().partition(OFFSETS_TOPIC, 0).unwrap();
    until("the topic is small", || {
        log.log().size_bytes() < 8_000 && log.log().compaction_due(i64::MAX / 2).unwrap().is_none()
    });
    assert_eq!((log.log().start_offset(), log.log().end_offset()), (0, 301));
    let found = |broker: &TestBroker| {
        ["once", "often"]
            .map(|g| broker.broker.groups().committed(g, "table", 0, true).unwrap().unwrap().offset)
    };
    let image = crash_image(dir.path());
    broker.stop();
    for dir in [dir.path(), image.path()] {
        let broker = compacted_again(dir);
        assert_eq!(found(&broker), [7, 299]);
        broker.stop();
    }
}

#[test]
fn internal_topics_have_the_configs_that_kafka_gives_them() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(dir.path());
    broker.broker.topics().create("table", 1, BTreeMap::new()).unwrap();
    commit(&broker, "once", 0, 1);
    drop(broker.transactional("writer"));
    let configs = |topic: &str| {
        let configs = broker.broker.topics().get(topic).unwrap().configs();
        configs.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        configs(OFFSETS_TOPIC),
        "cleanup.policy=compact compression.type=producer segment.bytes=104857600"
    );
    assert_eq!(
        configs(TXN_TOPIC),
        "cleanup.policy=compact compression.type=uncompressed min.insync.replicas=1 segment.bytes=104857600 \
         unclean.leader.election.enable=false"
    );
    broker.stop();
}
