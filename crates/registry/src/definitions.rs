//! The schemas of earlier versions, parsed when they are asked for. A few are kept.

use crate::draft;
use crate::error::Error;
use crate::md5::Digest;
use crate::state::{State, Version};
use crate::subject::Qualified;
use bd_schema::{Definition, Referenced, SchemaText};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// So many are kept; when there are more, all are parsed anew.
const KEPT: usize = 256;

/// By context, in which references are looked up, and hash.
#[derive(Default)]
pub(crate) struct Definitions(Mutex<HashMap<(String, Digest), Arc<Definition>>>);

/// A version's schema as text with all that it refers to.
pub(crate) fn text(state: &State, subject: &str, version: &Version) -> Result<SchemaText, String> {
    let schema = &version.schema;
    let referenced: Vec<Referenced> = draft::resolve(state, subject, &mut schema.references.to_vec())?;
    Ok(SchemaText { schema_type: schema.schema_type, text: schema.text.clone(), referenced })
}

impl Definitions {
    pub(crate) fn of(
        &self,
        state: &State,
        subject: &str,
        version: &Version,
    ) -> Result<Arc<Definition>, Error> {
        let key = (Qualified::parse(subject).context.to_owned(), version.schema.digest);
        if let Some(definition) = self.0.lock().get(&key) {
            return Ok(definition.clone());
        }
        let parsed = text(state, subject, version)
            .and_then(|text| Definition::parse(&text).map_err(|e| e.to_string()))
            .map_err(|why| {
                let schema_type = version.schema.schema_type;
                Error::InvalidSchema(format!(
                    "Invalid schema of type {schema_type}, details: subject {subject}, version {}: {why}",
                    version.version
                ))
            })?;
        let definition = Arc::new(parsed);
        let mut kept = self.0.lock();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(key, definition.clone());
        Ok(definition)
    }

    /// Forgets all: what is referred to may have changed.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }
}
