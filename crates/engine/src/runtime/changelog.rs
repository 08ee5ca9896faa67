//! A query's state in its changelog topic (`_bd_<query>_changelog`, one partition).
//!
//! # Format
//! A record's value holds entries of state; the key is empty. Records are read in order, a later entry of the same node and
//! key wins:
//! ```text
//! value = kind u8, entry*
//! entry = node u16, key length u32, key, value length u32 (u32::MAX: removed), value          all little endian
//! kind  = 0: changes; 1: the first record of a full snapshot (all that came before is void); 2: more of that snapshot
//! ```
//! # Rules
//! * Entries are written in the same transaction as the outputs and offsets that they belong to.
//! * When the changes since the last full snapshot outgrow it twice (and [`MIN_CHANGES`]), the next barrier writes a full one; after
//!   its commit all records before it are trimmed. So a restore reads at most a few times the state's size.

use super::chain::NodeStateWriter;
use crate::error::EngineError;
use crate::operator::StateWriter;
use bd_cluster::{ClusterError, RecordsBuilder};

/// Entries of the query itself (not of an operator) have this node.
pub const QUERY_NODE: u16 = u16::MAX;
/// Changes below so many bytes never cause a full snapshot, by default.
pub const MIN_CHANGES: u64 = 16 << 20;
/// Records are cut at about so many bytes.
const RECORD_BYTES: usize = 256 << 10;
/// Records are handed on when about so many bytes have gathered.
const APPEND_BYTES: usize = 4 << 20;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Changes since the record before.
    Changes,
    /// The first record of a full snapshot.
    FullStart,
    /// More of a full snapshot.
    FullMore,
}

/// Where a writer's records go.
pub type AppendState<'a> = dyn FnMut(RecordsBuilder) -> Result<(), ClusterError> + 'a;

/// Cuts one barrier's entries into records and hands them on as they come, so that a full snapshot never stands in memory.
pub struct ChangelogWriter<'a> {
    append: &'a mut AppendState<'a>,
    records: RecordsBuilder,
    current: Vec<u8>,
    node: u16,
    full: bool,
    /// A record has been cut.
    begun: bool,
    bytes: u64,
    failed: Option<ClusterError>,
    timestamp: i64,
}

impl<'a> ChangelogWriter<'a> {
    /// For one barrier; `timestamp` (ms) goes on the records.
    pub fn new(full: bool, timestamp: i64, append: &'a mut AppendState<'a>) -> Self {
        let mut writer = Self {
            append,
            records: RecordsBuilder::new(),
            current: Vec::new(),
            node: QUERY_NODE,
            full,
            begun: false,
            bytes: 0,
            failed: None,
            timestamp,
        };
        writer.begin();
        writer
    }

    fn begin(&mut self) {
        self.current.clear();
        self.current.push(match (self.full, self.begun) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        });
    }

    fn cut(&mut self) {
        self.records.push(None, Some(&self.current), self.timestamp, &[]);
        self.bytes += self.current.len() as u64;
        self.begun = true;
        if self.records.bytes() >= APPEND_BYTES {
            self.hand_on();
        }
        self.begin();
    }

    fn hand_on(&mut self) {
        let records = self.records.take();
        if self.failed.is_none() && !records.is_empty() {
            self.failed = (self.append)(records).err();
        }
    }

    /// Hands on the rest, and gives how many bytes of state there were in all (a full snapshot always has some).
    ///
    /// # Errors
    /// The first append that failed.
    pub fn finish(mut self) -> Result<u64, ClusterError> {
        if self.current.len() > 1 || (self.full && !self.begun) {
            self.cut();
        }
        self.hand_on();
        self.failed.map_or(Ok(self.bytes), Err)
    }
}

impl StateWriter for ChangelogWriter<'_> {
    fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.current.extend_from_slice(&self.node.to_le_bytes());
        self.current.extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.current.extend_from_slice(key);
        let length = value.map_or(u32::MAX, |v| v.len() as u32);
        self.current.extend_from_slice(&length.to_le_bytes());
        self.current.extend_from_slice(value.unwrap_or_default());
        if self.current.len() >= RECORD_BYTES {
            self.cut();
        }
    }
}

impl NodeStateWriter for ChangelogWriter<'_> {
    fn node(&mut self, node: u16) {
        self.node = node;
    }
}

/// An entry as read: node, key, value.
pub type Entry<'a> = (u16, &'a [u8], Option<&'a [u8]>);

/// Reads the entries of one record.
///
/// # Errors
/// A record that is not of this format.
pub fn read_record(value: &[u8]) -> Result<(Kind, Vec<Entry<'_>>), EngineError> {
    let corrupt =
        |reason: &str| EngineError::Corrupt { what: "changelog record".into(), reason: reason.into() };
    let (kind, mut rest) = value.split_first().ok_or_else(|| corrupt("it is empty"))?;
    let kind = match kind {
        0 => Kind::Changes,
        1 => Kind::FullStart,
        2 => Kind::FullMore,
        other => return Err(corrupt(&format!("unknown kind {other}"))),
    };
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let entry = read_entry(&mut rest).ok_or_else(|| corrupt("an entry is cut short"))?;
        entries.push(entry);
    }
    Ok((kind, entries))
}

fn read_entry<'a>(rest: &mut &'a [u8]) -> Option<Entry<'a>> {
    let node = u16::from_le_bytes(take(rest, 2)?.try_into().ok()?);
    let key_length = u32::from_le_bytes(take(rest, 4)?.try_into().ok()?);
    let key = take(rest, key_length as usize)?;
    let value_length = u32::from_le_bytes(take(rest, 4)?.try_into().ok()?);
    let value = if value_length == u32::MAX { None } else { Some(take(rest, value_length as usize)?) };
    Some((node, key, value))
}

fn take<'a>(rest: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(n)?;
    *rest = tail;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that a writer hands on, and how many appends it took.
    fn written(full: bool, fill: impl FnOnce(&mut ChangelogWriter<'_>)) -> (Vec<Vec<u8>>, usize) {
        let (mut values, mut appends) = (Vec::new(), 0);
        let mut append = |records: RecordsBuilder| {
            appends += 1;
            values.extend(records.iter().map(|(r, _)| r.value.unwrap().to_vec()));
            Ok(())
        };
        let mut writer = ChangelogWriter::new(full, 7, &mut append);
        fill(&mut writer);
        let bytes = writer.finish().unwrap();
        assert_eq!(bytes, values.iter().map(|v| v.len() as u64).sum::<u64>());
        (values, appends)
    }

    #[test]
    fn entries_come_back_in_order_with_removals() {
        let (values, _) = written(true, |writer| {
            writer.node(3);
            writer.put(b"a", Some(b"1"));
            writer.put(b"b", None);
            writer.put(b"", Some(b""));
        });
        let (kind, entries) = read_record(&values[0]).unwrap();
        assert_eq!(kind, Kind::FullStart);
        assert_eq!(entries, vec![(3, &b"a"[..], Some(&b"1"[..])), (3, b"b", None), (3, b"", Some(b""))]);
    }

    #[test]
    fn large_state_is_cut_into_records_and_only_the_first_voids_what_was_before() {
        let (values, appends) = written(true, |writer| {
            for i in 0..1000u32 {
                writer.put(&i.to_le_bytes(), Some(&[0; 10_000]));
            }
        });
        let kinds: Vec<Kind> = values.iter().map(|v| read_record(v).unwrap().0).collect();
        assert!(kinds.len() > 2 && appends > 1, "{} records in {appends} appends", kinds.len());
        assert_eq!(kinds[0], Kind::FullStart);
        assert!(kinds[1..].iter().all(|k| *k == Kind::FullMore));
    }

    #[test]
    fn without_changes_nothing_is_written_but_a_full_snapshot_always_is() {
        assert_eq!(written(false, |_| {}).0.len(), 0);
        assert_eq!(written(true, |_| {}).0, vec![vec![1]]);
    }

    #[test]
    fn an_append_that_fails_is_the_result() {
        let error = ClusterError::Fenced("by a test".into());
        let mut append = |_: RecordsBuilder| Err(error.clone());
        let mut writer = ChangelogWriter::new(false, 0, &mut append);
        writer.put(b"key", Some(b"value"));
        assert_eq!(writer.finish(), Err(error.clone()));
    }

    #[test]
    fn a_record_that_is_cut_short_is_an_error() {
        let (values, _) = written(false, |writer| writer.put(b"key", Some(b"value")));
        let value = &values[0];
        assert!(read_record(&value[..value.len() - 1]).is_err());
        assert!(read_record(&[9]).is_err());
        assert!(read_record(&[]).is_err());
    }
}
