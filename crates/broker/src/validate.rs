//! Which records a broker takes: Kafka's `ProduceRequest.validateRecords` and `LogValidator`, with their texts. What depends on
//! the log's state (sequences, epochs), sizes and checksums are the log's to check.

use crate::partition::Partition;
use crate::topics::Topic;
use crate::wait::now_ms;
use bd_log::batch::{BatchError, BatchHeader, RecordsIter};
use bd_log::compression::{Codec, plain_batch};
use bytes::Bytes;
use kafka_protocol::ResponseError as E;

/// The most that one batch may hold decompressed, where its records are looked at.
const MAX_PLAIN_BYTES: usize = 256 << 20;
/// So many bad records are told of.
const MAX_RECORD_ERRORS: usize = 100;
/// The first version that may carry zstd.
const ZSTD_FROM: i16 = 7;

/// Why records are not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub(crate) code: E,
    pub(crate) message: String,
    /// By index in the batch.
    pub(crate) records: Vec<(i32, String)>,
}

fn reject<T>(code: E, message: String) -> Result<T, Rejected> {
    Err(Rejected { code, message, records: Vec::new() })
}

/// Checks that these bytes are one batch that a client may send in this version, and gives its header.
pub(crate) fn header(
    batch: Option<&[u8]>,
    version: i16,
    partition: &Partition,
) -> Result<BatchHeader, Rejected> {
    let request = format_args!("{partition:?}: Produce requests with version {version}");
    let Some(bytes) = batch.filter(|b| !b.is_empty()) else {
        return reject(
            E::InvalidRecord,
            format!("{request} must have exactly one record batch per partition"),
        );
    };
    let header = match BatchHeader::parse(bytes) {
        Ok(header) => header,
        Err(BatchError::Magic(magic)) => {
            let reason = "are only allowed to contain record batches with magic version 2";
            return reject(E::InvalidRecord, format!("{request} {reason}, not {magic}"));
        }
        Err(error) => return reject(E::CorruptMessage, format!("{partition:?}: {error}")),
    };
    if header.size() < bytes.len() {
        let reason = "are only allowed to contain exactly one record batch per partition";
        return reject(E::InvalidRecord, format!("{request} {reason}"));
    }
    match header.codec() {
        Ok(Codec::Zstd) if version < ZSTD_FROM => {
            let reason = "are not allowed to use ZStandard compression";
            return reject(E::UnsupportedCompressionType, format!("{request} {reason}"));
        }
        Ok(_) => {}
        Err(error) => return reject(E::CorruptMessage, format!("{partition:?}: {error}")),
    }
    if header.is_control() {
        let reason = "Clients are not allowed to write control records";
        return reject(E::InvalidRecord, format!("{partition:?}: {reason}"));
    }
    if header.has_producer() && header.base_sequence < 0 {
        let (sequence, producer) = (header.base_sequence, header.producer_id);
        let reason = format!("Invalid sequence number {sequence} in record batch with producerId {producer}");
        return reject(E::InvalidRecord, format!("{partition:?}: {reason}"));
    }
    if header.record_count < 1 || header.last_offset_delta != header.record_count - 1 {
        let (count, delta) = (header.record_count, header.last_offset_delta);
        let reason = format!("Inconsistent batch: {count} records, last offset delta {delta}");
        return reject(E::InvalidRecord, format!("{partition:?}: {reason}"));
    }
    Ok(header)
}

/// What a topic's configs demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rules {
    min_insync_replicas: i32,
    is_compacted: bool,
    /// The bounds of timestamps, as distances from now; none where the log stamps them.
    before_max_ms: i64,
    after_max_ms: i64,
}

impl Rules {
    const NONE: Rules = Rules {
        min_insync_replicas: 1,
        is_compacted: false,
        before_max_ms: i64::MAX,
        after_max_ms: i64::MAX,
    };

    fn of(topic: &Topic) -> Rules {
        topic.with_configs(|configs| {
            if configs.is_empty() {
                return Rules::NONE;
            }
            let number = |key| configs.get(key).and_then(|v| v.parse::<i64>().ok());
            let is = |key, word| configs.get(key).is_some_and(|v| v.split(',').any(|p| p.trim() == word));
            let stamped = is("message.timestamp.type", "LogAppendTime");
            let bound = |key| number(key).filter(|_| !stamped).unwrap_or(i64::MAX);
            Rules {
                min_insync_replicas: number("min.insync.replicas").unwrap_or(1) as i32,
                is_compacted: is("cleanup.policy", "compact"),
                before_max_ms: bound("message.timestamp.before.max.ms"),
                after_max_ms: bound("message.timestamp.after.max.ms"),
            }
        })
    }
}

/// Checks a batch against the configs of its topic. Its records are only looked at where a config asks for it.
pub(crate) fn rules(
    topic: &Topic,
    acks: i16,
    partition: &Partition,
    header: &BatchHeader,
    batch: Option<&[u8]>,
) -> Result<(), Rejected> {
    let rules = Rules::of(topic);
    if acks == -1 && rules.min_insync_replicas > 1 {
        let reason = format!(
            "The size of the current ISR : 1 is insufficient to satisfy the min.isr requirement of {} for partition {partition:?}",
            rules.min_insync_replicas
        );
        return reject(E::NotEnoughReplicas, reason);
    }
    let now = now_ms();
    let latest = now.saturating_add(rules.after_max_ms);
    let earliest = now.saturating_sub(rules.before_max_ms);
    if !rules.is_compacted && header.max_timestamp <= latest && rules.before_max_ms == i64::MAX {
        return Ok(());
    }
    let corrupt = |error: String| Rejected {
        code: E::CorruptMessage,
        message: format!("{partition:?}: {error}"),
        records: Vec::new(),
    };
    let bytes = Bytes::copy_from_slice(batch.unwrap_or_default());
    let plain = plain_batch(&bytes, MAX_PLAIN_BYTES).map_err(|e| corrupt(e.to_string()))?;
    let (mut keyless, mut untimely) = (Vec::new(), Vec::new());
    for (index, record) in RecordsIter::new(&plain).map_err(|e| corrupt(e.to_string()))?.enumerate() {
        let record = record.map_err(|e| corrupt(e.to_string()))?;
        if rules.is_compacted && record.key.is_none() && keyless.len() < MAX_RECORD_ERRORS {
            let reason = format!(
                "Compacted topic cannot accept message without key in topic partition {partition:?}."
            );
            keyless.push((index as i32, reason));
        }
        let at = record.timestamp;
        if at >= 0 && !(earliest..=latest).contains(&at) && untimely.len() < MAX_RECORD_ERRORS {
            let reason = format!(
                "Timestamp {at} of message with offset {index} is out of range. The timestamp should be within [{earliest}, {latest}]"
            );
            untimely.push((index as i32, reason));
        }
    }
    let (code, records) =
        if untimely.is_empty() { (E::InvalidRecord, keyless) } else { (E::InvalidTimestamp, untimely) };
    if records.is_empty() {
        return Ok(());
    }
    let message = match code {
        E::InvalidTimestamp => {
            format!("{partition:?}: One or more records have been rejected due to invalid timestamp")
        }
        _ => format!(
            "{partition:?}: One or more records have been rejected due to {} record errors",
            records.len()
        ),
    };
    Err(Rejected { code, message, records })
}
