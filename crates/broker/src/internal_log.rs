//! Reading the internal topics back, and keeping them small.
//!
//! They hold the last value of each key, like a compacted topic, and are made small in another way: the live state is written
//! again at the end, then all before it is deleted.

use crate::partition::Partition;
use bd_log::batch::{BatchError, Batches, ControlMarker, RecordsIter};
use bd_log::compression::{CompressionError, plain_batch};
use bd_log::{Isolation, LogError};
use std::sync::Arc;

/// How many bytes are read at once.
const READ_BYTES: usize = 1 << 20;
/// An internal record is small; one batch of them decompressed is never larger.
const MAX_PLAIN_BYTES: usize = 64 << 20;
/// Below so many records shrinking is not worth it.
const MIN_RECORDS: i64 = 100_000;

/// An internal topic cannot be read back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A batch in it.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A compressed batch in it.
    #[error(transparent)]
    Compression(#[from] CompressionError),
}

/// What is read back, in the log's order.
pub(crate) enum Event<'a> {
    /// A record; `producer` where it belongs to a transaction.
    Record { offset: i64, producer: Option<i64>, key: &'a [u8], value: Option<&'a [u8]> },
    /// The end of a producer's transaction.
    End { offset: i64, producer_id: i64, commit: bool },
}

/// Reads the whole log, also what is not yet durable (nobody else is at work).
pub(crate) fn replay(partition: &Partition, mut each: impl FnMut(Event<'_>)) -> Result<(), ReplayError> {
    let log = partition.log();
    let mut offset = log.start_offset();
    while offset < log.end_offset() {
        let read = log.read(offset, READ_BYTES, Isolation::LogEnd, true)?;
        for item in Batches::new(&read.bytes) {
            let (range, header) = item?;
            if header.last_offset() < offset {
                continue;
            }
            let batch = read.bytes.slice(range);
            if header.is_control() {
                if let Some(marker) = ControlMarker::parse(&batch)? {
                    each(Event::End {
                        offset: header.base_offset,
                        producer_id: header.producer_id,
                        commit: marker.commit,
                    });
                }
                continue;
            }
            let plain = plain_batch(&batch, MAX_PLAIN_BYTES)?;
            let producer = header.is_transactional().then_some(header.producer_id);
            for record in RecordsIter::new(&plain)? {
                let record = record?;
                let key = record.key.and_then(|r| plain.get(r)).unwrap_or_default();
                let value = record.value.and_then(|r| plain.get(r));
                each(Event::Record { offset: record.offset, producer, key, value });
            }
        }
        if read.next_offset <= offset {
            break;
        }
        offset = read.next_offset;
    }
    Ok(())
}

/// Whether most of the log is superseded, with `live` records that count.
pub(crate) fn is_worth_shrinking(partition: &Partition, live: i64) -> bool {
    let all = partition.log().end_offset() - partition.log().start_offset();
    all > MIN_RECORDS && all / 4 > live
}

/// Deletes what is before `offset`, once all after it is durable; records of open transactions stay.
pub(crate) fn trim(partition: &Arc<Partition>, offset: i64) -> Result<(), LogError> {
    let log = partition.log();
    partition.wait_durable(log.end_offset())?;
    log.delete_records_before(offset.min(log.last_stable_offset()))?;
    Ok(())
}
