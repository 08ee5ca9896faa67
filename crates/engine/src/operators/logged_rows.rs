//! Retained rows that go into the state's changelog: a [`RowStore`] with arrival numbers, a mark per row, and what changed since
//! the last snapshot.
//!
//! Entries, after the operator's prefix byte:
//! ```text
//!  'r' arrival u64  ->  mark u8, arrow-row bytes of the row
//!  'm' arrival u64  ->  (empty): the row has got its mark since it was written
//! ```

use super::row_store::RowStore;
use crate::error::EngineError;
use crate::operator::StateWriter;
use arrow_array::{ArrayRef, BinaryArray};
use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType as ArrowType;
use std::collections::{BTreeMap, BTreeSet};

const MARKED: u8 = 1;
/// The row's entry has been written.
const SAVED: u8 = 2;
/// The mark's own entry has been written.
const MARK_SAVED: u8 = 4;
const PIECE: usize = 8192;

/// See the module's documentation.
pub(crate) struct LoggedRows {
    pub(crate) store: RowStore,
    converter: RowConverter,
    prefix: u8,
    arrivals: Vec<u64>,
    flags: Vec<u8>,
    next: u64,
    fresh: Vec<(u32, u64)>,
    marks: Vec<(u32, u64)>,
    gone: Vec<(u64, bool)>,
    restored: BTreeMap<u64, Vec<u8>>,
    restored_marks: BTreeSet<u64>,
}

impl LoggedRows {
    pub(crate) fn new(types: Vec<ArrowType>, prefix: u8) -> Result<Self, EngineError> {
        let fields = types.iter().map(|t| SortField::new(t.clone())).collect();
        Ok(Self {
            converter: RowConverter::new(fields)?,
            store: RowStore::new(types),
            prefix,
            arrivals: Vec::new(),
            flags: Vec::new(),
            next: 0,
            fresh: Vec::new(),
            marks: Vec::new(),
            gone: Vec::new(),
            restored: BTreeMap::new(),
            restored_marks: BTreeSet::new(),
        })
    }

    /// The row's place in the order of arrival.
    pub(crate) fn arrival(&self, id: u32) -> u64 {
        self.arrivals[id as usize]
    }

    /// Whether `id` still is the row that arrived as `arrival`.
    pub(crate) fn is(&self, id: u32, arrival: u64) -> bool {
        self.store.is_live(id) && self.arrivals[id as usize] == arrival
    }

    pub(crate) fn append(&mut self, columns: Vec<ArrayRef>, len: usize) -> Result<Vec<u32>, EngineError> {
        let ids = self.store.append(columns, len)?;
        self.arrivals.resize(self.store.capacity(), 0);
        self.flags.resize(self.store.capacity(), 0);
        self.fresh.reserve(ids.len());
        for id in &ids {
            self.arrivals[*id as usize] = self.next;
            self.flags[*id as usize] = 0;
            self.fresh.push((*id, self.next));
            self.next += 1;
        }
        // Without snapshots the list must not outgrow the rows.
        if self.fresh.len() > 2 * self.store.len() + PIECE {
            let mut fresh = std::mem::take(&mut self.fresh);
            fresh.retain(|(id, arrival)| self.is(*id, *arrival));
            self.fresh = fresh;
        }
        Ok(ids)
    }

    pub(crate) fn remove(&mut self, ids: &[u32]) -> Result<(), EngineError> {
        for id in ids {
            let flags = self.flags[*id as usize];
            if flags & SAVED != 0 && self.store.is_live(*id) {
                self.gone.push((self.arrivals[*id as usize], flags & MARK_SAVED != 0));
            }
        }
        self.store.remove(ids)
    }

    /// Forgets rows of which a restore knows by itself that they are gone: nothing is written of it.
    pub(crate) fn expire(&mut self, ids: &[u32]) -> Result<(), EngineError> {
        self.store.remove(ids)
    }

    pub(crate) fn mark(&mut self, id: u32) {
        let flags = &mut self.flags[id as usize];
        if *flags & MARKED == 0 {
            *flags |= MARKED;
            if *flags & SAVED != 0 {
                self.marks.push((id, self.arrivals[id as usize]));
            }
        }
    }

    pub(crate) fn is_marked(&self, id: u32) -> bool {
        self.flags[id as usize] & MARKED != 0
    }

    fn key(&self, kind: u8, arrival: u64) -> [u8; 10] {
        let mut key = [0; 10];
        key[0] = self.prefix;
        key[1] = kind;
        key[2..].copy_from_slice(&arrival.to_be_bytes());
        key
    }

    pub(crate) fn snapshot(&mut self, full: bool, state: &mut dyn StateWriter) -> Result<(), EngineError> {
        for (arrival, mark) in std::mem::take(&mut self.gone) {
            state.put(&self.key(b'r', arrival), None);
            if mark {
                state.put(&self.key(b'm', arrival), None);
            }
        }
        let mut rows = std::mem::take(&mut self.fresh);
        if full {
            rows = self.store.live_ids().into_iter().map(|id| (id, self.arrivals[id as usize])).collect();
            rows.sort_by_key(|r| r.1);
        } else {
            rows.retain(|(id, arrival)| self.is(*id, *arrival));
        }
        let ids: Vec<u32> = rows.iter().map(|r| r.0).collect();
        let mut value = Vec::new();
        for piece in ids.chunks(PIECE) {
            let encoded = self.converter.convert_columns(&self.store.gather(piece)?)?;
            for (id, row) in piece.iter().zip(encoded.iter()) {
                let id = *id as usize;
                value.clear();
                value.push(self.flags[id] & MARKED);
                value.extend_from_slice(row.data());
                state.put(&self.key(b'r', self.arrivals[id]), Some(&value));
                self.flags[id] |= SAVED;
            }
        }
        for (id, arrival) in std::mem::take(&mut self.marks) {
            if !full && self.is(id, arrival) {
                state.put(&self.key(b'm', arrival), Some(&[]));
                self.flags[id as usize] |= MARK_SAVED;
            }
        }
        Ok(())
    }

    /// Takes an entry back; whether it was one of these rows'.
    pub(crate) fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<bool, EngineError> {
        let [prefix, kind, arrival @ ..] = key else { return Ok(false) };
        if *prefix != self.prefix {
            return Ok(false);
        }
        let arrival =
            u64::from_be_bytes(arrival.try_into().map_err(|_| corrupt("the length of a row's key"))?);
        match (kind, value) {
            (b'r', Some(value)) => drop(self.restored.insert(arrival, value.to_vec())),
            (b'r', None) => drop(self.restored.remove(&arrival)),
            (b'm', Some(_)) => drop(self.restored_marks.insert(arrival)),
            (b'm', None) => drop(self.restored_marks.remove(&arrival)),
            _ => return Err(corrupt("the kind of an entry")),
        }
        Ok(true)
    }

    /// The ids of the rows that came back, by arrival; empty when called again.
    pub(crate) fn finish_restore(&mut self) -> Result<Vec<u32>, EngineError> {
        let rows: Vec<(u64, Vec<u8>)> = std::mem::take(&mut self.restored).into_iter().collect();
        let marks = std::mem::take(&mut self.restored_marks);
        let mut all = Vec::with_capacity(rows.len());
        for piece in rows.chunks(PIECE) {
            let bytes = piece.iter().map(|(_, value)| value.get(1..).unwrap_or_default());
            let encoded = self.converter.from_binary(BinaryArray::from_iter_values(bytes));
            let columns = self.converter.convert_rows(encoded.iter())?;
            let ids = self.append(columns, piece.len())?;
            for (id, (arrival, value)) in ids.iter().zip(piece) {
                let marked = marks.contains(arrival);
                self.arrivals[*id as usize] = *arrival;
                self.flags[*id as usize] = SAVED
                    | value.first().copied().unwrap_or(0) & MARKED
                    | if marked { MARKED | MARK_SAVED } else { 0 };
                self.next = self.next.max(arrival + 1);
            }
            all.extend(ids);
        }
        self.fresh.clear();
        Ok(all)
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.store.bytes() + self.arrivals.len() * 9 + (self.fresh.len() + self.gone.len()) * 16
    }
}

/// State that cannot be read.
pub(crate) fn corrupt(reason: &str) -> EngineError {
    EngineError::Corrupt { what: "an operator's state".into(), reason: reason.into() }
}
