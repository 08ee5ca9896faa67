//! Declarations of Avro: what is declared for columns, and what columns a declaration tells.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use super::tests::{Memory, framed, schema};
use super::{AvroCodec, AvroReader, KSQL_RECORD, avro_of_schema, schema_of_avro};
use crate::conformance::read as decode;
use crate::{Codec, ConnectField, DataType, Field, Role, SchemaRegistry, Value};
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[test]
fn columns_that_are_one_in_avro_are_refused() {
    let error =
        avro_of_schema(KSQL_RECORD, &schema(&[("a b", DataType::Date), ("a-b", DataType::Date)]), &[]);
    assert_eq!(error.unwrap_err().to_string(), "two columns are named a_b in Avro, one of them is a-b");
}

#[test]
fn a_reader_tells_the_columns_by_the_writer_s_schema() {
    let registry = Arc::new(Memory::default());
    let users = r#"{"type":"record","name":"Value","namespace":"tv.tv.users","fields":[
        {"name":"user_id","type":"long"},
        {"name":"since","type":["null",{"type":"string","connect.version":1,"connect.name":"io.debezium.time.ZonedTimestamp"}],"default":null},
        {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":64,"scale":2,"connect.name":"org.apache.kafka.connect.data.Decimal"},"default":"\u0000"},
        {"name":"at","type":{"type":"long","connect.name":"io.debezium.time.MicroTimestamp"}}],"connect.name":"tv.tv.users.Value"}"#;
    let id = registry.put(users);
    let reader = AvroReader::new(registry.clone());
    let datum = [90, 2, 2, b'x', 2, 0x7b, 2];
    let (shape, row) = reader.decode(&framed(id, &datum)).unwrap();
    assert_eq!(shape.name.as_deref(), Some("tv.tv.users.Value"));
    let columns = [
        ("user_id", DataType::BigInt),
        ("since", DataType::Varchar),
        ("price", DataType::Decimal(38, 2)),
        ("at", DataType::BigInt),
    ];
    assert_eq!(shape.schema, schema(&columns));
    let more: Vec<_> = shape.fields.iter().map(|f| (f.required, f.semantic.as_deref())).collect();
    let (zoned, micros) = ("io.debezium.time.ZonedTimestamp", "io.debezium.time.MicroTimestamp");
    assert_eq!(more, [(true, None), (false, Some(zoned)), (true, None), (true, Some(micros))]);
    let wanted = [Value::BigInt(45), Value::Varchar("x".into()), Value::Decimal(123), Value::BigInt(1)];
    assert_eq!(row, wanted);
    assert!(Arc::ptr_eq(&shape, &reader.decode(&framed(id, &datum)).unwrap().0));
    assert_eq!(registry.asked.load(Ordering::Relaxed), 1);

    // The same again from what it told.
    let name = shape.name.as_deref().unwrap();
    let declared = avro_of_schema(name, &shape.schema, &shape.fields).unwrap();
    let again = schema_of_avro(&declared).unwrap();
    assert_eq!(
        (again.name, again.schema, again.fields),
        (shape.name.clone(), shape.schema.clone(), shape.fields.clone())
    );

    let id = registry.put("\"string\"");
    let (shape, row) = reader.decode(&framed(id, &[2, b'k'])).unwrap();
    assert_eq!((shape.single, shape.schema.fields[0].name.as_str()), (true, "value"));
    assert_eq!(row, [Value::Varchar("k".into())]);
    assert!(!reader.decode(&framed(99, &[0])).unwrap_err().retriable);
    registry.away.store(true, Ordering::Relaxed);
    assert!(reader.decode(&framed(99, &[0])).unwrap_err().retriable);
}

#[test]
fn records_within_keep_their_names_and_what_is_known_of_their_fields() {
    let of = |required, semantic: Option<&str>, fields: &[ConnectField]| ConnectField {
        required,
        semantic: semantic.map(str::to_owned),
        fields: fields.to_vec(),
        ..ConnectField::default()
    };
    let row = [("id", DataType::Integer), ("at", DataType::Varchar)];
    let value = DataType::Struct(row.map(|(n, t)| Field::new(n, t)).into());
    let change = schema(&[
        ("before", value.clone()),
        ("after", value.clone()),
        ("other", value),
        ("op", DataType::Varchar),
    ]);
    let known = [of(true, None, &[]), of(false, Some("io.debezium.time.ZonedTimestamp"), &[])];
    let name = Some("my-tv.users.Value");
    let fields = [
        of(false, name, &known),
        of(true, name, &known),
        of(false, name, &[of(true, None, &[]), of(true, None, &[])]),
        of(true, None, &[]),
    ];
    let declared = avro_of_schema("my-tv.users.Envelope", &change, &fields).unwrap();
    apache_avro::Schema::parse_str(&declared).unwrap();
    assert!(declared.contains(r#"{"name":"after","type":"my_tv.users.Value"}"#), "{declared}");
    let shape = schema_of_avro(&declared).unwrap();
    assert_eq!((shape.name.as_deref(), &shape.schema), (Some("my-tv.users.Envelope"), &change));
    assert_eq!(shape.fields, fields);
}

#[test]
fn a_record_that_may_be_null_is_its_columns_and_so_is_one_of_several() {
    let registry = Arc::new(Memory::default());
    let user = r#"{"type":"record","name":"users.Value","fields":[{"name":"id","type":"int"}]}"#;
    let optional = format!(r#"["null",{user}]"#);
    let id = registry.put(&optional);
    let reader = AvroReader::new(registry.clone());
    let (shape, row) = reader.decode(&framed(id, &[2, 90])).unwrap();
    assert_eq!((shape.name.as_deref(), shape.single), (Some("users.Value"), false));
    assert_eq!(row, [Value::Integer(45)]);
    assert_eq!(reader.decode(&framed(id, &[0])).unwrap_err().reason, "the datum is null");
    for (role, columns) in [
        (Role::Value, &[("ID", DataType::BigInt)][..]),
        (Role::Key, &[("ID", DataType::BigInt)]),
        (Role::Value, &[("ID", DataType::BigInt), ("NAME", DataType::Varchar)]),
    ] {
        let codec = AvroCodec::new(registry.clone(), "s", schema(columns), role).unwrap();
        let row = decode(&codec, &framed(id, &[2, 90])).unwrap();
        assert_eq!(row[0], Value::BigInt(45));
        assert_eq!(decode(&codec, &framed(id, &[0])).unwrap_err().reason, "the datum is null");
    }
    let codec =
        AvroCodec::with_declaration(registry.clone(), "s", shape.schema.clone(), Role::Value, optional);
    let mut out = Vec::new();
    codec.unwrap().encode_row(&row, &mut out).unwrap();
    assert_eq!(out, framed(id, &[2, 90]));

    let other = r#"{"type":"record","name":"B","fields":[{"name":"name","type":"string"},{"name":"v","type":"users.Value"}]}"#;
    let id = registry.put(&format!("[{user},{other}]"));
    let columns = [("id", DataType::BigInt), ("name", DataType::Varchar)];
    let codec = AvroCodec::new(registry.clone(), "s", schema(&columns), Role::Value).unwrap();
    assert_eq!(decode(&codec, &framed(id, &[0, 90])).unwrap(), [Value::BigInt(45), Value::Null]);
    let named = [Value::Null, Value::Varchar("x".into())];
    assert_eq!(decode(&codec, &framed(id, &[2, 2, b'x', 90])).unwrap(), named);
    let (shape, row) = reader.decode(&framed(id, &[0, 90])).unwrap();
    assert!(shape.single);
    assert_eq!(row, [Value::Struct(vec![Value::Struct(vec![Value::Integer(45)]), Value::Null])]);
    assert_eq!(registry.schema(id).unwrap().text, shape.text);
}

#[test]
fn a_record_that_holds_itself_is_rows_to_a_depth_and_no_columns() {
    let registry = Arc::new(Memory::default());
    let reader = AvroReader::new(registry.clone());
    let list = r#"{"type":"record","name":"L","fields":[{"name":"v","type":"int"},{"name":"next","type":["null","L"]}]}"#;
    let error = schema_of_avro(list).unwrap_err().to_string();
    assert!(
        error.starts_with("the schema refers to itself") && error.ends_with("it has no columns"),
        "{error}"
    );
    let id = registry.put(list);
    let of = |length: u8| -> Vec<u8> {
        let mut datum: Vec<u8> = (0..length).flat_map(|v| [v * 2, 2]).collect();
        datum.extend([100, 0]);
        framed(id, &datum)
    };
    let (shape, row) = reader.decode(&of(2)).unwrap();
    assert_eq!(shape.fields[1].semantic.as_deref(), Some("L"));
    let Value::Struct(second) = &row[1] else { panic!("{row:?}") };
    let Value::Struct(third) = &second[1] else { panic!("{second:?}") };
    assert_eq!((&second[0], &third[0], &third[1]), (&Value::Integer(1), &Value::Integer(50), &Value::Null));
    assert!(reader.decode(&of(8)).is_ok());
    let error = reader.decode(&of(9)).unwrap_err();
    assert_eq!(error.reason, "a record is more than 8 times within itself");
    // What was read is written again.
    let codec = AvroCodec::with_declaration(registry.clone(), "s", shape.schema.clone(), Role::Value, list);
    let mut out = Vec::new();
    codec.unwrap().encode_row(&row, &mut out).unwrap();
    assert_eq!(out, of(2));

    let tree = r#"{"type":"record","name":"T","fields":[{"name":"v","type":"int"},{"name":"children","type":{"type":"array","items":"T"}}]}"#;
    let id = registry.put(tree);
    let (_, row) = reader.decode(&framed(id, &[2, 4, 4, 0, 6, 0, 0])).unwrap();
    let Value::Array(children) = &row[1] else { panic!("{row:?}") };
    assert_eq!(children.len(), 2);
    let deep: Vec<u8> = (0..9).flat_map(|_| [2, 2]).chain([2, 0]).chain([0; 9]).collect();
    assert!(reader.decode(&framed(id, &deep)).unwrap_err().reason.contains("within itself"));
    // Types without end in many ways are refused.
    let wide: Vec<String> = (0..9).map(|i| format!(r#"{{"name":"f{i}","type":["null","W"]}}"#)).collect();
    let id = registry.put(&format!(r#"{{"type":"record","name":"W","fields":[{}]}}"#, wide.join(",")));
    assert!(reader.decode(&framed(id, &[0; 9])).unwrap_err().reason.contains("unfolds to more than"));
}

/// As Debezium and Confluent's converter declare a change's row.
#[test]
fn connect_s_metadata_comes_back_as_it_was() {
    let registry = Arc::new(Memory::default());
    let declared = r#"{"type":"record","name":"Value","namespace":"tv.tv.users","doc":"rows","fields":[{"name":"id","type":{"type":"int","connect.default":7,"connect.version":2,"connect.doc":"the key","connect.parameters":{"__debezium.source.column.type":"INT"}},"default":7},{"name":"price","type":["null",{"type":"bytes","scale":2,"precision":10,"connect.version":1,"connect.parameters":{"scale":"2","connect.decimal.precision":"10"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}],"default":null},{"name":"kind","type":{"type":"string","connect.version":1,"connect.parameters":{"allowed":"a,b"},"connect.default":"a","connect.name":"io.debezium.data.Enum"},"default":"a"}],"connect.version":3,"connect.parameters":{"io.confluent.connect.avro.record.doc":"rows"},"connect.name":"tv.tv.users.Value"}"#;
    let id = registry.put(declared);
    let datum = framed(id, &[90, 2, 2, 0x7b, 2, b'b']);
    let (shape, row) = AvroReader::new(registry.clone()).decode(&datum).unwrap();
    assert_eq!(&*shape.text, declared);
    let codec =
        AvroCodec::with_declaration(registry.clone(), "s", shape.schema.clone(), Role::Value, &*shape.text)
            .unwrap();
    let mut out = Vec::new();
    codec.encode_row(&row, &mut out).unwrap();
    assert_eq!(out, datum, "the same bytes under the same schema");
    // An older writer lacks columns: they have their defaults.
    let old = r#"{"type":"record","name":"Value","namespace":"tv.tv.users","fields":[]}"#;
    let row = decode(&codec, &framed(registry.put(old), &[])).unwrap();
    assert_eq!(row, [Value::Integer(7), Value::Null, Value::Varchar("a".into())]);
    let parsed = crate::Definition::parse(&crate::SchemaText::avro(declared)).unwrap();
    assert_eq!(parsed.canonical(), declared);
}
