//! A sink's task: read committed records, convert, transform, put, and commit the group's offsets.

use super::bad::{BadInput, Stage};
use super::sink_batch::{decode, refuse};
use super::sink_topics::{SinkTopics, group_of};
use super::{Failure, POLL, TaskSpec, commit, sink_transactional_id};
use crate::convert::{Converter, ConverterConfig};
use crate::sdk::{SinkBatch, SinkTask};
use crate::store::State;
use crate::transform::Chain;
use bd_cluster::{
    ClusterError, GroupMember, Isolation, Reader, ReaderConfig, Records, TopicPartition, Writer, WriterConfig,
};
use bd_schema::Role;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

/// `max.poll.records` where it is not set.
const MAX_RECORDS: usize = 2000;
/// The bytes of one poll.
const MAX_BYTES: usize = 4 << 20;

struct Sink<'a> {
    spec: &'a TaskSpec,
    writer: Box<dyn Writer>,
    reader: Box<dyn Reader>,
    task: Box<dyn SinkTask>,
    chain: Chain,
    keys: Box<dyn Converter>,
    values: Box<dyn Converter>,
    topics: SinkTopics,
    bad: BadInput<'a>,
    max_records: usize,
    group: GroupMember,
    /// What was delivered and is not committed yet: the next offset of each partition.
    pending: BTreeMap<TopicPartition, i64>,
    committed: Instant,
}

/// Runs until it is stopped.
pub(super) fn run(spec: &TaskSpec) -> Result<(), Failure> {
    if spec.shared.paused() && spec.shared.stop.is_set() {
        return Ok(());
    }
    let mut sink = Sink::open(spec)?;
    if spec.shared.state().0 != State::Restarting {
        spec.shared.set_state(State::Running, None);
    }
    let result = sink.work();
    if result.is_err() {
        // What was delivered before the failure is safe; not to commit it would only make it come again.
        if let Err(error) = sink.writer.abort() {
            tracing::warn!(connector = spec.connector, task = spec.id, %error, "the open transaction is left to the next start");
        }
    }
    result
}

impl<'a> Sink<'a> {
    fn open(spec: &'a TaskSpec) -> Result<Self, Failure> {
        let config = &spec.config;
        let writer = spec.cluster.open_writer(WriterConfig {
            transactional_id: Some(sink_transactional_id(&spec.worker.group_id, &spec.connector, spec.id)),
            client_id: format!("connector-consumer-{}-{}", spec.connector, spec.id),
            ..WriterConfig::default()
        })?;
        let reader = spec.cluster.open_reader(ReaderConfig {
            isolation: Isolation::ReadCommitted,
            client_id: format!("connector-consumer-{}-{}", spec.connector, spec.id),
        })?;
        let converter =
            |role| ConverterConfig::of(role, config, &spec.worker.converters)?.open(spec.registry.as_ref());
        let max_records = match config.get("consumer.override.max.poll.records") {
            None => MAX_RECORDS,
            Some(_) => config.number::<usize>("consumer.override.max.poll.records")?.max(1),
        };
        Ok(Self {
            writer,
            reader,
            task: spec.plugin.open_sink(spec.context(BTreeMap::new()))?,
            chain: Chain::of(config)?,
            keys: converter(Role::Key)?,
            values: converter(Role::Value)?,
            topics: SinkTopics::new(spec)?,
            bad: BadInput::new(spec)?,
            max_records,
            group: GroupMember::offsets_only(group_of(&spec.connector)),
            pending: BTreeMap::new(),
            committed: Instant::now(),
            spec,
        })
    }

    fn work(&mut self) -> Result<(), Failure> {
        let shared = &self.spec.shared;
        while !shared.stop.is_set() {
            if shared.is_pausing() {
                self.commit()?;
                shared.paused();
                if !shared.stop.is_set() {
                    shared.set_state(State::Running, None);
                }
                continue;
            }
            for (at, offset) in self.topics.look(self.spec, self.reader.as_mut())? {
                self.pending.entry(at).or_insert(offset);
            }
            match self.reader.poll(MAX_BYTES, self.wait()) {
                Ok(None) => {}
                Ok(Some(records)) => self.deliver(&records)?,
                Err(ClusterError::OffsetOutOfRange { partition, offset, .. }) => {
                    self.topics.out_of_range(self.spec, self.reader.as_mut(), &partition, offset)?;
                }
                Err(error) => return Err(error.into()),
            }
            if self.is_due() {
                self.commit()?;
                shared.set_state(State::Running, None);
            }
        }
        self.commit()
    }

    fn wait(&self) -> Duration {
        if self.pending.is_empty() {
            return POLL;
        }
        self.spec.worker.offset_flush_interval.saturating_sub(self.committed.elapsed()).min(POLL)
    }

    fn is_due(&self) -> bool {
        let pending = !self.pending.is_empty();
        !self.bad.is_empty() || pending && self.committed.elapsed() >= self.spec.worker.offset_flush_interval
    }

    fn commit(&mut self) -> Result<(), Failure> {
        if self.pending.is_empty() && self.bad.is_empty() {
            return Ok(());
        }
        self.bad.append(self.writer.as_mut())?;
        let offsets: Vec<_> = self.pending.iter().map(|(at, offset)| (at.clone(), *offset)).collect();
        commit(self.spec, self.writer.as_mut(), &offsets, Some(&self.group))?;
        self.bad.committed();
        self.pending.clear();
        self.committed = Instant::now();
        Ok(())
    }

    fn deliver(&mut self, records: &Records) -> Result<(), Failure> {
        let mut start = 0;
        while start < records.len() {
            let end = records.len().min(start + self.max_records);
            self.put(records, start..end)?;
            let next = match records.offsets.get(end) {
                Some(next) => *next,
                None => records.next_offset,
            };
            self.pending.insert(records.partition.clone(), next);
            start = end;
            // What was put is delivered: a stop need not wait for the rest.
            if self.spec.shared.stop.is_set() {
                return Ok(());
            }
        }
        self.pending.insert(records.partition.clone(), records.next_offset);
        Ok(())
    }

    fn put(&mut self, records: &Records, range: Range<usize>) -> Result<(), Failure> {
        let metrics = &self.spec.shared.metrics;
        metrics.read(range.len());
        let start = range.start;
        let batches = decode(records, range, self.keys.as_mut(), self.values.as_mut(), &mut self.bad)?;
        for (batch, offsets) in batches {
            let place = |offset: i64| records.offsets.partition_point(|o| *o < offset).max(start);
            let done = self.chain.apply(batch, offsets.clone());
            for (origin, class, reason) in &done.failed {
                let at = offsets.get(*origin as usize).map_or(start, |offset| place(*offset));
                refuse(&mut self.bad, records, at, Stage::Transformation, class, reason, &[])?;
            }
            for flow in done.flows {
                let batch = SinkBatch { batch: flow.batch, offsets: flow.offsets };
                let rejected = self.task.put(&batch)?;
                metrics.sent(batch.len().saturating_sub(rejected.len()));
                for rejected in rejected {
                    let at = batch.offsets.get(rejected.index).map_or(start, |offset| place(*offset));
                    let class = self.spec.plugin.class();
                    refuse(
                        &mut self.bad,
                        records,
                        at,
                        Stage::TaskPut,
                        class,
                        &rejected.reason,
                        &rejected.headers,
                    )?;
                }
            }
        }
        Ok(())
    }
}
