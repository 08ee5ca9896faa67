//! The log of one partition: what it consists of, and the questions that need no file.

mod append;
mod compact;
mod lookup;
mod open;
mod read;
mod region;
mod retention;
mod scan;
mod sync;
mod validate;

pub use region::Region;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::{Mutex, RwLock};

pub(crate) use self::compact::Checkpoint;
use self::compact::Cleaner;
pub use self::compact::Compacted;
use crate::producer::Producers;
use crate::segment::Segment;
use crate::{Fs, FsFile, LogConfig, LogError, OpenTxn, ProducerState};

/// The log of one partition. All methods take `&self` and are thread safe: one appends, one syncs, many read at a time.
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
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    config: RwLock<LogConfig>,
    /// Lock order: `cleaner.running`, `syncer`, `writer`, `cleaner.files`, `segments`.
    syncer: Mutex<Syncer>,
    writer: Mutex<Writer>,
    segments: RwLock<BTreeMap<i64, Arc<Segment>>>,
    marks: Marks,
    cleaner: Cleaner,
}

/// Offsets that readers look at without a lock.
#[derive(Debug, Default)]
struct Marks {
    start: AtomicI64,
    end: AtomicI64,
    high_watermark: AtomicI64,
    /// First offset of a transaction that is not durably decided, else `i64::MAX`.
    first_unstable: AtomicI64,
}

/// What appending changes.
struct Writer {
    active: Arc<Segment>,
    /// Wall clock when it was created or opened, ms.
    active_since: i64,
    producers: Producers,
    /// Sealed since the last sync, with the producers' state at the end of each.
    sealed: Vec<(Arc<Segment>, Vec<u8>)>,
    /// Files were created whose names are not durable yet.
    names_dirty: bool,
    /// The marker of the last clean shutdown is still there.
    marked_clean: bool,
    stopped: Option<Stopped>,
}

/// Why a log takes no more writes.
#[derive(Debug, Clone)]
enum Stopped {
    Poisoned(Arc<str>),
    Closed,
}

/// What syncing changes.
struct Syncer {
    recovery_point: Arc<dyn FsFile>,
    /// Size of the active segment when the recovery point itself was made durable.
    recovery_point_at_size: u64,
}

impl Log {
    /// The partition's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Topic and partition, as the folder is called.
    fn name(&self) -> &str {
        self.dir.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// First offset that can be read.
    pub fn start_offset(&self) -> i64 {
        self.marks.start.load(Ordering::Acquire)
    }

    /// The offset the next record gets (log end offset).
    pub fn end_offset(&self) -> i64 {
        self.marks.end.load(Ordering::Acquire)
    }

    /// The durable end: everything before it survives power loss.
    pub fn high_watermark(&self) -> i64 {
        self.marks.high_watermark.load(Ordering::Acquire)
    }

    /// First offset that a `read_committed` reader may not see yet: that of the first undecided transaction, at most the
    /// high watermark. A transaction counts as undecided until its marker is durable.
    pub fn last_stable_offset(&self) -> i64 {
        // In this order: a transaction that begins between the two loads lies behind the high watermark loaded.
        let high_watermark = self.high_watermark();
        let unstable = self.marks.first_unstable.load(Ordering::Acquire);
        unstable.min(high_watermark).max(self.start_offset().min(high_watermark))
    }

    /// Bytes of all segments' logs.
    pub fn size_bytes(&self) -> u64 {
        self.segments.read().values().map(|s| s.size()).sum()
    }

    /// All known producers, by id.
    pub fn producer_states(&self) -> Vec<ProducerState> {
        self.writer.lock().producers.states()
    }

    /// What is known of one producer.
    pub fn producer_state(&self, producer_id: i64) -> Option<ProducerState> {
        self.writer.lock().producers.state(producer_id)
    }

    /// All open transactions, oldest first.
    pub fn open_transactions(&self) -> Vec<OpenTxn> {
        self.writer.lock().producers.open_transactions()
    }

    /// The settings in use.
    pub fn config(&self) -> LogConfig {
        self.config.read().clone()
    }

    /// Changes the settings of a log in use; they hold from the next append, read or retention run on.
    ///
    /// # Errors
    /// [`LogError::InvalidConfig`].
    pub fn set_config(&self, config: LogConfig) -> Result<(), LogError> {
        config.validate()?;
        *self.config.write() = config;
        Ok(())
    }

    /// Whether appends and syncs are possible.
    fn writable(&self, writer: &Writer) -> Result<(), LogError> {
        match &writer.stopped {
            None => Ok(()),
            Some(Stopped::Closed) => Err(LogError::Closed { dir: self.dir.clone() }),
            Some(Stopped::Poisoned(reason)) => {
                Err(LogError::Poisoned { dir: self.dir.clone(), reason: reason.clone() })
            }
        }
    }

    /// Stops all further writes because of `error`, and returns the error that says so.
    fn poison(&self, writer: &mut Writer, error: &LogError) -> LogError {
        let reason: Arc<str> = error.to_string().into();
        tracing::error!(dir = %self.dir.display(), %reason, "log takes no more writes");
        writer.stopped = Some(Stopped::Poisoned(reason.clone()));
        LogError::Poisoned { dir: self.dir.clone(), reason }
    }

    /// The segment that holds `offset`, and the base offset of the next one.
    fn segment_of(&self, offset: i64) -> Option<(Arc<Segment>, Option<i64>)> {
        let segments = self.segments.read();
        let (base, segment) = segments.range(..=offset).next_back()?;
        let next = segments.range(base + 1..).next().map(|(base, _)| *base);
        Some((segment.clone(), next))
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("dir", &self.dir).field("marks", &self.marks).finish_non_exhaustive()
    }
}

/// Wall clock, ms since 1970.
fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}
