//! Kafka's primitives, `RAW` and `NONE`: rows and Arrow agree on any bytes, and what was read is written as the same bytes.
#![no_main]

use bd_schema::{Codec, DataType, Field, KafkaCodec, KafkaPrimitive, NoneCodec, Schema};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

#[path = "../src/records.rs"]
mod records;

static CODECS: LazyLock<Vec<Box<dyn Codec>>> = LazyLock::new(|| {
    use KafkaPrimitive::{Boolean, Bytes, Double, Float, Integer, Long, Short, String, Uuid, Void};
    let one = |of: DataType| Schema::new(vec![Field::new("c", of)]);
    let primitives = [Boolean, Bytes, Double, Float, Integer, Long, Short, String, Uuid, Void];
    let mut codecs: Vec<Box<dyn Codec>> = Vec::new();
    for primitive in primitives {
        let schema = one(primitive.column().unwrap_or(DataType::Date));
        codecs.push(Box::new(KafkaCodec::of(schema, primitive).expect("its own column")));
    }
    for raw in [DataType::Bytes, DataType::Varchar] {
        codecs.push(Box::new(KafkaCodec::raw(one(raw)).expect("a column that it holds")));
    }
    codecs.push(Box::new(NoneCodec::new()));
    codecs
});

fuzz_target!(|data: &[u8]| {
    for codec in CODECS.iter() {
        records::read(codec.as_ref(), &records::parts(data, 0xfe), true);
        records::read(codec.as_ref(), &[Some(data), None], true);
        let Ok(row) = codec.decode_row(data) else { continue };
        let mut out = Vec::new();
        codec.encode_row(&row, &mut out).expect("what was read can be written");
        // A float's NaN has many forms, and a codec of no columns writes nothing.
        let nan = matches!(row.as_slice(), [bd_schema::Value::Double(d)] if d.is_nan());
        assert!(out == data || nan || row.is_empty(), "{row:?}: {out:?}");
    }
});
