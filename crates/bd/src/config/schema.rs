//! The JSON Schema of the pipeline file, for editors, and its documentation, both from the table of keys.

use super::keys::{self, GROUPS, KEYS, Key, Kind};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// The schema (draft 2020-12).
pub(crate) fn schema() -> Value {
    let mut schema = group("");
    let head = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bd pipeline",
        "description": "A whole pipeline: roles, topics, connectors, SQL, dashboards"
    });
    if let (Value::Object(schema), Value::Object(mut head)) = (&mut schema, head) {
        head.append(schema);
        return Value::Object(head);
    }
    schema
}

fn group(path: &str) -> Value {
    let mut properties = Map::new();
    for name in keys::members(path) {
        let full = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
        properties.insert(name.into(), property(&full));
    }
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

/// A key, a group, or both (`roles.cluster` is a word or a mapping).
fn property(path: &str) -> Value {
    let below = GROUPS.iter().find(|(g, _)| *g == path).map(|(_, doc)| {
        let mut inner = group(path);
        inner["description"] = json!(doc);
        inner
    });
    match (keys::find(path).map(of_key), below) {
        (Some(own), Some(below)) => json!({"description": own["description"], "oneOf": [own, below]}),
        (Some(own), None) => own,
        (None, Some(below)) => below,
        (None, None) => json!({}),
    }
}

fn of_key(key: &Key) -> Value {
    let scalar = json!({"type": ["string", "number", "boolean"]});
    let mut value = match key.kind {
        Kind::Choice(words) => json!({"enum": words}),
        Kind::Text => json!({"type": "string"}),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Integer(low, high) => json!({"type": "integer", "minimum": low, "maximum": high}),
        Kind::Files => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Properties => json!({"type": "object", "additionalProperties": scalar}),
        Kind::Connectors => json!({
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {"connector.class": {"type": "string"}},
                "required": ["connector.class"],
                "additionalProperties": scalar
            }
        }),
        Kind::Topics => json!({
            "type": "object",
            "additionalProperties": {
                "type": ["object", "null"],
                "properties": {"partitions": {"type": "integer", "minimum": 1, "maximum": 10000}},
                "additionalProperties": scalar
            }
        }),
    };
    value["description"] = json!(key.doc);
    if !key.default.is_empty() {
        // A default that is no YAML value by itself is a text.
        let parsed = serde_yaml_ng::from_str::<Value>(key.default).ok();
        let is_text = matches!(key.kind, Kind::Text | Kind::Choice(_));
        value["default"] = parsed.filter(|_| !is_text).unwrap_or_else(|| json!(key.default));
    }
    value
}

/// All keys with defaults and environment variables, as a Markdown table.
pub(crate) fn documentation() -> String {
    let mut out = String::from("| key | default | environment | what it is |\n|---|---|---|---|\n");
    for key in KEYS {
        let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        // Writing to a String cannot fail.
        let _ =
            writeln!(out, "| `{}` | {default} | `{}` | {} |", key.path, keys::variable(key.path), key.doc);
    }
    out
}
