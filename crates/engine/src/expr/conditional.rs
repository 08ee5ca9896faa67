//! CASE and COALESCE: a result is evaluated, and its errors counted, only for the rows that take it.

use super::node::{Context, Node};
use super::operand::Operand;
use super::{literal, logic};
use crate::error::EngineError;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::BooleanBuffer;
use bd_schema::DataType;

/// Which of several arrays each row takes its value from, and from where in it.
struct Choice {
    sources: Vec<ArrayRef>,
    /// (source, place) a row; source 0 is NULL.
    places: Vec<(usize, usize)>,
}

impl Choice {
    fn new(data_type: &DataType, len: usize) -> Self {
        Self { sources: vec![literal::null(data_type)], places: vec![(0, 0); len] }
    }

    /// The rows `rows` take `operand`, which holds only their values if `compact`.
    fn take(&mut self, rows: &BooleanBuffer, operand: &Operand, compact: bool) {
        let source = self.sources.len();
        self.sources.push(operand.array.clone());
        for (place, row) in rows.set_indices().enumerate() {
            let place = if operand.scalar {
                0
            } else if compact {
                place
            } else {
                row
            };
            self.places[row] = (source, place);
        }
    }

    fn finish(self) -> Result<Operand, EngineError> {
        let sources: Vec<&dyn Array> = self.sources.iter().map(AsRef::as_ref).collect();
        Ok(Operand::column(arrow_select::interleave::interleave(&sources, &self.places)?))
    }
}

/// Evaluates a node for the set rows of `rows`: whether the result holds those alone, and the result.
fn eval_for(
    node: &Node,
    rows: &BooleanBuffer,
    context: &mut Context<'_>,
) -> Result<(bool, Operand), EngineError> {
    // What cannot fail is cheaper over all rows than selecting them is.
    if node.can_fail && rows.has_false() {
        Ok((true, node.eval_selected(context, rows)?))
    } else {
        Ok((false, node.eval(context)?))
    }
}

/// `CASE WHEN .. THEN .. ELSE .. END`.
pub(super) fn case(
    branches: &[(Node, Node)],
    otherwise: Option<&Node>,
    data_type: &DataType,
    context: &mut Context<'_>,
) -> Result<Operand, EngineError> {
    let mut choice = Choice::new(data_type, context.len);
    let mut open = BooleanBuffer::new_set(context.len);
    for (condition, value) in branches {
        if !open.has_true() {
            break;
        }
        let (compact, operand) = eval_for(condition, &open, context)?;
        let met = if compact {
            let met = logic::met(&operand, open.count_set_bits())?;
            spread(&met, &open)
        } else {
            &logic::met(&operand, context.len)? & &open
        };
        if met.has_true() {
            let (compact, operand) = eval_for(value, &met, context)?;
            choice.take(&met, &operand, compact);
            open = &open & &!&met;
        }
    }
    if let Some(node) = otherwise
        && open.has_true()
    {
        let (compact, operand) = eval_for(node, &open, context)?;
        choice.take(&open, &operand, compact);
    }
    choice.finish()
}

/// `COALESCE(a, b, ...)`.
pub(super) fn coalesce(
    args: &[Node],
    data_type: &DataType,
    context: &mut Context<'_>,
) -> Result<Operand, EngineError> {
    let mut choice = Choice::new(data_type, context.len);
    let mut open = BooleanBuffer::new_set(context.len);
    for (i, arg) in args.iter().enumerate() {
        if !open.has_true() {
            break;
        }
        let (compact, operand) = eval_for(arg, &open, context)?;
        let valid = match operand.array.logical_nulls() {
            None if i == 0 => return Ok(operand),
            None => open.clone(),
            Some(_) if operand.scalar => continue,
            Some(nulls) if compact => {
                let taken = spread(nulls.inner(), &open);
                // The places are those among the open rows, so each row's is counted over all of these.
                let source = choice.sources.len();
                choice.sources.push(operand.array.clone());
                for (place, row) in open.set_indices().enumerate() {
                    if taken.value(row) {
                        choice.places[row] = (source, place);
                    }
                }
                open = &open & &!&taken;
                continue;
            }
            Some(nulls) => &open & nulls.inner(),
        };
        choice.take(&valid, &operand, compact);
        open = &open & &!&valid;
    }
    choice.finish()
}

/// The bits of the set rows of `rows`, spread over all of them.
fn spread(bits: &BooleanBuffer, rows: &BooleanBuffer) -> BooleanBuffer {
    let mut out = arrow_buffer::BooleanBufferBuilder::new(rows.len());
    out.append_n(rows.len(), false);
    for (place, row) in rows.set_indices().enumerate() {
        out.set_bit(row, bits.value(place));
    }
    out.finish()
}
