//! `_bulk`: many changes in one request, acknowledged by one fsync per index.
//!
//! Lines of actions are taken in order. Changes of one index are gathered and made together; before an `update`, which reads
//! the document, what was gathered is made first. Everything is made durable at the end, once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::document::{Refresh, check_id, if_seq_of, refresh_of, status_of, version_of, written};
use super::message::{Answer, Call};
use crate::Search;
use crate::engine::{Action, Applied, Change, Engine, Outcome};
use crate::error::{EsError, EsResult};
use crate::ids;
use crate::mapping::plain;

/// How often an update is tried when others change the document meanwhile.
const RETRIES: usize = 20;

const PARAMS: &[&str] = &[
    "refresh",
    "timeout",
    "wait_for_active_shards",
    "require_alias",
    "pipeline",
    "routing",
    "_source",
    "_source_includes",
    "_source_excludes",
    "list_executed_pipelines",
    "require_data_stream",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Index,
    Create,
    Update,
    Delete,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Index => "index",
            Kind::Create => "create",
            Kind::Update => "update",
            Kind::Delete => "delete",
        }
    }
}

/// One action of the request.
struct Item {
    kind: Kind,
    index: String,
    id: Option<String>,
    version: EsResult<Option<(u64, crate::engine::VersionType)>>,
    if_seq: EsResult<Option<u64>>,
    source: Bytes,
}

/// What came of it.
struct Done {
    kind: Kind,
    index: String,
    id: Option<String>,
    result: EsResult<(Arc<Engine>, Applied)>,
    noop: bool,
}

/// Changes of one index that are not made yet, with the places of their results.
#[derive(Default)]
struct Gathered {
    changes: Vec<Change>,
    places: Vec<usize>,
}

struct Batch<'a> {
    role: &'a Arc<Search>,
    done: Vec<Done>,
    engines: BTreeMap<String, EsResult<Arc<Engine>>>,
    gathered: BTreeMap<String, Gathered>,
    /// What is to be made durable, by index.
    positions: BTreeMap<String, u64>,
}

/// The lines of a body; each ends with a newline, the last one too.
fn lines(body: &Bytes) -> EsResult<Vec<Bytes>> {
    if body.is_empty() {
        return Err(EsError::new(400, "parse_exception", "request body is required"));
    }
    if body.last() != Some(&b'\n') {
        return Err(EsError::illegal("The bulk request must be terminated by a newline [\\n]"));
    }
    let (mut lines, mut start) = (Vec::new(), 0);
    for (at, _) in body.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        let end = if at > start && body.get(at - 1) == Some(&b'\r') { at - 1 } else { at };
        lines.push(body.slice(start..end));
        start = at + 1;
    }
    Ok(lines)
}

fn parse(body: &Bytes, default_index: Option<&str>) -> EsResult<Vec<Item>> {
    let lines = lines(body)?;
    let mut items = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        at += 1;
        if line.is_empty() {
            continue;
        }
        let mut item = action(line, at, default_index)?;
        if item.kind != Kind::Delete {
            item.source = lines.get(at).cloned().ok_or_else(|| EsError::validation("no requests added"))?;
            at += 1;
        }
        items.push(item);
    }
    if items.is_empty() {
        return Err(EsError::validation("no requests added"));
    }
    Ok(items)
}

fn action(line: &[u8], number: usize, default_index: Option<&str>) -> EsResult<Item> {
    let parsed: Value = serde_json::from_slice(line).map_err(|e| {
        EsError::illegal(format!("Malformed action/metadata line [{number}], expected JSON: {e}"))
    })?;
    let members = parsed.as_object().ok_or_else(|| {
        EsError::illegal(format!(
            "Malformed action/metadata line [{number}], expected START_OBJECT but found [VALUE]"
        ))
    })?;
    let Some((name, meta)) = members.iter().next().filter(|_| members.len() == 1) else {
        return Err(EsError::illegal(format!(
            "Malformed action/metadata line [{number}], expected one action, found {}",
            members.len()
        )));
    };
    let kind = match name.as_str() {
        "index" => Kind::Index,
        "create" => Kind::Create,
        "update" => Kind::Update,
        "delete" => Kind::Delete,
        other => {
            return Err(EsError::illegal(format!(
                "Malformed action/metadata line [{number}], expected field [create], [delete], [index] or [update] but found [{other}]"
            )));
        }
    };
    let meta = meta.as_object().ok_or_else(|| {
        EsError::illegal(format!(
            "Malformed action/metadata line [{number}], expected START_OBJECT but found [{}]",
            if meta.is_string() { "VALUE_STRING" } else { "VALUE" }
        ))
    })?;
    for (key, value) in meta {
        match key.as_str() {
            "_index" | "_id" | "version" | "version_type" | "if_seq_no" | "if_primary_term"
            | "retry_on_conflict" => {}
            "require_alias" | "require_data_stream" if *value == json!(false) => {}
            "dynamic_templates" if value.as_object().is_some_and(Map::is_empty) => {}
            _ => {
                return Err(EsError::illegal(format!(
                    "Action/metadata line [{number}] contains an unknown parameter [{key}]"
                )));
            }
        }
    }
    let text = |key: &str| meta.get(key).filter(|value| !value.is_null()).map(plain);
    let index = text("_index").or_else(|| default_index.map(str::to_owned));
    let index =
        index.filter(|index| !index.is_empty()).ok_or_else(|| EsError::validation("index is missing"))?;
    let id = text("_id");
    if matches!(kind, Kind::Update | Kind::Delete) && id.is_none() {
        return Err(EsError::validation("id is missing"));
    }
    Ok(Item {
        kind,
        index,
        id,
        version: version_of(meta.get("version"), meta.get("version_type").and_then(Value::as_str)),
        if_seq: if_seq_of(meta.get("if_seq_no"), meta.get("if_primary_term")),
        source: Bytes::new(),
    })
}

/// `POST _bulk`.
pub(super) fn bulk(role: &Arc<Search>, call: &Call, default_index: Option<&str>) -> EsResult<Answer> {
    let started = Instant::now();
    call.allow(PARAMS)?;
    for refused in ["pipeline", "routing", "_source", "_source_includes", "_source_excludes"] {
        if call.param(refused).is_some() {
            return Err(EsError::illegal(format!("[{refused}] of a bulk request is not supported")));
        }
    }
    if call.flag("require_alias")? {
        return Err(EsError::illegal("[require_alias] is not supported"));
    }
    let refresh = refresh_of(call)?;
    let items = parse(&call.body, default_index)?;
    let mut batch = Batch {
        role,
        done: Vec::with_capacity(items.len()),
        engines: BTreeMap::new(),
        gathered: BTreeMap::new(),
        positions: BTreeMap::new(),
    };
    for item in items {
        batch.take(item);
    }
    batch.make_all();
    batch.finish(refresh);
    let failed = batch.done.iter().filter(|done| done.result.is_err()).count();
    role.metrics.bulk(started.elapsed(), failed);
    let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let items = batch.done.iter().map(|done| Shown { done, refresh }).collect();
    Ok(Answer::json(200, &Made { errors: failed > 0, took, items }))
}

/// The whole answer. It is written as it is, not by way of [`Value`]s: that would take longer than making the changes.
#[derive(Serialize)]
struct Made<'a> {
    errors: bool,
    took: u64,
    items: Vec<Shown<'a>>,
}

/// An item of it.
struct Shown<'a> {
    done: &'a Done,
    refresh: Refresh,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let done = self.done;
        let mut item = serializer.serialize_map(Some(1))?;
        match &done.result {
            Ok((engine, applied)) => {
                let id = done.id.as_deref().unwrap_or_default();
                let mut shown = written(engine, id, *applied, self.refresh);
                shown.status = Some(status_of(applied.outcome));
                if done.noop {
                    shown.result = "noop";
                    shown.status = Some(200);
                }
                item.serialize_entry(done.kind.name(), &shown)?;
            }
            Err(error) => {
                let shown = json!({
                    "_index": done.index, "_id": done.id, "status": error.status, "error": error.cause()
                });
                item.serialize_entry(done.kind.name(), &shown)?;
            }
        }
        item.end()
    }
}

impl Batch<'_> {
    fn engine(&mut self, item: &Item) -> EsResult<Arc<Engine>> {
        let role = self.role;
        // As in Elasticsearch, a delete makes an index only with an external version.
        let make = item.kind != Kind::Delete || matches!(item.version, Ok(Some(_)));
        if let Some(Ok(engine)) = self.engines.get(&item.index) {
            return Ok(engine.clone());
        }
        let found = if make { role.engine_for_write(&item.index) } else { role.engine(&item.index) };
        self.engines.insert(item.index.clone(), found.clone());
        found
    }

    /// Notes what came of an item; its place among the answers.
    fn note(&mut self, item: &Item, id: Option<String>, result: EsResult<(Arc<Engine>, Applied)>) -> usize {
        self.done.push(Done { kind: item.kind, index: item.index.clone(), id, result, noop: false });
        self.done.len() - 1
    }

    fn take(&mut self, item: Item) {
        let engine = match self.engine(&item) {
            Ok(engine) => engine,
            Err(error) => {
                self.note(&item, item.id.clone(), Err(error));
                return;
            }
        };
        if item.kind == Kind::Update {
            self.make(&engine.name);
            let result = self.update(&engine, &item);
            let noop = matches!(&result, Ok((_, true)));
            let place = self.note(&item, item.id.clone(), result.map(|(applied, _)| (engine, applied)));
            if let Some(done) = self.done.get_mut(place) {
                done.noop = noop;
            }
            return;
        }
        match change_of(&engine, &item) {
            Ok(change) => {
                let id = change.id.to_string();
                let place = self.note(&item, Some(id), Err(EsError::internal("not made yet")));
                let gathered = self.gathered.entry(engine.name.clone()).or_default();
                gathered.changes.push(change);
                gathered.places.push(place);
            }
            Err(error) => {
                self.note(&item, item.id.clone(), Err(error));
            }
        }
    }

    /// Makes what was gathered of an index.
    fn make(&mut self, index: &str) {
        let Some(Gathered { changes, places }) = self.gathered.remove(index) else { return };
        let Ok(engine) = self.role.engine(index) else {
            for place in places {
                if let Some(done) = self.done.get_mut(place) {
                    done.result = Err(EsError::no_index(index));
                }
            }
            return;
        };
        let (results, position) = engine.apply(changes);
        self.moved(index, position);
        for (place, result) in places.into_iter().zip(results) {
            if let Some(done) = self.done.get_mut(place) {
                done.result = result.map(|applied| (engine.clone(), applied));
            }
        }
    }

    fn moved(&mut self, index: &str, position: u64) {
        let there = self.positions.entry(index.to_owned()).or_default();
        *there = position.max(*there);
    }

    fn make_all(&mut self) {
        let indices: Vec<String> = self.gathered.keys().cloned().collect();
        indices.iter().for_each(|index| self.make(index));
    }

    /// Waits until all is durable, and searchable if that is wanted.
    fn finish(&mut self, refresh: Refresh) {
        for (index, position) in std::mem::take(&mut self.positions) {
            let Ok(engine) = self.role.engine(&index) else { continue };
            let mut result = engine.sync(position);
            if result.is_ok() && refresh != Refresh::Later {
                result = engine.refresh(refresh == Refresh::Now);
            }
            let Err(error) = result else { continue };
            for done in &mut self.done {
                if matches!(&done.result, Ok((there, _)) if there.name == index) {
                    done.result = Err(error.clone());
                }
            }
        }
    }

    /// A partial update; whether it changed nothing.
    fn update(&mut self, engine: &Arc<Engine>, item: &Item) -> EsResult<(Applied, bool)> {
        let id = item.id.as_deref().unwrap_or_default();
        check_id(id)?;
        if item.version.clone()?.is_some() {
            return Err(EsError::validation("update requests do not support versioning"));
        }
        let wanted = item.if_seq.clone()?;
        let body = update_body(&item.source)?;
        for _ in 0..RETRIES {
            let current = engine.get(id, true)?;
            let (source, if_seq, create) = match (&current, &body.upsert) {
                (Some(got), _) => {
                    let mut merged: Value = serde_json::from_slice(&got.source)
                        .map_err(|e| EsError::internal(format!("a stored source is not JSON: {e}")))?;
                    if !merge(&mut merged, &body.doc) && body.detect_noop {
                        let applied =
                            Applied { seq: got.seq, version: got.version, outcome: Outcome::Updated };
                        return Ok((applied, true));
                    }
                    (merged, Some(wanted.unwrap_or(got.seq)), false)
                }
                (None, Some(upsert)) => (upsert.clone(), None, true),
                (None, None) => {
                    return Err(EsError::new(
                        404,
                        "document_missing_exception",
                        format!("[{id}]: document missing"),
                    )
                    .with("index_uuid", json!(engine.uuid))
                    .with("shard", json!("0"))
                    .with("index", json!(engine.name)));
                }
            };
            let source = Bytes::from(source.to_string());
            let document = engine.prepare(id, &source)?;
            let action = Action::Index { document, source, create };
            let change = Change { id: id.into(), action, version: None, if_seq, fresh: false };
            let (mut results, position) = engine.apply(vec![change]);
            self.moved(&engine.name, position);
            match results.pop() {
                Some(Ok(applied)) => return Ok((applied, false)),
                // Somebody was faster: once more on what there is now.
                Some(Err(error)) if error.status == 409 && wanted.is_none() => {}
                Some(Err(error)) => return Err(error),
                None => return Err(EsError::internal("no result")),
            }
        }
        Err(EsError::new(
            409,
            "version_conflict_engine_exception",
            format!("[{id}]: version conflict, {RETRIES} attempts"),
        ))
    }
}

fn change_of(engine: &Arc<Engine>, item: &Item) -> EsResult<Change> {
    let version = item.version.clone()?;
    let if_seq = item.if_seq.clone()?;
    if let Some(id) = &item.id {
        check_id(id)?;
    }
    if item.kind == Kind::Create && version.is_some() {
        return Err(EsError::validation(
            "create operations only support internal versioning. use index instead",
        ));
    }
    let fresh = item.id.is_none();
    let id: Arc<str> = item.id.clone().unwrap_or_else(ids::document_id).into();
    let action = match item.kind {
        Kind::Delete => Action::Delete,
        kind => {
            let document = engine.prepare(&id, &item.source)?;
            Action::Index { document, source: item.source.clone(), create: kind == Kind::Create }
        }
    };
    Ok(Change { id, action, version, if_seq, fresh })
}

struct UpdateBody {
    doc: Value,
    upsert: Option<Value>,
    detect_noop: bool,
}

fn update_body(source: &[u8]) -> EsResult<UpdateBody> {
    let parsed: Value = serde_json::from_slice(source)
        .map_err(|e| EsError::x_content(format!("[{}:{}] {e}", e.line(), e.column())))?;
    let mut body = UpdateBody { doc: Value::Null, upsert: None, detect_noop: true };
    let mut doc_as_upsert = false;
    for (key, value) in parsed.as_object().into_iter().flatten() {
        match key.as_str() {
            "doc" => body.doc = value.clone(),
            "upsert" => body.upsert = Some(value.clone()),
            "doc_as_upsert" => doc_as_upsert = *value == json!(true),
            "detect_noop" => body.detect_noop = *value != json!(false),
            "script" | "scripted_upsert" => {
                return Err(EsError::illegal("[script] of an update is not supported"));
            }
            _ => return Err(EsError::x_content(format!("[1:1] [UpdateRequest] unknown field [{key}]"))),
        }
    }
    if !body.doc.is_object() {
        return Err(EsError::validation("script or doc is missing"));
    }
    if doc_as_upsert {
        body.upsert = Some(body.doc.clone());
    }
    Ok(body)
}

/// Puts the members of a partial document into another, objects member by member. Whether anything changed.
fn merge(into: &mut Value, from: &Value) -> bool {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            let mut changed = false;
            for (key, value) in from {
                match into.get_mut(key) {
                    Some(there) if there.is_object() && value.is_object() => changed |= merge(there, value),
                    Some(there) if there == value => {}
                    _ => {
                        into.insert(key.clone(), value.clone());
                        changed = true;
                    }
                }
            }
            changed
        }
        _ => false,
    }
}
