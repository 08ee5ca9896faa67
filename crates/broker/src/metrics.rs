//! What the broker counts, for `/metrics` to render.

use kafka_protocol::messages::ApiKey;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const APIS: usize = 128;

/// Upper bounds of the time histograms' buckets, in microseconds; one more bucket is for what took longer.
pub const TIME_BUCKETS_US: [u64; 14] = [
    250, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
    30_000_000,
];

/// Times by bucket.
#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; TIME_BUCKETS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    fn note(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = TIME_BUCKETS_US.partition_point(|bound| *bound < us);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Relaxed);
        }
        self.sum_us.fetch_add(us, Relaxed);
    }

    fn snapshot(&self) -> HistogramSnapshot {
        HistogramSnapshot {
            buckets: self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect(),
            sum_us: self.sum_us.load(Relaxed),
        }
    }
}

/// A histogram at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistogramSnapshot {
    /// How often: for each of [`TIME_BUCKETS_US`], and longer.
    pub buckets: Vec<u64>,
    /// All times together, microseconds.
    pub sum_us: u64,
}

/// What is counted of one API.
#[derive(Debug, Default)]
struct Api {
    requests: AtomicU64,
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    total: Histogram,
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
    /// From the arrival of a request's last byte until its answer is handed to the system.
    pub total: HistogramSnapshot,
    /// The last part of it: from when the answer is known.
    pub send: HistogramSnapshot,
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

    pub(crate) fn answered(&self, api: ApiKey, bytes: usize, total: Duration, send: Duration) {
        if let Some(counters) = self.api(api) {
            counters.response_bytes.fetch_add(bytes as u64, Relaxed);
            counters.total.note(total);
            counters.send.note(send);
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
                total: counters.total.snapshot(),
                send: counters.send.snapshot(),
            })
        });
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

/// A topic's counters at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicSnapshot {
    /// Its name.
    pub topic: String,
    /// Its partitions.
    pub partitions: u64,
    /// Records appended since the start.
    pub messages_in: u64,
    /// Bytes of record batches appended since the start.
    pub bytes_in: u64,
    /// Bytes of record batches read by clients since the start.
    pub bytes_out: u64,
    /// Bytes of its logs.
    pub log_bytes: u64,
}

/// What there is of fetch sessions (KIP-227).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FetchSessionsSnapshot {
    /// Sessions.
    pub sessions: u64,
    /// Partitions in them.
    pub partitions: u64,
    /// Sessions that had to make room for others.
    pub evictions: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fall_into_the_bucket_with_the_next_higher_bound() {
        let histogram = Histogram::default();
        for us in [0, 250, 251, 30_000_001] {
            histogram.note(Duration::from_micros(us));
        }
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.buckets[..3], [2, 1, 0]);
        assert_eq!(snapshot.buckets.last(), Some(&1));
        assert_eq!(snapshot.sum_us, 30_000_502);
    }
}
