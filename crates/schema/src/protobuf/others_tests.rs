//! What messages of other writers are read as.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use super::codec_tests::{Memory, bare, schema, text};
use super::{ProtobufCodec, ProtobufReader};
use crate::conformance::read as decode;
use crate::{Codec, DataType, SchemaText, SchemaType, Value};
use std::sync::Arc;

#[test]
fn columns_of_a_declaration_are_read_by_their_numbers() {
    let registry = Arc::new(Memory::default());
    let old = "syntax = \"proto3\"; message M { int32 a = 1; string b = 2; In in = 3; repeated In all = 4; map<string, In> by = 5; \
        message In { int32 x = 1; int32 y = 2; } }";
    // Names are changed, two of them for each other; a number is new.
    let new = "syntax = \"proto3\"; message M { int64 b = 1; string a = 2; Inner within = 3; repeated Inner every = 4; \
        map<string, Inner> of = 5; int32 more = 6; optional int32 none = 7; message Inner { int32 y = 1; int32 x = 2; } }";
    let (old_id, new_id) = (registry.put(old), registry.put(new));
    let shape = |text: &str| {
        let definition =
            super::ProtobufDefinition::parse(&SchemaText::new(SchemaType::Protobuf, text)).unwrap();
        definition.shape("M").unwrap().schema
    };
    let message =
        b"\x08\x05\x12\x01t\x1a\x04\x08\x01\x10\x02\x22\x02\x08\x03\x2a\x07\x0a\x01k\x12\x02\x10\x04";
    let framed = |id: u32| [&[0][..], &id.to_be_bytes(), &[0], message].concat();
    let pair = |a, b| Value::Struct(vec![Value::Integer(a), Value::Integer(b)]);
    let common = |first| {
        let by = Value::Map(vec![("k".into(), pair(0, 4))]);
        vec![first, Value::Varchar("t".into()), pair(1, 2), Value::Array(vec![pair(3, 0)]), by]
    };
    let codec = ProtobufCodec::with_declaration(registry.clone(), "s", shape(new), new, &[0]).unwrap();
    let mut wanted = common(Value::BigInt(5));
    wanted.extend([Value::Integer(0), Value::Null]);
    assert_eq!(decode(&codec, &framed(old_id)).unwrap(), wanted);
    assert_eq!(decode(&codec, &framed(new_id)).unwrap(), wanted);
    let codec = ProtobufCodec::with_declaration(registry.clone(), "s", shape(old), old, &[0]).unwrap();
    assert_eq!(decode(&codec, &framed(new_id)).unwrap(), common(Value::Integer(5)));
    // Columns that were only named have no numbers of their own.
    let codec = ProtobufCodec::new(registry, "s", schema(&[("a", DataType::Varchar)])).unwrap();
    assert_eq!(decode(&codec, &framed(old_id)).unwrap(), [Value::Varchar("5".into())]);
    assert_eq!(decode(&codec, &framed(new_id)).unwrap(), [Value::Varchar("t".into())]);
}

#[test]
fn groups_have_no_columns_and_are_passed_over_where_columns_are_named() {
    let registry = Arc::new(Memory::default());
    let text = "message M { optional int32 x = 1; optional group Result = 2 { optional int32 y = 1; } }";
    let id = registry.put(text);
    let record = [&[0][..], &id.to_be_bytes(), &[0, 0x08, 5, 0x13, 0x08, 7, 0x14]].concat();
    let codec = ProtobufCodec::new(registry.clone(), "s", schema(&[("x", DataType::Integer)])).unwrap();
    assert_eq!(decode(&codec, &record).unwrap(), [Value::Integer(5)]);
    let error = ProtobufReader::new(registry).decode(&record).unwrap_err();
    assert!(error.reason.contains("M has the group Result, which is not read"), "{error}");
}

#[test]
fn a_number_that_an_enum_has_no_name_for_is_its_text_and_is_written_back() {
    let codec = bare(
        "syntax = \"proto3\"; message M { E e = 1; } enum E { A = 0; B = 1; }",
        &[("e", DataType::Varchar)],
    );
    for (bytes, wanted) in [(&b"\x08\x01"[..], "B"), (b"\x08\x07", "7"), (b"", "A")] {
        let row = decode(&codec, bytes).unwrap();
        assert_eq!(row, [text(wanted)]);
        let mut out = Vec::new();
        codec.encode_row(&row, &mut out).unwrap();
        assert_eq!(out, bytes);
    }
    assert!(codec.encode_row(&vec![text("C")], &mut Vec::new()).is_err());
}

#[test]
fn of_a_map_s_entries_with_one_key_the_last_counts() {
    let m = DataType::Map(Arc::new(DataType::Integer));
    let codec = bare(
        "syntax = \"proto3\"; message M { map<string, int32> m = 1; map<int32, string> n = 2; }",
        &[("m", m.clone()), ("n", DataType::Map(Arc::new(DataType::Varchar)))],
    );
    let entry = |key: u8, value: u8| [0x0a, 5, 0x0a, 1, key, 0x10, value];
    let bytes = [entry(b'a', 1), entry(b'b', 2), entry(b'a', 3)].concat();
    let wanted = Value::Map(vec![("b".into(), Value::Integer(2)), ("a".into(), Value::Integer(3))]);
    assert_eq!(decode(&codec, &bytes).unwrap(), [wanted, Value::Map(vec![])]);
    let many: Vec<u8> = (0..40).flat_map(|i| entry(b'a' + i % 20, i)).collect();
    let wanted =
        (20..40).map(|i| (char::from(b'a' + i % 20).to_string(), Value::Integer(i.into()))).collect();
    assert_eq!(decode(&codec, &many).unwrap()[0], Value::Map(wanted));
}

#[test]
fn messages_within_themselves_are_rows_to_a_depth_and_no_columns() {
    let registry = Arc::new(Memory::default());
    let text = "syntax = \"proto3\"; message Tree { int32 x = 1; Tree left = 2; }";
    let id = registry.put(text);
    let reader = ProtobufReader::new(registry);
    let nested = |depth: u8| {
        let mut bytes = vec![8, depth];
        for x in (1..depth).rev() {
            bytes = [&[8, x][..], &[0x12, bytes.len() as u8], &bytes].concat();
        }
        [&[0][..], &id.to_be_bytes(), &[0], &bytes].concat()
    };
    let (shape, mut row) = reader.decode(&nested(9)).unwrap();
    assert_eq!(shape.fields[1].semantic.as_deref(), Some("Tree"));
    for x in 1..=9 {
        assert_eq!(row[0], Value::Integer(x));
        row = match row.pop() {
            Some(Value::Struct(inner)) => inner,
            last => {
                // The innermost one lacks what would hold it again.
                assert_eq!((x, last), (9, Some(Value::Integer(9))));
                break;
            }
        };
    }
    let error = reader.decode(&nested(10)).unwrap_err();
    assert!(error.reason.contains("within itself"), "{error}");
    let definition = super::ProtobufDefinition::parse(&SchemaText::new(SchemaType::Protobuf, text)).unwrap();
    let error = definition.shape("Tree").unwrap_err().to_string();
    assert!(error.contains("refers to itself") && error.ends_with("it has no columns"), "{error}");
    // Of many ways to hold itself it takes fewer steps.
    let wide: String = (1..=9).map(|i| format!("W f{i} = {i}; ")).collect();
    let registry = Arc::new(Memory::default());
    let id = registry.put(&format!("syntax = \"proto3\"; message W {{ {wide} }}"));
    let record = [&[0][..], &id.to_be_bytes(), &[0, 0x0a, 2, 0x12, 0]].concat();
    assert!(ProtobufReader::new(registry).decode(&record).is_ok());
}
