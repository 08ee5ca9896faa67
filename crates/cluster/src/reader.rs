//! Reading partitions, and owning them.

use crate::{ClusterError, GroupMember, Records, TopicPartition};
use std::time::Duration;

/// Which records a reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// Only records outside transactions and of committed ones, below the last stable offset.
    #[default]
    ReadCommitted,
    /// All durable records, those of open and aborted transactions too.
    ReadUncommitted,
}

/// How a reader reads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReaderConfig {
    /// Which records it sees.
    pub isolation: Isolation,
    /// The client's name, for the cluster's own logs and metrics.
    pub client_id: String,
}

/// Reads partitions that it is told to. Not a group member: offsets are the caller's.
pub trait Reader: Send {
    /// Adds a partition, to be read from `offset` on (0 or more; see [`crate::Cluster::offset`] for others). A partition
    /// that is there already is moved.
    fn assign(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), ClusterError>;

    /// Takes a partition away; its records that were fetched ahead are dropped.
    fn unassign(&mut self, partition: &TopicPartition);

    /// The next records of one partition: those that follow what `poll` gave last, at most about `max_bytes` of them (at
    /// least one). Partitions that have records take turns. Waits up to `wait` while there are none, then gives `None`.
    /// With records that are not shown (control, aborted), gives an empty [`Records`] whose `next_offset` is past them, so that a
    /// caller that waits for an end offset always gets there.
    ///
    /// # Errors
    /// [`ClusterError::OffsetOutOfRange`] where the position was trimmed away: the caller seeks and calls again.
    fn poll(&mut self, max_bytes: usize, wait: Duration) -> Result<Option<Records>, ClusterError>;

    /// Moves a partition's position; records that were fetched ahead are dropped.
    fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), ClusterError>;

    /// `poll` gives no records of these until `resume`. The position stays.
    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), ClusterError>;

    /// Ends a pause.
    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), ClusterError>;

    /// The offset of the next record that `poll` would give (the last `next_offset`); `None` where not assigned.
    fn position(&self, partition: &TopicPartition) -> Option<i64>;
}

/// Which group to join for which topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseConfig {
    /// The group's id.
    pub group: String,
    /// The topics whose partitions are shared out among the members.
    pub topics: Vec<String>,
    /// A member that is silent for so long loses its partitions. Kafka allows 6 s to 30 min by default.
    pub session_timeout: Duration,
    /// The client's name.
    pub client_id: String,
}

/// What happened to a member's partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseEvent {
    /// These are owned from now on; commit with `member`.
    Assigned {
        /// All partitions that are owned now.
        partitions: Vec<TopicPartition>,
        /// Who owns them, for [`crate::Writer::commit`].
        member: GroupMember,
    },
    /// These are to be given up: commit what was read of them, then call `next`, which hands them over.
    Revoked {
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
}

/// A member of a consumer group, which owns partitions for as long as it lives. Heartbeats run on their own.
pub trait Lease: Send {
    /// The next change, or `None` after `wait` without one.
    ///
    /// # Errors
    /// [`ClusterError::Fenced`] when the group has given the partitions away (a pause longer than the session time-out).
    fn next(&mut self, wait: Duration) -> Result<Option<LeaseEvent>, ClusterError>;
}
