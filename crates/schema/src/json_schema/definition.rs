//! A JSON Schema as a registry keeps it.

use super::derive;
use super::diff::{self, CompatibilityPolicy};
use super::documents::Documents;
use super::load::{self, Draft};
use super::model::Model;
use crate::SchemaText;
use crate::connect::RecordShape;
use crate::definition::{Incompatibility, InvalidSchema};
use serde_json::Value as Json;
use std::sync::Arc;

/// A parsed JSON Schema.
#[derive(Debug, Clone)]
pub struct JsonDefinition {
    json: Arc<Json>,
    pub(super) model: Arc<Model>,
}

impl JsonDefinition {
    /// Parses a schema with all that it refers to. Drafts 4, 6, 7, 2019-09 and 2020-12; 7 where `$schema` does not say.
    ///
    /// # Errors
    /// The text is no schema of its draft, or a `$ref` points nowhere. Nothing is fetched from elsewhere.
    pub fn parse(schema: &SchemaText) -> Result<Self, InvalidSchema> {
        let json: Json = serde_json::from_str(&schema.text).map_err(|e| InvalidSchema(e.to_string()))?;
        if !json.is_object() && !json.is_boolean() {
            let found = crate::failure::abridged(&schema.text).into_owned();
            return Err(InvalidSchema(format!(
                "Invalid JSON schema: expected an object or boolean at the root, found {found}"
            )));
        }
        let draft = Draft::of(&json);
        let documents = Documents::new(json.clone(), &schema.referenced, draft.id_keyword())?;
        let model = load::load(documents, draft)?;
        Ok(Self { json: Arc::new(json), model: Arc::new(model) })
    }

    pub(crate) fn canonical(&self) -> String {
        self.json.to_string()
    }

    pub(crate) fn normalized(&self) -> String {
        sorted(&self.json).to_string()
    }

    pub(crate) fn name(&self) -> Option<String> {
        match self.json.get("title")? {
            Json::String(title) => Some(title.clone()),
            other => Some(other.to_string()),
        }
    }

    /// The columns of what it describes.
    ///
    /// # Errors
    /// It holds types without counterpart, or that refer to themselves.
    pub fn shape(&self) -> Result<RecordShape, InvalidSchema> {
        let derived = derive::derive(&self.model, &self.canonical().into(), true);
        derived.map(|(shape, _)| shape).map_err(InvalidSchema)
    }

    /// What keeps this schema from accepting all that `writer` accepts.
    pub fn incompatibilities(&self, writer: &Self, policy: CompatibilityPolicy) -> Vec<Incompatibility> {
        let all = diff::differences(&writer.model, &self.model, policy);
        all.iter().filter(|d| !policy.allows(d.rule)).map(diff::Difference::to_incompatibility).collect()
    }

    /// All that changed from `writer`, as `RULE #/path`.
    #[cfg(test)]
    pub(crate) fn changes(&self, writer: &Self, policy: CompatibilityPolicy) -> Vec<String> {
        let all = diff::differences(&writer.model, &self.model, policy);
        all.iter().map(|d| format!("{} {}", d.rule, d.path())).collect()
    }
}

/// The same with the keys of every object in order.
fn sorted(json: &Json) -> Json {
    match json {
        Json::Object(object) => {
            let mut keys: Vec<&String> = object.keys().collect();
            keys.sort_unstable();
            Json::Object(keys.into_iter().map(|k| (k.clone(), sorted(&object[k]))).collect())
        }
        Json::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}
