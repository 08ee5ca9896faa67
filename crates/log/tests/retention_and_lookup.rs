//! Reading, timestamps, deletion from the front.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use bd_log::batch::{BatchBuilder, Batches};
use bd_log::compression::Codec;
use bd_log::testing::{MemFs, PowerLoss};
use bd_log::{Isolation, LogConfig, LogError, TimestampType};
use support::*;

fn filled(fs: &MemFs, config: LogConfig) -> bd_log::Log {
    let (log, _) = open(fs, config).unwrap();
    for i in 0..50 {
        put(&log, plain(&[(i * 10, "0123456789"), (i * 10 + 5, "x")]));
    }
    log
}

#[test]
fn a_read_starts_with_the_batch_of_the_offset_and_keeps_to_the_limit() {
    let log = filled(&MemFs::new(), config());
    let size = plain(&[(0, "0123456789"), (5, "x")]).len();
    for offset in 0..100 {
        for (max, min_one, batches) in
            [(0, true, 1), (size - 1, true, 1), (size - 1, false, 0), (2 * size, false, 2)]
        {
            let read = log.read(offset, max, Isolation::HighWatermark, min_one).unwrap();
            let found: Vec<_> = Batches::new(&read.bytes).map(|b| b.unwrap().1).collect();
            assert!(found.len() <= batches && (batches == 0 || !found.is_empty()), "{offset} {max}");
            let next = found.last().map_or(offset, |b| b.last_offset() + 1);
            assert_eq!(read.next_offset, next);
            assert!(found.first().is_none_or(|b| b.base_offset == offset / 2 * 2));
        }
    }
    assert!(log.read(100, 1, Isolation::HighWatermark, true).unwrap().bytes.is_empty());
    for offset in [-1, 101] {
        let error = log.read(offset, 1, Isolation::HighWatermark, true).unwrap_err();
        assert!(matches!(error, LogError::OffsetOutOfRange { start: 0, end: 100, .. }));
    }
}

#[test]
fn the_first_record_at_or_after_a_timestamp_is_found_also_after_restarts() {
    let fs = MemFs::new();
    let mut log = filled(&fs, config());
    for restart in 0..3 {
        for timestamp in 0..=495 {
            let offset = (timestamp + 4) / 5;
            assert_eq!(
                log.offset_for_timestamp(timestamp).unwrap(),
                Some((offset, offset * 5)),
                "{timestamp}"
            );
        }
        assert_eq!(log.offset_for_timestamp(496).unwrap(), None);
        assert_eq!(log.offset_for_timestamp(-7).unwrap(), Some((0, 0)));
        assert_eq!(log.max_timestamp_offset().unwrap(), Some((99, 495)));
        if restart == 0 {
            log.close().unwrap();
        }
        log = open(&fs, config()).unwrap().0;
    }
}

#[test]
fn timestamps_out_of_order_and_compressed_batches_are_found_exactly() {
    let (log, _) = open(&MemFs::new(), config()).unwrap();
    let mut times = Vec::new();
    for i in 0..60i64 {
        let mut batch = BatchBuilder::new().codec(if i % 2 == 0 { Codec::Lz4 } else { Codec::None });
        for j in 0..3 {
            let time = i * 7919 % 101 * 10 + j * 37 % 29;
            batch.append(time, None, Some(b"value"), &[]);
            times.push(time);
        }
        put(&log, batch.build());
    }
    for wanted in -1..1050 {
        let expected = times.iter().position(|t| *t >= wanted).map(|i| (i as i64, times[i]));
        assert_eq!(log.offset_for_timestamp(wanted).unwrap(), expected, "{wanted}");
    }
    let max = *times.iter().max().unwrap();
    let first = times.iter().position(|t| *t == max).unwrap();
    assert_eq!(log.max_timestamp_offset().unwrap(), Some((first as i64, max)));
}

#[test]
fn lookups_see_only_durable_records() {
    let (log, _) = open(&MemFs::new(), config()).unwrap();
    put(&log, plain(&[(10, "a")]));
    log.append(plain(&[(20, "b")]), 0).unwrap();
    assert_eq!(log.offset_for_timestamp(15).unwrap(), None);
    assert_eq!(log.max_timestamp_offset().unwrap(), Some((0, 10)));
}

#[test]
fn log_append_time_stamps_the_batch_with_a_valid_checksum() {
    let config = LogConfig { message_timestamp_type: TimestampType::LogAppendTime, ..config() };
    let (log, _) = open(&MemFs::new(), config).unwrap();
    let appended = put(&log, plain(&[(1, "a"), (2, "b")]));
    assert!(appended.log_append_time > 1_600_000_000_000);
    assert_eq!(records(&log, 0, Isolation::HighWatermark).len(), 2); // verifies the CRC
    assert_eq!(log.max_timestamp_offset().unwrap(), Some((0, appended.log_append_time)));
}

#[test]
fn retention_by_size_keeps_at_least_the_bytes_asked_for() {
    let fs = MemFs::new();
    let log = filled(&fs, LogConfig { retention_bytes: Some(2500), ..config() });
    let before = log.size_bytes();
    let deleted = log.apply_retention(0).unwrap();
    assert!(deleted.segments > 0);
    assert_eq!(log.size_bytes(), before - deleted.bytes);
    assert!((2500..3500).contains(&log.size_bytes()), "{}", log.size_bytes());
    assert_eq!(log.start_offset(), deleted.start_offset);
    assert_eq!(offsets(&log, Isolation::HighWatermark)[0], deleted.start_offset);
    fs.power_loss(PowerLoss::DropUnsynced);
    assert_eq!(open(&fs, config()).unwrap().0.start_offset(), deleted.start_offset);
}

#[test]
fn retention_by_time_deletes_expired_segments_and_at_last_all_of_them() {
    let fs = MemFs::new();
    let log = filled(&fs, LogConfig { retention_ms: Some(100), ..config() });
    log.apply_retention(350).unwrap(); // older than 250 goes
    let oldest = log.offset_for_timestamp(0).unwrap().unwrap();
    assert!((150..=250).contains(&oldest.1), "{oldest:?}");
    log.apply_retention(10_000).unwrap();
    assert_eq!((log.start_offset(), log.size_bytes()), (100, 0));
    assert_eq!(put(&log, plain(&[(1, "new")])).base_offset, 100);
    drop(log);
    let (log, _) = open(&fs, config()).unwrap();
    assert_eq!(records(&log, 100, Isolation::HighWatermark), [(100, "new".into())]);
}

#[test]
fn records_deleted_on_request_stay_deleted() {
    let fs = MemFs::new();
    let log = filled(&fs, config());
    assert!(matches!(log.delete_records_before(101), Err(LogError::OffsetOutOfRange { .. })));
    assert_eq!(log.delete_records_before(61).unwrap(), 61);
    assert_eq!(log.delete_records_before(5).unwrap(), 61);
    assert!(matches!(
        log.read(60, 1, Isolation::HighWatermark, true),
        Err(LogError::OffsetOutOfRange { start: 61, .. })
    ));
    assert_eq!(log.offset_for_timestamp(0).unwrap(), Some((61, 305)));
    fs.power_loss(PowerLoss::DropUnsynced);
    let (log, _) = open(&fs, config()).unwrap();
    assert_eq!(offsets(&log, Isolation::HighWatermark), (61..100).collect::<Vec<_>>());
    log.delete_records_before(100).unwrap();
    drop(log);
    let (log, _) = open(&fs, config()).unwrap();
    assert_eq!((log.start_offset(), log.end_offset()), (100, 100));
    assert_eq!(put(&log, plain(&[(1, "new")])).base_offset, 100);
}

#[test]
fn malformed_batches_are_refused_whole() {
    let (log, _) = open(&MemFs::new(), config()).unwrap();
    let good = plain(&[(1, "a")]);
    for byte in (16..good.len()).chain([8, 9]) {
        let mut bad = good.clone();
        bad[byte] ^= 1;
        let error = log.append(bad, 0).unwrap_err();
        assert!(matches!(error, LogError::InvalidBatch(_) | LogError::TooLarge { .. }), "{byte}: {error}");
    }
    for len in 0..good.len() {
        assert!(log.append(good[..len].into(), 0).is_err());
    }
    let mut second_bad = good.clone();
    second_bad.extend_from_slice(&good[..good.len() - 1]);
    assert!(log.append(second_bad, 0).is_err());
    let large = "x".repeat(2000);
    assert!(matches!(log.append(plain(&[(1, &large)]), 0), Err(LogError::TooLarge { .. })));
    assert_eq!(log.end_offset(), 0);
}
