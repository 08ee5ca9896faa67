//! Decisions whose records are on their way to the log, so that many share an fsync.
//!
//! A decision rests on the state as it is read, which does not hold yet what is on its way. So only those that have nothing to do
//! with each other may be on their way together; one that has waits until the other has landed, and is decided anew. Ids are the
//! exception, since every registration takes one: they are counted on from those on their way.

use crate::md5::Digest;
use crate::record::Change;
use crate::state::State;
use crate::subject::{self, Qualified};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What a decision changes, and what it rests on.
#[derive(Debug, Default)]
pub(crate) struct Footprint {
    /// It has to do with all others.
    all: bool,
    /// The subjects that it changes.
    changed: BTreeSet<String>,
    /// The subjects that its schemas refer to.
    read: BTreeSet<String>,
    /// The contexts and hashes of schemas that get an id by it.
    digests: HashSet<(String, Digest)>,
    /// The contexts and ids that it gives.
    ids: BTreeSet<(String, u32)>,
}

impl Footprint {
    /// Of all subjects, configs and modes.
    pub(crate) fn of_all() -> Self {
        Self { all: true, ..Self::default() }
    }

    pub(crate) fn of(state: &State, changes: &[Change]) -> Self {
        let mut footprint = Self::default();
        for change in changes {
            match change {
                Change::Schema { subject, version } => {
                    let context = Qualified::parse(subject).context;
                    if state.schema(subject, version.id).is_none() {
                        footprint.digests.insert((context.to_owned(), version.schema.digest));
                        footprint.ids.insert((context.to_owned(), version.id));
                    }
                    let to = version.schema.references.iter();
                    footprint.read.extend(to.map(|to| subject::within(subject, to.subject())));
                    footprint.changed.insert(subject.clone());
                }
                Change::Purge { subject, .. } | Change::DeleteSubject { subject, .. } => {
                    footprint.changed.insert(subject.clone());
                }
                Change::Config { subject: Some(name), .. } | Change::Mode { subject: Some(name), .. }
                    if !Qualified::parse(name).subject.is_empty() =>
                {
                    footprint.changed.insert(name.clone());
                }
                Change::Context { exists: true, .. } => {}
                _ => footprint.all = true,
            }
        }
        footprint
    }

    fn meets(&self, other: &Self) -> bool {
        let changes = |one: &Self, of: &BTreeSet<String>| !one.changed.is_disjoint(of);
        self.all
            || other.all
            || changes(self, &other.changed)
            || changes(self, &other.read)
            || changes(other, &self.read)
            || !self.digests.is_disjoint(&other.digests)
            || !self.ids.is_disjoint(&other.ids)
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    under_way: BTreeMap<u64, Footprint>,
    next: u64,
}

impl Flights {
    /// Whether something is on its way that has to do with this.
    pub(crate) fn meets(&self, footprint: &Footprint) -> bool {
        self.under_way.values().any(|other| other.meets(footprint))
    }

    /// The number by which it is told that it has landed.
    pub(crate) fn start(&mut self, footprint: Footprint) -> u64 {
        self.next += 1;
        self.under_way.insert(self.next, footprint);
        self.next
    }

    /// Its records are in the state, or were refused.
    pub(crate) fn land(&mut self, number: u64) {
        self.under_way.remove(&number);
    }

    /// The next id of a subject's context.
    pub(crate) fn next_id(&self, state: &State, subject: &str) -> u32 {
        let context = Qualified::parse(subject).context;
        let taken = self.under_way.values().flat_map(|footprint| &footprint.ids);
        let taken = taken.filter(|(of, _)| of == context).map(|(_, id)| id.saturating_add(1));
        taken.chain([state.next_id(subject)]).max().unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;
    use crate::entity::Reference;
    use crate::state::{Stored, Version};
    use bd_schema::SchemaType;
    use std::sync::Arc;

    fn registration(subject: &str, id: u32, text: &str, refers_to: &[&str]) -> Change {
        let reference = |subject: &&str| Reference {
            name: Some("r".into()),
            subject: Some((*subject).into()),
            version: Some(1),
        };
        let references = refers_to.iter().map(reference).collect();
        let schema = Arc::new(Stored::new(SchemaType::Avro, text, references, None, None));
        let version = Version { version: 1, id, deleted: false, time: 0, schema };
        Change::Schema { subject: subject.into(), version }
    }

    #[test]
    fn only_what_has_nothing_to_do_with_each_other_flies_together() {
        let mut state = State::new(Level::None);
        state.apply(registration("known", 1, "\"int\"", &[]));
        let of = |change| Footprint::of(&state, &[change]);
        let mode = |name: &str| Change::Mode { subject: Some(name.into()), mode: None };
        for (one, other, meets) in [
            (registration("a", 2, "\"long\"", &[]), registration("b", 3, "\"string\"", &[]), false),
            (registration("a", 2, "\"long\"", &[]), registration("a", 3, "\"string\"", &[]), true),
            (registration("a", 2, "\"long\"", &[]), registration("b", 3, "\"long\"", &[]), true),
            (registration("a", 2, "\"long\"", &[]), registration(":.c:b", 2, "\"long\"", &[]), false),
            (registration("a", 2, "\"long\"", &[]), registration("b", 2, "\"string\"", &[]), true),
            (registration("a", 1, "\"int\"", &[]), registration("b", 1, "\"int\"", &[]), false),
            (registration("a", 2, "\"long\"", &[]), registration("b", 3, "\"x\"", &["a"]), true),
            (registration("a", 2, "\"y\"", &["c"]), registration("b", 3, "\"x\"", &["c"]), false),
            (mode("a"), registration("b", 3, "\"x\"", &[]), false),
            (mode("a"), registration("a", 3, "\"x\"", &[]), true),
            (mode(":.c:"), registration("b", 3, "\"x\"", &[]), true),
            (Change::Purge { subject: "a".into(), version: 1 }, registration("b", 3, "\"x\"", &["a"]), true),
        ] {
            let shown = format!("{one:?} and {other:?}");
            let (one, other) = (of(one), of(other));
            assert_eq!((one.meets(&other), other.meets(&one)), (meets, meets), "{shown}");
        }
    }

    #[test]
    fn ids_go_on_from_those_on_their_way() {
        let state = State::new(Level::None);
        let mut flights = Flights::default();
        let number = flights.start(Footprint::of(&state, &[registration("a", 1, "\"long\"", &[])]));
        assert_eq!((flights.next_id(&state, "b"), flights.next_id(&state, ":.c:b")), (2, 1));
        flights.land(number);
        assert_eq!(flights.next_id(&state, "b"), 1);
    }
}
