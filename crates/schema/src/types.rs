//! Data types and schemas, in ksqlDB's terms, with their Arrow counterparts.

use arrow_schema::{DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema, TimeUnit};
use std::fmt;
use std::sync::Arc;

/// The type of a column, an element or a struct's field. Every type is nullable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DataType {
    /// `BOOLEAN`.
    Boolean,
    /// `INTEGER` / `INT`: 32-bit signed.
    Integer,
    /// `BIGINT`: 64-bit signed.
    BigInt,
    /// `DOUBLE`: 64-bit IEEE 754.
    Double,
    /// `DECIMAL(precision, scale)`, precision 1..=38.
    Decimal(u8, i8),
    /// `VARCHAR` / `STRING`: UTF-8.
    Varchar,
    /// `BYTES`.
    Bytes,
    /// `DATE`: days since epoch.
    Date,
    /// `TIME`: milliseconds of the day.
    Time,
    /// `TIMESTAMP`: milliseconds since epoch, UTC.
    Timestamp,
    /// `ARRAY<element>`.
    Array(Arc<DataType>),
    /// `MAP<VARCHAR, value>`: keys are strings, in the order of the record.
    Map(Arc<DataType>),
    /// `STRUCT<name type, ...>`.
    Struct(Arc<[Field]>),
}

impl DataType {
    /// Whether it is one of `INTEGER`, `BIGINT`, `DOUBLE`, `DECIMAL`.
    pub fn is_numeric(&self) -> bool {
        matches!(self, Self::Integer | Self::BigInt | Self::Double | Self::Decimal(..))
    }

    /// The Arrow type: `Timestamp` without a zone (UTC), `Map` with fields `entries{key, value}`, `Array` as `List` of `item`.
    pub fn to_arrow(&self) -> ArrowType {
        match self {
            Self::Boolean => ArrowType::Boolean,
            Self::Integer => ArrowType::Int32,
            Self::BigInt => ArrowType::Int64,
            Self::Double => ArrowType::Float64,
            Self::Decimal(p, s) => ArrowType::Decimal128(*p, *s),
            Self::Varchar => ArrowType::Utf8,
            Self::Bytes => ArrowType::Binary,
            Self::Date => ArrowType::Date32,
            Self::Time => ArrowType::Time32(TimeUnit::Millisecond),
            Self::Timestamp => ArrowType::Timestamp(TimeUnit::Millisecond, None),
            Self::Array(e) => ArrowType::List(Arc::new(ArrowField::new("item", e.to_arrow(), true))),
            Self::Map(v) => {
                let entries = ArrowType::Struct(
                    vec![
                        ArrowField::new("key", ArrowType::Utf8, false),
                        ArrowField::new("value", v.to_arrow(), true),
                    ]
                    .into(),
                );
                ArrowType::Map(Arc::new(ArrowField::new("entries", entries, false)), false)
            }
            Self::Struct(fields) => ArrowType::Struct(fields.iter().map(Field::to_arrow).collect()),
        }
    }
}

impl fmt::Display for DataType {
    /// As written in a statement.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::Integer => f.write_str("INTEGER"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal(p, s) => write!(f, "DECIMAL({p}, {s})"),
            Self::Varchar => f.write_str("VARCHAR"),
            Self::Bytes => f.write_str("BYTES"),
            Self::Date => f.write_str("DATE"),
            Self::Time => f.write_str("TIME"),
            Self::Timestamp => f.write_str("TIMESTAMP"),
            Self::Array(e) => write!(f, "ARRAY<{e}>"),
            Self::Map(v) => write!(f, "MAP<VARCHAR, {v}>"),
            Self::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (i, field) in fields.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{} {}", field.name, field.data_type)?;
                }
                f.write_str(">")
            }
        }
    }
}

/// A named, typed column or struct field. Names keep their spelling and match case-insensitively.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// The name as spelled by the user.
    pub name: String,
    /// The type.
    pub data_type: DataType,
}

impl Field {
    /// A field.
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Self { name: name.into(), data_type }
    }

    /// The Arrow field, nullable.
    pub fn to_arrow(&self) -> ArrowField {
        ArrowField::new(&self.name, self.data_type.to_arrow(), true)
    }
}

/// The columns of a record's key or value, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Schema {
    /// The columns.
    pub fields: Vec<Field>,
}

impl Schema {
    /// A schema of these columns.
    pub fn new(fields: Vec<Field>) -> Self {
        Self { fields }
    }

    /// The place of the column of that name, without regard to case.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|f| f.name.eq_ignore_ascii_case(name))
    }

    /// The Arrow schema.
    pub fn to_arrow(&self) -> Arc<ArrowSchema> {
        Arc::new(ArrowSchema::new(self.fields.iter().map(Field::to_arrow).collect::<Vec<_>>()))
    }
}
