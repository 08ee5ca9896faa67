//! What an aggregation knows so far.

use std::collections::HashMap;
use std::sync::Arc;

use super::cardinality::Distinct;
use super::digest::Digest;
use super::{Agg, Aggs, Kind};
use crate::find::Top;

/// The key of a bucket. Ordered as buckets are by `_key`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum BucketKey {
    Int(i64),
    /// The bits of an f64, ordered as it.
    Float(u64),
    Text(Arc<str>),
}

impl BucketKey {
    pub(crate) fn float(number: f64) -> BucketKey {
        BucketKey::Float(tantivy::f64_to_u64(number))
    }

    pub(crate) fn number(&self) -> f64 {
        match self {
            BucketKey::Int(number) => *number as f64,
            BucketKey::Float(bits) => tantivy::u64_to_f64(*bits),
            BucketKey::Text(_) => f64::NAN,
        }
    }
}

/// Documents and what the aggregations in the bucket know of them.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    pub(crate) count: u64,
    pub(crate) subs: Vec<Partial>,
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) enum Partial {
    Buckets(HashMap<BucketKey, Bucket>),
    /// Buckets that the request names.
    Named(Vec<Bucket>),
    Stats(Stats),
    Distinct(Distinct),
    Digest(Digest),
    Top(Top),
}

/// Count, sum (compensated, after Kahan), least and greatest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stats {
    pub(crate) count: u64,
    sum: f64,
    lost: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Default for Stats {
    fn default() -> Self {
        Stats { count: 0, sum: 0.0, lost: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl Stats {
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1;
        self.plus(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    fn plus(&mut self, value: f64) {
        let corrected = value + self.lost;
        let sum = self.sum + corrected;
        self.lost = corrected - (sum - self.sum);
        self.sum = sum;
    }

    fn merge(&mut self, other: &Stats) {
        self.count += other.count;
        self.plus(other.sum);
        self.plus(other.lost);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    pub(crate) fn sum(&self) -> f64 {
        self.sum
    }

    pub(crate) fn avg(&self) -> f64 {
        self.sum / self.count as f64
    }
}

/// What aggregations know of no document.
pub(crate) fn empty(aggs: &Aggs) -> Vec<Partial> {
    aggs.0.iter().map(|(_, agg)| empty_one(agg)).collect()
}

fn empty_one(agg: &Agg) -> Partial {
    let named = |count: usize| Partial::Named(vec![Bucket { count: 0, subs: empty(&agg.subs) }; count]);
    match &agg.kind {
        Kind::Terms(_) | Kind::Histogram(_) => Partial::Buckets(HashMap::new()),
        Kind::Range(range) => named(range.ranges.len()),
        Kind::Filter(_) | Kind::Missing(_) => named(1),
        Kind::Filters { filters, other, .. } => named(filters.len() + usize::from(other.is_some())),
        Kind::Metric(..) => Partial::Stats(Stats::default()),
        Kind::Cardinality { threshold, .. } => Partial::Distinct(Distinct::new(*threshold)),
        Kind::Percentiles { .. } => Partial::Digest(Digest::default()),
        Kind::TopHits(hits) => Partial::Top(Top::new(hits.from + hits.size)),
    }
}

/// Takes what was learned of further documents in.
pub(crate) fn merge(aggs: &Aggs, into: &mut Vec<Partial>, from: Vec<Partial>) {
    if into.is_empty() {
        *into = from;
        return;
    }
    for ((into, from), (_, agg)) in into.iter_mut().zip(from).zip(&aggs.0) {
        merge_one(agg, into, from);
    }
}

fn merge_one(agg: &Agg, into: &mut Partial, from: Partial) {
    match (into, from) {
        (Partial::Buckets(into), Partial::Buckets(from)) => {
            for (key, bucket) in from {
                match into.entry(key) {
                    std::collections::hash_map::Entry::Vacant(entry) => {
                        entry.insert(bucket);
                    }
                    std::collections::hash_map::Entry::Occupied(mut entry) => {
                        let there = entry.get_mut();
                        there.count += bucket.count;
                        merge(&agg.subs, &mut there.subs, bucket.subs);
                    }
                }
            }
        }
        (Partial::Named(into), Partial::Named(from)) => {
            for (into, from) in into.iter_mut().zip(from) {
                into.count += from.count;
                merge(&agg.subs, &mut into.subs, from.subs);
            }
        }
        (Partial::Stats(into), Partial::Stats(from)) => into.merge(&from),
        (Partial::Distinct(into), Partial::Distinct(from)) => into.merge(from),
        (Partial::Digest(into), Partial::Digest(from)) => into.merge(from),
        (Partial::Top(into), Partial::Top(from)) => {
            if let Kind::TopHits(hits) = &agg.kind {
                into.merge(from, &hits.sorts);
            }
        }
        // Partials of one aggregation are of one kind.
        _ => {}
    }
}
