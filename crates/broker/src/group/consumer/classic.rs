//! Members of the classic protocol in a group of the consumer protocol, while an application moves from one to the other.
//!
//! To such a member the group looks like a classic one whose leader is somebody else: it joins at once, syncs to get what it may
//! own now, and is told to rejoin by its heartbeats whenever it has to give something up or may have more.

use super::super::member::{JoinRequest, JoinResponse, MemberRef, Millis, SyncRequest, SyncResponse};
use super::super::protocol::{self, CONSUMER, Subscription};
use super::super::state::{Effects, Group};
use super::group::{ConsumerGroup, current};
use super::heartbeat::Context;
use super::member::{Assignment, ClassicFacet, ConsumerMember, MemberState};
use super::subscription::Catalog;
use crate::store::consumer_records::ConsumerRecord;
use bytes::Bytes;
use kafka_protocol::ResponseError as E;
use std::collections::BTreeSet;
use uuid::Uuid;

impl ConsumerGroup {
    /// A classic member joins; it is answered at once.
    pub(crate) fn join_classic(
        &mut self,
        context: &Context<'_>,
        request: JoinRequest,
        new_id: impl FnOnce(&str) -> String,
        out: &mut Vec<ConsumerRecord>,
    ) -> JoinResponse {
        let failed = |error| JoinResponse::failed(&request.member_id, error);
        if self.members.len() >= context.max_size && !self.members.contains_key(&request.member_id) {
            return JoinResponse::failed("", E::GroupMaxSizeReached);
        }
        let subscription = match request.protocols.first().map(|(_, m)| protocol::subscription(m)) {
            Some(Ok(subscription)) if self.fits(&request) => subscription,
            _ => return failed(E::InconsistentGroupProtocol),
        };
        let unknown = request.member_id.is_empty();
        if unknown && request.instance_id.is_none() && request.require_known_member_id {
            return JoinResponse::failed(&new_id(&request.client_id), E::MemberIdRequired);
        }
        let id = match unknown {
            true => new_id(request.instance_id.as_deref().unwrap_or(&request.client_id)),
            false => request.member_id.clone(),
        };
        let before = match self.before_join(&id, &request, out) {
            Ok(member) => member,
            Err(error) => return failed(error),
        };
        let owned = by_id(&subscription, context.topics);
        let member = self.joined_classic(context, id, before, request, subscription, &owned, out);
        JoinResponse {
            error: None,
            generation: member.epoch,
            protocol_type: Some(CONSUMER.to_owned()),
            protocol: member.about.classic.and_then(|c| c.protocols.into_iter().next()).map(|(name, _)| name),
            leader: String::new(),
            member_id: member.id,
            members: Vec::new(),
            skip_assignment: false,
        }
    }

    /// Whether all classic members support one of the protocols.
    fn fits(&self, request: &JoinRequest) -> bool {
        let all_support = |name: &str| {
            self.members
                .values()
                .filter_map(|m| m.about.classic.as_ref())
                .all(|c| c.protocols.iter().any(|(n, _)| n == name))
        };
        request.protocol_type == CONSUMER && request.protocols.iter().any(|(name, _)| all_support(name))
    }

    fn before_join(
        &mut self,
        id: &str,
        request: &JoinRequest,
        out: &mut Vec<ConsumerRecord>,
    ) -> Result<ConsumerMember, E> {
        let new = || ConsumerMember { id: id.to_owned(), ..ConsumerMember::default() };
        let Some(instance) = request.instance_id.as_deref() else {
            return Ok(self.members.get(id).cloned().unwrap_or_else(new));
        };
        match self.statics.get(instance).cloned() {
            Some(old) if request.member_id.is_empty() => Ok(self.replace(&old, id, out)),
            Some(old) if old != request.member_id => Err(E::FencedInstanceId),
            Some(old) => self.members.get(&old).cloned().ok_or(E::UnknownMemberId),
            None if request.member_id.is_empty() => Ok(new()),
            None => Err(E::UnknownMemberId),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all of it is one request")]
    fn joined_classic(
        &mut self,
        context: &Context<'_>,
        id: String,
        mut member: ConsumerMember,
        request: JoinRequest,
        subscription: Subscription,
        owned: &Assignment,
        out: &mut Vec<ConsumerRecord>,
    ) -> ConsumerMember {
        let before = member.about.clone();
        let is_new = !self.members.contains_key(&id);
        let bump = is_new && member.epoch == 0 && member.assigned.is_empty();
        member.about.instance_id = request.instance_id.or(member.about.instance_id);
        member.about.rack_id = subscription.rack_id.or(member.about.rack_id);
        member.about.client_id = request.client_id;
        member.about.client_host = request.client_host;
        member.about.names = subscription.topics;
        member.about.rebalance_timeout_ms = request.rebalance_timeout_ms;
        member.about.classic = Some(ClassicFacet {
            session_timeout_ms: request.session_timeout_ms,
            protocols: request.protocols,
        });
        if is_new || member.about != before {
            out.push(ConsumerRecord::Member(id.clone(), Some(member.about.clone())));
        }
        member.session_deadline = context.now + Millis::from(request.session_timeout_ms);
        let bump = bump || member.about.names != before.names;
        if let Ok(next) = self.advance(context, member.clone(), bump, Some(owned), out)
            && next != member
        {
            out.push(current(&next));
            member = next;
        }
        // It is to sync within the rebalance time-out.
        member.rebalance_deadline =
            Some(context.now + Millis::from(member.about.rebalance_timeout_ms.max(0)));
        self.put(member.clone());
        member
    }

    fn classic_member(&mut self, who: MemberRef<'_>) -> Result<&mut ConsumerMember, E> {
        let id = match who.instance_id {
            None => who.member_id.to_owned(),
            Some(instance) => match self.statics.get(instance) {
                None => return Err(E::UnknownMemberId),
                Some(id) if id != who.member_id && !who.member_id.is_empty() => {
                    return Err(E::FencedInstanceId);
                }
                Some(id) => id.clone(),
            },
        };
        self.members.get_mut(&id).filter(|m| m.about.classic.is_some()).ok_or(E::UnknownMemberId)
    }

    /// A classic member asks for its assignment.
    pub(crate) fn sync_classic(
        &mut self,
        now: Millis,
        request: &SyncRequest,
        name: &dyn Fn(&Uuid) -> Option<String>,
    ) -> SyncResponse {
        let who = MemberRef { member_id: &request.member_id, instance_id: request.instance_id.as_deref() };
        let epoch = self.epoch;
        let member = match self.classic_member(who) {
            Ok(member) => member,
            Err(error) => return SyncResponse::failed(error),
        };
        let Some(classic) = &member.about.classic else { return SyncResponse::failed(E::UnknownMemberId) };
        let Some((first, metadata)) = classic.protocols.first() else {
            return SyncResponse::failed(E::UnknownMemberId);
        };
        let differs = |asked: &Option<String>, is: &str| asked.as_deref().is_some_and(|a| a != is);
        if member.epoch != request.generation {
            return SyncResponse::failed(E::IllegalGeneration);
        }
        if differs(&request.protocol_type, CONSUMER) || differs(&request.protocol, first) {
            return SyncResponse::failed(E::InconsistentGroupProtocol);
        }
        if epoch > member.epoch && member.state != MemberState::UnrevokedPartitions {
            return SyncResponse::failed(E::RebalanceInProgress);
        }
        let response = SyncResponse {
            error: None,
            protocol_type: Some(CONSUMER.to_owned()),
            protocol: Some(first.clone()),
            assignment: protocol::assignment(protocol::version(metadata), &member.assigned, name),
        };
        member.session_deadline = now + Millis::from(classic.session_timeout_ms);
        member.rebalance_deadline = None;
        response
    }

    /// A classic member is alive. `Err` says what it must do.
    pub(crate) fn heartbeat_classic(
        &mut self,
        now: Millis,
        who: MemberRef<'_>,
        generation: i32,
    ) -> Result<(), E> {
        let epoch = self.epoch;
        let member = self.classic_member(who)?;
        if member.epoch != generation {
            return Err(E::IllegalGeneration);
        }
        let session = member.about.classic.as_ref().map_or(0, |c| c.session_timeout_ms);
        member.session_deadline = now + Millis::from(session);
        let id = member.id.clone();
        let rejoins = match member.state {
            _ if member.epoch < epoch => true,
            MemberState::UnrevokedPartitions => true,
            MemberState::UnreleasedPartitions => !self.waits_for_others(&id),
            _ => false,
        };
        if !rejoins {
            return Ok(());
        }
        if let Some(member) = self.members.get_mut(&id) {
            let until = now + Millis::from(member.about.rebalance_timeout_ms.max(0));
            member.rebalance_deadline.get_or_insert(until);
        }
        Err(E::RebalanceInProgress)
    }

    /// Whether a partition that the member should have is still held by another.
    fn waits_for_others(&self, id: &str) -> bool {
        let (Some(member), Some(target)) = (self.members.get(id), self.targets.get(id)) else { return false };
        super::member::places(target).any(|(topic, partition)| {
            let has = member.assigned.get(&topic).is_some_and(|p| p.contains(&partition));
            !has && !self.is_free(&topic, partition)
        })
    }

    /// A classic member leaves.
    pub(crate) fn leave_classic(
        &mut self,
        topics: &dyn Catalog,
        who: MemberRef<'_>,
        out: &mut Vec<ConsumerRecord>,
    ) -> Result<(), E> {
        let id = self.classic_member(who)?.id.clone();
        self.fence(topics, &id, out);
        Ok(())
    }

    /// Whether only classic members are left, so that the group can be a classic one again.
    pub(crate) fn is_all_classic(&self) -> bool {
        !self.members.is_empty() && self.members.values().all(|m| m.about.classic.is_some())
    }

    /// A classic group of consumers becomes one of the consumer protocol with the same members. `None` where what they say cannot
    /// be understood.
    pub(crate) fn from_classic<J, S>(
        classic: &Group<J, S>,
        topics: &dyn Catalog,
        now: Millis,
    ) -> Option<Self> {
        let mut group =
            Self { epoch: classic.generation, target_epoch: classic.generation, ..Self::default() };
        for member in classic.members.values() {
            let chosen = classic.protocol.as_deref().map(|p| member.metadata(p)).filter(|m| !m.is_empty());
            let metadata = chosen.or_else(|| member.protocols.first().map(|(_, m)| m.clone()))?;
            let subscription = protocol::subscription(&metadata).ok()?;
            let assigned = match member.assignment.is_empty() {
                true => Assignment::new(),
                false => protocol::assigned(&member.assignment, topics).ok()?,
            };
            let mut next = ConsumerMember {
                id: member.id.clone(),
                epoch: classic.generation,
                previous_epoch: classic.generation,
                assigned: assigned.clone(),
                session_deadline: now + Millis::from(member.session_timeout_ms),
                ..ConsumerMember::default()
            };
            next.about.instance_id.clone_from(&member.instance_id);
            next.about.rack_id = subscription.rack_id;
            next.about.client_id.clone_from(&member.client_id);
            next.about.client_host.clone_from(&member.client_host);
            next.about.names = subscription.topics;
            next.about.rebalance_timeout_ms = member.rebalance_timeout_ms;
            next.about.classic = Some(ClassicFacet {
                session_timeout_ms: member.session_timeout_ms,
                protocols: member.protocols.clone(),
            });
            group.targets.insert(next.id.clone(), assigned);
            group.put(next);
        }
        Some(group)
    }

    /// The classic group with the same members, which is to rebalance.
    pub(crate) fn to_classic<J, S>(
        &self,
        initial_delay_ms: Millis,
        now: Millis,
        name: &dyn Fn(&Uuid) -> Option<String>,
    ) -> (Group<J, S>, Effects<J, S>) {
        let mut group = Group::new(initial_delay_ms);
        let mut common: Option<BTreeSet<&String>> = None;
        for member in self.members.values() {
            let Some(classic) = &member.about.classic else { continue };
            let names: BTreeSet<&String> = classic.protocols.iter().map(|(n, _)| n).collect();
            common = Some(common.map_or(names.clone(), |c| c.intersection(&names).copied().collect()));
            let version = classic.protocols.first().map_or(0, |(_, m)| protocol::version(m));
            let target = self.targets.get(&member.id);
            let assignment = target.map_or(Bytes::new(), |t| protocol::assignment(version, t, name));
            group.restore_member(
                super::super::member::Member {
                    id: member.id.clone(),
                    instance_id: member.about.instance_id.clone(),
                    client_id: member.about.client_id.clone(),
                    client_host: member.about.client_host.clone(),
                    session_timeout_ms: classic.session_timeout_ms,
                    rebalance_timeout_ms: member.about.rebalance_timeout_ms,
                    protocols: classic.protocols.clone(),
                    assignment,
                    deadline: 0,
                    joining: None,
                    syncing: None,
                },
                now,
            );
        }
        // That of the members: the group's own grew when the last of the others left.
        group.generation = self.target_epoch;
        group.protocol_type = Some(CONSUMER.to_owned());
        group.protocol = common.and_then(|c| c.into_iter().next().cloned());
        group.leader = self.members.keys().next().cloned();
        group.state = super::super::state::State::Stable;
        let mut effects = Vec::new();
        group.prepare(now, &mut effects);
        (group, effects)
    }
}

/// The owned partitions of a subscription, by topic id.
fn by_id(subscription: &Subscription, topics: &dyn Catalog) -> Assignment {
    let mut owned = Assignment::new();
    for (name, partitions) in &subscription.owned {
        if let Some((id, _)) = topics.topic(name) {
            owned.entry(id).or_default().extend(partitions);
        }
    }
    owned
}
