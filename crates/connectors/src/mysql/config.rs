//! The configuration: Debezium's keys and defaults, and what of them is refused because it is not built.

use super::Flavor;
use super::config_keys::definition;
use super::filter::{Filter, Patterns};
use bd_connect::sdk::{Config, ConfigError};
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
    /// `connect.keep.alive.interval.ms`: a server that is silent for longer is gone.
    pub(super) keep_alive: Duration,
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
            keep_alive: r.millis("connect.keep.alive.interval.ms", 100),
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
