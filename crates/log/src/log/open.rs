//! Opening a log: the quick way after a clean shutdown, else recovery. The rules are in the crate's documentation.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use parking_lot::{Mutex, RwLock};

use super::compact::{self, Checkpoint, Cleaner};
use super::scan::{Damage, Found, Scanner};
use super::{Log, Marks, Syncer, Writer, now_ms};
use crate::index::Aborted;
use crate::producer::Producers;
use crate::segment::{self, INDEX, LOG, Segment, TIME_INDEX, TXN_INDEX};
use crate::{CorruptionPolicy, Fs, FsFile, LogConfig, LogError, OpenMode, Recovery, files, snapshot};

const REWRITE_BYTES: usize = 1 << 20;

impl Log {
    /// Opens the log in `dir`, creating it if there is none. Only one `Log` may have a folder open at a time.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] if records known to be durable are damaged (see the crate's documentation);
    /// [`LogError::InvalidConfig`]; [`LogError::Io`], [`LogError::StorageFull`].
    pub fn open(fs: Arc<dyn Fs>, dir: &Path, config: LogConfig) -> Result<(Log, Recovery), LogError> {
        config.validate()?;
        fs.create_dir_all(dir).map_err(|e| LogError::io("create folder", dir, e))?;
        compact::finish_interrupted(&fs, dir)?;
        let mut folder = Folder::read(&fs, dir)?;
        folder.tidy()?;
        let opened = match folder.open_clean()? {
            Some(opened) => opened,
            None => folder.recover(&config)?,
        };
        let mut segments: BTreeMap<i64, Arc<Segment>> =
            opened.segments.into_iter().map(|s| (s.base_offset, Arc::new(s))).collect();
        let active = match segments.last_key_value() {
            Some((_, active)) => active.clone(),
            None => {
                let active = Arc::new(Segment::create(&fs, dir, opened.end)?);
                segments.insert(opened.end, active.clone());
                active
            }
        };
        let recovery_point = folder.recovery_point_file()?;
        if !opened.recovery.clean || folder.bases.is_empty() {
            // The names of the files are durable before the recovery point says that their records are.
            files::sync_dir(&*fs, dir)?;
        }
        if folder.recovery_point != Some(opened.end) {
            recovery_point
                .write_all_at(0, &files::seal_numbers([opened.end]))
                .map_err(|e| LogError::io("write", &dir.join(files::RECOVERY_POINT), e))?;
        }
        let first = segments.first_key_value().map_or(0, |(base, _)| *base);
        let marks = Marks {
            start: AtomicI64::new(folder.start.max(first)),
            end: AtomicI64::new(opened.end),
            high_watermark: AtomicI64::new(opened.end),
            first_unstable: AtomicI64::new(opened.producers.first_unstable()),
        };
        let cleaner = Cleaner::open(&*fs, dir, folder.checkpoint, opened.end)?;
        let size = active.size();
        let writer = Writer {
            active,
            active_since: now_ms(),
            producers: opened.producers,
            sealed: Vec::new(),
            names_dirty: false,
            marked_clean: folder.marker.is_some(),
            stopped: None,
        };
        let log = Log {
            fs,
            dir: dir.to_path_buf(),
            config: RwLock::new(config),
            syncer: Mutex::new(Syncer { recovery_point, recovery_point_at_size: size }),
            writer: Mutex::new(writer),
            segments: RwLock::new(segments),
            marks,
            cleaner,
        };
        Ok((log, opened.recovery))
    }
}

/// What lies in the folder of a log.
struct Folder<'a> {
    fs: &'a Arc<dyn Fs>,
    dir: &'a Path,
    /// Base offsets of the segments, ascending.
    bases: Vec<i64>,
    snapshots: Vec<i64>,
    /// Index files without a log, and temporary files.
    leftovers: Vec<std::path::PathBuf>,
    start: i64,
    recovery_point: Option<i64>,
    /// End offset, base and size of the active segment after a clean shutdown.
    marker: Option<[i64; 3]>,
    checkpoint: Checkpoint,
}

/// The state of an opened log.
struct Opened {
    segments: Vec<Segment>,
    producers: Producers,
    end: i64,
    recovery: Recovery,
}

impl<'a> Folder<'a> {
    fn read(fs: &'a Arc<dyn Fs>, dir: &'a Path) -> Result<Self, LogError> {
        let list = fs.list(dir).map_err(|e| LogError::io("list", dir, e))?;
        let of = |wanted: &str| {
            let offset =
                |path| files::parse_name(path).filter(|(_, e)| *e == wanted).map(|(offset, _)| offset);
            let mut offsets: Vec<i64> = list.iter().filter_map(|path| offset(path)).collect();
            offsets.sort_unstable();
            offsets
        };
        let bases = of(LOG);
        let is_leftover = |path: &&std::path::PathBuf| match files::parse_name(path) {
            Some((base, INDEX | TIME_INDEX | TXN_INDEX)) => bases.binary_search(&base).is_err(),
            _ => path.extension().is_some_and(|e| e == "tmp"),
        };
        let leftovers = list.iter().filter(is_leftover).cloned().collect();
        let numbers = |name| files::read(&**fs, &dir.join(name));
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
        let marker = numbers(files::CLEAN_SHUTDOWN)?.and_then(|sealed| files::unseal_numbers(&sealed));
        let (checkpoint, snapshots) = (Checkpoint::read(&**fs, dir)?, of("snapshot"));
        Ok(Folder { fs, dir, snapshots, bases, leftovers, start, recovery_point, marker, checkpoint })
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

    fn recovery_point_file(&self) -> Result<Arc<dyn FsFile>, LogError> {
        let path = self.dir.join(files::RECOVERY_POINT);
        let file = match self.fs.open(&path, OpenMode::ReadWrite) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.fs.open(&path, OpenMode::Create),
            other => other,
        };
        file.map_err(|e| LogError::io("open", &path, e))
    }

    /// The producers' state at `offset`, if there is a valid snapshot.
    fn snapshot(&self, offset: i64) -> Result<Option<Producers>, LogError> {
        if self.snapshots.binary_search(&offset).is_err() {
            return Ok(None);
        }
        let content = files::read(&**self.fs, &files::path_of(self.dir, offset, "snapshot"))?;
        Ok(content.and_then(|content| snapshot::decode(&content)))
    }

    /// The segments at the front that are sealed, with index files that fit them.
    fn sealed(&self) -> Result<Vec<Segment>, LogError> {
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
        let Some([end, base, size]) = self.marker else { return Ok(None) };
        if self.bases.last() != Some(&base) {
            return Ok(None);
        }
        let (Some(active), Some(producers)) =
            (Segment::open_active(self.fs, self.dir, base)?, self.snapshot(end)?)
        else {
            return Ok(None);
        };
        let mut segments = self.sealed()?;
        if segments.len() + 1 != self.bases.len() || i64::try_from(active.size()) != Ok(size) {
            return Ok(None);
        }
        segments.push(active);
        let recovery = Recovery { clean: true, end_offset: end, ..Recovery::default() };
        Ok(Some(Opened { segments, producers, end, recovery }))
    }

    fn recover(&mut self, config: &LogConfig) -> Result<Opened, LogError> {
        let is_new = self.bases.is_empty() && self.recovery_point.is_none() && self.marker.is_none();
        if self.marker.take().is_some() {
            files::remove(&**self.fs, &self.dir.join(files::CLEAN_SHUTDOWN))?;
        }
        let mut segments = self.sealed()?;
        // The newest state from which a scan can begin: at the start of a segment, none after the first to be rebuilt.
        let mut from = segments.len();
        let producers = loop {
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
        let end = self.bases.get(from).copied().unwrap_or(self.start);
        let recovery = Recovery { clean: is_new, ..Recovery::default() };
        let opened = Opened { segments, producers, end, recovery };
        let mut scan = Scan { folder: self, config, durable, opened, now: now_ms() };
        scan.run(from)?;
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
    fn run(&mut self, from: usize) -> Result<(), LogError> {
        let Folder { fs, dir, bases, .. } = self.folder;
        let mut last = dir.join(files::RECOVERY_POINT);
        let mut position = 0;
        for (i, base) in bases.iter().enumerate().skip(from) {
            if Checkpoint::may_follow(self.folder.checkpoint.gaps_below, self.opened.end, *base) {
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
            let segment = Segment::open_unindexed(fs, dir, *base)?;
            last = segment.path();
            let damage;
            let rewrite_from;
            (position, rewrite_from, damage) =
                self.check(&segment).map_err(|e| LogError::io("read", &last, e))?;
            let mut cut_off = false;
            if let Some(damage) = damage {
                let follows = self.follows(&segment, position, &damage, i)?;
                let reason =
                    follows.as_ref().map_or(damage.reason.clone(), |f| format!("{}; {f}", damage.reason));
                self.judge(&last, position, reason, follows.is_some())?;
                self.delete_from(i + 1)?;
                cut_off = true;
            }
            let file_len = segment.file().len().map_err(|e| LogError::io("stat", &last, e))?;
            self.opened.recovery.truncated_bytes += file_len.saturating_sub(position);
            if file_len > position {
                segment.file().set_len(position).map_err(|e| LogError::io("truncate", &last, e))?;
            }
            rewrite(&segment, rewrite_from.unwrap_or(position), position)
                .map_err(|e| LogError::io("make durable", &last, e))?;
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
    fn check(&mut self, segment: &Segment) -> io::Result<(u64, Option<u64>, Option<Damage>)> {
        let gaps_below = self.folder.checkpoint.gaps_below;
        let mut scanner = Scanner::new(&**segment.file())?.with_gaps(gaps_below);
        let (mut position, mut rewrite_from) = (0, None);
        let damage = loop {
            match scanner.next(position, self.opened.end)? {
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
        self.opened.recovery.scanned_bytes += position;
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
        let search =
            |file: &dyn FsFile, position| Scanner::new(file)?.valid_batch_after(position, self.opened.end);
        let found = search(&**segment.file(), position).map_err(|e| LogError::io("read", &path, e))?;
        if let Some(at) = found {
            return Ok(Some(format!("a valid batch follows at byte {at}")));
        }
        let Some(next) = self.folder.bases.get(i + 1).filter(|_| !damage.cut) else { return Ok(None) };
        let next_segment = Segment::open_unindexed(self.folder.fs, self.folder.dir, *next)?;
        let first = Scanner::new(&**next_segment.file()).and_then(|mut scanner| scanner.next(0, *next));
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

/// Makes the batches between two positions durable. They are written again first, because after a failed fsync the kernel
/// may show pages as clean that never reached the disk.
fn rewrite(segment: &Segment, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    while at < to {
        let len = REWRITE_BYTES.min((to - at) as usize);
        let mut bytes = Vec::with_capacity(len);
        segment.file().read_at(at, len, &mut bytes)?;
        segment.file().write_all_at(at, &bytes)?;
        at += len as u64;
    }
    segment.file().sync()
}
