//! The REST interface, over HTTP.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::{Server, config};
use serde_json::{Value, json};

fn server() -> (tempfile::TempDir, Server) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(config(dir.path()));
    (dir, server)
}

#[test]
fn a_client_recognises_elasticsearch() {
    let (_dir, server) = server();
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    for path in ["/", "/absent/_search"] {
        let answer = agent.get(format!("{}{path}", server.url)).call().unwrap();
        assert_eq!(answer.headers().get("x-elastic-product").unwrap(), "Elasticsearch", "{path}");
    }
    assert!(server.ok("GET", "/", "")["version"]["number"].as_str().unwrap().starts_with("8."));
    server.close();
}

#[test]
fn bulk_says_of_each_item_what_became_of_it() {
    let (_dir, server) = server();
    let body = r#"{"index":{"_id":"1"}}
{"a":1}
{"create":{"_id":"1"}}
{"a":2}
{"update":{"_id":"1"}}
{"doc":{"b":2}}
{"update":{"_id":"9"}}
{"doc":{"b":2}}
{"index":{"_id":"2"}}
{"a":"x"}
{"delete":{"_id":"1"}}
{"delete":{"_id":"1"}}
{"index":{"_id":"3","version":7,"version_type":"external"}}
{"a":3}
{"index":{"_id":"3","version":7,"version_type":"external"}}
{"a":4}
{"index":{"_id":"3","version":7,"version_type":"external_gte"}}
{"a":5}
"#;
    let answer = server.ok("POST", "/t/_bulk", body);
    assert_eq!(answer["errors"], true);
    let shown: Vec<String> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let (kind, inner) = item.as_object().unwrap().iter().next().unwrap();
            let what = inner["result"].as_str().unwrap_or_else(|| inner["error"]["type"].as_str().unwrap());
            format!(
                "{kind} {} {} v{} #{} {what}",
                inner["_id"].as_str().unwrap(),
                inner["status"],
                inner["_version"],
                inner["_seq_no"]
            )
        })
        .collect();
    let expected = "\
index 1 201 v1 #0 created
create 1 409 vnull #null version_conflict_engine_exception
update 1 200 v2 #1 updated
update 9 404 vnull #null document_missing_exception
index 2 400 vnull #null document_parsing_exception
delete 1 200 v3 #2 deleted
delete 1 404 v4 #3 not_found
index 3 201 v7 #4 created
index 3 409 vnull #null version_conflict_engine_exception
index 3 200 v7 #5 updated";
    assert_eq!(shown.join("\n"), expected);
    server.close();
}

#[test]
fn malformed_bulk_requests_are_refused_whole() {
    let (_dir, server) = server();
    let table = [
        ("{\"index\":{\"_id\":\"1\"}}\n{\"a\":1}", "The bulk request must be terminated by a newline [\\n]"),
        (
            "{\"index\":{}}\n{}\n{\"find\":{}}\n{}\n",
            "Malformed action/metadata line [3], expected field [create], [delete], [index] or [update] but found [find]",
        ),
        (
            "{\"index\":{\"_colour\":1}}\n{}\n",
            "Action/metadata line [1] contains an unknown parameter [_colour]",
        ),
        ("", "request body is required"),
    ];
    for (body, reason) in table {
        let (status, answer) = server.send("POST", "/t/_bulk", body);
        assert_eq!((status, answer["error"]["reason"].as_str().unwrap()), (400, reason));
    }
    assert_eq!(server.send("HEAD", "/t", "").0, 404, "nothing was written");
    server.close();
}

#[test]
fn sources_come_back_byte_for_byte() {
    let (_dir, server) = server();
    let source = "{ \"z\":1.50,\t\"a\" : [ 1e3,null ],\"ü\":\"\\u00e9\" }";
    server.ok("PUT", "/t/_doc/1?refresh=true", source);
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    for path in ["/t/_source/1", "/t/_doc/1", "/t/_search"] {
        let text =
            agent.get(format!("{}{path}", server.url)).call().unwrap().body_mut().read_to_string().unwrap();
        assert!(text.contains(source), "{path}: {text}");
    }
    server.close();
}

#[test]
fn reads_by_id_see_writes_at_once_and_searches_after_a_refresh() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(config(dir.path()));
    server.ok("PUT", "/t", r#"{"settings":{"index":{"refresh_interval":"-1"}}}"#);
    server.ok("PUT", "/t/_doc/1", r#"{"a":1}"#);
    assert_eq!(server.ok("GET", "/t/_doc/1", "")["_source"]["a"], 1);
    assert_eq!(server.send("GET", "/t/_doc/1?realtime=false", "").0, 404);
    assert_eq!(server.ok("GET", "/t/_count", "")["count"], 0);
    server.ok("POST", "/t/_refresh", "");
    assert_eq!(server.ok("GET", "/t/_count", "")["count"], 1);
    server.ok("DELETE", "/t/_doc/1", "");
    assert_eq!(server.send("GET", "/t/_doc/1", "").0, 404);
    assert_eq!(server.ok("GET", "/t/_count", "")["count"], 1, "not yet");
    server.ok("PUT", "/t/_doc/1?refresh=true", r#"{"a":2}"#);
    assert_eq!(server.ok("GET", "/t/_search", "")["hits"]["hits"][0]["_source"]["a"], 2);
    assert_eq!(server.ok("GET", "/t/_count", "")["count"], 1);
    server.close();
}

#[test]
fn errors_are_those_of_elasticsearch() {
    let (_dir, server) = server();
    server.index("t", r#"{"text":"some words","n":1,"at":"2024-01-01"}"#);
    let table = [
        ("GET", "/absent/_search", "", 404, "index_not_found_exception", "no such index [absent]"),
        ("GET", "/absent/_doc/1", "", 404, "index_not_found_exception", "no such index [absent]"),
        ("PUT", "/t", "", 400, "resource_already_exists_exception", ""),
        (
            "PUT",
            "/Upper",
            "",
            400,
            "invalid_index_name_exception",
            "Invalid index name [Upper], must be lowercase",
        ),
        ("POST", "/t/_search", r#"{"query":{"like":{}}}"#, 400, "parsing_exception", "unknown query [like]"),
        (
            "POST",
            "/t/_search",
            r#"{"query":{"fuzzy":{"a":"b"}}}"#,
            400,
            "illegal_argument_exception",
            "[fuzzy] query is not supported by this server",
        ),
        (
            "POST",
            "/t/_search",
            r#"{"colour":{}}"#,
            400,
            "parsing_exception",
            "Unknown key for a START_OBJECT in [colour].",
        ),
        (
            "POST",
            "/t/_search",
            r#"{"aggs":{"a":{"sums":{"field":"n"}}}}"#,
            400,
            "parsing_exception",
            "Unknown aggregation type [sums]",
        ),
        (
            "POST",
            "/t/_search",
            r#"{"from":9999,"size":2}"#,
            400,
            "search_phase_execution_exception",
            "all shards failed",
        ),
        (
            "POST",
            "/t/_search",
            r#"{"sort":"text"}"#,
            400,
            "search_phase_execution_exception",
            "all shards failed",
        ),
        (
            "POST",
            "/t/_search",
            r#"{"sort":"absent"}"#,
            400,
            "search_phase_execution_exception",
            "all shards failed",
        ),
        (
            "POST",
            "/t/_search",
            r#"{"aggs":{"a":{"terms":{"field":"text"}}}}"#,
            400,
            "search_phase_execution_exception",
            "all shards failed",
        ),
        (
            "POST",
            "/t/_search?colour=red",
            "",
            400,
            "illegal_argument_exception",
            "request [/t/_search] contains unrecognized parameter: [colour]",
        ),
        ("PUT", "/t/_doc/2", r#"{"n":"x"}"#, 400, "document_parsing_exception", ""),
        ("PUT", "/t/_doc/2", "{", 400, "document_parsing_exception", ""),
        (
            "PUT",
            "/t/_mapping",
            r#"{"properties":{"n":{"type":"keyword"}}}"#,
            400,
            "illegal_argument_exception",
            "mapper [n] cannot be changed from type [long] to [keyword]",
        ),
        (
            "PUT",
            "/u",
            r#"{"mappings":{"properties":{"a":{"type":"dense_vector"}}}}"#,
            400,
            "mapper_parsing_exception",
            "",
        ),
        (
            "GET",
            "/t/_explain/1",
            "",
            400,
            "illegal_argument_exception",
            "no handler found for uri [/t/_explain/1] and method [GET]",
        ),
        (
            "DELETE",
            "/*",
            "",
            400,
            "illegal_argument_exception",
            "Wildcard expressions or all indices are not allowed",
        ),
    ];
    for (method, path, body, status, kind, reason) in table {
        let (found, answer) = server.send(method, path, body);
        assert_eq!(
            (found, answer["error"]["type"].as_str()),
            (status, Some(kind)),
            "{method} {path} {body}: {answer}"
        );
        assert_eq!(answer["status"], status);
        assert!(answer["error"]["root_cause"].is_array());
        if !reason.is_empty() {
            assert_eq!(answer["error"]["reason"], reason, "{path} {body}");
        }
    }
    let (_, answer) = server.send("POST", "/t/_search", r#"{"sort":"text"}"#);
    let reason = answer["error"]["root_cause"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("Fielddata is disabled on [text] in [t]."), "{reason}");
    server.close();
}

#[test]
fn mappings_grow_with_documents_and_are_kept() {
    let (_dir, server) = server();
    server.index(
        "t",
        r#"{"s":"x","i":5,"f":1.5,"b":true,"d":"2024-01-02T03:04:05Z","o":{"n":{"k":"v"}},"a":[1,2],"e":{},"null":null,"dotted.name":1}"#,
    );
    let text = json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}});
    let expected = json!({"t": {"mappings": {"properties": {
        "a": {"type": "long"}, "b": {"type": "boolean"}, "d": {"type": "date"},
        "dotted": {"properties": {"name": {"type": "long"}}}, "e": {"type": "object"}, "f": {"type": "float"}, "i": {"type": "long"},
        "o": {"properties": {"n": {"properties": {"k": text}}}}, "s": text,
    }}}});
    assert_eq!(server.ok("GET", "/t/_mapping", ""), expected);
    server.ok(
        "PUT",
        "/t/_mapping",
        r#"{"properties":{"k":{"type":"keyword"},"o":{"properties":{"geo":{"type":"geo_point"}}}}}"#,
    );
    server.ok("PUT", "/t/_doc/2?refresh=true", r#"{"k":"x","o":{"geo":{"lat":1,"lon":2}}}"#);
    assert_eq!(server.ids("t", r#"{"query":{"exists":{"field":"o.geo"}}}"#), "2");
    server.close();
}

#[test]
fn strict_mappings_refuse_and_false_ones_ignore_new_fields() {
    let (_dir, server) = server();
    for (dynamic, status) in [("strict", 400), ("false", 201)] {
        let body =
            json!({"mappings": {"dynamic": dynamic, "properties": {"a": {"type": "long"}}}}).to_string();
        server.ok("PUT", &format!("/{dynamic}"), &body);
        let (found, answer) = server.send("PUT", &format!("/{dynamic}/_doc/1"), r#"{"a":1,"b":2}"#);
        assert_eq!(found, status, "{answer}");
    }
    let mapping = server.ok("GET", "/false/_mapping", "");
    assert_eq!(mapping["false"]["mappings"]["properties"], json!({"a": {"type": "long"}}));
    server.close();
}

#[test]
fn tables_are_shown_as_text_and_json() {
    let (_dir, server) = server();
    server.index("one", "{\"a\":1}\n{\"a\":2}");
    server.ok("PUT", "/two", "");
    let text = server.ok("GET", "/_cat/indices?v&h=index,docs.count,health&s=index", "");
    assert_eq!(
        text.as_str().unwrap(),
        "index docs.count health\none            2 green\ntwo            0 green\n"
    );
    let rows = server.ok("GET", "/_cat/indices/o*?format=json&h=index,docs.count", "");
    assert_eq!(rows, json!([{"index": "one", "docs.count": "2"}]));
    assert_eq!(server.ok("GET", "/_cluster/health", "")["status"], "green");
    server.close();
}

#[test]
fn indices_are_named_by_lists_patterns_and_aliases() {
    let (_dir, server) = server();
    for name in ["a1", "a2", "b1"] {
        server.index(name, r#"{"x":1}"#);
    }
    server.ok("PUT", "/a1/_alias/first", "");
    let count = |path: &str| server.send("GET", &format!("/{path}/_count"), "").1["count"].clone();
    let table: [(&str, Value); 8] = [
        ("a1", json!(1)),
        ("a*", json!(2)),
        ("a1,b1", json!(2)),
        ("*,-a*", json!(1)),
        ("_all", json!(3)),
        ("first", json!(1)),
        ("a1,absent", Value::Null),
        ("c*", json!(0)),
    ];
    for (path, expected) in table {
        assert_eq!(count(path), expected, "{path}");
    }
    server.ok("DELETE", "/a2", "");
    assert_eq!(count("a*"), 1);
    assert_eq!(server.send("DELETE", "/first", "").0, 400);
    server.close();
}

#[test]
fn versions_of_deleted_documents_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(config(dir.path()));
    let external = |server: &Server, method: &str, version: u64| {
        server.send(method, &format!("/t/_doc/1?version={version}&version_type=external"), "{\"a\":1}").0
    };
    assert_eq!(external(&server, "PUT", 5), 201);
    assert_eq!(external(&server, "DELETE", 8), 200);
    for restart in 0..3 {
        let server = Server::start(if restart == 0 {
            server.search.close();
            let copy = tempfile::tempdir().unwrap().keep();
            common::copy(dir.path(), &copy);
            config(&copy)
        } else {
            let copy = tempfile::tempdir().unwrap().keep();
            common::copy(dir.path(), &copy);
            config(&copy)
        });
        assert_eq!(external(&server, "PUT", 7), 409, "an older write must not revive it");
        assert_eq!(external(&server, "PUT", 9), 201);
        server.close();
    }
}

#[test]
fn many_searches_go_in_one_request() {
    let (_dir, server) = server();
    server.index("t", "{\"a\":1}\n{\"a\":2}");
    let body = "{}\n{\"query\":{\"term\":{\"a\":1}}}\n{\"index\":\"absent\"}\n{}\n";
    let answer = server.ok("POST", "/t/_msearch", body);
    assert_eq!(answer["responses"][0]["hits"]["total"]["value"], 1);
    assert_eq!(answer["responses"][0]["status"], 200);
    assert_eq!(answer["responses"][1]["error"]["type"], "index_not_found_exception");
    server.close();
}
