//! The connectors, one module each. [`plugins`] gives them all.

use bd_connect::sdk::Plugin;
use std::sync::Arc;

mod avro;
pub mod datagen;
pub mod elasticsearch;
pub mod files;
pub mod http;
pub mod mqtt;
pub mod mysql;

/// All connectors of bd.
pub fn plugins() -> Vec<Arc<dyn Plugin>> {
    let mut plugins = Vec::new();
    plugins.extend(datagen::plugins());
    plugins.extend(elasticsearch::plugins());
    plugins.extend(files::plugins());
    plugins.extend(http::plugins());
    plugins.extend(mqtt::plugins());
    plugins.extend(mysql::plugins());
    plugins
}
