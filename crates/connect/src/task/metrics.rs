//! What a task counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters of one task, from its creation.
#[derive(Debug, Default)]
pub(crate) struct TaskMetrics {
    counters: [AtomicU64; NAMES.len()],
}

/// Name and help of each counter, in their order.
pub(crate) const NAMES: [(&str, &str); 10] = [
    ("source_record_poll_total", "Records that the source task has polled."),
    ("source_record_write_total", "Records that the source task has written to topics, committed."),
    ("sink_record_read_total", "Records that the sink task has read."),
    ("sink_record_send_total", "Records that the sink task has delivered."),
    ("total_record_errors", "Records that could not be used."),
    ("deadletterqueue_produce_total", "Records written to the dead-letter topic."),
    ("records_skipped_total", "Records left out because of errors.tolerance=all."),
    ("task_retries_total", "How often the task was opened again after a retriable failure."),
    ("commits_total", "Commits of the task."),
    ("last_commit_latency_microseconds", "How long the last commit took."),
];

impl TaskMetrics {
    fn add(&self, at: usize, count: usize) {
        self.counters[at].fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn polled(&self, records: usize) {
        self.add(0, records);
    }

    pub(crate) fn written(&self, records: usize) {
        self.add(1, records);
    }

    pub(crate) fn read(&self, records: usize) {
        self.add(2, records);
    }

    pub(crate) fn sent(&self, records: usize) {
        self.add(3, records);
    }

    pub(crate) fn bad(&self) {
        self.add(4, 1);
    }

    pub(crate) fn dead_letters(&self, records: usize) {
        self.add(5, records);
    }

    pub(crate) fn skipped(&self) {
        self.add(6, 1);
    }

    pub(crate) fn retried(&self) {
        self.add(7, 1);
    }

    pub(crate) fn committed(&self, took: Duration) {
        self.add(8, 1);
        self.counters[9].store(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn commits(&self) -> u64 {
        self.counters[8].load(Ordering::Relaxed)
    }

    /// All, in the order of [`NAMES`].
    pub(crate) fn values(&self) -> [u64; NAMES.len()] {
        std::array::from_fn(|i| self.counters[i].load(Ordering::Relaxed))
    }
}
