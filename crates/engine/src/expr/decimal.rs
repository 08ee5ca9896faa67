//! DECIMAL: unscaled 128-bit values.

use super::arithmetic::binary;
use super::node::Kernel;
use crate::error::EngineError;
use arrow_array::types::Decimal128Type;
use bd_schema::DataType;
use bd_sql::expr::BinaryOp;
use std::sync::Arc;

/// Ten to the power of `exponent`; `None` where 128 bits do not hold it.
pub(super) fn power_of_ten(exponent: u32) -> Option<i128> {
    10i128.checked_pow(exponent)
}

/// Whether it has no more than `precision` digits.
pub(super) fn fits(unscaled: i128, precision: u8) -> bool {
    power_of_ten(u32::from(precision)).is_none_or(|limit| unscaled.unsigned_abs() < limit.unsigned_abs())
}

/// An unscaled value of scale `from` at scale `to`, rounded half away from zero, as ksqlDB's HALF_UP.
pub(super) fn rescale(unscaled: i128, from: i8, to: i8) -> Option<i128> {
    let shift = i32::from(to) - i32::from(from);
    let factor = power_of_ten(shift.unsigned_abs());
    if shift >= 0 {
        return if unscaled == 0 { Some(0) } else { unscaled.checked_mul(factor?) };
    }
    let Some(factor) = factor else { return Some(0) };
    let (quotient, remainder) = (unscaled / factor, unscaled % factor);
    let up = remainder.unsigned_abs() >= factor.unsigned_abs().div_ceil(2);
    Some(if up { quotient + unscaled.signum() } else { quotient })
}

/// `+ - * %` of DECIMALs. `+ - %` rescale both operands to the greater scale first.
///
/// # Errors
/// Division, and operands that are not DECIMAL.
pub(super) fn arithmetic(
    op: BinaryOp,
    operands: [&DataType; 2],
    result: &DataType,
) -> Result<Kernel, EngineError> {
    let (DataType::Decimal(_, left), DataType::Decimal(_, right), DataType::Decimal(precision, scale)) =
        (operands[0], operands[1], result)
    else {
        let (l, r) = (operands[0], operands[1]);
        return Err(EngineError::Unsupported(format!("{op:?} of {l} and {r} as {result}")));
    };
    let (left, right, precision, scale) = (*left, *right, *precision, *scale);
    let common = left.max(right);
    let aligned = move |f: fn(i128, i128) -> Option<i128>| {
        move |a: i128, b: i128| f(rescale(a, left, common)?, rescale(b, right, common)?)
    };
    let exact: Box<dyn Fn(i128, i128) -> Option<i128> + Send + Sync> = match op {
        BinaryOp::Add => Box::new(aligned(i128::checked_add)),
        BinaryOp::Subtract => Box::new(aligned(i128::checked_sub)),
        BinaryOp::Modulo => Box::new(aligned(i128::checked_rem)),
        BinaryOp::Multiply => Box::new(i128::checked_mul),
        BinaryOp::Divide => {
            let what = "division of DECIMAL: cast to DOUBLE first; it".to_owned();
            return Err(EngineError::Unsupported(what));
        }
        other => return Err(EngineError::Unsupported(format!("{other:?} as arithmetic"))),
    };
    let from = if op == BinaryOp::Multiply {
        left.checked_add(right).ok_or_else(|| EngineError::Unsupported(format!("the scale of {result}")))?
    } else {
        common
    };
    Ok(Kernel::partial(move |args, len, failures| {
        let f = |a, b| rescale(exact(a, b)?, from, scale).filter(|v| fits(*v, precision));
        let out = binary::<Decimal128Type, Decimal128Type, Decimal128Type>(args, len, failures, f)?;
        Ok(Arc::new(out.with_precision_and_scale(precision, scale)?))
    }))
}
