//! Making appends durable, and the clean shutdown.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Log, Stopped, Syncer};
use crate::segment::Segment;
use crate::{LogError, files, snapshot};

/// The recovery point is made durable itself after this many bytes (and whenever a segment is sealed).
const RECOVERY_POINT_EVERY_BYTES: u64 = 16 << 20;
/// Snapshots kept of those at the start of a segment: the newest, and one before it in case the newest is damaged.
const SNAPSHOTS_KEPT: usize = 2;

impl Log {
    /// Makes everything appended so far durable (fdatasync) and returns the new high watermark. Callers that come while
    /// another one syncs share the next fsync.
    ///
    /// # Errors
    /// A failed fsync poisons the log: the kernel may have dropped the pages and would report success next time, so no
    /// later append or sync succeeds until the log is reopened ([`LogError::Poisoned`]). [`LogError::Closed`].
    pub fn sync(&self) -> Result<i64, LogError> {
        let mut syncer = self.syncer.lock();
        self.sync_locked(&mut syncer)
    }

    pub(super) fn sync_locked(&self, syncer: &mut Syncer) -> Result<i64, LogError> {
        let (end, active, sealed, names_dirty) = {
            let mut writer = self.writer.lock();
            self.writable(&writer)?;
            let sealed = std::mem::take(&mut writer.sealed);
            let names_dirty = std::mem::take(&mut writer.names_dirty);
            (self.end_offset(), writer.active.clone(), sealed, names_dirty)
        };
        let before = self.high_watermark();
        if end == before && sealed.is_empty() && !names_dirty {
            return Ok(end);
        }
        if let Err(error) = self.sync_files(&sealed, &active, names_dirty) {
            return Err(self.poison(&mut self.writer.lock(), &error));
        }
        {
            let mut writer = self.writer.lock();
            self.marks.high_watermark.store(end, Ordering::Release);
            writer.producers.on_durable(end);
            self.marks.first_unstable.store(writer.producers.first_unstable(), Ordering::Release);
        }
        // The records are durable. What follows only makes the next start cheaper or its judgement sharper.
        let rolled = !sealed.is_empty();
        if let Err(error) = self.write_derived(syncer, end, sealed, active.size(), rolled) {
            tracing::warn!(dir = %self.dir.display(), %error, "index or snapshot not written; recovery rebuilds it");
        }
        Ok(end)
    }

    fn sync_files(
        &self,
        sealed: &[(Arc<Segment>, Vec<u8>)],
        active: &Segment,
        names_dirty: bool,
    ) -> Result<(), LogError> {
        for segment in sealed.iter().map(|(s, _)| &**s).chain([active]) {
            segment.file().sync().map_err(|e| LogError::io("fsync", &segment.path(), e))?;
        }
        if names_dirty { files::sync_dir(&*self.fs, &self.dir) } else { Ok(()) }
    }

    /// Recovery point, and for sealed segments their indexes and the producer snapshot at their end.
    fn write_derived(
        &self,
        syncer: &mut Syncer,
        end: i64,
        sealed: Vec<(Arc<Segment>, Vec<u8>)>,
        active_size: u64,
        rolled: bool,
    ) -> Result<(), LogError> {
        let path = self.dir.join(files::RECOVERY_POINT);
        syncer
            .recovery_point
            .write_all_at(0, &files::seal_numbers([end]))
            .map_err(|e| LogError::io("write", &path, e))?;
        for (segment, state) in sealed {
            segment.write_indexes(true)?;
            let at = self.segments.read().range(segment.base_offset + 1..).next().map(|(base, _)| *base);
            if let Some(at) = at {
                files::write(&*self.fs, &files::path_of(&self.dir, at, "snapshot"), &state)?;
            }
        }
        if rolled {
            files::sync_dir(&*self.fs, &self.dir)?;
            self.drop_old_snapshots()?;
        }
        if rolled || active_size.saturating_sub(syncer.recovery_point_at_size) >= RECOVERY_POINT_EVERY_BYTES {
            syncer.recovery_point.sync().map_err(|e| LogError::io("fsync", &path, e))?;
            syncer.recovery_point_at_size = active_size;
        }
        Ok(())
    }

    /// Keeps the newest snapshots at the start of a segment, from which a scan can begin, and the newest one of a clean
    /// shutdown.
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

    /// Clean shutdown: makes everything durable, writes indexes, producer snapshot and the marker that lets the next start
    /// skip the scan. Afterwards the log takes no more writes; reads still work. Closing again does nothing.
    ///
    /// # Errors
    /// As [`Log::sync`]; [`LogError::Io`] or [`LogError::StorageFull`] if the files cannot be written: the next start
    /// then scans.
    pub fn close(&self) -> Result<(), LogError> {
        let mut syncer = self.syncer.lock();
        match self.sync_locked(&mut syncer) {
            Err(LogError::Closed { .. }) => return Ok(()),
            other => other?,
        };
        let mut writer = self.writer.lock();
        if self.end_offset() != self.high_watermark() || !writer.sealed.is_empty() || writer.names_dirty {
            // An append slipped in between: it is not lost, the next start scans for it.
            writer.stopped = Some(Stopped::Closed);
            return Ok(());
        }
        writer.stopped = Some(Stopped::Closed);
        if writer.marked_clean {
            return Ok(()); // nothing was written since the last clean shutdown
        }
        let (end, active) = (self.end_offset(), writer.active.clone());
        active.write_indexes(false)?;
        let snapshot = snapshot::encode(&writer.producers);
        files::write(&*self.fs, &files::path_of(&self.dir, end, "snapshot"), &snapshot)?;
        let path = self.dir.join(files::RECOVERY_POINT);
        syncer.recovery_point.sync().map_err(|e| LogError::io("fsync", &path, e))?;
        files::sync_dir(&*self.fs, &self.dir)?;
        self.drop_old_snapshots()?;
        let size = i64::try_from(active.size()).unwrap_or(i64::MAX);
        let marker = files::seal_numbers([end, active.base_offset, size]);
        files::replace(&*self.fs, &self.dir.join(files::CLEAN_SHUTDOWN), &marker)
    }
}
