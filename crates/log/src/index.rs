//! The sparse indexes of one segment, in memory while the segment is written and as files once it is sealed.
//!
//! Each file starts with 32 bytes: magic `bdix`, entry size u32, entry count u32, CRC-32C of the entries u32, bytes of the
//! log it covers u64, number of aborted transactions u32, 4 bytes 0; then the entries, all numbers big endian, offsets
//! relative to the segment's base:
//! - `.index`: offset u32, position u32, one entry per `index_interval_bytes`;
//! - `.timeindex`: greatest timestamp so far i64, offset u32 of the batch that has it;
//! - `.txnindex`, absent if empty: producer id i64, first offset i64, last offset i64, last stable offset i64 (absolute).

use std::io;

use crate::batch::BatchHeader;
use crate::{AbortedTxn, FsFile};

pub(crate) const FILE_HEADER_BYTES: usize = 32;
const MAGIC: &[u8; 4] = b"bdix";

/// An entry of fixed size in an index file.
pub(crate) trait Entry: Sized + Copy {
    const BYTES: usize;
    fn put(&self, out: &mut Vec<u8>);
    /// `bytes` has [`Entry::BYTES`] bytes.
    fn get(bytes: &[u8]) -> Self;
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|b| b.try_into().ok()).unwrap_or([0; N])
}

/// Where a batch starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) offset: u32,
    pub(crate) position: u32,
}

impl Entry for Position {
    const BYTES: usize = 8;
    fn put(&self, out: &mut Vec<u8>) {
        out.extend(self.offset.to_be_bytes());
        out.extend(self.position.to_be_bytes());
    }
    fn get(bytes: &[u8]) -> Self {
        Position {
            offset: u32::from_be_bytes(number(bytes, 0)),
            position: u32::from_be_bytes(number(bytes, 4)),
        }
    }
}

/// The greatest timestamp up to some batch, and the batch that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) timestamp: i64,
    pub(crate) offset: u32,
}

impl Entry for Time {
    const BYTES: usize = 12;
    fn put(&self, out: &mut Vec<u8>) {
        out.extend(self.timestamp.to_be_bytes());
        out.extend(self.offset.to_be_bytes());
    }
    fn get(bytes: &[u8]) -> Self {
        Time { timestamp: i64::from_be_bytes(number(bytes, 0)), offset: u32::from_be_bytes(number(bytes, 8)) }
    }
}

/// An aborted transaction, kept in the segment that holds its marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) txn: AbortedTxn,
    /// The last stable offset right after the marker: transactions that abort later start at or after it.
    pub(crate) last_stable: i64,
}

impl Entry for Aborted {
    const BYTES: usize = 32;
    fn put(&self, out: &mut Vec<u8>) {
        for value in [self.txn.producer_id, self.txn.first_offset, self.txn.last_offset, self.last_stable] {
            out.extend(value.to_be_bytes());
        }
    }
    fn get(bytes: &[u8]) -> Self {
        let value = |i: usize| i64::from_be_bytes(number(bytes, i * 8));
        let txn = AbortedTxn { producer_id: value(0), first_offset: value(1), last_offset: value(2) };
        Aborted { txn, last_stable: value(3) }
    }
}

/// What the indexes of a segment cover: files that tell different things do not belong together, or are of an earlier time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cover {
    /// Bytes of log.
    pub(crate) log_bytes: u64,
    /// Entries of the `.txnindex`.
    pub(crate) aborted: u32,
}

/// The content of an index file.
pub(crate) fn encode<E: Entry>(entries: &[E], cover: Cover) -> Vec<u8> {
    let mut out = vec![0; FILE_HEADER_BYTES];
    entries.iter().for_each(|entry| entry.put(&mut out));
    let crc = crc32c::crc32c(out.get(FILE_HEADER_BYTES..).unwrap_or_default());
    let numbers = [E::BYTES as u32, entries.len() as u32, crc].map(u32::to_be_bytes).concat();
    let header = [MAGIC, &*numbers, &cover.log_bytes.to_be_bytes(), &cover.aborted.to_be_bytes()].concat();
    for (target, byte) in out.iter_mut().zip(header) {
        *target = byte;
    }
    out
}

/// All entries of an index file's content, `None` if it is cut or damaged.
pub(crate) fn decode<E: Entry>(content: &[u8]) -> Option<(Vec<E>, Cover)> {
    let (count, cover) = read_header::<E>(content.get(..FILE_HEADER_BYTES)?, content.len() as u64)?;
    let body = content.get(FILE_HEADER_BYTES..)?;
    (u32::from_be_bytes(number(content, 12)) == crc32c::crc32c(body)).then_some(())?;
    let entries: Vec<E> = body.chunks_exact(E::BYTES).map(E::get).collect();
    (entries.len() == count).then_some((entries, cover))
}

/// How many entries a file holds and what it covers, `None` if its header and length do not agree. The entries are not read.
fn read_header<E: Entry>(header: &[u8], file_len: u64) -> Option<(usize, Cover)> {
    let count = u32::from_be_bytes(number(header, 8)) as usize;
    let whole = header.starts_with(MAGIC)
        && u32::from_be_bytes(number(header, 4)) as usize == E::BYTES
        && file_len == (FILE_HEADER_BYTES + count * E::BYTES) as u64;
    let cover = Cover {
        log_bytes: u64::from_be_bytes(number(header, 16)),
        aborted: u32::from_be_bytes(number(header, 24)),
    };
    whole.then_some((count, cover))
}

/// Reads single entries of an index file.
pub(crate) struct IndexFile<'a> {
    pub(crate) file: &'a dyn FsFile,
    pub(crate) count: usize,
    pub(crate) cover: Cover,
}

impl<'a> IndexFile<'a> {
    /// `None` if the file's header and length do not agree.
    pub(crate) fn open<E: Entry>(file: &'a dyn FsFile) -> io::Result<Option<Self>> {
        let mut header = Vec::new();
        file.read_at(0, FILE_HEADER_BYTES, &mut header)?;
        Ok(read_header::<E>(&header, file.len()?).map(|(count, cover)| IndexFile { file, count, cover }))
    }

    pub(crate) fn entry<E: Entry>(&self, i: usize) -> io::Result<E> {
        let mut bytes = Vec::with_capacity(E::BYTES);
        self.file.read_at((FILE_HEADER_BYTES + i * E::BYTES) as u64, E::BYTES, &mut bytes)?;
        if bytes.len() < E::BYTES {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(E::get(&bytes))
    }
}

/// The last of `count` ordered entries for which `holds` (true, then false, in that order).
pub(crate) fn last_where<E: Entry>(
    count: usize,
    entry: impl Fn(usize) -> io::Result<E>,
    holds: impl Fn(&E) -> bool,
) -> io::Result<Option<E>> {
    let (mut low, mut high, mut found) = (0, count, None);
    while low < high {
        let middle = low + (high - low) / 2;
        let candidate = entry(middle)?;
        if holds(&candidate) {
            found = Some(candidate);
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(found)
}

/// The indexes of the segment being written.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryIndex {
    pub(crate) positions: Vec<Position>,
    pub(crate) times: Vec<Time>,
    pub(crate) aborted: Vec<Aborted>,
    /// Greatest timestamp and its batch, also when not yet in `times`.
    pub(crate) newest: Option<Time>,
    since_entry: u64,
}

impl MemoryIndex {
    /// From the three files of a segment of `size` bytes.
    pub(crate) fn load(positions: Vec<Position>, times: Vec<Time>, aborted: Vec<Aborted>, size: u64) -> Self {
        let since_entry = positions.last().map_or(0, |last| size.saturating_sub(u64::from(last.position)));
        MemoryIndex { newest: times.last().copied(), positions, times, aborted, since_entry }
    }

    /// Takes note of a batch that starts at `position`.
    pub(crate) fn on_batch(&mut self, base: i64, header: &BatchHeader, position: u64, interval: u32) {
        let offset = (header.base_offset - base) as u32;
        if self.newest.is_none_or(|newest| header.max_timestamp > newest.timestamp) {
            self.newest = Some(Time { timestamp: header.max_timestamp, offset });
        }
        if self.positions.is_empty() || self.since_entry >= u64::from(interval) {
            self.positions.push(Position { offset, position: position as u32 });
            self.note_newest();
            self.since_entry = 0;
        }
        self.since_entry += header.size() as u64;
    }

    /// Brings `times` up to date; the last entry of a file is the segment's greatest timestamp.
    pub(crate) fn note_newest(&mut self) {
        if let Some(newest) = self.newest
            && self.times.last().is_none_or(|last| newest.timestamp > last.timestamp)
        {
            self.times.push(newest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_or_cut_index_file_is_noticed() {
        let entries = [Position { offset: 0, position: 0 }, Position { offset: 9, position: 4100 }];
        let cover = Cover { log_bytes: 5000, aborted: 0 };
        let content = encode(&entries, cover);
        assert_eq!(decode::<Position>(&content), Some((entries.to_vec(), cover)));
        assert_eq!(decode::<Time>(&content), None);
        for i in 0..content.len() {
            assert_eq!(decode::<Position>(&content[..i]), None);
            if (28..32).contains(&i) {
                continue; // unused
            }
            let mut damaged = content.clone();
            damaged[i] ^= 4;
            assert_ne!(decode::<Position>(&damaged), Some((entries.to_vec(), cover)), "byte {i}");
        }
    }

    #[test]
    fn search_finds_the_last_entry_that_holds() {
        let entries: Vec<Position> = (0..10).map(|i| Position { offset: i * 2, position: i }).collect();
        for wanted in 0..20u32 {
            let found = last_where(entries.len(), |i| Ok(entries[i]), |e| e.offset <= wanted).unwrap();
            assert_eq!(found.map(|e| e.position), Some(wanted / 2));
        }
        assert_eq!(last_where(0, |i| Ok(entries[i]), |_| true).unwrap(), None);
    }
}
