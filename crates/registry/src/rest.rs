//! Confluent's REST interface.
//!
//! | path | |
//! |---|---|
//! | `GET /subjects`, `GET /subjects/{s}/versions`, `.../{v}`, `.../{v}/schema` | what there is |
//! | `POST /subjects/{s}/versions` | register |
//! | `POST /subjects/{s}` | look up |
//! | `DELETE /subjects/{s}`, `DELETE /subjects/{s}/versions/{v}` | soft; `?permanent=true` |
//! | `GET /schemas/ids/{id}`, `/schema`, `/subjects`, `/versions`; `GET /schemas/types` | by id |
//! | `GET, PUT, DELETE /config[/{s}]` | compatibility levels |
//! | `POST /compatibility/subjects/{s}/versions[/{v}]` | check |
//! | `GET /mode[/{s}]`, `GET /`, `GET /metrics` | |
//!
//! Errors are `{"error_code": N, "message": "..."}`. Calls block, so they run on blocking threads.

use crate::Level;
use crate::error::Error;
use crate::registry::{Found, Registry, Which};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// A request's body is at most so large.
const MAX_BODY: usize = 8 << 20;

type Shared = State<Arc<Registry>>;

/// The router of a registry.
pub fn router(registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/", get(async || Answer(json!({}))))
        .route("/subjects", get(subjects))
        .route("/subjects/{subject}", post(lookup).delete(delete_subject))
        .route("/subjects/{subject}/versions", get(versions).post(register))
        .route("/subjects/{subject}/versions/{version}", get(version).delete(delete_version))
        .route("/subjects/{subject}/versions/{version}/schema", get(version_schema))
        .route("/schemas/types", get(async || Answer(json!(["AVRO"]))))
        .route("/schemas/ids/{id}", get(by_id))
        .route("/schemas/ids/{id}/schema", get(by_id_schema))
        .route("/schemas/ids/{id}/subjects", get(by_id_subjects))
        .route("/schemas/ids/{id}/versions", get(by_id_versions))
        .route("/config", get(level).put(put_level))
        .route("/config/{subject}", get(subject_level).put(put_subject_level).delete(delete_subject_level))
        .route("/mode", get(async || Answer(json!({"mode": "READWRITE"}))))
        .route("/mode/{subject}", get(async || Answer(json!({"mode": "READWRITE"}))))
        .route("/compatibility/subjects/{subject}/versions", post(compatible_with_all))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(compatible))
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(async || Failed(Error::NoSuchMethod))
        .fallback(async || Failed(Error::NoSuchPath))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(registry)
}

struct Answer(Value);

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, CONTENT_TYPE)], self.0.to_string()).into_response()
    }
}

struct Failed(Error);

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Answer(json!({"error_code": self.0.code(), "message": self.0.to_string()}))).into_response()
    }
}

type Result = std::result::Result<Answer, Failed>;

/// Runs a call on a blocking thread.
async fn call<T: Send + 'static>(
    registry: Arc<Registry>,
    f: impl FnOnce(&Registry) -> std::result::Result<T, Error> + Send + 'static,
) -> std::result::Result<T, Failed> {
    match tokio::task::spawn_blocking(move || f(&registry)).await {
        Ok(result) => result.map_err(Failed),
        Err(error) => Err(Failed(Error::Store(error.to_string()))),
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Options {
    deleted: bool,
    permanent: bool,
    verbose: bool,
    #[serde(rename = "defaultToGlobal")]
    default_to_global: bool,
    #[serde(rename = "subjectPrefix")]
    subject_prefix: Option<String>,
}

#[derive(Deserialize)]
struct SchemaRequest {
    #[serde(default)]
    schema: Option<String>,
    #[serde(rename = "schemaType", default)]
    schema_type: Option<String>,
    #[serde(default)]
    references: Vec<Value>,
}

/// The schema's text of a request's body.
fn schema_of(body: &Bytes) -> std::result::Result<String, Failed> {
    let request: SchemaRequest = serde_json::from_slice(body)
        .map_err(|e| Failed(Error::InvalidRequest(format!("Unrecognized request body: {e}"))))?;
    let invalid = |reason: &str| {
        let schema = request.schema.clone().unwrap_or_default();
        Failed(Error::InvalidSchema { schema, reason: reason.into() })
    };
    if let Some(other) = request.schema_type.as_deref().filter(|t| !t.eq_ignore_ascii_case("AVRO")) {
        return Err(invalid(&format!("this registry holds AVRO only, not {other}")));
    }
    if !request.references.is_empty() {
        return Err(invalid("references are not supported by this registry yet"));
    }
    match request.schema {
        Some(text) if !text.trim().is_empty() => Ok(text),
        _ => Err(invalid("Empty schema")),
    }
}

fn shown(found: &Found) -> Value {
    let mut value = json!({"subject": found.subject, "version": found.version, "id": found.id});
    with_type(&mut value, found.schema_type.as_deref());
    value["schema"] = json!(&*found.text);
    value
}

fn with_type(value: &mut Value, schema_type: Option<&str>) {
    if let Some(schema_type) = schema_type {
        value["schemaType"] = json!(schema_type);
    }
}

async fn subjects(State(registry): Shared, Query(options): Query<Options>) -> Result {
    let mut subjects = call(registry, move |r| r.subjects(options.deleted)).await?;
    if let Some(prefix) = options.subject_prefix {
        subjects.retain(|s| s.starts_with(&prefix));
    }
    Ok(Answer(json!(subjects)))
}

async fn versions(
    State(registry): Shared,
    Path(subject): Path<String>,
    Query(options): Query<Options>,
) -> Result {
    Ok(Answer(json!(call(registry, move |r| r.versions(&subject, options.deleted)).await?)))
}

async fn register(State(registry): Shared, Path(subject): Path<String>, body: Bytes) -> Result {
    let schema = schema_of(&body)?;
    let id = call(registry, move |r| r.register_schema(&subject, &schema)).await?;
    Ok(Answer(json!({ "id": id })))
}

async fn lookup(
    State(registry): Shared,
    Path(subject): Path<String>,
    Query(options): Query<Options>,
    body: Bytes,
) -> Result {
    let schema = schema_of(&body)?;
    let found = call(registry, move |r| r.lookup(&subject, &schema, options.deleted)).await?;
    Ok(Answer(shown(&found)))
}

async fn find(
    registry: Arc<Registry>,
    subject: String,
    version: String,
    deleted: bool,
) -> std::result::Result<Found, Failed> {
    let which = Which::parse(&version).map_err(Failed)?;
    call(registry, move |r| r.version(&subject, which, deleted)).await
}

async fn version(
    State(registry): Shared,
    Path((subject, version)): Path<(String, String)>,
    Query(options): Query<Options>,
) -> Result {
    Ok(Answer(shown(&find(registry, subject, version, options.deleted).await?)))
}

async fn version_schema(
    State(registry): Shared,
    Path((subject, version)): Path<(String, String)>,
    Query(options): Query<Options>,
) -> std::result::Result<Response, Failed> {
    Ok(raw(&find(registry, subject, version, options.deleted).await?.text))
}

/// A schema as it is, not within a JSON string.
fn raw(schema: &str) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], schema.to_owned()).into_response()
}

async fn delete_subject(
    State(registry): Shared,
    Path(subject): Path<String>,
    Query(options): Query<Options>,
) -> Result {
    let versions = call(registry, move |r| r.delete_subject(&subject, options.permanent)).await?;
    Ok(Answer(json!(versions)))
}

async fn delete_version(
    State(registry): Shared,
    Path((subject, version)): Path<(String, String)>,
    Query(options): Query<Options>,
) -> Result {
    let which = Which::parse(&version).map_err(Failed)?;
    let version = call(registry, move |r| r.delete_version(&subject, which, options.permanent)).await?;
    Ok(Answer(json!(version)))
}

fn id_of(text: &str) -> std::result::Result<u32, Failed> {
    text.parse().map_err(|_| Failed(Error::NoSuchPath))
}

async fn by_id(State(registry): Shared, Path(id): Path<String>) -> Result {
    let id = id_of(&id)?;
    let stored = call(registry, move |r| r.by_id(id)).await?;
    let mut value = json!({});
    with_type(&mut value, stored.schema_type.as_deref());
    value["schema"] = json!(&*stored.text);
    Ok(Answer(value))
}

async fn by_id_schema(
    State(registry): Shared,
    Path(id): Path<String>,
) -> std::result::Result<Response, Failed> {
    let id = id_of(&id)?;
    Ok(raw(&call(registry, move |r| r.by_id(id)).await?.text))
}

async fn by_id_subjects(
    State(registry): Shared,
    Path(id): Path<String>,
    Query(options): Query<Options>,
) -> Result {
    let id = id_of(&id)?;
    let places = call(registry, move |r| r.places_of(id, options.deleted)).await?;
    let mut subjects: Vec<String> = places.into_iter().map(|(subject, _)| subject).collect();
    subjects.dedup();
    Ok(Answer(json!(subjects)))
}

async fn by_id_versions(
    State(registry): Shared,
    Path(id): Path<String>,
    Query(options): Query<Options>,
) -> Result {
    let id = id_of(&id)?;
    let places = call(registry, move |r| r.places_of(id, options.deleted)).await?;
    let shown = |(subject, version): (String, u32)| json!({"subject": subject, "version": version});
    Ok(Answer(places.into_iter().map(shown).collect()))
}

async fn level(State(registry): Shared) -> Result {
    Ok(Answer(json!({"compatibilityLevel": call(registry, |r| r.level(None, true)).await?})))
}

async fn subject_level(
    State(registry): Shared,
    Path(subject): Path<String>,
    Query(options): Query<Options>,
) -> Result {
    let level = call(registry, move |r| r.level(Some(&subject), options.default_to_global)).await?;
    Ok(Answer(json!({"compatibilityLevel": level})))
}

async fn set_level(registry: Arc<Registry>, subject: Option<String>, body: Bytes) -> Result {
    let body: Value = serde_json::from_slice(&body)
        .map_err(|e| Failed(Error::InvalidRequest(format!("Unrecognized request body: {e}"))))?;
    let level = body.get("compatibility").and_then(Value::as_str).and_then(Level::parse);
    let level = level.ok_or(Failed(Error::InvalidLevel))?;
    call(registry, move |r| r.set_level(subject.as_deref(), Some(level))).await?;
    Ok(Answer(json!({ "compatibility": level })))
}

async fn put_level(State(registry): Shared, body: Bytes) -> Result {
    set_level(registry, None, body).await
}

async fn put_subject_level(State(registry): Shared, Path(subject): Path<String>, body: Bytes) -> Result {
    set_level(registry, Some(subject), body).await
}

async fn delete_subject_level(State(registry): Shared, Path(subject): Path<String>) -> Result {
    let before = call(registry, move |r| r.set_level(Some(&subject), None)).await?;
    Ok(Answer(json!({"compatibilityLevel": before})))
}

async fn check(
    registry: Arc<Registry>,
    subject: String,
    which: Option<Which>,
    verbose: bool,
    body: Bytes,
) -> Result {
    let schema = schema_of(&body)?;
    let faults = call(registry, move |r| r.check(&subject, which, &schema)).await?;
    let mut answer = json!({"is_compatible": faults.is_empty()});
    if verbose {
        answer["messages"] = json!(faults);
    }
    Ok(Answer(answer))
}

async fn compatible(
    State(registry): Shared,
    Path((subject, version)): Path<(String, String)>,
    Query(options): Query<Options>,
    body: Bytes,
) -> Result {
    let which = Which::parse(&version).map_err(Failed)?;
    check(registry, subject, Some(which), options.verbose, body).await
}

async fn compatible_with_all(
    State(registry): Shared,
    Path(subject): Path<String>,
    Query(options): Query<Options>,
    body: Bytes,
) -> Result {
    check(registry, subject, None, options.verbose, body).await
}

async fn metrics(State(registry): Shared) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], registry.metrics()).into_response()
}
