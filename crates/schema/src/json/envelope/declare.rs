//! Schemas as Connect's `JsonConverter` writes them into each record.
//!
//! | type | Connect's |
//! |---|---|
//! | `BOOLEAN`, `INTEGER`, `BIGINT`, `DOUBLE`, `VARCHAR`, `BYTES` | `boolean`, `int32`, `int64`, `double`, `string`, `bytes` |
//! | `DECIMAL`, `DATE`, `TIME`, `TIMESTAMP` | `bytes`, `int32`, `int32`, `int64` of the name `org.apache.kafka.connect.data...` |
//! | `ARRAY`, `MAP`, `STRUCT` | `array`, `map` of string keys, `struct` |
//!
//! `int8` and `int16` are read as INTEGER, `float` as DOUBLE, and written again as what they were.

use super::unscaled;
use crate::connect::{ConnectField, ConnectMeta, Narrow, RecordShape};
use crate::json::JsonCodec;
use crate::{Codec, DataType, Field, Schema};
use serde_json::{Map, Value, json};
use std::sync::Arc;

const DATE: &str = "org.apache.kafka.connect.data.Date";
const TIME: &str = "org.apache.kafka.connect.data.Time";
const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";
const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
const PRECISION: &str = "connect.decimal.precision";
/// A schema nested deeper is refused.
const DEEPEST: usize = 64;

/// The schema (Connect's JSON, as text) of values of that type; those of a struct are records.
pub fn envelope_schema_of(data_type: &DataType, known: &ConnectField) -> String {
    Value::Object(field_json(data_type, known)).to_string()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn struct_json(fields: &[Field], known: &[ConnectField]) -> Map<String, Value> {
    let none = ConnectField::default();
    let fields = fields.iter().enumerate().map(|(i, field)| {
        let mut json = field_json(&field.data_type, known.get(i).unwrap_or(&none));
        json.insert("field".into(), Value::from(field.name.as_str()));
        Value::Object(json)
    });
    object(json!({ "type": "struct", "fields": fields.collect::<Vec<_>>() }))
}

/// A type with all that is known of it, in Kafka's order.
fn field_json(data_type: &DataType, known: &ConnectField) -> Map<String, Value> {
    let mut json = type_json(data_type, known);
    json.insert("optional".into(), Value::Bool(!known.required));
    let logical = logical(data_type);
    if let Some(name) = logical.or(known.semantic.as_deref()) {
        json.insert("name".into(), Value::from(name));
    }
    if let Some(version) = known.meta.version.or(logical.map(|_| 1)) {
        json.insert("version".into(), Value::from(version));
    }
    if let Some(doc) = &known.meta.doc {
        json.insert("doc".into(), Value::from(doc.as_str()));
    }
    let mut parameters = Map::new();
    if let DataType::Decimal(precision, scale) = data_type {
        parameters.insert("scale".into(), scale.to_string().into());
        parameters.insert(PRECISION.into(), precision.to_string().into());
    }
    parameters.extend(known.meta.parameters.iter().map(|(name, v)| (name.clone(), v.as_str().into())));
    if !parameters.is_empty() {
        json.insert("parameters".into(), Value::Object(parameters));
    }
    if let Some(default) = known.meta.default.as_ref().and_then(|v| default_json(v, data_type)) {
        json.insert("default".into(), default);
    }
    json
}

/// A default as it stands in a schema: decimals as bytes, whatever `decimal.format` says of the payload.
fn default_json(value: &crate::Value, data_type: &DataType) -> Option<Value> {
    let codec =
        JsonCodec::key(Schema::new(vec![Field::new("value", data_type.clone())])).decimals_unscaled(true);
    let mut text = Vec::new();
    codec.encode_row(&vec![value.clone()], &mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn default_of(json: &Value, data_type: &DataType) -> Result<Option<crate::Value>, String> {
    let plain = unscaled::scaled(json.to_string().as_bytes(), data_type);
    let codec = JsonCodec::key(Schema::new(vec![Field::new("value", data_type.clone())]));
    let row = plain.map_err(|e| e.of_record(0)).and_then(|plain| codec.decode_row(&plain));
    row.map(|mut row| row.pop()).map_err(|e| format!("default {json}: {}", e.reason))
}

/// Connect's name of a type that it has by name only.
fn logical(data_type: &DataType) -> Option<&'static str> {
    Some(match data_type {
        DataType::Date => DATE,
        DataType::Time => TIME,
        DataType::Timestamp => TIMESTAMP,
        DataType::Decimal(..) => DECIMAL,
        _ => return None,
    })
}

fn type_json(data_type: &DataType, known: &ConnectField) -> Map<String, Value> {
    let none = ConnectField::default();
    let within = known.fields.first().unwrap_or(&none);
    let narrow = known.meta.narrow.filter(|n| n.fits(data_type));
    let name = match data_type {
        DataType::Boolean => "boolean",
        DataType::Integer => narrow.map_or("int32", Narrow::name),
        DataType::Date | DataType::Time => "int32",
        DataType::BigInt | DataType::Timestamp => "int64",
        // JsonConverter's own name of float32.
        DataType::Double if narrow.is_some() => "float",
        DataType::Double => "double",
        DataType::Varchar => "string",
        DataType::Bytes | DataType::Decimal(..) => "bytes",
        DataType::Array(element) => {
            return object(json!({ "type": "array", "items": field_json(element, within) }));
        }
        DataType::Map(value) => {
            let keys = json!({ "type": "string", "optional": false });
            return object(json!({ "type": "map", "keys": keys, "values": field_json(value, within) }));
        }
        DataType::Struct(fields) => return struct_json(fields, &known.fields),
    };
    object(json!({ "type": name }))
}

/// The columns of a schema's JSON text.
///
/// # Errors
/// What is not Connect's, or has no counterpart here.
pub(super) fn shape_of(text: &[u8]) -> Result<RecordShape, String> {
    let json: Value = serde_json::from_slice(text).map_err(|e| format!("the schema is not JSON: {e}"))?;
    let (data_type, known) = read(&json, 0)?;
    let text = String::from_utf8_lossy(text).into();
    Ok(match data_type {
        DataType::Struct(columns) => RecordShape {
            name: known.semantic,
            meta: known.meta,
            schema: Schema::new(columns.to_vec()),
            fields: known.fields,
            single: false,
            text,
        },
        other => RecordShape {
            name: None,
            meta: ConnectMeta::default(),
            schema: Schema::new(vec![Field::new("value", other)]),
            fields: vec![known],
            single: true,
            text,
        },
    })
}

fn read(json: &Value, depth: usize) -> Result<(DataType, ConnectField), String> {
    if depth > DEEPEST {
        return Err(format!("the schema is nested deeper than {DEEPEST}"));
    }
    let kind = json.get("type").and_then(Value::as_str).ok_or("the schema has no type")?;
    let name = json.get("name").and_then(Value::as_str);
    let mut known = ConnectField {
        required: json.get("optional").and_then(Value::as_bool) == Some(false),
        semantic: name.map(str::to_owned),
        fields: Vec::new(),
        meta: meta_of(json, kind),
    };
    let part = |key: &str| json.get(key).ok_or_else(|| format!("the schema of type {kind} has no {key}"));
    let data_type = match (kind, name) {
        ("int32", Some(DATE)) => DataType::Date,
        ("int32", Some(TIME)) => DataType::Time,
        ("int64", Some(TIMESTAMP)) => DataType::Timestamp,
        ("bytes", Some(DECIMAL)) => {
            let parameter = |key| json.get("parameters").and_then(|p| p.get(key)).and_then(Value::as_str);
            let scale =
                parameter("scale").and_then(|s| s.parse().ok()).ok_or("a Decimal without its scale")?;
            let precision = parameter(PRECISION).and_then(|p| p.parse().ok()).unwrap_or(38);
            DataType::Decimal(precision, scale)
        }
        ("boolean", _) => DataType::Boolean,
        ("int8" | "int16" | "int32", _) => DataType::Integer,
        ("int64", _) => DataType::BigInt,
        ("float" | "double", _) => DataType::Double,
        ("string", _) => DataType::Varchar,
        ("bytes", _) => DataType::Bytes,
        ("array", _) => {
            let (element, of) = read(part("items")?, depth + 1)?;
            known.fields.push(of);
            DataType::Array(Arc::new(element))
        }
        ("map", _) => {
            if read(part("keys")?, depth + 1)?.0 != DataType::Varchar {
                return Err("only maps with string keys can be held".into());
            }
            let (value, of) = read(part("values")?, depth + 1)?;
            known.fields.push(of);
            DataType::Map(Arc::new(value))
        }
        ("struct", _) => {
            let members = part("fields")?.as_array().ok_or("the fields of a struct are an array")?;
            let mut fields = Vec::with_capacity(members.len());
            for member in members {
                let name = member.get("field").and_then(Value::as_str).ok_or("a field without a name")?;
                let (data_type, of) = read(member, depth + 1)?;
                fields.push(Field::new(name, data_type));
                known.fields.push(of);
            }
            DataType::Struct(fields.into())
        }
        (other, _) => return Err(format!("no schema type {other}")),
    };
    if logical(&data_type).is_some() {
        known.semantic = None;
        known.meta.version = known.meta.version.filter(|version| *version != 1);
    }
    if let DataType::Decimal(precision, scale) = &data_type {
        let follows = |(name, value): &(String, String)| match name.as_str() {
            "scale" => *value == scale.to_string(),
            PRECISION => *value == precision.to_string(),
            _ => false,
        };
        known.meta.parameters.retain(|parameter| !follows(parameter));
    }
    if let Some(default) = json.get("default").filter(|default| !default.is_null()) {
        known.meta.default = default_of(default, &data_type)?;
    }
    Ok((data_type, known))
}

fn meta_of(json: &Value, kind: &str) -> ConnectMeta {
    let parameters = json.get("parameters").and_then(Value::as_object).into_iter().flatten();
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    ConnectMeta {
        version: json.get("version").and_then(Value::as_i64).and_then(|v| i32::try_from(v).ok()),
        doc: json.get("doc").and_then(Value::as_str).map(str::to_owned),
        parameters: parameters.filter_map(text).collect(),
        default: None,
        narrow: if kind == "float" { Some(Narrow::Float32) } else { Narrow::of(kind) },
    }
}
