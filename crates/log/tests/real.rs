//! On the real file system: a small full disk, kills of a real process, group commit under load.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};

use bd_log::testing::{FaultFs, KillFs, KillSwitch, MemFs};
use bd_log::{Flusher, FlusherConfig, Isolation, Log, LogConfig, LogError, RealFs};
use support::*;

struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        Command::new("umount").arg(self.0).status().ok();
    }
}

#[test]
fn a_full_tmpfs_fails_appends_until_there_is_space_again() {
    let dir = tempfile::tempdir().unwrap();
    let mount =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "bd-log-test"]).arg(dir.path()).output();
    let reason = match &mount {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(reason) = reason {
        println!("skipped: a tmpfs cannot be mounted here (needs root): {reason}");
        return;
    }
    let _mounted = Mounted(dir.path()); // dropped after the log, before the folder
    let ballast = dir.path().join("ballast");
    std::fs::File::create(&ballast).unwrap().write_all(&vec![1; 300 << 10]).unwrap();
    let config = LogConfig { segment_bytes: 100_000, ..LogConfig::default() };
    let at = dir.path().join("topic-0");
    let (log, _) = Log::open(Arc::new(RealFs), &at, config.clone()).unwrap();
    let value = "v".repeat(7_000);
    let full = loop {
        match log.append(plain(&[(1, &value)]), 0) {
            Ok(_) => log.sync().unwrap(),
            Err(error) => break error,
        };
    };
    assert!(matches!(full, LogError::StorageFull { .. }), "{full}");
    let end = log.end_offset();
    assert!(end > 50, "{end}");
    assert!(log.append(plain(&[(1, &value)]), 0).is_err());
    assert_eq!(offsets(&log, Isolation::HighWatermark), (0..end).collect::<Vec<_>>());
    // A start on the full disk works too.
    drop(log);
    let (log, recovery) = Log::open(Arc::new(RealFs), &at, config).unwrap();
    assert_eq!((log.end_offset(), recovery.truncated_bytes), (end, 0));
    std::fs::remove_file(ballast).unwrap();
    assert_eq!(put(&log, plain(&[(1, &value)])).base_offset, end);
    log.close().unwrap();
}

/// Not a test of its own: the process that the next one kills.
#[test]
#[ignore = "run by a_process_killed_at_any_append_or_fsync_loses_nothing_acknowledged"]
fn child_that_appends_until_it_is_killed() {
    let (Ok(dir), Ok(switch)) = (std::env::var("BD_LOG_TEST_DIR"), std::env::var("BD_LOG_TEST_KILL")) else {
        return;
    };
    let switch = Arc::new(KillSwitch::parse(&switch).unwrap());
    let fs = Arc::new(KillFs::new(Arc::new(RealFs), switch));
    let (log, _) = Log::open(fs, Path::new(&dir), config()).unwrap();
    loop {
        let sequence = log.producer_states().first().map_or(0, |p| p.last_sequence + 1);
        log.append(transactional(1, 0, sequence, 2), 0).unwrap();
        log.append_marker(1, 0, sequence % 3 != 0, 0, 0).unwrap();
        println!("\nacknowledged {}", log.sync().unwrap());
    }
}

#[test]
fn a_process_killed_at_any_append_or_fsync_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for i in 1..=30 {
        let switch = if i % 2 == 0 { format!("append:{i}") } else { format!("fsync:{i}") };
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_appends_until_it_is_killed", "--ignored", "--nocapture"])
            .env("BD_LOG_TEST_DIR", dir.path())
            .env("BD_LOG_TEST_KILL", &switch)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            if let Some(offset) = line.unwrap().strip_prefix("acknowledged ") {
                acknowledged = offset.parse().unwrap();
            }
        }
        assert_eq!(child.wait().unwrap().signal(), Some(9), "{switch}");
        let (log, _) = Log::open(Arc::new(RealFs), dir.path(), config()).unwrap();
        assert!(log.end_offset() >= acknowledged, "{switch}: {} < {acknowledged}", log.end_offset());
        let seen = offsets(&log, Isolation::HighWatermark);
        let markers = log.end_offset() - seen.len() as i64;
        assert!((0..=log.end_offset() / 3).contains(&markers), "{switch}: {markers} markers");
        // A transaction that was cut is continued by the next process, so all are decided or the last one is open.
        assert!(log.open_transactions().len() <= 1);
    }
    assert!(acknowledged > 50, "{acknowledged}");
}

#[test]
fn all_who_wait_while_a_log_is_synced_share_the_next_fsync() {
    let fs = FaultFs::new(Arc::new(MemFs::new()));
    let big = LogConfig { segment_bytes: 1 << 20, ..config() };
    let log = Arc::new(open(&fs, big).unwrap().0);
    let flusher = Flusher::start(FlusherConfig { threads: 2 });
    let (entered, has_entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    log.append(plain(&[(1, "first")]), 0).unwrap();
    let first = move |result: Result<i64, LogError>| {
        entered.send(result.unwrap()).unwrap();
        released.recv().unwrap();
    };
    flusher.request(&log, 1, Box::new(first));
    assert_eq!(has_entered.recv().unwrap(), 1);
    // The thread that serves this log is held up: 100 more arrive meanwhile.
    let before = fs.syncs();
    let (answer, answers) = mpsc::channel();
    for i in 1..=100 {
        let end = log.append(plain(&[(1, "more")]), 0).unwrap().last_offset + 1;
        assert_eq!(end, i + 1);
        let answer = answer.clone();
        flusher.request(&log, end, Box::new(move |result| answer.send((end, result.unwrap())).unwrap()));
    }
    release.send(()).unwrap();
    for _ in 0..100 {
        let (end, high_watermark) = answers.recv().unwrap();
        assert!(high_watermark >= end);
    }
    assert_eq!(fs.syncs() - before, 1);
}

#[test]
fn every_waiter_hears_of_a_failed_fsync() {
    let fs = FaultFs::new(Arc::new(MemFs::new()));
    let log = Arc::new(open(&fs, config()).unwrap().0);
    log.append(plain(&[(1, "a")]), 0).unwrap();
    fs.fail_syncs(true);
    let (answer, answers) = mpsc::channel();
    let flusher = Flusher::start(FlusherConfig::default());
    for _ in 0..10 {
        let answer = answer.clone();
        flusher.request(&log, 1, Box::new(move |result| answer.send(result).unwrap()));
    }
    drop(flusher); // answers all first
    let results: Vec<_> = answers.try_iter().collect();
    assert_eq!(results.len(), 10);
    assert!(results.iter().all(|r| matches!(r, Err(LogError::Poisoned { .. }))));
}

#[test]
fn readers_see_whole_batches_in_order_while_others_append_sync_and_delete() {
    let dir = tempfile::tempdir().unwrap();
    let small = LogConfig { segment_bytes: 20_000, ..config() };
    let log = Log::open(Arc::new(RealFs), dir.path(), small).unwrap().0;
    const BATCHES: i64 = 3_000;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for i in 0..BATCHES / 2 {
                    log.append(plain(&[(i, "0123456789"), (i, "x")]), 0).unwrap();
                    if i % 20 == 19 {
                        log.sync().unwrap();
                    }
                }
                log.sync().unwrap();
            });
        }
        scope.spawn(|| {
            while log.high_watermark() < BATCHES * 2 {
                log.delete_records_before((log.high_watermark() - 2_000).max(0)).unwrap();
                std::thread::yield_now();
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut offset = 0;
                while offset < BATCHES * 2 {
                    match log.read(offset, 5_000, Isolation::HighWatermark, true) {
                        Ok(read) => {
                            assert!(read.next_offset <= log.high_watermark());
                            for batch in bd_log::batch::Batches::new(&read.bytes) {
                                let (range, header) = batch.unwrap();
                                bd_log::batch::verify_crc(&read.bytes[range]).unwrap();
                                assert_eq!(header.base_offset, offset / 2 * 2);
                                offset = header.next_offset();
                            }
                        }
                        Err(LogError::OffsetOutOfRange { start, .. }) => offset = start,
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
}
