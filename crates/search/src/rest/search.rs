//! Searches and counts.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::message::{Answer, Call};
use crate::Search;
use crate::engine::Engine;
use crate::error::{EsError, EsResult};
use crate::find::output::Out;
use crate::find::{self, Request, count_request};

fn targets(role: &Arc<Search>, call: &Call, expression: &str) -> EsResult<Vec<Arc<Engine>>> {
    let engines = role.resolve(expression, call.flag("ignore_unavailable")?)?;
    if engines.is_empty() && call.param("allow_no_indices") == Some("false") {
        return Err(EsError::no_index(expression));
    }
    Ok(engines)
}

fn run(role: &Arc<Search>, engines: Vec<Arc<Engine>>, request: &Request) -> EsResult<Out> {
    let started = Instant::now();
    let found = find::search(engines, request);
    role.metrics.query(started.elapsed());
    found
}

pub(super) fn search(role: &Arc<Search>, call: &Call, expression: &str) -> EsResult<Answer> {
    if call.flag("rest_total_hits_as_int")? {
        return Err(EsError::illegal("[rest_total_hits_as_int] is not supported"));
    }
    let engines = targets(role, call, expression)?;
    let request = Request::parse(&call.json()?, &call.params)?;
    Ok(Answer::json(200, &run(role, engines, &request)?))
}

pub(super) fn count(role: &Arc<Search>, call: &Call, expression: &str) -> EsResult<Answer> {
    if call.param("q").is_some() {
        return Err(EsError::illegal("[q]: query strings are not supported by this server"));
    }
    let engines = targets(role, call, expression)?;
    let request = count_request(&call.json()?)?;
    let shards = engines.len();
    let count = find::count(engines, &request)?;
    let shards = json!({"total": shards, "successful": shards, "skipped": 0, "failed": 0});
    Ok(Answer::json(200, &json!({"count": count, "_shards": shards})))
}

/// Many searches: pairs of lines, a header and a body.
pub(super) fn msearch(role: &Arc<Search>, call: &Call, default: Option<&str>) -> EsResult<Answer> {
    let started = Instant::now();
    call.allow(&[
        "typed_keys",
        "max_concurrent_searches",
        "max_concurrent_shard_requests",
        "ccs_minimize_roundtrips",
    ])?;
    let lines: Vec<&[u8]> = call.body.split(|byte| *byte == b'\n').collect();
    // The last line ends with a newline, so that the last part is empty.
    let lines = lines
        .strip_suffix(&[&b""[..]])
        .ok_or_else(|| EsError::illegal("The msearch request must be terminated by a newline [\\n]"))?;
    let mut responses = Vec::new();
    for pair in lines.chunks(2) {
        let [header, body] = pair else {
            return Err(EsError::illegal("Malformed msearch request: a header without a body"));
        };
        let header = parse_line(header)?;
        let body = parse_line(body)?;
        let index = match header.get("index") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
            Some(Value::String(name)) => name.clone(),
            _ => default.unwrap_or("_all").to_owned(),
        };
        let ignore = header.get("ignore_unavailable") == Some(&json!(true));
        let found = role.resolve(&index, ignore).and_then(|engines| {
            let request = Request::parse(&body, &call.params)?;
            run(role, engines, &request)
        });
        responses.push(match found {
            Ok(Out::Object(mut members)) => {
                members.push(("status".into(), 200.into()));
                Out::Object(members)
            }
            Ok(other) => other,
            Err(error) => error.body(&index).into(),
        });
    }
    let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Answer::json(
        200,
        &Out::Object(vec![("took".into(), took.into()), ("responses".into(), Out::Array(responses))]),
    ))
}

fn parse_line(line: &[u8]) -> EsResult<Value> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Ok(json!({}));
    }
    serde_json::from_slice(line)
        .map_err(|e| EsError::new(400, "parsing_exception", format!("[1:{}] {e}", e.column())))
}
