//! Rates of what is read.

use std::time::{Duration, Instant};

/// Counts, and tells stderr.
pub(super) struct Stats {
    on: bool,
    began: Instant,
    told: Instant,
    records: u64,
    bytes: u64,
    before: (u64, u64),
}

impl Stats {
    pub(super) fn new(on: bool) -> Self {
        let now = Instant::now();
        Self { on, began: now, told: now, records: 0, bytes: 0, before: (0, 0) }
    }

    pub(super) fn records(&mut self, count: u64) {
        self.records += count;
    }

    pub(super) fn bytes(&mut self, count: usize) {
        self.bytes += count as u64;
    }

    /// Once a second.
    pub(super) fn tick(&mut self) {
        let took = self.told.elapsed();
        if self.on && took >= Duration::from_secs(1) {
            let (records, bytes) = (self.records - self.before.0, self.bytes - self.before.1);
            eprintln!("{}", line(records, bytes, took));
            self.before = (self.records, self.bytes);
            self.told = Instant::now();
        }
    }

    pub(super) fn end(&self) {
        if self.on {
            let took = self.began.elapsed();
            eprintln!(
                "{} records in {:.3} s: {}",
                self.records,
                took.as_secs_f64(),
                line(self.records, self.bytes, took)
            );
        }
    }
}

fn line(records: u64, bytes: u64, took: Duration) -> String {
    let seconds = took.as_secs_f64().max(1e-9);
    format!("{:.0} records/s, {:.2} MB/s", records as f64 / seconds, bytes as f64 / seconds / 1e6)
}
