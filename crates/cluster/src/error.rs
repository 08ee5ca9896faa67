//! What can go wrong, in the terms of the trait; homes map their own errors to these.

use crate::TopicPartition;

/// A call on a cluster failed.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ClusterError {
    /// No such topic, or no such partition of it.
    #[error("topic {0} does not exist")]
    UnknownTopic(String),
    /// Create of a topic that is there.
    #[error("topic {0} already exists")]
    TopicExists(String),
    /// The name or the number of partitions is not allowed.
    #[error("topic {name}: {reason}")]
    InvalidTopic {
        /// The topic.
        name: String,
        /// Which rule it breaks.
        reason: String,
    },
    /// A config key or value is not allowed.
    #[error("config {key}: {reason}")]
    InvalidConfig {
        /// The config's key.
        key: String,
        /// Which rule it breaks.
        reason: String,
    },
    /// A reader stands before the log start offset or after the end.
    #[error("{partition}: offset {offset} is out of range {start}..{end}")]
    OffsetOutOfRange {
        /// Where.
        partition: TopicPartition,
        /// The offset asked for.
        offset: i64,
        /// The log start offset, -1 where the cluster did not say.
        start: i64,
        /// The high watermark, -1 where the cluster did not say.
        end: i64,
    },
    /// A newer writer or member with the same id is at work; this one must stop.
    #[error("fenced: {0}")]
    Fenced(String),
    /// It may work when tried again: a time-out, a server that is away.
    #[error("{what}: {reason} (may work when tried again)")]
    Retriable {
        /// What was tried.
        what: String,
        /// Why it failed.
        reason: String,
    },
    /// It will not work when tried again.
    #[error("{what}: {reason}")]
    Fatal {
        /// What was tried.
        what: String,
        /// Why it failed.
        reason: String,
    },
}

/// A commit failed; what the caller must do stands with each.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum CommitError {
    /// A newer writer or group member has taken over: stop, drop all state.
    #[error("fenced by a newer writer or member: {0}")]
    Fenced(String),
    /// The transaction was aborted, nothing of it is visible: restore the state of the last commit and go on from there.
    #[error("the transaction was aborted: {0}")]
    Aborted(String),
    /// It is not known yet whether the transaction was committed: call `commit` again with the same arguments.
    #[error("commit not answered, try again: {0}")]
    Retriable(String),
    /// The writer cannot be used any more: open a new one (which settles the open transaction) and restore.
    #[error("commit failed: {0}")]
    Fatal(String),
}
