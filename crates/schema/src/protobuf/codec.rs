//! The codecs `PROTOBUF` and `PROTOBUF_NOSR`.

use super::declare::protobuf_of_schema;
use super::definition::ProtobufDefinition;
use super::messages::{self, Messages, indexed};
use super::plan::{Message, MessagePlan};
use super::source::Cell;
use super::write::WritePlan;
use super::{arrow, rows};
use crate::cells::Cells;
use crate::definition::InvalidSchema;
use crate::failure::{Failure, Fallible};
use crate::writers::{self, Lookup, Writers, framed, of_registry};
use crate::{
    Codec, Decoded, Encoded, NewSchema, RecordError, Row, Schema, SchemaRegistry, SchemaText, SchemaType,
    batch,
};
use arrow_array::RecordBatch;
use std::sync::{Arc, OnceLock};

/// Protobuf, for keys or values of one schema: `PROTOBUF` in Confluent's framing, `PROTOBUF_NOSR` the bare message.
///
/// What `PROTOBUF` writes is registered under its subject when the first record is written.
pub struct ProtobufCodec {
    schema: Schema,
    declaration: Arc<str>,
    write: WritePlan,
    /// The message that it writes, where its numbers tell which of another writer's fields a column is.
    reader: Option<(ProtobufDefinition, String)>,
    framing: Framing,
}

enum Framing {
    Registry {
        subject: String,
        writers: Writers<Messages<MessagePlan>>,
        /// The message's indexes, encoded.
        indexes: Vec<u8>,
        id: OnceLock<u32>,
    },
    /// The plan of the declaration itself.
    Bare(Box<MessagePlan>),
}

impl ProtobufCodec {
    /// `PROTOBUF`, which writes under `subject` what [`protobuf_of_schema`] declares.
    ///
    /// # Errors
    /// Columns that Protobuf cannot hold side by side.
    pub fn new(
        registry: Arc<dyn SchemaRegistry>,
        subject: impl Into<String>,
        schema: Schema,
    ) -> Result<Self, InvalidSchema> {
        Self::named(registry, subject, schema, None)
    }

    /// The same by that full name of the message.
    ///
    /// # Errors
    /// As [`ProtobufCodec::new`]'s.
    pub fn named(
        registry: Arc<dyn SchemaRegistry>,
        subject: impl Into<String>,
        schema: Schema,
        name: Option<&str>,
    ) -> Result<Self, InvalidSchema> {
        let declaration = protobuf_of_schema(name, &schema, &[])?;
        let codec = Self::with_declaration(registry, subject, schema, declaration, &[0])?;
        // Its numbers are of its own making.
        Ok(Self { reader: None, ..codec })
    }

    /// `PROTOBUF` that writes the message at those message indexes of this `.proto` text, which refers to well-known files only. Its
    /// fields match the columns by name; those without a column are absent. Records that others wrote are read by it: a column is the
    /// field of its number, however that is named there, and one that is not there is what this message says of its absence.
    ///
    /// # Errors
    /// It is no Protobuf schema, has no such message, a column is not in it or not of a type that fits.
    pub fn with_declaration(
        registry: Arc<dyn SchemaRegistry>,
        subject: impl Into<String>,
        schema: Schema,
        declaration: impl Into<Arc<str>>,
        indexes: &[i32],
    ) -> Result<Self, InvalidSchema> {
        let declaration = declaration.into();
        let (definition, name) = message_of(&declaration, indexes)?;
        let write = WritePlan::compile(&definition.types, &name, &schema.fields)?;
        let framing = Framing::Registry {
            subject: subject.into(),
            writers: Writers::new(registry),
            indexes: messages::encoded(indexes),
            id: OnceLock::new(),
        };
        Ok(Self { schema, declaration, write, reader: Some((definition, name)), framing })
    }

    /// `PROTOBUF_NOSR`: the bare message of what [`protobuf_of_schema`] declares.
    ///
    /// # Errors
    /// As [`ProtobufCodec::new`]'s.
    pub fn bare(schema: Schema) -> Result<Self, InvalidSchema> {
        let declaration = protobuf_of_schema(None, &schema, &[])?;
        Self::bare_with_declaration(schema, declaration, &[0])
    }

    /// `PROTOBUF_NOSR` of the message at those message indexes of this `.proto` text.
    ///
    /// # Errors
    /// As [`ProtobufCodec::with_declaration`]'s.
    pub fn bare_with_declaration(
        schema: Schema,
        declaration: impl Into<Arc<str>>,
        indexes: &[i32],
    ) -> Result<Self, InvalidSchema> {
        let declaration = declaration.into();
        let (definition, name) = message_of(&declaration, indexes)?;
        let write = WritePlan::compile(&definition.types, &name, &schema.fields)?;
        let plan = MessagePlan::compile(&definition.types, &name, &schema.fields, None)?;
        Ok(Self { schema, declaration, write, reader: None, framing: Framing::Bare(Box::new(plan)) })
    }

    /// The `.proto` text of what it writes.
    pub fn declaration(&self) -> &str {
        &self.declaration
    }

    /// What stands before each message.
    fn prefix(&self) -> Fallible<Vec<u8>> {
        let mut prefix = Vec::new();
        if let Framing::Registry { subject, writers, indexes, id } = &self.framing {
            let id = match id.get() {
                Some(id) => *id,
                None => {
                    let new = NewSchema::new(SchemaType::Protobuf, self.declaration.clone());
                    let registered = writers.registry().register(subject, &new).map_err(of_registry)?;
                    *id.get_or_init(|| registered)
                }
            };
            writers::begin(&mut prefix, id);
            prefix.extend_from_slice(indexes);
        }
        Ok(prefix)
    }

    fn compile(&self, messages: &Messages<MessagePlan>, name: &str) -> Result<MessagePlan, InvalidSchema> {
        let by = self.reader.as_ref().map(|(reader, name)| Message { types: &reader.types, name });
        MessagePlan::compile(&messages.definition.types, name, &self.schema.fields, by)
    }

    fn write_row(&self, row: &Row, out: &mut Vec<u8>) -> Fallible<()> {
        batch::check_width(&self.schema, row)?;
        out.extend(self.prefix()?);
        self.write.message(out, |i| row.get(i))
    }
}

fn message_of(
    declaration: &Arc<str>,
    indexes: &[i32],
) -> Result<(ProtobufDefinition, String), InvalidSchema> {
    let definition = ProtobufDefinition::parse(&SchemaText::new(SchemaType::Protobuf, declaration.clone()))?;
    let name = definition.message_at(indexes);
    let name =
        name.ok_or_else(|| InvalidSchema(format!("there is no message at the indexes {indexes:?}")))?;
    Ok((definition, name))
}

/// A writer's schema of that type.
pub(super) fn messages_of<P>(text: &SchemaText) -> Result<Messages<P>, InvalidSchema> {
    match text.schema_type {
        SchemaType::Protobuf => Messages::of(text),
        other => Err(InvalidSchema(format!("it is of type {other}, not PROTOBUF"))),
    }
}

impl Codec for ProtobufCodec {
    fn format(&self) -> &'static str {
        match self.framing {
            Framing::Registry { .. } => "PROTOBUF",
            Framing::Bare(_) => "PROTOBUF_NOSR",
        }
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn decode_arrow(&self, payloads: &[Option<&[u8]>]) -> Decoded {
        match &self.framing {
            Framing::Bare(plan) => batch::decode(&self.schema, payloads, |payload, columns| {
                arrow::message(payload, plan, columns)
            }),
            Framing::Registry { writers, .. } => {
                let mut lookup = Lookup::new(writers);
                let mut last: Option<(u32, Vec<u8>, Arc<MessagePlan>)> = None;
                batch::decode(&self.schema, payloads, |payload, columns| {
                    let (id, rest) = framed(payload, "Protobuf")?;
                    let (indexes, message) = indexed(rest)?;
                    if let Some((known, at, plan)) = &last
                        && *known == id
                        && at == indexes
                    {
                        return arrow::message(message, plan, columns);
                    }
                    let plan = lookup.plan(id, messages_of)?.at(indexes, |m, name| self.compile(m, name))?;
                    let (_, _, plan) = &*last.insert((id, indexes.to_vec(), plan));
                    arrow::message(message, plan, columns)
                })
            }
        }
    }

    fn encode_arrow(&self, batch: &RecordBatch, out: &mut Encoded) -> Result<(), RecordError> {
        let cells = Cells::bind_batch(batch, &self.schema)?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let prefix = self.prefix().map_err(|e| e.of_record(0))?;
        out.append(batch.num_rows(), |at, arena| {
            arena.extend_from_slice(&prefix);
            self.write.message(arena, |i| cells.get(i).map(|cells| Cell { cells, at }))
        })
    }

    fn decode_row(&self, payload: &[u8]) -> Result<Row, RecordError> {
        let read = || match &self.framing {
            Framing::Bare(plan) => rows::message(payload, plan),
            Framing::Registry { writers, .. } => {
                let (id, rest) = framed(payload, "Protobuf")?;
                let (indexes, message) = indexed(rest)?;
                let plan = writers.plan(id, messages_of)?.at(indexes, |m, name| self.compile(m, name))?;
                rows::message(message, &plan)
            }
        };
        read().map_err(|e: Box<Failure>| e.of_record(0))
    }

    fn encode_row(&self, row: &Row, out: &mut Vec<u8>) -> Result<(), RecordError> {
        let start = out.len();
        self.write_row(row, out).map_err(|e| {
            out.truncate(start);
            e.of_record(0)
        })
    }
}
