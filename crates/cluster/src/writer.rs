//! Writing records, alone or in transactions with the offsets that were read.

use crate::{ClusterError, CommitError, RecordsBuilder, TopicPartition};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How a writer writes. Writers are always idempotent and wait for all replicas.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriterConfig {
    /// With an id, all records belong to transactions; without, each `append` stands for itself.
    pub transactional_id: Option<String>,
    /// After so long an open transaction is aborted by the cluster. Zero takes one minute.
    pub transaction_timeout: Duration,
    /// The client's name.
    pub client_id: String,
}

/// The group and the member under which offsets are committed (KIP-447).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// The group's id.
    pub group: String,
    /// The member and its generation, as a lease gave them; `None` commits for a group without members.
    pub member: Option<(String, i32)>,
}

impl GroupMember {
    /// A group that nobody joins: its offsets are only a place to keep them.
    pub fn offsets_only(group: impl Into<String>) -> Self {
        Self { group: group.into(), member: None }
    }
}

/// Where the records of one `append` stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The offset of the first record.
    pub base_offset: i64,
    /// The offset of the last record.
    pub last_offset: i64,
}

/// The answer to one `append`, to be waited for.
#[derive(Debug)]
pub enum Ack {
    /// Known already.
    Ready(Result<Written, ClusterError>),
    /// To come.
    Pending(Receiver<Result<Written, ClusterError>>),
}

impl Ack {
    /// Waits for the answer, at most `wait`.
    ///
    /// # Errors
    /// What the cluster said, or [`ClusterError::Retriable`] when it said nothing in time.
    pub fn wait(self, wait: Duration) -> Result<Written, ClusterError> {
        match self {
            Ack::Ready(result) => result,
            Ack::Pending(receiver) => receiver.recv_timeout(wait).unwrap_or_else(|e| {
                Err(ClusterError::Retriable {
                    what: "append".into(),
                    reason: match e {
                        RecvTimeoutError::Timeout => format!("not acknowledged within {wait:?}"),
                        RecvTimeoutError::Disconnected => "the writer was closed".into(),
                    },
                })
            }),
        }
    }
}

/// Writes records. A transactional writer begins a transaction at the first `append` (or `commit` with offsets) after open,
/// `commit` or `abort`.
pub trait Writer: Send {
    /// Writes the records to the partition, after all that this writer has appended there before. May block while too much is
    /// on its way (back-pressure). One answer for all of them: outside a transaction they are durable by then; inside, their
    /// offsets are known and `commit` makes them durable and visible.
    ///
    /// # Errors
    /// [`ClusterError::UnknownTopic`] (a topic is never created by writing), [`ClusterError::Fenced`].
    fn append(&mut self, partition: &TopicPartition, records: RecordsBuilder) -> Result<Ack, ClusterError>;

    /// Waits until all that was appended is acknowledged.
    fn flush(&mut self, wait: Duration) -> Result<(), ClusterError>;

    /// Commits the transaction: its records and `offsets` (the next offset to read of each partition, for `member`'s group)
    /// become visible together or not at all, by the time this returns (embedded) or a moment later (a real cluster decides
    /// first and then writes its markers; [`crate::OffsetSpec::Stable`] tells). A commit with neither is nothing. Without a transactional id it flushes, and
    /// `offsets` must be empty.
    ///
    /// # Errors
    /// Each [`CommitError`] says what to do.
    fn commit(
        &mut self,
        offsets: &[(TopicPartition, i64)],
        member: Option<&GroupMember>,
    ) -> Result<(), CommitError>;

    /// Aborts the open transaction, if any: none of its records or offsets is ever visible to a read_committed reader.
    fn abort(&mut self) -> Result<(), ClusterError>;
}
