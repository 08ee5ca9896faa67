//! Settings of one log and the small types of its interface.

use bytes::Bytes;

use crate::LogError;
use crate::compression::Codec;

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

/// What becomes of old records (Kafka's `cleanup.policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CleanupPolicy {
    /// Whole old segments are deleted, by time and size.
    #[default]
    Delete,
    /// The last record of each key is kept for ever; records must have a key.
    Compact,
    /// Both: `compact,delete`.
    CompactAndDelete,
}

impl CleanupPolicy {
    /// Whether the log is compacted, so that its records need keys.
    pub fn compacts(self) -> bool {
        self != CleanupPolicy::Delete
    }

    /// Whether segments are deleted by time and size.
    pub fn deletes(self) -> bool {
        self != CleanupPolicy::Compact
    }
}

/// When appended records reach the disk. Kafka's own setting is [`FlushMode::Os`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FlushMode {
    /// Each append is fsynced by itself before it is acknowledged. Loses nothing that was acknowledged; slow, since
    /// appends do not share an fsync.
    Always,
    /// Appends that wait at the same time share one fsync, before they are acknowledged. Loses nothing that was
    /// acknowledged.
    #[default]
    Group,
    /// Acknowledged as soon as the operating system has the bytes, which writes them when it likes. A kill of the process
    /// loses nothing; power loss or a crash of the system loses what was acknowledged in the last seconds (30 s or so with
    /// the usual settings of Linux). The log is then cut at the first batch that is not whole; nothing damaged is served.
    Os,
}

/// How batches are stored (Kafka's `compression.type`, with the levels of `compression.*.level`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// As the producer sent them.
    #[default]
    Producer,
    /// Not compressed.
    Uncompressed,
    /// gzip at level 1 to 9; -1: the default, 6.
    Gzip(i32),
    /// Snappy, which has no levels.
    Snappy,
    /// LZ4 at level 1 to 17. The level is taken but makes no difference: there is one, the fast one.
    Lz4(i32),
    /// Zstandard at level -131072 to 22; 3 is Kafka's default.
    Zstd(i32),
}

impl Compression {
    /// The codec that batches must have; `None`: any.
    pub fn codec(self) -> Option<Codec> {
        match self {
            Compression::Producer => None,
            Compression::Uncompressed => Some(Codec::None),
            Compression::Gzip(_) => Some(Codec::Gzip),
            Compression::Snappy => Some(Codec::Snappy),
            Compression::Lz4(_) => Some(Codec::Lz4),
            Compression::Zstd(_) => Some(Codec::Zstd),
        }
    }
}

/// Settings of one log. Names and defaults follow Kafka's topic settings, but for two: retention by time is off (Kafka: seven
/// days), since records often carry the time of long past events, by which it would count; and records are fsynced before they
/// are acknowledged.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    /// What becomes of old records (`cleanup.policy`).
    pub cleanup_policy: CleanupPolicy,
    /// A segment is closed before it would grow over this many bytes (`segment.bytes`); at most 2 GiB - 1.
    pub segment_bytes: u64,
    /// A segment is closed when a batch comes whose time lies more than this many ms after the segment's first one
    /// (`segment.ms`), by the timestamps of the batches; a negative timestamp counts as the time of its append.
    pub segment_ms: i64,
    /// Each segment is closed up to this many ms earlier, so that not all logs do it at once (`segment.jitter.ms`).
    pub segment_jitter_ms: i64,
    /// Segments are created at full length, which some file systems lay out better (`preallocate`).
    pub preallocate: bool,
    /// When appended records reach the disk.
    pub flush: FlushMode,
    /// With [`FlushMode::Os`]: fsynced at the latest when so many records are not (`flush.messages`); `None`: no limit.
    pub flush_messages: Option<i64>,
    /// With [`FlushMode::Os`]: fsynced so many ms after an append (`flush.ms`); `None`: when the system likes.
    pub flush_ms: Option<u64>,
    /// How batches are stored (`compression.type`).
    pub compression: Compression,
    /// A record whose timestamp lies further than this many ms before now is refused (`message.timestamp.before.max.ms`).
    pub message_timestamp_before_max_ms: i64,
    /// A record whose timestamp lies further than this many ms after now is refused (`message.timestamp.after.max.ms`).
    pub message_timestamp_after_max_ms: i64,
    /// Tombstones and transaction markers stay for this many ms after the first compaction that found them to be all that is
    /// left of their key or transaction (`delete.retention.ms`), so that every reader that keeps up sees them.
    pub delete_retention_ms: i64,
    /// Records younger than this many ms are not compacted (`min.compaction.lag.ms`).
    pub min_compaction_lag_ms: i64,
    /// Records older than this many ms are compacted even where [`LogConfig::min_cleanable_dirty_ratio`] is not reached
    /// (`max.compaction.lag.ms`).
    pub max_compaction_lag_ms: i64,
    /// Compaction is due when this part of the bytes, from 0 to 1, was not compacted yet (`min.cleanable.dirty.ratio`).
    pub min_cleanable_dirty_ratio: f64,
    /// Most memory of one compaction for its map of keys, in bytes (`log.cleaner.dedupe.buffer.size`; Kafka: 128 MiB). A key
    /// takes 40 bytes; with more keys than fit, one run compacts a part, the next goes on.
    pub cleaner_dedupe_buffer_bytes: usize,
    /// Most bytes that compaction reads and writes in a second (`log.cleaner.io.max.bytes.per.second`); `None`: no limit.
    pub cleaner_io_bytes_per_second: Option<u64>,
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
            cleanup_policy: CleanupPolicy::Delete,
            segment_bytes: 1 << 30,
            segment_ms: 7 * 86_400_000,
            segment_jitter_ms: 0,
            preallocate: false,
            flush: FlushMode::Group,
            flush_messages: None,
            flush_ms: None,
            compression: Compression::Producer,
            message_timestamp_before_max_ms: i64::MAX,
            message_timestamp_after_max_ms: 3_600_000,
            delete_retention_ms: 86_400_000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
            cleaner_dedupe_buffer_bytes: 32 << 20,
            cleaner_io_bytes_per_second: None,
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
    /// Whether compaction is due at the same times.
    pub(crate) fn compacts_like(&self, other: &LogConfig) -> bool {
        self.cleanup_policy.compacts() == other.cleanup_policy.compacts()
            && self.min_compaction_lag_ms == other.min_compaction_lag_ms
            && self.max_compaction_lag_ms == other.max_compaction_lag_ms
            && self.min_cleanable_dirty_ratio == other.min_cleanable_dirty_ratio
    }

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
        if self.segment_ms < 1 {
            return invalid("segment_ms", "must be at least 1");
        }
        if !(0.0..=1.0).contains(&self.min_cleanable_dirty_ratio) {
            return invalid("min_cleanable_dirty_ratio", "must be between 0 and 1");
        }
        if self.max_compaction_lag_ms < 1 {
            return invalid("max_compaction_lag_ms", "must be at least 1");
        }
        let not_negative = [
            ("segment_jitter_ms", self.segment_jitter_ms),
            ("delete_retention_ms", self.delete_retention_ms),
            ("min_compaction_lag_ms", self.min_compaction_lag_ms),
            ("message_timestamp_before_max_ms", self.message_timestamp_before_max_ms),
            ("message_timestamp_after_max_ms", self.message_timestamp_after_max_ms),
        ];
        if let Some((setting, _)) = not_negative.into_iter().find(|(_, ms)| *ms < 0) {
            return invalid(setting, "must not be negative");
        }
        let level = match self.compression {
            Compression::Gzip(level) => level == -1 || (1..=9).contains(&level),
            Compression::Lz4(level) => (1..=17).contains(&level),
            Compression::Zstd(level) => (-131_072..=22).contains(&level),
            Compression::Producer | Compression::Uncompressed | Compression::Snappy => true,
        };
        if !level {
            return invalid("compression", "the codec has no such level");
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
