//! Counters of the role, as Prometheus text.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the latency histograms, seconds.
const BOUNDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

#[derive(Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
    micros: AtomicU64,
}

impl Histogram {
    fn observe(&self, took: Duration) {
        for (bucket, bound) in self.buckets.iter().zip(BOUNDS) {
            if took.as_secs_f64() <= bound {
                bucket.fetch_add(1, Relaxed);
            }
        }
        self.count.fetch_add(1, Relaxed);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    fn write(&self, out: &mut String, name: &str, help: &str) {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram");
        for (bucket, bound) in self.buckets.iter().zip(BOUNDS) {
            let _ = writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {}", bucket.load(Relaxed));
        }
        let count = self.count.load(Relaxed);
        let seconds = self.micros.load(Relaxed) as f64 / 1e6;
        let _ =
            writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {seconds}\n{name}_count {count}");
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct Metrics {
    indexed: AtomicU64,
    refreshes: AtomicU64,
    rejected: AtomicU64,
    failed_items: AtomicU64,
    bulk: Histogram,
    query: Histogram,
}

/// What is shown of one index.
pub(crate) struct IndexMetrics {
    pub(crate) name: String,
    pub(crate) docs: u64,
    pub(crate) translog_bytes: u64,
}

impl Metrics {
    pub(crate) fn indexed(&self, count: u64) {
        self.indexed.fetch_add(count, Relaxed);
    }

    pub(crate) fn refreshed(&self) {
        self.refreshes.fetch_add(1, Relaxed);
    }

    pub(crate) fn rejected(&self) {
        self.rejected.fetch_add(1, Relaxed);
    }

    pub(crate) fn bulk(&self, took: Duration, failed: usize) {
        self.bulk.observe(took);
        self.failed_items.fetch_add(failed as u64, Relaxed);
    }

    pub(crate) fn query(&self, took: Duration) {
        self.query.observe(took);
    }

    pub(crate) fn text(&self, indices: &[IndexMetrics]) -> String {
        let mut out = String::new();
        let counters = [
            ("bd_search_documents_indexed_total", "Changes taken into indices.", &self.indexed),
            ("bd_search_refreshes_total", "Times an index was made searchable anew.", &self.refreshes),
            (
                "bd_search_rejected_total",
                "Writes refused because too much waited to be indexed.",
                &self.rejected,
            ),
            ("bd_search_bulk_items_failed_total", "Items of bulk requests that failed.", &self.failed_items),
        ];
        for (name, help, value) in counters {
            let _ =
                writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {}", value.load(Relaxed));
        }
        self.bulk.write(&mut out, "bd_search_bulk_seconds", "Duration of bulk requests.");
        self.query.write(&mut out, "bd_search_query_seconds", "Duration of searches.");
        type Show = fn(&IndexMetrics) -> u64;
        let gauges: [(&str, &str, Show); 2] = [
            ("bd_search_index_documents", "Searchable documents.", |index| index.docs),
            ("bd_search_index_translog_bytes", "Bytes of the translog.", |index| index.translog_bytes),
        ];
        for (name, help, show) in gauges {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
            for index in indices {
                // Names of indices have no character that needs escaping.
                let _ = writeln!(out, "{name}{{index=\"{}\"}} {}", index.name, show(index));
            }
        }
        out
    }
}
