//! Rows in flight: Arrow columns, and for tables whether each row is put in or taken out.

use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, UInt32Array};
use arrow_schema::ArrowError;
use std::sync::Arc;

/// What a row of a table's edge means. On a stream's edge all rows are inserts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// The row is there from now on.
    Insert,
    /// The row, equal in all columns to one inserted before, is gone. An update is a delete of the old row directly followed by
    /// an insert of the new one.
    Delete,
}

/// Some rows. All columns have `len` rows and the types of the plan's columns.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// One array a column.
    pub columns: Vec<ArrayRef>,
    /// The number of rows (also where there is no column).
    pub len: usize,
    /// One a row; `None`: all inserts.
    pub ops: Option<Arc<[Op]>>,
    /// Which change of the table scan below a row came from (one value for the rows of one record, the old row's and the new
    /// row's differ): set by table scans and kept through projections, filters and UNNEST, so that window functions over a table
    /// work within one record.
    pub origin: Option<Arc<[u32]>>,
}

impl Chunk {
    /// Rows that are all inserts.
    pub fn inserts(columns: Vec<ArrayRef>, len: usize) -> Self {
        Self { columns, len, ops: None, origin: None }
    }

    /// What row `i` means.
    pub fn op(&self, i: usize) -> Op {
        self.ops.as_ref().map_or(Op::Insert, |ops| ops[i])
    }

    /// The same rows with other columns (a projection).
    pub fn with_columns(&self, columns: Vec<ArrayRef>) -> Self {
        Self { columns, ..self.clone() }
    }

    /// The rows at `indices`, in that order; they may repeat.
    ///
    /// # Errors
    /// An index that is out of range.
    pub fn take(&self, indices: &UInt32Array) -> Result<Self, ArrowError> {
        let columns = self
            .columns
            .iter()
            .map(|c| arrow_select::take::take(c, indices, None))
            .collect::<Result<_, _>>()?;
        let pick = |i: &u32| *i as usize;
        Ok(Self {
            columns,
            len: indices.len(),
            ops: self.ops.as_ref().map(|ops| indices.values().iter().map(|i| ops[pick(i)]).collect()),
            origin: self.origin.as_ref().map(|o| indices.values().iter().map(|i| o[pick(i)]).collect()),
        })
    }

    /// The rows for which `keep` is true (not false, not null).
    ///
    /// # Errors
    /// A mask of another length.
    pub fn filter(&self, keep: &BooleanArray) -> Result<Self, ArrowError> {
        if keep.null_count() == 0 && keep.true_count() == self.len {
            return Ok(self.clone());
        }
        let indices: UInt32Array = (0..self.len)
            .filter(|i| keep.is_valid(*i) && keep.value(*i))
            .map(|i| i as u32)
            .collect::<Vec<_>>()
            .into();
        self.take(&indices)
    }

    /// Rows `start..start + len`.
    pub fn slice(&self, start: usize, len: usize) -> Self {
        Self {
            columns: self.columns.iter().map(|c| c.slice(start, len)).collect(),
            len,
            ops: self.ops.as_ref().map(|ops| ops[start..start + len].into()),
            origin: self.origin.as_ref().map(|o| o[start..start + len].into()),
        }
    }

    /// The event times (ms) in column `time`; `None` where it is no BIGINT column.
    pub fn times(&self, time: usize) -> Option<&Int64Array> {
        self.columns.get(time)?.as_any().downcast_ref()
    }
}
