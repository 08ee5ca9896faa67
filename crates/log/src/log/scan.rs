//! Walks and checks the batches of one segment file at recovery, and judges damage.
//!
//! A write that power loss undid reads as zeros up to the end of its sector, or is missing at the end of the file: file
//! systems never show other old content there. Anything else is a flipped bit or a foreign write.

use std::io;

use super::compact::Checkpoint;
use crate::FsFile;
use crate::batch::{self, BatchHeader, ControlMarker, HEADER_BYTES};

const CHUNK_BYTES: usize = 1 << 20;
/// The unit in which disks write.
pub(super) const SECTOR_BYTES: u64 = 512;
/// Where in a batch its format stands.
const MAGIC_AT: usize = 16;

/// What lies at a position.
#[derive(Debug)]
pub(super) enum Found {
    /// A whole valid batch; with its marker if it is a control batch.
    Batch(BatchHeader, Option<ControlMarker>),
    /// The end of the file.
    End,
    /// Neither.
    Damaged(Damage),
}

/// Why there is no valid batch.
#[derive(Debug)]
pub(super) struct Damage {
    pub(super) reason: String,
    /// A sector reads as zeros: a write that never reached the disk.
    pub(super) zeros: bool,
    /// The batch goes on beyond the end of the file.
    pub(super) cut: bool,
}

/// Reads a file from front to back in large pieces.
pub(super) struct Scanner<'a> {
    file: &'a dyn FsFile,
    pub(super) len: u64,
    buffer: Vec<u8>,
    start: u64,
    /// Below this offset batches may be missing.
    gaps_below: i64,
}

impl<'a> Scanner<'a> {
    /// Batches may be missing below the offset `gaps_below`: they were compacted away.
    pub(super) fn new(file: &'a dyn FsFile, gaps_below: i64) -> io::Result<Self> {
        Ok(Scanner { file, len: file.len()?, buffer: Vec::new(), start: 0, gaps_below })
    }

    /// `len` bytes from `position`, fewer only at the end of the file.
    pub(super) fn bytes(&mut self, position: u64, len: usize) -> io::Result<&[u8]> {
        let len = len.min(usize::try_from(self.len.saturating_sub(position)).unwrap_or(usize::MAX));
        let held = position >= self.start && position + len as u64 <= self.start + self.buffer.len() as u64;
        if !held {
            self.buffer.clear();
            self.file.read_at(position, len.max(CHUNK_BYTES), &mut self.buffer)?;
            self.start = position;
        }
        let at = (position - self.start) as usize;
        Ok(self.buffer.get(at..(at + len).min(self.buffer.len())).unwrap_or_default())
    }

    /// Checks what lies at `position`, where the batch of `offset` should.
    pub(super) fn next(&mut self, position: u64, offset: i64) -> io::Result<Found> {
        if position >= self.len {
            return Ok(Found::End);
        }
        let rest = self.len - position;
        let header = match BatchHeader::parse(self.bytes(position, HEADER_BYTES)?) {
            Ok(header) if Checkpoint::may_follow(self.gaps_below, offset, header.base_offset) => header,
            Ok(header) => {
                let reason = format!("the batch there says offset {}", header.base_offset);
                return self.damaged(position, header.size(), reason, false);
            }
            Err(_) if self.only_zeros_from(position)? => return Ok(Found::End),
            Err(error) => {
                let cut = rest < HEADER_BYTES as u64;
                return self.damaged(position, HEADER_BYTES, error.to_string(), cut);
            }
        };
        if header.size() as u64 > rest {
            let reason = format!("a batch of {} bytes starts there, the file has {rest} more", header.size());
            return self.damaged(position, header.size(), reason, true);
        }
        let bytes = self.bytes(position, header.size())?;
        let checked = batch::verify_crc(bytes)
            .and_then(|()| if header.is_control() { ControlMarker::parse(bytes) } else { Ok(None) });
        match checked {
            Ok(marker) => Ok(Found::Batch(header, marker)),
            Err(error) => self.damaged(position, header.size(), error.to_string(), false),
        }
    }

    /// Whether nothing but zeros follows: they were written ahead of appends that never came.
    fn only_zeros_from(&mut self, mut position: u64) -> io::Result<bool> {
        while position < self.len {
            let zeros = self.bytes(position, CHUNK_BYTES)?;
            if zeros.is_empty() || zeros.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            position += zeros.len() as u64;
        }
        Ok(true)
    }

    fn damaged(&mut self, position: u64, extent: usize, reason: String, cut: bool) -> io::Result<Found> {
        let zeros = self.has_zero_sector(position, extent)?;
        Ok(Found::Damaged(Damage { reason, zeros, cut }))
    }

    /// Whether a sector that `extent` bytes from `position` touch is zero from there to its end.
    fn has_zero_sector(&mut self, position: u64, extent: usize) -> io::Result<bool> {
        let end = position.saturating_add(extent as u64).min(self.len);
        let mut at = position;
        while at < end {
            let next = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
            if self.bytes(at, (next - at) as usize)?.iter().all(|byte| *byte == 0) {
                return Ok(true);
            }
            at = next;
        }
        Ok(false)
    }

    /// Position of a valid batch behind a damaged one at `position`, whose offset would be `offset`.
    pub(super) fn valid_batch_after(&mut self, position: u64, offset: i64) -> io::Result<Option<u64>> {
        let most = offset.saturating_add(i64::from(i32::MAX));
        let last = self.len.saturating_sub(HEADER_BYTES as u64);
        let mut at = position + 1;
        while at < last {
            // Few bytes are a 2, as the magic byte of a batch is; none of the zeros written ahead are.
            let window = self.bytes(at, CHUNK_BYTES)?;
            match window.get(MAGIC_AT..).and_then(|bytes| bytes.iter().position(|byte| *byte == 2)) {
                Some(skip) => at += skip as u64,
                None => {
                    at += window.len().saturating_sub(MAGIC_AT).max(1) as u64;
                    continue;
                }
            }
            if let Ok(header) = BatchHeader::parse(self.bytes(at, HEADER_BYTES)?) {
                let plausible = header.base_offset > offset
                    && header.base_offset <= most
                    && header.size() as u64 <= self.len - at;
                if plausible && batch::verify_crc(self.bytes(at, header.size())?).is_ok() {
                    return Ok(Some(at));
                }
            }
            at += 1;
        }
        Ok(None)
    }
}
