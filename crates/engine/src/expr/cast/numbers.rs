//! Numbers as other numbers and as digits.

use crate::expr::decimal::{power_of_ten, rescale};

/// Towards zero; `None` where it does not fit.
pub(super) fn truncate_i64(x: f64) -> Option<i64> {
    // 2^63 is exact as a double and the first that is too great.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let whole = x.trunc();
    (-LIMIT..LIMIT).contains(&whole).then_some(whole as i64)
}

/// As [`truncate_i64`].
pub(super) fn truncate_i32(x: f64) -> Option<i32> {
    truncate_i64(x).and_then(|x| i32::try_from(x).ok())
}

/// The digits of a finite double, as few as tell it from its neighbours: it is nearest to `mantissa * 10^exponent`.
pub(super) fn shortest(x: f64) -> Option<(i128, i32)> {
    if !x.is_finite() {
        return None;
    }
    let text = format!("{x:e}");
    let (mantissa, exponent) = text.split_once('e')?;
    let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    Some((digits.parse().ok()?, exponent.parse::<i32>().ok()? - i32::try_from(fraction).ok()?))
}

/// `mantissa * 10^exponent` at that scale, rounded half away from zero.
pub(super) fn at_scale(mantissa: i128, exponent: i32, scale: i8) -> Option<i128> {
    let from = i8::try_from((-exponent).clamp(-120, 120)).ok()?;
    match i32::from(scale) + exponent {
        _ if mantissa == 0 => Some(0),
        40.. => None,
        ..-40 => Some(0),
        _ => rescale(mantissa, from, scale),
    }
}

/// A double as a decimal, by the digits that it is written with.
pub(super) fn double_to_decimal(x: f64, scale: i8) -> Option<i128> {
    let (mantissa, exponent) = shortest(x)?;
    at_scale(mantissa, exponent, scale)
}

/// The nearest double.
pub(super) fn decimal_to_double(unscaled: i128, scale: i8) -> f64 {
    // By its text, because a quotient of two rounded doubles may be off by one place.
    format!("{unscaled}e{}", -i32::from(scale)).parse().unwrap_or(f64::NAN)
}

/// The whole part of a decimal.
pub(super) fn whole(unscaled: i128, scale: i8) -> Option<i128> {
    match u32::try_from(scale) {
        Ok(scale) => Some(power_of_ten(scale).map_or(0, |unit| unscaled / unit)),
        Err(_) => unscaled.checked_mul(power_of_ten(u32::from(scale.unsigned_abs()))?),
    }
}

/// Rounded to so many decimals, halves towards positive infinity.
pub(in crate::expr) fn round_at(x: f64, decimals: i32) -> f64 {
    let Some((mantissa, exponent)) = shortest(x) else { return x };
    let Ok(drop @ 1..) = u32::try_from(-exponent - decimals) else { return x };
    let rounded = power_of_ten(drop).map_or(0, |unit| (mantissa + unit / 2).div_euclid(unit));
    format!("{rounded}e{}", -decimals).parse().unwrap_or(x)
}

/// A double as Java writes it: `1.0`, `0.001`, `1.0E7`, `1.2E-5`, `NaN`, `-Infinity`.
pub(super) fn write_double(x: f64, out: &mut Vec<u8>) {
    use std::io::Write;
    // Writing to memory does not fail.
    let _ = if x.is_nan() {
        out.write_all(b"NaN")
    } else if x.is_infinite() {
        out.write_all(if x > 0.0 { b"Infinity" } else { b"-Infinity" })
    } else if x == 0.0 || (1e-3..1e7).contains(&x.abs()) {
        write!(out, "{x:?}")
    } else {
        let text = format!("{x:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let point = if mantissa.contains('.') { "" } else { ".0" };
        write!(out, "{mantissa}{point}E{exponent}")
    };
}

/// A decimal with all of its scale's digits.
pub(super) fn write_decimal(unscaled: i128, scale: i8, out: &mut Vec<u8>) {
    let digits = unscaled.unsigned_abs().to_string();
    if unscaled < 0 {
        out.push(b'-');
    }
    let Ok(scale) = usize::try_from(scale) else {
        out.extend_from_slice(digits.as_bytes());
        if unscaled != 0 {
            out.resize(out.len() + usize::from(scale.unsigned_abs()), b'0');
        }
        return;
    };
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    out.extend_from_slice(whole.as_bytes());
    if scale > 0 {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
}

/// A decimal number in text: its digits and the power of ten by which to multiply them.
pub(super) fn parse_decimal(text: &str) -> Option<(i128, i32)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.as_bytes().first()? {
        b'-' => (true, &mantissa[1..]),
        b'+' => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (mut value, mut exponent, mut digits, mut point) = (0i128, exponent, 0usize, false);
    for b in mantissa.bytes() {
        match b {
            b'.' if !point => point = true,
            b'0'..=b'9' => {
                digits += 1;
                match value.checked_mul(10).and_then(|v| v.checked_add(i128::from(b - b'0'))) {
                    Some(next) => {
                        value = next;
                        exponent = exponent.checked_sub(i32::from(point))?;
                    }
                    // More digits than any DECIMAL has: behind the point they do not count.
                    None if point => {}
                    None => return None,
                }
            }
            _ => return None,
        }
    }
    (digits > 0).then_some((if negative { -value } else { value }, exponent.clamp(-1_000_000, 1_000_000)))
}

/// A finite double in text.
pub(super) fn parse_double(text: &str) -> Option<f64> {
    let numeric = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
    let value: f64 = text.bytes().all(numeric).then(|| text.parse().ok())??;
    value.is_finite().then_some(value)
}
