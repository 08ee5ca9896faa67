//! bd's streaming SQL: text -> AST -> typed logical plan. Engine-neutral: nothing here reads a record.
//!
//! ```text
//!  text ─ parse ─▶ Vec<ast::Statement> ─ analyze(&Catalog) ─▶ Statement ─▶ the engine (or Spark) runs its Plan
//!            └── SqlError: line, column, the text, the nearest name, what to do ──┘
//! ```
//! The dialect is ksqlDB's, with standard SQL where ksqlDB has none: window functions over event time, sub-queries in FROM,
//! `CROSS JOIN UNNEST`, `CHECK` on columns, intervals. See [`expr`] for the rules of nulls, overflow, division and time.

pub mod catalog;
pub mod expr;
pub mod plan;
