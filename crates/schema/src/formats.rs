//! Codecs by the name of their format.

use crate::avro::{AvroCodec, AvroError};
use crate::{
    Codec, DelimitedCodec, Delimiter, InvalidSchema, JsonCodec, JsonSchemaCodec, KafkaCodec, NoneCodec,
    ProtobufCodec, Schema, SchemaRegistry,
};
use std::fmt;
use std::sync::Arc;

/// The formats that [`Codecs`] knows.
pub const FORMATS: [&str; 9] =
    ["JSON", "JSON_SR", "AVRO", "PROTOBUF", "PROTOBUF_NOSR", "KAFKA", "DELIMITED", "NONE", "RAW"];

/// The part of a record that a codec is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Value => "value",
        })
    }
}

/// Why there is no codec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownFormat {
    /// No format has that name.
    #[error("there is no {role} format {name}; the formats are {}", FORMATS.join(", "))]
    Name {
        /// The name that was asked for.
        name: String,
        /// What for.
        role: Role,
    },
    /// The format exists and cannot hold such columns.
    #[error("the format {name} cannot hold the {role} ({columns}): it holds {holds}; use JSON")]
    Columns {
        /// The format.
        name: &'static str,
        /// What for.
        role: Role,
        /// The columns as in a statement.
        columns: String,
        /// What it holds.
        holds: &'static str,
    },
    /// The format needs a schema registry.
    #[error("the {role} format {name} needs a schema registry, and none is configured")]
    NoRegistry {
        /// The format.
        name: &'static str,
        /// What for.
        role: Role,
    },
    /// Avro cannot hold such columns.
    #[error("the format AVRO cannot hold the {role}: {error}")]
    Avro {
        /// What for.
        role: Role,
        /// Why.
        error: AvroError,
    },
    /// Protobuf cannot hold such columns.
    #[error("the format {name} cannot hold the {role}: {error}")]
    Protobuf {
        /// The format.
        name: &'static str,
        /// What for.
        role: Role,
        /// Why.
        error: InvalidSchema,
    },
}

/// Finds codecs by the name of their format. Cheap to clone.
#[derive(Clone, Default)]
pub struct Codecs {
    registry: Option<Arc<dyn SchemaRegistry>>,
    delimiter: Delimiter,
}

impl Codecs {
    /// Codecs with this schema registry; without one there is no `AVRO`, no `JSON_SR` and no `PROTOBUF`.
    pub fn new(registry: Option<Arc<dyn SchemaRegistry>>) -> Self {
        Self { registry, delimiter: Delimiter::default() }
    }

    /// The same, with this delimiter of `DELIMITED` (`VALUE_DELIMITER`, `KEY_DELIMITER`) instead of a comma.
    #[must_use]
    pub fn with_delimiter(&self, delimiter: Delimiter) -> Self {
        Self { delimiter, ..self.clone() }
    }

    /// The schema registry.
    pub fn registry(&self) -> Option<&Arc<dyn SchemaRegistry>> {
        self.registry.as_ref()
    }

    /// The codec of the format of that name (`value_format`, `key_format`; case does not matter) for these columns of the records of
    /// `topic`. Schemas are registered under the subjects `<topic>-key` and `<topic>-value`.
    ///
    /// # Errors
    /// There is no such format, it cannot hold these columns, or it needs a registry. All say what would do.
    pub fn codec(
        &self,
        format: &str,
        schema: &Schema,
        role: Role,
        topic: &str,
    ) -> Result<Arc<dyn Codec>, UnknownFormat> {
        let schema = schema.clone();
        match (format.to_ascii_uppercase().as_str(), role) {
            ("JSON", Role::Value) => Ok(Arc::new(JsonCodec::new(schema))),
            ("JSON", Role::Key) => Ok(Arc::new(JsonCodec::key(schema))),
            ("KAFKA", role) => held("KAFKA", role, schema, KafkaCodec::new),
            ("RAW", role) => held("RAW", role, schema, KafkaCodec::raw),
            ("DELIMITED", role) => {
                held("DELIMITED", role, schema, |schema| DelimitedCodec::new(schema, self.delimiter))
            }
            ("NONE", role) => {
                held("NONE", role, schema, |schema| schema.fields.is_empty().then(NoneCodec::new))
            }
            ("JSON_SR", role) => {
                let none = UnknownFormat::NoRegistry { name: "JSON_SR", role };
                let registry = self.registry.clone().ok_or(none)?;
                Ok(Arc::new(JsonSchemaCodec::new(registry, format!("{topic}-{role}"), schema, role)))
            }
            ("AVRO", role) => {
                let registry =
                    self.registry.clone().ok_or(UnknownFormat::NoRegistry { name: "AVRO", role })?;
                let subject = format!("{topic}-{role}");
                let codec = AvroCodec::new(registry, subject, schema, role);
                Ok(Arc::new(codec.map_err(|error| UnknownFormat::Avro { role, error })?))
            }
            ("PROTOBUF", role) => {
                let none = UnknownFormat::NoRegistry { name: "PROTOBUF", role };
                let registry = self.registry.clone().ok_or(none)?;
                let codec = ProtobufCodec::new(registry, format!("{topic}-{role}"), schema);
                let refused = |error| UnknownFormat::Protobuf { name: "PROTOBUF", role, error };
                Ok(Arc::new(codec.map_err(refused)?))
            }
            ("PROTOBUF_NOSR", role) => {
                let refused = |error| UnknownFormat::Protobuf { name: "PROTOBUF_NOSR", role, error };
                Ok(Arc::new(ProtobufCodec::bare(schema).map_err(refused)?))
            }
            _ => Err(UnknownFormat::Name { name: format.to_owned(), role }),
        }
    }
}

/// The codec that `open` gives; without one the format cannot hold the columns.
fn held<C: Codec + 'static>(
    name: &'static str,
    role: Role,
    schema: Schema,
    open: impl FnOnce(Schema) -> Option<C>,
) -> Result<Arc<dyn Codec>, UnknownFormat> {
    let columns: Vec<String> = schema.fields.iter().map(|f| format!("{} {}", f.name, f.data_type)).collect();
    let holds = match name {
        "DELIMITED" => "columns of types without parts (no ARRAY, MAP or STRUCT)",
        "NONE" => "no columns",
        "RAW" => "a single column of type BYTES or VARCHAR",
        _ => "a single column of type INTEGER, BIGINT, DOUBLE, VARCHAR or BYTES",
    };
    match open(schema) {
        Some(codec) => Ok(Arc::new(codec)),
        None => Err(UnknownFormat::Columns { name, role, columns: columns.join(", "), holds }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataType, Field};

    #[test]
    fn formats_are_found_without_regard_to_case() {
        let schema = Schema::new(vec![Field::new("id", DataType::BigInt)]);
        for (name, role, wanted) in [
            ("json", Role::Value, &b"{\"id\":45}"[..]),
            ("JSON", Role::Key, b"45"),
            ("delimited", Role::Value, b"45"),
            ("Kafka", Role::Key, &[0, 0, 0, 0, 0, 0, 0, 45]),
        ] {
            let mut out = Vec::new();
            let codec = Codecs::default().codec(name, &schema, role, "t").unwrap();
            codec.encode_row(&vec![crate::Value::BigInt(45)], &mut out).unwrap();
            assert_eq!(out, wanted);
        }
    }

    #[test]
    fn an_unknown_format_is_told_what_there_is() {
        let error = Codecs::default().codec("xml", &Schema::default(), Role::Value, "t").err().unwrap();
        assert_eq!(
            error.to_string(),
            "there is no value format xml; the formats are JSON, JSON_SR, AVRO, PROTOBUF, \
             PROTOBUF_NOSR, KAFKA, DELIMITED, NONE, RAW"
        );
    }

    #[test]
    fn avro_without_a_registry_is_told_what_is_missing() {
        let error = Codecs::default().codec("avro", &Schema::default(), Role::Value, "t").err().unwrap();
        assert_eq!(
            error.to_string(),
            "the value format AVRO needs a schema registry, and none is configured"
        );
    }

    #[test]
    fn columns_that_a_format_cannot_hold_are_named() {
        let fields = vec![Field::new("a", DataType::Integer), Field::new("b", DataType::Boolean)];
        let error = Codecs::default().codec("KAFKA", &Schema::new(fields), Role::Key, "t").err().unwrap();
        assert!(error.to_string().contains("the key (a INTEGER, b BOOLEAN)"), "{error}");
    }
}
