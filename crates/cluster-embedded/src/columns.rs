//! From fetched record batches to columns: spans into the fetched bytes.

use bd_cluster::{Records, Span, TopicPartition};
use bd_log::batch::{BatchHeader, Batches, RecordsIter};
use bd_log::compression::plain_batch;
use bd_log::{AbortedTxn, LogError, ReadResult};
use bytes::{Bytes, BytesMut};
use std::ops::Range;

/// One batch decompressed may take so much; a producer that packs more is refused.
const MAX_PLAIN_BATCH: usize = 256 << 20;
/// Decompressing ahead stops at so much; what is left is read again.
const MAX_PLAIN: usize = 32 << 20;

/// Batches that were read and not yet given out.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// Whole, uncompressed batches.
    bytes: Bytes,
    /// Where in `bytes` the batch that holds the next offset starts.
    at: usize,
    aborted: Vec<AbortedTxn>,
    /// The offset after all of it.
    next_offset: i64,
    last_stable_offset: i64,
    high_watermark: i64,
}

impl Fetched {
    /// From what a log gave. Uncompressed batches stay where they are.
    pub(crate) fn new(read: ReadResult) -> Result<Self, String> {
        let mut fetched = Fetched {
            bytes: read.bytes,
            at: 0,
            aborted: read.aborted,
            next_offset: read.next_offset,
            last_stable_offset: read.last_stable_offset,
            high_watermark: read.high_watermark,
        };
        let mut compressed = false;
        for item in Batches::new(&fetched.bytes) {
            let (_, header) = item.map_err(|e| e.to_string())?;
            compressed |= header.codec().map_err(|e| e.to_string())? != bd_log::compression::Codec::None;
        }
        if compressed {
            let mut plain = BytesMut::new();
            for item in Batches::new(&fetched.bytes) {
                let (range, header) = item.map_err(|e| e.to_string())?;
                if plain.len() > MAX_PLAIN {
                    fetched.next_offset = header.base_offset;
                    break;
                }
                let batch =
                    plain_batch(&fetched.bytes.slice(range), MAX_PLAIN_BATCH).map_err(|e| e.to_string())?;
                plain.extend_from_slice(&batch);
            }
            fetched.bytes = plain.freeze();
        }
        Ok(fetched)
    }

    /// Whether all of it was given out.
    pub(crate) fn is_used_up(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The records from `position` on, at most about `max_bytes` of them and at least one if there is any.
    pub(crate) fn take(
        &mut self,
        partition: &TopicPartition,
        position: i64,
        max_bytes: usize,
    ) -> Result<Records, LogError> {
        let mut records = Records::empty(partition.clone(), self.next_offset);
        records.arena = self.bytes.clone();
        records.last_stable_offset = self.last_stable_offset;
        records.high_watermark = self.high_watermark;
        let mut taken = 0;
        while let Some(rest) = self.bytes.get(self.at..).filter(|r| !r.is_empty()) {
            let header = BatchHeader::parse(rest)?;
            let end = self.at + header.size();
            if header.next_offset() > position && !header.is_control() && !self.is_aborted(&header) {
                let full = append(&mut records, rest, self.at, position, max_bytes, &mut taken)?;
                if let Some(next) = full {
                    records.next_offset = next;
                    return Ok(records);
                }
            }
            self.at = end;
        }
        Ok(records)
    }

    fn is_aborted(&self, header: &BatchHeader) -> bool {
        header.is_transactional()
            && self.aborted.iter().any(|txn| {
                txn.producer_id == header.producer_id
                    && (txn.first_offset..=txn.last_offset).contains(&header.base_offset)
            })
    }
}

fn span(base: usize, range: Option<Range<usize>>) -> Span {
    match range {
        Some(range) => Span { start: (base + range.start) as u32, len: range.len() as u32 },
        None => Span::NULL,
    }
}

/// Adds the records of the batch at the start of `rest`, which stands at `base` of the arena. `Some(offset)`: there is no room for
/// the record at `offset`.
fn append(
    records: &mut Records,
    rest: &[u8],
    base: usize,
    position: i64,
    max_bytes: usize,
    taken: &mut usize,
) -> Result<Option<i64>, LogError> {
    let iter = RecordsIter::new(rest)?;
    let count = iter.size_hint().1.unwrap_or(0).min(rest.len());
    records.offsets.reserve(count);
    records.timestamps.reserve(count);
    records.keys.reserve(count);
    records.values.reserve(count);
    for record in iter {
        let record = record?;
        if record.offset < position {
            continue;
        }
        let size = record.key.as_ref().map_or(0, Range::len)
            + record.value.as_ref().map_or(0, Range::len)
            + record.headers.bytes.len();
        if !records.offsets.is_empty() && *taken + size > max_bytes {
            return Ok(Some(record.offset));
        }
        *taken += size;
        records.offsets.push(record.offset);
        records.timestamps.push(record.timestamp);
        records.keys.push(span(base, record.key));
        records.values.push(span(base, record.value));
        if record.headers.count > 0 {
            // The column begins with the first record that has any.
            records.header_ends.resize(records.offsets.len() - 1, records.headers.len() as u32);
            for header in record.headers.iter(rest) {
                let header = header?;
                records.headers.push((span(base, Some(header.key)), span(base, header.value)));
            }
        }
        if !records.headers.is_empty() {
            records.header_ends.push(records.headers.len() as u32);
        }
    }
    Ok(None)
}
