//! Arrow arrays seen through their SQL types: downcast once a batch, read cell by cell.

use crate::failure::{Failure, Fallible};
use crate::{DataType, RecordError, Row, Schema, Value};
use arrow_array::{
    Array, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    ListArray, MapArray, RecordBatch, StringArray, StructArray, Time32MillisecondArray,
    TimestampMillisecondArray,
};
use std::ops::Range;

/// An array of a known type.
pub(crate) enum Cells<'a> {
    Boolean(&'a BooleanArray),
    Integer(&'a Int32Array),
    BigInt(&'a Int64Array),
    Double(&'a Float64Array),
    Decimal(&'a Decimal128Array, i8),
    Varchar(&'a StringArray),
    Bytes(&'a BinaryArray),
    Date(&'a Date32Array),
    Time(&'a Time32MillisecondArray),
    Timestamp(&'a TimestampMillisecondArray),
    Array(&'a ListArray, Box<Cells<'a>>),
    Map(&'a MapArray, &'a StringArray, Box<Cells<'a>>),
    Struct(&'a StructArray, Vec<Cells<'a>>),
}

fn cast<'a, T: 'static>(array: &'a dyn Array, wanted: &DataType) -> Fallible<&'a T> {
    array
        .as_any()
        .downcast_ref()
        .ok_or_else(|| Failure::new(format!("{wanted} wanted, the column holds {}", array.data_type())))
}

impl<'a> Cells<'a> {
    /// # Errors
    /// The array is not of the type's Arrow counterpart.
    pub(crate) fn bind(array: &'a dyn Array, wanted: &DataType) -> Fallible<Self> {
        Ok(match wanted {
            DataType::Boolean => Self::Boolean(cast(array, wanted)?),
            DataType::Integer => Self::Integer(cast(array, wanted)?),
            DataType::BigInt => Self::BigInt(cast(array, wanted)?),
            DataType::Double => Self::Double(cast(array, wanted)?),
            DataType::Decimal(_, scale) => {
                let decimals: &Decimal128Array = cast(array, wanted)?;
                if decimals.scale() != *scale {
                    let found = array.data_type();
                    return Err(Failure::new(format!("{wanted} wanted, the column holds {found}")));
                }
                Self::Decimal(decimals, *scale)
            }
            DataType::Varchar => Self::Varchar(cast(array, wanted)?),
            DataType::Bytes => Self::Bytes(cast(array, wanted)?),
            DataType::Date => Self::Date(cast(array, wanted)?),
            DataType::Time => Self::Time(cast(array, wanted)?),
            DataType::Timestamp => Self::Timestamp(cast(array, wanted)?),
            DataType::Array(element) => {
                let list: &ListArray = cast(array, wanted)?;
                Self::Array(list, Box::new(Self::bind(list.values().as_ref(), element)?))
            }
            DataType::Map(value) => {
                let map: &MapArray = cast(array, wanted)?;
                let keys = cast(map.keys().as_ref(), &DataType::Varchar)?;
                Self::Map(map, keys, Box::new(Self::bind(map.values().as_ref(), value)?))
            }
            DataType::Struct(fields) => {
                let parts: &StructArray = cast(array, wanted)?;
                if parts.num_columns() != fields.len() {
                    let found = array.data_type();
                    return Err(Failure::new(format!("{wanted} wanted, the column holds {found}")));
                }
                let cells = fields
                    .iter()
                    .zip(parts.columns())
                    .map(|(f, c)| Self::bind(c.as_ref(), &f.data_type).map_err(|e| e.in_field(&f.name)))
                    .collect::<Fallible<_>>()?;
                Self::Struct(parts, cells)
            }
        })
    }

    /// The columns of a batch.
    ///
    /// # Errors
    /// They are not those of the schema; with index 0.
    pub(crate) fn bind_batch(batch: &'a RecordBatch, schema: &Schema) -> Result<Vec<Self>, RecordError> {
        if batch.num_columns() != schema.fields.len() {
            let (found, wanted) = (batch.num_columns(), schema.fields.len());
            return Err(
                Failure::new(format!("{wanted} columns wanted, the batch holds {found}")).of_record(0)
            );
        }
        schema
            .fields
            .iter()
            .zip(batch.columns())
            .map(|(f, c)| Self::bind(c.as_ref(), &f.data_type).map_err(|e| e.in_field(&f.name).of_record(0)))
            .collect()
    }

    #[inline]
    pub(crate) fn is_null(&self, i: usize) -> bool {
        match self {
            Self::Boolean(a) => a.is_null(i),
            Self::Integer(a) => a.is_null(i),
            Self::BigInt(a) => a.is_null(i),
            Self::Double(a) => a.is_null(i),
            Self::Decimal(a, _) => a.is_null(i),
            Self::Varchar(a) => a.is_null(i),
            Self::Bytes(a) => a.is_null(i),
            Self::Date(a) => a.is_null(i),
            Self::Time(a) => a.is_null(i),
            Self::Timestamp(a) => a.is_null(i),
            Self::Array(a, _) => a.is_null(i),
            Self::Map(a, ..) => a.is_null(i),
            Self::Struct(a, _) => a.is_null(i),
        }
    }

    /// The value of cell `i`.
    pub(crate) fn value(&self, i: usize) -> Value {
        if self.is_null(i) {
            return Value::Null;
        }
        match self {
            Self::Boolean(a) => Value::Boolean(a.value(i)),
            Self::Integer(a) => Value::Integer(a.value(i)),
            Self::BigInt(a) => Value::BigInt(a.value(i)),
            Self::Double(a) => Value::Double(a.value(i)),
            Self::Decimal(a, _) => Value::Decimal(a.value(i)),
            Self::Varchar(a) => Value::Varchar(a.value(i).to_owned()),
            Self::Bytes(a) => Value::Bytes(a.value(i).to_owned()),
            Self::Date(a) => Value::Date(a.value(i)),
            Self::Time(a) => Value::Time(a.value(i)),
            Self::Timestamp(a) => Value::Timestamp(a.value(i)),
            Self::Array(a, items) => {
                Value::Array(span(a.value_offsets(), i).map(|j| items.value(j)).collect())
            }
            Self::Map(a, keys, values) => Value::Map(
                span(a.value_offsets(), i).map(|j| (keys.value(j).to_owned(), values.value(j))).collect(),
            ),
            Self::Struct(_, fields) => Value::Struct(fields.iter().map(|f| f.value(i)).collect()),
        }
    }
}

/// Where the elements of value `i` are.
#[inline]
pub(crate) fn span(offsets: &[i32], i: usize) -> Range<usize> {
    offsets[i] as usize..offsets[i + 1] as usize
}

/// The rows of a batch whose columns are the schema's, in order.
///
/// # Errors
/// The batch's columns are not those of the schema; with index 0.
pub fn arrow_to_rows(schema: &Schema, batch: &RecordBatch) -> Result<Vec<Row>, RecordError> {
    let cells = Cells::bind_batch(batch, schema)?;
    Ok((0..batch.num_rows()).map(|i| cells.iter().map(|c| c.value(i)).collect()).collect())
}
