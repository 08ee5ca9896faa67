//! Cases of the digital-TV demo: a folder of what arrives (`actions.jsonl`, `users.jsonl`, `ads.jsonl`,
//! `device_locations.jsonl`, `channels.json`) and of what must come out of it (`expected_*.jsonl`).
//!
//! - [`generate`](mod@generate) writes such folders from a seed;
//! - [`expect`](mod@expect) works out by plain loops what must come out. It shares no code with the engine, on purpose;
//! - [`records()`] turns a folder into records, [`avro`] into what their sources write, [`load`] writes them into a cluster of the
//!   Kafka protocol, and [`fetch`] reads the outputs back;
//! - [`compare()`] tells what is missing and what is not expected.
//!
//! It runs no pipeline and knows nothing of the program under test but its topics.
//!
//! ```text
//! seed ──generate──▶ folder ──records──▶ load ──▶ topics ──(SQL)──▶ topics ──fetch──▶ compare ──▶ Report
//!                      └────expect────▶ expected_*.jsonl ──────────────────────────────▲
//! ```
//!
//! ```
//! use serde_json::json;
//! let report = tv_cases::compare(
//!     vec![json!({"user_id": 45, "lon": 53.0})],
//!     vec![json!({"lon": 53.0, "user_id": 45})],
//! );
//! assert!(report.is_equal());
//! ```

pub mod avro;
pub mod case;
pub mod compare;
mod error;
pub mod expect;
pub mod fetch;
pub mod generate;
pub mod load;
pub mod records;
pub mod rng;
pub mod text;

pub use compare::{Report, compare};
pub use error::CaseError;
pub use expect::{Expected, expect};
pub use generate::{Options, Written, generate};
pub use records::{Record, Topic, records};

/// An output of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// The topic, which is also the name of the stream or table.
    pub topic: &'static str,
    /// The file of the case with the rows that must come out.
    pub file: &'static str,
    /// Whether the topic is a table's: its rows are the last value of each key, not all values.
    pub is_table: bool,
}

/// The outputs that a case says something about.
pub const OUTPUTS: [Output; 4] = [
    Output { topic: "shows", file: "expected_shows_schedule.jsonl", is_table: true },
    Output { topic: "sessions", file: "expected_sessions.jsonl", is_table: false },
    Output { topic: "show_views", file: "expected_show_views.jsonl", is_table: false },
    Output { topic: "ad_views", file: "expected_ad_views.jsonl", is_table: false },
];

/// The rows of a file of JSON lines, such as `expected_sessions.jsonl`.
///
/// # Errors
/// If the file cannot be read, or a line is not JSON.
pub fn read_rows(path: &std::path::Path) -> Result<Vec<serde_json::Value>, CaseError> {
    let mut rows = Vec::new();
    for (number, line) in case::lines(path)?.enumerate() {
        let line = line?;
        rows.push(serde_json::from_slice(&line).map_err(|source| CaseError::Json {
            path: path.to_owned(),
            line: number + 1,
            source,
        })?);
    }
    Ok(rows)
}
