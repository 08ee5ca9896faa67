//! The configuration: Debezium's keys and defaults, and what of them is refused because it is not built.

use super::Flavor;
use super::filter::{Filter, Patterns};
use bd_connect::sdk::{Config, ConfigDef, ConfigError, ConfigKey, ConfigType};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// `snapshot.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SnapshotMode {
    /// Rows, then the binlog; only where no offset is committed.
    Initial,
    /// As `initial`, and again when the binlog no longer holds the committed place.
    WhenNeeded,
    /// Table definitions only, then the binlog from now on.
    NoData,
    /// The binlog from its beginning.
    Never,
}

/// `decimal.handling.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecimalMode {
    /// Connect's Decimal.
    Precise,
    /// DOUBLE.
    Double,
    /// The digits as text.
    String,
}

/// `time.precision.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeMode {
    /// Debezium's own types, by the column's precision; TIME in microseconds.
    Adaptive,
    /// Connect's Date, Time, Timestamp in milliseconds.
    Connect,
}

/// What the task works by.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) flavor: Flavor,
    pub(super) hostname: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) server_id: u32,
    /// `topic.prefix`: the logical name of the server.
    pub(super) prefix: String,
    pub(super) filter: Filter,
    /// Definitions of captured tables only are kept, not of all tables in captured databases.
    pub(super) only_captured: bool,
    pub(super) snapshot_mode: SnapshotMode,
    /// `snapshot.locking.mode=minimal`.
    pub(super) snapshot_lock: bool,
    pub(super) snapshot_lock_timeout: Duration,
    pub(super) tombstones: bool,
    pub(super) decimal: DecimalMode,
    pub(super) time: TimeMode,
    /// `bigint.unsigned.handling.mode=precise`.
    pub(super) bigint_precise: bool,
    /// `heartbeat.interval.ms`; zero: none.
    pub(super) heartbeat: Duration,
    pub(super) heartbeat_topic: String,
    pub(super) max_batch: usize,
    pub(super) connect_timeout: Duration,
}

const DOC_FILTER: &str =
    "Regular expressions, separated by commas, that match the whole name, without regard to case.";

/// The keys.
pub(super) fn definition() -> ConfigDef {
    use ConfigType::{Boolean, Int, List, Long, Password, String};
    let keys = vec![
        ConfigKey::required(
            "topic.prefix",
            String,
            "Logical name of the server: topics are named <prefix>.<database>.<table>.",
        ),
        ConfigKey::required("database.hostname", String, "Address of the MySQL or MariaDB server."),
        ConfigKey::optional("database.port", Int, "3306", "TCP port of the server."),
        ConfigKey::required(
            "database.user",
            String,
            "User; needs SELECT, REPLICATION SLAVE, REPLICATION CLIENT, and RELOAD for the snapshot's short global read lock.",
        ),
        ConfigKey::optional("database.password", Password, "", "Password of the user."),
        ConfigKey::optional(
            "database.server.id",
            Long,
            "",
            "Number of this client, unlike that of any other server or client in the cluster. Not set: made of the connector's prefix.",
        ),
        ConfigKey::optional(
            "database.ssl.mode",
            String,
            "preferred",
            "TLS is not built: preferred and disabled connect without it.",
        ),
        ConfigKey::optional("database.include.list", List, "", DOC_FILTER),
        ConfigKey::optional("database.exclude.list", List, "", DOC_FILTER),
        ConfigKey::optional(
            "table.include.list",
            List,
            "",
            "<database>.<table>: regular expressions, separated by commas, that match the whole name.",
        ),
        ConfigKey::optional(
            "table.exclude.list",
            List,
            "",
            "<database>.<table>: regular expressions, separated by commas, that match the whole name.",
        ),
        ConfigKey::optional(
            "column.exclude.list",
            List,
            "",
            "<database>.<table>.<column>: columns left out of the records.",
        ),
        ConfigKey::optional(
            "column.include.list",
            List,
            "",
            "<database>.<table>.<column>: the only columns in the records.",
        ),
        ConfigKey::optional(
            "snapshot.mode",
            String,
            "initial",
            "initial, when_needed, no_data (schema_only), never.",
        ),
        ConfigKey::optional(
            "snapshot.locking.mode",
            String,
            "minimal",
            "minimal: a global read lock while the binlog position and the table definitions are read; none.",
        ),
        ConfigKey::optional("snapshot.lock.timeout.ms", Long, "10000", "How long to wait for that lock."),
        ConfigKey::optional(
            "tombstones.on.delete",
            Boolean,
            "true",
            "A delete is followed by a record with the key and no value.",
        ),
        ConfigKey::optional(
            "include.schema.changes",
            Boolean,
            "true",
            "Accepted; the topic of schema changes is not written.",
        ),
        ConfigKey::optional(
            "decimal.handling.mode",
            String,
            "precise",
            "DECIMAL as Connect's Decimal, as double, or as string.",
        )
        .one_of(&["precise", "double", "string"]),
        ConfigKey::optional(
            "time.precision.mode",
            String,
            "adaptive_time_microseconds",
            "Debezium's types of time, or Connect's (milliseconds).",
        )
        .one_of(&["adaptive_time_microseconds", "connect"]),
        ConfigKey::optional(
            "bigint.unsigned.handling.mode",
            String,
            "long",
            "BIGINT UNSIGNED as a 64-bit number, or as Connect's Decimal.",
        )
        .one_of(&["long", "precise"]),
        ConfigKey::optional("binary.handling.mode", String, "bytes", "Only bytes.").one_of(&["bytes"]),
        ConfigKey::optional(
            "skipped.operations",
            String,
            "t",
            "Truncates are left out; the others cannot be.",
        ),
        ConfigKey::optional(
            "heartbeat.interval.ms",
            Long,
            "0",
            "How often a record goes to the topic of heartbeats; 0: never.",
        ),
        ConfigKey::optional(
            "topic.heartbeat.prefix",
            String,
            "__debezium-heartbeat",
            "The topic of heartbeats is <this>.<topic.prefix>.",
        ),
        ConfigKey::optional("max.batch.size", Int, "2048", "The most changes in one poll."),
        ConfigKey::optional(
            "max.queue.size",
            Int,
            "8192",
            "Accepted; the queue is bounded by max.batch.size.",
        ),
        ConfigKey::optional(
            "poll.interval.ms",
            Long,
            "500",
            "Accepted; changes are given as soon as they are there.",
        ),
        ConfigKey::optional("connect.timeout.ms", Int, "30000", "How long to wait for a connection."),
    ];
    ConfigDef {
        keys,
        prefixes: vec![
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
        ],
    }
}

/// Keys of Debezium that change what is given and are not built, with the values that mean the default.
const NOT_BUILT: &[(&str, &[&str])] = &[
    ("message.key.columns", &[]),
    ("gtid.source.includes", &[]),
    ("gtid.source.excludes", &[]),
    ("snapshot.include.collection.list", &[]),
    ("snapshot.select.statement.overrides", &[]),
    ("signal.data.collection", &[]),
    ("provide.transaction.metadata", &["false"]),
    ("include.query", &["false"]),
    ("skipped.operations", &["t", "none"]),
    ("schema.name.adjustment.mode", &["none"]),
    ("field.name.adjustment.mode", &["none"]),
    ("event.processing.failure.handling.mode", &["fail"]),
    ("inconsistent.schema.handling.mode", &["fail"]),
    ("topic.naming.strategy", &["io.debezium.schema.SchemaTopicNamingStrategy"]),
    ("topic.delimiter", &["."]),
];

impl Settings {
    /// Reads the configuration.
    ///
    /// # Errors
    /// All that does not fit, and what Debezium has and is not built.
    pub(super) fn read(config: &Config, flavor: Flavor) -> Result<Self, Vec<ConfigError>> {
        let config = config.clone().with_defaults(&definition());
        let mut r = Reader { config: &config, errors: Vec::new() };
        r.not_built();
        let prefix = r.check(prefix(&config)).unwrap_or_default();
        let heartbeat_prefix = config.get("topic.heartbeat.prefix").unwrap_or_default();
        let settings = Self {
            flavor,
            hostname: r.text("database.hostname"),
            port: r.number("database.port", 1, u16::MAX).unwrap_or_default(),
            user: r.text("database.user"),
            password: config.values().get("database.password").cloned().unwrap_or_default(),
            server_id: r.check(server_id(&config, &prefix)).unwrap_or_default(),
            filter: r.check(filter(&config)).unwrap_or_default(),
            only_captured: r.boolean("schema.history.internal.store.only.captured.tables.ddl"),
            snapshot_mode: r.check(snapshot_mode(&config)).unwrap_or(SnapshotMode::Initial),
            snapshot_lock: r.one_of("snapshot.locking.mode", &["minimal", "none"]) != "none",
            snapshot_lock_timeout: r.millis("snapshot.lock.timeout.ms", 1),
            tombstones: r.boolean("tombstones.on.delete"),
            decimal: match r.one_of("decimal.handling.mode", &["precise", "double", "string"]).as_str() {
                "double" => DecimalMode::Double,
                "string" => DecimalMode::String,
                _ => DecimalMode::Precise,
            },
            time: match r.one_of("time.precision.mode", &["adaptive_time_microseconds", "connect"]).as_str() {
                "connect" => TimeMode::Connect,
                _ => TimeMode::Adaptive,
            },
            bigint_precise: r.one_of("bigint.unsigned.handling.mode", &["long", "precise"]) == "precise",
            heartbeat: r.millis("heartbeat.interval.ms", 0),
            heartbeat_topic: format!("{heartbeat_prefix}.{prefix}"),
            max_batch: r.number("max.batch.size", 1, 1_000_000).unwrap_or_default(),
            connect_timeout: r.millis("connect.timeout.ms", 1),
            prefix,
        };
        r.boolean("include.schema.changes");
        r.one_of("database.ssl.mode", &["preferred", "disabled"]);
        r.one_of("binary.handling.mode", &["bytes"]);
        if r.errors.is_empty() { Ok(settings) } else { Err(r.errors) }
    }

    /// Whether the definition of a table is kept.
    pub(super) fn tracks(&self, database: &str, table: &str) -> bool {
        if self.only_captured { self.filter.table(database, table) } else { self.filter.database(database) }
    }

    /// `host:port`, for messages.
    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.hostname, self.port)
    }
}

/// Reads values and gathers what is wrong with them.
struct Reader<'a> {
    config: &'a Config,
    errors: Vec<ConfigError>,
}

impl Reader<'_> {
    fn check<T>(&mut self, read: Result<T, ConfigError>) -> Option<T> {
        read.map_err(|error| self.errors.push(error)).ok()
    }

    fn text(&mut self, key: &str) -> String {
        self.check(self.config.text(key).map(str::to_owned)).unwrap_or_default()
    }

    fn boolean(&mut self, key: &str) -> bool {
        self.check(self.config.boolean(key)).unwrap_or_default()
    }

    fn number<T>(&mut self, key: &str, least: T, most: T) -> Option<T>
    where
        T: std::str::FromStr + PartialOrd + std::fmt::Display,
    {
        let number = self.check(self.config.number::<T>(key))?;
        if (&least..=&most).contains(&&number) {
            return Some(number);
        }
        self.errors
            .push(ConfigError::new(key, format!("invalid value {number}: expected {least} to {most}")));
        None
    }

    fn millis(&mut self, key: &str, least: u64) -> Duration {
        Duration::from_millis(self.number(key, least, u64::from(u32::MAX)).unwrap_or_default())
    }

    fn one_of(&mut self, key: &str, allowed: &[&str]) -> String {
        let value = self.config.get(key).unwrap_or_default().to_ascii_lowercase();
        if !allowed.contains(&value.as_str()) {
            let reason = format!("{value} is not built: use one of {}", allowed.join(", "));
            self.errors.push(ConfigError::new(key, reason));
        }
        value
    }

    fn not_built(&mut self) {
        for (key, defaults) in NOT_BUILT {
            let value = self.config.get(key).map(str::to_ascii_lowercase);
            if let Some(value) = value.filter(|v| !defaults.contains(&v.as_str())) {
                let hint = match defaults {
                    [] => "leave it out".to_owned(),
                    some => format!("leave it out or use {}", some.join(" or ")),
                };
                self.errors.push(ConfigError::new(*key, format!("{value} is not built: {hint}")));
            }
        }
    }
}

fn prefix(config: &Config) -> Result<String, ConfigError> {
    let prefix = config.text("topic.prefix")?;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if prefix.chars().all(legal) {
        return Ok(prefix.to_owned());
    }
    let reason = format!(
        "{prefix} has invalid format (only the underscore, hyphen, dot and alphanumeric characters are allowed)"
    );
    Err(ConfigError::new("topic.prefix", reason))
}

fn server_id(config: &Config, prefix: &str) -> Result<u32, ConfigError> {
    if config.get("database.server.id").is_none() {
        let mut hasher = DefaultHasher::new();
        prefix.hash(&mut hasher);
        let hash = u32::try_from(hasher.finish() % 1_000_000_000).unwrap_or_default();
        return Ok(5400 + hash);
    }
    let id: u32 = config.number("database.server.id")?;
    if id == 0 {
        return Err(ConfigError::new("database.server.id", "invalid value 0: expected 1 to 4294967295"));
    }
    Ok(id)
}

fn snapshot_mode(config: &Config) -> Result<SnapshotMode, ConfigError> {
    match config.get("snapshot.mode").unwrap_or("initial").to_ascii_lowercase().as_str() {
        "initial" => Ok(SnapshotMode::Initial),
        "when_needed" => Ok(SnapshotMode::WhenNeeded),
        "no_data" | "schema_only" => Ok(SnapshotMode::NoData),
        "never" => Ok(SnapshotMode::Never),
        other => {
            let reason = format!("{other} is not built: use initial, when_needed, no_data or never");
            Err(ConfigError::new("snapshot.mode", reason))
        }
    }
}

fn filter(config: &Config) -> Result<Filter, ConfigError> {
    let patterns = |key: &str| {
        let patterns = Patterns::new(config.get(key).unwrap_or_default());
        patterns.map_err(|error| ConfigError::new(key, format!("invalid regular expression: {error}")))
    };
    for kind in ["database", "table", "column"] {
        let (include, exclude) = (format!("{kind}.include.list"), format!("{kind}.exclude.list"));
        if config.get(&include).is_some() && config.get(&exclude).is_some() {
            return Err(ConfigError::new(include, format!("only one of it and {exclude} can be set")));
        }
    }
    Ok(Filter {
        database_include: patterns("database.include.list")?,
        database_exclude: patterns("database.exclude.list")?,
        table_include: patterns("table.include.list")?,
        table_exclude: patterns("table.exclude.list")?,
        column_include: patterns("column.include.list")?,
        column_exclude: patterns("column.exclude.list")?,
    })
}
