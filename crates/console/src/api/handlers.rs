//! The JSON API's handlers. What blocks runs on blocking threads.

use super::errors::ApiError;
use super::same_origin;
use crate::console::{Console, Shared};
use crate::dashboard::Range;
use crate::{feed, panel, topics};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

type Answer = Result<Json<Value>, ApiError>;

/// Runs what blocks.
async fn blocking<T: Send + 'static>(
    console: Console,
    work: impl FnOnce(&Arc<Shared>) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(move || work(&console.shared)).await;
    let ended = |_| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the request's thread ended by a panic");
    done.map_err(ended)?
}

pub(super) async fn health() -> &'static str {
    "ok"
}

pub(super) async fn info(State(console): State<Console>) -> Json<Value> {
    let shared = &console.shared;
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "cluster": shared.cluster.name(),
        "roles": {
            "engine": shared.engine.is_some(),
            "connect": shared.connect.is_some(),
            "search": shared.search.is_some(),
        },
        "dashboards": names(shared),
    }))
}

fn names(shared: &Shared) -> Vec<Value> {
    let named = shared.dashboards.values();
    named.map(|d| json!({"name": d.name, "title": d.title, "description": d.description})).collect()
}

pub(super) async fn dashboards(State(console): State<Console>) -> Json<Value> {
    Json(json!({"dashboards": names(&console.shared)}))
}

pub(super) async fn dashboard(State(console): State<Console>, Path(name): Path<String>) -> Answer {
    let found = console.shared.dashboards.get(&name).ok_or_else(|| no_dashboard(&console, &name))?;
    Ok(Json(panel::definition(found)))
}

fn no_dashboard(console: &Console, name: &str) -> ApiError {
    let known: Vec<&str> = console.shared.dashboards.keys().map(String::as_str).collect();
    ApiError::missing(match known.is_empty() {
        true => format!("there is no dashboard {name}, nor any other: the configuration names none"),
        false => format!("there is no dashboard {name}; there are: {}", known.join(", ")),
    })
}

pub(super) async fn topics(State(console): State<Console>) -> Answer {
    blocking(console, |shared| shared.topic_rows().map(Json).map_err(ApiError::role)).await
}

#[derive(Deserialize)]
pub(super) struct MessagesQuery {
    n: Option<usize>,
    partition: Option<i32>,
    offset: Option<i64>,
}

pub(super) async fn messages(
    State(console): State<Console>,
    Path(name): Path<String>,
    Query(query): Query<MessagesQuery>,
) -> Answer {
    if query.offset.is_some() && query.partition.is_none() {
        return Err(ApiError::bad("offset needs a partition: offsets count within one"));
    }
    let asked =
        topics::Asked { count: query.n.unwrap_or(50), partition: query.partition, offset: query.offset };
    blocking(console, move |shared| {
        let found = shared.messages(&name, &asked)?;
        found.map(Json).ok_or_else(|| ApiError::missing(format!("topic {name} does not exist")))
    })
    .await
}

pub(super) async fn connectors(State(console): State<Console>) -> Answer {
    blocking(console, |shared| shared.connector_rows().map(Json).map_err(ApiError::role)).await
}

pub(super) async fn restart(
    State(console): State<Console>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Answer {
    if !same_origin::allowed(&headers) {
        let problem = "this request does not come from the console's own pages (its Origin is not this host)";
        return Err(ApiError::new(StatusCode::FORBIDDEN, problem));
    }
    blocking(console, move |shared| {
        let connect = shared.connect.as_ref().ok_or_else(|| ApiError::missing("there is no connect role"))?;
        connect.restart(&name)?;
        Ok(Json(json!({"restarted": name})))
    })
    .await
}

pub(super) async fn queries(State(console): State<Console>) -> Answer {
    blocking(console, |shared| shared.query_rows().map(Json).map_err(ApiError::role)).await
}

pub(super) async fn query(State(console): State<Console>, Path(id): Path<String>) -> Answer {
    blocking(console, move |shared| {
        let engine = shared.engine.as_ref().ok_or_else(|| ApiError::missing("there is no engine role"))?;
        Ok(Json(engine.query(&id)?))
    })
    .await
}

#[derive(Deserialize)]
pub(super) struct StreamQuery {
    page: String,
    name: Option<String>,
    range: Option<String>,
    partition: Option<i32>,
    n: Option<usize>,
}

pub(super) async fn stream(
    State(console): State<Console>,
    Query(query): Query<StreamQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let asked = asked(&console, query)?;
    let viewing = console.shared.feeds.view(&asked, &console.shared);
    let busy = || {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too many pages are being watched; try again later")
    };
    let viewing = viewing.ok_or_else(busy)?;
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok());
    Ok(feed::response(viewing, last))
}

fn asked(console: &Console, query: StreamQuery) -> Result<feed::Asked, ApiError> {
    let name = |what: &str| {
        query.name.clone().ok_or_else(|| ApiError::bad(format!("name is missing: which {what}")))
    };
    Ok(match query.page.as_str() {
        "dashboard" => {
            let name = name("dashboard")?;
            let found = console.shared.dashboards.get(&name).ok_or_else(|| no_dashboard(console, &name))?;
            let range = match query.range.as_deref() {
                Some(range) => Range::parse(range).map_err(|e| ApiError::bad(format!("range: {e}")))?,
                None => found.range,
            };
            feed::Asked::Dashboard { name, range }
        }
        "topics" => feed::Asked::Topics,
        "topic" => feed::Asked::Topic {
            name: name("topic")?,
            partition: query.partition,
            count: query.n.unwrap_or(50).clamp(1, 200),
        },
        "connectors" => feed::Asked::Connectors,
        "queries" => feed::Asked::Queries,
        other => {
            let expected = "dashboard, topics, topic, connectors or queries";
            return Err(ApiError::bad(format!("page: expected {expected}, not {other}")));
        }
    })
}
