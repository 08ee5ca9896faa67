//! Offsets by timestamp (KIP-33, KIP-734).

use std::sync::Arc;

use bytes::Bytes;

use super::opened::OpenLog;
use crate::batch::{Batches, RecordsIter};
use crate::compression::plain_batch;
use crate::segment::Segment;
use crate::{Isolation, LogError};

const READ_BYTES: usize = 64 << 10;
/// Bound of a decompressed batch that is looked into for the exact record.
const PLAIN_BYTES: usize = 256 << 20;

impl OpenLog {
    /// See [`crate::Log::offset_for_timestamp`].
    pub(super) fn offset_for_timestamp(&self, timestamp: i64) -> Result<Option<(i64, i64)>, LogError> {
        let segments: Vec<_> = self.segments.read().values().cloned().collect();
        for segment in segments {
            if segment.newest().is_some_and(|newest| newest.timestamp >= timestamp) {
                let from = self.offset_before_time(&segment, timestamp)?.max(self.start_offset());
                // The segment's newest record may lie before the log's start: then the search goes on behind it.
                return self.first_from(from, timestamp);
            }
        }
        Ok(None)
    }

    /// In a segment that may be exchanged by a compaction meanwhile: it then starts at its base.
    fn offset_before_time(&self, segment: &Arc<Segment>, timestamp: i64) -> Result<i64, LogError> {
        let _files = self.cleaner.files.read();
        let is_current = self
            .segments
            .read()
            .get(&segment.base_offset)
            .is_some_and(|current| Arc::ptr_eq(current, segment));
        if is_current { segment.offset_before_time(timestamp) } else { Ok(segment.base_offset) }
    }

    /// See [`crate::Log::max_timestamp_offset`].
    pub(super) fn max_timestamp_offset(&self) -> Result<Option<(i64, i64)>, LogError> {
        let segments: Vec<_> = self.segments.read().values().cloned().collect();
        let start = self.start_offset();
        let mut newest: Option<(i64, i64)> = None;
        for segment in segments {
            if let Some(candidate) = segment.newest()
                && newest.is_none_or(|(_, timestamp)| candidate.timestamp > timestamp)
            {
                newest = Some((segment.base_offset + i64::from(candidate.offset), candidate.timestamp));
            }
        }
        let Some((offset, timestamp)) = newest else { return Ok(None) };
        match self.first_from(offset.max(start), timestamp)? {
            Some(found) => Ok(Some(found)),
            // It was deleted from the front, or is not durable yet: look at what there is.
            None => self.newest_by_scan(start),
        }
    }

    fn first_from(&self, from: i64, timestamp: i64) -> Result<Option<(i64, i64)>, LogError> {
        let (mut offset, start) = (from, self.start_offset());
        loop {
            let read = self.read(offset, READ_BYTES, Isolation::HighWatermark, true)?;
            if read.bytes.is_empty() {
                return Ok(None);
            }
            for (range, header) in Batches::new(&read.bytes).flatten() {
                if header.max_timestamp < timestamp {
                    continue;
                }
                let matching = records(&read.bytes.slice(range), header.base_offset, header.max_timestamp)
                    .into_iter()
                    .find(|(offset, at)| *at >= timestamp && *offset >= start);
                if matching.is_some() {
                    return Ok(matching);
                }
            }
            offset = read.next_offset;
        }
    }

    fn newest_by_scan(&self, from: i64) -> Result<Option<(i64, i64)>, LogError> {
        let (mut offset, mut newest) = (from, None::<(i64, i64)>);
        loop {
            let read = self.read(offset, READ_BYTES, Isolation::HighWatermark, true)?;
            if read.bytes.is_empty() {
                return Ok(newest);
            }
            for (range, header) in Batches::new(&read.bytes).flatten() {
                if newest.is_some_and(|(_, at)| at >= header.max_timestamp) {
                    continue;
                }
                for (offset, at) in
                    records(&read.bytes.slice(range), header.base_offset, header.max_timestamp)
                {
                    if offset >= from && newest.is_none_or(|(_, newest)| at > newest) {
                        newest = Some((offset, at));
                    }
                }
            }
            offset = read.next_offset;
        }
    }
}

/// Offset and timestamp of the records of one batch; of a batch that cannot be read, its first offset and newest timestamp.
fn records(batch: &Bytes, base_offset: i64, max_timestamp: i64) -> Vec<(i64, i64)> {
    let records = plain_batch(batch, PLAIN_BYTES).ok().and_then(|plain| {
        let records = RecordsIter::new(&plain).ok()?.map(|record| record.map(|r| (r.offset, r.timestamp)));
        records.collect::<Result<Vec<_>, _>>().ok()
    });
    records.unwrap_or_else(|| vec![(base_offset, max_timestamp)])
}
