//! What is known of documents beside the searchable index: changes that searches do not see yet, and deletes of late.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

/// Most deletes that are remembered; beyond it the oldest are forgotten early.
const MAX_TOMBSTONES: usize = 500_000;

/// The state of a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Known {
    pub(crate) seq: u64,
    pub(crate) version: u64,
    /// Its source; none if it was deleted.
    pub(crate) source: Option<Bytes>,
    /// When, ms since 1970.
    pub(crate) time: i64,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Versions {
    /// Not searchable yet.
    live: HashMap<Arc<str>, Known>,
    /// Changes in order.
    order: VecDeque<(u64, Arc<str>)>,
    /// Deletes, also when the index no longer shows the document.
    deleted: HashMap<Arc<str>, Known>,
    deleted_order: VecDeque<(u64, Arc<str>)>,
    bytes: usize,
}

fn size(id: &str, known: &Known) -> usize {
    128 + id.len() + known.source.as_ref().map_or(0, Bytes::len)
}

impl Versions {
    /// What is known of a document, if anything: else the searchable index tells.
    pub(crate) fn get(&self, id: &str) -> Option<&Known> {
        self.live.get(id).or_else(|| self.deleted.get(id))
    }

    /// Notes a change; returns what it replaces, for [`Versions::undo`].
    pub(crate) fn set(&mut self, id: &Arc<str>, known: Known) -> Option<Known> {
        self.order.push_back((known.seq, id.clone()));
        if known.source.is_none() {
            self.remember(id, known.clone());
        } else {
            self.deleted.remove(id);
        }
        self.bytes += size(id, &known);
        let before = self.live.insert(id.clone(), known);
        if let Some(before) = &before {
            self.bytes = self.bytes.saturating_sub(size(id, before));
        }
        before
    }

    /// Takes the newest [`Versions::set`] back.
    pub(crate) fn undo(&mut self, id: &Arc<str>, before: Option<Known>, deleted_before: Option<Known>) {
        self.order.pop_back();
        if let Some(known) = self.live.remove(id) {
            self.bytes = self.bytes.saturating_sub(size(id, &known));
        }
        if let Some(before) = before {
            self.bytes += size(id, &before);
            self.live.insert(id.clone(), before);
        }
        self.deleted.remove(id);
        if let Some(before) = deleted_before {
            self.deleted.insert(id.clone(), before);
        }
    }

    /// The remembered delete of a document.
    pub(crate) fn deleted(&self, id: &str) -> Option<Known> {
        self.deleted.get(id).cloned()
    }

    /// Notes a delete that the index already has.
    pub(crate) fn remember(&mut self, id: &Arc<str>, known: Known) {
        self.deleted_order.push_back((known.seq, id.clone()));
        self.deleted.insert(id.clone(), known);
    }

    /// Forgets the delete of a document that change `seq` wrote again.
    pub(crate) fn forget(&mut self, id: &str, seq: u64) {
        if self.deleted.get(id).is_some_and(|known| known.seq < seq) {
            self.deleted.remove(id);
        }
    }

    /// Changes up to `seq` are searchable now; deletes before `time` (ms since 1970) may be forgotten.
    pub(crate) fn visible(&mut self, seq: u64, time: i64) {
        while let Some((first, _)) = self.order.front()
            && *first <= seq
        {
            let Some((first, id)) = self.order.pop_front() else { break };
            if self.live.get(&id).is_some_and(|known| known.seq == first)
                && let Some(known) = self.live.remove(&id)
            {
                self.bytes = self.bytes.saturating_sub(size(&id, &known));
            }
        }
        while let Some((first, id)) = self.deleted_order.front() {
            let known = self.deleted.get(id).filter(|known| known.seq == *first);
            let due =
                known.is_none_or(|known| known.time < time || self.deleted_order.len() > MAX_TOMBSTONES);
            if !due || *first > seq {
                break;
            }
            if let Some((first, id)) = self.deleted_order.pop_front()
                && self.deleted.get(&id).is_some_and(|known| known.seq == first)
            {
                self.deleted.remove(&id);
            }
        }
    }

    /// The remembered deletes, in the order they were made.
    pub(crate) fn tombstones(&self) -> impl Iterator<Item = (&Arc<str>, &Known)> {
        self.deleted_order.iter().filter_map(|(seq, id)| {
            let known = self.deleted.get(id).filter(|known| known.seq == *seq)?;
            Some((id, known))
        })
    }

    /// Bytes of what waits to be searchable.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(seq: u64, source: Option<&'static str>) -> Known {
        Known {
            seq,
            version: seq + 1,
            source: source.map(|text| Bytes::from_static(text.as_bytes())),
            time: seq as i64,
        }
    }

    #[test]
    fn what_is_searchable_is_forgotten_and_deletes_later() {
        let mut versions = Versions::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        versions.set(&a, known(0, Some("{}")));
        versions.set(&b, known(1, None));
        versions.set(&a, known(2, Some("{}")));
        versions.visible(1, 0);
        assert_eq!(versions.get("a").map(|known| known.seq), Some(2), "its newest change is not searchable");
        assert_eq!(versions.get("b").map(|known| known.seq), Some(1));
        versions.visible(2, 1);
        assert_eq!(versions.get("a"), None);
        assert_eq!(versions.tombstones().count(), 1, "deletes are remembered for a time");
        assert_eq!(versions.bytes(), 0);
        versions.visible(2, 2);
        assert_eq!(versions.get("b"), None);
    }

    #[test]
    fn a_change_that_could_not_be_written_is_taken_back() {
        let mut versions = Versions::default();
        let id: Arc<str> = "a".into();
        versions.set(&id, known(0, None));
        let (deleted, bytes) = (versions.deleted("a"), versions.bytes());
        let before = versions.set(&id, known(1, Some("{\"n\":1}")));
        versions.undo(&id, before, deleted);
        assert_eq!(versions.get("a"), Some(&known(0, None)));
        assert_eq!(versions.bytes(), bytes);
        assert_eq!(versions.tombstones().count(), 1);
        versions.forget("a", 0);
        assert_eq!(versions.tombstones().count(), 1);
        versions.forget("a", 1);
        assert_eq!(versions.tombstones().count(), 0);
    }
}
