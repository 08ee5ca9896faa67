//! Connect's JSON envelope: any bytes as records with their schema in them, read by columns and by that schema.
#![no_main]

use bd_schema::{DataType, Enveloped, Field, JsonEnvelopeCodec, JsonEnvelopeReader, Role, Schema};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

#[path = "../src/records.rs"]
mod records;

static CODECS: LazyLock<Vec<JsonEnvelopeCodec>> = LazyLock::new(|| {
    let inner = DataType::Struct(
        [Field::new("x", DataType::Decimal(9, 2)), Field::new("y", DataType::Varchar)].into(),
    );
    let schema = records::columns([
        DataType::Array(Arc::new(DataType::Decimal(38, 9))),
        DataType::Map(Arc::new(inner.clone())),
        inner,
    ]);
    let key = Schema::new(vec![Field::new("k", DataType::Decimal(12, 3))]);
    vec![
        JsonEnvelopeCodec::new(schema, Role::Value, Some("a.B")),
        JsonEnvelopeCodec::new(key, Role::Key, None),
    ]
});

// What it keeps of schemas must not show in results.
static READER: LazyLock<JsonEnvelopeReader> = LazyLock::new(JsonEnvelopeReader::default);

fuzz_target!(|data: &[u8]| {
    // Records, parted by a byte that no JSON holds.
    let payloads = records::parts(data, 0xff);
    for codec in CODECS.iter() {
        records::read(codec, &payloads, true);
    }
    for payload in payloads.iter().flatten() {
        let anew = JsonEnvelopeReader::default();
        match (READER.decode(payload), anew.decode(payload)) {
            (Ok(Enveloped::Row(shape, row)), Ok(Enveloped::Row(_, again))) => {
                assert_eq!(format!("{row:?}"), format!("{again:?}"));
                assert_eq!(row.len(), shape.schema.fields.len());
            }
            (Ok(found), Ok(again)) => assert_eq!(found, again),
            (Err(found), Err(again)) => assert_eq!(found, again),
            (found, again) => panic!("{found:?} and {again:?}"),
        }
    }
});
