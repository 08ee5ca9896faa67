//! The keywords of one schema object, each checked and read.

use super::load::{Draft, Here, Loader};
use super::model::{Additional, Arrays, Criterion, Kind, Node, NodeId, Numbers, Objects, Strings};
use crate::definition::InvalidSchema;
use serde_json::{Map, Value as Json, json};

/// Which kinds of keywords a `type` has claimed.
#[derive(Default)]
pub(super) struct Consumed {
    object: bool,
    array: bool,
    number: bool,
    string: bool,
}

const STRING: &[&str] = &["minLength", "maxLength", "pattern", "format"];
const NUMBER: &[&str] = &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
const OBJECT: &[&str] = &[
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "dependencies",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
];
const ARRAY: &[&str] = &["items", "additionalItems", "minItems", "maxItems", "uniqueItems", "contains"];
const MODERN_STRING: &[&str] = &["minLength", "maxLength", "pattern"];
const MODERN_OBJECT: &[&str] = &[
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
    "unevaluatedProperties",
];
const MODERN_ARRAY: &[&str] =
    &["items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains", "unevaluatedItems"];

pub(super) struct Keywords<'a> {
    pub(super) loader: &'a mut Loader,
    pub(super) object: &'a Map<String, Json>,
    pub(super) here: &'a Here,
}

impl<'a> Keywords<'a> {
    fn modern(&self) -> bool {
        self.loader.draft == Draft::Modern
    }

    fn get(&self, key: &str) -> Option<&'a Json> {
        self.object.get(key)
    }

    fn has_any(&self, keys: &[&str]) -> bool {
        // Since 2019-09 a map of no properties asks for nothing, not even as rules for objects.
        let counts = |key: &str, value: &Json| {
            !self.modern()
                || !matches!(key, "properties" | "patternProperties")
                || value.as_object().is_none_or(|o| !o.is_empty())
        };
        keys.iter().any(|key| self.get(key).is_some_and(|value| counts(key, value)))
    }

    fn wrong(&self, key: &str, wanted: &str) -> InvalidSchema {
        let found = self.object.get(key).map(Json::to_string).unwrap_or_default();
        self.here.invalid(format!("{key}: expected {wanted}, found {}", crate::failure::abridged(&found)))
    }

    fn number(&self, key: &str) -> Result<Option<f64>, InvalidSchema> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| self.wrong(key, "a number"))
    }

    /// A length or count.
    fn count(&self, key: &str) -> Result<Option<f64>, InvalidSchema> {
        match self.number(key)? {
            Some(n) if n < 0.0 || n.fract() != 0.0 => Err(self.wrong(key, "an integer of at least 0")),
            other => Ok(other),
        }
    }

    fn text(&self, key: &str) -> Result<Option<String>, InvalidSchema> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_str().map(|s| Some(s.to_owned())).ok_or_else(|| self.wrong(key, "a string"))
    }

    fn boolean(&self, key: &str) -> Result<bool, InvalidSchema> {
        let Some(value) = self.get(key) else { return Ok(false) };
        value.as_bool().ok_or_else(|| self.wrong(key, "a boolean"))
    }

    fn list(&self, key: &str) -> Result<Option<&'a Vec<Json>>, InvalidSchema> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_array().map(Some).ok_or_else(|| self.wrong(key, "an array"))
    }

    fn map(&self, key: &str) -> Result<Option<&'a Map<String, Json>>, InvalidSchema> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_object().map(Some).ok_or_else(|| self.wrong(key, "an object"))
    }

    fn strings(&self, key: &str, items: &[Json]) -> Result<Vec<String>, InvalidSchema> {
        let text = |item: &Json| item.as_str().map(str::to_owned);
        items.iter().map(|i| text(i).ok_or_else(|| self.wrong(key, "an array of strings"))).collect()
    }

    fn schema(&mut self, key: &str) -> Result<Option<NodeId>, InvalidSchema> {
        let Some(value) = self.get(key) else { return Ok(None) };
        self.loader.schema(value, &self.here.below(&[key])).map(Some)
    }

    fn schemas(&mut self, key: &str) -> Result<Vec<NodeId>, InvalidSchema> {
        let Some(items) = self.list(key)? else { return Ok(Vec::new()) };
        let mut all = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            all.push(self.loader.schema(item, &self.here.below(&[key, &i.to_string()]))?);
        }
        Ok(all)
    }

    fn named_schemas(&mut self, key: &str) -> Result<Vec<(String, NodeId)>, InvalidSchema> {
        let Some(members) = self.map(key)? else { return Ok(Vec::new()) };
        let mut all = Vec::with_capacity(members.len());
        for (name, member) in members {
            let id = self.loader.schema(member, &self.here.below(&[key, name]))?;
            all.push((name.clone(), id));
        }
        Ok(all)
    }

    /// The keywords of a part, as its source.
    fn source(&self, data_type: Option<&str>, keys: &[&str]) -> Json {
        let mut source = Map::new();
        if let Some(data_type) = data_type {
            source.insert("type".into(), data_type.into());
        }
        for key in keys {
            if let Some(value) = self.get(key) {
                source.insert((*key).to_owned(), value.clone());
            }
        }
        Json::Object(source)
    }

    /// `enum` and `const`.
    pub(super) fn values(&mut self) -> Result<Vec<Node>, InvalidSchema> {
        let mut parts = Vec::new();
        if let Some(values) = self.list("enum")? {
            let source = json!({ "enum": values });
            parts.push(Node { kind: Kind::Enum(values.clone()), source, ..Node::default() });
        }
        if let Some(value) = self.get("const").filter(|_| self.loader.draft > Draft::Four) {
            let source = json!({ "const": value });
            parts.push(Node { kind: Kind::Const(value.clone()), source, ..Node::default() });
        }
        Ok(parts)
    }

    /// `allOf`, `anyOf`, `oneOf`, `not`, `if`.
    pub(super) fn combined(&mut self) -> Result<Vec<Node>, InvalidSchema> {
        let mut parts = Vec::new();
        for criterion in [Criterion::All, Criterion::Any, Criterion::One] {
            let key = criterion.keyword();
            if self.list(key)?.is_some() {
                let ids = self.schemas(key)?;
                let (kind, source) = (self.loader.combined(criterion, ids), self.source(None, &[key]));
                parts.push(Node { kind, source, ..Node::default() });
            }
        }
        if let Some(id) = self.schema("not")? {
            let source = self.source(None, &["not"]);
            parts.push(Node { kind: Kind::Not(id), source, ..Node::default() });
        }
        let conditional = ["if", "then", "else"];
        if self.loader.draft >= Draft::Seven && self.has_any(&conditional) {
            for key in conditional {
                self.schema(key)?;
            }
            let source = self.source(None, &conditional);
            parts.push(Node { kind: Kind::Conditional, source, ..Node::default() });
        }
        Ok(parts)
    }

    /// `type`, with the keywords that belong to it.
    pub(super) fn typed(&mut self, consumed: &mut Consumed) -> Result<Option<Node>, InvalidSchema> {
        match self.get("type") {
            None => Ok(None),
            Some(Json::String(name)) => {
                let (kind, source) = self.of_type(name, consumed)?;
                Ok(Some(Node { kind, source, ..Node::default() }))
            }
            Some(Json::Array(names)) => {
                let mut ids = Vec::with_capacity(names.len());
                for name in self.strings("type", names)? {
                    let (kind, source) = self.of_type(&name, consumed)?;
                    ids.push(self.loader.part(kind, source)?);
                }
                let kind = self.loader.combined(Criterion::Any, ids);
                Ok(Some(Node { kind, source: self.source(None, &["type"]), ..Node::default() }))
            }
            Some(_) => Err(self.wrong("type", "a string or an array of strings")),
        }
    }

    fn of_type(&mut self, name: &str, consumed: &mut Consumed) -> Result<(Kind, Json), InvalidSchema> {
        let modern = self.modern();
        let pick = |old: &'static [&str], new: &'static [&str]| if modern { new } else { old };
        let (kind, keys): (Kind, &[&str]) = match name {
            "null" => (Kind::Null, &[]),
            "boolean" => (Kind::Boolean, &[]),
            "string" => {
                consumed.string = true;
                (self.string()?, pick(STRING, MODERN_STRING))
            }
            "number" | "integer" => {
                consumed.number = true;
                (self.numbers(name == "integer")?, NUMBER)
            }
            "object" => {
                consumed.object = true;
                (self.objects()?, pick(OBJECT, MODERN_OBJECT))
            }
            "array" => {
                consumed.array = true;
                (self.arrays()?, pick(ARRAY, MODERN_ARRAY))
            }
            _ => {
                let known = "null, boolean, string, number, integer, object or array";
                return Err(self.here.invalid(format!("type: expected {known}, found \"{name}\"")));
            }
        };
        Ok((kind, self.source(Some(name), keys)))
    }

    /// The keywords that no `type` has claimed.
    pub(super) fn untyped(&mut self, consumed: &Consumed) -> Result<Vec<Node>, InvalidSchema> {
        let modern = self.modern();
        let pick = |old: &'static [&str], new: &'static [&str]| if modern { new } else { old };
        let mut parts = Vec::new();
        let mut add = |kind, source| parts.push(Node { kind, source, ..Node::default() });
        let keys = pick(ARRAY, MODERN_ARRAY);
        if !consumed.array && self.has_any(keys) {
            add(self.arrays()?, self.source(None, keys));
        }
        let keys = pick(OBJECT, MODERN_OBJECT);
        if !consumed.object && self.has_any(keys) {
            add(self.objects()?, self.source(None, keys));
        }
        if !consumed.number && self.has_any(NUMBER) {
            add(self.numbers(false)?, self.source(None, NUMBER));
        }
        let keys = pick(STRING, MODERN_STRING);
        if !consumed.string && self.has_any(keys) {
            add(self.string()?, self.source(None, keys));
        }
        Ok(parts)
    }

    fn string(&mut self) -> Result<Kind, InvalidSchema> {
        self.text("format")?;
        Ok(Kind::String(Strings {
            max_length: self.count("maxLength")?,
            min_length: self.count("minLength")?,
            pattern: self.text("pattern")?,
        }))
    }

    fn numbers(&mut self, integer: bool) -> Result<Kind, InvalidSchema> {
        let limit = |key: &str| match self.get(key) {
            // Draft 4's says only how `maximum` is meant.
            Some(Json::Bool(_)) if self.loader.draft == Draft::Four => Ok(None),
            _ => self.number(key),
        };
        if self.number("multipleOf")?.is_some_and(|n| n <= 0.0) {
            return Err(self.wrong("multipleOf", "a number greater than 0"));
        }
        Ok(Kind::Number(Numbers {
            integer,
            maximum: self.number("maximum")?,
            minimum: self.number("minimum")?,
            exclusive_maximum: limit("exclusiveMaximum")?,
            exclusive_minimum: limit("exclusiveMinimum")?,
            multiple_of: self.get("multipleOf").map(Json::to_string),
        }))
    }

    fn additional(&mut self, key: &str) -> Result<Additional, InvalidSchema> {
        Ok(match self.get(key) {
            None | Some(Json::Bool(true)) => Additional::Any,
            Some(Json::Bool(false)) => Additional::None,
            Some(_) => self.schema(key)?.map_or(Additional::Any, Additional::Schema),
        })
    }

    fn objects(&mut self) -> Result<Kind, InvalidSchema> {
        let mut objects = Objects {
            properties: self.named_schemas("properties")?,
            patterns: self.named_schemas("patternProperties")?,
            additional: self.additional("additionalProperties")?,
            max_properties: self.count("maxProperties")?,
            min_properties: self.count("minProperties")?,
            ..Objects::default()
        };
        if let Some(required) = self.list("required")? {
            objects.required = self.strings("required", required)?;
        }
        self.schema("propertyNames")?;
        if self.modern() {
            objects.unevaluated = self.schema("unevaluatedProperties")?;
            objects.schema_dependencies = self.named_schemas("dependentSchemas")?;
            for (name, of) in self.map("dependentRequired")?.into_iter().flatten() {
                let of = of.as_array().ok_or_else(|| self.wrong("dependentRequired", "arrays of strings"))?;
                let of = self.strings("dependentRequired", of)?;
                objects.property_dependencies.push((name.clone(), of));
            }
        } else {
            for (name, of) in self.map("dependencies")?.into_iter().flatten() {
                if let Json::Array(of) = of {
                    let of = self.strings("dependencies", of)?;
                    objects.property_dependencies.push((name.clone(), of));
                } else {
                    let id = self.loader.schema(of, &self.here.below(&["dependencies", name]))?;
                    objects.schema_dependencies.push((name.clone(), id));
                }
            }
        }
        Ok(Kind::Object(Box::new(objects)))
    }

    fn arrays(&mut self) -> Result<Kind, InvalidSchema> {
        let mut arrays = Arrays {
            max_items: self.count("maxItems")?,
            min_items: self.count("minItems")?,
            unique: self.boolean("uniqueItems")?,
            ..Arrays::default()
        };
        let contains = self.schema("contains")?.is_some();
        if let Some(Json::Array(_)) = self.get("items") {
            arrays.items = self.schemas("items")?;
            arrays.additional = self.additional("additionalItems")?;
        } else if self.modern() {
            arrays.items = self.schemas("prefixItems")?;
            if let Some(id) = self.schema("items")? {
                match self.loader.kind(id) {
                    Kind::False => arrays.additional = Additional::None,
                    Kind::True => {}
                    _ if arrays.items.is_empty() => arrays.all = Some(id),
                    _ => arrays.additional = Additional::Schema(id),
                }
            }
        } else {
            arrays.all = self.schema("items")?;
            arrays.additional = self.additional("additionalItems")?;
        }
        if self.modern() {
            arrays.unevaluated = self.schema("unevaluatedItems")?;
        }
        if contains || !self.modern() {
            arrays.max_contains = self.count("maxContains")?;
            let implied = self.modern().then_some(1.0);
            arrays.min_contains = self.count("minContains")?.or(implied);
        }
        Ok(Kind::Array(Box::new(arrays)))
    }
}
