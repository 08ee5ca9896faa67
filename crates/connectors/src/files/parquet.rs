//! Parquet files, a row group after another.

use super::arrow;
use super::values::KeyColumns;
use bd_connect::sdk::{Cells, ConnectSchema};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A Parquet file being read.
pub(super) struct ParquetFile {
    file: File,
    metadata: ArrowReaderMetadata,
    schema: Arc<ConnectSchema>,
    keys: KeyColumns,
    /// The rows before each row group, and after the last.
    starts: Vec<u64>,
    /// The next row.
    row: u64,
    reader: Option<ParquetRecordBatchReader>,
    batch_size: usize,
}

/// What was read.
pub(super) enum Next {
    /// Values and keys.
    Rows(Cells, Cells),
    /// A row group that cannot be read, from 0, and why. The next row is that of the next one.
    Broken(usize, String),
    End,
}

/// What the reader makes of bytes is not for the task to fall over.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err("the reader of Parquet gave up on its bytes".to_owned()))
}

impl ParquetFile {
    /// Opens a file at a row.
    ///
    /// # Errors
    /// Its footer cannot be read, or it has columns that bd has not.
    pub(super) fn open(
        path: &str,
        row: u64,
        batch_size: usize,
        schema_name: Option<&str>,
        key_fields: &[String],
    ) -> Result<Self, String> {
        let file = File::open(path).map_err(|e| e.to_string())?;
        // The file's own types: Arrow's, which a writer may have left in it, have more kinds of each.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = guarded(|| ArrowReaderMetadata::load(&file, options).map_err(|e| e.to_string()))?;
        let columns = arrow::schema(metadata.schema())?;
        let keys = KeyColumns::new(&columns, key_fields)?;
        let schema = Arc::new(ConnectSchema::of(schema_name.map(str::to_owned), columns));
        let mut starts = vec![0_u64];
        for group in metadata.metadata().row_groups() {
            let rows = u64::try_from(group.num_rows()).map_err(|_| "a row group has fewer than no rows")?;
            starts.push(starts.last().copied().unwrap_or_default().saturating_add(rows));
        }
        Ok(Self { file, metadata, schema, keys, starts, row, reader: None, batch_size })
    }

    /// The next row.
    pub(super) fn row(&self) -> u64 {
        self.row
    }

    /// Whether all rows are read.
    pub(super) fn at_end(&self) -> bool {
        self.row >= self.starts.last().copied().unwrap_or_default()
    }

    /// Reads the next rows.
    pub(super) fn next(&mut self) -> Next {
        if self.at_end() {
            return Next::End;
        }
        // The last group that starts at or before the row.
        let group = self.starts.partition_point(|start| *start <= self.row) - 1;
        match self.rows(group) {
            Ok((values, keys)) => {
                self.row += values.len() as u64;
                if self.starts.get(group + 1).is_some_and(|end| self.row >= *end) {
                    self.reader = None;
                }
                Next::Rows(values, keys)
            }
            Err(reason) => {
                self.reader = None;
                self.row = self.starts.get(group + 1).copied().unwrap_or(u64::MAX);
                Next::Broken(group, reason)
            }
        }
    }

    fn rows(&mut self, group: usize) -> Result<(Cells, Cells), String> {
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.reader_of(group)?,
        };
        let read = guarded(|| match reader.next() {
            Some(batch) => batch.map_err(|e| e.to_string()),
            None => Err("it ends before its rows do".to_owned()),
        })?;
        if read.num_rows() == 0 {
            return Err("it gives no rows where there should be some".to_owned());
        }
        let batch = arrow::batch(&self.schema.columns(), &read)?;
        self.reader = Some(reader);
        let keys = self.keys.of(&batch);
        Ok((Cells::Arrow { schema: Arc::clone(&self.schema), batch }, keys))
    }

    fn reader_of(&self, group: usize) -> Result<ParquetRecordBatchReader, String> {
        let skip = self.row - self.starts.get(group).copied().unwrap_or_default();
        let file = self.file.try_clone().map_err(|e| e.to_string())?;
        guarded(|| {
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_row_groups(vec![group])
                .with_offset(skip as usize)
                .with_batch_size(self.batch_size)
                .build()
                .map_err(|e| e.to_string())
        })
    }
}
