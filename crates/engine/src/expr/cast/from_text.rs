//! CAST of VARCHAR: spaces around the value do not count.

use super::numbers;
use crate::error::EngineError;
use crate::expr::decimal;
use crate::expr::node::Kernel;
use crate::expr::operand::{Failures, Texts, build};
use crate::expr::time::iso;
use arrow_array::PrimitiveArray;
use arrow_array::builder::{BinaryBuilder, BooleanBuilder};
use arrow_array::types::*;
use bd_schema::DataType;
use std::sync::Arc;

/// `CAST(text AS to)`.
///
/// # Errors
/// There is no such cast.
pub(super) fn kernel(to: &DataType) -> Result<Kernel, EngineError> {
    macro_rules! parse {
        ($arrow:ty, $f:expr) => {
            Kernel::partial(move |args, len, failures| {
                Ok(Arc::new(parse::<$arrow>(args[0].texts()?, len, failures, $f)))
            })
        };
    }
    Ok(match to {
        DataType::Integer => parse!(Int32Type, |t| t.parse().ok()),
        DataType::BigInt => parse!(Int64Type, |t| t.parse().ok()),
        DataType::Double => parse!(Float64Type, numbers::parse_double),
        DataType::Date => parse!(Date32Type, iso::date),
        DataType::Time => parse!(Time32MillisecondType, iso::time),
        DataType::Timestamp => parse!(TimestampMillisecondType, iso::timestamp),
        DataType::Decimal(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            Kernel::partial(move |args, len, failures| {
                let f = |text: &str| {
                    let (mantissa, exponent) = numbers::parse_decimal(text)?;
                    numbers::at_scale(mantissa, exponent, scale).filter(|v| decimal::fits(*v, precision))
                };
                let out = parse::<Decimal128Type>(args[0].texts()?, len, failures, f);
                Ok(Arc::new(out.with_precision_and_scale(precision, scale)?))
            })
        }
        DataType::Boolean => Kernel::partial(|args, len, failures| {
            let texts = args[0].texts()?;
            let mut out = BooleanBuilder::with_capacity(len);
            for row in 0..len {
                let value = texts.get(row).map(|t| boolean(t.trim()));
                if value == Some(None) {
                    failures.mark(row);
                }
                out.append_option(value.flatten());
            }
            Ok(Arc::new(out.finish()))
        }),
        DataType::Bytes => Kernel::total(|args, len, _| {
            let texts = args[0].texts()?;
            let mut out = BinaryBuilder::with_capacity(len, texts.array.value_data().len());
            (0..len).for_each(|row| out.append_option(texts.get(row)));
            Ok(Arc::new(out.finish()))
        }),
        other => return Err(EngineError::Unsupported(format!("CAST of VARCHAR to {other}"))),
    })
}

fn parse<T: ArrowPrimitiveType>(
    texts: Texts<'_>,
    len: usize,
    failures: &mut Failures,
    f: impl Fn(&str) -> Option<T::Native>,
) -> PrimitiveArray<T> {
    build::<T>(len, |row| {
        let text = texts.get(row)?;
        let value = f(text.trim());
        if value.is_none() {
            failures.mark(row);
        }
        value
    })
}

fn boolean(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|w| text.eq_ignore_ascii_case(w));
    if is(&["true", "t", "yes", "y", "1"]) {
        Some(true)
    } else if is(&["false", "f", "no", "n", "0"]) {
        Some(false)
    } else {
        None
    }
}
