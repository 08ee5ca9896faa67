//! Schemas that come as a `FileDescriptorProto` in base64, as some clients register them, instead of as a text.

use super::ast::{
    EnumDecl, EnumValue, Extensions, FieldDecl, Label, MessageDecl, OneofDecl, OptionDecl, OptionValue,
    ProtoFile, Reserved, Rpc, Service, Syntax, TypeDecl, TypeRef,
};
use super::cursor::MAX_NESTING;
use super::parser::{self, MAX_NUMBER};
use super::wire::{Raw, Wire};
use crate::definition::InvalidSchema;
use crate::failure::{Failure, Fallible};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The file of a `.proto` text or of a descriptor in base64.
pub(super) fn file_of(text: &str) -> Result<ProtoFile, InvalidSchema> {
    parser::parse(text).or_else(|error| {
        let bytes = STANDARD.decode(text.trim()).ok().filter(|bytes| !bytes.is_empty());
        let bytes = bytes.ok_or(error)?;
        file(&bytes).map_err(|e| InvalidSchema(format!("no FileDescriptorProto: {}", e.reason())))
    })
}

fn text(raw: Raw<'_>) -> Fallible<String> {
    match raw {
        Raw::Bytes(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|_| Failure::new("a name that is no UTF-8"))?;
            Ok(text.to_owned())
        }
        _ => Err(Failure::new("a name that is no string")),
    }
}

fn bytes(raw: Raw<'_>) -> Fallible<&[u8]> {
    match raw {
        Raw::Bytes(bytes) => Ok(bytes),
        _ => Err(Failure::new("a message that is none")),
    }
}

fn number(raw: Raw<'_>) -> Fallible<i32> {
    match raw {
        Raw::Varint(value) => Ok(value as i32),
        _ => Err(Failure::new("a number that is none")),
    }
}

/// Calls `each` with every field of a message.
fn fields<'a>(bytes: &'a [u8], mut each: impl FnMut(u32, Raw<'a>) -> Fallible<()>) -> Fallible<()> {
    let mut wire = Wire::new(bytes);
    while !wire.is_empty() {
        let (number, raw) = wire.field()?;
        each(number, raw)?;
    }
    Ok(())
}

fn file(from: &[u8]) -> Fallible<ProtoFile> {
    let mut file = ProtoFile::default();
    let (mut public, mut syntax, mut edition) = (Vec::new(), None, 0);
    // What follows may need the syntax, which comes late.
    fields(from, |at, raw| {
        match at {
            12 => syntax = Some(text(raw)?),
            14 => edition = number(raw)?,
            _ => {}
        }
        Ok(())
    })?;
    file.syntax = match (syntax.as_deref(), edition) {
        (Some("proto3"), _) => Some(Syntax::Proto3),
        (Some("editions"), 1000) => Some(Syntax::Edition("2023".into())),
        (Some("editions"), 1001) => Some(Syntax::Edition("2024".into())),
        (None | Some("" | "proto2"), _) => Some(Syntax::Proto2),
        (Some(other), _) => return Err(Failure::new(format!("unknown syntax \"{other}\""))),
    };
    let reader = Reader { proto3: file.is_proto3() };
    let (mut messages, mut enums, mut extensions) = (Vec::new(), Vec::new(), Vec::new());
    fields(from, |at, raw| {
        match at {
            2 => file.package = Some(text(raw)?).filter(|p| !p.is_empty()),
            3 => file.imports.push(text(raw)?),
            4 => messages.push(TypeDecl::Message(reader.message(bytes(raw)?, 0)?)),
            5 => enums.push(TypeDecl::Enum(enumeration(bytes(raw)?)?)),
            6 => file.services.push(service(bytes(raw)?)?),
            7 => extensions.push(reader.extension(bytes(raw)?)?),
            8 => file.options = options(bytes(raw)?, &FILE_OPTIONS)?,
            10 => public.push(number(raw)?),
            _ => {}
        }
        Ok(())
    })?;
    for at in public {
        if let Some(path) = usize::try_from(at).ok().and_then(|at| file.imports.get(at)) {
            file.public_imports.push(path.clone());
        }
    }
    file.imports.retain(|path| !file.public_imports.contains(path));
    file.types = messages;
    file.types.extend(enums);
    for (extendee, field) in extensions {
        file.extends.push(super::ast::Extend { name: extendee, fields: vec![field] });
    }
    Ok(file)
}

struct Reader {
    proto3: bool,
}

pub(super) const TYPES: [&str; 19] = [
    "", "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string", "group",
    "message", "bytes", "uint32", "enum", "sfixed32", "sfixed64", "sint32", "sint64",
];

impl Reader {
    fn message(&self, from: &[u8], depth: usize) -> Fallible<MessageDecl> {
        if depth > MAX_NESTING {
            return Err(Failure::new(format!("messages nested more than {MAX_NESTING} levels deep")));
        }
        let mut message = MessageDecl::default();
        let (mut members, mut enums, mut extensions) = (Vec::new(), Vec::new(), Vec::new());
        let (mut ranges, mut names) = (Vec::new(), Vec::new());
        fields(from, |at, raw| {
            match at {
                1 => message.name = text(raw)?,
                2 => members.push(self.field(bytes(raw)?)?),
                3 => message.types.push(TypeDecl::Message(self.message(bytes(raw)?, depth + 1)?)),
                4 => enums.push(TypeDecl::Enum(enumeration(bytes(raw)?)?)),
                5 => {
                    let range = range(bytes(raw)?, 1)?;
                    message.extensions.push(Extensions { ranges: vec![range], options: Vec::new() });
                }
                6 => extensions.push(self.extension(bytes(raw)?)?),
                7 => message.options = options(bytes(raw)?, &MESSAGE_OPTIONS)?,
                8 => message.oneofs.push(OneofDecl { name: name(bytes(raw)?)?, ..OneofDecl::default() }),
                9 => ranges.push(range(bytes(raw)?, 1)?),
                10 => names.push(Reserved::Name(text(raw)?)),
                _ => {}
            }
            Ok(())
        })?;
        for Member { mut field, oneof, synthetic } in members {
            match oneof.and_then(|at| message.oneofs.get_mut(at)).filter(|_| !synthetic) {
                Some(oneof) => {
                    field.label = None;
                    oneof.fields.push(field);
                }
                None => message.fields.push(field),
            }
        }
        message.oneofs.retain(|o| !o.fields.is_empty());
        message.types.extend(enums);
        message.reserved.extend([ranges, names].into_iter().filter(|r| !r.is_empty()));
        for (extendee, field) in extensions {
            message.extends.push(super::ast::Extend { name: extendee, fields: vec![field] });
        }
        Ok(message)
    }

    fn extension(&self, from: &[u8]) -> Fallible<(String, FieldDecl)> {
        let mut extendee = String::new();
        fields(from, |at, raw| {
            if at == 2 {
                extendee = text(raw)?;
            }
            Ok(())
        })?;
        Ok((extendee, self.field(from)?.field))
    }

    fn field(&self, from: &[u8]) -> Fallible<Member> {
        let (mut name, mut at_number, mut label, mut kind) = (String::new(), 0, 0, 0);
        let (mut type_name, mut oneof, mut synthetic) = (None, None, false);
        let (mut all, mut default, mut json_name) = (Vec::new(), None, None);
        fields(from, |at, raw| {
            match at {
                1 => name = text(raw)?,
                3 => at_number = number(raw)?,
                4 => label = number(raw)?,
                5 => kind = number(raw)?,
                6 => type_name = Some(text(raw)?),
                7 => default = Some(text(raw)?),
                8 => all = options(bytes(raw)?, &FIELD_OPTIONS)?,
                9 => oneof = usize::try_from(number(raw)?).ok(),
                10 => json_name = Some(text(raw)?),
                17 => synthetic = number(raw)? != 0,
                _ => {}
            }
            Ok(())
        })?;
        let known = usize::try_from(kind).ok().and_then(|kind| TYPES.get(kind)).copied().unwrap_or("");
        let of = match (type_name, known) {
            (_, "group") => return Err(Failure::new(format!("field {name} is a group, which is not read"))),
            (Some(name), _) => name,
            (None, "" | "message" | "enum") => {
                return Err(Failure::new(format!("field {name} has no type")));
            }
            (None, scalar) => scalar.to_owned(),
        };
        if let Some(default) = default.filter(|_| !self.proto3) {
            let value = match known {
                "string" | "bytes" => OptionValue::Text(default),
                _ => OptionValue::Word(default),
            };
            all.push(OptionDecl { name: "default".into(), extension: false, value });
        }
        if let Some(json) = json_name {
            all.push(OptionDecl {
                name: "json_name".into(),
                extension: false,
                value: OptionValue::Text(json),
            });
        }
        let label = match label {
            3 => Some(Label::Repeated),
            _ if synthetic => Some(Label::Optional),
            _ if self.proto3 => None,
            2 => Some(Label::Required),
            _ => Some(Label::Optional),
        };
        let field = FieldDecl { label, of: TypeRef::Named(of), name, number: at_number, options: all };
        Ok(Member { field, oneof, synthetic })
    }
}

struct Member {
    field: FieldDecl,
    oneof: Option<usize>,
    /// Its oneof stands only for `optional`.
    synthetic: bool,
}

fn name(from: &[u8]) -> Fallible<String> {
    let mut name = String::new();
    fields(from, |at, raw| {
        if at == 1 {
            name = text(raw)?;
        }
        Ok(())
    })?;
    Ok(name)
}

/// A range from field 1 to field 2, whose end is `beyond` beyond the last.
fn range(from: &[u8], beyond: i32) -> Fallible<Reserved> {
    let (mut start, mut end) = (0, 0);
    fields(from, |at, raw| {
        match at {
            1 => start = number(raw)?,
            2 => end = number(raw)?,
            _ => {}
        }
        Ok(())
    })?;
    let last = end.saturating_sub(beyond).min(MAX_NUMBER);
    Ok(if last == start { Reserved::Number(start) } else { Reserved::Range(start, last) })
}

fn enumeration(from: &[u8]) -> Fallible<EnumDecl> {
    let mut of = EnumDecl::default();
    let (mut ranges, mut names) = (Vec::new(), Vec::new());
    fields(from, |at, raw| {
        match at {
            1 => of.name = text(raw)?,
            2 => of.values.push(enum_value(bytes(raw)?)?),
            3 => of.options = options(bytes(raw)?, &ENUM_OPTIONS)?,
            4 => ranges.push(range(bytes(raw)?, 0)?),
            5 => names.push(Reserved::Name(text(raw)?)),
            _ => {}
        }
        Ok(())
    })?;
    of.reserved.extend([ranges, names].into_iter().filter(|r| !r.is_empty()));
    Ok(of)
}

fn enum_value(from: &[u8]) -> Fallible<EnumValue> {
    let mut value = EnumValue { name: String::new(), number: 0, options: Vec::new() };
    fields(from, |at, raw| {
        match at {
            1 => value.name = text(raw)?,
            2 => value.number = number(raw)?,
            3 => value.options = options(bytes(raw)?, &[(1, "deprecated", Kind::Flag)])?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(value)
}

fn service(from: &[u8]) -> Fallible<Service> {
    let mut service = Service::default();
    fields(from, |at, raw| {
        match at {
            1 => service.name = text(raw)?,
            2 => service.rpcs.push(rpc(bytes(raw)?)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(service)
}

fn rpc(from: &[u8]) -> Fallible<Rpc> {
    let none = || (String::new(), false);
    let mut rpc = Rpc { name: String::new(), request: none(), response: none(), options: Vec::new() };
    fields(from, |at, raw| {
        match at {
            1 => rpc.name = text(raw)?,
            2 => rpc.request.0 = text(raw)?,
            3 => rpc.response.0 = text(raw)?,
            5 => rpc.request.1 = number(raw)? != 0,
            6 => rpc.response.1 = number(raw)? != 0,
            _ => {}
        }
        Ok(())
    })?;
    Ok(rpc)
}

/// How an option's value is written.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Flag,
    Text,
    Names(&'static [&'static str]),
    /// `confluent.Meta`, an extension.
    Meta,
}

pub(super) type Known = (u32, &'static str, Kind);

pub(super) const FILE_OPTIONS: [Known; 17] = [
    (1, "java_package", Kind::Text),
    (8, "java_outer_classname", Kind::Text),
    (10, "java_multiple_files", Kind::Flag),
    (27, "java_string_check_utf8", Kind::Flag),
    (9, "optimize_for", Kind::Names(&["", "SPEED", "CODE_SIZE", "LITE_RUNTIME"])),
    (11, "go_package", Kind::Text),
    (16, "cc_generic_services", Kind::Flag),
    (17, "java_generic_services", Kind::Flag),
    (18, "py_generic_services", Kind::Flag),
    (23, "deprecated", Kind::Flag),
    (31, "cc_enable_arenas", Kind::Flag),
    (36, "objc_class_prefix", Kind::Text),
    (37, "csharp_namespace", Kind::Text),
    (39, "swift_prefix", Kind::Text),
    (41, "php_namespace", Kind::Text),
    (45, "ruby_package", Kind::Text),
    (1088, "confluent.file_meta", Kind::Meta),
];
pub(super) const MESSAGE_OPTIONS: [Known; 4] = [
    (2, "no_standard_descriptor_accessor", Kind::Flag),
    (3, "deprecated", Kind::Flag),
    (7, "map_entry", Kind::Flag),
    (1088, "confluent.message_meta", Kind::Meta),
];
pub(super) const FIELD_OPTIONS: [Known; 5] = [
    (1, "ctype", Kind::Names(&["STRING", "CORD", "STRING_PIECE"])),
    (2, "packed", Kind::Flag),
    (6, "jstype", Kind::Names(&["JS_NORMAL", "JS_STRING", "JS_NUMBER"])),
    (3, "deprecated", Kind::Flag),
    (1088, "confluent.field_meta", Kind::Meta),
];
pub(super) const ENUM_OPTIONS: [Known; 3] = [
    (2, "allow_alias", Kind::Flag),
    (3, "deprecated", Kind::Flag),
    (1088, "confluent.enum_meta", Kind::Meta),
];

fn options(from: &[u8], known: &[Known]) -> Fallible<Vec<OptionDecl>> {
    let mut options = Vec::new();
    fields(from, |at, raw| {
        let Some((_, name, kind)) = known.iter().find(|(number, ..)| *number == at) else { return Ok(()) };
        let value = match kind {
            Kind::Flag => OptionValue::Word((number(raw)? != 0).to_string()),
            Kind::Text => OptionValue::Text(text(raw)?),
            Kind::Names(names) => {
                let at = usize::try_from(number(raw)?).ok();
                OptionValue::Word(at.and_then(|at| names.get(at)).copied().unwrap_or("").to_owned())
            }
            Kind::Meta => OptionValue::Map(meta(bytes(raw)?)?),
        };
        options.push(OptionDecl { name: (*name).to_owned(), extension: matches!(kind, Kind::Meta), value });
        Ok(())
    })?;
    Ok(options)
}

fn meta(from: &[u8]) -> Fallible<Vec<(String, OptionValue)>> {
    let (mut doc, mut params, mut tags) = (None, Vec::new(), Vec::new());
    fields(from, |at, raw| {
        match at {
            1 => doc = Some(text(raw)?),
            2 => {
                let (mut key, mut value) = (String::new(), String::new());
                fields(bytes(raw)?, |at, raw| {
                    match at {
                        1 => key = text(raw)?,
                        2 => value = text(raw)?,
                        _ => {}
                    }
                    Ok(())
                })?;
                let entry = |name: &str, text| (name.to_owned(), OptionValue::Text(text));
                params.push(OptionValue::Map(vec![entry("key", key), entry("value", value)]));
            }
            3 => tags.push(OptionValue::Text(text(raw)?)),
            _ => {}
        }
        Ok(())
    })?;
    let mut entries = Vec::new();
    entries.extend(doc.map(|doc| ("doc".to_owned(), OptionValue::Text(doc))));
    for (name, list) in [("params", params), ("tags", tags)] {
        if !list.is_empty() {
            entries.push((name.to_owned(), OptionValue::List(list)));
        }
    }
    Ok(entries)
}
