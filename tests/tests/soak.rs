//! The broker is ended by `kill -9` again and again while librdkafka's idempotent and transactional producers write. At the end a
//! checker that knows every record reads all of it: none lost, none doubled, none reordered, none of an aborted transaction.
//!
//! `BD_SOAK_KILLS` (12) says how often, `BD_SOAK_SEED` (1) which; `make soak` runs a thousand.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use bd_e2e::bd_binary;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{
    BaseProducer, BaseRecord, DefaultProducerContext, Producer, ProducerContext, ThreadedProducer,
};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::collections::{BTreeMap, HashMap};
use std::io::BufRead;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tv_cases::rng::Rng;

const PARTITIONS: i32 = 4;
const PATIENCE: Duration = Duration::from_secs(120);
/// Records of a second of each idempotent producer.
const RATE: u64 = 4_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// A broker at work, killed when dropped.
struct Life(Child);

impl Life {
    /// Starts it on `port` and waits until it answers.
    fn begin(data: &Path, port: u16) -> Life {
        let mut command = Command::new(bd_binary().unwrap());
        command
            .args(["up", "--roles", "cluster", "--set", "metrics.listener=127.0.0.1:0", "--data"])
            .arg(data);
        command.args(["--set", &format!("listeners=127.0.0.1:{port}")]);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = std::io::BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = Vec::new();
        while said.last().is_none_or(|line: &String| !line.starts_with("ready")) {
            match lines.next() {
                Some(line) => said.push(line),
                None => panic!("bd did not start: {:?}\n{}", child.wait(), said.join("\n")),
            }
        }
        // What it says later is shown, and does not block it.
        std::thread::spawn(move || lines.for_each(|line| eprintln!("bd: {line}")));
        Life(child)
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn client(port: u16) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", format!("127.0.0.1:{port}"));
    config.set("reconnect.backoff.ms", "10").set("reconnect.backoff.max.ms", "50");
    config.set("retry.backoff.ms", "10").set("retry.backoff.max.ms", "50");
    config.set("log_level", "0");
    config
}

/// Counts what was acknowledged; a record that was refused ends the test.
#[derive(Default)]
struct Deliveries {
    acknowledged: AtomicU64,
    refused: std::sync::Mutex<Option<String>>,
}

#[derive(Clone)]
struct Counting(Arc<Deliveries>);

impl ClientContext for Counting {}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.0.acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            Err((error, message)) => {
                let text = format!("{error} for {:?}", message.payload().map(String::from_utf8_lossy));
                self.0.refused.lock().unwrap().get_or_insert(text);
            }
        }
    }
}

/// Writes 0, 1, 2, ... in turn to all partitions of `plain` until `done`; returns how many.
fn idempotent(name: &'static str, port: u16, done: Arc<AtomicBool>) -> JoinHandle<u64> {
    std::thread::spawn(move || {
        let deliveries = Counting(Arc::default());
        let mut config = client(port);
        config.set("enable.idempotence", "true").set("linger.ms", "2").set("message.timeout.ms", "0");
        let producer: BaseProducer<Counting> = config.create_with_context(deliveries.clone()).unwrap();
        let (started, mut sent) = (Instant::now(), 0u64);
        while !done.load(Ordering::SeqCst) {
            let due = started.elapsed().as_millis() as u64 * RATE / 1000;
            while sent < due {
                let value = format!("{name}:{sent}");
                let record = BaseRecord::<str, _>::to("plain").payload(&value);
                match producer.send(record.partition((sent % PARTITIONS as u64) as i32)) {
                    Ok(()) => sent += 1,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => break,
                    Err((error, _)) => panic!("{name}: {error}"),
                }
            }
            producer.poll(Duration::from_millis(1));
            if let Some(refused) = deliveries.0.refused.lock().unwrap().take() {
                panic!("{name}: {refused}");
            }
        }
        producer.flush(PATIENCE).unwrap();
        assert_eq!(*deliveries.0.refused.lock().unwrap(), None, "{name}");
        assert_eq!(deliveries.0.acknowledged.load(Ordering::SeqCst), sent, "{name}: not all acknowledged");
        sent
    })
}

/// How a transaction ended, as its producer was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Committed,
    Aborted,
    /// The producer died over it: whole or not at all.
    Unsure,
}

/// One whose delivery reports are taken by a thread: commits and aborts wait for them.
type Transactional = ThreadedProducer<DefaultProducerContext>;

fn transactional_producer(port: u16) -> Transactional {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut config = client(port);
        config.set("transactional.id", "soak").set("transaction.timeout.ms", "60000");
        let producer: Transactional = config.create().unwrap();
        match producer.init_transactions(Duration::from_secs(20)) {
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

/// One transaction: some records to all partitions of `txn` and an offset of the group, then its end.
fn transaction(producer: &Transactional, number: u64, rng: &mut Rng, group: &BaseConsumer) -> Outcome {
    let commit = rng.between(0, 3) > 0;
    if producer.begin_transaction().is_err() {
        return Outcome::Unsure;
    }
    for i in 0..rng.between(1, 20) as u64 {
        let value = format!("{number}:{i}");
        let record = BaseRecord::<str, _>::to("txn").payload(&value);
        if producer.send(record.partition((i % PARTITIONS as u64) as i32)).is_err() {
            return abort(producer);
        }
    }
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("plain", 0, Offset::Offset(number as i64)).unwrap();
    let metadata = group.group_metadata().unwrap();
    if producer.send_offsets_to_transaction(&offsets, &metadata, Duration::from_secs(20)).is_err() || !commit
    {
        return abort(producer);
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match producer.commit_transaction(Duration::from_secs(20)) {
            Ok(()) => return Outcome::Committed,
            Err(error) => match what(&error) {
                (true, _) => assert!(Instant::now() < deadline, "commit: {error}"),
                (_, true) => return abort(producer),
                _ => return Outcome::Unsure,
            },
        }
    }
}

fn abort(producer: &Transactional) -> Outcome {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match producer.abort_transaction(Duration::from_secs(20)) {
            Ok(()) => return Outcome::Aborted,
            Err(error) if what(&error).0 => assert!(Instant::now() < deadline, "abort: {error}"),
            // Fatal: the successor ends it; it was never asked to commit, but who knows what was retried.
            Err(_) => return Outcome::Unsure,
        }
    }
}

/// Runs transactions until `done`; returns how each ended.
fn transactional(port: u16, seed: u64, done: Arc<AtomicBool>) -> JoinHandle<Vec<Outcome>> {
    std::thread::spawn(move || {
        let mut rng = Rng::new(seed);
        let group: BaseConsumer = client(port).set("group.id", "soak-group").create().unwrap();
        let mut outcomes = Vec::new();
        let mut producer = transactional_producer(port);
        while !done.load(Ordering::SeqCst) {
            let outcome = transaction(&producer, outcomes.len() as u64, &mut rng, &group);
            outcomes.push(outcome);
            if outcome == Outcome::Unsure {
                producer = transactional_producer(port);
            }
        }
        outcomes
    })
}

/// All values of a partition, in order.
fn read(port: u16, topic: &str, partition: i32, isolation: &str) -> Vec<String> {
    let mut config = client(port);
    config.set("group.id", "checker").set("isolation.level", isolation).set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    consumer.assign(&assignment).unwrap();
    let mut values = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "{topic}-{partition} is not read to its end");
        match consumer.poll(Duration::from_secs(1)) {
            Some(Ok(message)) => values.push(String::from_utf8(message.payload().unwrap().to_vec()).unwrap()),
            Some(Err(KafkaError::PartitionEOF(_))) => return values,
            Some(Err(error)) => panic!("{topic}-{partition}: {error}"),
            None => {}
        }
    }
}

/// Every number of every producer stands once in its partition, in order.
fn check_plain(port: u16, sent: &BTreeMap<&str, u64>) {
    let mut next: HashMap<(String, i32), u64> = HashMap::new();
    for partition in 0..PARTITIONS {
        for value in read(port, "plain", partition, "read_uncommitted") {
            let (name, number) = value.split_once(':').unwrap();
            let number: u64 = number.parse().unwrap();
            let expected = next.entry((name.to_owned(), partition)).or_insert(partition as u64);
            assert_eq!(number, *expected, "plain-{partition}, producer {name}");
            *expected += PARTITIONS as u64;
        }
    }
    for (name, sent) in sent {
        for partition in 0..PARTITIONS {
            let end = next.get(&((*name).to_owned(), partition)).copied().unwrap_or(partition as u64);
            assert!(end >= *sent && end < sent + PARTITIONS as u64, "{name} in {partition}: {end} of {sent}");
        }
    }
}

/// Committed transactions are there once and whole, in order; of aborted ones there is nothing.
fn check_transactions(port: u16, outcomes: &[Outcome]) {
    let mut found: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for partition in 0..PARTITIONS {
        let mut last = None;
        for value in read(port, "txn", partition, "read_committed") {
            let (number, i) = value.split_once(':').unwrap();
            let at: (u64, u64) = (number.parse().unwrap(), i.parse().unwrap());
            assert!(last < Some(at), "txn-{partition}: {at:?} after {last:?}");
            last = Some(at);
            found.entry(at.0).or_default().push(at.1);
        }
    }
    for (number, outcome) in outcomes.iter().enumerate() {
        let mut records = found.remove(&(number as u64)).unwrap_or_default();
        records.sort_unstable();
        assert!(
            records.iter().copied().eq(0..records.len() as u64),
            "transaction {number} is torn: {records:?}"
        );
        match outcome {
            Outcome::Committed => assert!(!records.is_empty(), "committed transaction {number} is lost"),
            Outcome::Aborted => assert!(records.is_empty(), "aborted transaction {number} is read"),
            Outcome::Unsure => {}
        }
    }
    assert!(found.is_empty(), "{found:?} was never written");
}

#[test]
fn kills_under_load_lose_nothing_double_nothing_and_show_nothing_aborted() {
    let (kills, seed) = (setting("BD_SOAK_KILLS", 12), setting("BD_SOAK_SEED", 1));
    let data = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut life = Life::begin(data.path(), port);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let admin: AdminClient<DefaultClientContext> = client(port).create().unwrap();
    // Small segments: rolls, indexes and snapshots are under way at some of the kills.
    let topics = ["plain", "txn"].map(|name| {
        NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1)).set("segment.bytes", "100000")
    });
    for created in runtime.block_on(admin.create_topics(&topics, &AdminOptions::new())).unwrap() {
        created.unwrap();
    }
    let done = Arc::new(AtomicBool::new(false));
    let plain = ["a", "b"].map(|name| (name, idempotent(name, port, done.clone())));
    let transactions = transactional(port, seed, done.clone());
    let mut rng = Rng::new(seed);
    for kill in 0..kills {
        std::thread::sleep(Duration::from_millis(rng.between(30, 500) as u64));
        drop(life);
        life = Life::begin(data.path(), port);
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok(), "after kill {kill}");
        if plain.iter().any(|(_, thread)| thread.is_finished()) || transactions.is_finished() {
            break;
        }
    }
    done.store(true, Ordering::SeqCst);
    let sent: BTreeMap<&str, u64> =
        plain.into_iter().map(|(name, thread)| (name, thread.join().unwrap())).collect();
    let outcomes = transactions.join().unwrap();
    let count = |outcome| outcomes.iter().filter(|o| **o == outcome).count();
    let [committed, aborted, unsure] = [Outcome::Committed, Outcome::Aborted, Outcome::Unsure].map(count);
    println!(
        "{kills} kills, records {sent:?}, transactions: {committed} committed, {aborted} aborted, {unsure} unsure"
    );
    assert!(committed > 0, "no transaction was committed");
    check_plain(port, &sent);
    check_transactions(port, &outcomes);
    // The same after one more start.
    drop(life);
    let _life = Life::begin(data.path(), port);
    check_plain(port, &sent);
    check_transactions(port, &outcomes);
}
