//! Topic configs: all of Kafka 4.x, where their defaults come from, and what they mean for a log.
//!
//! Each config either reaches the log, or has a meaning that one node fulfils by itself (`docs/compatibility.md` says which), or
//! is refused by name.

mod table;

use super::def::{ConfigError, Kind, Rule, canonical};
use bd_log::{Compression, FlushMode, LogConfig};
use std::collections::BTreeMap;
use table::INTERNAL;
pub(crate) use table::TOPIC_CONFIGS;

/// How a config lies in [`LogConfig`].
pub(crate) struct LogField {
    /// The value as text.
    pub get: fn(&LogConfig) -> String,
    /// Sets it from a checked value.
    pub set: fn(&mut LogConfig, &str),
}

/// One topic config.
pub(crate) struct TopicConfig {
    pub name: &'static str,
    pub kind: Kind,
    pub rule: Rule,
    /// Kafka's default.
    pub default: &'static str,
    /// The broker setting that holds the default, and its elder names with the milliseconds of their unit.
    pub broker: &'static [(&'static str, i64)],
    pub field: Option<LogField>,
    pub doc: &'static str,
}

const MAX: &str = "9223372036854775807";
/// Sets the size of segments below what `segment.bytes` allows, as in Kafka for tests; not described unless set.
pub(crate) const INTERNAL_SEGMENT_BYTES: &str = "internal.segment.bytes";

/// The config of that name.
pub(crate) fn find(name: &str) -> Option<&'static TopicConfig> {
    if name == INTERNAL_SEGMENT_BYTES {
        return Some(&INTERNAL);
    }
    TOPIC_CONFIGS.iter().find(|c| c.name == name)
}

/// Checks the configs that a topic shall have, each by itself and together, and gives them as Kafka shows them.
pub(crate) fn check_all(configs: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut checked = BTreeMap::new();
    for (name, value) in configs {
        let config =
            find(name).ok_or_else(|| ConfigError::new(name, format!("Unknown topic config name: {name}")))?;
        checked.insert(name.clone(), canonical(name, config.kind, config.rule, value)?);
    }
    let number = |name: &str| {
        let value = checked.get(name).map(String::as_str).or_else(|| find(name).map(|c| c.default));
        value.and_then(|v| v.parse::<i64>().ok()).unwrap_or(0)
    };
    let (least, most) = (number("min.compaction.lag.ms"), number("max.compaction.lag.ms"));
    if least > most {
        let reason = format!(
            "conflict topic config setting min.compaction.lag.ms ({least}) > max.compaction.lag.ms ({most})"
        );
        return Err(ConfigError::new("max.compaction.lag.ms", reason));
    }
    if checked.get("remote.storage.enable").is_some_and(|v| v == "true") {
        let reason = "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with \
                      remote log storage.";
        return Err(ConfigError::new("remote.storage.enable", reason));
    }
    Ok(checked)
}

/// What needs more than one config: `value` gives the one in force.
pub(crate) fn finish(log: &mut LogConfig, value: impl Fn(&str) -> String) {
    let level = |name: &str| value(name).parse::<i32>().unwrap_or(0);
    log.compression = match value("compression.type").as_str() {
        "uncompressed" => Compression::Uncompressed,
        "gzip" => Compression::Gzip(level("compression.gzip.level")),
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4(level("compression.lz4.level")),
        "zstd" => Compression::Zstd(level("compression.zstd.level")),
        _ => Compression::Producer,
    };
    // Without "delete" nothing is deleted by time and size: neither what is compacted nor, with no policy at all, the rest.
    if !value("cleanup.policy").split(',').any(|p| p == "delete") {
        log.retention_bytes = None;
        log.retention_ms = None;
    }
    // Where the broker leaves fsync to the system, a topic that asks for it gets it, before the acknowledgement.
    let asks = ["flush.messages", "flush.ms"].iter().any(|name| value(name) != MAX);
    if log.flush == FlushMode::Os && asks {
        log.flush = FlushMode::Group;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn the_table_is_sorted_and_its_defaults_pass_their_own_rules() {
        assert!(TOPIC_CONFIGS.windows(2).all(|w| w[0].name < w[1].name));
        for config in TOPIC_CONFIGS {
            let shown = canonical(config.name, config.kind, config.rule, config.default);
            assert_eq!(shown.as_deref(), Ok(config.default), "{}", config.name);
        }
    }

    #[test]
    fn what_a_field_is_set_to_is_what_it_gives() {
        for config in TOPIC_CONFIGS {
            let mut log = LogConfig::default();
            if let Some(field) = &config.field {
                (field.set)(&mut log, config.default);
                assert_eq!((field.get)(&log), config.default, "{}", config.name);
            }
        }
    }

    #[test]
    fn unknown_and_conflicting_configs_are_refused_with_kafkas_texts() {
        let reason = |pairs| check_all(&configs(pairs)).unwrap_err().reason;
        assert_eq!(reason(&[("foo", "1")]), "Unknown topic config name: foo");
        assert_eq!(
            reason(&[("min.compaction.lag.ms", "1000"), ("max.compaction.lag.ms", "10")]),
            "conflict topic config setting min.compaction.lag.ms (1000) > max.compaction.lag.ms (10)"
        );
        assert!(reason(&[("remote.storage.enable", "true")]).starts_with("Tiered Storage functionality"));
        assert!(check_all(&configs(&[("remote.storage.enable", "false")])).is_ok());
    }
}
