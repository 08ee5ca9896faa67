//! Records as columns over one arena: what readers give and writers take.

use crate::TopicPartition;
use bytes::Bytes;

/// A range of bytes of an arena, or null. `start` and `len` in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The number of bytes; [`Span::NULL`]'s is `u32::MAX`.
    pub len: u32,
}

impl Span {
    /// A null key, value or header value (not an empty one).
    pub const NULL: Span = Span { start: 0, len: u32::MAX };

    /// Whether this is [`Span::NULL`].
    pub fn is_null(self) -> bool {
        self.len == u32::MAX
    }

    /// The bytes in `arena`; `None` for null. An out-of-range span (which no home builds) reads as empty.
    pub fn of(self, arena: &[u8]) -> Option<&[u8]> {
        if self.is_null() {
            return None;
        }
        let start = self.start as usize;
        Some(arena.get(start..start + self.len as usize).unwrap_or_default())
    }
}

/// Consecutive records of one partition. All columns have one entry a record; they may be empty when only the position moved
/// (control records, aborted records).
#[derive(Debug, Clone)]
pub struct Records {
    /// Where they stand.
    pub partition: TopicPartition,
    /// The bytes that all spans point into.
    pub arena: Bytes,
    /// The offset of each record, ascending, with gaps.
    pub offsets: Vec<i64>,
    /// The timestamp of each record, ms since epoch.
    pub timestamps: Vec<i64>,
    /// The key of each record.
    pub keys: Vec<Span>,
    /// The value of each record.
    pub values: Vec<Span>,
    /// Where the headers of record `i` stand in `headers`: `header_ends[i-1]..header_ends[i]`. Empty when no record has any.
    pub header_ends: Vec<u32>,
    /// Name and value of each header, in order, repeated names kept.
    pub headers: Vec<(Span, Span)>,
    /// The position after these records: past the last one and past control and aborted records that follow it. A reader that
    /// has `next_offset >= E` has read all there is below `E`.
    pub next_offset: i64,
    /// The last stable offset when they were fetched; -1 when not known.
    pub last_stable_offset: i64,
    /// The high watermark when they were fetched; -1 when not known.
    pub high_watermark: i64,
}

impl Records {
    /// No records of `partition`, position `next_offset`.
    pub fn empty(partition: TopicPartition, next_offset: i64) -> Self {
        Self {
            partition,
            arena: Bytes::new(),
            offsets: Vec::new(),
            timestamps: Vec::new(),
            keys: Vec::new(),
            values: Vec::new(),
            header_ends: Vec::new(),
            headers: Vec::new(),
            next_offset,
            last_stable_offset: -1,
            high_watermark: -1,
        }
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// The key of record `i`.
    pub fn key(&self, i: usize) -> Option<&[u8]> {
        self.keys.get(i).and_then(|s| s.of(&self.arena))
    }

    /// The value of record `i`.
    pub fn value(&self, i: usize) -> Option<&[u8]> {
        self.values.get(i).and_then(|s| s.of(&self.arena))
    }

    /// The headers of record `i`, in order.
    pub fn headers(&self, i: usize) -> impl Iterator<Item = HeaderRef<'_>> {
        let end = self.header_ends.get(i).map_or(0, |e| *e as usize);
        let start = if i == 0 { 0 } else { self.header_ends.get(i - 1).map_or(0, |e| *e as usize) };
        self.headers.get(start..end).unwrap_or_default().iter().map(|(name, value)| HeaderRef {
            name: name.of(&self.arena).unwrap_or_default(),
            value: value.of(&self.arena),
        })
    }

    /// One record after the other.
    pub fn iter(&self) -> impl Iterator<Item = RecordRef<'_>> {
        (0..self.len()).map(|i| RecordRef {
            offset: self.offsets[i],
            timestamp: self.timestamps[i],
            key: self.key(i),
            value: self.value(i),
        })
    }
}

/// One header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderRef<'a> {
    /// The name, UTF-8 by Kafka's rules.
    pub name: &'a [u8],
    /// The value.
    pub value: Option<&'a [u8]>,
}

/// One record of [`Records`], without its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// The offset.
    pub offset: i64,
    /// The timestamp, ms since epoch.
    pub timestamp: i64,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
}

/// Records to be written, in order. Their bytes are copied once, into the builder's arena.
///
/// ```
/// # use bd_cluster::RecordsBuilder;
/// let mut records = RecordsBuilder::new();
/// records.push(Some(b"key"), Some(b"value"), 1_612_223_747_000, &[("source", Some(b"test"))]);
/// assert_eq!((records.len(), records.bytes()), (1, 18));
/// ```
#[derive(Debug, Clone, Default)]
pub struct RecordsBuilder {
    arena: Vec<u8>,
    rows: Vec<BuiltRow>,
    headers: Vec<(Span, Span)>,
}

#[derive(Debug, Clone, Copy)]
struct BuiltRow {
    timestamp: i64,
    key: Span,
    value: Span,
    headers_end: u32,
}

impl RecordsBuilder {
    /// A builder without records.
    pub fn new() -> Self {
        Self::default()
    }

    fn put(&mut self, bytes: Option<&[u8]>) -> Span {
        let Some(bytes) = bytes else { return Span::NULL };
        let span = Span { start: self.arena.len() as u32, len: bytes.len() as u32 };
        self.arena.extend_from_slice(bytes);
        span
    }

    /// Adds a record. `timestamp` in ms since epoch; `headers` keep their order, names may repeat.
    pub fn push(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: i64,
        headers: &[(&str, Option<&[u8]>)],
    ) {
        let key = self.put(key);
        let value = self.put(value);
        for (name, value) in headers {
            let name = self.put(Some(name.as_bytes()));
            let value = self.put(*value);
            self.headers.push((name, value));
        }
        self.rows.push(BuiltRow { timestamp, key, value, headers_end: self.headers.len() as u32 });
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The bytes of all keys, values and headers so far. One builder holds less than 4 GiB; writers are given far less.
    pub fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// The records in order, for a home to encode.
    pub fn iter(&self) -> impl Iterator<Item = (RecordRef<'_>, impl Iterator<Item = HeaderRef<'_>>)> {
        let starts = std::iter::once(0).chain(self.rows.iter().map(|r| r.headers_end as usize));
        self.rows.iter().zip(starts).map(|(row, start)| {
            let record = RecordRef {
                offset: -1,
                timestamp: row.timestamp,
                key: row.key.of(&self.arena),
                value: row.value.of(&self.arena),
            };
            let headers = self.headers[start..row.headers_end as usize].iter().map(|(n, v)| HeaderRef {
                name: n.of(&self.arena).unwrap_or_default(),
                value: v.of(&self.arena),
            });
            (record, headers)
        })
    }

    /// Takes the records out, leaving the builder empty.
    pub fn take(&mut self) -> RecordsBuilder {
        std::mem::take(self)
    }
}
