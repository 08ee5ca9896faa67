//! Times and durations as people write them.

use anyhow::{Result, anyhow};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

/// `2026-02-28T14:30:00.5+01:00`; without a zone it is UTC, without a time of day its first instant. In ms since 1970.
pub(super) fn datetime(text: &str) -> Result<i64> {
    if let Ok(time) =
        DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_str(text, "%FT%T%.f%z"))
    {
        return Ok(time.timestamp_millis());
    }
    let plain = ["%FT%T%.f", "%F %T%.f", "%FT%H:%M"];
    if let Some(time) = plain.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok()) {
        return Ok(time.and_utc().timestamp_millis());
    }
    let day = NaiveDate::parse_from_str(text, "%F").ok().and_then(|day| day.and_hms_opt(0, 0, 0));
    day.map(|t| t.and_utc().timestamp_millis()).ok_or_else(|| {
        anyhow!("{text}: expected a time such as 2026-02-28T14:30:00.000, with Z or +01:00 if it is not UTC")
    })
}

/// A [`datetime`], ms since 1970, or how long before `now`: `90s`, `15m`, `2h`, `1d`.
pub(super) fn instant(text: &str, now: i64) -> Result<i64> {
    if let Ok(ms) = text.parse::<i64>() {
        return Ok(ms);
    }
    let unit = match text.chars().next_back() {
        Some('s') => 1_000,
        Some('m') => 60_000,
        Some('h') => 3_600_000,
        Some('d') => 86_400_000,
        _ => return datetime(text),
    };
    let ago = text.get(..text.len() - 1).and_then(|n| n.parse::<u32>().ok());
    ago.map_or_else(|| datetime(text), |n| Ok(now - i64::from(n) * unit))
}

/// ISO 8601's `PnDTnHnMnS` in ms, as `--by-duration` of Kafka's tool takes it. Seconds may have a fraction.
pub(super) fn duration(text: &str) -> Result<i64> {
    let wrong = || anyhow!("{text}: expected a duration such as P1DT2H30M or PT90S");
    let (mut rest, mut in_time, mut total, mut parts) =
        (text.strip_prefix('P').ok_or_else(wrong)?, false, 0.0, 0);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T').filter(|_| !in_time) {
            (in_time, rest) = (true, after);
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, after) = rest.split_at(end);
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let unit = match (after.chars().next(), in_time) {
            (Some('W'), false) => 604_800_000.0,
            (Some('D'), false) => 86_400_000.0,
            (Some('H'), true) => 3_600_000.0,
            (Some('M'), true) => 60_000.0,
            (Some('S'), true) => 1_000.0,
            _ => return Err(wrong()),
        };
        total += number * unit;
        parts += 1;
        rest = after.get(1..).unwrap_or_default();
    }
    if parts == 0 { Err(wrong()) } else { Ok(total as i64) }
}

/// A time as it is printed: UTC with milliseconds.
pub(super) fn shown(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms)
        .map_or_else(|| ms.to_string(), |time| time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let ms = 1_772_289_000_000;
        assert_eq!(shown(ms), "2026-02-28T14:30:00.000Z");
        for text in [
            "2026-02-28T14:30:00.000",
            "2026-02-28T14:30:00Z",
            "2026-02-28T15:30:00+01:00",
            "2026-02-28T15:30:00.000+0100",
            "2026-02-28 14:30:00",
            "2026-02-28T14:30",
        ] {
            assert_eq!(datetime(text).unwrap(), ms, "{text}");
        }
        assert_eq!(datetime("1970-01-02").unwrap(), 86_400_000);
        assert!(datetime("yesterday").is_err());
        assert_eq!(instant("15m", 1_000_000).unwrap(), 100_000);
        assert_eq!(instant("1234", 0).unwrap(), 1234);
        assert_eq!(instant("2026-02-28T14:30:00Z", 0).unwrap(), ms);
        assert!(instant("xs", 0).is_err());
    }

    #[test]
    fn durations_are_those_of_iso_8601() {
        assert_eq!(duration("P1DT2H30M").unwrap(), 95_400_000);
        assert_eq!(duration("PT1.5S").unwrap(), 1_500);
        for wrong in ["", "P", "PT", "1D", "P1H", "PT1D", "P1", "PTxS"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
