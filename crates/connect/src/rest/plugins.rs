//! `/connector-plugins`.

use super::{body, call, json_answer};
use crate::rest::connectors::configuration;
use crate::{ConnectError, Worker};
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use std::collections::HashMap;

type Parameters = Query<HashMap<String, String>>;

pub(super) async fn list(State(worker): State<Worker>, Query(query): Parameters) -> Response {
    let only = query.get("connectorsOnly").is_none_or(|v| v != "false");
    json_answer(200, &worker.plugins(only))
}

pub(super) async fn config(State(worker): State<Worker>, Path(class): Path<String>) -> Response {
    call(move || Ok(json_answer(200, &worker.plugin_config(&class)?))).await
}

pub(super) async fn validate(
    State(worker): State<Worker>,
    Path(class): Path<String>,
    bytes: Bytes,
) -> Response {
    call(move || {
        let config = configuration(&body(&bytes)?)?;
        if let Some(own) = config.get("connector.class").map(|c| c.trim()) {
            let simple =
                |name: &str| name.rsplit('.').next().unwrap_or(name).trim_end_matches("Connector").to_owned();
            if simple(own) != simple(&class) {
                return Err(ConnectError::BadRequest(format!(
                    "Included connector type {own} does not match request type {class}"
                )));
            }
        }
        Ok(json_answer(200, &worker.validate(Some(&class), &config)?.json()))
    })
    .await
}
