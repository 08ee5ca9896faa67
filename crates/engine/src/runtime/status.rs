//! What others see of a query, and what they tell it.

use crate::operator::OperatorStats;
use bd_cluster::TopicPartition;
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

/// Where a query stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryState {
    /// Restoring, loading tables.
    Starting,
    /// At work.
    Running,
    /// A drain has read its inputs to their ends; it reads no more.
    Completed,
    /// It could not go on; what failed and why.
    Error(String),
    /// Told to stop.
    Stopped,
}

impl fmt::Display for QueryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Error(_) => "ERROR",
            Self::Stopped => "STOPPED",
        })
    }
}

/// Counters since the query's start in this process.
#[derive(Debug, Default)]
pub struct QueryMetrics {
    /// Records read.
    pub records_in: AtomicU64,
    /// Rows that came out of the plan.
    pub rows_out: AtomicU64,
    /// Records that became no row, see the dead-letter topics. Counted by the query that writes them there.
    pub dead_letters: AtomicU64,
    /// Rows behind their stream's bound. Counted by the query that writes them to the late topic.
    pub late_rows: AtomicU64,
    /// Barriers committed.
    pub commits: AtomicU64,
    /// The output's watermark, ms; `i64::MIN` before the first.
    pub watermark: AtomicI64,
}

/// The ends at which a drain's inputs end.
pub type DrainEnds = Arc<HashMap<TopicPartition, i64>>;

/// Shared between a query's thread and the engine.
#[derive(Debug)]
pub struct QueryStatus {
    /// The query's id, as `CSAS_SESSIONS_5`.
    pub id: String,
    /// Counters.
    pub metrics: QueryMetrics,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug)]
struct Inner {
    state: QueryState,
    stop: bool,
    loaded: bool,
    drain: Option<DrainEnds>,
    stats: OperatorStats,
}

impl QueryStatus {
    /// Of a query that is about to start.
    pub fn new(id: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            id: id.into(),
            metrics: QueryMetrics { watermark: AtomicI64::new(i64::MIN), ..QueryMetrics::default() },
            inner: Mutex::new(Inner {
                state: QueryState::Starting,
                stop: false,
                loaded: false,
                drain: None,
                stats: OperatorStats::default(),
            }),
            changed: Condvar::new(),
        })
    }

    fn change(&self, f: impl FnOnce(&mut Inner)) {
        f(&mut self.inner.lock());
        self.changed.notify_all();
    }

    /// Where it stands.
    pub fn state(&self) -> QueryState {
        self.inner.lock().state.clone()
    }

    /// Sets where it stands.
    pub fn set_state(&self, state: QueryState) {
        self.change(|i| i.state = state);
    }

    /// Tells it to stop.
    pub fn stop(&self) {
        self.change(|i| i.stop = true);
    }

    /// It may be started again, once its thread has ended. What was said of it stays: whoever waits for it goes on waiting.
    pub fn restart(&self) {
        self.change(|i| {
            i.stop = false;
            i.state = QueryState::Starting;
        });
    }

    /// Whether it was told to stop.
    pub fn must_stop(&self) -> bool {
        self.inner.lock().stop
    }

    /// Whether it has read its inputs to the ends that they had at its start, so that the table it fills can be looked up in.
    pub fn is_loaded(&self) -> bool {
        self.inner.lock().loaded
    }

    /// It has.
    pub fn set_loaded(&self) {
        if !self.is_loaded() {
            self.change(|i| i.loaded = true);
        }
    }

    /// Tells it to end at these offsets; the first call counts.
    pub fn set_drain(&self, ends: DrainEnds) {
        self.change(|i| {
            i.drain.get_or_insert(ends);
        });
    }

    /// Where it is to end.
    pub fn drain(&self) -> Option<DrainEnds> {
        self.inner.lock().drain.clone()
    }

    /// What its operators hold and have done, as of the last barrier.
    pub fn stats(&self) -> OperatorStats {
        self.inner.lock().stats.clone()
    }

    /// Sets that.
    pub fn set_stats(&self, stats: OperatorStats) {
        self.change(|i| i.stats = stats);
    }

    /// Waits until something changes, at most `wait`.
    pub fn wait_change(&self, wait: Duration) {
        let mut inner = self.inner.lock();
        let _ = self.changed.wait_for(&mut inner, wait);
    }
}
