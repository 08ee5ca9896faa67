//! From a [`Schema`] to a `.proto` text, as Kafka Connect's converter and ksqlDB declare it.
//!
//! | type | Protobuf |
//! |---|---|
//! | `BOOLEAN`, `INTEGER`, `BIGINT`, `DOUBLE`, `VARCHAR`, `BYTES` | `bool`, `int32`, `int64`, `double`, `string`, `bytes`, all `optional` |
//! | `DECIMAL(p, s)` | `confluent.type.Decimal` with the parameters `precision` and `scale` |
//! | `DATE`, `TIME`, `TIMESTAMP` | `google.type.Date`, `google.type.TimeOfDay`, `google.protobuf.Timestamp` |
//! | `ARRAY` | `repeated`; a NULL array is as an empty one |
//! | `MAP` | `map<string, V>`; a NULL map is as an empty one |
//! | `STRUCT` | a message within the message, by its own name or else `ConnectDefault2`, `ConnectDefault3`, ... |
//! | an array or map within an array or map | a message whose only field `value` is that |
//!
//! `optional` keeps NULL apart from a type's default, as Connect's `optional.for.nullables` does. Of Connect's metadata the language has
//! a place for the parameters by which a `.proto` was read (numbers, enums, types of whole numbers) and for `connect.type`; versions, docs
//! and defaults are left out: proto3 has no defaults.

use super::ast::{
    EnumDecl, EnumValue, FieldDecl, Label, MessageDecl, OptionDecl, OptionValue, ProtoFile, Syntax, TypeDecl,
    TypeRef,
};
use super::derive::{ENUM, TAG, TYPE};
use super::link::Scalar;
use super::parser::MAX_NUMBER;
use super::print;
use crate::avro::field_name;
use crate::connect::{ConnectField, Narrow};
use crate::definition::InvalidSchema;
use crate::{DataType, Field, Schema};
use std::collections::HashSet;

/// The name of the messages that Connect's converter and ksqlDB write; the first is `ConnectDefault1`.
const MESSAGE: &str = "ConnectDefault";

/// The `.proto` text of a message of that full name (`package.Name`; `None`: `ConnectDefault1`) with these columns; `fields` says more of
/// each, in their order, and may be shorter.
///
/// # Errors
/// Two columns have the same name in Protobuf.
pub fn protobuf_of_schema(
    name: Option<&str>,
    schema: &Schema,
    fields: &[ConnectField],
) -> Result<String, InvalidSchema> {
    let mut declaring = Declaring::default();
    let (package, simple) = match name {
        Some(name) => match name.rsplit_once('.') {
            Some((package, simple)) => (Some(package), field_name(simple)),
            None => (None, field_name(name)),
        },
        None => (None, declaring.fresh()),
    };
    let message = declaring.message(simple, &schema.fields, fields)?;
    let package = package.map(|p| p.split('.').map(field_name).collect::<Vec<_>>().join("."));
    let file = ProtoFile {
        syntax: Some(Syntax::Proto3),
        package,
        imports: declaring.imports.iter().map(|i| (*i).to_owned()).collect(),
        types: vec![TypeDecl::Message(message)],
        ..ProtoFile::default()
    };
    Ok(print::file(&file))
}

#[derive(Default)]
struct Declaring {
    messages: usize,
    imports: Vec<&'static str>,
}

/// A field's numbers: those that it was read with, where they can be used again; then those that follow.
fn numbers(fields: &[Field], known: &[ConnectField]) -> Vec<i32> {
    let legal = |n: &i32| (1..=MAX_NUMBER).contains(n) && !(19_000..20_000).contains(n);
    let mut used = HashSet::new();
    let told: Vec<Option<i32>> = (0..fields.len())
        .map(|i| known.get(i)?.meta.parameter(TAG)?.parse().ok().filter(|n| legal(n) && used.insert(*n)))
        .collect();
    let mut next = 1;
    let mut free = || {
        while !legal(&next) || used.contains(&next) {
            next += 1;
        }
        next += 1;
        next - 1
    };
    told.into_iter().map(|told| told.unwrap_or_else(&mut free)).collect()
}

impl Declaring {
    fn fresh(&mut self) -> String {
        self.messages += 1;
        format!("{MESSAGE}{}", self.messages)
    }

    fn message(
        &mut self,
        name: String,
        fields: &[Field],
        known: &[ConnectField],
    ) -> Result<MessageDecl, InvalidSchema> {
        // The name of the first message counts, whatever it is.
        self.messages = self.messages.max(1);
        let mut message = MessageDecl { name, ..MessageDecl::default() };
        let mut names = HashSet::new();
        let plain = ConnectField::default();
        for (i, (field, number)) in fields.iter().zip(numbers(fields, known)).enumerate() {
            let name = field_name(&field.name);
            if !names.insert(name.clone()) {
                let column = &field.name;
                return Err(InvalidSchema(format!(
                    "two columns are named {name} in Protobuf, one of them is {column}"
                )));
            }
            let known = known.get(i).unwrap_or(&plain);
            let mut decl = self.field(&mut message, name, &field.data_type, known)?;
            decl.number = number;
            if known.required {
                decl.label = decl.label.filter(|label| *label != Label::Optional);
            }
            message.fields.push(decl);
        }
        Ok(message)
    }

    fn field(
        &mut self,
        of: &mut MessageDecl,
        name: String,
        data_type: &DataType,
        known: &ConnectField,
    ) -> Result<FieldDecl, InvalidSchema> {
        let plain = ConnectField::default();
        let within = known.fields.first().unwrap_or(&plain);
        let (label, data_type, known) = match data_type {
            DataType::Array(element) => (Some(Label::Repeated), &**element, within),
            DataType::Map(value) => {
                let (value, options) = self.value(of, value, within)?;
                return Ok(FieldDecl {
                    label: None,
                    of: TypeRef::Map("string".into(), value),
                    name,
                    number: 1,
                    options,
                });
            }
            other => (scalar(other).map(|_| Label::Optional), other, known),
        };
        let (type_name, options) = self.value(of, data_type, known)?;
        Ok(FieldDecl { label, of: TypeRef::Named(type_name), name, number: 1, options })
    }

    fn import(&mut self, path: &'static str) {
        if !self.imports.contains(&path) {
            self.imports.push(path);
        }
    }

    /// The name of a type that is one value.
    fn value(
        &mut self,
        of: &mut MessageDecl,
        data_type: &DataType,
        known: &ConnectField,
    ) -> Result<(String, Vec<OptionDecl>), InvalidSchema> {
        let mut options = Vec::new();
        let name = match data_type {
            DataType::Decimal(precision, scale) => {
                self.import("confluent/meta.proto");
                self.import("confluent/type/decimal.proto");
                options
                    .push(parameters(&[("precision", precision.to_string()), ("scale", scale.to_string())]));
                "confluent.type.Decimal".to_owned()
            }
            DataType::Date => {
                self.import("google/type/date.proto");
                "google.type.Date".to_owned()
            }
            DataType::Time => {
                self.import("google/type/timeofday.proto");
                "google.type.TimeOfDay".to_owned()
            }
            DataType::Timestamp => {
                self.import("google/protobuf/timestamp.proto");
                "google.protobuf.Timestamp".to_owned()
            }
            DataType::Struct(fields) => {
                let wanted = known.semantic.as_deref().map(|n| field_name(simple(n)));
                let taken = |name: &String| *name == of.name || of.types.iter().any(|t| t.name() == name);
                // The same message a second time is the same type.
                let again = wanted.as_ref().filter(|name| taken(name)).and_then(|name| {
                    let before = of.types.iter().find(|t| t.name() == name)?.clone();
                    let now = self.message(name.clone(), fields, &known.fields);
                    now.is_ok_and(|now| before == TypeDecl::Message(now)).then(|| name.clone())
                });
                if let Some(name) = again {
                    return Ok((name, options));
                }
                let name = wanted.filter(|name| !taken(name)).unwrap_or_else(|| self.fresh());
                let inner = self.message(name.clone(), fields, &known.fields)?;
                of.types.push(TypeDecl::Message(inner));
                name
            }
            list @ (DataType::Array(_) | DataType::Map(_)) => {
                let name = self.fresh();
                let only = ConnectField { required: true, ..known.clone() };
                let inner = self.message(name.clone(), &[Field::new("value", list.clone())], &[only])?;
                of.types.push(TypeDecl::Message(inner));
                name
            }
            DataType::Varchar => match enumeration(known) {
                Some(declared) => {
                    let name = declared.name.clone();
                    let same = TypeDecl::Enum(declared);
                    if !of.types.contains(&same) {
                        if of.types.iter().any(|t| t.name() == name) || name == of.name {
                            return Ok(("string".to_owned(), options));
                        }
                        of.types.push(same);
                    }
                    name
                }
                None => "string".to_owned(),
            },
            DataType::Double if known.meta.narrow == Some(Narrow::Float32) => "float".to_owned(),
            other => {
                if let (DataType::Integer, Some(narrow)) = (other, known.meta.narrow) {
                    self.import("confluent/meta.proto");
                    options.push(parameters(&[("connect.type", narrow.name().to_owned())]));
                }
                let told = known.meta.parameter(TYPE).filter(|t| is_whole(t, other));
                told.or(scalar(other)).unwrap_or("bytes").to_owned()
            }
        };
        Ok((name, options))
    }
}

fn simple(full: &str) -> &str {
    full.rsplit_once('.').map_or(full, |(_, name)| name)
}

/// Whether a scalar's name is one of whole numbers of that type.
fn is_whole(name: &str, data_type: &DataType) -> bool {
    let of = match Scalar::parse(name) {
        Some(Scalar::Sint32 | Scalar::Sfixed32) => DataType::Integer,
        Some(
            Scalar::Uint32
            | Scalar::Fixed32
            | Scalar::Uint64
            | Scalar::Sint64
            | Scalar::Fixed64
            | Scalar::Sfixed64,
        ) => DataType::BigInt,
        _ => return false,
    };
    of == *data_type
}

/// The enum that a string was read from.
fn enumeration(known: &ConnectField) -> Option<EnumDecl> {
    let name = field_name(simple(known.meta.parameter(ENUM)?));
    let value = |(key, number): &(String, String)| {
        let name = key.strip_prefix(ENUM)?.strip_prefix('.')?;
        let number = number.parse().ok()?;
        Some(EnumValue { name: name.to_owned(), number, options: Vec::new() })
    };
    let values: Vec<EnumValue> = known.meta.parameters.iter().filter_map(value).collect();
    // proto3 begins its enums with 0.
    let begins = values.first().is_some_and(|v| v.number == 0);
    let mut numbers = HashSet::new();
    let plain = values.iter().all(|v| numbers.insert(v.number) && field_name(&v.name) == v.name);
    (begins && plain).then(|| EnumDecl { name, values, ..EnumDecl::default() })
}

fn scalar(data_type: &DataType) -> Option<&'static str> {
    Some(match data_type {
        DataType::Boolean => "bool",
        DataType::Integer => "int32",
        DataType::BigInt => "int64",
        DataType::Double => "double",
        DataType::Varchar => "string",
        DataType::Bytes => "bytes",
        _ => return None,
    })
}

/// `(confluent.field_meta) = { params: [ ... ] }`
fn parameters(all: &[(&str, String)]) -> OptionDecl {
    let text = |name: &str, text: &str| (name.to_owned(), OptionValue::Text(text.to_owned()));
    let entry =
        |(key, value): &(&str, String)| OptionValue::Map(vec![text("value", value), text("key", key)]);
    let params = all.iter().map(entry).collect();
    OptionDecl {
        name: "confluent.field_meta".into(),
        extension: true,
        value: OptionValue::Map(vec![("params".into(), OptionValue::List(params))]),
    }
}
