//! The rows in topics: loaded from files, and compared between systems that write them in different orders.

use crate::client::{self, Compression, Writer};
use crate::results::Found;
use anyhow::{Context, Result};
use rdkafka::message::Message;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Counts the committed rows of a topic and adds up their hashes.
pub(crate) fn of_topic(bootstrap: &str, topic: &str) -> Result<Found> {
    let mut found = Found::default();
    client::read_all(bootstrap, topic, |message| {
        let offset = message.offset();
        let hash = hash_of(message.payload().unwrap_or_default())
            .with_context(|| format!("{topic} at offset {offset} is not JSON"))?;
        found.rows += 1;
        found.fingerprint = found.fingerprint.wrapping_add(hash);
        Ok(())
    })?;
    Ok(found)
}

/// The hash of a JSON object, the same in whatever order its members stand and however its numbers are spelled.
fn hash_of(json: &[u8]) -> Result<u64> {
    let members: BTreeMap<String, Value> = serde_json::from_slice(json)?;
    let mut hasher = DefaultHasher::new();
    for (name, value) in &members {
        name.hash(&mut hasher);
        match value.as_f64() {
            // Within these bounds a double is exact, so 8 and 8.0 are one number.
            Some(number) if number.abs() < 9e15 => (number + 0.0).to_bits().hash(&mut hasher),
            _ => value.to_string().hash(&mut hasher),
        }
    }
    Ok(hasher.finish())
}

/// Writes each line as a record without key; returns their number.
pub(crate) fn load_lines(bootstrap: &str, topic: &str, file: &Path) -> Result<u64> {
    let named = || format!("cannot read {}", file.display());
    client::create_topic(bootstrap, topic)?;
    let mut writer = Writer::open(bootstrap, topic, Compression::None)?;
    for line in BufReader::new(File::open(file).with_context(named)?).split(b'\n') {
        writer.send(&line.with_context(named)?)?;
    }
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_members_and_the_spelling_of_numbers_do_not_count() {
        let one = hash_of(br#"{"a": 8, "b": null, "c": "x"}"#).unwrap();
        assert_eq!(one, hash_of(br#"{"c":"x","b":null,"a":8.0}"#).unwrap());
        assert_ne!(one, hash_of(br#"{"c":"x","b":0,"a":8}"#).unwrap());
        assert_ne!(one, hash_of(br#"{"c":"x","a":8}"#).unwrap());
        assert!(hash_of(b"[1]").is_err());
    }

    #[test]
    fn integers_beyond_doubles_keep_their_last_digit() {
        let ids = ["9007199254740992", "9007199254740993"];
        let hashes = ids.map(|id| hash_of(format!("{{\"id\": {id}}}").as_bytes()).unwrap());
        assert_ne!(hashes[0], hashes[1]);
    }
}
