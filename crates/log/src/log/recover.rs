//! Recovery: what lies in the folder after a kill or power loss is checked, and what was never finished cut off.

use std::io;
use std::path::Path;

use super::compact::Checkpoint;
use super::now_ms;
use super::open::{Folder, Opened};
use super::scan::{Damage, Found, SECTOR_BYTES, Scanner};
use crate::index::Aborted;
use crate::producer::Producers;
use crate::segment::{self, LOG, Segment};
use crate::{CorruptionPolicy, FsFile, LogConfig, LogError, OpenMode, Recovery, files, snapshot};

const REWRITE_BYTES: usize = 1 << 20;

impl Folder<'_> {
    pub(super) fn recover(&mut self, config: &LogConfig) -> Result<Opened, LogError> {
        let is_new = self.bases.is_empty() && self.recovery_point.is_none() && self.marker.is_none();
        let is_new = is_new || self.was_never_written()?;
        if self.marker.take().is_some() {
            files::remove(&**self.fs, &self.dir.join(files::CLEAN_SHUTDOWN))?;
        }
        let mut segments = self.sealed()?;
        // The newest state from which a scan can begin: at the start of a segment, none after the first to be rebuilt.
        let mut from = segments.len();
        let mut producers = loop {
            let found = self.bases.get(from).map(|base| self.snapshot(*base)).transpose()?.flatten();
            match found {
                Some(producers) => break producers,
                None if from == 0 => break Producers::default(),
                None => from -= 1,
            }
        };
        segments.truncate(from);
        let known = self.snapshots.iter().rev().find_map(|o| self.snapshot(*o).ok().flatten().map(|_| *o));
        let durable = [Some(self.start), self.recovery_point, known].into_iter().flatten().max().unwrap_or(0);
        let mut end = self.bases.get(from).copied().unwrap_or(self.start);
        let mut partly = None;
        if from + 1 == self.bases.len()
            && let Some((segment, offset, state)) = self.checkpointed(end)?
        {
            (producers, end, partly) = (state, offset, Some(segment));
        }
        let recovery = Recovery { clean: is_new, ..Recovery::default() };
        let opened = Opened { segments, producers, end, recovery };
        let mut scan = Scan { folder: self, config, durable, opened, now: now_ms() };
        scan.run(from, partly)?;
        let mut opened = scan.opened;
        opened.recovery.end_offset = opened.end;
        for offset in self.snapshots.iter().filter(|offset| **offset > opened.end) {
            files::remove(&**self.fs, &files::path_of(self.dir, *offset, "snapshot"))?;
        }
        opened.producers.on_durable(opened.end);
        let sealed = opened.segments.len().saturating_sub(1);
        for segment in opened.segments.iter().take(sealed) {
            if let Err(error) = segment.write_indexes(true) {
                tracing::warn!(segment = %segment.path().display(), %error, "index not written");
            }
        }
        Ok(opened)
    }

    /// Whether there is nothing but an empty first segment, as before the first append.
    fn was_never_written(&self) -> Result<bool, LogError> {
        if self.bases != [0] || self.recovery_point.is_some_and(|end| end > 0) || self.marker.is_some() {
            return Ok(false);
        }
        let path = files::path_of(self.dir, 0, LOG);
        Ok(self.fs.size(&path).map_err(|e| LogError::io("stat", &path, e))? == 0)
    }

    /// The last segment as the newest checkpoint knows it, which was made while the segment was written: the indexes up to
    /// some offset and the producers there. The scan goes on from that offset.
    fn checkpointed(&self, base: i64) -> Result<Option<(Segment, i64, Producers)>, LogError> {
        if !self.snapshots.iter().any(|offset| *offset > base) {
            return Ok(None);
        }
        let Some(segment) = Segment::open_partly(self.fs, self.dir, base)? else { return Ok(None) };
        let (mut position, mut offset) = segment.position_before(i64::MAX)?;
        let file = segment.file()?;
        let mut scanner = Scanner::new(&*file, self.checkpoint.gaps_below)
            .map_err(|e| LogError::io("read", &segment.path(), e))?;
        while position < segment.size() {
            match scanner.next(position, offset).map_err(|e| LogError::io("read", &segment.path(), e))? {
                Found::Batch(header, _) => {
                    (position, offset) = (position + header.size() as u64, header.next_offset());
                }
                Found::End | Found::Damaged(_) => return Ok(None),
            }
        }
        if position > segment.size() {
            return Ok(None);
        }
        Ok(self.snapshot(offset)?.map(|producers| (segment, offset, producers)))
    }
}

/// The scan of the segments that were not sealed properly.
struct Scan<'a> {
    folder: &'a Folder<'a>,
    config: &'a LogConfig,
    /// Everything before this offset is known to have been durable.
    durable: i64,
    opened: Opened,
    now: i64,
}

impl Scan<'_> {
    /// `partly`: the first segment, of which the part before the present end was checked before.
    fn run(&mut self, from: usize, mut partly: Option<Segment>) -> Result<(), LogError> {
        let Folder { fs, dir, bases, .. } = self.folder;
        let mut last = dir.join(files::RECOVERY_POINT);
        let mut position = 0;
        for (i, base) in bases.iter().enumerate().skip(from) {
            if partly.is_some() {
            } else if Checkpoint::may_follow(self.folder.checkpoint.gaps_below, self.opened.end, *base) {
                self.opened.end = *base;
            } else {
                // The end of the segment before is missing, with or without a part of a batch.
                let reason = format!("the segment ends there, the next one starts at offset {base}");
                self.judge(&last, position, reason, false)?;
                self.delete_from(i)?;
                break;
            }
            if i > from {
                self.restore_or_save_producers(*base)?;
            }
            let segment = match partly.take() {
                Some(segment) => segment,
                None => Segment::open_unindexed(fs, dir, *base)?,
            };
            last = segment.path();
            let damage;
            let rewrite_from;
            (position, rewrite_from, damage) = self.check(&segment)?;
            let mut cut_off = false;
            if let Some(damage) = damage {
                let follows = self.follows(&segment, position, &damage, i)?;
                let reason =
                    follows.as_ref().map_or(damage.reason.clone(), |f| format!("{}; {f}", damage.reason));
                self.judge(&last, position, reason, follows.is_some())?;
                self.delete_from(i + 1)?;
                cut_off = true;
            }
            let file = segment.file()?;
            let len = file.len().map_err(|e| LogError::io("stat", &last, e))?;
            let cut = cut(&*file, position).map_err(|e| LogError::io("truncate", &last, e))?;
            self.opened.recovery.truncated_bytes += cut;
            // Also what was only cut: or it might come up again between the sectors of a later append that power loss undoes.
            if rewrite_from.is_some() || len > position {
                rewrite(&*file, rewrite_from.unwrap_or(position), position)
                    .map_err(|e| LogError::io("make durable", &last, e))?;
            }
            segment.publish(position);
            self.opened.segments.push(segment);
            if cut_off {
                break;
            }
        }
        if self.opened.end < self.durable {
            let reason = format!("the log ends there, but was durable up to offset {}", self.durable);
            self.judge(&last, position, reason, false)?;
            if self.opened.end < self.folder.start {
                // Given up below the first offset: what is left lies before it and was deleted anyway.
                self.opened.segments.clear();
                self.delete_from(0)?;
                self.opened.end = self.folder.start;
            }
        }
        Ok(())
    }

    /// At the start of a segment, `base`: everything before is durable now. A snapshot there may know of producers whose
    /// records were deleted; without one it is written, so that the segments before can be deleted.
    fn restore_or_save_producers(&mut self, base: i64) -> Result<(), LogError> {
        if let Some(producers) = self.folder.snapshot(base)? {
            self.opened.producers = producers;
            return Ok(());
        }
        // A snapshot says that what lies before it is durable, so the names of the segments must be, too.
        files::sync_dir(&**self.folder.fs, self.folder.dir)?;
        let path = files::path_of(self.folder.dir, base, "snapshot");
        if let Err(error) = files::write(&**self.folder.fs, &path, &snapshot::encode(&self.opened.producers))
        {
            tracing::warn!(%error, "producer snapshot not written");
        }
        Ok(())
    }

    /// Checks and indexes the batches of a segment; returns where they end, where those start that were not known to be
    /// durable, and the damage at the end.
    fn check(&mut self, segment: &Segment) -> Result<(u64, Option<u64>, Option<Damage>), LogError> {
        let (file, failed) = (segment.file()?, |e| LogError::io("read", &segment.path(), e));
        let mut scanner = Scanner::new(&*file, self.folder.checkpoint.gaps_below).map_err(failed)?;
        let start = segment.size();
        let (mut position, mut rewrite_from) = (start, None);
        let damage = loop {
            match scanner.next(position, self.opened.end).map_err(failed)? {
                Found::End => break None,
                Found::Damaged(damage) => break Some(damage),
                Found::Batch(header, marker) => {
                    if header.next_offset() > self.durable {
                        rewrite_from = rewrite_from.or(Some(position));
                    }
                    segment.note(&header, position, self.config.index_interval_bytes);
                    let producers = &mut self.opened.producers;
                    match marker {
                        Some(marker) => {
                            if let Some(txn) = producers.note_marker(&header, &marker, self.now) {
                                let last_stable = producers.first_open().min(header.next_offset());
                                segment.note_aborted(Aborted { txn, last_stable });
                            }
                        }
                        None if header.is_control() => {}
                        None => producers.note(&header, self.now),
                    }
                    position += header.size() as u64;
                    self.opened.end = header.next_offset();
                }
            }
        };
        self.opened.recovery.scanned_bytes += position - start;
        Ok((position, rewrite_from, damage))
    }

    /// What valid batch follows the damage, which a write that was never finished cannot explain.
    fn follows(
        &self,
        segment: &Segment,
        position: u64,
        damage: &Damage,
        i: usize,
    ) -> Result<Option<String>, LogError> {
        if damage.zeros {
            return Ok(None);
        }
        let path = segment.path();
        let search = |file: &dyn FsFile, position| {
            Scanner::new(file, self.folder.checkpoint.gaps_below)?
                .valid_batch_after(position, self.opened.end)
        };
        let found = search(&*segment.file()?, position).map_err(|e| LogError::io("read", &path, e))?;
        if let Some(at) = found {
            return Ok(Some(format!("a valid batch follows at byte {at}")));
        }
        let Some(next) = self.folder.bases.get(i + 1).filter(|_| !damage.cut) else { return Ok(None) };
        let next_segment = Segment::open_unindexed(self.folder.fs, self.folder.dir, *next)?;
        let file = next_segment.file()?;
        let first = Scanner::new(&*file, self.folder.checkpoint.gaps_below)
            .and_then(|mut scanner| scanner.next(0, *next));
        match first.map_err(|e| LogError::io("read", &next_segment.path(), e))? {
            Found::Batch(..) => Ok(Some(format!("a valid segment follows at offset {next}"))),
            _ => Ok(None),
        }
    }

    /// Decides about damage at the current end: an error if it is in what was durable, or not explained by an unfinished
    /// write; else it may be cut off.
    fn judge(&self, file: &Path, position: u64, reason: String, unexplained: bool) -> Result<(), LogError> {
        let offset = self.opened.end;
        let was_durable = offset < self.durable;
        if !was_durable && !unexplained {
            tracing::info!(file = %file.display(), position, offset, %reason, "cutting off an unfinished write");
            return Ok(());
        }
        if self.config.corruption == CorruptionPolicy::Refuse {
            let reason =
                format!("{reason}; CorruptionPolicy::Truncate would give up everything from there on");
            return Err(LogError::Corrupt { file: file.to_path_buf(), position, offset, reason });
        }
        tracing::error!(file = %file.display(), position, offset, %reason, "giving up acknowledged records");
        // First of all, or a crash half way would find a log that lacks what is said to be durable.
        let point = self.folder.dir.join(files::RECOVERY_POINT);
        files::replace(&**self.folder.fs, &point, &files::seal_numbers([offset]))?;
        for snapshot in self.folder.snapshots.iter().filter(|snapshot| **snapshot > offset) {
            files::remove(&**self.folder.fs, &files::path_of(self.folder.dir, *snapshot, "snapshot"))?;
        }
        Ok(())
    }

    /// Deletes the segments from the `i`-th on, the last first, so that what is left never has a gap.
    fn delete_from(&mut self, i: usize) -> Result<(), LogError> {
        for base in self.folder.bases.iter().skip(i).rev() {
            let path = files::path_of(self.folder.dir, *base, LOG);
            let file = self.folder.fs.open(&path, OpenMode::Read).and_then(|file| file.len());
            self.opened.recovery.truncated_bytes += file.unwrap_or(0);
            segment::delete_files(&**self.folder.fs, self.folder.dir, *base)?;
        }
        files::sync_dir(&**self.folder.fs, self.folder.dir)
    }
}

/// Cuts the file off at `position`; returns how many bytes that were, but for zeros written ahead of the
/// appends.
fn cut(file: &dyn FsFile, position: u64) -> io::Result<u64> {
    let len = file.len()?;
    let (mut at, mut end, mut bytes) = (position, position, Vec::new());
    while at < len {
        bytes.clear();
        let read = file.read_at(at, REWRITE_BYTES, &mut bytes)? as u64;
        if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
            end = ((at + last as u64) / SECTOR_BYTES * SECTOR_BYTES + SECTOR_BYTES).min(len);
        }
        at += read.max(1);
    }
    if len > position {
        file.set_len(position)?;
    }
    Ok(end - position)
}

/// Makes the batches between two positions durable. They are written again first, because after a failed fsync the kernel
/// may show pages as clean that never reached the disk.
fn rewrite(file: &dyn FsFile, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    while at < to {
        let len = REWRITE_BYTES.min((to - at) as usize);
        let mut bytes = Vec::with_capacity(len);
        file.read_at(at, len, &mut bytes)?;
        file.write_all_at(at, &bytes)?;
        at += len as u64;
    }
    file.sync()
}
