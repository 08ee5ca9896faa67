//! The keys that every connector has beside its own.

use crate::sdk::{ConfigDef, ConfigKey, ConfigType as T, Importance, PluginKind};

/// A key without a default that need not be set.
const fn key(name: &'static str, kind: T, default: &'static str, doc: &'static str) -> ConfigKey {
    ConfigKey::optional(name, kind, default, doc)
}

const BOTH: [ConfigKey; 16] = [
    ConfigKey::required("name", T::String, "Globally unique name to use for this connector."),
    ConfigKey::required(
        "connector.class",
        T::String,
        "Name or alias of the class for this connector, in full or short.",
    ),
    key("tasks.max", T::Int, "1", "Maximum number of tasks to use for this connector."),
    key(
        "tasks.max.enforce",
        T::Boolean,
        "true",
        "Accepted; a connector never gets more tasks than tasks.max.",
    ),
    key("key.converter", T::String, "", "Converter class for keys. The worker's where it is not set."),
    key("value.converter", T::String, "", "Converter class for values. The worker's where it is not set."),
    key("header.converter", T::String, "", "Accepted; headers are passed on as bytes."),
    key("transforms", T::List, "", "Aliases for the transformations to be applied to records."),
    key("predicates", T::List, "", "Aliases for the predicates used by transformations."),
    key("config.action.reload", T::String, "restart", "Accepted; references are looked up when tasks start.")
        .one_of(&["restart", "none"]),
    key(
        "errors.retry.timeout",
        T::Long,
        "0",
        "Accepted; tasks are retried for ever after retriable failures.",
    ),
    key("errors.retry.delay.max.ms", T::Long, "60000", "Accepted; the worker's longest backoff holds."),
    key(
        "errors.tolerance",
        T::String,
        "none",
        "What bad records do: none fails the task, all passes over them.",
    )
    .one_of(&["none", "all"]),
    key("errors.log.enable", T::Boolean, "false", "Write each bad record's place and reason to the log."),
    key("errors.log.include.messages", T::Boolean, "false", "Write the start of its value as well."),
    key(
        "errors.deadletterqueue.topic.name",
        T::String,
        "",
        "The topic for bad records; of sources as well, other than in Kafka Connect.",
    ),
];

const LETTERS: [ConfigKey; 2] = [
    key(
        "errors.deadletterqueue.topic.replication.factor",
        T::Int,
        "",
        "Replication factor of the dead-letter topic where it is created; the cluster's default where it is not set.",
    ),
    key(
        "errors.deadletterqueue.context.headers.enable",
        T::Boolean,
        "false",
        "Add headers __connect.errors.* with the reason, topic, partition and offset to dead letters.",
    ),
];

const SOURCE: [ConfigKey; 7] = [
    key(
        "topic.creation.groups",
        T::List,
        "",
        "Groups of configurations for topics created by source connectors.",
    ),
    key(
        "topic.creation.default.partitions",
        T::Int,
        "",
        "Partitions of topics that are created; 1 where it is not set.",
    ),
    key("topic.creation.default.replication.factor", T::Int, "", "Their replication factor."),
    key(
        "exactly.once.support",
        T::String,
        "requested",
        "Accepted; sources are exactly once as far as they can seek.",
    )
    .one_of(&["requested", "required", "REQUESTED", "REQUIRED"]),
    key("transaction.boundary", T::String, "poll", "When a transaction is committed: with every poll.")
        .one_of(&["poll"]),
    key(
        "transaction.boundary.interval.ms",
        T::Long,
        "",
        "Accepted; not used with transaction.boundary=poll.",
    ),
    key("offsets.storage.topic", T::String, "", "Accepted; the worker's offset topic holds."),
];

const SINK: [ConfigKey; 4] = [
    key("topics", T::List, "", "List of topics to consume, separated by commas."),
    key("topics.regex", T::String, "", "Regular expression giving topics to consume; or topics."),
    key(
        "consumer.override.auto.offset.reset",
        T::String,
        "earliest",
        "Where to begin in topics without committed offsets.",
    )
    .one_of(&["earliest", "latest"]),
    key("consumer.override.max.poll.records", T::Int, "2000", "Records given to the sink at once, at most."),
];

/// Prefixes of keys that belong to converters, transforms and clients.
const PREFIXES: [&str; 8] = [
    "key.converter.",
    "value.converter.",
    "header.converter.",
    "transforms.",
    "predicates.",
    "topic.creation.",
    "producer.override.",
    "consumer.override.",
];

/// The worker's keys for connectors of that kind, those of the connector aside.
pub(super) fn definition(kind: PluginKind) -> ConfigDef {
    let mut keys: Vec<ConfigKey> = BOTH.into_iter().chain(LETTERS).collect();
    match kind {
        PluginKind::Source => keys.extend(SOURCE),
        PluginKind::Sink => keys.extend(SINK),
    }
    for key in &mut keys {
        if matches!(key.name, "name" | "connector.class" | "tasks.max" | "topics" | "topics.regex") {
            key.importance = Importance::High;
        }
    }
    ConfigDef { keys, prefixes: PREFIXES.to_vec() }
}
