//! A group that commits offsets: none that was acknowledged is forgotten for an earlier one.

use crate::bd::{PATIENCE, client, committed};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) const GROUP: &str = "commits";

/// Commits 1, 2, 3, ... until `done` and looks now and then; returns the last that was acknowledged and the last that was tried.
pub(crate) fn run(port: u16, done: Arc<AtomicBool>) -> JoinHandle<RangeInclusive<i64>> {
    std::thread::spawn(move || {
        let consumer: BaseConsumer = client(port).set("group.id", GROUP).create().unwrap();
        let (mut acknowledged, mut tried) = (0, 0);
        let mut last = Instant::now();
        while !done.load(Ordering::SeqCst) {
            tried += 1;
            let mut offsets = TopicPartitionList::new();
            offsets.add_partition_offset("plain", 0, Offset::Offset(tried)).unwrap();
            if consumer.commit(&offsets, CommitMode::Sync).is_ok() {
                (acknowledged, last) = (tried, Instant::now());
            }
            assert!(last.elapsed() < PATIENCE, "no commit is acknowledged");
            if tried % 16 == 0
                && let Ok(answer) = consumer.committed_offsets(offsets, Duration::from_secs(5))
                && answer.elements()[0].error().is_ok()
            {
                let found = answer.elements()[0].offset().to_raw().unwrap();
                assert!((acknowledged..=tried).contains(&found), "{found}, not {acknowledged} to {tried}");
            }
        }
        acknowledged..=tried
    })
}

pub(crate) fn check(port: u16, expected: &RangeInclusive<i64>) {
    let found = committed(port, GROUP);
    assert!(found.is_some_and(|offset| expected.contains(&offset)), "{GROUP}: {found:?}, not {expected:?}");
}
