//! Ctrl-C: ends a push query while there is one, else the program.

use anyhow::{Context, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const IDLE: u8 = 0;
const ACTIVE: u8 = 1;
const HIT: u8 = 2;

/// Watches for SIGINT.
pub(super) struct Interrupt(Arc<AtomicU8>);

/// While it lives, Ctrl-C is for the query.
pub(super) struct Active(Arc<AtomicU8>);

impl Interrupt {
    /// Takes over SIGINT.
    pub(super) fn watch() -> Result<Self> {
        let state = Arc::new(AtomicU8::new(IDLE));
        let of_thread = state.clone();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
        let watch = move || {
            runtime.block_on(async {
                while tokio::signal::ctrl_c().await.is_ok() {
                    // The first one ends the query; with none, or when that takes too long, the program.
                    if of_thread.compare_exchange(ACTIVE, HIT, Ordering::SeqCst, Ordering::SeqCst).is_err() {
                        std::process::exit(i32::from(crate::commands::up::INTERRUPTED));
                    }
                }
            });
        };
        std::thread::Builder::new().name("bd-interrupt".into()).spawn(watch).context("no thread")?;
        Ok(Self(state))
    }

    /// From now on Ctrl-C is for a query.
    pub(super) fn arm(&self) -> Active {
        self.0.store(ACTIVE, Ordering::SeqCst);
        Active(self.0.clone())
    }
}

impl Active {
    /// Whether it was pressed.
    pub(super) fn hit(&self) -> bool {
        self.0.load(Ordering::SeqCst) == HIT
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.store(IDLE, Ordering::SeqCst);
    }
}
