//! Schemas from files and stdin: their text, type and references.

use super::Registry;
use crate::cli::{SchemaFileArgs, SchemaTypeName};
use anyhow::{Context, Result, anyhow, bail};
use bd_schema::{Definition, NewSchema, SchemaReference, SchemaText, SchemaType};
use std::io::Read;
use std::path::Path;

/// A longer text is no schema that a registry takes.
const MAX_TEXT: u64 = 8 << 20;

impl From<SchemaTypeName> for SchemaType {
    fn from(name: SchemaTypeName) -> Self {
        match name {
            SchemaTypeName::Avro => Self::Avro,
            SchemaTypeName::Json => Self::Json,
            SchemaTypeName::Protobuf => Self::Protobuf,
        }
    }
}

/// Reads the file of a schema; `-` is stdin.
pub(super) fn read(path: &Path, args: &SchemaFileArgs) -> Result<NewSchema> {
    let (shown, mut bytes) = (shown(path), Vec::new());
    let read = match is_stdin(path) {
        true => std::io::stdin().take(MAX_TEXT + 1).read_to_end(&mut bytes),
        false => std::fs::File::open(path).and_then(|f| f.take(MAX_TEXT + 1).read_to_end(&mut bytes)),
    };
    read.with_context(|| format!("cannot read {shown}"))?;
    if bytes.len() as u64 > MAX_TEXT {
        bail!("{shown} is larger than {} MiB: no schema", MAX_TEXT >> 20);
    }
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("{shown} is no text in UTF-8"))?;
    if text.trim().is_empty() {
        bail!("{shown} is empty");
    }
    let schema_type = match args.schema_type {
        Some(name) => name.into(),
        None => type_of(path, &text),
    };
    let references = args.reference.iter().map(|r| reference(r)).collect::<Result<_>>()?;
    Ok(NewSchema { schema_type, text: text.trim().into(), references })
}

pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A path in messages.
pub(super) fn shown(path: &Path) -> String {
    if is_stdin(path) { "stdin".to_owned() } else { path.display().to_string() }
}

/// The type by the file's name, else by the text. `.json` may be either of two.
fn type_of(path: &Path, text: &str) -> SchemaType {
    match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("avsc" | "avro") => return SchemaType::Avro,
        Some("proto") => return SchemaType::Protobuf,
        _ => {}
    }
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::Object(object)) => {
            let avro = ["record", "enum", "fixed", "map"];
            let kind = object.get("type").and_then(|t| t.as_str()).unwrap_or_default();
            let is_json = object.contains_key("$schema") || object.contains_key("properties");
            let avro_array = kind == "array" && object.get("items").is_some_and(|i| !i.is_object());
            let logical = object.contains_key("logicalType");
            match !is_json && (avro.contains(&kind) || avro_array || logical) {
                true => SchemaType::Avro,
                false => SchemaType::Json,
            }
        }
        // The name of a type, or a union.
        Ok(serde_json::Value::String(_) | serde_json::Value::Array(_)) => SchemaType::Avro,
        Ok(_) => SchemaType::Json,
        Err(_) if text.trim_start().starts_with(['{', '[', '"']) => SchemaType::Avro,
        Err(_) => SchemaType::Protobuf,
    }
}

/// `NAME=SUBJECT:VERSION`; without a version the latest.
fn reference(text: &str) -> Result<SchemaReference> {
    let wanted = || anyhow!("--reference {text}: expected NAME=SUBJECT:VERSION");
    let (name, of) = text.rsplit_once('=').ok_or_else(wanted)?;
    let (subject, version) = super::subject_version(of);
    let version = match version {
        None | Some("latest") => -1,
        Some(number) => number.parse().map_err(|_| wanted())?,
    };
    if name.is_empty() || subject.is_empty() {
        return Err(wanted());
    }
    Ok(SchemaReference { name: name.to_owned(), subject: subject.to_owned(), version })
}

/// References to the latest version, with its number.
pub(super) fn with_versions(registry: &Registry, mut schema: NewSchema) -> Result<NewSchema> {
    for reference in schema.references.iter_mut().filter(|r| r.version < 0) {
        let subject = &reference.subject;
        let latest = registry.call(|client| client.version(subject, "latest", false))?;
        let latest =
            latest.ok_or_else(|| anyhow!("--reference {}: there is no subject {subject}", reference.name))?;
        reference.version = latest.version.try_into().unwrap_or(i32::MAX);
    }
    Ok(schema)
}

/// Parses a schema with what it refers to, which the registry is asked for.
pub(super) fn parsed(
    registry: &Registry,
    schema: &NewSchema,
    shown: &str,
) -> Result<(SchemaText, Definition)> {
    let text = match schema.references.as_slice() {
        [] => SchemaText::new(schema.schema_type, schema.text.clone()),
        references => registry
            .call(|client| client.with_referenced(schema.schema_type, schema.text.clone(), references))?,
    };
    let definition = Definition::parse(&text)
        .map_err(|e| anyhow!("{shown} is no schema of type {}: {e}", schema.schema_type))?;
    Ok((text, definition))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schemas_type_is_told_by_its_name_or_its_text() {
        let avro = r#"{"type":"record","name":"A","fields":[]}"#;
        let json = r#"{"type":"object","properties":{}}"#;
        for (path, text, wanted) in [
            ("a.avsc", json, SchemaType::Avro),
            ("a.json", json, SchemaType::Json),
            ("a.json", avro, SchemaType::Avro),
            ("-", avro, SchemaType::Avro),
            ("-", json, SchemaType::Json),
            ("-", "\"long\"", SchemaType::Avro),
            ("-", r#"{"type":"array","items":"long"}"#, SchemaType::Avro),
            ("-", r#"{"type":"array","items":{"type":"string"}}"#, SchemaType::Json),
            ("-", "syntax = \"proto3\";", SchemaType::Protobuf),
            ("a.PROTO", "", SchemaType::Protobuf),
        ] {
            assert_eq!(type_of(Path::new(path), text), wanted, "{path} {text}");
        }
    }

    #[test]
    fn a_reference_names_a_subject_and_a_version() {
        let of = |text| reference(text).map(|r| (r.name, r.subject, r.version)).ok();
        assert_eq!(of("a.B=b-value:3"), Some(("a.B".into(), "b-value".into(), 3)));
        assert_eq!(of("b.proto=b-value"), Some(("b.proto".into(), "b-value".into(), -1)));
        assert_eq!(of("http://x/y?a=b=:.c:b:2"), Some(("http://x/y?a=b".into(), ":.c:b".into(), 2)));
        assert!(reference("a.B").unwrap_err().to_string().contains("NAME=SUBJECT:VERSION"));
    }
}
