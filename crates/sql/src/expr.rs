//! Typed expressions and their rules. The engine and Spark are translations of these.
//!
//! # Rules
//! * **NULL** in gives NULL out, but for `IS [NOT] NULL`, `AND`/`OR` (three-valued), `COALESCE`, `IFNULL`, `CASE`, `CONCAT`
//!   (skips NULLs, as ksqlDB's), `GREATEST`/`LEAST` (skip NULLs). A condition that is NULL is not met.
//! * **Errors of a row** (integer overflow, division by zero, a cast or parse that fails) give NULL for that row, and are counted as
//!   processing errors, as ksqlDB does; they never stop a query.
//! * **Integers**: `INTEGER op INTEGER` is INTEGER, with BIGINT it is BIGINT, with DOUBLE it is DOUBLE; `/` of integers truncates
//!   towards zero; `%` has the sign of the dividend. No wrap-around.
//! * **Time** is milliseconds since epoch, UTC. `TIMESTAMP + INTERVAL` and `TIMESTAMP - INTERVAL` are TIMESTAMP; `TIMESTAMP -
//!   TIMESTAMP` is BIGINT ms. TIMESTAMP and BIGINT compare as ms. `ROWTIME` is BIGINT ms.
//! * **Strings** compare by code point (bytes of UTF-8), as ksqlDB compares Java strings outside the surrogates.
//! * Comparing different numeric types widens; other pairs of types are refused at analysis.

use bd_schema::{DataType, Value};

/// A typed expression over the columns of a node's input (for joins: left's columns, then right's).
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// The type of its result.
    pub data_type: DataType,
}

/// The forms of an expression. Operands have the types that the operation needs: the analyzer inserts [`ExprKind::Cast`]s, so
/// that both sides of a comparison or of arithmetic have the same type (times and intervals apart).
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// A column of the input, by place.
    Column(usize),
    /// A constant. The NULL literal has the type that its place asks for (VARCHAR where none does).
    Literal(Value),
    /// `left op right`.
    Binary {
        /// The operation.
        op: BinaryOp,
        /// Left operand.
        left: Box<Expr>,
        /// Right operand.
        right: Box<Expr>,
    },
    /// `NOT x`.
    Not(Box<Expr>),
    /// `-x`.
    Negate(Box<Expr>),
    /// `x IS NULL`; `IS NOT NULL` is `Not` of it.
    IsNull(Box<Expr>),
    /// `x IN (...)`, three-valued; `NOT IN` is `Not` of it.
    InList {
        /// The value looked for.
        value: Box<Expr>,
        /// The candidates, of the value's type.
        list: Vec<Expr>,
    },
    /// `x LIKE pattern` with `%` and `_`, and an escape character where given.
    Like {
        /// The string.
        value: Box<Expr>,
        /// The pattern.
        pattern: Box<Expr>,
        /// The escape character.
        escape: Option<char>,
    },
    /// `CASE WHEN c THEN v ... ELSE e END` (the short form is rewritten to this).
    Case {
        /// Conditions and results.
        branches: Vec<(Expr, Expr)>,
        /// The result without a match; NULL where absent.
        otherwise: Option<Box<Expr>>,
    },
    /// `CAST(x AS type)`; the type is the expression's.
    Cast(Box<Expr>),
    /// A call.
    Call {
        /// Which function.
        function: Function,
        /// Its arguments.
        args: Vec<Expr>,
    },
    /// `struct -> field` (or `struct.field`), the field by place.
    Field {
        /// The struct.
        value: Box<Expr>,
        /// The field's place.
        index: usize,
    },
    /// `array[i]` (1-based as in ksqlDB, negative from the end) or `map['key']`; out of range is NULL.
    Index {
        /// The array or map.
        value: Box<Expr>,
        /// The index or key.
        index: Box<Expr>,
    },
}

/// Operations of two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum BinaryOp {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Eq,
    NotEq,
    Less,
    LessEq,
    Greater,
    GreaterEq,
    And,
    Or,
    /// `IS DISTINCT FROM`.
    IsDistinctFrom,
}

/// Scalar functions, by ksqlDB's names. Times without a zone argument are UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// `FORMAT_TIMESTAMP(ts TIMESTAMP, pattern [, zone])`: Java's `DateTimeFormatter` patterns. The zone is `UTC` or an offset.
    FormatTimestamp,
    /// `PARSE_TIMESTAMP(text, pattern [, zone])`.
    ParseTimestamp,
    /// `FORMAT_DATE(date, pattern)`.
    FormatDate,
    /// `PARSE_DATE(text, pattern)`.
    ParseDate,
    /// `FROM_UNIXTIME(ms BIGINT)`: TIMESTAMP.
    FromUnixtime,
    /// `UNIX_TIMESTAMP(ts TIMESTAMP)`: BIGINT ms.
    UnixTimestamp,
    /// `TIMESTAMPADD(unit, n, ts)`: the analyzer rewrites it to a call with (n as ms BIGINT, ts).
    TimestampAdd,
    /// `GREATEST(a, b, ...)`.
    Greatest,
    /// `LEAST(a, b, ...)`.
    Least,
    /// `COALESCE(a, b, ...)`, also `IFNULL(a, b)`.
    Coalesce,
    /// `NULLIF(a, b)`.
    NullIf,
    /// `CONCAT(a, b, ...)`, also `a || b` (`||` gives NULL for a NULL operand).
    Concat,
    /// `CONCAT_WS(separator, a, b, ...)`.
    ConcatWs,
    /// `UCASE`, `UPPER`.
    Ucase,
    /// `LCASE`, `LOWER`.
    Lcase,
    /// `TRIM`.
    Trim,
    /// `LEN`: characters.
    Len,
    /// `SUBSTRING(s, start [, length])`, 1-based.
    Substring,
    /// `REPLACE(s, from, to)`.
    Replace,
    /// `LPAD(s, length, padding)`.
    Lpad,
    /// `SPLIT(s, delimiter)`: `ARRAY<VARCHAR>`.
    Split,
    /// `ABS`.
    Abs,
    /// `FLOOR`: of DOUBLE is DOUBLE.
    Floor,
    /// `CEIL`.
    Ceil,
    /// `ROUND(x [, decimals])`: half up; of DOUBLE without decimals is BIGINT, as ksqlDB's.
    Round,
    /// `SQRT`.
    Sqrt,
    /// `POWER(x, y)`, DOUBLE.
    Power,
    /// `ARRAY_LENGTH(array)`.
    ArrayLength,
    /// `ARRAY_CONTAINS(array, x)`.
    ArrayContains,
    /// `MAP_KEYS(map)`: `ARRAY<VARCHAR>`.
    MapKeys,
    /// `ARRAY[a, b, ...]`.
    MakeArray,
    /// `STRUCT(name := x, ...)`: the names are in the type.
    MakeStruct,
}

impl Expr {
    /// The column at `index` of type `data_type`.
    pub fn column(index: usize, data_type: DataType) -> Self {
        Self { kind: ExprKind::Column(index), data_type }
    }

    /// A constant.
    pub fn literal(value: Value, data_type: DataType) -> Self {
        Self { kind: ExprKind::Literal(value), data_type }
    }

    /// `left op right`, of type `data_type`.
    pub fn binary(op: BinaryOp, left: Expr, right: Expr, data_type: DataType) -> Self {
        Self { kind: ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) }, data_type }
    }
}
