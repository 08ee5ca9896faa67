//! Removes the folders of deleted partitions in the background, some time after they were moved out of the way.

use parking_lot::{Condvar, Mutex};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

#[derive(Default)]
struct State {
    /// Folders to remove, and when.
    waiting: Vec<(Instant, PathBuf)>,
    thread: Option<JoinHandle<()>>,
    stopped: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A thread that exists while there is something to remove.
#[derive(Default)]
pub(super) struct Janitor(Arc<Shared>);

impl Janitor {
    /// Has folders removed after a time. What is left at the end of the process is removed after its next start.
    pub(super) fn remove(&self, folders: Vec<PathBuf>, after: Duration) {
        if folders.is_empty() {
            return;
        }
        let due = Instant::now().checked_add(after);
        let Some(due) = due else { return };
        let mut state = self.0.state.lock();
        if state.stopped {
            return;
        }
        state.waiting.extend(folders.into_iter().map(|folder| (due, folder)));
        if state.thread.is_none() {
            let shared = Arc::clone(&self.0);
            let started = std::thread::Builder::new().name("bd-janitor".into()).spawn(move || shared.run());
            match started {
                Ok(thread) => state.thread = Some(thread),
                Err(error) => tracing::warn!(%error, "deleted topics stay on the disk until the next start"),
            }
        }
        self.0.changed.notify_one();
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        let thread = {
            let mut state = self.0.state.lock();
            state.stopped = true;
            self.0.changed.notify_one();
            state.thread.take()
        };
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self) {
        let mut state = self.state.lock();
        loop {
            let next = state.waiting.iter().enumerate().min_by_key(|(_, (due, _))| *due);
            let Some((slot, due)) = next.map(|(slot, (due, _))| (slot, *due)).filter(|_| !state.stopped)
            else {
                state.thread = None;
                return;
            };
            if due > Instant::now() {
                self.changed.wait_until(&mut state, due);
                continue;
            }
            let (_, folder) = state.waiting.swap_remove(slot);
            parking_lot::MutexGuard::unlocked(&mut state, || match std::fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(folder = %folder.display(), %error, "cannot remove a deleted partition");
                }
                _ => {}
            });
        }
    }
}
