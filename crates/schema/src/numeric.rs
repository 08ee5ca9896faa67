//! Exact numbers from text.

/// Why a number does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// It is no number.
    NotANumber,
    /// Digits other than zero lie beyond the scale.
    Fraction,
    /// Its magnitude is too great.
    Range,
}

/// The value of `text` times ten to the power of `scale`, exactly.
///
/// `text` is a number as in JSON, and more leniently with a leading `+` or zeros, as numbers in strings are written.
pub(crate) fn scaled(text: &str, scale: i32) -> Result<i128, Misfit> {
    let parts = split(text).ok_or(Misfit::NotANumber)?;
    let mut digits = parts.whole.bytes().chain(parts.fraction.bytes());
    // Only the digits between the first and the last that are not zero count, so that 1e-30 written at length is as cheap.
    let total = parts.whole.len() + parts.fraction.len();
    let leading = digits.by_ref().take_while(|d| *d == b'0').count();
    if leading == total {
        return Ok(0);
    }
    let trailing =
        parts.fraction.bytes().rev().chain(parts.whole.bytes().rev()).take_while(|d| *d == b'0').count();
    let significant = total - leading - trailing;
    let shift = parts.exponent + i64::from(scale) + trailing as i64 - parts.fraction.len() as i64;
    if shift < 0 {
        return Err(Misfit::Fraction);
    }
    if significant as i64 + shift > 39 {
        return Err(Misfit::Range);
    }
    let mut value: i128 = 0;
    let all = parts.whole.bytes().chain(parts.fraction.bytes());
    let zeros = std::iter::repeat_n(b'0', shift as usize);
    for digit in all.skip(leading).take(significant).chain(zeros) {
        // Downwards, because the least value has no positive counterpart.
        value = value
            .checked_mul(10)
            .and_then(|v| v.checked_sub(i128::from(digit - b'0')))
            .ok_or(Misfit::Range)?;
    }
    if parts.negative { Ok(value) } else { value.checked_neg().ok_or(Misfit::Range) }
}

/// The value of `text`, which may be any number that [`scaled`] takes, as the nearest double.
pub(crate) fn double(text: &str) -> Result<f64, Misfit> {
    split(text).ok_or(Misfit::NotANumber)?;
    finite(text)
}

/// The nearest double of a text that is known to be a number.
pub(crate) fn finite(text: &str) -> Result<f64, Misfit> {
    let value: f64 = text.parse().map_err(|_| Misfit::NotANumber)?;
    if value.is_finite() { Ok(value) } else { Err(Misfit::Range) }
}

struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i64,
}

/// `[+-]digits[.digits][(e|E)[+-]digits]`
fn split(text: &str) -> Option<Parts<'_>> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], exponent(&rest[at + 1..])?),
        None => (rest, 0),
    };
    let (whole, fraction) = match mantissa.find('.') {
        Some(at) => (&mantissa[..at], Some(&mantissa[at + 1..])),
        None => (mantissa, None),
    };
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !fraction.is_none_or(digits) {
        return None;
    }
    Some(Parts { negative, whole, fraction: fraction.unwrap_or(""), exponent })
}

/// Saturates far outside of what any type holds, yet far from overflow.
fn exponent(text: &str) -> Option<i64> {
    const FAR: i64 = 1 << 40;
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    for b in digits.bytes() {
        if !b.is_ascii_digit() {
            return None;
        }
        value = (value * 10 + i64::from(b - b'0')).min(FAR);
    }
    Some(sign * value)
}

/// Whether a decimal of that unscaled value has no more than `precision` digits.
pub(crate) fn fits_precision(unscaled: i128, precision: u8) -> bool {
    10u128.checked_pow(u32::from(precision)).is_none_or(|limit| unscaled.unsigned_abs() < limit)
}

/// Two's complement, big endian, as short as it goes: `java.math.BigInteger.toByteArray`.
pub(crate) fn big_integer(value: i128) -> Vec<u8> {
    shortest(&value.to_be_bytes()).to_vec()
}

/// The least of these bytes, of a two's complement number in big endian, that are the same number.
pub(crate) fn shortest(bytes: &[u8; 16]) -> &[u8] {
    let negative = bytes[0] >= 0x80;
    let filler = if negative { 0xff } else { 0 };
    let is_sign = |at: usize| bytes[at] == filler && (bytes[at + 1] >= 0x80) == negative;
    let start = (0..bytes.len() - 1).find(|at| !is_sign(*at)).unwrap_or(bytes.len() - 1);
    &bytes[start..]
}

/// The reverse of [`big_integer`]; `None` beyond 128 bits.
pub(crate) fn of_big_integer(bytes: &[u8]) -> Option<i128> {
    if bytes.len() > 16 {
        return None;
    }
    let filler = if bytes.first().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
    let mut whole = [filler; 16];
    whole[16 - bytes.len()..].copy_from_slice(bytes);
    Some(i128::from_be_bytes(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_scale_exactly_or_say_why_not() {
        for (text, scale, wanted) in [
            ("0", 0, Ok(0)),
            ("-0.000", 0, Ok(0)),
            ("5.0", 0, Ok(5)),
            ("1e3", 0, Ok(1000)),
            ("1.5E+1", 0, Ok(15)),
            ("1500e-2", 0, Ok(15)),
            ("+007", 0, Ok(7)),
            ("12.5", 2, Ok(1250)),
            ("1200", -2, Ok(12)),
            ("0e99999999999999999999", 0, Ok(0)),
            ("-170141183460469231731687303715884105728", 0, Ok(i128::MIN)),
            ("170141183460469231731687303715884105728", 0, Err(Misfit::Range)),
            ("1e99999999999999999999", 0, Err(Misfit::Range)),
            ("1e-99999999999999999999", 9, Err(Misfit::Fraction)),
            ("12.345", 2, Err(Misfit::Fraction)),
            ("", 0, Err(Misfit::NotANumber)),
            ("-", 0, Err(Misfit::NotANumber)),
            ("1.", 0, Err(Misfit::NotANumber)),
            ("1e", 0, Err(Misfit::NotANumber)),
            ("1e+", 0, Err(Misfit::NotANumber)),
            (".5", 0, Err(Misfit::NotANumber)),
            ("0x10", 0, Err(Misfit::NotANumber)),
            ("é", 0, Err(Misfit::NotANumber)),
        ] {
            assert_eq!(scaled(text, scale), wanted, "{text} at scale {scale}");
        }
    }

    #[test]
    fn a_double_is_finite_and_written_as_a_number() {
        assert_eq!(double("1e-400"), Ok(0.0));
        assert_eq!(double("1e400"), Err(Misfit::Range));
        assert_eq!(double("NaN"), Err(Misfit::NotANumber));
        assert_eq!(double("inf"), Err(Misfit::NotANumber));
    }

    #[test]
    fn big_integers_are_as_short_as_java_s() {
        for (value, wanted) in [
            (0, vec![0]),
            (127, vec![127]),
            (128, vec![0, 128]),
            (-128, vec![128]),
            (-129, vec![255, 127]),
            (i128::from(i64::MAX), [vec![127], vec![255; 7]].concat()),
        ] {
            assert_eq!(big_integer(value), wanted);
            assert_eq!(of_big_integer(&wanted), Some(value));
        }
        assert_eq!(of_big_integer(&[1; 17]), None);
    }
}
