//! Search by Elasticsearch's REST: `_search`, `_mapping`, `_cat/indices`.

use crate::config::Endpoint;
use crate::dashboard::Labels;
use crate::http::{CallError, Remote, segment};
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A field that is not in a mapping yet is looked for again after so long.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A mapping and labels are taken as they were for so long.
const KEPT: Duration = Duration::from_secs(10);

/// The search role. What it keeps is bounded by the indices and labels that dashboards name.
pub(crate) struct Search {
    remote: Remote,
    mappings: Mutex<HashMap<String, (Instant, Fields)>>,
    labels: Mutex<HashMap<Labels, (Instant, Names)>>,
}

/// Of each field, the name by which it is aggregated.
type Fields = HashMap<String, String>;

/// Of each key, what is shown instead.
type Names = HashMap<String, String>;

/// Makes the body that asks for labels, given how fields are aggregated.
type Question = fn(&Labels, &dyn Fn(&str) -> String) -> Value;

impl Search {
    pub(crate) fn new(endpoint: &Endpoint) -> Self {
        let remote = Remote::new("search", endpoint);
        Self { remote, mappings: Mutex::default(), labels: Mutex::default() }
    }

    /// `POST {index}/_search`.
    pub(crate) fn search(&self, index: &str, body: &Value) -> Result<Value, CallError> {
        self.remote.post(&format!("/{}/_search", pattern(index)), Some(body))
    }

    /// How a field is aggregated: a text by its keyword. A field that no mapping knows stays as it is.
    pub(crate) fn field(&self, index: &str, field: &str) -> String {
        let mut mappings = self.mappings.lock();
        let kept = mappings.get(index).filter(|(at, fields)| {
            let known = fields.contains_key(field);
            at.elapsed() < if known { KEPT } else { LOOK_AGAIN }
        });
        if let Some((_, fields)) = kept {
            return fields.get(field).cloned().unwrap_or_else(|| field.to_owned());
        }
        let mapping = self.remote.get(&format!("/{}/_mapping", pattern(index))).unwrap_or_default();
        let fields = fields_of(&mapping);
        let found = fields.get(field).cloned().unwrap_or_else(|| field.to_owned());
        mappings.insert(index.to_owned(), (Instant::now(), fields));
        found
    }

    /// What to show instead of keys. Where they cannot be asked for, those of before hold.
    pub(crate) fn names(&self, labels: &Labels, question: Question, answer: fn(&Value) -> Names) -> Names {
        if let Some((_, names)) = self
            .labels
            .lock()
            .get(labels)
            .filter(|(at, names)| at.elapsed() < if names.is_empty() { LOOK_AGAIN } else { KEPT })
        {
            return names.clone();
        }
        let body = question(labels, &|field: &str| self.field(&labels.index, field));
        let asked = self.search(&labels.index, &body);
        let mut kept = self.labels.lock();
        let names = match asked {
            Ok(found) => answer(&found),
            Err(_) => kept.get(labels).map(|(_, names)| names.clone()).unwrap_or_default(),
        };
        kept.insert(labels.clone(), (Instant::now(), names.clone()));
        names
    }

    /// What changes whenever an answer over the index may change: of each index its line of `_cat/indices`.
    ///
    /// # Errors
    /// The role's. An answer without anything that counts changes gives no line at all.
    pub(crate) fn marks(&self) -> Result<HashMap<String, String>, CallError> {
        const COLUMNS: &str = "index,uuid,docs.count,docs.deleted,refresh.total,indexing.index_total,indexing.delete_total,store.size";
        let lines = self
            .remote
            .get(&format!("/_cat/indices?format=json&bytes=b&expand_wildcards=all&h={COLUMNS}"))?;
        let mark = |line: &Value| {
            let index = line.get("index")?.as_str()?.to_owned();
            let counts = line.get("docs.count").is_some();
            counts.then(|| (index, line.to_string()))
        };
        Ok(lines.as_array().into_iter().flatten().filter_map(mark).collect())
    }
}

/// An index, alias or pattern as a part of a path: `*` and `,` keep their meaning.
fn pattern(index: &str) -> String {
    segment(index).replace("%2A", "*").replace("%2C", ",")
}

/// `{index: {mappings: {properties: ...}}}` as names by which fields are aggregated.
fn fields_of(mapping: &Value) -> Fields {
    let mut fields = Fields::new();
    for of in mapping.as_object().into_iter().flat_map(|m| m.values()) {
        collect(of.pointer("/mappings/properties"), "", &mut fields);
    }
    fields
}

/// Objects nest no deeper.
const MAX_DEPTH: usize = 20;

fn collect(properties: Option<&Value>, prefix: &str, fields: &mut Fields) {
    if prefix.matches('.').count() > MAX_DEPTH {
        return;
    }
    for (name, field) in properties.and_then(Value::as_object).into_iter().flatten() {
        let path = format!("{prefix}{name}");
        collect(field.get("properties"), &format!("{path}."), fields);
        let subfields = field.get("fields").and_then(Value::as_object);
        let keyword = |(_, of): &(&String, &Value)| of.get("type").is_some_and(|t| t == "keyword");
        let by = match (field.get("type").and_then(Value::as_str), subfields) {
            (Some("text"), Some(subfields)) => subfields
                .iter()
                .find(keyword)
                .map_or_else(|| path.clone(), |(sub, _)| format!("{path}.{sub}")),
            _ => path.clone(),
        };
        fields.insert(path, by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_are_aggregated_by_their_keyword() {
        let text = json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}});
        let place = json!({"properties": {"lon": {"type": "float"}, "name": text}});
        let fields = fields_of(&json!({"views": {"mappings": {"properties": {
            "program": text, "notes": {"type": "text"}, "gender": {"type": "keyword"}, "at": place,
        }}}}));
        for (field, by) in [
            ("program", "program.keyword"),
            ("notes", "notes"),
            ("gender", "gender"),
            ("at.lon", "at.lon"),
            ("at.name", "at.name.keyword"),
        ] {
            assert_eq!(fields[field], by);
        }
        assert!(fields_of(&json!([1, {"a": null}])).is_empty());
    }
}
