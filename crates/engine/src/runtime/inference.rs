//! Columns from the schema registry: of a CREATE without columns, and of a sink that writes by a given schema.

use crate::error::EngineError;
use bd_schema::{
    Codecs, FormatOptions, RegistryError, Role, Schema, SchemaRegistry, SchemaText, columns_of_schema,
};
use bd_sql::catalog::SourceDef;
use bd_sql::{ParsedStatement, WantedSchema, wanted_schemas, with_columns};
use std::sync::Arc;

/// The statement with the columns that the registry has for it, where it leaves some out.
///
/// # Errors
/// In ksqlDB's words: there is no such schema, it is of another type, it has no columns. [`EngineError::Later`] if the registry cannot
/// be asked.
pub(super) fn inferred(
    statement: &ParsedStatement,
    codecs: &Codecs,
) -> Result<Option<ParsedStatement>, EngineError> {
    let sql_error = |e: bd_sql::SqlError| EngineError::Sql(e.to_string());
    let wanted = wanted_schemas(statement).map_err(sql_error)?;
    if wanted.is_empty() {
        return Ok(None);
    }
    let (mut key, mut value) = (None, None);
    for schema in &wanted {
        let columns = columns_of(schema, codecs)?;
        match schema.role {
            Role::Key => key = Some(columns),
            Role::Value => value = Some(columns),
        }
    }
    with_columns(statement, key.as_ref(), value.as_ref()).map(Some).map_err(sql_error)
}

fn columns_of(wanted: &WantedSchema, codecs: &Codecs) -> Result<Schema, EngineError> {
    let WantedSchema { topic, role, format, options } = wanted;
    let registry = codecs.registry().ok_or_else(|| {
        EngineError::Statement(format!(
            "the {role} format {format} needs a schema registry, and none is configured"
        ))
    })?;
    let of = match options.schema_id {
        Some(id) => format!("topic: {topic}, schema id: {id}"),
        None => format!("topic: {topic}"),
    };
    let schema = schema_of(registry.as_ref(), wanted).map_err(|e| match e {
        RegistryError::Unavailable { .. } => {
            EngineError::Later(format!("Schema registry fetch for topic {role} request failed for {of}: {e}"))
        }
        other => EngineError::Statement(other.to_string()),
    })?;
    let schema = schema.ok_or_else(|| not_found(wanted))?;
    let actual = match schema.schema_type.name() {
        "JSON" => "JSON_SR",
        other => other,
    };
    if actual != *format {
        let (title, name) = titles(*role);
        return Err(EngineError::Statement(format!(
            "{title} schema is not in the expected format. You may want to set {name}_FORMAT to '{actual}'.\n{of}\n\
             expected format: {format}\nactual format from Schema Registry: {actual}"
        )));
    }
    // A key that the registry describes is always the bare value.
    let bare = options.bare(*role) && *format != "PROTOBUF";
    columns_of_schema(&schema, options.full_name.as_deref(), *role, bare).map_err(|e| {
        EngineError::Statement(format!(
            "Unable to verify if the {role} schema for {of} is compatible with ksqlDB.\nReason: {e}\nSchema:{}",
            schema.text
        ))
    })
}

/// The schema by its id, or the latest one of the subject.
fn schema_of(
    registry: &dyn SchemaRegistry,
    wanted: &WantedSchema,
) -> Result<Option<Arc<SchemaText>>, RegistryError> {
    match wanted.options.schema_id {
        Some(id) => match registry.schema(id) {
            Ok(schema) => Ok(Some(schema)),
            Err(RegistryError::UnknownId(_)) => Ok(None),
            Err(e) => Err(e),
        },
        None => Ok(registry.latest(&format!("{}-{}", wanted.topic, wanted.role))?.map(|r| r.schema)),
    }
}

fn titles(role: Role) -> (&'static str, &'static str) {
    match role {
        Role::Key => ("Key", "KEY"),
        Role::Value => ("Value", "VALUE"),
    }
}

fn not_found(wanted: &WantedSchema) -> EngineError {
    let WantedSchema { topic, role, options, .. } = wanted;
    let id = options.schema_id.map_or(String::new(), |id| format!("Schema Id: {id}\n"));
    EngineError::Statement(format!(
        "Schema for message {role}s on topic '{topic}' does not exist in the Schema Registry.\nSubject: {topic}-{role}\n{id}\
         Possible causes include:\n\
         - The topic itself does not exist\n\t-> Use SHOW TOPICS; to check\n\
         - Messages on the topic are not serialized using a format Schema Registry supports\n\
         - Messages on the topic have not been serialized using a Confluent Schema Registry supported serializer\n\
         - The schema is registered on a different instance of the Schema Registry\n\
         - You do not have permissions to access the Schema Registry.\n\
         Or write the columns behind the name."
    ))
}

/// Refuses a sink whose columns are not among those of the schema that it is to write by.
///
/// # Errors
/// In ksqlDB's words, with the columns that differ.
pub(super) fn check_given(def: &SourceDef, codecs: &Codecs) -> Result<(), EngineError> {
    let halves: [(Role, &String, &FormatOptions, Schema); 2] = [
        (Role::Key, &def.key_format, &def.key_options, def.key_schema()),
        (Role::Value, &def.value_format, &def.value_options, def.value_schema()),
    ];
    for (role, format, options, own) in halves {
        if options.schema_id.is_none() {
            continue;
        }
        let format = match format.as_str() {
            "JSON_SR" => "JSON_SR",
            "PROTOBUF" => "PROTOBUF",
            _ => "AVRO",
        };
        let wanted = WantedSchema { topic: def.topic.clone(), role, format, options: options.clone() };
        let given = columns_of(&wanted, codecs)?;
        let has = |f: &bd_schema::Field| {
            options.bare(role)
                || given
                    .fields
                    .iter()
                    .any(|g| g.name.eq_ignore_ascii_case(&f.name) && g.data_type == f.data_type)
        };
        let differ: Vec<bd_schema::Field> = own.fields.iter().filter(|f| !has(f)).cloned().collect();
        if !differ.is_empty() {
            return Err(EngineError::Statement(format!(
                "The following {role} columns are changed, missing or reordered: [{}]. Schema from schema registry is [{}]",
                listed(&differ),
                listed(&given.fields)
            )));
        }
    }
    Ok(())
}

fn listed(fields: &[bd_schema::Field]) -> String {
    fields.iter().map(|f| format!("`{}` {}", f.name, f.data_type)).collect::<Vec<_>>().join(", ")
}
