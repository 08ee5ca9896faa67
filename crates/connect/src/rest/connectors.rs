//! `/connectors`.

use super::{body, call, empty, error, json_answer};
use crate::store::TargetState;
use crate::{ConnectError, Worker};
use axum::body::Bytes;
use axum::extract::{Path, Query, RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

type Parameters = Query<HashMap<String, String>>;

/// A flat object as a configuration; numbers and booleans are taken as their text.
pub(super) fn configuration(json: &Value) -> Result<BTreeMap<String, String>, ConnectError> {
    let refuse = |what: String| ConnectError::BadRequest(what);
    let object =
        json.as_object().ok_or_else(|| refuse("a JSON object of configuration keys is wanted".into()))?;
    let mut config = BTreeMap::new();
    for (key, value) in object {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Null => continue,
            _ => return Err(refuse(format!("the value of {key} must be a string"))),
        };
        config.insert(key.clone(), text);
    }
    Ok(config)
}

pub(super) async fn list(State(worker): State<Worker>, RawQuery(query): RawQuery) -> Response {
    call(move || {
        let query = query.unwrap_or_default();
        let expand: Vec<&str> = query
            .split('&')
            .filter_map(|p| p.strip_prefix("expand="))
            .flat_map(|v| v.split(',').flat_map(|v| v.split("%2C")))
            .collect();
        if expand.is_empty() {
            return Ok(json_answer(200, &json!(worker.names())));
        }
        let mut all = Map::new();
        for name in worker.names() {
            let mut one = Map::new();
            // A connector that was deleted meanwhile is left out.
            if expand.contains(&"status")
                && let Ok(status) = worker.status(&name)
            {
                one.insert("status".into(), status);
            }
            if expand.contains(&"info")
                && let Ok(info) = worker.info(&name)
            {
                one.insert("info".into(), info);
            }
            all.insert(name, Value::Object(one));
        }
        Ok(json_answer(200, &Value::Object(all)))
    })
    .await
}

fn created(worker: &Worker, name: &str, is_new: bool) -> Result<Response, ConnectError> {
    let mut response = json_answer(if is_new { 201 } else { 200 }, &worker.info(name)?);
    if is_new && let Ok(location) = HeaderValue::from_str(&format!("/connectors/{name}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

pub(super) async fn create(State(worker): State<Worker>, bytes: Bytes) -> Response {
    call(move || {
        let request = body(&bytes)?;
        let config = configuration(request.get("config").unwrap_or(&json!({})))?;
        let name = request.get("name").and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        let initial = match request.get("initial_state").and_then(Value::as_str) {
            None => None,
            Some(text) => Some(TargetState::of(text).ok_or_else(|| {
                ConnectError::BadRequest(format!("initial_state {text} is none of RUNNING, PAUSED, STOPPED"))
            })?),
        };
        worker.put_config(&name, config, initial, true)?;
        created(&worker, &name, true)
    })
    .await
}

pub(super) async fn info(State(worker): State<Worker>, Path(name): Path<String>) -> Response {
    call(move || Ok(json_answer(200, &worker.info(&name)?))).await
}

pub(super) async fn delete(State(worker): State<Worker>, Path(name): Path<String>) -> Response {
    call(move || worker.delete(&name).map(|()| empty(204))).await
}

pub(super) async fn config(State(worker): State<Worker>, Path(name): Path<String>) -> Response {
    call(move || Ok(json_answer(200, &json!(worker.config(&name)?)))).await
}

pub(super) async fn put_config(
    State(worker): State<Worker>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Response {
    call(move || {
        let is_new = worker.put_config(&name, configuration(&body(&bytes)?)?, None, false)?;
        created(&worker, &name, is_new)
    })
    .await
}

pub(super) async fn patch_config(
    State(worker): State<Worker>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Response {
    call(move || {
        let patch = body(&bytes)?;
        let patch = patch.as_object().ok_or_else(|| {
            ConnectError::BadRequest("a JSON object of configuration keys is wanted".into())
        })?;
        worker.patch_config(&name, patch)?;
        created(&worker, &name, false)
    })
    .await
}

pub(super) async fn status(State(worker): State<Worker>, Path(name): Path<String>) -> Response {
    call(move || Ok(json_answer(200, &worker.status(&name)?))).await
}

pub(super) async fn tasks(State(worker): State<Worker>, Path(name): Path<String>) -> Response {
    call(move || Ok(json_answer(200, &worker.tasks(&name)?))).await
}

/// A task's number; anything else is no path of this interface.
fn number(task: &str) -> Result<usize, ConnectError> {
    task.parse().map_err(|_| ConnectError::NotFound("HTTP 404 Not Found".into()))
}

pub(super) async fn task_status(
    State(worker): State<Worker>,
    Path((name, task)): Path<(String, String)>,
) -> Response {
    call(move || Ok(json_answer(200, &worker.task_status(&name, number(&task)?)?))).await
}

pub(super) async fn restart_task(
    State(worker): State<Worker>,
    Path((name, task)): Path<(String, String)>,
) -> Response {
    call(move || worker.restart_task(&name, number(&task)?).map(|()| empty(204))).await
}

pub(super) async fn restart(
    State(worker): State<Worker>,
    Path(name): Path<String>,
    Query(query): Parameters,
) -> Response {
    let flag = |key: &str| query.get(key).is_some_and(|v| v.is_empty() || v.eq_ignore_ascii_case("true"));
    let (tasks, only_failed) = (flag("includeTasks"), flag("onlyFailed"));
    call(move || {
        worker.restart(&name, tasks, only_failed)?;
        if tasks || only_failed {
            return Ok(json_answer(202, &worker.status(&name)?));
        }
        Ok(empty(204))
    })
    .await
}

pub(super) async fn pause(State(worker): State<Worker>, Path(name): Path<String>) -> Response {
    call(move || worker.set_target(&name, TargetState::Paused).map(|()| empty(202))).await
}

pub(super) async fn resume(State(worker): State<Worker>, Path(name): Path<String>) -> Response {
    call(move || worker.set_target(&name, TargetState::Started).map(|()| empty(202))).await
}

pub(super) async fn stop(State(worker): State<Worker>, Path(name): Path<String>) -> Response {
    call(move || worker.set_target(&name, TargetState::Stopped).map(|()| empty(204))).await
}

pub(super) async fn topics(State(worker): State<Worker>, Path(name): Path<String>) -> Response {
    call(move || Ok(json_answer(200, &worker.topics(&name)?))).await
}

pub(super) async fn reset_topics(State(worker): State<Worker>, Path(name): Path<String>) -> Response {
    call(move || worker.reset_topics(&name).map(|()| empty(200))).await
}

pub(super) async fn offsets(State(worker): State<Worker>, Path(name): Path<String>) -> Response {
    call(move || Ok(json_answer(200, &worker.offsets(&name)?))).await
}

pub(super) async fn alter_offsets(
    State(worker): State<Worker>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Response {
    call(move || Ok(json_answer(200, &worker.alter_offsets(&name, &body(&bytes)?)?))).await
}

pub(super) async fn reset_offsets(
    State(worker): State<Worker>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Response {
    if !bytes.is_empty() {
        return error(400, "DELETE of offsets takes no body");
    }
    call(move || Ok(json_answer(200, &worker.reset_offsets(&name)?))).await
}
