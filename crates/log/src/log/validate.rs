//! What the settings want of the records of an append: keys, timestamps, compression. Records are looked at only where a
//! setting asks for it; for most appends the header says enough.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::append::Part;
use crate::batch::{BatchError, BatchHeader, HEADER_BYTES, RecordsIter};
use crate::compression::{self, Codec, CompressionError};
use crate::{LogConfig, LogError, RecordFault, RecordProblem, TimestampType};

/// Bound of a decompressed batch that must be looked into: a small batch that unpacks to more is refused.
const PLAIN_BYTES: usize = 128 << 20;
/// Most problems that are told apart; the rest are counted.
const PROBLEMS_TOLD: usize = 100;

/// What the records are checked for.
pub(super) struct Rules<'a> {
    pub(super) config: &'a LogConfig,
    /// Topic and partition, for the texts.
    pub(super) name: &'a str,
    /// Wall clock, ms.
    pub(super) now: i64,
}

impl Rules<'_> {
    /// Checks the records as far as the settings ask, and compresses them as they say. Returns the batches to store.
    pub(super) fn apply(
        &self,
        batches: BytesMut,
        parts: Vec<Part>,
    ) -> Result<(BytesMut, Vec<Part>), LogError> {
        let mut asks = false;
        for (_, header) in &parts {
            self.check_timestamp_type(header)?;
            asks |= self.looks_into(header) || self.new_codec(header)?.is_some();
        }
        if !asks {
            return Ok((batches, parts));
        }
        let batches = batches.freeze();
        let mut stored = BytesMut::with_capacity(batches.len());
        let mut kept = Vec::with_capacity(parts.len());
        for (at, mut header) in parts {
            let range = at..at + header.size();
            let from = stored.len();
            self.one(batches.slice(range), &mut header, &mut stored)?;
            kept.push((from, header));
        }
        Ok((stored, kept))
    }

    fn one(&self, batch: Bytes, header: &mut BatchHeader, stored: &mut BytesMut) -> Result<(), LogError> {
        let plain = compression::plain_batch(&batch, PLAIN_BYTES).map_err(undecodable)?;
        if self.looks_into(header) {
            self.check_records(&plain)?;
        }
        let Some(codec) = self.new_codec(header)? else {
            stored.extend_from_slice(&batch);
            return Ok(());
        };
        let section = plain.get(HEADER_BYTES..).unwrap_or_default();
        let mut bytes = vec![0; HEADER_BYTES];
        compression::compress_at(self.config.compression, section, &mut bytes)
            .map_err(|source| undecodable(CompressionError::Malformed { codec, source }))?;
        if bytes.len() > self.config.max_message_bytes {
            return Err(LogError::TooLarge { size: bytes.len(), max: self.config.max_message_bytes });
        }
        header.attributes = (header.attributes & !0x07) | codec.id();
        header.write_to(&mut bytes);
        *header = BatchHeader::parse(&bytes)?;
        stored.extend_from_slice(&bytes);
        Ok(())
    }

    /// The codec to compress with, if the batch has another one.
    fn new_codec(&self, header: &BatchHeader) -> Result<Option<Codec>, BatchError> {
        let has = header.codec()?;
        Ok(self.config.compression.codec().filter(|wanted| *wanted != has))
    }

    fn keeps_time(&self) -> bool {
        self.config.message_timestamp_type == TimestampType::CreateTime
    }

    fn check_timestamp_type(&self, header: &BatchHeader) -> Result<(), LogError> {
        if !(self.keeps_time() && header.is_log_append_time()) {
            return Ok(());
        }
        let message = "Invalid timestamp type: producers should not set the timestamp type to LogAppendTime.";
        let problem = RecordProblem { batch_index: 0, message: message.to_owned() };
        let total = header.record_count.max(1) as usize;
        Err(LogError::InvalidRecords { fault: RecordFault::Timestamp, total, problems: [problem].into() })
    }

    /// Whether single records decide.
    fn looks_into(&self, header: &BatchHeader) -> bool {
        let config = self.config;
        config.cleanup_policy.compacts()
            || self.keeps_time()
                && (config.message_timestamp_before_max_ms != i64::MAX || self.is_late(header.max_timestamp))
    }

    fn is_late(&self, timestamp: i64) -> bool {
        timestamp > self.allowed().end
    }

    /// First and last timestamp allowed.
    fn allowed(&self) -> Range<i64> {
        self.now.saturating_sub(self.config.message_timestamp_before_max_ms)
            ..self.now.saturating_add(self.config.message_timestamp_after_max_ms)
    }

    fn check_records(&self, plain: &Bytes) -> Result<(), LogError> {
        let (mut problems, mut total, mut fault) = (Vec::new(), 0, RecordFault::Record);
        let allowed = self.allowed();
        for (i, record) in RecordsIter::new(plain)?.enumerate() {
            let record = record?;
            let message = if self.config.cleanup_policy.compacts() && record.key.is_none() {
                format!("Compacted topic cannot accept message without key in topic partition {}.", self.name)
            } else if self.keeps_time()
                && record.timestamp != -1
                && !(allowed.start..=allowed.end).contains(&record.timestamp)
            {
                fault = RecordFault::Timestamp;
                format!(
                    "Timestamp {} of message with offset {} is out of range. The timestamp should be within [{}, {}]",
                    record.timestamp, record.offset, allowed.start, allowed.end
                )
            } else {
                continue;
            };
            total += 1;
            if problems.len() < PROBLEMS_TOLD {
                problems.push(RecordProblem { batch_index: i as i32, message });
            }
        }
        if total == 0 {
            return Ok(());
        }
        Err(LogError::InvalidRecords { fault, total, problems: Arc::from(problems) })
    }
}

/// Records that cannot be decompressed are the producer's fault.
fn undecodable(error: CompressionError) -> LogError {
    let error = match error {
        CompressionError::Batch(error) => return error.into(),
        other => other,
    };
    let problem = RecordProblem { batch_index: 0, message: error.to_string() };
    LogError::InvalidRecords { fault: RecordFault::Record, total: 1, problems: [problem].into() }
}
