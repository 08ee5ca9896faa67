//! Avro in Confluent's framing, with schemas from a schema registry.
//!
//! ```text
//!  magic 0 │ id of the writer's schema, 4 bytes big endian │ datum
//!
//!  id ─ registry ─ parse ─▶ plan ─ (writer's schema to target columns, compiled once an id) ─┐
//!  bytes ──▶ wire, scalar, skip ──────────────────────────────────────────────────────────────┼─▶ arrow ─▶ columns
//!                                                                                             └─▶ rows  ─▶ rows
//!  columns or rows ──▶ write ──▶ bytes      declare: Schema to Avro      derive: Avro to Schema
//! ```
//! A record costs itself only when its framing or its datum is broken, when the registry does not know its id, or when its writer's
//! types do not fit the columns. When the registry cannot be asked, the error is [`retriable`](crate::RecordError::retriable).
//!
//! | column | is read from Avro's |
//! |---|---|
//! | `INTEGER`, `BIGINT` | `int`, `long`, also of logical types: the number as it is |
//! | `DOUBLE` | `int`, `long`, `float`, `double`, `decimal` |
//! | `DECIMAL` | `int`, `long`, `decimal`; no digit is dropped |
//! | `VARCHAR` | `string`, `enum`, `uuid`, `bytes` of UTF-8; numbers and booleans as text |
//! | `BYTES` | `bytes`, `fixed`, `string`, `decimal` |
//! | `DATE`, `TIME`, `TIMESTAMP` | their logical types (parts of a millisecond are cut), numbers of days or milliseconds, ISO 8601 strings |
//! | `ARRAY`, `MAP`, `STRUCT` | `array`, `map` or Connect's array of entries, `record` |

mod arrow;
mod canonical;
mod compatibility;
#[cfg(test)]
mod compatibility_tests;
mod compile;
mod container;
mod datum;
#[cfg(test)]
mod datum_tests;
mod declare;
mod defaults;
mod definition;
#[cfg(test)]
mod definition_tests;
mod derive;
#[cfg(test)]
pub(crate) mod evolution_properties;
mod known;
mod model;
mod parse;
mod plan;
#[cfg(test)]
mod properties;
mod reader;
mod resolve;
mod rows;
mod scalar;
#[cfg(test)]
mod shape_tests;
mod skip;
mod syntax;
#[cfg(test)]
mod tests;
mod wire;
mod write;

pub use container::{AvroFileError, AvroFileReader, AvroFileWriter, Compression};
pub use datum::{AvroDatumCodec, AvroFraming};
pub(crate) use declare::field_name;
pub use declare::{KSQL_RECORD, avro_of_named_value, avro_of_record, avro_of_schema, avro_of_value};
pub use definition::AvroDefinition;
pub use derive::{MAX_DEPTH, MAX_RECURSION, MAX_TYPES, rows_of_avro, schema_of_avro};
pub use parse::AvroError;
pub use reader::AvroReader;

use crate::cells::Cells;
use crate::codec;
use crate::connect::ConnectField;
use crate::failure::{Failure, Fallible};
use crate::writers::{self, Lookup, Writers, Written, framed};
use crate::{
    Codec, Decoded, Encoded, NewSchema, RecordError, Role, Row, Schema, SchemaRegistry, SchemaText, batch,
};
use apache_avro::Schema as Avro;
use arrow_array::RecordBatch;
use plan::Plan;
use std::sync::Arc;
use write::WritePlan;

/// The format `AVRO`: Confluent's framing, for keys or values of one schema.
///
/// What it writes is registered under its subject when the first record is written.
pub struct AvroCodec {
    schema: Schema,
    role: Role,
    writers: Writers<Plan>,
    written: Written,
    write: WritePlan,
    /// What it writes by, where that is more than the columns say: its aliases and defaults count when records are read.
    reader: Option<Avro>,
}

impl AvroCodec {
    /// A codec that writes under `subject` what [`avro_of_schema`] declares by ksqlDB's name; a key of a single column is the bare
    /// value. Of a key, a record that holds the single column is read as well.
    ///
    /// # Errors
    /// Columns that Avro cannot hold side by side.
    pub fn new(
        registry: Arc<dyn SchemaRegistry>,
        subject: impl Into<String>,
        schema: Schema,
        role: Role,
    ) -> Result<Self, AvroError> {
        Self::named(registry, subject, schema, role, KSQL_RECORD)
    }

    /// The same by another full name of the record.
    ///
    /// # Errors
    /// As [`AvroCodec::new`]'s.
    pub fn named(
        registry: Arc<dyn SchemaRegistry>,
        subject: impl Into<String>,
        schema: Schema,
        role: Role,
        name: &str,
    ) -> Result<Self, AvroError> {
        let declaration = match (role, schema.fields.as_slice()) {
            (Role::Key, [only]) => avro_of_named_value(name, &only.data_type, &ConnectField::default())?,
            _ => avro_of_schema(name, &schema, &[])?,
        };
        let codec = Self::with_declaration(registry, subject, schema, role, declaration)?;
        // Its fields have no aliases, and null for default.
        Ok(Self { reader: None, ..codec })
    }

    /// A codec that writes by this declaration (JSON). Its fields match the columns by name; those without a column are NULL.
    /// Records that others wrote are read by it: by its aliases, the defaults of its fields and enums, the branches of its unions.
    ///
    /// # Errors
    /// It is no Avro schema, a column is not in it or not of a type that fits, a field without a column cannot be null.
    pub fn with_declaration(
        registry: Arc<dyn SchemaRegistry>,
        subject: impl Into<String>,
        schema: Schema,
        role: Role,
        declaration: impl Into<String>,
    ) -> Result<Self, AvroError> {
        let declaration = declaration.into();
        let avro = parse::schema(&parse::json(&declaration)?, false)?;
        let bare = schema.fields.len() == 1;
        let write = WritePlan::compile(&avro, &schema, bare)?;
        let reader = Some(parse::schema(&parse::json(&declaration)?, true)?);
        let written = Written::new(subject.into(), NewSchema::avro(declaration));
        Ok(Self { schema, role, writers: Writers::new(registry), written, write, reader })
    }

    /// The declaration (JSON) of what it writes.
    pub fn declaration(&self) -> &str {
        self.written.declaration()
    }

    fn id(&self) -> Fallible<u32> {
        self.written.id(self.writers.registry())
    }

    fn write_row(&self, row: &Row, out: &mut Vec<u8>) -> Fallible<()> {
        batch::check_width(&self.schema, row)?;
        writers::begin(out, self.id()?);
        self.write.values(out, &self.schema.fields, row)
    }

    fn compile(&self, text: &SchemaText) -> Result<Plan, AvroError> {
        let writer = parse::schema(&parse::json(&text.whole())?, true)?;
        Plan::compile(&writer, self.reader.as_ref(), &self.schema, self.role)
    }
}

impl Codec for AvroCodec {
    fn format(&self) -> &'static str {
        "AVRO"
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn decode_arrow(&self, payloads: &[Option<&[u8]>]) -> Decoded {
        let mut lookup = Lookup::new(&self.writers);
        batch::decode(&self.schema, payloads, |payload, columns| {
            let (id, bytes) = framed(payload, "Avro")?;
            let plan = lookup.plan(id, |text| self.compile(text))?;
            arrow::datum(bytes, plan, &self.schema.fields, columns)
        })
    }

    fn encode_arrow(&self, batch: &RecordBatch, out: &mut Encoded) -> Result<(), RecordError> {
        let cells = Cells::bind_batch(batch, &self.schema)?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let id = self.id().map_err(|e| e.of_record(0))?;
        out.append(batch.num_rows(), |i, arena| {
            writers::begin(arena, id);
            self.write.cells(arena, &self.schema.fields, &cells, i)
        })
    }

    fn decode_row(&self, payload: &[u8]) -> Result<Row, RecordError> {
        let read = || {
            let (id, bytes) = framed(payload, "Avro")?;
            let plan = self.writers.plan(id, |text| self.compile(text))?;
            rows::datum(bytes, &plan, &self.schema.fields)
        };
        read().map_err(|e: Box<Failure>| e.of_record(0))
    }

    fn encode_row(&self, row: &Row, out: &mut Vec<u8>) -> Result<(), RecordError> {
        codec::append_row(out, |out| self.write_row(row, out))
    }
}
