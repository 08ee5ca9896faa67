//! Aggregations: over columns, exact for all documents that match.
//!
//! A request is read into [`Agg`]s. For each segment they are bound to its columns and fed with the matching documents, some
//! hundred thousand at a time; each gives a [`Partial`], which are merged over segments and indices, and at the end shown:
//!
//! ```text
//! parse ─▶ Aggs ─┬─ bind(segment) ─▶ collect(docs) ─▶ Vec<Partial> ─┐
//!                └─ bind(segment) ─▶ collect(docs) ─▶ Vec<Partial> ─┴─ merge ─▶ show
//! ```
//! A bucket hands its documents to the aggregations in it, so any may lie in any bucket.

mod bind;
mod body;
mod cardinality;
mod collect;
mod digest;
mod interval;
mod order;
mod parse;
mod partial;
mod show;

pub(crate) use bind::{Bound, Segment, bind};
pub(crate) use collect::{Scores, collect_all};
pub(crate) use parse::parse;
pub(crate) use partial::{Partial, merge};
pub(crate) use show::{Show, show};

use serde_json::Value;

use crate::find::{Sort, SourceFilter};
use interval::Interval;
use order::Order;

/// Most buckets of an answer (`search.max_buckets`).
pub(crate) const MAX_BUCKETS: usize = 65_536;

/// Aggregations by name, in the order of the request.
#[derive(Debug, Default)]
pub(crate) struct Aggs(pub(crate) Vec<(String, Agg)>);

/// One aggregation, with those in its buckets.
#[derive(Debug)]
pub(crate) struct Agg {
    pub(crate) kind: Kind,
    pub(crate) subs: Aggs,
    pub(crate) meta: Option<Value>,
}

/// Where values come from.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) field: String,
    /// What documents without the field count as.
    pub(crate) missing: Option<Value>,
    /// How dates are shown.
    pub(crate) format: Option<String>,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Terms(Terms),
    Histogram(Box<Histogram>),
    Range(Range),
    Filter(Value),
    /// Queries with their names; without names they are shown as an array.
    Filters {
        filters: Vec<(String, Value)>,
        keyed: bool,
        other: Option<String>,
    },
    Missing(String),
    Metric(Metric, Source),
    Cardinality {
        source: Source,
        threshold: usize,
    },
    Percentiles {
        source: Source,
        percents: Vec<f64>,
        keyed: bool,
    },
    TopHits(TopHits),
}

#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) source: Source,
    pub(crate) size: usize,
    pub(crate) min_doc_count: u64,
    pub(crate) order: Vec<Order>,
    pub(crate) include: Option<Vec<String>>,
    pub(crate) exclude: Vec<String>,
}

/// Of numbers or, with a calendar, of dates.
#[derive(Debug)]
pub(crate) struct Histogram {
    pub(crate) source: Source,
    pub(crate) interval: Interval,
    pub(crate) min_doc_count: u64,
    pub(crate) order: Vec<Order>,
    /// Buckets are shown at least from, to.
    pub(crate) extended: (Option<Value>, Option<Value>),
    /// Buckets are only made from, to.
    pub(crate) hard: (Option<Value>, Option<Value>),
    pub(crate) keyed: bool,
    pub(crate) dates: bool,
}

#[derive(Debug)]
pub(crate) struct Range {
    pub(crate) source: Source,
    pub(crate) ranges: Vec<OneRange>,
    pub(crate) keyed: bool,
    pub(crate) dates: bool,
}

/// `from` is in, `to` is not.
#[derive(Debug)]
pub(crate) struct OneRange {
    pub(crate) key: Option<String>,
    pub(crate) from: Option<Value>,
    pub(crate) to: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metric {
    Sum,
    Avg,
    Min,
    Max,
    ValueCount,
    Stats,
}

#[derive(Debug)]
pub(crate) struct TopHits {
    pub(crate) from: usize,
    pub(crate) size: usize,
    pub(crate) sorts: Vec<Sort>,
    pub(crate) sorted: bool,
    pub(crate) source: SourceFilter,
    pub(crate) version: bool,
    pub(crate) seq_no: bool,
    pub(crate) fields: Vec<String>,
}

impl Aggs {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any shows the best hits by score.
    pub(crate) fn need_scores(&self) -> bool {
        self.0.iter().any(|(_, agg)| {
            let here = matches!(&agg.kind, Kind::TopHits(hits) if crate::find::needs_score(&hits.sorts));
            here || agg.subs.need_scores()
        })
    }
}
