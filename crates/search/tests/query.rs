//! Queries and aggregations: as tables, and against a naive filter over random documents.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;

use common::{Server, config};
use proptest::prelude::*;
use serde_json::{Value, json};

const VIEWS: &str = r#"
    {"show":"news","channel":"one","minutes":10,"rating":4.5,"live":true,"at":"2024-03-05T20:00:00Z","tags":["a","b"]}
    {"show":"news","channel":"one","minutes":20,"rating":3.5,"live":true,"at":"2024-03-05T20:20:00Z","tags":["b"]}
    {"show":"film","channel":"two","minutes":90,"live":false,"at":"2024-03-05T21:10:00Z"}
    {"show":"sport","channel":"two","minutes":45,"rating":5.0,"live":true,"at":"2024-03-06T19:00:00Z","tags":["c"]}
    {"show":"film","channel":"three","rating":1.0,"at":"2024-04-01T00:00:00Z"}
"#;

#[test]
fn queries_find_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(config(dir.path()));
    server.index("views", VIEWS);
    let table = [
        (r#"{"match_all":{}}"#, "1 2 3 4 5"),
        (r#"{"match_none":{}}"#, ""),
        (r#"{"term":{"show.keyword":"news"}}"#, "1 2"),
        (r#"{"term":{"live":false}}"#, "3"),
        (r#"{"terms":{"minutes":[10,90,7]}}"#, "1 3"),
        (r#"{"terms":{"tags.keyword":["a","c"]}}"#, "1 4"),
        (r#"{"range":{"minutes":{"gte":20,"lt":90}}}"#, "2 4"),
        (r#"{"range":{"rating":{"gt":3.5}}}"#, "1 4"),
        (r#"{"range":{"at":{"gte":"2024-03-05T20:20:00Z","lte":"2024-03-06"}}}"#, "2 3 4"),
        (r#"{"exists":{"field":"rating"}}"#, "1 2 4 5"),
        (r#"{"ids":{"values":["5","1"]}}"#, "1 5"),
        (r#"{"prefix":{"show.keyword":"s"}}"#, "4"),
        (r#"{"wildcard":{"channel.keyword":"t*"}}"#, "3 4 5"),
        (r#"{"match":{"show":"FILM sport"}}"#, "3 4 5"),
        (r#"{"bool":{"must":{"term":{"live":true}},"must_not":{"term":{"show.keyword":"sport"}}}}"#, "1 2"),
        (
            r#"{"bool":{"filter":[{"exists":{"field":"tags"}}],"should":[{"term":{"live":false}}],"minimum_should_match":1}}"#,
            "",
        ),
        (
            r#"{"bool":{"should":[{"term":{"show.keyword":"film"}},{"range":{"minutes":{"lt":15}}}]}}"#,
            "1 3 5",
        ),
    ];
    for (query, expected) in table {
        let body = format!("{{\"query\":{query},\"sort\":[\"_doc\"]}}");
        assert_eq!(server.ids("views", &body), expected, "{query}");
        let count =
            server.ok("POST", "/views/_count", &format!("{{\"query\":{query}}}"))["count"].as_u64().unwrap();
        assert_eq!(count as usize, expected.split_whitespace().count(), "{query}");
    }
    server.close();
}

/// An aggregation as readable lines: `key count {sub value}`.
fn lines(answer: &Value) -> String {
    fn value(shown: &Value) -> String {
        if let Some(buckets) = shown["buckets"].as_array() {
            return format!("[{}]", buckets.iter().map(bucket).collect::<Vec<_>>().join(", "));
        }
        if let Some(hits) = shown["hits"]["hits"].as_array() {
            return hits.iter().map(|hit| hit["_id"].as_str().unwrap()).collect::<Vec<_>>().join("+");
        }
        shown["value"].to_string()
    }
    fn bucket(bucket: &Value) -> String {
        let key =
            bucket["key_as_string"].as_str().map(str::to_owned).unwrap_or_else(|| bucket["key"].to_string());
        let mut text =
            format!("{} {}", key.trim_matches('"').trim_end_matches(":00.000Z"), bucket["doc_count"]);
        for (name, sub) in bucket.as_object().unwrap().iter().filter(|(_, sub)| sub.is_object()) {
            text.push_str(&format!(" {name}={}", value(sub)));
        }
        text
    }
    value(&answer["aggregations"]["a"])
}

#[test]
fn aggregations_are_exact_over_segments_and_deletes() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(config(dir.path()));
    // One document per segment, some written twice, one deleted.
    let documents: Vec<&str> = VIEWS.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    for (i, document) in documents.iter().enumerate() {
        for _ in 0..=i % 2 {
            server.ok("PUT", &format!("/views/_doc/{}?refresh=true", i + 1), document);
        }
    }
    server.ok("PUT", "/views/_doc/gone?refresh=true", documents[0]);
    server.ok("DELETE", "/views/_doc/gone?refresh=true", "");
    let table = [
        (r#"{"terms":{"field":"show.keyword"}}"#, "[film 2, news 2, sport 1]"),
        (r#"{"terms":{"field":"tags.keyword","order":{"_key":"desc"}}}"#, "[c 1, b 2, a 1]"),
        (
            r#"{"terms":{"field":"minutes","missing":0,"order":{"_key":"asc"}}}"#,
            "[0 1, 10 1, 20 1, 45 1, 90 1]",
        ),
        (
            r#"{"date_histogram":{"field":"at","fixed_interval":"1h","min_doc_count":1}}"#,
            "[2024-03-05T20:00 2, 2024-03-05T21:00 1, 2024-03-06T19:00 1, 2024-04-01T00:00 1]",
        ),
        (
            r#"{"date_histogram":{"field":"at","calendar_interval":"month"}}"#,
            "[2024-03-01T00:00 4, 2024-04-01T00:00 1]",
        ),
        (r#"{"histogram":{"field":"minutes","interval":30}}"#, "[0.0 2, 30.0 1, 60.0 0, 90.0 1]"),
        (r#"{"sum":{"field":"minutes"}}"#, "165.0"),
        (r#"{"avg":{"field":"rating"}}"#, "3.5"),
        (r#"{"cardinality":{"field":"channel.keyword"}}"#, "3"),
        (r#"{"max":{"field":"absent"}}"#, "null"),
    ];
    for (agg, expected) in table {
        let answer = server.ok("POST", "/views/_search", &format!("{{\"size\":0,\"aggs\":{{\"a\":{agg}}}}}"));
        assert_eq!(lines(&answer), expected, "{agg}");
    }
    let nested = r#"{"size":0,"aggs":{"a":{"terms":{"field":"show.keyword","order":{"m":"desc"}},"aggs":{
        "m":{"sum":{"field":"minutes"}},
        "day":{"date_histogram":{"field":"at","calendar_interval":"day","min_doc_count":1},"aggs":{"c":{"terms":{"field":"channel.keyword"}}}},
        "top":{"top_hits":{"size":1,"sort":[{"at":"desc"}]}}}}}}"#;
    let expected = "[film 2 m=90.0 day=[2024-03-05T00:00 1 c=[two 1], 2024-04-01T00:00 1 c=[three 1]] top=5, \
        sport 1 m=45.0 day=[2024-03-06T00:00 1 c=[two 1]] top=4, \
        news 2 m=30.0 day=[2024-03-05T00:00 2 c=[one 2]] top=2]";
    assert_eq!(lines(&server.ok("POST", "/views/_search", nested)), expected);
    server.close();
}

#[test]
fn too_many_buckets_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(config(dir.path()));
    server.index("views", VIEWS);
    let body = r#"{"size":0,"aggs":{"a":{"date_histogram":{"field":"at","fixed_interval":"1s"}}}}"#;
    let (status, answer) = server.send("POST", "/views/_search", body);
    assert_eq!(
        (status, answer["error"]["root_cause"][0]["type"].as_str()),
        (400, Some("too_many_buckets_exception"))
    );
    server.close();
}

#[test]
fn pages_by_search_after_give_each_document_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(config(dir.path()));
    for part in 0..3 {
        let lines: String = (0..40)
            .map(|i| {
                let group = if i % 7 == 0 { "null".to_owned() } else { format!("\"g{}\"", i % 5) };
                format!("{{\"index\":{{}}}}\n{{\"group\":{group},\"n\":{}}}\n", part * 40 + i)
            })
            .collect();
        server.ok("POST", "/t/_bulk?refresh=true", &lines);
    }
    for order in ["asc", "desc"] {
        let (mut seen, mut after) = (Vec::new(), Value::Null);
        loop {
            let mut body = json!({"size": 7, "sort": [{"group.keyword": order}, {"n": "asc"}]});
            if !after.is_null() {
                body["search_after"] = after.clone();
            }
            let answer = server.ok("POST", "/t/_search", &body.to_string());
            let hits = answer["hits"]["hits"].as_array().unwrap().clone();
            let Some(last) = hits.last() else { break };
            after = last["sort"].clone();
            seen.extend(hits.iter().map(|hit| hit["_source"]["n"].as_i64().unwrap()));
        }
        let mut sorted = seen.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..120).collect::<Vec<i64>>(), "{order}");
    }
    server.close();
}

#[derive(Debug, Clone)]
struct Doc {
    word: Option<u8>,
    number: Option<i64>,
    real: Option<i16>,
}

#[derive(Debug, Clone)]
enum Filter {
    Word(u8),
    Words(Vec<u8>),
    Numbers(i64, i64),
    Reals(i16, i16),
    Has,
    Not(Box<Filter>),
    All(Vec<Filter>),
    Any(Vec<Filter>),
}

impl Filter {
    fn json(&self) -> Value {
        match self {
            Filter::Word(word) => json!({"term": {"word": format!("w{word}")}}),
            Filter::Words(words) => {
                json!({"terms": {"word": words.iter().map(|w| format!("w{w}")).collect::<Vec<_>>()}})
            }
            Filter::Numbers(from, to) => json!({"range": {"number": {"gte": from, "lt": to}}}),
            Filter::Reals(from, to) => {
                json!({"range": {"real": {"gt": f64::from(*from) / 4.0, "lte": f64::from(*to) / 4.0}}})
            }
            Filter::Has => json!({"exists": {"field": "word"}}),
            Filter::Not(inner) => json!({"bool": {"must_not": inner.json()}}),
            Filter::All(all) => json!({"bool": {"filter": all.iter().map(Filter::json).collect::<Vec<_>>()}}),
            Filter::Any(any) => json!({"bool": {"should": any.iter().map(Filter::json).collect::<Vec<_>>()}}),
        }
    }

    fn fits(&self, doc: &Doc) -> bool {
        match self {
            Filter::Word(word) => doc.word == Some(*word),
            Filter::Words(words) => doc.word.is_some_and(|word| words.contains(&word)),
            Filter::Numbers(from, to) => doc.number.is_some_and(|n| n >= *from && n < *to),
            Filter::Reals(from, to) => doc.real.is_some_and(|n| n > *from && n <= *to),
            Filter::Has => doc.word.is_some(),
            Filter::Not(inner) => !inner.fits(doc),
            Filter::All(all) => all.iter().all(|filter| filter.fits(doc)),
            Filter::Any(any) => any.iter().any(|filter| filter.fits(doc)) || any.is_empty(),
        }
    }
}

fn filter() -> impl Strategy<Value = Filter> {
    let leaf = prop_oneof![
        (0u8..6).prop_map(Filter::Word),
        prop::collection::vec(0u8..6, 0..4).prop_map(Filter::Words),
        (-20i64..20, -20i64..20).prop_map(|(a, b)| Filter::Numbers(a, b)),
        (-20i16..20, -20i16..20).prop_map(|(a, b)| Filter::Reals(a, b)),
        Just(Filter::Has),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|f| Filter::Not(Box::new(f))),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::All),
            prop::collection::vec(inner, 0..4).prop_map(Filter::Any),
        ]
    })
}

fn doc() -> impl Strategy<Value = Doc> {
    (prop::option::of(0u8..6), prop::option::of(-20i64..20), prop::option::of(-20i16..20))
        .prop_map(|(word, number, real)| Doc { word, number, real })
}

#[test]
fn searches_agree_with_a_naive_filter() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(config(dir.path()));
    let case = std::cell::Cell::new(0);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 12,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let batches = prop::collection::vec(
        prop::collection::vec((0u8..40, prop::option::weighted(0.85, doc())), 1..25),
        1..5,
    );
    let strategy = (batches, prop::collection::vec(filter(), 8));
    let result = runner.run(&strategy, |(batches, filters)| {
        case.set(case.get() + 1);
        let index = format!("case{}", case.get());
        let mapping = r#"{"mappings":{"properties":{"word":{"type":"keyword"},"number":{"type":"long"},"real":{"type":"double"}}}}"#;
        server.ok("PUT", &format!("/{index}"), mapping);
        let mut model: BTreeMap<u8, Doc> = BTreeMap::new();
        for batch in batches {
            let mut lines = String::new();
            for (id, doc) in batch {
                match doc {
                    Some(doc) => {
                        let source = json!({"word": doc.word.map(|w| format!("w{w}")), "number": doc.number, "real": doc.real.map(|n| f64::from(n) / 4.0)});
                        lines.push_str(&format!("{{\"index\":{{\"_id\":\"{id:02}\"}}}}\n{source}\n"));
                        model.insert(id, doc);
                    }
                    None => {
                        lines.push_str(&format!("{{\"delete\":{{\"_id\":\"{id:02}\"}}}}\n"));
                        model.remove(&id);
                    }
                }
            }
            server.ok("POST", &format!("/{index}/_bulk?refresh=true"), &lines);
        }
        for filter in filters {
            let body = json!({"size": 100, "query": filter.json(), "aggs": {"a": {"terms": {"field": "word", "order": {"_key": "asc"}}, "aggs": {"s": {"sum": {"field": "number"}}}}}});
            let answer = server.ok("POST", &format!("/{index}/_search"), &body.to_string());
            let mut found: Vec<String> = answer["hits"]["hits"].as_array().unwrap().iter().map(|hit| hit["_id"].as_str().unwrap().to_owned()).collect();
            found.sort();
            let fitting: Vec<(&u8, &Doc)> = model.iter().filter(|(_, doc)| filter.fits(doc)).collect();
            let expected: Vec<String> = fitting.iter().map(|(id, _)| format!("{id:02}")).collect();
            prop_assert_eq!(found, expected, "{:?}", filter);
            let mut groups: BTreeMap<u8, (u64, i64)> = BTreeMap::new();
            for (_, doc) in &fitting {
                if let Some(word) = doc.word {
                    let group = groups.entry(word).or_default();
                    group.0 += 1;
                    group.1 += doc.number.unwrap_or(0);
                }
            }
            let shown: Vec<(String, u64, i64)> = answer["aggregations"]["a"]["buckets"].as_array().unwrap().iter()
                .map(|b| (b["key"].as_str().unwrap().to_owned(), b["doc_count"].as_u64().unwrap(), b["s"]["value"].as_f64().unwrap() as i64)).collect();
            let expected: Vec<(String, u64, i64)> = groups.into_iter().map(|(word, (count, sum))| (format!("w{word}"), count, sum)).collect();
            prop_assert_eq!(shown, expected, "{:?}", filter);
        }
        server.ok("DELETE", &format!("/{index}"), "");
        Ok(())
    });
    result.unwrap();
    server.close();
}
