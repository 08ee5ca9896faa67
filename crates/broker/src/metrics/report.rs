//! What can be seen of the broker's state at any time: logs, groups, transactions, compaction.

use crate::broker::Broker;
use crate::group::Committed;
use crate::partition::Partition;
use std::sync::Arc;

/// A topic's counters at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicSnapshot {
    /// Its name.
    pub topic: String,
    /// Its partitions.
    pub partitions: u64,
    /// Records appended since the start.
    pub messages_in: u64,
    /// Bytes of record batches appended since the start.
    pub bytes_in: u64,
    /// Bytes of record batches read by clients since the start.
    pub bytes_out: u64,
    /// Bytes of its logs.
    pub log_bytes: u64,
}

/// What there is of fetch sessions (KIP-227).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FetchSessionsSnapshot {
    /// Sessions.
    pub sessions: u64,
    /// Partitions in them.
    pub partitions: u64,
    /// Sessions that had to make room for others.
    pub evictions: u64,
}

/// A partition's log at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionSnapshot {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its index.
    pub partition: i32,
    /// First offset that can be read.
    pub start_offset: i64,
    /// Offset of the next record.
    pub end_offset: i64,
    /// Bytes of its segments.
    pub log_bytes: u64,
}

/// All logs together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogsSnapshot {
    /// Topics.
    pub topics: u64,
    /// Partitions.
    pub partitions: u64,
    /// Partitions with fewer replicas than `min.insync.replicas`: Produce with acks=all is refused.
    pub under_min_insync: u64,
    /// Partitions with just so many replicas as `min.insync.replicas`.
    pub at_min_insync: u64,
    /// Partitions that take no writes since a write or an fsync failed.
    pub offline: u64,
    /// Logs at rest: no file is open, nothing is in memory but offsets.
    pub at_rest: u64,
    /// Files that logs hold open.
    pub open_files: u64,
    /// Producer ids that logs know of; not of those at rest.
    pub producer_ids: u64,
    /// Partitions with a transaction open for longer than `transaction.max.timeout.ms` and five minutes.
    pub late_transactions: u64,
}

/// Groups of one protocol and state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupsSnapshot {
    /// `Classic` or `Consumer`.
    pub protocol: &'static str,
    /// As Kafka names it.
    pub state: &'static str,
    /// How many there are.
    pub groups: u64,
}

/// How far a group is in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LagSnapshot {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset committed.
    pub committed: i64,
    /// Offsets from there to the high watermark.
    pub lag: i64,
}

/// `ReplicaManager.PartitionsWithLateTransactionsCount` adds so much to the longest time-out.
const LATE_TRANSACTION_BUFFER_MS: i64 = 5 * 60_000;

impl Broker {
    /// What was counted of each topic, and how large it is; internal topics too.
    pub fn topic_snapshots(&self) -> Vec<TopicSnapshot> {
        let topics = self.topics().all();
        let each = topics.iter().map(|topic| {
            let mut sums = TopicSnapshot { topic: topic.name.to_string(), ..TopicSnapshot::default() };
            for partition in topic.partitions() {
                partition.own.add_to(&mut sums);
                sums.partitions += 1;
                sums.log_bytes += partition.log().size_bytes();
            }
            sums
        });
        each.collect()
    }

    /// All partitions' logs; internal topics' too.
    pub fn partition_snapshots(&self) -> Vec<PartitionSnapshot> {
        let partitions = self.topics().all().into_iter().flat_map(|topic| topic.partitions());
        let one = |partition: Arc<Partition>| PartitionSnapshot {
            topic: Arc::clone(&partition.topic),
            partition: partition.index,
            start_offset: partition.log().start_offset(),
            end_offset: partition.log().end_offset(),
            log_bytes: partition.log().size_bytes(),
        };
        partitions.map(one).collect()
    }

    /// All logs together.
    pub fn logs_snapshot(&self) -> LogsSnapshot {
        let open_files = bd_log::open_files() as u64;
        let mut sums = LogsSnapshot { open_files, ..LogsSnapshot::default() };
        let late = crate::wait::now_ms()
            - i64::from(self.config().transaction_max_timeout_ms)
            - LATE_TRANSACTION_BUFFER_MS;
        for topic in self.topics().all() {
            let partitions = topic.partitions();
            let count = partitions.len() as u64;
            sums.topics += 1;
            sums.partitions += count;
            match topic.min_insync_replicas() {
                1 => sums.at_min_insync += count,
                2.. => sums.under_min_insync += count,
                _ => {}
            }
            for partition in partitions {
                let log = partition.log();
                sums.offline += u64::from(log.is_poisoned());
                sums.at_rest += u64::from(log.is_at_rest());
                sums.producer_ids += log.known_producers() as u64;
                let is_late = |id| log.producer_state(id).is_some_and(|p| p.last_timestamp < late);
                let hangs = log.open_transactions().iter().any(|txn| is_late(txn.producer_id));
                sums.late_transactions += u64::from(hangs);
            }
        }
        sums
    }

    /// How many groups there are, by protocol and state.
    pub fn groups_snapshot(&self) -> Vec<GroupsSnapshot> {
        let mut sums: Vec<GroupsSnapshot> = Vec::new();
        for group in self.groups().list() {
            match sums.iter_mut().find(|s| s.protocol == group.kind && s.state == group.state) {
                Some(sum) => sum.groups += 1,
                None => {
                    sums.push(GroupsSnapshot { protocol: group.kind, state: group.state, groups: 1 });
                }
            }
        }
        sums.sort_by_key(|s| (s.protocol, s.state));
        sums
    }

    /// How far each group is in the partitions for which it has committed offsets and that there are.
    pub fn lag_snapshots(&self) -> Vec<LagSnapshot> {
        let lag = |(group, topic, partition, committed): (String, String, i32, Committed)| {
            let end = self.topics().partition(&topic, partition)?.log().high_watermark();
            let (committed, lag) = (committed.offset, (end - committed.offset).max(0));
            Some(LagSnapshot { group, topic, partition, committed, lag })
        };
        self.groups().all_committed().into_iter().filter_map(lag).collect()
    }

    /// What there is of fetch sessions now.
    pub fn fetch_sessions_snapshot(&self) -> FetchSessionsSnapshot {
        let (sessions, partitions, evictions) = self.fetch_sessions().counts();
        FetchSessionsSnapshot { sessions: sessions as u64, partitions: partitions as u64, evictions }
    }
}
