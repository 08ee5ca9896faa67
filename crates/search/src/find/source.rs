//! `_source` of a request: which part of a document is shown.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::output::Out;
use crate::error::{EsError, EsResult};
use crate::search::matches_pattern;

/// What is shown of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SourceFilter {
    All,
    None,
    /// Paths, `*` allowed: what is shown (all if empty), and what of it is not.
    Paths {
        includes: Vec<String>,
        excludes: Vec<String>,
    },
}

/// Reads `_source` of a body: `true`, `"a.*"`, `["a", "b"]`, `{"includes": ..., "excludes": ...}`.
pub(crate) fn parse_source(json: &Value) -> EsResult<SourceFilter> {
    let list = |value: &Value| -> EsResult<Vec<String>> {
        match value {
            Value::String(one) => Ok(vec![one.clone()]),
            Value::Array(items) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| EsError::parsing("[_source] must be an array of strings")),
            _ => Err(EsError::parsing("[_source] must be a boolean, a string, an array or an object")),
        }
    };
    match json {
        Value::Bool(true) => Ok(SourceFilter::All),
        Value::Bool(false) => Ok(SourceFilter::None),
        Value::Object(members) => {
            let (mut includes, mut excludes) = (Vec::new(), Vec::new());
            for (key, value) in members {
                match key.as_str() {
                    "includes" | "include" => includes = list(value)?,
                    "excludes" | "exclude" => excludes = list(value)?,
                    _ => {
                        return Err(EsError::parsing(format!(
                            "Unknown key for a START_OBJECT in [_source]: [{key}]"
                        )));
                    }
                }
            }
            Ok(SourceFilter::Paths { includes, excludes })
        }
        other => Ok(SourceFilter::Paths { includes: list(other)?, excludes: Vec::new() }),
    }
}

impl SourceFilter {
    /// What is shown of a document; none for nothing at all.
    pub(crate) fn apply(&self, source: &Bytes) -> EsResult<Option<Out>> {
        match self {
            SourceFilter::All => Ok(Some(Out::Raw(source.clone()))),
            SourceFilter::None => Ok(None),
            SourceFilter::Paths { includes, excludes } => {
                let parsed: Value = serde_json::from_slice(source)
                    .map_err(|e| EsError::internal(format!("a stored source is not JSON: {e}")))?;
                let kept = keep(&parsed, "", includes.is_empty(), includes, excludes);
                Ok(Some(Out::Value(kept.unwrap_or_else(|| Value::Object(Map::new())))))
            }
        }
    }
}

/// Whether a pattern names a path or something it lies in.
fn names(pattern: &str, path: &str) -> bool {
    matches_pattern(pattern, path)
        || path.match_indices('.').any(|(at, _)| matches_pattern(pattern, path.get(..at).unwrap_or_default()))
}

fn keep(value: &Value, path: &str, shown: bool, includes: &[String], excludes: &[String]) -> Option<Value> {
    let shown = shown || includes.iter().any(|pattern| names(pattern, path));
    if !path.is_empty() && excludes.iter().any(|pattern| names(pattern, path)) {
        return None;
    }
    match value {
        Value::Object(members) => {
            let mut kept = Map::new();
            for (key, member) in members {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if let Some(member) = keep(member, &inner, shown, includes, excludes) {
                    kept.insert(key.clone(), member);
                }
            }
            (shown || !kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(items) => {
            let kept: Vec<Value> =
                items.iter().filter_map(|item| keep(item, path, shown, includes, excludes)).collect();
            (shown || !kept.is_empty()).then_some(Value::Array(kept))
        }
        leaf => shown.then(|| leaf.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_are_included_and_excluded() {
        let source = json!({"a": 1, "b": {"c": 2, "d": {"e": 3}}, "list": [{"x": 1, "y": 2}, {"y": 3}]});
        let table = [
            (json!("a"), json!({"a": 1})),
            (json!(["b.c", "list.x"]), json!({"b": {"c": 2}, "list": [{"x": 1}]})),
            (json!("b"), json!({"b": {"c": 2, "d": {"e": 3}}})),
            (json!({"excludes": ["b.d", "list"]}), json!({"a": 1, "b": {"c": 2}})),
            (json!({"includes": ["b*"], "excludes": ["*.e"]}), json!({"b": {"c": 2, "d": {}}})),
            (json!("none"), json!({})),
        ];
        let bytes = Bytes::from(source.to_string());
        for (filter, expected) in table {
            let shown = parse_source(&filter).unwrap().apply(&bytes).unwrap().unwrap();
            assert_eq!(serde_json::to_value(&shown).unwrap(), expected, "{filter}");
        }
    }
}
