//! Loading and reading back through a real client, against librdkafka's own mock of a cluster.

#![allow(clippy::unwrap_used, reason = "a test may fail here")]

use std::{path::Path, time::Duration};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    mocking::MockCluster,
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use serde_json::json;
use tv_cases::{
    CaseError, Options, Topic,
    avro::{ADS_DEAD, Encoded, Encoder, Register},
    fetch::Outputs,
    generate, load, records,
};

type Read = (Option<Vec<u8>>, Vec<u8>);

/// The records of each partition, of which there are `count` in all.
fn read(bootstrap: &str, topic: &str, partitions: usize, count: usize) -> Vec<Vec<Read>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "test")
        .set("fetch.wait.max.ms", "20")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition as i32, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut all = vec![Vec::new(); partitions];
    for _ in 0..count {
        let record = consumer.poll(Duration::from_secs(20)).unwrap().unwrap();
        all[record.partition() as usize]
            .push((record.key().map(<[u8]>::to_vec), record.payload().unwrap().to_vec()));
    }
    all
}

fn write(bootstrap: &str, topic: &str, rows: &[(&str, Option<&str>)]) {
    let producer: ThreadedProducer<DefaultProducerContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap();
    for (key, value) in rows {
        let mut record = BaseRecord::to(topic).key(*key).partition(0);
        if let Some(value) = value {
            record = record.payload(*value);
        }
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(20)).unwrap();
}

/// A registry of which every schema has the id 1.
struct Ids;

impl Register for Ids {
    fn register(&mut self, _: &str, _: &str) -> Result<u32, CaseError> {
        Ok(1)
    }
}

fn load_and_check(folder: &Path, partitions: usize) {
    let cluster = MockCluster::new(1).unwrap();
    let bootstrap = cluster.bootstrap_servers();
    for topic in Topic::ALL {
        cluster.create_topic(topic.name(), partitions as i32, 1).unwrap();
    }
    let order = [Topic::Actions, Topic::Places, Topic::Users, Topic::Channels, Topic::Ads];
    let mut loaded = Vec::new();
    cluster.create_topic(ADS_DEAD, 1, 1).unwrap();
    load::load(folder, &bootstrap, Ids, &order, partitions, |topic, count| loaded.push((topic, count)))
        .unwrap();
    assert_eq!(loaded.iter().map(|(topic, _)| *topic).collect::<Vec<_>>(), order);

    for (topic, count) in loaded {
        let mut encoder = Encoder::new(Ids);
        let mut expected: Vec<Vec<Read>> = vec![Vec::new(); partitions];
        let mut dead = Vec::new();
        for record in records(folder, topic).unwrap().map(Result::unwrap) {
            match encoder.encode(record).unwrap() {
                Encoded::Record(record) => {
                    expected[record.partition(partitions)].push((record.key, record.value))
                }
                Encoded::Dead(record) => dead.push((record.key, record.value)),
            }
        }
        let total = expected.iter().map(Vec::len).sum();
        assert_eq!((total + dead.len()) as u64, count, "{topic}");
        assert_eq!(dead.is_empty(), topic != Topic::Ads, "{topic}");
        if !dead.is_empty() {
            assert!(read(&bootstrap, ADS_DEAD, 1, dead.len()) == [dead], "{partitions} partitions");
        }
        assert!(
            read(&bootstrap, topic.name(), partitions, total) == expected,
            "{topic}, {partitions} partitions"
        );
    }
}

#[test]
fn every_record_is_loaded_in_its_order_into_its_partition() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { seed: 11, actions: 400, hard: Some(true), ..Options::default() };
    generate(&options, folder.path()).unwrap();
    load_and_check(folder.path(), 1);
    load_and_check(folder.path(), 4);
}

#[test]
fn a_stream_has_all_rows_and_a_table_the_last_of_each_key() {
    let cluster = MockCluster::new(1).unwrap();
    let bootstrap = cluster.bootstrap_servers();
    let rows = [("a", Some("{\"n\": 1}")), ("b", Some("{\"n\": 2}")), ("a", Some("{\"n\": 3}")), ("b", None)];
    for topic in ["out", "empty"] {
        cluster.create_topic(topic, 2, 1).unwrap();
    }
    write(&bootstrap, "out", &rows);
    let outputs = Outputs::at(bootstrap);
    assert_eq!(outputs.stream("out").unwrap(), [json!({"n": 1}), json!({"n": 2}), json!({"n": 3})]);
    assert_eq!(outputs.table("out").unwrap(), [json!({"n": 3})]);
    assert_eq!(outputs.count("out").unwrap(), 4);
    assert!(outputs.stream("empty").unwrap().is_empty());
}

#[test]
fn a_value_that_is_not_json_is_named() {
    let cluster = MockCluster::new(1).unwrap();
    let bootstrap = cluster.bootstrap_servers();
    cluster.create_topic("out", 1, 1).unwrap();
    write(&bootstrap, "out", &[("a", Some("{}")), ("a", Some("{oops"))]);
    let error = Outputs::at(bootstrap).stream("out").unwrap_err();
    assert!(matches!(error, CaseError::Output { partition: 0, offset: 1, .. }), "{error}");
}

#[test]
fn a_topic_with_other_partitions_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    generate(&Options { actions: 20, ..Options::default() }, folder.path()).unwrap();
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("ads", 3, 1).unwrap();
    let error = load::load(folder.path(), &cluster.bootstrap_servers(), Ids, &[Topic::Ads], 1, |_, _| ())
        .unwrap_err();
    assert!(matches!(error, CaseError::Partitions { has: 3, asked: 1, .. }), "{error}");
}
