//! Times by patterns of Java's `SimpleDateFormat`, in UTC: `yyyy MM dd HH mm ss SSS`, `'quoted'` text, `X` and `Z` for the zone.

const DAY_MS: i64 = 86_400_000;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// A field, and with how many digits.
    Number(char, usize),
    /// `X`: `Z`; `Z`: `+0000`.
    Zone(char),
    Text(String),
}

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format(Vec<Part>);

impl Format {
    /// # Errors
    /// A letter that is not one of those above.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = pattern.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '\'' => {
                    let mut text = String::new();
                    for c in rest.by_ref().take_while(|c| *c != '\'') {
                        text.push(c);
                    }
                    parts.push(Part::Text(if text.is_empty() { "'".into() } else { text }));
                }
                'y' | 'M' | 'd' | 'H' | 'm' | 's' | 'S' => {
                    let mut width = 1;
                    while rest.next_if_eq(&c).is_some() {
                        width += 1;
                    }
                    if width > 9 || (c == 'M' && width > 2) {
                        return Err(format!(
                            "the pattern {pattern} has a field that is not known: {c} x {width}"
                        ));
                    }
                    parts.push(Part::Number(c, width));
                }
                'X' | 'Z' => {
                    while rest.next_if_eq(&c).is_some() {}
                    parts.push(Part::Zone(c));
                }
                c if c.is_ascii_alphabetic() => {
                    return Err(format!("the pattern {pattern} has a letter that is not known: {c}"));
                }
                c => parts.push(Part::Text(c.to_string())),
            }
        }
        Ok(Self(parts))
    }

    /// The text of a time, ms since epoch.
    pub(super) fn write(&self, ms: i64) -> String {
        let (year, month, day) = civil(ms.div_euclid(DAY_MS));
        let of_day = ms.rem_euclid(DAY_MS);
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Zone('X') => out.push('Z'),
                Part::Zone(_) => out.push_str("+0000"),
                Part::Number(field, width) => {
                    let value = match field {
                        'y' if *width == 2 => year.rem_euclid(100),
                        'y' => year,
                        'M' => month,
                        'd' => day,
                        'H' => of_day / 3_600_000,
                        'm' => of_day / 60_000 % 60,
                        's' => of_day / 1000 % 60,
                        _ => of_day % 1000,
                    };
                    let width = *width;
                    out.push_str(&format!("{value:0width$}"));
                }
            }
        }
        out
    }

    /// The time of a text, ms since epoch; `None` where it does not fit the pattern.
    pub(super) fn read(&self, text: &str) -> Option<i64> {
        let (mut year, mut month, mut day, mut of_day) = (1970, 1, 1, 0);
        let mut rest = text;
        for (i, part) in self.0.iter().enumerate() {
            match part {
                Part::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Part::Zone(_) => {
                    let (offset, after) = zone(rest)?;
                    of_day -= offset;
                    rest = after;
                }
                Part::Number(field, width) => {
                    // A number that another one follows directly has its width; others take all digits.
                    let follows = matches!(self.0.get(i + 1), Some(Part::Number(..)));
                    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                    let take = if follows { *width } else { digits.min(9) };
                    let (number, after) = rest.split_at_checked(take)?;
                    let value: i64 = number.parse().ok()?;
                    rest = after;
                    match field {
                        'y' if *width == 2 => year = 2000 + value,
                        'y' => year = value,
                        'M' => month = value,
                        'd' => day = value,
                        'H' => of_day += value * 3_600_000,
                        'm' => of_day += value * 60_000,
                        's' => of_day += value * 1000,
                        _ => of_day += value,
                    }
                }
            }
        }
        let fits = rest.is_empty() && (1..=12).contains(&month) && (1..=31).contains(&day) && year < 100_000;
        fits.then(|| days(year, month, day) * DAY_MS + of_day)
    }
}

/// ms east of UTC, and what follows.
fn zone(text: &str) -> Option<(i64, &str)> {
    if let Some(rest) = text.strip_prefix('Z') {
        return Some((0, rest));
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, rest) = text.get(1..)?.split_at_checked(2)?;
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let (minutes, rest) = match rest.split_at_checked(2) {
        Some((minutes, rest)) if minutes.bytes().all(|b| b.is_ascii_digit()) => (minutes, rest),
        _ => ("0", rest),
    };
    Some((sign * (hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?) * 60_000, rest))
}

/// Days since epoch in the proleptic Gregorian calendar; years begin in March here.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of days since epoch.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_by_java_s_patterns() {
        for (pattern, ms, text) in [
            ("yyyyMMdd", 1_612_137_600_000, "20210201"),
            ("yyyy-MM-dd'T'HH:mm:ss.SSSX", 1_612_223_747_250, "2021-02-01T23:55:47.250Z"),
            ("yyyy-MM-dd HH:mm:ss", 951_782_400_000, "2000-02-29 00:00:00"),
            ("dd.MM.yyyy HH:mm Z", -60_000, "31.12.1969 23:59 +0000"),
        ] {
            let format = Format::new(pattern).unwrap();
            assert_eq!(format.write(ms), text);
            assert_eq!(format.read(text), Some(ms), "{text}");
        }
        let zoned = Format::new("yyyy-MM-dd'T'HH:mm:ssX").unwrap();
        assert_eq!(zoned.read("2021-02-02T01:55:47+02:00"), Some(1_612_223_747_000));
        assert_eq!(zoned.read("2021-02-02"), None);
        assert!(Format::new("EEE yyyy").is_err());
    }
}
