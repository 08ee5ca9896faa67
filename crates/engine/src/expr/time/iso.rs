//! ISO 8601, as CAST reads and writes it.

use super::civil::{DAY_MS, Date, month_days};
use super::format::Formatter;
use super::{pattern, zone};

/// Days since epoch of `yyyy-MM-dd`.
pub(in crate::expr) fn date(text: &str) -> Option<i32> {
    let mut rest = text;
    let days = take_date(&mut rest)?;
    rest.is_empty().then(|| i32::try_from(days).ok())?
}

/// Milliseconds of the day of `HH:mm[:ss[.SSS]]`; digits beyond the third are cut.
pub(in crate::expr) fn time(text: &str) -> Option<i32> {
    let mut rest = text;
    let ms = take_time(&mut rest)?;
    rest.is_empty().then(|| i32::try_from(ms).ok())?
}

/// Milliseconds since epoch of `yyyy-MM-dd[(T| )HH:mm[:ss[.SSS]]][zone]`; without a zone UTC.
pub(in crate::expr) fn timestamp(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut ms = take_date(&mut rest)? * DAY_MS;
    if let Some(after) = rest.strip_prefix(['T', ' ']) {
        rest = after;
        ms += take_time(&mut rest)?;
    }
    let offset = if rest.is_empty() { 0 } else { zone::offset(rest)? };
    Some(ms - i64::from(offset) * 1000)
}

fn digits(rest: &mut &str, count: usize) -> Option<i64> {
    let (digits, after) = rest.split_at_checked(count)?;
    let value = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
    *rest = after;
    Some(value)
}

fn mark(rest: &mut &str, c: char) -> Option<()> {
    *rest = rest.strip_prefix(c)?;
    Some(())
}

fn take_date(rest: &mut &str) -> Option<i64> {
    let year = digits(rest, 4)?;
    mark(rest, '-')?;
    let month = digits(rest, 2)? as u8;
    mark(rest, '-')?;
    let day = digits(rest, 2)? as u8;
    let exists = (1..=12).contains(&month) && (1..=month_days(year, month)).contains(&day);
    exists.then(|| Date { year, month, day }.to_days())
}

fn take_time(rest: &mut &str) -> Option<i64> {
    let hour = digits(rest, 2)?;
    mark(rest, ':')?;
    let minute = digits(rest, 2)?;
    let second = if mark(rest, ':').is_some() { digits(rest, 2)? } else { 0 };
    let mut ms = 0;
    if mark(rest, '.').is_some() {
        let count = rest.bytes().take(9).take_while(u8::is_ascii_digit).count();
        let nanos = digits(rest, count.max(1))? * 10i64.pow(9 - count.max(1) as u32);
        ms = nanos / 1_000_000;
    }
    let exists = hour < 24 && minute < 60 && second < 60;
    exists.then_some(((hour * 60 + minute) * 60 + second) * 1000 + ms)
}

/// Writes times.
pub(in crate::expr) struct Writer {
    date: Formatter,
    time: Formatter,
    time_ms: Formatter,
    timestamp: Formatter,
}

impl Writer {
    /// # Errors
    /// None that a caller can cause.
    pub(in crate::expr) fn new() -> Result<Self, String> {
        let formatter = |text: &str| Ok::<_, String>(Formatter::new(&pattern::parse(text)?, 0));
        Ok(Self {
            date: formatter("uuuu-MM-dd")?,
            time: formatter("HH:mm:ss")?,
            time_ms: formatter("HH:mm:ss.SSS")?,
            timestamp: formatter("uuuu-MM-dd'T'HH:mm:ss.SSS")?,
        })
    }

    pub(in crate::expr) fn date(&self, days: i32, out: &mut Vec<u8>) {
        // Every day of 32 bits has milliseconds in 64, and UTC adds nothing to them.
        let _ = self.date.run().append(i64::from(days) * DAY_MS, out);
    }

    pub(in crate::expr) fn time(&self, ms: i32, out: &mut Vec<u8>) {
        let formatter = if ms % 1000 == 0 { &self.time } else { &self.time_ms };
        let _ = formatter.run().append(i64::from(ms), out);
    }

    pub(in crate::expr) fn timestamp(&self, ms: i64, out: &mut Vec<u8>) {
        let _ = self.timestamp.run().append(ms, out);
    }
}
