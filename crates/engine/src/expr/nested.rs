//! Structs, arrays and maps: taking apart and putting together.

use super::node::Kernel;
use super::operand::{Operand, build, unexpected};
use crate::error::EngineError;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, UInt32Type};
use arrow_array::{Array, ArrayRef, BooleanArray, ListArray, MapArray, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::DataType as ArrowType;
use bd_schema::DataType;
use std::sync::Arc;

fn list(array: &ArrayRef) -> Result<&ListArray, EngineError> {
    array.as_list_opt::<i32>().ok_or_else(|| unexpected(&ArrowType::Null, array))
}

fn map(array: &ArrayRef) -> Result<&MapArray, EngineError> {
    array.as_map_opt().ok_or_else(|| unexpected(&ArrowType::Null, array))
}

/// `struct -> field`.
///
/// # Errors
/// No struct, or no such field, or one of another type.
pub(super) fn field(of: &DataType, index: usize, wanted: &DataType) -> Result<Kernel, EngineError> {
    let found = match of {
        DataType::Struct(fields) => fields.get(index),
        _ => None,
    };
    if found.is_none_or(|f| f.data_type != *wanted) {
        return Err(EngineError::Unsupported(format!("field {index} of {of} as {wanted}")));
    }
    Ok(Kernel::total(move |args, _, _| {
        let array =
            args[0].array.as_struct_opt().ok_or_else(|| unexpected(&ArrowType::Null, &args[0].array))?;
        let child = array.column(index);
        match array.nulls() {
            // What stands under a NULL struct is not to be seen.
            Some(nulls) if nulls.null_count() > 0 => {
                let absent = BooleanArray::new(!nulls.inner(), None);
                Ok(arrow_select::nullif::nullif(child.as_ref(), &absent)?)
            }
            _ => Ok(child.clone()),
        }
    }))
}

/// `array[i]`, 1-based, negative from the end; `map['key']`, the last entry of that key. NULL where there is none.
///
/// # Errors
/// Neither an array nor a map of that type.
pub(super) fn index(of: &DataType, wanted: &DataType) -> Result<Kernel, EngineError> {
    match of {
        DataType::Array(element) if **element == *wanted => Ok(Kernel::total(|args, len, _| {
            let lists = list(&args[0].array)?;
            let at = args[1].values::<Int64Type>()?;
            let offsets = lists.value_offsets();
            let places = build::<UInt32Type>(len, |row| {
                let place = args[0].place(row);
                let i = at.get(row)?;
                let (start, end) = (i64::from(offsets[place]), i64::from(offsets[place + 1]));
                let found = match i {
                    1.. => start.checked_add(i - 1)?,
                    0 => return None,
                    _ => end.checked_add(i)?,
                };
                (lists.is_valid(place) && (start..end).contains(&found)).then(|| u32::try_from(found).ok())?
            });
            Ok(arrow_select::take::take(lists.values().as_ref(), &places, None)?)
        })),
        DataType::Map(value) if **value == *wanted => Ok(Kernel::total(|args, len, _| {
            let maps = map(&args[0].array)?;
            let wanted = args[1].texts()?;
            let keys = maps
                .keys()
                .as_string_opt::<i32>()
                .ok_or_else(|| unexpected(&ArrowType::Utf8, maps.keys()))?;
            let offsets = maps.value_offsets();
            let places = build::<UInt32Type>(len, |row| {
                let (place, wanted) = (args[0].place(row), wanted.get(row)?);
                if maps.is_null(place) {
                    return None;
                }
                let entries = offsets[place] as usize..offsets[place + 1] as usize;
                let found = entries.rev().find(|i| keys.value(*i) == wanted)?;
                u32::try_from(found).ok()
            });
            Ok(arrow_select::take::take(maps.values().as_ref(), &places, None)?)
        })),
        other => Err(EngineError::Unsupported(format!("an element of {other} as {wanted}"))),
    }
}

/// `ARRAY_LENGTH(array)`.
pub(super) fn length() -> Kernel {
    Kernel::total(|args, len, _| {
        let lists = list(&args[0].array)?;
        let offsets = lists.value_offsets();
        Ok(Arc::new(build::<Int32Type>(len, |row| {
            let row = args[0].place(row);
            lists.is_valid(row).then(|| offsets[row + 1] - offsets[row])
        })))
    })
}

/// `MAP_KEYS(map)`, without a copy.
pub(super) fn map_keys(wanted: &DataType) -> Kernel {
    let wanted = wanted.to_arrow();
    Kernel::total(move |args, _, _| {
        let maps = map(&args[0].array)?;
        let ArrowType::List(item) = &wanted else { return Err(unexpected(&wanted, &args[0].array)) };
        let (offsets, nulls) = (maps.offsets().clone(), maps.nulls().cloned());
        Ok(Arc::new(ListArray::try_new(item.clone(), offsets, maps.keys().clone(), nulls)?))
    })
}

/// `ARRAY[a, b, ...]`.
pub(super) fn make_array(wanted: &DataType) -> Kernel {
    let wanted = wanted.to_arrow();
    Kernel::lenient(move |args, len, _| {
        let ArrowType::List(item) = &wanted else {
            return Err(EngineError::Unsupported(format!("an array as {wanted}")));
        };
        let items = if args.is_empty() {
            arrow_array::new_empty_array(item.data_type())
        } else {
            let sources: Vec<&dyn Array> = args.iter().map(|a| a.array.as_ref()).collect();
            let places: Vec<(usize, usize)> = (0..len)
                .flat_map(|row| args.iter().enumerate().map(move |(i, a)| (i, a.place(row))))
                .collect();
            arrow_select::interleave::interleave(&sources, &places)?
        };
        let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(args.len(), len));
        Ok(Arc::new(ListArray::try_new(item.clone(), offsets, items, None)?))
    })
}

/// `STRUCT(name := x, ...)`.
pub(super) fn make_struct(wanted: &DataType) -> Kernel {
    let wanted = wanted.to_arrow();
    Kernel::lenient(move |args, len, _| {
        let ArrowType::Struct(fields) = &wanted else {
            return Err(EngineError::Unsupported(format!("a struct as {wanted}")));
        };
        let columns =
            args.iter().cloned().map(|a: Operand| a.into_array(len)).collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, None, len)?))
    })
}
