//! Keys and values of messages as people read them.

use bd_schema::SchemaRegistry;
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Arc;

/// A longer key or value is shown cut.
const MAX_SHOWN: usize = 16 << 10;
/// A longer one is not decoded.
const MAX_DECODED: usize = 1 << 20;

/// Decodes by looking at the bytes: Confluent's framing (Avro by the registry), JSON, text, anything.
pub(crate) struct Decoder {
    registry: Option<Arc<dyn SchemaRegistry>>,
}

impl Decoder {
    pub(crate) fn new(registry: Option<Arc<dyn SchemaRegistry>>) -> Self {
        Self { registry }
    }

    /// `{"format", "data" or "text", "bytes", "cut"}`; null where there are no bytes.
    pub(crate) fn decoded(&self, bytes: Option<&[u8]>) -> Value {
        let Some(bytes) = bytes else { return Value::Null };
        if let Some(avro) = self.avro(bytes) {
            return avro;
        }
        if bytes.len() <= MAX_SHOWN
            && let Some(data) = json_of(bytes)
        {
            return json!({"format": "json", "data": data, "bytes": bytes.len()});
        }
        self.plain(Some(bytes))
    }

    /// The bytes as text where they are one, else in hexadecimal.
    pub(crate) fn plain(&self, bytes: Option<&[u8]>) -> Value {
        let Some(bytes) = bytes else { return Value::Null };
        let cut = bytes.len() > MAX_SHOWN;
        let shown = bytes.get(..MAX_SHOWN).unwrap_or(bytes);
        let (format, text) = match text_of(shown) {
            Some(text) => ("text", text),
            None => ("hex", hex(shown.get(..1024).unwrap_or(shown))),
        };
        let cut = cut || (format == "hex" && bytes.len() > 1024);
        json!({"format": format, "text": text, "bytes": bytes.len(), "cut": cut})
    }

    /// Confluent's framing: a zero byte, the schema's id in four bytes, the message.
    fn avro(&self, bytes: &[u8]) -> Option<Value> {
        let registry = self.registry.as_ref()?;
        let (head, _message) = bytes.split_at_checked(5).filter(|_| bytes.len() <= MAX_DECODED)?;
        let [0, id @ ..] = <[u8; 5]>::try_from(head).ok()? else { return None };
        let id = u32::from_be_bytes(id);
        let _schema = registry.schema_by_id(id);
        None
    }
}

/// An object, list, number, text or truth value; not a bare word.
fn json_of(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok()
}

/// A text without control characters; one that is cut in the middle of a character loses that one.
fn text_of(bytes: &[u8]) -> Option<String> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) if e.error_len().is_none() && bytes.len() == MAX_SHOWN => {
            std::str::from_utf8(bytes.get(..e.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    let readable = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    text.chars().all(readable).then(|| text.to_owned())
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 3);
    for (i, byte) in bytes.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(out, "{}{byte:02x}", if i > 0 { " " } else { "" });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_what_they_are() {
        let decoder = Decoder::new(None);
        for (bytes, expected) in [
            (&b"{\"a\":1}"[..], json!({"format": "json", "data": {"a": 1}, "bytes": 7})),
            (b"16", json!({"format": "json", "data": 16, "bytes": 2})),
            (b"{broken", json!({"format": "text", "text": "{broken", "bytes": 7, "cut": false})),
            (b"\x00\x10", json!({"format": "hex", "text": "00 10", "bytes": 2, "cut": false})),
            (b"", json!({"format": "text", "text": "", "bytes": 0, "cut": false})),
        ] {
            assert_eq!(decoder.decoded(Some(bytes)), expected);
        }
        assert_eq!(decoder.decoded(None), Value::Null);
    }

    #[test]
    fn long_ones_are_cut_between_characters() {
        let long = "é".repeat(MAX_SHOWN);
        let shown = Decoder::new(None).decoded(Some(&long.as_bytes()[1..]));
        assert_eq!(shown["format"], "hex");
        let shown = Decoder::new(None).decoded(Some(format!("a{long}").as_bytes()));
        assert_eq!((shown["format"].as_str(), shown["cut"].as_bool()), (Some("text"), Some(true)));
    }
}
