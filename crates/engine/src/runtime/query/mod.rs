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

mod barrier;
mod open;
mod read;
mod split;

pub use open::ensure_topic;

use super::chain::Chain;
use super::input::Input;
use super::sink::Sink;
use super::status::{DrainEnds, QueryState, QueryStatus};
use super::watermarks::Adopter;
use crate::chunk::Chunk;
use crate::error::EngineError;
use crate::operators::UpsertMap;
use bd_cluster::{Cluster, GroupMember, OffsetSpec, Reader, RecordsBuilder, TopicPartition, Writer};
use bd_schema::Codecs;
use bd_sql::catalog::SourceDef;
use bd_sql::plan::Plan;
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

/// Told of each step of a query before it is done.
pub type OnStep = Arc<dyn Fn(&str) + Send + Sync>;

/// How queries run.
#[derive(Clone)]
pub struct QueryConfig {
    /// The time between barriers.
    pub commit_interval: Duration,
    /// Cut what is read into chunks of so many rows (tests of what must not matter); `None` takes what a poll gives.
    pub batch_rows: Option<usize>,
    /// At most about so many bytes a poll.
    pub poll_bytes: usize,
    /// Below so many bytes of changed state since the last full snapshot there is no other one, see [`super::changelog`].
    pub snapshot_bytes: u64,
    /// The formats of keys and values; `AVRO` with the schema registry that they are given.
    pub codecs: Codecs,
    /// Told of each step (`barrier`, `commit`, `committed`) before it is done: where tests kill the process.
    pub on_step: Option<OnStep>,
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            commit_interval: Duration::from_millis(100),
            batch_rows: None,
            poll_bytes: 1 << 20,
            snapshot_bytes: super::changelog::MIN_CHANGES,
            codecs: Codecs::default(),
            on_step: None,
        }
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
    /// The queries that write what drives it: it has not read all there is before they have.
    pub feeders: Vec<Arc<QueryStatus>>,
    /// The sources whose dead and late records this query writes.
    pub rejects_of: Vec<RejectsOf>,
}

/// A source whose dead and late records a query writes, but for those that others have written.
#[derive(Debug, Clone)]
pub struct RejectsOf {
    /// The source's name, lower case.
    pub source: String,
    /// Older queries wrote them up to where these drains ended them.
    pub ended: Vec<DrainEnds>,
    /// Queries that are gone wrote them up to their last commit.
    pub former: Vec<String>,
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
    /// Rejects before it are written already.
    rejects_from: i64,
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
        let mut targets = self.captured_ends()?;
        let mut fed = self.context.feeders.is_empty();
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
                if !fed && self.context.feeders.iter().all(|f| f.is_loaded()) {
                    targets = self.captured_ends()?;
                    fed = true;
                }
                if fed && targets.iter().all(|(i, p, end)| self.inputs[*i].parts[*p].position >= *end) {
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
        for input in &mut self.inputs {
            // One that a query writes ends where that query ends.
            let captured = input.parts.iter().any(|p| ends.contains_key(&p.tp));
            if input.input.source.query.is_some() && !captured {
                continue;
            }
            for part in &mut input.parts {
                // A partition that was not there when the ends were captured has nothing to be read.
                part.end = Some(ends.get(&part.tp).copied().unwrap_or(0));
            }
        }
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
}

/// Two sources may be declared over one topic, each with its own time.
fn time_key(source: &SourceDef, tp: &TopicPartition) -> String {
    format!("time/{}/{}", source.name, tp.partition)
}

/// The watermark of a scan, by its place in the plan.
fn leaf_key(leaf: usize) -> String {
    format!("leaf/{leaf}")
}
