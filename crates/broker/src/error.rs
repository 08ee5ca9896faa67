//! What can go wrong outside a request, and how failures of the log become Kafka's error codes.

use bd_log::batch::BatchError;
use bd_log::{LogError, RecordFault};
use kafka_protocol::ResponseError as E;
use std::path::PathBuf;

/// A broker cannot be opened or closed.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// A partition's log.
    #[error("partition {topic}-{partition}: {source}")]
    Log {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What the log says.
        source: LogError,
    },
    /// A file of metadata.
    #[error("{what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file of metadata cannot be read. It is written whole or not at all, so this is not from a crash: restore it from a
    /// backup.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A request of the start itself failed (an internal topic could not be made, a transaction not completed).
    #[error("{what}: {code}")]
    Refused {
        /// What was tried.
        what: String,
        /// Why.
        code: E,
    },
    /// A thread cannot be started.
    #[error("cannot start thread: {0}")]
    Thread(std::io::Error),
}

/// The error code by which clients know a failure of the log.
pub fn code_of(error: &LogError) -> E {
    match error {
        LogError::OffsetOutOfRange { .. } => E::OffsetOutOfRange,
        LogError::InvalidBatch(BatchError::Magic(_)) => E::UnsupportedForMessageFormat,
        LogError::InvalidBatch(BatchError::Field { .. }) => E::InvalidRecord,
        LogError::InvalidBatch(_) => E::CorruptMessage,
        LogError::InvalidRecords { fault: RecordFault::Timestamp, .. } => E::InvalidTimestamp,
        LogError::InvalidRecords { fault: RecordFault::Record, .. } => E::InvalidRecord,
        LogError::TooLarge { .. } => E::MessageTooLarge,
        LogError::OutOfOrderSequence { .. } => E::OutOfOrderSequenceNumber,
        LogError::InvalidProducerEpoch { .. } => E::InvalidProducerEpoch,
        LogError::InvalidTxnState { .. } => E::InvalidTxnState,
        LogError::CoordinatorFenced { .. } => E::TransactionCoordinatorFenced,
        LogError::InvalidConfig { .. } => E::InvalidConfig,
        LogError::Closed { .. } => E::NotLeaderOrFollower,
        _ => E::KafkaStorageError,
    }
}

/// 0 for none, else the error's number.
pub(crate) fn number(error: Option<E>) -> i16 {
    error.map_or(0, |e| e.code())
}
