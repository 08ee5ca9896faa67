//! Files that are opened when they are used and closed again when too many others are, so that thousands of logs need few
//! descriptors.
//!
//! All logs of the process share one limit. Which file is closed is decided by a clock: each open file has a mark that its
//! use sets; the hand clears marks as it passes and closes the first file without one. Files with unsynced bytes stay open,
//! so that their fsync hears of every failed write.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::{Mutex, RwLock};

use crate::{Fs, FsFile, LogError, OpenMode, files};

/// Files kept open at most while the system's limit is unknown.
const DEFAULT_LIMIT: usize = 1000;
/// Never fewer, or every read would open its file.
const LEAST_LIMIT: usize = 16;

/// The open files of all logs of the process.
struct Clock {
    limit: AtomicUsize,
    ring: Mutex<VecDeque<Weak<Handle>>>,
}

fn clock() -> &'static Clock {
    static CLOCK: OnceLock<Clock> = OnceLock::new();
    CLOCK.get_or_init(|| {
        // A third of what the process may open: sockets and the rest of the program need theirs.
        let system = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let limit = system.map_or(DEFAULT_LIMIT, |n| usize::try_from(n / 3).unwrap_or(DEFAULT_LIMIT));
        Clock { limit: AtomicUsize::new(limit.clamp(LEAST_LIMIT, 4096)), ring: Mutex::default() }
    })
}

/// Bounds the files that all logs of this process keep open together (at least 16). Without it: a third of the process's
/// limit of open files (`ulimit -n`), at most 4096. Files being read, written or fsynced at that moment may come on top.
pub fn set_max_open_files(files: usize) {
    clock().limit.store(files.max(LEAST_LIMIT), Ordering::Relaxed);
    clock().turn();
}

/// How many files the logs of this process keep open now, for metrics; those of dropped logs may count for a while.
pub fn open_files() -> usize {
    clock().ring.lock().len()
}

impl Clock {
    fn add(&self, handle: &Arc<Handle>) {
        self.ring.lock().push_back(Arc::downgrade(handle));
        self.turn();
    }

    /// Closes files until they are as few as they may be, or all are in use.
    fn turn(&self) {
        let limit = self.limit.load(Ordering::Relaxed);
        let mut closed = Vec::new();
        let mut ring = self.ring.lock();
        // Twice around: the first pass may only clear marks.
        let mut passes = ring.len() * 2;
        while ring.len() > limit && passes > 0 {
            passes -= 1;
            let Some(weak) = ring.pop_front() else { break };
            let Some(handle) = weak.upgrade() else { continue };
            let used = handle.used.swap(false, Ordering::Relaxed);
            // Somebody who opens it right now holds the lock: then it is in use.
            match handle.open.try_write().filter(|_| !used && !handle.unsynced.load(Ordering::Acquire)) {
                Some(mut open) => closed.extend(open.take()),
                None => ring.push_back(weak),
            }
        }
        drop(ring);
        drop(closed); // close(2) happens outside of the lock
    }
}

/// A file of a log, open or not.
pub(crate) struct Handle {
    fs: Arc<dyn Fs>,
    dir: Arc<Path>,
    name: Name,
    open: RwLock<Option<Arc<dyn FsFile>>>,
    used: AtomicBool,
    unsynced: AtomicBool,
}

/// The file's name; paths are made when they are needed, since there are many files.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Name {
    Fixed(&'static str),
    Offset(i64, &'static str),
}

impl Handle {
    /// A file that exists already, to be opened on its first use.
    pub(crate) fn new(fs: &Arc<dyn Fs>, dir: &Arc<Path>, name: Name) -> Arc<Handle> {
        Arc::new(Handle {
            fs: fs.clone(),
            dir: dir.clone(),
            name,
            open: RwLock::new(None),
            used: AtomicBool::new(false),
            unsynced: AtomicBool::new(false),
        })
    }

    /// Creates the file, empty.
    pub(crate) fn create(fs: &Arc<dyn Fs>, dir: &Arc<Path>, name: Name) -> Result<Arc<Handle>, LogError> {
        let handle = Self::new(fs, dir, name);
        let file = fs.open(&handle.path(), OpenMode::Create);
        *handle.open.write() = Some(file.map_err(|e| LogError::io("create", &handle.path(), e))?);
        clock().add(&handle);
        Ok(handle)
    }

    pub(crate) fn path(&self) -> PathBuf {
        match self.name {
            Name::Fixed(name) => self.dir.join(name),
            Name::Offset(offset, extension) => files::path_of(&self.dir, offset, extension),
        }
    }

    /// The file, opened if it is not.
    pub(crate) fn get(self: &Arc<Self>) -> Result<Arc<dyn FsFile>, LogError> {
        self.used.store(true, Ordering::Relaxed);
        if let Some(file) = &*self.open.read() {
            return Ok(file.clone());
        }
        let file = {
            let mut open = self.open.write();
            if let Some(file) = &*open {
                return Ok(file.clone());
            }
            let file = self.fs.open(&self.path(), OpenMode::ReadWrite);
            open.insert(file.map_err(|e| LogError::io("open", &self.path(), e))?).clone()
        };
        clock().add(self);
        Ok(file)
    }

    /// The file, to be written: it stays open until [`Handle::sync`].
    pub(crate) fn get_to_write(self: &Arc<Self>) -> Result<Arc<dyn FsFile>, LogError> {
        self.mark_unsynced();
        self.get()
    }

    /// There are bytes to be fsynced.
    pub(crate) fn mark_unsynced(&self) {
        self.unsynced.store(true, Ordering::Release);
    }

    /// Makes what was written so far durable.
    pub(crate) fn sync(self: &Arc<Self>) -> Result<(), LogError> {
        let file = self.get()?;
        // Before the fsync, not after it: a write meanwhile says again that it is there.
        self.unsynced.store(false, Ordering::Release);
        let synced: io::Result<()> = file.sync();
        if synced.is_err() {
            self.unsynced.store(true, Ordering::Release);
        }
        synced.map_err(|e| LogError::io("fsync", &self.path(), e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_closed_beyond_the_limit_but_not_unsynced_ones() {
        let clock = Clock { limit: AtomicUsize::new(3), ring: Mutex::default() };
        let (fs, dir): (Arc<dyn Fs>, Arc<Path>) =
            (Arc::new(crate::testing::MemFs::new()), Path::new("/data").into());
        let handles: Vec<_> = (0..10)
            .map(|i| {
                fs.open(&files::path_of(&dir, i, "log"), OpenMode::Create).unwrap();
                let handle = Handle::new(&fs, &dir, Name::Offset(i, "log"));
                *handle.open.write() = Some(fs.open(&handle.path(), OpenMode::ReadWrite).unwrap());
                handle.unsynced.store(i == 4, Ordering::Release);
                handle.used.store(i % 2 == 0, Ordering::Relaxed);
                clock.add(&handle);
                handle
            })
            .collect();
        let open = || handles.iter().filter(|h| h.open.read().is_some()).count();
        assert_eq!((open(), clock.ring.lock().len()), (3, 3));
        assert!(handles[4].open.read().is_some());
        handles[4].sync().unwrap();
        clock.limit.store(0, Ordering::Relaxed);
        clock.turn();
        assert_eq!((open(), clock.ring.lock().len()), (0, 0));
        handles.iter().for_each(|h| drop(h.get().unwrap()));
        assert_eq!(open(), 10);
    }
}
