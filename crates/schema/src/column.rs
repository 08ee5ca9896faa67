//! Growing Arrow columns that can be cut back: what a bad record left half written is taken off again.

use crate::DataType;
use crate::failure::{Failure, Fallible};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    ListArray, MapArray, StringArray, StructArray, Time32MillisecondArray, TimestampMillisecondArray,
};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType as ArrowType};
use std::sync::Arc;

/// Which values are not null. No bitmap exists until the first null.
#[derive(Default)]
pub(crate) struct Validity {
    len: usize,
    bits: Option<BooleanBufferBuilder>,
}

impl Validity {
    #[inline]
    fn push_valid(&mut self) {
        self.len += 1;
        if let Some(bits) = &mut self.bits {
            bits.append(true);
        }
    }

    fn push_null(&mut self) {
        let len = self.len;
        let bits = self.bits.get_or_insert_with(|| {
            let mut bits = BooleanBufferBuilder::new(len + 1);
            bits.append_n(len, true);
            bits
        });
        bits.append(false);
        self.len += 1;
    }

    fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
            if let Some(bits) = &mut self.bits {
                bits.truncate(len);
            }
        }
    }

    fn finish(self) -> Option<NullBuffer> {
        self.bits.map(|mut bits| NullBuffer::new(bits.finish()))
    }
}

/// Values of fixed width.
#[derive(Default)]
pub(crate) struct Fixed<T> {
    values: Vec<T>,
    validity: Validity,
}

impl<T: Copy + Default> Fixed<T> {
    #[inline]
    pub(crate) fn push(&mut self, value: Option<T>) {
        match value {
            Some(value) => {
                self.values.push(value);
                self.validity.push_valid();
            }
            None => {
                self.values.push(T::default());
                self.validity.push_null();
            }
        }
    }

    fn truncate(&mut self, len: usize) {
        self.values.truncate(len);
        self.validity.truncate(len);
    }
}

/// Offsets into a child's values: one more than there are values, the first is 0.
pub(crate) struct Offsets {
    ends: Vec<i32>,
    validity: Validity,
}

impl Default for Offsets {
    fn default() -> Self {
        Self { ends: vec![0], validity: Validity::default() }
    }
}

impl Offsets {
    /// Where the next value starts.
    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.ends.last().map_or(0, |end| *end as usize)
    }

    /// Closes a value that ends at `end`.
    ///
    /// # Errors
    /// Arrow's 32-bit offsets cannot hold `end`.
    #[inline]
    pub(crate) fn push(&mut self, end: usize) -> Fallible<()> {
        let end = i32::try_from(end).map_err(|_| {
            Failure::new("the batch holds more than 2^31 - 1 bytes or elements in this column")
        })?;
        self.ends.push(end);
        self.validity.push_valid();
        Ok(())
    }

    fn push_null(&mut self) {
        self.ends.push(self.end() as i32);
        self.validity.push_null();
    }

    fn truncate(&mut self, len: usize) {
        self.ends.truncate(len + 1);
        self.validity.truncate(len);
    }

    fn finish(self) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
        (OffsetBuffer::new(ScalarBuffer::from(self.ends)), self.validity.finish())
    }
}

/// Values of bytes or UTF-8.
#[derive(Default)]
pub(crate) struct Variable {
    bytes: Vec<u8>,
    offsets: Offsets,
}

impl Variable {
    #[inline]
    pub(crate) fn push(&mut self, value: &[u8]) -> Fallible<()> {
        self.bytes.extend_from_slice(value);
        self.offsets.push(self.bytes.len())
    }

    pub(crate) fn push_null(&mut self) {
        self.offsets.push_null();
    }

    pub(crate) fn len(&self) -> usize {
        self.offsets.validity.len
    }

    /// The value at that place; empty where it is null.
    pub(crate) fn get(&self, i: usize) -> &[u8] {
        &self.bytes[self.offsets.ends[i] as usize..self.offsets.ends[i + 1] as usize]
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.offsets.truncate(len);
        self.bytes.truncate(self.offsets.end());
    }
}

/// `ARRAY`: elements go to `items`, then [`Offsets::push`] closes the value.
pub(crate) struct List {
    pub(crate) offsets: Offsets,
    pub(crate) items: Column,
}

/// `MAP`: entries go to `keys` and `values`, then [`Offsets::push`] closes the value.
pub(crate) struct Map {
    pub(crate) offsets: Offsets,
    pub(crate) keys: Variable,
    pub(crate) values: Column,
}

/// `STRUCT`: one value goes to each field, then [`Struct::push`] closes the value.
pub(crate) struct Struct {
    validity: Validity,
    pub(crate) fields: Vec<Column>,
}

impl Struct {
    pub(crate) fn len(&self) -> usize {
        self.validity.len
    }

    pub(crate) fn push(&mut self) {
        self.validity.push_valid();
    }

    /// Closes a null, of all fields too.
    pub(crate) fn push_null(&mut self) {
        self.fields.iter_mut().for_each(Column::push_null);
        self.validity.push_null();
    }
}

/// A growing column of any type.
pub(crate) enum Column {
    Boolean(Fixed<bool>),
    Integer(Fixed<i32>),
    BigInt(Fixed<i64>),
    Double(Fixed<f64>),
    Decimal(Fixed<i128>, u8, i8),
    Varchar(Variable),
    Bytes(Variable),
    Date(Fixed<i32>),
    Time(Fixed<i32>),
    Timestamp(Fixed<i64>),
    Array(Box<List>),
    Map(Box<Map>),
    Struct(Struct),
}

impl Column {
    pub(crate) fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Boolean(Fixed::default()),
            DataType::Integer => Self::Integer(Fixed::default()),
            DataType::BigInt => Self::BigInt(Fixed::default()),
            DataType::Double => Self::Double(Fixed::default()),
            DataType::Decimal(precision, scale) => Self::Decimal(Fixed::default(), *precision, *scale),
            DataType::Varchar => Self::Varchar(Variable::default()),
            DataType::Bytes => Self::Bytes(Variable::default()),
            DataType::Date => Self::Date(Fixed::default()),
            DataType::Time => Self::Time(Fixed::default()),
            DataType::Timestamp => Self::Timestamp(Fixed::default()),
            DataType::Array(element) => {
                Self::Array(Box::new(List { offsets: Offsets::default(), items: Self::new(element) }))
            }
            DataType::Map(value) => Self::Map(Box::new(Map {
                offsets: Offsets::default(),
                keys: Variable::default(),
                values: Self::new(value),
            })),
            DataType::Struct(fields) => Self::Struct(Struct {
                validity: Validity::default(),
                fields: fields.iter().map(|f| Self::new(&f.data_type)).collect(),
            }),
        }
    }

    /// How many values are closed.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Boolean(c) => c.values.len(),
            Self::Integer(c) | Self::Date(c) | Self::Time(c) => c.values.len(),
            Self::BigInt(c) | Self::Timestamp(c) => c.values.len(),
            Self::Double(c) => c.values.len(),
            Self::Decimal(c, ..) => c.values.len(),
            Self::Varchar(c) | Self::Bytes(c) => c.len(),
            Self::Array(c) => c.offsets.validity.len,
            Self::Map(c) => c.offsets.validity.len,
            Self::Struct(c) => c.validity.len,
        }
    }

    pub(crate) fn push_null(&mut self) {
        match self {
            Self::Boolean(c) => c.push(None),
            Self::Integer(c) | Self::Date(c) | Self::Time(c) => c.push(None),
            Self::BigInt(c) | Self::Timestamp(c) => c.push(None),
            Self::Double(c) => c.push(None),
            Self::Decimal(c, ..) => c.push(None),
            Self::Varchar(c) | Self::Bytes(c) => c.push_null(),
            Self::Array(c) => c.offsets.push_null(),
            Self::Map(c) => c.offsets.push_null(),
            Self::Struct(c) => c.push_null(),
        }
    }

    /// Cuts it back to `len` values, also what was begun and not closed.
    pub(crate) fn truncate(&mut self, len: usize) {
        match self {
            Self::Boolean(c) => c.truncate(len),
            Self::Integer(c) | Self::Date(c) | Self::Time(c) => c.truncate(len),
            Self::BigInt(c) | Self::Timestamp(c) => c.truncate(len),
            Self::Double(c) => c.truncate(len),
            Self::Decimal(c, ..) => c.truncate(len),
            Self::Varchar(c) | Self::Bytes(c) => c.truncate(len),
            Self::Array(c) => {
                c.offsets.truncate(len);
                c.items.truncate(c.offsets.end());
            }
            Self::Map(c) => {
                c.offsets.truncate(len);
                c.keys.truncate(c.offsets.end());
                c.values.truncate(c.offsets.end());
            }
            Self::Struct(c) => {
                c.validity.truncate(len);
                c.fields.iter_mut().for_each(|field| field.truncate(len));
            }
        }
    }

    /// The Arrow array, of that type, which is the one it was made for.
    pub(crate) fn finish(self, arrow: &ArrowType) -> Result<ArrayRef, ArrowError> {
        Ok(match (self, arrow) {
            (Self::Boolean(c), _) => Arc::new(BooleanArray::new(c.values.into(), c.validity.finish())),
            (Self::Integer(c), _) => Arc::new(Int32Array::try_new(c.values.into(), c.validity.finish())?),
            (Self::BigInt(c), _) => Arc::new(Int64Array::try_new(c.values.into(), c.validity.finish())?),
            (Self::Double(c), _) => Arc::new(Float64Array::try_new(c.values.into(), c.validity.finish())?),
            (Self::Decimal(c, precision, scale), _) => Arc::new(
                Decimal128Array::try_new(c.values.into(), c.validity.finish())?
                    .with_precision_and_scale(precision, scale)?,
            ),
            (Self::Varchar(c), _) => {
                let (offsets, nulls) = c.offsets.finish();
                Arc::new(StringArray::try_new(offsets, c.bytes.into(), nulls)?)
            }
            (Self::Bytes(c), _) => {
                let (offsets, nulls) = c.offsets.finish();
                Arc::new(BinaryArray::try_new(offsets, c.bytes.into(), nulls)?)
            }
            (Self::Date(c), _) => Arc::new(Date32Array::try_new(c.values.into(), c.validity.finish())?),
            (Self::Time(c), _) => {
                Arc::new(Time32MillisecondArray::try_new(c.values.into(), c.validity.finish())?)
            }
            (Self::Timestamp(c), _) => {
                Arc::new(TimestampMillisecondArray::try_new(c.values.into(), c.validity.finish())?)
            }
            (Self::Array(c), ArrowType::List(item)) => {
                let (offsets, nulls) = c.offsets.finish();
                let items = c.items.finish(item.data_type())?;
                Arc::new(ListArray::try_new(item.clone(), offsets, items, nulls)?)
            }
            (Self::Map(c), ArrowType::Map(entries, ordered)) => {
                let ArrowType::Struct(fields) = entries.data_type() else { return Err(mismatch(arrow)) };
                let (offsets, nulls) = c.offsets.finish();
                let keys = Self::Varchar(c.keys).finish(fields[0].data_type())?;
                let values = c.values.finish(fields[1].data_type())?;
                let both = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
                Arc::new(MapArray::try_new(entries.clone(), offsets, both, nulls, *ordered)?)
            }
            (Self::Struct(c), ArrowType::Struct(fields)) => {
                let len = c.validity.len;
                let arrays = c
                    .fields
                    .into_iter()
                    .zip(fields.iter())
                    .map(|(column, field)| column.finish(field.data_type()))
                    .collect::<Result<Vec<_>, _>>()?;
                Arc::new(StructArray::try_new_with_length(fields.clone(), arrays, c.validity.finish(), len)?)
            }
            (_, arrow) => return Err(mismatch(arrow)),
        })
    }
}

fn mismatch(arrow: &ArrowType) -> ArrowError {
    ArrowError::SchemaError(format!("a column was built for another type than {arrow}"))
}
