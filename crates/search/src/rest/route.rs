//! Which path does what.

use std::sync::Arc;

use axum::http::Method;
use serde_json::json;

use super::message::{Answer, Call};
use super::{bulk, cat, document, indices, search};
use crate::Search;
use crate::error::{EsError, EsResult};

/// Answers a request. Blocking.
pub(super) fn answer(role: &Arc<Search>, call: &Call) -> Answer {
    let answer = match route(role, call) {
        Ok(answer) => answer,
        Err(error) => {
            let index = call.path.first().filter(|first| !first.starts_with('_')).map_or("", String::as_str);
            Answer::error(&error, index)
        }
    };
    match call.flag("pretty") {
        Ok(true) => answer.pretty(),
        _ => answer,
    }
}

const DOCUMENT: &[&str] = &[
    "refresh",
    "version",
    "version_type",
    "if_seq_no",
    "if_primary_term",
    "op_type",
    "timeout",
    "wait_for_active_shards",
    "require_alias",
];
const GET: &[&str] =
    &["realtime", "refresh", "_source", "_source_includes", "_source_excludes", "preference"];
const SEARCH: &[&str] = &[
    "from",
    "size",
    "sort",
    "track_total_hits",
    "track_scores",
    "version",
    "seq_no_primary_term",
    "_source",
    "_source_includes",
    "_source_excludes",
    "typed_keys",
    "rest_total_hits_as_int",
    "ignore_unavailable",
    "allow_no_indices",
    "expand_wildcards",
    "allow_partial_search_results",
    "ccs_minimize_roundtrips",
    "batched_reduce_size",
    "max_concurrent_shard_requests",
    "pre_filter_shard_size",
    "preference",
    "request_cache",
    "search_type",
    "timeout",
    "q",
];
const INDICES: &[&str] = &[
    "ignore_unavailable",
    "allow_no_indices",
    "expand_wildcards",
    "timeout",
    "master_timeout",
    "wait_for_active_shards",
    "local",
    "flat_settings",
    "include_defaults",
    "include_type_name",
    "features",
    "force",
    "wait_if_ongoing",
    "write_index_only",
];
const CAT: &[&str] = &[
    "v",
    "h",
    "s",
    "format",
    "help",
    "bytes",
    "time",
    "health",
    "local",
    "master_timeout",
    "ts",
    "expand_wildcards",
    "include_unloaded_segments",
    "pri",
    "index",
];
const HEALTH: &[&str] = &[
    "timeout",
    "master_timeout",
    "wait_for_status",
    "wait_for_nodes",
    "wait_for_active_shards",
    "wait_for_no_relocating_shards",
    "wait_for_no_initializing_shards",
    "wait_for_events",
    "level",
    "local",
    "expand_wildcards",
];

fn route(role: &Arc<Search>, call: &Call) -> EsResult<Answer> {
    let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
    let method = match call.method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => return Err(no_handler(call)),
    };
    match (method, path.as_slice()) {
        ("GET" | "HEAD", []) => {
            call.allow(&[])?;
            Ok(root(role))
        }
        ("GET", ["metrics"]) => Ok(Answer::text(200, role.metrics())),
        ("POST" | "PUT", ["_bulk"]) => bulk::bulk(role, call, None),
        ("POST" | "PUT", [index, "_bulk"]) => bulk::bulk(role, call, Some(index)),
        ("GET" | "POST", ["_msearch"]) => search::msearch(role, call, None),
        ("GET" | "POST", [index, "_msearch"]) => search::msearch(role, call, Some(index)),
        ("GET" | "POST", ["_search"]) => checked(call, SEARCH, || search::search(role, call, "_all")),
        ("GET" | "POST", [index, "_search"]) => checked(call, SEARCH, || search::search(role, call, index)),
        ("GET" | "POST", ["_count"]) => checked(call, SEARCH, || search::count(role, call, "_all")),
        ("GET" | "POST", [index, "_count"]) => checked(call, SEARCH, || search::count(role, call, index)),
        ("GET" | "HEAD", ["_cat", rest @ ..]) => checked(call, CAT, || cat::cat(role, call, rest)),
        ("GET", ["_cluster", "health", rest @ ..]) => checked(call, HEALTH, || cat::health(role, call, rest)),
        (_, [first, rest @ ..]) if first.starts_with('_') && *first != "_all" => {
            shared(role, call, method, first, rest)
        }
        (_, [index]) => checked(call, INDICES, || match method {
            "PUT" => indices::create(role, call, index),
            "DELETE" => indices::delete(role, call, index),
            "GET" => indices::get(role, call, index),
            "HEAD" => indices::exists(role, call, index),
            _ => Err(no_handler(call)),
        }),
        (_, [index, "_doc"]) if method == "POST" => {
            checked(call, DOCUMENT, || document::index(role, call, index, None, false))
        }
        (_, [index, kind @ ("_doc" | "_create"), id]) => match (method, *kind) {
            ("PUT" | "POST", kind) => {
                checked(call, DOCUMENT, || document::index(role, call, index, Some(id), kind == "_create"))
            }
            ("GET" | "HEAD", "_doc") => checked(call, GET, || document::get(role, call, index, id)),
            ("DELETE", "_doc") => checked(call, DOCUMENT, || document::delete(role, call, index, id)),
            _ => Err(no_handler(call)),
        },
        ("GET" | "HEAD", [index, "_source", id]) => {
            checked(call, GET, || document::source(role, call, index, id))
        }
        (_, [index, action, rest @ ..]) => checked(call, INDICES, || {
            indices::action(role, call, method, index, action, rest)?.ok_or_else(|| no_handler(call))
        }),
        _ => Err(no_handler(call)),
    }
}

/// `_refresh` and the like, of all indices.
fn shared(role: &Arc<Search>, call: &Call, method: &str, first: &str, rest: &[&str]) -> EsResult<Answer> {
    call.allow(INDICES)?;
    if first == "_aliases" && method == "POST" {
        return indices::change_aliases(role, call);
    }
    indices::action(role, call, method, "_all", first, rest)?.ok_or_else(|| no_handler(call))
}

fn checked(call: &Call, known: &[&str], answer: impl FnOnce() -> EsResult<Answer>) -> EsResult<Answer> {
    call.allow(known)?;
    answer()
}

fn no_handler(call: &Call) -> EsError {
    let reason = format!("no handler found for uri [{}] and method [{}]", call.uri, call.method);
    EsError::new(400, "illegal_argument_exception", reason)
}

fn root(role: &Search) -> Answer {
    Answer::json(
        200,
        &json!({
            "name": "bd",
            "cluster_name": "bd",
            "cluster_uuid": role.cluster_uuid,
            "version": {
                "number": "8.17.0",
                "build_flavor": "default",
                "build_type": "bd",
                "build_hash": env!("CARGO_PKG_VERSION"),
                "build_date": "2024-01-01T00:00:00.000000000Z",
                "build_snapshot": false,
                "lucene_version": "9.12.0",
                "minimum_wire_compatibility_version": "7.17.0",
                "minimum_index_compatibility_version": "7.0.0",
            },
            "tagline": "You Know, for Search",
        }),
    )
}
