//! Kafka Connect in Rust: the connector SDK ([`sdk`]) and the worker that runs connectors.
//!
//! ```text
//!  SourceTask::poll ─▶ Batch ─▶ transforms ─▶ converters ─▶ topic   (records and source offsets in one transaction)
//!  topic ─▶ converters ─▶ transforms ─▶ Batch ─▶ SinkTask::put      (offsets of group connect-<name> after put)
//! ```
//! Connectors depend on [`sdk`] only.

pub mod sdk;
