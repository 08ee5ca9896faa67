//! What an aggregate gives out: changes of its groups, or each window once.

use super::{Aggregate, fingerprints};
use crate::chunk::{Chunk, Op};
use crate::error::EngineError;
use crate::operator::Output;
use crate::operators::row_store::NONE;
use arrow_array::{ArrayRef, Int64Array};
use std::sync::Arc;

const PIECE: usize = 8192;

impl Aggregate {
    /// The output rows of slots as they are now.
    fn results(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, EngineError> {
        let mut columns = self.slots.group_columns(slots)?;
        let ends = || slots.iter().map(|s| self.slots.get(*s).end).collect::<Int64Array>();
        if self.window.is_some() {
            columns.push(Arc::new(slots.iter().map(|s| self.slots.get(*s).start).collect::<Int64Array>()));
            columns.push(Arc::new(ends()));
        }
        for accumulator in &self.accumulators {
            columns.push(accumulator.finish(slots)?);
        }
        if self.rowtime {
            columns.push(Arc::new(ends()));
        }
        Ok(columns)
    }

    /// `EMIT FINAL`'s rows.
    pub(super) fn emit_windows(&self, slots: &[u32], out: &mut Output) -> Result<(), EngineError> {
        for piece in slots.chunks(PIECE) {
            out.push(Chunk::inserts(self.results(piece)?, piece.len()));
        }
        Ok(())
    }

    /// Takes in the current results of slots; gives the ids of their rows.
    fn take_results(&mut self, slots: &[u32]) -> Result<Vec<u32>, EngineError> {
        let columns = self.results(slots)?;
        let prints = fingerprints(&self.row_bytes, &columns)?;
        let ids = self.emitted.append(columns, slots.len())?;
        self.prints.resize(self.emitted.capacity(), 0);
        for (id, print) in ids.iter().zip(prints) {
            self.prints[*id as usize] = print;
        }
        Ok(ids)
    }

    /// The changes since the last time: for each changed slot its old row goes and its new one comes.
    pub(super) fn emit_changes(&mut self, out: &mut Output) -> Result<(), EngineError> {
        let mut slots = Vec::new();
        for (slot, serial) in std::mem::take(&mut self.unflushed) {
            let meta = self.slots.get_mut(slot);
            if meta.live && meta.serial == serial && std::mem::take(&mut meta.unflushed) {
                slots.push(slot);
            }
        }
        let mut gone = std::mem::take(&mut self.orphans);
        self.emit_pieces(&[], &gone, out)?;
        for piece in slots.chunks(PIECE) {
            let ids = self.take_results(piece)?;
            let mut changes: Vec<(u32, Op)> = Vec::new();
            for (slot, id) in piece.iter().zip(ids) {
                let meta = self.slots.get_mut(*slot);
                let (old, is_there) = (meta.emitted, meta.rows > 0);
                if is_there && old != NONE && self.prints[old as usize] == self.prints[id as usize] {
                    gone.push(id);
                    continue;
                }
                if old != NONE {
                    changes.push((old, Op::Delete));
                    gone.push(old);
                }
                if is_there {
                    changes.push((id, Op::Insert));
                    meta.emitted = id;
                } else {
                    gone.push(id);
                    meta.emitted = NONE;
                }
            }
            self.emit_pieces(&changes, &[], out)?;
        }
        self.emitted.remove(&gone)?;
        for slot in slots {
            if self.slots.get(slot).rows <= 0 {
                self.drop_slot(slot);
            }
        }
        Ok(())
    }

    fn emit_pieces(
        &self,
        changes: &[(u32, Op)],
        deletes: &[u32],
        out: &mut Output,
    ) -> Result<(), EngineError> {
        let (ids, ops): (Vec<u32>, Vec<Op>) =
            deletes.iter().map(|id| (*id, Op::Delete)).chain(changes.iter().copied()).unzip();
        if !ids.is_empty() {
            // Each row is a record of its own to a window function above.
            let origin = (0..ids.len() as u32).collect();
            let columns = self.emitted.gather(&ids)?;
            out.push(Chunk { columns, len: ids.len(), ops: Some(ops.into()), origin: Some(origin) });
        }
        Ok(())
    }

    /// After a restore: what stands downstream are the results, as each snapshot follows a flush.
    pub(super) fn restore_emitted(&mut self) -> Result<(), EngineError> {
        if self.emit_final {
            return Ok(());
        }
        let mut slots = self.slots.live();
        slots.retain(|s| self.slots.get(*s).rows > 0);
        for piece in slots.chunks(PIECE) {
            for (slot, id) in piece.iter().zip(self.take_results(piece)?) {
                self.slots.get_mut(*slot).emitted = id;
            }
        }
        Ok(())
    }
}
