//! Compiles a [`Plan`](super::plan::Plan): how a datum of one writer's schema becomes values of one target.
//!
//! Fields match columns by name: as spelled (also as the name is scrubbed for Avro), then without regard to case. What the target
//! does not name is skipped; what the writer does not have is NULL. A writer's type that the target's type cannot be read from is no
//! error until a value of it comes: then it is that record's.
//!
//! With a reader's schema beside the columns, its aliases, defaults of fields, defaults of enums and branches of unions count, too.

use super::declare::field_name;
use super::derive::{branch_name, entries};
use super::parse::{AvroError, Names, default_of, default_symbol};
use super::plan::{Read, RecordPlan, Root, Skip, Step, Unit};
use super::wire::Wire;
use super::{defaults, resolve, rows};
use crate::{DataType, Field, Role, Value};
use apache_avro::Schema as Avro;
use apache_avro::schema::{
    EnumSchema, InnerDecimalSchema, Name, RecordField, RecordSchema, UnionSchema, UuidSchema,
};
use serde_json::Value as Json;
use std::collections::HashMap;

/// A compilation under way.
pub(super) struct Compiler<'a> {
    names: &'a Names<'a>,
    /// The reader's.
    of_reader: Option<&'a Names<'a>>,
    /// Nothing is passed over: what has no target is refused unless it is null or empty.
    pub(super) whole: bool,
    places: HashMap<Name, usize>,
    /// `None` while it is compiled.
    named: Vec<Option<Skip>>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(names: &'a Names<'a>, of_reader: Option<&'a Names<'a>>) -> Self {
        Self { names, of_reader, whole: false, places: HashMap::new(), named: Vec::new() }
    }

    pub(super) fn skips(self) -> Vec<Skip> {
        self.named.into_iter().map(|skip| skip.unwrap_or(Skip::Nothing)).collect()
    }

    /// How a value that has no place in a row is passed over, when nothing may be lost.
    fn beyond(&self, avro: &'a Avro) -> Skip {
        match avro {
            Avro::Null => Skip::Nothing,
            Avro::Array(_) | Avro::Map(_) => Skip::Empty,
            Avro::Union(union) => Skip::Union(union.variants().iter().map(|b| self.beyond(b)).collect()),
            _ => Skip::Deep,
        }
    }

    /// What of the reader's type belongs to the writer's: of a union the branch.
    fn counterpart(&self, by: Option<&'a Avro>, writer: &Avro) -> Result<Option<&'a Avro>, AvroError> {
        let (Some(by), Some(names)) = (by, self.of_reader) else { return Ok(None) };
        match names.resolve(by)? {
            Avro::Union(union) if !matches!(writer, Avro::Union(_)) => resolve::branch(names, union, writer),
            other => Ok(Some(other)),
        }
    }

    pub(super) fn root(
        &mut self,
        avro: &'a Avro,
        by: Option<&'a Avro>,
        fields: &[Field],
        role: Role,
    ) -> Result<Root, AvroError> {
        match (avro, fields) {
            (Avro::Record(record), [only]) if role == Role::Key && !has(record, only) => {
                match only.data_type {
                    DataType::Struct(_) => Ok(Root::Bare(self.read(avro, by, &only.data_type)?)),
                    _ => Ok(Root::Refused(format!("the key is a record without the field {}", only.name))),
                }
            }
            (Avro::Record(_), [only]) if self.is_one_of_several(by, &only.data_type)? => {
                Ok(Root::Bare(self.read(avro, by, &only.data_type)?))
            }
            (Avro::Record(record), _) => {
                let by = self.counterpart(by, avro)?;
                Ok(Root::Record(self.record(record, by, fields)?))
            }
            (Avro::Union(union), _) if !self.is_bare(union, by, fields)? => {
                let mut branches = Vec::with_capacity(union.variants().len());
                for branch in union.variants() {
                    branches.push(match self.names.resolve(branch)? {
                        Avro::Null => Root::Refused("the datum is null".into()),
                        branch => self.root(branch, by, fields, role)?,
                    });
                }
                Ok(Root::Union(branches))
            }
            (_, [only]) => Ok(Root::Bare(self.read(avro, by, &only.data_type)?)),
            _ => {
                let columns: Vec<&str> = fields.iter().map(|f| f.name.as_str()).collect();
                Ok(Root::Refused(format!(
                    "a record with the columns {} wanted, the writer's schema is {}",
                    columns.join(", "),
                    branch_name(avro)
                )))
            }
        }
    }

    /// Whether the reader's type is a union that the target is Connect's form of.
    fn is_one_of_several(&self, by: Option<&'a Avro>, target: &DataType) -> Result<bool, AvroError> {
        let (Some(by), Some(names)) = (by, self.of_reader) else { return Ok(false) };
        Ok(matches!(names.resolve(by)?, Avro::Union(union) if is_of_several(union, target)))
    }

    /// Whether a union is the value of the only column, not one of records of columns.
    fn is_bare(
        &self,
        union: &'a UnionSchema,
        by: Option<&'a Avro>,
        fields: &[Field],
    ) -> Result<bool, AvroError> {
        let [only] = fields else { return Ok(false) };
        if self.is_one_of_several(by, &only.data_type)? {
            return Ok(true);
        }
        for branch in union.variants() {
            if matches!(self.names.resolve(branch)?, Avro::Record(_)) {
                return Ok(is_of_branches(union, &only.data_type));
            }
        }
        Ok(true)
    }

    fn record(
        &mut self,
        record: &'a RecordSchema,
        by: Option<&'a Avro>,
        fields: &[Field],
    ) -> Result<RecordPlan, AvroError> {
        let names: Vec<&str> = record.fields.iter().map(|f| f.name.as_str()).collect();
        let reader = match by {
            Some(Avro::Record(reader)) => Some(reader),
            _ => None,
        };
        let of_reader: Vec<Option<&'a RecordField>> =
            fields.iter().map(|f| field_of(reader, &f.name)).collect();
        let source = |(field, of): (&Field, &Option<&'a RecordField>)| {
            of.and_then(|of| resolve::source(record, of)).or_else(|| find(&names, &field.name))
        };
        let of_target: Vec<Option<usize>> = fields.iter().zip(&of_reader).map(source).collect();
        let mut steps: Vec<Step> = Vec::with_capacity(names.len());
        for (at, from) in record.fields.iter().enumerate() {
            // Of two columns that differ in case the one that is spelled so.
            let all = (0..fields.len()).filter(|field| of_target[*field] == Some(at));
            match all.min_by_key(|field| fields[*field].name != from.name) {
                Some(field) => {
                    let by = of_reader[field].map(|f| &f.schema);
                    let read = self.read(&from.schema, by, &fields[field].data_type)?;
                    steps.push(Step::Read { field, read });
                }
                None if self.whole => steps.push(Step::Skip(self.beyond(&from.schema))),
                None => match self.skip(&from.schema)? {
                    Skip::Nothing => {}
                    skip => steps.push(Step::Skip(skip)),
                },
            }
        }
        let is_read =
            |field: usize| steps.iter().any(|s| matches!(s, Step::Read { field: f, .. } if *f == field));
        let (mut absent, mut defaults) = (Vec::new(), Vec::new());
        for field in (0..fields.len()).filter(|field| !is_read(*field)) {
            match of_reader[field].and_then(|of| Some((of, default_of(of)?))) {
                Some((of, default)) => {
                    let value = self.default_value(of, default, &fields[field].data_type);
                    let value = value.map_err(|e| AvroError::new(format!("field {}: {e}", of.name)))?;
                    defaults.push((field, value));
                }
                None => absent.push(field),
            }
        }
        Ok(RecordPlan { steps, absent, defaults })
    }

    /// The value of a reader's default.
    fn default_value(
        &self,
        field: &'a RecordField,
        default: &Json,
        target: &DataType,
    ) -> Result<Value, AvroError> {
        let Some(names) = self.of_reader else { return Ok(Value::Null) };
        let mut bytes = Vec::new();
        defaults::encode(names, &field.schema, default, &mut bytes)?;
        let mut compiler = Compiler::new(names, None);
        let read = compiler.read(&field.schema, None, target)?;
        rows::value(&mut Wire::new(&bytes), &read, target, &compiler.skips())
            .map_err(|e| AvroError::new(format!("its default: {}", e.reason())))
    }

    fn read(&mut self, avro: &'a Avro, by: Option<&'a Avro>, target: &DataType) -> Result<Read, AvroError> {
        use DataType as T;
        let avro = self.names.resolve(avro)?;
        if let Some(read) = self.one_of_several(avro, by, target)? {
            return Ok(read);
        }
        let by = self.counterpart(by, avro)?;
        let number = matches!(target, T::Integer | T::BigInt | T::Double | T::Decimal(..) | T::Varchar);
        let temporal = matches!(target, T::Date | T::Time | T::Timestamp);
        let text = matches!(target, T::Varchar | T::Bytes) || temporal;
        Ok(match (avro, target) {
            (Avro::Null, _) => Read::Null,
            (Avro::Union(union), _) => self.union(union, by, target)?,
            (Avro::Boolean, T::Boolean | T::Varchar) => Read::Boolean,
            (Avro::Int | Avro::Long, _) if number || temporal => Read::Whole(Unit::Plain),
            (Avro::Date, T::Date | T::Integer | T::BigInt) => Read::Whole(Unit::Plain),
            (Avro::TimeMillis, T::Time)
            | (Avro::TimestampMillis | Avro::LocalTimestampMillis, T::Timestamp) => Read::Whole(Unit::Millis),
            (Avro::TimeMicros, T::Time)
            | (Avro::TimestampMicros | Avro::LocalTimestampMicros, T::Timestamp) => Read::Whole(Unit::Micros),
            (Avro::TimestampNanos | Avro::LocalTimestampNanos, T::Timestamp) => Read::Whole(Unit::Nanos),
            // Whoever declares a number gets it as it is written.
            (
                Avro::TimeMillis
                | Avro::TimeMicros
                | Avro::TimestampMillis
                | Avro::TimestampMicros
                | Avro::TimestampNanos
                | Avro::LocalTimestampMillis
                | Avro::LocalTimestampMicros
                | Avro::LocalTimestampNanos,
                T::Integer | T::BigInt,
            ) => Read::Whole(Unit::Plain),
            (Avro::Float, T::Double | T::Varchar) => Read::Float,
            (Avro::Double, T::Double | T::Varchar) => Read::Double,
            (Avro::String | Avro::Uuid(UuidSchema::String), _) if text => Read::Text,
            (Avro::Bytes | Avro::BigDecimal | Avro::Uuid(UuidSchema::Bytes), T::Bytes) => Read::Binary,
            (Avro::Bytes, T::Varchar) => Read::Text,
            (Avro::Fixed(of) | Avro::Duration(of) | Avro::Uuid(UuidSchema::Fixed(of)), T::Bytes) => {
                Read::Fixed(of.size)
            }
            (Avro::Uuid(UuidSchema::Fixed(of)), T::Varchar) if of.size == 16 => Read::Uuid,
            (Avro::Enum(writer), T::Varchar) => Read::Symbols(symbols(writer, by)),
            (Avro::Decimal(decimal), T::Decimal(..) | T::Double | T::Varchar) => {
                let fixed = fixed_size(&decimal.inner);
                Read::Decimal { fixed, scale: i32::try_from(decimal.scale).unwrap_or(i32::MAX) }
            }
            (Avro::Decimal(decimal), T::Bytes) => {
                fixed_size(&decimal.inner).map_or(Read::Binary, Read::Fixed)
            }
            (Avro::Array(array), T::Array(element)) => {
                let by = match by {
                    Some(Avro::Array(by)) => Some(&*by.items),
                    _ => None,
                };
                let item = Box::new(self.read(&array.items, by, element)?);
                Read::Array { item, free: self.takes_nothing(&array.items) }
            }
            (Avro::Array(array), T::Map(value)) => match self.names.resolve(&array.items)? {
                Avro::Record(entry) if entries_of(entry).is_some() => {
                    let key = Box::new(self.read(&entry.fields[0].schema, None, &T::Varchar)?);
                    Read::Entries { key, value: Box::new(self.read(&entry.fields[1].schema, None, value)?) }
                }
                _ => refused(avro, target),
            },
            (Avro::Map(map), T::Map(value)) => {
                let by = match by {
                    Some(Avro::Map(by)) => Some(&*by.types),
                    _ => None,
                };
                Read::Map(Box::new(self.read(&map.types, by, value)?))
            }
            (Avro::Record(record), T::Struct(fields)) => Read::Record(self.record(record, by, fields)?),
            _ => refused(avro, target),
        })
    }

    /// A type that is none of several itself, into Connect's form of the reader's union.
    fn one_of_several(
        &mut self,
        avro: &'a Avro,
        by: Option<&'a Avro>,
        target: &DataType,
    ) -> Result<Option<Read>, AvroError> {
        let (DataType::Struct(fields), Some(by), Some(names)) = (target, by, self.of_reader) else {
            return Ok(None);
        };
        let Avro::Union(union) = names.resolve(by)? else { return Ok(None) };
        if matches!(avro, Avro::Union(_) | Avro::Null) || !is_of_several(union, target) {
            return Ok(None);
        }
        let branch = resolve::branch(names, union, avro)?;
        let found = branch.and_then(|b| Some((b, fields.iter().position(|f| f.name == branch_name(b))?)));
        Ok(Some(match found {
            Some((branch, field)) => {
                Read::Branch(field, Box::new(self.read(avro, Some(branch), &fields[field].data_type)?))
            }
            None => refused(avro, target),
        }))
    }

    fn union(
        &mut self,
        union: &'a UnionSchema,
        by: Option<&'a Avro>,
        target: &DataType,
    ) -> Result<Read, AvroError> {
        let branches = union.variants();
        let null = branches.iter().position(|b| matches!(b, Avro::Null));
        if let (Some(null), [a, b]) = (null, branches) {
            let inner = self.read(if null == 0 { b } else { a }, by, target)?;
            return Ok(Read::Nullable(null, Box::new(inner)));
        }
        if self.is_one_of_several(by, target)? {
            let reads = branches.iter().map(|b| self.read(b, by, target)).collect::<Result<_, _>>()?;
            return Ok(Read::Union(reads));
        }
        if let DataType::Struct(fields) = target
            && is_of_branches(union, target)
        {
            let mut reads = Vec::with_capacity(branches.len());
            for branch in branches {
                reads.push(match fields.iter().position(|f| f.name == branch_name(branch)) {
                    Some(field) => Some((field, self.read(branch, None, &fields[field].data_type)?)),
                    None if matches!(branch, Avro::Null) => None,
                    None => Some((0, refused(branch, target))),
                });
            }
            return Ok(Read::Branches(reads));
        }
        let reads = branches.iter().map(|b| self.read(b, by, target)).collect::<Result<_, _>>()?;
        Ok(Read::Union(reads))
    }

    fn skip(&mut self, avro: &'a Avro) -> Result<Skip, AvroError> {
        Ok(match avro {
            Avro::Null => Skip::Nothing,
            Avro::Boolean => Skip::Fixed(1),
            Avro::Float => Skip::Fixed(4),
            Avro::Double => Skip::Fixed(8),
            Avro::Bytes
            | Avro::String
            | Avro::BigDecimal
            | Avro::Uuid(UuidSchema::String | UuidSchema::Bytes) => Skip::Bytes,
            Avro::Fixed(of) | Avro::Duration(of) | Avro::Uuid(UuidSchema::Fixed(of)) => Skip::Fixed(of.size),
            Avro::Decimal(decimal) => fixed_size(&decimal.inner).map_or(Skip::Bytes, Skip::Fixed),
            Avro::Array(array) => {
                Skip::Array(Box::new(self.skip(&array.items)?), self.takes_nothing(&array.items))
            }
            Avro::Map(map) => Skip::Map(Box::new(self.skip(&map.types)?)),
            Avro::Union(union) => {
                Skip::Union(union.variants().iter().map(|b| self.skip(b)).collect::<Result<_, _>>()?)
            }
            Avro::Record(record) => {
                Skip::Record(record.fields.iter().map(|f| self.skip(&f.schema)).collect::<Result<_, _>>()?)
            }
            Avro::Ref { name } => {
                if let Some(place) = self.places.get(name) {
                    return Ok(Skip::Named(*place));
                }
                let place = self.named.len();
                self.places.insert(name.clone(), place);
                self.named.push(None);
                let skip = self.skip(self.names.resolve(avro)?)?;
                self.named[place] = Some(skip);
                Skip::Named(place)
            }
            // All others are numbers.
            _ => Skip::Varint,
        })
    }

    /// Whether a value may take no bytes.
    fn takes_nothing(&self, avro: &'a Avro) -> bool {
        self.takes_nothing_within(avro, &mut 0)
    }

    /// Types that refer to themselves, or many times to others, are taken to.
    fn takes_nothing_within(&self, avro: &'a Avro, seen: &mut usize) -> bool {
        *seen += 1;
        match self.names.resolve(avro) {
            _ if *seen > 1000 => true,
            Ok(Avro::Null) => true,
            Ok(Avro::Fixed(of)) => of.size == 0,
            Ok(Avro::Decimal(of)) => fixed_size(&of.inner) == Some(0),
            Ok(Avro::Record(record)) => {
                record.fields.iter().all(|f| self.takes_nothing_within(&f.schema, seen))
            }
            _ => false,
        }
    }
}

/// Whether the type is Connect's form of the union: a struct with a field for each branch.
fn is_of_branches(union: &UnionSchema, target: &DataType) -> bool {
    let is_branch = |f: &Field| union.variants().iter().any(|b| branch_name(b) == f.name);
    matches!(target, DataType::Struct(fields) if !fields.is_empty() && fields.iter().all(is_branch))
}

/// The same of a union that is more than a type and null, and not of numbers only.
fn is_of_several(union: &UnionSchema, target: &DataType) -> bool {
    let several = union.variants().iter().filter(|b| !matches!(b, Avro::Null)).count() > 1;
    several && is_of_branches(union, target)
}

/// What each of the writer's symbols is to the reader.
fn symbols(writer: &EnumSchema, by: Option<&Avro>) -> Vec<Result<String, String>> {
    let Some(Avro::Enum(reader)) = by else { return writer.symbols.iter().cloned().map(Ok).collect() };
    let known = |symbol: &String| match default_symbol(reader) {
        _ if reader.symbols.contains(symbol) => Ok(symbol.clone()),
        Some(default) => Ok(default.to_owned()),
        None => Err(format!("No match for {symbol}: the reader's enum does not have it, and has no default")),
    };
    writer.symbols.iter().map(known).collect()
}

/// The field of a reader's record that a column is of.
fn field_of<'a>(reader: Option<&'a RecordSchema>, column: &str) -> Option<&'a RecordField> {
    let reader = reader?;
    let names: Vec<&str> = reader.fields.iter().map(|f| f.name.as_str()).collect();
    find(&names, column).map(|at| &reader.fields[at])
}

fn has(record: &RecordSchema, column: &Field) -> bool {
    let names: Vec<&str> = record.fields.iter().map(|f| f.name.as_str()).collect();
    find(&names, &column.name).is_some()
}

fn find(names: &[&str], wanted: &str) -> Option<usize> {
    let scrubbed = field_name(wanted);
    let exact = names.iter().position(|n| *n == wanted || *n == scrubbed);
    exact.or_else(|| names.iter().position(|n| n.eq_ignore_ascii_case(&scrubbed)))
}

fn entries_of(record: &RecordSchema) -> Option<()> {
    let [key, value] = record.fields.as_slice() else { return None };
    (key.name == "key" && value.name == "value").then_some(())
}

fn fixed_size(inner: &InnerDecimalSchema) -> Option<usize> {
    match inner {
        InnerDecimalSchema::Bytes => None,
        InnerDecimalSchema::Fixed(of) => Some(of.size),
    }
}

fn refused(avro: &Avro, target: &DataType) -> Read {
    Read::Refused(format!("{target} wanted, the writer's type is {}", describe(avro)))
}

fn describe(avro: &Avro) -> String {
    match avro {
        Avro::Record(r) => format!("the record {}", r.name.name()),
        Avro::Array(a) if entries(&a.items).is_some() => "map".into(),
        Avro::Decimal(d) => format!("decimal({}, {})", d.precision, d.scale),
        Avro::Date => "date".into(),
        Avro::TimeMillis | Avro::TimeMicros => "a time of day".into(),
        Avro::TimestampMillis | Avro::TimestampMicros | Avro::TimestampNanos => "timestamp".into(),
        other => branch_name(other).to_owned(),
    }
}
