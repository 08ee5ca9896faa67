//! Reading the binlog: transactions, row events, DDL.

use super::catalog::Catalog;
use super::config::Settings;
use super::connection::{Server, failure};
use super::envelope::{Captured, Change, Origin, Record};
use super::event::{Event, QueryEvent, kind};
use super::gtid::{self, GtidSet};
use super::image::{self, Bytes};
use super::offset::Offset;
use super::reader::{CHUNK, Message, Output, closed, gone};
use super::snapshot::now_ms;
use super::tablemap::TableMap;
use bd_connect::sdk::TaskError;
use futures_core::Stream;
use mysql_async::prelude::Queryable;
use mysql_async::{BinlogStream, BinlogStreamRequest, Conn};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a silent server says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// A server that says nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(30);
/// How often progress without records is told.
const PROGRESS: Duration = Duration::from_secs(1);

/// Reads the binlog from that place until it fails or nobody listens.
///
/// # Errors
/// See [`TaskError`].
pub(super) async fn run(
    settings: Arc<Settings>,
    server: Server,
    mut conn: Conn,
    catalog: Catalog,
    start: Offset,
    output: Output,
) -> Result<(), TaskError> {
    let heartbeat = format!("SET @master_heartbeat_period = {}", HEARTBEAT.as_nanos());
    // 4: it may send global transaction ids instead of BEGIN.
    for query in [heartbeat.as_str(), "SET @mariadb_slave_capability = 4"] {
        conn.query_drop(query).await.map_err(|e| failure(&settings, query, e))?;
    }
    let request =
        BinlogStreamRequest::new(settings.server_id).with_filename(start.file.as_bytes()).with_pos(start.pos);
    let mut stream =
        conn.get_binlog_stream(request).await.map_err(|e| stream_failure(&settings, &start, e))?;
    let mut reading = Reading::new(settings.clone(), &server, catalog, start, output);
    loop {
        let next = tokio::select! {
            next = tokio::time::timeout(SILENCE, next(&mut stream)) => next,
            () = reading.output.closed() => return Ok(()),
        };
        let event = match next {
            Ok(Some(Ok(event))) => event,
            Ok(Some(Err(error))) => return Err(stream_failure(&settings, &reading.place, error)),
            Ok(None) => {
                let text = format!(
                    "The server {} ended the binlog stream. Is it shutting down?",
                    settings.address()
                );
                return Err(TaskError::Retriable(text));
            }
            Err(_) => {
                let text =
                    format!("The server {} has been silent for {} s", settings.address(), SILENCE.as_secs());
                return Err(TaskError::Retriable(text));
            }
        };
        let header = event.header();
        let event = Event {
            kind: header.event_type_raw(),
            timestamp: header.timestamp(),
            server_id: header.server_id(),
            size: header.event_size(),
            end: header.log_pos(),
            artificial: header.flags_raw() & 0x20 != 0,
            data: event.data(),
        };
        reading.event(&event).await?;
    }
}

async fn next(
    stream: &mut BinlogStream,
) -> Option<Result<mysql_async::binlog::events::Event, mysql_async::Error>> {
    std::future::poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}

fn stream_failure(settings: &Settings, place: &Offset, error: mysql_async::Error) -> TaskError {
    match &error {
        mysql_async::Error::Server(e)
            if e.code == 1236
                && (e.message.contains("Could not find first log") || e.message.contains("purged")) =>
        {
            gone(place)
        }
        _ => failure(settings, &format!("Reading the binlog from {} {}", place.file, place.pos), error),
    }
}

/// A transaction, or a statement on its own.
#[derive(Default)]
struct Group {
    gtid: Option<Arc<str>>,
    /// One statement without an end of its own.
    standalone: bool,
    thread: Option<i64>,
    /// Row events read wholly, rows of the present one.
    event: u64,
    row: u64,
    /// Something of it was sent.
    sent: bool,
    /// Its events come out of one compressed event, which ends there.
    payload_end: Option<u64>,
}

/// A table's layout, and how it is captured.
struct Mapped {
    map: Arc<TableMap>,
    captured: Option<Arc<Captured>>,
}

/// The state.
struct Reading {
    settings: Arc<Settings>,
    catalog: Catalog,
    mariadb: bool,
    output: Output,
    /// The start of the present transaction, or where the next one begins.
    place: Offset,
    gtids: Option<GtidSet>,
    /// Where the stream stands.
    file: Arc<str>,
    pos: u64,
    /// The format description was read: checksums are known.
    described: bool,
    group: Option<Group>,
    /// What of the first transaction was given before: row events, rows of the next one.
    skip: (u64, u64),
    maps: HashMap<u64, Mapped>,
    /// Records of captured tables, by name; emptied when a definition changes.
    tables: HashMap<(String, String), Arc<Captured>>,
    told: Instant,
    told_place: (Arc<str>, u64),
}

impl Reading {
    fn new(
        settings: Arc<Settings>,
        server: &Server,
        catalog: Catalog,
        start: Offset,
        output: Output,
    ) -> Self {
        let mariadb = server.mariadb;
        let gtids = start.gtids.as_deref().map(|text| GtidSet::parse(text, mariadb));
        let skip = (start.event, start.row);
        let (file, pos) = (start.file.clone(), start.pos);
        let place = Offset { event: 0, row: 0, snapshot: false, ..start };
        Self {
            settings,
            catalog,
            mariadb,
            output,
            place,
            gtids,
            told_place: (file.clone(), pos),
            file,
            pos,
            described: false,
            group: None,
            skip,
            maps: HashMap::new(),
            tables: HashMap::new(),
            told: Instant::now(),
        }
    }

    fn broken(&self, what: &str, reason: &str) -> TaskError {
        TaskError::Fatal(format!(
            "{what} in the binlog at {} {} cannot be read: {reason}",
            self.file, self.pos
        ))
    }

    async fn event(&mut self, event: &Event<'_>) -> Result<(), TaskError> {
        let inner = self.group.as_ref().is_some_and(|g| g.payload_end.is_some());
        if !inner && !event.artificial && event.end != 0 && event.kind != kind::ROTATE {
            self.pos = widen(self.pos, event.end);
        }
        match event.kind {
            kind::ROTATE => self.rotate(event),
            kind::FORMAT_DESCRIPTION => {
                self.described = true;
                self.settle(event);
                Ok(())
            }
            kind::QUERY => self.query(event).await,
            kind::XID => self.end_group(event).await,
            kind::XA_PREPARE => self.end_group(event).await,
            kind::TABLE_MAP => self.table_map(event),
            kind::WRITE_V1
            | kind::UPDATE_V1
            | kind::DELETE_V1
            | kind::WRITE
            | kind::UPDATE
            | kind::DELETE => self.rows(event).await,
            kind::MARIADB_GTID => {
                let (gtid, standalone) = gtid::mariadb(event.server_id, event.data)
                    .map_err(|e| self.broken("A GTID event", &e))?;
                self.begin_group(Some(gtid), standalone)
            }
            kind::GTID => {
                let gtid = gtid::mysql(event.data).map_err(|e| self.broken("A GTID event", &e))?;
                self.begin_group(Some(gtid), false)
            }
            kind::ANONYMOUS_GTID | kind::TAGGED_GTID => self.begin_group(None, false),
            kind::PAYLOAD => {
                let end = self.pos;
                self.group.get_or_insert_default().payload_end = Some(end);
                Ok(())
            }
            kind::HEARTBEAT | kind::HEARTBEAT_V2 => self.tell().await,
            kind::INCIDENT => {
                Err(self.broken("An incident event", "the server lost events; a new snapshot is needed"))
            }
            kind::PARTIAL_UPDATE => Err(self.broken(
                "A partial update of JSON",
                "set binlog_row_value_options='' and take a new snapshot",
            )),
            kind::MARIADB_COMPRESSED_FIRST..=kind::MARIADB_COMPRESSED_LAST => Err(self.broken(
                "A compressed event",
                "set log_bin_compress=OFF on the server and take a new snapshot",
            )),
            _ => {
                self.settle(event);
                Ok(())
            }
        }
    }

    /// Outside of a transaction the place moves with every event.
    fn settle(&mut self, event: &Event<'_>) {
        if self.group.is_none() && !event.artificial {
            self.place.file = self.file.clone();
            self.place.pos = self.pos;
        }
    }

    fn rotate(&mut self, event: &Event<'_>) -> Result<(), TaskError> {
        if event.artificial && !self.described {
            // The stream begins with the name that was asked for, and its checksum cannot be told from it yet.
            return Ok(());
        }
        let mut b = Bytes::new(event.data);
        let pos = b.le(8).map_err(|e| self.broken("A rotate event", &e))?;
        self.file = file_name(b.rest()).into();
        self.pos = pos;
        self.maps.clear();
        if self.group.is_none() {
            self.place.file = self.file.clone();
            self.place.pos = self.pos;
        }
        Ok(())
    }

    fn begin_group(&mut self, gtid: Option<String>, standalone: bool) -> Result<(), TaskError> {
        if self.group.as_ref().is_some_and(|g| g.payload_end.is_some()) {
            return Err(self.broken(
                "A compressed transaction",
                "set binlog_transaction_compression=OFF and take a new snapshot",
            ));
        }
        self.group = Some(Group { gtid: gtid.map(Arc::from), standalone, ..Group::default() });
        self.maps.clear();
        Ok(())
    }

    async fn query(&mut self, event: &Event<'_>) -> Result<(), TaskError> {
        let query = QueryEvent::read(event.data).map_err(|e| self.broken("A query event", &e))?;
        let word = query
            .text
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .trim_end_matches(';')
            .to_ascii_uppercase();
        let begins =
            word == "BEGIN" || query.text.get(..8).is_some_and(|w| w.eq_ignore_ascii_case("XA START"));
        match word.as_str() {
            _ if begins => {
                self.group.get_or_insert_default().thread = Some(i64::from(query.thread));
                return Ok(());
            }
            "COMMIT" => return self.end_group(event).await,
            "XA" if ends_xa(&query.text) => return self.end_group(event).await,
            "ROLLBACK" if !query.text.to_ascii_uppercase().contains(" TO ") => {
                return self.end_group(event).await;
            }
            "SAVEPOINT" | "ROLLBACK" | "RELEASE" | "XA" | "#" => {}
            _ => {
                self.catalog.apply(&self.settings, &query.database, &query.text)?;
                if self.catalog.has_changes() {
                    self.tables.clear();
                }
            }
        }
        // A statement on its own: MariaDB marks it; MySQL's stands between the id and the next one, without BEGIN.
        let alone = self.group.as_ref().is_none_or(|g| g.standalone || g.thread.is_none() && !self.mariadb);
        if alone { self.end_group(event).await } else { Ok(()) }
    }

    async fn end_group(&mut self, event: &Event<'_>) -> Result<(), TaskError> {
        let group = self.group.take().unwrap_or_default();
        if let Some(end) = group.payload_end {
            self.pos = end;
        }
        if let Some(gtid) = &group.gtid {
            let mariadb = self.mariadb;
            let set = self.gtids.get_or_insert_with(|| GtidSet::parse("", mariadb));
            set.add(gtid);
            self.place.gtids = Some(set.to_string().into());
        }
        self.place.file = self.file.clone();
        self.place.pos = self.pos;
        self.place.ts_sec = i64::from(event.timestamp);
        self.skip = (0, 0);
        self.maps.clear();
        if group.sent || self.catalog.has_changes() || self.told.elapsed() > PROGRESS {
            return self.tell().await;
        }
        Ok(())
    }

    /// Tells how far the reading is, where that is news.
    async fn tell(&mut self) -> Result<(), TaskError> {
        let place = (self.place.file.clone(), self.place.pos);
        if self.group.is_some() || place == self.told_place && !self.catalog.has_changes() {
            return Ok(());
        }
        let schemas = self.catalog.take_changes();
        let urgent = !schemas.is_empty();
        let offset = self.place.clone();
        self.told_place = place;
        self.told = Instant::now();
        self.send(Message {
            table: None,
            records: Vec::new(),
            changes: 0,
            offset,
            schemas,
            urgent,
            in_transaction: false,
        })
        .await
    }

    async fn send(&mut self, message: Message) -> Result<(), TaskError> {
        self.output.send(Ok(message)).await.map_err(|_| closed())
    }

    fn table_map(&mut self, event: &Event<'_>) -> Result<(), TaskError> {
        // Of a table that is not captured, a layout that is not understood does not matter.
        let (database, table) = TableMap::name(event.data).map_err(|e| self.broken("A table map", &e))?;
        if !self.settings.filter.table(&database, &table) {
            let map = TableMap::other(event.data).map_err(|e| self.broken("A table map", &e))?;
            self.maps.insert(map.id, Mapped { map: Arc::new(map), captured: None });
            return Ok(());
        }
        let map = TableMap::read(event.data)
            .map_err(|e| self.broken(&format!("The layout of {database}.{table}"), &e))?;
        let captured = self.captured(&database, &table)?;
        map.fits(&captured.columns).map_err(|reason| {
            TaskError::Fatal(format!(
                "Rows of table {database}.{table} in the binlog at {} {} do not fit the table's definition: {reason}. Take a new \
                 snapshot (remove the connector's offsets), or leave the table out with table.exclude.list",
                self.file, self.pos
            ))
        })?;
        self.maps.insert(map.id, Mapped { map: Arc::new(map), captured: Some(captured) });
        Ok(())
    }

    fn captured(&mut self, database: &str, table: &str) -> Result<Arc<Captured>, TaskError> {
        let key = (database.to_owned(), table.to_owned());
        if let Some(captured) = self.tables.get(&key) {
            return Ok(captured.clone());
        }
        let definition = self.catalog.table(database, table).ok_or_else(|| {
            TaskError::Fatal(format!(
                "Encountered change event for table {database}.{table} whose schema isn't known to this connector. Remove the \
                 connector's offsets and create it again for a new snapshot, or leave the table out with table.exclude.list"
            ))
        })?;
        let captured = Arc::new(Captured::new(&self.settings, database, table, definition)?);
        self.tables.insert(key, captured.clone());
        Ok(captured)
    }

    async fn rows(&mut self, event: &Event<'_>) -> Result<(), TaskError> {
        let rows = event.rows().map_err(|e| self.broken("A row event", &e))?;
        let mapped = self.maps.get(&rows.table).map(|m| (m.captured.clone(), m.map.clone()));
        let group = self.group.get_or_insert_default();
        let index = group.event;
        group.row = 0;
        let Some((Some(captured), map)) = mapped else {
            group.event += 1;
            if mapped_unknown(&self.maps, rows.table) {
                return Err(self.broken("A row event", "no table map stands before it"));
            }
            return Ok(());
        };
        if index < self.skip.0 {
            group.event += 1;
            return Ok(());
        }
        let skip = if index == self.skip.0 { self.skip.1 } else { 0 };
        let mut origin = self.origin(event);
        let mut b = Bytes::new(rows.images);
        let (mut records, mut changes, mut read) = (Vec::new(), 0, 0_u64);
        let broken = |this: &Self, e: String| {
            this.broken(&format!("A row of {}.{}", captured.database, captured.table), &e)
        };
        let chunk = CHUNK.min(self.settings.max_batch);
        while !b.is_empty() {
            let mut image = |present: &[u8]| image::row(&mut b, present, &map, &captured.columns);
            let first = image(rows.first).map_err(|e| broken(self, e))?;
            let change = match event.kind {
                kind::WRITE | kind::WRITE_V1 => Change::Create(first),
                kind::DELETE | kind::DELETE_V1 => Change::Delete(first),
                _ => Change::Update(first, image(rows.second).map_err(|e| broken(self, e))?),
            };
            origin.row = i32::try_from(read).unwrap_or(i32::MAX);
            read += 1;
            if read <= skip {
                continue;
            }
            captured.push(change, &origin, now_ms(), &mut records);
            changes += 1;
            if changes >= chunk && !b.is_empty() {
                let records = std::mem::take(&mut records);
                self.send_rows(&captured, records, changes, (index, read), event).await?;
                changes = 0;
            }
        }
        if let Some(group) = &mut self.group {
            group.event = index + 1;
        }
        if changes > 0 {
            self.send_rows(&captured, records, changes, (index + 1, 0), event).await?;
        }
        Ok(())
    }

    async fn send_rows(
        &mut self,
        captured: &Arc<Captured>,
        records: Vec<Record>,
        changes: usize,
        (done, row): (u64, u64),
        event: &Event<'_>,
    ) -> Result<(), TaskError> {
        if let Some(group) = &mut self.group {
            group.sent = true;
        }
        let offset = Offset { event: done, row, ts_sec: i64::from(event.timestamp), ..self.place.clone() };
        let schemas = self.catalog.take_changes();
        self.send(Message {
            table: Some(captured.clone()),
            records,
            changes,
            offset,
            schemas,
            urgent: false,
            in_transaction: true,
        })
        .await
    }

    fn origin(&self, event: &Event<'_>) -> Origin {
        let group = self.group.as_ref();
        Origin {
            ts_ms: i64::from(event.timestamp) * 1000,
            snapshot: "false",
            server_id: i64::from(event.server_id),
            gtid: group.and_then(|g| g.gtid.clone()),
            file: self.file.clone(),
            pos: self.pos.saturating_sub(u64::from(event.size)),
            row: 0,
            thread: group.and_then(|g| g.thread),
        }
    }
}

/// Whether a row event refers to nothing; the last one of a statement may, on purpose.
fn mapped_unknown(maps: &HashMap<u64, Mapped>, table: u64) -> bool {
    const DUMMY: u64 = 0xff_ffff;
    table != DUMMY && !maps.contains_key(&table)
}

/// `XA COMMIT` and `XA ROLLBACK` stand alone, after the transaction that `XA PREPARE` ended.
fn ends_xa(text: &str) -> bool {
    let second = text.split_whitespace().nth(1).unwrap_or_default();
    second.eq_ignore_ascii_case("COMMIT") || second.eq_ignore_ascii_case("ROLLBACK")
}

/// A file's name ends with a dot and digits; bytes after them are a checksum of a server that changed its mind about checksums.
fn file_name(bytes: &[u8]) -> String {
    let numbered = |name: &[u8]| {
        let digits = name.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        digits > 0 && name.iter().rev().nth(digits) == Some(&b'.')
    };
    let without = bytes.len().checked_sub(4).and_then(|end| bytes.get(..end));
    let name = without.filter(|short| !numbered(bytes) && numbered(short)).unwrap_or(bytes);
    String::from_utf8_lossy(name).into_owned()
}

/// Events carry 32 bits of their end; a file may be longer. An end before the last one is of an event made for the stream.
fn widen(before: u64, end: u32) -> u64 {
    let high = before & !0xffff_ffff;
    let pos = high | u64::from(end);
    if pos >= before {
        pos
    } else if before - pos > 1 << 31 {
        pos + (1 << 32)
    } else {
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_told_from_checksums() {
        assert_eq!(file_name(b"binlog.000012"), "binlog.000012");
        assert_eq!(file_name(b"binlog.000012\xa1\x00/|"), "binlog.000012");
    }

    #[test]
    fn positions_go_on_beyond_four_gigabytes() {
        assert_eq!(widen(0xffff_fff0, 0x10), 0x1_0000_0010);
        assert_eq!(widen(0x1_0000_0010, 0x20), 0x1_0000_0020);
        assert_eq!(widen(4711, 256), 4711);
    }
}
