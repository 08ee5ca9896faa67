//! What a broker does not append, and by which codes and words it says so.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

mod support;

use bd_broker::ResponseError as E;
use bd_log::batch::BatchBuilder;
use bd_log::compression::Codec;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{InitProducerIdRequest, TransactionalId};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use support::raw::{Raw, produce};
use support::*;

fn batch() -> BatchBuilder {
    let mut batch = BatchBuilder::new();
    batch.append(1_000, None, Some(b"v"), &[]);
    batch
}

fn ask(raw: &mut Raw, version: i16, topic: &str, records: Bytes, acks: i16) -> PartitionProduceResponse {
    let mut response = raw.call(version, &produce(topic, 0, records, acks));
    response.responses.remove(0).partition_responses.remove(0)
}

fn refused(answer: &PartitionProduceResponse) -> (E, String) {
    assert_eq!(answer.base_offset, -1);
    let Some(code) = E::try_from_code(answer.error_code) else { panic!("taken: {answer:?}") };
    (code, answer.error_message.as_ref().map(|m| m.to_string()).unwrap_or_default())
}

fn patched(mut bytes: BytesMut, at: usize, value: &[u8]) -> Bytes {
    bytes[at..at + value.len()].copy_from_slice(value);
    bytes.freeze()
}

/// Server with the topics `t` and `safe` (two replicas wanted).
fn served() -> (tempfile::TempDir, TestBroker) {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let with = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let topics = server.broker.topics();
    topics.create("t", 1, BTreeMap::new()).unwrap();
    topics.create("safe", 1, with("min.insync.replicas", "2")).unwrap();
    (dir, server)
}

#[test]
fn each_partition_of_a_request_holds_one_whole_batch_of_the_present_format() {
    let (_dir, server) = served();
    let mut raw = Raw::connect(&server.address);
    let one = batch().build();
    let two = Bytes::from([&one[..], &one[..]].concat());
    let old = patched(one.clone(), 16, &[1]);
    let corrupt = patched(one.clone(), one.len() - 1, &[0xff]);
    let cut = one.clone().freeze().slice(..one.len() - 1);
    let zstd = || batch().codec(Codec::Zstd).build().freeze();
    let unnumbered = batch().producer(7, 0, -1).build().freeze();
    for (what, version, records, code, words) in [
        ("two batches", 9, two, E::InvalidRecord, "exactly one record batch per partition"),
        ("an old format", 9, old, E::InvalidRecord, "magic version 2"),
        ("no batch", 9, Bytes::new(), E::InvalidRecord, "exactly one record batch per partition"),
        ("a wrong checksum", 9, corrupt, E::CorruptMessage, "CRC"),
        ("half a batch", 9, cut, E::CorruptMessage, "t-0"),
        ("zstd, too early", 6, zstd(), E::UnsupportedCompressionType, ""),
        ("no sequence", 9, unnumbered, E::InvalidRecord, "Invalid sequence number -1"),
    ] {
        let (found, message) = refused(&ask(&mut raw, version, "t", records, -1));
        assert_eq!(found, code, "{what}: {message}");
        // Texts came with version 8.
        assert!(if version < 8 { message.is_empty() } else { message.contains(words) }, "{what}: {message}");
    }
    assert_eq!(ask(&mut raw, 7, "t", zstd(), -1).error_code, 0);
    assert_eq!(ask(&mut raw, 9, "t", one.freeze(), 1).base_offset, 1);
    server.stop();
}

#[test]
fn replicas_that_one_node_does_not_have_are_refused_only_to_those_who_wait_for_all() {
    let (_dir, server) = served();
    let mut raw = Raw::connect(&server.address);
    let (code, message) = refused(&ask(&mut raw, 9, "safe", batch().build().freeze(), -1));
    assert_eq!(code, E::NotEnoughReplicas);
    assert!(message.contains("min.isr requirement of 2 for partition safe-0"), "{message}");
    assert_eq!(ask(&mut raw, 9, "safe", batch().build().freeze(), 1).base_offset, 0);
    let (code, _) = refused(&ask(&mut raw, 9, "t", batch().build().freeze(), 2));
    assert_eq!(code, E::InvalidRequiredAcks);
    let (code, _) = refused(&ask(&mut raw, 9, "nowhere", batch().build().freeze(), -1));
    assert_eq!(code, E::UnknownTopicOrPartition);
    let (code, message) = refused(&ask(&mut raw, 9, "__consumer_offsets", batch().build().freeze(), -1));
    assert_eq!(code, E::InvalidTopicException, "{message}");
    server.stop();
}

#[test]
fn single_records_that_are_refused_are_named() {
    let (_dir, server) = served();
    let mut raw = Raw::connect(&server.address);
    // Only a log may say that a timestamp is the time of the append.
    let mut bytes = batch().build();
    bytes[22] |= 0x08;
    let crc = crc32c::crc32c(&bytes[21..]);
    let records = patched(bytes, 17, &crc.to_be_bytes());
    let answer = ask(&mut raw, 9, "t", records, -1);
    let (code, message) = refused(&answer);
    assert_eq!(code, E::InvalidTimestamp);
    assert!(message.contains("t-0: One or more records have been rejected"), "{message}");
    assert_eq!(answer.record_errors.len(), 1);
    assert_eq!(answer.record_errors[0].batch_index, 0);
    let why = answer.record_errors[0].batch_index_error_message.as_ref().unwrap();
    assert!(why.contains("Invalid timestamp type"), "{why:?}");
    assert_eq!(server.broker.topics().partition("t", 0).unwrap().log().end_offset(), 0);
    server.stop();
}

#[test]
fn an_idempotent_producers_repeats_gaps_and_old_epochs_are_told_apart_over_restarts() {
    let (dir, server) = served();
    let send = |raw: &mut Raw, epoch: i16, sequence: i32| {
        let records = batch().producer(7, epoch, sequence).build().freeze();
        let answer = ask(raw, 9, "t", records, -1);
        let message = answer.error_message.map(|m| m.to_string()).unwrap_or_default();
        (E::try_from_code(answer.error_code), answer.base_offset, message)
    };
    let mut raw = Raw::connect(&server.address);
    // Unknown here: perhaps it was known once, so any sequence will do.
    for sequence in 3..10 {
        assert_eq!(send(&mut raw, 0, sequence), (None, i64::from(sequence) - 3, String::new()));
    }
    let still_knows = |server: &TestBroker| {
        let mut raw = Raw::connect(&server.address);
        assert_eq!(send(&mut raw, 0, 5), (None, 2, String::new()), "a repeat, answered as the first time");
        assert_eq!(send(&mut raw, 0, 9), (None, 6, String::new()));
        for gap in [4, 11] {
            let (code, _, message) = send(&mut raw, 0, gap);
            assert_eq!(code, Some(E::OutOfOrderSequenceNumber), "{gap}");
            assert!(message.contains("t-0: producer 7 epoch 0"), "{message}");
        }
    };
    still_knows(&server);
    let image = crash_image(dir.path());
    drop(server);
    let server = start(image.path());
    still_knows(&server);
    let mut raw = Raw::connect(&server.address);
    assert_eq!(send(&mut raw, 1, 1).0, Some(E::OutOfOrderSequenceNumber), "a new epoch starts at 0");
    assert_eq!(send(&mut raw, 1, 0), (None, 7, String::new()));
    let (code, _, message) = send(&mut raw, 0, 10);
    assert_eq!(code, Some(E::InvalidProducerEpoch));
    assert!(message.contains("producer 7: epoch 0 is fenced by epoch 1"), "{message}");
    server.stop();
}

#[test]
fn init_producer_id_refuses_what_cannot_be_and_knows_who_expired() {
    let dir = tempfile::tempdir().unwrap();
    let server = start_with(dir.path(), |config| config.transactional_id_expiration_ms = -1);
    let mut raw = Raw::connect(&server.address);
    let mut init = |version: i16, id: Option<&str>, timeout: i32, producer: (i64, i16)| {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(id.map(|id| TransactionalId(StrBytes::from_string(id.to_owned()))))
            .with_transaction_timeout_ms(timeout)
            .with_producer_id(producer.0.into())
            .with_producer_epoch(producer.1);
        let response = raw.call(version, &request);
        match E::try_from_code(response.error_code) {
            None => Ok((i64::from(response.producer_id), response.producer_epoch)),
            Some(code) => Err(code),
        }
    };
    const NEW: (i64, i16) = (-1, -1);
    assert_eq!(init(5, Some(""), 1000, NEW), Err(E::InvalidRequest));
    assert_eq!(init(5, Some("tx"), 0, NEW), Err(E::InvalidTransactionTimeout));
    assert_eq!(init(5, Some("tx"), 900_001, NEW), Err(E::InvalidTransactionTimeout));
    assert_eq!(init(5, Some("tx"), 1000, (3, -1)), Err(E::InvalidRequest));
    assert_eq!(init(5, Some("tx"), 1000, (-1, 3)), Err(E::InvalidRequest));
    let (plain, other) = (init(5, None, 0, NEW).unwrap(), init(0, None, 0, NEW).unwrap());
    assert_ne!(plain.0, other.0);
    let first = init(5, Some("tx"), 1000, NEW).unwrap();
    assert_eq!(init(4, Some("tx"), 1000, (first.0, 7)), Err(E::ProducerFenced));
    assert_eq!(
        init(3, Some("tx"), 1000, (first.0, 7)),
        Err(E::InvalidProducerEpoch),
        "as older clients know it"
    );
    assert_eq!(init(5, Some("tx"), 1000, first), Ok((first.0, 1)));
    server.broker.maintain();
    let late = bd_broker::ProducerIdentity { producer_id: first.0, epoch: 1 };
    let ended = server.broker.txns().end("tx", late, true);
    assert_eq!(ended, Err(E::InvalidProducerIdMapping), "the id has expired");
    let (id, epoch) = init(5, Some("tx"), 1000, NEW).unwrap();
    assert!(id > first.0 && epoch == 0);
    server.stop();
}
