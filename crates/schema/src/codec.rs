//! The codec trait: one format bound to one schema.

use crate::failure::{Failure, Fallible};
use crate::{Row, Schema};
use arrow_array::RecordBatch;

/// Why one record could not be decoded or encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {index}{}: {reason}", if path.is_empty() { String::new() } else { format!(", field {path}") })]
pub struct RecordError {
    /// The record's place in the input, from 0.
    pub index: usize,
    /// The field, as `a.b[2].c`; empty for the record as a whole.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
    /// The record may be good: what is needed to know, such as the schema registry, is away. Try again; it is no dead letter.
    pub retriable: bool,
}

/// What a batch of records decoded to.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// One row for each record that could be decoded, in order.
    pub batch: RecordBatch,
    /// The input's place of each row of `batch`; ascending.
    pub rows: Vec<u32>,
    /// The input's places of null payloads (tombstones); they are no rows.
    pub nulls: Vec<u32>,
    /// The records that could not be decoded, in order.
    pub errors: Vec<RecordError>,
}

/// Encoded records: one arena, one range a record.
#[derive(Debug, Clone, Default)]
pub struct Encoded {
    /// The bytes of all records.
    pub arena: Vec<u8>,
    /// Where each record ends in `arena`; it starts where the one before ends.
    pub ends: Vec<u32>,
}

impl Encoded {
    /// The bytes of record `i`.
    pub fn get(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.arena[start..self.ends[i] as usize]
    }

    /// Appends `count` records that `write` writes. On an error nothing is appended.
    pub(crate) fn append(
        &mut self,
        count: usize,
        mut write: impl FnMut(usize, &mut Vec<u8>) -> Fallible<()>,
    ) -> Result<(), RecordError> {
        let (bytes, records) = (self.arena.len(), self.ends.len());
        self.ends.reserve(count);
        for i in 0..count {
            let end = write(i, &mut self.arena).and_then(|()| {
                u32::try_from(self.arena.len())
                    .map_err(|_| Failure::new("the batch encodes to more than 2^32 - 1 bytes"))
            });
            match end {
                Ok(end) => self.ends.push(end),
                Err(failure) => {
                    self.arena.truncate(bytes);
                    self.ends.truncate(records);
                    return Err(failure.of_record(i));
                }
            }
        }
        Ok(())
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.ends.clear();
    }
}

/// Appends the one row that `write` writes. On an error nothing is appended.
pub(crate) fn append_row(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Fallible<()>,
) -> Result<(), RecordError> {
    let start = out.len();
    write(out).map_err(|failure| {
        out.truncate(start);
        failure.of_record(0)
    })
}

/// One format bound to one schema. Codecs keep no state between calls that shows in results.
///
/// # Rules
/// * A field that is absent or null is NULL. Fields that the schema does not name are skipped.
/// * Names match exactly first, then without regard to case.
/// * A value that does not fit its column's type (a string that is no number, an integer out of range) is an error of that
///   record, never a NULL.
pub trait Codec: Send + Sync {
    /// The format's name as in `value_format`, e.g. `JSON`.
    fn format(&self) -> &'static str;

    /// The columns it reads and writes.
    fn schema(&self) -> &Schema;

    /// Decodes payloads to Arrow columns of [`Codec::schema`]. A `None` payload is a tombstone.
    fn decode_arrow(&self, payloads: &[Option<&[u8]>]) -> Decoded;

    /// Encodes each row of `batch` (columns of [`Codec::schema`], in order), appending to `out`.
    ///
    /// # Errors
    /// The first row that the format cannot hold.
    fn encode_arrow(&self, batch: &RecordBatch, out: &mut Encoded) -> Result<(), RecordError>;

    /// Decodes one payload to a row.
    ///
    /// # Errors
    /// As [`Codec::decode_arrow`]'s, with index 0.
    fn decode_row(&self, payload: &[u8]) -> Result<Row, RecordError>;

    /// Encodes one row, appending to `out`.
    ///
    /// # Errors
    /// As [`Codec::encode_arrow`]'s, with index 0.
    fn encode_row(&self, row: &Row, out: &mut Vec<u8>) -> Result<(), RecordError>;
}
