//! How members go: they leave, their session ends, or a rebalance goes on without them.

use super::member::{JoinResponse, Member, MemberRef, Millis, SyncResponse};
use super::state::{Effect, Effects, Group, State};
use kafka_protocol::ResponseError as E;

impl<J, S> Group<J, S> {
    /// A member leaves; where only its static id is given, whoever holds it.
    pub fn leave(&mut self, now: Millis, member: MemberRef<'_>) -> (Result<(), E>, Effects<J, S>) {
        let mut out = Vec::new();
        if self.state == State::Dead {
            return (Err(E::CoordinatorNotAvailable), out);
        }
        if member.instance_id.is_none() && self.pending.remove(member.member_id).is_some() {
            self.complete_join_if_ready(now, &mut out);
            return (Ok(()), out);
        }
        let id = match member.instance_id {
            Some(instance) if member.member_id.is_empty() => match self.statics.get(instance) {
                Some(id) => id.clone(),
                None => return (Err(E::UnknownMemberId), out),
            },
            _ => match self.check_member(member) {
                Ok(()) => member.member_id.to_owned(),
                Err(e) => return (Err(e), out),
            },
        };
        self.remove(now, &id, &mut out);
        (Ok(()), out)
    }

    pub(super) fn forget(&mut self, id: &str) -> Option<Member<J, S>> {
        let member = self.members.shift_remove(id)?;
        self.pending_sync.remove(id);
        if let Some(instance) = &member.instance_id {
            self.statics.remove(instance);
        }
        if self.leader.as_deref() == Some(id) {
            self.leader = None;
        }
        Some(member)
    }

    pub(super) fn remove(&mut self, now: Millis, id: &str, out: &mut Effects<J, S>) {
        let Some(member) = self.forget(id) else { return };
        if let Some(reply) = member.joining {
            out.push(Effect::Joined(reply, JoinResponse::failed(id, E::UnknownMemberId)));
        }
        if let Some(reply) = member.syncing {
            out.push(Effect::Synced(reply, SyncResponse::failed(E::UnknownMemberId)));
        }
        match self.state {
            State::Stable | State::CompletingRebalance => self.prepare(now, out),
            State::PreparingRebalance => self.complete_join_if_ready(now, out),
            State::Empty | State::Dead => {}
        }
    }

    /// Time has passed: ends sessions, forgets unused ids, completes rebalances.
    pub fn tick(&mut self, now: Millis) -> Effects<J, S> {
        let mut out = Vec::new();
        self.pending.retain(|_, until| *until > now);
        if self.waits_for_syncs() && now >= self.rebalance_deadline {
            // Whoever did not sync in time is gone.
            let gone: Vec<String> = self.pending_sync.drain().collect();
            let members = gone.iter().filter_map(|id| self.forget(id)).count();
            if members > 0 {
                self.prepare(now, &mut out);
            }
        }
        let expired: Vec<String> = self
            .members
            .values()
            .filter(|m| !m.is_waiting() && m.deadline <= now)
            .map(|m| m.id.clone())
            .collect();
        for id in expired {
            self.remove(now, &id, &mut out);
        }
        self.complete_join_if_ready(now, &mut out);
        out
    }

    /// Whether members have joined this generation that have not yet asked for their assignment.
    fn waits_for_syncs(&self) -> bool {
        matches!(self.state, State::CompletingRebalance | State::Stable) && !self.pending_sync.is_empty()
    }

    /// When, after `now`, [`Group::tick`] has something to do next; `None` for never.
    pub fn next_deadline(&self, now: Millis) -> Option<Millis> {
        let sessions = self.members.values().filter(|m| !m.is_waiting()).map(|m| m.deadline);
        let rebalance = (self.state == State::PreparingRebalance || self.waits_for_syncs())
            .then_some(self.rebalance_deadline);
        let hold =
            (self.state == State::PreparingRebalance && self.hold_until > now).then_some(self.hold_until);
        sessions.chain(rebalance).chain(hold).chain(self.pending.values().copied()).min()
    }
}
