//! `/config`, `/mode`, `/contexts` and what the server says of itself.

use super::answer::{Answer, Failed};
use super::params::{Body, Params, paged, parsed};
use super::{Shared, call};
use crate::config::{Config, Mode};
use crate::error::Error;
use crate::registry::Registry;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use std::sync::Arc;

type Asked = Query<Vec<(String, String)>>;
type Reply<T> = Result<Answer<T>, Failed>;

pub(super) async fn nothing() -> Answer<Value> {
    Answer(json!({}))
}

async fn get_config(registry: Arc<Registry>, name: Option<String>, params: Params) -> Reply<Config> {
    let in_scope = params.flag("defaultToGlobal");
    Ok(Answer(call(registry, move |r| r.config(name.as_deref(), in_scope)).await?))
}

pub(super) async fn config(State(registry): Shared, Query(params): Asked) -> Reply<Config> {
    get_config(registry, None, Params(params)).await
}

pub(super) async fn subject_config(
    State(registry): Shared,
    Path(subject): Path<String>,
    Query(params): Asked,
) -> Reply<Config> {
    get_config(registry, Some(subject), Params(params)).await
}

/// Answers what is set then; the level has the name that requests give it.
async fn set_config(registry: Arc<Registry>, name: Option<String>, body: Body) -> Reply<Value> {
    let request: Map<String, Value> = parsed(body)?;
    let config = call(registry, move |r| r.set_config(name.as_deref(), &request)).await?;
    let shown = serde_json::to_value(config).map_err(|e| Failed(Error::Store(e.to_string())))?;
    let renamed = shown.as_object().into_iter().flatten().map(|(name, value)| {
        let name = if name == "compatibilityLevel" { "compatibility" } else { name };
        (name.to_owned(), value.clone())
    });
    Ok(Answer(renamed.collect::<Map<String, Value>>().into()))
}

pub(super) async fn put_config(State(registry): Shared, body: Body) -> Reply<Value> {
    set_config(registry, None, body).await
}

pub(super) async fn put_subject_config(
    State(registry): Shared,
    Path(subject): Path<String>,
    body: Body,
) -> Reply<Value> {
    set_config(registry, Some(subject), body).await
}

pub(super) async fn delete_config(State(registry): Shared) -> Reply<Config> {
    Ok(Answer(call(registry, |r| r.delete_config(None)).await?))
}

pub(super) async fn delete_subject_config(
    State(registry): Shared,
    Path(subject): Path<String>,
) -> Reply<Config> {
    Ok(Answer(call(registry, move |r| r.delete_config(Some(&subject))).await?))
}

fn shown(mode: Option<Mode>) -> Answer<Value> {
    Answer(mode.map_or_else(|| json!({}), |mode| json!({"mode": mode.name()})))
}

async fn get_mode(registry: Arc<Registry>, name: Option<String>, params: Params) -> Reply<Value> {
    let in_scope = params.flag("defaultToGlobal");
    Ok(shown(Some(call(registry, move |r| r.mode(name.as_deref(), in_scope)).await?)))
}

pub(super) async fn mode(State(registry): Shared, Query(params): Asked) -> Reply<Value> {
    get_mode(registry, None, Params(params)).await
}

pub(super) async fn subject_mode(
    State(registry): Shared,
    Path(subject): Path<String>,
    Query(params): Asked,
) -> Reply<Value> {
    get_mode(registry, Some(subject), Params(params)).await
}

/// Answers what was sent.
async fn set_mode(registry: Arc<Registry>, name: Option<String>, params: Params, body: Body) -> Reply<Value> {
    let request: Map<String, Value> = parsed(body)?;
    let mode = match request.get("mode") {
        Some(Value::Null) => None,
        Some(Value::String(mode)) => Some(mode.clone()),
        _ => Some(String::new()),
    };
    let force = params.flag("force");
    let answer = request.get("mode").cloned();
    call(registry, move |r| r.set_mode(name.as_deref(), mode.as_deref(), force)).await?;
    Ok(Answer(json!({"mode": answer})))
}

pub(super) async fn put_mode(State(registry): Shared, Query(params): Asked, body: Body) -> Reply<Value> {
    set_mode(registry, None, Params(params), body).await
}

pub(super) async fn put_subject_mode(
    State(registry): Shared,
    Path(subject): Path<String>,
    Query(params): Asked,
    body: Body,
) -> Reply<Value> {
    set_mode(registry, Some(subject), Params(params), body).await
}

async fn remove_mode(registry: Arc<Registry>, name: Option<String>, params: Params) -> Reply<Value> {
    let recursive = params.flag("recursive");
    Ok(shown(call(registry, move |r| r.delete_mode(name.as_deref(), recursive)).await?))
}

pub(super) async fn delete_mode(State(registry): Shared, Query(params): Asked) -> Reply<Value> {
    remove_mode(registry, None, Params(params)).await
}

pub(super) async fn delete_subject_mode(
    State(registry): Shared,
    Path(subject): Path<String>,
    Query(params): Asked,
) -> Reply<Value> {
    remove_mode(registry, Some(subject), Params(params)).await
}

pub(super) async fn contexts(State(registry): Shared, Query(params): Asked) -> Reply<Vec<String>> {
    let params = Params(params);
    let page = params.page(None)?;
    let mut contexts = call(registry, Registry::contexts).await?;
    if let Some(prefix) = params.text("contextPrefix") {
        contexts.retain(|context| context.starts_with(prefix));
    }
    Ok(Answer(paged(contexts, page)))
}

pub(super) async fn delete_context(
    State(registry): Shared,
    Path(context): Path<String>,
) -> Result<StatusCode, Failed> {
    call(registry, move |r| r.delete_context(&context)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn server_id(State(registry): Shared) -> Answer<Value> {
    let clusters = json!({"kafka-cluster": registry.cluster(), "schema-registry-cluster": "schema-registry"});
    Answer(json!({"scope": {"path": [], "clusters": clusters}, "id": ""}))
}

/// Says nothing, as Confluent's where nothing is configured.
pub(super) async fn server_deployment() -> Answer<Value> {
    Answer(json!({"attributes": []}))
}

pub(super) async fn server_version() -> Answer<Value> {
    Answer(json!({"version": env!("CARGO_PKG_VERSION"), "commitId": "bd"}))
}
