//! An inferred schema reads its own samples, in every language.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use super::*;
use crate::{
    AvroDatumCodec, AvroFraming, Codec, Columns, Definition, JsonCodec, JsonSchemaReader, NewSchema,
    ProtobufCodec, RegisteredSchema, RegistryError, Role, Row, SchemaRegistry, SchemaText, Value,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::Arc;

/// The one schema of JSON Schema's reader.
struct Only(Arc<SchemaText>);

impl SchemaRegistry for Only {
    fn schema(&self, _: u32) -> Result<Arc<SchemaText>, RegistryError> {
        Ok(self.0.clone())
    }

    fn register(&self, _: &str, _: &NewSchema) -> Result<u32, RegistryError> {
        Ok(1)
    }

    fn latest(&self, _: &str) -> Result<Option<RegisteredSchema>, RegistryError> {
        Ok(None)
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zé\\\\\" ]{0,6}",
        Just("2026-02-28".to_owned()),
        Just("1999-12-31T23:59:59.999Z".to_owned()),
        Just("2026-02-28 14:30:00.123456".to_owned()),
        Just("14:30:00".to_owned()),
        Just("0123".to_owned()),
        Just("12".to_owned()),
    ]
}

fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        2 => Just(Json::Null),
        1 => any::<bool>().prop_map(Json::from),
        2 => any::<i64>().prop_map(Json::from),
        1 => any::<u64>().prop_map(Json::from),
        2 => (-1e9..1e9_f64).prop_map(Json::from),
        3 => text().prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Json::from),
            vec(("[a-d]", inner), 0..4).prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

/// Records that have much in common: each of a few shapes, with values of a kind.
fn records() -> impl Strategy<Value = Vec<Json>> {
    let record = vec(("[a-f]|first name", value()), 0..6);
    vec(record.prop_map(|members| Json::Object(members.into_iter().collect())), 1..8)
}

fn infer(records: &[Json]) -> Inferred {
    let mut inference = Inference::new(InferOptions::default());
    records.iter().for_each(|record| inference.record(record));
    inference.finish().unwrap()
}

fn rows(inferred: &Inferred, records: &[Json]) -> Vec<Row> {
    let codec = JsonCodec::new(inferred.columns());
    let read = |record: &Json| codec.decode_row(record.to_string().as_bytes()).unwrap();
    records.iter().map(read).collect()
}

/// Protobuf tells no null list from an empty one.
fn without_null_lists(value: &Value, data_type: &DataType) -> Value {
    match (value, data_type) {
        (Value::Null, DataType::Array(_)) => Value::Array(Vec::new()),
        (Value::Null, DataType::Map(_)) => Value::Map(Vec::new()),
        (Value::Struct(values), DataType::Struct(fields)) => Value::Struct(
            values.iter().zip(fields.iter()).map(|(v, f)| without_null_lists(v, &f.data_type)).collect(),
        ),
        (Value::Array(items), DataType::Array(of)) => {
            Value::Array(items.iter().map(|v| without_null_lists(v, of)).collect())
        }
        _ => value.clone(),
    }
}

fn has_null_element(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|v| *v == Value::Null || has_null_element(v)),
        Value::Struct(values) => values.iter().any(has_null_element),
        _ => false,
    }
}

proptest! {
    #![proptest_config(crate::json::properties::config(200))]

    #[test]
    fn avro_holds_the_samples(records in records()) {
        let inferred = infer(&records);
        let text = inferred.text(SchemaType::Avro, "a.Record").unwrap();
        Definition::parse_new(&SchemaText::avro(text.as_str())).unwrap();
        let codec =
            AvroDatumCodec::new(&*text, inferred.columns(), Role::Value, AvroFraming::Plain).unwrap();
        for row in rows(&inferred, &records) {
            let mut out = Vec::new();
            codec.encode_row(&row, &mut out).unwrap();
            prop_assert_eq!(codec.decode_row(&out).unwrap(), row, "{}", text);
        }
        let types = |schema: &Schema| schema.fields.iter().map(|f| f.data_type.clone()).collect::<Vec<_>>();
        if !text.contains("first_name") {
            let derived = Columns::of(&SchemaText::avro(text.as_str())).unwrap();
            prop_assert_eq!(types(&derived.schema), types(&inferred.columns()));
        }
    }

    #[test]
    fn json_schema_describes_the_samples_as_they_are(records in records()) {
        let inferred = infer(&records);
        let text = inferred.text(SchemaType::Json, "Record").unwrap();
        let schema = SchemaText::new(SchemaType::Json, text.as_str());
        Definition::parse_new(&schema).unwrap();
        Columns::of(&schema).unwrap();
        let reader = JsonSchemaReader::new(Arc::new(Only(Arc::new(schema))));
        for record in &records {
            let framed = [&[0, 0, 0, 0, 1][..], record.to_string().as_bytes()].concat();
            let (_, row) = reader.decode(&framed).unwrap();
            prop_assert_eq!(row.len(), inferred.columns().fields.len());
        }
    }

    #[test]
    fn protobuf_holds_the_samples(records in records()) {
        let inferred = infer(&records);
        let columns = inferred.columns();
        let text = inferred.text(SchemaType::Protobuf, "a.Record").unwrap();
        let schema = SchemaText::new(SchemaType::Protobuf, text.as_str());
        Definition::parse_new(&schema).unwrap();
        Columns::of(&schema).unwrap();
        let codec = ProtobufCodec::bare_with_declaration(columns.clone(), text.as_str(), &[0]).unwrap();
        for row in rows(&inferred, &records) {
            if row.iter().any(has_null_element) {
                continue;
            }
            let mut out = Vec::new();
            codec.encode_row(&row, &mut out).unwrap();
            let wanted: Row =
                row.iter().zip(&columns.fields).map(|(v, f)| without_null_lists(v, &f.data_type)).collect();
            prop_assert_eq!(codec.decode_row(&out).unwrap(), wanted, "{}", text);
        }
    }
}
