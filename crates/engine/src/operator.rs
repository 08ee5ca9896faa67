//! The contract of an operator: a synchronous state machine over chunks and watermarks.
//!
//! # Rules
//! * **Watermark `W`** on a port promises that no row with a time < `W` follows there; rows at `W` may. A time `t` *has passed* when
//!   `W > t`. Watermarks rise strictly per port; `i64::MAX` is the end: everything has passed. A port without a watermark yet is
//!   at `i64::MIN`.
//! * What an operator emits in `on_watermark` is emitted *before* its output watermark rises; the chain computes the output
//!   watermark from the plan's lag, so an operator must keep to the bound that the plan states ([`bd_sql::plan::Plan::lag_ms`]).
//! * **Results depend on the rows and watermarks only**, not on how rows are cut into chunks, nor on snapshots and restores in
//!   between. The suite in `operators/tests` runs each case at chunks of 1, 7 and all rows, with a restore at every barrier.
//! * Each operator holds its state in memory and names what changed since the last barrier in [`Operator::snapshot`].

use crate::chunk::Chunk;
use crate::error::EngineError;

/// Where an operator puts the rows that it emits, in order.
#[derive(Debug, Default)]
pub struct Output {
    /// The chunks so far; none of them is empty.
    pub chunks: Vec<Chunk>,
}

impl Output {
    /// Emits rows; an empty chunk is nothing.
    pub fn push(&mut self, chunk: Chunk) {
        if chunk.len > 0 {
            self.chunks.push(chunk);
        }
    }
}

/// Takes an operator's state at a barrier: entries of key and value, in the operator's own encoding.
pub trait StateWriter {
    /// The entry `key` has this value from now on; `None` removes it.
    fn put(&mut self, key: &[u8], value: Option<&[u8]>);
}

/// What an operator has done and holds, for metrics. Counters only rise and are not part of the state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperatorStats {
    /// Rows held in state.
    pub state_rows: usize,
    /// About how many bytes the state takes in memory.
    pub state_bytes: usize,
    /// Rows whose expressions failed (the result was NULL), see `bd_sql::expr`.
    pub processing_errors: u64,
    /// Rows that a filter's counted condition dropped, and rows that waited in vain for a next row within the bound.
    pub dropped: u64,
}

/// One node of a query.
pub trait Operator: Send {
    /// Rows on an input port (0, or 1 for a join's right side).
    ///
    /// # Errors
    /// Only what makes it impossible to go on; bad data never does.
    fn on_batch(&mut self, port: usize, chunk: Chunk, out: &mut Output) -> Result<(), EngineError>;

    /// The watermark of a port has risen to `watermark`.
    ///
    /// # Errors
    /// As [`Operator::on_batch`]'s.
    fn on_watermark(&mut self, port: usize, watermark: i64, out: &mut Output) -> Result<(), EngineError> {
        let _ = (port, watermark, out);
        Ok(())
    }

    /// Called before each barrier (and often enough for a live view): emit what was held back only to spare updates, such as the
    /// changed groups of an aggregate.
    ///
    /// # Errors
    /// As [`Operator::on_batch`]'s.
    fn flush(&mut self, out: &mut Output) -> Result<(), EngineError> {
        let _ = out;
        Ok(())
    }

    /// Writes the entries that changed since the last call, or with `full` all of them (`restore` of those alone then gives the
    /// whole state). Watermarks that the operator keeps belong to its state. Stateless operators write nothing.
    ///
    /// # Errors
    /// State that cannot be encoded.
    fn snapshot(&mut self, full: bool, state: &mut dyn StateWriter) -> Result<(), EngineError> {
        let _ = (full, state);
        Ok(())
    }

    /// Puts one entry back; called on a new operator, in the order written, a later entry of the same key wins.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`].
    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), EngineError> {
        let _ = (key, value);
        Ok(())
    }

    /// What it holds and has done.
    fn stats(&self) -> OperatorStats {
        OperatorStats::default()
    }
}
