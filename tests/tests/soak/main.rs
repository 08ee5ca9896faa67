//! The broker is ended by `kill -9` again and again while librdkafka's idempotent and transactional producers write, topics come
//! and go, offsets are committed and logs compacted. At the end a checker that knows every record reads all of it: none lost,
//! none doubled, none reordered, none of an aborted transaction; of compacted topics the last value of each key.
//!
//! | setting | default | |
//! |---|---|---|
//! | `BD_SOAK_KILLS` | 12 | how often; `make soak` a thousand times |
//! | `BD_SOAK_SEED` | 1 | which: printed with a failure |
//! | `BD_SOAK_ROUND` | 100 | after how many kills all is checked and begun anew with the next seed |
//! | `BD_SOAK_FLUSH` | group | how the log fsyncs |
//! | `BD_SOAK_BINARY` | that of this build | the program |

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail the test, and say what they did"
)]

mod bd;
mod churn;
mod commits;
mod plain;
mod transactions;

use bd::{Life, PARTITIONS, client};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use transactions::Outcome;
use tv_cases::rng::Rng;

/// Small segments: rolls, indexes, snapshots and compactions are under way at some of the kills.
const SMALL: (&str, &str) = ("internal.segment.bytes", "60000");
const COMPACTED: [(&str, &str); 5] = [
    SMALL,
    ("cleanup.policy", "compact"),
    ("segment.ms", "300"),
    ("min.cleanable.dirty.ratio", "0.1"),
    ("delete.retention.ms", "200"),
];

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Where the data is kept, and what to ask for again, when a round fails.
struct Round {
    seed: u64,
    data: Option<tempfile::TempDir>,
}

impl Drop for Round {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let data = self.data.take().map(tempfile::TempDir::keep);
            eprintln!("failed with BD_SOAK_SEED={}; the data is kept in {data:?}", self.seed);
        }
    }
}

async fn create_topics(port: u16) {
    let admin: AdminClient<DefaultClientContext> = client(port).create().unwrap();
    let topic = |name, configs: &[(&'static str, &'static str)]| {
        let topic = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1));
        configs.iter().fold(topic, |topic, (config, value)| topic.set(config, value))
    };
    let topics = [
        topic("plain", &[SMALL]),
        topic("txn", &[SMALL]),
        topic("keyed", &COMPACTED),
        topic("tables", &COMPACTED),
    ];
    for created in admin.create_topics(&topics, &AdminOptions::new()).await.unwrap() {
        created.unwrap();
    }
    // The internal topics are there once they are used.
    drop(transactions::producer(port, "first"));
    let consumer: BaseConsumer = client(port).set("group.id", commits::GROUP).create().unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("plain", 0, Offset::Offset(0)).unwrap();
    consumer.commit(&offsets, CommitMode::Sync).unwrap();
    let internal = ["__consumer_offsets", "__transaction_state"].map(|name| {
        let altered = AlterConfig::new(ResourceSpecifier::Topic(name));
        COMPACTED.iter().fold(altered, |altered, (config, value)| altered.set(config, value))
    });
    for altered in admin.alter_configs(&internal, &AdminOptions::new()).await.unwrap() {
        altered.unwrap();
    }
}

fn round(kills: u64, seed: u64) {
    let round = Round { seed, data: Some(tempfile::tempdir().unwrap()) };
    let data = round.data.as_ref().unwrap().path();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut life = Life::begin(data, port);
    tokio::runtime::Runtime::new().unwrap().block_on(create_topics(port));
    let done = Arc::new(AtomicBool::new(false));
    let numbers = [("a", "none"), ("b", "lz4"), ("c", "zstd")]
        .map(|(name, codec)| (name, plain::numbers(name, codec, port, done.clone())));
    let keyed = plain::keyed("zstd", port, seed, done.clone());
    let txns = ["t", "u", "v", "w"].map(|name| (name, transactions::run(name, port, seed, done.clone())));
    let commits = commits::run(port, done.clone());
    let churn = churn::run(port, seed, done.clone());
    let mut rng = Rng::fork(seed, "kills");
    let started = Instant::now();
    for kill in 0..kills {
        std::thread::sleep(Duration::from_millis(rng.between(30, 600) as u64));
        drop(life);
        life = Life::begin(data, port);
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok(), "after kill {kill}");
        let ended = numbers.iter().any(|(_, thread)| thread.is_finished())
            || txns.iter().any(|(_, thread)| thread.is_finished());
        if ended || keyed.is_finished() || commits.is_finished() || churn.is_finished() {
            break;
        }
    }
    done.store(true, Ordering::SeqCst);
    let sent: BTreeMap<&str, u64> =
        numbers.into_iter().map(|(name, thread)| (name, thread.join().unwrap())).collect();
    let txns: BTreeMap<_, _> =
        txns.into_iter().map(|(name, thread)| (name, thread.join().unwrap())).collect();
    let (keyed, commits, churned) = (keyed.join().unwrap(), commits.join().unwrap(), churn.join().unwrap());
    let count = |outcome| txns.values().flatten().filter(|done| done.outcome == outcome).count();
    let [committed, aborted, unsure] = [Outcome::Committed, Outcome::Aborted, Outcome::Unsure].map(count);
    println!(
        "seed {seed}, {kills} kills in {:?}: records {sent:?}, keyed {}, transactions: {committed} committed, {aborted} \
         aborted, {unsure} unsure, commits {commits:?}, {} topics",
        started.elapsed(),
        keyed.sent,
        churned.created,
    );
    assert!(committed > 0 && aborted > 0, "no transaction was committed, or none aborted");
    assert!(churned.created > 0 && *commits.start() > 0, "nothing was created, or nothing committed");
    // The same after one more start.
    for _ in 0..2 {
        plain::check_numbers(port, &sent);
        plain::check_keyed(port, &keyed);
        transactions::check(port, &txns);
        commits::check(port, &commits);
        churn::check(port, &churned);
        drop(life);
        life = Life::begin(data, port);
    }
}

#[test]
fn kills_under_load_lose_nothing_double_nothing_and_show_nothing_aborted() {
    let (kills, seed) = (setting("BD_SOAK_KILLS", 12), setting("BD_SOAK_SEED", 1));
    let most = setting("BD_SOAK_ROUND", 100).max(1);
    for (number, first) in (0..kills).step_by(most as usize).enumerate() {
        round(most.min(kills - first), seed + number as u64);
    }
}
