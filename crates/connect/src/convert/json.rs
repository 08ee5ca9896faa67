//! `org.apache.kafka.connect.json.JsonConverter`.

use super::primitive::{bytes, each};
use super::runs::RunsBuilder;
use super::{ConvertError, Converter, Memo, Payloads, Runs, json_schema};
use crate::sdk::{Cells, Config, ConfigError, ConnectSchema, Shape};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bd_schema::{Codec, DataType, Encoded, Field, JsonCodec, Role, Row, Schema, Value};
use serde::de::IgnoredAny;
use serde_json::Value as Json;
use std::sync::Arc;

/// JSON with or without the schema in each record.
///
/// Keys: `schemas.enable` (true by default), `decimal.format` (`BASE64` by default, `NUMERIC`).
pub(super) struct JsonConverter {
    schemas: bool,
    numeric: bool,
    role: Role,
    writers: Memo<Writing>,
    /// The schema that was read last, and what it says.
    last: Option<(Json, Arc<ConnectSchema>)>,
}

/// How records of a schema are written.
struct Writing {
    codec: JsonCodec,
    /// `{"schema":...,"payload":`; empty without schemas.
    prefix: Vec<u8>,
    /// Decimals become bytes.
    decimals: bool,
}

impl JsonConverter {
    pub(super) fn new(keys: &Config, role: Role) -> Result<Self, ConfigError> {
        let schemas = keys.get("schemas.enable").is_none() || keys.boolean("schemas.enable")?;
        let numeric = numeric_decimals(keys)?;
        Ok(Self { schemas, numeric, role, writers: Memo::default(), last: None })
    }

    fn writing(&self, schema: &ConnectSchema) -> Writing {
        let mut columns = schema.columns().into_owned();
        let decimals = !self.numeric && columns.fields.iter().any(|f| holds_decimal(&f.data_type));
        if decimals {
            columns = Schema::new(
                columns.fields.iter().map(|f| Field::new(&f.name, bytes_for(&f.data_type))).collect(),
            );
        }
        let codec = match schema.shape {
            Shape::Single(_) => JsonCodec::key(columns),
            Shape::Struct { .. } => JsonCodec::new(columns),
        };
        let prefix = match self.schemas {
            true => format!("{{\"schema\":{},\"payload\":", json_schema::to_json(schema)).into_bytes(),
            false => Vec::new(),
        };
        Writing { codec, prefix, decimals }
    }

    fn encode_bytes(&self, cells: &[Option<Vec<u8>>]) -> Payloads {
        let mut out = Payloads::default();
        for cell in cells {
            let Some(cell) = cell else {
                out.push(None);
                continue;
            };
            if self.role == Role::Key && !self.schemas {
                out.push(Some(cell));
                continue;
            }
            out.write(|arena| {
                serde_json::from_slice::<IgnoredAny>(cell)
                    .map_err(|e| format!("not JSON, which JsonConverter must write: {e}"))?;
                if self.schemas {
                    arena.extend_from_slice(b"{\"schema\":null,\"payload\":");
                    arena.extend_from_slice(cell);
                    arena.push(b'}');
                } else {
                    arena.extend_from_slice(cell);
                }
                Ok(())
            });
        }
        out
    }

    /// One record with its schema.
    fn read(&mut self, payload: &[u8]) -> Result<Option<(Arc<ConnectSchema>, Row)>, String> {
        const WANTED: &str = "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields and may not \
                              contain additional fields. If you are trying to deserialize plain JSON data, set \
                              schemas.enable=false in your converter configuration.";
        let mut json: Json = serde_json::from_slice(payload).map_err(|e| format!("not JSON: {e}"))?;
        let Some(envelope) = json.as_object_mut().filter(|o| o.len() == 2) else { return Err(WANTED.into()) };
        let (Some(schema), Some(payload)) = (envelope.remove("schema"), envelope.remove("payload")) else {
            return Err(WANTED.into());
        };
        if schema.is_null() {
            if payload.is_null() {
                return Ok(None);
            }
            let (schema, row) = crate::transform::infer(&payload);
            return Ok(Some((Arc::new(schema), row)));
        }
        let known = match &self.last {
            Some((last, known)) if *last == schema => Arc::clone(known),
            _ => {
                let known = Arc::new(json_schema::of_json(&schema)?);
                self.last = Some((schema, Arc::clone(&known)));
                known
            }
        };
        if payload.is_null() {
            return Ok(None);
        }
        let row = match &known.shape {
            Shape::Single(data_type) => vec![value_of(data_type, &payload)?],
            Shape::Struct { schema, .. } => struct_of(&schema.fields, &payload)?,
        };
        Ok(Some((known, row)))
    }
}

impl Converter for JsonConverter {
    fn class(&self) -> &'static str {
        "org.apache.kafka.connect.json.JsonConverter"
    }

    fn encode(&mut self, _topic: &str, cells: &Cells) -> Result<Payloads, ConvertError> {
        let schema = match cells {
            Cells::Null(_) => return each(cells, |_, _, _| Ok(())),
            Cells::Bytes(cells) => return Ok(self.encode_bytes(cells)),
            Cells::Rows { schema, .. } | Cells::Arrow { schema, .. } => schema,
        };
        let mut writers = std::mem::take(&mut self.writers);
        let writing = writers.get(schema, |s| Ok::<_, ConvertError>(self.writing(s)));
        let result = writing.and_then(|writing| writing.write(cells));
        self.writers = writers;
        result
    }

    fn decode(&mut self, _topic: &str, payloads: &[Option<&[u8]>]) -> Result<Runs, ConvertError> {
        if !self.schemas {
            return Ok(plain(payloads));
        }
        let mut runs = RunsBuilder::default();
        for payload in payloads {
            match payload.map(|p| self.read(p)) {
                None | Some(Ok(None)) => runs.null(),
                Some(Ok(Some((schema, row)))) => runs.row(&schema, row),
                Some(Err(reason)) => runs.fail(reason),
            }
        }
        Ok(runs.finish())
    }
}

/// Records without schemas: checked, and left as they are.
fn plain(payloads: &[Option<&[u8]>]) -> Runs {
    let failed: Vec<(usize, String)> = payloads
        .iter()
        .enumerate()
        .filter_map(|(i, p)| Some((i, serde_json::from_slice::<IgnoredAny>((*p)?).err()?.to_string())))
        .map(|(i, error)| (i, format!("not JSON: {error}")))
        .collect();
    let mut runs = Runs { runs: Vec::new(), failed };
    let mut start = 0;
    for end in runs.failed.iter().map(|(i, _)| *i).chain([payloads.len()]) {
        if end > start {
            runs.runs.push((start..end, bytes(&payloads[start..end])));
        }
        start = end + 1;
    }
    runs
}

impl Writing {
    fn write(&self, cells: &Cells) -> Result<Payloads, ConvertError> {
        if let Cells::Arrow { batch, .. } = cells
            && !self.decimals
        {
            let mut encoded = Encoded::default();
            // A record that JSON cannot hold (NaN) is found again row by row, so that the others are written.
            if self.codec.encode_arrow(batch, &mut encoded).is_ok() {
                let mut out = Payloads::default();
                for i in 0..batch.num_rows() {
                    out.write(|arena| {
                        self.wrap(arena, |arena| {
                            arena.extend_from_slice(encoded.get(i));
                            Ok(())
                        })
                    });
                }
                return Ok(out);
            }
        }
        each(cells, |row, schema, arena| {
            let converted;
            let row = if self.decimals {
                let columns = schema.columns();
                converted = row
                    .iter()
                    .zip(&columns.fields)
                    .map(|(v, f)| decimals_as_bytes(v, &f.data_type))
                    .collect();
                &converted
            } else {
                row
            };
            self.wrap(arena, |arena| self.codec.encode_row(row, arena).map_err(|e| e.to_string()))
        })
    }

    fn wrap(
        &self,
        arena: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), String>,
    ) -> Result<(), String> {
        arena.extend_from_slice(&self.prefix);
        write(arena)?;
        if !self.prefix.is_empty() {
            arena.push(b'}');
        }
        Ok(())
    }
}

/// `decimal.format`: whether decimals are numbers, not base64.
pub(super) fn numeric_decimals(keys: &Config) -> Result<bool, ConfigError> {
    match keys.get("decimal.format").map(str::to_ascii_uppercase).as_deref() {
        None | Some("BASE64") => Ok(false),
        Some("NUMERIC") => Ok(true),
        Some(other) => {
            let reason = format!("invalid value {other}: expected BASE64 or NUMERIC");
            Err(ConfigError::new("decimal.format", reason))
        }
    }
}

fn holds_decimal(data_type: &DataType) -> bool {
    match data_type {
        DataType::Decimal(..) => true,
        DataType::Array(of) | DataType::Map(of) => holds_decimal(of),
        DataType::Struct(fields) => fields.iter().any(|f| holds_decimal(&f.data_type)),
        _ => false,
    }
}

pub(super) fn bytes_for(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Decimal(..) => DataType::Bytes,
        DataType::Array(of) => DataType::Array(Arc::new(bytes_for(of))),
        DataType::Map(of) => DataType::Map(Arc::new(bytes_for(of))),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|f| Field::new(&f.name, bytes_for(&f.data_type))).collect())
        }
        other => other.clone(),
    }
}

pub(super) fn decimals_as_bytes(value: &Value, data_type: &DataType) -> Value {
    match (value, data_type) {
        (Value::Decimal(v), _) => Value::Bytes(big_integer(*v)),
        (Value::Array(items), DataType::Array(of)) => {
            Value::Array(items.iter().map(|v| decimals_as_bytes(v, of)).collect())
        }
        (Value::Map(entries), DataType::Map(of)) => {
            Value::Map(entries.iter().map(|(k, v)| (k.clone(), decimals_as_bytes(v, of))).collect())
        }
        (Value::Struct(values), DataType::Struct(fields)) => Value::Struct(
            values.iter().zip(fields.iter()).map(|(v, f)| decimals_as_bytes(v, &f.data_type)).collect(),
        ),
        (other, _) => other.clone(),
    }
}

/// Two's complement, big endian, as short as it goes: `java.math.BigInteger.toByteArray`.
pub(super) fn big_integer(value: i128) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let filler = if value < 0 { 0xff } else { 0 };
    let fits = |rest: &[u8]| rest.first().is_some_and(|b| (b & 0x80 != 0) == (value < 0));
    let mut start = 0;
    while start < 15 && bytes[start] == filler && fits(&bytes[start + 1..]) {
        start += 1;
    }
    bytes[start..].to_vec()
}

/// The reverse of [`big_integer`]; `None` beyond 128 bits.
pub(super) fn of_big_integer(bytes: &[u8]) -> Option<i128> {
    if bytes.len() > 16 {
        return None;
    }
    let filler = if bytes.first().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
    let mut whole = [filler; 16];
    whole[16 - bytes.len()..].copy_from_slice(bytes);
    Some(i128::from_be_bytes(whole))
}

fn struct_of(fields: &[Field], json: &Json) -> Result<Row, String> {
    let object = json.as_object().ok_or("an object wanted for a struct")?;
    fields
        .iter()
        .map(|field| match object.get(&field.name) {
            None => Ok(Value::Null),
            Some(json) => value_of(&field.data_type, json).map_err(|e| format!("field {}: {e}", field.name)),
        })
        .collect()
}

/// A value of the payload by its schema.
fn value_of(data_type: &DataType, json: &Json) -> Result<Value, String> {
    let wrong = || format!("{data_type} wanted, found {}", crate::transform::abridged(&json.to_string()));
    let int = || json.as_i64().and_then(|v| i32::try_from(v).ok()).ok_or_else(wrong);
    Ok(match (data_type, json) {
        (_, Json::Null) => Value::Null,
        (DataType::Boolean, Json::Bool(v)) => Value::Boolean(*v),
        (DataType::Integer, _) => Value::Integer(int()?),
        (DataType::Date, _) => Value::Date(int()?),
        (DataType::Time, _) => Value::Time(int()?),
        (DataType::BigInt, _) => Value::BigInt(json.as_i64().ok_or_else(wrong)?),
        (DataType::Timestamp, _) => Value::Timestamp(json.as_i64().ok_or_else(wrong)?),
        (DataType::Double, _) => Value::Double(json.as_f64().ok_or_else(wrong)?),
        (DataType::Varchar, Json::String(v)) => Value::Varchar(v.clone()),
        (DataType::Bytes, Json::String(v)) => {
            Value::Bytes(BASE64_STANDARD.decode(v).map_err(|e| format!("not base64: {e}"))?)
        }
        (DataType::Decimal(..), Json::String(v)) => {
            let bytes = BASE64_STANDARD.decode(v).map_err(|e| format!("not base64: {e}"))?;
            Value::Decimal(of_big_integer(&bytes).ok_or("a decimal of more than 128 bits")?)
        }
        (DataType::Decimal(..), Json::Number(number)) => {
            // The codec reads decimals without losing digits.
            let codec = JsonCodec::key(Schema::new(vec![Field::new("value", data_type.clone())]));
            let row = codec.decode_row(number.to_string().as_bytes()).map_err(|e| e.reason)?;
            row.into_iter().next().ok_or_else(wrong)?
        }
        (DataType::Array(of), Json::Array(items)) => {
            Value::Array(items.iter().map(|v| value_of(of, v)).collect::<Result<_, _>>()?)
        }
        (DataType::Map(of), Json::Object(entries)) => Value::Map(
            entries.iter().map(|(k, v)| Ok((k.clone(), value_of(of, v)?))).collect::<Result<_, String>>()?,
        ),
        (DataType::Struct(fields), json) => Value::Struct(struct_of(fields, json)?),
        _ => return Err(wrong()),
    })
}
