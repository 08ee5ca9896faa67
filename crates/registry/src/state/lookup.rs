//! What is asked of the state.

use super::{Place, State, Stored, Version};
use crate::md5::Digest;
use crate::subject::{Qualified, WILDCARD, prefix_of};
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

/// Which of the versions that are there are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Those that are not deleted.
    Live,
    /// Also those that are deleted softly.
    All,
    /// Only those that are deleted softly.
    Deleted,
}

impl Filter {
    pub(crate) fn takes(self, deleted: bool) -> bool {
        match self {
            Self::Live => !deleted,
            Self::All => true,
            Self::Deleted => deleted,
        }
    }

    /// With those that are deleted softly, or without.
    pub(crate) fn with_deleted(deleted: bool) -> Self {
        if deleted { Self::All } else { Self::Live }
    }
}

impl State {
    /// The versions of a subject, ascending.
    pub(crate) fn versions(&self, subject: &str) -> &[Version] {
        self.subjects.get(subject).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn version(&self, subject: &str, version: u32) -> Option<&Version> {
        let versions = self.versions(subject);
        versions.binary_search_by_key(&version, |v| v.version).ok().map(|at| &versions[at])
    }

    /// The latest one that is not deleted.
    pub(crate) fn latest(&self, subject: &str) -> Option<&Version> {
        self.versions(subject).iter().rev().find(|v| !v.deleted)
    }

    pub(crate) fn has_subject(&self, subject: &str, deleted: bool) -> bool {
        self.versions(subject).iter().any(|v| deleted || !v.deleted)
    }

    /// Whether there is a version in the scope of that subject or context.
    pub(crate) fn has_any(&self, scope: &str, deleted: bool) -> bool {
        let mut covered = self.subjects.keys().filter(|subject| crate::subject::covers(scope, subject));
        covered.any(|subject| self.has_subject(subject, deleted))
    }

    /// Subjects with their versions by a prefix of their names: of the default context where it names none, of all contexts where
    /// it begins with `:*:`.
    pub(crate) fn with_prefix(&self, prefix: &str) -> impl Iterator<Item = (&Arc<str>, &[Version])> {
        let everywhere = prefix.strip_prefix(WILDCARD).map(str::to_owned);
        let of_default = !prefix.starts_with(':');
        let start = if everywhere.is_some() { String::new() } else { prefix.to_owned() };
        let from = (Bound::Included(start.as_str()), Bound::Unbounded);
        let all = self.subjects.range::<str, _>(from);
        let within = all.take_while(move |(name, _)| name.starts_with(&start));
        let named = within.filter(move |(name, _)| {
            let parts = Qualified::parse(name);
            match &everywhere {
                Some(rest) => parts.subject.starts_with(rest),
                None => !of_default || parts.is_default(),
            }
        });
        named.map(|(name, versions)| (name, versions.as_slice()))
    }

    /// A schema's id among those of a subject's context.
    pub(crate) fn id_of(&self, subject: &str, digest: Digest) -> Option<u32> {
        self.ids.get(Qualified::parse(subject).context)?.of_digest(digest)
    }

    /// The schema of an id among those of a subject's context.
    pub(crate) fn schema(&self, subject: &str, id: u32) -> Option<&Arc<Stored>> {
        self.ids.get(Qualified::parse(subject).context)?.schema(id)
    }

    /// Where in a subject the schema of that id stands.
    pub(crate) fn version_of_id(&self, subject: &str, id: u32) -> Option<u32> {
        let places = self.ids.get(Qualified::parse(subject).context)?.places(id);
        places.iter().find(|(name, _)| **name == *subject).map(|(_, version)| *version)
    }

    /// The next id of a subject's context.
    pub(crate) fn next_id(&self, subject: &str) -> u32 {
        self.max_id(subject).map_or(1, |max| max.saturating_add(1))
    }

    /// The greatest id of a subject's context.
    pub(crate) fn max_id(&self, subject: &str) -> Option<u32> {
        self.ids.get(Qualified::parse(subject).context).map(|ids| ids.max)
    }

    /// The places of an id in a context, one per subject.
    pub(crate) fn places(&self, context: &str, id: u32) -> &[Place] {
        self.ids.get(context).map_or(&[], |ids| ids.places(id))
    }

    fn place(&self, name: &str, id: u32) -> Option<&Place> {
        let parts = Qualified::parse(name);
        let mut places = self.places(parts.context, id).iter();
        match parts.subject.is_empty() {
            true => places.next(),
            false => places.find(|(subject, _)| **subject == *name),
        }
    }

    /// Where the schema of an id stands: under the subject of that name, or within the context of that name. A subject without
    /// a context is looked for in all of them.
    pub(crate) fn find_id(&self, id: u32, name: &str) -> Option<&Place> {
        let parts = Qualified::parse(name);
        let direct = self.place(name, id);
        if parts.subject.is_empty() || !parts.is_default() || direct.is_some() {
            return direct;
        }
        let mut elsewhere = self.contexts.iter();
        elsewhere
            .find_map(|context| self.place(&Qualified { context, subject: parts.subject }.name(), id))
            .or_else(|| self.place("", id))
    }

    /// The contexts and ids of a schema by its hash, the default context first.
    pub(crate) fn find_digest(&self, digest: Digest) -> Vec<(String, u32)> {
        let of = |context: &str| {
            let id = self.ids.get(context)?.of_digest(digest)?;
            Some((context.to_owned(), id))
        };
        let contexts = std::iter::once(crate::subject::DEFAULT);
        contexts.chain(self.contexts.iter().map(String::as_str)).filter_map(of).collect()
    }

    /// The contexts, the default one first.
    pub(crate) fn contexts(&self) -> Vec<String> {
        let default = std::iter::once(crate::subject::DEFAULT.to_owned());
        default.chain(self.contexts.iter().cloned()).collect()
    }

    pub(crate) fn has_context(&self, context: &str) -> bool {
        context == crate::subject::DEFAULT || self.contexts.contains(context)
    }

    /// The contexts and ids of the schemas that refer to a version; without those that are deleted softly everywhere.
    pub(crate) fn referenced_by(&self, subject: &str, version: u32, deleted: bool) -> Vec<(String, u32)> {
        let live = |context: &str, id| {
            let mut places = self.places(context, id).iter();
            places.any(|(subject, version)| self.version(subject, *version).is_some_and(|v| !v.deleted))
        };
        let all = self.references.to(subject, version).cloned();
        all.filter(|(context, id)| deleted || live(context, *id)).collect()
    }

    /// The subjects of the schemas that refer to a version.
    pub(crate) fn referencing_subjects(
        &self,
        subject: &str,
        version: u32,
        deleted: bool,
    ) -> BTreeSet<Arc<str>> {
        let of = |(context, id): (String, u32)| {
            let places = self.places(&context, id).to_vec();
            places.into_iter().filter(|(subject, version)| {
                deleted || self.version(subject, *version).is_some_and(|v| !v.deleted)
            })
        };
        let referring = self.referenced_by(subject, version, deleted);
        referring.into_iter().flat_map(of).map(|(subject, _)| subject).collect()
    }

    /// The same name in every other context.
    pub(crate) fn in_other_contexts(&self, name: &str) -> Vec<String> {
        let parts = Qualified::parse(name);
        match parts.is_default() {
            true => self.contexts.iter().map(|context| prefix_of(context) + parts.subject).collect(),
            false => Vec::new(),
        }
    }

    /// The number of schemas.
    pub(crate) fn schema_count(&self) -> usize {
        self.ids.values().map(super::ids::Ids::len).sum()
    }

    /// The number of subjects with a version that is not deleted.
    pub(crate) fn subject_count(&self) -> usize {
        self.subjects.values().filter(|versions| versions.iter().any(|v| !v.deleted)).count()
    }
}
