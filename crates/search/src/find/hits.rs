//! The best hits: of a segment, then of all.

use std::cmp::Ordering;

use tantivy::DocAddress;

use super::sort::{Columns, Key, Sort, compare_all};
use crate::error::EsResult;

/// A document that matched.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    /// The index it is in, as the search counts them.
    pub(crate) index: usize,
    pub(crate) at: DocAddress,
    pub(crate) score: f32,
    pub(crate) keys: Vec<Key>,
    seq: u64,
}

/// The first so many hits of an order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Top {
    pub(crate) size: usize,
    pub(crate) hits: Vec<Hit>,
    /// How many there were to choose from.
    pub(crate) matched: u64,
}

/// One segment on the way into a [`Top`].
pub(crate) struct SegmentTop<'a> {
    sorts: &'a [Sort],
    columns: &'a Columns,
    after: Option<&'a [Key]>,
    size: usize,
    index: usize,
    segment: u32,
    /// A heap: the last of the kept hits is at the root.
    heap: Vec<Hit>,
    keys: Vec<Key>,
    matched: u64,
}

fn order(sorts: &[Sort], a: &Hit, b: &Hit) -> Ordering {
    compare_all(sorts, &a.keys, &b.keys).then(a.index.cmp(&b.index)).then(a.seq.cmp(&b.seq))
}

impl<'a> SegmentTop<'a> {
    pub(crate) fn new(
        sorts: &'a [Sort],
        columns: &'a Columns,
        after: Option<&'a [Key]>,
        size: usize,
        index: usize,
        segment: u32,
    ) -> SegmentTop<'a> {
        SegmentTop {
            sorts,
            columns,
            after,
            size,
            index,
            segment,
            heap: Vec::new(),
            keys: Vec::new(),
            matched: 0,
        }
    }

    pub(crate) fn collect(&mut self, doc: u32, score: f32) {
        self.matched += 1;
        let mut keys = std::mem::take(&mut self.keys);
        self.columns.keys(self.sorts, doc, score, &mut keys);
        let skipped = self.after.is_some_and(|after| compare_all(self.sorts, &keys, after).is_le());
        let full = self.heap.len() >= self.size;
        let beaten = full
            && self.heap.first().is_none_or(|worst| {
                // Only among equals the sequence number is needed.
                let order = compare_all(self.sorts, &keys, &worst.keys);
                order.is_gt() || (order.is_eq() && self.columns.seq(doc) > worst.seq)
            });
        if skipped || beaten {
            self.keys = keys;
            return;
        }
        let at = DocAddress::new(self.segment, doc);
        let hit = Hit { index: self.index, at, score, seq: self.columns.seq(doc), keys };
        if full {
            if let Some(worst) = self.heap.first_mut() {
                self.keys = std::mem::replace(worst, hit).keys;
            }
            self.sift_down();
        } else {
            self.heap.push(hit);
            self.sift_up();
        }
    }

    fn greater(&self, a: usize, b: usize) -> bool {
        match (self.heap.get(a), self.heap.get(b)) {
            (Some(a), Some(b)) => order(self.sorts, a, b).is_gt(),
            _ => false,
        }
    }

    fn sift_up(&mut self) {
        let mut at = self.heap.len() - 1;
        while at > 0 {
            let parent = (at - 1) / 2;
            if !self.greater(at, parent) {
                return;
            }
            self.heap.swap(at, parent);
            at = parent;
        }
    }

    fn sift_down(&mut self) {
        let mut at = 0;
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let mut greatest = at;
            for child in [left, right] {
                if self.greater(child, greatest) {
                    greatest = child;
                }
            }
            if greatest == at {
                return;
            }
            self.heap.swap(at, greatest);
            at = greatest;
        }
    }

    /// The kept hits, comparable with those of other segments.
    pub(crate) fn finish(self, top: &mut Top, sorts: &[Sort]) -> EsResult<()> {
        top.matched += self.matched;
        for mut hit in self.heap {
            hit.keys = self.columns.resolve(&hit.keys)?;
            top.hits.push(hit);
        }
        top.trim(sorts);
        Ok(())
    }
}

impl Top {
    pub(crate) fn new(size: usize) -> Top {
        Top { size, ..Top::default() }
    }

    /// Takes the hits of another in.
    pub(crate) fn merge(&mut self, other: Top, sorts: &[Sort]) {
        self.size = self.size.max(other.size);
        self.matched += other.matched;
        self.hits.extend(other.hits);
        self.trim(sorts);
    }

    fn trim(&mut self, sorts: &[Sort]) {
        self.hits.sort_by(|a, b| order(sorts, a, b));
        self.hits.truncate(self.size);
    }
}
