//! A table: the current row of each key, and its changes as records replace them.

use super::key_index::KeyIndex;
use super::row_store::{NONE, RowStore};
use super::table_join::fingerprints;
use crate::chunk::{Chunk, Op};
use crate::error::EngineError;
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType as ArrowType;

/// The materialised rows of a table, by key.
///
/// The runtime applies a table's records in the order of the log, gives the changes to the operators above, and reads
/// [`UpsertMap::rows`] for pull queries.
pub struct UpsertMap {
    key: Vec<usize>,
    index: KeyIndex,
    /// The current row's id by key.
    current: Vec<u32>,
    rows: RowStore,
    row_bytes: RowConverter,
    /// By the row's id.
    prints: Vec<u128>,
}

impl UpsertMap {
    /// A table without rows, with columns of these types; `key` are the places of the key columns.
    ///
    /// # Errors
    /// A column type that cannot be compared.
    pub fn new(key: Vec<usize>, types: Vec<ArrowType>) -> Result<Self, EngineError> {
        let key_types: Vec<ArrowType> = key.iter().map(|c| types[*c].clone()).collect();
        Ok(Self {
            key,
            index: KeyIndex::new(&key_types)?,
            current: Vec::new(),
            row_bytes: RowConverter::new(types.iter().map(|t| SortField::new(t.clone())).collect())?,
            rows: RowStore::new(types),
            prints: Vec::new(),
        })
    }

    /// Applies records in order and gives the changes: a delete of the key's old row, an insert of its new one. A record equal
    /// to the current row changes nothing, nor does a tombstone of an unknown key. `tombstone` is TRUE for records without a
    /// value (their columns other than the key's do not matter). Each change has its own `origin`.
    ///
    /// # Errors
    /// Columns of other types than the map's.
    pub fn apply(&mut self, records: &Chunk, tombstone: Option<&BooleanArray>) -> Result<Chunk, EngineError> {
        let key_columns: Vec<ArrayRef> = self.key.iter().map(|c| records.columns[*c].clone()).collect();
        let keys = self.index.ids(&key_columns, records.len)?;
        self.current.resize(self.index.capacity(), NONE);
        let prints = fingerprints(&self.row_bytes, &records.columns)?;
        // All records are taken in first, so that rows before and after are gathered from one place.
        let ids = self.rows.append(records.columns.clone(), records.len)?;
        self.prints.resize(self.rows.capacity(), 0);
        let mut changed: Vec<u32> = Vec::new();
        let mut ops: Vec<Op> = Vec::new();
        let mut origin: Vec<u32> = Vec::new();
        let mut gone: Vec<u32> = Vec::new();
        for (row, ((key, print), id)) in keys.iter().zip(prints).zip(ids).enumerate() {
            let current = &mut self.current[*key as usize];
            let is_tombstone = tombstone.is_some_and(|t| t.is_valid(row) && t.value(row));
            self.prints[id as usize] = print;
            if is_tombstone || *current != NONE && self.prints[*current as usize] == print {
                gone.push(id);
            }
            if *current != NONE && (is_tombstone || self.prints[*current as usize] != print) {
                changed.push(*current);
                ops.push(Op::Delete);
                origin.push(2 * row as u32);
                gone.push(*current);
                *current = NONE;
            }
            if !is_tombstone && *current == NONE {
                changed.push(id);
                ops.push(Op::Insert);
                origin.push(2 * row as u32 + 1);
                *current = id;
            }
        }
        let columns = self.rows.gather(&changed)?;
        for key in keys {
            if self.current[key as usize] == NONE {
                self.index.remove(key);
            }
        }
        self.rows.remove(&gone)?;
        Ok(Chunk { columns, len: changed.len(), ops: Some(ops.into()), origin: Some(origin.into()) })
    }

    /// All current rows, in chunks; no particular order.
    ///
    /// # Errors
    /// None that the caller could cause.
    pub fn rows(&self) -> Result<Vec<Chunk>, EngineError> {
        self.rows.pieces(8192)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.rows.bytes() + self.index.bytes() + self.current.len() * 4 + self.prints.len() * 16
    }
}
