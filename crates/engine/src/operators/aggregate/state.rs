//! An aggregate's state: its encoding, what changed, and putting it back.

use super::Aggregate;
use super::repr::take;
use super::slots::Slot;
use crate::error::EngineError;
use crate::operator::StateWriter;
use crate::operators::logged_rows::corrupt;
use crate::operators::row_store::NONE;
use bd_sql::plan::Window;
use hashbrown::HashMap;

pub(super) fn slot_key(serial: u64) -> Vec<u8> {
    let mut key = vec![b's'];
    key.extend_from_slice(&serial.to_be_bytes());
    key
}

pub(super) fn entry_key(serial: u64, aggregate: usize, entry: &[u8]) -> Vec<u8> {
    let mut key = vec![b'e'];
    key.extend_from_slice(&serial.to_be_bytes());
    key.extend_from_slice(&(aggregate as u16).to_be_bytes());
    key.extend_from_slice(entry);
    key
}

impl Aggregate {
    pub(super) fn write_state(&mut self, full: bool, state: &mut dyn StateWriter) {
        for key in std::mem::take(&mut self.gone) {
            state.put(&key, None);
        }
        if full || std::mem::take(&mut self.watermark_changed) {
            let mut value = self.watermark.to_be_bytes().to_vec();
            value.extend_from_slice(&self.arrival.to_be_bytes());
            state.put(b"w", Some(&value));
        }
        let changed = std::mem::take(&mut self.unsaved);
        let slots: Vec<u32> = if full {
            self.slots.live()
        } else {
            let is_live = |(slot, serial): &(u32, u64)| {
                let meta = self.slots.get(*slot);
                meta.live && meta.serial == *serial
            };
            changed.into_iter().filter(is_live).map(|c| c.0).collect()
        };
        let mut value = Vec::new();
        for slot in slots {
            let meta = self.slots.get_mut(slot);
            (meta.saved, meta.unsaved) = (true, false);
            let meta = *meta;
            let group = self.slots.encode_group(slot);
            value.clear();
            value.extend_from_slice(&(group.len() as u32).to_be_bytes());
            value.extend_from_slice(&group);
            for number in [meta.start, meta.end, meta.rows] {
                value.extend_from_slice(&number.to_be_bytes());
            }
            value.extend_from_slice(&self.arrival.to_be_bytes());
            for (place, accumulator) in self.accumulators.iter_mut().enumerate() {
                accumulator.save(slot as usize, &mut value);
                let mut put =
                    |key: &[u8], value: Option<&[u8]>| state.put(&entry_key(meta.serial, place, key), value);
                accumulator.save_entries(slot as usize, full, &mut put);
            }
            state.put(&slot_key(meta.serial), Some(&value));
        }
    }

    pub(super) fn finish_restore(&mut self) -> Result<(), EngineError> {
        if !std::mem::take(&mut self.restoring) {
            return Ok(());
        }
        let entries = std::mem::take(&mut self.restored);
        let mut by_serial: HashMap<u64, u32> = HashMap::new();
        let number = |from: &mut &[u8]| take(from).map(i64::from_be_bytes);
        for (key, value) in &entries {
            let (mut key, mut value) = (key.as_slice(), value.as_slice());
            match take::<1>(&mut key)? {
                [b'w'] => {
                    self.watermark = number(&mut value)?;
                    self.arrival = self.arrival.max(u64::from_be_bytes(take(&mut value)?));
                }
                [b's'] => {
                    let serial = u64::from_be_bytes(take(&mut key)?);
                    let len = u32::from_be_bytes(take(&mut value)?) as usize;
                    let (group, mut rest) =
                        value.split_at_checked(len).ok_or_else(|| corrupt("the length of a group"))?;
                    let (start, end, rows) = (number(&mut rest)?, number(&mut rest)?, number(&mut rest)?);
                    self.arrival = self.arrival.max(u64::from_be_bytes(take(&mut rest)?));
                    let slot = Slot {
                        group: NONE,
                        start,
                        end,
                        rows,
                        serial,
                        emitted: NONE,
                        unflushed: false,
                        unsaved: false,
                        saved: true,
                        live: true,
                    };
                    let keyed = !matches!(self.window, Some(Window::Session { .. }));
                    let slot = self.slots.restore(group, slot, keyed)?;
                    by_serial.insert(serial, slot);
                    for accumulator in &mut self.accumulators {
                        accumulator.resize(self.slots.capacity());
                        accumulator.load(slot as usize, &mut rest)?;
                    }
                }
                _ => {}
            }
        }
        // Entries sort before slots.
        for (key, value) in entries.iter().filter(|e| e.0.first() == Some(&b'e')) {
            let mut key = &key[1..];
            let serial = u64::from_be_bytes(take(&mut key)?);
            let place = u16::from_be_bytes(take(&mut key)?);
            let slot = by_serial.get(&serial).ok_or_else(|| corrupt("an entry without its slot"))?;
            let accumulator = self.accumulators.get_mut(usize::from(place));
            let accumulator = accumulator.ok_or_else(|| corrupt("an entry of an unknown aggregate"))?;
            accumulator.load_entry(*slot as usize, key, value)?;
        }
        if self.window.is_some() {
            let slots = self.slots.live();
            self.enqueue(&slots);
        }
        self.restore_emitted()
    }
}
