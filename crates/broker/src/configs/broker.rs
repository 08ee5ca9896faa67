//! Broker settings under Kafka's names. Those that are defaults of topic configs are in [`super::topic`].

use super::def::{ConfigError, Kind, Rule, canonical};
use super::moot;
use super::topic::{LogField, TOPIC_CONFIGS, TopicConfig};
use crate::config::BrokerConfig;
use std::time::Duration;

/// One broker setting.
pub(crate) struct BrokerSetting {
    pub name: &'static str,
    pub kind: Kind,
    pub rule: Rule,
    /// Kafka's default; `None`: null.
    pub default: Option<&'static str>,
    /// Whether AlterConfigs may change it.
    pub dynamic: bool,
    /// What the broker was started with, where that is a field of [`BrokerConfig`].
    pub get: Option<fn(&BrokerConfig) -> String>,
    /// Sets the field from a checked value.
    pub set: Option<fn(&mut BrokerConfig, &str)>,
    /// The same where it is a setting of all logs.
    pub log: Option<LogField>,
    pub doc: &'static str,
}

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
    setting(
        "log.cleaner.backoff.ms",
        Kind::Long,
        Rule::AtLeast(1),
        Some("15000"),
        millis!(log_cleaner_backoff),
        "How often compaction looks for logs that need it.",
    ),
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
        "How often retention and expiry run.",
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

/// A broker setting, of either table.
#[derive(Clone, Copy)]
pub(crate) enum Found {
    Own(&'static BrokerSetting),
    /// The default of a topic config, with the ms of its unit; the elder names (of another unit) are read-only.
    Topic(&'static TopicConfig, &'static str, i64),
}

impl Found {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Found::Own(setting) => setting.name,
            Found::Topic(_, name, _) => name,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Found::Own(setting) => setting.kind,
            Found::Topic(config, _, 1) => config.kind,
            Found::Topic(..) => Kind::Int,
        }
    }

    pub(crate) fn doc(&self) -> &'static str {
        match self {
            Found::Own(setting) => setting.doc,
            Found::Topic(config, ..) => config.doc,
        }
    }

    pub(crate) fn is_dynamic(&self) -> bool {
        match self {
            Found::Own(setting) => setting.dynamic,
            Found::Topic(_, _, unit) => *unit == 1,
        }
    }

    /// Kafka's default: where a topic config has several names, the one with the greatest unit holds it.
    pub(crate) fn default(&self) -> Option<String> {
        match self {
            Found::Own(setting) => setting.default.map(str::to_owned),
            Found::Topic(config, name, unit) => {
                // Null in Kafka, which then asks another setting.
                if *name == "log.flush.interval.ms" {
                    return None;
                }
                let holds = config.broker.last().is_some_and(|(last, _)| last == name);
                let value = holds.then_some(config.default)?;
                let number = value.parse::<i64>().ok().filter(|_| *unit > 1);
                Some(number.map_or_else(|| value.to_owned(), |n| (n / unit).to_string()))
            }
        }
    }

    /// Checks a value.
    pub(crate) fn check(&self, value: &str) -> Result<String, ConfigError> {
        match self {
            Found::Own(setting) => canonical(setting.name, setting.kind, setting.rule, value),
            Found::Topic(config, name, 1) => canonical(name, config.kind, config.rule, value),
            Found::Topic(_, name, _) => canonical(name, Kind::Int, Rule::AtLeast(-1), value),
        }
    }
}

/// All broker settings.
pub(crate) fn all() -> impl Iterator<Item = Found> {
    let of_topics = TOPIC_CONFIGS
        .iter()
        .flat_map(|config| config.broker.iter().map(move |(name, unit)| Found::Topic(config, name, *unit)));
    BROKER_SETTINGS.iter().chain(moot::SETTINGS).map(Found::Own).chain(of_topics)
}

/// The broker setting of that name.
pub(crate) fn find(name: &str) -> Option<Found> {
    all().find(|found| found.name() == name)
}

impl BrokerConfig {
    /// Sets a broker setting by Kafka's name, such as `log.retention.ms`; names and rules are Kafka's.
    ///
    /// # Errors
    /// [`ConfigError`]: the name is not known, the value breaks its rule, or it cannot be chosen here.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        let found = find(name)
            .ok_or_else(|| ConfigError::new(name, format!("Unknown broker config name: {name}")))?;
        let value = found.check(value)?;
        match found {
            Found::Own(BrokerSetting { set: Some(set), .. }) => set(self, &value),
            Found::Own(BrokerSetting { log: Some(field), .. }) => (field.set)(&mut self.log, &value),
            Found::Own(BrokerSetting { get: Some(get), .. }) if get(self) != value => {
                let only = get(self);
                let reason = format!("Invalid value {value} for configuration {name}: it is {only} here");
                return Err(ConfigError::new(name, reason));
            }
            _ => {}
        }
        self.properties.insert(name.to_owned(), value);
        Ok(())
    }

    /// The names that [`BrokerConfig::set`] knows, with one line on each, by name.
    pub fn settings() -> Vec<(&'static str, &'static str)> {
        let mut names: Vec<_> = all().map(|found| (found.name(), found.doc())).collect();
        names.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_there_once_and_defaults_pass_their_own_rules() {
        let names = BrokerConfig::settings();
        assert!(names.windows(2).all(|w| w[0].0 != w[1].0), "{names:?}");
        for found in all().filter(|f| f.name() != "broker.id") {
            if let Some(default) = found.default() {
                assert_eq!(found.check(&default).as_deref(), Ok(default.as_str()), "{}", found.name());
            }
        }
        assert_eq!(find("log.retention.hours").and_then(|f| f.default()).as_deref(), Some("168"));
        assert_eq!(find("log.retention.ms").and_then(|f| f.default()), None);
    }

    #[test]
    fn settings_reach_their_fields_and_wrong_ones_are_refused_by_name() {
        let mut config = BrokerConfig::new("/x");
        config.set("num.partitions", "7").unwrap();
        config.set("log.retention.check.interval.ms", "50").unwrap();
        assert_eq!((config.num_partitions, config.maintenance_interval), (7, Duration::from_millis(50)));
        let refused = |name: &str, value: &str| BrokerConfig::new("/x").set(name, value).unwrap_err().reason;
        assert_eq!(refused("foo", "1"), "Unknown broker config name: foo");
        assert_eq!(
            refused("num.partitions", "0"),
            "Invalid value 0 for configuration num.partitions: Value must be at least 1"
        );
        assert!(refused("default.replication.factor", "3").contains("it is 1 here"));
    }
}
