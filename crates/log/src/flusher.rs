//! Group commit for many logs: many waiters share one fsync.
use std::sync::Arc;

use crate::{Log, LogError};

/// Settings of a [`Flusher`].
#[derive(Debug, Clone)]
pub struct FlusherConfig {
    /// Threads that fsync different logs at once, so that the file system can join their commits.
    pub threads: usize,
}

impl Default for FlusherConfig {
    fn default() -> Self {
        FlusherConfig { threads: 4 }
    }
}

/// Group commit for many logs.
pub struct Flusher {}

#[allow(unused_variables)]
impl Flusher {
    /// Starts the threads.
    pub fn start(config: FlusherConfig) -> Flusher {
        Flusher {}
    }
    /// Calls `done` with the high watermark once it is at least `offset` (an end offset: `last_offset + 1`).
    pub fn request(&self, log: &Arc<Log>, offset: i64, done: Box<dyn FnOnce(Result<i64, LogError>) + Send>) {
        done(log.sync())
    }
}
