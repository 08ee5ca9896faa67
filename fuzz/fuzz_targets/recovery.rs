//! A partition's files, damaged anywhere: opening them never panics, refuses or recovers, and what it recovers is whole and stays
//! the same at the next opening. Compacted logs, too, and what they do when they are compacted or their start is deleted then.
#![no_main]

use bd_log::batch::{BatchBuilder, Batches, RecordsIter, verify_crc};
use bd_log::testing::MemFs;
use bd_log::{CleanupPolicy, CorruptionPolicy, Fs, Isolation, Log, LogConfig, OpenMode, resting};
use libfuzzer_sys::fuzz_target;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DIR: &str = "/partition";

/// What an input says beside the damage.
#[derive(Clone, Copy)]
struct Plan {
    close_before: bool,
    truncate: bool,
    close_after: bool,
    /// The log is a compacted one: compacted so often before the damage, and once after it.
    compacted: bool,
    compact_twice: bool,
    delete_records: bool,
}

impl Plan {
    fn of(flags: u8) -> Plan {
        let flag = |bit: u8| flags >> bit & 1 == 1;
        Plan {
            close_before: flag(0),
            truncate: flag(1),
            close_after: flag(2),
            compacted: flag(3),
            compact_twice: flag(4),
            delete_records: flag(5),
        }
    }

    fn config(self) -> LogConfig {
        let corruption = if self.truncate { CorruptionPolicy::Truncate } else { CorruptionPolicy::Refuse };
        let cleanup_policy = if self.compacted { CleanupPolicy::Compact } else { CleanupPolicy::Delete };
        LogConfig {
            segment_bytes: 700,
            index_interval_bytes: 100,
            corruption,
            cleanup_policy,
            delete_retention_ms: 0,
            ..LogConfig::default()
        }
    }
}

/// Some segments with transactions in them; closed or left as a kill would.
fn write(fs: &Arc<dyn Fs>, plan: Plan) {
    let config = LogConfig { corruption: CorruptionPolicy::Refuse, ..plan.config() };
    let Ok((log, _)) = Log::open(fs.clone(), Path::new(DIR), config) else { return };
    for number in 0..12i32 {
        if plan.compacted && (number == 9 || (plan.compact_twice && number == 5)) {
            let _ = log.compact(2_000);
        }
        let mut batch = BatchBuilder::new();
        if number % 3 == 0 {
            batch = batch.producer(7, 0, number / 3).transactional(true);
        }
        let key = [b'k', (number % 3) as u8];
        let value = [number as u8; 50];
        batch.append(1_000 + i64::from(number), Some(&key), (number % 5 != 4).then_some(&value), &[]);
        let _ = log.append(batch.build(), 0);
        if number % 6 == 3 {
            let _ = log.append_marker(7, 0, number % 2 == 0, 0, 0);
        }
        let _ = log.sync();
    }
    if plan.delete_records {
        let _ = log.delete_records_before(3);
    }
    if plan.close_before {
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
    let plan = Plan::of(*flags);
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    write(&fs, plan);
    damage(&*fs, data);
    // The file that tells of many logs, too.
    let at_rest = Path::new("/resting");
    if let Ok(file) = fs.open(at_rest, OpenMode::Create) {
        let _ = file.write_all_at(0, data);
        let _ = resting::take(&*fs, at_rest);
    }
    let Ok((log, _)) = Log::open(fs.clone(), Path::new(DIR), plan.config()) else { return };
    let first = read(&log);
    let _ = (log.offset_for_timestamp(1_005), log.max_timestamp_offset());
    if plan.close_after && log.close().is_err() {
        return;
    }
    drop(log);
    let Ok((log, _)) = Log::open(fs.clone(), Path::new(DIR), plan.config()) else { return };
    if let (Some(first), Some(second)) = (first, read(&log)) {
        assert!(first == second, "a second opening shows other records");
    }
    // In use again: none of this may panic or make it unreadable.
    let mut batch = BatchBuilder::new();
    batch.append(5_000, Some(b"k"), Some(b"value"), &[]);
    let appended = log.append(batch.build(), 0).is_ok() && log.sync().is_ok();
    let compacted = plan.compacted && log.compact(10_000).is_ok();
    let _ = log.apply_retention(10_000);
    if appended && (compacted || !plan.compacted) && log.close().is_ok() {
        let third = read(&log);
        drop(log);
        let (log, _) = Log::open(fs, Path::new(DIR), plan.config()).expect("what was closed well opens");
        if let Some(third) = third {
            assert!(read(&log) == Some(third), "a third opening shows other records");
        }
    }
});
