//! Dates, times of day and timestamps from ISO 8601 text. A timestamp without a zone is UTC.

/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// Days since epoch of `yyyy-MM-dd`.
pub(crate) fn date(text: &str) -> Option<i32> {
    let mut text = Text(text.as_bytes());
    let days = text.date()?;
    text.0.is_empty().then_some(days)
}

/// Milliseconds of the day of `HH:mm`, `HH:mm:ss` or `HH:mm:ss.SSS`. Digits beyond the third are cut.
pub(crate) fn time(text: &str) -> Option<i32> {
    let mut text = Text(text.as_bytes());
    let ms = text.time()?;
    text.0.is_empty().then_some(ms)
}

/// Milliseconds since epoch of `yyyy-MM-dd`, alone or with `T` or a space and a time, alone or with a zone: `Z`, `±HH`, `±HHmm`,
/// `±HH:mm`.
pub(crate) fn timestamp(text: &str) -> Option<i64> {
    let mut text = Text(text.as_bytes());
    let midnight = i64::from(text.date()?) * DAY_MS;
    if text.0.is_empty() {
        return Some(midnight);
    }
    if !text.take(b'T') && !text.take(b' ') {
        return None;
    }
    let ms = midnight + i64::from(text.time()?);
    if text.0.is_empty() {
        return Some(ms);
    }
    let offset = text.zone()?;
    text.0.is_empty().then_some(ms - offset)
}

/// Days since epoch of a date of the proleptic Gregorian calendar.
pub(crate) fn date_of(year: i64, month: i64, day: i64) -> Option<i32> {
    let year = i32::try_from(year).ok()?;
    let (month, day) = (i32::try_from(month).ok()?, i32::try_from(day).ok()?);
    if !(1..=12).contains(&month) || !(1..=last_day(year, month)).contains(&day) {
        return None;
    }
    i32::try_from(days_from_civil(year.into(), month, day)).ok()
}

/// The year, month and day of so many days since epoch.
pub(crate) fn civil_of(days: i32) -> (i32, i32, i32) {
    let shifted = i64::from(days) + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year as i32, month as i32, day as i32)
}

fn last_day(year: i32, month: i32) -> i32 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// What is left to read.
struct Text<'a>(&'a [u8]);

impl Text<'_> {
    fn take(&mut self, byte: u8) -> bool {
        let is = self.0.first() == Some(&byte);
        if is {
            self.0 = &self.0[1..];
        }
        is
    }

    fn digits(&mut self, count: usize) -> Option<i32> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let value =
            digits.iter().try_fold(0, |v, b| b.is_ascii_digit().then(|| v * 10 + i32::from(b - b'0')))?;
        self.0 = rest;
        Some(value)
    }

    fn date(&mut self) -> Option<i32> {
        let year = self.digits(4)?;
        let month = self.take(b'-').then(|| self.digits(2))??;
        let day = self.take(b'-').then(|| self.digits(2))??;
        date_of(year.into(), month.into(), day.into())
    }

    fn time(&mut self) -> Option<i32> {
        let hour = self.digits(2)?;
        let minute = self.take(b':').then(|| self.digits(2))??;
        let mut ms = (hour * 60 + minute) * 60_000;
        let mut second = 0;
        if self.take(b':') {
            second = self.digits(2)?;
            ms += second * 1000;
            if self.take(b'.') {
                ms += self.fraction()?;
            }
        }
        (hour < 24 && minute < 60 && second < 60).then_some(ms)
    }

    /// Milliseconds of the one to nine digits after a point.
    fn fraction(&mut self) -> Option<i32> {
        let count = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        if !(1..=9).contains(&count) {
            return None;
        }
        let used = count.min(3);
        let ms = self.digits(used)? * [100, 10, 1][used - 1];
        self.digits(count - used)?;
        Some(ms)
    }

    /// Milliseconds east of UTC.
    fn zone(&mut self) -> Option<i64> {
        if self.take(b'Z') {
            return Some(0);
        }
        let sign = if self.take(b'+') {
            1
        } else if self.take(b'-') {
            -1
        } else {
            return None;
        };
        let hours = self.digits(2)?;
        let minutes = if self.0.is_empty() {
            0
        } else {
            self.take(b':');
            self.digits(2)?
        };
        (hours <= 18 && minutes < 60).then(|| sign * i64::from(hours * 60 + minutes) * 60_000)
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar. Years begin in March here, so that the leap day comes last.
fn days_from_civil(year: i64, month: i32, day: i32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + i64::from(day_of_year);
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_days_since_epoch() {
        for (text, wanted) in [
            ("1970-01-01", Some(0)),
            ("1969-12-31", Some(-1)),
            ("2000-02-29", Some(11_016)),
            ("2021-02-01", Some(18_659)),
            ("0000-01-01", Some(-719_528)),
            ("9999-12-31", Some(2_932_896)),
            ("1900-02-29", None),
            ("2021-13-01", None),
            ("2021-04-31", None),
            ("2021-2-01", None),
            ("2021-02-01 ", None),
            ("20210201", None),
            ("é021-02-01", None),
        ] {
            assert_eq!(date(text), wanted, "{text}");
        }
    }

    #[test]
    fn days_are_the_date_that_they_were_made_from() {
        for days in [0, -1, 11_016, -719_528, 2_932_896, i32::MIN, i32::MAX, -719_469, -719_468, 59, 60] {
            let (year, month, day) = civil_of(days);
            assert_eq!(date_of(year.into(), month.into(), day.into()), Some(days), "{year}-{month}-{day}");
        }
        assert_eq!(civil_of(18_659), (2021, 2, 1));
    }

    #[test]
    fn times_count_milliseconds_of_the_day() {
        for (text, wanted) in [
            ("00:00", Some(0)),
            ("23:59:59.999", Some(86_399_999)),
            ("00:00:01.5", Some(1500)),
            ("00:00:00.1239999", Some(123)),
            ("24:00", None),
            ("23:60", None),
            ("23:59:60", None),
            ("00:00:00.", None),
            ("1:00", None),
        ] {
            assert_eq!(time(text), wanted, "{text}");
        }
    }

    #[test]
    fn timestamps_are_utc_unless_they_say_otherwise() {
        for (text, wanted) in [
            ("2021-02-01T23:55:47Z", Some(1_612_223_747_000)),
            ("2021-02-01 23:55:47", Some(1_612_223_747_000)),
            ("2021-02-02T01:55:47.250+02:00", Some(1_612_223_747_250)),
            ("2021-02-01T20:25:47-0330", Some(1_612_223_747_000)),
            ("2021-02-02T00:55:47+01", Some(1_612_223_747_000)),
            ("1970-01-01", Some(0)),
            ("1969-12-31T23:59:59.999Z", Some(-1)),
            ("2021-02-01T23:55:47X", None),
            ("2021-02-01T", None),
            ("2021-02-01T23:55:47+", None),
        ] {
            assert_eq!(timestamp(text), wanted, "{text}");
        }
    }
}
