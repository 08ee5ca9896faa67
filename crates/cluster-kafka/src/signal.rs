//! A flag that a thread waits for.

use parking_lot::{Condvar, Mutex};
use std::time::Instant;

/// Raised by librdkafka's threads, awaited by the caller's. Raising it twice is raising it once.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    /// Wakes the one who waits, or spares the next one the wait.
    pub(crate) fn raise(&self) {
        *self.raised.lock() = true;
        self.changed.notify_all();
    }

    /// Lowers the flag. Look for work after this, not before, so that none is missed.
    pub(crate) fn lower(&self) {
        *self.raised.lock() = false;
    }

    /// Waits until it is raised (`true`) or the time has come.
    pub(crate) fn wait_until(&self, deadline: Instant) -> bool {
        let mut raised = self.raised.lock();
        while !*raised {
            if self.changed.wait_until(&mut raised, deadline).timed_out() {
                return *raised;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn raising_wakes_the_one_who_waits() {
        let signal = Arc::new(Signal::default());
        let raise = signal.clone();
        let thread = std::thread::spawn(move || raise.raise());
        assert!(signal.wait_until(Instant::now() + Duration::from_secs(60)));
        thread.join().unwrap();
    }

    #[test]
    fn a_raised_signal_needs_no_wait_until_it_is_lowered() {
        let signal = Signal::default();
        signal.raise();
        assert!(signal.wait_until(Instant::now()));
        signal.lower();
        assert!(!signal.wait_until(Instant::now()));
    }
}
