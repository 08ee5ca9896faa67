//! Schemas as their authors write them: Avro, JSON Schema, Protobuf. What a registry must know of them: whether a text is one,
//! its canonical and normal forms, and whether one can read what another wrote.

use crate::avro::AvroDefinition;
use crate::json_schema::{CompatibilityPolicy, JsonDefinition};
use crate::protobuf::ProtobufDefinition;
use crate::{SchemaText, SchemaType};

/// A text is no schema of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSchema(pub String);

/// A parsed schema.
#[derive(Debug, Clone)]
pub enum Definition {
    /// Avro.
    Avro(AvroDefinition),
    /// JSON Schema.
    Json(JsonDefinition),
    /// Protobuf.
    Protobuf(ProtobufDefinition),
}

/// One thing that keeps a reader's schema from reading what was written with a writer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incompatibility {
    /// Confluent's name of the broken rule, such as `READER_FIELD_MISSING_DEFAULT_VALUE`.
    pub rule: &'static str,
    /// What is wrong, with `{reader}` and `{writer}` where the words `new` and `old` go, whichever of them reads.
    pub description: String,
    /// Avro's `additionalInfo`: the names or types in question.
    pub additional: Option<String>,
}

impl Incompatibility {
    /// The description, with a word for either schema.
    pub fn describe(&self, reader: &str, writer: &str) -> String {
        self.description.replace("{reader}", reader).replace("{writer}", writer)
    }
}

impl Definition {
    /// Parses a schema with all that it refers to.
    ///
    /// # Errors
    /// The text is no schema of its type, or a reference does not resolve.
    pub fn parse(schema: &SchemaText) -> Result<Self, InvalidSchema> {
        match schema.schema_type {
            SchemaType::Avro => AvroDefinition::parse(schema).map(Self::Avro),
            SchemaType::Json => JsonDefinition::parse(schema).map(Self::Json),
            SchemaType::Protobuf => ProtobufDefinition::parse(schema).map(Self::Protobuf),
        }
    }

    /// Parses a schema that is to be registered, as strictly as Confluent's `schema.validate.new.schemas`: of Avro, names and
    /// defaults as its specification says.
    ///
    /// # Errors
    /// As [`Definition::parse`]'s, and what such a registry refuses.
    pub fn parse_new(schema: &SchemaText) -> Result<Self, InvalidSchema> {
        match schema.schema_type {
            SchemaType::Avro => AvroDefinition::parse_new(schema).map(Self::Avro),
            _ => Self::parse(schema),
        }
    }

    /// Its type.
    pub fn schema_type(&self) -> SchemaType {
        match self {
            Self::Avro(_) => SchemaType::Avro,
            Self::Json(_) => SchemaType::Json,
            Self::Protobuf(_) => SchemaType::Protobuf,
        }
    }

    /// The text as a registry keeps it: Confluent's `canonicalString`.
    pub fn canonical(&self) -> String {
        match self {
            Self::Avro(avro) => avro.canonical(),
            Self::Json(json) => json.canonical(),
            Self::Protobuf(protobuf) => protobuf.canonical(),
        }
    }

    /// The text in normal form (`normalize=true`): equal for schemas that differ in order and form only.
    pub fn normalized(&self) -> String {
        match self {
            Self::Avro(avro) => avro.normalized(),
            Self::Json(json) => json.normalized(),
            Self::Protobuf(protobuf) => protobuf.normalized(),
        }
    }

    /// The text in another format, as REST's `format` asks for; `None`: its language has no such format, and the canonical text stands
    /// for it.
    pub fn formatted(&self, format: &str) -> Option<String> {
        match (self, format) {
            (Self::Protobuf(protobuf), "serialized") => Some(protobuf.serialized()),
            _ => None,
        }
    }

    /// The name of the record, message or titled object that it declares; what the record-name subject strategies use.
    pub fn name(&self) -> Option<String> {
        match self {
            Self::Avro(avro) => avro.name(),
            Self::Json(json) => json.name(),
            Self::Protobuf(protobuf) => protobuf.name(),
        }
    }

    /// What keeps this schema, as the reader's, from reading what was written with `writer`; empty: nothing. Of schemas of
    /// different types, that they are.
    pub fn incompatibilities(&self, writer: &Self) -> Vec<Incompatibility> {
        self.incompatibilities_by(writer, CompatibilityPolicy::Strict)
    }

    /// The same by a policy, which says how strictly JSON Schemas are compared.
    pub fn incompatibilities_by(&self, writer: &Self, policy: CompatibilityPolicy) -> Vec<Incompatibility> {
        match (self, writer) {
            (Self::Avro(reader), Self::Avro(writer)) => reader.incompatibilities(writer),
            (Self::Json(reader), Self::Json(writer)) => reader.incompatibilities(writer, policy),
            (Self::Protobuf(reader), Self::Protobuf(writer)) => reader.incompatibilities(writer),
            _ => vec![Incompatibility {
                rule: "TYPE_MISMATCH",
                description: "Incompatible because of different schema type".into(),
                additional: None,
            }],
        }
    }
}
