//! Strings, bytes and numbers as Kafka's own serialisers write them.

use super::runs::RunsBuilder;
use super::{ConvertError, Converter, Payloads, Runs};
use crate::sdk::{Cells, ConnectSchema, Shape};
use bd_schema::{Codec, DataType, Field, KafkaCodec, Row, Schema, Value};
use std::sync::Arc;

/// `org.apache.kafka.connect.converters.ByteArrayConverter`.
pub(super) struct ByteArrayConverter;

impl Converter for ByteArrayConverter {
    fn class(&self) -> &'static str {
        "org.apache.kafka.connect.converters.ByteArrayConverter"
    }

    fn encode(&mut self, _topic: &str, cells: &Cells) -> Result<Payloads, ConvertError> {
        each(cells, |row, schema, out| {
            match (row.first(), &schema.shape) {
            (Some(Value::Bytes(bytes)), Shape::Single(_)) => {
                out.extend_from_slice(bytes);
                Ok(())
            }
            _ => Err("ByteArrayConverter writes bytes only, the record has a schema: use JsonConverter or AvroConverter".into()),
        }
        })
    }

    fn decode(&mut self, _topic: &str, payloads: &[Option<&[u8]>]) -> Result<Runs, ConvertError> {
        Ok(Runs::one(bytes(payloads)))
    }
}

/// The payloads as they are.
pub(super) fn bytes(payloads: &[Option<&[u8]>]) -> Cells {
    Cells::Bytes(payloads.iter().map(|p| p.map(<[u8]>::to_vec)).collect())
}

/// Encodes row by row; bytes and nulls are passed on.
pub(super) fn each(
    cells: &Cells,
    mut write: impl FnMut(&Row, &ConnectSchema, &mut Vec<u8>) -> Result<(), String>,
) -> Result<Payloads, ConvertError> {
    let mut out = Payloads::default();
    let rows;
    let cells = match cells {
        Cells::Arrow { .. } => {
            rows = cells.clone().into_rows().map_err(|e| ConvertError::Fatal(e.to_string()))?;
            &rows
        }
        other => other,
    };
    match cells {
        Cells::Null(count) => out.nulls(*count),
        Cells::Bytes(cells) => cells.iter().for_each(|c| out.push(c.as_deref())),
        Cells::Rows { schema, rows } => {
            for row in rows {
                match row {
                    None => out.push(None),
                    Some(row) => out.write(|arena| write(row, schema, arena)),
                }
            }
        }
        Cells::Arrow { .. } => {}
    }
    Ok(out)
}

/// `org.apache.kafka.connect.storage.StringConverter`.
pub(super) struct StringConverter {
    schema: Arc<ConnectSchema>,
}

impl Default for StringConverter {
    fn default() -> Self {
        Self { schema: Arc::new(ConnectSchema::single(DataType::Varchar)) }
    }
}

impl Converter for StringConverter {
    fn class(&self) -> &'static str {
        "org.apache.kafka.connect.storage.StringConverter"
    }

    fn encode(&mut self, _topic: &str, cells: &Cells) -> Result<Payloads, ConvertError> {
        each(cells, |row, schema, out| {
            let text = match (&schema.shape, row.first()) {
                (Shape::Single(data_type), Some(value)) => text_of(value, data_type),
                (Shape::Struct { schema, .. }, _) => struct_text(row, &schema.fields),
                (Shape::Single(_), None) => String::new(),
            };
            out.extend_from_slice(text.as_bytes());
            Ok(())
        })
    }

    fn decode(&mut self, _topic: &str, payloads: &[Option<&[u8]>]) -> Result<Runs, ConvertError> {
        let mut runs = RunsBuilder::default();
        for payload in payloads {
            match payload.map(std::str::from_utf8) {
                None => runs.null(),
                Some(Ok(text)) => runs.row(&self.schema, vec![Value::Varchar(text.to_owned())]),
                Some(Err(e)) => runs.fail(format!("not UTF-8 at byte {}", e.valid_up_to())),
            }
        }
        Ok(runs.finish())
    }
}

/// A value as Java's `toString` shows it, for strings and headers.
pub(crate) fn text_of(value: &Value, data_type: &DataType) -> String {
    match (value, data_type) {
        (Value::Null, _) => "null".into(),
        (Value::Varchar(text), _) => text.clone(),
        (Value::Boolean(v), _) => v.to_string(),
        (Value::Integer(v) | Value::Date(v) | Value::Time(v), _) => v.to_string(),
        (Value::BigInt(v) | Value::Timestamp(v), _) => v.to_string(),
        (Value::Double(v), _) => format!("{v:?}"),
        (Value::Struct(values), DataType::Struct(fields)) => struct_text(values, fields),
        (value, data_type) => {
            let schema = Schema::new(vec![Field::new("value", data_type.clone())]);
            let mut out = Vec::new();
            match bd_schema::JsonCodec::key(schema).encode_row(&vec![value.clone()], &mut out) {
                Ok(()) => String::from_utf8_lossy(&out).into_owned(),
                Err(error) => error.to_string(),
            }
        }
    }
}

fn struct_text(values: &[Value], fields: &[Field]) -> String {
    let set = values.iter().zip(fields).filter(|(v, _)| **v != Value::Null);
    let parts: Vec<_> = set.map(|(v, f)| format!("{}={}", f.name, text_of(v, &f.data_type))).collect();
    format!("Struct{{{}}}", parts.join(","))
}

/// `LongConverter`, `IntegerConverter`, `DoubleConverter`.
pub(super) struct NumberConverter {
    class: &'static str,
    data_type: DataType,
    schema: Arc<ConnectSchema>,
    codec: KafkaCodec,
}

impl NumberConverter {
    /// `None` for a type that is no number of Kafka's serialisers.
    pub(super) fn new(class: &'static str, data_type: DataType) -> Option<Self> {
        let codec = KafkaCodec::new(Schema::new(vec![Field::new("value", data_type.clone())]))?;
        let schema = Arc::new(ConnectSchema::single(data_type.clone()));
        Some(Self { class, data_type, schema, codec })
    }
}

impl Converter for NumberConverter {
    fn class(&self) -> &'static str {
        self.class
    }

    fn encode(&mut self, _topic: &str, cells: &Cells) -> Result<Payloads, ConvertError> {
        let (codec, wanted) = (&self.codec, &self.data_type);
        each(cells, |row, schema, out| {
            let value = match (row.as_slice(), wanted) {
                ([Value::Integer(v)], DataType::BigInt) => vec![Value::BigInt(i64::from(*v))],
                (row, _) => row.to_vec(),
            };
            if matches!(schema.shape, Shape::Struct { .. }) {
                return Err(format!("a single {wanted} wanted, the record is a struct; use ExtractField"));
            }
            codec.encode_row(&value, out).map_err(|e| e.to_string())
        })
    }

    fn decode(&mut self, _topic: &str, payloads: &[Option<&[u8]>]) -> Result<Runs, ConvertError> {
        let mut runs = RunsBuilder::default();
        for payload in payloads {
            match payload.map(|p| self.codec.decode_row(p)) {
                None => runs.null(),
                Some(Ok(row)) => runs.row(&self.schema, row),
                Some(Err(error)) => runs.fail(error.reason),
            }
        }
        Ok(runs.finish())
    }
}
