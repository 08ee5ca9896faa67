//! Connections: limits, silence, clients that do not read, the end.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

mod support;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{ApiVersionsRequest, FetchRequest, ProduceRequest};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use support::raw::{Raw, batch, produce};
use support::*;

fn open(server: &TestBroker) -> u64 {
    server.broker.counters().snapshot().connections
}

fn answers(raw: &mut Raw) -> bool {
    raw.call(0, &ApiVersionsRequest::default()).error_code == 0
}

#[test]
fn more_connections_than_allowed_wait_and_more_from_one_address_are_closed() {
    let dir = tempfile::tempdir().unwrap();
    let server = start_with(dir.path(), |config| config.max_connections = 2);
    let (mut first, mut second) = (Raw::connect(&server.address), Raw::connect(&server.address));
    assert!(answers(&mut first) && answers(&mut second));
    let mut third = Raw::connect(&server.address);
    third.send(0, &ApiVersionsRequest::default());
    third.socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(third.socket.peek(&mut [0]).is_err(), "it is not accepted");
    third.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    drop(first);
    assert_eq!(third.receive::<ApiVersionsRequest>(0).error_code, 0);
    server.stop();

    let dir = tempfile::tempdir().unwrap();
    let server = start_with(dir.path(), |config| config.max_connections_per_ip = 1);
    let mut first = Raw::connect(&server.address);
    assert!(answers(&mut first));
    assert!(Raw::connect(&server.address).is_closed());
    assert_eq!(server.broker.counters().snapshot().connections_refused, 1);
    server.stop();
}

#[test]
fn silent_connections_are_closed_and_others_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let server = start_with(dir.path(), |config| config.connection_max_idle = Duration::from_secs(1));
    let (mut silent, mut half) = (Raw::connect(&server.address), Raw::connect(&server.address));
    half.socket.write_all(&[0, 0, 0, 99, 0]).unwrap();
    let mut lively = Raw::connect(&server.address);
    let begin = Instant::now();
    while open(&server) > 1 || begin.elapsed() < Duration::from_millis(500) {
        assert!(begin.elapsed() < PATIENCE && answers(&mut lively));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(silent.is_closed() && half.is_closed() && answers(&mut lively));
    server.stop();
}

#[test]
fn a_wait_for_records_is_no_silence() {
    let dir = tempfile::tempdir().unwrap();
    let server = start_with(dir.path(), |config| config.connection_max_idle = Duration::from_secs(1));
    let id = server.broker.topics().create("t", 1, Default::default()).unwrap().id;
    let mut raw = Raw::connect(&server.address);
    let topic = FetchTopic::default()
        .with_topic_id(id)
        .with_partitions(vec![FetchPartition::default().with_partition_max_bytes(1000)]);
    let request = FetchRequest::default().with_max_bytes(1000).with_min_bytes(1).with_session_epoch(-1);
    raw.call(18, &request.with_max_wait_ms(2500).with_topics(vec![topic]));
    server.stop();
}

#[test]
fn a_client_that_does_not_read_holds_no_records_and_hinders_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let id = server.broker.topics().create("t", 1, Default::default()).unwrap().id;
    let mut writer = Raw::connect(&server.address);
    for _ in 0..8 {
        assert_eq!(
            writer.call(11, &produce("t", 0, batch(900_000), -1)).responses[0].partition_responses[0]
                .error_code,
            0
        );
    }
    let topic = FetchTopic::default()
        .with_topic_id(id)
        .with_partitions(vec![FetchPartition::default().with_partition_max_bytes(50 << 20)]);
    let request =
        FetchRequest::default().with_max_bytes(50 << 20).with_session_epoch(-1).with_topics(vec![topic]);
    let memory = resident();
    let mut slow: Vec<Raw> = (0..20).map(|_| Raw::connect(&server.address)).collect();
    for raw in &mut slow {
        // Each asks for 7 MB, 20 times.
        let frames: Vec<u8> = (0..20).flat_map(|_| raw.frame(18, &request)).collect();
        raw.socket.write_all(&frames).unwrap();
    }
    let fetches = || {
        let snapshot = server.broker.counters().snapshot();
        snapshot.requests.iter().find(|r| r.api == bd_broker::ApiKey::Fetch).map_or(0, |r| r.requests)
    };
    until("all have asked", || fetches() >= 20);
    assert!(answers(&mut writer));
    let grown = resident().saturating_sub(memory);
    assert!(grown < 60 << 20, "140 MB are on their way, {grown} bytes of memory were taken");
    assert_eq!(fetches(), 20, "who does not read is not read from");
    // All of it comes in the end.
    let first = slow.remove(0);
    let mut first = first;
    for _ in 0..20 {
        let answer = first.receive::<FetchRequest>(18);
        let bytes = answer.responses[0].partitions[0].records.as_ref().map_or(0, |r| r.len());
        assert!(bytes > 7_000_000, "{bytes}");
    }
    server.stop();
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

#[test]
fn a_malformed_request_ends_the_connection_after_the_answers_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    server.broker.topics().create("t", 1, Default::default()).unwrap();
    let mut raw = Raw::connect(&server.address);
    let mut frames = raw.frame(11, &produce("t", 0, batch(10), -1)).to_vec();
    frames.extend_from_slice(&[0, 0, 0, 8, 0x7f, 0, 0, 0, 0, 0, 0, 1]);
    raw.socket.write_all(&frames).unwrap();
    let answer = raw.receive::<ProduceRequest>(11);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    assert!(raw.is_closed());
    until("it is counted", || server.broker.counters().snapshot().malformed_requests == 1);
    server.stop();
}

/// What a connection costs that has asked something once and then is silent: the sockets of both sides are the system's.
#[test]
fn idle_connections_are_small() {
    const MANY: usize = 400;
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let connect = || {
        let mut raw = Raw::connect(&server.address);
        assert!(answers(&mut raw));
        raw.socket
    };
    let few: Vec<TcpStream> = (0..50).map(|_| connect()).collect();
    let before = resident();
    let many: Vec<TcpStream> = (0..MANY).map(|_| connect()).collect();
    assert_eq!(open(&server), (few.len() + many.len()) as u64);
    let each = resident().saturating_sub(before) / MANY;
    assert!(each < 8 << 10, "{each} bytes for each");
    drop(many);
    until("they are gone", || open(&server) == few.len() as u64);
    let mut one = few.into_iter().next().unwrap();
    one.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 9, 0xff, 0xff]).unwrap();
    one.read_exact(&mut [0; 8]).unwrap();
    server.stop();
}
