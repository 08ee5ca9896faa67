//! The internal topics: how they are made, and how they are read back. They are compacted, so that a start reads little more than
//! what lives.

use crate::partition::Partition;
use crate::topics::{Topic, Topics};
use bd_log::batch::{BatchError, Batches, ControlMarker, RecordsIter};
use bd_log::compression::{CompressionError, plain_batch};
use bd_log::{Isolation, LogError};
use kafka_protocol::ResponseError as E;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many bytes are read at once.
const READ_BYTES: usize = 1 << 20;
/// An internal record is small; one batch of them decompressed is never larger.
const MAX_PLAIN_BYTES: usize = 64 << 20;

/// `segment.bytes` of an internal topic (Kafka: `offsets.topic.segment.bytes`, `transaction.state.log.segment.bytes`): what is not
/// compacted yet, and read at a start, is rarely more.
const SEGMENT_BYTES: &str = "104857600";

/// The internal topic of that name, created at its first use with what Kafka gives it beside `configs`.
pub(crate) fn topic(
    topics: &Topics,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> Result<Arc<Topic>, E> {
    if let Some(topic) = topics.get(name) {
        return Ok(topic);
    }
    let common = [("cleanup.policy", "compact"), ("segment.bytes", SEGMENT_BYTES)];
    let configs: BTreeMap<String, String> =
        common.iter().chain(configs).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    topics.create(name, partitions, configs).or_else(|error| {
        // Somebody else may have been faster.
        topics.get(name).ok_or_else(|| {
            tracing::error!(topic = name, %error, "cannot create an internal topic");
            E::CoordinatorNotAvailable
        })
    })
}

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
