//! A schema as it is kept, and a version of a subject.

use crate::entity::{self, Metadata, Reference, RuleSet};
use crate::md5::Digest;
use bd_schema::SchemaType;
use std::sync::Arc;

/// A schema with what belongs to it. Two are equal when all of it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) schema_type: SchemaType,
    pub(crate) text: Arc<str>,
    pub(crate) references: Box<[Reference]>,
    pub(crate) metadata: Option<Box<Metadata>>,
    pub(crate) rule_set: Option<Box<RuleSet>>,
    pub(crate) digest: Digest,
}

impl Stored {
    pub(crate) fn new(
        schema_type: SchemaType,
        text: impl Into<Arc<str>>,
        references: Vec<Reference>,
        metadata: Option<Metadata>,
        rule_set: Option<RuleSet>,
    ) -> Self {
        let text = text.into();
        let digest = entity::digest(&text, &references, metadata.as_ref(), rule_set.as_ref());
        let (metadata, rule_set) = (metadata.map(Box::new), rule_set.map(Box::new));
        Self { schema_type, text, references: references.into(), metadata, rule_set, digest }
    }

    /// Its hash by what is here, where that of another registry is of what it keeps for itself.
    pub(crate) fn own_digest(&self) -> Digest {
        entity::digest(&self.text, &self.references, self.metadata.as_deref(), self.rule_set.as_deref())
    }

    /// Its UUID, the same in every registry.
    pub(crate) fn guid(&self) -> String {
        self.digest.guid()
    }
}

/// One version of a subject.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Version {
    pub(crate) version: u32,
    pub(crate) id: u32,
    /// Deleted softly: still found by id, and by those who ask for deleted ones.
    pub(crate) deleted: bool,
    /// When its record was written, ms since epoch.
    pub(crate) time: i64,
    pub(crate) schema: Arc<Stored>,
}
