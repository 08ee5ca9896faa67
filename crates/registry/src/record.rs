//! The records of `_schemas`, in Confluent's format, so that a topic can move to and from Confluent's registry.
//!
//! | key | value |
//! |---|---|
//! | `{"keytype":"SCHEMA","subject":S,"version":N,"magic":1}` | `{"subject":S,"version":N,"id":I,"schemaType":"AVRO","references":[..],"metadata":{..},"ruleSet":{..},"schema":T,"deleted":false}`; null: gone |
//! | `{"keytype":"CONFIG","subject":S,"magic":0}` | `{"subject":S,"compatibilityLevel":"FULL",..}`; null: none; without S: of all |
//! | `{"keytype":"MODE","subject":S,"magic":0}` | `{"subject":S,"mode":"READONLY"}`; null: none |
//! | `{"keytype":"CONTEXT","tenant":"default","context":C,"magic":0}` | `{"tenant":"default","context":C}`; null: gone |
//! | `{"keytype":"DELETE_SUBJECT","subject":S,"magic":0}` | `{"subject":S,"version":N}`: versions up to N are deleted softly |
//! | `{"keytype":"CLEAR_SUBJECT","subject":S,"magic":0}` | `{"subject":S}`: what is deleted softly there is gone |
//! | `{"keytype":"NOOP","magic":0}` | anything; ignored, as is every key type that is not known |
//!
//! A record by which bd registers a schema has the header [`CLAIM`], one that makes good what such a record left behind [`REPAIR`];
//! Confluent's registry passes over both.

use crate::config::{Config, Mode};
use crate::entity::{Metadata, Reference, RuleSet};
use crate::md5::Digest;
use crate::state::{Stored, Version};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bd_schema::SchemaType;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The header of a schema that takes a version that its writer knew to be free. Its value is [`OF_SCHEMA`] where the schema had no id,
/// else null.
const CLAIM: &str = "bd.claim";
const OF_SCHEMA: &[u8] = b"schema";
/// The header, without a value, of a record that says once more what holds already.
const REPAIR: &str = "bd.repair";

/// What a record's place in the log decides about it, as its header says; see `store`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing: it holds.
    Told,
    /// Whether the version that it takes is free.
    Version,
    /// That, and whether the schema to which it gives an id has none yet.
    Schema,
    /// Whether what it says once more still holds.
    Repair,
}

impl Standing {
    /// By a record's headers, as names and values.
    pub(crate) fn of_headers<'a>(headers: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>) -> Self {
        for (name, value) in headers {
            match value {
                _ if name == REPAIR.as_bytes() => return Self::Repair,
                Some(OF_SCHEMA) if name == CLAIM.as_bytes() => return Self::Schema,
                _ if name == CLAIM.as_bytes() => return Self::Version,
                _ => {}
            }
        }
        Self::Told
    }

    /// The header that says so.
    pub(crate) fn header(self) -> Option<(&'static str, Option<&'static [u8]>)> {
        match self {
            Self::Told => None,
            Self::Version => Some((CLAIM, None)),
            Self::Schema => Some((CLAIM, Some(OF_SCHEMA))),
            Self::Repair => Some((REPAIR, None)),
        }
    }
}

/// What a record says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// A schema under its subject and version, deleted softly or not.
    Schema { subject: String, version: Version },
    /// A version is gone for good.
    Purge { subject: String, version: u32 },
    /// The config of a subject, or of all.
    Config { subject: Option<String>, config: Option<Box<Config>> },
    /// The mode of a subject, or of all.
    Mode { subject: Option<String>, mode: Option<Mode> },
    /// Versions up to this one are deleted softly.
    DeleteSubject { subject: String, version: u32 },
    /// What is deleted softly in a scope is gone for good.
    ClearSubject { subject: Option<String> },
    /// A context is there, or no more.
    Context { context: String, exists: bool },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SchemaOut<'a> {
    subject: &'a str,
    version: u32,
    id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    md5: Option<String>,
    schema_type: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    references: &'a [Reference],
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_set: Option<&'a RuleSet>,
    schema: &'a str,
    deleted: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SchemaIn {
    subject: String,
    version: u32,
    id: u32,
    #[serde(default)]
    md5: Option<String>,
    #[serde(default)]
    schema_type: Option<String>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
    #[serde(default)]
    metadata: Option<Metadata>,
    #[serde(default)]
    rule_set: Option<RuleSet>,
    schema: String,
    #[serde(default)]
    deleted: bool,
}

#[derive(Serialize)]
struct Key<'a> {
    keytype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    magic: u8,
}

#[derive(Serialize)]
struct Subject<'a, T: Serialize> {
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(flatten)]
    rest: T,
}

#[derive(Deserialize)]
struct AnyKey {
    keytype: String,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    context: Option<String>,
    #[serde(default)]
    version: u32,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct ModeValue {
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct UpTo {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
}

/// Key and value of a record.
pub(crate) type Encoded = (Vec<u8>, Option<Vec<u8>>);

impl Change {
    /// Key and value of its record.
    pub(crate) fn encode(&self) -> Result<Encoded, serde_json::Error> {
        let key = serde_json::to_vec(&self.key())?;
        let value = match self {
            Self::Schema { subject, version } => Some(serde_json::to_vec(&schema_out(subject, version))?),
            Self::Purge { .. } => None,
            Self::Config { subject, config } => encoded(subject.as_deref(), config.as_deref())?,
            Self::Mode { subject, mode } => {
                let value = mode.map(|mode| ModeValue { mode: Some(mode.name().into()) });
                encoded(subject.as_deref(), value.as_ref())?
            }
            Self::DeleteSubject { subject, version } => {
                encoded(Some(subject), Some(&UpTo { version: Some(*version) }))?
            }
            Self::ClearSubject { subject } => encoded(subject.as_deref(), Some(&UpTo { version: None }))?,
            Self::Context { context, exists } => {
                let value = exists.then(|| serde_json::json!({"tenant": TENANT, "context": context}));
                value.map(|value| serde_json::to_vec(&value)).transpose()?
            }
        };
        Ok((key, value))
    }

    fn key(&self) -> Key<'_> {
        let of =
            |keytype, subject| Key { keytype, tenant: None, context: None, subject, version: None, magic: 0 };
        let schema =
            |subject, version| Key { version: Some(version), magic: 1, ..of("SCHEMA", Some(subject)) };
        match self {
            Self::Schema { subject, version } => schema(subject, version.version),
            Self::Purge { subject, version } => schema(subject, *version),
            Self::Config { subject, .. } => of("CONFIG", subject.as_deref()),
            Self::Mode { subject, .. } => of("MODE", subject.as_deref()),
            Self::DeleteSubject { subject, .. } => of("DELETE_SUBJECT", Some(subject)),
            Self::ClearSubject { subject } => of("CLEAR_SUBJECT", subject.as_deref()),
            Self::Context { context, .. } => {
                Key { tenant: Some(TENANT), context: Some(context), ..of("CONTEXT", None) }
            }
        }
    }

    /// What a record of that time (ms since epoch) says; `None` for one that says nothing to this registry.
    ///
    /// # Errors
    /// It has not the form of its key's type.
    pub(crate) fn decode(
        key: &[u8],
        value: Option<&[u8]>,
        time: i64,
    ) -> Result<Option<Self>, serde_json::Error> {
        let AnyKey { keytype, subject, context, version } = serde_json::from_slice(key)?;
        Ok(Some(match (keytype.as_str(), subject, value) {
            ("SCHEMA", Some(subject), None) => Self::Purge { subject, version },
            ("SCHEMA", Some(_), Some(value)) => schema_in(serde_json::from_slice(value)?, time)?,
            ("CONFIG", subject, value) => {
                Self::Config { subject, config: value.map(serde_json::from_slice).transpose()? }
            }
            ("MODE", subject, value) => {
                let value: Option<ModeValue> = value.map(serde_json::from_slice).transpose()?;
                let mode = value.and_then(|v| v.mode).as_deref().and_then(Mode::parse);
                Self::Mode { subject, mode }
            }
            ("DELETE_SUBJECT", Some(subject), Some(value)) => {
                let UpTo { version } = serde_json::from_slice(value)?;
                Self::DeleteSubject { subject, version: version.unwrap_or_default() }
            }
            ("CLEAR_SUBJECT", subject, Some(_)) => Self::ClearSubject { subject },
            ("CONTEXT", _, value) => match context {
                Some(context) => Self::Context { context, exists: value.is_some() },
                None => return Ok(None),
            },
            _ => return Ok(None),
        }))
    }
}

/// Confluent's name of the only tenant.
const TENANT: &str = "default";

fn encoded(
    subject: Option<&str>,
    value: Option<&impl Serialize>,
) -> Result<Option<Vec<u8>>, serde_json::Error> {
    value.map(|rest| serde_json::to_vec(&Subject { subject, rest })).transpose()
}

fn schema_out<'a>(subject: &'a str, version: &'a Version) -> SchemaOut<'a> {
    let schema = &*version.schema;
    // Where another registry gave the hash, of what it did not write.
    let given = (schema.own_digest() != schema.digest).then(|| BASE64_STANDARD.encode(schema.digest.bytes()));
    SchemaOut {
        subject,
        version: version.version,
        id: version.id,
        md5: given,
        schema_type: schema.schema_type.name(),
        references: &schema.references,
        metadata: schema.metadata.as_deref(),
        rule_set: schema.rule_set.as_deref(),
        schema: &schema.text,
        deleted: version.deleted,
    }
}

fn schema_in(value: SchemaIn, time: i64) -> Result<Change, serde_json::Error> {
    let schema_type = match value.schema_type.as_deref() {
        None => SchemaType::Avro,
        Some(name) => SchemaType::parse(name)
            .ok_or_else(|| serde::de::Error::custom(format!("no such schema type: {name}")))?,
    };
    let mut schema = Stored::new(
        schema_type,
        value.schema.as_str(),
        value.references.unwrap_or_default(),
        value.metadata,
        value.rule_set,
    );
    let given = value.md5.and_then(|text| BASE64_STANDARD.decode(text).ok()?.try_into().ok());
    if let Some(bytes) = given {
        schema.digest = Digest::from_bytes(bytes);
    }
    let (version, id, deleted) = (value.version, value.id, value.deleted);
    let version = Version { version, id, deleted, time, schema: Arc::new(schema) };
    Ok(Change::Schema { subject: value.subject, version })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;
    use std::collections::BTreeMap;

    fn version(schema: Stored) -> Version {
        Version { version: 2, id: 7, deleted: false, time: 5, schema: Arc::new(schema) }
    }

    #[test]
    fn records_have_confluents_form() {
        let plain = Stored::new(SchemaType::Avro, "\"long\"", Vec::new(), None, None);
        let reference =
            Reference { name: Some("a.proto".into()), subject: Some("a".into()), version: Some(1) };
        let properties = BTreeMap::from([("owner".to_owned(), "me".to_owned())]);
        let metadata = Metadata { properties, ..Metadata::default() };
        let rules = serde_json::from_str(
            r#"{"domainRules":[{"name":"r","kind":"CONDITION","mode":"WRITE","type":"CEL","expr":"true"}]}"#,
        );
        let whole = Stored::new(
            SchemaType::Protobuf,
            "syntax",
            vec![reference],
            Some(metadata),
            Some(rules.unwrap()),
        );
        let config = Config { normalize: Some(true), ..Config::default() }.or_level(Level::FullTransitive);
        let s = || "s".to_owned();
        for (change, key, value) in [
            (
                Change::Schema { subject: s(), version: version(plain) },
                r#"{"keytype":"SCHEMA","subject":"s","version":2,"magic":1}"#,
                Some(
                    r#"{"subject":"s","version":2,"id":7,"schemaType":"AVRO","schema":"\"long\"","deleted":false}"#,
                ),
            ),
            (
                Change::Schema { subject: s(), version: version(whole) },
                r#"{"keytype":"SCHEMA","subject":"s","version":2,"magic":1}"#,
                Some(
                    r#"{"subject":"s","version":2,"id":7,"schemaType":"PROTOBUF","references":[{"name":"a.proto","subject":"a","version":1}],"metadata":{"properties":{"owner":"me"}},"ruleSet":{"domainRules":[{"name":"r","kind":"CONDITION","mode":"WRITE","type":"CEL","expr":"true","disabled":false}]},"schema":"syntax","deleted":false}"#,
                ),
            ),
            (
                Change::Purge { subject: s(), version: 1 },
                r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#,
                None,
            ),
            (
                Change::Config { subject: None, config: Some(Box::new(config)) },
                r#"{"keytype":"CONFIG","magic":0}"#,
                Some(r#"{"normalize":true,"compatibilityLevel":"FULL_TRANSITIVE"}"#),
            ),
            (
                Change::Config { subject: Some(s()), config: None },
                r#"{"keytype":"CONFIG","subject":"s","magic":0}"#,
                None,
            ),
            (
                Change::Mode { subject: Some(s()), mode: Some(Mode::ReadOnlyOverride) },
                r#"{"keytype":"MODE","subject":"s","magic":0}"#,
                Some(r#"{"subject":"s","mode":"READONLY_OVERRIDE"}"#),
            ),
            (
                Change::DeleteSubject { subject: s(), version: 3 },
                r#"{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}"#,
                Some(r#"{"subject":"s","version":3}"#),
            ),
            (Change::ClearSubject { subject: None }, r#"{"keytype":"CLEAR_SUBJECT","magic":0}"#, Some("{}")),
            (
                Change::Context { context: ".a".into(), exists: true },
                r#"{"keytype":"CONTEXT","tenant":"default","context":".a","magic":0}"#,
                Some(r#"{"tenant":"default","context":".a"}"#),
            ),
        ] {
            let (k, v) = change.encode().unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            assert_eq!((text(&k).as_str(), v.as_deref().map(text).as_deref()), (key, value));
            assert_eq!(Change::decode(&k, v.as_deref(), 5).unwrap(), Some(change));
        }
    }

    #[test]
    fn records_of_older_registries_are_read_and_unknown_ones_passed_over() {
        let key = br#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":0}"#;
        let value = br#"{"subject":"s","version":1,"id":1,"schema":"\"int\""}"#;
        let Ok(Some(Change::Schema { version, .. })) = Change::decode(key, Some(value), 5) else {
            panic!("not read")
        };
        assert_eq!((version.schema.schema_type, version.deleted), (SchemaType::Avro, false));
        let key = br#"{"keytype":"CONFIG","subject":null,"magic":0}"#;
        let read = Change::decode(key, Some(br#"{"compatibilityLevel":"FULL"}"#), 5).unwrap();
        let config = Config::default().or_level(Level::Full);
        assert_eq!(read, Some(Change::Config { subject: None, config: Some(Box::new(config)) }));
        assert_eq!(Change::decode(br#"{"keytype":"NOOP","magic":0}"#, None, 5).unwrap(), None);
        assert_eq!(Change::decode(br#"{"keytype":"ASSOC","magic":0}"#, Some(b"{}"), 5).unwrap(), None);
        assert!(Change::decode(b"no json", Some(b"{}"), 5).is_err());
    }
}
