//! Tags that stand within a schema, as `confluent:tags` of its records and fields: what `findTags` asks for.
//!
//! An entity of Avro is named by full names (`org.example.User.email`), one of a JSON Schema by its place (`object.email`,
//! `object.address.object.street`, `object.phones.array.object.number`, `oneof.0.object.a`). Those of Protobuf are not read.

use bd_schema::{SchemaText, SchemaType};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Schemas that are nested deeper are not looked into.
const MAX_DEPTH: usize = 200;
const TAGS: &str = "confluent:tags";

/// What is tagged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entity {
    entity_path: String,
    entity_type: EntityType,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum EntityType {
    #[serde(rename = "sr_record")]
    Record,
    #[serde(rename = "sr_field")]
    Field,
}

/// The tags of a record or field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tagged {
    schema_entity: Entity,
    tags: Vec<String>,
}

/// The records and fields of a schema that have one of these tags; with `*`, all that have any.
pub(crate) fn find(schema: &SchemaText, tags: &[&str]) -> Vec<Tagged> {
    let Ok(json) = serde_json::from_str::<Value>(&schema.whole()) else { return Vec::new() };
    let mut found = Found::default();
    match schema.schema_type {
        SchemaType::Avro => found.avro(&json, "", 0),
        SchemaType::Json => found.json_schema(&json, "", false, 0),
        SchemaType::Protobuf => {}
    }
    let wanted = |tagged: &Tagged| tagged.tags.iter().any(|tag| tags.contains(&tag.as_str()));
    found.tagged.retain(|tagged| tags.contains(&"*") || wanted(tagged));
    found.tagged
}

#[derive(Default)]
struct Found {
    tagged: Vec<Tagged>,
    visited: BTreeSet<String>,
}

fn object<'a>(of: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    of.get(name).and_then(Value::as_object)
}

fn list<'a>(of: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    of.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

impl Found {
    fn add(&mut self, entity_type: EntityType, path: &str, of: &Map<String, Value>) {
        let mut tags: Vec<String> = Vec::new();
        for tag in list(of, TAGS) {
            let tag = tag.as_str().map_or_else(|| tag.to_string(), str::to_owned);
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        if !tags.is_empty() {
            let schema_entity = Entity { entity_path: path.to_owned(), entity_type };
            self.tagged.push(Tagged { schema_entity, tags });
        }
    }

    fn avro(&mut self, schema: &Value, namespace: &str, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        let schema = match schema {
            Value::Array(branches) => {
                return branches.iter().for_each(|branch| self.avro(branch, namespace, depth + 1));
            }
            Value::Object(schema) => schema,
            _ => return,
        };
        let text = |name: &str| schema.get(name).and_then(Value::as_str);
        if !matches!(text("type"), Some("record" | "error")) {
            for inner in ["type", "items", "values"].into_iter().filter_map(|name| schema.get(name)) {
                self.avro(inner, namespace, depth + 1);
            }
            return;
        }
        let name = text("name").unwrap_or_default();
        let within = text("namespace").unwrap_or(namespace);
        let full =
            if name.contains('.') || within.is_empty() { name.into() } else { format!("{within}.{name}") };
        let namespace = full.rsplit_once('.').map_or("", |(namespace, _)| namespace);
        if !self.visited.insert(full.clone()) {
            return;
        }
        self.add(EntityType::Record, &full, schema);
        for field in list(schema, "fields").iter().filter_map(Value::as_object) {
            let name = field.get("name").and_then(Value::as_str).unwrap_or_default();
            self.add(EntityType::Field, &format!("{full}.{name}"), field);
            if let Some(of_type) = field.get("type") {
                self.avro(of_type, namespace, depth + 1);
            }
        }
    }

    fn json_schema(&mut self, schema: &Value, scope: &str, in_field: bool, depth: usize) {
        let Some(schema) = schema.as_object().filter(|s| depth <= MAX_DEPTH && !s.contains_key("$ref"))
        else {
            return;
        };
        for criterion in ["allOf", "anyOf", "oneOf"] {
            let path = format!("{scope}{}", criterion.to_ascii_lowercase());
            for (i, branch) in list(schema, criterion).iter().enumerate() {
                self.json_schema(branch, &format!("{path}.{i}."), false, depth + 1);
            }
        }
        if let Some(items) = schema.get("items") {
            self.json_schema(items, &format!("{scope}array."), false, depth + 1);
        }
        for branch in ["if", "then", "else"] {
            if let Some(inner) = schema.get(branch) {
                self.json_schema(inner, &format!("{scope}conditional.{branch}."), false, depth + 1);
            }
        }
        if let Some(inner) = schema.get("not") {
            self.json_schema(inner, &format!("{scope}not."), false, depth + 1);
        }
        let is_object = schema.get("type").and_then(Value::as_str) == Some("object");
        let path = format!("{scope}object");
        if !(is_object || schema.contains_key("properties")) || !self.visited.insert(path.clone()) {
            return;
        }
        if !in_field {
            self.add(EntityType::Record, &path, schema);
        }
        for (name, property) in object(schema, "properties").into_iter().flatten() {
            let path = format!("{path}.{name}");
            if let Some(of) = property.as_object() {
                self.add(EntityType::Field, &path, of);
            }
            self.json_schema(property, &format!("{path}."), true, depth + 1);
        }
        for definitions in ["definitions", "$defs"] {
            for (name, definition) in object(schema, definitions).into_iter().flatten() {
                self.json_schema(definition, &format!("{path}.{definitions}.{name}."), false, depth + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(schema_type: SchemaType, schema: &Value, tags: &[&str]) -> Vec<String> {
        let text = SchemaText { schema_type, text: schema.to_string().into(), referenced: Vec::new() };
        let shown = |t: Tagged| {
            let of = if t.schema_entity.entity_type == EntityType::Record { "record" } else { "field" };
            format!("{of} {} {}", t.schema_entity.entity_path, t.tags.join("+"))
        };
        find(&text, tags).into_iter().map(shown).collect()
    }

    #[test]
    fn records_and_fields_of_avro_are_named_in_full() {
        let inner = json!({"type": "record", "name": "Address", "confluent:tags": ["PLACE"], "fields": [
            {"name": "street", "type": "string", "confluent:tags": ["PII", "PII"]},
            {"name": "parent", "type": ["null", "Address"]}]});
        let schema = json!({"type": "record", "name": "User", "namespace": "org.example", "fields": [
            {"name": "email", "type": "string", "confluent:tags": ["PII", "MAIL"]},
            {"name": "homes", "type": {"type": "array", "items": ["null", inner]}}]});
        let all = [
            "field org.example.User.email PII+MAIL",
            "record org.example.Address PLACE",
            "field org.example.Address.street PII",
        ];
        assert_eq!(found(SchemaType::Avro, &schema, &["*"]), all);
        assert_eq!(found(SchemaType::Avro, &schema, &["PII"]), [all[0], all[2]]);
        assert!(found(SchemaType::Avro, &schema, &["OTHER"]).is_empty());
    }

    #[test]
    fn objects_and_properties_of_json_schema_are_named_by_their_place() {
        let schema = json!({"type": "object", "confluent:tags": ["TOP"], "properties": {
            "email": {"type": "string", "confluent:tags": ["PII"]},
            "home": {"type": "object", "confluent:tags": ["PLACE"], "properties": {
                "street": {"type": "string", "confluent:tags": ["PII"]}}},
            "phones": {"type": "array", "items": {"oneOf": [
                {"type": "string"},
                {"type": "object", "properties": {"number": {"type": "string", "confluent:tags": ["PII"]}}}]}}},
            "$defs": {"other": {"type": "object", "confluent:tags": ["TOP"]}}});
        let mut all = found(SchemaType::Json, &schema, &["*"]);
        all.sort();
        assert_eq!(
            all,
            [
                "field object.email PII",
                "field object.home PLACE",
                "field object.home.object.street PII",
                "field object.phones.array.oneof.1.object.number PII",
                "record object TOP",
                "record object.$defs.other.object TOP",
            ]
        );
    }
}
