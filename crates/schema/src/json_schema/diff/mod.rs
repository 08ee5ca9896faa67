//! What changed from one JSON Schema to another, by the rules and names of Confluent's registry.
//!
//! ```text
//!  compare ── a pair of schemas, each pair once (memo) ─▶ combined, object, array, value ─▶ differences with their paths
//!     ▲                                                        │
//!     └────────────────────── pairs below ◀────────────────────┘
//! ```
//! Schemas may refer to themselves. A pair that is met again while it is compared is taken as compatible; where that helped, all is
//! compared again with the pairs known that turned out not to be, until nothing more turns out.

mod array;
mod combined;
mod content;
mod object;
mod rules;
mod value;

pub use rules::CompatibilityPolicy;

use super::model::{Criterion, Kind, Model, Node, NodeId};
use crate::definition::Incompatibility;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// One difference: its name, and the path from the pair that was compared.
#[derive(Debug, Clone)]
pub(super) struct Difference {
    pub(super) rule: &'static str,
    path: Path,
}

/// A path whose parts are shared: schemas that hold one another have many differences of long paths.
#[derive(Debug, Clone, Default)]
enum Path {
    #[default]
    Root,
    /// `/a/b`.
    Segments(Arc<str>),
    Joined(Arc<(Path, Path)>),
}

impl Path {
    fn then(&self, rest: &Self) -> Self {
        match (self, rest) {
            (Self::Root, path) | (path, Self::Root) => path.clone(),
            _ => Self::Joined(Arc::new((self.clone(), rest.clone()))),
        }
    }

    fn text(&self) -> String {
        let (mut out, mut rest) = (String::new(), vec![self]);
        while let Some(path) = rest.pop() {
            match path {
                Self::Root => {}
                Self::Segments(text) => out.push_str(text),
                Self::Joined(both) => rest.extend([&both.1, &both.0]),
            }
        }
        out
    }
}

impl Difference {
    /// From the root: `#/a/b`.
    pub(super) fn path(&self) -> String {
        let path = self.path.text();
        if path.is_empty() { "#/".into() } else { format!("#{path}") }
    }

    pub(super) fn to_incompatibility(&self) -> Incompatibility {
        let description = rules::description(self.rule, &self.path());
        Incompatibility { rule: self.rule, description, additional: None }
    }
}

/// Of the differences of one pair no more are kept; one that is not compatible always is.
const KEPT: usize = 200;
/// So deep pairs are compared on the caller's stack.
const SHALLOW: usize = 64;
/// Pairs deeper below one another are not compared: unions of types that hold one another lead far.
const MAX_DEPTH: usize = 5000;
/// What that takes, with room to spare; it is taken only as far as it is used.
const STACK: usize = 256 << 20;
/// More comparisons of pairs, those known already included, are not made.
const MAX_STEPS: usize = 4_000_000;
/// So often all is compared again for schemas that refer to themselves.
const MAX_PASSES: usize = 64;

/// What is found while one pair is compared.
#[derive(Default)]
pub(super) struct Found {
    path: Vec<String>,
    differences: Vec<Difference>,
    incompatible: bool,
}

impl Found {
    fn within<T>(&mut self, path: impl Into<String>, work: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(path.into());
        let result = work(self);
        self.path.pop();
        result
    }

    fn path(&self) -> Path {
        if self.path.is_empty() {
            return Path::Root;
        }
        Path::Segments(self.path.iter().fold(String::new(), |all, segment| all + "/" + segment).into())
    }
}

/// What a pair's comparison came to.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    /// Relative to the pair.
    differences: Arc<Vec<Difference>>,
    pub(super) incompatible: bool,
}

/// A reader's differences from its writer at work.
pub(super) struct Comparison<'a> {
    original: &'a Model,
    update: &'a Model,
    policy: CompatibilityPolicy,
    /// As deep as it may go, and whether that was too little.
    depth: usize,
    too_deep: bool,
    steps: usize,
    memo: HashMap<Pair, Outcome>,
    in_progress: HashSet<Pair>,
    incompatible: HashMap<Pair, Outcome>,
    /// A pair in progress was taken as compatible.
    assumed: bool,
}

/// A schema of either side; `swapped` within `not`, where the sides change places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Pair {
    original: NodeId,
    update: NodeId,
    swapped: bool,
}

/// What changed from `original` to `update`.
pub(super) fn differences(original: &Model, update: &Model, policy: CompatibilityPolicy) -> Vec<Difference> {
    if let Some(all) = to_depth(original, update, policy, SHALLOW) {
        return all;
    }
    let deep = || to_depth(original, update, policy, MAX_DEPTH);
    let found = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("schema-diff".into()).stack_size(STACK);
        thread.spawn_scoped(scope, deep).ok()?.join().ok()?
    });
    found.unwrap_or_else(|| vec![Difference { rule: rules::TOO_DEEP, path: Path::Root }])
}

/// `None`: the schemas go deeper, or no end is found.
fn to_depth(
    original: &Model,
    update: &Model,
    policy: CompatibilityPolicy,
    depth: usize,
) -> Option<Vec<Difference>> {
    let mut incompatible = HashMap::new();
    for _ in 0..MAX_PASSES {
        let mut comparison = Comparison {
            original,
            update,
            policy,
            depth,
            too_deep: false,
            steps: 0,
            memo: HashMap::new(),
            in_progress: HashSet::new(),
            incompatible,
            assumed: false,
        };
        let mut found = Found::default();
        let root = Pair { original: original.root, update: update.root, swapped: false };
        comparison.compare(&mut found, root);
        if comparison.too_deep {
            return None;
        }
        let before = comparison.incompatible.len();
        let of_pass: HashMap<_, _> = comparison.memo.into_iter().filter(|(_, o)| o.incompatible).collect();
        if !comparison.assumed || of_pass.len() == before {
            return Some(found.differences);
        }
        incompatible = of_pass;
    }
    None
}

impl<'a> Comparison<'a> {
    fn before(&self, pair: Pair) -> &'a Model {
        if pair.swapped { self.update } else { self.original }
    }

    fn after(&self, pair: Pair) -> &'a Model {
        if pair.swapped { self.original } else { self.update }
    }

    fn add(&self, found: &mut Found, rule: &'static str) {
        let path = found.path();
        self.push(found, Difference { rule, path });
    }

    fn add_at(&self, found: &mut Found, keyword: &str, rule: &'static str) {
        found.within(keyword, |found| self.add(found, rule));
    }

    fn push(&self, found: &mut Found, difference: Difference) {
        let incompatible = !self.policy.allows(difference.rule);
        if found.differences.len() < KEPT {
            found.differences.push(difference);
        } else if incompatible && !found.incompatible {
            found.differences.pop();
            found.differences.push(difference);
        }
        found.incompatible |= incompatible;
    }

    /// Adds the differences of a pair that is at the present path.
    fn take(&self, found: &mut Found, outcome: &Outcome) {
        if outcome.differences.is_empty() {
            return;
        }
        let prefix = found.path();
        for difference in outcome.differences.iter() {
            self.push(found, Difference { rule: difference.rule, path: prefix.then(&difference.path) });
        }
    }

    /// Compares a pair, either of which may be missing.
    fn compare_optional(
        &mut self,
        found: &mut Found,
        original: Option<NodeId>,
        update: Option<NodeId>,
        swapped: bool,
    ) {
        match (original, update) {
            (None, None) => {}
            (None, Some(_)) => self.add(found, "SCHEMA_ADDED"),
            (Some(_), None) => self.add(found, "SCHEMA_REMOVED"),
            (Some(original), Some(update)) => self.compare(found, Pair { original, update, swapped }),
        }
    }

    /// Compares a pair, adding what differs.
    fn compare(&mut self, found: &mut Found, pair: Pair) {
        let outcome = self.tried(pair);
        self.take(found, &outcome);
    }

    /// Compares a pair, once.
    fn tried(&mut self, pair: Pair) -> Outcome {
        let original = self.before(pair).resolved(pair.original);
        let update = self.after(pair).resolved(pair.update);
        let pair = Pair { original, update, ..pair };
        self.steps += 1;
        self.too_deep |= self.in_progress.len() >= self.depth || self.steps > MAX_STEPS;
        if self.too_deep {
            return Outcome::default();
        }
        if let Some(known) = self.memo.get(&pair) {
            return known.clone();
        }
        if !self.in_progress.insert(pair) {
            let known = self.incompatible.get(&pair).cloned();
            self.assumed |= known.is_none();
            return known.unwrap_or_default();
        }
        let mut found = Found::default();
        self.compare_types(&mut found, pair);
        self.in_progress.remove(&pair);
        let outcome = Outcome { differences: Arc::new(found.differences), incompatible: found.incompatible };
        self.memo.insert(pair, outcome.clone());
        outcome
    }

    fn compare_types(&mut self, found: &mut Found, pair: Pair) {
        let before = self.before(pair).node(pair.original);
        let after = self.after(pair).node(pair.update);
        if self.fits_a_part(found, pair, before, after) {
            return;
        }
        if std::mem::discriminant(&before.kind) != std::mem::discriminant(&after.kind) {
            let bytes = |n: &Node| n.connect_type.as_deref() == Some("bytes");
            // Confluent's converter once wrote decimals as strings and now does as numbers: both are Connect's bytes.
            let same = matches!(before.kind, Kind::False)
                || matches!(after.kind, Kind::Empty | Kind::True)
                || (bytes(before) && bytes(after));
            if !same {
                self.add(found, "TYPE_CHANGED");
            }
            return;
        }
        for (differs, rule) in [
            (before.id != after.id, "ID_CHANGED"),
            (before.title != after.title, "TITLE_CHANGED"),
            (before.description != after.description, "DESCRIPTION_CHANGED"),
            (before.default != after.default, "DEFAULT_CHANGED"),
        ] {
            if differs {
                self.add(found, rule);
            }
        }
        match (&before.kind, &after.kind) {
            (Kind::String(before), Kind::String(after)) => self.strings(found, before, after),
            (Kind::Number(before), Kind::Number(after)) => self.numbers(found, before, after),
            (Kind::Const(before), Kind::Const(after)) if before != after => {
                self.add_at(found, "const", "ENUM_ARRAY_CHANGED");
            }
            (Kind::Enum(before), Kind::Enum(after)) => self.enums(found, before, after),
            (Kind::Combined(of, before), Kind::Combined(to, after)) => {
                self.combined(found, pair.swapped, (*of, before), (*to, after));
            }
            (Kind::Not(before), Kind::Not(after)) => {
                let reversed = Pair { original: *after, update: *before, swapped: !pair.swapped };
                found.within("not", |found| {
                    let compatible = !self.tried(reversed).incompatible;
                    self.add(found, if compatible { "NOT_TYPE_NARROWED" } else { "NOT_TYPE_EXTENDED" });
                });
            }
            (Kind::Object(before), Kind::Object(after)) => self.objects(found, pair.swapped, before, after),
            (Kind::Array(before), Kind::Array(after)) => self.arrays(found, pair.swapped, before, after),
            _ => {}
        }
    }

    /// Where one side alone is combined: whether one of its parts does for the whole. Adds the differences from that one.
    fn fits_a_part(&mut self, found: &mut Found, pair: Pair, before: &Node, after: &Node) -> bool {
        let (parts, enough, rule) = match (&before.kind, &after.kind) {
            (Kind::Combined(..), Kind::Combined(..)) => return false,
            (_, Kind::Combined(criterion, parts)) => {
                (parts, *criterion != Criterion::All, "SUM_TYPE_EXTENDED")
            }
            (Kind::Combined(criterion, parts), _) => {
                (parts, *criterion == Criterion::All, "PRODUCT_TYPE_NARROWED")
            }
            _ => return false,
        };
        let single = parts.len() == 1;
        if !single && !enough {
            return false;
        }
        let of_update = matches!(after.kind, Kind::Combined(..));
        for part in parts {
            let of_part = match of_update {
                true => Pair { update: *part, ..pair },
                false => Pair { original: *part, ..pair },
            };
            let apart = self.tried(of_part);
            if !apart.incompatible {
                self.take(found, &apart);
                if !single {
                    self.add(found, rule);
                }
                return true;
            }
        }
        false
    }
}
