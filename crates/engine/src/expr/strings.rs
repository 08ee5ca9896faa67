//! Functions of strings, by characters.

use super::node::Kernel;
use super::operand::{Operand, Texts, build, build_texts};
use crate::error::EngineError;
use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::types::{Int32Type, Int64Type};
use std::sync::Arc;

fn texts(args: &[Operand]) -> Result<Vec<Texts<'_>>, EngineError> {
    args.iter().map(Operand::texts).collect()
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// `CONCAT(a, b, ...)`: NULLs are skipped.
pub(super) fn concat() -> Kernel {
    Kernel::lenient(|args, len, _| {
        let parts = texts(args)?;
        build_texts(len, 16 * parts.len(), |row, out| {
            parts.iter().filter_map(|p| p.get(row)).for_each(|text| put(out, text));
            Some(())
        })
    })
}

/// `CONCAT_WS(separator, a, b, ...)`: NULLs are skipped, a NULL separator gives NULL.
pub(super) fn concat_ws() -> Kernel {
    Kernel::lenient(|args, len, _| {
        let parts = texts(args)?;
        build_texts(len, 16 * parts.len(), |row, out| {
            let separator = parts[0].get(row)?;
            for (i, text) in parts[1..].iter().filter_map(|p| p.get(row)).enumerate() {
                if i > 0 {
                    put(out, separator);
                }
                put(out, text);
            }
            Some(())
        })
    })
}

/// A function of one string.
fn map(f: fn(&str, &mut Vec<u8>)) -> Kernel {
    Kernel::total(move |args, len, _| {
        let text = args[0].texts()?;
        build_texts(len, 16, |row, out| text.get(row).map(|t| f(t, out)))
    })
}

/// `UCASE(s)`, `UPPER(s)`.
pub(super) fn ucase() -> Kernel {
    map(|text, out| put(out, &text.to_uppercase()))
}

/// `LCASE(s)`, `LOWER(s)`.
pub(super) fn lcase() -> Kernel {
    map(|text, out| put(out, &text.to_lowercase()))
}

/// `TRIM(s)`: without leading and trailing characters up to the space, as Java's.
pub(super) fn trim() -> Kernel {
    map(|text, out| put(out, text.trim_matches(|c| c <= ' ')))
}

/// `LEN(s)`: characters.
pub(super) fn len() -> Kernel {
    Kernel::total(|args, len, _| {
        let text = args[0].texts()?;
        let count = |t: &str| i32::try_from(t.chars().count()).unwrap_or(i32::MAX);
        Ok(Arc::new(build::<Int32Type>(len, |row| text.get(row).map(count))))
    })
}

/// `SUBSTRING(s, start [, length])`: 1-based; a negative start counts from the end.
pub(super) fn substring() -> Kernel {
    Kernel::total(|args, len, _| {
        let text = args[0].texts()?;
        let start = args[1].values::<Int64Type>()?;
        let length = args.get(2).map(Operand::values::<Int64Type>).transpose()?;
        build_texts(len, 16, |row, out| {
            let (text, start) = (text.get(row)?, start.get(row)?);
            let length = match &length {
                Some(length) => length.get(row)?.max(0),
                None => i64::MAX,
            };
            let skip = if start < 0 {
                let count = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
                count.saturating_add(start).max(0)
            } else {
                (start - 1).max(0)
            };
            let end = skip.saturating_add(length);
            // Byte places of the first character and of the one behind the last.
            let place = |nth: i64| {
                let nth = usize::try_from(nth).unwrap_or(usize::MAX);
                if text.is_ascii() {
                    return nth.min(text.len());
                }
                text.char_indices().nth(nth).map_or(text.len(), |(at, _)| at)
            };
            put(out, &text[place(skip)..place(end)]);
            Some(())
        })
    })
}

/// `REPLACE(s, from, to)`.
pub(super) fn replace() -> Kernel {
    Kernel::total(|args, len, _| {
        let [text, from, to] = [args[0].texts()?, args[1].texts()?, args[2].texts()?];
        build_texts(len, 16, |row, out| {
            put(out, &text.get(row)?.replace(from.get(row)?, to.get(row)?));
            Some(())
        })
    })
}

/// Longer results of LPAD are an error of the row, so that one row cannot take all memory.
const MOST_PADDED: i64 = 1 << 20;

/// `LPAD(s, length, padding)`: filled on the left, or cut, to `length` characters; NULL for a negative length or no padding.
pub(super) fn lpad() -> Kernel {
    Kernel::partial(|args, len, failures| {
        let (text, padding) = (args[0].texts()?, args[2].texts()?);
        let length = args[1].values::<Int64Type>()?;
        build_texts(len, 16, |row, out| {
            let (text, length, padding) = (text.get(row)?, length.get(row)?, padding.get(row)?);
            if padding.is_empty() || length < 0 {
                return None;
            }
            if length > MOST_PADDED {
                failures.mark(row);
                return None;
            }
            let length = usize::try_from(length).ok()?;
            let missing = length.saturating_sub(text.chars().count());
            let mut buffer = [0; 4];
            for c in padding.chars().cycle().take(missing).chain(text.chars().take(length - missing)) {
                put(out, c.encode_utf8(&mut buffer));
            }
            Some(())
        })
    })
}

/// `SPLIT(s, delimiter)`: an empty delimiter splits into characters.
pub(super) fn split() -> Kernel {
    Kernel::total(|args, len, _| {
        let (text, delimiter) = (args[0].texts()?, args[1].texts()?);
        let mut out = ListBuilder::with_capacity(StringBuilder::new(), len);
        for row in 0..len {
            let (Some(text), Some(delimiter)) = (text.get(row), delimiter.get(row)) else {
                out.append_null();
                continue;
            };
            let values = out.values();
            if delimiter.is_empty() {
                let mut buffer = [0; 4];
                text.chars().for_each(|c| values.append_value(c.encode_utf8(&mut buffer)));
                if text.is_empty() {
                    values.append_value("");
                }
            } else {
                text.split(delimiter).for_each(|part| values.append_value(part));
            }
            out.append(true);
        }
        Ok(Arc::new(out.finish()))
    })
}
