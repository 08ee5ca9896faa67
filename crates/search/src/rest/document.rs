//! Single documents.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::message::{Answer, Call};
use crate::Search;
use crate::engine::{Action, Applied, Change, Engine, Outcome, VersionType};
use crate::error::{EsError, EsResult};
use crate::find::SourceFilter;
use crate::find::output::Out;
use crate::ids;

/// How soon a write must be searchable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refresh {
    Later,
    Now,
    WaitFor,
}

pub(super) fn refresh_of(call: &Call) -> EsResult<Refresh> {
    match call.param("refresh") {
        None | Some("false") => Ok(Refresh::Later),
        Some("" | "true") => Ok(Refresh::Now),
        Some("wait_for") => Ok(Refresh::WaitFor),
        Some(other) => Err(EsError::illegal(format!("Unknown value for refresh: [{other}]."))),
    }
}

/// `version` and `version_type`.
pub(super) fn version_of(
    version: Option<&Value>,
    kind: Option<&str>,
) -> EsResult<Option<(u64, VersionType)>> {
    let number = version.map(|value| {
        let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
        number
            .and_then(|number| u64::try_from(number).ok())
            .ok_or_else(|| EsError::illegal(format!("illegal version value [{value}]")))
    });
    let kind = match kind {
        None | Some("internal") => None,
        Some("external" | "external_gt") => Some(VersionType::External),
        Some("external_gte") => Some(VersionType::ExternalGte),
        Some(other) => return Err(EsError::illegal(format!("No version type match [{other}]"))),
    };
    match (number.transpose()?, kind) {
        (None, None) => Ok(None),
        (Some(number), Some(kind)) => Ok(Some((number, kind))),
        (Some(_), None) => Err(EsError::validation(
            "internal versioning can not be used for optimistic concurrency control. Please use `if_seq_no` and `if_primary_term` \
             instead",
        )),
        (None, Some(kind)) => {
            let kind = if kind == VersionType::External { "EXTERNAL" } else { "EXTERNAL_GTE" };
            Err(EsError::validation(format!("illegal version value [-3] for version type [{kind}]")))
        }
    }
}

/// `if_seq_no` and `if_primary_term`.
pub(super) fn if_seq_of(seq: Option<&Value>, term: Option<&Value>) -> EsResult<Option<u64>> {
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    match (seq.map(number), term.map(number)) {
        (None, None) => Ok(None),
        (Some(Some(seq)), Some(Some(term))) => {
            // There is one term; another never wrote a document.
            Ok(Some(if term == 1 { seq } else { u64::MAX }))
        }
        (Some(None), _) | (_, Some(None)) => {
            Err(EsError::illegal("if_seq_no and if_primary_term must be numbers"))
        }
        (Some(_), None) => Err(EsError::validation("ifSeqNo is set, but primary term is [0]")),
        (None, Some(_)) => Err(EsError::validation("ifSeqNo is unassigned, but primary term is [1]")),
    }
}

/// Checks an id.
pub(super) fn check_id(id: &str) -> EsResult<()> {
    if id.is_empty() {
        return Err(EsError::illegal("if _id is specified it must not be empty"));
    }
    if id.len() > 512 {
        return Err(EsError::validation(format!(
            "id [{id}] is too long, must be no longer than 512 bytes but was: {}",
            id.len()
        )));
    }
    Ok(())
}

/// What a write says of itself.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    #[serde(rename = "_index")]
    index: &'a str,
    #[serde(rename = "_id")]
    id: &'a str,
    #[serde(rename = "_version")]
    version: u64,
    pub(super) result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    forced_refresh: Option<bool>,
    #[serde(rename = "_shards")]
    shards: Shards,
    #[serde(rename = "_seq_no")]
    seq: u64,
    #[serde(rename = "_primary_term")]
    primary_term: u64,
    /// Only among the items of a bulk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
}

#[derive(Serialize)]
struct Shards {
    total: u32,
    successful: u32,
    failed: u32,
}

/// What a write says of itself.
pub(super) fn written<'a>(
    engine: &'a Engine,
    id: &'a str,
    applied: Applied,
    refresh: Refresh,
) -> Written<'a> {
    Written {
        index: &engine.name,
        id,
        version: applied.version,
        result: match applied.outcome {
            Outcome::Created => "created",
            Outcome::Updated => "updated",
            Outcome::Deleted => "deleted",
            Outcome::NotFound => "not_found",
        },
        forced_refresh: (refresh == Refresh::Now).then_some(true),
        // The replica that Elasticsearch counts by default, and that is nowhere there is one node.
        shards: Shards { total: 2, successful: 1, failed: 0 },
        seq: applied.seq,
        primary_term: 1,
        status: None,
    }
}

/// The HTTP status of what came of a change.
pub(super) fn status_of(outcome: Outcome) -> u16 {
    match outcome {
        Outcome::Created => 201,
        Outcome::Updated | Outcome::Deleted => 200,
        Outcome::NotFound => 404,
    }
}

fn make(engine: &Arc<Engine>, change: Change, refresh: Refresh) -> EsResult<Answer> {
    let id = change.id.clone();
    let (mut results, position) = engine.apply(vec![change]);
    let applied = results.pop().unwrap_or_else(|| Err(EsError::internal("no result")))?;
    engine.sync(position)?;
    if refresh != Refresh::Later {
        engine.refresh(refresh == Refresh::Now)?;
    }
    Ok(Answer::json(status_of(applied.outcome), &written(engine, &id, applied, refresh)))
}

fn param_value(call: &Call, key: &str) -> Option<Value> {
    call.param(key).map(Value::from)
}

pub(super) fn index(
    role: &Arc<Search>,
    call: &Call,
    index: &str,
    id: Option<&str>,
    create: bool,
) -> EsResult<Answer> {
    if call.flag("require_alias")? {
        return Err(EsError::illegal("[require_alias] is not supported"));
    }
    if call.body.is_empty() {
        return Err(EsError::new(400, "parse_exception", "request body is required"));
    }
    if let Some(id) = id {
        check_id(id)?;
    }
    let refresh = refresh_of(call)?;
    let create = match call.param("op_type") {
        None => create,
        Some("index") => false,
        Some("create") => true,
        Some(other) => {
            return Err(EsError::illegal(format!("opType must be 'create' or 'index', found: [{other}]")));
        }
    };
    let version = version_of(param_value(call, "version").as_ref(), call.param("version_type"))?;
    let if_seq =
        if_seq_of(param_value(call, "if_seq_no").as_ref(), param_value(call, "if_primary_term").as_ref())?;
    let engine = role.engine_for_write(index)?;
    let fresh = id.is_none();
    let id: Arc<str> = id.map_or_else(ids::document_id, str::to_owned).into();
    let document = engine.prepare(&id, &call.body)?;
    let action = Action::Index { document, source: call.body.clone(), create };
    make(&engine, Change { id, action, version, if_seq, fresh }, refresh)
}

pub(super) fn delete(role: &Arc<Search>, call: &Call, index: &str, id: &str) -> EsResult<Answer> {
    check_id(id)?;
    let refresh = refresh_of(call)?;
    let version = version_of(param_value(call, "version").as_ref(), call.param("version_type"))?;
    let if_seq =
        if_seq_of(param_value(call, "if_seq_no").as_ref(), param_value(call, "if_primary_term").as_ref())?;
    let engine = role.engine(index)?;
    make(&engine, Change { id: id.into(), action: Action::Delete, version, if_seq, fresh: false }, refresh)
}

fn source_filter(call: &Call) -> EsResult<SourceFilter> {
    let params = call.params.iter().filter(|(key, _)| key.starts_with("_source"));
    let params = params.map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok(crate::find::Request::parse(&Value::Null, &params)?.source)
}

fn found(
    role: &Arc<Search>,
    call: &Call,
    index: &str,
    id: &str,
) -> EsResult<(Arc<Engine>, Option<crate::engine::Got>)> {
    let engine = role.engine(index)?;
    if call.flag("refresh")? {
        engine.refresh(true)?;
    }
    let realtime = call.param("realtime") != Some("false");
    let got = engine.get(id, realtime)?;
    Ok((engine, got))
}

pub(super) fn get(role: &Arc<Search>, call: &Call, index: &str, id: &str) -> EsResult<Answer> {
    let filter = source_filter(call)?;
    let (engine, got) = found(role, call, index, id)?;
    let Some(got) = got else {
        return Ok(Answer::json(404, &json!({"_index": engine.name, "_id": id, "found": false})));
    };
    let mut members: Vec<(String, Out)> = vec![
        ("_index".into(), engine.name.clone().into()),
        ("_id".into(), id.to_owned().into()),
        ("_version".into(), got.version.into()),
        ("_seq_no".into(), got.seq.into()),
        ("_primary_term".into(), 1.into()),
    ];
    members.push(("found".into(), true.into()));
    if let Some(source) = filter.apply(&got.source)? {
        members.push(("_source".into(), source));
    }
    Ok(Answer::json(200, &Out::Object(members)))
}

pub(super) fn source(role: &Arc<Search>, call: &Call, index: &str, id: &str) -> EsResult<Answer> {
    let filter = source_filter(call)?;
    let (engine, got) = found(role, call, index, id)?;
    let got = got.ok_or_else(|| {
        EsError::new(
            404,
            "resource_not_found_exception",
            format!("Document not found [{}]/[{id}]", engine.name),
        )
    })?;
    let shown = filter.apply(&got.source)?.unwrap_or_else(|| json!({}).into());
    Ok(Answer::json(200, &shown))
}
