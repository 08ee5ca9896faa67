//! Idempotent producers: to `plain`, of which all is kept, and to `keyed`, which is compacted.

use crate::bd::{PARTITIONS, PATIENCE, client, read};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tv_cases::rng::Rng;

/// Records of a second of each producer.
const RATE: u64 = 4_000;
/// Keys of `keyed`.
const KEYS: u64 = 400;

/// Counts what was acknowledged; a record that was refused ends the test.
#[derive(Default)]
pub(crate) struct Deliveries {
    acknowledged: AtomicU64,
    refused: std::sync::Mutex<Option<String>>,
}

#[derive(Clone, Default)]
pub(crate) struct Counting(Arc<Deliveries>);

impl Counting {
    /// What was refused since this was last asked for.
    pub(crate) fn refused(&self) -> Option<String> {
        self.0.refused.lock().unwrap().take()
    }
}

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

/// What is written next.
struct Next {
    partition: i32,
    key: String,
    value: Option<String>,
}

/// Writes to `topic` what `next` says for 0, 1, 2, ... until `done`; returns how many.
fn write(
    name: &str,
    codec: &str,
    topic: &str,
    port: u16,
    done: &AtomicBool,
    mut next: impl FnMut(u64) -> Next,
) -> u64 {
    let deliveries = Counting::default();
    let mut config = client(port);
    config.set("enable.idempotence", "true").set("linger.ms", "2").set("message.timeout.ms", "0");
    config.set("compression.type", codec);
    let producer: BaseProducer<Counting> = config.create_with_context(deliveries.clone()).unwrap();
    let (started, mut sent) = (Instant::now(), 0u64);
    let mut pending = next(0);
    while !done.load(Ordering::SeqCst) {
        let due = started.elapsed().as_millis() as u64 * RATE / 1000;
        while sent < due {
            let mut record = BaseRecord::<str, str>::to(topic).key(&pending.key).partition(pending.partition);
            if let Some(value) = &pending.value {
                record = record.payload(value);
            }
            match producer.send(record) {
                Ok(()) => sent += 1,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => break,
                Err((error, _)) => panic!("{name}: {error}"),
            }
            pending = next(sent);
        }
        producer.poll(Duration::from_millis(1));
        if let Some(refused) = deliveries.refused() {
            panic!("{name}: {refused}");
        }
    }
    producer.flush(PATIENCE).unwrap();
    assert_eq!(deliveries.refused(), None, "{name}");
    assert_eq!(deliveries.0.acknowledged.load(Ordering::SeqCst), sent, "{name}: not all acknowledged");
    sent
}

/// Writes 0, 1, 2, ... in turn to all partitions of `plain` until `done`; returns how many.
pub(crate) fn numbers(
    name: &'static str,
    codec: &'static str,
    port: u16,
    done: Arc<AtomicBool>,
) -> JoinHandle<u64> {
    let next = move |number: u64| Next {
        partition: (number % PARTITIONS as u64) as i32,
        key: name.to_owned(),
        value: Some(number.to_string()),
    };
    std::thread::spawn(move || write(name, codec, "plain", port, &done, next))
}

/// Every number of every producer stands once in its partition, in order.
pub(crate) fn check_numbers(port: u16, sent: &BTreeMap<&str, u64>) {
    let mut next: HashMap<(String, i32), u64> = HashMap::new();
    for (partition, records) in (0..).zip(read(port, "plain", "read_uncommitted")) {
        for (name, value) in records {
            let (name, number) = (name.unwrap(), value.unwrap().parse::<u64>().unwrap());
            let expected = next.entry((name.clone(), partition)).or_insert(partition as u64);
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

/// How often was written, and what was written last of each key: a number, or that it is deleted.
pub(crate) struct Keyed {
    pub(crate) sent: u64,
    last: BTreeMap<String, Option<u64>>,
}

/// Writes numbers under few keys and deletes some of these, until `done`.
pub(crate) fn keyed(codec: &'static str, port: u16, seed: u64, done: Arc<AtomicBool>) -> JoinHandle<Keyed> {
    std::thread::spawn(move || {
        let mut rng = Rng::fork(seed, "keyed");
        let mut written = Vec::new();
        let next = |number: u64| {
            let key = rng.below(KEYS);
            let value = (rng.below(6) > 0).then_some(number);
            written.push((key, value));
            Next {
                partition: (key % PARTITIONS as u64) as i32,
                key: key.to_string(),
                // What makes segments full.
                value: value.map(|number| format!("{number}:{:x}{:x}", rng.bits(), rng.bits())),
            }
        };
        let sent = write("keyed", codec, "keyed", port, &done, next);
        written.truncate(sent as usize); // the next one was never sent
        let last = written.into_iter().map(|(key, value)| (key.to_string(), value)).collect();
        Keyed { sent, last }
    })
}

/// Each key has its last value, in the order in which they were written; one that was deleted has none.
pub(crate) fn check_keyed(port: u16, keyed: &Keyed) {
    let (mut found, mut count) = (BTreeMap::new(), 0);
    for (partition, records) in read(port, "keyed", "read_uncommitted").into_iter().enumerate() {
        let mut before = None;
        for (key, value) in records {
            let number = value.map(|value| value.split_once(':').unwrap().0.parse::<u64>().unwrap());
            if number.is_some() {
                assert!(before < number, "keyed-{partition}: {number:?} after {before:?}");
                before = number;
            }
            found.insert(key.unwrap(), number);
            count += 1;
        }
    }
    for (key, last) in &keyed.last {
        let found = found.remove(key).flatten();
        assert_eq!(found, *last, "keyed: key {key}, the last of {} writes", keyed.sent);
    }
    assert!(found.is_empty(), "keyed: {found:?} was never written");
    println!("keyed: {count} of {} records are left", keyed.sent);
    assert!(keyed.sent < 20_000 || count < keyed.sent, "keyed was never compacted");
}

/// The numbers of a churned topic.
pub(crate) fn numbers_of(port: u16, topic: &str) -> Vec<u64> {
    let all = read(port, topic, "read_uncommitted").into_iter().flatten();
    all.map(|(_, value)| value.unwrap().parse().unwrap()).collect()
}
