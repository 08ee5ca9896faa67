//! Dates: the formats of a mapping, ISO 8601 as `strict_date_optional_time` has it, and date math.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Datelike, Days, FixedOffset, Months, NaiveDate, NaiveDateTime, NaiveTime, Utc};

use crate::error::{EsError, EsResult};

/// The default format of date fields.
pub(crate) const DEFAULT: &str = "strict_date_optional_time||epoch_millis";

/// One alternative of a `format`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Format {
    /// `strict_date_optional_time` (and its `_nanos`, and the date-only and lenient relatives).
    Iso,
    EpochMillis,
    EpochSecond,
    /// A pattern of letters, translated for chrono; whether it has a time, an offset.
    Pattern {
        chrono: String,
        time: bool,
        offset: bool,
    },
}

/// The alternatives of a `format`, divided by `||`.
pub(crate) fn parse_format(text: &str) -> EsResult<Vec<Format>> {
    text.split("||").map(parse_one_format).collect()
}

fn parse_one_format(name: &str) -> EsResult<Format> {
    Ok(match name {
        "strict_date_optional_time"
        | "date_optional_time"
        | "strict_date_optional_time_nanos"
        | "iso8601"
        | "strict_date_time"
        | "date_time"
        | "strict_date_time_no_millis"
        | "date_time_no_millis"
        | "strict_date"
        | "date"
        | "strict_year_month_day" => Format::Iso,
        "epoch_millis" => Format::EpochMillis,
        "epoch_second" => Format::EpochSecond,
        "basic_date" => pattern("yyyyMMdd")?,
        pattern_text => pattern(pattern_text)?,
    })
}

/// Translates the letters of Java's DateTimeFormatter that dates in practice have.
fn pattern(text: &str) -> EsResult<Format> {
    let invalid = |what: String| EsError::illegal(format!("Invalid format: [{text}]: {what}"));
    let (mut chrono, mut time, mut offset) = (String::new(), false, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\'' {
            for quoted in chars.by_ref().take_while(|c| *c != '\'') {
                chrono.push(quoted);
            }
            continue;
        }
        if !c.is_ascii_alphabetic() {
            chrono.push_str(if c == '%' { "%%" } else { "" });
            if c != '%' {
                chrono.push(c);
            }
            continue;
        }
        let mut count = 1;
        while chars.next_if_eq(&c).is_some() {
            count += 1;
        }
        time |= "HhmsSa".contains(c);
        offset |= "XxZz".contains(c);
        chrono.push_str(match (c, count) {
            ('y' | 'u', 4) => "%Y",
            ('M', 2) => "%m",
            ('M', 3) => "%b",
            ('d', 2) => "%d",
            ('H', 2) => "%H",
            ('h', 2) => "%I",
            ('a', 1) => "%p",
            ('m', 2) => "%M",
            ('s', 2) => "%S",
            ('S', 3) => "%3f",
            ('S', 6) => "%6f",
            ('S', 9) => "%9f",
            ('X' | 'x' | 'Z', _) => "%#z",
            _ => {
                return Err(invalid(format!(
                    "pattern letters [{}] are not supported",
                    c.to_string().repeat(count)
                )));
            }
        });
    }
    if chrono.is_empty() {
        return Err(invalid("it is empty".into()));
    }
    Ok(Format::Pattern { chrono, time, offset })
}

/// A date as ms since 1970, by the first format that fits.
pub(crate) fn parse(text: &str, formats: &[Format]) -> Option<i64> {
    formats.iter().find_map(|format| match format {
        Format::Iso => parse_iso(text).map(|(ms, _)| ms),
        Format::EpochMillis => parse_epoch(text, 1),
        Format::EpochSecond => parse_epoch(text, 1000),
        Format::Pattern { chrono, time: false, .. } => NaiveDate::parse_from_str(text, chrono)
            .ok()
            .map(|d| d.and_time(NaiveTime::MIN).and_utc().timestamp_millis()),
        Format::Pattern { chrono, offset: true, .. } => {
            DateTime::parse_from_str(text, chrono).ok().map(|t| t.timestamp_millis())
        }
        Format::Pattern { chrono, .. } => {
            NaiveDateTime::parse_from_str(text, chrono).ok().map(|t| t.and_utc().timestamp_millis())
        }
    })
}

fn parse_epoch(text: &str, unit: i64) -> Option<i64> {
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    whole.parse::<i64>().ok()?.checked_mul(unit)
}

/// A date as a format has it, of ms since 1970.
pub(crate) fn format(ms: i64, format: Option<&Format>) -> String {
    let Some(time) = DateTime::from_timestamp_millis(ms) else { return ms.to_string() };
    match format {
        Some(Format::EpochMillis) => ms.to_string(),
        Some(Format::EpochSecond) => ms.div_euclid(1000).to_string(),
        Some(Format::Pattern { chrono, .. }) => time.fixed_offset().format(chrono).to_string(),
        Some(Format::Iso) | None => time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
    }
}

/// How much of a date was given: what rounding up adds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Precision {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Full,
}

fn digits(text: &str, at: usize, count: usize) -> Option<u32> {
    let part = text.get(at..at + count)?;
    part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
}

/// `yyyy[-MM[-dd[T[HH[:mm[:ss[.S{1,9}]]]][offset]]]]`.
pub(crate) fn parse_iso(text: &str) -> Option<(i64, Precision)> {
    let year = digits(text, 0, 4)? as i32;
    let mut at = 4;
    let (mut month, mut day, mut precision) = (1, 1, Precision::Year);
    let byte = |at: usize| text.as_bytes().get(at).copied();
    if byte(at) == Some(b'-') {
        month = digits(text, at + 1, 2)?;
        at += 3;
        precision = Precision::Month;
        if byte(at) == Some(b'-') {
            day = digits(text, at + 1, 2)?;
            at += 3;
            precision = Precision::Day;
        }
    }
    let date = NaiveDate::from_ymd_opt(year, month, day)?;
    let (mut clock, mut offset) = ((0, 0, 0, 0u32), 0i64);
    if byte(at) == Some(b'T') {
        if precision != Precision::Day {
            return None;
        }
        at += 1;
        if at < text.len() {
            (clock, precision, at) = parse_clock(text, at)?;
            offset = parse_offset(text.get(at..)?)?;
            at = text.len();
        }
    }
    if at != text.len() {
        return None;
    }
    let (h, m, s, nanos) = clock;
    let time = NaiveTime::from_hms_nano_opt(h, m, s, nanos)?;
    Some((date.and_time(time).and_utc().timestamp_millis() - offset * 1000, precision))
}

type Clock = (u32, u32, u32, u32);

fn parse_clock(text: &str, mut at: usize) -> Option<(Clock, Precision, usize)> {
    let byte = |at: usize| text.as_bytes().get(at).copied();
    let mut clock = (digits(text, at, 2)?, 0, 0, 0);
    let mut precision = Precision::Hour;
    at += 2;
    if byte(at) == Some(b':') {
        clock.1 = digits(text, at + 1, 2)?;
        precision = Precision::Minute;
        at += 3;
        if byte(at) == Some(b':') {
            clock.2 = digits(text, at + 1, 2)?;
            precision = Precision::Second;
            at += 3;
            if matches!(byte(at), Some(b'.' | b',')) {
                let start = at + 1;
                at = start;
                while byte(at).is_some_and(|b| b.is_ascii_digit()) && at - start < 9 {
                    at += 1;
                }
                let fraction = text.get(start..at).filter(|f| !f.is_empty())?;
                clock.3 = format!("{fraction:0<9}").parse().ok()?;
                precision = Precision::Full;
            }
        }
    }
    Some((clock, precision, at))
}

/// Seconds east of UTC.
pub(crate) fn parse_offset(text: &str) -> Option<i64> {
    let sign = match text.as_bytes().first() {
        None => return Some(0),
        Some(b'Z') => return (text.len() == 1).then_some(0),
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return None,
    };
    let hours = i64::from(digits(text, 1, 2)?);
    let minutes = match text.len() {
        3 => 0,
        5 => i64::from(digits(text, 3, 2)?),
        6 if text.as_bytes().get(3) == Some(&b':') => i64::from(digits(text, 4, 2)?),
        _ => return None,
    };
    (hours <= 18 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// A date of a query: a value of the formats or `now`, with date math behind (`now-15m/m`, `2024-01-01||+1M/d`).
/// `round_up`: to the last ms of what was given, as `gt` and `lte` need it. `offset`: seconds east of UTC for values
/// that name none, and for rounding.
pub(crate) fn parse_math(
    text: &str,
    formats: &[Format],
    now: i64,
    round_up: bool,
    offset: i64,
) -> EsResult<i64> {
    let formats_text = || format!("failed to parse date field [{text}] with format [{}]", describe(formats));
    let (base, math) = match text.strip_prefix("now") {
        Some(math) => (now, math),
        None => {
            let (date, math) = text.split_once("||").unwrap_or((text, ""));
            let round = round_up && math.is_empty();
            let iso = formats.contains(&Format::Iso).then(|| parse_iso(date)).flatten();
            let value = match iso {
                Some((ms, precision)) => {
                    let named = date.len() > 10
                        && (date.ends_with('Z') || date.rfind(['+', '-']).is_some_and(|i| i > 10));
                    let ms = if named { ms } else { ms - offset * 1000 };
                    if round { end_of(ms, precision) } else { ms }
                }
                None => parse(date, formats).ok_or_else(|| {
                    EsError::new(400, "parse_exception", format!("{0}: [{0}]", formats_text()))
                        .because(EsError::illegal(formats_text()))
                })?,
            };
            (value, math)
        }
    };
    apply_math(base, math, round_up, offset).ok_or_else(|| {
        EsError::new(400, "parse_exception", format!("operator not supported for date math [{math}]"))
    })
}

fn describe(formats: &[Format]) -> String {
    let names: Vec<&str> = formats
        .iter()
        .map(|format| match format {
            Format::Iso => "strict_date_optional_time",
            Format::EpochMillis => "epoch_millis",
            Format::EpochSecond => "epoch_second",
            Format::Pattern { chrono, .. } => chrono,
        })
        .collect();
    names.join("||")
}

fn end_of(ms: i64, precision: Precision) -> i64 {
    let unit = match precision {
        Precision::Year => 'y',
        Precision::Month => 'M',
        Precision::Day => 'd',
        Precision::Hour => 'h',
        Precision::Minute => 'm',
        Precision::Second => 's',
        Precision::Full => return ms,
    };
    add(ms, 1, unit).map_or(ms, |end| end - 1)
}

fn apply_math(mut ms: i64, math: &str, round_up: bool, offset: i64) -> Option<i64> {
    let mut rest = math;
    while let Some(operator) = rest.chars().next() {
        rest = rest.get(1..)?;
        if operator == '/' {
            let unit = rest.chars().next()?;
            rest = rest.get(unit.len_utf8()..)?;
            let start = floor(ms + offset * 1000, unit)? - offset * 1000;
            ms = if round_up { add(start, 1, unit)? - 1 } else { start };
            continue;
        }
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let count: i64 = if digits == 0 { 1 } else { rest.get(..digits)?.parse().ok()? };
        rest = rest.get(digits..)?;
        let unit = rest.chars().next()?;
        rest = rest.get(unit.len_utf8()..)?;
        let count = match operator {
            '+' => count,
            '-' => -count,
            _ => return None,
        };
        ms = add(ms, count, unit)?;
    }
    Some(ms)
}

fn utc(ms: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(ms)
}

/// Adds so many calendar units: `y M w d h H m s`, and `q` for quarters.
pub(crate) fn add(ms: i64, count: i64, unit: char) -> Option<i64> {
    let months = |n: i64| {
        let date = utc(ms)?;
        let months = Months::new(u32::try_from(n.unsigned_abs()).ok()?);
        let moved = if n < 0 { date.checked_sub_months(months) } else { date.checked_add_months(months) };
        moved.map(|date| date.timestamp_millis())
    };
    let fixed = |unit: i64| ms.checked_add(count.checked_mul(unit)?);
    match unit {
        'y' => months(count.checked_mul(12)?),
        'q' => months(count.checked_mul(3)?),
        'M' => months(count),
        'w' => fixed(7 * 86_400_000),
        'd' => fixed(86_400_000),
        'h' | 'H' => fixed(3_600_000),
        'm' => fixed(60_000),
        's' => fixed(1000),
        _ => None,
    }
}

/// The start of the calendar unit that a time lies in, UTC.
pub(crate) fn floor(ms: i64, unit: char) -> Option<i64> {
    let fixed = |unit: i64| Some(ms.div_euclid(unit) * unit);
    let date = utc(ms)?.date_naive();
    let start = |date: Option<NaiveDate>| Some(date?.and_time(NaiveTime::MIN).and_utc().timestamp_millis());
    match unit {
        'y' => start(NaiveDate::from_ymd_opt(date.year(), 1, 1)),
        'q' => start(NaiveDate::from_ymd_opt(date.year(), date.month0() / 3 * 3 + 1, 1)),
        'M' => start(date.with_day(1)),
        'w' => start(date.checked_sub_days(Days::new(u64::from(date.weekday().num_days_from_monday())))),
        'd' => fixed(86_400_000),
        'h' | 'H' => fixed(3_600_000),
        'm' => fixed(60_000),
        's' => fixed(1000),
        _ => None,
    }
}

/// The time zone of a query: an offset, `UTC` or `Z`.
pub(crate) fn time_zone(text: &str) -> EsResult<i64> {
    if matches!(text, "UTC" | "Z" | "GMT" | "Etc/UTC") {
        return Ok(0);
    }
    let seconds = parse_offset(text).filter(|_| !text.is_empty());
    seconds
        .filter(|seconds| i32::try_from(*seconds).ok().and_then(FixedOffset::east_opt).is_some())
        .ok_or_else(|| {
            EsError::illegal(format!(
                "time zone [{text}] is not supported: use an offset such as +01:00, or UTC"
            ))
        })
}

/// Now, ms since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "date_tests.rs"]
mod tests;
