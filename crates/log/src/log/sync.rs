//! Making appends durable, and the clean shutdown.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::now_ms;
use super::opened::{OpenLog, Stopped, Syncer};
use super::rest::Marker;
use crate::segment::Segment;
use crate::{FlushMode, LogError, files, snapshot};

/// The recovery point is made durable itself after this many bytes (and whenever a segment is sealed).
const RECOVERY_POINT_EVERY_BYTES: u64 = 16 << 20;
/// Indexes and producers of the segment being written are saved after this many bytes: what a recovery scans at most, next
/// to what was not durable.
const CHECKPOINT_EVERY_BYTES: u64 = 64 << 20;
/// Snapshots kept of those at the start of a segment: the newest, and one before it in case the newest is damaged.
const SNAPSHOTS_KEPT: usize = 2;

impl OpenLog {
    /// See [`crate::Log::sync`].
    pub(super) fn sync(&self) -> Result<i64, LogError> {
        let end = self.sync_records(&mut self.syncer.lock())?;
        if self.is_untidy() {
            self.tidy();
        }
        Ok(end)
    }

    pub(super) fn sync_locked(&self, syncer: &mut Syncer) -> Result<i64, LogError> {
        let end = self.sync_records(syncer)?;
        self.write_derived(syncer);
        Ok(end)
    }

    /// Makes everything appended so far durable and raises the high watermark. Waits for no append, and no append for it.
    pub(super) fn sync_records(&self, syncer: &mut Syncer) -> Result<i64, LogError> {
        self.writable()?;
        // The end first: what is sealed before it, and the segment it lies in, are found in the tail then.
        let end = self.end_offset();
        let (active, sealed, names_dirty) = {
            let mut tail = self.tail.lock();
            let sealed = std::mem::take(&mut tail.sealed);
            (tail.active.clone(), sealed, std::mem::take(&mut tail.names_dirty))
        };
        if end == self.durable_offset() && sealed.is_empty() && !names_dirty {
            return Ok(self.high_watermark());
        }
        let size = active.size();
        if let Err(error) = self.sync_files(&sealed, &active, names_dirty) {
            return Err(self.poison(&error));
        }
        let high_watermark = {
            let mut producers = self.producers.lock();
            self.marks.durable.store(end, Ordering::Release);
            let before = self.marks.high_watermark.fetch_max(end, Ordering::AcqRel);
            producers.on_durable(end.max(before));
            self.marks.first_unstable.store(producers.first_unstable(), Ordering::Release);
            end.max(before)
        };
        self.tail.lock().unindexed.extend(sealed);
        syncer.synced = (active.base_offset, size);
        active.note_synced(size);
        // The records are durable; this only makes the judgement of the next start sharper.
        if let Err(error) = self.write_recovery_point(syncer, end) {
            tracing::warn!(dir = %self.dir.display(), %error, "recovery point not written");
        }
        Ok(high_watermark)
    }

    fn sync_files(
        &self,
        sealed: &[(Arc<Segment>, Vec<u8>)],
        active: &Segment,
        names_dirty: bool,
    ) -> Result<(), LogError> {
        for (segment, _) in sealed {
            segment.seal()?;
            segment.sync()?;
        }
        active.sync()?;
        if names_dirty { files::sync_dir(&*self.fs, &self.dir) } else { Ok(()) }
    }

    fn write_recovery_point(&self, syncer: &Syncer, end: i64) -> Result<(), LogError> {
        let file = &syncer.recovery_point;
        file.get()?
            .write_all_at(0, &files::seal_numbers([end]))
            .map_err(|e| LogError::io("write", &file.path(), e))
    }

    /// Whether appends that were acknowledged from the page cache should be fsynced now.
    pub(super) fn flush_due(&self) -> bool {
        let (config, tail) = (self.config(), self.tail.lock());
        let records = self.end_offset() - self.durable_offset();
        let bytes = tail.active.size().saturating_sub(tail.active.synced());
        config.flush == FlushMode::Os
            && (!tail.sealed.is_empty()
                || bytes >= CHECKPOINT_EVERY_BYTES
                || config.flush_messages.is_some_and(|limit| records >= limit))
    }

    /// Whether [`OpenLog::tidy`] has something to do.
    pub(super) fn is_untidy(&self) -> bool {
        let active = {
            let tail = self.tail.lock();
            if !tail.unindexed.is_empty() {
                return true;
            }
            tail.active.clone()
        };
        if active.ahead(self.config().segment_bytes).is_some() {
            return true;
        }
        let Some(syncer) = self.syncer.try_lock() else { return true };
        is_behind(&syncer, syncer.recovery_point_at, RECOVERY_POINT_EVERY_BYTES)
    }

    /// Writes what the syncs before have left.
    pub(super) fn tidy(&self) {
        self.write_derived(&mut self.syncer.lock());
        if self.writable().is_ok()
            && let Err(error) = self.active().write_ahead(self.config().segment_bytes)
        {
            self.poison(&error);
        }
    }

    /// What only makes the next start cheaper: recovery rebuilds it.
    pub(super) fn write_derived(&self, syncer: &mut Syncer) {
        if let Err(error) = self.try_write_derived(syncer) {
            tracing::warn!(dir = %self.dir.display(), %error, "index or snapshot not written; recovery rebuilds it");
        }
    }

    /// For sealed segments their indexes and the producers at their end, for a much written one the same up to now, and the
    /// recovery point itself made durable.
    fn try_write_derived(&self, syncer: &mut Syncer) -> Result<(), LogError> {
        let sealed = std::mem::take(&mut self.tail.lock().unindexed);
        let rolled = !sealed.is_empty();
        for (segment, state) in sealed {
            segment.write_indexes(true)?;
            let at = self.segments.read().range(segment.base_offset + 1..).next().map(|(base, _)| *base);
            if let Some(at) = at {
                files::write(&*self.fs, &files::path_of(&self.dir, at, "snapshot"), &state)?;
            }
        }
        let checkpoint = is_behind(syncer, syncer.checkpoint_at, CHECKPOINT_EVERY_BYTES);
        if checkpoint {
            syncer.checkpoint_at = syncer.synced;
            self.write_checkpoint()?;
        }
        if rolled || checkpoint {
            files::sync_dir(&*self.fs, &self.dir)?;
            self.drop_old_snapshots()?;
        }
        if rolled || checkpoint || is_behind(syncer, syncer.recovery_point_at, RECOVERY_POINT_EVERY_BYTES) {
            syncer.recovery_point.sync()?;
            syncer.recovery_point_at = syncer.synced;
        }
        Ok(())
    }

    /// Indexes of the active segment and producers at one moment, at which nothing is being written.
    fn write_checkpoint(&self) -> Result<(), LogError> {
        let (active, indexes, end, state) = {
            let _writer = self.writer.lock();
            let active = self.active();
            (
                active.clone(),
                active.copy_indexes(),
                self.end_offset(),
                snapshot::encode(&self.producers.lock()),
            )
        };
        // A snapshot says that what lies before it is durable.
        active.sync().map_err(|error| self.poison(&error))?;
        // The snapshot first: between the two, indexes and snapshot of the checkpoint before still fit each other.
        files::write(&*self.fs, &files::path_of(&self.dir, end, "snapshot"), &state)?;
        match indexes {
            Some((indexes, size)) => active.write_indexes_of(&indexes, size),
            None => Ok(()),
        }
    }

    /// Keeps the newest snapshots at the start of a segment, from which a scan can begin, and the newest one within the last
    /// segment, of a checkpoint or a clean shutdown.
    fn drop_old_snapshots(&self) -> Result<(), LogError> {
        let mut offsets = self.snapshots()?;
        offsets.sort_unstable();
        let last_base = self.segments.read().last_key_value().map_or(0, |(base, _)| *base);
        let (at_base, later) = offsets.split_at(offsets.partition_point(|offset| *offset <= last_base));
        let surplus = at_base.iter().rev().skip(SNAPSHOTS_KEPT).chain(later.iter().rev().skip(1));
        for offset in surplus {
            files::remove(&*self.fs, &files::path_of(&self.dir, *offset, "snapshot"))?;
        }
        Ok(())
    }

    /// Offsets of the producer snapshots.
    pub(super) fn snapshots(&self) -> Result<Vec<i64>, LogError> {
        let list = self.fs.list(&self.dir).map_err(|e| LogError::io("list", &self.dir, e))?;
        let offset = |path: &std::path::PathBuf| match files::parse_name(path) {
            Some((offset, "snapshot")) => Some(offset),
            _ => None,
        };
        Ok(list.iter().filter_map(offset).collect())
    }

    /// Clean shutdown, see [`crate::Log::close`].
    pub(super) fn close(&self) -> Result<(), LogError> {
        match self.write_shutdown() {
            Err(LogError::Closed { .. }) => Ok(()),
            other => {
                let mut tail = self.tail.lock();
                if !matches!(tail.stopped, Some(Stopped::Poisoned(_))) {
                    tail.stopped = Some(Stopped::Closed);
                }
                other.map(|_| ())
            }
        }
    }

    /// Whether [`OpenLog::close`] has left the folder so that the next start scans nothing.
    pub(super) fn is_closed_cleanly(&self) -> bool {
        let writer = self.writer.lock();
        writer.marked_clean && matches!(self.tail.lock().stopped, Some(Stopped::Closed))
    }

    /// If nothing was ever appended, the log is as good as marked clean: there is nothing to scan.
    fn mark_if_pristine(&self) -> bool {
        let mut writer = self.writer.lock();
        let pristine =
            self.end_offset() == 0 && self.active().size() == 0 && self.producers.lock().map().is_empty();
        writer.marked_clean |= pristine;
        pristine
    }

    /// Makes everything durable and writes what lets the next start skip the scan. `false`: an append slipped in between;
    /// it is not lost, the next start scans for it.
    pub(super) fn write_shutdown(&self) -> Result<bool, LogError> {
        let mut syncer = self.syncer.lock();
        self.writable()?;
        if self.mark_if_pristine() {
            return Ok(true);
        }
        self.sync_locked(&mut syncer)?;
        let mut writer = self.writer.lock();
        let end = self.end_offset();
        let active = {
            let tail = self.tail.lock();
            let unfinished = !tail.sealed.is_empty() || !tail.unindexed.is_empty() || tail.names_dirty;
            if end != self.durable_offset() || unfinished {
                return Ok(false);
            }
            tail.active.clone()
        };
        if writer.marked_clean {
            return Ok(true); // nothing was written since the last clean shutdown
        }
        active.seal()?;
        active.sync()?;
        active.write_indexes(false)?;
        let snapshot = snapshot::encode(&self.producers.lock());
        files::write(&*self.fs, &files::path_of(&self.dir, end, "snapshot"), &snapshot)?;
        syncer.recovery_point.sync()?;
        files::sync_dir(&*self.fs, &self.dir)?;
        self.drop_old_snapshots()?;
        let (base, size) = (active.base_offset, active.size());
        let marker = Marker { base, size, resting: self.resting(now_ms()) };
        files::replace(&*self.fs, &self.dir.join(files::CLEAN_SHUTDOWN), &marker.encode())?;
        writer.marked_clean = true;
        Ok(true)
    }
}

/// Whether so many bytes were synced since `at` (base and size of the active segment then).
fn is_behind(syncer: &Syncer, at: (i64, u64), every: u64) -> bool {
    let (base, size) = syncer.synced;
    size.saturating_sub(if at.0 == base { at.1 } else { 0 }) >= every
}
