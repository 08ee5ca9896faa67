//! bd's streaming SQL: text -> AST -> typed logical plan. Engine-neutral: nothing here reads a record.
//!
//! ```text
//!  text ─ parse ─▶ Vec<ParsedStatement> ─ analyze(&Catalog) ─▶ Statement ─▶ the engine (or Spark) runs its Plan
//!            └── SqlError: line, column, the text, the nearest name, what to do ──┘
//! ```
//! The dialect is ksqlDB's, with standard SQL where ksqlDB has none: window functions over event time, sub-queries in FROM,
//! `CROSS JOIN UNNEST`, `CHECK` on columns, intervals. See [`expr`] for the rules of nulls, overflow, division and time.

mod analyzer;
pub mod ast;
mod build;
pub mod catalog;
mod error;
mod explain;
pub mod expr;
mod functions;
mod lexer;
mod parser;
mod patterns;
pub mod plan;
mod time_bounds;

pub use analyzer::analyze;
pub use error::SqlError;
pub use functions::{FunctionInfo, functions};
pub use parser::{ParsedStatement, parse};
