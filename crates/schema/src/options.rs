//! What a statement says of a format beside its name.

use crate::{Delimiter, Role};

/// The properties of a key's or a value's format: `KEY_...` and `VALUE_...` in a statement's WITH.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormatOptions {
    /// `DELIMITED`: what stands between two fields (`VALUE_DELIMITER`); a comma where nothing is said.
    pub delimiter: Option<Delimiter>,
    /// Whether a single column is a field of an object (`WRAP_SINGLE_VALUE`), else it is the value itself. Where nothing is said, a
    /// single column of a value is a field, and that of a key is the key itself.
    pub wrap_single: Option<bool>,
    /// The schema in the registry by which records are written (`VALUE_SCHEMA_ID`).
    pub schema_id: Option<u32>,
    /// The full name of what is declared: an Avro record's, a Protobuf message's (`VALUE_SCHEMA_FULL_NAME`).
    pub full_name: Option<String>,
}

impl FormatOptions {
    /// Whether a single column is the key or the value itself.
    pub fn bare(&self, role: Role) -> bool {
        !self.wrap_single.unwrap_or(role == Role::Value)
    }

    /// Whether a codec of that format (upper case) finds columns by their names, so that one of some of a record's columns reads
    /// these as one of all does.
    pub fn by_name(&self, format: &str, role: Role) -> bool {
        matches!(format, "JSON" | "JSON_SR" | "JSON_ENVELOPE" | "AVRO" | "PROTOBUF")
            && self.schema_id.is_none()
            && !self.bare(role)
    }
}
