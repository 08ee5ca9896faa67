//! What must hold for any schema, any rows and any bytes; the crate `apache-avro` judges what is written and writes what is read.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use super::tests::{Memory, framed};
use super::{AvroCodec, AvroReader, KSQL_RECORD, avro_of_schema, schema_of_avro};
use crate::conformance::read as decode;
use crate::json::properties::{config, data_type, named, schema_and_rows};
use crate::{Codec, DataType, Field, RecordError, Role, Row, Schema, Value, arrow_to_rows, conformance};
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::Arc;

/// Our value of theirs.
fn ours(value: &Avro, data_type: &DataType) -> Value {
    match (value, data_type) {
        (Avro::Union(_, inner), _) => ours(inner, data_type),
        (Avro::Null, _) => Value::Null,
        (Avro::Boolean(v), _) => Value::Boolean(*v),
        (Avro::Int(v), _) => Value::Integer(*v),
        (Avro::Long(v), _) => Value::BigInt(*v),
        (Avro::Double(v), _) => Value::Double(*v),
        (Avro::String(v), _) => Value::Varchar(v.clone()),
        (Avro::Bytes(v), _) => Value::Bytes(v.clone()),
        (Avro::Date(v), _) => Value::Date(*v),
        (Avro::TimeMillis(v), _) => Value::Time(*v),
        (Avro::TimestampMillis(v), _) => Value::Timestamp(*v),
        (Avro::Decimal(v), _) => {
            let bytes = Vec::<u8>::try_from(v).unwrap();
            let mut whole = [if bytes[0] >= 0x80 { 0xff } else { 0 }; 16];
            whole[16 - bytes.len()..].copy_from_slice(&bytes);
            Value::Decimal(i128::from_be_bytes(whole))
        }
        (Avro::Array(items), DataType::Array(of)) => {
            Value::Array(items.iter().map(|v| ours(v, of)).collect())
        }
        (Avro::Map(entries), DataType::Map(of)) => {
            Value::Map(entries.iter().map(|(k, v)| (k.clone(), ours(v, of))).collect())
        }
        (Avro::Record(values), DataType::Struct(fields)) => Value::Struct(row_of(values, fields)),
        (value, data_type) => panic!("{value:?} is no {data_type}"),
    }
}

fn row_of(values: &[(String, Avro)], fields: &[Field]) -> Row {
    values.iter().zip(fields).map(|((_, v), f)| ours(v, &f.data_type)).collect()
}

/// Their value of ours; all is optional.
fn theirs(value: &Value, data_type: &DataType) -> Avro {
    let present = match (value, data_type) {
        (Value::Null, _) => return Avro::Union(0, Box::new(Avro::Null)),
        (Value::Boolean(v), _) => Avro::Boolean(*v),
        (Value::Integer(v), _) => Avro::Int(*v),
        (Value::BigInt(v), _) => Avro::Long(*v),
        (Value::Double(v), _) => Avro::Double(*v),
        (Value::Varchar(v), _) => Avro::String(v.clone()),
        (Value::Bytes(v), _) => Avro::Bytes(v.clone()),
        (Value::Date(v), _) => Avro::Date(*v),
        (Value::Time(v), _) => Avro::TimeMillis(*v),
        (Value::Timestamp(v), _) => Avro::TimestampMillis(*v),
        (Value::Decimal(v), _) => Avro::Decimal(v.to_be_bytes().into()),
        (Value::Array(items), DataType::Array(of)) => {
            Avro::Array(items.iter().map(|v| theirs(v, of)).collect())
        }
        (Value::Map(entries), DataType::Map(of)) => {
            Avro::Map(entries.iter().map(|(k, v)| (k.clone(), theirs(v, of))).collect())
        }
        (Value::Struct(values), DataType::Struct(fields)) => record_of(values, fields),
        (value, data_type) => panic!("{value:?} is no {data_type}"),
    };
    Avro::Union(1, Box::new(present))
}

fn record_of(values: &[Value], fields: &[Field]) -> Avro {
    let name = |f: &Field| super::declare::field_name(&f.name);
    Avro::Record(fields.iter().zip(values).map(|(f, v)| (name(f), theirs(v, &f.data_type))).collect())
}

/// Their maps have no order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Struct(values) => Value::Struct(values.iter().map(sorted).collect()),
        Value::Map(entries) => {
            let mut entries: Vec<_> = entries.iter().map(|(k, v)| (k.clone(), sorted(v))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Map(entries)
        }
        other => other.clone(),
    }
}

fn same(a: &[Value], b: &[Value]) -> bool {
    let text = |row: &[Value]| format!("{:?}", row.iter().map(sorted).collect::<Vec<_>>());
    text(a) == text(b)
}

fn codec(registry: &Arc<Memory>, schema: &Schema) -> AvroCodec {
    AvroCodec::new(registry.clone(), "s", schema.clone(), Role::Value).unwrap()
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn any_rows_of_any_schema_round_trip((schema, rows) in schema_and_rows()) {
        conformance::rows_round_trip(&codec(&Arc::default(), &schema), &rows);
    }

    #[test]
    fn apache_avro_reads_what_is_written_and_what_it_writes_is_read((schema, rows) in schema_and_rows()) {
        let registry = Arc::new(Memory::default());
        let codec = codec(&registry, &schema);
        let avro = apache_avro::Schema::parse_str(codec.declaration()).unwrap();
        let reader = GenericDatumReader::builder(&avro).build().unwrap();
        let writer = GenericDatumWriter::builder(&avro).build().unwrap();
        for row in &rows {
            let mut out = Vec::new();
            codec.encode_row(row, &mut out).unwrap();
            let Avro::Record(values) = reader.read_value(&mut &out[5..]).unwrap() else {
                panic!("no record")
            };
            prop_assert!(same(row, &row_of(&values, &schema.fields)), "{row:?} {values:?}");

            let datum = writer.write_value_to_vec(record_of(row, &schema.fields)).unwrap();
            let read = decode(&codec, &framed(1, &datum)).unwrap();
            prop_assert!(same(row, &read), "{row:?} {read:?}");
            let (_, read) = AvroReader::new(registry.clone()).decode(&framed(1, &datum)).unwrap();
            prop_assert!(same(row, &read), "{row:?} {read:?}");
        }
    }

    #[test]
    fn a_declaration_tells_the_schema_that_it_was_made_of(types in vec(data_type(), 0..5)) {
        let schema = Schema::new(named(types));
        let declared = avro_of_schema(KSQL_RECORD, &schema, &[]).unwrap();
        let shape = schema_of_avro(&declared).unwrap();
        let again = schema_of_avro(&avro_of_schema(KSQL_RECORD, &shape.schema, &shape.fields).unwrap()).unwrap();
        prop_assert_eq!((&again.name, &again.schema, &again.fields), (&shape.name, &shape.schema, &shape.fields));
        prop_assert_eq!(again.name.as_deref(), Some(KSQL_RECORD));
        let types = |s: &Schema| s.fields.iter().map(|f| f.data_type.clone()).map(unnamed).collect::<Vec<_>>();
        prop_assert_eq!(types(&shape.schema), types(&schema));
    }
}

/// Without names, which Avro has scrubbed.
fn unnamed(data_type: DataType) -> DataType {
    match data_type {
        DataType::Array(of) => DataType::Array(Arc::new(unnamed((*of).clone()))),
        DataType::Map(of) => DataType::Map(Arc::new(unnamed((*of).clone()))),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|f| Field::new("", unnamed(f.data_type.clone()))).collect())
        }
        leaf => leaf,
    }
}

/// Data that is right in many places, and bytes in which everything is wrong.
fn mutated() -> impl Strategy<Value = (Schema, Schema, Vec<Vec<u8>>)> {
    let change = (any::<proptest::sample::Index>(), 0..3u8, prop_oneof![0..8u8, any::<u8>()]);
    let others = vec(data_type(), 0..4);
    (schema_and_rows(), others, vec(vec(change, 0..4), 6), vec(any::<u8>(), 0..40)).prop_map(
        |((schema, rows), others, changes, noise)| {
            let codec = codec(&Arc::default(), &schema);
            let mut payloads: Vec<Vec<u8>> = Vec::new();
            for (row, changes) in rows.iter().zip(changes) {
                let mut bytes = Vec::new();
                codec.encode_row(row, &mut bytes).unwrap();
                for (index, kind, byte) in changes {
                    let at = 5 + index.index(bytes.len() - 4);
                    match kind {
                        0 => bytes.insert(at, byte),
                        1 if at < bytes.len() => bytes[at] = byte,
                        2 if at < bytes.len() => drop(bytes.remove(at)),
                        _ => {}
                    }
                }
                payloads.push(bytes);
            }
            payloads.push(framed(1, &noise));
            (schema, Schema::new(named(others)), payloads)
        },
    )
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn rows_and_arrow_agree_on_any_bytes_into_any_columns((schema, other, payloads) in mutated()) {
        let registry = Arc::new(Memory::default());
        registry.put(codec(&registry, &schema).declaration());
        for target in [&schema, &other] {
            let codec = codec(&registry, target);
            let inputs: Vec<Option<&[u8]>> = payloads.iter().map(|p| Some(p.as_slice())).collect();
            let decoded = codec.decode_arrow(&inputs);
            let rows = arrow_to_rows(codec.schema(), &decoded.batch).unwrap();
            let (mut rows, mut errors) = (rows.iter(), decoded.errors.iter());
            for (i, payload) in payloads.iter().enumerate() {
                match codec.decode_row(payload) {
                    Ok(row) => prop_assert_eq!(Some(format!("{row:?}")), rows.next().map(|r| format!("{r:?}"))),
                    Err(e) => prop_assert_eq!(Some(&RecordError { index: i, ..e }), errors.next()),
                }
            }
            prop_assert!(rows.next().is_none() && errors.next().is_none());
        }
    }
}

/// A declaration in which something was put in the place of something else.
fn broken_declaration() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        proptest::sample::select(vec![
            "\"type\"",
            "\"null\"",
            "\"long\"",
            "\"record\"",
            "\"enum\"",
            "\"fixed\"",
            "\"\"",
            "null",
            "[]",
            "{}",
            "-1",
            "0",
            "99999999999999999999",
            "\"KsqlDataSourceSchema\"",
            "\"a..b\"",
            "\"decimal\"",
            "\"uuid\"",
            "[\"null\",\"null\"]",
            "{\"type\":\"fixed\",\"name\":\"F\",\"size\":18446744073709551615}",
            "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[]}",
            "{\"type\":\"record\",\"name\":\"KsqlDataSourceSchema\",\"fields\":[]}",
            "\"io.confluent.ksql.avro_schemas.KsqlDataSourceSchema\"",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let change = (any::<proptest::sample::Index>(), word);
    (vec(data_type(), 0..4), vec(change, 1..4)).prop_map(|(types, changes)| {
        let declared = avro_of_schema(KSQL_RECORD, &Schema::new(named(types)), &[]).unwrap();
        let mut tokens: Vec<String> = Vec::new();
        let mut quoted = false;
        for c in declared.chars() {
            match tokens.last_mut() {
                Some(last) if quoted => last.push(c),
                _ => tokens.push(c.to_string()),
            }
            quoted ^= c == '"';
        }
        for (index, word) in changes {
            let at = index.index(tokens.len());
            tokens[at] = word;
        }
        tokens.concat()
    })
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn no_declaration_makes_it_panic(declared in broken_declaration(), datum in vec(0..12u8, 0..30)) {
        let registry = Arc::new(Memory::default());
        let id = registry.put(&declared);
        let told = schema_of_avro(&declared).is_ok();
        let read = AvroReader::new(registry.clone()).decode(&framed(id, &datum));
        prop_assert!(told || read.is_err());
        let columns = Schema::new(named(vec![DataType::BigInt, DataType::Varchar]));
        let _ = decode(&codec(&registry, &columns), &framed(id, &datum));
        let _ = AvroCodec::with_declaration(registry, "s", columns, Role::Value, declared);
    }
}
