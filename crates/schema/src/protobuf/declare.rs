//! From a [`Schema`] to a `.proto` text, as Kafka Connect's converter and ksqlDB declare it.
//!
//! | type | Protobuf |
//! |---|---|
//! | `BOOLEAN`, `INTEGER`, `BIGINT`, `DOUBLE`, `VARCHAR`, `BYTES` | `bool`, `int32`, `int64`, `double`, `string`, `bytes`, all `optional` |
//! | `DECIMAL(p, s)` | `confluent.type.Decimal` with the parameters `precision` and `scale` |
//! | `DATE`, `TIME`, `TIMESTAMP` | `google.type.Date`, `google.type.TimeOfDay`, `google.protobuf.Timestamp` |
//! | `ARRAY` | `repeated`; a NULL array is as an empty one |
//! | `MAP` | `map<string, V>`; a NULL map is as an empty one |
//! | `STRUCT` | a message `ConnectDefault2`, `ConnectDefault3`, ... within the message |
//! | an array or map within an array or map | a message whose only field `value` is that |
//!
//! `optional` keeps NULL apart from a type's default, as Connect's `optional.for.nullables` does.

use super::ast::{
    FieldDecl, Label, MessageDecl, OptionDecl, OptionValue, ProtoFile, Syntax, TypeDecl, TypeRef,
};
use super::print;
use crate::avro::field_name;
use crate::definition::InvalidSchema;
use crate::{DataType, Field, Schema};
use std::collections::HashSet;

/// The name of the messages that Connect's converter and ksqlDB write; the first is `ConnectDefault1`.
const MESSAGE: &str = "ConnectDefault";

/// The `.proto` text of a message of that full name (`package.Name`; `None`: `ConnectDefault1`) with these columns; `required` says of
/// each, in their order, whether it is never NULL, and may be shorter.
///
/// # Errors
/// Two columns have the same name in Protobuf.
pub fn protobuf_of_schema(
    name: Option<&str>,
    schema: &Schema,
    required: &[bool],
) -> Result<String, InvalidSchema> {
    let mut declaring = Declaring::default();
    let (package, simple) = match name {
        Some(name) => match name.rsplit_once('.') {
            Some((package, simple)) => (Some(package), field_name(simple)),
            None => (None, field_name(name)),
        },
        None => (None, declaring.fresh()),
    };
    let mut message = declaring.message(simple, &schema.fields)?;
    for (field, _) in message.fields.iter_mut().zip(required).filter(|(_, required)| **required) {
        field.label = field.label.filter(|label| *label != Label::Optional);
    }
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

impl Declaring {
    fn fresh(&mut self) -> String {
        self.messages += 1;
        format!("{MESSAGE}{}", self.messages)
    }

    fn message(&mut self, name: String, fields: &[Field]) -> Result<MessageDecl, InvalidSchema> {
        // The name of the first message counts, whatever it is.
        self.messages = self.messages.max(1);
        let mut message = MessageDecl { name, ..MessageDecl::default() };
        let mut names = HashSet::new();
        for (field, number) in fields.iter().zip(1..) {
            let name = field_name(&field.name);
            if !names.insert(name.clone()) {
                let column = &field.name;
                return Err(InvalidSchema(format!(
                    "two columns are named {name} in Protobuf, one of them is {column}"
                )));
            }
            // The numbers from 19000 to 19999 are not to be used.
            let number = if number < 19_000 { number } else { number + 1000 };
            let mut decl = self.field(&mut message, name, &field.data_type)?;
            decl.number = number;
            message.fields.push(decl);
        }
        Ok(message)
    }

    fn field(
        &mut self,
        of: &mut MessageDecl,
        name: String,
        data_type: &DataType,
    ) -> Result<FieldDecl, InvalidSchema> {
        let (label, data_type) = match data_type {
            DataType::Array(element) => (Some(Label::Repeated), &**element),
            DataType::Map(value) => {
                let (value, options) = self.value(of, value)?;
                return Ok(FieldDecl {
                    label: None,
                    of: TypeRef::Map("string".into(), value),
                    name,
                    number: 1,
                    options,
                });
            }
            other => (scalar(other).map(|_| Label::Optional), other),
        };
        let (type_name, options) = self.value(of, data_type)?;
        Ok(FieldDecl { label, of: TypeRef::Named(type_name), name, number: 1, options })
    }

    /// The name of a type that is one value.
    fn value(
        &mut self,
        of: &mut MessageDecl,
        data_type: &DataType,
    ) -> Result<(String, Vec<OptionDecl>), InvalidSchema> {
        let mut known = |path, name: &str| {
            if !self.imports.contains(&path) {
                self.imports.push(path);
            }
            name.to_owned()
        };
        let name = match data_type {
            DataType::Decimal(precision, scale) => {
                known("confluent/meta.proto", "");
                let name = known("confluent/type/decimal.proto", "confluent.type.Decimal");
                return Ok((name, vec![parameters(*precision, *scale)]));
            }
            DataType::Date => known("google/type/date.proto", "google.type.Date"),
            DataType::Time => known("google/type/timeofday.proto", "google.type.TimeOfDay"),
            DataType::Timestamp => known("google/protobuf/timestamp.proto", "google.protobuf.Timestamp"),
            DataType::Struct(fields) => {
                let name = self.fresh();
                let inner = self.message(name.clone(), fields)?;
                of.types.push(TypeDecl::Message(inner));
                name
            }
            list @ (DataType::Array(_) | DataType::Map(_)) => {
                let name = self.fresh();
                let inner = self.message(name.clone(), &[Field::new("value", list.clone())])?;
                of.types.push(TypeDecl::Message(inner));
                name
            }
            other => scalar(other).unwrap_or("bytes").to_owned(),
        };
        Ok((name, Vec::new()))
    }
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
fn parameters(precision: u8, scale: i8) -> OptionDecl {
    let text = |name: &str, text: String| (name.to_owned(), OptionValue::Text(text));
    let entry =
        |key: &str, value: String| OptionValue::Map(vec![text("value", value), text("key", key.to_owned())]);
    let params = vec![entry("precision", precision.to_string()), entry("scale", scale.to_string())];
    OptionDecl {
        name: "confluent.field_meta".into(),
        extension: true,
        value: OptionValue::Map(vec![("params".into(), OptionValue::List(params))]),
    }
}
