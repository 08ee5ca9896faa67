//! From bytes to Arrow columns, without anything in between.

use super::link::Scalar;
use super::plan::{FieldPlan, MessagePlan, Read, Shape, default_raw};
use super::rows;
use super::scalar::{Leaf, leaf, takes};
use super::scan::{Found, entry};
use super::wire::Raw;
use crate::batch;
use crate::column::{Column, Map};
use crate::failure::{Failure, Fallible};
use crate::{DataType, Value};
use std::borrow::Cow;

/// So many fields need no allocation.
const FEW: usize = 24;

/// Reads a message, appending one value to each column, or fails having appended any part of that.
pub(super) fn message(bytes: &[u8], plan: &MessagePlan, columns: &mut [Column]) -> Fallible<()> {
    let count = plan.fields.len();
    let (mut few, mut many);
    let slots = if count <= FEW {
        few = [None; FEW];
        &mut few[..count]
    } else {
        many = vec![None; count];
        &mut many[..]
    };
    let mut found = Found::new(slots);
    found.scan(bytes, plan, |field, raw| match (&field.shape, &mut columns[field.column]) {
        (Shape::List { element }, Column::Array(list)) => {
            let at = list.items.len() - list.offsets.end();
            value(&field.read, raw, element, &mut list.items)
                .map_err(|e| e.in_element(at).in_field(&field.name))
        }
        (Shape::Map { key, value: of }, Column::Map(map)) => {
            let (name, raw) = entry(raw).map_err(|e| e.in_field(&field.name))?;
            let name = map_key(*key, name).map_err(|e| e.in_field(&field.name))?;
            map.keys.push(name.as_bytes())?;
            let raw = entry_value(&field.read, raw);
            value(&field.read, raw, of, &mut map.values).map_err(|e| e.in_entry(&name).in_field(&field.name))
        }
        _ => Err(mismatch(&field.target)),
    })?;
    for (place, field) in plan.fields.iter().enumerate() {
        let column = &mut columns[field.column];
        match (&field.shape, column) {
            (Shape::Single, column) => match found.get(place) {
                Some(raw) => {
                    value(&field.read, raw, &field.target, column).map_err(|e| e.in_field(&field.name))?
                }
                None if field.absent == Value::Null => column.push_null(),
                None => batch::push(column, &field.target, &field.absent)?,
            },
            (_, Column::Array(list)) => list.offsets.push(list.items.len())?,
            (Shape::Map { value, .. }, Column::Map(map)) => {
                if repeats(map) {
                    last_wins(map, bytes, plan, field, value)?;
                }
                map.offsets.push(map.keys.len())?;
            }
            _ => return Err(mismatch(&field.target)),
        }
    }
    for (column, target, value) in &plan.missing {
        batch::push(&mut columns[*column], target, value)?;
    }
    Ok(())
}

/// Whether a key comes more than once in the map that is not yet closed.
fn repeats(map: &Map) -> bool {
    let entries = map.offsets.end()..map.keys.len();
    if entries.len() < 2 {
        return false;
    }
    rows::has_twice(&entries.map(|i| map.keys.get(i)).collect::<Vec<_>>())
}

/// Reads the map once more, as rows do: of entries with the same key the last.
#[cold]
fn last_wins(
    map: &mut Map,
    bytes: &[u8],
    plan: &MessagePlan,
    field: &FieldPlan,
    of: &DataType,
) -> Fallible<()> {
    let start = map.offsets.end();
    map.keys.truncate(start);
    map.values.truncate(start);
    let mut row = rows::message(bytes, plan)?;
    if let Some(Value::Map(entries)) = row.get_mut(field.column) {
        for (key, value) in entries {
            map.keys.push(key.as_bytes())?;
            batch::push(&mut map.values, of, value)?;
        }
    }
    Ok(())
}

#[cold]
fn mismatch(target: &DataType) -> Box<Failure> {
    Failure::new(format!("{target} is not read from this type"))
}

/// A map's key as text; one that is not there is the type's default.
pub(super) fn map_key(key: Scalar, raw: Option<Raw<'_>>) -> Fallible<Cow<'_, str>> {
    let read = Read::Scalar(key);
    let raw = raw.filter(|raw| takes(&read, *raw)).unwrap_or(default_raw(key));
    match leaf(&read, raw, &DataType::Varchar)? {
        Leaf::Text(text) => Ok(text),
        _ => Err(mismatch(&DataType::Varchar)),
    }
}

/// The value of an entry; one that is not there is the type's default.
pub(super) fn entry_value<'a>(read: &Read, raw: Option<Raw<'a>>) -> Raw<'a> {
    raw.filter(|raw| takes(read, *raw)).unwrap_or(match read {
        Read::Scalar(scalar) => default_raw(*scalar),
        Read::Enum(_) => Raw::Varint(0),
        _ => Raw::Bytes(&[]),
    })
}

#[inline]
fn value(read: &Read, raw: Raw<'_>, target: &DataType, column: &mut Column) -> Fallible<()> {
    match (read, raw, &mut *column) {
        (Read::Message(plan), Raw::Bytes(bytes), Column::Struct(parts)) => {
            message(bytes, plan, &mut parts.fields)?;
            parts.push();
            return Ok(());
        }
        (Read::Unwrapped(plan), Raw::Bytes(bytes), column) => {
            return message(bytes, plan, std::slice::from_mut(column));
        }
        _ => {}
    }
    match (column, leaf(read, raw, target)?) {
        (Column::Boolean(c), Leaf::Boolean(v)) => c.push(Some(v)),
        (Column::Integer(c), Leaf::Integer(v)) => c.push(Some(v)),
        (Column::BigInt(c), Leaf::BigInt(v)) => c.push(Some(v)),
        (Column::Double(c), Leaf::Double(v)) => c.push(Some(v)),
        (Column::Decimal(c, ..), Leaf::Decimal(v)) => c.push(Some(v)),
        (Column::Varchar(c), Leaf::Text(v)) => c.push(v.as_bytes())?,
        (Column::Bytes(c), Leaf::Bytes(v)) => c.push(v)?,
        (Column::Date(c), Leaf::Date(v)) => c.push(Some(v)),
        (Column::Time(c), Leaf::Time(v)) => c.push(Some(v)),
        (Column::Timestamp(c), Leaf::Timestamp(v)) => c.push(Some(v)),
        _ => return Err(mismatch(target)),
    }
    Ok(())
}
