//! The inferred type as a JSON Schema (draft 7) of the documents as they are: dates stay strings with a `format`. Objects are closed,
//! as Confluent's serializers declare them, since an open one can get no further properties under `BACKWARD`.

use super::node::{Kind, Node};
use crate::json_schema::{Decimals, json_schema_of_value};
use crate::{ConnectField, DataType};
use serde_json::{Map, Value as Json, json};

const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

pub(super) fn text(root: &Node, name: &str) -> String {
    let mut text = Map::new();
    text.insert("$schema".into(), DRAFT.into());
    text.insert("title".into(), name.into());
    if let Json::Object(members) = nullable(root) {
        text.extend(members);
    }
    Json::Object(text).to_string()
}

fn nullable(node: &Node) -> Json {
    match (&node.kind, node.nullable) {
        (Kind::Nothing, _) => json!({}),
        (Kind::Any(_), _) | (_, false) => declared(node),
        (_, true) => json!({"oneOf": [{"type": "null"}, declared(node)]}),
    }
}

fn declared(node: &Node) -> Json {
    match &node.kind {
        Kind::Leaf(data_type) => match data_type {
            DataType::Boolean => json!({"type": "boolean"}),
            DataType::Integer | DataType::BigInt => json!({"type": "integer"}),
            // A number, which readers of Connect's attributes do not take for 64 bits.
            DataType::Decimal(..) => of_connect(data_type, Decimals::Numeric),
            DataType::Double => json!({"type": "number"}),
            DataType::Date => json!({"type": "string", "format": "date"}),
            // JSON Schema's `time` has an offset.
            _ => json!({"type": "string"}),
        },
        Kind::Timestamp { rfc3339: true, .. } => json!({"type": "string", "format": "date-time"}),
        Kind::Timestamp { .. } => json!({"type": "string"}),
        Kind::Declared(data_type) => of_connect(data_type, Decimals::Base64),
        Kind::Array(items) => json!({"type": "array", "items": nullable(items)}),
        Kind::Map(values) => json!({"type": "object", "additionalProperties": nullable(values)}),
        Kind::Struct(members) => {
            let properties: Map<String, Json> =
                members.iter().map(|(name, node)| (name.clone(), nullable(node))).collect();
            let required: Vec<&String> =
                members.iter().filter(|(_, node)| !node.absent).map(|(name, _)| name).collect();
            let mut object = json!({"type": "object", "properties": properties});
            if !required.is_empty() {
                object["required"] = json!(required);
            }
            object["additionalProperties"] = false.into();
            object
        }
        // Anything; a union of types would be columns of their own.
        Kind::Any(kinds) if !kinds.is_empty() => {
            json!({"description": format!("{} in the sample", kinds.join(" or "))})
        }
        Kind::Any(_) | Kind::Nothing => json!({}),
    }
}

/// A type as Connect's converter declares it.
fn of_connect(data_type: &DataType, decimals: Decimals) -> Json {
    serde_json::from_str(&json_schema_of_value(data_type, &ConnectField::default(), decimals))
        .unwrap_or_else(|_| json!({}))
}
