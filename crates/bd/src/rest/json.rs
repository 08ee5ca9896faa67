//! Rows as JSON texts, in ksqlDB's form: times as ISO 8601 strings without a zone, BYTES in base64, DECIMAL exact.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bd_schema::{DataType, Field, Value};
use chrono::{DateTime, Days, NaiveDate, NaiveTime};
use std::fmt::Write;

/// Appends a row as `[a, b]`.
pub(super) fn write_row(columns: &[Field], row: &[Value], out: &mut String) {
    out.push('[');
    for (i, (column, value)) in columns.iter().zip(row).enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_value(&column.data_type, value, out);
    }
    out.push(']');
}

fn write_value(data_type: &DataType, value: &Value, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = match value {
        Value::Null => write!(out, "null"),
        Value::Boolean(b) => write!(out, "{b}"),
        Value::Integer(n) => write!(out, "{n}"),
        Value::BigInt(n) => write!(out, "{n}"),
        Value::Double(n) if n.is_finite() => write!(out, "{n:?}"),
        Value::Double(n) => write!(out, "\"{n}\""),
        Value::Decimal(unscaled) => {
            let scale = if let DataType::Decimal(_, scale) = data_type { *scale } else { 0 };
            write!(out, "{}", decimal(*unscaled, scale))
        }
        Value::Varchar(text) => write!(out, "{}", quoted(text)),
        Value::Bytes(bytes) => write!(out, "\"{}\"", STANDARD.encode(bytes)),
        Value::Date(days) => write!(out, "\"{}\"", date(*days)),
        Value::Time(ms) => write!(out, "\"{}\"", time(*ms)),
        Value::Timestamp(ms) => write!(out, "\"{}\"", timestamp(*ms)),
        Value::Array(elements) => {
            let element = if let DataType::Array(element) = data_type { element } else { data_type };
            list(out, ['[', ']'], elements, |value, out| write_value(element, value, out));
            Ok(())
        }
        Value::Map(entries) => {
            let of = if let DataType::Map(value) = data_type { value } else { data_type };
            list(out, ['{', '}'], entries, |(key, value), out| {
                out.push_str(&quoted(key));
                out.push(':');
                write_value(of, value, out);
            });
            Ok(())
        }
        Value::Struct(values) => {
            let fields: &[Field] = if let DataType::Struct(fields) = data_type { fields } else { &[] };
            let pairs: Vec<_> = fields.iter().zip(values).collect();
            list(out, ['{', '}'], &pairs, |(field, value), out| {
                out.push_str(&quoted(&field.name));
                out.push(':');
                write_value(&field.data_type, value, out);
            });
            Ok(())
        }
    };
}

fn list<T>(out: &mut String, brackets: [char; 2], items: &[T], mut write: impl FnMut(&T, &mut String)) {
    out.push(brackets[0]);
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(brackets[1]);
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn decimal(unscaled: i128, scale: i8) -> String {
    let Some(scale) = usize::try_from(scale).ok().filter(|s| *s > 0) else {
        return format!("{unscaled}{}", "0".repeat(usize::from(scale.unsigned_abs())));
    };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{}{whole}.{fraction}", if unscaled < 0 { "-" } else { "" })
}

fn date(days: i32) -> String {
    let distance = Days::new(u64::from(days.unsigned_abs()));
    let epoch = NaiveDate::default();
    let date = if days < 0 { epoch.checked_sub_days(distance) } else { epoch.checked_add_days(distance) };
    date.map_or(days.to_string(), |d| d.to_string())
}

fn time(ms: i32) -> String {
    let of_day = u32::try_from(ms).ok();
    let time =
        of_day.and_then(|ms| NaiveTime::from_num_seconds_from_midnight_opt(ms / 1000, ms % 1000 * 1_000_000));
    time.map_or(ms.to_string(), |t| t.format("%H:%M:%S%.3f").to_string())
}

fn timestamp(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms)
        .map_or(ms.to_string(), |t| t.format("%Y-%m-%dT%H:%M:%S%.3f").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn values_are_written_as_ksqldb_does() {
        let place = DataType::Struct(Arc::new([
            Field::new("lon", DataType::Double),
            Field::new("n\"", DataType::Integer),
        ]));
        for (data_type, value, expected) in [
            (DataType::BigInt, Value::Null, "null"),
            (DataType::Boolean, Value::Boolean(true), "true"),
            (DataType::BigInt, Value::BigInt(-9_007_199_254_740_993), "-9007199254740993"),
            (DataType::Double, Value::Double(1.0), "1.0"),
            (DataType::Double, Value::Double(1e300), "1e300"),
            (DataType::Double, Value::Double(f64::NAN), "\"NaN\""),
            (DataType::Decimal(5, 2), Value::Decimal(-7), "-0.07"),
            (DataType::Decimal(5, 0), Value::Decimal(7), "7"),
            (DataType::Varchar, Value::Varchar("é\n\"".into()), r#""é\n\"""#),
            (DataType::Bytes, Value::Bytes(vec![0, 255]), "\"AP8=\""),
            (DataType::Date, Value::Date(-1), "\"1969-12-31\""),
            (DataType::Time, Value::Time(3_723_004), "\"01:02:03.004\""),
            (DataType::Timestamp, Value::Timestamp(1_612_223_747_000), "\"2021-02-01T23:55:47.000\""),
            (
                DataType::Array(Arc::new(DataType::Integer)),
                Value::Array(vec![Value::Integer(1), Value::Null]),
                "[1,null]",
            ),
            (
                DataType::Map(Arc::new(DataType::Integer)),
                Value::Map(vec![("a".into(), Value::Integer(1))]),
                r#"{"a":1}"#,
            ),
            (place, Value::Struct(vec![Value::Double(0.5), Value::Null]), r#"{"lon":0.5,"n\"":null}"#),
        ] {
            let mut out = String::new();
            write_value(&data_type, &value, &mut out);
            assert_eq!(out, expected);
            serde_json::from_str::<serde_json::Value>(&out).unwrap();
        }
    }
}
