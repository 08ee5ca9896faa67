//! Files that are whole at any instant, and logs of bounded size.

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A log is cut when it is larger than this (bytes); what was there stays in `NAME.log.1`.
pub const LOG_BYTES: u64 = 4 << 20;

/// Writes a file so that readers see the old content or the new, never a part.
///
/// # Errors
/// The file system's.
pub fn write(path: &Path, content: &[u8]) -> Result<()> {
    let temporary = temporary(path);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_data()?;
        std::fs::rename(&temporary, path)
    });
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// The name under which a file is made before it takes its own; it begins with a dot, so that no reader of the folder takes it.
pub fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.new"))
}

/// Writes a value as JSON, as [`write()`].
///
/// # Errors
/// The file system's.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let text = serde_json::to_vec(value).with_context(|| format!("cannot write {}", path.display()))?;
    write(path, &text)
}

/// Reads JSON; `None` where there is no such file.
///
/// # Errors
/// It cannot be read, or is not what is expected.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
    };
    serde_json::from_slice(&text)
        .map(Some)
        .with_context(|| format!("{} is not readable: delete the DATA folder to start anew", path.display()))
}

/// Opens a log for appending.
///
/// # Errors
/// The file system's.
pub fn open_log(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot write the log {}", path.display()))
}

/// Cuts a log that has become too large. Its writer has it open for appending, so it goes on at the new end; what it writes during
/// the cut itself may be lost.
///
/// # Errors
/// The file system's.
pub fn bound_log(path: &Path) -> std::io::Result<()> {
    match path.metadata() {
        Ok(about) if about.len() > LOG_BYTES => {
            std::fs::copy(path, path.with_extension("log.1"))?;
            OpenOptions::new().write(true).open(path)?.set_len(0)
        }
        _ => Ok(()),
    }
}

/// The last lines of a log, from `from` (bytes) on at the earliest.
pub fn tail(path: &Path, from: u64, lines: usize) -> Vec<String> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|mut file| {
        let length = file.metadata()?.len();
        // A log that was cut meanwhile begins anew.
        let from = if from > length { 0 } else { from };
        file.seek(SeekFrom::Start(from.max(length.saturating_sub(64 << 10))))?;
        file.take(64 << 10).read_to_end(&mut text)
    });
    if read.is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    all[all.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_log_is_cut_and_its_writer_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let mut log = open_log(&path).unwrap();
        log.write_all(&vec![b'a'; LOG_BYTES as usize + 1]).unwrap();
        bound_log(&path).unwrap();
        log.write_all(b"after\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"after\n");
        assert_eq!(path.with_extension("log.1").metadata().unwrap().len(), LOG_BYTES + 1);
        log.write_all(b"one\ntwo\n").unwrap();
        bound_log(&path).unwrap();
        assert_eq!(tail(&path, 0, 2), ["one", "two"]);
        assert_eq!(tail(&path, 10, 9), ["two"]);
    }

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        assert_eq!(read_json::<u32>(&path).unwrap(), None);
        write_json(&path, &1).unwrap();
        write_json(&path, &2).unwrap();
        assert_eq!(read_json(&path).unwrap(), Some(2));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        std::fs::write(&path, b"{").unwrap();
        assert!(read_json::<u32>(&path).is_err());
    }
}
