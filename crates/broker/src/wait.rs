//! Waiting for many things at once, from a thread or from a task.

use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};

/// Fired by a partition that has news; remembers that it was fired until somebody waits.
#[derive(Debug, Default)]
pub struct Signal {
    fired: Mutex<bool>,
    thread: Condvar,
    task: Notify,
}

impl Signal {
    /// Ends the present wait, or else the next one.
    pub fn fire(&self) {
        *self.fired.lock() = true;
        self.thread.notify_all();
        self.task.notify_one();
    }

    /// Blocks until fired or `deadline`; whether it was fired.
    pub fn wait_until(&self, deadline: Instant) -> bool {
        let mut fired = self.fired.lock();
        while !*fired {
            if self.thread.wait_until(&mut fired, deadline).timed_out() {
                break;
            }
        }
        std::mem::take(&mut *fired)
    }

    /// The same for a task.
    pub async fn fired_within(&self, wait: Duration) -> bool {
        let fired = tokio::time::timeout(wait, self.task.notified()).await.is_ok();
        *self.fired.lock() = false;
        fired
    }
}

/// Collects one result for each slot, in any order and from any thread, and hands all of them on when the last has come.
pub(crate) struct Gather<T> {
    inner: Mutex<Inner<T>>,
}

type Done<T> = Box<dyn FnOnce(Vec<T>) + Send>;

struct Inner<T> {
    slots: Vec<Option<T>>,
    left: usize,
    done: Option<Done<T>>,
}

impl<T: Send + 'static> Gather<T> {
    /// `done` is called at once when there is nothing to collect.
    pub(crate) fn new(slots: usize, done: Done<T>) -> Arc<Self> {
        let done = if slots == 0 {
            done(Vec::new());
            None
        } else {
            Some(done)
        };
        Arc::new(Self {
            inner: Mutex::new(Inner { slots: (0..slots).map(|_| None).collect(), left: slots, done }),
        })
    }

    /// Fills a slot; each is filled once.
    pub(crate) fn set(&self, slot: usize, value: T) {
        let mut inner = self.inner.lock();
        if let Some(place @ None) = inner.slots.get_mut(slot) {
            *place = Some(value);
            inner.left -= 1;
        }
        if inner.left == 0
            && let Some(done) = inner.done.take()
        {
            let all = std::mem::take(&mut inner.slots).into_iter().flatten().collect();
            drop(inner);
            done(all);
        }
    }
}

/// One answer from another thread, to be blocked for.
pub(crate) fn blocking<T: Send + 'static>() -> (impl FnOnce(T) + Send, impl FnOnce() -> Option<T>) {
    let (sender, receiver) = mpsc::sync_channel(1);
    (
        move |value| {
            let _ = sender.send(value);
        },
        move || receiver.recv().ok(),
    )
}

/// One answer from another thread, to be awaited.
pub(crate) fn awaited<T: Send + 'static>() -> (impl FnOnce(T) + Send, oneshot::Receiver<T>) {
    let (sender, receiver) = oneshot::channel();
    (
        move |value| {
            let _ = sender.send(value);
        },
        receiver,
    )
}

/// Milliseconds since epoch.
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| d.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_fired_before_the_wait_is_not_lost() {
        let signal = Signal::default();
        signal.fire();
        assert!(signal.wait_until(Instant::now() + Duration::from_secs(60)));
        assert!(!signal.wait_until(Instant::now()));
    }

    #[test]
    fn gather_hands_on_in_the_order_of_the_slots() {
        let (done, wait) = blocking();
        let gather = Gather::new(3, Box::new(done));
        for slot in [2, 0, 1] {
            gather.set(slot, slot);
        }
        assert_eq!(wait(), Some(vec![0, 1, 2]));
        let (done, wait) = blocking();
        Gather::<u8>::new(0, Box::new(done));
        assert_eq!(wait(), Some(vec![]));
    }
}
