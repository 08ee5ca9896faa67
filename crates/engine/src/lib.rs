//! The embedded engine: runs the logical plans of `bd-sql` over the topics of a `bd-cluster`, exactly once.
//!
//! ```text
//!  topics ─ source (decode, event time, late, dead letters) ─▶ operators ─▶ sink (encode) ─▶ topics
//!                     │ watermarks                               │ state
//!                     └────────── one transaction a barrier: outputs, changelog, offsets, watermarks
//! ```
//! * [`chunk`]: the rows that flow. * [`operator`]: the contract of an operator. * [`expr`]: expressions over Arrow.
//! * [`operators`]: filter, unnest, windows, joins, aggregates.

pub mod chunk;
pub mod error;
pub mod expr;
pub mod operator;
pub mod operators;
pub mod runtime;

pub use error::EngineError;
