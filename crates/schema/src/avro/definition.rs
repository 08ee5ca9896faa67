//! An Avro schema as a registry keeps it.

use crate::definition::{Incompatibility, InvalidSchema};
use crate::{SchemaText, references};
use apache_avro::Schema as Avro;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};

/// A parsed Avro schema.
#[derive(Debug, Clone)]
pub struct AvroDefinition {
    text: String,
    avro: Avro,
}

impl AvroDefinition {
    pub(crate) fn parse(schema: &SchemaText) -> Result<Self, InvalidSchema> {
        // A primitive type may be given as its bare name.
        let json: serde_json::Value =
            serde_json::from_str(&schema.text).or_else(|e| match schema.text.trim() {
                name if !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase()) => Ok(name.into()),
                _ => Err(InvalidSchema(e.to_string())),
            })?;
        let text = json.to_string();
        let whole = references::inlined(&text, &schema.referenced);
        let avro = Avro::parse_str(&whole).map_err(|e| InvalidSchema(e.to_string()))?;
        Ok(Self { text, avro })
    }

    pub(crate) fn canonical(&self) -> String {
        self.text.clone()
    }

    pub(crate) fn normalized(&self) -> String {
        self.text.clone()
    }

    pub(crate) fn name(&self) -> Option<String> {
        self.avro.name().map(|name| name.fullname(None))
    }

    pub(crate) fn incompatibilities(&self, writer: &Self) -> Vec<Incompatibility> {
        let description = match SchemaCompatibility::can_read(&writer.avro, &self.avro) {
            Ok(Compatibility::Full) => return Vec::new(),
            Ok(Compatibility::Partial) => {
                "a union or enum of the {writer} schema has members that the {reader} schema does not have"
                    .into()
            }
            Err(error) => error.to_string(),
        };
        vec![Incompatibility { rule: "TYPE_MISMATCH", description, additional: None }]
    }
}
