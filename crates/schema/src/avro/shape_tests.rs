//! Declarations of Avro: what is declared for columns, and what columns a declaration tells.

use super::tests::{Memory, decode, framed, schema};
use super::{AvroCodec, AvroField, AvroReader, KSQL_RECORD, avro_of_schema, schema_of_avro};
use crate::{Codec, DataType, Field, Role, SchemaRegistry, Value};
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
    let id = registry.put(r#"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}"#);
    assert!(reader.decode(&framed(id, &[0])).unwrap_err().reason.contains("refers to itself"));
    assert!(!reader.decode(&framed(99, &[0])).unwrap_err().retriable);
    registry.away.store(true, Ordering::Relaxed);
    assert!(reader.decode(&framed(99, &[0])).unwrap_err().retriable);
}

#[test]
fn records_within_keep_their_names_and_what_is_known_of_their_fields() {
    let of = |required, semantic: Option<&str>, fields: &[AvroField]| AvroField {
        required,
        semantic: semantic.map(str::to_owned),
        fields: fields.to_vec(),
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
    assert_eq!(registry.schema(id).unwrap().text, shape.avro);
}
