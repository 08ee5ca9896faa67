//! What a log looks like after kills, power loss, damage and failing disks.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;

use bd_log::testing::{FaultFs, MemFs, PowerLoss, flip_bit};
use bd_log::{CorruptionPolicy, Fs, Isolation, LogConfig, LogError, OpenMode};
use support::*;

fn file_len(fs: &dyn Fs, base: i64) -> u64 {
    fs.open(&segment(base), OpenMode::Read).unwrap().len().unwrap()
}

#[test]
fn records_are_invisible_until_they_are_durable_and_stay_after_power_loss() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, config()).unwrap();
    put(&log, plain(&[(1, "a"), (2, "b")]));
    log.append(plain(&[(3, "c")]), 0).unwrap();
    assert_eq!((log.high_watermark(), log.end_offset()), (2, 3));
    assert_eq!(offsets(&log, Isolation::HighWatermark), [0, 1]);
    assert_eq!(offsets(&log, Isolation::LogEnd), [0, 1, 2]);
    fs.power_loss(PowerLoss::DropUnsynced);
    let (log, recovery) = open(&fs, config()).unwrap();
    assert!(!recovery.clean);
    assert_eq!(records(&log, 0, Isolation::HighWatermark), [(0, "a".into()), (1, "b".into())]);
}

#[test]
fn a_torn_tail_is_cut_off_at_every_byte() {
    let (first, second) = (plain(&[(1, "first")]), plain(&[(2, "second")]));
    for cut in 0..second.len() {
        let fs = MemFs::new();
        let (log, _) = open(&fs, config()).unwrap();
        put(&log, first.clone());
        log.append(second.clone(), 0).unwrap();
        drop(log);
        let file = fs.open(&segment(0), OpenMode::ReadWrite).unwrap();
        file.set_len((first.len() + cut) as u64).unwrap();
        let (log, recovery) = open(&fs, config()).unwrap();
        // Zeros alone are what is written ahead of appends, not a part of one.
        let zeros = cut < 8; // the upper bytes of offset 1
        assert_eq!(recovery.truncated_bytes, if zeros { 0 } else { cut as u64 });
        assert_eq!(offsets(&log, Isolation::HighWatermark), [0]);
        put(&log, plain(&[(3, "again")]));
        assert_eq!(records(&log, 1, Isolation::HighWatermark), [(1, "again".into())]);
    }
}

#[test]
fn a_process_killed_before_the_fsync_leaves_whole_batches_that_recovery_makes_durable() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, config()).unwrap();
    for i in 0..40 {
        log.append(plain(&[(i, "0123456789")]), 0).unwrap();
    }
    drop(log);
    let (log, recovery) = open(&fs, config()).unwrap();
    assert_eq!((log.high_watermark(), recovery.truncated_bytes), (40, 0));
    fs.power_loss(PowerLoss::DropUnsynced);
    let (log, _) = open(&fs, config()).unwrap();
    assert_eq!(offsets(&log, Isolation::HighWatermark), (0..40).collect::<Vec<_>>());
}

#[test]
fn a_flipped_bit_in_an_unacknowledged_last_batch_is_cut_off() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, config()).unwrap();
    let len = plain(&[(1, "a")]).len() as u64;
    put(&log, plain(&[(1, "a")]));
    log.append(plain(&[(2, "b")]), 0).unwrap();
    drop(log);
    flip_bit(&fs, &segment(0), len + 30).unwrap();
    let (log, recovery) = open(&fs, config()).unwrap();
    assert_eq!(recovery.truncated_bytes, len);
    assert_eq!(offsets(&log, Isolation::HighWatermark), [0]);
}

#[test]
fn a_flipped_bit_in_acknowledged_records_is_refused_naming_file_position_and_offset() {
    let len = plain(&[(0, "x")]).len() as u64;
    for bit in 0..len {
        let fs = MemFs::new();
        let (log, _) = open(&fs, config()).unwrap();
        for i in 0..3 {
            put(&log, plain(&[(i, "x")]));
        }
        drop(log);
        flip_bit(&fs, &segment(0), len + bit).unwrap();
        let opened = open(&fs, config());
        // Bytes 12 to 15, the leader epoch, are covered by no checksum.
        if (12..16).contains(&bit) {
            assert_eq!(opened.unwrap().0.end_offset(), 3);
            continue;
        }
        match opened {
            Err(LogError::Corrupt { file, position, offset, .. }) => {
                assert_eq!((file, position, offset), (segment(0), len, 1), "byte {bit}");
            }
            other => panic!("byte {bit}: {other:?}"),
        }
        let given_up = LogConfig { corruption: CorruptionPolicy::Truncate, ..config() };
        let (log, _) = open(&fs, given_up).unwrap();
        assert_eq!(offsets(&log, Isolation::HighWatermark), [0]);
        drop(log);
        assert_eq!(open(&fs, config()).unwrap().0.end_offset(), 1);
    }
}

#[test]
fn damage_followed_by_a_valid_batch_is_refused_even_where_the_durable_end_is_unknown() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, config()).unwrap();
    let len = plain(&[(0, "x")]).len() as u64;
    for i in 0..3 {
        log.append(plain(&[(i, "x")]), 0).unwrap();
    }
    drop(log);
    flip_bit(&fs, &segment(0), len + 40).unwrap();
    let error = open(&fs, config()).unwrap_err();
    assert!(error.to_string().contains("a valid batch follows at byte"), "{error}");
}

#[test]
fn acknowledged_records_missing_at_the_end_are_refused() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, config()).unwrap();
    put(&log, plain(&[(1, "a")]));
    put(&log, plain(&[(2, "b")]));
    log.close().unwrap();
    let file = fs.open(&segment(0), OpenMode::ReadWrite).unwrap();
    file.set_len(file.len().unwrap() / 2).unwrap();
    let error = open(&fs, config()).unwrap_err();
    assert!(error.to_string().contains("durable up to offset 2"), "{error}");
}

#[test]
fn a_clean_shutdown_needs_no_scan_and_keeps_everything() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, config()).unwrap();
    for i in 0..50 {
        put(&log, sequenced(7, 0, i * 2, 2));
    }
    put(&log, transactional(8, 3, 0, 1));
    log.close().unwrap();
    log.close().unwrap();
    assert!(matches!(log.append(plain(&[(1, "late")]), 0), Err(LogError::Closed { .. })));
    fs.power_loss(PowerLoss::DropUnsynced);
    for _ in 0..2 {
        let (again, recovery) = open(&fs, config()).unwrap();
        assert!(recovery.clean && recovery.scanned_bytes == 0);
        assert_eq!(offsets(&again, Isolation::HighWatermark), (0..101).collect::<Vec<_>>());
        assert_eq!(again.last_stable_offset(), 100);
        assert_eq!(again.producer_states(), log.producer_states());
        assert!(again.append(sequenced(7, 0, 98, 2), 0).unwrap().duplicate);
        again.close().unwrap();
    }
}

#[test]
fn recovery_scans_only_from_the_newest_producer_snapshot() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, config()).unwrap();
    for i in 0..100 {
        put(&log, sequenced(7, 0, i, 1));
    }
    drop(log);
    fs.power_loss(PowerLoss::DropUnsynced);
    let (log, recovery) = open(&fs, config()).unwrap();
    assert!(recovery.scanned_bytes <= 1000, "{recovery:?}");
    assert!(log.append(sequenced(7, 0, 95, 1), 0).unwrap().duplicate);
    assert!(!log.append(sequenced(7, 0, 100, 1), 0).unwrap().duplicate);
}

#[test]
fn a_damaged_index_file_is_rebuilt() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, config()).unwrap();
    for i in 0..60 {
        put(&log, plain(&[(i, "0123456789")]));
    }
    log.close().unwrap();
    for path in fs.list(std::path::Path::new(DIR)).unwrap() {
        if path.extension().is_some_and(|e| e == "index") {
            fs.open(&path, OpenMode::ReadWrite).unwrap().set_len(20).unwrap();
        }
    }
    let (log, recovery) = open(&fs, config()).unwrap();
    assert!(recovery.scanned_bytes > 1000);
    assert_eq!(offsets(&log, Isolation::HighWatermark), (0..60).collect::<Vec<_>>());
}

#[test]
fn a_full_disk_fails_the_append_leaves_no_part_of_it_and_appends_work_when_there_is_space() {
    let mem = MemFs::new();
    let fs = FaultFs::new(Arc::new(mem.clone()));
    let (log, _) = open(&fs, config()).unwrap();
    put(&log, plain(&[(1, "a")]));
    let before = file_len(&fs, 0);
    for space in [0, 1, 30, 60] {
        fs.set_space(space);
        assert!(matches!(log.append(sequenced(5, 0, 0, 1), 0), Err(LogError::StorageFull { .. })), "{space}");
        assert_eq!(file_len(&fs, 0), before);
        assert_eq!(log.end_offset(), 1);
    }
    fs.set_space(u64::MAX);
    assert!(!put(&log, sequenced(5, 0, 0, 1)).duplicate, "the failed append left no sequence behind");
    mem.power_loss(PowerLoss::DropUnsynced);
    assert_eq!(offsets(&open(&fs, config()).unwrap().0, Isolation::HighWatermark), [0, 1]);
}

#[test]
fn short_writes_are_continued() {
    let fs = FaultFs::new(Arc::new(MemFs::new()));
    fs.limit_writes(7);
    let (log, _) = open(&fs, config()).unwrap();
    for i in 0..30 {
        put(&log, plain(&[(i, "0123456789")]));
    }
    assert_eq!(offsets(&log, Isolation::HighWatermark), (0..30).collect::<Vec<_>>());
}

#[test]
fn a_write_that_cannot_be_cut_off_poisons_the_log() {
    let fs = FaultFs::new(Arc::new(MemFs::new()));
    let (log, _) = open(&fs, config()).unwrap();
    put(&log, plain(&[(1, "a")]));
    fs.set_space(10);
    fs.fail_truncations(true);
    assert!(matches!(log.append(plain(&[(2, "b")]), 0), Err(LogError::Poisoned { .. })));
    fs.set_space(u64::MAX);
    fs.fail_truncations(false);
    assert!(matches!(log.append(plain(&[(2, "b")]), 0), Err(LogError::Poisoned { .. })));
    assert_eq!(open(&fs, config()).unwrap().0.end_offset(), 1);
}

#[test]
fn a_failed_fsync_poisons_the_log_until_it_is_reopened() {
    let mem = MemFs::new();
    let fs = FaultFs::new(Arc::new(mem.clone()));
    let (log, _) = open(&fs, config()).unwrap();
    put(&log, plain(&[(1, "a")]));
    log.append(plain(&[(2, "b")]), 0).unwrap();
    fs.fail_syncs(true);
    assert!(matches!(log.sync(), Err(LogError::Poisoned { .. })));
    fs.fail_syncs(false);
    let error = log.append(plain(&[(3, "c")]), 0).unwrap_err();
    assert!(error.to_string().contains("injected fsync failure"), "{error}");
    assert!(matches!(log.sync(), Err(LogError::Poisoned { .. })), "a later fsync proves nothing");
    assert_eq!(log.high_watermark(), 1);
    assert_eq!(offsets(&log, Isolation::HighWatermark), [0]);
    drop(log);
    let (log, _) = open(&fs, config()).unwrap();
    let end = log.high_watermark();
    mem.power_loss(PowerLoss::DropUnsynced);
    assert_eq!(open(&fs, config()).unwrap().0.high_watermark(), end, "what reopening shows is durable");
}

#[test]
fn power_loss_while_a_segment_is_rolled_leaves_no_gap() {
    for seed in 0..300 {
        let fs = MemFs::new();
        let (log, _) = open(&fs, config()).unwrap();
        let mut durable = 0;
        for i in 0..40 {
            log.append(plain(&[(i, "0123456789"), (i, "x")]), 0).unwrap();
            if (i + seed as i64) % 13 == 0 {
                durable = log.sync().unwrap();
            }
        }
        fs.power_loss(PowerLoss::Random(seed));
        let (log, _) = open(&fs, config()).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        assert!(log.high_watermark() >= durable, "seed {seed}");
        assert_eq!(offsets(&log, Isolation::HighWatermark), (0..log.end_offset()).collect::<Vec<_>>());
    }
}

#[test]
fn index_files_of_an_earlier_shutdown_are_not_taken_for_those_of_a_segment_that_grew() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, config()).unwrap();
    put(&log, plain(&[(10, "a")]));
    log.close().unwrap();
    let (log, _) = open(&fs, config()).unwrap();
    log.append(transactional(1, 0, 0, 1), 0).unwrap();
    log.append_marker(1, 0, false, 0, 0).unwrap();
    for i in 0..20 {
        log.append(plain(&[(100 + i, "0123456789")]), 0).unwrap(); // rolls
    }
    drop(log);
    let (log, _) = open(&fs, config()).unwrap();
    assert_eq!(log.read(1, 1, Isolation::LastStable, true).unwrap().aborted.len(), 1);
    assert_eq!(log.offset_for_timestamp(101).unwrap(), Some((1, 1000)));
    let (marker, _) = log.offset_for_timestamp(1001).unwrap().unwrap(); // the only one with the clock's time
    assert_eq!(marker, 2);
}

#[test]
fn segments_stay_while_the_snapshot_behind_them_could_not_be_written() {
    let fs = FaultFs::new(Arc::new(MemFs::new()));
    let (log, _) = open(&fs, config()).unwrap();
    put(&log, transactional(1, 0, 0, 1));
    let batch = plain(&[(1, &"x".repeat(800))]);
    log.append(batch.clone(), 0).unwrap();
    fs.set_space(batch.len() as u64);
    log.append(batch, 0).unwrap(); // rolls and fits
    assert_eq!(log.sync().unwrap(), 3); // but the snapshot does not
    fs.set_space(u64::MAX);
    assert_eq!(log.delete_records_before(3).unwrap(), 3);
    drop(log);
    let (log, _) = open(&fs, config()).unwrap();
    assert_eq!((log.start_offset(), log.last_stable_offset()), (3, 3));
    assert_eq!(log.open_transactions().len(), 1);
    assert!(!put(&log, transactional(1, 0, 1, 1)).duplicate);
    log.append_marker(1, 0, true, 0, 0).unwrap();
    log.sync().unwrap();
    assert_eq!(offsets(&log, Isolation::LastStable), [3]);
}

#[test]
fn retention_frees_space_on_a_full_disk() {
    let fs = FaultFs::new(Arc::new(MemFs::new()));
    let (log, _) = open(&fs, LogConfig { retention_bytes: Some(1500), ..config() }).unwrap();
    for i in 0..50 {
        put(&log, plain(&[(i, "0123456789")]));
    }
    fs.set_space(0);
    assert!(log.append(plain(&[(1, "no")]), 0).is_err());
    let deleted = log.apply_retention(0).unwrap();
    assert!(deleted.segments > 0 && log.start_offset() == deleted.start_offset);
    drop(log);
    let (log, _) = open(&fs, config()).unwrap();
    assert_eq!(log.start_offset(), deleted.start_offset);
    assert_eq!(offsets(&log, Isolation::HighWatermark), (deleted.start_offset..50).collect::<Vec<_>>());
}

#[test]
fn a_bit_flipped_while_the_log_was_closed_is_an_error_of_the_read_and_is_never_served() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, config()).unwrap();
    let len = plain(&[(0, "0123456789")]).len() as u64;
    for i in 0..40 {
        put(&log, plain(&[(i, "0123456789")]));
    }
    log.close().unwrap();
    // In a sealed segment and in the last one: 12 batches fit into each.
    flip_bit(&fs, &segment(0), 2 * len + 65).unwrap();
    flip_bit(&fs, &segment(36), 65).unwrap();
    let (log, recovery) = open(&fs, config()).unwrap();
    assert!(recovery.clean);
    for damaged in [2, 36] {
        let read = log.read(damaged - 1, 500, Isolation::HighWatermark, true).unwrap();
        assert_eq!(read.next_offset, damaged, "what lies before is served");
        match log.read(damaged, 500, Isolation::HighWatermark, true) {
            Err(LogError::Corrupt { offset, .. }) => assert_eq!(offset, damaged),
            other => panic!("{other:?}"),
        }
        let behind = log.read(damaged + 1, 1, Isolation::HighWatermark, true).unwrap();
        assert_eq!(behind.next_offset, damaged + 2, "what lies behind can be read, too");
    }
}

#[test]
fn a_log_whose_creation_was_interrupted_loses_nothing_that_it_acknowledges_later() {
    for changes in 0..12 {
        let fs = MemFs::new();
        fs.cut_power_after(changes);
        open(&fs, config()).ok();
        fs.cut_power_after(u64::MAX); // only the process died
        let (log, _) = open(&fs, config()).unwrap();
        put(&log, plain(&[(1, "a")]));
        fs.power_loss(PowerLoss::DropUnsynced);
        assert_eq!(open(&fs, config()).unwrap().0.high_watermark(), 1, "{changes}");
    }
}
