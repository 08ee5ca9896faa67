//! What a panel shows now: its question to search or topics, and the answer as plain tables for the UI.
//!
//! ```text
//!  Panel ── question (pure) ──▶ Elasticsearch body ── search ──▶ answer ── answer (pure) ──▶ {"state": "ok", ...}
//! ```
//! Every result has a `state`: `ok`, `waiting` (no row yet; `message` says what is awaited) or `error` (`message`).

mod answer;
mod evaluate;
mod question;
mod window;

pub(crate) use evaluate::{Context, Memory, evaluate};
pub(crate) use window::now_ms;

use crate::dashboard::{Dashboard, Panel};
use serde_json::{Value, json};

/// A dashboard as the UI needs it: where the panels stand and how they are written, not how they are asked for.
pub(crate) fn definition(dashboard: &Dashboard) -> Value {
    json!({
        "name": dashboard.name,
        "title": dashboard.title,
        "description": dashboard.description,
        "range": dashboard.range.to_string(),
        "refresh_ms": dashboard.refresh.as_millis() as u64,
        "panels": dashboard.panels.iter().map(shown).collect::<Vec<_>>(),
    })
}

fn shown(panel: &Panel) -> Value {
    use crate::dashboard::{Source, TopicMetric, View};
    let age = matches!(&panel.view, View::Stat { source: Source::Topics(_, TopicMetric::Age), .. });
    let stacked = matches!(&panel.view, View::TimeSeries { stacked: true, .. });
    let from = match panel.view.search() {
        Some(source) => format!("index {}", source.index),
        None => format!("topics {}", panel.view.topics().join(", ")),
    };
    let ranged = panel.view.search().is_some_and(|s| s.time.is_some());
    json!({
        "id": panel.id,
        "kind": panel.view.kind(),
        "title": panel.title,
        "hint": panel.hint,
        "grid": panel.grid,
        "unit": panel.format.unit,
        "decimals": panel.format.decimals,
        "age": age,
        "stacked": stacked,
        "ranged": ranged || matches!(panel.view, View::TimeSeries { .. }),
        "from": from,
    })
}
