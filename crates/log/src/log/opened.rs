//! An opened log: what it consists of.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::compact::Cleaner;
use crate::handles::Handle;
use crate::producer::Producers;
use crate::segment::Segment;
use crate::{Fs, LogConfig, LogError};

/// What a log keeps while it rests, too.
pub(crate) struct Shared {
    pub(super) fs: Arc<dyn Fs>,
    pub(super) dir: Arc<Path>,
    pub(super) config: RwLock<Arc<LogConfig>>,
    pub(super) marks: Marks,
}

/// Offsets that readers look at without a lock.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) start: AtomicI64,
    pub(super) end: AtomicI64,
    /// Everything before it was fsynced.
    pub(super) durable: AtomicI64,
    /// What readers may see: the durable end, or with [`crate::FlushMode::Os`] the log's end.
    pub(super) high_watermark: AtomicI64,
    /// First offset of a transaction that is not decided, else `i64::MAX`; with the high watermark at the durable end a
    /// decision counts once it is durable.
    pub(super) first_unstable: AtomicI64,
    /// While the log rests: bytes of its segments, the greatest timestamp in the first of them, and when to see whether it is to be
    /// compacted.
    pub(super) resting_bytes: AtomicU64,
    pub(super) resting_oldest_ms: AtomicI64,
    pub(super) resting_compact_at_ms: AtomicI64,
}

/// A log with its segments, indexes and producers in memory.
///
/// Lock order: `cleaner.running`, `syncer`, `writer`, `producers`, `tail`, `cleaner.files`, `segments`. Only `syncer` and
/// `writer` are held during file operations, and neither for the other's: an fsync does not wait for a write, nor a write for
/// an fsync.
pub(crate) struct OpenLog {
    pub(super) shared: Arc<Shared>,
    /// Held while bytes are made durable, and while indexes and snapshots are written.
    pub(super) syncer: Mutex<Syncer>,
    /// Held while bytes are appended.
    pub(super) writer: Mutex<Writer>,
    pub(super) producers: Mutex<Producers>,
    pub(super) tail: Mutex<Tail>,
    pub(super) segments: RwLock<BTreeMap<i64, Arc<Segment>>>,
    pub(super) cleaner: Cleaner,
}

/// What appending changes.
pub(super) struct Writer {
    /// The marker of the last clean shutdown is still there.
    pub(super) marked_clean: bool,
    /// Wall clock when the active segment was created or opened, ms.
    pub(super) active_since: i64,
}

/// What appends leave to the next sync.
pub(super) struct Tail {
    pub(super) active: Arc<Segment>,
    /// Sealed since the last sync, with the producers' state at the end of each.
    pub(super) sealed: Vec<(Arc<Segment>, Vec<u8>)>,
    /// The same after their fsync: their indexes are to be written.
    pub(super) unindexed: Vec<(Arc<Segment>, Vec<u8>)>,
    /// Files were created whose names are not durable yet.
    pub(super) names_dirty: bool,
    pub(super) stopped: Option<Stopped>,
}

/// Why a log takes no more writes.
#[derive(Debug, Clone)]
pub(super) enum Stopped {
    Poisoned(Arc<str>),
    Closed,
}

/// What syncing changes.
pub(super) struct Syncer {
    pub(super) recovery_point: Arc<Handle>,
    /// Base and size of the active segment at the last sync.
    pub(super) synced: (i64, u64),
    /// The same when the recovery point was last made durable itself.
    pub(super) recovery_point_at: (i64, u64),
    /// The same at the last checkpoint of indexes and producers.
    pub(super) checkpoint_at: (i64, u64),
}

impl std::ops::Deref for OpenLog {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Shared {
    pub(super) fn start_offset(&self) -> i64 {
        self.marks.start.load(Ordering::Acquire)
    }

    pub(super) fn end_offset(&self) -> i64 {
        self.marks.end.load(Ordering::Acquire)
    }

    pub(super) fn high_watermark(&self) -> i64 {
        self.marks.high_watermark.load(Ordering::Acquire)
    }

    /// Everything before it was fsynced.
    pub(super) fn durable_offset(&self) -> i64 {
        self.marks.durable.load(Ordering::Acquire)
    }

    pub(super) fn last_stable_offset(&self) -> i64 {
        // In this order: a transaction that begins between the two loads lies behind the high watermark loaded.
        let high_watermark = self.high_watermark();
        let unstable = self.marks.first_unstable.load(Ordering::Acquire);
        unstable.min(high_watermark).max(self.start_offset().min(high_watermark))
    }

    /// Topic and partition, as the folder is called.
    pub(super) fn name(&self) -> &str {
        self.dir.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    pub(super) fn config(&self) -> Arc<LogConfig> {
        self.config.read().clone()
    }
}

impl OpenLog {
    /// Bytes of all segments' logs.
    pub(super) fn size_bytes(&self) -> u64 {
        self.segments.read().values().map(|s| s.size()).sum()
    }

    /// Whether appends and syncs are possible.
    pub(super) fn writable(&self) -> Result<(), LogError> {
        let dir = || self.dir.to_path_buf();
        match &self.tail.lock().stopped {
            None => Ok(()),
            Some(Stopped::Closed) => Err(LogError::Closed { dir: dir() }),
            Some(Stopped::Poisoned(reason)) => Err(LogError::Poisoned { dir: dir(), reason: reason.clone() }),
        }
    }

    /// Whether a write or an fsync has failed.
    pub(super) fn is_poisoned(&self) -> bool {
        matches!(self.tail.lock().stopped, Some(Stopped::Poisoned(_)))
    }

    /// Stops all further writes because of `error`, and returns the error that says so.
    pub(super) fn poison(&self, error: &LogError) -> LogError {
        let reason: Arc<str> = error.to_string().into();
        tracing::error!(dir = %self.dir.display(), %reason, "log takes no more writes");
        self.tail.lock().stopped = Some(Stopped::Poisoned(reason.clone()));
        LogError::Poisoned { dir: self.dir.to_path_buf(), reason }
    }

    /// The segment that is written.
    pub(super) fn active(&self) -> Arc<Segment> {
        self.tail.lock().active.clone()
    }

    /// The segment that holds `offset`, and the base offset of the next one.
    pub(super) fn segment_of(&self, offset: i64) -> Option<(Arc<Segment>, Option<i64>)> {
        let segments = self.segments.read();
        let (base, segment) = segments.range(..=offset).next_back()?;
        let next = segments.range(base + 1..).next().map(|(base, _)| *base);
        Some((segment.clone(), next))
    }
}
