//! What compaction keeps, drops and leaves readable.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bd_log::batch::{BatchBuilder, Batches};
use bd_log::compression::Codec;
use bd_log::inspect::verify;
use bd_log::testing::MemFs;
use bd_log::{CleanupPolicy, Fs, Isolation, Log, LogConfig};
use bytes::BytesMut;
use support::*;

const HOUR: i64 = 3_600_000;

fn compacted() -> LogConfig {
    LogConfig { cleanup_policy: CleanupPolicy::Compact, min_cleanable_dirty_ratio: 0.0, ..config() }
}

/// One record for each (key, value) at time 1.
fn kv(records: &[(&str, Option<&str>)]) -> BytesMut {
    of(BatchBuilder::new(), records)
}

fn of(mut builder: BatchBuilder, records: &[(&str, Option<&str>)]) -> BytesMut {
    for (key, value) in records {
        builder.append(1, Some(key.as_bytes()), value.map(str::as_bytes), &[("h", Some(b"1"))]);
    }
    builder.build()
}

/// Fills the active segment, so that all before lies in sealed ones. Returns the offset of the first filler.
fn seal(log: &Log) -> i64 {
    let first = log.end_offset();
    for i in 0..10 {
        put(log, kv(&[(&format!("filler {i}"), Some(&"-".repeat(150)))]));
    }
    first
}

/// What a reader sees before `end`.
fn seen(log: &Log, isolation: Isolation, end: i64) -> Vec<(i64, String, Option<String>)> {
    keyed_records(log, log.start_offset(), isolation).into_iter().filter(|(o, ..)| *o < end).collect()
}

fn plain_seen(log: &Log, end: i64) -> Vec<(i64, String)> {
    let all = seen(log, Isolation::HighWatermark, end).into_iter();
    all.map(|(o, k, v)| (o, v.map_or_else(|| format!("{k} gone"), |v| format!("{k}={v}")))).collect()
}

fn sound(fs: &MemFs) {
    let report = verify(Arc::new(fs.clone()), std::path::Path::new(DIR)).unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
}

#[test]
fn the_last_record_of_each_key_stays_at_its_offset() {
    for codec in [Codec::None, Codec::Lz4, Codec::Gzip] {
        let fs = MemFs::new();
        let (log, _) = open(&fs, compacted()).unwrap();
        put(
            &log,
            of(BatchBuilder::new().codec(codec), &[("a", Some("1")), ("b", Some("1")), ("a", Some("2"))]),
        );
        put(&log, of(BatchBuilder::new().codec(codec), &[("c", Some("1"))]));
        put(&log, of(BatchBuilder::new().codec(codec), &[("a", Some("3")), ("c", Some("2"))]));
        let end = seal(&log);
        assert!(log.dirty_ratio(0) > 0.9 && log.compaction_due(0).unwrap().is_some());
        let done = log.compact(0).unwrap();
        assert!(done.records_removed == 3 && done.bytes_after < done.bytes_before, "{done:?}");
        assert_eq!(plain_seen(&log, end), [(1, "b=1".into()), (4, "a=3".into()), (5, "c=2".into())]);
        assert!(log.dirty_ratio(0) < 0.01 && log.compaction_due(0).unwrap().is_none());
        sound(&fs);
        // Any offset may be asked for, those that are gone too.
        for from in 0..=end {
            let read = log.read(from, 1, Isolation::HighWatermark, true).unwrap();
            let header = Batches::new(&read.bytes).next().unwrap().unwrap().1;
            assert!(header.last_offset() >= from && read.next_offset > from);
            let region = log.read_region(from, 1, Isolation::HighWatermark, true).unwrap();
            assert_eq!((region.next_offset, region.read().unwrap()), (read.next_offset, read.bytes));
        }
        let before = keyed_records(&log, 0, Isolation::HighWatermark);
        drop(log);
        let (log, _) = open(&fs, compacted()).unwrap();
        assert_eq!(keyed_records(&log, 0, Isolation::HighWatermark), before, "after a kill");
        log.close().unwrap();
        let (log, recovery) = open(&fs, compacted()).unwrap();
        assert!(recovery.clean);
        assert_eq!(keyed_records(&log, 0, Isolation::HighWatermark), before, "after a clean restart");
    }
}

#[test]
fn small_segments_become_few_and_more_runs_go_on() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, compacted()).unwrap();
    for round in 0..6 {
        for i in 0..60 {
            put(&log, kv(&[(&format!("key {}", i % 7), Some(&format!("{round}/{i} {}", "-".repeat(60))))]));
        }
        let before = log.size_bytes();
        let done = log.compact(0).unwrap();
        assert!(log.size_bytes() < before / 2, "{done:?}");
        assert_eq!(done.segments_replaced > done.segments_written, round > 0, "{done:?}");
        sound(&fs);
    }
    assert_eq!(log.start_offset(), 0);
    let last: Vec<_> = keyed_records(&log, 0, Isolation::HighWatermark);
    for i in 0..7 {
        let key = format!("key {i}");
        let newest = (0..60).rev().find(|n| n % 7 == i).unwrap();
        let found = last.iter().rfind(|(_, k, _)| *k == key).unwrap();
        assert!(found.2.as_ref().unwrap().starts_with(&format!("5/{newest} ")));
    }
}

#[test]
fn a_tombstone_stays_for_its_time_and_then_goes_with_its_key() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, LogConfig { delete_retention_ms: HOUR, ..compacted() }).unwrap();
    put(&log, kv(&[("a", Some("1")), ("b", Some("1"))]));
    put(&log, kv(&[("a", None)]));
    let end = seal(&log);
    log.compact(10 * HOUR).unwrap();
    assert_eq!(plain_seen(&log, end), [(1, "b=1".into()), (2, "a gone".into())]);
    let read = log.read(2, 1, Isolation::HighWatermark, true).unwrap();
    let header = Batches::new(&read.bytes).next().unwrap().unwrap().1;
    assert_eq!(header.delete_horizon_ms(), Some(11 * HOUR));
    assert_eq!(timestamps(&log, 2), 1, "its time stays");
    for (now, stays) in [(11 * HOUR - 1, true), (11 * HOUR, false)] {
        seal(&log); // something must be dirty
        log.compact(now).unwrap();
        assert_eq!(plain_seen(&log, end).iter().any(|(_, r)| r == "a gone"), stays, "{now}");
    }
    assert_eq!(plain_seen(&log, end), [(1, "b=1".into())]);
    sound(&fs);
}

fn timestamps(log: &Log, offset: i64) -> i64 {
    let read = log.read(offset, 1, Isolation::HighWatermark, true).unwrap();
    let records = bd_log::batch::RecordsIter::new(&read.bytes).unwrap();
    records.map(|r| r.unwrap()).find(|r| r.offset == offset).unwrap().timestamp
}

fn txn(producer: i64, sequence: i32, records: &[(&str, Option<&str>)]) -> BytesMut {
    of(BatchBuilder::new().producer(producer, 0, sequence).transactional(true), records)
}

#[test]
fn aborted_records_go_and_never_hide_committed_ones() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, compacted()).unwrap();
    put(&log, kv(&[("a", Some("committed"))]));
    put(&log, txn(1, 0, &[("a", Some("aborted")), ("b", Some("aborted"))]));
    put(&log, txn(2, 0, &[("b", Some("good")), ("c", Some("good"))]));
    log.append_marker(1, 0, false, 0, 0).unwrap();
    log.append_marker(2, 0, true, 0, 0).unwrap();
    put(&log, txn(1, 2, &[("d", Some("good"))]));
    log.append_marker(1, 0, true, 0, 0).unwrap();
    let end = seal(&log);
    let committed = seen(&log, Isolation::LastStable, end);
    assert_eq!(committed.len(), 4);
    for _ in 0..3 {
        log.compact(0).unwrap();
        assert_eq!(seen(&log, Isolation::LastStable, end), committed);
        assert_eq!(seen(&log, Isolation::HighWatermark, end), committed, "aborted records are gone");
        seal(&log);
        sound(&fs);
    }
}

#[test]
fn a_marker_goes_only_after_its_records_and_its_time() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, LogConfig { delete_retention_ms: HOUR, ..compacted() }).unwrap();
    put(&log, txn(1, 0, &[("a", Some("1"))]));
    log.append_marker(1, 0, true, 0, 0).unwrap();
    put(&log, txn(2, 0, &[("b", Some("1"))]));
    log.append_marker(2, 0, false, 0, 0).unwrap();
    put(&log, kv(&[("a", Some("2"))]));
    seal(&log);
    log.apply_retention(i64::MAX).unwrap(); // forgets the producers, so that their last batches need not stay
    let controls = || controls(&log);
    log.compact(0).unwrap();
    assert_eq!(controls(), [1, 3], "the records go first");
    seal(&log);
    log.compact(HOUR).unwrap();
    assert_eq!(controls(), [1, 3], "now nothing is left: the time begins");
    seal(&log);
    log.compact(2 * HOUR - 1).unwrap();
    assert_eq!(controls(), [1, 3]);
    seal(&log);
    log.compact(2 * HOUR).unwrap();
    assert_eq!(controls(), [] as [i64; 0]);
    sound(&fs);
}

#[test]
fn what_is_left_of_the_marker_of_a_producer_that_is_still_known_ends_its_transaction() {
    let fs = MemFs::new();
    let settings = LogConfig { delete_retention_ms: 0, ..compacted() };
    let (mut log, _) = open(&fs, settings.clone()).unwrap();
    for commit in [false, true] {
        // With the second protocol of transactions each marker begins an epoch: then it is all that is known of the producer.
        let epoch = i16::from(commit);
        let builder = BatchBuilder::new().producer(7, epoch, 0).transactional(true);
        put(&log, of(builder, &[("a", Some("in a transaction"))]));
        log.append_marker(7, epoch + 1, commit, 0, 0).unwrap();
        log.sync().unwrap();
        for round in 1..5 {
            seal(&log);
            log.compact(round * HOUR).unwrap();
            if commit {
                let seen = seen(&log, Isolation::LastStable, log.end_offset());
                assert!(seen.iter().any(|(_, key, _)| key == "a"), "the committed record, round {round}");
            }
        }
        // Clients end an aborted transaction at its marker, so none is told of that has none.
        let read = log.read(0, 1 << 20, Isolation::LastStable, true).unwrap();
        assert_eq!(read.aborted, [], "{commit}");
        sound(&fs);
        // A start that has to read all of it, since the derived files are lost.
        drop(log);
        for path in fs.list(std::path::Path::new(DIR)).unwrap() {
            if path.extension().is_some_and(|e| e == "index" || e == "snapshot") {
                fs.remove(&path).unwrap();
            }
        }
        log = open(&fs, settings.clone()).unwrap().0;
        let seen = seen(&log, Isolation::LastStable, log.end_offset());
        assert_eq!(seen.iter().any(|(_, key, _)| key == "a"), commit);
    }
}

fn controls(log: &Log) -> Vec<i64> {
    let (mut found, mut offset) = (Vec::new(), 0);
    loop {
        let read = log.read(offset, 1 << 20, Isolation::HighWatermark, true).unwrap();
        if read.bytes.is_empty() {
            return found;
        }
        found.extend(
            Batches::new(&read.bytes).map(|b| b.unwrap().1).filter(|h| h.is_control()).map(|h| h.base_offset),
        );
        offset = read.next_offset;
    }
}

#[test]
fn an_open_transaction_and_all_behind_it_is_not_touched() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, compacted()).unwrap();
    put(&log, kv(&[("a", Some("1"))]));
    put(&log, kv(&[("a", Some("2"))]));
    seal(&log);
    let open_at = put(&log, txn(1, 0, &[("a", Some("open"))])).base_offset;
    put(&log, kv(&[("a", Some("3"))]));
    let end = seal(&log);
    log.compact(0).unwrap();
    let a = |log: &Log| -> Vec<String> {
        plain_seen(log, end).into_iter().map(|(_, r)| r).filter(|r| r.starts_with("a=")).collect()
    };
    assert_eq!(a(&log), ["a=2", "a=open", "a=3"]);
    assert!(log.compact(0).unwrap().first_dirty_offset <= open_at);
    log.append_marker(1, 0, true, 0, 0).unwrap();
    seal(&log);
    log.compact(0).unwrap();
    assert_eq!(a(&log), ["a=3"]);
    sound(&fs);
}

#[test]
fn a_producer_goes_on_after_compaction_and_recovery() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, compacted()).unwrap();
    let idempotent =
        |sequence, key: &str| of(BatchBuilder::new().producer(9, 3, sequence), &[(key, Some("x"))]);
    put(&log, idempotent(0, "a"));
    put(&log, idempotent(1, "a"));
    put(&log, kv(&[("a", Some("other"))]));
    seal(&log);
    log.compact(0).unwrap();
    drop(log);
    for name in bd_log::Fs::list(&fs, std::path::Path::new(DIR)).unwrap() {
        if name.extension().is_some_and(|e| e == "snapshot") {
            bd_log::Fs::remove(&fs, &name).unwrap(); // all must come from the log
        }
    }
    let (log, _) = open(&fs, compacted()).unwrap();
    assert!(log.append(idempotent(1, "a"), 0).unwrap().duplicate);
    assert!(log.append(idempotent(3, "a"), 0).is_err());
    log.append(idempotent(2, "a"), 0).unwrap();
}

#[test]
fn young_records_and_the_active_segment_wait() {
    let fs = MemFs::new();
    let config = LogConfig { min_compaction_lag_ms: HOUR, ..compacted() };
    let (log, _) = open(&fs, config.clone()).unwrap();
    put(&log, kv(&[("a", Some("1"))]));
    put(&log, kv(&[("a", Some("2"))]));
    let end = seal(&log);
    assert_eq!(log.compact(HOUR / 2).unwrap().records_read, 0);
    assert!(log.compaction_due(HOUR / 2).unwrap().is_none());
    log.compact(2 * HOUR).unwrap();
    assert_eq!(plain_seen(&log, end), [(1, "a=2".into())]);
    let (log, _) = open(&MemFs::new(), compacted()).unwrap();
    put(&log, kv(&[("a", Some("1"))]));
    put(&log, kv(&[("a", Some("2"))]));
    assert_eq!(log.compact(0).unwrap().records_read, 0, "all is in the active segment");
}

#[test]
fn an_old_active_segment_is_sealed_and_compacted() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, LogConfig { max_compaction_lag_ms: HOUR, ..compacted() }).unwrap();
    put(&log, kv(&[("a", Some("1"))]));
    put(&log, kv(&[("a", Some("2"))]));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    assert_eq!(log.compact(now).unwrap().records_removed, 0);
    assert_eq!(log.compact(now + 2 * HOUR).unwrap().records_removed, 1);
    assert_eq!(plain_seen(&log, 9), [(1, "a=2".into())]);
}

#[test]
fn compaction_is_due_by_dirty_ratio_or_by_age() {
    let config = LogConfig { min_cleanable_dirty_ratio: 0.8, max_compaction_lag_ms: HOUR, ..compacted() };
    let (log, _) = open(&MemFs::new(), config.clone()).unwrap();
    for i in 0..40 {
        put(&log, kv(&[(&format!("unique {i}"), Some(&"-".repeat(60)))]));
    }
    assert!(log.compaction_due(1).unwrap().is_some_and(|ratio| ratio > 0.99));
    log.compact(1).unwrap();
    seal(&log);
    assert_eq!(log.compaction_due(1).unwrap(), None, "most is clean");
    assert!(
        log.compaction_due(2 * HOUR).unwrap().is_some_and(|ratio| ratio < 0.8),
        "but what is dirty is old"
    );
    log.set_config(LogConfig { cleanup_policy: CleanupPolicy::Delete, ..config }).unwrap();
    assert_eq!(log.compaction_due(2 * HOUR).unwrap(), None);
}

/// A reader that starts in a segment of which nothing is left must see all of the next one.
#[test]
fn reads_reach_over_segments_that_compaction_left_empty() {
    let fs = MemFs::new();
    let config = LogConfig { segment_bytes: 2_000, index_interval_bytes: 100, ..compacted() };
    let (log, _) = open(&fs, config).unwrap();
    let obsolete = || {
        for _ in 0..12 {
            put(&log, kv(&[("k", Some(&"-".repeat(150)))]));
        }
    };
    obsolete();
    let unique: Vec<i64> =
        (0..60).map(|i| put(&log, kv(&[(&format!("u{i}"), Some("v"))])).base_offset).collect();
    obsolete();
    log.compact(0).unwrap();
    assert_eq!(records(&log, 0, Isolation::HighWatermark).first().map(|(offset, _)| *offset), Some(12));
    for from in 0..=12 {
        let region = log.read_region(from, 1 << 20, Isolation::HighWatermark, true).unwrap();
        let read = log.read(from, 1 << 20, Isolation::HighWatermark, true).unwrap();
        assert_eq!(region.read().unwrap(), read.bytes, "from offset {from}");
    }
    let kept = offsets(&log, Isolation::HighWatermark);
    assert!(unique.iter().all(|offset| kept.contains(offset)), "{unique:?} in {kept:?}");
}

#[test]
fn a_map_too_small_for_the_keys_takes_more_runs() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, LogConfig { cleaner_dedupe_buffer_bytes: 5 * 40, ..compacted() }).unwrap();
    for round in 0..3 {
        for i in 0..12 {
            put(&log, kv(&[(&format!("k{i}"), Some(&format!("{round}")))]));
        }
    }
    let end = seal(&log);
    let mut first_dirty = 0;
    for _ in 0..20 {
        let done = log.compact(0).unwrap();
        assert!(done.first_dirty_offset > first_dirty || done.records_read == 0);
        first_dirty = done.first_dirty_offset.max(first_dirty);
    }
    let found: Vec<_> = plain_seen(&log, end).into_iter().map(|(_, r)| r).collect();
    assert_eq!(found, (0..12).map(|i| format!("k{i}=2")).collect::<Vec<_>>());
    sound(&fs);
}

#[test]
fn times_are_found_across_gaps() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, compacted()).unwrap();
    for i in 0..30 {
        let mut builder = BatchBuilder::new();
        builder.append(1_000 + i * 10, Some(format!("k{}", i % 3).as_bytes()), Some(&[b'-'; 50]), &[]);
        put(&log, builder.build());
    }
    let mut builder = BatchBuilder::new();
    builder.append(9_000, Some(b"last"), Some(&[b'-'; 850]), &[]);
    put(&log, builder.build());
    log.compact(0).unwrap();
    let left: Vec<i64> = keyed_records(&log, 0, Isolation::HighWatermark).into_iter().map(|r| r.0).collect();
    assert!(left.len() < 8, "{left:?}");
    for i in 0..30 {
        let next = left.iter().copied().find(|offset| *offset >= i).unwrap();
        let time = if next == 30 { 9_000 } else { 1_000 + next * 10 };
        assert_eq!(log.offset_for_timestamp(1_000 + i * 10).unwrap(), Some((next, time)));
    }
    assert_eq!(log.max_timestamp_offset().unwrap(), Some((30, 9_000)));
}

#[test]
fn readers_and_writers_go_on_while_a_log_is_compacted() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig { segment_bytes: 8_000, ..compacted() };
    let (log, _) = Log::open(Arc::new(bd_log::RealFs), dir.path(), config).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let mut last = -1;
                    for (offset, key, value) in keyed_records(&log, 0, Isolation::LastStable) {
                        assert!(offset > last, "in order");
                        assert_eq!(value.unwrap(), format!("{offset} {key}"));
                        last = offset;
                    }
                    log.offset_for_timestamp(1).unwrap();
                }
            });
        }
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                log.compact(0).unwrap();
            }
        });
        for _ in 0..400 {
            let offset = log.end_offset();
            for i in 0..5 {
                let (key, at) = (format!("key {}", (offset + i) % 50), offset + i);
                log.append(kv(&[(&key, Some(&format!("{at} {key}")))]), 0).unwrap();
            }
            log.sync().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    log.compact(0).unwrap(); // what the other thread did not come to
    assert!(log.size_bytes() < 40_000, "{}", log.size_bytes());
    let report = verify(Arc::new(bd_log::RealFs), dir.path()).unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
}

#[test]
fn records_without_key_from_before_compaction_go_and_deletion_works_as_well() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, config()).unwrap();
    put(&log, plain(&[(1, "no key")]));
    put(&log, kv(&[("a", Some("1"))]));
    log.set_config(LogConfig { cleanup_policy: CleanupPolicy::CompactAndDelete, ..config() }).unwrap();
    let end = seal(&log);
    log.compact(0).unwrap();
    assert_eq!(plain_seen(&log, end), [(1, "a=1".into())]);
    let retention = LogConfig { retention_ms: Some(HOUR), ..config() };
    log.set_config(LogConfig { cleanup_policy: CleanupPolicy::Compact, ..retention.clone() }).unwrap();
    assert_eq!(log.apply_retention(5 * HOUR).unwrap().segments, 0, "only compacted");
    log.set_config(LogConfig { cleanup_policy: CleanupPolicy::CompactAndDelete, ..retention }).unwrap();
    assert!(log.apply_retention(5 * HOUR).unwrap().segments > 0);
    sound(&fs);
}
