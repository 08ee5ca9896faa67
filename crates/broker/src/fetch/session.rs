//! An incremental fetch session (KIP-227): the partitions that a client reads, in the order in which they get their turn.

use super::Fetched;
use crate::partition::Partition;
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// How a client names a topic: by name up to version 12, by id from version 13 on (KIP-516).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum TopicKey {
    Name(Arc<str>),
    Id(Uuid),
}

/// A partition of a client's request.
pub(crate) type Key = (TopicKey, i32);

/// What a client asks of a partition until it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Params {
    pub offset: i64,
    pub max_bytes: i32,
    pub leader_epoch: i32,
    pub last_fetched_epoch: i32,
}

/// A partition of a session.
#[derive(Debug)]
struct Cached {
    key: Key,
    params: Params,
    /// Kept, so that it is not looked up for every request.
    partition: Option<Arc<Partition>>,
    /// As told to the client last; -1 after an error, so that the partition is told of again when that is over.
    high_watermark: i64,
    start_offset: i64,
    previous: usize,
    next: usize,
}

/// One session's partitions: a ring of slots. What gave records goes to its end, so that all get their turn though an answer has
/// room for some only.
#[derive(Debug, Default)]
pub(crate) struct FetchSession {
    pub(super) epoch: i32,
    by_key: HashMap<Key, usize>,
    slots: Vec<Option<Cached>>,
    free: Vec<usize>,
    /// The first in turn; `NONE` if there is none.
    first: usize,
}

const NONE: usize = usize::MAX;

/// A partition in its turn, with its slot.
pub(crate) struct Turn {
    pub key: Key,
    pub params: Params,
    pub partition: Option<Arc<Partition>>,
    pub slot: usize,
}

impl FetchSession {
    pub(super) fn new() -> Self {
        Self { epoch: 1, first: NONE, ..Self::default() }
    }

    /// Whether no other request came since that which set this epoch.
    pub(crate) fn is_at(&self, epoch: i32) -> bool {
        self.epoch == epoch
    }

    /// Partitions in it.
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether topics are named by id.
    pub(super) fn uses_ids(&self) -> bool {
        self.by_key.keys().next().is_some_and(|(topic, _)| matches!(topic, TopicKey::Id(_)))
    }

    /// Adds a partition, or changes what is asked of it.
    pub(super) fn set(&mut self, key: Key, params: Params) {
        if let Some(cached) = self.by_key.get(&key).and_then(|slot| self.slots.get_mut(*slot)) {
            if let Some(cached) = cached {
                cached.params = params;
            }
            return;
        }
        let cached = Cached {
            key: key.clone(),
            params,
            partition: None,
            high_watermark: -1,
            start_offset: -1,
            previous: NONE,
            next: NONE,
        };
        let slot = self.free.pop().unwrap_or(self.slots.len());
        match self.slots.get_mut(slot) {
            Some(place) => *place = Some(cached),
            None => self.slots.push(Some(cached)),
        }
        self.by_key.insert(key, slot);
        self.link_last(slot);
    }

    /// Takes a partition out.
    pub(super) fn forget(&mut self, key: &Key) {
        if let Some(slot) = self.by_key.remove(key) {
            self.unlink(slot);
            if let Some(place) = self.slots.get_mut(slot) {
                *place = None;
            }
            self.free.push(slot);
        }
    }

    /// All partitions in their turn.
    pub(crate) fn turns(&self) -> Vec<Turn> {
        let mut turns = Vec::with_capacity(self.len());
        let mut slot = self.first;
        while turns.len() < self.len() {
            let Some(cached) = self.at(slot) else { break };
            turns.push(Turn {
                key: cached.key.clone(),
                params: cached.params,
                partition: cached.partition.clone(),
                slot,
            });
            slot = cached.next;
        }
        turns
    }

    /// Keeps the partition that a key stands for.
    pub(crate) fn resolved(&mut self, slot: usize, partition: Option<&Arc<Partition>>) {
        if let Some(cached) = self.at_mut(slot) {
            cached.partition = partition.cloned();
        }
    }

    /// Notes what a partition gave; whether it is to be told of: when there are records, an error, or other marks than were told
    /// last. With records it is the last in turn from now on.
    pub(crate) fn note(&mut self, slot: usize, fetched: &Fetched) -> bool {
        let Some(cached) = self.at_mut(slot) else { return true };
        let found = match fetched {
            Ok(found) => found,
            Err(_) => {
                cached.high_watermark = -1;
                return true;
            }
        };
        let marks = (found.high_watermark, found.start_offset);
        let changed = (cached.high_watermark, cached.start_offset) != marks;
        (cached.high_watermark, cached.start_offset) = marks;
        if found.records.is_some() {
            self.unlink(slot);
            self.link_last(slot);
            return true;
        }
        changed || found.diverging.is_some()
    }

    fn at(&self, slot: usize) -> Option<&Cached> {
        self.slots.get(slot)?.as_ref()
    }

    fn at_mut(&mut self, slot: usize) -> Option<&mut Cached> {
        self.slots.get_mut(slot)?.as_mut()
    }

    fn join(&mut self, previous: usize, next: usize) {
        if let Some(cached) = self.at_mut(previous) {
            cached.next = next;
        }
        if let Some(cached) = self.at_mut(next) {
            cached.previous = previous;
        }
    }

    fn unlink(&mut self, slot: usize) {
        let Some((previous, next)) = self.at(slot).map(|c| (c.previous, c.next)) else { return };
        self.join(previous, next);
        if self.first == slot {
            self.first = if next == slot { NONE } else { next };
        }
    }

    fn link_last(&mut self, slot: usize) {
        match self.at(self.first).map(|first| first.previous) {
            Some(last) => {
                self.join(last, slot);
                let first = self.first;
                self.join(slot, first);
            }
            None => {
                self.first = slot;
                self.join(slot, slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(index: i32) -> Key {
        (TopicKey::Name("t".into()), index)
    }

    fn params(offset: i64) -> Params {
        Params { offset, max_bytes: 1, leader_epoch: -1, last_fetched_epoch: -1 }
    }

    fn order(session: &FetchSession) -> Vec<i32> {
        session.turns().iter().map(|turn| turn.key.1).collect()
    }

    proptest! {
        #[test]
        fn turns_are_those_of_a_list(actions in proptest::collection::vec((0..3u8, 0..6i32), 0..60)) {
            let (mut session, mut list) = (FetchSession::new(), Vec::<i32>::new());
            for (action, index) in actions {
                match action {
                    0 => {
                        session.set(key(index), params(0));
                        if !list.contains(&index) {
                            list.push(index);
                        }
                    }
                    1 => {
                        session.forget(&key(index));
                        list.retain(|i| *i != index);
                    }
                    _ => {
                        if let Some(slot) = session.by_key.get(&key(index)).copied() {
                            session.unlink(slot);
                            session.link_last(slot);
                            list.retain(|i| *i != index);
                            list.push(index);
                        }
                    }
                }
                prop_assert_eq!(order(&session), list.clone());
                prop_assert_eq!(session.len(), list.len());
            }
        }
    }

    #[test]
    fn a_partition_is_told_of_when_its_marks_change_and_after_errors() {
        let mut session = FetchSession::new();
        session.set(key(0), params(0));
        let slot = session.turns()[0].slot;
        let found = |high_watermark| {
            Ok(super::super::Found {
                records: None,
                high_watermark,
                last_stable_offset: 0,
                start_offset: 0,
                diverging: None,
            })
        };
        assert!(session.note(slot, &found(0)), "the first time");
        assert!(!session.note(slot, &found(0)));
        assert!(session.note(slot, &found(1)));
        assert!(session.note(slot, &Err(kafka_protocol::ResponseError::OffsetOutOfRange)));
        assert!(session.note(slot, &found(1)), "the error is over");
        assert!(!session.note(slot, &found(1)));
    }
}
