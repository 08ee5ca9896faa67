//! Records written by librdkafka come back as they were, also after a restart.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

mod support;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use rdkafka::{Offset, TopicPartitionList};
use std::future::Future;
use std::io::{Read, Write};
use std::time::Duration;
use support::*;

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn key_value_headers_and_timestamp_come_back_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let producer = server.producer(&[("acks", "all")]);
    let headers = OwnedHeaders::new()
        .insert(Header { key: "h", value: Some("1") })
        .insert(Header { key: "g", value: None::<&str> })
        .insert(Header { key: "h", value: Some("2") });
    for i in 0..100 {
        let (key, value) = (format!("k{i}"), format!("v{i}"));
        let record = BaseRecord::to("t")
            .key(key.as_str())
            .payload(value.as_str())
            .timestamp(1000 + i)
            .headers(headers.clone());
        producer.send_record(record);
    }
    let delivered: Vec<i64> = producer.delivered().into_iter().map(Result::unwrap).collect();
    assert_eq!(delivered, (0..100).collect::<Vec<_>>());
    for (i, message) in take(&server.reader("read_uncommitted", "t", 1), 100).iter().enumerate() {
        assert_eq!(message.key(), Some(format!("k{i}").as_bytes()));
        assert_eq!(value(message), format!("v{i}"));
        assert_eq!((message.offset(), message.timestamp().to_millis()), (i as i64, Some(1000 + i as i64)));
        let headers: Vec<_> = message.headers().unwrap().iter().map(|h| (h.key, h.value)).collect();
        assert_eq!(headers, [("h", Some(&b"1"[..])), ("g", None), ("h", Some(b"2"))]);
    }
    server.stop();
}

#[test]
fn acknowledged_records_are_there_after_a_restart_and_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let producer = server.producer(&[("enable.idempotence", "true"), ("linger.ms", "0")]);
    for i in 0..50 {
        producer.send("t", 0, &format!("{i}"));
        producer.poll(Duration::ZERO);
    }
    assert!(producer.delivered().iter().all(Result::is_ok));
    let expected: Vec<String> = (0..50).map(|i| i.to_string()).collect();

    let image = crash_image(dir.path());
    let crashed = start(image.path());
    assert_eq!(crashed.read_all("read_committed", "t"), expected);
    assert_eq!(crashed.broker.cluster_id(), server.broker.cluster_id());
    crashed.stop();

    server.stop();
    let server = start(dir.path());
    assert_eq!(server.read_all("read_committed", "t"), expected);
    server.stop();
}

#[test]
fn compressed_batches_pass_through() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    for codec in ["gzip", "snappy", "lz4"] {
        let producer = server.producer(&[("compression.type", codec), ("linger.ms", "20")]);
        let expected: Vec<String> = (0..500).map(|i| format!("{codec} {i} {}", "x".repeat(100))).collect();
        expected.iter().for_each(|v| producer.send(codec, 0, v));
        assert!(producer.delivered().iter().all(Result::is_ok));
        assert_eq!(server.read("read_uncommitted", codec, 500), expected);
        let log = server.broker.topics().partition(codec, 0).unwrap();
        assert!(log.log().size_bytes() < 40_000, "{codec} is stored compressed: {}", log.log().size_bytes());
    }
    server.stop();
}

#[test]
fn offsets_are_found_by_time() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let producer = server.producer(&[]);
    for i in 0..10 {
        let record: BaseRecord<'_, str, str> = BaseRecord::to("t").payload("x").timestamp(1000 * (i + 1));
        producer.send_record(record);
        producer.delivered();
    }
    let consumer = server.reader("read_uncommitted", "t", 1);
    assert_eq!(consumer.fetch_watermarks("t", 0, PATIENCE).unwrap(), (0, 10));
    for (time, expected) in [
        (0, Offset::Offset(0)),
        (1000, Offset::Offset(0)),
        (1001, Offset::Offset(1)),
        (9_500, Offset::Offset(9)),
        (10_001, Offset::End),
    ] {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_offset("t", 0, Offset::Offset(time)).unwrap();
        let found = consumer.offsets_for_times(asked, PATIENCE).unwrap();
        assert_eq!(found.elements()[0].offset(), expected, "time {time}");
    }
    drop(consumer);
    server.stop();
}

#[test]
fn a_fetch_waits_for_records_and_gets_them_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    server.broker.topics().create("t", 1, Default::default()).unwrap();
    let mut config = server.client();
    let consumer: rdkafka::consumer::BaseConsumer =
        config.set("group.id", "g").set("fetch.wait.max.ms", "8000").create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("t", 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    assert!(consumer.poll(Duration::from_millis(300)).is_none());
    let begin = std::time::Instant::now();
    server.send("t", "news");
    assert_eq!(values(&take(&consumer, 1)), ["news"]);
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
    drop(consumer);
    server.stop();
}

#[test]
fn topics_are_created_described_and_deleted_by_an_admin_client() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let admin: AdminClient<DefaultClientContext> = server.client().create().unwrap();
    let options = AdminOptions::new();
    let topics = [
        NewTopic::new("a", 3, TopicReplication::Fixed(1)).set("retention.ms", "1000"),
        NewTopic::new("bad name", 1, TopicReplication::Fixed(1)),
        NewTopic::new("c", 1, TopicReplication::Fixed(3)),
        NewTopic::new("d", 1, TopicReplication::Fixed(1)).set("no.such.config", "1"),
    ];
    let codes = |results: Vec<Result<String, (String, rdkafka::types::RDKafkaErrorCode)>>| -> Vec<String> {
        results
            .into_iter()
            .map(|r| r.map_or_else(|(t, e)| format!("{t}: {e:?}"), |t| format!("{t}: ok")))
            .collect()
    };
    let created = block_on(admin.create_topics(&topics, &options)).unwrap();
    assert_eq!(
        codes(created),
        ["a: ok", "bad name: InvalidTopic", "c: InvalidReplicationFactor", "d: InvalidConfig"]
    );
    let again = block_on(admin.create_topics(&topics[..1], &options)).unwrap();
    assert_eq!(codes(again), ["a: TopicAlreadyExists"]);
    let metadata = admin.inner().fetch_metadata(Some("a"), PATIENCE).unwrap();
    assert_eq!(metadata.topics()[0].partitions().len(), 3);
    let resource = [rdkafka::admin::ResourceSpecifier::Topic("a")];
    let configs = block_on(admin.describe_configs(&resource, &options)).unwrap();
    let config = configs[0].as_ref().unwrap();
    assert_eq!(config.get("retention.ms").unwrap().value.as_deref(), Some("1000"));
    assert_eq!(config.get("segment.bytes").unwrap().value.as_deref(), Some("1073741824"));
    let deleted = block_on(admin.delete_topics(&["a", "x"], &options)).unwrap();
    assert_eq!(codes(deleted), ["a: ok", "x: UnknownTopicOrPartition"]);
    // A topic of the same name starts anew.
    let producer = server.producer(&[]);
    producer.send("b", 0, "old");
    producer.delivered();
    block_on(admin.delete_topics(&["b"], &options)).unwrap()[0].as_ref().unwrap();
    server.broker.topics().create("b", 1, Default::default()).unwrap();
    server.send("b", "new");
    assert_eq!(server.read("read_uncommitted", "b", 1), ["new"]);
    server.stop();
}

#[test]
fn hostile_frames_end_the_connection_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let frames: [&[u8]; 6] = [
        &[0x7f, 0xff, 0xff, 0xff],                // 2 GiB announced
        &[0xff, 0xff, 0xff, 0xff],                // a negative length
        &[0, 0, 0, 2, 0, 3],                      // shorter than a header
        &[0, 0, 0, 8, 0x7f, 0, 0, 0, 0, 0, 0, 1], // no such API
        &[0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff], // 2^31 topics
        &[0, 0, 0, 12, 0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff, 0, 0], // a client id longer than the frame
    ];
    for frame in frames {
        let mut socket = std::net::TcpStream::connect(&server.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(frame).unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        assert!(answer.is_empty(), "{frame:?} was answered: {answer:?}");
    }
    server.send("t", "alive");
    assert_eq!(server.read("read_uncommitted", "t", 1), ["alive"]);
    server.stop();
}

#[test]
fn the_metadata_of_all_topics_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    server.broker.topics().create("t", 2, Default::default()).unwrap();
    let consumer = server.reader("read_uncommitted", "t", 1);
    let metadata = consumer.fetch_metadata(None, PATIENCE).unwrap();
    let topics: Vec<_> = metadata.topics().iter().map(|t| (t.name(), t.partitions().len())).collect();
    assert_eq!(topics, [("t", 2)]);
    drop(consumer);
    server.stop();
}

#[test]
fn a_client_of_the_future_is_told_the_versions() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut socket = std::net::TcpStream::connect(&server.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(&[0, 0, 0, 10, 0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff]).unwrap();
    let mut head = [0; 10];
    socket.read_exact(&mut head).unwrap();
    assert_eq!(
        (&head[4..8], &head[8..10]),
        (&[0, 0, 0, 7][..], &[0, 35][..]),
        "UNSUPPORTED_VERSION in version 0"
    );
    server.stop();
}
