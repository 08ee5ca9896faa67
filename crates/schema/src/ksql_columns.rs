//! The columns that a registered schema has in ksqlDB: what `CREATE STREAM` without columns asks a registry for.

use crate::avro::schema_of_avro;
use crate::json_schema::JsonDefinition;
use crate::protobuf::ProtobufDefinition;
use crate::{DataType, Field, InvalidSchema, Role, Schema, SchemaText, SchemaType};

/// The column that stands for a key or value that is no object of columns, as in ksqlDB.
fn anonymous(role: Role) -> &'static str {
    match role {
        Role::Key => "ROWKEY",
        Role::Value => "ROWVAL",
    }
}

/// The columns of the records that a schema describes. With `bare` the record as a whole is one column (`ROWKEY`, `ROWVAL`), a
/// STRUCT where it is an object; else it is an object, and its fields are the columns. Of a `.proto` with several messages
/// `full_name` says which.
///
/// # Errors
/// The schema cannot be used, is no object, or has several messages; in ksqlDB's words where it has some.
pub fn columns_of_schema(
    text: &SchemaText,
    full_name: Option<&str>,
    role: Role,
    bare: bool,
) -> Result<Schema, InvalidSchema> {
    let (schema, single) = match text.schema_type {
        SchemaType::Avro => {
            let shape = schema_of_avro(&text.whole()).map_err(|e| InvalidSchema(e.to_string()))?;
            (shape.schema, shape.single)
        }
        SchemaType::Json => {
            let shape = JsonDefinition::parse(text)?.shape()?;
            (shape.schema, shape.single)
        }
        SchemaType::Protobuf => {
            let definition = ProtobufDefinition::parse(text)?;
            let (_, name) = message_of(&definition, full_name, role)?;
            // A message is never bare.
            return Ok(definition.shape(&name)?.schema);
        }
    };
    match (bare, single) {
        (false, false) => Ok(schema),
        (false, true) => Err(InvalidSchema(
            "Schema returned from schema registry is anonymous type. To use this schema with ksqlDB, set \
             'WRAP_SINGLE_VALUE=false' in the WITH clause properties."
                .into(),
        )),
        (true, _) => {
            let only = match schema.fields.as_slice() {
                [only] if single => only.data_type.clone(),
                fields => DataType::Struct(fields.into()),
            };
            Ok(Schema::new(vec![Field::new(anonymous(role), only)]))
        }
    }
}

/// The message of a `.proto` that is meant: its index among those of the file, and its full name.
///
/// # Errors
/// There is none of that name; there are several and no name is given.
pub(crate) fn message_of(
    definition: &ProtobufDefinition,
    full_name: Option<&str>,
    role: Role,
) -> Result<(i32, String), InvalidSchema> {
    let all: Vec<String> = (0..).map_while(|i| definition.message_at(&[i])).collect();
    let found = match full_name {
        Some(wanted) => all.iter().position(|name| name == wanted),
        None if all.len() > 1 => {
            let (what, property) = match role {
                Role::Key => ("Key", "KEY_SCHEMA_FULL_NAME"),
                Role::Value => ("Value", "VALUE_SCHEMA_FULL_NAME"),
            };
            return Err(InvalidSchema(format!(
                "{what} schema has multiple schema definitions. \n\n{}\n\nPlease specify a schema full name in the WITH clause \
                 using {property}",
                all.iter().map(|name| format!("- {name}")).collect::<Vec<_>>().join("\n")
            )));
        }
        None => Some(0).filter(|_| !all.is_empty()),
    };
    let found = found.and_then(|at| Some((i32::try_from(at).ok()?, all.get(at)?.clone())));
    found.ok_or_else(|| {
        let wanted = full_name.map_or("no message".into(), |name| format!("no message {name}"));
        InvalidSchema(format!("the schema has {wanted}; its messages: {}", all.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(schema: SchemaType, text: &str, name: Option<&str>, bare: bool) -> Result<String, String> {
        let text = SchemaText::new(schema, text);
        let columns = columns_of_schema(&text, name, Role::Value, bare).map_err(|e| e.to_string())?;
        let shown = columns.fields.iter().map(|f| format!("{} {}", f.name, f.data_type));
        Ok(shown.collect::<Vec<_>>().join(", "))
    }

    const RECORD: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":["null","string"]}]}"#;

    #[test]
    fn fields_are_columns_and_a_bare_record_is_a_struct() {
        assert_eq!(columns(SchemaType::Avro, RECORD, None, false).unwrap(), "a INTEGER, b VARCHAR");
        assert_eq!(
            columns(SchemaType::Avro, RECORD, None, true).unwrap(),
            "ROWVAL STRUCT<a INTEGER, b VARCHAR>"
        );
        assert_eq!(columns(SchemaType::Avro, "\"long\"", None, true).unwrap(), "ROWVAL BIGINT");
        let object = r#"{"type":"object","properties":{"x":{"type":"integer","connect.type":"int64"}}}"#;
        assert_eq!(columns(SchemaType::Json, object, None, false).unwrap(), "x BIGINT");
    }

    #[test]
    fn a_bare_value_wants_wrap_single_value_false() {
        let error = columns(SchemaType::Avro, "\"long\"", None, false).unwrap_err();
        assert!(error.contains("anonymous type") && error.contains("WRAP_SINGLE_VALUE=false"), "{error}");
    }

    #[test]
    fn of_several_messages_one_must_be_named() {
        let text = "syntax = \"proto3\"; package p; message A { int32 x = 1; } message B { string y = 1; }";
        let error = columns(SchemaType::Protobuf, text, None, false).unwrap_err();
        assert!(error.contains("- p.A\n- p.B") && error.contains("VALUE_SCHEMA_FULL_NAME"), "{error}");
        assert_eq!(columns(SchemaType::Protobuf, text, Some("p.B"), false).unwrap(), "y VARCHAR");
        assert!(columns(SchemaType::Protobuf, text, Some("p.C"), false).is_err());
    }
}
