//! From bytes to rows, by the same rules as to Arrow.

use super::scalar;
use super::scan::Scanner;
use super::shape::{ObjectShape, Shape};
use crate::failure::Fallible;
use crate::{DataType, Value};
use std::collections::HashMap;

/// A field's value so far.
#[derive(Clone)]
struct Slot {
    value: Value,
    exact: bool,
}

/// Reads an object: one value for each field of the shape.
pub(super) fn object(s: &mut Scanner<'_>, shape: &ObjectShape) -> Fallible<Vec<Value>> {
    let mut slots = vec![Slot { value: Value::Null, exact: false }; shape.names.len()];
    s.enter(b'{')?;
    let mut first = true;
    while s.more(b'}', first)? {
        first = false;
        let key = s.key()?;
        match shape.find(&key)? {
            Some(target) if target.exact || !slots[target.field].exact => {
                let value = value(s, &shape.fields[target.field])
                    .map_err(|e| e.in_field(&shape.names[target.field]))?;
                slots[target.field] = Slot { value, exact: target.exact };
            }
            _ => s.skip_value()?,
        }
    }
    Ok(slots.into_iter().map(|slot| slot.value).collect())
}

/// Reads a value.
pub(super) fn value(s: &mut Scanner<'_>, shape: &Shape) -> Fallible<Value> {
    let value = match shape {
        Shape::Leaf(data_type) | Shape::Unscaled(data_type) => leaf(s, data_type)?,
        Shape::Array(element) => match scalar::opening(s, b'[', "ARRAY")? {
            Some(open) => Some(array(s, open, element)?),
            None => None,
        },
        Shape::Map(entry) => match scalar::opening(s, b'{', "MAP")? {
            Some(open) => Some(map(s, open, entry)?),
            None => None,
        },
        Shape::Struct(fields) => match scalar::opening(s, b'{', "STRUCT")? {
            Some(_) => Some(Value::Struct(object(s, fields)?)),
            None => None,
        },
    };
    Ok(value.unwrap_or(Value::Null))
}

fn leaf(s: &mut Scanner<'_>, data_type: &DataType) -> Fallible<Option<Value>> {
    Ok(match data_type {
        DataType::Boolean => scalar::boolean(s)?.map(Value::Boolean),
        DataType::Integer => scalar::integer(s)?.map(Value::Integer),
        DataType::BigInt => scalar::bigint(s)?.map(Value::BigInt),
        DataType::Double => scalar::double(s)?.map(Value::Double),
        DataType::Decimal(precision, scale) => scalar::decimal(s, *precision, *scale)?.map(Value::Decimal),
        DataType::Bytes => scalar::bytes(s)?.map(Value::Bytes),
        DataType::Date => scalar::date(s)?.map(Value::Date),
        DataType::Time => scalar::time(s)?.map(Value::Time),
        DataType::Timestamp => scalar::timestamp(s)?.map(Value::Timestamp),
        // The nested types are no leaves.
        DataType::Varchar | DataType::Array(_) | DataType::Map(_) | DataType::Struct(_) => {
            scalar::varchar(s)?.map(|text| Value::Varchar(text.into_owned()))
        }
    })
}

fn array(s: &mut Scanner<'_>, open: u8, element: &Shape) -> Fallible<Value> {
    let mut items = Vec::new();
    s.enter(open)?;
    let mut first = true;
    while s.more(b']', first)? {
        first = false;
        s.skip_space();
        items.push(value(s, element).map_err(|e| e.in_element(items.len()))?);
    }
    Ok(Value::Array(items))
}

fn map(s: &mut Scanner<'_>, open: u8, entry: &Shape) -> Fallible<Value> {
    let mut entries: Vec<(String, Value)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    s.enter(open)?;
    let mut first = true;
    while s.more(b'}', first)? {
        first = false;
        let key = s.key()?.into_owned();
        let value = value(s, entry).map_err(|e| e.in_entry(&key))?;
        let place = *places.entry(key.clone()).or_insert(entries.len());
        match entries.get_mut(place) {
            Some(known) => known.1 = value,
            None => entries.push((key, value)),
        }
    }
    Ok(Value::Map(entries))
}
