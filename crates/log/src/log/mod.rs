//! The log of one partition.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::BytesMut;

use crate::*;

/// The log of one partition. All methods take `&self` and are thread safe.
pub struct Log {
    dir: PathBuf,
}

#[allow(unused_variables)]
impl Log {
    fn later<T>(&self) -> Result<T, LogError> {
        Err(LogError::Closed { dir: self.dir.clone() })
    }
    /// Opens or creates.
    pub fn open(fs: Arc<dyn Fs>, dir: &Path, config: LogConfig) -> Result<(Log, Recovery), LogError> {
        Ok((Log { dir: dir.to_path_buf() }, Recovery::default()))
    }
    /// The partition's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
    /// Appends whole v2 batches; not yet durable.
    pub fn append(&self, batches: BytesMut, leader_epoch: i32) -> Result<Appended, LogError> {
        self.later()
    }
    /// Appends a transaction marker; not yet durable.
    pub fn append_marker(
        &self,
        producer_id: i64,
        producer_epoch: i16,
        commit: bool,
        coordinator_epoch: i32,
        leader_epoch: i32,
    ) -> Result<Appended, LogError> {
        self.later()
    }
    /// fdatasync; returns the new high watermark.
    pub fn sync(&self) -> Result<i64, LogError> {
        self.later()
    }
    /// First offset.
    pub fn start_offset(&self) -> i64 {
        0
    }
    /// Next offset to be written.
    pub fn end_offset(&self) -> i64 {
        0
    }
    /// Durable end.
    pub fn high_watermark(&self) -> i64 {
        0
    }
    /// First offset a read_committed reader may not see.
    pub fn last_stable_offset(&self) -> i64 {
        0
    }
    /// Whole batches from the one containing `offset`.
    pub fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        isolation: Isolation,
        min_one: bool,
    ) -> Result<ReadResult, LogError> {
        self.later()
    }
    /// First durable record with timestamp >= `timestamp`: (offset, timestamp).
    pub fn offset_for_timestamp(&self, timestamp: i64) -> Result<Option<(i64, i64)>, LogError> {
        self.later()
    }
    /// Durable record with the greatest timestamp: (offset, timestamp).
    pub fn max_timestamp_offset(&self) -> Result<Option<(i64, i64)>, LogError> {
        self.later()
    }
    /// Raises the start offset (at most to the high watermark); returns the new start.
    pub fn delete_records_before(&self, offset: i64) -> Result<i64, LogError> {
        self.later()
    }
    /// Deletes old segments by time and size, forgets idle producers.
    pub fn apply_retention(&self, now_ms: i64) -> Result<Deleted, LogError> {
        self.later()
    }
    /// Changes the settings of a log in use.
    pub fn set_config(&self, config: LogConfig) -> Result<(), LogError> {
        self.later()
    }
    /// All known producers.
    pub fn producer_states(&self) -> Vec<ProducerState> {
        Vec::new()
    }
    /// All open transactions, oldest first.
    pub fn open_transactions(&self) -> Vec<OpenTxn> {
        Vec::new()
    }
    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        0
    }
    /// Clean shutdown.
    pub fn close(&self) -> Result<(), LogError> {
        self.later()
    }
}
