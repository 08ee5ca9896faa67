//! From an answer of `_search` to the tables that panels show.

use super::window::Window;
use crate::dashboard::{Metric, Split};
use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// What to show instead of a key.
pub(super) type Names = HashMap<String, String>;

/// How many rows there are.
pub(super) fn total(answer: &Value) -> u64 {
    let total = answer.pointer("/hits/total");
    total.and_then(|t| t.get("value").unwrap_or(t).as_u64()).unwrap_or(0)
}

/// Whether only a part of the shards answered; the words of one that did not.
pub(super) fn partial(answer: &Value) -> Option<String> {
    let failed = answer.pointer("/_shards/failed")?.as_u64().filter(|n| *n > 0)?;
    let reason = answer.pointer("/_shards/failures/0/reason/reason").and_then(Value::as_str);
    Some(format!("{failed} shards failed: {}", reason.unwrap_or("no reason given")))
}

/// The value of a bucket, or of an answer's `aggregations`.
pub(super) fn value(bucket: &Value, metric: &Metric) -> Option<f64> {
    match metric {
        Metric::Count => bucket.get("doc_count").and_then(Value::as_f64),
        Metric::Last(field) => {
            let source = bucket.pointer("/value/hits/hits/0/_source")?;
            member(source, field)?.as_f64()
        }
        _ => bucket.pointer("/value/value").and_then(Value::as_f64),
    }
}

/// A field of a document: `a.b` is a key of that name, or `b` in `a`.
pub(super) fn member<'a>(document: &'a Value, field: &str) -> Option<&'a Value> {
    if let Some(found) = document.get(field) {
        return Some(found);
    }
    let (head, rest) = field.split_once('.')?;
    member(document.get(head)?, rest)
}

pub(super) fn buckets<'a>(aggregations: &'a Value, name: &str) -> &'a [Value] {
    let found = aggregations.get(name).and_then(|a| a.get("buckets")).and_then(Value::as_array);
    found.map_or(&[], Vec::as_slice)
}

/// A bucket's key as a text.
pub(super) fn key(bucket: &Value) -> String {
    let of = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    bucket.get("key_as_string").or_else(|| bucket.get("key")).map(of).unwrap_or_default()
}

fn name(names: &Names, key: &str) -> String {
    names.get(key).cloned().unwrap_or_else(|| key.to_owned())
}

/// Rounds away what no screen shows, so that equal pictures are equal texts.
pub(super) fn number(value: Option<f64>) -> Value {
    let Some(value) = value.filter(|v| v.is_finite()) else { return Value::Null };
    if value.fract() == 0.0 && value.abs() < 9e15 {
        return json!(value as i64);
    }
    let digits = 6 - value.abs().log10().floor().clamp(-12.0, 6.0) as i32;
    let scale = 10f64.powi(digits);
    json!((value * scale).round() / scale)
}

/// Lines by key, each with a value an interval.
pub(super) type Lines = IndexMap<String, Vec<Option<f64>>>;

/// The lines of [`super::question::over_time`].
pub(super) fn lines(answer: &Value, metric: &Metric, split: Option<&Split>, window: &Window) -> Lines {
    let none = Value::Null;
    let aggregations = answer.get("aggregations").unwrap_or(&none);
    let mut lines = Lines::new();
    let mut line = |key: String, of: &Value| {
        let mut values = vec![None; window.count()];
        for bucket in buckets(of, "time") {
            let time = bucket.get("key").and_then(Value::as_f64).map(|t| t as i64);
            if let Some(place) = time.and_then(|t| window.place(t)).and_then(|i| values.get_mut(i)) {
                *place = value(bucket, metric);
            }
        }
        lines.insert(key, values);
    };
    match split {
        None => line(String::new(), aggregations),
        Some(_) => buckets(aggregations, "by").iter().for_each(|bucket| line(key(bucket), bucket)),
    }
    lines
}

/// Lines of one window on the intervals of another; those at or after `until` are left empty.
pub(super) fn moved(lines: &Lines, from: &Window, to: &Window, until: i64) -> Lines {
    let starts = from.starts();
    let line = |(key, values): (&String, &Vec<Option<f64>>)| {
        let mut placed = vec![None; to.count()];
        for (start, value) in starts.iter().zip(values).filter(|(start, _)| **start < until) {
            if let Some(place) = to.place(*start).and_then(|i| placed.get_mut(i)) {
                *place = *value;
            }
        }
        (key.clone(), placed)
    };
    lines.iter().map(line).collect()
}

/// Puts the values that `lines` have over the window `from` into lines over the window `to`.
pub(super) fn overlay(onto: &mut Lines, to: &Window, lines: Lines, from: &Window) {
    let starts = from.starts();
    for (key, values) in lines {
        let placed = onto.entry(key).or_insert_with(|| vec![None; to.count()]);
        for (start, value) in starts.iter().zip(values).filter(|(_, value)| value.is_some()) {
            if let Some(place) = to.place(*start).and_then(|i| placed.get_mut(i)) {
                *place = value;
            }
        }
    }
}

/// Of samples `(ms, count so far)`, how much a second came in each interval. What came between two samples came evenly.
pub(super) fn rates(samples: &[(i64, f64)], window: &Window) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0_i64); window.count()];
    for pair in samples.windows(2) {
        let [(before, seen), (at, then)] = pair else { continue };
        let mut from = (*before).max(window.from);
        while from < *at {
            let Some(place) = window.place(from) else { break };
            let end = window.from + (place as i64 + 1) * window.interval;
            let part = end.min(*at) - from;
            if let Some((sum, ms)) = sums.get_mut(place) {
                *sum += (then - seen) * part as f64 / (at - before) as f64;
                *ms += part;
            }
            from += part;
        }
    }
    sums.into_iter().map(|(sum, ms)| (ms > 0).then(|| sum * 1000.0 / ms as f64)).collect()
}

/// Where an interval has no value, the one before it holds; `seeds` stand before the first interval.
pub(super) fn carry(lines: &mut Lines, seeds: &HashMap<String, f64>, count: usize) {
    for key in seeds.keys() {
        if !lines.contains_key(key) {
            lines.insert(key.clone(), vec![None; count]);
        }
    }
    for (key, values) in lines.iter_mut() {
        let mut held = seeds.get(key).copied();
        for value in values {
            held = value.or(held);
            *value = held;
        }
    }
}

/// Keeps the lines with the greatest values over all.
pub(super) fn greatest(lines: &mut Lines, limit: usize) {
    if lines.len() <= limit {
        return;
    }
    let sum = |values: &Vec<Option<f64>>| values.iter().flatten().sum::<f64>();
    lines.sort_by(|_, a, _, b| sum(b).total_cmp(&sum(a)));
    lines.truncate(limit);
}

/// Lines as the UI draws them. Counts and sums of an interval without rows are 0; other values are not known there.
pub(super) fn series(mut lines: Lines, split: Option<&Split>, metric: &Metric, names: &Names) -> Vec<Value> {
    let zero = matches!(metric, Metric::Count | Metric::Sum(_));
    sort(&mut lines, split.map_or(&[], |s| &s.order), |_, _| std::cmp::Ordering::Equal);
    let written = |value: Option<f64>| number(if zero { value.or(Some(0.0)) } else { value });
    let line = |(key, values): (String, Vec<Option<f64>>)| {
        let values: Vec<Value> = values.into_iter().map(written).collect();
        json!({"key": key, "name": name(names, &key), "values": values})
    };
    lines.into_iter().map(line).collect()
}

/// Keys of `order` first; others by `then`, and where that is equal by number or text.
fn sort<T>(map: &mut IndexMap<String, T>, order: &[String], then: impl Fn(&T, &T) -> std::cmp::Ordering) {
    let place = |key: &str| order.iter().position(|k| k == key).unwrap_or(usize::MAX);
    let as_number = |key: &str| key.parse::<f64>().unwrap_or(f64::MAX);
    map.sort_by(|a, x, b, y| {
        place(a)
            .cmp(&place(b))
            .then_with(|| then(x, y))
            .then_with(|| as_number(a).total_cmp(&as_number(b)))
            .then_with(|| a.cmp(b))
    });
}

/// The bars of [`super::question::keyed`].
pub(super) fn bars(answer: &Value, metric: &Metric, by: &Split, names: &Names) -> Vec<Value> {
    let none = Value::Null;
    let found = buckets(answer.get("aggregations").unwrap_or(&none), "by");
    let mut bars: IndexMap<String, Option<f64>> = found.iter().map(|b| (key(b), value(b, metric))).collect();
    let greatest = |a: &Option<f64>, b: &Option<f64>| b.unwrap_or(f64::MIN).total_cmp(&a.unwrap_or(f64::MIN));
    sort(&mut bars, &by.order, greatest);
    let bar = |(key, value): (String, Option<f64>)| json!({"key": key, "name": name(names, &key), "value": number(value)});
    bars.into_iter().take(by.limit.max(by.order.len())).map(bar).collect()
}

/// The bars of [`super::question::stacked`]: keys, parts, and a value for each pair (0 where there is no row).
pub(super) fn stacks(
    answer: &Value,
    metric: &Metric,
    (by, stack): (&Split, &Split),
    (names, part_names): (&Names, &Names),
) -> Map<String, Value> {
    let none = Value::Null;
    let found = buckets(answer.get("aggregations").unwrap_or(&none), "by");
    let mut bars: IndexMap<String, HashMap<String, f64>> = IndexMap::new();
    let mut parts: IndexMap<String, ()> = IndexMap::new();
    for bucket in found {
        let of = buckets(bucket, "stack").iter().map(|b| (key(b), value(b, metric).unwrap_or(0.0))).collect();
        let of: HashMap<String, f64> = of;
        parts.extend(of.keys().map(|k| (k.clone(), ())));
        bars.insert(key(bucket), of);
    }
    let whole = |bar: &HashMap<String, f64>| bar.values().sum::<f64>();
    sort(&mut bars, &by.order, |a, b| whole(b).total_cmp(&whole(a)));
    sort(&mut parts, &stack.order, |(), ()| std::cmp::Ordering::Equal);
    let row = |bar: &HashMap<String, f64>| -> Vec<Value> {
        parts.keys().map(|p| number(Some(bar.get(p).copied().unwrap_or(0.0)))).collect()
    };
    let named = |keys: Vec<&String>, names: &Names| -> Vec<String> {
        keys.into_iter().map(|k| name(names, k)).collect()
    };
    Map::from_iter([
        ("bars".to_owned(), json!(named(bars.keys().collect(), names))),
        ("parts".to_owned(), json!(named(parts.keys().collect(), part_names))),
        ("values".to_owned(), json!(bars.values().map(row).collect::<Vec<_>>())),
    ])
}

/// The documents of an answer.
pub(super) fn hits(answer: &Value) -> impl Iterator<Item = &Value> {
    let hits = answer.pointer("/hits/hits").and_then(Value::as_array);
    hits.map_or(&[][..], Vec::as_slice).iter()
}

/// The time that the first document was sorted by, ms.
pub(super) fn sorted_time(answer: &Value, field: &str) -> Option<i64> {
    let first = hits(answer).next()?;
    let sorted = first.pointer("/sort/0");
    sorted.and_then(time).or_else(|| first.get("_source").and_then(|s| member(s, field)).and_then(time))
}

/// Ms of a number or of an ISO text.
fn time(value: &Value) -> Option<i64> {
    match value {
        Value::Number(n) => n.as_i64().or_else(|| n.as_f64().map(|f| f as i64)),
        Value::String(text) => chrono::DateTime::parse_from_rfc3339(text).ok().map(|t| t.timestamp_millis()),
        _ => None,
    }
}

/// Places of [`super::question::places`]: the key as a name, coordinates, and how many documents.
pub(super) fn places(answer: &Value) -> Vec<Value> {
    let none = Value::Null;
    let found = buckets(answer.get("aggregations").unwrap_or(&none), "by");
    let coordinate = |b: &Value, name: &str| b.get(name)?.get("value")?.as_f64();
    let place = |b: &Value| point(key(b), coordinate(b, "lon")?, coordinate(b, "lat")?, b.get("doc_count")?);
    found.iter().filter_map(place).collect()
}

/// Documents as places; those at about one place (a tenth of a degree) are one.
pub(super) fn single_places(answer: &Value, lon: &str, lat: &str, label: Option<&str>) -> Vec<Value> {
    let mut places: IndexMap<(i64, i64), (f64, f64, String, u64)> = IndexMap::new();
    for hit in hits(answer) {
        let Some(document) = hit.get("_source") else { continue };
        let of = |field| member(document, field).and_then(Value::as_f64);
        let (Some(x), Some(y)) = (of(lon), of(lat)) else { continue };
        let cell = ((x * 10.0).round() as i64, (y * 10.0).round() as i64);
        let name = || label.and_then(|l| member(document, l)).map(text).unwrap_or_default();
        places.entry(cell).or_insert_with(|| (x, y, name(), 0)).3 += 1;
    }
    let place = |(x, y, name, n): (f64, f64, String, u64)| point(name, x, y, &json!(n));
    places.into_values().filter_map(place).collect()
}

fn point(name: String, lon: f64, lat: f64, count: &Value) -> Option<Value> {
    let round = |v: f64| (v * 1000.0).round() / 1000.0;
    let valid = (-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat);
    valid.then(|| json!([round(lon), round(lat), count, name]))
}

/// A value as a text, texts without quotes.
pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The labels of [`super::question::labels`].
pub(super) fn labels(answer: &Value) -> Names {
    let none = Value::Null;
    let found = buckets(answer.get("aggregations").unwrap_or(&none), "by");
    found.iter().filter_map(|b| Some((key(b), key(buckets(b, "label").first()?)))).collect()
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
