//! Codecs by the name of their format.

use crate::avro::{
    AvroCodec, AvroDatumCodec, AvroError, AvroFraming, KSQL_RECORD, avro_of_named_value, avro_of_schema,
};
use crate::json_schema::{Decimals, json_schema_of};
use crate::ksql_columns::message_of;
use crate::{
    Codec, ConnectField, DelimitedCodec, FormatOptions, InvalidSchema, JsonCodec, JsonEnvelopeCodec,
    JsonSchemaCodec, KafkaCodec, NoneCodec, ProtobufCodec, ProtobufDefinition, RegistryError, Schema,
    SchemaRegistry, SchemaText, SchemaType,
};
use std::fmt;
use std::sync::Arc;

/// The formats that [`Codecs`] knows.
pub const FORMATS: [&str; 12] = [
    "JSON",
    "JSON_SR",
    "JSON_ENVELOPE",
    "AVRO",
    "AVRO_PLAIN",
    "AVRO_SINGLE_OBJECT",
    "PROTOBUF",
    "PROTOBUF_NOSR",
    "KAFKA",
    "DELIMITED",
    "NONE",
    "RAW",
];

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
    /// The registry does not have the schema that was given by its id, or cannot be asked.
    #[error("the {role}'s schema: {error}")]
    Registry {
        /// What for.
        role: Role,
        /// Why.
        error: RegistryError,
    },
    /// The schema that was given does not do.
    #[error("the format {name} cannot hold the {role}: {reason}")]
    Schema {
        /// The format.
        name: &'static str,
        /// What for.
        role: Role,
        /// Why.
        reason: String,
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
}

impl Codecs {
    /// Codecs with this schema registry; without one there is no `AVRO`, no `JSON_SR` and no `PROTOBUF`.
    pub fn new(registry: Option<Arc<dyn SchemaRegistry>>) -> Self {
        Self { registry }
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
        self.codec_with(format, &FormatOptions::default(), schema, role, topic)
    }

    /// The same, with what is said of the format beside its name. Options that a format does not know are ignored.
    ///
    /// # Errors
    /// As [`Codecs::codec`]'s; the given schema is not there, of another type, or does not hold the columns.
    pub fn codec_with(
        &self,
        format: &str,
        options: &FormatOptions,
        schema: &Schema,
        role: Role,
        topic: &str,
    ) -> Result<Arc<dyn Codec>, UnknownFormat> {
        let wanted = Wanted { codecs: self, options, schema: schema.clone(), role, topic };
        match format.to_ascii_uppercase().as_str() {
            "JSON" => Ok(Arc::new(wanted.json())),
            "KAFKA" => wanted.held("KAFKA", KafkaCodec::new),
            "RAW" => wanted.held("RAW", KafkaCodec::raw),
            "DELIMITED" => {
                let delimiter = options.delimiter.unwrap_or_default();
                wanted.held("DELIMITED", |schema| DelimitedCodec::new(schema, delimiter))
            }
            "NONE" => wanted.held("NONE", |schema| schema.fields.is_empty().then(NoneCodec::new)),
            "JSON_SR" => wanted.json_sr(),
            "JSON_ENVELOPE" => {
                let layout = wanted.layout();
                Ok(Arc::new(JsonEnvelopeCodec::new(wanted.schema, layout, options.full_name.as_deref())))
            }
            "AVRO" => wanted.avro(),
            "AVRO_PLAIN" => wanted.avro_datum("AVRO_PLAIN", AvroFraming::Plain),
            "AVRO_SINGLE_OBJECT" => wanted.avro_datum("AVRO_SINGLE_OBJECT", AvroFraming::SingleObject),
            "PROTOBUF" => wanted.protobuf(),
            "PROTOBUF_NOSR" => wanted.protobuf_bare(),
            _ => Err(UnknownFormat::Name { name: format.to_owned(), role }),
        }
    }
}

/// A codec that is wanted.
struct Wanted<'a> {
    codecs: &'a Codecs,
    options: &'a FormatOptions,
    schema: Schema,
    role: Role,
    topic: &'a str,
}

type Found = Result<Arc<dyn Codec>, UnknownFormat>;

impl Wanted<'_> {
    fn registry(&self, name: &'static str) -> Result<Arc<dyn SchemaRegistry>, UnknownFormat> {
        self.codecs.registry.clone().ok_or(UnknownFormat::NoRegistry { name, role: self.role })
    }

    fn subject(&self) -> String {
        format!("{}-{}", self.topic, self.role)
    }

    /// How a codec lays out a single column: of a key it is bare.
    fn layout(&self) -> Role {
        if self.options.bare(self.role) { Role::Key } else { Role::Value }
    }

    fn refused(&self, name: &'static str, reason: impl fmt::Display) -> UnknownFormat {
        UnknownFormat::Schema { name, role: self.role, reason: reason.to_string() }
    }

    /// The schema that was given by its id.
    fn given(
        &self,
        name: &'static str,
        wanted: SchemaType,
    ) -> Result<Option<Arc<SchemaText>>, UnknownFormat> {
        let Some(id) = self.options.schema_id else { return Ok(None) };
        let role = self.role;
        let text =
            self.registry(name)?.schema(id).map_err(|error| UnknownFormat::Registry { role, error })?;
        if text.schema_type != wanted {
            return Err(self.refused(name, format!("schema {id} is of type {}", text.schema_type)));
        }
        Ok(Some(text))
    }

    fn json(self) -> JsonCodec {
        match self.layout() {
            Role::Key => JsonCodec::key(self.schema),
            Role::Value => JsonCodec::new(self.schema),
        }
    }

    fn json_sr(self) -> Found {
        let (registry, subject) = (self.registry("JSON_SR")?, self.subject());
        if let Some(text) = self.given("JSON_SR", SchemaType::Json)? {
            let text = text.text.to_string();
            return Ok(Arc::new(JsonSchemaCodec::with_declaration(registry, subject, self.json(), text)));
        }
        let layout = self.layout();
        match (&self.options.full_name, layout) {
            (Some(name), Role::Value) => {
                let declaration = json_schema_of(Some(name), &self.schema, &[], Decimals::Numeric);
                let json = self.json();
                Ok(Arc::new(JsonSchemaCodec::with_declaration(registry, subject, json, declaration)))
            }
            _ => Ok(Arc::new(JsonSchemaCodec::new(registry, subject, self.schema, layout))),
        }
    }

    /// What is declared of these columns.
    fn avro_declaration(&self) -> Result<String, AvroError> {
        let name = self.options.full_name.as_deref().unwrap_or(KSQL_RECORD);
        match (self.layout(), self.schema.fields.as_slice()) {
            (Role::Key, [only]) => avro_of_named_value(name, &only.data_type, &ConnectField::default()),
            _ => avro_of_schema(name, &self.schema, &[]),
        }
    }

    fn avro(self) -> Found {
        let (registry, subject, layout) = (self.registry("AVRO")?, self.subject(), self.layout());
        let given = self.given("AVRO", SchemaType::Avro)?;
        let role = self.role;
        let refused = |error| UnknownFormat::Avro { role, error };
        let codec = match given {
            Some(text) => {
                AvroCodec::with_declaration(registry, subject, self.schema, layout, text.whole().to_string())
            }
            None => {
                let name = self.options.full_name.as_deref().unwrap_or(KSQL_RECORD);
                AvroCodec::named(registry, subject, self.schema, layout, name)
            }
        };
        Ok(Arc::new(codec.map_err(refused)?))
    }

    fn avro_datum(self, name: &'static str, framing: AvroFraming) -> Found {
        let role = self.role;
        let refused = |error| UnknownFormat::Avro { role, error };
        let declaration = match self.given(name, SchemaType::Avro)? {
            Some(text) => text.whole().to_string(),
            None => self.avro_declaration().map_err(refused)?,
        };
        let layout = self.layout();
        Ok(Arc::new(AvroDatumCodec::new(declaration, self.schema, layout, framing).map_err(refused)?))
    }

    fn protobuf(self) -> Found {
        const NAME: &str = "PROTOBUF";
        let (registry, subject) = (self.registry(NAME)?, self.subject());
        let role = self.role;
        let refused = |error| UnknownFormat::Protobuf { name: NAME, role, error };
        let name = self.options.full_name.as_deref();
        let codec = match self.given(NAME, SchemaType::Protobuf)? {
            Some(text) => {
                let definition = ProtobufDefinition::parse(&text).map_err(refused)?;
                let (index, _) = message_of(&definition, name, role).map_err(refused)?;
                ProtobufCodec::with_declaration(registry, subject, self.schema, text.text.clone(), &[index])
            }
            None => ProtobufCodec::named(registry, subject, self.schema, name),
        };
        Ok(Arc::new(codec.map_err(refused)?))
    }

    fn protobuf_bare(self) -> Found {
        let role = self.role;
        let refused = |error| UnknownFormat::Protobuf { name: "PROTOBUF_NOSR", role, error };
        Ok(Arc::new(ProtobufCodec::bare(self.schema).map_err(refused)?))
    }

    /// The codec that `open` gives; without one the format cannot hold the columns.
    fn held<C: Codec + 'static>(self, name: &'static str, open: impl FnOnce(Schema) -> Option<C>) -> Found {
        let columns: Vec<String> =
            self.schema.fields.iter().map(|f| format!("{} {}", f.name, f.data_type)).collect();
        let holds = match name {
            "DELIMITED" => "columns of types without parts (no ARRAY, MAP or STRUCT)",
            "NONE" => "no columns",
            "RAW" => "a single column of type BYTES or VARCHAR",
            _ => "a single column of type INTEGER, BIGINT, DOUBLE, VARCHAR or BYTES",
        };
        match open(self.schema) {
            Some(codec) => Ok(Arc::new(codec)),
            None => {
                let (role, columns) = (self.role, columns.join(", "));
                Err(UnknownFormat::Columns { name, role, columns, holds })
            }
        }
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
            "there is no value format xml; the formats are JSON, JSON_SR, JSON_ENVELOPE, AVRO, AVRO_PLAIN, AVRO_SINGLE_OBJECT, PROTOBUF, \
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
