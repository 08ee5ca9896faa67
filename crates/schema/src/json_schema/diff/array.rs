//! Rules for arrays.

use super::object::Unevaluated;
use super::value::limit;
use super::{Comparison, Found, Pair};
use crate::json_schema::model::{Additional, Arrays, Kind, Model, NodeId};

impl Comparison<'_> {
    pub(super) fn arrays(&mut self, found: &mut Found, swapped: bool, before: &Arrays, after: &Arrays) {
        found.within("items", |found| self.compare_optional(found, before.all, after.all, swapped));
        self.items(found, swapped, before, after);
        found.within("additionalItems", |found| {
            match (before.additional, after.additional) {
                (Additional::None, Additional::None) => {}
                (_, Additional::None) => self.add(found, "ADDITIONAL_ITEMS_REMOVED"),
                (Additional::None, _) => self.add(found, "ADDITIONAL_ITEMS_ADDED"),
                (Additional::Any, Additional::Schema(_)) => self.add(found, "ADDITIONAL_ITEMS_NARROWED"),
                (Additional::Schema(_), Additional::Any) => self.add(found, "ADDITIONAL_ITEMS_EXTENDED"),
                (a, b) => self.compare_optional(found, a.schema(), b.schema(), swapped),
            };
        });
        let names = Unevaluated {
            keyword: "unevaluatedItems",
            added: "UNEVALUATED_ITEMS_ADDED",
            removed: "UNEVALUATED_ITEMS_REMOVED",
            extended: "UNEVALUATED_ITEMS_EXTENDED",
            narrowed: "UNEVALUATED_ITEMS_NARROWED",
        };
        self.unevaluated(found, swapped, (before.unevaluated, after.unevaluated), &names);
        self.limit(found, "maxItems", (before.max_items, after.max_items), &limit!("MAX_ITEMS"));
        self.limit(found, "minItems", (before.min_items, after.min_items), &limit!("MIN_ITEMS"));
        match (before.unique, after.unique) {
            (true, false) => self.add_at(found, "uniqueItems", "UNIQUE_ITEMS_REMOVED"),
            (false, true) => self.add_at(found, "uniqueItems", "UNIQUE_ITEMS_ADDED"),
            _ => {}
        }
        let limits = (before.max_contains, after.max_contains);
        self.limit(found, "maxContains", limits, &limit!("MAX_CONTAINS"));
        let limits = (before.min_contains, after.min_contains);
        self.limit(found, "minContains", limits, &limit!("MIN_CONTAINS"));
    }

    /// Items that have a schema each.
    fn items(&mut self, found: &mut Found, swapped: bool, before: &Arrays, after: &Arrays) {
        for i in 0..before.items.len().max(after.items.len()) {
            found.within(format!("items/{i}"), |found| match (before.items.get(i), after.items.get(i)) {
                (Some(original), Some(update)) => {
                    self.compare(found, Pair { original: *original, update: *update, swapped });
                }
                (Some(original), None) => self.item_removed(found, swapped, *original, after),
                (None, Some(update)) => self.item_added(found, swapped, *update, before),
                (None, None) => {}
            });
        }
    }

    fn item_removed(&mut self, found: &mut Found, swapped: bool, original: NodeId, after: &Arrays) {
        let (from, to) = self.sides(swapped);
        if is_open(to, after) {
            return self.add(found, "ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL");
        }
        match covering(to, after) {
            Some(update) => {
                let apart = self.tried(Pair { original, update, swapped });
                let covered = !apart.incompatible;
                self.take(found, &apart);
                self.add(
                    found,
                    match covered {
                        true => "ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
                        false => "ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
                    },
                );
            }
            None if matches!(from.node(original).kind, Kind::False) => {
                self.add(found, "ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL");
            }
            None => self.add(found, "ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL"),
        }
    }

    fn item_added(&mut self, found: &mut Found, swapped: bool, update: NodeId, before: &Arrays) {
        let (from, to) = self.sides(swapped);
        if is_open(from, before) {
            return self.add(
                found,
                match to.node(update).kind {
                    Kind::Empty | Kind::True => "ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL",
                    _ => "ITEM_ADDED_TO_OPEN_CONTENT_MODEL",
                },
            );
        }
        match covering(from, before) {
            Some(original) => {
                let apart = self.tried(Pair { original, update, swapped });
                let covered = !apart.incompatible;
                self.take(found, &apart);
                self.add(
                    found,
                    match covered {
                        true => "ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
                        false => "ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
                    },
                );
            }
            None => self.add(found, "ITEM_ADDED_TO_CLOSED_CONTENT_MODEL"),
        }
    }
}

/// Whether items beyond those that have a schema each may be anything.
fn is_open(model: &Model, arrays: &Arrays) -> bool {
    arrays.additional == Additional::Any
        && arrays.unevaluated.is_none_or(|id| matches!(model.node(id).kind, Kind::Empty | Kind::True))
}

/// The schema for items beyond those.
fn covering(model: &Model, arrays: &Arrays) -> Option<NodeId> {
    match (arrays.additional, arrays.unevaluated) {
        (Additional::Schema(id), _) => Some(id),
        (Additional::Any, Some(id)) => {
            (!matches!(model.node(id).kind, Kind::False | Kind::Empty | Kind::True)).then_some(id)
        }
        _ => None,
    }
}
