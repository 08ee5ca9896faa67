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
//! | a message within itself | `STRUCT`, [`MAX_RECURSION`] times; the next one is `BYTES`, as it is encoded |
//! | `repeated`, `map` | `ARRAY`, `MAP` |
//! | a `oneof` | a field for each of its fields, of which one is not NULL |

use super::ast::{FieldDecl, Label, OptionDecl, OptionValue, all_fields};
use super::link::{Resolved, Scalar, Types};
use super::plan::{has_presence, of_field, wrapped};
use crate::definition::InvalidSchema;
use crate::{DataType, Field, Schema};
use std::sync::Arc;

/// A message is unfolded so many times within itself.
pub const MAX_RECURSION: usize = 3;
/// Messages that unfold to more types than this are refused.
const MAX_TYPES: usize = 10_000;
/// Messages deeper than this are as they are encoded.
const MAX_DEPTH: usize = 32;

/// A message in bd's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtobufShape {
    /// The message's full name.
    pub name: String,
    /// The columns.
    pub schema: Schema,
    /// Whether each column is never NULL: one that says not that it is absent.
    pub required: Vec<bool>,
    /// The schema's text.
    pub text: Arc<str>,
}

/// What the message of that full name says.
pub(super) fn shape(types: &Types, full_name: &str, text: Arc<str>) -> Result<ProtobufShape, InvalidSchema> {
    let mut deriving = Deriving { types, within: Vec::new(), count: 0 };
    let fields = deriving.message(full_name)?;
    let required = match types.message(full_name) {
        Some((message, info)) => {
            let file = types.file_of(info);
            let plain = |f: &FieldDecl| {
                matches!(
                    types.resolved(&f.of, full_name),
                    Ok(Resolved::Scalar(_) | Resolved::Enum(_) | Resolved::Map(..))
                )
            };
            let never_null = all_fields(message).map(|(f, o)| {
                matches!(f.label, Some(Label::Required | Label::Repeated))
                    || (plain(f) && !has_presence(file, f, o))
            });
            never_null.collect()
        }
        None => Vec::new(),
    };
    Ok(ProtobufShape { name: full_name.to_owned(), schema: Schema::new(fields), required, text })
}

struct Deriving<'a> {
    types: &'a Types,
    /// The messages that are being unfolded.
    within: Vec<String>,
    count: usize,
}

impl Deriving<'_> {
    fn message(&mut self, full_name: &str) -> Result<Vec<Field>, InvalidSchema> {
        let types = self.types;
        let Some((message, _)) = types.message(full_name) else {
            return Err(InvalidSchema(format!("there is no message {full_name}")));
        };
        self.within.push(full_name.to_owned());
        let fields = all_fields(message)
            .map(|(field, _)| {
                let resolved = of_field(types, field, full_name)?;
                let one = self.data_type(&resolved, field)?;
                let repeated = field.label == Some(Label::Repeated) && !matches!(resolved, Resolved::Map(..));
                Ok(Field::new(&field.name, if repeated { DataType::Array(Arc::new(one)) } else { one }))
            })
            .collect();
        self.within.pop();
        fields
    }

    fn data_type(&mut self, of: &Resolved, field: &FieldDecl) -> Result<DataType, InvalidSchema> {
        self.count += 1;
        if self.count > MAX_TYPES {
            return Err(InvalidSchema(format!(
                "the message unfolds to more than {MAX_TYPES} types: it has no columns"
            )));
        }
        Ok(match of {
            Resolved::Scalar(of) => scalar(*of),
            Resolved::Enum(_) => DataType::Varchar,
            Resolved::Map(_, value) => DataType::Map(Arc::new(self.data_type(value, field)?)),
            Resolved::Message(name) => match name.as_str() {
                "google.protobuf.Timestamp" => DataType::Timestamp,
                "google.type.Date" => DataType::Date,
                "google.type.TimeOfDay" => DataType::Time,
                "confluent.type.Decimal" => decimal(field),
                name => match wrapped(name) {
                    Some(of) => scalar(of),
                    None if self.is_too_deep(name) => DataType::Bytes,
                    None => DataType::Struct(self.message(name)?.into()),
                },
            },
        })
    }

    fn is_too_deep(&self, name: &str) -> bool {
        self.within.iter().filter(|n| *n == name).count() > MAX_RECURSION || self.within.len() > MAX_DEPTH
    }
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
    let parameter = |name: &str| -> Option<i64> {
        field
            .options
            .iter()
            .filter(|o| o.extension && o.name.ends_with("field_meta"))
            .find_map(|o| of_meta(o, name))
    };
    match parameter("scale") {
        Some(scale) => {
            let precision = parameter("precision").unwrap_or(38).clamp(1, 38);
            DataType::Decimal(precision as u8, scale.clamp(0, 38) as i8)
        }
        None => DataType::Varchar,
    }
}

fn of_meta(option: &OptionDecl, name: &str) -> Option<i64> {
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
        (part("key") == Some(name)).then(|| part("value")?.parse().ok()).flatten()
    })
}
