//! What the tests share: batches in one line, and a log read back as records.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bd_log::batch::{BatchBuilder, Batches, RecordsIter};
use bd_log::{Appended, Fs, Isolation, Log, LogConfig, LogError, Recovery};
use bytes::BytesMut;

pub const DIR: &str = "/data/topic-0";

pub fn open(fs: &(impl Fs + Clone), config: LogConfig) -> Result<(Log, Recovery), LogError> {
    Log::open(Arc::new(fs.clone()), Path::new(DIR), config)
}

pub fn config() -> LogConfig {
    LogConfig { segment_bytes: 1000, index_interval_bytes: 100, ..LogConfig::default() }
}

pub fn segment(base: i64) -> PathBuf {
    Path::new(DIR).join(format!("{base:020}.log"))
}

/// How many random cases: `PROPTEST_CASES`, else `default`.
pub fn cases(default: u32) -> u32 {
    std::env::var("PROPTEST_CASES").map_or(default, |text| text.parse().unwrap())
}

/// A batch without producer, one record per value, timestamps as given.
pub fn plain(records: &[(i64, &str)]) -> BytesMut {
    let mut builder = BatchBuilder::new();
    for (timestamp, value) in records {
        builder.append(*timestamp, None, Some(value.as_bytes()), &[]);
    }
    builder.build()
}

/// A batch of an idempotent producer with `count` records.
pub fn sequenced(producer: i64, epoch: i16, sequence: i32, count: i32) -> BytesMut {
    batch_of(producer, epoch, sequence, count, false)
}

/// The same in a transaction.
pub fn transactional(producer: i64, epoch: i16, sequence: i32, count: i32) -> BytesMut {
    batch_of(producer, epoch, sequence, count, true)
}

fn batch_of(producer: i64, epoch: i16, sequence: i32, count: i32, transactional: bool) -> BytesMut {
    let mut builder = BatchBuilder::new().producer(producer, epoch, sequence).transactional(transactional);
    for i in 0..count {
        let value = format!("{producer}/{epoch}/{}", i64::from(sequence) + i64::from(i));
        builder.append(1_000 + i64::from(i), None, Some(value.as_bytes()), &[]);
    }
    builder.build()
}

/// Appends and makes durable.
pub fn put(log: &Log, batch: BytesMut) -> Appended {
    let appended = log.append(batch, 0).unwrap();
    log.sync().unwrap();
    appended
}

/// Every record a reader sees from `from` on: (offset, value), markers left out, aborted records filtered for
/// `LastStable` as a client does it.
pub fn records(log: &Log, from: i64, isolation: Isolation) -> Vec<(i64, String)> {
    let keyed = keyed_records(log, from, isolation).into_iter();
    keyed.map(|(offset, _, value)| (offset, value.unwrap())).collect()
}

pub fn offsets(log: &Log, isolation: Isolation) -> Vec<i64> {
    records(log, log.start_offset(), isolation).into_iter().map(|(offset, _)| offset).collect()
}

/// Every record a reader sees from `from` on: (offset, key, value), as [`records`] otherwise.
pub fn keyed_records(log: &Log, from: i64, isolation: Isolation) -> Vec<(i64, String, Option<String>)> {
    let (mut found, mut offset) = (Vec::new(), from);
    loop {
        let read = log.read(offset, 300, isolation, true).unwrap();
        if read.bytes.is_empty() {
            return found;
        }
        for item in Batches::new(&read.bytes) {
            let (range, header) = item.unwrap();
            bd_log::batch::verify_crc(&read.bytes[range.clone()]).unwrap();
            let aborted = header.is_transactional()
                && read.aborted.iter().any(|a| {
                    a.producer_id == header.producer_id
                        && (a.first_offset..=a.last_offset).contains(&header.base_offset)
                });
            if header.is_control() || aborted {
                continue;
            }
            let plain = bd_log::compression::plain_batch(&read.bytes.slice(range), 1 << 20).unwrap();
            let text = |range: std::ops::Range<usize>| String::from_utf8(plain[range].to_vec()).unwrap();
            for record in RecordsIter::new(&plain).unwrap() {
                let record = record.unwrap();
                if record.offset >= from {
                    let key = record.key.map_or_else(String::new, text);
                    found.push((record.offset, key, record.value.map(text)));
                }
            }
        }
        assert!(read.next_offset > offset, "reads make progress");
        offset = read.next_offset;
    }
}
