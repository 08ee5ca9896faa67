//! One partition of a streaming log on disk.
pub mod batch;
pub mod compression;
mod config;
mod error;
mod files;
mod flusher;
mod fs;
mod index;
mod log;
mod producer;
mod segment;
mod snapshot;
pub mod testing;

pub use config::{
    AbortedTxn, Appended, CorruptionPolicy, Deleted, Isolation, LogConfig, OpenTxn, ProducerState,
    ReadResult, Recovery, TimestampType,
};
pub use error::LogError;
pub use flusher::{Done, Flusher, FlusherConfig};
pub use fs::{Fs, FsFile, OpenMode, RealFs};
pub use log::Log;
