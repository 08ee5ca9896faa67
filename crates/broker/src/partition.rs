//! A partition: its log, and who waits for news from it.

use crate::metrics::{Counters, PartitionCounters};
use crate::wait::{Signal, blocking};
use bd_log::batch::BatchBuilder;
use bd_log::{Appended, Flusher, Log, LogError};
use bytes::BytesMut;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The one leader epoch there is: a node without replicas is never replaced as leader.
pub const LEADER_EPOCH: i32 = 0;
/// The one epoch of the transaction coordinator, for the same reason.
pub(crate) const COORDINATOR_EPOCH: i32 = 0;

/// One partition. Reads go to [`Partition::log`]; appends go through this type, since readers wait for them.
pub struct Partition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's index.
    pub index: i32,
    log: Arc<Log>,
    flusher: Arc<Flusher>,
    counters: Arc<Counters>,
    pub(crate) own: PartitionCounters,
    waiting: Mutex<Vec<Arc<Signal>>>,
    deleted: AtomicBool,
    numbering: Mutex<()>,
}

impl Partition {
    pub(crate) fn new(
        topic: Arc<str>,
        index: i32,
        log: Log,
        flusher: Arc<Flusher>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            topic,
            index,
            log: Arc::new(log),
            flusher,
            counters,
            own: PartitionCounters::default(),
            waiting: Mutex::new(Vec::new()),
            deleted: AtomicBool::new(false),
            numbering: Mutex::new(()),
        }
    }

    /// The log, to read from.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Whether the topic was deleted since this was looked up.
    pub fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    pub(crate) fn mark_deleted(&self) {
        self.deleted.store(true, Ordering::Release);
        self.wake();
    }

    /// Appends record batches as the producer built them. Not durable yet: follow with [`Partition::when_durable`], without
    /// which readers never learn of the records.
    pub fn append(&self, batches: BytesMut) -> Result<Appended, LogError> {
        let bytes = batches.len() as u64;
        let appended = self.log.append(batches, LEADER_EPOCH)?;
        if !appended.duplicate {
            let records = (appended.last_offset - appended.base_offset + 1) as u64;
            self.counters.appended(bytes, records);
            self.own.appended(bytes, records);
        }
        Ok(appended)
    }

    /// Appends the coordinator's own records as part of a producer's transaction. The log wants every producer's batches
    /// numbered; the coordinator writes on behalf of producers and has no numbers of theirs, so it goes on from the log's.
    pub(crate) fn append_for(
        &self,
        producer_id: i64,
        epoch: i16,
        batch: BatchBuilder,
    ) -> Result<Appended, LogError> {
        let _one_at_a_time = self.numbering.lock();
        let known = self.log.producer_state(producer_id).filter(|p| p.epoch == epoch);
        let sequence = known.map_or(0, |p| p.last_sequence.wrapping_add(1) & i32::MAX);
        self.append(batch.producer(producer_id, epoch, sequence).transactional(true).build())
    }

    /// Appends the marker that ends a transaction here.
    pub(crate) fn append_marker(
        &self,
        producer_id: i64,
        epoch: i16,
        commit: bool,
    ) -> Result<Appended, LogError> {
        self.append_marker_of(producer_id, epoch, commit, COORDINATOR_EPOCH)
    }

    /// Appends a marker in the name of a coordinator.
    pub(crate) fn append_marker_of(
        &self,
        producer_id: i64,
        epoch: i16,
        commit: bool,
        coordinator_epoch: i32,
    ) -> Result<Appended, LogError> {
        self.log.append_marker(producer_id, epoch, commit, coordinator_epoch, LEADER_EPOCH)
    }

    /// Calls `done` when all below `end_offset` is durable (group commit); readers are woken first.
    pub fn when_durable(
        self: &Arc<Self>,
        end_offset: i64,
        done: impl FnOnce(Result<i64, LogError>) + Send + 'static,
    ) {
        let this = Arc::clone(self);
        self.counters.flush_requested();
        self.flusher.request(
            &self.log,
            end_offset,
            Box::new(move |result| {
                this.wake();
                done(result);
            }),
        );
    }

    /// Blocks until all below `end_offset` is durable.
    pub fn wait_durable(self: &Arc<Self>, end_offset: i64) -> Result<i64, LogError> {
        let (done, wait) = blocking();
        self.when_durable(end_offset, done);
        wait().unwrap_or_else(|| Err(LogError::Closed { dir: self.log.dir().to_path_buf() }))
    }

    /// Has `signal` fired at the next news (more durable records, a higher last stable offset, the end of the topic). Look
    /// for records after this call, not only before it.
    pub fn watch(&self, signal: &Arc<Signal>) {
        let mut waiting = self.waiting.lock();
        if !waiting.iter().any(|s| Arc::ptr_eq(s, signal)) {
            waiting.push(Arc::clone(signal));
        }
    }

    /// Takes a watch back; one that has fired is gone already.
    pub fn unwatch(&self, signal: &Arc<Signal>) {
        self.waiting.lock().retain(|s| !Arc::ptr_eq(s, signal));
    }

    pub(crate) fn wake(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        for signal in waiting {
            signal.fire();
        }
    }
}

impl std::fmt::Debug for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.index)
    }
}
