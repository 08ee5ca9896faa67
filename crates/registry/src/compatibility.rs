//! Whether a schema may follow earlier ones, with Confluent's words for why not.

use crate::config::{Config, Level, Policy};
use crate::definitions::Definitions;
use crate::draft::Candidate;
use crate::error::Error;
use crate::state::{State, Stored, Version};
use bd_schema::{CompatibilityPolicy, Definition, Incompatibility, SchemaType};
use serde_json::Value;

/// A longer text of an earlier schema is cut in messages.
const MAX_SHOWN: usize = 10 * 1024;
const OTHER_TYPE: &str = "Incompatible because of different schema type";

/// What keeps `new` from following `earlier` versions (ascending) of a subject; empty: nothing.
pub(crate) fn check(
    definitions: &Definitions,
    state: &State,
    subject: &str,
    new: &Candidate,
    earlier: &[&Version],
    config: &Config,
) -> Result<Vec<String>, Error> {
    let level = config.compatibility_level.unwrap_or(Level::Backward);
    let validate_fields = config.validate_fields.unwrap_or(false);
    let policy = config.compatibility_policy.map(Policy::of_schemas).unwrap_or_default();
    let mut messages = Vec::new();
    if validate_fields {
        messages.extend(reserved_fields(&new.stored, earlier.last().map(|v| &*v.schema)));
    }
    let group = |schema: &Stored| {
        let properties = schema.metadata.as_ref().map(|m| &m.properties);
        properties.zip(config.compatibility_group.as_ref()).and_then(|(p, group)| p.get(group).cloned())
    };
    let own = group(&new.stored);
    let mut comparable = earlier.iter().rev().filter(|v| group(&v.schema) == own);
    while level != Level::None
        && let Some(version) = comparable.next()
    {
        let faults = if version.schema.schema_type == new.stored.schema_type {
            let old = definitions.of(state, subject, version)?;
            compare(&new.definition, &old, version, level, policy)
        } else {
            vec![OTHER_TYPE.to_owned()]
        };
        let done = !level.is_transitive() || !faults.is_empty();
        messages.extend(faults);
        if done {
            break;
        }
    }
    if !messages.is_empty() {
        messages.push(format!("{{validateFields: '{validate_fields}', compatibility: '{level}'}}"));
    }
    Ok(messages)
}

fn compare(
    new: &Definition,
    old: &Definition,
    version: &Version,
    level: Level,
    policy: CompatibilityPolicy,
) -> Vec<String> {
    let schema_type = version.schema.schema_type;
    let mut messages = Vec::new();
    if level.old_reads_new() {
        let faults = old.incompatibilities_by(new, policy);
        messages.extend(faults.iter().map(|fault| shown(schema_type, fault, "old", "new")));
    }
    // As Confluent: of both ways, the earlier schema is shown with the faults of the second.
    let mut show_schema = !level.new_reads_old() && !messages.is_empty();
    if level.new_reads_old() {
        let faults = new.incompatibilities_by(old, policy);
        show_schema = !faults.is_empty();
        messages.extend(faults.iter().map(|fault| shown(schema_type, fault, "new", "old")));
    }
    if show_schema {
        messages.push(format!("{{oldSchemaVersion: {}}}", version.version));
        let text = &*version.schema.text;
        messages.push(match text.len() <= MAX_SHOWN {
            true => format!("{{oldSchema: '{text}'}}"),
            false => {
                format!("{{oldSchema: <truncated> '{}...'}}", &text[..text.floor_char_boundary(MAX_SHOWN)])
            }
        });
    }
    messages
}

/// A fault as Confluent shows it, which differs by the language; that of JSON Schema has a quote of the wrong kind there too.
fn shown(schema_type: SchemaType, fault: &Incompatibility, reader: &str, writer: &str) -> String {
    let (rule, description) = (fault.rule, fault.describe(reader, writer));
    match schema_type {
        SchemaType::Avro => {
            let additional = fault.additional.as_deref().unwrap_or_default();
            format!("{{errorType:'{rule}', description:'{description}', additionalInfo:'{additional}'}}")
        }
        SchemaType::Json => format!("{{errorType:\"{rule}\", description:\"{description}'}}"),
        SchemaType::Protobuf => format!("{{errorType:\"{rule}\", description:\"{description}\"}}"),
    }
}

/// The property `confluent:reserved` names fields that must stay reserved, and that the schema must not have.
fn reserved_fields(new: &Stored, latest: Option<&Stored>) -> Vec<String> {
    let reserved = |schema: &Stored| schema.metadata.as_ref().map(|m| m.reserved()).unwrap_or_default();
    let (now, before) = (reserved(new), latest.map(reserved).unwrap_or_default());
    let removed = before.difference(&now).map(|field| {
        format!(
            "The new schema has reserved field {field} removed from its metadata which is present in the old \
             schema's metadata."
        )
    });
    let taken = now.iter().filter(|field| has_field(new, field));
    let taken = taken
        .map(|field| format!("The new schema has field that conflicts with the reserved field {field}."));
    removed.chain(taken).collect()
}

fn has_field(schema: &Stored, field: &str) -> bool {
    let Ok(json) = serde_json::from_str::<Value>(&schema.text) else { return false };
    match schema.schema_type {
        SchemaType::Avro => {
            let fields = json.get("fields").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            fields.iter().any(|f| f.get("name").and_then(Value::as_str) == Some(field))
        }
        SchemaType::Json => json.get("properties").is_some_and(|p| p.get(field).is_some()),
        SchemaType::Protobuf => false,
    }
}
