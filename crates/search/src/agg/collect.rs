//! Documents into partial results.

use std::collections::HashMap;
use std::sync::Arc;

use tantivy::columnar::Column as Raw;
use tantivy::{f64_to_u64, i64_to_u64, u64_to_f64, u64_to_i64};

use super::bind::{Bound, Column, Input, Single};
use super::cardinality::{Distinct, hash};
use super::digest::Digest;
use super::partial::{Bucket, BucketKey, Partial, Stats};
use super::{Histogram, Kind, Metric, Range, Terms};
use crate::error::EsResult;
use crate::find::{SegmentTop, Top};
use crate::query::columns::{Strings, Values};

/// Scores of the documents at hand, in their order.
#[derive(Clone, Copy, Default)]
pub(crate) struct Scores<'a> {
    pub(crate) docs: &'a [u32],
    pub(crate) scores: &'a [f32],
}

impl Scores<'_> {
    fn of(&self, doc: u32) -> f32 {
        let at = self.docs.binary_search(&doc).ok();
        at.and_then(|at| self.scores.get(at)).copied().unwrap_or(0.0)
    }
}

/// What aggregations learn of documents, which are in order.
pub(crate) fn collect_all(bound: &[Bound<'_>], docs: &[u32], scores: Scores<'_>) -> EsResult<Vec<Partial>> {
    bound.iter().map(|bound| bound.collect(docs, scores)).collect()
}

/// (sortable value, document).
type Pairs = Vec<(u64, u32)>;

impl Bound<'_> {
    fn collect(&self, docs: &[u32], scores: Scores<'_>) -> EsResult<Partial> {
        match (&self.agg.kind, &self.input) {
            (Kind::TopHits(hits), Input::Hits(columns)) => {
                let mut top = Top::new(hits.from + hits.size);
                let (index, segment) = self.place;
                let mut best = SegmentTop::new(&hits.sorts, columns, None, top.size, index, segment);
                docs.iter().for_each(|doc| best.collect(*doc, scores.of(*doc)));
                best.finish(&mut top, &hits.sorts)?;
                Ok(Partial::Top(top))
            }
            (kind, Input::Documents(sets)) => {
                let mut parts: Vec<Vec<u32>> = sets
                    .iter()
                    .map(|set| docs.iter().copied().filter(|doc| set.contains(*doc)).collect())
                    .collect();
                if matches!(kind, Kind::Filters { other: Some(_), .. }) {
                    let rest = docs.iter().copied().filter(|doc| !sets.iter().any(|set| set.contains(*doc)));
                    parts.push(rest.collect());
                }
                self.named(parts, scores)
            }
            (Kind::Terms(terms), Input::Values(column)) => self.terms(terms, column, docs, scores),
            (Kind::Histogram(histogram), Input::Values(column)) => {
                self.histogram(histogram, column, docs, scores)
            }
            (Kind::Range(range), Input::Values(column)) => self.range(range, column, docs, scores),
            (Kind::Metric(metric, _), Input::Values(column)) => Ok(metric_of(*metric, column, docs)),
            (Kind::Cardinality { threshold, .. }, Input::Values(column)) => {
                self.distinct(*threshold, column, docs)
            }
            (_, Input::Values(column)) => {
                let mut digest = Digest::default();
                numbers(column, docs, |_, number| digest.add(number));
                Ok(Partial::Digest(digest))
            }
            (_, Input::Hits(_)) => Ok(Partial::Top(Top::default())),
        }
    }

    fn bucket(&self, docs: &[u32], scores: Scores<'_>) -> EsResult<Bucket> {
        Ok(Bucket { count: docs.len() as u64, subs: collect_all(&self.subs, docs, scores)? })
    }

    fn named(&self, parts: Vec<Vec<u32>>, scores: Scores<'_>) -> EsResult<Partial> {
        Ok(Partial::Named(parts.iter().map(|docs| self.bucket(docs, scores)).collect::<EsResult<_>>()?))
    }

    /// One bucket per run of equal values.
    fn grouped(
        &self,
        mut pairs: Pairs,
        scores: Scores<'_>,
        mut key: impl FnMut(u64) -> EsResult<Option<BucketKey>>,
    ) -> EsResult<HashMap<BucketKey, Bucket>> {
        pairs.sort_unstable();
        pairs.dedup();
        let mut buckets = HashMap::new();
        let mut docs = Vec::new();
        for run in pairs.chunk_by(|a, b| a.0 == b.0) {
            let Some(key) = run.first().map(|(value, _)| key(*value)).transpose()?.flatten() else {
                continue;
            };
            docs.clear();
            docs.extend(run.iter().map(|(_, doc)| *doc));
            buckets.insert(key, self.bucket(&docs, scores)?);
        }
        Ok(buckets)
    }

    fn terms(&self, terms: &Terms, column: &Column, docs: &[u32], scores: Scores<'_>) -> EsResult<Partial> {
        let wanted = |key: &BucketKey| {
            if terms.include.is_none() && terms.exclude.is_empty() {
                return true;
            }
            let text = match key {
                BucketKey::Text(text) => text.to_string(),
                BucketKey::Int(number) => number.to_string(),
                BucketKey::Float(_) => key.number().to_string(),
            };
            terms.include.as_ref().is_none_or(|include| include.contains(&text))
                && !terms.exclude.contains(&text)
        };
        let mut absent = Vec::new();
        let mut buckets = match &column.values {
            Values::Strings(strings) => {
                let key = |ord| Ok(Some(BucketKey::Text(self.text(strings, ord)?)).filter(&wanted));
                let mut buckets = match self.counts(strings, docs, &mut absent) {
                    Some(counts) => {
                        let mut buckets = HashMap::new();
                        for (ord, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
                            if let Some(key) = key(ord as u64)? {
                                buckets.insert(key, Bucket { count: count.into(), subs: Vec::new() });
                            }
                        }
                        buckets
                    }
                    None => self.grouped(pairs(&strings.ords, docs, |ord| ord, &mut absent), scores, key)?,
                };
                if terms.min_doc_count == 0 {
                    // Strings of the index that no document at hand has.
                    for ord in 0..strings.len() {
                        if let Some(key) = key(ord)? {
                            buckets.entry(key).or_insert_with(|| Bucket {
                                count: 0,
                                subs: super::partial::empty(&self.agg.subs),
                            });
                        }
                    }
                }
                buckets
            }
            Values::Ints(ints) => {
                let pairs = pairs(ints, docs, i64_to_u64, &mut absent);
                self.grouped(pairs, scores, |value| {
                    Ok(Some(BucketKey::Int(u64_to_i64(value))).filter(&wanted))
                })?
            }
            Values::Floats(floats) => {
                let pairs = pairs(floats, docs, f64_to_u64, &mut absent);
                self.grouped(pairs, scores, |value| Ok(Some(BucketKey::Float(value)).filter(&wanted)))?
            }
            Values::None => {
                absent.extend(docs);
                HashMap::new()
            }
        };
        if let Some(missing) = column.missing.as_ref().filter(|_| !absent.is_empty()) {
            let key = match missing {
                Single::Int(number) => BucketKey::Int(*number),
                Single::Float(number) => BucketKey::float(*number),
                Single::Text(text) => BucketKey::Text(text.clone()),
            };
            if wanted(&key) {
                self.put(&mut buckets, key, self.bucket(&absent, scores)?);
            }
        }
        Ok(Partial::Buckets(buckets))
    }

    fn put(&self, buckets: &mut HashMap<BucketKey, Bucket>, key: BucketKey, bucket: Bucket) {
        match buckets.get_mut(&key) {
            Some(there) => {
                there.count += bucket.count;
                super::merge(&self.agg.subs, &mut there.subs, bucket.subs);
            }
            None => {
                buckets.insert(key, bucket);
            }
        }
    }

    /// How often each string occurs, if buckets need no more than that and the strings are not too many.
    fn counts(&self, strings: &Strings, docs: &[u32], absent: &mut Vec<u32>) -> Option<Vec<u32>> {
        let len = usize::try_from(strings.len()).ok().filter(|len| *len <= (docs.len() * 4).max(1024))?;
        if !self.subs.is_empty() {
            return None;
        }
        let mut counts = vec![0u32; len];
        let mut ords: Vec<u64> = Vec::new();
        for doc in docs {
            ords.clear();
            ords.extend(strings.ords.values_for_doc(*doc));
            if ords.len() > 1 {
                ords.sort_unstable();
                ords.dedup();
            }
            if ords.is_empty() {
                absent.push(*doc);
            }
            for ord in &ords {
                if let Some(count) = counts.get_mut(*ord as usize) {
                    *count += 1;
                }
            }
        }
        Some(counts)
    }

    fn text(&self, strings: &Strings, ord: u64) -> EsResult<Arc<str>> {
        if let Some(text) = self.texts.borrow().get(&ord) {
            return Ok(text.clone());
        }
        let text: Arc<str> = strings.get(ord)?.into();
        self.texts.borrow_mut().insert(ord, text.clone());
        Ok(text)
    }

    fn histogram(
        &self,
        histogram: &Histogram,
        column: &Column,
        docs: &[u32],
        scores: Scores<'_>,
    ) -> EsResult<Partial> {
        let mut absent = Vec::new();
        let interval = histogram.interval;
        let (low, high) = (column.ranges.first().copied()).unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
        let mut pairs: Pairs = if histogram.dates {
            // Most times of a bucket lie together: the last bucket's bounds are tried first.
            let mut last: Option<(i64, i64)> = None;
            let key = |ms: i64| match last {
                Some((start, end)) if (start..end).contains(&ms) => i64_to_u64(start),
                _ => {
                    let start = interval.floor(ms);
                    last = interval.next(start).map(|end| (start, end));
                    i64_to_u64(start)
                }
            };
            match &column.values {
                Values::Ints(ints) => pairs_by(ints, docs, key, &mut absent),
                Values::Floats(floats) => {
                    pairs_by(floats, docs, |n: f64| i64_to_u64(interval.floor(n as i64)), &mut absent)
                }
                _ => Vec::new(),
            }
        } else {
            let key = |number: f64| f64_to_u64(interval.floor_number(number));
            match &column.values {
                Values::Ints(ints) => pairs_by(ints, docs, |n: i64| key(n as f64), &mut absent),
                Values::Floats(floats) => pairs_by(floats, docs, key, &mut absent),
                _ => Vec::new(),
            }
        };
        if let Some(missing) = &column.missing {
            if matches!(column.values, Values::None) {
                absent.extend(docs);
            }
            let number = match missing {
                Single::Int(number) => *number as f64,
                Single::Float(number) => *number,
                Single::Text(_) => f64::NAN,
            };
            let key = if histogram.dates {
                i64_to_u64(interval.floor(number as i64))
            } else {
                f64_to_u64(interval.floor_number(number))
            };
            pairs.extend(absent.iter().map(|doc| (key, *doc)));
        }
        let dates = histogram.dates;
        let buckets = self.grouped(pairs, scores, |value| {
            let key =
                if dates { BucketKey::Int(u64_to_i64(value)) } else { BucketKey::float(u64_to_f64(value)) };
            let number = key.number();
            Ok((number >= low && number <= high).then_some(key))
        })?;
        Ok(Partial::Buckets(buckets))
    }

    fn range(&self, range: &Range, column: &Column, docs: &[u32], scores: Scores<'_>) -> EsResult<Partial> {
        let mut parts: Vec<Vec<u32>> = vec![Vec::new(); range.ranges.len()];
        numbers(column, docs, |doc, number| {
            for (part, (from, to)) in parts.iter_mut().zip(&column.ranges) {
                if number >= *from && number < *to && part.last() != Some(&doc) {
                    part.push(doc);
                }
            }
        });
        self.named(parts, scores)
    }

    fn distinct(&self, threshold: usize, column: &Column, docs: &[u32]) -> EsResult<Partial> {
        let mut distinct = Distinct::new(threshold);
        let mut absent = Vec::new();
        match &column.values {
            Values::Strings(strings) => {
                let mut ords: Vec<u64> = pairs(&strings.ords, docs, |ord| ord, &mut absent)
                    .into_iter()
                    .map(|(ord, _)| ord)
                    .collect();
                ords.sort_unstable();
                ords.dedup();
                for ord in ords {
                    distinct.add(hash(&*self.text(strings, ord)?));
                }
            }
            Values::Ints(ints) => {
                pairs(ints, docs, i64_to_u64, &mut absent)
                    .into_iter()
                    .for_each(|(value, _)| distinct.add(hash(value)));
            }
            Values::Floats(floats) => {
                pairs(floats, docs, f64_to_u64, &mut absent)
                    .into_iter()
                    .for_each(|(value, _)| distinct.add(hash(value)));
            }
            Values::None => absent.extend(docs),
        }
        if let Some(missing) = column.missing.as_ref().filter(|_| !absent.is_empty()) {
            distinct.add(match missing {
                Single::Int(number) => hash(i64_to_u64(*number)),
                Single::Float(number) => hash(f64_to_u64(*number)),
                Single::Text(text) => hash(&**text),
            });
        }
        Ok(Partial::Distinct(distinct))
    }
}

fn pairs<T>(column: &Raw<T>, docs: &[u32], key: impl Fn(T) -> u64, absent: &mut Vec<u32>) -> Pairs
where
    T: PartialOrd + Copy + std::fmt::Debug + Send + Sync + 'static,
{
    pairs_by(column, docs, key, absent)
}

fn pairs_by<T>(column: &Raw<T>, docs: &[u32], mut key: impl FnMut(T) -> u64, absent: &mut Vec<u32>) -> Pairs
where
    T: PartialOrd + Copy + std::fmt::Debug + Send + Sync + 'static,
{
    let mut pairs = Vec::with_capacity(docs.len());
    for doc in docs {
        let before = pairs.len();
        pairs.extend(column.values_for_doc(*doc).map(|value| (key(value), *doc)));
        if pairs.len() == before {
            absent.push(*doc);
        }
    }
    pairs
}

/// All numbers of the documents, what is missing included.
fn numbers(column: &Column, docs: &[u32], mut each: impl FnMut(u32, f64)) {
    let missing = match column.missing {
        Some(Single::Int(number)) => Some(number as f64),
        Some(Single::Float(number)) => Some(number),
        _ => None,
    };
    for doc in docs {
        let mut any = false;
        let mut one = |number: f64| {
            any = true;
            each(*doc, number);
        };
        match &column.values {
            Values::Ints(ints) => ints.values_for_doc(*doc).for_each(|number| one(number as f64)),
            Values::Floats(floats) => floats.values_for_doc(*doc).for_each(one),
            _ => {}
        }
        if let (false, Some(missing)) = (any, missing) {
            each(*doc, missing);
        }
    }
}

fn metric_of(metric: Metric, column: &Column, docs: &[u32]) -> Partial {
    let mut stats = Stats::default();
    match (&column.values, metric) {
        (Values::Strings(strings), Metric::ValueCount) => {
            for doc in docs {
                let count = strings.ords.values_for_doc(*doc).count() as u64;
                stats.count += if count == 0 && column.missing.is_some() { 1 } else { count };
            }
        }
        _ => numbers(column, docs, |_, number| stats.add(number)),
    }
    Partial::Stats(stats)
}
