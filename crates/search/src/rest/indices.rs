//! Indices: make, delete, show, and what is done to them.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::message::{Answer, Call};
use crate::Search;
use crate::engine::Engine;
use crate::error::{EsError, EsResult};
use crate::search::{matches_pattern, parse_settings};

fn acknowledged() -> Answer {
    Answer::json(200, &json!({"acknowledged": true}))
}

fn targets(role: &Arc<Search>, call: &Call, expression: &str) -> EsResult<Vec<Arc<Engine>>> {
    let engines = role.resolve(expression, call.flag("ignore_unavailable")?)?;
    if engines.is_empty() && call.param("allow_no_indices") == Some("false") {
        return Err(EsError::no_index(expression));
    }
    Ok(engines)
}

pub(super) fn create(role: &Arc<Search>, call: &Call, name: &str) -> EsResult<Answer> {
    let body = call.json()?;
    if !matches!(body, Value::Null | Value::Object(_)) {
        return Err(EsError::new(400, "parse_exception", "request body must be an object"));
    }
    role.create_index(name, &body)?;
    Ok(Answer::json(200, &json!({"acknowledged": true, "shards_acknowledged": true, "index": name})))
}

pub(super) fn delete(role: &Arc<Search>, call: &Call, expression: &str) -> EsResult<Answer> {
    if expression.split(',').any(|part| part == "_all" || part.contains('*')) {
        return Err(EsError::illegal("Wildcard expressions or all indices are not allowed"));
    }
    for part in expression.split(',') {
        if role.engine(part).is_ok_and(|engine| engine.name != part) {
            return Err(EsError::illegal(format!(
                "The provided expression [{part}] matches an alias, specify the corresponding concrete indices instead."
            )));
        }
    }
    let engines = role.resolve(expression, call.flag("ignore_unavailable")?)?;
    role.delete_indices(&engines)?;
    Ok(acknowledged())
}

pub(super) fn exists(role: &Arc<Search>, call: &Call, expression: &str) -> EsResult<Answer> {
    let engines = role.resolve(expression, call.flag("ignore_unavailable")?);
    let found = engines.is_ok_and(|engines| !engines.is_empty() || expression.contains('*'));
    Ok(Answer::text(if found { 200 } else { 404 }, String::new()))
}

fn settings_json(engine: &Engine) -> Value {
    let state = engine.state();
    let mut index = Map::new();
    index.insert("routing".into(), json!({"allocation": {"include": {"_tier_preference": "data_content"}}}));
    // Settings are shown as strings, all of them.
    for (key, value) in &state.settings {
        index.insert(key.clone(), json!(crate::mapping::plain(value)));
    }
    for (key, value) in [("number_of_shards", "1"), ("number_of_replicas", "1")] {
        index.entry(key).or_insert(json!(value));
    }
    index.insert("provided_name".into(), json!(state.name));
    index.insert("creation_date".into(), json!(state.created.to_string()));
    index.insert("uuid".into(), json!(state.uuid));
    index.insert("version".into(), json!({"created": "8521000"}));
    json!({"index": index})
}

pub(super) fn get(role: &Arc<Search>, call: &Call, expression: &str) -> EsResult<Answer> {
    let mut shown = Map::new();
    for engine in targets(role, call, expression)? {
        let one = json!({
            "aliases": engine.state().aliases,
            "mappings": engine.mapping().to_json(),
            "settings": settings_json(&engine),
        });
        shown.insert(engine.name.clone(), one);
    }
    Ok(Answer::json(200, &shown))
}

/// What is done to an index by `/{index}/{action}`; none if there is no such path.
pub(super) fn action(
    role: &Arc<Search>,
    call: &Call,
    method: &str,
    expression: &str,
    action: &str,
    rest: &[&str],
) -> EsResult<Option<Answer>> {
    let answer = match (method, action, rest) {
        ("GET" | "POST", "_refresh", []) => each(role, call, expression, |engine| engine.refresh(true))?,
        ("GET" | "POST", "_flush", []) => each(role, call, expression, Engine::flush)?,
        ("GET", "_mapping" | "_mappings", []) => {
            let mut shown = Map::new();
            for engine in targets(role, call, expression)? {
                shown.insert(engine.name.clone(), json!({"mappings": engine.mapping().to_json()}));
            }
            Answer::json(200, &shown)
        }
        ("PUT" | "POST", "_mapping" | "_mappings", []) => put_mapping(role, call, expression)?,
        ("GET", "_settings", _) => {
            let mut shown = Map::new();
            for engine in targets(role, call, expression)? {
                shown.insert(engine.name.clone(), json!({"settings": settings_json(&engine)}));
            }
            Answer::json(200, &shown)
        }
        ("PUT", "_settings", []) => put_settings(role, call, expression)?,
        ("GET", "_alias" | "_aliases", []) => aliases(role, call, expression, None)?,
        ("GET", "_alias", [alias]) => aliases(role, call, expression, Some(alias))?,
        ("HEAD", "_alias", [alias]) => {
            let found = !matching_aliases(role, call, expression, Some(alias))?.is_empty();
            Answer::text(if found { 200 } else { 404 }, String::new())
        }
        ("PUT" | "POST", "_alias" | "_aliases", [alias]) if expression != "_all" => {
            if !matches!(call.json()?, Value::Null) && call.json()? != json!({}) {
                return Err(EsError::illegal(format!("options of alias [{alias}] are not supported")));
            }
            for engine in targets(role, call, expression)? {
                set_alias(role, &engine, alias, true)?;
            }
            acknowledged()
        }
        ("DELETE", "_alias" | "_aliases", [alias]) => {
            for engine in targets(role, call, expression)? {
                set_alias(role, &engine, alias, false)?;
            }
            acknowledged()
        }
        _ => return Ok(None),
    };
    Ok(Some(answer))
}

fn each(
    role: &Arc<Search>,
    call: &Call,
    expression: &str,
    act: impl Fn(&Engine) -> EsResult<()>,
) -> EsResult<Answer> {
    let engines = targets(role, call, expression)?;
    engines.iter().try_for_each(|engine| act(engine))?;
    // One shard each, and the replicas that there are not are counted as Elasticsearch counts them.
    let count = engines.len();
    Ok(Answer::json(200, &json!({"_shards": {"total": 2 * count, "successful": count, "failed": 0}})))
}

fn put_mapping(role: &Arc<Search>, call: &Call, expression: &str) -> EsResult<Answer> {
    let body = call.json()?;
    if body.is_null() {
        return Err(EsError::validation("mapping source is missing"));
    }
    for engine in targets(role, call, expression)? {
        engine.update_state(|state| state.mapping.merge_json(&body))?;
    }
    Ok(acknowledged())
}

fn put_settings(role: &Arc<Search>, call: &Call, expression: &str) -> EsResult<Answer> {
    let settings = parse_settings(&call.json()?)?;
    if let Some(fixed) =
        settings.keys().find(|key| !matches!(key.as_str(), "refresh_interval" | "number_of_replicas"))
    {
        return Err(EsError::illegal(format!(
            "final or unsupported setting [index.{fixed}] cannot be changed"
        )));
    }
    for engine in targets(role, call, expression)? {
        engine.update_state(|state| {
            for (key, value) in &settings {
                if value.is_null() {
                    state.settings.remove(key);
                } else {
                    state.settings.insert(key.clone(), value.clone());
                }
            }
            Ok(())
        })?;
    }
    Ok(acknowledged())
}

fn matching_aliases(
    role: &Arc<Search>,
    call: &Call,
    expression: &str,
    wanted: Option<&str>,
) -> EsResult<Map<String, Value>> {
    let mut shown = Map::new();
    for engine in targets(role, call, expression)? {
        let mut aliases = engine.state().aliases;
        if let Some(wanted) = wanted {
            aliases.retain(|alias, _| wanted.split(',').any(|pattern| matches_pattern(pattern, alias)));
            if aliases.is_empty() {
                continue;
            }
        }
        shown.insert(engine.name.clone(), json!({"aliases": aliases}));
    }
    Ok(shown)
}

fn aliases(role: &Arc<Search>, call: &Call, expression: &str, wanted: Option<&str>) -> EsResult<Answer> {
    let shown = matching_aliases(role, call, expression, wanted)?;
    match wanted {
        Some(alias) if shown.is_empty() && !alias.contains('*') => {
            Ok(Answer::json(404, &json!({"error": format!("alias [{alias}] missing"), "status": 404})))
        }
        _ => Ok(Answer::json(200, &shown)),
    }
}

fn set_alias(role: &Arc<Search>, engine: &Engine, alias: &str, add: bool) -> EsResult<()> {
    if add && role.engines().iter().any(|engine| engine.name == alias) {
        let reason = format!(
            "Invalid alias name [{alias}]: an index or data stream exists with the same name as the alias"
        );
        return Err(EsError::new(400, "invalid_alias_name_exception", reason));
    }
    engine.update_state(|state| {
        if add {
            state.aliases.insert(alias.to_owned(), json!({}));
        } else {
            state.aliases.shift_remove(alias);
        }
        Ok(())
    })
}

/// `POST _aliases`: `{"actions": [{"add": {"index": ..., "alias": ...}}, {"remove": ...}]}`.
pub(super) fn change_aliases(role: &Arc<Search>, call: &Call) -> EsResult<Answer> {
    let body = call.json()?;
    let actions = body.get("actions").and_then(Value::as_array);
    let actions = actions.ok_or_else(|| EsError::validation("Must specify at least one alias action"))?;
    for action in actions {
        for (kind, options) in action.as_object().into_iter().flatten() {
            let add = match kind.as_str() {
                "add" => true,
                "remove" => false,
                other => return Err(EsError::illegal(format!("alias action [{other}] is not supported"))),
            };
            let known = ["index", "alias"];
            if let Some(key) =
                options.as_object().and_then(|o| o.keys().find(|key| !known.contains(&key.as_str())))
            {
                return Err(EsError::illegal(format!("[{key}] of an alias action is not supported")));
            }
            let text = |key: &str| options.get(key).and_then(Value::as_str);
            let (Some(index), Some(alias)) = (text("index"), text("alias")) else {
                return Err(EsError::illegal("One of [index] or [indices] is required, and [alias]"));
            };
            for engine in role.resolve(index, false)? {
                set_alias(role, &engine, alias, add)?;
            }
        }
    }
    Ok(acknowledged())
}
