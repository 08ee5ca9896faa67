//! A partition's files, damaged anywhere: opening them never panics, refuses or recovers, and what it recovers is whole and stays
//! the same at the next opening.
#![no_main]

use bd_log::batch::{BatchBuilder, Batches, RecordsIter, verify_crc};
use bd_log::testing::MemFs;
use bd_log::{CorruptionPolicy, Fs, Isolation, Log, LogConfig, OpenMode};
use libfuzzer_sys::fuzz_target;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DIR: &str = "/partition";

fn config(truncate: bool) -> LogConfig {
    let corruption = if truncate { CorruptionPolicy::Truncate } else { CorruptionPolicy::Refuse };
    LogConfig { segment_bytes: 700, index_interval_bytes: 100, corruption, ..LogConfig::default() }
}

/// Some segments with transactions in them; closed or left as a kill would.
fn write(fs: &Arc<dyn Fs>, close: bool) {
    let Ok((log, _)) = Log::open(fs.clone(), Path::new(DIR), config(false)) else { return };
    for number in 0..12i32 {
        let mut batch = BatchBuilder::new();
        if number % 3 == 0 {
            batch = batch.producer(7, 0, number / 3).transactional(true);
        }
        batch.append(1_000 + i64::from(number), Some(b"key"), Some(&[number as u8; 50]), &[]);
        let _ = log.append(batch.build(), 0);
        if number % 6 == 3 {
            let _ = log.append_marker(7, 0, number % 2 == 0, 0, 0);
        }
        let _ = log.sync();
    }
    if close {
        let _ = log.close();
    }
}

/// Changes as the input says: which file, where, what; or its length.
fn damage(fs: &dyn Fs, mut data: &[u8]) {
    let Ok(mut files) = fs.list(Path::new(DIR)) else { return };
    files.sort();
    while let Some((&[file, kind, high, low, value], rest)) = data.split_first_chunk::<5>() {
        data = rest;
        let path: &PathBuf = &files[usize::from(file) % files.len()];
        let Ok(handle) = fs.open(path, OpenMode::ReadWrite) else { continue };
        let len = handle.len().unwrap_or(0);
        let at = u64::from(u16::from_be_bytes([high, low])) % (len + 1);
        match kind % 4 {
            0 => drop(handle.set_len(at)),
            1 => drop(handle.write_at(at, &[value])),
            2 => drop(handle.write_at(at, &[value; 64])),
            _ => drop(fs.remove(path)),
        }
    }
}

/// Everything there is; each batch whole and valid.
fn read(log: &Log) -> Option<Vec<u8>> {
    let (mut offset, mut all) = (log.start_offset(), Vec::new());
    loop {
        let read = log.read(offset, 1 << 20, Isolation::HighWatermark, true).ok()?;
        if read.bytes.is_empty() {
            return Some(all);
        }
        for item in Batches::new(&read.bytes) {
            let (range, _) = item.expect("whole batches");
            let batch = &read.bytes[range];
            verify_crc(batch).expect("valid batches");
            RecordsIter::new(batch).expect("records").for_each(|record| drop(record.expect("record")));
        }
        assert!(read.next_offset > offset);
        offset = read.next_offset;
        all.extend_from_slice(&read.bytes);
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((flags, data)) = data.split_first() else { return };
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    write(&fs, flags & 1 == 1);
    damage(&*fs, data);
    let config = || config(flags & 2 == 2);
    let Ok((log, _)) = Log::open(fs.clone(), Path::new(DIR), config()) else { return };
    let first = read(&log);
    let _ = (log.offset_for_timestamp(1_005), log.max_timestamp_offset());
    if flags & 4 == 4 && log.close().is_err() {
        return;
    }
    drop(log);
    if let Ok((log, _)) = Log::open(fs, Path::new(DIR), config())
        && let (Some(first), Some(second)) = (first, read(&log))
    {
        assert!(first == second, "a second opening shows other records");
    }
});
