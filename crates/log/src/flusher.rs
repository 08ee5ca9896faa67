//! Group commit for many logs.
//!
//! A log with waiters is taken by one thread, which fsyncs it once for all of them; who asks meanwhile waits for the next
//! fsync of that log. So the batch grows by itself with the load, without a timer, and a single producer waits for nothing
//! but the disk. Several threads let the file system join the fsyncs of different logs.
//!
//! ```text
//! request ─▶ queue of logs, each with its waiters ─▶ thread: fsync ─▶ done(high watermark) for each waiter ─▶ indexes etc.
//! ```
//! Logs with [`crate::FlushMode::Os`] are answered at once; the flusher fsyncs them when `flush.messages` or `flush.ms` say so,
//! and when a segment is complete.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::{Log, LogError};

/// What is called when a request is answered; it must not block for long.
pub type Done = Box<dyn FnOnce(Result<i64, LogError>) + Send>;

/// Settings of a [`Flusher`].
#[derive(Debug, Clone)]
pub struct FlusherConfig {
    /// Threads, at least 1: how many logs are fsynced at once.
    pub threads: usize,
}

impl Default for FlusherConfig {
    fn default() -> Self {
        FlusherConfig { threads: 8 }
    }
}

/// Group commit for many logs: one fsync serves all who wait for that log. Dropping it answers what was requested and ends
/// the threads.
///
/// ```
/// use std::sync::{Arc, mpsc};
/// use bd_log::{Flusher, FlusherConfig, Log, LogConfig, RealFs, batch::BatchBuilder};
/// let dir = tempfile::tempdir()?;
/// let log = Arc::new(Log::open(Arc::new(RealFs), dir.path(), LogConfig::default())?.0);
/// let flusher = Flusher::start(FlusherConfig::default());
/// let mut batch = BatchBuilder::new();
/// batch.append(0, None, Some(b"x"), &[]);
/// let end = log.append(batch.build(), 0)?.last_offset + 1;
/// let (sender, receiver) = mpsc::channel();
/// flusher.request(&log, end, Box::new(move |result| sender.send(result).unwrap_or_default()));
/// assert_eq!(receiver.recv()??, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Flusher {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Told how long each fsync took.
pub type Observe = Box<dyn Fn(Duration) + Send + Sync>;

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    observe: Option<Observe>,
}

#[derive(Default)]
struct Queue {
    /// Waiters by log (its address); a log that a thread syncs right now is in here too.
    logs: HashMap<usize, Waiting>,
    /// Logs with waiters that no thread has.
    ready: VecDeque<usize>,
    /// Logs that are fsynced at a certain time.
    timed: HashMap<usize, (Arc<Log>, Instant)>,
    stopping: bool,
}

impl Queue {
    /// Puts a log into the queue with a waiter or none; whether a thread must be woken.
    fn push(&mut self, log: &Arc<Log>, done: Option<Done>) -> bool {
        let key = key_of(log);
        let before = self.ready.len();
        let entry = self.logs.entry(key).or_insert_with(|| {
            self.ready.push_back(key);
            Waiting { log: log.clone(), waiters: Vec::new() }
        });
        entry.waiters.extend(done);
        self.ready.len() > before
    }

    /// Moves logs whose time has come to the queue; gives the time of the next one.
    fn due(&mut self) -> Option<Instant> {
        if self.timed.is_empty() {
            return None;
        }
        let now = Instant::now();
        let due: Vec<_> = self.timed.extract_if(|_, (_, at)| self.stopping || *at <= now).collect();
        for (_, (log, _)) in due {
            self.push(&log, None);
        }
        self.timed.values().map(|(_, at)| *at).min()
    }
}

fn key_of(log: &Arc<Log>) -> usize {
    Arc::as_ptr(log) as usize
}

struct Waiting {
    log: Arc<Log>,
    waiters: Vec<Done>,
}

impl Flusher {
    /// Starts the threads. Should the operating system give none, each request is served by its own caller.
    pub fn start(config: FlusherConfig) -> Flusher {
        Self::start_shared(&config, Shared::default())
    }

    /// As [`Flusher::start`]; `observe` is called after each fsync of a log.
    pub fn start_observed(config: FlusherConfig, observe: Observe) -> Flusher {
        Self::start_shared(&config, Shared { observe: Some(observe), ..Shared::default() })
    }

    fn start_shared(config: &FlusherConfig, shared: Shared) -> Flusher {
        let shared = Arc::new(shared);
        let mut threads = Vec::new();
        for i in 0..config.threads.max(1) {
            let shared = shared.clone();
            match std::thread::Builder::new().name(format!("log-flusher-{i}")).spawn(move || shared.run()) {
                Ok(thread) => threads.push(thread),
                Err(error) => tracing::error!(%error, "cannot start a flusher thread"),
            }
        }
        Flusher { shared, threads }
    }

    /// Calls `done` with the log's high watermark once that is at least `offset` (an end offset: the last offset + 1), or
    /// with the error of the fsync. Called at once, in this thread, if it is so already; else in a thread of the flusher.
    /// `offset` must have been appended.
    pub fn request(&self, log: &Arc<Log>, offset: i64, done: Done) {
        let high_watermark = log.high_watermark();
        if high_watermark >= offset {
            done(Ok(high_watermark));
            return self.flush_later(log);
        }
        if self.threads.is_empty() {
            return done(log.sync());
        }
        // A log that a thread has already is looked at again by that thread.
        if self.shared.queue.lock().push(log, Some(done)) {
            self.shared.work.notify_one();
        }
    }

    /// For a log that acknowledges from the page cache: has it fsynced now or at its time, as its settings say.
    fn flush_later(&self, log: &Arc<Log>) {
        if log.durable_offset() >= log.high_watermark() || self.threads.is_empty() {
            return;
        }
        let wake = match log.flush_due() {
            true => self.shared.queue.lock().push(log, None),
            false => match log.config().flush_ms {
                Some(ms) => {
                    let at = Instant::now() + Duration::from_millis(ms.min(1 << 40));
                    let mut queue = self.shared.queue.lock();
                    let before = queue.timed.len();
                    queue.timed.entry(key_of(log)).or_insert_with(|| (log.clone(), at));
                    queue.timed.len() > before
                }
                None => false,
            },
        };
        if wake {
            self.shared.work.notify_one();
        }
    }
}

impl Shared {
    fn run(&self) {
        let mut queue = self.queue.lock();
        loop {
            let next = queue.due();
            let Some(key) = queue.ready.pop_front() else {
                if queue.stopping {
                    return;
                }
                match next {
                    Some(at) => drop(self.work.wait_until(&mut queue, at)),
                    None => self.work.wait(&mut queue),
                }
                continue;
            };
            let Some(waiting) = queue.logs.get_mut(&key) else { continue };
            let (log, waiters) = (waiting.log.clone(), std::mem::take(&mut waiting.waiters));
            drop(queue);
            let begun = Instant::now();
            let result = log.sync_records();
            if let Some(observe) = &self.observe {
                observe(begun.elapsed());
            }
            for done in waiters {
                let result = result.clone();
                // A callback that panics must not take the flusher of every other log with it.
                if catch_unwind(AssertUnwindSafe(move || done(result))).is_err() {
                    tracing::error!(dir = %log.dir().display(), "a flush callback panicked");
                }
            }
            let untidy = log.is_untidy();
            queue = self.queue.lock();
            let more = queue.logs.get(&key).is_some_and(|waiting| !waiting.waiters.is_empty());
            match more {
                true => queue.ready.push_back(key),
                false => drop(queue.logs.remove(&key)),
            }
            if untidy {
                drop(queue);
                if more {
                    self.work.notify_one(); // others go on with its waiters meanwhile
                }
                log.tidy();
                queue = self.queue.lock();
            }
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.shared.queue.lock().stopping = true;
        self.shared.work.notify_all();
        let here = std::thread::current().id();
        for thread in self.threads.drain(..) {
            // The last owner may be dropped by a callback, in a thread of its own.
            if thread.thread().id() != here && thread.join().is_err() {
                tracing::error!("a flusher thread panicked");
            }
        }
    }
}
