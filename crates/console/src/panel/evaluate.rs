//! Asks for a panel and gives what the UI draws.

use super::answer::{self, Names};
use super::question::{self, Times};
use super::window::Window;
use crate::dashboard::{Column, Metric, Panel, Range, SearchSource, Source, Split, TopicMetric, View};
use crate::http::CallError;
use crate::roles::Search;
use crate::topics::Tap;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What panels are evaluated over.
pub(crate) struct Context<'a> {
    pub(crate) search: Option<&'a Search>,
    pub(crate) topics: &'a Tap,
    pub(crate) range: Range,
    /// The clock, ms since epoch.
    pub(crate) now: i64,
}

/// What a panel keeps from one evaluation to the next.
#[derive(Default)]
pub(crate) struct Memory {
    /// The values of lines before a time: where carried lines start. Of the window that was shown last, and of the one after.
    seeds: [(i64, HashMap<String, f64>); 2],
    /// The lines as they were.
    kept: Option<Kept>,
}

/// Lines of a window, before they are carried forward.
struct Kept {
    window: Window,
    lines: answer::Lines,
    /// The clock then, ms.
    at: i64,
    /// When the whole window was asked for.
    whole: Instant,
}

/// Rows that carry a time come at most about so many ms later; what comes later yet shows when the whole is asked for.
const SETTLED: i64 = 30_000;
const WHOLE_EVERY: Duration = Duration::from_secs(60);

/// Why there is nothing to draw.
enum Nothing {
    Waiting(String),
    Error(String),
}

/// The panel's data: `state` and what its kind draws.
pub(crate) fn evaluate(panel: &Panel, context: &Context<'_>, memory: &mut Memory) -> Value {
    match drawn(panel, context, memory) {
        Ok(mut data) => {
            data["state"] = json!("ok");
            data
        }
        Err(Nothing::Waiting(message)) => {
            json!({"state": "waiting", "message": message, "awaits": panel.awaits})
        }
        Err(Nothing::Error(message)) => json!({"state": "error", "message": message}),
    }
}

fn drawn(panel: &Panel, context: &Context<'_>, memory: &mut Memory) -> Result<Value, Nothing> {
    match &panel.view {
        View::TimeSeries { source: Source::Topics(topics, _), interval, .. } => {
            Ok(rates(context, topics, *interval))
        }
        View::Stat { source: Source::Topics(topics, metric), spark } => {
            topic_stat(context, topics, *metric, *spark)
        }
        View::TimeSeries { source: Source::Search(source, metric), split, interval, carry, .. } => {
            let asked = Lines { source, metric, split: split.as_ref(), interval: *interval, carry: *carry };
            Asking::new(context, source)?.lines(&asked, memory)
        }
        View::Stat { source: Source::Search(source, metric), spark } => {
            Asking::new(context, source)?.stat(metric, *spark, memory)
        }
        View::Top { source: Source::Search(source, metric), by } => {
            Asking::new(context, source)?.top(metric, by)
        }
        View::Bars { source: Source::Search(source, metric), by, stack } => {
            Asking::new(context, source)?.bars(metric, by, stack)
        }
        View::Table { source, columns, sort, limit } => {
            Asking::new(context, source)?.table(columns, sort, *limit)
        }
        View::Map { source, lon, lat, by, label, limit } => {
            Asking::new(context, source)?.map((lon, lat), by.as_deref(), label.as_deref(), *limit)
        }
        View::Top { .. } | View::Bars { .. } => Err(Nothing::Error("topics cannot be shown so".into())),
    }
}

/// Records a second, a line a topic.
fn rates(context: &Context<'_>, topics: &[String], interval: Option<u64>) -> Value {
    let history = context.topics.history(topics, context.range);
    let from = history.iter().filter_map(|(_, h)| h.first()).map(|(t, _)| *t).min().unwrap_or(context.now);
    let window = Window::new(from, context.now, interval);
    let line = |(topic, samples): &(String, Vec<(i64, f64)>)| {
        let rates = answer::rates(samples, &window).into_iter();
        json!({"key": topic, "name": topic, "values": rates.map(answer::number).collect::<Vec<_>>()})
    };
    let series: Vec<Value> = history.iter().map(line).collect();
    json!({"times": window.starts(), "series": series})
}

fn topic_stat(
    context: &Context<'_>,
    topics: &[String],
    metric: TopicMetric,
    spark: bool,
) -> Result<Value, Nothing> {
    let missing = |topics: Vec<String>| {
        Nothing::Waiting(match topics.as_slice() {
            [topic] => format!("The topic {topic} does not exist yet."),
            _ => format!("None of the topics {} exists yet.", topics.join(", ")),
        })
    };
    let value = context.topics.now(topics, metric).map_err(missing)?;
    if value.is_none() && metric == TopicMetric::Age {
        return Err(Nothing::Waiting("No record yet.".into()));
    }
    let rounded = value.map(|v| if metric == TopicMetric::Rate && v >= 10.0 { v.round() } else { v });
    let mut data = json!({"value": answer::number(rounded)});
    if spark {
        let rates = rates(context, topics, None);
        let lines: Vec<&Vec<Value>> =
            rates["series"].as_array().into_iter().flatten().filter_map(|s| s["values"].as_array()).collect();
        let count = rates["times"].as_array().map_or(0, Vec::len);
        let sum = |i: usize| {
            let known: Vec<f64> = lines.iter().filter_map(|l| l.get(i)?.as_f64()).collect();
            answer::number((!known.is_empty()).then(|| known.iter().sum()))
        };
        data["spark"] = json!({"times": rates["times"], "values": (0..count).map(sum).collect::<Vec<_>>()});
    }
    Ok(data)
}

/// One panel's calls of search.
struct Asking<'a> {
    search: &'a Search,
    source: &'a SearchSource,
    range: Range,
    now: i64,
}

struct Lines<'a> {
    source: &'a SearchSource,
    metric: &'a Metric,
    split: Option<&'a Split>,
    interval: Option<u64>,
    carry: bool,
}

impl<'a> Asking<'a> {
    fn new(context: &Context<'a>, source: &'a SearchSource) -> Result<Self, Nothing> {
        let search = context.search.ok_or_else(|| {
            Nothing::Error("No search role is set; the configuration's roles.search says where it is.".into())
        })?;
        Ok(Self { search, source, range: context.range, now: context.now })
    }

    fn ask(&self, body: &Value) -> Result<Value, Nothing> {
        let index = &self.source.index;
        let failed = |error: CallError| match error.status() {
            Some(404) => Nothing::Waiting(format!("The index {index} does not exist yet.")),
            // Sorting by a field that no document had yet.
            Some(400) if error.to_string().contains("No mapping found") => self.none(),
            Some(503) => Nothing::Waiting(format!("The index {index} is not ready yet.")),
            _ => Nothing::Error(format!("index {index}: {error}")),
        };
        let answer = self.search.search(index, body).map_err(failed)?;
        match answer::partial(&answer) {
            Some(reason) => Err(Nothing::Error(format!("index {index}: {reason}"))),
            None => Ok(answer),
        }
    }

    fn none(&self) -> Nothing {
        let index = &self.source.index;
        Nothing::Waiting(match (self.range, &self.source.time) {
            (Range::Last(_), Some(_)) => format!("No rows of {index} in the last {}.", self.range),
            _ => format!("No rows in the index {index} yet."),
        })
    }

    fn field(&self) -> &str {
        self.source.time.as_ref().map_or("", |t| &t.field)
    }

    /// The times that are shown; none where rows have no time or all are shown.
    fn span(&self) -> Result<Option<(i64, i64)>, Nothing> {
        let (Some(time), Range::Last(ms)) = (&self.source.time, self.range) else { return Ok(None) };
        let to = if time.newest { self.utmost(true)?.ok_or_else(|| self.none())? } else { self.now };
        Ok(Some((to.saturating_sub(i64::try_from(ms).unwrap_or(i64::MAX)), to)))
    }

    fn utmost(&self, newest: bool) -> Result<Option<i64>, Nothing> {
        let answer = self.ask(&question::utmost(self.source, newest))?;
        Ok(answer::sorted_time(&answer, self.field()))
    }

    fn times(&self) -> Result<Times, Nothing> {
        let span = self.span()?;
        // Rows of right now belong to it, whatever the clocks say.
        Ok(span.map_or(Times::ALL, |(from, _)| Times { from: Some(from), to: None }))
    }

    fn window(&self, interval: Option<u64>) -> Result<Window, Nothing> {
        if let Some((from, to)) = self.span()? {
            return Ok(Window::new(from, to, interval));
        }
        let from = self.utmost(false)?.ok_or_else(|| self.none())?;
        let to = self.utmost(true)?.ok_or_else(|| self.none())?;
        Ok(Window::new(from, to, interval))
    }

    fn names(&self, split: Option<&Split>) -> Names {
        let labels = split.and_then(|s| s.labels.as_ref());
        labels.map(|l| self.search.names(l, question::labels, answer::labels)).unwrap_or_default()
    }

    fn lines(&self, asked: &Lines<'_>, memory: &mut Memory) -> Result<Value, Nothing> {
        let window = self.window(asked.interval)?;
        let (mut found, total) = self.line_values(asked, &window, memory)?;
        if let Some(split) = asked.split {
            answer::greatest(&mut found, split.limit.max(split.order.len()));
        }
        if found.is_empty() || (total == 0 && !asked.carry) {
            return Err(self.none());
        }
        let series = answer::series(found, asked.split, asked.metric, &self.names(asked.split));
        Ok(json!({"times": self.shown_times(&window, asked.metric), "series": series}))
    }

    fn line_values(
        &self,
        asked: &Lines<'_>,
        window: &Window,
        memory: &mut Memory,
    ) -> Result<(answer::Lines, u64), Nothing> {
        let (mut found, total) = self.raw_lines(asked, window, memory)?;
        if asked.carry {
            let seeds = self.seeds(asked, window, memory)?;
            answer::carry(&mut found, &seeds, window.count());
            found.retain(|_, values| values.iter().any(Option::is_some));
            let first =
                |(key, values): (&String, &Vec<Option<f64>>)| Some((key.clone(), values.first().copied()??));
            let after: HashMap<_, _> = found.iter().filter_map(first).collect();
            memory.seeds = [(window.from, seeds), (window.from + window.interval, after)];
        }
        Ok((found, total))
    }

    /// Lines as search has them, and how many rows there are. Of newest values, only intervals that may have changed are asked for:
    /// rows come at about the time that they carry, and once in a while the whole is asked for.
    fn raw_lines(
        &self,
        asked: &Lines<'_>,
        window: &Window,
        memory: &mut Memory,
    ) -> Result<(answer::Lines, u64), Nothing> {
        let by_clock = self.source.time.as_ref().is_some_and(|t| !t.newest);
        let in_parts = by_clock && matches!(asked.metric, Metric::Last(_));
        let fits = |kept: &Kept| {
            kept.window.interval == window.interval
                && kept.window.from <= window.from
                && kept.whole.elapsed() < WHOLE_EVERY
        };
        let kept = memory.kept.take().filter(|kept| in_parts && fits(kept));
        let open = kept.as_ref().map(|k| (k.at - SETTLED).div_euclid(window.interval) * window.interval);
        let part = Window { from: open.map_or(window.from, |o| o.max(window.from)), ..*window };
        let fields = |f: &str| self.search.field(&self.source.index, f);
        let answer =
            self.ask(&question::over_time(asked.source, asked.metric, asked.split, &part, &fields))?;
        let new = answer::lines(&answer, asked.metric, asked.split, &part);
        if !in_parts {
            return Ok((new, answer::total(&answer)));
        }
        let before = kept.as_ref().map(|k| answer::moved(&k.lines, &k.window, window, part.from));
        let mut found = before.unwrap_or_default();
        answer::overlay(&mut found, window, new, &part);
        found.retain(|_, values| values.iter().any(Option::is_some));
        let whole = kept.map_or_else(Instant::now, |k| k.whole);
        memory.kept = Some(Kept { window: *window, lines: found.clone(), at: self.now, whole });
        let total = found.len() as u64;
        Ok((found, total))
    }

    /// What lines were before the window.
    fn seeds(
        &self,
        asked: &Lines<'_>,
        window: &Window,
        memory: &mut Memory,
    ) -> Result<HashMap<String, f64>, Nothing> {
        if let Some((_, seeds)) = memory.seeds.iter_mut().find(|(at, _)| *at == window.from) {
            return Ok(std::mem::take(seeds));
        }
        let before = Times { from: None, to: Some(window.from) };
        let fields = |f: &str| self.search.field(&self.source.index, f);
        let last = Metric::Last(asked.metric.field().unwrap_or_default().to_owned());
        Ok(match asked.split {
            None => {
                let answer = self.ask(&question::single(self.source, &last, before, &fields))?;
                let value = answer.get("aggregations").and_then(|a| answer::value(a, &last));
                value.map(|v| (String::new(), v)).into_iter().collect()
            }
            Some(split) => {
                let answer = self.ask(&question::keyed(self.source, &last, split, before, &fields))?;
                let none = Value::Null;
                let buckets = answer::buckets(answer.get("aggregations").unwrap_or(&none), "by");
                buckets.iter().filter_map(|b| Some((answer::key(b), answer::value(b, &last)?))).collect()
            }
        })
    }

    /// Where points stand: at the start of their interval; a newest value at its end, or now.
    fn shown_times(&self, window: &Window, metric: &Metric) -> Vec<i64> {
        let starts = window.starts().into_iter();
        if !matches!(metric, Metric::Last(_)) {
            return starts.collect();
        }
        let second = |t: i64| t.div_euclid(1000) * 1000;
        let newest = self.source.time.as_ref().is_some_and(|t| t.newest);
        let end = |start: i64| start + window.interval;
        starts.map(|s| if newest { end(s) } else { end(s).min(second(self.now).max(s)) }).collect()
    }

    fn stat(&self, metric: &Metric, spark: bool, memory: &mut Memory) -> Result<Value, Nothing> {
        let fields = |f: &str| self.search.field(&self.source.index, f);
        let answer = self.ask(&question::single(self.source, metric, self.times()?, &fields))?;
        let total = answer::total(&answer);
        let value = match metric {
            Metric::Count => Some(total as f64),
            _ => answer.get("aggregations").and_then(|a| answer::value(a, metric)),
        };
        if total == 0 && *metric != Metric::Count {
            return Err(self.none());
        }
        let mut data = json!({"value": answer::number(value)});
        if spark && total > 0 {
            let window = self.window(None)?;
            let carry = matches!(metric, Metric::Last(_));
            let asked = Lines { source: self.source, metric, split: None, interval: None, carry };
            let (found, _) = self.line_values(&asked, &window, memory)?;
            let line = answer::series(found, None, metric, &Names::new());
            let values = line.first().map(|l| l["values"].clone());
            data["spark"] = json!({"times": window.starts(), "values": values});
        }
        Ok(data)
    }

    fn top(&self, metric: &Metric, by: &Split) -> Result<Value, Nothing> {
        let fields = |f: &str| self.search.field(&self.source.index, f);
        let answer = self.ask(&question::keyed(self.source, metric, by, self.times()?, &fields))?;
        let bars = answer::bars(&answer, metric, by, &self.names(Some(by)));
        if bars.is_empty() { Err(self.none()) } else { Ok(json!({"bars": bars})) }
    }

    fn bars(&self, metric: &Metric, by: &Split, stack: &Split) -> Result<Value, Nothing> {
        let fields = |f: &str| self.search.field(&self.source.index, f);
        let body = question::stacked(self.source, metric, (by, stack), self.times()?, &fields);
        let answer = self.ask(&body)?;
        let names = (&self.names(Some(by)), &self.names(Some(stack)));
        let stacks = answer::stacks(&answer, metric, (by, stack), names);
        match stacks.get("bars").and_then(Value::as_array).is_none_or(Vec::is_empty) {
            true => Err(self.none()),
            false => Ok(Value::Object(stacks)),
        }
    }

    fn table(&self, columns: &[Column], sort: &[(String, bool)], limit: usize) -> Result<Value, Nothing> {
        let fields = |f: &str| self.search.field(&self.source.index, f);
        let shown: Vec<&str> = columns.iter().map(|c| c.field.as_str()).collect();
        let answer =
            self.ask(&question::documents(self.source, &shown, sort, limit, self.times()?, &fields))?;
        let of_labels = |c: &Column| {
            let labels = c.labels.as_ref();
            labels.map(|l| self.search.names(l, question::labels, answer::labels)).unwrap_or_default()
        };
        let names: Vec<Names> = columns.iter().map(of_labels).collect();
        let row = |hit: &Value| -> Vec<Value> {
            let document = hit.get("_source").unwrap_or(&Value::Null);
            let cell = |(column, names): (&Column, &Names)| {
                let value = answer::member(document, &column.field).cloned().unwrap_or_default();
                match names.get(&answer::text(&value)) {
                    Some(name) => json!(name),
                    None if value.is_f64() => answer::number(value.as_f64()),
                    None => value,
                }
            };
            columns.iter().zip(&names).map(cell).collect()
        };
        let rows: Vec<Vec<Value>> = answer::hits(&answer).map(row).collect();
        if rows.is_empty() {
            return Err(self.none());
        }
        let heading = |c: &Column| json!({"title": c.title, "bar": c.bar, "unit": c.format.unit, "decimals": c.format.decimals});
        let columns: Vec<Value> = columns.iter().map(heading).collect();
        Ok(json!({"columns": columns, "rows": rows, "total": answer::total(&answer)}))
    }

    fn map(
        &self,
        (lon, lat): (&str, &str),
        by: Option<&str>,
        label: Option<&str>,
        limit: usize,
    ) -> Result<Value, Nothing> {
        let fields = |f: &str| self.search.field(&self.source.index, f);
        let times = self.times()?;
        let (answer, points) = match by {
            Some(by) => {
                let body = question::places(self.source, (lon, lat), by, limit, times, &fields);
                let answer = self.ask(&body)?;
                let points = answer::places(&answer);
                (answer, points)
            }
            None => {
                let shown: Vec<&str> = [lon, lat].into_iter().chain(label).collect();
                let body = question::documents(self.source, &shown, &[], limit, times, &fields);
                let answer = self.ask(&body)?;
                let points = answer::single_places(&answer, lon, lat, label);
                (answer, points)
            }
        };
        if points.is_empty() {
            return Err(self.none());
        }
        Ok(json!({"points": points, "total": answer::total(&answer)}))
    }
}
