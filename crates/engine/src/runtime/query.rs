//! A query at work: one thread, one reader, one chain, one transactional writer.
//!
//! # A life
//! ```text
//!  open writer (settles the predecessor's transaction) ─▶ committed offsets ─▶ restore the changelog
//!    ─▶ load lookup tables to their captured ends ─▶ ┌ poll ─▶ decode ─▶ chain ─▶ sink ┐ ─▶ End of all inputs ─▶ COMPLETED
//!                                                    └──────── barrier: commit ◀──────┘
//! ```
//! # A barrier
//! flush the chain, append outputs, dead and late records, changed state, watermarks; commit them with the offsets. All or nothing:
//! after a crash the next start restores the state of the last commit and reads on from its offsets.

use super::chain::Chain;
use super::changelog::{self, ChangelogWriter, Kind, QUERY_NODE};
use super::input::{Input, Rejected};
use super::sink::Sink;
use super::status::{QueryState, QueryStatus};
use super::watermarks::{self, Adopter, Mark};
use crate::chunk::Chunk;
use crate::error::EngineError;
use crate::operator::StateWriter;
use crate::operators::UpsertMap;
use bd_cluster::{
    Ack, Cluster, CommitError, GroupMember, Isolation, NewTopic, OffsetSpec, Reader, ReaderConfig, Records,
    RecordsBuilder, TopicPartition, Writer, WriterConfig,
};
use bd_sql::catalog::{SourceDef, SourceKind};
use bd_sql::plan::{Node, Plan};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Why a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was told to stop.
    Stopped,
    /// All its inputs have ended.
    Completed,
}

/// Where a query's rows go.
pub enum Destination {
    /// A persistent query: a topic, with state, offsets and watermarks, exactly once.
    Topic(Arc<SourceDef>),
    /// A push query: whoever waits at the other end; `false` ends the query. No state outlives it.
    Client {
        /// Takes rows.
        send: Box<dyn FnMut(Chunk) -> bool + Send>,
        /// Read topics from their beginning, not from now on.
        from_beginning: bool,
    },
}

/// How queries run.
#[derive(Clone)]
pub struct QueryConfig {
    /// The time between barriers.
    pub commit_interval: Duration,
    /// Cut what is read into chunks of so many rows (tests of what must not matter); `None` takes what a poll gives.
    pub batch_rows: Option<usize>,
    /// At most about so many bytes a poll.
    pub poll_bytes: usize,
    /// Told of each step (`barrier`, `commit`, `committed`) before it is done: where tests kill the process.
    pub on_step: Option<Arc<dyn Fn(&str) + Send + Sync>>,
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self { commit_interval: Duration::from_millis(100), batch_rows: None, poll_bytes: 1 << 20, on_step: None }
    }
}

/// What a query needs of the world around it.
pub struct QueryContext {
    /// The log.
    pub cluster: Arc<dyn Cluster>,
    /// How it runs.
    pub config: QueryConfig,
    /// What it does.
    pub plan: Plan,
    /// What others see of it and tell it.
    pub status: Arc<QueryStatus>,
    /// The queries that fill the derived tables it looks rows up in; it waits until they are loaded.
    pub producers: Vec<Arc<QueryStatus>>,
    /// Names (lower case) of the sources whose dead and late records this query writes.
    pub rejects_of: Vec<String>,
}

/// A source within a query.
struct SourceInput {
    input: Input,
    uses: Vec<Use>,
    /// Looked up in by a join only.
    lookup: bool,
    parts: Vec<Part>,
    writes_rejects: bool,
}

/// One scan of a source.
struct Use {
    leaf: usize,
    /// The scan's columns (and its time) in the input's chunks.
    places: Vec<usize>,
    table: Option<UpsertMap>,
}

/// One partition of a source.
struct Part {
    tp: TopicPartition,
    position: i64,
    /// What the last commit said; rejects before it are written already.
    committed: i64,
    max_time: i64,
    /// `max_time` at the last barrier.
    saved_time: i64,
    /// Where a drain ends.
    end: Option<i64>,
    /// The last stable offset as last seen.
    stable: i64,
    paused: bool,
    last_data: Instant,
}

/// A partition may run so far ahead (ms of event time) of a slower one that has records to read.
const MAX_AHEAD_MS: i64 = 3_600_000;
const ACK_WAIT: Duration = Duration::from_secs(60);
const MAX_PENDING_BYTES: usize = 16 << 20;

struct TopicOutput {
    writer: Box<dyn Writer>,
    sink: Sink,
    group: GroupMember,
    changelog: TopicPartition,
    bytes_since_full: u64,
    full_bytes: u64,
    ends: Vec<i64>,
    /// The watermark last written; it never falls.
    watermark: i64,
    completed: bool,
}

/// See the module's documentation.
pub struct Task {
    context: Arc<QueryContext>,
    chain: Chain,
    reader: Box<dyn Reader>,
    inputs: Vec<SourceInput>,
    by_partition: HashMap<TopicPartition, Vec<(usize, usize)>>,
    adopter: Adopter,
    output: Option<TopicOutput>,
    client: Option<Box<dyn FnMut(Chunk) -> bool + Send>>,
    client_gone: bool,
    rejects: BTreeMap<String, RecordsBuilder>,
    rows: Vec<Chunk>,
    /// The greatest event time seen: the timestamp of records that have none of their own.
    stream_time: i64,
    dirty: bool,
    drain_seen: bool,
    /// Nothing may be committed before.
    tables_loaded: bool,
}

/// The changelog topic of a query.
pub fn changelog_topic(query: &str) -> String {
    format!("_bd_{query}_changelog")
}

/// The group under which a query commits its offsets.
pub fn group_of(query: &str) -> String {
    format!("_bd_{query}")
}

impl Task {
    /// Opens the writer, restores the state of the last commit and loads the lookup tables.
    ///
    /// # Errors
    /// The cluster's, or state that cannot be read.
    pub fn open(context: Arc<QueryContext>, destination: Destination) -> Result<Self, EngineError> {
        let cluster = context.cluster.clone();
        let chain = Chain::new(&context.plan)?;
        let reader_config =
            ReaderConfig { isolation: Isolation::ReadCommitted, client_id: format!("bd-{}", context.status.id) };
        let reader = cluster.open_reader(reader_config.clone())?;
        let (mut output, mut client, mut from_beginning) = (None, None, true);
        match destination {
            Destination::Topic(def) => output = Some(open_output(&context, &def)?),
            Destination::Client { send, from_beginning: from } => {
                client = Some(send);
                from_beginning = from;
            }
        }
        let inputs = open_inputs(&context, &chain, output.is_some(), from_beginning)?;
        let mut task = Self {
            chain,
            reader,
            inputs,
            by_partition: HashMap::new(),
            adopter: Adopter::default(),
            output: None,
            client,
            client_gone: false,
            rejects: BTreeMap::new(),
            rows: Vec::new(),
            stream_time: 0,
            dirty: false,
            drain_seen: false,
            tables_loaded: false,
            context,
        };
        if let Some(output) = &mut output {
            task.restore(output)?;
        }
        task.output = output;
        if task.is_completed() {
            return Ok(task);
        }
        let mut loader = cluster.open_reader(reader_config)?;
        task.tables_loaded = task.load_tables(loader.as_mut())?;
        task.start_reading()?;
        Ok(task)
    }

    /// Whether an earlier life of the query has read its inputs to their ends.
    pub fn is_completed(&self) -> bool {
        self.output.as_ref().is_some_and(|o| o.completed)
    }

    fn restore(&mut self, output: &mut TopicOutput) -> Result<(), EngineError> {
        let cluster = self.context.cluster.clone();
        let start = cluster.offset(&output.changelog, OffsetSpec::Earliest)?;
        let end = cluster.offset(&output.changelog, OffsetSpec::Stable)?;
        let mut reader = cluster.open_reader(ReaderConfig::default())?;
        reader.assign(&output.changelog, start)?;
        let mut position = start;
        while position < end {
            let Some(records) = reader.poll(8 << 20, Duration::from_secs(5))? else { continue };
            for record in records.iter() {
                let value = record.value.unwrap_or_default();
                let (kind, entries) = changelog::read_record(value)?;
                if kind == Kind::FullStart {
                    self.chain = Chain::new(&self.context.plan)?;
                    output.full_bytes = 0;
                    output.bytes_since_full = 0;
                }
                let bytes = if kind == Kind::Changes { &mut output.bytes_since_full } else { &mut output.full_bytes };
                *bytes += value.len() as u64;
                for (node, key, value) in entries {
                    if node == QUERY_NODE {
                        self.restore_query_entry(output, key, value)?;
                    } else {
                        self.chain.restore(node, key, value)?;
                    }
                }
            }
            position = records.next_offset;
        }
        Ok(())
    }

    fn restore_query_entry(
        &mut self,
        output: &mut TopicOutput,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), EngineError> {
        let corrupt = || EngineError::Corrupt {
            what: format!("state of query {}", self.context.status.id),
            reason: format!("entry {}", String::from_utf8_lossy(key)),
        };
        let number = i64::from_le_bytes(value.and_then(|v| v.try_into().ok()).ok_or_else(corrupt)?);
        match std::str::from_utf8(key).map_err(|_| corrupt())? {
            "completed" => output.completed = true,
            "stream_time" => self.stream_time = number,
            "watermark" => output.watermark = number,
            key => {
                // A partition's greatest event time; of one that is read no more it is of no use.
                let parts = self.inputs.iter_mut().flat_map(|i| &mut i.parts);
                for part in parts.filter(|p| key == time_key(&p.tp)) {
                    part.max_time = number;
                    part.saved_time = number;
                }
            }
        }
        Ok(())
    }

    /// Reads tables before anything else: those that are looked up in to their captured ends, a table that drives the query up to
    /// what was committed (its rows were handled already; the next change needs to know the row before it). False where the
    /// query was told to stop meanwhile.
    fn load_tables(&mut self, loader: &mut dyn Reader) -> Result<bool, EngineError> {
        for producer in self.context.producers.clone() {
            while !producer.is_loaded() {
                if self.context.status.must_stop() {
                    return Ok(false);
                }
                producer.wait_change(Duration::from_millis(50));
            }
        }
        let cluster = self.context.cluster.clone();
        let mut targets = HashMap::new();
        for (i, input) in self.inputs.iter_mut().enumerate() {
            if input.input.source.kind != SourceKind::Table {
                continue;
            }
            for (p, part) in input.parts.iter_mut().enumerate() {
                let start = cluster.offset(&part.tp, OffsetSpec::Earliest)?;
                let target = if input.lookup { cluster.offset(&part.tp, OffsetSpec::Stable)? } else { part.position };
                part.position = start;
                if start < target {
                    loader.assign(&part.tp, start)?;
                    targets.insert(part.tp.clone(), (i, p, target));
                }
            }
        }
        while !targets.is_empty() {
            if self.context.status.must_stop() {
                return Ok(false);
            }
            let Some(records) = loader.poll(self.context.config.poll_bytes, Duration::from_millis(100))? else {
                continue;
            };
            let Some((i, p, target)) = targets.get(&records.partition).copied() else { continue };
            let (records, _) = split_at(records, target);
            self.table_records(i, p, &records, self.inputs[i].lookup)?;
            let part = &mut self.inputs[i].parts[p];
            part.position = records.next_offset.min(target);
            if records.next_offset >= target {
                part.position = target;
                loader.unassign(&records.partition);
                targets.remove(&records.partition);
            }
        }
        Ok(true)
    }

    fn start_reading(&mut self) -> Result<(), EngineError> {
        let mut derived = false;
        for (i, input) in self.inputs.iter().enumerate() {
            derived |= input.input.source.query.is_some();
            for (p, part) in input.parts.iter().enumerate() {
                self.by_partition.entry(part.tp.clone()).or_default().push((i, p));
                self.reader.assign(&part.tp, part.position)?;
                if input.input.source.query.is_some() {
                    self.adopter.watch(&part.tp, part.position);
                }
            }
        }
        if derived {
            let marks = TopicPartition::new(watermarks::TOPIC, 0);
            let start = self.context.cluster.offset(&marks, OffsetSpec::Earliest)?;
            self.reader.assign(&marks, start)?;
        }
        Ok(())
    }

    /// Runs until the query is stopped or its inputs have ended.
    ///
    /// # Errors
    /// The cluster's, or a flaw of the plan; the caller opens the task again, or gives up.
    pub fn run(mut self) -> Result<Ended, EngineError> {
        if self.is_completed() {
            self.context.status.set_loaded();
            return Ok(Ended::Completed);
        }
        if !self.tables_loaded {
            return Ok(Ended::Stopped);
        }
        self.context.status.set_state(QueryState::Running);
        let targets = self.captured_ends()?;
        let mut barrier_at = Instant::now() + self.context.config.commit_interval;
        loop {
            if self.context.status.must_stop() || self.client_gone {
                self.barrier(false)?;
                return Ok(Ended::Stopped);
            }
            self.look_at_drain();
            let now = Instant::now();
            let idle = Duration::from_millis(if self.drain_seen { 5 } else { 100 });
            let wait = if self.dirty { barrier_at.saturating_duration_since(now).min(idle) } else { idle };
            if let Some(records) = self.reader.poll(self.context.config.poll_bytes, wait)? {
                self.take(records)?;
            }
            self.advance()?;
            self.balance()?;
            self.deliver()?;
            let ended = self.inputs.iter().filter(|i| !i.lookup).all(|i| self.leaf_end(i));
            if ended {
                self.barrier(true)?;
                self.context.status.set_loaded();
                return Ok(Ended::Completed);
            }
            let full = self.output.as_ref().is_some_and(|o| o.sink.pending_bytes() > MAX_PENDING_BYTES);
            if self.dirty && (full || Instant::now() >= barrier_at) {
                self.barrier(false)?;
            }
            if !self.dirty {
                barrier_at = Instant::now() + self.context.config.commit_interval;
                if targets.iter().all(|(i, p, end)| self.inputs[*i].parts[*p].position >= *end) {
                    self.context.status.set_loaded();
                }
            }
        }
    }

    /// The ends of the driving inputs now: what is there when a table that depends on this query asks for it.
    fn captured_ends(&mut self) -> Result<Vec<(usize, usize, i64)>, EngineError> {
        let mut ends = Vec::new();
        for (i, input) in self.inputs.iter_mut().enumerate() {
            for (p, part) in input.parts.iter_mut().enumerate() {
                let end = self.context.cluster.offset(&part.tp, OffsetSpec::Stable)?;
                part.stable = end;
                if !input.lookup {
                    ends.push((i, p, end));
                }
            }
        }
        Ok(ends)
    }

    fn look_at_drain(&mut self) {
        if self.drain_seen {
            return;
        }
        let Some(ends) = self.context.status.drain() else { return };
        self.drain_seen = true;
        for input in self.inputs.iter_mut().filter(|i| i.input.source.query.is_none()) {
            for part in &mut input.parts {
                // A partition that was not there when the ends were captured has nothing to be read.
                part.end = Some(ends.get(&part.tp).copied().unwrap_or(0));
            }
        }
    }

    fn take(&mut self, records: Records) -> Result<(), EngineError> {
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
        let rows = input.input.stream_rows(records, &mut input.parts[p].max_time)?;
        self.stream_time = self.stream_time.max(input.parts[p].max_time);
        let dead_topic = input.input.source.dead_letter_topic.clone();
        let late_topic = input.input.source.late_topic.clone();
        for one in &input.uses {
            let columns = one.places.iter().map(|c| rows.chunk.columns[*c].clone()).collect();
            self.chain.push(one.leaf, rows.chunk.with_columns(columns), &mut self.rows)?;
        }
        let metrics = &self.context.status.metrics;
        metrics.dead_letters.fetch_add(rows.dead.len() as u64, Ordering::Relaxed);
        metrics.late_rows.fetch_add(rows.late.len() as u64, Ordering::Relaxed);
        self.reject(i, p, records, &rows.dead, dead_topic, "org.apache.kafka.connect.errors.DataException");
        self.reject(i, p, records, &rows.late, late_topic, "bd.LateRow");
        Ok(())
    }

    fn table_records(&mut self, i: usize, p: usize, records: &Records, emit: bool) -> Result<(), EngineError> {
        let input = &mut self.inputs[i];
        let rows = input.input.table_rows(records)?;
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
        self.context.status.metrics.dead_letters.fetch_add(rows.dead.len() as u64, Ordering::Relaxed);
        self.reject(i, p, records, &rows.dead, dead_topic, "org.apache.kafka.connect.errors.DataException");
        Ok(())
    }

    /// Queues records for a dead-letter or late topic, with Kafka Connect's headers.
    fn reject(&mut self, i: usize, p: usize, records: &Records, rows: &[Rejected], topic: String, class: &str) {
        let input = &self.inputs[i];
        if rows.is_empty() || !input.writes_rejects || self.output.is_none() {
            return;
        }
        let committed = input.parts[p].committed;
        let builder = self.rejects.entry(topic).or_default();
        for row in rows {
            let at = row.index as usize;
            if records.offsets[at] < committed {
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
        }
    }

    /// Raises the watermarks of the scans.
    fn advance(&mut self) -> Result<(), EngineError> {
        for i in 0..self.inputs.len() {
            if self.inputs[i].lookup {
                continue;
            }
            let mut least = i64::MAX;
            let source = self.inputs[i].input.source.clone();
            for p in 0..self.inputs[i].parts.len() {
                let part = &self.inputs[i].parts[p];
                let (tp, position) = (part.tp.clone(), part.position);
                let ended = part.end.is_some_and(|end| position >= end);
                let idle = source.idle_timeout_ms.is_some_and(|ms| {
                    position >= part.stable && part.last_data.elapsed() >= Duration::from_millis(ms.max(0) as u64)
                });
                let of_part = if ended || idle {
                    i64::MAX
                } else if source.query.is_some() {
                    self.adopter.watermark(&tp, position)
                } else if source.kind == SourceKind::Table || part.max_time == i64::MIN {
                    i64::MIN
                } else {
                    part.max_time.saturating_sub(source.lateness_ms)
                };
                least = least.min(of_part);
            }
            if least == i64::MAX && !self.leaf_end(&self.inputs[i]) {
                // All partitions are idle: the source holds its watermark.
                continue;
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
    fn leaf_end(&self, input: &SourceInput) -> bool {
        let derived = input.input.source.query.is_some();
        input.parts.iter().all(|part| {
            if derived {
                self.adopter.peek(&part.tp) == i64::MAX
            } else {
                part.end.is_some_and(|end| part.position >= end)
            }
        })
    }

    /// Pauses partitions that run ahead of slower ones with records to read, so that state stays bounded.
    fn balance(&mut self) -> Result<(), EngineError> {
        let streams = || self.inputs.iter().filter(|i| i.input.source.kind == SourceKind::Stream);
        if streams().map(|i| i.parts.len()).sum::<usize>() < 2 {
            return Ok(());
        }
        let unread = |part: &&Part| part.position < part.end.unwrap_or(part.stable).min(part.stable);
        let slowest = streams().flat_map(|i| &i.parts).filter(unread).map(|p| p.max_time).min();
        let limit = slowest.map_or(i64::MAX, |t| t.saturating_add(MAX_AHEAD_MS));
        for input in self.inputs.iter_mut().filter(|i| i.input.source.kind == SourceKind::Stream) {
            for part in &mut input.parts {
                let pause = part.max_time > limit;
                if pause == part.paused {
                    continue;
                }
                part.paused = pause;
                let tp = std::slice::from_ref(&part.tp);
                if pause { self.reader.pause(tp)? } else { self.reader.resume(tp)? };
            }
        }
        Ok(())
    }

    /// Hands the rows at the root to the sink or the client.
    fn deliver(&mut self) -> Result<(), EngineError> {
        for chunk in self.rows.drain(..) {
            self.context.status.metrics.rows_out.fetch_add(chunk.len as u64, Ordering::Relaxed);
            if let Some(output) = &mut self.output {
                output.sink.add(&chunk, self.stream_time)?;
            } else if let Some(send) = &mut self.client {
                self.client_gone |= !send(chunk);
            }
        }
        Ok(())
    }

    fn step(&self, name: &str) {
        if let Some(on_step) = &self.context.config.on_step {
            on_step(name);
        }
    }

    fn barrier(&mut self, last: bool) -> Result<(), EngineError> {
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
        let full = output.bytes_since_full > changelog::MIN_CHANGES.max(2 * output.full_bytes);
        let state = self.changed_state(output, full, last)?;
        let state_bytes = state.bytes() as u64;
        let state_ack = if state.is_empty() { None } else { Some(output.writer.append(&output.changelog, state)?) };
        for (partition, ack) in acks {
            output.ends[partition] = ack.wait(ACK_WAIT)?.last_offset + 1;
        }
        let mut marks = RecordsBuilder::new();
        let watermark = if last { i64::MAX } else { self.chain.output_watermark() };
        output.watermark = output.watermark.max(watermark);
        for (tp, end) in output.sink.partitions().iter().zip(&output.ends) {
            let mark = Mark { end: *end, watermark: output.watermark };
            watermarks::write(&mut marks, tp, mark, now)?;
        }
        output.writer.append(&TopicPartition::new(watermarks::TOPIC, 0), marks)?;
        let mut offsets = Vec::new();
        for part in self.inputs.iter().flat_map(|i| &i.parts) {
            offsets.push((part.tp.clone(), part.position));
        }
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
            part.committed = part.position;
            part.saved_time = part.max_time;
        }
        if !full {
            output.bytes_since_full += state_bytes;
        } else if let Some(ack) = state_ack {
            // What came before the snapshot is void now.
            output.full_bytes = state_bytes;
            output.bytes_since_full = 0;
            let base = ack.wait(ACK_WAIT)?.base_offset;
            self.context.cluster.trim(&output.changelog, base)?;
        }
        Ok(())
    }

    fn changed_state(&mut self, output: &TopicOutput, full: bool, last: bool) -> Result<RecordsBuilder, EngineError> {
        let mut state = ChangelogWriter::new(full, self.stream_time);
        for part in self.inputs.iter().flat_map(|i| &i.parts) {
            if part.max_time != i64::MIN && (full || part.max_time != part.saved_time) {
                state.put(time_key(&part.tp).as_bytes(), Some(&part.max_time.to_le_bytes()));
            }
        }
        state.put(b"stream_time", Some(&self.stream_time.to_le_bytes()));
        let watermark = output.watermark.max(self.chain.output_watermark());
        state.put(b"watermark", Some(&watermark.to_le_bytes()));
        if last {
            state.put(b"completed", Some(&1i64.to_le_bytes()));
        }
        self.chain.snapshot(full, &mut state)?;
        Ok(state.finish())
    }
}

fn time_key(tp: &TopicPartition) -> String {
    format!("time/{}/{}", tp.topic, tp.partition)
}

fn open_output(context: &QueryContext, def: &SourceDef) -> Result<TopicOutput, EngineError> {
    let cluster = &context.cluster;
    let id = &context.status.id;
    let writer = cluster.open_writer(WriterConfig {
        transactional_id: Some(format!("bd-{id}")),
        transaction_timeout: Duration::from_secs(60),
        client_id: format!("bd-{id}"),
    })?;
    let keep = NewTopic::new(changelog_topic(id), 1).with("retention.ms", "-1");
    ensure_topic(cluster.as_ref(), keep)?;
    let info = cluster
        .topic(&def.topic)?
        .ok_or_else(|| bd_cluster::ClusterError::UnknownTopic(def.topic.clone()))?;
    let sink = Sink::new(def, &context.plan, info.partitions)?;
    let ends = sink
        .partitions()
        .iter()
        .map(|tp| cluster.offset(tp, OffsetSpec::Stable))
        .collect::<Result<_, _>>()?;
    Ok(TopicOutput {
        writer,
        sink,
        group: GroupMember::offsets_only(group_of(id)),
        changelog: TopicPartition::new(changelog_topic(id), 0),
        bytes_since_full: 0,
        full_bytes: 0,
        ends,
        watermark: i64::MIN,
        completed: false,
    })
}

/// Creates a topic unless it is there.
///
/// # Errors
/// The cluster's.
pub fn ensure_topic(cluster: &dyn Cluster, topic: NewTopic) -> Result<(), EngineError> {
    if cluster.topic(&topic.name)?.is_some() {
        return Ok(());
    }
    match cluster.create_topic(&topic) {
        Ok(()) | Err(bd_cluster::ClusterError::TopicExists(_)) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn open_inputs(
    context: &QueryContext,
    chain: &Chain,
    persistent: bool,
    from_beginning: bool,
) -> Result<Vec<SourceInput>, EngineError> {
    let cluster = &context.cluster;
    let mut by_source: BTreeMap<String, (Arc<SourceDef>, Vec<(usize, Vec<usize>, bool)>)> = BTreeMap::new();
    for (leaf, scan) in chain.leaves().iter().enumerate() {
        let (source, columns, rowtime) = match &scan.plan.node {
            Node::StreamScan { source, columns } => (source, columns, true),
            Node::TableScan { source, columns, rowtime } => (source, columns, *rowtime),
            _ => continue,
        };
        let entry = by_source.entry(source.name.to_ascii_lowercase()).or_insert_with(|| (source.clone(), Vec::new()));
        entry.1.push((leaf, columns.clone(), rowtime));
    }
    let mut inputs = Vec::new();
    for (name, (source, scans)) in by_source {
        let lookup = scans.iter().all(|(leaf, ..)| chain.leaves()[*leaf].lookup);
        if !lookup && scans.iter().any(|(leaf, ..)| chain.leaves()[*leaf].lookup) {
            return Err(EngineError::Unsupported(format!("joining table {} with its own changes", source.name)));
        }
        let input = Input::new(source.clone(), scans.iter().flat_map(|(_, columns, _)| columns.iter().copied()))?;
        let uses = scans
            .iter()
            .map(|(leaf, columns, rowtime)| {
                let mut places = input.places_of(columns);
                if *rowtime {
                    places.push(input.time_place());
                }
                let table = (source.kind == SourceKind::Table).then(|| {
                    let keys = source.key_columns();
                    let key = (0..columns.len()).filter(|i| keys.contains(&columns[*i])).collect();
                    let types: Vec<_> = chain.leaves()[*leaf].plan.columns.iter().map(|f| f.data_type.clone()).collect();
                    UpsertMap::new(key, &types)
                });
                Ok(Use { leaf: *leaf, places, table: table.transpose()? })
            })
            .collect::<Result<Vec<_>, EngineError>>()?;
        let info = cluster
            .topic(&source.topic)?
            .ok_or_else(|| bd_cluster::ClusterError::UnknownTopic(source.topic.clone()))?;
        let tps: Vec<_> = (0..info.partitions).map(|p| TopicPartition::new(source.topic.as_str(), p)).collect();
        let committed =
            if persistent { cluster.committed(&group_of(&context.status.id), &tps)? } else { vec![None; tps.len()] };
        let mut parts = Vec::new();
        for (tp, committed) in tps.into_iter().zip(committed) {
            let from = if from_beginning || lookup { OffsetSpec::Earliest } else { OffsetSpec::Stable };
            let start = cluster.offset(&tp, from)?;
            parts.push(Part {
                position: committed.unwrap_or(start),
                committed: committed.unwrap_or(i64::MIN),
                tp,
                max_time: i64::MIN,
                saved_time: i64::MIN,
                end: None,
                stable: start,
                paused: false,
                last_data: Instant::now(),
            });
        }
        let writes_rejects = context.rejects_of.contains(&name);
        if writes_rejects && persistent && source.query.is_none() {
            ensure_topic(cluster.as_ref(), NewTopic::new(&source.dead_letter_topic, 1))?;
            if source.kind == SourceKind::Stream {
                ensure_topic(cluster.as_ref(), NewTopic::new(&source.late_topic, 1))?;
            }
        }
        inputs.push(SourceInput { input, uses, lookup, parts, writes_rejects });
    }
    Ok(inputs)
}

/// Splits records at an offset: those before it (whose position is then at most `offset`) and the rest.
fn split_at(records: Records, offset: i64) -> (Records, Option<Records>) {
    let rows = records.offsets.partition_point(|o| *o < offset);
    let (mut head, tail) = split_rows(records, rows);
    head.next_offset = head.next_offset.min(offset);
    (head, tail)
}

/// Splits records after so many rows.
fn split_rows(mut records: Records, rows: usize) -> (Records, Option<Records>) {
    if records.len() <= rows {
        return (records, None);
    }
    let mut tail = Records::empty(records.partition.clone(), records.next_offset);
    tail.arena = records.arena.clone();
    tail.last_stable_offset = records.last_stable_offset;
    tail.high_watermark = records.high_watermark;
    tail.offsets = records.offsets.split_off(rows);
    tail.timestamps = records.timestamps.split_off(rows);
    tail.keys = records.keys.split_off(rows);
    tail.values = records.values.split_off(rows);
    if !records.header_ends.is_empty() {
        tail.header_ends = records.header_ends.split_off(rows);
        let cut = records.header_ends.last().copied().unwrap_or(0);
        tail.headers = records.headers.split_off(cut as usize);
        tail.header_ends.iter_mut().for_each(|end| *end -= cut);
    }
    records.next_offset = tail.offsets[0];
    (records, Some(tail))
}
