//! `LeadLag` on a stream: rows wait until the watermark has passed them, are then strung on their partition's chain in the order
//! of (time, arrival), and come out when the rows ahead that they ask for are there.
//!
//! ```text
//!  on_batch ─▶ queue by time ─(W > t)─▶ chain of the key:  .. ◀▶ r1 ◀▶ r2 ◀▶ r3 (tail)
//!                                        └ kept for LAG ┘      └ waiting for LEAD ┘
//! ```
//! A row is freed when it has come out and the row that looks back to it has too. State in the changelog: the rows held, the
//! watermark, and the counts of ROW_NUMBER; which rows are strung, waiting or kept follows from these.

use super::key_index::KeyIndex;
use super::logged_rows::{LoggedRows, corrupt};
use super::row_store::NONE;
use super::time_queue::{TimeQueue, Timed};
use crate::chunk::Chunk;
use crate::error::EngineError;
use crate::operator::{Operator, OperatorStats, Output, StateWriter};
use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::DataType as ArrowType;
use bd_sql::plan::{WindowFunction, WindowFunctionKind};
use std::collections::VecDeque;
use std::sync::Arc;

/// Rows an emitted chunk has at most.
const PIECE: usize = 16_384;

/// What is asked for.
pub(crate) struct LeadLagSpec {
    /// The input's column types.
    pub(crate) types: Vec<ArrowType>,
    /// The partition's columns.
    pub(crate) partition: Vec<usize>,
    /// The event-time column.
    pub(crate) time: usize,
    /// The functions.
    pub(crate) functions: Vec<WindowFunction>,
    /// A next row further away counts as none.
    pub(crate) within_ms: Option<i64>,
    /// Rows without a next row are not emitted.
    pub(crate) drop_without_next: bool,
}

/// What is known of a held row, by its id.
#[derive(Debug, Clone, Copy)]
struct Link {
    time: i64,
    prev: u32,
    next: u32,
    key: u32,
    emitted: bool,
}

/// What is known of a key, by its id.
#[derive(Debug, Clone, Copy)]
struct KeyState {
    tail: u32,
    /// Rows held.
    rows: u32,
    /// Rows strung so far, for ROW_NUMBER.
    count: i64,
    count_changed: bool,
}

const NO_LINK: Link = Link { time: 0, prev: NONE, next: NONE, key: NONE, emitted: false };
const NO_KEY: KeyState = KeyState { tail: NONE, rows: 0, count: 0, count_changed: false };

/// See the module's documentation.
pub(crate) struct LeadLag {
    spec: LeadLagSpec,
    max_lead: u32,
    /// The nearest LEAD.
    min_lead: u32,
    max_lag: u32,
    numbered: bool,

    rows: LoggedRows,
    links: Vec<Link>,
    /// The row's ROW_NUMBER, by its id.
    numbers: Vec<i64>,
    keys: KeyIndex,
    key_states: Vec<KeyState>,
    changed_counts: Vec<u32>,
    queue: TimeQueue,
    /// Rows strung in order, those that wait for LEAD among them (kept only where a bound makes them stop waiting).
    waiting: VecDeque<Timed>,
    waiting_rows: usize,
    watermark: i64,
    watermark_changed: bool,
    restoring: bool,
    dropped: u64,
}

impl LeadLag {
    pub(crate) fn new(spec: LeadLagSpec) -> Result<Self, EngineError> {
        let offsets = |kind| spec.functions.iter().filter(move |f| f.kind == kind).map(|f| f.offset);
        let key_types: Vec<ArrowType> = spec.partition.iter().map(|c| spec.types[*c].clone()).collect();
        Ok(Self {
            max_lead: offsets(WindowFunctionKind::Lead).max().unwrap_or(0),
            min_lead: offsets(WindowFunctionKind::Lead).min().unwrap_or(0),
            max_lag: offsets(WindowFunctionKind::Lag).max().unwrap_or(0),
            numbered: spec.functions.iter().any(|f| f.kind == WindowFunctionKind::RowNumber),
            rows: LoggedRows::new(spec.types.clone(), b'b')?,
            keys: KeyIndex::new(&key_types)?,
            spec,
            links: Vec::new(),
            numbers: Vec::new(),
            key_states: Vec::new(),
            changed_counts: Vec::new(),
            queue: TimeQueue::default(),
            waiting: VecDeque::new(),
            waiting_rows: 0,
            watermark: i64::MIN,
            watermark_changed: false,
            restoring: false,
            dropped: 0,
        })
    }

    /// Registers held rows with their keys and times.
    fn admit(&mut self, columns: &[ArrayRef], ids: &[u32]) -> Result<Vec<Timed>, EngineError> {
        let partition: Vec<ArrayRef> = self.spec.partition.iter().map(|c| columns[*c].clone()).collect();
        let keys = self.keys.ids(&partition, ids.len())?;
        self.links.resize(self.rows.store.capacity(), NO_LINK);
        if self.numbered {
            self.numbers.resize(self.rows.store.capacity(), 0);
        }
        self.key_states.resize(self.keys.capacity(), NO_KEY);
        let time: &Int64Array = columns[self.spec.time]
            .as_any()
            .downcast_ref()
            .ok_or_else(|| EngineError::Unsupported("an event time that is not BIGINT".into()))?;
        let mut items = Vec::with_capacity(ids.len());
        for (row, (id, key)) in ids.iter().zip(keys).enumerate() {
            let time = time.value(row);
            self.links[*id as usize] = Link { time, key, ..NO_LINK };
            self.key_states[key as usize].rows += 1;
            items.push((time, self.rows.arrival(*id), *id));
        }
        Ok(items)
    }

    /// The row `steps` behind (`forward`: ahead of) `id` in its chain.
    fn walk(&self, mut id: u32, steps: u32, forward: bool) -> u32 {
        for _ in 0..steps {
            if id == NONE {
                return NONE;
            }
            let link = &self.links[id as usize];
            id = if forward { link.next } else { link.prev };
        }
        id
    }

    /// Puts a row at the end of its key's chain; gives the row that has become complete by it.
    fn string(&mut self, id: u32, count: bool) -> Option<u32> {
        let key = self.links[id as usize].key;
        let state = &mut self.key_states[key as usize];
        let tail = std::mem::replace(&mut state.tail, id);
        if self.numbered && count {
            state.count += 1;
            self.numbers[id as usize] = state.count;
            if !std::mem::replace(&mut state.count_changed, true) {
                self.changed_counts.push(key);
            }
        }
        self.links[id as usize].prev = tail;
        if tail != NONE {
            self.links[tail as usize].next = id;
        }
        self.waiting_rows += 1;
        let complete = self.walk(id, self.max_lead, false);
        (complete != NONE && self.complete(complete)).then_some(complete)
    }

    /// Notes that a row comes out; false if it has before.
    fn complete(&mut self, id: u32) -> bool {
        let first = !std::mem::replace(&mut self.links[id as usize].emitted, true);
        self.waiting_rows -= usize::from(first);
        first
    }

    fn expired(&self, time: i64) -> bool {
        self.spec.within_ms.is_some_and(|within| time.saturating_add(within) < self.watermark)
    }

    fn advance(&mut self, watermark: i64, out: &mut Output) -> Result<(), EngineError> {
        self.watermark = watermark;
        self.watermark_changed = true;
        let mut complete: Vec<u32> = Vec::new();
        let expires = self.max_lead > 0 && self.spec.within_ms.is_some();
        let passed = self.queue.drain_passed(watermark);
        for item in &passed {
            complete.extend(self.string(item.2, true));
        }
        if expires {
            self.waiting.extend(&passed);
            while let Some((time, arrival, id)) = self.waiting.front().copied()
                && (watermark == i64::MAX || self.expired(time))
            {
                self.waiting.pop_front();
                if self.rows.is(id, arrival) && self.complete(id) {
                    complete.push(id);
                }
            }
            // Most rows find their next one long before the bound.
            if self.waiting.len() > 2 * self.waiting_rows + PIECE {
                let (rows, links) = (&self.rows, &self.links);
                self.waiting
                    .retain(|(_, arrival, id)| rows.is(*id, *arrival) && !links[*id as usize].emitted);
            }
        } else if watermark == i64::MAX {
            for key in 0..self.key_states.len() {
                let mut id = self.key_states[key].tail;
                while id != NONE && self.complete(id) {
                    complete.push(id);
                    id = self.links[id as usize].prev;
                }
            }
        }
        let mut order: Vec<Timed> =
            complete.iter().map(|id| (self.links[*id as usize].time, self.rows.arrival(*id), *id)).collect();
        if !order.is_sorted() {
            order.sort_unstable();
        }
        for piece in order.chunks(PIECE) {
            self.emit(piece, out)?;
        }
        self.release(&order)
    }

    /// The row that LEAD `offset` of `id` sees.
    fn lead(&self, id: u32, offset: u32) -> u32 {
        let ahead = self.walk(id, offset, true);
        let near = |within: i64| {
            self.links[ahead as usize].time.saturating_sub(self.links[id as usize].time) <= within
        };
        if ahead != NONE && self.spec.within_ms.is_none_or(near) { ahead } else { NONE }
    }

    fn emit(&mut self, rows: &[Timed], out: &mut Output) -> Result<(), EngineError> {
        let mut ids: Vec<u32> = Vec::with_capacity(rows.len());
        for (_, _, id) in rows {
            if self.spec.drop_without_next && self.max_lead > 0 && self.lead(*id, self.min_lead) == NONE {
                // At the end a row that could still have had a next one is no loss.
                let too_far = self.walk(*id, self.min_lead, true) != NONE;
                self.dropped += u64::from(too_far || self.watermark != i64::MAX);
            } else {
                ids.push(*id);
            }
        }
        let mut columns = self.rows.store.gather(&ids)?;
        let mut located: Vec<((WindowFunctionKind, u32), super::row_store::Located)> = Vec::new();
        for function in &self.spec.functions {
            if function.kind == WindowFunctionKind::RowNumber {
                columns
                    .push(Arc::new(ids.iter().map(|id| self.numbers[*id as usize]).collect::<Int64Array>()));
                continue;
            }
            let which = (function.kind, function.offset);
            let place = match located.iter().position(|l| l.0 == which) {
                Some(place) => place,
                None => {
                    let seen = ids.iter().map(|id| match function.kind {
                        WindowFunctionKind::Lead => self.lead(*id, function.offset),
                        _ => self.walk(*id, function.offset, false),
                    });
                    let seen: Vec<u32> = seen.collect();
                    located.push((which, self.rows.store.locate(&seen)));
                    located.len() - 1
                }
            };
            columns.push(self.rows.store.column(function.column, &located[place].1)?);
        }
        out.push(Chunk::inserts(columns, ids.len()));
        Ok(())
    }

    /// Frees what no row looks back to any more, after `emitted` rows came out.
    fn release(&mut self, emitted: &[Timed]) -> Result<(), EngineError> {
        let mut free: Vec<u32> = Vec::with_capacity(emitted.len());
        for (_, _, id) in emitted {
            let row = self.walk(*id, self.max_lag, false);
            if row == NONE {
                continue;
            }
            free.push(row);
            let Link { prev, next, key, .. } = self.links[row as usize];
            if prev != NONE {
                self.links[prev as usize].next = next;
            }
            if next != NONE {
                self.links[next as usize].prev = prev;
            }
            let state = &mut self.key_states[key as usize];
            state.rows -= 1;
            if state.tail == row {
                state.tail = prev;
            }
        }
        if !self.numbered {
            for row in &free {
                let key = self.links[*row as usize].key;
                if self.key_states[key as usize].rows == 0 && self.key_states[key as usize].tail == NONE {
                    self.keys.remove(key);
                    self.key_states[key as usize] = NO_KEY;
                }
            }
        }
        self.rows.remove(&free)
    }

    /// After the entries are back: strings the rows again as they were.
    fn finish_restore(&mut self) -> Result<(), EngineError> {
        if !std::mem::take(&mut self.restoring) {
            return Ok(());
        }
        self.watermark_changed = false;
        let ids = self.rows.finish_restore()?;
        let columns = self.rows.store.gather(&ids)?;
        let mut items = self.admit(&columns, &ids)?;
        items.sort_unstable();
        let passed = if self.watermark == i64::MAX {
            items.len()
        } else {
            items.partition_point(|item| item.0 < self.watermark)
        };
        let queued = items.split_off(passed);
        self.queue.push_all(queued);
        for (_, _, id) in &items {
            // The complete one has come out before; it is here because a LAG looks back to it.
            let _ = self.string(*id, false);
        }
        if self.numbered {
            for key in 0..self.key_states.len() {
                let (mut id, mut number) = (self.key_states[key].tail, self.key_states[key].count);
                while id != NONE {
                    self.numbers[id as usize] = number;
                    (id, number) = (self.links[id as usize].prev, number - 1);
                }
            }
        }
        let expires = self.max_lead > 0 && self.spec.within_ms.is_some();
        for item in items.into_iter().filter(|_| expires) {
            if self.expired(item.0) {
                self.complete(item.2);
            } else if !self.links[item.2 as usize].emitted {
                self.waiting.push_back(item);
            }
        }
        Ok(())
    }
}

impl Operator for LeadLag {
    fn on_batch(&mut self, _port: usize, chunk: Chunk, _out: &mut Output) -> Result<(), EngineError> {
        self.finish_restore()?;
        let ids = self.rows.append(chunk.columns.clone(), chunk.len)?;
        let items = self.admit(&chunk.columns, &ids)?;
        self.queue.push_all(items);
        Ok(())
    }

    fn on_watermark(&mut self, _port: usize, watermark: i64, out: &mut Output) -> Result<(), EngineError> {
        self.finish_restore()?;
        self.advance(watermark, out)
    }

    fn snapshot(&mut self, full: bool, state: &mut dyn StateWriter) -> Result<(), EngineError> {
        self.finish_restore()?;
        self.rows.snapshot(full, state)?;
        if full || std::mem::take(&mut self.watermark_changed) {
            state.put(b"w", Some(&self.watermark.to_be_bytes()));
        }
        let mut changed = std::mem::take(&mut self.changed_counts);
        if full {
            changed = (0..self.key_states.len() as u32)
                .filter(|k| self.key_states[*k as usize].count > 0)
                .collect();
        }
        for key in changed {
            let mut name = vec![b'n'];
            name.extend(self.keys.encode(key));
            state.put(&name, Some(&self.key_states[key as usize].count.to_be_bytes()));
            self.key_states[key as usize].count_changed = false;
        }
        Ok(())
    }

    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), EngineError> {
        self.restoring = true;
        if self.rows.restore(key, value)? {
            return Ok(());
        }
        let number = |bytes: &[u8]| bytes.try_into().map(i64::from_be_bytes).map_err(|_| corrupt("a number"));
        match (key, value) {
            (b"w", Some(bytes)) => self.watermark = number(bytes)?,
            ([b'n', name @ ..], Some(bytes)) => {
                let key = self.keys.insert_encoded(name)?;
                self.key_states.resize(self.keys.capacity(), NO_KEY);
                self.key_states[key as usize].count = number(bytes)?;
            }
            _ => return Err(corrupt("an unknown entry of a window function")),
        }
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats {
            state_rows: self.rows.store.len(),
            state_bytes: self.rows.bytes()
                + self.links.len() * size_of::<Link>()
                + self.numbers.len() * 8
                + self.keys.bytes()
                + self.key_states.len() * size_of::<KeyState>()
                + self.queue.bytes()
                + self.waiting.capacity() * size_of::<Timed>(),
            processing_errors: 0,
            dropped: self.dropped,
        }
    }
}
