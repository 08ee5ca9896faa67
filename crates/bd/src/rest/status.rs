//! `/info`, `/healthcheck`, `/drain`.

use super::Service;
use super::errors::ApiError;
use super::ksql::blocking;
use axum::Json;
use axum::extract::State;
use bd_engine::runtime::engine::Query;
use bd_engine::runtime::status::QueryState;
use serde_json::{Value, json};

/// `GET /info`.
pub(super) async fn info(State(service): State<Service>) -> Json<Value> {
    let cluster =
        service.0.broker.as_ref().map_or_else(|| service.0.cluster.name(), |b| b.cluster_id().to_string());
    Json(json!({
        "KsqlServerInfo": {
            "version": env!("CARGO_PKG_VERSION"),
            "kafkaClusterId": cluster,
            "ksqlServiceId": "bd",
            "serverStatus": "RUNNING",
        }
    }))
}

/// `GET /healthcheck`.
pub(super) async fn healthcheck(State(service): State<Service>) -> Result<Json<Value>, ApiError> {
    blocking(move || {
        let cluster = service.0.cluster.topic(bd_engine::runtime::engine::COMMANDS).is_ok();
        let failed = service.0.engine.queries().iter().any(|q| matches!(q.status.state(), QueryState::Error(_)));
        let part = |healthy: bool| json!({"isHealthy": healthy});
        Json(json!({
            "isHealthy": cluster && !failed,
            "details": {"metastore": part(cluster), "kafka": part(cluster), "commandRunner": part(true), "queries": part(!failed)},
            "serverState": "READY",
        }))
    })
    .await
}

/// `POST /drain`: answers when the drain is recorded; again changes nothing.
pub(super) async fn post_drain(State(service): State<Service>) -> Result<Json<Value>, ApiError> {
    blocking(move || {
        service.0.engine.drain().map_err(|e| ApiError::internal(e.to_string()))?;
        Ok(Json(drain_state(&service.0.engine.queries())))
    })
    .await?
}

/// `GET /drain`.
pub(super) async fn get_drain(State(service): State<Service>) -> Result<Json<Value>, ApiError> {
    blocking(move || Json(drain_state(&service.0.engine.queries()))).await
}

/// `none` before a drain; then `draining` until all its queries are `completed`, or one is in `error`.
fn drain_state(queries: &[Query]) -> Value {
    let mut state = "none";
    let mut shown = Vec::new();
    for query in queries {
        let of_query = query.status.state();
        let drained = query.status.drain().is_some();
        state = match (&of_query, drained, state) {
            (QueryState::Error(_), _, _) | (_, _, "error") => "error",
            (_, false, state) => state,
            (QueryState::Completed, true, "none" | "completed") => "completed",
            _ => "draining",
        };
        let error = if let QueryState::Error(e) = &of_query { json!(e) } else { Value::Null };
        shown.push(json!({"id": query.status.id, "state": of_query.to_string(), "draining": drained, "error": error}));
    }
    json!({"state": state, "queries": shown})
}
