//! What must hold for any schema, any rows and any bytes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use super::codec_tests::Memory;
use super::{ProtobufCodec, ProtobufDefinition, ProtobufReader};
use crate::conformance::read as decode;
use crate::json::properties::config;
use crate::{Codec, DataType, SchemaText, SchemaType, Value};
use proptest::prelude::*;
use std::sync::Arc;

/// A field: its number, which type of [`TYPES`], its label, and whether it is in the oneof.
type Field = (usize, usize, bool);

const TYPES: [&str; 19] = [
    "int32",
    "int64",
    "uint32",
    "uint64",
    "bool",
    "E",
    "sint32",
    "sint64",
    "fixed32",
    "sfixed32",
    "fixed64",
    "sfixed64",
    "float",
    "double",
    "string",
    "bytes",
    "Inner",
    "map<string, Inner>",
    "google.protobuf.Int64Value",
];

fn field() -> impl Strategy<Value = Option<Field>> {
    prop::option::weighted(0.8, (0..TYPES.len(), 0..3_usize, any::<bool>()))
}

fn text(fields: &[Option<Field>]) -> String {
    named(fields, |number| format!("f{number}"))
}

/// The same with these names of the fields.
fn named(fields: &[Option<Field>], name_of: impl Fn(usize) -> String) -> String {
    let (mut own, mut oneof) = (String::new(), String::new());
    for (i, field) in fields.iter().enumerate() {
        let Some((kind, label, choice)) = field else { continue };
        let (name, number) = (TYPES[*kind], i + 1);
        let field = name_of(number);
        let label = match (name.starts_with("map"), label) {
            (true, _) | (_, 0) => "",
            (_, 1) => "optional ",
            _ => "repeated ",
        };
        if *choice && label.is_empty() && !name.starts_with("map") {
            oneof.push_str(&format!("{name} {field} = {number}; "));
        } else {
            own.push_str(&format!("{label}{name} {field} = {number}; "));
        }
    }
    let oneof = if oneof.is_empty() { oneof } else { format!("oneof o {{ {oneof} }}") };
    format!(
        "syntax = \"proto3\"; import \"google/protobuf/wrappers.proto\"; message M {{ {own} {oneof} \
         message Inner {{ int32 x = 1; string y = 2; }} }} enum E {{ ZERO = 0; ONE = 1; }}"
    )
}

fn definition(text: &str) -> ProtobufDefinition {
    ProtobufDefinition::parse(&SchemaText::new(SchemaType::Protobuf, text)).unwrap()
}

fn codec(registry: &Arc<Memory>, text: &str) -> ProtobufCodec {
    let columns = definition(text).shape("M").unwrap().schema;
    ProtobufCodec::with_declaration(registry.clone(), "t-value", columns, text, &[0]).unwrap()
}

/// A small value, which every type of its kind holds.
fn value(data_type: &DataType, seed: usize) -> Value {
    let small = seed % 2;
    match data_type {
        DataType::Boolean => Value::Boolean(small == 1),
        DataType::Integer => Value::Integer(small as i32),
        DataType::BigInt => Value::BigInt(small as i64),
        DataType::Double => Value::Double(seed as f64),
        // Also the name of an enum's value.
        DataType::Varchar => Value::Varchar(["ZERO", "ONE"][small].into()),
        DataType::Bytes => Value::Bytes(vec![b'a'; seed % 200]),
        DataType::Array(of) => Value::Array((0..seed % 4).map(|i| value(of, seed + i)).collect()),
        DataType::Map(of) => Value::Map((0..seed % 3).map(|i| (format!("k{i}"), value(of, i))).collect()),
        DataType::Struct(fields) => {
            Value::Struct(fields.iter().enumerate().map(|(i, f)| value(&f.data_type, seed + i)).collect())
        }
        _ => Value::Null,
    }
}

/// A row in which of the oneof one has a value.
fn row(codec: &ProtobufCodec, seed: usize) -> Vec<Value> {
    let text = codec.declaration();
    let choices = text.split("oneof o {").nth(1).and_then(|t| t.split('}').next()).unwrap_or("");
    let mut chosen = false;
    let fields = codec.schema().fields.iter().enumerate();
    let values = fields.map(|(i, field)| {
        let choice = choices.contains(&format!(" {} ", field.name));
        if choice && std::mem::replace(&mut chosen, true) {
            return Value::Null;
        }
        value(&field.data_type, seed + i)
    });
    values.collect()
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn what_is_called_backward_compatible_is_read(
        old in prop::collection::vec(field(), 5),
        changed in prop::collection::vec(prop::option::weighted(0.3, field()), 5),
        seed in 0..1000_usize,
    ) {
        let new: Vec<Option<Field>> =
            old.iter().zip(&changed).map(|(old, new)| new.unwrap_or(*old)).collect();
        let (old, new) = (text(&old), text(&new));
        let registry = Arc::new(Memory::default());
        let (writer, reader) = (codec(&registry, &old), codec(&registry, &new));
        let mut bytes = Vec::new();
        let row = row(&writer, seed);
        writer.encode_row(&row, &mut bytes).unwrap();
        prop_assert_eq!(&decode(&writer, &bytes).unwrap(), &row);
        let found = definition(&new).incompatibilities(&definition(&old));
        if found.is_empty() {
            let read = decode(&reader, &bytes);
            prop_assert!(read.is_ok(), "{old}\n{new}\n{row:?}\n{read:?}");
        }
    }

    #[test]
    fn renamed_fields_are_read_by_their_numbers(
        fields in prop::collection::vec(field(), 5),
        renamed in prop::collection::vec(any::<bool>(), 5),
        seed in 0..1000_usize,
    ) {
        // Also to names that other numbers had.
        let new = named(&fields, |n| if renamed[n - 1] { format!("r{}", n % 3) + &"_".repeat(n) } else { format!("f{n}") });
        let old = text(&fields);
        let registry = Arc::new(Memory::default());
        let (writer, reader) = (codec(&registry, &old), codec(&registry, &new));
        prop_assert_eq!(definition(&new).incompatibilities(&definition(&old)), vec![]);
        let row = row(&writer, seed);
        let mut bytes = Vec::new();
        writer.encode_row(&row, &mut bytes).unwrap();
        prop_assert_eq!(decode(&reader, &bytes).unwrap(), row);
    }

    #[test]
    fn any_text_has_one_canonical_and_one_normal_form(fields in prop::collection::vec(field(), 8)) {
        let parsed = definition(&text(&fields));
        let canonical = parsed.canonical();
        prop_assert_eq!(definition(&canonical).canonical(), canonical.clone());
        let normal = parsed.normalized();
        prop_assert_eq!(definition(&normal).normalized(), normal.clone());
        prop_assert_eq!(definition(&canonical).normalized(), normal);
        prop_assert_eq!(parsed.incompatibilities(&definition(&canonical)), vec![]);
    }

    #[test]
    fn any_bytes_are_a_record_or_an_error(
        fields in prop::collection::vec(field(), 5),
        noise in prop::collection::vec(any::<u8>(), 0..60),
        cut in 0..200_usize,
        seed in 0..1000_usize,
    ) {
        let registry = Arc::new(Memory::default());
        let codec = codec(&registry, &text(&fields));
        let mut good = Vec::new();
        codec.encode_row(&row(&codec, seed), &mut good).unwrap();
        let head = good[..6].to_vec();
        let reader = ProtobufReader::new(registry);
        for bytes in [good[..good.len() - cut % (good.len() - 5)].to_vec(), [&head, &noise[..]].concat(), noise] {
            let read = decode(&codec, &bytes);
            let shown = reader.decode(&bytes);
            // NaN is not itself.
            prop_assert_eq!(format!("{:?}", read.ok()), format!("{:?}", shown.ok().map(|(_, row)| row)));
        }
    }
}
