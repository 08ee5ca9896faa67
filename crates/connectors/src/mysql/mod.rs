//! Change data capture from MySQL and MariaDB: Debezium's connectors by class, keys, topics and records.
//!
//! ```text
//!             ┌ snapshot: one consistent transaction ┐
//!  server ────┤                                      ├──▶ decode ──▶ bounded channel ──▶ poll: envelopes + source offsets
//!             └ binlog: row events, DDL ─────────────┘       ▲
//!                                  catalog (table definitions as of the place in the binlog)
//! ```
//! * **Exactly once.** A source offset names the start of a transaction in the binlog and how many of its rows were given; the worker
//!   writes it in one transaction with the records. A restart reads the transaction again and leaves those rows out.
//! * **Table definitions** come from `SHOW CREATE TABLE` during the snapshot and from the DDL in the binlog after it, never from the
//!   server's present state. They are source offsets of their own (`{"server": prefix, "schema": "db.table"}`), committed with the place
//!   they are valid at, which stands in for Debezium's schema history topic.
//! * **One meaning of values.** Snapshot rows (binary protocol) and binlog rows become the same intermediate form, and one function
//!   makes the record's value of it.
//! * **Schemas** say what Debezium's say: columns' literal defaults (the epoch for `CURRENT_TIMESTAMP` of a column that is never null),
//!   comments, the members of ENUM and SET. A column that is added `NOT NULL DEFAULT ..` is required with its default, which a registry
//!   takes for backward compatible.
//!
//! Not here: GTID fail-over to another server, TLS, signals and incremental snapshots, schema change topics.

mod alter;
mod binlog;
mod catalog;
mod charset;
mod config;
mod config_keys;
mod connection;
mod convert;
mod ddl;
mod defaults;
mod envelope;
mod event;
mod filter;
mod gtid;
mod image;
mod jsonb;
mod metadata;
mod offset;
mod plan;
mod reader;
mod reading;
mod snapshot;
mod tablemap;
mod task;

use bd_connect::sdk::{
    Config, ConfigDef, ConfigError, Plugin, PluginKind, SourceTask, TaskContext, TaskError,
};
use config::Settings;
use std::sync::Arc;

/// The connectors of this module.
pub fn plugins() -> Vec<Arc<dyn Plugin>> {
    vec![Arc::new(MySql { flavor: Flavor::MySql }), Arc::new(MySql { flavor: Flavor::MariaDb })]
}

/// Which of Debezium's two connectors; the server says itself what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// `io.debezium.connector.mysql.MySqlConnector`.
    MySql,
    /// `io.debezium.connector.mariadb.MariaDbConnector`.
    MariaDb,
}

impl Flavor {
    /// The name in `source.connector` and in schema names.
    fn name(self) -> &'static str {
        match self {
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
        }
    }
}

/// The plugin.
struct MySql {
    flavor: Flavor,
}

impl Plugin for MySql {
    fn class(&self) -> &'static str {
        match self.flavor {
            Flavor::MySql => "io.debezium.connector.mysql.MySqlConnector",
            Flavor::MariaDb => "io.debezium.connector.mariadb.MariaDbConnector",
        }
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Source
    }

    fn config_def(&self) -> ConfigDef {
        config_keys::definition()
    }

    fn validate(&self, config: &Config) -> Vec<ConfigError> {
        Settings::read(config, self.flavor).err().unwrap_or_default()
    }

    fn open_source(&self, context: TaskContext) -> Result<Box<dyn SourceTask>, TaskError> {
        let settings = Settings::read(&context.config, self.flavor).map_err(|errors| {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            TaskError::Fatal(errors.join("; "))
        })?;
        Ok(Box::new(task::Task::open(settings, &context)?))
    }
}
