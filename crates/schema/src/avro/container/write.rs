//! Writing container files.

use super::compression::Compression;
use super::{AvroFileError, MAGIC, SYNC};
use crate::avro::derive::schema_of_avro;
use crate::avro::parse;
use crate::avro::wire::{put_bytes, put_long};
use crate::avro::write::WritePlan;
use crate::cells::Cells;
use crate::connect::RecordShape;
use crate::{RecordError, Row, batch};
use arrow_array::RecordBatch;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::sync::Arc;

/// A block is written when it holds so many bytes, as by Java's Avro.
const BLOCK: usize = 64_000;

/// Writes a container file. What is not [`finish`](Self::finish)ed lacks its last block.
pub struct AvroFileWriter<W> {
    sink: W,
    compression: Compression,
    sync: [u8; SYNC],
    shape: Arc<RecordShape>,
    plan: WritePlan,
    block: Vec<u8>,
    count: i64,
}

impl<W: Write> AvroFileWriter<W> {
    /// Begins a file of rows by this declaration (JSON), whose columns are those that it tells ([`AvroFileWriter::shape`]).
    ///
    /// # Errors
    /// It is no Avro schema or has no columns; the header cannot be written.
    pub fn create(mut sink: W, declaration: &str, compression: Compression) -> Result<Self, AvroFileError> {
        let shape = schema_of_avro(declaration)?;
        let json = parse::json(declaration)?;
        let plan = WritePlan::compile(&parse::schema(&json, false)?, &shape.schema, shape.single)?;
        // Each of these hashers has keys of its own, by chance.
        let mut sync = [0; SYNC];
        for part in sync.chunks_mut(8) {
            part.copy_from_slice(&RandomState::new().build_hasher().finish().to_le_bytes());
        }
        let mut header = MAGIC.to_vec();
        put_long(&mut header, 2);
        put_bytes(&mut header, b"avro.schema");
        put_bytes(&mut header, json.to_string().as_bytes());
        put_bytes(&mut header, b"avro.codec");
        put_bytes(&mut header, compression.name().as_bytes());
        put_long(&mut header, 0);
        header.extend_from_slice(&sync);
        sink.write_all(&header)?;
        let shape = Arc::new(shape);
        Ok(Self { sink, compression, sync, shape, plan, block: Vec::new(), count: 0 })
    }

    /// What its rows are.
    pub fn shape(&self) -> &Arc<RecordShape> {
        &self.shape
    }

    /// Appends a row.
    ///
    /// # Errors
    /// It does not fit the declaration, and nothing of it is written; or the file cannot be written.
    pub fn write_row(&mut self, row: &Row) -> Result<(), AvroFileError> {
        let schema = &self.shape.schema;
        let start = self.block.len();
        let written = batch::check_width(schema, row)
            .and_then(|()| self.plan.values(&mut self.block, &schema.fields, row));
        self.settle(start, written.map_err(|e| e.of_record(0)))
    }

    /// Appends the rows of a batch of the shape's columns.
    ///
    /// # Errors
    /// A row does not fit: those before it are written, it and the others are not. Or the file cannot be written.
    pub fn write_arrow(&mut self, batch: &RecordBatch) -> Result<(), AvroFileError> {
        let shape = Arc::clone(&self.shape);
        let cells = Cells::bind_batch(batch, &shape.schema)?;
        for i in 0..batch.num_rows() {
            let start = self.block.len();
            let written = self.plan.cells(&mut self.block, &shape.schema.fields, &cells, i);
            self.settle(start, written.map_err(|e| e.of_record(i)))?;
        }
        Ok(())
    }

    fn settle(&mut self, start: usize, written: Result<(), RecordError>) -> Result<(), AvroFileError> {
        if let Err(error) = written {
            self.block.truncate(start);
            return Err(error.into());
        }
        self.count += 1;
        match self.block.len() >= BLOCK {
            true => self.end_block(),
            false => Ok(()),
        }
    }

    /// Writes what is held as a block, so that a reader can find it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn flush(&mut self) -> Result<(), AvroFileError> {
        if self.count > 0 {
            self.end_block()?;
        }
        Ok(self.sink.flush()?)
    }

    fn end_block(&mut self) -> Result<(), AvroFileError> {
        let bytes = self.compression.compress(&self.block)?;
        let mut out = Vec::with_capacity(bytes.len() + 32);
        put_long(&mut out, self.count);
        put_bytes(&mut out, &bytes);
        out.extend_from_slice(&self.sync);
        self.sink.write_all(&out)?;
        self.block.clear();
        self.count = 0;
        Ok(())
    }

    /// Ends the file and gives what it was written to.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(mut self) -> Result<W, AvroFileError> {
        self.flush()?;
        Ok(self.sink)
    }
}
