//! One process a data folder.

use anyhow::{Context, Result, bail};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

const FILE: &str = "lock";

/// Held for as long as the process uses the folder. The system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct DataLock {
    _file: File,
}

impl DataLock {
    /// Makes the folder and takes it.
    ///
    /// # Errors
    /// Another process has it.
    pub(super) fn take(data: &Path) -> Result<Self> {
        std::fs::create_dir_all(data).with_context(|| format!("data: cannot make {}", data.display()))?;
        let path = data.join(FILE);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file =
            options.open(&path).with_context(|| format!("data: cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim();
                bail!(
                    "{} is used by another bd (process {}): stop it first, or choose another folder with --data",
                    data.display(),
                    if holder.is_empty() { "unknown" } else { holder }
                );
            }
            Err(TryLockError::Error(e)) => {
                return Err(e).with_context(|| format!("data: cannot lock {}", path.display()));
            }
        }
        // For the message above only.
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .context("data: cannot write the lock")?;
        writeln!(file, "{}", std::process::id()).context("data: cannot write the lock")?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_once_and_again_after_it_was_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let lock = DataLock::take(&data).unwrap();
        let error = DataLock::take(&data).unwrap_err().to_string();
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
        drop(lock);
        DataLock::take(&data).unwrap();
    }
}
