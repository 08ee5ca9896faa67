//! Hits as an answer shows them.

use serde_json::{Map, Value, json};

use super::hits::Hit;
use super::output::{Out, single};
use super::run::Targets;
use super::sort::{Key, Sort, show};
use super::source::SourceFilter;
use crate::error::{EsError, EsResult};
use crate::mapping::{self, Field, date, plain};
use crate::search::matches_pattern;

/// What is shown of hits.
pub(crate) struct HitSpec<'a> {
    pub(crate) sorts: &'a [Sort],
    /// Keys are shown.
    pub(crate) sorted: bool,
    pub(crate) source: &'a SourceFilter,
    pub(crate) version: bool,
    pub(crate) seq_no: bool,
    pub(crate) fields: &'a [String],
    /// Scores are shown.
    pub(crate) scored: bool,
}

/// The array `hits.hits`.
pub(crate) fn hits_json(targets: &Targets, spec: &HitSpec<'_>, hits: &[Hit]) -> EsResult<Vec<Out>> {
    hits.iter().map(|hit| hit_json(targets, spec, hit)).collect()
}

fn hit_json(targets: &Targets, spec: &HitSpec<'_>, hit: &Hit) -> EsResult<Out> {
    let Some(target) = targets.0.get(hit.index) else { return Err(EsError::internal("a hit of no index")) };
    let stored = target.snapshot.stored(&target.engine.fields, hit.at)?;
    let score = if spec.scored { single(hit.score.into()) } else { Value::Null };
    let mut members: Vec<(String, Out)> =
        vec![("_index".into(), target.engine.name.clone().into()), ("_id".into(), stored.id.into())];
    if spec.version || spec.seq_no {
        let (seq, version) = target.snapshot.stamp(hit.at);
        if spec.version {
            members.push(("_version".into(), version.into()));
        }
        if spec.seq_no {
            members.push(("_seq_no".into(), seq.into()));
            members.push(("_primary_term".into(), 1.into()));
        }
    }
    members.push(("_score".into(), score.into()));
    if !stored.ignored.is_empty() {
        let names: Vec<Value> = stored.ignored.iter().map(|name| json!(name)).collect();
        members.push(("_ignored".into(), Value::Array(names).into()));
    }
    if let Some(source) = spec.source.apply(&stored.source)? {
        members.push(("_source".into(), source));
    }
    if !spec.fields.is_empty() {
        let shown = fields(&target.mapping, spec.fields, &stored.source)?;
        if !shown.is_empty() {
            members.push(("fields".into(), Value::Object(shown).into()));
        }
    }
    if spec.sorted {
        let keys: Vec<Value> = spec
            .sorts
            .iter()
            .zip(&hit.keys)
            .map(|(sort, key): (&Sort, &Key)| show(sort, &target.mapping, key))
            .collect();
        members.push(("sort".into(), Value::Array(keys).into()));
    }
    Ok(Out::Object(members))
}

/// The values of fields of a document, from its source.
fn fields(mapping: &mapping::Mapping, patterns: &[String], source: &[u8]) -> EsResult<Map<String, Value>> {
    let source: Value = serde_json::from_slice(source)
        .map_err(|e| EsError::internal(format!("a stored source is not JSON: {e}")))?;
    let mut shown = Map::new();
    for name in mapping.names() {
        let Some(field) = mapping.get(&name) else { continue };
        if !patterns.iter().any(|pattern| matches_pattern(pattern, &name)) {
            continue;
        }
        let parent = name.rsplit_once('.').map(|(parent, _)| parent);
        let path = match parent.and_then(|parent| mapping.get(parent)) {
            Some(_) => parent.unwrap_or(&name),
            None => &name,
        };
        let mut values = Vec::new();
        gather(&source, path, &mut values);
        let values: Vec<Value> = values.into_iter().map(|value| formatted(field, value)).collect();
        if !values.is_empty() {
            shown.insert(name, Value::Array(values));
        }
    }
    Ok(shown)
}

fn gather<'a>(value: &'a Value, path: &str, out: &mut Vec<&'a Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| gather(item, path, out)),
        Value::Null => {}
        leaf if path.is_empty() => out.push(leaf),
        Value::Object(members) => {
            for (key, member) in members {
                if key == path {
                    gather(member, "", out);
                } else if let Some(rest) =
                    path.strip_prefix(key.as_str()).and_then(|rest| rest.strip_prefix('.'))
                {
                    gather(member, rest, out);
                }
            }
        }
        _ => {}
    }
}

fn formatted(field: &Field, value: &Value) -> Value {
    match field.kind {
        mapping::Kind::Date => match date::parse(&plain(value), &field.formats) {
            Some(ms) => json!(date::format(ms, field.formats.first())),
            None => value.clone(),
        },
        mapping::Kind::Text | mapping::Kind::Keyword => json!(plain(value)),
        _ => value.clone(),
    }
}
