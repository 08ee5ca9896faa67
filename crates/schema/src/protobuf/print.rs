//! A `.proto` file as Confluent's registry writes it: its `canonicalString`.

use super::ast::{
    EnumDecl, Extend, Extensions, FieldDecl, GroupDecl, MessageDecl, OneofDecl, OptionDecl, OptionValue,
    ProtoFile, Reserved, Rpc, Service, Syntax, TypeDecl, TypeRef, option,
};
use super::parser::MAX_NUMBER;
use std::fmt;

/// Lines with their indentation.
struct Lines {
    out: String,
    depth: usize,
}

impl Lines {
    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Values of options may be of several lines.
        for part in line.to_string().split('\n') {
            (0..self.depth).for_each(|_| self.out.push_str("  "));
            self.out.push_str(part);
            self.out.push('\n');
        }
    }

    /// `head {`, then parts, each after an empty line's break, then `}`. Without any part: `head {}`.
    fn block(&mut self, head: fmt::Arguments<'_>, empty: bool, inner: impl FnOnce(&mut Self)) {
        if empty {
            return self.line(format_args!("{head} {{}}"));
        }
        self.line(format_args!("{head} {{"));
        self.depth += 1;
        inner(self);
        self.depth -= 1;
        self.line(format_args!("}}"));
    }
}

/// The parts of a block, with an empty line between them.
struct Parts<'a> {
    lines: &'a mut Lines,
    first: bool,
}

impl Parts<'_> {
    /// An empty line where another part follows: Confluent's text has one, indented as its block.
    fn gap(&mut self) {
        if !std::mem::take(&mut self.first) {
            (0..self.lines.depth.saturating_sub(1)).for_each(|_| self.lines.out.push_str("  "));
            self.lines.out.push('\n');
        }
    }

    /// A part, if there is anything of it.
    fn each<T>(&mut self, all: &[T], mut print: impl FnMut(&mut Lines, &T)) {
        if !all.is_empty() {
            self.gap();
            all.iter().for_each(|one| print(self.lines, one));
        }
    }
}

/// The text of a file.
pub(super) fn file(file: &ProtoFile) -> String {
    let mut lines = Lines { out: String::new(), depth: 0 };
    match &file.syntax {
        None => {}
        Some(Syntax::Proto2) => lines.line(format_args!("syntax = \"proto2\";")),
        Some(Syntax::Proto3) => lines.line(format_args!("syntax = \"proto3\";")),
        Some(Syntax::Edition(edition)) => lines.line(format_args!("edition = \"{edition}\";")),
    }
    if let Some(package) = &file.package {
        lines.line(format_args!("package {package};"));
    }
    let part = |present: bool, lines: &mut Lines| {
        if present {
            lines.out.push('\n');
        }
    };
    part(!file.imports.is_empty() || !file.public_imports.is_empty(), &mut lines);
    file.imports.iter().for_each(|path| lines.line(format_args!("import \"{path}\";")));
    file.public_imports.iter().for_each(|path| lines.line(format_args!("import public \"{path}\";")));
    part(!file.options.is_empty(), &mut lines);
    options(&mut lines, &file.options);
    part(!file.types.is_empty(), &mut lines);
    types(&mut lines, &file.types);
    part(!file.extends.is_empty(), &mut lines);
    file.extends.iter().for_each(|e| extend(&mut lines, e));
    part(!file.services.is_empty(), &mut lines);
    file.services.iter().for_each(|s| service(&mut lines, s));
    lines.out
}

fn options(lines: &mut Lines, options: &[OptionDecl]) {
    options.iter().for_each(|o| option_line(lines, o));
}

fn option_line(lines: &mut Lines, of: &OptionDecl) {
    lines.line(format_args!("option {};", one_option(of)));
}

/// Messages, then enums.
fn types(lines: &mut Lines, types: &[TypeDecl]) {
    for of in types {
        if let TypeDecl::Message(of) = of {
            message(lines, of);
        }
    }
    for of in types {
        if let TypeDecl::Enum(of) = of {
            enumeration(lines, of);
        }
    }
}

fn message(lines: &mut Lines, of: &MessageDecl) {
    let empty = *of == MessageDecl { name: of.name.clone(), ..MessageDecl::default() };
    lines.block(format_args!("message {}", of.name), empty, |lines| {
        let mut parts = Parts { lines, first: true };
        parts.each(&of.reserved, |lines, r| lines.line(format_args!("reserved {};", ranges(r))));
        parts.each(&of.options, option_line);
        parts.each(&of.fields, field);
        parts.each(&of.oneofs, oneof);
        parts.each(&of.groups, group);
        parts.each(&of.extensions, extensions);
        parts.each(&of.extends, extend);
        if !of.types.is_empty() {
            parts.gap();
            types(parts.lines, &of.types);
        }
    });
}

fn enumeration(lines: &mut Lines, of: &EnumDecl) {
    let empty = of.reserved.is_empty() && of.options.is_empty() && of.values.is_empty();
    lines.block(format_args!("enum {}", of.name), empty, |lines| {
        of.reserved.iter().for_each(|r| lines.line(format_args!("reserved {};", ranges(r))));
        options(lines, &of.options);
        for value in &of.values {
            lines.line(format_args!("{} = {}{};", value.name, value.number, in_brackets(&value.options)));
        }
    });
}

fn field(lines: &mut Lines, of: &FieldDecl) {
    let label = of.label.map(|l| format!("{} ", l.name())).unwrap_or_default();
    let name = type_name(&of.of);
    lines.line(format_args!("{label}{name} {} = {}{};", of.name, of.number, in_brackets(&of.options)));
}

/// A field's type as in a declaration.
pub(super) fn type_name(of: &TypeRef) -> String {
    match of {
        TypeRef::Named(name) => name.clone(),
        TypeRef::Map(key, value) => format!("map<{key}, {value}>"),
    }
}

fn oneof(lines: &mut Lines, of: &OneofDecl) {
    let empty = of.options.is_empty() && of.fields.is_empty() && of.groups.is_empty();
    lines.block(format_args!("oneof {}", of.name), empty, |lines| {
        let mut parts = Parts { lines, first: true };
        parts.each(&of.options, option_line);
        parts.each(&of.fields, field);
        parts.each(&of.groups, group);
    });
}

fn group(lines: &mut Lines, of: &GroupDecl) {
    let label = of.label.map(|l| format!("{} ", l.name())).unwrap_or_default();
    lines.block(format_args!("{label}group {} = {}", of.name, of.number), of.fields.is_empty(), |lines| {
        of.fields.iter().for_each(|f| field(lines, f));
    });
}

fn extend(lines: &mut Lines, of: &Extend) {
    lines.block(format_args!("extend {}", of.name), of.fields.is_empty(), |lines| {
        of.fields.iter().for_each(|f| field(lines, f));
    });
}

fn extensions(lines: &mut Lines, of: &Extensions) {
    lines.line(format_args!("extensions {}{};", ranges(&of.ranges), in_brackets(&of.options)));
}

fn ranges(ranges: &[Reserved]) -> String {
    let parts = ranges.iter().map(|range| match range {
        Reserved::Name(name) => format!("\"{name}\""),
        Reserved::Number(number) => number.to_string(),
        Reserved::Range(from, to) if *to >= MAX_NUMBER => format!("{from} to max"),
        Reserved::Range(from, to) => format!("{from} to {to}"),
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn service(lines: &mut Lines, of: &Service) {
    let empty = of.options.is_empty() && of.rpcs.is_empty();
    lines.block(format_args!("service {}", of.name), empty, |lines| {
        let mut parts = Parts { lines, first: true };
        parts.each(&of.options, option_line);
        parts.each(&of.rpcs, rpc);
    });
}

fn rpc(lines: &mut Lines, of: &Rpc) {
    let stream = |(name, stream): &(String, bool)| format!("{}{name}", if *stream { "stream " } else { "" });
    let head = format!("rpc {} ({}) returns ({})", of.name, stream(&of.request), stream(&of.response));
    if of.options.is_empty() {
        return lines.line(format_args!("{head};"));
    }
    lines.line(format_args!("{head} {{"));
    lines.depth += 1;
    options(lines, &of.options);
    lines.depth -= 1;
    lines.line(format_args!("}};"));
}

fn one_option(of: &OptionDecl) -> String {
    let name = if of.extension { format!("({})", of.name) } else { of.name.clone() };
    match &of.value {
        OptionValue::Nested(inner) => {
            format!("{name}.{}", one_option(&OptionDecl { extension: false, ..(**inner).clone() }))
        }
        OptionValue::List(list) => format!("{name} = {}", bracketed(list.iter().map(value).collect())),
        other => format!("{name} = {}", value(other)),
    }
}

/// ` [a = 1]` of a field; `default` of a field of text is text.
fn in_brackets(options: &[OptionDecl]) -> String {
    if options.is_empty() {
        return String::new();
    }
    format!(" {}", bracketed(options.iter().map(one_option).collect()))
}

fn indented(text: &str) -> String {
    text.split('\n').map(|line| format!("  {line}\n")).collect()
}

/// `[a]`, or each of several on a line of its own.
fn bracketed(parts: Vec<String>) -> String {
    match parts.as_slice() {
        [only] => format!("[{only}]"),
        parts => format!("[\n{}]", listed(parts)),
    }
}

fn listed(parts: &[String]) -> String {
    let last = parts.len().saturating_sub(1);
    let comma = |i: usize| if i < last { "," } else { "" };
    parts.iter().enumerate().map(|(i, part)| indented(&format!("{part}{}", comma(i)))).collect()
}

fn value(of: &OptionValue) -> String {
    match of {
        OptionValue::Text(text) => format!("\"{}\"", escaped(text)),
        OptionValue::Word(word) => word.clone(),
        OptionValue::Nested(inner) => one_option(inner),
        OptionValue::Map(entries) => {
            let parts: Vec<String> = entries.iter().map(|(key, v)| format!("{key}: {}", value(v))).collect();
            format!("{{\n{}}}", listed(&parts))
        }
        OptionValue::List(list) => {
            let parts: Vec<String> = list.iter().map(value).collect();
            format!("[\n{}]", listed(&parts))
        }
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\\' | '\'' | '"' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// The `default` of a field as its text.
pub(super) fn default_of(field: &FieldDecl) -> Option<&str> {
    option(&field.options, "default").and_then(OptionDecl::text)
}
