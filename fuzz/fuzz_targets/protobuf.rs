//! Any bytes as Protobuf schemas and as Protobuf records: nothing panics, and what two ways of reading say is the same.
#![no_main]

use bd_schema::protobuf::{ProtobufCodec, ProtobufDefinition, ProtobufReader};
use bd_schema::{DataType, Field, SchemaText, SchemaType};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

#[path = "../src/records.rs"]
mod records;

static CODECS: LazyLock<Vec<ProtobufCodec>> = LazyLock::new(|| {
    let inner =
        DataType::Struct([Field::new("x", DataType::Double), Field::new("y", DataType::Varchar)].into());
    let schema = records::columns([
        DataType::Array(Arc::new(DataType::BigInt)),
        DataType::Map(Arc::new(DataType::Array(Arc::new(inner.clone())))),
        inner,
    ]);
    let bare = ProtobufCodec::bare(schema.clone()).expect("columns that it holds");
    let text = SchemaText::new(SchemaType::Protobuf, bare.declaration());
    let framed = ProtobufCodec::new(records::Known::new([text]), "t", schema).expect("columns that it holds");
    vec![bare, framed]
});

fuzz_target!(|data: &[u8]| {
    // Records, parted by a byte: each as Arrow and as a row.
    for codec in CODECS.iter() {
        records::read(codec, &records::parts(data, 0xfe), true);
    }
    // Schemas: two texts, and a record of the first.
    let mut texts = data.split(|b| *b == 0xff).map(|t| String::from_utf8_lossy(t).into_owned());
    let (Some(first), second, record) = (texts.next(), texts.next(), texts.next()) else { return };
    let parse = |text: &str| ProtobufDefinition::parse(&SchemaText::new(SchemaType::Protobuf, text));
    let Ok(schema) = parse(&first) else { return };
    let canonical = parse(&schema.canonical()).expect("the canonical text is a schema");
    assert_eq!(canonical.canonical(), schema.canonical());
    let _ = (schema.normalized(), schema.incompatibilities(&schema));
    if let Some(other) = second.and_then(|text| parse(&text).ok()) {
        let _ = (schema.incompatibilities(&other), other.incompatibilities(&schema));
    }
    let text = SchemaText::new(SchemaType::Protobuf, first);
    let framed = [&[0, 0, 0, 0, 1, 0][..], record.unwrap_or_default().as_bytes()].concat();
    let _ = ProtobufReader::new(records::Known::new([text])).decode(&framed);
});
