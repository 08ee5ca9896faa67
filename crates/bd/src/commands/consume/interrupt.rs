//! Ctrl-C ends reading in an orderly way: output is complete, offsets are committed, the group is left.

use anyhow::{Context, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by the first SIGINT or SIGTERM; the second one ends the process at once.
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    pub(super) fn new() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let set = Arc::new(AtomicBool::new(false));
        let seen = set.clone();
        // Taken over before anything is read, so that no signal is missed.
        let mut signals = {
            let _inside = runtime.enter();
            crate::roles::Signals::new()?
        };
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                runtime.block_on(async {
                    signals.next().await;
                    seen.store(true, Ordering::Relaxed);
                    signals.next().await;
                    std::process::exit(130);
                });
            })
            .context("cannot start a thread")?;
        Ok(Self(set))
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
