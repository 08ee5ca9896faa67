//! `Aggregate`: `GROUP BY`, with and without windows, over streams and tables.
//!
//! ```text
//!  row ─▶ group ─▶ slot(s): the group, its window(s) or its session ─▶ accumulators by slot
//!                    │ flush: Delete(row emitted before) + Insert(row now) of each changed slot
//!                    └ watermark > window end + grace: EMIT FINAL's row; the slot is gone
//! ```
//! A session ends at its last row; a row within `gap` of it (or of its first) extends it, and may merge two; it has passed when no
//! such row can come: at end + gap + grace. EMIT FINAL without windows gives each group once, at the end. The ROWTIME of EMIT FINAL's rows, where asked for, is the window's end.
//!
//! State entries: `w` the watermark; `s` serial -> the slot with its accumulators; `e` serial, aggregate, key -> an accumulator's
//! entry. The rows emitted are not saved: a flush precedes each snapshot, so they are the results.

mod accumulator;
mod collect;
mod emit;
mod numeric;
mod pick;
mod repr;
mod slots;
mod state;

use super::row_store::RowStore;
use super::table_join::fingerprints;
use super::time_queue::TimeQueue;
use crate::chunk::{Chunk, Op};
use crate::error::EngineError;
use crate::expr::Compiled;
use crate::operator::{Operator, OperatorStats, Output, StateWriter};
use accumulator::{Accumulator, Rows, accumulator};
use arrow_array::{ArrayRef, Int64Array};
use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType as ArrowType;
use bd_sql::plan::{ChangelogMode, Node, Plan, Window};
use slots::Slots;
use std::collections::BTreeMap;

/// See the module's documentation.
pub(crate) struct Aggregate {
    group: Vec<usize>,
    time: Option<usize>,
    window: Option<Window>,
    emit_final: bool,
    /// ROWTIME follows the aggregates.
    rowtime: bool,
    args: Vec<Vec<Compiled>>,
    row_bytes: RowConverter,

    slots: Slots,
    accumulators: Vec<Box<dyn Accumulator>>,
    expiry: TimeQueue,
    watermark: i64,
    watermark_changed: bool,
    arrival: u64,
    /// The output rows that stand downstream, and their fingerprints by id.
    emitted: RowStore,
    prints: Vec<u128>,
    /// Emitted rows of sessions that were merged into others.
    orphans: Vec<u32>,
    unflushed: Vec<(u32, u64)>,
    unsaved: Vec<(u32, u64)>,
    /// Keys of state entries to be removed.
    gone: Vec<Vec<u8>>,
    restored: BTreeMap<Vec<u8>, Vec<u8>>,
    restoring: bool,
    errors: u64,
    dropped: u64,
}

impl Aggregate {
    /// The operator of an [`Node::Aggregate`].
    pub(crate) fn new(plan: &Plan) -> Result<Self, EngineError> {
        let Node::Aggregate { input, group, aggregates, window, emit_final } = &plan.node else {
            return Err(EngineError::Unsupported("anything but GROUP BY here".into()));
        };
        let types: Vec<ArrowType> = plan.columns.iter().map(|c| c.data_type.to_arrow()).collect();
        let group_types: Vec<ArrowType> =
            group.iter().map(|c| input.columns[*c].data_type.to_arrow()).collect();
        let known = group.len() + if window.is_some() { 2 } else { 0 } + aggregates.len();
        let undo = input.mode != ChangelogMode::Append;
        if undo && (window.is_some() || *emit_final) {
            return Err(EngineError::Unsupported("a window or EMIT FINAL over a table".into()));
        }
        if types.len() != known && !(types.len() == known + 1 && window.is_some()) {
            return Err(EngineError::Unsupported(format!("GROUP BY with {} output columns", types.len())));
        }
        let compile =
            |a: &bd_sql::plan::Aggregate| a.args.iter().map(Compiled::new).collect::<Result<_, _>>();
        Ok(Self {
            group: group.clone(),
            time: input.time,
            window: *window,
            emit_final: *emit_final,
            rowtime: types.len() > known,
            args: aggregates.iter().map(compile).collect::<Result<_, _>>()?,
            row_bytes: RowConverter::new(types.iter().map(|t| SortField::new(t.clone())).collect())?,
            slots: Slots::new(&group_types)?,
            accumulators: aggregates.iter().map(|a| accumulator(a, undo)).collect::<Result<_, _>>()?,
            expiry: TimeQueue::default(),
            watermark: i64::MIN,
            watermark_changed: false,
            arrival: 0,
            emitted: RowStore::new(types),
            prints: Vec::new(),
            orphans: Vec::new(),
            unflushed: Vec::new(),
            unsaved: Vec::new(),
            gone: Vec::new(),
            restored: BTreeMap::new(),
            restoring: false,
            errors: 0,
            dropped: 0,
        })
    }

    /// How long after its end a window takes rows.
    fn grace(&self) -> i64 {
        match self.window {
            Some(Window::Tumbling { grace_ms, .. } | Window::Hopping { grace_ms, .. }) => grace_ms,
            Some(Window::Session { gap_ms, grace_ms }) => gap_ms.saturating_add(grace_ms),
            None => 0,
        }
    }

    /// Whether a window with this end takes no rows any more.
    fn closed(&self, end: i64) -> bool {
        end.saturating_add(self.grace()) < self.watermark
    }

    /// Counts a row into a slot and notes that the slot has changed.
    fn touch(&mut self, slot: u32, rows: i64) {
        let meta = self.slots.get_mut(slot);
        meta.rows += rows;
        let serial = meta.serial;
        if !std::mem::replace(&mut meta.unsaved, true) {
            self.unsaved.push((slot, serial));
        }
        if !self.emit_final && !std::mem::replace(&mut meta.unflushed, true) {
            self.unflushed.push((slot, serial));
        }
    }

    /// Puts a new window into the queue of those to close.
    fn enqueue(&mut self, new: &[u32]) {
        let grace = self.grace();
        let item = |slot: &u32| {
            (self.slots.get(*slot).end.saturating_add(grace), self.slots.get(*slot).serial, *slot)
        };
        self.expiry.push_all(new.iter().map(item).collect());
    }

    /// Rows without windows, and of tumbling and hopping windows.
    fn assign(
        &mut self,
        groups: &[u32],
        times: Option<&Int64Array>,
        signs: &dyn Fn(usize) -> i64,
    ) -> (Vec<u32>, Vec<u32>) {
        let (size, advance) = match self.window {
            Some(Window::Tumbling { size_ms, .. }) => (size_ms.max(1), size_ms.max(1)),
            Some(Window::Hopping { size_ms, advance_ms, .. }) => (size_ms.max(1), advance_ms.max(1)),
            _ => (0, 1),
        };
        let mut slots = Vec::with_capacity(groups.len());
        let mut rows = Vec::with_capacity(groups.len());
        let mut new = Vec::new();
        for (row, group) in groups.iter().enumerate() {
            let Some(times) = times else {
                let slot = self.slots.window(*group, 0, 0).0;
                self.touch(slot, signs(row));
                slots.push(slot);
                rows.push(row as u32);
                continue;
            };
            let time = times.value(row);
            let mut start = time.saturating_sub(time.rem_euclid(advance));
            while start.saturating_add(size) > time && start <= time {
                let end = start.saturating_add(size);
                if self.closed(end) {
                    self.dropped += 1;
                } else {
                    let (slot, is_new) = self.slots.window(*group, start, end);
                    if is_new {
                        new.push(slot);
                    }
                    self.touch(slot, 1);
                    slots.push(slot);
                    rows.push(row as u32);
                }
                let Some(before) = start.checked_sub(advance) else { break };
                start = before;
            }
        }
        self.enqueue(&new);
        (slots, rows)
    }

    /// Rows of session windows, in order: a row may merge the sessions that it lies between.
    fn assign_sessions(
        &mut self,
        groups: &[u32],
        times: &Int64Array,
        gap: i64,
        args: &[Vec<ArrayRef>],
    ) -> Result<(Vec<u32>, Vec<u32>), EngineError> {
        let (mut slots, mut rows): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        for (row, group) in groups.iter().enumerate() {
            let time = times.value(row);
            let near = |slot: &&u32| {
                let slot = self.slots.get(**slot);
                slot.start.saturating_sub(gap) <= time && time <= slot.end.saturating_add(gap)
            };
            let found: Vec<u32> = self.slots.of_group(*group).iter().filter(near).copied().collect();
            let bounds = found
                .iter()
                .map(|s| self.slots.get(*s))
                .fold((time, time), |(start, end), s| (start.min(s.start), end.max(s.end)));
            // The session that holds most takes in the others.
            let Some(into) = found.iter().copied().max_by_key(|s| self.slots.get(*s).rows) else {
                if self.closed(time) {
                    self.dropped += 1;
                    continue;
                }
                let slot = self.slots.add(*group, time, time);
                self.enqueue(&[slot]);
                self.touch(slot, 1);
                slots.push(slot);
                rows.push(row as u32);
                continue;
            };
            if found.len() > 1 {
                // What is still to be taken in belongs to sessions as they were.
                self.update(&std::mem::take(&mut slots), &std::mem::take(&mut rows), None, args)?;
                for from in found.into_iter().filter(|s| *s != into) {
                    let moved = self.slots.get(from).rows;
                    for accumulator in &mut self.accumulators {
                        accumulator.merge(from as usize, into as usize);
                    }
                    let emitted = self.slots.get(from).emitted;
                    if emitted != super::row_store::NONE {
                        self.orphans.push(emitted);
                    }
                    self.drop_slot(from);
                    self.touch(into, moved);
                }
            }
            self.slots.stretch(into, bounds.0, bounds.1);
            self.touch(into, 1);
            slots.push(into);
            rows.push(row as u32);
        }
        Ok((slots, rows))
    }

    fn update(
        &mut self,
        slots: &[u32],
        rows: &[u32],
        deletes: Option<&[bool]>,
        args: &[Vec<ArrayRef>],
    ) -> Result<(), EngineError> {
        let rows = Rows { slots, rows, deletes, arrival: self.arrival };
        for (accumulator, args) in self.accumulators.iter_mut().zip(args) {
            accumulator.resize(self.slots.capacity());
            accumulator.update(&rows, args)?;
        }
        Ok(())
    }

    /// Empties and forgets a slot; what stands downstream for it is the caller's.
    fn drop_slot(&mut self, slot: u32) {
        let meta = *self.slots.get(slot);
        if meta.saved {
            self.gone.push(state::slot_key(meta.serial));
        }
        for (place, accumulator) in self.accumulators.iter_mut().enumerate() {
            let mut saved = Vec::new();
            accumulator.resize(self.slots.capacity());
            accumulator.clear(slot as usize, &mut saved);
            self.gone.extend(saved.into_iter().map(|key| state::entry_key(meta.serial, place, &key)));
        }
        self.slots.remove(slot);
    }

    /// The slots that the watermark has passed.
    fn closing(&mut self) -> Vec<u32> {
        if self.window.is_none() {
            // Without windows all is final at the end only.
            let ends = self.emit_final && self.watermark == i64::MAX;
            return if ends { self.slots.live() } else { Vec::new() };
        }
        let mut closing = Vec::new();
        let mut later = Vec::new();
        for (_, serial, slot) in self.expiry.drain_passed(self.watermark) {
            let meta = self.slots.get(slot);
            if !meta.live || meta.serial != serial {
                continue;
            }
            let now = meta.end.saturating_add(self.grace());
            // A session that has grown since it was put here closes later.
            if self.watermark != i64::MAX && now >= self.watermark {
                later.push((now, serial, slot));
            } else {
                closing.push((now, serial, slot));
            }
        }
        self.expiry.push_all(later);
        closing.sort_unstable();
        closing.into_iter().map(|(_, _, slot)| slot).collect()
    }
}

impl Operator for Aggregate {
    fn on_batch(&mut self, _port: usize, chunk: Chunk, _out: &mut Output) -> Result<(), EngineError> {
        self.finish_restore()?;
        let mut args = Vec::with_capacity(self.args.len());
        for exprs in &self.args {
            let eval = |e: &Compiled| e.eval(&chunk.columns, chunk.len, &mut self.errors);
            args.push(exprs.iter().map(eval).collect::<Result<Vec<_>, _>>()?);
        }
        let group: Vec<ArrayRef> = self.group.iter().map(|c| chunk.columns[*c].clone()).collect();
        let groups = self.slots.groups(&group, chunk.len)?;
        let deletes: Option<Vec<bool>> =
            chunk.ops.as_ref().map(|ops| ops.iter().map(|op| *op == Op::Delete).collect());
        let times = match (self.window, self.time) {
            (Some(_), Some(time)) => chunk.times(time),
            _ => None,
        };
        let (slots, rows) = match (self.window, times) {
            (Some(Window::Session { gap_ms, .. }), Some(times)) => {
                self.assign_sessions(&groups, times, gap_ms, &args)?
            }
            _ => {
                let sign = |row: usize| if deletes.as_ref().is_some_and(|d| d[row]) { -1 } else { 1 };
                self.assign(&groups, times, &sign)
            }
        };
        self.update(&slots, &rows, deletes.as_deref(), &args)?;
        // Groups of rows that no window took; only now, as a later row of the chunk may have made a window.
        for group in groups {
            self.slots.release_group(group);
        }
        self.arrival += chunk.len as u64;
        // Without snapshots the list must not outgrow the slots.
        if self.unsaved.len() > 2 * self.slots.len() + 1024 {
            let mut unsaved = std::mem::take(&mut self.unsaved);
            unsaved.retain(|(slot, serial)| {
                self.slots.get(*slot).live && self.slots.get(*slot).serial == *serial
            });
            self.unsaved = unsaved;
        }
        Ok(())
    }

    fn on_watermark(&mut self, _port: usize, watermark: i64, out: &mut Output) -> Result<(), EngineError> {
        self.finish_restore()?;
        self.watermark = watermark;
        self.watermark_changed = true;
        let closing = self.closing();
        if self.emit_final {
            self.emit_windows(&closing, out)?;
        } else if !closing.is_empty() {
            // The last state of a window that closes must not be lost.
            self.emit_changes(out)?;
            let standing: Vec<u32> = closing.iter().map(|s| self.slots.get(*s).emitted).collect();
            self.emitted.remove(&standing)?;
        }
        for slot in closing {
            self.drop_slot(slot);
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut Output) -> Result<(), EngineError> {
        self.finish_restore()?;
        self.emit_changes(out)
    }

    fn snapshot(&mut self, full: bool, state: &mut dyn StateWriter) -> Result<(), EngineError> {
        self.finish_restore()?;
        self.write_state(full, state);
        Ok(())
    }

    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), EngineError> {
        self.restoring = true;
        match value {
            Some(value) => self.restored.insert(key.to_vec(), value.to_vec()),
            None => self.restored.remove(key),
        };
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats {
            state_rows: self.slots.len(),
            state_bytes: self.slots.bytes()
                + self.emitted.bytes()
                + self.accumulators.iter().map(|a| a.bytes()).sum::<usize>()
                + self.expiry.bytes(),
            processing_errors: self.errors,
            dropped: self.dropped,
        }
    }
}
