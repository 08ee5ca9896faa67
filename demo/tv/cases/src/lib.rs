//! Cases of the digital-TV demo: a folder of what arrives (`actions.jsonl`, `users.jsonl`, `ads.jsonl`,
//! `device_locations.jsonl`, `channels.json`) and of what must come out of it (`expected_*.jsonl`).
//!
//! - [`generate`](mod@generate) writes such folders from a seed;
//! - [`expect`](mod@expect) works out by plain loops what must come out. It shares no code with the engine, on purpose;
//! - [`records()`] turns a folder into the records that a client writes into topics, [`load`] writes them into a cluster
//!   of the Kafka protocol, and [`fetch`] reads the outputs back;
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
