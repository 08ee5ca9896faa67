//! Arrow arrays of constants.

use crate::error::EngineError;
use arrow_array::types::*;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, ListArray, MapArray, PrimitiveArray, StringArray, StructArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::DataType as ArrowType;
use bd_schema::{DataType, Value};
use std::sync::Arc;

/// One value a row, of type `data_type`.
///
/// # Errors
/// A value of another type.
pub(super) fn array(values: &[&Value], data_type: &DataType) -> Result<ArrayRef, EngineError> {
    let wrong = |value: &Value| EngineError::Unsupported(format!("the constant {value:?} as {data_type}"));
    macro_rules! each {
        ($variant:ident, $map:expr) => {
            values
                .iter()
                .map(|value| match value {
                    Value::Null => Ok(None),
                    Value::$variant(v) => Ok(Some($map(v))),
                    other => Err(wrong(other)),
                })
                .collect::<Result<Vec<_>, _>>()?
        };
    }
    macro_rules! primitive {
        ($variant:ident, $arrow:ty) => {
            Arc::new(PrimitiveArray::<$arrow>::from_iter(each!($variant, |v: &_| *v)))
        };
    }
    Ok(match data_type {
        DataType::Boolean => Arc::new(BooleanArray::from(each!(Boolean, |v: &bool| *v))),
        DataType::Integer => primitive!(Integer, Int32Type),
        DataType::BigInt => primitive!(BigInt, Int64Type),
        DataType::Double => primitive!(Double, Float64Type),
        DataType::Date => primitive!(Date, Date32Type),
        DataType::Time => primitive!(Time, Time32MillisecondType),
        DataType::Timestamp => primitive!(Timestamp, TimestampMillisecondType),
        DataType::Decimal(precision, scale) => {
            let values = PrimitiveArray::<Decimal128Type>::from_iter(each!(Decimal, |v: &i128| *v));
            Arc::new(values.with_precision_and_scale(*precision, *scale)?)
        }
        DataType::Varchar => Arc::new(StringArray::from(each!(Varchar, String::as_str))),
        DataType::Bytes => Arc::new(BinaryArray::from(each!(Bytes, Vec::as_slice))),
        DataType::Array(element) => {
            let lists = each!(Array, |v| v);
            let lengths = lists.iter().map(|l: &Option<&Vec<Value>>| l.map_or(0, Vec::len));
            let items: Vec<&Value> = lists.iter().flatten().flat_map(|l| l.iter()).collect();
            let nulls = NullBuffer::from_iter(lists.iter().map(Option::is_some));
            let ArrowType::List(field) = data_type.to_arrow() else { return Err(wrong(&Value::Null)) };
            let items = array(&items, element)?;
            Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), items, Some(nulls))?)
        }
        DataType::Map(value) => {
            let maps = each!(Map, |v| v);
            let lengths = maps.iter().map(|m: &Option<&Vec<(String, Value)>>| m.map_or(0, Vec::len));
            let entries: Vec<&(String, Value)> = maps.iter().flatten().flat_map(|m| m.iter()).collect();
            let keys = StringArray::from_iter_values(entries.iter().map(|e| &e.0));
            let values = array(&entries.iter().map(|e| &e.1).collect::<Vec<_>>(), value)?;
            let nulls = NullBuffer::from_iter(maps.iter().map(Option::is_some));
            let ArrowType::Map(field, sorted) = data_type.to_arrow() else { return Err(wrong(&Value::Null)) };
            let ArrowType::Struct(fields) = field.data_type() else { return Err(wrong(&Value::Null)) };
            let entries = StructArray::try_new(fields.clone(), vec![Arc::new(keys), values], None)?;
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(MapArray::try_new(field, offsets, entries, Some(nulls), sorted)?)
        }
        DataType::Struct(fields) => {
            let rows = each!(Struct, |v| v);
            let null = Value::Null;
            let columns = fields.iter().enumerate().map(|(i, field)| {
                let column: Vec<&Value> = rows
                    .iter()
                    .map(|r: &Option<&Vec<Value>>| r.and_then(|r| r.get(i)).unwrap_or(&null))
                    .collect();
                array(&column, &field.data_type)
            });
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let nulls = NullBuffer::from_iter(rows.iter().map(Option::is_some));
            let ArrowType::Struct(fields) = data_type.to_arrow() else { return Err(wrong(&Value::Null)) };
            Arc::new(StructArray::try_new_with_length(fields, columns, Some(nulls), rows.len())?)
        }
    })
}

/// One constant, as an array of length one.
///
/// # Errors
/// As [`array`]'s.
pub(super) fn one(value: &Value, data_type: &DataType) -> Result<ArrayRef, EngineError> {
    if matches!(value, Value::Null) {
        return Ok(null(data_type));
    }
    array(&[value], data_type)
}

/// NULL, as an array of length one.
pub(super) fn null(data_type: &DataType) -> ArrayRef {
    arrow_array::new_null_array(&data_type.to_arrow(), 1)
}
