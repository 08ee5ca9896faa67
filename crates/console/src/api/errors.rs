//! Errors of the JSON API: `{"error": "what failed and what to do"}`.

use crate::http::CallError;
use axum::Json;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bd_cluster::ClusterError;
use serde_json::json;

/// An error as it is answered.
#[derive(Debug)]
pub(super) struct ApiError(StatusCode, String);

impl ApiError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self(status, message.into())
    }

    pub(super) fn missing(message: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, message.into())
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, message.into())
    }

    /// A role could not be asked.
    pub(super) fn role(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_GATEWAY, message.into())
    }
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        // What the role refuses is the asker's; that it cannot be asked is nobody's here.
        let status = error.status().filter(|s| (400..500).contains(s) && *s != 401 && *s != 403);
        let status = status.and_then(|s| StatusCode::from_u16(s).ok()).unwrap_or(StatusCode::BAD_GATEWAY);
        Self(status, error.to_string())
    }
}

impl From<ClusterError> for ApiError {
    fn from(error: ClusterError) -> Self {
        let status = match error {
            ClusterError::UnknownTopic(_) => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_GATEWAY,
        };
        Self(status, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

/// For paths that are not there.
pub(super) async fn not_found(uri: Uri) -> ApiError {
    ApiError::missing(format!("{} is not there", uri.path()))
}
