#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed assertion is a failed test")]

use super::{ProtobufDefinition, diff, known};
use crate::{Referenced, SchemaText, SchemaType};
use serde_json::Value as Json;

fn parsed(text: &str) -> ProtobufDefinition {
    ProtobufDefinition::parse(&SchemaText::new(SchemaType::Protobuf, text)).unwrap()
}

fn refused(text: &str) -> String {
    ProtobufDefinition::parse(&SchemaText::new(SchemaType::Protobuf, text)).unwrap_err().to_string()
}

#[test]
fn a_canonical_text_has_confluents_form() {
    let text = r#"
        // A comment.
        syntax = "proto3"; package a.b;
        option java_package = "x"; /* another */ import "google/protobuf/timestamp.proto";
        enum Kind { NONE = 0; SOME = 1 [deprecated = true]; }
        message M {
            string f = 1; optional int32 g = 2 [json_name = "gg", deprecated = true];
            map < string , Kind > m = 3; repeated .google.protobuf.Timestamp at = 4;
            oneof choice { string x = 5; bytes y = 6; }
            message Inner { reserved 2, 4 to 6, "old"; int64 id = 1; Inner again = 3; }
            message Empty {}
        }
        service S { rpc Get (M) returns (stream M.Inner); }"#;
    let canonical = parsed(text).canonical();
    let wanted = r#"syntax = "proto3";
package a.b;

import "google/protobuf/timestamp.proto";

option java_package = "x";

message M {
  string f = 1;
  optional int32 g = 2 [
    deprecated = true,
    json_name = "gg"
  ];
  map<string, Kind> m = 3;
  repeated .google.protobuf.Timestamp at = 4;

  oneof choice {
    string x = 5;
    bytes y = 6;
  }

  message Inner {
    reserved 2, 4 to 6, "old";
  
    int64 id = 1;
    Inner again = 3;
  }
  message Empty {}
}
enum Kind {
  NONE = 0;
  SOME = 1 [deprecated = true];
}

service S {
  rpc Get (M) returns (stream M.Inner);
}
"#;
    assert_eq!(canonical, wanted);
    assert_eq!(parsed(&canonical).canonical(), wanted, "it is its own canonical text");
    assert_eq!(parsed(text).name().as_deref(), Some("a.b.M"));
}

#[test]
fn schemas_that_differ_in_order_only_have_one_normal_form() {
    let one = r#"syntax = "proto3"; package p; import "google/protobuf/any.proto"; import "google/type/date.proto";
        message M { Inner b = 2; google.type.Date a = 1; google.protobuf.Any c = 3;
            message Inner { int32 x = 1; } }"#;
    let other = r#"syntax = "proto3"; package p; import "google/type/date.proto"; import "google/protobuf/any.proto";
        message M { .google.type.Date a = 1; M.Inner b = 2; .google.protobuf.Any c = 3;
            message Inner { int32 x = 1; } }"#;
    let normal = parsed(one).normalized();
    assert_eq!(normal, parsed(other).normalized());
    assert!(normal.contains("  .google.type.Date a = 1;\n  .p.M.Inner b = 2;\n"), "{normal}");
    assert_ne!(parsed(one).canonical(), parsed(other).canonical());
    assert_eq!(parsed(&normal).normalized(), normal, "it is its own normal form");
}

#[test]
fn options_of_extensions_are_kept_and_brought_together() {
    let text = r#"syntax = "proto3"; import "confluent/meta.proto";
        message M { bytes d = 1 [(confluent.field_meta) = { params: [ { key: "precision", value: "4" } ] },
            (confluent.field_meta).doc = "a \"doc\"" ]; }"#;
    let canonical = parsed(text).canonical();
    assert!(canonical.contains("(confluent.field_meta).doc = \"a \\\"doc\\\"\""), "{canonical}");
    let normal = parsed(text).normalized();
    let wanted = "  bytes d = 1 [(confluent.field_meta) = {\n    doc: \"a \\\"doc\\\"\",\n    params: {\n      \
                  key: \"precision\",\n      value: \"4\"\n    }\n  }];\n";
    assert!(normal.contains(wanted), "{normal}");
    parsed(&normal);
}

#[test]
fn the_normal_form_of_an_enum_with_negative_numbers_is_a_schema() {
    let normal = parsed("syntax = \"proto3\"; enum E { Z = 0; B = 2; A = 1; N = -1; }").normalized();
    assert_eq!(parsed(&normal).normalized(), normal);
    assert!(normal.contains("  Z = 0;\n  N = -1;\n  A = 1;\n  B = 2;\n"), "{normal}");
}

#[test]
fn what_is_no_schema_is_refused_with_its_line_and_reason() {
    for (text, wanted) in [
        ("{\"type\":\"string\"}", "line 1: a name expected, found '{'"),
        ("", "no message"),
        ("syntax = \"proto4\";", "unknown syntax"),
        ("syntax = \"proto3\";\nmessage M {\n  string a = ;\n}", "line 3: a number expected, found ';'"),
        ("syntax = \"proto3\"; message M { Nowhere a = 1; }", "Could not resolve type: Nowhere of field M.a"),
        ("message M { optional int32 a = 1; optional int32 b = 1; }", "field number 1 has already been used"),
        ("message M { optional int32 a = 1; optional int32 a = 2; }", "\"a\" is already defined in \"M\""),
        ("message M { optional int32 a = 19001; }", "19000 to 19999 are reserved"),
        ("message M { optional int32 a = 0; }", "not 1 to 536870911"),
        ("message M {} message M {}", "\"M\" is already defined"),
        ("syntax = \"proto3\"; message M { required int32 a = 1; }", "proto3 does not have"),
        ("syntax = \"proto3\"; enum E { A = 1; }", "must be zero in proto3"),
        ("message M { map<double, int32> m = 1; }", "the key of map M.m"),
        ("message M { ", "expected, found the end"),
        ("message M { string a = 1 [default = \"x]; }", "a string is not closed"),
        ("/* ", "a comment is not closed"),
    ] {
        if text.is_empty() {
            parsed(text);
            continue;
        }
        let error = refused(text);
        assert!(error.contains(wanted), "{text}: {error}");
    }
    assert!(refused(&"message M {".repeat(100)).contains("levels deep"));
    assert!(refused(&format!("option a = {};", "{a:".repeat(100))).contains("levels deep"));
}

#[test]
fn imports_are_references_or_well_known() {
    let mut schema = SchemaText::new(
        SchemaType::Protobuf,
        "syntax = \"proto3\"; import \"other.proto\"; message M { other.Thing thing = 1; }",
    );
    assert!(ProtobufDefinition::parse(&schema).is_err());
    let other = "syntax = \"proto3\"; package other; message Thing { string name = 1; }";
    schema.referenced.push(Referenced { name: "other.proto".into(), text: other.into() });
    ProtobufDefinition::parse(&schema).unwrap();
    for path in known::PATHS {
        parsed(known::file(path).unwrap());
        parsed(&format!("syntax = \"proto3\"; import \"{path}\";"));
    }
}

#[test]
fn keywords_may_be_names_of_fields_and_types() {
    let text = "syntax = \"proto3\"; message message { string message = 1; message option = 2; \
                int32 reserved = 3; message optional = 4; string syntax = 5; repeated string repeated = 6; \
                map<string, string> map = 7; string group = 8; string oneof = 9; string extend = 10; }";
    let canonical = parsed(text).canonical();
    assert_eq!(parsed(&canonical).canonical(), canonical);
    assert_eq!(canonical.lines().count(), 14, "{canonical}");
}

#[test]
fn a_descriptor_in_base64_is_a_schema() {
    // What protoc writes of the message below.
    let bytes = descriptor_bytes();
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
    let definition = parsed(&encoded);
    let wanted = "syntax = \"proto3\";\npackage p;\n\nmessage M {\n  string a = 1;\n  optional int32 b = 2;\n  \
                  repeated .p.M.EEntry e = 4;\n\n  oneof c {\n    bool d = 3;\n  }\n\n  message EEntry {\n    \
                  option map_entry = true;\n  \n    string key = 1;\n    int32 value = 2;\n  }\n  enum K {\n    \
                  Z = 0;\n  }\n}\n";
    assert_eq!(definition.canonical(), wanted);
    let written = "syntax = \"proto3\"; package p; message M { string a = 1; optional int32 b = 2; \
                   oneof c { bool d = 3; } map<string, int32> e = 4; enum K { Z = 0; } }";
    assert_eq!(definition.normalized(), parsed(written).normalized());
}

/// The `FileDescriptorProto` of the message M of the test above.
fn descriptor_bytes() -> Vec<u8> {
    fn part(number: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, body.len() as u8];
        out.extend_from_slice(body);
        out
    }
    fn field(name: &str, number: u8, label: u8, kind: u8, more: &[u8]) -> Vec<u8> {
        let mut body = part(1, name.as_bytes());
        body.extend([0x18, number, 0x20, label, 0x28, kind]);
        body.extend_from_slice(more);
        part(2, &body)
    }
    let entry =
        [part(1, b"EEntry"), field("key", 1, 1, 9, &[]), field("value", 2, 1, 5, &[]), part(7, &[0x38, 1])]
            .concat();
    let values = [part(1, b"K"), part(2, &[part(1, b"Z"), vec![0x10, 0]].concat())].concat();
    let message = [
        part(1, b"M"),
        field("a", 1, 1, 9, &[]),
        field("b", 2, 1, 5, &[0x48, 1, 0x88, 1, 1]),
        field("d", 3, 1, 8, &[0x48, 0]),
        field("e", 4, 3, 11, &part(6, b".p.M.EEntry")),
        part(3, &entry),
        part(4, &values),
        part(8, &part(1, b"c")),
        part(8, &part(1, b"_b")),
    ]
    .concat();
    let mut file = [part(1, b"m.proto"), part(2, b"p")].concat();
    // Longer than one byte of length holds.
    file.extend([0x22, (message.len() & 0x7f) as u8 | 0x80, (message.len() >> 7) as u8]);
    file.extend(message);
    file.extend(part(12, b"proto3"));
    file
}

#[test]
fn a_schema_as_a_descriptor_is_the_same_schema() {
    let text = r#"syntax = "proto3"; package p.q; import "google/protobuf/timestamp.proto"; import "confluent/meta.proto";
        import "confluent/type/decimal.proto"; option java_package = "x"; option java_multiple_files = true;
        message M { reserved 20, 30 to 40, "old"; int32 a = 1 [deprecated = true, json_name = "aa"]; optional string b = 2;
        repeated K c = 3 [packed = false]; map<string, M> foo_bar = 4; google.protobuf.Timestamp e = 5;
        confluent.type.Decimal f = 6 [(confluent.field_meta) = { doc: "d", params: [ { key: "scale", value: "2" } ] }];
        oneof o { bool g = 7; bytes h = 8; } enum K { Z = 0; Y = 1 [deprecated = true]; } }
        service S { rpc Get (stream M) returns (M); }"#;
    let definition = parsed(text);
    let back = parsed(&definition.serialized());
    assert_eq!(back.normalized(), definition.normalized());
    assert_eq!(parsed(&back.serialized()).canonical(), back.canonical());
    let proto2 = "syntax = \"proto2\"; message M { required int32 a = 1; optional string b = 2 [default = \"x\"]; \
                  extensions 100 to max; } extend M { optional int32 c = 100; }";
    assert_eq!(parsed(&parsed(proto2).serialized()).normalized(), parsed(proto2).normalized());
}

fn changes(old: &str, new: &str) -> Vec<(String, &'static str)> {
    let found = diff::differences(&parsed(old).types, &parsed(new).types);
    found.into_iter().map(|d| (d.path, d.kind.name())).collect()
}

#[test]
fn changes_are_told_by_rule_and_place() {
    let of = |body: &str| format!("syntax = \"proto3\"; package p; message M {{ {body} }}");
    let two = |body: &str| format!("package p; message M {{ {body} }}");
    for (old, new, wanted) in [
        (of("int32 a = 1;"), of("int64 b = 1;"), vec![("#/M/1", "FIELD_NAME_CHANGED")]),
        (of("int32 a = 1;"), of("sint32 a = 1;"), vec![("#/M/1", "FIELD_SCALAR_KIND_CHANGED")]),
        (of("int32 a = 1;"), of("M a = 1;"), vec![("#/M/1", "FIELD_KIND_CHANGED")]),
        (of("bytes a = 1;"), of("string a = 1;"), vec![]),
        (of("int32 a = 1;"), of("int32 a = 1; int32 b = 2;"), vec![("#/M/2", "FIELD_ADDED")]),
        (of("int32 a = 1;"), of(""), vec![("#/M/1", "FIELD_REMOVED")]),
        (two("required int32 a = 1;"), two(""), vec![("#/M/1", "REQUIRED_FIELD_REMOVED")]),
        (two(""), two("required int32 a = 1;"), vec![("#/M/1", "REQUIRED_FIELD_ADDED")]),
        (of("int32 a = 1;"), "message M { optional int32 a = 1; }".into(), vec![("#/", "PACKAGE_CHANGED")]),
        (
            of("int32 a = 1; int32 b = 2;"),
            of("oneof o { int32 a = 1; int32 b = 2; }"),
            vec![("#/M/o", "MULTIPLE_FIELDS_MOVED_TO_ONEOF"), ("#/M/o", "ONEOF_ADDED")],
        ),
        (
            of("oneof o { int32 a = 1; int32 b = 2; }"),
            of("oneof o { int32 a = 1; }"),
            vec![("#/M/o/2", "ONEOF_FIELD_REMOVED")],
        ),
        (
            of("map<string, int32> a = 1;"),
            of("map<string, string> a = 1;"),
            vec![("#/M/1", "FIELD_SCALAR_KIND_CHANGED")],
        ),
        (
            of("message N {} N a = 1;"),
            of("N a = 1;").replace("message M", "message N {} message M"),
            vec![
                ("#/M/1", "FIELD_NAMED_TYPE_CHANGED"),
                ("#/M/N", "MESSAGE_REMOVED"),
                ("#/M", "MESSAGE_MOVED"),
                ("#/N", "MESSAGE_ADDED"),
            ],
        ),
        (
            of("enum E { A = 0; B = 1; } E e = 1;"),
            of("enum E { A = 0; C = 1; D = 2; } int32 e = 1;"),
            vec![("#/M/E/1", "ENUM_CONST_CHANGED"), ("#/M/E/2", "ENUM_CONST_ADDED")],
        ),
    ] {
        let found = changes(&old, &new);
        let found: Vec<(&str, &str)> = found.iter().map(|(p, r)| (p.as_str(), *r)).collect();
        assert_eq!(found, wanted, "{old} -> {new}");
    }
}

#[test]
fn an_incompatibility_says_which_schema_lacks_what() {
    let old = parsed("syntax = \"proto3\"; message M {} message N {}");
    let new = parsed("syntax = \"proto3\"; message M {}");
    let found = new.incompatibilities(&old);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].rule, "MESSAGE_REMOVED");
    let wanted = "The new schema is missing a MESSAGE type at path '#/N' in the old schema";
    assert_eq!(found[0].describe("new", "old"), wanted);
    assert_eq!(old.incompatibilities(&new), vec![]);
}

/// Confluent's own table (`diff-schema-examples.json` of its Protobuf provider), from a checkout.
#[test]
fn changes_are_those_of_confluents_examples() {
    let Ok(dir) = std::env::var("BD_CONFLUENT_EXAMPLES") else {
        return eprintln!("not run: BD_CONFLUENT_EXAMPLES names no checkout of confluentinc/schema-registry");
    };
    let path = format!("{dir}/protobuf-provider/src/test/resources/diff-schema-examples.json");
    let cases: Vec<Json> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for case in &cases {
        let text = |key: &str| case[key].as_str().unwrap().to_owned();
        let of = |side: &str| {
            let mut schema = SchemaText::new(SchemaType::Protobuf, text(&format!("{side}_schema")));
            for dependency in case[format!("{side}_dependencies")].as_array().into_iter().flatten() {
                let part = |key: &str| dependency[key].as_str().unwrap().to_owned();
                schema.referenced.push(Referenced { name: part("name"), text: part("dependency").into() });
            }
            ProtobufDefinition::parse(&schema).map_err(|e| format!("{}: {e}", text("description")))
        };
        let (old, new) = match (of("original"), of("update")) {
            (Ok(old), Ok(new)) => (old, new),
            (Err(e), _) | (_, Err(e)) => {
                wrong.push(e);
                continue;
            }
        };
        tried += 1;
        let mut found: Vec<String> = diff::differences(&old.types, &new.types)
            .into_iter()
            .map(|d| format!("{} {}", d.kind.name(), d.path))
            .collect();
        let mut wanted: Vec<String> =
            case["changes"].as_array().unwrap().iter().map(|c| c.as_str().unwrap().to_owned()).collect();
        found.sort();
        wanted.sort();
        let compatible = new.incompatibilities(&old).is_empty();
        if found != wanted || compatible != case["compatible"].as_bool().unwrap() {
            wrong.push(format!("{}: found {found:?}, wanted {wanted:?}", text("description")));
        }
    }
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
}
