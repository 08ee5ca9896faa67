//! What changed between two Protobuf schemas, by Confluent's rules and names.

use super::ast::{
    EnumDecl, FieldDecl, Label, MessageDecl, OneofDecl, TypeDecl, TypeRef, all_fields, messages,
};
use super::change::{Change, Difference};
use super::link::{Scalar, TypeInfo, Types, within};
use super::print::type_name;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// All changes from `old` to `new`.
pub(super) fn differences(old: &Types, new: &Types) -> Vec<Difference> {
    let mut compared = HashMap::new();
    let package = |types: &Types| types.files[0].package.clone().unwrap_or_default();
    let mut diff = Diff {
        old,
        new,
        packages: (package(old), package(new)),
        path: Vec::new(),
        name: Vec::new(),
        entered: HashSet::new(),
        compared: &mut compared,
        found: Vec::new(),
    };
    if diff.packages.0 != diff.packages.1 {
        diff.add(Change::PackageChanged);
    }
    diff.types(&old.files[0].types, &new.files[0].types);
    diff.found
}

#[derive(Clone, Copy)]
enum Side {
    Old,
    New,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Scalar(ScalarKind),
    Message,
    Map(String, String),
}

/// Scalars that read each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScalarKind {
    GeneralNumber,
    SignedNumber,
    StringOrBytes,
    Fixed32,
    Fixed64,
    Float,
    Double,
}

fn scalar_kind(scalar: Scalar) -> ScalarKind {
    match scalar {
        Scalar::Int32 | Scalar::Int64 | Scalar::Uint32 | Scalar::Uint64 | Scalar::Bool => {
            ScalarKind::GeneralNumber
        }
        Scalar::Sint32 | Scalar::Sint64 => ScalarKind::SignedNumber,
        Scalar::String | Scalar::Bytes => ScalarKind::StringOrBytes,
        Scalar::Fixed32 | Scalar::Sfixed32 => ScalarKind::Fixed32,
        Scalar::Fixed64 | Scalar::Sfixed64 => ScalarKind::Fixed64,
        Scalar::Float => ScalarKind::Float,
        Scalar::Double => ScalarKind::Double,
    }
}

struct Diff<'a> {
    old: &'a Types,
    new: &'a Types,
    packages: (String, String),
    path: Vec<String>,
    /// The names of the path that are messages.
    name: Vec<String>,
    /// Old messages that are being compared, by full name.
    entered: HashSet<String>,
    /// Messages of imported files that were compared, and whether they are compatible.
    compared: &'a mut HashMap<(String, String), bool>,
    found: Vec<Difference>,
}

impl Diff<'_> {
    fn add(&mut self, kind: Change) {
        self.found.push(Difference { kind, path: format!("#/{}", self.path.join("/")) });
    }

    fn at<T>(&mut self, parts: &[&str], inner: impl FnOnce(&mut Self) -> T) -> T {
        let depth = self.path.len();
        self.path.extend(parts.iter().map(|p| (*p).to_owned()));
        let result = inner(self);
        self.path.truncate(depth);
        result
    }

    fn in_type(&mut self, name: &str, inner: impl FnOnce(&mut Self)) {
        self.name.push(name.to_owned());
        self.at(&[name], inner);
        self.name.pop();
    }

    fn side(&self, side: Side) -> (&Types, &str) {
        match side {
            Side::Old => (self.old, &self.packages.0),
            Side::New => (self.new, &self.packages.1),
        }
    }

    /// The full name of a type that is named here.
    fn resolve(&self, name: &str, side: Side) -> Option<String> {
        let (types, package) = self.side(side);
        types.resolve(name, &within(package, &self.name.join(".")))
    }

    fn info(&self, name: &str, side: Side) -> Option<&TypeInfo> {
        let full = self.resolve(name, side)?;
        self.side(side).0.info(&full)
    }

    fn is_entry(&self, name: &str, side: Side) -> bool {
        self.info(name, side).is_some_and(|info| info.map.is_some())
    }

    fn types(&mut self, old: &[TypeDecl], new: &[TypeDecl]) {
        let of = |types: &'_ [TypeDecl]| -> BTreeMap<String, usize> {
            messages(types).enumerate().map(|(i, m)| (m.name.clone(), i)).collect()
        };
        let (old_at, new_at) = (of(old), of(new));
        let names: BTreeSet<&String> = old_at.keys().chain(new_at.keys()).collect();
        for name in names {
            let places = (old_at.get(name), new_at.get(name));
            self.in_type(name, |diff| match places {
                (Some(_), None) => {
                    if diff.info(name, Side::Old).is_some() && !diff.is_entry(name, Side::Old) {
                        diff.add(Change::MessageRemoved);
                    }
                }
                (None, _) => {
                    if diff.info(name, Side::New).is_some() && !diff.is_entry(name, Side::New) {
                        diff.add(Change::MessageAdded);
                    }
                }
                (Some(from), Some(to)) => {
                    if let (Some(a), Some(b)) = (messages(old).nth(*from), messages(new).nth(*to)) {
                        diff.message(a, b);
                    }
                    if from != to {
                        diff.add(Change::MessageMoved);
                    }
                }
            });
        }
        let of = |types: &'_ [TypeDecl]| -> BTreeMap<String, EnumDecl> {
            let enums = types.iter().filter_map(|t| match t {
                TypeDecl::Enum(e) => Some((e.name.clone(), e.clone())),
                TypeDecl::Message(_) => None,
            });
            enums.collect()
        };
        let (old, new) = (of(old), of(new));
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            self.in_type(name, |diff| match (old.get(name), new.get(name)) {
                (Some(a), Some(b)) => diff.enumeration(a, b),
                (Some(_), None) => diff.add(Change::EnumRemoved),
                (None, _) => diff.add(Change::EnumAdded),
            });
        }
    }

    fn enumeration(&mut self, old: &EnumDecl, new: &EnumDecl) {
        let of = |e: &EnumDecl| -> BTreeMap<i32, String> {
            e.values.iter().map(|v| (v.number, v.name.clone())).collect()
        };
        let (old, new) = (of(old), of(new));
        let numbers: BTreeSet<&i32> = old.keys().chain(new.keys()).collect();
        for number in numbers {
            let change = match (old.get(number), new.get(number)) {
                (Some(_), None) => Change::EnumConstRemoved,
                (None, _) => Change::EnumConstAdded,
                (Some(a), Some(b)) if a != b => Change::EnumConstChanged,
                _ => continue,
            };
            self.at(&[&number.to_string()], |diff| diff.add(change));
        }
    }

    fn message(&mut self, old: &MessageDecl, new: &MessageDecl) {
        let full = within(&self.packages.0, &self.name.join("."));
        if self.entered.insert(full.clone()) {
            self.oneofs(old, new);
            self.fields(old, new);
            self.entered.remove(&full);
        }
        self.types(&old.types, &new.types);
    }

    /// Fields that exclude each other and did not before; oneofs that came or went.
    fn oneofs(&mut self, old: &MessageDecl, new: &MessageDecl) {
        let was: HashMap<i32, Option<&str>> =
            all_fields(old).map(|(f, o)| (f.number, o.map(|o| o.name.as_str()))).collect();
        for oneof in &new.oneofs {
            let (mut groups, mut moved) = (HashSet::new(), 0);
            for field in &oneof.fields {
                match was.get(&field.number) {
                    Some(Some(oneof)) => drop(groups.insert((*oneof).to_owned())),
                    Some(None) => {
                        groups.insert(format!("/{}", field.number));
                        moved += 1;
                    }
                    None => {}
                }
            }
            if groups.len() > 1 {
                let change = match moved {
                    0 | 1 => Change::FieldMovedToExistingOneof,
                    _ => Change::MultipleFieldsMovedToOneof,
                };
                self.at(&[&oneof.name], |diff| diff.add(change));
            }
        }
        let names =
            |m: &MessageDecl| -> BTreeSet<String> { m.oneofs.iter().map(|o| o.name.clone()).collect() };
        let (old, new) = (names(old), names(new));
        for name in old.union(&new) {
            let change = match (old.contains(name), new.contains(name)) {
                (true, false) => Change::OneofRemoved,
                (false, true) => Change::OneofAdded,
                _ => continue,
            };
            self.at(&[name], |diff| diff.add(change));
        }
    }

    fn fields(&mut self, old: &MessageDecl, new: &MessageDecl) {
        type ByNumber<'m> = BTreeMap<i32, (&'m FieldDecl, Option<&'m OneofDecl>)>;
        let by_number = |m| -> ByNumber<'_> { all_fields(m).map(|(f, o)| (f.number, (f, o))).collect() };
        let (was, is) = (by_number(old), by_number(new));
        // A oneof that went with all its fields is no loss of one choice among several.
        let gone = |oneof: &OneofDecl| {
            !new.oneofs.iter().any(|o| o.name == oneof.name)
                && !oneof.fields.iter().any(|f| is.contains_key(&f.number))
        };
        let numbers: BTreeSet<i32> = was.keys().chain(is.keys()).copied().collect();
        for number in numbers {
            let at = number.to_string();
            match (was.get(&number), is.get(&number)) {
                (Some((_, Some(oneof))), None) => {
                    if !gone(oneof) {
                        self.at(&[&oneof.name, &at], |diff| diff.add(Change::OneofFieldRemoved));
                    }
                }
                (Some((field, None)), None) => {
                    let required = field.label == Some(Label::Required);
                    let change = if required { Change::RequiredFieldRemoved } else { Change::FieldRemoved };
                    self.at(&[&at], |diff| diff.add(change));
                }
                (None, Some((_, Some(oneof)))) => {
                    self.at(&[&oneof.name, &at], |diff| diff.add(Change::OneofFieldAdded));
                }
                (None, Some((field, None))) => {
                    let required = field.label == Some(Label::Required);
                    let change = if required { Change::RequiredFieldAdded } else { Change::FieldAdded };
                    self.at(&[&at], |diff| diff.add(change));
                }
                (Some((a, was_in)), Some((b, is_in))) => match is_in {
                    Some(oneof) => self.at(&[&oneof.name, &at], |diff| diff.field(a, b)),
                    None => self.at(&[&at], |diff| {
                        if was_in.is_some() {
                            diff.add(Change::OneofFieldMovedToTopLevel);
                        }
                        diff.field(a, b);
                    }),
                },
                (None, None) => {}
            }
        }
    }

    fn field(&mut self, old: &FieldDecl, new: &FieldDecl) {
        if old.name != new.name {
            self.add(Change::FieldNameChanged);
        }
        self.labels_and_types((old.label, new.label), &old.of, &new.of);
    }

    fn labels_and_types(&mut self, labels: (Option<Label>, Option<Label>), old: &TypeRef, new: &TypeRef) {
        match (self.kind(old, Side::Old), self.kind(new, Side::New)) {
            (Kind::Scalar(a), Kind::Scalar(b)) if a != b => self.add(Change::FieldScalarKindChanged),
            (Kind::Scalar(of), Kind::Scalar(_)) => match labels {
                (Some(a), Some(b)) if a != b => self.add(match of {
                    ScalarKind::StringOrBytes => Change::FieldStringOrBytesLabelChanged,
                    _ => Change::FieldNumericLabelChanged,
                }),
                _ => {}
            },
            (Kind::Message, Kind::Message) => self.messages(&type_name(old), &type_name(new)),
            (Kind::Map(a, b), Kind::Map(c, d)) => {
                let none = (None, None);
                self.labels_and_types(none, &TypeRef::Named(a), &TypeRef::Named(c));
                self.labels_and_types(none, &TypeRef::Named(b), &TypeRef::Named(d));
            }
            _ => self.add(Change::FieldKindChanged),
        }
    }

    fn kind(&self, of: &TypeRef, side: Side) -> Kind {
        let name = match of {
            TypeRef::Map(key, value) => return Kind::Map(key.clone(), value.clone()),
            TypeRef::Named(name) => name,
        };
        if let Some(scalar) = Scalar::parse(name) {
            return Kind::Scalar(scalar_kind(scalar));
        }
        let Some(info) = self.info(name, side) else { return Kind::Message };
        match (&info.map, self.side(side).0.decl(info)) {
            (Some((TypeRef::Named(key), TypeRef::Named(value))), _) => Kind::Map(key.clone(), value.clone()),
            (_, Some(TypeDecl::Enum(_))) => Kind::Scalar(ScalarKind::GeneralNumber),
            _ => Kind::Message,
        }
    }

    fn messages(&mut self, old: &str, new: &str) {
        let full = (self.resolve(old, Side::Old), self.resolve(new, Side::New));
        let (Some(old_full), Some(new_full)) = full else {
            if old != new {
                self.add(Change::FieldNamedTypeChanged);
            }
            return;
        };
        let (Some((a, a_info)), Some((b, b_info))) =
            (self.old.message(&old_full), self.new.message(&new_full))
        else {
            return;
        };
        let packages = (self.old.package_of(a_info).to_owned(), self.new.package_of(b_info).to_owned());
        let local = |full: &str, package: &str| {
            full.strip_prefix(package).and_then(|n| n.strip_prefix('.')).unwrap_or(full).to_owned()
        };
        let name = local(&old_full, &packages.0);
        if name != local(&new_full, &packages.1) {
            return self.add(Change::FieldNamedTypeChanged);
        }
        // Those of the schemas themselves are compared where they stand.
        let both_local = a_info.file == 0 && b_info.file == 0;
        if both_local || (a_info.file != 0 && self.old.file_of(a_info) == self.new.file_of(b_info)) {
            return;
        }
        let pair = (old_full, new_full);
        if let Some(compatible) = self.compared.get(&pair).copied() {
            if !compatible {
                self.add(Change::FieldNamedTypeChanged);
            }
            return;
        }
        self.compared.insert(pair.clone(), true);
        let parts: Vec<String> = name.split('.').map(str::to_owned).collect();
        let mut inner = Diff {
            old: self.old,
            new: self.new,
            packages,
            path: parts.clone(),
            name: parts,
            entered: self.entered.clone(),
            compared: self.compared,
            found: Vec::new(),
        };
        inner.message(a, b);
        let found = inner.found;
        let compatible = found.iter().all(|d| d.kind.is_compatible());
        self.found.extend(found);
        self.compared.insert(pair, compatible);
        if !compatible {
            self.add(Change::FieldNamedTypeChanged);
        }
    }
}
