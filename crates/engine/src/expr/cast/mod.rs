//! CAST between the types for which ksqlDB has one, and TIMESTAMP to and from BIGINT milliseconds. What does not fit fails the row.
//!
//! | from | to |
//! |---|---|
//! | any type | VARCHAR |
//! | VARCHAR | BOOLEAN, numbers, DATE, TIME, TIMESTAMP (ISO 8601), BYTES (UTF-8) |
//! | numbers | numbers: to integers truncates, to DECIMAL rounds half up |
//! | TIMESTAMP | BIGINT, DATE, TIME |
//! | BIGINT, DATE | TIMESTAMP |
//! | ARRAY, MAP, STRUCT | the same with elements cast |

mod from_text;
mod nested;
pub(super) mod numbers;
mod to_text;

use super::arithmetic::{as_bigint, as_timestamp, unary};
use super::decimal;
use super::node::Kernel;
use super::time::civil::DAY_MS;
use crate::error::EngineError;
use arrow_array::types::*;
use bd_schema::DataType;
use std::sync::Arc;

/// `CAST(from AS to)`.
///
/// # Errors
/// There is no such cast.
pub(super) fn kernel(from: &DataType, to: &DataType) -> Result<Kernel, EngineError> {
    use DataType::{
        Array, BigInt, Bytes, Date, Decimal, Double, Integer, Map, Struct, Time, Timestamp, Varchar,
    };
    /// A cast of one primitive type to another.
    macro_rules! convert {
        ($a:ty => $b:ty, $f:expr) => {
            Kernel::partial(move |args, len, failures| {
                Ok(Arc::new(unary::<$a, $b>(&args[0], len, failures, $f)?))
            })
        };
    }
    macro_rules! widen {
        ($a:ty => $b:ty, $f:expr) => {
            Kernel { can_fail: false, ..convert!($a => $b, $f) }
        };
    }
    macro_rules! to_decimal {
        ($a:ty, $precision:expr, $scale:expr, $f:expr) => {{
            let (precision, scale) = (*$precision, *$scale);
            Kernel::partial(move |args, len, failures| {
                let f = |x| $f(x, scale).filter(|v| decimal::fits(*v, precision));
                let out = unary::<$a, Decimal128Type>(&args[0], len, failures, f)?;
                Ok(Arc::new(out.with_precision_and_scale(precision, scale)?))
            })
        }};
    }
    Ok(match (from, to) {
        (from, to) if from == to => Kernel::total(|args, _, _| Ok(args[0].array.clone())),
        (_, Varchar) => to_text::kernel(from)?,
        (Varchar, _) => from_text::kernel(to)?,
        (Integer, BigInt) => widen!(Int32Type => Int64Type, |x| Some(i64::from(x))),
        (Integer, Double) => widen!(Int32Type => Float64Type, |x| Some(f64::from(x))),
        (BigInt, Integer) => convert!(Int64Type => Int32Type, |x| i32::try_from(x).ok()),
        (BigInt, Double) => widen!(Int64Type => Float64Type, |x| Some(x as f64)),
        (Double, Integer) => convert!(Float64Type => Int32Type, numbers::truncate_i32),
        (Double, BigInt) => convert!(Float64Type => Int64Type, numbers::truncate_i64),
        (Integer, Decimal(p, s)) => {
            to_decimal!(Int32Type, p, s, |x, scale| decimal::rescale(i128::from(x), 0, scale))
        }
        (BigInt, Decimal(p, s)) => {
            to_decimal!(Int64Type, p, s, |x, scale| decimal::rescale(i128::from(x), 0, scale))
        }
        (Double, Decimal(p, s)) => to_decimal!(Float64Type, p, s, numbers::double_to_decimal),
        (Decimal(_, from), Decimal(p, s)) => {
            let from = *from;
            to_decimal!(Decimal128Type, p, s, |x, scale| decimal::rescale(x, from, scale))
        }
        (Decimal(_, scale), Integer) => {
            let scale = *scale;
            convert!(Decimal128Type => Int32Type, |x| numbers::whole(x, scale).and_then(|x| x.try_into().ok()))
        }
        (Decimal(_, scale), BigInt) => {
            let scale = *scale;
            convert!(Decimal128Type => Int64Type, |x| numbers::whole(x, scale).and_then(|x| x.try_into().ok()))
        }
        (Decimal(_, scale), Double) => {
            let scale = *scale;
            widen!(Decimal128Type => Float64Type, |x| Some(numbers::decimal_to_double(x, scale)))
        }
        (BigInt, Timestamp) => Kernel::total(|args, _, _| as_timestamp(&args[0].array)),
        (Timestamp, BigInt) => Kernel::total(|args, _, _| as_bigint(&args[0].array)),
        (Timestamp, Date) => convert!(TimestampMillisecondType => Date32Type, |ms| {
            i32::try_from(ms.div_euclid(DAY_MS)).ok()
        }),
        (Timestamp, Time) => widen!(TimestampMillisecondType => Time32MillisecondType, |ms| {
            i32::try_from(ms.rem_euclid(DAY_MS)).ok()
        }),
        (Date, Timestamp) => widen!(Date32Type => TimestampMillisecondType, |d| Some(i64::from(d) * DAY_MS)),
        (Array(from), Array(to)) => nested::array(from, to)?,
        (Map(from), Map(to)) => nested::map(from, to)?,
        (Struct(from), Struct(to)) if from.len() == to.len() => nested::structure(from, to)?,
        (from, to) => {
            let hint = if matches!((from, to), (_, Bytes) | (Bytes, _)) { " (go by VARCHAR)" } else { "" };
            return Err(EngineError::Unsupported(format!("CAST of {from} to {to}{hint}")));
        }
    })
}
