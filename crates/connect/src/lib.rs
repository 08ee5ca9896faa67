//! Kafka Connect in Rust: the connector SDK ([`sdk`]) and the worker that runs connectors.
//!
//! ```text
//!  SourceTask::poll ─▶ Batch ─▶ transforms ─▶ converters ─▶ topic   (records and source offsets in one transaction)
//!  topic ─▶ converters ─▶ transforms ─▶ Batch ─▶ SinkTask::put      (offsets of group connect-<name> after put)
//! ```
//! Connectors depend on [`sdk`] only. [`Worker`] keeps its state in three topics of Kafka Connect's own formats and runs each task
//! on a thread of its own; [`router`] is its REST interface.
//!
//! # Other than in Kafka Connect
//! * Sources always write records and offsets in one transaction, one a poll (`exactly.once.support`, `transaction.boundary=poll`).
//! * Sources have dead-letter topics too: input that they reject, and records that a transform or a converter refuses (as JSON).
//! * A task that fails with a retriable error is opened again for ever, from its committed offsets; `errors.retry.*` are accepted.
//! * A sink remembers the number of partitions of its topics and stops where it changes, or where a topic was created again: its
//!   destination orders versions by offset.
//! * `JsonConverter` with `schemas.enable=false` gives sinks the documents as bytes. Transforms see the types that each document
//!   shows (whole numbers are `BIGINT`, others `DOUBLE`; an array of mixed types becomes one of strings) and give documents again.
//! * A NULL stays NULL where its field has a default (Kafka's `replace.null.with.default=false`).
//! * There is one worker: no rebalances, no `/admin/loggers`.

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
