//! Values without parts, by the type that is wanted: what ksqlDB's deserialiser takes, with errors where it would give NULL.

use super::scan::{Scanner, Token};
use crate::DataType;
use crate::failure::{Failure, Fallible, abridged};
use crate::numeric::{self, Misfit};
use crate::temporal;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::borrow::Cow;

/// Padding is written, and may be missing when read.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cold]
fn mismatch(wanted: &DataType, found: &Token<'_>) -> Box<Failure> {
    Failure::new(format!("{wanted} wanted, found {}", found.describe()))
}

#[cold]
fn misfit(wanted: &DataType, text: &str, why: Misfit) -> Box<Failure> {
    let text = abridged(text);
    Failure::new(match why {
        Misfit::NotANumber => format!("{wanted} wanted, found the string \"{text}\""),
        Misfit::Fraction => format!("{text} has more digits after the point than {wanted} holds"),
        Misfit::Range => format!("{text} is out of the range of {wanted}"),
    })
}

/// A whole number from a number or a string that holds one.
#[cold]
fn whole(token: &Token<'_>, wanted: &DataType) -> Fallible<Option<i64>> {
    let text: &str = match token {
        Token::Null => return Ok(None),
        Token::Number(text) => text,
        Token::String(text) => text,
        other => return Err(mismatch(wanted, other)),
    };
    let value = numeric::scaled(text, 0).map_err(|why| misfit(wanted, text, why))?;
    i64::try_from(value).map(Some).map_err(|_| misfit(wanted, text, Misfit::Range))
}

#[cold]
fn out_of_range(value: i64, wanted: &DataType) -> Box<Failure> {
    Failure::new(format!("{value} is out of the range of {wanted}"))
}

#[inline]
pub(super) fn bigint(s: &mut Scanner<'_>) -> Fallible<Option<i64>> {
    match s.small_integer() {
        Some(value) => Ok(Some(value)),
        None => whole(&s.token()?, &DataType::BigInt),
    }
}

#[inline]
pub(super) fn integer(s: &mut Scanner<'_>) -> Fallible<Option<i32>> {
    let value = match s.small_integer() {
        Some(value) => Some(value),
        None => whole(&s.token()?, &DataType::Integer)?,
    };
    narrow(value, &DataType::Integer)
}

#[inline]
fn narrow(value: Option<i64>, wanted: &DataType) -> Fallible<Option<i32>> {
    value.map(|v| i32::try_from(v).map_err(|_| out_of_range(v, wanted))).transpose()
}

pub(super) fn double(s: &mut Scanner<'_>) -> Fallible<Option<f64>> {
    let token = s.token()?;
    let text: &str = match &token {
        Token::Null => return Ok(None),
        Token::Number(text) => {
            return numeric::finite(text).map(Some).map_err(|why| misfit(&DataType::Double, text, why));
        }
        Token::String(text) => text,
        other => return Err(mismatch(&DataType::Double, other)),
    };
    numeric::double(text).map(Some).map_err(|why| misfit(&DataType::Double, text, why))
}

pub(super) fn decimal(s: &mut Scanner<'_>, precision: u8, scale: i8) -> Fallible<Option<i128>> {
    let wanted = DataType::Decimal(precision, scale);
    let token = s.token()?;
    let text: &str = match &token {
        Token::Null => return Ok(None),
        Token::Number(text) => text,
        Token::String(text) => text,
        other => return Err(mismatch(&wanted, other)),
    };
    let value = numeric::scaled(text, i32::from(scale)).map_err(|why| misfit(&wanted, text, why))?;
    if numeric::fits_precision(value, precision) {
        Ok(Some(value))
    } else {
        Err(misfit(&wanted, text, Misfit::Range))
    }
}

pub(super) fn boolean(s: &mut Scanner<'_>) -> Fallible<Option<bool>> {
    match s.token()? {
        Token::Null => Ok(None),
        Token::Boolean(value) => Ok(Some(value)),
        Token::String(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Token::String(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        other => Err(mismatch(&DataType::Boolean, &other)),
    }
}

/// A string; any other value as its JSON text.
#[inline]
pub(super) fn varchar<'a>(s: &mut Scanner<'a>) -> Fallible<Option<Cow<'a, str>>> {
    Ok(match s.token()? {
        Token::String(text) => Some(text),
        Token::Null => None,
        Token::Number(text) => Some(text.into()),
        Token::Boolean(value) => Some(if value { "true" } else { "false" }.into()),
        Token::Object | Token::Array => Some(s.compact_value()?.into()),
    })
}

pub(super) fn bytes(s: &mut Scanner<'_>) -> Fallible<Option<Vec<u8>>> {
    match s.token()? {
        Token::Null => Ok(None),
        Token::String(text) => BASE64
            .decode(text.as_bytes())
            .map(Some)
            .map_err(|e| Failure::new(format!("BYTES wanted, \"{}\" is not base64: {e}", abridged(&text)))),
        other => Err(mismatch(&DataType::Bytes, &other)),
    }
}

/// A moment as a whole number, or as text in ISO 8601, or as text that holds the number.
fn moment<T: Into<i64>>(
    s: &mut Scanner<'_>,
    wanted: &DataType,
    parse: fn(&str) -> Option<T>,
) -> Fallible<Option<i64>> {
    if let Some(value) = s.small_integer() {
        return Ok(Some(value));
    }
    let token = s.token()?;
    if let Token::String(text) = &token
        && let Some(value) = parse(text)
    {
        return Ok(Some(value.into()));
    }
    whole(&token, wanted)
}

pub(super) fn timestamp(s: &mut Scanner<'_>) -> Fallible<Option<i64>> {
    moment(s, &DataType::Timestamp, temporal::timestamp)
}

pub(super) fn date(s: &mut Scanner<'_>) -> Fallible<Option<i32>> {
    narrow(moment(s, &DataType::Date, temporal::date)?, &DataType::Date)
}

pub(super) fn time(s: &mut Scanner<'_>) -> Fallible<Option<i32>> {
    match moment(s, &DataType::Time, temporal::time)? {
        Some(ms) if !(0..temporal::DAY_MS).contains(&ms) => Err(out_of_range(ms, &DataType::Time)),
        ms => narrow(ms, &DataType::Time),
    }
}

/// Checks that an array or object opens here, without consuming it. `None` is a null, consumed.
pub(super) fn opening(s: &mut Scanner<'_>, open: u8, wanted: &str) -> Fallible<Option<u8>> {
    match s.token()? {
        Token::Null => Ok(None),
        Token::Object if open == b'{' => Ok(Some(open)),
        Token::Array if open == b'[' => Ok(Some(open)),
        other => Err(Failure::new(format!("{wanted} wanted, found {}", other.describe()))),
    }
}
