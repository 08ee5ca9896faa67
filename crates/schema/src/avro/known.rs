//! What an Avro declaration says beyond the types: which fields are required, and Connect's metadata (`connect.*`), read as Confluent's
//! converter reads it.
//!
//! It is read from the text: the parser drops it.

use super::derive::branch_name_of;
use crate::connect::{ConnectField, ConnectMeta, Narrow};
use crate::numeric::of_big_integer;
use crate::{DataType, Field, Value};
use serde_json::{Map, Value as Json};
use std::collections::HashMap;

/// Confluent's names of parameters.
pub(super) const RECORD_DOC: &str = "io.confluent.connect.avro.record.doc";
pub(super) const FIELD_DOC: &str = "io.confluent.connect.avro.field.doc.";
/// Its default is the field's in Avro, not `connect.default`.
pub(super) const FIELD_DEFAULT: &str = "io.confluent.connect.avro.field.default";
pub(super) const FIXED_SIZE: &str = "connect.fixed.size";
pub(super) const PRECISION: &str = "connect.decimal.precision";
const ENUM: &str = "io.confluent.connect.avro.Enum";
const ENUM_DOC: &str = "io.confluent.connect.avro.enum.doc.";
const ENUM_DEFAULT: &str = "io.confluent.connect.avro.enum.default.";
/// The name of a struct that is a union.
pub(super) const UNION: &str = "io.confluent.connect.avro.Union";
/// Names of Connect's own types begin so; they are told by the type.
pub(super) const LOGICAL: &str = "org.apache.kafka.connect.data.";
/// Confluent's names of what has none.
const NAMELESS: &str = "io.confluent.connect.avro.ConnectDefault";

/// The text's named types by their full names.
pub(super) struct Declared<'a>(HashMap<String, &'a Json>);

fn text<'a>(json: &'a Json, key: &str) -> &'a str {
    json.get(key).and_then(Json::as_str).unwrap_or_default()
}

/// The full name of a type, and the namespace that holds within it.
fn full_name(name: &str, namespace: &str) -> (String, String) {
    match name.rsplit_once('.') {
        Some((namespace, _)) => (name.to_owned(), namespace.to_owned()),
        None if namespace.is_empty() => (name.to_owned(), String::new()),
        None => (format!("{namespace}.{name}"), namespace.to_owned()),
    }
}

fn name_of(of: &Json, within: &str) -> (String, String) {
    let namespace = of.get("namespace").and_then(Json::as_str).unwrap_or(within);
    full_name(text(of, "name"), namespace)
}

/// The one branch beside null; others are themselves.
pub(super) fn json_not_null(json: &Json) -> &Json {
    let Some(branches) = json.as_array() else { return json };
    let mut branches = branches.iter().filter(|b| b.as_str() != Some("null"));
    match (branches.next(), branches.next()) {
        (Some(one), None) => one,
        _ => json,
    }
}

impl<'a> Declared<'a> {
    pub(super) fn of(json: &'a Json) -> Self {
        let mut declared = Self(HashMap::new());
        declared.collect(json, "");
        declared
    }

    fn collect(&mut self, json: &'a Json, within: &str) {
        match json {
            Json::Array(branches) => branches.iter().for_each(|b| self.collect(b, within)),
            Json::Object(object) => {
                let mut within = within.to_owned();
                if ["fields", "symbols", "size"].iter().any(|key| object.contains_key(*key)) {
                    let (name, namespace) = name_of(json, &within);
                    self.0.entry(name).or_insert(json);
                    within = namespace;
                }
                let fields = object.get("fields").and_then(Json::as_array).into_iter().flatten();
                fields.filter_map(|f| f.get("type")).for_each(|t| self.collect(t, &within));
                let inner = ["type", "items", "values"].iter().filter_map(|key| object.get(*key));
                inner.for_each(|inner| self.collect(inner, &within));
            }
            _ => {}
        }
    }

    /// What a type's name or its `{"type": {..}}` stands for, and the namespace where it stands.
    fn resolved(&self, json: &'a Json, within: &str) -> (&'a Json, String) {
        match json {
            Json::String(name) => {
                let (full, namespace) = full_name(name, within);
                self.0.get(&full).map_or((json, within.to_owned()), |of| (*of, namespace))
            }
            Json::Object(object) => match object.get("type") {
                Some(of @ (Json::Object(_) | Json::Array(_))) => self.resolved(of, within),
                Some(of @ Json::String(name))
                    if object.len() == 1 || self.0.contains_key(&full_name(name, within).0) =>
                {
                    self.resolved(of, within)
                }
                _ => (json, within.to_owned()),
            },
            _ => (json, within.to_owned()),
        }
    }

    /// What is known of the record that a declaration is: its name, its metadata, and what is known of its columns.
    pub(super) fn root(&self, json: &'a Json, columns: &[Field]) -> (String, ConnectMeta, Vec<ConnectField>) {
        let (record, within) = self.resolved(json_not_null(json), "");
        let known = self.record(record, &within, columns);
        (known.semantic.unwrap_or_default(), known.meta, known.fields)
    }

    /// What is known of values of a type, with a default where the field has one.
    pub(super) fn field(
        &self,
        declared: &'a Json,
        default: Option<&Json>,
        within: &str,
        data_type: &DataType,
    ) -> ConnectField {
        let is_null = |b: &Json| b.as_str() == Some("null");
        let required = !is_null(declared) && !declared.as_array().is_some_and(|u| u.iter().any(is_null));
        let (of, within) = self.resolved(json_not_null(declared), within);
        let mut known = match (of, data_type) {
            (Json::Array(branches), DataType::Struct(columns)) => self.union(branches, &within, columns),
            (Json::Object(object), DataType::Struct(columns)) if object.contains_key("fields") => {
                let mut known = self.record(of, &within, columns);
                known.fields = ConnectField::within(known.fields);
                known
            }
            (Json::Object(object), _) => self.simple(of, object, &within, data_type),
            (Json::String(name), DataType::Double) if name == "float" => ConnectField {
                meta: ConnectMeta { narrow: Some(Narrow::Float32), ..ConnectMeta::default() },
                ..ConnectField::default()
            },
            _ => ConnectField::default(),
        };
        known.required = required;
        let of_type = of.get("connect.default");
        let default = default.filter(|d| !d.is_null()).or(of_type);
        known.meta.default = default.and_then(|d| self.value(d, of, &within, data_type));
        if known.meta.default.is_some() && of_type.is_none() {
            known.meta.set_parameter(FIELD_DEFAULT, "true");
        }
        known
    }

    fn record(&self, record: &'a Json, within: &str, columns: &[Field]) -> ConnectField {
        let (name, namespace) = name_of(record, within);
        let fields = record.get("fields").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        let declared: HashMap<&str, &'a Json> = fields.iter().map(|f| (text(f, "name"), f)).collect();
        let field = |column: &Field| {
            let declared = declared.get(column.name.as_str());
            let known = declared.and_then(|f| {
                let mut known = self.field(f.get("type")?, f.get("default"), &namespace, &column.data_type);
                // A type that is named a second time has the parameters of the place where it stands.
                parameters(&mut known.meta, f.get("connect.parameters"));
                Some(known)
            });
            known.unwrap_or_default()
        };
        let fields_known = columns.iter().map(field).collect();
        let mut meta = ConnectMeta::default();
        if let Some(doc) = record.get("doc").and_then(Json::as_str) {
            meta.set_parameter(RECORD_DOC, doc);
        }
        for (name, field) in fields.iter().map(|f| (text(f, "name"), f)) {
            if let Some(doc) = field.get("doc").and_then(Json::as_str) {
                meta.set_parameter(&format!("{FIELD_DOC}{name}"), doc);
            }
        }
        connect(&mut meta, record);
        let name = record.get("connect.name").and_then(Json::as_str).map_or(name, str::to_owned);
        ConnectField { required: true, semantic: Some(name), fields: fields_known, meta }
    }

    fn union(&self, branches: &'a [Json], within: &str, columns: &[Field]) -> ConnectField {
        let branch = |column: &Field| {
            let of = branches
                .iter()
                .map(|b| self.resolved(b, within))
                .find(|(b, _)| branch_name_of(b) == column.name);
            let known = of.map(|(b, within)| self.field(b, None, &within, &column.data_type));
            ConnectField { required: false, ..known.unwrap_or_default() }
        };
        ConnectField::default().named(UNION).of(columns.iter().map(branch).collect())
    }

    fn simple(
        &self,
        of: &'a Json,
        object: &'a Map<String, Json>,
        within: &str,
        data_type: &DataType,
    ) -> ConnectField {
        let mut known = ConnectField::default();
        let kind = text(of, "type");
        let inner = match data_type {
            DataType::Array(inner) => object.get("items").map(|items| (items, inner)),
            DataType::Map(inner) => {
                let value = |entry: &'a Json| {
                    let fields = self.resolved(entry, within).0.get("fields").and_then(Json::as_array);
                    fields?.get(1)?.get("type")
                };
                let values = object.get("values").or_else(|| object.get("items").and_then(value));
                values.map(|values| (values, inner))
            }
            _ => None,
        };
        if let Some((declared, inner)) = inner {
            known.fields = ConnectField::within(vec![self.field(declared, None, within, inner)]);
        }
        match kind {
            "enum" => self.enumeration(of, within, &mut known),
            "fixed" if *data_type == DataType::Bytes && !object.contains_key("logicalType") => {
                known.semantic = Some(name_of(of, within).0);
                let size = object.get("size").map(Json::to_string).unwrap_or_default();
                known.meta.set_parameter(FIXED_SIZE, size);
            }
            "float" => known.meta.narrow = Some(Narrow::Float32),
            _ => {
                let narrow = object.get("connect.type").and_then(Json::as_str).and_then(Narrow::of);
                known.meta.narrow = narrow.filter(|n| n.fits(data_type));
            }
        }
        connect(&mut known.meta, of);
        if let DataType::Decimal(precision, scale) = data_type {
            let follows = |(name, value): &(String, String)| match name.as_str() {
                "scale" => *value == scale.to_string(),
                PRECISION => *value == precision.to_string(),
                _ => false,
            };
            known.meta.parameters.retain(|parameter| !follows(parameter));
        }
        if let Some(name) = object.get("connect.name").and_then(Json::as_str) {
            let own = name.starts_with(LOGICAL);
            known.semantic = (!own && !name.starts_with(NAMELESS)).then(|| name.to_owned());
            if own && known.meta.version == Some(1) {
                known.meta.version = None;
            }
        }
        known
    }

    /// A string, by whose parameters the enum is known.
    fn enumeration(&self, of: &Json, within: &str, known: &mut ConnectField) {
        let (full, _) = name_of(of, within);
        let simple = full.rsplit('.').next().unwrap_or_default();
        for (key, prefix) in [("doc", ENUM_DOC), ("default", ENUM_DEFAULT)] {
            if let Some(value) = of.get(key).and_then(Json::as_str) {
                known.meta.set_parameter(&format!("{prefix}{simple}"), value);
            }
        }
        known.meta.set_parameter(ENUM, full.as_str());
        let symbols = of.get("symbols").and_then(Json::as_array).into_iter().flatten();
        for symbol in symbols.filter_map(Json::as_str) {
            known.meta.set_parameter(&format!("{ENUM}.{symbol}"), symbol);
        }
        known.semantic = Some(full);
    }

    /// The value of a default; `None` where it does not fit.
    fn value(&self, json: &Json, of: &'a Json, within: &str, data_type: &DataType) -> Option<Value> {
        let logical = text(of, "logicalType");
        let whole = || json.as_i64();
        let unit = || match logical.rsplit('-').next() {
            Some("micros") => 1000,
            Some("nanos") => 1_000_000,
            _ => 1,
        };
        let int = |n: i64| i32::try_from(n).ok();
        Some(match data_type {
            DataType::Boolean => Value::Boolean(json.as_bool()?),
            DataType::Integer => Value::Integer(int(whole()?)?),
            DataType::BigInt => Value::BigInt(whole()?),
            DataType::Double => Value::Double(json.as_f64().or_else(|| json.as_str()?.parse().ok())?),
            DataType::Decimal(..) => {
                let bytes = latin(json.as_str().filter(|text| !text.is_empty())?)?;
                Value::Decimal(of_big_integer(&bytes)?)
            }
            DataType::Varchar => Value::Varchar(json.as_str()?.to_owned()),
            DataType::Bytes => Value::Bytes(latin(json.as_str()?)?),
            DataType::Date => Value::Date(int(whole()?)?),
            DataType::Time => Value::Time(int(whole()? / unit())?),
            DataType::Timestamp => Value::Timestamp(whole()?.div_euclid(unit())),
            DataType::Array(inner) => {
                let items = of.get("items")?;
                let item = |json: &Json| self.element(json, items, within, inner);
                Value::Array(json.as_array()?.iter().map(item).collect::<Option<_>>()?)
            }
            DataType::Map(inner) => {
                let values = of.get("values")?;
                let entry = |(key, json): (&String, &Json)| {
                    Some((key.clone(), self.element(json, values, within, inner)?))
                };
                Value::Map(json.as_object()?.iter().map(entry).collect::<Option<_>>()?)
            }
            DataType::Struct(columns) => {
                let (_, namespace) = name_of(of, within);
                let fields = of.get("fields")?.as_array()?;
                let members = json.as_object()?;
                let column = |column: &Field| {
                    let field = fields.iter().find(|f| text(f, "name") == column.name)?;
                    let json = members.get(&column.name).or_else(|| field.get("default"))?;
                    self.element(json, field.get("type")?, &namespace, &column.data_type)
                };
                Value::Struct(columns.iter().map(column).collect::<Option<_>>()?)
            }
        })
    }

    /// A value within a default.
    fn element(&self, json: &Json, declared: &'a Json, within: &str, data_type: &DataType) -> Option<Value> {
        if json.is_null() {
            return Some(Value::Null);
        }
        let (of, within) = self.resolved(json_not_null(declared), within);
        self.value(json, of, &within, data_type)
    }
}

/// `connect.version`, `connect.doc`, `connect.parameters`.
fn connect(meta: &mut ConnectMeta, of: &Json) {
    let version = of.get("connect.version").and_then(Json::as_i64);
    meta.version = version.and_then(|v| i32::try_from(v).ok());
    meta.doc = of.get("connect.doc").and_then(Json::as_str).map(str::to_owned);
    parameters(meta, of.get("connect.parameters"));
}

fn parameters(meta: &mut ConnectMeta, of: Option<&Json>) {
    for (name, value) in of.and_then(Json::as_object).into_iter().flatten() {
        if let Some(value) = value.as_str() {
            meta.set_parameter(name, value);
        }
    }
}

/// Bytes as JSON writes them: a character for each.
pub(super) fn latin(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}
