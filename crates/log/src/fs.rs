//! The file system as a dependency, so that tests can make it fail.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How to open a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// Must exist; only read.
    Read,
    /// Must exist; read and write.
    ReadWrite,
    /// Created if absent, emptied if present; read and write.
    Create,
}

/// An open file. Positions are explicit, so one handle serves readers and the writer at once.
pub trait FsFile: Send + Sync {
    /// Appends up to `len` bytes from `position` to `buf`; fewer only at the end of the file. Returns how many.
    fn read_at(&self, position: u64, len: usize, buf: &mut Vec<u8>) -> io::Result<usize>;
    /// Writes a part of `data` at `position`; returns how many bytes, as pwrite(2) does.
    fn write_at(&self, position: u64, data: &[u8]) -> io::Result<usize>;
    /// Makes content and length durable (fdatasync).
    fn sync(&self) -> io::Result<()>;
    /// Cuts or extends (with zeros) the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// The operating system's descriptor, for calls that move bytes without this program seeing them (sendfile); `None`
    /// if it is not a real file, or one whose reads must not go past this trait.
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    /// Writes `len` zeros at `position`; blocks of the file are allocated and written then, no holes.
    fn write_zeros(&self, mut position: u64, len: u64) -> io::Result<()> {
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        let end = position + len;
        while position < end {
            let n = ZEROS.len().min((end - position) as usize);
            self.write_all_at(position, ZEROS.get(..n).unwrap_or_default())?;
            position += n as u64;
        }
        Ok(())
    }
    /// Whether the file holds nothing.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Writes all of `data` at `position`, in as many calls as it takes.
    fn write_all_at(&self, mut position: u64, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            match self.write_at(position, data) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    position += n as u64;
                    data = data.get(n..).unwrap_or_default();
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// The operations a log needs of a file system. A created, renamed or removed file is durable only after
/// [`Fs::sync_dir`] of its folder.
pub trait Fs: Send + Sync + 'static {
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn FsFile>>;
    /// Length of a file in bytes.
    fn size(&self, path: &Path) -> io::Result<u64> {
        self.open(path, OpenMode::Read)?.len()
    }
    /// Creates a folder and its missing parents.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// The files in a folder (no order), without sub-folders.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;
    /// Deletes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Renames a file, replacing the target atomically.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the entries of a folder durable (fsync of the folder).
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Lets nobody but the owner read and write a file (mode 0600), where the file system knows owners.
    fn restrict(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// The operating system's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFs;

struct RealFile(File);

impl FsFile for RealFile {
    fn read_at(&self, mut position: u64, len: usize, buf: &mut Vec<u8>) -> io::Result<usize> {
        // The spare capacity is filled directly: no zeroing of the buffer first.
        buf.reserve_exact(len);
        let before = buf.len();
        while buf.len() - before < len {
            let want = len - (buf.len() - before);
            let spare = buf.spare_capacity_mut();
            let end = want.min(spare.len());
            if end < spare.len() {
                // More capacity than asked for: read into a bounded scratch so that no byte beyond `len` is taken.
                let mut scratch = vec![0; end];
                let n = match self.0.read_at(&mut scratch, position) {
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                    other => other?,
                };
                buf.extend_from_slice(scratch.get(..n).unwrap_or_default());
                if n == 0 {
                    break;
                }
                position += n as u64;
                continue;
            }
            match rustix::io::pread(&self.0, rustix::buffer::spare_capacity(buf), position) {
                Ok(0) => break,
                Ok(n) => position += n as u64,
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(buf.len() - before)
    }

    fn write_at(&self, position: u64, data: &[u8]) -> io::Result<usize> {
        self.0.write_at(data, position)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

impl Fs for RealFs {
    fn restrict(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn FsFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::ReadWrite => {
                options.write(true);
            }
            OpenMode::Create => {
                options.write(true).create(true).truncate(true);
            }
        }
        Ok(Arc::new(RealFile(options.open(path)?)))
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        Ok(std::fs::metadata(path)?.len())
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        // Each new folder is an entry of its parent, which must be made durable too.
        if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
            self.create_dir_all(parent)?;
            match std::fs::create_dir(dir) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                _ => {}
            }
            return self.sync_dir(parent);
        }
        std::fs::create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                files.push(entry.path());
            }
        }
        Ok(files)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}
