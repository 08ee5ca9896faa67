//! From a panel to the body of `_search`. Only what Elasticsearch, OpenSearch and bd's search understand alike.

use super::window::Window;
use crate::dashboard::{Labels, Metric, SearchSource, Split};
use serde_json::{Map, Value, json};

/// At so many labels a look-up ends.
pub(super) const MAX_LABELS: usize = 2000;

/// So many times more keys are asked for where they are chosen by what came.
const MORE: usize = 4;

/// Names a field so that it can be aggregated: `program` may have to be `program.keyword`.
pub(super) type Fields<'a> = &'a dyn Fn(&str) -> String;

/// Which times rows must have; ms since epoch, `to` exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
}

impl Times {
    pub(super) const ALL: Times = Times { from: None, to: None };

    pub(super) fn of(window: &Window) -> Self {
        Self { from: Some(window.from), to: Some(window.to) }
    }
}

fn condition(source: &SearchSource, times: Times) -> Value {
    let mut filter: Vec<Value> = source.query.iter().cloned().collect();
    if let Some(time) = &source.time {
        let mut range = Map::new();
        range.extend(times.from.map(|from| ("gte".to_owned(), json!(from))));
        range.extend(times.to.map(|to| ("lt".to_owned(), json!(to))));
        if !range.is_empty() {
            filter.push(json!({"range": {&time.field: range}}));
        }
    }
    if filter.is_empty() { json!({"match_all": {}}) } else { json!({"bool": {"filter": filter}}) }
}

fn body(source: &SearchSource, times: Times, aggs: Value) -> Value {
    let mut body = json!({"size": 0, "track_total_hits": true, "query": condition(source, times)});
    if !aggs.as_object().is_none_or(Map::is_empty) {
        body["aggs"] = aggs;
    }
    body
}

/// The aggregation `value`; none for a count, which every bucket has.
fn metric(source: &SearchSource, metric: &Metric, fields: Fields<'_>) -> Value {
    let of = |name: &str, field: &str| json!({"value": {name: {"field": field}}});
    match metric {
        Metric::Count => json!({}),
        Metric::Sum(f) => of("sum", f),
        Metric::Avg(f) => of("avg", f),
        Metric::Max(f) => of("max", f),
        Metric::Min(f) => of("min", f),
        Metric::Distinct(f) => of("cardinality", &fields(f)),
        Metric::Last(f) => {
            let time = source.time.as_ref().map_or("_doc", |t| &t.field);
            json!({"value": {"top_hits": {"size": 1, "sort": [{time: {"order": "desc"}}], "_source": [f]}}})
        }
    }
}

fn terms(by: &Split, value: &Metric, inner: Value, fields: Fields<'_>) -> Value {
    // By the value, downwards; keys in an order of their own are all asked for. The newest value is none that keys can be chosen
    // by, so more of them are asked for, and chosen when they are there.
    let ordered = match value {
        Metric::Count | Metric::Last(_) => json!({"_count": "desc"}),
        _ => json!({"value": "desc"}),
    };
    let size = by.limit.max(by.order.len()) * if matches!(value, Metric::Last(_)) { MORE } else { 1 };
    let mut terms = json!({"terms": {"field": fields(&by.field), "size": size, "order": ordered}});
    if !inner.as_object().is_none_or(Map::is_empty) {
        terms["aggs"] = inner;
    }
    terms
}

/// One number.
pub(super) fn single(source: &SearchSource, value: &Metric, times: Times, fields: Fields<'_>) -> Value {
    body(source, times, metric(source, value, fields))
}

/// A number a key: buckets `by`.
pub(super) fn keyed(
    source: &SearchSource,
    value: &Metric,
    by: &Split,
    times: Times,
    fields: Fields<'_>,
) -> Value {
    body(source, times, json!({"by": terms(by, value, metric(source, value, fields), fields)}))
}

/// A number a key and part: buckets `by` with buckets `stack`.
pub(super) fn stacked(
    source: &SearchSource,
    value: &Metric,
    (by, stack): (&Split, &Split),
    times: Times,
    fields: Fields<'_>,
) -> Value {
    let of_value = metric(source, value, fields);
    let parts = terms(stack, value, of_value.clone(), fields);
    let mut inner = Map::from_iter([("stack".to_owned(), parts)]);
    if let Value::Object(of_value) = of_value {
        inner.extend(of_value);
    }
    body(source, times, json!({"by": terms(by, value, Value::Object(inner), fields)}))
}

/// Numbers over time: buckets `time`, inside of buckets `by` where there is a split.
pub(super) fn over_time(
    source: &SearchSource,
    value: &Metric,
    split: Option<&Split>,
    window: &Window,
    fields: Fields<'_>,
) -> Value {
    let field = source.time.as_ref().map_or("", |t| &t.field);
    let interval = fixed_interval(window.interval);
    let of_value = metric(source, value, fields);
    let mut time =
        json!({"date_histogram": {"field": field, "fixed_interval": interval, "min_doc_count": 1}});
    if of_value != json!({}) {
        time["aggs"] = of_value;
    }
    let aggs = match split {
        None => json!({"time": time}),
        // The value of a line is that of its intervals: lines are chosen by their rows, or when they are there.
        Some(split) => {
            let chosen = if matches!(value, Metric::Last(_)) { value } else { &Metric::Count };
            json!({"by": terms(split, chosen, json!({"time": time}), fields)})
        }
    };
    body(source, Times::of(window), aggs)
}

/// Documents.
pub(super) fn documents(
    source: &SearchSource,
    shown: &[&str],
    sort: &[(String, bool)],
    limit: usize,
    times: Times,
    fields: Fields<'_>,
) -> Value {
    let mut body = body(source, times, json!({}));
    body["size"] = json!(limit);
    body["_source"] = json!(shown);
    if !sort.is_empty() {
        let order = |desc: bool| if desc { "desc" } else { "asc" };
        let by = |(field, desc): &(String, bool)| json!({fields(field): {"order": order(*desc)}});
        body["sort"] = Value::Array(sort.iter().map(by).collect());
    }
    body
}

/// Places: buckets `by` with the means of both coordinates.
pub(super) fn places(
    source: &SearchSource,
    (lon, lat): (&str, &str),
    by: &str,
    limit: usize,
    times: Times,
    fields: Fields<'_>,
) -> Value {
    let by = json!({
        "terms": {"field": fields(by), "size": limit},
        "aggs": {"lon": {"avg": {"field": lon}}, "lat": {"avg": {"field": lat}}},
    });
    body(source, times, json!({"by": by}))
}

/// The row with the greatest (or least) time.
pub(super) fn utmost(source: &SearchSource, newest: bool) -> Value {
    let field = source.time.as_ref().map_or("", |t| &t.field);
    let order = if newest { "desc" } else { "asc" };
    json!({
        "size": 1,
        "query": condition(source, Times::ALL),
        "sort": [{field: {"order": order}}],
        "_source": [field],
    })
}

/// All labels of a look-up, newest documents winning where a key repeats.
pub(super) fn labels(labels: &Labels, fields: Fields<'_>) -> Value {
    let name = json!({"terms": {"field": fields(&labels.field), "size": 1}});
    let by = json!({"terms": {"field": fields(&labels.key), "size": MAX_LABELS}, "aggs": {"label": name}});
    json!({"size": 0, "aggs": {"by": by}})
}

/// Ms as Elasticsearch writes them.
fn fixed_interval(ms: i64) -> String {
    for (unit, factor) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if ms % factor == 0 {
            return format!("{}{unit}", ms / factor);
        }
    }
    format!("{ms}ms")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::TimeField;

    fn source() -> SearchSource {
        let time = Some(TimeField { field: "ts".into(), newest: false });
        SearchSource { index: "views".into(), query: Some(json!({"term": {"gender": "F"}})), time }
    }

    fn split(field: &str, limit: usize) -> Split {
        Split { field: field.into(), limit, order: Vec::new(), labels: None }
    }

    fn keyword(field: &str) -> String {
        if field == "program" { "program.keyword".into() } else { field.into() }
    }

    #[test]
    fn lines_by_a_field_with_their_newest_value() {
        let window = Window::new(0, 59_999, Some(10_000));
        let asked = over_time(
            &source(),
            &Metric::Last("viewers".into()),
            Some(&split("channel_id", 12)),
            &window,
            &keyword,
        );
        let newest =
            json!({"top_hits": {"size": 1, "sort": [{"ts": {"order": "desc"}}], "_source": ["viewers"]}});
        let time = json!({
            "date_histogram": {"field": "ts", "fixed_interval": "10s", "min_doc_count": 1},
            "aggs": {"value": newest},
        });
        assert_eq!(
            asked,
            json!({
                "size": 0,
                "track_total_hits": true,
                "query": {"bool": {"filter": [
                    {"term": {"gender": "F"}},
                    {"range": {"ts": {"gte": 0, "lt": 60_000}}},
                ]}},
                "aggs": {"by": {
                    "terms": {"field": "channel_id", "size": 48, "order": {"_count": "desc"}},
                    "aggs": {"time": time},
                }},
            })
        );
    }

    #[test]
    fn the_greatest_are_chosen_by_their_value_and_texts_by_their_keyword() {
        let plain = SearchSource { query: None, time: None, ..source() };
        let asked = keyed(&plain, &Metric::Sum("minutes".into()), &split("program", 5), Times::ALL, &keyword);
        assert_eq!(asked["query"], json!({"match_all": {}}));
        let terms = json!({"field": "program.keyword", "size": 5, "order": {"value": "desc"}});
        let expected = json!({"by": {"terms": terms, "aggs": {"value": {"sum": {"field": "minutes"}}}}});
        assert_eq!(asked["aggs"], expected);
        let counted = keyed(&plain, &Metric::Count, &split("program", 5), Times::ALL, &keyword);
        assert_eq!(counted["aggs"]["by"]["terms"]["order"], json!({"_count": "desc"}));
        assert!(counted["aggs"]["by"].get("aggs").is_none());
    }

    #[test]
    fn stacked_bars_order_their_keys_by_their_whole() {
        let asked = stacked(
            &source(),
            &Metric::Sum("minutes".into()),
            (&split("age_band", 8), &split("gender", 3)),
            Times::ALL,
            &keyword,
        );
        let by = &asked["aggs"]["by"];
        assert_eq!(by["terms"]["order"], json!({"value": "desc"}));
        assert_eq!(by["aggs"]["value"], json!({"sum": {"field": "minutes"}}));
        assert_eq!(by["aggs"]["stack"]["aggs"]["value"], json!({"sum": {"field": "minutes"}}));
    }

    #[test]
    fn a_table_sorts_texts_by_their_keyword() {
        let sort = [("program".to_owned(), false), ("views".to_owned(), true)];
        let asked = documents(&source(), &["program", "views"], &sort, 7, Times::ALL, &keyword);
        assert_eq!(asked["size"], 7);
        assert_eq!(
            asked["sort"],
            json!([{"program.keyword": {"order": "asc"}}, {"views": {"order": "desc"}}])
        );
    }

    #[test]
    fn intervals_are_written_in_the_greatest_unit() {
        for (ms, text) in [(86_400_000, "1d"), (7_200_000, "2h"), (90_000, "90s"), (1500, "1500ms")] {
            assert_eq!(fixed_interval(ms), text);
        }
    }
}
