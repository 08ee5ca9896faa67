//! Decoded records: runs of consecutive ones with the same schema.

use crate::sdk::{Cells, ConnectSchema};
use bd_schema::Row;
use std::ops::Range;
use std::sync::Arc;

/// Decoded keys or values of a batch.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// In order, without overlaps; together with `failed` they are all records.
    pub(crate) runs: Vec<(Range<usize>, Cells)>,
    /// The records that could not be decoded, and why; ascending.
    pub(crate) failed: Vec<(usize, String)>,
}

impl Runs {
    /// One run.
    pub(crate) fn one(cells: Cells) -> Self {
        if cells.is_empty() {
            return Self::default();
        }
        Self { runs: vec![(0..cells.len(), cells)], failed: Vec::new() }
    }

    /// The place of the run that holds record `i`.
    pub(crate) fn run_of(&self, i: usize) -> Option<usize> {
        let at = self.runs.partition_point(|(range, _)| range.end <= i);
        self.runs.get(at).filter(|(range, _)| range.contains(&i)).map(|_| at)
    }

    /// The cells of these records, which stand in one run.
    pub(crate) fn slice(&self, records: Range<usize>) -> Cells {
        let Some((range, cells)) = self.run_of(records.start).and_then(|at| self.runs.get(at)) else {
            return Cells::Null(records.len());
        };
        if *range == records {
            return cells.clone();
        }
        let within = records.start - range.start..records.end - range.start;
        match cells {
            Cells::Null(_) => Cells::Null(records.len()),
            Cells::Bytes(cells) => Cells::Bytes(cells.get(within).unwrap_or_default().to_vec()),
            Cells::Rows { schema, rows } => Cells::Rows {
                schema: Arc::clone(schema),
                rows: rows.get(within).unwrap_or_default().to_vec(),
            },
            Cells::Arrow { schema, batch } => {
                Cells::Arrow { schema: Arc::clone(schema), batch: batch.slice(within.start, within.len()) }
            }
        }
    }
}

/// Builds runs of rows record by record. Nulls join the run they stand in.
#[derive(Default)]
pub(crate) struct RunsBuilder {
    runs: Runs,
    open: Option<OpenRun>,
    next: usize,
}

/// A run that is being gathered.
struct OpenRun {
    start: usize,
    /// Not known while all records are null.
    schema: Option<Arc<ConnectSchema>>,
    rows: Vec<Option<Row>>,
}

impl OpenRun {
    fn at(start: usize) -> Self {
        Self { start, schema: None, rows: Vec::new() }
    }
}

impl RunsBuilder {
    /// The next record, null.
    pub(crate) fn null(&mut self) {
        let next = self.next;
        self.open.get_or_insert_with(|| OpenRun::at(next)).rows.push(None);
        self.next += 1;
    }

    /// The next record.
    pub(crate) fn row(&mut self, schema: &Arc<ConnectSchema>, row: Row) {
        let fits = match &self.open {
            Some(OpenRun { schema: Some(open), .. }) => Arc::ptr_eq(open, schema) || open == schema,
            _ => true,
        };
        if !fits {
            self.close();
        }
        let next = self.next;
        let open = self.open.get_or_insert_with(|| OpenRun::at(next));
        open.schema.get_or_insert_with(|| Arc::clone(schema));
        open.rows.push(Some(row));
        self.next += 1;
    }

    /// The next record, which cannot be decoded.
    pub(crate) fn fail(&mut self, reason: String) {
        self.close();
        self.runs.failed.push((self.next, reason));
        self.next += 1;
    }

    fn close(&mut self) {
        let Some(OpenRun { start, schema, rows }) = self.open.take() else { return };
        let range = start..start + rows.len();
        let cells = match schema {
            Some(schema) => Cells::Rows { schema, rows },
            None => Cells::Null(rows.len()),
        };
        self.runs.runs.push((range, cells));
    }

    pub(crate) fn finish(mut self) -> Runs {
        self.close();
        self.runs
    }
}
