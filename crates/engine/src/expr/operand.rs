//! What an operation works on: a column, or one value that stands for every row; and the rows that failed.

use crate::error::EngineError;
use arrow_array::cast::AsArray;
use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{Array, ArrayRef, Datum, StringArray, UInt32Array};
use arrow_buffer::{BooleanBuffer, NullBuffer, NullBufferBuilder, OffsetBuffer};
use arrow_schema::ArrowError;
use std::sync::Arc;

/// A column, or a scalar: an array of length one whose value holds for every row.
#[derive(Debug, Clone)]
pub(super) struct Operand {
    /// The values.
    pub(super) array: ArrayRef,
    /// Whether the only value stands for all rows.
    pub(super) scalar: bool,
}

impl Datum for Operand {
    fn get(&self) -> (&dyn Array, bool) {
        (self.array.as_ref(), self.scalar)
    }
}

impl Operand {
    pub(super) fn column(array: ArrayRef) -> Self {
        Self { array, scalar: false }
    }

    pub(super) fn scalar(array: ArrayRef) -> Self {
        Self { array, scalar: true }
    }

    /// Whether it is NULL for every row and known to be.
    pub(super) fn is_null_scalar(&self) -> bool {
        self.scalar && self.array.is_null(0)
    }

    /// The place of row `row` in the array.
    #[inline]
    pub(super) fn place(&self, row: usize) -> usize {
        if self.scalar { 0 } else { row }
    }

    /// One value a row.
    pub(super) fn into_array(self, len: usize) -> Result<ArrayRef, EngineError> {
        if !self.scalar {
            return Ok(self.array);
        }
        if len == 1 {
            return Ok(self.array);
        }
        Ok(arrow_select::take::take(self.array.as_ref(), &UInt32Array::from_value(0, len), None)?)
    }

    /// The values of a primitive type.
    ///
    /// # Errors
    /// The array is of another type: a flaw of the analyzer.
    pub(super) fn values<T: ArrowPrimitiveType>(&self) -> Result<Values<'_, T::Native>, EngineError> {
        let array =
            self.array.as_primitive_opt::<T>().ok_or_else(|| unexpected(&T::DATA_TYPE, &self.array))?;
        Ok(Values { values: array.values(), nulls: array.nulls(), scalar: self.scalar })
    }

    /// The strings.
    ///
    /// # Errors
    /// As [`Operand::values`]'s.
    pub(super) fn texts(&self) -> Result<Texts<'_>, EngineError> {
        let array = self
            .array
            .as_string_opt::<i32>()
            .ok_or_else(|| unexpected(&arrow_schema::DataType::Utf8, &self.array))?;
        Ok(Texts { array, scalar: self.scalar })
    }
}

/// An array of another type than the expression was analyzed for.
pub(super) fn unexpected(wanted: &arrow_schema::DataType, found: &ArrayRef) -> EngineError {
    ArrowError::SchemaError(format!("an expression analyzed for {wanted} met {}", found.data_type())).into()
}

/// Primitive values by row.
#[derive(Clone, Copy)]
pub(super) struct Values<'a, T> {
    pub(super) values: &'a [T],
    nulls: Option<&'a NullBuffer>,
    pub(super) scalar: bool,
}

impl<T: Copy> Values<'_, T> {
    #[inline]
    pub(super) fn get(&self, row: usize) -> Option<T> {
        let row = if self.scalar { 0 } else { row };
        match self.nulls {
            Some(nulls) if nulls.is_null(row) => None,
            _ => Some(self.values[row]),
        }
    }
}

/// Strings by row.
#[derive(Clone, Copy)]
pub(super) struct Texts<'a> {
    pub(super) array: &'a StringArray,
    pub(super) scalar: bool,
}

impl<'a> Texts<'a> {
    #[inline]
    pub(super) fn get(&self, row: usize) -> Option<&'a str> {
        let row = if self.scalar { 0 } else { row };
        if self.array.is_null(row) { None } else { Some(self.array.value(row)) }
    }
}

/// The rows where no operand is NULL, of `len` rows; `None` where that is all of them.
pub(super) fn valid_rows(operands: &[&Operand], len: usize) -> Option<NullBuffer> {
    if operands.iter().any(|o| o.is_null_scalar()) {
        return Some(NullBuffer::new_null(len));
    }
    let columns = operands.iter().filter(|o| !o.scalar);
    columns.fold(None, |all, o| NullBuffer::union(all.as_ref(), o.array.logical_nulls().as_ref()))
}

/// The rows of a chunk that failed. A row counts once, however many of its operations failed.
#[derive(Debug)]
pub(super) struct Failures {
    words: Vec<u64>,
    len: usize,
}

impl Failures {
    /// None of `len` rows.
    pub(super) fn new(len: usize) -> Self {
        Self { words: Vec::new(), len }
    }

    pub(super) fn mark(&mut self, row: usize) {
        if self.words.is_empty() {
            self.words = vec![0; self.len.div_ceil(64)];
        }
        if let Some(word) = self.words.get_mut(row / 64) {
            *word |= 1 << (row % 64);
        }
    }

    pub(super) fn mark_all(&mut self) {
        (0..self.len).for_each(|row| self.mark(row));
    }

    pub(super) fn any(&self) -> bool {
        self.words.iter().any(|w| *w != 0)
    }

    pub(super) fn is_marked(&self, row: usize) -> bool {
        self.words.get(row / 64).is_some_and(|w| w >> (row % 64) & 1 == 1)
    }

    pub(super) fn count(&self) -> u64 {
        self.words.iter().map(|w| u64::from(w.count_ones())).sum()
    }

    /// Marks the rows of `rows` whose place among the set ones failed in `selected`.
    pub(super) fn merge(&mut self, selected: &Self, rows: &BooleanBuffer) {
        if selected.any() {
            for (place, row) in rows.set_indices().enumerate() {
                if selected.is_marked(place) {
                    self.mark(row);
                }
            }
        }
    }
}

/// Strings being built, as bytes that are UTF-8 by the time of [`TextBuilder::finish`].
pub(super) struct TextBuilder {
    pub(super) bytes: Vec<u8>,
    ends: Vec<i32>,
    nulls: NullBufferBuilder,
    overflow: bool,
}

impl TextBuilder {
    pub(super) fn new(rows: usize, bytes_per_row: usize) -> Self {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        let bytes = Vec::with_capacity(rows * bytes_per_row);
        Self { bytes, ends, nulls: NullBufferBuilder::new(rows), overflow: false }
    }

    fn close(&mut self) {
        let end = i32::try_from(self.bytes.len()).unwrap_or_else(|_| {
            self.overflow = true;
            i32::MAX
        });
        self.ends.push(end);
    }

    #[inline]
    pub(super) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.end();
    }

    pub(super) fn push_null(&mut self) {
        // What a row that failed half way left behind goes with it.
        self.bytes.truncate(self.ends.last().map_or(0, |end| *end as usize));
        self.close();
        self.nulls.append_null();
    }

    /// Closes the value that was appended to `bytes`.
    #[inline]
    pub(super) fn end(&mut self) {
        self.close();
        self.nulls.append_non_null();
    }

    /// # Errors
    /// More than 2^31 - 1 bytes in one chunk.
    pub(super) fn finish(self) -> Result<ArrayRef, EngineError> {
        if self.overflow {
            return Err(ArrowError::ComputeError("the strings of one chunk exceed 2 GiB".into()).into());
        }
        let offsets = OffsetBuffer::new(self.ends.into());
        Ok(Arc::new(StringArray::try_new(offsets, self.bytes.into(), self.nulls.build())?))
    }
}

/// One string a row: `f` appends the row's value and says whether there is one.
pub(super) fn build_texts(
    len: usize,
    bytes_per_row: usize,
    mut f: impl FnMut(usize, &mut Vec<u8>) -> Option<()>,
) -> Result<ArrayRef, EngineError> {
    let mut out = TextBuilder::new(len, bytes_per_row);
    for row in 0..len {
        match f(row, &mut out.bytes) {
            Some(()) => out.end(),
            None => out.push_null(),
        }
    }
    out.finish()
}

/// One primitive value a row.
pub(super) fn build<T: ArrowPrimitiveType>(
    len: usize,
    mut f: impl FnMut(usize) -> Option<T::Native>,
) -> arrow_array::PrimitiveArray<T> {
    let mut nulls = NullBufferBuilder::new(len);
    let values: Vec<T::Native> = (0..len)
        .map(|row| {
            let value = f(row);
            nulls.append(value.is_some());
            value.unwrap_or_default()
        })
        .collect();
    arrow_array::PrimitiveArray::new(values.into(), nulls.build())
}
