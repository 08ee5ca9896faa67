//! The format `JSON_SR` and the reader by the writer's schema.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed assertion is a failed test")]

use super::*;
use crate::conformance::{self, Malformed};
use crate::{
    Codec, DataType, Field, NewSchema, RegisteredSchema, RegistryError, Role, Schema, SchemaRegistry,
    SchemaText, SchemaType, Value,
};
use std::sync::{Arc, Mutex};

/// Schemas by their ids, from 1.
#[derive(Default)]
pub(super) struct Registry(Mutex<Vec<SchemaText>>);

impl Registry {
    pub(super) fn with(text: &str) -> Arc<Self> {
        Arc::new(Self(Mutex::new(vec![SchemaText::new(SchemaType::Json, text)])))
    }
}

impl SchemaRegistry for Registry {
    fn schema(&self, id: u32) -> Result<Arc<SchemaText>, RegistryError> {
        let all = self.0.lock().unwrap();
        all.get(id as usize - 1).cloned().map(Arc::new).ok_or(RegistryError::UnknownId(id))
    }

    fn register(&self, _: &str, schema: &NewSchema) -> Result<u32, RegistryError> {
        let mut all = self.0.lock().unwrap();
        all.push(SchemaText::new(schema.schema_type, schema.text.clone()));
        Ok(all.len() as u32)
    }

    fn latest(&self, _: &str) -> Result<Option<RegisteredSchema>, RegistryError> {
        Ok(None)
    }
}

pub(super) fn framed(text: &str) -> Vec<u8> {
    [&[0, 0, 0, 0, 1][..], text.as_bytes()].concat()
}

fn schema(fields: &[(&str, DataType)]) -> Schema {
    Schema::new(fields.iter().map(|(name, t)| Field::new(*name, t.clone())).collect())
}

#[test]
fn values_and_keys_conform() {
    let registry = Arc::new(Registry::default());
    for role in [Role::Value, Role::Key] {
        conformance::all(&conformance::Format {
            codec: &|schema| {
                Some(Arc::new(JsonSchemaCodec::new(registry.clone(), "t", schema.clone(), role)))
            },
            nulls: true,
            all_doubles: false,
            malformed: &|_| {
                let unframed = ["", "{}", "\0\0\0\0"].map(|text| Malformed::new(text, ""));
                unframed.into_iter().chain([Malformed::new(framed("{}}"), "")]).collect()
            },
        });
    }
}

/// What is declared for columns is read as these columns again, and the records with it.
#[test]
fn every_type_comes_back_by_what_was_declared_for_it() {
    for data_type in conformance::telling_types() {
        let registry = Arc::new(Registry::default());
        let columns = schema(&[("a", data_type.clone()), ("b", DataType::BigInt)]);
        let codec = JsonSchemaCodec::new(registry.clone(), "t", columns.clone(), Role::Value);
        let reader = JsonSchemaReader::new(registry);
        for value in conformance::telling_values(&data_type) {
            let row = vec![value, Value::BigInt(7)];
            let mut out = Vec::new();
            codec.encode_row(&row, &mut out).unwrap();
            let (shape, found) = reader.decode(&out).unwrap_or_else(|e| panic!("{data_type}: {e}"));
            assert_eq!((&shape.schema, shape.single), (&columns, false), "{}", codec.declaration());
            assert_eq!(format!("{found:?}"), format!("{row:?}"));
        }
    }
}

#[test]
fn columns_are_declared_as_ksqldb_declares_them() {
    let columns = schema(&[("ID", DataType::BigInt), ("NAME", DataType::Varchar)]);
    assert_eq!(
        json_schema_of(None, &columns, &[], Decimals::Numeric),
        r#"{"type":"object","properties":{"ID":{"oneOf":[{"type":"null"},{"type":"integer","connect.type":"int64"}],"connect.index":0},"NAME":{"oneOf":[{"type":"null"},{"type":"string"}],"connect.index":1}}}"#
    );
    let decimal =
        json_schema_of_value(&DataType::Decimal(10, 2), &crate::ConnectField::default(), Decimals::Base64);
    assert!(
        decimal.contains(r#""type":"string","title":"org.apache.kafka.connect.data.Decimal""#),
        "{decimal}"
    );
}

#[test]
fn columns_are_read_from_schemas_that_people_write() {
    let text = r##"{"title":"Order","type":"object","required":["id"],"properties":{
        "id":{"type":"integer"},"price":{"type":"number"},"note":{"type":["string","null"]},
        "state":{"enum":["new","paid"]},"tags":{"type":"array","items":{"type":"string"}},
        "by":{"$ref":"#/definitions/person"},"more":{},"counts":{"type":"object","additionalProperties":{"type":"integer"}},
        "either":{"oneOf":[{"type":"string"},{"type":"object","properties":{"x":{"type":"number"}}}]},
        "both":{"allOf":[{"$ref":"#/definitions/person"},{"properties":{"age":{"type":"integer","connect.type":"int32"}}}]},
        "cost":{"type":"string","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.parameters":{"scale":"2"}}},
        "definitions":{"person":{"type":"object","title":"Person","properties":{"name":{"type":"string"}}}}}"##;
    let reader = JsonSchemaReader::new(Registry::with(text));
    let record = framed(
        r#"{"id":1,"price":2.5,"note":null,"state":"paid","tags":["a"],"by":{"name":"Zoë"},"more":{"k":[1]},
            "counts":{"a":1},"either":{"x":1},"both":{"name":"b","age":3},"cost":"AfQ=","beyond":true}"#,
    );
    let (shape, row) = reader.decode(&record).unwrap();
    assert_eq!(shape.name.as_deref(), Some("Order"));
    let columns: Vec<String> =
        shape.schema.fields.iter().map(|f| format!("{} {}", f.name, f.data_type)).collect();
    assert_eq!(
        columns.join(", "),
        "id BIGINT, price DOUBLE, note VARCHAR, state VARCHAR, tags ARRAY<VARCHAR>, by STRUCT<name VARCHAR>, more VARCHAR, \
         counts MAP<VARCHAR, BIGINT>, either STRUCT<io.confluent.connect.json.OneOf.field.0 VARCHAR, \
         io.confluent.connect.json.OneOf.field.1 STRUCT<x DOUBLE>>, both STRUCT<name VARCHAR, age INTEGER>, cost DECIMAL(38, 2)"
    );
    let text = |t: &str| Value::Varchar(t.into());
    assert_eq!(
        row,
        [
            Value::BigInt(1),
            Value::Double(2.5),
            Value::Null,
            text("paid"),
            Value::Array(vec![text("a")]),
            Value::Struct(vec![text("Zoë")]),
            text(r#"{"k":[1]}"#),
            Value::Map(vec![("a".into(), Value::BigInt(1))]),
            Value::Struct(vec![Value::Null, Value::Struct(vec![Value::Double(1.0)])]),
            Value::Struct(vec![text("b"), Value::Integer(3)]),
            Value::Decimal(500),
        ]
    );
    assert!(shape.fields[0].required && !shape.fields[2].required);
    let reader = JsonSchemaReader::new(Registry::with(&shape.text)).with_optional_unless_required(true);
    let (shape, _) = reader.decode(&record).unwrap();
    assert!(shape.fields[0].required && !shape.fields[1].required);
}

#[test]
fn what_cannot_be_read_says_where() {
    let text = r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"integer"}}}}"#;
    let reader = JsonSchemaReader::new(Registry::with(text));
    for (record, path, reason) in [
        (framed(r#"{"a":[1,"x"]}"#), "a[1]", "BIGINT wanted, found the string \"x\""),
        (framed("[]"), "", "an object wanted, found an array"),
        (framed("{"), "", "not JSON: a key in double quotes wanted"),
        (b"\0\0\0\0\x02{}".to_vec(), "", "schema 2 is not in the registry"),
        (b"{}".to_vec(), "", "no JSON record in Confluent's framing: magic byte 0 wanted, found 0x7b"),
    ] {
        let error = reader.decode(&record).unwrap_err();
        assert_eq!((error.path.as_str(), error.retriable), (path, false));
        assert!(error.reason.starts_with(reason), "{error}");
    }
    let itself = r##"{"type":"object","properties":{"a":{"$ref":"#"}}}"##;
    let error = JsonSchemaReader::new(Registry::with(itself)).decode(&framed("{}")).unwrap_err();
    assert!(error.reason.contains("the schema refers to itself"), "{error}");
}
