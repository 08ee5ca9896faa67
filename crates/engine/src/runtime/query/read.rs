//! Reading: records to rows, dead letters, watermarks, and which partitions may run ahead.

use super::split::{split_at, split_rows};
use super::{MAX_AHEAD_MS, SourceInput, Task};
use crate::error::EngineError;
use crate::runtime::input::Rejected;
use crate::runtime::status::QueryStatus;
use crate::runtime::watermarks;
use bd_cluster::Records;
use bd_sql::catalog::SourceKind;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The class of a dead letter's exception, as Kafka Connect's converters name it.
const DEAD: &str = "org.apache.kafka.connect.errors.DataException";
/// The class of a late row's; Kafka Connect has none.
const LATE: &str = "bd.LateRow";

/// Reads records, for a push query also after what is needed for it was away: it has no last commit to start from again, as other
/// queries have.
fn when_it_can<T>(
    status: &QueryStatus,
    patient: bool,
    mut read: impl FnMut() -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let mut pause = Duration::from_millis(50);
    loop {
        match read() {
            Err(error @ EngineError::Later(_)) if patient && !status.must_stop() => {
                tracing::warn!(query = status.id, %error, "trying again in {pause:?}");
                status.wait_change(pause);
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            other => return other,
        }
    }
}

impl Task {
    pub(super) fn take(&mut self, records: Records) -> Result<(), EngineError> {
        if &*records.partition.topic == watermarks::TOPIC {
            return self.adopter.read(&records);
        }
        let Some(uses) = self.by_partition.get(&records.partition).cloned() else { return Ok(()) };
        let mut rest = Some(records);
        while let Some(records) = rest.take() {
            let (records, after) = match self.context.config.batch_rows {
                Some(rows) => split_rows(records, rows),
                None => (records, None),
            };
            rest = after;
            for (i, p) in &uses {
                self.take_part(*i, *p, &records)?;
            }
            if rest.is_some() {
                self.advance()?;
            }
        }
        Ok(())
    }

    fn take_part(&mut self, i: usize, p: usize, records: &Records) -> Result<(), EngineError> {
        // Fetched for another source over the same topic, which is behind.
        let position = self.inputs[i].parts[p].position;
        let rest;
        let records = if records.offsets.first().is_some_and(|first| *first < position) {
            let Some(tail) = split_at(records.clone(), position).1 else { return Ok(()) };
            rest = tail;
            &rest
        } else {
            records
        };
        // A drain ends at the captured offset, whatever was fetched with it.
        let cut;
        let records = match self.inputs[i].parts[p].end {
            Some(end) if records.next_offset > end => {
                cut = split_at(records.clone(), end).0;
                &cut
            }
            _ => records,
        };
        if self.inputs[i].input.source.kind == SourceKind::Table {
            self.table_records(i, p, records, true)?;
        } else {
            self.stream_records(i, p, records)?;
        }
        let status = &self.context.status;
        status.metrics.records_in.fetch_add(records.len() as u64, Ordering::Relaxed);
        let part = &mut self.inputs[i].parts[p];
        part.position = part.position.max(records.next_offset);
        part.stable = part.stable.max(records.last_stable_offset);
        part.last_data = Instant::now();
        self.dirty = true;
        Ok(())
    }

    fn stream_records(&mut self, i: usize, p: usize, records: &Records) -> Result<(), EngineError> {
        let input = &mut self.inputs[i];
        let part = &mut input.parts[p];
        let status = &self.context.status;
        let patient = self.output.is_none();
        let rows = when_it_can(status, patient, || input.input.stream_rows(records, &mut part.max_time))?;
        self.stream_time = self.stream_time.max(input.parts[p].max_time);
        let dead_topic = input.input.source.dead_letter_topic.clone();
        let late_topic = input.input.source.late_topic.clone();
        for one in &input.uses {
            let columns = one.places.iter().map(|c| rows.chunk.columns[*c].clone()).collect();
            self.chain.push(one.leaf, rows.chunk.with_columns(columns), &mut self.rows)?;
        }
        let dead = self.reject(i, p, records, &rows.dead, dead_topic, DEAD);
        let late = self.reject(i, p, records, &rows.late, late_topic, LATE);
        let metrics = &self.context.status.metrics;
        metrics.dead_letters.fetch_add(dead, Ordering::Relaxed);
        metrics.late_rows.fetch_add(late, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn table_records(
        &mut self,
        i: usize,
        p: usize,
        records: &Records,
        emit: bool,
    ) -> Result<(), EngineError> {
        let input = &mut self.inputs[i];
        let patient = self.output.is_none();
        let rows = when_it_can(&self.context.status, patient, || input.input.table_rows(records))?;
        let dead_topic = input.input.source.dead_letter_topic.clone();
        for one in &mut input.uses {
            let columns = one.places.iter().map(|c| rows.chunk.columns[*c].clone()).collect();
            let Some(table) = &mut one.table else { continue };
            let changes = table.apply(&rows.chunk.with_columns(columns), Some(&rows.tombstones))?;
            if emit {
                self.chain.push(one.leaf, changes, &mut self.rows)?;
            }
        }
        if let Some(last) = records.timestamps.iter().max() {
            self.stream_time = self.stream_time.max(*last);
        }
        let dead = self.reject(i, p, records, &rows.dead, dead_topic, DEAD);
        self.context.status.metrics.dead_letters.fetch_add(dead, Ordering::Relaxed);
        Ok(())
    }

    /// Queues records for a dead-letter or late topic, with Kafka Connect's headers; gives how many. The query that writes a
    /// source's rejects counts them too, so that each is counted once.
    fn reject(
        &mut self,
        i: usize,
        p: usize,
        records: &Records,
        rows: &[Rejected],
        topic: String,
        class: &str,
    ) -> u64 {
        let input = &self.inputs[i];
        if rows.is_empty() || !input.writes_rejects || self.output.is_none() {
            return 0;
        }
        let rejects_from = input.parts[p].rejects_from;
        let builder = self.rejects.entry(topic).or_default();
        let mut queued = 0;
        for row in rows {
            let at = row.index as usize;
            if records.offsets[at] < rejects_from {
                continue;
            }
            let partition = records.partition.partition.to_string();
            let offset = records.offsets[at].to_string();
            let own: Vec<(String, Option<Vec<u8>>)> = records
                .headers(at)
                .map(|h| (String::from_utf8_lossy(h.name).into_owned(), h.value.map(<[u8]>::to_vec)))
                .collect();
            let mut headers: Vec<(&str, Option<&[u8]>)> =
                own.iter().map(|(n, v)| (n.as_str(), v.as_deref())).collect();
            headers.extend([
                ("__connect.errors.topic", Some(records.partition.topic.as_bytes())),
                ("__connect.errors.partition", Some(partition.as_bytes())),
                ("__connect.errors.offset", Some(offset.as_bytes())),
                ("__connect.errors.connector.name", Some(self.context.status.id.as_bytes())),
                ("__connect.errors.task.id", Some(b"0".as_slice())),
                ("__connect.errors.stage", Some(b"VALUE_CONVERTER".as_slice())),
                ("__connect.errors.exception.class.name", Some(class.as_bytes())),
                ("__connect.errors.exception.message", Some(row.reason.as_bytes())),
            ]);
            builder.push(records.key(at), records.value(at), records.timestamps[at], &headers);
            queued += 1;
        }
        self.dirty |= queued > 0;
        queued
    }

    /// Raises the watermarks of the scans.
    pub(super) fn advance(&mut self) -> Result<(), EngineError> {
        for i in 0..self.inputs.len() {
            if self.inputs[i].lookup {
                continue;
            }
            let (mut least, mut of_idle) = (i64::MAX, i64::MIN);
            let source = self.inputs[i].input.source.clone();
            for p in 0..self.inputs[i].parts.len() {
                let part = &self.inputs[i].parts[p];
                let (tp, position) = (part.tp.clone(), part.position);
                let ended = part.end.is_some_and(|end| position >= end);
                let idle = source.idle_timeout_ms.is_some_and(|ms| {
                    position >= part.stable
                        && part.last_data.elapsed() >= Duration::from_millis(ms.max(0) as u64)
                });
                let of_part = if ended {
                    i64::MAX
                } else if source.query.is_some() {
                    self.adopter.watermark(&tp, position)
                } else if source.kind == SourceKind::Table || part.max_time == i64::MIN {
                    i64::MIN
                } else {
                    part.max_time.saturating_sub(source.lateness_ms)
                };
                if idle && !ended {
                    of_idle = of_idle.max(of_part);
                } else {
                    least = least.min(of_part);
                }
            }
            if least == i64::MAX && !self.leaf_end(&self.inputs[i]) {
                // All partitions are idle: none holds back another, and the source stands where the foremost does.
                least = of_idle;
            }
            for one in 0..self.inputs[i].uses.len() {
                let leaf = self.inputs[i].uses[one].leaf;
                if least > self.chain.leaf_watermark(leaf) {
                    self.chain.advance(leaf, least, &mut self.rows)?;
                    self.dirty = true;
                }
            }
        }
        let watermark = self.chain.output_watermark();
        self.context.status.metrics.watermark.store(watermark, Ordering::Relaxed);
        Ok(())
    }

    /// Whether all partitions of a driving input are at their ends.
    pub(super) fn leaf_end(&self, input: &SourceInput) -> bool {
        input.parts.iter().all(|part| {
            part.end.is_some_and(|end| part.position >= end) || self.adopter.peek(&part.tp) == i64::MAX
        })
    }

    /// Pauses partitions that run ahead of slower ones, so that state stays bounded. A partition stands at its greatest event time,
    /// one that a query writes at its watermark (its rows between two marks come in no order); slower is one with records to
    /// read, or that is written still. The slowest is never paused, so there is always one to read.
    pub(super) fn balance(&mut self) -> Result<(), EngineError> {
        let mut stands: Vec<(usize, usize, i64)> = Vec::new();
        let mut slowest = i64::MAX;
        for (i, input) in self.inputs.iter().enumerate() {
            if input.input.source.kind != SourceKind::Stream {
                continue;
            }
            for (p, part) in input.parts.iter().enumerate() {
                let (time, behind) = if input.input.source.query.is_some() {
                    let watermark = self.adopter.peek(&part.tp);
                    (watermark, watermark != i64::MAX)
                } else {
                    (part.max_time, part.position < part.end.unwrap_or(part.stable).min(part.stable))
                };
                stands.push((i, p, time));
                if behind {
                    slowest = slowest.min(time);
                }
            }
        }
        let limit = slowest.saturating_add(MAX_AHEAD_MS);
        for (tp, uses) in &self.by_partition {
            // Two streams over one partition: the slower one decides.
            let times = stands.iter().filter(|(i, p, _)| uses.contains(&(*i, *p))).map(|(.., time)| *time);
            let Some(time) = times.min() else { continue };
            let (i, p) = uses[0];
            let paused = &mut self.inputs[i].parts[p].paused;
            let pause = time > limit;
            if pause == std::mem::replace(paused, pause) {
                continue;
            }
            let tp = std::slice::from_ref(tp);
            if pause {
                self.reader.pause(tp)?
            } else {
                self.reader.resume(tp)?
            };
        }
        Ok(())
    }
}
