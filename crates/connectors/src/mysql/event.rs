//! The parts of binlog events, read from their bytes.

use super::image::Bytes;

/// Kinds of events. From 160 on they are MariaDB's.
pub(super) mod kind {
    pub(crate) const QUERY: u8 = 2;
    pub(crate) const ROTATE: u8 = 4;
    pub(crate) const FORMAT_DESCRIPTION: u8 = 15;
    pub(crate) const XID: u8 = 16;
    pub(crate) const TABLE_MAP: u8 = 19;
    pub(crate) const WRITE_V1: u8 = 23;
    pub(crate) const UPDATE_V1: u8 = 24;
    pub(crate) const DELETE_V1: u8 = 25;
    pub(crate) const INCIDENT: u8 = 26;
    pub(crate) const HEARTBEAT: u8 = 27;
    pub(crate) const WRITE: u8 = 30;
    pub(crate) const UPDATE: u8 = 31;
    pub(crate) const DELETE: u8 = 32;
    pub(crate) const GTID: u8 = 33;
    pub(crate) const ANONYMOUS_GTID: u8 = 34;
    pub(crate) const XA_PREPARE: u8 = 38;
    pub(crate) const PARTIAL_UPDATE: u8 = 39;
    pub(crate) const PAYLOAD: u8 = 40;
    pub(crate) const HEARTBEAT_V2: u8 = 41;
    pub(crate) const TAGGED_GTID: u8 = 42;
    pub(crate) const MARIADB_GTID: u8 = 162;
    /// 165: a query; 166 to 171: rows.
    pub(crate) const MARIADB_COMPRESSED_FIRST: u8 = 165;
    pub(crate) const MARIADB_COMPRESSED_LAST: u8 = 171;
}

/// An event.
pub(super) struct Event<'a> {
    pub(super) kind: u8,
    /// Seconds since epoch.
    pub(super) timestamp: u32,
    pub(super) server_id: u32,
    /// Bytes, header and checksum included.
    pub(super) size: u32,
    /// The low 32 bits of its end in the file; 0 where it is in none.
    pub(super) end: u32,
    /// Made for the stream; in no file.
    pub(super) artificial: bool,
    /// Header and checksum left out.
    pub(super) data: &'a [u8],
}

/// A row event's parts.
pub(super) struct Rows<'a> {
    /// The id that the table map gave.
    pub(super) table: u64,
    /// A bit for each column: whether it is in the first image of a row, and in the second (of updates).
    pub(super) first: &'a [u8],
    pub(super) second: &'a [u8],
    pub(super) images: &'a [u8],
}

impl<'a> Event<'a> {
    /// The parts of a row event.
    ///
    /// # Errors
    /// It is cut short.
    pub(super) fn rows(&self) -> Result<Rows<'a>, String> {
        let mut b = Bytes::new(self.data);
        let table = b.le(6)?;
        b.skip(2)?;
        if self.kind >= kind::WRITE {
            // Extra data; its length counts itself.
            let length = usize::try_from(b.le(2)?).unwrap_or_default();
            b.skip(length.saturating_sub(2))?;
        }
        let columns = usize::try_from(b.length()?).unwrap_or(usize::MAX);
        let first = b.take(columns.div_ceil(8))?;
        let update = matches!(self.kind, kind::UPDATE | kind::UPDATE_V1);
        let second = if update { b.take(columns.div_ceil(8))? } else { first };
        Ok(Rows { table, first, second, images: b.rest() })
    }
}

/// A statement.
pub(super) struct QueryEvent {
    pub(super) thread: u32,
    /// The default database.
    pub(super) database: String,
    pub(super) text: String,
}

impl QueryEvent {
    /// Reads the event's data.
    ///
    /// # Errors
    /// It is cut short.
    pub(super) fn read(data: &[u8]) -> Result<Self, String> {
        let mut b = Bytes::new(data);
        let thread = u32::try_from(b.le(4)?).unwrap_or_default();
        b.skip(4)?;
        let narrow = |n: u64| usize::try_from(n).unwrap_or_default();
        let database_length = narrow(b.le(1)?);
        b.skip(2)?;
        let variables = narrow(b.le(2)?);
        b.skip(variables)?;
        let database = String::from_utf8_lossy(b.take(database_length)?).into_owned();
        b.skip(1)?;
        let bytes = b.rest();
        // Statements of clients that do not speak UTF-8 are latin1 nearly always.
        let text = String::from_utf8(bytes.to_vec())
            .unwrap_or_else(|_| super::charset::Charset::Latin1.decode(bytes));
        Ok(Self { thread, database, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_cut_short_are_errors() {
        for length in 0..8 {
            let data = vec![0xff; length];
            let event = Event {
                kind: kind::UPDATE,
                timestamp: 0,
                server_id: 1,
                size: 0,
                end: 0,
                artificial: false,
                data: &data,
            };
            assert!(event.rows().is_err());
            assert!(QueryEvent::read(&data).is_err());
        }
    }
}
