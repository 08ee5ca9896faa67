//! A source's task: poll, transform, convert, and one transaction for each poll.

use super::bad::{Bad, BadInput, Stage};
use super::topics::Topics;
use super::{Failure, POLL, TaskSpec, commit, transactional_id};
use crate::convert::{Converter, ConverterConfig};
use crate::sdk::{Batch, Cells, Header, Polled, SourceTask};
use crate::store::{State, now_ms};
use crate::transform::{Chain, Flow};
use bd_cluster::{RecordsBuilder, TopicPartition, Writer, WriterConfig, partition_of_key};
use bd_schema::{Codec, JsonCodec, Role};
use indexmap::IndexMap;
use std::sync::Arc;
use std::time::Duration;

/// How long open transactions of the offset topic are waited for; one whose writer is gone lasts a minute.
const OFFSETS: Duration = Duration::from_secs(75);
/// Records of one partition are handed over when they are so large together.
const PART: usize = 8 << 20;

struct Source<'a> {
    spec: &'a TaskSpec,
    writer: Box<dyn Writer>,
    task: Box<dyn SourceTask>,
    chain: Chain,
    keys: Box<dyn Converter>,
    values: Box<dyn Converter>,
    topics: Topics,
    bad: BadInput<'a>,
    /// The partition for records without key, one a poll.
    sticky: usize,
}

/// Runs until it is stopped.
pub(super) fn run(spec: &TaskSpec) -> Result<(), Failure> {
    if spec.shared.paused() && spec.shared.stop.is_set() {
        return Ok(());
    }
    let mut source = Source::open(spec)?;
    if spec.shared.state().0 != State::Restarting {
        spec.shared.set_state(State::Running, None);
    }
    let result = source.work();
    if result.is_err()
        && let Err(error) = source.writer.abort()
    {
        tracing::warn!(connector = spec.connector, task = spec.id, %error, "the open transaction is left to the next start");
    }
    result
}

impl<'a> Source<'a> {
    fn open(spec: &'a TaskSpec) -> Result<Self, Failure> {
        // Opening the writer settles what a predecessor left open, so the offsets are read after it.
        let writer = spec.cluster.open_writer(WriterConfig {
            transactional_id: Some(transactional_id(&spec.worker.group_id, &spec.connector, spec.id)),
            client_id: format!("connector-producer-{}-{}", spec.connector, spec.id),
            ..WriterConfig::default()
        })?;
        let (offsets, whole) = spec.offsets.read(&spec.connector, OFFSETS, &spec.shared.stop)?;
        if !whole {
            return Err(Failure::retriable(format!(
                "the topic {} holds an open transaction, so the source's offsets are not known yet",
                spec.worker.offset_topic
            )));
        }
        let config = &spec.config;
        let converter =
            |role| ConverterConfig::of(role, config, &spec.worker.converters)?.open(spec.registry.as_ref());
        Ok(Self {
            writer,
            task: spec.plugin.open_source(spec.context(offsets))?,
            chain: Chain::of(config)?,
            keys: converter(Role::Key)?,
            values: converter(Role::Value)?,
            topics: Topics::new(config, spec.worker.replication_factor)?,
            bad: BadInput::new(spec)?,
            sticky: 0,
            spec,
        })
    }

    fn work(&mut self) -> Result<(), Failure> {
        let shared = &self.spec.shared;
        while !shared.stop.is_set() {
            if shared.paused() {
                if !shared.stop.is_set() {
                    shared.set_state(State::Running, None);
                }
                continue;
            }
            let polled = self.task.poll(POLL)?;
            // A task that was opened again is well when it has polled.
            shared.set_state(State::Running, None);
            let Some(polled) = polled else { continue };
            self.write(polled)?;
            self.task.committed()?;
        }
        Ok(())
    }

    /// One transaction.
    fn write(&mut self, polled: Polled) -> Result<(), Failure> {
        let records = polled.batches.iter().map(Batch::len).sum::<usize>() + polled.rejected.len();
        self.spec.shared.metrics.polled(records);
        for rejected in &polled.rejected {
            self.bad.add(&Bad {
                stage: Stage::TaskPoll,
                class: self.spec.plugin.class(),
                reason: &rejected.reason,
                key: rejected.key.as_deref(),
                value: rejected.value.as_deref(),
                headers: &rejected.headers,
                topic: None,
                place: None,
                timestamp: None,
            })?;
        }
        let mut parts = Parts::default();
        for batch in polled.batches {
            self.batch(batch, &mut parts)?;
        }
        let committing = self.spec.offsets.begin();
        for (at, records) in std::mem::take(&mut parts.open) {
            self.writer.append(&at, records)?;
        }
        self.bad.append(self.writer.as_mut())?;
        self.spec.offsets.append(self.writer.as_mut(), &self.spec.connector, &polled.offsets)?;
        commit(self.spec, self.writer.as_mut(), &[], None)?;
        drop(committing);
        self.bad.committed();
        self.spec.shared.metrics.written(parts.records);
        Ok(())
    }

    fn batch(&mut self, batch: Batch, parts: &mut Parts) -> Result<(), Failure> {
        let original = self.bad.keeps_records().then(|| batch.clone());
        let topic = Arc::clone(&batch.topic);
        let done = self.chain.apply(batch, Vec::new());
        for (origin, class, reason) in &done.failed {
            match &original {
                Some(original) => {
                    let bad = BadRow::of(original, *origin as usize);
                    self.bad.add(&bad.input(original, Stage::Transformation, class, reason))?;
                }
                None => {
                    let none = Batch::new(Arc::clone(&topic), Cells::Null(0));
                    self.bad.add(&BadRow::of(&none, 0).input(&none, Stage::Transformation, class, reason))?;
                }
            }
        }
        for flow in &done.flows {
            self.flow(flow, parts)?;
        }
        Ok(())
    }

    fn flow(&mut self, flow: &Flow, parts: &mut Parts) -> Result<(), Failure> {
        let batch = &flow.batch;
        let keys = self.keys.encode(&batch.topic, &batch.keys)?;
        let values = self.values.encode(&batch.topic, &batch.values)?;
        let count =
            usize::try_from(self.topics.partitions(self.spec.cluster.as_ref(), &batch.topic)?).unwrap_or(1);
        self.spec.statuses.topic(&self.spec.connector, self.spec.id, &batch.topic, None);
        self.sticky = self.sticky.wrapping_add(1);
        let now = now_ms();
        let mut failed: Vec<(usize, Stage, &'static str, &str)> = Vec::new();
        failed.extend(
            keys.failed.iter().map(|(i, r)| (*i, Stage::KeyConverter, self.keys.class(), r.as_str())),
        );
        failed.extend(
            values.failed.iter().map(|(i, r)| (*i, Stage::ValueConverter, self.values.class(), r.as_str())),
        );
        let mut refused = vec![false; if failed.is_empty() { 0 } else { flow.len() }];
        for (i, stage, class, reason) in failed {
            if std::mem::replace(&mut refused[i], true) {
                continue;
            }
            let bad = BadRow::of(batch, i);
            self.bad.add(&bad.input(batch, stage, class, reason))?;
        }
        for i in 0..flow.len() {
            if refused.get(i).is_some_and(|r| *r) {
                continue;
            }
            let key = keys.get(i);
            let partition = match (batch.partition, key) {
                (Some(partition), _) => partition,
                (None, Some(key)) => i32::try_from(partition_of_key(key, count)).unwrap_or(0),
                (None, None) => i32::try_from(self.sticky % count.max(1)).unwrap_or(0),
            };
            let headers: Vec<(&str, Option<&[u8]>)> = match batch.headers.get(i) {
                Some(headers) => headers.iter().map(|(n, v)| (n.as_str(), v.as_deref())).collect(),
                None => Vec::new(),
            };
            let builder = parts.of(&batch.topic, partition);
            builder.push(key, values.get(i), batch.timestamps.get(i).copied().unwrap_or(now), &headers);
            if builder.bytes() > PART {
                let part = builder.take();
                self.writer.append(&TopicPartition::new(Arc::clone(&batch.topic), partition), part)?;
            }
            parts.records += 1;
        }
        Ok(())
    }
}

/// The records of a transaction by their partition, in the order in which the partitions came up.
#[derive(Default)]
struct Parts {
    open: IndexMap<TopicPartition, RecordsBuilder>,
    records: usize,
}

impl Parts {
    fn of(&mut self, topic: &Arc<str>, partition: i32) -> &mut RecordsBuilder {
        self.open.entry(TopicPartition::new(Arc::clone(topic), partition)).or_default()
    }
}

/// A record of a source that was refused, in bytes as well as that goes: JSON of its rows.
struct BadRow {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<Header>,
    timestamp: Option<i64>,
}

impl BadRow {
    fn of(batch: &Batch, i: usize) -> Self {
        Self {
            key: raw(&batch.keys, i),
            value: raw(&batch.values, i),
            headers: batch.headers.get(i).cloned().unwrap_or_default(),
            timestamp: batch.timestamps.get(i).copied(),
        }
    }

    fn input<'b>(&'b self, batch: &'b Batch, stage: Stage, class: &'b str, reason: &'b str) -> Bad<'b> {
        Bad {
            stage,
            class,
            reason,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &self.headers,
            topic: Some(&batch.topic),
            place: None,
            timestamp: self.timestamp,
        }
    }
}

fn raw(cells: &Cells, i: usize) -> Option<Vec<u8>> {
    match cells {
        Cells::Null(_) => None,
        Cells::Bytes(cells) => cells.get(i)?.clone(),
        Cells::Rows { schema, rows } => {
            let mut out = Vec::new();
            let codec = JsonCodec::new(schema.columns().into_owned());
            codec.encode_row(rows.get(i)?.as_ref()?, &mut out).ok()?;
            Some(out)
        }
        Cells::Arrow { schema, batch } => {
            let one = Cells::Arrow {
                schema: Arc::clone(schema),
                batch: batch.slice(i.min(batch.num_rows()), 1.min(batch.num_rows().saturating_sub(i))),
            };
            match one.into_rows() {
                Ok(rows @ Cells::Rows { .. }) => raw(&rows, 0),
                _ => None,
            }
        }
    }
}
