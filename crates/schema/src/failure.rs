//! An error on its way out of nested values: it collects the path from the inside outwards.

use crate::RecordError;
use std::borrow::Cow;
use std::fmt::Write;

/// A result of work within one record.
pub(crate) type Fallible<T> = Result<T, Box<Failure>>;

/// Why a value could not be read or written, and where in its record. Boxed in results, so that the good path stays small.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Innermost first.
    path: Vec<Segment>,
    reason: String,
    retriable: bool,
}

/// The start of a text from a record: errors go to logs and record headers, payloads may be megabytes.
pub(crate) fn abridged(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}...", &text[..at]).into(),
        None => text.into(),
    }
}

#[derive(Debug)]
enum Segment {
    Field(String),
    Index(usize),
}

impl Failure {
    #[cold]
    pub(crate) fn new(reason: impl Into<String>) -> Box<Self> {
        Box::new(Self { path: Vec::new(), reason: reason.into(), retriable: false })
    }

    /// A failure that says nothing of the record, which may be good when it is tried again.
    #[cold]
    pub(crate) fn passing(reason: impl Into<String>) -> Box<Self> {
        Box::new(Self { path: Vec::new(), reason: reason.into(), retriable: true })
    }

    pub(crate) fn is_passing(&self) -> bool {
        self.retriable
    }

    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// The same, found inside the field of that name.
    #[cold]
    pub(crate) fn in_field(mut self: Box<Self>, name: &str) -> Box<Self> {
        self.path.push(Segment::Field(name.to_owned()));
        self
    }

    /// The same, found inside the map's entry of that key.
    #[cold]
    pub(crate) fn in_entry(self: Box<Self>, key: &str) -> Box<Self> {
        self.in_field(&abridged(key))
    }

    /// The same, found inside the element of that index.
    #[cold]
    pub(crate) fn in_element(mut self: Box<Self>, index: usize) -> Box<Self> {
        self.path.push(Segment::Index(index));
        self
    }

    /// The error of the record at that place of the input.
    #[cold]
    pub(crate) fn of_record(self, index: usize) -> RecordError {
        let mut path = String::new();
        for segment in self.path.iter().rev() {
            match segment {
                Segment::Field(name) if path.is_empty() => path.push_str(name),
                Segment::Field(name) => {
                    path.push('.');
                    path.push_str(name);
                }
                // Writing to a string cannot fail.
                Segment::Index(i) => drop(write!(path, "[{i}]")),
            }
        }
        RecordError { index, path, reason: self.reason, retriable: self.retriable }
    }
}
