//! Values without parts, by the type that is wanted.

use super::plan::{Read, Unit};
use super::wire::Wire;
use crate::DataType;
use crate::failure::{Failure, Fallible, abridged};
use crate::json::write;
use crate::numeric::fits_precision;
use crate::temporal;
use std::borrow::Cow;

#[cold]
fn refused(read: &Read, wanted: &DataType) -> Box<Failure> {
    match read {
        Read::Refused(reason) => Failure::new(reason.clone()),
        _ => Failure::new(format!("{wanted} is not read from this type")),
    }
}

#[cold]
fn out_of_range(value: i128, wanted: &DataType) -> Box<Failure> {
    Failure::new(format!("{value} is out of the range of {wanted}"))
}

fn narrow(value: i64, wanted: &DataType) -> Fallible<i32> {
    i32::try_from(value).map_err(|_| out_of_range(value.into(), wanted))
}

#[inline]
pub(super) fn bigint(w: &mut Wire<'_>, read: &Read) -> Fallible<i64> {
    match read {
        Read::Whole(_) => w.long(),
        other => Err(refused(other, &DataType::BigInt)),
    }
}

#[inline]
pub(super) fn integer(w: &mut Wire<'_>, read: &Read) -> Fallible<i32> {
    match read {
        Read::Whole(_) => narrow(w.long()?, &DataType::Integer),
        other => Err(refused(other, &DataType::Integer)),
    }
}

#[inline]
pub(super) fn double(w: &mut Wire<'_>, read: &Read) -> Fallible<f64> {
    Ok(match read {
        Read::Double => w.double()?,
        Read::Float => w.float()?.into(),
        Read::Whole(_) => w.long()? as f64,
        // The text is the number's shortest way to the nearest double.
        Read::Decimal { scale, .. } => {
            let unscaled = unscaled(w, read)?;
            format!("{unscaled}e-{scale}").parse().map_err(|_| out_of_range(unscaled, &DataType::Double))?
        }
        other => return Err(refused(other, &DataType::Double)),
    })
}

pub(super) fn boolean(w: &mut Wire<'_>, read: &Read) -> Fallible<bool> {
    match read {
        Read::Boolean => w.boolean(),
        other => Err(refused(other, &DataType::Boolean)),
    }
}

/// The two's complement number of a decimal.
fn unscaled(w: &mut Wire<'_>, read: &Read) -> Fallible<i128> {
    let bytes = match read {
        Read::Decimal { fixed: Some(size), .. } => w.take(*size)?,
        _ => w.bytes()?,
    };
    let negative = bytes.first().is_some_and(|b| *b >= 0x80);
    let filler = if negative { 0xff } else { 0 };
    let (over, low) = bytes.split_at(bytes.len().saturating_sub(16));
    let kept_sign = low.first().is_none_or(|b| (*b >= 0x80) == negative);
    if !over.iter().all(|b| *b == filler) || !kept_sign {
        return Err(Failure::new("the decimal has more than 38 digits"));
    }
    let mut whole = [filler; 16];
    whole[16 - low.len()..].copy_from_slice(low);
    Ok(i128::from_be_bytes(whole))
}

pub(super) fn decimal(w: &mut Wire<'_>, read: &Read, precision: u8, scale: i8) -> Fallible<i128> {
    let wanted = DataType::Decimal(precision, scale);
    let (value, from) = match read {
        Read::Whole(_) => (i128::from(w.long()?), 0),
        Read::Decimal { scale, .. } => (unscaled(w, read)?, *scale),
        other => return Err(refused(other, &wanted)),
    };
    let shift = i32::from(scale).saturating_sub(from);
    let factor = 10_i128.checked_pow(shift.unsigned_abs());
    let scaled = match factor {
        _ if value == 0 => Some(0),
        Some(factor) if shift >= 0 => value.checked_mul(factor),
        Some(factor) if value % factor == 0 => Some(value / factor),
        _ if shift >= 0 => None,
        _ => {
            let reason =
                format!("the decimal {value}e-{from} has more digits after the point than {wanted} holds");
            return Err(Failure::new(reason));
        }
    };
    scaled.filter(|v| fits_precision(*v, precision)).ok_or_else(|| out_of_range(value, &wanted))
}

/// Strings as they are; other values as text.
#[inline]
pub(super) fn varchar<'o, 'w: 'o, 'r: 'o>(w: &mut Wire<'w>, read: &'r Read) -> Fallible<Cow<'o, str>> {
    match read {
        Read::Text => Ok(w.string()?.into()),
        Read::Symbols(symbols) => match &symbols[w.index(symbols.len(), "symbol")?] {
            Ok(symbol) => Ok(symbol.as_str().into()),
            Err(reason) => Err(Failure::new(reason.as_str())),
        },
        other => Ok(text_of(w, other)?.into()),
    }
}

fn text_of(w: &mut Wire<'_>, read: &Read) -> Fallible<String> {
    let mut out = Vec::new();
    match read {
        Read::Boolean => return Ok(w.boolean()?.to_string()),
        Read::Whole(_) => return Ok(w.long()?.to_string()),
        Read::Float | Read::Double => {
            let value = double(w, read)?;
            if write::double(&mut out, value).is_err() {
                return Ok(value.to_string());
            }
        }
        Read::Decimal { scale, .. } => match i8::try_from(*scale) {
            Ok(scale) => write::decimal(&mut out, unscaled(w, read)?, scale),
            Err(_) => return Ok(format!("{}e-{scale}", unscaled(w, read)?)),
        },
        Read::Uuid => {
            let value = u128::from_be_bytes(w.array()?);
            let hex = format!("{value:032x}");
            let (a, b, c, d, e) = (&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
            return Ok(format!("{a}-{b}-{c}-{d}-{e}"));
        }
        other => return Err(refused(other, &DataType::Varchar)),
    }
    String::from_utf8(out).map_err(|_| Failure::new("a number is no text"))
}

#[inline]
pub(super) fn bytes<'a>(w: &mut Wire<'a>, read: &Read) -> Fallible<&'a [u8]> {
    match read {
        Read::Binary | Read::Text => w.bytes(),
        Read::Fixed(size) => w.take(*size),
        other => Err(refused(other, &DataType::Bytes)),
    }
}

/// A moment from ISO 8601 text.
fn iso<T>(w: &mut Wire<'_>, wanted: &DataType, parse: fn(&str) -> Option<T>) -> Fallible<T> {
    let text = w.string()?;
    parse(text)
        .ok_or_else(|| Failure::new(format!("{wanted} wanted, found the string \"{}\"", abridged(text))))
}

pub(super) fn date(w: &mut Wire<'_>, read: &Read) -> Fallible<i32> {
    match read {
        Read::Whole(_) => narrow(w.long()?, &DataType::Date),
        Read::Text => iso(w, &DataType::Date, temporal::date),
        other => Err(refused(other, &DataType::Date)),
    }
}

/// In milliseconds; parts of one are cut.
fn millis(value: i64, unit: Unit) -> i64 {
    match unit {
        Unit::Plain | Unit::Millis => value,
        Unit::Micros => value.div_euclid(1000),
        Unit::Nanos => value.div_euclid(1_000_000),
    }
}

pub(super) fn time(w: &mut Wire<'_>, read: &Read) -> Fallible<i32> {
    match read {
        Read::Whole(unit) => match millis(w.long()?, *unit) {
            ms if (0..temporal::DAY_MS).contains(&ms) => narrow(ms, &DataType::Time),
            ms => Err(out_of_range(ms.into(), &DataType::Time)),
        },
        Read::Text => iso(w, &DataType::Time, temporal::time),
        other => Err(refused(other, &DataType::Time)),
    }
}

#[inline]
pub(super) fn timestamp(w: &mut Wire<'_>, read: &Read) -> Fallible<i64> {
    match read {
        Read::Whole(unit) => Ok(millis(w.long()?, *unit)),
        Read::Text => iso(w, &DataType::Timestamp, temporal::timestamp),
        other => Err(refused(other, &DataType::Timestamp)),
    }
}
