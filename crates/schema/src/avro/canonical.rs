//! An Avro schema back to text: as Java's `Schema.toString` writes it, in Confluent's normal form, and in Avro's parsing canonical
//! form, of which the fingerprint is.

use super::model::{Id, Kind, Model, Name, Named, Node, Order, Type};
use serde_json::{Map, Value as Json};
use std::collections::HashSet;
use std::fmt::Write;

/// Confluent's `canonicalString`: types that the texts referred to declare are named, all others declared where they first stand.
pub(super) fn canonical(model: &Model) -> String {
    write(model, false)
}

/// Confluent's normal form (`normalize=true`): properties and aliases in order, numbers of defaults as of their types, empty
/// documentation left out.
pub(super) fn normalized(model: &Model) -> String {
    write(model, true)
}

/// One type, with all that it refers to.
pub(super) fn inline(model: &Model, id: Id) -> String {
    let mut writer = Writer { model, known: HashSet::new(), normal: false, out: String::new() };
    writer.node(id, None);
    writer.out
}

fn write(model: &Model, normal: bool) -> String {
    let known = model.referenced.iter().cloned().collect();
    let mut writer = Writer { model, known, normal, out: String::new() };
    writer.node(model.root, None);
    writer.out
}

struct Writer<'a> {
    model: &'a Model,
    known: HashSet<String>,
    normal: bool,
    out: String,
}

impl<'a> Writer<'a> {
    fn node(&mut self, id: Id, within: Option<&str>) {
        let node = self.model.node(id);
        match &node.kind {
            Kind::Primitive(primitive) if node.props.is_empty() => quote(&mut self.out, primitive.name()),
            Kind::Primitive(primitive) => {
                self.begin("type", primitive.name());
                self.props_of(node);
                self.out.push('}');
            }
            Kind::Array(inner) | Kind::Map(inner) => {
                let (name, key) = match node.kind {
                    Kind::Array(_) => ("array", "items"),
                    _ => ("map", "values"),
                };
                self.begin("type", name);
                self.key(key);
                self.node(*inner, within);
                self.props_of(node);
                self.out.push('}');
            }
            Kind::Union(branches) => {
                self.out.push('[');
                for (i, branch) in branches.iter().enumerate() {
                    if i > 0 {
                        self.out.push(',');
                    }
                    self.node(*branch, within);
                }
                self.out.push(']');
            }
            Kind::Record { named, .. } | Kind::Enum { named, .. } | Kind::Fixed { named, .. } => {
                self.declaration(node, named, within);
            }
            Kind::Undefined(name) => quote(&mut self.out, &name.full()),
        }
    }

    fn declaration(&mut self, node: &'a Node, named: &'a Named, within: Option<&str>) {
        if !self.known.insert(named.name.full()) {
            quote(&mut self.out, &named.name.qualified(within));
            return;
        }
        let is_error = matches!(node.kind, Kind::Record { error: true, .. });
        self.begin("type", if is_error { "error" } else { node.data_type().name() });
        self.text("name", &named.name.simple);
        match &named.name.space {
            Some(space) if Some(space.as_str()) != within => self.text("namespace", space),
            None if within.is_some() => self.text("namespace", ""),
            _ => {}
        }
        if let Some(doc) = named.doc.as_ref().filter(|doc| !self.normal || !doc.is_empty()) {
            self.text("doc", doc);
        }
        match &node.kind {
            Kind::Record { .. } => self.fields(node, named.name.space.as_deref()),
            Kind::Enum { symbols, default, .. } => {
                self.key("symbols");
                strings(&mut self.out, symbols);
                if let Some(default) = default {
                    self.text("default", default);
                }
            }
            Kind::Fixed { size, .. } => {
                self.key("size");
                let _ = write!(self.out, "{size}");
            }
            _ => {}
        }
        self.props_of(node);
        if !named.aliases.is_empty() {
            let mut aliases: Vec<&Name> = named.aliases.iter().collect();
            if self.normal {
                aliases.sort_by_key(|alias| alias.full());
            }
            let space = named.name.space.as_deref();
            let aliases: Vec<String> = aliases.iter().map(|alias| alias.qualified(space)).collect();
            self.key("aliases");
            strings(&mut self.out, &aliases);
        }
        self.out.push('}');
    }

    fn fields(&mut self, node: &'a Node, within: Option<&str>) {
        let Kind::Record { fields, .. } = &node.kind else { return };
        self.key("fields");
        self.out.push('[');
        for (i, field) in fields.iter().enumerate() {
            if i > 0 {
                self.out.push(',');
            }
            self.begin("name", &field.name);
            self.key("type");
            self.node(field.schema, within);
            if let Some(doc) = &field.doc {
                self.text("doc", doc);
            }
            let default = field.default.as_ref();
            let of_type = default.filter(|_| self.normal).and_then(|d| typed(self.model, field.schema, d));
            if let Some(default) = if self.normal { of_type.as_ref() } else { default } {
                self.key("default");
                json(&mut self.out, default, self.normal);
            }
            match field.order {
                Order::Ascending => {}
                Order::Descending => self.text("order", "descending"),
                Order::Ignore => self.text("order", "ignore"),
            }
            if !field.aliases.is_empty() {
                let mut aliases = field.aliases.clone();
                if self.normal {
                    aliases.sort();
                }
                self.key("aliases");
                strings(&mut self.out, &aliases);
            }
            let mut keys: Vec<&String> = field.props.keys().collect();
            if self.normal {
                keys.sort();
            }
            self.props(&keys, &field.props);
            self.out.push('}');
        }
        self.out.push(']');
    }

    /// The properties of a type; in the normal form those of its logical type come first.
    fn props_of(&mut self, node: &'a Node) {
        let mut keys: Vec<&String> = node.props.keys().collect();
        if self.normal {
            keys.sort();
            let first: &[&str] = match (node.logical(), node.decimal()) {
                (Some("decimal"), Some((_, 0))) => &["logicalType", "precision"],
                (Some("decimal"), _) => &["logicalType", "precision", "scale"],
                (Some(_), _) => &["logicalType"],
                (None, _) => &[],
            };
            keys.sort_by_key(|key| first.iter().position(|f| f == key).unwrap_or(first.len()));
        }
        self.props(&keys, &node.props);
    }

    fn props(&mut self, keys: &[&String], props: &Map<String, Json>) {
        for key in keys {
            self.key(key);
            json(&mut self.out, &props[key.as_str()], self.normal);
        }
    }

    fn begin(&mut self, key: &str, value: &str) {
        self.out.push('{');
        quote(&mut self.out, key);
        self.out.push(':');
        quote(&mut self.out, value);
    }

    fn key(&mut self, key: &str) {
        self.out.push(',');
        quote(&mut self.out, key);
        self.out.push(':');
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        quote(&mut self.out, value);
    }
}

/// A default as a value of its type; `None` if it is none.
fn typed(model: &Model, id: Id, value: &Json) -> Option<Json> {
    let number = |v: f64| serde_json::Number::from_f64(v).map(Json::Number);
    match (&model.node(id).kind, value) {
        (_, Json::Null) => Some(Json::Null),
        (Kind::Union(branches), value) => {
            let is_null = |id: &Id| model.node(*id).data_type() == Type::Null;
            branches.iter().filter(|of| !is_null(of)).find_map(|of| typed(model, *of, value))
        }
        (_, Json::Bool(_)) => Some(value.clone()),
        (Kind::Primitive(Type::Double), Json::Number(v)) => number(v.as_f64()?),
        // The shortest text of the float, as a double's.
        (Kind::Primitive(Type::Float), Json::Number(v)) => {
            number((v.as_f64()? as f32).to_string().parse().ok()?)
        }
        (Kind::Primitive(Type::Int | Type::Long), Json::Number(v)) => {
            (v.is_i64() || v.is_u64()).then(|| value.clone())
        }
        (Kind::Primitive(Type::Float | Type::Double | Type::String | Type::Bytes), Json::String(_))
        | (Kind::Enum { .. } | Kind::Fixed { .. }, Json::String(_)) => Some(value.clone()),
        (Kind::Array(item), Json::Array(items)) => {
            Some(items.iter().map(|v| typed(model, *item, v).unwrap_or(Json::Null)).collect())
        }
        (Kind::Map(of), Json::Object(entries)) => {
            let typed = |v| typed(model, *of, v).unwrap_or(Json::Null);
            Some(entries.iter().map(|(k, v)| (k.clone(), typed(v))).collect())
        }
        (Kind::Record { fields, .. }, Json::Object(entries)) => {
            let of = |k: &str| fields.iter().find(|f| f.name == k).map(|f| f.schema);
            let typed = |k: &str, v: &Json| of(k).and_then(|id| typed(model, id, v)).unwrap_or(Json::Null);
            Some(entries.iter().map(|(k, v)| (k.clone(), typed(k, v))).collect())
        }
        _ => None,
    }
}

fn strings(out: &mut String, all: &[String]) {
    out.push('[');
    for (i, text) in all.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        quote(out, text);
    }
    out.push(']');
}

/// A JSON string with Jackson's escapes.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            // Writing to a string cannot fail.
            c if c < ' ' => drop(write!(out, "\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn json(out: &mut String, value: &Json, sorted: bool) {
    match value {
        Json::String(text) => quote(out, text),
        Json::Number(number) => match number.as_f64() {
            Some(value) if number.is_f64() => double(out, value),
            _ => drop(write!(out, "{number}")),
        },
        Json::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                json(out, item, sorted);
            }
            out.push(']');
        }
        Json::Object(entries) => {
            let mut all: Vec<(&String, &Json)> = entries.iter().collect();
            if sorted {
                all.sort_by_key(|(key, _)| *key);
            }
            out.push('{');
            for (i, (key, item)) in all.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                quote(out, key);
                out.push(':');
                json(out, item, sorted);
            }
            out.push('}');
        }
        other => drop(write!(out, "{other}")),
    }
}

/// A double as Java's `Double.toString` writes it.
fn double(out: &mut String, value: f64) {
    let size = value.abs();
    let text = if size == 0.0 || (1e-3..1e7).contains(&size) {
        format!("{value:?}")
    } else {
        let text = format!("{value:E}");
        match text.split_once('E') {
            Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
            _ => text,
        }
    };
    out.push_str(&text);
}

/// Avro's parsing canonical form: full names, and only what a reader needs.
pub(super) fn parsing_form(model: &Model) -> String {
    let (mut out, mut known) = (String::new(), HashSet::new());
    parsing(model, model.root, &mut known, &mut out);
    out
}

fn parsing(model: &Model, id: Id, known: &mut HashSet<String>, out: &mut String) {
    let node = model.node(id);
    match &node.kind {
        Kind::Primitive(primitive) => quote(out, primitive.name()),
        Kind::Array(inner) | Kind::Map(inner) => {
            let of_array = matches!(node.kind, Kind::Array(_));
            out.push_str(if of_array { r#"{"type":"array","items":"# } else { r#"{"type":"map","values":"# });
            parsing(model, *inner, known, out);
            out.push('}');
        }
        Kind::Union(branches) => {
            out.push('[');
            for (i, branch) in branches.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                parsing(model, *branch, known, out);
            }
            out.push(']');
        }
        Kind::Undefined(name) => quote(out, &name.full()),
        Kind::Record { named, .. } | Kind::Enum { named, .. } | Kind::Fixed { named, .. } => {
            let full = named.name.full();
            if known.contains(&full) {
                quote(out, &full);
                return;
            }
            out.push_str("{\"name\":");
            quote(out, &full);
            known.insert(full);
            out.push_str(",\"type\":");
            quote(out, node.data_type().name());
            match &node.kind {
                Kind::Enum { symbols, .. } => {
                    out.push_str(",\"symbols\":");
                    strings(out, symbols);
                }
                Kind::Fixed { size, .. } => drop(write!(out, ",\"size\":{size}")),
                Kind::Record { fields, .. } => {
                    out.push_str(",\"fields\":[");
                    for (i, field) in fields.iter().enumerate() {
                        if i > 0 {
                            out.push(',');
                        }
                        out.push_str("{\"name\":");
                        quote(out, &field.name);
                        out.push_str(",\"type\":");
                        parsing(model, field.schema, known, out);
                        out.push('}');
                    }
                    out.push(']');
                }
                _ => {}
            }
            out.push('}');
        }
    }
}

/// The CRC-64-AVRO fingerprint of the parsing canonical form; single-object encoding writes it least byte first.
pub(super) fn fingerprint(model: &Model) -> u64 {
    const EMPTY: u64 = 0xc15d_213a_a4d7_a795;
    let mut crc = EMPTY;
    for byte in parsing_form(model).bytes() {
        let mut entry = (crc ^ u64::from(byte)) & 0xff;
        for _ in 0..8 {
            entry = (entry >> 1) ^ (EMPTY & (entry & 1).wrapping_neg());
        }
        crc = (crc >> 8) ^ entry;
    }
    crc
}
