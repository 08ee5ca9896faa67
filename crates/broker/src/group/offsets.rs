//! The offsets of one group: committed ones, and those of transactions that are still open.

use crate::store::offset_records::OffsetValue;
use std::collections::HashMap;

/// (topic, partition).
pub(crate) type Place = (String, i32);

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// The leader epoch that came with it, -1 for none.
    pub leader_epoch: i32,
    /// The committer's own text.
    pub metadata: String,
    /// When it was committed, ms since epoch.
    pub committed_ms: i64,
}

impl From<OffsetValue> for Committed {
    fn from(value: OffsetValue) -> Self {
        Self {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata,
            committed_ms: value.timestamp,
        }
    }
}

impl From<&Committed> for OffsetValue {
    fn from(value: &Committed) -> Self {
        Self {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.clone(),
            timestamp: value.committed_ms,
        }
    }
}

/// The offsets of one group. Every change says at which offset of `__consumer_offsets` it stands, so that changes that become
/// durable out of order are applied as if in order.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    committed: HashMap<Place, (i64, Committed)>,
    /// By producer id.
    pending: HashMap<i64, HashMap<Place, (i64, Committed)>>,
}

impl Offsets {
    /// Sets (or with `None` removes) an offset by the record at `at`.
    pub(crate) fn apply(&mut self, place: Place, at: i64, value: Option<Committed>) {
        if self.committed.get(&place).is_some_and(|(newer, _)| *newer > at) {
            return;
        }
        match value {
            Some(value) => {
                self.committed.insert(place, (at, value));
            }
            None => {
                self.committed.remove(&place);
            }
        }
    }

    /// Removes an offset by the record at `at`, also from open transactions.
    pub(crate) fn delete(&mut self, place: Place, at: i64) {
        self.pending.values_mut().for_each(|pending| {
            pending.remove(&place);
        });
        self.apply(place, at, None);
    }

    /// An offset of an open transaction.
    pub(crate) fn add_pending(&mut self, producer_id: i64, place: Place, at: i64, value: Committed) {
        self.pending.entry(producer_id).or_default().insert(place, (at, value));
    }

    /// The producer's transaction has ended with the marker at `at`: its offsets count from there on, or never.
    pub(crate) fn end_txn(&mut self, producer_id: i64, commit: bool, at: i64) {
        for (place, (_, value)) in self.pending.remove(&producer_id).unwrap_or_default() {
            if commit {
                self.apply(place, at, Some(value));
            }
        }
    }

    /// Whether an open transaction may change this offset.
    pub(crate) fn is_pending(&self, place: &Place) -> bool {
        self.pending.values().any(|p| p.contains_key(place))
    }

    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(crate) fn get(&self, place: &Place) -> Option<&Committed> {
        self.committed.get(place).map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Place, &Committed)> {
        self.committed.iter().map(|(place, (_, value))| (place, value))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.committed.is_empty() && self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(offset: i64) -> Committed {
        Committed { offset, leader_epoch: -1, metadata: String::new(), committed_ms: 0 }
    }

    #[test]
    fn an_older_record_that_becomes_durable_later_changes_nothing() {
        let (mut offsets, place) = (Offsets::default(), ("t".to_owned(), 0));
        offsets.apply(place.clone(), 11, Some(to(2)));
        offsets.apply(place.clone(), 10, Some(to(1)));
        assert_eq!(offsets.get(&place), Some(&to(2)));
    }

    #[test]
    fn offsets_of_a_transaction_count_when_it_commits() {
        let (mut offsets, place) = (Offsets::default(), ("t".to_owned(), 0));
        for (commit, expected) in [(false, None), (true, Some(to(5)))] {
            offsets.add_pending(7, place.clone(), 20, to(5));
            assert!(offsets.is_pending(&place));
            assert_eq!(offsets.get(&place), None);
            offsets.end_txn(7, commit, 21);
            assert!(!offsets.is_pending(&place));
            assert_eq!(offsets.get(&place).cloned(), expected);
        }
        offsets.apply(place.clone(), 22, None);
        assert!(offsets.is_empty());
    }
}
