//! Kafka Connect's REST interface over a [`Worker`]: its paths, status codes and JSON.

mod connectors;
mod plugins;

use crate::{ConnectError, Worker};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use serde_json::{Value, json};

/// Kafka Connect's REST interface (port 8083 by default), with `/metrics`. Calls block on threads of their own.
pub fn router(worker: Worker) -> Router {
    Router::new()
        .route("/", get(root))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/connectors", get(connectors::list).post(connectors::create))
        .route("/connectors/", get(connectors::list).post(connectors::create))
        .route("/connectors/{name}", get(connectors::info).delete(connectors::delete))
        .route(
            "/connectors/{name}/config",
            get(connectors::config).put(connectors::put_config).patch(connectors::patch_config),
        )
        .route("/connectors/{name}/status", get(connectors::status))
        .route("/connectors/{name}/tasks", get(connectors::tasks))
        .route("/connectors/{name}/tasks/{task}/status", get(connectors::task_status))
        .route("/connectors/{name}/tasks/{task}/restart", post(connectors::restart_task))
        .route("/connectors/{name}/restart", post(connectors::restart))
        .route("/connectors/{name}/pause", put(connectors::pause))
        .route("/connectors/{name}/resume", put(connectors::resume))
        .route("/connectors/{name}/stop", put(connectors::stop))
        .route("/connectors/{name}/topics", get(connectors::topics))
        .route("/connectors/{name}/topics/reset", put(connectors::reset_topics))
        .route(
            "/connectors/{name}/offsets",
            get(connectors::offsets).patch(connectors::alter_offsets).delete(connectors::reset_offsets),
        )
        .route("/connector-plugins", get(plugins::list))
        .route("/connector-plugins/", get(plugins::list))
        .route("/connector-plugins/{class}/config", get(plugins::config))
        .route("/connector-plugins/{class}/config/validate", put(plugins::validate))
        .fallback(|| async { error(404, "HTTP 404 Not Found") })
        .method_not_allowed_fallback(|| async { error(405, "HTTP 405 Method Not Allowed") })
        .with_state(worker)
}

async fn root(State(worker): State<Worker>) -> Response {
    json_answer(200, &worker.root())
}

/// KIP-1017.
async fn health() -> Response {
    let message = "Worker has completed startup and is ready to handle requests.";
    json_answer(200, &json!({ "status": "healthy", "message": message }))
}

async fn metrics(State(worker): State<Worker>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, worker.metrics()).into_response()
}

fn json_answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn empty(status: u16) -> Response {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response()
}

/// Connect's `ErrorMessage`.
fn error(code: u16, message: &str) -> Response {
    json_answer(code, &json!({ "error_code": code, "message": message }))
}

/// Runs a call of the worker, which may block, on a thread for that.
async fn call(work: impl FnOnce() -> Result<Response, ConnectError> + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(response)) => response,
        Ok(Err(failed)) => error(failed.status(), &failed.to_string()),
        Err(failed) => error(500, &format!("the request failed: {failed}")),
    }
}

/// The JSON of a request's body.
fn body(bytes: &[u8]) -> Result<Value, ConnectError> {
    serde_json::from_slice(bytes).map_err(|e| ConnectError::BadRequest(format!("the body is no JSON: {e}")))
}
