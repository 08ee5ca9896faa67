//! The end of a chain: documents that had no schema leave without one, and what was split only by its schemas is one batch again.

use super::Flow;
use crate::sdk::{Cells, Shape};
use bd_schema::{Codec, JsonCodec};
use std::sync::Arc;

/// The flows as they leave a chain. A record that JSON cannot hold keeps its rows, of which the converter says the same.
pub(super) fn leave(flows: Vec<Flow>) -> Vec<Flow> {
    let mut out: Vec<Flow> = Vec::with_capacity(flows.len());
    for mut flow in flows.into_iter().filter(|flow| flow.len() > 0) {
        if flow.schemaless.keys {
            without_schema(&mut flow.batch.keys);
        }
        if flow.schemaless.values {
            without_schema(&mut flow.batch.values);
        }
        match out.last_mut() {
            Some(last) if fits(last, &flow) => append(last, flow),
            _ => out.push(flow),
        }
    }
    out
}

/// Structs become JSON text; a single value stays, since converters write it in their own ways.
fn without_schema(cells: &mut Cells) {
    let Cells::Rows { schema, rows } = cells else { return };
    let Shape::Struct { schema: columns, .. } = &schema.shape else { return };
    let codec = JsonCodec::new(columns.clone());
    let text = |row: &Vec<bd_schema::Value>| {
        let mut text = Vec::new();
        codec.encode_row(row, &mut text).map(|()| text)
    };
    if let Ok(cells_of) = rows.iter().map(|row| row.as_ref().map(text).transpose()).collect() {
        *cells = Cells::Bytes(cells_of);
    }
}

fn fits(a: &Flow, b: &Flow) -> bool {
    let (x, y) = (&a.batch, &b.batch);
    x.topic == y.topic
        && x.partition == y.partition
        && x.timestamps.is_empty() == y.timestamps.is_empty()
        && cells_fit(&x.keys, &y.keys)
        && cells_fit(&x.values, &y.values)
}

fn cells_fit(a: &Cells, b: &Cells) -> bool {
    match (a, b) {
        (Cells::Null(_) | Cells::Bytes(_), Cells::Null(_) | Cells::Bytes(_)) => true,
        (Cells::Rows { schema: x, .. }, Cells::Rows { schema: y, .. }) => Arc::ptr_eq(x, y) || x == y,
        _ => false,
    }
}

fn append(to: &mut Flow, mut flow: Flow) {
    let before = to.len();
    append_cells(&mut to.batch.keys, std::mem::replace(&mut flow.batch.keys, Cells::Null(0)));
    append_cells(&mut to.batch.values, std::mem::replace(&mut flow.batch.values, Cells::Null(0)));
    to.batch.timestamps.append(&mut flow.batch.timestamps);
    if !to.batch.headers.is_empty() || !flow.batch.headers.is_empty() {
        to.batch.headers.resize(before, Vec::new());
        flow.batch.headers.resize(flow.origins.len(), Vec::new());
        to.batch.headers.append(&mut flow.batch.headers);
    }
    to.origins.append(&mut flow.origins);
    to.offsets.append(&mut flow.offsets);
}

fn append_cells(to: &mut Cells, cells: Cells) {
    match (to, cells) {
        (Cells::Null(a), Cells::Null(b)) => *a += b,
        (Cells::Rows { rows, .. }, Cells::Rows { rows: mut more, .. }) => rows.append(&mut more),
        (Cells::Bytes(a), more) => a.extend(into_bytes(more)),
        (to, more) => {
            let mut all = into_bytes(std::mem::replace(to, Cells::Null(0)));
            all.extend(into_bytes(more));
            *to = Cells::Bytes(all);
        }
    }
}

/// Nulls and bytes, which [`fits`] lets through.
fn into_bytes(cells: Cells) -> Vec<Option<Vec<u8>>> {
    match cells {
        Cells::Bytes(cells) => cells,
        other => vec![None; other.len()],
    }
}
