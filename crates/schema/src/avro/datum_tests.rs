//! Plain datums and single objects; how a reader's schema reads what another wrote.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use super::tests::schema;
use super::{AvroDatumCodec, AvroFraming, avro_of_schema, avro_of_value, schema_of_avro};
use crate::ConnectField;
use crate::conformance::read as decode;
use crate::conformance::{self, Malformed};
use crate::{Codec, DataType, Field, RecordError, Role, Row, Schema, Value};
use std::sync::Arc;

fn own(schema: &Schema, role: Role, framing: AvroFraming) -> AvroDatumCodec {
    let declaration = match (role, schema.fields.as_slice()) {
        (Role::Key, [only]) => avro_of_value(&only.data_type, &ConnectField::default()).unwrap(),
        _ => avro_of_schema("R", schema, &[]).unwrap(),
    };
    AvroDatumCodec::new(declaration, schema.clone(), role, framing).unwrap()
}

#[test]
fn they_conform() {
    for framing in [AvroFraming::Plain, AvroFraming::SingleObject] {
        for role in [Role::Value, Role::Key] {
            conformance::all(&conformance::Format {
                codec: &|schema| Some(Arc::new(own(schema, role, framing))),
                nulls: role == Role::Value,
                all_doubles: true,
                malformed: &|schema| {
                    let codec = own(schema, role, framing);
                    let telling = |f: &Field| conformance::telling_values(&f.data_type)[0].clone();
                    let mut good = Vec::new();
                    codec.encode_row(&schema.fields.iter().map(telling).collect(), &mut good).unwrap();
                    let more = Malformed::new([&good[..], &[0]].concat(), "");
                    match framing {
                        AvroFraming::Plain => vec![more],
                        AvroFraming::SingleObject => {
                            let mut other = good.clone();
                            other[5] ^= 1;
                            let cut = good[..9].to_vec();
                            vec![
                                more,
                                Malformed::new(other, ""),
                                Malformed::new(cut, ""),
                                Malformed::new("", ""),
                            ]
                        }
                    }
                },
            });
        }
    }
}

/// What a reader of the columns that its schema tells reads of a datum of another schema.
pub(super) fn resolved(reader: &str, writer: &str, datum: &[u8]) -> Result<Row, RecordError> {
    let columns = schema_of_avro(reader).unwrap_or_else(|e| panic!("{reader}: {e}")).schema;
    let codec = AvroDatumCodec::new(reader, columns, Role::Value, AvroFraming::Plain).unwrap();
    let codec = codec.with_writer(writer).unwrap_or_else(|e| panic!("{reader} of {writer}: {e}"));
    decode(&codec, datum)
}

fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
}

fn text(t: &str) -> Value {
    Value::Varchar(t.into())
}

#[test]
fn fields_that_the_writer_lacks_have_their_defaults() {
    let of =
        |json: &str, default: &str| record(&format!(r#"{{"name":"v","type":{json},"default":{default}}}"#));
    let decimal = r#"{"type":"bytes","logicalType":"decimal","precision":6,"scale":2}"#;
    let fixed = r#"{"type":"fixed","name":"F","size":2,"logicalType":"decimal","precision":4,"scale":1}"#;
    let point = r#"{"type":"record","name":"P","fields":[{"name":"x","type":"int"},{"name":"y","type":"int","default":7}]}"#;
    for (json, default, wanted) in [
        ("\"int\"", "45", Value::Integer(45)),
        ("\"long\"", "-3000000000", Value::BigInt(-3_000_000_000)),
        ("\"double\"", "1", Value::Double(1.0)),
        ("\"float\"", "\"0.5\"", Value::Double(0.5)),
        ("\"boolean\"", "true", Value::Boolean(true)),
        ("\"string\"", "\"é\"", text("é")),
        ("\"bytes\"", r#""\u00ff\u0001""#, Value::Bytes(vec![255, 1])),
        (decimal, r#""\u0001\u0000""#, Value::Decimal(256)),
        (fixed, r#""\u00ff\u00ff""#, Value::Decimal(-1)),
        (r#"{"type":"enum","name":"E","symbols":["A","B"]}"#, "\"B\"", text("B")),
        (r#"{"type":"long","logicalType":"timestamp-micros"}"#, "5000", Value::Timestamp(5)),
        (r#"["null","string"]"#, "null", Value::Null),
        (r#"["string","null"]"#, "\"x\"", text("x")),
        (r#"["null","string"]"#, "\"x\"", text("x")),
        (
            r#"{"type":"array","items":"int"}"#,
            "[1,2]",
            Value::Array(vec![Value::Integer(1), Value::Integer(2)]),
        ),
        (r#"{"type":"map","values":"int"}"#, r#"{"k":1}"#, Value::Map(vec![("k".into(), Value::Integer(1))])),
        (point, r#"{"x":1}"#, Value::Struct(vec![Value::Integer(1), Value::Integer(7)])),
    ] {
        assert_eq!(resolved(&of(json, default), &record(""), &[]).unwrap(), [wanted], "{json}");
    }
    let columns = schema(&[("v", DataType::Integer)]);
    let codec =
        AvroDatumCodec::new(of("\"int\"", "\"x\""), columns, Role::Value, AvroFraming::Plain).unwrap();
    let error = codec.with_writer(&record("")).err().unwrap();
    assert_eq!(error.to_string(), "field v: the default \"x\" is not of the type int");
}

#[test]
fn aliases_promotions_and_enum_defaults_are_followed() {
    let one = |json: &str| record(&format!(r#"{{"name":"v","type":{json}}}"#));
    let renamed = record(r#"{"name":"new","aliases":["older","old"],"type":"long","default":1}"#);
    assert_eq!(
        resolved(&renamed, &record(r#"{"name":"old","type":"int"}"#), &[90]).unwrap(),
        [Value::BigInt(45)]
    );
    assert_eq!(
        resolved(&renamed, &record(r#"{"name":"other","type":"int"}"#), &[90]).unwrap(),
        [Value::BigInt(1)]
    );
    for (reader, writer, datum, wanted) in [
        ("\"double\"", "\"long\"", &[90][..], Value::Double(45.0)),
        ("\"float\"", "\"int\"", &[90], Value::Double(45.0)),
        ("\"string\"", "\"bytes\"", &[2, b'x'], text("x")),
        ("\"bytes\"", "\"string\"", &[2, b'x'], Value::Bytes(b"x".to_vec())),
        (r#"["null","long"]"#, "\"int\"", &[90], Value::BigInt(45)),
        ("\"long\"", r#"["int","long"]"#, &[2, 90], Value::BigInt(45)),
    ] {
        assert_eq!(resolved(&one(reader), &one(writer), datum).unwrap(), [wanted], "{reader} of {writer}");
    }
    let symbols = |symbols: &str, more: &str| {
        one(&format!(r#"{{"type":"enum","name":"E","symbols":[{symbols}]{more}}}"#))
    };
    let writer = symbols(r#""A","B","C""#, "");
    let with_default = symbols(r#""B","A""#, r#","default":"A""#);
    assert_eq!(resolved(&with_default, &writer, &[2]).unwrap(), [text("B")]);
    assert_eq!(resolved(&with_default, &writer, &[4]).unwrap(), [text("A")]);
    let error = resolved(&symbols(r#""A","B""#, ""), &writer, &[4]).unwrap_err();
    assert!(error.reason.starts_with("No match for C"), "{error}");
}

#[test]
fn types_of_the_writer_go_to_their_branches_of_the_reader_s_union() {
    let one = |json: &str| record(&format!(r#"{{"name":"v","type":{json}}}"#));
    let p = r#"{"type":"record","name":"P","fields":[{"name":"x","type":"int"},{"name":"y","type":"int","default":7}]}"#;
    let reader = one(&format!(r#"["null","string","long",{p}]"#));
    let of = |string: Value, long: Value, p: Value| Ok([Value::Struct(vec![string, long, p])].to_vec());
    let null = || Value::Null;
    let point = Value::Struct(vec![Value::Integer(45), Value::Integer(7)]);
    let old_p = r#"{"type":"record","name":"n.P","fields":[{"name":"x","type":"int"}]}"#;
    for (writer, datum, wanted) in [
        ("\"string\"", &[2, b'x'][..], of(text("x"), null(), null())),
        ("\"int\"", &[90], of(null(), Value::BigInt(45), null())),
        (old_p, &[90], of(null(), null(), point)),
        (r#"["null","int"]"#, &[0], Ok(vec![null()])),
        (r#"["null","int"]"#, &[2, 90], of(null(), Value::BigInt(45), null())),
        (r#"["int","string","null"]"#, &[2, 2, b'x'], of(text("x"), null(), null())),
        (r#"["int","string","null"]"#, &[4], Ok(vec![null()])),
    ] {
        assert_eq!(resolved(&reader, &one(writer), datum), wanted, "{writer}");
    }
    assert!(resolved(&reader, &one("\"boolean\""), &[1]).is_err());
}

#[test]
fn unions_are_written_in_connect_s_form() {
    let p = r#"{"type":"record","name":"P","fields":[{"name":"x","type":"int"}]}"#;
    let declared = record(&format!(
        r#"{{"name":"v","type":["null","string",{p}]}},{{"name":"n","type":["int","null","long"]}}"#
    ));
    let columns = schema_of_avro(&declared).unwrap().schema;
    let codec = AvroDatumCodec::new(declared, columns, Role::Value, AvroFraming::Plain).unwrap();
    let p = |x| Value::Struct(vec![Value::Null, Value::Struct(vec![Value::Integer(x)])]);
    let s = Value::Struct(vec![text("x"), Value::Null]);
    let rows = [
        vec![p(45), Value::BigInt(i64::MAX)],
        vec![s, Value::Null],
        vec![Value::Null, Value::BigInt(1)],
        vec![p(-1), Value::BigInt(-1)],
    ];
    conformance::rows_round_trip(&codec, &rows);
    for wrong in [vec![Value::Null, Value::Null], vec![text("x"), Value::Struct(vec![Value::Integer(1)])]] {
        assert!(codec.encode_row(&vec![Value::Struct(wrong), Value::Null], &mut Vec::new()).is_err());
    }
}

#[test]
fn a_single_object_tells_its_schema() {
    let columns = schema(&[("v", DataType::BigInt)]);
    let new = record(r#"{"name":"v","type":"long"}"#);
    let old = record(r#"{"name":"v","type":"int"}"#);
    let writer = AvroDatumCodec::new(&*old, columns.clone(), Role::Value, AvroFraming::SingleObject).unwrap();
    let reader = AvroDatumCodec::new(&*new, columns, Role::Value, AvroFraming::SingleObject).unwrap();
    let mut bytes = Vec::new();
    writer.encode_row(&vec![Value::BigInt(45)], &mut bytes).unwrap();
    assert_eq!((&bytes[..2], &bytes[10..]), (&[0xc3, 1][..], &[90][..]));
    let theirs = apache_avro::Schema::parse_str(&old).unwrap().fingerprint::<apache_avro::rabin::Rabin>();
    assert_eq!(bytes[2..10], theirs.bytes[..]);
    assert!(decode(&reader, &bytes).unwrap_err().reason.contains("no schema of the fingerprint"));
    let reader = reader.with_writer(&old).unwrap();
    assert_eq!(decode(&reader, &bytes).unwrap(), [Value::BigInt(45)]);
}
