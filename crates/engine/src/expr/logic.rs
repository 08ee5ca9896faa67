//! AND, OR, NOT, IS NULL: three-valued.

use super::node::{Context, Kernel, Node};
use super::operand::{Operand, unexpected};
use crate::error::EngineError;
use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, NullBuffer};
use std::sync::Arc;

/// The rows where a condition is true, and those where it is false; the others are NULL.
struct Truth {
    yes: BooleanBuffer,
    no: BooleanBuffer,
}

impl Truth {
    /// Of an operand that holds for `len` rows.
    fn of(operand: &Operand, len: usize) -> Result<Self, EngineError> {
        let array = boolean(operand)?;
        if operand.scalar {
            let constant =
                |on: bool| if on { BooleanBuffer::new_set(len) } else { BooleanBuffer::new_unset(len) };
            let known = array.is_valid(0);
            return Ok(Self {
                yes: constant(known && array.value(0)),
                no: constant(known && !array.value(0)),
            });
        }
        let values = array.values();
        Ok(match array.nulls() {
            Some(nulls) => Self { yes: values & nulls.inner(), no: &!values & nulls.inner() },
            None => Self { yes: values.clone(), no: !values },
        })
    }

    fn into_array(self) -> BooleanArray {
        let known = &self.yes | &self.no;
        let nulls = (known.count_set_bits() < known.len()).then(|| NullBuffer::new(known));
        BooleanArray::new(self.yes, nulls)
    }

    /// Spreads the truth of the set rows of `rows` over all of them.
    fn spread(self, rows: &BooleanBuffer) -> Self {
        let over = |bits: &BooleanBuffer| {
            let mut out = BooleanBufferBuilder::new(rows.len());
            out.append_n(rows.len(), false);
            for (place, row) in rows.set_indices().enumerate() {
                if bits.value(place) {
                    out.set_bit(row, true);
                }
            }
            out.finish()
        };
        Self { yes: over(&self.yes), no: over(&self.no) }
    }
}

fn boolean(operand: &Operand) -> Result<&BooleanArray, EngineError> {
    operand.array.as_boolean_opt().ok_or_else(|| unexpected(&arrow_schema::DataType::Boolean, &operand.array))
}

/// The rows, of `len`, where a condition is true.
pub(super) fn met(operand: &Operand, len: usize) -> Result<BooleanBuffer, EngineError> {
    Ok(Truth::of(operand, len)?.yes)
}

/// `left AND right`, `left OR right`. A right side that can fail is evaluated only where the left one does not decide.
pub(super) fn eval(
    or: bool,
    left: &Node,
    right: &Node,
    context: &mut Context<'_>,
) -> Result<Operand, EngineError> {
    let len = context.len;
    let first = left.eval(context)?;
    let l = Truth::of(&first, len)?;
    let r = if right.can_fail {
        let undecided = if or { !&l.yes } else { !&l.no };
        let count = undecided.count_set_bits();
        if count == 0 {
            // Nothing is left to decide.
            return Ok(Operand::column(Arc::new(l.into_array())));
        }
        if count == len {
            Truth::of(&right.eval(context)?, len)?
        } else {
            let selected = right.eval_selected(context, &undecided)?;
            Truth::of(&selected, count)?.spread(&undecided)
        }
    } else {
        let second = right.eval(context)?;
        if first.scalar && second.scalar {
            let both = combine(or, &Truth::of(&first, 1)?, &Truth::of(&second, 1)?);
            return Ok(Operand::scalar(Arc::new(both.into_array())));
        }
        Truth::of(&second, len)?
    };
    Ok(Operand::column(Arc::new(combine(or, &l, &r).into_array())))
}

fn combine(or: bool, l: &Truth, r: &Truth) -> Truth {
    if or {
        Truth { yes: &l.yes | &r.yes, no: &l.no & &r.no }
    } else {
        Truth { yes: &l.yes & &r.yes, no: &l.no | &r.no }
    }
}

/// `any(a, b, ...)`: OR of conditions that are all evaluated.
pub(super) fn any(conditions: &[Operand], len: usize) -> Result<BooleanArray, EngineError> {
    let mut all = Truth { yes: BooleanBuffer::new_unset(len), no: BooleanBuffer::new_set(len) };
    for condition in conditions {
        all = combine(true, &all, &Truth::of(condition, len)?);
    }
    Ok(all.into_array())
}

/// `NOT x`.
pub(super) fn not() -> Kernel {
    Kernel::total(|args, _, _| {
        let array = boolean(&args[0])?;
        Ok(Arc::new(BooleanArray::new(!array.values(), array.nulls().cloned())))
    })
}

/// `x IS NULL`.
pub(super) fn is_null() -> Kernel {
    Kernel::lenient(|args, len, _| {
        let values = match args[0].array.logical_nulls() {
            Some(nulls) => !nulls.inner(),
            None => BooleanBuffer::new_unset(len),
        };
        Ok(Arc::new(BooleanArray::new(values, None)))
    })
}
