//! Every compression that Kafka knows can be written and read: librdkafka is built with all of them. Needs
//! `BD_TEST_BOOTSTRAP` and the feature `peers`, as `real_kafka.rs` does.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test without its server has failed")]

use bd_cluster::{Cluster, NewTopic, ReaderConfig, RecordsBuilder, TopicPartition, WriterConfig};
use bd_cluster_kafka::{KafkaCluster, KafkaConfig};
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(30);

#[test]
fn all_compressions_can_be_written_and_read() {
    let bootstrap =
        std::env::var("BD_TEST_BOOTSTRAP").expect("BD_TEST_BOOTSTRAP: host:port of a Kafka to test with");
    let value = "compress me ".repeat(1000);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let config = KafkaConfig::new(&bootstrap).with("compression.type", codec);
        let cluster = KafkaCluster::connect(config).unwrap();
        let topic = format!("compression-{codec}-{}", std::process::id());
        cluster.create_topic(&NewTopic::new(&topic, 1).with("compression.type", "producer")).unwrap();
        let at = TopicPartition::new(topic.as_str(), 0);
        let mut records = RecordsBuilder::new();
        for i in 0..100 {
            records.push(None, Some(value.as_bytes()), 1_700_000_000_000 + i, &[]);
        }
        let mut writer = cluster.open_writer(WriterConfig::default()).unwrap();
        writer.append(&at, records).unwrap().wait(WAIT).unwrap();

        let mut reader = cluster.open_reader(ReaderConfig::default()).unwrap();
        reader.assign(&at, 0).unwrap();
        let start = Instant::now();
        let mut read = 0;
        while read < 100 {
            assert!(start.elapsed() < WAIT, "{codec}: {read} of 100 records after {WAIT:?}");
            if let Some(records) = reader.poll(1 << 20, Duration::from_millis(100)).unwrap() {
                assert!(records.iter().all(|r| r.value == Some(value.as_bytes())), "{codec}: damaged");
                read += records.len();
            }
        }
        cluster.delete_topic(&topic).unwrap();
    }
}
