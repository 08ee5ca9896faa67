//! The text of an Avro schema to what plans are compiled from.
//!
//! Schemas are registered by other systems, which are more lenient than the parser here in what a reader does not need: defaults
//! of fields (Connect writes those of decimals as strings of bytes) and names of records (Java takes any namespace). So defaults
//! and aliases are hidden from it (as attributes, from which a reader's schema is resolved), and characters in names that the parser
//! refuses are replaced before it sees them.

use apache_avro::Schema as Avro;
use apache_avro::schema::{EnumSchema, Name, RecordField, ResolvedSchema};
use serde_json::{Map, Value as Json};
use std::collections::HashMap;

/// A text is no Avro schema, or not one that can be used for what it was given for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AvroError(pub(super) String);

impl AvroError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// Longer texts are refused.
pub(super) const MAX_TEXT: usize = 4 << 20;

/// The JSON of a schema's text. A text that is a bare name (`long`) is taken as that name.
pub(super) fn json(text: &str) -> Result<Json, AvroError> {
    if text.len() > MAX_TEXT {
        return Err(AvroError::new(format!(
            "the schema's text is {} bytes, more than {MAX_TEXT}",
            text.len()
        )));
    }
    match serde_json::from_str(text) {
        Ok(json) => Ok(json),
        Err(_) if PRIMITIVES.contains(&text.trim()) => Ok(Json::String(text.trim().to_owned())),
        Err(e) => Err(AvroError::new(format!("no Avro schema: no JSON: {e}"))),
    }
}

const PRIMITIVES: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// Parses a schema. With `debezium`, Debezium's names of temporal types (`io.debezium.time.MicroTimestamp`) count as the logical
/// types that they are.
pub(super) fn schema(json: &Json, debezium: bool) -> Result<Avro, AvroError> {
    Avro::parse(&lenient(json, debezium)).map_err(|e| AvroError::new(format!("no Avro schema: {e}")))
}

/// The named types of a schema.
pub(super) struct Names<'a>(HashMap<Name, &'a Avro>);

impl<'a> Names<'a> {
    pub(super) fn of(schema: &'a Avro) -> Result<Self, AvroError> {
        let resolved =
            ResolvedSchema::new(schema).map_err(|e| AvroError::new(format!("no Avro schema: {e}")))?;
        Ok(Self(resolved.get_names().clone()))
    }

    /// The type behind a reference; others are themselves.
    pub(super) fn resolve(&self, schema: &'a Avro) -> Result<&'a Avro, AvroError> {
        match schema {
            Avro::Ref { name } => self
                .0
                .get(name)
                .copied()
                .ok_or_else(|| AvroError::new(format!("no Avro schema: there is no type {name:?}"))),
            other => Ok(other),
        }
    }
}

fn lenient(json: &Json, debezium: bool) -> Json {
    match json {
        Json::String(name) => Json::String(legal(name)),
        Json::Array(branches) => Json::Array(branches.iter().map(|b| lenient(b, debezium)).collect()),
        Json::Object(object) => Json::Object(lenient_object(object, debezium)),
        other => other.clone(),
    }
}

fn lenient_object(object: &Map<String, Json>, debezium: bool) -> Map<String, Json> {
    let mut out = Map::new();
    for (key, value) in object {
        let value = match (key.as_str(), value) {
            ("type" | "items" | "values", value) => lenient(value, debezium),
            ("name" | "namespace", Json::String(name)) => Json::String(legal(name)),
            ("fields", Json::Array(fields)) => fields.iter().map(|f| field(f, debezium)).collect(),
            ("symbols" | "size" | "logicalType" | "precision" | "scale", value) => value.clone(),
            ("connect.internal.type", value) => value.clone(),
            ("aliases", Json::Array(aliases)) => {
                let aliases =
                    aliases.iter().filter_map(Json::as_str).map(|a| Json::String(legal(a))).collect();
                out.insert(ALIASES.into(), aliases);
                continue;
            }
            ("default", Json::String(_)) if object.contains_key("symbols") => {
                out.insert(DEFAULT.into(), value.clone());
                continue;
            }
            _ => continue,
        };
        out.insert(key.clone(), value);
    }
    let name = object.get("connect.name").and_then(Json::as_str);
    if let Some(logical) = name.filter(|_| debezium && !out.contains_key("logicalType")).and_then(temporal) {
        out.insert("logicalType".into(), logical.into());
    }
    out
}

/// Names of fields stay: they name columns.
fn field(field: &Json, debezium: bool) -> Json {
    let mut out = Map::new();
    for key in ["name", "type"] {
        match field.get(key) {
            Some(value) if key == "type" => out.insert(key.into(), lenient(value, debezium)),
            Some(value) => out.insert(key.into(), value.clone()),
            None => None,
        };
    }
    for (key, hidden) in [("default", DEFAULT), ("aliases", ALIASES)] {
        if let Some(value) = field.get(key) {
            out.insert(hidden.into(), value.clone());
        }
    }
    Json::Object(out)
}

/// Under these names defaults and aliases are hidden from the parser.
const DEFAULT: &str = "bd.default";
const ALIASES: &str = "bd.aliases";

/// The default of a field.
pub(super) fn default_of(field: &RecordField) -> Option<&Json> {
    field.custom_attributes.get(DEFAULT)
}

/// The symbol that stands for those that an enum does not have.
pub(super) fn default_symbol(of: &EnumSchema) -> Option<&str> {
    let default = of.attributes.get(DEFAULT)?.as_str()?;
    of.symbols.iter().any(|s| s == default).then_some(default)
}

/// The other names of a field.
pub(super) fn aliases_of_field(field: &RecordField) -> impl Iterator<Item = &str> {
    texts(field.custom_attributes.get(ALIASES))
}

/// The other names of a type, as they are written.
pub(super) fn aliases_of(avro: &Avro) -> impl Iterator<Item = &str> {
    texts(avro.custom_attributes().and_then(|attributes| attributes.get(ALIASES)))
}

fn texts(json: Option<&Json>) -> impl Iterator<Item = &str> {
    json.and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
}

fn temporal(name: &str) -> Option<&'static str> {
    Some(match name.strip_prefix("io.debezium.time.")? {
        "Date" => "date",
        "Time" => "time-millis",
        "MicroTime" => "time-micros",
        "Timestamp" => "timestamp-millis",
        "MicroTimestamp" => "timestamp-micros",
        "NanoTimestamp" => "timestamp-nanos",
        _ => return None,
    })
}

/// The name of a type as every parser takes it.
pub(super) fn legal(name: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '.' { c } else { '_' };
    let parts = name.split('.').map(|part| {
        let part: String = part.chars().map(legal).collect();
        if part.starts_with(|c: char| c.is_ascii_digit()) { format!("_{part}") } else { part }
    });
    parts.collect::<Vec<_>>().join(".")
}
