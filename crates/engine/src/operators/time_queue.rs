//! Rows by time, taken out up to a watermark: sorted runs, merged as in a binary counter, so that a row costs O(log n) in all
//! however far the streams' partitions are apart. [`PieceQueue`] is for those that need no order when they leave.

use std::collections::BTreeMap;

/// A row's time, arrival number and id: also the order in which rows come out.
pub(crate) type Timed = (i64, u64, u32);

/// A run of so many rows is left alone by one that lies wholly behind it, so that what has passed is freed piece by piece.
const FULL: usize = 16_384;

#[derive(Debug, Default)]
struct Run {
    items: Vec<Timed>,
    head: usize,
}

impl Run {
    fn rest(&self) -> &[Timed] {
        &self.items[self.head..]
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct TimeQueue {
    runs: Vec<Run>,
}

impl TimeQueue {
    /// Takes rows in, in any order.
    pub(crate) fn push_all(&mut self, mut items: Vec<Timed>) {
        if items.is_empty() {
            return;
        }
        if !items.is_sorted() {
            items.sort();
        }
        self.runs.push(Run { items, head: 0 });
        while let [.., before, last] = &self.runs[..]
            && before.rest().len() <= 2 * last.rest().len()
        {
            let in_order = before.items.last() <= last.rest().first();
            if in_order && before.rest().len() >= FULL {
                break;
            }
            let Some(last) = self.runs.pop() else { break };
            let Some(before) = self.runs.last_mut() else { break };
            before.items.drain(..before.head);
            before.head = 0;
            before.items.extend_from_slice(last.rest());
            if !in_order {
                // The standard sort finds the two runs and merges them.
                before.items.sort();
            }
        }
    }

    /// Takes out the rows that the watermark has passed, in order.
    pub(crate) fn drain_passed(&mut self, watermark: i64) -> Vec<Timed> {
        let mut passed: Vec<Timed> = Vec::new();
        let mut sources = 0;
        for run in &mut self.runs {
            let rest = run.rest();
            let count = match watermark {
                i64::MAX => rest.len(),
                w => rest.partition_point(|item| item.0 < w),
            };
            if count > 0 {
                sources += 1;
                passed.extend_from_slice(&rest[..count]);
                run.head += count;
                if 2 * run.head > run.items.len() {
                    run.items.drain(..run.head);
                    run.head = 0;
                }
            }
        }
        self.runs.retain(|run| !run.rest().is_empty());
        if sources > 1 {
            passed.sort();
        }
        passed
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.runs.iter().map(|r| r.items.capacity() * size_of::<Timed>()).sum()
    }
}

/// Rows of a [`PieceQueue`]'s piece at most.
const PIECE: usize = 1024;

/// Rows by time that need no order and no exact moment when they leave: four bytes a row. A piece of neighbours in time leaves
/// when the last of them has passed; none leaves before.
#[derive(Debug, Default)]
pub(crate) struct PieceQueue {
    /// By the greatest time in the piece, then a number.
    pieces: BTreeMap<(i64, u64), Vec<u32>>,
    next: u64,
    /// The piece that still takes rows, and its greatest time.
    open: Vec<u32>,
    open_until: i64,
    rows: usize,
}

impl PieceQueue {
    /// Takes rows in, in any order.
    pub(crate) fn push_all(&mut self, mut items: Vec<Timed>) {
        if !items.is_sorted() {
            items.sort_unstable();
        }
        self.rows += items.len();
        for (time, _, id) in items {
            self.open_until = if self.open.is_empty() { time } else { self.open_until.max(time) };
            self.open.push(id);
            if self.open.len() == PIECE {
                self.pieces.insert((self.open_until, self.next), std::mem::take(&mut self.open));
                self.next += 1;
            }
        }
    }

    /// Takes out rows that the watermark has passed, in no particular order.
    pub(crate) fn drain_passed(&mut self, watermark: i64) -> Vec<u32> {
        let has_passed = |time: i64| watermark == i64::MAX || time < watermark;
        let mut passed = Vec::new();
        while let Some(piece) = self.pieces.first_entry().filter(|piece| has_passed(piece.key().0)) {
            passed.append(&mut piece.remove());
        }
        if !self.open.is_empty() && has_passed(self.open_until) {
            passed.append(&mut self.open);
        }
        self.rows -= passed.len();
        passed
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.rows * 4 + self.pieces.len() * 48
    }
}
