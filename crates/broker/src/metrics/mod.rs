//! What the broker counts, for `/metrics` to render. [`report`] gives what can be seen of its state at any time.

mod errors;
mod histogram;
mod report;

use crate::wire::error_codes::ErrorCodes;
use errors::Errors;
pub use errors::error_name;
use histogram::Histogram;
pub use histogram::{HistogramSnapshot, TIME_BUCKETS_US};
use kafka_protocol::messages::ApiKey;
pub use report::{
    FetchSessionsSnapshot, GroupsSnapshot, LagSnapshot, LogsSnapshot, PartitionSnapshot, TopicSnapshot,
};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const APIS: usize = 128;

/// What is counted of one API.
#[derive(Debug, Default)]
struct Api {
    requests: AtomicU64,
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    errors: Errors,
    total: Histogram,
    queue: Histogram,
    local: Histogram,
    remote: Histogram,
    send: Histogram,
}

/// One API's counters at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiSnapshot {
    /// Which.
    pub api: ApiKey,
    /// Requests, those that are refused too.
    pub requests: u64,
    /// Bytes of requests, without their length.
    pub request_bytes: u64,
    /// Bytes of answers.
    pub response_bytes: u64,
    /// How often each error code was answered ([`error_name`]), 0 (no error) too; an answer has one for each partition, topic,
    /// group or the like. Only those that were.
    pub errors: Vec<(i16, u64)>,
    /// From the arrival of a request's last byte until its answer is handed to the system.
    pub total: HistogramSnapshot,
    /// The first part of it: until the requests before it on its connection are answered.
    pub queue: HistogramSnapshot,
    /// Then: until the answer is known, or until it waits for the first time.
    pub local: HistogramSnapshot,
    /// Then: until the answer is known, having waited for records, an fsync, other members or a thread for what blocks.
    pub remote: HistogramSnapshot,
    /// The last part: from when the answer is known.
    pub send: HistogramSnapshot,
}

/// When a request was where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Course {
    /// Its last byte was read.
    pub arrived: Instant,
    /// Work on it began.
    pub begun: Instant,
    /// It was answered, or waited for the first time.
    pub worked: Instant,
    /// Its answer was known.
    pub known: Instant,
    /// The answer was handed to the system.
    pub sent: Instant,
}

/// What group and transaction coordinators do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coordinated {
    /// A rebalance of a classic group came to its end.
    ClassicRebalance,
    /// The epoch of a group of the consumer protocol grew.
    ConsumerRebalance,
    /// An offset of a partition was committed.
    OffsetCommit,
    /// An offset expired.
    OffsetExpiration,
    /// An offset was deleted.
    OffsetDeletion,
    /// A transaction was committed.
    TxnCommit,
    /// A transaction was aborted, for any reason.
    TxnAbort,
    /// One of these because it lasted too long.
    TxnTimeout,
}

impl Coordinated {
    /// All of them, in order.
    pub const ALL: [Coordinated; 8] = [
        Coordinated::ClassicRebalance,
        Coordinated::ConsumerRebalance,
        Coordinated::OffsetCommit,
        Coordinated::OffsetExpiration,
        Coordinated::OffsetDeletion,
        Coordinated::TxnCommit,
        Coordinated::TxnAbort,
        Coordinated::TxnTimeout,
    ];
}

/// Counters since the start.
#[derive(Debug)]
pub struct Counters {
    messages_in: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    flush_requests: AtomicU64,
    connections_opened: AtomicU64,
    connections_closed: AtomicU64,
    connections_refused: AtomicU64,
    authentications: AtomicU64,
    failed_authentications: AtomicU64,
    malformed_requests: AtomicU64,
    failed_produce: AtomicU64,
    failed_fetch: AtomicU64,
    flushes: Histogram,
    coordinated: [AtomicU64; Coordinated::ALL.len()],
    apis: [OnceLock<Box<Api>>; APIS],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            messages_in: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            flush_requests: AtomicU64::new(0),
            connections_opened: AtomicU64::new(0),
            connections_closed: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            authentications: AtomicU64::new(0),
            failed_authentications: AtomicU64::new(0),
            malformed_requests: AtomicU64::new(0),
            failed_produce: AtomicU64::new(0),
            failed_fetch: AtomicU64::new(0),
            flushes: Histogram::default(),
            coordinated: Default::default(),
            apis: [const { OnceLock::new() }; APIS],
        }
    }
}

/// The counters at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CountersSnapshot {
    /// Records appended, those of internal topics too.
    pub messages_in: u64,
    /// Bytes of record batches appended.
    pub bytes_in: u64,
    /// Bytes of record batches read.
    pub bytes_out: u64,
    /// Appends that waited for an fsync; many share one.
    pub flush_requests: u64,
    /// Connections that are open.
    pub connections: u64,
    /// Connections that were accepted.
    pub connections_accepted: u64,
    /// Connections closed at once because of `max.connections.per.ip`.
    pub connections_refused: u64,
    /// Logins and renewed logins that succeeded.
    pub authentications: u64,
    /// Those that did not.
    pub failed_authentications: u64,
    /// Requests that could not be answered, for which the connection was closed.
    pub malformed_requests: u64,
    /// Partitions of Produce requests that were answered by an error.
    pub failed_produce: u64,
    /// Partitions of Fetch requests that were answered by an error.
    pub failed_fetch: u64,
    /// How long fsyncs of logs took.
    pub flushes: HistogramSnapshot,
    /// What coordinators did, of each kind.
    pub coordinated: Vec<(Coordinated, u64)>,
    /// By API; only those that were asked at all.
    pub requests: Vec<ApiSnapshot>,
}

/// Counts a connection as open.
pub(crate) struct OpenConnection<'a>(&'a Counters);

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.connections_closed.fetch_add(1, Relaxed);
    }
}

impl Counters {
    pub(crate) fn appended(&self, bytes: u64, records: u64) {
        self.bytes_in.fetch_add(bytes, Relaxed);
        self.messages_in.fetch_add(records, Relaxed);
    }

    pub(crate) fn flush_requested(&self) {
        self.flush_requests.fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Relaxed);
    }

    /// Counts a connection for as long as the result lives.
    pub(crate) fn connection(&self) -> OpenConnection<'_> {
        self.connections_opened.fetch_add(1, Relaxed);
        OpenConnection(self)
    }

    pub(crate) fn connection_refused(&self) {
        self.connections_refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn authenticated(&self, successfully: bool) {
        let counter = if successfully { &self.authentications } else { &self.failed_authentications };
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn malformed(&self) {
        self.malformed_requests.fetch_add(1, Relaxed);
    }

    pub(crate) fn produce_failed(&self, partitions: u64) {
        self.failed_produce.fetch_add(partitions, Relaxed);
    }

    pub(crate) fn fetch_failed(&self, partitions: u64) {
        self.failed_fetch.fetch_add(partitions, Relaxed);
    }

    fn api(&self, api: ApiKey) -> Option<&Api> {
        self.apis.get(api as usize).map(|place| &**place.get_or_init(Box::default))
    }

    pub(crate) fn requested(&self, api: ApiKey, bytes: usize) {
        if let Some(counters) = self.api(api) {
            counters.requests.fetch_add(1, Relaxed);
            counters.request_bytes.fetch_add(bytes as u64, Relaxed);
        }
    }

    /// Counts the error codes of an answer.
    pub(crate) fn answers(&self, api: ApiKey, answer: &impl ErrorCodes) {
        if let Some(counters) = self.api(api) {
            counters.errors.note(answer);
        }
    }

    pub(crate) fn answered(&self, api: ApiKey, bytes: usize, course: Course) {
        if let Some(counters) = self.api(api) {
            let Course { arrived, begun, worked, known, sent } = course;
            counters.response_bytes.fetch_add(bytes as u64, Relaxed);
            counters.total.note(sent - arrived);
            counters.queue.note(begun - arrived);
            counters.local.note(worked - begun);
            counters.remote.note(known - worked);
            counters.send.note(sent - known);
        }
    }

    /// An fsync of a log took so long.
    pub(crate) fn flushed(&self, time: Duration) {
        self.flushes.note(time);
    }

    /// Counts one of what coordinators do.
    pub(crate) fn coordinated(&self, what: Coordinated) {
        self.coordinated_many(what, 1);
    }

    pub(crate) fn coordinated_many(&self, what: Coordinated, n: u64) {
        if let Some(counter) = self.coordinated.get(what as usize) {
            counter.fetch_add(n, Relaxed);
        }
    }

    /// All counters now.
    pub fn snapshot(&self) -> CountersSnapshot {
        let (opened, closed) = (self.connections_opened.load(Relaxed), self.connections_closed.load(Relaxed));
        let requests = self.apis.iter().enumerate().filter_map(|(key, counters)| {
            let counters = counters.get()?;
            Some(ApiSnapshot {
                api: ApiKey::try_from(key as i16).ok()?,
                requests: counters.requests.load(Relaxed),
                request_bytes: counters.request_bytes.load(Relaxed),
                response_bytes: counters.response_bytes.load(Relaxed),
                errors: counters.errors.snapshot(),
                total: counters.total.snapshot(),
                queue: counters.queue.snapshot(),
                local: counters.local.snapshot(),
                remote: counters.remote.snapshot(),
                send: counters.send.snapshot(),
            })
        });
        let coordinated = self.coordinated.iter().map(|counter| counter.load(Relaxed));
        CountersSnapshot {
            messages_in: self.messages_in.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            flush_requests: self.flush_requests.load(Relaxed),
            connections: opened.saturating_sub(closed),
            connections_accepted: opened,
            connections_refused: self.connections_refused.load(Relaxed),
            authentications: self.authentications.load(Relaxed),
            failed_authentications: self.failed_authentications.load(Relaxed),
            malformed_requests: self.malformed_requests.load(Relaxed),
            failed_produce: self.failed_produce.load(Relaxed),
            failed_fetch: self.failed_fetch.load(Relaxed),
            flushes: self.flushes.snapshot(),
            coordinated: Coordinated::ALL.iter().copied().zip(coordinated).collect(),
            requests: requests.collect(),
        }
    }
}

/// What is counted of one partition.
#[derive(Debug, Default)]
pub(crate) struct PartitionCounters {
    messages_in: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl PartitionCounters {
    pub(crate) fn appended(&self, bytes: u64, records: u64) {
        self.bytes_in.fetch_add(bytes, Relaxed);
        self.messages_in.fetch_add(records, Relaxed);
    }

    pub(crate) fn read(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Relaxed);
    }

    /// Adds to a topic's sums.
    pub(crate) fn add_to(&self, sums: &mut TopicSnapshot) {
        sums.messages_in += self.messages_in.load(Relaxed);
        sums.bytes_in += self.bytes_in.load(Relaxed);
        sums.bytes_out += self.bytes_out.load(Relaxed);
    }
}
