//! The table of all topic configs.

use super::{INTERNAL_SEGMENT_BYTES, LogField, MAX, TopicConfig};
use crate::configs::def::{Kind, Rule};
use bd_log::{CleanupPolicy, Compression, TimestampType};

macro_rules! field {
    ($field:ident) => {
        Some(LogField {
            get: |log| log.$field.to_string(),
            set: |log, value| {
                if let Ok(n) = value.parse() {
                    log.$field = n;
                }
            },
        })
    };
}

/// The level of a codec, which lies beside its name: see [`finish`].
macro_rules! level {
    ($codec:ident, $default:literal) => {
        Some(LogField {
            get: |log| match log.compression {
                Compression::$codec(level) => level.to_string(),
                _ => $default.to_owned(),
            },
            set: |_, _| {},
        })
    };
}

const fn config(
    name: &'static str,
    kind: Kind,
    rule: Rule,
    default: &'static str,
    broker: &'static [(&'static str, i64)],
    field: Option<LogField>,
    doc: &'static str,
) -> TopicConfig {
    TopicConfig { name, kind, rule, default, broker, field, doc }
}

/// All topic configs, by name.
pub(crate) static TOPIC_CONFIGS: &[TopicConfig] = &[
    config(
        "cleanup.policy",
        Kind::List,
        Rule::OneOf(&["compact", "delete"]),
        "delete",
        &[("log.cleanup.policy", 1)],
        Some(LogField {
            get: |log| match log.cleanup_policy {
                CleanupPolicy::Delete => "delete".to_owned(),
                CleanupPolicy::Compact => "compact".to_owned(),
                CleanupPolicy::CompactAndDelete => "compact,delete".to_owned(),
            },
            set: |log, value| {
                let has = |word| value.split(',').any(|w| w == word);
                log.cleanup_policy = match (has("compact"), has("delete")) {
                    (true, true) => CleanupPolicy::CompactAndDelete,
                    (true, false) => CleanupPolicy::Compact,
                    _ => CleanupPolicy::Delete,
                };
            },
        }),
        "What becomes of old records: \"delete\" drops whole segments by time and size, \"compact\" keeps the last record of \
         each key; both may be given.",
    ),
    config(
        "compression.gzip.level",
        Kind::Int,
        Rule::GzipLevel,
        "-1",
        &[("compression.gzip.level", 1)],
        level!(Gzip, "-1"),
        "The level at which the broker compresses where compression.type is gzip.",
    ),
    config(
        "compression.lz4.level",
        Kind::Int,
        Rule::Between(1, 17),
        "9",
        &[("compression.lz4.level", 1)],
        level!(Lz4, "9"),
        "The level at which the broker compresses where compression.type is lz4; there is one, the fast one.",
    ),
    config(
        "compression.type",
        Kind::Text,
        Rule::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        "producer",
        &[("compression.type", 1)],
        Some(LogField {
            get: |log| {
                let name = match log.compression {
                    Compression::Producer => "producer",
                    Compression::Uncompressed => "uncompressed",
                    Compression::Gzip(_) => "gzip",
                    Compression::Snappy => "snappy",
                    Compression::Lz4(_) => "lz4",
                    Compression::Zstd(_) => "zstd",
                };
                name.to_owned()
            },
            set: |_, _| {},
        }),
        "The codec in which batches are stored; \"producer\" keeps the producer's.",
    ),
    config(
        "compression.zstd.level",
        Kind::Int,
        Rule::Between(-131_072, 22),
        "3",
        &[("compression.zstd.level", 1)],
        level!(Zstd, "3"),
        "The level at which the broker compresses where compression.type is zstd.",
    ),
    config(
        "delete.retention.ms",
        Kind::Long,
        Rule::AtLeast(0),
        "86400000",
        &[("log.cleaner.delete.retention.ms", 1)],
        field!(delete_retention_ms),
        "How long compaction keeps the record that deletes a key, so that readers see it.",
    ),
    config(
        "file.delete.delay.ms",
        Kind::Long,
        Rule::AtLeast(0),
        "60000",
        &[("log.segment.delete.delay.ms", 1)],
        None,
        "How long the files of a deleted topic stay on the disk.",
    ),
    config(
        "flush.messages",
        Kind::Long,
        Rule::AtLeast(1),
        MAX,
        &[("log.flush.interval.messages", 1)],
        None,
        "After how many records Kafka would fsync; here all records are fsynced before they are acknowledged.",
    ),
    config(
        "flush.ms",
        Kind::Long,
        Rule::AtLeast(0),
        MAX,
        &[("log.flush.interval.ms", 1)],
        None,
        "After how many ms Kafka would fsync; here all records are fsynced before they are acknowledged.",
    ),
    config(
        "follower.replication.throttled.replicas",
        Kind::List,
        Rule::Replicas,
        "",
        &[],
        None,
        "Replicas whose followers are throttled; one node has no followers.",
    ),
    config(
        "index.interval.bytes",
        Kind::Int,
        Rule::AtLeast(0),
        "4096",
        &[("log.index.interval.bytes", 1)],
        Some(LogField {
            get: |log| log.index_interval_bytes.to_string(),
            set: |log, value| log.index_interval_bytes = value.parse().unwrap_or(4096).max(1),
        }),
        "One index entry for so many bytes of log.",
    ),
    config(
        "leader.replication.throttled.replicas",
        Kind::List,
        Rule::Replicas,
        "",
        &[],
        None,
        "Replicas whose leaders are throttled; one node replicates nothing.",
    ),
    config(
        "local.retention.bytes",
        Kind::Long,
        Rule::AtLeast(-2),
        "-2",
        &[("log.local.retention.bytes", 1)],
        None,
        "What stays on local disks of a tiered topic; no topic is tiered, so retention.bytes counts.",
    ),
    config(
        "local.retention.ms",
        Kind::Long,
        Rule::AtLeast(-2),
        "-2",
        &[("log.local.retention.ms", 1)],
        None,
        "What stays on local disks of a tiered topic; no topic is tiered, so retention.ms counts.",
    ),
    config(
        "max.compaction.lag.ms",
        Kind::Long,
        Rule::AtLeast(1),
        MAX,
        &[("log.cleaner.max.compaction.lag.ms", 1)],
        field!(max_compaction_lag_ms),
        "The longest time that a record stays uncompacted.",
    ),
    config(
        "max.message.bytes",
        Kind::Int,
        Rule::AtLeast(0),
        "1048588",
        &[("message.max.bytes", 1)],
        field!(max_message_bytes),
        "The largest record batch that is taken, in bytes.",
    ),
    config(
        "message.timestamp.after.max.ms",
        Kind::Long,
        Rule::AtLeast(0),
        "3600000",
        &[("log.message.timestamp.after.max.ms", 1)],
        field!(message_timestamp_after_max_ms),
        "How far a record's time may lie after the broker's.",
    ),
    config(
        "message.timestamp.before.max.ms",
        Kind::Long,
        Rule::AtLeast(0),
        MAX,
        &[("log.message.timestamp.before.max.ms", 1)],
        field!(message_timestamp_before_max_ms),
        "How far a record's time may lie before the broker's.",
    ),
    config(
        "message.timestamp.type",
        Kind::Text,
        Rule::OneOf(&["CreateTime", "LogAppendTime"]),
        "CreateTime",
        &[("log.message.timestamp.type", 1)],
        Some(LogField {
            get: |log| match log.message_timestamp_type {
                TimestampType::CreateTime => "CreateTime".to_owned(),
                TimestampType::LogAppendTime => "LogAppendTime".to_owned(),
            },
            set: |log, value| {
                log.message_timestamp_type = match value {
                    "LogAppendTime" => TimestampType::LogAppendTime,
                    _ => TimestampType::CreateTime,
                };
            },
        }),
        "Whether records keep the producer's time or get that of the append.",
    ),
    config(
        "min.cleanable.dirty.ratio",
        Kind::Double,
        Rule::Ratio,
        "0.5",
        &[("log.cleaner.min.cleanable.ratio", 1)],
        Some(LogField {
            get: |log| format!("{:?}", log.min_cleanable_dirty_ratio),
            set: |log, value| log.min_cleanable_dirty_ratio = value.parse().unwrap_or(0.5),
        }),
        "Compaction runs when this part of the log is not compacted yet.",
    ),
    config(
        "min.compaction.lag.ms",
        Kind::Long,
        Rule::AtLeast(0),
        "0",
        &[("log.cleaner.min.compaction.lag.ms", 1)],
        field!(min_compaction_lag_ms),
        "The shortest time that a record stays uncompacted.",
    ),
    config(
        "min.insync.replicas",
        Kind::Int,
        Rule::AtLeast(1),
        "1",
        &[("min.insync.replicas", 1)],
        None,
        "How many replicas must have a record that is produced with acks=all. There is one: more refuse such records.",
    ),
    config(
        "preallocate",
        Kind::Boolean,
        Rule::Any,
        "false",
        &[("log.preallocate", 1)],
        field!(preallocate),
        "Whether segments are created at full length.",
    ),
    config(
        "remote.log.copy.disable",
        Kind::Boolean,
        Rule::Any,
        "false",
        &[],
        None,
        "Whether a tiered topic stops copying; no topic is tiered.",
    ),
    config(
        "remote.log.delete.on.disable",
        Kind::Boolean,
        Rule::Any,
        "false",
        &[],
        None,
        "Whether the remote part is deleted when tiering ends; no topic is tiered.",
    ),
    config(
        "remote.storage.enable",
        Kind::Boolean,
        Rule::Any,
        "false",
        &[],
        None,
        "Whether old segments move to remote storage: there is none, true is refused.",
    ),
    config(
        "retention.bytes",
        Kind::Long,
        Rule::Any,
        "-1",
        &[("log.retention.bytes", 1)],
        Some(LogField {
            get: |log| log.retention_bytes.map_or("-1".into(), |n| n.to_string()),
            set: |log, value| log.retention_bytes = value.parse().ok(),
        }),
        "How large a partition grows before old segments are deleted; -1 for no limit.",
    ),
    config(
        "retention.ms",
        Kind::Long,
        Rule::AtLeast(-1),
        "604800000",
        &[("log.retention.ms", 1), ("log.retention.minutes", 60_000), ("log.retention.hours", 3_600_000)],
        Some(LogField {
            get: |log| log.retention_ms.map_or("-1".into(), |n| n.to_string()),
            set: |log, value| log.retention_ms = value.parse().ok().filter(|n| *n >= 0),
        }),
        "How long records are kept, by their timestamps; -1 for ever.",
    ),
    config(
        "segment.bytes",
        Kind::Int,
        Rule::AtLeast(1 << 20),
        "1073741824",
        &[("log.segment.bytes", 1)],
        Some(LogField {
            get: |log| log.segment_bytes.to_string(),
            // The log's own least size is a few headers.
            set: |log, value| log.segment_bytes = value.parse().unwrap_or(1 << 30).max(1024),
        }),
        "The size at which a segment file is closed.",
    ),
    config(
        "segment.index.bytes",
        Kind::Int,
        Rule::AtLeast(4),
        "10485760",
        &[("log.index.size.max.bytes", 1)],
        None,
        "The size of preallocated index files; indexes grow as they need.",
    ),
    config(
        "segment.jitter.ms",
        Kind::Long,
        Rule::AtLeast(0),
        "0",
        &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", 3_600_000)],
        field!(segment_jitter_ms),
        "The most by which closing a segment is moved ahead at random.",
    ),
    config(
        "segment.ms",
        Kind::Long,
        Rule::AtLeast(1),
        "604800000",
        &[("log.roll.ms", 1), ("log.roll.hours", 3_600_000)],
        field!(segment_ms),
        "The age at which a segment is closed even if it is not full.",
    ),
    config(
        "unclean.leader.election.enable",
        Kind::Boolean,
        Rule::Any,
        "false",
        &[("unclean.leader.election.enable", 1)],
        None,
        "Whether a replica that lags may become leader; one node has no such replica.",
    ),
];

/// Not described unless set.
pub(super) static INTERNAL: TopicConfig = config(
    INTERNAL_SEGMENT_BYTES,
    Kind::Int,
    Rule::Any,
    "",
    &[],
    Some(LogField {
        get: |log| log.segment_bytes.to_string(),
        set: |log, value| log.segment_bytes = value.parse().unwrap_or(1 << 30).max(1024),
    }),
    "The size at which a segment file is closed, below what segment.bytes allows: for tests.",
);
