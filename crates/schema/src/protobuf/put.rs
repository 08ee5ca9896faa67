//! Values of scalar types as they stand in a message.

use super::link::Scalar;
use super::scalar::Leaf;
use super::wire::{put_bytes, put_delimited, put_varint, zigzag};
use crate::failure::{Failure, Fallible, abridged};

pub(super) const VARINT: u32 = 0;
pub(super) const FIXED64: u32 = 1;
pub(super) const BYTES: u32 = 2;
pub(super) const FIXED32: u32 = 5;

pub(super) fn put_tag(out: &mut Vec<u8>, number: u32, wire_type: u32) {
    put_varint(out, u64::from(number << 3 | wire_type));
}

pub(super) fn wire_type(scalar: Scalar) -> u32 {
    match scalar {
        Scalar::Double | Scalar::Fixed64 | Scalar::Sfixed64 => FIXED64,
        Scalar::Float | Scalar::Fixed32 | Scalar::Sfixed32 => FIXED32,
        Scalar::String | Scalar::Bytes => BYTES,
        _ => VARINT,
    }
}

/// A message of varints, fields 1 to 4.
pub(super) fn put_numbers(out: &mut Vec<u8>, numbers: [i64; 4]) -> Fallible<()> {
    put_delimited(out, |out| {
        for (number, value) in (1..).zip(numbers).filter(|(_, value)| *value != 0) {
            put_tag(out, number, VARINT);
            put_varint(out, value as u64);
        }
        Ok(())
    })
}

pub(super) fn is_default(leaf: &Leaf<'_>) -> bool {
    match leaf {
        Leaf::Boolean(v) => !v,
        Leaf::Integer(v) | Leaf::Date(v) | Leaf::Time(v) => *v == 0,
        Leaf::BigInt(v) | Leaf::Timestamp(v) => *v == 0,
        // Negative zero is none.
        Leaf::Double(v) => v.to_bits() == 0,
        Leaf::Text(v) => v.is_empty(),
        Leaf::Bytes(v) => v.is_empty(),
        Leaf::Decimal(_) => false,
    }
}

pub(super) fn put_scalar(out: &mut Vec<u8>, scalar: Scalar, leaf: &Leaf<'_>) -> Fallible<()> {
    let whole = match (scalar, leaf) {
        (Scalar::String | Scalar::Bytes, Leaf::Text(text)) => {
            put_bytes(out, text.as_bytes());
            return Ok(());
        }
        (Scalar::Bytes, Leaf::Bytes(bytes)) => {
            put_bytes(out, bytes);
            return Ok(());
        }
        (Scalar::Double, Leaf::Double(v)) => {
            out.extend_from_slice(&v.to_le_bytes());
            return Ok(());
        }
        (Scalar::Float, Leaf::Double(v)) => {
            out.extend_from_slice(&(*v as f32).to_le_bytes());
            return Ok(());
        }
        (Scalar::Bool, Leaf::Boolean(v)) => {
            out.push(u8::from(*v));
            return Ok(());
        }
        (_, Leaf::Integer(v) | Leaf::Date(v) | Leaf::Time(v)) => i64::from(*v),
        (_, Leaf::BigInt(v) | Leaf::Timestamp(v)) => *v,
        _ => return Err(Failure::new(format!("the value is not written as {}", scalar.name()))),
    };
    let refused = || Failure::new(format!("{whole} is out of the range of {}", scalar.name()));
    let signed = || i32::try_from(whole).map_err(|_| refused());
    let unsigned = || u32::try_from(whole).map_err(|_| refused());
    let long = || u64::try_from(whole).map_err(|_| refused());
    match scalar {
        Scalar::Int64 => put_varint(out, whole as u64),
        Scalar::Int32 => put_varint(out, i64::from(signed()?) as u64),
        Scalar::Uint32 => put_varint(out, unsigned()?.into()),
        Scalar::Uint64 => put_varint(out, long()?),
        Scalar::Sint32 => put_varint(out, u64::from(zigzag(signed()?.into()) as u32)),
        Scalar::Sint64 => put_varint(out, zigzag(whole)),
        Scalar::Fixed32 => out.extend_from_slice(&unsigned()?.to_le_bytes()),
        Scalar::Sfixed32 => out.extend_from_slice(&signed()?.to_le_bytes()),
        Scalar::Fixed64 => out.extend_from_slice(&long()?.to_le_bytes()),
        Scalar::Sfixed64 => out.extend_from_slice(&whole.to_le_bytes()),
        _ => return Err(refused()),
    }
    Ok(())
}

pub(super) fn put_key(out: &mut Vec<u8>, key: Scalar, name: &str) -> Fallible<()> {
    let wanted = || Failure::new(format!("the key \"{}\" is no {}", abridged(name), key.name()));
    match key {
        Scalar::String => put_scalar(out, key, &Leaf::Text(name.into())),
        Scalar::Bool => put_scalar(out, key, &Leaf::Boolean(name.parse().map_err(|_| wanted())?)),
        Scalar::Uint64 => {
            put_varint(out, name.parse().map_err(|_| wanted())?);
            Ok(())
        }
        Scalar::Fixed64 => {
            let number: u64 = name.parse().map_err(|_| wanted())?;
            out.extend_from_slice(&number.to_le_bytes());
            Ok(())
        }
        _ => put_scalar(out, key, &Leaf::BigInt(name.parse().map_err(|_| wanted())?)),
    }
}
