//! Users and ads as their sources write them: Avro with Confluent's framing (a zero byte, the schema's id in four bytes, big-endian,
//! then the datum), the schemas in a registry. The encoder is written for these two records alone: like the rest of this crate it
//! shares no code with the program under test.

use std::{collections::HashMap, time::Duration};

use serde::Deserialize;
use serde_json::json;

use crate::{CaseError, Record, Topic};

/// The topic in which the source of ads puts lines that are no ads.
pub const ADS_DEAD: &str = "ads-dlq";

/// The key of a user, as change capture writes it once the key is one field.
const USERS_KEY: &str = r#""long""#;

/// A user's row as change capture of a database writes it.
const USERS_VALUE: &str = r#"{"type":"record","name":"Value","namespace":"tv.tv.users","fields":[{"name":"user_id","type":"long"},{"name":"name","type":["null","string"],"default":null},{"name":"age","type":["null","long"],"default":null},{"name":"gender","type":["null","string"],"default":null}],"connect.name":"tv.tv.users.Value"}"#;

/// An ad.
const ADS_VALUE: &str = r#"{"type":"record","name":"ad","namespace":"tv","fields":[{"name":"ad_id","type":["null","long"],"default":null},{"name":"channel_id","type":["null","long"],"default":null},{"name":"start_ts","type":["null","long"],"default":null},{"name":"duration_secs","type":["null","long"],"default":null}]}"#;

/// Where schemas are registered: gives the id of a schema under a subject.
pub trait Register {
    /// The id of `schema`, which is registered under `subject` if it is not there yet.
    ///
    /// # Errors
    /// If the registry does not answer or refuses.
    fn register(&mut self, subject: &str, schema: &str) -> Result<u32, CaseError>;
}

/// A registry that speaks Confluent's REST.
#[derive(Debug, Clone)]
pub struct Registry {
    url: String,
}

impl Registry {
    /// The registry at `http://host:port`.
    pub fn at(url: &str) -> Self {
        Self { url: url.trim_end_matches('/').to_owned() }
    }
}

impl Register for Registry {
    fn register(&mut self, subject: &str, schema: &str) -> Result<u32, CaseError> {
        #[derive(Deserialize)]
        struct Answer {
            id: u32,
        }
        let url = format!("{}/subjects/{subject}/versions", self.url);
        let failed = |reason: String| CaseError::Registry { url: url.clone(), reason };
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent: ureq::Agent = config.timeout_global(Some(Duration::from_secs(15))).build().into();
        let request = agent.post(&url).header("content-type", "application/vnd.schemaregistry.v1+json");
        let mut answer =
            request.send(json!({"schema": schema}).to_string()).map_err(|error| failed(error.to_string()))?;
        let text = answer.body_mut().read_to_string().map_err(|error| failed(error.to_string()))?;
        let id: Result<Answer, _> = serde_json::from_str(&text);
        id.map(|answer| answer.id).map_err(|_| failed(format!("{}: {text}", answer.status())))
    }
}

/// A record as its source writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoded {
    /// For its topic.
    Record(Record),
    /// A line that the source of ads cannot write: for [`ADS_DEAD`].
    Dead(Record),
}

/// Turns records into what their sources write. Those of sources that write JSON stay as they are.
pub struct Encoder<R> {
    registry: R,
    ids: HashMap<&'static str, u32>,
}

impl<R: Register> Encoder<R> {
    /// An encoder that registers schemas as they are needed.
    pub fn new(registry: R) -> Self {
        Self { registry, ids: HashMap::new() }
    }

    /// The record as its source writes it.
    ///
    /// # Errors
    /// If the registry refuses, or a line of `users.jsonl` is no user.
    pub fn encode(&mut self, record: Record) -> Result<Encoded, CaseError> {
        match record.topic {
            Topic::Users => self.user(record).map(Encoded::Record),
            Topic::Ads => self.ad(record),
            _ => Ok(Encoded::Record(record)),
        }
    }

    fn user(&mut self, record: Record) -> Result<Record, CaseError> {
        #[derive(Deserialize)]
        struct User {
            user_id: i64,
            name: Option<String>,
            age: Option<i64>,
            gender: Option<String>,
        }
        let user: User = serde_json::from_slice(&record.value).map_err(|source| CaseError::Json {
            path: record.topic.file().into(),
            line: record.number + 1,
            source,
        })?;
        let mut key = self.frame("tv.tv.users-key", USERS_KEY)?;
        long(user.user_id, &mut key);
        let mut value = self.frame("tv.tv.users-value", USERS_VALUE)?;
        long(user.user_id, &mut value);
        optional(user.name.as_deref(), &mut value, text);
        optional(user.age, &mut value, long);
        optional(user.gender.as_deref(), &mut value, text);
        Ok(Record { key: Some(key), value, ..record })
    }

    fn ad(&mut self, record: Record) -> Result<Encoded, CaseError> {
        #[derive(Deserialize)]
        struct Ad {
            ad_id: Option<i64>,
            channel_id: Option<i64>,
            start_ts: Option<i64>,
            duration_secs: Option<i64>,
        }
        let object = record.value.trim_ascii_start().first() == Some(&b'{');
        let Some(ad) = serde_json::from_slice::<Ad>(&record.value).ok().filter(|_| object) else {
            return Ok(Encoded::Dead(record));
        };
        let mut value = self.frame("ads-value", ADS_VALUE)?;
        for field in [ad.ad_id, ad.channel_id, ad.start_ts, ad.duration_secs] {
            optional(field, &mut value, long);
        }
        Ok(Encoded::Record(Record { value, ..record }))
    }

    /// The start of a record with that schema.
    fn frame(&mut self, subject: &'static str, schema: &str) -> Result<Vec<u8>, CaseError> {
        let id = match self.ids.get(subject) {
            Some(id) => *id,
            None => {
                let id = self.registry.register(subject, schema)?;
                self.ids.insert(subject, id);
                id
            }
        };
        Ok([&[0], &id.to_be_bytes()[..]].concat())
    }
}

/// Zigzag, then seven bits a byte, the lowest first.
fn long(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn text(value: &str, out: &mut Vec<u8>) {
    long(value.len() as i64, out);
    out.extend_from_slice(value.as_bytes());
}

/// A union of null and something: the branch, then the value.
fn optional<T>(value: Option<T>, out: &mut Vec<u8>, write: impl Fn(T, &mut Vec<u8>)) {
    match value {
        None => long(0, out),
        Some(value) => {
            long(1, out);
            write(value, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives 7 to the first subject, 8 to the next.
    struct Counting(u32);

    impl Register for Counting {
        fn register(&mut self, _: &str, _: &str) -> Result<u32, CaseError> {
            self.0 += 1;
            Ok(self.0)
        }
    }

    fn encode(topic: Topic, line: &str) -> Encoded {
        let record = Record { topic, key: None, value: line.into(), number: 0 };
        Encoder::new(Counting(6)).encode(record).unwrap()
    }

    #[test]
    fn a_user_is_framed_avro_with_a_long_as_key() {
        let line = r#"{"user_id": 45, "name": "ketan", "age": null, "gender": "M", "since": {}}"#;
        let Encoded::Record(record) = encode(Topic::Users, line) else { panic!("dead") };
        assert_eq!(record.key.unwrap(), [0, 0, 0, 0, 7, 90]);
        assert_eq!(record.value, [&[0, 0, 0, 0, 8, 90, 2, 10][..], b"ketan", &[0, 2, 2], b"M"].concat());
    }

    #[test]
    fn an_ad_is_framed_avro_and_what_is_none_is_dead() {
        let line = r#"{"ad_id": 16, "channel_id": 57, "start_ts": 1612223719, "duration_secs": -1}"#;
        let Encoded::Record(record) = encode(Topic::Ads, line) else { panic!("dead") };
        let start = [2, 0xce, 0xd3, 0xc4, 0x81, 0x0c];
        assert_eq!(record.value, [&[0, 0, 0, 0, 7, 2, 32, 2, 114][..], &start, &[2, 1]].concat());
        for dead in ["[1, 2, 3, 4]", "{\"ad_id\": 1", "<html>", "{\"ad_id\": \"x\"}", "{} trailing"] {
            assert!(matches!(encode(Topic::Ads, dead), Encoded::Dead(_)), "{dead}");
        }
        assert!(matches!(encode(Topic::Ads, "{}"), Encoded::Record(_)));
    }

    #[test]
    fn numbers_are_zigzag() {
        for (value, bytes) in [(0, &[0][..]), (-1, &[1]), (1, &[2]), (-64, &[0x7f]), (64, &[0x80, 1])] {
            let mut out = Vec::new();
            long(value, &mut out);
            assert_eq!(out, bytes, "{value}");
        }
        let mut out = Vec::new();
        long(i64::MIN, &mut out);
        assert_eq!(out, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    }
}
