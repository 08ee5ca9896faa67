//! Schemas by their ids, one space of ids per context, and what refers to what.

use super::{Stored, Version};
use crate::md5::Digest;
use crate::subject;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A subject and a version of it.
pub(crate) type Place = (Arc<str>, u32);

#[derive(Debug)]
struct Entry {
    schema: Arc<Stored>,
    /// Where it stands, in the order of the subjects' names: in each subject once, in its latest place.
    places: Vec<Place>,
}

/// The ids of one context.
#[derive(Debug, Default)]
pub(super) struct Ids {
    entries: HashMap<u32, Entry>,
    by_digest: HashMap<Digest, u32>,
    /// The greatest one that was ever there.
    pub(super) max: u32,
}

impl Ids {
    pub(super) fn schema(&self, id: u32) -> Option<&Arc<Stored>> {
        self.entries.get(&id).map(|entry| &entry.schema)
    }

    pub(super) fn places(&self, id: u32) -> &[Place] {
        self.entries.get(&id).map_or(&[], |entry| &entry.places)
    }

    pub(super) fn of_digest(&self, digest: Digest) -> Option<u32> {
        self.by_digest.get(&digest).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn put(&mut self, subject: &Arc<str>, version: &Version) {
        self.max = self.max.max(version.id);
        self.by_digest.insert(version.schema.digest, version.id);
        let entry = self.entries.entry(version.id);
        let entry = entry.or_insert_with(|| Entry { schema: version.schema.clone(), places: Vec::new() });
        match entry.places.binary_search_by(|(there, _)| there.cmp(subject)) {
            Ok(at) => entry.places[at].1 = version.version,
            Err(at) => {
                entry.places.reserve_exact(1);
                entry.places.insert(at, (subject.clone(), version.version));
            }
        }
    }

    /// Takes a version of a subject away, of which `other` is left with the same id; whether the id stands for nothing then.
    pub(super) fn remove(&mut self, subject: &str, old: &Version, other: Option<u32>) -> bool {
        let Some(entry) = self.entries.get_mut(&old.id) else { return false };
        if let Ok(at) = entry.places.binary_search_by(|(there, _)| (**there).cmp(subject))
            && entry.places[at].1 == old.version
        {
            match other {
                Some(version) => entry.places[at].1 = version,
                None => {
                    entry.places.remove(at);
                }
            }
        }
        if !entry.places.is_empty() {
            return false;
        }
        self.entries.remove(&old.id);
        if self.by_digest.get(&old.schema.digest) == Some(&old.id) {
            self.by_digest.remove(&old.schema.digest);
        }
        true
    }
}

/// Which schemas, as context and id, refer to a version.
#[derive(Debug, Default)]
pub(super) struct References(HashMap<(String, u32), BTreeSet<(String, u32)>>);

impl References {
    fn targets(parent: &str, version: &Version) -> Vec<(String, u32)> {
        let target = |reference: &crate::entity::Reference| {
            let version = u32::try_from(reference.version?).ok()?;
            Some((subject::within(parent, reference.subject()), version))
        };
        version.schema.references.iter().filter_map(target).collect()
    }

    pub(super) fn add(&mut self, subject: &str, context: &str, version: &Version) {
        for target in Self::targets(subject, version) {
            self.0.entry(target).or_default().insert((context.to_owned(), version.id));
        }
    }

    pub(super) fn remove(&mut self, subject: &str, context: &str, version: &Version) {
        for target in Self::targets(subject, version) {
            if let Some(from) = self.0.get_mut(&target) {
                from.remove(&(context.to_owned(), version.id));
                if from.is_empty() {
                    self.0.remove(&target);
                }
            }
        }
    }

    /// By context and id.
    pub(super) fn to(&self, subject: &str, version: u32) -> impl Iterator<Item = &(String, u32)> {
        self.0.get(&(subject.to_owned(), version)).into_iter().flatten()
    }
}
