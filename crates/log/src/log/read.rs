//! The read path: find, one pread, cut at batch boundaries.

use bytes::Bytes;

use super::compact::Checkpoint;
use super::opened::{OpenLog, Shared};
use crate::batch::{self, BatchHeader, Batches, HEADER_BYTES};
use crate::segment::Segment;
use crate::{AbortedTxn, Isolation, LogError, ReadResult};

/// Whole batches of one segment.
struct Slice {
    bytes: Bytes,
    first: i64,
    next: i64,
}

impl Shared {
    /// The marks of a read of `offset` that gives nothing yet, and the offset at which it must end.
    pub(super) fn read_marks(
        &self,
        offset: i64,
        isolation: Isolation,
    ) -> Result<(ReadResult, i64), LogError> {
        // The stable offset first: it never lies behind a high watermark loaded later.
        let last_stable_offset = self.last_stable_offset();
        let high_watermark = self.high_watermark();
        let (start_offset, end) = (self.start_offset(), self.end_offset());
        if offset < start_offset || offset > end {
            return Err(LogError::OffsetOutOfRange { offset, start: start_offset, end });
        }
        let bound = match isolation {
            Isolation::LogEnd => end,
            Isolation::HighWatermark => high_watermark,
            Isolation::LastStable => last_stable_offset,
        };
        let marks = ReadResult {
            bytes: Bytes::new(),
            next_offset: offset,
            aborted: Vec::new(),
            start_offset,
            high_watermark,
            last_stable_offset,
        };
        Ok((marks, bound))
    }
}

impl OpenLog {
    /// See [`crate::Log::read`].
    pub(super) fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        isolation: Isolation,
        min_one: bool,
    ) -> Result<ReadResult, LogError> {
        let (mut result, bound) = self.read_marks(offset, isolation)?;
        let Some(slice) = self.slice(offset, max_bytes, bound, min_one)? else { return Ok(result) };
        if isolation == Isolation::LastStable && !slice.bytes.is_empty() {
            result.aborted = self.aborted(slice.first, slice.next)?;
        }
        (result.bytes, result.next_offset) = (slice.bytes, slice.next);
        Ok(result)
    }

    fn slice(
        &self,
        offset: i64,
        max_bytes: usize,
        bound: i64,
        min_one: bool,
    ) -> Result<Option<Slice>, LogError> {
        let _files = self.cleaner.files.read();
        let mut offset = offset;
        while offset < bound {
            let Some((segment, next_base)) = self.segment_of(offset) else {
                // Deleted between the check of the range and now.
                return Err(LogError::OffsetOutOfRange {
                    offset,
                    start: self.start_offset(),
                    end: self.end_offset(),
                });
            };
            match self.slice_of(&segment, next_base, offset, max_bytes, bound, min_one)? {
                Cut::Behind(next) => offset = next,
                Cut::Found(slice) => return Ok(Some(slice)),
                Cut::Nothing | Cut::NeedBytes(_) => break,
            }
        }
        Ok(None)
    }

    fn slice_of(
        &self,
        segment: &Segment,
        next_base: Option<i64>,
        offset: i64,
        max_bytes: usize,
        bound: i64,
        min_one: bool,
    ) -> Result<Cut<Slice>, LogError> {
        let gaps_below = self.cleaner.checkpoint().gaps_below;
        let (position, indexed) = segment.position_before(offset)?;
        let size = segment.size();
        // Enough to get from the index entry to the offset and then to read what was asked for.
        let lead = if indexed == offset { 0 } else { self.config().index_interval_bytes as usize };
        let mut want = max_bytes.saturating_add(lead).max(HEADER_BYTES);
        loop {
            let len = want.min((size - position) as usize);
            let mut buffer = Vec::with_capacity(len);
            segment
                .file()?
                .read_at(position, len, &mut buffer)
                .map_err(|e| LogError::io("read", &segment.path(), e))?;
            let at_end = len as u64 == size - position;
            let walk = Walk { segment, position, indexed, at_end, next_base, gaps_below };
            match walk.cut(&buffer, offset, max_bytes, bound, min_one)? {
                Cut::Found(Found { range, first, next }) => {
                    let at = range.start;
                    let slice = Slice { bytes: Bytes::from(buffer).slice(range), first, next };
                    return walk.checked(slice, at).map(Cut::Found);
                }
                Cut::Nothing => return Ok(Cut::Nothing),
                Cut::Behind(next) => return Ok(Cut::Behind(next)),
                Cut::NeedBytes(more) => want = more.max(want.saturating_add(1)),
            }
        }
    }

    /// Aborted transactions that overlap the offsets `[from, to)`, all decided.
    pub(super) fn aborted(&self, from: i64, to: i64) -> Result<Vec<AbortedTxn>, LogError> {
        let _files = self.cleaner.files.read();
        let segments: Vec<_> = {
            let segments = self.segments.read();
            let first = segments.range(..=from).next_back().map_or(from, |(base, _)| *base);
            segments.range(first..).map(|(_, segment)| segment.clone()).collect()
        };
        let mut found = Vec::new();
        for segment in segments {
            for entry in segment.aborted()? {
                if entry.txn.last_offset >= from && entry.txn.first_offset < to {
                    found.push(entry.txn);
                }
                if entry.last_stable >= to {
                    return Ok(found); // transactions that abort later begin behind the range
                }
            }
        }
        Ok(found)
    }
}

/// Batches found: where in the bytes, offset of the first, offset after the last.
struct Found {
    range: std::ops::Range<usize>,
    first: i64,
    next: i64,
}

enum Cut<T> {
    Found(T),
    Nothing,
    /// All that this segment had from the offset on was compacted away; the next one starts there.
    Behind(i64),
    /// Bytes from the position needed to answer.
    NeedBytes(usize),
}

/// Walks headers in bytes read from `position` of a segment, where the batch of offset `indexed` starts.
struct Walk<'a> {
    segment: &'a Segment,
    position: u64,
    indexed: i64,
    /// The bytes reach to the segment's end.
    at_end: bool,
    next_base: Option<i64>,
    /// Below this offset batches may be missing.
    gaps_below: i64,
}

impl Walk<'_> {
    fn cut(
        &self,
        bytes: &[u8],
        offset: i64,
        max_bytes: usize,
        bound: i64,
        min_one: bool,
    ) -> Result<Cut<Found>, LogError> {
        let (mut at, mut expected) = (0, self.indexed);
        let mut found: Option<(usize, i64)> = None;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.is_empty() && self.at_end {
                let (None, Some(next)) = (found, self.next_base) else { break };
                if !Checkpoint::may_follow(self.gaps_below, expected, next) {
                    let reason = format!("the next segment starts at offset {next}");
                    return Err(self.corrupt(at, expected, reason));
                }
                return Ok(Cut::Behind(next));
            }
            if rest.len() < HEADER_BYTES {
                match found {
                    Some(_) => break,
                    None => return Ok(Cut::NeedBytes(at + HEADER_BYTES)),
                }
            }
            let header = BatchHeader::parse(rest).map_err(|e| self.corrupt(at, expected, e.to_string()))?;
            if !Checkpoint::may_follow(self.gaps_below, expected, header.base_offset) {
                let reason = format!("the batch there says offset {}", header.base_offset);
                return Err(self.corrupt(at, expected, reason));
            }
            if header.base_offset >= bound {
                break;
            }
            let end = at + header.size();
            if header.last_offset() >= offset {
                let start = found.map_or(at, |(start, _)| start);
                let is_first = found.is_none();
                if end - start > max_bytes && !(is_first && min_one) {
                    break;
                }
                if end > bytes.len() {
                    if self.at_end {
                        let reason = format!("a batch of {} bytes reaches beyond the segment", header.size());
                        return Err(self.corrupt(at, expected, reason));
                    }
                    if is_first {
                        return Ok(Cut::NeedBytes(end));
                    }
                    break;
                }
                if is_first {
                    found = Some((at, header.base_offset));
                }
            }
            expected = header.next_offset();
            at = end;
            if at > bytes.len() {
                return Ok(Cut::NeedBytes(at + HEADER_BYTES));
            }
        }
        Ok(match found {
            Some((start, first)) => Cut::Found(Found { range: start..at, first, next: expected }),
            None => Cut::Nothing,
        })
    }

    /// Checks the CRCs of what this process has neither written nor checked: a bit may have flipped since. Gives the batches
    /// before a damaged one; `at` is where the slice starts in the bytes read.
    fn checked(&self, mut slice: Slice, at: usize) -> Result<Slice, LogError> {
        let from = self.position + at as u64;
        if !self.segment.is_checked(from, from + slice.bytes.len() as u64)
            && let Some((len, next)) = check_batches(self.segment, from, slice.first, &slice.bytes)?
        {
            slice.bytes.truncate(len);
            slice.next = next;
        }
        Ok(slice)
    }

    fn corrupt(&self, at: usize, offset: i64, reason: String) -> LogError {
        LogError::Corrupt { file: self.segment.path(), position: self.position + at as u64, offset, reason }
    }
}

/// Checks the CRCs of batches read from `position`, the first of which is that of `offset`. `Some`: bytes and end offset
/// of those before a damaged one.
///
/// # Errors
/// [`LogError::Corrupt`] if the first one is damaged.
pub(super) fn check_batches(
    segment: &Segment,
    position: u64,
    offset: i64,
    bytes: &[u8],
) -> Result<Option<(usize, i64)>, LogError> {
    let (mut end, mut next) = (0, offset);
    for batch in Batches::new(bytes) {
        let checked = batch.and_then(|(range, header)| {
            batch::verify_crc(bytes.get(range.clone()).unwrap_or_default())?;
            Ok((range.end, header.next_offset()))
        });
        match checked {
            Ok(good) => (end, next) = good,
            Err(error) if end == 0 => {
                let (file, reason) = (segment.path(), error.to_string());
                return Err(LogError::Corrupt { file, position, offset, reason });
            }
            Err(_) => {
                segment.note_checked(position, position + end as u64);
                return Ok(Some((end, next)));
            }
        }
    }
    segment.note_checked(position, position + end as u64);
    Ok(None)
}
