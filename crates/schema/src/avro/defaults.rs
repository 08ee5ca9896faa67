//! Defaults of a reader's fields: written as Avro writes a value of the field's type, then read as any value is.

use super::known::latin;
use super::parse::{AvroError, Names, default_of};
use super::wire::{put_bytes, put_long};
use apache_avro::Schema as Avro;
use apache_avro::schema::{InnerDecimalSchema, UuidSchema};
use serde_json::Value as Json;

/// Defaults within defaults end here: a type whose default needs itself has no end.
const MAX_DEPTH: usize = 32;

/// Appends the value that a default (JSON) stands for.
pub(super) fn encode(
    names: &Names<'_>,
    avro: &Avro,
    default: &Json,
    out: &mut Vec<u8>,
) -> Result<(), AvroError> {
    value(names, avro, default, 0, out)
}

fn no_default(default: &Json, avro: &Avro) -> AvroError {
    let of = super::derive::branch_name(avro);
    AvroError::new(format!("the default {default} is not of the type {of}"))
}

fn value(
    names: &Names<'_>,
    avro: &Avro,
    default: &Json,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), AvroError> {
    let avro = names.resolve(avro)?;
    let wrong = || no_default(default, avro);
    if depth > MAX_DEPTH {
        return Err(wrong());
    }
    match (avro, default) {
        (Avro::Null, Json::Null) => {}
        (Avro::Boolean, Json::Bool(v)) => out.push(u8::from(*v)),
        (Avro::Int | Avro::Date | Avro::TimeMillis, v) => {
            let v = v.as_i64().filter(|v| i32::try_from(*v).is_ok());
            put_long(out, v.ok_or_else(wrong)?);
        }
        (Avro::Float, v) => out.extend_from_slice(&(number(v).ok_or_else(wrong)? as f32).to_le_bytes()),
        (Avro::Double, v) => out.extend_from_slice(&number(v).ok_or_else(wrong)?.to_le_bytes()),
        (Avro::String | Avro::Uuid(UuidSchema::String), Json::String(v)) => put_bytes(out, v.as_bytes()),
        (Avro::Bytes | Avro::BigDecimal | Avro::Uuid(UuidSchema::Bytes), Json::String(v)) => {
            put_bytes(out, &latin(v).ok_or_else(wrong)?);
        }
        (Avro::Decimal(decimal), Json::String(v)) => {
            let bytes = latin(v).ok_or_else(wrong)?;
            match &decimal.inner {
                InnerDecimalSchema::Bytes => put_bytes(out, &bytes),
                InnerDecimalSchema::Fixed(of) if of.size == bytes.len() => out.extend_from_slice(&bytes),
                InnerDecimalSchema::Fixed(_) => return Err(wrong()),
            }
        }
        (Avro::Fixed(of) | Avro::Duration(of) | Avro::Uuid(UuidSchema::Fixed(of)), Json::String(v)) => {
            let bytes = latin(v).filter(|bytes| bytes.len() == of.size).ok_or_else(wrong)?;
            out.extend_from_slice(&bytes);
        }
        (Avro::Enum(of), Json::String(v)) => {
            let at = of.symbols.iter().position(|s| s == v).ok_or_else(wrong)?;
            put_long(out, at as i64);
        }
        (Avro::Array(of), Json::Array(items)) => {
            if !items.is_empty() {
                put_long(out, items.len() as i64);
            }
            for item in items {
                value(names, &of.items, item, depth + 1, out)?;
            }
            put_long(out, 0);
        }
        (Avro::Map(of), Json::Object(entries)) => {
            if !entries.is_empty() {
                put_long(out, entries.len() as i64);
            }
            for (key, entry) in entries {
                put_bytes(out, key.as_bytes());
                value(names, &of.types, entry, depth + 1, out)?;
            }
            put_long(out, 0);
        }
        (Avro::Union(of), _) => {
            let start = out.len();
            for (at, branch) in of.variants().iter().enumerate() {
                put_long(out, at as i64);
                if value(names, branch, default, depth + 1, out).is_ok() {
                    return Ok(());
                }
                out.truncate(start);
            }
            return Err(wrong());
        }
        (Avro::Record(of), Json::Object(values)) => {
            for field in &of.fields {
                let inner = values.get(&field.name).or_else(|| default_of(field)).ok_or_else(wrong)?;
                value(names, &field.schema, inner, depth + 1, out)?;
            }
        }
        // All others are long.
        (
            Avro::Null
            | Avro::Boolean
            | Avro::String
            | Avro::Bytes
            | Avro::BigDecimal
            | Avro::Decimal(_)
            | Avro::Uuid(_)
            | Avro::Fixed(_)
            | Avro::Duration(_)
            | Avro::Enum(_)
            | Avro::Array(_)
            | Avro::Map(_)
            | Avro::Record(_),
            _,
        ) => return Err(wrong()),
        (_, v) => put_long(out, v.as_i64().ok_or_else(wrong)?),
    }
    Ok(())
}

/// A number; what JSON has none for is a string.
fn number(default: &Json) -> Option<f64> {
    default.as_f64().or_else(|| default.as_str()?.parse().ok())
}
