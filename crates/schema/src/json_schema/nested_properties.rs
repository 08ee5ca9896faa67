//! As `properties`, of schemas with parts: objects, arrays and maps in one another, any of which may be null.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed assertion is a failed test")]

use super::codec_tests::{Registry, framed};
use super::{CompatibilityPolicy, JsonDefinition, JsonSchemaReader};
use crate::avro::evolution_properties::Choices;
use crate::json::properties::config;
use crate::{SchemaText, SchemaType};
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const LEAVES: [&str; 4] = ["string", "integer", "number", "boolean"];

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Leaf(&'static str),
    /// `oneOf` of null and another.
    Nullable(Box<Part>),
    Array(Box<Part>),
    /// An object of any names.
    Map(Box<Part>),
    Object {
        /// With whether each is required.
        properties: Vec<(&'static str, Part, bool)>,
        closed: bool,
    },
}

impl Part {
    fn any(choices: &mut Choices, depth: u32) -> Self {
        let boxed = |choices: &mut Choices| Box::new(Self::any(choices, depth - 1));
        match choices.of(if depth == 0 { 4 } else { 10 }) {
            i @ 0..4 => Self::Leaf(LEAVES[i as usize]),
            4 => Self::Array(boxed(choices)),
            5 => Self::Map(boxed(choices)),
            6 => match boxed(choices) {
                inner if matches!(*inner, Self::Nullable(_)) => *inner,
                inner => Self::Nullable(inner),
            },
            _ => Self::object(choices, depth - 1),
        }
    }

    fn object(choices: &mut Choices, depth: u32) -> Self {
        let names = NAMES.into_iter().filter(|_| choices.of(2) == 0).collect::<Vec<_>>();
        let properties =
            names.into_iter().map(|n| (n, Self::any(choices, depth), choices.of(2) == 0)).collect();
        Self::Object { properties, closed: choices.of(3) != 0 }
    }

    fn json(&self) -> Json {
        match self {
            Self::Leaf(name) => json!({"type": name}),
            Self::Nullable(inner) => json!({"oneOf": [{"type": "null"}, inner.json()]}),
            Self::Array(items) => json!({"type": "array", "items": items.json()}),
            Self::Map(values) => json!({"type": "object", "additionalProperties": values.json()}),
            Self::Object { properties, closed } => {
                let all: Map<String, Json> =
                    properties.iter().map(|(name, part, _)| ((*name).to_owned(), part.json())).collect();
                let required: Vec<&str> = properties.iter().filter(|p| p.2).map(|p| p.0).collect();
                let mut json = json!({"type": "object", "properties": all, "required": required});
                if *closed {
                    json["additionalProperties"] = false.into();
                }
                json
            }
        }
    }

    fn accepts(&self, value: &Json) -> bool {
        match (self, value) {
            (Self::Leaf("string"), _) => value.is_string(),
            (Self::Leaf("integer"), _) => value.is_i64(),
            (Self::Leaf("number"), _) => value.is_number(),
            (Self::Leaf(_), _) => value.is_boolean(),
            (Self::Nullable(inner), _) => value.is_null() || inner.accepts(value),
            (Self::Array(items), Json::Array(all)) => all.iter().all(|v| items.accepts(v)),
            (Self::Map(values), Json::Object(all)) => all.values().all(|v| values.accepts(v)),
            (Self::Object { properties, closed }, Json::Object(all)) => {
                let known = |name: &str| properties.iter().find(|p| p.0 == name);
                properties.iter().all(|(name, _, required)| !required || all.contains_key(*name))
                    && all.iter().all(|(name, v)| known(name).map_or(!closed, |(_, part, _)| part.accepts(v)))
            }
            _ => false,
        }
    }

    /// A value that it accepts.
    fn value(&self, choices: &mut Choices) -> Json {
        match self {
            Self::Leaf("string") => ["", "x", "ü"][choices.of(3) as usize].into(),
            Self::Leaf("integer") => choices.of(9).into(),
            Self::Leaf("number") => [json!(1.5), json!(2)][choices.of(2) as usize].clone(),
            Self::Leaf(_) => (choices.of(2) == 0).into(),
            Self::Nullable(_) if choices.of(2) == 0 => Json::Null,
            Self::Nullable(inner) => inner.value(choices),
            Self::Array(items) => (0..choices.of(3)).map(|_| items.value(choices)).collect(),
            Self::Map(values) => {
                let names = NAMES.into_iter().filter(|_| choices.of(3) == 0).collect::<Vec<_>>();
                let members: Map<String, Json> =
                    names.into_iter().map(|name| (name.to_owned(), values.value(choices))).collect();
                members.into()
            }
            Self::Object { properties, closed } => {
                let mut members = Map::new();
                for (name, part, required) in properties {
                    if *required || choices.of(2) == 0 {
                        members.insert((*name).to_owned(), part.value(choices));
                    }
                }
                for name in NAMES.into_iter().filter(|n| !closed && properties.iter().all(|p| p.0 != *n)) {
                    if choices.of(3) == 0 {
                        members.insert(name.to_owned(), Self::any(choices, 1).value(choices));
                    }
                }
                members.into()
            }
        }
    }

    /// What it may become.
    fn changed(&self, choices: &mut Choices) -> Self {
        match self {
            Self::Leaf("integer") if choices.of(3) == 0 => Self::Leaf("number"),
            Self::Leaf(_) if choices.of(10) == 0 => Self::any(choices, 1),
            Self::Leaf(name) => Self::Leaf(name),
            Self::Nullable(inner) if choices.of(10) == 0 => inner.changed(choices),
            Self::Nullable(inner) => match inner.changed(choices) {
                nullable @ Self::Nullable(_) => nullable,
                inner => Self::Nullable(inner.into()),
            },
            other if choices.of(6) == 0 => Self::Nullable(other.clone().into()),
            Self::Array(items) => Self::Array(items.changed(choices).into()),
            Self::Map(values) => Self::Map(values.changed(choices).into()),
            Self::Object { properties, closed } => {
                let mut after = Vec::new();
                for (name, part, required) in properties {
                    match choices.of(8) {
                        0 => {}
                        1 => after.push((*name, part.changed(choices), false)),
                        _ => after.push((*name, part.changed(choices), *required)),
                    }
                }
                for name in NAMES {
                    if choices.of(6) == 0 && properties.iter().all(|p| p.0 != name) {
                        after.push((name, Self::any(choices, 1), choices.of(4) == 0));
                    }
                }
                Self::Object { properties: after, closed: *closed && choices.of(6) != 0 }
            }
        }
    }
}

fn definition(text: &str) -> JsonDefinition {
    JsonDefinition::parse(&SchemaText::new(SchemaType::Json, text)).unwrap()
}

/// Whether the pair was compatible; then all that was valid is valid and is read.
fn check(seed: u64) -> bool {
    let mut choices = Choices::new(seed);
    let before = Part::object(&mut choices, 3);
    let after = before.changed(&mut choices);
    let (old, new) = (before.json().to_string(), after.json().to_string());
    let (old, new) = (old.as_str(), new.as_str());
    if !definition(new).incompatibilities(&definition(old), CompatibilityPolicy::Strict).is_empty() {
        return false;
    }
    let reader = JsonSchemaReader::new(Registry::with(new));
    for _ in 0..6 {
        let value = before.value(&mut choices);
        assert!(before.accepts(&value), "{old}: {value}");
        assert!(after.accepts(&value), "{old} to {new}: {value}");
        let read = reader.decode(&framed(&value.to_string()));
        assert!(read.is_ok(), "{new}: {value}: {read:?}");
    }
    true
}

#[test]
fn many_of_the_pairs_are_compatible() {
    let compatible =
        (1..400).filter(|seed: &u64| check(u64::wrapping_mul(*seed, 0x9e37_79b9_7f4a_7c15))).count();
    assert!(compatible > 60, "{compatible}");
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn what_is_called_compatible_accepts_and_reads_all_that_was_valid(seed in any::<u64>()) {
        check(seed);
    }
}
