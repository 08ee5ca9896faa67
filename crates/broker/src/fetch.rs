//! Fetch: whole record batches as they lie in the logs, and waiting for them.

use crate::broker::Broker;
use crate::error::code_of;
use crate::partition::{LEADER_EPOCH, Partition};
use crate::wait::Signal;
use bd_log::{Isolation, LogError, ReadResult};
use bytes::Bytes;
use kafka_protocol::ResponseError as E;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is asked of one partition.
#[derive(Debug, Clone)]
pub struct FetchPartition {
    /// The partition, or why there is none.
    pub partition: Result<Arc<Partition>, E>,
    /// The first offset wanted.
    pub offset: i64,
    /// The most bytes wanted.
    pub max_bytes: usize,
    /// The leader epoch that the client knows, -1 for none.
    pub leader_epoch: i32,
}

/// A fetch of several partitions.
#[derive(Debug, Clone)]
pub struct FetchRequest {
    /// In the client's order; earlier ones are served first.
    pub partitions: Vec<FetchPartition>,
    /// Answer when there are so many bytes, or `max_wait` is over.
    pub min_bytes: usize,
    /// The most bytes in all (one batch may be larger).
    pub max_bytes: usize,
    /// How long to wait for `min_bytes`.
    pub max_wait: Duration,
    /// What may be seen.
    pub isolation: Isolation,
}

/// What one partition gave.
pub type Fetched = Result<ReadResult, E>;

impl Broker {
    /// Reads what is there now: (one result for each partition, bytes in all).
    pub fn fetch_now(&self, request: &FetchRequest) -> (Vec<Fetched>, usize) {
        let mut total = 0;
        let limit = request.max_bytes.min(self.config().fetch_max_bytes);
        let fetched: Vec<Fetched> = request
            .partitions
            .iter()
            .map(|wanted| {
                let left = limit.saturating_sub(total);
                // The first batch is given whatever its size, so that no reader is stuck before a large one.
                let result = read(wanted, left, request.isolation, total == 0);
                total += result.as_ref().map_or(0, |r| r.bytes.len());
                result
            })
            .collect();
        (fetched, total)
    }

    /// Waits for `min_bytes`, at most `max_wait`; an error ends the wait.
    pub async fn fetch(&self, request: &FetchRequest) -> Vec<Fetched> {
        let deadline = Instant::now() + request.max_wait;
        let mut waiter = Waiter::new(request);
        loop {
            waiter.watch();
            let (fetched, bytes) = self.fetch_now(request);
            let now = Instant::now();
            if bytes >= request.min_bytes
                || now >= deadline
                || fetched.iter().any(Result::is_err)
                || self.is_closed()
            {
                self.counters().read(bytes as u64);
                return fetched;
            }
            // Nothing is held while waiting.
            drop(fetched);
            waiter.signal.fired_within(deadline - now).await;
        }
    }

    /// The same for a thread.
    pub fn fetch_blocking(&self, request: &FetchRequest) -> Vec<Fetched> {
        let deadline = Instant::now() + request.max_wait;
        let mut waiter = Waiter::new(request);
        loop {
            waiter.watch();
            let (fetched, bytes) = self.fetch_now(request);
            if bytes >= request.min_bytes
                || Instant::now() >= deadline
                || fetched.iter().any(Result::is_err)
                || self.is_closed()
            {
                self.counters().read(bytes as u64);
                return fetched;
            }
            drop(fetched);
            waiter.signal.wait_until(deadline);
        }
    }
}

/// Watches partitions for as long as it lives.
struct Waiter<'a> {
    signal: Arc<Signal>,
    partitions: Vec<&'a Arc<Partition>>,
    watching: bool,
}

impl<'a> Waiter<'a> {
    fn new(request: &'a FetchRequest) -> Self {
        let partitions = request.partitions.iter().filter_map(|p| p.partition.as_ref().ok()).collect();
        Self { signal: Arc::default(), partitions, watching: false }
    }

    /// Before looking for records, so that none that come in between is missed.
    fn watch(&mut self) {
        self.watching = true;
        for partition in &self.partitions {
            partition.watch(&self.signal);
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if self.watching {
            for partition in &self.partitions {
                partition.unwatch(&self.signal);
            }
        }
    }
}

fn read(wanted: &FetchPartition, left: usize, isolation: Isolation, min_one: bool) -> Fetched {
    let partition = wanted.partition.as_ref().map_err(|e| *e)?;
    check_leader_epoch(wanted.leader_epoch)?;
    if partition.is_deleted() {
        return Err(E::UnknownTopicOrPartition);
    }
    let log = partition.log();
    let bytes = left.min(wanted.max_bytes);
    if bytes == 0 && !min_one {
        // No room left: the marks alone, as if there was nothing to read.
        let (start, end) = (log.start_offset(), log.end_offset());
        if wanted.offset < start || wanted.offset > end {
            return Err(E::OffsetOutOfRange);
        }
        return Ok(ReadResult {
            bytes: Bytes::new(),
            next_offset: wanted.offset,
            aborted: Vec::new(),
            start_offset: start,
            high_watermark: log.high_watermark(),
            last_stable_offset: log.last_stable_offset(),
        });
    }
    log.read(wanted.offset, bytes, isolation, min_one).map_err(|error: LogError| {
        let code = code_of(&error);
        if code == E::KafkaStorageError {
            tracing::error!(?partition, %error, "cannot read");
        }
        code
    })
}

/// There is one leader epoch; -1 is a client that does not know any.
pub(crate) fn check_leader_epoch(epoch: i32) -> Result<(), E> {
    // None is older than the first one.
    if epoch > LEADER_EPOCH { Err(E::UnknownLeaderEpoch) } else { Ok(()) }
}
