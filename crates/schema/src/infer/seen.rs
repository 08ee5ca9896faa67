//! What was seen of a field.

use super::node::{Kind, Node};
use super::{InferNote, InferOptions};
use crate::numeric;
use crate::temporal;
use crate::{DataType, Field, Schema};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::Arc;

/// Doubles hold whole numbers up to here exactly.
const EXACT: u64 = 1 << 53;

/// Counts of the values of a field, by what they are.
#[derive(Debug, Default)]
pub(super) struct Seen {
    nulls: u64,
    booleans: u64,
    /// Whole numbers of 64 bits with sign.
    integers: u64,
    /// Greater ones.
    big: u64,
    /// Of the whole numbers those that a double does not hold exactly.
    inexact: u64,
    doubles: u64,
    strings: Strings,
    arrays: u64,
    items: Option<Box<Seen>>,
    objects: u64,
    names: Names,
    /// Values that are nested too deeply.
    deep: u64,
    /// What files say that it is, how many of them, and whether it may be null.
    declared: Option<DataType>,
    declarations: u64,
    nullable: bool,
}

/// Strings, by what they look like.
#[derive(Debug, Default)]
struct Strings {
    all: u64,
    dates: u64,
    times: u64,
    /// Dates among them.
    timestamps: u64,
    /// Timestamps without a zone.
    local: u64,
    /// Timestamps and times with more than three digits of a second.
    fine: u64,
    /// Timestamps as RFC 3339 has them.
    rfc3339: u64,
    /// Numbers with leading zeros.
    zeros: u64,
    /// Empty ones in quotes, of a delimited file.
    empty: u64,
}

/// The members of objects, in the order in which they were first seen.
#[derive(Debug, Default)]
struct Names {
    members: Vec<(String, Seen)>,
    places: HashMap<String, usize>,
    /// Of objects that are maps: what all their values are.
    values: Option<Box<Seen>>,
}

impl Names {
    fn member(&mut self, name: &str, max: usize) -> &mut Seen {
        if self.values.is_none() && self.members.len() >= max && !self.places.contains_key(name) {
            let mut all = Seen::default();
            self.members.drain(..).for_each(|(_, seen)| all.absorb(seen));
            self.places.clear();
            self.values = Some(Box::new(all));
        }
        if let Some(values) = &mut self.values {
            return values;
        }
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => {
                self.places.insert(name.to_owned(), self.members.len());
                self.members.push((name.to_owned(), Seen::default()));
                self.members.len() - 1
            }
        };
        &mut self.members[place].1
    }
}

impl Strings {
    fn take(&mut self, text: &str, options: &InferOptions) {
        self.all += 1;
        if !options.dates || text.len() < 8 || !text.as_bytes()[0].is_ascii_digit() {
            return;
        }
        let fine = || {
            text.find('.').is_some_and(|at| {
                text[at + 1..].bytes().take_while(u8::is_ascii_digit).skip(3).any(|digit| digit != b'0')
            })
        };
        if temporal::date(text).is_some() {
            self.dates += 1;
            self.timestamps += 1;
            self.local += 1;
        } else if temporal::timestamp(text).is_some() {
            self.timestamps += 1;
            self.fine += u64::from(fine());
            let zone = &text[16.min(text.len())..];
            let local = !zone.contains(['Z', '+', '-']);
            self.local += u64::from(local);
            let offset =
                zone.ends_with('Z') || zone.rfind(['+', '-']).is_some_and(|at| zone[at..].len() == 6);
            let whole = text.as_bytes().get(10) == Some(&b'T') && text.as_bytes().get(16) == Some(&b':');
            self.rfc3339 += u64::from(whole && offset);
        } else if text.as_bytes().get(5) == Some(&b':') && temporal::time(text).is_some() {
            self.times += 1;
            self.fine += u64::from(fine());
        }
    }

    fn absorb(&mut self, other: &Self) {
        self.all += other.all;
        self.dates += other.dates;
        self.times += other.times;
        self.timestamps += other.timestamps;
        self.local += other.local;
        self.fine += other.fine;
        self.rfc3339 += other.rfc3339;
        self.zeros += other.zeros;
        self.empty += other.empty;
    }
}

impl Seen {
    pub(super) fn is_seen(&self) -> bool {
        self.present() > 0 || self.declared.is_some() || self.objects > 0
    }

    /// Takes a JSON value.
    pub(super) fn json(&mut self, json: &Json, options: &InferOptions, depth: usize) {
        match json {
            Json::Null => self.nulls += 1,
            Json::Bool(_) => self.booleans += 1,
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(whole), _) => {
                    self.integers += 1;
                    self.inexact += u64::from(whole.unsigned_abs() > EXACT);
                }
                (None, Some(_)) if options.decimals => {
                    self.big += 1;
                    self.inexact += 1;
                }
                _ => self.doubles += 1,
            },
            Json::String(text) => self.strings.take(text, options),
            Json::Array(_) | Json::Object(_) if depth >= options.max_depth => self.deep += 1,
            Json::Array(items) => {
                self.arrays += 1;
                let seen = self.items.get_or_insert_default();
                items.iter().for_each(|item| seen.json(item, options, depth + 1));
            }
            Json::Object(members) => {
                self.objects += 1;
                for (name, value) in members {
                    self.names.member(name, options.max_names).json(value, options, depth + 1);
                }
            }
        }
    }

    /// Takes a record of texts.
    pub(super) fn texts<'a>(
        &mut self,
        cells: impl IntoIterator<Item = (&'a str, &'a str, bool)>,
        options: &InferOptions,
    ) {
        self.objects += 1;
        for (name, text, quoted) in cells {
            self.names.member(name, options.max_names).text(text, quoted, options);
        }
    }

    fn text(&mut self, text: &str, quoted: bool, options: &InferOptions) {
        // As what is no string is read: blanks around it do not count.
        let trimmed = text.trim();
        if trimmed.is_empty() {
            match quoted || !text.is_empty() {
                true => self.strings.empty += 1,
                false => self.nulls += 1,
            }
            return;
        }
        if trimmed.eq_ignore_ascii_case("true") || trimmed.eq_ignore_ascii_case("false") {
            self.booleans += 1;
            return;
        }
        let digits = trimmed.strip_prefix('-').unwrap_or(trimmed);
        let padded = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
        match numeric::double(trimmed) {
            Ok(_) if padded => {
                self.strings.all += 1;
                self.strings.zeros += 1;
            }
            Ok(_) if trimmed.starts_with('+') => self.strings.all += 1,
            Ok(_) => match trimmed.parse::<i64>() {
                Ok(whole) => {
                    self.integers += 1;
                    self.inexact += u64::from(whole.unsigned_abs() > EXACT);
                }
                Err(_) if digits.bytes().all(|b| b.is_ascii_digit()) => match trimmed.parse::<u64>() {
                    Ok(_) if options.decimals => {
                        self.big += 1;
                        self.inexact += 1;
                    }
                    // An account, not a quantity.
                    _ => self.strings.all += 1,
                },
                Err(_) => self.doubles += 1,
            },
            Err(_) => self.strings.take(trimmed, options),
        }
    }

    /// Takes records of columns whose types are known.
    pub(super) fn declared_record(&mut self, schema: &Schema, required: &[bool]) {
        self.objects += 1;
        for (i, field) in schema.fields.iter().enumerate() {
            let seen = self.names.member(&field.name, usize::MAX);
            seen.declare(&field.data_type);
            seen.declarations += 1;
            seen.nullable |= !required.get(i).copied().unwrap_or(false);
        }
    }

    fn declare(&mut self, data_type: &DataType) {
        self.declared = Some(match self.declared.take() {
            None => data_type.clone(),
            Some(before) => common(&before, data_type).unwrap_or(DataType::Varchar),
        });
    }

    fn absorb(&mut self, other: Self) {
        self.nulls += other.nulls;
        self.booleans += other.booleans;
        self.integers += other.integers;
        self.big += other.big;
        self.inexact += other.inexact;
        self.doubles += other.doubles;
        self.strings.absorb(&other.strings);
        self.arrays += other.arrays;
        self.deep += other.deep;
        if let Some(items) = other.items {
            self.items.get_or_insert_default().absorb(*items);
        }
        self.objects += other.objects;
        for (name, seen) in other.names.members {
            self.names.member(&name, usize::MAX).absorb(seen);
        }
        if let Some(values) = other.names.values {
            self.names.values.get_or_insert_default().absorb(*values);
        }
        if let Some(declared) = other.declared {
            self.declare(&declared);
        }
        self.declarations += other.declarations;
        self.nullable |= other.nullable;
    }

    /// Values that are not null; an empty text counts only beside strings.
    fn present(&self) -> u64 {
        self.booleans
            + self.integers
            + self.big
            + self.doubles
            + self.strings.all
            + self.arrays
            + self.objects
            + self.deep
    }

    /// What the values have in common.
    pub(super) fn resolve(self, path: &str, notes: &mut Vec<InferNote>) -> Node {
        let nullable = self.nulls > 0 || self.nullable;
        let empty = self.strings.empty;
        let declared = self.declared.clone();
        let observed = self.present() > 0 || empty > 0 && declared.is_none();
        let mut node = match (declared, observed) {
            (Some(declared), false) => Node::declared(&declared),
            (None, true) => self.observed(path, notes),
            (Some(declared), true) => {
                let other = self.observed(path, notes);
                match common(&declared, &other.data_type()) {
                    Some(both) => Node { nullable: other.nullable, ..Node::declared(&both) },
                    None => {
                        note(
                            notes,
                            path,
                            format!("{declared} in one file, {} in another: kept as text", other.data_type()),
                        );
                        Node { nullable: other.nullable, ..Node::of(Kind::Any(Vec::new())) }
                    }
                }
            }
            (None, false) => {
                note(notes, path, "nothing but nulls was seen: taken as text");
                Node::of(Kind::Nothing)
            }
        };
        node.nullable |= nullable;
        node
    }

    /// The kinds of values, each with how many there were.
    fn kinds(&self) -> Vec<(&'static str, &'static str, u64)> {
        let numbers = if self.doubles > 0 { "number" } else { "integer" };
        let all = [
            ("booleans", "boolean", self.booleans),
            ("numbers", numbers, self.integers + self.big + self.doubles),
            ("strings", "string", self.strings.all),
            ("arrays", "array", self.arrays),
            ("objects", "object", self.objects),
            ("values nested too deeply", "object", self.deep),
        ];
        all.into_iter().filter(|(.., count)| *count > 0).collect()
    }

    fn observed(self, path: &str, notes: &mut Vec<InferNote>) -> Node {
        let kinds = self.kinds();
        if kinds.len() > 1 || self.deep > 0 {
            let counts: Vec<String> = kinds.iter().map(|(name, _, n)| format!("{n} {name}")).collect();
            note(notes, path, format!("{}: kept as text", counts.join(", ")));
            let names = kinds.iter().map(|(_, name, _)| *name).collect();
            return Node::of(Kind::Any(names));
        }
        // An empty text is no value of another type.
        let empty = self.strings.empty > 0;
        let mut node = if self.booleans > 0 {
            Node::leaf(DataType::Boolean)
        } else if self.integers + self.big + self.doubles > 0 {
            self.number(path, notes)
        } else if self.arrays > 0 {
            let items = self.items.unwrap_or_default();
            let path = format!("{path}[]");
            let nothing = !items.is_seen() && items.nulls == 0;
            let items = if nothing {
                note(notes, &path, "no elements were seen: taken as text");
                Node::of(Kind::Nothing)
            } else {
                items.resolve(&path, notes)
            };
            Node::of(Kind::Array(Box::new(items)))
        } else if self.objects > 0 {
            return self.object(path, notes);
        } else {
            return self.strings.resolve(path, notes);
        };
        node.nullable |= empty;
        node
    }

    fn number(&self, path: &str, notes: &mut Vec<InferNote>) -> Node {
        let whole = self.integers + self.big;
        if self.doubles > 0 {
            if self.inexact > 0 {
                let text = format!(
                    "{} fractions and {whole} whole numbers, {} of them beyond 2^53, whose last digits a double loses",
                    self.doubles, self.inexact
                );
                note(notes, path, text);
            } else if whole > 0 {
                note(notes, path, format!("{} fractions and {whole} whole numbers: double", self.doubles));
            }
            return Node::leaf(DataType::Double);
        }
        if self.big > 0 {
            note(notes, path, format!("{} numbers beyond 2^63 - 1: decimal of 20 digits", self.big));
            return Node::leaf(DataType::Decimal(20, 0));
        }
        Node::leaf(DataType::BigInt)
    }

    fn object(self, path: &str, notes: &mut Vec<InferNote>) -> Node {
        if let Some(values) = self.names.values {
            note(notes, path, "too many names for a record: taken as a map");
            let values = values.resolve(&format!("{path}{{}}"), notes);
            return Node::of(Kind::Map(Box::new(values)));
        }
        let objects = self.objects;
        let mut members = Vec::with_capacity(self.names.members.len());
        for (name, seen) in self.names.members {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let there = seen.present() + seen.nulls + seen.strings.empty + seen.declarations;
            let absent = there < objects;
            let mut node = seen.resolve(&path, notes);
            node.absent = absent;
            members.push((name, node));
        }
        Node::of(Kind::Struct(members))
    }
}

impl Strings {
    fn resolve(&self, path: &str, notes: &mut Vec<InferNote>) -> Node {
        let all = self.all;
        let text = |notes: &mut Vec<InferNote>, why: String| {
            note(notes, path, why);
            Node::leaf(DataType::Varchar)
        };
        // Of a text in which only empty ones stand nothing else is known.
        let mut node = if all == 0 {
            return Node::leaf(DataType::Varchar);
        } else if self.dates == all {
            note(notes, path, format!("{all} dates (yyyy-MM-dd)"));
            Node::leaf(DataType::Date)
        } else if self.times == all && self.fine == 0 {
            note(notes, path, format!("{all} times of day (HH:mm:ss)"));
            Node::leaf(DataType::Time)
        } else if self.timestamps == all {
            let zone = match self.local {
                0 => String::new(),
                local if local == all => ", without a zone: taken as UTC".to_owned(),
                local => format!(", {local} of them without a zone: taken as UTC"),
            };
            let fine = match self.fine {
                0 => String::new(),
                fine => format!("; {fine} have parts of a millisecond, which bd's TIMESTAMP cuts"),
            };
            note(notes, path, format!("{all} timestamps (ISO 8601){zone}{fine}"));
            Node::of(Kind::Timestamp { fine: self.fine > 0, rfc3339: self.rfc3339 == all })
        } else if self.zeros > 0 {
            return text(notes, format!("{} numbers have leading zeros: kept as text", self.zeros));
        } else if self.times == all {
            return text(notes, format!("{all} times of day with parts of a millisecond: kept as text"));
        } else if self.timestamps > 0 {
            let other = all - self.timestamps;
            return text(
                notes,
                format!("{} dates or timestamps, {other} other strings: text", self.timestamps),
            );
        } else {
            return Node::leaf(DataType::Varchar);
        };
        node.nullable |= self.empty > 0;
        node
    }
}

fn note(notes: &mut Vec<InferNote>, path: &str, text: impl Into<String>) {
    notes.push(InferNote { path: path.to_owned(), text: text.into() });
}

/// A type that holds the values of both.
fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType as T;
    Some(match (a, b) {
        (a, b) if a == b => a.clone(),
        (T::Integer, T::BigInt) | (T::BigInt, T::Integer) => T::BigInt,
        (T::Double, T::Integer | T::BigInt) | (T::Integer | T::BigInt, T::Double) => T::Double,
        (T::Date, T::Timestamp) | (T::Timestamp, T::Date) => return None,
        (T::Array(a), T::Array(b)) => T::Array(Arc::new(common(a, b)?)),
        (T::Map(a), T::Map(b)) => T::Map(Arc::new(common(a, b)?)),
        (T::Struct(a), T::Struct(b)) => {
            let mut fields = Vec::with_capacity(a.len());
            for field in a.iter() {
                let other = b.iter().find(|f| f.name == field.name);
                let data_type = match other {
                    Some(other) => common(&field.data_type, &other.data_type)?,
                    None => field.data_type.clone(),
                };
                fields.push(Field::new(field.name.clone(), data_type));
            }
            fields.extend(b.iter().filter(|f| !a.iter().any(|g| g.name == f.name)).cloned());
            T::Struct(fields.into())
        }
        _ => return None,
    })
}
