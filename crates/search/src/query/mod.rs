//! Elasticsearch's query DSL as tantivy queries.
//!
//! Exact strings and text go by the inverted index; numbers, dates, ranges and `exists` by columns, read in order. Scores are
//! BM25 as tantivy computes it, near Elasticsearch's and not equal; a clause in filter context scores nothing.

pub(crate) mod columns;
mod compound;
mod filter;
mod leaf;
mod range;
mod text;

use serde_json::{Map, Value};
use tantivy::query::{AllQuery, BoostQuery, ConstScoreQuery, EmptyQuery, Query};

use crate::engine::schema::Fields;
use crate::error::{EsError, EsResult};
use crate::mapping::Mapping;

/// Queries may lie so deep in one another (`indices.query.bool.max_nested_depth`).
const MAX_DEPTH: usize = 30;
/// Most clauses of a bool query, and half of the most terms of a terms query.
const MAX_CLAUSES: usize = 32_768;

/// What a query is read by.
#[derive(Clone, Copy)]
pub(crate) struct QueryContext<'a> {
    pub(crate) mapping: &'a Mapping,
    pub(crate) fields: &'a Fields,
    pub(crate) index: &'a str,
    /// `now` of date math, ms since 1970.
    pub(crate) now: i64,
    pub(crate) depth: usize,
}

/// Reads a query: `{"term": {...}}`.
pub(crate) fn parse(context: QueryContext<'_>, json: &Value) -> EsResult<Box<dyn Query>> {
    let context = QueryContext { depth: context.depth + 1, ..context };
    if context.depth > MAX_DEPTH {
        return Err(EsError::illegal(format!(
            "The nested depth of the query exceeds the maximum nested depth for bool queries set in \
             [indices.query.bool.max_nested_depth]: [{MAX_DEPTH}]"
        )));
    }
    let Value::Object(members) = json else {
        return Err(EsError::parsing("[_na] query malformed, must start with start_object"));
    };
    let mut members = members.iter();
    let Some((name, body)) = members.next() else {
        return Err(EsError::illegal("query malformed, empty clause found"));
    };
    if members.next().is_some() {
        return Err(EsError::parsing(format!(
            "[{name}] malformed query, expected [END_OBJECT] but found [FIELD_NAME]"
        )));
    }
    let Value::Object(body) = body else {
        return Err(EsError::parsing(format!("[{name}] query malformed, no start_object after query name")));
    };
    match name.as_str() {
        "match_all" => {
            let options = Options::take(name, body, &[])?;
            Ok(options.boost(Box::new(AllQuery)))
        }
        "match_none" => {
            Options::take(name, body, &[])?;
            Ok(Box::new(EmptyQuery))
        }
        "bool" => compound::bool(context, body),
        "constant_score" => compound::constant_score(context, body),
        "term" => leaf::term(context, body),
        "terms" => leaf::terms(context, body),
        "ids" => leaf::ids(context, body),
        "exists" => leaf::exists(context, body),
        "prefix" => leaf::prefix(context, body),
        "wildcard" => leaf::wildcard(context, body),
        "range" => range::range(context, body),
        "match" => text::matching(context, body),
        "match_phrase" => text::phrase(context, body),
        known if KNOWN.contains(&known) => {
            Err(EsError::illegal(format!("[{known}] query is not supported by this server")))
        }
        unknown => {
            let cause = EsError::new(
                400,
                "named_object_not_found_exception",
                format!("[1:1] unknown field [{unknown}]"),
            );
            Err(EsError::parsing(format!("unknown query [{unknown}]")).because(cause))
        }
    }
}

/// Queries of Elasticsearch that are not done here.
const KNOWN: &[&str] = &[
    "boosting",
    "combined_fields",
    "dis_max",
    "distance_feature",
    "function_score",
    "fuzzy",
    "geo_bounding_box",
    "geo_distance",
    "geo_grid",
    "geo_polygon",
    "geo_shape",
    "has_child",
    "has_parent",
    "intervals",
    "knn",
    "match_bool_prefix",
    "match_phrase_prefix",
    "more_like_this",
    "multi_match",
    "nested",
    "parent_id",
    "percolate",
    "pinned",
    "query_string",
    "rank_feature",
    "regexp",
    "rule",
    "script",
    "script_score",
    "semantic",
    "shape",
    "simple_query_string",
    "span_containing",
    "span_first",
    "span_multi",
    "span_near",
    "span_not",
    "span_or",
    "span_term",
    "span_within",
    "sparse_vector",
    "term_set",
    "terms_set",
    "weighted_tokens",
    "wrapper",
];

/// What every query may have: `boost` and `_name`.
#[derive(Default)]
pub(super) struct Options {
    pub(super) boost: Option<f32>,
}

impl Options {
    /// Takes them, refusing every key that is neither these nor `known`.
    pub(super) fn take(query: &str, body: &Map<String, Value>, known: &[&str]) -> EsResult<Options> {
        let mut options = Options::default();
        for (key, value) in body {
            match key.as_str() {
                "boost" => options.boost = Some(boost(query, value)?),
                "_name" => {
                    return Err(EsError::illegal(format!("[_name] of a [{query}] query is not supported")));
                }
                key if known.contains(&key) => {}
                key => return Err(EsError::parsing(format!("[{query}] query does not support [{key}]"))),
            }
        }
        Ok(options)
    }

    pub(super) fn boost(&self, query: Box<dyn Query>) -> Box<dyn Query> {
        match self.boost {
            Some(boost) if boost != 1.0 => Box::new(BoostQuery::new(query, boost)),
            _ => query,
        }
    }

    /// The query with a score of 1, or the boost, for every match.
    pub(super) fn constant(&self, query: Box<dyn Query>) -> Box<dyn Query> {
        Box::new(ConstScoreQuery::new(query, self.boost.unwrap_or(1.0)))
    }
}

pub(super) fn boost(query: &str, value: &Value) -> EsResult<f32> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    number.map(|number| number as f32).filter(|boost| *boost >= 0.0).ok_or_else(|| {
        EsError::illegal(format!("negative [boost] or no number: [{value}] in [{query}] query"))
    })
}

/// The single field of `{"field": ...}` queries.
pub(super) fn single<'a>(query: &str, body: &'a Map<String, Value>) -> EsResult<(&'a str, &'a Value)> {
    let mut members = body.iter();
    let Some((field, value)) = members.next() else {
        return Err(EsError::illegal("fieldName must not be null or empty".to_owned()));
    };
    if let Some((second, _)) = members.next() {
        return Err(EsError::parsing(format!(
            "[{query}] query doesn't support multiple fields, found [{field}] and [{second}]"
        )));
    }
    Ok((field, value))
}
