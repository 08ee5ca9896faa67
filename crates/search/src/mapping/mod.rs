//! Mappings: which fields an index has, of which types, and how a document becomes terms and columns.
//!
//! A mapping is a flat list of full names (`user.name`, `user.name.keyword`); objects are names too, so that the nested
//! form can be shown. Each field has a number, which never changes or serves again: it is what the index stores.

pub(crate) mod date;
mod document;
mod field;
mod parse;

pub(crate) use document::{Document, document};
pub(crate) use field::{Column as ColumnKind, Field, Kind, plain};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{EsError, EsResult};

/// What happens to a field that is not mapped (`dynamic`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Dynamic {
    True,
    False,
    Strict,
}

/// An object of the mapping.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Object {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dynamic: Option<Dynamic>,
    /// `enabled: false`: kept in `_source` only.
    #[serde(default)]
    pub(crate) disabled: bool,
}

/// The mapping of one index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mapping {
    next: u32,
    pub(crate) dynamic: Option<Dynamic>,
    pub(crate) date_detection: Option<bool>,
    pub(crate) numeric_detection: Option<bool>,
    /// `_meta`.
    pub(crate) meta: Option<Value>,
    objects: BTreeMap<String, Object>,
    /// By full name, without multi-fields.
    fields: BTreeMap<String, Field>,
}

impl Default for Mapping {
    fn default() -> Self {
        Mapping {
            next: 1,
            dynamic: None,
            date_detection: None,
            numeric_detection: None,
            meta: None,
            objects: BTreeMap::new(),
            fields: BTreeMap::new(),
        }
    }
}

/// Most fields an index may have (`index.mapping.total_fields.limit`).
const FIELD_LIMIT: usize = 1000;

impl Mapping {
    /// The field of a full name, multi-fields included.
    pub(crate) fn get(&self, name: &str) -> Option<&Field> {
        if let Some(field) = self.fields.get(name) {
            return Some(field);
        }
        let (parent, sub) = name.rsplit_once('.')?;
        self.fields.get(parent)?.subs.get(sub)
    }

    pub(crate) fn object(&self, path: &str) -> Option<&Object> {
        self.objects.get(path)
    }

    /// Whether a name is an object or the start of a field's name.
    pub(crate) fn is_object(&self, path: &str) -> bool {
        self.objects.contains_key(path)
    }

    /// All names a pattern with `*` could mean, multi-fields included.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (name, field) in &self.fields {
            names.push(name.clone());
            names.extend(field.subs.keys().map(|sub| format!("{name}.{sub}")));
        }
        names
    }

    /// Adds a field, or merges what it says into the one there is.
    pub(crate) fn put_field(&mut self, name: &str, mut field: Field) -> EsResult<()> {
        if self.is_object(name) {
            return Err(EsError::illegal(format!(
                "can't merge a non object mapping [{name}] with an object mapping"
            )));
        }
        if let Some(there) = self.fields.get(name) {
            let merged = there.merge(name, field, &mut self.next)?;
            self.fields.insert(name.to_owned(), merged);
            return Ok(());
        }
        for (at, _) in name.match_indices('.') {
            let parent = name.get(..at).unwrap_or_default();
            if self.fields.contains_key(parent) {
                return Err(EsError::illegal(format!(
                    "can't merge a non object mapping [{parent}] with an object mapping"
                )));
            }
            self.objects.entry(parent.to_owned()).or_default();
        }
        let limit = self.fields.len() + self.objects.len() + 1;
        if limit > FIELD_LIMIT {
            return Err(EsError::illegal(format!("Limit of total fields [{FIELD_LIMIT}] has been exceeded")));
        }
        field.number(&mut self.next);
        self.fields.insert(name.to_owned(), field);
        Ok(())
    }

    /// Adds an object.
    pub(crate) fn put_object(&mut self, name: &str, object: Object) -> EsResult<()> {
        let mut start = 0;
        while start <= name.len() {
            let end = name.get(start..).and_then(|rest| rest.find('.')).map_or(name.len(), |at| start + at);
            let path = name.get(..end).unwrap_or_default();
            if self.fields.contains_key(path) {
                return Err(EsError::illegal(format!(
                    "can't merge a non object mapping [{path}] with an object mapping"
                )));
            }
            self.objects.entry(path.to_owned()).or_default();
            start = end + 1;
        }
        if let Some(there) = self.objects.get_mut(name) {
            if object.dynamic.is_some() {
                there.dynamic = object.dynamic;
            }
            there.disabled |= object.disabled;
        }
        Ok(())
    }

    /// The rule for a field that is not mapped under an object (`""`: the root).
    pub(crate) fn dynamic_of(&self, mut path: &str) -> Dynamic {
        loop {
            if let Some(dynamic) = self.objects.get(path).and_then(|object| object.dynamic) {
                return dynamic;
            }
            match path.rsplit_once('.') {
                Some((parent, _)) => path = parent,
                None => return self.dynamic.unwrap_or(Dynamic::True),
            }
        }
    }

    /// As `GET _mapping` shows it.
    pub(crate) fn to_json(&self) -> Value {
        let mut root = Map::new();
        if let Some(dynamic) = self.dynamic {
            root.insert("dynamic".into(), dynamic_text(dynamic));
        }
        if let Some(meta) = &self.meta {
            root.insert("_meta".into(), meta.clone());
        }
        if let Some(detect) = self.date_detection {
            root.insert("date_detection".into(), json!(detect));
        }
        if let Some(detect) = self.numeric_detection {
            root.insert("numeric_detection".into(), json!(detect));
        }
        let properties = self.properties("");
        if !properties.is_empty() {
            root.insert("properties".into(), Value::Object(properties));
        }
        Value::Object(root)
    }

    fn properties(&self, parent: &str) -> Map<String, Value> {
        let child = |name: &str| -> Option<String> {
            let rest = if parent.is_empty() { name } else { name.strip_prefix(parent)?.strip_prefix('.')? };
            (!rest.contains('.')).then(|| rest.to_owned())
        };
        let mut children: BTreeMap<String, Value> = BTreeMap::new();
        for (name, field) in &self.fields {
            if let Some(short) = child(name) {
                children.insert(short, field.to_json());
            }
        }
        for (name, object) in &self.objects {
            let Some(short) = child(name) else { continue };
            let properties = self.properties(name);
            let mut shown = Map::new();
            if let Some(dynamic) = object.dynamic {
                shown.insert("dynamic".into(), dynamic_text(dynamic));
            }
            if properties.is_empty() || object.disabled {
                shown.insert("type".into(), json!("object"));
            }
            if object.disabled {
                shown.insert("enabled".into(), json!(false));
            }
            if !properties.is_empty() {
                shown.insert("properties".into(), Value::Object(properties));
            }
            children.insert(short, Value::Object(shown));
        }
        children.into_iter().collect()
    }

    /// Fields compute what they need after being read from disk.
    pub(crate) fn prepare(&mut self) -> EsResult<()> {
        for field in self.fields.values_mut() {
            field.prepare()?;
        }
        Ok(())
    }
}

fn dynamic_text(dynamic: Dynamic) -> Value {
    json!(match dynamic {
        Dynamic::True => "true",
        Dynamic::False => "false",
        Dynamic::Strict => "strict",
    })
}
