//! The columns that bd reads by a schema of any type.

use crate::avro::rows_of_avro;
use crate::json_schema::JsonDefinition;
use crate::protobuf::ProtobufDefinition;
use crate::{InvalidSchema, Schema, SchemaText, SchemaType};

/// The columns of a schema's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// The record's, object's or first message's name.
    pub name: Option<String>,
    /// The columns; a bare value is one column named `value`.
    pub schema: Schema,
    /// Whether each of them is never null, in their order.
    pub required: Vec<bool>,
}

impl Columns {
    /// The columns of a schema with all that it refers to; of Protobuf those of its first message.
    ///
    /// # Errors
    /// The text is no schema of its type, or its types have no columns: they hold themselves, or unfold to too many.
    pub fn of(schema: &SchemaText) -> Result<Self, InvalidSchema> {
        let shape = match schema.schema_type {
            SchemaType::Avro => rows_of_avro(&schema.whole()).map_err(|e| InvalidSchema(e.to_string()))?,
            SchemaType::Json => JsonDefinition::parse(schema)?.shape()?,
            SchemaType::Protobuf => {
                let definition = ProtobufDefinition::parse(schema)?;
                let name = definition.name();
                let name = name.ok_or_else(|| InvalidSchema("the schema declares no message".into()))?;
                definition.shape(&name)?
            }
        };
        let required = shape.fields.iter().map(|f| f.required).collect();
        Ok(Self { name: shape.name, schema: shape.schema, required })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_of_any_type_has_columns() {
        let avro = r#"{"type":"record","name":"a.Order","fields":[{"name":"id","type":"long"},{"name":"note","type":["null","string"],"default":null}]}"#;
        let json = r#"{"type":"object","title":"a.Order","properties":{"id":{"type":"integer"},"note":{"type":"string"}},"required":["id"]}"#;
        let proto =
            "syntax = \"proto3\"; package a; message Order { int64 id = 1; optional string note = 2; }";
        for (schema_type, text) in
            [(SchemaType::Avro, avro), (SchemaType::Json, json), (SchemaType::Protobuf, proto)]
        {
            let columns = Columns::of(&SchemaText::new(schema_type, text)).unwrap();
            let shown: Vec<String> =
                columns.schema.fields.iter().map(|f| format!("{} {}", f.name, f.data_type)).collect();
            assert_eq!(shown, ["id BIGINT", "note VARCHAR"], "{schema_type}");
            assert_eq!(columns.required, [true, false], "{schema_type}");
            assert_eq!(columns.name.as_deref(), Some("a.Order"), "{schema_type}");
        }
        assert!(Columns::of(&SchemaText::new(SchemaType::Protobuf, "syntax = \"proto3\";")).is_err());
    }
}
