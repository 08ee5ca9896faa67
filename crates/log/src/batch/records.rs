//! The records inside one uncompressed batch, as ranges into its bytes: nothing is copied.

use std::ops::Range;

use super::{BatchError, BatchHeader, HEADER_BYTES, varint};
use crate::compression::Codec;

/// One record. The ranges index the batch bytes the iterator was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Absolute offset.
    pub offset: i64,
    /// Timestamp, ms.
    pub timestamp: i64,
    /// Key bytes; `None` is null.
    pub key: Option<Range<usize>>,
    /// Value bytes; `None` is null (a tombstone).
    pub value: Option<Range<usize>>,
    /// Headers in order, repeats kept.
    pub headers: HeaderRanges,
}

/// Where a record's headers lie; decoded when walked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderRanges {
    /// Bytes of all headers.
    pub bytes: Range<usize>,
    /// How many.
    pub count: usize,
}

impl HeaderRanges {
    /// Walks the headers; `batch` is what the [`RecordsIter`] was made from.
    pub fn iter<'a>(&self, batch: &'a [u8]) -> HeaderIter<'a> {
        HeaderIter {
            data: batch.get(..self.bytes.end).unwrap_or_default(),
            at: self.bytes.start,
            left: self.count,
        }
    }
}

/// One header: its name and value as ranges into the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Name (UTF-8 by the protocol, not checked here).
    pub key: Range<usize>,
    /// Value; `None` is null.
    pub value: Option<Range<usize>>,
}

/// Iterator over the headers of one record.
#[derive(Debug, Clone)]
pub struct HeaderIter<'a> {
    data: &'a [u8],
    at: usize,
    left: usize,
}

impl Iterator for HeaderIter<'_> {
    type Item = Result<Header, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let item = header(self.data, &mut self.at);
        if item.is_err() {
            self.left = 0;
        }
        Some(item)
    }
}

fn header(data: &[u8], at: &mut usize) -> Result<Header, BatchError> {
    let key = field(data, at)?.ok_or(BatchError::Field { field: "header key", value: -1, reason: "null" })?;
    Ok(Header { key, value: field(data, at)? })
}

/// A length-prefixed field; a negative length is null.
fn field(data: &[u8], at: &mut usize) -> Result<Option<Range<usize>>, BatchError> {
    let length = varint::get(data, at)?;
    let Ok(length) = usize::try_from(length) else { return Ok(None) };
    let end = at.saturating_add(length);
    if end > data.len() {
        return Err(BatchError::Truncated { need: end, have: data.len() });
    }
    let range = *at..end;
    *at = end;
    Ok(Some(range))
}

/// Iterator over the records of one uncompressed batch. Ends after the first error.
#[derive(Debug, Clone)]
pub struct RecordsIter<'a> {
    data: &'a [u8],
    header: BatchHeader,
    at: usize,
    left: i32,
}

impl<'a> RecordsIter<'a> {
    /// Over the batch at the start of `batch` (what follows it is ignored). The CRC is not checked.
    ///
    /// # Errors
    /// [`BatchError`] if there is no whole batch, or its records are compressed.
    pub fn new(batch: &'a [u8]) -> Result<Self, BatchError> {
        let header = BatchHeader::parse(batch)?;
        match header.codec()? {
            Codec::None => {}
            codec => return Err(BatchError::Compressed(codec)),
        }
        let data = batch
            .get(..header.size())
            .ok_or(BatchError::Truncated { need: header.size(), have: batch.len() })?;
        Ok(RecordsIter { data, header, at: HEADER_BYTES, left: header.record_count })
    }

    /// The batch's header.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Where in the batch the next record starts.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    fn record(&mut self) -> Result<Record, BatchError> {
        let mut at = self.at;
        let length = varint::get(self.data, &mut at)?;
        let end = usize::try_from(length).ok().and_then(|length| at.checked_add(length)).ok_or(
            BatchError::Field { field: "record length", value: length, reason: "negative or too large" },
        )?;
        let data = self.data.get(..end).ok_or(BatchError::Truncated { need: end, have: self.data.len() })?;
        at += 1; // attributes, unused in format 2
        let timestamp_delta = varint::get(data, &mut at)?;
        let offset_delta = varint::get(data, &mut at)?;
        let key = field(data, &mut at)?;
        let value = field(data, &mut at)?;
        let count = varint::get(data, &mut at)?;
        let count = usize::try_from(count).ok().filter(|count| *count <= end).ok_or(BatchError::Field {
            field: "header count",
            value: count,
            reason: "negative or too large",
        })?;
        self.at = end;
        Ok(Record {
            offset: self.header.base_offset.wrapping_add(offset_delta),
            timestamp: if self.header.is_log_append_time() {
                self.header.max_timestamp
            } else {
                self.header.base_timestamp.wrapping_add(timestamp_delta)
            },
            key,
            value,
            headers: HeaderRanges { bytes: at..end, count },
        })
    }
}

impl Iterator for RecordsIter<'_> {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            return None;
        }
        self.left -= 1;
        let item = self.record();
        if item.is_err() {
            self.left = 0;
        }
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, usize::try_from(self.left).ok())
    }
}
