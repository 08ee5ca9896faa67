//! Rules for arrays.

use super::content::{self, Content, keyword};
use super::value::limit;
use super::{Comparison, Found, Pair};
use crate::json_schema::model::{Arrays, Model, NodeId};

impl Comparison<'_> {
    pub(super) fn arrays(&mut self, found: &mut Found, swapped: bool, before: &Arrays, after: &Arrays) {
        found.within("items", |found| self.compare_optional(found, before.all, after.all, swapped));
        self.items(found, swapped, before, after);
        let names = keyword!("additionalItems", "ADDITIONAL_ITEMS");
        self.additional(found, swapped, (before.additional, after.additional), &names);
        let names = keyword!("unevaluatedItems", "UNEVALUATED_ITEMS");
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
        let left = content(self.sides(swapped).1, after);
        self.removed(found, swapped, original, left, &content::ITEM);
    }

    fn item_added(&mut self, found: &mut Found, swapped: bool, update: NodeId, before: &Arrays) {
        let was = content(self.sides(swapped).0, before);
        self.added(found, swapped, update, (was, "ITEM_ADDED_TO_OPEN_CONTENT_MODEL"), &content::ITEM);
        if was == Content::Closed {
            self.add(found, "ITEM_ADDED_TO_CLOSED_CONTENT_MODEL");
        }
    }
}

/// What items may be beyond those that have a schema each.
fn content(model: &Model, arrays: &Arrays) -> Content {
    Content::of(model, arrays.additional, arrays.unevaluated)
}
