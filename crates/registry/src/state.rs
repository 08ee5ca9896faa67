//! What the topic says so far: subjects with their versions, schemas by id, levels. A pure function of its records.

use crate::Level;
use crate::record::{Change, SchemaValue};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// One version of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) version: u32,
    pub(crate) id: u32,
    /// Deleted softly: still found by id, and by those who ask for deleted ones.
    pub(crate) deleted: bool,
}

/// A schema.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) text: Arc<str>,
    /// `None`: Avro.
    pub(crate) schema_type: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    subjects: BTreeMap<String, BTreeMap<u32, Version>>,
    by_id: BTreeMap<u32, Stored>,
    /// Schemas by what makes them equal, see [`identity`].
    ids: HashMap<String, u32>,
    levels: HashMap<Option<String>, Level>,
}

/// What makes two schemas the same: their JSON, whatever the order of its keys and its white space.
pub(crate) fn identity(schema: &str) -> String {
    fn sorted(value: &serde_json::Value, out: &mut String) {
        match value {
            serde_json::Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by(|a, b| a.0.cmp(b.0));
                out.push('{');
                for (key, value) in entries {
                    out.push_str(&serde_json::Value::from(key.as_str()).to_string());
                    out.push(':');
                    sorted(value, out);
                    out.push(',');
                }
                out.push('}');
            }
            serde_json::Value::Array(items) => {
                out.push('[');
                for item in items {
                    sorted(item, out);
                    out.push(',');
                }
                out.push(']');
            }
            scalar => out.push_str(&scalar.to_string()),
        }
    }
    match serde_json::from_str(schema) {
        Ok(value) => {
            let mut out = String::with_capacity(schema.len());
            sorted(&value, &mut out);
            out
        }
        Err(_) => schema.to_owned(),
    }
}

impl State {
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Schema(SchemaValue { subject, version, id, schema_type, schema, deleted }) => {
                // Of two registries that claimed the same id or version, the first in the log has it; the other one tries again.
                let place = self.subjects.get(&subject).and_then(|versions| versions.get(&version));
                let taken = place.is_some_and(|there| there.id != id)
                    || self.by_id.get(&id).is_some_and(|there| identity(&there.text) != identity(&schema));
                if taken {
                    return;
                }
                if !self.by_id.contains_key(&id) {
                    self.ids.entry(identity(&schema)).or_insert(id);
                    self.by_id.insert(id, Stored { text: schema.into(), schema_type });
                }
                self.subjects.entry(subject).or_default().insert(version, Version { version, id, deleted });
            }
            Change::Purge { subject, version } => {
                if let Some(versions) = self.subjects.get_mut(&subject) {
                    versions.remove(&version);
                    if versions.is_empty() {
                        self.subjects.remove(&subject);
                    }
                }
            }
            Change::Level { subject, level } => {
                match level {
                    Some(level) => self.levels.insert(subject, level),
                    None => self.levels.remove(&subject),
                };
            }
            Change::DeleteSubject { subject, version } => {
                let versions =
                    self.subjects.get_mut(&subject).into_iter().flat_map(|v| v.range_mut(..=version));
                versions.for_each(|(_, v)| v.deleted = true);
            }
        }
    }

    /// The subjects with a version, by name.
    pub(crate) fn subjects(&self, deleted: bool) -> Vec<String> {
        let has = |versions: &BTreeMap<u32, Version>| versions.values().any(|v| deleted || !v.deleted);
        self.subjects.iter().filter(|(_, v)| has(v)).map(|(s, _)| s.clone()).collect()
    }

    /// The versions of a subject, ascending; with deleted ones where those are wanted.
    pub(crate) fn versions(&self, subject: &str, deleted: bool) -> Vec<Version> {
        let versions = self.subjects.get(subject).into_iter().flat_map(BTreeMap::values);
        versions.filter(|v| deleted || !v.deleted).cloned().collect()
    }

    pub(crate) fn schema(&self, id: u32) -> Option<&Stored> {
        self.by_id.get(&id)
    }

    /// The id of an equal schema.
    pub(crate) fn id_of(&self, schema: &str) -> Option<u32> {
        self.ids.get(&identity(schema)).copied()
    }

    pub(crate) fn next_id(&self) -> u32 {
        self.by_id.last_key_value().map_or(1, |(id, _)| id + 1)
    }

    /// The number a new version gets: deleted versions keep theirs.
    pub(crate) fn next_version(&self, subject: &str) -> u32 {
        self.subjects.get(subject).and_then(|v| v.last_key_value()).map_or(1, |(version, _)| version + 1)
    }

    /// Subject and version of each place that has the schema of that id.
    pub(crate) fn places_of(&self, id: u32, deleted: bool) -> Vec<(String, u32)> {
        let mut places = Vec::new();
        for (subject, versions) in &self.subjects {
            let found = versions.values().filter(|v| v.id == id && (deleted || !v.deleted));
            places.extend(found.map(|v| (subject.clone(), v.version)));
        }
        places
    }

    /// The level set for a subject (`None`: for all) itself.
    pub(crate) fn own_level(&self, subject: Option<&str>) -> Option<Level> {
        self.levels.get(&subject.map(str::to_owned)).copied()
    }

    /// The level that holds for a subject; Confluent's default is BACKWARD.
    pub(crate) fn level(&self, subject: Option<&str>) -> Level {
        self.own_level(subject).or_else(|| self.own_level(None)).unwrap_or(Level::Backward)
    }

    /// The number of schemas.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }
}
