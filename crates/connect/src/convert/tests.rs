//! Converters both ways.

use super::{Converter, ConverterConfig, Payloads, Runs};
use crate::sdk::{Cells, Config, ConnectField, ConnectSchema, Narrow, Shape};
use bd_schema::{
    DataType, Field, NewSchema, RegisteredSchema, RegistryError, Role, Row, Schema, SchemaRegistry,
    SchemaText, Value,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A registry in memory.
#[derive(Default)]
struct Registry(Mutex<Vec<(String, NewSchema)>>);

impl SchemaRegistry for Registry {
    fn schema(&self, id: u32) -> Result<Arc<SchemaText>, RegistryError> {
        let all = self.0.lock().unwrap();
        all.get(id as usize)
            .map(|(_, s)| Arc::new(SchemaText::new(s.schema_type, s.text.clone())))
            .ok_or(RegistryError::UnknownId(id))
    }

    fn register(&self, subject: &str, schema: &NewSchema) -> Result<u32, RegistryError> {
        let mut all = self.0.lock().unwrap();
        if let Some(at) = all.iter().position(|(s, t)| s == subject && t == schema) {
            return Ok(at as u32);
        }
        all.push((subject.to_owned(), schema.clone()));
        Ok(all.len() as u32 - 1)
    }

    fn latest(&self, _subject: &str) -> Result<Option<RegisteredSchema>, RegistryError> {
        Ok(None)
    }
}

fn open(role: Role, pairs: &[(&str, &str)], registry: Option<Arc<dyn SchemaRegistry>>) -> Box<dyn Converter> {
    let config =
        Config::new(pairs.iter().map(|(k, v)| (format!("{role}.converter{k}"), (*v).to_owned())).collect());
    ConverterConfig::of(role, &config, &BTreeMap::new()).unwrap().open(registry.as_ref()).unwrap()
}

fn decode(converter: &mut dyn Converter, payloads: &Payloads) -> Runs {
    let all: Vec<Option<&[u8]>> = (0..payloads.spans.len()).map(|i| payloads.get(i)).collect();
    converter.decode("events", &all).unwrap()
}

/// A row of every type.
fn everything() -> Cells {
    let inner: Arc<[Field]> = Arc::from([Field::new("x", DataType::Integer)]);
    let columns: Vec<(DataType, Value)> = vec![
        (DataType::Boolean, Value::Boolean(true)),
        (DataType::Integer, Value::Integer(-5)),
        (DataType::BigInt, Value::BigInt(1 << 40)),
        (DataType::Double, Value::Double(1.5)),
        (DataType::Decimal(10, 2), Value::Decimal(-12_345)),
        (DataType::Varchar, Value::Varchar("é".into())),
        (DataType::Bytes, Value::Bytes(vec![0, 255])),
        (DataType::Date, Value::Date(18_659)),
        (DataType::Time, Value::Time(1000)),
        (DataType::Timestamp, Value::Timestamp(1_612_223_747_000)),
        (DataType::Array(Arc::new(DataType::BigInt)), Value::Array(vec![Value::BigInt(1), Value::Null])),
        (DataType::Map(Arc::new(DataType::Integer)), Value::Map(vec![("k".into(), Value::Integer(1))])),
        (DataType::Struct(inner), Value::Struct(vec![Value::Integer(3)])),
    ];
    let fields =
        columns.iter().enumerate().map(|(i, (t, _))| Field::new(format!("f{i}"), t.clone())).collect();
    let mut known = vec![ConnectField::default(); columns.len()];
    known[2] = ConnectField::required();
    let shape = Shape::Struct { schema: Schema::new(fields), fields: known };
    let schema = Arc::new(ConnectSchema::new(Some("org.test.All".into()), shape));
    let full: Row = columns.into_iter().map(|(_, v)| v).collect();
    let mut nulls = vec![Value::Null; full.len()];
    nulls[2] = Value::BigInt(1);
    Cells::Rows { schema, rows: vec![Some(full), None, Some(nulls)] }
}

#[track_caller]
fn round_trip(converter: &mut dyn Converter, cells: &Cells) -> (Vec<Option<Row>>, Arc<ConnectSchema>) {
    let payloads = converter.encode("events", cells).unwrap();
    assert_eq!(payloads.failed, []);
    let runs = decode(converter, &payloads);
    assert_eq!((runs.failed.len(), runs.runs.len()), (0, 1));
    match &runs.runs[0].1 {
        Cells::Rows { schema, rows } => (rows.clone(), Arc::clone(schema)),
        other => panic!("{other:?}"),
    }
}

fn rows_of(cells: &Cells) -> Vec<Option<Row>> {
    match cells {
        Cells::Rows { rows, .. } => rows.clone(),
        _ => Vec::new(),
    }
}

#[test]
fn json_with_schemas_brings_every_type_back() {
    for format in ["BASE64", "NUMERIC"] {
        let keys = [("", "JsonConverter"), (".decimal.format", format)];
        let (rows, schema) = round_trip(open(Role::Value, &keys, None).as_mut(), &everything());
        assert_eq!(rows, rows_of(&everything()));
        let wanted = everything().schema().unwrap().clone();
        assert_eq!(schema.columns(), wanted.columns());
        assert_eq!(schema.name, wanted.name);
    }
}

#[test]
fn avro_brings_every_type_back_and_registers_under_the_topic() {
    let registry = Arc::new(Registry::default());
    let mut converter =
        open(Role::Value, &[("", "io.confluent.connect.avro.AvroConverter")], Some(registry.clone()));
    let (rows, schema) = round_trip(converter.as_mut(), &everything());
    assert_eq!(rows, rows_of(&everything()));
    assert_eq!(schema.name.as_deref(), Some("org.test.All"));
    let Shape::Struct { fields, .. } = &schema.shape else { panic!("{schema:?}") };
    assert!(fields[2].required && !fields[0].required);
    assert_eq!(registry.0.lock().unwrap()[0].0, "events-value");
}

#[test]
fn protobuf_brings_every_type_back_and_registers_under_the_topic() {
    let registry = Arc::new(Registry::default());
    let class = "io.confluent.connect.protobuf.ProtobufConverter";
    let mut converter = open(Role::Value, &[("", class)], Some(registry.clone()));
    // Protobuf has no NULL among elements, and no NULL array or map: it is empty.
    let Cells::Rows { schema, mut rows } = everything() else { panic!("rows") };
    for row in rows.iter_mut().flatten() {
        row[10] = Value::Array(if row[10] == Value::Null { vec![] } else { vec![Value::BigInt(1)] });
        row[11] = if row[11] == Value::Null { Value::Map(vec![]) } else { row[11].clone() };
    }
    let cells = Cells::Rows { schema, rows };
    let (rows, schema) = round_trip(converter.as_mut(), &cells);
    assert_eq!(rows, rows_of(&cells));
    let wanted = cells.schema().unwrap().clone();
    assert_eq!((schema.columns(), &schema.name), (wanted.columns(), &wanted.name));
    let Shape::Struct { fields, .. } = &schema.shape else { panic!("{schema:?}") };
    assert!(fields[2].required && !fields[0].required);
    let (subject, registered) = registry.0.lock().unwrap()[0].clone();
    assert_eq!((subject.as_str(), registered.schema_type.name()), ("events-value", "PROTOBUF"));
    assert!(registered.text.contains("package org.test;\n"), "{}", registered.text);
    assert!(registered.text.contains("  int64 f2 = 3;\n"), "{}", registered.text);
}

#[test]
fn json_schema_brings_every_type_back_and_registers_under_the_topic() {
    for format in ["BASE64", "NUMERIC"] {
        let registry = Arc::new(Registry::default());
        let class = "io.confluent.connect.json.JsonSchemaConverter";
        let keys = [("", class), (".decimal.format", format)];
        let mut converter = open(Role::Value, &keys, Some(registry.clone()));
        let (rows, schema) = round_trip(converter.as_mut(), &everything());
        assert_eq!(rows, rows_of(&everything()));
        let wanted = everything().schema().unwrap().clone();
        assert_eq!((schema.columns(), &schema.name), (wanted.columns(), &wanted.name));
        let Shape::Struct { fields, .. } = &schema.shape else { panic!("{schema:?}") };
        assert!(fields[2].required && !fields[0].required);
        let (subject, registered) = registry.0.lock().unwrap()[0].clone();
        assert_eq!((subject.as_str(), registered.schema_type.name()), ("events-value", "JSON"));
        assert!(registered.text.contains(r#""title":"org.test.All""#), "{}", registered.text);
    }
}

#[test]
fn an_avro_declaration_of_the_source_is_registered_as_it_is() {
    let registry = Arc::new(Registry::default());
    let text = r#"{"type":"record","name":"Ad","namespace":"tv","fields":[{"name":"id","type":{"type":"long","arg.properties":{"range":{"min":1}}}}]}"#;
    let columns = Schema::new(vec![Field::new("id", DataType::BigInt)]);
    let schema =
        ConnectSchema { avro: Some(text.into()), ..ConnectSchema::of(Some("tv.Ad".into()), columns) };
    let cells = Cells::Rows { schema: Arc::new(schema), rows: vec![Some(vec![Value::BigInt(4)])] };
    let mut converter = open(Role::Value, &[("", "AvroConverter")], Some(registry.clone()));
    round_trip(converter.as_mut(), &cells);
    assert_eq!(registry.0.lock().unwrap()[0].1.text.as_ref(), text);
}

#[test]
fn a_key_struct_of_one_field_stays_a_record_in_avro() {
    let registry = Arc::new(Registry::default());
    let columns = Schema::new(vec![Field::new("user_id", DataType::BigInt)]);
    let fields = vec![ConnectField::required()];
    let name = Some("tv.tv.users.Key".to_owned());
    let schema = ConnectSchema::new(name, Shape::Struct { schema: columns, fields });
    let cells = Cells::Rows { schema: Arc::new(schema), rows: vec![Some(vec![Value::BigInt(4)])] };
    let mut converter = open(Role::Key, &[("", "AvroConverter")], Some(registry.clone()));
    let (rows, schema) = round_trip(converter.as_mut(), &cells);
    assert_eq!(rows, [Some(vec![Value::BigInt(4)])]);
    assert_eq!(schema.name.as_deref(), Some("tv.tv.users.Key"));
    assert!(matches!(&schema.shape, Shape::Struct { .. }));
    assert!(registry.0.lock().unwrap()[0].1.text.contains(r#""name":"user_id","type":"long""#));
}

#[test]
fn nested_structs_keep_their_names_and_nulls() {
    let inner: Arc<[Field]> =
        Arc::from([Field::new("user_id", DataType::BigInt), Field::new("name", DataType::Varchar)]);
    let known = ConnectField::default()
        .named("tv.tv.users.Value")
        .of(vec![ConnectField::required(), ConnectField::default()]);
    let columns =
        ["before", "after"].map(|name| Field::new(name, DataType::Struct(Arc::clone(&inner)))).to_vec();
    let shape = Shape::Struct { schema: Schema::new(columns), fields: vec![known.clone(), known.clone()] };
    let schema = ConnectSchema::new(Some("tv.tv.users.Envelope".into()), shape);
    let after = Value::Struct(vec![Value::BigInt(4), Value::Varchar("ann".into())]);
    let cells = Cells::Rows { schema: Arc::new(schema), rows: vec![Some(vec![Value::Null, after])] };
    let registry: Arc<dyn SchemaRegistry> = Arc::new(Registry::default());
    for class in ["AvroConverter", "JsonConverter"] {
        let mut converter = open(Role::Value, &[("", class)], Some(Arc::clone(&registry)));
        let (rows, schema) = round_trip(converter.as_mut(), &cells);
        assert_eq!(rows, rows_of(&cells));
        let Shape::Struct { fields, .. } = &schema.shape else { panic!("{schema:?}") };
        assert_eq!(*fields, [known.clone(), known.clone()], "{class}");
    }
}

/// A schema that says all that one can say.
fn annotated() -> Cells {
    let inner = DataType::Struct(Arc::from([Field::new("n", DataType::BigInt)]));
    let text = |text: &str| Value::Varchar(text.into());
    let mut id = ConnectField::required().versioned(2).or(Value::Integer(7));
    id.meta.narrow = Some(Narrow::Int16);
    id.meta.doc = Some("the key".into());
    let mut ratio = ConnectField::default().or(Value::Double(1.5));
    ratio.meta.narrow = Some(Narrow::Float32);
    let mut of_inner = ConnectField::default()
        .named("tv.Inner")
        .with_parameter("inner", "yes")
        .of(vec![ConnectField::required().or(Value::BigInt(-1)).with_parameter("deep", "too")]);
    of_inner.meta.doc = Some("within".into());
    let columns = [
        (
            "id",
            DataType::Integer,
            id.with_parameter("__debezium.source.column.type", "SMALLINT"),
            Value::Integer(3),
        ),
        ("price", DataType::Decimal(10, 2), ConnectField::default().or(Value::Decimal(-1050)), Value::Null),
        (
            "kind",
            DataType::Varchar,
            ConnectField::required()
                .named("io.debezium.data.Enum")
                .versioned(1)
                .with_parameter("allowed", "a,b")
                .or(text("a")),
            text("b"),
        ),
        (
            "since",
            DataType::Varchar,
            ConnectField::default().named("io.debezium.time.ZonedTimestamp").versioned(1),
            text("2020-01-02T03:04:05Z"),
        ),
        ("ratio", DataType::Double, ratio, Value::Double(0.25)),
        (
            "raw",
            DataType::Bytes,
            ConnectField::required().or(Value::Bytes(vec![0, 200])),
            Value::Bytes(vec![1]),
        ),
        ("at", DataType::Timestamp, ConnectField::required().or(Value::Timestamp(5)), Value::Timestamp(9)),
        (
            "tags",
            DataType::Array(Arc::new(DataType::Varchar)),
            ConnectField::required().of(vec![ConnectField::required().named("tag")]),
            Value::Array(vec![text("x")]),
        ),
        (
            "limits",
            DataType::Map(Arc::new(DataType::BigInt)),
            ConnectField::default().of(vec![ConnectField::required()]),
            Value::Map(vec![("k".into(), Value::BigInt(1))]),
        ),
        ("inner", inner, of_inner, Value::Struct(vec![Value::BigInt(4)])),
    ];
    let schema = Schema::new(columns.iter().map(|(n, t, ..)| Field::new(*n, t.clone())).collect());
    let fields = columns.iter().map(|(_, _, known, _)| known.clone()).collect();
    let mut schema = ConnectSchema::new(Some("tv.users.Value".into()), Shape::Struct { schema, fields });
    schema.meta.version = Some(3);
    schema.meta.doc = Some("rows".into());
    schema.meta.set_parameter("owner", "tv");
    let row = columns.into_iter().map(|(.., value)| value).collect();
    Cells::Rows { schema: Arc::new(schema), rows: vec![Some(row)] }
}

#[test]
fn what_a_schema_says_comes_back() {
    let registry = Arc::new(Registry::default());
    for class in ["AvroConverter", "JsonConverter", "JsonSchemaConverter"] {
        let mut converter = open(Role::Value, &[("", class)], Some(registry.clone()));
        let (rows, schema) = round_trip(converter.as_mut(), &annotated());
        assert_eq!(rows, rows_of(&annotated()), "{class}");
        let read = ConnectSchema { avro: None, ..ConnectSchema::clone(&schema) };
        assert_eq!(read, **annotated().schema().unwrap(), "{class}");
    }
    let registered = registry.0.lock().unwrap();
    for part in [
        r#"{"name":"id","type":{"type":"int","connect.type":"int16","connect.doc":"the key","connect.version":2,"connect.parameters":{"__debezium.source.column.type":"SMALLINT"},"connect.default":7},"default":7}"#,
        r#""connect.default":"ûæ"},"null"],"default":"ûæ"}"#,
        r#"{"name":"ratio","type":[{"type":"float","connect.default":1.5},"null"],"default":1.5}"#,
        r#"{"name":"limits","type":["null",{"type":"map","values":"long"}],"default":null}"#,
        r#""connect.doc":"rows","connect.version":3,"connect.parameters":{"owner":"tv"},"connect.name":"tv.users.Value""#,
    ] {
        assert!(registered[0].1.text.contains(part), "{part} in {}", registered[0].1.text);
    }
    for part in
        [r#""description":"rows""#, r#""connect.type":"int16""#, r#""default":7"#, r#""default":"++Y=""#]
    {
        assert!(registered[1].1.text.contains(part), "{part} in {}", registered[1].1.text);
    }
}

#[test]
fn an_avro_schema_passes_unchanged_and_changed_keeps_what_it_says() {
    let registry = Arc::new(Registry::default());
    let text = r#"{"type":"record","name":"Order","namespace":"shop","doc":"orders","fields":[{"name":"id","type":"long","doc":"the key"},{"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","PAID"]},"default":"NEW"},{"name":"at","type":["null",{"type":"record","name":"Place","fields":[{"name":"x","type":"float","default":0.5}]}],"default":null},{"name":"of","type":["null","string","shop.Place"]},{"name":"hash","type":{"type":"fixed","name":"Hash","size":2}}]}"#;
    let id = registry.register("raw", &NewSchema::avro(text)).unwrap();
    let bytes = [&[0][..], &id.to_be_bytes(), &[90, 2, 0, 2, 2, b'p', 7, 8]].concat();
    let mut converter = open(Role::Value, &[("", "AvroConverter")], Some(registry.clone()));
    let runs = converter.decode("events", &[Some(&bytes)]).unwrap();
    assert_eq!(runs.failed, []);
    let cells = runs.slice(0..1);
    assert_eq!(converter.encode("events", &cells).unwrap().get(0).map(|b| &b[5..]), Some(&bytes[5..]));
    assert_eq!(&*registry.0.lock().unwrap()[1].1.text, text, "registered as it is");
    let Cells::Rows { schema, rows } = cells else { panic!("rows") };
    let changed = ConnectSchema { avro: None, ..ConnectSchema::clone(&schema) };
    let cells = Cells::Rows { schema: Arc::new(changed.clone()), rows };
    let (_, again) = round_trip(converter.as_mut(), &cells);
    assert_eq!(ConnectSchema { avro: None, ..ConnectSchema::clone(&again) }, changed);
    let registered = registry.0.lock().unwrap()[2].1.text.to_string();
    for part in [
        r#""doc":"orders""#,
        r#"{"name":"id","type":"long","doc":"the key"}"#,
        r#""io.confluent.connect.avro.Enum.PAID":"PAID""#,
        r#"{"name":"x","type":"float","default":0.5}"#,
        r#"{"type":"fixed","name":"Hash","namespace":"shop","size":2"#,
        r#"{"name":"of","type":["null","string""#,
    ] {
        assert!(registered.contains(part), "{part} in {registered}");
    }
}

#[test]
fn a_message_read_is_declared_again_by_its_numbers_and_names() {
    let registry = Arc::new(Registry::default());
    let text = "syntax = \"proto3\"; package tv; message Show { sint64 id = 4; Kind kind = 7; optional float rating = 2; Place at = 9; \
        enum Kind { FILM = 0; NEWS = 3; } message Place { fixed32 x = 5; } }";
    let id = registry.register("raw", &NewSchema::new(bd_schema::SchemaType::Protobuf, text)).unwrap();
    let message = [&[0x20, 9, 0x38, 3, 0x4a, 5, 0x2d, 1, 0, 0, 0][..]].concat();
    let bytes = [&[0][..], &id.to_be_bytes(), &[0], &message].concat();
    let mut converter = open(Role::Value, &[("", "ProtobufConverter")], Some(registry.clone()));
    let runs = converter.decode("events", &[Some(&bytes)]).unwrap();
    assert_eq!(runs.failed, []);
    let written = converter.encode("events", &runs.slice(0..1)).unwrap();
    assert_eq!(written.failed, []);
    assert_eq!(&written.get(0).unwrap()[6..], message, "the same bytes");
    let declared = registry.0.lock().unwrap()[1].1.text.to_string();
    for part in [
        "  sint64 id = 4;",
        "  Kind kind = 7;",
        "optional float rating = 2;",
        "  Place at = 9;",
        "    NEWS = 3;",
        "fixed32 x = 5;",
    ] {
        assert!(declared.contains(part), "{part} in {declared}");
    }
}

#[test]
fn records_of_several_schemas_come_in_runs_and_broken_ones_alone() {
    let registry = Arc::new(Registry::default());
    let mut converter = open(Role::Value, &[("", "AvroConverter")], Some(registry));
    let cells = |name: &str, n: i64| {
        let schema =
            ConnectSchema::of(Some(name.into()), Schema::new(vec![Field::new(name, DataType::BigInt)]));
        Cells::Rows { schema: Arc::new(schema), rows: vec![Some(vec![Value::BigInt(n)])] }
    };
    let a = converter.encode("events", &cells("a", 1)).unwrap();
    let b = converter.encode("events", &cells("b", 2)).unwrap();
    let unknown = [0, 0, 0, 0, 99, 0];
    let all = [a.get(0), None, a.get(0), Some(&b"?"[..]), b.get(0), Some(&unknown[..]), b.get(0)];
    let runs = converter.decode("events", &all).unwrap();
    let ranges: Vec<_> = runs.runs.iter().map(|(r, _)| r.clone()).collect();
    assert_eq!(ranges, [0..3, 4..5, 6..7]);
    assert_eq!(runs.failed.iter().map(|(i, _)| *i).collect::<Vec<_>>(), [3, 5]);
    assert_eq!(runs.slice(1..3).len(), 2);
    assert_eq!((runs.run_of(2), runs.run_of(3), runs.run_of(6)), (Some(0), None, Some(2)));
}

#[test]
fn simple_converters_read_what_they_write() {
    for (class, data_type, value, bytes) in [
        ("StringConverter", DataType::Varchar, Value::Varchar("é".into()), "é".as_bytes().to_vec()),
        ("LongConverter", DataType::BigInt, Value::BigInt(45), 45i64.to_be_bytes().to_vec()),
        ("IntegerConverter", DataType::Integer, Value::Integer(-2), (-2i32).to_be_bytes().to_vec()),
        ("DoubleConverter", DataType::Double, Value::Double(1.5), 1.5f64.to_be_bytes().to_vec()),
    ] {
        let mut converter = open(Role::Key, &[("", class)], None);
        let schema = Arc::new(ConnectSchema::single(data_type));
        let cells = Cells::Rows { schema, rows: vec![Some(vec![value]), None] };
        let payloads = converter.encode("events", &cells).unwrap();
        assert_eq!(payloads.get(0), Some(bytes.as_slice()));
        assert_eq!(round_trip(converter.as_mut(), &cells).0, rows_of(&cells));
    }
}

#[test]
fn bytes_pass_and_json_is_checked() {
    let bytes = Cells::Bytes(vec![Some(b"{\"a\":1}".to_vec()), Some(b"{".to_vec()), None]);
    let payloads = open(Role::Value, &[("", "ByteArrayConverter")], None).encode("events", &bytes).unwrap();
    assert_eq!((payloads.get(1), payloads.get(2), payloads.failed.len()), (Some(&b"{"[..]), None, 0));
    let keys = [("", "JsonConverter"), (".schemas.enable", "false")];
    let mut json = open(Role::Value, &keys, None);
    let payloads = json.encode("events", &bytes).unwrap();
    assert_eq!((payloads.get(0), payloads.failed[0].0), (Some(&b"{\"a\":1}"[..]), 1));
    let runs = json.decode("events", &[Some(b"[1]"), Some(b"nope"), None]).unwrap();
    assert_eq!((runs.failed[0].0, runs.runs.len()), (1, 2));
    let mut enveloped = open(Role::Value, &[("", "JsonConverter")], None);
    let payloads = enveloped.encode("events", &bytes).unwrap();
    assert_eq!(payloads.get(0), Some(&b"{\"schema\":null,\"payload\":{\"a\":1}}"[..]));
    let runs = enveloped.decode("events", &[Some(b"{\"a\":1}")]).unwrap();
    assert!(runs.failed[0].1.contains("schemas.enable=false"), "{:?}", runs.failed);
}

#[test]
fn rows_and_arrow_are_written_as_the_same_json() {
    let keys = [("", "JsonConverter"), (".schemas.enable", "false"), (".decimal.format", "NUMERIC")];
    let mut json = open(Role::Value, &keys, None);
    let Cells::Rows { schema, mut rows } = everything() else { panic!() };
    rows.retain(Option::is_some);
    let cells = Cells::Rows { schema, rows };
    let of_rows = json.encode("events", &cells).unwrap();
    let of_arrow = json.encode("events", &cells.into_arrow().unwrap()).unwrap();
    assert_eq!(of_rows.arena, of_arrow.arena);
    assert_eq!(of_rows.spans, of_arrow.spans);
}
