//! Predicates, which say of which records a transform is applied, and the transform that they are mostly used with.

use super::chain::Keys;
use super::{Flow, Step, Transform};
use crate::sdk::{Cells, ConfigError};
use regex::Regex;

/// Says yes or no of a record.
pub(super) trait Predicate: Send {
    fn test(&self, flow: &Flow, i: usize) -> bool;
}

/// `Filter`: drops every record that it gets.
pub(super) struct Filter;

impl Transform for Filter {
    fn apply(&mut self, _flow: Flow, _out: &mut Step) {}
}

pub(super) fn open(class: &str, keys: &Keys) -> Result<Box<dyn Predicate>, ConfigError> {
    match class.rsplit('.').next() {
        Some("HasHeaderKey") => Ok(Box::new(HasHeaderKey(keys.text("name")?.to_owned()))),
        Some("RecordIsTombstone") => Ok(Box::new(RecordIsTombstone)),
        _ => Ok(Box::new(TopicNameMatches(whole(keys, "pattern")?))),
    }
}

/// The regular expression of a key, for whole texts as in Java's `matches`.
pub(super) fn whole(keys: &Keys, key: &str) -> Result<Regex, ConfigError> {
    let pattern = keys.text(key)?;
    Regex::new(&format!("^(?:{pattern})$"))
        .map_err(|e| keys.error(key, format!("invalid regular expression {pattern}: {e}")))
}

struct HasHeaderKey(String);

impl Predicate for HasHeaderKey {
    fn test(&self, flow: &Flow, i: usize) -> bool {
        flow.batch.headers.get(i).is_some_and(|of| of.iter().any(|(name, _)| *name == self.0))
    }
}

struct RecordIsTombstone;

impl Predicate for RecordIsTombstone {
    fn test(&self, flow: &Flow, i: usize) -> bool {
        match &flow.batch.values {
            Cells::Null(_) => true,
            Cells::Bytes(cells) => cells.get(i).is_none_or(Option::is_none),
            Cells::Rows { rows, .. } => rows.get(i).is_none_or(Option::is_none),
            Cells::Arrow { .. } => false,
        }
    }
}

struct TopicNameMatches(Regex);

impl Predicate for TopicNameMatches {
    fn test(&self, flow: &Flow, _i: usize) -> bool {
        self.0.is_match(&flow.batch.topic)
    }
}
