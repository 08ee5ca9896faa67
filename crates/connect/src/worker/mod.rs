//! The worker: connectors, their tasks and their states.
//!
//! ```text
//!  REST ─▶ operations (one at a time) ─▶ topic of configurations
//!                   └─▶ Running: a connector and its tasks' threads ─▶ topic of states
//! ```

mod common;
mod config;
mod info;
mod janitor;
mod metrics;
mod offsets;
mod operations;
mod plugins;
mod running;
mod secrets;
mod validate;

pub use config::WorkerConfig;

use crate::ConnectError;
use crate::sdk::Plugin;
use crate::store::{ConfigStore, OffsetStore, StatusStore, Stored};
use bd_cluster::Cluster;
use bd_schema::SchemaRegistry;
use janitor::Janitor;
use parking_lot::Mutex;
use plugins::Plugins;
use running::Running;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// [`Worker::close`] does not wait longer.
const CLOSE: Duration = Duration::from_secs(2);

/// A Connect worker: runs the connectors whose configurations stand in its topic. Clones are the same worker. All calls block; they
/// may come from any thread.
#[derive(Clone)]
pub struct Worker {
    inner: Arc<Inner>,
}

struct Inner {
    cluster: Arc<dyn Cluster>,
    plugins: Plugins,
    registry: Option<Arc<dyn SchemaRegistry>>,
    config: Arc<WorkerConfig>,
    configs: ConfigStore,
    offsets: Arc<OffsetStore>,
    statuses: Arc<StatusStore>,
    /// Held by who changes anything.
    operating: Mutex<()>,
    closed: AtomicBool,
    /// The connectors that are there, also those that are stopped or failed.
    running: Mutex<BTreeMap<String, Running>>,
    janitor: Janitor,
}

impl Drop for Inner {
    /// A worker that was not closed leaves no task at work.
    fn drop(&mut self) {
        self.running.get_mut().values().for_each(Running::ask_to_stop);
    }
}

impl Worker {
    /// Creates the worker's topics where they are missing, reads them to their ends and starts the connectors that are there.
    /// Blocks: call it from a thread.
    ///
    /// # Errors
    /// The cluster's. A connector that cannot be started is no error: its status says why.
    pub fn open(
        cluster: Arc<dyn Cluster>,
        plugins: Vec<Arc<dyn Plugin>>,
        registry: Option<Arc<dyn SchemaRegistry>>,
        config: WorkerConfig,
    ) -> Result<Self, ConnectError> {
        let configs = ConfigStore::open(&cluster, &config)?;
        let offsets = Arc::new(OffsetStore::open(&cluster, &config)?);
        let statuses = Arc::new(StatusStore::open(&cluster, &config)?);
        let janitor = Janitor::start(&offsets)?;
        let worker = Self {
            inner: Arc::new(Inner {
                cluster,
                plugins: Plugins::new(plugins),
                registry,
                config: Arc::new(config),
                configs,
                offsets,
                statuses,
                operating: Mutex::new(()),
                closed: AtomicBool::new(false),
                running: Mutex::new(BTreeMap::new()),
                janitor,
            }),
        };
        let stored: BTreeMap<String, Stored> = worker.inner.configs.all();
        for (name, stored) in &stored {
            worker.inner.start(name, stored);
        }
        Ok(worker)
    }

    /// Creates the connector or gives it that configuration; one that has it already runs on untouched. The key `name` may be left
    /// out.
    ///
    /// # Errors
    /// [`ConnectError::BadRequest`] with all that is wrong with the configuration; the cluster's.
    pub fn ensure(&self, name: &str, config: BTreeMap<String, String>) -> Result<(), ConnectError> {
        self.put_config(name, config, None, false).map(|_| ())
    }

    /// Stops all tasks, waiting 2 s at most; a task that does not return in time is left behind and fenced by the next start.
    /// Changes after it are refused.
    pub fn close(&self) {
        let inner = &self.inner;
        inner.closed.store(true, Ordering::Release);
        inner.janitor.stop();
        // An operation that is under way may wait for a task; it does not keep the others from being stopped.
        let _operating = inner.operating.try_lock_for(CLOSE / 4);
        let mut running = std::mem::take(&mut *inner.running.lock());
        running.values().for_each(Running::ask_to_stop);
        let until = Instant::now() + CLOSE.min(inner.config.shutdown_timeout);
        for (name, running) in &mut running {
            for task in running.join(until) {
                tracing::warn!(connector = name, task, "a task did not stop in time and is left behind");
            }
        }
        inner.statuses.flush(Duration::from_millis(500));
    }
}
