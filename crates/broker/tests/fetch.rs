//! Fetch over the wire: sessions, limits, waiting, errors.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

mod support;

use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{FetchRequest, FetchResponse, ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use rdkafka::producer::{BaseRecord, Producer};
use std::time::{Duration, Instant};
use support::raw::{Raw, batch, produce};
use support::*;
use uuid::Uuid;

const VERSION: i16 = 18;

fn wanted(partition: i32, offset: i64) -> FetchPartition {
    FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20)
}

fn request(id: Uuid, partitions: Vec<FetchPartition>) -> FetchRequest {
    let topics = match partitions.is_empty() {
        true => vec![],
        false => vec![FetchTopic::default().with_topic_id(id).with_partitions(partitions)],
    };
    FetchRequest::default().with_max_bytes(50 << 20).with_session_epoch(-1).with_topics(topics)
}

fn partitions(response: &FetchResponse) -> Vec<&PartitionData> {
    response.responses.iter().flat_map(|topic| &topic.partitions).collect()
}

/// The indexes of the partitions told of, with the bytes they gave.
fn sizes(response: &FetchResponse) -> Vec<(i32, usize)> {
    let size = |p: &PartitionData| p.records.as_ref().map_or(0, |r| r.len());
    partitions(response).iter().map(|p| (p.partition_index, size(p))).collect()
}

fn topic(server: &TestBroker, partitions: i32) -> Uuid {
    server.broker.topics().create("t", partitions, Default::default()).unwrap().id
}

fn put(raw: &mut Raw, partition: i32, size: usize) -> usize {
    let records = batch(size);
    let length = records.len();
    let answer = raw.call(11, &produce("t", partition, records, -1));
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    length
}

#[test]
fn a_session_is_told_only_of_what_changed() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let id = topic(&server, 3);
    let (mut raw, mut writer) = (Raw::connect(&server.address), Raw::connect(&server.address));
    let size = put(&mut writer, 1, 100);

    let all = request(id, (0..3).map(|p| wanted(p, 0)).collect()).with_session_epoch(0);
    let first = raw.call(VERSION, &all);
    assert!(first.session_id > 0);
    assert_eq!(sizes(&first), [(0, 0), (1, size), (2, 0)]);

    let next = |epoch: i32, partitions| {
        request(id, partitions).with_session_id(first.session_id).with_session_epoch(epoch)
    };
    let second = raw.call(VERSION, &next(1, vec![wanted(1, 1)]));
    assert_eq!((second.session_id, sizes(&second)), (first.session_id, vec![]));

    put(&mut writer, 2, 100);
    assert_eq!(sizes(&raw.call(VERSION, &next(2, vec![]))), [(2, size)]);
    let forget = ForgottenTopic::default().with_topic_id(id).with_partitions(vec![2]);
    let forgetting = next(3, vec![]).with_forgotten_topics_data(vec![forget]);
    assert_eq!(sizes(&raw.call(VERSION, &forgetting)), []);

    // A new end without new records, and errors, are told of.
    put(&mut writer, 0, 100);
    let ahead = raw.call(VERSION, &next(4, vec![wanted(0, 1)]));
    assert_eq!((sizes(&ahead), partitions(&ahead)[0].high_watermark), (vec![(0, 0)], 1));
    let beyond = raw.call(VERSION, &next(5, vec![wanted(0, 7)]));
    assert_eq!(partitions(&beyond)[0].error_code, E::OffsetOutOfRange.code());

    let repeated = raw.call(VERSION, &next(5, vec![]));
    assert_eq!(repeated.error_code, E::InvalidFetchSessionEpoch.code());
    let unknown = raw.call(VERSION, &next(6, vec![]).with_session_id(first.session_id ^ 1));
    assert_eq!(unknown.error_code, E::FetchSessionIdNotFound.code());
    let by_name = raw.call(12, &next(6, vec![]));
    assert_eq!(by_name.error_code, E::FetchSessionTopicIdError.code());
    // The final epoch ends it.
    assert_eq!(raw.call(VERSION, &next(-1, vec![])).session_id, 0);
    assert_eq!(raw.call(VERSION, &next(6, vec![])).error_code, E::FetchSessionIdNotFound.code());
    server.stop();
}

#[test]
fn partitions_of_a_session_get_their_turns_where_an_answer_has_room_for_one() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let id = topic(&server, 3);
    let mut raw = Raw::connect(&server.address);
    for partition in [0, 1, 2].repeat(3) {
        put(&mut raw, partition, 1000);
    }
    let all = request(id, (0..3).map(|p| wanted(p, 0)).collect()).with_session_epoch(0).with_max_bytes(1500);
    let mut answer = raw.call(VERSION, &all);
    let session = answer.session_id;
    let (mut offsets, mut order) = ([0; 3], vec![]);
    for epoch in 1..=9 {
        let got = sizes(&answer).into_iter().find(|(_, size)| *size > 0).unwrap().0;
        order.push(got);
        offsets[got as usize] += 1;
        let request = request(id, vec![wanted(got, offsets[got as usize])]);
        let request = request.with_session_id(session).with_session_epoch(epoch).with_max_bytes(1500);
        answer = raw.call(VERSION, &request);
    }
    assert_eq!(order, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    server.stop();
}

#[test]
fn the_first_batch_is_given_though_it_is_larger_than_every_limit() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let id = topic(&server, 2);
    let mut raw = Raw::connect(&server.address);
    let large = put(&mut raw, 0, 300_000);
    put(&mut raw, 1, 10);
    let both = vec![wanted(0, 0).with_partition_max_bytes(1), wanted(1, 0)];
    assert_eq!(sizes(&raw.call(VERSION, &request(id, both).with_max_bytes(1))), [(0, large), (1, 0)]);
    server.stop();
}

#[test]
fn large_answers_are_the_bytes_of_the_log_by_name_and_by_id() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let id = topic(&server, 1);
    let mut raw = Raw::connect(&server.address);
    for size in [5, 20_000, 700_000, 1_000_000, 10, 900_000] {
        put(&mut raw, 0, size);
    }
    let log = server.broker.topics().partition("t", 0).unwrap();
    let expected = log.log().read(0, 50 << 20, bd_log::Isolation::HighWatermark, true).unwrap().bytes;
    assert!(expected.len() > 2_500_000);
    for version in 4..=VERSION {
        let topic = match version {
            13.. => FetchTopic::default().with_topic_id(id),
            _ => FetchTopic::default().with_topic(TopicName(StrBytes::from_static_str("t"))),
        };
        let topic = topic.with_partitions(vec![wanted(0, 0).with_partition_max_bytes(50 << 20)]);
        let answer = raw.call(version, &request(id, vec![]).with_topics(vec![topic]));
        assert!(partitions(&answer)[0].records.as_ref() == Some(&expected), "v{version}");
    }
    server.stop();
}

#[test]
fn a_reader_far_behind_in_one_or_many_partitions_is_given_the_bytes_of_their_logs() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let id = topic(&server, 4);
    let mut raw = Raw::connect(&server.address);
    // So much that the beginning counts as what may not be in memory, and more than a socket holds.
    for partition in [0, 1, 2, 3].repeat(13) {
        put(&mut raw, partition, 900_000);
    }
    for readers in [1, 4] {
        let from = |p: i32| wanted(p, 0).with_partition_max_bytes(5 << 20);
        let answer = raw.call(VERSION, &request(id, (0..readers).map(from).collect()));
        assert_eq!(partitions(&answer).len(), readers as usize);
        for given in partitions(&answer) {
            let log = server.broker.topics().partition("t", given.partition_index).unwrap();
            let expected = log.log().read(0, 5 << 20, bd_log::Isolation::HighWatermark, true).unwrap().bytes;
            assert!(expected.len() > 4_000_000);
            assert!(given.records.as_ref() == Some(&expected), "{readers}, {}", given.partition_index);
        }
    }
    server.stop();
}

#[test]
fn a_fetch_waits_until_all_partitions_together_have_enough() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let id = topic(&server, 2);
    let (mut raw, mut writer) = (Raw::connect(&server.address), Raw::connect(&server.address));
    let size = put(&mut writer, 0, 1000) as i32;
    let waiting =
        request(id, vec![wanted(0, 0), wanted(1, 0)]).with_min_bytes(3 * size).with_max_wait_ms(20_000);
    let begin = Instant::now();
    raw.send(VERSION, &waiting);
    put(&mut writer, 1, 1000);
    raw.socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(raw.socket.peek(&mut [0]).is_err(), "two of three batches are not enough");
    raw.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    put(&mut writer, 1, 1000);
    let answer = raw.receive::<FetchRequest>(VERSION);
    assert_eq!(sizes(&answer), [(0, size as usize), (1, 2 * size as usize)]);
    assert!(begin.elapsed() < Duration::from_secs(10));

    // With too few, what there is when the time is over.
    let short = request(id, vec![wanted(0, 0)]).with_min_bytes(1 << 20).with_max_wait_ms(50);
    assert_eq!(sizes(&raw.call(VERSION, &short)), [(0, size as usize)]);
    server.stop();
}

#[test]
fn a_reader_that_waits_for_a_transaction_is_told_how_far_the_log_has_grown() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let id = topic(&server, 1);
    let transactional = server.transactional("writer");
    transactional.begin_transaction().unwrap();
    transactional.send_record(BaseRecord::to("t").partition(0).key("k").payload("open"));
    assert!(transactional.delivered().iter().all(Result::is_ok));
    let (mut raw, mut writer) = (Raw::connect(&server.address), Raw::connect(&server.address));
    let committed = request(id, vec![wanted(0, 0)]).with_isolation_level(1);
    raw.send(VERSION, &committed.with_min_bytes(1).with_max_wait_ms(1_500));
    put(&mut writer, 0, 100);
    let answer = raw.receive::<FetchRequest>(VERSION);
    let told = partitions(&answer)[0];
    assert_eq!((told.high_watermark, told.last_stable_offset), (2, 0));
    assert_eq!(sizes(&answer), [(0, 0)]);
    drop(transactional);
    server.stop();
}

#[test]
fn a_deleted_topic_and_a_stopping_server_end_the_wait() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let id = topic(&server, 1);
    let mut raw = Raw::connect(&server.address);
    let waiting = request(id, vec![wanted(0, 0)]).with_min_bytes(1).with_max_wait_ms(60_000);
    raw.send(VERSION, &waiting);
    server.broker.topics().delete("t").unwrap();
    let answer = raw.receive::<FetchRequest>(VERSION);
    let code = partitions(&answer)[0].error_code;
    // The request may have come after the deletion.
    assert!([E::UnknownTopicOrPartition.code(), E::UnknownTopicId.code()].contains(&code), "{code}");

    let id = topic(&server, 1);
    let waiting = request(id, vec![wanted(0, 0)]).with_min_bytes(1).with_max_wait_ms(60_000);
    let calls = |server: &TestBroker| server.broker.counters().snapshot().requests;
    let before = calls(&server);
    raw.send(VERSION, &waiting);
    until("the fetch is under way", || calls(&server) != before);
    let begin = Instant::now();
    server.stop();
    assert_eq!(sizes(&raw.receive::<FetchRequest>(VERSION)), [(0, 0)]);
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn what_cannot_be_read_is_told_by_partition() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let id = topic(&server, 1);
    let mut raw = Raw::connect(&server.address);
    put(&mut raw, 0, 10);
    let mut code = |id: Uuid, wanted: FetchPartition| {
        let answer = raw.call(VERSION, &request(id, vec![wanted]));
        assert_eq!(answer.error_code, 0);
        partitions(&answer)[0].error_code
    };
    assert_eq!(code(id, wanted(0, 0)), 0);
    assert_eq!(code(id, wanted(0, 2)), E::OffsetOutOfRange.code());
    assert_eq!(code(id, wanted(0, -1)), E::OffsetOutOfRange.code());
    assert_eq!(code(id, wanted(1, 0)), E::UnknownTopicOrPartition.code());
    assert_eq!(code(Uuid::from_u128(1), wanted(0, 0)), E::UnknownTopicId.code());
    assert_eq!(code(id, wanted(0, 0).with_current_leader_epoch(7)), E::UnknownLeaderEpoch.code());
    assert_eq!(code(id, wanted(0, 0).with_last_fetched_epoch(7)), E::OffsetOutOfRange.code());
    // Records that the log does not have, of the epoch that it has.
    let diverged = raw.call(VERSION, &request(id, vec![wanted(0, 9).with_last_fetched_epoch(0)]));
    let diverging = &partitions(&diverged)[0].diverging_epoch;
    assert_eq!((diverging.epoch, diverging.end_offset), (0, 1));
    server.stop();
}

#[test]
fn produce_without_acknowledgement_is_not_answered() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    topic(&server, 1);
    let mut raw = Raw::connect(&server.address);
    let unanswered = raw.frame(11, &produce("t", 0, batch(10), 0));
    std::io::Write::write_all(&mut raw.socket, &unanswered).unwrap();
    let frame = raw.frame(11, &produce("t", 0, batch(10), -1));
    std::io::Write::write_all(&mut raw.socket, &frame).unwrap();
    let mut length = [0; 8];
    std::io::Read::read_exact(&mut raw.socket, &mut length).unwrap();
    assert_eq!(length[4..], [0, 0, 0, 2], "the first answer is that to the second request");
    let log = server.broker.topics().partition("t", 0).unwrap();
    assert_eq!(log.log().high_watermark(), 2);
    server.stop();
}

#[test]
fn requests_sent_together_are_answered_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    topic(&server, 2);
    let mut raw = Raw::connect(&server.address);
    let mut frames = Vec::new();
    for i in 0..200 {
        frames.extend_from_slice(&raw.frame(11, &produce("t", i % 2, batch(100 * i as usize), 1)));
    }
    // Cut anywhere.
    for chunk in frames.chunks(9_999) {
        std::io::Write::write_all(&mut raw.socket, chunk).unwrap();
    }
    for i in 0..200i64 {
        let answer = raw.receive::<ProduceRequest>(11);
        let partition = &answer.responses[0].partition_responses[0];
        assert_eq!((partition.error_code, partition.base_offset), (0, i / 2));
    }
    server.stop();
}
