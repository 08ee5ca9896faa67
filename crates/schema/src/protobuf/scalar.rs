//! Values without parts, by the type that is wanted.

use super::link::Scalar;
use super::plan::{Read, default_raw};
use super::wire::{Raw, Wire, unzigzag};
use crate::failure::{Failure, Fallible, abridged};
use crate::numeric::{self, fits_precision};
use crate::temporal::{self, DAY_MS};
use crate::{DataType, Value};
use std::borrow::Cow;

/// A value without parts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Leaf<'a> {
    Boolean(bool),
    Integer(i32),
    BigInt(i64),
    Double(f64),
    Decimal(i128),
    Text(Cow<'a, str>),
    Bytes(&'a [u8]),
    Date(i32),
    Time(i32),
    Timestamp(i64),
}

impl Leaf<'_> {
    pub(super) fn into_value(self) -> Value {
        match self {
            Self::Boolean(v) => Value::Boolean(v),
            Self::Integer(v) => Value::Integer(v),
            Self::BigInt(v) => Value::BigInt(v),
            Self::Double(v) => Value::Double(v),
            Self::Decimal(v) => Value::Decimal(v),
            Self::Text(v) => Value::Varchar(v.into_owned()),
            Self::Bytes(v) => Value::Bytes(v.to_vec()),
            Self::Date(v) => Value::Date(v),
            Self::Time(v) => Value::Time(v),
            Self::Timestamp(v) => Value::Timestamp(v),
        }
    }
}

#[cold]
fn out_of_range(value: impl std::fmt::Display, wanted: &DataType) -> Box<Failure> {
    Failure::new(format!("{value} is out of the range of {wanted}"))
}

#[cold]
fn mismatch(wanted: &DataType) -> Box<Failure> {
    Failure::new(format!("{wanted} is not read from this type"))
}

/// Whether a value of that wire type is one of the field's; any other is as if it were of an unknown field.
#[inline]
pub(super) fn takes(read: &Read, raw: Raw<'_>) -> bool {
    match (read, raw) {
        (Read::Scalar(scalar), raw) => {
            std::mem::discriminant(&default_raw(*scalar)) == std::mem::discriminant(&raw)
        }
        (Read::Enum(_), raw) => matches!(raw, Raw::Varint(_)),
        (Read::Refused(_), _) => true,
        (_, raw) => matches!(raw, Raw::Bytes(_)),
    }
}

/// Whether several values may come in one field, packed.
pub(super) fn packs(read: &Read) -> bool {
    match read {
        Read::Scalar(scalar) => !matches!(scalar, Scalar::String | Scalar::Bytes),
        Read::Enum(_) => true,
        _ => false,
    }
}

/// The next of packed values.
pub(super) fn packed<'a>(wire: &mut Wire<'a>, read: &Read) -> Fallible<Raw<'a>> {
    Ok(match read {
        Read::Scalar(scalar) => match default_raw(*scalar) {
            Raw::Fixed64(_) => Raw::Fixed64(wire.fixed64()?),
            Raw::Fixed32(_) => Raw::Fixed32(wire.fixed32()?),
            _ => Raw::Varint(wire.varint()?),
        },
        _ => Raw::Varint(wire.varint()?),
    })
}

/// The value of a field that has no parts.
#[inline]
pub(super) fn leaf<'a>(read: &Read, raw: Raw<'a>, target: &DataType) -> Fallible<Leaf<'a>> {
    match (read, raw) {
        (Read::Scalar(scalar), raw) => scalar_leaf(*scalar, raw, target),
        (Read::Enum(names), Raw::Varint(value)) => {
            let number = value as i32;
            match (target, names.get(&number)) {
                (DataType::Varchar, Some(name)) => Ok(Leaf::Text(name.clone().into())),
                (DataType::Varchar, None) => Ok(Leaf::Text(number.to_string().into())),
                (_, _) => whole(i128::from(number), target),
            }
        }
        (Read::Wrapper(scalar), Raw::Bytes(bytes)) => {
            let mut value = default_raw(*scalar);
            let mut wire = Wire::new(bytes);
            while !wire.is_empty() {
                if let (1, raw) = wire.field()?
                    && takes(&Read::Scalar(*scalar), raw)
                {
                    value = raw;
                }
            }
            match target {
                DataType::Decimal(precision, scale) => text_decimal(value, *precision, *scale),
                target => scalar_leaf(*scalar, value, target),
            }
        }
        (Read::Timestamp, Raw::Bytes(bytes)) => {
            let [seconds, nanos, _, _] = numbers(bytes)?;
            let ms = i128::from(seconds) * 1000 + i128::from(nanos.div_euclid(1_000_000));
            let ms = i64::try_from(ms);
            let ms = ms.map_err(|_| out_of_range(format!("the timestamp of {seconds} s"), target))?;
            Ok(if *target == DataType::BigInt { Leaf::BigInt(ms) } else { Leaf::Timestamp(ms) })
        }
        (Read::Date, Raw::Bytes(bytes)) => {
            let [year, month, day, _] = numbers(bytes)?;
            temporal::date_of(year, month, day)
                .map(Leaf::Date)
                .ok_or_else(|| Failure::new(format!("there is no date {year}-{month}-{day}")))
        }
        (Read::TimeOfDay, Raw::Bytes(bytes)) => {
            let [hours, minutes, seconds, nanos] = numbers(bytes)?;
            let within = (0..24).contains(&hours)
                && (0..60).contains(&minutes)
                && (0..60).contains(&seconds)
                && (0..1_000_000_000).contains(&nanos);
            if !within {
                return Err(Failure::new(format!(
                    "there is no time {hours}:{minutes}:{seconds} and {nanos} ns"
                )));
            }
            Ok(Leaf::Time(((hours * 60 + minutes) * 60_000 + seconds * 1000 + nanos / 1_000_000) as i32))
        }
        (Read::Decimal, Raw::Bytes(bytes)) => decimal(bytes, target),
        (Read::Encoded, Raw::Bytes(bytes)) => Ok(Leaf::Bytes(bytes)),
        (Read::Refused(reason), _) => Err(Failure::new(reason.as_str())),
        _ => Err(mismatch(target)),
    }
}

/// Fields 1 to 4 of a message of varints.
fn numbers(bytes: &[u8]) -> Fallible<[i64; 4]> {
    let mut numbers = [0; 4];
    let mut wire = Wire::new(bytes);
    while !wire.is_empty() {
        if let (at @ 1..=4, Raw::Varint(value)) = wire.field()? {
            numbers[at as usize - 1] = value as i64;
        }
    }
    Ok(numbers)
}

fn utf8(bytes: &[u8]) -> Fallible<&str> {
    std::str::from_utf8(bytes).map_err(|_| Failure::new("the bytes are no UTF-8"))
}

#[inline]
fn scalar_leaf<'a>(scalar: Scalar, raw: Raw<'a>, target: &DataType) -> Fallible<Leaf<'a>> {
    Ok(match (scalar, raw, target) {
        (Scalar::String | Scalar::Bytes, Raw::Bytes(bytes), DataType::Varchar) => {
            Leaf::Text(utf8(bytes)?.into())
        }
        (Scalar::String | Scalar::Bytes, Raw::Bytes(bytes), DataType::Bytes) => Leaf::Bytes(bytes),
        (Scalar::String, Raw::Bytes(bytes), target) => {
            let text = utf8(bytes)?;
            let read = match target {
                DataType::Date => temporal::date(text).map(Leaf::Date),
                DataType::Time => temporal::time(text).map(Leaf::Time),
                DataType::Timestamp => temporal::timestamp(text).map(Leaf::Timestamp),
                _ => return Err(mismatch(target)),
            };
            read.ok_or_else(|| Failure::new(format!("{target} wanted, the text is \"{}\"", abridged(text))))?
        }
        (Scalar::Bool, Raw::Varint(value), DataType::Boolean) => Leaf::Boolean(value != 0),
        (Scalar::Bool, Raw::Varint(value), DataType::Varchar) => Leaf::Text((value != 0).to_string().into()),
        (Scalar::Double, Raw::Fixed64(bits), target) => double(f64::from_bits(bits), target)?,
        (Scalar::Float, Raw::Fixed32(bits), DataType::Varchar) => {
            Leaf::Text(f32::from_bits(bits).to_string().into())
        }
        (Scalar::Float, Raw::Fixed32(bits), target) => double(f32::from_bits(bits).into(), target)?,
        (Scalar::Int32, Raw::Varint(value), DataType::Integer) => Leaf::Integer(value as i32),
        (Scalar::Int64, Raw::Varint(value), DataType::BigInt) => Leaf::BigInt(value as i64),
        (scalar, raw, target) => {
            let value = match (scalar, raw) {
                (Scalar::Bool, Raw::Varint(v)) => i128::from(v != 0),
                (Scalar::Int32, Raw::Varint(v)) => i128::from(v as i32),
                (Scalar::Int64, Raw::Varint(v)) => i128::from(v as i64),
                (Scalar::Uint32, Raw::Varint(v)) => i128::from(v as u32),
                (Scalar::Uint64, Raw::Varint(v)) | (Scalar::Fixed64, Raw::Fixed64(v)) => i128::from(v),
                (Scalar::Sint32, Raw::Varint(v)) => i128::from(unzigzag(v) as i32),
                (Scalar::Sint64, Raw::Varint(v)) => i128::from(unzigzag(v)),
                (Scalar::Fixed32, Raw::Fixed32(v)) => i128::from(v),
                (Scalar::Sfixed32, Raw::Fixed32(v)) => i128::from(v as i32),
                (Scalar::Sfixed64, Raw::Fixed64(v)) => i128::from(v as i64),
                _ => return Err(mismatch(target)),
            };
            whole(value, target)?
        }
    })
}

fn double(value: f64, target: &DataType) -> Fallible<Leaf<'static>> {
    match target {
        DataType::Double => Ok(Leaf::Double(value)),
        DataType::Varchar => Ok(Leaf::Text(value.to_string().into())),
        target => Err(mismatch(target)),
    }
}

fn whole(value: i128, target: &DataType) -> Fallible<Leaf<'static>> {
    let narrow = || i32::try_from(value).map_err(|_| out_of_range(value, target));
    let wide = || i64::try_from(value).map_err(|_| out_of_range(value, target));
    Ok(match target {
        DataType::Boolean => Leaf::Boolean(value != 0),
        DataType::Integer => Leaf::Integer(narrow()?),
        DataType::BigInt => Leaf::BigInt(wide()?),
        DataType::Double => Leaf::Double(value as f64),
        DataType::Varchar => Leaf::Text(value.to_string().into()),
        DataType::Date => Leaf::Date(narrow()?),
        DataType::Time if (0..i128::from(DAY_MS)).contains(&value) => Leaf::Time(value as i32),
        DataType::Time => return Err(out_of_range(value, target)),
        DataType::Timestamp => Leaf::Timestamp(wide()?),
        DataType::Decimal(precision, scale) => rescaled(value, 0, *precision, *scale)?,
        target => return Err(mismatch(target)),
    })
}

/// A decimal of `from` digits after the point, as one of the target's; no digit is dropped.
fn rescaled(value: i128, from: i32, precision: u8, scale: i8) -> Fallible<Leaf<'static>> {
    let wanted = DataType::Decimal(precision, scale);
    let shift = i32::from(scale).saturating_sub(from);
    let factor = 10_i128.checked_pow(shift.unsigned_abs());
    let scaled = match (shift >= 0, factor) {
        _ if value == 0 => Some(0),
        (true, Some(factor)) => value.checked_mul(factor),
        (false, Some(factor)) if value % factor == 0 => Some(value / factor),
        (false, _) => {
            return Err(Failure::new(format!(
                "{value}e{} has more digits than {wanted}",
                from.saturating_neg()
            )));
        }
        (true, None) => None,
    };
    let scaled = scaled.filter(|v| fits_precision(*v, precision));
    scaled.map(Leaf::Decimal).ok_or_else(|| out_of_range(value, &wanted))
}

fn text_decimal(raw: Raw<'_>, precision: u8, scale: i8) -> Fallible<Leaf<'static>> {
    let Raw::Bytes(bytes) = raw else { return Err(mismatch(&DataType::Decimal(precision, scale))) };
    let text = utf8(bytes)?;
    let value = numeric::scaled(if text.is_empty() { "0" } else { text }, scale.into());
    let value = value.ok().filter(|v| fits_precision(*v, precision));
    let wanted = DataType::Decimal(precision, scale);
    value.map(Leaf::Decimal).ok_or_else(|| out_of_range(abridged(text), &wanted))
}

/// `confluent.type.Decimal`: the unscaled value, big endian, and the scale.
fn decimal(bytes: &[u8], target: &DataType) -> Fallible<Leaf<'static>> {
    let (mut digits, mut scale) = (&[][..], 0);
    let mut wire = Wire::new(bytes);
    while !wire.is_empty() {
        match wire.field()? {
            (1, Raw::Bytes(bytes)) => digits = bytes,
            (3, Raw::Varint(value)) => scale = value as i32,
            _ => {}
        }
    }
    let filler = if digits.first().is_some_and(|b| *b >= 0x80) { 0xff } else { 0 };
    let significant = &digits[digits.iter().take_while(|b| **b == filler).count()..];
    if significant.len() > 16 {
        return Err(Failure::new(format!(
            "a decimal of {} bytes is out of the range of {target}",
            digits.len()
        )));
    }
    let mut all = [filler; 16];
    all[16 - significant.len()..].copy_from_slice(significant);
    let value = i128::from_be_bytes(all);
    if significant.len() == 16 && (value < 0) != (filler == 0xff) {
        return Err(out_of_range("the decimal", target));
    }
    match target {
        DataType::Decimal(precision, wanted) => rescaled(value, scale, *precision, *wanted),
        DataType::Double => {
            let text = format!("{value}e{}", -i64::from(scale));
            text.parse().map(Leaf::Double).map_err(|_| out_of_range(value, target))
        }
        DataType::Varchar => Ok(Leaf::Text(point(value, scale)?.into())),
        target => Err(mismatch(target)),
    }
}

/// A decimal as text.
fn point(value: i128, scale: i32) -> Fallible<String> {
    let sign = if value < 0 { "-" } else { "" };
    let digits = value.unsigned_abs().to_string();
    Ok(match usize::try_from(scale) {
        Ok(0) => format!("{sign}{digits}"),
        Ok(scale @ ..=1000) => {
            let digits = format!("{digits:0>width$}", width = scale + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            format!("{sign}{whole}.{fraction}")
        }
        _ => format!("{sign}{digits}e{}", -i64::from(scale)),
    })
}
