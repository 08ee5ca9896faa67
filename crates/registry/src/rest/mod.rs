//! Confluent's REST interface.
//!
//! | path | |
//! |---|---|
//! | `GET /subjects`, `GET /subjects/{s}/versions`, `.../{v}`, `.../{v}/schema`, `.../{v}/referencedby`, `/subjects/{s}/metadata` | what there is |
//! | `POST /subjects/{s}/versions` | register |
//! | `POST /subjects/{s}` | look up |
//! | `DELETE /subjects/{s}`, `DELETE /subjects/{s}/versions/{v}` | soft; `?permanent=true` |
//! | `GET /schemas`, `/schemas/ids/{id}`, `/schema`, `/subjects`, `/versions`; `/schemas/guids/{guid}`, `/ids`; `/schemas/types` | schemas |
//! | `GET, PUT, DELETE /config[/{s}]`, `/mode[/{s}]` | configs and modes |
//! | `POST /compatibility/subjects/{s}/versions[/{v}]` | check |
//! | `GET /contexts`, `DELETE /contexts/{c}`; `/contexts/{c}/...` | contexts; any path within one |
//! | `GET /v1/metadata/id`, `/version`, `/deployment`, `GET /`, `GET /metrics` | |
//!
//! Errors are `{"error_code": N, "message": "..."}`. Calls block, so they run on blocking threads.

mod answer;
mod content;
mod params;
mod path;
mod schemas;
mod settings;
mod subjects;

use crate::error::Error;
use crate::registry::Registry;
use crate::security::{self, Access, Role};
use answer::Failed;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::sync::Arc;

/// A request's body is at most so large.
const MAX_BODY: usize = 8 << 20;

type Shared = State<Arc<Registry>>;

/// The router of a registry that answers everybody.
pub fn router(registry: Arc<Registry>) -> Router {
    let routes = routes(registry.clone());
    rewriting(registry, routes)
}

/// Paths are rewritten before they are matched.
fn rewriting(registry: Arc<Registry>, routes: Router) -> Router {
    Router::new().fallback_service(routes).layer(from_fn_with_state(registry, path::rewrite))
}

fn routes(registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/", get(settings::nothing).post(settings::nothing))
        .route("/subjects", get(subjects::list))
        .route("/subjects/{subject}", post(subjects::lookup).delete(subjects::delete))
        .route("/subjects/{subject}/metadata", get(subjects::with_metadata))
        .route("/subjects/{subject}/versions", get(subjects::versions).post(subjects::register))
        .route(
            "/subjects/{subject}/versions/{version}",
            get(subjects::version).delete(subjects::delete_version),
        )
        .route("/subjects/{subject}/versions/{version}/schema", get(subjects::version_schema))
        .route("/subjects/{subject}/versions/{version}/referencedby", get(subjects::referenced_by))
        .route("/schemas", get(schemas::list))
        .route("/schemas/types", get(schemas::types))
        .route("/schemas/ids/{id}", get(schemas::by_id))
        .route("/schemas/ids/{id}/schema", get(schemas::by_id_schema))
        .route("/schemas/ids/{id}/subjects", get(schemas::by_id_subjects))
        .route("/schemas/ids/{id}/versions", get(schemas::by_id_versions))
        .route("/schemas/guids/{guid}", get(schemas::by_guid))
        .route("/schemas/guids/{guid}/ids", get(schemas::by_guid_ids))
        .route("/config", get(settings::config).put(settings::put_config).delete(settings::delete_config))
        .route(
            "/config/{subject}",
            get(settings::subject_config)
                .put(settings::put_subject_config)
                .delete(settings::delete_subject_config),
        )
        .route("/mode", get(settings::mode).put(settings::put_mode).delete(settings::delete_mode))
        .route(
            "/mode/{subject}",
            get(settings::subject_mode).put(settings::put_subject_mode).delete(settings::delete_subject_mode),
        )
        .route("/compatibility/subjects/{subject}/versions", post(subjects::compatible_with_all))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(subjects::compatible))
        .route("/contexts", get(settings::contexts))
        .route("/contexts/{context}", axum::routing::delete(settings::delete_context))
        .route("/v1/metadata/id", get(settings::server_id))
        .route("/v1/metadata/version", get(settings::server_version))
        .route("/v1/metadata/deployment", get(settings::server_deployment))
        .route_layer(from_fn(content::negotiate))
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(async || Failed(Error::NoSuchMethod))
        .fallback(async || Failed(Error::NoSuchPath))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(registry)
}

/// The router of a registry that answers only those who have access, what they may ask for.
pub fn secured(registry: Arc<Registry>, access: Access) -> Router {
    if access.is_open() {
        return router(registry);
    }
    let access = Arc::new(access);
    let routes = routes(registry.clone()).layer(from_fn(authorize));
    rewriting(registry, routes).layer(from_fn_with_state(access, authenticate))
}

/// Finds out what who asks may do, before anything else looks at the request.
async fn authenticate(State(access): State<Arc<Access>>, mut request: Request, next: Next) -> Response {
    // A header that is no text is none that is known.
    let given = request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    match access.role(given) {
        Ok(role) => {
            request.extensions_mut().insert(role);
            next.run(request).await
        }
        Err(error) => {
            let mut refused = Failed(error).into_response();
            for challenge in access.challenges().map(HeaderValue::from_static) {
                refused.headers_mut().append(header::WWW_AUTHENTICATE, challenge);
            }
            refused
        }
    }
}

/// Refuses what the role does not allow; the path is rewritten, as it will be matched.
async fn authorize(request: Request, next: Next) -> Response {
    let role = request.extensions().get::<Role>().copied();
    let allowed = role.ok_or(Error::Unauthorized);
    match allowed.and_then(|role| security::authorize(role, request.method(), request.uri().path())) {
        Ok(()) => next.run(request).await,
        Err(error) => Failed(error).into_response(),
    }
}

/// Runs a call on a blocking thread.
async fn call<T: Send + 'static>(
    registry: Arc<Registry>,
    f: impl FnOnce(&Registry) -> Result<T, Error> + Send + 'static,
) -> Result<T, Failed> {
    match tokio::task::spawn_blocking(move || f(&registry)).await {
        Ok(result) => result.map_err(Failed),
        Err(error) => Err(Failed(Error::Store(error.to_string()))),
    }
}

async fn metrics(State(registry): Shared) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], registry.metrics()).into_response()
}
