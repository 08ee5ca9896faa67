//! Takes rewritten segments into the place of the old ones, so that a crash at any moment leaves either.
//!
//! 1. The rewritten segment is written and fsynced as `<base>.log.cleaned`, its indexes likewise.
//! 2. The file `compaction-swap` says what replaces what, durably. From here on the swap will be finished.
//! 3. The `.cleaned` files are renamed over those of the first old segment; the folder is fsynced.
//! 4. The other old segments are deleted; the folder is fsynced; `compaction-swap` goes.
//!
//! A start that finds `compaction-swap` goes on with step 3 (or gives up a swap of which not even the names reached the disk, as
//! long as nothing old was deleted), else it deletes what is called `.cleaned`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::segment::{self, INDEX, LOG, Segment, TIME_INDEX, TXN_INDEX};
use crate::{Fs, FsFile, LogError, OpenMode, files};

const CHUNK_BYTES: usize = 1 << 20;

/// A rewritten segment that lies on the disk, and what it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Swap {
    /// Base offset, that of the first segment replaced.
    pub(super) base: i64,
    /// Base offset of the first segment that is not replaced.
    pub(super) next: i64,
    /// Bytes of the rewritten log, and their CRC-32C.
    pub(super) bytes: u64,
    pub(super) crc: u32,
    /// Whether it has an index of aborted transactions.
    pub(super) has_aborted: bool,
}

/// `<base>.<extension>.cleaned`.
pub(super) fn cleaned(dir: &Path, base: i64, extension: &str) -> PathBuf {
    files::path_of(dir, base, &format!("{extension}.cleaned"))
}

fn is_cleaned(path: &Path) -> bool {
    files::parse_name(path).is_some_and(|(_, extension)| extension.ends_with(".cleaned"))
}

/// Deletes what a compaction wrote and did not finish.
pub(super) fn discard(fs: &dyn Fs, dir: &Path, base: i64) {
    for extension in [LOG, INDEX, TIME_INDEX, TXN_INDEX] {
        if let Err(error) = files::remove(fs, &cleaned(dir, base, extension)) {
            tracing::warn!(%error, "left over from a compaction; the next start deletes it");
        }
    }
}

impl Swap {
    /// Step 2.
    pub(super) fn announce(&self, fs: &dyn Fs, dir: &Path) -> Result<(), LogError> {
        let bytes = i64::try_from(self.bytes).unwrap_or(i64::MAX);
        let numbers = [self.base, self.next, bytes, i64::from(self.crc), i64::from(self.has_aborted)];
        files::replace(fs, &dir.join(files::COMPACTION_SWAP), &files::seal_numbers(numbers))
    }

    fn announced(fs: &dyn Fs, dir: &Path) -> Result<Option<Swap>, LogError> {
        let Some(sealed) = files::read(fs, &dir.join(files::COMPACTION_SWAP))? else { return Ok(None) };
        let numbers = files::unseal_numbers(&sealed);
        Ok(numbers.map(|[base, next, bytes, crc, aborted]| Swap {
            base,
            next,
            bytes: u64::try_from(bytes).unwrap_or(0),
            crc: u32::try_from(crc).unwrap_or(0),
            has_aborted: aborted != 0,
        }))
    }

    /// Step 3 without the fsync. The log comes first: until it is renamed, nothing has changed.
    pub(super) fn rename(&self, fs: &dyn Fs, dir: &Path) -> Result<(), LogError> {
        for extension in [LOG, TXN_INDEX, TIME_INDEX, INDEX] {
            let to = files::path_of(dir, self.base, extension);
            if extension == TXN_INDEX && !self.has_aborted {
                files::remove(fs, &to)?;
                continue;
            }
            let from = cleaned(dir, self.base, extension);
            match fs.rename(&from, &to) {
                // Of an index: it is rebuilt.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && extension != LOG => {}
                other => other.map_err(|e| LogError::io("rename", &from, e))?,
            }
        }
        Ok(())
    }

    /// The rest: after it the swap is history. `replaced` are the old segments but for the first.
    pub(super) fn finish(&self, fs: &dyn Fs, dir: &Path, replaced: &[i64]) -> Result<(), LogError> {
        files::sync_dir(fs, dir)?;
        for base in replaced {
            segment::delete_files(fs, dir, *base)?;
        }
        if !replaced.is_empty() {
            files::sync_dir(fs, dir)?;
        }
        self.withdraw(fs, dir)
    }

    /// Forgets the announcement.
    pub(super) fn withdraw(&self, fs: &dyn Fs, dir: &Path) -> Result<(), LogError> {
        files::remove(fs, &dir.join(files::COMPACTION_SWAP))?;
        files::sync_dir(fs, dir)
    }

    /// Whether a file holds the rewritten log.
    fn is_in(&self, fs: &dyn Fs, path: &Path) -> Result<bool, LogError> {
        let check = || {
            let file = match fs.open(path, OpenMode::Read) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
                other => other?,
            };
            Ok(file.len()? == self.bytes && crc_of(&*file, self.bytes)? == self.crc)
        };
        check().map_err(|e| LogError::io("read", path, e))
    }
}

fn crc_of(file: &dyn FsFile, bytes: u64) -> std::io::Result<u32> {
    let (mut crc, mut at, mut buffer) = (0, 0, Vec::new());
    while at < bytes {
        buffer.clear();
        if file.read_at(at, CHUNK_BYTES, &mut buffer)? == 0 {
            break;
        }
        crc = crc32c::crc32c_append(crc, &buffer);
        at += buffer.len() as u64;
    }
    Ok(crc)
}

/// At a start, before anything else is looked at: finishes the swap that was interrupted, and deletes what is left of a
/// compaction that did not come so far.
pub(crate) fn finish_interrupted(fs: &Arc<dyn Fs>, dir: &Path) -> Result<(), LogError> {
    let list = fs.list(dir).map_err(|e| LogError::io("list", dir, e))?;
    let announcement = dir.join(files::COMPACTION_SWAP);
    if list.contains(&announcement) {
        match Swap::announced(&**fs, dir)? {
            Some(swap) => finish_announced(&**fs, dir, &list, swap)?,
            // It is written as a whole and fsynced before it gets its name: this one was damaged later, with nothing deleted
            // if the segments still follow each other, which recovery sees.
            None => tracing::warn!(file = %announcement.display(), "does not match its checksum, not used"),
        }
        files::remove(&**fs, &announcement)?;
        files::sync_dir(&**fs, dir)?;
    }
    for path in list.iter().filter(|path| is_cleaned(path)) {
        files::remove(&**fs, path)?;
    }
    Ok(())
}

fn finish_announced(fs: &dyn Fs, dir: &Path, list: &[PathBuf], swap: Swap) -> Result<(), LogError> {
    let log = files::path_of(dir, swap.base, LOG);
    if swap.is_in(fs, &cleaned(dir, swap.base, LOG))? {
        swap.rename(fs, dir)?;
    } else if !swap.is_in(fs, &log)? {
        tracing::info!(log = %log.display(), "a compaction is given up that was interrupted before it changed anything");
        return Ok(());
    }
    let base = |path: &PathBuf| match files::parse_name(path) {
        Some((base, LOG | INDEX | TIME_INDEX | TXN_INDEX)) if base > swap.base && base < swap.next => {
            Some(base)
        }
        _ => None,
    };
    let mut replaced: Vec<i64> = list.iter().filter_map(base).collect();
    replaced.sort_unstable();
    replaced.dedup();
    tracing::info!(log = %log.display(), segments = replaced.len(), "finishing a compaction that was interrupted");
    swap.finish(fs, dir, &replaced)
}

/// The segment that the renamed files are.
pub(super) fn open(fs: &Arc<dyn Fs>, dir: &Arc<Path>, swap: &Swap) -> Result<Segment, LogError> {
    Segment::open_sealed(fs, dir, swap.base)?.ok_or_else(|| LogError::Corrupt {
        file: files::path_of(dir, swap.base, INDEX),
        position: 0,
        offset: swap.base,
        reason: "the indexes that compaction wrote do not fit its log".to_owned(),
    })
}
