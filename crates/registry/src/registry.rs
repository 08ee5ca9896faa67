//! The registry: what it is asked for, over the [`Store`].

use crate::config::{Config, Level};
use crate::definitions::{self, Definitions};
use crate::draft::{Candidate, Draft};
use crate::error::Error;
use crate::md5::Digest;
use crate::state::{Filter, State, Stored, Version};
use crate::store::Store;
use crate::subject::{self, Qualified};
use crate::{compatibility, entity};
use bd_cluster::Cluster;
use bd_schema::{NewSchema, RegisteredSchema, RegistryError, SchemaRegistry, SchemaText};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a registry runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryConfig {
    /// The topic, Confluent's `kafkastore.topic`. Created with one partition, compacted, where it is absent.
    pub topic: String,
    /// The level where none is set, Confluent's `schema.compatibility.level`.
    pub level: Level,
    /// Whether modes may be changed, Confluent's `mode.mutability`.
    pub mode_mutability: bool,
    /// Whether it writes, Confluent's `leader.eligibility`. One that does not only reads what others write.
    pub leader_eligibility: bool,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            topic: "_schemas".into(),
            level: Level::Backward,
            mode_mutability: true,
            leader_eligibility: true,
        }
    }
}

/// A schema registry over a topic. Calls block.
pub struct Registry {
    pub(crate) store: Store,
    pub(crate) definitions: Definitions,
    pub(crate) mode_mutability: bool,
    cluster: String,
}

/// A version of a subject with its schema.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) subject: String,
    pub(crate) version: u32,
    pub(crate) id: u32,
    pub(crate) deleted: bool,
    /// When it was written, ms since epoch; `None`: just now.
    pub(crate) time: Option<i64>,
    pub(crate) schema: Arc<Stored>,
}

impl Found {
    pub(crate) fn new(subject: &str, version: &Version) -> Self {
        Self {
            subject: subject.to_owned(),
            version: version.version,
            id: version.id,
            deleted: version.deleted,
            time: Some(version.time),
            schema: version.schema.clone(),
        }
    }
}

impl Found {
    fn by_id(state: &State, id: u32, name: &str) -> Option<Self> {
        let (subject, version) = state.find_id(id, name)?;
        state.version(subject, *version).map(|version| Self::new(subject, version))
    }
}

/// Which version of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Latest,
    Number(u32),
}

impl Which {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let trimmed = text.trim();
        match trimmed.parse::<i32>() {
            _ if trimmed.eq_ignore_ascii_case("latest") => Ok(Self::Latest),
            Ok(-1) => Ok(Self::Latest),
            Ok(n) if n > 0 => Ok(Self::Number(n.unsigned_abs())),
            _ => Err(Error::InvalidVersion(text.into())),
        }
    }

    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Number(n) => n.into(),
        }
    }

    pub(crate) fn of(self, state: &State, subject: &str, deleted: bool) -> Option<Version> {
        let version = match self {
            Self::Latest => state.latest(subject),
            Self::Number(n) => state.version(subject, n).filter(|v| deleted || !v.deleted),
        };
        version.cloned()
    }
}

impl Registry {
    /// Reads the topic to its end, creating it where it is absent.
    ///
    /// # Errors
    /// The cluster's; a topic of more than one partition.
    pub fn open(cluster: Arc<dyn Cluster>, config: &RegistryConfig) -> Result<Self, Error> {
        let name = cluster.name();
        let state = State::new(config.level);
        let store = Store::open(cluster, &config.topic, state, config.leader_eligibility)?;
        let mode_mutability = config.mode_mutability;
        Ok(Self { store, definitions: Definitions::default(), mode_mutability, cluster: name })
    }

    /// The name of the cluster whose topic it keeps.
    pub(crate) fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The schema of an id, under the subject or within the context of that name (empty: the default context). Without asking the
    /// topic where it is known.
    pub(crate) fn by_id(&self, id: u32, name: &str) -> Result<Found, Error> {
        if let Some(found) = self.store.known(|state| Found::by_id(state, id, name)) {
            return Ok(found);
        }
        // Another registry may have written it since.
        self.store.fresh(|state| Found::by_id(state, id, name))?.ok_or(Error::SchemaNotFound(id))
    }

    /// The same where it is known, without waiting.
    pub(crate) fn by_id_at_once(&self, id: u32, name: &str) -> Option<Found> {
        self.store.known_at_once(|state| Found::by_id(state, id, name)).flatten()
    }

    /// The greatest id of a subject's context.
    pub(crate) fn max_id(&self, subject: &str) -> u32 {
        self.store.known(|state| state.max_id(subject)).unwrap_or(1)
    }

    /// Where the schema of an id stands.
    pub(crate) fn places(&self, id: u32, name: &str, deleted: bool) -> Result<Vec<(String, u32)>, Error> {
        self.store.fresh(|state| {
            let (subject, _) = state.find_id(id, name).ok_or(Error::SchemaTextNotFound)?;
            let places = state.places(Qualified::parse(subject).context, id).iter();
            let live =
                |subject: &str, n: u32| state.version(subject, n).is_some_and(|v| deleted || !v.deleted);
            Ok(places.filter(|(s, n)| live(s, *n)).map(|(s, n)| (s.to_string(), *n)).collect())
        })?
    }

    /// A schema by its guid.
    pub(crate) fn by_guid(&self, guid: &str) -> Result<Found, Error> {
        let (context, id) =
            self.ids_of_guid(guid)?.into_iter().next().ok_or_else(|| Error::GuidNotFound(guid.into()))?;
        self.by_id(id, &subject::prefix_of(&context)).map_err(|_| Error::GuidNotFound(guid.into()))
    }

    /// The contexts and ids of a schema by its guid.
    pub(crate) fn ids_of_guid(&self, guid: &str) -> Result<Vec<(String, u32)>, Error> {
        match Digest::parse(guid) {
            Some(digest) => self.store.fresh(|state| state.find_digest(digest)),
            None => Ok(Vec::new()),
        }
    }

    pub(crate) fn subjects(&self, prefix: &str, filter: Filter) -> Result<Vec<String>, Error> {
        self.store.fresh(|state| {
            let deleted = |versions: &[Version]| versions.iter().all(|v| v.deleted);
            let all = state.with_prefix(prefix).filter(|(_, versions)| filter.takes(deleted(versions)));
            all.map(|(subject, _)| subject.to_string()).collect()
        })
    }

    /// The versions of a subject, ascending.
    pub(crate) fn versions(&self, subject: &str, filter: Filter) -> Result<Vec<Version>, Error> {
        let subject = subject::normalized(subject);
        self.store.fresh(|state| {
            if !state.has_subject(&subject, filter != Filter::Live) {
                return Err(Error::SubjectNotFound(subject.clone()));
            }
            let versions = state.versions(&subject).iter();
            Ok(versions.filter(|v| filter.takes(v.deleted)).cloned().collect())
        })?
    }

    /// A version of a subject; a subject without a context is looked for in all of them.
    pub(crate) fn version(&self, subject: &str, which: Which, deleted: bool) -> Result<Found, Error> {
        let subject = subject::normalized(subject);
        self.store.fresh(|state| {
            let names = std::iter::once(subject.clone()).chain(state.in_other_contexts(&subject));
            let mut found = names.filter_map(|name| Some((which.of(state, &name, deleted)?, name)));
            match found.next() {
                Some((version, name)) => Ok(Found::new(&name, &version)),
                None if !state.has_subject(&subject, deleted) => Err(Error::SubjectNotFound(subject.clone())),
                None => Err(Error::VersionNotFound(which.number())),
            }
        })?
    }

    /// The latest version whose metadata has these properties.
    pub(crate) fn with_properties(
        &self,
        subject: &str,
        properties: &BTreeMap<String, String>,
        deleted: bool,
    ) -> Result<Found, Error> {
        let subject = subject::normalized(subject);
        let has = |metadata: &entity::Metadata| {
            properties.iter().all(|(name, value)| metadata.properties.get(name) == Some(value))
        };
        self.store.fresh(|state| {
            let mut versions = state.versions(&subject).iter().rev().filter(|v| deleted || !v.deleted);
            match versions.find(|v| v.schema.metadata.as_deref().is_some_and(has)) {
                Some(version) => Ok(Found::new(&subject, version)),
                None if state.has_subject(&subject, deleted) => Err(Error::SchemaTextNotFound),
                None => Err(Error::SubjectNotFound(subject.clone())),
            }
        })?
    }

    /// The ids of the schemas that refer to a version.
    pub(crate) fn referenced_by(
        &self,
        subject: &str,
        which: Which,
        deleted: bool,
    ) -> Result<Vec<u32>, Error> {
        let found = self.version(subject, which, true)?;
        let all = self.store.known(|state| state.referenced_by(&found.subject, found.version, deleted));
        Ok(all.into_iter().map(|(_, id)| id).collect())
    }

    /// The versions of the subjects of a prefix, each with the subjects that are aliases of its own where those are asked for.
    pub(crate) fn all(&self, asked: &Listing) -> Result<Vec<(Found, Vec<String>)>, Error> {
        self.store.fresh(|state| {
            let mut found = Vec::new();
            let mut wanted = asked.offset.saturating_add(asked.limit);
            for (subject, versions) in state.with_prefix(&asked.prefix) {
                let taken = versions.iter().filter(|v| asked.filter.takes(v.deleted));
                let first = if asked.latest_only { taken.clone().count().saturating_sub(1) } else { 0 };
                let fits = |v: &&Version| match &asked.rule_type {
                    Some(rule_type) => v.schema.rule_set.as_ref().is_some_and(|r| r.has_type(rule_type)),
                    None => true,
                };
                for version in taken.skip(first).filter(fits).take(wanted) {
                    found.push(Found::new(subject, version));
                    wanted -= 1;
                }
                if wanted == 0 {
                    break;
                }
            }
            let aliases = if asked.aliases { state.aliases() } else { BTreeMap::new() };
            let page = found.into_iter().skip(asked.offset);
            page.map(|found| {
                let aliases = aliases.get(&found.subject).cloned().unwrap_or_default();
                (found, aliases)
            })
            .collect()
        })
    }

    pub(crate) fn contexts(&self) -> Result<Vec<String>, Error> {
        self.store.fresh(State::contexts)
    }

    /// The subject that stands for this one: its alias, where it has one.
    pub(crate) fn alias(&self, subject: &str) -> Option<String> {
        self.store.known(|state| state.resolved(&subject::normalized(subject)))
    }

    /// What keeps a schema from following versions of a subject: one of them (of none where the latest is meant and there is none),
    /// or those that the level looks at.
    pub(crate) fn check(
        &self,
        subject: &str,
        which: Option<Which>,
        draft: &Draft,
        normalize: bool,
    ) -> Result<Vec<String>, Error> {
        let subject = subject::normalized(subject);
        self.store.fresh(|state| {
            let one = which.map(|which| (which, which.of(state, &subject, false)));
            let earlier: Vec<&Version> = match &one {
                Some((_, Some(version))) => vec![version],
                Some((Which::Latest, None)) => Vec::new(),
                Some((which, None)) => return Err(Error::VersionNotFound(which.number())),
                None => state.versions(&subject).iter().filter(|v| !v.deleted).collect(),
            };
            let config = state.config(&subject);
            let candidate = self.candidate(state, &subject, &config, draft, normalize)?;
            compatibility::check(&self.definitions, state, &subject, &candidate, &earlier, &config)
        })?
    }

    fn candidate(
        &self,
        state: &State,
        subject: &str,
        config: &Config,
        draft: &Draft,
        normalize: bool,
    ) -> Result<Candidate, Error> {
        let normalize = normalize || config.normalize == Some(true);
        let candidate = draft.parse(state, subject, normalize, config.validates_new())?;
        candidate.ok_or_else(|| Error::InvalidSchema("Empty schema".into()))
    }

    /// A version's schema with all that it refers to.
    pub(crate) fn text(&self, found: &Found) -> Result<SchemaText, Error> {
        self.store.known(|state| {
            let version = state.version(&found.subject, found.version);
            let version = version.ok_or(Error::SchemaNotFound(found.id))?;
            definitions::text(state, &found.subject, version).map_err(Error::InvalidSchema)
        })
    }

    /// Prometheus text of what there is.
    pub fn metrics(&self) -> String {
        let (schemas, subjects) = self.store.known(|state| (state.schema_count(), state.subject_count()));
        format!(
            "# HELP bd_registry_schemas Schemas by id.\n# TYPE bd_registry_schemas gauge\nbd_registry_schemas {schemas}\n\
             # HELP bd_registry_subjects Subjects with a version.\n# TYPE bd_registry_subjects gauge\n\
             bd_registry_subjects {subjects}\n"
        )
    }
}

/// Which of all versions are asked for.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    pub(crate) prefix: String,
    pub(crate) filter: Filter,
    pub(crate) latest_only: bool,
    pub(crate) aliases: bool,
    /// Only those with a rule of that type.
    pub(crate) rule_type: Option<String>,
    pub(crate) offset: usize,
    pub(crate) limit: usize,
}

impl SchemaRegistry for Registry {
    fn schema(&self, id: u32) -> Result<Arc<SchemaText>, RegistryError> {
        let found = self.by_id(id, "").and_then(|found| self.text(&found));
        found.map(Arc::new).map_err(|e| as_client_sees("", e))
    }

    fn register(&self, subject: &str, schema: &NewSchema) -> Result<u32, RegistryError> {
        let registered = self.register_draft(subject, &Draft::from(schema), false, false);
        registered.map(|found| found.id).map_err(|e| as_client_sees(subject, e))
    }

    fn latest(&self, subject: &str) -> Result<Option<RegisteredSchema>, RegistryError> {
        let found = match self.version(subject, Which::Latest, false) {
            Err(Error::SubjectNotFound(_) | Error::VersionNotFound(_)) => return Ok(None),
            found => found.and_then(|found| Ok((self.text(&found)?, found))),
        };
        let (schema, found) = found.map_err(|e| as_client_sees(subject, e))?;
        Ok(Some(RegisteredSchema { id: found.id, version: found.version, schema: Arc::new(schema) }))
    }
}

fn as_client_sees(subject: &str, error: Error) -> RegistryError {
    match error {
        Error::SchemaNotFound(id) => RegistryError::UnknownId(id),
        Error::Store(reason) => RegistryError::Unavailable { at: "embedded".into(), reason },
        other => {
            RegistryError::Refused { subject: subject.into(), code: other.code(), reason: other.to_string() }
        }
    }
}
