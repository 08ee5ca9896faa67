//! Whether a reader's Avro schema can read what was written with another: Java Avro's rules, with Confluent's words.
//!
//! | rule | broken where |
//! |---|---|
//! | `NAME_MISMATCH` | a record, enum or fixed has another name, and no alias of the reader's is the writer's full name |
//! | `FIXED_SIZE_MISMATCH` | a fixed has another size |
//! | `MISSING_ENUM_SYMBOLS` | the reader's enum lacks symbols, and has no default |
//! | `READER_FIELD_MISSING_DEFAULT_VALUE` | the writer lacks a field of the reader's that has no default |
//! | `MISSING_UNION_BRANCH` | no branch of the reader's union reads the writer's type |
//! | `TYPE_MISMATCH` | anything else that is no promotion (int, long, float, double; string and bytes) |
//!
//! Places are JSON pointers into the reader's schema (`/fields/1/type`). A pair of types is judged once, so that types may refer
//! to themselves: they are compatible unless proven otherwise.

use super::model::{FieldModel, Id, Kind, Model, Named, Type};
use crate::definition::Incompatibility;
use std::collections::{BTreeSet, HashMap};

/// What keeps `reader` from reading what was written with `writer`.
pub(super) fn incompatibilities(reader: &Model, writer: &Model) -> Vec<Incompatibility> {
    let mut checker = Checker {
        reader,
        writer,
        memo: HashMap::new(),
        verdicts: HashMap::new(),
        path: Vec::new(),
        depth: 0,
        first_only: false,
        found: 0,
    };
    checker.pair(None, reader.root, writer.root)
}

/// Types that refer to one another deeper than so are not followed.
const MAX_DEPTH: usize = 300;
/// After so many faults only whether a pair has any is looked for: types that are named many times multiply theirs.
const MAX_FAULTS: usize = 1000;

struct Checker<'a> {
    reader: &'a Model,
    writer: &'a Model,
    /// What was found of a pair; `None` while it is looked at.
    memo: HashMap<(Id, Id), Option<Vec<Incompatibility>>>,
    /// Whether a pair has faults, where that is all that counts; `false` while it is looked at.
    verdicts: HashMap<(Id, Id), bool>,
    path: Vec<String>,
    depth: usize,
    /// Only whether there are faults counts.
    first_only: bool,
    found: usize,
}

impl<'a> Checker<'a> {
    /// The faults of a pair that stands at `token` within where the check is.
    fn pair(&mut self, token: Option<&str>, reader: Id, writer: Id) -> Vec<Incompatibility> {
        match self.memo.get(&(reader, writer)) {
            Some(Some(known)) => return known.clone(),
            Some(None) if !self.first_only => return Vec::new(),
            _ => {}
        }
        self.path.extend(token.map(str::to_owned));
        let found = if self.first_only {
            self.faulty(reader, writer).then(|| self.too_many()).into_iter().collect()
        } else {
            self.memo.insert((reader, writer), None);
            let found = self.judge_within_depth(reader, writer);
            self.found += found.len();
            self.first_only |= self.found > MAX_FAULTS;
            self.memo.insert((reader, writer), Some(found.clone()));
            found
        };
        if token.is_some() {
            self.path.pop();
        }
        found
    }

    fn judge_within_depth(&mut self, reader: Id, writer: Id) -> Vec<Incompatibility> {
        self.depth += 1;
        let found = if self.depth > MAX_DEPTH { vec![self.too_many()] } else { self.judge(reader, writer) };
        self.depth -= 1;
        found
    }

    fn too_many(&self) -> Incompatibility {
        let about = format!("more than {MAX_FAULTS} faults, or types nested deeper than {MAX_DEPTH}");
        let description = format!(
            "The types of the {{reader}} and {{writer}} schemas do not match (path '{}')",
            self.location()
        );
        self.fault("TYPE_MISMATCH", description, about)
    }

    /// Whether a pair has faults.
    fn faulty(&mut self, reader: Id, writer: Id) -> bool {
        if let Some(known) = self.verdicts.get(&(reader, writer)) {
            return *known;
        }
        self.verdicts.insert((reader, writer), false);
        let path = std::mem::take(&mut self.path);
        let before = std::mem::replace(&mut self.first_only, true);
        let found = !self.judge_within_depth(reader, writer).is_empty();
        self.first_only = before;
        self.path = path;
        self.verdicts.insert((reader, writer), found);
        found
    }

    fn within<T>(&mut self, token: &str, check: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(token.to_owned());
        let result = check(self);
        self.path.pop();
        result
    }

    fn fault(&self, rule: &'static str, description: impl Into<String>, about: String) -> Incompatibility {
        Incompatibility { rule, description: description.into(), additional: Some(about) }
    }

    fn location(&self) -> String {
        let escaped = self.path.iter().map(|token| token.replace('~', "~0").replace('/', "~1"));
        format!("/{}", escaped.collect::<Vec<_>>().join("/"))
    }

    fn judge(&mut self, reader: Id, writer: Id) -> Vec<Incompatibility> {
        let (r, w) = (self.reader.node(reader), self.writer.node(writer));
        match (&r.kind, &w.kind) {
            (Kind::Primitive(a), Kind::Primitive(b)) if a == b || promotes(*b, *a) => Vec::new(),
            (Kind::Array(a), Kind::Array(b)) => self.pair(Some("items"), *a, *b),
            (Kind::Map(a), Kind::Map(b)) => self.pair(Some("values"), *a, *b),
            (Kind::Fixed { named: a, size }, Kind::Fixed { named: b, size: wanted }) => {
                let mut found = self.names(a, b);
                if size != wanted {
                    found.extend(self.within("size", |c| {
                        let description = format!(
                            "The size of FIXED type field at path '{}' in the {{reader}} schema does not match with the \
                             {{writer}} schema",
                            c.location()
                        );
                        let about = format!("expected: {wanted}, found: {size}");
                        Some(c.fault("FIXED_SIZE_MISMATCH", description, about))
                    }));
                }
                found
            }
            (Kind::Enum { named: a, symbols, default }, Kind::Enum { named: b, symbols: written, .. }) => {
                let mut found = self.names(a, b);
                if default.is_none() {
                    found.extend(self.symbols(symbols, written));
                }
                found
            }
            (Kind::Record { named: a, fields, .. }, Kind::Record { named: b, fields: written, .. }) => {
                let mut found = self.names(a, b);
                if found.is_empty() || !self.first_only {
                    found.extend(self.fields(fields, written, writer));
                }
                found
            }
            (Kind::Union(_), Kind::Union(written)) => {
                let mut found = Vec::new();
                for (i, branch) in written.iter().enumerate() {
                    if self.faulty(reader, *branch) {
                        found.extend(self.within(&i.to_string(), |c| Some(c.missing_branch(*branch))));
                    }
                }
                found
            }
            (_, Kind::Union(written)) => {
                let each = written.iter().enumerate();
                each.flat_map(|(i, branch)| self.pair(Some(&i.to_string()), reader, *branch)).collect()
            }
            (Kind::Union(branches), _) => match branches.iter().any(|branch| !self.faulty(*branch, writer)) {
                true => Vec::new(),
                false => vec![self.missing_branch(writer)],
            },
            _ => vec![self.type_mismatch(r.data_type(), w.data_type())],
        }
    }

    fn type_mismatch(&self, reader: Type, writer: Type) -> Incompatibility {
        let description = format!(
            "The type (path '{}') of a field in the {{reader}} schema does not match with the {{writer}} schema",
            self.location()
        );
        let (reader, writer) = (upper(reader), upper(writer));
        let about = format!("reader type: {reader} not compatible with writer type: {writer}");
        self.fault("TYPE_MISMATCH", description, about)
    }

    fn missing_branch(&self, writer: Id) -> Incompatibility {
        let description = format!(
            "The {{reader}} schema is missing a type inside a union field at path '{}' in the {{writer}} schema",
            self.location()
        );
        let of = upper(self.writer.node(writer).data_type());
        self.fault("MISSING_UNION_BRANCH", description, format!("reader union lacking writer type: {of}"))
    }

    fn names(&mut self, reader: &Named, writer: &Named) -> Vec<Incompatibility> {
        if same_name(reader, writer) {
            return Vec::new();
        }
        self.within("name", |c| {
            let description = format!("The name of the schema has changed (path '{}')", c.location());
            vec![c.fault("NAME_MISMATCH", description, format!("expected: {}", writer.name.full()))]
        })
    }

    fn symbols(&mut self, reader: &[String], writer: &[String]) -> Option<Incompatibility> {
        let known: BTreeSet<&String> = reader.iter().collect();
        let missing: BTreeSet<&str> =
            writer.iter().filter(|s| !known.contains(s)).map(String::as_str).collect();
        if missing.is_empty() {
            return None;
        }
        let missing = format!("[{}]", missing.into_iter().collect::<Vec<_>>().join(", "));
        self.within("symbols", |c| {
            let description = format!(
                "The {{reader}} schema is missing enum symbols '{missing}' at path '{}' in the {{writer}} schema",
                c.location()
            );
            Some(c.fault("MISSING_ENUM_SYMBOLS", description, missing.clone()))
        })
    }

    fn fields(&mut self, reader: &[FieldModel], writer: &[FieldModel], record: Id) -> Vec<Incompatibility> {
        let by_name: HashMap<&str, &FieldModel> = writer.iter().map(|f| (f.name.as_str(), f)).collect();
        self.path.push("fields".to_owned());
        let mut found = Vec::new();
        for (i, field) in reader.iter().enumerate() {
            self.path.push(i.to_string());
            let names =
                std::iter::once(&field.name).chain(field.aliases.iter().filter(|a| **a != field.name));
            let mut written = names.filter_map(|name| by_name.get(name.as_str()));
            match (written.next(), written.next()) {
                (Some(written), None) => {
                    found.extend(self.pair(Some("type"), field.schema, written.schema));
                }
                (Some(_), Some(_)) => {
                    let about = format!(
                        "Reader record field {} matches multiple fields in writer record schema",
                        field.name
                    );
                    found.push(self.fault("TYPE_MISMATCH", about.clone(), about));
                }
                (None, _) if field.default.is_some() => {}
                // Java's Avro compares the enum with the record then, which never fits.
                (None, _) if has_enum_default(self.reader, field.schema) => {
                    found.extend(self.pair(Some("type"), field.schema, record));
                }
                (None, _) => {
                    let description = format!(
                        "The field '{}' at path '{}' in the {{reader}} schema has no default value and is missing in the \
                         {{writer}} schema",
                        field.name,
                        self.location()
                    );
                    found.push(self.fault(
                        "READER_FIELD_MISSING_DEFAULT_VALUE",
                        description,
                        field.name.clone(),
                    ));
                }
            }
            self.path.pop();
            if self.first_only && !found.is_empty() {
                break;
            }
        }
        self.path.pop();
        found
    }
}

fn has_enum_default(model: &Model, id: Id) -> bool {
    matches!(model.node(id).kind, Kind::Enum { default: Some(_), .. })
}

/// Names are equal without their namespaces, or the writer's full name is an alias of the reader's.
fn same_name(reader: &Named, writer: &Named) -> bool {
    reader.name.simple == writer.name.simple || reader.aliases.contains(&writer.name)
}

fn promotes(writer: Type, reader: Type) -> bool {
    matches!(
        (writer, reader),
        (Type::Int, Type::Long | Type::Float | Type::Double)
            | (Type::Long, Type::Float | Type::Double)
            | (Type::Float, Type::Double)
            | (Type::String, Type::Bytes)
            | (Type::Bytes, Type::String)
    )
}

fn upper(data_type: Type) -> String {
    data_type.name().to_ascii_uppercase()
}
