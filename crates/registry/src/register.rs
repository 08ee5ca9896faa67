//! Registering a schema, and looking one up by its text.

use crate::compatibility;
use crate::config::{Config, Mode};
use crate::draft::{Candidate, Draft};
use crate::entity::{Metadata, RuleSet};
use crate::error::Error;
use crate::flights::Flights;
use crate::record::{Change, Standing};
use crate::registry::{Found, Registry};
use crate::state::{State, Stored, Version};
use crate::store::Decision;
use crate::subject::{self, Qualified};
use std::sync::Arc;

impl Registry {
    /// Registers a schema; gives where it stands, which is where it stood if it is there already. With `force` also when it is not
    /// compatible.
    pub(crate) fn register_draft(
        &self,
        subject: &str,
        draft: &Draft,
        normalize: bool,
        force: bool,
    ) -> Result<Found, Error> {
        if let Some(rules) = &draft.rule_set {
            rules.validate().map_err(Error::InvalidRuleSet)?;
        }
        if !subject::is_valid(subject, false) {
            return Err(Error::InvalidSubject(subject.into()));
        }
        let subject = subject::normalized(subject);
        if let Some(found) = self.store.known(|state| unchanged(state, &subject, draft, normalize)) {
            return Ok(found);
        }
        self.store
            .transact(|state, flights| self.registration(state, flights, &subject, draft, normalize, force))
    }

    fn registration(
        &self,
        state: &State,
        flights: &Flights,
        subject: &str,
        draft: &Draft,
        normalize: bool,
        force: bool,
    ) -> Result<Decision<Found>, Error> {
        let config = state.config(subject);
        let normalize = normalize || config.normalize == Some(true);
        if let Some(version) = self.registered(state, subject, &config, draft, normalize)? {
            return Ok(Decision::nothing(Found::new(subject, &version)));
        }
        let mode = state.mode(subject);
        permitted(subject, mode, draft)?;
        let live: Vec<&Version> = state.versions(subject).iter().filter(|v| !v.deleted).collect();
        let next = state.versions(subject).last().map_or(1, |v| v.version.saturating_add(1));
        let mut draft = draft.clone();
        let asked = draft.version.unwrap_or(0);
        if !mode.takes_ids() {
            complete(&mut draft, &config, live.last().copied(), next)?;
        }
        let normalize = normalize && !mode.takes_ids();
        let strict = draft.given_id().is_none() && config.validates_new();
        let candidate = draft.parse(state, subject, normalize, strict)?;
        let candidate = candidate.ok_or_else(|| Error::InvalidSchema("Empty schema".into()))?;
        let mut id = draft.given_id();
        if let Some(known) = state.id_of(subject, candidate.stored.digest)
            && id.is_none_or(|id| id == known)
        {
            id = Some(known);
        }
        if asked == 0 {
            for version in live.iter().rev().filter(|v| id.is_none_or(|id| id == v.id)) {
                if self.equal(state, subject, &candidate, version)? {
                    return Ok(Decision::nothing(Found::new(subject, version)));
                }
            }
        }
        if !mode.takes_ids() && !force {
            let faults = compatibility::check(&self.definitions, state, subject, &candidate, &live, &config)?;
            if !faults.is_empty() {
                return Err(Error::Incompatible { subject: subject.into(), details: faults.join(", ") });
            }
        }
        let number = u32::try_from(asked).ok().filter(|n| *n > 0).unwrap_or(next);
        if number != next && !mode.takes_ids() {
            return Err(Error::InvalidSchema("Version is not one more than previous version".into()));
        }
        let (id, standing) = match id {
            Some(id) => (same_schema(state, subject, id, &candidate.stored)?, Standing::Version),
            None => (flights.next_id(state, subject), Standing::Schema),
        };
        Ok(writing(state, subject, number, (id, standing), candidate.stored))
    }

    /// The place of a schema that is there already, so that nothing has to be written; as Confluent's leader is asked only then.
    fn registered(
        &self,
        state: &State,
        subject: &str,
        config: &Config,
        draft: &Draft,
        normalize: bool,
    ) -> Result<Option<Version>, Error> {
        if config.changes_schemas() || draft.is_empty() {
            return Ok(None);
        }
        let latest_only = draft.version == Some(-1);
        let Some(found) = self.find(state, subject, draft, normalize, false, latest_only)? else {
            return Ok(None);
        };
        let (asked, id) = (draft.version.unwrap_or(0), draft.given_id());
        let fits = match asked {
            0 | -1 => id.is_none_or(|id| id == found.id),
            asked => id == Some(found.id) && i64::from(asked) == i64::from(found.version),
        };
        Ok(Some(found).filter(|_| fits))
    }

    /// The version of a subject that is the drafted schema.
    fn find(
        &self,
        state: &State,
        subject: &str,
        draft: &Draft,
        normalize: bool,
        deleted: bool,
        latest_only: bool,
    ) -> Result<Option<Version>, Error> {
        let normalize = normalize && !state.mode(subject).takes_ids();
        let Some(candidate) = draft.parse(state, subject, normalize, false)? else { return Ok(None) };
        if latest_only {
            return match state.latest(subject) {
                Some(latest) if self.equal(state, subject, &candidate, latest)? => Ok(Some(latest.clone())),
                _ => Ok(None),
            };
        }
        let known = state.id_of(subject, candidate.stored.digest);
        let known = known.and_then(|id| state.version_of_id(subject, id));
        let known = known.and_then(|version| state.version(subject, version));
        if let Some(version) = known.filter(|v| deleted || !v.deleted) {
            return Ok(Some(version.clone()));
        }
        for version in state.versions(subject).iter().rev().filter(|v| deleted || !v.deleted) {
            if self.equal(state, subject, &candidate, version)? {
                return Ok(Some(version.clone()));
            }
        }
        Ok(None)
    }

    /// Whether a version is that schema, with all that belongs to it. A schema without references is also one that has some.
    fn equal(&self, state: &State, subject: &str, new: &Candidate, version: &Version) -> Result<bool, Error> {
        let (candidate, new, old) = (new, &new.stored, &*version.schema);
        let references = new.references.is_empty() || new.references == old.references;
        if new.schema_type != old.schema_type || !references || !same_beside(new, version) {
            return Ok(false);
        }
        Ok(new.text == old.text || {
            let hash = candidate.canonical_hash();
            self.definitions.is(state, subject, version, &new.text, hash)
        })
    }

    /// The place of a schema under a subject, by its text.
    pub(crate) fn lookup(
        &self,
        subject: &str,
        draft: &Draft,
        normalize: bool,
        deleted: bool,
    ) -> Result<Found, Error> {
        let subject = subject::normalized(subject);
        self.store.fresh(|state| {
            let own = self.lookup_in(state, &subject, draft, normalize, deleted)?;
            if let Some(version) = own {
                return Ok(Found::new(&subject, &version));
            }
            for other in state.in_other_contexts(&subject) {
                // What does not parse there, as its references are not there, is not there.
                if let Ok(Some(version)) = self.lookup_in(state, &other, draft, normalize, deleted) {
                    return Ok(Found::new(&other, &version));
                }
            }
            match state.has_subject(&subject, deleted) {
                true => Err(Error::SchemaTextNotFound),
                false => Err(Error::SubjectNotFound(subject)),
            }
        })?
    }

    fn lookup_in(
        &self,
        state: &State,
        subject: &str,
        draft: &Draft,
        normalize: bool,
        deleted: bool,
    ) -> Result<Option<Version>, Error> {
        let config = state.config(subject);
        let normalize = normalize || config.normalize == Some(true);
        if let Some(found) = self.find(state, subject, draft, normalize, deleted, false)? {
            return Ok(Some(found));
        }
        let Some(latest) = state.latest(subject) else { return Ok(None) };
        let mut completed = draft.clone();
        merge(&mut completed, &config, Some(latest), None);
        match completed == *draft {
            true => Ok(None),
            false => self.find(state, subject, &completed, normalize, deleted, false),
        }
    }
}

/// Where exactly that text with all that belongs to it stands already: what a client that starts asks each time.
fn unchanged(state: &State, subject: &str, draft: &Draft, normalize: bool) -> Option<Found> {
    let asks_more = draft.id.is_some() || draft.version.is_some_and(|v| v != 0) || draft.is_empty();
    let config = state.config(subject);
    if asks_more || normalize || config.normalize == Some(true) || config.changes_schemas() {
        return None;
    }
    let id = state.id_of(subject, draft.digest())?;
    let version = state.version(subject, state.version_of_id(subject, id)?)?;
    let same_type = draft.schema_type.as_deref().unwrap_or("AVRO") == version.schema.schema_type.name();
    (same_type && !version.deleted).then(|| Found::new(subject, version))
}

fn permitted(subject: &str, mode: Mode, draft: &Draft) -> Result<(), Error> {
    let refusal = if mode.is_read_only() {
        "is in read-only mode"
    } else if draft.given_id().is_some() && !mode.takes_ids() {
        "is not in import mode"
    } else if draft.given_id().is_none() && mode != Mode::ReadWrite {
        "is not in read-write mode"
    } else {
        return Ok(());
    };
    Err(not_permitted(subject, refusal))
}

pub(crate) fn not_permitted(subject: &str, refusal: &str) -> Error {
    let context = Qualified::parse(subject).prefix();
    Error::NotPermitted(format!("Subject {subject} in context {context} {refusal}"))
}

/// Fills in what a request leaves out: the text, metadata and rules of the latest version, and what the config says.
fn complete(draft: &mut Draft, config: &Config, latest: Option<&Version>, next: u32) -> Result<(), Error> {
    if draft.is_empty() {
        let latest = latest.ok_or_else(|| Error::InvalidSchema("Empty schema".into()))?;
        draft.schema = Some(latest.schema.text.to_string());
        draft.schema_type = Some(latest.schema.schema_type.name().into());
        draft.references = Some(latest.schema.references.to_vec());
    }
    merge(draft, config, latest, Some(next));
    Ok(())
}

fn merge(draft: &mut Draft, config: &Config, latest: Option<&Version>, number: Option<u32>) {
    let latest_metadata = latest.and_then(|v| v.schema.metadata.as_deref().cloned());
    let own = draft.metadata.take().or(latest_metadata);
    let metadata = Metadata::merged(config.default_metadata.clone(), own);
    draft.metadata = Metadata::merged(metadata, config.override_metadata.clone());
    let latest_rules = latest.and_then(|v| v.schema.rule_set.as_deref().cloned());
    let own = draft.rule_set.take().or(latest_rules);
    let rules = RuleSet::merged(config.default_rule_set.clone(), own);
    draft.rule_set = RuleSet::merged(rules, config.override_rule_set.clone());
    let numbered = draft.metadata.as_ref().is_some_and(|m| m.confluent_version().is_some());
    if let Some(number) = number.filter(|_| numbered || draft.version.unwrap_or(0) != 0) {
        draft.metadata.get_or_insert_default().set_confluent_version(number);
    }
}

/// Whether metadata and rules are the same, but for the property that holds the version.
fn same_beside(new: &Stored, version: &Version) -> bool {
    let old = &*version.schema;
    if new.rule_set != old.rule_set {
        return false;
    }
    let number = |schema: &Stored| schema.metadata.as_ref()?.confluent_version()?.parse::<u32>().ok();
    let bare = |m: &Option<Box<Metadata>>| m.as_deref().map(Metadata::without_confluent_version);
    match (number(new), number(old)) {
        (None, Some(_)) => bare(&new.metadata).unwrap_or_default() == bare(&old.metadata).unwrap_or_default(),
        (Some(number), None) => {
            number == version.version
                && bare(&new.metadata).unwrap_or_default() == bare(&old.metadata).unwrap_or_default()
        }
        _ => new.metadata == old.metadata,
    }
}

/// The id, unless it is that of another schema.
fn same_schema(state: &State, subject: &str, id: u32, schema: &Stored) -> Result<u32, Error> {
    match state.schema(subject, id) {
        Some(there) if **there != *schema => {
            let context = Qualified::parse(subject).prefix();
            Err(Error::NotPermitted(format!(
                "Overwrite new schema with id {id} in context {context} is not permitted."
            )))
        }
        _ => Ok(id),
    }
}

/// The records of a new version: its context, where it is new; versions of the same schema that were deleted softly are gone.
fn writing(
    state: &State,
    subject: &str,
    number: u32,
    (id, standing): (u32, Standing),
    schema: Stored,
) -> Decision<Found> {
    let mut changes = Vec::new();
    let context = Qualified::parse(subject).context;
    if !state.has_context(context) {
        changes.push(Change::Context { context: context.into(), exists: true });
    }
    let earlier = state.versions(subject).iter().filter(|v| v.deleted && v.id == id && v.version < number);
    for version in earlier.filter(|v| state.referenced_by(subject, v.version, true).is_empty()) {
        changes.push(Change::Purge { subject: subject.into(), version: version.version });
    }
    let version = Version { version: number, id, deleted: false, time: 0, schema: Arc::new(schema) };
    let answer = Found { time: None, ..Found::new(subject, &version) };
    let replaces = state.version(subject, number).is_some();
    changes.push(Change::Schema { subject: subject.into(), version });
    Decision { changes, standing: if replaces { Standing::Told } else { standing }, answer }
}
