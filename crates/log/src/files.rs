//! Names and the small checked files of a partition's folder.

use std::io;
use std::path::{Path, PathBuf};

use crate::{Fs, LogError, OpenMode};

/// The durable end, see the crate's documentation.
pub(crate) const RECOVERY_POINT: &str = "recovery-point";
/// The first offset after records were deleted.
pub(crate) const START_OFFSET: &str = "start-offset";
/// Present after a clean shutdown.
pub(crate) const CLEAN_SHUTDOWN: &str = "clean-shutdown";

/// How far the log is compacted.
pub(crate) const CLEANER_CHECKPOINT: &str = "cleaner-checkpoint";
/// There while a compaction exchanges segments.
pub(crate) const COMPACTION_SWAP: &str = "compaction-swap";
/// All that a log at rest may have.
pub(crate) const KNOWN: [&str; 4] = [RECOVERY_POINT, START_OFFSET, CLEAN_SHUTDOWN, CLEANER_CHECKPOINT];

/// `00000000000000000042.log`: offsets are padded so that names sort as numbers do.
pub(crate) fn path_of(dir: &Path, offset: i64, extension: &str) -> PathBuf {
    dir.join(format!("{offset:020}.{extension}"))
}

/// Offset and extension of such a name.
pub(crate) fn parse_name(path: &Path) -> Option<(i64, &str)> {
    let (stem, extension) = path.file_name()?.to_str()?.split_once('.')?;
    (stem.len() == 20).then(|| stem.parse().ok().map(|offset| (offset, extension)))?
}

/// `content` preceded by its CRC-32C: a file cut or damaged is noticed.
pub(crate) fn seal(content: &[u8]) -> Vec<u8> {
    [&crc32c::crc32c(content).to_be_bytes(), content].concat()
}

/// The content of a sealed file, `None` if it is cut or damaged.
pub(crate) fn unseal(sealed: &[u8]) -> Option<&[u8]> {
    let (crc, content) = sealed.split_first_chunk::<4>()?;
    (u32::from_be_bytes(*crc) == crc32c::crc32c(content)).then_some(content)
}

/// `N` numbers, sealed.
pub(crate) fn seal_numbers<const N: usize>(numbers: [i64; N]) -> Vec<u8> {
    seal(&numbers.map(i64::to_be_bytes).concat())
}

/// The counterpart of [`seal_numbers`].
pub(crate) fn unseal_numbers<const N: usize>(sealed: &[u8]) -> Option<[i64; N]> {
    let content = unseal(sealed).filter(|c| c.len() == N * 8)?;
    let mut numbers = [0; N];
    for (number, bytes) in numbers.iter_mut().zip(content.as_chunks::<8>().0) {
        *number = i64::from_be_bytes(*bytes);
    }
    Some(numbers)
}

/// The whole file, `None` if there is none.
pub(crate) fn read(fs: &dyn Fs, path: &Path) -> Result<Option<Vec<u8>>, LogError> {
    let read = || {
        let file = match fs.open(path, OpenMode::Read) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let (mut content, len) = (Vec::new(), file.len()?);
        file.read_at(0, usize::try_from(len).map_err(io::Error::other)?, &mut content)?;
        Ok(Some(content))
    };
    read().map_err(|e| LogError::io("read", path, e))
}

/// Writes a durable file whose name is not yet durable: the caller syncs the folder.
pub(crate) fn write(fs: &dyn Fs, path: &Path, content: &[u8]) -> Result<(), LogError> {
    let write = || {
        let file = fs.open(path, OpenMode::Create)?;
        file.write_all_at(0, content)?;
        file.sync()
    };
    write().map_err(|e| LogError::io("write", path, e))
}

/// Replaces a file so that after a crash either the old or the new content stands there, and makes it durable.
pub(crate) fn replace(fs: &dyn Fs, path: &Path, content: &[u8]) -> Result<(), LogError> {
    let temporary = path.with_extension("tmp");
    write(fs, &temporary, content)?;
    fs.rename(&temporary, path).map_err(|e| LogError::io("rename", path, e))?;
    sync_dir(fs, path.parent().unwrap_or(path))
}

pub(crate) fn sync_dir(fs: &dyn Fs, dir: &Path) -> Result<(), LogError> {
    fs.sync_dir(dir).map_err(|e| LogError::io("fsync folder", dir, e))
}

/// Removes a file; that it is not there is fine.
pub(crate) fn remove(fs: &dyn Fs, path: &Path) -> Result<(), LogError> {
    match fs.remove(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(LogError::io("delete", path, e)),
        _ => Ok(()),
    }
}
