//! Values that a declaration gives: options.

use super::compile::{members, simple, whole_type, without_annotations};
use base64::Engine;
use bd_schema::Value;
use serde_json::{Map, Value as Json};
use std::collections::HashMap;

/// The options, which may stand in a file.
///
/// # Errors
/// It is no list, the file cannot be read.
pub(super) fn options_of(json: &Json) -> Result<Vec<Json>, String> {
    if let Some(options) = json.as_array() {
        return Ok(options.clone());
    }
    let file = members(json, "options", &["file", "encoding"])?;
    let path =
        file.get("file").and_then(Json::as_str).ok_or("options: a list, or file and encoding wanted")?;
    if file.get("encoding").and_then(Json::as_str).is_some_and(|e| e != "json") {
        return Err("options: the encoding json is built, others are not".to_owned());
    }
    let text = std::fs::read_to_string(path).map_err(|e| format!("options: {path} cannot be read: {e}"))?;
    let values = serde_json::Deserializer::from_str(&text).into_iter::<Json>().collect::<Result<Vec<_>, _>>();
    let mut values = values.map_err(|e| format!("options: {path} is not JSON: {e}"))?;
    // One list of all, or one value after another.
    Ok(match values.as_mut_slice() {
        [Json::Array(all)] => std::mem::take(all),
        _ => values,
    })
}

/// A value of an option, of the type declared; `named` are the types that have names, by their simple names.
///
/// # Errors
/// It is not of that type.
pub(super) fn constant(named: &HashMap<String, Json>, declared: &Json, json: &Json) -> Result<Value, String> {
    let wrong = || format!("option {json} is not of type {}", without_annotations(declared));
    if let Json::Array(branches) = declared {
        let fits = branches.iter().find_map(|b| {
            let tagged = b.as_str().and_then(|name| json.as_object()?.get(name));
            constant(named, b, tagged.unwrap_or(json)).ok()
        });
        return fits.ok_or_else(wrong);
    }
    let empty = Map::new();
    let object = declared.as_object().unwrap_or(&empty);
    let name = match declared.get("type") {
        None => declared.as_str().ok_or_else(wrong)?,
        Some(Json::String(name)) => name,
        Some(inner) => return constant(named, inner, json),
    };
    let logical = object.get("logicalType").and_then(Json::as_str);
    let list = |json: &Json| json.as_array().cloned().ok_or_else(wrong);
    Ok(match name {
        "null" if json.is_null() => Value::Null,
        "boolean" => Value::Boolean(json.as_bool().ok_or_else(wrong)?),
        "int" | "long" => {
            let (data_type, unit) = whole_type(name, logical);
            let number = json.as_i64().ok_or_else(wrong)?;
            if name == "int" && i32::try_from(number).is_err() {
                return Err(wrong());
            }
            data_type.value(unit, number.into())
        }
        "float" | "double" => Value::Double(json.as_f64().ok_or_else(wrong)?),
        "bytes" | "fixed" if logical == Some("decimal") => {
            return Err("options of decimals are not built; range is".to_owned());
        }
        "bytes" => {
            let text = json.as_str().ok_or_else(wrong)?;
            let bytes = base64::engine::general_purpose::STANDARD.decode(text);
            Value::Bytes(bytes.map_err(|e| format!("option {json}: base64 wanted: {e}"))?)
        }
        "fixed" => {
            let text = json.as_str().ok_or_else(wrong)?;
            let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
            let size = object.get("size").and_then(Json::as_u64).unwrap_or_default();
            Value::Bytes(bytes.ok().filter(|b| b.len() as u64 == size).ok_or_else(wrong)?)
        }
        "string" => Value::Varchar(json.as_str().ok_or_else(wrong)?.to_owned()),
        "enum" => {
            let symbols = object.get("symbols").and_then(Json::as_array).ok_or_else(wrong)?;
            Value::Varchar(json.as_str().filter(|_| symbols.contains(json)).ok_or_else(wrong)?.to_owned())
        }
        "array" => {
            let items = object.get("items").ok_or_else(wrong)?;
            Value::Array(list(json)?.iter().map(|j| constant(named, items, j)).collect::<Result<_, _>>()?)
        }
        "map" => {
            let (values, entries) = (object.get("values"), json.as_object());
            let (values, entries) = values.zip(entries).ok_or_else(wrong)?;
            let entry = |(key, j): (&String, &Json)| Ok((key.clone(), constant(named, values, j)?));
            Value::Map(entries.iter().map(entry).collect::<Result<_, String>>()?)
        }
        "record" => {
            let (fields, given) = (object.get("fields").and_then(Json::as_array), json.as_object());
            let (fields, given) = fields.zip(given).ok_or_else(wrong)?;
            let field = |field: &Json| {
                let name = field.get("name").and_then(Json::as_str).unwrap_or_default();
                let absent = field.get("default").unwrap_or(&Json::Null);
                constant(named, field.get("type").unwrap_or(&Json::Null), given.get(name).unwrap_or(absent))
            };
            Value::Struct(fields.iter().map(field).collect::<Result<_, _>>()?)
        }
        other => match named.get(simple(other)) {
            Some(declared) => constant(named, declared, json)?,
            None => return Err(wrong()),
        },
    })
}
