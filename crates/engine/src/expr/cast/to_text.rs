//! CAST to VARCHAR: numbers as Java writes them, times as ISO 8601, `[a, b]`, `{key=value}`, `Struct{name=value}`.

use super::numbers;
use crate::error::EngineError;
use crate::expr::node::Kernel;
use crate::expr::operand::{build_texts, unexpected};
use crate::expr::time::iso::Writer;
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType as ArrowType;
use bd_schema::DataType;
use std::io::Write;

/// `CAST(x AS VARCHAR)`.
///
/// # Errors
/// None now; a type that has no text.
pub(super) fn kernel(from: &DataType) -> Result<Kernel, EngineError> {
    let writer = Writer::new().map_err(EngineError::Statement)?;
    let is_bytes = *from == DataType::Bytes;
    let kernel = Kernel::partial(move |args, len, failures| {
        let mut unknown = Ok(());
        let array = &args[0].array;
        let out = build_texts(len, 16, |row, out| {
            let place = args[0].place(row);
            if array.is_null(place) {
                return None;
            }
            match write(array, place, &writer, out) {
                Ok(true) => Some(()),
                Ok(false) => {
                    failures.mark(row);
                    None
                }
                Err(e) => {
                    unknown = Err(e);
                    None
                }
            }
        });
        unknown?;
        out
    });
    // Only bytes can be no text; nested ones are rare enough to be treated as such.
    let nested = matches!(from, DataType::Array(_) | DataType::Map(_) | DataType::Struct(_));
    Ok(Kernel { can_fail: is_bytes || nested, ..kernel })
}

/// Appends the value at `row`; false where bytes are not UTF-8.
fn write(array: &ArrayRef, row: usize, writer: &Writer, out: &mut Vec<u8>) -> Result<bool, EngineError> {
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(true);
    }
    // Writing to memory does not fail.
    macro_rules! put {
        ($($arg:tt)*) => {{ let _ = write!(out, $($arg)*); }};
    }
    match array.data_type() {
        ArrowType::Boolean => put!("{}", array.as_boolean().value(row)),
        ArrowType::Int32 => put!("{}", array.as_primitive::<Int32Type>().value(row)),
        ArrowType::Int64 => put!("{}", array.as_primitive::<Int64Type>().value(row)),
        ArrowType::Float64 => numbers::write_double(array.as_primitive::<Float64Type>().value(row), out),
        ArrowType::Decimal128(_, scale) => {
            numbers::write_decimal(array.as_primitive::<Decimal128Type>().value(row), *scale, out);
        }
        ArrowType::Utf8 => out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes()),
        ArrowType::Binary => {
            let bytes = array.as_binary::<i32>().value(row);
            if std::str::from_utf8(bytes).is_err() {
                return Ok(false);
            }
            out.extend_from_slice(bytes);
        }
        ArrowType::Date32 => writer.date(array.as_primitive::<Date32Type>().value(row), out),
        ArrowType::Time32(_) => writer.time(array.as_primitive::<Time32MillisecondType>().value(row), out),
        ArrowType::Timestamp(..) => {
            writer.timestamp(array.as_primitive::<TimestampMillisecondType>().value(row), out);
        }
        ArrowType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            out.push(b'[');
            for i in 0..items.len() {
                separate(i, out);
                if !write(&items, i, writer, out)? {
                    return Ok(false);
                }
            }
            out.push(b']');
        }
        ArrowType::Map(..) => {
            let entries = array.as_map().value(row);
            out.push(b'{');
            for i in 0..entries.len() {
                separate(i, out);
                let key = write(entries.column(0), i, writer, out)?;
                out.push(b'=');
                if !key || !write(entries.column(1), i, writer, out)? {
                    return Ok(false);
                }
            }
            out.push(b'}');
        }
        ArrowType::Struct(fields) => {
            out.extend_from_slice(b"Struct{");
            for (i, (field, column)) in fields.iter().zip(array.as_struct().columns()).enumerate() {
                separate(i, out);
                out.extend_from_slice(field.name().as_bytes());
                out.push(b'=');
                if !write(column, row, writer, out)? {
                    return Ok(false);
                }
            }
            out.push(b'}');
        }
        _ => return Err(unexpected(&ArrowType::Utf8, array)),
    }
    Ok(true)
}

fn separate(i: usize, out: &mut Vec<u8>) {
    if i > 0 {
        out.extend_from_slice(b", ");
    }
}
