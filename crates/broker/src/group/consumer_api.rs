//! The coordinator's part for groups of the consumer protocol: their heartbeats, and their records in `__consumer_offsets`.

use super::consumer::{ConsumerGroup, Context, GroupError, Heartbeat, HeartbeatAnswer, check};
use super::coordinator::{GroupCoordinator, JoinReply, answer, group_record};
use super::member::{JoinRequest, JoinResponse, MemberRef};
use super::protocol::CONSUMER;
use super::slot::{Kind, Slot};
use crate::metrics::Coordinated;
use crate::partition::Partition;
use crate::store::consumer_records::ConsumerRecord;
use crate::store::offset_records;
use crate::wait::now_ms;
use kafka_protocol::ResponseError as E;
use std::sync::Arc;

/// The group's config for how long a member may be silent.
const SESSION_TIMEOUT: &str = "consumer.session.timeout.ms";
/// The group's config for how often members report.
const HEARTBEAT_INTERVAL: &str = "consumer.heartbeat.interval.ms";

impl GroupCoordinator {
    /// A heartbeat of the consumer protocol; `done` gets the answer when what it depends on is durable. `allowed` says which topics
    /// the member may see; with `needs_member_id` it has made its own id (version 1).
    pub fn consumer_heartbeat(
        &self,
        id: &str,
        mut request: Heartbeat,
        needs_member_id: bool,
        allowed: &dyn Fn(&str) -> bool,
        done: impl FnOnce(Result<HeartbeatAnswer, GroupError>) + Send + 'static,
    ) {
        if let Err(error) = check(id, &request, needs_member_id) {
            return done(Err(error));
        }
        let joins = request.epoch == 0;
        let slot = match self.slot(id) {
            Some(slot) => slot,
            None if joins => self.slot_or_new(id),
            None => {
                let message = format!("Consumer group {id} not found.");
                return done(Err(GroupError::new(E::GroupIdNotFound, message)));
            }
        };
        if request.member_id.is_empty() {
            request.member_id = member_id();
        }
        let mut slot = slot.lock();
        let mut records = Vec::new();
        let answer = self.heartbeat_of(id, &mut slot, &request, allowed, &mut records);
        let stored = self.store(id, &mut slot, records);
        drop(slot);
        match stored {
            Ok(Some((partition, end))) => partition.when_durable(end, move |durable| match durable {
                Ok(_) => done(answer),
                Err(_) => done(Err(unavailable(E::CoordinatorNotAvailable))),
            }),
            Ok(None) => done(answer),
            Err(code) => done(Err(unavailable(code))),
        }
    }

    fn heartbeat_of(
        &self,
        id: &str,
        slot: &mut Slot,
        request: &Heartbeat,
        allowed: &dyn Fn(&str) -> bool,
        records: &mut Vec<ConsumerRecord>,
    ) -> Result<HeartbeatAnswer, GroupError> {
        if slot.dead {
            return Err(unavailable(E::CoordinatorNotAvailable));
        }
        if let Kind::Classic(_) = &slot.kind {
            self.upgrade(id, slot, request.epoch == 0, records)?;
        }
        let Kind::Consumer(group) = &mut slot.kind else {
            return Err(unavailable(E::CoordinatorNotAvailable));
        };
        let context = self.context(id, allowed);
        let answer = group.heartbeat(&context, request, records);
        self.alarm.at(group.next_deadline());
        answer
    }

    fn context<'a>(&'a self, id: &'a str, allowed: &'a dyn Fn(&str) -> bool) -> Context<'a> {
        Context {
            group: id,
            now: self.alarm.now(),
            topics: &*self.topics,
            allowed,
            session_ms: i64::from(self.session_ms(id)),
            interval_ms: self
                .config_ms(id, HEARTBEAT_INTERVAL)
                .unwrap_or(self.settings.consumer_heartbeat_interval_ms),
            max_size: self.settings.consumer_max_size,
        }
    }

    /// A classic group becomes one of the consumer protocol when a member of that joins: at once where it is empty, with its
    /// members where they are consumers and `group.consumer.migration.policy` allows it.
    fn upgrade(
        &self,
        id: &str,
        slot: &mut Slot,
        joins: bool,
        records: &mut Vec<ConsumerRecord>,
    ) -> Result<(), GroupError> {
        let refused =
            || Err(GroupError::new(E::GroupIdNotFound, format!("Group {id} is not a consumer group.")));
        let has_members = slot.has_members();
        let Kind::Classic(group) = &mut slot.kind else { return Ok(()) };
        if !joins {
            return refused();
        }
        let mut next = ConsumerGroup::default();
        if has_members {
            let fits = self.settings.migration_policy.upgrades()
                && group.protocol_type.as_deref() == Some(CONSUMER)
                && group.members.len() <= self.settings.consumer_max_size;
            match ConsumerGroup::from_classic(group, &*self.topics, self.alarm.now()) {
                Some(converted) if fits => next = converted,
                _ => return refused(),
            }
        }
        if group.protocol_type.is_some() {
            self.append(id, vec![(offset_records::group_key(id), None)]).map_err(unavailable)?;
        }
        let interrupted = group.interrupt();
        if has_members {
            records.extend(next.records());
        }
        slot.kind = Kind::Consumer(Box::new(next));
        answer(interrupted, None);
        Ok(())
    }

    /// A classic member joins a group of the consumer protocol.
    pub(super) fn join_consumer(&self, id: &str, slot: &mut Slot, request: JoinRequest, reply: JoinReply) {
        let Kind::Consumer(group) = &mut slot.kind else { return };
        let mut records = Vec::new();
        // Classic members name their topics; expressions of others were resolved by their right to see topics.
        let response = group.join_classic(
            &self.context(id, &|_| true),
            request,
            |prefix| format!("{prefix}-{}", uuid::Uuid::new_v4()),
            &mut records,
        );
        self.alarm.at(group.next_deadline());
        let failed = |code| JoinResponse::failed(&response.member_id, code);
        match self.store(id, slot, records) {
            Ok(None) => reply(response),
            Ok(Some((partition, end))) => partition.when_durable(end, move |durable| match durable {
                Ok(_) => reply(response),
                Err(_) => reply(JoinResponse::failed(&response.member_id, E::CoordinatorNotAvailable)),
            }),
            Err(code) => reply(failed(code)),
        }
    }

    /// A classic member leaves a group of the consumer protocol.
    pub(super) fn leave_consumer(&self, id: &str, slot: &mut Slot, member: MemberRef<'_>) -> Result<(), E> {
        let Kind::Consumer(group) = &mut slot.kind else { return Err(E::UnknownMemberId) };
        let mut records = Vec::new();
        group.leave_classic(&*self.topics, member, &mut records)?;
        if let Some((partition, end)) = self.store(id, slot, records)? {
            partition.when_durable(end, |_| {});
        }
        Ok(())
    }

    /// A group of which only classic members are left becomes a classic one, which rebalances.
    fn downgrade(&self, id: &str, slot: &mut Slot) -> Result<Option<(Arc<Partition>, i64)>, E> {
        let Kind::Consumer(group) = &slot.kind else { return Ok(None) };
        let fits =
            self.settings.migration_policy.downgrades() && group.members.len() <= self.settings.max_size;
        if !fits || !group.is_all_classic() {
            return Ok(None);
        }
        let name = |id: &uuid::Uuid| self.topics.by_id(id).map(|t| t.name.to_string());
        let (machine, effects) =
            group.to_classic(self.settings.initial_rebalance_delay_ms, self.alarm.now(), &name);
        let mut records: Vec<_> = group.tombstones().iter().map(|r| (r.key(id), None)).collect();
        records.push((offset_records::group_key(id), Some(group_record(&machine))));
        let stored = self.append(id, records)?;
        slot.kind = Kind::Classic(Box::new(machine));
        self.carry_out(id, slot, effects);
        Ok(Some(stored))
    }

    pub(super) fn session_ms(&self, id: &str) -> i32 {
        self.config_ms(id, SESSION_TIMEOUT).unwrap_or(self.settings.consumer_session_timeout_ms)
    }

    /// What is set for this group.
    fn config_ms(&self, id: &str, name: &str) -> Option<i32> {
        self.topics.broker_configs().group_value(id, name)?.parse().ok()
    }

    /// Appends what has changed of a group; the offset up to which that is to be durable.
    fn store(
        &self,
        id: &str,
        slot: &mut Slot,
        records: Vec<ConsumerRecord>,
    ) -> Result<Option<(Arc<Partition>, i64)>, E> {
        if records.is_empty() {
            return Ok(None);
        }
        if !slot.has_members() {
            slot.empty_since = now_ms();
        }
        let now = now_ms();
        if records.iter().any(|r| matches!(r, ConsumerRecord::Group(Some(_)))) {
            self.topics.counters().coordinated(Coordinated::ConsumerRebalance);
        }
        let stored = self.append(id, records.iter().map(|r| (r.key(id), r.value(now))).collect())?;
        Ok(self.downgrade(id, slot)?.or(Some(stored)))
    }

    /// Time has passed: members that were silent for too long are fenced.
    pub(super) fn tick_consumers(&self, id: &str, slot: &mut Slot) {
        let Kind::Consumer(group) = &mut slot.kind else { return };
        let mut records = Vec::new();
        for (member, reason) in group.tick(self.alarm.now(), &*self.topics, &mut records) {
            tracing::info!(group = id, member, reason, "fenced a member");
        }
        self.alarm.at(group.next_deadline());
        match self.store(id, slot, records) {
            Ok(Some((partition, end))) => partition.when_durable(end, |_| {}),
            Ok(None) => {}
            Err(error) => tracing::error!(group = id, %error, "cannot store a group"),
        }
    }

    /// A record of a consumer-protocol group is read back.
    pub(super) fn load_consumer(&self, id: &str, record: ConsumerRecord) {
        let slot = self.slot_or_new(id);
        let mut slot = slot.lock();
        if let Kind::Classic(_) = &slot.kind {
            if record.is_tombstone() {
                return;
            }
            slot.kind = Kind::Consumer(Box::default());
        }
        if let ConsumerRecord::Group(None) = &record {
            *slot = Slot {
                offsets: std::mem::take(&mut slot.offsets),
                ..Slot::new(self.settings.initial_rebalance_delay_ms)
            };
            return;
        }
        if let Kind::Consumer(group) = &mut slot.kind {
            group.replay(record);
        }
    }

    /// All records are read back.
    pub(super) fn loaded_consumer(&self, id: &str, group: &mut ConsumerGroup) {
        let now = self.alarm.now();
        group.loaded(now, i64::from(self.session_ms(id)));
        self.alarm.at(group.next_deadline());
    }
}

fn unavailable(code: E) -> GroupError {
    GroupError::new(code, "The group's state cannot be stored; try again.")
}

/// A member's id as Kafka makes them: a UUID in URL-safe base64.
fn member_id() -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = uuid::Uuid::new_v4().as_u128();
    // 128 bits in 22 digits of 6, the last with 4 zeros below.
    (0..22)
        .map(|i| {
            let shift = 122 - 6 * i;
            let digit = if shift >= 0 { bits >> shift } else { bits << -shift };
            char::from(DIGITS[(digit & 63) as usize])
        })
        .collect()
}
