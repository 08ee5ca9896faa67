//! `IntervalJoin`: two streams by equal keys, a range over both times, and a condition.
//!
//! ```text
//!  left row  ─▶ probe right's list of the key ─▶ pairs          left row t is held until right's watermark > t + after
//!     └──────▶ into left's list ◀── probed by right rows        right row t until left's watermark > t + before
//! ```
//! A row that leaves without ever having met a partner comes out with NULLs where its side is outer. A row that can match nothing
//! any more when it arrives is probed and never held. State in the changelog: both sides' rows, whether each has met a partner, and
//! the watermarks. That a row has left is not written: it follows from the watermarks.

use super::key_index::KeyIndex;
use super::logged_rows::{LoggedRows, corrupt};
use super::pairs::{JoinKeys, PIECE, Pair, PairCondition, any_null, columns_of_pairs, with_unmatched};
use super::prune::{Pruner, SideOf, Values};
use super::row_store::NONE;
use super::sorted_list::SortedList;
use super::time_queue::{PieceQueue, TimeQueue, Timed};
use crate::chunk::Chunk;
use crate::error::EngineError;
use crate::operator::{Operator, OperatorStats, Output, StateWriter};
use arrow_array::{Array, ArrayRef, Int64Array, UInt32Array, new_null_array};
use arrow_schema::DataType as ArrowType;
use bd_sql::expr::Expr;
use bd_sql::plan::JoinKind;
use std::sync::Arc;

/// One input of an interval join.
pub(crate) struct SideSpec {
    /// Its column types.
    pub(crate) types: Vec<ArrowType>,
    /// Its event-time column.
    pub(crate) time: usize,
}

/// When rows leave: those of an outer side come out then, in order; the others may stay a little.
enum Expiry {
    InOrder(TimeQueue),
    InPieces(PieceQueue),
}

impl Expiry {
    fn push_all(&mut self, items: Vec<Timed>) {
        match self {
            Self::InOrder(queue) => queue.push_all(items),
            Self::InPieces(queue) => queue.push_all(items),
        }
    }

    fn drain_passed(&mut self, bound: i64) -> Vec<u32> {
        match self {
            Self::InOrder(queue) => queue.drain_passed(bound).into_iter().map(|item| item.2).collect(),
            Self::InPieces(queue) => queue.drain_passed(bound),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::InOrder(queue) => queue.bytes(),
            Self::InPieces(queue) => queue.bytes(),
        }
    }
}

struct Side {
    types: Vec<ArrowType>,
    time: usize,
    of: SideOf,
    /// Rows without a partner come out.
    outer: bool,
    /// A row at `t` can meet partners up to `t + reach_ms`.
    reach_ms: i64,
    /// Partners of a row at `t` lie from `t - back_ms` on.
    back_ms: i64,
    watermark: i64,
    watermark_changed: bool,
    rows: LoggedRows,
    expiry: Expiry,
    /// By the row's id.
    keys: Vec<u32>,
}

/// See the module's documentation.
pub(crate) struct IntervalJoin {
    sides: [Side; 2],
    join_keys: JoinKeys,
    pruner: Pruner,
    condition: PairCondition,
    index: KeyIndex,
    /// Both sides' rows by key.
    lists: Vec<[SortedList<i64>; 2]>,
    restoring: bool,
    errors: u64,
}

impl IntervalJoin {
    pub(crate) fn new(
        left: SideSpec,
        right: SideSpec,
        kind: JoinKind,
        keys: &[(usize, usize)],
        (before_ms, after_ms): (i64, i64),
        condition: Option<&Expr>,
    ) -> Result<Self, EngineError> {
        let join_keys = JoinKeys::new(keys, &left.types, &right.types);
        let pruner = Pruner::new(condition, left.types.len())?;
        let condition = PairCondition::new(condition, left.types.len(), right.types.len())?;
        let side = |spec: SideSpec, of, outer, reach_ms, back_ms, prefix| -> Result<Side, EngineError> {
            Ok(Side {
                rows: LoggedRows::new(spec.types.clone(), prefix)?,
                types: spec.types,
                time: spec.time,
                of,
                outer,
                reach_ms,
                back_ms,
                watermark: i64::MIN,
                watermark_changed: false,
                expiry: if outer {
                    Expiry::InOrder(TimeQueue::default())
                } else {
                    Expiry::InPieces(PieceQueue::default())
                },
                keys: Vec::new(),
            })
        };
        let left_outer = matches!(kind, JoinKind::Left | JoinKind::Full);
        let right_outer = matches!(kind, JoinKind::Right | JoinKind::Full);
        Ok(Self {
            sides: [
                side(left, SideOf::Left, left_outer, after_ms, before_ms, b'l')?,
                side(right, SideOf::Right, right_outer, before_ms, after_ms, b'r')?,
            ],
            index: KeyIndex::new(join_keys.types())?,
            join_keys,
            pruner,
            condition,
            lists: Vec::new(),
            restoring: false,
            errors: 0,
        })
    }

    /// Takes rows into a side's state; they have keys without NULL. `values` are those of the rows numbered `rows`.
    fn hold(
        &mut self,
        port: usize,
        columns: Vec<ArrayRef>,
        matched: &[bool],
        (values, rows): (&Values, &[u32]),
    ) -> Result<(), EngineError> {
        let len = matched.len();
        let ids = self.sides[port].rows.append(columns.clone(), len)?;
        for (id, _) in ids.iter().zip(matched).filter(|(_, m)| **m) {
            self.sides[port].rows.mark(*id);
        }
        self.enlist(port, &columns, &ids, (values, rows))
    }

    /// Puts held rows into their keys' lists.
    fn enlist(
        &mut self,
        port: usize,
        columns: &[ArrayRef],
        ids: &[u32],
        (values, rows): (&Values, &[u32]),
    ) -> Result<(), EngineError> {
        let side = &mut self.sides[port];
        let keys = self.index.ids(&self.join_keys.of(side.of, columns)?, ids.len())?;
        self.lists.resize_with(self.index.capacity(), Default::default);
        side.keys.resize(side.rows.store.capacity(), NONE);
        let times = times(columns, side.time)?;
        let mut stored = Vec::new();
        let mut items = Vec::with_capacity(ids.len());
        for (place, ((id, key), row)) in ids.iter().zip(keys).zip(rows).enumerate() {
            values.stored(*row as usize, &mut stored);
            self.lists[key as usize][port].insert(times.value(place), *id, &stored);
            side.keys[*id as usize] = key;
            items.push((times.value(place), side.rows.arrival(*id), *id));
        }
        side.expiry.push_all(items);
        Ok(())
    }

    /// The output's columns for rows of `port`'s side with those of the other.
    fn combine(
        &self,
        port: usize,
        own: Vec<ArrayRef>,
        other: Vec<ArrayRef>,
    ) -> Result<Vec<ArrayRef>, EngineError> {
        let own_times = times(&own, self.sides[port].time)?;
        let other_times = times(&other, self.sides[1 - port].time)?;
        let later = own_times.iter().zip(&other_times).map(|(a, b)| a.max(b)).collect::<Int64Array>();
        let (mut columns, last) = if port == 0 { (own, other) } else { (other, own) };
        columns.extend(last);
        columns.push(Arc::new(later));
        Ok(columns)
    }

    /// Lets go of the rows of a side that the other side's watermark has passed.
    fn evict(&mut self, port: usize, out: &mut Output) -> Result<(), EngineError> {
        let other_watermark = self.sides[1 - port].watermark;
        let side = &mut self.sides[port];
        // t + reach < W
        let bound = if other_watermark == i64::MAX {
            i64::MAX
        } else {
            other_watermark.saturating_sub(side.reach_ms)
        };
        let passed = side.expiry.drain_passed(bound);
        if passed.is_empty() {
            return Ok(());
        }
        let mut alone = Vec::new();
        for id in &passed {
            if side.outer && !side.rows.is_marked(*id) {
                alone.push(*id);
            }
            let key = side.keys[*id as usize];
            let lists = &mut self.lists[key as usize];
            if other_watermark == i64::MAX {
                lists[port] = SortedList::default();
            } else {
                lists[port].evict_below(bound);
            }
            if lists[0].is_empty() && lists[1].is_empty() {
                self.index.remove(key);
            }
        }
        for piece in alone.chunks(PIECE) {
            let own = self.sides[port].rows.store.gather(piece)?;
            let nulls = self.sides[1 - port].types.iter().map(|t| new_null_array(t, piece.len())).collect();
            out.push(Chunk::inserts(self.combine(port, own, nulls)?, piece.len()));
        }
        self.sides[port].rows.expire(&passed)
    }

    fn finish_restore(&mut self) -> Result<(), EngineError> {
        if !std::mem::take(&mut self.restoring) {
            return Ok(());
        }
        for port in 0..2 {
            let ids = self.sides[port].rows.finish_restore()?;
            let columns = self.sides[port].rows.store.gather(&ids)?;
            let values = self.pruner.values(self.sides[port].of, &columns, ids.len(), &mut 0)?;
            let rows: Vec<u32> = (0..ids.len() as u32).collect();
            self.enlist(port, &columns, &ids, (&values, &rows))?;
        }
        for port in 0..2 {
            // What had left came out then.
            self.evict(port, &mut Output::default())?;
        }
        Ok(())
    }

    fn join(&mut self, port: usize, chunk: &Chunk, out: &mut Output) -> Result<(), EngineError> {
        let other = 1 - port;
        let side = &self.sides[port];
        let times = times(&chunk.columns, side.time)?;
        let key_columns = self.join_keys.of(side.of, &chunk.columns)?;
        let keys = self.index.find(&key_columns, chunk.len)?;
        let values = self.pruner.values(side.of, &chunk.columns, chunk.len, &mut self.errors)?;
        let ended = self.sides[other].watermark;
        let stored = &self.sides[other].rows.store;
        let mut pairs: Vec<Pair> = Vec::new();
        let mut candidates: Vec<Pair> = Vec::new();
        let mut tests = Vec::new();
        // Whether a row can still meet partners that are to come.
        let mut held = vec![false; chunk.len];
        for (row, key) in keys.into_iter().enumerate() {
            let time = times.value(row);
            let has_key = !any_null(&key_columns, row);
            held[row] = has_key && ended != i64::MAX && ended <= time.saturating_add(side.reach_ms);
            if has_key && key != NONE && self.pruner.tests(side.of, &values, row, &mut tests) {
                let range = (time.saturating_sub(side.back_ms), time.saturating_add(side.reach_ms));
                let list = &self.lists[key as usize][other];
                list.probe(range.0, range.1, &tests, |id| candidates.push((row as u32, id)));
            }
            if candidates.len() >= PIECE || row + 1 == chunk.len {
                self.condition.keep(side.of, chunk, stored, &mut candidates, &mut self.errors)?;
                pairs.append(&mut candidates);
            }
        }
        let mut matched = vec![false; chunk.len];
        for (row, id) in &pairs {
            matched[*row as usize] = true;
            if self.sides[other].outer {
                self.sides[other].rows.mark(*id);
            }
        }
        if self.sides[port].outer {
            pairs = with_unmatched(pairs, chunk.len, |row| !held[row]);
        }
        for piece in pairs.chunks(PIECE) {
            let (own, partners) = columns_of_pairs(piece, chunk, &self.sides[other].rows.store)?;
            out.push(Chunk::inserts(self.combine(port, own, partners)?, piece.len()));
        }
        let rows: Vec<u32> = (0..chunk.len as u32).filter(|row| held[*row as usize]).collect();
        let outer = self.sides[port].outer;
        let matched: Vec<bool> = rows.iter().map(|row| outer && matched[*row as usize]).collect();
        let columns = if rows.len() == chunk.len {
            chunk.columns.clone()
        } else {
            chunk.take(&UInt32Array::from(rows.clone()))?.columns
        };
        self.hold(port, columns, &matched, (&values, &rows))
    }
}

fn times(columns: &[ArrayRef], time: usize) -> Result<Int64Array, EngineError> {
    let column = columns.get(time).and_then(|c| c.as_any().downcast_ref::<Int64Array>());
    column.cloned().ok_or_else(|| EngineError::Unsupported("an event time that is not BIGINT".into()))
}

impl Operator for IntervalJoin {
    fn on_batch(&mut self, port: usize, chunk: Chunk, out: &mut Output) -> Result<(), EngineError> {
        self.finish_restore()?;
        self.join(port, &chunk, out)
    }

    fn on_watermark(&mut self, port: usize, watermark: i64, out: &mut Output) -> Result<(), EngineError> {
        self.finish_restore()?;
        self.sides[port].watermark = watermark;
        self.sides[port].watermark_changed = true;
        self.evict(1 - port, out)
    }

    fn snapshot(&mut self, full: bool, state: &mut dyn StateWriter) -> Result<(), EngineError> {
        self.finish_restore()?;
        for (port, side) in self.sides.iter_mut().enumerate() {
            side.rows.snapshot(full, state)?;
            if std::mem::take(&mut side.watermark_changed) || full {
                state.put(&[b'w', port as u8], Some(&side.watermark.to_be_bytes()));
            }
        }
        Ok(())
    }

    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), EngineError> {
        self.restoring = true;
        if self.sides[0].rows.restore(key, value)? || self.sides[1].rows.restore(key, value)? {
            return Ok(());
        }
        match (key, value) {
            ([b'w', port @ 0..=1], Some(bytes)) => {
                let watermark = bytes.try_into().map_err(|_| corrupt("the length of a watermark"))?;
                self.sides[usize::from(*port)].watermark = i64::from_be_bytes(watermark);
                Ok(())
            }
            _ => Err(corrupt("an unknown entry of an interval join")),
        }
    }

    fn stats(&self) -> OperatorStats {
        let mut stats = OperatorStats { processing_errors: self.errors, ..OperatorStats::default() };
        for side in &self.sides {
            let rows = side.rows.store.len();
            stats.state_rows += rows;
            // Times, ids and two values of 16 bytes a row in the lists.
            stats.state_bytes += side.rows.bytes() + side.expiry.bytes() + side.keys.len() * 4 + rows * 44;
        }
        stats.state_bytes += self.index.bytes() + self.lists.len() * size_of::<[SortedList<i64>; 2]>();
        stats
    }
}
