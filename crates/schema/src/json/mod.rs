//! JSON without a schema registry, as ksqlDB's `JSON` format.
//!
//! ```text
//!            scan ── tokens, each checked in full ──┐
//!  bytes ──▶ shape ─ which field a key names ───────┼─▶ arrow ─▶ columns     one record, one object; a single-column key
//!            scalar  text to values by type ────────┘   rows ──▶ rows        is the bare value (`key`)
//!        ◀── write ◀── encode ◀── columns or rows
//! ```
//! A record is accepted only if it is one valid JSON text (RFC 8259) in UTF-8, also where a value is skipped, nested at most 128
//! deep. Of duplicate keys the last wins; one spelled as in the schema wins over one that differs in case.
//!
//! | type | read from | written as |
//! |---|---|---|
//! | `INTEGER`, `BIGINT` | integral numbers (`5`, `5.0`, `1e3`), strings that hold one | `5` |
//! | `DOUBLE` | numbers, strings that hold one | shortest digits: `53.0`, `1.0E10`; NaN and infinities are errors |
//! | `DECIMAL` | numbers, strings that hold one; no digit is dropped | `12.50` |
//! | `VARCHAR` | strings; other values as their compact JSON text | escaped no more than needed |
//! | `BOOLEAN` | `true`, `false`, strings that hold one | `true` |
//! | `TIMESTAMP` | epoch ms, ISO 8601 (UTC without a zone) | epoch ms |
//! | `DATE` | days since epoch, `yyyy-MM-dd` | days |
//! | `TIME` | ms of the day, `HH:mm[:ss[.SSS]]` | ms |
//! | `BYTES` | base64, padded or not | base64, padded |
//! | `ARRAY`, `MAP`, `STRUCT` | array, object, object | the same |

mod arrow;
mod encode;
pub(crate) mod envelope;
mod key;
#[cfg(test)]
pub(crate) mod properties;
mod rows;
mod scalar;
mod scan;
mod shape;
#[cfg(test)]
mod tests;
pub(crate) mod write;

use crate::batch;
use crate::cells::Cells;
use crate::codec;
use crate::column::Column;
use crate::failure::{Failure, Fallible};
use crate::{Codec, Decoded, Encoded, RecordError, Row, Schema};
use arrow::ObjectReader;
use arrow_array::RecordBatch;
use scan::Scanner;
use shape::ObjectShape;

/// The format `JSON`, for values or keys of one schema.
///
/// ```
/// use bd_schema::{Codec, DataType, Field, JsonCodec, Schema, Value};
///
/// let codec = JsonCodec::new(Schema::new(vec![
///     Field::new("user", DataType::Varchar),
///     Field::new("user_id", DataType::BigInt),
/// ]));
/// let row = codec.decode_row(br#"{"user_id": 46, "user": "vihaan", "more": [1]}"#)?;
/// assert_eq!(row, [Value::Varchar("vihaan".into()), Value::BigInt(46)]);
/// let mut out = Vec::new();
/// codec.encode_row(&row, &mut out)?;
/// assert_eq!(out, br#"{"user":"vihaan","user_id":46}"#);
/// # Ok::<(), bd_schema::RecordError>(())
/// ```
pub struct JsonCodec {
    schema: Schema,
    shape: ObjectShape,
    /// Reads a bare value.
    bare: bool,
    /// Writes an object even where a bare value is read.
    wrapped: bool,
}

impl JsonCodec {
    /// A codec of values: each is an object.
    pub fn new(schema: Schema) -> Self {
        let shape = ObjectShape::new(&schema.fields);
        Self { schema, shape, bare: false, wrapped: true }
    }

    /// A codec of keys: a single column is the bare value, several are an object. An object that holds the single column is
    /// read as well.
    pub fn key(schema: Schema) -> Self {
        let bare = schema.fields.len() == 1;
        Self { bare, wrapped: !bare, ..Self::new(schema) }
    }

    /// Whether a key of a single column is written as an object, as Connect does. Other records always are.
    #[must_use]
    pub fn wrapped(mut self, wrapped: bool) -> Self {
        self.wrapped = wrapped || !self.bare;
        self
    }

    /// Whether a key must be spelled as in the schema; else keys match without regard to case where none is spelled so.
    #[must_use]
    pub fn case_sensitive(mut self, yes: bool) -> Self {
        self.shape.set_rules(|rules| rules.exact = yes);
        self
    }

    /// Whether a key that the schema does not name is an error of its record; else it is skipped.
    #[must_use]
    pub fn unknown_fields_refused(mut self, yes: bool) -> Self {
        self.shape.set_rules(|rules| rules.known_only = yes);
        self
    }

    /// Whether decimals are written as Base64 of their unscaled value, as Connect's `decimal.format=BASE64` has them; else as numbers.
    /// They are read as numbers.
    #[must_use]
    pub fn decimals_unscaled(mut self, yes: bool) -> Self {
        self.shape.set_unscaled(yes);
        self
    }

    /// Reads payload after payload, appending one value to each column.
    pub(crate) fn decoder(&self) -> impl FnMut(&[u8], &mut [Column]) -> Fallible<()> {
        let mut reader = ObjectReader::new(&self.shape);
        move |payload, columns| self.read(payload, columns, &mut reader)
    }

    fn read(&self, payload: &[u8], columns: &mut [Column], reader: &mut ObjectReader<'_>) -> Fallible<()> {
        let mut s = Scanner::new(payload)?;
        if self.bare && !key::is_wrapped(&s, &self.shape, self.wrapped)? {
            reader.read_bare(&mut s, columns)?;
        } else {
            object_wanted(&s)?;
            let row = columns.first().map_or(0, Column::len);
            reader.read(&mut s, columns, row)?;
        }
        s.end()
    }

    pub(crate) fn read_row(&self, payload: &[u8]) -> Fallible<Row> {
        let mut s = Scanner::new(payload)?;
        let row = if self.bare && !key::is_wrapped(&s, &self.shape, self.wrapped)? {
            let value = rows::value(&mut s, &self.shape.fields[0]);
            vec![value.map_err(|e| e.in_field(&self.shape.names[0]))?]
        } else {
            object_wanted(&s)?;
            rows::object(&mut s, &self.shape)?
        };
        s.end()?;
        Ok(row)
    }

    pub(crate) fn write_row(&self, row: &Row, out: &mut Vec<u8>) -> Fallible<()> {
        batch::check_width(&self.schema, row)?;
        if self.wrapped {
            return encode::object_of_values(out, &self.shape, row);
        }
        encode::value(out, &self.shape.fields[0], &row[0]).map_err(|e| e.in_field(&self.shape.names[0]))
    }

    pub(crate) fn write_cells(&self, cells: &[Cells<'_>], i: usize, out: &mut Vec<u8>) -> Fallible<()> {
        if self.wrapped {
            return encode::object_of_cells(out, &self.shape, cells, i);
        }
        encode::cell(out, &self.shape.fields[0], &cells[0], i).map_err(|e| e.in_field(&self.shape.names[0]))
    }
}

/// A plainer error than the scanner's for the most common mistake.
#[inline]
fn object_wanted(s: &Scanner<'_>) -> Fallible<()> {
    if s.peek() == Some(b'{') {
        return Ok(());
    }
    let mut probe = s.clone();
    let token = probe.token()?.describe();
    probe.skip_space();
    Err(Failure::new(format!("an object wanted, found {token}")))
}

impl Codec for JsonCodec {
    fn format(&self) -> &'static str {
        "JSON"
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn decode_arrow(&self, payloads: &[Option<&[u8]>]) -> Decoded {
        batch::decode(&self.schema, payloads, self.decoder())
    }

    fn encode_arrow(&self, batch: &RecordBatch, out: &mut Encoded) -> Result<(), RecordError> {
        let cells = Cells::bind_batch(batch, &self.schema)?;
        out.append(batch.num_rows(), |i, arena| self.write_cells(&cells, i, arena))
    }

    fn decode_row(&self, payload: &[u8]) -> Result<Row, RecordError> {
        self.read_row(payload).map_err(|e| e.of_record(0))
    }

    fn encode_row(&self, row: &Row, out: &mut Vec<u8>) -> Result<(), RecordError> {
        codec::append_row(out, |out| self.write_row(row, out))
    }
}
