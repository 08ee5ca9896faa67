//! What the group coordinator does beside requests: reads its state back at start, ends sessions, expires and deletes groups,
//! keeps `__consumer_offsets` small.

use super::coordinator::{GroupCoordinator, Slot, stored};
use super::member::Member;
use super::offsets::Committed;
use super::state::State;
use crate::error::code_of;
use crate::internal_log::{self, ReplayError};
use crate::partition::Partition;
use crate::store::offset_records::{self, Entry, GroupValue, OffsetValue};
use crate::topics::OFFSETS_TOPIC;
use crate::wait::now_ms;
use bd_log::LogError;
use bd_log::batch::BatchBuilder;
use kafka_protocol::ResponseError as E;
use parking_lot::Mutex;
use std::sync::Arc;

/// Deleting this many records at once keeps a batch well below the largest one that a log takes.
const BATCH_RECORDS: usize = 1000;

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
        groups.retain(|_, slot| {
            let slot = slot.lock();
            self.alarm.at(slot.group.next_deadline(self.alarm.now()));
            slot.group.protocol_type.is_some() || !slot.offsets.is_empty()
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
                slot.group = super::state::Group::new(self.settings.initial_rebalance_delay_ms);
                if let Some(value) = value {
                    self.load_group(&mut slot, value);
                }
            }
        }
    }

    fn load_group(&self, slot: &mut Slot, value: GroupValue) {
        let group = &mut slot.group;
        group.generation = value.generation;
        group.protocol_type = Some(value.protocol_type);
        group.leader = value.leader;
        let protocol = value.protocol.clone().unwrap_or_default();
        group.protocol = value.protocol;
        group.state = if value.members.is_empty() { State::Empty } else { State::Stable };
        slot.empty_since = value.timestamp;
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
        let groups: Vec<_> =
            self.groups.read().iter().map(|(id, slot)| (id.clone(), Arc::clone(slot))).collect();
        for (id, slot) in groups {
            let mut slot = slot.lock();
            let effects = slot.group.tick(self.alarm.now());
            self.carry_out(&id, &mut slot, effects);
        }
    }

    /// Deletes a group without members, with its offsets.
    pub fn delete(&self, group: &str) -> Result<(), E> {
        if group.is_empty() {
            return Err(E::InvalidGroupId);
        }
        let slot = self.slot(group).ok_or(E::GroupIdNotFound)?;
        self.delete_slot(group, &slot, None)
    }

    /// With `expired_before`, deletes only what was committed before.
    fn delete_slot(&self, id: &str, slot: &Mutex<Slot>, expired_before: Option<i64>) -> Result<(), E> {
        let mut slot = slot.lock();
        if !matches!(slot.group.state, State::Empty) {
            return Err(E::NonEmptyGroup);
        }
        let old = |c: &Committed| expired_before.is_none_or(|before| c.committed_ms < before);
        let places: Vec<_> =
            slot.offsets.iter().filter(|(_, c)| old(c)).map(|(place, _)| place.clone()).collect();
        let whole = places.len() == slot.offsets.iter().count() && !slot.offsets.has_pending();
        if places.is_empty() && !whole {
            return Ok(());
        }
        let partition = self.partition_for(id)?;
        let mut keys: Vec<_> =
            places.iter().map(|(topic, index)| offset_records::offset_key(id, topic, *index)).collect();
        if whole {
            keys.push(offset_records::group_key(id));
        }
        let mut end = partition.log().end_offset();
        for keys in keys.chunks(BATCH_RECORDS) {
            let mut batch = BatchBuilder::new();
            keys.iter().for_each(|key| batch.append(now_ms(), Some(key), None, &[]));
            end = partition.append(batch.build()).map_err(|e| code_of(&e))?.last_offset + 1;
        }
        partition.when_durable(end, |_| {});
        for place in places {
            slot.offsets.apply(place, end, None);
        }
        if whole {
            slot.group.state = State::Dead;
            self.groups.write().remove(id);
        }
        Ok(())
    }

    /// Forgets the offsets of groups that have had no members for long, and makes `__consumer_offsets` small again.
    pub(crate) fn maintain(&self) {
        let before = now_ms() - self.settings.offsets_retention_ms;
        let groups: Vec<_> =
            self.groups.read().iter().map(|(id, slot)| (id.clone(), Arc::clone(slot))).collect();
        for (id, slot) in &groups {
            let expires = {
                let slot = slot.lock();
                slot.group.state == State::Empty && slot.empty_since < before
            };
            if expires && let Err(error) = self.delete_slot(id, slot, Some(before)) {
                tracing::warn!(group = id, %error, "cannot expire a group");
            }
        }
        let Some(topic) = self.topics.get(OFFSETS_TOPIC) else { return };
        for partition in topic.partitions() {
            if let Err(error) = self.shrink(&partition) {
                tracing::warn!(?partition, %error, "cannot shrink");
            }
        }
    }

    /// Writes all live state again, then deletes what was before. A group's state is appended under its lock, so that no commit
    /// comes between; with a commit under way that is not yet applied, it is tried another time.
    fn shrink(&self, partition: &Arc<Partition>) -> Result<(), LogError> {
        let start = partition.log().end_offset();
        let groups: Vec<_> =
            self.groups.read().iter().map(|(id, slot)| (id.clone(), Arc::clone(slot))).collect();
        let of_partition = |id: &str| self.partition_for(id).is_ok_and(|p| p.index == partition.index);
        let groups: Vec<_> = groups.into_iter().filter(|(id, _)| of_partition(id)).collect();
        let live = groups.iter().map(|(_, slot)| slot.lock().offsets.iter().count() as i64 + 1).sum();
        if !internal_log::is_worth_shrinking(partition, live) {
            return Ok(());
        }
        for (id, slot) in &groups {
            let slot = slot.lock();
            if slot.in_flight > 0 {
                return Ok(());
            }
            if slot.group.state == State::Dead {
                continue;
            }
            let mut records = Vec::new();
            if slot.group.protocol_type.is_some() {
                records
                    .push((offset_records::group_key(id), offset_records::group_value(&stored(&slot.group))));
            }
            for ((topic, index), committed) in slot.offsets.iter() {
                let value = offset_records::offset_value(&OffsetValue::from(committed));
                records.push((offset_records::offset_key(id, topic, *index), value));
            }
            for records in records.chunks(BATCH_RECORDS) {
                let mut batch = BatchBuilder::new();
                records.iter().for_each(|(key, value)| batch.append(now_ms(), Some(key), Some(value), &[]));
                partition.append(batch.build())?;
            }
        }
        internal_log::trim(partition, start)
    }
}
