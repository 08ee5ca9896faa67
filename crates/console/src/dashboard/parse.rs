//! From YAML to a [`Dashboard`], with all problems at once.

use super::keys::{Keys, Problems, duration_ms, shown, text};
use super::{
    COLUMNS, Column, Dashboard, Format, Grid, Labels, Metric, Panel, Range, SearchSource, Source, Split,
    TimeField, TopicMetric, View,
};
use serde_yaml_ng::Value;
use std::time::Duration;

/// The height of a panel that does not say its own.
const ROWS: u16 = 7;
const MAX_PANELS: usize = 48;
const MAX_ROWS: u64 = 500;
const MAX_PLACES: u64 = 10_000;

/// Reads a dashboard; `name` is what it is called in URLs.
///
/// # Errors
/// All problems, each naming its key (`panels[2].value: ...`).
pub fn parse(name: &str, yaml: &str) -> Result<Dashboard, Vec<String>> {
    let value: Value = serde_yaml_ng::from_str(yaml).map_err(|e| vec![format!("not YAML: {e}")])?;
    let mut problems = Problems::default();
    let mut keys = Keys::new("", value, &mut problems);
    let title = keys.required("title", "the dashboard");
    let description = keys.text("description");
    let range = range(&mut keys);
    let refresh = duration(&mut keys, "refresh").unwrap_or(500).clamp(100, 3_600_000);
    let panels = list(&mut keys, "panels", MAX_PANELS);
    if panels.is_empty() {
        keys.wrong("panels", "missing; a dashboard is a list of panels");
    }
    keys.end();
    let panels: Vec<Panel> =
        panels.into_iter().enumerate().map(|(i, value)| panel(i, value, &mut problems)).collect();
    let panels = placed(panels, &mut problems);
    if !problems.0.is_empty() {
        return Err(problems.0);
    }
    let refresh = Duration::from_millis(refresh);
    Ok(Dashboard { name: name.to_owned(), title, description, range, refresh, panels })
}

fn range(keys: &mut Keys<'_>) -> Range {
    let Some(range) = keys.text("range") else { return Range::Last(900_000) };
    Range::parse(&range).unwrap_or_else(|problem| {
        keys.wrong("range", problem);
        Range::All
    })
}

fn duration(keys: &mut Keys<'_>, key: &'static str) -> Option<u64> {
    keys.read(key, "a time (500ms, 30s, 15m, 1h)", |v| v.as_str().and_then(duration_ms))
}

fn list(keys: &mut Keys<'_>, key: &'static str, most: usize) -> Vec<Value> {
    let items = keys.read(key, "a list", |v| v.as_sequence().cloned()).unwrap_or_default();
    if items.len() > most {
        keys.wrong(key, format!("{} entries; at most {most} are allowed", items.len()));
    }
    items
}

/// Panels without `grid` stand below each other in pairs; those with one may not stand on another.
fn placed(mut panels: Vec<Panel>, problems: &mut Problems) -> Vec<Panel> {
    let mut y = panels.iter().filter(|p| p.grid.w > 0).map(|p| p.grid.y + p.grid.h).max().unwrap_or(0);
    let mut x = 0;
    for panel in panels.iter_mut().filter(|p| p.grid.w == 0) {
        panel.grid = Grid { x, y, w: COLUMNS / 2, h: ROWS };
        x = COLUMNS / 2 - x;
        y += if x == 0 { ROWS } else { 0 };
    }
    for (i, a) in panels.iter().enumerate() {
        let meets = |b: &&Panel| {
            let (a, b) = (a.grid, b.grid);
            a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
        };
        if let Some(other) = panels[..i].iter().find(meets) {
            let problem = format!("stands on the panel {:?}; move one of them", other.title);
            problems.add(&format!("panels[{i}].grid"), problem);
        }
    }
    panels
}

fn panel(i: usize, value: Value, problems: &mut Problems) -> Panel {
    let mut keys = Keys::new(format!("panels[{i}]"), value, problems);
    let title = keys.required("title", "the panel");
    let kind = keys.required("kind", "how it is shown: timeseries, top, bars, stat, table or map");
    let hint = keys.text("hint");
    let awaits = keys.text("awaits");
    let format = format(&mut keys);
    let grid = grid(&mut keys);
    let view = match kind.as_str() {
        "timeseries" => timeseries(&mut keys),
        "top" => View::Top { source: of_search(&mut keys), by: required_split(&mut keys, "by", 10) },
        "bars" => {
            let source = of_search(&mut keys);
            let by = required_split(&mut keys, "by", 20);
            View::Bars { source, by, stack: required_split(&mut keys, "stack", 10) }
        }
        "stat" => stat(&mut keys),
        "table" => table(&mut keys),
        "map" => map(&mut keys),
        other => {
            if !other.is_empty() {
                let expected = "expected timeseries, top, bars, stat, table or map";
                keys.wrong("kind", format!("{expected}, not {other}"));
            }
            return Panel { id: format!("p{i}"), title, hint, awaits, grid, format, view: nothing() };
        }
    };
    keys.end();
    Panel { id: format!("p{i}"), title, hint, awaits, grid, format, view }
}

/// What stands for a panel with a problem; it is never shown.
fn nothing() -> View {
    View::Stat { source: Source::Topics(Vec::new(), TopicMetric::Rate), spark: false }
}

fn format(keys: &mut Keys<'_>) -> Format {
    let unit = keys.text("unit");
    Format { unit, decimals: keys.number("decimals", 0, 6).and_then(|n| u8::try_from(n).ok()) }
}

/// The place; a width of 0 where none is given.
fn grid(keys: &mut Keys<'_>) -> Grid {
    let none = Grid { x: 0, y: 0, w: 0, h: 0 };
    let Some(value) = keys.take("grid") else { return none };
    let mut keys = Keys::new(keys.path("grid"), value, keys.problems);
    let mut side = |key, least, greatest| {
        if !keys.has(key) {
            keys.wrong(key, "missing; a place is {x, y, w, h}");
        }
        keys.number(key, least, greatest).and_then(|n| u16::try_from(n).ok()).unwrap_or(0)
    };
    let columns = u64::from(COLUMNS);
    let grid = Grid {
        x: side("x", 0, columns - 1),
        y: side("y", 0, 1000),
        w: side("w", 1, columns),
        h: side("h", 1, 60),
    };
    if grid.x + grid.w > COLUMNS {
        let problem = format!("x + w is {}; there are {COLUMNS} columns", grid.x + grid.w);
        let at = keys.at().to_owned();
        keys.problems.add(&at, problem);
    }
    keys.end();
    grid
}

fn timeseries(keys: &mut Keys<'_>) -> View {
    let source = source(keys);
    let searched = matches!(source, Source::Search(..));
    let split = if searched { split(keys, "split", 12) } else { None };
    let interval = duration(keys, "interval");
    let carry = if searched { keys.flag("carry") } else { false };
    if let Source::Search(SearchSource { time: None, .. }, _) = &source {
        keys.wrong("time", "missing; a timeseries needs the field with the time of a row");
    }
    if let Source::Topics(_, TopicMetric::Age | TopicMetric::Records) = &source {
        keys.wrong("value", "expected rate: over time, only the rate of topics is known");
    }
    View::TimeSeries { source, split, interval, carry, stacked: keys.flag("stacked") }
}

fn stat(keys: &mut Keys<'_>) -> View {
    let source = source(keys);
    let spark = keys.flag("spark");
    match &source {
        Source::Search(SearchSource { time: None, .. }, _) if spark => {
            keys.wrong("time", "missing; spark needs the field with the time of a row");
        }
        Source::Topics(_, TopicMetric::Age | TopicMetric::Records) if spark => {
            keys.wrong("spark", "only the rate of topics is known over time");
        }
        _ => {}
    }
    View::Stat { source, spark }
}

fn table(keys: &mut Keys<'_>) -> View {
    let source = search_source(keys);
    let items = list(keys, "columns", 20);
    if items.is_empty() {
        keys.wrong("columns", "missing; a table is a list of columns, each a field or {field, title, ...}");
    }
    let at = keys.path("columns");
    let columns: Vec<Column> =
        items.into_iter().enumerate().map(|(i, v)| column(&format!("{at}[{i}]"), v, keys.problems)).collect();
    let sort = sort(keys);
    let limit = keys.number("limit", 1, MAX_ROWS).unwrap_or(10) as usize;
    View::Table { source, columns, sort, limit }
}

fn column(at: &str, value: Value, problems: &mut Problems) -> Column {
    if let Some(field) = text(&value) {
        return Column { title: field.clone(), field, bar: false, format: Format::default(), labels: None };
    }
    let mut keys = Keys::new(at, value, problems);
    let field = keys.required("field", "what the column shows");
    let title = keys.text("title").unwrap_or_else(|| field.clone());
    let bar = keys.flag("bar");
    let format = format(&mut keys);
    let labels = labels(&mut keys);
    keys.end();
    Column { field, title, bar, format, labels }
}

fn sort(keys: &mut Keys<'_>) -> Vec<(String, bool)> {
    let read = |value: &Value| -> Option<Vec<(String, bool)>> {
        let one = |key: &Value, order: &Value| match order.as_str()? {
            "asc" => Some((text(key)?, false)),
            "desc" => Some((text(key)?, true)),
            _ => None,
        };
        value.as_mapping()?.iter().map(|(k, v)| one(k, v)).collect()
    };
    keys.read("sort", "a map of fields, each asc or desc", read).unwrap_or_default()
}

fn map(keys: &mut Keys<'_>) -> View {
    let source = search_source(keys);
    let lon = keys.text("lon").unwrap_or_else(|| "lon".into());
    let lat = keys.text("lat").unwrap_or_else(|| "lat".into());
    let (by, label) = (keys.text("by"), keys.text("label"));
    let limit = keys.number("limit", 1, MAX_PLACES).unwrap_or(2000) as usize;
    View::Map { source, lon, lat, by, label, limit }
}

/// An index with a value; topics are refused.
fn of_search(keys: &mut Keys<'_>) -> Source {
    let source = search_source(keys);
    let metric = metric(keys);
    if matches!(metric, Metric::Last(_)) {
        keys.wrong("value", "last is for timeseries and stat; here use max, sum, ...");
    }
    Source::Search(source, metric)
}

/// An index or topics, with a value.
fn source(keys: &mut Keys<'_>) -> Source {
    if keys.has("index") || !keys.has("topics") {
        let source = search_source(keys);
        let metric = metric(keys);
        if matches!(metric, Metric::Last(_)) && source.time.is_none() {
            keys.wrong("time", "missing; last needs the field with the time of a row");
        }
        return Source::Search(source, metric);
    }
    let texts = |v: &Value| v.as_sequence()?.iter().map(text).collect::<Option<Vec<_>>>();
    let one =
        |v: &Value| texts(v).or_else(|| text(v).map(|t| vec![t])).filter(|t| (1..=32).contains(&t.len()));
    let topics = keys.read("topics", "the names of topics", one).unwrap_or_default();
    let read = |v: &Value| match v.as_str()? {
        "rate" => Some(TopicMetric::Rate),
        "records" => Some(TopicMetric::Records),
        "age" => Some(TopicMetric::Age),
        _ => None,
    };
    let value = keys.read("value", "rate, records or age (of topics)", read);
    Source::Topics(topics, value.unwrap_or(TopicMetric::Rate))
}

fn search_source(keys: &mut Keys<'_>) -> SearchSource {
    let index = keys.required("index", "where the rows are (an index, alias or pattern)");
    if index.contains(['/', '?', '#', ' ', '"', '\\', '%']) || index.starts_with(['_', '-', '+']) {
        keys.wrong(
            "index",
            format!("{index} cannot be an index: no / ? # \" \\ % or blank, no _ - + in front"),
        );
    }
    let read = |v: &Value| v.as_mapping().and_then(|_| serde_json::to_value(v).ok());
    let query = keys.read("query", "a query of Elasticsearch, such as {term: {channel: BBC}}", read);
    let time = keys.take("time").and_then(|value| time(keys, value));
    SearchSource { index, query, time }
}

fn time(keys: &mut Keys<'_>, value: Value) -> Option<TimeField> {
    if let Some(field) = text(&value) {
        return Some(TimeField { field, newest: false });
    }
    let mut keys = Keys::new(keys.path("time"), value, keys.problems);
    let field = keys.required("field", "the time of a row");
    let read = |v: &Value| match v.as_str()? {
        "clock" => Some(false),
        "newest" => Some(true),
        _ => None,
    };
    let newest = keys.read("now", "clock or newest", read).unwrap_or(false);
    keys.end();
    Some(TimeField { field, newest })
}

const METRIC: &str = "count, or one of {sum: FIELD}, {avg: FIELD}, {max: FIELD}, {min: FIELD}, {distinct: FIELD}, {last: FIELD}";

fn metric(keys: &mut Keys<'_>) -> Metric {
    let read = |value: &Value| {
        if value.as_str() == Some("count") {
            return Some(Metric::Count);
        }
        let map = value.as_mapping().filter(|m| m.len() == 1)?;
        let (name, field) = map.iter().next()?;
        let field = text(field)?;
        Some(match name.as_str()? {
            "sum" => Metric::Sum(field),
            "avg" => Metric::Avg(field),
            "max" => Metric::Max(field),
            "min" => Metric::Min(field),
            "distinct" => Metric::Distinct(field),
            "last" => Metric::Last(field),
            _ => return None,
        })
    };
    if !keys.has("value") {
        keys.take("value");
        keys.wrong("value", format!("missing; it is {METRIC}"));
        return Metric::Count;
    }
    keys.read("value", METRIC, read).unwrap_or(Metric::Count)
}

fn required_split(keys: &mut Keys<'_>, key: &'static str, limit: usize) -> Split {
    if !keys.has(key) {
        keys.wrong(key, "missing; it names the field by which rows are put together");
    }
    let none = || Split { field: String::new(), limit, order: Vec::new(), labels: None };
    split(keys, key, limit).unwrap_or_else(none)
}

fn split(keys: &mut Keys<'_>, key: &'static str, limit: usize) -> Option<Split> {
    let value = keys.take(key)?;
    if let Some(field) = text(&value) {
        return Some(Split { field, limit, order: Vec::new(), labels: None });
    }
    let mut keys = Keys::new(keys.path(key), value, keys.problems);
    let field = keys.required("field", "by what rows are put together");
    let limit = keys.number("limit", 1, 100).map_or(limit, |n| n as usize);
    let order = |v: &Value| v.as_sequence()?.iter().map(text).collect::<Option<Vec<_>>>();
    let order = keys.read("order", "a list of keys", order).unwrap_or_default();
    let labels = labels(&mut keys);
    keys.end();
    Some(Split { field, limit, order, labels })
}

fn labels(keys: &mut Keys<'_>) -> Option<Labels> {
    let value = keys.take("labels")?;
    if value.as_mapping().is_none() {
        keys.wrong("labels", format!("expected {{index, key, field}}, not {}", shown(&value)));
        return None;
    }
    let mut keys = Keys::new(keys.path("labels"), value, keys.problems);
    let index = keys.required("index", "where the labels are");
    let key = keys.required("key", "the field that holds the key");
    let field = keys.required("field", "the field to show");
    keys.end();
    Some(Labels { index, key, field })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
