//! The rows of one key in order, in blocks with zone maps: for each pruning expression the least and greatest value of the block.
//!
//! ```text
//!  block: keys [t0 t1 ..]  ids [7 3 ..]  values [start end, start end, ..]  zones [min..max of start, min..max of end]
//! ```
//! A probe finds the first block by binary search, passes over blocks whose zones cannot hold a match, and tests the rest row by
//! row on the encoded values. What it yields is a superset of the matches.

use std::collections::VecDeque;

const BLOCK: usize = 64;

/// How a stored value must relate to the probing one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    /// stored >= probing
    AtLeast,
    /// stored <= probing
    AtMost,
    /// stored = probing
    Equal,
}

/// A necessary condition on a stored row: its value `place` relates to `value`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Test {
    pub(crate) place: usize,
    pub(crate) relation: Relation,
    pub(crate) value: u128,
}

impl Test {
    fn holds_in(&self, zone: (u128, u128)) -> bool {
        match self.relation {
            Relation::AtLeast => zone.1 >= self.value,
            Relation::AtMost => zone.0 <= self.value,
            Relation::Equal => zone.0 <= self.value && self.value <= zone.1,
        }
    }
}

#[derive(Debug)]
struct Block<K> {
    keys: Vec<K>,
    ids: Vec<u32>,
    /// `stride` values a row.
    values: Vec<u128>,
    zones: Vec<(u128, u128)>,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct SortedList<K> {
    blocks: VecDeque<Block<K>>,
}

impl<K> Default for SortedList<K> {
    fn default() -> Self {
        Self { blocks: VecDeque::new() }
    }
}

impl<K: Ord + Copy> Block<K> {
    fn single(key: K, id: u32, values: &[u128]) -> Self {
        let zones = values.iter().map(|v| (*v, *v)).collect();
        Self { keys: vec![key], ids: vec![id], values: values.to_vec(), zones }
    }

    fn insert(&mut self, key: K, id: u32, values: &[u128]) {
        let row = self.keys.partition_point(|k| *k <= key);
        self.keys.insert(row, key);
        self.ids.insert(row, id);
        let at = row * values.len();
        self.values.splice(at..at, values.iter().copied());
        for (zone, value) in self.zones.iter_mut().zip(values) {
            *zone = (zone.0.min(*value), zone.1.max(*value));
        }
    }

    fn split(&mut self) -> Self {
        let half = self.keys.len() / 2;
        let stride = self.zones.len();
        let mut upper = Self {
            keys: self.keys.split_off(half),
            ids: self.ids.split_off(half),
            values: self.values.split_off(half * stride),
            zones: Vec::new(),
        };
        upper.rezone(stride);
        self.rezone(stride);
        upper
    }

    fn rezone(&mut self, stride: usize) {
        self.zones.clear();
        self.zones.resize(stride, (u128::MAX, 0));
        for (i, value) in self.values.iter().enumerate() {
            let zone = &mut self.zones[i % stride];
            *zone = (zone.0.min(*value), zone.1.max(*value));
        }
    }

    fn drop_rows(&mut self, rows: std::ops::Range<usize>) {
        let stride = self.zones.len();
        self.keys.drain(rows.clone());
        self.ids.drain(rows.clone());
        self.values.drain(rows.start * stride..rows.end * stride);
        self.rezone(stride);
    }
}

impl<K: Ord + Copy> SortedList<K> {
    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Puts a row in, behind those of an equal key.
    pub(crate) fn insert(&mut self, key: K, id: u32, values: &[u128]) {
        let after = self.blocks.partition_point(|b| b.keys.first().is_some_and(|k| *k <= key));
        let place = after.saturating_sub(1);
        let at_end = place + 1 >= self.blocks.len();
        let Some(block) = self.blocks.get_mut(place) else {
            self.blocks.push_back(Block::single(key, id, values));
            return;
        };
        if block.keys.len() < BLOCK {
            block.insert(key, id, values);
        } else if at_end && block.keys.last().is_some_and(|k| *k <= key) {
            self.blocks.push_back(Block::single(key, id, values));
        } else {
            let mut upper = block.split();
            let target = if upper.keys.first().is_some_and(|k| *k <= key) { &mut upper } else { block };
            target.insert(key, id, values);
            self.blocks.insert(place + 1, upper);
        }
    }

    /// Takes out the rows with a key below `bound`.
    pub(crate) fn evict_below(&mut self, bound: K) {
        while self.blocks.front().and_then(|b| b.keys.last()).is_some_and(|k| *k < bound) {
            self.blocks.pop_front();
        }
        if let Some(block) = self.blocks.front_mut() {
            let rows = block.keys.partition_point(|k| *k < bound);
            if rows > 0 {
                block.drop_rows(0..rows);
            }
        }
    }

    /// Takes out one row of this key and gives its id.
    pub(crate) fn remove(&mut self, key: K) -> Option<u32> {
        let place = self.blocks.partition_point(|b| b.keys.last().is_some_and(|k| *k < key));
        let block = self.blocks.get_mut(place)?;
        let row = block.keys.binary_search(&key).ok()?;
        let id = block.ids[row];
        if block.keys.len() == 1 {
            self.blocks.remove(place);
        } else {
            block.drop_rows(row..row + 1);
        }
        Some(id)
    }

    /// The ids of the rows with a key in `low..=high` that may meet all tests, in order.
    pub(crate) fn probe(&self, low: K, high: K, tests: &[Test], mut found: impl FnMut(u32)) {
        let first = self.blocks.partition_point(|b| b.keys.last().is_some_and(|k| *k < low));
        for block in self.blocks.range(first..) {
            if block.keys.first().is_none_or(|k| *k > high) {
                return;
            }
            if !tests.iter().all(|t| t.holds_in(block.zones[t.place])) {
                continue;
            }
            let stride = block.zones.len();
            let from = block.keys.partition_point(|k| *k < low);
            let to = block.keys.partition_point(|k| *k <= high);
            for row in from..to {
                let value = |t: &Test| block.values[row * stride + t.place];
                if tests.iter().all(|t| t.holds_in((value(t), value(t)))) {
                    found(block.ids[row]);
                }
            }
        }
    }
}
