//! What a registry is told of Avro schemas: their canonical and normal texts, names, fingerprints, and what is none.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use super::AvroDefinition;
use crate::{Definition, Referenced, SchemaText, SchemaType};

fn parse(text: &str) -> Definition {
    Definition::parse(&SchemaText::avro(text)).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn avro(text: &str) -> AvroDefinition {
    AvroDefinition::parse(&SchemaText::avro(text)).unwrap()
}

#[test]
fn the_canonical_text_is_the_one_that_java_s_avro_writes() {
    for (text, wanted) in [
        ("\"string\"", "\"string\""),
        (r#" { "type" : "string" } "#, "\"string\""),
        (
            r#"{"type":"string","avro.java.string":"String"}"#,
            r#"{"type":"string","avro.java.string":"String"}"#,
        ),
        (r#"{"type":"int","logicalType":"date","doc":"dropped"}"#, r#"{"type":"int","logicalType":"date"}"#),
        (
            r#"{"items":"long","default":[],"type":"array"}"#,
            r#"{"type":"array","items":"long","default":[]}"#,
        ),
        (
            r#"{"namespace":"n","name":"R","doc":"d","type":"record","aliases":["Old","m.Older"],"x":{"b":1,"a":[1.50,null]},"fields":[
                {"default":"\u0001","name":"a","type":"bytes","order":"ascending","p":1e10},
                {"type":{"type":"enum","name":"E","namespace":"n","symbols":["A"],"default":"A"},"name":"b","doc":"","order":"ignore","aliases":["c"]},
                {"name":"d","type":["null","E",{"type":"fixed","name":"o.F","size":2},"R"],"default":null},
                {"name":"e","type":"double","default":"1.5"}]}"#,
            r#"{"type":"record","name":"R","namespace":"n","doc":"d","fields":[{"name":"a","type":"bytes","default":"\u0001","p":1.0E10},{"name":"b","type":{"type":"enum","name":"E","symbols":["A"],"default":"A"},"doc":"","order":"ignore","aliases":["c"]},{"name":"d","type":["null","E",{"type":"fixed","name":"F","namespace":"o","size":2},"R"],"default":null},{"name":"e","type":"double","default":1.5}],"x":{"b":1,"a":[1.5,null]},"aliases":["Old","m.Older"]}"#,
        ),
        (
            r#"{"type":"error","name":"a.b.R","fields":[{"name":"x","type":{"type":"record","name":"S","namespace":"","fields":[{"name":"r","type":["null","a.b.R"]}]}}]}"#,
            r#"{"type":"error","name":"R","namespace":"a.b","fields":[{"name":"x","type":{"type":"record","name":"S","namespace":"","fields":[{"name":"r","type":["null","a.b.R"]}]}}]}"#,
        ),
        // Named before it is declared.
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":["null","S"]},{"name":"b","type":{"type":"record","name":"S","fields":[]}}]}"#,
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":["null",{"type":"record","name":"S","fields":[]}]},{"name":"b","type":"S"}]}"#,
        ),
    ] {
        let canonical = parse(text).canonical();
        assert_eq!(canonical, wanted);
        assert_eq!(parse(&canonical).canonical(), wanted, "the canonical text is its own");
    }
}

#[test]
fn schemas_that_differ_in_order_and_form_only_have_one_normal_text() {
    let a = r#"{"type":"record","name":"n.R","zeta":1,"alpha":{"y":1,"x":2},"doc":"","aliases":["Z","A"],"fields":[
        {"name":"f","type":{"type":"bytes","scale":2,"logicalType":"decimal","precision":9,"connect.version":1},"order":"ascending"},
        {"name":"g","type":"double","default":1,"b":2,"a":1},{"name":"h","type":{"type":"string"}},{"name":"i","type":"float","default":0.1}]}"#;
    let b = r#"{"alpha":{"x":2,"y":1},"zeta":1,"fields":[
        {"type":{"precision":9,"connect.version":1,"type":"bytes","logicalType":"decimal","scale":2},"name":"f"},
        {"a":1,"b":2,"type":"double","default":1.0,"name":"g"},{"name":"h","type":"string"},{"name":"i","type":"float","default":0.1}],
        "aliases":["n.A","Z"],"name":"R","namespace":"n","type":"record"}"#;
    let wanted = r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"f","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2,"connect.version":1}},{"name":"g","type":"double","default":1.0,"a":1,"b":2},{"name":"h","type":"string"},{"name":"i","type":"float","default":0.1}],"alpha":{"x":2,"y":1},"zeta":1,"aliases":["A","Z"]}"#;
    assert_eq!(parse(a).normalized(), wanted);
    assert_eq!(parse(b).normalized(), wanted);
    assert_eq!(parse(wanted).normalized(), wanted);
}

#[test]
fn types_of_schemas_referred_to_are_named() {
    let reference = |name: &str, text: &str| Referenced { name: name.into(), text: text.into() };
    let schema = SchemaText {
        schema_type: SchemaType::Avro,
        text: r#"{"type":"record","name":"R","namespace":"a","fields":[{"name":"x","type":"B"},{"name":"y","type":["null","c.D"]}]}"#.into(),
        referenced: vec![
            reference("c.D", r#"{"type":"record","name":"D","namespace":"c","fields":[]}"#),
            reference("a.B", r#"{"type":"record","name":"B","namespace":"a","fields":[{"name":"d","type":"c.D"}]}"#),
        ],
    };
    let parsed = AvroDefinition::parse(&schema).unwrap();
    assert_eq!(parsed.canonical(), &*schema.text);
    assert_eq!(parsed.normalized(), &*schema.text);
    assert_eq!(parsed.name().as_deref(), Some("a.R"));
    assert_eq!(
        parsed.resolved(),
        r#"{"type":"record","name":"R","namespace":"a","fields":[{"name":"x","type":{"type":"record","name":"B","fields":[{"name":"d","type":{"type":"record","name":"D","namespace":"c","fields":[]}}]}},{"name":"y","type":["null","c.D"]}]}"#
    );
    let without = SchemaText::avro(schema.text.clone());
    assert_eq!(Definition::parse(&without).unwrap_err().0, "Undefined schema: a.B");
}

#[test]
fn what_is_no_schema_is_told_why() {
    for (text, wanted) in [
        ("{", "not JSON"),
        ("string", "not JSON"),
        ("\"strng\"", "Undefined schema: strng"),
        ("{}", "No type: {}"),
        ("1", "Schema not yet supported: 1"),
        (r#"["int","int"]"#, "Duplicate in union:int"),
        (r#"["int",["null"]]"#, "Nested union"),
        (r#"{"type":"record","name":"R"}"#, "Record has no fields"),
        (r#"{"type":"record","fields":[]}"#, "No name in schema"),
        (r#"{"type":"record","name":"R-1","fields":[]}"#, "Illegal character in: R-1"),
        (r#"{"type":"record","name":"1R","fields":[]}"#, "Illegal initial character: 1R"),
        (r#"{"type":"record","name":"int","fields":[]}"#, "Schemas may not be named after primitives: int"),
        (r#"{"type":"record","name":"R","fields":[{"name":"a"}]}"#, "No field type"),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}"#,
            "Duplicate field a",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"fixed","name":"R","size":1}}]}"#,
            "Can't redefine: R",
        ),
        (r#"{"type":"enum","name":"E","symbols":["A","A"]}"#, "Duplicate enum symbol: A"),
        (
            r#"{"type":"enum","name":"E","symbols":["A"],"default":"B"}"#,
            "The Enum Default: B is not in the enum symbol set: [A]",
        ),
        (r#"{"type":"fixed","name":"F","size":-1}"#, "Length is negative: -1"),
        (r#"{"type":"fixed","name":"F","size":"4"}"#, "Invalid or no size"),
        (r#"{"type":"array"}"#, "Array has no items type"),
        (r#"{"type":"map"}"#, "Map has no values type"),
    ] {
        let error = Definition::parse(&SchemaText::avro(text)).unwrap_err();
        assert!(error.0.contains(wanted), "{text}: {error}");
    }
}

#[test]
fn new_schemas_are_taken_more_strictly_than_those_that_stand() {
    let field = |rest: &str| format!(r#"{{"type":"record","name":"R","fields":[{{"name":"f",{rest}}}]}}"#);
    for (text, wanted) in [
        (
            r#"{"type":"record","name":"R","namespace":"my-topic","fields":[]}"#.to_owned(),
            "Namespace part \"my-topic\" is invalid",
        ),
        (r#"{"type":"record","name":"Größe","fields":[]}"#.to_owned(), "Illegal character in: Größe"),
        (field(r#""type":"int","default":"x""#), "Invalid default for field f: \"x\" not a \"int\""),
        (field(r#""type":"int","default":3000000000"#), "Invalid default"),
        (field(r#""type":["null","string"],"default":1"#), "Invalid default"),
        (field(r#""type":{"type":"array","items":"int"},"default":["x"]"#), "Invalid default"),
    ] {
        let text = SchemaText::avro(text);
        assert!(Definition::parse(&text).is_ok(), "{}", text.text);
        let error = Definition::parse_new(&text).unwrap_err();
        assert!(error.0.contains(wanted), "{}: {error}", text.text);
    }
    for good in [
        field(r#""type":["null","R"],"default":null"#),
        field(r#""type":["null","string"],"default":"null""#),
        field(r#""type":"float","default":"NaN""#),
        field(
            r#""type":{"type":"record","name":"S","fields":[{"name":"a","type":"int","default":1}]},"default":{}"#,
        ),
        field(r#""type":{"type":"bytes","logicalType":"decimal","precision":4},"default":"\u00ff""#),
    ] {
        Definition::parse_new(&SchemaText::avro(good)).unwrap();
    }
}

/// The fingerprints of Avro's specification and of its implementations' common test file.
#[test]
fn fingerprints_are_those_of_the_parsing_canonical_form() {
    for (text, form, fingerprint) in [
        ("\"null\"", "\"null\"", 7_195_948_357_588_979_594_i64),
        (r#"{"type":"int"}"#, "\"int\"", 8_247_732_601_305_521_295),
        (
            r#"{"type":"fixed","name":"Test","namespace":"org.apache.avro","size":1,"doc":"x"}"#,
            r#"{"name":"org.apache.avro.Test","type":"fixed","size":1}"#,
            0,
        ),
        (
            r#"{"fields":[{"type":{"type":"array","items":["null","a.R"]},"name":"l","default":[]}],"type":"record","name":"R","namespace":"a"}"#,
            r#"{"name":"a.R","type":"record","fields":[{"name":"l","type":{"type":"array","items":["null","a.R"]}}]}"#,
            0,
        ),
    ] {
        let schema = avro(text);
        assert_eq!(schema.parsing_form(), form);
        if fingerprint != 0 {
            assert_eq!(schema.fingerprint() as i64, fingerprint, "{text}");
        }
        let theirs = apache_avro::Schema::parse_str(text).unwrap();
        let theirs = theirs.fingerprint::<apache_avro::rabin::Rabin>();
        assert_eq!(theirs.bytes, schema.fingerprint().to_le_bytes());
    }
    assert_eq!(avro(r#"["null","int"]"#).name(), None);
}
