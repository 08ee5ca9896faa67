//! The routes.

use crate::console::Console;
use axum::Router;
use axum::routing::get;

/// The JSON API, the event streams and the UI, to be served on a port of their own (8080 by convention).
pub fn router(console: Console) -> Router {
    Router::new().route("/health", get(|| async { "ok" })).with_state(console)
}
