//! One segment: the log file and its indexes.

mod write;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::batch::BatchHeader;
use crate::handles::{Handle, Name};
use crate::index::{self, Aborted, Cover, Entry, IndexFile, MemoryIndex, Position, Time};
use crate::{Fs, FsFile, LogError, OpenMode, files};
pub(crate) use write::WriteFailed;

pub(crate) const LOG: &str = "log";
pub(crate) const INDEX: &str = "index";
pub(crate) const TIME_INDEX: &str = "timeindex";
pub(crate) const TXN_INDEX: &str = "txnindex";

/// Where a segment's indexes are.
enum Indexes {
    /// The segment is written, or its files could not be written yet.
    Memory(MemoryIndex),
    /// The segment is sealed: only what every lookup asks first stays in memory.
    Files { newest: Option<Time>, has_aborted: bool },
}

/// One segment of a log. Readers share it with the one writer: `size` is published after the bytes are written.
pub(crate) struct Segment {
    fs: Arc<dyn Fs>,
    dir: Arc<Path>,
    pub(crate) base_offset: i64,
    file: Arc<Handle>,
    size: AtomicU64,
    /// Length of the file while it is written: behind `size` there are zeros, so that an append changes no metadata and its
    /// fsync writes the data alone. [`write::SEALED`] once there will be no more.
    allocated: AtomicU64,
    /// Bytes that were fsynced.
    synced: AtomicU64,
    /// How many of them by the last fsync.
    synced_last: AtomicU64,
    /// Held while the file grows, by whoever makes it grow.
    growing: Mutex<()>,
    indexes: RwLock<Indexes>,
    /// Batches before this position were neither appended nor scanned since the log was opened: a read checks their CRC.
    unchecked: u64,
    /// Ranges before it that were checked since.
    checked: Mutex<Vec<Range<u64>>>,
}

/// Ranges remembered as checked; readers go from front to back, so that their ranges grow together.
const CHECKED_RANGES: usize = 64;

impl Segment {
    /// A new, empty segment. Its name is durable after an fsync of the folder.
    pub(crate) fn create(fs: &Arc<dyn Fs>, dir: &Arc<Path>, base_offset: i64) -> Result<Segment, LogError> {
        let file = Handle::create(fs, dir, Name::Offset(base_offset, LOG))?;
        Ok(Self::new(fs, dir, base_offset, file, 0, Indexes::Memory(MemoryIndex::default())))
    }

    /// An existing segment whose indexes the caller rebuilds by [`Segment::note`]; its readable size is 0 until
    /// [`Segment::publish`].
    pub(crate) fn open_unindexed(
        fs: &Arc<dyn Fs>,
        dir: &Arc<Path>,
        base_offset: i64,
    ) -> Result<Segment, LogError> {
        let segment = Self::new(
            fs,
            dir,
            base_offset,
            Handle::new(fs, dir, Name::Offset(base_offset, LOG)),
            0,
            Indexes::Memory(MemoryIndex::default()),
        );
        segment.file()?;
        Ok(segment)
    }

    /// A sealed segment with its index files; `None` if these are missing or cut.
    pub(crate) fn open_sealed(
        fs: &Arc<dyn Fs>,
        dir: &Arc<Path>,
        base_offset: i64,
    ) -> Result<Option<Segment>, LogError> {
        let size = Self::file_len(&**fs, dir, base_offset)?;
        let open =
            |extension: &str| match fs.open(&files::path_of(dir, base_offset, extension), OpenMode::Read) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
                other => other.map(Some),
            };
        let check = || -> io::Result<Option<Indexes>> {
            let (Some(positions), Some(times)) = (open(INDEX)?, open(TIME_INDEX)?) else { return Ok(None) };
            let positions = IndexFile::open::<Position>(&*positions)?;
            let (Some(positions), Some(times)) = (positions, IndexFile::open::<Time>(&*times)?) else {
                return Ok(None);
            };
            let cover = positions.cover;
            if cover.log_bytes != size || times.cover != cover {
                return Ok(None);
            }
            if cover.aborted > 0 {
                let Some(aborted) = open(TXN_INDEX)? else { return Ok(None) };
                match IndexFile::open::<Aborted>(&*aborted)? {
                    Some(file) if file.cover == cover && file.count == cover.aborted as usize => {}
                    _ => return Ok(None),
                }
            }
            let newest = times.count.checked_sub(1).map(|last| times.entry(last)).transpose()?;
            Ok(Some(Indexes::Files { newest, has_aborted: cover.aborted > 0 }))
        };
        let indexes =
            check().map_err(|e| LogError::io("read index of", &files::path_of(dir, base_offset, LOG), e))?;
        Ok(indexes.map(|indexes| {
            let file = Handle::new(fs, dir, Name::Offset(base_offset, LOG));
            Self::new(fs, dir, base_offset, file, size, indexes)
        }))
    }

    /// The segment that is written further after a clean shutdown, its indexes loaded into memory; `None` if they are
    /// missing or damaged, or of an earlier time.
    pub(crate) fn open_active(
        fs: &Arc<dyn Fs>,
        dir: &Arc<Path>,
        base_offset: i64,
    ) -> Result<Option<Segment>, LogError> {
        let size = Self::file_len(&**fs, dir, base_offset)?;
        Ok(Self::open_partly(fs, dir, base_offset)?.filter(|segment| segment.size() == size))
    }

    /// A segment as far as its index files go, loaded into memory; `None` if they are missing or damaged, or the log is
    /// shorter than they say.
    pub(crate) fn open_partly(
        fs: &Arc<dyn Fs>,
        dir: &Arc<Path>,
        base_offset: i64,
    ) -> Result<Option<Segment>, LogError> {
        let read = |extension| files::read(&**fs, &files::path_of(dir, base_offset, extension));
        let Some((positions, cover)) = read(INDEX)?.and_then(|content| index::decode(&content)) else {
            return Ok(None);
        };
        let times = read(TIME_INDEX)?.and_then(|content| index::decode(&content));
        let aborted = match cover.aborted {
            0 => Some((Vec::new(), cover)),
            _ => read(TXN_INDEX)?.and_then(|content| index::decode(&content)),
        };
        let (Some((times, of_times)), Some((aborted, of_aborted))) = (times, aborted) else {
            return Ok(None);
        };
        let size = cover.log_bytes;
        if size > Self::file_len(&**fs, dir, base_offset)? || of_times != cover || of_aborted != cover {
            return Ok(None);
        }
        let indexes = Indexes::Memory(MemoryIndex::load(positions, times, aborted, size));
        let file = Handle::new(fs, dir, Name::Offset(base_offset, LOG));
        Ok(Some(Self::new(fs, dir, base_offset, file, size, indexes)))
    }

    fn file_len(fs: &dyn Fs, dir: &Path, base_offset: i64) -> Result<u64, LogError> {
        let path = files::path_of(dir, base_offset, LOG);
        fs.size(&path).map_err(|e| LogError::io("stat", &path, e))
    }

    fn new(
        fs: &Arc<dyn Fs>,
        dir: &Arc<Path>,
        base_offset: i64,
        file: Arc<Handle>,
        size: u64,
        indexes: Indexes,
    ) -> Segment {
        let (fs, size, indexes) = (fs.clone(), AtomicU64::new(size), RwLock::new(indexes));
        Segment {
            fs,
            dir: dir.clone(),
            base_offset,
            file,
            unchecked: size.load(Ordering::Relaxed),
            allocated: AtomicU64::new(size.load(Ordering::Relaxed)),
            synced: AtomicU64::new(size.load(Ordering::Relaxed)),
            synced_last: AtomicU64::new(0),
            growing: Mutex::default(),
            size,
            indexes,
            checked: Mutex::default(),
        }
    }

    /// Path of the log file.
    pub(crate) fn path(&self) -> PathBuf {
        files::path_of(&self.dir, self.base_offset, LOG)
    }

    /// The log file, to read.
    pub(crate) fn file(&self) -> Result<Arc<dyn FsFile>, LogError> {
        self.file.get()
    }

    /// Whether the CRCs of all batches between two positions were checked since the log was opened.
    pub(crate) fn is_checked(&self, from: u64, to: u64) -> bool {
        let to = to.min(self.unchecked);
        from >= to || self.checked.lock().iter().any(|range| range.start <= from && to <= range.end)
    }

    /// Remembers that they were.
    pub(crate) fn note_checked(&self, from: u64, to: u64) {
        let mut new = from..to;
        let mut checked = self.checked.lock();
        checked.retain(|range| {
            let apart = range.end < new.start || new.end < range.start;
            if !apart {
                new = new.start.min(range.start)..new.end.max(range.end);
            }
            apart
        });
        if checked.len() < CHECKED_RANGES {
            checked.push(new);
        }
    }

    /// Readable bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Makes everything before `size` readable.
    pub(crate) fn publish(&self, size: u64) {
        self.size.store(size, Ordering::Release);
    }

    /// Greatest timestamp and the batch that has it.
    pub(crate) fn newest(&self) -> Option<Time> {
        match &*self.indexes.read() {
            Indexes::Memory(index) => index.newest,
            Indexes::Files { newest, .. } => *newest,
        }
    }

    /// Timestamp of the first batch of the segment being written.
    pub(crate) fn first_timestamp(&self) -> Option<i64> {
        match &*self.indexes.read() {
            Indexes::Memory(index) => index.times.first().map(|first| first.timestamp),
            Indexes::Files { .. } => None,
        }
    }

    /// Indexes a batch of the segment being written.
    pub(crate) fn note(&self, header: &BatchHeader, position: u64, interval: u32) {
        if let Indexes::Memory(index) = &mut *self.indexes.write() {
            index.on_batch(self.base_offset, header, position, interval);
        }
    }

    /// Indexes an aborted transaction whose marker is in this segment.
    pub(crate) fn note_aborted(&self, aborted: Aborted) {
        if let Indexes::Memory(index) = &mut *self.indexes.write() {
            index.aborted.push(aborted);
        }
    }

    /// Position of the last indexed batch at or before `offset`, and its offset.
    pub(crate) fn position_before(&self, offset: i64) -> Result<(u64, i64), LogError> {
        let found = self.last_where(
            INDEX,
            |index| &index.positions,
            |p: &Position| self.base_offset.saturating_add(i64::from(p.offset)) <= offset,
        )?;
        let (position, indexed) = found.map_or((0, self.base_offset), |p| {
            (u64::from(p.position), self.base_offset + i64::from(p.offset))
        });
        // Entries are not checked one by one when an index is opened.
        if position > self.size() {
            return Err(LogError::Corrupt {
                file: files::path_of(&self.dir, self.base_offset, INDEX),
                position,
                offset: indexed,
                reason: "the index points behind the end of the segment (delete the segment's indexes to have them \
                         rebuilt)"
                    .to_owned(),
            });
        }
        Ok((position, indexed))
    }

    /// Position and offset of the last indexed batch that starts at or before `position` and before `offset`.
    pub(crate) fn position_within(&self, offset: i64, position: u64) -> Result<Option<(u64, i64)>, LogError> {
        let within = |p: &Position| {
            self.base_offset.saturating_add(i64::from(p.offset)) < offset && u64::from(p.position) <= position
        };
        let found = self.last_where(INDEX, |index| &index.positions, within)?;
        Ok(found.map(|p| (u64::from(p.position), self.base_offset + i64::from(p.offset))))
    }

    /// An offset before which no record has a timestamp of `timestamp` or later.
    pub(crate) fn offset_before_time(&self, timestamp: i64) -> Result<i64, LogError> {
        let found = self.last_where(TIME_INDEX, |index| &index.times, |t: &Time| t.timestamp < timestamp)?;
        Ok(self.base_offset + found.map_or(0, |t| i64::from(t.offset)))
    }

    fn last_where<E: Entry>(
        &self,
        extension: &'static str,
        entries: impl Fn(&MemoryIndex) -> &Vec<E>,
        holds: impl Fn(&E) -> bool,
    ) -> Result<Option<E>, LogError> {
        let guard = self.indexes.read();
        if let Indexes::Memory(index) = &*guard {
            let entries = entries(index);
            return Ok(entries.get(..entries.partition_point(holds)).and_then(<[E]>::last).copied());
        }
        drop(guard);
        let path = files::path_of(&self.dir, self.base_offset, extension);
        let search = || {
            let file = self.fs.open(&path, OpenMode::Read)?;
            let index = IndexFile::open::<E>(&*file)?.ok_or(io::ErrorKind::InvalidData)?;
            index::last_where(index.count, |i| index.entry(i), &holds)
        };
        search().map_err(|e| LogError::io("read", &path, e))
    }

    /// Aborted transactions whose marker lies in this segment, oldest marker first.
    pub(crate) fn aborted(&self) -> Result<Vec<Aborted>, LogError> {
        match &*self.indexes.read() {
            Indexes::Memory(index) => return Ok(index.aborted.clone()),
            Indexes::Files { has_aborted: false, .. } => return Ok(Vec::new()),
            Indexes::Files { .. } => {}
        }
        let path = files::path_of(&self.dir, self.base_offset, TXN_INDEX);
        let content = files::read(&*self.fs, &path)?.unwrap_or_default();
        index::decode(&content).map(|(entries, _)| entries).ok_or_else(|| LogError::Corrupt {
            file: path,
            position: 0,
            offset: self.base_offset,
            reason:
                "the index of aborted transactions does not match its checksum (delete it and the segment's \
                     other indexes to have them rebuilt)"
                    .to_owned(),
        })
    }

    /// Writes the index files and makes their content durable (the caller syncs the folder). A sealed segment's indexes
    /// leave memory with `release`.
    pub(crate) fn write_indexes(&self, release: bool) -> Result<(), LogError> {
        let mut guard = self.indexes.write();
        let Indexes::Memory(index) = &mut *guard else { return Ok(()) };
        index.note_newest();
        self.write_indexes_of(index, self.size())?;
        if release {
            *guard = Indexes::Files { newest: index.newest, has_aborted: !index.aborted.is_empty() };
        }
        Ok(())
    }

    /// The indexes at this moment and how many bytes of log they cover. The caller keeps others from appending.
    pub(crate) fn copy_indexes(&self) -> Option<(MemoryIndex, u64)> {
        match &*self.indexes.read() {
            Indexes::Memory(index) => {
                let mut index = index.clone();
                index.note_newest();
                Some((index, self.size()))
            }
            Indexes::Files { .. } => None,
        }
    }

    /// Writes index files for the first `size` bytes of the log.
    pub(crate) fn write_indexes_of(&self, index: &MemoryIndex, size: u64) -> Result<(), LogError> {
        let write = |extension, content: Vec<u8>| {
            files::write(&*self.fs, &files::path_of(&self.dir, self.base_offset, extension), &content)
        };
        let cover = Cover { log_bytes: size, aborted: index.aborted.len() as u32 };
        write(INDEX, index::encode(&index.positions, cover))?;
        write(TIME_INDEX, index::encode(&index.times, cover))?;
        if cover.aborted > 0 {
            write(TXN_INDEX, index::encode(&index.aborted, cover))?;
        }
        Ok(())
    }

    /// Deletes the files: the log first, so that indexes never stand for a log that is not there.
    pub(crate) fn delete(&self) -> Result<(), LogError> {
        delete_files(&*self.fs, &self.dir, self.base_offset)
    }
}

/// Deletes the files of a segment.
pub(crate) fn delete_files(fs: &dyn Fs, dir: &Path, base_offset: i64) -> Result<(), LogError> {
    for extension in [LOG, INDEX, TIME_INDEX, TXN_INDEX] {
        files::remove(fs, &files::path_of(dir, base_offset, extension))?;
    }
    Ok(())
}
