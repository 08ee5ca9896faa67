//! WITH (...): known names only, each with its form.

use super::formats::{self, Stated};
use crate::ast::{Ident, Property};
use crate::catalog::{ColumnDef, TimeFormat, TimestampSpec};
use crate::error::{Fault, Res, Span, fail, nearest_hint};
use crate::parser::{UNITS, duration_ms};
use crate::patterns;
use bd_schema::{DataType, Delimiter};

const KNOWN: &[&str] = &[
    "kafka_topic",
    "key_format",
    "value_format",
    "format",
    "key_delimiter",
    "value_delimiter",
    "wrap_single_value",
    "key_schema_id",
    "value_schema_id",
    "key_schema_full_name",
    "value_schema_full_name",
    "value_avro_schema_full_name",
    "key_protobuf_nullable_representation",
    "value_protobuf_nullable_representation",
    "partitions",
    "replicas",
    "timestamp",
    "timestamp_format",
    "lateness",
    "late_topic",
    "dead_letter_topic",
    "idle_timeout",
];

/// The properties of a CREATE.
#[derive(Debug, Default)]
pub(crate) struct Properties {
    pub(crate) topic: Option<String>,
    pub(crate) key: Stated,
    pub(crate) value: Stated,
    pub(crate) partitions: Option<i32>,
    pub(crate) timestamp: Option<(String, Span)>,
    pub(crate) timestamp_format: Option<(TimeFormat, Span)>,
    pub(crate) lateness_ms: Option<(i64, Span)>,
    pub(crate) late_topic: Option<(String, Span)>,
    pub(crate) dead_letter_topic: Option<(String, Span)>,
    pub(crate) idle_timeout_ms: Option<(i64, Span)>,
}

impl Properties {
    pub(crate) fn read(list: &[Property]) -> Res<Self> {
        let mut p = Self::default();
        one_of(list, "key_format", "format", SETS_BOTH)?;
        one_of(list, "value_format", "format", SETS_BOTH)?;
        one_of(
            list,
            "value_avro_schema_full_name",
            "value_schema_full_name",
            "Please only set 'VALUE_SCHEMA_FULL_NAME'.",
        )?;
        for Property { name, value, value_span } in list {
            let span = *value_span;
            match name.name.as_str() {
                "kafka_topic" => p.topic = Some(topic(value, span)?),
                "key_format" => p.key.format = Some((formats::format(value, span)?, span)),
                "value_format" => p.value.format = Some((formats::format(value, span)?, span)),
                "format" => {
                    let format = formats::format(value, span)?;
                    p.key.format = Some((format, span));
                    p.value.format = Some((format, span));
                }
                "key_delimiter" => p.key.delimiter = Some((delimiter(name, value, span)?, span)),
                "value_delimiter" => p.value.delimiter = Some((delimiter(name, value, span)?, span)),
                "wrap_single_value" => p.value.wrap_single = Some((boolean(name, value, span)?, span)),
                "key_schema_id" => p.key.schema_id = Some((schema_id(name, value, span)?, span)),
                "value_schema_id" => p.value.schema_id = Some((schema_id(name, value, span)?, span)),
                "key_schema_full_name" => p.key.full_name = Some((value.clone(), span)),
                "value_schema_full_name" | "value_avro_schema_full_name" => {
                    p.value.full_name = Some((value.clone(), span));
                }
                "key_protobuf_nullable_representation" => p.key.nullable = Some(optional(name, value, span)?),
                "value_protobuf_nullable_representation" => {
                    p.value.nullable = Some(optional(name, value, span)?);
                }
                "partitions" => p.partitions = Some(count(value, span)?),
                "replicas" => _ = count(value, span)?,
                "timestamp" => p.timestamp = Some((value.clone(), span)),
                "timestamp_format" => p.timestamp_format = Some((time_format(value, span)?, span)),
                "lateness" => p.lateness_ms = Some((duration(value, span)?, span)),
                "late_topic" => p.late_topic = Some((topic(value, span)?, span)),
                "dead_letter_topic" => p.dead_letter_topic = Some((topic(value, span)?, span)),
                "idle_timeout" => p.idle_timeout_ms = Some((duration(value, span)?, span)),
                _ => return unknown(name),
            }
        }
        Ok(p)
    }

    /// Refuses what only a stream has.
    pub(crate) fn of_table(&self) -> Res<()> {
        let spans = [
            ("timestamp", self.timestamp.as_ref().map(|x| x.1)),
            ("timestamp_format", self.timestamp_format.as_ref().map(|x| x.1)),
            ("lateness", self.lateness_ms.map(|x| x.1)),
            ("late_topic", self.late_topic.as_ref().map(|x| x.1)),
            ("idle_timeout", self.idle_timeout_ms.map(|x| x.1)),
        ];
        for (name, span) in spans {
            if let Some(span) = span {
                let hint = "a table's rows have no event time; remove it, or create a STREAM";
                return fail(span, format!("{name} is for streams"), hint);
            }
        }
        Ok(())
    }

    /// The event time's column.
    pub(crate) fn timestamp_spec(&self, columns: &[ColumnDef]) -> Res<Option<TimestampSpec>> {
        let Some((name, span)) = &self.timestamp else {
            return match &self.timestamp_format {
                Some((_, span)) => {
                    fail(*span, "timestamp_format needs the column that it is of", "add timestamp = 'column'")
                }
                None => Ok(None),
            };
        };
        let Some(column) = columns.iter().position(|c| c.name.eq_ignore_ascii_case(name)) else {
            let hint = nearest_hint("columns", name, columns.iter().map(|c| c.name.as_str()));
            return fail(*span, format!("there is no column {name} to take the event time from"), hint);
        };
        let format = self.timestamp_format.as_ref().map_or(TimeFormat::EpochMillis, |(f, _)| f.clone());
        let data_type = &columns[column].data_type;
        let whole = matches!(data_type, DataType::BigInt | DataType::Integer);
        let (fits, hint) = match format {
            TimeFormat::EpochMillis => (
                whole || *data_type == DataType::Timestamp,
                "it is BIGINT or TIMESTAMP; of a VARCHAR, add timestamp_format = 'yyyy-MM-dd''T''HH:mm:ssX'",
            ),
            TimeFormat::EpochSeconds => (whole, "with 'epoch_seconds' it is BIGINT or INTEGER"),
            TimeFormat::Pattern(_) => (*data_type == DataType::Varchar, "with a pattern it is VARCHAR"),
        };
        if !fits {
            return fail(
                *span,
                format!("{name} is {data_type}, which this timestamp_format does not read"),
                hint,
            );
        }
        Ok(Some(TimestampSpec { column, format }))
    }

    pub(crate) fn late_topic_of(&self, topic: &str) -> String {
        self.late_topic.as_ref().map_or(format!("{topic}-late"), |(t, _)| t.clone())
    }

    pub(crate) fn dead_letter_topic_of(&self, topic: &str) -> String {
        self.dead_letter_topic.as_ref().map_or(format!("{topic}-dlq"), |(t, _)| t.clone())
    }
}

fn unknown<T>(name: &Ident) -> Res<T> {
    let message = format!("there is no property {}", name.name);
    fail(name.span, message, nearest_hint("properties", &name.name, KNOWN.iter().copied()))
}

fn topic(value: &str, span: Span) -> Res<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if value.is_empty() || value.len() > 249 || !value.chars().all(legal) || value == "." || value == ".." {
        let hint = "a topic's name is 1 to 249 of a-z A-Z 0-9 . _ -";
        return fail(span, format!("'{value}' is no topic's name"), hint);
    }
    Ok(value.to_string())
}

const SETS_BOTH: &str = "as 'FORMAT' sets both key and value formats. Either use just 'FORMAT', or use 'KEY_FORMAT' and \
                         'VALUE_FORMAT'.";

/// Refuses two properties that say the same.
fn one_of(list: &[Property], one: &str, other: &str, why: &str) -> Res<()> {
    let given = |name: &str| list.iter().find(|p| p.name.name == name);
    let (Some(found), Some(_)) = (given(one), given(other)) else { return Ok(()) };
    let (one, other) = (one.to_uppercase(), other.to_uppercase());
    let separator = if why.starts_with("as ") { ", " } else { ". " };
    let message = format!("Cannot supply both '{one}' and '{other}' properties{separator}{why}");
    fail(found.name.span, message, "remove one")
}

fn delimiter(name: &Ident, value: &str, span: Span) -> Res<Delimiter> {
    Delimiter::parse(value).or_else(|why| {
        let message = format!("Configuration {} is invalid: {why}", name.name.to_uppercase());
        fail(span, message, "Example valid value: ';'")
    })
}

fn boolean(name: &Ident, value: &str, span: Span) -> Res<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => {
            let upper = name.name.to_uppercase();
            let message = format!(
                "Invalid value {value} for property {upper}: Expected value to be either true or false"
            );
            fail(span, message, "write true or false")
        }
    }
}

fn schema_id(name: &Ident, value: &str, span: Span) -> Res<u32> {
    value.trim().parse::<u32>().or_else(|_| {
        let upper = name.name.to_uppercase();
        let message = format!("Invalid value {value} for property {upper}: Not a number of type INT");
        fail(span, message, "write the id that the registry gave the schema")
    })
}

/// `..._PROTOBUF_NULLABLE_REPRESENTATION`.
fn optional(name: &Ident, value: &str, span: Span) -> Res<Span> {
    match value.to_ascii_uppercase().as_str() {
        "OPTIONAL" => Ok(span),
        "WRAPPER" => fail(
            span,
            format!("{} WRAPPER is not supported", name.name),
            "leave it out: fields are written as optional, which keeps NULL apart from zero",
        ),
        _ => {
            let upper = name.name.to_uppercase();
            let message = format!(
                "Invalid value {value} for property {upper}: String must be one of: OPTIONAL, WRAPPER, null"
            );
            fail(span, message, "use OPTIONAL")
        }
    }
}

fn count(value: &str, span: Span) -> Res<i32> {
    match value.parse::<i32>() {
        Ok(n) if n > 0 => Ok(n),
        _ => fail(
            span,
            format!("{value} is no number of partitions or replicas"),
            "write a whole number from 1",
        ),
    }
}

fn duration(value: &str, span: Span) -> Res<i64> {
    let mut words = value.split_whitespace();
    let (Some(number), Some(unit), None) = (words.next(), words.next(), words.next()) else {
        return fail(
            span,
            format!("'{value}' is no length of time"),
            "write a number and a unit: '5 SECONDS'",
        );
    };
    match duration_ms(number, unit) {
        Ok(ms) if ms >= 0 => Ok(ms),
        Ok(_) => fail(span, "a length of time is not negative", UNITS),
        Err((message, hint)) => Err(Fault::new(span, message, hint)),
    }
}

fn time_format(value: &str, span: Span) -> Res<TimeFormat> {
    if value.eq_ignore_ascii_case("epoch_seconds") {
        return Ok(TimeFormat::EpochSeconds);
    }
    if value.eq_ignore_ascii_case("epoch_millis") {
        return Ok(TimeFormat::EpochMillis);
    }
    let hint_of = |hint: String| format!("{hint}; or 'epoch_seconds', 'epoch_millis'");
    patterns::check(value).or_else(|(message, hint)| fail(span, message, hint_of(hint)))?;
    if patterns::precision_ms(value).is_none() {
        let message = format!("the pattern '{value}' does not tell an instant");
        return fail(span, message, "it needs year, month and day at least");
    }
    Ok(TimeFormat::Pattern(value.to_string()))
}
