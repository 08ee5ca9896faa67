//! `bd schema list`.

use super::{Answer, Registry};
use crate::cli::SchemaList;
use anyhow::Result;
use bd_schema::{SchemaType, SchemaVersion};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Schemas that are asked for at once: their texts come with them.
const PAGE: usize = 250;
/// Confluent's prefix of a prefix that is meant in all contexts.
const ALL_CONTEXTS: &str = ":*:";

/// A subject as its versions tell.
struct Subject {
    /// Each with whether it was deleted.
    versions: Vec<(u32, bool)>,
    schema_type: SchemaType,
    id: Option<u32>,
}

pub(super) fn list(registry: &Registry, args: &SchemaList) -> Result<Answer> {
    let subjects = subjects(registry, args)?;
    let mut levels = Levels::default();
    let (mut rows, mut json) = (Vec::new(), Vec::new());
    for (name, subject) in subjects {
        let (level, own) = levels.of(registry, &name)?;
        let id = subject.id.map(|id| id.to_string()).unwrap_or_default();
        let shown = if own { level.clone() } else { format!("{level} (inherited)") };
        rows.push(vec![name.clone(), ranges(&subject.versions), subject.schema_type.to_string(), id, shown]);
        json.push(json!({
            "subject": name, "type": subject.schema_type.name(), "id": subject.id,
            "versions": numbers(&subject, false), "deleted": numbers(&subject, true),
            "level": level, "level_set": own,
        }));
    }
    Ok(Answer::table(&["subject", "versions", "type", "id", "level"], &rows, json.into()))
}

fn numbers(subject: &Subject, deleted: bool) -> Vec<Value> {
    subject.versions.iter().filter(|(_, gone)| *gone == deleted).map(|(v, _)| (*v).into()).collect()
}

fn subjects(registry: &Registry, args: &SchemaList) -> Result<BTreeMap<String, Subject>> {
    let wanted = args.prefix.as_deref().unwrap_or_default();
    let prefix = match &args.context {
        Some(name) if name == "." || name.is_empty() => wanted.to_owned(),
        Some(name) => format!(":.{}:{wanted}", name.trim_start_matches('.')),
        None if wanted.starts_with(':') => wanted.to_owned(),
        // A registry without contexts takes that for a part of the name.
        None => match registry.call(|client| client.contexts())? {
            Some(contexts) if contexts.len() > 1 => format!("{ALL_CONTEXTS}{wanted}"),
            _ => wanted.to_owned(),
        },
    };
    let mut subjects: BTreeMap<String, Subject> = BTreeMap::new();
    let mut offset = 0;
    loop {
        let page = registry.call(|client| client.schemas(&prefix, args.deleted, offset, PAGE))?;
        let count = page.len();
        for version in page {
            if args.filter.as_deref().is_none_or(|text| version.subject.contains(text)) {
                add(&mut subjects, version);
            }
        }
        offset += count;
        // A registry that pages not gives all at once.
        if count != PAGE {
            return Ok(subjects);
        }
    }
}

fn add(subjects: &mut BTreeMap<String, Subject>, version: SchemaVersion) {
    let subject = subjects.entry(version.subject).or_insert(Subject {
        versions: Vec::new(),
        schema_type: version.schema_type,
        id: None,
    });
    // The newest that stands says what the subject is.
    if !version.deleted || subject.id.is_none() {
        subject.schema_type = version.schema_type;
        subject.id = version.id;
    }
    subject.versions.push((version.version, version.deleted));
}

/// `1-3, 5`; what was deleted is in brackets: `[1-3], 4`.
fn ranges(versions: &[(u32, bool)]) -> String {
    let mut versions = versions.to_vec();
    versions.sort_unstable();
    let mut runs: Vec<(u32, u32, bool)> = Vec::new();
    for (version, deleted) in versions {
        match runs.last_mut() {
            Some((_, last, gone)) if *gone == deleted && version == last.saturating_add(1) => *last = version,
            _ => runs.push((version, version, deleted)),
        }
    }
    let shown = runs.into_iter().map(|(first, last, deleted)| {
        let run = if first == last { first.to_string() } else { format!("{first}-{last}") };
        if deleted { format!("[{run}]") } else { run }
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// Levels that subjects inherit, by their contexts.
#[derive(Default)]
struct Levels(BTreeMap<String, String>);

impl Levels {
    /// The level of a subject, and whether it is its own.
    fn of(&mut self, registry: &Registry, subject: &str) -> Result<(String, bool)> {
        if let Some(level) = registry.call(|client| client.level(Some(subject)))? {
            return Ok((level, true));
        }
        let context = match subject.strip_prefix(":.").and_then(|rest| rest.find(':')) {
            Some(end) => subject[..end + 3].to_owned(),
            None => String::new(),
        };
        if let Some(level) = self.0.get(&context) {
            return Ok((level.clone(), false));
        }
        let of_context = match context.as_str() {
            "" => None,
            context => registry.call(|client| client.level(Some(context)))?,
        };
        let level = match of_context {
            Some(level) => level,
            None => registry.call(|client| client.level(None))?.unwrap_or_else(|| "BACKWARD".into()),
        };
        self.0.insert(context, level.clone());
        Ok((level, false))
    }
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn versions_are_shown_as_ranges_and_deleted_ones_in_brackets() {
        assert_eq!(ranges(&[(3, false), (1, true), (2, true), (5, false), (4, false)]), "[1-2], 3-5");
        assert_eq!(ranges(&[(1, false), (3, false)]), "1, 3");
    }
}
