//! From what the server sent, in either of its two forms, to the record's value. Snapshot and binlog meet here.

use super::plan::{ColumnPlan, Kind};
use bd_schema::{DataType, Value};
use std::fmt::Write as _;

/// A value as the server sent it, free of the form.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    Null,
    Int(i64),
    UInt(u64),
    Float(f32),
    Double(f64),
    /// Text in UTF-8: also digits of decimals, JSON without spaces, members of ENUM and SET by name.
    Text(String),
    Bytes(Vec<u8>),
    /// A date, with a time or 0. Month or day may be 0.
    Civil(Civil),
    /// Microseconds since epoch; `None` is the zero timestamp.
    Instant(Option<i64>),
    /// Microseconds, may be negative or longer than a day.
    Micros(i64),
    Bits(u64),
    /// ENUM by number, from 1; 0 is the error value.
    Member(u64),
    /// SET by bits.
    Members(u64),
}

/// A date and a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Civil {
    pub(super) year: u16,
    pub(super) month: u8,
    pub(super) day: u8,
    /// Microseconds of the day.
    pub(super) micros: i64,
}

impl Civil {
    /// Days since epoch; `None` where a part of the date is 0.
    fn days(self) -> Option<i64> {
        if self.month == 0 || self.day == 0 {
            return None;
        }
        // Days from civil, Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        let year = i64::from(self.year) - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
        Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
    }

    /// Microseconds since epoch, in UTC.
    pub(super) fn instant(self) -> Option<i64> {
        Some(self.days()? * 86_400_000_000 + self.micros)
    }
}

/// The record's value of a column.
///
/// # Errors
/// Why it cannot be given, without the column's name.
pub(super) fn value(column: &ColumnPlan, raw: Raw) -> Result<Value, String> {
    Ok(match (&column.kind, raw) {
        (_, Raw::Null) => Value::Null,
        (Kind::Int { .. } | Kind::Year, Raw::Int(n)) => whole(&column.data_type, i128::from(n))?,
        (Kind::Int { .. } | Kind::Year, Raw::UInt(n)) => whole(&column.data_type, i128::from(n))?,
        // The shortest digits that are the same FLOAT: 1.1 and not 1.10000002384.
        (Kind::Float, Raw::Float(f)) => Value::Double(f.to_string().parse().unwrap_or(f64::from(f))),
        (Kind::Double, Raw::Double(d)) => Value::Double(d),
        (Kind::Decimal { scale, .. }, Raw::Text(text)) => decimal(&column.data_type, *scale, text)?,
        (Kind::Text { fixed, .. }, Raw::Text(mut text)) => {
            if *fixed {
                text.truncate(text.trim_end_matches(' ').len());
            }
            Value::Varchar(text)
        }
        (Kind::Json, Raw::Text(text)) => Value::Varchar(text),
        (Kind::Bytes { pad }, Raw::Bytes(mut bytes)) => {
            if let Some(length) = pad {
                bytes.resize(bytes.len().max(*length), 0);
            }
            Value::Bytes(bytes)
        }
        (Kind::Date, Raw::Civil(civil)) => match days(column, civil) {
            Some(days) if column.data_type == DataType::Date => Value::Date(days),
            Some(days) => Value::Integer(days),
            None => Value::Null,
        },
        (Kind::DateTime { .. }, Raw::Civil(civil)) => match zero(column, civil.instant()) {
            Some(micros) => date_time(column, micros),
            None => Value::Null,
        },
        (Kind::Timestamp { digits }, Raw::Instant(instant)) => match zero(column, instant) {
            Some(micros) => Value::Varchar(zoned(micros, *digits)),
            None => Value::Null,
        },
        (Kind::Timestamp { digits }, Raw::Civil(civil)) => match zero(column, civil.instant()) {
            Some(micros) => Value::Varchar(zoned(micros, *digits)),
            None => Value::Null,
        },
        (Kind::Time, Raw::Micros(micros)) if column.data_type == DataType::Time => {
            if !(0..86_400_000_000).contains(&micros) {
                return Err(
                    "the TIME is outside of a day: set time.precision.mode to adaptive_time_microseconds"
                        .to_owned(),
                );
            }
            Value::Time(i32::try_from(micros / 1000).unwrap_or_default())
        }
        (Kind::Time, Raw::Micros(micros)) => Value::BigInt(micros),
        (Kind::Enum(_) | Kind::Set(_), Raw::Text(text)) => Value::Varchar(text),
        (Kind::Enum(members), Raw::Member(number)) => Value::Varchar(member(members, number)?),
        (Kind::Set(members), Raw::Members(bits)) => Value::Varchar(set(members, bits)),
        (Kind::Bit { bits: 1 }, Raw::Bits(bits)) => Value::Boolean(bits != 0),
        (Kind::Bit { bits: count }, Raw::Bits(bits)) => {
            let bytes = usize::from(*count).div_ceil(8);
            Value::Bytes(bits.to_le_bytes().into_iter().take(bytes).collect())
        }
        (_, raw) => return Err(format!("{raw:?} is no value of {:?}", column.kind)),
    })
}

fn whole(data_type: &DataType, n: i128) -> Result<Value, String> {
    let out_of_range = |_| format!("{n} is out of range");
    Ok(match data_type {
        DataType::Integer => Value::Integer(i32::try_from(n).map_err(out_of_range)?),
        DataType::Decimal(..) => Value::Decimal(n),
        // BIGINT UNSIGNED beyond 63 bits wraps in the mode `long`, as Java's long does.
        _ => Value::BigInt(i64::try_from(n).unwrap_or_else(|_| (n as u64).cast_signed())),
    })
}

fn decimal(data_type: &DataType, scale: u8, text: String) -> Result<Value, String> {
    let wrong = || format!("{text} is no DECIMAL");
    match data_type {
        DataType::Double => text.parse().map(Value::Double).map_err(|_| wrong()),
        DataType::Decimal(..) => {
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            let digits = format!("{whole}{fraction:0<width$}", width = usize::from(scale));
            if fraction.len() > usize::from(scale) {
                return Err(wrong());
            }
            digits.parse().map(Value::Decimal).map_err(|_| wrong())
        }
        _ => Ok(Value::Varchar(text)),
    }
}

/// A zero date is null, or the epoch where the column cannot be null: what Debezium gives.
fn zero(column: &ColumnPlan, micros: Option<i64>) -> Option<i64> {
    micros.or(column.required.then_some(0))
}

fn days(column: &ColumnPlan, civil: Civil) -> Option<i32> {
    let days = civil.days().or(column.required.then_some(0))?;
    i32::try_from(days).ok()
}

fn date_time(column: &ColumnPlan, micros: i64) -> Value {
    match (&column.data_type, &column.kind) {
        (DataType::Timestamp, _) => Value::Timestamp(micros.div_euclid(1000)),
        (_, Kind::DateTime { digits }) if *digits > 3 => Value::BigInt(micros),
        _ => Value::BigInt(micros.div_euclid(1000)),
    }
}

/// `2018-06-20T13:37:03.120Z`, with as many digits of seconds as the column has.
fn zoned(micros: i64, digits: u8) -> String {
    let (days, of_day) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
    let (year, month, day) = civil_from_days(days);
    let seconds = of_day / 1_000_000;
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}");
    if digits > 0 {
        let fraction = format!("{:06}", of_day % 1_000_000);
        let _ = write!(text, ".{}", fraction.get(..usize::from(digits.min(6))).unwrap_or_default());
    }
    text.push('Z');
    text
}

/// The inverse of [`Civil::days`], by the same source.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn member(members: &[String], number: u64) -> Result<String, String> {
    let Some(index) = number.checked_sub(1) else { return Ok(String::new()) };
    let member = usize::try_from(index).ok().and_then(|i| members.get(i));
    member.cloned().ok_or_else(|| format!("member {number} of {} members of ENUM", members.len()))
}

fn set(members: &[String], bits: u64) -> String {
    let chosen = members.iter().take(64).enumerate().filter(|(i, _)| bits >> i & 1 == 1);
    chosen.map(|(_, m)| m.as_str()).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_from_the_epoch() {
        let date = |year, month, day| Civil { year, month, day, micros: 0 };
        assert_eq!(date(1970, 1, 1).days(), Some(0));
        assert_eq!(date(2000, 2, 29).days(), Some(11_016));
        assert_eq!(date(1969, 12, 31).days(), Some(-1));
        assert_eq!(date(9999, 12, 31).days(), Some(2_932_896));
        assert_eq!(date(2020, 0, 1).days(), None);
        for days in [-719_468, -1, 0, 59, 11_016, 2_932_896] {
            let (y, m, d) = civil_from_days(days);
            let civil =
                date(u16::try_from(y.max(0)).unwrap(), u8::try_from(m).unwrap(), u8::try_from(d).unwrap());
            assert_eq!(civil.days(), Some(days));
        }
    }

    #[test]
    fn a_timestamp_has_the_digits_of_its_column() {
        assert_eq!(zoned(1_529_501_823_120_000, 0), "2018-06-20T13:37:03Z");
        assert_eq!(zoned(1_529_501_823_120_000, 3), "2018-06-20T13:37:03.120Z");
        assert_eq!(zoned(1_529_501_823_120_045, 6), "2018-06-20T13:37:03.120045Z");
    }
}
