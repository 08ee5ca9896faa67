//! How a record is printed.

use super::records::Record;
use crate::cli::{Consume, Format};
use crate::commands::registry;
use anyhow::Result;
use bd_schema::{
    AvroReader, Codec, JsonCodec, JsonSchemaReader, ProtobufReader, Row, Schema, SchemaRegistry, SchemaType,
};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;

/// Codecs kept, one for each schema.
const CODECS: usize = 1000;

/// Prints records.
pub(super) struct Printer {
    format: Format,
    registered: Option<Registered>,
    failed: u64,
}

/// Confluent's framing: a zero byte, the schema's id, the message in Avro, JSON or Protobuf as the schema says.
struct Registered {
    registry: Arc<dyn SchemaRegistry>,
    avro: AvroReader,
    json: JsonSchemaReader,
    protobuf: ProtobufReader,
    /// By schema id and, of Protobuf, message. A bare value is an object's only field, `value`.
    codecs: HashMap<(u32, Option<String>), Arc<JsonCodec>>,
}

impl Printer {
    pub(super) fn new(args: &Consume) -> Result<Self> {
        let format = match args.format {
            Format::Value if args.cluster.json => Format::Json,
            format => format,
        };
        let registered = match args.registry.as_deref() {
            None => None,
            Some(url) => Some(Registered::new(Arc::new(registry(url, &args.registry_property)?))),
        };
        Ok(Self { format, registered, failed: 0 })
    }

    /// Keys and values that looked like ones with a schema and could not be decoded.
    pub(super) fn failed(&self) -> u64 {
        self.failed
    }

    pub(super) fn print(&mut self, out: &mut impl Write, record: &Record<'_>) -> Result<()> {
        match self.format {
            Format::Raw => {
                out.write_all(record.value.unwrap_or_default())?;
                return Ok(());
            }
            Format::Value => self.plain(out, record, "value", record.value)?,
            Format::KeyValue => {
                self.plain(out, record, "key", record.key)?;
                out.write_all(b"\t")?;
                self.plain(out, record, "value", record.value)?;
            }
            Format::Json | Format::Hex => {
                let object = self.object(record);
                serde_json::to_writer(&mut *out, &object)?;
            }
        }
        out.write_all(b"\n")?;
        Ok(())
    }

    fn plain(
        &mut self,
        out: &mut impl Write,
        record: &Record<'_>,
        what: &str,
        bytes: Option<&[u8]>,
    ) -> Result<()> {
        match self.decoded(record, what, bytes) {
            Some(Value::String(text)) => out.write_all(text.as_bytes())?,
            Some(value) => serde_json::to_writer(&mut *out, &value)?,
            None => out.write_all(bytes.unwrap_or(b"null"))?,
        }
        Ok(())
    }

    fn object(&mut self, record: &Record<'_>) -> Map<String, Value> {
        let shown: fn(Option<&[u8]>) -> Value = if self.format == Format::Hex { hex } else { text };
        let mut of = |what: &str, bytes: Option<&[u8]>| {
            self.decoded(record, what, bytes).unwrap_or_else(|| shown(bytes))
        };
        let (key, value) = (of("key", record.key), of("value", record.value));
        // A repeated header name keeps all its values, in order.
        let headers: Vec<Value> =
            record.headers.to_vec().iter().map(|(n, v)| json!([n, shown(*v)])).collect();
        let mut object = Map::new();
        object.insert("topic".into(), json!(record.topic));
        object.insert("partition".into(), json!(record.partition));
        object.insert("offset".into(), json!(record.offset));
        object.insert("timestamp".into(), json!(record.timestamp));
        object.insert("key".into(), key);
        object.insert("value".into(), value);
        if !headers.is_empty() {
            object.insert("headers".into(), Value::Array(headers));
        }
        object
    }

    /// What the registry's schema says; `None` for bytes without its framing, or that are not what they should be.
    fn decoded(&mut self, record: &Record<'_>, what: &str, bytes: Option<&[u8]>) -> Option<Value> {
        let (registered, bytes) = (self.registered.as_mut()?, bytes?);
        let [0, a, b, c, d, ..] = bytes else { return None };
        let id = u32::from_be_bytes([*a, *b, *c, *d]);
        match registered.decode(id, bytes) {
            Ok(value) => Some(value),
            Err(reason) => {
                let Record { topic, partition, offset, .. } = record;
                tracing::warn!("{topic}-{partition} at offset {offset}: {what} of schema {id}: {reason}");
                self.failed += 1;
                None
            }
        }
    }
}

impl Registered {
    fn new(registry: Arc<dyn SchemaRegistry>) -> Self {
        let avro = AvroReader::new(Arc::clone(&registry));
        let json = JsonSchemaReader::new(Arc::clone(&registry));
        let protobuf = ProtobufReader::new(Arc::clone(&registry));
        Self { registry, avro, json, protobuf, codecs: HashMap::new() }
    }

    fn decode(&mut self, id: u32, bytes: &[u8]) -> Result<Value, String> {
        // What the registry does not know is Avro as likely as anything; its reader says why it cannot be read.
        match self.registry.schema(id).map_or(SchemaType::Avro, |s| s.schema_type) {
            SchemaType::Avro => {
                let (shape, row) = self.avro.decode(bytes).map_err(|e| e.reason)?;
                self.json(id, None, &shape.schema, shape.single, &row)
            }
            SchemaType::Json => {
                let (shape, row) = self.json.decode(bytes).map_err(|e| e.reason)?;
                self.json(id, None, &shape.schema, shape.single, &row)
            }
            SchemaType::Protobuf => {
                let (shape, row) = self.protobuf.decode(bytes).map_err(|e| e.reason)?;
                self.json(id, shape.name.clone(), &shape.schema, false, &row)
            }
        }
    }

    /// A row as JSON; `single` is a bare value.
    fn json(
        &mut self,
        id: u32,
        message: Option<String>,
        schema: &Schema,
        single: bool,
        row: &Row,
    ) -> Result<Value, String> {
        if self.codecs.len() >= CODECS {
            self.codecs.clear();
        }
        let made = || Arc::new(JsonCodec::new(schema.clone()));
        let codec = self.codecs.entry((id, message)).or_insert_with(made);
        let mut json = Vec::new();
        codec.encode_row(row, &mut json).map_err(|e| e.to_string())?;
        let mut value: Value = serde_json::from_slice(&json).map_err(|e| e.to_string())?;
        match value.as_object_mut().filter(|_| single) {
            Some(object) => Ok(object.remove("value").unwrap_or_default()),
            None => Ok(value),
        }
    }
}

/// Bytes as text; what is not UTF-8 shows as replacement characters.
fn text(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::Null, |b| Value::String(String::from_utf8_lossy(b).into_owned()))
}

fn hex(bytes: Option<&[u8]>) -> Value {
    let Some(bytes) = bytes else { return Value::Null };
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    Value::String(out)
}
