//! One consumer group as a state machine: requests and time go in, answers come out, nothing else happens.
//!
//! ```text
//!                 join                 all joined, or time is up            leader syncs
//!   Empty ───────────────▶ Preparing ──────────────────────────▶ Completing ────────────▶ Stable
//!     ▲                        ▲  ▲  │ nobody joined                  │ join, leave, expiry,      │
//!     └────────────────────────┼──┼──┘                                │ some did not sync in time │ join, leave, expiry
//!                              │  └───────────────────────────────────┘                           │
//!                              └──────────────────────────────────────────────────────────────────┘
//! ```
//! The rules and error codes are Kafka's classic group protocol (KIP-394: member id required, KIP-345: static members).

use super::member::{
    JoinRequest, JoinResponse, JoinedMember, Member, MemberRef, Millis, SyncRequest, SyncResponse,
};
use bytes::Bytes;
use indexmap::IndexMap;
use kafka_protocol::ResponseError as E;
use std::collections::{HashMap, HashSet};

/// Where a group stands; the names are Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No members.
    Empty,
    /// Waits for all members to join.
    PreparingRebalance,
    /// Waits for the leader's assignments.
    CompletingRebalance,
    /// All members have their assignment.
    Stable,
    /// Deleted; who holds on to it must look the group up again.
    Dead,
}

impl State {
    /// The name that ListGroups and DescribeGroups show.
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
            State::Dead => "Dead",
        }
    }
}

/// So many ids may be given out and not yet used.
const MAX_PENDING: usize = 10_000;

/// What comes out of the state machine.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect<J, S> {
    /// Answer a join.
    Joined(J, JoinResponse),
    /// Answer a sync.
    Synced(S, SyncResponse),
    /// The generation, its members or assignments have changed: store the group.
    Changed,
}

/// Effects in the order in which they happened.
pub type Effects<J, S> = Vec<Effect<J, S>>;

/// One group. See the module's documentation.
#[derive(Debug)]
pub struct Group<J, S> {
    /// Where it stands.
    pub state: State,
    /// Counts completed rebalances.
    pub generation: i32,
    /// `consumer`, ...; `None` until the first join.
    pub protocol_type: Option<String>,
    /// The protocol chosen for this generation.
    pub protocol: Option<String>,
    /// The leader's member id.
    pub leader: Option<String>,
    /// The members by id, in the order in which they came.
    pub members: IndexMap<String, Member<J, S>>,
    pub(super) statics: HashMap<String, String>,
    /// Ids that were given out and not yet used, with the time they are forgotten.
    pub(super) pending: HashMap<String, Millis>,
    /// When the present rebalance goes on without those missing; in `CompletingRebalance`, when those not synced are removed.
    pub(super) rebalance_deadline: Millis,
    /// Holds the first rebalance of an empty group open, so that members that start together join together.
    initial_delay_ms: Millis,
    pub(super) hold_until: Millis,
    /// Somebody joined while the first rebalance was held open: it is held open once more.
    pub(super) joined_during_hold: bool,
    /// Members that have not yet asked for their assignment in this generation, and when they are removed for that.
    pub(super) pending_sync: HashSet<String>,
    /// `group.max.size`.
    pub max_size: usize,
}

impl<J, S> Group<J, S> {
    /// A group without members.
    pub fn new(initial_delay_ms: Millis) -> Self {
        Self {
            state: State::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: IndexMap::new(),
            statics: HashMap::new(),
            pending: HashMap::new(),
            rebalance_deadline: Millis::MAX,
            initial_delay_ms,
            hold_until: Millis::MIN,
            joined_during_hold: false,
            pending_sync: HashSet::new(),
            max_size: usize::MAX,
        }
    }

    /// Puts back a member of a stored group; its session starts anew.
    pub fn restore_member(&mut self, mut member: Member<J, S>, now: Millis) {
        member.touch(now);
        if let Some(instance) = &member.instance_id {
            self.statics.insert(instance.clone(), member.id.clone());
        }
        self.members.insert(member.id.clone(), member);
    }

    /// A member joins; the answer comes when the rebalance is complete, or at once where none is needed.
    pub fn join(
        &mut self,
        now: Millis,
        request: JoinRequest,
        reply: J,
        new_id: impl FnOnce(&str) -> String,
    ) -> Effects<J, S> {
        let mut out = Vec::new();
        if let Some(error) = self.refuses(&request) {
            let id = if error == E::GroupMaxSizeReached { "" } else { &request.member_id };
            out.push(Effect::Joined(reply, JoinResponse::failed(id, error)));
            if error == E::GroupMaxSizeReached && self.members.contains_key(&request.member_id) {
                self.remove(now, &request.member_id, &mut out);
            }
            return out;
        }
        if let Some(instance) = request.instance_id.clone() {
            self.join_static(now, &instance, request, reply, new_id, &mut out);
        } else if request.member_id.is_empty() {
            let id = new_id(&request.client_id);
            if request.require_known_member_id && self.pending.len() >= MAX_PENDING {
                out.push(Effect::Joined(reply, JoinResponse::failed("", E::GroupMaxSizeReached)));
            } else if request.require_known_member_id {
                self.pending.insert(id.clone(), now + Millis::from(request.session_timeout_ms));
                out.push(Effect::Joined(reply, JoinResponse::failed(&id, E::MemberIdRequired)));
            } else {
                self.add(now, id, request, reply, &mut out);
            }
        } else if self.pending.remove(&request.member_id).is_some() {
            let id = request.member_id.clone();
            self.add(now, id, request, reply, &mut out);
        } else if self.members.contains_key(&request.member_id) {
            self.rejoin(now, request, reply, &mut out);
        } else {
            out.push(Effect::Joined(reply, JoinResponse::failed(&request.member_id, E::UnknownMemberId)));
        }
        out
    }

    fn refuses(&self, request: &JoinRequest) -> Option<E> {
        if self.state == State::Dead {
            return Some(E::CoordinatorNotAvailable);
        }
        if !self.has_room_for(&request.member_id) {
            return Some(E::GroupMaxSizeReached);
        }
        if request.protocol_type.is_empty() || request.protocols.is_empty() {
            return Some(E::InconsistentGroupProtocol);
        }
        if self.members.is_empty() {
            return None;
        }
        let all_support =
            |name: &str| self.members.values().all(|m| m.protocols.iter().any(|(n, _)| n == name));
        let fits = self.protocol_type.as_ref().is_none_or(|t| *t == request.protocol_type)
            && request.protocols.iter().any(|(name, _)| all_support(name));
        (!fits).then_some(E::InconsistentGroupProtocol)
    }

    /// Whether the group may take this member. While it rebalances, those that wait count: the last to rejoin a group that is too
    /// large stay out.
    fn has_room_for(&self, id: &str) -> bool {
        match self.state {
            State::Empty | State::Dead => true,
            State::PreparingRebalance => {
                let waiting = || self.members.values().filter(|m| m.joining.is_some());
                waiting().any(|m| m.id == id) || waiting().count() < self.max_size
            }
            State::CompletingRebalance | State::Stable => {
                self.members.contains_key(id) || self.members.len() < self.max_size
            }
        }
    }

    pub(super) fn add(
        &mut self,
        now: Millis,
        id: String,
        request: JoinRequest,
        reply: J,
        out: &mut Effects<J, S>,
    ) {
        if let Some(instance) = &request.instance_id {
            self.statics.insert(instance.clone(), id.clone());
        }
        self.protocol_type = Some(request.protocol_type);
        let mut member = Member {
            id: id.clone(),
            instance_id: request.instance_id,
            client_id: request.client_id,
            client_host: request.client_host,
            session_timeout_ms: request.session_timeout_ms,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            protocols: request.protocols,
            assignment: Bytes::new(),
            deadline: 0,
            joining: Some(reply),
            syncing: None,
        };
        member.touch(now);
        let first = self.members.is_empty();
        self.members.insert(id, member);
        if first && self.state == State::Empty {
            self.hold_until = now + self.initial_delay_ms;
        } else if now < self.hold_until {
            self.joined_during_hold = true;
        }
        self.prepare(now, out);
    }

    pub(super) fn rejoin(&mut self, now: Millis, request: JoinRequest, reply: J, out: &mut Effects<J, S>) {
        let id = request.member_id;
        let is_leader = self.leader.as_deref() == Some(&id);
        let Some(member) = self.members.get_mut(&id) else { return };
        let unchanged = member.protocols == request.protocols;
        member.touch(now);
        let answer_now = unchanged
            && match self.state {
                // The answer to the first join was lost.
                State::CompletingRebalance => true,
                // A follower that lost its answer; a leader rejoins to make a rebalance happen.
                State::Stable => !is_leader,
                _ => false,
            };
        if answer_now {
            out.push(Effect::Joined(reply, self.joined(&id)));
            return;
        }
        member.protocols = request.protocols;
        member.session_timeout_ms = request.session_timeout_ms;
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        if let Some(before) = member.joining.replace(reply) {
            // The same member asked twice (a lost connection): the first asker is gone.
            out.push(Effect::Joined(before, JoinResponse::failed(&id, E::RebalanceInProgress)));
        }
        self.prepare(now, out);
    }

    /// Starts a rebalance, or goes on with the one that runs.
    pub(crate) fn prepare(&mut self, now: Millis, out: &mut Effects<J, S>) {
        if self.state != State::PreparingRebalance {
            let assigning = self.state == State::CompletingRebalance;
            for member in self.members.values_mut() {
                if assigning {
                    member.assignment = Bytes::new();
                }
                if let Some(waiting) = member.syncing.take() {
                    member.touch(now);
                    out.push(Effect::Synced(waiting, SyncResponse::failed(E::RebalanceInProgress)));
                }
            }
            let longest = self.members.values().map(|m| m.rebalance_timeout_ms).max().unwrap_or(0);
            self.state = State::PreparingRebalance;
            self.rebalance_deadline = now + Millis::from(longest);
        }
        self.complete_join_if_ready(now, out);
    }

    pub(super) fn complete_join_if_ready(&mut self, now: Millis, out: &mut Effects<J, S>) {
        if self.state != State::PreparingRebalance || now < self.hold_until {
            return;
        }
        if std::mem::take(&mut self.joined_during_hold) && now < self.rebalance_deadline {
            self.hold_until = self.rebalance_deadline.min(now + self.initial_delay_ms);
            return;
        }
        let all = self.pending.is_empty() && self.members.values().all(|m| m.joining.is_some());
        if !all && now < self.rebalance_deadline {
            return;
        }
        // Static members that did not come back keep their place until their session ends.
        let gone: Vec<String> = self
            .members
            .values()
            .filter(|m| m.joining.is_none() && m.instance_id.is_none())
            .map(|m| m.id.clone())
            .collect();
        for id in gone {
            self.forget(&id);
        }
        if !self.members.is_empty() && self.members.values().all(|m| m.joining.is_none()) {
            // Only silent static members are left: wait for one of them, or for the end of their sessions.
            self.rebalance_deadline = now + 1000;
            return;
        }
        self.generation = self.generation.wrapping_add(1).max(1);
        self.pending_sync.clear();
        out.push(Effect::Changed);
        if self.members.is_empty() {
            self.state = State::Empty;
            self.protocol = None;
            self.leader = None;
            self.rebalance_deadline = Millis::MAX;
            return;
        }
        self.protocol = self.vote();
        if self.leader.as_ref().is_none_or(|l| self.members.get(l).is_none_or(|m| m.joining.is_none())) {
            self.leader = self.members.values().find(|m| m.joining.is_some()).map(|m| m.id.clone());
        }
        self.state = State::CompletingRebalance;
        let longest = self.members.values().map(|m| m.rebalance_timeout_ms).max().unwrap_or(0);
        self.rebalance_deadline = now + Millis::from(longest);
        let ids: Vec<String> = self.members.keys().cloned().collect();
        self.pending_sync.extend(ids.iter().cloned());
        for id in ids {
            let response = self.joined(&id);
            if let Some(member) = self.members.get_mut(&id) {
                member.touch(now);
                if let Some(reply) = member.joining.take() {
                    out.push(Effect::Joined(reply, response));
                }
            }
        }
    }

    /// The protocol that most members like best among those that all support; ties go to the first member's preference.
    pub(super) fn vote(&self) -> Option<String> {
        let supported =
            |name: &str| self.members.values().all(|m| m.protocols.iter().any(|(n, _)| n == name));
        let mut votes: IndexMap<&str, usize> = IndexMap::new();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| supported(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        votes.iter().find(|(_, n)| **n == most).map(|(name, _)| (*name).to_owned())
    }

    pub(super) fn joined(&self, id: &str) -> JoinResponse {
        let leader = self.leader.clone().unwrap_or_default();
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let members = if leader == id {
            self.members
                .values()
                .map(|m| JoinedMember {
                    member_id: m.id.clone(),
                    instance_id: m.instance_id.clone(),
                    metadata: m.metadata(protocol),
                })
                .collect()
        } else {
            Vec::new()
        };
        JoinResponse {
            error: None,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader,
            member_id: id.to_owned(),
            members,
            skip_assignment: false,
        }
    }

    /// A member asks for its assignment.
    pub fn sync(&mut self, now: Millis, request: SyncRequest, reply: S) -> Effects<J, S> {
        let mut out = Vec::new();
        let who = MemberRef { member_id: &request.member_id, instance_id: request.instance_id.as_deref() };
        let differs = |asked: &Option<String>, is: &Option<String>| asked.is_some() && asked != is;
        let error = if self.state == State::Dead {
            Some(E::CoordinatorNotAvailable)
        } else if let Err(e) = self.check_member(who) {
            Some(e)
        } else if request.generation != self.generation {
            Some(E::IllegalGeneration)
        } else if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol, &self.protocol)
        {
            Some(E::InconsistentGroupProtocol)
        } else if self.state == State::PreparingRebalance {
            Some(E::RebalanceInProgress)
        } else if self.state == State::Empty {
            Some(E::UnknownMemberId)
        } else {
            None
        };
        if let Some(error) = error {
            out.push(Effect::Synced(reply, SyncResponse::failed(error)));
            return out;
        }
        let is_leader = self.leader.as_deref() == Some(&request.member_id);
        let stable = self.state == State::Stable;
        self.pending_sync.remove(&request.member_id);
        if let Some(member) = self.members.get_mut(&request.member_id) {
            member.touch(now);
            if !stable {
                if let Some(before) = member.syncing.replace(reply) {
                    out.push(Effect::Synced(before, SyncResponse::failed(E::RebalanceInProgress)));
                }
            } else {
                let assignment = member.assignment.clone();
                out.push(Effect::Synced(reply, self.synced(assignment)));
                return out;
            }
        }
        if is_leader {
            let mut assignments: HashMap<String, Bytes> = request.assignments.into_iter().collect();
            self.state = State::Stable;
            out.push(Effect::Changed);
            let ids: Vec<String> = self.members.keys().cloned().collect();
            for id in ids {
                let assignment = assignments.remove(&id).unwrap_or_default();
                let response = self.synced(assignment.clone());
                if let Some(member) = self.members.get_mut(&id) {
                    member.assignment = assignment;
                    if let Some(reply) = member.syncing.take() {
                        member.touch(now);
                        out.push(Effect::Synced(reply, response));
                    }
                }
            }
        }
        out
    }

    /// Sends everybody who waits back to join: the group is about to speak the other protocol.
    pub(crate) fn interrupt(&mut self) -> Effects<J, S> {
        let mut out = Vec::new();
        for member in self.members.values_mut() {
            if let Some(reply) = member.joining.take() {
                out.push(Effect::Joined(reply, JoinResponse::failed(&member.id, E::RebalanceInProgress)));
            }
            if let Some(reply) = member.syncing.take() {
                out.push(Effect::Synced(reply, SyncResponse::failed(E::RebalanceInProgress)));
            }
        }
        out
    }

    fn synced(&self, assignment: Bytes) -> SyncResponse {
        SyncResponse {
            error: None,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment,
        }
    }
}
