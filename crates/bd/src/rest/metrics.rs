//! `GET /metrics`: Prometheus' text format 0.0.4.

use super::Service;
use super::broker_metrics::broker_metrics;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bd_engine::runtime::engine::Query;
use bd_engine::runtime::status::QueryState;
use std::fmt::{Display, Write};
use std::sync::atomic::Ordering::Relaxed;

/// The handler.
pub(super) async fn get(State(service): State<Service>) -> Response {
    let mut text = query_metrics(&service.0.engine.queries());
    if let Some(broker) = &service.0.broker {
        text.push_str(&broker_metrics(broker));
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// What queries count.
pub(crate) fn query_metrics(of: &[Query]) -> String {
    let mut page = Page::default();
    queries(&mut page, of);
    page.text
}

#[derive(Default)]
pub(super) struct Page {
    pub(super) text: String,
}

impl Page {
    /// One metric: its name, kind, meaning and values by their labels.
    pub(super) fn family<V: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = (String, V)>,
    ) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(self.text, "{name}{labels} {value}");
        }
    }
}

/// One label.
pub(super) fn label(name: &str, value: &str) -> String {
    labels(&[(name, value)])
}

/// Labels by name.
pub(super) fn labels(all: &[(&str, &str)]) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let each: Vec<String> =
        all.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", each.join(","))
}

fn queries(page: &mut Page, queries: &[Query]) {
    type Read = fn(&Query) -> u64;
    let counters: [(&str, &str, Read); 7] = [
        ("bd_query_records_in_total", "Records read", |q| q.status.metrics.records_in.load(Relaxed)),
        ("bd_query_rows_out_total", "Rows that came out of the plan", |q| {
            q.status.metrics.rows_out.load(Relaxed)
        }),
        ("bd_query_late_rows_total", "Rows behind their stream's bound", |q| {
            q.status.metrics.late_rows.load(Relaxed)
        }),
        ("bd_query_dead_letters_total", "Records that became no row", |q| {
            q.status.metrics.dead_letters.load(Relaxed)
        }),
        ("bd_query_dropped_rows_total", "Rows dropped by a bound of the query", |q| q.status.stats().dropped),
        ("bd_query_processing_errors_total", "Expressions that failed and gave NULL", |q| {
            q.status.stats().processing_errors
        }),
        ("bd_query_commits_total", "Barriers committed", |q| q.status.metrics.commits.load(Relaxed)),
    ];
    let of = |q: &Query| label("query", &q.status.id);
    for (name, help, read) in counters {
        page.family(name, "counter", help, queries.iter().map(|q| (of(q), read(q))));
    }
    let watermarks = queries.iter().map(|q| (of(q), q.status.metrics.watermark.load(Relaxed)));
    // Before the first one, and behind the end of a drained query, there is no time to show.
    let watermarks = watermarks.filter(|(_, w)| *w != i64::MIN && *w != i64::MAX);
    let seconds = watermarks.map(|(label, ms)| (label, ms as f64 / 1000.0));
    page.family(
        "bd_query_watermark_seconds",
        "gauge",
        "The output's watermark, event time since epoch",
        seconds,
    );
    let rows = queries.iter().map(|q| (of(q), q.status.stats().state_rows));
    page.family("bd_query_state_rows", "gauge", "Rows held in state", rows);
    let bytes = queries.iter().map(|q| (of(q), q.status.stats().state_bytes));
    page.family("bd_query_state_bytes", "gauge", "About how much memory the state takes", bytes);
    let failed = queries.iter().map(|q| (of(q), u8::from(matches!(q.status.state(), QueryState::Error(_)))));
    page.family("bd_query_failed", "gauge", "1 where the query is in ERROR", failed);
}
