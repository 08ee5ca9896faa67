//! A broker's folder, damaged, or with anything at all in its internal topics: it starts or says why not, and never panics; once
//! it has started it answers.
//!
//! The input: flags, then actions of five bytes and more: a record appended to an internal topic, one that is there with some bits
//! changed or bytes that follow; or a file damaged.
#![no_main]

use bd_broker::group::{Committer, OffsetWrite};
use bd_broker::{Broker, BrokerConfig, ProduceCall, TxnVersion};
use bd_log::batch::{BatchBuilder, Batches, RecordsIter};
use bd_log::testing::MemFs;
use bd_log::{CorruptionPolicy, Fs, Isolation, LogConfig, OpenMode};
use libfuzzer_sys::fuzz_target;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

const DIR: &str = "/startup";
const INTERNAL: [&str; 2] = ["__consumer_offsets", "__transaction_state"];

type KeyValue = (Option<Vec<u8>>, Option<Vec<u8>>);

fn config(fs: &Arc<dyn Fs>, truncate: bool) -> BrokerConfig {
    let corruption = if truncate { CorruptionPolicy::Truncate } else { CorruptionPolicy::Refuse };
    BrokerConfig {
        fs: Arc::clone(fs),
        log: LogConfig { segment_bytes: 2048, corruption, ..LogConfig::default() },
        ..BrokerConfig::new(DIR)
    }
}

/// A topic, a committed transaction with an offset, and an open one.
fn use_it(broker: &Broker) -> Option<()> {
    broker.topics().create("t", 2, Default::default()).ok()?;
    let txns = broker.txns();
    let mut producer = txns.init_producer(Some("tx"), 60_000, None).ok()?;
    for number in 0..3i64 {
        txns.add_partitions("tx", producer, vec![("t".into(), 0), ("t".into(), 1)]).ok()?;
        let mut batch =
            BatchBuilder::new().producer(producer.producer_id, producer.epoch, 0).transactional(true);
        batch.append(0, None, Some(b"value"), &[]);
        let (sender, receiver) = mpsc::channel();
        let call = ProduceCall { transactional_id: Some("tx"), acks: -1, version: 11 };
        broker.produce_as(call, vec![("t".into(), 0, Some(batch.build()))], move |results| {
            let _ = sender.send(results);
        });
        receiver.recv().ok()?;
        txns.add_offsets("tx", producer, "g").ok()?;
        let (sender, receiver) = mpsc::channel();
        let write = OffsetWrite {
            topic: "t".into(),
            partition: 0,
            offset: number,
            leader_epoch: -1,
            metadata: String::new(),
        };
        broker.txn_commit_offsets("tx", producer, Committer::of_group("g"), vec![write], move |results| {
            let _ = sender.send(results);
        });
        receiver.recv().ok()?;
        if number < 2 {
            producer = txns.end_as("tx", producer, number == 0, TxnVersion::V2).ok()?;
        }
    }
    Some(())
}

/// All records of an internal topic.
fn records(broker: &Broker, topic: &str) -> Vec<KeyValue> {
    let mut all = Vec::new();
    let Some(partition) = broker.topics().partition(topic, 0) else { return all };
    let log = partition.log();
    let mut offset = log.start_offset();
    while let Ok(read) = log.read(offset, 1 << 20, Isolation::LogEnd, true) {
        if read.bytes.is_empty() {
            break;
        }
        for (range, header) in Batches::new(&read.bytes).flatten() {
            let batch = &read.bytes[range];
            if header.is_control() {
                continue;
            }
            let Ok(records) = RecordsIter::new(batch) else { continue };
            let bytes = |range: Option<std::ops::Range<usize>>| range.map(|range| batch[range].to_vec());
            all.extend(records.flatten().map(|record| (bytes(record.key), bytes(record.value))));
        }
        offset = read.next_offset;
    }
    all
}

fn flip(bytes: Option<&mut Vec<u8>>, flips: &[u8]) {
    let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { return };
    for pair in flips.chunks_exact(2) {
        let at = usize::from(pair[0]) % bytes.len();
        bytes[at] ^= pair[1];
    }
}

fn append(broker: &Broker, action: u8, choice: u8, key_flips: &[u8], value_flips: &[u8]) {
    let topic = INTERNAL[usize::from(action >> 1 & 1)];
    let known = records(broker, topic);
    let (mut key, mut value) = match known.get(usize::from(choice) % known.len().max(1)) {
        Some(record) if action & 4 == 0 => record.clone(),
        _ => (Some(key_flips.to_vec()), Some(value_flips.to_vec())),
    };
    match action >> 3 & 3 {
        0 => flip(value.as_mut(), value_flips),
        1 => flip(key.as_mut(), key_flips),
        2 => {
            flip(key.as_mut(), key_flips);
            value.as_mut().map(|value| value.truncate(usize::from(choice)));
        }
        _ => value = None,
    }
    let mut batch = BatchBuilder::new();
    batch.append(0, key.as_deref(), value.as_deref(), &[]);
    if let Some(partition) = broker.topics().partition(topic, 0) {
        let _ = partition.log().append(batch.build(), 0);
        let _ = partition.log().sync();
    }
}

fn files(fs: &dyn Fs, dir: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for path in fs.list(dir).unwrap_or_default() {
        if depth > 0 && fs.list(&path).is_ok_and(|inner| !inner.is_empty()) {
            files(fs, &path, depth - 1, found);
        } else {
            found.push(path);
        }
    }
}

/// The part of a file that is damaged, and how.
fn damage(fs: &dyn Fs, &[file, kind, high, low, value]: &[u8; 5]) {
    let mut found = Vec::new();
    files(fs, Path::new(DIR), 2, &mut found);
    for inner in ["meta", "t-0", "__consumer_offsets-0", "__transaction_state-0"] {
        found.extend(fs.list(&Path::new(DIR).join(inner)).unwrap_or_default());
    }
    found.sort();
    found.dedup();
    let Some(path) = found.get(usize::from(file) % found.len().max(1)) else { return };
    let Ok(handle) = fs.open(path, OpenMode::ReadWrite) else { return };
    let at = u64::from(u16::from_be_bytes([high, low])) % (handle.len().unwrap_or(0) + 1);
    match kind % 4 {
        0 => drop(handle.set_len(at)),
        1 => drop(handle.write_at(at, &[value])),
        2 => drop(handle.write_at(at, &[value; 16])),
        _ => drop(fs.remove(path)),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((flags, mut data)) = data.split_first() else { return };
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let broker = Broker::open(config(&fs, false)).expect("a new broker");
    use_it(&broker).expect("it works");
    let mut damages = Vec::new();
    while let Some((action, rest)) = data.split_first_chunk::<6>() {
        data = rest;
        if action[0] & 1 == 1 {
            damages.push([action[1], action[2], action[3], action[4], action[5]]);
            continue;
        }
        let mut take = |length: u8| {
            let (taken, rest) = data.split_at(usize::from(length % 64).min(data.len()));
            data = rest;
            taken
        };
        let (key, value) = (take(action[2]), take(action[3]));
        append(&broker, action[0], action[1], key, value);
    }
    if flags & 1 == 1 {
        let _ = broker.close();
    }
    drop(broker);
    damages.iter().for_each(|one| damage(&*fs, one));
    let Ok(broker) = Broker::open(config(&fs, flags & 2 == 2)) else { return };
    let _ = broker.groups().committed("g", "t", 0, true);
    let _ = broker.txns().init_producer(Some("tx"), 60_000, None);
    let _ = broker.topics().create("other", 1, Default::default());
    let _ = broker.close();
});
