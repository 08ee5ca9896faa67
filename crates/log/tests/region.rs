//! Regions of files hold what reads give.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;

use bd_log::testing::{MemFs, flip_bit};
use bd_log::{Isolation, Log, LogConfig, LogError, RealFs};
use support::*;

/// Batches of very different sizes in several segments.
fn fill(log: &Log) {
    for i in 0..120_i32 {
        let value = "v".repeat((i as usize * 37) % 500);
        let records: Vec<(i64, &str)> = (0..=i64::from(i % 3)).map(|r| (r, value.as_str())).collect();
        log.append(plain(&records), 0).unwrap();
        if i % 10 == 0 {
            log.append(transactional(7, 0, i / 10, 1), 0).unwrap();
            log.append_marker(7, 0, i % 20 == 0, 0, 0).unwrap();
        }
    }
    log.sync().unwrap();
    log.append(plain(&[(1, "not durable")]), 0).unwrap();
}

fn same(log: &Log) {
    for isolation in [Isolation::LogEnd, Isolation::HighWatermark, Isolation::LastStable] {
        for offset in 0..=log.end_offset() {
            for (max_bytes, min_one) in
                [(0, true), (100, false), (700, true), (3_000, false), (1 << 20, true)]
            {
                let read = log.read(offset, max_bytes, isolation, min_one).unwrap();
                let region = log.read_region(offset, max_bytes, isolation, min_one).unwrap();
                assert_eq!(region.read().unwrap(), read.bytes, "{offset} {max_bytes} {isolation:?}");
                assert_eq!(region.next_offset, read.next_offset, "{offset} {max_bytes} {isolation:?}");
                assert_eq!(region.aborted, read.aborted);
                assert_eq!(region.high_watermark, read.high_watermark);
                assert_eq!(region.is_empty(), read.bytes.is_empty());
            }
        }
    }
}

#[test]
fn a_region_holds_what_a_read_gives_at_every_offset_and_size() {
    let fs = MemFs::new();
    let config = LogConfig { segment_bytes: 6_000, index_interval_bytes: 900, ..config() };
    let (log, _) = open(&fs, config.clone()).unwrap();
    fill(&log);
    same(&log);
    log.close().unwrap();
    same(&open(&fs, config).unwrap().0);
}

#[test]
fn a_region_of_a_real_file_has_a_descriptor_and_outlives_the_files_deletion() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) =
        Log::open(Arc::new(RealFs), dir.path(), LogConfig { segment_bytes: 6_000, ..config() }).unwrap();
    fill(&log);
    let region = log.read_region(0, 500, Isolation::HighWatermark, true).unwrap();
    let before = region.read().unwrap();
    log.delete_records_before(100).unwrap();
    assert!(!dir.path().join("00000000000000000000.log").exists());
    assert_eq!(region.read().unwrap(), before);
    let file = std::fs::File::from(region.fd().unwrap().try_clone_to_owned().unwrap());
    let mut bytes = vec![0; region.len()];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, region.position()).unwrap();
    assert_eq!(bytes, before);
}

#[test]
fn a_region_ends_before_a_batch_that_was_damaged_at_rest() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, config()).unwrap();
    let len = plain(&[(0, "0123456789")]).len() as u64;
    for i in 0..40 {
        put(&log, plain(&[(i, "0123456789")]));
    }
    log.close().unwrap();
    flip_bit(&fs, &segment(0), 2 * len + 65).unwrap();
    let (log, _) = open(&fs, config()).unwrap();
    for _ in 0..2 {
        let region = log.read_region(0, 500, Isolation::HighWatermark, true).unwrap();
        assert_eq!((region.len() as u64, region.next_offset), (2 * len, 2));
        match log.read_region(2, 500, Isolation::HighWatermark, true) {
            Err(LogError::Corrupt { offset, position, .. }) => assert_eq!((offset, position), (2, 2 * len)),
            other => panic!("{other:?}"),
        }
    }
}
