//! The statements of MySQL's and MariaDB's DDL that change what columns tables have.
//!
//! [`parse`] gives what a statement does; what does not matter for columns (indexes, views, users, engines, partitions) is
//! [`Statement::Other`]. `SHOW CREATE TABLE` is read by the same parser.

mod column;
mod cursor;
mod lexer;
mod statement;

use serde::{Deserialize, Serialize};

pub(super) use cursor::SyntaxError;
pub(super) use statement::parse;

/// A column as it is declared. Its JSON is part of the source offsets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Column {
    pub(super) name: String,
    /// The type's name in lower case, synonyms resolved: `int`, `varchar`, `enum`, ...
    #[serde(rename = "type")]
    pub(super) type_name: String,
    /// Length; precision and scale; fractional digits of seconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) args: Vec<u32>,
    /// The values of ENUM and SET.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) values: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) unsigned: bool,
    /// Character set; `None`: the table's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) charset: Option<String>,
    pub(super) nullable: bool,
    /// Its literal default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) default: Option<Literal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) comment: Option<String>,
    /// ALTER TABLE has added it: earlier rows were without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) added: bool,
    /// Computed when read; not stored.
    #[serde(default, rename = "virtual", skip_serializing_if = "std::ops::Not::not")]
    pub(super) virtual_generated: bool,
    /// MariaDB's COMPRESSED.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) compressed: bool,
}

impl Column {
    /// Of that name, without a type.
    pub(super) fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            type_name: String::new(),
            args: Vec::new(),
            values: Vec::new(),
            unsigned: false,
            charset: None,
            nullable: true,
            default: None,
            comment: None,
            added: false,
            virtual_generated: false,
            compressed: false,
        }
    }
}

/// A default as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Literal {
    /// In quotes.
    Text(String),
    /// A number, or `TRUE` and `FALSE` as `1` and `0`.
    Number(String),
    /// `x'..'` and `0x..`: hexadecimal digits.
    Hex(String),
    /// `b'..'` and `0b..`: binary digits.
    Bits(String),
    /// The time of the insertion.
    Now,
}

/// A name, with its database where one is written.
pub(super) type TableName = (Option<String>, String);

/// Where ALTER TABLE puts a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// ADD: at the end; MODIFY: where it is.
    Default,
    First,
    After(String),
}

/// A column's definition and what stands with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnSpec {
    pub(super) column: Column,
    pub(super) primary_key: bool,
    pub(super) place: Place,
}

/// The body of CREATE TABLE.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct TableBody {
    pub(super) columns: Vec<Column>,
    pub(super) primary_key: Vec<String>,
    /// The table's default character set.
    pub(super) charset: Option<String>,
    pub(super) system_versioned: bool,
}

/// One specification of ALTER TABLE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Add {
        spec: ColumnSpec,
        if_not_exists: bool,
    },
    Drop {
        name: String,
        if_exists: bool,
    },
    /// MODIFY (`old` is the column's own name) and CHANGE.
    Modify {
        old: String,
        spec: ColumnSpec,
        if_exists: bool,
    },
    RenameColumn {
        old: String,
        new: String,
        if_exists: bool,
    },
    RenameTable(TableName),
    /// ALTER COLUMN ... SET DEFAULT, DROP DEFAULT.
    Default {
        name: String,
        default: Option<Literal>,
        if_exists: bool,
    },
    PrimaryKey(Vec<String>),
    DropPrimaryKey,
    /// The default of columns to come.
    DefaultCharset(String),
    /// All columns, and the default.
    ConvertCharset(String),
    SystemVersioning(bool),
}

/// What a statement does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statement {
    CreateTable {
        name: TableName,
        body: TableBody,
        if_not_exists: bool,
    },
    CreateTableLike {
        name: TableName,
        like: TableName,
        if_not_exists: bool,
    },
    AlterTable {
        name: TableName,
        changes: Vec<Change>,
        if_exists: bool,
    },
    DropTables(Vec<TableName>),
    RenameTables(Vec<(TableName, TableName)>),
    /// CREATE and ALTER DATABASE; `None`: not said.
    DatabaseCharset {
        name: Option<String>,
        charset: Option<String>,
        create: bool,
    },
    DropDatabase(String),
    /// INSERT, UPDATE, DELETE, REPLACE, LOAD: a change that was logged as a statement, and its table where it is plain.
    Dml(Option<TableName>),
    Other,
}
