//! How many records a second one core decodes from JSON to Arrow, and encodes back.
//!
//! ```text
//! cargo run --release -p bd-schema --example json_rate [RECORDS]
//! ```
#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use bd_schema::{Codec, DataType, Encoded, Field, JsonCodec, Schema};
use std::error::Error;
use std::time::Instant;

const BATCH: usize = 4096;
const NAMES: [&str; 4] = ["vihaan", "ketan", "meghana", "Zoë"];

fn main() -> Result<(), Box<dyn Error>> {
    let records: usize = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => 8_000_000,
    };
    let payloads: Vec<String> = (0..BATCH)
        .map(|i| {
            format!(
                "{{\"user\": \"{}\", \"user_id\": {}, \"channel_id\": {}, \"device_id\": {}, \"action\": {}, \
                 \"action_ts\": {}}}",
                NAMES[i % NAMES.len()],
                i * 7919 % 10_000,
                i * 31 % 400,
                i * 104_729 % 25_000,
                i % 3 + 1,
                1_612_223_747 + i
            )
        })
        .collect();
    let inputs: Vec<Option<&[u8]>> = payloads.iter().map(|p| Some(p.as_bytes())).collect();
    let codec = JsonCodec::new(Schema::new(vec![
        Field::new("user", DataType::Varchar),
        Field::new("user_id", DataType::BigInt),
        Field::new("channel_id", DataType::BigInt),
        Field::new("device_id", DataType::BigInt),
        Field::new("action", DataType::Integer),
        Field::new("action_ts", DataType::BigInt),
    ]));
    let bytes: usize = payloads.iter().map(String::len).sum::<usize>() / BATCH;
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
