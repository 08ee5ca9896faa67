//! What compaction remembers of a log between two runs.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::{Fs, LogError, files};

/// How far a log is compacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Checkpoint {
    /// Everything before this offset was compacted at least once.
    pub(crate) first_dirty: i64,
    /// Below this offset batches may be missing; from it on every offset follows the one before.
    pub(crate) gaps_below: i64,
}

impl Checkpoint {
    /// As the folder says; without a file nothing was compacted. A damaged file allows gaps everywhere and has all compacted
    /// again: the least that is safe to assume.
    pub(crate) fn read(fs: &dyn Fs, dir: &Path) -> Result<Checkpoint, LogError> {
        let path = dir.join(files::CLEANER_CHECKPOINT);
        let Some(sealed) = files::read(fs, &path)? else { return Ok(Checkpoint::default()) };
        let Some([first_dirty, gaps_below]) = files::unseal_numbers(&sealed) else {
            tracing::warn!(file = %path.display(), "does not match its checksum, the log is compacted from its start");
            return Ok(Checkpoint { first_dirty: 0, gaps_below: i64::MAX });
        };
        Ok(Checkpoint { first_dirty, gaps_below })
    }

    /// Durably.
    pub(crate) fn write(&self, fs: &dyn Fs, dir: &Path) -> Result<(), LogError> {
        files::replace(
            fs,
            &dir.join(files::CLEANER_CHECKPOINT),
            &files::seal_numbers([self.first_dirty, self.gaps_below]),
        )
    }

    /// Whether a batch (or segment) that starts at `found` may come where `expected` is due.
    pub(crate) fn may_follow(gaps_below: i64, expected: i64, found: i64) -> bool {
        found == expected || (found > expected && found <= gaps_below)
    }
}

/// The part of a [`crate::Log`] that belongs to its compaction.
#[derive(Debug, Default)]
pub(crate) struct Cleaner {
    first_dirty: AtomicI64,
    gaps_below: AtomicI64,
    /// Held by the one compaction that runs.
    pub(super) running: Mutex<()>,
    /// Held by readers while they go from a segment to its files, so that none of them is exchanged in between.
    pub(crate) files: RwLock<()>,
}

impl Cleaner {
    /// For a log that ends at `end`: what damage took from it is not compacted any more when it comes again.
    pub(crate) fn open(
        fs: &dyn Fs,
        dir: &Path,
        mut checkpoint: Checkpoint,
        end: i64,
    ) -> Result<Cleaner, LogError> {
        if checkpoint.first_dirty > end {
            checkpoint.first_dirty = end;
            checkpoint.write(fs, dir)?;
        }
        let cleaner = Cleaner::default();
        cleaner.set(checkpoint);
        Ok(cleaner)
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            first_dirty: self.first_dirty.load(Ordering::Acquire),
            gaps_below: self.gaps_below.load(Ordering::Acquire),
        }
    }

    pub(super) fn set(&self, checkpoint: Checkpoint) {
        self.first_dirty.store(checkpoint.first_dirty, Ordering::Release);
        self.gaps_below.store(checkpoint.gaps_below, Ordering::Release);
    }
}
