//! Avro in Confluent's framing and as single objects: any payload, of schemas that the registry knows, by a reader's declaration,
//! by columns alone, and by the writer's schema. The id picks the writer.
#![no_main]

use bd_schema::avro::{AvroDatumCodec, AvroFraming, schema_of_avro};
use bd_schema::{AvroCodec, AvroReader, Codec, DataType, Field, Role, Schema, SchemaText};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

#[path = "../src/records.rs"]
mod records;

/// Versions of one record, then others.
const SCHEMAS: [&str; 6] = [
    r#"{"type":"record","name":"R","fields":[{"name":"id","type":"int"},{"name":"a","type":["null","string","long",{"type":"record","name":"P","fields":[{"name":"x","type":"int"}]}]}]}"#,
    r#"{"type":"record","name":"R","fields":[{"name":"key","aliases":["id"],"type":"double"},{"name":"a","type":["null","string"],"default":null},{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"],"default":"A"},"default":"B"},{"name":"m","type":{"type":"map","values":"bytes"},"default":{}}]}"#,
    r#"{"type":"record","name":"R","fields":[{"name":"id","type":"long"},{"name":"e","type":{"type":"enum","name":"E","symbols":["C","A"],"default":"A"}},{"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":38,"scale":4},"default":"\u0001"},{"name":"t","type":{"type":"long","logicalType":"timestamp-micros"},"default":0},{"name":"z","type":{"type":"array","items":{"type":"record","name":"Z","fields":[]}},"default":[]}]}"#,
    r#"{"type":"record","name":"L","fields":[{"name":"v","type":"int"},{"name":"next","type":["null","L"]},{"name":"f","type":{"type":"fixed","name":"F","size":16,"logicalType":"uuid"}}]}"#,
    r#"["null","long",{"type":"fixed","name":"D","size":12,"logicalType":"duration"},{"type":"array","items":"null"}]"#,
    r#"{"type":"record","name":"K","fields":[{"name":"m","type":{"type":"array","items":{"type":"record","name":"MapEntry","namespace":"io.confluent.connect.avro","fields":[{"name":"key","type":"int"},{"name":"value","type":["null","string"]}]}}},{"name":"d","type":{"type":"int","logicalType":"date"}},{"name":"h","type":{"type":"int","logicalType":"time-millis"}}]}"#,
];

struct Codecs {
    codecs: Vec<Box<dyn Codec>>,
    reader: AvroReader,
}

// Codecs keep nothing between calls that shows in results, so the same do for every input.
static CODECS: LazyLock<Codecs> = LazyLock::new(|| {
    let registry = records::Known::new(SCHEMAS.map(SchemaText::avro));
    let mut codecs: Vec<Box<dyn Codec>> = Vec::new();
    for text in SCHEMAS {
        let Ok(shape) = schema_of_avro(text) else { continue };
        let framed =
            AvroCodec::with_declaration(registry.clone(), "t-value", shape.schema.clone(), Role::Value, text);
        codecs.extend(framed.ok().map(|codec| Box::new(codec) as Box<dyn Codec>));
        let mut single = AvroDatumCodec::new(text, shape.schema, Role::Value, AvroFraming::SingleObject)
            .expect("a schema");
        for writer in SCHEMAS {
            single = single.with_writer(writer).expect("a schema");
        }
        codecs.push(Box::new(single));
    }
    let columns = vec![
        Field::new("id", DataType::BigInt),
        Field::new("a", DataType::Varchar),
        Field::new("e", DataType::Varchar),
        Field::new("d", DataType::Decimal(9, 2)),
        Field::new("t", DataType::Timestamp),
        Field::new("m", DataType::Map(Arc::new(DataType::Varchar))),
        Field::new("next", DataType::Struct([Field::new("v", DataType::Double)].into())),
        Field::new("value", DataType::Bytes),
    ];
    let value = AvroCodec::new(registry.clone(), "t-value", Schema::new(columns), Role::Value);
    codecs.push(Box::new(value.expect("columns that it holds")));
    let key = Schema::new(vec![Field::new("k", DataType::Varchar)]);
    let key = AvroCodec::new(registry.clone(), "t-key", key, Role::Key);
    codecs.push(Box::new(key.expect("a column that it holds")));
    Codecs { codecs, reader: AvroReader::new(registry) }
});

fuzz_target!(|data: &[u8]| {
    let payloads = records::parts(data, 0xfe);
    // Other writers' records may hold NULL where the codec writes none.
    for codec in &CODECS.codecs {
        records::read(codec.as_ref(), &payloads, false);
    }
    for payload in payloads.iter().flatten() {
        let _ = CODECS.reader.decode(payload);
    }
    // The framing is right and the id is known, whatever the input says.
    let [id, datum @ ..] = data else { return };
    let framed = [&[0, 0, 0, 0, 1 + id % SCHEMAS.len() as u8][..], datum].concat();
    for codec in &CODECS.codecs {
        records::read(codec.as_ref(), &[Some(&framed), None], false);
    }
    let _ = CODECS.reader.decode(&framed);
});
