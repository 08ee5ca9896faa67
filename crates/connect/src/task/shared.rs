//! What a task's thread shares with the worker: requests one way, its state the other.

use super::TaskMetrics;
use crate::sdk::StopFlag;
use crate::store::{State, StatusStore};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
struct Requests {
    paused: bool,
    /// The thread is at its end.
    done: bool,
}

/// A task as the worker sees it.
pub(crate) struct TaskShared {
    connector: String,
    id: usize,
    statuses: Arc<StatusStore>,
    pub(crate) stop: StopFlag,
    pub(crate) metrics: TaskMetrics,
    requests: Mutex<Requests>,
    changed: Condvar,
    state: Mutex<(State, Option<String>)>,
}

impl TaskShared {
    pub(crate) fn new(connector: &str, id: usize, paused: bool, statuses: Arc<StatusStore>) -> Self {
        Self {
            connector: connector.to_owned(),
            id,
            statuses,
            stop: StopFlag::default(),
            metrics: TaskMetrics::default(),
            requests: Mutex::new(Requests { paused, done: false }),
            changed: Condvar::new(),
            state: Mutex::new((State::Unassigned, None)),
        }
    }

    pub(crate) fn state(&self) -> (State, Option<String>) {
        self.state.lock().clone()
    }

    /// Tells everybody, if it is news.
    pub(crate) fn set_state(&self, state: State, trace: Option<String>) {
        {
            let mut now = self.state.lock();
            if *now == (state, trace.clone()) {
                return;
            }
            *now = (state, trace.clone());
        }
        if !self.stop.is_set() {
            self.statuses.task(&self.connector, self.id, state, trace.as_deref());
        }
    }

    /// Asks the thread to end.
    pub(crate) fn stop(&self) {
        self.stop.set();
        let _requests = self.requests.lock();
        self.changed.notify_all();
    }

    pub(crate) fn pause(&self, paused: bool) {
        self.requests.lock().paused = paused;
        self.changed.notify_all();
    }

    /// Where a pause is asked for: says so and waits until it is over. Whether there was one.
    pub(super) fn paused(&self) -> bool {
        let mut requests = self.requests.lock();
        if !requests.paused {
            return false;
        }
        drop(requests);
        self.set_state(State::Paused, None);
        requests = self.requests.lock();
        while requests.paused && !self.stop.is_set() {
            self.changed.wait(&mut requests);
        }
        true
    }

    /// Whether a pause is asked for.
    pub(super) fn is_pausing(&self) -> bool {
        self.requests.lock().paused
    }

    /// Waits, less long where a stop comes.
    pub(super) fn wait(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut requests = self.requests.lock();
        while !self.stop.is_set() && !self.changed.wait_until(&mut requests, until).timed_out() {}
    }

    pub(super) fn done(&self) {
        self.requests.lock().done = true;
        self.changed.notify_all();
    }

    /// Waits for the thread's end; whether it came in time.
    pub(crate) fn wait_done(&self, until: Instant) -> bool {
        let mut requests = self.requests.lock();
        while !requests.done {
            if self.changed.wait_until(&mut requests, until).timed_out() {
                return requests.done;
            }
        }
        true
    }
}
