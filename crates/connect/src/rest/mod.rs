//! Kafka Connect's REST interface over a [`Worker`].

use crate::Worker;
use axum::Router;

/// Kafka Connect's REST interface (port 8083 by default). Calls block on threads of their own.
pub fn router(worker: Worker) -> Router {
    let _ = worker;
    Router::new()
}
