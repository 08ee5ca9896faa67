//! Results as an answer shows them.

use std::cell::Cell;

use serde_json::{Value, json};

use super::interval::Interval;
use super::order::{By, Order, sort_buckets};
use super::partial::{Bucket, BucketKey, Partial, Stats, empty};
use super::{Agg, Aggs, Histogram, Kind, MAX_BUCKETS, Metric, Range, Source, Terms, TopHits};
use crate::error::{EsError, EsResult};
use crate::find::output::{Out, float};
use crate::find::{HitSpec, Targets, hits_json};
use crate::mapping::{self, date, plain};

/// What showing needs.
pub(crate) struct Show<'a> {
    pub(crate) targets: &'a Targets,
    /// Names are prefixed by their type.
    pub(crate) typed: bool,
    pub(crate) now: i64,
    buckets: Cell<usize>,
}

impl<'a> Show<'a> {
    pub(crate) fn new(targets: &'a Targets, typed: bool, now: i64) -> Show<'a> {
        Show { targets, typed, now, buckets: Cell::new(0) }
    }

    fn field(&self, name: &str) -> Option<&mapping::Field> {
        self.targets.0.iter().find_map(|target| target.mapping.get(name))
    }

    fn count(&self, buckets: usize) -> EsResult<()> {
        self.buckets.set(self.buckets.get() + buckets);
        if self.buckets.get() > MAX_BUCKETS {
            let reason = format!(
                "Trying to create too many buckets. Must be less than or equal to: [{MAX_BUCKETS}] but was [{}]. This limit can be set by \
                 changing the [search.max_buckets] cluster level setting.",
                self.buckets.get()
            );
            return Err(EsError::new(400, "too_many_buckets_exception", reason)
                .with("max_buckets", json!(MAX_BUCKETS))
                .on_shard());
        }
        Ok(())
    }

    /// How a value of a field is shown beside its number.
    fn as_string(&self, source: &Source, number: f64) -> Option<String> {
        let kind = self.field(&source.field).map(|field| field.kind);
        match kind {
            Some(mapping::Kind::Date) => Some(self.date(source, number as i64)),
            Some(mapping::Kind::Boolean) => Some(if number == 0.0 { "false".into() } else { "true".into() }),
            _ if source.format.is_some() => Some(self.date(source, number as i64)),
            _ => None,
        }
    }

    fn date(&self, source: &Source, ms: i64) -> String {
        let given = source.format.as_ref().and_then(|format| date::parse_format(format).ok());
        let formats = given.or_else(|| self.field(&source.field).map(|field| field.formats.clone()));
        date::format(ms, formats.unwrap_or_default().first())
    }
}

/// The object under `aggregations`.
pub(crate) fn show(show: &Show<'_>, aggs: &Aggs, partials: Vec<Partial>) -> EsResult<Vec<(String, Out)>> {
    let mut members = Vec::new();
    let partials = if partials.is_empty() { empty(aggs) } else { partials };
    for ((name, agg), partial) in aggs.0.iter().zip(partials) {
        let name = if show.typed { format!("{}#{name}", type_name(show, agg)) } else { name.clone() };
        let mut shown = one(show, agg, partial)?;
        if let Some(meta) = &agg.meta {
            shown.insert(0, ("meta".into(), meta.clone().into()));
        }
        members.push((name, Out::Object(shown)));
    }
    Ok(members)
}

type Members = Vec<(String, Out)>;

fn one(show: &Show<'_>, agg: &Agg, partial: Partial) -> EsResult<Members> {
    match (&agg.kind, partial) {
        (Kind::Terms(terms), Partial::Buckets(buckets)) => {
            terms_of(show, agg, terms, buckets.into_iter().collect())
        }
        (Kind::Histogram(histogram), Partial::Buckets(buckets)) => {
            histogram_of(show, agg, histogram, buckets.into_iter().collect())
        }
        (Kind::Range(range), Partial::Named(buckets)) => range_of(show, agg, range, buckets),
        (Kind::Filter(_) | Kind::Missing(_), Partial::Named(buckets)) => match buckets.into_iter().next() {
            Some(bucket) => bucket_of(show, agg, Vec::new(), bucket),
            None => Ok(Vec::new()),
        },
        (Kind::Filters { filters, keyed, other }, Partial::Named(buckets)) => {
            show.count(buckets.len())?;
            let names = filters.iter().map(|(name, _)| name.clone()).chain(other.clone());
            let mut shown = Vec::new();
            for (name, bucket) in names.zip(buckets) {
                shown.push((name, Out::Object(bucket_of(show, agg, Vec::new(), bucket)?)));
            }
            Ok(vec![("buckets".into(), keyed_or_list(*keyed, shown))])
        }
        (Kind::Metric(metric, source), Partial::Stats(stats)) => Ok(metric_of(show, *metric, source, &stats)),
        (Kind::Cardinality { .. }, Partial::Distinct(distinct)) => {
            Ok(vec![("value".into(), distinct.count().into())])
        }
        (Kind::Percentiles { source, percents, keyed }, Partial::Digest(digest)) => {
            let values = percents.iter().zip(digest.percentiles(percents)).map(|(percent, value)| {
                let shown = value.map_or(Value::Null, float);
                (*percent, shown, value.and_then(|value| show.as_string(source, value)))
            });
            Ok(vec![("values".into(), percentiles_of(values, *keyed))])
        }
        (Kind::TopHits(hits), Partial::Top(top)) => top_hits(show, hits, top),
        _ => Err(EsError::internal("an aggregation has a result of another kind")),
    }
}

fn percentiles_of(values: impl Iterator<Item = (f64, Value, Option<String>)>, keyed: bool) -> Out {
    let name = |percent: f64| format!("{percent:?}");
    if keyed {
        let mut members = Vec::new();
        for (percent, value, text) in values {
            members.push((name(percent), Out::Value(value)));
            if let Some(text) = text {
                members.push((format!("{}_as_string", name(percent)), text.into()));
            }
        }
        return Out::Object(members);
    }
    Out::Array(values.map(|(percent, value, _)| json!({"key": percent, "value": value}).into()).collect())
}

fn metric_of(show: &Show<'_>, metric: Metric, source: &Source, stats: &Stats) -> Members {
    let none = stats.count == 0;
    let value = |number: f64| if none { Value::Null } else { float(number) };
    let with_text = |number: f64, value: Value| {
        let mut members: Members = vec![("value".into(), value.into())];
        if let Some(text) = show.as_string(source, number).filter(|_| !none) {
            members.push(("value_as_string".into(), text.into()));
        }
        members
    };
    match metric {
        Metric::Sum => with_text(stats.sum(), float(stats.sum())),
        Metric::Avg => with_text(stats.avg(), value(stats.avg())),
        Metric::Min => with_text(stats.min, value(stats.min)),
        Metric::Max => with_text(stats.max, value(stats.max)),
        Metric::ValueCount => vec![("value".into(), stats.count.into())],
        Metric::Stats => {
            let numbers = [("min", stats.min), ("max", stats.max), ("avg", stats.avg())];
            let mut members: Members = vec![("count".into(), stats.count.into())];
            members.extend(numbers.map(|(name, number)| (name.to_owned(), Out::Value(value(number)))));
            members.push(("sum".into(), float(stats.sum()).into()));
            if !none && show.as_string(source, 0.0).is_some() {
                for (name, number) in numbers.into_iter().chain([("sum", stats.sum())]) {
                    let text = show.as_string(source, number).unwrap_or_default();
                    members.push((format!("{name}_as_string"), text.into()));
                }
            }
            members
        }
    }
}

/// A bucket's members: its own, the count, and what is in it.
fn bucket_of(show: &Show<'_>, agg: &Agg, mut members: Members, bucket: Bucket) -> EsResult<Members> {
    members.push(("doc_count".into(), bucket.count.into()));
    members.extend(self::show(show, &agg.subs, bucket.subs)?);
    Ok(members)
}

fn keyed_or_list(keyed: bool, buckets: Vec<(String, Out)>) -> Out {
    if keyed {
        Out::Object(buckets)
    } else {
        Out::Array(buckets.into_iter().map(|(_, bucket)| bucket).collect())
    }
}

fn terms_of(
    show: &Show<'_>,
    agg: &Agg,
    terms: &Terms,
    mut buckets: Vec<(BucketKey, Bucket)>,
) -> EsResult<Members> {
    buckets.retain(|(_, bucket)| bucket.count >= terms.min_doc_count);
    sort_buckets(agg, &terms.order, &mut buckets);
    let others: u64 = buckets.iter().skip(terms.size).map(|(_, bucket)| bucket.count).sum();
    buckets.truncate(terms.size);
    show.count(buckets.len())?;
    let mut shown = Vec::new();
    for (key, bucket) in buckets {
        let mut members: Members = Vec::new();
        match &key {
            BucketKey::Text(text) => members.push(("key".into(), text.to_string().into())),
            BucketKey::Int(number) => {
                members.push(("key".into(), (*number).into()));
                if let Some(text) = show.as_string(&terms.source, *number as f64) {
                    members.push(("key_as_string".into(), text.into()));
                }
            }
            BucketKey::Float(_) => members.push(("key".into(), float(key.number()).into())),
        }
        shown.push(Out::Object(bucket_of(show, agg, members, bucket)?));
    }
    Ok(vec![
        ("doc_count_error_upper_bound".into(), 0.into()),
        ("sum_other_doc_count".into(), others.into()),
        ("buckets".into(), Out::Array(shown)),
    ])
}

fn histogram_of(
    show: &Show<'_>,
    agg: &Agg,
    histogram: &Histogram,
    mut buckets: Vec<(BucketKey, Bucket)>,
) -> EsResult<Members> {
    let end = |value: &Option<Value>| value.as_ref().map(|value| bound(show, histogram, value)).transpose();
    let (hard_low, hard_high) = (end(&histogram.hard.0)?, end(&histogram.hard.1)?);
    buckets.retain(|(key, _)| {
        let number = key.number();
        hard_low.is_none_or(|low| number >= floor(histogram, low))
            && hard_high.is_none_or(|high| number <= high)
    });
    buckets.sort_by(|a, b| a.0.cmp(&b.0));
    if histogram.min_doc_count == 0 {
        buckets = filled(agg, histogram, buckets, end(&histogram.extended.0)?, end(&histogram.extended.1)?)?;
    } else {
        buckets.retain(|(_, bucket)| bucket.count >= histogram.min_doc_count);
    }
    show.count(buckets.len())?;
    let by_key = Order { by: By::Key, descending: false };
    if histogram.order.first() != Some(&by_key) {
        sort_buckets(agg, &histogram.order, &mut buckets);
    }
    let mut shown = Vec::new();
    for (key, bucket) in buckets {
        let number = key.number();
        let mut members: Members = Vec::new();
        let text = if histogram.dates { Some(show.date(&histogram.source, number as i64)) } else { None };
        if let Some(text) = &text {
            members.push(("key_as_string".into(), text.clone().into()));
        }
        let value: Value = match &key {
            BucketKey::Int(number) => (*number).into(),
            _ => float(number),
        };
        let name = text.unwrap_or_else(|| value.to_string());
        members.push(("key".into(), value.into()));
        shown.push((name, Out::Object(bucket_of(show, agg, members, bucket)?)));
    }
    Ok(vec![("buckets".into(), keyed_or_list(histogram.keyed, shown))])
}

fn floor(histogram: &Histogram, number: f64) -> f64 {
    match histogram.interval {
        Interval::Number { .. } => histogram.interval.floor_number(number),
        interval => interval.floor(number as i64) as f64,
    }
}

/// An end of the bounds as a number.
fn bound(show: &Show<'_>, histogram: &Histogram, value: &Value) -> EsResult<f64> {
    if let Some(number) = value.as_f64() {
        return Ok(number);
    }
    let text = plain(value);
    if histogram.dates {
        let source = &histogram.source;
        let given = source.format.as_deref().map(date::parse_format).transpose()?;
        let formats = given.or_else(|| show.field(&source.field).map(|field| field.formats.clone()));
        let formats = formats.unwrap_or_else(|| vec![date::Format::Iso, date::Format::EpochMillis]);
        return date::parse_math(&text, &formats, show.now, false, 0).map(|ms| ms as f64);
    }
    text.parse().map_err(|_| EsError::illegal(format!("the bound [{text}] is not a number")))
}

/// With the empty buckets between the first and the last, and as far as the bounds.
fn filled(
    agg: &Agg,
    histogram: &Histogram,
    buckets: Vec<(BucketKey, Bucket)>,
    low: Option<f64>,
    high: Option<f64>,
) -> EsResult<Vec<(BucketKey, Bucket)>> {
    let key = |number: f64| match histogram.interval {
        Interval::Number { .. } => BucketKey::float(floor(histogram, number)),
        _ => BucketKey::Int(floor(histogram, number) as i64),
    };
    let first = buckets.first().map(|(key, _)| key.clone()).into_iter().chain(low.map(key)).min();
    let last = buckets.last().map(|(key, _)| key.clone()).into_iter().chain(high.map(key)).max();
    let (Some(first), Some(last)) = (first, last) else { return Ok(buckets) };
    let mut filled = Vec::new();
    let mut buckets = buckets.into_iter().peekable();
    let (mut at, mut step) = (Some(first.clone()), 0u32);
    while let Some(key) = at.filter(|key| *key <= last) {
        if filled.len() > MAX_BUCKETS {
            break; // Counted, and refused, by the caller.
        }
        let there = buckets.next_if(|(there, _)| same(&key, there, histogram));
        let empty = || Bucket { count: 0, subs: empty(&agg.subs) };
        let (key, bucket) = there.unwrap_or_else(|| (key.clone(), empty()));
        step += 1;
        at = match (&key, histogram.interval) {
            (BucketKey::Int(ms), interval) => interval.next(*ms).map(BucketKey::Int),
            (_, Interval::Number { width, .. }) => {
                Some(BucketKey::float(first.number() + width * f64::from(step)))
            }
            _ => None,
        };
        filled.push((key, bucket));
    }
    // Rounding of fractions must not lose a bucket.
    filled.extend(buckets);
    Ok(filled)
}

fn same(a: &BucketKey, b: &BucketKey, histogram: &Histogram) -> bool {
    match histogram.interval {
        Interval::Number { width, .. } => (a.number() - b.number()).abs() < width * 1e-6,
        _ => a == b,
    }
}

fn range_of(show: &Show<'_>, agg: &Agg, range: &Range, buckets: Vec<Bucket>) -> EsResult<Members> {
    show.count(buckets.len())?;
    let mut shown = Vec::new();
    for (one, bucket) in range.ranges.iter().zip(buckets) {
        let end = |value: &Option<Value>| -> EsResult<Option<(f64, String)>> {
            let Some(value) = value else { return Ok(None) };
            if range.dates {
                let given = range.source.format.as_deref().map(date::parse_format).transpose()?;
                let formats =
                    given.or_else(|| show.field(&range.source.field).map(|field| field.formats.clone()));
                let formats = formats.unwrap_or_else(|| vec![date::Format::Iso, date::Format::EpochMillis]);
                let ms = date::parse_math(&plain(value), &formats, show.now, false, 0)?;
                return Ok(Some((ms as f64, date::format(ms, formats.first()))));
            }
            let number: f64 = plain(value).parse().unwrap_or(f64::NAN);
            Ok(Some((number, format!("{number:?}"))))
        };
        let (from, to) = (end(&one.from)?, end(&one.to)?);
        let text =
            |end: &Option<(f64, String)>| end.as_ref().map_or("*".to_owned(), |(_, text)| text.clone());
        let name = one.key.clone().unwrap_or_else(|| format!("{}-{}", text(&from), text(&to)));
        let mut members: Members = Vec::new();
        if !range.keyed {
            members.push(("key".into(), name.clone().into()));
        }
        let dates = range.dates;
        for (label, end) in [("from", from), ("to", to)] {
            if let Some((number, text)) = end {
                members.push((label.into(), float(number).into()));
                if dates {
                    members.push((format!("{label}_as_string"), text.into()));
                }
            }
        }
        let sort = (one.from.is_some(), shown.len());
        shown.push((sort, name, Out::Object(bucket_of(show, agg, members, bucket)?)));
    }
    let shown = shown.into_iter().map(|(_, name, bucket)| (name, bucket)).collect();
    Ok(vec![("buckets".into(), keyed_or_list(range.keyed, shown))])
}

fn top_hits(show: &Show<'_>, hits: &TopHits, top: crate::find::Top) -> EsResult<Members> {
    let spec = HitSpec {
        sorts: &hits.sorts,
        sorted: hits.sorted,
        source: &hits.source,
        version: hits.version,
        seq_no: hits.seq_no,
        fields: &hits.fields,
        scored: !hits.sorted || crate::find::needs_score(&hits.sorts),
    };
    let total = json!({"value": top.matched, "relation": "eq"});
    let max = top.hits.iter().map(|hit| hit.score).reduce(f32::max).filter(|_| spec.scored);
    let shown = hits_json(show.targets, &spec, top.hits.get(hits.from..).unwrap_or_default())?;
    let max = max.map_or(Value::Null, |score| crate::find::output::single(score.into()));
    let inner = vec![
        ("total".into(), total.into()),
        ("max_score".into(), max.into()),
        ("hits".into(), Out::Array(shown)),
    ];
    Ok(vec![("hits".into(), Out::Object(inner))])
}

fn type_name(show: &Show<'_>, agg: &Agg) -> &'static str {
    match &agg.kind {
        Kind::Terms(terms) => match show.field(&terms.source.field).map(|field| field.kind.column()) {
            None | Some(mapping::ColumnKind::Strings | mapping::ColumnKind::None) => "sterms",
            Some(mapping::ColumnKind::Integers) => "lterms",
            Some(mapping::ColumnKind::Floats) => "dterms",
        },
        Kind::Histogram(histogram) if histogram.dates => "date_histogram",
        Kind::Histogram(_) => "histogram",
        Kind::Range(range) if range.dates => "date_range",
        Kind::Range(_) => "range",
        Kind::Filter(_) => "filter",
        Kind::Filters { .. } => "filters",
        Kind::Missing(_) => "missing",
        Kind::Metric(Metric::Sum, _) => "sum",
        Kind::Metric(Metric::Avg, _) => "avg",
        Kind::Metric(Metric::Min, _) => "min",
        Kind::Metric(Metric::Max, _) => "max",
        Kind::Metric(Metric::ValueCount, _) => "value_count",
        Kind::Metric(Metric::Stats, _) => "stats",
        Kind::Cardinality { .. } => "cardinality",
        Kind::Percentiles { .. } => "tdigest_percentiles",
        Kind::TopHits(_) => "top_hits",
    }
}
