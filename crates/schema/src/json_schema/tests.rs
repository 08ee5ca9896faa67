//! Compatibility of JSON Schemas: own cases, and Confluent's where they are at hand.
#![allow(clippy::panic, reason = "a failed assertion is a failed test")]

use super::{CompatibilityPolicy, JsonDefinition};
use crate::{Referenced, SchemaText, SchemaType};
use regex::Regex;
use serde_json::Value as Json;
use std::path::Path;

fn definition(text: &str) -> JsonDefinition {
    JsonDefinition::parse(&SchemaText::new(SchemaType::Json, text)).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn changes(before: &str, after: &str) -> Vec<String> {
    definition(after).changes(&definition(before), CompatibilityPolicy::Strict)
}

/// The rules that are broken, with their paths in the description.
fn broken(before: &str, after: &str) -> Vec<(&'static str, String)> {
    let all = definition(after).incompatibilities(&definition(before), CompatibilityPolicy::Strict);
    all.into_iter().map(|i| (i.rule, i.describe("new", "old"))).collect()
}

/// Confluent's own tables: `BD_CONFLUENT_EXAMPLES` is the folder of a checkout of schema-registry, or of the files themselves.
#[test]
fn confluents_tables_hold() {
    let Some(dir) = std::env::var_os("BD_CONFLUENT_EXAMPLES") else {
        eprintln!("skipped: BD_CONFLUENT_EXAMPLES names no checkout of Confluent's schema-registry");
        return;
    };
    let inner = Path::new(&dir).join("json-schema-provider/src/test/resources");
    let dir = if inner.is_dir() { inner } else { dir.into() };
    let trailing = Regex::new(r",(\s*[}\]])").unwrap();
    let (mut cases, mut wrong) = (0, Vec::new());
    for file in [
        "diff-schema-examples.json",
        "diff-combined-schema-examples.json",
        "diff-schema-examples-2020-12.json",
        "diff-combined-schema-examples-2020-12.json",
    ] {
        let text = std::fs::read_to_string(dir.join(file)).unwrap();
        let all: Vec<Json> = serde_json::from_str(&trailing.replace_all(&text, "$1")).unwrap();
        for case in all {
            cases += 1;
            let parse = |key: &str| definition(&case[key].to_string());
            let (before, after) = (parse("original_schema"), parse("update_schema"));
            let mut found = after.changes(&before, CompatibilityPolicy::Strict);
            let mut wanted: Vec<String> = serde_json::from_value(case["changes"].clone()).unwrap();
            // Confluent's order is that of its hash maps.
            found.sort();
            wanted.sort();
            let compatible = after.incompatibilities(&before, CompatibilityPolicy::Strict).is_empty();
            let lenient = after.incompatibilities(&before, CompatibilityPolicy::Lenient).is_empty();
            let wanted_lenient = case.get("compatible_lenient").unwrap_or(&case["compatible"]);
            if found != wanted || case["compatible"] != compatible || *wanted_lenient != lenient {
                wrong.push(format!(
                    "{file}: {}\n  wanted {wanted:?}\n  found  {found:?}",
                    case["description"]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cases}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases > 100);
}

const OPEN: &str = r#"{"type":"object","properties":{"a":{"type":"string"}}}"#;
const CLOSED: &str = r#"{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}"#;

#[test]
fn what_may_be_added_depends_on_the_content_model() {
    let with = |extra: &str, rest: &str| {
        format!(r#"{{"type":"object","properties":{{"a":{{"type":"string"}},{extra}}}{rest}}}"#)
    };
    let closed = r#","additionalProperties":false"#;
    for (before, after, wanted) in [
        (OPEN, with(r#""b":{"type":"string"}"#, ""), "OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"),
        (
            OPEN,
            with(r#""b":{"type":"string"}"#, r#","required":["b"]"#),
            "REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
        ),
        (OPEN, with(r#""b":{}"#, ""), ""),
        (CLOSED, with(r#""b":{"type":"string"}"#, closed), ""),
        (
            CLOSED,
            with(r#""b":{"type":"string"}"#, &format!(r#"{closed},"required":["b"]"#)),
            "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
        ),
        (CLOSED, with(r#""b":{"type":"string","default":""}"#, &format!(r#"{closed},"required":["b"]"#)), ""),
    ] {
        let found: Vec<_> = broken(before, &after).into_iter().map(|(rule, _)| rule).collect();
        assert_eq!(found, if wanted.is_empty() { vec![] } else { vec![wanted] }, "{after}");
    }
    let (rule, text) = broken(&with(r#""b":{"type":"string"}"#, closed), CLOSED).remove(0);
    assert_eq!(rule, "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL");
    assert_eq!(
        text,
        "The new has a closed content model and is missing a property or item present at path '#/properties/b' in the old schema"
    );
}

#[test]
fn every_broken_rule_says_where_and_how() {
    let number =
        |rules: &str| format!(r#"{{"type":"object","properties":{{"n":{{"type":"number"{rules}}}}}}}"#);
    for (before, after, rule, text) in [
        (
            number(""),
            number(r#","maximum":5"#),
            "MAXIMUM_ADDED",
            "The keyword at path '#/properties/n/maximum' in the new schema is not present in the old schema",
        ),
        (
            number(r#","maximum":6"#),
            number(r#","maximum":5"#),
            "MAXIMUM_DECREASED",
            "The value at path '#/properties/n/maximum' in the new schema is less than its value in the old schema",
        ),
        (
            number(r#","multipleOf":0.5"#),
            number(r#","multipleOf":1.5"#),
            "MULTIPLE_OF_EXPANDED",
            "The value at path '#/properties/n/multipleOf' in the new schema is more than its value in the old schema",
        ),
        (
            number(r#","enum":[1,2]"#),
            number(r#","enum":[1]"#),
            "COMBINED_TYPE_SUBSCHEMAS_CHANGED",
            "A type at path '#/properties/n' is different between the new schema and the old schema",
        ),
        (
            r#"{"enum":["a","b"]}"#.into(),
            r#"{"enum":["a"]}"#.into(),
            "ENUM_ARRAY_NARROWED",
            "An array or combined type at path '#/enum' has fewer elements in the new schema than the old schema",
        ),
    ] {
        assert_eq!(broken(&before, &after), [(rule, text.to_owned())], "{before} {after}");
    }
}

#[test]
fn schemas_that_refer_to_themselves_are_compared_to_their_end() {
    let tree = |value: &str| {
        format!(
            r##"{{"$ref":"#/definitions/t","definitions":{{"t":{{"type":"object","properties":{{
               "value":{{"type":"{value}"}},"children":{{"type":"array","items":{{"$ref":"#/definitions/t"}}}}}}}}}}}}"##
        )
    };
    assert_eq!(changes(&tree("string"), &tree("string")), [""; 0]);
    assert_eq!(
        changes(&tree("string"), &tree("number")),
        ["TYPE_CHANGED #/properties/value", "TYPE_CHANGED #/properties/children/items/properties/value"]
    );
    assert_eq!(changes(r##"{"$ref":"#"}"##, r##"{"$ref":"#"}"##), [""; 0]);
    // A cycle through unions does not hide what changed beyond it.
    let union = |t0: &str, t1: &str| {
        let t = |id: &str, to: &str| {
            format!(
                r##"{{"type":"object","properties":{{"id":{{"type":"{id}"}},"ref":{{"oneOf":[{{"$ref":"#/definitions/{to}"}}]}}}}}}"##
            )
        };
        format!(
            r##"{{"definitions":{{"T0":{},"T1":{},"T2":{}}},"oneOf":[{{"$ref":"#/definitions/T0"}},{{"$ref":"#/definitions/T1"}}]}}"##,
            t(t0, "T2"),
            t(t1, "T2"),
            t("integer", "T0")
        )
    };
    assert!(!broken(&union("integer", "boolean"), &union("boolean", "number")).is_empty());
    assert_eq!(broken(&union("integer", "boolean"), &union("integer", "boolean")), []);
}

#[test]
fn what_would_take_too_long_is_refused_and_soon() {
    // Each of many types may hold any of them, twice.
    let names: Vec<String> = (0..16).map(|i| format!("T{i}")).collect();
    let union: Vec<String> = names.iter().map(|n| format!(r##"{{"$ref":"#/definitions/{n}"}}"##)).collect();
    let union = union.join(",");
    let types: Vec<String> = names
        .iter()
        .map(|n| {
            format!(r#""{n}":{{"type":"object","title":"{n}","properties":{{"a":{{"oneOf":[{union}]}},"b":{{"oneOf":[{union}]}}}}}}"#)
        })
        .collect();
    let schema = format!(r#"{{"oneOf":[{union}],"definitions":{{{}}}}}"#, types.join(","));
    let started = std::time::Instant::now();
    assert_eq!(broken(&schema, &schema), []);
    // A chain of references is as deep as the text is long.
    let link = |i: usize| {
        let next = i + 1;
        format!(
            r##""d{i}":{{"type":"object","properties":{{"n":{{"$ref":"#/definitions/d{next}"}},"m":{{"$ref":"#/definitions/d{next}"}}}}}}"##
        )
    };
    let chain = |end: &str| {
        let links: Vec<String> = (0..1000).map(link).collect();
        format!(
            r##"{{"$ref":"#/definitions/d0","definitions":{{{},"d1000":{{"type":"{end}"}}}}}}"##,
            links.join(",")
        )
    };
    assert!(!broken(&chain("string"), &chain("number")).is_empty());
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn what_is_no_schema_is_refused_with_its_place() {
    for (text, wanted) in [
        ("5", "Invalid JSON schema: expected an object or boolean at the root, found 5"),
        ("{", "EOF"),
        (r#"{"type":"strin"}"#, "#: type: expected null, boolean, string"),
        (r#"{"properties":{"a":{"type":7}}}"#, "#/properties/a: type: expected a string"),
        (r#"{"properties":[]}"#, "#: properties: expected an object"),
        (r#"{"properties":{"a":3}}"#, "#/properties/a: expected an object or boolean, found 3"),
        (r#"{"required":"a"}"#, "#: required: expected an array"),
        (r#"{"maxLength":-1}"#, "#: maxLength: expected an integer of at least 0"),
        (r#"{"minimum":"1"}"#, "#: minimum: expected a number"),
        (r#"{"multipleOf":0}"#, "#: multipleOf: expected a number greater than 0"),
        (r#"{"oneOf":{}}"#, "#: oneOf: expected an array"),
        (r##"{"$ref":"#/definitions/a"}"##, "#: unresolved $ref '#/definitions/a'"),
        (r#"{"$ref":"other.json"}"#, "#: unresolved $ref 'other.json': no reference of that name is given"),
        (
            r#"{"$ref":"https://example.com/a"}"#,
            "#: Remote schema reference fetching over HTTP(S) is disabled: https://example.com/a",
        ),
    ] {
        let error = JsonDefinition::parse(&SchemaText::new(SchemaType::Json, text)).unwrap_err();
        assert!(error.0.contains(wanted), "{text}: {error}");
    }
}

#[test]
fn references_are_found_by_name_id_anchor_and_pointer() {
    let other = |name: &str, text: &str| Referenced { name: name.into(), text: text.into() };
    let number = r#"{"type":"number","$defs":{"s":{"type":"string"}}}"#;
    for (text, referenced) in [
        (r#"{"$ref":"n.json"}"#, vec![other("n.json", number)]),
        (r#"{"$ref":"./n.json"}"#, vec![other("n.json", number)]),
        (r#"{"$id":"http://h/x/root.json","$ref":"n.json"}"#, vec![other("n.json", number)]),
        (r#"{"$id":"http://h/x/root.json","$ref":"n.json"}"#, vec![other("http://h/x/n.json", number)]),
        (r#"{"$ref":"http://h/n"}"#, vec![other("any", r#"{"$id":"http://h/n","type":"number"}"#)]),
        (r##"{"$ref":"#/definitions/a~1b%20c","definitions":{"a/b c":{"type":"number"}}}"##, vec![]),
        (r##"{"$ref":"#n","definitions":{"a":{"$id":"#n","type":"number"}}}"##, vec![]),
        (r##"{"$ref":"#n","$defs":{"a":{"$anchor":"n","type":"number"}}}"##, vec![]),
        (r##"{"$ref":"#/$defs/a","definitions":{"a":{"type":"number"}}}"##, vec![]),
        (r#"{"$ref":"a.json"}"#, vec![other("n.json", number), other("a.json", r#"{"$ref":"n.json"}"#)]),
    ] {
        let schema = SchemaText { schema_type: SchemaType::Json, text: text.into(), referenced };
        let found = JsonDefinition::parse(&schema).unwrap_or_else(|e| panic!("{text}: {e}"));
        let number = definition(r#"{"type":"number"}"#);
        for (reader, writer) in [(&found, &number), (&number, &found)] {
            assert_eq!(reader.incompatibilities(writer, CompatibilityPolicy::Strict), [], "{text}");
        }
    }
}

#[test]
fn the_text_is_kept_in_its_order_and_normalised_in_that_of_its_keys() {
    let text = r#"{ "type": "object", "title": "T", "properties": {"b": {"type": "number", "default": 1.0}, "a": {}} }"#;
    let definition = definition(text);
    assert_eq!(
        definition.canonical(),
        r#"{"type":"object","title":"T","properties":{"b":{"type":"number","default":1.0},"a":{}}}"#
    );
    assert_eq!(
        definition.normalized(),
        r#"{"properties":{"a":{},"b":{"default":1.0,"type":"number"}},"title":"T","type":"object"}"#
    );
    assert_eq!(definition.name().as_deref(), Some("T"));
}

#[test]
fn decimals_as_strings_and_as_numbers_are_the_same_to_connect() {
    let decimal = |data_type: &str| {
        format!(
            r#"{{"type":"{data_type}","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes"}}"#
        )
    };
    assert_eq!(changes(&decimal("string"), &decimal("number")), [""; 0]);
}
