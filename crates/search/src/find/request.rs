//! What a search asks for.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::sort::{Sort, by_score, check_after, needs_score, parse_sort};
use super::source::{SourceFilter, parse_source};
use crate::agg::{Aggs, parse as parse_aggs};
use crate::error::{EsError, EsResult};
use crate::mapping::plain;

/// Most documents that `from` and `size` reach (`index.max_result_window`).
const MAX_WINDOW: usize = 10_000;

/// A search.
pub(crate) struct Request {
    pub(crate) query: Option<Value>,
    pub(crate) post_filter: Option<Value>,
    pub(crate) from: usize,
    pub(crate) size: usize,
    pub(crate) sorts: Vec<Sort>,
    /// The request names an order: hits show their keys.
    pub(crate) sorted: bool,
    pub(crate) after: Option<Vec<Value>>,
    pub(crate) source: SourceFilter,
    /// Hits are counted up to here; none: not at all.
    pub(crate) track_total: Option<u64>,
    pub(crate) track_scores: bool,
    pub(crate) min_score: Option<f32>,
    pub(crate) version: bool,
    pub(crate) seq_no: bool,
    pub(crate) fields: Vec<String>,
    pub(crate) aggs: Aggs,
    pub(crate) typed_keys: bool,
}

fn whole(key: &str, value: &Value) -> EsResult<usize> {
    let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let number = number
        .ok_or_else(|| EsError::parsing(format!("[{key}] must be a number, was [{}]", plain(value))))?;
    usize::try_from(number)
        .map_err(|_| EsError::illegal(format!("[{key}] parameter cannot be negative but was [{number}]")))
}

fn flag(key: &str, value: &Value) -> EsResult<bool> {
    match plain(value).as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(EsError::illegal(format!(
            "Failed to parse value [{other}] of [{key}] as only [true] or [false] are allowed."
        ))),
    }
}

impl Default for Request {
    fn default() -> Self {
        Request {
            query: None,
            post_filter: None,
            from: 0,
            size: 10,
            sorts: by_score(),
            sorted: false,
            after: None,
            source: SourceFilter::All,
            track_total: Some(10_000),
            track_scores: false,
            min_score: None,
            version: false,
            seq_no: false,
            fields: Vec::new(),
            aggs: Aggs::default(),
            typed_keys: false,
        }
    }
}

impl Request {
    /// Reads body and parameters of a search.
    pub(crate) fn parse(body: &Value, params: &BTreeMap<String, String>) -> EsResult<Request> {
        let mut request = Request::default();
        let mut after = None;
        let empty = Map::new();
        let body = match body {
            Value::Null => &empty,
            Value::Object(body) => body,
            _ => return Err(EsError::parsing("Expected [START_OBJECT] but found another token")),
        };
        for (key, value) in body {
            if key == "search_after" {
                after = Some(value);
            } else {
                request.member(key, value)?;
            }
        }
        for (key, value) in params {
            request.param(key, value)?;
        }
        if let Some(after) = after {
            if request.from > 0 {
                return Err(EsError::validation(
                    "`from` parameter must be set to 0 when `search_after` is used",
                ));
            }
            request.after = Some(check_after(&request.sorts, after)?);
        }
        if request.from + request.size > MAX_WINDOW {
            return Err(EsError::illegal(format!(
                "Result window is too large, from + size must be less than or equal to: [{MAX_WINDOW}] but was [{}]. See the scroll api \
                 for a more efficient way to request large data sets. This limit can be set by changing the [index.max_result_window] \
                 index level setting.",
                request.from + request.size
            ))
            .on_shard());
        }
        Ok(request)
    }

    fn member(&mut self, key: &str, value: &Value) -> EsResult<()> {
        match key {
            "query" => self.query = Some(value.clone()),
            "post_filter" => self.post_filter = Some(value.clone()),
            "from" => self.from = whole(key, value)?,
            "size" => self.size = whole(key, value)?,
            "sort" => {
                self.sorts = parse_sort(value)?;
                self.sorted = !self.sorts.is_empty();
                if self.sorts.is_empty() {
                    self.sorts = by_score();
                }
            }
            "_source" => self.source = parse_source(value)?,
            "track_total_hits" => self.track_total = track_total(value)?,
            "track_scores" => self.track_scores = flag(key, value)?,
            "min_score" => self.min_score = value.as_f64().map(|score| score as f32),
            "version" => self.version = flag(key, value)?,
            "seq_no_primary_term" => self.seq_no = flag(key, value)?,
            "fields" | "docvalue_fields" => self.fields = fields(key, value)?,
            "aggs" | "aggregations" => self.aggs = parse_aggs(value)?,
            // One process answers at once, or not.
            "timeout" | "terminate_after" if key == "timeout" || value == &Value::from(0) => {}
            "collapse" | "explain" | "ext" | "highlight" | "indices_boost" | "knn" | "pit" | "profile"
            | "rank" | "rescore" | "retriever" | "runtime_mappings" | "script_fields" | "slice" | "stats"
            | "stored_fields" | "suggest" | "terminate_after" => {
                return Err(EsError::illegal(format!("[{key}] of a search is not supported by this server")));
            }
            _ => {
                let start = if value.is_array() {
                    "START_ARRAY"
                } else if value.is_object() {
                    "START_OBJECT"
                } else {
                    "VALUE"
                };
                return Err(EsError::parsing(format!("Unknown key for a {start} in [{key}].")));
            }
        }
        Ok(())
    }

    fn param(&mut self, key: &str, text: &str) -> EsResult<()> {
        let value = Value::from(text);
        match key {
            "from" | "size" | "track_total_hits" | "track_scores" | "version" | "seq_no_primary_term" => {
                self.member(key, &value)?;
            }
            "sort" => {
                let sorts: Vec<Value> = text
                    .split(',')
                    .map(|part| match part.rsplit_once(':') {
                        Some((field, order)) => serde_json::json!({field: order}),
                        None => Value::from(part),
                    })
                    .collect();
                self.member("sort", &Value::Array(sorts))?;
            }
            "_source" if matches!(text, "true" | "false") => {
                self.source = parse_source(&Value::Bool(text == "true"))?
            }
            "_source" | "_source_includes" | "_source_excludes" => {
                let list: Vec<String> = text.split(',').map(str::to_owned).collect();
                let (mut includes, mut excludes) = match &self.source {
                    SourceFilter::Paths { includes, excludes } => (includes.clone(), excludes.clone()),
                    _ => (Vec::new(), Vec::new()),
                };
                if key == "_source_excludes" {
                    excludes = list
                } else {
                    includes = list
                }
                self.source = SourceFilter::Paths { includes, excludes };
            }
            "typed_keys" => self.typed_keys = text != "false",
            "q" => return Err(EsError::illegal("[q]: query strings are not supported by this server")),
            _ => {}
        }
        Ok(())
    }

    /// Whether documents must be scored.
    pub(crate) fn scores(&self) -> bool {
        (self.size + self.from > 0 && (needs_score(&self.sorts) || self.track_scores))
            || self.min_score.is_some()
            || self.aggs.need_scores()
    }
}

fn track_total(value: &Value) -> EsResult<Option<u64>> {
    match plain(value).as_str() {
        "true" => Ok(Some(u64::MAX)),
        "false" => Ok(None),
        number => match number.parse::<i64>() {
            Ok(-1) => Ok(None),
            Ok(limit) if limit >= 0 => Ok(Some(limit.unsigned_abs())),
            _ => Err(EsError::illegal(format!(
                "[track_total_hits] parameter must be positive or equals to -1, got {number}"
            ))),
        },
    }
}

fn fields(key: &str, value: &Value) -> EsResult<Vec<String>> {
    let refuse = || {
        EsError::illegal(format!("[{key}] must be an array of field names; objects may have [field] only"))
    };
    let items = value.as_array().ok_or_else(refuse)?;
    items
        .iter()
        .map(|item| match item {
            Value::String(name) => Ok(name.clone()),
            Value::Object(members) if members.len() == 1 => {
                members.get("field").and_then(Value::as_str).map(str::to_owned).ok_or_else(refuse)
            }
            _ => Err(refuse()),
        })
        .collect()
}

/// Reads the body of a count: only a query.
pub(crate) fn count_request(body: &Value) -> EsResult<Request> {
    let mut request = Request { size: 0, ..Request::default() };
    for (key, value) in body.as_object().into_iter().flatten() {
        if key != "query" {
            return Err(EsError::parsing(format!("request does not support [{key}]")));
        }
        request.query = Some(value.clone());
    }
    Ok(request)
}
