//! `bd-codec-bench [ROUNDS [BATCHES]]`: records a second and core, of bd's codecs and of others, on Nexmark's bids.
//!
//! ```text
//!  bids ─▶ the same records in every format ─▶ cases ─▶ rounds: every case in turn, so many batches ─▶ medians
//! ```
//! Time is the thread's CPU time, so that what else runs on the machine counts little. A peer that is missing is left out, and it
//! is said why.
#![allow(clippy::print_stdout, reason = "the numbers are its output")]

mod bids;
mod fastavro;
mod peers;

use anyhow::{Result, ensure};
use bd_schema::{AvroCodec, Codec, Encoded, JsonCodec, JsonSchemaCodec, Role};
use bids::{BATCH, One};
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
    println!("{:<34} {:>12} {:>8} {:>8}", "case", "M records/s", "MB/s", "bytes");
    let line = |name: &str, rates: &mut Vec<f64>, bytes: usize| {
        rates.sort_by(f64::total_cmp);
        let rate = rates[rates.len() / 2];
        println!("{name:<34} {:>12.2} {:>8.0} {bytes:>8}", rate / 1e6, rate * bytes as f64 / 1e6);
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

/// The cases, and the bids in Avro.
fn cases() -> Result<(Vec<Case>, AvroBids)> {
    let schema = bids::schema();
    let rows = bids::rows();
    let avro = AvroCodec::new(One::new(), "bids-value", schema.clone(), Role::Value)?;
    let declaration = avro.declaration().to_owned();
    let avro = AvroCodec::new(One::avro(&declaration), "bids-value", schema.clone(), Role::Value)?;
    let codecs: Vec<Arc<dyn Codec>> = vec![
        Arc::new(JsonCodec::new(schema.clone())),
        Arc::new(JsonSchemaCodec::new(One::new(), "bids-value", schema.clone(), Role::Value)),
        Arc::new(avro),
    ];
    let (mut decode, mut encode) = (Vec::new(), Vec::new());
    let mut avro_payloads = Vec::new();
    for codec in codecs {
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
        if format == "JSON" {
            decode.extend(peers::decoders(&payloads, &decoded.batch)?);
            encode.extend(peers::encoders(&decoded.batch)?);
        }
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
        avro_payloads = payloads;
    }
    let bytes = avro_payloads.iter().map(Vec::len).sum::<usize>() / BATCH;
    decode.extend(encode);
    Ok((decode, AvroBids { declaration, payloads: avro_payloads, bytes }))
}
