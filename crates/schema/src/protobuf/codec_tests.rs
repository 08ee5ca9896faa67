//! What Protobuf alone promises; what every codec promises is in the conformance suite.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed assertion is a failed test")]

use super::{ProtobufCodec, ProtobufReader, protobuf_of_schema};
use crate::conformance::{self, Malformed, read as decode};
use crate::{
    Codec, Codecs, DataType, Field, NewSchema, RegisteredSchema, RegistryError, Role, Schema, SchemaRegistry,
    SchemaText, SchemaType, Value,
};
use std::sync::{Arc, Mutex};

#[derive(Default)]
pub(super) struct Memory(Mutex<Vec<Arc<str>>>);

impl Memory {
    pub(super) fn put(&self, text: &str) -> u32 {
        let mut schemas = self.0.lock().unwrap();
        schemas.push(text.into());
        schemas.len() as u32
    }
}

impl SchemaRegistry for Memory {
    fn schema(&self, id: u32) -> Result<Arc<SchemaText>, RegistryError> {
        let schemas = self.0.lock().unwrap();
        let text = (id as usize)
            .checked_sub(1)
            .and_then(|at| schemas.get(at))
            .ok_or(RegistryError::UnknownId(id))?;
        Ok(Arc::new(SchemaText::new(SchemaType::Protobuf, text.clone())))
    }

    fn register(&self, _: &str, schema: &NewSchema) -> Result<u32, RegistryError> {
        assert_eq!(schema.schema_type, SchemaType::Protobuf);
        Ok(self.put(&schema.text))
    }

    fn latest(&self, _: &str) -> Result<Option<RegisteredSchema>, RegistryError> {
        Ok(None)
    }
}

pub(super) fn schema(fields: &[(&str, DataType)]) -> Schema {
    Schema::new(fields.iter().map(|(name, t)| Field::new(*name, t.clone())).collect())
}

pub(super) fn text(text: &str) -> Value {
    Value::Varchar(text.to_owned())
}

pub(super) fn bare(proto: &str, fields: &[(&str, DataType)]) -> ProtobufCodec {
    ProtobufCodec::bare_with_declaration(schema(fields), proto, &[0]).unwrap()
}

/// What Protobuf has no form for: NULL among elements and entries, and of arrays and maps, which are empty instead.
fn held(data_type: &DataType, value: Value) -> Value {
    match (data_type, value) {
        (DataType::Array(_), Value::Null) => Value::Array(vec![]),
        (DataType::Map(_), Value::Null) => Value::Map(vec![]),
        (DataType::Array(of), Value::Array(items)) => {
            let items = items.into_iter().filter(|v| *v != Value::Null);
            Value::Array(items.map(|v| held(of, v)).collect())
        }
        (DataType::Map(of), Value::Map(entries)) => {
            let entries = entries.into_iter().filter(|(_, v)| *v != Value::Null);
            Value::Map(entries.map(|(k, v)| (k, held(of, v))).collect())
        }
        (DataType::Struct(fields), Value::Struct(values)) => {
            Value::Struct(fields.iter().zip(values).map(|(f, v)| held(&f.data_type, v)).collect())
        }
        (_, value) => value,
    }
}

/// A message cut within its last value, of what is never empty.
fn malformed(prefix: &[u8], codec: &ProtobufCodec) -> Vec<Malformed> {
    let broken = [
        &b"\x0a\x7f"[..],
        b"\x0a",
        b"\x0c",
        b"\x0f",
        b"\x00",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x0b\x14",
    ];
    let mut all: Vec<Malformed> =
        broken.iter().map(|bytes| Malformed::new([prefix, bytes].concat(), "")).collect();
    if let [only] = codec.schema().fields.as_slice()
        && only.data_type == DataType::Varchar
    {
        all.push(Malformed::new([prefix, b"\x0a\x01\xff"].concat(), "v"));
    }
    all
}

#[test]
fn protobuf_keeps_every_promise_of_a_codec() {
    let registry = Arc::new(Memory::default());
    let id = registry.put("syntax = \"proto3\"; message M {}");
    let of = |schema: &Schema| ProtobufCodec::new(registry.clone(), "t-value", schema.clone()).unwrap();
    let framed = [&[0][..], &id.to_be_bytes(), &[0]].concat();
    conformance::all_of(
        &conformance::Format {
            codec: &|schema| Some(Arc::new(of(schema))),
            nulls: true,
            all_doubles: true,
            malformed: &|schema| {
                let declared = registry.put(of(schema).declaration());
                let prefix = [&[0][..], &declared.to_be_bytes(), &[0]].concat();
                let mut all = malformed(&prefix, &of(schema));
                for payload in [
                    &b""[..],
                    b"\0\0",
                    b"\x01\0\0\0\x01\0",
                    b"\0\0\0\0\0\0",
                    &framed[..5],
                    b"\0\0\0\0\x01\x02\x08",
                ] {
                    all.push(Malformed::new(payload, ""));
                }
                all
            },
        },
        &held,
    );
}

#[test]
fn bare_protobuf_keeps_every_promise_of_a_codec() {
    let of = |schema: &Schema| ProtobufCodec::bare(schema.clone()).unwrap();
    conformance::all_of(
        &conformance::Format {
            codec: &|schema| Some(Arc::new(of(schema))),
            nulls: true,
            all_doubles: true,
            malformed: &|schema| malformed(&[], &of(schema)),
        },
        &held,
    );
}

const SCALARS: &str = "syntax = \"proto3\"; message M { int32 a = 1; int64 b = 2; uint32 c = 3; uint64 d = 4; \
    sint32 e = 5; sint64 f = 6; fixed32 g = 7; fixed64 h = 8; sfixed32 i = 9; sfixed64 j = 10; float k = 11; \
    double l = 12; bool m = 13; string n = 14; bytes o = 15; repeated int32 p = 16; map<int32, string> q = 17; \
    E r = 18; M s = 19; optional int32 t = 20; enum E { ZERO = 0; ONE = 1; } }";

fn scalars() -> Vec<(&'static str, DataType)> {
    use DataType as T;
    vec![
        ("a", T::Integer),
        ("b", T::BigInt),
        ("c", T::BigInt),
        ("d", T::BigInt),
        ("e", T::Integer),
        ("f", T::BigInt),
        ("g", T::BigInt),
        ("h", T::BigInt),
        ("i", T::Integer),
        ("j", T::BigInt),
        ("k", T::Double),
        ("l", T::Double),
        ("m", T::Boolean),
        ("n", T::Varchar),
        ("o", T::Bytes),
        ("p", T::Array(Arc::new(T::Integer))),
        ("q", T::Map(Arc::new(T::Varchar))),
        ("r", T::Varchar),
        ("s", T::Struct([Field::new("b", T::BigInt)].into())),
        ("t", T::Integer),
    ]
}

/// The bytes that `protoc --encode` writes of these values.
#[test]
fn bytes_are_those_of_protocs_own_code() {
    let codec = bare(SCALARS, &scalars());
    let row = vec![
        Value::Integer(-1),
        Value::BigInt(150),
        Value::BigInt(300),
        Value::BigInt(1),
        Value::Integer(-2),
        Value::BigInt(-1),
        Value::BigInt(1),
        Value::BigInt(2),
        Value::Integer(-1),
        Value::BigInt(-2),
        Value::Double(1.5),
        Value::Double(-2.0),
        Value::Boolean(true),
        text("testing"),
        Value::Bytes(vec![0, 255]),
        Value::Array([3, 270, 86942].map(Value::Integer).into()),
        Value::Map(vec![("7".into(), text("x"))]),
        text("ONE"),
        Value::Struct(vec![Value::BigInt(150)]),
        Value::Integer(0),
    ];
    let wanted = [
        &b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x96\x01\x18\xac\x02\x20\x01\x28\x03\x30\x01"[..],
        b"\x3d\x01\0\0\0\x41\x02\0\0\0\0\0\0\0\x4d\xff\xff\xff\xff\x51\xfe\xff\xff\xff\xff\xff\xff\xff",
        b"\x5d\0\0\xc0\x3f\x61\0\0\0\0\0\0\0\xc0\x68\x01\x72\x07testing\x7a\x02\0\xff",
        b"\x82\x01\x06\x03\x8e\x02\x9e\xa7\x05\x8a\x01\x05\x08\x07\x12\x01x\x90\x01\x01",
        b"\x9a\x01\x03\x10\x96\x01\xa0\x01\0",
    ]
    .concat();
    let mut out = Vec::new();
    codec.encode_row(&row, &mut out).unwrap();
    assert_eq!(out, wanted);
    assert_eq!(decode(&codec, &out).unwrap(), row);
}

#[test]
fn what_is_absent_is_null_only_where_its_declaration_tells_it_from_a_default() {
    let codec = bare(SCALARS, &scalars());
    let row = decode(&codec, b"").unwrap();
    let wanted = [
        Value::Integer(0),
        Value::BigInt(0),
        Value::BigInt(0),
        Value::BigInt(0),
        Value::Integer(0),
        Value::BigInt(0),
        Value::BigInt(0),
        Value::BigInt(0),
        Value::Integer(0),
        Value::BigInt(0),
        Value::Double(0.0),
        Value::Double(0.0),
        Value::Boolean(false),
        text(""),
        Value::Bytes(vec![]),
        Value::Array(vec![]),
        Value::Map(vec![]),
        text("ZERO"),
        Value::Null,
        Value::Null,
    ];
    assert_eq!(row, wanted);
    let mut out = Vec::new();
    codec.encode_row(&row, &mut out).unwrap();
    assert_eq!(out, b"", "defaults are not written");

    let proto2 = "message M { optional int32 a = 1; optional int32 b = 2 [default = 7]; optional E c = 3 [default = TWO]; \
                  enum E { ONE = 1; TWO = 2; } required string d = 4; optional double e = 5 [default = -1.5]; }";
    let codec = bare(
        proto2,
        &[
            ("a", DataType::Integer),
            ("b", DataType::Integer),
            ("c", DataType::Varchar),
            ("d", DataType::Varchar),
            ("e", DataType::Double),
            ("nowhere", DataType::Date),
        ][..5],
    );
    let wanted = vec![Value::Null, Value::Integer(7), text("TWO"), Value::Null, Value::Double(-1.5)];
    assert_eq!(decode(&codec, b"").unwrap(), wanted);
    let edition =
        "edition = \"2023\"; message M { int32 a = 1; int32 b = 2 [features.field_presence = IMPLICIT]; }";
    let codec = bare(edition, &[("a", DataType::Integer), ("b", DataType::Integer)]);
    assert_eq!(decode(&codec, b"").unwrap(), [Value::Null, Value::Integer(0)]);
}

#[test]
fn values_come_in_any_order_packed_or_not_in_parts_and_among_unknown_ones() {
    let codec = bare(
        SCALARS,
        &[
            ("a", DataType::Integer),
            ("p", DataType::Array(Arc::new(DataType::Integer))),
            (
                "s",
                DataType::Struct(
                    [Field::new("a", DataType::Integer), Field::new("b", DataType::BigInt)].into(),
                ),
            ),
        ],
    );
    let bytes = [
        &b"\x9a\x01\x02\x08\x05"[..], // s { a: 5 }
        b"\x80\x01\x09",              // p: 9, not packed
        b"\xa2\x06\x03abc\xa9\x06\0\0\0\0\0\0\0\0\xad\x06\0\0\0\0\xa0\x06\x01", // field 100 of every type
        b"\xa3\x06\x08\x01\x0b\x0c\xa4\x06", // a group with a group in it
        b"\x08\x01\x08\x02",          // a twice: the last counts
        b"\x0d\0\0\0\0",              // a of another wire type is unknown
        b"\x82\x01\x02\x07\x08",      // p, packed
        b"\x9a\x01\x02\x10\x06",      // s { b: 6 } is merged
    ]
    .concat();
    let wanted = vec![
        Value::Integer(2),
        Value::Array([9, 7, 8].map(Value::Integer).into()),
        Value::Struct(vec![Value::Integer(5), Value::BigInt(6)]),
    ];
    assert_eq!(decode(&codec, &bytes).unwrap(), wanted);
}

#[test]
fn of_a_oneof_the_last_counts_and_one_is_written() {
    let codec = bare(
        "syntax = \"proto3\"; message M { oneof o { int32 a = 1; string b = 2; } }",
        &[("a", DataType::Integer), ("b", DataType::Varchar)],
    );
    assert_eq!(decode(&codec, b"\x08\x00").unwrap(), [Value::Integer(0), Value::Null]);
    assert_eq!(decode(&codec, b"\x08\x01\x12\x01x").unwrap(), [Value::Null, text("x")]);
    let mut out = Vec::new();
    codec.encode_row(&vec![Value::Integer(0), Value::Null], &mut out).unwrap();
    assert_eq!(out, b"\x08\x00");
    let error = codec.encode_row(&vec![Value::Integer(0), text("x")], &mut out).unwrap_err();
    assert_eq!((error.path.as_str(), out.as_slice()), ("b", &b"\x08\x00"[..]));
}

#[test]
fn well_known_types_are_columns() {
    use DataType as T;
    let proto = "syntax = \"proto3\"; import \"google/protobuf/wrappers.proto\"; import \"google/protobuf/timestamp.proto\"; \
        import \"google/type/date.proto\"; import \"google/type/timeofday.proto\"; import \"confluent/type/decimal.proto\"; \
        message M { google.protobuf.StringValue a = 1; google.protobuf.Int64Value b = 2; google.protobuf.Timestamp c = 3; \
        google.type.Date d = 4; google.type.TimeOfDay e = 5; confluent.type.Decimal f = 6; repeated google.protobuf.BoolValue g = 7; }";
    let codec = bare(
        proto,
        &[
            ("a", T::Varchar),
            ("b", T::BigInt),
            ("c", T::Timestamp),
            ("d", T::Date),
            ("e", T::Time),
            ("f", T::Decimal(9, 2)),
            ("g", T::Array(Arc::new(T::Boolean))),
        ],
    );
    let row = vec![
        text(""),
        Value::BigInt(-1),
        Value::Timestamp(-1),
        Value::Date(18_659),
        Value::Time(86_399_999),
        Value::Decimal(-12_345),
        Value::Array(vec![Value::Boolean(false), Value::Boolean(true)]),
    ];
    let wanted = [
        &b"\x0a\0\x12\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"[..],
        b"\x1a\x11\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\xc0\x8f\xae\xdc\x03",
        b"\x22\x07\x08\xe5\x0f\x10\x02\x18\x01\x2a\x0c\x08\x17\x10\x3b\x18\x3b\x20\xc0\x8f\xae\xdc\x03",
        b"\x32\x08\x0a\x02\xcf\xc7\x10\x09\x18\x02\x3a\0\x3a\x02\x08\x01",
    ]
    .concat();
    let mut out = Vec::new();
    codec.encode_row(&row, &mut out).unwrap();
    assert_eq!(out, wanted);
    assert_eq!(decode(&codec, &out).unwrap(), row);
    let mut absent = vec![Value::Null; 6];
    absent.push(Value::Array(vec![]));
    assert_eq!(decode(&codec, b"").unwrap(), absent);
    // Other scales are read where no digit is lost.
    assert_eq!(decode(&codec, b"\x32\x03\x0a\x01\x05").unwrap()[5], Value::Decimal(500));
    assert_eq!(decode(&codec, b"\x32\x05\x0a\x01\x05\x18\x03").unwrap_err().path, "f");
}

#[test]
fn the_framing_tells_which_message_of_the_schema_it_is() {
    let registry = Arc::new(Memory::default());
    let id = registry.put(
        "syntax = \"proto3\"; package p; message A { int32 x = 1; } enum E { Z = 0; } \
         message B { message C { int32 x = 1; message D { int32 x = 2; } } }",
    );
    let codec = ProtobufCodec::new(registry.clone(), "t-value", schema(&[("x", DataType::Integer)])).unwrap();
    let reader = ProtobufReader::new(registry.clone());
    let framed = |rest: &[u8]| [&[0][..], &id.to_be_bytes(), rest].concat();
    for (rest, name, wanted) in [
        (&b"\0\x08\x05"[..], "p.A", 5),
        (b"\x02\0\x08\x05", "p.A", 5),
        (b"\x04\x02\0\x08\x05", "p.B.C", 5),
        (b"\x06\x02\0\0\x10\x06", "p.B.C.D", 6),
    ] {
        assert_eq!(decode(&codec, &framed(rest)).unwrap(), [Value::Integer(wanted)], "{name}");
        let (shape, row) = reader.decode(&framed(rest)).unwrap();
        assert_eq!((shape.name.as_deref(), row.last()), (Some(name), Some(&Value::Integer(wanted))));
        assert!(Arc::ptr_eq(&shape, &reader.decode(&framed(rest)).unwrap().0));
    }
    for broken in [&b"\x02\x04"[..], b"\x02\x01", b"\x01", b"\xff\xff\xff\xff\x7f", b""] {
        assert!(decode(&codec, &framed(broken)).is_err(), "{broken:?}");
    }
    assert!(decode(&codec, b"\0\0\0\0\x63\0").unwrap_err().reason.contains("schema 99"));

    let declared = "syntax = \"proto3\"; message Other {} message M { int32 x = 1; }";
    let codec = ProtobufCodec::with_declaration(
        registry,
        "t-value",
        schema(&[("x", DataType::Integer)]),
        declared,
        &[1],
    )
    .unwrap();
    let mut out = Vec::new();
    codec.encode_row(&vec![Value::Integer(1)], &mut out).unwrap();
    assert_eq!(out[5..], *b"\x02\x02\x08\x01");
    assert_eq!(decode(&codec, &out).unwrap(), [Value::Integer(1)]);
}

#[test]
fn a_declaration_is_what_connect_declares_and_reads_back_as_the_columns() {
    use DataType as T;
    let columns = schema(&[
        ("id", T::BigInt),
        ("Größe", T::Double),
        ("tags", T::Array(Arc::new(T::Varchar))),
        ("m", T::Map(Arc::new(T::Struct([Field::new("at", T::Timestamp)].into())))),
        ("price", T::Decimal(9, 2)),
        ("deep", T::Array(Arc::new(T::Array(Arc::new(T::Integer))))),
    ]);
    let declared = protobuf_of_schema(None, &columns, &[]).unwrap();
    let wanted = "syntax = \"proto3\";\n\nimport \"google/protobuf/timestamp.proto\";\nimport \"confluent/meta.proto\";\n\
        import \"confluent/type/decimal.proto\";\n\nmessage ConnectDefault1 {\n  optional int64 id = 1;\n  \
        optional double Gr_C3_B6_C3_9Fe = 2;\n  repeated string tags = 3;\n  map<string, ConnectDefault2> m = 4;\n  \
        confluent.type.Decimal price = 5 [(confluent.field_meta) = {\n    params: [\n      {\n        value: \"9\",\n        \
        key: \"precision\"\n      },\n      {\n        value: \"2\",\n        key: \"scale\"\n      }\n    ]\n  }];\n  \
        repeated ConnectDefault3 deep = 6;\n\n  message ConnectDefault2 {\n    google.protobuf.Timestamp at = 1;\n  }\n  \
        message ConnectDefault3 {\n    repeated int32 value = 1;\n  }\n}\n";
    assert_eq!(declared, wanted);
    let definition =
        super::ProtobufDefinition::parse(&SchemaText::new(SchemaType::Protobuf, declared)).unwrap();
    let shape = definition.shape("ConnectDefault1").unwrap();
    assert_eq!(shape.schema.fields[4], columns.fields[4]);
    assert_eq!(shape.schema.fields[0].data_type, T::BigInt);
    let required: Vec<bool> = shape.fields.iter().map(|f| f.required).collect();
    assert_eq!(required, [false, false, true, true, false, true]);
}

#[test]
fn formats_are_found_by_their_names() {
    let codecs = Codecs::new(Some(Arc::new(Memory::default())));
    let columns = schema(&[("x", DataType::Integer)]);
    for name in ["PROTOBUF", "protobuf_nosr"] {
        let codec = codecs.codec(name, &columns, Role::Value, "t").unwrap();
        assert_eq!(codec.format(), name.to_ascii_uppercase());
    }
    assert!(Codecs::default().codec("PROTOBUF_NOSR", &columns, Role::Key, "t").is_ok());
    assert!(Codecs::default().codec("PROTOBUF", &columns, Role::Key, "t").is_err());
}
