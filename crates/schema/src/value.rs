//! Rows: one value a column, the form that most connectors and transforms speak.

/// A row: one value for each field of its schema, in order.
pub type Row = Vec<Value>;

/// A value of any [`crate::DataType`].
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL `NULL`, of any type.
    Null,
    /// `BOOLEAN`.
    Boolean(bool),
    /// `INTEGER`.
    Integer(i32),
    /// `BIGINT`.
    BigInt(i64),
    /// `DOUBLE`.
    Double(f64),
    /// `DECIMAL`: the unscaled value; the scale is the type's.
    Decimal(i128),
    /// `VARCHAR`.
    Varchar(String),
    /// `BYTES`.
    Bytes(Vec<u8>),
    /// `DATE`: days since epoch.
    Date(i32),
    /// `TIME`: milliseconds of the day.
    Time(i32),
    /// `TIMESTAMP`: milliseconds since epoch.
    Timestamp(i64),
    /// `ARRAY`.
    Array(Vec<Value>),
    /// `MAP`: entries in order.
    Map(Vec<(String, Value)>),
    /// `STRUCT`: one value for each field.
    Struct(Vec<Value>),
}

impl Value {
    /// The name of its type, without parameters: `NULL`, `BIGINT`, `ARRAY`, ...
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Boolean(_) => "BOOLEAN",
            Self::Integer(_) => "INTEGER",
            Self::BigInt(_) => "BIGINT",
            Self::Double(_) => "DOUBLE",
            Self::Decimal(_) => "DECIMAL",
            Self::Varchar(_) => "VARCHAR",
            Self::Bytes(_) => "BYTES",
            Self::Date(_) => "DATE",
            Self::Time(_) => "TIME",
            Self::Timestamp(_) => "TIMESTAMP",
            Self::Array(_) => "ARRAY",
            Self::Map(_) => "MAP",
            Self::Struct(_) => "STRUCT",
        }
    }
}
