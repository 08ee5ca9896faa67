//! Search and analytics: Elasticsearch's REST subset on tantivy, with an fsynced translog.
//!
//! An official Elasticsearch client, the Elasticsearch sink connector and a dashboard work against it as they do against
//! Elasticsearch 8: `_bulk`, documents by id, `_search` with query, aggregations and sort, `_count`, mappings, `_cat`. It is
//! one process and one shard per index; there are no replicas, scripts, ingest pipelines or users. What is not supported is
//! refused by name, never ignored.
//!
//! ```text
//!  HTTP ─▶ rest ─▶ search (indices by name) ─▶ engine: versions, translog, tantivy   writes, reads by id
//!              └─▶ find: query, sort, fetch ─▶ query, agg over snapshots             searches
//! ```
//! Queries: `match_all`, `match_none`, `bool`, `constant_score`, `term`, `terms`, `ids`, `exists`, `prefix`, `wildcard`, `range`,
//! `match`, `match_phrase`. Aggregations: `terms`, `date_histogram`, `histogram`, `range`, `date_range`, `filter`, `filters`,
//! `missing`, `sum`, `avg`, `min`, `max`, `value_count`, `stats`, `cardinality`, `percentiles`, `top_hits`, in any nesting. Fields:
//! `text`, `keyword`, whole and floating numbers, `boolean`, `date`, `object`, `geo_point` (kept, not searched).
//!
//! A write is acknowledged when its translog is fsynced; searches see it after `refresh_interval`. After a kill at any
//! instant nothing acknowledged is lost and nothing is there twice.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests"))]

mod agg;
mod config;
mod engine;
mod error;
mod find;
mod ids;
mod mapping;
mod metrics;
mod query;
mod rest;
mod search;

pub use config::SearchConfig;
pub use error::SearchError;
pub use rest::router;
pub use search::Search;
