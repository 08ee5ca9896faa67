//! Searches: the request, the documents that match in their order, aggregations, and the answer.

mod answer;
mod hits;
pub(crate) mod output;
mod request;
mod run;
mod sort;
mod source;

pub(crate) use answer::{HitSpec, hits_json};
pub(crate) use hits::{SegmentTop, Top};
pub(crate) use request::{Request, count_request};
pub(crate) use run::{Targets, count, search};
pub(crate) use sort::{Columns, Sort, needs_score};
pub(crate) use source::SourceFilter;
