//! `GET /metrics`: Prometheus' text format 0.0.4.

use crate::console::Console;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

/// The handler.
pub(super) async fn get(State(console): State<Console>) -> Response {
    let (feeds, streams) = console.shared.feeds.counts();
    let gauge = |name: &str, help: &str, value: usize| {
        format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n")
    };
    let page = [
        gauge("bd_console_streams", "Event streams that are open", streams),
        gauge("bd_console_feeds", "Pages that are kept up to date for them", feeds),
        gauge("bd_console_dashboards", "Dashboards that are served", console.shared.dashboards.len()),
    ];
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page.concat()).into_response()
}
