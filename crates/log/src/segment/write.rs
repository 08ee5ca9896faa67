//! Writing a segment: appends, zeros ahead of them, fsyncs.

use super::Segment;
use crate::LogError;
use std::ops::{Range, RangeInclusive};
use std::sync::atomic::Ordering;

/// What a failed write has left in the file.
pub(crate) enum WriteFailed {
    /// Nothing: it was cut off.
    Nothing(LogError),
    /// A part of it: cutting it off has failed, too, with this error.
    Rest(LogError),
}

/// Stands for the length of a file that does not grow any more.
pub(super) const SEALED: u64 = u64::MAX;
/// Below this size nothing is written ahead: most logs stay small, or idle.
const AHEAD_FROM_BYTES: u64 = 16 << 10;
/// Bytes written ahead at once: as many as the segment has, within these bounds.
const AHEAD_BYTES: RangeInclusive<u64> = 64 << 10..=1 << 20;
/// Syncs of more bytes gain nothing from zeros written ahead, which double what the disk has to write.
const AHEAD_UP_TO_BYTES: u64 = 128 << 10;
/// File systems allocate in these units.
const BLOCK_BYTES: u64 = 4096;

impl Segment {
    /// Writes behind the readable end; after an error the file is as before. The caller is the only writer.
    ///
    /// # Errors
    /// [`WriteFailed`].
    pub(crate) fn write(&self, position: u64, bytes: &[u8]) -> Result<(), WriteFailed> {
        let file = self.file.get_to_write().map_err(WriteFailed::Nothing)?;
        let end = position + bytes.len() as u64;
        let mut growing = (end > self.allocated.load(Ordering::Acquire)).then(|| self.growing.lock());
        let Err(error) = file.write_all_at(position, bytes) else {
            self.file.mark_unsynced(); // an fsync in between may have taken the mark away
            if growing.is_some() {
                self.allocated.fetch_max(end, Ordering::AcqRel);
            }
            return Ok(());
        };
        let error = LogError::io("append to", &self.path(), error);
        growing.get_or_insert_with(|| self.growing.lock());
        let repair = file.set_len(position);
        self.allocated.store(position, Ordering::Release);
        Err(match repair {
            Ok(()) => WriteFailed::Nothing(error),
            Err(e) => WriteFailed::Rest(LogError::io("cut the failed write off", &self.path(), e)),
        })
    }

    /// Where zeros should be written ahead of the appends, if they have become few. Not after large writes, whose fsyncs gain
    /// nothing from it, and not before the first, which would spoil a clean shutdown.
    pub(crate) fn ahead(&self, limit: u64) -> Option<Range<u64>> {
        let (size, allocated) = (self.size(), self.allocated.load(Ordering::Acquire));
        let step = size.clamp(*AHEAD_BYTES.start(), *AHEAD_BYTES.end());
        let enough = allocated >= (size + step / 2).min(limit);
        let last = self.synced_last.load(Ordering::Acquire);
        if size < AHEAD_FROM_BYTES || enough || last == 0 || last > AHEAD_UP_TO_BYTES {
            return None; // nothing was appended yet, or much at once
        }
        let from = allocated.max(size);
        let to = ((from + step) / BLOCK_BYTES * BLOCK_BYTES).min(limit);
        (from < to).then_some(from..to)
    }

    /// Writes zeros behind the end if they have become few, at most up to `limit` bytes of file; appends go on meanwhile, but
    /// for those that have used up the zeros. A full disk does not matter.
    ///
    /// # Errors
    /// Only of an fsync, which may be that of appended bytes.
    pub(crate) fn write_ahead(&self, limit: u64) -> Result<(), LogError> {
        if self.ahead(limit).is_none() {
            return Ok(());
        }
        let Ok(file) = self.file.get_to_write() else { return Ok(()) };
        let growing = self.growing.lock();
        let Some(Range { start: from, end: to }) = self.ahead(limit) else { return Ok(()) };
        if let Err(error) = file.write_zeros(from, to - from) {
            tracing::debug!(segment = %self.path().display(), %error, "cannot write ahead");
            // What cannot be given back is overwritten later.
            file.set_len(from).ok();
            return Ok(());
        }
        self.allocated.store(to, Ordering::Release);
        drop(growing);
        // Here, so that the next append's fsync has less to do.
        self.sync()
    }

    /// Cuts off the zeros: the segment is complete.
    pub(crate) fn seal(&self) -> Result<(), LogError> {
        let _growing = self.growing.lock();
        let allocated = self.allocated.swap(SEALED, Ordering::AcqRel);
        if allocated != SEALED && allocated > self.size() {
            let file = self.file.get_to_write()?;
            file.set_len(self.size()).map_err(|e| LogError::io("truncate", &self.path(), e))?;
        }
        Ok(())
    }

    /// Bytes that were fsynced.
    pub(crate) fn synced(&self) -> u64 {
        self.synced.load(Ordering::Acquire)
    }

    pub(crate) fn note_synced(&self, size: u64) {
        let before = self.synced.swap(size, Ordering::AcqRel);
        self.synced_last.store(size.saturating_sub(before), Ordering::Release);
    }

    /// Makes what was written durable.
    pub(crate) fn sync(&self) -> Result<(), LogError> {
        self.file.sync()
    }
}
