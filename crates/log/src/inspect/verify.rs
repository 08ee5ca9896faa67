//! Checks a partition's files against each other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{AbortedEntry, BatchInfo, Index, Item, PartitionFiles, PositionEntry, SegmentFiles, TimeEntry};
use crate::batch::{BatchHeader, RecordsIter};
use crate::compression::plain_batch;
use crate::log::Checkpoint;
use crate::producer::Producers;
use crate::segment::{INDEX, TIME_INDEX, TXN_INDEX};
use crate::{Fs, LogError, files};

/// Most problems that a report holds; the rest are counted.
const PROBLEMS_TOLD: usize = 1000;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Left over or unfinished, as a kill leaves it: the next start sees to it.
    Unfinished,
    /// An index or a snapshot is wrong. It can be rebuilt: delete it together with the segment's other indexes, and start.
    Derived,
    /// Records are damaged or missing.
    Damaged,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad.
    pub severity: Severity,
    /// The file.
    pub file: PathBuf,
    /// Byte position in a log file.
    pub position: Option<u64>,
    /// The offset that it is about.
    pub offset: Option<i64>,
    /// What is wrong.
    pub what: String,
}

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Segments.
    pub segments: usize,
    /// Batches.
    pub batches: u64,
    /// Records, markers included.
    pub records: u64,
    /// Bytes of log.
    pub bytes: u64,
    /// First offset.
    pub start_offset: i64,
    /// Offset after the last batch.
    pub end_offset: i64,
    /// What is wrong, in the order of the files; at most 1000.
    pub problems: Vec<Problem>,
    /// Problems over that number.
    pub more_problems: u64,
}

impl Report {
    /// Whether nothing is damaged or wrong; what a start finishes by itself does not count.
    pub fn is_sound(&self) -> bool {
        self.more_problems == 0 && self.problems.iter().all(|p| p.severity == Severity::Unfinished)
    }

    fn add(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_TOLD {
            self.problems.push(problem);
        } else {
            self.more_problems += 1;
        }
    }
}

/// Reads everything in a partition's folder and checks it: CRCs, offsets, that records can be read, that the entries of the
/// indexes are right, that the snapshots say what the log says. Changes nothing.
///
/// # Errors
/// [`LogError::Io`] if a file cannot be read; what is wrong in the files is in the report.
pub fn verify(fs: Arc<dyn Fs>, dir: &Path) -> Result<Report, LogError> {
    let partition = PartitionFiles::open(fs, dir)?;
    let gaps_below = partition.compacted.map_or(0, |c| c.gaps_below);
    let first = partition.segments.first().map_or(0, |s| s.base_offset);
    let mut check = Check {
        report: Report {
            start_offset: partition.start_offset.unwrap_or(first).max(first),
            ..Report::default()
        },
        producers: Producers::default(),
        partition: &partition,
        gaps_below,
        expected: first,
    };
    for path in &partition.others {
        check.add(Severity::Unfinished, path, None, None, "is no part of the log".to_owned());
    }
    for (i, segment) in partition.segments.iter().enumerate() {
        if !Checkpoint::may_follow(gaps_below, check.expected, segment.base_offset) {
            let what = format!("offset {} is due where the segment starts", check.expected);
            check.add(Severity::Damaged, &segment.path, Some(0), Some(segment.base_offset), what);
        }
        check.expected = segment.base_offset;
        if i > 0 {
            check.snapshot(segment.base_offset)?;
        }
        let is_last = i + 1 == partition.segments.len();
        check.segment(segment, is_last)?;
    }
    check.marks(dir)?;
    Ok(check.report)
}

struct Check<'a> {
    report: Report,
    partition: &'a PartitionFiles,
    producers: Producers,
    gaps_below: i64,
    /// The offset that is due.
    expected: i64,
}

/// The entries of a segment's indexes that no batch has answered to yet.
struct Expected {
    positions: std::iter::Peekable<std::vec::IntoIter<PositionEntry>>,
    times: std::iter::Peekable<std::vec::IntoIter<TimeEntry>>,
    aborted: Vec<AbortedEntry>,
}

impl Check<'_> {
    fn add(
        &mut self,
        severity: Severity,
        file: &Path,
        position: Option<u64>,
        offset: Option<i64>,
        what: String,
    ) {
        self.report.add(Problem { severity, file: file.to_path_buf(), position, offset, what });
    }

    fn segment(&mut self, segment: &SegmentFiles, is_last: bool) -> Result<(), LogError> {
        let base = segment.base_offset;
        let (positions, times) = (self.partition.index(base)?, self.partition.time_index(base)?);
        let aborted = self.partition.txn_index(base)?;
        let has_aborted = positions.as_ref().is_some_and(|index| index.aborted_transactions > 0);
        let positions = self.entries(segment, INDEX, positions, is_last);
        let times = self.entries(segment, TIME_INDEX, times, is_last);
        let aborted = match aborted {
            // One may be left from before a crash took the segment's end: nothing reads it.
            _ if !has_aborted => Vec::new(),
            some => self.entries(segment, TXN_INDEX, some, is_last),
        };
        let newest = times.last().copied();
        let mut expected = Expected {
            positions: positions.into_iter().peekable(),
            times: times.into_iter().peekable(),
            aborted,
        };
        let mut greatest = i64::MIN;
        for item in self.partition.batches(base)? {
            match item? {
                Item::Batch(batch) => {
                    self.batch(segment, &batch);
                    self.index_entries(segment, &batch, &mut expected);
                    greatest = greatest.max(batch.header.max_timestamp);
                }
                Item::Damaged { position, reason } => {
                    let severity = if is_last { Severity::Unfinished } else { Severity::Damaged };
                    let offset = self.expected;
                    self.add(severity, &segment.path, Some(position), Some(offset), reason);
                }
            }
        }
        if let Some(entry) = expected.positions.next() {
            let what = format!("an entry says byte {}, where no batch starts", entry.position);
            self.add(Severity::Derived, &self.file(base, INDEX), None, Some(entry.offset), what);
        }
        if let Some(entry) = expected.times.next() {
            let what = format!("an entry says time {}, which that batch does not have", entry.timestamp);
            self.add(Severity::Derived, &self.file(base, TIME_INDEX), None, Some(entry.offset), what);
        }
        if let Some(entry) = expected.aborted.first() {
            let what = format!("no abort marker of producer {} is there", entry.txn.producer_id);
            let file = self.file(base, TXN_INDEX);
            self.add(Severity::Derived, &file, None, Some(entry.txn.last_offset), what);
        }
        if let Some(newest) = newest.filter(|newest| newest.timestamp < greatest) {
            let what = format!("ends at time {}, the segment at {greatest}", newest.timestamp);
            self.add(Severity::Derived, &self.file(base, TIME_INDEX), None, None, what);
        }
        self.report.segments += 1;
        self.report.bytes += segment.bytes;
        self.report.end_offset = self.expected;
        Ok(())
    }

    fn file(&self, base: i64, extension: &str) -> PathBuf {
        files::path_of(&self.partition.dir, base, extension)
    }

    /// The entries of an index that covers the segment; none of one that does not.
    fn entries<T>(
        &mut self,
        segment: &SegmentFiles,
        extension: &str,
        index: Option<Index<T>>,
        is_last: bool,
    ) -> Vec<T> {
        // The last segment's indexes are written when it is sealed or the log is closed.
        let severity = if is_last { Severity::Unfinished } else { Severity::Derived };
        let path = self.file(segment.base_offset, extension);
        match index {
            Some(index) if index.log_bytes == segment.bytes => return index.entries,
            Some(index) => {
                let what = format!("covers {} bytes of a log of {}", index.log_bytes, segment.bytes);
                self.add(severity, &path, None, None, what);
            }
            None if is_last => {}
            None => self.add(severity, &path, None, None, "is missing, cut or damaged".to_owned()),
        }
        Vec::new()
    }

    fn batch(&mut self, segment: &SegmentFiles, batch: &BatchInfo) {
        let BatchInfo { position, header, crc_ok, .. } = batch;
        let (position, offset) = (Some(*position), Some(header.base_offset));
        self.report.batches += 1;
        self.report.records += header.record_count.max(0) as u64;
        if !Checkpoint::may_follow(self.gaps_below, self.expected, header.base_offset) {
            let what = format!("offset {} is due there", self.expected);
            self.add(Severity::Damaged, &segment.path, position, offset, what);
        }
        self.expected = header.next_offset();
        if !crc_ok {
            self.add(Severity::Damaged, &segment.path, position, offset, "the CRC does not match".to_owned());
            return;
        }
        if let Err(what) = check_records(batch) {
            self.add(Severity::Damaged, &segment.path, position, offset, what);
        }
        match batch.marker() {
            Some(marker) => {
                self.producers.note_marker(header, &marker, 0);
            }
            None if header.is_control() => {}
            None => self.producers.note(header, 0),
        }
    }

    fn index_entries(&mut self, segment: &SegmentFiles, batch: &BatchInfo, expected: &mut Expected) {
        let header: &BatchHeader = &batch.header;
        let here = |entry: &PositionEntry| entry.position <= batch.position;
        if let Some(entry) = expected.positions.next_if(here)
            && (entry.position, entry.offset) != (batch.position, header.base_offset)
        {
            let what = format!("an entry says byte {}, where that offset does not start", entry.position);
            let file = self.file(segment.base_offset, INDEX);
            self.add(Severity::Derived, &file, Some(entry.position), Some(entry.offset), what);
        }
        if let Some(entry) = expected.times.next_if(|entry| entry.offset <= header.base_offset)
            && (entry.offset, entry.timestamp) != (header.base_offset, header.max_timestamp)
        {
            let what = format!("an entry says time {}, which that batch does not have", entry.timestamp);
            let file = self.file(segment.base_offset, TIME_INDEX);
            self.add(Severity::Derived, &file, None, Some(entry.offset), what);
        }
        if batch.marker().is_some_and(|marker| !marker.commit) {
            let of = (header.producer_id, header.base_offset);
            expected.aborted.retain(|entry| (entry.txn.producer_id, entry.txn.last_offset) != of);
        }
    }

    /// Whether the snapshot at the start of a segment says what the batches before it say. Of what was deleted or compacted
    /// the log knows less than the snapshot.
    fn snapshot(&mut self, offset: i64) -> Result<(), LogError> {
        if self.partition.snapshots.binary_search(&offset).is_err() {
            return Ok(());
        }
        let path = self.file(offset, "snapshot");
        let Some(snapshot) = self.partition.snapshot(offset)? else {
            self.add(Severity::Derived, &path, None, Some(offset), "is cut or damaged".to_owned());
            return Ok(());
        };
        let first = self.partition.segments.first().map_or(0, |s| s.base_offset);
        let whole_from = first.max(self.gaps_below);
        for known in &snapshot {
            let Some(last) = known.batches.last().filter(|last| last.base_offset >= whole_from) else {
                continue;
            };
            let Some(seen) = self.producers.map().get(&known.producer_id) else { continue };
            let begun_before = known.txn_first_offset.is_some_and(|first| first < whole_from);
            let agrees = known.epoch == seen.epoch
                && (begun_before || known.txn_first_offset == seen.txn_first_offset)
                && seen.batches.back().is_some_and(|b| b.last_sequence == last.last_sequence);
            if !agrees {
                let what = format!("producer {} is not as the log before it says", known.producer_id);
                self.add(Severity::Derived, &path, None, Some(offset), what);
            }
        }
        for (id, seen) in self.producers.map().clone() {
            let is_open = seen.txn_first_offset.is_some();
            if is_open && !snapshot.iter().any(|known| known.producer_id == id) {
                let what = format!("the open transaction of producer {id} is not in it");
                self.add(Severity::Derived, &path, None, Some(offset), what);
            }
        }
        Ok(())
    }

    /// The small files against the end that was found.
    fn marks(&mut self, dir: &Path) -> Result<(), LogError> {
        let end = self.report.end_offset;
        if let Some(point) = self.partition.recovery_point.filter(|point| *point > end) {
            let what = format!("says that all before offset {point} is durable, the log ends at {end}");
            self.add(Severity::Damaged, &dir.join(files::RECOVERY_POINT), None, Some(end), what);
        }
        if let Some(start) = self.partition.start_offset.filter(|start| *start > end) {
            let what = format!("says offset {start}, the log ends at {end}");
            self.add(Severity::Damaged, &dir.join(files::START_OFFSET), None, Some(end), what);
        }
        for offset in self.partition.snapshots.iter().filter(|offset| **offset > end) {
            let what = format!("lies behind the log's end, {end}");
            self.add(Severity::Unfinished, &self.file(*offset, "snapshot"), None, Some(*offset), what);
        }
        Ok(())
    }
}

/// Whether the records can be read and have the offsets and times that the header says.
fn check_records(batch: &BatchInfo) -> Result<(), String> {
    let header = &batch.header;
    let plain = plain_batch(&batch.bytes, super::PLAIN_BYTES).map_err(|e| e.to_string())?;
    let (mut count, mut next) = (0, header.base_offset);
    for record in RecordsIter::new(&plain).map_err(|e| e.to_string())? {
        let record = record.map_err(|e| format!("record {count} cannot be read: {e}"))?;
        if record.offset < next || record.offset > header.last_offset() {
            return Err(format!("record {count} says offset {}", record.offset));
        }
        next = record.offset + 1;
        count += 1;
    }
    if count != header.record_count {
        return Err(format!("{count} records, the header says {}", header.record_count));
    }
    Ok(())
}
