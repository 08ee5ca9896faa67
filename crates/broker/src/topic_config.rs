//! Topic configs: Kafka's names, checked values, and what they mean for a log.

use bd_log::{LogConfig, TimestampType};
use std::collections::BTreeMap;

/// A config is refused; Kafka answers INVALID_CONFIG with this text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct ConfigError {
    /// The config.
    pub key: String,
    /// Why.
    pub reason: String,
}

/// What kind of value a config has; the numbers are those of DescribeConfigs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean = 1,
    Text = 2,
    Int = 3,
    Long = 5,
    Double = 6,
    List = 7,
}

/// One known topic config: name, kind, lowest value, default. A `None` default comes from the broker's settings.
pub(crate) const KNOWN: &[(&str, Kind, i64, Option<&str>)] = &[
    ("cleanup.policy", Kind::List, 0, Some("delete")),
    ("compression.type", Kind::Text, 0, Some("producer")),
    ("delete.retention.ms", Kind::Long, 0, Some("86400000")),
    ("file.delete.delay.ms", Kind::Long, 0, Some("60000")),
    ("flush.messages", Kind::Long, 1, Some("9223372036854775807")),
    ("flush.ms", Kind::Long, 0, Some("9223372036854775807")),
    ("index.interval.bytes", Kind::Int, 1, None),
    ("max.compaction.lag.ms", Kind::Long, 1, Some("9223372036854775807")),
    ("max.message.bytes", Kind::Int, 0, None),
    ("message.timestamp.after.max.ms", Kind::Long, 0, Some("9223372036854775807")),
    ("message.timestamp.before.max.ms", Kind::Long, 0, Some("9223372036854775807")),
    ("message.timestamp.type", Kind::Text, 0, None),
    ("min.cleanable.dirty.ratio", Kind::Double, 0, Some("0.5")),
    ("min.compaction.lag.ms", Kind::Long, 0, Some("0")),
    ("min.insync.replicas", Kind::Int, 1, Some("1")),
    ("preallocate", Kind::Boolean, 0, Some("false")),
    ("retention.bytes", Kind::Long, -1, None),
    ("retention.ms", Kind::Long, -1, None),
    ("segment.bytes", Kind::Int, 14, None),
    ("segment.index.bytes", Kind::Int, 4, Some("10485760")),
    ("segment.jitter.ms", Kind::Long, 0, Some("0")),
    ("segment.ms", Kind::Long, 1, Some("604800000")),
    ("unclean.leader.election.enable", Kind::Boolean, 0, Some("false")),
];

fn refuse<T>(key: &str, reason: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError { key: key.to_owned(), reason: reason.into() })
}

/// Checks one config.
pub(crate) fn check(key: &str, value: &str) -> Result<(), ConfigError> {
    let Some((_, kind, lowest, _)) = KNOWN.iter().find(|k| k.0 == key) else {
        return refuse(key, "unknown topic config name");
    };
    let one_of = |allowed: &[&str]| {
        if allowed.contains(&value) {
            Ok(())
        } else {
            refuse(key, format!("must be one of {}", allowed.join(", ")))
        }
    };
    match (key, kind) {
        ("cleanup.policy", _) => {
            let mut parts = value.split(',').map(str::trim);
            if parts.clone().next().is_some() && parts.all(|p| p == "delete" || p == "compact") {
                Ok(())
            } else {
                refuse(key, "must be delete, compact or both")
            }
        }
        ("message.timestamp.type", _) => one_of(&["CreateTime", "LogAppendTime"]),
        ("compression.type", _) => one_of(&["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"]),
        (_, Kind::Boolean) => one_of(&["true", "false"]),
        (_, Kind::Double) => match value.parse::<f64>() {
            Ok(n) if (0.0..=1.0).contains(&n) => Ok(()),
            _ => refuse(key, "must be a number from 0 to 1"),
        },
        (_, Kind::Int | Kind::Long) => {
            let highest = if *kind == Kind::Int { i64::from(i32::MAX) } else { i64::MAX };
            match value.parse::<i64>() {
                Ok(n) if n >= *lowest && n <= highest => Ok(()),
                Ok(n) => refuse(key, format!("{n} is not within {lowest}..={highest}")),
                Err(_) => refuse(key, format!("'{value}' is not a whole number")),
            }
        }
        (_, Kind::Text | Kind::List) => Ok(()),
    }
}

/// The settings of a log with these configs over the broker's defaults. Segments smaller than a few batches are taken as the
/// smallest the log allows.
pub(crate) fn log_config(defaults: &LogConfig, configs: &BTreeMap<String, String>) -> LogConfig {
    let mut log = defaults.clone();
    let number = |key: &str| configs.get(key).and_then(|v| v.parse::<i64>().ok());
    if let Some(n) = number("segment.bytes") {
        log.segment_bytes = u64::try_from(n).unwrap_or(0).max(1024);
    }
    if let Some(n) = number("index.interval.bytes") {
        log.index_interval_bytes = u32::try_from(n).unwrap_or(4096);
    }
    if let Some(n) = number("max.message.bytes") {
        log.max_message_bytes = usize::try_from(n).unwrap_or(0);
    }
    if let Some(n) = number("retention.bytes") {
        log.retention_bytes = u64::try_from(n).ok();
    }
    if let Some(n) = number("retention.ms") {
        log.retention_ms = (n >= 0).then_some(n);
    }
    if let Some(kind) = configs.get("message.timestamp.type") {
        log.message_timestamp_type =
            if kind == "LogAppendTime" { TimestampType::LogAppendTime } else { TimestampType::CreateTime };
    }
    // A topic that is only compacted keeps the last record of each key for ever.
    if configs.get("cleanup.policy").is_some_and(|p| !p.split(',').any(|p| p.trim() == "delete")) {
        log.retention_bytes = None;
        log.retention_ms = None;
    }
    log
}

/// The value in force of a known config.
pub(crate) fn effective(key: &str, log: &LogConfig, configs: &BTreeMap<String, String>) -> String {
    if let Some(value) = configs.get(key) {
        return value.clone();
    }
    match key {
        "segment.bytes" => log.segment_bytes.to_string(),
        "index.interval.bytes" => log.index_interval_bytes.to_string(),
        "max.message.bytes" => log.max_message_bytes.to_string(),
        "retention.bytes" => log.retention_bytes.map_or("-1".into(), |n| n.to_string()),
        "retention.ms" => log.retention_ms.map_or("-1".into(), |n| n.to_string()),
        "message.timestamp.type" => match log.message_timestamp_type {
            TimestampType::CreateTime => "CreateTime".into(),
            TimestampType::LogAppendTime => "LogAppendTime".into(),
        },
        _ => KNOWN.iter().find(|k| k.0 == key).and_then(|k| k.3).unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_by_kafkas_rules() {
        for (key, value, fits) in [
            ("retention.ms", "-1", true),
            ("retention.ms", "-2", false),
            ("retention.ms", "soon", false),
            ("segment.bytes", "2147483648", false),
            ("cleanup.policy", "compact,delete", true),
            ("cleanup.policy", "compress", false),
            ("message.timestamp.type", "LogAppendTime", true),
            ("message.timestamp.type", "Later", false),
            ("min.cleanable.dirty.ratio", "1.5", false),
            ("no.such.config", "1", false),
        ] {
            assert_eq!(check(key, value).is_ok(), fits, "{key}={value}");
        }
        for (key, _, _, default) in KNOWN {
            if let Some(default) = default {
                check(key, default).unwrap();
            }
        }
    }

    #[test]
    fn configs_reach_the_log() {
        let configs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let defaults = LogConfig { retention_ms: Some(5), ..LogConfig::default() };
        let log = log_config(&defaults, &configs(&[("retention.ms", "-1"), ("max.message.bytes", "7")]));
        assert_eq!((log.retention_ms, log.max_message_bytes), (None, 7));
        let log = log_config(&defaults, &configs(&[("cleanup.policy", "compact")]));
        assert_eq!(log.retention_ms, None);
        let log = log_config(&defaults, &configs(&[("cleanup.policy", "compact,delete")]));
        assert_eq!(log.retention_ms, Some(5));
    }
}
