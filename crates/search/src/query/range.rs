//! The range query.

use serde_json::{Map, Value};
use tantivy::query::{EmptyQuery, Query};

use super::filter::{ColumnQuery, Test};
use super::leaf::{float, not_number};
use super::{Options, QueryContext, single};
use crate::error::{EsError, EsResult};
use crate::mapping::{ColumnKind, Field, Kind, date, plain};

/// One end: the value, and whether itself is in.
type End<'a> = Option<(&'a Value, bool)>;

pub(super) fn range(context: QueryContext<'_>, body: &Map<String, Value>) -> EsResult<Box<dyn Query>> {
    let (name, inner) = single("range", body)?;
    let Value::Object(inner) = inner else {
        return Err(EsError::parsing(format!(
            "[range] query malformed, no start_object after query name [{name}]"
        )));
    };
    let known = ["gt", "gte", "lt", "lte", "format", "time_zone"];
    let options = Options::take("range", inner, &known)?;
    let end = |open: &str, closed: &str| -> EsResult<End<'_>> {
        let given = |key: &str| inner.get(key).filter(|value| !value.is_null());
        match (given(open), given(closed)) {
            (Some(_), Some(_)) => {
                Err(EsError::parsing(format!("[range] query has both [{open}] and [{closed}] for [{name}]")))
            }
            (Some(value), None) => Ok(Some((value, false))),
            (None, Some(value)) => Ok(Some((value, true))),
            (None, None) => Ok(None),
        }
    };
    let (from, to) = (end("gt", "gte")?, end("lt", "lte")?);
    let Some(field) = context.mapping.get(name) else { return Ok(Box::new(EmptyQuery)) };
    let dates_only = ["format", "time_zone"].iter().find(|key| inner.contains_key(**key));
    if let (Some(key), false) = (dates_only, field.kind == Kind::Date) {
        let reason =
            format!("Field [{name}] of type [{}] does not support {key} in range queries", field.kind.name());
        return Err(EsError::illegal(reason).on_shard());
    }
    let test = match field.kind.column() {
        ColumnKind::Strings => {
            let text = |end: End<'_>| end.map(|(value, closed)| (plain(value), closed));
            Test::Strings(text(from), text(to))
        }
        ColumnKind::Integers if field.kind == Kind::Date => dates(context, field, inner, from, to)?,
        ColumnKind::Integers => {
            let low =
                from.map(|end| whole(context, name, field, end, true)).transpose()?.unwrap_or(Some(i64::MIN));
            let high =
                to.map(|end| whole(context, name, field, end, false)).transpose()?.unwrap_or(Some(i64::MAX));
            let (Some(low), Some(high)) = (low, high) else { return Ok(Box::new(EmptyQuery)) };
            Test::Ints(vec![low..=high])
        }
        ColumnKind::Floats => {
            let number = |end: End<'_>, up: bool| -> EsResult<Option<f64>> {
                let Some((value, closed)) = end else { return Ok(None) };
                let text = plain(value);
                let number: f64 = text.trim().parse().map_err(|_| not_number(name, context, &text))?;
                let number = float(field, number);
                Ok(Some(match (closed, up) {
                    (true, _) => number,
                    (false, true) => number.next_up(),
                    (false, false) => number.next_down(),
                }))
            };
            let low = number(from, true)?.unwrap_or(f64::NEG_INFINITY);
            let high = number(to, false)?.unwrap_or(f64::INFINITY);
            Test::Floats(vec![low..=high])
        }
        ColumnKind::None => {
            return Err(EsError::illegal(format!(
                "[range] queries of fields of type [{}] are not supported, [{name}] is one",
                field.kind.name()
            )));
        }
    };
    Ok(options.constant(Box::new(ColumnQuery { field: field.clone(), test })))
}

fn dates(
    context: QueryContext<'_>,
    field: &Field,
    inner: &Map<String, Value>,
    from: End<'_>,
    to: End<'_>,
) -> EsResult<Test> {
    let given = inner.get("format").and_then(Value::as_str).map(date::parse_format).transpose()?;
    let formats = given.unwrap_or_else(|| field.formats.clone());
    let offset = inner.get("time_zone").map(|zone| date::time_zone(&plain(zone))).transpose()?.unwrap_or(0);
    let at = |value: &Value, round_up: bool| {
        date::parse_math(&plain(value), &formats, context.now, round_up, offset).map_err(EsError::on_shard)
    };
    // What is given without time means its whole day: greater than it is after its end.
    let low = match from {
        Some((value, true)) => at(value, false)?,
        Some((value, false)) => at(value, true)?.saturating_add(1),
        None => i64::MIN,
    };
    let high = match to {
        Some((value, true)) => at(value, true)?,
        Some((value, false)) => at(value, false)?.saturating_sub(1),
        None => i64::MAX,
    };
    Ok(Test::Ints(vec![low..=high]))
}

/// The least (`low`) or greatest whole number within an end; none if there is none.
fn whole(
    context: QueryContext<'_>,
    name: &str,
    field: &Field,
    (value, closed): (&Value, bool),
    low: bool,
) -> EsResult<Option<i64>> {
    let text = match (field.kind, plain(value)) {
        (Kind::Boolean, text) if text == "true" => "1".to_owned(),
        (Kind::Boolean, text) if text == "false" => "0".to_owned(),
        (_, text) => text,
    };
    if let Ok(whole) = text.trim().parse::<i64>() {
        return Ok(match (closed, low) {
            (true, _) => Some(whole),
            (false, true) => whole.checked_add(1),
            (false, false) => whole.checked_sub(1),
        });
    }
    let number: f64 = text.trim().parse().map_err(|_| not_number(name, context, &text))?;
    if number.is_nan() {
        return Ok(None);
    }
    // Between two whole numbers it does not matter whether the end is in; beyond i64 the cast saturates.
    let exact = number.fract() == 0.0 && !closed;
    Ok(Some(match (low, exact) {
        (true, false) => number.ceil() as i64,
        (true, true) => (number as i64).saturating_add(1),
        (false, false) => number.floor() as i64,
        (false, true) => (number as i64).saturating_sub(1),
    }))
}
