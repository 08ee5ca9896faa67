//! A group of either protocol, with its offsets.

use super::consumer::{ConsumerGroup, GroupError, Phase};
use super::coordinator::{Committer, JoinReply, SyncReply};
use super::offsets::Offsets;
use super::protocol;
use super::state::{Group, State};
use crate::wait::now_ms;
use kafka_protocol::ResponseError as E;

pub(super) type Machine = Group<JoinReply, SyncReply>;

/// The protocol of a group, and its state.
pub(super) enum Kind {
    /// Also groups that only keep offsets.
    Classic(Box<Machine>),
    /// KIP-848.
    Consumer(Box<ConsumerGroup>),
}

/// See the module's documentation.
pub(super) struct Slot {
    pub kind: Kind,
    pub offsets: Offsets,
    /// Since when it has no members, ms since epoch.
    pub empty_since: i64,
    /// Commits that are appended and not yet durable, so not yet in `offsets`.
    pub in_flight: u32,
    /// Where the group's last record ends in its partition; 0 where it has written none since the start.
    pub stored_end: i64,
    /// Deleted; who holds on to it must look the group up again.
    pub dead: bool,
}

impl Slot {
    pub(super) fn new(initial_rebalance_delay_ms: i64) -> Self {
        Self {
            kind: Kind::Classic(Box::new(Group::new(initial_rebalance_delay_ms))),
            offsets: Offsets::default(),
            empty_since: now_ms(),
            in_flight: 0,
            stored_end: 0,
            dead: false,
        }
    }

    pub(super) fn has_members(&self) -> bool {
        match &self.kind {
            Kind::Classic(group) => !matches!(group.state, State::Empty | State::Dead),
            Kind::Consumer(group) => group.phase() != Phase::Empty,
        }
    }

    /// Whether somebody was given a member id and is expected to join with it.
    pub(super) fn is_joined_soon(&self) -> bool {
        matches!(&self.kind, Kind::Classic(group) if !group.pending.is_empty())
    }

    /// Whether there is more to it than offsets.
    pub(super) fn is_stored(&self) -> bool {
        match &self.kind {
            Kind::Classic(group) => group.protocol_type.is_some(),
            Kind::Consumer(group) => group.epoch > 0,
        }
    }

    /// Whether a member subscribes to the topic, as far as that can be seen.
    pub(super) fn is_subscribed(&self, topic: &str) -> bool {
        match &self.kind {
            Kind::Consumer(group) => group.subscribed().contains(topic),
            Kind::Classic(group) => match protocol::subscribed(group) {
                Some(topics) => topics.contains(topic),
                None => group.protocol_type.as_deref() == Some(protocol::CONSUMER),
            },
        }
    }

    /// Whether these offsets may be committed (KIP-447 for transactional ones).
    pub(super) fn check_commit(
        &mut self,
        now: i64,
        committer: Committer<'_>,
        transactional: bool,
    ) -> Result<(), E> {
        if self.dead {
            return Err(E::CoordinatorNotAvailable);
        }
        let Committer { group: id, member, generation } = committer;
        match &mut self.kind {
            Kind::Classic(group) => group.check_commit(now, member, generation, transactional),
            Kind::Consumer(group) => {
                let checked = group.check_commit(id, member.member_id, generation).map_err(|e| e.code);
                match checked {
                    // TxnOffsetCommit does not know the newer code.
                    Err(E::StaleMemberEpoch) if transactional => Err(E::IllegalGeneration),
                    other => other,
                }
            }
        }
    }

    /// Whether offsets may be deleted one by one.
    pub(super) fn check_delete_offsets(&self) -> Result<(), E> {
        match &self.kind {
            _ if self.dead => Err(E::GroupIdNotFound),
            Kind::Classic(group)
                if self.has_members() && group.protocol_type.as_deref() != Some(protocol::CONSUMER) =>
            {
                Err(E::NonEmptyGroup)
            }
            _ => Ok(()),
        }
    }

    /// Whether a member may fetch offsets.
    pub(super) fn check_fetch(
        &self,
        id: &str,
        member_id: Option<&str>,
        epoch: i32,
    ) -> Result<(), GroupError> {
        match &self.kind {
            Kind::Consumer(group) if !self.dead => group.check_fetch(id, member_id, epoch),
            _ => Ok(()),
        }
    }

    /// Since when an offset committed at `committed_ms` counts as not used; `None`: it is in use.
    pub(super) fn unused_since(&self, topic: &str, committed_ms: i64) -> Option<i64> {
        match &self.kind {
            _ if self.is_subscribed(topic) => None,
            Kind::Consumer(_) => Some(committed_ms),
            Kind::Classic(group) => match (&group.protocol_type, group.state) {
                (None, _) => Some(committed_ms),
                (Some(_), State::Empty) => Some(self.empty_since.max(committed_ms)),
                (Some(kind), State::Stable) if kind == protocol::CONSUMER => Some(committed_ms),
                _ => None,
            },
        }
    }
}
