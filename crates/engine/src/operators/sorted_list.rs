//! The rows of one key in order, in blocks with zone maps: for each pruning expression the least and greatest value of the block.
//!
//! ```text
//!  block: first, last, zones [min..max of start, min..max of end]  rows [t0 7, t1 3, ..]  values [start end, start end, ..]
//! ```
//! A probe finds the first block by binary search, passes over blocks whose zones cannot hold a match, and tests the rest on the
//! encoded values. What it yields is a superset of the matches. Rows mostly come in order and leave in order: a row at the end
//! touches the last block only, and a block is let go of as a whole, its rows below the bound being out of sight before. What decides
//! whether a block is looked into lies in the block itself: with millions of rows each step to other memory is a cache miss.

use std::collections::VecDeque;

/// Rows a block holds at most: as many as a `u64` has bits.
const BLOCK: usize = 64;
/// Expressions with zones: the first ones.
const ZONES: usize = 2;

type Zone = (u128, u128);
const NOTHING: Zone = (u128::MAX, 0);

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
    #[inline]
    fn holds_in(&self, (least, greatest): Zone) -> bool {
        match self.relation {
            Relation::AtLeast => greatest >= self.value,
            Relation::AtMost => least <= self.value,
            Relation::Equal => least <= self.value && self.value <= greatest,
        }
    }
}

#[derive(Debug)]
struct Block<K> {
    first: K,
    last: K,
    /// Keys and ids, in the order of keys.
    rows: Vec<(K, u32)>,
    zones: [Zone; ZONES],
    /// Values a row.
    stride: usize,
    values: Vec<u128>,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct SortedList<K> {
    blocks: VecDeque<Block<K>>,
    /// Rows with a key below it are evicted.
    floor: Option<K>,
}

impl<K> Default for SortedList<K> {
    fn default() -> Self {
        Self { blocks: VecDeque::new(), floor: None }
    }
}

fn widen(zones: &mut [Zone; ZONES], values: &[u128]) {
    for (zone, value) in zones.iter_mut().zip(values) {
        *zone = (zone.0.min(*value), zone.1.max(*value));
    }
}

impl<K: Ord + Copy> Block<K> {
    fn single(key: K, id: u32, values: &[u128]) -> Self {
        let mut zones = [NOTHING; ZONES];
        widen(&mut zones, values);
        Self {
            first: key,
            last: key,
            rows: vec![(key, id)],
            zones,
            stride: values.len(),
            values: values.to_vec(),
        }
    }

    fn may_meet(&self, tests: &[Test]) -> bool {
        tests.iter().all(|t| self.zones.get(t.place).is_none_or(|zone| t.holds_in(*zone)))
    }

    fn insert(&mut self, key: K, id: u32, values: &[u128]) {
        if key >= self.last {
            self.rows.push((key, id));
            self.values.extend_from_slice(values);
            self.last = key;
        } else {
            let row = self.rows.partition_point(|r| r.0 <= key);
            self.rows.insert(row, (key, id));
            let at = row * self.stride;
            self.values.splice(at..at, values.iter().copied());
            self.first = self.first.min(key);
        }
        widen(&mut self.zones, values);
    }

    fn split(&mut self) -> Self {
        let half = self.rows.len() / 2;
        let rows = self.rows.split_off(half);
        let values = self.values.split_off(half * self.stride);
        let (first, last, stride) = (self.first, self.last, self.stride);
        let mut upper = Self { first, last, rows, zones: [NOTHING; ZONES], stride, values };
        upper.settle();
        self.settle();
        upper
    }

    /// Works out ends and zones again.
    fn settle(&mut self) {
        if let (Some(first), Some(last)) = (self.rows.first(), self.rows.last()) {
            (self.first, self.last) = (first.0, last.0);
        }
        self.zones = [NOTHING; ZONES];
        for row in self.values.chunks_exact(self.stride.max(1)) {
            widen(&mut self.zones, row);
        }
    }

    fn remove(&mut self, row: usize) -> u32 {
        let at = row * self.stride;
        self.values.drain(at..at + self.stride);
        let (_, id) = self.rows.remove(row);
        self.settle();
        id
    }

    /// The rows that meet all tests, one bit each.
    fn matches(&self, tests: &[Test]) -> u64 {
        let mut mask = u64::MAX >> (BLOCK - self.rows.len());
        for test in tests {
            let column = Column { values: &self.values, stride: self.stride, place: test.place };
            mask = match test.relation {
                Relation::AtLeast => column.keep(mask, |v| v >= test.value),
                Relation::AtMost => column.keep(mask, |v| v <= test.value),
                Relation::Equal => column.keep(mask, |v| v == test.value),
            };
        }
        mask
    }
}

/// One value of each row of a block.
struct Column<'a> {
    values: &'a [u128],
    stride: usize,
    place: usize,
}

impl Column<'_> {
    /// The rows of `mask` whose value holds.
    #[inline]
    fn keep(&self, mask: u64, holds: impl Fn(u128) -> bool) -> u64 {
        let (mut kept, mut left) = (0, mask);
        while left != 0 {
            let row = left.trailing_zeros() as usize;
            let value = self.values[row * self.stride + self.place];
            kept |= u64::from(holds(value)) << row;
            left &= left - 1;
        }
        kept
    }
}

impl<K: Ord + Copy> SortedList<K> {
    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Puts a row in, behind those of an equal key. Its key is not below a bound of [`SortedList::evict_below`].
    pub(crate) fn insert(&mut self, key: K, id: u32, values: &[u128]) {
        let place = match self.blocks.back() {
            Some(last) if last.last <= key => self.blocks.len() - 1,
            _ => self.blocks.partition_point(|b| b.first <= key).saturating_sub(1),
        };
        let at_end = place + 1 >= self.blocks.len();
        let Some(block) = self.blocks.get_mut(place) else {
            self.blocks.push_back(Block::single(key, id, values));
            return;
        };
        if block.rows.len() < BLOCK {
            block.insert(key, id, values);
        } else if at_end && block.last <= key {
            self.blocks.push_back(Block::single(key, id, values));
        } else {
            let mut upper = block.split();
            let target = if upper.first <= key { &mut upper } else { block };
            target.insert(key, id, values);
            self.blocks.insert(place + 1, upper);
        }
    }

    /// Takes out the rows with a key below `bound`. Bounds only rise.
    pub(crate) fn evict_below(&mut self, bound: K) {
        while self.blocks.front().is_some_and(|b| b.last < bound) {
            self.blocks.pop_front();
        }
        self.floor = self.floor.max(Some(bound));
    }

    /// Takes out one row of this key and gives its id.
    pub(crate) fn remove(&mut self, key: K) -> Option<u32> {
        let place = self.blocks.partition_point(|b| b.last < key);
        let block = self.blocks.get_mut(place)?;
        let row = block.rows.binary_search_by(|r| r.0.cmp(&key)).ok()?;
        if block.rows.len() > 1 {
            return Some(block.remove(row));
        }
        self.blocks.remove(place)?.rows.first().map(|r| r.1)
    }

    /// The ids of the rows with a key in `low..=high` that may meet all tests, in order.
    pub(crate) fn probe(&self, low: K, high: K, tests: &[Test], mut found: impl FnMut(u32)) {
        let low = self.floor.map_or(low, |floor| floor.max(low));
        let first = self.blocks.partition_point(|b| b.last < low);
        for block in self.blocks.range(first..) {
            if block.first > high {
                return;
            }
            if !block.may_meet(tests) {
                continue;
            }
            let mut rows = block.matches(tests);
            while rows != 0 {
                let (key, id) = block.rows[rows.trailing_zeros() as usize];
                if low <= key && key <= high {
                    found(id);
                }
                rows &= rows - 1;
            }
        }
    }
}
