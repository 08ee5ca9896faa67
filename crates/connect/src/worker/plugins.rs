//! The plugins by class name.

use crate::ConnectError;
use crate::sdk::{Plugin, PluginKind};
use std::sync::Arc;

/// The connectors that a worker can run.
pub(crate) struct Plugins(Vec<Arc<dyn Plugin>>);

/// `source` or `sink`.
pub(crate) fn kind_name(kind: PluginKind) -> &'static str {
    match kind {
        PluginKind::Source => "source",
        PluginKind::Sink => "sink",
    }
}

impl Plugins {
    pub(crate) fn new(plugins: Vec<Arc<dyn Plugin>>) -> Self {
        Self(plugins)
    }

    pub(crate) fn all(&self) -> &[Arc<dyn Plugin>] {
        &self.0
    }

    /// The plugin of that class: its full name, an alias, or a short form (`MySqlConnector`, `MySql`).
    ///
    /// # Errors
    /// There is none; says which there are.
    pub(crate) fn find(&self, class: &str) -> Result<&Arc<dyn Plugin>, ConnectError> {
        let is = |plugin: &&Arc<dyn Plugin>| {
            let names = std::iter::once(plugin.class()).chain(plugin.aliases().iter().copied());
            names.into_iter().any(|name| {
                let simple = name.rsplit('.').next().unwrap_or(name);
                name == class || simple == class || simple.strip_suffix("Connector") == Some(class)
            })
        };
        self.0.iter().find(is).ok_or_else(|| {
            let all: Vec<&str> = self.0.iter().map(|p| p.class()).collect();
            ConnectError::BadRequest(format!(
                "Failed to find any class that implements Connector and which name matches {class}, available connectors are: {}",
                all.join(", ")
            ))
        })
    }
}
