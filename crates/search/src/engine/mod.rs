//! One index: versions, translog, searchable index, and the thread that brings changes from the one to the other.
//!
//! ```text
//!             prepare (mapping)     one lock: versions, sequence numbers,        group commit
//! _bulk ─────▶ tantivy document ───▶ translog (one write), queue ───────────────▶ fsync ─▶ answer
//!                                                             │
//!                                        index thread ◀───────┘ bounded by bytes
//!                                        add / delete ─▶ commit each refresh_interval ─▶ searchable
//!                                        flush now and then ─▶ durable without translog ─▶ translog begins anew
//! ```
//! Reads by id see a change at once (from memory until it is searchable). A full disk or a failed fsync refuses writes with
//! an error, goes on serving reads, and ends by itself: the index thread tries again from the translog each half second.

pub(crate) mod analysis;
mod apply;
pub(crate) mod directory;
mod indexer;
mod open;
mod read;
pub(crate) mod schema;
mod translog;
mod versions;

pub(crate) use apply::{Action, Applied, Change, Outcome, VersionType};
pub(crate) use read::{Got, Snapshot};

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tantivy::TantivyDocument;

use crate::config::SearchConfig;
use crate::error::{EsError, EsResult, SearchError};
use crate::mapping::{Document, Mapping, document};
use crate::metrics::Metrics;
use directory::{FlushDirectory, write_atomically};
use schema::Fields;
use translog::Translog;
use versions::Versions;

/// How long a refresh is waited for at most.
const REFRESH_WAIT: Duration = Duration::from_secs(30);

/// What is kept of an index beside its documents: the file `index.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct IndexState {
    pub(crate) name: String,
    pub(crate) uuid: String,
    /// ms since 1970.
    pub(crate) created: i64,
    /// Settings as given, without the prefix `index.`.
    pub(crate) settings: Map<String, Value>,
    pub(crate) mapping: Mapping,
    #[serde(default)]
    pub(crate) aliases: Map<String, Value>,
}

/// See the module.
pub(crate) struct Engine {
    pub(crate) name: String,
    pub(crate) uuid: String,
    pub(crate) created: i64,
    pub(crate) config: Arc<SearchConfig>,
    pub(crate) fields: Fields,
    metrics: Arc<Metrics>,
    dir: PathBuf,
    /// What `index.json` has; locked while it is changed.
    state: Mutex<IndexState>,
    mapping: RwLock<Arc<Mapping>>,
    index: tantivy::Index,
    directory: FlushDirectory,
    reader: tantivy::IndexReader,
    snapshot: RwLock<Arc<Snapshot>>,
    core: Mutex<Core>,
    changed: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What is changed under the lock.
struct Core {
    /// The next sequence number.
    next_seq: u64,
    /// Everything before it is searchable.
    visible: u64,
    versions: Versions,
    translog: Translog,
    queue: VecDeque<Op>,
    queue_bytes: usize,
    /// Searches should soon see everything before it.
    refresh_to: u64,
    /// Somebody waits for a flush.
    flush: bool,
    /// Why no change can be indexed at the moment.
    failed: Option<Failure>,
    closing: bool,
    refresh_interval: Option<Duration>,
    /// When free space was last asked for, and whether there was too little.
    disk: Option<(Instant, bool)>,
}

/// A change on its way into the searchable index.
struct Op {
    seq: u64,
    version: u64,
    id: Arc<str>,
    bytes: usize,
    /// There may be an older one to remove.
    replaces: bool,
    /// None: a delete.
    document: Option<(TantivyDocument, Bytes)>,
}

#[derive(Debug, Clone)]
struct Failure {
    reason: String,
    full: bool,
}

impl Engine {
    pub(crate) fn mapping(&self) -> Arc<Mapping> {
        self.mapping.read().clone()
    }

    pub(crate) fn state(&self) -> IndexState {
        self.state.lock().clone()
    }

    /// Changes what `index.json` has, durably.
    pub(crate) fn update_state(&self, change: impl FnOnce(&mut IndexState) -> EsResult<()>) -> EsResult<()> {
        let mut state = self.state.lock();
        let mut changed = state.clone();
        change(&mut changed)?;
        self.write_state(&changed).map_err(|e| self.io_error("cannot write the index's metadata", &e))?;
        *self.mapping.write() = Arc::new(changed.mapping.clone());
        let refresh_interval = refresh_interval(&changed.settings, &self.config)?;
        self.core.lock().refresh_interval = refresh_interval;
        *state = changed;
        Ok(())
    }

    fn write_state(&self, state: &IndexState) -> std::io::Result<()> {
        let text = serde_json::to_vec(state)?;
        write_atomically(&*self.config.fs, &self.dir.join("index.json"), &text)
    }

    /// Brings a document into the form of the index; the mapping gets the fields it lacks.
    pub(crate) fn prepare(&self, id: &str, source: &[u8]) -> EsResult<TantivyDocument> {
        let parsed: Value = serde_json::from_slice(source).map_err(|e| {
            let cause =
                EsError::new(400, "x_content_parse_exception", format!("[{}:{}] {e}", e.line(), e.column()));
            EsError::document(format!("[{}:{}] failed to parse", e.line(), e.column())).because(cause)
        })?;
        if !parsed.is_object() {
            return Err(EsError::document("[1:1] failed to parse").because(EsError::new(
                400,
                "not_x_content_exception",
                "Compressor detection can only be called on some xcontent bytes or compressed xcontent bytes",
            )));
        }
        loop {
            let mapping = self.mapping();
            let added = match document(&mapping, &self.fields, id, &parsed)? {
                Document::Ready(document) => return Ok(document),
                Document::Adds(added) => added,
            };
            self.update_state(|state| {
                // Somebody may have added fields meanwhile: then once more, by the new mapping.
                if state.mapping == *mapping {
                    state.mapping = added;
                }
                Ok(())
            })?;
        }
    }

    /// Waits until everything applied so far is searchable; `force`: at once, else at the next refresh.
    pub(crate) fn refresh(&self, force: bool) -> EsResult<()> {
        let mut core = self.core.lock();
        let target = core.next_seq;
        if force || core.refresh_interval.is_none() {
            core.refresh_to = core.refresh_to.max(target);
            self.changed.notify_all();
        }
        let deadline = Instant::now() + REFRESH_WAIT;
        while core.visible < target {
            if let Some(failure) = &core.failed {
                return Err(self.refusal(failure));
            }
            if core.closing {
                return Err(self.closed());
            }
            if self.changed.wait_until(&mut core, deadline).timed_out() {
                return Err(EsError::new(
                    503,
                    "timeout_exception",
                    format!("refresh of [{}] timed out", self.name),
                ));
            }
        }
        Ok(())
    }

    /// Waits until the index is durable without its translog.
    pub(crate) fn flush(&self) -> EsResult<()> {
        let mut core = self.core.lock();
        core.flush = true;
        self.changed.notify_all();
        let deadline = Instant::now() + REFRESH_WAIT;
        while core.flush {
            if let Some(failure) = &core.failed {
                return Err(self.refusal(failure));
            }
            if core.closing || self.changed.wait_until(&mut core, deadline).timed_out() {
                return Err(self.closed());
            }
        }
        Ok(())
    }

    /// Bytes of the newest translog file.
    pub(crate) fn translog_bytes(&self) -> u64 {
        self.core.lock().translog.bytes()
    }

    /// Ends the thread after a flush. Requests that come later are refused.
    pub(crate) fn close(&self) {
        let flushed = self.flush();
        if let Err(error) = flushed {
            tracing::warn!(
                index = self.name,
                reason = error.reason,
                "closed without a flush; the translog has the rest"
            );
        }
        self.abandon();
    }

    /// Ends the thread, without a flush: the index is deleted.
    pub(crate) fn abandon(&self) {
        self.core.lock().closing = true;
        self.changed.notify_all();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!(index = self.name, "the index thread panicked");
        }
    }

    fn closed(&self) -> EsError {
        EsError::new(503, "index_closed_exception", "closed").with("index", self.name.clone().into())
    }

    fn refusal(&self, failure: &Failure) -> EsError {
        if failure.full {
            return EsError::disk_full(&self.name);
        }
        let reason = format!("[{}][0] primary shard is not active: {}", self.name, failure.reason);
        EsError::new(503, "unavailable_shards_exception", reason).with("index", self.name.clone().into())
    }

    fn io_error(&self, what: &str, error: &std::io::Error) -> EsError {
        if is_full(error) {
            return EsError::disk_full(&self.name);
        }
        self.refusal(&Failure { reason: format!("{what}: {error}"), full: false })
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

/// The refresh interval of an index; none for `-1`.
pub(crate) fn refresh_interval(
    settings: &Map<String, Value>,
    config: &SearchConfig,
) -> EsResult<Option<Duration>> {
    let Some(value) = settings.get("refresh_interval").filter(|value| !value.is_null()) else {
        return Ok(Some(config.refresh_interval));
    };
    let text = value.as_str().map_or(value.to_string(), str::to_owned);
    if text == "-1" {
        return Ok(None);
    }
    let millis = duration_millis(&text).ok_or_else(|| {
        EsError::illegal(format!(
            "failed to parse setting [index.refresh_interval] with value [{text}] as a time value: unit is missing or unrecognized"
        ))
    })?;
    Ok(Some(Duration::from_millis(millis.max(1))))
}

/// A time value such as `200ms`, `5s`, `1m`, `1h`, `1d`, in ms.
pub(crate) fn duration_millis(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let count: u64 = text.get(..digits)?.parse().ok()?;
    let unit = match text.get(digits..)? {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    count.checked_mul(unit)
}

/// The errors of one index while it is opened.
fn failed(index: &str) -> impl FnOnce(tantivy::TantivyError) -> SearchError {
    let index = index.to_owned();
    move |source| SearchError::Index { index, source }
}
