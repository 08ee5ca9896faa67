//! Compaction while something else happens to the log: its start is deleted, or the disk fails.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bd_log::batch::BatchBuilder;
use bd_log::testing::MemFs;
use bd_log::{CleanupPolicy, Fs, FsFile, Isolation, Log, LogConfig, LogError, OpenMode};
use support::*;

type Hook = Box<dyn FnMut(&str, &Path) -> io::Result<()> + Send>;

/// A disk on which a test acts when a file is opened or removed.
#[derive(Clone, Default)]
struct Hooked {
    disk: MemFs,
    hook: Arc<Mutex<Option<Hook>>>,
}

impl Hooked {
    fn hook(&self, hook: impl FnMut(&str, &Path) -> io::Result<()> + Send + 'static) {
        *self.hook.lock().unwrap() = Some(Box::new(hook));
    }

    fn call(&self, what: &str, path: &Path) -> io::Result<()> {
        // Taken out meanwhile: what it does to the log comes here again.
        let Some(mut hook) = self.hook.lock().unwrap().take() else { return Ok(()) };
        let result = hook(what, path);
        self.hook.lock().unwrap().get_or_insert(hook);
        result
    }
}

impl Fs for Hooked {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn FsFile>> {
        self.call("open", path)?;
        self.disk.open(path, mode)
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir_all(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.disk.list(dir)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call("remove", path)?;
        self.disk.remove(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }
}

fn compacted() -> LogConfig {
    LogConfig { cleanup_policy: CleanupPolicy::Compact, min_cleanable_dirty_ratio: 0.0, ..config() }
}

/// Few keys in several segments; only the last segments hold what counts.
fn fill(log: &Log) {
    for i in 0..60 {
        let mut batch = BatchBuilder::new();
        let (key, value) = (format!("key {}", i % 3), format!("{i} {}", "-".repeat(60)));
        batch.append(1, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
        put(log, batch.build());
    }
}

fn segments(fs: &Hooked) -> Vec<PathBuf> {
    let mut logs = fs.list(Path::new(DIR)).unwrap();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    logs
}

/// The log, opened anew, so that it opens its files when it uses them.
fn reopened(fs: &Hooked) -> Arc<Log> {
    let (log, _) = open(fs, compacted()).unwrap();
    fill(&log);
    log.close().unwrap();
    Arc::new(open(fs, compacted()).unwrap().0)
}

#[test]
fn records_deleted_before_compaction_comes_to_them_do_not_fail_it() {
    let fs = Hooked::default();
    let log = reopened(&fs);
    let logs = segments(&fs);
    let (second, deleting) = (logs[1].clone(), log.clone());
    let to = log.end_offset() - 20;
    fs.hook(move |what, path| {
        if what == "open" && path == second && deleting.start_offset() < to {
            deleting.delete_records_before(to).unwrap();
        }
        Ok(())
    });
    let done = log.compact(10).unwrap();
    assert_eq!(log.start_offset(), to, "the hook was never called: {done:?}");
    // The rest is compacted by the next run.
    log.compact(20).unwrap();
    let keys: Vec<_> = keyed_records(&log, to, Isolation::HighWatermark);
    assert!(keys.len() < 20 && keys.len() >= 3, "{keys:?}");
}

#[test]
fn old_segments_that_could_not_be_deleted_do_not_come_back() {
    let fs = Hooked::default();
    let log = reopened(&fs);
    log.compact(5).unwrap(); // now they are so small that several become one
    fill(&log);
    let failing = segments(&fs);
    fs.hook(move |what, path| match what == "remove" && failing[1..].iter().any(|log| log == path) {
        true => Err(io::Error::other("the disk does not want to")),
        false => Ok(()),
    });
    assert!(matches!(log.compact(10), Err(LogError::Poisoned { .. } | LogError::Io { .. })));
    // Whatever is done to the log after that, compaction again first of all.
    let _ = log.compact(20);
    let mut batch = BatchBuilder::new();
    batch.append(1, Some(b"key 0"), Some(b"last"), &[]);
    let _ = log.append(batch.build(), 0).map(|_| log.sync());
    *fs.hook.lock().unwrap() = None;
    let _ = log.compact(30);
    let seen = keyed_records(&log, 0, Isolation::HighWatermark);
    drop(log);
    let (log, _) = open(&fs, compacted()).unwrap();
    let after = keyed_records(&log, 0, Isolation::HighWatermark);
    assert!(after.windows(2).all(|pair| pair[0].0 < pair[1].0), "{after:?}");
    assert_eq!(after, seen, "what a reader sees after the restart");
    assert!(bd_log::inspect::verify(Arc::new(fs), Path::new(DIR)).unwrap().is_sound());
}

#[test]
fn a_segment_of_which_compaction_left_nothing_does_not_keep_those_behind_it_from_expiring() {
    let fs = Hooked::default();
    // So few bytes to a segment that groups of one are all there is.
    let both = || LogConfig {
        cleanup_policy: CleanupPolicy::CompactAndDelete,
        retention_ms: Some(1_000),
        segment_bytes: 100,
        min_cleanable_dirty_ratio: 0.0,
        ..config()
    };
    let (log, _) = open(&fs, both()).unwrap();
    for i in 0..6 {
        let mut batch = BatchBuilder::new();
        let key = if i < 2 { "superseded".to_owned() } else { format!("key {}", i / 3) };
        batch.append(i, Some(key.as_bytes()), Some(b"value"), &[]);
        put(&log, batch.build());
    }
    log.compact(10).unwrap();
    let empty = |path: &PathBuf| fs.size(path).unwrap() == 0;
    assert!(empty(&segments(&fs)[0]), "the case is not there: {:?}", segments(&fs));
    let deleted = log.apply_retention(100_000).unwrap();
    assert_eq!(deleted.start_offset, log.end_offset(), "{deleted:?}");
}
