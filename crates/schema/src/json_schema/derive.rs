//! From a JSON Schema to columns, as Confluent's converter reads it.
//!
//! | JSON Schema | type |
//! |---|---|
//! | `boolean`, `string` | `BOOLEAN`, `VARCHAR` |
//! | `integer`, `number` | `BIGINT`, `DOUBLE`, or what `connect.type` says |
//! | `connect.type` `bytes` | `BYTES`, `DECIMAL` under Connect's title |
//! | Connect's titles of dates and times | `DATE`, `TIME`, `TIMESTAMP` |
//! | `enum`, `const`, `{}`, `true` | `VARCHAR`; what is no string as its JSON text |
//! | `array`; `object` with `connect.type` `map`, or of `additionalProperties` alone | `ARRAY`; `MAP` |
//! | `object` | `STRUCT`, by `connect.index`, else in the text's order |
//! | `oneOf`, `anyOf` of null and one type | that type |
//! | another `oneOf`, `anyOf` | `STRUCT` with a field for each, as Confluent's converter does |
//! | `allOf` | all properties together, or the part that says the type |

use super::model::{Additional, Criterion, Kind, Model, Node, NodeId};
use super::read;
use crate::connect::{ConnectField, ConnectMeta, Narrow, RecordShape};
use crate::{DataType, Field, Schema};
use serde_json::Value as Json;
use std::sync::Arc;

/// How values of a type stand in the JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    Leaf(DataType),
    /// Unscaled, in base64, or a number.
    Decimal(u8, i8),
    Array(Box<Plan>),
    Map(Box<Plan>),
    /// An array of objects with `key` and `value`.
    Entries(Box<Plan>),
    Struct(Vec<(String, Plan)>),
    /// One of these; a struct with a field for each.
    Union(Vec<Plan>),
}

impl Plan {
    /// Whether values stand as the format `JSON` has them.
    pub(super) fn is_plain(&self) -> bool {
        match self {
            Self::Leaf(_) => true,
            Self::Array(inner) | Self::Map(inner) => inner.is_plain(),
            Self::Struct(fields) => fields.iter().all(|(_, plan)| plan.is_plain()),
            Self::Decimal(..) | Self::Entries(_) | Self::Union(_) => false,
        }
    }
}

const MAX_DEPTH: usize = 32;
const MAX_TYPES: usize = 10_000;
const UNION: &str = "io.confluent.connect.json.OneOf";
const CONNECT: &str = "org.apache.kafka.connect.data.";

/// A type as it is derived.
struct Derived {
    data_type: DataType,
    plan: Plan,
    field: ConnectField,
}

impl Derived {
    fn leaf(data_type: DataType) -> Self {
        let plan = Plan::Leaf(data_type.clone());
        Self { data_type, plan, field: ConnectField::required() }
    }
}

/// The columns of a schema.
///
/// # Errors
/// Types without counterpart, or that refer to themselves.
pub(super) fn derive(model: &Model, text: &Arc<str>, optional: bool) -> Result<(RecordShape, Plan), String> {
    let mut work = Deriving { model, types: 0, optional_unless_required: optional };
    let derived = work.derive(model.root, 0)?;
    let is_union = matches!(derived.plan, Plan::Union(_));
    let shape = match derived.data_type {
        DataType::Struct(fields) if !is_union => RecordShape {
            name: derived.field.semantic,
            meta: derived.field.meta,
            schema: Schema::new(fields.to_vec()),
            fields: derived.field.fields,
            single: false,
            text: text.clone(),
        },
        data_type => RecordShape {
            name: None,
            meta: ConnectMeta::default(),
            schema: Schema::new(vec![Field::new("value", data_type)]),
            fields: vec![derived.field],
            single: true,
            text: text.clone(),
        },
    };
    Ok((shape, derived.plan))
}

struct Deriving<'a> {
    model: &'a Model,
    types: usize,
    /// Confluent's `use.optional.for.nonrequired`.
    optional_unless_required: bool,
}

impl<'a> Deriving<'a> {
    fn derive(&mut self, id: NodeId, depth: usize) -> Result<Derived, String> {
        self.types += 1;
        if depth > MAX_DEPTH || self.types > MAX_TYPES {
            return Err(format!(
                "the schema refers to itself, or unfolds to more than {MAX_TYPES} types or {MAX_DEPTH} levels: it has no columns"
            ));
        }
        let node = self.model.node(self.model.resolved(id));
        let connect = node.connect_type.as_deref();
        let title = node.title.as_deref();
        let mut derived = match &node.kind {
            Kind::Boolean => Derived::leaf(DataType::Boolean),
            Kind::Number(_) | Kind::String(_) if connect == Some("bytes") => bytes(node, title)?,
            Kind::Number(numbers) => {
                let logical = title.and_then(|t| t.strip_prefix(CONNECT));
                Derived::leaf(match (connect, logical) {
                    (_, Some("Date")) => DataType::Date,
                    (_, Some("Time")) => DataType::Time,
                    (_, Some("Timestamp")) => DataType::Timestamp,
                    (Some("int8" | "int16" | "int32"), _) => DataType::Integer,
                    (Some("int64"), _) => DataType::BigInt,
                    (None, _) if numbers.integer => DataType::BigInt,
                    (None | Some("float32" | "float64"), _) => DataType::Double,
                    (Some(other), _) => return Err(format!("unsupported connect.type {other}")),
                })
            }
            Kind::String(_) | Kind::Enum(_) | Kind::Const(_) => Derived::leaf(DataType::Varchar),
            // Anything, also null.
            Kind::Empty | Kind::True | Kind::False | Kind::Null | Kind::Not(_) | Kind::Conditional => {
                let mut anything = Derived::leaf(DataType::Varchar);
                anything.field.required = false;
                anything
            }
            Kind::Reference(_) => return Err("a $ref leads to itself: it has no columns".into()),
            Kind::Combined(Criterion::All, parts) => self.all_of(parts, depth)?,
            Kind::Combined(_, parts) => self.one_of(parts, depth)?,
            Kind::Array(arrays) => {
                let items = arrays.all.ok_or("Array schema did not specify the items type")?;
                self.array(items, connect == Some("map"), depth)?
            }
            Kind::Object(objects) => match objects.additional {
                Additional::Schema(value) if connect == Some("map") || objects.properties.is_empty() => {
                    let value = self.derive(value, depth + 1)?;
                    let plan = Plan::Map(Box::new(value.plan));
                    let field = ConnectField::required().of(ConnectField::within(vec![value.field]));
                    Derived { data_type: DataType::Map(Arc::new(value.data_type)), plan, field }
                }
                _ => {
                    let properties =
                        objects.properties.iter().map(|(n, id)| (n.as_str(), *id, objects.requires(n)));
                    self.properties(properties.collect(), depth)?
                }
            },
        };
        if let Some(title) = title.filter(|t| !t.starts_with(CONNECT)) {
            derived.field.semantic.get_or_insert_with(|| title.to_owned());
        }
        annotate(node, &mut derived);
        Ok(derived)
    }

    fn array(&mut self, items: NodeId, entries: bool, depth: usize) -> Result<Derived, String> {
        let of = |inner| ConnectField::required().of(ConnectField::within(vec![inner]));
        let item = self.model.node(self.model.resolved(items));
        if let (true, Kind::Object(entry)) = (entries, &item.kind)
            && let (Some(_), Some(value)) = (entry.property("key"), entry.property("value"))
        {
            let value = self.derive(value, depth + 1)?;
            let plan = Plan::Entries(Box::new(value.plan));
            return Ok(Derived {
                data_type: DataType::Map(Arc::new(value.data_type)),
                plan,
                field: of(value.field),
            });
        }
        let item = self.derive(items, depth + 1)?;
        let plan = Plan::Array(Box::new(item.plan));
        Ok(Derived { data_type: DataType::Array(Arc::new(item.data_type)), plan, field: of(item.field) })
    }

    /// An object of these: name, schema, and whether it is required.
    fn properties(
        &mut self,
        mut properties: Vec<(&'a str, NodeId, bool)>,
        depth: usize,
    ) -> Result<Derived, String> {
        let index = |id: NodeId| self.model.node(id).connect_index;
        // Where Connect has numbered all of them; else as they stand.
        if properties.iter().all(|(_, id, _)| index(*id).is_some()) {
            properties.sort_by_key(|(_, id, _)| index(*id));
        }
        let (mut fields, mut plans, mut known) = (Vec::new(), Vec::new(), Vec::new());
        for (name, id, required) in properties {
            let mut derived = self.derive(id, depth + 1).map_err(|e| format!("{name}: {e}"))?;
            derived.field.required &= required || !self.optional_unless_required;
            fields.push(Field::new(name, derived.data_type));
            plans.push((name.to_owned(), derived.plan));
            known.push(derived.field);
        }
        let field = ConnectField::required().of(known);
        Ok(Derived { data_type: DataType::Struct(fields.into()), plan: Plan::Struct(plans), field })
    }

    fn one_of(&mut self, parts: &'a [NodeId], depth: usize) -> Result<Derived, String> {
        let is_null = |id: &&NodeId| matches!(self.model.node(self.model.resolved(**id)).kind, Kind::Null);
        let null = parts.iter().any(|id| is_null(&id));
        let others: Vec<NodeId> = parts.iter().filter(|id| !is_null(id)).copied().collect();
        if let [only] = others.as_slice() {
            let mut derived = self.derive(*only, depth + 1)?;
            derived.field.required &= !null;
            return Ok(derived);
        }
        let (mut fields, mut plans, mut known) = (Vec::new(), Vec::new(), Vec::new());
        for (i, id) in others.into_iter().enumerate() {
            let derived = self.derive(id, depth + 1)?;
            fields.push(Field::new(format!("{UNION}.field.{i}"), derived.data_type));
            plans.push(derived.plan);
            known.push(ConnectField { required: false, ..derived.field });
        }
        let field = ConnectField { required: !null, ..ConnectField::default().named(UNION).of(known) };
        Ok(Derived { data_type: DataType::Struct(fields.into()), plan: Plan::Union(plans), field })
    }

    fn all_of(&mut self, parts: &'a [NodeId], depth: usize) -> Result<Derived, String> {
        let mut properties = Vec::new();
        self.collect(parts, &mut properties, 0);
        if !properties.is_empty() {
            return self.properties(properties, depth);
        }
        let find =
            |wanted: fn(&Kind) -> bool| parts.iter().copied().find(|id| wanted(&self.model.node(*id).kind));
        // A union says more than a rule beside it, and a type more than the values it is narrowed to.
        let chosen = find(|k| matches!(k, Kind::Combined(..)))
            .or_else(|| find(|k| matches!(k, Kind::Number(_) | Kind::Boolean)))
            .or_else(|| find(|k| matches!(k, Kind::String(_))))
            .or_else(|| find(|k| matches!(k, Kind::Array(_) | Kind::Object(_))))
            .or_else(|| find(|k| matches!(k, Kind::Reference(_))))
            .or_else(|| find(|k| matches!(k, Kind::Enum(_) | Kind::Const(_))));
        match chosen {
            Some(id) => self.derive(id, depth + 1),
            None => Ok(Derived::leaf(DataType::Varchar)),
        }
    }

    /// The properties of all parts; of those that are there twice the last.
    fn collect(&self, parts: &'a [NodeId], properties: &mut Vec<(&'a str, NodeId, bool)>, depth: usize) {
        if depth > MAX_DEPTH || properties.len() > MAX_TYPES {
            return;
        }
        for id in parts {
            match &self.model.node(self.model.resolved(*id)).kind {
                Kind::Combined(Criterion::All, parts) => self.collect(parts, properties, depth + 1),
                Kind::Object(objects) => {
                    for (name, id) in &objects.properties {
                        let property = (name.as_str(), *id, objects.requires(name));
                        match properties.iter_mut().find(|(known, ..)| *known == name) {
                            Some(known) => *known = property,
                            None => properties.push(property),
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// Takes in what stands beside the type: Connect's version, doc, parameters, and the default.
fn annotate(node: &Node, derived: &mut Derived) {
    let meta = &mut derived.field.meta;
    let own = node.title.as_deref().is_some_and(|t| t.starts_with(CONNECT));
    if let Some(version) = node.source.get("connect.version").and_then(Json::as_i64) {
        meta.version = i32::try_from(version).ok().filter(|v| !(own && *v == 1));
    }
    if let Some(doc) = &node.description {
        meta.doc = Some(doc.clone());
    }
    for (name, value) in node.parameters.as_ref().and_then(Json::as_object).into_iter().flatten() {
        let follows = match (&derived.data_type, name.as_str()) {
            (DataType::Decimal(_, scale), "scale") => value.as_str() == Some(&scale.to_string()),
            (DataType::Decimal(precision, _), "connect.decimal.precision") => {
                value.as_str() == Some(&precision.to_string())
            }
            _ => false,
        };
        if let (false, Some(value)) = (follows, value.as_str()) {
            meta.set_parameter(name, value);
        }
    }
    let narrow = node.connect_type.as_deref().and_then(Narrow::of);
    meta.narrow = narrow.filter(|n| n.fits(&derived.data_type)).or(meta.narrow);
    if let Some(default) = node.default.as_ref().filter(|d| !d.is_null()) {
        meta.default = read::value(&derived.plan, default).ok();
    }
}

/// Connect's bytes: themselves, or a decimal.
fn bytes(node: &Node, title: Option<&str>) -> Result<Derived, String> {
    if title.and_then(|t| t.strip_prefix(CONNECT)) != Some("Decimal") {
        return Ok(Derived::leaf(DataType::Bytes));
    }
    let parameter = |key: &str| node.parameters.as_ref().and_then(|p| p.get(key)).and_then(Json::as_str);
    let scale: i8 = parameter("scale").and_then(|s| s.parse().ok()).ok_or("a Decimal without its scale")?;
    let precision = parameter("connect.decimal.precision").and_then(|p| p.parse::<u8>().ok()).unwrap_or(38);
    let (precision, scale) = (precision.clamp(1, 38), scale.min(38));
    let mut derived = Derived::leaf(DataType::Decimal(precision, scale));
    if matches!(node.kind, Kind::String(_)) {
        derived.plan = Plan::Decimal(precision, scale);
    }
    Ok(derived)
}
