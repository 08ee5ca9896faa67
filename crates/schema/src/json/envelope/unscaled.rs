//! Decimals as Connect's JSON has them: Base64 of the unscaled value, two's complement, big endian.

use crate::DataType;
use crate::failure::{Failure, Fallible, abridged};
use crate::json::scalar::BASE64;
use crate::json::scan::{Scanner, Token};
use crate::json::write;
use crate::numeric::of_big_integer;
use base64::Engine;

/// Whether a type is or holds a DECIMAL.
pub(super) fn holds_decimal(data_type: &DataType) -> bool {
    match data_type {
        DataType::Decimal(..) => true,
        DataType::Array(of) | DataType::Map(of) => holds_decimal(of),
        DataType::Struct(fields) => fields.iter().any(|f| holds_decimal(&f.data_type)),
        _ => false,
    }
}

/// The same JSON with numbers for decimals; all else is copied as it is.
pub(super) fn scaled(payload: &[u8], data_type: &DataType) -> Fallible<Vec<u8>> {
    let mut s = Scanner::new(payload)?;
    let mut out = Vec::with_capacity(payload.len() + 16);
    value(&mut s, data_type, &mut out)?;
    s.end()?;
    Ok(out)
}

fn value(s: &mut Scanner<'_>, data_type: &DataType, out: &mut Vec<u8>) -> Fallible<()> {
    match (data_type, s.peek()) {
        (DataType::Decimal(_, scale), Some(b'"')) => {
            let Token::String(text) = s.token()? else { return Ok(()) };
            let bytes = BASE64.decode(text.as_bytes()).ok().and_then(|bytes| of_big_integer(&bytes));
            let unscaled = bytes.ok_or_else(|| {
                let text = abridged(&text);
                Failure::new(format!("{data_type} wanted, \"{text}\" is not Base64 of at most 128 bits"))
            })?;
            write::decimal(out, unscaled, *scale);
            Ok(())
        }
        (DataType::Array(of), Some(b'[')) if holds_decimal(of) => array(s, of, out),
        (DataType::Map(_) | DataType::Struct(_), Some(b'{')) if holds_decimal(data_type) => {
            object(s, data_type, out)
        }
        _ => {
            let start = s.pos();
            s.skip_value()?;
            out.extend_from_slice(s.since(start));
            Ok(())
        }
    }
}

fn array(s: &mut Scanner<'_>, of: &DataType, out: &mut Vec<u8>) -> Fallible<()> {
    s.enter(b'[')?;
    let mut at = 0;
    while s.more(b']', at == 0)? {
        out.push(if at == 0 { b'[' } else { b',' });
        s.skip_space();
        value(s, of, out).map_err(|e| e.in_element(at))?;
        at += 1;
    }
    out.extend_from_slice(if at == 0 { b"[]" } else { b"]" });
    Ok(())
}

fn object(s: &mut Scanner<'_>, data_type: &DataType, out: &mut Vec<u8>) -> Fallible<()> {
    s.enter(b'{')?;
    let mut first = true;
    while s.more(b'}', first)? {
        out.push(if first { b'{' } else { b',' });
        first = false;
        let key = s.key()?;
        write::string(out, &key);
        out.push(b':');
        match data_type {
            DataType::Map(of) => value(s, of, out).map_err(|e| e.in_entry(&key))?,
            DataType::Struct(fields) => match fields.iter().find(|f| f.name == *key) {
                Some(field) => value(s, &field.data_type, out).map_err(|e| e.in_field(&key))?,
                None => value(s, &DataType::Varchar, out)?,
            },
            _ => value(s, &DataType::Varchar, out)?,
        }
    }
    out.extend_from_slice(if first { b"{}" } else { b"}" });
    Ok(())
}
