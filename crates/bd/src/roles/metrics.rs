//! `/metrics` of the whole process: what all its roles count, and what Prometheus' clients tell of a process.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use std::fmt::Write;
use std::sync::Arc;

/// One role's counters as Prometheus text.
pub(super) type Source = Box<dyn Fn() -> String + Send + Sync>;

/// Serves the counters of all roles.
pub(super) fn router(sources: Vec<Source>) -> Router {
    let sources = Arc::new(sources);
    let page = move || {
        let sources = sources.clone();
        async move {
            let text = tokio::task::spawn_blocking(move || {
                let mut text = process();
                sources.iter().for_each(|source| text.push_str(&source()));
                text
            });
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text.await.unwrap_or_default())
                .into_response()
        }
    };
    Router::new().route("/metrics", get(page))
}

/// Memory and CPU time, under the names that Prometheus' client libraries use. Empty where `/proc` is not there.
fn process() -> String {
    let mut text = String::new();
    let mut gauge = |name: &str, kind: &str, help: &str, value: f64| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let rss = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    if let Some(kib) = rss {
        gauge("process_resident_memory_bytes", "gauge", "Resident memory", kib * 1024.0);
    }
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The fields after the name, which is in brackets: state is the 3rd of all, utime and stime the 14th and 15th.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |i: usize| fields.get(i - 3).and_then(|f| f.parse::<f64>().ok());
    if let (Some(user), Some(system)) = (ticks(14), ticks(15)) {
        // Linux counts in hundredths of a second towards programs, on every architecture.
        gauge("process_cpu_seconds_total", "counter", "User and system CPU time", (user + system) / 100.0);
    }
    text
}
