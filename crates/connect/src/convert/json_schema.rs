//! Schemas as `JsonConverter` writes them into each record.

use crate::sdk::{ConnectField, ConnectSchema, Shape};
use bd_schema::{DataType, Field, Schema};
use serde_json::{Map, Value, json};
use std::sync::Arc;

const DATE: &str = "org.apache.kafka.connect.data.Date";
const TIME: &str = "org.apache.kafka.connect.data.Time";
const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";
const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
/// A schema nested deeper is refused.
const DEEPEST: usize = 64;

/// The JSON of a schema; values are optional as a whole, as records are where tombstones stand beside them.
pub(super) fn to_json(schema: &ConnectSchema) -> Value {
    let mut json = match &schema.shape {
        Shape::Single(data_type) => type_json(data_type, &ConnectField::default()),
        Shape::Struct { schema, fields } => struct_json(&schema.fields, fields),
    };
    json.insert("optional".into(), Value::Bool(false));
    if let Some(name) = &schema.name {
        json.insert("name".into(), Value::from(name.as_str()));
    }
    Value::Object(json)
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

fn type_json(data_type: &DataType, known: &ConnectField) -> Map<String, Value> {
    let optional = |data_type: &DataType| {
        let mut json = type_json(data_type, &ConnectField::default());
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

/// The schema of that JSON.
///
/// # Errors
/// What is not Connect's, or has no counterpart here.
pub(super) fn of_json(json: &Value) -> Result<ConnectSchema, String> {
    let (data_type, known) = read(json, 0)?;
    let name = json.get("name").and_then(Value::as_str).map(str::to_owned);
    Ok(match data_type {
        DataType::Struct(fields) => ConnectSchema {
            name,
            shape: Shape::Struct { schema: Schema::new(fields.to_vec()), fields: known.fields },
            avro: None,
        },
        other => ConnectSchema { name: None, shape: Shape::Single(other), avro: None },
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
