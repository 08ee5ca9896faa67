//! JSON with the schema in every record, as Kafka Connect's `JsonConverter` writes it with `schemas.enable`: the format
//! `JSON_ENVELOPE`.
//!
//! ```text
//!  {"schema":{"type":"struct","fields":[{"type":"int32","optional":true,"field":"a"}],"optional":false},"payload":{"a":1}}
//!
//!  bytes ── split ─┬─ schema ─ (once a text) ─▶ declare ─▶ the writer's columns
//!                  └─ payload ─ unscaled ─▶ plain JSON ─▶ JsonCodec ─▶ columns, rows
//! ```
//! The two fields may stand in any order, and no other may be there. The payload is read as JSON is, by name; decimals, which stand as
//! Base64 of their unscaled value, take their scale from the record's schema. A record whose schema is null is plain JSON; one whose
//! payload is null is a null record.

pub(crate) mod declare;
#[cfg(test)]
mod tests;
mod unscaled;

use super::JsonCodec;
use super::scan::Scanner;
use crate::batch;
use crate::connect::{ConnectField, RecordShape};
use crate::failure::{Failure, Fallible};
use crate::{Codec, DataType, Decoded, Encoded, RecordError, Role, Row, Schema};
use arrow_array::RecordBatch;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// So many schemas are kept; a topic has few.
const KEPT: usize = 100;
/// A schema of more bytes is read anew for each run of records.
const MAX_KEPT: usize = 64 << 10;

/// The two parts of a record.
#[derive(Clone, Copy)]
struct Split<'a> {
    schema: &'a [u8],
    payload: &'a [u8],
}

/// The parts; `None` if the JSON is not exactly these two fields.
fn split(bytes: &[u8]) -> Fallible<Option<Split<'_>>> {
    let mut s = Scanner::new(bytes)?;
    let (mut schema, mut payload, mut others) = (None, None, s.peek() != Some(b'{'));
    if others {
        s.skip_value()?;
    } else {
        s.enter(b'{')?;
        let mut first = true;
        while s.more(b'}', first)? {
            first = false;
            let key = s.key()?;
            let start = s.pos();
            s.skip_value()?;
            match &*key {
                "schema" => schema = Some(s.since(start)),
                "payload" => payload = Some(s.since(start)),
                _ => others = true,
            }
        }
    }
    s.end()?;
    Ok(match (schema, payload) {
        (Some(schema), Some(payload)) if !others => Some(Split { schema, payload }),
        _ => None,
    })
}

/// What a record's schema says, prepared.
struct Writer {
    shape: Arc<RecordShape>,
    /// The type of the payload, where decimals are in it.
    decimals: Option<DataType>,
    /// Of the shape's own columns.
    codec: JsonCodec,
}

impl Writer {
    fn new(text: &[u8]) -> Result<Self, String> {
        let shape = declare::shape_of(text)?;
        let schema = shape.schema.clone();
        let whole = match shape.schema.fields.as_slice() {
            [only] if shape.single => only.data_type.clone(),
            fields => DataType::Struct(fields.into()),
        };
        let codec = if shape.single { JsonCodec::key(schema) } else { JsonCodec::new(schema) };
        let codec = codec.case_sensitive(true);
        let decimals = Some(whole).filter(unscaled::holds_decimal);
        Ok(Self { shape: Arc::new(shape), decimals, codec })
    }

    /// The payload as plain JSON.
    fn plain<'a>(&self, payload: &'a [u8]) -> Fallible<Cow<'a, [u8]>> {
        match &self.decimals {
            Some(data_type) => unscaled::scaled(payload, data_type).map(Cow::Owned),
            None => Ok(Cow::Borrowed(payload)),
        }
    }
}

/// The reason where a schema can never be used.
type Kept = Result<Arc<Writer>, Arc<str>>;

/// The writers' schemas by their text.
#[derive(Default)]
struct Writers {
    kept: Mutex<HashMap<Box<[u8]>, Kept>>,
}

impl Writers {
    /// `None`: the schema is null.
    fn of(&self, text: &[u8]) -> Fallible<Option<Arc<Writer>>> {
        if text == b"null" {
            return Ok(None);
        }
        let known = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(text).cloned();
        let writer = known.unwrap_or_else(|| {
            let made = Writer::new(text).map(Arc::new).map_err(Arc::from);
            if text.len() <= MAX_KEPT {
                let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() >= KEPT {
                    kept.clear();
                }
                kept.insert(text.into(), made.clone());
            }
            made
        });
        writer.map(Some).map_err(|reason| Failure::new(&*reason))
    }
}

/// The schema that came last, which mostly comes again.
#[derive(Default)]
struct Last<'a>(Option<(&'a [u8], Option<Arc<Writer>>)>);

impl<'a> Last<'a> {
    fn of(&mut self, writers: &Writers, text: &'a [u8]) -> Fallible<Option<Arc<Writer>>> {
        if let Some((last, writer)) = &self.0
            && *last == text
        {
            return Ok(writer.clone());
        }
        let writer = writers.of(text)?;
        self.0 = Some((text, writer.clone()));
        Ok(writer)
    }
}

/// The format `JSON_ENVELOPE`, for keys or values of one schema.
///
/// ```
/// use bd_schema::{Codec, DataType, Field, JsonEnvelopeCodec, Role, Schema, Value};
///
/// let schema = Schema::new(vec![Field::new("id", DataType::Integer)]);
/// let codec = JsonEnvelopeCodec::new(schema, Role::Value, None);
/// let mut out = Vec::new();
/// codec.encode_row(&vec![Value::Integer(7)], &mut out)?;
/// let text = String::from_utf8_lossy(&out).into_owned();
/// assert!(text.starts_with(r#"{"schema":{"type":"struct","fields":["#), "{text}");
/// assert!(text.ends_with(r#""payload":{"id":7}}"#), "{text}");
/// assert_eq!(codec.decode_row(&out)?, [Value::Integer(7)]);
/// # Ok::<(), bd_schema::RecordError>(())
/// ```
pub struct JsonEnvelopeCodec {
    json: JsonCodec,
    /// `{"schema":...,"payload":`.
    prefix: Vec<u8>,
    writers: Writers,
}

impl JsonEnvelopeCodec {
    /// A codec of these columns; a single column of [`Role::Key`] is the bare value. `name` is that of the struct in the schema.
    pub fn new(schema: Schema, layout: Role, name: Option<&str>) -> Self {
        let (declared, json) = match (layout, schema.fields.as_slice()) {
            (Role::Key, [only]) => (
                declare::envelope_schema_of(&only.data_type, &ConnectField::required()),
                JsonCodec::key(schema),
            ),
            _ => {
                let known = ConnectField { semantic: name.map(str::to_owned), ..ConnectField::required() };
                let whole = DataType::Struct(schema.fields.clone().into());
                (declare::envelope_schema_of(&whole, &known), JsonCodec::new(schema))
            }
        };
        Self::with_declaration(json.decimals_unscaled(true), &declared)
    }

    /// A codec that writes what `json` writes, with that schema (Connect's JSON) in each record.
    pub fn with_declaration(json: JsonCodec, declaration: &str) -> Self {
        let prefix = format!("{{\"schema\":{declaration},\"payload\":").into_bytes();
        Self { json, prefix, writers: Writers::default() }
    }

    fn parts<'a>(&self, payload: &'a [u8]) -> Fallible<Split<'a>> {
        split(payload)?.ok_or_else(|| {
            Failure::new(
                "an object of the fields \"schema\" and \"payload\" wanted, and no other field in it",
            )
        })
    }

    /// The payload as plain JSON.
    fn plain<'a>(&self, parts: Split<'a>, last: &mut Last<'a>) -> Fallible<Cow<'a, [u8]>> {
        match last.of(&self.writers, parts.schema)? {
            Some(writer) => writer.plain(parts.payload),
            None => Ok(Cow::Borrowed(parts.payload)),
        }
    }

    fn read_row(&self, payload: &[u8]) -> Fallible<Row> {
        let parts = self.parts(payload)?;
        self.json.read_row(&self.plain(parts, &mut Last::default())?)
    }
}

impl Codec for JsonEnvelopeCodec {
    fn format(&self) -> &'static str {
        "JSON_ENVELOPE"
    }

    fn schema(&self) -> &Schema {
        self.json.schema()
    }

    fn decode_arrow(&self, payloads: &[Option<&[u8]>]) -> Decoded {
        let parts: Vec<Option<Fallible<Split<'_>>>> =
            payloads.iter().map(|payload| payload.map(|p| self.parts(p))).collect();
        // A null payload is a null record; one that has no parts is met again below.
        let present: Vec<Option<&[u8]>> = payloads
            .iter()
            .zip(&parts)
            .map(|(payload, parts)| match parts {
                Some(Ok(split)) if split.payload == b"null" => None,
                _ => *payload,
            })
            .collect();
        let mut parts = parts.into_iter().zip(&present).filter(|(_, p)| p.is_some()).filter_map(|(p, _)| p);
        let (mut read, mut last) = (self.json.decoder(), Last::default());
        batch::decode(self.schema(), &present, |_, columns| match parts.next() {
            Some(split) => read(&self.plain(split?, &mut last)?, columns),
            None => Err(Failure::new("more records than payloads")),
        })
    }

    fn encode_arrow(&self, batch: &RecordBatch, out: &mut Encoded) -> Result<(), RecordError> {
        let cells = crate::cells::Cells::bind_batch(batch, self.schema())?;
        out.append(batch.num_rows(), |i, arena| {
            arena.extend_from_slice(&self.prefix);
            self.json.write_cells(&cells, i, arena)?;
            arena.push(b'}');
            Ok(())
        })
    }

    fn decode_row(&self, payload: &[u8]) -> Result<Row, RecordError> {
        self.read_row(payload).map_err(|e| e.of_record(0))
    }

    fn encode_row(&self, row: &Row, out: &mut Vec<u8>) -> Result<(), RecordError> {
        let start = out.len();
        out.extend_from_slice(&self.prefix);
        match self.json.write_row(row, out) {
            Ok(()) => {
                out.push(b'}');
                Ok(())
            }
            Err(e) => {
                out.truncate(start);
                Err(e.of_record(0))
            }
        }
    }
}

/// A record in an envelope.
#[derive(Debug, Clone, PartialEq)]
pub enum Enveloped<'a> {
    /// The payload is null.
    Null,
    /// The schema is null: the payload's JSON text.
    Schemaless(&'a [u8]),
    /// The writer's shape (the same `Arc` for equal schemas while it is kept) and the values.
    Row(Arc<RecordShape>, Row),
}

/// Reads records whose columns are not known beforehand: the schema in each says them. What converters need.
#[derive(Default)]
pub struct JsonEnvelopeReader {
    writers: Writers,
}

impl JsonEnvelopeReader {
    /// Reads one record. A struct is its columns; any other value is one column named `value`.
    ///
    /// # Errors
    /// With index 0, in Connect's words: the JSON is broken or no envelope, its schema cannot be used, or the payload does not fit it.
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> Result<Enveloped<'a>, RecordError> {
        self.read(bytes).map_err(|e| e.of_record(0))
    }

    fn read<'a>(&self, bytes: &'a [u8]) -> Fallible<Enveloped<'a>> {
        let Some(Split { schema, payload }) = split(bytes)? else {
            return Err(Failure::new(
                "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields and may not contain additional \
                 fields. If you are trying to deserialize plain JSON data, set schemas.enable=false in your converter \
                 configuration.",
            ));
        };
        let writer = self.writers.of(schema)?;
        Ok(match writer {
            _ if payload == b"null" => Enveloped::Null,
            None => Enveloped::Schemaless(payload),
            Some(writer) => {
                let row = writer.codec.read_row(&writer.plain(payload)?)?;
                Enveloped::Row(writer.shape.clone(), row)
            }
        })
    }
}
