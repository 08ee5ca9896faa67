//! Records of a topic as batches for a sink: decoded, and where each came from.

use super::Failure;
use super::bad::{Bad, BadInput, Stage};
use crate::convert::Converter;
use crate::sdk::{Batch, Header};
use bd_cluster::Records;
use std::ops::Range;

/// The headers of record `i`.
pub(super) fn headers_of(records: &Records, i: usize) -> Vec<Header> {
    let owned = |h: bd_cluster::HeaderRef<'_>| {
        (String::from_utf8_lossy(h.name).into_owned(), h.value.map(<[u8]>::to_vec))
    };
    records.headers(i).map(owned).collect()
}

/// Record `i` of a topic as bad input.
pub(super) fn refuse(
    bad: &mut BadInput<'_>,
    records: &Records,
    i: usize,
    stage: Stage,
    class: &str,
    reason: &str,
    more: &[Header],
) -> Result<(), Failure> {
    let mut headers = headers_of(records, i);
    headers.extend_from_slice(more);
    bad.add(&Bad {
        stage,
        class,
        reason,
        key: records.key(i),
        value: records.value(i),
        headers: &headers,
        topic: Some(&records.partition.topic),
        place: Some((records.partition.partition, records.offsets.get(i).copied().unwrap_or(-1))),
        timestamp: records.timestamps.get(i).copied(),
    })
}

/// Decodes the records of `range`: batches in order, each with its offsets. What cannot be decoded goes to `bad`.
pub(super) fn decode(
    records: &Records,
    range: Range<usize>,
    keys: &mut dyn Converter,
    values: &mut dyn Converter,
    bad: &mut BadInput<'_>,
) -> Result<Vec<(Batch, Vec<i64>)>, Failure> {
    let topic = &records.partition.topic;
    let raw_keys: Vec<Option<&[u8]>> = range.clone().map(|i| records.key(i)).collect();
    let raw_values: Vec<Option<&[u8]>> = range.clone().map(|i| records.value(i)).collect();
    let key_runs = keys.decode(topic, &raw_keys)?;
    let value_runs = values.decode(topic, &raw_values)?;
    let failed_keys = key_runs.failed.iter().map(|f| (f, Stage::KeyConverter, keys.class()));
    let mut failed: Vec<_> = failed_keys.collect();
    failed.extend(value_runs.failed.iter().map(|f| (f, Stage::ValueConverter, values.class())));
    failed.sort_by_key(|((i, _), ..)| *i);
    failed.dedup_by_key(|((i, _), ..)| *i);
    for ((i, reason), stage, class) in failed {
        refuse(bad, records, range.start + i, stage, class, reason, &[])?;
    }
    let place = |i: usize| Some((key_runs.run_of(i)?, value_runs.run_of(i)?));
    let mut out = Vec::new();
    let mut start = 0;
    while start < range.len() {
        let Some(of) = place(start) else {
            start += 1;
            continue;
        };
        let mut end = start + 1;
        while end < range.len() && place(end) == Some(of) {
            end += 1;
        }
        let all = range.start + start..range.start + end;
        let headers = match records.header_ends.is_empty() {
            true => Vec::new(),
            false => all.clone().map(|i| headers_of(records, i)).collect(),
        };
        let batch = Batch {
            topic: topic.clone(),
            partition: Some(records.partition.partition),
            keys: key_runs.slice(start..end),
            values: value_runs.slice(start..end),
            timestamps: records.timestamps.get(all.clone()).unwrap_or_default().to_vec(),
            headers,
        };
        out.push((batch, records.offsets.get(all).unwrap_or_default().to_vec()));
        start = end;
    }
    Ok(out)
}
