//! Schemas as Connect's `JsonConverter` writes them into each record.
//!
//! | type | Connect's |
//! |---|---|
//! | `BOOLEAN`, `INTEGER`, `BIGINT`, `DOUBLE`, `VARCHAR`, `BYTES` | `boolean`, `int32`, `int64`, `double`, `string`, `bytes` |
//! | `DECIMAL`, `DATE`, `TIME`, `TIMESTAMP` | `bytes`, `int32`, `int32`, `int64` of the name `org.apache.kafka.connect.data...` |
//! | `ARRAY`, `MAP`, `STRUCT` | `array`, `map` of string keys, `struct` |
//!
//! `int8` and `int16` are read as INTEGER, `float` as DOUBLE.

use crate::json_schema::{JsonField, JsonShape};
use crate::{DataType, Field, Schema};
use serde_json::{Map, Value, json};
use std::sync::Arc;

const DATE: &str = "org.apache.kafka.connect.data.Date";
const TIME: &str = "org.apache.kafka.connect.data.Time";
const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";
const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
/// A schema nested deeper is refused.
const DEEPEST: usize = 64;

/// The schema of a struct of that name; `known` says more of each field, in their order, and may be shorter. Values are never null as
/// a whole, as records are where tombstones stand beside them.
pub(crate) fn of_struct(name: Option<&str>, fields: &[Field], known: &[JsonField]) -> Value {
    let mut json = struct_json(fields, known);
    json.insert("optional".into(), Value::Bool(false));
    if let Some(name) = name {
        json.insert("name".into(), Value::from(name));
    }
    Value::Object(json)
}

/// The schema of a single value.
pub(crate) fn of_value(data_type: &DataType) -> Value {
    let mut json = type_json(data_type, &JsonField::default());
    json.insert("optional".into(), Value::Bool(false));
    Value::Object(json)
}

/// The schema (Connect's JSON, as text) of the records of a shape's columns.
pub fn envelope_schema_of(name: Option<&str>, schema: &Schema, fields: &[JsonField], single: bool) -> String {
    match schema.fields.as_slice() {
        [only] if single => of_value(&only.data_type).to_string(),
        columns => of_struct(name, columns, fields).to_string(),
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn struct_json(fields: &[Field], known: &[JsonField]) -> Map<String, Value> {
    let none = JsonField::default();
    let fields = fields.iter().enumerate().map(|(i, field)| {
        let known = known.get(i).unwrap_or(&none);
        let mut json = type_json(&field.data_type, known);
        json.insert("optional".into(), Value::Bool(!known.required));
        if let Some(name) = &known.semantic {
            json.insert("name".into(), Value::from(name.as_str()));
        }
        json.insert("field".into(), Value::from(field.name.as_str()));
        Value::Object(json)
    });
    object(json!({ "type": "struct", "fields": fields.collect::<Vec<_>>() }))
}

fn type_json(data_type: &DataType, known: &JsonField) -> Map<String, Value> {
    let optional = |data_type: &DataType| {
        let mut json = type_json(data_type, &JsonField::default());
        json.insert("optional".into(), Value::Bool(true));
        json
    };
    let logical = |kind: &str, name: &str| object(json!({ "type": kind, "name": name, "version": 1 }));
    match data_type {
        DataType::Boolean => object(json!({ "type": "boolean" })),
        DataType::Integer => object(json!({ "type": "int32" })),
        DataType::BigInt => object(json!({ "type": "int64" })),
        DataType::Double => object(json!({ "type": "double" })),
        DataType::Varchar => object(json!({ "type": "string" })),
        DataType::Bytes => object(json!({ "type": "bytes" })),
        DataType::Date => logical("int32", DATE),
        DataType::Time => logical("int32", TIME),
        DataType::Timestamp => logical("int64", TIMESTAMP),
        DataType::Decimal(precision, scale) => {
            let mut json = logical("bytes", DECIMAL);
            let parameters =
                json!({ "scale": scale.to_string(), "connect.decimal.precision": precision.to_string() });
            json.insert("parameters".into(), parameters);
            json
        }
        DataType::Array(element) => object(json!({ "type": "array", "items": optional(element) })),
        DataType::Map(value) => object(json!({
            "type": "map", "keys": { "type": "string", "optional": false }, "values": optional(value)
        })),
        DataType::Struct(fields) => struct_json(fields, &known.fields),
    }
}

/// The columns of a schema's JSON text.
///
/// # Errors
/// What is not Connect's, or has no counterpart here.
pub(super) fn shape_of(text: &[u8]) -> Result<JsonShape, String> {
    let json: Value = serde_json::from_slice(text).map_err(|e| format!("the schema is not JSON: {e}"))?;
    let (data_type, known) = read(&json, 0)?;
    let name = json.get("name").and_then(Value::as_str).map(str::to_owned);
    let text = String::from_utf8_lossy(text).into();
    Ok(match data_type {
        DataType::Struct(fields) => JsonShape {
            name,
            schema: Schema::new(fields.to_vec()),
            fields: known.fields,
            single: false,
            text,
        },
        other => {
            let schema = Schema::new(vec![Field::new("value", other)]);
            JsonShape { name: None, schema, fields: vec![known], single: true, text }
        }
    })
}

fn read(json: &Value, depth: usize) -> Result<(DataType, JsonField), String> {
    if depth > DEEPEST {
        return Err(format!("the schema is nested deeper than {DEEPEST}"));
    }
    let kind = json.get("type").and_then(Value::as_str).ok_or("the schema has no type")?;
    let name = json.get("name").and_then(Value::as_str);
    let mut known = JsonField {
        required: json.get("optional").and_then(Value::as_bool) == Some(false),
        semantic: name.map(str::to_owned),
        fields: Vec::new(),
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
            let precision = parameter("connect.decimal.precision").and_then(|p| p.parse().ok()).unwrap_or(38);
            DataType::Decimal(precision, scale)
        }
        ("boolean", _) => DataType::Boolean,
        ("int8" | "int16" | "int32", _) => DataType::Integer,
        ("int64", _) => DataType::BigInt,
        ("float" | "double", _) => DataType::Double,
        ("string", _) => DataType::Varchar,
        ("bytes", _) => DataType::Bytes,
        ("array", _) => DataType::Array(Arc::new(read(part("items")?, depth + 1)?.0)),
        ("map", _) => {
            if read(part("keys")?, depth + 1)?.0 != DataType::Varchar {
                return Err("only maps with string keys can be held".into());
            }
            DataType::Map(Arc::new(read(part("values")?, depth + 1)?.0))
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
    if matches!(data_type, DataType::Date | DataType::Time | DataType::Timestamp | DataType::Decimal(..)) {
        known.semantic = None;
    }
    Ok((data_type, known))
}
