//! The translog of one index: every change, fsynced before it is acknowledged.
//!
//! # Format
//! Files `translog-<generation, 20 digits>.tlog`. Numbers are little endian. A file is entries one behind the other:
//!
//! ```text
//! length of the rest: u32 | CRC-32C of the rest: u32 | kind: u8 | sequence number: u64 | version: u64 | time, ms: i64
//!   | length of the id: u32 | id | source (of an index entry; else nothing)
//! kind: 1 index (insert or replace) · 2 delete · 3 a delete of an earlier generation that is still remembered
//! ```
//! # Rules
//! - An append is one write at the end of the newest file; if it fails (full disk), the file is cut back and nothing has
//!   changed. [`Syncer::wait`] is one fsync for all who wait (group commit).
//! - A flush begins a new generation, headed by the deletes that are still remembered (kind 3), then flushes the index with
//!   all that older generations have, then deletes these. So what the index on disk lacks is always in the files, with
//!   sequence numbers that have no gap, which recovery checks.
//! - Recovery reads all files in order. An entry that is not whole and valid ends its file; in the newest, the rest is cut
//!   off: an unfinished write that nobody was told of.
//! - A failed fsync makes the translog unusable, because the next may succeed without having written. The index goes on
//!   after a flush, which makes everything durable without it, and a new generation.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bd_log::{Fs, FsFile, OpenMode};
use parking_lot::{Condvar, Mutex};

use crate::error::SearchError;

const HEAD: usize = 8;
const FIXED: usize = 1 + 8 + 8 + 8 + 4;

/// What an entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Index = 1,
    Delete = 2,
    /// A delete of an earlier generation.
    Remembered = 3,
}

/// One change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Entry<'a> {
    pub(crate) kind: EntryKind,
    pub(crate) seq: u64,
    pub(crate) version: u64,
    /// When it was made, ms since 1970.
    pub(crate) time: i64,
    pub(crate) id: &'a str,
    pub(crate) source: &'a [u8],
}

impl Entry<'_> {
    /// Appends it, encoded.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let length = FIXED + self.id.len() + self.source.len();
        out.reserve(HEAD + length);
        out.extend((length as u32).to_le_bytes());
        let crc_at = out.len();
        out.extend([0; 4]);
        out.push(self.kind as u8);
        out.extend(self.seq.to_le_bytes());
        out.extend(self.version.to_le_bytes());
        out.extend(self.time.to_le_bytes());
        out.extend((self.id.len() as u32).to_le_bytes());
        out.extend(self.id.as_bytes());
        out.extend(self.source);
        let crc = crc32c(out.get(crc_at + 4..).unwrap_or_default());
        if let Some(place) = out.get_mut(crc_at..crc_at + 4) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
    }
}

/// The entry at the start of `data` and its length in bytes; none if it is not whole and valid.
fn decode(data: &[u8]) -> Option<(Entry<'_>, usize)> {
    let length = u32::from_le_bytes(data.get(..4)?.try_into().ok()?) as usize;
    let crc = u32::from_le_bytes(data.get(4..8)?.try_into().ok()?);
    let rest = data.get(HEAD..HEAD.checked_add(length)?)?;
    if length < FIXED || crc32c(rest) != crc {
        return None;
    }
    let kind = match rest.first()? {
        1 => EntryKind::Index,
        2 => EntryKind::Delete,
        3 => EntryKind::Remembered,
        _ => return None,
    };
    let seq = u64::from_le_bytes(rest.get(1..9)?.try_into().ok()?);
    let version = u64::from_le_bytes(rest.get(9..17)?.try_into().ok()?);
    let time = i64::from_le_bytes(rest.get(17..25)?.try_into().ok()?);
    let id_length = u32::from_le_bytes(rest.get(25..29)?.try_into().ok()?) as usize;
    let id = std::str::from_utf8(rest.get(FIXED..FIXED.checked_add(id_length)?)?).ok()?;
    let source = rest.get(FIXED + id_length..)?;
    Some((Entry { kind, seq, version, time, id, source }, HEAD + length))
}

/// Bitwise by table: no entry is long enough to matter.
fn crc32c(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0u32; 256];
        let mut i = 0;
        while i < 256 {
            let mut crc = i as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
                bit += 1;
            }
            table[i] = crc;
            i += 1;
        }
        table
    };
    !data.iter().fold(!0u32, |crc, byte| (crc >> 8) ^ TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize])
}

/// See the module. Appends need `&mut`; [`Syncer`] is shared by those who wait.
pub(crate) struct Translog {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    generation: u64,
    file: Arc<dyn FsFile>,
    /// Bytes in the newest file.
    len: u64,
    /// The file has bytes behind `len` that could not be cut off.
    torn: bool,
    /// Bytes appended since it was opened, over all generations.
    appended: u64,
    syncer: Arc<Syncer>,
}

impl Translog {
    /// Opens it, calls `entry` for each entry in order, and begins to append behind them.
    pub(crate) fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        entry: &mut dyn FnMut(Entry<'_>) -> Result<(), SearchError>,
    ) -> Result<Translog, SearchError> {
        let generations = list(&*fs, dir)?;
        let newest = generations.last().copied();
        let mut end = 0;
        for generation in &generations {
            let path = path_of(dir, *generation);
            end = read_file(&*fs, &path, entry)?;
            let file = fs.open(&path, OpenMode::ReadWrite).map_err(SearchError::io("open", &path))?;
            let len = file.len().map_err(SearchError::io("read", &path))?;
            if end == len {
                continue;
            }
            tracing::warn!(file = %path.display(), from = end, to = len, "an unfinished write is cut off");
            if Some(*generation) != newest {
                continue;
            }
            file.set_len(end).map_err(SearchError::io("cut", &path))?;
        }
        let generation = newest.unwrap_or(1);
        let path = path_of(dir, generation);
        let mode = if newest.is_some() { OpenMode::ReadWrite } else { OpenMode::Create };
        let file = fs.open(&path, mode).map_err(SearchError::io("open", &path))?;
        // What was read is about to be shown: it must be on disk, whatever happened before.
        file.sync().map_err(SearchError::io("fsync", &path))?;
        fs.sync_dir(dir).map_err(SearchError::io("fsync", dir))?;
        let syncer = Arc::new(Syncer::new(file.clone()));
        Ok(Translog { fs, dir: dir.to_owned(), generation, file, len: end, torn: false, appended: 0, syncer })
    }

    /// Appends encoded entries; returns what to ask [`Syncer::wait`] for.
    pub(crate) fn append(&mut self, data: &[u8]) -> io::Result<u64> {
        if self.torn {
            self.file.set_len(self.len)?;
            self.torn = false;
        }
        if let Err(error) = self.file.write_all_at(self.len, data) {
            self.torn = self.file.set_len(self.len).is_err();
            return Err(error);
        }
        self.len += data.len() as u64;
        self.appended += data.len() as u64;
        Ok(self.appended)
    }

    pub(crate) fn syncer(&self) -> Arc<Syncer> {
        self.syncer.clone()
    }

    /// Bytes in the newest generation.
    pub(crate) fn bytes(&self) -> u64 {
        self.len
    }

    /// Begins a new generation with `head`; all before is fsynced first, unless its fsync failed already and `lost` says that
    /// the index was flushed without it. Older generations stay until [`Translog::trim`].
    pub(crate) fn begin(&mut self, head: &[u8], lost: bool) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.len)?;
            self.torn = false;
        }
        if !lost {
            let waited = self.syncer.wait(self.appended);
            waited.map_err(|error| io::Error::new(error.kind(), error.to_string()))?;
        }
        let path = path_of(&self.dir, self.generation + 1);
        let made = (|| {
            let file = self.fs.open(&path, OpenMode::Create)?;
            file.write_all_at(0, head)?;
            file.sync()?;
            self.fs.sync_dir(&self.dir)?;
            Ok(file)
        })();
        let file = match made {
            Ok(file) => file,
            Err(error) => {
                let _ = self.fs.remove(&path);
                return Err(error);
            }
        };
        self.generation += 1;
        self.len = head.len() as u64;
        self.file = file.clone();
        self.syncer.renew(file, self.appended);
        Ok(())
    }

    /// Deletes all generations but the newest, after the index was flushed with all they have.
    pub(crate) fn trim(&self) {
        for generation in list(&*self.fs, &self.dir).unwrap_or_default() {
            if generation < self.generation
                && let Err(error) = self.fs.remove(&path_of(&self.dir, generation))
            {
                // It is read again at the next start, to no effect, and deleted after the next flush.
                tracing::warn!(dir = %self.dir.display(), %error, "cannot delete an old translog");
            }
        }
    }
}

/// Calls `entry` for each entry of all generations, newest last.
pub(crate) fn replay(
    fs: &dyn Fs,
    dir: &Path,
    entry: &mut dyn FnMut(Entry<'_>) -> Result<(), SearchError>,
) -> Result<(), SearchError> {
    for generation in list(fs, dir)? {
        read_file(fs, &path_of(dir, generation), entry)?;
    }
    Ok(())
}

fn path_of(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("translog-{generation:020}.tlog"))
}

/// The generations there are, in order.
fn list(fs: &dyn Fs, dir: &Path) -> Result<Vec<u64>, SearchError> {
    let mut generations: Vec<u64> = fs
        .list(dir)
        .map_err(SearchError::io("list", dir))?
        .iter()
        .filter_map(|path| path.file_name()?.to_str()?.strip_prefix("translog-")?.strip_suffix(".tlog"))
        .filter_map(|digits| digits.parse().ok())
        .collect();
    generations.sort_unstable();
    Ok(generations)
}

/// Reads the entries of a file; returns where the last valid one ends.
fn read_file(
    fs: &dyn Fs,
    path: &Path,
    entry: &mut dyn FnMut(Entry<'_>) -> Result<(), SearchError>,
) -> Result<u64, SearchError> {
    const CHUNK: usize = 1 << 20;
    let file = fs.open(path, OpenMode::Read).map_err(SearchError::io("open", path))?;
    let mut buffer = Vec::new();
    let (mut at, mut read_to) = (0u64, 0u64);
    let mut start = 0;
    loop {
        if let Some((found, length)) = decode(buffer.get(start..).unwrap_or_default()) {
            entry(found)?;
            start += length;
            at += length as u64;
            continue;
        }
        buffer.drain(..start);
        start = 0;
        // Either the end of the buffer or of what is valid: more bytes tell.
        let length = buffer.get(..4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes) as usize;
        if buffer.len() >= HEAD && buffer.len() >= HEAD + length {
            return Ok(at);
        }
        let n = file.read_at(read_to, CHUNK, &mut buffer).map_err(SearchError::io("read", path))?;
        read_to += n as u64;
        if n == 0 {
            return Ok(at);
        }
    }
}

/// Group commit: one of those who wait fsyncs for all whose bytes were written when it began.
pub(crate) struct Syncer {
    state: Mutex<SyncState>,
    done: Condvar,
}

struct SyncState {
    file: Arc<dyn FsFile>,
    /// Counts the files, so that the result of an fsync is not taken for another's.
    files: u64,
    /// Appended bytes that are known to be durable.
    synced: u64,
    /// Appended bytes that somebody waits for.
    wanted: u64,
    syncing: bool,
    failed: Option<Arc<io::Error>>,
}

impl Syncer {
    fn new(file: Arc<dyn FsFile>) -> Syncer {
        let state = SyncState { file, files: 0, synced: 0, wanted: 0, syncing: false, failed: None };
        Syncer { state: Mutex::new(state), done: Condvar::new() }
    }

    fn renew(&self, file: Arc<dyn FsFile>, appended: u64) {
        let mut state = self.state.lock();
        state.file = file;
        state.files += 1;
        state.synced = appended;
        state.failed = None;
        drop(state);
        self.done.notify_all();
    }

    /// The error after which nothing can be made durable until the translog begins anew.
    pub(crate) fn failed(&self) -> Option<Arc<io::Error>> {
        self.state.lock().failed.clone()
    }

    /// Returns when everything up to `position` (of [`Translog::append`]) is durable.
    pub(crate) fn wait(&self, position: u64) -> Result<(), Arc<io::Error>> {
        let mut state = self.state.lock();
        state.wanted = state.wanted.max(position);
        loop {
            if state.synced >= position {
                return Ok(());
            }
            if let Some(error) = &state.failed {
                return Err(error.clone());
            }
            if state.syncing {
                self.done.wait(&mut state);
                continue;
            }
            state.syncing = true;
            let (file, files, upto) = (state.file.clone(), state.files, state.wanted);
            drop(state);
            let result = file.sync();
            state = self.state.lock();
            state.syncing = false;
            if state.files == files {
                match result {
                    Ok(()) => state.synced = state.synced.max(upto),
                    Err(error) => state.failed = Some(Arc::new(error)),
                }
            }
            self.done.notify_all();
        }
    }
}

#[cfg(test)]
#[path = "translog_tests.rs"]
mod tests;
