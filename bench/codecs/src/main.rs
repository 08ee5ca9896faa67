//! `bd-codec-bench [ROUNDS [BATCHES]]`: records a second and core, of bd's codecs and of others, on Nexmark's bids.
//!
//! ```text
//!  bids ─▶ the same records in every format ─▶ cases ─▶ rounds: every case in turn, so many batches ─▶ medians
//! ```
//! Time is the thread's CPU time, so that what else runs on the machine counts little. A peer that is missing is left out, and it
//! is said why.
#![allow(clippy::print_stdout, reason = "the numbers are its output")]

mod bids;
mod peers;

use anyhow::{Context, Result, ensure};
use bd_schema::{
    AvroCodec, Codec, DelimitedCodec, Delimiter, Encoded, JsonCodec, JsonSchemaCodec, ProtobufCodec, Role,
    SchemaText, SchemaType,
};
use bids::{BATCH, One};
use peers::fastavro;
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

/// One thing to measure.
struct Case {
    name: String,
    /// Bytes of a record in the format.
    bytes: usize,
    /// Works through one batch.
    run: Box<dyn FnMut() -> Result<()>>,
}

/// What the thread has worked so far.
fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

fn main() -> Result<()> {
    let argument = |at: usize, default: usize| -> Result<usize> {
        Ok(std::env::args().nth(at).map_or(Ok(default), |text| text.parse())?)
    };
    let (rounds, batches) = (argument(1, 7)?, argument(2, 100)?);
    ensure!(rounds > 0 && batches > 0, "at least one round of one batch");
    let (mut cases, avro) = cases()?;
    let mut fastavro = fastavro::Peer::new(&avro);
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); cases.len()];
    let mut of_fastavro: Vec<(f64, f64)> = Vec::new();
    for case in &mut cases {
        (case.run)()?;
    }
    for _ in 0..rounds {
        for (case, rates) in cases.iter_mut().zip(&mut rates) {
            let started = cpu_time();
            for _ in 0..batches {
                (case.run)()?;
            }
            let took = cpu_time().saturating_sub(started);
            rates.push((batches * BATCH) as f64 / took.as_secs_f64());
        }
        if let Some(pair) = fastavro.round() {
            of_fastavro.push(pair);
        }
    }
    println!("{:<44} {:>12} {:>8} {:>8}", "case", "M records/s", "MB/s", "bytes");
    let line = |name: &str, rates: &mut Vec<f64>, bytes: usize| {
        rates.sort_by(f64::total_cmp);
        let rate = rates[rates.len() / 2];
        println!("{name:<44} {:>12.2} {:>8.0} {bytes:>8}", rate / 1e6, rate * bytes as f64 / 1e6);
    };
    for (case, rates) in cases.iter().zip(&mut rates) {
        line(&case.name, rates, case.bytes);
    }
    if of_fastavro.is_empty() {
        println!("fastavro: left out: {}", fastavro.missing());
    } else {
        let (mut read, mut written): (Vec<f64>, Vec<f64>) = of_fastavro.into_iter().unzip();
        line("decode AVRO to dicts, fastavro", &mut read, avro.bytes - 5);
        line("encode AVRO from dicts, fastavro", &mut written, avro.bytes - 5);
    }
    println!("medians of {rounds} interleaved rounds of {} records, one core, CPU time", batches * BATCH);
    Ok(())
}

/// Bids in Avro's framing, and their schema.
struct AvroBids {
    declaration: String,
    payloads: Vec<Vec<u8>>,
    bytes: usize,
}

/// The codecs that are measured.
fn codecs() -> Result<Vec<Arc<dyn Codec>>> {
    let (schema, subject) = (bids::schema(), "bids-value");
    let declared = ProtobufCodec::bare(schema.clone())?.declaration().to_owned();
    let protobuf = One::new(SchemaText::new(SchemaType::Protobuf, declared));
    let nothing = || One::new(SchemaText::avro("\"null\""));
    Ok(vec![
        Arc::new(JsonCodec::new(schema.clone())),
        Arc::new(JsonSchemaCodec::new(nothing(), subject, schema.clone(), Role::Value)),
        Arc::new(avro()?),
        Arc::new(ProtobufCodec::new(protobuf, subject, schema.clone())?),
        Arc::new(DelimitedCodec::new(schema, Delimiter::default()).context("DELIMITED holds no bids")?),
    ])
}

fn avro() -> Result<AvroCodec> {
    let of = |text: &str| {
        AvroCodec::new(One::new(SchemaText::avro(text)), "bids-value", bids::schema(), Role::Value)
    };
    Ok(of(of("\"null\"")?.declaration())?)
}

/// The cases, and the bids in Avro.
fn cases() -> Result<(Vec<Case>, AvroBids)> {
    let rows = bids::rows();
    let (mut decode, mut encode) = (Vec::new(), Vec::new());
    let mut avro_bids =
        AvroBids { declaration: avro()?.declaration().to_owned(), payloads: vec![], bytes: 0 };
    for codec in codecs()? {
        let format = codec.format();
        let mut payloads: Vec<Vec<u8>> = Vec::with_capacity(BATCH);
        for row in &rows {
            let mut out = Vec::new();
            codec.encode_row(row, &mut out)?;
            payloads.push(out);
        }
        let bytes = payloads.iter().map(Vec::len).sum::<usize>() / BATCH;
        let inputs: Vec<Option<&[u8]>> = payloads.iter().map(|p| Some(p.as_slice())).collect();
        let decoded = codec.decode_arrow(&inputs);
        ensure!(decoded.errors.is_empty(), "{format}: {}", decoded.errors[0]);
        let peers = match format {
            "JSON" => peers::json::cases(&payloads, &decoded.batch)?,
            "PROTOBUF" => peers::protobuf::cases(&payloads)?,
            "DELIMITED" => peers::delimited::cases(&payloads, &decoded.batch)?,
            _ => peers::Cases::default(),
        };
        decode.extend(peers.decode);
        encode.extend(peers.encode);
        let (of, batch) = (payloads.clone(), decoded.batch);
        let reader = Arc::clone(&codec);
        let run = Box::new(move || {
            let inputs: Vec<Option<&[u8]>> = of.iter().map(|p| Some(p.as_slice())).collect();
            black_box(reader.decode_arrow(black_box(&inputs)));
            Ok(())
        });
        decode.push(Case { name: format!("decode {format} to Arrow, bd"), bytes, run });
        let mut out = Encoded::default();
        let run = Box::new(move || {
            out.clear();
            codec.encode_arrow(black_box(&batch), &mut out)?;
            black_box(&out);
            Ok(())
        });
        encode.push(Case { name: format!("encode {format} from Arrow, bd"), bytes, run });
        if format == "AVRO" {
            (avro_bids.payloads, avro_bids.bytes) = (payloads, bytes);
        }
    }
    decode.extend(encode);
    Ok((decode, avro_bids))
}
