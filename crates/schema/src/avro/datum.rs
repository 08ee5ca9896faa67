//! Avro without a registry: plain datums of a schema that both sides know, and Avro's own single-object encoding.
//!
//! ```text
//!  plain           datum
//!  single object   C3 01 │ CRC-64-AVRO fingerprint of the writer's schema, 8 bytes little endian │ datum
//! ```

use super::definition::AvroDefinition;
use super::parse::{self, AvroError};
use super::plan::Plan;
use super::write::WritePlan;
use super::{arrow, rows};
use crate::cells::Cells;
use crate::codec;
use crate::failure::{Failure, Fallible};
use crate::{Codec, Decoded, Encoded, RecordError, Role, Row, Schema, SchemaText, batch};
use arrow_array::RecordBatch;
use std::collections::HashMap;

/// What stands before a datum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AvroFraming {
    /// Nothing.
    Plain,
    /// The marker `C3 01` and the fingerprint of the writer's schema.
    SingleObject,
}

const MARKER: [u8; 2] = [0xc3, 0x01];

/// Avro's datums of a given schema, plain (`AVRO_PLAIN`) or as single objects (`AVRO_SINGLE_OBJECT`).
pub struct AvroDatumCodec {
    schema: Schema,
    framing: AvroFraming,
    role: Role,
    declaration: String,
    fingerprint: u64,
    write: Result<WritePlan, AvroError>,
    /// By the fingerprints of the writers' schemas. Of plain datums the one that is read.
    plans: HashMap<u64, Plan>,
    reads: u64,
}

impl AvroDatumCodec {
    /// A codec of the columns `schema`, which writes by `declaration` (JSON) and reads what was written by it.
    ///
    /// # Errors
    /// It is no Avro schema. Columns that cannot be written by it are an error of what is encoded only.
    pub fn new(
        declaration: impl Into<String>,
        schema: Schema,
        role: Role,
        framing: AvroFraming,
    ) -> Result<Self, AvroError> {
        let declaration = declaration.into();
        let fingerprint = fingerprint(&declaration)?;
        let avro = parse::schema(&parse::json(&declaration)?, false)?;
        let write = WritePlan::compile(&avro, &schema, schema.fields.len() == 1);
        let plans = HashMap::new();
        let codec =
            Self { schema, framing, role, declaration, fingerprint, write, plans, reads: fingerprint };
        let own = codec.declaration.clone();
        codec.with_writer(&own)
    }

    /// The same, reading also what was written by the schema `writer` (JSON), resolved by the codec's own: its aliases, the defaults
    /// of its fields and enums, the branches of its unions, promotions. Plain datums, which do not tell their schema, are all taken
    /// to be of the one that was given last.
    ///
    /// # Errors
    /// It is no Avro schema.
    pub fn with_writer(mut self, writer: &str) -> Result<Self, AvroError> {
        let reader = parse::schema(&parse::json(&self.declaration)?, true)?;
        let avro = parse::schema(&parse::json(writer)?, true)?;
        let plan = Plan::compile(&avro, Some(&reader), &self.schema, self.role)?;
        self.reads = fingerprint(writer)?;
        self.plans.insert(self.reads, plan);
        Ok(self)
    }

    /// The declaration (JSON) of what it writes.
    pub fn declaration(&self) -> &str {
        &self.declaration
    }

    fn split<'a>(&self, payload: &'a [u8]) -> Fallible<(&Plan, &'a [u8])> {
        let (fingerprint, datum) = match self.framing {
            AvroFraming::Plain => (self.reads, payload),
            AvroFraming::SingleObject => {
                let framed = payload.strip_prefix(&MARKER).and_then(|rest| rest.split_first_chunk::<8>());
                let framed = framed.ok_or_else(|| {
                    Failure::new("no Avro single object: the marker C3 01 and a fingerprint wanted")
                })?;
                (u64::from_le_bytes(*framed.0), framed.1)
            }
        };
        let plan = self.plans.get(&fingerprint);
        let unknown = || Failure::new(format!("no schema of the fingerprint {fingerprint:016x} is known"));
        Ok((plan.ok_or_else(unknown)?, datum))
    }

    fn begin(&self, out: &mut Vec<u8>) -> Fallible<&WritePlan> {
        let plan = self.write.as_ref().map_err(|e| Failure::new(e.to_string()))?;
        if self.framing == AvroFraming::SingleObject {
            out.extend_from_slice(&MARKER);
            out.extend_from_slice(&self.fingerprint.to_le_bytes());
        }
        Ok(plan)
    }
}

fn fingerprint(text: &str) -> Result<u64, AvroError> {
    let text = parse::json(text)?.to_string();
    let definition = AvroDefinition::parse(&SchemaText::avro(text));
    definition.map(|d| d.fingerprint()).map_err(|e| AvroError::new(format!("no Avro schema: {e}")))
}

impl Codec for AvroDatumCodec {
    fn format(&self) -> &'static str {
        match self.framing {
            AvroFraming::Plain => "AVRO_PLAIN",
            AvroFraming::SingleObject => "AVRO_SINGLE_OBJECT",
        }
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn decode_arrow(&self, payloads: &[Option<&[u8]>]) -> Decoded {
        batch::decode(&self.schema, payloads, |payload, columns| {
            let (plan, bytes) = self.split(payload)?;
            arrow::datum(bytes, plan, &self.schema.fields, columns)
        })
    }

    fn encode_arrow(&self, batch: &RecordBatch, out: &mut Encoded) -> Result<(), RecordError> {
        let cells = Cells::bind_batch(batch, &self.schema)?;
        out.append(batch.num_rows(), |i, arena| {
            self.begin(arena)?.cells(arena, &self.schema.fields, &cells, i)
        })
    }

    fn decode_row(&self, payload: &[u8]) -> Result<Row, RecordError> {
        let split = self.split(payload);
        split
            .and_then(|(plan, bytes)| rows::datum(bytes, plan, &self.schema.fields))
            .map_err(|e| e.of_record(0))
    }

    fn encode_row(&self, row: &Row, out: &mut Vec<u8>) -> Result<(), RecordError> {
        codec::append_row(out, |out| {
            batch::check_width(&self.schema, row)?;
            self.begin(out)?.values(out, &self.schema.fields, row)
        })
    }
}
