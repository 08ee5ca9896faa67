//! The write path: check, stamp, one write, publish.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::BytesMut;

use super::now_ms;
use super::opened::{OpenLog, Writer};
use super::retention::is_too_old;
use super::validate::Rules;
use crate::batch::{self, BatchError, BatchHeader, Batches, ControlMarker};
use crate::index::Aborted;
use crate::producer::{BatchMeta, Check, Producer, Producers};
use crate::segment::{Segment, WriteFailed};
use crate::{Appended, FlushMode, LogConfig, LogError, TimestampType, files, snapshot};

/// A batch of one append: where it starts in the bytes given, and its header.
pub(super) type Part = (usize, BatchHeader);

impl OpenLog {
    /// See [`crate::Log::append`].
    pub(super) fn append(&self, batches: BytesMut, leader_epoch: i32) -> Result<Appended, LogError> {
        let config = self.config();
        let parts = check_batches(&batches, &config)?;
        let now = now_ms();
        let (mut batches, mut parts) =
            Rules { config: &config, name: self.name(), now }.apply(batches, parts)?;
        let syncer = (config.flush == FlushMode::Always).then(|| self.syncer.lock());
        let mut writer = self.writer.lock();
        self.writable()?;
        if let Some(repeat) = Self::check_producers(&self.producers.lock(), &parts)? {
            return Ok(Appended {
                base_offset: repeat.base_offset,
                last_offset: repeat.last_offset,
                max_timestamp: repeat.max_timestamp,
                log_append_time: -1,
                log_start_offset: self.start_offset(),
                duplicate: true,
            });
        }
        let log_append_time = (config.message_timestamp_type == TimestampType::LogAppendTime).then_some(now);
        let mut offset = self.end_offset();
        for (at, header) in &mut parts {
            let range = *at..*at + header.size();
            let part = batches.get_mut(range).unwrap_or_default();
            batch::stamp(part, offset, leader_epoch);
            header.base_offset = offset;
            if let Some(now) = log_append_time {
                batch::stamp_log_append_time(part, now);
                header.max_timestamp = now;
            }
            offset = header.next_offset();
        }
        let base_offset = self.end_offset();
        self.write(&mut writer, &batches, &parts, &config)?;
        {
            let mut producers = self.producers.lock();
            for (_, header) in &parts {
                producers.note(header, now);
            }
            self.publish(&mut producers, offset, config.flush);
        }
        if let Some(mut syncer) = syncer {
            // Nobody else appends meanwhile: this fsync is for this append alone.
            self.sync_records(&mut syncer)?;
            drop((writer, syncer));
            self.tidy();
        }
        Ok(Appended {
            base_offset,
            last_offset: offset - 1,
            max_timestamp: parts.iter().map(|(_, h)| h.max_timestamp).max().unwrap_or(-1),
            log_append_time: log_append_time.unwrap_or(-1),
            log_start_offset: self.start_offset(),
            duplicate: false,
        })
    }

    /// See [`crate::Log::append_marker`].
    pub(super) fn append_marker(
        &self,
        producer_id: i64,
        producer_epoch: i16,
        commit: bool,
        coordinator_epoch: i32,
        leader_epoch: i32,
    ) -> Result<Appended, LogError> {
        let config = self.config();
        let marker = ControlMarker { commit, coordinator_epoch };
        let syncer = (config.flush == FlushMode::Always).then(|| self.syncer.lock());
        let mut writer = self.writer.lock();
        self.writable()?;
        self.producers.lock().check_marker(producer_id, producer_epoch, coordinator_epoch)?;
        let (now, base_offset) = (now_ms(), self.end_offset());
        let mut bytes = marker.build(producer_id, producer_epoch, now);
        batch::stamp(&mut bytes, base_offset, leader_epoch);
        let header = BatchHeader::parse(&bytes)?;
        self.write(&mut writer, &bytes, &[(0, header)], &config)?;
        {
            let mut producers = self.producers.lock();
            if let Some(txn) = producers.note_marker(&header, &marker, now) {
                let last_stable = producers.first_open().min(header.next_offset());
                self.active().note_aborted(Aborted { txn, last_stable });
            }
            self.publish(&mut producers, header.next_offset(), config.flush);
        }
        if let Some(mut syncer) = syncer {
            // Nobody else appends meanwhile: this fsync is for this append alone.
            self.sync_records(&mut syncer)?;
            drop((writer, syncer));
            self.tidy();
        }
        Ok(Appended {
            base_offset,
            last_offset: base_offset,
            max_timestamp: now,
            log_append_time: -1,
            log_start_offset: self.start_offset(),
            duplicate: false,
        })
    }

    /// Checks sequences and epochs. `Some`: all of it is a repeat.
    fn check_producers(producers: &Producers, parts: &[Part]) -> Result<Option<BatchMeta>, LogError> {
        let mut repeats: Option<BatchMeta> = None;
        let mut repeated = 0;
        // Producers as they will be after the batches before; only needed when there are several.
        let mut staged: Vec<(i64, Producer)> = Vec::new();
        for (_, header) in parts.iter().filter(|(_, h)| h.has_producer()) {
            let earlier = staged.iter_mut().find(|(id, _)| *id == header.producer_id);
            match producers.check(earlier.as_ref().map(|(_, p)| p), header)? {
                Check::Repeat(meta) => {
                    repeated += 1;
                    let first = repeats.get_or_insert(meta);
                    first.last_offset = meta.last_offset;
                    first.max_timestamp = first.max_timestamp.max(meta.max_timestamp);
                }
                Check::New if parts.len() == 1 => {}
                Check::New => match earlier {
                    Some((_, producer)) => producer.note(header, 0),
                    None => {
                        let known = producers.map().get(&header.producer_id).cloned();
                        let mut producer = known.unwrap_or_else(|| Producer::new(header.producer_epoch));
                        producer.note(header, 0);
                        staged.push((header.producer_id, producer));
                    }
                },
            }
        }
        if repeated > 0 && repeated < parts.len() {
            return Err(LogError::InvalidBatch(BatchError::Field {
                field: "batches already appended",
                value: repeated as i64,
                reason: "one append mixes repeated and new batches; send them apart",
            }));
        }
        Ok(repeats)
    }

    /// Writes the stamped bytes behind the active segment, rolling it first if they do not fit, and indexes them. After an
    /// error the file is as long as before.
    fn write(
        &self,
        writer: &mut Writer,
        bytes: &[u8],
        parts: &[Part],
        config: &LogConfig,
    ) -> Result<(), LogError> {
        if writer.marked_clean {
            // The marker tells the size of the segment, so a stale one is recognised; removing it is tidiness.
            files::remove(&*self.fs, &self.dir.join(files::CLEAN_SHUTDOWN))?;
            writer.marked_clean = false;
        }
        let mut active = self.active();
        let size = active.size();
        let last = parts.last().map_or(0, |(_, h)| h.last_offset());
        let newest = || parts.iter().map(|(_, h)| h.max_timestamp).max().unwrap_or(-1);
        if size > 0
            && (is_too_old(writer, &active, config, newest())
                || size + bytes.len() as u64 > config.segment_bytes
                || last - active.base_offset > i64::from(i32::MAX))
        {
            active = self.roll(writer)?;
        }
        let position = active.size();
        active.write(position, bytes).map_err(|failed| match failed {
            WriteFailed::Nothing(error) => error,
            WriteFailed::Rest(error) => self.poison(&error),
        })?;
        for (at, header) in parts {
            active.note(header, position + *at as u64, config.index_interval_bytes);
        }
        active.publish(position + bytes.len() as u64);
        Ok(())
    }

    /// Starts a new active segment at the log's end. What the old one still needs on disk is written by the next sync.
    pub(super) fn roll(&self, writer: &mut Writer) -> Result<Arc<Segment>, LogError> {
        if writer.marked_clean {
            // It names another segment now; gone for good, at the latest, with the sync that makes the new one's name durable.
            files::remove(&*self.fs, &self.dir.join(files::CLEAN_SHUTDOWN))?;
            writer.marked_clean = false;
        }
        let segment = Arc::new(Segment::create(&self.fs, &self.dir, self.end_offset())?);
        let state = snapshot::encode(&self.producers.lock());
        {
            let mut tail = self.tail.lock();
            let sealed = std::mem::replace(&mut tail.active, segment.clone());
            tail.sealed.push((sealed, state));
            tail.names_dirty = true;
        }
        writer.active_since = now_ms();
        self.segments.write().insert(segment.base_offset, segment.clone());
        Ok(segment)
    }

    /// Makes an append visible: first the transactions, then the end that lets others see its records.
    fn publish(&self, producers: &mut Producers, end: i64, flush: FlushMode) {
        if flush == FlushMode::Os {
            producers.on_durable(end); // as far as readers are concerned
        }
        self.marks.first_unstable.store(producers.first_unstable(), Ordering::Release);
        self.marks.end.store(end, Ordering::Release);
        if flush == FlushMode::Os {
            self.marks.high_watermark.fetch_max(end, Ordering::AcqRel);
        }
    }
}

/// Checks everything about the batches that does not depend on the log's state.
fn check_batches(bytes: &[u8], config: &LogConfig) -> Result<Vec<Part>, LogError> {
    if bytes.is_empty() {
        return Err(BatchError::Truncated { need: batch::HEADER_BYTES, have: 0 }.into());
    }
    if bytes.len() as u64 > config.segment_bytes {
        return Err(LogError::TooLarge { size: bytes.len(), max: config.segment_bytes as usize });
    }
    let mut parts = Vec::with_capacity(1);
    for item in Batches::new(bytes) {
        let (range, header) = item?;
        if header.size() > config.max_message_bytes {
            return Err(LogError::TooLarge { size: header.size(), max: config.max_message_bytes });
        }
        check_header(&header)?;
        batch::verify_crc(bytes.get(range.clone()).unwrap_or_default())?;
        parts.push((range.start, header));
    }
    Ok(parts)
}

fn check_header(header: &BatchHeader) -> Result<(), BatchError> {
    let wrong = |field, value: i64, reason| Err(BatchError::Field { field, value, reason });
    header.codec()?;
    if header.is_control() {
        return wrong("attributes", i64::from(header.attributes), "producers do not write control batches");
    }
    if header.record_count < 1 {
        return wrong("record count", i64::from(header.record_count), "a batch holds at least one record");
    }
    if header.last_offset_delta != header.record_count - 1 {
        return wrong(
            "last offset delta",
            i64::from(header.last_offset_delta),
            "not the record count less one",
        );
    }
    if header.has_producer() && (header.producer_epoch < 0 || header.base_sequence < 0) {
        return wrong(
            "base sequence",
            i64::from(header.base_sequence),
            "an idempotent producer numbers its batches",
        );
    }
    if header.is_transactional() && !header.has_producer() {
        return wrong("producer id", header.producer_id, "a transactional batch needs a producer");
    }
    Ok(())
}
