//! From input to records.

use crate::cli::{InputFormat, Produce};
use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

/// A record to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NewRecord {
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(super) partition: Option<i32>,
    pub(super) timestamp: Option<i64>,
}

/// How the input is read.
pub(super) struct Input {
    json: bool,
    separator: Option<Vec<u8>>,
    null: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Input {
    pub(super) fn new(args: &Produce) -> Result<Self> {
        let headers = args.header.iter().map(|text| match text.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), Some(value.as_bytes().to_vec()))),
            None => Err(anyhow!("--header {text}: expected NAME=VALUE")),
        });
        if args.format == InputFormat::Files && args.file.is_empty() {
            bail!("--format files needs --file");
        }
        if args.key_separator.as_deref() == Some("") {
            bail!("--key-separator is empty");
        }
        let bytes = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().to_vec());
        Ok(Self {
            json: args.format == InputFormat::Json,
            separator: bytes(&args.key_separator),
            null: bytes(&args.null),
            key: bytes(&args.key),
            headers: headers.collect::<Result<_>>()?,
        })
    }

    pub(super) fn of_file(&self, bytes: Vec<u8>) -> NewRecord {
        NewRecord {
            key: self.key.clone(),
            value: Some(bytes),
            headers: self.headers.clone(),
            ..NewRecord::default()
        }
    }

    /// `None` for an empty line between JSON objects.
    pub(super) fn of_line(&self, line: &[u8]) -> Result<Option<NewRecord>> {
        if self.json {
            if line.iter().all(u8::is_ascii_whitespace) {
                return Ok(None);
            }
            let mut record = of_json(line)?;
            record.headers.splice(0..0, self.headers.iter().cloned());
            return Ok(Some(record));
        }
        let (key, value) = match &self.separator {
            None => (self.key.as_deref(), line),
            Some(separator) => {
                let text = String::from_utf8_lossy(separator);
                let parts = split(line, separator);
                let (key, value) = parts.ok_or_else(|| anyhow!("no {text:?} between key and value"))?;
                (Some(key), value)
            }
        };
        let value = Some(value).filter(|value| self.null.as_deref() != Some(value));
        Ok(Some(NewRecord {
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            headers: self.headers.clone(),
            ..NewRecord::default()
        }))
    }
}

/// What stands before and behind the first separator.
fn split<'a>(text: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(separator.len()).position(|w| w == separator)?;
    Some((text.get(..at)?, text.get(at + separator.len()..)?))
}

/// An object as `bd consume --format json` prints it. A key or value that is no string is written as its JSON.
fn of_json(line: &[u8]) -> Result<NewRecord> {
    let value: Value = serde_json::from_slice(line).context("not JSON")?;
    let Value::Object(mut object) = value else { bail!("not a JSON object") };
    let bytes = |value: Option<Value>| match value {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.into_bytes()),
        Some(other) => Some(other.to_string().into_bytes()),
    };
    let mut record = NewRecord::default();
    for (name, value) in std::mem::take(&mut object) {
        match name.as_str() {
            "key" => record.key = bytes(Some(value)),
            "value" => record.value = bytes(Some(value)),
            "partition" if value.is_null() => {}
            "partition" => {
                let number = value.as_i64().and_then(|n| i32::try_from(n).ok()).filter(|n| *n >= 0);
                record.partition = Some(number.ok_or_else(|| anyhow!("partition {value}"))?);
            }
            "timestamp" if value.is_null() => {}
            "timestamp" => {
                let number = value.as_i64();
                record.timestamp =
                    Some(number.ok_or_else(|| anyhow!("timestamp {value}: expected ms since 1970"))?);
            }
            "headers" => {
                let wrong = || anyhow!("headers {value}: expected [[name, value], ...]");
                for pair in value.as_array().ok_or_else(wrong)? {
                    match pair.as_array().map(Vec::as_slice) {
                        Some([Value::String(name), value]) => {
                            record.headers.push((name.clone(), bytes(Some(value.clone()))));
                        }
                        _ => return Err(wrong()),
                    }
                }
            }
            // Where a record was read is not where it is written.
            "topic" | "offset" => {}
            other => bail!("unknown field {other}: known are key, value, headers, partition, timestamp"),
        }
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(separator: Option<&str>, null: Option<&str>) -> Input {
        let bytes = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
        Input { json: false, separator: bytes(separator), null: bytes(null), key: None, headers: Vec::new() }
    }

    #[test]
    fn a_line_splits_at_its_first_separator() {
        let record = lines(Some("::"), None).of_line(b"k::v::w").unwrap().unwrap();
        assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&b"k"[..]), Some(&b"v::w"[..])));
        let said = lines(Some(":"), None).of_line(b"kv").unwrap_err().to_string();
        assert_eq!(said, "no \":\" between key and value");
    }

    #[test]
    fn the_null_text_is_a_tombstone() {
        let record = lines(Some(":"), Some("NULL")).of_line(b"k:NULL").unwrap().unwrap();
        assert_eq!((record.key.as_deref(), record.value), (Some(&b"k"[..]), None));
        assert_eq!(lines(None, None).of_line(b"").unwrap().unwrap().value, Some(Vec::new()));
    }

    #[test]
    fn what_consume_prints_is_read_again() {
        let line = br#"{"topic":"t","partition":1,"offset":9,"timestamp":5,"key":"k","value":{"a":1},"headers":[["h",null],["h","x"]]}"#;
        let record = of_json(line).unwrap();
        assert_eq!((record.partition, record.timestamp), (Some(1), Some(5)));
        assert_eq!(record.value.as_deref(), Some(&br#"{"a":1}"#[..]));
        assert_eq!(record.headers, [("h".into(), None), ("h".into(), Some(b"x".to_vec()))]);
        assert_eq!(of_json(br#"{"key":"k","value":null}"#).unwrap().value, None);
        assert!(of_json(b"[]").unwrap_err().to_string().contains("not a JSON object"));
        assert!(of_json(br#"{"valeu":1}"#).unwrap_err().to_string().contains("unknown field valeu"));
        assert!(of_json(br#"{"headers":{"a":1}}"#).is_err());
    }
}
