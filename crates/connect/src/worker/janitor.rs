//! Keeps the topic of offsets short, from a thread of its own.

use crate::ConnectError;
use crate::store::OffsetStore;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::Duration;

const PERIOD: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

/// The thread's handle; it ends with it.
pub(super) struct Janitor(Arc<Stop>);

impl Janitor {
    pub(super) fn start(offsets: &Arc<OffsetStore>) -> Result<Self, ConnectError> {
        let (stop, offsets) = (Arc::new(Stop::default()), Arc::clone(offsets));
        let of_thread = Arc::clone(&stop);
        let work = move || loop {
            let mut stopped = of_thread.stopped.lock();
            if !*stopped {
                let _ = of_thread.changed.wait_for(&mut stopped, PERIOD);
            }
            if *stopped {
                return;
            }
            drop(stopped);
            if let Err(error) = offsets.shorten() {
                tracing::warn!(%error, "the topic of offsets could not be shortened; trying again later");
            }
        };
        std::thread::Builder::new()
            .name("connect-janitor".into())
            .spawn(work)
            .map_err(|e| ConnectError::Internal(format!("cannot start a thread: {e}")))?;
        Ok(Self(stop))
    }

    pub(super) fn stop(&self) {
        *self.0.stopped.lock() = true;
        self.0.changed.notify_all();
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        self.stop();
    }
}
