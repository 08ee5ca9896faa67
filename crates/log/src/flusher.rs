//! Group commit for many logs.
//!
//! A log with waiters is taken by one thread, which fsyncs it once for all of them; who asks meanwhile waits for the next
//! fsync of that log. So the batch grows by itself with the load, without a timer, and a single producer waits for nothing
//! but the disk. Several threads let the file system join the fsyncs of different logs.
//!
//! ```text
//! request ─▶ queue of logs, each with its waiters ─▶ thread: log.sync() ─▶ done(high watermark) for each waiter
//! ```

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

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
        FlusherConfig { threads: 4 }
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

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
}

#[derive(Default)]
struct Queue {
    /// Waiters by log (its address); a log that a thread syncs right now is in here too.
    logs: HashMap<usize, Waiting>,
    /// Logs with waiters that no thread has.
    ready: VecDeque<usize>,
    stopping: bool,
}

struct Waiting {
    log: Arc<Log>,
    waiters: Vec<Done>,
}

impl Flusher {
    /// Starts the threads. Should the operating system give none, each request is served by its own caller.
    pub fn start(config: FlusherConfig) -> Flusher {
        let shared = Arc::new(Shared::default());
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
            return done(Ok(high_watermark));
        }
        if self.threads.is_empty() {
            return done(log.sync());
        }
        let key = Arc::as_ptr(log) as usize;
        let mut guard = self.shared.queue.lock();
        let queue = &mut *guard;
        let entry = queue.logs.entry(key).or_insert_with(|| {
            queue.ready.push_back(key);
            Waiting { log: log.clone(), waiters: Vec::new() }
        });
        entry.waiters.push(done);
        drop(guard);
        self.shared.work.notify_one();
    }
}

impl Shared {
    fn run(&self) {
        let mut queue = self.queue.lock();
        loop {
            let Some(key) = queue.ready.pop_front() else {
                if queue.stopping {
                    return;
                }
                self.work.wait(&mut queue);
                continue;
            };
            let Some(waiting) = queue.logs.get_mut(&key) else { continue };
            let (log, waiters) = (waiting.log.clone(), std::mem::take(&mut waiting.waiters));
            drop(queue);
            let result = log.sync();
            for done in waiters {
                let result = result.clone();
                // A callback that panics must not take the flusher of every other log with it.
                if catch_unwind(AssertUnwindSafe(move || done(result))).is_err() {
                    tracing::error!(dir = %log.dir().display(), "a flush callback panicked");
                }
            }
            queue = self.queue.lock();
            match queue.logs.get_mut(&key) {
                Some(waiting) if !waiting.waiters.is_empty() => queue.ready.push_back(key),
                _ => {
                    queue.logs.remove(&key);
                }
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
