//! The slots of an aggregate: one a group, or one a window of a group. Slot numbers are dense and used again.

use crate::error::EngineError;
use crate::operators::key_index::KeyIndex;
use crate::operators::row_store::NONE;
use arrow_array::ArrayRef;
use arrow_schema::DataType as ArrowType;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// What is known of a slot besides its accumulators.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) group: u32,
    /// The window, ms; `start` is 0 without windows.
    pub(crate) start: i64,
    /// The tumbling or hopping window's end; the time of the session's last row.
    pub(crate) end: i64,
    /// Rows in it.
    pub(crate) rows: i64,
    /// Names the slot in the state; never used again.
    pub(crate) serial: u64,
    /// The output row that stands for it downstream, an id of the emitted rows.
    pub(crate) emitted: u32,
    /// Changed since the last flush.
    pub(crate) unflushed: bool,
    /// Changed since the last snapshot.
    pub(crate) unsaved: bool,
    /// Written to the state.
    pub(crate) saved: bool,
    pub(crate) live: bool,
}

/// See the module's documentation.
pub(crate) struct Slots {
    groups: KeyIndex,
    /// By the group's id: its slots; with windows ordered by start.
    of_group: Vec<Vec<u32>>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// (group, start) of tumbling and hopping windows.
    windows: HashTable<u32>,
    hasher: DefaultHashBuilder,
    next_serial: u64,
}

impl Slots {
    pub(crate) fn new(group_types: &[ArrowType]) -> Result<Self, EngineError> {
        Ok(Self {
            groups: KeyIndex::new(group_types)?,
            of_group: Vec::new(),
            slots: Vec::new(),
            free: Vec::new(),
            windows: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            next_serial: 0,
        })
    }

    /// The groups of rows; new ones have no slot yet.
    pub(crate) fn groups(&mut self, columns: &[ArrayRef], len: usize) -> Result<Vec<u32>, EngineError> {
        let groups = self.groups.ids(columns, len)?;
        self.of_group.resize_with(self.groups.capacity(), Vec::new);
        Ok(groups)
    }

    /// Forgets a group if it has no slot.
    pub(crate) fn release_group(&mut self, group: u32) {
        if self.of_group[group as usize].is_empty() {
            self.groups.remove(group);
        }
    }

    pub(crate) fn group_columns(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, EngineError> {
        self.groups.columns(&slots.iter().map(|s| self.slots[*s as usize].group).collect::<Vec<_>>())
    }

    pub(crate) fn of_group(&self, group: u32) -> &[u32] {
        &self.of_group[group as usize]
    }

    pub(crate) fn get(&self, slot: u32) -> &Slot {
        &self.slots[slot as usize]
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> &mut Slot {
        &mut self.slots[slot as usize]
    }

    /// The slot of a group without windows, or of a window; and whether it is new.
    pub(crate) fn window(&mut self, group: u32, start: i64, end: i64) -> (u32, bool) {
        let same = |slot: &u32| {
            let slot = &self.slots[*slot as usize];
            slot.group == group && slot.start == start
        };
        if let Some(slot) = self.windows.find(self.hasher.hash_one((group, start)), same) {
            return (*slot, false);
        }
        let slot = self.add(group, start, end);
        let (slots, hasher) = (&self.slots, &self.hasher);
        let hash = |slot: &u32| hasher.hash_one((slots[*slot as usize].group, slots[*slot as usize].start));
        self.windows.insert_unique(hash(&slot), slot, hash);
        (slot, true)
    }

    /// A new slot of a group, not found by [`Slots::window`].
    pub(crate) fn add(&mut self, group: u32, start: i64, end: i64) -> u32 {
        let serial = self.next_serial;
        self.next_serial += 1;
        let new = Slot {
            group,
            start,
            end,
            rows: 0,
            serial,
            emitted: NONE,
            unflushed: false,
            unsaved: false,
            saved: false,
            live: true,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = new;
                slot
            }
            None => {
                self.slots.push(new);
                self.slots.len() as u32 - 1
            }
        };
        let slots = &self.slots;
        let of_group = &mut self.of_group[group as usize];
        let place = of_group.partition_point(|s| slots[*s as usize].start <= start);
        of_group.insert(place, slot);
        slot
    }

    /// Gives a session other bounds; its place among the group's sessions stays.
    pub(crate) fn stretch(&mut self, slot: u32, start: i64, end: i64) {
        let slot = &mut self.slots[slot as usize];
        (slot.start, slot.end) = (start, end);
    }

    /// Forgets a slot, and its group with its last one.
    pub(crate) fn remove(&mut self, slot: u32) {
        let Slot { group, start, .. } = self.slots[slot as usize];
        if let Ok(entry) = self.windows.find_entry(self.hasher.hash_one((group, start)), |s| *s == slot) {
            entry.remove();
        }
        self.of_group[group as usize].retain(|s| *s != slot);
        self.slots[slot as usize].live = false;
        self.free.push(slot);
        self.release_group(group);
    }

    /// A slot's group as bytes, for the state.
    pub(crate) fn encode_group(&self, slot: u32) -> Vec<u8> {
        self.groups.encode(self.slots[slot as usize].group)
    }

    /// Puts a slot back from the state.
    pub(crate) fn restore(&mut self, group: &[u8], slot: Slot, windowed: bool) -> Result<u32, EngineError> {
        let group = self.groups.insert_encoded(group)?;
        self.of_group.resize_with(self.groups.capacity(), Vec::new);
        let id = if windowed {
            self.window(group, slot.start, slot.end).0
        } else {
            self.add(group, slot.start, slot.end)
        };
        self.slots[id as usize] = Slot { group, ..slot };
        self.next_serial = self.next_serial.max(slot.serial + 1);
        Ok(id)
    }

    /// All slots, by serial.
    pub(crate) fn live(&self) -> Vec<u32> {
        let mut live: Vec<u32> = (0..self.slots.len() as u32).filter(|s| self.get(*s).live).collect();
        live.sort_by_key(|s| self.get(*s).serial);
        live
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// All slots are below this.
    pub(crate) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.groups.bytes() + self.slots.len() * (size_of::<Slot>() + 9) + self.of_group.len() * 28
    }
}
