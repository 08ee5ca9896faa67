//! Which records are printed.

use super::records::Record;
use crate::cli::Consume;
use crate::commands::time;
use anyhow::{Context, Result};

/// All conditions must hold.
pub(super) struct Filter {
    key: Option<Vec<u8>>,
    key_contains: Option<Vec<u8>>,
    value_contains: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
    from: Option<i64>,
    until: Option<i64>,
}

impl Filter {
    pub(super) fn new(args: &Consume) -> Result<Self> {
        let bytes = |text: &Option<String>| text.as_ref().map(|t| t.as_bytes().to_vec());
        let headers = args.header.iter().map(|text| match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.as_bytes().to_vec())),
            None => (text.clone(), None),
        });
        let now = time::now_ms();
        let instant = |option: &'static str, text: &Option<String>| {
            text.as_deref().map(|text| time::instant(text, now).context(option)).transpose()
        };
        Ok(Self {
            key: bytes(&args.key),
            key_contains: bytes(&args.key_contains),
            value_contains: bytes(&args.value_contains),
            headers: headers.collect(),
            // Times of records need not ascend with their offsets.
            from: instant("--from", &args.from)?,
            until: instant("--until", &args.until)?,
        })
    }

    /// Whether every record passes.
    pub(super) fn is_empty(&self) -> bool {
        let Self { key, key_contains, value_contains, headers, from, until } = self;
        key.is_none()
            && key_contains.is_none()
            && value_contains.is_none()
            && headers.is_empty()
            && from.is_none()
            && until.is_none()
    }

    pub(super) fn passes(&self, record: &Record<'_>) -> bool {
        let holds = |part: &Option<Vec<u8>>, whole: Option<&[u8]>| {
            part.as_ref().is_none_or(|part| whole.is_some_and(|whole| contains(whole, part)))
        };
        self.from.is_none_or(|from| record.timestamp >= from)
            && self.until.is_none_or(|until| record.timestamp < until)
            && self.key.as_ref().is_none_or(|key| record.key == Some(key))
            && holds(&self.key_contains, record.key)
            && holds(&self.value_contains, record.value)
            && self.has_headers(record)
    }

    fn has_headers(&self, record: &Record<'_>) -> bool {
        if self.headers.is_empty() {
            return true;
        }
        let there = record.headers.to_vec();
        self.headers.iter().all(|(name, value)| {
            there
                .iter()
                .any(|(n, v)| n == name && value.as_ref().is_none_or(|value| *v == Some(value.as_slice())))
        })
    }
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    part.is_empty() || whole.windows(part.len()).any(|window| window == part)
}
