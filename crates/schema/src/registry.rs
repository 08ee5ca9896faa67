//! A schema registry as codecs see it: schemas under subjects, each with an id. Homes: the HTTP client
//! (`RegistryClient`), the embedded registry (`bd-registry`).

use std::sync::Arc;

/// A schema as it stands under a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredSchema {
    /// The id, the same for equal schemas of all subjects.
    pub id: u32,
    /// The version within its subject, from 1.
    pub version: u32,
    /// The schema's text; for Avro the JSON of its declaration.
    pub schema: Arc<str>,
}

/// A call on a registry failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// No schema has that id (Confluent's 40403).
    #[error("schema {0} is not in the registry")]
    UnknownId(u32),
    /// The registry refuses: not a schema (42201), incompatible with an earlier version (409), ...
    #[error("the schema registry refuses the schema of subject {subject}: {reason} (error code {code})")]
    Refused {
        /// The subject.
        subject: String,
        /// Confluent's error code.
        code: u32,
        /// The registry's words.
        reason: String,
    },
    /// It may work when tried again: the registry is away, a time-out, a server error.
    #[error("the schema registry at {at} cannot be asked: {reason} (may work when tried again)")]
    Unavailable {
        /// Where.
        at: String,
        /// Why.
        reason: String,
    },
}

/// A schema registry. Calls block; answers by id are kept by the homes, since an id's schema never changes.
pub trait SchemaRegistry: Send + Sync {
    /// The text of the schema with that id (an Avro schema's JSON).
    ///
    /// # Errors
    /// [`RegistryError::UnknownId`], [`RegistryError::Unavailable`].
    fn schema_by_id(&self, id: u32) -> Result<Arc<str>, RegistryError>;

    /// Registers an Avro schema under a subject; gives its id, the one it had if it is there already.
    ///
    /// # Errors
    /// [`RegistryError::Refused`], [`RegistryError::Unavailable`].
    fn register(&self, subject: &str, schema: &str) -> Result<u32, RegistryError>;

    /// The latest version under a subject, `None` where there is none.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    fn latest(&self, subject: &str) -> Result<Option<RegisteredSchema>, RegistryError>;
}
