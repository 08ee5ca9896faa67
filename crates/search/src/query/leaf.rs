//! Queries of exact values.

use serde_json::{Map, Value};
use tantivy::Term;
use tantivy::query::{BooleanQuery, EmptyQuery, Occur, Query, TermQuery, TermSetQuery};
use tantivy::schema::IndexRecordOption;

use super::filter::{ColumnQuery, Test};
use super::{MAX_CLAUSES, Options, QueryContext, boost, single};
use crate::error::{EsError, EsResult};
use crate::mapping::{ColumnKind, Field, Kind, date, plain};

/// The term of an exact string.
pub(super) fn string_term(context: QueryContext<'_>, field: &Field, text: &str) -> Term {
    let json = if field.kind == Kind::Text { context.fields.text } else { context.fields.strings };
    let mut term = Term::from_field_json_path(json, &field.id.to_string(), false);
    term.append_type_and_str(text);
    term
}

/// The value of a query as a field of whole numbers has it; none if no document can have it.
fn whole(context: QueryContext<'_>, name: &str, field: &Field, value: &Value) -> EsResult<Option<i64>> {
    match field.kind {
        Kind::Boolean => match plain(value).as_str() {
            "true" => Ok(Some(1)),
            "false" | "" => Ok(Some(0)),
            other => Err(EsError::illegal(format!(
                "Can't parse boolean value [{other}], expected [true] or [false]"
            ))
            .on_shard()),
        },
        Kind::Date => date::parse_math(&plain(value), &field.formats, context.now, false, 0)
            .map(Some)
            .map_err(EsError::on_shard),
        _ => {
            let text = plain(value);
            let number: f64 = text.trim().parse().map_err(|_| not_number(name, context, &text))?;
            if let Ok(whole) = text.trim().parse::<i64>() {
                return Ok(Some(whole));
            }
            Ok((number.fract() == 0.0 && number.abs() < 9.2e18).then_some(number as i64))
        }
    }
}

pub(super) fn not_number(_name: &str, context: QueryContext<'_>, text: &str) -> EsError {
    let cause = EsError::new(400, "number_format_exception", format!("For input string: \"{text}\""));
    EsError::new(
        400,
        "query_shard_exception",
        format!("failed to create query: For input string: \"{text}\""),
    )
    .with("index", context.index.into())
    .because(cause)
    .on_shard()
}

/// A number as a column of this field has it.
pub(super) fn float(field: &Field, number: f64) -> f64 {
    if matches!(field.kind, Kind::Float | Kind::HalfFloat) { f64::from(number as f32) } else { number }
}

/// One exact value of a field.
pub(super) fn exact(
    context: QueryContext<'_>,
    name: &str,
    field: &Field,
    value: &Value,
) -> EsResult<Box<dyn Query>> {
    if value.is_object() || value.is_array() {
        return Err(EsError::parsing("[term] query does not support array of values".to_owned()));
    }
    if value.is_null() {
        return Err(EsError::illegal("value cannot be null"));
    }
    Ok(match field.kind.column() {
        ColumnKind::Strings => {
            Box::new(TermQuery::new(string_term(context, field, &plain(value)), IndexRecordOption::Basic))
        }
        ColumnKind::Integers => match whole(context, name, field, value)? {
            // A date that is rounded means all times in it.
            Some(from) if field.kind == Kind::Date => {
                let to = date::parse_math(&plain(value), &field.formats, context.now, true, 0)?;
                Box::new(ColumnQuery { field: field.clone(), test: Test::Ints(vec![from..=to.max(from)]) })
            }
            Some(whole) => {
                Box::new(ColumnQuery { field: field.clone(), test: Test::Ints(vec![whole..=whole]) })
            }
            None => Box::new(EmptyQuery),
        },
        ColumnKind::Floats => {
            let text = plain(value);
            let number: f64 = text.trim().parse().map_err(|_| not_number(name, context, &text))?;
            let number = float(field, number);
            Box::new(ColumnQuery { field: field.clone(), test: Test::Floats(vec![number..=number]) })
        }
        ColumnKind::None if field.kind == Kind::Text => {
            Box::new(TermQuery::new(string_term(context, field, &plain(value)), IndexRecordOption::WithFreqs))
        }
        ColumnKind::None => {
            return Err(EsError::illegal(format!(
                "queries of field [{name}] of type [{}] are not supported",
                field.kind.name()
            )));
        }
    })
}

pub(super) fn term(context: QueryContext<'_>, body: &Map<String, Value>) -> EsResult<Box<dyn Query>> {
    let (name, value) = single("term", body)?;
    let (value, options) = match value {
        Value::Object(inner) => {
            let options = Options::take("term", inner, &["value", "case_insensitive"])?;
            if inner.get("case_insensitive") == Some(&Value::Bool(true)) {
                return Err(EsError::illegal("[case_insensitive] of a [term] query is not supported"));
            }
            (inner.get("value").unwrap_or(&Value::Null), options)
        }
        value => (value, Options::default()),
    };
    if name == "_id" {
        return Ok(options.constant(Box::new(ids_of(context, [plain(value)]))));
    }
    match context.mapping.get(name) {
        Some(field) => Ok(options.boost(exact(context, name, field, value)?)),
        None => Ok(Box::new(EmptyQuery)),
    }
}

pub(super) fn terms(context: QueryContext<'_>, body: &Map<String, Value>) -> EsResult<Box<dyn Query>> {
    let mut options = Options::default();
    let mut found = None;
    for (key, value) in body {
        match (key.as_str(), value) {
            ("boost", value) => options.boost = Some(boost("terms", value)?),
            (name, Value::Array(values)) if found.is_none() => found = Some((name, values)),
            (name, Value::Object(_)) => {
                return Err(EsError::illegal(format!("terms lookup on field [{name}] is not supported")));
            }
            (key, _) => return Err(EsError::parsing(format!("[terms] query does not support [{key}]"))),
        }
    }
    let (name, values) = found.ok_or_else(|| {
        EsError::parsing("[terms] query requires a field name, followed by array of terms or a document lookup specification")
    })?;
    if values.len() > 2 * MAX_CLAUSES {
        return Err(EsError::illegal(format!(
            "The number of terms [{}] used in the Terms Query request has exceeded the allowed maximum of [{}]. This maximum can be \
             set by changing the [index.max_terms_count] index level setting.",
            values.len(),
            2 * MAX_CLAUSES
        )));
    }
    if name == "_id" {
        return Ok(options.constant(Box::new(ids_of(context, values.iter().map(plain)))));
    }
    let Some(field) = context.mapping.get(name) else { return Ok(Box::new(EmptyQuery)) };
    let query: Box<dyn Query> = match field.kind.column() {
        ColumnKind::Strings => {
            Box::new(TermSetQuery::new(values.iter().map(|value| string_term(context, field, &plain(value)))))
        }
        ColumnKind::Integers if field.kind != Kind::Date => {
            let mut wanted = Vec::new();
            for value in values {
                wanted.extend(whole(context, name, field, value)?.map(|whole| whole..=whole));
            }
            Box::new(ColumnQuery { field: field.clone(), test: Test::Ints(wanted) })
        }
        _ => {
            let queries = values.iter().map(|value| Ok((Occur::Should, exact(context, name, field, value)?)));
            Box::new(BooleanQuery::new(queries.collect::<EsResult<_>>()?))
        }
    };
    Ok(options.constant(query))
}

fn ids_of(context: QueryContext<'_>, ids: impl IntoIterator<Item = String>) -> TermSetQuery {
    TermSetQuery::new(ids.into_iter().map(|id| Term::from_field_text(context.fields.id, &id)))
}

pub(super) fn ids(context: QueryContext<'_>, body: &Map<String, Value>) -> EsResult<Box<dyn Query>> {
    let options = Options::take("ids", body, &["values"])?;
    let values = match body.get("values") {
        Some(Value::Array(values)) => values.iter().map(plain).collect(),
        Some(one @ (Value::String(_) | Value::Number(_))) => vec![plain(one)],
        _ => return Err(EsError::parsing("[ids] requires providing a values array of strings")),
    };
    Ok(options.constant(Box::new(ids_of(context, values))))
}

pub(super) fn exists(context: QueryContext<'_>, body: &Map<String, Value>) -> EsResult<Box<dyn Query>> {
    let options = Options::take("exists", body, &["field"])?;
    let name = body
        .get("field")
        .and_then(Value::as_str)
        .ok_or_else(|| EsError::parsing("[exists] must be provided with a [field]"))?;
    let mut queries: Vec<(Occur, Box<dyn Query>)> = Vec::new();
    for full in context.mapping.names() {
        let wanted = full == name
            || (name.contains('*') && crate::search::matches_pattern(name, &full))
            || (context.mapping.is_object(name)
                && full.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')));
        if let Some(field) = context.mapping.get(&full).filter(|_| wanted) {
            queries.push((Occur::Should, has_value(context, field)));
        }
    }
    Ok(options.constant(Box::new(BooleanQuery::new(queries))))
}

fn has_value(context: QueryContext<'_>, field: &Field) -> Box<dyn Query> {
    if field.kind.column() == ColumnKind::None {
        let term = Term::from_field_text(context.fields.exists, &field.id.to_string());
        return Box::new(TermQuery::new(term, IndexRecordOption::Basic));
    }
    Box::new(ColumnQuery { field: field.clone(), test: Test::Any })
}

/// The field of a query over exact strings; none if it is not mapped.
fn strings<'a>(context: QueryContext<'a>, query: &str, name: &str) -> EsResult<Option<&'a Field>> {
    match context.mapping.get(name) {
        None => Ok(None),
        Some(field) if field.kind == Kind::Keyword => Ok(Some(field)),
        Some(field) if field.kind == Kind::Text => Err(EsError::illegal(format!(
            "[{query}] queries of text fields are not supported, [{name}] is one: use a keyword field, such as [{name}.keyword]"
        ))),
        Some(field) => Err(EsError::new(
            400,
            "query_shard_exception",
            format!(
                "Can only use {query} queries on keyword, text and wildcard fields - not on [{name}] which is of type [{}]",
                field.kind.name()
            ),
        )
        .with("index", context.index.into())
        .on_shard()),
    }
}

fn pattern(query: &str, body: &Map<String, Value>) -> EsResult<(String, String, bool, Options)> {
    let (name, value) = single(query, body)?;
    let Value::Object(inner) = value else {
        return Ok((name.to_owned(), plain(value), false, Options::default()));
    };
    let options = Options::take(query, inner, &["value", "wildcard", "case_insensitive"])?;
    let value = inner.get("value").or_else(|| inner.get("wildcard"));
    let value = value.ok_or_else(|| EsError::illegal("value cannot be null"))?;
    let ignore_case = inner.get("case_insensitive").and_then(Value::as_bool).unwrap_or(false);
    Ok((name.to_owned(), plain(value), ignore_case, options))
}

pub(super) fn prefix(context: QueryContext<'_>, body: &Map<String, Value>) -> EsResult<Box<dyn Query>> {
    let (name, prefix, ignore_case, options) = pattern("prefix", body)?;
    let Some(field) = strings(context, "prefix", &name)? else { return Ok(Box::new(EmptyQuery)) };
    let test = if ignore_case {
        let escaped: String =
            prefix.chars().flat_map(|c| "*?\\".contains(c).then_some('\\').into_iter().chain([c])).collect();
        Test::Wildcard { pattern: format!("{escaped}*"), ignore_case }
    } else {
        Test::Prefix(prefix)
    };
    Ok(options.constant(Box::new(ColumnQuery { field: field.clone(), test })))
}

pub(super) fn wildcard(context: QueryContext<'_>, body: &Map<String, Value>) -> EsResult<Box<dyn Query>> {
    let (name, pattern, ignore_case, options) = pattern("wildcard", body)?;
    let Some(field) = strings(context, "wildcard", &name)? else { return Ok(Box::new(EmptyQuery)) };
    let test = Test::Wildcard { pattern, ignore_case };
    Ok(options.constant(Box::new(ColumnQuery { field: field.clone(), test })))
}
