//! What is declared: streams and tables over topics.

use crate::expr::Expr;
use bd_schema::{DataType, FormatOptions, Schema};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whether a source is an append-only stream or an upsert table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// Every record is a new row.
    Stream,
    /// A record replaces the row of its key; a null value deletes it.
    Table,
}

/// Where a column is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnPlace {
    /// In the record's key only (`KEY`, `PRIMARY KEY`).
    Key,
    /// In the record's value only.
    Value,
    /// In both (`AS_VALUE(key column)`); read from the key.
    KeyAndValue,
}

/// A column of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnDef {
    /// The name as spelled at its creation.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Where it is written.
    pub place: ColumnPlace,
    /// `NOT NULL`: a record with NULL here is a dead letter.
    pub not_null: bool,
}

/// How a row's event time is taken from a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampSpec {
    /// The column's place in [`SourceDef::columns`].
    pub column: usize,
    /// How to read it.
    pub format: TimeFormat,
}

/// How a time column is read as ms since epoch (`timestamp_format`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeFormat {
    /// A BIGINT, INTEGER or TIMESTAMP in ms: the default.
    EpochMillis,
    /// A BIGINT or INTEGER in seconds: `'epoch_seconds'`.
    EpochSeconds,
    /// A VARCHAR by a pattern of Java's `DateTimeFormatter`, UTC where it holds no zone.
    Pattern(String),
}

/// A condition that every record of a stream must meet (`CHECK`); a record for which it is FALSE is a dead letter.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// Over [`SourceDef::columns`], by place.
    pub condition: Expr,
    /// Its text, for the dead letter's reason.
    pub text: String,
}

/// A declared stream or table.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceDef {
    /// Its name as spelled at its creation.
    pub name: String,
    /// Stream or table.
    pub kind: SourceKind,
    /// The topic it reads or writes.
    pub topic: String,
    /// Its columns, in order.
    pub columns: Vec<ColumnDef>,
    /// `key_format`: `KAFKA` (default) or another of [`bd_schema::FORMATS`]; `NONE` where no column is in the key.
    pub key_format: String,
    /// `KEY_DELIMITER`, `KEY_SCHEMA_ID`, `KEY_SCHEMA_FULL_NAME`.
    pub key_options: FormatOptions,
    /// `value_format`: `JSON` (default) or another of [`bd_schema::FORMATS`].
    pub value_format: String,
    /// `VALUE_DELIMITER`, `WRAP_SINGLE_VALUE`, `VALUE_SCHEMA_ID`, `VALUE_SCHEMA_FULL_NAME`.
    pub value_options: FormatOptions,
    /// Where the event time comes from; `None` takes the record's timestamp.
    pub timestamp: Option<TimestampSpec>,
    /// `lateness`, ms: how far a row may lie behind the latest before it in its partition. Zero without the property.
    pub lateness_ms: i64,
    /// Where late rows go: `late_topic`, by default `<topic>-late`.
    pub late_topic: String,
    /// Where records go that cannot be decoded, have no event time or fail a check: `dead_letter_topic`, by default
    /// `<topic>-dlq`.
    pub dead_letter_topic: String,
    /// `CHECK` conditions.
    pub checks: Vec<Check>,
    /// `idle_timeout`, ms: a partition silent for so long (processing time) no longer holds the watermark back. Off by default.
    pub idle_timeout_ms: Option<i64>,
    /// The query that writes it (`CREATE ... AS SELECT`); its rows are never late and its watermark is the query's.
    pub query: Option<String>,
    /// The statement that created it.
    pub sql: String,
}

impl SourceDef {
    /// The schema of the columns in the record's key, in order.
    pub fn key_schema(&self) -> Schema {
        self.schema_of(|p| p != ColumnPlace::Value)
    }

    /// The schema of the columns in the record's value, in order.
    pub fn value_schema(&self) -> Schema {
        self.schema_of(|p| p != ColumnPlace::Key)
    }

    /// The places of the key columns in [`SourceDef::columns`].
    pub fn key_columns(&self) -> Vec<usize> {
        (0..self.columns.len()).filter(|i| self.columns[*i].place != ColumnPlace::Value).collect()
    }

    fn schema_of(&self, keep: impl Fn(ColumnPlace) -> bool) -> Schema {
        let fields = self.columns.iter().filter(|c| keep(c.place));
        Schema::new(fields.map(|c| bd_schema::Field::new(&c.name, c.data_type.clone())).collect())
    }
}

/// All declared streams and tables. Names match case-insensitively.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    sources: BTreeMap<String, Arc<SourceDef>>,
}

impl Catalog {
    /// The source of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<SourceDef>> {
        self.sources.get(&name.to_ascii_lowercase())
    }

    /// Adds or replaces a source.
    pub fn insert(&mut self, def: SourceDef) -> Arc<SourceDef> {
        let def = Arc::new(def);
        self.sources.insert(def.name.to_ascii_lowercase(), def.clone());
        def
    }

    /// Removes a source.
    pub fn remove(&mut self, name: &str) -> Option<Arc<SourceDef>> {
        self.sources.remove(&name.to_ascii_lowercase())
    }

    /// All sources by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<SourceDef>> {
        self.sources.values()
    }
}
