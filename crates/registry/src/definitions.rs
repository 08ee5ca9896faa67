//! The schemas of earlier versions, parsed when they are asked for. What they come to is kept, within bounds.

use crate::draft;
use crate::error::Error;
use crate::md5::{self, Digest};
use crate::state::{State, Version};
use crate::subject::Qualified;
use bd_schema::{Definition, Referenced, SchemaText};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// So many are kept, of so many bytes of text together; when there are more, all are parsed anew.
const KEPT: usize = 1024;
const KEPT_BYTES: usize = 4 << 20;
/// So many hashes of canonical texts are kept.
const KEPT_HASHES: usize = 64 << 10;

/// The context, in which references are looked up, and the hash.
type Key = (String, Digest);

#[derive(Default)]
struct Kept {
    definitions: HashMap<Key, Arc<Definition>>,
    /// Of the texts of `definitions`.
    bytes: usize,
    /// The hash of the canonical text, of those whose text may be another.
    canonical: HashMap<Key, Digest>,
}

/// See the module's documentation.
#[derive(Default)]
pub(crate) struct Definitions(Mutex<Kept>);

fn key(subject: &str, version: &Version) -> Key {
    (Qualified::parse(subject).context.to_owned(), version.schema.digest)
}

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
        let key = key(subject, version);
        if let Some(definition) = self.0.lock().definitions.get(&key) {
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
        kept.bytes += version.schema.text.len();
        if kept.definitions.len() >= KEPT || kept.bytes > KEPT_BYTES {
            kept.definitions.clear();
            kept.bytes = version.schema.text.len();
        }
        kept.definitions.insert(key, definition.clone());
        Ok(definition)
    }

    /// Whether a version's schema has that canonical text (of this hash), whatever its own text: another registry's may differ.
    pub(crate) fn is(
        &self,
        state: &State,
        subject: &str,
        version: &Version,
        canonical: &str,
        hash: Digest,
    ) -> bool {
        let key = key(subject, version);
        if let Some(known) = self.0.lock().canonical.get(&key) {
            return *known == hash;
        }
        let Ok(definition) = self.of(state, subject, version) else { return false };
        let own = definition.canonical();
        let mut kept = self.0.lock();
        if kept.canonical.len() >= KEPT_HASHES {
            kept.canonical.clear();
        }
        kept.canonical.insert(key, md5::of(own.as_bytes()));
        own == canonical
    }

    /// Forgets all: what is referred to may have changed.
    pub(crate) fn clear(&self) {
        *self.0.lock() = Kept::default();
    }
}
