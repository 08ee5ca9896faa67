//! Faults that a disk shows while the program runs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::{Fs, FsFile, OpenMode};

/// A file system whose faults are switched on and off while it is used. Clones share the switches.
#[derive(Clone)]
pub struct FaultFs {
    inner: Arc<dyn Fs>,
    faults: Arc<Faults>,
}

struct Faults {
    /// Bytes by which files may still grow.
    space: AtomicU64,
    fail_sync: AtomicBool,
    fail_set_len: AtomicBool,
    /// Most bytes that one write takes.
    write_limit: AtomicUsize,
    syncs: AtomicU64,
    opened: AtomicU64,
}

impl FaultFs {
    /// Over another file system, at first without faults.
    pub fn new(inner: Arc<dyn Fs>) -> Self {
        let faults = Faults {
            space: AtomicU64::new(u64::MAX),
            fail_sync: AtomicBool::new(false),
            fail_set_len: AtomicBool::new(false),
            write_limit: AtomicUsize::new(usize::MAX),
            syncs: AtomicU64::new(0),
            opened: AtomicU64::new(0),
        };
        FaultFs { inner, faults: Arc::new(faults) }
    }

    /// Files may grow by so many bytes from now on; then the disk is full.
    pub fn set_space(&self, bytes: u64) {
        self.faults.space.store(bytes, Ordering::SeqCst);
    }

    /// From now on every fsync fails, or none.
    pub fn fail_syncs(&self, fail: bool) {
        self.faults.fail_sync.store(fail, Ordering::SeqCst);
    }

    /// From now on every truncation fails, or none.
    pub fn fail_truncations(&self, fail: bool) {
        self.faults.fail_set_len.store(fail, Ordering::SeqCst);
    }

    /// From now on one write call takes at most so many bytes.
    pub fn limit_writes(&self, bytes: usize) {
        self.faults.write_limit.store(bytes.max(1), Ordering::SeqCst);
    }

    /// How many times a file was opened or created.
    pub fn opened(&self) -> u64 {
        self.faults.opened.load(Ordering::SeqCst)
    }

    /// How many fsyncs of files and folders there were.
    pub fn syncs(&self) -> u64 {
        self.faults.syncs.load(Ordering::SeqCst)
    }
}

impl Faults {
    fn sync(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        if self.fail_sync.load(Ordering::SeqCst) {
            Err(io::Error::other("injected fsync failure"))
        } else {
            Ok(())
        }
    }
}

struct FaultFile {
    inner: Arc<dyn FsFile>,
    faults: Arc<Faults>,
}

impl FsFile for FaultFile {
    fn read_at(&self, position: u64, len: usize, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.inner.read_at(position, len, buf)
    }

    fn write_at(&self, position: u64, data: &[u8]) -> io::Result<usize> {
        let len = self.inner.len()?;
        let take = data.len().min(self.faults.write_limit.load(Ordering::SeqCst));
        let over = len.saturating_sub(position);
        let space = self.faults.space.load(Ordering::SeqCst);
        let take = take.min(usize::try_from(over.saturating_add(space)).unwrap_or(usize::MAX));
        if take == 0 && !data.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let grown = (position + take as u64).saturating_sub(len);
        if space != u64::MAX {
            self.faults.space.fetch_sub(grown, Ordering::SeqCst);
        }
        self.inner.write_at(position, data.get(..take).unwrap_or_default())
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.sync()?;
        self.inner.sync()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if self.faults.fail_set_len.load(Ordering::SeqCst) {
            return Err(io::Error::other("injected truncation failure"));
        }
        self.inner.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
}

impl Fs for FaultFs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn FsFile>> {
        self.faults.opened.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(FaultFile { inner: self.inner.open(path, mode)?, faults: self.faults.clone() }))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.inner.list(dir)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.faults.sync()?;
        self.inner.sync_dir(dir)
    }
}
