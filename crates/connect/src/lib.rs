//! Kafka Connect in Rust: the connector SDK ([`sdk`]) and the worker that runs connectors.
//!
//! ```text
//!  SourceTask::poll ─▶ Batch ─▶ transforms ─▶ converters ─▶ topic   (records and source offsets in one transaction)
//!  topic ─▶ converters ─▶ transforms ─▶ Batch ─▶ SinkTask::put      (offsets of group connect-<name> after put)
//! ```
//! Connectors depend on [`sdk`] only. [`Worker`] keeps its state in three topics of Kafka Connect's own formats and runs each task
//! on a thread of its own; [`router`] is its REST interface.

mod convert;
mod error;
mod rest;
pub mod sdk;
mod store;
mod task;
mod transform;
mod worker;

pub use error::ConnectError;
pub use rest::router;
pub use worker::{Worker, WorkerConfig};
