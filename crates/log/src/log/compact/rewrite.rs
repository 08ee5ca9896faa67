//! Writes a group of segments again as one, without what compaction drops.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::map::OffsetMap;
use super::swap::{self, Swap};
use super::throttle::Throttle;
use super::txns::Transactions;
use super::{Compacted, decode};
use crate::batch::{BatchHeader, ControlMarker, Kept};
use crate::index::{self, Aborted, Cover, MemoryIndex};
use crate::log::opened::OpenLog;
use crate::producer::Producers;
use crate::segment::{INDEX, LOG, Segment, TIME_INDEX, TXN_INDEX};
use crate::walk::{BatchWalk, Step};
use crate::{FsFile, LogConfig, LogError, OpenMode, files};

/// Written at once.
const WRITE_BYTES: usize = 1 << 20;

/// What decides on each batch of one run.
pub(super) struct Rules<'a> {
    pub(super) config: &'a LogConfig,
    pub(super) map: OffsetMap,
    pub(super) txns: Transactions,
    /// Wall clock, ms.
    pub(super) now: i64,
    /// End of the part that may be compacted: the batch that ends there stays, empty if need be, so that readers learn the
    /// offset.
    pub(super) end: i64,
}

/// The batch that tells the last sequence number (or, after a marker alone, the epoch) of a producer that is still known.
#[derive(Debug, Clone, Copy)]
enum LastOf {
    Data { last_offset: i64 },
    Marker { epoch: i16 },
}

fn last_batches(producers: &Producers) -> HashMap<i64, LastOf> {
    let last = |p: &crate::producer::Producer| match p.batches.back() {
        Some(batch) => LastOf::Data { last_offset: batch.last_offset },
        None => LastOf::Marker { epoch: p.epoch },
    };
    producers.map().iter().map(|(id, p)| (*id, last(p))).collect()
}

/// What becomes of a batch.
enum Fate {
    Dropped,
    AsItIs,
    Rewritten(Vec<u8>),
}

impl Rules<'_> {
    /// What becomes of a batch, and whether it is a marker of whose transaction nothing is left.
    fn judge(
        &mut self,
        bytes: &Bytes,
        header: &BatchHeader,
        last: &HashMap<i64, LastOf>,
        done: &mut Compacted,
    ) -> Result<(Fate, bool), LogError> {
        let marker = if header.is_control() { ControlMarker::parse(bytes)? } else { None };
        // A marker goes when nothing is left of its transaction and its time has passed, records of an aborted one at once.
        let (spent, drops_all) = if header.is_control() {
            let spent = self.txns.is_spent(header, marker.as_ref());
            (spent, spent && header.delete_horizon_ms().is_some_and(|horizon| horizon <= self.now))
        } else {
            (false, self.txns.is_aborted(header))
        };
        let must_stay = header.next_offset() == self.end
            || match last.get(&header.producer_id).filter(|_| header.has_producer()) {
                Some(LastOf::Data { last_offset }) => header.last_offset() == *last_offset,
                Some(LastOf::Marker { epoch }) => header.is_control() && header.producer_epoch == *epoch,
                None => false,
            };
        done.records_read += header.record_count.max(0) as u64;
        if drops_all && !must_stay {
            done.records_removed += header.record_count.max(0) as u64;
            return Ok((Fate::Dropped, spent));
        }
        let Some(plain) = decode(bytes, header) else { return Ok((Fate::AsItIs, spent)) };
        let kept = Kept::of(&plain, |record| {
            let key = record.key.clone().and_then(|range| plain.get(range));
            !drops_all
                && (header.is_control() || self.stays(header, key, record.offset, record.value.is_some()))
        })?;
        done.records_removed += kept.removed as u64;
        if kept.len() == 0 && !must_stay {
            return Ok((Fate::Dropped, spent));
        }
        let waits = (kept.has_tombstone && !header.is_control()) || (spent && kept.len() > 0);
        let horizon = (waits && header.delete_horizon_ms().is_none())
            .then(|| self.now.saturating_add(self.config.delete_retention_ms));
        if kept.removed == 0 && horizon.is_none() {
            return Ok((Fate::AsItIs, spent));
        }
        Ok((Fate::Rewritten(kept.rebuild(&plain, header, horizon)?), spent))
    }

    fn stays(&self, header: &BatchHeader, key: Option<&[u8]>, offset: i64, has_value: bool) -> bool {
        if offset > self.map.latest {
            return true; // not looked at in this run
        }
        // A record without key, from before the log was compacted, can never be superseded: it goes.
        let Some(key) = key else { return false };
        let expired = || header.delete_horizon_ms().is_some_and(|horizon| horizon <= self.now);
        self.map.is_last(key, offset) && (has_value || !expired())
    }
}

/// The segment that is being written.
struct Output {
    file: Arc<dyn FsFile>,
    path: std::path::PathBuf,
    base: i64,
    index: MemoryIndex,
    interval: u32,
    buffer: Vec<u8>,
    /// Bytes given, and of these bytes written.
    bytes: u64,
    written: u64,
    crc: u32,
}

impl Output {
    fn put(&mut self, batch: &[u8]) -> Result<(), LogError> {
        let header = BatchHeader::parse(batch)?;
        self.index.on_batch(self.base, &header, self.bytes, self.interval);
        self.buffer.extend_from_slice(batch);
        self.bytes += batch.len() as u64;
        if self.buffer.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), LogError> {
        let write = self.file.write_all_at(self.written, &self.buffer);
        write.map_err(|e| LogError::io("write", &self.path, e))?;
        self.crc = crc32c::crc32c_append(self.crc, &self.buffer);
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl OpenLog {
    /// Writes `group`, which ends before offset `next`, again under `.cleaned` names, durably. `None`: there is nothing to
    /// change.
    pub(super) fn rewrite(
        &self,
        group: &[Arc<Segment>],
        next: i64,
        rules: &mut Rules<'_>,
        throttle: &mut Throttle,
        done: &mut Compacted,
    ) -> Result<Option<Swap>, LogError> {
        let Some(first) = group.first() else { return Ok(None) };
        let path = swap::cleaned(&self.dir, first.base_offset, LOG);
        let file = self.fs.open(&path, OpenMode::Create).map_err(|e| LogError::io("create", &path, e))?;
        let mut output = Output {
            file,
            path,
            base: first.base_offset,
            index: MemoryIndex::default(),
            interval: rules.config.index_interval_bytes,
            buffer: Vec::new(),
            bytes: 0,
            written: 0,
            crc: 0,
        };
        let last = last_batches(&self.producers.lock());
        let (mut changed, mut markers) = (group.len() > 1, Vec::new());
        for segment in group {
            let entries = segment.aborted()?;
            let mut walk = BatchWalk::new(segment.file()?, segment.size());
            while let Some((bytes, header)) = next_batch(&mut walk, segment)? {
                self.check_running()?;
                throttle.pass(bytes.len());
                let (fate, spent) = rules.judge(&bytes, &header, &last, done)?;
                match fate {
                    Fate::Dropped => {
                        changed = true;
                        continue;
                    }
                    Fate::AsItIs => output.put(&bytes)?,
                    Fate::Rewritten(batch) => {
                        changed = true;
                        throttle.pass(batch.len());
                        output.put(&batch)?;
                    }
                }
                // An aborted transaction is told to readers while they can meet something of it. Not for longer: of its marker,
                // which ends it for them, may be left a batch without a record.
                if header.is_control() && !spent {
                    let of_marker = |a: &&Aborted| {
                        (a.txn.producer_id, a.txn.last_offset) == (header.producer_id, header.base_offset)
                    };
                    markers.extend(entries.iter().find(of_marker).copied());
                }
            }
        }
        if !changed {
            return Ok(None);
        }
        output.flush()?;
        output.index.aborted = markers;
        self.make_durable(output, next).map(Some)
    }

    fn make_durable(&self, mut output: Output, next: i64) -> Result<Swap, LogError> {
        output.file.sync().map_err(|e| LogError::io("fsync", &output.path, e))?;
        output.index.note_newest();
        let cover = Cover { log_bytes: output.bytes, aborted: output.index.aborted.len() as u32 };
        let write = |extension, content: Vec<u8>| {
            files::write(&*self.fs, &swap::cleaned(&self.dir, output.base, extension), &content)
        };
        write(INDEX, index::encode(&output.index.positions, cover))?;
        write(TIME_INDEX, index::encode(&output.index.times, cover))?;
        if cover.aborted > 0 {
            write(TXN_INDEX, index::encode(&output.index.aborted, cover))?;
        }
        Ok(Swap {
            base: output.base,
            next,
            bytes: output.bytes,
            crc: output.crc,
            has_aborted: cover.aborted > 0,
        })
    }
}

/// The next batch of a segment, its CRC checked.
pub(super) fn next_batch(
    walk: &mut BatchWalk,
    segment: &Segment,
) -> Result<Option<(Bytes, BatchHeader)>, LogError> {
    let corrupt = |position, offset, reason: String| LogError::Corrupt {
        file: segment.path(),
        position,
        offset,
        reason,
    };
    match walk.step().map_err(|e| LogError::io("read", &segment.path(), e))? {
        Step::End => Ok(None),
        Step::Damaged { position, error } => Err(corrupt(position, segment.base_offset, error.to_string())),
        Step::Batch { position, header, bytes } => match crate::batch::verify_crc(&bytes) {
            Ok(()) => Ok(Some((bytes, header))),
            Err(error) => Err(corrupt(position, header.base_offset, error.to_string())),
        },
    }
}
