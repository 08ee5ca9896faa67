//! Where tantivy's files of one index lie: refresh without fsync, durable at a flush.
//!
//! Tantivy makes documents visible only by a commit, and a commit fsyncs. At a refresh each 200 ms that would be most of
//! the disk's work, for nothing: what is acknowledged is durable in the translog. So this directory keeps the newest
//! `meta.json` (the list of segments) in memory and fsyncs no file, until [`FlushDirectory::flush`]:
//!
//! ```text
//! commit (refresh):  segment files ─▶ page cache      meta.json ─▶ memory           files of old segments stay
//! flush:             fsync of the files that meta.json in memory names ─▶ meta.json on disk ─▶ old files go
//! ```
//! After a crash the index is as of its last flush; the translog has the rest. Files that the `meta.json` on disk does not
//! name are deleted when the index is opened.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bd_log::{Fs, FsFile, OpenMode};
use parking_lot::{Condvar, Mutex};
use tantivy::Directory;
use tantivy::directory::error::{DeleteError, LockError, OpenDirectoryError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, DirectoryLock, FileHandle, Lock, MmapDirectory, TerminatingWrite, WatchCallback,
    WatchHandle, WritePtr,
};

const META: &str = "meta.json";
const MANAGED: &str = ".managed.json";

/// See the module. Clones share everything.
#[derive(Clone)]
pub(crate) struct FlushDirectory {
    shared: Arc<Shared>,
}

struct Shared {
    dir: PathBuf,
    fs: Arc<dyn Fs>,
    mapped: MmapDirectory,
    state: Mutex<State>,
    locks: Mutex<HashSet<PathBuf>>,
    unlocked: Condvar,
}

#[derive(Default)]
struct State {
    /// `meta.json` and `.managed.json`.
    small: BTreeMap<PathBuf, Vec<u8>>,
    /// What the `meta.json` on disk names, and while it is being replaced, its successor.
    durable: Vec<Living>,
    /// Those of them that tantivy has deleted.
    doomed: HashSet<PathBuf>,
    /// Files written since and not fsynced.
    unsynced: HashSet<PathBuf>,
}

impl State {
    fn is_durable(&self, file: &Path) -> bool {
        self.durable.iter().any(|living| living.names(file))
    }
}

impl FlushDirectory {
    /// Opens a folder and removes what its last flush does not name.
    pub(crate) fn open(fs: Arc<dyn Fs>, dir: &Path) -> io::Result<FlushDirectory> {
        fs.create_dir_all(dir)?;
        let mapped = MmapDirectory::open(dir).map_err(|e| match e {
            OpenDirectoryError::IoError { io_error, .. } => io::Error::new(io_error.kind(), io_error),
            other => io::Error::other(other),
        })?;
        let mut state = State::default();
        match std::fs::read(dir.join(META)) {
            Ok(meta) => {
                state.durable.push(Living::parse(&meta)?);
                state.small.insert(META.into(), meta);
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        let mut managed = Vec::new();
        for path in fs.list(dir)? {
            let name: PathBuf = path.file_name().unwrap_or_default().into();
            if state.is_durable(&name) {
                managed.push(name);
            } else if name != Path::new(META) {
                fs.remove(&path)?;
            }
        }
        let managed = serde_json::to_vec(&managed)?;
        state.small.insert(MANAGED.into(), managed);
        let shared = Shared {
            dir: dir.to_owned(),
            fs,
            mapped,
            state: Mutex::new(state),
            locks: Mutex::default(),
            unlocked: Condvar::new(),
        };
        Ok(FlushDirectory { shared: Arc::new(shared) })
    }

    /// Makes the last commit durable and deletes what it no longer needs. The index's own thread calls it, while no commit
    /// runs; merges may.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let shared = &self.shared;
        // The meta is taken once: a merge that ends meanwhile replaces it in memory, and its files stay until then.
        let (meta, living, to_sync) = {
            let mut state = shared.state.lock();
            let Some(meta) = state.small.get(Path::new(META)).cloned() else { return Ok(()) };
            let living = Living::parse(&meta)?;
            let to_sync: Vec<PathBuf> =
                state.unsynced.iter().filter(|file| living.names(file)).cloned().collect();
            // From here on they must not be removed behind our back.
            state.durable.push(living.clone());
            (meta, living, to_sync)
        };
        for name in &to_sync {
            match shared.fs.open(&shared.dir.join(name), OpenMode::ReadWrite) {
                Ok(file) => file.sync()?,
                // Every segment may have files of kinds it does not need.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        shared.fs.sync_dir(&shared.dir)?;
        write_atomically(&*shared.fs, &shared.dir.join(META), &meta)?;
        let doomed: Vec<PathBuf> = {
            let mut state = shared.state.lock();
            for name in &to_sync {
                state.unsynced.remove(name);
            }
            state.durable = vec![living];
            let doomed: Vec<PathBuf> =
                state.doomed.iter().filter(|file| !state.is_durable(file)).cloned().collect();
            for name in &doomed {
                state.doomed.remove(name);
            }
            doomed
        };
        for name in doomed {
            match shared.fs.remove(&shared.dir.join(&name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(file = %name.display(), %error, "cannot delete a file of an index");
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The segments that a `meta.json` names, and by it their files.
#[derive(Default, Clone)]
struct Living {
    /// The id of a segment, as file names have it -> the stamp of its newest deletions.
    segments: HashMap<String, Option<u64>>,
}

impl Living {
    fn parse(meta: &[u8]) -> io::Result<Living> {
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "meta.json is not a list of segments");
        let meta: serde_json::Value = serde_json::from_slice(meta)?;
        let mut segments = HashMap::new();
        for segment in meta["segments"].as_array().ok_or_else(invalid)? {
            let id = segment["segment_id"].as_str().ok_or_else(invalid)?.replace('-', "");
            segments.insert(id, segment["deletes"]["opstamp"].as_u64());
        }
        Ok(Living { segments })
    }

    /// Whether a file belongs to them. The deletions of a segment are rewritten as `<id>.<stamp>.del`.
    fn names(&self, file: &Path) -> bool {
        let name = file.to_str().unwrap_or_default();
        let Some((id, rest)) = name.split_once('.') else { return false };
        let Some(deletes) = self.segments.get(id) else { return false };
        match rest.strip_suffix(".del") {
            Some(stamp) => deletes.is_some_and(|deletes| stamp.parse() == Ok(deletes)),
            None => !rest.ends_with(".temp"),
        }
    }
}

/// Replaces a small file durably: written aside, fsynced, renamed.
pub(crate) fn write_atomically(fs: &dyn Fs, path: &Path, content: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("new");
    let written = (|| {
        let file = fs.open(&aside, OpenMode::Create)?;
        file.write_all_at(0, content)?;
        file.sync()?;
        fs.rename(&aside, path)?;
        fs.sync_dir(path.parent().unwrap_or(Path::new(".")))
    })();
    if written.is_err() {
        // A half written file takes space that a full disk needs.
        let _ = fs.remove(&aside);
    }
    written
}

/// Appends to a file through the [`Fs`].
struct Appender {
    file: Arc<dyn FsFile>,
    position: u64,
}

impl Write for Appender {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.file.write_at(self.position, data)?;
        self.position += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for Appender {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        Ok(())
    }
}

/// Gives a lock back.
struct Held {
    shared: Arc<Shared>,
    path: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.locks.lock().remove(&self.path);
        self.shared.unlocked.notify_all();
    }
}

impl std::fmt::Debug for FlushDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FlushDirectory({})", self.shared.dir.display())
    }
}

fn is_small(path: &Path) -> bool {
    path == Path::new(META) || path == Path::new(MANAGED)
}

impl Directory for FlushDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.shared.mapped.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        let mut state = self.shared.state.lock();
        if state.is_durable(path) {
            state.doomed.insert(path.to_owned());
            return Ok(());
        }
        state.unsynced.remove(path);
        drop(state);
        self.shared.mapped.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        if is_small(path) {
            return Ok(self.shared.state.lock().small.contains_key(path));
        }
        self.shared.mapped.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let file = self
            .shared
            .fs
            .open(&self.shared.dir.join(path), OpenMode::Create)
            .map_err(|e| OpenWriteError::wrap_io_error(e, path.to_owned()))?;
        self.shared.state.lock().unsynced.insert(path.to_owned());
        Ok(BufWriter::with_capacity(32 << 10, Box::new(Appender { file, position: 0 })))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        if is_small(path) {
            let state = self.shared.state.lock();
            return state.small.get(path).cloned().ok_or(OpenReadError::FileDoesNotExist(path.to_owned()));
        }
        self.shared.mapped.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        if is_small(path) {
            self.shared.state.lock().small.insert(path.to_owned(), data.to_vec());
            return Ok(());
        }
        write_atomically(&*self.shared.fs, &self.shared.dir.join(path), data)
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        let mut locks = self.shared.locks.lock();
        while !locks.insert(lock.filepath.clone()) {
            if !lock.is_blocking {
                return Err(LockError::LockBusy);
            }
            self.shared.unlocked.wait(&mut locks);
        }
        drop(locks);
        let held = Held { shared: self.shared.clone(), path: lock.filepath.clone() };
        Ok(DirectoryLock::from(Box::new(held)))
    }

    fn watch(&self, _: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}
