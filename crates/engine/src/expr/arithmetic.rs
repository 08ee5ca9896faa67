//! `+ - * / %` and negation: checked. Overflow and division by zero fail the row.

use super::decimal;
use super::node::Kernel;
use super::operand::{Failures, Operand, Values, valid_rows};
use crate::error::EngineError;
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{ArrayRef, PrimitiveArray};
use arrow_buffer::{NullBuffer, NullBufferBuilder};
use arrow_schema::DataType as ArrowType;
use bd_schema::DataType;
use bd_sql::expr::BinaryOp;
use std::sync::Arc;

/// The checked operations of an integer type; each is its own closure, so that its loop has it inlined.
macro_rules! integers {
    ($op:expr, $native:ty, $arrow:ty, $result:expr) => {{
        let wanted = $result.to_arrow();
        macro_rules! kernel {
            ($f:expr) => {
                Ok(Kernel::partial(move |args, len, failures| {
                    retype(binary::<$arrow, $arrow, $arrow>(args, len, failures, $f)?, &wanted)
                }))
            };
        }
        match $op {
            BinaryOp::Add => kernel!(|a: $native, b| a.checked_add(b)),
            BinaryOp::Subtract => kernel!(|a: $native, b| a.checked_sub(b)),
            BinaryOp::Multiply => kernel!(|a: $native, b| a.checked_mul(b)),
            BinaryOp::Divide => kernel!(|a: $native, b| a.checked_div(b)),
            // The least value % -1 is 0, though its quotient overflows.
            BinaryOp::Modulo => kernel!(|a: $native, b| (b != 0).then(|| a.wrapping_rem(b))),
            other => Err(unsupported(other, $result)),
        }
    }};
}

/// An arithmetic operation of operands of type `operand` (times and BIGINT count as BIGINT).
///
/// # Errors
/// A type that has no such operation.
pub(super) fn kernel(
    op: BinaryOp,
    operands: [&DataType; 2],
    result: &DataType,
) -> Result<Kernel, EngineError> {
    match result {
        DataType::Integer => integers!(op, i32, Int32Type, result),
        DataType::BigInt | DataType::Timestamp => integers!(op, i64, Int64Type, result),
        DataType::Double => doubles(op),
        DataType::Decimal(..) => decimal::arithmetic(op, operands, result),
        other => Err(unsupported(op, other)),
    }
}

pub(super) fn unsupported(op: BinaryOp, data_type: &DataType) -> EngineError {
    EngineError::Unsupported(format!("{op:?} with the result {data_type}"))
}

fn doubles(op: BinaryOp) -> Result<Kernel, EngineError> {
    macro_rules! kernel {
        ($f:expr) => {
            Ok(Kernel::partial(|args, len, failures| {
                let out = binary::<Float64Type, Float64Type, Float64Type>(args, len, failures, $f)?;
                Ok(Arc::new(out))
            }))
        };
    }
    match op {
        BinaryOp::Add => kernel!(|a, b| Some(a + b)),
        BinaryOp::Subtract => kernel!(|a, b| Some(a - b)),
        BinaryOp::Multiply => kernel!(|a, b| Some(a * b)),
        BinaryOp::Divide => kernel!(|a, b| (b != 0.0).then(|| a / b)),
        BinaryOp::Modulo => kernel!(|a, b| (b != 0.0).then(|| a % b)),
        other => Err(EngineError::Unsupported(format!("{other:?} as arithmetic"))),
    }
}

/// 64-bit results as the type that is wanted: BIGINT and TIMESTAMP share their representation.
fn retype<T: ArrowPrimitiveType>(
    out: PrimitiveArray<T>,
    wanted: &ArrowType,
) -> Result<ArrayRef, EngineError> {
    let out: ArrayRef = Arc::new(out);
    match wanted {
        ArrowType::Timestamp(..) => as_timestamp(&out),
        _ => Ok(out),
    }
}

/// BIGINT milliseconds as TIMESTAMP, without a copy.
pub(super) fn as_timestamp(array: &ArrayRef) -> Result<ArrayRef, EngineError> {
    let ms = array
        .as_primitive_opt::<Int64Type>()
        .ok_or_else(|| super::operand::unexpected(&ArrowType::Int64, array))?;
    Ok(Arc::new(ms.reinterpret_cast::<TimestampMillisecondType>()))
}

/// TIMESTAMP as BIGINT milliseconds, without a copy.
pub(super) fn as_bigint(array: &ArrayRef) -> Result<ArrayRef, EngineError> {
    let wanted = TimestampMillisecondType::DATA_TYPE;
    let at = array
        .as_primitive_opt::<TimestampMillisecondType>()
        .ok_or_else(|| super::operand::unexpected(&wanted, array))?;
    Ok(Arc::new(at.reinterpret_cast::<Int64Type>()))
}

/// `-x`.
///
/// # Errors
/// A type that has no negation.
pub(super) fn negate(data_type: &DataType) -> Result<Kernel, EngineError> {
    Ok(match data_type {
        DataType::Integer => Kernel::partial(|args, len, failures| {
            let out = unary::<Int32Type, Int32Type>(&args[0], len, failures, i32::checked_neg)?;
            Ok(Arc::new(out))
        }),
        DataType::BigInt => Kernel::partial(|args, len, failures| {
            let out = unary::<Int64Type, Int64Type>(&args[0], len, failures, i64::checked_neg)?;
            Ok(Arc::new(out))
        }),
        DataType::Double => Kernel::total(|args, len, failures| {
            let out = unary::<Float64Type, Float64Type>(&args[0], len, failures, |x| Some(-x))?;
            Ok(Arc::new(out))
        }),
        DataType::Decimal(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            Kernel::total(move |args, len, failures| {
                let out =
                    unary::<Decimal128Type, Decimal128Type>(&args[0], len, failures, i128::checked_neg)?;
                Ok(Arc::new(out.with_precision_and_scale(precision, scale)?))
            })
        }
        other => return Err(EngineError::Unsupported(format!("the negation of {other}"))),
    })
}

/// `f` of each value; a row whose result is `None` fails.
pub(super) fn unary<A: ArrowPrimitiveType, R: ArrowPrimitiveType>(
    operand: &Operand,
    len: usize,
    failures: &mut Failures,
    f: impl Fn(A::Native) -> Option<R::Native>,
) -> Result<PrimitiveArray<R>, EngineError> {
    let values = operand.values::<A>()?;
    let valid = valid_rows(&[operand], len);
    let mut bad = false;
    let out: Vec<R::Native> = values.values[..len].iter().map(|v| or_default(f(*v), &mut bad)).collect();
    let nulls = if bad { check(valid, len, failures, |row| f(values.values[row]).is_some()) } else { valid };
    Ok(PrimitiveArray::new(out.into(), nulls))
}

/// `f` of each pair of values; a row whose result is `None` fails.
pub(super) fn binary<A: ArrowPrimitiveType, B: ArrowPrimitiveType, R: ArrowPrimitiveType>(
    args: &[Operand],
    len: usize,
    failures: &mut Failures,
    f: impl Fn(A::Native, B::Native) -> Option<R::Native>,
) -> Result<PrimitiveArray<R>, EngineError> {
    let (a, b): (Values<'_, A::Native>, Values<'_, B::Native>) =
        (args[0].values::<A>()?, args[1].values::<B>()?);
    let valid = valid_rows(&[&args[0], &args[1]], len);
    let mut bad = false;
    // What lies under a NULL is computed too, because that is cheaper than asking; `check` sorts it out.
    let out: Vec<R::Native> = match (a.scalar, b.scalar) {
        (false, false) => a.values[..len]
            .iter()
            .zip(&b.values[..len])
            .map(|(x, y)| or_default(f(*x, *y), &mut bad))
            .collect(),
        (false, true) => {
            let y = b.values[0];
            a.values[..len].iter().map(|x| or_default(f(*x, y), &mut bad)).collect()
        }
        (true, false) => {
            let x = a.values[0];
            b.values[..len].iter().map(|y| or_default(f(x, *y), &mut bad)).collect()
        }
        (true, true) => vec![or_default(f(a.values[0], b.values[0]), &mut bad); len],
    };
    let nulls = if bad {
        let at = |values: &Values<'_, _>, row| values.values[if values.scalar { 0 } else { row }];
        let at_b = |row| b.values[if b.scalar { 0 } else { row }];
        check(valid, len, failures, |row| f(at(&a, row), at_b(row)).is_some())
    } else {
        valid
    };
    Ok(PrimitiveArray::new(out.into(), nulls))
}

#[inline(always)]
fn or_default<T: Default>(value: Option<T>, bad: &mut bool) -> T {
    value.unwrap_or_else(|| {
        *bad = true;
        T::default()
    })
}

/// The rows that are valid and succeed; those that are valid and do not are marked.
fn check(
    valid: Option<NullBuffer>,
    len: usize,
    failures: &mut Failures,
    succeeds: impl Fn(usize) -> bool,
) -> Option<NullBuffer> {
    let mut nulls = NullBufferBuilder::new(len);
    for row in 0..len {
        let is_valid = valid.as_ref().is_none_or(|v| v.is_valid(row));
        let ok = is_valid && succeeds(row);
        if is_valid && !ok {
            failures.mark(row);
        }
        nulls.append(ok);
    }
    nulls.build()
}
