//! Compatibility levels and the check of an Avro schema against earlier ones.

use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use serde::{Deserialize, Serialize};

/// A compatibility level, by Confluent's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Level {
    /// No check.
    None,
    /// The new schema reads what the latest one wrote.
    Backward,
    /// The new schema reads what any earlier one wrote.
    BackwardTransitive,
    /// The latest schema reads what the new one writes.
    Forward,
    /// All earlier schemas read what the new one writes.
    ForwardTransitive,
    /// Both ways with the latest one.
    Full,
    /// Both ways with all earlier ones.
    FullTransitive,
}

impl Level {
    /// The level of that name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "NONE" => Self::None,
            "BACKWARD" => Self::Backward,
            "BACKWARD_TRANSITIVE" => Self::BackwardTransitive,
            "FORWARD" => Self::Forward,
            "FORWARD_TRANSITIVE" => Self::ForwardTransitive,
            "FULL" => Self::Full,
            "FULL_TRANSITIVE" => Self::FullTransitive,
            _ => return None,
        })
    }

    fn transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }

    fn new_reads_old(self) -> bool {
        matches!(self, Self::Backward | Self::BackwardTransitive | Self::Full | Self::FullTransitive)
    }

    fn old_reads_new(self) -> bool {
        matches!(self, Self::Forward | Self::ForwardTransitive | Self::Full | Self::FullTransitive)
    }
}

/// What keeps `new` from following `earlier` (each a version and its schema, ascending); empty: compatible.
pub(crate) fn check(new: &Schema, earlier: &[(u32, Schema)], level: Level) -> Vec<String> {
    if level == Level::None {
        return Vec::new();
    }
    let from = if level.transitive() { 0 } else { earlier.len().saturating_sub(1) };
    let mut faults = Vec::new();
    // The latest first, as its faults are what a person looks for.
    for (version, old) in earlier[from..].iter().rev() {
        if level.new_reads_old() {
            faults.extend(cannot_read(old, new).map(|f| {
                format!("{{oldSchemaVersion: {version}, reader: 'new', message: '{f}'}}, {{compatibility: '{level:?}'}}")
            }));
        }
        if level.old_reads_new() {
            faults.extend(cannot_read(new, old).map(|f| {
                format!("{{oldSchemaVersion: {version}, reader: 'old', message: '{f}'}}, {{compatibility: '{level:?}'}}")
            }));
        }
    }
    faults
}

fn cannot_read(writer: &Schema, reader: &Schema) -> Option<String> {
    match SchemaCompatibility::can_read(writer, reader) {
        Ok(Compatibility::Full) => None,
        Ok(Compatibility::Partial) => {
            Some("a union or enum of the writer has members that the reader does not have".into())
        }
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &str) -> Schema {
        Schema::parse_str(&format!(r#"{{"type":"record","name":"r","fields":[{fields}]}}"#)).unwrap()
    }

    /// Which levels allow the second schema after the first.
    #[test]
    fn each_level_allows_what_its_name_says() {
        use Level::{Backward, Forward, Full, None};
        let a = r#"{"name":"a","type":"long"}"#;
        let with_default =
            r#"{"name":"a","type":"long"},{"name":"b","type":["null","string"],"default":null}"#;
        let without_default = r#"{"name":"a","type":"long"},{"name":"b","type":"string"}"#;
        for (old, new, allowed) in [
            (a, with_default, vec![None, Backward, Forward, Full]),
            (a, without_default, vec![None, Forward]),
            (without_default, a, vec![None, Backward]),
            (a, r#"{"name":"a","type":"double"}"#, vec![None, Backward]),
            (a, r#"{"name":"a","type":"string"}"#, vec![None]),
            (r#"{"name":"a","type":["null","long"]}"#, a, vec![None, Forward]),
        ] {
            for level in [None, Backward, Forward, Full] {
                let faults = check(&record(new), &[(1, record(old))], level);
                assert_eq!(
                    faults.is_empty(),
                    allowed.contains(&level),
                    "{old} -> {new} {level:?}: {faults:?}"
                );
            }
        }
    }

    #[test]
    fn only_transitive_levels_look_beyond_the_latest_version() {
        let one = record(r#"{"name":"a","type":"long"}"#);
        let two = record("");
        let three = record(r#"{"name":"a","type":"string","default":""}"#);
        let earlier = [(1, one), (2, two)];
        assert!(check(&three, &earlier, Level::Backward).is_empty());
        let faults = check(&three, &earlier, Level::BackwardTransitive);
        assert!(faults.len() == 1 && faults[0].contains("oldSchemaVersion: 1"), "{faults:?}");
    }
}
