//! The order of hits: what a request asks for, and the keys of documents in one segment.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Value, json};
use tantivy::SegmentReader;
use tantivy::columnar::Column;

use super::output;
use crate::engine::Snapshot;
use crate::error::{EsError, EsResult};
use crate::mapping::{Field, Kind, Mapping, date, plain};
use crate::query::columns::{Strings, Values, open, require_column};

/// One criterion.
#[derive(Debug, Clone)]
pub(crate) struct Sort {
    pub(crate) by: By,
    pub(crate) descending: bool,
    /// `_first`: documents without the field come first.
    missing_first: bool,
    missing: Option<Value>,
    unmapped: bool,
    /// `max`: of several values the greatest counts.
    max: bool,
    format: Option<date::Format>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum By {
    Score,
    /// In the order of the changes.
    Doc,
    Field(String),
}

/// A key: what hits are compared by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Key {
    Missing,
    Int(i64),
    Float(f64),
    /// Twice the ordinal of a string in its segment, plus one; even for what lies before it.
    Ord(u64),
    Text(Arc<str>),
}

/// The default order.
pub(crate) fn by_score() -> Vec<Sort> {
    vec![Sort {
        by: By::Score,
        descending: true,
        missing_first: false,
        missing: None,
        unmapped: false,
        max: true,
        format: None,
    }]
}

/// Reads `sort`: a criterion or an array of them; each `"field"`, `{"field": "desc"}` or `{"field": {"order": ...}}`.
pub(crate) fn parse_sort(json: &Value) -> EsResult<Vec<Sort>> {
    let items = match json {
        Value::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut sorts = Vec::new();
    for item in items {
        match item {
            Value::String(name) => sorts.push(criterion(name, &Value::Null)?),
            Value::Object(members) => {
                for (name, options) in members {
                    sorts.push(criterion(name, options)?);
                }
            }
            _ => {
                return Err(EsError::illegal(
                    "malformed sort format, within the sort array, an object, or an actual string are allowed",
                ));
            }
        }
    }
    Ok(sorts)
}

fn criterion(name: &str, options: &Value) -> EsResult<Sort> {
    let by = match name {
        "_score" => By::Score,
        "_doc" => By::Doc,
        "_geo_distance" | "_script" | "_shard_doc" | "_id" => {
            return Err(EsError::illegal(format!("sorting by [{name}] is not supported")));
        }
        field => By::Field(field.to_owned()),
    };
    let mut sort = Sort {
        descending: by == By::Score,
        by,
        missing_first: false,
        missing: None,
        unmapped: false,
        max: false,
        format: None,
    };
    let order = |text: &str| match text {
        "asc" => Ok(false),
        "desc" => Ok(true),
        other => Err(EsError::illegal(format!("Unknown SortOrder [{other}]"))),
    };
    let mut mode = None;
    match options {
        Value::Null => {}
        Value::String(text) => sort.descending = order(text)?,
        Value::Object(options) => {
            for (key, value) in options {
                let text = plain(value);
                match key.as_str() {
                    "order" => sort.descending = order(&text)?,
                    "missing" if text == "_first" => sort.missing_first = true,
                    "missing" if text == "_last" => {}
                    "missing" => sort.missing = Some(value.clone()),
                    "unmapped_type" => sort.unmapped = true,
                    "mode" if matches!(text.as_str(), "min" | "max") => mode = Some(text == "max"),
                    "format" => sort.format = date::parse_format(&text)?.into_iter().next(),
                    _ => return Err(EsError::illegal(format!("[{key}: {text}] of a sort is not supported"))),
                }
            }
        }
        _ => return Err(EsError::illegal(format!("malformed sort of [{name}]"))),
    }
    sort.max = mode.unwrap_or(sort.descending);
    Ok(sort)
}

/// Compares two keys of one criterion, or of equal segments.
pub(crate) fn compare(sort: &Sort, a: &Key, b: &Key) -> Ordering {
    let order = match (a, b) {
        (Key::Missing, Key::Missing) => return Ordering::Equal,
        (Key::Missing, _) => return if sort.missing_first { Ordering::Less } else { Ordering::Greater },
        (_, Key::Missing) => return if sort.missing_first { Ordering::Greater } else { Ordering::Less },
        (Key::Int(a), Key::Int(b)) => a.cmp(b),
        (Key::Float(a), Key::Float(b)) => a.total_cmp(b),
        (Key::Int(a), Key::Float(b)) => (*a as f64).total_cmp(b),
        (Key::Float(a), Key::Int(b)) => a.total_cmp(&(*b as f64)),
        (Key::Ord(a), Key::Ord(b)) => a.cmp(b),
        (Key::Text(a), Key::Text(b)) => a.cmp(b),
        // Fields of different types in different indices: numbers before strings.
        (Key::Text(_) | Key::Ord(_), _) => Ordering::Greater,
        (_, Key::Text(_) | Key::Ord(_)) => Ordering::Less,
    };
    if sort.descending { order.reverse() } else { order }
}

/// Compares hits by all criteria.
pub(crate) fn compare_all(sorts: &[Sort], a: &[Key], b: &[Key]) -> Ordering {
    sorts
        .iter()
        .zip(a.iter().zip(b))
        .map(|(sort, (a, b))| compare(sort, a, b))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// A key as an answer shows it.
pub(crate) fn show(sort: &Sort, mapping: &Mapping, key: &Key) -> Value {
    let field = match &sort.by {
        By::Field(name) => mapping.get(name),
        _ => None,
    };
    match (key, field.map(|field| field.kind)) {
        // As Elasticsearch: the value that stands where a missing one does. Strings have none.
        (Key::Missing, Some(Kind::Double | Kind::Float | Kind::HalfFloat)) => {
            json!(if sort.missing_first == sort.descending { "Infinity" } else { "-Infinity" })
        }
        (Key::Missing, Some(kind)) if kind != Kind::Keyword => {
            json!(if sort.missing_first == sort.descending { i64::MAX } else { i64::MIN })
        }
        (Key::Int(ms), Some(Kind::Date)) if sort.format.is_some() => {
            json!(date::format(*ms, sort.format.as_ref()))
        }
        (Key::Int(number), _) => json!(number),
        (Key::Float(number), Some(Kind::Float | Kind::HalfFloat)) => output::single(*number),
        (Key::Float(number), None) => output::single(*number),
        (Key::Float(number), _) => output::float(*number),
        (Key::Text(text), _) => json!(&**text),
        (Key::Missing | Key::Ord(_), _) => Value::Null,
    }
}

fn unmapped(name: &str, index: &str) -> EsError {
    EsError::new(400, "query_shard_exception", format!("No mapping found for [{name}] in order to sort on"))
        .with("index", json!(index))
        .on_shard()
}

/// Where the keys of a segment come from.
pub(crate) struct Columns {
    columns: Vec<(Source, Key)>,
    seq: Option<Column<u64>>,
}

enum Source {
    Score,
    Doc,
    Values(Values),
}

impl Columns {
    pub(crate) fn open(
        sorts: &[Sort],
        mapping: &Mapping,
        index: &str,
        snapshot: &Snapshot,
        segment: usize,
        reader: &SegmentReader,
    ) -> EsResult<Columns> {
        let columns = sorts.iter().map(|sort| match &sort.by {
            By::Score => Ok((Source::Score, Key::Missing)),
            By::Doc => Ok((Source::Doc, Key::Missing)),
            By::Field(name) => {
                let Some(field) = mapping.get(name) else {
                    if sort.unmapped {
                        return Ok((Source::Values(Values::None), Key::Missing));
                    }
                    return Err(unmapped(name, index));
                };
                require_column(name, field, index)?;
                let values = open(reader, field)?;
                if sort.missing.is_some() && field.kind == Kind::Keyword {
                    return Err(EsError::illegal(format!(
                        "[missing] of a sort by the keyword field [{name}] is _first or _last here"
                    )));
                }
                let missing = sort.missing.as_ref().map(|value| to_key(field, value, &values)).transpose()?;
                Ok((Source::Values(values), missing.unwrap_or(Key::Missing)))
            }
        });
        let seq = snapshot.stamps.get(segment).map(|stamps| stamps.seq.clone());
        Ok(Columns { columns: columns.collect::<EsResult<_>>()?, seq })
    }

    /// What [`Columns::open`] refuses, without a segment.
    pub(crate) fn check(sorts: &[Sort], mapping: &Mapping, index: &str) -> EsResult<()> {
        for sort in sorts {
            if let By::Field(name) = &sort.by {
                match mapping.get(name) {
                    Some(field) => require_column(name, field, index)?,
                    None if sort.unmapped => {}
                    None => return Err(unmapped(name, index)),
                }
            }
        }
        Ok(())
    }

    /// The sequence number of a document: hits with equal keys come in the order of their changes.
    pub(crate) fn seq(&self, doc: u32) -> u64 {
        self.seq.as_ref().and_then(|seq| seq.first(doc)).unwrap_or_default()
    }

    /// The keys of a document.
    pub(crate) fn keys(&self, sorts: &[Sort], doc: u32, score: f32, keys: &mut Vec<Key>) {
        keys.clear();
        for (sort, (source, missing)) in sorts.iter().zip(&self.columns) {
            let key = match source {
                Source::Score => Some(Key::Float(score.into())),
                Source::Doc => Some(Key::Int(self.seq(doc) as i64)),
                Source::Values(Values::None) => None,
                Source::Values(Values::Ints(column)) => one(column, doc, sort.max).map(Key::Int),
                Source::Values(Values::Floats(column)) => one(column, doc, sort.max).map(Key::Float),
                Source::Values(Values::Strings(strings)) => {
                    one(&strings.ords, doc, sort.max).map(|ord| Key::Ord(2 * ord + 1))
                }
            };
            keys.push(key.unwrap_or_else(|| missing.clone()));
        }
    }

    /// The keys a `search_after` names, as this segment has them.
    pub(crate) fn after(&self, sorts: &[Sort], mapping: &Mapping, values: &[Value]) -> EsResult<Vec<Key>> {
        let keys = sorts.iter().zip(&self.columns).zip(values).map(|((sort, (source, _)), value)| {
            if value.is_null() {
                return Ok(Key::Missing);
            }
            match (&sort.by, source) {
                (By::Field(name), Source::Values(column)) => match mapping.get(name) {
                    Some(field) => to_key(field, value, column),
                    None => Ok(Key::Missing),
                },
                _ => value.as_f64().map(Key::Float).ok_or_else(|| {
                    EsError::illegal(format!(
                        "Failed to parse search_after value for field [_score]: [{value}]"
                    ))
                }),
            }
        });
        keys.collect()
    }

    /// Keys that do not depend on the segment.
    pub(crate) fn resolve(&self, keys: &[Key]) -> EsResult<Vec<Key>> {
        let resolved = keys.iter().zip(&self.columns).map(|(key, (source, _))| match (key, source) {
            (Key::Ord(ord), Source::Values(Values::Strings(strings))) => text(strings, *ord),
            (key, _) => Ok(key.clone()),
        });
        resolved.collect()
    }
}

fn text(strings: &Strings, ord: u64) -> EsResult<Key> {
    Ok(Key::Text(strings.get(ord / 2)?.into()))
}

fn one<T>(column: &Column<T>, doc: u32, max: bool) -> Option<T>
where
    T: PartialOrd + Copy + std::fmt::Debug + Send + Sync + 'static,
{
    column.values_for_doc(doc).reduce(|a, b| if (b > a) == max { b } else { a })
}

/// A value of the request as a key of this segment.
fn to_key(field: &Field, value: &Value, column: &Values) -> EsResult<Key> {
    let shown = plain(value);
    if matches!(shown.as_str(), "9223372036854775807" | "-9223372036854775808" | "Infinity" | "-Infinity")
        && field.kind != Kind::Keyword
    {
        return Ok(Key::Missing);
    }
    let wrong = || {
        EsError::illegal(format!(
            "Failed to parse sort value [{shown}] for a field of type [{}]",
            field.kind.name()
        ))
        .on_shard()
    };
    Ok(match field.kind {
        Kind::Date => Key::Int(match value.as_i64() {
            Some(ms) => ms,
            None => {
                date::parse_math(&shown, &field.formats, date::now(), false, 0).map_err(EsError::on_shard)?
            }
        }),
        Kind::Boolean => Key::Int(i64::from(shown == "true" || shown == "1")),
        Kind::Keyword => match column {
            Values::Strings(strings) => match strings.find(&shown)? {
                Some(ord) => Key::Ord(2 * ord + 1),
                None => Key::Ord(2 * strings.lower(&shown)?),
            },
            // No document here has the field.
            _ => Key::Ord(0),
        },
        _ => match shown.parse::<i64>() {
            Ok(whole) if !matches!(field.kind, Kind::Double | Kind::Float | Kind::HalfFloat) => {
                Key::Int(whole)
            }
            _ => Key::Float(shown.parse().map_err(|_| wrong())?),
        },
    })
}

/// Whether hits are compared by their score.
pub(crate) fn needs_score(sorts: &[Sort]) -> bool {
    sorts.iter().any(|sort| sort.by == By::Score)
}

/// The members of a request that only sorting understands.
pub(crate) fn check_after(sorts: &[Sort], after: &Value) -> EsResult<Vec<Value>> {
    let Value::Array(values) = after else {
        return Err(EsError::parsing("Expected [START_ARRAY] in [search_after]"));
    };
    if values.is_empty() {
        return Err(EsError::illegal("Values must contains at least one value."));
    }
    if values.len() != sorts.len() {
        return Err(EsError::illegal(format!(
            "search_after has {} value(s) but sort has {}.",
            values.len(),
            sorts.len()
        ))
        .on_shard());
    }
    Ok(values.clone())
}
