//! Any bytes as JSON Schemas and as JSON records: nothing panics, and what two ways of reading say is the same.
#![no_main]

use bd_schema::json_schema::{JsonSchemaCodec, JsonSchemaReader};
use bd_schema::{Codec, DataType, Definition, Field, JsonCodec, Role, Schema, SchemaText, SchemaType};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

#[path = "../src/records.rs"]
mod records;

static CODECS: LazyLock<Vec<Box<dyn Codec>>> = LazyLock::new(|| {
    let inner =
        DataType::Struct([Field::new("x", DataType::Double), Field::new("y", DataType::Varchar)].into());
    let schema = records::columns([
        DataType::Array(Arc::new(DataType::BigInt)),
        DataType::Map(Arc::new(DataType::Varchar)),
        inner,
    ]);
    let registry = records::Known::new([SchemaText::new(SchemaType::Json, "{}")]);
    vec![
        Box::new(JsonCodec::new(schema.clone())),
        Box::new(JsonCodec::new(schema.clone()).unknown_fields_refused(true).case_sensitive(true)),
        Box::new(JsonCodec::key(Schema::new(vec![Field::new("k", DataType::Varchar)]))),
        Box::new(JsonSchemaCodec::new(registry, "t", schema, Role::Value)),
    ]
});

fuzz_target!(|data: &[u8]| {
    // Records, parted by a byte that no JSON holds: each as Arrow and as a row.
    let payloads = records::parts(data, 0xff);
    for codec in CODECS.iter() {
        records::read(codec.as_ref(), &payloads, true);
    }
    // The same in Confluent's framing.
    let framed: Vec<Vec<u8>> =
        payloads.iter().flatten().map(|record| [&[0, 0, 0, 0, 1][..], record].concat()).collect();
    let framed: Vec<Option<&[u8]>> = framed.iter().map(|record| Some(record.as_slice())).collect();
    if let Some(codec) = CODECS.last() {
        records::read(codec.as_ref(), &framed, true);
    }
    // Schemas: two texts, and a record of the first.
    let mut texts = data.split(|b| *b == 0xff).map(|t| String::from_utf8_lossy(t).into_owned());
    let (Some(first), second, record) = (texts.next(), texts.next(), texts.next()) else { return };
    let parse = |text: &str| Definition::parse(&SchemaText::new(SchemaType::Json, text));
    let Ok(schema) = parse(&first) else { return };
    let normal = parse(&schema.normalized()).expect("the normal form is a schema");
    assert_eq!(normal.normalized(), schema.normalized());
    let _ = schema.incompatibilities(&schema);
    if let Some(other) = second.and_then(|text| parse(&text).ok()) {
        let _ = (schema.incompatibilities(&other), other.incompatibilities(&schema));
    }
    let reader = JsonSchemaReader::new(records::Known::new([SchemaText::new(SchemaType::Json, first)]));
    let framed = [&[0, 0, 0, 0, 1][..], record.unwrap_or_default().as_bytes()].concat();
    let _ = reader.decode(&framed);
});
