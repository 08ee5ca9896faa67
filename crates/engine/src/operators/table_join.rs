//! `TableJoin`: a stream's rows with the rows that a table has at that moment.
//!
//! Port 0 is the stream, port 1 the table's changes. The table's rows are held per join key in [`SortedList`]s, ordered by the
//! first pruning expression (so that its tests are a binary search) and by the row's fingerprint (so that a delete finds its row).
//! They are not part of the operator's state: the runtime reads the table again at start.

use super::key_index::KeyIndex;
use super::pairs::{JoinKeys, PIECE, Pair, PairCondition, any_null, columns_of_pairs, with_unmatched};
use super::prune::{Pruner, SideOf};
use super::row_store::{NONE, RowStore};
use super::sorted_list::{Relation, SortedList, Test};
use crate::chunk::{Chunk, Op};
use crate::error::EngineError;
use crate::operator::{Operator, OperatorStats, Output};
use arrow_array::ArrayRef;
use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType as ArrowType;
use bd_sql::expr::Expr;
use std::hash::{DefaultHasher, Hasher};

/// The first pruning value and the row's fingerprint.
type Place = (u128, u128);

/// See the module's documentation.
pub(crate) struct TableJoin {
    outer: bool,
    keys: JoinKeys,
    pruner: Pruner,
    condition: PairCondition,
    rows: RowStore,
    row_bytes: RowConverter,
    index: KeyIndex,
    lists: Vec<SortedList<Place>>,
    errors: u64,
}

impl TableJoin {
    pub(crate) fn new(
        left: &[ArrowType],
        right: &[ArrowType],
        keys: &[(usize, usize)],
        condition: Option<&Expr>,
        outer: bool,
    ) -> Result<Self, EngineError> {
        let keys = JoinKeys::new(keys, left, right);
        Ok(Self {
            outer,
            pruner: Pruner::new(condition, left.len())?,
            condition: PairCondition::new(condition, left.len(), right.len())?,
            rows: RowStore::new(right.to_vec()),
            row_bytes: RowConverter::new(right.iter().map(|t| SortField::new(t.clone())).collect())?,
            index: KeyIndex::new(keys.types())?,
            keys,
            lists: Vec::new(),
            errors: 0,
        })
    }

    fn probe(&mut self, chunk: &Chunk, out: &mut Output) -> Result<(), EngineError> {
        let key_columns = self.keys.of(SideOf::Left, &chunk.columns)?;
        let keys = self.index.find(&key_columns, chunk.len)?;
        let values = self.pruner.values(SideOf::Left, &chunk.columns, chunk.len, &mut self.errors)?;
        let mut pairs: Vec<Pair> = Vec::new();
        let mut candidates: Vec<Pair> = Vec::new();
        let mut tests = Vec::new();
        for (row, key) in keys.into_iter().enumerate() {
            if key != NONE
                && !any_null(&key_columns, row)
                && self.pruner.tests(SideOf::Left, &values, row, &mut tests)
            {
                let (low, high) = bounds(&tests);
                self.lists[key as usize].probe(low, high, &tests, |id| candidates.push((row as u32, id)));
            }
            if candidates.len() >= PIECE || row + 1 == chunk.len {
                self.condition.keep(SideOf::Left, chunk, &self.rows, &mut candidates, &mut self.errors)?;
                pairs.append(&mut candidates);
            }
        }
        if self.outer {
            pairs = with_unmatched(pairs, chunk.len, |_| true);
        }
        for piece in pairs.chunks(PIECE) {
            let (mut columns, right) = columns_of_pairs(piece, chunk, &self.rows)?;
            columns.extend(right);
            out.push(Chunk::inserts(columns, piece.len()));
        }
        Ok(())
    }

    fn change(&mut self, chunk: &Chunk) -> Result<(), EngineError> {
        let key_columns = self.keys.of(SideOf::Right, &chunk.columns)?;
        let keys = self.index.ids(&key_columns, chunk.len)?;
        self.lists.resize_with(self.index.capacity(), SortedList::default);
        let values = self.pruner.values(SideOf::Right, &chunk.columns, chunk.len, &mut self.errors)?;
        let prints = fingerprints(&self.row_bytes, &chunk.columns)?;
        // Deleted rows are taken in too and go at once: it keeps ids and rows of the chunk aligned.
        let ids = self.rows.append(chunk.columns.clone(), chunk.len)?;
        let mut gone = Vec::new();
        let mut emptied = Vec::new();
        let mut stored = Vec::new();
        for (row, (key, print)) in keys.into_iter().zip(prints).enumerate() {
            values.stored(row, &mut stored);
            let place = (stored.first().copied().unwrap_or(0), print);
            let list = &mut self.lists[key as usize];
            match chunk.op(row) {
                Op::Insert if any_null(&key_columns, row) => gone.push(ids[row]),
                Op::Insert => list.insert(place, ids[row], &stored),
                Op::Delete => {
                    gone.push(ids[row]);
                    gone.extend(list.remove(place));
                }
            }
            if list.is_empty() {
                emptied.push(key);
            }
        }
        for key in emptied {
            if self.lists[key as usize].is_empty() {
                self.index.remove(key);
            }
        }
        self.rows.remove(&gone)
    }
}

/// The range of places that the tests of the first expression allow.
fn bounds(tests: &[Test]) -> (Place, Place) {
    let (mut low, mut high) = (0, u128::MAX);
    for test in tests.iter().filter(|t| t.place == 0) {
        if test.relation != Relation::AtMost {
            low = low.max(test.value);
        }
        if test.relation != Relation::AtLeast {
            high = high.min(test.value);
        }
    }
    ((low, 0), (high, u128::MAX))
}

/// 128 bits that stand for a whole row, the same in every process: two rows with one fingerprint are taken for equal.
pub(crate) fn fingerprints(converter: &RowConverter, columns: &[ArrayRef]) -> Result<Vec<u128>, EngineError> {
    let half = |seed: u8, bytes: &[u8]| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(seed);
        hasher.write(bytes);
        u128::from(hasher.finish())
    };
    let rows = converter.convert_columns(columns)?;
    Ok(rows.iter().map(|row| half(0, row.data()) << 64 | half(1, row.data())).collect())
}

impl Operator for TableJoin {
    fn on_batch(&mut self, port: usize, chunk: Chunk, out: &mut Output) -> Result<(), EngineError> {
        if port == 0 { self.probe(&chunk, out) } else { self.change(&chunk) }
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats {
            state_rows: self.rows.len(),
            // Keys, ids and two values of 16 bytes a row in the lists.
            state_bytes: self.rows.bytes() + self.index.bytes() + self.rows.len() * 68,
            processing_errors: self.errors,
            dropped: 0,
        }
    }
}
