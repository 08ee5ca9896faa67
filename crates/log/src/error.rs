//! Everything that can go wrong with one partition on disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::batch::BatchError;

/// What is wrong with single records of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordFault {
    /// A timestamp out of the bounds that the settings give (Kafka's INVALID_TIMESTAMP).
    Timestamp,
    /// Not what the log takes, such as a record without key in a compacted log (Kafka's INVALID_RECORD).
    Record,
}

/// One record that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordProblem {
    /// Position of the record in its batch, from 0.
    pub batch_index: i32,
    /// Why, in words.
    pub message: String,
}

/// Why a log operation failed. Cloneable, because one failed fsync answers many waiting producers.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// A file operation failed; the log itself is unchanged and can be used further.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb phrase ("read", "create").
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: Arc<io::Error>,
    },
    /// No space left (or quota exceeded). What was partly written is cut off again; appends work once there is space.
    #[error(
        "no space left while writing {}: {source}; free some space or lower retention, then retry",
        path.display()
    )]
    StorageFull {
        /// The file that could not grow.
        path: PathBuf,
        /// The operating system's answer.
        source: Arc<io::Error>,
    },
    /// An fsync (or the repair of a failed write) failed earlier: nobody knows which bytes are on disk, so the log takes no
    /// more appends until it is opened again, which recovers it. Reads below the high watermark still work.
    #[error("log {} takes no more writes until it is reopened: {reason}", dir.display())]
    Poisoned {
        /// The partition's folder.
        dir: PathBuf,
        /// The failure that caused it.
        reason: Arc<str>,
    },
    /// Stored data is damaged where it must not be.
    #[error("{} is damaged at byte {position} (offset {offset}): {reason}; restore it from a copy", file.display())]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// Byte position in it of the first damaged batch or entry.
        position: u64,
        /// The first log offset that cannot be read.
        offset: i64,
        /// What is wrong.
        reason: String,
    },
    /// The offset asked for lies before the log's start or after its end.
    #[error("offset {offset} is out of range: the log holds [{start}, {end})")]
    OffsetOutOfRange {
        /// Asked for.
        offset: i64,
        /// First offset.
        start: i64,
        /// End offset (next to be written).
        end: i64,
    },
    /// The bytes to append are not whole, valid v2 record batches.
    #[error("invalid record batch: {0}")]
    InvalidBatch(#[from] BatchError),
    /// A batch is larger than `max_message_bytes`, or all together larger than a segment.
    #[error("record batch of {size} bytes is larger than the limit of {max} bytes")]
    TooLarge {
        /// Bytes.
        size: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Single records are not as the settings want them; none of the append was written.
    #[error("{}", match fault {
        RecordFault::Timestamp => "One or more records have been rejected due to invalid timestamp".to_owned(),
        RecordFault::Record => format!(
            "One or more records have been rejected due to {total} record errors in total, and only showing the \
             first three errors at most: {}",
            problems.iter().take(3).map(|p| p.message.as_str()).collect::<Vec<_>>().join("; "),
        ),
    })]
    InvalidRecords {
        /// What kind of fault.
        fault: RecordFault,
        /// How many records have it.
        total: usize,
        /// The first of them.
        problems: Arc<[RecordProblem]>,
    },
    /// A gap in the sequence of an idempotent producer, or a repeat older than the five remembered batches.
    #[error("producer {producer_id} epoch {epoch}: sequence {got} does not follow, expected {expected}")]
    OutOfOrderSequence {
        /// Producer id.
        producer_id: i64,
        /// Producer epoch of the batch.
        epoch: i16,
        /// The sequence number that would have been right.
        expected: i32,
        /// The batch's base sequence.
        got: i32,
    },
    /// A newer instance of the same producer has written: this one is fenced.
    #[error("producer {producer_id}: epoch {epoch} is fenced by epoch {current}")]
    InvalidProducerEpoch {
        /// Producer id.
        producer_id: i64,
        /// Epoch of the batch or marker.
        epoch: i16,
        /// Epoch known to this log.
        current: i16,
    },
    /// A non-transactional batch of a producer that has an open transaction here.
    #[error(
        "producer {producer_id} has a transaction open since offset {first_offset} and wrote outside of it"
    )]
    InvalidTxnState {
        /// Producer id.
        producer_id: i64,
        /// First offset of the open transaction.
        first_offset: i64,
    },
    /// A transaction marker of an old coordinator.
    #[error("producer {producer_id}: coordinator epoch {epoch} is fenced by {current}")]
    CoordinatorFenced {
        /// Producer id.
        producer_id: i64,
        /// Coordinator epoch of the marker.
        epoch: i32,
        /// Coordinator epoch known to this log.
        current: i32,
    },
    /// A setting that cannot work.
    #[error("invalid log setting {setting}: {reason}")]
    InvalidConfig {
        /// Field of [`crate::LogConfig`].
        setting: &'static str,
        /// Why.
        reason: String,
    },
    /// The log was closed.
    #[error("log {} is closed", dir.display())]
    Closed {
        /// The partition's folder.
        dir: PathBuf,
    },
}

impl LogError {
    /// Wraps an I/O error with what was tried on which path; a full disk becomes [`LogError::StorageFull`].
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> LogError {
        let full = matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        );
        let (path, source) = (path.to_path_buf(), Arc::new(source));
        if full { LogError::StorageFull { path, source } } else { LogError::Io { action, path, source } }
    }
}
