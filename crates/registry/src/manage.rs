//! Deleting subjects and versions; configs, modes and contexts.

use crate::config::{Config, Mode, Refused};
use crate::error::Error;
use crate::record::Change;
use crate::register::not_permitted;
use crate::registry::{Registry, Which};
use crate::state::State;
use crate::store::Decision;
use crate::subject::{self, Qualified};
use serde_json::{Map, Value};
use std::sync::Arc;

const READ_ONLY: &str = "is in read-only mode";

impl Registry {
    /// Deletes a subject; gives its versions.
    pub(crate) fn delete_subject(&self, subject: &str, permanent: bool) -> Result<Vec<u32>, Error> {
        let subject = subject::normalized(subject);
        let deleted = self.store.transact(|state, _| {
            if !state.has_subject(&subject, true) {
                return Err(Error::SubjectNotFound(subject.clone()));
            }
            if !permanent && !state.has_subject(&subject, false) {
                return Err(Error::SubjectSoftDeleted(subject.clone()));
            }
            writable(state, &subject)?;
            let versions = state.versions(&subject).iter().filter(|v| permanent || !v.deleted);
            let mut numbers = Vec::new();
            for version in versions {
                let mut referring = state.referencing_subjects(&subject, version.version, permanent);
                referring.remove(&Arc::from(subject.as_str()));
                if !referring.is_empty() {
                    let version = version.version;
                    return Err(Error::ReferenceExists { subject: subject.clone(), version });
                }
                if permanent && !version.deleted {
                    return Err(Error::SubjectNotSoftDeleted(subject.clone()));
                }
                numbers.push(version.version);
            }
            let changes = match (permanent, numbers.last()) {
                (false, Some(last)) => {
                    vec![Change::DeleteSubject { subject: subject.clone(), version: *last }]
                }
                (false, None) => Vec::new(),
                (true, _) => {
                    let purge = |version: &u32| Change::Purge { subject: subject.clone(), version: *version };
                    numbers.iter().rev().map(purge).chain(without_settings(state, &subject)).collect()
                }
            };
            Ok(Decision::write(changes, numbers))
        })?;
        self.definitions.clear();
        Ok(deleted)
    }

    /// Deletes a version; gives its number.
    pub(crate) fn delete_version(&self, subject: &str, which: Which, permanent: bool) -> Result<u32, Error> {
        let subject = subject::normalized(subject);
        let deleted = self.store.transact(|state, _| {
            let Some(version) = which.of(state, &subject, true) else {
                return Err(match state.has_subject(&subject, true) {
                    true => Error::VersionNotFound(which.number()),
                    false => Error::SubjectNotFound(subject.clone()),
                });
            };
            let number = version.version;
            if version.deleted && !permanent {
                return Err(Error::VersionSoftDeleted(subject.clone(), number.into()));
            }
            writable(state, &subject)?;
            if !state.referenced_by(&subject, number, permanent).is_empty() {
                return Err(Error::ReferenceExists { subject: subject.clone(), version: number });
            }
            if permanent && !version.deleted {
                return Err(Error::VersionNotSoftDeleted(subject.clone(), number.into()));
            }
            let mut changes = Vec::new();
            if permanent {
                changes.push(Change::Purge { subject: subject.clone(), version: number });
                if state.versions(&subject).len() == 1 {
                    changes.extend(without_settings(state, &subject));
                }
            } else {
                let version = crate::state::Version { deleted: true, ..version };
                changes.push(Change::Schema { subject: subject.clone(), version });
            }
            Ok(Decision::write(changes, number))
        })?;
        self.definitions.clear();
        Ok(deleted)
    }

    /// The config that is set for a subject, a context or (with no name) for all; with `in_scope`, the one that holds.
    pub(crate) fn config(&self, name: Option<&str>, in_scope: bool) -> Result<Config, Error> {
        let name = scope(name);
        self.store.fresh(|state| match in_scope {
            true => Ok(state.config(&name)),
            false => state.own_config(&name).ok_or_else(|| Error::NoSubjectLevel(name.clone())),
        })?
    }

    /// Changes a config by a request's fields; gives what is set then.
    pub(crate) fn set_config(
        &self,
        name: Option<&str>,
        request: &Map<String, Value>,
    ) -> Result<Config, Error> {
        if let Some(name) = name.filter(|name| !subject::is_valid(name, true)) {
            return Err(Error::InvalidSubject(name.into()));
        }
        let name = scope(name);
        self.store.transact(|state, _| {
            let old = state.set_config(&name).cloned().unwrap_or_default();
            let new = old.updated(request).map_err(|refused| match refused {
                Refused::Level => Error::InvalidLevel,
                Refused::RuleSet(reason) => Error::InvalidRuleSet(reason),
                Refused::Field { name, reason } => Error::BadRequest(format!("{name}: {reason}")),
            })?;
            writable(state, &name)?;
            let change = Change::Config { subject: named(&name), config: Some(Box::new(new.clone())) };
            Ok(Decision::write(vec![change], new))
        })
    }

    /// Takes a config away; gives what was set.
    pub(crate) fn delete_config(&self, name: Option<&str>) -> Result<Config, Error> {
        let name = scope(name);
        self.store.transact(|state, _| {
            let old = state.own_config(&name).ok_or_else(|| Error::SubjectNotFound(name.clone()))?;
            writable(state, &name)?;
            Ok(Decision::write(vec![Change::Config { subject: named(&name), config: None }], old))
        })
    }

    /// As [`Registry::config`].
    pub(crate) fn mode(&self, name: Option<&str>, in_scope: bool) -> Result<Mode, Error> {
        let name = scope(name);
        self.store.fresh(|state| match in_scope {
            true => Ok(state.mode(&name)),
            false => state.own_mode(&name).ok_or_else(|| Error::NoSubjectMode(name.clone())),
        })?
    }

    /// Sets a mode, or with `None` takes it away. IMPORT only where there is nothing yet, or with `force`.
    pub(crate) fn set_mode(&self, name: Option<&str>, mode: Option<&str>, force: bool) -> Result<(), Error> {
        if let Some(name) = name.filter(|name| !subject::is_valid(name, true)) {
            return Err(Error::InvalidSubject(name.into()));
        }
        let name = scope(name);
        let parsed = mode.map(|mode| {
            let invalid = "Invalid mode. Valid values are READWRITE, READONLY, IMPORT and FORWARD.";
            Mode::parse(mode).ok_or(Error::InvalidMode(invalid))
        });
        let mode = parsed.transpose()?;
        if mode == Some(Mode::Forward) && !subject::is_global(&name) {
            return Err(Error::InvalidMode("Forward mode only supported on global level"));
        }
        self.mutable()?;
        self.store.transact(|state, _| {
            let mut changes = Vec::new();
            if mode == Some(Mode::Import) && state.mode(&name) != Mode::Import && !force {
                if state.has_any(&name, false) {
                    return Err(Error::NotPermitted("Cannot import since found existing subjects".into()));
                }
                for (subject, version) in state.deleted_in(&name) {
                    if !state.referenced_by(&subject, version, true).is_empty() {
                        return Err(Error::ReferenceExists { subject, version });
                    }
                    changes.push(Change::Purge { subject, version });
                }
                changes.push(Change::ClearSubject { subject: named(&name) });
            }
            changes.push(Change::Mode { subject: named(&name), mode });
            Ok(Decision::write(changes, ()))
        })
    }

    /// Takes a mode away, with `recursive` also those of all subjects of the context; gives what was set.
    pub(crate) fn delete_mode(&self, name: Option<&str>, recursive: bool) -> Result<Option<Mode>, Error> {
        let name = scope(name);
        self.mutable()?;
        self.store.transact(|state, _| {
            let old = state.own_mode(&name);
            if old.is_none() && !recursive {
                return Err(Error::SubjectNotFound(name.clone()));
            }
            let mut names = vec![name.clone()];
            if recursive && Qualified::parse(&name).subject.is_empty() {
                names.extend(state.modes_under(&name));
            }
            let change = |name: String| Change::Mode { subject: named(&name), mode: None };
            Ok(Decision::write(names.into_iter().map(change).collect(), old))
        })
    }

    fn mutable(&self) -> Result<(), Error> {
        match self.mode_mutability {
            true => Ok(()),
            false => Err(Error::NotPermitted("Mode changes are not allowed".into())),
        }
    }

    /// Deletes a context that has no subjects.
    pub(crate) fn delete_context(&self, given: &str) -> Result<(), Error> {
        let not_empty = || Error::ContextNotEmpty(given.to_owned());
        let prefix = subject::context_prefix(given).ok_or_else(|| Error::InvalidSubject(given.to_owned()))?;
        self.store.transact(|state, _| {
            if state.has_any(&prefix, true) {
                return Err(not_empty());
            }
            let context = Qualified::parse(&prefix).context.to_owned();
            let changes = match state.has_context(&context) && context != subject::DEFAULT {
                true => vec![Change::Context { context, exists: false }],
                false => Vec::new(),
            };
            Ok(Decision::write(changes, ()))
        })
    }
}

/// The name under which a config or mode is kept: empty for all.
fn scope(name: Option<&str>) -> String {
    name.filter(|name| !subject::is_top_level(name)).map(subject::normalized).unwrap_or_default()
}

fn named(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| name.to_owned())
}

fn writable(state: &State, subject: &str) -> Result<(), Error> {
    if state.mode(subject).is_read_only() { Err(not_permitted(subject, READ_ONLY)) } else { Ok(()) }
}

/// A subject that is gone for good leaves no config and no mode.
fn without_settings(state: &State, subject: &str) -> Vec<Change> {
    let mut changes = Vec::new();
    if state.has_mode(subject) {
        changes.push(Change::Mode { subject: named(subject), mode: None });
    }
    if state.has_config(subject) {
        changes.push(Change::Config { subject: named(subject), config: None });
    }
    changes
}
