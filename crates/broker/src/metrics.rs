//! What the broker counts, for `/metrics` to render.

use kafka_protocol::messages::ApiKey;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const APIS: usize = 128;

/// Counters since the start.
#[derive(Debug)]
pub struct Counters {
    /// Records appended to any partition, internal ones too.
    messages_in: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    flush_requests: AtomicU64,
    connections_opened: AtomicU64,
    connections_closed: AtomicU64,
    requests: [AtomicU64; APIS],
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
            requests: [const { AtomicU64::new(0) }; APIS],
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
    /// Requests by API; only those that were asked at all.
    pub requests: Vec<(ApiKey, u64)>,
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

    pub(crate) fn requested(&self, api: ApiKey) {
        if let Some(counter) = self.requests.get(api as usize) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// All counters now.
    pub fn snapshot(&self) -> CountersSnapshot {
        let closed = self.connections_closed.load(Relaxed);
        CountersSnapshot {
            messages_in: self.messages_in.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            flush_requests: self.flush_requests.load(Relaxed),
            connections: self.connections_opened.load(Relaxed).saturating_sub(closed),
            requests: self
                .requests
                .iter()
                .enumerate()
                .filter_map(|(key, n)| Some((ApiKey::try_from(key as i16).ok()?, n.load(Relaxed))))
                .filter(|(_, n)| *n > 0)
                .collect(),
        }
    }
}
