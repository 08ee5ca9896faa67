//! Functions that keep many values: COUNT_DISTINCT, COLLECT_LIST. Their values are entries of the state, so that a changed slot
//! costs what changed in it.

use super::accumulator::{Accumulator, PutEntry, Rows};
use super::repr::{BytesRepr, Repr};
use crate::error::EngineError;
use crate::operators::logged_rows::corrupt;
use arrow_array::{ArrayRef, Int64Array, ListArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType as ArrowType, Field};
use hashbrown::HashMap;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    /// How many rows have the value; 0 only for a value whose removal is still to be written.
    count: i64,
    saved: bool,
    changed: bool,
}

struct Distinct<V> {
    tallies: HashMap<V, Tally>,
    changed: Vec<V>,
    /// Values with a count above 0.
    distinct: i64,
}

impl<V> Default for Distinct<V> {
    fn default() -> Self {
        Self { tallies: HashMap::new(), changed: Vec::new(), distinct: 0 }
    }
}

/// `COUNT_DISTINCT(x)`, exact.
pub(crate) struct CountDistinct<R: Repr> {
    repr: R,
    slots: Vec<Distinct<R::Value>>,
}

impl<R: Repr> CountDistinct<R> {
    pub(crate) fn new(data_type: &ArrowType) -> Result<Self, EngineError> {
        Ok(Self { repr: R::new(data_type)?, slots: Vec::new() })
    }

    fn add(&mut self, slot: usize, value: &R::Value, count: i64) {
        let slot = &mut self.slots[slot];
        if !slot.tallies.contains_key(value) {
            slot.tallies.insert(value.clone(), Tally::default());
        }
        let Some(tally) = slot.tallies.get_mut(value) else { return };
        let was = tally.count > 0;
        tally.count += count;
        slot.distinct += i64::from(tally.count > 0) - i64::from(was);
        let (unknown, noted) = (tally.count == 0 && !tally.saved, tally.changed);
        tally.changed = true;
        if !noted {
            slot.changed.push(value.clone());
        }
        if unknown {
            slot.tallies.remove(value);
        }
        if slot.changed.len() > 2 * slot.tallies.len() + 64 {
            // The same value may have come and gone many times.
            let tallies = &slot.tallies;
            slot.changed.retain(|v| tallies.contains_key(v));
            slot.changed.sort_unstable();
            slot.changed.dedup();
        }
    }
}

impl<R: Repr> Accumulator for CountDistinct<R> {
    fn resize(&mut self, slots: usize) {
        self.slots.resize_with(slots, Distinct::default);
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[ArrayRef]) -> Result<(), EngineError> {
        let values = self.repr.read(&args[0])?;
        for (slot, row, sign) in rows.iter() {
            if let Some(value) = &values[row] {
                self.add(slot, value, sign);
            }
        }
        Ok(())
    }

    fn merge(&mut self, from: usize, into: usize) {
        let moved: Vec<(R::Value, i64)> =
            self.slots[from].tallies.iter().map(|(v, t)| (v.clone(), t.count)).collect();
        for (value, count) in moved {
            self.add(into, &value, count);
        }
    }

    fn clear(&mut self, slot: usize, saved: &mut Vec<Vec<u8>>) {
        for (value, _) in std::mem::take(&mut self.slots[slot]).tallies.iter().filter(|(_, t)| t.saved) {
            let mut key = Vec::new();
            R::encode(value, &mut key);
            saved.push(key);
        }
    }

    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, EngineError> {
        Ok(Arc::new(slots.iter().map(|s| self.slots[*s as usize].distinct).collect::<Int64Array>()))
    }

    fn save(&self, _slot: usize, _into: &mut Vec<u8>) {}

    fn load(&mut self, _slot: usize, _from: &mut &[u8]) -> Result<(), EngineError> {
        Ok(())
    }

    fn save_entries(&mut self, slot: usize, full: bool, put: PutEntry<'_>) {
        let slot = &mut self.slots[slot];
        let mut values = std::mem::take(&mut slot.changed);
        if full {
            values = slot.tallies.keys().cloned().collect();
        }
        let mut key = Vec::new();
        for value in values {
            let Some(tally) = slot.tallies.get_mut(&value) else { continue };
            key.clear();
            R::encode(&value, &mut key);
            if tally.count == 0 {
                put(&key, None);
                slot.tallies.remove(&value);
            } else {
                put(&key, Some(&tally.count.to_be_bytes()));
                *tally = Tally { saved: true, changed: false, ..*tally };
            }
        }
    }

    fn load_entry(&mut self, slot: usize, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        let count = value.try_into().map(i64::from_be_bytes).map_err(|_| corrupt("the length of a count"))?;
        let slot = &mut self.slots[slot];
        slot.distinct += i64::from(count > 0);
        slot.tallies.insert(R::decode(key)?, Tally { count, saved: true, changed: false });
        Ok(())
    }

    fn bytes(&self) -> usize {
        let each = size_of::<(R::Value, Tally)>();
        let values =
            self.slots.iter().flat_map(|s| s.tallies.keys()).map(|v| R::heap(v) + each).sum::<usize>();
        values + self.slots.len() * size_of::<Distinct<R::Value>>()
    }
}

#[derive(Default)]
struct Collected {
    /// By arrival.
    values: Vec<(u64, Box<[u8]>)>,
    /// Whether values from before have come in by a merge: all are written again.
    reordered: bool,
    /// How many have been written.
    saved: usize,
}

/// `COLLECT_LIST(x)`.
pub(crate) struct CollectList {
    repr: BytesRepr,
    data_type: ArrowType,
    slots: Vec<Collected>,
}

impl CollectList {
    pub(crate) fn new(data_type: &ArrowType) -> Result<Self, EngineError> {
        Ok(Self { repr: BytesRepr::new(data_type)?, data_type: data_type.clone(), slots: Vec::new() })
    }
}

impl Accumulator for CollectList {
    fn resize(&mut self, slots: usize) {
        self.slots.resize_with(slots, Collected::default);
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[ArrayRef]) -> Result<(), EngineError> {
        let values = self.repr.read(&args[0])?;
        for (slot, row, _) in rows.iter() {
            if let Some(value) = &values[row] {
                self.slots[slot].values.push((rows.arrival + row as u64, value.clone()));
            }
        }
        Ok(())
    }

    fn merge(&mut self, from: usize, into: usize) {
        let moved = self.slots[from].values.clone();
        let into = &mut self.slots[into];
        into.reordered |= !moved.is_empty();
        into.values.extend(moved);
        into.values.sort_by_key(|v| v.0);
    }

    fn clear(&mut self, slot: usize, saved: &mut Vec<Vec<u8>>) {
        // Merged values that were never written here get a harmless removal.
        let Collected { values, reordered, saved: written } = std::mem::take(&mut self.slots[slot]);
        let count = if reordered { values.len() } else { written };
        saved.extend(values[..count].iter().map(|(arrival, _)| arrival.to_be_bytes().to_vec()));
    }

    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, EngineError> {
        let lists = || slots.iter().map(|s| &self.slots[*s as usize].values);
        let values: Vec<Option<&Box<[u8]>>> = lists().flatten().map(|(_, v)| Some(v)).collect();
        let offsets = OffsetBuffer::from_lengths(lists().map(Vec::len));
        let field = Arc::new(Field::new("item", self.data_type.clone(), true));
        Ok(Arc::new(ListArray::try_new(field, offsets, self.repr.write(&values)?, None)?))
    }

    fn save(&self, _slot: usize, _into: &mut Vec<u8>) {}

    fn load(&mut self, _slot: usize, _from: &mut &[u8]) -> Result<(), EngineError> {
        Ok(())
    }

    fn save_entries(&mut self, slot: usize, full: bool, put: PutEntry<'_>) {
        let slot = &mut self.slots[slot];
        let from = if full || slot.reordered { 0 } else { slot.saved };
        for (arrival, value) in &slot.values[from..] {
            put(&arrival.to_be_bytes(), Some(value));
        }
        slot.saved = slot.values.len();
        slot.reordered = false;
    }

    fn load_entry(&mut self, slot: usize, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        let arrival =
            key.try_into().map(u64::from_be_bytes).map_err(|_| corrupt("the length of an arrival"))?;
        let slot = &mut self.slots[slot];
        // Entries come back ordered by key, that is by arrival.
        slot.values.push((arrival, value.into()));
        slot.saved = slot.values.len();
        Ok(())
    }

    fn bytes(&self) -> usize {
        let values = self.slots.iter().flat_map(|s| &s.values).map(|v| v.1.len() + 24).sum::<usize>();
        values + self.slots.len() * size_of::<Collected>()
    }
}
