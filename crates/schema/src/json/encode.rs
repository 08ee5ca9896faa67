//! From Arrow cells and from rows to compact JSON.

use super::shape::{ObjectShape, Shape};
use super::write;
use crate::batch::wrong_type;
use crate::cells::{Cells, span};
use crate::failure::{Failure, Fallible};
use crate::numeric::big_integer;
use crate::{DataType, Value};

/// Writes an object of the cells of row `i`.
pub(super) fn object_of_cells(
    out: &mut Vec<u8>,
    shape: &ObjectShape,
    cells: &[Cells<'_>],
    i: usize,
) -> Fallible<()> {
    for (at, (prefix, cell)) in shape.prefixes.iter().zip(cells).enumerate() {
        out.extend_from_slice(prefix);
        self::cell(out, &shape.fields[at], cell, i).map_err(|e| e.in_field(&shape.names[at]))?;
    }
    close(out, shape);
    Ok(())
}

/// The prefix of the first field opens an object; where there is none, nothing has.
fn close(out: &mut Vec<u8>, shape: &ObjectShape) {
    out.extend_from_slice(if shape.prefixes.is_empty() { b"{}" } else { b"}" });
}

/// Writes cell `i`.
#[inline]
pub(super) fn cell(out: &mut Vec<u8>, shape: &Shape, cells: &Cells<'_>, i: usize) -> Fallible<()> {
    if cells.is_null(i) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    match (cells, shape) {
        (Cells::Boolean(a), _) => write::boolean(out, a.value(i)),
        (Cells::Integer(a), _) => write::integer(out, a.value(i).into()),
        (Cells::BigInt(a), _) => write::integer(out, a.value(i)),
        (Cells::Double(a), _) => write::double(out, a.value(i))?,
        (Cells::Decimal(a, _), Shape::Unscaled(_)) => write::bytes(out, &big_integer(a.value(i))),
        (Cells::Decimal(a, scale), _) => write::decimal(out, a.value(i), *scale),
        (Cells::Varchar(a), _) => write::string(out, a.value(i)),
        (Cells::Bytes(a), _) => write::bytes(out, a.value(i)),
        (Cells::Date(a), _) => write::integer(out, a.value(i).into()),
        (Cells::Time(a), _) => write::integer(out, a.value(i).into()),
        (Cells::Timestamp(a), _) => write::integer(out, a.value(i)),
        (Cells::Array(a, items), Shape::Array(element)) => {
            out.push(b'[');
            for (at, j) in span(a.value_offsets(), i).enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                cell(out, element, items, j).map_err(|e| e.in_element(at))?;
            }
            out.push(b']');
        }
        (Cells::Map(a, keys, values), Shape::Map(entry)) => {
            out.push(b'{');
            for (at, j) in span(a.value_offsets(), i).enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write::string(out, keys.value(j));
                out.push(b':');
                cell(out, entry, values, j).map_err(|e| e.in_entry(keys.value(j)))?;
            }
            out.push(b'}');
        }
        (Cells::Struct(_, fields), Shape::Struct(object)) => object_of_cells(out, object, fields, i)?,
        _ => return Err(Failure::new("the column is not of the schema's type")),
    }
    Ok(())
}

/// Writes an object of these values, which are as many as the shape's fields.
pub(super) fn object_of_values(out: &mut Vec<u8>, shape: &ObjectShape, values: &[Value]) -> Fallible<()> {
    for (at, (prefix, v)) in shape.prefixes.iter().zip(values).enumerate() {
        out.extend_from_slice(prefix);
        value(out, &shape.fields[at], v).map_err(|e| e.in_field(&shape.names[at]))?;
    }
    close(out, shape);
    Ok(())
}

/// Writes a value.
pub(super) fn value(out: &mut Vec<u8>, shape: &Shape, v: &Value) -> Fallible<()> {
    match (shape, v) {
        (_, Value::Null) => out.extend_from_slice(b"null"),
        (Shape::Leaf(data_type), v) => leaf(out, data_type, v)?,
        (Shape::Unscaled(_), Value::Decimal(v)) => write::bytes(out, &big_integer(*v)),
        (Shape::Unscaled(wanted), v) => return Err(wrong_type(wanted, v)),
        (Shape::Array(element), Value::Array(items)) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                value(out, element, item).map_err(|e| e.in_element(at))?;
            }
            out.push(b']');
        }
        (Shape::Map(entry), Value::Map(entries)) => {
            out.push(b'{');
            for (at, (key, v)) in entries.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write::string(out, key);
                out.push(b':');
                value(out, entry, v).map_err(|e| e.in_entry(key))?;
            }
            out.push(b'}');
        }
        (Shape::Struct(object), Value::Struct(values)) if object.names.len() == values.len() => {
            object_of_values(out, object, values)?;
        }
        (Shape::Array(_), v) => return Err(wrong_nested("ARRAY", v)),
        (Shape::Map(_), v) => return Err(wrong_nested("MAP", v)),
        (Shape::Struct(object), v) => {
            return Err(wrong_nested(&format!("STRUCT of {} fields", object.names.len()), v));
        }
    }
    Ok(())
}

fn wrong_nested(wanted: &str, v: &Value) -> Box<Failure> {
    Failure::new(format!("{wanted} wanted, the value is {}", v.type_name()))
}

fn leaf(out: &mut Vec<u8>, data_type: &DataType, v: &Value) -> Fallible<()> {
    match (data_type, v) {
        (DataType::Boolean, Value::Boolean(v)) => write::boolean(out, *v),
        (DataType::Integer, Value::Integer(v))
        | (DataType::Date, Value::Date(v))
        | (DataType::Time, Value::Time(v)) => write::integer(out, (*v).into()),
        (DataType::BigInt, Value::BigInt(v)) | (DataType::Timestamp, Value::Timestamp(v)) => {
            write::integer(out, *v);
        }
        (DataType::Double, Value::Double(v)) => write::double(out, *v)?,
        (DataType::Decimal(_, scale), Value::Decimal(v)) => write::decimal(out, *v, *scale),
        (DataType::Varchar, Value::Varchar(v)) => write::string(out, v),
        (DataType::Bytes, Value::Bytes(v)) => write::bytes(out, v),
        (wanted, v) => return Err(wrong_type(wanted, v)),
    }
    Ok(())
}
