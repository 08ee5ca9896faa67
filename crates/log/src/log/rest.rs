//! Logs at rest: between two uses a log need not hold files, indexes and producers.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::opened::{Marks, OpenLog, Shared};
use super::{Log, now_ms};
use crate::segment::LOG;
use crate::{Fs, LogConfig, LogError, OpenMode, Recovery, files};

/// What is known of a log at rest without looking into its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resting {
    /// First offset that can be read.
    pub start_offset: i64,
    /// The offset the next record gets; all before is durable.
    pub end_offset: i64,
    /// First offset of an open transaction, `i64::MAX` if there is none.
    pub first_unstable: i64,
    /// Bytes of all segments' logs.
    pub size_bytes: u64,
    /// Greatest timestamp in the first segment that is not empty, ms; `i64::MAX` if all are. Nothing expires before it does.
    pub oldest_ms: i64,
    /// When compaction may be due, ms since epoch, as the settings were; `i64::MAX` if appends must come first.
    pub compact_at_ms: i64,
}

impl Resting {
    /// Of a log that was never written.
    pub const EMPTY: Resting = Resting {
        start_offset: 0,
        end_offset: 0,
        first_unstable: i64::MAX,
        size_bytes: 0,
        oldest_ms: i64::MAX,
        compact_at_ms: i64::MAX,
    };

    /// As files hold it.
    pub(crate) fn numbers(&self) -> [i64; 6] {
        let size = i64::try_from(self.size_bytes).unwrap_or(i64::MAX);
        let Resting { start_offset, end_offset, first_unstable, oldest_ms, compact_at_ms, .. } = *self;
        [start_offset, end_offset, first_unstable, size, oldest_ms, compact_at_ms]
    }

    /// The counterpart of [`Resting::numbers`]; `None` of what it never gives.
    pub(crate) fn from_numbers(numbers: [i64; 6]) -> Option<Resting> {
        let [start_offset, end_offset, first_unstable, size, oldest_ms, compact_at_ms] = numbers;
        let size_bytes = u64::try_from(size).ok()?;
        let sound = 0 <= start_offset && start_offset <= end_offset && 0 <= first_unstable;
        sound.then_some(Resting {
            start_offset,
            end_offset,
            first_unstable,
            size_bytes,
            oldest_ms,
            compact_at_ms,
        })
    }
}

impl Log {
    /// Opens the log in `dir`, creating it if there is none. Only one `Log` may have a folder open at a time.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] if records known to be durable are damaged (see the crate's documentation);
    /// [`LogError::InvalidConfig`]; [`LogError::Io`], [`LogError::StorageFull`].
    pub fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        config: impl Into<Arc<LogConfig>>,
    ) -> Result<(Log, Recovery), LogError> {
        let config = config.into();
        config.validate()?;
        let log = Self::at_rest(fs, dir, config);
        let (open, recovery) = OpenLog::open(log.shared.clone())?;
        *log.open.write() = Some(open);
        Ok((log, recovery))
    }

    /// A log at rest, which was closed or at rest when `resting` was noted and not used since; see
    /// [`crate::resting`]. No file is touched. If the folder says otherwise when the log is opened, the folder is right.
    ///
    /// # Errors
    /// [`LogError::InvalidConfig`].
    pub fn open_resting(
        fs: Arc<dyn Fs>,
        dir: &Path,
        config: impl Into<Arc<LogConfig>>,
        resting: Resting,
    ) -> Result<Log, LogError> {
        let config = config.into();
        config.validate()?;
        let log = Self::at_rest(fs, dir, config);
        log.shared.marks.rest(resting);
        Ok(log)
    }

    /// The log in `dir` at rest, if its folder says that it was closed or at rest when it was last used; `None`: it has to be
    /// looked into ([`Log::open`]). Takes one small file and the length of another. For a start after a kill, when most logs were
    /// at rest: only those that were in use are recovered.
    ///
    /// # Errors
    /// [`LogError::InvalidConfig`], [`LogError::Io`].
    pub fn open_if_at_rest(
        fs: Arc<dyn Fs>,
        dir: &Path,
        config: impl Into<Arc<LogConfig>>,
    ) -> Result<Option<Log>, LogError> {
        let Some(sealed) = files::read(&*fs, &dir.join(files::CLEAN_SHUTDOWN))? else {
            let never_used = match fs.list(dir) {
                Ok(files) => files.is_empty(),
                Err(error) => error.kind() == io::ErrorKind::NotFound,
            };
            return match never_used {
                true => Self::open_resting(fs, dir, config, Resting::EMPTY).map(Some),
                false => Ok(None),
            };
        };
        let Some(Marker { base, size, mut resting }) = Marker::decode(&sealed) else { return Ok(None) };
        let active = fs.open(&files::path_of(dir, base, LOG), OpenMode::Read).and_then(|file| file.len());
        if active.ok() != Some(size) {
            return Ok(None); // written since, or not there: recovery tells
        }
        if let Some(sealed) = files::read(&*fs, &dir.join(files::START_OFFSET))? {
            // Records may be deleted without any being written.
            let Some([start]) = files::unseal_numbers(&sealed) else { return Ok(None) };
            resting.start_offset = resting.start_offset.max(start);
        }
        Self::open_resting(fs, dir, config, resting).map(Some)
    }

    fn at_rest(fs: Arc<dyn Fs>, dir: &Path, config: Arc<LogConfig>) -> Log {
        let config = parking_lot::RwLock::new(config);
        let shared = Shared { fs, dir: dir.into(), config, marks: Marks::default() };
        Log {
            shared: Arc::new(shared),
            open: Default::default(),
            resting: Default::default(),
            closed: false.into(),
            used: false.into(),
        }
    }

    /// Lets go of files, indexes and producers until the log is used again; what the next opening needs is written first, as
    /// by [`Log::close`]. `false`: it is in use right now, or cannot rest.
    ///
    /// # Errors
    /// As [`Log::close`]; the log stays open.
    pub fn rest(&self) -> Result<bool, LogError> {
        let Some(_resting) = self.resting.try_lock() else { return Ok(false) };
        let Some(mut open) = self.open.try_write() else { return Ok(false) };
        let Some(log) = open.as_ref() else { return Ok(true) };
        if log.writable().is_err() {
            return Ok(false); // closed, or poisoned, which opening it again must not hide
        }
        if log.compaction_due(now_ms())?.is_some() {
            return Ok(false);
        }
        if !log.write_shutdown()? {
            return Ok(false);
        }
        self.shared.marks.rest(log.resting(now_ms()));
        *open = None;
        Ok(true)
    }

    /// [`Log::rest`], if nothing but retention has needed its files since the last call: for a caller that comes by from time to
    /// time.
    ///
    /// # Errors
    /// As [`Log::rest`].
    pub fn rest_if_unused(&self) -> Result<bool, LogError> {
        if self.used.swap(false, Ordering::AcqRel) { Ok(false) } else { self.rest() }
    }

    /// Whether the log holds neither files nor memory for them.
    pub fn is_at_rest(&self) -> bool {
        self.open.read_recursive().is_none()
    }

    /// What [`Log::open_resting`] wants of a log that was closed cleanly or rests; `None` of one that is in use, or whose
    /// next start has to look into its files.
    pub fn resting(&self) -> Option<Resting> {
        match &*self.open.read_recursive() {
            Some(open) => open.is_closed_cleanly().then(|| open.resting(now_ms())),
            None => Some(self.shared.marks.resting()),
        }
    }

    /// Runs `act` with the log open, as a use of it.
    pub(super) fn with<T>(&self, act: impl FnOnce(&OpenLog) -> Result<T, LogError>) -> Result<T, LogError> {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        self.opened(act)
    }

    /// Runs `act` with the log open.
    pub(super) fn opened<T>(&self, act: impl FnOnce(&OpenLog) -> Result<T, LogError>) -> Result<T, LogError> {
        loop {
            // Recursive: a callback may use the log again while somebody waits to have it rest.
            if let Some(open) = &*self.open.read_recursive() {
                return act(open);
            }
            let _resting = self.resting.lock();
            if self.is_at_rest() {
                if self.closed.load(Ordering::Acquire) {
                    return Err(self.closed_error());
                }
                let (open, recovery) = OpenLog::open(self.shared.clone())?;
                if !recovery.clean {
                    tracing::warn!(dir = %self.dir().display(), ?recovery, "a log at rest had to be recovered");
                }
                *self.open.write() = Some(open);
            }
        }
    }

    pub(super) fn closed_error(&self) -> LogError {
        LogError::Closed { dir: self.dir().to_path_buf() }
    }

    /// Whether the log rests and retention has nothing to delete.
    pub(super) fn rests_within_retention(&self, now_ms: i64) -> bool {
        if !self.is_at_rest() {
            return false;
        }
        let (config, resting) = (self.config(), self.shared.marks.resting());
        let expired = config.retention_ms.is_some_and(|ms| resting.oldest_ms < now_ms.saturating_sub(ms));
        let surplus = config.retention_bytes.is_some_and(|limit| resting.size_bytes > limit);
        !expired && !surplus
    }
}

impl OpenLog {
    pub(super) fn resting(&self, now_ms: i64) -> Resting {
        let compact_at_ms = self.compaction_look_ms(now_ms);
        let segments = self.segments.read();
        let oldest = segments.values().find_map(|segment| segment.newest());
        Resting {
            start_offset: self.start_offset(),
            end_offset: self.end_offset(),
            first_unstable: self.marks.first_unstable.load(Ordering::Acquire),
            size_bytes: segments.values().map(|s| s.size()).sum(),
            oldest_ms: oldest.map_or(i64::MAX, |newest| newest.timestamp),
            compact_at_ms,
        }
    }
}

/// What `clean-shutdown` says: base and size of the last segment, and what the log is like.
pub(crate) struct Marker {
    pub(crate) base: i64,
    pub(crate) size: u64,
    pub(crate) resting: Resting,
}

impl Marker {
    pub(super) fn encode(&self) -> Vec<u8> {
        let size = i64::try_from(self.size).unwrap_or(i64::MAX);
        let [a, b, c, d, e, f] = self.resting.numbers();
        files::seal_numbers([self.base, size, a, b, c, d, e, f])
    }

    /// `None` if it is cut or damaged.
    pub(crate) fn decode(sealed: &[u8]) -> Option<Marker> {
        let [base, size, numbers @ ..] = files::unseal_numbers::<8>(sealed)?;
        Some(Marker { base, size: u64::try_from(size).ok()?, resting: Resting::from_numbers(numbers)? })
    }
}

impl Marks {
    fn rest(&self, resting: Resting) {
        let Resting { start_offset, end_offset, first_unstable, size_bytes, oldest_ms, compact_at_ms } =
            resting;
        self.start.store(start_offset, Ordering::Release);
        self.first_unstable.store(first_unstable, Ordering::Release);
        for end in [&self.end, &self.durable, &self.high_watermark] {
            end.store(end_offset, Ordering::Release);
        }
        self.resting_bytes.store(size_bytes, Ordering::Release);
        self.resting_oldest_ms.store(oldest_ms, Ordering::Release);
        self.resting_compact_at_ms.store(compact_at_ms, Ordering::Release);
    }

    fn resting(&self) -> Resting {
        Resting {
            start_offset: self.start.load(Ordering::Acquire),
            end_offset: self.end.load(Ordering::Acquire),
            first_unstable: self.first_unstable.load(Ordering::Acquire),
            size_bytes: self.resting_bytes.load(Ordering::Acquire),
            oldest_ms: self.resting_oldest_ms.load(Ordering::Acquire),
            compact_at_ms: self.resting_compact_at_ms.load(Ordering::Acquire),
        }
    }
}
