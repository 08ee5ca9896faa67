//! bd's streaming SQL: text -> AST -> typed logical plan. Engine-neutral: nothing here reads a record.
//!
//! ```text
//!  text ─ parse ─▶ Vec<ParsedStatement> ─ analyze(&Catalog) ─▶ Statement ─▶ the engine (or Spark) runs its Plan
//!            └── SqlError: line, column, the text, the nearest name, what to do ──┘
//! ```
//! ```
//! use bd_sql::{analyze, catalog::Catalog, parse, plan::Statement};
//!
//! let mut catalog = Catalog::default();
//! let text = "CREATE STREAM clicks (user_id BIGINT, at BIGINT) WITH (kafka_topic = 'clicks', timestamp = 'at');
//!             SELECT user_id FROM clicks WHERE user_id > 7 EMIT CHANGES;";
//! let statements = parse(text)?;
//! if let Statement::CreateSource { def, .. } = analyze(&statements[0], &catalog)? {
//!     catalog.insert(def);
//! }
//! let Statement::Push { plan, .. } = analyze(&statements[1], &catalog)? else { unreachable!() };
//! assert!(plan.to_string().ends_with("StreamScan clicks [user_id] | time ROWTIME, lag 0 ms"));
//! # Ok::<(), bd_sql::SqlError>(())
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
mod inference;
mod lexer;
mod parser;
mod patterns;
pub mod plan;
mod time_bounds;

pub use analyzer::analyze;
pub use error::{SqlError, edit_distance};
pub use functions::{FunctionInfo, functions};
pub use inference::{WantedSchema, wanted_schemas, with_columns};
pub use parser::{ParsedStatement, parse};
