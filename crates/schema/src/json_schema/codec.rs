//! The format `JSON_SR`.

use super::declare::{Decimals, json_schema_of, json_schema_of_value};
use crate::cells::Cells;
use crate::codec;
use crate::connect::ConnectField;
use crate::failure::Fallible;
use crate::json::JsonCodec;
use crate::writers::{Written, begin, framed};
use crate::{
    Codec, Decoded, Encoded, NewSchema, RecordError, Role, Row, Schema, SchemaRegistry, SchemaType, batch,
};
use arrow_array::RecordBatch;
use std::sync::Arc;

/// The format `JSON_SR`: JSON in Confluent's framing, for keys or values of one schema.
///
/// What it writes is registered under its subject when the first record is written. It reads by its own columns as ksqlDB does,
/// whatever the schema of the writer: the rules are those of `JSON`.
pub struct JsonSchemaCodec {
    registry: Arc<dyn SchemaRegistry>,
    written: Written,
    json: JsonCodec,
}

impl JsonSchemaCodec {
    /// A codec that writes under `subject`; a key of a single column is the bare value. Of a key, an object that holds the single
    /// column is read as well.
    pub fn new(
        registry: Arc<dyn SchemaRegistry>,
        subject: impl Into<String>,
        schema: Schema,
        role: Role,
    ) -> Self {
        let (declaration, json) = match (role, schema.fields.as_slice()) {
            (Role::Key, [only]) => (
                json_schema_of_value(&only.data_type, &ConnectField::default(), Decimals::Numeric),
                JsonCodec::key(schema),
            ),
            _ => (json_schema_of(None, &schema, &[], Decimals::Numeric), JsonCodec::new(schema)),
        };
        Self::of(registry, subject.into(), declaration, json)
    }

    /// A codec that writes what `json` writes, and registers this declaration (text) for it.
    pub fn with_declaration(
        registry: Arc<dyn SchemaRegistry>,
        subject: impl Into<String>,
        json: JsonCodec,
        declaration: impl Into<String>,
    ) -> Self {
        Self::of(registry, subject.into(), declaration.into(), json)
    }

    fn of(registry: Arc<dyn SchemaRegistry>, subject: String, declaration: String, json: JsonCodec) -> Self {
        Self { registry, written: Written::new(subject, NewSchema::new(SchemaType::Json, declaration)), json }
    }

    /// The declaration (JSON Schema) of what it writes.
    pub fn declaration(&self) -> &str {
        self.written.declaration()
    }

    fn id(&self) -> Fallible<u32> {
        self.written.id(self.registry.as_ref())
    }

    fn write_row(&self, row: &Row, out: &mut Vec<u8>) -> Fallible<()> {
        batch::check_width(self.json.schema(), row)?;
        begin(out, self.id()?);
        self.json.write_row(row, out)
    }
}

impl Codec for JsonSchemaCodec {
    fn format(&self) -> &'static str {
        "JSON_SR"
    }

    fn schema(&self) -> &Schema {
        self.json.schema()
    }

    fn decode_arrow(&self, payloads: &[Option<&[u8]>]) -> Decoded {
        let mut read = self.json.decoder();
        batch::decode(self.schema(), payloads, |payload, columns| read(framed(payload, "JSON")?.1, columns))
    }

    fn encode_arrow(&self, batch: &RecordBatch, out: &mut Encoded) -> Result<(), RecordError> {
        let cells = Cells::bind_batch(batch, self.schema())?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let id = self.id().map_err(|e| e.of_record(0))?;
        out.append(batch.num_rows(), |i, arena| {
            begin(arena, id);
            self.json.write_cells(&cells, i, arena)
        })
    }

    fn decode_row(&self, payload: &[u8]) -> Result<Row, RecordError> {
        let read = || self.json.read_row(framed(payload, "JSON")?.1);
        read().map_err(|e| e.of_record(0))
    }

    fn encode_row(&self, row: &Row, out: &mut Vec<u8>) -> Result<(), RecordError> {
        codec::append_row(out, |out| self.write_row(row, out))
    }
}
