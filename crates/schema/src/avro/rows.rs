//! From bytes to rows, by the same rules as to Arrow.

use super::arrow::map_key;
use super::plan::{Plan, Read, RecordPlan, Root, Skip, Step};
use super::scalar;
use super::skip::skip;
use super::wire::{Blocks, Wire};
use crate::failure::{Failure, Fallible};
use crate::{DataType, Field, Row, Value};

/// Reads a datum.
pub(super) fn datum(bytes: &[u8], plan: &Plan, fields: &[Field]) -> Fallible<Row> {
    let mut w = Wire::new(bytes);
    let row = root(&mut w, &plan.root, fields, &plan.named)?;
    w.end()?;
    Ok(row)
}

/// Reads the datum at the start of the bytes, and gives what follows it.
pub(super) fn prefix<'a>(bytes: &'a [u8], plan: &Plan, fields: &[Field]) -> Fallible<(Row, &'a [u8])> {
    let mut w = Wire::new(bytes);
    let row = root(&mut w, &plan.root, fields, &plan.named)?;
    Ok((row, w.rest()))
}

fn root(w: &mut Wire<'_>, root: &Root, fields: &[Field], named: &[Skip]) -> Fallible<Row> {
    match root {
        Root::Record(record) => self::record(w, record, fields, named),
        Root::Bare(read) => match fields.first() {
            Some(field) => {
                let value = value(w, read, &field.data_type, named);
                Ok(vec![value.map_err(|e| e.in_field(&field.name))?])
            }
            None => Ok(Vec::new()),
        },
        Root::Union(branches) => {
            let branch = &branches[w.index(branches.len(), "branch")?];
            self::root(w, branch, fields, named)
        }
        Root::Refused(reason) => Err(Failure::new(reason.clone())),
    }
}

fn record(w: &mut Wire<'_>, plan: &RecordPlan, fields: &[Field], named: &[Skip]) -> Fallible<Vec<Value>> {
    let mut values = vec![Value::Null; fields.len()];
    for (field, default) in &plan.defaults {
        values[*field] = default.clone();
    }
    for step in &plan.steps {
        match step {
            Step::Read { field, read } => {
                let at = &fields[*field];
                values[*field] = value(w, read, &at.data_type, named).map_err(|e| e.in_field(&at.name))?;
            }
            Step::Skip(what) => skip(w, what, named)?,
        }
    }
    Ok(values)
}

/// Reads a value of that type.
pub(super) fn value(w: &mut Wire<'_>, read: &Read, target: &DataType, named: &[Skip]) -> Fallible<Value> {
    Ok(match (read, target) {
        (Read::Null, _) => Value::Null,
        (Read::Nullable(null, inner), _) => {
            if w.index(2, "branch")? == *null {
                return Ok(Value::Null);
            }
            value(w, inner, target, named)?
        }
        (Read::Union(branches), _) => {
            let branch = &branches[w.index(branches.len(), "branch")?];
            value(w, branch, target, named)?
        }
        (Read::Refused(reason), _) => return Err(Failure::new(reason.clone())),
        (_, DataType::Boolean) => Value::Boolean(scalar::boolean(w, read)?),
        (_, DataType::Integer) => Value::Integer(scalar::integer(w, read)?),
        (_, DataType::BigInt) => Value::BigInt(scalar::bigint(w, read)?),
        (_, DataType::Double) => Value::Double(scalar::double(w, read)?),
        (_, DataType::Decimal(precision, scale)) => {
            Value::Decimal(scalar::decimal(w, read, *precision, *scale)?)
        }
        (_, DataType::Varchar) => Value::Varchar(scalar::varchar(w, read)?.into_owned()),
        (_, DataType::Bytes) => Value::Bytes(scalar::bytes(w, read)?.to_vec()),
        (_, DataType::Date) => Value::Date(scalar::date(w, read)?),
        (_, DataType::Time) => Value::Time(scalar::time(w, read)?),
        (_, DataType::Timestamp) => Value::Timestamp(scalar::timestamp(w, read)?),
        (Read::Array { item, free }, DataType::Array(element)) => {
            let mut items = Vec::new();
            let mut blocks = Blocks::default();
            while w.next(&mut blocks, *free)? {
                items.push(value(w, item, element, named).map_err(|e| e.in_element(items.len()))?);
            }
            Value::Array(items)
        }
        (Read::Map(entry), DataType::Map(target)) => map(w, (&Read::Text, entry), target, named)?,
        (Read::Entries { key, value }, DataType::Map(target)) => map(w, (key, value), target, named)?,
        (Read::Record(plan), DataType::Struct(fields)) => Value::Struct(record(w, plan, fields, named)?),
        (Read::Branch(field, read), DataType::Struct(fields)) => {
            let mut values = vec![Value::Null; fields.len()];
            let of = &fields[*field];
            values[*field] = value(w, read, &of.data_type, named).map_err(|e| e.in_field(&of.name))?;
            Value::Struct(values)
        }
        (Read::Branches(branches), DataType::Struct(fields)) => {
            match &branches[w.index(branches.len(), "branch")?] {
                Some((field, read)) => {
                    let mut values = vec![Value::Null; fields.len()];
                    let of = &fields[*field];
                    let value = value(w, read, &of.data_type, named);
                    values[*field] = value.map_err(|e| e.in_field(&of.name))?;
                    Value::Struct(values)
                }
                None => Value::Null,
            }
        }
        _ => return Err(Failure::new(format!("{target} is not read from this type"))),
    })
}

fn map(w: &mut Wire<'_>, (key, entry): (&Read, &Read), target: &DataType, named: &[Skip]) -> Fallible<Value> {
    let mut entries = Vec::new();
    let mut blocks = Blocks::default();
    while w.next(&mut blocks, false)? {
        let key = map_key(w, key)?.into_owned();
        let value = value(w, entry, target, named).map_err(|e| e.in_entry(&key))?;
        entries.push((key, value));
    }
    Ok(Value::Map(entries))
}
