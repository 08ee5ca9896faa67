//! The types of a schema and of all that it imports, by full name; names resolved from where they stand.

use super::ast::{
    Extend, FieldDecl, Label, MessageDecl, ProtoFile, TypeDecl, TypeRef, all_fields, is_set, messages, option,
};
use super::known;
use super::parser::{self, MAX_NUMBER};
use crate::SchemaText;
use crate::definition::InvalidSchema;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A declared type and where.
#[derive(Debug, Clone)]
pub(super) struct TypeInfo {
    /// The place of its file in [`Types::files`]; 0 is the schema itself.
    pub(super) file: usize,
    /// Its places: among the types of the file, then among those of each message on the way.
    path: Vec<usize>,
    /// The types of key and value, if it is an entry of a map.
    pub(super) map: Option<(TypeRef, TypeRef)>,
}

/// Types of a schema and of what it imports.
#[derive(Debug)]
pub(super) struct Types {
    /// The schema itself, then what it imports.
    pub(super) files: Vec<Arc<ProtoFile>>,
    by_name: HashMap<String, TypeInfo>,
    extensions: HashMap<String, FieldDecl>,
}

/// A scalar type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
}

impl Scalar {
    const ALL: [(Self, &'static str); 15] = [
        (Self::Double, "double"),
        (Self::Float, "float"),
        (Self::Int32, "int32"),
        (Self::Int64, "int64"),
        (Self::Uint32, "uint32"),
        (Self::Uint64, "uint64"),
        (Self::Sint32, "sint32"),
        (Self::Sint64, "sint64"),
        (Self::Fixed32, "fixed32"),
        (Self::Fixed64, "fixed64"),
        (Self::Sfixed32, "sfixed32"),
        (Self::Sfixed64, "sfixed64"),
        (Self::Bool, "bool"),
        (Self::String, "string"),
        (Self::Bytes, "bytes"),
    ];

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| *n == name).map(|(s, _)| *s)
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(s, _)| *s == self).map_or("", |(_, n)| n)
    }
}

/// What a field's type is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resolved {
    Scalar(Scalar),
    /// By full name.
    Enum(String),
    /// By full name.
    Message(String),
    Map(Box<Resolved>, Box<Resolved>),
}

fn invalid<T>(reason: String) -> Result<T, InvalidSchema> {
    Err(InvalidSchema(reason))
}

impl Types {
    /// Collects the types of a schema. What it refers to is found among its references, then among the well-known files.
    pub(super) fn link(file: Arc<ProtoFile>, schema: &SchemaText) -> Result<Self, InvalidSchema> {
        let references: HashMap<&str, &str> =
            schema.referenced.iter().map(|r| (r.name.as_str(), &*r.text)).collect();
        let mut types = Self { files: vec![file], by_name: HashMap::new(), extensions: HashMap::new() };
        let mut seen: HashSet<String> = HashSet::new();
        let mut at = 0;
        while at < types.files.len() {
            let file = types.files[at].clone();
            types.collect(at, &file)?;
            for path in file.imports.iter().chain(&file.public_imports) {
                if !seen.insert(path.clone()) {
                    continue;
                }
                // A file that is nowhere is no fault until a type of it is named.
                let text = references.get(path.as_str()).copied().or_else(|| known::file(path));
                if let Some(text) = text {
                    let parsed = super::descriptor::file_of(text);
                    types.files.push(Arc::new(parsed.map_err(|e| InvalidSchema(format!("{path}: {e}")))?));
                }
            }
            at += 1;
        }
        Ok(types)
    }

    fn collect(&mut self, at: usize, file: &ProtoFile) -> Result<(), InvalidSchema> {
        let scope = file.package.clone().unwrap_or_default();
        self.collect_extensions(&file.extends, &scope);
        self.collect_types(at, &file.types, &scope, &mut Vec::new())
    }

    fn collect_extensions(&mut self, extends: &[Extend], scope: &str) {
        for field in extends.iter().flat_map(|e| &e.fields) {
            self.extensions.insert(within(scope, &field.name), field.clone());
        }
    }

    fn collect_types(
        &mut self,
        file: usize,
        types: &[TypeDecl],
        scope: &str,
        path: &mut Vec<usize>,
    ) -> Result<(), InvalidSchema> {
        for (i, of) in types.iter().enumerate() {
            let name = within(scope, of.name());
            path.push(i);
            let map = match of {
                TypeDecl::Message(message) => {
                    self.collect_extensions(&message.extends, &name);
                    self.collect_types(file, &message.types, &name, path)?;
                    map_entry(message)
                }
                TypeDecl::Enum(_) => None,
            };
            let known = self.by_name.insert(name.clone(), TypeInfo { file, path: path.clone(), map });
            path.pop();
            // Types of other files may be there in several versions.
            if known.is_some_and(|known| known.file == file && file == 0) {
                return invalid(format!("\"{name}\" is already defined"));
            }
        }
        Ok(())
    }

    pub(super) fn info(&self, full_name: &str) -> Option<&TypeInfo> {
        self.by_name.get(full_name)
    }

    pub(super) fn file_of(&self, info: &TypeInfo) -> &ProtoFile {
        &self.files[info.file]
    }

    pub(super) fn package_of(&self, info: &TypeInfo) -> &str {
        self.files[info.file].package.as_deref().unwrap_or("")
    }

    pub(super) fn decl(&self, info: &TypeInfo) -> Option<&TypeDecl> {
        let (first, rest) = info.path.split_first()?;
        let mut of = self.files[info.file].types.get(*first)?;
        for at in rest {
            let TypeDecl::Message(message) = of else { return None };
            of = message.types.get(*at)?;
        }
        Some(of)
    }

    /// The message of that full name.
    pub(super) fn message(&self, full_name: &str) -> Option<(&MessageDecl, &TypeInfo)> {
        let info = self.info(full_name)?;
        match self.decl(info)? {
            TypeDecl::Message(message) => Some((message, info)),
            TypeDecl::Enum(_) => None,
        }
    }

    /// The full name of a type that is called `name` within `scope` (a full name of a message, or a package).
    pub(super) fn resolve(&self, name: &str, scope: &str) -> Option<String> {
        look_up(name, scope, |full| self.by_name.contains_key(full))
    }

    /// The full name of an extension that is called `name` within `scope`, and its field.
    pub(super) fn extension(&self, name: &str, scope: &str) -> Option<(String, &FieldDecl)> {
        let full = look_up(name, scope, |full| self.extensions.contains_key(full))?;
        let field = self.extensions.get(&full)?;
        Some((full, field))
    }

    /// What a type is that is named within `scope`.
    pub(super) fn resolved(&self, of: &TypeRef, scope: &str) -> Result<Resolved, InvalidSchema> {
        match of {
            TypeRef::Map(key, value) => {
                let part = |name: &String| self.resolved(&TypeRef::Named(name.clone()), scope);
                Ok(Resolved::Map(Box::new(part(key)?), Box::new(part(value)?)))
            }
            TypeRef::Named(name) => {
                if let Some(scalar) = Scalar::parse(name) {
                    return Ok(Resolved::Scalar(scalar));
                }
                let Some(full) = self.resolve(name, scope) else {
                    return invalid(format!("Could not resolve type: {name}"));
                };
                Ok(match self.info(&full).and_then(|info| self.decl(info)) {
                    Some(TypeDecl::Enum(_)) => Resolved::Enum(full),
                    _ => Resolved::Message(full),
                })
            }
        }
    }

    /// Checks the schema itself: names, numbers, what its syntax allows.
    pub(super) fn check(&self) -> Result<(), InvalidSchema> {
        let file = self.files[0].clone();
        let scope = file.package.as_deref().unwrap_or("");
        self.check_types(&file, &file.types, scope)?;
        file.extends.iter().try_for_each(|e| self.check_extend(e, scope))?;
        for rpc in file.services.iter().flat_map(|s| &s.rpcs) {
            for name in [&rpc.request.0, &rpc.response.0] {
                self.resolved(&TypeRef::Named(name.clone()), scope)?;
            }
        }
        Ok(())
    }

    fn check_extend(&self, extend: &Extend, scope: &str) -> Result<(), InvalidSchema> {
        self.resolved(&TypeRef::Named(extend.name.clone()), scope)?;
        extend.fields.iter().try_for_each(|f| self.resolved(&f.of, scope).map(drop))
    }

    fn check_types(&self, file: &ProtoFile, types: &[TypeDecl], scope: &str) -> Result<(), InvalidSchema> {
        for of in types {
            let name = within(scope, of.name());
            match of {
                TypeDecl::Message(message) => {
                    self.check_message(file, message, &name)?;
                    self.check_types(file, &message.types, &name)?;
                }
                TypeDecl::Enum(of) => {
                    let Some(first) = of.values.first() else {
                        return invalid(format!("enum {name} has no values"));
                    };
                    if file.is_proto3() && first.number != 0 {
                        return invalid(format!("the first value of enum {name} must be zero in proto3"));
                    }
                    let mut numbers = HashSet::new();
                    let alias = is_set(&of.options, "allow_alias");
                    if let Some(twice) = of.values.iter().find(|v| !numbers.insert(v.number) && !alias) {
                        let number = twice.number;
                        return invalid(format!("{number} is given to several values of enum {name}"));
                    }
                }
            }
        }
        Ok(())
    }

    fn check_message(
        &self,
        file: &ProtoFile,
        message: &MessageDecl,
        name: &str,
    ) -> Result<(), InvalidSchema> {
        let (mut numbers, mut names) = (HashSet::new(), HashSet::new());
        let groups = message.groups.iter().map(|g| (g.number, g.name.as_str()));
        let fields = all_fields(message).map(|(f, _)| (f.number, f.name.as_str()));
        for (number, field) in fields.chain(groups) {
            if !(1..=MAX_NUMBER).contains(&number) {
                return invalid(format!(
                    "field {name}.{field} has the number {number}, not 1 to {MAX_NUMBER}"
                ));
            }
            if (19_000..=19_999).contains(&number) {
                return invalid(format!(
                    "field {name}.{field} has the number {number}: 19000 to 19999 are reserved"
                ));
            }
            if !numbers.insert(number) {
                return invalid(format!("field number {number} has already been used in \"{name}\""));
            }
            if !names.insert(field) {
                return invalid(format!("\"{field}\" is already defined in \"{name}\""));
            }
        }
        for (field, _) in all_fields(message) {
            let resolved = self.resolved(&field.of, name);
            let of = resolved.map_err(|e| InvalidSchema(format!("{e} of field {name}.{}", field.name)))?;
            let map_key = |key: &Resolved| match key {
                Resolved::Scalar(s) => !matches!(s, Scalar::Double | Scalar::Float | Scalar::Bytes),
                _ => false,
            };
            if matches!(&of, Resolved::Map(key, _) if !map_key(key)) {
                return invalid(format!(
                    "the key of map {name}.{} must be a string or whole number",
                    field.name
                ));
            }
            if file.is_proto3() && field.label == Some(Label::Required) {
                return invalid(format!(
                    "field {name}.{} is required, which proto3 does not have",
                    field.name
                ));
            }
            if file.is_proto3() && option(&field.options, "default").is_some() {
                return invalid(format!(
                    "field {name}.{} has a default, which proto3 does not have",
                    field.name
                ));
            }
        }
        message.extends.iter().try_for_each(|e| self.check_extend(e, name))
    }
}

/// The types of an entry's key and value, of a message that says that it is one.
fn map_entry(message: &MessageDecl) -> Option<(TypeRef, TypeRef)> {
    if !is_set(&message.options, "map_entry") {
        return None;
    }
    let of = |name: &str| message.fields.iter().find(|f| f.name == name).map(|f| f.of.clone());
    Some((of("key")?, of("value")?))
}

/// A name within a scope.
pub(super) fn within(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

/// The first of `a.b.name`, `a.name`, `name` that is known; `.name` is absolute.
fn look_up(name: &str, scope: &str, known: impl Fn(&str) -> bool) -> Option<String> {
    if let Some(absolute) = name.strip_prefix('.') {
        return known(absolute).then(|| absolute.to_owned());
    }
    let mut scope = scope;
    loop {
        let full = within(scope, name);
        if known(&full) {
            return Some(full);
        }
        if scope.is_empty() {
            return None;
        }
        scope = scope.rsplit_once('.').map_or("", |(outer, _)| outer);
    }
}

/// The full name of the message at those places; places of nested messages follow those of the message that they are in.
pub(super) fn message_at(file: &ProtoFile, indexes: &[i32]) -> Option<String> {
    let mut types = file.types.as_slice();
    let mut name = file.package.clone().unwrap_or_default();
    for index in indexes {
        let message = messages(types).nth(usize::try_from(*index).ok()?)?;
        name = within(&name, &message.name);
        types = &message.types;
    }
    (!indexes.is_empty()).then_some(name)
}

/// Parses and links.
pub(super) fn linked(schema: &SchemaText) -> Result<(Arc<ProtoFile>, Arc<Types>), InvalidSchema> {
    if schema.text.len() > parser::MAX_TEXT {
        return invalid(format!("the text is {} bytes, more than {}", schema.text.len(), parser::MAX_TEXT));
    }
    let file = Arc::new(super::descriptor::file_of(&schema.text)?);
    let types = Types::link(file.clone(), schema)?;
    types.check()?;
    Ok((file, Arc::new(types)))
}
