//! Opening a log: the quick way after a clean shutdown, else recovery. The rules are in the crate's documentation.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::{Mutex, RwLock};

use super::compact::{self, Checkpoint, Cleaner};
use super::now_ms;
use super::opened::{OpenLog, Shared, Syncer, Tail, Writer};
use super::rest::Marker;
use crate::handles::{Handle, Name};
use crate::producer::Producers;
use crate::segment::{self, INDEX, LOG, Segment, TIME_INDEX, TXN_INDEX};
use crate::{Fs, LogError, Recovery, files, snapshot};

impl OpenLog {
    /// Opens what lies in the folder and sets the marks accordingly.
    pub(super) fn open(shared: Arc<Shared>) -> Result<(Box<OpenLog>, Recovery), LogError> {
        let (fs, dir) = (&shared.fs, &shared.dir);
        fs.create_dir_all(dir).map_err(|e| LogError::io("create folder", dir, e))?;
        compact::finish_interrupted(fs, dir)?;
        let mut folder = Folder::read(fs, dir)?;
        folder.tidy()?;
        let opened = match folder.open_clean()? {
            Some(opened) => opened,
            None => folder.recover(&shared.config())?,
        };
        let mut segments: std::collections::BTreeMap<i64, Arc<Segment>> =
            opened.segments.into_iter().map(|s| (s.base_offset, Arc::new(s))).collect();
        let active = match segments.last_key_value() {
            Some((_, active)) => active.clone(),
            None => {
                let active = Arc::new(Segment::create(fs, dir, opened.end)?);
                segments.insert(opened.end, active.clone());
                active
            }
        };
        let is_new = folder.bases.is_empty();
        let recovery_point = match folder.recovery_point_file {
            true => Handle::new(fs, dir, Name::Fixed(files::RECOVERY_POINT)),
            false => Handle::create(fs, dir, Name::Fixed(files::RECOVERY_POINT))?,
        };
        if !opened.recovery.clean || is_new {
            // The names of the files are durable before the recovery point says that their records are.
            files::sync_dir(&**fs, dir)?;
        }
        if folder.recovery_point != Some(opened.end) {
            recovery_point
                .get()?
                .write_all_at(0, &files::seal_numbers([opened.end]))
                .map_err(|e| LogError::io("write", &recovery_point.path(), e))?;
        }
        let cleaner = Cleaner::open(&**fs, dir, folder.checkpoint, opened.end)?;
        let first = segments.first_key_value().map_or(0, |(base, _)| *base);
        let (start, marked_clean) = (folder.start.max(first), folder.marker.is_some());
        shared.marks.start.store(start, Ordering::Release);
        shared.marks.first_unstable.store(opened.producers.first_unstable(), Ordering::Release);
        for end in [&shared.marks.end, &shared.marks.durable, &shared.marks.high_watermark] {
            end.store(opened.end, Ordering::Release);
        }
        // A log that was never written is opened without an fsync, so nobody knows whether its names are durable.
        let names_dirty = opened.recovery.clean && !marked_clean && !is_new;
        let at = (active.base_offset, active.size());
        active.note_synced(at.1);
        let syncer = Syncer { recovery_point, synced: at, recovery_point_at: at, checkpoint_at: at };
        let tail = Tail { active, sealed: Vec::new(), unindexed: Vec::new(), names_dirty, stopped: None };
        let log = OpenLog {
            shared: shared.clone(),
            syncer: Mutex::new(syncer),
            writer: Mutex::new(Writer { marked_clean, active_since: now_ms() }),
            producers: Mutex::new(opened.producers),
            tail: Mutex::new(tail),
            segments: RwLock::new(segments),
            cleaner,
        };
        Ok((Box::new(log), opened.recovery))
    }
}

/// What lies in the folder of a log.
pub(super) struct Folder<'a> {
    pub(super) fs: &'a Arc<dyn Fs>,
    pub(super) dir: &'a Arc<Path>,
    /// Base offsets of the segments, ascending.
    pub(super) bases: Vec<i64>,
    pub(super) snapshots: Vec<i64>,
    /// Index files without a log, and temporary files.
    pub(super) leftovers: Vec<PathBuf>,
    pub(super) start: i64,
    pub(super) recovery_point: Option<i64>,
    /// Its file is there.
    recovery_point_file: bool,
    /// Of a clean shutdown.
    pub(super) marker: Option<Marker>,
    pub(super) checkpoint: Checkpoint,
}

/// The state of an opened log.
pub(super) struct Opened {
    pub(super) segments: Vec<Segment>,
    pub(super) producers: Producers,
    pub(super) end: i64,
    pub(super) recovery: Recovery,
}

impl<'a> Folder<'a> {
    fn read(fs: &'a Arc<dyn Fs>, dir: &'a Arc<Path>) -> Result<Self, LogError> {
        let list = fs.list(dir).map_err(|e| LogError::io("list", dir, e))?;
        let of = |wanted: &str| {
            let offset =
                |path| files::parse_name(path).filter(|(_, e)| *e == wanted).map(|(offset, _)| offset);
            let mut offsets: Vec<i64> = list.iter().filter_map(|path| offset(path)).collect();
            offsets.sort_unstable();
            offsets
        };
        let bases = of(LOG);
        let is_leftover = |path: &&PathBuf| match files::parse_name(path) {
            Some((base, INDEX | TIME_INDEX | TXN_INDEX)) => bases.binary_search(&base).is_err(),
            _ => path.extension().is_some_and(|e| e == "tmp"),
        };
        let leftovers = list.iter().filter(is_leftover).cloned().collect();
        // Most of these are not there in most folders; the list knows.
        let has = |name: &str| list.iter().any(|path| path.file_name().is_some_and(|n| n == name));
        let numbers = |name: &str| match has(name) {
            true => files::read(&**fs, &dir.join(name)),
            false => Ok(None),
        };
        let start = match numbers(files::START_OFFSET)? {
            None => 0,
            Some(sealed) => {
                let [start] = files::unseal_numbers(&sealed).ok_or_else(|| LogError::Corrupt {
                    file: dir.join(files::START_OFFSET),
                    position: 0,
                    offset: bases.first().copied().unwrap_or(0),
                    reason: "it does not match its checksum (delete it to read deleted records again)"
                        .to_owned(),
                })?;
                start
            }
        };
        let recovery_point =
            numbers(files::RECOVERY_POINT)?.and_then(|s| files::unseal_numbers(&s)).map(|[o]| o);
        let marker = numbers(files::CLEAN_SHUTDOWN)?.and_then(|sealed| Marker::decode(&sealed));
        let checkpoint = match has(files::CLEANER_CHECKPOINT) {
            true => Checkpoint::read(&**fs, dir)?,
            false => Checkpoint::default(),
        };
        let (snapshots, recovery_point_file) = (of("snapshot"), has(files::RECOVERY_POINT));
        Ok(Folder {
            fs,
            dir,
            snapshots,
            bases,
            leftovers,
            start,
            recovery_point,
            recovery_point_file,
            marker,
            checkpoint,
        })
    }

    /// Finishes deletions that were interrupted.
    fn tidy(&mut self) -> Result<(), LogError> {
        for path in &self.leftovers {
            files::remove(&**self.fs, path)?;
        }
        // As when they were deleted: only what lies before a snapshot of the producers.
        let known = self.bases.iter().rev().find(|base| self.snapshots.binary_search(base).is_ok()).copied();
        while let [first, second, ..] = *self.bases.as_slice()
            && second <= self.start.min(known.unwrap_or(0))
        {
            segment::delete_files(&**self.fs, self.dir, first)?;
            self.bases.remove(0);
        }
        Ok(())
    }

    /// The producers' state at `offset`, if there is a valid snapshot.
    pub(super) fn snapshot(&self, offset: i64) -> Result<Option<Producers>, LogError> {
        if self.snapshots.binary_search(&offset).is_err() {
            return Ok(None);
        }
        let content = files::read(&**self.fs, &files::path_of(self.dir, offset, "snapshot"))?;
        Ok(content.and_then(|content| snapshot::decode(&content)))
    }

    /// The segments at the front that are sealed, with index files that fit them.
    pub(super) fn sealed(&self) -> Result<Vec<Segment>, LogError> {
        let mut sealed = Vec::new();
        for base in self.bases.iter().take(self.bases.len().saturating_sub(1)) {
            match Segment::open_sealed(self.fs, self.dir, *base)? {
                Some(segment) => sealed.push(segment),
                None => break,
            }
        }
        Ok(sealed)
    }

    /// The log as a clean shutdown left it, `None` if it does not look like that in every respect.
    fn open_clean(&self) -> Result<Option<Opened>, LogError> {
        let Some(Marker { base, size, resting }) = &self.marker else { return Ok(None) };
        let (base, end) = (*base, resting.end_offset);
        if self.bases.last() != Some(&base) {
            return Ok(None);
        }
        let (Some(active), Some(producers)) =
            (Segment::open_active(self.fs, self.dir, base)?, self.snapshot(end)?)
        else {
            return Ok(None);
        };
        let mut segments = self.sealed()?;
        if segments.len() + 1 != self.bases.len() || active.size() != *size {
            return Ok(None);
        }
        segments.push(active);
        let recovery = Recovery { clean: true, end_offset: end, ..Recovery::default() };
        Ok(Some(Opened { segments, producers, end, recovery }))
    }
}
