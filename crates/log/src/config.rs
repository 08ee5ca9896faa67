//! Settings of one log and the small types of its interface.

use bytes::Bytes;

use crate::LogError;

/// Which clock stamps the records (Kafka's `message.timestamp.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampType {
    /// The producer's timestamps are kept.
    #[default]
    CreateTime,
    /// Every batch gets the time of its append (header fields and CRC are patched; records are not re-encoded).
    LogAppendTime,
}

/// What to do on opening a log whose durable part is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CorruptionPolicy {
    /// Refuse to open, with [`LogError::Corrupt`].
    #[default]
    Refuse,
    /// Give up everything from the damaged batch on, with a warning. Loses acknowledged records.
    Truncate,
}

/// Settings of one log. Names and defaults follow Kafka's topic settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// A segment is closed before it would grow over this many bytes (`segment.bytes`); at most 2 GiB - 1.
    pub segment_bytes: u64,
    /// One index entry per this many bytes of log (`index.interval.bytes`).
    pub index_interval_bytes: u32,
    /// Whole old segments are deleted while the rest still holds this many bytes (`retention.bytes`); `None`: no limit.
    pub retention_bytes: Option<u64>,
    /// Segments whose newest record is older than this many ms are deleted (`retention.ms`); `None`: kept for ever.
    pub retention_ms: Option<i64>,
    /// Largest record batch accepted, in bytes (`max.message.bytes`).
    pub max_message_bytes: usize,
    /// Whose timestamps are stored (`message.timestamp.type`).
    pub message_timestamp_type: TimestampType,
    /// A producer that wrote nothing for this many ms is forgotten (`producer.id.expiration.ms`), unless it has an open
    /// transaction.
    pub producer_id_expiration_ms: i64,
    /// What to do about damage in the durable part.
    pub corruption: CorruptionPolicy,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            segment_bytes: 1 << 30,
            index_interval_bytes: 4096,
            retention_bytes: None,
            retention_ms: None,
            max_message_bytes: 1_048_588,
            message_timestamp_type: TimestampType::CreateTime,
            producer_id_expiration_ms: 86_400_000,
            corruption: CorruptionPolicy::Refuse,
        }
    }
}

impl LogConfig {
    pub(crate) fn validate(&self) -> Result<(), LogError> {
        let invalid =
            |setting, reason: &str| Err(LogError::InvalidConfig { setting, reason: reason.to_owned() });
        if self.segment_bytes < 64 || self.segment_bytes > i32::MAX as u64 {
            return invalid("segment_bytes", "must be between 64 and 2147483647");
        }
        if self.index_interval_bytes == 0 {
            return invalid("index_interval_bytes", "must be at least 1");
        }
        if self.max_message_bytes > i32::MAX as usize {
            return invalid("max_message_bytes", "must be at most 2147483647");
        }
        Ok(())
    }
}

/// Up to where a reader may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Everything appended, also what is not yet on disk: only for components that wait for durability themselves.
    LogEnd,
    /// Everything durable (`read_uncommitted`).
    HighWatermark,
    /// Everything before the first undecided transaction (`read_committed`).
    LastStable,
}

/// Where an append went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// Greatest timestamp of the batches, ms.
    pub max_timestamp: i64,
    /// Time of the append in ms with `LogAppendTime`, else -1 (as the Produce response wants it).
    pub log_append_time: i64,
    /// The log's first offset at that time.
    pub log_start_offset: i64,
    /// The batch was already there: the offsets are those of the earlier append, nothing was written. That append may not
    /// be durable yet, so wait for the high watermark to pass `last_offset` as for any other.
    pub duplicate: bool,
}

/// A transaction that was aborted; its records between the two offsets must be skipped by a `read_committed` reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AbortedTxn {
    /// Producer of the transaction.
    pub producer_id: i64,
    /// Offset of its first record.
    pub first_offset: i64,
    /// Offset of its abort marker.
    pub last_offset: i64,
}

/// A transaction that has neither been committed nor aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenTxn {
    /// Producer of the transaction.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Offset of its first record.
    pub first_offset: i64,
}

/// What is known about one producer (the Kafka API `DescribeProducers`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerState {
    /// Producer id.
    pub producer_id: i64,
    /// Its newest epoch.
    pub epoch: i16,
    /// Sequence number of its last record, -1 if none is remembered.
    pub last_sequence: i32,
    /// Timestamp of its last batch, ms.
    pub last_timestamp: i64,
    /// Epoch of the coordinator that wrote its last marker, -1 if none.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction.
    pub txn_first_offset: Option<i64>,
}

/// Whole record batches as they lie in the file, and the log's marks when they were read.
#[derive(Debug, Clone)]
pub struct ReadResult {
    /// Contiguous whole batches; the first one holds the offset asked for (unless that was compacted away).
    pub bytes: Bytes,
    /// The offset to ask for next: one after the last record in `bytes`, or the offset asked for if there is none.
    pub next_offset: i64,
    /// Aborted transactions that overlap the range read; only filled for [`Isolation::LastStable`].
    pub aborted: Vec<AbortedTxn>,
    /// First offset of the log.
    pub start_offset: i64,
    /// Durable end of the log.
    pub high_watermark: i64,
    /// First offset that a `read_committed` reader may not see.
    pub last_stable_offset: i64,
}

/// What [`crate::Log::open`] had to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovery {
    /// The log was closed properly (or is new): nothing was scanned.
    pub clean: bool,
    /// Bytes of log that were read and checked.
    pub scanned_bytes: u64,
    /// Bytes cut off behind the last whole batch.
    pub truncated_bytes: u64,
    /// End offset after recovery.
    pub end_offset: i64,
}

/// What [`crate::Log::apply_retention`] deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deleted {
    /// Segments.
    pub segments: usize,
    /// Bytes of log.
    pub bytes: u64,
    /// First offset afterwards.
    pub start_offset: i64,
}
