//! When the broker's own thread has something to do next.

use parking_lot::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// Milliseconds since the broker was opened, and a thread that waits for the earliest of the times it was told.
#[derive(Debug)]
pub(crate) struct Alarm {
    start: Instant,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug)]
struct Inner {
    next: i64,
    stopped: bool,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            inner: Mutex::new(Inner { next: i64::MAX, stopped: false }),
            changed: Condvar::new(),
        }
    }

    /// Milliseconds since the start; never goes back.
    pub(crate) fn now(&self) -> i64 {
        self.start.elapsed().as_millis() as i64
    }

    /// There is something to do at `at` (or before).
    pub(crate) fn at(&self, at: Option<i64>) {
        let Some(at) = at else { return };
        let mut inner = self.inner.lock();
        if at < inner.next {
            inner.next = at;
            self.changed.notify_all();
        }
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.inner.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Blocks until the earliest time told since the last call; `false` when stopped.
    pub(crate) fn wait(&self) -> bool {
        let mut inner = self.inner.lock();
        loop {
            if inner.stopped {
                return false;
            }
            let now = self.now();
            if inner.next <= now {
                inner.next = i64::MAX;
                return true;
            }
            if inner.next == i64::MAX {
                self.changed.wait(&mut inner);
            } else {
                let wait = Duration::from_millis((inner.next - now) as u64);
                self.changed.wait_for(&mut inner, wait);
            }
        }
    }
}
