//! Tables for people, and the health of the whole.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::message::{Answer, Call};
use crate::Search;
use crate::engine::Engine;
use crate::error::{EsError, EsResult};
use crate::mapping::date;

/// A table: columns with their short names, whether shown by default and right-aligned; and rows.
struct Table {
    columns: Vec<(&'static str, &'static str, bool, bool)>,
    rows: Vec<Vec<String>>,
}

pub(super) fn cat(role: &Arc<Search>, call: &Call, path: &[&str]) -> EsResult<Answer> {
    let table = match path {
        ["indices"] => indices(role, "_all")?,
        ["indices", expression] => indices(role, expression)?,
        ["health"] => health_table(role),
        ["count"] => count(role, "_all")?,
        ["count", expression] => count(role, expression)?,
        _ => {
            let reason = format!("no handler found for uri [{}] and method [{}]", call.uri, call.method);
            return Err(EsError::illegal(reason));
        }
    };
    table.show(call)
}

fn indices(role: &Arc<Search>, expression: &str) -> EsResult<Table> {
    let columns = vec![
        ("health", "h", true, false),
        ("status", "s", true, false),
        ("index", "i", true, false),
        ("uuid", "id", true, false),
        ("pri", "p", true, true),
        ("rep", "r", true, true),
        ("docs.count", "dc", true, true),
        ("docs.deleted", "dd", true, true),
        ("store.size", "ss", true, true),
        ("pri.store.size", "pss", true, true),
        ("dataset.size", "ds", true, true),
        ("creation.date", "cd", false, true),
        ("creation.date.string", "cds", false, false),
    ];
    let mut rows = Vec::new();
    for engine in role.resolve(expression, false)? {
        let searcher = engine.snapshot().searcher.clone();
        let deleted: u64 =
            searcher.segment_readers().iter().map(|segment| u64::from(segment.num_deleted_docs())).sum();
        let size = size(store_bytes(&engine));
        rows.push(vec![
            "green".into(),
            "open".into(),
            engine.name.clone(),
            engine.uuid.clone(),
            "1".into(),
            "0".into(),
            searcher.num_docs().to_string(),
            deleted.to_string(),
            size.clone(),
            size.clone(),
            size,
            engine.created.to_string(),
            date::format(engine.created, None),
        ]);
    }
    Ok(Table { columns, rows })
}

/// Bytes on disk.
fn store_bytes(engine: &Engine) -> u64 {
    let usage = engine.snapshot().searcher.space_usage();
    usage.map_or(0, |usage| usage.total().get_bytes()) + engine.translog_bytes()
}

fn size(bytes: u64) -> String {
    let units = ["b", "kb", "mb", "gb", "tb"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let unit = units.get(unit).copied().unwrap_or_default();
    let tenths = (value * 10.0).floor() / 10.0;
    format!("{tenths}{unit}")
}

fn health_table(role: &Arc<Search>) -> Table {
    let columns = vec![
        ("epoch", "t", true, false),
        ("timestamp", "ts", true, false),
        ("cluster", "cl", true, false),
        ("status", "st", true, false),
        ("node.total", "nt", true, true),
        ("node.data", "nd", true, true),
        ("shards", "sh", true, true),
        ("pri", "p", true, true),
        ("relo", "r", true, true),
        ("init", "i", true, true),
        ("unassign", "u", true, true),
        ("pending_tasks", "pt", true, true),
        ("max_task_wait_time", "mtwt", true, true),
        ("active_shards_percent", "asp", true, true),
    ];
    let now = date::now();
    let shards = role.engines().len().to_string();
    let clock = date::format(now, None).get(11..19).unwrap_or_default().to_owned();
    let mut row = vec![(now / 1000).to_string(), clock, "bd".into(), "green".into(), "1".into(), "1".into()];
    row.extend([shards.clone(), shards]);
    row.extend(["0", "0", "0", "0", "-", "100.0%"].map(str::to_owned));
    Table { columns, rows: vec![row] }
}

fn count(role: &Arc<Search>, expression: &str) -> EsResult<Table> {
    let columns =
        vec![("epoch", "t", true, false), ("timestamp", "ts", true, false), ("count", "dc", true, false)];
    let now = date::now();
    let clock = date::format(now, None).get(11..19).unwrap_or_default().to_owned();
    let docs: u64 =
        role.resolve(expression, false)?.iter().map(|engine| engine.snapshot().searcher.num_docs()).sum();
    Ok(Table { columns, rows: vec![vec![(now / 1000).to_string(), clock, docs.to_string()]] })
}

impl Table {
    fn show(mut self, call: &Call) -> EsResult<Answer> {
        let chosen: Vec<usize> = match call.param("h") {
            None => (0..self.columns.len()).filter(|at| self.columns.get(*at).is_some_and(|c| c.2)).collect(),
            Some(names) => names
                .split(',')
                .filter_map(|name| {
                    let name = name.trim();
                    self.columns.iter().position(|(full, short, ..)| *full == name || *short == name)
                })
                .collect(),
        };
        if let Some(sort) = call.param("s") {
            let (name, order) = sort.split_once(':').unwrap_or((sort, "asc"));
            let at = self.columns.iter().position(|(full, short, ..)| *full == name || *short == name);
            let Some(at) = at else {
                return Err(EsError::new(
                    400,
                    "unsupported_operation_exception",
                    format!("Unable to sort by unknown sort key `{name}`"),
                ));
            };
            self.rows.sort_by_key(|row| {
                let text = row.get(at).cloned().unwrap_or_default();
                (text.parse::<u64>().unwrap_or(0), text)
            });
            if order == "desc" {
                self.rows.reverse();
            }
        }
        let cell = |row: &[String], at: usize| row.get(at).cloned().unwrap_or_default();
        let name = |at: usize| self.columns.get(at).map_or("", |column| column.0);
        match call.param("format") {
            None | Some("text") => {}
            Some("json") => {
                let rows: Vec<Map<String, Value>> = self
                    .rows
                    .iter()
                    .map(|row| {
                        chosen.iter().map(|at| (name(*at).to_owned(), json!(cell(row, *at)))).collect()
                    })
                    .collect();
                return Ok(Answer::json(200, &rows));
            }
            Some(other) => {
                return Err(EsError::illegal(format!("format [{other}] is not supported: use text or json")));
            }
        }
        let mut lines: Vec<Vec<String>> = Vec::new();
        if call.flag("v")? {
            lines.push(chosen.iter().map(|at| name(*at).to_owned()).collect());
        }
        lines.extend(self.rows.iter().map(|row| chosen.iter().map(|at| cell(row, *at)).collect()));
        let mut text = String::new();
        for line in &lines {
            let mut shown = String::new();
            for (place, value) in line.iter().enumerate() {
                let width = lines
                    .iter()
                    .filter_map(|line| line.get(place))
                    .map(|v| v.chars().count())
                    .max()
                    .unwrap_or(0);
                let right =
                    chosen.get(place).and_then(|at| self.columns.get(*at)).is_some_and(|column| column.3);
                if place > 0 {
                    shown.push(' ');
                }
                shown.push_str(&if right { format!("{value:>width$}") } else { format!("{value:<width$}") });
            }
            text.push_str(shown.trim_end());
            text.push('\n');
        }
        Ok(Answer::text(200, text))
    }
}

pub(super) fn health(role: &Arc<Search>, call: &Call, path: &[&str]) -> EsResult<Answer> {
    let engines = match path {
        [] => role.engines(),
        [expression] => role.resolve(expression, false)?,
        _ => {
            return Err(EsError::illegal(format!(
                "no handler found for uri [{}] and method [GET]",
                call.uri
            )));
        }
    };
    let shards = engines.len();
    Ok(Answer::json(
        200,
        &json!({
            "cluster_name": "bd",
            "status": "green",
            "timed_out": false,
            "number_of_nodes": 1,
            "number_of_data_nodes": 1,
            "active_primary_shards": shards,
            "active_shards": shards,
            "relocating_shards": 0,
            "initializing_shards": 0,
            "unassigned_shards": 0,
            "unassigned_primary_shards": 0,
            "delayed_unassigned_shards": 0,
            "number_of_pending_tasks": 0,
            "number_of_in_flight_fetch": 0,
            "task_max_waiting_in_queue_millis": 0,
            "active_shards_percent_as_number": 100.0,
        }),
    ))
}
