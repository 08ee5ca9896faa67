//! Intervals of histograms.

use serde_json::Value;

use crate::engine::duration_millis;
use crate::error::{EsError, EsResult};
use crate::mapping::{date, plain};

/// How wide buckets are, and how far they are shifted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Interval {
    /// ms.
    Fixed {
        width: i64,
        offset: i64,
    },
    /// A calendar unit as date math has it, UTC.
    Calendar {
        unit: char,
        offset: i64,
    },
    Number {
        width: f64,
        offset: f64,
    },
}

impl Interval {
    /// The key of the bucket that a date lies in.
    pub(crate) fn floor(self, ms: i64) -> i64 {
        match self {
            Interval::Fixed { width, offset } => {
                let shifted = ms.saturating_sub(offset);
                shifted.div_euclid(width).saturating_mul(width).saturating_add(offset)
            }
            Interval::Calendar { unit, offset } => {
                date::floor(ms.saturating_sub(offset), unit).unwrap_or(ms).saturating_add(offset)
            }
            Interval::Number { .. } => ms,
        }
    }

    /// The key of the bucket that a number lies in.
    pub(crate) fn floor_number(self, number: f64) -> f64 {
        match self {
            Interval::Number { width, offset } => {
                let key = ((number - offset) / width).floor() * width + offset;
                if key == 0.0 { 0.0 } else { key }
            }
            _ => number,
        }
    }

    /// The key of the next bucket.
    pub(crate) fn next(self, key: i64) -> Option<i64> {
        match self {
            Interval::Fixed { width, .. } => key.checked_add(width),
            Interval::Calendar { unit, offset } => {
                date::add(key.checked_sub(offset)?, 1, unit)?.checked_add(offset)
            }
            Interval::Number { .. } => None,
        }
    }
}

/// `1m`, `minute`, ...: one calendar unit.
pub(crate) fn calendar(text: &str) -> EsResult<char> {
    Ok(match text {
        "1m" | "minute" => 'm',
        "1s" | "second" => 's',
        "1h" | "hour" => 'h',
        "1d" | "day" => 'd',
        "1w" | "week" => 'w',
        "1M" | "month" => 'M',
        "1q" | "quarter" => 'q',
        "1y" | "year" => 'y',
        _ => {
            return Err(EsError::illegal(format!(
                "The supplied interval [{text}] could not be parsed as a calendar interval."
            )));
        }
    })
}

/// `90s`, `15m`, ... in ms.
pub(crate) fn fixed(text: &str) -> EsResult<i64> {
    duration_millis(text).and_then(|ms| i64::try_from(ms).ok()).filter(|ms| *ms > 0).ok_or_else(|| {
        EsError::illegal(format!(
            "failed to parse setting [date_histogram.fixedInterval] with value [{text}] as a time value"
        ))
    })
}

/// `+6h`, `-1d`, or ms as a number.
pub(crate) fn offset(value: &Value) -> EsResult<i64> {
    let text = plain(value);
    if let Some(ms) = value.as_i64() {
        return Ok(ms);
    }
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    fixed(rest).map(|ms| sign * ms).or_else(|error| if rest == "0" { Ok(0) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_fall_into_fixed_and_calendar_buckets() {
        let at = |text: &str| date::parse_iso(text).map(|(ms, _)| ms).unwrap();
        let table = [
            (
                Interval::Fixed { width: 900_000, offset: 0 },
                "2024-03-05T07:20",
                "2024-03-05T07:15",
                "2024-03-05T07:30",
            ),
            (
                Interval::Fixed { width: 86_400_000, offset: 21_600_000 },
                "2024-03-05T05:00",
                "2024-03-04T06:00",
                "2024-03-05T06:00",
            ),
            (Interval::Calendar { unit: 'M', offset: 0 }, "2024-02-29T12:00", "2024-02-01", "2024-03-01"),
            (Interval::Calendar { unit: 'w', offset: 0 }, "2024-03-03", "2024-02-26", "2024-03-04"),
            (Interval::Calendar { unit: 'q', offset: 0 }, "2024-12-31", "2024-10-01", "2025-01-01"),
            (Interval::Calendar { unit: 'y', offset: 86_400_000 }, "2024-01-01", "2023-01-02", "2024-01-02"),
            (
                Interval::Fixed { width: 1000, offset: 0 },
                "1969-12-31T23:59:59.500",
                "1969-12-31T23:59:59",
                "1970-01-01",
            ),
        ];
        for (interval, value, key, next) in table {
            assert_eq!(interval.floor(at(value)), at(key), "{interval:?} {value}");
            assert_eq!(interval.next(at(key)), Some(at(next)), "{interval:?} {key}");
        }
        let tens = Interval::Number { width: 10.0, offset: 5.0 };
        assert_eq!([-6.0, 4.9, 5.0, 14.9].map(|n| tens.floor_number(n)), [-15.0, -5.0, 5.0, 5.0]);
    }
}
