//! INSERT INTO .. VALUES: constants as values of the columns' types.

use super::expressions::Scope;
use super::names::Rel;
use super::relations::source;
use super::types::{cast, castable};
use crate::ast::{self, ExprKind as Ast, Ident};
use crate::build;
use crate::catalog::{Catalog, ColumnPlace};
use crate::error::{Res, Span, fail, nearest_hint};
use crate::expr::{Expr, ExprKind};
use crate::plan::Statement;
use bd_schema::{DataType, Value};

pub(crate) fn insert(
    name: &Ident,
    columns: Option<&[Ident]>,
    exprs: &[ast::Expr],
    span: Span,
    catalog: &Catalog,
) -> Res<Statement> {
    let def = source(catalog, name)?;
    if def.query.is_some() {
        let hint = "insert into the streams that the query reads";
        return fail(name.span, format!("{} is written by a query", def.name), hint);
    }
    let mut places = Vec::new();
    match columns {
        None => places.extend(0..def.columns.len()),
        Some(columns) => {
            for column in columns {
                let Some(place) = def.columns.iter().position(|c| column.is(&c.name)) else {
                    let known = def.columns.iter().map(|c| c.name.as_str());
                    let hint = nearest_hint("columns", &column.name, known);
                    return fail(
                        column.span,
                        format!("there is no column {} in {}", column.name, def.name),
                        hint,
                    );
                };
                if places.contains(&place) {
                    return fail(column.span, format!("{} is named twice", column.name), "remove one");
                }
                places.push(place);
            }
        }
    }
    if places.len() != exprs.len() {
        let message = format!("{} column(s), but {} value(s)", places.len(), exprs.len());
        return fail(span, message, "write one value a column, NULL for none");
    }
    let plan = build::table_scan(def.clone(), Vec::new(), false);
    let (names, rowtimes) = (Vec::new(), Vec::new());
    let nothing = Rel { plan, names, rowtimes, key_format: None, value_format: None, joined: false };
    let mut values = vec![Value::Null; def.columns.len()];
    for (place, e) in places.into_iter().zip(exprs) {
        values[place] = constant(e, &def.columns[place].data_type, &nothing)?;
    }
    let table = def.kind == crate::catalog::SourceKind::Table;
    for (column, value) in def.columns.iter().zip(&values) {
        let needed = column.not_null || (table && column.place != ColumnPlace::Value);
        if needed && *value == Value::Null {
            return fail(span, format!("{} must have a value", column.name), "add it to the INSERT");
        }
    }
    Ok(Statement::InsertValues { source: def.clone(), values })
}

/// A constant expression as a value of a type.
fn constant(e: &ast::Expr, to: &DataType, nothing: &Rel) -> Res<Value> {
    match (&e.kind, to) {
        (Ast::Null, _) => return Ok(Value::Null),
        (Ast::Array(list), DataType::Array(element)) => {
            return list.iter().map(|x| constant(x, element, nothing)).collect::<Res<_>>().map(Value::Array);
        }
        (Ast::Map(entries), DataType::Map(of)) => {
            let mut out = Vec::new();
            for (key, value) in entries {
                let Value::Varchar(key_text) = constant(key, &DataType::Varchar, nothing)? else {
                    return fail(key.span, "a map's key is not NULL", "write 'key' := value");
                };
                out.push((key_text, constant(value, of, nothing)?));
            }
            return Ok(Value::Map(out));
        }
        (Ast::Struct(given), DataType::Struct(fields)) => {
            if let Some((name, _)) = given.iter().find(|(n, _)| !fields.iter().any(|f| n.is(&f.name))) {
                let hint = nearest_hint("fields", &name.name, fields.iter().map(|f| f.name.as_str()));
                return fail(name.span, format!("there is no field {}", name.name), hint);
            }
            let value = |f: &bd_schema::Field| match given.iter().find(|(n, _)| n.is(&f.name)) {
                Some((_, x)) => constant(x, &f.data_type, nothing),
                None => Ok(Value::Null),
            };
            return fields.iter().map(value).collect::<Res<_>>().map(Value::Struct);
        }
        _ => {}
    }
    let expr = Scope::of(nothing, "VALUES").expr(e)?;
    let from = expr.data_type.clone();
    let fits = castable(&from, to) && (from != DataType::Varchar || *to == DataType::Varchar || is_time(to));
    if let (true, Some(value)) = (fits, value_of(expr, to)) {
        return Ok(value);
    }
    let message = format!("the column is {to}, and this is {from}, or not a constant of it");
    fail(
        e.span,
        message,
        "VALUES takes constants: numbers, 'text', TRUE, NULL, ARRAY[..], MAP(k := v), STRUCT(n := v)",
    )
}

fn is_time(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp | DataType::Date | DataType::Time)
}

fn value_of(expr: Expr, to: &DataType) -> Option<Value> {
    // The value that a chain of casts around a literal gives.
    let folded = match expr.kind {
        ExprKind::Cast(inner) => Expr::literal(value_of(*inner, &expr.data_type)?, expr.data_type),
        kind => Expr { kind, data_type: expr.data_type },
    };
    let ExprKind::Literal(value) = cast(folded.clone(), to).kind else {
        let ExprKind::Literal(value) = folded.kind else { return None };
        return convert(&value, &folded.data_type, to);
    };
    Some(value)
}

/// The constants that have no literal form.
fn convert(value: &Value, from: &DataType, to: &DataType) -> Option<Value> {
    match (value, to) {
        (Value::Double(x), DataType::Decimal(_, scale)) => {
            let unscaled = (x * 10f64.powi(i32::from(*scale))).round();
            (unscaled.abs() < 9e15).then_some(Value::Decimal(unscaled as i128))
        }
        (Value::Decimal(d), DataType::Decimal(_, to_scale)) => {
            let DataType::Decimal(_, from_scale) = from else { return None };
            let power = u32::try_from(to_scale - from_scale).ok()?;
            d.checked_mul(10i128.checked_pow(power)?).map(Value::Decimal)
        }
        (Value::BigInt(n), DataType::Timestamp) => Some(Value::Timestamp(*n)),
        (Value::Integer(n), DataType::Timestamp) => Some(Value::Timestamp(i64::from(*n))),
        (Value::Varchar(text), DataType::Timestamp) => instant(text).map(Value::Timestamp),
        (Value::Varchar(text), DataType::Date) => days(text).map(Value::Date),
        (Value::Varchar(text), DataType::Time) => {
            day_ms(text).and_then(|ms| i32::try_from(ms).ok()).map(Value::Time)
        }
        _ => None,
    }
}

/// Days since epoch of `yyyy-MM-dd` (proleptic Gregorian).
fn days(text: &str) -> Option<i32> {
    let mut parts = text.splitn(3, '-');
    let (y, m, d): (i32, i32, i32) =
        (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(usize::try_from(m.checked_sub(1)?).ok()?)?;
    if !(0..=9999).contains(&y) || !(1..=length).contains(&d) {
        return None;
    }
    let shifted = if m <= 2 { y - 1 } else { y };
    let era = shifted.div_euclid(400);
    let year = shifted.rem_euclid(400);
    let day = (153 * ((m + 9) % 12) + 2) / 5 + d - 1;
    Some(era * 146_097 + year * 365 + year / 4 - year / 100 + day - 719_468)
}

/// Ms of the day of `HH:mm[:ss[.SSS]]`.
fn day_ms(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.split(':');
    let hour: i64 = parts.next()?.parse().ok()?;
    let minute: i64 = parts.next()?.parse().ok()?;
    let second: i64 = parts.next().unwrap_or("0").parse().ok()?;
    if parts.next().is_some() || fraction.len() > 3 || !fraction.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let ms: i64 = format!("{fraction:0<3}").parse().ok()?;
    let legal = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
    legal.then_some(((hour * 60 + minute) * 60 + second) * 1000 + ms)
}

/// Ms since epoch of `yyyy-MM-dd[THH:mm[:ss[.SSS]]][Z]`, UTC.
fn instant(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    Some(i64::from(days(date)?) * 86_400_000 + day_ms(time)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_instants_in_utc() {
        for (text, ms) in [
            ("1970-01-01", Some(0)),
            ("2021-02-01T23:55:00Z", Some(1_612_223_700_000)),
            ("2024-02-29 12:00:00.5", Some(1_709_208_000_500)),
            ("1969-12-31T23:59:59", Some(-1000)),
            ("2023-02-29", None),
            ("2023-01-01T25:00", None),
            ("soon", None),
        ] {
            assert_eq!(instant(text), ms, "{text}");
        }
    }
}
