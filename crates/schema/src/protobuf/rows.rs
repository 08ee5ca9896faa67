//! From bytes to rows, by the same rules as to Arrow.

use super::arrow::{entry_value, map_key};
use super::plan::{MessagePlan, Read, Shape};
use super::scalar::leaf;
use super::scan::{Found, entry};
use super::wire::Raw;
use crate::failure::{Failure, Fallible};
use crate::{DataType, Value};
use std::collections::HashSet;

/// Reads a message: one value for each column.
pub(super) fn message(bytes: &[u8], plan: &MessagePlan) -> Fallible<Vec<Value>> {
    let mut values = vec![Value::Null; plan.width];
    for field in plan.fields.iter().filter(|f| !matches!(f.shape, Shape::Single)) {
        values[field.column] = field.absent.clone();
    }
    for (column, _, value) in &plan.missing {
        values[*column] = value.clone();
    }
    let mut slots = vec![None; plan.fields.len()];
    let mut found = Found::new(&mut slots);
    found.scan(bytes, plan, |field, raw| {
        match (&field.shape, &mut values[field.column]) {
            (Shape::List { element }, Value::Array(items)) => {
                let item = value(&field.read, raw, element);
                items.push(item.map_err(|e| e.in_element(items.len()).in_field(&field.name))?);
            }
            (Shape::Map { key, value: of }, Value::Map(entries)) => {
                let (name, raw) = entry(raw).map_err(|e| e.in_field(&field.name))?;
                let name = map_key(*key, name).map_err(|e| e.in_field(&field.name))?;
                let value = value(&field.read, entry_value(&field.read, raw), of);
                let value = value.map_err(|e| e.in_entry(&name).in_field(&field.name))?;
                entries.push((name.into_owned(), value));
            }
            _ => return Err(Failure::new(format!("{} is not read from this type", field.target))),
        }
        Ok(())
    })?;
    for value in &mut values {
        if let Value::Map(entries) = value {
            last_wins(entries);
        }
    }
    for (place, field) in plan.fields.iter().enumerate().filter(|(_, f)| matches!(f.shape, Shape::Single)) {
        values[field.column] = match found.get(place) {
            Some(raw) => value(&field.read, raw, &field.target).map_err(|e| e.in_field(&field.name))?,
            None => field.absent.clone(),
        };
    }
    Ok(values)
}

fn value(read: &Read, raw: Raw<'_>, target: &DataType) -> Fallible<Value> {
    match (read, raw) {
        (Read::Message(plan), Raw::Bytes(bytes)) => Ok(Value::Struct(message(bytes, plan)?)),
        (Read::Unwrapped(plan), Raw::Bytes(bytes)) => Ok(message(bytes, plan)?.pop().unwrap_or(Value::Null)),
        (read, raw) => Ok(leaf(read, raw, target)?.into_value()),
    }
}

/// Of entries with the same key the last.
fn last_wins(entries: &mut Vec<(String, Value)>) {
    let keys: Vec<&[u8]> = entries.iter().map(|(key, _)| key.as_bytes()).collect();
    if !has_twice(&keys) {
        return;
    }
    let mut seen = HashSet::with_capacity(keys.len());
    let mut kept: Vec<bool> = keys.iter().rev().map(|key| seen.insert(*key)).collect();
    entries.retain(|_| kept.pop().unwrap_or(true));
}

/// Whether a key comes more than once.
pub(super) fn has_twice(keys: &[&[u8]]) -> bool {
    /// Up to so many are compared one by one.
    const FEW: usize = 8;
    if keys.len() <= FEW {
        return keys.iter().enumerate().any(|(i, key)| keys[..i].contains(key));
    }
    let mut seen = HashSet::with_capacity(keys.len());
    keys.iter().any(|key| !seen.insert(*key))
}
