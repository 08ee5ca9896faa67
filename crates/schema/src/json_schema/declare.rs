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

use crate::connect::{ConnectField, ConnectMeta, Narrow};
use crate::json::JsonCodec;
use crate::{Codec, DataType, Field, Schema, Value};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value as Json, json};

/// The name of a struct that is one of several types, as Confluent's converter has it.
const UNION: &str = "io.confluent.connect.json.OneOf";

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
    fields: &[ConnectField],
    decimals: Decimals,
) -> String {
    json_schema_of_record(name, schema, fields, &ConnectMeta::default(), decimals)
}

/// The same with the metadata of the record itself.
pub fn json_schema_of_record(
    name: Option<&str>,
    schema: &Schema,
    fields: &[ConnectField],
    meta: &ConnectMeta,
    decimals: Decimals,
) -> String {
    let mut object = object(&schema.fields, fields, decimals);
    if let Some(name) = name {
        object.insert("title".into(), name.into());
    }
    annotate(&mut object, meta);
    Json::Object(object).to_string()
}

/// The JSON Schema (text) of a bare value that may be null.
pub fn json_schema_of_value(data_type: &DataType, known: &ConnectField, decimals: Decimals) -> String {
    Json::Object(unless_required(data_type, known, decimals)).to_string()
}

fn object(columns: &[Field], known: &[ConnectField], decimals: Decimals) -> Map<String, Json> {
    let mut properties = Map::new();
    let plain = ConnectField::default();
    for (i, column) in columns.iter().enumerate() {
        let known = known.get(i).unwrap_or(&plain);
        let mut declared = unless_required(&column.data_type, known, decimals);
        declared.insert("connect.index".into(), i.into());
        properties.insert(column.name.clone(), Json::Object(declared));
    }
    members(json!({"type": "object", "properties": properties}))
}

/// With null beside it unless it is required.
fn unless_required(data_type: &DataType, known: &ConnectField, decimals: Decimals) -> Map<String, Json> {
    let of = of_type(data_type, known, decimals);
    match of.get("oneOf") {
        _ if known.required => of,
        Some(Json::Array(branches)) => {
            let null = json!({"type": "null"});
            members(
                json!({"oneOf": std::iter::once(null).chain(branches.iter().cloned()).collect::<Vec<_>>()}),
            )
        }
        _ => members(json!({"oneOf": [{"type": "null"}, of]})),
    }
}

fn of_type(data_type: &DataType, known: &ConnectField, decimals: Decimals) -> Map<String, Json> {
    let nothing = ConnectField::default();
    let within = known.fields.first().unwrap_or(&nothing);
    let narrow = known.meta.narrow.filter(|n| n.fits(data_type));
    let plain = |name: &str| members(json!({ "type": name }));
    let typed = |name: &str, connect: &str| members(json!({"type": name, "connect.type": connect}));
    let logical = |connect: &str, title: &str| {
        let title = format!("org.apache.kafka.connect.data.{title}");
        members(json!({"type": "integer", "title": title, "connect.version": 1, "connect.type": connect}))
    };
    let mut declared = match data_type {
        DataType::Boolean => plain("boolean"),
        DataType::Varchar => plain("string"),
        DataType::Integer => typed("integer", narrow.map_or("int32", Narrow::name)),
        DataType::BigInt => typed("integer", "int64"),
        DataType::Double => typed("number", narrow.map_or("float64", Narrow::name)),
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
            members(json!({"type": "array", "items": unless_required(element, within, decimals)}))
        }
        DataType::Map(value) => members(json!({
            "type": "object", "connect.type": "map", "additionalProperties": unless_required(value, within, decimals)
        })),
        DataType::Struct(fields) if known.semantic.as_deref() == Some(UNION) => {
            let branch = |(i, field): (usize, &Field)| {
                let known = known.fields.get(i).unwrap_or(&nothing);
                let mut branch = of_type(&field.data_type, known, decimals);
                branch.insert("connect.index".into(), i.into());
                branch
            };
            let branches: Vec<_> = fields.iter().enumerate().map(branch).collect();
            return members(json!({ "oneOf": branches }));
        }
        DataType::Struct(fields) => object(fields, &known.fields, decimals),
    };
    if let Some(semantic) = &known.semantic {
        declared.insert("title".into(), semantic.as_str().into());
    }
    annotate(&mut declared, &known.meta);
    if let Some(default) = &known.meta.default
        && let Some(default) = default_json(default, data_type, decimals)
    {
        declared.insert("default".into(), default);
    }
    declared
}

/// Connect's version, doc and parameters.
fn annotate(declared: &mut Map<String, Json>, meta: &ConnectMeta) {
    if let Some(version) = meta.version {
        declared.insert("connect.version".into(), version.into());
    }
    if let Some(doc) = &meta.doc {
        declared.insert("description".into(), doc.as_str().into());
    }
    if !meta.parameters.is_empty()
        && let Some(parameters) =
            declared.entry("connect.parameters").or_insert_with(|| json!({})).as_object_mut()
    {
        parameters.extend(meta.parameters.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
    }
}

/// A default as values stand in the records.
fn default_json(value: &Value, data_type: &DataType, decimals: Decimals) -> Option<Json> {
    if let (Value::Decimal(unscaled), Decimals::Base64) = (value, decimals) {
        let bytes = unscaled.to_be_bytes();
        let filler = if *unscaled < 0 { 0xff } else { 0 };
        let sign = |at: usize| (bytes[at] & 0x80 != 0) == (*unscaled < 0);
        let start = (0..15).find(|at| bytes[*at] != filler || !sign(at + 1)).unwrap_or(15);
        return Some(BASE64_STANDARD.encode(&bytes[start..]).into());
    }
    let codec = JsonCodec::key(Schema::new(vec![Field::new("value", data_type.clone())]));
    let mut text = Vec::new();
    codec.encode_row(&vec![value.clone()], &mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn members(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(members) => members,
        _ => Map::new(),
    }
}
