//! Rules for objects: properties in open, closed and partially open content models.

use super::content::{self, Content, keyword};
use super::value::limit;
use super::{Comparison, Found, Pair};
use crate::json_schema::model::{Model, NodeId, Objects};
use regex::Regex;

impl Comparison<'_> {
    pub(super) fn objects(&mut self, found: &mut Found, swapped: bool, before: &Objects, after: &Objects) {
        found.within("required", |found| self.required(found, swapped, before, after));
        found.within("properties", |found| self.properties(found, swapped, before, after));
        found.within("dependencies", |found| self.dependencies(found, swapped, before, after));
        let names = keyword!("additionalProperties", "ADDITIONAL_PROPERTIES");
        self.additional(found, swapped, (before.additional, after.additional), &names);
        let names = keyword!("unevaluatedProperties", "UNEVALUATED_PROPERTIES");
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
                None => {
                    let left = content(self.sides(swapped).1, after, name);
                    self.removed(found, swapped, *original, left, &content::PROPERTY);
                }
            });
        }
        for (name, update) in after.properties.iter().filter(|(name, _)| before.property(name).is_none()) {
            found.within(name, |found| self.property_added(found, swapped, (name, *update), before, after));
        }
    }

    fn property_added(
        &mut self,
        found: &mut Found,
        swapped: bool,
        (name, update): (&str, NodeId),
        before: &Objects,
        after: &Objects,
    ) {
        let (from, to) = self.sides(swapped);
        let was = content(from, before, name);
        let (to_open, to_unopen) = match (after.requires(name), to.node(update).default.is_some()) {
            (true, true) => (
                "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL",
                "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL",
            ),
            (true, false) => (
                "REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
                "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
            ),
            (false, _) => (
                "OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
                "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
            ),
        };
        self.added(found, swapped, update, (was, to_open), &content::PROPERTY);
        if was != Content::Open {
            self.add(found, to_unopen);
        }
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

/// What a property may be that is not named.
fn content(model: &Model, objects: &Objects, name: &str) -> Content {
    let matches = |pattern: &str| Regex::new(pattern).is_ok_and(|p| p.is_match(name));
    let of_pattern = objects.patterns.iter().find(|(pattern, _)| matches(pattern));
    match (of_pattern, Content::of(model, objects.additional, objects.unevaluated)) {
        (Some((_, id)), _) => Content::Covering(*id),
        // With patterns a model is not open: nothing is known of a name that none of them matches.
        (None, Content::Open) if !objects.patterns.is_empty() => Content::Closed,
        (None, content) => content,
    }
}
