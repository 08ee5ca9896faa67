//! Barriers: one transaction of outputs, rejects, changed state, watermarks and offsets.

use super::{ACK_WAIT, Task, TopicOutput, leaf_key, time_key};
use crate::error::EngineError;
use crate::operator::StateWriter;
use crate::runtime::changelog::{self, ChangelogWriter};
use crate::runtime::watermarks::{self, Mark};
use bd_cluster::{Ack, CommitError, RecordsBuilder, TopicPartition};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Instant;

impl Task {
    fn step(&self, name: &str) {
        if let Some(on_step) = &self.context.config.on_step {
            on_step(name);
        }
    }

    pub(super) fn barrier(&mut self, last: bool) -> Result<(), EngineError> {
        self.chain.flush(&mut self.rows)?;
        self.deliver()?;
        self.context.status.set_stats(self.chain.stats());
        let Some(mut output) = self.output.take() else {
            self.dirty = false;
            return Ok(());
        };
        self.step("barrier");
        let result = self.commit(&mut output, last);
        self.output = Some(output);
        result?;
        self.dirty = false;
        self.context.status.metrics.commits.fetch_add(1, Ordering::Relaxed);
        self.step("committed");
        Ok(())
    }

    fn commit(&mut self, output: &mut TopicOutput, last: bool) -> Result<(), EngineError> {
        let now = self.stream_time;
        let mut acks: Vec<(usize, Ack)> = Vec::new();
        for (tp, records) in output.sink.take(now) {
            let partition = tp.partition as usize;
            acks.push((partition, output.writer.append(&tp, records)?));
        }
        for (topic, records) in std::mem::take(&mut self.rejects) {
            if !records.is_empty() {
                output.writer.append(&TopicPartition::new(topic, 0), records)?;
            }
        }
        let least = self.context.config.snapshot_bytes;
        let full = output.bytes_since_full > least.max(2 * output.full_bytes);
        let mut first_state = None;
        let (writer, changelog) = (&mut output.writer, &output.changelog);
        let mut append = |records| {
            let ack = writer.append(changelog, records)?;
            first_state.get_or_insert(ack);
            Ok(())
        };
        let state_bytes = self.write_state(output.watermark, full, last, &mut append)?;
        for (partition, ack) in acks {
            output.ends[partition] = ack.wait(ACK_WAIT)?.last_offset + 1;
        }
        let mut marks = RecordsBuilder::new();
        let watermark = if last { i64::MAX } else { self.chain.output_watermark() };
        output.watermark = output.watermark.max(watermark);
        for (tp, end) in output.sink.partitions().iter().zip(&output.ends) {
            let mark = Mark { end: *end, watermark: output.watermark };
            watermarks::write(&mut marks, &self.context.status.id, tp, mark, now)?;
        }
        output.writer.append(&TopicPartition::new(watermarks::TOPIC, 0), marks)?;
        // Two sources over one topic go on from where the one behind stands.
        let mut offsets: BTreeMap<TopicPartition, i64> = BTreeMap::new();
        for part in self.inputs.iter().flat_map(|i| &i.parts) {
            let least = offsets.entry(part.tp.clone()).or_insert(part.position);
            *least = part.position.min(*least);
        }
        let offsets: Vec<(TopicPartition, i64)> = offsets.into_iter().collect();
        self.step("commit");
        let deadline = Instant::now() + ACK_WAIT;
        loop {
            match output.writer.commit(&offsets, Some(&output.group)) {
                Ok(()) => break,
                Err(CommitError::Retriable(_)) if Instant::now() < deadline => {}
                Err(error) => return Err(error.into()),
            }
        }
        for part in self.inputs.iter_mut().flat_map(|i| &mut i.parts) {
            part.rejects_from = part.rejects_from.max(part.position);
            part.saved_time = part.max_time;
        }
        if !full {
            output.bytes_since_full += state_bytes;
        } else if let Some(ack) = first_state {
            // What came before the snapshot is void now.
            output.full_bytes = state_bytes;
            output.bytes_since_full = 0;
            let base = ack.wait(ACK_WAIT)?.base_offset;
            self.context.cluster.trim(&output.changelog, base)?;
        }
        Ok(())
    }

    /// Writes what has changed (or all) of the query's state; gives how many bytes.
    fn write_state<'a>(
        &mut self,
        watermark: i64,
        full: bool,
        last: bool,
        append: &'a mut changelog::AppendState<'a>,
    ) -> Result<u64, EngineError> {
        let mut state = ChangelogWriter::new(full, self.stream_time, append);
        for input in &self.inputs {
            for part in &input.parts {
                if part.max_time != i64::MIN && (full || part.max_time != part.saved_time) {
                    let key = time_key(&input.input.source, &part.tp);
                    state.put(key.as_bytes(), Some(&part.max_time.to_le_bytes()));
                }
            }
        }
        for leaf in 0..self.chain.leaves().len() {
            let watermark = self.chain.leaf_watermark(leaf);
            if watermark != i64::MIN {
                state.put(leaf_key(leaf).as_bytes(), Some(&watermark.to_le_bytes()));
            }
        }
        state.put(b"stream_time", Some(&self.stream_time.to_le_bytes()));
        let watermark = watermark.max(self.chain.output_watermark());
        state.put(b"watermark", Some(&watermark.to_le_bytes()));
        if last {
            state.put(b"completed", Some(&1i64.to_le_bytes()));
        }
        self.chain.snapshot(full, &mut state)?;
        Ok(state.finish()?)
    }
}
