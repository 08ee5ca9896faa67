//! Ends the process at a chosen point of progress, for crash tests of the whole program.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Fs, FsFile, OpenMode};

/// Counts the passages of one named point and kills the process (SIGKILL) at the N-th. Points of this crate are `append`
/// (a write to a segment, of which only the first half is done) and `fsync` (killed before it); others name their own,
/// such as `commit`.
///
/// ```
/// use bd_log::testing::KillSwitch;
/// let switch = KillSwitch::parse("commit:3")?;
/// switch.hit("append"); // another point: nothing
/// switch.hit("commit"); // the first of three
/// assert!(KillSwitch::parse("commit").is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug)]
pub struct KillSwitch {
    point: String,
    at: u64,
    passed: AtomicU64,
}

impl KillSwitch {
    /// From `POINT:N`, N counted from 1.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<KillSwitch, String> {
        let (point, at) =
            text.split_once(':').ok_or_else(|| format!("kill switch {text:?} is not POINT:N"))?;
        let at = at
            .parse()
            .ok()
            .filter(|at| *at > 0)
            .ok_or_else(|| format!("kill switch {text:?}: N is not 1 or more"))?;
        Ok(KillSwitch { point: point.to_owned(), at, passed: AtomicU64::new(0) })
    }

    /// Passes a point; does not return if it is the one.
    pub fn hit(&self, point: &str) {
        if self.is_due(point) {
            self.kill();
        }
    }

    fn is_due(&self, point: &str) -> bool {
        self.point == point && self.passed.fetch_add(1, Ordering::SeqCst) + 1 == self.at
    }

    fn kill(&self) -> ! {
        loop {
            // Nothing survives this, not even buffers of this program: as `kill -9` from outside.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            std::thread::park();
        }
    }
}

/// A file system that passes the points `append` and `fsync` of a [`KillSwitch`].
pub struct KillFs {
    inner: Arc<dyn Fs>,
    switch: Arc<KillSwitch>,
}

impl KillFs {
    /// Over another file system.
    pub fn new(inner: Arc<dyn Fs>, switch: Arc<KillSwitch>) -> Self {
        KillFs { inner, switch }
    }
}

struct KillFile {
    inner: Arc<dyn FsFile>,
    switch: Arc<KillSwitch>,
    is_segment: bool,
}

impl FsFile for KillFile {
    fn read_at(&self, position: u64, len: usize, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.inner.read_at(position, len, buf)
    }

    fn write_at(&self, position: u64, data: &[u8]) -> io::Result<usize> {
        if self.is_segment && self.switch.is_due("append") {
            let half = data.get(..data.len() / 2).unwrap_or_default();
            let _ = self.inner.write_all_at(position, half);
            self.switch.kill();
        }
        self.inner.write_at(position, data)
    }

    fn write_zeros(&self, position: u64, len: u64) -> io::Result<()> {
        self.inner.write_zeros(position, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.switch.hit("fsync");
        self.inner.sync()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.inner.fd()
    }
}

impl Fs for KillFs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn FsFile>> {
        let is_segment = path.extension().is_some_and(|e| e == "log");
        Ok(Arc::new(KillFile {
            inner: self.inner.open(path, mode)?,
            switch: self.switch.clone(),
            is_segment,
        }))
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
        self.switch.hit("fsync");
        self.inner.sync_dir(dir)
    }
}
