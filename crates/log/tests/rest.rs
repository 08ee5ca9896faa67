//! Logs at rest, checkpoints within a segment, zeros written ahead, flush modes.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bd_log::testing::{FaultFs, MemFs, PowerLoss};
use bd_log::{
    CleanupPolicy, FlushMode, Flusher, FlusherConfig, Fs, Isolation, Log, LogConfig, LogError, RealFs,
    resting,
};
use support::*;

#[test]
fn a_log_at_rest_answers_without_files_and_opens_when_it_is_used() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, config()).unwrap();
    for i in 0..40 {
        put(&log, sequenced(7, 0, i, 1));
    }
    put(&log, transactional(8, 0, 0, 2));
    let (states, size) = (log.producer_states(), log.size_bytes());
    assert!(log.rest().unwrap());
    assert!(log.is_at_rest());
    assert_eq!((log.start_offset(), log.end_offset(), log.high_watermark()), (0, 42, 42));
    assert_eq!((log.last_stable_offset(), log.size_bytes()), (40, size));
    assert!(log.read(42, 100, Isolation::HighWatermark, true).unwrap().bytes.is_empty());
    assert!(log.read_region(40, 100, Isolation::LastStable, true).unwrap().is_empty());
    assert_eq!(log.sync().unwrap(), 42);
    assert_eq!(log.apply_retention(i64::MAX).unwrap().segments, 0);
    assert!(log.is_at_rest());
    assert_eq!(offsets(&log, Isolation::HighWatermark), (0..42).collect::<Vec<_>>());
    assert!(!log.is_at_rest());
    assert_eq!(log.producer_states(), states);
    assert!(log.append(sequenced(7, 0, 39, 1), 0).unwrap().duplicate);
    log.append_marker(8, 0, true, 0, 0).unwrap();
    log.sync().unwrap();
    assert_eq!(log.last_stable_offset(), 43);
}

#[test]
fn resting_changes_nothing_that_power_loss_could_undo() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, config()).unwrap();
    for round in 0..5 {
        for i in 0..10 {
            log.append(plain(&[(i, "0123456789")]), 0).unwrap();
        }
        assert!(log.rest().unwrap(), "round {round}"); // not synced before
    }
    fs.power_loss(PowerLoss::DropUnsynced);
    let (log, recovery) = open(&fs, config()).unwrap();
    assert!(recovery.clean);
    assert_eq!(offsets(&log, Isolation::HighWatermark), (0..50).collect::<Vec<_>>());
}

#[test]
fn a_log_that_retention_has_work_for_wakes_up() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, LogConfig { retention_ms: Some(1_000), ..config() }).unwrap();
    for i in 0..40 {
        put(&log, plain(&[(i, "0123456789")]));
    }
    assert!(log.rest().unwrap());
    assert_eq!(log.apply_retention(1_005).unwrap().segments, 0);
    assert!(log.is_at_rest());
    assert!(log.apply_retention(1_020).unwrap().segments > 0);
    assert!(log.start_offset() > 0);
}

#[test]
fn a_log_rests_when_nobody_has_used_it_for_a_while() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, config()).unwrap();
    put(&log, plain(&[(1, "a")]));
    assert!(!log.rest_if_unused().unwrap() && !log.is_at_rest());
    log.apply_retention(0).unwrap();
    assert!(log.rest_if_unused().unwrap() && log.is_at_rest());
    log.read(0, 100, Isolation::HighWatermark, true).unwrap();
    assert!(!log.rest_if_unused().unwrap() && !log.is_at_rest());
}

#[test]
fn a_closed_log_does_not_wake_up() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, config()).unwrap();
    put(&log, plain(&[(1, "a")]));
    assert!(log.rest().unwrap());
    log.close().unwrap();
    assert!(matches!(log.append(plain(&[(1, "b")]), 0), Err(LogError::Closed { .. })));
    assert_eq!(log.resting().unwrap().end_offset, 1);
}

#[test]
fn many_logs_start_from_one_file_without_their_folders_being_looked_at() {
    let fs = MemFs::new();
    let faults = FaultFs::new(Arc::new(fs.clone()));
    let (file, folder) = (Path::new("/data/resting-logs"), |i: usize| format!("/data/topic-{i}"));
    let shared: Arc<dyn Fs> = Arc::new(faults.clone());
    let config = Arc::new(config());
    let mut known = Vec::new();
    for i in 0..20 {
        let (log, _) = Log::open(shared.clone(), Path::new(&folder(i)), config.clone()).unwrap();
        for n in 0..i as i64 {
            log.append(plain(&[(n, "0123456789")]), 0).unwrap();
        }
        log.close().unwrap();
        known.push((folder(i), log.resting().unwrap()));
    }
    resting::write(&*shared, file, known.iter().map(|(name, resting)| (name.as_str(), *resting))).unwrap();
    fs.power_loss(PowerLoss::DropUnsynced);
    let taken = resting::take(&*shared, file).unwrap();
    assert!(resting::take(&*shared, file).unwrap().is_empty(), "it is good for one start");
    let opened = faults.opened();
    let logs: Vec<_> = known
        .iter()
        .map(|(name, _)| {
            Log::open_resting(shared.clone(), Path::new(name), config.clone(), taken[name]).unwrap()
        })
        .collect();
    for (i, log) in logs.iter().enumerate() {
        assert_eq!((log.end_offset(), log.high_watermark()), (i as i64, i as i64));
        assert!(log.read(i as i64, 100, Isolation::HighWatermark, true).unwrap().bytes.is_empty());
        log.close().unwrap();
        assert_eq!(log.resting().unwrap(), known[i].1);
    }
    assert_eq!(faults.opened(), opened, "no file was touched");
}

#[test]
fn files_beyond_the_limit_are_closed_and_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let logs: Vec<_> = (0..100)
        .map(|i| Log::open(Arc::new(RealFs), &dir.path().join(format!("t-{i}")), config()).unwrap().0)
        .collect();
    let open_here = || {
        let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let links = files.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        links.filter(|target| target.starts_with(dir.path())).count()
    };
    bd_log::set_max_open_files(16);
    for round in 0..3 {
        for (i, log) in logs.iter().enumerate() {
            put(log, plain(&[(1, "0123456789")]));
            assert_eq!(records(log, round, Isolation::HighWatermark).len(), 1, "log {i}");
        }
    }
    assert!(open_here() <= 40, "{}", open_here()); // other tests of this process use files, too
    bd_log::set_max_open_files(1000);
}

#[test]
fn a_kill_after_much_was_written_to_one_segment_costs_a_scan_from_the_last_checkpoint_only() {
    let fs = MemFs::new();
    let config = LogConfig { segment_bytes: 1 << 30, ..LogConfig::default() };
    let (log, _) = open(&fs, config.clone()).unwrap();
    let value = "v".repeat(1 << 20);
    let batch = plain(&[(1, &value[100..])]);
    for i in 0..70_i32 {
        log.append(batch.clone(), 0).unwrap();
        log.append(sequenced(3, 0, i, 1), 0).unwrap();
        log.sync().unwrap();
    }
    let states = log.producer_states();
    drop(log);
    let (log, recovery) = open(&fs, config).unwrap();
    assert!(!recovery.clean && recovery.end_offset == 140);
    assert!(recovery.scanned_bytes < 10 << 20, "{recovery:?}");
    let without_clock =
        |states: Vec<bd_log::ProducerState>| states.into_iter().map(|s| s.last_sequence).collect::<Vec<_>>();
    assert_eq!(without_clock(log.producer_states()), without_clock(states));
    assert_eq!(log.read(20, 100, Isolation::HighWatermark, true).unwrap().next_offset, 21);
    assert!(log.append(sequenced(3, 0, 69, 1), 0).unwrap().duplicate);
}

#[test]
fn zeros_are_written_ahead_of_appends_and_cut_off_at_rest_and_at_recovery() {
    let fs = MemFs::new();
    let config = LogConfig { segment_bytes: 1 << 20, ..LogConfig::default() };
    let log = Arc::new(open(&fs, config.clone()).unwrap().0);
    let flusher = Flusher::start(FlusherConfig { threads: 1 });
    let (value, len) = ("v".repeat(5_000), || fs.size(&segment(0)).unwrap());
    let fill = |log: &Arc<Log>, appends: i64| {
        for _ in 0..appends {
            let end = log.append(plain(&[(1, &value)]), 0).unwrap().last_offset + 1;
            let (answer, answered) = mpsc::channel();
            flusher.request(log, end, Box::new(move |result| answer.send(result.unwrap()).unwrap()));
            answered.recv().unwrap();
        }
    };
    fill(&log, 30);
    assert!(len() > log.size_bytes(), "{} {}", len(), log.size_bytes());
    assert!(len() % 4096 == 0 && len() <= 1 << 20);
    // A kill: the zeros are no damage, and nothing of the log is lost.
    let end = log.end_offset();
    let copy = open(&fs, config.clone()).unwrap();
    assert_eq!((copy.1.truncated_bytes, copy.0.end_offset()), (0, end));
    assert_eq!(len(), copy.0.size_bytes());
    drop(log);
    let log = Arc::new(copy.0);
    fill(&log, 30);
    assert!(len() > log.size_bytes());
    assert!(log.rest().unwrap());
    assert_eq!(len(), log.size_bytes());
    fill(&log, 200); // rolls
    assert!(fs.size(&segment(0)).unwrap() <= 1 << 20);
    drop(flusher);
    log.close().unwrap();
    let total: u64 = fs
        .list(Path::new(DIR))
        .unwrap()
        .iter()
        .filter(|p| p.extension().is_some_and(|e| e == "log"))
        .map(|p| fs.size(p).unwrap())
        .sum();
    assert_eq!(total, log.size_bytes());
    let (log, recovery) = open(&fs, config.clone()).unwrap();
    assert!(recovery.clean);
    log.sync().unwrap();
    drop(log);
    assert!(open(&fs, config).unwrap().1.clean, "a sync without an append changes nothing");
}

#[test]
fn appends_in_mode_always_are_durable_when_they_return_one_fsync_each() {
    let fs = FaultFs::new(Arc::new(MemFs::new()));
    let config = LogConfig { flush: FlushMode::Always, segment_bytes: 1 << 20, ..config() };
    let log = Arc::new(open(&fs, config).unwrap().0);
    log.append(plain(&[(1, "names are durable now")]), 0).unwrap();
    let before = fs.syncs();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let end = log.append(plain(&[(1, "a")]), 0).unwrap().last_offset + 1;
                    assert!(log.high_watermark() >= end);
                }
            });
        }
    });
    assert_eq!((fs.syncs() - before, log.durable_offset()), (40, 41));
    fs.fail_syncs(true);
    assert!(matches!(log.append(plain(&[(1, "b")]), 0), Err(LogError::Poisoned { .. })));
    assert_eq!(log.high_watermark(), 41);
}

#[test]
fn appends_in_mode_os_are_readable_at_once_and_fsynced_as_the_settings_say() {
    let fs = MemFs::new();
    let os = LogConfig { flush: FlushMode::Os, segment_bytes: 1 << 20, ..config() };
    let log = Arc::new(open(&fs, os.clone()).unwrap().0);
    let flusher = Flusher::start(FlusherConfig { threads: 1 });
    let append = |log: &Arc<Log>| {
        let end = log.append(plain(&[(1, "a")]), 0).unwrap().last_offset + 1;
        let (answer, answered) = mpsc::channel();
        flusher.request(log, end, Box::new(move |result| answer.send(result.unwrap()).unwrap()));
        assert_eq!(answered.try_recv().unwrap(), end, "answered at once");
    };
    for _ in 0..10 {
        append(&log);
    }
    log.append(transactional(5, 0, 0, 1), 0).unwrap();
    assert_eq!(log.last_stable_offset(), 10);
    log.append_marker(5, 0, true, 0, 0).unwrap();
    assert_eq!((log.last_stable_offset(), log.high_watermark(), log.durable_offset()), (12, 12, 0));
    let wait_for = |offset: i64| {
        for _ in 0..1_000 {
            if log.durable_offset() >= offset {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    };
    log.set_config(LogConfig { flush_messages: Some(5), ..os.clone() }).unwrap();
    append(&log);
    assert!(wait_for(13));
    append(&log);
    log.set_config(LogConfig { flush_ms: Some(20), ..os.clone() }).unwrap();
    append(&log);
    assert!(wait_for(15));
    append(&log);
    fs.power_loss(PowerLoss::DropUnsynced);
    let (log, _) = open(&fs, os).unwrap();
    assert_eq!(log.end_offset(), 15, "what was acknowledged since the last fsync is lost");
}

#[test]
fn records_may_be_deleted_up_to_an_end_that_is_not_durable_yet() {
    let fs = MemFs::new();
    let os = LogConfig { flush: FlushMode::Os, ..config() };
    let (log, _) = open(&fs, os.clone()).unwrap();
    for i in 0..30 {
        log.append(plain(&[(i, "0123456789")]), 0).unwrap();
    }
    assert_eq!(log.delete_records_before(30).unwrap(), 30);
    fs.power_loss(PowerLoss::DropUnsynced);
    let (log, _) = open(&fs, os).unwrap();
    assert_eq!((log.start_offset(), log.end_offset()), (30, 30));
}

fn open_if_at_rest(fs: &MemFs) -> Option<Log> {
    Log::open_if_at_rest(Arc::new(fs.clone()), Path::new(DIR), config()).unwrap()
}

#[test]
fn after_a_kill_a_log_that_was_at_rest_is_known_by_its_marker_and_one_in_use_is_not() {
    let fs = MemFs::new();
    assert_eq!(open_if_at_rest(&fs).unwrap().end_offset(), 0, "never used");
    let (log, _) = open(&fs, config()).unwrap();
    for i in 0..40 {
        put(&log, sequenced(7, 0, i, 1));
    }
    put(&log, transactional(8, 0, 0, 2));
    assert!(open_if_at_rest(&fs).is_none(), "never at rest");
    assert!(log.rest().unwrap());
    let found = open_if_at_rest(&fs).unwrap();
    assert!(found.is_at_rest());
    assert_eq!((found.resting(), found.size_bytes()), (log.resting(), log.size_bytes()));
    assert_eq!(found.last_stable_offset(), 40);
    assert_eq!(offsets(&found, Isolation::HighWatermark), (0..42).collect::<Vec<_>>());
    // Records may go without any being written.
    log.delete_records_before(30).unwrap();
    assert_eq!(open_if_at_rest(&fs).unwrap().start_offset(), 30);
    log.append(plain(&[(1, "news")]), 0).unwrap();
    assert!(open_if_at_rest(&fs).is_none(), "written, not yet durable");
    log.sync().unwrap();
    assert!(open_if_at_rest(&fs).is_none());
}

#[test]
fn after_power_loss_no_marker_hides_what_was_acknowledged() {
    for loss in [PowerLoss::DropUnsynced, PowerLoss::Random(7)] {
        for records in 1..60 {
            let fs = MemFs::new();
            let (log, _) = open(&fs, config()).unwrap();
            put(&log, plain(&[(1, "first")]));
            assert!(log.rest().unwrap());
            // Over the end of a segment, too.
            for i in 0..records {
                put(&log, plain(&[(i, "0123456789")]));
            }
            log.append(plain(&[(1, "not acknowledged")]), 0).unwrap();
            drop(log);
            fs.power_loss(loss);
            let end = match open_if_at_rest(&fs) {
                Some(log) => log.end_offset(),
                None => open(&fs, config()).unwrap().0.end_offset(),
            };
            assert!(end > records, "{loss:?}, {records} records: {end}");
        }
    }
}

#[test]
fn a_log_at_rest_wakes_to_be_compacted_when_its_records_are_old_enough_or_its_settings_change() {
    let compacting = LogConfig {
        cleanup_policy: CleanupPolicy::Compact,
        min_cleanable_dirty_ratio: 1.0,
        max_compaction_lag_ms: 10_000,
        message_timestamp_after_max_ms: i64::MAX / 2,
        ..config()
    };
    let keyed = |at: i64| {
        let mut batch = bd_log::batch::BatchBuilder::new();
        batch.append(at, Some(b"key"), Some(&[b'-'; 100]), &[]);
        batch.build()
    };
    let fs = MemFs::new();
    let (log, _) = open(&fs, compacting.clone()).unwrap();
    let now = 1 << 42; // a time to come, so that nothing is due
    for i in 0..40 {
        put(&log, keyed(now + i));
    }
    assert!(log.rest().unwrap());
    let at = log.resting().unwrap().compact_at_ms;
    assert!((now + 10_000..now + 10_100).contains(&at), "{at}");
    assert_eq!(log.compaction_due(at - 1).unwrap(), None);
    assert!(log.is_at_rest());
    assert!(log.compaction_due(at).unwrap().is_some());
    assert!(!log.is_at_rest());
    log.compact(at).unwrap();
    assert!(log.rest().unwrap());
    assert_eq!(log.resting().unwrap().compact_at_ms, i64::MAX, "all is compacted");
    log.set_config(LogConfig { min_cleanable_dirty_ratio: 0.5, ..compacting }).unwrap();
    assert_eq!(log.compaction_due(0).unwrap(), None);
    assert!(!log.is_at_rest(), "it was looked at");
}
