//! The inferred type as an Avro declaration: that of [`avro_of_schema`](crate::avro::avro_of_schema), without what only Kafka
//! Connect asks for, and without null where none was seen.

use super::node::{Kind, Node};
use crate::avro::{avro_of_schema, avro_of_value};
use crate::{ConnectField, InvalidSchema};
use serde_json::{Value as Json, json};

pub(super) fn text(root: &Node, name: &str) -> Result<String, InvalidSchema> {
    let declared = match &root.kind {
        Kind::Struct(_) => avro_of_schema(name, &root.columns(), &[]),
        _ => avro_of_value(&root.data_type(), &ConnectField::default()),
    };
    let declared = declared.map_err(|e| InvalidSchema(e.to_string()))?;
    let mut json = serde_json::from_str(&declared).map_err(|e| InvalidSchema(e.to_string()))?;
    refine(&mut json, root);
    if root.nullable && !matches!(root.kind, Kind::Struct(_)) {
        json = json!(["null", json]);
    }
    Ok(json.to_string())
}

/// Says of a declared type what the node knows.
fn refine(json: &mut Json, node: &Node) {
    let Json::Object(object) = json else { return };
    object.retain(|key, _| !key.starts_with("connect."));
    match &node.kind {
        Kind::Timestamp { fine: true, .. } => {
            object.insert("logicalType".into(), "timestamp-micros".into());
        }
        Kind::Array(items) => {
            if let Some(of) = object.get_mut("items") {
                optional(of, items);
            }
        }
        Kind::Map(values) => {
            if let Some(of) = object.get_mut("values") {
                optional(of, values);
            }
        }
        Kind::Struct(members) => {
            let fields = object.get_mut("fields").and_then(Json::as_array_mut);
            for (field, (_, node)) in fields.into_iter().flatten().zip(members) {
                if let Some(of) = field.get_mut("type") {
                    optional(of, node);
                }
                if let (false, Some(field)) = (node.is_optional(), field.as_object_mut()) {
                    field.shift_remove("default");
                }
            }
        }
        _ => {}
    }
}

/// `["null", T]` is `T` where no null was seen.
fn optional(json: &mut Json, node: &Node) {
    let Json::Array(branches) = json else { return refine(json, node) };
    branches.iter_mut().for_each(|branch| refine(branch, node));
    if !node.is_optional()
        && let Some(only) = branches.pop()
    {
        *json = only;
    }
}
