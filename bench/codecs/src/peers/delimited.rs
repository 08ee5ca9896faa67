//! Delimited text: `arrow-csv` to and from Arrow. It knows times as text only, so it gets them as the numbers that they are written as.

use super::{Cases, lines};
use crate::Case;
use crate::bids::BATCH;
use anyhow::{Result, anyhow, ensure};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMillisecondType};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_csv::{ReaderBuilder, WriterBuilder};
use arrow_schema::{DataType, Field, Schema};
use std::hint::black_box;
use std::sync::Arc;

pub(crate) fn cases(payloads: &[Vec<u8>], wanted: &RecordBatch) -> Result<Cases> {
    let bytes = payloads.iter().map(Vec::len).sum::<usize>() / BATCH;
    let (lines, wanted) = (lines(payloads), with_numbers(wanted)?);
    let schema = wanted.schema();
    let of = lines.clone();
    let read = move || -> Result<RecordBatch> {
        let mut decoder = ReaderBuilder::new(Arc::clone(&schema)).with_batch_size(BATCH + 1).build_decoder();
        let taken = decoder.decode(black_box(&of))?;
        ensure!(taken == of.len(), "arrow-csv took {taken} of {} bytes", of.len());
        decoder.flush()?.ok_or_else(|| anyhow!("arrow-csv read nothing"))
    };
    ensure!(read()? == wanted, "arrow-csv reads something else than bd");
    let write = move |out: &mut Vec<u8>| -> Result<()> {
        out.clear();
        WriterBuilder::new().with_header(false).build(out).write(black_box(&wanted))?;
        Ok(())
    };
    let mut out = Vec::new();
    write(&mut out)?;
    ensure!(out == lines, "arrow-csv writes something else than bd");
    let decode = Box::new(move || {
        black_box(read()?);
        Ok(())
    });
    let encode = Box::new(move || {
        write(&mut out)?;
        black_box(&out);
        Ok(())
    });
    Ok(Cases {
        decode: vec![Case { name: "decode DELIMITED to Arrow, arrow-csv".into(), bytes, run: decode }],
        encode: vec![Case { name: "encode DELIMITED from Arrow, arrow-csv".into(), bytes, run: encode }],
    })
}

/// The same with numbers for times.
fn with_numbers(batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| match column.as_primitive_opt::<TimestampMillisecondType>() {
            Some(times) => {
                let numbers: ArrayRef = Arc::new(times.reinterpret_cast::<Int64Type>());
                (Field::new(field.name(), DataType::Int64, field.is_nullable()), numbers)
            }
            None => (field.as_ref().clone(), Arc::clone(column)),
        })
        .unzip();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
