//! The place in the source that is committed with the records.

use bd_connect::sdk::{SourceOffset, SourcePartition};
use serde_json::{Value, json};
use std::sync::Arc;

/// A place in the binlog: the start of a transaction, and how much of it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offset {
    pub(super) file: Arc<str>,
    /// Bytes from the start of the file.
    pub(super) pos: u64,
    /// The transactions before it, where the server numbers them.
    pub(super) gtids: Option<Arc<str>>,
    /// Row events of the transaction that were given wholly.
    pub(super) event: u64,
    /// Rows of the next row event that were given.
    pub(super) row: u64,
    /// The clock of the last change, seconds since epoch.
    pub(super) ts_sec: i64,
    /// Within a snapshot, which begins anew after a restart.
    pub(super) snapshot: bool,
}

impl Offset {
    /// The start of a transaction.
    pub(super) fn at(file: impl Into<Arc<str>>, pos: u64, gtids: Option<Arc<str>>, ts_sec: i64) -> Self {
        Self { file: file.into(), pos, gtids, event: 0, row: 0, ts_sec, snapshot: false }
    }

    /// What the place is of.
    pub(super) fn partition(prefix: &str) -> SourcePartition {
        let mut partition = SourcePartition::new();
        partition.insert("server".to_owned(), json!(prefix));
        partition
    }

    /// With Debezium's keys.
    pub(super) fn to_map(&self) -> SourceOffset {
        let mut map = SourceOffset::new();
        let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
        put("ts_sec", json!(self.ts_sec));
        put("file", json!(&*self.file));
        put("pos", json!(self.pos));
        if let Some(gtids) = &self.gtids {
            put("gtids", json!(&**gtids));
        }
        if self.snapshot {
            put("snapshot", json!(true));
        }
        put("row", json!(self.row));
        put("event", json!(self.event));
        map
    }

    /// `None`: it is no place.
    pub(super) fn of_map(map: &SourceOffset) -> Option<Self> {
        let number = |key: &str| map.get(key).and_then(Value::as_u64);
        Some(Self {
            file: map.get("file")?.as_str()?.into(),
            pos: number("pos")?,
            gtids: map.get("gtids").and_then(Value::as_str).map(Arc::from),
            event: number("event").unwrap_or(0),
            row: number("row").unwrap_or(0),
            ts_sec: map.get("ts_sec").and_then(Value::as_i64).unwrap_or(0),
            snapshot: map.get("snapshot").is_some_and(|s| s.as_bool().unwrap_or(true)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_json() {
        let mut offset = Offset::at("binlog.000002", 4711, Some("0-1-3".into()), 7);
        (offset.event, offset.row) = (2, 3);
        let map = offset.to_map();
        let text = r#"{"ts_sec":7,"file":"binlog.000002","pos":4711,"gtids":"0-1-3","row":3,"event":2}"#;
        assert_eq!(serde_json::to_string(&map).unwrap(), text);
        assert_eq!(Offset::of_map(&map), Some(offset));
    }
}
