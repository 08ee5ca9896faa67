//! Members of consumer groups, of librdkafka.

use super::{PATIENCE, TestBroker};
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Topics and partitions that a member has.
pub type Owned = BTreeSet<(String, i32)>;

/// A new member of `group`; the later settings win.
pub fn join(server: &TestBroker, topics: &[&str], settings: &[&[(&str, &str)]]) -> BaseConsumer {
    let mut config = server.client();
    config.set("group.id", "group").set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    settings.iter().copied().flatten().for_each(|(k, v)| {
        config.set(*k, *v);
    });
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(topics).unwrap();
    consumer
}

pub fn owned(consumer: &BaseConsumer) -> Owned {
    let assignment = consumer.assignment().unwrap();
    assignment.elements().iter().map(|e| (e.topic().to_owned(), e.partition())).collect()
}

/// Polls all consumers, dropping records, until what they own satisfies `done`.
pub fn poll_until(consumers: &[&BaseConsumer], done: impl Fn(&[Owned]) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let sets: Vec<_> = consumers.iter().map(|c| owned(c)).collect();
        if done(&sets) {
            return;
        }
        assert!(Instant::now() < deadline, "{sets:?}");
        for consumer in consumers {
            let _ = consumer.poll(Duration::from_millis(10));
        }
    }
}
