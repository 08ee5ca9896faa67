//! `LeadLag` on a table: all within one change of one record, so that nothing is kept. The rows of one record's change share
//! their `origin` and come in one chunk.

use super::key_index::KeyIndex;
use crate::chunk::{Chunk, Op};
use crate::error::EngineError;
use crate::operator::{Operator, Output};
use arrow_array::{ArrayRef, Int64Array, UInt32Array};
use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType as ArrowType;
use bd_sql::plan::{WindowFunction, WindowFunctionKind};
use std::sync::Arc;

pub(crate) struct LeadLagTable {
    partition: Vec<usize>,
    partition_types: Vec<ArrowType>,
    order: usize,
    order_rows: RowConverter,
    functions: Vec<WindowFunction>,
}

impl LeadLagTable {
    pub(crate) fn new(
        types: &[ArrowType],
        partition: Vec<usize>,
        order: usize,
        functions: Vec<WindowFunction>,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            partition_types: partition.iter().map(|c| types[*c].clone()).collect(),
            partition,
            order,
            order_rows: RowConverter::new(vec![SortField::new(types[order].clone())])?,
            functions,
        })
    }
}

impl Operator for LeadLagTable {
    fn on_batch(&mut self, _port: usize, chunk: Chunk, out: &mut Output) -> Result<(), EngineError> {
        let partition: Vec<ArrayRef> = self.partition.iter().map(|c| chunk.columns[*c].clone()).collect();
        let keys = KeyIndex::new(&self.partition_types)?.ids(&partition, chunk.len)?;
        let order = self.order_rows.convert_columns(&chunk.columns[self.order..=self.order])?;
        let group = |row: u32| {
            let row = row as usize;
            (chunk.origin.as_ref().map_or(0, |o| o[row]), chunk.op(row) == Op::Insert, keys[row])
        };
        let mut sorted: Vec<u32> = (0..chunk.len as u32).collect();
        sorted.sort_by(|a, b| {
            group(*a).cmp(&group(*b)).then_with(|| order.row(*a as usize).cmp(&order.row(*b as usize)))
        });
        // Where each group starts and ends, by place in `sorted`.
        let mut columns = chunk.columns.clone();
        let mut seen: Vec<Vec<Option<u32>>> = vec![vec![None; chunk.len]; self.functions.len()];
        for members in sorted.chunk_by(|a, b| group(*a) == group(*b)) {
            for (place, row) in members.iter().enumerate() {
                for (function, seen) in self.functions.iter().zip(&mut seen) {
                    let other = match function.kind {
                        WindowFunctionKind::Lead => place.checked_add(function.offset as usize),
                        WindowFunctionKind::Lag => place.checked_sub(function.offset as usize),
                        WindowFunctionKind::RowNumber => {
                            seen[*row as usize] = Some(place as u32 + 1);
                            continue;
                        }
                    };
                    seen[*row as usize] = other.and_then(|p| members.get(p)).copied();
                }
            }
        }
        for (function, seen) in self.functions.iter().zip(seen) {
            columns.push(if function.kind == WindowFunctionKind::RowNumber {
                Arc::new(seen.into_iter().map(|n| n.map(i64::from)).collect::<Int64Array>())
            } else {
                let seen = UInt32Array::from(seen);
                arrow_select::take::take(&chunk.columns[function.column], &seen, None)?
            });
        }
        out.push(chunk.with_columns(columns));
        Ok(())
    }
}
