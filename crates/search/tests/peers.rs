//! The same requests to this server and to a real Elasticsearch must have the same answers, times and scores aside.
//!
//! `BD_PEER_ELASTICSEARCH=http://127.0.0.1:9200 cargo test -p bd-search --features peers --test peers`. Indices `bdpeer*` of
//! that server are deleted.
#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::{Server, config, send};
use serde_json::{Map, Value, json};

const DOCUMENTS: &str = r#"
{"user":"u1","program":"News at Ten","channel":"one","minutes":12.5,"count":3,"live":true,"at":"2024-03-05T10:01:30Z","tags":["a","b"],"geo":{"city":"Oslo"}}
{"user":"u2","program":"The Late Show","channel":"two","minutes":7,"count":1,"live":false,"at":"2024-03-05T10:14:59.500Z","tags":["b"],"geo":{"city":"Rome"}}
{"user":"u1","program":"Late News","channel":"one","minutes":30.25,"count":9,"live":true,"at":"2024-03-05T11:30:00+01:00","tags":[]}
{"user":"u3","program":"Cooking, the easy way","channel":"three","minutes":0.5,"count":-4,"live":false,"at":"2024-03-06T00:00:00Z","tags":["c","c"],"geo":{"city":"Oslo"}}
{"user":"u2","program":"news","channel":"two","minutes":55,"count":3,"at":"2024-04-01T23:59:59.999Z"}
{"user":"u4","channel":"four","minutes":null,"count":100,"live":true}
{"user":"u4","program":"A very late night","channel":"four","minutes":1.25,"count":2,"live":true,"at":"2025-01-01"}
"#;

/// METHOD PATH [body], one per line; the index is `bdpeer`.
const REQUESTS: &str = r#"
GET /bdpeer/_mapping
GET /bdpeer/_doc/1
GET /bdpeer/_doc/99
GET /bdpeer/_source/2
GET /bdpeer/_source/99
GET /bdpeer/_doc/1?_source_includes=user,geo.*
GET /absent/_search
GET /absent/_doc/1
GET /bdpeer/_count
POST /bdpeer/_count {"query":{"term":{"channel.keyword":"one"}}}
POST /bdpeer/_search
POST /bdpeer/_search {"query":{"match_all":{}},"size":2,"from":1,"sort":["count"]}
POST /bdpeer/_search {"query":{"match_none":{}}}
POST /bdpeer/_search {"sort":[{"minutes":"desc"},"_doc"]}
POST /bdpeer/_search {"sort":[{"minutes":{"order":"asc","missing":"_first"}}],"_source":["minutes"]}
POST /bdpeer/_search {"sort":[{"minutes":{"order":"asc","missing":20}}],"_source":false}
POST /bdpeer/_search {"sort":[{"channel.keyword":"desc"},{"count":"asc"}],"_source":false}
POST /bdpeer/_search {"sort":[{"tags.keyword":"asc"},{"count":"asc"}],"_source":false}
POST /bdpeer/_search {"sort":[{"tags.keyword":"desc"},{"count":"asc"}],"_source":false}
POST /bdpeer/_search {"sort":[{"at":"desc"},{"live":"asc"},{"count":"asc"}],"_source":false,"track_total_hits":false}
POST /bdpeer/_search {"sort":[{"live":"asc"},{"count":"asc"}],"_source":false}
POST /bdpeer/_search {"sort":[{"count":"asc"},{"user.keyword":"asc"}],"search_after":[3,"u1"],"size":2,"_source":false}
POST /bdpeer/_search {"sort":[{"channel.keyword":"asc"},{"count":"asc"}],"search_after":["nothing",0],"_source":false}
POST /bdpeer/_search {"sort":[{"at":"asc"},{"count":"asc"}],"search_after":[1709634899500,1],"_source":false}
POST /bdpeer/_search {"track_total_hits":3,"size":0}
POST /bdpeer/_search {"version":true,"seq_no_primary_term":true,"sort":["count"],"_source":{"excludes":["geo","tags"]}}
POST /bdpeer/_search {"query":{"term":{"user.keyword":"u1"}},"sort":["count"]}
POST /bdpeer/_search {"query":{"term":{"program":"news"}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"term":{"program":"News"}}}
POST /bdpeer/_search {"query":{"term":{"count":{"value":3}}},"sort":["minutes"],"_source":false}
POST /bdpeer/_search {"query":{"term":{"live":true}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"term":{"minutes":12.5}},"_source":false}
POST /bdpeer/_search {"query":{"term":{"at":"2024-03-05"}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"term":{"absent":1}}}
POST /bdpeer/_search {"query":{"terms":{"channel.keyword":["one","four"]}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"terms":{"count":[1,2,"3"]}},"sort":["count","minutes"],"_source":false}
POST /bdpeer/_search {"query":{"ids":{"values":["1","3","99"]}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"exists":{"field":"geo"}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"exists":{"field":"program"}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"exists":{"field":"tags"}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"exists":{"field":"minutes"}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"range":{"count":{"gt":1,"lte":3}}},"sort":["count","minutes"],"_source":false}
POST /bdpeer/_search {"query":{"range":{"count":{"gt":0.5,"lt":2.5}}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"range":{"minutes":{"gte":7,"lt":30.25}}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"range":{"channel.keyword":{"gte":"one","lt":"two"}}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"range":{"at":{"gte":"2024-03-05","lt":"2024-03-06"}}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"range":{"at":{"gt":"2024-03-05","lte":"2024-04"}}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"range":{"at":{"gte":"2024-03-05||/M","lte":"2024-03-05||/M"}}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"range":{"at":{"gte":1709634899500}}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"range":{"at":{"gte":"05/03/2024","lte":"06/03/2024","format":"dd/MM/yyyy"}}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"range":{"at":{"gte":"2024-03-06T01:00:00","time_zone":"+01:00"}}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"range":{"at":{"gte":"now-15m/m"}}}}
POST /bdpeer/_search {"query":{"prefix":{"channel.keyword":"t"}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"wildcard":{"channel.keyword":{"value":"*o*"}}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"match":{"program":"late news"}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"match":{"program":{"query":"LATE news","operator":"and"}}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"match_phrase":{"program":"late show"}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"match":{"count":"3"}},"sort":["minutes"],"_source":false}
POST /bdpeer/_search {"query":{"bool":{"must":[{"term":{"live":true}}],"must_not":{"term":{"channel.keyword":"one"}}}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"bool":{"should":[{"term":{"user.keyword":"u1"}},{"term":{"channel.keyword":"two"}},{"term":{"live":true}}],"minimum_should_match":2}},"sort":["count"],"_source":false}
POST /bdpeer/_search {"query":{"bool":{"filter":[{"range":{"count":{"gte":2}}}],"should":[{"term":{"user.keyword":"u1"}}]}},"sort":["count","minutes"],"_source":false}
POST /bdpeer/_search {"query":{"bool":{"must_not":[{"exists":{"field":"at"}}]}},"_source":false}
POST /bdpeer/_search {"query":{"bool":{}},"size":0}
POST /bdpeer/_search {"query":{"bool":{"filter":{"term":{"live":true}}}},"size":1,"_source":false}
POST /bdpeer/_search {"query":{"constant_score":{"filter":{"term":{"live":false}},"boost":2.5}},"_source":false}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"terms":{"field":"channel.keyword"}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"terms":{"field":"channel.keyword","size":1}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"terms":{"field":"tags.keyword","missing":"none"}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"terms":{"field":"count","order":{"_key":"desc"}}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"terms":{"field":"minutes"}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"terms":{"field":"live"}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"terms":{"field":"at"}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"terms":{"field":"absent"}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"terms":{"field":"channel.keyword","order":{"m":"desc"}},"aggs":{"m":{"sum":{"field":"minutes"}}}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"terms":{"field":"channel.keyword","order":{"m.max":"asc"}},"aggs":{"m":{"stats":{"field":"minutes"}}}}}}
POST /bdpeer/_search {"size":0,"query":{"term":{"live":true}},"aggs":{"a":{"terms":{"field":"channel.keyword","min_doc_count":0,"order":{"_key":"asc"}}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"terms":{"field":"channel.keyword","include":["one","two"],"exclude":["two"]}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"date_histogram":{"field":"at","fixed_interval":"15m","min_doc_count":1}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"date_histogram":{"field":"at","calendar_interval":"month"}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"date_histogram":{"field":"at","calendar_interval":"1q","format":"yyyy-MM-dd","order":{"_key":"desc"}},"aggs":{"u":{"cardinality":{"field":"user.keyword"}}}}}}
POST /bdpeer/_search {"size":0,"query":{"range":{"at":{"lt":"2024-03-06"}}},"aggs":{"a":{"date_histogram":{"field":"at","fixed_interval":"1h","extended_bounds":{"min":"2024-03-05T08:00:00Z","max":"2024-03-05T12:00:00Z"}}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"date_histogram":{"field":"at","calendar_interval":"day","hard_bounds":{"min":"2024-03-05","max":"2024-03-07"},"offset":"+6h"}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"date_histogram":{"field":"at","calendar_interval":"year","keyed":true}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"date_histogram":{"field":"at","calendar_interval":"week","min_doc_count":1}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"histogram":{"field":"count","interval":5}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"histogram":{"field":"minutes","interval":12.5,"offset":2.5,"min_doc_count":1}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"range":{"field":"minutes","ranges":[{"to":5},{"from":5,"to":20},{"from":20,"key":"long"}]}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"range":{"field":"count","keyed":true,"ranges":[{"to":2},{"from":2}]}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"date_range":{"field":"at","ranges":[{"to":"2024-03-06"},{"from":"2024-03-06"}]}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"filter":{"term":{"live":true}},"aggs":{"m":{"avg":{"field":"minutes"}}}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"filters":{"filters":{"x":{"term":{"live":true}},"y":{"match_all":{}}}}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"filters":{"other_bucket_key":"rest","filters":{"x":{"term":{"channel.keyword":"one"}}}}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"missing":{"field":"at"}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"sum":{"field":"minutes"}},"b":{"avg":{"field":"minutes"}},"c":{"min":{"field":"count"}},"d":{"max":{"field":"at"}},"e":{"value_count":{"field":"tags.keyword"}},"f":{"stats":{"field":"count"}},"g":{"cardinality":{"field":"user.keyword"}},"h":{"avg":{"field":"minutes","missing":10}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"stats":{"field":"at"}},"b":{"max":{"field":"live"}},"c":{"sum":{"field":"absent"}},"d":{"min":{"field":"absent"}},"e":{"stats":{"field":"absent"}},"f":{"cardinality":{"field":"count"}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"terms":{"field":"channel.keyword","size":2},"aggs":{"top":{"top_hits":{"size":1,"sort":[{"count":"desc"}],"_source":["program"]}}}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"top_hits":{"size":2,"sort":["count"],"_source":false}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"percentiles":{"field":"count","percents":[50]}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"terms":{"field":"user.keyword"},"aggs":{"d":{"date_histogram":{"field":"at","calendar_interval":"month","min_doc_count":1},"aggs":{"c":{"terms":{"field":"channel.keyword"}}}}}}}}
POST /bdpeer/_search?typed_keys {"size":0,"aggs":{"a":{"terms":{"field":"channel.keyword"},"aggs":{"m":{"sum":{"field":"minutes"}},"c":{"cardinality":{"field":"user.keyword"}}}},"d":{"date_histogram":{"field":"at","calendar_interval":"year"}},"l":{"terms":{"field":"count"}},"u":{"terms":{"field":"absent"}},"t":{"top_hits":{"size":1,"_source":false,"sort":["count"]}}}}
POST /bdpeer/_search {"size":0,"aggs":{"a":{"meta":{"x":1},"sum":{"field":"count"}}}}
POST /bdpeer/_search {"query":{"like":{}}}
POST /bdpeer/_search {"query":{"term":{"count":"x"}}}
POST /bdpeer/_search {"query":{"range":{"at":{"gte":"yesterday"}}}}
POST /bdpeer/_search {"query":{"match_all":{},"term":{"a":"b"}}}
POST /bdpeer/_search {"colour":{}}
POST /bdpeer/_search {"sort":"program"}
POST /bdpeer/_search {"sort":"absent"}
POST /bdpeer/_search {"aggs":{"a":{"terms":{"field":"program"}}}}
POST /bdpeer/_search {"aggs":{"a":{"sum":{"field":"channel.keyword"}}}}
POST /bdpeer/_search {"aggs":{"a":{"colours":{"field":"count"}}}}
POST /bdpeer/_search {"aggs":{"a":{"sum":{}}}}
POST /bdpeer/_search {"aggs":{"a":{"date_histogram":{"field":"at"}}}}
POST /bdpeer/_search {"aggs":{"a":{"date_histogram":{"field":"at","calendar_interval":"2d"}}}}
POST /bdpeer/_search {"from":9999,"size":2}
POST /bdpeer/_search {"from":-1}
POST /bdpeer/_search {"search_after":[1],"sort":["count","user.keyword"]}
POST /bdpeer/_search?colour=red
POST /bdpeer/_bulk {"index":{}}
PUT /bdpeer
PUT /BDPEER
PUT /bdpeer/_doc/bad {"count":"many"}
PUT /bdpeer/_doc/bad {"at":"soon"}
PUT /bdpeer/_doc/bad {"live":"maybe"}
PUT /bdpeer/_doc/bad {"geo":"flat"}
PUT /bdpeer/_doc/bad {"count":{"x":1}}
PUT /bdpeer/_doc/bad [1]
PUT /bdpeer/_mapping {"properties":{"count":{"type":"keyword"}}}
PUT /bdpeer/_create/1 {"a":1}
PUT /bdpeer/_doc/1?version=1 {"a":1}
PUT /bdpeer/_doc/1?if_seq_no=99&if_primary_term=1 {"a":1}
PUT /bdpeer/_doc/v?version=5&version_type=external {"count":1}
PUT /bdpeer/_doc/v?version=5&version_type=external {"count":1}
PUT /bdpeer/_doc/v?version=6&version_type=external {"count":2}
DELETE /bdpeer/_doc/v?version=6&version_type=external
DELETE /bdpeer/_doc/v?version=8&version_type=external
PUT /bdpeer/_doc/v?version=7&version_type=external {"count":2}
DELETE /bdpeer/_doc/absent
DELETE /absent/_doc/1
POST /bdpeer/_refresh
POST /bdpeer/_flush
DELETE /absent
HEAD /bdpeer
HEAD /absent
PUT /bdpeer2 {"mappings":{"dynamic":"strict","properties":{"a":{"type":"keyword","ignore_above":3},"b":{"type":"byte"},"d":{"type":"date","format":"epoch_second"},"o":{"properties":{"x":{"type":"double"}}}}}}
GET /bdpeer2/_mapping
PUT /bdpeer2/_doc/1?refresh=true {"a":["long text","ok"],"b":"12","d":1700000000,"o":{"x":"1.5"}}
GET /bdpeer2/_search
GET /bdpeer2/_doc/1
PUT /bdpeer2/_doc/2 {"z":1}
PUT /bdpeer2/_doc/2 {"b":300}
PUT /bdpeer2/_doc/2 {"o":{"y":1}}
POST /bdpeer2/_search {"size":0,"aggs":{"a":{"terms":{"field":"d"}},"b":{"max":{"field":"d"}}}}
POST /bdpeer,bdpeer2/_search {"size":0,"aggs":{"a":{"terms":{"field":"b"}}}}
PUT /bdpeer3 {"mappings":{"properties":{"a":{"type":"keyword","colour":1}}}}
PUT /bdpeer3 {"mappings":{"colour":{}}}
PUT /bdpeer3 {"settings":{"colour":1}}
"#;

/// What differs by nature: times, ids, scores, places in texts, and what is below the first cause.
fn mask(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for key in [
                "took",
                "line",
                "col",
                "shard",
                "node",
                "index_uuid",
                "failed_shards",
                "caused_by",
                "suppressed",
                "uuid",
                "_score",
                "max_score",
            ] {
                members.remove(key);
            }
            for (_, member) in members.iter_mut() {
                mask(member);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        // Since 8.8 the error of a document that does not fit has a type of its own, and says where.
        Value::String(text) if text == "document_parsing_exception" => {
            *text = "mapper_parsing_exception".to_owned()
        }
        Value::String(text) => {
            *text = without_places(text);
            if let Some(rest) = text.strip_prefix("[L:C] ") {
                *text = rest.to_owned();
            }
        }
        _ => {}
    }
}

/// Without `[1:17]`, and without uuids behind the name of an index.
fn without_places(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        let (before, inside) = rest.split_at(at);
        out.push_str(before);
        let end = inside.find(']').map_or(inside.len(), |end| end + 1);
        let bracket = &inside[..end];
        let place = bracket
            .trim_matches(['[', ']'])
            .split(':')
            .all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        let uuid = bracket.starts_with("[bdpeer/");
        out.push_str(if place && bracket.contains(':') {
            "[L:C]"
        } else if uuid {
            "[bdpeer/uuid]"
        } else {
            bracket
        });
        rest = &inside[end..];
    }
    out + rest
}

#[test]
fn answers_are_those_of_elasticsearch() {
    let peer = std::env::var("BD_PEER_ELASTICSEARCH")
        .expect("BD_PEER_ELASTICSEARCH: the URL of an Elasticsearch to compare with");
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(config(dir.path()));
    let urls = [server.url.clone(), peer];
    for index in ["bdpeer", "bdpeer2", "bdpeer3"] {
        let _ = send(&urls[1], "DELETE", &format!("/{index}"), "");
    }
    let mut lines = String::new();
    for (i, document) in DOCUMENTS.lines().filter(|line| !line.is_empty()).enumerate() {
        lines.push_str(&format!("{{\"index\":{{\"_id\":\"{}\"}}}}\n{document}\n", i + 1));
    }
    lines.push_str("{\"create\":{\"_id\":\"1\"}}\n{\"count\":1}\n{\"delete\":{\"_id\":\"77\"}}\n{\"update\":{\"_id\":\"1\"}}\n{\"doc\":{\"count\":4}}\n");
    lines.push_str("{\"update\":{\"_id\":\"1\"}}\n{\"doc\":{\"count\":4}}\n{\"update\":{\"_id\":\"78\"}}\n{\"doc\":{\"count\":4}}\n");
    let requests: Vec<(String, String, String)> =
        std::iter::once(("POST".into(), "/bdpeer/_bulk?refresh=true".into(), lines))
            .chain(REQUESTS.lines().filter(|line| !line.is_empty()).map(|line| {
                let mut parts = line.splitn(3, ' ');
                let mut next = || parts.next().unwrap_or_default().to_owned();
                (next(), next(), next())
            }))
            .collect();
    let (mut different, count) = (Vec::new(), requests.len());
    for (method, path, body) in requests {
        let [ours, theirs] = [0, 1].map(|i| {
            let (status, mut answer) = send(&urls[i], &method, &path, &body);
            mask(&mut answer);
            let mut whole = Map::new();
            whole.insert("status".into(), json!(status));
            whole.insert("answer".into(), answer);
            Value::Object(whole)
        });
        if ours != theirs {
            different.push(format!("{method} {path} {body}\n  ours   {ours}\n  theirs {theirs}\n"));
        }
    }
    server.close();
    assert!(different.is_empty(), "{} of {count} answers differ:\n{}", different.len(), different.join("\n"));
}
