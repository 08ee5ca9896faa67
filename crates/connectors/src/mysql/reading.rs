//! What is made of the binlog's events: transactions, rows, DDL, progress.

use super::catalog::Catalog;
use super::config::Settings;
use super::connection::Server;
use super::envelope::{Captured, Change, Origin, Record};
use super::event::{Event, QueryEvent, Rows, kind};
use super::gtid::{self, GtidSet};
use super::image::{self, Bytes};
use super::metadata::{self, Collations};
use super::offset::Offset;
use super::reader::{CHUNK, CHUNK_BYTES, Message, Output};
use super::snapshot::{RECORD_BYTES, now_ms};
use super::tablemap::TableMap;
use bd_connect::sdk::TaskError;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The table of a row event that only ends its statement.
const DUMMY: u64 = 0xff_ffff;
/// How often progress without records is told.
const PROGRESS: Duration = Duration::from_secs(1);

/// A transaction, or a statement on its own.
#[derive(Default)]
struct Group {
    gtid: Option<Arc<str>>,
    /// One statement without an end of its own.
    standalone: bool,
    thread: Option<i64>,
    /// Row events read wholly.
    event: u64,
    /// Something of it was sent.
    sent: bool,
    /// Its events come out of one compressed event, which ends there.
    payload_end: Option<u64>,
}

/// Changes to be sent together.
#[derive(Default)]
struct Part {
    records: Vec<Record>,
    changes: usize,
    bytes: usize,
}

/// A table's layout, and how it is captured.
struct Mapped {
    map: Arc<TableMap>,
    captured: Option<Arc<Captured>>,
}

/// The state of reading.
pub(super) struct Reading {
    settings: Arc<Settings>,
    catalog: Catalog,
    mariadb: bool,
    collations: Option<Collations>,
    pub(super) output: Output,
    /// The start of the present transaction, or where the next one begins.
    pub(super) place: Offset,
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
    /// From that place on.
    pub(super) fn new(
        settings: Arc<Settings>,
        server: &Server,
        catalog: Catalog,
        start: Offset,
        output: Output,
    ) -> Self {
        let (mariadb, collations) = (server.mariadb, server.collations.clone());
        let gtids = start.gtids.as_deref().map(|text| GtidSet::parse(text, mariadb));
        let skip = (start.event, start.row);
        let (file, pos) = (start.file.clone(), start.pos);
        let place = Offset { event: 0, row: 0, snapshot: false, ..start };
        Self {
            settings,
            catalog,
            mariadb,
            collations,
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

    /// Takes in an event.
    ///
    /// # Errors
    /// Fatal: it cannot be read. Retriable: nobody listens.
    pub(super) async fn event(&mut self, event: &Event<'_>) -> Result<(), TaskError> {
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
        self.output.send(Message::progress(offset, schemas, urgent)).await
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
        let captured = self.captured(&database, &table);
        let fits = |captured: &Arc<Captured>| map.fits(&captured.columns);
        if captured.as_ref().map_or(true, |captured| fits(captured).is_err())
            && let Some(collations) = &self.collations
            && let Ok(definition) = metadata::definition(&map, collations)
        {
            self.catalog.put(&database, &table, definition);
            self.tables.remove(&(database.clone(), table.clone()));
        }
        let captured = self.captured(&database, &table)?;
        fits(&captured).map_err(|reason| {
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
        let captured = match mapped {
            Some((captured, map)) => captured.map(|captured| (captured, map)),
            None if rows.table == DUMMY => None,
            None => return Err(self.broken("A row event", "no table map stands before it")),
        };
        if let Some((captured, map)) = captured.filter(|_| index >= self.skip.0) {
            let skip = if index == self.skip.0 { self.skip.1 } else { 0 };
            self.changes(event, &rows, &captured, &map, (index, skip)).await?;
        }
        if let Some(group) = &mut self.group {
            group.event = index + 1;
        }
        Ok(())
    }

    /// Sends the changes of a row event, the `index`th of its transaction, without the first `skip` rows.
    async fn changes(
        &mut self,
        event: &Event<'_>,
        rows: &Rows<'_>,
        captured: &Arc<Captured>,
        map: &TableMap,
        (index, skip): (u64, u64),
    ) -> Result<(), TaskError> {
        let broken = |this: &Self, e: String| {
            this.broken(&format!("A row of {}.{}", captured.database, captured.table), &e)
        };
        let chunk = CHUNK.min(self.settings.max_batch);
        let mut origin = self.origin(event);
        let mut b = Bytes::new(rows.images);
        let mut part = Part::default();
        let mut read = 0_u64;
        while !b.is_empty() {
            let before = b.rest().len();
            let mut image = |present: &[u8]| image::row(&mut b, present, map, &captured.columns);
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
            captured.push(change, &origin, now_ms(), &mut part.records);
            part.changes += 1;
            part.bytes += RECORD_BYTES + 2 * (before - b.rest().len());
            if !b.is_empty() && (part.changes >= chunk || part.bytes >= CHUNK_BYTES) {
                self.send_part(captured, std::mem::take(&mut part), (index, read), event).await?;
            }
        }
        if part.changes > 0 {
            self.send_part(captured, part, (index + 1, 0), event).await?;
        }
        Ok(())
    }

    async fn send_part(
        &mut self,
        captured: &Arc<Captured>,
        part: Part,
        (done, row): (u64, u64),
        event: &Event<'_>,
    ) -> Result<(), TaskError> {
        if let Some(group) = &mut self.group {
            group.sent = true;
        }
        let offset = Offset { event: done, row, ts_sec: i64::from(event.timestamp), ..self.place.clone() };
        let message = Message {
            table: Some(captured.clone()),
            records: part.records,
            changes: part.changes,
            bytes: part.bytes,
            offset,
            schemas: self.catalog.take_changes(),
            urgent: false,
            in_transaction: true,
        };
        self.output.send(message).await
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
