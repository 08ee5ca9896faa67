//! The broker's error codes in the terms of the trait.

use bd_broker::{ResponseError as E, code_of};
use bd_cluster::{ClusterError, CommitError, TopicPartition};
use bd_log::LogError;

/// Whether a newer writer or member has taken over.
fn is_fencing(code: E) -> bool {
    matches!(
        code,
        E::ProducerFenced
            | E::InvalidProducerEpoch
            | E::InvalidProducerIdMapping
            | E::FencedInstanceId
            | E::IllegalGeneration
            | E::UnknownMemberId
            | E::TransactionCoordinatorFenced
    )
}

/// The broker's answer to `what`.
pub(crate) fn refused(what: &str, code: E) -> ClusterError {
    let (what, reason) = (what.to_owned(), code.to_string());
    if is_fencing(code) {
        ClusterError::Fenced(format!("{what}: {reason}"))
    } else if code.is_retriable() || code == E::ConcurrentTransactions || code == E::RebalanceInProgress {
        ClusterError::Retriable { what, reason }
    } else {
        ClusterError::Fatal { what, reason }
    }
}

/// A failure of a partition's log.
pub(crate) fn log_failed(what: &str, at: &TopicPartition, error: &LogError) -> ClusterError {
    match error {
        LogError::OffsetOutOfRange { offset, start, end } => ClusterError::OffsetOutOfRange {
            partition: at.clone(),
            offset: *offset,
            start: *start,
            end: *end,
        },
        LogError::Closed { .. } => ClusterError::UnknownTopic(at.topic.to_string()),
        error if is_fencing(code_of(error)) => ClusterError::Fenced(format!("{what} {at}: {error}")),
        error => ClusterError::Fatal { what: format!("{what} {at}"), reason: error.to_string() },
    }
}

/// What a failed step of a commit means for its caller.
pub(crate) fn commit_failed(what: &str, code: E) -> CommitError {
    let reason = format!("{what}: {code}");
    if is_fencing(code) { CommitError::Fenced(reason) } else { CommitError::Fatal(reason) }
}
