//! How single values are kept: integers and times as `i64`, all else as arrow-row bytes, which order as the values do.

use crate::error::EngineError;
use crate::operators::logged_rows::corrupt;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array, cast::AsArray};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{DataType as ArrowType, TimeUnit};
use std::hash::Hash;
use std::sync::Arc;

/// Whether [`IntRepr`] holds values of this type.
pub(crate) fn is_int(data_type: &ArrowType) -> bool {
    matches!(
        data_type,
        ArrowType::Int32 | ArrowType::Int64 | ArrowType::Timestamp(TimeUnit::Millisecond, None)
    )
}

/// A representation of single values of one type.
pub(crate) trait Repr: Send + Sized + 'static {
    /// A value; never NULL.
    type Value: Ord + Hash + Clone + Send;
    fn new(data_type: &ArrowType) -> Result<Self, EngineError>;
    fn read(&self, array: &ArrayRef) -> Result<Vec<Option<Self::Value>>, EngineError>;
    fn write(&self, values: &[Option<&Self::Value>]) -> Result<ArrayRef, EngineError>;
    fn encode(value: &Self::Value, into: &mut Vec<u8>);
    fn decode(bytes: &[u8]) -> Result<Self::Value, EngineError>;
    /// Bytes on the heap.
    fn heap(value: &Self::Value) -> usize;
}

/// See the module's documentation.
pub(crate) struct IntRepr(ArrowType);

impl Repr for IntRepr {
    type Value = i64;

    fn new(data_type: &ArrowType) -> Result<Self, EngineError> {
        Ok(Self(data_type.clone()))
    }

    fn read(&self, array: &ArrayRef) -> Result<Vec<Option<i64>>, EngineError> {
        let array = arrow_cast::cast(array, &ArrowType::Int64)?;
        Ok(array.as_primitive::<Int64Type>().iter().collect())
    }

    fn write(&self, values: &[Option<&i64>]) -> Result<ArrayRef, EngineError> {
        let array = values.iter().map(|v| v.copied()).collect::<Int64Array>();
        Ok(arrow_cast::cast(&array, &self.0)?)
    }

    fn encode(value: &i64, into: &mut Vec<u8>) {
        into.extend_from_slice(&value.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<i64, EngineError> {
        bytes.try_into().map(i64::from_be_bytes).map_err(|_| corrupt("the length of an integer"))
    }

    fn heap(_value: &i64) -> usize {
        0
    }
}

/// See the module's documentation.
pub(crate) struct BytesRepr {
    data_type: ArrowType,
    converter: RowConverter,
}

impl Repr for BytesRepr {
    type Value = Box<[u8]>;

    fn new(data_type: &ArrowType) -> Result<Self, EngineError> {
        let converter = RowConverter::new(vec![SortField::new(data_type.clone())])?;
        Ok(Self { data_type: data_type.clone(), converter })
    }

    fn read(&self, array: &ArrayRef) -> Result<Vec<Option<Box<[u8]>>>, EngineError> {
        let rows = self.converter.convert_columns(std::slice::from_ref(array))?;
        let nulls = array.logical_nulls();
        let is_valid = |i| nulls.as_ref().is_none_or(|n| n.is_valid(i));
        Ok(rows.iter().enumerate().map(|(i, row)| is_valid(i).then(|| row.data().into())).collect())
    }

    fn write(&self, values: &[Option<&Box<[u8]>>]) -> Result<ArrayRef, EngineError> {
        let null = arrow_array::new_null_array(&self.data_type, 1);
        let null = self.converter.convert_columns(&[null])?;
        let null = null.row(0);
        let bytes = values.iter().map(|v| v.map_or(null.data(), |v| v));
        let rows = self.converter.from_binary(BinaryArray::from_iter_values(bytes));
        let mut columns = self.converter.convert_rows(rows.iter())?;
        Ok(columns.pop().unwrap_or_else(|| Arc::new(arrow_array::NullArray::new(values.len()))))
    }

    fn encode(value: &Box<[u8]>, into: &mut Vec<u8>) {
        into.extend_from_slice(value);
    }

    fn decode(bytes: &[u8]) -> Result<Box<[u8]>, EngineError> {
        Ok(bytes.into())
    }

    fn heap(value: &Box<[u8]>) -> usize {
        value.len()
    }
}

/// Appends a value with its length before it; `None` as length -1.
pub(crate) fn save_value<R: Repr>(value: Option<&R::Value>, into: &mut Vec<u8>) {
    let at = into.len();
    into.extend_from_slice(&(-1i32).to_be_bytes());
    if let Some(value) = value {
        R::encode(value, into);
        let len = (into.len() - at - 4) as i32;
        into[at..at + 4].copy_from_slice(&len.to_be_bytes());
    }
}

/// Reads what [`save_value`] wrote.
pub(crate) fn load_value<R: Repr>(from: &mut &[u8]) -> Result<Option<R::Value>, EngineError> {
    let len = i32::from_be_bytes(take(from)?);
    if len < 0 {
        return Ok(None);
    }
    let (bytes, rest) =
        from.split_at_checked(len as usize).ok_or_else(|| corrupt("the length of a value"))?;
    *from = rest;
    R::decode(bytes).map(Some)
}

/// Takes the first `N` bytes off.
pub(crate) fn take<const N: usize>(from: &mut &[u8]) -> Result<[u8; N], EngineError> {
    let (first, rest) = from.split_first_chunk::<N>().ok_or_else(|| corrupt("an entry that ends early"))?;
    *from = rest;
    Ok(*first)
}
