//! An Avro schema as a registry keeps it.

use super::model::{Model, Type};
use super::parse::AvroError;
use super::syntax::{self, Strictness};
use super::{canonical, compatibility};
use crate::SchemaText;
use crate::definition::{Incompatibility, InvalidSchema};

/// A parsed Avro schema: what Confluent's registry knows of one (its `AvroSchema`).
#[derive(Debug, Clone)]
pub struct AvroDefinition {
    model: Model,
}

impl AvroDefinition {
    /// Parses what was registered before: names are of letters and digits of any script, defaults are taken as they are.
    pub(crate) fn parse(schema: &SchemaText) -> Result<Self, InvalidSchema> {
        Self::parse_by(schema, Strictness::Lenient)
    }

    /// Parses what is registered now: names and defaults must be as the specification says (`schema.validate.new.schemas`).
    pub(crate) fn parse_new(schema: &SchemaText) -> Result<Self, InvalidSchema> {
        Self::parse_by(schema, Strictness::Strict)
    }

    fn parse_by(schema: &SchemaText, strictness: Strictness) -> Result<Self, InvalidSchema> {
        let model = syntax::parse(&schema.text, &schema.referenced, strictness);
        Ok(Self { model: model.map_err(|AvroError(reason)| InvalidSchema(reason))? })
    }

    /// The text as Java's Avro writes it; types of the schemas referred to are named, not declared.
    pub(crate) fn canonical(&self) -> String {
        canonical::canonical(&self.model)
    }

    pub(crate) fn normalized(&self) -> String {
        canonical::normalized(&self.model)
    }

    /// The text with everything declared in it (`format=resolved`).
    pub fn resolved(&self) -> String {
        canonical::inline(&self.model, self.model.root)
    }

    /// Avro's parsing canonical form.
    pub fn parsing_form(&self) -> String {
        canonical::parsing_form(&self.model)
    }

    /// The CRC-64-AVRO fingerprint of the parsing canonical form, as single-object encoding names schemas.
    pub fn fingerprint(&self) -> u64 {
        canonical::fingerprint(&self.model)
    }

    pub(crate) fn name(&self) -> Option<String> {
        let root = self.model.node(self.model.root);
        root.named().filter(|_| root.data_type() == Type::Record).map(|named| named.name.full())
    }

    pub(crate) fn incompatibilities(&self, writer: &Self) -> Vec<Incompatibility> {
        compatibility::incompatibilities(&self.model, &writer.model)
    }
}
