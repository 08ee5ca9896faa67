//! What the group coordinator does beside requests: reads its state back at start, ends sessions, expires and deletes groups.

use super::coordinator::{GroupCoordinator, KeyValue};
use super::member::Member;
use super::offsets::{Committed, Place};
use super::slot::{Kind, Machine, Slot};
use super::state::{Group, State};
use crate::internal_log::{self, ReplayError};
use crate::metrics::Coordinated;
use crate::partition::Partition;
use crate::store::offset_records::{self, Entry, GroupValue};
use crate::topics::OFFSETS_TOPIC;
use crate::wait::now_ms;
use kafka_protocol::ResponseError as E;
use parking_lot::Mutex;
use std::sync::Arc;

impl GroupCoordinator {
    /// Reads `__consumer_offsets`.
    pub(crate) fn load(&self) -> Result<(), ReplayError> {
        let Some(topic) = self.topics.get(OFFSETS_TOPIC) else { return Ok(()) };
        for partition in topic.partitions() {
            internal_log::replay(&partition, |event| match event {
                internal_log::Event::Record { offset, producer, key, value } => {
                    match offset_records::read(key, value) {
                        Ok(entry) => self.load_entry(entry, offset, producer),
                        Err(error) => tracing::warn!(?partition, offset, %error, "skipped a record"),
                    }
                }
                internal_log::Event::End { offset, producer_id, commit } => {
                    self.end_txn(producer_id, commit, offset);
                }
            })?;
        }
        let mut groups = self.groups.write();
        groups.retain(|id, slot| {
            let mut slot = slot.lock();
            match &mut slot.kind {
                Kind::Classic(group) => self.alarm.at(group.next_deadline(self.alarm.now())),
                Kind::Consumer(group) => self.loaded_consumer(id, group),
            }
            slot.is_stored() || !slot.offsets.is_empty()
        });
        Ok(())
    }

    fn load_entry(&self, entry: Entry, at: i64, producer: Option<i64>) {
        match entry {
            Entry::Offset { group, topic, partition, value } => {
                let slot = self.slot_or_new(&group);
                let place = (topic, partition);
                let value = value.map(Committed::from);
                match (producer, value) {
                    (Some(producer), Some(value)) => {
                        slot.lock().offsets.add_pending(producer, place, at, value);
                        self.by_producer.lock().entry(producer).or_default().insert(group);
                    }
                    (_, value) => slot.lock().offsets.apply(place, at, value),
                }
            }
            Entry::Group { group, value } => {
                let slot = self.slot_or_new(&group);
                let mut slot = slot.lock();
                if value.is_none() && matches!(slot.kind, Kind::Consumer(_)) {
                    return;
                }
                let mut machine = Group::new(self.settings.initial_rebalance_delay_ms);
                if let Some(value) = value {
                    slot.empty_since = value.timestamp;
                    self.load_group(&mut machine, value);
                }
                slot.kind = Kind::Classic(Box::new(machine));
            }
            Entry::Consumer { group, record } => self.load_consumer(&group, record),
        }
    }

    fn load_group(&self, group: &mut Machine, value: GroupValue) {
        group.generation = value.generation;
        group.protocol_type = Some(value.protocol_type);
        group.leader = value.leader;
        let protocol = value.protocol.clone().unwrap_or_default();
        group.protocol = value.protocol;
        group.state = if value.members.is_empty() { State::Empty } else { State::Stable };
        for member in value.members {
            group.restore_member(
                Member {
                    id: member.id,
                    instance_id: member.instance_id,
                    client_id: member.client_id,
                    client_host: member.client_host,
                    session_timeout_ms: member.session_timeout_ms,
                    rebalance_timeout_ms: member.rebalance_timeout_ms,
                    protocols: vec![(protocol.clone(), member.subscription)],
                    assignment: member.assignment,
                    deadline: 0,
                    joining: None,
                    syncing: None,
                },
                self.alarm.now(),
            );
        }
    }

    /// Ends sessions and rebalances whose time has come.
    pub(crate) fn tick(&self) {
        for (id, slot) in self.all_slots() {
            let mut slot = slot.lock();
            match &mut slot.kind {
                Kind::Classic(group) => {
                    let effects = group.tick(self.alarm.now());
                    self.carry_out(&id, &mut slot, effects);
                }
                Kind::Consumer(_) => self.tick_consumers(&id, &mut slot),
            }
        }
    }

    /// Deletes a group without members, with its offsets; durable when this returns.
    pub fn delete(&self, group: &str) -> Result<(), E> {
        let slot = self.slot(group).ok_or(E::GroupIdNotFound)?;
        let mut slot = slot.lock();
        if slot.dead {
            return Err(E::GroupIdNotFound);
        }
        if slot.has_members() {
            return Err(E::NonEmptyGroup);
        }
        let places: Vec<Place> = slot.offsets.iter().map(|(place, _)| place.clone()).collect();
        self.topics.counters().coordinated_many(Coordinated::OffsetDeletion, places.len() as u64);
        let (partition, end) = self.forget(group, &mut slot, places, true)?;
        drop(slot);
        partition.wait_durable(end).map_err(|_| E::CoordinatorNotAvailable)?;
        Ok(())
    }

    /// Removes offsets, and with `whole` the group.
    fn forget(
        &self,
        id: &str,
        slot: &mut Slot,
        places: Vec<Place>,
        whole: bool,
    ) -> Result<(Arc<Partition>, i64), E> {
        let keys = places.iter().map(|(topic, index)| offset_records::offset_key(id, topic, *index));
        let mut records: Vec<KeyValue> = keys.map(|key| (key, None)).collect();
        if whole {
            match &slot.kind {
                Kind::Classic(_) => records.push((offset_records::group_key(id), None)),
                Kind::Consumer(group) => {
                    records.extend(group.tombstones().iter().map(|r| (r.key(id), None)));
                }
            }
        }
        let (partition, end) = self.append(id, records)?;
        for place in places {
            slot.offsets.apply(place, end - 1, None);
        }
        if whole {
            slot.dead = true;
            if let Kind::Classic(group) = &mut slot.kind {
                group.state = State::Dead;
            }
            self.groups.write().remove(id);
        }
        Ok((partition, end))
    }

    /// Forgets offsets that have not been used for `offsets.retention.minutes`, and groups without members and offsets.
    fn expire(&self, id: &str, slot: &Mutex<Slot>, before: i64) -> Result<(), E> {
        let mut slot = slot.lock();
        if slot.dead || slot.in_flight > 0 {
            return Ok(());
        }
        let expired = |((topic, index), committed): &(&Place, &Committed)| {
            let since = slot.unused_since(topic, committed.committed_ms);
            since.is_some_and(|s| s < before) && !slot.offsets.is_pending(&(topic.clone(), *index))
        };
        let places: Vec<Place> =
            slot.offsets.iter().filter(expired).map(|(place, _)| place.clone()).collect();
        let whole = places.len() == slot.offsets.iter().count()
            && !slot.offsets.has_pending()
            && !slot.has_members()
            && !slot.is_joined_soon();
        if places.is_empty() && !whole {
            return Ok(());
        }
        self.topics.counters().coordinated_many(Coordinated::OffsetExpiration, places.len() as u64);
        let (partition, end) = self.forget(id, &mut slot, places, whole)?;
        partition.when_durable(end, |_| {});
        Ok(())
    }

    /// Expires offsets and groups.
    pub(crate) fn maintain(&self) {
        let before = now_ms() - self.settings.offsets_retention_ms;
        for (id, slot) in self.all_slots() {
            if let Err(error) = self.expire(&id, &slot, before) {
                tracing::warn!(group = id, %error, "cannot expire a group");
            }
        }
    }
}
