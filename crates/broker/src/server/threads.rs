//! The threads that serve connections (`num.network.threads`), each with an event loop of its own.
//!
//! A connection stays with its thread. Were all threads to share one event loop, each request would wake two of them: the one
//! that serves it, and another that takes over the waiting for events. What blocks on the disk for long (creating topics,
//! looking records up far behind the end) goes to threads for blocking work; an append does not, since handing it over would
//! cost more than it takes, so a stall of the disk holds up the connections of one thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

/// Blocking work of one network thread at a time.
const BLOCKING: usize = 64;

/// Network threads; they end when this is dropped.
#[derive(Debug)]
pub(super) struct Threads {
    loops: Vec<Handle>,
    next: AtomicUsize,
    _stop: watch::Sender<()>,
}

impl Threads {
    /// Starts `n` of them, at least one.
    pub(super) fn start(n: usize) -> io::Result<Arc<Self>> {
        let (stop, stopped) = watch::channel(());
        let loops = (0..n.max(1)).map(|i| start(i, stopped.clone())).collect::<io::Result<_>>()?;
        Ok(Arc::new(Self { loops, next: AtomicUsize::new(0), _stop: stop }))
    }

    /// The event loop for the next connection.
    pub(super) fn next(&self) -> Option<&Handle> {
        self.loops.get(self.next.fetch_add(1, Relaxed) % self.loops.len().max(1))
    }
}

fn start(i: usize, mut stopped: watch::Receiver<()>) -> io::Result<Handle> {
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::Builder::new().name(format!("bd-network-{i}")).spawn(move || {
        match Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING).build() {
            Ok(runtime) => {
                let _ = sender.send(Ok(runtime.handle().clone()));
                // Until the sender is dropped.
                runtime.block_on(async { while stopped.changed().await.is_ok() {} });
                runtime.shutdown_background();
            }
            Err(error) => drop(sender.send(Err(error))),
        }
    })?;
    receiver.recv().map_err(io::Error::other)?
}
