//! Which transactional batches and markers compaction may drop.

use std::collections::{HashMap, HashSet};

use crate::AbortedTxn;
use crate::batch::{BatchHeader, ControlMarker};

/// Follows the decided transactions of a log from its first batch on.
pub(super) struct Transactions {
    /// Aborted ones that do not begin before the batches seen, last first.
    coming: Vec<AbortedTxn>,
    /// Producer -> whether a batch of its aborted transaction was seen.
    aborted: HashMap<i64, bool>,
    /// Producers with a batch of a transaction that was committed.
    committed: HashSet<i64>,
}

impl Transactions {
    /// `aborted`: all that overlap the batches that come.
    pub(super) fn new(mut aborted: Vec<AbortedTxn>) -> Self {
        aborted.sort_unstable_by_key(|txn| std::cmp::Reverse(txn.first_offset));
        Transactions { coming: aborted, aborted: HashMap::new(), committed: HashSet::new() }
    }

    fn begin_up_to(&mut self, offset: i64) {
        while let Some(txn) = self.coming.pop_if(|txn| txn.first_offset <= offset) {
            self.aborted.entry(txn.producer_id).or_insert(false);
        }
    }

    /// The next data batch: whether its transaction was aborted.
    pub(super) fn is_aborted(&mut self, header: &BatchHeader) -> bool {
        self.begin_up_to(header.last_offset());
        if !header.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&header.producer_id) {
            Some(seen) => {
                *seen = true;
                true
            }
            None => {
                self.committed.insert(header.producer_id);
                false
            }
        }
    }

    /// The next control batch: whether nothing is left of the transaction that it ends. Other control records stay. A batch
    /// without a record is what compaction left of a marker: it ends a transaction as that did.
    pub(super) fn is_spent(&mut self, header: &BatchHeader, marker: Option<&ControlMarker>) -> bool {
        self.begin_up_to(header.last_offset());
        match marker {
            None if header.record_count == 0 => {
                self.committed.remove(&header.producer_id);
                self.aborted.remove(&header.producer_id);
                true
            }
            None => false,
            Some(ControlMarker { commit: true, .. }) => !self.committed.remove(&header.producer_id),
            Some(_) => !self.aborted.remove(&header.producer_id).unwrap_or(false),
        }
    }
}
