//! How a message of one writer's schema becomes values of one target: compiled once, then followed for every record.
//!
//! Fields match columns by name as spelled, then without regard to case. With a reader's schema beside the columns they match by number:
//! the reader's field that is named as the column tells the number of the writer's, however that is named. What the target does not
//! name is skipped; what the writer does not have is NULL, or what the reader's field is when it is not there. A type that the target
//! cannot be read from is no error until a value of it comes.

use super::ast::{
    EnumDecl, FieldDecl, Label, OneofDecl, ProtoFile, Syntax, TypeDecl, TypeRef, all_fields, option,
};
use super::link::{Resolved, Scalar, TypeInfo, Types};
use super::print::default_of;
use super::scalar::leaf;
use super::wire::Raw;
use crate::avro::field_name;
use crate::definition::InvalidSchema;
use crate::{DataType, Field, Value};
use std::collections::HashMap;

/// How a value is read; the target's type stands where it is read.
#[derive(Debug)]
pub(super) enum Read {
    Scalar(Scalar),
    /// Names by number.
    Enum(HashMap<i32, String>),
    /// A message of one scalar, field 1, as in `google/protobuf/wrappers.proto`.
    Wrapper(Scalar),
    /// `google.protobuf.Timestamp`.
    Timestamp,
    /// `google.type.Date`.
    Date,
    /// `google.type.TimeOfDay`.
    TimeOfDay,
    /// `confluent.type.Decimal`.
    Decimal,
    /// A message as it is encoded, as `BYTES`.
    Encoded,
    /// A message into a struct.
    Message(Box<MessagePlan>),
    /// A message whose only field is an array or a map, into that: its plan has one column.
    Unwrapped(Box<MessagePlan>),
    /// The target cannot be read from it; why.
    Refused(String),
}

/// How often a field comes.
#[derive(Debug)]
pub(super) enum Shape {
    Single,
    List { element: DataType },
    Map { key: Scalar, value: DataType },
}

/// How a field is read.
#[derive(Debug)]
pub(super) struct FieldPlan {
    /// The target's column.
    pub(super) column: usize,
    pub(super) name: String,
    pub(super) target: DataType,
    pub(super) shape: Shape,
    pub(super) read: Read,
    /// What it is when it is not there.
    pub(super) absent: Value,
    /// Of a oneof: the places of the others, which it replaces.
    pub(super) rivals: Vec<usize>,
}

/// How a message is read.
#[derive(Debug)]
pub(super) struct MessagePlan {
    pub(super) fields: Vec<FieldPlan>,
    /// Places in `fields` plus 1 by number, of small numbers; 0 is none.
    small: Vec<u16>,
    /// Places of the others.
    great: HashMap<u32, usize>,
    /// The target's columns.
    pub(super) width: usize,
    /// Columns that the writer does not have: place, type, and what they are.
    pub(super) missing: Vec<(usize, DataType, Value)>,
    /// Numbers of fields that have no column and must not be lost.
    pub(super) beyond: Vec<u32>,
}

/// Numbers below this are looked up in a table.
const SMALL: u32 = 256;

impl MessagePlan {
    #[inline]
    pub(super) fn place(&self, number: u32) -> Option<usize> {
        match self.small.get(number as usize) {
            Some(0) => None,
            Some(place) => Some(usize::from(*place) - 1),
            None if self.great.is_empty() => None,
            None => self.great.get(&number).copied(),
        }
    }

    /// For messages of that full name into these columns; with `by` their fields have the numbers of that message's.
    ///
    /// # Errors
    /// There is no such message.
    pub(super) fn compile(
        types: &Types,
        full_name: &str,
        fields: &[Field],
        by: Option<Message<'_>>,
    ) -> Result<Self, InvalidSchema> {
        Self::of(types, full_name, fields, by, false)
    }

    /// For messages of that full name, of which nothing may be lost: values of fields that the columns lack are refused.
    ///
    /// # Errors
    /// There is no such message.
    pub(super) fn whole(types: &Types, full_name: &str, fields: &[Field]) -> Result<Self, InvalidSchema> {
        Self::of(types, full_name, fields, None, true)
    }

    fn of(
        types: &Types,
        full_name: &str,
        fields: &[Field],
        by: Option<Message<'_>>,
        whole: bool,
    ) -> Result<Self, InvalidSchema> {
        let Some((message, info)) = types.message(full_name) else {
            return Err(InvalidSchema(format!("there is no message {full_name}")));
        };
        let all: Vec<(&FieldDecl, Option<&OneofDecl>)> = all_fields(message).collect();
        let of_reader: Vec<_> =
            by.and_then(|by| by.types.message(by.name)).map_or(Vec::new(), |(m, _)| all_fields(m).collect());
        let compiler = Compiler { types, file: types.file_of(info), scope: full_name, by, whole };
        let mut plan = Self {
            fields: Vec::new(),
            small: Vec::new(),
            great: HashMap::new(),
            width: fields.len(),
            missing: vec![],
            beyond: vec![],
        };
        let mut oneofs: Vec<Option<&str>> = Vec::new();
        for (column, field) in fields.iter().enumerate() {
            let reader = find(&of_reader, &field.name);
            let found = match reader {
                Some((reader, _)) => all.iter().find(|(f, _)| f.number == reader.number),
                None => find(&all, &field.name),
            };
            let Some((decl, oneof)) = found else {
                let absent = compiler.absent_of_reader(reader, &field.data_type)?;
                plan.missing.push((column, field.data_type.clone(), absent));
                continue;
            };
            let mut compiled = compiler.field(decl, *oneof, reader.map(|(f, _)| *f), &field.data_type)?;
            compiled.column = column;
            compiled.name.clone_from(&field.name);
            if reader.is_some() && matches!(compiled.shape, Shape::Single) {
                compiled.absent = compiler.absent_of_reader(reader, &field.data_type)?;
            }
            plan.add(decl.number as u32, compiled);
            oneofs.push(oneof.map(|o| o.name.as_str()));
        }
        for place in 0..plan.fields.len() {
            let rival = |other: &usize| {
                *other != place && oneofs[*other].is_some() && oneofs[*other] == oneofs[place]
            };
            plan.fields[place].rivals = (0..oneofs.len()).filter(rival).collect();
        }
        if whole {
            let numbers = all.iter().map(|(decl, _)| decl.number as u32);
            plan.beyond = numbers.filter(|number| plan.place(*number).is_none()).collect();
        }
        Ok(plan)
    }

    fn add(&mut self, number: u32, field: FieldPlan) {
        let place = self.fields.len();
        if number < SMALL && place < usize::from(u16::MAX) {
            let len = self.small.len().max(number as usize + 1);
            self.small.resize(len, 0);
            self.small[number as usize] = place as u16 + 1;
        } else {
            self.great.insert(number, place);
        }
        self.fields.push(field);
    }
}

/// A message of some schema.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) types: &'a Types,
    pub(super) name: &'a str,
}

/// The field of that name: as spelled or as it is scrubbed, else without regard to case.
pub(super) fn find<'a, 'd>(
    all: &'a [(&'d FieldDecl, Option<&'d OneofDecl>)],
    name: &str,
) -> Option<&'a (&'d FieldDecl, Option<&'d OneofDecl>)> {
    let scrubbed = field_name(name);
    let exact = all.iter().find(|(f, _)| f.name == name || f.name == scrubbed);
    exact.or_else(|| all.iter().find(|(f, _)| f.name.eq_ignore_ascii_case(&scrubbed)))
}

/// Whether a field of its own says when it is absent.
pub(super) fn has_presence(file: &ProtoFile, field: &FieldDecl, oneof: Option<&OneofDecl>) -> bool {
    let implicit = |options| {
        let feature = option(options, "features.field_presence").and_then(super::ast::OptionDecl::text);
        feature.map(|f| f == "IMPLICIT")
    };
    match (&file.syntax, field.label, oneof) {
        (_, _, Some(_)) | (_, Some(Label::Optional | Label::Required), _) => true,
        (Some(Syntax::Proto3), ..) => false,
        (Some(Syntax::Edition(_)), ..) => {
            !implicit(&field.options).or_else(|| implicit(&file.options)).unwrap_or(false)
        }
        _ => true,
    }
}

/// The scalar of a message of `google/protobuf/wrappers.proto`.
pub(super) fn wrapped(full_name: &str) -> Option<Scalar> {
    Some(match full_name.strip_prefix("google.protobuf.")? {
        "DoubleValue" => Scalar::Double,
        "FloatValue" => Scalar::Float,
        "Int64Value" => Scalar::Int64,
        "UInt64Value" => Scalar::Uint64,
        "Int32Value" => Scalar::Int32,
        "UInt32Value" => Scalar::Uint32,
        "BoolValue" => Scalar::Bool,
        "StringValue" => Scalar::String,
        "BytesValue" => Scalar::Bytes,
        _ => return None,
    })
}

/// The name of the only field of a message, if that is an array or a map.
pub(super) fn only_list(types: &Types, full_name: &str) -> Option<String> {
    let (message, _) = types.message(full_name)?;
    let mut fields = all_fields(message);
    match (fields.next(), fields.next()) {
        (Some((only, None)), None) => {
            let many = only.label == Some(Label::Repeated) || matches!(only.of, TypeRef::Map(..));
            many.then(|| only.name.clone())
        }
        _ => None,
    }
}

/// A field's type, with an entry of a map that is written as a message as the map that it is.
pub(super) fn of_field(types: &Types, field: &FieldDecl, scope: &str) -> Result<Resolved, InvalidSchema> {
    let resolved = types.resolved(&field.of, scope)?;
    if let Resolved::Message(name) = &resolved
        && let Some(TypeInfo { map: Some((key, value)), .. }) = types.info(name)
    {
        let part = |of| types.resolved(of, name).map(Box::new);
        return Ok(Resolved::Map(part(key)?, part(value)?));
    }
    Ok(resolved)
}

/// The values of an enum.
pub(super) fn enumeration<'a>(types: &'a Types, full_name: &str) -> Option<&'a EnumDecl> {
    match types.decl(types.info(full_name)?)? {
        TypeDecl::Enum(of) => Some(of),
        TypeDecl::Message(_) => None,
    }
}

struct Compiler<'a> {
    types: &'a Types,
    file: &'a ProtoFile,
    scope: &'a str,
    /// The reader's message.
    by: Option<Message<'a>>,
    whole: bool,
}

impl Compiler<'_> {
    /// What the reader's field is when it is not there; NULL without one.
    fn absent_of_reader(
        &self,
        reader: Option<&(&FieldDecl, Option<&OneofDecl>)>,
        target: &DataType,
    ) -> Result<Value, InvalidSchema> {
        let (Some(by), Some((decl, oneof))) = (self.by, reader) else { return Ok(Value::Null) };
        let Some((_, info)) = by.types.message(by.name) else { return Ok(Value::Null) };
        let file = by.types.file_of(info);
        let reading = Compiler { types: by.types, file, scope: by.name, by: None, whole: false };
        Ok(reading.field(decl, *oneof, None, target)?.absent)
    }

    fn field(
        &self,
        decl: &FieldDecl,
        oneof: Option<&OneofDecl>,
        reader: Option<&FieldDecl>,
        target: &DataType,
    ) -> Result<FieldPlan, InvalidSchema> {
        let resolved = of_field(self.types, decl, self.scope)?;
        let by = match (self.by, reader) {
            (Some(by), Some(reader)) => Some(of_field(by.types, reader, by.name)?),
            _ => None,
        };
        let by = by.as_ref();
        let of_value = match by {
            Some(Resolved::Map(_, value)) => Some(&**value),
            _ => None,
        };
        let mut absent = Value::Null;
        let (shape, read) = match (&resolved, decl.label, target) {
            (Resolved::Map(key, value), _, DataType::Map(of)) => {
                let Resolved::Scalar(key) = **key else {
                    return Err(InvalidSchema(format!("the key of map {} is no scalar", decl.name)));
                };
                absent = Value::Map(Vec::new());
                (Shape::Map { key, value: (**of).clone() }, self.read(value, of_value, of)?)
            }
            (Resolved::Map(..), ..) => (Shape::Single, refused("a map", target)),
            (resolved, Some(Label::Repeated), DataType::Array(of)) => {
                absent = Value::Array(Vec::new());
                (Shape::List { element: (**of).clone() }, self.read(resolved, by, of)?)
            }
            // As between versions of a schema: a field that was repeated is its last value.
            (resolved, Some(Label::Repeated), _) => (Shape::Single, self.read(resolved, by, target)?),
            // And one that became repeated is an array of it.
            (resolved, _, DataType::Array(of)) => match self.read(resolved, by, target)? {
                Read::Refused(_) => {
                    absent = Value::Array(Vec::new());
                    (Shape::List { element: (**of).clone() }, self.read(resolved, by, of)?)
                }
                read => (Shape::Single, read),
            },
            (resolved, ..) => {
                let read = self.read(resolved, by, target)?;
                absent = self.absent(decl, oneof, resolved, &read, target);
                (Shape::Single, read)
            }
        };
        let name = decl.name.clone();
        Ok(FieldPlan { column: 0, name, target: target.clone(), shape, read, absent, rivals: Vec::new() })
    }

    /// What a field is that is not there: NULL if it says so, else its default.
    fn absent(
        &self,
        decl: &FieldDecl,
        oneof: Option<&OneofDecl>,
        resolved: &Resolved,
        read: &Read,
        target: &DataType,
    ) -> Value {
        let of_raw = |raw: Raw<'_>| leaf(read, raw, target).map_or(Value::Null, |leaf| leaf.into_value());
        let declared = default_of(decl);
        match resolved {
            Resolved::Message(_) | Resolved::Map(..) => Value::Null,
            Resolved::Enum(name) => {
                let of = enumeration(self.types, name);
                let number = match (of, declared) {
                    (Some(of), Some(default)) => {
                        of.values.iter().find(|v| v.name == default).map(|v| v.number)
                    }
                    _ if has_presence(self.file, decl, oneof) => None,
                    (of, _) => Some(of.and_then(|of| of.values.first()).map_or(0, |v| v.number)),
                };
                number.map_or(Value::Null, |number| of_raw(Raw::Varint(number as i64 as u64)))
            }
            Resolved::Scalar(scalar) => match declared {
                None if has_presence(self.file, decl, oneof) => Value::Null,
                None => of_raw(default_raw(*scalar)),
                Some(text) => match declared_raw(*scalar, text) {
                    Some(raw) => of_raw(raw),
                    None => Value::Null,
                },
            },
        }
    }

    fn read(&self, of: &Resolved, by: Option<&Resolved>, target: &DataType) -> Result<Read, InvalidSchema> {
        use DataType as T;
        let by = match (self.by, by) {
            (Some(of), Some(Resolved::Message(name))) => Some(Message { types: of.types, name }),
            _ => None,
        };
        let name = match of {
            Resolved::Scalar(scalar) => return Ok(scalar_read(*scalar, target)),
            Resolved::Map(..) => return Ok(refused("a map", target)),
            Resolved::Enum(name) => {
                let of = enumeration(self.types, name).map(|of| of.values.as_slice()).unwrap_or_default();
                return Ok(match target {
                    T::Varchar | T::Integer | T::BigInt | T::Boolean => {
                        // Of several names of a number the first.
                        Read::Enum(of.iter().rev().map(|v| (v.number, v.name.clone())).collect())
                    }
                    _ => refused("an enum", target),
                });
            }
            Resolved::Message(name) => name,
        };
        Ok(match (name.as_str(), target) {
            ("google.protobuf.Timestamp", T::Timestamp | T::BigInt) => Read::Timestamp,
            ("google.type.Date", T::Date) => Read::Date,
            ("google.type.TimeOfDay", T::Time) => Read::TimeOfDay,
            ("confluent.type.Decimal", T::Decimal(..) | T::Double | T::Varchar) => Read::Decimal,
            ("google.type.Decimal", T::Decimal(..)) => Read::Wrapper(Scalar::String),
            (name, T::Struct(fields)) => {
                Read::Message(Box::new(MessagePlan::of(self.types, name, fields, by, self.whole)?))
            }
            (name, target) => match (wrapped(name), target) {
                (Some(scalar), target) => match scalar_read(scalar, target) {
                    Read::Scalar(scalar) => Read::Wrapper(scalar),
                    other => other,
                },
                (None, T::Bytes) => Read::Encoded,
                (None, T::Array(_) | T::Map(_)) => match only_list(self.types, name) {
                    Some(only) => {
                        let fields = [Field::new(only, target.clone())];
                        Read::Unwrapped(Box::new(MessagePlan::compile(self.types, name, &fields, None)?))
                    }
                    None => refused(&format!("the message {name}"), target),
                },
                _ => refused(&format!("the message {name}"), target),
            },
        })
    }
}

fn scalar_read(scalar: Scalar, target: &DataType) -> Read {
    use DataType as T;
    let temporal = matches!(target, T::Date | T::Time | T::Timestamp);
    let number = matches!(target, T::Integer | T::BigInt | T::Double | T::Decimal(..) | T::Varchar);
    let fits = match scalar {
        Scalar::Bool => *target == T::Boolean || number,
        Scalar::Double | Scalar::Float => matches!(target, T::Double | T::Varchar),
        Scalar::String => temporal || matches!(target, T::Varchar | T::Bytes),
        Scalar::Bytes => matches!(target, T::Varchar | T::Bytes),
        Scalar::Int32 | Scalar::Int64 | Scalar::Uint32 | Scalar::Uint64 => {
            number || temporal || *target == T::Boolean
        }
        _ => number || temporal,
    };
    if fits { Read::Scalar(scalar) } else { refused(scalar.name(), target) }
}

fn refused(what: &str, target: &DataType) -> Read {
    Read::Refused(format!("{target} wanted, the writer's type is {what}"))
}

/// The value of a field that is not there and says nothing else.
pub(super) fn default_raw(scalar: Scalar) -> Raw<'static> {
    match scalar {
        Scalar::Double | Scalar::Fixed64 | Scalar::Sfixed64 => Raw::Fixed64(0),
        Scalar::Float | Scalar::Fixed32 | Scalar::Sfixed32 => Raw::Fixed32(0),
        Scalar::String | Scalar::Bytes => Raw::Bytes(&[]),
        _ => Raw::Varint(0),
    }
}

/// The value of `[default = ...]`.
fn declared_raw(scalar: Scalar, text: &str) -> Option<Raw<'_>> {
    let whole = || -> Option<i128> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let value = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
            Some(hex) => i128::from_str_radix(hex, 16).ok()?,
            None => digits.parse().ok()?,
        };
        Some(if negative { -value } else { value })
    };
    Some(match scalar {
        Scalar::String | Scalar::Bytes => Raw::Bytes(text.as_bytes()),
        Scalar::Bool => Raw::Varint(u64::from(text == "true")),
        Scalar::Double => Raw::Fixed64(text.parse::<f64>().ok()?.to_bits()),
        Scalar::Float => Raw::Fixed32(text.parse::<f32>().ok()?.to_bits()),
        Scalar::Fixed32 | Scalar::Sfixed32 => Raw::Fixed32(whole()? as u32),
        Scalar::Fixed64 | Scalar::Sfixed64 => Raw::Fixed64(whole()? as u64),
        Scalar::Sint32 | Scalar::Sint64 => Raw::Varint(super::wire::zigzag(i64::try_from(whole()?).ok()?)),
        _ => Raw::Varint(whole()? as u64),
    })
}

impl Read {
    /// Whether the wire holds a message, which may come in parts.
    pub(super) fn is_message(&self) -> bool {
        !matches!(self, Self::Scalar(_) | Self::Enum(_) | Self::Refused(_))
    }
}
