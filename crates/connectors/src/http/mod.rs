//! Being written.

use bd_connect::sdk::Plugin;
use std::sync::Arc;

/// The connectors of this module.
pub fn plugins() -> Vec<Arc<dyn Plugin>> {
    Vec::new()
}
