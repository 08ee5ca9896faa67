//! Dashboards: YAML files of panels over indices and topics.
//!
//! ```yaml
//! title: Viewing
//! range: 15m                   # what is shown first: 30s, 15m, 1h, 24h, 7d, ... or all
//! refresh: 500ms               # panels are brought up to date at least so often; changes that are seen earlier show earlier
//! panels:
//!   - title: Current viewers
//!     kind: timeseries
//!     grid: {x: 0, y: 0, w: 8, h: 7}   # of 12 columns; a row is 32 px, and 10 between two
//!     index: current_viewers_history
//!     time: ts                 # the time range applies to it; without it, it does not
//!     value: {last: viewers}
//!     split: channel_id
//!     carry: true              # where an interval has no row, the value before it holds
//! ```
//!
//! Keys of every panel: `title` and `kind`; `grid`; `hint` (a line on what is shown); `awaits` (what is said while there is no
//! row); `unit` (a word behind numbers), `decimals` (0 to 6).
//!
//! | kind | shows | keys beside |
//! |---|---|---|
//! | `timeseries` | lines over time | `value`, `split`, `interval` (default: by the range), `carry`, `stacked`; or `topics` |
//! | `top` | the greatest, as bars | `by`, `value` |
//! | `bars` | bars of stacked parts | `by`, `stack`, `value` |
//! | `stat` | one number | `value`, `spark` (a small line below, needs `time`); or `topics` |
//! | `table` | documents | `columns` (`field`, `title`, `bar`, `unit`, `decimals`, `labels`), `sort` (`{field: desc}`), `limit` |
//! | `map` | places | `lon`, `lat`, `by` (documents of one place; default: documents one by one), `label`, `limit` |
//!
//! **From search** (any Elasticsearch): `index`; `query`, in Elasticsearch's own query language; `time`, a field, or
//! `{field: start_ts, now: newest}`, by which the range ends at the newest row and not at the clock (for replays, or where events
//! have a clock of their own). `value` is `count`, or one of `sum`, `avg`, `max`, `min`, `distinct`, `last` of a field. `split`,
//! `by` and `stack` are a field, or `{field, limit, order, labels}`: `order` lists keys in the order in which to show them,
//! `labels: {index, key, field}` looks up what to show instead of a key. Text fields may be named without `.keyword`.
//!
//! **From topics**: `topics`, a list; `value` is `rate` (records a second), `records` or `age` (time since the newest record was
//! appended; `stat` only).

mod keys;
mod load;
mod parse;

pub(crate) use load::load;
pub use parse::parse;

use serde::Serialize;
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// The columns of the grid.
pub const COLUMNS: u16 = 12;

/// A dashboard.
#[derive(Debug, Clone, PartialEq)]
pub struct Dashboard {
    /// The file's name without its extension; part of the URL.
    pub name: String,
    /// The headline.
    pub title: String,
    /// A line on what it is about.
    pub description: Option<String>,
    /// The time range that is shown first.
    pub range: Range,
    /// Panels are brought up to date at least so often.
    pub refresh: Duration,
    /// The panels in the file's order, which is the order of reading.
    pub panels: Vec<Panel>,
}

/// Which times are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Range {
    /// The last so many ms.
    Last(u64),
    /// All there is.
    All,
}

impl Range {
    /// Reads `15m`, `all`, ...
    ///
    /// # Errors
    /// What is expected instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Range::All);
        }
        let ms = keys::duration_ms(text).filter(|ms| *ms >= 1000);
        ms.map(Range::Last).ok_or_else(|| {
            format!("expected all, or a time of a second or more (30s, 15m, 1h, 7d), not {text}")
        })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Range::All => f.write_str("all"),
            Range::Last(ms) => f.write_str(&keys::duration_text(*ms)),
        }
    }
}

/// One panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// `p0`, `p1`, ...: its place in the file.
    pub id: String,
    /// The headline.
    pub title: String,
    /// A line on what is shown.
    pub hint: Option<String>,
    /// What is said while there is no row.
    pub awaits: Option<String>,
    /// Where it stands.
    pub grid: Grid,
    /// How its numbers are written.
    pub format: Format,
    /// What it shows.
    pub view: View,
}

/// A place on the grid, in columns and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Grid {
    /// The first column, 0 to 11.
    pub x: u16,
    /// The first row.
    pub y: u16,
    /// How many columns.
    pub w: u16,
    /// How many rows.
    pub h: u16,
}

/// How numbers are written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Format {
    /// A word behind the number.
    pub unit: Option<String>,
    /// How many decimals; by default as many as the number is worth.
    pub decimals: Option<u8>,
}

/// What a panel shows.
#[derive(Debug, Clone, PartialEq)]
pub enum View {
    /// Lines over time.
    TimeSeries {
        /// From where.
        source: Source,
        /// Lines by a field.
        split: Option<Split>,
        /// The width of an interval, ms; by default by the range.
        interval: Option<u64>,
        /// Whether a value holds until the next one.
        carry: bool,
        /// Whether lines stand on each other.
        stacked: bool,
    },
    /// The greatest, as bars.
    Top {
        /// From where.
        source: Source,
        /// One bar a key.
        by: Split,
    },
    /// Bars of stacked parts.
    Bars {
        /// From where.
        source: Source,
        /// One bar a key.
        by: Split,
        /// Its parts.
        stack: Split,
    },
    /// One number.
    Stat {
        /// From where.
        source: Source,
        /// Whether a small line over time is shown.
        spark: bool,
    },
    /// Documents.
    Table {
        /// From where; the value is not used.
        source: SearchSource,
        /// The columns.
        columns: Vec<Column>,
        /// By what to sort, and whether downwards.
        sort: Vec<(String, bool)>,
        /// How many rows at most.
        limit: usize,
    },
    /// Places.
    Map {
        /// From where; the value is not used.
        source: SearchSource,
        /// The field of the longitude, degrees.
        lon: String,
        /// The field of the latitude, degrees.
        lat: String,
        /// Documents with the same value of this field are one place, at the mean of their coordinates.
        by: Option<String>,
        /// The field with a place's name.
        label: Option<String>,
        /// How many places at most.
        limit: usize,
    },
}

impl View {
    /// The kind's name in YAML.
    pub fn kind(&self) -> &'static str {
        match self {
            View::TimeSeries { .. } => "timeseries",
            View::Top { .. } => "top",
            View::Bars { .. } => "bars",
            View::Stat { .. } => "stat",
            View::Table { .. } => "table",
            View::Map { .. } => "map",
        }
    }

    /// What it is read from, where that is search.
    pub fn search(&self) -> Option<&SearchSource> {
        match self {
            View::TimeSeries { source, .. }
            | View::Top { source, .. }
            | View::Bars { source, .. }
            | View::Stat { source, .. } => match source {
                Source::Search(source, _) => Some(source),
                Source::Topics(..) => None,
            },
            View::Table { source, .. } | View::Map { source, .. } => Some(source),
        }
    }

    /// The topics that it is read from.
    pub fn topics(&self) -> &[String] {
        match self {
            View::TimeSeries { source: Source::Topics(topics, _), .. }
            | View::Stat { source: Source::Topics(topics, _), .. } => topics,
            _ => &[],
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// An index, and what is made of its rows.
    Search(SearchSource, Metric),
    /// Topics, all together.
    Topics(Vec<String>, TopicMetric),
}

/// Rows of an index.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchSource {
    /// The index, alias or pattern.
    pub index: String,
    /// A condition in Elasticsearch's query language.
    pub query: Option<Value>,
    /// The field that the time range applies to.
    pub time: Option<TimeField>,
}

/// The field that the time range applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeField {
    /// Its name: a date, or a number of ms since epoch.
    pub field: String,
    /// Whether the range ends at the newest row and not at the clock.
    pub newest: bool,
}

/// What is made of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metric {
    /// How many.
    Count,
    /// The sum of a field.
    Sum(String),
    /// The mean of a field.
    Avg(String),
    /// The greatest of a field.
    Max(String),
    /// The least of a field.
    Min(String),
    /// How many different values a field has (Elasticsearch's `cardinality`, about right for many).
    Distinct(String),
    /// The field of the newest row.
    Last(String),
}

impl Metric {
    /// The field, if there is one.
    pub fn field(&self) -> Option<&str> {
        match self {
            Metric::Count => None,
            Metric::Sum(f) | Metric::Avg(f) | Metric::Max(f) | Metric::Min(f) => Some(f),
            Metric::Distinct(f) | Metric::Last(f) => Some(f),
        }
    }
}

/// What is made of topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicMetric {
    /// Records a second.
    Rate,
    /// Records that can be read (offsets: markers of transactions count too).
    Records,
    /// Time since the newest record was appended.
    Age,
}

/// By which field rows are put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The field.
    pub field: String,
    /// How many keys at most.
    pub limit: usize,
    /// Keys in the order in which to show them; others follow.
    pub order: Vec<String>,
    /// What to show instead of a key.
    pub labels: Option<Labels>,
}

/// Where to look up what to show instead of a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Labels {
    /// The index.
    pub index: String,
    /// The field that holds the key.
    pub key: String,
    /// The field to show.
    pub field: String,
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The field.
    pub field: String,
    /// The heading.
    pub title: String,
    /// Whether a bar stands behind the number.
    pub bar: bool,
    /// How its numbers are written.
    pub format: Format,
    /// What to show instead of a value.
    pub labels: Option<Labels>,
}
