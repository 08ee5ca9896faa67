//! What a start finds after a kill.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support;

use support::*;

#[test]
fn after_a_kill_only_the_logs_in_use_are_opened() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    server.broker.topics().create("t", 20, Default::default()).unwrap();
    server.broker.topics().create("never", 5, Default::default()).unwrap();
    let producer = server.producer(&[("linger.ms", "0")]);
    (0..20).for_each(|partition| producer.send("t", partition, "first"));
    assert!(producer.delivered().iter().all(Result::is_ok));
    // Twice without a use: they go to rest.
    server.broker.maintain();
    server.broker.maintain();
    assert_eq!(server.broker.logs_snapshot().at_rest, 25);
    producer.send("t", 3, "second");
    assert!(producer.delivered().iter().all(Result::is_ok));
    let image = crash_image(dir.path());
    drop(producer);
    server.stop();
    let crashed = start(image.path());
    assert_eq!(crashed.broker.logs_snapshot().at_rest, 24);
    let ends: Vec<i64> = crashed.broker.partition_snapshots().iter().map(|p| p.end_offset).collect();
    let expected: Vec<i64> = (0..25).map(|i| if i < 5 { 0 } else { 1 + i64::from(i == 8) }).collect();
    assert_eq!(ends, expected);
    let reader = crashed.reader("read_committed", "t", 20);
    assert_eq!(take(&reader, 21).len(), 21);
    crashed.stop();
}
