//! The records of `_schemas`, in Confluent's format, so that a topic can move to and from Confluent's registry.
//!
//! | key | value |
//! |---|---|
//! | `{"keytype":"SCHEMA","subject":S,"version":N,"magic":1}` | `{"subject":S,"version":N,"id":I,"schema":T,"deleted":false}`; null: gone |
//! | `{"keytype":"CONFIG","subject":S or null,"magic":0}` | `{"compatibilityLevel":"FULL"}`; null: no level of its own |
//! | `{"keytype":"DELETE_SUBJECT","subject":S,"magic":0}` | `{"subject":S,"version":N}`: versions up to N are deleted |
//! | `{"keytype":"NOOP","magic":0}` | anything; ignored, as is every key type that is not known |

use crate::Level;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a record says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// A schema under its subject and version, deleted softly or not.
    Schema(SchemaValue),
    /// A version is gone for good.
    Purge { subject: String, version: u32 },
    /// The level of a subject, or of all.
    Level { subject: Option<String>, level: Option<Level> },
    /// Versions up to this one are deleted softly.
    DeleteSubject { subject: String, version: u32 },
}

/// The value of a SCHEMA record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SchemaValue {
    pub(crate) subject: String,
    pub(crate) version: u32,
    pub(crate) id: u32,
    /// Absent for Avro.
    #[serde(rename = "schemaType", skip_serializing_if = "Option::is_none", default)]
    pub(crate) schema_type: Option<String>,
    pub(crate) schema: String,
    #[serde(default)]
    pub(crate) deleted: bool,
}

#[derive(Serialize)]
struct SchemaKey<'a> {
    keytype: &'static str,
    subject: &'a str,
    version: u32,
    magic: u8,
}

#[derive(Serialize)]
struct SubjectKey<'a> {
    keytype: &'static str,
    subject: Option<&'a str>,
    magic: u8,
}

#[derive(Serialize)]
struct LevelValue {
    #[serde(rename = "compatibilityLevel")]
    level: Level,
}

#[derive(Serialize)]
struct DeleteValue<'a> {
    subject: &'a str,
    version: u32,
}

#[derive(Deserialize)]
struct AnyKey {
    keytype: String,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    version: u32,
}

impl Change {
    /// Key and value of its record.
    pub(crate) fn encode(&self) -> Result<(Vec<u8>, Option<Vec<u8>>), serde_json::Error> {
        let schema_key = |subject, version| {
            serde_json::to_vec(&SchemaKey { keytype: "SCHEMA", subject, version, magic: 1 })
        };
        Ok(match self {
            Self::Schema(value) => {
                (schema_key(&value.subject, value.version)?, Some(serde_json::to_vec(value)?))
            }
            Self::Purge { subject, version } => (schema_key(subject, *version)?, None),
            Self::Level { subject, level } => {
                let key = SubjectKey { keytype: "CONFIG", subject: subject.as_deref(), magic: 0 };
                let value = level.map(|level| serde_json::to_vec(&LevelValue { level })).transpose()?;
                (serde_json::to_vec(&key)?, value)
            }
            Self::DeleteSubject { subject, version } => {
                let key = SubjectKey { keytype: "DELETE_SUBJECT", subject: Some(subject), magic: 0 };
                let value = DeleteValue { subject, version: *version };
                (serde_json::to_vec(&key)?, Some(serde_json::to_vec(&value)?))
            }
        })
    }

    /// What a record says; `None` for one that says nothing to this registry.
    pub(crate) fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Self>, serde_json::Error> {
        let key: AnyKey = serde_json::from_slice(key)?;
        Ok(match (key.keytype.as_str(), key.subject, value) {
            ("SCHEMA", Some(subject), None) => Some(Self::Purge { subject, version: key.version }),
            ("SCHEMA", Some(_), Some(value)) => Some(Self::Schema(serde_json::from_slice(value)?)),
            ("CONFIG", subject, None) => Some(Self::Level { subject, level: None }),
            ("CONFIG", subject, Some(value)) => {
                let value: Value = serde_json::from_slice(value)?;
                let level = value.get("compatibilityLevel").and_then(Value::as_str).and_then(Level::parse);
                Some(Self::Level { subject, level })
            }
            ("DELETE_SUBJECT", Some(subject), Some(value)) => {
                let value: Value = serde_json::from_slice(value)?;
                let version = value.get("version").and_then(Value::as_u64).unwrap_or_default() as u32;
                Some(Self::DeleteSubject { subject, version })
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_confluents_form() {
        let schema = SchemaValue {
            subject: "users-value".into(),
            version: 2,
            id: 7,
            schema_type: None,
            schema: "\"long\"".into(),
            deleted: false,
        };
        for (change, key, value) in [
            (
                Change::Schema(schema),
                r#"{"keytype":"SCHEMA","subject":"users-value","version":2,"magic":1}"#,
                Some(r#"{"subject":"users-value","version":2,"id":7,"schema":"\"long\"","deleted":false}"#),
            ),
            (
                Change::Purge { subject: "s".into(), version: 1 },
                r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#,
                None,
            ),
            (
                Change::Level { subject: None, level: Some(Level::Full) },
                r#"{"keytype":"CONFIG","subject":null,"magic":0}"#,
                Some(r#"{"compatibilityLevel":"FULL"}"#),
            ),
            (
                Change::Level { subject: Some("s".into()), level: None },
                r#"{"keytype":"CONFIG","subject":"s","magic":0}"#,
                None,
            ),
            (
                Change::DeleteSubject { subject: "s".into(), version: 3 },
                r#"{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}"#,
                Some(r#"{"subject":"s","version":3}"#),
            ),
        ] {
            let (k, v) = change.encode().unwrap();
            assert_eq!(String::from_utf8(k.clone()).unwrap(), key);
            assert_eq!(v.as_deref().map(|v| std::str::from_utf8(v).unwrap()), value);
            assert_eq!(Change::decode(&k, v.as_deref()).unwrap(), Some(change));
        }
    }

    #[test]
    fn records_of_other_kinds_are_passed_over() {
        for (key, value) in [
            (r#"{"keytype":"NOOP","magic":0}"#, None),
            (r#"{"keytype":"MODE","subject":null,"magic":0}"#, Some(r#"{"mode":"READWRITE"}"#)),
            (r#"{"keytype":"CLEAR_SUBJECT","subject":"s","magic":0}"#, None),
        ] {
            let change = Change::decode(key.as_bytes(), value.map(str::as_bytes)).unwrap();
            assert_eq!(change, None);
        }
    }
}
