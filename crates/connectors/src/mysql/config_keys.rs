//! The keys of the configuration, for validation and for people.

use bd_connect::sdk::{ConfigDef, ConfigKey, ConfigType};

const DOC_FILTER: &str =
    "Regular expressions, separated by commas, that match the whole name, without regard to case.";

const fn required(name: &'static str, kind: ConfigType, doc: &'static str) -> ConfigKey {
    ConfigKey::required(name, kind, doc)
}

const fn optional(
    name: &'static str,
    kind: ConfigType,
    default: &'static str,
    doc: &'static str,
) -> ConfigKey {
    ConfigKey::optional(name, kind, default, doc)
}

/// Debezium's keys and defaults.
const KEYS: &[ConfigKey] = &[
    required(
        "topic.prefix",
        ConfigType::String,
        "Logical name of the server: topics are named <prefix>.<database>.<table>.",
    ),
    required("database.hostname", ConfigType::String, "Address of the MySQL or MariaDB server."),
    optional("database.port", ConfigType::Int, "3306", "TCP port of the server."),
    required(
        "database.user",
        ConfigType::String,
        "User; needs SELECT, REPLICATION SLAVE, REPLICATION CLIENT, and RELOAD for the snapshot's short global read lock.",
    ),
    optional("database.password", ConfigType::Password, "", "Password of the user."),
    optional(
        "database.server.id",
        ConfigType::Long,
        "",
        "Number of this client, unlike that of any other server or client in the cluster. Not set: made of the connector's prefix.",
    ),
    optional(
        "database.ssl.mode",
        ConfigType::String,
        "preferred",
        "TLS is not built: preferred and disabled connect without it.",
    ),
    optional("database.include.list", ConfigType::List, "", DOC_FILTER),
    optional("database.exclude.list", ConfigType::List, "", DOC_FILTER),
    optional(
        "table.include.list",
        ConfigType::List,
        "",
        "<database>.<table>: regular expressions, separated by commas, that match the whole name.",
    ),
    optional(
        "table.exclude.list",
        ConfigType::List,
        "",
        "<database>.<table>: regular expressions, separated by commas, that match the whole name.",
    ),
    optional(
        "column.exclude.list",
        ConfigType::List,
        "",
        "<database>.<table>.<column>: columns left out of the records.",
    ),
    optional(
        "column.include.list",
        ConfigType::List,
        "",
        "<database>.<table>.<column>: the only columns in the records.",
    ),
    optional(
        "snapshot.mode",
        ConfigType::String,
        "initial",
        "initial, when_needed, no_data (schema_only), never.",
    ),
    optional(
        "snapshot.locking.mode",
        ConfigType::String,
        "minimal",
        "minimal: a global read lock while the binlog position and the table definitions are read; none.",
    ),
    optional("snapshot.lock.timeout.ms", ConfigType::Long, "10000", "How long to wait for that lock."),
    optional(
        "tombstones.on.delete",
        ConfigType::Boolean,
        "true",
        "A delete is followed by a record with the key and no value.",
    ),
    optional(
        "include.schema.changes",
        ConfigType::Boolean,
        "true",
        "Accepted; the topic of schema changes is not written.",
    ),
    optional(
        "decimal.handling.mode",
        ConfigType::String,
        "precise",
        "DECIMAL as Connect's Decimal, as double, or as string.",
    )
    .one_of(&["precise", "double", "string"]),
    optional(
        "time.precision.mode",
        ConfigType::String,
        "adaptive_time_microseconds",
        "Debezium's types of time, or Connect's (milliseconds).",
    )
    .one_of(&["adaptive_time_microseconds", "connect"]),
    optional(
        "bigint.unsigned.handling.mode",
        ConfigType::String,
        "long",
        "BIGINT UNSIGNED as a 64-bit number, or as Connect's Decimal.",
    )
    .one_of(&["long", "precise"]),
    optional("binary.handling.mode", ConfigType::String, "bytes", "Only bytes.").one_of(&["bytes"]),
    optional("skipped.operations", ConfigType::String, "t", "Truncates are left out; the others cannot be."),
    optional(
        "heartbeat.interval.ms",
        ConfigType::Long,
        "0",
        "How often a record goes to the topic of heartbeats; 0: never.",
    ),
    optional(
        "topic.heartbeat.prefix",
        ConfigType::String,
        "__debezium-heartbeat",
        "The topic of heartbeats is <this>.<topic.prefix>.",
    ),
    optional("max.batch.size", ConfigType::Int, "2048", "The most changes in one poll."),
    optional("max.queue.size", ConfigType::Int, "8192", "Accepted; the queue is bounded by max.batch.size."),
    optional(
        "poll.interval.ms",
        ConfigType::Long,
        "500",
        "Accepted; changes are given as soon as they are there.",
    ),
    optional(
        "connect.keep.alive.interval.ms",
        ConfigType::Long,
        "60000",
        "A server that says nothing for so long is taken for gone. It is asked for a heartbeat six times as often.",
    ),
    optional("connect.timeout.ms", ConfigType::Int, "30000", "How long to wait for a connection."),
];

/// Keys that begin so pass: Debezium has many that say how to do what is done here in another way.
const PREFIXES: &[&str] = &[
    "schema.history.internal",
    "database.",
    "snapshot.",
    "column.",
    "message.",
    "signal.",
    "connect.",
    "event.",
    "topic.",
    "incremental.",
    "provide.",
    "sourceinfo.",
];

/// The keys.
pub(super) fn definition() -> ConfigDef {
    ConfigDef { keys: KEYS.to_vec(), prefixes: PREFIXES.to_vec() }
}
