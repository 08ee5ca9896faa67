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
                let end = rest.find(|c| delimiter.is(c) || c == '\n' || c == '\r').unwrap_or(rest.len());
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

/// Appends a field, quoted where it must be; the `first` of a line also where it is empty.
pub(super) fn put(out: &mut Vec<u8>, text: &str, delimiter: Delimiter, first: bool) {
    let special = |c: char| c == '"' || c == '\n' || c == '\r' || delimiter.is(c);
    let quote = match (text.chars().next(), text.chars().next_back()) {
        (Some(begin), Some(end)) => begin <= '#' || end <= ' ' || text.contains(special),
        _ => first,
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
