//! When segments end, and deleting them from the front: by time, by size, on request.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::now_ms;
use super::opened::{OpenLog, Syncer, Writer};
use crate::segment::Segment;
use crate::{Deleted, LogConfig, LogError, files};

/// For how long a segment is written to, ms, jitter apart.
fn longest(config: &LogConfig) -> i64 {
    if config.cleanup_policy.compacts() {
        config.segment_ms.min(config.max_compaction_lag_ms)
    } else {
        config.segment_ms
    }
}

/// Whether the active segment ends before a batch of time `timestamp` because of its age: by the timestamps of its first batch
/// and this one (KIP-33), by the wall clock if either has none.
pub(super) fn is_too_old(writer: &Writer, active: &Segment, config: &LogConfig, timestamp: i64) -> bool {
    let first = active.first_timestamp().filter(|first| *first >= 0 && timestamp >= 0);
    let age = match first {
        Some(first) => timestamp.saturating_sub(first),
        None => now_ms().saturating_sub(writer.active_since),
    };
    // Another one for each segment, the same whenever it is asked for.
    let spread = (active.base_offset as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1;
    let jitter = (spread as i64) % config.segment_jitter_ms.min(longest(config)).max(1);
    age > longest(config) - jitter
}

impl OpenLog {
    /// See [`crate::Log::apply_retention`].
    pub(super) fn apply_retention(&self, now_ms: i64) -> Result<Deleted, LogError> {
        let mut syncer = self.syncer.lock();
        let config = self.config();
        let deletes = config.cleanup_policy.deletes();
        // Of some segments compaction leaves nothing, so that they have no time: they go with those behind them.
        let expired = |segment: &Segment| {
            let newest = segment.newest().map_or(i64::MIN, |newest| newest.timestamp);
            deletes && config.retention_ms.is_some_and(|ms| newest < now_ms.saturating_sub(ms))
        };
        {
            let mut writer = self.writer.lock();
            self.producers.lock().expire(now_ms.saturating_sub(config.producer_id_expiration_ms));
            let all = self.segments.read().values().all(|segment| expired(segment));
            if all && self.active().size() > 0 && self.writable().is_ok() {
                self.roll(&mut writer)?;
            }
        }
        self.sync_sealed(&mut syncer)?;
        let segments: Vec<Arc<Segment>> = self.segments.read().values().cloned().collect();
        let mut total: u64 = segments.iter().map(|s| s.size()).sum();
        let mut start = self.start_offset();
        for pair in segments.windows(2) {
            let [segment, next] = pair else { break };
            let rest = total.saturating_sub(segment.size());
            let surplus = deletes && config.retention_bytes.is_some_and(|limit| rest >= limit);
            if !(expired(segment) || surplus) || next.base_offset > self.durable_offset() {
                break;
            }
            total = rest;
            start = start.max(next.base_offset);
        }
        self.delete_to(start)
    }

    /// See [`crate::Log::delete_records_before`].
    pub(super) fn delete_records_before(&self, offset: i64) -> Result<i64, LogError> {
        let mut syncer = self.syncer.lock();
        let (start, end) = (self.start_offset(), self.high_watermark());
        if offset > end || offset < 0 {
            return Err(LogError::OffsetOutOfRange { offset, start, end });
        }
        if offset > self.durable_offset() {
            self.sync_locked(&mut syncer)?; // a log must not start behind its durable end
        }
        Ok(self.delete_to(offset.max(start))?.start_offset)
    }

    /// Seals the active segment of a compacted log after `segment_ms` or `max_compaction_lag_ms` of wall-clock time, so that
    /// its records are compacted also if no more come.
    pub(super) fn roll_if_old(&self, config: &LogConfig, now_ms: i64) -> Result<(), LogError> {
        let mut syncer = self.syncer.lock();
        {
            let mut writer = self.writer.lock();
            self.writable()?;
            let age = now_ms.saturating_sub(writer.active_since);
            if config.cleanup_policy.compacts() && self.active().size() > 0 && age > longest(config) {
                self.roll(&mut writer)?;
            }
        }
        self.sync_sealed(&mut syncer)
    }

    fn sync_sealed(&self, syncer: &mut Syncer) -> Result<(), LogError> {
        let all_written = {
            let tail = self.tail.lock();
            tail.sealed.is_empty() && tail.unindexed.is_empty()
        };
        if all_written { Ok(()) } else { self.sync_locked(syncer).map(|_| ()) }
    }

    /// Makes `start` the first offset, durably, before any file goes: a deletion interrupted is finished by the next open.
    /// The caller holds the `syncer` lock.
    fn delete_to(&self, start: i64) -> Result<Deleted, LogError> {
        let mut deleted = Deleted { start_offset: start, ..Deleted::default() };
        if start > self.start_offset() {
            match files::replace(
                &*self.fs,
                &self.dir.join(files::START_OFFSET),
                &files::seal_numbers([start]),
            ) {
                // A full disk must not keep the log from freeing space; the first segment's base says the same.
                Err(LogError::StorageFull { .. }) if self.segments.read().contains_key(&start) => {}
                other => other?,
            }
            self.marks.start.store(start, Ordering::Release);
        }
        // The producers' state must be found in what is left: nothing goes that is not before a snapshot.
        let snapshots = self.snapshots()?;
        let doomed: Vec<Arc<Segment>> = {
            let segments = self.segments.read();
            let known = segments.keys().rev().find(|base| snapshots.contains(base)).copied().unwrap_or(0);
            let goes = |next: i64| next <= start && next <= known;
            let pairs = segments.values().zip(segments.keys().skip(1));
            pairs.filter(|(_, next)| goes(**next)).map(|(segment, _)| segment.clone()).collect()
        };
        for segment in &doomed {
            let _files = self.cleaner.files.write();
            segment.delete()?;
            self.segments.write().remove(&segment.base_offset);
            deleted.segments += 1;
            deleted.bytes += segment.size();
        }
        if !doomed.is_empty() {
            files::sync_dir(&*self.fs, &self.dir)?;
        }
        Ok(deleted)
    }
}
