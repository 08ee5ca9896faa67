//! Transactional producers: to `txn`, of which all is kept, to `tables`, which is compacted, and offsets of a group.

use crate::bd::{PARTITIONS, PATIENCE, client, committed, read};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tv_cases::rng::Rng;

/// Keys of `tables`, of each producer.
const KEYS: u64 = 20;
const TIMEOUT: Duration = Duration::from_secs(20);

/// How a transaction ended, as its producer was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Committed,
    Aborted,
    /// The producer died over it: whole or not at all.
    Unsure,
}

/// A transaction: how it ended, and what it wrote to `tables`.
pub(crate) struct Done {
    pub(crate) outcome: Outcome,
    keys: Vec<u64>,
}

/// One whose delivery reports are taken by a thread: commits and aborts wait for them.
type Transactional = ThreadedProducer<DefaultProducerContext>;

pub(crate) fn producer(port: u16, id: &str) -> Transactional {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut config = client(port);
        config.set("transactional.id", id).set("transaction.timeout.ms", "60000").set("linger.ms", "0");
        config.set("compression.type", "lz4");
        let producer: Transactional = config.create().unwrap();
        match producer.init_transactions(TIMEOUT) {
            Ok(()) => return producer,
            Err(error) => assert!(Instant::now() < deadline, "init_transactions: {error}"),
        }
    }
}

fn what(error: &KafkaError) -> (bool, bool) {
    match error {
        KafkaError::Transaction(error) => (error.is_retriable(), error.txn_requires_abort()),
        _ => (false, false),
    }
}

fn group_of(name: &str) -> String {
    format!("group-of-{name}")
}

/// One transaction: some records to all partitions of `txn`, some to `tables`, an offset of the group, then its end.
fn transaction(
    producer: &Transactional,
    name: &str,
    number: u64,
    rng: &mut Rng,
    group: &BaseConsumer,
) -> Done {
    let commit = rng.between(0, 3) > 0;
    let keys: Vec<u64> = (0..rng.between(0, 3)).map(|_| rng.below(KEYS)).collect();
    let ended = |outcome| Done { outcome, keys: keys.clone() };
    if producer.begin_transaction().is_err() {
        return ended(Outcome::Unsure);
    }
    let send = |topic, key: &str, value: &str, partition| {
        producer.send(BaseRecord::to(topic).key(key).payload(value).partition(partition)).is_ok()
    };
    for i in 0..rng.between(1, 20) as u64 {
        if !send("txn", name, &format!("{number}:{i}"), (i % PARTITIONS as u64) as i32) {
            return ended(abort(producer));
        }
    }
    for key in &keys {
        let partition = (key % PARTITIONS as u64) as i32;
        if !send("tables", &format!("{name}:{key}"), &number.to_string(), partition) {
            return ended(abort(producer));
        }
    }
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("plain", 0, Offset::Offset(number as i64)).unwrap();
    let metadata = group.group_metadata().unwrap();
    if producer.send_offsets_to_transaction(&offsets, &metadata, TIMEOUT).is_err() || !commit {
        return ended(abort(producer));
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match producer.commit_transaction(TIMEOUT) {
            Ok(()) => return ended(Outcome::Committed),
            Err(error) => match what(&error) {
                (true, _) => assert!(Instant::now() < deadline, "commit: {error}"),
                (_, true) => return ended(abort(producer)),
                _ => return ended(Outcome::Unsure),
            },
        }
    }
}

fn abort(producer: &Transactional) -> Outcome {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match producer.abort_transaction(TIMEOUT) {
            Ok(()) => return Outcome::Aborted,
            Err(error) if what(&error).0 => assert!(Instant::now() < deadline, "abort: {error}"),
            // Fatal: the successor ends it; it was never asked to commit, but who knows what was retried.
            Err(_) => return Outcome::Unsure,
        }
    }
}

/// Runs transactions until `done`; returns how each ended.
pub(crate) fn run(name: &'static str, port: u16, seed: u64, done: Arc<AtomicBool>) -> JoinHandle<Vec<Done>> {
    std::thread::spawn(move || {
        let mut rng = Rng::fork(seed, name);
        let group: BaseConsumer = client(port).set("group.id", group_of(name)).create().unwrap();
        let mut transactions = Vec::new();
        let mut at_work = producer(port, name);
        while !done.load(Ordering::SeqCst) {
            let ended = transaction(&at_work, name, transactions.len() as u64, &mut rng, &group);
            if ended.outcome == Outcome::Unsure {
                at_work = producer(port, name);
            }
            transactions.push(ended);
        }
        transactions
    })
}

/// Committed transactions are there once and whole, in order; of aborted ones there is nothing.
pub(crate) fn check(port: u16, done: &BTreeMap<&str, Vec<Done>>) {
    let mut found: BTreeMap<(String, u64), Vec<u64>> = BTreeMap::new();
    for (partition, records) in read(port, "txn", "read_committed").into_iter().enumerate() {
        let mut last = BTreeMap::new();
        for (name, value) in records {
            let (name, value) = (name.unwrap(), value.unwrap());
            let (number, i) = value.split_once(':').unwrap();
            let at: (u64, u64) = (number.parse().unwrap(), i.parse().unwrap());
            let before = last.insert(name.clone(), at);
            assert!(before < Some(at), "txn-{partition}, {name}: {at:?} after {before:?}");
            found.entry((name, at.0)).or_default().push(at.1);
        }
    }
    let mut tables = BTreeMap::new();
    for (name, transactions) in done {
        let mut last = None;
        for (number, Done { outcome, keys }) in transactions.iter().enumerate() {
            let number = number as u64;
            let mut records = found.remove(&((*name).to_owned(), number)).unwrap_or_default();
            records.sort_unstable();
            let whole = records.iter().copied().eq(0..records.len() as u64);
            assert!(whole, "{name}: transaction {number} is torn: {records:?}");
            match outcome {
                Outcome::Committed => assert!(!records.is_empty(), "{name}: transaction {number} is lost"),
                Outcome::Aborted => {
                    assert!(records.is_empty(), "{name}: aborted transaction {number} is read");
                }
                Outcome::Unsure => {}
            }
            if !records.is_empty() {
                last = Some(number as i64);
                tables.extend(keys.iter().map(|key| (format!("{name}:{key}"), number)));
            }
        }
        assert_eq!(
            committed(port, &group_of(name)),
            last,
            "{name}: offset of its last committed transaction"
        );
    }
    assert!(found.is_empty(), "{found:?} was never written");
    check_tables(port, tables);
}

/// Of each key the value of the last committed transaction.
fn check_tables(port: u16, expected: BTreeMap<String, u64>) {
    let records = read(port, "tables", "read_committed").into_iter().flatten();
    let found: BTreeMap<String, u64> =
        records.map(|(key, value)| (key.unwrap(), value.unwrap().parse().unwrap())).collect();
    assert_eq!(found, expected, "tables");
    let all = read(port, "tables", "read_uncommitted");
    println!("tables: {} records are left", all.iter().map(Vec::len).sum::<usize>());
}
