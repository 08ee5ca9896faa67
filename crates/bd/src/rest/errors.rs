//! Errors in ksqlDB's form: an HTTP status and a body with `@type`, `error_code` and `message`.

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bd_cluster::ClusterError;
use bd_engine::EngineError;
use serde_json::{Value, json};

/// ksqlDB's code of a request that cannot be read.
const BAD_REQUEST: u32 = 40000;
/// ksqlDB's code of a statement that cannot be carried out.
const BAD_STATEMENT: u32 = 40001;
/// ksqlDB's code of a query that was sent to `/ksql`.
const QUERY_ENDPOINT: u32 = 40002;
/// ksqlDB's code of a failure inside.
pub(super) const SERVER_ERROR: u32 = 50000;

/// An error as it is answered.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    body: Value,
}

impl ApiError {
    /// The request itself cannot be read.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, body: generic(BAD_REQUEST, &message.into()) }
    }

    /// The request is understood, and cannot be met.
    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, body: generic(BAD_STATEMENT, &message.into()) }
    }

    /// Something inside failed.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, body: generic(SERVER_ERROR, &message.into()) }
    }

    /// A statement failed; `entities` are those of the statements before it.
    pub(super) fn statement(error: &EngineError, statement: &str, entities: Vec<Value>) -> Self {
        let (status, code) = match is_the_users(error) {
            true => (StatusCode::BAD_REQUEST, BAD_STATEMENT),
            false => (StatusCode::INTERNAL_SERVER_ERROR, SERVER_ERROR),
        };
        Self { status, body: of_statement(code, &error.to_string(), statement, entities) }
    }

    /// A SELECT on `/ksql`.
    pub(super) fn query_endpoint(statement: &str, entities: Vec<Value>) -> Self {
        let message = "The following statement types should be issued to the endpoint '/query-stream' (or '/query'): SELECT";
        let body = of_statement(QUERY_ENDPOINT, message, statement, entities);
        Self { status: StatusCode::BAD_REQUEST, body }
    }
}

/// Whether another statement would help.
fn is_the_users(error: &EngineError) -> bool {
    match error {
        EngineError::Sql(_) | EngineError::Statement(_) | EngineError::Unsupported(_) => true,
        EngineError::Cluster(e) => matches!(
            e,
            ClusterError::UnknownTopic(_)
                | ClusterError::TopicExists(_)
                | ClusterError::InvalidTopic { .. }
                | ClusterError::InvalidConfig { .. }
        ),
        _ => false,
    }
}

fn of_statement(code: u32, message: &str, statement: &str, entities: Vec<Value>) -> Value {
    json!({
        "@type": "statement_error",
        "error_code": code,
        "message": message,
        "statementText": statement,
        "entities": entities,
    })
}

/// An error that belongs to no statement.
pub(super) fn generic(code: u32, message: &str) -> Value {
    json!({"@type": "generic_error", "error_code": code, "message": message})
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, [(header::CONTENT_TYPE, "application/json")], self.body.to_string()).into_response()
    }
}

/// For paths that are not there.
pub(super) async fn not_found(uri: Uri) -> ApiError {
    let body = generic(40400, &format!("{} is not there", uri.path()));
    ApiError { status: StatusCode::NOT_FOUND, body }
}
