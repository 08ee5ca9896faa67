//! The state of one group: its members, what they should have, what they hold.

use super::super::member::Millis;
use super::member::{Assignment, ConsumerMember, GroupError, MemberState};
use super::subscription::Catalog;
use crate::store::consumer_records::{ConsumerRecord, CurrentValue};
use kafka_protocol::ResponseError as E;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// Where a group stands; the names are Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No members.
    Empty,
    /// A new target is to be computed, with the next heartbeat.
    Assigning,
    /// Some members do not have their target yet.
    Reconciling,
    /// All members have their target.
    Stable,
}

impl Phase {
    /// The name that ListGroups and ConsumerGroupDescribe show.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Phase::Empty => "Empty",
            Phase::Assigning => "Assigning",
            Phase::Reconciling => "Reconciling",
            Phase::Stable => "Stable",
        }
    }
}

/// One group. See the module above.
#[derive(Debug, Default)]
pub(crate) struct ConsumerGroup {
    /// Counts the changes of subscriptions and of subscribed topics.
    pub epoch: i32,
    /// What the subscribed topics looked like at `epoch`.
    pub metadata_hash: i64,
    /// The group epoch for which `targets` was computed.
    pub target_epoch: i32,
    /// By id.
    pub members: BTreeMap<String, ConsumerMember>,
    /// What members should have, by id.
    pub targets: HashMap<String, Assignment>,
    /// What regular expressions of members stand for.
    pub(super) regexes: BTreeMap<String, BTreeSet<String>>,
    /// Member ids by static id.
    pub(super) statics: HashMap<String, String>,
    /// How many members hold a partition: none or one.
    pub(super) held: HashMap<(Uuid, i32), u32>,
    /// The version of the topics that `metadata_hash` and `regexes` are of.
    pub(super) seen: Option<u64>,
}

impl ConsumerGroup {
    pub(crate) fn phase(&self) -> Phase {
        if self.members.is_empty() {
            Phase::Empty
        } else if self.epoch > self.target_epoch {
            Phase::Assigning
        } else if self.members.values().any(|m| !m.is_reconciled_to(self.target_epoch)) {
            Phase::Reconciling
        } else {
            Phase::Stable
        }
    }

    /// The topics that any member subscribes to.
    pub(crate) fn subscribed(&self) -> BTreeSet<&str> {
        self.members.values().flat_map(|m| self.topics_of(m)).collect()
    }

    /// The topics that a member subscribes to.
    pub(super) fn topics_of<'a>(&'a self, member: &'a ConsumerMember) -> impl Iterator<Item = &'a str> {
        let matched = member.about.regex.as_ref().and_then(|r| self.regexes.get(r)).into_iter().flatten();
        member.about.names.iter().chain(matched).map(String::as_str)
    }

    /// The assignor that most members ask for; `uniform` where none does.
    pub(crate) fn assignor(&self) -> &str {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for wanted in self.members.values().filter_map(|m| m.about.assignor.as_deref()) {
            *votes.entry(wanted).or_default() += 1;
        }
        let most = votes.into_iter().max_by_key(|(_, n)| *n);
        most.map_or(super::assignor::ASSIGNORS[0], |(name, _)| name)
    }

    pub(super) fn is_free(&self, topic: &Uuid, partition: i32) -> bool {
        !self.held.contains_key(&(*topic, partition))
    }

    /// Adds a member, or replaces the one of its id.
    pub(super) fn put(&mut self, member: ConsumerMember) {
        self.take(&member.id.clone());
        if let Some(instance) = &member.about.instance_id {
            self.statics.insert(instance.clone(), member.id.clone());
        }
        for place in member.held() {
            *self.held.entry(place).or_default() += 1;
        }
        self.members.insert(member.id.clone(), member);
    }

    pub(super) fn take(&mut self, id: &str) -> Option<ConsumerMember> {
        let member = self.members.remove(id)?;
        for place in member.held() {
            if let Some(n) = self.held.get_mut(&place) {
                *n -= 1;
                if *n == 0 {
                    self.held.remove(&place);
                }
            }
        }
        if let Some(instance) = &member.about.instance_id
            && self.statics.get(instance).is_some_and(|holder| holder == id)
        {
            self.statics.remove(instance);
        }
        Some(member)
    }

    /// A stored record is read back.
    pub(crate) fn replay(&mut self, record: ConsumerRecord) {
        fn member<'a>(group: &'a mut ConsumerGroup, id: &str) -> &'a mut ConsumerMember {
            group
                .members
                .entry(id.to_owned())
                .or_insert_with(|| ConsumerMember { id: id.to_owned(), ..ConsumerMember::default() })
        }
        match record {
            ConsumerRecord::Group(value) => {
                (self.epoch, self.metadata_hash) = value.unwrap_or_default();
            }
            ConsumerRecord::Member(id, Some(about)) => member(self, &id).about = about,
            ConsumerRecord::Member(id, None) => {
                self.members.remove(&id);
            }
            ConsumerRecord::TargetEpoch(epoch) => self.target_epoch = epoch.unwrap_or(0),
            ConsumerRecord::Target(id, Some(target)) => {
                self.targets.insert(id, target);
            }
            ConsumerRecord::Target(id, None) => {
                self.targets.remove(&id);
            }
            ConsumerRecord::Current(id, value) => {
                if value.is_some() || self.members.contains_key(&id) {
                    let current = value.unwrap_or_default();
                    let member = member(self, &id);
                    member.epoch = current.epoch;
                    member.previous_epoch = current.previous_epoch;
                    member.state = MemberState::from_number(current.state);
                    member.assigned = current.assigned;
                    member.revoking = current.revoking;
                }
            }
            ConsumerRecord::Regex(regex, Some(topics)) => {
                self.regexes.insert(regex, topics);
            }
            ConsumerRecord::Regex(regex, None) => {
                self.regexes.remove(&regex);
            }
            ConsumerRecord::Partitions => {}
        }
    }

    /// All records are read back: sessions start anew.
    pub(crate) fn loaded(&mut self, now: Millis, session_ms: Millis) {
        for mut member in std::mem::take(&mut self.members).into_values() {
            let session =
                member.about.classic.as_ref().map_or(session_ms, |c| Millis::from(c.session_timeout_ms));
            member.session_deadline = now + session;
            member.rebalance_deadline = revoke_deadline(&member, now);
            self.put(member);
        }
    }

    /// The records that make this group when they are read back.
    pub(crate) fn records(&self) -> Vec<ConsumerRecord> {
        let mut out = vec![ConsumerRecord::Group(Some((self.epoch, self.metadata_hash)))];
        for member in self.members.values() {
            out.push(ConsumerRecord::Member(member.id.clone(), Some(member.about.clone())));
        }
        for (regex, topics) in &self.regexes {
            out.push(ConsumerRecord::Regex(regex.clone(), Some(topics.clone())));
        }
        for (id, target) in &self.targets {
            out.push(ConsumerRecord::Target(id.clone(), Some(target.clone())));
        }
        out.push(ConsumerRecord::TargetEpoch(Some(self.target_epoch)));
        out.extend(self.members.values().map(current));
        out
    }

    /// The tombstones that delete the group.
    pub(crate) fn tombstones(&self) -> Vec<ConsumerRecord> {
        let ids = || self.members.keys().cloned();
        let mut out: Vec<_> = ids().map(|id| ConsumerRecord::Current(id, None)).collect();
        out.extend(self.targets.keys().cloned().map(|id| ConsumerRecord::Target(id, None)));
        out.push(ConsumerRecord::TargetEpoch(None));
        out.extend(ids().map(|id| ConsumerRecord::Member(id, None)));
        out.extend(self.regexes.keys().cloned().map(|r| ConsumerRecord::Regex(r, None)));
        out.push(ConsumerRecord::Group(None));
        out
    }

    /// When [`ConsumerGroup::tick`] has something to do next.
    pub(crate) fn next_deadline(&self) -> Option<Millis> {
        let deadlines = self.members.values();
        deadlines.map(|m| m.session_deadline.min(m.rebalance_deadline.unwrap_or(Millis::MAX))).min()
    }

    /// Whether a member may commit offsets at this epoch.
    pub(crate) fn check_commit(&self, group: &str, member_id: &str, epoch: i32) -> Result<(), GroupError> {
        // An administrator, or a client that assigns itself.
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        self.check_epoch(group, member_id, epoch)
    }

    /// Whether a member may fetch offsets at this epoch; without id and epoch anybody may.
    pub(crate) fn check_fetch(
        &self,
        group: &str,
        member_id: Option<&str>,
        epoch: i32,
    ) -> Result<(), GroupError> {
        match member_id {
            None if epoch < 0 => Ok(()),
            id => self.check_epoch(group, id.unwrap_or_default(), epoch),
        }
    }

    fn check_epoch(&self, group: &str, member_id: &str, epoch: i32) -> Result<(), GroupError> {
        let member = self.members.get(member_id).ok_or_else(|| unknown_member(group, member_id))?;
        if member.epoch == epoch {
            return Ok(());
        }
        if member.about.classic.is_some() {
            let message = format!(
                "The received generation id {epoch} does not match the expected member epoch {}.",
                member.epoch
            );
            return Err(GroupError::new(E::IllegalGeneration, message));
        }
        let message = format!(
            "The received member epoch {epoch} does not match the expected member epoch {}.",
            member.epoch
        );
        Err(GroupError::new(E::StaleMemberEpoch, message))
    }

    /// The number of partitions of each subscribed topic that exists, and the topics' ids by name.
    pub(super) fn topics<'a>(
        &'a self,
        catalog: &dyn Catalog,
    ) -> (BTreeMap<Uuid, i32>, HashMap<&'a str, Uuid>) {
        let (mut counts, mut ids) = (BTreeMap::new(), HashMap::new());
        for name in self.subscribed() {
            if let Some((id, partitions)) = catalog.topic(name) {
                counts.insert(id, partitions);
                ids.insert(name, id);
            }
        }
        (counts, ids)
    }

    /// Checks that no two members hold a partition (for tests).
    #[cfg(test)]
    pub(super) fn assert_no_partition_is_held_twice(&self) {
        let all: Vec<_> = self.members.values().flat_map(|m| m.held()).collect();
        let different: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(all.len(), different.len(), "held twice: {:?}", self.members);
        assert_eq!(all.len(), self.held.len());
        let targets = self.targets.values().flat_map(super::member::places).collect::<Vec<_>>();
        assert_eq!(targets.len(), targets.iter().collect::<std::collections::HashSet<_>>().len());
    }
}

/// The record of what a member has.
pub(super) fn current(member: &ConsumerMember) -> ConsumerRecord {
    let value = CurrentValue {
        epoch: member.epoch,
        previous_epoch: member.previous_epoch,
        state: member.state as i8,
        assigned: member.assigned.clone(),
        revoking: member.revoking.clone(),
    };
    ConsumerRecord::Current(member.id.clone(), Some(value))
}

pub(super) fn revoke_deadline(member: &ConsumerMember, now: Millis) -> Option<Millis> {
    let waits = member.state == MemberState::UnrevokedPartitions;
    waits.then(|| now + Millis::from(member.about.rebalance_timeout_ms.max(0)))
}

pub(super) fn unknown_member(group: &str, member_id: &str) -> GroupError {
    GroupError::new(E::UnknownMemberId, format!("Member {member_id} is not a member of group {group}."))
}
