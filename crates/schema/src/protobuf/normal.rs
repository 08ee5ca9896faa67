//! The normal form: names absolute, everything whose order says nothing sorted.

use super::ast::{
    EnumDecl, Extend, Extensions, FieldDecl, GroupDecl, MessageDecl, OneofDecl, OptionDecl, OptionValue,
    ProtoFile, Reserved, Syntax, TypeDecl, TypeRef,
};
use super::link::{Scalar, Types, within};

/// The normal form of a schema.
pub(super) fn file(types: &Types) -> ProtoFile {
    let from = &types.files[0];
    let normal = Normal { types };
    let scope = from.package.clone().unwrap_or_default();
    let mut file = (**from).clone();
    file.syntax = file.syntax.filter(|s| *s != Syntax::Proto2);
    for imports in [&mut file.imports, &mut file.public_imports] {
        imports.sort();
        imports.dedup();
    }
    file.options = normal.options(&file.options, &scope);
    file.types = normal.types(&file.types, &scope);
    file.extends = normal.extends(&file.extends, &scope);
    for service in &mut file.services {
        service.options = normal.options(&service.options, &scope);
        for rpc in &mut service.rpcs {
            rpc.request.0 = normal.name(&rpc.request.0, &scope);
            rpc.response.0 = normal.name(&rpc.response.0, &scope);
            rpc.options = normal.options(&rpc.options, &scope);
        }
    }
    file
}

struct Normal<'a> {
    types: &'a Types,
}

impl Normal<'_> {
    fn name(&self, name: &str, scope: &str) -> String {
        match self.types.resolve(name, scope) {
            Some(full) => format!(".{full}"),
            None => name.to_owned(),
        }
    }

    fn types(&self, types: &[TypeDecl], scope: &str) -> Vec<TypeDecl> {
        let is_entry = |of: &&TypeDecl| {
            self.types.info(&within(scope, of.name())).is_some_and(|info| info.map.is_some())
        };
        let kept = types.iter().filter(|of| !is_entry(of));
        let normal = kept.map(|of| match of {
            TypeDecl::Message(m) => TypeDecl::Message(self.message(m, &within(scope, &m.name))),
            TypeDecl::Enum(e) => TypeDecl::Enum(self.enumeration(e, &within(scope, &e.name))),
        });
        normal.collect()
    }

    fn message(&self, from: &MessageDecl, scope: &str) -> MessageDecl {
        let mut oneofs: Vec<OneofDecl> = from
            .oneofs
            .iter()
            .filter(|o| !o.fields.is_empty())
            .map(|o| OneofDecl {
                name: o.name.clone(),
                options: self.options(&o.options, scope),
                fields: self.fields(&o.fields, scope),
                groups: self.groups(&o.groups, scope),
            })
            .collect();
        oneofs.sort_by_key(|o| o.fields.first().map(|f| f.number));
        let mut extensions: Vec<Extensions> = from
            .extensions
            .iter()
            .flat_map(|e| {
                let options = self.options(&e.options, scope);
                e.ranges.iter().map(move |r| Extensions { ranges: vec![single(r)], options: options.clone() })
            })
            .collect();
        extensions.sort_by_key(|e| e.ranges.first().map(start));
        MessageDecl {
            name: from.name.clone(),
            reserved: reserved(&from.reserved),
            options: self.options(&from.options, scope),
            fields: self.fields(&from.fields, scope),
            oneofs,
            groups: self.groups(&from.groups, scope),
            extensions,
            extends: self.extends(&from.extends, scope),
            types: self.types(&from.types, scope),
        }
    }

    fn enumeration(&self, from: &EnumDecl, scope: &str) -> EnumDecl {
        let mut values = from.values.clone();
        values.iter_mut().for_each(|v| v.options = self.options(&v.options, scope));
        // As Confluent's, but proto3 wants zero before negative numbers: the normal form is a schema, too.
        let proto3 = self.types.files[0].is_proto3();
        let place = |number| (proto3 && number != 0, number);
        values.sort_by(|a, b| (place(a.number), &a.name).cmp(&(place(b.number), &b.name)));
        EnumDecl {
            name: from.name.clone(),
            reserved: reserved(&from.reserved),
            options: self.options(&from.options, scope),
            values,
        }
    }

    fn fields(&self, fields: &[FieldDecl], scope: &str) -> Vec<FieldDecl> {
        let mut fields: Vec<FieldDecl> = fields.iter().map(|f| self.field(f, scope)).collect();
        fields.sort_by_key(|f| f.number);
        fields
    }

    fn field(&self, from: &FieldDecl, scope: &str) -> FieldDecl {
        let mut field = from.clone();
        if let TypeRef::Named(name) = &from.of
            && Scalar::parse(name).is_none()
        {
            let full = self.name(name, scope);
            let entry = self.types.info(full.trim_start_matches('.')).and_then(|info| info.map.clone());
            field.of = match entry {
                Some((TypeRef::Named(key), TypeRef::Named(value))) => {
                    field.label = None;
                    TypeRef::Map(key, self.value_name(&value, full.trim_start_matches('.')))
                }
                _ => TypeRef::Named(full),
            };
        }
        if let TypeRef::Map(key, value) = &field.of {
            field.of = TypeRef::Map(key.clone(), self.value_name(value, scope));
        }
        field.options = self.options(&from.options, scope);
        field
    }

    fn value_name(&self, name: &str, scope: &str) -> String {
        if Scalar::parse(name).is_some() { name.to_owned() } else { self.name(name, scope) }
    }

    fn groups(&self, groups: &[GroupDecl], scope: &str) -> Vec<GroupDecl> {
        let mut groups = groups.to_vec();
        groups.iter_mut().for_each(|g| g.fields = self.fields(&g.fields, scope));
        groups.sort_by_key(|g| g.number);
        groups
    }

    /// One `extend` for each type, in the order of their first.
    fn extends(&self, extends: &[Extend], scope: &str) -> Vec<Extend> {
        let mut all: Vec<Extend> = Vec::new();
        for extend in extends {
            let name = self.name(&extend.name, scope);
            match all.iter_mut().find(|e| e.name == name) {
                Some(known) => known.fields.extend(extend.fields.clone()),
                None => all.push(Extend { name, fields: extend.fields.clone() }),
            }
        }
        all.iter_mut().for_each(|e| e.fields = self.fields(&e.fields, scope));
        all
    }

    /// By name; those of an extension that is set in parts as one value.
    fn options(&self, options: &[OptionDecl], scope: &str) -> Vec<OptionDecl> {
        let mut all: Vec<OptionDecl> = options.iter().map(|o| self.option(o, scope)).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        let mut merged: Vec<OptionDecl> = Vec::with_capacity(all.len());
        for option in all {
            match merged.last_mut() {
                Some(last) if option.extension && last.name == option.name => {
                    match (&mut last.value, option.value) {
                        (OptionValue::Map(into), OptionValue::Map(more)) => merge(into, more),
                        (value, more) => *value = more,
                    }
                }
                _ => merged.push(option),
            }
        }
        merged
    }

    fn option(&self, from: &OptionDecl, scope: &str) -> OptionDecl {
        let found = if from.extension { self.types.extension(&from.name, scope) } else { None };
        let Some((name, _)) = found else { return from.clone() };
        let value = match &from.value {
            OptionValue::Nested(inner) => OptionValue::Map(unfolded(inner)),
            other => other.clone(),
        };
        OptionDecl { name, extension: true, value: sorted(value) }
    }
}

/// `a.b = 1` as `{ a: { b: 1 } }`.
fn unfolded(option: &OptionDecl) -> Vec<(String, OptionValue)> {
    let value = match &option.value {
        OptionValue::Nested(inner) => OptionValue::Map(unfolded(inner)),
        other => other.clone(),
    };
    let outer =
        option.name.rsplit('.').fold(value, |value, name| OptionValue::Map(vec![(name.to_owned(), value)]));
    match outer {
        OptionValue::Map(entries) => entries,
        _ => Vec::new(),
    }
}

fn merge(into: &mut Vec<(String, OptionValue)>, more: Vec<(String, OptionValue)>) {
    for (key, value) in more {
        match into.iter_mut().find(|(k, _)| *k == key) {
            Some((_, OptionValue::Map(known))) if matches!(value, OptionValue::Map(_)) => {
                if let OptionValue::Map(more) = value {
                    merge(known, more);
                }
            }
            Some((_, known)) => *known = value,
            None => into.push((key, value)),
        }
    }
    into.sort_by(|a, b| a.0.cmp(&b.0));
}

/// Maps by key, without empty lists; a list of one as that one.
fn sorted(value: OptionValue) -> OptionValue {
    match value {
        OptionValue::Map(mut entries) => {
            entries.retain(|(_, v)| !matches!(v, OptionValue::List(list) if list.is_empty()));
            entries
                .iter_mut()
                .for_each(|(_, v)| *v = sorted(std::mem::replace(v, OptionValue::List(Vec::new()))));
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            OptionValue::Map(entries)
        }
        OptionValue::List(mut list) if list.len() == 1 => {
            list.pop().map_or(OptionValue::List(Vec::new()), sorted)
        }
        OptionValue::List(list) => OptionValue::List(list.into_iter().map(sorted).collect()),
        other => other,
    }
}

fn single(range: &Reserved) -> Reserved {
    match range {
        Reserved::Range(from, to) if from == to => Reserved::Number(*from),
        other => other.clone(),
    }
}

fn start(range: &Reserved) -> i32 {
    match range {
        Reserved::Number(number) | Reserved::Range(number, _) => *number,
        Reserved::Name(_) => i32::MAX,
    }
}

/// One statement for each part.
fn reserved(from: &[Vec<Reserved>]) -> Vec<Vec<Reserved>> {
    let mut all: Vec<Reserved> = from.iter().flatten().map(single).collect();
    let name = |r: &Reserved| match r {
        Reserved::Name(name) => name.clone(),
        _ => String::new(),
    };
    all.sort_by_key(|r| (start(r), name(r)));
    all.into_iter().map(|r| vec![r]).collect()
}
