//! Rules for objects: properties in open, closed and partially open content models.

use super::value::limit;
use super::{Comparison, Found, Pair};
use crate::json_schema::model::{Additional, Kind, Model, NodeId, Objects};
use regex::Regex;

impl<'a> Comparison<'a> {
    pub(super) fn objects(&mut self, found: &mut Found, swapped: bool, before: &Objects, after: &Objects) {
        found.within("required", |found| self.required(found, swapped, before, after));
        found.within("properties", |found| self.properties(found, swapped, before, after));
        found.within("dependencies", |found| self.dependencies(found, swapped, before, after));
        found.within("additionalProperties", |found| {
            match (before.additional, after.additional) {
                (Additional::None, Additional::None) => {}
                (Additional::None, _) => self.add(found, "ADDITIONAL_PROPERTIES_ADDED"),
                (_, Additional::None) => self.add(found, "ADDITIONAL_PROPERTIES_REMOVED"),
                (Additional::Any, Additional::Schema(_)) => self.add(found, "ADDITIONAL_PROPERTIES_NARROWED"),
                (Additional::Schema(_), Additional::Any) => self.add(found, "ADDITIONAL_PROPERTIES_EXTENDED"),
                (a, b) => self.compare_optional(found, a.schema(), b.schema(), swapped),
            };
        });
        let names = Unevaluated {
            keyword: "unevaluatedProperties",
            added: "UNEVALUATED_PROPERTIES_ADDED",
            removed: "UNEVALUATED_PROPERTIES_REMOVED",
            extended: "UNEVALUATED_PROPERTIES_EXTENDED",
            narrowed: "UNEVALUATED_PROPERTIES_NARROWED",
        };
        self.unevaluated(found, swapped, (before.unevaluated, after.unevaluated), &names);
        let limits = (before.max_properties, after.max_properties);
        self.limit(found, "maxProperties", limits, &limit!("MAX_PROPERTIES"));
        let limits = (before.min_properties, after.min_properties);
        self.limit(found, "minProperties", limits, &limit!("MIN_PROPERTIES"));
    }

    fn required(&self, found: &mut Found, swapped: bool, before: &Objects, after: &Objects) {
        let model = if swapped { self.original } else { self.update };
        for (name, _) in &before.properties {
            let Some(id) = after.property(name) else { continue };
            let rule = match (before.requires(name), after.requires(name)) {
                (true, false) => "REQUIRED_ATTRIBUTE_REMOVED",
                (false, true) if model.node(id).default.is_some() => "REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED",
                (false, true) => "REQUIRED_ATTRIBUTE_ADDED",
                _ => continue,
            };
            found.within(name, |found| self.add(found, rule));
        }
    }

    fn properties(&mut self, found: &mut Found, swapped: bool, before: &Objects, after: &Objects) {
        for (name, original) in &before.properties {
            found.within(name, |found| match after.property(name) {
                Some(update) => self.compare(found, Pair { original: *original, update, swapped }),
                None => self.removed(found, swapped, (name, *original), after),
            });
        }
        for (name, update) in after.properties.iter().filter(|(name, _)| before.property(name).is_none()) {
            found.within(name, |found| self.added(found, swapped, (name, *update), before, after));
        }
    }

    /// Whether properties may be taken away depends on the content model that is left.
    fn removed(
        &mut self,
        found: &mut Found,
        swapped: bool,
        (name, original): (&str, NodeId),
        after: &Objects,
    ) {
        let (from, to) = self.sides(swapped);
        if is_open(to, after) {
            return self.add(found, "PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL");
        }
        match covering(to, after, name) {
            Some(update) => {
                let apart = self.tried(Pair { original, update, swapped });
                let covered = !apart.incompatible;
                self.take(found, &apart);
                self.add(
                    found,
                    match covered {
                        true => "PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
                        false => "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
                    },
                );
            }
            None if matches!(from.node(original).kind, Kind::False) => {
                self.add(found, "PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL");
            }
            None => self.add(found, "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"),
        }
    }

    /// Whether properties may be added depends on the content model that was: what is open may hold anything under that name.
    fn added(
        &mut self,
        found: &mut Found,
        swapped: bool,
        (name, update): (&str, NodeId),
        before: &Objects,
        after: &Objects,
    ) {
        let (from, to) = self.sides(swapped);
        let node = to.node(update);
        let (required, has_default) = (after.requires(name), node.default.is_some());
        if is_open(from, before) {
            let anything = matches!(node.kind, Kind::Empty | Kind::True);
            return self.add(
                found,
                match (required, has_default) {
                    _ if anything => "PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL",
                    (true, true) => "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL",
                    (true, false) => "REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
                    (false, _) => "OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
                },
            );
        }
        if let Some(original) = covering(from, before, name) {
            let apart = self.tried(Pair { original, update, swapped });
            let covered = !apart.incompatible;
            self.take(found, &apart);
            self.add(
                found,
                match covered {
                    true => "PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
                    false => "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
                },
            );
        }
        self.add(
            found,
            match (required, has_default) {
                (true, true) => "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL",
                (true, false) => "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
                (false, _) => "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
            },
        );
    }

    fn dependencies(&mut self, found: &mut Found, swapped: bool, before: &Objects, after: &Objects) {
        let (a, b) = (&before.property_dependencies, &after.property_dependencies);
        for (name, before, after) in joined(a, b) {
            let rule = match (before, after) {
                (Some(before), Some(after)) => {
                    let more = after.iter().any(|p| !before.contains(p));
                    let fewer = before.iter().any(|p| !after.contains(p));
                    match (more, fewer) {
                        (false, false) => continue,
                        (true, false) => "DEPENDENCY_ARRAY_EXTENDED",
                        (false, true) => "DEPENDENCY_ARRAY_NARROWED",
                        (true, true) => "DEPENDENCY_ARRAY_CHANGED",
                    }
                }
                (Some(_), None) => "DEPENDENCY_ARRAY_REMOVED",
                _ => "DEPENDENCY_ARRAY_ADDED",
            };
            found.within(name, |found| self.add(found, rule));
        }
        let (a, b) = (&before.schema_dependencies, &after.schema_dependencies);
        for (name, before, after) in joined(a, b) {
            found.within(name, |found| match (before, after) {
                (Some(original), Some(update)) => {
                    self.compare(found, Pair { original: *original, update: *update, swapped });
                }
                (Some(_), None) => self.add(found, "DEPENDENCY_SCHEMA_REMOVED"),
                _ => self.add(found, "DEPENDENCY_SCHEMA_ADDED"),
            });
        }
    }

    /// `unevaluatedProperties` and `unevaluatedItems`.
    pub(super) fn unevaluated(
        &mut self,
        found: &mut Found,
        swapped: bool,
        (before, after): (Option<NodeId>, Option<NodeId>),
        names: &Unevaluated,
    ) {
        let (from, to) = self.sides(swapped);
        let nothing = |model: &Model, id: Option<NodeId>| {
            id.is_some_and(|id| matches!(model.node(id).kind, Kind::False))
        };
        let anything = |model: &Model, id: Option<NodeId>| {
            id.is_none_or(|id| matches!(model.node(id).kind, Kind::Empty | Kind::True))
        };
        found.within(names.keyword, |found| match (before, after) {
            (None, None) => {}
            (None, Some(_)) if nothing(to, after) => self.add(found, names.removed),
            (None, Some(_)) => self.add(found, names.narrowed),
            (Some(_), None) if nothing(from, before) => self.add(found, names.added),
            (Some(_), None) => self.add(found, names.extended),
            _ => match (nothing(from, before), nothing(to, after)) {
                (true, false) => self.add(found, names.added),
                (false, true) => self.add(found, names.removed),
                _ => match (anything(from, before), anything(to, after)) {
                    (true, false) => self.add(found, names.narrowed),
                    (false, true) => self.add(found, names.extended),
                    _ => self.compare_optional(found, before, after, swapped),
                },
            },
        });
    }

    /// The models that schemas come from and go to.
    pub(super) fn sides(&self, swapped: bool) -> (&'a Model, &'a Model) {
        if swapped { (self.update, self.original) } else { (self.original, self.update) }
    }
}

/// The names of an `unevaluated` keyword's differences.
pub(super) struct Unevaluated {
    pub(super) keyword: &'static str,
    pub(super) added: &'static str,
    pub(super) removed: &'static str,
    pub(super) extended: &'static str,
    pub(super) narrowed: &'static str,
}

/// Both sides' members by name.
fn joined<'a, T>(
    before: &'a [(String, T)],
    after: &'a [(String, T)],
) -> Vec<(&'a str, Option<&'a T>, Option<&'a T>)> {
    let get = |of: &'a [(String, T)], name: &str| of.iter().find(|(n, _)| n == name).map(|(_, v)| v);
    let first = before.iter().map(|(name, value)| (name.as_str(), Some(value), get(after, name)));
    let rest = after.iter().filter(|(name, _)| get(before, name).is_none());
    first.chain(rest.map(|(name, value)| (name.as_str(), None, Some(value)))).collect()
}

/// Whether properties that are not named may hold anything.
fn is_open(model: &Model, objects: &Objects) -> bool {
    objects.additional == Additional::Any
        && objects.patterns.is_empty()
        && objects.unevaluated.is_none_or(|id| matches!(model.node(id).kind, Kind::Empty | Kind::True))
}

/// The schema for a property that is not named.
fn covering(model: &Model, objects: &Objects, name: &str) -> Option<NodeId> {
    let matches = |pattern: &str| Regex::new(pattern).is_ok_and(|p| p.is_match(name));
    if let Some((_, id)) = objects.patterns.iter().find(|(pattern, _)| matches(pattern)) {
        return Some(*id);
    }
    match (objects.additional, objects.unevaluated) {
        (Additional::Schema(id), _) => Some(id),
        (Additional::Any, Some(id)) => {
            (!matches!(model.node(id).kind, Kind::False | Kind::Empty | Kind::True)).then_some(id)
        }
        _ => None,
    }
}
