//! Who is a member, at which generation, and what it may do.

use super::member::{MemberRef, Millis};
use super::state::{Group, State};
use kafka_protocol::ResponseError as E;

impl<J, S> Group<J, S> {
    /// Whether this is a member, by id and static id.
    pub fn check_member(&self, member: MemberRef<'_>) -> Result<(), E> {
        if let Some(instance) = member.instance_id {
            return match self.statics.get(instance) {
                None => Err(E::UnknownMemberId),
                Some(id) if id != member.member_id => Err(E::FencedInstanceId),
                Some(_) => Ok(()),
            };
        }
        if self.members.contains_key(member.member_id) { Ok(()) } else { Err(E::UnknownMemberId) }
    }

    /// A member is alive. `Err` says what it must do.
    pub fn heartbeat(&mut self, now: Millis, member: MemberRef<'_>, generation: i32) -> Result<(), E> {
        if self.state == State::Dead {
            return Err(E::CoordinatorNotAvailable);
        }
        self.check_member(member)?;
        if generation != self.generation {
            return Err(E::IllegalGeneration);
        }
        if let Some(member) = self.members.get_mut(member.member_id) {
            member.touch(now);
        }
        match self.state {
            State::PreparingRebalance => Err(E::RebalanceInProgress),
            State::Empty => Err(E::UnknownMemberId),
            _ => Ok(()),
        }
    }

    /// Whether these offsets may be committed (KIP-447 for transactional ones).
    pub fn check_commit(
        &mut self,
        now: Millis,
        member: MemberRef<'_>,
        generation: i32,
        transactional: bool,
    ) -> Result<(), E> {
        if self.state == State::Dead {
            return Err(E::CoordinatorNotAvailable);
        }
        if generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        let anonymous = generation < 0 && member.member_id.is_empty() && member.instance_id.is_none();
        if anonymous {
            return if transactional { Ok(()) } else { Err(E::UnknownMemberId) };
        }
        self.check_member(member)?;
        if generation != self.generation {
            return Err(E::IllegalGeneration);
        }
        if let Some(member) = self.members.get_mut(member.member_id) {
            member.touch(now);
        }
        if self.state == State::CompletingRebalance && !transactional {
            Err(E::RebalanceInProgress)
        } else {
            Ok(())
        }
    }
}
