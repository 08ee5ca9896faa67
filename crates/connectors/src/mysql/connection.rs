//! Connections to the server, what it is and how it is set up, and what its errors mean for the task.

use super::config::Settings;
use super::metadata::Collations;
use bd_connect::sdk::TaskError;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Opts, OptsBuilder, Row, Value};
use std::time::Duration;

/// Events of the binlog are at most this long.
const MAX_PACKET: usize = 1 << 30;

/// What the server is.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) mariadb: bool,
    /// Major, minor, patch.
    version: (u16, u16, u16),
    /// It keeps names of databases and tables in lower case.
    pub(super) lower_case: bool,
    /// Of `binlog_row_metadata=FULL`: collations by number; else none.
    pub(super) collations: Option<Collations>,
}

/// A binlog file.
pub(super) struct BinlogFile {
    pub(super) name: String,
    /// Bytes.
    pub(super) size: u64,
}

/// The end of the binlog.
pub(super) struct BinlogEnd {
    pub(super) file: String,
    pub(super) pos: u64,
    pub(super) gtids: Option<String>,
}

/// Opens a connection whose session speaks UTF-8 and UTC.
///
/// # Errors
/// See [`failure`].
pub(super) async fn connect(settings: &Settings) -> Result<Conn, TaskError> {
    let init = ["SET NAMES utf8mb4", "SET time_zone = '+00:00'", "SET SESSION sql_mode = ''"];
    let opts: Opts = OptsBuilder::default()
        .ip_or_hostname(settings.hostname.clone())
        .tcp_port(settings.port)
        .user(Some(settings.user.clone()))
        .pass(Some(settings.password.clone()))
        .prefer_socket(false)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(Duration::from_secs(60)))
        .max_allowed_packet(Some(MAX_PACKET))
        .stmt_cache_size(0)
        .init(init.map(str::to_owned).to_vec())
        .into();
    let opened = tokio::time::timeout(settings.connect_timeout, Conn::new(opts)).await;
    let opened = opened.map_err(|_| {
        let wait = settings.connect_timeout.as_millis();
        TaskError::Retriable(format!(
            "Connecting to {} took longer than {wait} ms (connect.timeout.ms)",
            settings.address()
        ))
    })?;
    opened.map_err(|error| failure(settings, "Connecting", error))
}

/// What an error of the server means: worth another try, or not.
pub(super) fn failure(settings: &Settings, doing: &str, error: Error) -> TaskError {
    let address = settings.address();
    match error {
        Error::Server(error) => {
            let text = format!("{doing} at {address} failed: {} (error {})", error.message, error.code);
            match error.code {
                1044 | 1045 | 1698 => TaskError::Fatal(format!(
                    "{text}. Check database.user and database.password, and what the user may do"
                )),
                1142 | 1143 | 1227 => TaskError::Fatal(format!(
                    "{text}. The user needs SELECT, REPLICATION SLAVE and REPLICATION CLIENT"
                )),
                // Shut down, too many connections, killed, lock waits, deadlocks, a table changed under a snapshot.
                1040
                | 1053
                | 1077..=1080
                | 1129
                | 1152
                | 1158..=1161
                | 1203
                | 1205
                | 1213
                | 1226
                | 1317
                | 1412
                | 1927
                | 3024
                | 3169 => TaskError::Retriable(text),
                _ => TaskError::Fatal(text),
            }
        }
        Error::Io(error) => TaskError::Retriable(format!(
            "{doing} at {address} failed: {error}. Is the server up and reachable?"
        )),
        Error::Url(error) => TaskError::Fatal(format!("{doing} at {address} failed: {error}")),
        other => TaskError::Retriable(format!("{doing} at {address} failed: {other}")),
    }
}

/// Reads all rows of a query.
///
/// # Errors
/// See [`failure`].
pub(super) async fn rows(
    settings: &Settings,
    conn: &mut Conn,
    query: &str,
) -> Result<Vec<Vec<Value>>, TaskError> {
    let rows: Vec<Row> = conn.query(query).await.map_err(|error| failure(settings, query, error))?;
    Ok(rows.into_iter().map(values).collect())
}

/// A row's values.
pub(super) fn values(row: Row) -> Vec<Value> {
    row.unwrap_raw().into_iter().map(|v| v.unwrap_or(Value::NULL)).collect()
}

/// A value as text.
pub(super) fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(Value::Int(n)) => n.to_string(),
        Some(Value::UInt(n)) => n.to_string(),
        _ => String::new(),
    }
}

async fn variable(settings: &Settings, conn: &mut Conn, name: &str) -> Result<Option<String>, TaskError> {
    let rows = rows(settings, conn, &format!("SHOW GLOBAL VARIABLES LIKE '{name}'")).await?;
    Ok(rows.first().map(|row| text(row.get(1))))
}

impl Server {
    /// Asks the server what it is, and whether its binlog is such as is needed.
    ///
    /// # Errors
    /// Fatal: a setting that does not fit, named.
    pub(super) async fn check(settings: &Settings, conn: &mut Conn) -> Result<Self, TaskError> {
        let version = rows(settings, conn, "SELECT VERSION()")
            .await?
            .first()
            .map(|r| text(r.first()))
            .unwrap_or_default();
        let mut numbers = version.split(['.', '-']).map(|n| n.parse().unwrap_or(0_u16));
        let mut next = || numbers.next().unwrap_or(0);
        let mariadb = version.to_ascii_lowercase().contains("mariadb");
        let name = if mariadb { "MariaDB" } else { "MySQL" };
        let setting = |what: &str, setting: &str| {
            TaskError::Fatal(format!(
                "The {name} server is not configured to use {what}, which is required for this connector to work properly. \
                 Change the {name} configuration to use {setting} and restart the connector."
            ))
        };
        let is = |value: Option<String>, wanted: &str| value.is_none_or(|v| v.eq_ignore_ascii_case(wanted));
        if !is(variable(settings, conn, "log_bin").await?, "ON") {
            return Err(setting("a binlog", "log_bin"));
        }
        if !is(variable(settings, conn, "binlog_format").await?, "ROW") {
            return Err(setting("a ROW binlog_format", "binlog_format=ROW"));
        }
        if !is(variable(settings, conn, "binlog_row_image").await?, "FULL") {
            return Err(setting("a FULL binlog_row_image", "binlog_row_image=FULL"));
        }
        if !is(variable(settings, conn, "binlog_row_value_options").await?, "") {
            return Err(setting("whole JSON values", "binlog_row_value_options=''"));
        }
        if !is(variable(settings, conn, "log_bin_compress").await?, "OFF") {
            return Err(setting("an uncompressed binlog", "log_bin_compress=OFF"));
        }
        let lower_case = variable(settings, conn, "lower_case_table_names").await?.is_some_and(|v| v == "1");
        let full = variable(settings, conn, "binlog_row_metadata")
            .await?
            .is_some_and(|v| v.eq_ignore_ascii_case("FULL"));
        let collations = if full { Some(collations(settings, conn).await?) } else { None };
        Ok(Self { mariadb, version: (next(), next(), next()), lower_case, collations })
    }

    /// The end of the binlog.
    ///
    /// # Errors
    /// See [`failure`].
    pub(super) async fn binlog_end(
        &self,
        settings: &Settings,
        conn: &mut Conn,
    ) -> Result<BinlogEnd, TaskError> {
        let new = !self.mariadb && self.version >= (8, 2, 0);
        let query = if new { "SHOW BINARY LOG STATUS" } else { "SHOW MASTER STATUS" };
        let rows = rows(settings, conn, query).await?;
        let row = rows.first().ok_or_else(|| {
            TaskError::Fatal(format!("{query} gave nothing at {}: is log_bin set?", settings.address()))
        })?;
        let (file, pos) = (text(row.first()), text(row.get(1)).parse().unwrap_or(4));
        let gtids = if self.mariadb {
            self.gtids_at(settings, conn, &file, pos).await?
        } else {
            Some(text(row.get(4)).replace('\n', "")).filter(|g| !g.is_empty())
        };
        Ok(BinlogEnd { file, pos, gtids })
    }

    /// MariaDB: the ids at a place in the binlog.
    ///
    /// # Errors
    /// See [`failure`].
    pub(super) async fn gtids_at(
        &self,
        settings: &Settings,
        conn: &mut Conn,
        file: &str,
        pos: u64,
    ) -> Result<Option<String>, TaskError> {
        let query = format!("SELECT BINLOG_GTID_POS('{}', {pos})", file.replace('\'', "''"));
        let rows = rows(settings, conn, &query).await?;
        Ok(rows.first().map(|r| text(r.first())).filter(|g| !g.is_empty()))
    }
}

async fn collations(settings: &Settings, conn: &mut Conn) -> Result<Collations, TaskError> {
    let query = "SELECT ID, CHARACTER_SET_NAME FROM information_schema.COLLATIONS WHERE CHARACTER_SET_NAME IS NOT NULL";
    let rows = rows(settings, conn, query).await?;
    let collation =
        |row: &Vec<Value>| Some((text(row.first()).parse().ok()?, text(row.get(1)).to_ascii_lowercase()));
    Ok(rows.iter().filter_map(collation).collect())
}

/// The binlog files that the server has.
///
/// # Errors
/// See [`failure`].
pub(super) async fn binlog_files(settings: &Settings, conn: &mut Conn) -> Result<Vec<BinlogFile>, TaskError> {
    let rows = rows(settings, conn, "SHOW BINARY LOGS").await?;
    let file = |row: &Vec<Value>| BinlogFile {
        name: text(row.first()),
        size: text(row.get(1)).parse().unwrap_or(0),
    };
    Ok(rows.iter().map(file).collect())
}
