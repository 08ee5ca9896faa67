//! What a connector is written against. A connector is a [`Plugin`]: it declares its configuration, splits work into tasks and
//! opens them. Tasks block and run on a thread of their own each.
//!
//! # Rules
//! * A source's poll is one transaction: its records, and the source offsets it gives with them, become durable together, then
//!   [`SourceTask::committed`] is called. After a failure the task is opened again from the offsets that were committed.
//! * [`TaskError::Retriable`] makes the worker close the task and open it again after a growing pause, for ever;
//!   [`TaskError::Fatal`] makes it FAILED until a person restarts it.
//! * Bad input is no error of the task: sources give it as a [`Rejected`] of the poll, sinks as one of `put`; the worker writes
//!   it to the dead-letter topic or fails the task, as `errors.tolerance` says.

mod batch;
mod config;
mod task;

pub use batch::{Batch, Cells, ConnectSchema, Header, Shape};
pub use bd_schema::{ConnectField, ConnectMeta, Narrow};
pub use config::{Config, ConfigDef, ConfigError, ConfigKey, ConfigType, Importance};
pub use task::{
    Plugin, PluginKind, Polled, Rejected, SinkBatch, SinkTask, SourceOffset, SourcePartition, SourceTask,
    StopFlag, TaskContext, TaskError,
};
