//! Committed offsets: written, read, deleted.

use super::consumer::GroupError;
use super::coordinator::{Committer, GroupCoordinator};
use super::offsets::{Committed, Place};
use crate::error::code_of;
use crate::metrics::Coordinated;
use crate::store::offset_records::{self, OffsetValue};
use crate::wait::now_ms;
use bd_log::batch::BatchBuilder;
use kafka_protocol::ResponseError as E;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An offset to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetWrite {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset to read.
    pub offset: i64,
    /// -1 for none.
    pub leader_epoch: i32,
    /// Empty for none.
    pub metadata: String,
}

/// The producer whose transaction commits offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxnWriter {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
}

impl GroupCoordinator {
    /// Commits offsets; `done` gets one result for each, in their order, when they are durable. With `txn` they count when its
    /// transaction commits (the caller has checked that it is open). `GroupIdNotFound` where a member commits to a group that is
    /// not there.
    pub fn commit(
        self: &Arc<Self>,
        committer: Committer<'_>,
        txn: Option<TxnWriter>,
        writes: Vec<OffsetWrite>,
        done: impl FnOnce(Vec<Option<E>>) + Send + 'static,
    ) {
        let Committer { group, generation, .. } = committer;
        let mut results: Vec<Option<E>> = writes.iter().map(|w| self.is_unknown(w)).collect();
        fn refuse(results: &mut [Option<E>], error: E) {
            results.iter_mut().filter(|r| r.is_none()).for_each(|r| *r = Some(error));
        }
        if results.iter().all(Option::is_some) {
            return done(results);
        }
        let slot = match self.slot(group) {
            Some(slot) => Ok(slot),
            None if generation < 0 => Ok(self.slot_or_new(group)),
            None => Err(E::GroupIdNotFound),
        };
        let (slot, partition) = match slot.and_then(|slot| Ok((slot, self.partition_for(group)?))) {
            Ok(found) => found,
            Err(error) => {
                refuse(&mut results, error);
                return done(results);
            }
        };
        let mut locked = slot.lock();
        if let Err(error) = locked.check_commit(self.alarm.now(), committer, txn.is_some()) {
            drop(locked);
            refuse(&mut results, error);
            return done(results);
        }
        let too_large = |w: &OffsetWrite| w.metadata.len() > self.settings.max_metadata_bytes;
        for (result, write) in results.iter_mut().zip(&writes) {
            if result.is_none() && too_large(write) {
                *result = Some(E::OffsetMetadataTooLarge);
            }
        }
        if results.iter().all(Option::is_some) {
            drop(locked);
            return done(results);
        }
        let now = now_ms();
        let mut batch = BatchBuilder::new();
        let mut accepted: Vec<(Place, Committed)> = Vec::with_capacity(writes.len());
        for (write, _) in writes.into_iter().zip(&results).filter(|(_, r)| r.is_none()) {
            let value = Committed {
                offset: write.offset,
                leader_epoch: write.leader_epoch,
                metadata: write.metadata,
                committed_ms: now,
            };
            let key = offset_records::offset_key(group, &write.topic, write.partition);
            batch.append(
                now,
                Some(&key),
                Some(&offset_records::offset_value(&OffsetValue::from(&value))),
                &[],
            );
            accepted.push(((write.topic, write.partition), value));
        }
        let appended = match txn {
            Some(txn) => partition.append_for(txn.producer_id, txn.epoch, batch),
            None => partition.append(batch.build()),
        };
        let appended = match appended {
            Ok(appended) => appended,
            Err(error) => {
                drop(locked);
                tracing::error!(group, %error, "cannot store offsets");
                let code = code_of(&error);
                let code = if code == E::KafkaStorageError { E::CoordinatorNotAvailable } else { code };
                results.iter_mut().filter(|r| r.is_none()).for_each(|r| *r = Some(code));
                return done(results);
            }
        };
        self.topics.counters().coordinated_many(Coordinated::OffsetCommit, accepted.len() as u64);
        if let Some(txn) = txn {
            for (i, (place, value)) in accepted.drain(..).enumerate() {
                locked.offsets.add_pending(txn.producer_id, place, appended.base_offset + i as i64, value);
            }
            self.by_producer.lock().entry(txn.producer_id).or_default().insert(group.to_owned());
        }
        locked.in_flight += 1;
        drop(locked);
        partition.when_durable(appended.last_offset + 1, move |durable| {
            let mut slot = slot.lock();
            slot.in_flight -= 1;
            if durable.is_err() {
                results
                    .iter_mut()
                    .filter(|r| r.is_none())
                    .for_each(|r| *r = Some(E::CoordinatorNotAvailable));
            } else {
                for (i, (place, value)) in accepted.into_iter().enumerate() {
                    slot.offsets.apply(place, appended.base_offset + i as i64, Some(value));
                }
            }
            drop(slot);
            done(results);
        });
    }

    fn is_unknown(&self, write: &OffsetWrite) -> Option<E> {
        self.topics.partition(&write.topic, write.partition).is_none().then_some(E::UnknownTopicOrPartition)
    }

    /// The transaction of a producer has ended in this partition of `__consumer_offsets`, by the marker at `at`.
    pub(crate) fn end_txn(&self, producer_id: i64, commit: bool, at: i64) {
        let groups = self.by_producer.lock().remove(&producer_id).unwrap_or_default();
        for group in groups {
            if let Some(slot) = self.slot(&group) {
                slot.lock().offsets.end_txn(producer_id, commit, at);
            }
        }
    }

    /// One committed offset; `Err(UnstableOffsetCommit)` where `stable` is required and a transaction may change it.
    pub fn committed(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
        stable: bool,
    ) -> Result<Option<Committed>, E> {
        let Some(slot) = self.slot(group) else { return Ok(None) };
        let slot = slot.lock();
        let place = (topic.to_owned(), partition);
        if stable && slot.offsets.is_pending(&place) {
            return Err(E::UnstableOffsetCommit);
        }
        Ok(slot.offsets.get(&place).cloned())
    }

    /// The places for which the group has offsets, by topic.
    pub fn committed_places(&self, group: &str) -> BTreeMap<String, Vec<i32>> {
        let mut places: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        if let Some(slot) = self.slot(group) {
            for ((topic, partition), _) in slot.lock().offsets.iter() {
                places.entry(topic.clone()).or_default().push(*partition);
            }
        }
        places
    }

    /// Whether a member may fetch offsets at this epoch (consumer protocol); without id and epoch anybody may.
    pub fn check_fetch(&self, group: &str, member_id: Option<&str>, epoch: i32) -> Result<(), GroupError> {
        self.slot(group).map_or(Ok(()), |slot| slot.lock().check_fetch(group, member_id, epoch))
    }

    /// Deletes offsets; `done` gets one result for each place, in their order, when that is durable, or what is wrong with the
    /// group. Offsets of topics that members subscribe to stay (`GroupSubscribedToTopic`).
    pub fn delete_offsets(
        &self,
        group: &str,
        places: Vec<(String, i32)>,
        done: impl FnOnce(Result<Vec<Option<E>>, E>) + Send + 'static,
    ) {
        let Some(slot) = self.slot(group) else { return done(Err(E::GroupIdNotFound)) };
        let mut locked = slot.lock();
        if let Err(error) = locked.check_delete_offsets() {
            drop(locked);
            return done(Err(error));
        }
        let results: Vec<Option<E>> = places
            .iter()
            .map(|(topic, _)| locked.is_subscribed(topic).then_some(E::GroupSubscribedToTopic))
            .collect();
        let gone: Vec<Place> = places
            .into_iter()
            .zip(&results)
            .filter(|(place, refused)| {
                refused.is_none() && (locked.offsets.get(place).is_some() || locked.offsets.is_pending(place))
            })
            .map(|(place, _)| place)
            .collect();
        let keys = gone.iter().map(|(t, p)| (offset_records::offset_key(group, t, *p), None)).collect();
        match self.append(group, keys) {
            Err(error) => {
                drop(locked);
                done(Err(error));
            }
            Ok((partition, end)) => {
                self.topics.counters().coordinated_many(Coordinated::OffsetDeletion, gone.len() as u64);
                gone.into_iter().for_each(|place| locked.offsets.delete(place, end - 1));
                drop(locked);
                partition.when_durable(end, move |durable| {
                    done(durable.map(|_| results).map_err(|_| E::CoordinatorNotAvailable));
                });
            }
        }
    }
}
