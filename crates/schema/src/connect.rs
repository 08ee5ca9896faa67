//! Kafka Connect's metadata of schemas: what readers of every format tell of a record beside its columns, and what is declared of it.
//!
//! ```text
//!  RecordShape            name, metadata, columns of the record
//!   └─ ConnectField         one a column: required, name of its type, metadata
//!       └─ ConnectField       the same of the fields within it
//! ```
//! A type of bd is what its values are; the metadata is what Connect's schema says beyond it. Avro keeps all of it (`connect.*`), as do
//! JSON's envelope and JSON Schema; Protobuf keeps what its language has a place for.

use crate::{DataType, Schema, Value};
use std::sync::Arc;

/// What Connect's schema says of a value beyond its type, its name and whether it may be null.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConnectMeta {
    /// `version`. Connect's own logical types have 1 without its being said here.
    pub version: Option<i32>,
    /// `doc`.
    pub doc: Option<String>,
    /// `parameters`, in their order; without those that follow from the type (a decimal's scale and precision).
    pub parameters: Vec<(String, String)>,
    /// `default`, of the value's type; never NULL.
    pub default: Option<Value>,
    /// The type that it was declared with, where bd's is wider.
    pub narrow: Option<Narrow>,
}

impl ConnectMeta {
    /// The parameter of that name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Sets a parameter, in its place if it is there.
    pub fn set_parameter(&mut self, name: &str, value: impl Into<String>) {
        match self.parameters.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value.into(),
            None => self.parameters.push((name.to_owned(), value.into())),
        }
    }
}

/// A type of Connect that a wider one of bd stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Narrow {
    /// `int8`, an `INTEGER`.
    Int8,
    /// `int16`, an `INTEGER`.
    Int16,
    /// `float32`, a `DOUBLE`.
    Float32,
}

impl Narrow {
    /// Connect's name of it (`connect.type`): `int8`, `int16`, `float32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Float32 => "float32",
        }
    }

    /// The one of that name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Int8, Self::Int16, Self::Float32].into_iter().find(|narrow| narrow.name() == name)
    }

    /// Whether a value of that type can be one.
    pub fn fits(self, data_type: &DataType) -> bool {
        match self {
            Self::Int8 | Self::Int16 => *data_type == DataType::Integer,
            Self::Float32 => *data_type == DataType::Double,
        }
    }
}

/// A field in Connect's sense, beyond its name and type.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConnectField {
    /// Never null.
    pub required: bool,
    /// Connect's name of its type, such as `io.debezium.time.ZonedTimestamp` (`connect.name` in Avro); those of Connect's own logical
    /// types are told by the type. Of a struct its full name: `before` and `after` of a change event carry `<server>.<db>.<table>.Value`.
    pub semantic: Option<String>,
    /// Of a struct: what is known of its own fields, one an entry; of an array or a map: of its elements or values, one entry.
    /// Empty: nothing, they are optional.
    pub fields: Vec<ConnectField>,
    /// Version, doc, parameters, default.
    pub meta: ConnectMeta,
}

impl ConnectField {
    /// A field that is never null.
    pub fn required() -> Self {
        Self { required: true, ..Self::default() }
    }

    /// The same with Connect's name of its type.
    pub fn named(mut self, semantic: impl Into<String>) -> Self {
        self.semantic = Some(semantic.into());
        self
    }

    /// The same with a version of its type.
    pub fn versioned(mut self, version: i32) -> Self {
        self.meta.version = Some(version);
        self
    }

    /// The same with a default.
    pub fn or(mut self, default: Value) -> Self {
        self.meta.default = Some(default);
        self
    }

    /// The same with a parameter.
    pub fn with_parameter(mut self, name: &str, value: impl Into<String>) -> Self {
        self.meta.set_parameter(name, value);
        self
    }

    /// The same, of a struct, with what is known of its fields.
    pub fn of(mut self, fields: Vec<ConnectField>) -> Self {
        self.fields = fields;
        self
    }

    /// Whether nothing is known of it.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// The fields within it, or nothing where nothing is known of any.
    pub(crate) fn within(fields: Vec<ConnectField>) -> Vec<ConnectField> {
        if fields.iter().all(Self::is_plain) { Vec::new() } else { fields }
    }
}

/// What a declaration of any format says of records, as their readers find it.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordShape {
    /// The record's full name, as Connect has it (`connect.name`, a title) or else as in the declaration; `None` for a bare value and
    /// where it has none.
    pub name: Option<String>,
    /// Version, doc, parameters of the record.
    pub meta: ConnectMeta,
    /// The columns; a bare value is one column named `value`.
    pub schema: Schema,
    /// What else is known of each column, in their order.
    pub fields: Vec<ConnectField>,
    /// A bare value, not a record.
    pub single: bool,
    /// The declaration's text.
    pub text: Arc<str>,
}
