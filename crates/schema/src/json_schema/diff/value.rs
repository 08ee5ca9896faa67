//! Rules for strings, numbers and enumerations.

use super::{Comparison, Found};
use crate::json_schema::model::{Numbers, Strings};
use serde_json::Value as Json;

/// The names of a limit's differences.
pub(super) struct Names {
    pub(super) added: &'static str,
    pub(super) removed: &'static str,
    pub(super) increased: &'static str,
    pub(super) decreased: &'static str,
}

/// `limit!("MAX_LENGTH")`: the four names.
macro_rules! limit {
    ($name:literal) => {
        $crate::json_schema::diff::value::Names {
            added: concat!($name, "_ADDED"),
            removed: concat!($name, "_REMOVED"),
            increased: concat!($name, "_INCREASED"),
            decreased: concat!($name, "_DECREASED"),
        }
    };
}
pub(super) use limit;

impl Comparison<'_> {
    pub(super) fn limit(
        &self,
        found: &mut Found,
        keyword: &str,
        (before, after): (Option<f64>, Option<f64>),
        names: &Names,
    ) {
        let rule = match (before, after) {
            (None, Some(_)) => names.added,
            (Some(_), None) => names.removed,
            (Some(before), Some(after)) if before < after => names.increased,
            (Some(before), Some(after)) if before > after => names.decreased,
            _ => return,
        };
        self.add_at(found, keyword, rule);
    }

    pub(super) fn strings(&self, found: &mut Found, before: &Strings, after: &Strings) {
        self.limit(found, "maxLength", (before.max_length, after.max_length), &limit!("MAX_LENGTH"));
        self.limit(found, "minLength", (before.min_length, after.min_length), &limit!("MIN_LENGTH"));
        match (&before.pattern, &after.pattern) {
            (None, Some(_)) => self.add_at(found, "pattern", "PATTERN_ADDED"),
            (Some(_), None) => self.add_at(found, "pattern", "PATTERN_REMOVED"),
            (Some(a), Some(b)) if a != b => self.add_at(found, "pattern", "PATTERN_CHANGED"),
            _ => {}
        }
    }

    pub(super) fn numbers(&self, found: &mut Found, before: &Numbers, after: &Numbers) {
        self.limit(found, "maximum", (before.maximum, after.maximum), &limit!("MAXIMUM"));
        self.limit(found, "minimum", (before.minimum, after.minimum), &limit!("MINIMUM"));
        let limits = (before.exclusive_maximum, after.exclusive_maximum);
        self.limit(found, "exclusiveMaximum", limits, &limit!("EXCLUSIVE_MAXIMUM"));
        let limits = (before.exclusive_minimum, after.exclusive_minimum);
        self.limit(found, "exclusiveMinimum", limits, &limit!("EXCLUSIVE_MINIMUM"));
        let rule = match (&before.multiple_of, &after.multiple_of) {
            (None, Some(_)) => Some("MULTIPLE_OF_ADDED"),
            (Some(_), None) => Some("MULTIPLE_OF_REMOVED"),
            (Some(before), Some(after)) => multiples(before, after),
            (None, None) => None,
        };
        if let Some(rule) = rule {
            self.add_at(found, "multipleOf", rule);
        }
        if before.integer != after.integer {
            self.add(found, if before.integer { "TYPE_EXTENDED" } else { "TYPE_NARROWED" });
        }
    }

    pub(super) fn enums(&self, found: &mut Found, before: &[Json], after: &[Json]) {
        let more = after.iter().any(|v| !before.contains(v));
        let fewer = before.iter().any(|v| !after.contains(v));
        match (more, fewer) {
            (true, false) => self.add_at(found, "enum", "ENUM_ARRAY_EXTENDED"),
            (false, true) => self.add_at(found, "enum", "ENUM_ARRAY_NARROWED"),
            (true, true) => self.add_at(found, "enum", "ENUM_ARRAY_CHANGED"),
            (false, false) => {}
        }
    }
}

/// What changed from one `multipleOf` to another.
fn multiples(before: &str, after: &str) -> Option<&'static str> {
    const DIGITS: i32 = 18;
    // Numbers of more digits are compared as they are written.
    let scaled = |text| crate::numeric::scaled(text, DIGITS).ok().filter(|n| *n != 0);
    match (scaled(before), scaled(after)) {
        (Some(a), Some(b)) if a == b => None,
        (Some(a), Some(b)) if b % a == 0 => Some("MULTIPLE_OF_EXPANDED"),
        (Some(a), Some(b)) if a % b == 0 => Some("MULTIPLE_OF_REDUCED"),
        _ if before == after => None,
        _ => Some("MULTIPLE_OF_CHANGED"),
    }
}
