//! From a [`Schema`] to a JSON Schema, as Confluent's converter and ksqlDB declare it.
//!
//! | type | JSON Schema |
//! |---|---|
//! | `BOOLEAN`, `VARCHAR` | `boolean`, `string` |
//! | `INTEGER`, `BIGINT` | `integer` with `connect.type` `int32`, `int64` |
//! | `DOUBLE` | `number` with `connect.type` `float64` |
//! | `BYTES` | `string` (base64) with `connect.type` `bytes` |
//! | `DECIMAL` | `number`, or `string` (base64), with `connect.type` `bytes` and Connect's title and parameters |
//! | `DATE`, `TIME`, `TIMESTAMP` | `integer` with `connect.type` and Connect's title |
//! | `ARRAY`, `MAP`, `STRUCT` | `array`, `object` of `additionalProperties`, `object` of `properties` |
//!
//! What may be null is `oneOf` of null and its type.

use super::derive::JsonField;
use crate::{DataType, Field, Schema};
use serde_json::{Map, Value as Json, json};

/// How decimals are written: Connect's `decimal.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decimals {
    /// As numbers, what ksqlDB does.
    #[default]
    Numeric,
    /// Unscaled, in base64: the default of Connect's converters.
    Base64,
}

/// The JSON Schema (text) of an object with these columns. `fields` may say more of each, in their order.
pub fn json_schema_of(
    name: Option<&str>,
    schema: &Schema,
    fields: &[JsonField],
    decimals: Decimals,
) -> String {
    let mut object = object(&schema.fields, fields, decimals);
    if let Some(name) = name {
        object.insert("title".into(), name.into());
    }
    Json::Object(object).to_string()
}

/// The JSON Schema (text) of a bare value that may be null.
pub fn json_schema_of_value(data_type: &DataType, decimals: Decimals) -> String {
    Json::Object(optional(data_type, None, decimals)).to_string()
}

fn object(columns: &[Field], more: &[JsonField], decimals: Decimals) -> Map<String, Json> {
    let mut properties = Map::new();
    for (i, column) in columns.iter().enumerate() {
        let more = more.get(i);
        let mut declared = match more {
            Some(more) if more.required => of_type(&column.data_type, Some(more), decimals),
            _ => optional(&column.data_type, more, decimals),
        };
        declared.insert("connect.index".into(), i.into());
        properties.insert(column.name.clone(), Json::Object(declared));
    }
    members(json!({"type": "object", "properties": properties}))
}

fn optional(data_type: &DataType, more: Option<&JsonField>, decimals: Decimals) -> Map<String, Json> {
    members(json!({"oneOf": [{"type": "null"}, of_type(data_type, more, decimals)]}))
}

fn of_type(data_type: &DataType, more: Option<&JsonField>, decimals: Decimals) -> Map<String, Json> {
    let plain = |name: &str| members(json!({ "type": name }));
    let typed = |name: &str, connect: &str| members(json!({"type": name, "connect.type": connect}));
    let logical = |connect: &str, title: &str| {
        let title = format!("org.apache.kafka.connect.data.{title}");
        members(json!({"type": "integer", "title": title, "connect.version": 1, "connect.type": connect}))
    };
    let mut declared = match data_type {
        DataType::Boolean => plain("boolean"),
        DataType::Varchar => plain("string"),
        DataType::Integer => typed("integer", "int32"),
        DataType::BigInt => typed("integer", "int64"),
        DataType::Double => typed("number", "float64"),
        DataType::Bytes => typed("string", "bytes"),
        DataType::Date => logical("int32", "Date"),
        DataType::Time => logical("int32", "Time"),
        DataType::Timestamp => logical("int64", "Timestamp"),
        DataType::Decimal(precision, scale) => members(json!({
            "type": if decimals == Decimals::Numeric { "number" } else { "string" },
            "title": "org.apache.kafka.connect.data.Decimal", "connect.version": 1,
            "connect.parameters": {"scale": scale.to_string(), "connect.decimal.precision": precision.to_string()},
            "connect.type": "bytes"
        })),
        DataType::Array(element) => {
            members(json!({"type": "array", "items": optional(element, None, decimals)}))
        }
        DataType::Map(value) => members(json!({
            "type": "object", "connect.type": "map", "additionalProperties": optional(value, None, decimals)
        })),
        DataType::Struct(fields) => object(fields, more.map_or(&[][..], |m| &m.fields), decimals),
    };
    if let Some(semantic) = more.and_then(|m| m.semantic.as_deref()) {
        declared.insert("title".into(), semantic.into());
        declared.entry("connect.version").or_insert_with(|| 1.into());
    }
    declared
}

fn members(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(members) => members,
        _ => Map::new(),
    }
}
