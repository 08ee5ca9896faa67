//! A schema as a `FileDescriptorProto`, in base64: what REST's `format=serialized` asks for. Custom options are not in it.

use super::ast::{
    EnumDecl, FieldDecl, Label, MessageDecl, OptionDecl, OptionValue, ProtoFile, Reserved, Service, Syntax,
    TypeDecl, TypeRef,
};
use super::descriptor::{ENUM_OPTIONS, FIELD_OPTIONS, FILE_OPTIONS, Kind, Known, MESSAGE_OPTIONS, TYPES};
use super::link::{Resolved, Types, within};
use super::wire::{put_bytes, put_varint};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The descriptor of a schema.
pub(super) fn base64_of(types: &Types) -> String {
    STANDARD.encode(file(types, &types.files[0]))
}

fn put(out: &mut Vec<u8>, number: u32, bytes: impl AsRef<[u8]>) {
    put_varint(out, u64::from(number << 3 | 2));
    put_bytes(out, bytes.as_ref());
}

fn put_number(out: &mut Vec<u8>, number: u32, value: i32) {
    put_varint(out, u64::from(number << 3));
    put_varint(out, i64::from(value) as u64);
}

fn file(types: &Types, file: &ProtoFile) -> Vec<u8> {
    let mut out = Vec::new();
    let scope = file.package.as_deref().unwrap_or("");
    put(&mut out, 1, "default");
    if !scope.is_empty() {
        put(&mut out, 2, scope);
    }
    file.imports.iter().chain(&file.public_imports).for_each(|path| put(&mut out, 3, path));
    (file.imports.len()..).zip(&file.public_imports).for_each(|(at, _)| put_number(&mut out, 10, at as i32));
    let writer = Writer { types, proto3: file.is_proto3() };
    writer.types(&mut out, (4, 5), &file.types, scope);
    file.services.iter().for_each(|s| put(&mut out, 6, writer.service(s, scope)));
    for extend in &file.extends {
        extend.fields.iter().for_each(|f| put(&mut out, 7, writer.field(f, scope, None, Some(&extend.name))));
    }
    put_options(&mut out, 8, &file.options, &FILE_OPTIONS);
    match &file.syntax {
        Some(Syntax::Proto3) => put(&mut out, 12, "proto3"),
        Some(Syntax::Edition(edition)) => {
            put(&mut out, 12, "editions");
            put_number(&mut out, 14, if edition == "2024" { 1001 } else { 1000 });
        }
        _ => {}
    }
    out
}

struct Writer<'a> {
    types: &'a Types,
    proto3: bool,
}

impl Writer<'_> {
    fn types(&self, out: &mut Vec<u8>, numbers: (u32, u32), types: &[TypeDecl], scope: &str) {
        for of in types {
            match of {
                TypeDecl::Message(m) => put(out, numbers.0, self.message(m, &within(scope, &m.name))),
                TypeDecl::Enum(e) => put(out, numbers.1, enumeration(e)),
            }
        }
    }

    fn message(&self, of: &MessageDecl, scope: &str) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, 1, &of.name);
        // `optional` of proto3 is a oneof of its own, after those that are declared.
        let mut synthetic = Vec::new();
        for field in &of.fields {
            let own = self.proto3 && field.label == Some(Label::Optional);
            if own {
                synthetic.push(format!("_{}", field.name));
            }
            let oneof = own.then(|| (of.oneofs.len() + synthetic.len() - 1, true));
            put(&mut out, 2, self.field(field, scope, oneof, None));
        }
        for (at, oneof) in of.oneofs.iter().enumerate() {
            oneof.fields.iter().for_each(|f| put(&mut out, 2, self.field(f, scope, Some((at, false)), None)));
        }
        self.types(&mut out, (3, 4), &of.types, scope);
        for field in &of.fields {
            if let TypeRef::Map(key, value) = &field.of {
                put(&mut out, 3, self.entry(&field.name, key, value, scope));
            }
        }
        for range in of.extensions.iter().flat_map(|e| &e.ranges) {
            range_of(range, 1).iter().for_each(|range| put(&mut out, 5, range));
        }
        for extend in &of.extends {
            extend
                .fields
                .iter()
                .for_each(|f| put(&mut out, 6, self.field(f, scope, None, Some(&extend.name))));
        }
        put_options(&mut out, 7, &of.options, &MESSAGE_OPTIONS);
        let names = of.oneofs.iter().map(|o| o.name.as_str()).chain(synthetic.iter().map(String::as_str));
        for name in names {
            let mut oneof = Vec::new();
            put(&mut oneof, 1, name);
            put(&mut out, 8, oneof);
        }
        put_reserved(&mut out, (9, 10), &of.reserved, 1);
        out
    }

    /// The message that a map's entries are.
    fn entry(&self, field: &str, key: &str, value: &str, scope: &str) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, 1, entry_name(field));
        for (name, of, number) in [("key", key, 1), ("value", value, 2)] {
            let of = TypeRef::Named(of.to_owned());
            let field = FieldDecl { label: None, of, name: name.to_owned(), number, options: Vec::new() };
            put(&mut out, 2, self.field(&field, scope, None, None));
        }
        put(&mut out, 7, [7 << 3, 1]);
        out
    }

    fn field(
        &self,
        of: &FieldDecl,
        scope: &str,
        oneof: Option<(usize, bool)>,
        extendee: Option<&str>,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, 1, &of.name);
        if let Some(name) = extendee {
            put(&mut out, 2, self.types.resolve(name, scope).map_or(name.to_owned(), |n| format!(".{n}")));
        }
        put_number(&mut out, 3, of.number);
        let is_map = matches!(of.of, TypeRef::Map(..));
        let label = match of.label {
            Some(Label::Repeated) => 3,
            _ if is_map => 3,
            Some(Label::Required) => 2,
            _ => 1,
        };
        put_number(&mut out, 4, label);
        let kind = |name: &str| TYPES.iter().position(|t| *t == name).unwrap_or(11) as i32;
        let (kind, type_name) = match self.types.resolved(&of.of, scope) {
            Ok(Resolved::Scalar(scalar)) => (kind(scalar.name()), None),
            Ok(Resolved::Enum(name)) => (kind("enum"), Some(name)),
            Ok(Resolved::Message(name)) => (kind("message"), Some(name)),
            Ok(Resolved::Map(..)) | Err(_) => (kind("message"), Some(within(scope, &entry_name(&of.name)))),
        };
        put_number(&mut out, 5, kind);
        if let Some(name) = type_name {
            put(&mut out, 6, format!(".{name}"));
        }
        let special = |name: &str| of.options.iter().find(|o| !o.extension && o.name == name);
        if let Some(text) = special("default").and_then(OptionDecl::text) {
            put(&mut out, 7, text);
        }
        put_options(&mut out, 8, &of.options, &FIELD_OPTIONS);
        if let Some((at, _)) = oneof {
            put_number(&mut out, 9, at as i32);
        }
        if let Some(text) = special("json_name").and_then(OptionDecl::text) {
            put(&mut out, 10, text);
        }
        if matches!(oneof, Some((_, true))) {
            put_number(&mut out, 17, 1);
        }
        out
    }

    fn service(&self, of: &Service, scope: &str) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, 1, &of.name);
        let full = |name: &String| self.types.resolve(name, scope).map_or(name.clone(), |n| format!(".{n}"));
        for rpc in &of.rpcs {
            let mut method = Vec::new();
            put(&mut method, 1, &rpc.name);
            put(&mut method, 2, full(&rpc.request.0));
            put(&mut method, 3, full(&rpc.response.0));
            for (number, stream) in [(5, rpc.request.1), (6, rpc.response.1)] {
                if stream {
                    put_number(&mut method, number, 1);
                }
            }
            put(&mut out, 2, method);
        }
        out
    }
}

/// `FooBarEntry` of the field `foo_bar`.
fn entry_name(field: &str) -> String {
    let mut name = String::new();
    for part in field.split('_') {
        let mut chars = part.chars();
        name.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        name.push_str(chars.as_str());
    }
    name + "Entry"
}

fn enumeration(of: &EnumDecl) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, 1, &of.name);
    for value in &of.values {
        let mut one = Vec::new();
        put(&mut one, 1, &value.name);
        put_number(&mut one, 2, value.number);
        put_options(&mut one, 3, &value.options, &[(1, "deprecated", Kind::Flag)]);
        put(&mut out, 2, one);
    }
    put_options(&mut out, 3, &of.options, &ENUM_OPTIONS);
    put_reserved(&mut out, (4, 5), &of.reserved, 0);
    out
}

/// From and to; the end is `beyond` beyond the last.
fn range_of(range: &Reserved, beyond: i32) -> Option<Vec<u8>> {
    let (from, to) = match range {
        Reserved::Name(_) => return None,
        Reserved::Number(number) => (*number, *number),
        Reserved::Range(from, to) => (*from, *to),
    };
    let mut out = Vec::new();
    put_number(&mut out, 1, from);
    put_number(&mut out, 2, to.saturating_add(beyond));
    Some(out)
}

fn put_reserved(out: &mut Vec<u8>, numbers: (u32, u32), reserved: &[Vec<Reserved>], beyond: i32) {
    for range in reserved.iter().flatten() {
        match range {
            Reserved::Name(name) => put(out, numbers.1, name),
            range => range_of(range, beyond).iter().for_each(|range| put(out, numbers.0, range)),
        }
    }
}

fn put_options(out: &mut Vec<u8>, number: u32, options: &[OptionDecl], known: &[Known]) {
    let mut body = Vec::new();
    for option in options {
        let found =
            known.iter().find(|(_, name, _)| *name == option.name || option.name == format!(".{name}"));
        let Some((at, _, kind)) = found else { continue };
        match (kind, option.text()) {
            (Kind::Flag, Some(text)) => put_number(&mut body, *at, i32::from(text == "true")),
            (Kind::Text, Some(text)) => put(&mut body, *at, text),
            (Kind::Names(names), Some(text)) => {
                if let Some(value) = names.iter().position(|n| *n == text) {
                    put_number(&mut body, *at, value as i32);
                }
            }
            (Kind::Meta, _) => put(&mut body, *at, meta(&option.value)),
            _ => {}
        }
    }
    if !body.is_empty() {
        put(out, number, body);
    }
}

/// `confluent.Meta` but its rules.
fn meta(value: &OptionValue) -> Vec<u8> {
    fn many(value: &OptionValue) -> Vec<&OptionValue> {
        match value {
            OptionValue::List(list) => list.iter().collect(),
            one => vec![one],
        }
    }
    let mut out = Vec::new();
    let single;
    let entries = match value {
        OptionValue::Map(entries) => entries.as_slice(),
        OptionValue::Nested(inner) => {
            single = [(inner.name.clone(), inner.value.clone())];
            &single
        }
        _ => &[],
    };
    for (key, value) in entries {
        for value in many(value) {
            match (key.as_str(), value) {
                ("doc", OptionValue::Text(text)) => put(&mut out, 1, text),
                ("tags", OptionValue::Text(text)) => put(&mut out, 3, text),
                ("params", OptionValue::Map(parts)) => {
                    let mut entry = Vec::new();
                    for (number, wanted) in [(1, "key"), (2, "value")] {
                        if let Some((_, OptionValue::Text(text))) = parts.iter().find(|(k, _)| k == wanted) {
                            put(&mut entry, number, text);
                        }
                    }
                    put(&mut out, 2, entry);
                }
                _ => {}
            }
        }
    }
    out
}
