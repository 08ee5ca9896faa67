//! A dashboard's panels, each evaluated when what it is read from has changed.
//!
//! Each turn asks search once what changed (`_cat/indices`); panels over indices that did not change are left alone, but for the
//! time that goes on. Each panel rests in proportion to what it costs, so that all together take at most about a quarter of the time:
//! watching does not slow what is watched, and a panel that costs much does not keep the others from being up to date.

use super::Page;
use super::pages::kept;
use crate::console::Shared;
use crate::dashboard::{Dashboard, Panel, Range, View};
use crate::http::CallError;
use crate::panel::{Context, Memory, evaluate, now_ms};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Changes are looked for so often, or more seldom where the look itself takes long.
const TURN: Duration = Duration::from_millis(50);
const LOOK_REST: u32 = 9;
/// Panels over time move on at least so often while there are no new rows.
const MOVES: Duration = Duration::from_secs(2);
/// Others are asked for again after so long, should a change have been missed.
const AGAIN: Duration = Duration::from_secs(10);
/// A role that does not answer is asked again after so long at the latest.
const AWAY: Duration = Duration::from_secs(2);
const TOPIC_STAT: Duration = Duration::from_millis(200);
const TOPIC_LINES: Duration = Duration::from_secs(1);
/// An evaluation rests for so many times as long as it takes, times the number of panels.
const REST: u32 = 3;
const MAX_REST: Duration = Duration::from_secs(5);

pub(super) struct DashboardPage {
    shared: Arc<Shared>,
    dashboard: Option<Dashboard>,
    range: Range,
    panels: Vec<Evaluated>,
}

#[derive(Default)]
struct Evaluated {
    at: Option<Instant>,
    took: Duration,
    /// What the index was like.
    mark: Option<String>,
    memory: Memory,
    last: Option<Value>,
}

/// What changed, or why that is not known.
enum Marks {
    Known(HashMap<String, String>),
    /// The role does not say.
    Unknown,
    /// The role is not there.
    Away(String),
}

impl DashboardPage {
    pub(super) fn new(shared: Arc<Shared>, name: &str, range: Range) -> Self {
        let dashboard = shared.dashboards.get(name).cloned();
        let count = dashboard.as_ref().map_or(0, |d| d.panels.len());
        let panels = (0..count).map(|_| Evaluated::default()).collect();
        Self { shared, dashboard, range, panels }
    }

    fn marks(&self) -> Marks {
        match self.shared.search.as_ref().map(|s| s.marks()) {
            None => Marks::Unknown,
            Some(Ok(marks)) if !marks.is_empty() => Marks::Known(marks),
            Some(Ok(_)) => Marks::Unknown,
            Some(Err(error @ CallError::Away { .. })) => Marks::Away(error.to_string()),
            Some(Err(_)) => Marks::Unknown,
        }
    }
}

impl Page for DashboardPage {
    fn step(&mut self, publish: &mut dyn FnMut(&str, Value)) -> Duration {
        let Some(dashboard) = &self.dashboard else { return AGAIN };
        let looked = Instant::now();
        let marks = self.marks();
        let pause = TURN.max(looked.elapsed() * LOOK_REST).min(AWAY);
        let rest = REST * u32::try_from(self.panels.len()).unwrap_or(u32::MAX / REST);
        let mut turn: Vec<_> = dashboard.panels.iter().zip(&mut self.panels).collect();
        // What costs least first: it does not wait for the others.
        turn.sort_by_key(|(_, kept_of)| kept_of.took);
        for (panel, kept_of) in turn {
            let rest = kept_of.took.saturating_mul(rest).min(MAX_REST);
            if let (Marks::Away(message), Some(_)) = (&marks, panel.view.search()) {
                kept_of.mark = None;
                publish(&panel.id, kept(kept_of.last.as_ref(), message.clone()));
                continue;
            }
            let mark = panel.view.search().and_then(|s| mark_of(&marks, &s.index));
            if !due(panel, kept_of, mark.as_deref(), rest, dashboard.refresh) {
                continue;
            }
            let started = Instant::now();
            let context = Context {
                search: self.shared.search.as_ref(),
                topics: &self.shared.tap,
                range: self.range,
                now: now_ms(),
            };
            let data = evaluate(panel, &context, &mut kept_of.memory);
            kept_of.at = Some(Instant::now());
            kept_of.took = started.elapsed();
            kept_of.mark = mark;
            publish(&panel.id, shown(data, &mut kept_of.last));
        }
        pause
    }
}

/// The data to show: an error stands beside what was there before it.
fn shown(data: Value, last: &mut Option<Value>) -> Value {
    match data.get("state").and_then(Value::as_str) {
        Some("error") => {
            let message = data.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
            kept(last.as_ref(), message)
        }
        Some("ok") => {
            *last = Some(data.clone());
            data
        }
        _ => {
            *last = None;
            data
        }
    }
}

fn due(panel: &Panel, of: &Evaluated, mark: Option<&str>, rest: Duration, refresh: Duration) -> bool {
    let Some(at) = of.at else { return true };
    let since = at.elapsed();
    let Some(source) = panel.view.search() else {
        let every =
            if matches!(panel.view, View::Stat { spark: false, .. }) { TOPIC_STAT } else { TOPIC_LINES };
        return since >= every;
    };
    let wait = match mark {
        Some(mark) if of.mark.as_deref() == Some(mark) => {
            if source.time.is_some() {
                MOVES.max(refresh)
            } else {
                AGAIN
            }
        }
        Some(_) => Duration::ZERO,
        None => refresh,
    };
    since >= wait.max(rest)
}

/// What an index is like now. An alias, a pattern or an index that is not there is like all indices together.
fn mark_of(marks: &Marks, index: &str) -> Option<String> {
    let Marks::Known(marks) = marks else { return None };
    if let Some(mark) = marks.get(index) {
        return Some(mark.clone());
    }
    let mut all: Vec<&str> = marks.values().map(String::as_str).collect();
    all.sort_unstable();
    Some(all.join("\n"))
}
