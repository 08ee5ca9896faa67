//! The text of an Avro schema to its [`Model`], by the rules of Java's parser, with its words for what is wrong.

use super::canonical;
use super::model::{FieldModel, Id, Kind, Model, Name, Named, Node, Order, Type};
use super::parse::AvroError;
use crate::Referenced;
use serde_json::{Map, Value as Json};
use std::collections::{HashMap, HashSet};

/// How strictly a text is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    /// Names of letters and digits in any script; defaults are not looked at: what was registered before.
    Lenient,
    /// Names as in Avro's specification, defaults of their types: what is registered now.
    Strict,
}

/// Parses a text and those that it refers to, each after what it refers to itself.
pub(super) fn parse(
    text: &str,
    referenced: &[Referenced],
    strictness: Strictness,
) -> Result<Model, AvroError> {
    let mut parser = Parser { nodes: Vec::new(), names: HashMap::new(), sources: HashMap::new(), strictness };
    let mut roots = Vec::new();
    for reference in referenced {
        let root = parser.node(&json(&reference.text)?, None)?;
        roots.extend(parser.nodes[root].named().map(|named| named.name.full()));
    }
    let root = parser.node(&json(text)?, None)?;
    for node in &parser.nodes {
        if let Kind::Undefined(name) = &node.kind {
            return Err(AvroError::new(format!("Undefined schema: {}", name.full())));
        }
    }
    let model = Model { nodes: parser.nodes, root, referenced: roots };
    if strictness == Strictness::Strict {
        check_defaults(&model)?;
    }
    Ok(model)
}

fn json(text: &str) -> Result<Json, AvroError> {
    if text.len() > super::parse::MAX_TEXT {
        return Err(AvroError::new(format!("the schema's text is {} bytes, too many", text.len())));
    }
    serde_json::from_str(text).map_err(|e| AvroError::new(format!("not JSON: {e}")))
}

struct Parser {
    nodes: Vec<Node>,
    /// By full names; a name that is referred to before its declaration is [`Kind::Undefined`].
    names: HashMap<String, Id>,
    /// The declarations, by full names.
    sources: HashMap<String, Json>,
    strictness: Strictness,
}

const RESERVED: [&str; 10] =
    ["doc", "fields", "items", "name", "namespace", "size", "symbols", "values", "type", "aliases"];
const RESERVED_IN_FIELD: [&str; 6] = ["default", "doc", "name", "order", "type", "aliases"];

fn text<'a>(json: &'a Json, key: &str) -> Option<&'a str> {
    json.get(key).and_then(Json::as_str)
}

fn required<'a>(json: &'a Json, key: &str, error: &str) -> Result<&'a str, AvroError> {
    text(json, key).ok_or_else(|| AvroError::new(format!("{error}: {json}")))
}

fn props(json: &Json, is_reserved: impl Fn(&str) -> bool) -> Map<String, Json> {
    let all = json.as_object().into_iter().flatten();
    all.filter(|(key, _)| !is_reserved(key)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn aliases(json: &Json) -> Result<Vec<String>, AvroError> {
    let Some(aliases) = json.get("aliases") else { return Ok(Vec::new()) };
    let Json::Array(aliases) = aliases else {
        return Err(AvroError::new(format!("aliases not an array: {json}")));
    };
    let mut all: Vec<String> = Vec::with_capacity(aliases.len());
    let mut seen = HashSet::new();
    for alias in aliases {
        let Json::String(alias) = alias else {
            return Err(AvroError::new(format!("alias not a string: {alias}")));
        };
        if seen.insert(alias) {
            all.push(alias.clone());
        }
    }
    Ok(all)
}

impl Parser {
    fn add(&mut self, kind: Kind, props: Map<String, Json>) -> Id {
        self.nodes.push(Node { kind, props });
        self.nodes.len() - 1
    }

    fn node(&mut self, json: &Json, within: Option<&str>) -> Result<Id, AvroError> {
        match json {
            Json::String(name) => self.named(name, within, Map::new()),
            Json::Array(branches) => self.union(branches, within),
            Json::Object(_) => match json.get("type") {
                Some(Json::String(data_type)) => self.object(json, data_type, within),
                // Older parsers take a type within a type; so do their registries' schemas.
                Some(inner @ (Json::Object(_) | Json::Array(_))) => self.node(inner, within),
                _ => Err(AvroError::new(format!("No type: {json}"))),
            },
            other => Err(AvroError::new(format!("Schema not yet supported: {other}"))),
        }
    }

    fn object(&mut self, json: &Json, data_type: &str, within: Option<&str>) -> Result<Id, AvroError> {
        let props = || props(json, |key| RESERVED.contains(&key));
        match data_type {
            "record" | "error" => self.record(json, data_type == "error", within),
            "enum" => self.enumeration(json, within),
            "fixed" => self.fixed(json, within),
            "array" | "map" => {
                let is_array = data_type == "array";
                let (key, what) = if is_array { ("items", "Array") } else { ("values", "Map") };
                let inner = json
                    .get(key)
                    .ok_or_else(|| AvroError::new(format!("{what} has no {key} type: {json}")))?;
                let inner = self.node(inner, within)?;
                Ok(self.add(if is_array { Kind::Array(inner) } else { Kind::Map(inner) }, props()))
            }
            name => self.named(name, within, props()),
        }
    }

    /// A primitive type, or the type of that name.
    fn named(&mut self, name: &str, within: Option<&str>, props: Map<String, Json>) -> Result<Id, AvroError> {
        if let Some(primitive) = Type::primitive(name) {
            return Ok(self.add(Kind::Primitive(primitive), props));
        }
        let of = Name::new(name, within);
        let known = self.names.get(&of.full()).or_else(|| self.names.get(name));
        if let Some(known) = known {
            return Ok(*known);
        }
        let full = of.full();
        let id = self.add(Kind::Undefined(of), Map::new());
        self.names.insert(full, id);
        Ok(id)
    }

    fn union(&mut self, branches: &[Json], within: Option<&str>) -> Result<Id, AvroError> {
        let mut ids = Vec::with_capacity(branches.len());
        let mut seen = HashSet::new();
        for branch in branches {
            let id = self.node(branch, within)?;
            let node = &self.nodes[id];
            let name = match &node.kind {
                Kind::Union(_) => {
                    return Err(AvroError::new(format!("Nested union: {}", Json::from(branches.to_vec()))));
                }
                Kind::Undefined(name) => name.full(),
                _ => node.named().map_or_else(|| node.data_type().name().to_owned(), |n| n.name.full()),
            };
            if !seen.insert(name.clone()) {
                return Err(AvroError::new(format!("Duplicate in union:{name}")));
            }
            ids.push(id);
        }
        Ok(self.add(Kind::Union(ids), Map::new()))
    }

    /// The name of a declaration and its place; `None` where it stands there already.
    fn declare(&mut self, json: &Json, within: Option<&str>) -> Result<(Named, Result<Id, Id>), AvroError> {
        let space = text(json, "namespace").or(within);
        let name = Name::new(required(json, "name", "No name in schema")?, space);
        self.check_name(&name.simple)?;
        if self.strictness == Strictness::Strict {
            for part in name.space.iter().flat_map(|space| space.split('.')) {
                let wrong = |e| AvroError::new(format!("Namespace part \"{part}\" is invalid: {e}"));
                self.check_name(part).map_err(wrong)?;
            }
        }
        let full = name.full();
        if Type::primitive(&full).is_some() {
            return Err(AvroError::new(format!("Schemas may not be named after primitives: {full}")));
        }
        let written = aliases(json)?;
        let aliases = written.iter().map(|alias| Name::new(alias, name.space.as_deref())).collect();
        let named = Named { name: name.clone(), doc: text(json, "doc").map(str::to_owned), aliases };
        match self.sources.get(&full) {
            Some(known) if known == json => {
                let id = self.names.get(&full).copied().unwrap_or_default();
                return Ok((named, Err(id)));
            }
            Some(_) => return Err(AvroError::new(format!("Can't redefine: {full}"))),
            None => self.sources.insert(full.clone(), json.clone()),
        };
        let id = match self.names.get(&full) {
            Some(id) => *id,
            None => {
                let id = self.add(Kind::Undefined(name), Map::new());
                self.names.insert(full, id);
                id
            }
        };
        Ok((named, Ok(id)))
    }

    fn record(&mut self, json: &Json, error: bool, within: Option<&str>) -> Result<Id, AvroError> {
        let (named, place) = self.declare(json, within)?;
        let id = match place {
            Ok(id) => id,
            Err(known) => return Ok(known),
        };
        let Some(Json::Array(declared)) = json.get("fields") else {
            return Err(AvroError::new(format!("Record has no fields: {json}")));
        };
        let mut fields: Vec<FieldModel> = Vec::with_capacity(declared.len());
        let mut seen = HashSet::new();
        for field in declared {
            let field = self.field(field, named.name.space.as_deref())?;
            if !seen.insert(field.name.clone()) {
                let full = named.name.full();
                return Err(AvroError::new(format!("Duplicate field {} in record {full}.", field.name)));
            }
            fields.push(field);
        }
        let props = props(json, |key| RESERVED.contains(&key));
        self.nodes[id] = Node { kind: Kind::Record { named, error, fields }, props };
        Ok(id)
    }

    fn field(&mut self, json: &Json, within: Option<&str>) -> Result<FieldModel, AvroError> {
        let name = required(json, "name", "No field name")?.to_owned();
        let declared = json.get("type").ok_or_else(|| AvroError::new(format!("No field type: {json}")))?;
        let schema = self.node(declared, within)?;
        let order = match text(json, "order").map(str::to_ascii_lowercase).as_deref() {
            None | Some("ascending") => Order::Ascending,
            Some("descending") => Order::Descending,
            Some("ignore") => Order::Ignore,
            Some(other) => return Err(AvroError::new(format!("No order of fields {other}: {json}"))),
        };
        self.check_name(&name)?;
        let mut default = json.get("default").cloned();
        if let (Type::Float | Type::Double, Some(Json::String(text))) =
            (self.nodes[schema].data_type(), &default)
        {
            let number: f64 = text
                .trim()
                .parse()
                .map_err(|_| AvroError::new(format!("For input string: \"{text}\" (field {name})")))?;
            // What JSON has no number for stays a string.
            default = serde_json::Number::from_f64(number).map(Json::Number).or(default);
        }
        Ok(FieldModel {
            name,
            doc: text(json, "doc").map(str::to_owned),
            schema,
            default,
            order,
            aliases: aliases(json)?,
            props: props(json, |key| RESERVED_IN_FIELD.contains(&key)),
        })
    }

    fn enumeration(&mut self, json: &Json, within: Option<&str>) -> Result<Id, AvroError> {
        let (named, place) = self.declare(json, within)?;
        let id = match place {
            Ok(id) => id,
            Err(known) => return Ok(known),
        };
        let Some(Json::Array(declared)) = json.get("symbols") else {
            return Err(AvroError::new(format!("Enum has no symbols: {json}")));
        };
        let mut symbols: Vec<String> = Vec::with_capacity(declared.len());
        let mut seen = HashSet::new();
        for symbol in declared {
            let symbol = symbol.as_str().ok_or_else(|| AvroError::new("Null name"))?;
            self.check_name(symbol)?;
            if !seen.insert(symbol) {
                return Err(AvroError::new(format!("Duplicate enum symbol: {symbol}")));
            }
            symbols.push(symbol.to_owned());
        }
        let default = text(json, "default").map(str::to_owned);
        if let Some(default) = default.as_ref().filter(|d| !seen.contains(d.as_str())) {
            let reason = format!(
                "The Enum Default: {default} is not in the enum symbol set: [{}]",
                symbols.join(", ")
            );
            return Err(AvroError::new(reason));
        }
        let props = props(json, |key| RESERVED.contains(&key) || key == "default");
        self.nodes[id] = Node { kind: Kind::Enum { named, symbols, default }, props };
        Ok(id)
    }

    fn fixed(&mut self, json: &Json, within: Option<&str>) -> Result<Id, AvroError> {
        let (named, place) = self.declare(json, within)?;
        let id = match place {
            Ok(id) => id,
            Err(known) => return Ok(known),
        };
        let size = json.get("size").and_then(Json::as_i64).and_then(|size| i32::try_from(size).ok());
        let size = size.ok_or_else(|| AvroError::new(format!("Invalid or no size: {json}")))?;
        let size = u32::try_from(size)
            .map_err(|_| AvroError::new(format!("Malformed data. Length is negative: {size}")))?;
        let props = props(json, |key| RESERVED.contains(&key));
        self.nodes[id] = Node { kind: Kind::Fixed { named, size }, props };
        Ok(id)
    }

    fn check_name(&self, name: &str) -> Result<(), AvroError> {
        let strict = self.strictness == Strictness::Strict;
        let letter = |c: char| c == '_' || if strict { c.is_ascii_alphabetic() } else { c.is_alphabetic() };
        let digit = |c: char| if strict { c.is_ascii_digit() } else { c.is_numeric() };
        let mut rest = name.chars();
        match rest.next() {
            None => Err(AvroError::new("Empty name")),
            Some(first) if !letter(first) => {
                Err(AvroError::new(format!("Illegal initial character: {name}")))
            }
            Some(_) if !rest.all(|c| letter(c) || digit(c)) => {
                Err(AvroError::new(format!("Illegal character in: {name}")))
            }
            Some(_) => Ok(()),
        }
    }
}

fn check_defaults(model: &Model) -> Result<(), AvroError> {
    for node in &model.nodes {
        let Kind::Record { fields, .. } = &node.kind else { continue };
        for field in fields {
            if let Some(default) = &field.default
                && !fits(model, field.schema, default, 0)
            {
                let schema = canonical::inline(model, field.schema);
                let reason = format!("Invalid default for field {}: {default} not a {schema}", field.name);
                return Err(AvroError::new(reason));
            }
        }
    }
    Ok(())
}

/// Defaults of fields may stand for one another so deep; a type whose default needs itself has no end.
const MAX_DEFAULTS: usize = 64;

/// Whether a default is of that type.
fn fits(model: &Model, id: Id, value: &Json, depth: usize) -> bool {
    if depth > MAX_DEFAULTS {
        return false;
    }
    let node = model.node(id);
    match (&node.kind, value) {
        (Kind::Array(item), Json::Array(items)) => {
            items.iter().all(|value| fits(model, *item, value, depth + 1))
        }
        (Kind::Map(of), Json::Object(entries)) => {
            entries.values().all(|value| fits(model, *of, value, depth + 1))
        }
        (Kind::Union(branches), value) => branches.iter().any(|of| fits(model, *of, value, depth + 1)),
        (Kind::Record { fields, .. }, Json::Object(values)) => fields.iter().all(|field| {
            let value = values.get(&field.name).or(field.default.as_ref());
            value.is_some_and(|value| fits(model, field.schema, value, depth + 1))
        }),
        (Kind::Enum { .. } | Kind::Fixed { .. }, value) => value.is_string(),
        (Kind::Primitive(primitive), value) => match primitive {
            Type::String | Type::Bytes => value.is_string(),
            Type::Int => value.as_i64().is_some_and(|v| i32::try_from(v).is_ok()),
            Type::Long => value.as_i64().is_some(),
            // A string stands for what JSON has no number for.
            Type::Float | Type::Double => {
                value.is_number() || value.as_str().is_some_and(|v| v.parse::<f64>().is_ok())
            }
            Type::Boolean => value.is_boolean(),
            _ => value.is_null(),
        },
        _ => false,
    }
}
