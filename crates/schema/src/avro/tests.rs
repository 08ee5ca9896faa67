//! What Avro alone promises; what every codec promises is in the conformance suite.

use super::{AvroCodec, schema_of_avro};
use crate::conformance::{self, Malformed, read as decode, telling_values};
use crate::{
    Codec, DataType, Field, NewSchema, RegisteredSchema, RegistryError, Role, Schema, SchemaRegistry,
    SchemaText, Value,
};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// A registry that can be away, and counts what it is asked.
#[derive(Default)]
pub(super) struct Memory {
    schemas: Mutex<Vec<Arc<str>>>,
    pub(super) subjects: Mutex<Vec<(String, u32)>>,
    pub(super) away: AtomicBool,
    pub(super) asked: AtomicU32,
}

impl Memory {
    pub(super) fn put(&self, schema: &str) -> u32 {
        let mut schemas = self.schemas.lock().unwrap();
        let known = schemas.iter().position(|s| **s == *schema);
        let at = known.unwrap_or_else(|| {
            schemas.push(schema.into());
            schemas.len() - 1
        });
        at as u32 + 1
    }

    fn answer(&self) -> Result<(), RegistryError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.away.load(Ordering::Relaxed) {
            return Err(RegistryError::Unavailable { at: "here".into(), reason: "it is away".into() });
        }
        Ok(())
    }
}

impl SchemaRegistry for Memory {
    fn schema(&self, id: u32) -> Result<Arc<SchemaText>, RegistryError> {
        self.answer()?;
        let schemas = self.schemas.lock().unwrap();
        (id as usize)
            .checked_sub(1)
            .and_then(|at| schemas.get(at))
            .map(|text| Arc::new(SchemaText::avro(text.clone())))
            .ok_or(RegistryError::UnknownId(id))
    }

    fn register(&self, subject: &str, schema: &NewSchema) -> Result<u32, RegistryError> {
        self.answer()?;
        let id = self.put(&schema.text);
        self.subjects.lock().unwrap().push((subject.to_owned(), id));
        Ok(id)
    }

    fn latest(&self, _: &str) -> Result<Option<RegisteredSchema>, RegistryError> {
        Ok(None)
    }
}

pub(super) fn schema(fields: &[(&str, DataType)]) -> Schema {
    Schema::new(fields.iter().map(|(name, t)| Field::new(*name, t.clone())).collect())
}

fn codec(registry: &Arc<Memory>, schema: &Schema, role: Role) -> AvroCodec {
    AvroCodec::new(registry.clone(), "t-value", schema.clone(), role).unwrap()
}

pub(super) fn framed(id: u32, datum: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(datum);
    bytes
}

/// What a datum of one Avro type is as a value of one type.
fn read(avro: &str, datum: &[u8], target: &DataType) -> Result<Value, String> {
    let registry = Arc::new(Memory::default());
    let id =
        registry.put(&format!(r#"{{"type":"record","name":"R","fields":[{{"name":"v","type":{avro}}}]}}"#));
    let codec = codec(&registry, &schema(&[("v", target.clone())]), Role::Value);
    decode(&codec, &framed(id, datum)).map(|mut row| row.remove(0)).map_err(|e| {
        assert!(e.path.starts_with('v'), "{e}");
        e.reason
    })
}

fn malformed(registry: &Arc<Memory>, schema: &Schema, role: Role) -> Vec<Malformed> {
    let codec = codec(registry, schema, role);
    let row = schema.fields.iter().map(|f| telling_values(&f.data_type)[0].clone()).collect();
    let mut good = Vec::new();
    codec.encode_row(&row, &mut good).unwrap();
    let frame = good[..5].to_vec();
    let with = |datum: &[u8], path: String| Malformed::new([&frame, datum].concat(), path);
    let first = &schema.fields[0];
    let mut all = vec![
        Malformed::new("", ""),
        Malformed::new("{\"v\":1}", ""),
        Malformed::new([0, 0, 0, 0], ""),
        Malformed::new(framed(9999, &[0]), ""),
        Malformed::new([&good[..], &[0]].concat(), ""),
        match &first.data_type {
            DataType::Struct(fields) if role == Role::Key => {
                with(&[], format!("{}.{}", first.name, fields[0].name))
            }
            _ => with(&[], first.name.clone()),
        },
    ];
    if role == Role::Value {
        all.push(with(&[4], first.name.clone()));
        all.push(with(&[1], first.name.clone()));
        match &first.data_type {
            DataType::Array(_) => all.push(with(&[2, 2, 4], format!("{}[0]", first.name))),
            DataType::Map(_) => all.push(with(&[2, 2, 2, b'k', 4], format!("{}.k", first.name))),
            DataType::Struct(fields) => all.push(with(&[2, 4], format!("{}.{}", first.name, fields[0].name))),
            _ => {}
        }
    }
    all
}

#[test]
fn it_conforms_as_value_and_as_key() {
    for role in [Role::Value, Role::Key] {
        let registry = Arc::new(Memory::default());
        conformance::all(&conformance::Format {
            codec: &|schema| Some(Arc::new(codec(&registry, schema, role))),
            nulls: role == Role::Value,
            all_doubles: true,
            malformed: &|schema| malformed(&registry, schema, role),
        });
    }
}

#[test]
fn what_it_writes_is_registered_under_its_subject_when_it_first_writes() {
    let registry = Arc::new(Memory::default());
    let columns = schema(&[("ID", DataType::BigInt), ("NAME", DataType::Varchar)]);
    let value = codec(&registry, &columns, Role::Value);
    assert_eq!(*registry.subjects.lock().unwrap(), []);
    let mut out = Vec::new();
    for _ in 0..2 {
        out.clear();
        value.encode_row(&vec![Value::BigInt(45), Value::Null], &mut out).unwrap();
    }
    assert_eq!(out, framed(1, &[2, 90, 0]));
    assert_eq!(*registry.subjects.lock().unwrap(), [("t-value".to_owned(), 1)]);
    assert_eq!(
        &*registry.schema(1).unwrap().text,
        r#"{"type":"record","name":"KsqlDataSourceSchema","namespace":"io.confluent.ksql.avro_schemas","fields":[{"name":"ID","type":["null","long"],"default":null},{"name":"NAME","type":["null","string"],"default":null}],"connect.name":"io.confluent.ksql.avro_schemas.KsqlDataSourceSchema"}"#
    );
}

#[test]
fn a_key_of_one_column_is_the_bare_value_and_read_also_from_a_record() {
    let registry = Arc::new(Memory::default());
    let key = codec(&registry, &schema(&[("user_id", DataType::BigInt)]), Role::Key);
    let mut out = Vec::new();
    key.encode_row(&vec![Value::BigInt(45)], &mut out).unwrap();
    assert_eq!((out.as_slice(), key.declaration()), (&framed(1, &[90])[..], "\"long\""));

    let debezium = r#"{"type":"record","name":"Key","namespace":"tv.tv.users","fields":[{"name":"USER_ID","type":"int"}]}"#;
    let id = registry.put(debezium);
    assert_eq!(decode(&key, &framed(id, &[90])).unwrap(), [Value::BigInt(45)]);
    let id = registry.put(r#"["null","long"]"#);
    assert_eq!(decode(&key, &framed(id, &[2, 90])).unwrap(), [Value::BigInt(45)]);
    assert_eq!(decode(&key, &framed(id, &[0])).unwrap(), [Value::Null]);
    let id = registry.put(r#"{"type":"record","name":"Key","fields":[{"name":"id","type":"int"}]}"#);
    let error = decode(&key, &framed(id, &[90])).unwrap_err();
    assert_eq!(error.reason, "the key is a record without the field user_id");
    let error = key.encode_row(&vec![Value::Null], &mut out).unwrap_err();
    assert!(error.reason.contains("NULL"), "{error}");
}

#[test]
fn writers_that_have_more_or_fewer_fields_are_read_all_the_same() {
    let registry = Arc::new(Memory::default());
    let of = |fields: &str| {
        registry.put(&format!(
            r#"{{"type":"record","name":"users","namespace":"my-topic.v1","fields":[{fields}]}}"#
        ))
    };
    let more = r#"{"name":"zip","type":{"type":"array","items":{"type":"record","name":"Z","fields":[{"name":"a","type":["null","string","double"]},{"name":"z","type":["null","Z"]}]}}},
        {"name":"user_id","type":"long"},{"name":"m","type":{"type":"map","values":"float"}},{"name":"USER","type":["string","null"],"default":"x"},{"name":"f","type":{"type":"fixed","name":"F","size":3}}"#;
    let old = of(r#"{"name":"user_id","type":"int"}"#);
    let new = of(more);
    let codec =
        codec(&registry, &schema(&[("user", DataType::Varchar), ("user_id", DataType::BigInt)]), Role::Value);
    assert_eq!(decode(&codec, &framed(old, &[90])).unwrap(), [Value::Null, Value::BigInt(45)]);
    // An array in two blocks, the second with its size; of records within records.
    let datum = [
        &[2, 2, 2, b'x', 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
        &[1, 4, 0, 0, 0],
        &[90],
        &[2, 2, b'k', 0, 0, 0, 0, 0],
        &[0, 2, b'u'],
        b"fff",
    ]
    .concat();
    let wanted = [Value::Varchar("u".into()), Value::BigInt(45)];
    assert_eq!(decode(&codec, &framed(new, &datum)).unwrap(), wanted);
    // Both in one batch.
    let (a, b) = (framed(old, &[90]), framed(new, &datum));
    let decoded = codec.decode_arrow(&[Some(&a), Some(&b), Some(&a)]);
    assert_eq!(decoded.rows, [0, 1, 2]);
}

#[test]
fn of_names_that_differ_in_case_the_one_that_is_spelled_so_wins() {
    let registry = Arc::new(Memory::default());
    let id = registry.put(
        r#"{"type":"record","name":"R","fields":[{"name":"A","type":"int"},{"name":"a","type":"int"}]}"#,
    );
    for (columns, wanted) in [(&["a", "A"][..], &[2, 1][..]), (&["A"], &[1]), (&["a"], &[2])] {
        let fields: Vec<_> = columns.iter().map(|c| (*c, DataType::Integer)).collect();
        let row = decode(&codec_ref(&registry, &schema(&fields)), &framed(id, &[2, 4])).unwrap();
        assert_eq!(row, wanted.iter().map(|v| Value::Integer(*v)).collect::<Vec<_>>());
    }
}

/// A codec whose columns Avro need not hold side by side when read.
fn codec_ref(registry: &Arc<Memory>, schema: &Schema) -> AvroCodec {
    codec(registry, schema, Role::Value)
}

#[test]
fn types_are_read_as_others_that_hold_them() {
    use DataType::{BigInt, Bytes, Date, Decimal, Double, Integer, Time, Timestamp, Varchar};
    let logical = |avro: &str, logical: &str| format!(r#"{{"type":"{avro}","logicalType":"{logical}"}}"#);
    let decimal = r#"{"type":"bytes","logicalType":"decimal","precision":64,"scale":2}"#;
    let uuid = r#"{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}"#;
    let micros = r#"{"type":"long","connect.name":"io.debezium.time.MicroTimestamp"}"#;
    let text = |s: &str| Ok(Value::Varchar(s.into()));
    let err = |s: &str| Err(s.to_owned());
    for (avro, datum, target, wanted) in [
        ("\"int\"", &[90][..], BigInt, Ok(Value::BigInt(45))),
        ("\"int\"", &[90], Double, Ok(Value::Double(45.0))),
        ("\"long\"", &[90], Integer, Ok(Value::Integer(45))),
        (
            "\"long\"",
            &[0x80, 0x80, 0x80, 0x80, 0x10],
            Integer,
            err("2147483648 is out of the range of INTEGER"),
        ),
        ("\"long\"", &[90], Decimal(4, 2), Ok(Value::Decimal(4500))),
        ("\"long\"", &[90], Decimal(3, 2), err("45 is out of the range of DECIMAL(3, 2)")),
        ("\"long\"", &[90], Varchar, text("45")),
        ("\"float\"", &[0, 0, 0xc0, 0x3f], Double, Ok(Value::Double(1.5))),
        ("\"boolean\"", &[1], Varchar, text("true")),
        ("\"boolean\"", &[2], Varchar, err("a boolean is 0 or 1, found 2")),
        ("\"string\"", &[2, b'x'], Bytes, Ok(Value::Bytes(b"x".to_vec()))),
        ("\"bytes\"", &[2, 0xff], Varchar, err("a string is not UTF-8 at byte 0")),
        ("\"string\"", &[2, b'1'], Integer, err("INTEGER wanted, the writer's type is string")),
        (r#"{"type":"enum","name":"E","symbols":["A","B"]}"#, &[2], Varchar, text("B")),
        (
            r#"{"type":"enum","name":"E","symbols":["A","B"]}"#,
            &[4],
            Varchar,
            err("symbol 2 wanted, there are 2"),
        ),
        (decimal, &[4, 0xff, 0x85], Decimal(10, 3), Ok(Value::Decimal(-1230))),
        (
            decimal,
            &[2, 0x7b],
            Decimal(10, 1),
            err("the decimal 123e-2 has more digits after the point than DECIMAL(10, 1) holds"),
        ),
        (decimal, &[4, 0x04, 0xce], Decimal(10, 1), Ok(Value::Decimal(123))),
        (decimal, &[2, 0x7b], Double, Ok(Value::Double(1.23))),
        (decimal, &[2, 0x7b], Varchar, text("1.23")),
        (decimal, &[0], Decimal(10, 2), Ok(Value::Decimal(0))),
        (uuid, &[0x12; 16], Varchar, text("12121212-1212-1212-1212-121212121212")),
        (&logical("int", "date"), &[2], Date, Ok(Value::Date(1))),
        (&logical("int", "time-millis"), &[2], Time, Ok(Value::Time(1))),
        (&logical("long", "time-micros"), &[0xa0, 0x1f], Time, Ok(Value::Time(2))),
        (&logical("int", "time-millis"), &[1], Time, err("-1 is out of the range of TIME")),
        (&logical("long", "timestamp-millis"), &[2], Timestamp, Ok(Value::Timestamp(1))),
        (&logical("long", "timestamp-micros"), &[1], Timestamp, Ok(Value::Timestamp(-1))),
        (&logical("long", "timestamp-micros"), &[1], BigInt, Ok(Value::BigInt(-1))),
        (&logical("long", "timestamp-nanos"), &[1], Timestamp, Ok(Value::Timestamp(-1))),
        (micros, &[0xa0, 0x1f], Timestamp, Ok(Value::Timestamp(2))),
        (micros, &[0xa0, 0x1f], BigInt, Ok(Value::BigInt(2000))),
        ("\"long\"", &[2], Timestamp, Ok(Value::Timestamp(1))),
        ("\"string\"", b"\x281970-01-01T00:00:01Z", Timestamp, Ok(Value::Timestamp(1000))),
        ("\"string\"", &[2, b'x'], Timestamp, err("TIMESTAMP wanted, found the string \"x\"")),
        (r#"["null","int","string"]"#, &[2, 90], Varchar, text("45")),
        (r#"["null","int","string"]"#, &[4, 2, b'x'], Varchar, text("x")),
        (r#"["null","int","string"]"#, &[0], BigInt, Ok(Value::Null)),
        (
            r#"["null","int","string"]"#,
            &[4, 2, b'x'],
            BigInt,
            err("BIGINT wanted, the writer's type is string"),
        ),
        ("\"null\"", &[], BigInt, Ok(Value::Null)),
    ] {
        assert_eq!(read(avro, datum, &target), wanted, "{avro} {datum:?} as {target}");
    }
}

#[test]
fn connect_s_array_of_entries_is_a_map_and_its_union_a_struct() {
    let entries = r#"{"type":"array","items":{"type":"record","name":"E","connect.internal.type":"MapEntry","fields":[{"name":"key","type":["null","string"]},{"name":"value","type":["null","int"]}]}}"#;
    let map = DataType::Map(Arc::new(DataType::Integer));
    let value = read(entries, &[2, 2, 2, b'k', 2, 90, 0], &map);
    assert_eq!(value, Ok(Value::Map(vec![("k".into(), Value::Integer(45))])));
    assert_eq!(read(entries, &[2, 0, 0, 0], &map), Err("a map's key is null".into()));

    let union = r#"["null","string",{"type":"record","name":"P","fields":[{"name":"x","type":"int"}]}]"#;
    let declared = format!(
        r#"{{"type":"record","name":"R","fields":[{{"name":"v","type":{union}}},{{"name":"m","type":{entries}}}]}}"#
    );
    let shape = schema_of_avro(&declared).unwrap();
    let point = DataType::Struct([Field::new("x", DataType::Integer)].into());
    let branches = DataType::Struct([Field::new("string", DataType::Varchar), Field::new("P", point)].into());
    assert_eq!(shape.schema, schema(&[("v", branches.clone()), ("m", map)]));
    let p = Value::Struct(vec![Value::Null, Value::Struct(vec![Value::Integer(45)])]);
    assert_eq!(read(union, &[4, 90], &branches), Ok(p));
    let s = Value::Struct(vec![Value::Varchar("x".into()), Value::Null]);
    assert_eq!(read(union, &[2, 2, b'x'], &branches), Ok(s));
    assert_eq!(read(union, &[0], &branches), Ok(Value::Null));
}

#[test]
fn a_length_that_the_bytes_do_not_bear_out_is_an_error_at_once() {
    let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    let nulls = DataType::Array(Arc::new(DataType::Varchar));
    let of_nulls = r#"{"type":"array","items":"null"}"#;
    assert!(read("\"string\"", &huge, &DataType::Varchar).unwrap_err().contains("cut short"));
    assert!(read("\"bytes\"", &[1], &DataType::Bytes).unwrap_err().contains("negative"));
    assert!(read(r#"{"type":"array","items":"long"}"#, &huge, &nulls).unwrap_err().contains("items"));
    assert!(
        read(r#"{"type":"map","values":"long"}"#, &huge, &DataType::Map(Arc::new(DataType::BigInt))).is_err()
    );
    assert!(read(of_nulls, &huge, &nulls).unwrap_err().contains("take no bytes"));
    let value = read(of_nulls, &[6, 0], &nulls);
    assert_eq!(value, Ok(Value::Array(vec![Value::Null; 3])));
    // In what is skipped, too; and values of a type within itself are not followed without end.
    let registry = Arc::new(Memory::default());
    let list = r#"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}"#;
    let codec = codec(&registry, &schema(&[("v", DataType::Integer)]), Role::Value);
    for (skipped, datum) in
        [(of_nulls, huge.to_vec()), ("\"string\"", huge.to_vec()), (list, vec![2; 100_000])]
    {
        let fields = format!(r#"{{"name":"s","type":{skipped}}},{{"name":"v","type":"int"}}"#);
        let id = registry.put(&format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#));
        assert!(decode(&codec, &framed(id, &datum)).is_err());
    }
}

#[test]
fn an_unknown_id_and_a_schema_that_is_none_cost_their_records_and_are_asked_for_once_a_batch() {
    let registry = Arc::new(Memory::default());
    let codec = codec(&registry, &schema(&[("v", DataType::Integer)]), Role::Value);
    let bad = registry.put("syntax = \"proto3\";");
    let good = registry.put(r#"{"type":"record","name":"R","fields":[{"name":"v","type":"int"}]}"#);
    let (a, b, c) = (framed(99, &[2]), framed(bad, &[2]), framed(good, &[2]));
    let decoded = codec.decode_arrow(&[Some(&a), Some(&b), Some(&c), Some(&a), Some(&b)]);
    assert_eq!(decoded.rows, [2]);
    let reasons: Vec<_> = decoded.errors.iter().map(|e| (e.index, e.retriable, e.reason.as_str())).collect();
    assert_eq!(reasons[0], (0, false, "schema 99 is not in the registry"));
    assert_eq!((reasons[1].0, reasons[1].1), (1, false));
    assert!(reasons[1].2.starts_with("schema 1: no Avro schema"), "{}", reasons[1].2);
    assert_eq!(registry.asked.load(Ordering::Relaxed), 3);
}

#[test]
fn while_the_registry_is_away_records_are_to_be_tried_again_unless_their_schema_is_known() {
    let registry = Arc::new(Memory::default());
    let codec = codec(&registry, &schema(&[("v", DataType::Integer)]), Role::Value);
    let of = |t: &str| {
        registry.put(&format!(r#"{{"type":"record","name":"R","fields":[{{"name":"v","type":"{t}"}}]}}"#))
    };
    let (known, a, b) = (framed(of("int"), &[2]), framed(of("long"), &[2]), framed(of("float"), &[0; 4]));
    codec.decode_row(&known).unwrap();
    registry.away.store(true, Ordering::Relaxed);
    registry.asked.store(0, Ordering::Relaxed);
    let decoded = codec.decode_arrow(&[Some(&a), Some(&known), Some(&b), Some(b"x")]);
    assert_eq!(decoded.rows, [1]);
    let errors: Vec<_> = decoded.errors.iter().map(|e| (e.index, e.retriable)).collect();
    assert_eq!(errors, [(0, true), (2, true), (3, false)]);
    assert_eq!(registry.asked.load(Ordering::Relaxed), 1, "one time-out a batch");
    let error = codec.encode_row(&vec![Value::Null], &mut Vec::new()).unwrap_err();
    assert!(error.retriable);
    registry.away.store(false, Ordering::Relaxed);
    assert_eq!(codec.decode_arrow(&[Some(&a), Some(&known)]).rows, [0, 1]);
    codec.encode_row(&vec![Value::Null], &mut Vec::new()).unwrap();
}

#[test]
fn a_declaration_that_is_given_is_written_as_it_is() {
    let registry = Arc::new(Memory::default());
    let declared = r#"{"type":"record","name":"ad","namespace":"demo","fields":[
        {"name":"id","type":"int"},{"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},
        {"name":"kind","type":{"type":"enum","name":"K","symbols":["A","B"]}},{"name":"more","type":["null","string"]},
        {"name":"price","type":{"type":"fixed","name":"P","size":4,"logicalType":"decimal","precision":6,"scale":2}}]}"#;
    let columns = schema(&[
        ("KIND", DataType::Varchar),
        ("ID", DataType::Integer),
        ("AT", DataType::Timestamp),
        ("PRICE", DataType::Decimal(4, 1)),
    ]);
    let codec = |columns: &Schema| {
        AvroCodec::with_declaration(registry.clone(), "ads-value", columns.clone(), Role::Value, declared)
    };
    let row = |kind: &str| {
        vec![Value::Varchar(kind.into()), Value::Integer(45), Value::Timestamp(2), Value::Decimal(-1)]
    };
    let mut out = Vec::new();
    let ads = codec(&columns).unwrap();
    ads.encode_row(&row("B"), &mut out).unwrap();
    assert_eq!(out, framed(1, &[90, 0xa0, 0x1f, 2, 0, 0xff, 0xff, 0xff, 0xf6]));
    assert_eq!(decode(&ads, &out).unwrap(), row("B"));
    assert_eq!(&*registry.schema(1).unwrap().text, declared);
    let error = ads.encode_row(&row("C"), &mut out).unwrap_err();
    assert_eq!(error.to_string(), "record 0, field KIND: Avro's enum has no symbol \"C\"");
    let mut without = row("A");
    without[1] = Value::Null;
    assert!(ads.encode_row(&without, &mut out).unwrap_err().reason.contains("NULL has no form"));

    let refused = |columns: &[(&str, DataType)]| codec(&schema(columns)).err().unwrap().to_string();
    assert_eq!(
        refused(&[("id", DataType::Integer)]),
        "the Avro schema's field at is never null, and no column has its name"
    );
    assert_eq!(refused(&[("id", DataType::Varchar)]), "column id: VARCHAR cannot be written as Avro's int");
    let mut more = columns.clone();
    more.fields.push(Field::new("x", DataType::Date));
    assert_eq!(codec(&more).err().unwrap().to_string(), "column x is not in the Avro schema ad");
}
