//! Content models: which properties or items an object or array may hold beyond those that have a schema each. It is open where
//! they may be anything, partially open where one schema covers them, closed where there are none. The rules are the same for
//! objects and for arrays, by other names.

use super::{Comparison, Found, Pair};
use crate::json_schema::model::{Additional, Kind, Model, NodeId};

/// The names of the differences of a keyword that widens or narrows a content model.
pub(super) struct Keyword {
    pub(super) keyword: &'static str,
    pub(super) added: &'static str,
    pub(super) removed: &'static str,
    pub(super) extended: &'static str,
    pub(super) narrowed: &'static str,
}

/// `keyword!("additionalItems", "ADDITIONAL_ITEMS")`: the names.
macro_rules! keyword {
    ($keyword:literal, $name:literal) => {
        $crate::json_schema::diff::content::Keyword {
            keyword: $keyword,
            added: concat!($name, "_ADDED"),
            removed: concat!($name, "_REMOVED"),
            extended: concat!($name, "_EXTENDED"),
            narrowed: concat!($name, "_NARROWED"),
        }
    };
}
pub(super) use keyword;

/// The names of the differences of a property or an item that one side alone has.
pub(super) struct Part {
    empty_added_to_open: &'static str,
    added_covered: &'static str,
    added_not_covered: &'static str,
    removed_from_open: &'static str,
    removed_covered: &'static str,
    removed_not_covered: &'static str,
    removed_from_closed: &'static str,
    false_removed_from_closed: &'static str,
}

macro_rules! part {
    ($name:literal) => {
        Part {
            empty_added_to_open: concat!($name, "_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL"),
            added_covered: concat!($name, "_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"),
            added_not_covered: concat!($name, "_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"),
            removed_from_open: concat!($name, "_REMOVED_FROM_OPEN_CONTENT_MODEL"),
            removed_covered: concat!($name, "_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"),
            removed_not_covered: concat!($name, "_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"),
            removed_from_closed: concat!($name, "_REMOVED_FROM_CLOSED_CONTENT_MODEL"),
            false_removed_from_closed: concat!($name, "_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL"),
        }
    };
}

pub(super) static PROPERTY: Part = part!("PROPERTY");
pub(super) static ITEM: Part = part!("ITEM");

/// A content model, as one part sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Open,
    /// This schema covers the part.
    Covering(NodeId),
    Closed,
}

impl Content {
    /// What the two keywords say of parts that no other keyword speaks of.
    pub(super) fn of(model: &Model, additional: Additional, unevaluated: Option<NodeId>) -> Self {
        match (additional, unevaluated) {
            (Additional::Schema(id), _) => Self::Covering(id),
            (Additional::Any, None) => Self::Open,
            (Additional::Any, Some(id)) => match model.node(id).kind {
                Kind::Empty | Kind::True => Self::Open,
                Kind::False => Self::Closed,
                _ => Self::Covering(id),
            },
            (Additional::None, _) => Self::Closed,
        }
    }
}

impl<'a> Comparison<'a> {
    /// `additionalProperties` and `additionalItems`.
    pub(super) fn additional(
        &mut self,
        found: &mut Found,
        swapped: bool,
        (before, after): (Additional, Additional),
        names: &Keyword,
    ) {
        found.within(names.keyword, |found| match (before, after) {
            (Additional::None, Additional::None) => {}
            (Additional::None, _) => self.add(found, names.added),
            (_, Additional::None) => self.add(found, names.removed),
            (Additional::Any, Additional::Schema(_)) => self.add(found, names.narrowed),
            (Additional::Schema(_), Additional::Any) => self.add(found, names.extended),
            (a, b) => self.compare_optional(found, a.schema(), b.schema(), swapped),
        });
    }

    /// `unevaluatedProperties` and `unevaluatedItems`.
    pub(super) fn unevaluated(
        &mut self,
        found: &mut Found,
        swapped: bool,
        (before, after): (Option<NodeId>, Option<NodeId>),
        names: &Keyword,
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

    /// A part that is taken away: whether it may be depends on the content model that is left.
    pub(super) fn removed(
        &mut self,
        found: &mut Found,
        swapped: bool,
        original: NodeId,
        left: Content,
        names: &Part,
    ) {
        let (from, _) = self.sides(swapped);
        let rule = match left {
            Content::Open => names.removed_from_open,
            Content::Covering(update) => match self.is_covered(found, Pair { original, update, swapped }) {
                true => names.removed_covered,
                false => names.removed_not_covered,
            },
            Content::Closed if matches!(from.node(original).kind, Kind::False) => {
                names.false_removed_from_closed
            }
            Content::Closed => names.removed_from_closed,
        };
        self.add(found, rule);
    }

    /// A part that is added: whether it may be depends on the content model that was. What is open may hold anything in its place:
    /// the rule is `to_open`, unless the part may be anything, too. That it comes where the model is not open is left to the caller.
    pub(super) fn added(
        &mut self,
        found: &mut Found,
        swapped: bool,
        update: NodeId,
        (was, to_open): (Content, &'static str),
        names: &Part,
    ) {
        let (_, to) = self.sides(swapped);
        let rule = match was {
            Content::Open if matches!(to.node(update).kind, Kind::Empty | Kind::True) => {
                names.empty_added_to_open
            }
            Content::Open => to_open,
            Content::Covering(original) => match self.is_covered(found, Pair { original, update, swapped }) {
                true => names.added_covered,
                false => names.added_not_covered,
            },
            Content::Closed => return,
        };
        self.add(found, rule);
    }

    /// Whether the schema that covers a part does for it; adds what differs.
    fn is_covered(&mut self, found: &mut Found, pair: Pair) -> bool {
        let apart = self.tried(pair);
        self.take(found, &apart);
        !apart.incompatible
    }

    /// The models that schemas come from and go to.
    pub(super) fn sides(&self, swapped: bool) -> (&'a Model, &'a Model) {
        if swapped { (self.update, self.original) } else { (self.original, self.update) }
    }
}
