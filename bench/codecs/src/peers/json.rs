//! JSON: `arrow-json` to and from Arrow, `simd-json` to values that borrow from the text.

use super::{Cases, lines};
use crate::Case;
use crate::bids::BATCH;
use anyhow::{Result, anyhow, ensure};
use arrow_array::RecordBatch;
use arrow_json::{LineDelimitedWriter, ReaderBuilder};
use std::hint::black_box;

pub(crate) fn cases(payloads: &[Vec<u8>], batch: &RecordBatch) -> Result<Cases> {
    Ok(Cases { decode: decoders(payloads, batch)?, encode: encoders(batch)? })
}

fn decoders(payloads: &[Vec<u8>], wanted: &RecordBatch) -> Result<Vec<Case>> {
    let bytes = payloads.iter().map(Vec::len).sum::<usize>() / BATCH;
    let lines = lines(payloads);
    let schema = wanted.schema();
    let read = move || -> Result<RecordBatch> {
        let mut decoder = ReaderBuilder::new(schema.clone()).with_batch_size(BATCH).build_decoder()?;
        let taken = decoder.decode(black_box(&lines))?;
        ensure!(taken == lines.len(), "arrow-json took {taken} of {} bytes", lines.len());
        decoder.flush()?.ok_or_else(|| anyhow!("arrow-json read nothing"))
    };
    ensure!(read()? == *wanted, "arrow-json reads something else than bd");
    let arrow = Box::new(move || {
        black_box(read()?);
        Ok(())
    });
    // It parses in place, so each text is copied first, into the same memory.
    let (of, mut text) = (payloads.to_vec(), Vec::new());
    let mut buffers = simd_json::Buffers::default();
    let simd = Box::new(move || {
        for payload in &of {
            text.clear();
            text.extend_from_slice(payload);
            black_box(simd_json::to_borrowed_value_with_buffers(&mut text, &mut buffers)?);
        }
        Ok(())
    });
    Ok(vec![
        Case { name: "decode JSON to Arrow, arrow-json".into(), bytes, run: arrow },
        Case { name: "decode JSON to values, simd-json".into(), bytes, run: simd },
    ])
}

fn encoders(batch: &RecordBatch) -> Result<Vec<Case>> {
    let (batch, mut out) = (batch.clone(), Vec::new());
    let mut write = move || -> Result<usize> {
        out.clear();
        let mut writer = LineDelimitedWriter::new(&mut out);
        writer.write(black_box(&batch))?;
        writer.finish()?;
        drop(writer);
        Ok(out.len())
    };
    let bytes = write()? / BATCH;
    let run = Box::new(move || {
        black_box(write()?);
        Ok(())
    });
    Ok(vec![Case { name: "encode JSON from Arrow, arrow-json".into(), bytes, run }])
}
