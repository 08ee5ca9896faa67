//! From an Avro declaration to a [`Schema`].
//!
//! | Avro | type |
//! |---|---|
//! | `boolean`, `int`, `long`, `float` or `double`, `string`, `bytes` | `BOOLEAN`, `INTEGER`, `BIGINT`, `DOUBLE`, `VARCHAR`, `BYTES` |
//! | `enum`, `uuid`, `null` | `VARCHAR` |
//! | `fixed`, `duration`, `big-decimal` | `BYTES` |
//! | `decimal` | `DECIMAL`; a precision beyond 38 (Connect's default is 64) is 38 |
//! | `date`, `time-*`, `timestamp-*`, `local-timestamp-*` | `DATE`, `TIME`, `TIMESTAMP` |
//! | `array`, `map`, `record` | `ARRAY`, `MAP`, `STRUCT` |
//! | Connect's array of map entries | `MAP` |
//! | union of null and one type | that type |
//! | union of numbers | the widest of them |
//! | another union | `STRUCT` with a field for each branch, named after it, as Connect's converter does |

use super::known::Declared;
use super::parse::{self, AvroError, Names};
use crate::connect::{ConnectMeta, RecordShape};
use crate::{DataType, Field, Schema};
use apache_avro::Schema as Avro;
use apache_avro::schema::{Name, UnionSchema};
use serde_json::Value as Json;
use std::sync::Arc;

/// What an Avro declaration (JSON) says.
///
/// # Errors
/// It is no Avro schema; its types refer to themselves, or unfold to more than [`MAX_TYPES`] or deeper than [`MAX_DEPTH`].
pub fn schema_of_avro(text: &str) -> Result<RecordShape, AvroError> {
    shape(text, 0)
}

/// The same for rows, of which a record may hold itself: so often within itself, [`MAX_RECURSION`] times. The innermost lacks the
/// fields that would hold it again; an [`AvroReader`](super::AvroReader) refuses values of them.
///
/// # Errors
/// As [`schema_of_avro`]'s, but for types that refer to themselves.
pub fn rows_of_avro(text: &str) -> Result<RecordShape, AvroError> {
    shape(text, MAX_RECURSION)
}

fn shape(text: &str, recursion: usize) -> Result<RecordShape, AvroError> {
    let json = parse::json(text)?;
    let avro = parse::schema(&json, false)?;
    let names = Names::of(&avro)?;
    let mut deriving = Deriving { names: &names, types: 0, recursion, within: Vec::new() };
    let avro_text = Arc::from(text);
    let declared = Declared::of(&json);
    let Avro::Record(record) = not_null(&avro) else {
        let data_type = deriving.data_type(&avro, 0)?.ok_or_else(unfolds)?;
        let fields = vec![declared.field(&json, None, "", &data_type)];
        let schema = Schema::new(vec![Field::new("value", data_type)]);
        let meta = ConnectMeta::default();
        return Ok(RecordShape { name: None, meta, schema, fields, single: true, text: avro_text });
    };
    deriving.within.push(&record.name);
    let schema = Schema::new(deriving.fields(record.fields.iter().map(|f| (f.name.as_str(), &f.schema)), 0)?);
    let (name, meta, fields) = declared.root(&json, &schema.fields);
    Ok(RecordShape { name: Some(name), meta, schema, fields, single: false, text: avro_text })
}

fn unfolds() -> AvroError {
    AvroError::new(format!(
        "the schema refers to itself, or unfolds to more than {MAX_TYPES} types or {MAX_DEPTH} levels: it has no columns"
    ))
}

/// Rows hold a record within itself so often.
pub const MAX_RECURSION: usize = 8;
/// More types in one declaration, references unfolded, are refused.
pub const MAX_TYPES: usize = 10_000;
/// Deeper declarations, references unfolded, are refused.
pub const MAX_DEPTH: usize = 32;

/// The one branch beside null; others are themselves.
pub(super) fn not_null(avro: &Avro) -> &Avro {
    let Avro::Union(union) = avro else { return avro };
    let mut branches = not_null_branches(union);
    match (branches.next(), branches.next()) {
        (Some(one), None) => one,
        _ => avro,
    }
}

fn not_null_branches(union: &UnionSchema) -> impl Iterator<Item = &Avro> {
    union.variants().iter().filter(|b| !matches!(b, Avro::Null))
}

struct Deriving<'a> {
    names: &'a Names<'a>,
    types: usize,
    /// How often a record may hold itself.
    recursion: usize,
    /// The records around a type.
    within: Vec<&'a Name>,
}

impl<'a> Deriving<'a> {
    /// The fields that have a type.
    fn fields<'n>(
        &mut self,
        fields: impl Iterator<Item = (&'n str, &'a Avro)>,
        depth: usize,
    ) -> Result<Vec<Field>, AvroError> {
        let mut all = Vec::new();
        for (name, avro) in fields {
            all.extend(self.data_type(avro, depth + 1)?.map(|data_type| Field::new(name, data_type)));
        }
        Ok(all)
    }

    /// The type; `None` where a record would hold itself once too often.
    fn data_type(&mut self, avro: &'a Avro, depth: usize) -> Result<Option<DataType>, AvroError> {
        self.types += 1;
        if depth > MAX_DEPTH || self.types > MAX_TYPES {
            return Err(unfolds());
        }
        let array = |of: DataType| DataType::Array(Arc::new(of));
        let map = |of: DataType| DataType::Map(Arc::new(of));
        Ok(Some(match self.names.resolve(not_null(avro))? {
            Avro::Boolean => DataType::Boolean,
            Avro::Int => DataType::Integer,
            Avro::Long => DataType::BigInt,
            Avro::Float | Avro::Double => DataType::Double,
            Avro::Null | Avro::String | Avro::Enum(_) | Avro::Uuid(_) | Avro::Ref { .. } => DataType::Varchar,
            Avro::Bytes | Avro::Fixed(_) | Avro::BigDecimal | Avro::Duration(_) => DataType::Bytes,
            Avro::Decimal(decimal) => {
                let scale = decimal.scale.min(38);
                DataType::Decimal(decimal.precision.clamp(1, 38) as u8, scale as i8)
            }
            Avro::Date => DataType::Date,
            Avro::TimeMillis | Avro::TimeMicros => DataType::Time,
            Avro::TimestampMillis
            | Avro::TimestampMicros
            | Avro::TimestampNanos
            | Avro::LocalTimestampMillis
            | Avro::LocalTimestampMicros
            | Avro::LocalTimestampNanos => DataType::Timestamp,
            Avro::Array(of) => match entries(self.names.resolve(&of.items)?) {
                Some(value) => return Ok(self.data_type(value, depth + 1)?.map(map)),
                None => return Ok(self.data_type(&of.items, depth + 1)?.map(array)),
            },
            Avro::Map(of) => return Ok(self.data_type(&of.types, depth + 1)?.map(map)),
            Avro::Record(of) => {
                let around = self.within.iter().filter(|name| **name == &of.name).count();
                if around > self.recursion {
                    return if self.recursion == 0 { Err(unfolds()) } else { Ok(None) };
                }
                self.within.push(&of.name);
                let fields = of.fields.iter().map(|f| (f.name.as_str(), &f.schema));
                let fields = self.fields(fields, depth)?;
                self.within.pop();
                DataType::Struct(fields.into())
            }
            Avro::Union(branches) => {
                let all: Vec<&'a Avro> = not_null_branches(branches).collect();
                match widest(&all) {
                    Some(number) => number,
                    None => {
                        let fields = all.iter().map(|b| (branch_name(b), *b));
                        DataType::Struct(self.fields(fields, depth)?.into())
                    }
                }
            }
        }))
    }
}

fn widest(branches: &[&Avro]) -> Option<DataType> {
    let rank = |b: &&Avro| match b {
        Avro::Int => Some(0),
        Avro::Long => Some(1),
        Avro::Float | Avro::Double => Some(2),
        _ => None,
    };
    let ranks = branches.iter().map(rank).collect::<Option<Vec<_>>>()?;
    Some(match ranks.into_iter().max()? {
        0 => DataType::Integer,
        1 => DataType::BigInt,
        _ => DataType::Double,
    })
}

/// The value's type of Connect's form of a map: an array of records of the fields `key` (a string) and `value`, marked as such.
pub(super) fn entries(item: &Avro) -> Option<&Avro> {
    let Avro::Record(record) = item else { return None };
    record.attributes.get("connect.internal.type").filter(|t| t.as_str() == Some("MapEntry"))?;
    match record.fields.as_slice() {
        [key, value] if matches!(not_null(&key.schema), Avro::String) => Some(&value.schema),
        _ => None,
    }
}

/// What Connect calls a branch of a union.
pub(super) fn branch_name(branch: &Avro) -> &str {
    match branch {
        Avro::Record(r) => r.name.name(),
        Avro::Enum(e) => e.name.name(),
        Avro::Fixed(f) => f.name.name(),
        Avro::Ref { name } => name.name(),
        Avro::Boolean => "boolean",
        Avro::Int | Avro::Date | Avro::TimeMillis => "int",
        Avro::Float => "float",
        Avro::Double => "double",
        Avro::String | Avro::Uuid(_) => "string",
        Avro::Array(_) => "array",
        Avro::Map(_) => "map",
        Avro::Bytes | Avro::Decimal(_) | Avro::BigDecimal => "bytes",
        Avro::Null => "null",
        Avro::Union(_) => "union",
        Avro::Duration(_) => "fixed",
        _ => "long",
    }
}

/// The same of a branch as it is written.
pub(super) fn branch_name_of(branch: &Json) -> &str {
    let simple = |name: &'_ str| -> usize { name.rfind('.').map_or(0, |dot| dot + 1) };
    let text = |key: &str| branch.get(key).and_then(Json::as_str);
    match (branch, text("type")) {
        (Json::String(name), _) => &name[simple(name)..],
        (_, Some("record" | "error" | "enum" | "fixed")) if text("logicalType").is_none() => {
            let name = text("name").unwrap_or_default();
            &name[simple(name)..]
        }
        (_, Some(primitive)) => primitive,
        _ => "",
    }
}
