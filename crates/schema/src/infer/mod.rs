//! A schema from samples: what values were seen of each field, and what they have in common.
//!
//! ```text
//!  JSON values ─▶ record ──┐
//!  CSV records ─▶ texts ───┼─▶ Seen: counts a field ─ resolve ─▶ Node: a type a field, notes ─┬─▶ avro, json, protobuf: a text
//!  Parquet     ─▶ columns ─┘                                                                  └─▶ columns: bd's types
//! ```
//! | seen of a field | type |
//! |---|---|
//! | `true`, `false` | `BOOLEAN` |
//! | whole numbers | `BIGINT`; beyond 64 bits with sign `DECIMAL(20, 0)` |
//! | numbers | `DOUBLE` |
//! | strings that are all `yyyy-MM-dd` | `DATE` |
//! | strings that are all `HH:mm:ss[.SSS]` | `TIME` |
//! | strings that are all ISO 8601 timestamps, or dates and such | `TIMESTAMP`; without a zone UTC |
//! | other strings | `VARCHAR` |
//! | arrays | `ARRAY` of what their elements have in common |
//! | objects | `STRUCT`; of more than 1000 names `MAP` |
//! | values of several of these | `VARCHAR`, which holds them as their JSON text |
//! | only nulls, no elements | `VARCHAR` |
//!
//! A field that is null or absent anywhere is optional. Texts of delimited files are what they look like: `true`, numbers without
//! leading zeros or `+`, dates; an empty text is null, but in a column of strings only where it is not quoted.
//!
//! All that was seen is read by the inferred columns; what they change of it (a whole number among fractions is a double, digits of
//! a second beyond the third are cut) is noted.

mod avro;
mod json;
mod node;
#[cfg(test)]
mod properties;
mod protobuf;
mod seen;
#[cfg(test)]
mod tests;

use crate::{DataType, InvalidSchema, Schema, SchemaType};
use node::{Kind, Node};
use seen::Seen;
use serde_json::Value as Json;
use std::fmt;

const MAX_NAMES: usize = 1000;
/// Schemas that are deeper have no columns.
const MAX_DEPTH: usize = 24;

/// What is made of what is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InferOptions {
    /// Strings may be dates, times and timestamps.
    pub dates: bool,
    /// Whole numbers beyond 64 bits with sign are decimals; otherwise doubles.
    pub decimals: bool,
    /// Every field is optional, also where the samples always have it.
    pub all_optional: bool,
    /// An object of more names is taken for a map.
    pub max_names: usize,
    /// Values nested deeper are taken as their JSON text.
    pub max_depth: usize,
}

impl Default for InferOptions {
    fn default() -> Self {
        let (max_names, max_depth) = (MAX_NAMES, MAX_DEPTH);
        Self { dates: true, decimals: true, all_optional: false, max_names, max_depth }
    }
}

/// Something that was seen and should be known of an inferred field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InferNote {
    /// The field, as `a.b[].c`; empty for the record as a whole.
    pub path: String,
    /// What is to be said.
    pub text: String,
}

impl fmt::Display for InferNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.text),
            path => write!(f, "{path}: {}", self.text),
        }
    }
}

/// Collects samples. Its memory grows with the number of different fields, not of samples.
///
/// ```
/// use bd_schema::{Inference, InferOptions, SchemaType};
///
/// let mut inference = Inference::new(InferOptions::default());
/// for line in [r#"{"id": 1, "at": "2026-02-28"}"#, r#"{"id": 2, "at": "2026-03-01", "note": "late"}"#] {
///     inference.record(&serde_json::from_str(line)?);
/// }
/// let inferred = inference.finish().ok_or("no samples")?;
/// assert_eq!(
///     inferred.text(SchemaType::Avro, "Order")?,
///     r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"long"},{"name":"at","type":{"type":"int","logicalType":"date"}},{"name":"note","type":["null","string"],"default":null}]}"#
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Inference {
    options: InferOptions,
    root: Seen,
    records: u64,
}

impl Inference {
    /// Nothing seen yet.
    pub fn new(options: InferOptions) -> Self {
        Self { options, root: Seen::default(), records: 0 }
    }

    /// How many records were seen.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Takes a JSON value as a record; a null is none.
    pub fn record(&mut self, json: &Json) {
        if !json.is_null() {
            self.records += 1;
            self.root.json(json, &self.options, 0);
        }
    }

    /// Takes a record of texts, each with its column's name and whether it was quoted.
    pub fn texts<'a>(&mut self, cells: impl IntoIterator<Item = (&'a str, &'a str, bool)>) {
        self.records += 1;
        self.root.texts(cells, &self.options);
    }

    /// Takes `records` records of columns whose types are known; `required` says which of them are never null.
    pub fn columns(&mut self, schema: &Schema, required: &[bool], records: u64) {
        self.records += records;
        self.root.declared_record(schema, required);
    }

    /// What the records have in common; `None`: there was none.
    pub fn finish(self) -> Option<Inferred> {
        if !self.root.is_seen() {
            return None;
        }
        let mut notes = Vec::new();
        let mut root = self.root.resolve("", &mut notes);
        if self.options.all_optional {
            root.all_optional();
        }
        Some(Inferred { root, notes, records: self.records })
    }
}

/// The type of a JSON value by itself: numbers are `BIGINT` or `DOUBLE`, strings stay strings.
pub fn type_of_json(json: &Json) -> DataType {
    let (max_names, max_depth) = (usize::MAX, usize::MAX);
    let options = InferOptions { dates: false, decimals: false, all_optional: false, max_names, max_depth };
    let mut seen = Seen::default();
    seen.json(json, &options, 0);
    seen.resolve("", &mut Vec::new()).data_type()
}

/// What samples have in common.
#[derive(Debug, Clone)]
pub struct Inferred {
    root: Node,
    notes: Vec<InferNote>,
    records: u64,
}

impl Inferred {
    /// How many records were seen.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// What should be known of the fields.
    pub fn notes(&self) -> &[InferNote] {
        &self.notes
    }

    /// The columns by the samples' own names; a bare value is one column named `value`.
    pub fn columns(&self) -> Schema {
        self.root.columns()
    }

    /// Whether the records are no objects.
    pub fn is_bare(&self) -> bool {
        !matches!(self.root.kind, Kind::Struct(_))
    }

    /// The text of a schema that declares them by that full name (`namespace.Name`).
    ///
    /// # Errors
    /// The language cannot name two fields side by side, or (Protobuf) the records are no objects.
    pub fn text(&self, schema_type: SchemaType, name: &str) -> Result<String, InvalidSchema> {
        match schema_type {
            SchemaType::Avro => avro::text(&self.root, name),
            SchemaType::Json => Ok(json::text(&self.root, name)),
            SchemaType::Protobuf => protobuf::text(&self.root, name),
        }
    }

    /// What should be known of the schema in that language, beyond [`Inferred::notes`].
    pub fn notes_on(&self, schema_type: SchemaType) -> Vec<InferNote> {
        let mut notes = Vec::new();
        if schema_type != SchemaType::Json {
            self.root.each("", &mut |path, node| node::note_on_names(schema_type, path, node, &mut notes));
        }
        if schema_type == SchemaType::Protobuf {
            self.root.each("", &mut |path, node| protobuf::note(path, node, &mut notes));
        }
        notes
    }
}
