//! `bd schema show`.

use super::{Answer, Registry, pretty, subject_version};
use crate::cli::SchemaShow;
use crate::table;
use anyhow::{Result, anyhow};
use bd_schema::{Columns, SchemaVersion};
use serde_json::{Value, json};

/// A version of a subject.
pub(super) fn find(
    registry: &Registry,
    subject: &str,
    version: Option<&str>,
    deleted: bool,
) -> Result<SchemaVersion> {
    let wanted = version.unwrap_or("latest");
    if let Some(found) = registry.call(|client| client.version(subject, wanted, deleted))? {
        return Ok(found);
    }
    let versions = registry.call(|client| client.versions(subject, true))?;
    let standing = registry.call(|client| client.versions(subject, false))?;
    Err(match (versions.as_slice(), standing.is_empty()) {
        ([], _) => anyhow!("there is no subject {subject}"),
        (_, true) => anyhow!("subject {subject} was deleted; --deleted shows it where a version is named"),
        _ => anyhow!("subject {subject} has no version {wanted}; it has {}", joined(&standing)),
    })
}

fn joined(versions: &[u32]) -> String {
    versions.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

pub(super) fn show(registry: &Registry, args: &SchemaShow) -> Result<Answer> {
    let found = match (&args.subject, args.id) {
        (Some(text), _) => {
            let (subject, version) = subject_version(text);
            find(registry, subject, version, args.deleted)?
        }
        (None, id) => {
            let id = id.unwrap_or_default();
            let found = registry.call(|client| client.by_id(id))?;
            found.ok_or_else(|| anyhow!("there is no schema with the id {id}"))?
        }
    };
    if args.text {
        let text = found.text.trim_end().to_owned() + "\n";
        return Ok(Answer { json: found.json["schema"].clone(), text });
    }
    if args.columns {
        return columns(registry, &found);
    }
    let places = match args.id {
        Some(id) => registry.call(|client| client.places(id))?,
        None => Vec::new(),
    };
    let mut json = found.json.clone();
    if args.id.is_some() {
        json["id"] = found.id.into();
        json["subjects"] = places.iter().map(|(s, v)| json!({"subject": s, "version": v})).collect::<Value>();
    }
    let text = head(&found, &places) + "\n" + &pretty::text(found.schema_type, &found.text);
    Ok(Answer { json, text })
}

/// What is known of a schema, one thing a line.
fn head(found: &SchemaVersion, places: &[(String, u32)]) -> String {
    let mut lines: Vec<(&str, String)> = Vec::new();
    if !found.subject.is_empty() {
        lines.push(("subject", found.subject.clone()));
        let deleted = if found.deleted { " (deleted)" } else { "" };
        lines.push(("version", format!("{}{deleted}", found.version)));
    }
    for (i, (subject, version)) in places.iter().enumerate() {
        lines.push((if i == 0 { "registered" } else { "" }, format!("{subject}, version {version}")));
    }
    lines.extend(found.id.map(|id| ("id", id.to_string())));
    lines.extend(found.json["guid"].as_str().map(|guid| ("guid", guid.to_owned())));
    lines.push(("type", found.schema_type.to_string()));
    for (i, r) in found.references.iter().enumerate() {
        let title = if i == 0 { "references" } else { "" };
        lines.push((title, format!("{} = {}, version {}", r.name, r.subject, r.version)));
    }
    for key in ["metadata", "ruleSet"] {
        lines.extend(found.json.get(key).filter(|v| !v.is_null()).map(|v| (key, v.to_string())));
    }
    let mut out = String::new();
    let width = lines.iter().map(|(title, _)| title.len()).max().unwrap_or_default();
    for (title, value) in &lines {
        table::line(&mut out, &[width], [*title, value.as_str()].into_iter());
    }
    out
}

fn columns(registry: &Registry, found: &SchemaVersion) -> Result<Answer> {
    let text = registry
        .call(|client| client.with_referenced(found.schema_type, found.text.clone(), &found.references))?;
    let columns = Columns::of(&text).map_err(|e| anyhow!("this schema has no columns: {e}"))?;
    let each = || columns.schema.fields.iter().zip(&columns.required);
    let rows: Vec<Vec<String>> = each()
        .map(|(f, required)| {
            let null = if *required { "never" } else { "may be" };
            vec![f.name.clone(), f.data_type.to_string(), null.to_owned()]
        })
        .collect();
    let json = each()
        .map(|(f, required)| json!({"name": f.name, "type": f.data_type.to_string(), "required": required}));
    Ok(Answer::table(&["column", "type", "null"], &rows, json.collect()))
}
