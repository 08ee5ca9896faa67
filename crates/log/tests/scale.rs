//! Many logs, and large ones: how long a start takes and what a log costs. Ignored: they write much and print figures.
//! `cargo test -p bd-log --test scale -- --ignored --nocapture`

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bd_log::{Fs, Isolation, Log, LogConfig, RealFs, resting};
use support::*;

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[test]
#[ignore = "writes 10 GiB (BD_LOG_TEST_GIB)"]
fn a_large_log_recovers_after_a_kill_in_under_two_seconds() {
    let gib: u64 = std::env::var("BD_LOG_TEST_GIB").map_or(10, |gib| gib.parse().unwrap());
    let dir =
        tempfile::tempdir_in(std::env::var("BD_LOG_TEST_ROOT").unwrap_or_else(|_| ".".to_owned())).unwrap();
    let (log, _) = Log::open(Arc::new(RealFs), dir.path(), LogConfig::default()).unwrap();
    let value = "v".repeat(1000);
    let batch = plain(&vec![(1, value.as_str()); 1000]);
    while log.size_bytes() < gib << 30 {
        for _ in 0..8 {
            log.append(batch.clone(), 0).unwrap();
        }
        log.sync().unwrap();
    }
    let end = log.end_offset();
    for _ in 0..30 {
        log.append(batch.clone(), 0).unwrap();
    }
    drop(log); // without a clean shutdown
    let start = Instant::now();
    let (log, recovery) = Log::open(Arc::new(RealFs), dir.path(), LogConfig::default()).unwrap();
    let took = start.elapsed();
    println!("{gib} GiB recovered in {took:?}: {recovery:?}");
    assert!(!recovery.clean && recovery.end_offset == end + 30_000);
    assert!(recovery.scanned_bytes <= 100 << 20 && took.as_secs_f64() < 2.0);
    assert_eq!(log.read(end, 1, Isolation::HighWatermark, true).unwrap().next_offset, end + 1000);
}

#[test]
#[ignore = "makes 10000 folders"]
fn ten_thousand_logs_start_in_milliseconds_and_cost_little() {
    const LOGS: usize = 10_000;
    let dir =
        tempfile::tempdir_in(std::env::var("BD_LOG_TEST_ROOT").unwrap_or_else(|_| ".".to_owned())).unwrap();
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let (file, config) = (dir.path().join("resting-logs"), Arc::new(LogConfig::default()));
    let path = |i: usize| dir.path().join(format!("topic-{i}"));
    let mut known = Vec::new();
    for i in 0..LOGS {
        let (log, _) = Log::open(fs.clone(), &path(i), config.clone()).unwrap();
        if i % 10 == 0 {
            put(&log, plain(&[(1, "a record")]));
        }
        log.close().unwrap();
        known.push((format!("topic-{i}"), log.resting().unwrap()));
    }
    let entries = || known.iter().map(|(name, resting)| (name.as_str(), *resting));
    resting::write(&*fs, &file, entries()).unwrap();
    let (before, start) = (resident(), Instant::now());
    let taken = resting::take(&*fs, &file).unwrap();
    let open = |(i, (name, _)): (usize, &(String, _))| {
        Log::open_resting(fs.clone(), &path(i), config.clone(), taken[name]).unwrap()
    };
    let logs: Vec<Log> = known.iter().enumerate().map(open).collect();
    let took = start.elapsed();
    drop(taken);
    println!(
        "{LOGS} logs at rest: {took:?}, about {} bytes each",
        resident().saturating_sub(before) / LOGS as u64
    );
    assert_eq!(logs[10].end_offset(), 1);
    drop(logs);
    let (before, start) = (resident(), Instant::now());
    let open = |i: usize| Log::open(fs.clone(), Path::new(&path(i)), config.clone()).unwrap().0;
    let logs: Vec<Log> = (0..LOGS).map(open).collect();
    let (took, each) = (start.elapsed(), resident().saturating_sub(before) / LOGS as u64);
    println!("{LOGS} logs opened: {took:?}, about {each} bytes each, {} files open", bd_log::open_files());
    assert!(logs.iter().all(|log| log.rest().unwrap()));
}
