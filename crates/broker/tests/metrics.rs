//! What operators see of logs, groups and transactions.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support;

use bd_broker::{ApiKey, Coordinated};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::producer::Producer;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use support::*;

fn counted(server: &TestBroker, what: Coordinated) -> u64 {
    let counted = server.broker.counters().snapshot().coordinated;
    counted.into_iter().find(|(of, _)| *of == what).unwrap().1
}

#[test]
fn groups_are_counted_by_state_and_their_lag_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    for value in ["a", "b", "c"] {
        server.send("t", value);
    }
    let consumer = members::join(&server, &["t"], &[]);
    take(&consumer, 1);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("t", 0, Offset::Offset(1)).unwrap();
    consumer.commit(&list, CommitMode::Sync).unwrap();
    let groups = server.broker.groups_snapshot();
    assert_eq!(
        groups.iter().map(|g| (g.protocol, g.state, g.groups)).collect::<Vec<_>>(),
        [("Classic", "Stable", 1)]
    );
    let lags = server.broker.lag_snapshots();
    assert_eq!(
        lags.iter().map(|l| (l.group.as_str(), l.committed, l.lag)).collect::<Vec<_>>(),
        [("group", 1, 2)]
    );
    assert_eq!(counted(&server, Coordinated::ClassicRebalance), 1);
    assert_eq!(counted(&server, Coordinated::OffsetCommit), 1);
    drop(consumer);
    server.broker.groups().delete("group").unwrap();
    assert_eq!(counted(&server, Coordinated::OffsetDeletion), 1);
    assert!(server.broker.groups_snapshot().is_empty() && server.broker.lag_snapshots().is_empty());
    server.stop();
}

#[test]
fn transactions_are_counted_by_their_outcome() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let producer = server.transactional("writer");
    for commits in [true, true, false] {
        producer.begin_transaction().unwrap();
        producer.send("t", 0, "x");
        producer.delivered();
        match commits {
            true => producer.commit_transaction(PATIENCE).unwrap(),
            false => producer.abort_transaction(PATIENCE).unwrap(),
        }
    }
    assert_eq!(counted(&server, Coordinated::TxnCommit), 2);
    assert_eq!(counted(&server, Coordinated::TxnAbort), 1);
    assert_eq!(counted(&server, Coordinated::TxnTimeout), 0);
    let logs = server.broker.logs_snapshot();
    assert_eq!((logs.producer_ids, logs.late_transactions, logs.offline), (1, 0, 0));
    drop(producer);
    server.stop();
}

#[test]
fn partitions_requests_and_fsyncs_are_seen() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let safe = BTreeMap::from([("min.insync.replicas".to_owned(), "2".to_owned())]);
    server.broker.topics().create("safe", 3, safe).unwrap();
    server.send("t", "x");
    let logs = server.broker.logs_snapshot();
    assert_eq!((logs.topics, logs.partitions), (2, 4));
    assert_eq!((logs.under_min_insync, logs.at_min_insync, logs.at_rest), (3, 1, 3));
    let partitions = server.broker.partition_snapshots();
    let of_t = partitions.iter().find(|p| &*p.topic == "t").unwrap();
    assert_eq!((of_t.start_offset, of_t.end_offset), (0, 1));
    assert!(of_t.log_bytes > 0);
    until("the answer is counted", || {
        let counters = server.broker.counters().snapshot();
        let produce = counters.requests.iter().find(|r| r.api == ApiKey::Produce).unwrap();
        produce.total.buckets.iter().sum::<u64>() == 1
    });
    let counters = server.broker.counters().snapshot();
    let produce = counters.requests.iter().find(|r| r.api == ApiKey::Produce).unwrap();
    let parts = [&produce.queue, &produce.local, &produce.remote, &produce.send];
    assert!(parts.iter().all(|part| part.buckets.iter().sum::<u64>() == 1));
    // Each part is cut to whole microseconds.
    let sum: u64 = parts.iter().map(|part| part.sum_us).sum();
    assert!((sum..=sum + 4).contains(&produce.total.sum_us), "{sum} of {}", produce.total.sum_us);
    assert!(counters.flushes.buckets.iter().sum::<u64>() >= 1);
    server.stop();
}
