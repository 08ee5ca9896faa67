//! Aggregations on the columns of one segment.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tantivy::query::EnableScoring;
use tantivy::{BitSet, SegmentReader};

use super::{Agg, Aggs, Kind, Source};
use crate::engine::Snapshot;
use crate::error::{EsError, EsResult};
use crate::find::Columns;
use crate::mapping::{self, date, plain};
use crate::query::columns::{Values, open, require_column};
use crate::query::{self, QueryContext};

/// A segment, and what is needed to read it.
#[derive(Clone, Copy)]
pub(crate) struct Segment<'a> {
    pub(crate) reader: &'a SegmentReader,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) query: QueryContext<'a>,
    /// The index, as the search counts them, and the segment in it.
    pub(crate) index: usize,
    pub(crate) segment: u32,
}

/// An aggregation bound to a segment.
pub(crate) struct Bound<'a> {
    pub(super) agg: &'a Agg,
    pub(super) input: Input,
    pub(super) subs: Vec<Bound<'a>>,
    pub(super) place: (usize, u32),
    /// Strings that were looked up.
    pub(super) texts: RefCell<HashMap<u64, Arc<str>>>,
}

/// What it reads.
pub(super) enum Input {
    Values(Column),
    /// Documents by bucket.
    Documents(Vec<BitSet>),
    Hits(Columns),
}

pub(super) struct Column {
    pub(super) values: Values,
    /// What documents without the field count as.
    pub(super) missing: Option<Single>,
    /// Ends of ranges: from, to.
    pub(super) ranges: Vec<(f64, f64)>,
}

/// One value.
#[derive(Debug, Clone)]
pub(super) enum Single {
    Int(i64),
    Float(f64),
    Text(Arc<str>),
}

/// Binds aggregations to a segment.
pub(crate) fn bind<'a>(aggs: &'a Aggs, segment: Segment<'_>) -> EsResult<Vec<Bound<'a>>> {
    aggs.0
        .iter()
        .map(|(name, agg)| {
            Ok(Bound {
                agg,
                input: input(name, &agg.kind, segment)?,
                subs: bind(&agg.subs, segment)?,
                place: (segment.index, segment.segment),
                texts: RefCell::default(),
            })
        })
        .collect()
}

fn input(name: &str, kind: &Kind, segment: Segment<'_>) -> EsResult<Input> {
    let documents = |queries: &[&Value]| -> EsResult<Input> {
        Ok(Input::Documents(queries.iter().map(|query| matching(query, segment)).collect::<EsResult<_>>()?))
    };
    Ok(match kind {
        Kind::Filter(filter) => documents(&[filter])?,
        Kind::Filters { filters, .. } => {
            documents(&filters.iter().map(|(_, query)| query).collect::<Vec<_>>())?
        }
        Kind::Missing(field) => documents(&[&json!({"bool": {"must_not": {"exists": {"field": field}}}})])?,
        Kind::TopHits(hits) => Input::Hits(Columns::open(
            &hits.sorts,
            segment.query.mapping,
            segment.query.index,
            segment.snapshot,
            segment.segment as usize,
            segment.reader,
        )?),
        Kind::Range(range) => {
            let mut column = column(name, "range", true, &range.source, segment)?;
            for one in &range.ranges {
                let end = |value: &Option<Value>, open: f64| match value {
                    None => Ok(open),
                    Some(value) => range_end(value, range.dates, &range.source, segment),
                };
                column.ranges.push((end(&one.from, f64::NEG_INFINITY)?, end(&one.to, f64::INFINITY)?));
            }
            Input::Values(column)
        }
        Kind::Terms(terms) => Input::Values(column(name, "terms", false, &terms.source, segment)?),
        Kind::Histogram(histogram) => {
            let kind = if histogram.dates { "date_histogram" } else { "histogram" };
            Input::Values(column(name, kind, true, &histogram.source, segment)?)
        }
        Kind::Metric(metric, source) => {
            let (kind, numeric) = match metric {
                super::Metric::Sum => ("sum", true),
                super::Metric::Avg => ("avg", true),
                super::Metric::Min => ("min", true),
                super::Metric::Max => ("max", true),
                super::Metric::Stats => ("stats", true),
                super::Metric::ValueCount => ("value_count", false),
            };
            Input::Values(column(name, kind, numeric, source, segment)?)
        }
        Kind::Cardinality { source, .. } => {
            Input::Values(column(name, "cardinality", false, source, segment)?)
        }
        Kind::Percentiles { source, .. } => {
            Input::Values(column(name, "percentiles", true, source, segment)?)
        }
    })
}

/// The end of a range: a number, or a date.
pub(super) fn range_end(value: &Value, dates: bool, source: &Source, segment: Segment<'_>) -> EsResult<f64> {
    let text = plain(value);
    if dates {
        let formats = match (&source.format, segment.query.mapping.get(&source.field)) {
            (Some(format), _) => date::parse_format(format)?,
            (None, Some(field)) if !field.formats.is_empty() => field.formats.clone(),
            _ => date::parse_format(date::DEFAULT)?,
        };
        return date::parse_math(&text, &formats, segment.query.now, false, 0).map(|ms| ms as f64);
    }
    text.parse().map_err(|_| EsError::illegal(format!("the end [{text}] of a range is not a number")))
}

fn column(name: &str, kind: &str, numeric: bool, source: &Source, segment: Segment<'_>) -> EsResult<Column> {
    let Some(field) = segment.query.mapping.get(&source.field) else {
        return Ok(Column { values: Values::None, missing: None, ranges: Vec::new() });
    };
    require_column(&source.field, field, segment.query.index)?;
    if numeric && field.kind == mapping::Kind::Keyword {
        return Err(EsError::illegal(format!(
            "Field [{}] of type [keyword] is not supported for aggregation [{kind}]",
            source.field
        ))
        .on_shard());
    }
    let values = open(segment.reader, field)?;
    let missing =
        source.missing.as_ref().map(|value| single(name, field, value, segment.query.now)).transpose()?;
    Ok(Column { values, missing, ranges: Vec::new() })
}

fn single(name: &str, field: &mapping::Field, value: &Value, now: i64) -> EsResult<Single> {
    let text = plain(value);
    let wrong =
        || EsError::illegal(format!("[missing] of aggregation [{name}] does not fit its field: [{text}]"));
    Ok(match field.kind {
        mapping::Kind::Keyword => Single::Text(text.as_str().into()),
        mapping::Kind::Boolean => Single::Int(i64::from(text == "true")),
        mapping::Kind::Date => Single::Int(date::parse_math(&text, &field.formats, now, false, 0)?),
        mapping::Kind::Double | mapping::Kind::Float | mapping::Kind::HalfFloat => {
            Single::Float(text.parse().map_err(|_| wrong())?)
        }
        _ => Single::Int(text.parse::<f64>().map_err(|_| wrong())? as i64),
    })
}

/// The documents of a segment that a query matches.
fn matching(json: &Value, segment: Segment<'_>) -> EsResult<BitSet> {
    let query = query::parse(segment.query, json)?;
    let weight = query.weight(EnableScoring::disabled_from_searcher(&segment.snapshot.searcher))?;
    let mut found = BitSet::with_max_value(segment.reader.max_doc());
    weight.for_each_no_score(segment.reader, &mut |docs| {
        for doc in docs {
            found.insert(*doc);
        }
    })?;
    Ok(found)
}
