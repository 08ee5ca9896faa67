//! A schema registry as codecs see it: schemas under subjects, each with an id. Homes: the HTTP client
//! (`RegistryClient`), the embedded registry (`bd-registry`).

use crate::references;
use std::fmt;
use std::sync::Arc;

/// The language of a schema's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SchemaType {
    /// Avro, what a schema is where nothing is said.
    #[default]
    Avro,
    /// JSON Schema.
    Json,
    /// Protobuf, as a `.proto` file.
    Protobuf,
}

impl SchemaType {
    /// All types, in Confluent's order.
    pub const ALL: [Self; 3] = [Self::Json, Self::Protobuf, Self::Avro];

    /// Its name in REST's `schemaType`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Json => "JSON",
            Self::Protobuf => "PROTOBUF",
        }
    }

    /// The type of that name, in REST's spelling.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }
}

impl fmt::Display for SchemaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// That a schema refers to another one: an import of Protobuf, a `$ref` of JSON Schema, a named type of Avro.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SchemaReference {
    /// What the text calls it: the import's path, the `$ref`'s URL, the type's full name.
    pub name: String,
    /// The subject under which it is registered.
    pub subject: String,
    /// Its version there; -1 is the latest.
    pub version: i32,
}

/// A schema that another one refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referenced {
    /// What the one that refers to it calls it.
    pub name: String,
    /// Its text.
    pub text: Arc<str>,
}

/// A schema to register.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NewSchema {
    /// Its language.
    pub schema_type: SchemaType,
    /// Its text.
    pub text: Arc<str>,
    /// What it refers to directly.
    pub references: Vec<SchemaReference>,
}

impl NewSchema {
    /// One that refers to no other.
    pub fn new(schema_type: SchemaType, text: impl Into<Arc<str>>) -> Self {
        Self { schema_type, text: text.into(), references: Vec::new() }
    }

    /// An Avro schema that refers to no other.
    pub fn avro(text: impl Into<Arc<str>>) -> Self {
        Self::new(SchemaType::Avro, text)
    }
}

/// A schema with all that it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaText {
    /// Its language.
    pub schema_type: SchemaType,
    /// Its text.
    pub text: Arc<str>,
    /// Every schema it refers to, itself or through others, each once and before those that refer to it.
    pub referenced: Vec<Referenced>,
}

impl SchemaText {
    /// One that refers to no other.
    pub fn new(schema_type: SchemaType, text: impl Into<Arc<str>>) -> Self {
        Self { schema_type, text: text.into(), referenced: Vec::new() }
    }

    /// An Avro schema that refers to no other.
    pub fn avro(text: impl Into<Arc<str>>) -> Self {
        Self::new(SchemaType::Avro, text)
    }

    /// Of Avro: one text, in which each type that is referred to is declared where it is first named.
    pub fn whole(&self) -> Arc<str> {
        match (self.schema_type, self.referenced.is_empty()) {
            (SchemaType::Avro, false) => references::inlined(&self.text, &self.referenced).into(),
            _ => self.text.clone(),
        }
    }
}

/// A schema as it stands under a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredSchema {
    /// The id, the same for equal schemas of all subjects.
    pub id: u32,
    /// The version within its subject, from 1.
    pub version: u32,
    /// The schema.
    pub schema: Arc<SchemaText>,
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
    /// The schema with that id, with all that it refers to.
    ///
    /// # Errors
    /// [`RegistryError::UnknownId`], [`RegistryError::Unavailable`].
    fn schema(&self, id: u32) -> Result<Arc<SchemaText>, RegistryError>;

    /// Registers a schema under a subject; gives its id, the one it had if it is there already.
    ///
    /// # Errors
    /// [`RegistryError::Refused`], [`RegistryError::Unavailable`].
    fn register(&self, subject: &str, schema: &NewSchema) -> Result<u32, RegistryError>;

    /// The latest version under a subject, `None` where there is none.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    fn latest(&self, subject: &str) -> Result<Option<RegisteredSchema>, RegistryError>;
}
