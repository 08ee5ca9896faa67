//! MySQL's binary JSON (`sql-common/json_binary.h`) to text without spaces; the text that a SELECT gives is brought to the same form.

use super::image::{Bytes, decimal, from_packed};
use std::fmt::Write as _;

/// How deep values nest at most: the server's own limit.
const DEPTH: usize = 100;

/// A document.
///
/// # Errors
/// Bytes that are no document.
pub(super) fn text(document: &[u8]) -> Result<String, String> {
    let mut out = String::with_capacity(document.len());
    match document.split_first() {
        // The server writes an empty value where a row had none.
        None => out.push_str("null"),
        Some((&kind, data)) => value(kind, data, DEPTH, &mut out)?,
    }
    Ok(out)
}

/// A document's text is at most this long: offsets may name one place many times, which the server never does.
fn longest(data: &[u8]) -> usize {
    64 + 16 * data.len()
}

fn value(kind: u8, data: &[u8], depth: usize, out: &mut String) -> Result<(), String> {
    let mut b = Bytes::new(data);
    let signed = |n: u64, bits: u32| (n << (64 - bits)).cast_signed() >> (64 - bits);
    match kind {
        0x00..=0x03 => container(kind, data, depth, out)?,
        0x04 => out.push_str(match b.le(1)? {
            0 => "null",
            1 => "true",
            2 => "false",
            other => return Err(format!("JSON literal {other}")),
        }),
        0x05 => write_number(out, signed(b.le(2)?, 16)),
        0x06 => write_number(out, b.le(2)?),
        0x07 => write_number(out, signed(b.le(4)?, 32)),
        0x08 => write_number(out, b.le(4)?),
        0x09 => write_number(out, b.le(8)?.cast_signed()),
        0x0a => write_number(out, b.le(8)?),
        0x0b => write_double(out, f64::from_bits(b.le(8)?)),
        0x0c => {
            let length = variable_length(&mut b)?;
            write_text(out, &String::from_utf8_lossy(b.take(length)?));
        }
        0x0f => opaque(&mut b, out)?,
        other => return Err(format!("JSON value of type {other}")),
    }
    Ok(())
}

/// Objects and arrays: count, size, [offset and length of each key], type and offset of each value; small ones have 2 bytes a number,
/// large ones 4. Offsets count from the count. Values that fit stand in place of their offset.
fn container(kind: u8, data: &[u8], depth: usize, out: &mut String) -> Result<(), String> {
    let Some(depth) = depth.checked_sub(1) else { return Err("the JSON nests too deep".to_owned()) };
    let (object, width) = (kind <= 1, if kind.is_multiple_of(2) { 2 } else { 4 });
    let mut b = Bytes::new(data);
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let count = number(b.le(width)?);
    b.skip(width)?;
    let at = |offset: usize| data.get(offset..).ok_or_else(|| "a JSON offset is out of bounds".to_owned());
    let mut keys = Vec::new();
    for _ in 0..if object { count } else { 0 } {
        let (offset, length) = (number(b.le(width)?), number(b.le(2)?));
        keys.push(String::from_utf8_lossy(Bytes::new(at(offset)?).take(length)?));
    }
    out.push(if object { '{' } else { '[' });
    let limit = out.len() + longest(data);
    for i in 0..count {
        if out.len() > limit {
            return Err("the JSON is longer than its bytes allow".to_owned());
        }
        if i > 0 {
            out.push(',');
        }
        if let Some(key) = keys.get(i) {
            write_text(out, key);
            out.push(':');
        }
        let kind = u8::try_from(b.le(1)?).unwrap_or_default();
        let slot = b.take(width)?;
        if matches!(kind, 0x04..=0x06) || width == 4 && matches!(kind, 0x07 | 0x08) {
            value(kind, slot, depth, out)?;
        } else {
            value(kind, at(number(Bytes::new(slot).le(width)?))?, depth, out)?;
        }
    }
    out.push(if object { '}' } else { ']' });
    Ok(())
}

/// Seven bits a byte, the low ones first.
fn variable_length(b: &mut Bytes<'_>) -> Result<usize, String> {
    let mut length = 0_usize;
    for shift in (0..35).step_by(7) {
        let byte = b.le(1)?;
        length |= usize::try_from(byte & 0x7f).unwrap_or_default() << shift;
        if byte & 0x80 == 0 {
            return Ok(length);
        }
    }
    Err("a JSON length is too long".to_owned())
}

/// A value of SQL inside of a document.
fn opaque(b: &mut Bytes<'_>, out: &mut String) -> Result<(), String> {
    let kind = u8::try_from(b.le(1)?).unwrap_or_default();
    let length = variable_length(b)?;
    let data = b.take(length)?;
    let mut b = Bytes::new(data);
    match kind {
        246 => {
            let (precision, scale) = (b.le(1)?, b.le(1)?);
            let narrow = |n: u64| usize::try_from(n).unwrap_or_default();
            let text = decimal(&mut b, narrow(precision), narrow(scale))?;
            number(out, &text);
        }
        10 | 12 | 7 | 17 | 18 => {
            let packed = b.le(8)?;
            let civil =
                from_packed((packed & 0x7fff_ffff_ffff_ffff) >> 24, (packed & 0xff_ffff).cast_signed());
            let _ = write!(out, "\"{:04}-{:02}-{:02}", civil.year, civil.month, civil.day);
            if kind != 10 {
                out.push(' ');
                clock(out, civil.micros);
            }
            out.push('"');
        }
        11 | 19 => {
            let packed = b.le(8)?.cast_signed();
            let (whole, micros) = (packed.unsigned_abs() >> 24, packed.unsigned_abs() & 0xff_ffff);
            let seconds = (whole >> 12 & 0x3ff) * 3600 + (whole >> 6 & 63) * 60 + (whole & 63);
            out.push_str(if packed < 0 { "\"-" } else { "\"" });
            clock(out, (seconds * 1_000_000 + micros).cast_signed());
            out.push('"');
        }
        other => {
            use base64::Engine as _;
            let _ = write!(
                out,
                "\"base64:type{other}:{}\"",
                base64::engine::general_purpose::STANDARD.encode(data)
            );
        }
    }
    Ok(())
}

fn clock(out: &mut String, micros: i64) {
    let seconds = micros / 1_000_000;
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let _ = write!(out, "{h:02}:{m:02}:{s:02}.{:06}", micros % 1_000_000);
}

fn write_number(out: &mut String, n: impl std::fmt::Display) {
    let _ = write!(out, "{n}");
}

fn write_double(out: &mut String, d: f64) {
    match serde_json::Number::from_f64(d) {
        Some(n) => write_number(out, n),
        None => out.push_str("null"),
    }
}

fn write_text(out: &mut String, text: &str) {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    out.push_str(&quoted);
}

/// A number of a SELECT's text. Those with a point or an exponent are brought to one form: the server's two forms of a double differ.
fn number(out: &mut String, text: &str) {
    match text.parse::<f64>() {
        Ok(d) if text.contains(['.', 'e', 'E']) => write_double(out, d),
        _ => out.push_str(text),
    }
}

/// The text of a SELECT, in the same form.
pub(super) fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '"' => {
                let length = string_length(rest);
                let token = rest.get(..length).unwrap_or(rest);
                match serde_json::from_str::<String>(token) {
                    Ok(text) => write_text(&mut out, &text),
                    Err(_) => out.push_str(token),
                }
                length
            }
            '-' | '0'..='9' => {
                let length = rest
                    .find(|c: char| !matches!(c, '-' | '+' | '.' | 'e' | 'E' | '0'..='9'))
                    .unwrap_or(rest.len());
                number(&mut out, rest.get(..length).unwrap_or_default());
                length
            }
            c => {
                if !c.is_ascii_whitespace() {
                    out.push(c);
                }
                c.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

/// The bytes of the string that begins the text, with its quotes.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return i + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_reads_as_text_without_spaces() {
        // {"a": [1, true, "é"], "b": -2.5}
        let inner = [3, 0, 18, 0, 5, 1, 0, 4, 1, 0, 0x0c, 13, 0, 2, 0xc3, 0xa9];
        let mut document =
            vec![0x00, 2, 0, 46, 0, 18, 0, 1, 0, 19, 0, 1, 0, 0x02, 20, 0, 0x0b, 36, 0, b'a', b'b'];
        document.extend(inner);
        document.extend((-2.5_f64).to_le_bytes());
        let expected = r#"{"a":[1,true,"é"],"b":-2.5}"#;
        assert_eq!(text(&document).unwrap(), expected);
        assert_eq!(compact(r#"{"a": [1, true, "é"], "b": -2.50}"#), expected);
    }

    #[test]
    fn hostile_documents_are_errors() {
        // An array that holds itself.
        let document = [0x02, 1, 0, 7, 0, 0x02, 0, 0];
        assert!(text(&document).is_err());
        for cut in 0..document.len() {
            let _ = text(document.get(..cut).unwrap());
        }
    }
}
