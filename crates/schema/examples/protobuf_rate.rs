//! How fast records in Confluent's Protobuf framing are decoded and encoded: `cargo run --release -p bd-schema --example protobuf_rate -- [RECORDS]`.
#![allow(clippy::print_stdout, reason = "the numbers are its output")]

use bd_schema::protobuf::protobuf_of_schema;
use bd_schema::{
    Codec, DataType, Encoded, Field, NewSchema, ProtobufCodec, RegisteredSchema, RegistryError, Row, Schema,
    SchemaRegistry, SchemaText, SchemaType, Value,
};
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

const BATCH: usize = 4096;

/// A registry of one schema.
struct One(Arc<SchemaText>);

impl SchemaRegistry for One {
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

fn main() -> Result<(), Box<dyn Error>> {
    let records: usize = std::env::args().nth(1).map_or(Ok(4_000_000), |n| n.parse())?;
    // Nexmark's bid.
    let schema = Schema::new(vec![
        Field::new("auction", DataType::BigInt),
        Field::new("bidder", DataType::BigInt),
        Field::new("price", DataType::BigInt),
        Field::new("channel", DataType::Varchar),
        Field::new("url", DataType::Varchar),
        Field::new("date_time", DataType::Timestamp),
        Field::new("extra", DataType::Varchar),
    ]);
    let declared = protobuf_of_schema(None, &schema, &[])?;
    let text = SchemaText::new(SchemaType::Protobuf, declared);
    let codec = ProtobufCodec::new(Arc::new(One(Arc::new(text))), "bids-value", schema)?;
    let channels = ["Google", "Facebook", "Baidu", "Apple", "channel-7462"];
    let rows: Vec<Row> = (0..BATCH as i64)
        .map(|i| {
            let text = |text: String| Value::Varchar(text);
            vec![
                Value::BigInt(1000 + i * 7919 % 10_000),
                Value::BigInt(1000 + i * 31 % 100_000),
                Value::BigInt(i * 104_729 % 25_000_000),
                text(channels[i as usize % channels.len()].to_owned()),
                text(format!(
                    "https://www.nexmark.com/abo/x_{:02}/item.htm?query=1&channel_id={i:08}",
                    i % 97
                )),
                Value::Timestamp(1_612_223_747_000 + i),
                text(
                    "aGVsbG8gbmV4bWFyayBmaWxsZXIgdGV4dA"
                        .chars()
                        .cycle()
                        .skip(i as usize % 7)
                        .take(65)
                        .collect(),
                ),
            ]
        })
        .collect();
    let mut payloads: Vec<Vec<u8>> = Vec::with_capacity(BATCH);
    for row in &rows {
        let mut out = Vec::new();
        codec.encode_row(row, &mut out)?;
        payloads.push(out);
    }
    let inputs: Vec<Option<&[u8]>> = payloads.iter().map(|p| Some(p.as_slice())).collect();
    let bytes: usize = payloads.iter().map(Vec::len).sum::<usize>() / BATCH;
    let rounds = records.div_ceil(BATCH);
    let rate = |name: &str, started: Instant| {
        let per_second = (rounds * BATCH) as f64 / started.elapsed().as_secs_f64();
        println!(
            "{name}: {:.2} M records/s, {:.0} MB/s of {bytes}-byte records",
            per_second / 1e6,
            per_second * bytes as f64 / 1e6
        );
    };

    let decoded = codec.decode_arrow(&inputs);
    if let Some(error) = decoded.errors.first() {
        return Err(error.clone().into());
    }
    let started = Instant::now();
    for _ in 0..rounds {
        std::hint::black_box(codec.decode_arrow(std::hint::black_box(&inputs)));
    }
    rate("decode_arrow", started);

    let started = Instant::now();
    for _ in 0..rounds {
        for payload in &payloads {
            std::hint::black_box(codec.decode_row(std::hint::black_box(payload))?);
        }
    }
    rate("decode_row", started);

    let mut out = Encoded::default();
    let started = Instant::now();
    for _ in 0..rounds {
        out.clear();
        codec.encode_arrow(std::hint::black_box(&decoded.batch), &mut out)?;
        std::hint::black_box(&out);
    }
    rate("encode_arrow", started);
    Ok(())
}
