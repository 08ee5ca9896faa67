//! One field of a mapping.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::date::{self, Format};
use crate::error::{EsError, EsResult};

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Text,
    Keyword,
    Long,
    Integer,
    Short,
    Byte,
    Double,
    Float,
    HalfFloat,
    Boolean,
    Date,
    GeoPoint,
}

/// Where the values of a kind lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Strings,
    /// Whole numbers: i64.
    Integers,
    /// f64.
    Floats,
    None,
}

impl Kind {
    /// Its name in a mapping.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Keyword => "keyword",
            Kind::Long => "long",
            Kind::Integer => "integer",
            Kind::Short => "short",
            Kind::Byte => "byte",
            Kind::Double => "double",
            Kind::Float => "float",
            Kind::HalfFloat => "half_float",
            Kind::Boolean => "boolean",
            Kind::Date => "date",
            Kind::GeoPoint => "geo_point",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Kind> {
        serde_json::from_value(json!(name)).ok()
    }

    pub(crate) fn column(self) -> Column {
        match self {
            Kind::Keyword => Column::Strings,
            Kind::Long | Kind::Integer | Kind::Short | Kind::Byte | Kind::Boolean | Kind::Date => {
                Column::Integers
            }
            Kind::Double | Kind::Float | Kind::HalfFloat => Column::Floats,
            Kind::Text | Kind::GeoPoint => Column::None,
        }
    }

    /// The parameters a mapping may give it.
    fn parameters(self) -> &'static [&'static str] {
        match self {
            Kind::Text => &["index", "analyzer", "norms", "store", "meta"],
            Kind::Keyword => &["ignore_above", "null_value", "index", "doc_values", "norms", "store", "meta"],
            Kind::Boolean => &["null_value", "index", "doc_values", "store", "ignore_malformed", "meta"],
            Kind::Date => {
                &["format", "null_value", "index", "doc_values", "store", "ignore_malformed", "meta"]
            }
            Kind::GeoPoint => &["ignore_malformed", "meta"],
            _ => &["coerce", "ignore_malformed", "null_value", "index", "doc_values", "store", "meta"],
        }
    }
}

/// One field of a mapping, with its multi-fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Field {
    /// Its number in the index, from 1; 0 before it belongs to a mapping.
    pub(crate) id: u32,
    pub(crate) kind: Kind,
    /// The parameters as they were given, but `type` and `fields`.
    #[serde(default)]
    pub(crate) params: Map<String, Value>,
    /// Multi-fields by short name.
    #[serde(default)]
    pub(crate) subs: BTreeMap<String, Field>,
    #[serde(skip)]
    pub(crate) formats: Vec<Format>,
    #[serde(skip)]
    pub(crate) ignore_above: Option<usize>,
}

impl Field {
    pub(crate) fn new(kind: Kind) -> Field {
        let formats = if kind == Kind::Date { vec![Format::Iso, Format::EpochMillis] } else { Vec::new() };
        Field { id: 0, kind, params: Map::new(), subs: BTreeMap::new(), formats, ignore_above: None }
    }

    /// What a string becomes that no mapping names: text, and exact as `.keyword`.
    pub(crate) fn dynamic_text() -> Field {
        let mut keyword = Field::new(Kind::Keyword);
        keyword.params.insert("ignore_above".into(), json!(256));
        keyword.ignore_above = Some(256);
        let mut field = Field::new(Kind::Text);
        field.subs.insert("keyword".into(), keyword);
        field
    }

    pub(crate) fn set_param(&mut self, name: &str, key: &str, value: &Value) -> EsResult<()> {
        let wrong = |reason: String| EsError::mapper(reason);
        if !self.kind.parameters().contains(&key) {
            return Err(wrong(format!(
                "unknown parameter [{key}] on mapper [{name}] of type [{}]",
                self.kind.name()
            )));
        }
        let flag = match value {
            Value::Bool(_) => true,
            Value::String(text) => matches!(text.as_str(), "true" | "false"),
            _ => false,
        };
        match key {
            "analyzer" if *value != json!("standard") => {
                return Err(wrong(format!(
                    "analyzer [{}] has not been configured in mappings",
                    plain(value)
                )));
            }
            "index" | "doc_values" | "norms" | "store" | "coerce" | "ignore_malformed" if !flag => {
                return Err(wrong(format!(
                    "Failed to parse mapping: Could not convert [{name}.{key}] to boolean"
                )));
            }
            "ignore_above" if value.as_u64().is_none() => {
                return Err(wrong(format!(
                    "Failed to parse mapping: [ignore_above] must be positive, got [{}]",
                    plain(value)
                )));
            }
            _ => {}
        }
        let value = match value {
            Value::String(text) if flag => json!(text == "true"),
            other => other.clone(),
        };
        self.params.insert(key.to_owned(), value);
        Ok(())
    }

    /// Computes what values need from the parameters.
    pub(crate) fn prepare(&mut self) -> EsResult<()> {
        if self.kind == Kind::Date {
            self.formats = date::parse_format(self.format())?;
        }
        self.ignore_above = self.params.get("ignore_above").and_then(Value::as_u64).map(|n| n as usize);
        self.subs.values_mut().try_for_each(Field::prepare)
    }

    /// The format of a date field.
    pub(crate) fn format(&self) -> &str {
        self.params.get("format").and_then(Value::as_str).unwrap_or(date::DEFAULT)
    }

    pub(crate) fn flag(&self, key: &str, default: bool) -> bool {
        self.params.get(key).and_then(Value::as_bool).unwrap_or(default)
    }

    /// Gives it, and its multi-fields, numbers.
    pub(super) fn number(&mut self, next: &mut u32) {
        if self.id == 0 {
            self.id = *next;
            *next += 1;
        }
        for sub in self.subs.values_mut() {
            sub.number(next);
        }
    }

    /// This field with what an update of the mapping says of it.
    pub(super) fn merge(&self, name: &str, update: Field, next: &mut u32) -> EsResult<Field> {
        if self.kind != update.kind {
            return Err(EsError::illegal(format!(
                "mapper [{name}] cannot be changed from type [{}] to [{}]",
                self.kind.name(),
                update.kind.name()
            )));
        }
        for key in ["format", "index", "doc_values", "analyzer", "null_value", "store"] {
            // What is absent is the default; `null_value` and `ignore_above` may be changed in Elasticsearch only for new
            // documents; here the former may not.
            if self.params.get(key) != update.params.get(key) && update.params.contains_key(key) {
                let show = |field: &Field| field.params.get(key).map_or("default".into(), plain);
                return Err(EsError::illegal(format!(
                    "Mapper for [{name}] conflicts with existing mapper:\n\tCannot update parameter [{key}] from [{}] to [{}]",
                    show(self),
                    show(&update)
                )));
            }
        }
        let mut merged = self.clone();
        merged.params.extend(update.params);
        for (short, sub) in update.subs {
            let full = format!("{name}.{short}");
            let sub = match self.subs.get(&short) {
                Some(there) => there.merge(&full, sub, next)?,
                None => sub,
            };
            merged.subs.insert(short, sub);
        }
        merged.number(next);
        merged.prepare()?;
        Ok(merged)
    }

    /// As `GET _mapping` shows it.
    pub(super) fn to_json(&self) -> Value {
        let mut shown = Map::new();
        shown.insert("type".into(), json!(self.kind.name()));
        if !self.subs.is_empty() {
            let subs: Map<String, Value> =
                self.subs.iter().map(|(name, sub)| (name.clone(), sub.to_json())).collect();
            shown.insert("fields".into(), Value::Object(subs));
        }
        shown.extend(self.params.clone());
        Value::Object(shown)
    }
}

/// A JSON value as Java prints it.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members: Vec<String> = members.iter().map(|(k, v)| format!("{k}={}", plain(v))).collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}
