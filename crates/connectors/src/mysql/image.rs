//! The row images of row events: bytes to values.

use super::convert::{self, Civil, Raw};
use super::jsonb;
use super::plan::{ColumnPlan, Kind};
use super::tablemap::{Layout, TableMap, code};
use bd_schema::{Row, Value};

/// Reading through bytes; what is missing is an error.
pub(super) struct Bytes<'a> {
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let split = self.rest.split_at_checked(count);
        let (taken, rest) = split.ok_or_else(|| {
            format!("the event is cut short: {count} bytes are wanted, {} are left", self.rest.len())
        })?;
        self.rest = rest;
        Ok(taken)
    }

    /// All that is left.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<(), String> {
        self.take(count).map(|_| ())
    }

    /// A number of up to 8 bytes, the low one first.
    pub(super) fn le(&mut self, count: usize) -> Result<u64, String> {
        Ok(self.take(count)?.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)))
    }

    /// A number of up to 8 bytes, the high one first.
    pub(super) fn be(&mut self, count: usize) -> Result<u64, String> {
        Ok(self.take(count)?.iter().fold(0, |n, &b| n << 8 | u64::from(b)))
    }

    /// A length-encoded number.
    pub(super) fn length(&mut self) -> Result<u64, String> {
        match self.le(1)? {
            0xfc => self.le(2),
            0xfd => self.le(3),
            0xfe => self.le(8),
            n => Ok(n),
        }
    }

    /// A text with its length in a byte before it and a zero after it.
    pub(super) fn short_text(&mut self) -> Result<String, String> {
        let length = usize::try_from(self.le(1)?).unwrap_or_default();
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.skip(1)?;
        Ok(text)
    }
}

/// Reads one image of a row: the values of the columns in the records, in order.
///
/// # Errors
/// Bytes that do not fit, and images that leave out columns.
pub(super) fn row(
    b: &mut Bytes<'_>,
    present: &[u8],
    map: &TableMap,
    plan: &[ColumnPlan],
) -> Result<Row, String> {
    let bit = |bits: &[u8], i: usize| bits.get(i / 8).is_some_and(|b| b >> (i % 8) & 1 == 1);
    let count = (0..plan.len()).filter(|&i| bit(present, i)).count();
    let nulls = b.take(count.div_ceil(8))?;
    let mut values = Vec::with_capacity(plan.len());
    let mut seen = 0;
    for (i, (column, layout)) in plan.iter().zip(&map.columns).enumerate() {
        if !bit(present, i) {
            if column.included {
                return Err(format!(
                    "column {} is not in the row image: set binlog_row_image to FULL",
                    column.name
                ));
            }
            continue;
        }
        let null = bit(nulls, seen);
        seen += 1;
        let raw = if null {
            Raw::Null
        } else {
            raw(b, *layout, &column.kind).map_err(|e| format!("column {}: {e}", column.name))?
        };
        if column.included {
            values.push(convert::value(column, raw).map_err(|e| format!("column {}: {e}", column.name))?);
        }
    }
    Ok(values)
}

fn raw(b: &mut Bytes<'_>, layout: Layout, kind: &Kind) -> Result<Raw, String> {
    use code::*;
    let meta = usize::from(layout.meta);
    let (low, high) = (layout.meta & 0xff, layout.meta >> 8);
    Ok(match layout.code {
        TINY => int(b, 1, kind)?,
        SHORT => int(b, 2, kind)?,
        INT24 => int(b, 3, kind)?,
        LONG => int(b, 4, kind)?,
        LONGLONG => int(b, 8, kind)?,
        FLOAT => Raw::Float(f32::from_bits(u32::try_from(b.le(4)?).unwrap_or_default())),
        DOUBLE => Raw::Double(f64::from_bits(b.le(8)?)),
        NEWDECIMAL => Raw::Text(decimal(b, usize::from(low), usize::from(high))?),
        YEAR => Raw::Int(match b.le(1)? {
            0 => 0,
            year => 1900 + year.cast_signed(),
        }),
        DATE | NEWDATE => Raw::Civil(date(b.le(3)?)),
        DATETIME => Raw::Civil(date_time_digits(b.le(8)?)),
        DATETIME2 => Raw::Civil(date_time(b, low)?),
        TIMESTAMP => instant(b.le(4)?, 0),
        TIMESTAMP2 => {
            let seconds = b.be(4)?;
            instant(seconds, fraction(b, low)?)
        }
        TIME => Raw::Micros(time_digits(b.le(3)?)),
        TIME2 => Raw::Micros(time(b, low)?),
        VARCHAR | VAR_STRING | VARCHAR_COMPRESSED => text(b, if meta < 256 { 1 } else { 2 }, kind)?,
        STRING => text(b, if meta < 256 { 1 } else { 2 }, kind)?,
        TINY_BLOB..=BLOB | GEOMETRY | BLOB_COMPRESSED => text(b, meta.min(4), kind)?,
        JSON => {
            let length = usize::try_from(b.le(meta.min(4))?).unwrap_or(usize::MAX);
            Raw::Text(jsonb::text(b.take(length)?)?)
        }
        ENUM => Raw::Member(b.le(meta.min(8))?),
        SET => Raw::Members(b.le(meta.min(8))?),
        BIT => Raw::Bits(b.be((usize::from(high) * 8 + usize::from(low)).div_ceil(8).min(8))?),
        other => return Err(format!("type {other} is not built")),
    })
}

fn int(b: &mut Bytes<'_>, bytes: usize, kind: &Kind) -> Result<Raw, String> {
    let n = b.le(bytes)?;
    if matches!(kind, Kind::Int { unsigned: true, .. }) {
        return Ok(Raw::UInt(n));
    }
    let unused = 64 - 8 * u32::try_from(bytes).unwrap_or(8);
    Ok(Raw::Int((n << unused).cast_signed() >> unused))
}

fn text(b: &mut Bytes<'_>, length_bytes: usize, kind: &Kind) -> Result<Raw, String> {
    let length = usize::try_from(b.le(length_bytes)?).unwrap_or(usize::MAX);
    let bytes = b.take(length)?;
    Ok(match kind {
        Kind::Text { charset, .. } => Raw::Text(charset.decode(bytes)),
        Kind::Skipped => Raw::Null,
        _ => Raw::Bytes(bytes.to_vec()),
    })
}

/// Digits in groups of nine, four bytes each, the high one first; a negative number has all bits inverted, and the first bit is
/// inverted once more.
pub(super) fn decimal(b: &mut Bytes<'_>, precision: usize, scale: usize) -> Result<String, String> {
    const SIZE: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
    let size = |digits: usize| digits / 9 * 4 + SIZE.get(digits % 9).copied().unwrap_or_default();
    let whole = precision.saturating_sub(scale);
    let mut bytes = b.take(size(whole) + size(scale))?.to_vec();
    let negative = bytes.first().is_some_and(|first| first & 0x80 == 0);
    if let Some(first) = bytes.first_mut() {
        *first ^= 0x80;
    }
    if negative {
        bytes.iter_mut().for_each(|b| *b = !*b);
    }
    let mut b = Bytes::new(&bytes);
    let mut digits = String::with_capacity(precision + 3);
    let mut group = |b: &mut Bytes<'_>, count: usize| -> Result<(), String> {
        if count > 0 {
            let n = b.be(SIZE.get(count).copied().unwrap_or_default())?;
            digits.push_str(&format!("{n:0count$}"));
        }
        Ok(())
    };
    group(&mut b, whole % 9)?;
    for _ in 0..whole / 9 + scale / 9 {
        group(&mut b, 9)?;
    }
    group(&mut b, scale % 9)?;
    let (whole, fraction) = digits.split_at_checked(whole).unwrap_or((&digits, ""));
    let whole = whole.trim_start_matches('0');
    let zero = whole.is_empty() && fraction.bytes().all(|b| b == b'0');
    let sign = if negative && !zero { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    Ok(format!("{sign}{whole}{point}{fraction}"))
}

fn narrow(n: u64) -> u8 {
    u8::try_from(n).unwrap_or_default()
}

fn date(n: u64) -> Civil {
    let year = u16::try_from(n >> 9).unwrap_or_default();
    Civil { year, month: narrow(n >> 5 & 15), day: narrow(n & 31), micros: 0 }
}

fn seconds(h: u64, m: u64, s: u64) -> i64 {
    (h * 3600 + m * 60 + s).cast_signed()
}

/// YYYYMMDDhhmmss in decimal, of tables older than MySQL 5.6.
fn date_time_digits(n: u64) -> Civil {
    let (date, time) = (n / 1_000_000, n % 1_000_000);
    Civil {
        year: u16::try_from(date / 10_000).unwrap_or_default(),
        month: narrow(date / 100 % 100),
        day: narrow(date % 100),
        micros: seconds(time / 10_000, time / 100 % 100, time % 100) * 1_000_000,
    }
}

fn time_digits(n: u64) -> i64 {
    seconds(n / 10_000, n / 100 % 100, n % 100) * 1_000_000
}

/// Microseconds.
fn fraction(b: &mut Bytes<'_>, digits: u16) -> Result<u64, String> {
    Ok(match digits {
        0 => 0,
        1 | 2 => b.be(1)? * 10_000,
        3 | 4 => b.be(2)? * 100,
        _ => b.be(3)?,
    })
}

/// Five bytes: 1 bit of sign, 17 of year * 13 + month, 5 of day, 5 of hour, 6 of minute, 6 of second; then the fraction.
fn date_time(b: &mut Bytes<'_>, digits: u16) -> Result<Civil, String> {
    let packed = b.be(5)? & 0x7f_ffff_ffff;
    let micros = fraction(b, digits)?.cast_signed();
    Ok(from_packed(packed, micros))
}

/// From the bits after the sign, without the fraction.
pub(super) fn from_packed(packed: u64, micros: i64) -> Civil {
    let (date, time) = (packed >> 17, packed & 0x1_ffff);
    let months = date >> 5;
    Civil {
        year: u16::try_from(months / 13).unwrap_or_default(),
        month: narrow(months % 13),
        day: narrow(date & 31),
        micros: seconds(time >> 12, time >> 6 & 63, time & 63) * 1_000_000 + micros,
    }
}

fn instant(seconds: u64, micros: u64) -> Raw {
    let zero = seconds == 0 && micros == 0;
    Raw::Instant((!zero).then(|| (seconds * 1_000_000 + micros).cast_signed()))
}

/// Three bytes: 1 bit of sign, 1 not used, 10 of hour, 6 of minute, 6 of second; then the fraction. A negative time is the
/// complement of all of it, fraction included.
fn time(b: &mut Bytes<'_>, digits: u16) -> Result<i64, String> {
    let (bytes, unit) = match digits {
        0 => (0_u32, 1),
        1 | 2 => (1, 10_000),
        3 | 4 => (2, 100),
        _ => (3, 1),
    };
    let bits = 8 * bytes;
    let all = b.be(3 + usize::try_from(bytes).unwrap_or_default())?.cast_signed() - (0x80_0000_i64 << bits);
    let (sign, all) = (all.signum(), all.unsigned_abs());
    let (whole, part) = (all >> bits, all & ((1 << bits) - 1));
    let micros = seconds(whole >> 12 & 0x3ff, whole >> 6 & 63, whole & 63) * 1_000_000;
    Ok(sign * (micros + (part * unit).cast_signed()))
}

/// The values of a key, taken out of a row.
pub(super) fn key(row: &Row, key: &[usize]) -> Row {
    key.iter().map(|&i| row.get(i).cloned().unwrap_or(Value::Null)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_from_groups_of_digits() {
        // Examples of MySQL's decimal2bin: 1234567890.1234 and its negative.
        let positive = [0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2];
        assert_eq!(decimal(&mut Bytes::new(&positive), 14, 4).unwrap(), "1234567890.1234");
        let negative: Vec<u8> = positive.iter().map(|b| !b).collect();
        assert_eq!(decimal(&mut Bytes::new(&negative), 14, 4).unwrap(), "-1234567890.1234");
        assert_eq!(decimal(&mut Bytes::new(&[0x80, 0x00]), 3, 1).unwrap(), "0.0");
    }

    #[test]
    fn bytes_that_are_missing_are_an_error() {
        assert!(decimal(&mut Bytes::new(&[0x80]), 14, 4).is_err());
        assert!(TableMap::read(&[1, 2, 3]).is_err());
    }
}
