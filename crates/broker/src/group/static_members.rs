//! Static members (KIP-345): they keep their place in the group over a restart, without a rebalance.

use super::member::{JoinRequest, JoinResponse, Millis, SyncResponse};
use super::state::{Effect, Effects, Group, State};
use kafka_protocol::ResponseError as E;

impl<J, S> Group<J, S> {
    pub(super) fn join_static(
        &mut self,
        now: Millis,
        instance: &str,
        request: JoinRequest,
        reply: J,
        new_id: impl FnOnce(&str) -> String,
        out: &mut Effects<J, S>,
    ) {
        let known = self.statics.get(instance).cloned();
        match known {
            None if request.member_id.is_empty() => {
                let id = new_id(instance);
                self.add(now, id, request, reply, out);
            }
            None => {
                out.push(Effect::Joined(reply, JoinResponse::failed(&request.member_id, E::UnknownMemberId)))
            }
            Some(old) if request.member_id.is_empty() => {
                let id = new_id(instance);
                self.replace_static(now, &old, id, request, reply, out);
            }
            Some(old) if old != request.member_id => {
                out.push(Effect::Joined(
                    reply,
                    JoinResponse::failed(&request.member_id, E::FencedInstanceId),
                ));
            }
            Some(_) => self.rejoin(now, request, reply, out),
        }
    }

    /// A static member came back without its member id: it gets a new one, the old one is fenced. As long as
    /// the group would choose the same protocol, a stable group stays as it is.
    fn replace_static(
        &mut self,
        now: Millis,
        old: &str,
        id: String,
        request: JoinRequest,
        reply: J,
        out: &mut Effects<J, S>,
    ) {
        let Some((index, _, mut member)) = self.members.shift_remove_full(old) else { return };
        if let Some(waiting) = member.joining.take() {
            out.push(Effect::Joined(waiting, JoinResponse::failed(old, E::FencedInstanceId)));
        }
        if let Some(waiting) = member.syncing.take() {
            out.push(Effect::Synced(waiting, SyncResponse::failed(E::FencedInstanceId)));
        }
        let was_leader = self.leader.as_deref() == Some(old);
        let skips = request.knows_skip_assignment;
        if self.pending_sync.remove(old) {
            self.pending_sync.insert(id.clone());
        }
        member.id = id.clone();
        member.protocols = request.protocols;
        member.session_timeout_ms = request.session_timeout_ms;
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        member.touch(now);
        if let Some(instance) = &member.instance_id {
            self.statics.insert(instance.clone(), id.clone());
        }
        self.members.shift_insert(index, id.clone(), member);
        if was_leader {
            self.leader = Some(id.clone());
        }
        if self.state == State::Stable && self.protocol == self.vote() {
            out.push(Effect::Changed);
            let mut response = self.joined(&id);
            if was_leader && skips {
                response.skip_assignment = true;
            } else if was_leader {
                // It must not assign; an older client is told that somebody else leads.
                response.leader = old.to_owned();
                response.members.clear();
            }
            out.push(Effect::Joined(reply, response));
        } else {
            if let Some(member) = self.members.get_mut(&id) {
                member.joining = Some(reply);
            }
            self.prepare(now, out);
        }
    }
}
