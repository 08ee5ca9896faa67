//! A case's inputs as the records that its sources would write.

use std::{fmt, path::Path, str::FromStr};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{CaseError, case, text};

/// An input topic of the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// `channels`: one record per channel, keyed by its id.
    Channels,
    /// `tv.tv.users`, as a database's change capture names it: keyed by the user's id.
    Users,
    /// `ads`: without keys.
    Ads,
    /// `device_locations`: without keys, in the shape of a weather service's answer.
    Places,
    /// `actions`: keyed by the device's id.
    Actions,
}

impl Topic {
    /// All topics: the tables, then the streams. This is the order of loading unless another one is asked for.
    pub const ALL: [Topic; 5] = [Topic::Channels, Topic::Users, Topic::Ads, Topic::Places, Topic::Actions];

    /// The topic's name in the cluster.
    pub fn name(self) -> &'static str {
        match self {
            Topic::Channels => "channels",
            Topic::Users => "tv.tv.users",
            Topic::Ads => "ads",
            Topic::Places => "device_locations",
            Topic::Actions => "actions",
        }
    }

    /// The file in the case's folder that fills it.
    pub fn file(self) -> &'static str {
        match self {
            Topic::Channels => "channels.json",
            Topic::Users => "users.jsonl",
            Topic::Ads => "ads.jsonl",
            Topic::Places => "device_locations.jsonl",
            Topic::Actions => "actions.jsonl",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Topic {
    type Err = String;

    /// Takes a topic's name, or `users` and `places` for short.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "channels" => Ok(Topic::Channels),
            "users" | "tv.tv.users" => Ok(Topic::Users),
            "ads" => Ok(Topic::Ads),
            "places" | "device_locations" => Ok(Topic::Places),
            "actions" => Ok(Topic::Actions),
            _ => Err(format!("{text:?} is none of channels, users, ads, places, actions")),
        }
    }
}

/// A record as a source would write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it goes.
    pub topic: Topic,
    /// Its key, if it has one.
    pub key: Option<Vec<u8>>,
    /// Its value: for the streams, a line of the file as it stands there.
    pub value: Vec<u8>,
    /// Its place in the file, from 0.
    pub number: usize,
}

impl Record {
    /// The partition to name when writing this record, of `partitions` (at least 1): a record without key has a fixed
    /// one, in turns, so that a case is loaded the same way every time; that of a keyed record is left to the client.
    pub fn partition_hint(&self, partitions: usize) -> Option<usize> {
        self.key.is_none().then(|| self.number % partitions.max(1))
    }

    /// The partition in which this record lies once a Kafka client has written it to a topic of `partitions` (at
    /// least 1): the hint, or for a keyed record where Kafka's default partitioner puts it.
    pub fn partition(&self, partitions: usize) -> usize {
        match &self.key {
            Some(key) => (murmur2(key) & 0x7fff_ffff) as usize % partitions.max(1),
            None => self.number % partitions.max(1),
        }
    }
}

/// The records of one topic, in the order of the file of the case in `folder`.
///
/// The file is read while the records are taken.
///
/// # Errors
/// If the file cannot be read, or `channels.json` is not a list of objects with a `channel_id`.
pub fn records(
    folder: &Path,
    topic: Topic,
) -> Result<Box<dyn Iterator<Item = Result<Record, CaseError>>>, CaseError> {
    if topic == Topic::Channels {
        let channels: Vec<Map<String, Value>> = case::channels(folder)?;
        return Ok(Box::new(channels.into_iter().enumerate().map(move |(number, channel)| {
            let key = channel.get("channel_id").map(|id| id.to_string().into_bytes());
            Ok(Record { topic, key, value: Value::Object(channel).to_string().into_bytes(), number })
        })));
    }
    let lines = case::lines(&folder.join(topic.file()))?;
    Ok(Box::new(lines.enumerate().map(move |(number, line)| {
        let line = line?;
        let (key, value) = match topic {
            Topic::Actions => (id(&line, |ids| ids.device_id).map(|id| id.to_string().into_bytes()), line),
            Topic::Users => {
                (id(&line, |ids| ids.user_id).map(|id| format!("{{\"user_id\":{id}}}").into_bytes()), line)
            }
            Topic::Places => (None, weather(&line).unwrap_or(line)),
            Topic::Ads | Topic::Channels => (None, line),
        };
        Ok(Record { topic, key, value, number })
    })))
}

#[derive(Deserialize)]
struct Ids {
    device_id: Option<Value>,
    user_id: Option<Value>,
}

/// An id of a line, if the line is a JSON object that has it.
fn id(line: &[u8], field: impl Fn(Ids) -> Option<Value>) -> Option<Value> {
    let object = line.trim_ascii_start().first() == Some(&b'{');
    if object { field(serde_json::from_slice(line).ok()?) } else { None }
}

/// A device's place in the shape in which the REST source gives it; `None` for a line that is no JSON object.
fn weather(line: &[u8]) -> Option<Vec<u8>> {
    let mut place: Map<String, Value> = serde_json::from_slice(line).ok()?;
    let mut out = Map::new();
    let mut coord = Map::new();
    let mut take = |from: &str, to: &str, out: &mut Map<String, Value>| {
        if let Some(value) = place.remove(from) {
            out.insert(to.to_owned(), value);
        }
    };
    take("device_id", "id", &mut out);
    take("location", "name", &mut out);
    take("lon", "lon", &mut coord);
    take("lat", "lat", &mut coord);
    out.insert("coord".to_owned(), Value::Object(coord));
    take("visibility", "visibility", &mut out);
    // A time that is none is left out: without one, the record is as dead as the line was.
    if let Some(dt) = place.get("ts").and_then(Value::as_str).and_then(text::parse_iso) {
        out.insert("dt".to_owned(), json!(dt));
    }
    Some(Value::Object(out).to_string().into_bytes())
}

/// Kafka's hash of keys: 32-bit MurmurHash2 with the seed 0x9747b28c, as in the Java client's `Utils.murmur2`.
fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ (key.len() as u32);
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = word.iter().rev().fold(0_u32, |k, byte| (k << 8) | u32::from(*byte));
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0_u32, |k, byte| (k << 8) | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hash_as_in_the_java_client() {
        // The values of the Java client's own test of Utils.murmur2.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn a_place_takes_the_shape_of_the_rest_source() {
        let line = br#"{"device_id": 14, "location": "Ireland", "lon": -8.0, "lat": 53.0, "visibility": 10000, "ts": "2021-02-01T23:55:00Z"}"#;
        assert_eq!(
            String::from_utf8(weather(line).unwrap()).unwrap(),
            r#"{"id":14,"name":"Ireland","coord":{"lon":-8.0,"lat":53.0},"visibility":10000,"dt":1612223700}"#
        );
        assert_eq!(weather(b"{\"device_id\": 14"), None);
        assert_eq!(weather(br#"{"device_id": 14}"#).unwrap(), br#"{"id":14,"coord":{}}"#);
    }

    #[test]
    fn keys_are_json_numbers_and_missing_where_there_is_no_device() {
        let key = |line: &[u8]| id(line, |ids| ids.device_id).map(|id| id.to_string());
        assert_eq!(key(br#"{"user": "a", "device_id": 16}"#).as_deref(), Some("16"));
        assert_eq!(key(br#"{"user": "a"}"#), None);
        assert_eq!(key(br#"{"user": "a", "device_id": null}"#), None);
        assert_eq!(key(br#"{"device_id": 16, "#), None);
        assert_eq!(key(b"[1, 2]"), None);
    }
}
