//! What a text says, before names and types are known. Every node keeps its place in the text.

pub use crate::error::Span;
use bd_schema::DataType;

/// A name as spelled.
#[derive(Debug, Clone, PartialEq)]
pub struct Ident {
    /// Without quotes.
    pub name: String,
    /// Where.
    pub span: Span,
}

impl Ident {
    /// Whether it is the same name, without regard to case.
    pub fn is(&self, other: &str) -> bool {
        self.name.eq_ignore_ascii_case(other)
    }
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where.
    pub span: Span,
    /// How many nodes lie on its longest way down; bounded by the parser.
    pub depth: u16,
}

/// The forms of an expression.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// `a`, `a.b`, `a.b.c`: a column, a source's column, a struct's field.
    Path(Vec<Ident>),
    /// `NULL`.
    Null,
    /// `TRUE`, `FALSE`.
    Boolean(bool),
    /// Digits.
    Integer(String),
    /// Digits with a point or an exponent.
    Number(String),
    /// `'text'`.
    Text(String),
    /// `INTERVAL '24' HOUR`: ms.
    Interval(i64),
    /// `-x`.
    Negate(Box<Expr>),
    /// `NOT x`.
    Not(Box<Expr>),
    /// `a op b`.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `x IS [NOT] NULL`.
    IsNull {
        /// The value.
        value: Box<Expr>,
        /// `NOT`.
        negated: bool,
    },
    /// `x [NOT] IN (...)`.
    InList {
        /// The value.
        value: Box<Expr>,
        /// The candidates.
        list: Vec<Expr>,
        /// `NOT`.
        negated: bool,
    },
    /// `x [NOT] BETWEEN a AND b`.
    Between {
        /// The value.
        value: Box<Expr>,
        /// Least.
        low: Box<Expr>,
        /// Greatest.
        high: Box<Expr>,
        /// `NOT`.
        negated: bool,
    },
    /// `x [NOT] LIKE p [ESCAPE c]`.
    Like {
        /// The value.
        value: Box<Expr>,
        /// The pattern.
        pattern: Box<Expr>,
        /// The escape character.
        escape: Option<char>,
        /// `NOT`.
        negated: bool,
    },
    /// `CASE [operand] WHEN .. THEN .. [ELSE ..] END`.
    Case {
        /// Of the short form.
        operand: Option<Box<Expr>>,
        /// Conditions (or candidates) and results.
        branches: Vec<(Expr, Expr)>,
        /// `ELSE`.
        otherwise: Option<Box<Expr>>,
    },
    /// `CAST(x AS type)`.
    Cast(Box<Expr>, DataType),
    /// `f(a, b)`, `COUNT(*)`, `f(a) OVER w`.
    Call(Call),
    /// `x->field`.
    Field(Box<Expr>, Ident),
    /// `x[i]`.
    Index(Box<Expr>, Box<Expr>),
    /// `ARRAY[a, b]`.
    Array(Vec<Expr>),
    /// `STRUCT(name := x, ...)`.
    Struct(Vec<(Ident, Expr)>),
    /// `MAP(key := x, ...)`: as a constant of INSERT only.
    Map(Vec<(Expr, Expr)>),
}

/// A function's call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Its name.
    pub name: Ident,
    /// Its arguments.
    pub args: Vec<Expr>,
    /// `f(*)`.
    pub star: bool,
    /// `f(DISTINCT x)`.
    pub distinct: bool,
    /// `OVER`.
    pub over: Option<Over>,
}

/// What follows OVER.
#[derive(Debug, Clone, PartialEq)]
pub enum Over {
    /// A window by name.
    Named(Ident),
    /// A window in place.
    Inline(WindowDef),
}

/// `(PARTITION BY .. ORDER BY ..)`.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowDef {
    /// The partition's expressions.
    pub partition: Vec<Expr>,
    /// The order.
    pub order: Vec<OrderItem>,
    /// Where.
    pub span: Span,
}

/// One expression of an ORDER BY.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderItem {
    /// By what.
    pub expr: Expr,
    /// `DESC`.
    pub descending: bool,
}

/// Operators of two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum BinaryOp {
    Or,
    And,
    Eq,
    NotEq,
    Less,
    LessEq,
    Greater,
    GreaterEq,
    IsDistinctFrom,
    IsNotDistinctFrom,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Concat,
}

/// A query.
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    /// What to compute.
    pub items: Vec<SelectItem>,
    /// From where.
    pub from: Relation,
    /// Joined with, in order.
    pub joins: Vec<Join>,
    /// `WINDOW TUMBLING|HOPPING|SESSION (...)`.
    pub window: Option<(crate::plan::Window, Span)>,
    /// `WINDOW w AS (...)`.
    pub named_windows: Vec<(Ident, WindowDef)>,
    /// `WHERE`.
    pub filter: Option<Expr>,
    /// `GROUP BY`.
    pub group_by: Vec<Expr>,
    /// `HAVING`.
    pub having: Option<Expr>,
    /// `PARTITION BY`.
    pub partition_by: Vec<Expr>,
    /// `ORDER BY`.
    pub order_by: Vec<OrderItem>,
    /// `EMIT`.
    pub emit: Option<(Emit, Span)>,
    /// `LIMIT`.
    pub limit: Option<(usize, Span)>,
    /// Where.
    pub span: Span,
}

/// One item of a SELECT.
#[derive(Debug, Clone, PartialEq)]
pub enum SelectItem {
    /// `*`, `alias.*`.
    All {
        /// `alias`.
        qualifier: Option<Ident>,
        /// Where.
        span: Span,
    },
    /// `expr [AS] alias`.
    Expr {
        /// What.
        expr: Expr,
        /// Its name.
        alias: Option<Ident>,
    },
}

/// What follows FROM or JOIN.
#[derive(Debug, Clone, PartialEq)]
pub struct Relation {
    /// What.
    pub kind: RelationKind,
    /// Its name in this query.
    pub alias: Option<Ident>,
    /// Where.
    pub span: Span,
}

/// The forms of a relation.
#[derive(Debug, Clone, PartialEq)]
pub enum RelationKind {
    /// A stream or table.
    Source(Ident),
    /// A sub-query.
    Query(Box<Select>),
}

/// One join.
#[derive(Debug, Clone, PartialEq)]
pub enum Join {
    /// `JOIN x [WITHIN ..] ON cond`.
    On {
        /// Inner or outer.
        kind: crate::plan::JoinKind,
        /// With what.
        right: Relation,
        /// `WITHIN (before, after)`, ms.
        within: Option<(i64, i64, Span)>,
        /// `ON`.
        on: Expr,
        /// Where.
        span: Span,
    },
    /// `CROSS JOIN UNNEST(expr) [AS] alias (columns)`.
    Unnest {
        /// The array or map.
        expr: Expr,
        /// Its name.
        alias: Option<Ident>,
        /// Its columns' names.
        columns: Vec<Ident>,
        /// Where.
        span: Span,
    },
}

/// `EMIT CHANGES|FINAL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Emit {
    Changes,
    Final,
}

/// A column of a CREATE.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnSpec {
    /// Its name.
    pub name: Ident,
    /// Its type.
    pub data_type: DataType,
    /// `KEY` or `PRIMARY KEY`: where it stands.
    pub key: Option<KeySpec>,
    /// `NOT NULL`.
    pub not_null: bool,
    /// `CHECK (...)`.
    pub checks: Vec<Expr>,
}

/// `KEY` or `PRIMARY KEY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySpec {
    /// `PRIMARY`.
    pub primary: bool,
    /// Where.
    pub span: Span,
}

/// One `name = value` of a WITH.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// Its name.
    pub name: Ident,
    /// Its value as text.
    pub value: String,
    /// Where the value is.
    pub value_span: Span,
}

/// A CREATE.
#[derive(Debug, Clone, PartialEq)]
pub struct Create {
    /// Stream or table.
    pub kind: crate::catalog::SourceKind,
    /// Its name.
    pub name: Ident,
    /// `OR REPLACE`.
    pub or_replace: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// Its columns.
    pub columns: Vec<ColumnSpec>,
    /// `CHECK (...)` among the columns.
    pub checks: Vec<Expr>,
    /// `WITH`.
    pub properties: Vec<Property>,
    /// `AS SELECT`.
    pub query: Option<Box<Select>>,
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// `CREATE STREAM|TABLE`.
    Create(Create),
    /// `INSERT INTO name [(columns)] VALUES (...)`.
    Insert {
        /// Into what.
        name: Ident,
        /// Which columns.
        columns: Option<Vec<Ident>>,
        /// The values.
        values: Vec<Expr>,
        /// Where the values are.
        span: Span,
    },
    /// `DROP STREAM|TABLE [IF EXISTS] name [DELETE TOPIC]`.
    Drop {
        /// Stream or table.
        kind: crate::catalog::SourceKind,
        /// Which.
        name: Ident,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `DELETE TOPIC`.
        delete_topic: bool,
    },
    /// `TERMINATE query`.
    Terminate(Ident),
    /// `SHOW`, `LIST`.
    Show(crate::plan::Show),
    /// `DESCRIBE name [EXTENDED]`.
    Describe {
        /// What.
        name: Ident,
        /// `EXTENDED`.
        extended: bool,
    },
    /// `EXPLAIN statement`.
    Explain(Box<Statement>),
    /// `EXPLAIN query`.
    ExplainQuery(Ident),
    /// `SELECT`.
    Select(Box<Select>),
}
