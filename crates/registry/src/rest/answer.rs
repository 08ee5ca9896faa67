//! What is answered: JSON, or an error.

use crate::entity::{Metadata, Reference, RuleSet};
use crate::error::Error;
use crate::registry::Found;
use crate::tags::Tagged;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

/// What an answer is, where the caller does not ask for another of the same.
pub(super) const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// An answer.
pub(super) struct Answer<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response(),
            Err(error) => Failed(Error::Store(error.to_string())).into_response(),
        }
    }
}

/// An error as an answer.
pub(super) struct Failed(pub(super) Error);

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Answer(json!({"error_code": self.0.code(), "message": self.0.to_string()}))).into_response()
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// A schema as it is, not within a JSON string.
pub(super) fn raw(schema: &str) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], schema.to_owned()).into_response()
}

/// A schema with what belongs to it; what is empty is left out.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SchemaAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<u32>,
    pub(super) guid: String,
    pub(super) schema_type: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) references: Vec<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule_set: Option<RuleSet>,
    pub(super) schema: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) schema_tags: Vec<Tagged>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_id: Option<u32>,
    /// ms since epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ts: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deleted: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) aliases: Vec<String>,
}

impl SchemaAnswer {
    /// Of a version, by subject, version and id.
    pub(super) fn of(found: &Found) -> Self {
        Self {
            subject: Some(found.subject.clone()),
            version: Some(found.version),
            id: Some(found.id),
            ..Self::schema(found)
        }
    }

    /// Of a schema, wherever it stands.
    pub(super) fn schema(found: &Found) -> Self {
        let schema = &*found.schema;
        Self {
            guid: schema.guid(),
            schema_type: schema.schema_type.name(),
            references: schema.references.to_vec(),
            metadata: schema.metadata.as_deref().cloned(),
            rule_set: schema.rule_set.as_deref().cloned(),
            schema: schema.text.to_string(),
            ts: found.time,
            deleted: found.time.is_some().then_some(found.deleted),
            ..Self::default()
        }
    }
}
