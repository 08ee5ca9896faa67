//! How a case writes things down: JSON with a space after `,` and `:`, times as `2021-02-01T23:55:00Z`.

use std::io;

use chrono::{DateTime, NaiveDate, NaiveTime};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Seconds of a day.
pub const DAY: i64 = 86_400;

/// Epoch seconds as `2021-02-01T23:55:00Z`; `None` outside of the years that a date can hold.
pub fn iso(epoch: i64) -> Option<String> {
    Some(DateTime::from_timestamp(epoch, 0)?.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Epoch seconds of an ISO 8601 time such as `2021-02-01T23:55:00Z`, if it falls on a whole second.
pub fn parse_iso(text: &str) -> Option<i64> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    (time.timestamp_subsec_nanos() == 0).then(|| time.timestamp())
}

/// Epoch seconds of the midnight with which a day such as `01-02-2021` (dd-MM-yyyy, UTC) begins.
pub fn parse_day(text: &str) -> Option<i64> {
    let day = NaiveDate::parse_from_str(text, "%d-%m-%Y").ok()?;
    Some(day.and_time(NaiveTime::MIN).and_utc().timestamp())
}

/// The day (dd-MM-yyyy) that begins at `midnight`, in epoch seconds.
pub fn day(midnight: i64) -> Option<String> {
    Some(DateTime::from_timestamp(midnight, 0)?.format("%d-%m-%Y").to_string())
}

/// Seconds after midnight of a time of day such as `23:55:00`.
pub fn parse_clock(text: &str) -> Option<i64> {
    let time = NaiveTime::parse_from_str(text, "%H:%M:%S").ok()?;
    Some((time - NaiveTime::MIN).num_seconds())
}

/// Seconds after midnight as `23:55:00`.
pub fn clock(seconds: i64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// One line of JSON as the fixture spells it: `{"user_id": 45, "name": "ketan"}`.
pub fn line<T: Serialize>(row: &T) -> serde_json::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(256);
    row.serialize(&mut Serializer::with_formatter(&mut out, Spaced))?;
    Ok(out)
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written_in_the_forms_of_the_case() {
        assert_eq!(iso(1_612_223_747).as_deref(), Some("2021-02-01T23:55:47Z"));
        assert_eq!(parse_iso("2021-02-01T23:55:47Z"), Some(1_612_223_747));
        assert_eq!(parse_iso("2021-02-01T23:55:47.5Z"), None);
        assert_eq!(parse_day("01-02-2021"), Some(1_612_137_600));
        assert_eq!(day(1_612_137_600).as_deref(), Some("01-02-2021"));
        assert_eq!(parse_clock("23:55:01"), Some(DAY - 299));
        assert_eq!(clock(DAY - 299), "23:55:01");
    }

    #[test]
    fn lines_are_spaced_as_in_the_fixture() {
        let row = serde_json::json!({"name": "Zoë", "lon": -8.0, "list": [1, null]});
        let text = String::from_utf8(line(&row).unwrap()).unwrap();
        assert_eq!(text, r#"{"name": "Zoë", "lon": -8.0, "list": [1, null]}"#);
    }
}
