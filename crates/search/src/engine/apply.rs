//! Changes: checked against versions, numbered, written to the translog, queued for the index.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use tantivy::TantivyDocument;

use super::translog::{Entry, EntryKind};
use super::versions::Known;
use super::{Core, Engine, Op};
use crate::error::{EsError, EsResult};
use crate::mapping::date;

/// Free space is asked for so often.
const DISK_CHECK: Duration = Duration::from_millis(500);

/// How a given version is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VersionType {
    External,
    ExternalGte,
}

/// What a change does.
pub(crate) enum Action {
    /// Inserts or replaces; with `create`, only inserts.
    Index {
        document: TantivyDocument,
        source: Bytes,
        create: bool,
    },
    Delete,
}

/// One change of one document.
pub(crate) struct Change {
    pub(crate) id: Arc<str>,
    pub(crate) action: Action,
    pub(crate) version: Option<(u64, VersionType)>,
    /// The sequence number that the document must have now (`if_seq_no`).
    pub(crate) if_seq: Option<u64>,
    /// The id was made by us: there is no such document.
    pub(crate) fresh: bool,
}

/// What a change came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Created,
    Updated,
    Deleted,
    NotFound,
}

/// A change that was made; durable after [`Engine::sync`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Applied {
    pub(crate) seq: u64,
    pub(crate) version: u64,
    pub(crate) outcome: Outcome,
}

/// What there is of a document.
struct Current {
    seq: u64,
    version: u64,
    live: bool,
}

/// How to take a change back.
struct Undo {
    id: Arc<str>,
    before: Option<Known>,
    deleted: Option<Known>,
}

impl Engine {
    /// Makes changes, in order. They are visible to reads by id at once; the position is for [`Engine::sync`], without which
    /// nobody may be told. Waits while too much is queued.
    ///
    /// # Errors
    /// Per change; none of the others is touched.
    pub(crate) fn apply(&self, changes: Vec<Change>) -> (Vec<EsResult<Applied>>, u64) {
        let mut core = self.core.lock();
        if let Err(error) = self.admit(&mut core) {
            return (changes.iter().map(|_| Err(error.clone())).collect(), 0);
        }
        let (first_seq, time) = (core.next_seq, date::now());
        let mut results = Vec::with_capacity(changes.len());
        let (mut entries, mut ops, mut undo) = (Vec::new(), Vec::new(), Vec::new());
        for change in changes {
            results.push(self.decide(&mut core, change, time, &mut entries, &mut ops, &mut undo));
        }
        if ops.is_empty() {
            return (results, 0);
        }
        match core.translog.append(&entries) {
            Ok(position) => {
                for op in ops {
                    core.queue_bytes += op.bytes;
                    core.queue.push_back(op);
                }
                drop(core);
                self.changed.notify_all();
                (results, position)
            }
            Err(error) => {
                for Undo { id, before, deleted } in undo.into_iter().rev() {
                    core.versions.undo(&id, before, deleted);
                }
                core.next_seq = first_seq;
                let error = self.io_error("the translog cannot be written", &error);
                let failed = results.into_iter().map(|result| result.and(Err(error.clone())));
                (failed.collect(), 0)
            }
        }
    }

    /// Returns when what was applied up to a position is durable.
    pub(crate) fn sync(&self, position: u64) -> EsResult<()> {
        if position == 0 {
            return Ok(());
        }
        let syncer = self.core.lock().translog.syncer();
        syncer.wait(position).map_err(|error| {
            self.changed.notify_all();
            self.io_error("the translog cannot be made durable, the write may be kept or not", &error)
        })
    }

    /// Waits for room; refuses while nothing can be indexed.
    fn admit(&self, core: &mut parking_lot::MutexGuard<'_, Core>) -> EsResult<()> {
        let deadline = Instant::now() + self.config.queue_wait;
        loop {
            if core.closing {
                return Err(self.closed());
            }
            if let Some(failure) = &core.failed {
                return Err(self.refusal(failure));
            }
            if let Some(error) = core.translog.syncer().failed() {
                return Err(self.io_error("the translog could not be made durable", &error));
            }
            if self.disk_is_full(core) {
                return Err(EsError::disk_full(&self.name));
            }
            if core.queue_bytes < self.config.queue_bytes {
                return Ok(());
            }
            if self.changed.wait_until(core, deadline).timed_out() {
                self.metrics.rejected();
                let reason = format!(
                    "rejected execution of a write to [{}]: {} bytes wait to be indexed, more than {}",
                    self.name, core.queue_bytes, self.config.queue_bytes
                );
                return Err(EsError::new(429, "es_rejected_execution_exception", reason));
            }
        }
    }

    fn disk_is_full(&self, core: &mut Core) -> bool {
        if let Some((at, full)) = core.disk
            && at.elapsed() < DISK_CHECK
        {
            return full;
        }
        let free = rustix::fs::statvfs(&self.dir).map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        let full = free.is_ok_and(|free| free < self.config.disk_floor);
        core.disk = Some((Instant::now(), full));
        full
    }

    fn current(&self, core: &Core, id: &str) -> EsResult<Option<Current>> {
        if let Some(known) = core.versions.get(id) {
            return Ok(Some(Current {
                seq: known.seq,
                version: known.version,
                live: known.source.is_some(),
            }));
        }
        let snapshot = self.snapshot();
        let found = snapshot.find(&self.fields, id)?;
        Ok(found.map(|at| {
            let (seq, version) = snapshot.stamp(at);
            Current { seq, version, live: true }
        }))
    }

    fn decide(
        &self,
        core: &mut Core,
        change: Change,
        time: i64,
        entries: &mut Vec<u8>,
        ops: &mut Vec<Op>,
        undo: &mut Vec<Undo>,
    ) -> EsResult<Applied> {
        let current = if change.fresh { None } else { self.current(core, &change.id)? };
        let version = self.check(&change, current.as_ref())?;
        let live = current.as_ref().is_some_and(|current| current.live);
        let seq = core.next_seq;
        core.next_seq += 1;
        let Change { id, action, .. } = change;
        let (kind, document, outcome) = match action {
            Action::Index { document, source, .. } => {
                let outcome = if live { Outcome::Updated } else { Outcome::Created };
                (EntryKind::Index, Some((document, source)), outcome)
            }
            Action::Delete => {
                (EntryKind::Delete, None, if live { Outcome::Deleted } else { Outcome::NotFound })
            }
        };
        let source = document.as_ref().map(|(_, source)| source.clone());
        let before_entry = entries.len();
        Entry { kind, seq, version, time, id: &id, source: source.as_deref().unwrap_or_default() }
            .encode(entries);
        let bytes = entries.len() - before_entry + 64;
        let deleted = core.versions.deleted(&id);
        let before = core.versions.set(&id, Known { seq, version, source, time });
        undo.push(Undo { id: id.clone(), before, deleted });
        ops.push(Op { seq, version, id, bytes, replaces: live, document });
        Ok(Applied { seq, version, outcome })
    }

    /// The version that a change gives its document, if it may be made.
    fn check(&self, change: &Change, current: Option<&Current>) -> EsResult<u64> {
        let id = &change.id;
        if let Some(required) = change.if_seq {
            match current.filter(|current| current.live) {
                Some(current) if current.seq == required => {}
                Some(current) => {
                    return Err(self.conflict(format!(
                        "[{id}]: version conflict, required seqNo [{required}], primary term [1]. current document has seqNo \
                         [{}] and primary term [1]",
                        current.seq
                    )));
                }
                None => {
                    return Err(self.conflict(format!(
                        "[{id}]: version conflict, required seqNo [{required}], primary term [1]. but no document was found"
                    )));
                }
            }
        }
        if let (Action::Index { create: true, .. }, Some(current)) = (&change.action, current)
            && current.live
        {
            let version = current.version;
            return Err(self.conflict(format!(
                "[{id}]: version conflict, document already exists (current version [{version}])"
            )));
        }
        let now = current.map_or(0, |current| current.version);
        match change.version {
            None => Ok(now + 1),
            Some((given, VersionType::External)) if current.is_some() && given <= now => Err(self.conflict(format!(
                "[{id}]: version conflict, current version [{now}] is higher or equal to the one provided [{given}]"
            ))),
            Some((given, VersionType::ExternalGte)) if given < now => Err(self.conflict(format!(
                "[{id}]: version conflict, current version [{now}] is higher than the one provided [{given}]"
            ))),
            Some((given, _)) => Ok(given),
        }
    }

    fn conflict(&self, reason: String) -> EsError {
        EsError::new(409, "version_conflict_engine_exception", reason)
            .with("index_uuid", json!(self.uuid))
            .with("shard", json!("0"))
            .with("index", json!(self.name))
    }
}
