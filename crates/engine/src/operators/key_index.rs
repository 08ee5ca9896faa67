//! Keys of several columns to dense ids: the first step of everything that works by key.
//!
//! One or two INTEGER or BIGINT columns are compared as integers; any other key as the bytes of its arrow-row. Ids of removed keys
//! are used again, so arrays by id stay as small as the most keys that were there at once. NULL is a key like any other.

use super::row_store::NONE;
use crate::error::EngineError;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, BinaryArray, Int32Array, Int64Array, cast::AsArray};
use arrow_buffer::NullBuffer;
use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType as ArrowType;
use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};
use std::hash::BuildHasher;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct IntKey {
    values: [i64; 2],
    /// One bit a column.
    nulls: u8,
}

enum Keys {
    Ints { types: Vec<ArrowType>, keys: Vec<IntKey> },
    Bytes { converter: RowConverter, keys: Vec<Box<[u8]>> },
}

/// See the module's documentation.
pub(crate) struct KeyIndex {
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    keys: Keys,
    free: Vec<u32>,
}

/// A BIGINT or INTEGER column as BIGINTs.
struct Ints {
    values: arrow_buffer::ScalarBuffer<i64>,
    nulls: Option<NullBuffer>,
}

impl Ints {
    fn of(array: &ArrayRef) -> Result<Self, EngineError> {
        let values = match array.data_type() {
            ArrowType::Int64 => array.as_primitive::<Int64Type>().values().clone(),
            ArrowType::Int32 => {
                array.as_primitive::<Int32Type>().values().iter().map(|v| i64::from(*v)).collect()
            }
            other => {
                return Err(EngineError::Unsupported(format!("a key column of type {other} as an integer")));
            }
        };
        let nulls = array.logical_nulls().filter(|n| n.null_count() > 0);
        Ok(Self { values, nulls })
    }

    fn get(&self, row: usize) -> Option<i64> {
        match &self.nulls {
            Some(nulls) if nulls.is_null(row) => None,
            _ => Some(self.values[row]),
        }
    }
}

impl KeyIndex {
    pub(crate) fn new(types: &[ArrowType]) -> Result<Self, EngineError> {
        let ints = types.len() <= 2 && types.iter().all(|t| matches!(t, ArrowType::Int32 | ArrowType::Int64));
        let keys = if ints {
            Keys::Ints { types: types.to_vec(), keys: Vec::new() }
        } else {
            let fields = types.iter().map(|t| SortField::new(t.clone())).collect();
            Keys::Bytes { converter: RowConverter::new(fields)?, keys: Vec::new() }
        };
        Ok(Self { table: HashTable::new(), hasher: DefaultHashBuilder::default(), keys, free: Vec::new() })
    }

    /// Keys that are there.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// All ids are below this: the size of arrays by id.
    pub(crate) fn capacity(&self) -> usize {
        match &self.keys {
            Keys::Ints { keys, .. } => keys.len(),
            Keys::Bytes { keys, .. } => keys.len(),
        }
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.table.capacity() * 5
            + match &self.keys {
                Keys::Ints { keys, .. } => keys.capacity() * size_of::<IntKey>(),
                Keys::Bytes { keys, .. } => keys.iter().map(|k| k.len() + 16).sum(),
            }
    }

    /// The id of each row's key; new keys are taken in.
    pub(crate) fn ids(&mut self, columns: &[ArrayRef], len: usize) -> Result<Vec<u32>, EngineError> {
        let Self { table, hasher, keys, free } = self;
        match keys {
            Keys::Ints { keys, .. } => {
                let columns = columns.iter().map(Ints::of).collect::<Result<Vec<_>, _>>()?;
                Ok((0..len)
                    .map(|row| insert_int(table, hasher, keys, free, int_key(&columns, row)))
                    .collect())
            }
            Keys::Bytes { converter, keys } => {
                let rows = converter.convert_columns(columns)?;
                Ok((0..len)
                    .map(|row| insert_bytes(table, hasher, keys, free, rows.row(row).data()))
                    .collect())
            }
        }
    }

    /// The id of each row's key, [`NONE`] for keys that are not there.
    pub(crate) fn find(&self, columns: &[ArrayRef], len: usize) -> Result<Vec<u32>, EngineError> {
        let Self { table, hasher, keys, .. } = self;
        match keys {
            Keys::Ints { keys, .. } => {
                let columns = columns.iter().map(Ints::of).collect::<Result<Vec<_>, _>>()?;
                let find = |row| {
                    let key = int_key(&columns, row);
                    table.find(hasher.hash_one(key), |id| keys[*id as usize] == key).copied().unwrap_or(NONE)
                };
                Ok((0..len).map(find).collect())
            }
            Keys::Bytes { converter, keys } => {
                let rows = converter.convert_columns(columns)?;
                let find = |row| {
                    let bytes = rows.row(row).data();
                    let found = table.find(hasher.hash_one(bytes), |id| *keys[*id as usize] == *bytes);
                    found.copied().unwrap_or(NONE)
                };
                Ok((0..len).map(find).collect())
            }
        }
    }

    /// Forgets a key.
    pub(crate) fn remove(&mut self, id: u32) {
        let Self { table, hasher, keys, free } = self;
        let hash = match keys {
            Keys::Ints { keys, .. } => hasher.hash_one(keys[id as usize]),
            Keys::Bytes { keys, .. } => hasher.hash_one(&*keys[id as usize]),
        };
        if let Ok(entry) = table.find_entry(hash, |other| *other == id) {
            entry.remove();
            free.push(id);
            if let Keys::Bytes { keys, .. } = keys {
                keys[id as usize] = Box::default();
            }
        }
    }

    /// A key's bytes, for state: the same in every process.
    pub(crate) fn encode(&self, id: u32) -> Vec<u8> {
        match &self.keys {
            Keys::Ints { types, keys } => {
                let key = &keys[id as usize];
                let mut bytes = vec![key.nulls];
                for value in &key.values[..types.len()] {
                    bytes.extend_from_slice(&value.to_be_bytes());
                }
                bytes
            }
            Keys::Bytes { keys, .. } => keys[id as usize].to_vec(),
        }
    }

    /// The id of a key's bytes; taken in where new.
    pub(crate) fn insert_encoded(&mut self, bytes: &[u8]) -> Result<u32, EngineError> {
        let Self { table, hasher, keys, free } = self;
        match keys {
            Keys::Ints { types, keys } => {
                let wrong =
                    || EngineError::Corrupt { what: "a key in state".into(), reason: "its length".into() };
                let (nulls, rest) = bytes.split_first().ok_or_else(wrong)?;
                if rest.len() != types.len() * 8 {
                    return Err(wrong());
                }
                let mut values = [0; 2];
                for (value, bytes) in values.iter_mut().zip(rest.chunks_exact(8)) {
                    *value = i64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?);
                }
                Ok(insert_int(table, hasher, keys, free, IntKey { values, nulls: *nulls }))
            }
            Keys::Bytes { keys, .. } => Ok(insert_bytes(table, hasher, keys, free, bytes)),
        }
    }

    /// The key columns of some ids.
    pub(crate) fn columns(&self, ids: &[u32]) -> Result<Vec<ArrayRef>, EngineError> {
        match &self.keys {
            Keys::Ints { types, keys } => {
                let column = |(place, data_type): (usize, &ArrowType)| -> ArrayRef {
                    let values = ids.iter().map(|id| {
                        let key = &keys[*id as usize];
                        (key.nulls & 1 << place == 0).then_some(key.values[place])
                    });
                    if *data_type == ArrowType::Int32 {
                        Arc::new(values.map(|v| v.map(|v| v as i32)).collect::<Int32Array>())
                    } else {
                        Arc::new(values.collect::<Int64Array>())
                    }
                };
                Ok(types.iter().enumerate().map(column).collect())
            }
            Keys::Bytes { converter, keys } => {
                let rows = ids.iter().map(|id| &*keys[*id as usize]);
                let rows = converter.from_binary(BinaryArray::from_iter_values(rows));
                Ok(converter.convert_rows(rows.iter())?)
            }
        }
    }
}

#[inline]
fn int_key(columns: &[Ints], row: usize) -> IntKey {
    let mut key = IntKey { values: [0; 2], nulls: 0 };
    for (place, column) in columns.iter().enumerate() {
        match column.get(row) {
            Some(value) => key.values[place] = value,
            None => key.nulls |= 1 << place,
        }
    }
    key
}

#[inline]
fn insert_int(
    table: &mut HashTable<u32>,
    hasher: &DefaultHashBuilder,
    keys: &mut Vec<IntKey>,
    free: &mut Vec<u32>,
    key: IntKey,
) -> u32 {
    let same = |id: &u32| keys[*id as usize] == key;
    let hash = |id: &u32| hasher.hash_one(keys[*id as usize]);
    match table.entry(hasher.hash_one(key), same, hash) {
        Entry::Occupied(found) => *found.get(),
        Entry::Vacant(place) => {
            let id = free.pop().unwrap_or(keys.len() as u32);
            place.insert(id);
            set(keys, id, key);
            id
        }
    }
}

fn insert_bytes(
    table: &mut HashTable<u32>,
    hasher: &DefaultHashBuilder,
    keys: &mut Vec<Box<[u8]>>,
    free: &mut Vec<u32>,
    key: &[u8],
) -> u32 {
    let same = |id: &u32| *keys[*id as usize] == *key;
    let hash = |id: &u32| hasher.hash_one(&*keys[*id as usize]);
    match table.entry(hasher.hash_one(key), same, hash) {
        Entry::Occupied(found) => *found.get(),
        Entry::Vacant(place) => {
            let id = free.pop().unwrap_or(keys.len() as u32);
            place.insert(id);
            set(keys, id, key.into());
            id
        }
    }
}

fn set<T>(keys: &mut Vec<T>, id: u32, key: T) {
    match keys.get_mut(id as usize) {
        Some(place) => *place = key,
        None => keys.push(key),
    }
}
