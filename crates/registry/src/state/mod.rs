//! What the topic says so far: subjects with their versions, schemas by id, configs and modes. A pure function of its records.
//! Schemas are kept as text; one that stands in several places is kept once.

mod ids;
mod lookup;
mod scope;
mod stored;

pub(crate) use ids::Place;
pub(crate) use lookup::Filter;
pub(crate) use stored::{Stored, Version};

use crate::Level;
use crate::config::{Config, Mode};
use crate::record::{Change, Standing};
use crate::subject::{self, Qualified};
use ids::{Ids, References};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct State {
    /// By name with context; the versions of each ascending.
    subjects: BTreeMap<Arc<str>, Vec<Version>>,
    /// By context, as `.` or `.staging`.
    ids: HashMap<String, Ids>,
    references: References,
    /// Without the default one.
    contexts: BTreeSet<String>,
    /// By subject or context, the empty name is all; so are the modes.
    configs: BTreeMap<String, Config>,
    modes: BTreeMap<String, Mode>,
    /// The level where none is set.
    level: Level,
}

impl State {
    /// Nothing yet; `level` holds where none is set.
    pub(crate) fn new(level: Level) -> Self {
        Self {
            subjects: BTreeMap::new(),
            ids: HashMap::new(),
            references: References::default(),
            contexts: BTreeSet::new(),
            configs: BTreeMap::new(),
            modes: BTreeMap::new(),
            level,
        }
    }

    /// Whether a record of a schema says nothing: its id is that of another schema; or it claims a version that is there; or it claims
    /// an id for a schema that has one.
    pub(crate) fn refuses(&self, subject: &str, version: &Version, standing: Standing) -> bool {
        let claims = matches!(standing, Standing::Version | Standing::Schema);
        let other_schema = self.schema(subject, version.id).is_some_and(|s| s.text != version.schema.text);
        let taken = self.version(subject, version.version).is_some_and(|there| there.id != version.id);
        let other_id = self.id_of(subject, version.schema.digest).is_some_and(|id| id != version.id);
        other_schema || (claims && taken) || (standing == Standing::Schema && other_id)
    }

    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Schema { subject, version } => self.put(&subject, version),
            Change::Purge { subject, version } => self.purge(&subject, version),
            Change::Config { subject, config } => {
                set(&mut self.configs, subject, config.map(|config| *config))
            }
            Change::Mode { subject, mode } => set(&mut self.modes, subject, mode),
            Change::DeleteSubject { subject, version } => {
                let versions = self.subjects.get_mut(subject.as_str()).into_iter().flatten();
                versions.filter(|v| v.version <= version).for_each(|v| v.deleted = true);
            }
            Change::ClearSubject { subject } => {
                let scope = subject.unwrap_or_default();
                for (subject, version) in self.deleted_in(&scope) {
                    self.purge(&subject, version);
                }
            }
            Change::Context { context, exists: true } => {
                self.contexts.insert(context);
            }
            Change::Context { context, exists: false } => {
                self.contexts.remove(&context);
            }
        }
    }

    fn put(&mut self, subject: &str, mut version: Version) {
        let context = Qualified::parse(subject).context;
        let ids = self.ids.entry(context.to_owned()).or_default();
        if let Some(there) = ids.schema(version.id).filter(|there| **there == version.schema) {
            version.schema = there.clone();
        }
        let name = match self.subjects.get_key_value(subject) {
            Some((name, _)) => name.clone(),
            None => Arc::from(subject),
        };
        self.references.add(subject, context, &version);
        ids.put(&name, &version);
        let versions = self.subjects.entry(name).or_default();
        let replaced = match versions.binary_search_by_key(&version.version, |v| v.version) {
            Ok(at) => {
                Some(std::mem::replace(&mut versions[at], version)).filter(|old| old.id != versions[at].id)
            }
            Err(at) => {
                versions.reserve_exact(1);
                versions.insert(at, version);
                None
            }
        };
        if let Some(old) = replaced {
            self.forget(subject, &old);
        }
    }

    fn purge(&mut self, subject: &str, version: u32) {
        let Some(versions) = self.subjects.get_mut(subject) else { return };
        let Ok(at) = versions.binary_search_by_key(&version, |v| v.version) else { return };
        let old = versions.remove(at);
        self.forget(subject, &old);
        if self.subjects.get(subject).is_some_and(Vec::is_empty) {
            self.subjects.remove(subject);
        }
    }

    /// Of a version that is no more: its id stands for it no longer.
    fn forget(&mut self, subject: &str, old: &Version) {
        let context = Qualified::parse(subject).context;
        let other = self.subjects.get(subject).into_iter().flatten().rev().find(|v| v.id == old.id);
        let Some(ids) = self.ids.get_mut(context) else { return };
        if ids.remove(subject, old, other.map(|v| v.version)) {
            self.references.remove(subject, context, old);
        }
    }

    /// The subjects and versions in a scope that are deleted softly.
    pub(crate) fn deleted_in(&self, scope: &str) -> Vec<(String, u32)> {
        let covered = self.subjects.iter().filter(|(subject, _)| subject::covers(scope, subject));
        let deleted = |(subject, versions): (&Arc<str>, &Vec<Version>)| {
            let subject = subject.to_string();
            let deleted = versions.iter().filter(|v| v.deleted).map(|v| v.version).collect::<Vec<_>>();
            deleted.into_iter().map(move |version| (subject.clone(), version))
        };
        covered.flat_map(deleted).collect()
    }
}

fn set<T>(map: &mut BTreeMap<String, T>, subject: Option<String>, value: Option<T>) {
    let name = subject.unwrap_or_default();
    match value {
        Some(value) => map.insert(name, value),
        None => map.remove(&name),
    };
}
