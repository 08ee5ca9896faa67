//! What is called compatible is so: any record that the writer's schema accepts is accepted by the reader's, and can be read by it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed assertion is a failed test")]

use super::codec_tests::{Registry, framed};
use super::{CompatibilityPolicy, JsonDefinition, JsonSchemaReader};
use crate::json::properties::config;
use crate::{SchemaText, SchemaType};
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A schema of values without parts.
#[derive(Debug, Clone, PartialEq)]
struct Leaf {
    data_type: &'static str,
    null: bool,
    limit: Option<u8>,
}

impl Leaf {
    fn json(&self) -> Json {
        let mut json = match self.null {
            true => json!({"type": [self.data_type, "null"]}),
            false => json!({"type": self.data_type}),
        };
        if let Some(limit) = self.limit {
            match self.data_type {
                "string" => json["maxLength"] = limit.into(),
                "integer" | "number" => json["maximum"] = limit.into(),
                _ => {}
            }
        }
        json
    }

    fn accepts(&self, value: &Json) -> bool {
        let limit = f64::from(self.limit.unwrap_or(u8::MAX));
        match (self.data_type, value) {
            (_, Json::Null) => self.null,
            ("string", Json::String(text)) => text.chars().count() as f64 <= limit,
            ("integer", Json::Number(n)) => n.is_i64() && n.as_f64().unwrap() <= limit,
            ("number", Json::Number(n)) => n.as_f64().unwrap() <= limit,
            ("boolean", Json::Bool(_)) => true,
            _ => false,
        }
    }
}

#[derive(Debug, Clone)]
enum Rest {
    Any,
    None,
    Leaf(Leaf),
}

/// A schema of objects.
#[derive(Debug, Clone)]
struct Spec {
    properties: BTreeMap<&'static str, Leaf>,
    required: BTreeSet<&'static str>,
    rest: Rest,
}

impl Spec {
    fn text(&self) -> String {
        let properties: Map<String, Json> =
            self.properties.iter().map(|(name, leaf)| ((*name).to_owned(), leaf.json())).collect();
        let required: Vec<&str> =
            self.required.iter().copied().filter(|name| self.properties.contains_key(name)).collect();
        let mut json = json!({"type": "object", "properties": properties, "required": required});
        match &self.rest {
            Rest::Any => {}
            Rest::None => json["additionalProperties"] = false.into(),
            Rest::Leaf(leaf) => json["additionalProperties"] = leaf.json(),
        }
        json.to_string()
    }

    fn accepts(&self, object: &Map<String, Json>) -> bool {
        let all_there =
            self.required.iter().all(|r| !self.properties.contains_key(r) || object.contains_key(*r));
        all_there
            && object.iter().all(|(name, value)| match (self.properties.get(name.as_str()), &self.rest) {
                (Some(leaf), _) | (None, Rest::Leaf(leaf)) => leaf.accepts(value),
                (None, Rest::Any) => true,
                (None, Rest::None) => false,
            })
    }
}

fn leaf() -> impl Strategy<Value = Leaf> {
    let types = prop::sample::select(vec!["string", "integer", "number", "boolean"]);
    let limit = prop::option::weighted(0.3, 1..5_u8);
    (types, any::<bool>(), limit).prop_map(|(data_type, null, limit)| Leaf { data_type, null, limit })
}

fn rest() -> impl Strategy<Value = Rest> {
    prop_oneof![Just(Rest::Any), Just(Rest::None), leaf().prop_map(Rest::Leaf)]
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(NAMES.to_vec())
}

/// A schema, and one that came of it by a few changes.
fn evolved() -> impl Strategy<Value = (Spec, Spec)> {
    let spec = (
        prop::collection::btree_map(name(), leaf(), 0..4),
        prop::collection::btree_set(name(), 0..2),
        rest(),
    );
    let spec = spec.prop_map(|(properties, required, rest)| Spec { properties, required, rest });
    let changes = (
        prop::collection::vec((name(), prop::option::of(leaf())), 0..3),
        prop::collection::vec(name(), 0..2),
        prop::option::weighted(0.3, rest()),
    );
    (spec, changes).prop_map(|(before, (leaves, required, rest))| {
        let mut after = before.clone();
        for (name, leaf) in leaves {
            match leaf {
                Some(leaf) => drop(after.properties.insert(name, leaf)),
                None => drop(after.properties.remove(name)),
            }
        }
        for name in required {
            if !after.required.remove(name) {
                after.required.insert(name);
            }
        }
        after.rest = rest.unwrap_or(after.rest);
        (before, after)
    })
}

fn record() -> impl Strategy<Value = Map<String, Json>> {
    let value = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (0..7_i64).prop_map(Json::from),
        Just(json!(2.5)),
        "[xy]{0,5}".prop_map(Json::from),
    ];
    prop::collection::btree_map(name(), value, 0..4)
        .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn definition(text: &str) -> JsonDefinition {
    JsonDefinition::parse(&SchemaText::new(SchemaType::Json, text)).unwrap()
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn what_is_called_compatible_accepts_and_reads_all_that_was_valid(
        (before, after) in evolved(),
        records in prop::collection::vec(record(), 40),
    ) {
        let (old, new) = (before.text(), after.text());
        let found = definition(&new).incompatibilities(&definition(&old), CompatibilityPolicy::Strict);
        if !found.is_empty() {
            return Ok(());
        }
        let reader = JsonSchemaReader::new(Registry::with(&new));
        for record in records.iter().filter(|r| before.accepts(r)) {
            let text = Json::Object(record.clone()).to_string();
            prop_assert!(after.accepts(record), "{old} to {new}: {text}");
            let read = reader.decode(&framed(&text));
            prop_assert!(read.is_ok(), "{new}: {text}: {read:?}");
        }
    }

    #[test]
    fn a_schema_can_read_what_itself_has_written((spec, _) in evolved()) {
        let text = spec.text();
        let found = definition(&text).changes(&definition(&text), CompatibilityPolicy::Strict);
        prop_assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn no_text_makes_it_panic(text in "[\\[\\]{}\":,a-z$#/0-9. ]{0,80}") {
        let _ = JsonDefinition::parse(&SchemaText::new(SchemaType::Json, text));
    }
}
