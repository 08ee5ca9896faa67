//! The newest messages of a topic, or those from an offset on.

use crate::decode::Decoder;
use bd_cluster::{
    Cluster, ClusterError, OffsetSpec, Reader, ReaderConfig, Records, TopicInfo, TopicPartition,
};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::time::{Duration, Instant};

/// So many messages at most.
pub(crate) const MAX_MESSAGES: usize = 500;
const POLL_BYTES: usize = 1 << 20;
/// An answer takes at most so long; what was found by then is given.
const WITHIN: Duration = Duration::from_secs(5);
/// So many offsets at most are looked at in a partition.
const MAX_LOOKED: i64 = 20_000;

/// Which messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) count: usize,
    /// All partitions where there is none.
    pub(crate) partition: Option<i32>,
    /// The first offset (needs a partition); the newest messages where there is none.
    pub(crate) offset: Option<i64>,
}

/// The messages, newest first (in the order of offsets where one is asked for), decoded.
///
/// # Errors
/// [`ClusterError::UnknownTopic`], also of a partition; the cluster's.
pub(crate) fn messages(
    cluster: &dyn Cluster,
    decoder: &Decoder,
    topic: &TopicInfo,
    asked: &Asked,
) -> Result<Value, ClusterError> {
    let deadline = Instant::now() + WITHIN;
    let count = asked.count.clamp(1, MAX_MESSAGES);
    let mut found: Vec<(i64, i32, i64, Value)> = Vec::new();
    let mut bounds = Vec::new();
    let mut reader = reader(cluster)?;
    for partition in 0..topic.partitions {
        let at = TopicPartition::new(topic.name.as_str(), partition);
        let start = cluster.offset(&at, OffsetSpec::Earliest)?;
        let end = cluster.offset(&at, OffsetSpec::Stable)?;
        bounds.push(json!({"partition": partition, "start": start, "end": end}));
        if asked.partition.is_some_and(|p| p != partition) || start >= end {
            continue;
        }
        let mut take = |records: &Records, i: usize| {
            let time = records.timestamps.get(i).copied().unwrap_or(-1);
            let offset = records.offsets.get(i).copied().unwrap_or(-1);
            found.push((time, partition, offset, message(decoder, records, i)));
        };
        match asked.offset {
            Some(from) if asked.partition.is_some() => {
                let chunks = read(reader.as_mut(), &at, from.clamp(start, end), end, count, deadline)?;
                each(&chunks).take(count).for_each(|(r, i)| take(r, i));
            }
            _ => {
                let chunks = tail(reader.as_mut(), &at, (start, end), count, deadline)?;
                let all: Vec<_> = each(&chunks).collect();
                all.iter().rev().take(count).for_each(|(r, i)| take(r, *i));
            }
        }
        reader.unassign(&at);
    }
    if asked.offset.is_none() || asked.partition.is_none() {
        found.sort_by_key(|(time, partition, offset, _)| Reverse((*time, *offset, *partition)));
    }
    let messages: Vec<Value> = found.into_iter().take(count).map(|(_, _, _, m)| m).collect();
    Ok(json!({"topic": topic.name, "partitions": bounds, "messages": messages}))
}

/// The greatest timestamp among the last records of a topic.
pub(super) fn newest_timestamp(
    cluster: &dyn Cluster,
    topic: &TopicInfo,
) -> Result<Option<i64>, ClusterError> {
    let deadline = Instant::now() + Duration::from_millis(500);
    let mut newest = None;
    let mut reader = reader(cluster)?;
    for partition in 0..topic.partitions {
        let at = TopicPartition::new(topic.name.as_str(), partition);
        let start = cluster.offset(&at, OffsetSpec::Earliest)?;
        let end = cluster.offset(&at, OffsetSpec::Stable)?;
        if start < end {
            let chunks = read(reader.as_mut(), &at, start.max(end - 20), end, 20, deadline)?;
            newest = newest.max(chunks.iter().flat_map(|c| c.timestamps.iter().copied()).max());
            reader.unassign(&at);
        }
    }
    Ok(newest)
}

fn reader(cluster: &dyn Cluster) -> Result<Box<dyn Reader>, ClusterError> {
    cluster.open_reader(ReaderConfig { client_id: "bd-console".into(), ..ReaderConfig::default() })
}

fn each(chunks: &[Records]) -> impl Iterator<Item = (&Records, usize)> {
    chunks.iter().flat_map(|c| (0..c.len()).map(move |i| (c, i)))
}

/// The records at the end: looks further back while markers and aborted records take the place of records.
fn tail(
    reader: &mut dyn Reader,
    at: &TopicPartition,
    (start, end): (i64, i64),
    count: usize,
    deadline: Instant,
) -> Result<Vec<Records>, ClusterError> {
    let mut back = count as i64 + 2;
    loop {
        let from = start.max(end - back);
        let chunks = read(reader, at, from, end, usize::MAX, deadline)?;
        let found: usize = chunks.iter().map(Records::len).sum();
        if found >= count || from == start || back >= MAX_LOOKED || Instant::now() >= deadline {
            return Ok(chunks);
        }
        back = (back * 4).min(MAX_LOOKED);
    }
}

/// Records of `from..end`, until there are `enough`.
fn read(
    reader: &mut dyn Reader,
    at: &TopicPartition,
    from: i64,
    end: i64,
    enough: usize,
    deadline: Instant,
) -> Result<Vec<Records>, ClusterError> {
    reader.assign(at, from)?;
    let (mut chunks, mut found) = (Vec::new(), 0);
    while found < enough && reader.position(at).is_some_and(|p| p < end) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let Some(records) = reader.poll(POLL_BYTES, left)? else { break };
        found += records.len();
        chunks.push(records);
    }
    Ok(chunks)
}

fn message(decoder: &Decoder, records: &Records, i: usize) -> Value {
    let headers: Vec<Value> = records
        .headers(i)
        .take(100)
        .map(|h| json!([String::from_utf8_lossy(h.name), decoder.plain(h.value)]))
        .collect();
    json!({
        "partition": records.partition.partition,
        "offset": records.offsets.get(i),
        "timestamp": records.timestamps.get(i),
        "key": decoder.decoded(records.key(i)),
        "value": decoder.decoded(records.value(i)),
        "headers": headers,
    })
}
