//! Queries of analysed text.

use serde_json::{Map, Value};
use tantivy::Term;
use tantivy::query::{BooleanQuery, EmptyQuery, Occur, PhraseQuery, Query, TermQuery};
use tantivy::schema::IndexRecordOption;

use super::compound::minimum_should_match;
use super::leaf::{exact, string_term};
use super::{Options, QueryContext, single};
use crate::engine::analysis;
use crate::error::{EsError, EsResult};
use crate::mapping::{Kind, plain};

/// `{"field": "text"}` or `{"field": {"query": "text", ...}}`.
fn unfold<'a>(
    query: &str,
    body: &'a Map<String, Value>,
    known: &[&str],
) -> EsResult<(&'a str, &'a Value, Options)> {
    let (name, value) = single(query, body)?;
    let Value::Object(inner) = value else { return Ok((name, value, Options::default())) };
    let mut all = vec!["query"];
    all.extend(known);
    let options = Options::take(query, inner, &all)?;
    let text = inner.get("query").ok_or_else(|| EsError::parsing("No text specified for text query"))?;
    Ok((name, text, options))
}

pub(super) fn matching(context: QueryContext<'_>, body: &Map<String, Value>) -> EsResult<Box<dyn Query>> {
    let known = ["operator", "minimum_should_match", "analyzer", "lenient", "zero_terms_query"];
    let (name, text, options) = unfold("match", body, &known)?;
    let given = |key: &str| body.get(name).and_then(|inner| inner.get(key));
    for (key, default) in [("analyzer", "standard"), ("lenient", "false"), ("zero_terms_query", "none")] {
        if given(key).is_some_and(|value| plain(value) != default) {
            return Err(EsError::illegal(format!("[{key}] of a [match] query is not supported")));
        }
    }
    let all = match given("operator").map(|operator| plain(operator).to_lowercase()).as_deref() {
        Some("and") => true,
        None | Some("or") => false,
        Some(other) => {
            return Err(EsError::illegal(format!(
                "operator needs to be either OR or AND, but not [{other}]"
            )));
        }
    };
    let Some(field) = context.mapping.get(name) else { return Ok(Box::new(EmptyQuery)) };
    if field.kind != Kind::Text {
        return Ok(options.boost(exact(context, name, field, text)?));
    }
    let terms = analysis::terms(&plain(text));
    let clauses: Vec<(Occur, Box<dyn Query>)> = terms
        .iter()
        .map(|(_, word)| {
            let term = string_term(context, field, word);
            let query: Box<dyn Query> = Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs));
            (if all { Occur::Must } else { Occur::Should }, query)
        })
        .collect();
    if clauses.is_empty() {
        return Ok(Box::new(EmptyQuery));
    }
    let minimum = match given("minimum_should_match") {
        Some(value) if !all => minimum_should_match(value, clauses.len())?.max(1),
        _ => usize::from(!all),
    };
    Ok(options.boost(Box::new(BooleanQuery::with_minimum_required_clauses(clauses, minimum))))
}

pub(super) fn phrase(context: QueryContext<'_>, body: &Map<String, Value>) -> EsResult<Box<dyn Query>> {
    let (name, text, options) = unfold("match_phrase", body, &["slop"])?;
    let slop = body.get(name).and_then(|inner| inner.get("slop")).and_then(Value::as_u64).unwrap_or(0);
    let Some(field) = context.mapping.get(name) else { return Ok(Box::new(EmptyQuery)) };
    if field.kind != Kind::Text {
        return Ok(options.boost(exact(context, name, field, text)?));
    }
    let terms: Vec<(usize, Term)> = analysis::terms(&plain(text))
        .into_iter()
        .map(|(position, word)| (position, string_term(context, field, &word)))
        .collect();
    let query: Box<dyn Query> = match terms.len() {
        0 => Box::new(EmptyQuery),
        1 => {
            let term = terms.into_iter().next().map(|(_, term)| term);
            term.map_or(Box::new(EmptyQuery) as Box<dyn Query>, |term| {
                Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
            })
        }
        _ => Box::new(PhraseQuery::new_with_offset_and_slop(terms, u32::try_from(slop).unwrap_or(u32::MAX))),
    };
    Ok(options.boost(query))
}
