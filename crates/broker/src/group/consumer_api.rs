//! The coordinator's part for groups of the consumer protocol: their heartbeats, and their records in `__consumer_offsets`.

use super::consumer::{ConsumerGroup, Context, GroupError, Heartbeat, HeartbeatAnswer, check};
use super::coordinator::GroupCoordinator;
use super::slot::{Kind, Slot};
use crate::partition::Partition;
use crate::store::consumer_records::ConsumerRecord;
use crate::store::offset_records;
use crate::wait::now_ms;
use kafka_protocol::ResponseError as E;
use std::sync::Arc;

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
        let stored = self.store(id, &mut slot, &records);
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
        if let Kind::Classic(group) = &slot.kind {
            if request.epoch != 0 || slot.has_members() {
                let message = format!("Group {id} is not a consumer group.");
                return Err(GroupError::new(E::GroupIdNotFound, message));
            }
            if group.protocol_type.is_some() {
                self.append(id, vec![(offset_records::group_key(id), None)]).map_err(unavailable)?;
            }
            slot.kind = Kind::Consumer(Box::default());
        }
        let Kind::Consumer(group) = &mut slot.kind else {
            return Err(unavailable(E::CoordinatorNotAvailable));
        };
        let context = Context {
            group: id,
            now: self.alarm.now(),
            topics: &*self.topics,
            allowed,
            session_ms: i64::from(self.session_ms(id)),
            interval_ms: self
                .configs
                .heartbeat_ms(id)
                .unwrap_or(self.settings.consumer_heartbeat_interval_ms),
            max_size: self.settings.consumer_max_size,
        };
        let answer = group.heartbeat(&context, request, records);
        self.alarm.at(group.next_deadline());
        answer
    }

    pub(super) fn session_ms(&self, id: &str) -> i32 {
        self.configs.session_ms(id).unwrap_or(self.settings.consumer_session_timeout_ms)
    }

    /// Appends what has changed of a group; the offset up to which that is to be durable.
    fn store(
        &self,
        id: &str,
        slot: &mut Slot,
        records: &[ConsumerRecord],
    ) -> Result<Option<(Arc<Partition>, i64)>, E> {
        if records.is_empty() {
            return Ok(None);
        }
        if !slot.has_members() {
            slot.empty_since = now_ms();
        }
        let now = now_ms();
        self.append(id, records.iter().map(|r| (r.key(id), r.value(now))).collect()).map(Some)
    }

    /// Time has passed: members that were silent for too long are fenced.
    pub(super) fn tick_consumers(&self, id: &str, slot: &mut Slot) {
        let Kind::Consumer(group) = &mut slot.kind else { return };
        let mut records = Vec::new();
        for (member, reason) in group.tick(self.alarm.now(), &*self.topics, &mut records) {
            tracing::info!(group = id, member, reason, "fenced a member");
        }
        self.alarm.at(group.next_deadline());
        match self.store(id, slot, &records) {
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
