//! The table of the broker's own settings.

use super::{BrokerSetting, LogField};
use crate::config::BrokerConfig;
use crate::configs::def::{Kind, Rule};
use std::time::Duration;

/// The time between two looks of the cleaner.
pub(crate) const CLEANER_BACKOFF: &str = "log.cleaner.backoff.ms";

type Get = fn(&BrokerConfig) -> String;
type Set = fn(&mut BrokerConfig, &str);

const fn setting(
    name: &'static str,
    kind: Kind,
    rule: Rule,
    default: Option<&'static str>,
    (get, set): (Get, Option<Set>),
    doc: &'static str,
) -> BrokerSetting {
    BrokerSetting { name, kind, rule, default, dynamic: false, get: Some(get), set, log: None, doc }
}

/// One of all logs, which can be changed at run time.
const fn of_logs(
    name: &'static str,
    kind: Kind,
    rule: Rule,
    default: &'static str,
    field: LogField,
    doc: &'static str,
) -> BrokerSetting {
    let (default, log) = (Some(default), Some(field));
    BrokerSetting { name, kind, rule, default, dynamic: true, get: None, set: None, log, doc }
}

macro_rules! parsed {
    ($field:ident) => {
        (
            |c| c.$field.to_string(),
            Some(|c, value| {
                if let Ok(n) = value.parse() {
                    c.$field = n;
                }
            }),
        )
    };
}

/// A duration that Kafka gives in ms.
macro_rules! millis {
    ($field:ident) => {
        (
            |c| c.$field.as_millis().to_string(),
            Some(|c, value| c.$field = Duration::from_millis(value.parse().unwrap_or(u64::MAX))),
        )
    };
}

const ONE: (Get, Option<Set>) = (|_| "1".to_owned(), None);

/// The broker's own settings, by name.
pub(crate) static BROKER_SETTINGS: &[BrokerSetting] = &[
    setting(
        "auto.create.topics.enable",
        Kind::Boolean,
        Rule::Any,
        Some("true"),
        parsed!(auto_create_topics),
        "Whether asking for a topic's metadata creates it.",
    ),
    setting(
        "broker.id",
        Kind::Int,
        Rule::AtLeast(0),
        Some("-1"),
        (|c| c.node_id.to_string(), None),
        "The elder name of node.id.",
    ),
    setting(
        "connections.max.idle.ms",
        Kind::Long,
        Rule::AtLeast(1),
        Some("600000"),
        millis!(connection_max_idle),
        "Connections on which nothing happens for so long are closed.",
    ),
    setting(
        "default.replication.factor",
        Kind::Int,
        Rule::AtLeast(1),
        Some("1"),
        ONE,
        "Replicas of topics that are created without a number: one, on one node.",
    ),
    setting(
        "delete.topic.enable",
        Kind::Boolean,
        Rule::Any,
        Some("true"),
        parsed!(delete_topics),
        "Whether topics can be deleted.",
    ),
    setting(
        "fetch.max.bytes",
        Kind::Int,
        Rule::AtLeast(1024),
        Some("57671680"),
        parsed!(fetch_max_bytes),
        "The most record bytes in the answer to one fetch.",
    ),
    setting(
        "group.consumer.heartbeat.interval.ms",
        Kind::Int,
        Rule::AtLeast(1),
        Some("5000"),
        parsed!(group_consumer_heartbeat_interval_ms),
        "How often members of groups of the consumer protocol report.",
    ),
    setting(
        "group.consumer.max.size",
        Kind::Int,
        Rule::AtLeast(1),
        Some("2147483647"),
        parsed!(group_consumer_max_size),
        "The most members of a group of the consumer protocol.",
    ),
    setting(
        "group.consumer.migration.policy",
        Kind::Text,
        Rule::OneOf(&["disabled", "downgrade", "upgrade", "bidirectional"]),
        Some("bidirectional"),
        parsed!(group_consumer_migration_policy),
        "Which groups change their protocol with members in them.",
    ),
    setting(
        "group.consumer.session.timeout.ms",
        Kind::Int,
        Rule::AtLeast(1),
        Some("45000"),
        parsed!(group_consumer_session_timeout_ms),
        "After how long without a report a member of such a group is out.",
    ),
    setting(
        "group.initial.rebalance.delay.ms",
        Kind::Int,
        Rule::AtLeast(0),
        Some("3000"),
        parsed!(group_initial_rebalance_delay_ms),
        "How long a new group waits for more members before its first rebalance.",
    ),
    setting(
        "group.max.session.timeout.ms",
        Kind::Int,
        Rule::AtLeast(1),
        Some("1800000"),
        parsed!(group_max_session_timeout_ms),
        "The longest session timeout that members of classic groups may have.",
    ),
    setting(
        "group.max.size",
        Kind::Int,
        Rule::AtLeast(1),
        Some("2147483647"),
        parsed!(group_max_size),
        "The most members of a classic group.",
    ),
    setting(
        "group.min.session.timeout.ms",
        Kind::Int,
        Rule::AtLeast(1),
        Some("6000"),
        parsed!(group_min_session_timeout_ms),
        "The shortest session timeout that members of classic groups may have.",
    ),
    BrokerSetting {
        dynamic: true,
        ..setting(
            CLEANER_BACKOFF,
            Kind::Long,
            Rule::AtLeast(1),
            Some("15000"),
            millis!(log_cleaner_backoff),
            "How often compaction looks for logs that need it.",
        )
    },
    of_logs(
        "log.cleaner.dedupe.buffer.size",
        Kind::Long,
        Rule::AtLeast(1),
        "134217728",
        LogField {
            get: |log| log.cleaner_dedupe_buffer_bytes.to_string(),
            set: |log, value| log.cleaner_dedupe_buffer_bytes = value.parse().unwrap_or(32 << 20),
        },
        "The most memory of one compaction for its map of keys.",
    ),
    of_logs(
        "log.cleaner.io.max.bytes.per.second",
        Kind::Double,
        Rule::Any,
        "1.7976931348623157E308",
        LogField {
            get: |log| match log.cleaner_io_bytes_per_second {
                Some(n) => format!("{:?}", n as f64),
                None => "1.7976931348623157E308".to_owned(),
            },
            set: |log, value| {
                let limit = value.parse::<f64>().ok().filter(|n| *n < 1e18);
                log.cleaner_io_bytes_per_second = limit.map(|n| n as u64);
            },
        },
        "The most bytes that compaction reads and writes in a second.",
    ),
    setting(
        "log.dirs",
        Kind::List,
        Rule::Any,
        None,
        (|c| c.data_dir.display().to_string(), None),
        "Where the logs are.",
    ),
    setting(
        "log.retention.check.interval.ms",
        Kind::Long,
        Rule::AtLeast(1),
        Some("300000"),
        millis!(maintenance_interval),
        "How often retention runs.",
    ),
    setting(
        "max.connections",
        Kind::Int,
        Rule::AtLeast(0),
        Some("2147483647"),
        parsed!(max_connections),
        "The most connections at a time.",
    ),
    setting(
        "max.connections.per.ip",
        Kind::Int,
        Rule::AtLeast(0),
        Some("2147483647"),
        parsed!(max_connections_per_ip),
        "The most connections of one address at a time.",
    ),
    setting(
        "max.request.partition.size.limit",
        Kind::Int,
        Rule::AtLeast(1),
        Some("2000"),
        parsed!(max_request_partitions),
        "The most partitions in one answer to DescribeTopicPartitions.",
    ),
    setting(
        "node.id",
        Kind::Int,
        Rule::AtLeast(0),
        None,
        (|c| c.node_id.to_string(), None),
        "This node's id.",
    ),
    setting(
        "num.partitions",
        Kind::Int,
        Rule::AtLeast(1),
        Some("1"),
        parsed!(num_partitions),
        "Partitions of topics that are created without a number.",
    ),
    setting(
        "offset.metadata.max.bytes",
        Kind::Int,
        Rule::AtLeast(0),
        Some("4096"),
        parsed!(offset_metadata_max_bytes),
        "The most bytes of text with a committed offset.",
    ),
    setting(
        "offsets.retention.check.interval.ms",
        Kind::Long,
        Rule::AtLeast(1),
        Some("600000"),
        millis!(offsets_check_interval),
        "How often unused offsets and groups are looked for.",
    ),
    setting(
        "offsets.retention.minutes",
        Kind::Int,
        Rule::AtLeast(1),
        Some("10080"),
        (
            |c| (c.offsets_retention_ms / 60_000).to_string(),
            Some(|c, value| c.offsets_retention_ms = value.parse().unwrap_or(10_080_i64) * 60_000),
        ),
        "How long the offsets of a group without members are kept.",
    ),
    setting(
        "offsets.topic.num.partitions",
        Kind::Int,
        Rule::AtLeast(1),
        Some("50"),
        parsed!(offsets_partitions),
        "Partitions of __consumer_offsets, when it is made.",
    ),
    setting(
        "offsets.topic.replication.factor",
        Kind::Int,
        Rule::AtLeast(1),
        Some("3"),
        ONE,
        "Replicas of __consumer_offsets: one, on one node.",
    ),
    setting(
        "process.roles",
        Kind::List,
        Rule::Any,
        None,
        (|_| "broker,controller".to_owned(), None),
        "What this node is.",
    ),
    of_logs(
        "producer.id.expiration.ms",
        Kind::Int,
        Rule::AtLeast(1),
        "86400000",
        LogField {
            get: |log| log.producer_id_expiration_ms.to_string(),
            set: |log, value| log.producer_id_expiration_ms = value.parse().unwrap_or(86_400_000),
        },
        "After how long without a record a partition forgets an idempotent producer.",
    ),
    setting(
        "queued.max.request.bytes",
        Kind::Long,
        Rule::AtLeast(-1),
        Some("-1"),
        parsed!(queued_max_request_bytes),
        "The most bytes of large requests that are held at once.",
    ),
    setting(
        "socket.request.max.bytes",
        Kind::Int,
        Rule::AtLeast(1),
        Some("104857600"),
        parsed!(max_request_bytes),
        "The largest request that is read.",
    ),
    setting(
        "transaction.max.timeout.ms",
        Kind::Int,
        Rule::AtLeast(1),
        Some("900000"),
        parsed!(transaction_max_timeout_ms),
        "The longest timeout that a transactional producer may ask for.",
    ),
    setting(
        "transaction.state.log.num.partitions",
        Kind::Int,
        Rule::AtLeast(1),
        Some("50"),
        parsed!(txn_partitions),
        "Partitions of __transaction_state, when it is made.",
    ),
    setting(
        "transaction.state.log.replication.factor",
        Kind::Int,
        Rule::AtLeast(1),
        Some("3"),
        ONE,
        "Replicas of __transaction_state: one, on one node.",
    ),
    setting(
        "transactional.id.expiration.ms",
        Kind::Int,
        Rule::AtLeast(1),
        Some("604800000"),
        parsed!(transactional_id_expiration_ms),
        "After how long without use a transactional id is forgotten.",
    ),
];
