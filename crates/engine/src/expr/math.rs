//! Functions of numbers.

use super::arithmetic::{binary, unary};
use super::compile::coerce;
use super::node::{Kernel, Node};
use super::{cast, decimal};
use crate::error::EngineError;
use arrow_array::types::*;
use bd_schema::DataType;
use bd_sql::expr::Function;
use std::sync::Arc;

/// `ABS(x)`: of the least integer it overflows.
///
/// # Errors
/// No number.
pub(super) fn abs(data_type: &DataType) -> Result<Kernel, EngineError> {
    Ok(match data_type {
        DataType::Integer => Kernel::partial(|args, len, failures| {
            Ok(Arc::new(unary::<Int32Type, Int32Type>(&args[0], len, failures, i32::checked_abs)?))
        }),
        DataType::BigInt => Kernel::partial(|args, len, failures| {
            Ok(Arc::new(unary::<Int64Type, Int64Type>(&args[0], len, failures, i64::checked_abs)?))
        }),
        DataType::Double => Kernel::total(|args, len, failures| {
            Ok(Arc::new(unary::<Float64Type, Float64Type>(&args[0], len, failures, |x| Some(x.abs()))?))
        }),
        DataType::Decimal(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            Kernel::total(move |args, len, failures| {
                let out =
                    unary::<Decimal128Type, Decimal128Type>(&args[0], len, failures, i128::checked_abs)?;
                Ok(Arc::new(out.with_precision_and_scale(precision, scale)?))
            })
        }
        other => return Err(EngineError::Unsupported(format!("ABS of {other}"))),
    })
}

/// `SQRT(x)`: of a negative number it is NaN, as Java's.
pub(super) fn sqrt() -> Kernel {
    Kernel::total(|args, len, failures| {
        Ok(Arc::new(unary::<Float64Type, Float64Type>(&args[0], len, failures, |x| Some(x.sqrt()))?))
    })
}

/// `POWER(x, y)`.
pub(super) fn power() -> Kernel {
    Kernel::total(|args, len, failures| {
        let f = |x: f64, y: f64| Some(x.powf(y));
        Ok(Arc::new(binary::<Float64Type, Float64Type, Float64Type>(args, len, failures, f)?))
    })
}

/// `FLOOR(x)`, `CEIL(x)`, `ROUND(x [, decimals])`. Halves are rounded towards positive infinity, as ksqlDB's.
///
/// # Errors
/// No number.
pub(super) fn rounding(function: Function, args: Vec<Node>, wanted: &DataType) -> Result<Node, EngineError> {
    let of = args[0].data_type.clone();
    let mut args = args.into_iter();
    let mut nodes: Vec<Node> = args.next().into_iter().collect();
    let has_decimals = args.len() > 0;
    for arg in args {
        nodes.push(coerce(arg, &DataType::BigInt)?);
    }
    let kernel = match (&of, wanted) {
        (DataType::Integer | DataType::BigInt, DataType::Integer | DataType::BigInt) if !has_decimals => {
            let node = nodes.remove(0);
            return coerce(node, wanted);
        }
        (DataType::Integer | DataType::BigInt, DataType::Integer | DataType::BigInt) => {
            let first = coerce(nodes.remove(0), &DataType::BigInt)?;
            nodes.insert(0, first);
            let node = Node::apply(round_integer(), nodes, DataType::BigInt)?;
            return super::compile::cast_to(node, wanted);
        }
        (DataType::Double, DataType::Double) if has_decimals => round_double(),
        (DataType::Double, DataType::Double) => whole_double(function),
        (DataType::Double, DataType::BigInt | DataType::Integer) => {
            let node = Node::apply(whole_double(function), nodes, DataType::Double)?;
            return super::compile::cast_to(node, wanted);
        }
        (DataType::Decimal(_, from), DataType::Decimal(precision, to)) => {
            round_decimal(function, *from, *to, *precision)
        }
        (found, _) => {
            return Err(EngineError::Unsupported(format!("{function:?} of {found} as {wanted}")));
        }
    };
    Node::apply(kernel, nodes, wanted.clone())
}

fn whole_double(function: Function) -> Kernel {
    let f: fn(f64) -> f64 = match function {
        Function::Floor => f64::floor,
        Function::Ceil => f64::ceil,
        _ => |x| {
            let floor = x.floor();
            // x + 0.5 is not exact for great and for some small x.
            if x - floor >= 0.5 { floor + 1.0 } else { floor }
        },
    };
    Kernel::total(move |args, len, failures| {
        Ok(Arc::new(unary::<Float64Type, Float64Type>(&args[0], len, failures, |x| Some(f(x)))?))
    })
}

/// By the digits that the double is written with, so that 2.345 rounds to 2.35.
fn round_double() -> Kernel {
    Kernel::total(|args, len, failures| {
        let f = |x: f64, decimals: i64| {
            let decimals = i32::try_from(decimals.clamp(-400, 400)).unwrap_or(0);
            Some(cast::numbers::round_at(x, decimals))
        };
        Ok(Arc::new(binary::<Float64Type, Int64Type, Float64Type>(args, len, failures, f)?))
    })
}

/// Negative decimals round to tens, hundreds ...
fn round_integer() -> Kernel {
    Kernel::partial(|args, len, failures| {
        let f = |x: i64, decimals: i64| {
            if decimals >= 0 {
                return Some(x);
            }
            let Some(unit) = u32::try_from(-decimals.max(-40)).ok().and_then(decimal::power_of_ten) else {
                return Some(0);
            };
            let (x, half) = (i128::from(x), unit / 2);
            i64::try_from((x + half).div_euclid(unit) * unit).ok()
        };
        Ok(Arc::new(binary::<Int64Type, Int64Type, Int64Type>(args, len, failures, f)?))
    })
}

fn round_decimal(function: Function, from: i8, to: i8, precision: u8) -> Kernel {
    let at = move |x: i128, decimals: i64| -> Option<i128> {
        let drop = i64::from(from) - decimals;
        let whole = match u32::try_from(drop).ok().filter(|d| *d > 0) {
            None => x,
            Some(drop) => match decimal::power_of_ten(drop) {
                None => 0,
                Some(unit) => {
                    let up = match function {
                        Function::Floor => 0,
                        Function::Ceil => unit - 1,
                        _ => unit / 2,
                    };
                    x.checked_add(up)?.div_euclid(unit).checked_mul(unit)?
                }
            },
        };
        decimal::rescale(whole, from, to).filter(|v| decimal::fits(*v, precision))
    };
    Kernel::partial(move |args, len, failures| {
        let out = if args.len() > 1 {
            binary::<Decimal128Type, Int64Type, Decimal128Type>(args, len, failures, at)?
        } else {
            unary::<Decimal128Type, Decimal128Type>(&args[0], len, failures, |x| at(x, 0))?
        };
        Ok(Arc::new(out.with_precision_and_scale(precision, to)?))
    })
}
