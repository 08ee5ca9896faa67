//! `Unnest`: each row once per element of an array or entry of a map, with the element's columns behind its own.

use crate::chunk::Chunk;
use crate::error::EngineError;
use crate::expr::Compiled;
use crate::operator::{Operator, OperatorStats, Output};
use arrow_array::{Array, ArrayRef, StructArray, UInt32Array, cast::AsArray};
use arrow_schema::DataType as ArrowType;
use bd_sql::expr::Expr;

pub(crate) struct Unnest {
    expr: Compiled,
    errors: u64,
}

impl Unnest {
    pub(crate) fn new(expr: &Expr) -> Result<Self, EngineError> {
        Ok(Self { expr: Compiled::new(expr)?, errors: 0 })
    }
}

impl Operator for Unnest {
    fn on_batch(&mut self, _port: usize, chunk: Chunk, out: &mut Output) -> Result<(), EngineError> {
        let nested = self.expr.eval(&chunk.columns, chunk.len, &mut self.errors)?;
        let (offsets, elements): (&[i32], Vec<ArrayRef>) = match nested.data_type() {
            ArrowType::List(_) => {
                let list = nested.as_list::<i32>();
                (list.value_offsets(), element_columns(list.values())?)
            }
            ArrowType::Map(..) => {
                let map = nested.as_map();
                (map.value_offsets(), vec![map.keys().clone(), map.values().clone()])
            }
            other => return Err(EngineError::Unsupported(format!("UNNEST of {other}"))),
        };
        let mut rows: Vec<u32> = Vec::new();
        let mut places: Vec<u32> = Vec::new();
        for row in (0..chunk.len).filter(|row| nested.is_valid(*row)) {
            let range = offsets[row] as u32..offsets[row + 1] as u32;
            rows.resize(rows.len() + range.len(), row as u32);
            places.extend(range);
        }
        let mut unnested = chunk.take(&UInt32Array::from(rows))?;
        let places = UInt32Array::from(places);
        for column in elements {
            unnested.columns.push(arrow_select::take::take(&column, &places, None)?);
        }
        out.push(unnested);
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats { processing_errors: self.errors, ..OperatorStats::default() }
    }
}

/// A struct as its fields (those of a NULL struct are NULL), anything else as itself.
fn element_columns(values: &ArrayRef) -> Result<Vec<ArrayRef>, EngineError> {
    let Some(structs) = values.as_any().downcast_ref::<StructArray>() else {
        return Ok(vec![values.clone()]);
    };
    let Some(nulls) = structs.nulls().filter(|n| n.null_count() > 0) else {
        return Ok(structs.columns().to_vec());
    };
    let valid_places: UInt32Array =
        (0..structs.len()).map(|i| nulls.is_valid(i).then_some(i as u32)).collect();
    let take = |c: &ArrayRef| Ok(arrow_select::take::take(c, &valid_places, None)?);
    structs.columns().iter().map(take).collect()
}
