//! The order of buckets.

use std::cmp::Ordering;

use serde_json::Value;

use super::partial::{Bucket, BucketKey, Partial};
use super::{Agg, Kind, Metric};
use crate::error::{EsError, EsResult};
use crate::mapping::plain;

/// What buckets are ordered by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum By {
    Count,
    Key,
    /// An aggregation in the bucket by name, and which of its values.
    Metric {
        name: String,
        value: Option<String>,
    },
}

/// One criterion.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    pub(crate) by: By,
    pub(crate) descending: bool,
}

/// Reads `order`: `{"_count": "desc"}`, or an array of such.
pub(crate) fn parse(json: &Value) -> EsResult<Vec<Order>> {
    let items = match json {
        Value::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut orders = Vec::new();
    for item in items {
        let members = item.as_object().filter(|members| members.len() == 1);
        let Some((name, direction)) = members.and_then(|members| members.iter().next()) else {
            return Err(EsError::parsing("Must specify at least one field for [order]"));
        };
        let descending = match plain(direction).to_lowercase().as_str() {
            "asc" => false,
            "desc" => true,
            other => return Err(EsError::parsing(format!("Unknown order direction [{other}]"))),
        };
        let by = match name.as_str() {
            "_count" => By::Count,
            "_key" | "_term" | "_time" => By::Key,
            path if path.contains('>') => {
                return Err(EsError::illegal(format!("ordering by the path [{path}] is not supported")));
            }
            path => match path.split_once('.') {
                Some((name, value)) => By::Metric { name: name.into(), value: Some(value.into()) },
                None => By::Metric { name: path.into(), value: None },
            },
        };
        orders.push(Order { by, descending });
    }
    Ok(orders)
}

/// The number that buckets are ordered by.
fn metric_value(agg: &Agg, bucket: &Bucket, name: &str, value: Option<&str>) -> f64 {
    let Some(at) = agg.subs.0.iter().position(|(sub, _)| sub == name) else { return f64::NAN };
    let Some((_, sub)) = agg.subs.0.get(at) else { return f64::NAN };
    match (&sub.kind, bucket.subs.get(at)) {
        (Kind::Metric(metric, _), Some(Partial::Stats(stats))) => match (metric, value) {
            (Metric::Sum, _) | (Metric::Stats, Some("sum")) => stats.sum(),
            (Metric::Avg, _) | (Metric::Stats, Some("avg")) => stats.avg(),
            (Metric::Min, _) | (Metric::Stats, Some("min")) => stats.min,
            (Metric::Max, _) | (Metric::Stats, Some("max")) => stats.max,
            (Metric::ValueCount | Metric::Stats, _) => stats.count as f64,
        },
        (_, Some(Partial::Distinct(distinct))) => distinct.count() as f64,
        (_, Some(Partial::Named(buckets))) => buckets.first().map_or(0.0, |bucket| bucket.count as f64),
        _ => f64::NAN,
    }
}

/// Puts buckets in order.
pub(crate) fn sort_buckets(agg: &Agg, orders: &[Order], buckets: &mut [(BucketKey, Bucket)]) {
    let mut numbered: Vec<Vec<f64>> = Vec::new();
    let metrics: Vec<(&str, Option<&str>)> = orders
        .iter()
        .filter_map(|order| match &order.by {
            By::Metric { name, value } => Some((name.as_str(), value.as_deref())),
            _ => None,
        })
        .collect();
    if metrics.is_empty() {
        buckets.sort_by(|a, b| compare(orders, a, &[], b, &[]));
        return;
    }
    for (_, bucket) in buckets.iter() {
        numbered.push(metrics.iter().map(|(name, value)| metric_value(agg, bucket, name, *value)).collect());
    }
    let mut places: Vec<usize> = (0..buckets.len()).collect();
    places.sort_by(|a, b| match (buckets.get(*a), numbered.get(*a), buckets.get(*b), numbered.get(*b)) {
        (Some(a), Some(a_numbers), Some(b), Some(b_numbers)) => compare(orders, a, a_numbers, b, b_numbers),
        _ => Ordering::Equal,
    });
    let mut at = vec![0; places.len()];
    for (to, from) in places.iter().enumerate() {
        if let Some(place) = at.get_mut(*from) {
            *place = to;
        }
    }
    // The permutation is carried out in place, cycle by cycle.
    for start in 0..at.len() {
        while let Some(to) = at.get(start).copied().filter(|to| *to != start) {
            buckets.swap(start, to);
            at.swap(start, to);
        }
    }
}

fn compare(
    orders: &[Order],
    a: &(BucketKey, Bucket),
    a_numbers: &[f64],
    b: &(BucketKey, Bucket),
    b_numbers: &[f64],
) -> Ordering {
    let mut metric = 0;
    for order in orders {
        let compared = match &order.by {
            By::Count => a.1.count.cmp(&b.1.count),
            By::Key => a.0.cmp(&b.0),
            By::Metric { .. } => {
                let number = |numbers: &[f64]| numbers.get(metric).copied().unwrap_or(f64::NAN);
                let (a, b) = (number(a_numbers), number(b_numbers));
                metric += 1;
                // What has no number comes last, either way.
                match (a.is_nan(), b.is_nan()) {
                    (true, true) => Ordering::Equal,
                    (true, false) => return Ordering::Greater,
                    (false, true) => return Ordering::Less,
                    _ => a.total_cmp(&b),
                }
            }
        };
        let compared = if order.descending { compared.reverse() } else { compared };
        if compared.is_ne() {
            return compared;
        }
    }
    Ordering::Equal
}
