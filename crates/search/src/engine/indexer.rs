//! The thread of one index: from the queue into tantivy, refreshes, flushes, and starting over after a failure.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::{IndexWriter, TantivyDocument, TantivyError, Term};

use super::translog::{Entry, EntryKind};
use super::versions::Known;
use super::{Engine, Failure, Op, Snapshot, is_full};
use crate::error::SearchError;
use crate::mapping::date;

/// Changes taken from the queue at a time.
const BATCH: usize = 512;
/// Changes that searches do not see are kept in memory: beyond so many bytes they are made searchable early.
const MAX_UNSEEN: usize = 16 << 20;
/// How long after a failure the next attempt is made.
const RETRY: Duration = Duration::from_millis(500);

/// Why a step failed.
pub(super) enum Trouble {
    Index(TantivyError),
    Io(io::Error),
    Other(String),
}

impl From<TantivyError> for Trouble {
    fn from(error: TantivyError) -> Self {
        Trouble::Index(error)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::Io(error)
    }
}

impl From<SearchError> for Trouble {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Io { source, .. } => Trouble::Io(source),
            SearchError::Index { source, .. } => Trouble::Index(source),
            other => Trouble::Other(other.to_string()),
        }
    }
}

impl Trouble {
    fn failure(&self) -> Failure {
        let (reason, kind) = match self {
            Trouble::Index(TantivyError::IoError(error)) => (error.to_string(), is_full(error)),
            Trouble::Index(error) => (error.to_string(), false),
            Trouble::Io(error) => (error.to_string(), is_full(error)),
            Trouble::Other(reason) => (reason.clone(), false),
        };
        // Tantivy wraps errors of files into others; the text stays.
        let text =
            ["StorageFull", "no storage space", "No space left on device"].iter().any(|t| reason.contains(t));
        Failure { full: kind || text, reason }
    }
}

/// The state of the thread.
pub(super) struct Indexer {
    engine: Arc<Engine>,
    writer: Option<IndexWriter>,
    /// Everything before it was added to the writer.
    added: u64,
    /// Everything before it is committed.
    committed: u64,
    /// Everything before it is flushed.
    flushed: u64,
    last_commit: Instant,
    last_flush: Instant,
    last_op: Instant,
}

/// What there is to do.
enum Work {
    Ops(Vec<Op>),
    Refresh,
    Flush,
    /// The translog's fsync failed.
    Heal,
    Idle,
    Close,
}

impl Indexer {
    pub(super) fn new(engine: Arc<Engine>, committed: u64) -> Indexer {
        let now = Instant::now();
        Indexer {
            engine,
            writer: None,
            added: committed,
            committed,
            flushed: committed,
            last_commit: now,
            last_flush: now,
            last_op: now,
        }
    }

    /// Works until the index is closed.
    pub(super) fn run(mut self) {
        loop {
            let result = match self.next() {
                Work::Ops(ops) => self.add(ops),
                Work::Refresh => self.commit(),
                Work::Flush => self.flush(),
                Work::Heal => self.heal(),
                Work::Idle => {
                    self.rest();
                    Ok(())
                }
                // What is being merged is merged again another time.
                Work::Close => return,
            };
            if let Err(trouble) = result
                && !self.recover(trouble.failure())
            {
                return;
            }
        }
    }

    /// Waits for work.
    fn next(&mut self) -> Work {
        let engine = self.engine.clone();
        let config = &engine.config;
        let mut core = engine.core.lock();
        loop {
            if core.closing {
                return Work::Close;
            }
            if core.translog.syncer().failed().is_some() {
                return Work::Heal;
            }
            let dirty = self.added > self.committed;
            let mut deadline = None;
            if dirty {
                let due = core.refresh_interval.map(|interval| self.last_commit + interval);
                let wanted = core.refresh_to > self.committed && self.added >= core.refresh_to;
                if wanted
                    || core.versions.bytes() > MAX_UNSEEN
                    || due.is_some_and(|due| due <= Instant::now())
                {
                    return Work::Refresh;
                }
                deadline = due;
            }
            if !core.queue.is_empty() {
                let count = core.queue.len().min(BATCH);
                return Work::Ops(core.queue.drain(..count).collect());
            }
            let unflushed = self.added > self.flushed;
            let flush_at = self.last_flush + config.flush_interval;
            if core.flush
                || (unflushed && (core.translog.bytes() > config.flush_bytes || flush_at <= Instant::now()))
            {
                return Work::Flush;
            }
            if unflushed {
                deadline = Some(deadline.map_or(flush_at, |at| at.min(flush_at)));
            }
            if self.writer.is_some() && !dirty {
                let rest_at = self.last_op + config.writer_idle;
                if rest_at <= Instant::now() {
                    return Work::Idle;
                }
                deadline = Some(deadline.map_or(rest_at, |at| at.min(rest_at)));
            }
            match deadline {
                Some(deadline) => {
                    engine.changed.wait_until(&mut core, deadline);
                }
                None => engine.changed.wait(&mut core),
            }
        }
    }

    fn writer(&mut self) -> Result<&mut IndexWriter, Trouble> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                let options = IndexWriterOptions::builder()
                    .memory_budget_per_thread(self.engine.config.writer_memory)
                    .num_worker_threads(1)
                    .num_merge_threads(1)
                    .build();
                let writer: IndexWriter = self.engine.index.writer_with_options(options)?;
                let mut policy = LogMergePolicy::default();
                policy.set_min_num_segments(8);
                policy.set_max_docs_before_merge(5_000_000);
                policy.set_del_docs_ratio_before_merge(0.3);
                writer.set_merge_policy(Box::new(policy));
                writer
            }
        };
        Ok(self.writer.insert(writer))
    }

    fn add(&mut self, ops: Vec<Op>) -> Result<(), Trouble> {
        self.last_op = Instant::now();
        let fields = self.engine.fields.clone();
        let mut bytes = 0;
        let count = ops.len() as u64;
        for op in ops {
            bytes += op.bytes;
            let writer = self.writer()?;
            if op.replaces {
                writer.delete_term(Term::from_field_text(fields.id, &op.id));
            }
            if let Some((mut document, source)) = op.document {
                document.add_text(fields.id, &op.id);
                document.add_bytes(fields.source, &source);
                document.add_u64(fields.seq, op.seq);
                document.add_u64(fields.version, op.version);
                writer.add_document(document)?;
            }
            self.added = op.seq + 1;
        }
        self.engine.metrics.indexed(count);
        let mut core = self.engine.core.lock();
        core.queue_bytes = core.queue_bytes.saturating_sub(bytes);
        drop(core);
        self.engine.changed.notify_all();
        Ok(())
    }

    /// Makes what was added searchable.
    fn commit(&mut self) -> Result<(), Trouble> {
        let added = self.added;
        if added > self.committed {
            let mut prepared = self.writer()?.prepare_commit()?;
            prepared.set_payload(&added.to_string());
            prepared.commit()?;
            self.committed = added;
        }
        self.last_commit = Instant::now();
        self.engine.reader.reload()?;
        let snapshot = Snapshot::new(self.engine.reader.searcher())?;
        self.engine.metrics.refreshed();
        let mut core = self.engine.core.lock();
        *self.engine.snapshot.write() = Arc::new(snapshot);
        let forget =
            date::now() - i64::try_from(self.engine.config.gc_deletes.as_millis()).unwrap_or(i64::MAX);
        if let Some(last) = added.checked_sub(1) {
            core.versions.visible(last, forget);
        }
        core.visible = core.visible.max(added);
        drop(core);
        self.engine.changed.notify_all();
        Ok(())
    }

    /// Makes the index durable, so that its translog can begin anew.
    fn flush(&mut self) -> Result<(), Trouble> {
        let engine = self.engine.clone();
        {
            let mut core = engine.core.lock();
            let head = head(&core);
            core.translog.begin(&head, false)?;
        }
        self.drain()?;
        self.commit()?;
        engine.directory.flush()?;
        let mut core = engine.core.lock();
        core.translog.trim();
        core.flush = false;
        drop(core);
        self.flushed = self.committed;
        self.last_flush = Instant::now();
        engine.changed.notify_all();
        Ok(())
    }

    /// Adds what is queued now.
    fn drain(&mut self) -> Result<(), Trouble> {
        let ops = {
            let mut core = self.engine.core.lock();
            core.queue.drain(..).collect()
        };
        self.add(ops)
    }

    /// After a failed fsync of the translog: nothing is accepted, so the index is flushed and the translog begun anew.
    fn heal(&mut self) -> Result<(), Trouble> {
        let engine = self.engine.clone();
        self.drain()?;
        self.commit()?;
        engine.directory.flush()?;
        let mut core = engine.core.lock();
        let head = head(&core);
        core.translog.begin(&head, true)?;
        core.translog.trim();
        drop(core);
        self.flushed = self.committed;
        tracing::info!(index = engine.name, "the translog begins anew after a failed fsync");
        engine.changed.notify_all();
        Ok(())
    }

    /// Gives the writer's memory and threads back.
    fn rest(&mut self) {
        if let Some(writer) = self.writer.take()
            && let Err(error) = writer.wait_merging_threads()
        {
            tracing::warn!(index = self.engine.name, %error, "a merge failed");
        }
    }

    /// Adds what the translog has beyond the last commit, and makes it searchable.
    pub(super) fn replay(&mut self) -> Result<(), Trouble> {
        let engine = self.engine.clone();
        self.added = self.committed;
        let next_seq = engine.core.lock().next_seq;
        if self.committed == next_seq {
            return Ok(());
        }
        // Not under the lock: no change is accepted meanwhile, and reads go on.
        let (fs, dir) = (engine.config.fs.clone(), engine.dir.clone());
        let mut trouble = None;
        super::translog::replay(&*fs, &dir, &mut |entry: Entry<'_>| {
            if entry.kind == EntryKind::Remembered || entry.seq < self.added || entry.seq >= next_seq {
                return Ok(());
            }
            let added = self.op_of(&entry).and_then(|op| self.add(vec![op]));
            if let Err(error) = added {
                trouble = Some(error);
                return Err(SearchError::Corrupt { path: dir.clone(), reason: String::new() });
            }
            Ok(())
        })
        .map_err(|error| trouble.take().unwrap_or_else(|| error.into()))?;
        if self.added != next_seq {
            let reason = format!("the translog ends at change {} of {next_seq}", self.added);
            return Err(Trouble::Other(reason));
        }
        self.commit()
    }

    fn op_of(&self, entry: &Entry<'_>) -> Result<Op, Trouble> {
        let document = match entry.kind {
            EntryKind::Index => {
                let prepared = self.engine.prepare(entry.id, entry.source);
                let document: TantivyDocument = prepared.map_err(|e| Trouble::Other(e.reason))?;
                Some((document, Bytes::copy_from_slice(entry.source)))
            }
            _ => None,
        };
        Ok(Op {
            seq: entry.seq,
            version: entry.version,
            id: entry.id.into(),
            bytes: 0,
            replaces: true,
            document,
        })
    }

    /// Refuses writes, and tries until the index goes on from its translog. False: it was closed.
    fn recover(&mut self, failure: Failure) -> bool {
        let engine = self.engine.clone();
        tracing::error!(
            index = engine.name,
            reason = failure.reason,
            "cannot index; writes are refused until it works again"
        );
        let mut failure = failure;
        loop {
            drop(self.writer.take());
            let mut core = engine.core.lock();
            core.queue.clear();
            core.queue_bytes = 0;
            core.failed = Some(failure);
            engine.changed.notify_all();
            let deadline = Instant::now() + RETRY;
            while !core.closing && !engine.changed.wait_until(&mut core, deadline).timed_out() {}
            if core.closing {
                return false;
            }
            drop(core);
            match self.restart() {
                Ok(()) => break,
                Err(trouble) => failure = trouble.failure(),
            }
        }
        let mut core = engine.core.lock();
        core.failed = None;
        drop(core);
        tracing::info!(index = engine.name, "indexing works again");
        engine.changed.notify_all();
        true
    }

    fn restart(&mut self) -> Result<(), Trouble> {
        // What failed attempts left takes space.
        self.writer()?.garbage_collect_files().wait()?;
        self.replay()?;
        self.last_flush = Instant::now();
        Ok(())
    }
}

/// The remembered deletes, encoded.
fn head(core: &super::Core) -> Vec<u8> {
    let mut head = Vec::new();
    for (id, known) in core.versions.tombstones() {
        let Known { seq, version, time, .. } = *known;
        Entry { kind: EntryKind::Remembered, seq, version, time, id, source: &[] }.encode(&mut head);
    }
    head
}
