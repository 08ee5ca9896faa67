//! What the settings of a log make of the records appended to it.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use bd_log::batch::{BatchBuilder, BatchHeader, Batches, RecordsIter, verify_crc};
use bd_log::compression::{Codec, plain_batch};
use bd_log::testing::MemFs;
use bd_log::{CleanupPolicy, Compression, Isolation, Log, LogConfig, LogError, RecordFault, TimestampType};
use bytes::BytesMut;
use support::*;

fn keyed(codec: Codec, records: &[(i64, Option<&str>)]) -> BytesMut {
    let mut builder = BatchBuilder::new().codec(codec);
    for (timestamp, key) in records {
        builder.append(*timestamp, key.map(str::as_bytes), Some(b"value"), &[("h", Some(b"1"))]);
    }
    builder.build()
}

fn log_with(config: LogConfig) -> Log {
    open(&MemFs::new(), config).unwrap().0
}

fn now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64
}

#[test]
fn a_compacted_log_takes_no_record_without_key_compressed_or_not() {
    for policy in [CleanupPolicy::Compact, CleanupPolicy::CompactAndDelete] {
        let log = log_with(LogConfig { cleanup_policy: policy, ..config() });
        for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
            let error = log.append(keyed(codec, &[(1, Some("k")), (1, None)]), 0).unwrap_err();
            let LogError::InvalidRecords { fault, total, problems } = &error else { panic!("{error}") };
            assert_eq!((*fault, *total, problems[0].batch_index), (RecordFault::Record, 1, 1));
            let said = "Compacted topic cannot accept message without key in topic partition topic-0.";
            assert_eq!(problems[0].message, said);
            assert!(error.to_string().contains("1 record errors in total"), "{error}");
            log.append(keyed(codec, &[(1, Some("k")), (1, Some(""))]), 0).unwrap();
        }
        assert_eq!(log.end_offset(), 6);
    }
    assert!(log_with(config()).append(keyed(Codec::None, &[(1, None)]), 0).is_ok());
}

#[test]
fn timestamps_out_of_bounds_are_refused_where_the_producers_are_kept() {
    let (now, hour) = (now_ms(), 3_600_000);
    let refused = |log: &Log, timestamp: i64| match log
        .append(keyed(Codec::Gzip, &[(now, Some("a")), (timestamp, Some("b"))]), 0)
    {
        Ok(_) => false,
        Err(LogError::InvalidRecords { fault: RecordFault::Timestamp, total: 1, problems }) => {
            assert!(problems[0].message.contains(&format!("Timestamp {timestamp} of message")));
            assert_eq!(problems[0].batch_index, 1);
            true
        }
        Err(error) => panic!("{error}"),
    };
    let log = log_with(config());
    assert!(
        !refused(&log, 0) && !refused(&log, now + hour / 2),
        "by default the past is taken, and a little future"
    );
    assert!(refused(&log, now + 2 * hour));
    let log = log_with(LogConfig { message_timestamp_before_max_ms: hour, ..config() });
    assert!(refused(&log, now - 2 * hour) && !refused(&log, now - hour / 2) && !refused(&log, -1));
    let stamps = LogConfig { message_timestamp_type: TimestampType::LogAppendTime, ..config() };
    assert!(!refused(&log_with(stamps), now + 2 * hour));
}

#[test]
fn batches_get_the_codec_of_the_log_and_keep_their_records() {
    let settings = [
        (Compression::Uncompressed, Codec::None),
        (Compression::Gzip(9), Codec::Gzip),
        (Compression::Gzip(-1), Codec::Gzip),
        (Compression::Snappy, Codec::Snappy),
        (Compression::Lz4(9), Codec::Lz4),
        (Compression::Zstd(-7), Codec::Zstd),
    ];
    for (compression, stored) in settings {
        for sent in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let log = log_with(LogConfig { compression, segment_bytes: 10_000, ..config() });
            let batches = [keyed(sent, &[(5, Some("a")), (3, None)]), sequenced(7, 2, 0, 3)].concat();
            log.append(BytesMut::from(&batches[..]), 4).unwrap();
            log.sync().unwrap();
            let read = log.read(0, 10_000, Isolation::HighWatermark, true).unwrap();
            let found: Vec<(BatchHeader, Vec<(i64, i64)>)> = Batches::new(&read.bytes)
                .map(|item| {
                    let (range, header) = item.unwrap();
                    verify_crc(&read.bytes[range.clone()]).unwrap();
                    assert_eq!(header.codec().unwrap(), stored);
                    assert_eq!(header.partition_leader_epoch, 4);
                    let plain = plain_batch(&read.bytes.slice(range), 1 << 20).unwrap();
                    let records = RecordsIter::new(&plain).unwrap().map(|r| r.unwrap());
                    (header, records.map(|r| (r.offset, r.timestamp)).collect())
                })
                .collect();
            assert_eq!(found[0].1, [(0, 5), (1, 3)]);
            assert_eq!(found[1].1, [(2, 1_000), (3, 1_001), (4, 1_002)]);
            assert_eq!(
                (found[1].0.producer_id, found[1].0.producer_epoch, found[1].0.base_sequence),
                (7, 2, 0)
            );
            assert_eq!(found[0].0.max_timestamp, 5);
        }
    }
}

#[test]
fn a_batch_that_grows_over_the_limit_when_unpacked_is_refused() {
    let mut builder = BatchBuilder::new().codec(Codec::Zstd);
    builder.append(1, Some(b"k"), Some(&[7; 100_000]), &[]);
    let batch = builder.build();
    let small = LogConfig { max_message_bytes: 50_000, segment_bytes: 1 << 20, ..config() };
    log_with(small.clone()).append(batch.clone(), 0).unwrap();
    let plain = LogConfig { compression: Compression::Uncompressed, ..small };
    let error = log_with(plain).append(batch, 0).unwrap_err();
    assert!(matches!(error, LogError::TooLarge { max: 50_000, .. }), "{error}");
}

#[test]
fn records_that_cannot_be_unpacked_are_refused_where_they_must_be_looked_at() {
    let mut batch = keyed(Codec::Zstd, &[(1, Some("k"))]).to_vec();
    let last = batch.len() - 1;
    batch[last] ^= 0xff;
    batch[61] ^= 0xff;
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    let log = log_with(LogConfig { cleanup_policy: CleanupPolicy::Compact, ..config() });
    let error = log.append(BytesMut::from(&batch[..]), 0).unwrap_err();
    assert!(matches!(error, LogError::InvalidRecords { fault: RecordFault::Record, .. }), "{error}");
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let bad = [
        LogConfig { segment_ms: 0, ..config() },
        LogConfig { min_cleanable_dirty_ratio: 1.5, ..config() },
        LogConfig { min_cleanable_dirty_ratio: f64::NAN, ..config() },
        LogConfig { delete_retention_ms: -1, ..config() },
        LogConfig { compression: Compression::Zstd(23), ..config() },
        LogConfig { compression: Compression::Gzip(0), ..config() },
    ];
    for config in bad {
        assert!(matches!(open(&MemFs::new(), config), Err(LogError::InvalidConfig { .. })));
    }
}
