//! The power fails at every change on the disk that a compaction makes, and again while the next start repairs it.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;

use bd_log::batch::BatchBuilder;
use bd_log::inspect::verify;
use bd_log::testing::{FaultFs, MemFs, PowerLoss};
use bd_log::{CleanupPolicy, Isolation, Log, LogConfig, LogError};
use support::*;

type Record = (i64, String, Option<String>);

fn compacted() -> LogConfig {
    LogConfig { cleanup_policy: CleanupPolicy::Compact, segment_bytes: 700, ..config() }
}

/// A log with superseded and aborted records in several segments.
fn fill(log: &Log, from: i32) {
    for i in from..from + 24 {
        let in_txn = i % 4 == 1;
        let mut builder = BatchBuilder::new();
        if in_txn {
            builder = builder
                .producer(5, 0, log.producer_states().first().map_or(0, |p| p.last_sequence + 1))
                .transactional(true);
        }
        let value = format!("{i} {}", "-".repeat(40));
        let value = (i % 6 != 5).then_some(value.as_bytes());
        let key = if i % 3 == 0 { format!("only once {i}") } else { format!("key {}", i % 5) };
        builder.append(i64::from(i), Some(key.as_bytes()), value, &[]);
        put(log, builder.build());
        if in_txn {
            log.append_marker(5, 0, i % 8 == 1, 0, 0).unwrap();
            log.sync().unwrap();
        }
    }
}

/// What a reader of committed records may see after any part of a compaction: nothing that was not there, all that is not
/// superseded, in order.
fn check(log: &Log, before: &[Record], what: &str) {
    let after = keyed_records(log, 0, Isolation::LastStable);
    assert!(after.iter().all(|record| before.contains(record)), "{what}: {after:?}");
    for (i, record) in before.iter().enumerate() {
        let superseded = before.iter().skip(i + 1).any(|later| later.1 == record.1);
        assert!(superseded || after.contains(record), "{what}: {record:?} is lost from {after:?}");
    }
    assert!(after.windows(2).all(|pair| pair[0].0 < pair[1].0), "{what}");
}

/// A disk with a log on it, compacted once so that there is a clean part, and its records.
fn disk() -> (MemFs, Vec<Record>) {
    let fs = MemFs::new();
    let (log, _) = open(&fs, compacted()).unwrap();
    fill(&log, 0);
    log.compact(0).unwrap();
    fill(&log, 24);
    (fs, keyed_records(&log, 0, Isolation::LastStable))
}

#[test]
fn a_compaction_cut_at_any_change_leaves_every_key_its_last_record() {
    let losses = [PowerLoss::KeepAll, PowerLoss::DropUnsynced]
        .into_iter()
        .chain((0..12).map(PowerLoss::Random))
        .collect::<Vec<_>>();
    for loss in losses {
        let mut cut = 0;
        let changes = loop {
            let (fs, before) = disk();
            let (log, _) = open(&fs, compacted()).unwrap();
            let loss = match loss {
                PowerLoss::Random(seed) => {
                    PowerLoss::Random((seed << 32 | (cut + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
                }
                other => other,
            };
            fs.cut_power_after(cut);
            let finished = log.compact(i64::from(i32::MAX)).is_ok();
            drop(log);
            fs.power_loss(loss);
            let what = format!("{loss:?} after {cut} changes");
            // The start that repairs it is cut, too.
            fs.cut_power_after(cut % 7);
            open(&fs, compacted()).ok();
            fs.power_loss(loss);
            let (log, _) = open(&fs, compacted()).unwrap_or_else(|error| panic!("{what}: {error}"));
            check(&log, &before, &what);
            fill(&log, 48);
            let before = keyed_records(&log, 0, Isolation::LastStable);
            log.compact(i64::from(i32::MAX)).unwrap_or_else(|error| panic!("{what}: {error}"));
            check(&log, &before, &what);
            log.close().unwrap();
            let report = verify(Arc::new(fs.clone()), std::path::Path::new(DIR)).unwrap();
            assert!(report.is_sound(), "{what}: {:?}", report.problems);
            assert!(report.problems.iter().all(|p| !p.what.contains("no part")), "{:?}", report.problems);
            if finished {
                break cut;
            }
            cut += 1;
        };
        assert!(changes > 20, "{changes} changes make a compaction");
    }
}

#[test]
fn a_full_disk_stops_a_compaction_and_leaves_nothing_behind() {
    for space in (0..3_000).step_by(97) {
        let (mem, before) = disk();
        let fs = FaultFs::new(Arc::new(mem.clone()));
        let (log, _) = open(&fs, compacted()).unwrap();
        fs.set_space(space);
        let done = log.compact(0);
        assert!(matches!(done, Ok(_) | Err(LogError::StorageFull { .. })), "{done:?}");
        check(&log, &before, "full");
        fs.set_space(u64::MAX);
        fill(&log, 48);
        log.compact(0).unwrap();
        log.close().unwrap();
        let report = verify(Arc::new(mem.clone()), std::path::Path::new(DIR)).unwrap();
        assert!(report.is_sound() && report.problems.is_empty(), "{:?}", report.problems);
    }
}

#[test]
fn damage_stops_a_compaction_and_changes_nothing() {
    let (fs, before) = disk();
    let (log, _) = open(&fs, compacted()).unwrap();
    let files =
        bd_log::inspect::PartitionFiles::open(Arc::new(fs.clone()), std::path::Path::new(DIR)).unwrap();
    let damaged = &files.segments[files.segments.len() - 2];
    bd_log::testing::flip_bit(&fs, &damaged.path, 100).unwrap();
    let error = log.compact(0).unwrap_err();
    assert!(
        matches!(&error, LogError::Corrupt { file, position: 0.., .. } if *file == damaged.path),
        "{error}"
    );
    bd_log::testing::flip_bit(&fs, &damaged.path, 100).unwrap();
    check(&log, &before, "damaged");
    log.compact(0).unwrap();
}
