//! The 61-byte header: parsing, checking, stamping.

use std::ops::Range;

use crate::compression::Codec;

/// Bytes of a batch before its records.
pub const HEADER_BYTES: usize = 61;
/// Bytes of base offset and length, which the length does not count.
pub(crate) const LENGTH_PREFIX_BYTES: usize = 12;
const CRC_START: usize = 21;

const CODEC_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const DELETE_HORIZON: i16 = 0x40;

/// Why bytes are not a valid record batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The bytes end inside a batch.
    #[error("{have} bytes where {need} are needed")]
    Truncated {
        /// Bytes needed.
        need: usize,
        /// Bytes there.
        have: usize,
    },
    /// An old message format, or no batch at all.
    #[error("magic byte {0}, only record batch format 2 is stored (a producer since Kafka 0.11)")]
    Magic(i8),
    /// A length, count or delta that cannot be.
    #[error("{field} is {value}: {reason}")]
    Field {
        /// Header or record field.
        field: &'static str,
        /// Its value.
        value: i64,
        /// Why it cannot be.
        reason: &'static str,
    },
    /// The checksum does not match the content.
    #[error("CRC-32C is {actual:#010x}, the header says {expected:#010x}: the batch was damaged")]
    Crc {
        /// As the header says.
        expected: u32,
        /// As computed.
        actual: u32,
    },
    /// Records cannot be read while they are compressed; see [`crate::compression::plain_batch`].
    #[error("the records are compressed with {0:?}; decompress the batch first")]
    Compressed(Codec),
}

fn bytes<const N: usize>(batch: &[u8], at: usize) -> Result<[u8; N], BatchError> {
    batch
        .get(at..at + N)
        .and_then(|b| b.try_into().ok())
        .ok_or(BatchError::Truncated { need: at + N, have: batch.len() })
}

/// The parsed header of a batch. Plain values: changing them does not change any bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Bytes after the length field; see [`BatchHeader::size`].
    pub batch_length: i32,
    /// Leader epoch under which it was appended.
    pub partition_leader_epoch: i32,
    /// CRC-32C as stored.
    pub crc: u32,
    /// Codec, timestamp type and kind bits.
    pub attributes: i16,
    /// Offset of the last record, relative to the first.
    pub last_offset_delta: i32,
    /// Timestamp of the first record, ms.
    pub base_timestamp: i64,
    /// Greatest timestamp, ms.
    pub max_timestamp: i64,
    /// Producer id, -1 if not idempotent.
    pub producer_id: i64,
    /// Producer epoch, -1 if not idempotent.
    pub producer_epoch: i16,
    /// Sequence number of the first record, -1 if not idempotent.
    pub base_sequence: i32,
    /// Number of records.
    pub record_count: i32,
}

impl BatchHeader {
    /// Parses the header at the start of `batch`, which need not hold the records. Checks magic and the ranges of length,
    /// counts and deltas, not the CRC ([`verify_crc`]).
    ///
    /// # Errors
    /// [`BatchError`] if these bytes do not start a v2 batch.
    pub fn parse(batch: &[u8]) -> Result<BatchHeader, BatchError> {
        let magic = i8::from_be_bytes(bytes(batch, 16)?);
        if magic != 2 {
            return Err(BatchError::Magic(magic));
        }
        let header = BatchHeader {
            base_offset: i64::from_be_bytes(bytes(batch, 0)?),
            batch_length: i32::from_be_bytes(bytes(batch, 8)?),
            partition_leader_epoch: i32::from_be_bytes(bytes(batch, 12)?),
            crc: u32::from_be_bytes(bytes(batch, 17)?),
            attributes: i16::from_be_bytes(bytes(batch, 21)?),
            last_offset_delta: i32::from_be_bytes(bytes(batch, 23)?),
            base_timestamp: i64::from_be_bytes(bytes(batch, 27)?),
            max_timestamp: i64::from_be_bytes(bytes(batch, 35)?),
            producer_id: i64::from_be_bytes(bytes(batch, 43)?),
            producer_epoch: i16::from_be_bytes(bytes(batch, 51)?),
            base_sequence: i32::from_be_bytes(bytes(batch, 53)?),
            record_count: i32::from_be_bytes(bytes(batch, 57)?),
        };
        let wrong =
            |field, value: i32, reason| Err(BatchError::Field { field, value: i64::from(value), reason });
        if header.batch_length < (HEADER_BYTES - LENGTH_PREFIX_BYTES) as i32 {
            return wrong("batch length", header.batch_length, "shorter than a header");
        }
        if header.last_offset_delta < 0 {
            return wrong("last offset delta", header.last_offset_delta, "negative");
        }
        if header.record_count < 0 {
            return wrong("record count", header.record_count, "negative");
        }
        Ok(header)
    }

    /// Bytes of the whole batch.
    pub fn size(&self) -> usize {
        self.batch_length.max(0) as usize + LENGTH_PREFIX_BYTES
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// Offset of the batch that follows.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// Codec of the records.
    ///
    /// # Errors
    /// [`BatchError::Field`] for an unknown codec number.
    pub fn codec(&self) -> Result<Codec, BatchError> {
        Codec::from_id(self.attributes & CODEC_MASK)
    }

    /// Whether the timestamps are the log's ([`crate::TimestampType::LogAppendTime`]): then all records have
    /// `max_timestamp`.
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// Whether the batch belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether the batch is a transaction marker, which clients never hand to users.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// The time in ms from which compaction drops the tombstones of this batch, or the marker that it is; compaction sets it
    /// when nothing else is left of their key or transaction (KIP-534). The base timestamp holds it.
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }

    /// Sets it, in this header only: the records' timestamps are relative to the base timestamp.
    pub(crate) fn set_delete_horizon(&mut self, ms: i64) {
        self.attributes |= DELETE_HORIZON;
        self.base_timestamp = ms;
    }

    /// Whether an idempotent producer wrote it.
    pub fn has_producer(&self) -> bool {
        self.producer_id >= 0
    }

    /// Sequence number of the last record; sequences wrap from `i32::MAX` to 0. -1 if there is none.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 { -1 } else { add_sequence(self.base_sequence, self.last_offset_delta) }
    }

    pub(crate) fn attributes_of(codec: Codec, transactional: bool, control: bool) -> i16 {
        codec.id() | if transactional { TRANSACTIONAL } else { 0 } | if control { CONTROL } else { 0 }
    }

    /// Writes the header with the length and CRC that fit `batch` (header space followed by the records).
    pub(crate) fn write_to(&self, batch: &mut [u8]) {
        let length = batch.len().saturating_sub(LENGTH_PREFIX_BYTES) as i32;
        let mut put = |at: usize, value: &[u8]| {
            if let Some(target) = batch.get_mut(at..at + value.len()) {
                target.copy_from_slice(value);
            }
        };
        put(0, &self.base_offset.to_be_bytes());
        put(8, &length.to_be_bytes());
        put(12, &self.partition_leader_epoch.to_be_bytes());
        put(16, &[2]);
        put(21, &self.attributes.to_be_bytes());
        put(23, &self.last_offset_delta.to_be_bytes());
        put(27, &self.base_timestamp.to_be_bytes());
        put(35, &self.max_timestamp.to_be_bytes());
        put(43, &self.producer_id.to_be_bytes());
        put(51, &self.producer_epoch.to_be_bytes());
        put(53, &self.base_sequence.to_be_bytes());
        put(57, &self.record_count.to_be_bytes());
        write_crc(batch);
    }
}

/// `sequence + delta`, wrapping from `i32::MAX` to 0.
pub(crate) fn add_sequence(sequence: i32, delta: i32) -> i32 {
    ((i64::from(sequence) + i64::from(delta)) & 0x7fff_ffff) as i32
}

/// Whether the CRC of the whole batch in `batch` (exactly one batch) is right.
///
/// # Errors
/// [`BatchError::Crc`], or [`BatchError::Truncated`] if the bytes are shorter than a header.
pub fn verify_crc(batch: &[u8]) -> Result<(), BatchError> {
    let expected = u32::from_be_bytes(bytes(batch, 17)?);
    let actual = crc32c::crc32c(batch.get(CRC_START..).unwrap_or_default());
    if expected == actual { Ok(()) } else { Err(BatchError::Crc { expected, actual }) }
}

fn write_crc(batch: &mut [u8]) {
    let crc = crc32c::crc32c(batch.get(CRC_START..).unwrap_or_default());
    if let Some(target) = batch.get_mut(17..21) {
        target.copy_from_slice(&crc.to_be_bytes());
    }
}

/// Sets base offset and leader epoch, which the CRC does not cover.
pub(crate) fn stamp(batch: &mut [u8], base_offset: i64, leader_epoch: i32) {
    if let Some(target) = batch.get_mut(0..8) {
        target.copy_from_slice(&base_offset.to_be_bytes());
    }
    if let Some(target) = batch.get_mut(12..16) {
        target.copy_from_slice(&leader_epoch.to_be_bytes());
    }
}

/// Marks a batch as stamped by the log at `now_ms` and recomputes its CRC.
pub(crate) fn stamp_log_append_time(batch: &mut [u8], now_ms: i64) {
    if let Some(low) = batch.get_mut(22) {
        *low |= LOG_APPEND_TIME as u8;
    }
    if let Some(target) = batch.get_mut(35..43) {
        target.copy_from_slice(&now_ms.to_be_bytes());
    }
    write_crc(batch);
}

/// Walks the headers of contiguous batches, as a read returns them or a producer sends them. Ends after the first error.
///
/// ```
/// use bd_log::batch::{BatchBuilder, Batches};
/// let mut builder = BatchBuilder::new();
/// builder.append(0, None, Some(b"x"), &[]);
/// let one = builder.build();
/// let two = [&one[..], &one[..]].concat();
/// assert_eq!(Batches::new(&two).count(), 2);
/// ```
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Batches<'a> {
    /// Over `data`, which starts with a batch.
    pub fn new(data: &'a [u8]) -> Self {
        Batches { data, at: 0 }
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<(Range<usize>, BatchHeader), BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.data.get(self.at..).filter(|r| !r.is_empty())?;
        let item = BatchHeader::parse(rest).and_then(|header| {
            let end = self.at + header.size();
            if header.size() > rest.len() {
                return Err(BatchError::Truncated { need: header.size(), have: rest.len() });
            }
            Ok((self.at..end, header))
        });
        self.at = item.as_ref().map_or(self.data.len(), |(range, _)| range.end);
        Some(item)
    }
}
