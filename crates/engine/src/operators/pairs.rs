//! What both joins share: equality keys of both sides in one type, and the condition over candidate pairs.
//!
//! A pair is a row of the chunk in hand and a stored row of the other side; [`NONE`] for the stored row stands for NULLs.

use super::prune::{SideOf, columns_of};
use super::row_store::{NONE, RowStore};
use crate::chunk::Chunk;
use crate::error::EngineError;
use crate::expr::Compiled;
use arrow_array::{Array, ArrayRef, BooleanArray, NullArray, UInt32Array};
use arrow_schema::DataType as ArrowType;
use bd_sql::expr::Expr;
use std::sync::Arc;

/// Pairs that are evaluated, and rows that are emitted, at once.
pub(crate) const PIECE: usize = 8192;

/// A row of the chunk, and the stored row.
pub(crate) type Pair = (u32, u32);

/// The equality keys of a join.
pub(crate) struct JoinKeys {
    columns: [Vec<usize>; 2],
    types: Vec<ArrowType>,
}

impl JoinKeys {
    pub(crate) fn new(keys: &[(usize, usize)], left: &[ArrowType], right: &[ArrowType]) -> Self {
        let common = |(l, r): &(usize, usize)| match (&left[*l], &right[*r]) {
            (l, r) if l == r => l.clone(),
            (ArrowType::Int32 | ArrowType::Int64, ArrowType::Int32 | ArrowType::Int64) => ArrowType::Int64,
            (l, r) if l.is_numeric() && r.is_numeric() => ArrowType::Float64,
            (l, _) => l.clone(),
        };
        Self {
            columns: [keys.iter().map(|k| k.0).collect(), keys.iter().map(|k| k.1).collect()],
            types: keys.iter().map(common).collect(),
        }
    }

    /// The keys' common types.
    pub(crate) fn types(&self) -> &[ArrowType] {
        &self.types
    }

    /// The key columns of a side's rows.
    pub(crate) fn of(&self, side: SideOf, columns: &[ArrayRef]) -> Result<Vec<ArrayRef>, EngineError> {
        let places = &self.columns[usize::from(side == SideOf::Right)];
        let cast = |(place, to): (&usize, &ArrowType)| {
            let column = &columns[*place];
            if column.data_type() == to { Ok(column.clone()) } else { Ok(arrow_cast::cast(column, to)?) }
        };
        places.iter().zip(&self.types).map(cast).collect()
    }
}

/// Whether a row has a NULL among its key columns.
pub(crate) fn any_null(keys: &[ArrayRef], row: usize) -> bool {
    keys.iter().any(|k| k.is_null(row))
}

/// The condition of a join, evaluated on pairs.
pub(crate) struct PairCondition {
    condition: Option<(Compiled, Vec<usize>)>,
    left_columns: usize,
    columns: usize,
}

impl PairCondition {
    pub(crate) fn new(
        condition: Option<&Expr>,
        left_columns: usize,
        right_columns: usize,
    ) -> Result<Self, EngineError> {
        let compile = |e: &Expr| Ok::<_, EngineError>((Compiled::new(e)?, columns_of(e)));
        Ok(Self {
            condition: condition.map(compile).transpose()?,
            left_columns,
            columns: left_columns + right_columns,
        })
    }

    /// Keeps the pairs that meet the condition, evaluated in pieces over the columns that it uses.
    pub(crate) fn keep(
        &self,
        side: SideOf,
        chunk: &Chunk,
        stored: &RowStore,
        pairs: &mut Vec<Pair>,
        errors: &mut u64,
    ) -> Result<(), EngineError> {
        let Some((condition, used)) = &self.condition else { return Ok(()) };
        let mut kept = Vec::new();
        for piece in pairs.chunks(PIECE) {
            let (rows, located) = split(piece, stored);
            let unused: ArrayRef = Arc::new(NullArray::new(piece.len()));
            let mut columns = vec![unused; self.columns];
            for place in used {
                let (own, column) = match side {
                    SideOf::Left => (*place < self.left_columns, place.wrapping_sub(self.left_columns)),
                    SideOf::Right => (*place >= self.left_columns, *place),
                };
                columns[*place] = match (own, side) {
                    (true, SideOf::Left) => arrow_select::take::take(&chunk.columns[*place], &rows, None)?,
                    (true, SideOf::Right) => {
                        arrow_select::take::take(&chunk.columns[*place - self.left_columns], &rows, None)?
                    }
                    (false, _) => stored.column(column, &located)?,
                };
            }
            let met: BooleanArray = condition.eval_condition(&columns, piece.len(), errors)?;
            let holds = |i: usize| met.is_valid(i) && met.value(i);
            kept.extend(piece.iter().enumerate().filter(|(i, _)| holds(*i)).map(|(_, pair)| *pair));
        }
        *pairs = kept;
        Ok(())
    }
}

/// The columns of pairs: the chunk's, then the stored rows'.
pub(crate) fn columns_of_pairs(
    pairs: &[Pair],
    chunk: &Chunk,
    stored: &RowStore,
) -> Result<(Vec<ArrayRef>, Vec<ArrayRef>), EngineError> {
    let rows: UInt32Array = pairs.iter().map(|p| p.0).collect::<Vec<_>>().into();
    let ids: Vec<u32> = pairs.iter().map(|p| p.1).collect();
    Ok((chunk.take(&rows)?.columns, stored.gather(&ids)?))
}

/// Adds a pair with [`NONE`] for each row that has no pair and for which `wanted` is true, in the rows' order.
pub(crate) fn with_unmatched(pairs: Vec<Pair>, rows: usize, wanted: impl Fn(usize) -> bool) -> Vec<Pair> {
    let mut all = Vec::with_capacity(pairs.len() + rows / 4);
    let mut pairs = pairs.into_iter().peekable();
    for row in 0..rows as u32 {
        if pairs.peek().is_none_or(|p| p.0 != row) && wanted(row as usize) {
            all.push((row, NONE));
        }
        while let Some(pair) = pairs.next_if(|p| p.0 == row) {
            all.push(pair);
        }
    }
    all
}

fn split(pairs: &[Pair], stored: &RowStore) -> (UInt32Array, super::row_store::Located) {
    let ids: Vec<u32> = pairs.iter().map(|p| p.1).collect();
    (pairs.iter().map(|p| p.0).collect::<Vec<_>>().into(), stored.locate(&ids))
}
