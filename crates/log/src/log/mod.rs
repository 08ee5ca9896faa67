//! The log of one partition, as others see it: open, or at rest until it is used.

mod append;
mod compact;
mod lookup;
mod open;
mod opened;
mod read;
mod recover;
mod region;
mod rest;
mod retention;
mod scan;
mod sync;
mod validate;

pub use region::Region;
pub(crate) use rest::Marker;
pub use rest::Resting;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use parking_lot::{Mutex, RwLock};

pub(crate) use self::compact::Checkpoint;
pub use self::compact::Compacted;
use self::opened::{OpenLog, Shared, Stopped};
use crate::{Appended, Deleted, Isolation, LogConfig, LogError, OpenTxn, ProducerState, ReadResult};

/// The log of one partition. All methods take `&self` and are thread safe: one appends, one syncs, many read at a time.
///
/// A log at rest ([`Log::rest`], [`Log::open_resting`]) holds its offsets and settings, but no file, index or producer; the
/// first method that needs those opens it.
///
/// ```
/// use std::sync::Arc;
/// use bd_log::{Isolation, Log, LogConfig, RealFs, batch::BatchBuilder};
/// let dir = tempfile::tempdir()?;
/// let (log, _) = Log::open(Arc::new(RealFs), &dir.path().join("topic-0"), LogConfig::default())?;
/// let mut batch = BatchBuilder::new();
/// batch.append(1_000, None, Some(b"hello"), &[]);
/// let appended = log.append(batch.build(), 0)?;
/// assert!(log.read(0, 1 << 20, Isolation::HighWatermark, true)?.bytes.is_empty()); // not durable yet
/// log.sync()?;
/// let read = log.read(0, 1 << 20, Isolation::HighWatermark, true)?;
/// assert_eq!(read.next_offset, appended.last_offset + 1);
/// log.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Log {
    shared: Arc<Shared>,
    /// `None` while the log rests. Written only while `resting` is held, and then only if nobody uses the log.
    open: RwLock<Option<Box<OpenLog>>>,
    /// Held while the log opens or goes to rest.
    resting: Mutex<()>,
    /// Closed while it rested: it does not open again.
    closed: AtomicBool,
    /// A method needed the files since [`Log::rest_if_unused`] was last called.
    used: AtomicBool,
}

impl Log {
    /// The partition's folder.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// First offset that can be read.
    pub fn start_offset(&self) -> i64 {
        self.shared.start_offset()
    }

    /// The offset the next record gets (log end offset).
    pub fn end_offset(&self) -> i64 {
        self.shared.end_offset()
    }

    /// What readers may see: the durable end, everything before which survives power loss; with [`crate::FlushMode::Os`]
    /// the log's end.
    pub fn high_watermark(&self) -> i64 {
        self.shared.high_watermark()
    }

    /// Everything before it was fsynced.
    pub fn durable_offset(&self) -> i64 {
        self.shared.durable_offset()
    }

    /// First offset that a `read_committed` reader may not see yet: that of the first undecided transaction, at most the
    /// high watermark. A transaction counts as undecided until its marker is durable.
    pub fn last_stable_offset(&self) -> i64 {
        self.shared.last_stable_offset()
    }

    /// Bytes of all segments' logs.
    pub fn size_bytes(&self) -> u64 {
        match &*self.open.read_recursive() {
            Some(open) => open.size_bytes(),
            None => self.shared.marks.resting_bytes.load(Ordering::Acquire),
        }
    }

    /// All known producers, by id; none if a log at rest cannot be opened, which is logged.
    pub fn producer_states(&self) -> Vec<ProducerState> {
        self.answer("producers", |log| log.producers.lock().states())
    }

    /// What is known of one producer; nothing if a log at rest cannot be opened, which is logged.
    pub fn producer_state(&self, producer_id: i64) -> Option<ProducerState> {
        self.answer("producer", |log| log.producers.lock().state(producer_id))
    }

    /// All open transactions, oldest first; none if a log at rest cannot be opened, which is logged.
    pub fn open_transactions(&self) -> Vec<OpenTxn> {
        if self.shared.marks.first_unstable.load(Ordering::Acquire) == i64::MAX {
            return Vec::new();
        }
        self.answer("open transactions", |log| log.producers.lock().open_transactions())
    }

    /// How many producers are known, without opening a log at rest: of that none.
    pub fn known_producers(&self) -> usize {
        self.open.read_recursive().as_ref().map_or(0, |log| log.producers.lock().map().len())
    }

    /// Whether the log takes no more writes because a write or an fsync has failed ([`LogError::Poisoned`]).
    pub fn is_poisoned(&self) -> bool {
        self.open.read_recursive().as_ref().is_some_and(|log| log.is_poisoned())
    }

    fn answer<T: Default>(&self, what: &str, ask: impl FnOnce(&OpenLog) -> T) -> T {
        self.with(|log| Ok(ask(log))).unwrap_or_else(|error| {
            tracing::error!(dir = %self.dir().display(), %error, "cannot tell the {what}");
            T::default()
        })
    }

    /// The settings in use.
    pub fn config(&self) -> Arc<LogConfig> {
        self.shared.config()
    }

    /// Changes the settings of a log in use; they hold from the next append, read or retention run on.
    ///
    /// # Errors
    /// [`LogError::InvalidConfig`].
    pub fn set_config(&self, config: impl Into<Arc<LogConfig>>) -> Result<(), LogError> {
        let config = config.into();
        config.validate()?;
        let before = std::mem::replace(&mut *self.shared.config.write(), Arc::clone(&config));
        if !config.compacts_like(&before) {
            // Whether a log at rest is to be compacted is seen anew.
            self.shared.marks.resting_compact_at_ms.store(0, Ordering::Release);
        }
        Ok(())
    }

    /// Appends one or more whole v2 batches as their producer sent them, in one write. Base offset and `leader_epoch` are
    /// stamped into the given bytes; with `LogAppendTime` also time and CRC. Not durable until [`Log::sync`], but for
    /// [`crate::FlushMode::Always`].
    ///
    /// A repeat of one of the producer's last five batches writes nothing and answers with the earlier offsets
    /// ([`Appended::duplicate`]).
    ///
    /// # Errors
    /// Nothing is appended on an error. [`LogError::InvalidBatch`], [`LogError::InvalidRecords`],
    /// [`LogError::TooLarge`]; for producers
    /// [`LogError::OutOfOrderSequence`], [`LogError::InvalidProducerEpoch`], [`LogError::InvalidTxnState`]; [`LogError::StorageFull`] (retry later), [`LogError::Io`],
    /// [`LogError::Poisoned`], [`LogError::Closed`]. With `Always` also as [`Log::sync`]: whether the records of an append
    /// whose fsync failed are there is known when the log is opened again.
    pub fn append(&self, batches: BytesMut, leader_epoch: i32) -> Result<Appended, LogError> {
        self.with(|log| log.append(batches, leader_epoch))
    }

    /// Appends a transaction marker, which ends the producer's open transaction. Repeating it is harmless: with nothing
    /// open it changes only epochs. Not durable until [`Log::sync`]; the last stable offset moves only then.
    ///
    /// # Errors
    /// [`LogError::InvalidProducerEpoch`], [`LogError::CoordinatorFenced`], and the I/O errors of [`Log::append`].
    pub fn append_marker(
        &self,
        producer_id: i64,
        producer_epoch: i16,
        commit: bool,
        coordinator_epoch: i32,
        leader_epoch: i32,
    ) -> Result<Appended, LogError> {
        self.with(|log| {
            log.append_marker(producer_id, producer_epoch, commit, coordinator_epoch, leader_epoch)
        })
    }

    /// Makes everything appended so far durable (fdatasync) and returns the new high watermark. Callers that come while
    /// another one syncs share the next fsync.
    ///
    /// # Errors
    /// A failed fsync poisons the log: the kernel may have dropped the pages and would report success next time, so no
    /// later append or sync succeeds until the log is reopened ([`LogError::Poisoned`]). [`LogError::Closed`].
    pub fn sync(&self) -> Result<i64, LogError> {
        match &*self.open.read_recursive() {
            Some(open) => open.sync(),
            // At rest everything is durable.
            None if self.closed.load(Ordering::Acquire) => Err(self.closed_error()),
            None => Ok(self.high_watermark()),
        }
    }

    /// Ends all writing at once, without making anything durable: the log is about to be deleted. Who reads goes on.
    pub fn retire(&self) {
        self.closed.store(true, Ordering::Release);
        if let Some(open) = &*self.open.read_recursive() {
            open.tail.lock().stopped = Some(Stopped::Closed);
        }
    }

    /// As [`Log::sync`], but leaves indexes and snapshots to [`Log::tidy`]: what waits for the records need not wait for
    /// those.
    pub(crate) fn sync_records(&self) -> Result<i64, LogError> {
        match &*self.open.read_recursive() {
            Some(open) => open.sync_records(&mut open.syncer.lock()),
            None => Ok(self.high_watermark()),
        }
    }

    /// Whether there is something to do for [`Log::tidy`].
    pub(crate) fn is_untidy(&self) -> bool {
        self.open.read_recursive().as_ref().is_some_and(|open| open.is_untidy())
    }

    /// Whether records that were acknowledged from the page cache should be fsynced now.
    pub(crate) fn flush_due(&self) -> bool {
        self.open.read_recursive().as_ref().is_some_and(|open| open.flush_due())
    }

    /// Writes what the syncs before have left: indexes, snapshots, zeros ahead of the appends.
    pub(crate) fn tidy(&self) {
        if let Some(open) = &*self.open.read_recursive() {
            open.tidy();
        }
    }

    /// Whole batches from the one that holds `offset`, straight from the file, at most `max_bytes` of them (but at least
    /// one with `min_one`), and none at or beyond the bound of `isolation`. An offset at or behind that bound, up to the
    /// log's end, gives no bytes. One call reads from one segment.
    ///
    /// # Errors
    /// [`LogError::OffsetOutOfRange`]; [`LogError::Corrupt`] if the file does not hold what the index says;
    /// [`LogError::Io`].
    pub fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        isolation: Isolation,
        min_one: bool,
    ) -> Result<ReadResult, LogError> {
        let (marks, bound) = self.shared.read_marks(offset, isolation)?;
        if offset >= bound {
            return Ok(marks); // a reader at the end wakes no log
        }
        self.reading(offset, |log| log.read(offset, max_bytes, isolation, min_one))
    }

    /// As [`Log::read`], but finds the batches without reading more than some of their headers. Batches whose CRC was not
    /// checked since the log was opened are read and checked once.
    ///
    /// # Errors
    /// As [`Log::read`].
    pub fn read_region(
        &self,
        offset: i64,
        max_bytes: usize,
        isolation: Isolation,
        min_one: bool,
    ) -> Result<Region, LogError> {
        let (marks, bound) = self.shared.read_marks(offset, isolation)?;
        if offset >= bound {
            return Ok(Region::empty(marks));
        }
        self.reading(offset, |log| log.read_region(offset, max_bytes, isolation, min_one))
    }

    /// A read that met files of a segment that was deleted meanwhile asked for an offset that is out of range.
    fn reading<T>(
        &self,
        offset: i64,
        read: impl FnOnce(&OpenLog) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        self.with(read).map_err(|error| match self.start_offset() {
            start if offset < start => LogError::OffsetOutOfRange { offset, start, end: self.end_offset() },
            _ => error,
        })
    }

    /// First durable record whose timestamp is `timestamp` (ms) or later, as (offset, timestamp); `None` if there is none.
    ///
    /// # Errors
    /// As [`Log::read`].
    pub fn offset_for_timestamp(&self, timestamp: i64) -> Result<Option<(i64, i64)>, LogError> {
        self.with(|log| log.offset_for_timestamp(timestamp))
    }

    /// The durable record with the greatest timestamp (the first, if several have it), as (offset, timestamp).
    ///
    /// # Errors
    /// As [`Log::read`].
    pub fn max_timestamp_offset(&self) -> Result<Option<(i64, i64)>, LogError> {
        self.with(OpenLog::max_timestamp_offset)
    }

    /// Deletes whole old segments as `retention_ms` and `retention_bytes` say if the cleanup policy deletes, and forgets idle
    /// producers. A segment is as old as its newest record's timestamp says. Only durable segments go; if the newest one has
    /// expired as a whole it is sealed and goes too. A log at rest stays so if there is nothing to delete.
    ///
    /// # Errors
    /// [`LogError::Io`]; the log stays usable, the next run (or start) goes on. As [`Log::sync`] if a roll was needed.
    pub fn apply_retention(&self, now_ms: i64) -> Result<Deleted, LogError> {
        if self.rests_within_retention(now_ms) {
            return Ok(Deleted { start_offset: self.start_offset(), ..Deleted::default() });
        }
        self.opened(|log| log.apply_retention(now_ms)) // no use that would keep it from resting
    }

    /// The part of the bytes that may be compacted and was not yet, from 0 to 1; of a log at rest 0.
    pub fn dirty_ratio(&self, now_ms: i64) -> f64 {
        self.open.read_recursive().as_ref().map_or(0.0, |log| log.dirty_ratio(now_ms))
    }

    /// Whether compaction is due: the dirty ratio, if the log is compacted at all, and
    /// [`LogConfig::min_cleanable_dirty_ratio`] is passed or records are older than [`LogConfig::max_compaction_lag_ms`].
    /// A log does not go to rest while it is; one at rest is opened to see it when the age of its records may make it due, or its
    /// settings were changed.
    ///
    /// # Errors
    /// [`LogError::Io`] if the age of the oldest dirty records cannot be read, or a log at rest not be opened.
    pub fn compaction_due(&self, now_ms: i64) -> Result<Option<f64>, LogError> {
        if let Some(open) = &*self.open.read_recursive() {
            return open.compaction_due(now_ms);
        }
        let look_at = self.shared.marks.resting_compact_at_ms.load(Ordering::Acquire);
        if now_ms < look_at || self.closed.load(Ordering::Acquire) || !self.config().cleanup_policy.compacts()
        {
            return Ok(None);
        }
        self.opened(|log| log.compaction_due(now_ms))
    }

    /// Compacts the log: of the records before the active segment (and before the first undecided transaction, and older than
    /// [`LogConfig::min_compaction_lag_ms`]) the last one of each key stays. Does so whether it is due or not. Appends and
    /// reads go on meanwhile; memory is bounded by [`LogConfig::cleaner_dedupe_buffer_bytes`]. One runs at a time, a second
    /// one waits.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] if a batch is damaged, [`LogError::StorageFull`], [`LogError::Io`]: the log is unchanged, or
    /// compacted in part, and is used further. [`LogError::Closed`], [`LogError::Poisoned`].
    pub fn compact(&self, now_ms: i64) -> Result<Compacted, LogError> {
        self.with(|log| log.compact(now_ms))
    }

    /// Raises the log's start to `offset` (at most to the high watermark) and deletes the segments before it. Returns the
    /// new start; it is durable.
    ///
    /// # Errors
    /// [`LogError::OffsetOutOfRange`] if `offset` lies behind the high watermark; [`LogError::Io`].
    pub fn delete_records_before(&self, offset: i64) -> Result<i64, LogError> {
        self.with(|log| log.delete_records_before(offset))
    }

    /// Clean shutdown: makes everything durable, writes indexes, producer snapshot and the marker that lets the next start
    /// skip the scan. Afterwards the log takes no more writes; reads still work, unless the log was at rest. Closing again
    /// does nothing.
    ///
    /// # Errors
    /// As [`Log::sync`]; [`LogError::Io`] or [`LogError::StorageFull`] if the files cannot be written: the next start
    /// then scans.
    pub fn close(&self) -> Result<(), LogError> {
        let _resting = self.resting.lock();
        self.closed.store(true, Ordering::Release);
        self.open.read_recursive().as_ref().map_or(Ok(()), |open| open.close())
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Shared { dir, marks, .. } = &*self.shared;
        f.debug_struct("Log").field("dir", dir).field("marks", marks).finish_non_exhaustive()
    }
}

/// Wall clock, ms since 1970.
fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}
