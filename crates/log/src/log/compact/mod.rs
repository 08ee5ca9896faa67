//! Compaction: keeps the last record of each key, as Apache Kafka's log cleaner does.
//!
//! ```text
//!      clean: compacted before        dirty                   not touched
//! ├──────────────────────────────┼───────────────────┼──────────────────────────────────┤
//! start                     first dirty             end: the active segment, records younger than min.compaction.lag.ms,
//!                                                   the first undecided transaction
//! ```
//! 1. The keys of the dirty part are read into a map: key -> last offset, in bounded memory. If it is full, the dirty part ends
//!    there for this run.
//! 2. All segments before the end are written again in groups that fit `segment_bytes`, without the records that the map knows
//!    a later one of, without the records of aborted transactions, tombstones and markers whose time has passed.
//! 3. Each group is swapped in ([`swap`]); readers are not held up, those that have an old file read on from it.
//!
//! Offsets stay as they are, so there are gaps: between records of a batch, between batches, between segments. A batch keeps
//! its range of offsets and sequence numbers. Batches stay, empty if need be, that tell the last sequence number of a producer
//! that is still known, or the end of the compacted part.
//!
//! A tombstone that is all that is left of its key gets a delete horizon (KIP-534), `delete_retention_ms` from then, and goes with
//! the first compaction after it; so does the marker of a transaction of which no batch is left.

mod map;
mod rewrite;
mod state;
mod swap;
mod throttle;
mod txns;

use std::sync::Arc;

use bytes::Bytes;

use self::map::OffsetMap;
use self::rewrite::{Rules, next_batch};
pub(crate) use self::state::{Checkpoint, Cleaner};
use self::swap::Swap;
pub(crate) use self::swap::finish_interrupted;
use self::throttle::Throttle;
use self::txns::Transactions;
use super::opened::OpenLog;
use crate::batch::{BatchHeader, ControlMarker, RecordsIter};
use crate::compression::plain_batch;
use crate::segment::Segment;
use crate::walk::BatchWalk;
use crate::{LogConfig, LogError};

/// Bound of a batch uncompressed, in bytes. One that is larger, or cannot be read, stays as it is.
const PLAIN_BYTES: usize = 256 << 20;

/// What [`crate::Log::compact`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compacted {
    /// Segments that were replaced, and how many took their place.
    pub segments_replaced: usize,
    /// Segments that took their place.
    pub segments_written: usize,
    /// Bytes of log before, of the part looked at.
    pub bytes_before: u64,
    /// Bytes of log afterwards, of the same part.
    pub bytes_after: u64,
    /// Records looked at.
    pub records_read: u64,
    /// Records dropped.
    pub records_removed: u64,
    /// Everything before this offset is compacted now.
    pub first_dirty_offset: i64,
}

/// The part of a log that may be compacted now.
struct Cleanable {
    /// The segments before the end; how many of them lie wholly in the clean part.
    segments: Vec<Arc<Segment>>,
    first_dirty: i64,
    /// Base offset of the first segment that must stay.
    end: i64,
}

impl Cleanable {
    fn dirty(&self) -> impl Iterator<Item = &Arc<Segment>> {
        // The segment that the first dirty offset lies in counts as dirty.
        let from = self.segments.partition_point(|s| s.base_offset <= self.first_dirty).saturating_sub(1);
        self.segments.iter().skip(from).filter(|_| self.first_dirty < self.end)
    }

    fn ratio(&self) -> f64 {
        let all: u64 = self.segments.iter().map(|s| s.size()).sum();
        let dirty: u64 = self.dirty().map(|s| s.size()).sum();
        if all == 0 { 0.0 } else { dirty as f64 / all as f64 }
    }
}

impl OpenLog {
    /// See [`crate::Log::dirty_ratio`].
    pub(super) fn dirty_ratio(&self, now_ms: i64) -> f64 {
        self.cleanable(&self.config(), now_ms).ratio()
    }

    /// See [`crate::Log::compaction_due`].
    pub(super) fn compaction_due(&self, now_ms: i64) -> Result<Option<f64>, LogError> {
        let config = self.config();
        if !config.cleanup_policy.compacts() {
            return Ok(None);
        }
        let cleanable = self.cleanable(&config, now_ms);
        let ratio = cleanable.ratio();
        if ratio > config.min_cleanable_dirty_ratio {
            return Ok(Some(ratio));
        }
        if config.max_compaction_lag_ms == i64::MAX {
            return Ok(None);
        }
        let oldest = self.oldest_dirty(&cleanable)?;
        let late = |oldest: i64| now_ms.saturating_sub(oldest) > config.max_compaction_lag_ms;
        Ok(oldest.is_some_and(late).then_some(ratio))
    }

    /// The time of the first batch that is not compacted, ms.
    fn oldest_dirty(&self, cleanable: &Cleanable) -> Result<Option<i64>, LogError> {
        let _files = self.cleaner.files.read();
        for segment in cleanable.dirty() {
            if let Some((_, header)) =
                next_batch(&mut BatchWalk::new(segment.file()?, segment.size()), segment)?
            {
                return Ok(Some(header.max_timestamp));
            }
        }
        Ok(None)
    }

    /// When compaction may become due without an append: records grow old enough to be compacted, or so old that they must be.
    pub(super) fn compaction_look_ms(&self, now_ms: i64) -> i64 {
        let config = self.config();
        if !config.cleanup_policy.compacts() {
            return i64::MAX;
        }
        let cleanable = self.cleanable(&config, now_ms);
        let due = match config.max_compaction_lag_ms {
            i64::MAX => None,
            // What cannot be read is an error of the look, not of what asks when to look.
            lag => self.oldest_dirty(&cleanable).unwrap_or(Some(0)).map(|oldest| oldest.saturating_add(lag)),
        };
        let sealed = self.active().base_offset;
        let too_young =
            match config.min_compaction_lag_ms {
                0 => None,
                lag => self.segments.read().range(cleanable.end.min(sealed)..sealed).next().and_then(
                    |(_, segment)| segment.newest().map(|newest| newest.timestamp.saturating_add(lag)),
                ),
            };
        [due, too_young].into_iter().flatten().min().map_or(i64::MAX, |at| at.saturating_add(1))
    }

    /// See [`crate::Log::compact`].
    pub(super) fn compact(&self, now_ms: i64) -> Result<Compacted, LogError> {
        let _running = self.cleaner.running.lock();
        let config = self.config();
        self.roll_if_old(&config, now_ms)?;
        let cleanable = self.cleanable(&config, now_ms);
        let mut done = Compacted { first_dirty_offset: cleanable.first_dirty, ..Compacted::default() };
        if cleanable.first_dirty >= cleanable.end {
            return Ok(done);
        }
        let first = cleanable.segments.first().map_or(0, |s| s.base_offset);
        let mut throttle = Throttle::new(config.cleaner_io_bytes_per_second);
        let read = self.map(&cleanable, &config, &mut throttle);
        let read = read.and_then(|map| Ok((map, self.aborted(first, cleanable.end)?)));
        let (map, aborted) = match read {
            // Its start was deleted meanwhile, which is no fault; the next run sees to the rest.
            Err(_) if !self.are_current(&cleanable.segments) && self.check_running().is_ok() => {
                return Ok(done);
            }
            other => other?,
        };
        let end = map.latest + 1;
        let before = self.cleaner.checkpoint();
        self.checkpoint(Checkpoint { gaps_below: before.gaps_below.max(cleanable.end), ..before })?;
        let txns = Transactions::new(aborted);
        let mut rules = Rules { config: &config, map, txns, now: now_ms, end: cleanable.end };
        let segments: Vec<_> = cleanable.segments.iter().filter(|s| s.base_offset < end).cloned().collect();
        let next = cleanable.segments.get(segments.len()).map_or(cleanable.end, |s| s.base_offset);
        for (group, next) in groups(&segments, next, config.segment_bytes) {
            match self.compact_group(group, next, &mut rules, &mut throttle, &mut done) {
                Ok(()) => {}
                Err(_) if !self.are_current(group) && self.check_running().is_ok() => return Ok(done),
                Err(error) => return Err(error),
            }
        }
        done.first_dirty_offset = end;
        self.checkpoint(Checkpoint { first_dirty: end, ..self.cleaner.checkpoint() })?;
        Ok(done)
    }

    fn compact_group(
        &self,
        group: &[Arc<Segment>],
        next: i64,
        rules: &mut Rules<'_>,
        throttle: &mut Throttle,
        done: &mut Compacted,
    ) -> Result<(), LogError> {
        let bytes: u64 = group.iter().map(|s| s.size()).sum();
        let base = group.first().map_or(0, |s| s.base_offset);
        let rewritten = self.rewrite(group, next, rules, throttle, done);
        let announced = rewritten.and_then(|swap| {
            swap.iter().try_for_each(|swap| swap.announce(&*self.fs, &self.dir))?;
            Ok(swap)
        });
        let swapped = match announced {
            Ok(Some(swap)) => self.swap_in(group, &swap)?.then_some(swap),
            not_swapped => {
                swap::discard(&*self.fs, &self.dir, base);
                not_swapped?
            }
        };
        done.bytes_before += bytes;
        done.bytes_after += swapped.as_ref().map_or(bytes, |swap| swap.bytes);
        if swapped.is_some() {
            done.segments_replaced += group.len();
            done.segments_written += 1;
        }
        Ok(())
    }

    fn are_current(&self, group: &[Arc<Segment>]) -> bool {
        let segments = self.segments.read();
        group.iter().all(|s| segments.get(&s.base_offset).is_some_and(|current| Arc::ptr_eq(current, s)))
    }

    fn checkpoint(&self, checkpoint: Checkpoint) -> Result<(), LogError> {
        checkpoint.write(&*self.fs, &self.dir)?;
        self.cleaner.set(checkpoint);
        Ok(())
    }

    fn check_running(&self) -> Result<(), LogError> {
        self.writable()
    }

    fn cleanable(&self, config: &LogConfig, now_ms: i64) -> Cleanable {
        let stable = self.last_stable_offset().min(self.durable_offset());
        let tail = self.tail.lock();
        // The next sync cuts off its zeros, and its indexes are written after that: not yet the files to be replaced.
        let unsynced = tail.sealed.first().map_or(i64::MAX, |(segment, _)| segment.base_offset);
        let segments = self.segments.read();
        let first_dirty = self.cleaner.checkpoint().first_dirty.max(self.start_offset());
        let mut cleanable = Cleanable { segments: Vec::new(), first_dirty, end: first_dirty };
        for ((base, segment), (next, _)) in segments.iter().zip(segments.iter().skip(1)) {
            let is_young = config.min_compaction_lag_ms > 0
                && *base >= first_dirty
                && segment.newest().is_some_and(|newest| {
                    newest.timestamp > now_ms.saturating_sub(config.min_compaction_lag_ms)
                });
            if *next > stable || *base >= unsynced || is_young {
                break;
            }
            cleanable.segments.push(segment.clone());
            cleanable.end = *next;
        }
        cleanable
    }

    /// The last offset of each key from the first dirty one on.
    fn map(
        &self,
        cleanable: &Cleanable,
        config: &LogConfig,
        throttle: &mut Throttle,
    ) -> Result<OffsetMap, LogError> {
        let mut map = OffsetMap::new(config.cleaner_dedupe_buffer_bytes);
        let mut txns = Transactions::new(self.aborted(cleanable.first_dirty, cleanable.end)?);
        for segment in cleanable.dirty() {
            let mut walk = BatchWalk::new(segment.file()?, segment.size());
            while let Some((bytes, header)) = next_batch(&mut walk, segment)? {
                self.check_running()?;
                throttle.pass(bytes.len());
                if header.is_control() {
                    txns.is_spent(&header, ControlMarker::parse(&bytes)?.as_ref());
                } else if !txns.is_aborted(&header)
                    && header.last_offset() >= cleanable.first_dirty
                    && let Some(plain) = decode(&bytes, &header)
                {
                    if !map.is_empty() && !map.has_room(header.record_count.max(0) as usize) {
                        return Ok(map);
                    }
                    for record in RecordsIter::new(&plain)? {
                        let record = record?;
                        let key = record.key.and_then(|range| plain.get(range));
                        if let Some(key) = key.filter(|_| record.offset >= cleanable.first_dirty) {
                            map.put(key, record.offset);
                        }
                    }
                }
                map.latest = map.latest.max(header.last_offset());
            }
        }
        map.latest = map.latest.max(cleanable.end - 1);
        Ok(map)
    }

    /// Puts a rewritten group, which was announced, into its place. False: the group is not there any more, since its start
    /// was deleted.
    fn swap_in(&self, group: &[Arc<Segment>], swap: &Swap) -> Result<bool, LogError> {
        let replaced: Vec<i64> = group.iter().skip(1).map(|s| s.base_offset).collect();
        let swapped = {
            let mut syncer = self.syncer.lock();
            self.check_running()?;
            // Or indexes of the old segments, still to be written, would take the place of the new ones.
            self.write_derived(&mut syncer);
            let swapped = self.exchange(group, swap, &replaced);
            swapped.map_err(|error| self.poison(&error))?
        };
        if swapped {
            // What is announced must be finished before anything else is: else by the next start.
            let finished = swap.finish(&*self.fs, &self.dir, &replaced);
            finished.map_err(|error| self.poison(&error))?;
        } else {
            swap.withdraw(&*self.fs, &self.dir)?;
            swap::discard(&*self.fs, &self.dir, swap.base);
        }
        Ok(swapped)
    }

    fn exchange(&self, group: &[Arc<Segment>], swap: &Swap, replaced: &[i64]) -> Result<bool, LogError> {
        let _files = self.cleaner.files.write();
        if !self.are_current(group) {
            return Ok(false);
        }
        swap.rename(&*self.fs, &self.dir)?;
        let opened = swap::open(&self.fs, &self.dir, swap)?;
        let mut segments = self.segments.write();
        segments.insert(swap.base, Arc::new(opened));
        segments.retain(|base, _| !replaced.contains(base));
        Ok(true)
    }
}

/// Segments that fit one, in order, each group with the offset at which it ends. `next` is the end of the last.
fn groups(segments: &[Arc<Segment>], next: i64, most_bytes: u64) -> Vec<(&[Arc<Segment>], i64)> {
    let (mut groups, mut from) = (Vec::new(), 0);
    let (mut bytes, mut base) = (0, 0);
    for (i, segment) in segments.iter().enumerate() {
        let end = segments.get(i + 1).map_or(next, |s| s.base_offset);
        if i == from {
            base = segment.base_offset;
        }
        if i > from && (bytes + segment.size() > most_bytes || end - base > i64::from(i32::MAX)) {
            groups.push((segments.get(from..i).unwrap_or_default(), segment.base_offset));
            (from, bytes, base) = (i, 0, segment.base_offset);
        }
        bytes += segment.size();
    }
    if from < segments.len() {
        groups.push((segments.get(from..).unwrap_or_default(), next));
    }
    groups
}

/// The batch uncompressed; `None`, told once per batch, if that cannot be done.
fn decode(bytes: &Bytes, header: &BatchHeader) -> Option<Bytes> {
    plain_batch(bytes, PLAIN_BYTES)
        .inspect_err(|error| {
            let offset = header.base_offset;
            tracing::warn!(offset, %error, "a batch is not compacted, since its records cannot be read");
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use crate::batch::BatchBuilder;
    use crate::testing::MemFs;
    use crate::{CleanupPolicy, Log, LogConfig};

    #[test]
    fn a_sealed_segment_waits_for_the_sync_that_completes_its_files() {
        let config =
            LogConfig { cleanup_policy: CleanupPolicy::Compact, segment_bytes: 300, ..LogConfig::default() };
        let (log, _) = Log::open(Arc::new(MemFs::new()), Path::new("/topic-0"), config.clone()).unwrap();
        let append = |value: &[u8]| {
            let mut batch = BatchBuilder::new();
            batch.append(1, Some(b"key"), Some(value), &[]);
            log.append(batch.build(), 0).unwrap();
        };
        append(&[1; 100]);
        log.sync().unwrap();
        append(&[2; 200]); // does not fit: what is durable is sealed now, and not yet cut to its length
        let cleanable = || log.open.read().as_ref().unwrap().cleanable(&config, 1_000).segments.len();
        assert_eq!(cleanable(), 0);
        log.sync().unwrap();
        assert_eq!(cleanable(), 1);
    }
}
