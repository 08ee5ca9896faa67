//! The next step of one member from what it has to what it should have. See the module above for the states.

use super::member::{Assignment, ConsumerMember, GroupError, MemberState};
use kafka_protocol::ResponseError as E;
use std::collections::BTreeSet;
use uuid::Uuid;

/// What the step depends on.
pub(super) struct Step<'a> {
    /// The epoch of the target.
    pub epoch: i32,
    /// What the member should have.
    pub target: &'a Assignment,
    /// Whether nobody holds a partition.
    pub is_free: &'a dyn Fn(&Uuid, i32) -> bool,
    /// What the member says it owns; `None` where it did not say.
    pub owned: Option<&'a Assignment>,
}

impl Step<'_> {
    /// The member after the step.
    pub(super) fn take(&self, member: &ConsumerMember) -> Result<ConsumerMember, GroupError> {
        match member.state {
            MemberState::Stable if member.epoch == self.epoch => Ok(member.clone()),
            MemberState::Stable => Ok(self.next(member, member.epoch)),
            MemberState::UnrevokedPartitions if self.still_owns(&member.revoking) => Ok(member.clone()),
            MemberState::UnrevokedPartitions => Ok(self.next(member, member.epoch + 1)),
            MemberState::UnreleasedPartitions => Ok(self.next(member, member.epoch)),
            MemberState::Unknown if self.owned.is_some_and(|o| o.values().all(BTreeSet::is_empty)) => {
                Ok(self.next(member, self.epoch))
            }
            MemberState::Unknown => Err(GroupError::new(
                E::FencedMemberEpoch,
                "The consumer group member is in a unknown state. The member must abandon all its partitions \
                 and rejoin.",
            )),
        }
    }

    /// Whether the member may still own some of these.
    fn still_owns(&self, partitions: &Assignment) -> bool {
        let Some(owned) = self.owned else { return true };
        owned.iter().any(|(topic, owned)| partitions.get(topic).is_some_and(|p| !p.is_disjoint(owned)))
    }

    fn next(&self, member: &ConsumerMember, epoch: i32) -> ConsumerMember {
        let none = BTreeSet::new();
        let (mut kept, mut revoked, mut added) = (Assignment::new(), Assignment::new(), Assignment::new());
        let mut unreleased = false;
        let topics: BTreeSet<&Uuid> = self.target.keys().chain(member.assigned.keys()).collect();
        for topic in topics {
            let target = self.target.get(topic).unwrap_or(&none);
            let current = member.assigned.get(topic).unwrap_or(&none);
            let put = |to: &mut Assignment, partitions: BTreeSet<i32>| {
                if !partitions.is_empty() {
                    to.insert(*topic, partitions);
                }
            };
            put(&mut kept, current.intersection(target).copied().collect());
            put(&mut revoked, current.difference(target).copied().collect());
            let missing: BTreeSet<i32> = target.difference(current).copied().collect();
            let free: BTreeSet<i32> = missing.iter().copied().filter(|p| (self.is_free)(topic, *p)).collect();
            unreleased |= free.len() < missing.len();
            put(&mut added, free);
        }
        let mut next = member.clone();
        next.previous_epoch = member.epoch;
        if !revoked.is_empty() && self.still_owns(&revoked) {
            // It stays at its epoch until it says that it has given them up.
            next.state = MemberState::UnrevokedPartitions;
            next.epoch = epoch;
            next.assigned = kept;
            next.revoking = revoked;
            return next;
        }
        for (topic, partitions) in added {
            kept.entry(topic).or_default().extend(partitions);
        }
        next.state = if unreleased { MemberState::UnreleasedPartitions } else { MemberState::Stable };
        next.epoch = self.epoch;
        next.assigned = kept;
        next.revoking = Assignment::new();
        next
    }
}
