//! The routes.

mod errors;
mod handlers;
mod metrics;
mod same_origin;

use crate::assets;
use crate::console::Console;
use axum::Router;
use axum::routing::{get, post};

/// The JSON API, the event streams and the UI, to be served on a port of their own (8080 by convention).
pub fn router(console: Console) -> Router {
    Router::new()
        .route("/api/info", get(handlers::info))
        .route("/api/dashboards", get(handlers::dashboards))
        .route("/api/dashboards/{name}", get(handlers::dashboard))
        .route("/api/topics", get(handlers::topics))
        .route("/api/topics/{name}/messages", get(handlers::messages))
        .route("/api/connectors", get(handlers::connectors))
        .route("/api/connectors/{name}/restart", post(handlers::restart))
        .route("/api/queries", get(handlers::queries))
        .route("/api/queries/{id}", get(handlers::query))
        .route("/api/stream", get(handlers::stream))
        .route("/api/{*rest}", get(errors::not_found).post(errors::not_found))
        .route("/health", get(handlers::health))
        .route("/metrics", get(metrics::get))
        .fallback(assets::serve)
        .with_state(console)
}
