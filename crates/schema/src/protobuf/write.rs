//! From rows and Arrow to messages of one schema, in the order of the fields' numbers, as `protoc`'s own code writes them.

use super::ast::{FieldDecl, Label, OneofDecl, ProtoFile, Syntax, all_fields, is_set, option};
use super::link::{Resolved, Scalar, Types};
use super::plan::{enumeration, find, has_presence, of_field, only_list, wrapped};
use super::put::{BYTES, VARINT, is_default, put_key, put_numbers, put_scalar, put_tag, wire_type};
use super::scalar::Leaf;
use super::source::Source;
use super::wire::{put_bytes, put_delimited, put_varint};
use crate::definition::InvalidSchema;
use crate::failure::{Failure, Fallible, abridged};
use crate::numeric::shortest;
use crate::temporal::civil_of;
use crate::{DataType, Field};
use std::collections::HashMap;

/// How a value is written.
enum Kind {
    Scalar(Scalar),
    /// Numbers by name.
    Enum(HashMap<String, i32>),
    Wrapper(Scalar),
    Timestamp,
    Date,
    TimeOfDay,
    Decimal {
        precision: u8,
        scale: i8,
    },
    /// A message as it is encoded.
    Encoded,
    Message(WritePlan),
    /// A message whose only field is an array or a map.
    Unwrapped(Box<Part>),
}

enum Shape {
    /// `implicit`: a default is not written.
    Single {
        implicit: bool,
    },
    List {
        packed: bool,
    },
    Map {
        key: Scalar,
    },
}

struct Part {
    number: u32,
    column: usize,
    name: String,
    /// Of the value; of lists and maps of the element.
    data_type: DataType,
    shape: Shape,
    kind: Kind,
    /// The place of its oneof.
    oneof: Option<usize>,
}

/// How a message is written.
pub(super) struct WritePlan {
    /// By number.
    parts: Vec<Part>,
    width: usize,
    /// Whether fields exclude each other.
    choices: bool,
}

fn invalid<T>(reason: String) -> Result<T, InvalidSchema> {
    Err(InvalidSchema(reason))
}

impl WritePlan {
    /// For messages of that full name from these columns.
    ///
    /// # Errors
    /// A column is not in the message or not of a type that fits; a required field has no column.
    pub(super) fn compile(types: &Types, full_name: &str, fields: &[Field]) -> Result<Self, InvalidSchema> {
        let Some((message, info)) = types.message(full_name) else {
            return invalid(format!("there is no message {full_name}"));
        };
        let file = types.file_of(info);
        let all: Vec<(&FieldDecl, Option<&OneofDecl>)> = all_fields(message).collect();
        let mut parts = Vec::with_capacity(fields.len());
        for (column, field) in fields.iter().enumerate() {
            let Some((decl, oneof)) = find(&all, &field.name) else {
                return invalid(format!("column {} is not in the message {full_name}", field.name));
            };
            let place = oneof.and_then(|o| message.oneofs.iter().position(|other| other.name == o.name));
            let compiler = Compiler { types, file, scope: full_name };
            let mut part = compiler
                .part(decl, *oneof, &field.data_type)
                .map_err(|e| InvalidSchema(format!("column {}: {e}", field.name)))?;
            part.column = column;
            part.name.clone_from(&field.name);
            part.oneof = place;
            if parts.iter().any(|p: &Part| p.number == part.number) {
                return invalid(format!("two columns are the field {} of {full_name}", decl.name));
            }
            parts.push(part);
        }
        for (decl, _) in all.iter().filter(|(d, _)| d.label == Some(Label::Required)) {
            if !parts.iter().any(|p| p.number == decl.number as u32) {
                return invalid(format!("no column is the required field {} of {full_name}", decl.name));
            }
        }
        parts.sort_by_key(|p| p.number);
        let choices = parts.iter().any(|p| p.oneof.is_some());
        Ok(Self { parts, width: fields.len(), choices })
    }

    /// Writes a message; `column` gives the value of each.
    pub(super) fn message<'a, S: Source<'a>>(
        &self,
        out: &mut Vec<u8>,
        column: impl Fn(usize) -> Option<S>,
    ) -> Fallible<()> {
        let mut chosen: Vec<(usize, &str)> = Vec::new();
        for part in &self.parts {
            let value =
                column(part.column).ok_or_else(|| Failure::new("the value is not of the column's type"))?;
            if value.is_null() {
                continue;
            }
            if self.choices
                && let Some(oneof) = part.oneof
            {
                if let Some((_, other)) = chosen.iter().find(|(o, _)| *o == oneof) {
                    let reason = format!("{other} has a value as well, and only one of a oneof's fields may");
                    return Err(Failure::new(reason).in_field(&part.name));
                }
                chosen.push((oneof, &part.name));
            }
            part.write(out, value).map_err(|e| e.in_field(&part.name))?;
        }
        Ok(())
    }
}

struct Compiler<'a> {
    types: &'a Types,
    file: &'a ProtoFile,
    scope: &'a str,
}

impl Compiler<'_> {
    fn part(
        &self,
        decl: &FieldDecl,
        oneof: Option<&OneofDecl>,
        from: &DataType,
    ) -> Result<Part, InvalidSchema> {
        let resolved = of_field(self.types, decl, self.scope)?;
        let (shape, data_type, kind) = match (&resolved, decl.label, from) {
            (Resolved::Map(key, value), _, DataType::Map(of)) => match **key {
                Resolved::Scalar(key) => (Shape::Map { key }, of, self.kind(value, of)?),
                _ => return invalid("the map's key is no scalar".into()),
            },
            (Resolved::Map(..), ..) => return invalid(format!("{from} cannot be written as a map")),
            (resolved, Some(Label::Repeated), DataType::Array(of)) => {
                let kind = self.kind(resolved, of)?;
                (Shape::List { packed: self.is_packed(decl, resolved) }, of, kind)
            }
            (_, Some(Label::Repeated), _) => {
                return invalid(format!("{from} cannot be written as a repeated field"));
            }
            (resolved, ..) => {
                let kind = self.kind(resolved, from)?;
                let plain = matches!(kind, Kind::Scalar(_) | Kind::Enum(_));
                let implicit = plain && !has_presence(self.file, decl, oneof);
                return Ok(Part {
                    number: decl.number as u32,
                    column: 0,
                    name: decl.name.clone(),
                    data_type: from.clone(),
                    shape: Shape::Single { implicit },
                    kind,
                    oneof: None,
                });
            }
        };
        let name = decl.name.clone();
        let data_type = (**data_type).clone();
        Ok(Part { number: decl.number as u32, column: 0, name, data_type, shape, kind, oneof: None })
    }

    fn is_packed(&self, decl: &FieldDecl, resolved: &Resolved) -> bool {
        let packable = match resolved {
            Resolved::Scalar(scalar) => !matches!(scalar, Scalar::String | Scalar::Bytes),
            Resolved::Enum(_) => true,
            _ => false,
        };
        let said = option(&decl.options, "packed").is_some();
        let by_default = match self.file.syntax {
            Some(Syntax::Proto3 | Syntax::Edition(_)) => !said,
            _ => false,
        };
        packable && (by_default || is_set(&decl.options, "packed"))
    }

    fn kind(&self, of: &Resolved, from: &DataType) -> Result<Kind, InvalidSchema> {
        use DataType as T;
        let refused = |what: &str| invalid(format!("{from} cannot be written as {what}"));
        let name = match of {
            Resolved::Scalar(scalar) => {
                return if fits(*scalar, from) { Ok(Kind::Scalar(*scalar)) } else { refused(scalar.name()) };
            }
            Resolved::Map(..) => return refused("a map"),
            Resolved::Enum(name) => {
                let values = enumeration(self.types, name).map(|of| of.values.as_slice()).unwrap_or_default();
                return match from {
                    T::Varchar => Ok(Kind::Enum(values.iter().map(|v| (v.name.clone(), v.number)).collect())),
                    T::Integer => Ok(Kind::Scalar(Scalar::Int32)),
                    _ => refused(&format!("the enum {name}")),
                };
            }
            Resolved::Message(name) => name,
        };
        Ok(match (name.as_str(), from) {
            ("google.protobuf.Timestamp", T::Timestamp) => Kind::Timestamp,
            ("google.type.Date", T::Date) => Kind::Date,
            ("google.type.TimeOfDay", T::Time) => Kind::TimeOfDay,
            ("confluent.type.Decimal", T::Decimal(precision, scale)) => {
                Kind::Decimal { precision: *precision, scale: *scale }
            }
            (name, T::Struct(fields)) => Kind::Message(WritePlan::compile(self.types, name, fields)?),
            (name, from) => match (wrapped(name), from) {
                (Some(scalar), from) if fits(scalar, from) => Kind::Wrapper(scalar),
                (None, T::Bytes) => Kind::Encoded,
                (None, T::Array(_) | T::Map(_)) => match only_list(self.types, name) {
                    Some(only) => {
                        let fields = [Field::new(only, from.clone())];
                        let mut plan = WritePlan::compile(self.types, name, &fields)?;
                        match plan.parts.pop() {
                            Some(part) => Kind::Unwrapped(Box::new(part)),
                            None => return refused(&format!("the message {name}")),
                        }
                    }
                    None => return refused(&format!("the message {name}")),
                },
                _ => return refused(&format!("the message {name}")),
            },
        })
    }
}

fn fits(scalar: Scalar, from: &DataType) -> bool {
    use DataType as T;
    match scalar {
        Scalar::Bool => *from == T::Boolean,
        Scalar::Double | Scalar::Float => *from == T::Double,
        Scalar::String => *from == T::Varchar,
        Scalar::Bytes => *from == T::Bytes,
        _ => matches!(from, T::Integer | T::BigInt | T::Date | T::Time | T::Timestamp),
    }
}

impl Kind {
    fn wire_type(&self) -> u32 {
        match self {
            Self::Scalar(scalar) => wire_type(*scalar),
            Self::Enum(_) => VARINT,
            _ => BYTES,
        }
    }

    /// Writes a value that is not NULL, without its tag.
    fn write<'a, S: Source<'a>>(&self, out: &mut Vec<u8>, value: S, data_type: &DataType) -> Fallible<()> {
        match (self, data_type) {
            (Self::Message(plan), _) => {
                return put_delimited(out, |out| plan.message(out, |i| value.part(i, plan.width)));
            }
            (Self::Unwrapped(part), _) => return put_delimited(out, |out| part.write(out, value)),
            _ => {}
        }
        let leaf = value.leaf(data_type);
        let leaf = leaf
            .ok_or_else(|| Failure::new(format!("{data_type} wanted, the value is {}", value.describe())))?;
        match (self, &leaf) {
            (Self::Scalar(scalar), leaf) => put_scalar(out, *scalar, leaf),
            (Self::Enum(names), Leaf::Text(name)) => {
                put_varint(out, enum_number(names, name)? as i64 as u64);
                Ok(())
            }
            (Self::Wrapper(scalar), leaf) => put_delimited(out, |out| {
                if !is_default(leaf) {
                    put_tag(out, 1, wire_type(*scalar));
                    put_scalar(out, *scalar, leaf)?;
                }
                Ok(())
            }),
            (Self::Timestamp, Leaf::Timestamp(ms)) => {
                let nanos = ms.rem_euclid(1000) * 1_000_000;
                put_numbers(out, [ms.div_euclid(1000), nanos, 0, 0])
            }
            (Self::Date, Leaf::Date(days)) => {
                let (year, month, day) = civil_of(*days);
                put_numbers(out, [year.into(), month.into(), day.into(), 0])
            }
            (Self::TimeOfDay, Leaf::Time(ms)) => {
                let ms = i64::from(*ms);
                let seconds = ms / 1000;
                put_numbers(out, [seconds / 3600, seconds / 60 % 60, seconds % 60, ms % 1000 * 1_000_000])
            }
            (Self::Decimal { precision, scale }, Leaf::Decimal(value)) => put_delimited(out, |out| {
                put_tag(out, 1, BYTES);
                put_bytes(out, shortest(&value.to_be_bytes()));
                put_tag(out, 2, VARINT);
                put_varint(out, u64::from(*precision));
                if *scale != 0 {
                    put_tag(out, 3, VARINT);
                    put_varint(out, i64::from(*scale) as u64);
                }
                Ok(())
            }),
            (Self::Encoded, Leaf::Bytes(bytes)) => {
                put_bytes(out, bytes);
                Ok(())
            }
            _ => Err(Failure::new(format!("{data_type} is not written as this type"))),
        }
    }
}

fn enum_number(names: &HashMap<String, i32>, name: &str) -> Fallible<i32> {
    // A number that has no name reads as text, and is written back as it was.
    let number = names.get(name).copied().or_else(|| name.parse().ok());
    number.ok_or_else(|| Failure::new(format!("the enum has no value \"{}\"", abridged(name))))
}

#[cold]
fn null_within(what: &str) -> Box<Failure> {
    Failure::new(format!("Protobuf has no NULL in {what}"))
}

impl Part {
    /// Writes the field of a value that is not NULL.
    fn write<'a, S: Source<'a>>(&self, out: &mut Vec<u8>, value: S) -> Fallible<()> {
        let count = || value.len().ok_or_else(|| Failure::new(format!("the value is {}", value.describe())));
        match self.shape {
            Shape::Single { implicit: true } => {
                let leaf = value.leaf(&self.data_type);
                let skipped = match (&self.kind, &leaf) {
                    (Kind::Enum(names), Some(Leaf::Text(name))) => enum_number(names, name)? == 0,
                    (_, leaf) => leaf.as_ref().is_some_and(is_default),
                };
                if skipped { Ok(()) } else { self.tagged(out, value) }
            }
            Shape::Single { implicit: false } => self.tagged(out, value),
            Shape::List { packed } => {
                let count = count()?;
                let item = |i: usize| match value.item(i) {
                    item if item.is_null() => Err(null_within("an array").in_element(i)),
                    item => Ok(item),
                };
                if !packed {
                    return (0..count)
                        .try_for_each(|i| self.tagged(out, item(i)?).map_err(|e| e.in_element(i)));
                }
                if count == 0 {
                    return Ok(());
                }
                put_tag(out, self.number, BYTES);
                put_delimited(out, |out| {
                    (0..count).try_for_each(|i| {
                        self.kind.write(out, item(i)?, &self.data_type).map_err(|e| e.in_element(i))
                    })
                })
            }
            Shape::Map { key } => (0..count()?).try_for_each(|i| {
                let (name, entry) = value.entry(i);
                self.entry(out, key, name, entry).map_err(|e| e.in_entry(name))
            }),
        }
    }

    fn tagged<'a, S: Source<'a>>(&self, out: &mut Vec<u8>, value: S) -> Fallible<()> {
        put_tag(out, self.number, self.kind.wire_type());
        self.kind.write(out, value, &self.data_type)
    }

    fn entry<'a, S: Source<'a>>(&self, out: &mut Vec<u8>, key: Scalar, name: &str, value: S) -> Fallible<()> {
        if value.is_null() {
            return Err(null_within("a map"));
        }
        put_tag(out, self.number, BYTES);
        put_delimited(out, |out| {
            put_tag(out, 1, wire_type(key));
            put_key(out, key, name)?;
            put_tag(out, 2, self.kind.wire_type());
            self.kind.write(out, value, &self.data_type)
        })
    }
}
