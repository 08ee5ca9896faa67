//! The snapshot: definitions, rows and the binlog's place as of one instant.

use super::catalog::Catalog;
use super::config::{Settings, SnapshotMode};
use super::connection::{self, BinlogEnd, Server, failure, rows, text};
use super::convert::{self, Civil, Raw};
use super::envelope::{self, Captured, Change, Origin};
use super::jsonb;
use super::offset::Offset;
use super::plan::{ColumnPlan, Kind};
use super::reader::{CHUNK, CHUNK_BYTES, Message, Output};
use bd_connect::sdk::TaskError;
use bd_schema::Row;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Value};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// About how much memory a record takes beside its row.
pub(super) const RECORD_BYTES: usize = 1024;
/// How often the binlog's end is compared when no lock may be taken.
const UNLOCKED_TRIES: usize = 200;

/// Milliseconds since epoch.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Takes a snapshot and gives the place in the binlog that it is of.
///
/// # Errors
/// Fatal: a captured table has a column that is not built. Else as the server's errors are.
pub(super) async fn run(
    settings: &Arc<Settings>,
    server: &Server,
    conn: &mut Conn,
    catalog: &mut Catalog,
    output: &Output,
) -> Result<Offset, TaskError> {
    let end = begin(settings, server, conn, catalog).await?;
    let now = now_ms();
    let mut offset = Offset::at(end.file, end.pos, end.gtids.map(Arc::from), now / 1000);
    let captured = captured(settings, catalog)?;
    if captured.is_empty() {
        tracing::warn!(
            prefix = settings.prefix,
            "After applying the include/exclude list filters, no changes will be captured. Please check your configuration!"
        );
    }
    offset.snapshot = true;
    let mut writer = Writer { output, offset: offset.clone(), held: None };
    writer.held = Some(Message::progress(offset.clone(), catalog.take_changes(), true));
    if settings.snapshot_mode != SnapshotMode::NoData {
        for table in &captured {
            read_table(settings, conn, table, &mut writer, now).await?;
        }
    }
    conn.query_drop("COMMIT").await.map_err(|e| failure(settings, "COMMIT", e))?;
    offset.snapshot = false;
    writer.finish(&offset).await?;
    Ok(offset)
}

/// Begins the transaction, and reads the place and the definitions of its instant.
async fn begin(
    settings: &Settings,
    server: &Server,
    conn: &mut Conn,
    catalog: &mut Catalog,
) -> Result<BinlogEnd, TaskError> {
    let run = async |conn: &mut Conn, query: &str| {
        conn.query_drop(query).await.map_err(|e| failure(settings, query, e))
    };
    let timeout = settings.snapshot_lock_timeout.as_secs().max(1);
    run(conn, &format!("SET SESSION lock_wait_timeout = {timeout}, SESSION net_write_timeout = 3600, SESSION wait_timeout = 86400")).await?;
    run(conn, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
    let locked = settings.snapshot_lock && lock(settings, conn).await?;
    let end = if locked {
        run(conn, "START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
        server.binlog_end(settings, conn).await?
    } else {
        begin_unlocked(settings, server, conn).await?
    };
    let definitions = definitions(settings, conn, catalog).await;
    if locked {
        run(conn, "UNLOCK TABLES").await?;
    }
    definitions?;
    Ok(end)
}

/// Takes the global read lock; false where the user may not.
async fn lock(settings: &Settings, conn: &mut Conn) -> Result<bool, TaskError> {
    match conn.query_drop("FLUSH TABLES WITH READ LOCK").await {
        Ok(()) => Ok(true),
        Err(mysql_async::Error::Server(error)) if matches!(error.code, 1044 | 1045 | 1227) => {
            tracing::info!(
                reason = error.message,
                "no global read lock; the snapshot's place is found without it"
            );
            Ok(false)
        }
        Err(error) => Err(failure(settings, "FLUSH TABLES WITH READ LOCK", error)),
    }
}

/// Without a lock: MariaDB tells the place of a transaction's snapshot; else the binlog must stand still while it begins.
async fn begin_unlocked(
    settings: &Settings,
    server: &Server,
    conn: &mut Conn,
) -> Result<BinlogEnd, TaskError> {
    for _ in 0..UNLOCKED_TRIES {
        let before = server.binlog_end(settings, conn).await?;
        let begin = "START TRANSACTION WITH CONSISTENT SNAPSHOT";
        conn.query_drop(begin).await.map_err(|e| failure(settings, begin, e))?;
        if server.mariadb {
            let status = rows(settings, conn, "SHOW STATUS LIKE 'binlog_snapshot_%'").await?;
            let value = |name: &str| {
                let row = status.iter().find(|row| text(row.first()).eq_ignore_ascii_case(name));
                row.map(|row| text(row.get(1))).unwrap_or_default()
            };
            let (file, pos) = (value("binlog_snapshot_file"), value("binlog_snapshot_position"));
            if let (false, Ok(pos)) = (file.is_empty(), pos.parse()) {
                let gtids = server.gtids_at(settings, conn, &file, pos).await?;
                return Ok(BinlogEnd { file, pos, gtids });
            }
        }
        let after = server.binlog_end(settings, conn).await?;
        if (&before.file, before.pos) == (&after.file, after.pos) {
            return Ok(after);
        }
        conn.query_drop("ROLLBACK").await.map_err(|e| failure(settings, "ROLLBACK", e))?;
    }
    Err(TaskError::Retriable(format!(
        "The binlog of {} did not stand still while the snapshot began: grant RELOAD to {} so that it can be locked for a moment",
        settings.address(),
        settings.user
    )))
}

/// Fills the catalog.
async fn definitions(settings: &Settings, conn: &mut Conn, catalog: &mut Catalog) -> Result<(), TaskError> {
    catalog.clear();
    let charsets = "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA";
    for row in rows(settings, conn, charsets).await? {
        let database = text(row.first());
        if settings.filter.database(&database) {
            catalog.set_charset(&database, &text(row.get(1)).to_ascii_lowercase());
        }
    }
    let tables = "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES \
                  WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY TABLE_SCHEMA, TABLE_NAME";
    for row in rows(settings, conn, tables).await? {
        let (database, table) = (text(row.first()), text(row.get(1)));
        if !settings.tracks(&database, &table) {
            continue;
        }
        let query = format!("SHOW CREATE TABLE {}.{}", quoted(&database), quoted(&table));
        let shown = rows(settings, conn, &query).await?.first().map(|r| text(r.get(1))).unwrap_or_default();
        if let Err(reason) = catalog.show_create(&database, &table, &shown)
            && settings.filter.table(&database, &table)
        {
            return Err(TaskError::Fatal(format!(
                "The definition of table {database}.{table} is not understood ({reason}): {shown}"
            )));
        }
    }
    Ok(())
}

fn captured(settings: &Settings, catalog: &Catalog) -> Result<Vec<Arc<Captured>>, TaskError> {
    let tables = catalog.tables().filter(|(database, table, _)| settings.filter.table(database, table));
    tables
        .map(|(database, table, definition)| {
            Captured::new(settings, database, table, definition).map(Arc::new)
        })
        .collect()
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Sends messages one later than they are made, so that the very last record is known when it is sent.
struct Writer<'a> {
    output: &'a Output,
    offset: Offset,
    held: Option<Message>,
}

impl Writer<'_> {
    async fn send(
        &mut self,
        table: &Arc<Captured>,
        records: Vec<envelope::Record>,
        bytes: usize,
    ) -> Result<(), TaskError> {
        let changes = records.len();
        let progress = Message::progress(self.offset.clone(), Vec::new(), false);
        let message = Message { table: Some(table.clone()), records, changes, bytes, ..progress };
        match self.held.replace(message) {
            Some(held) => self.output.send(held).await,
            None => Ok(()),
        }
    }

    async fn finish(self, offset: &Offset) -> Result<(), TaskError> {
        let Some(mut held) = self.held else { return Ok(()) };
        held.offset = offset.clone();
        held.urgent = true;
        if let Some(record) = held.records.last_mut() {
            envelope::mark_last(record);
        }
        self.output.send(held).await
    }
}

async fn read_table(
    settings: &Settings,
    conn: &mut Conn,
    table: &Arc<Captured>,
    writer: &mut Writer<'_>,
    now: i64,
) -> Result<(), TaskError> {
    let columns: Vec<&ColumnPlan> = table.columns.iter().filter(|c| c.included).collect();
    let names: Vec<String> = columns.iter().map(|c| quoted(&c.name)).collect();
    let query =
        format!("SELECT {} FROM {}.{}", names.join(", "), quoted(&table.database), quoted(&table.table));
    let doing = format!("Reading table {}.{}", table.database, table.table);
    let origin = Origin {
        ts_ms: now,
        snapshot: "true",
        server_id: 0,
        gtid: None,
        file: writer.offset.file.clone(),
        pos: writer.offset.pos,
        row: 0,
        thread: None,
    };
    let chunk = CHUNK.min(settings.max_batch);
    let (mut records, mut bytes) = (Vec::new(), 0);
    // A prepared statement answers in the binary protocol: a FLOAT in text would lose digits.
    let mut result = conn.exec_iter(query, ()).await.map_err(|e| failure(settings, &doing, e))?;
    while let Some(row) = result.next().await.map_err(|e| failure(settings, &doing, e))? {
        let values = connection::values(row);
        bytes += size(&values);
        let row = row_of(&columns, values).map_err(|e| TaskError::Fatal(format!("{doing} failed: {e}")))?;
        table.push(Change::Read(row), &origin, now_ms(), &mut records);
        if records.len() >= chunk || bytes >= CHUNK_BYTES {
            writer.send(table, std::mem::take(&mut records), std::mem::take(&mut bytes)).await?;
        }
    }
    if !records.is_empty() {
        writer.send(table, records, bytes).await?;
    }
    Ok(())
}

/// About how much memory a row takes; its record repeats the origin.
fn size(values: &[Value]) -> usize {
    let of = |value: &Value| if let Value::Bytes(bytes) = value { bytes.len() } else { 0 };
    RECORD_BYTES + values.iter().map(|v| size_of::<bd_schema::Value>() + of(v)).sum::<usize>()
}

fn row_of(columns: &[&ColumnPlan], values: Vec<Value>) -> Result<Row, String> {
    let value = |(column, value): (&&ColumnPlan, Value)| {
        let converted = raw(&column.kind, value).and_then(|raw| convert::value(column, raw));
        converted.map_err(|e| format!("column {}: {e}", column.name))
    };
    columns.iter().zip(values).map(value).collect()
}

/// A value of the binary protocol.
fn raw(kind: &Kind, value: Value) -> Result<Raw, String> {
    let utf8 = |bytes: Vec<u8>| {
        String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
    };
    Ok(match (kind, value) {
        (_, Value::NULL) => Raw::Null,
        (_, Value::Int(n)) => Raw::Int(n),
        (_, Value::UInt(n)) => Raw::UInt(n),
        (_, Value::Float(f)) => Raw::Float(f),
        (_, Value::Double(d)) => Raw::Double(d),
        (_, Value::Date(year, month, day, h, m, s, us)) => {
            let seconds = i64::from(h) * 3600 + i64::from(m) * 60 + i64::from(s);
            Raw::Civil(Civil { year, month, day, micros: seconds * 1_000_000 + i64::from(us) })
        }
        (_, Value::Time(negative, days, h, m, s, us)) => {
            let seconds = i64::from(days) * 86_400 + i64::from(h) * 3600 + i64::from(m) * 60 + i64::from(s);
            let micros = seconds * 1_000_000 + i64::from(us);
            Raw::Micros(if negative { -micros } else { micros })
        }
        (Kind::Bytes { .. }, Value::Bytes(bytes)) => Raw::Bytes(bytes),
        (Kind::Bit { .. }, Value::Bytes(bytes)) => {
            Raw::Bits(bytes.iter().fold(0, |n, &b| n << 8 | u64::from(b)))
        }
        (Kind::Json, Value::Bytes(bytes)) => Raw::Text(jsonb::compact(&utf8(bytes))),
        (Kind::Year, Value::Bytes(bytes)) => {
            Raw::Int(utf8(bytes).parse().map_err(|_| "it is no YEAR".to_owned())?)
        }
        (_, Value::Bytes(bytes)) => Raw::Text(utf8(bytes)),
    })
}
