//! Values without parts as JSON text.

use super::scalar::BASE64;
use super::scan::special;
use crate::failure::{Failure, Fallible};
use base64::Engine;

/// A string in quotes. Only what must be escaped is: quotes, backslashes, control characters.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut start = 0;
    loop {
        let at = special(bytes, start);
        out.extend_from_slice(&bytes[start..at]);
        let Some(byte) = bytes.get(at) else { break };
        escape(out, *byte);
        start = at + 1;
    }
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

pub(super) fn integer(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

pub(super) fn boolean(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// The shortest digits that read back as the same value, laid out as Java does: `53.0`, `1.0E10`.
pub(crate) fn double(out: &mut Vec<u8>, value: f64) -> Fallible<()> {
    if !value.is_finite() {
        return Err(Failure::new(format!("JSON has no number for {value}")));
    }
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(value);
    // In this range the layouts are the same.
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        out.extend_from_slice(text.as_bytes());
        return Ok(());
    }
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (mantissa, exponent) = match text.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().unwrap_or(0)),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let leading = digits.iter().take_while(|d| **d == b'0').count();
    let trailing = digits.iter().rev().take_while(|d| **d == b'0').count();
    // Not all are zeros, since the value is not.
    let significant = &digits[leading..digits.len() - trailing];
    out.extend_from_slice(sign.as_bytes());
    out.extend_from_slice(&significant[..1]);
    out.push(b'.');
    out.extend_from_slice(if significant.len() > 1 { &significant[1..] } else { b"0" });
    out.push(b'E');
    integer(out, exponent + whole.len() as i64 - 1 - leading as i64);
    Ok(())
}

/// A plain number with as many digits after the point as the scale says.
pub(crate) fn decimal(out: &mut Vec<u8>, unscaled: i128, scale: i8) {
    if unscaled < 0 {
        out.push(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(unscaled.unsigned_abs()).as_bytes();
    let places = usize::from(scale.max(0).unsigned_abs());
    if places == 0 {
        out.extend_from_slice(digits);
        if unscaled != 0 {
            out.extend(std::iter::repeat_n(b'0', usize::from(scale.unsigned_abs())));
        }
        return;
    }
    let whole = digits.len().saturating_sub(places);
    out.extend_from_slice(if whole == 0 { b"0" } else { &digits[..whole] });
    out.push(b'.');
    out.extend(std::iter::repeat_n(b'0', places.saturating_sub(digits.len())));
    out.extend_from_slice(&digits[whole..]);
}

pub(super) fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(BASE64.encode(value).as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_are_shortest_and_always_look_like_doubles() {
        for (value, wanted) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (-8.0, "-8.0"),
            (53.0, "53.0"),
            (-86.0689, "-86.0689"),
            (0.1, "0.1"),
            (0.001, "0.001"),
            (0.00099, "9.9E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1e10, "1.0E10"),
            (-12_345_678.5, "-1.23456785E7"),
            (1e16, "1.0E16"),
            (1.25e300, "1.25E300"),
            (5e-324, "5.0E-324"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
        ] {
            assert_eq!(written(|out| double(out, value).unwrap()), wanted);
            assert_eq!(wanted.parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
        assert!(double(&mut Vec::new(), f64::NAN).is_err());
        assert!(double(&mut Vec::new(), f64::NEG_INFINITY).is_err());
    }

    #[test]
    fn decimals_show_their_scale() {
        for (unscaled, scale, wanted) in [
            (1250, 2, "12.50"),
            (-5, 2, "-0.05"),
            (0, 2, "0.00"),
            (0, -2, "0"),
            (5, -2, "500"),
            (7, 0, "7"),
            (i128::MIN, 38, "-1.70141183460469231731687303715884105728"),
        ] {
            assert_eq!(written(|out| decimal(out, unscaled, scale)), wanted);
        }
    }

    #[test]
    fn strings_escape_only_what_they_must() {
        let text = "a\"b\\c\n\r\t\u{8}\u{c}\u{1}/é\u{7f}\u{1f600}";
        let wanted = "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001/é\u{7f}\u{1f600}\"";
        assert_eq!(written(|out| string(out, text)), wanted);
    }
}
