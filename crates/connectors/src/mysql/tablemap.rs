//! TABLE_MAP_EVENT: which table, and how the binlog lays out its rows.

use super::image::Bytes;
use super::metadata::Metadata;
use super::plan::{ColumnPlan, Kind};

/// Types of columns in the binlog.
pub(super) mod code {
    pub(crate) const TINY: u8 = 1;
    pub(crate) const SHORT: u8 = 2;
    pub(crate) const LONG: u8 = 3;
    pub(crate) const FLOAT: u8 = 4;
    pub(crate) const DOUBLE: u8 = 5;
    pub(crate) const TIMESTAMP: u8 = 7;
    pub(crate) const LONGLONG: u8 = 8;
    pub(crate) const INT24: u8 = 9;
    pub(crate) const DATE: u8 = 10;
    pub(crate) const TIME: u8 = 11;
    pub(crate) const DATETIME: u8 = 12;
    pub(crate) const YEAR: u8 = 13;
    pub(crate) const NEWDATE: u8 = 14;
    pub(crate) const VARCHAR: u8 = 15;
    pub(crate) const BIT: u8 = 16;
    pub(crate) const TIMESTAMP2: u8 = 17;
    pub(crate) const DATETIME2: u8 = 18;
    pub(crate) const TIME2: u8 = 19;
    pub(crate) const BLOB_COMPRESSED: u8 = 140;
    pub(crate) const VARCHAR_COMPRESSED: u8 = 141;
    pub(crate) const JSON: u8 = 245;
    pub(crate) const NEWDECIMAL: u8 = 246;
    pub(crate) const ENUM: u8 = 247;
    pub(crate) const SET: u8 = 248;
    pub(crate) const TINY_BLOB: u8 = 249;
    pub(crate) const BLOB: u8 = 252;
    pub(crate) const VAR_STRING: u8 = 253;
    pub(crate) const STRING: u8 = 254;
    pub(crate) const GEOMETRY: u8 = 255;
}

/// A column's layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Its type; ENUM and SET, which the event writes as STRING, by their own.
    pub(super) code: u8,
    /// What the type needs: a length, a precision and scale, ... Two bytes, the first one low.
    pub(super) meta: u16,
}

/// The event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TableMap {
    pub(super) id: u64,
    pub(super) database: String,
    pub(super) table: String,
    pub(super) columns: Vec<Layout>,
    /// A bit for each column: whether it may be null.
    pub(super) nullable: Vec<u8>,
    /// What the server tells beyond the layout; all there is with `binlog_row_metadata=FULL`.
    pub(super) metadata: Metadata,
}

impl TableMap {
    /// Reads the event's data, header and checksum left out.
    ///
    /// # Errors
    /// It is cut short or holds an unknown type.
    pub(super) fn read(data: &[u8]) -> Result<Self, String> {
        let mut b = Bytes::new(data);
        let id = b.le(6)?;
        b.skip(2)?;
        let database = b.short_text()?;
        let table = b.short_text()?;
        let count = usize::try_from(b.length()?).unwrap_or(usize::MAX);
        let codes = b.take(count)?.to_vec();
        let meta_length = usize::try_from(b.length()?).unwrap_or(usize::MAX);
        let mut meta = Bytes::new(b.take(meta_length)?);
        let columns = codes.iter().map(|&code| layout(code, &mut meta)).collect::<Result<_, _>>()?;
        let nullable = b.take(count.div_ceil(8))?.to_vec();
        let metadata = Metadata::read(&mut b)?;
        Ok(Self { id, database, table, columns, nullable, metadata })
    }

    /// Database and table of the event's data.
    ///
    /// # Errors
    /// It is cut short.
    pub(super) fn name(data: &[u8]) -> Result<(String, String), String> {
        let mut b = Bytes::new(data);
        b.skip(8)?;
        Ok((b.short_text()?, b.short_text()?))
    }

    /// Reads only whose rows they are.
    ///
    /// # Errors
    /// It is cut short.
    pub(super) fn other(data: &[u8]) -> Result<Self, String> {
        let (database, table) = Self::name(data)?;
        Ok(Self { id: Bytes::new(data).le(6)?, database, table, ..Self::default() })
    }

    /// Whether rows of this layout are rows of those columns.
    ///
    /// # Errors
    /// What differs.
    pub(super) fn fits(&self, plan: &[ColumnPlan]) -> Result<(), String> {
        if self.columns.len() != plan.len() {
            return Err(format!(
                "the binlog's rows have {} columns, the definition has {}",
                self.columns.len(),
                plan.len()
            ));
        }
        for (i, (layout, column)) in self.columns.iter().zip(plan).enumerate() {
            if let Some(name) = self.metadata.names.get(i).filter(|n| !n.eq_ignore_ascii_case(&column.name)) {
                return Err(format!(
                    "column {} is named {name} in the binlog and {} in the definition",
                    i + 1,
                    column.name
                ));
            }
            if !suits(layout.code, &column.kind) {
                return Err(format!(
                    "column {} is {:?} in the definition and of type {} in the binlog",
                    column.name, column.kind, layout.code
                ));
            }
        }
        Ok(())
    }
}

fn layout(code: u8, meta: &mut Bytes<'_>) -> Result<Layout, String> {
    use code::*;
    let (code, meta) = match code {
        FLOAT
        | DOUBLE
        | TINY_BLOB..=BLOB
        | GEOMETRY
        | JSON
        | TIME2
        | DATETIME2
        | TIMESTAMP2
        | BLOB_COMPRESSED => (code, meta.le(1)?),
        VARCHAR | VAR_STRING | NEWDECIMAL | BIT | VARCHAR_COMPRESSED => (code, meta.le(2)?),
        STRING | ENUM | SET => string_layout(meta.le(1)?, meta.le(1)?),
        TINY | SHORT | LONG | LONGLONG | INT24 | DATE | NEWDATE | TIME | DATETIME | TIMESTAMP | YEAR => {
            (code, 0)
        }
        other => return Err(format!("columns of type {other} are not built")),
    };
    Ok(Layout { code, meta: u16::try_from(meta).unwrap_or_default() })
}

/// STRING's first byte is the real type; of CHAR beyond 255 bytes, two bits of the length are in it, inverted.
fn string_layout(first: u64, second: u64) -> (u8, u64) {
    let real = u8::try_from(first).unwrap_or_default();
    if real == code::ENUM || real == code::SET {
        return (real, second);
    }
    (code::STRING, second | ((first & 0x30) ^ 0x30) << 4)
}

fn suits(code: u8, kind: &Kind) -> bool {
    use code::*;
    match kind {
        Kind::Int { bytes, .. } => {
            matches!((bytes, code), (1, TINY) | (2, SHORT) | (3, INT24) | (4, LONG) | (8, LONGLONG))
        }
        Kind::Float => code == FLOAT,
        Kind::Double => code == DOUBLE,
        Kind::Decimal { .. } => code == NEWDECIMAL,
        Kind::Text { .. } | Kind::Bytes { .. } => {
            matches!(code, VARCHAR | VAR_STRING | STRING | TINY_BLOB..=BLOB)
        }
        Kind::Date => matches!(code, DATE | NEWDATE),
        Kind::DateTime { .. } => matches!(code, DATETIME | DATETIME2),
        Kind::Timestamp { .. } => matches!(code, TIMESTAMP | TIMESTAMP2),
        Kind::Time => matches!(code, TIME | TIME2),
        Kind::Year => code == YEAR,
        Kind::Enum(_) => code == ENUM,
        Kind::Set(_) => code == SET,
        Kind::Json => code == JSON,
        Kind::Bit { .. } => code == BIT,
        Kind::Skipped => true,
    }
}
