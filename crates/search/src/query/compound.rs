//! Queries of queries.

use serde_json::{Map, Value};
use tantivy::query::{AllQuery, BooleanQuery, ConstScoreQuery, Occur, Query};

use super::{MAX_CLAUSES, Options, QueryContext, parse};
use crate::error::{EsError, EsResult};

fn clauses(context: QueryContext<'_>, value: &Value) -> EsResult<Vec<Box<dyn Query>>> {
    match value {
        Value::Array(items) => items.iter().map(|item| parse(context, item)).collect(),
        one => Ok(vec![parse(context, one)?]),
    }
}

pub(super) fn bool(context: QueryContext<'_>, body: &Map<String, Value>) -> EsResult<Box<dyn Query>> {
    let known = ["must", "filter", "should", "must_not", "mustNot", "minimum_should_match"];
    let options = Options::take("bool", body, &known)?;
    let mut queries: Vec<(Occur, Box<dyn Query>)> = Vec::new();
    let (mut should, mut required, mut scored) = (0usize, false, false);
    for (key, value) in body {
        let occur = match key.as_str() {
            "must" | "filter" => Occur::Must,
            "should" => Occur::Should,
            "must_not" | "mustNot" => Occur::MustNot,
            _ => continue,
        };
        for query in clauses(context, value)? {
            scored |= matches!(key.as_str(), "must" | "should");
            required |= occur == Occur::Must;
            should += usize::from(occur == Occur::Should);
            let query: Box<dyn Query> =
                if key == "filter" { Box::new(ConstScoreQuery::new(query, 0.0)) } else { query };
            queries.push((occur, query));
        }
    }
    if queries.len() > MAX_CLAUSES {
        return Err(EsError::new(400, "too_many_clauses", format!("maxClauseCount is set to {MAX_CLAUSES}")));
    }
    if queries.is_empty() {
        return Ok(options.boost(Box::new(AllQuery)));
    }
    let minimum = match body.get("minimum_should_match") {
        Some(value) => minimum_should_match(value, should)?,
        None => usize::from(!required && should > 0),
    };
    if minimum > should {
        return Ok(Box::new(tantivy::query::EmptyQuery));
    }
    if !required && minimum == 0 {
        // Nothing else says what matches.
        let score = if scored { 1.0 } else { 0.0 };
        let all: Box<dyn Query> = if should > 0 {
            Box::new(ConstScoreQuery::new(Box::new(AllQuery), 0.0))
        } else {
            Box::new(ConstScoreQuery::new(Box::new(AllQuery), score))
        };
        queries.push((Occur::Must, all));
    }
    Ok(options.boost(Box::new(BooleanQuery::with_minimum_required_clauses(queries, minimum))))
}

/// `2`, `-1`, `75%`, `-25%` of so many optional clauses.
pub(super) fn minimum_should_match(value: &Value, clauses: usize) -> EsResult<usize> {
    let text = crate::mapping::plain(value);
    let invalid = || {
        EsError::illegal(format!(
            "minimum_should_match [{text}] is not supported: use a number or a percentage"
        ))
    };
    let total = i64::try_from(clauses).map_err(|_| invalid())?;
    let wanted = match text.trim().strip_suffix('%') {
        Some(percent) => {
            let percent: i64 = percent.parse().map_err(|_| invalid())?;
            let part = total.saturating_mul(percent.abs()) / 100;
            if percent < 0 { total - part } else { part }
        }
        None => {
            let number: i64 = text.trim().parse().map_err(|_| invalid())?;
            if number < 0 { total.saturating_add(number) } else { number }
        }
    };
    usize::try_from(wanted.max(0)).map_err(|_| invalid())
}

pub(super) fn constant_score(
    context: QueryContext<'_>,
    body: &Map<String, Value>,
) -> EsResult<Box<dyn Query>> {
    let options = Options::take("constant_score", body, &["filter"])?;
    let filter =
        body.get("filter").ok_or_else(|| EsError::parsing("[constant_score] requires a 'filter' element"))?;
    Ok(options.constant(parse(context, filter)?))
}
