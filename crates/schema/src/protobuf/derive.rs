//! From a message to a [`Schema`].
//!
//! | Protobuf | type |
//! |---|---|
//! | `bool`, `string`, `bytes`, `float` and `double` | `BOOLEAN`, `VARCHAR`, `BYTES`, `DOUBLE` |
//! | `int32`, `sint32`, `sfixed32` | `INTEGER` |
//! | `uint32`, `fixed32`, and whole numbers of 64 bits | `BIGINT` (greater ones of `uint64` and `fixed64` cost their record) |
//! | an enum | `VARCHAR`, the value's name |
//! | a message of `google/protobuf/wrappers.proto` | the type that it wraps |
//! | `google.protobuf.Timestamp`, `google.type.Date`, `google.type.TimeOfDay` | `TIMESTAMP`, `DATE`, `TIME` |
//! | `confluent.type.Decimal` | `DECIMAL` of the parameters of `confluent.field_meta`; without them `VARCHAR` |
//! | another message | `STRUCT` |
//! | a message within itself | of rows `STRUCT`, [`MAX_RECURSION`] times; it has no columns |
//! | `repeated`, `map` | `ARRAY`, `MAP` |
//! | a `oneof` | a field for each of its fields, of which one is not NULL (Confluent's `flatten.unions`) |
//!
//! Beside the types stand, as with Confluent's converter, the parameters `io.confluent.connect.protobuf.Tag` (a field's number), `.Type`
//! (a whole number that is no `int32` or `int64`) and `.Enum` (an enum's names and numbers), by which the same is declared again.

use super::ast::{FieldDecl, Label, OneofDecl, OptionDecl, OptionValue, ProtoFile, all_fields};
use super::link::{Resolved, Scalar, Types};
use super::plan::{enumeration, has_presence, of_field, wrapped};
use crate::connect::{ConnectField, ConnectMeta, Narrow, RecordShape};
use crate::definition::InvalidSchema;
use crate::{DataType, Field, Schema};
use std::sync::Arc;

/// In rows a message holds itself so many times; fewer where that would be too many types.
pub const MAX_RECURSION: usize = 8;
/// Messages that unfold to more types than this are refused.
const MAX_TYPES: usize = 10_000;
/// Messages deeper than this are left out.
const MAX_DEPTH: usize = 64;

/// Confluent's names of parameters.
pub(super) const TAG: &str = "io.confluent.connect.protobuf.Tag";
pub(super) const TYPE: &str = "io.confluent.connect.protobuf.Type";
pub(super) const ENUM: &str = "io.confluent.connect.protobuf.Enum";

/// What the message of that full name says.
///
/// # Errors
/// There is no such message, it refers to itself or unfolds to too many types.
pub(super) fn shape(types: &Types, full_name: &str, text: Arc<str>) -> Result<RecordShape, InvalidSchema> {
    unfolded(types, full_name, text, 0)
}

/// The same for rows, of which a message may hold itself: the innermost lacks the fields that would hold it again.
pub(super) fn rows_shape(
    types: &Types,
    full_name: &str,
    text: Arc<str>,
) -> Result<RecordShape, InvalidSchema> {
    let mut last = unfolded(types, full_name, text.clone(), MAX_RECURSION);
    for recursion in (1..MAX_RECURSION).rev() {
        if last.is_ok() {
            break;
        }
        last = unfolded(types, full_name, text.clone(), recursion);
    }
    last
}

fn unfolded(
    types: &Types,
    full_name: &str,
    text: Arc<str>,
    recursion: usize,
) -> Result<RecordShape, InvalidSchema> {
    let mut deriving = Deriving { types, within: Vec::new(), count: 0, recursion };
    let (schema, fields) = deriving.message(full_name)?.into_iter().unzip();
    let (name, schema) = (Some(full_name.to_owned()), Schema { fields: schema });
    Ok(RecordShape { name, meta: ConnectMeta::default(), schema, fields, single: false, text })
}

struct Deriving<'a> {
    types: &'a Types,
    /// The messages that are being unfolded.
    within: Vec<String>,
    count: usize,
    /// How often a message may hold itself.
    recursion: usize,
}

/// A type and what is known of it.
type Derived = (DataType, ConnectField);

fn unfolds() -> InvalidSchema {
    InvalidSchema(format!(
        "the message refers to itself, or unfolds to more than {MAX_TYPES} types: it has no columns"
    ))
}

impl Deriving<'_> {
    fn message(&mut self, full_name: &str) -> Result<Vec<(Field, ConnectField)>, InvalidSchema> {
        let types = self.types;
        let Some((message, info)) = types.message(full_name) else {
            return Err(InvalidSchema(format!("there is no message {full_name}")));
        };
        let file = types.file_of(info);
        let of_oneofs = message.oneofs.iter().flat_map(|o| &o.groups);
        if let Some(group) = message.groups.iter().chain(of_oneofs).next() {
            let name = &group.name;
            return Err(InvalidSchema(format!(
                "message {full_name} has the group {name}, which is not read: declare a message in its place"
            )));
        }
        self.within.push(full_name.to_owned());
        let mut fields = Vec::new();
        for (field, oneof) in all_fields(message) {
            let resolved = of_field(types, field, full_name)?;
            let Some((data_type, mut known)) = self.data_type(&resolved, field)? else { continue };
            let repeated = field.label == Some(Label::Repeated) && !matches!(resolved, Resolved::Map(..));
            let (data_type, mut known) = if repeated {
                known.required = true;
                (DataType::Array(Arc::new(data_type)), ConnectField::default().of(vec![known]))
            } else {
                (data_type, known)
            };
            known.required = is_required(file, field, oneof, &resolved);
            known.meta.set_parameter(TAG, field.number.to_string());
            fields.push((Field::new(&field.name, data_type), known));
        }
        self.within.pop();
        Ok(fields)
    }

    /// `None` where a message would hold itself once too often.
    fn data_type(&mut self, of: &Resolved, field: &FieldDecl) -> Result<Option<Derived>, InvalidSchema> {
        self.count += 1;
        if self.count > MAX_TYPES {
            return Err(unfolds());
        }
        let plain = |data_type| (data_type, ConnectField::default());
        Ok(Some(match of {
            Resolved::Scalar(of) => (scalar(*of), of_scalar(*of, field)),
            Resolved::Enum(name) => (DataType::Varchar, self.of_enum(name)),
            Resolved::Map(_, value) => {
                let Some((value, mut known)) = self.data_type(value, field)? else { return Ok(None) };
                known.required = true;
                (DataType::Map(Arc::new(value)), ConnectField::default().of(vec![known]))
            }
            Resolved::Message(name) => match name.as_str() {
                "google.protobuf.Timestamp" => plain(DataType::Timestamp),
                "google.type.Date" => plain(DataType::Date),
                "google.type.TimeOfDay" => plain(DataType::Time),
                "confluent.type.Decimal" => plain(decimal(field)),
                name => match wrapped(name) {
                    Some(of) => plain(scalar(of)),
                    None => {
                        let around = self.within.iter().filter(|n| *n == name).count();
                        if around > self.recursion || self.within.len() > MAX_DEPTH {
                            return if self.recursion == 0 { Err(unfolds()) } else { Ok(None) };
                        }
                        let (columns, fields): (Vec<Field>, _) = self.message(name)?.into_iter().unzip();
                        (DataType::Struct(columns.into()), ConnectField::default().named(name).of(fields))
                    }
                },
            },
        }))
    }

    /// A string, by whose parameters the enum is known.
    fn of_enum(&self, name: &str) -> ConnectField {
        let simple = name.rsplit('.').next().unwrap_or_default();
        let values = enumeration(self.types, name).map(|of| of.values.as_slice()).unwrap_or_default();
        let named = ConnectField::default().named(name).with_parameter(ENUM, simple);
        values.iter().fold(named, |known, value| {
            known.with_parameter(&format!("{ENUM}.{}", value.name), value.number.to_string())
        })
    }
}

/// Whether a field is never NULL: it says not that it is absent.
fn is_required(file: &ProtoFile, field: &FieldDecl, oneof: Option<&OneofDecl>, of: &Resolved) -> bool {
    let plain = matches!(of, Resolved::Scalar(_) | Resolved::Enum(_) | Resolved::Map(..));
    matches!(field.label, Some(Label::Required | Label::Repeated))
        || (plain && !has_presence(file, field, oneof))
}

fn of_scalar(of: Scalar, field: &FieldDecl) -> ConnectField {
    let mut known = ConnectField::default();
    match of {
        Scalar::Float => known.meta.narrow = Some(Narrow::Float32),
        Scalar::Int32 | Scalar::Int64 | Scalar::Bool | Scalar::String | Scalar::Bytes | Scalar::Double => {}
        other => known.meta.set_parameter(TYPE, other.name()),
    }
    if matches!(scalar(of), DataType::Integer) {
        known.meta.narrow = meta_of(field, "connect.type").and_then(|t| Narrow::of(&t));
    }
    known
}

fn scalar(of: Scalar) -> DataType {
    match of {
        Scalar::Bool => DataType::Boolean,
        Scalar::String => DataType::Varchar,
        Scalar::Bytes => DataType::Bytes,
        Scalar::Float | Scalar::Double => DataType::Double,
        Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32 => DataType::Integer,
        _ => DataType::BigInt,
    }
}

/// By the parameters `precision` and `scale` of the field.
fn decimal(field: &FieldDecl) -> DataType {
    let number = |name: &str| -> Option<i64> { meta_of(field, name)?.parse().ok() };
    match number("scale") {
        Some(scale) => {
            let precision = number("precision").unwrap_or(38).clamp(1, 38);
            DataType::Decimal(precision as u8, scale.clamp(0, 38) as i8)
        }
        None => DataType::Varchar,
    }
}

/// A parameter of the field's `confluent.field_meta`.
fn meta_of(field: &FieldDecl, name: &str) -> Option<String> {
    let metas = field.options.iter().filter(|o| o.extension && o.name.ends_with("field_meta"));
    metas.into_iter().find_map(|o| parameter(o, name))
}

fn parameter(option: &OptionDecl, name: &str) -> Option<String> {
    fn entries(value: &OptionValue) -> Vec<&OptionValue> {
        match value {
            OptionValue::List(list) => list.iter().collect(),
            one => vec![one],
        }
    }
    let params = match &option.value {
        OptionValue::Map(all) => all.iter().find(|(k, _)| k == "params").map(|(_, v)| v)?,
        OptionValue::Nested(inner) if inner.name == "params" => &inner.value,
        _ => return None,
    };
    entries(params).into_iter().find_map(|entry| {
        let OptionValue::Map(parts) = entry else { return None };
        let part = |key: &str| {
            parts.iter().find(|(k, _)| k == key).and_then(|(_, v)| match v {
                OptionValue::Text(text) | OptionValue::Word(text) => Some(text.as_str()),
                _ => None,
            })
        };
        (part("key") == Some(name)).then(|| part("value").map(str::to_owned)).flatten()
    })
}
