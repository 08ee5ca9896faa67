//! A line of delimited text to its fields, and back, by the rules of Apache Commons CSV's default format, which ksqlDB uses.

use super::Delimiter;
use crate::failure::{Failure, Fallible};
use std::borrow::Cow;

/// Splits the one line of `text` into `fields`, which is emptied first. Lines without anything are passed over.
///
/// # Errors
/// Nothing is in it; a quoted field does not end, or goes on after its end; another line follows.
pub(super) fn split<'a>(text: &'a str, delimiter: Delimiter, fields: &mut Vec<Cow<'a, str>>) -> Fallible<()> {
    fields.clear();
    let mut rest = text.trim_start_matches(['\r', '\n']);
    if rest.is_empty() {
        return Err(Failure::new("No fields in record"));
    }
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => self::quoted(quoted)?,
            None => {
                let end = match u8::try_from(delimiter.0) {
                    Ok(byte) if byte.is_ascii() => first_of(rest.as_bytes(), [byte, b'\n', b'\r']),
                    _ => rest.find([delimiter.0, '\n', '\r']),
                };
                let end = end.unwrap_or(rest.len());
                (Cow::Borrowed(&rest[..end]), &rest[end..])
            }
        };
        fields.push(field);
        // What stands between a closing quote and the delimiter may only be blank.
        let after_blank = after.trim_start_matches(|c| c == ' ' || (c == '\t' && !delimiter.is('\t')));
        let after = if delimiter.is(' ') { after } else { after_blank };
        let mut next = after.chars();
        match next.next() {
            None => return Ok(()),
            Some(c) if delimiter.is(c) => rest = next.as_str(),
            Some('\n' | '\r') => {
                return match next.as_str().trim_matches(['\r', '\n']).is_empty() {
                    true => Ok(()),
                    false => Err(Failure::new("the record holds more than one line")),
                };
            }
            Some(c) => {
                return Err(Failure::new(format!(
                    "invalid character {c:?} between quoted field and delimiter"
                )));
            }
        }
    }
}

/// A field after its opening quote, and what follows its closing one.
fn quoted(text: &str) -> Fallible<(Cow<'_, str>, &str)> {
    let mut unescaped: Option<String> = None;
    let mut from = 0;
    loop {
        let Some(quote) = text[from..].find('"') else {
            return Err(Failure::new("a quoted field does not end"));
        };
        let (part, after) = (&text[from..from + quote], &text[from + quote + 1..]);
        if let Some(more) = after.strip_prefix('"') {
            let whole = unescaped.get_or_insert_default();
            whole.push_str(part);
            whole.push('"');
            from = text.len() - more.len();
            continue;
        }
        let field = match unescaped {
            Some(mut whole) => {
                whole.push_str(part);
                Cow::Owned(whole)
            }
            None => Cow::Borrowed(part),
        };
        return Ok((field, after));
    }
}

/// The place of the first byte that is one of these ASCII ones; eight are looked at together.
fn first_of<const N: usize>(bytes: &[u8], wanted: [u8; N]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let (chunks, rest) = bytes.as_chunks::<8>();
    for (i, chunk) in chunks.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        let mut found = 0;
        for byte in wanted {
            // Zero where the byte is. The lowest bit that is set is right, those above it need not be.
            let zero = word ^ (ONES * u64::from(byte));
            found |= zero.wrapping_sub(ONES) & !zero & HIGHS;
        }
        if found != 0 {
            return Some(i * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|byte| wanted.contains(byte))?;
    Some(chunks.len() * 8 + at)
}

/// Appends a field, quoted where it must be; the `first` of a line also where it is empty.
pub(super) fn put(out: &mut Vec<u8>, text: &str, delimiter: Delimiter, first: bool) {
    let special = || match u8::try_from(delimiter.0) {
        Ok(byte) if byte.is_ascii() => first_of(text.as_bytes(), [b'"', b'\n', b'\r', byte]).is_some(),
        _ => text.contains(['"', '\n', '\r', delimiter.0]),
    };
    let quote = match text.as_bytes() {
        [] => first,
        [begin, ..] if *begin <= b'#' => true,
        [.., end] => *end <= b' ' || special(),
    };
    if !quote {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for (i, part) in text.split('"').enumerate() {
        if i > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::first_of;

    #[test]
    fn the_first_of_the_bytes_is_found_wherever_it_is() {
        let all: Vec<u8> = (0..40).map(|i| if i % 3 == 0 { 0xc3 } else { b'-' }).collect();
        assert_eq!(first_of(&all, [b',', b'\n']), None);
        for at in 0..all.len() {
            for (byte, next) in [(b',', b'\n'), (b'\n', b','), (b',', b'-')] {
                let mut bytes = all.clone();
                bytes[at] = byte;
                if let Some(after) = bytes.get_mut(at + 1) {
                    *after = next;
                }
                for len in at + 1..=all.len() {
                    assert_eq!(first_of(&bytes[..len], [b',', b'\n']), Some(at));
                }
            }
        }
    }
}
