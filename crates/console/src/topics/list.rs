//! All topics by their offsets.

use crate::panel::now_ms;
use bd_cluster::{Cluster, ClusterError, OffsetSpec, TopicInfo, TopicPartition};
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// More topics are not listed.
const MAX_TOPICS: usize = 2000;
/// The topics in which Kafka Connect keeps what it knows, by their usual names.
const CONNECTS: [&str; 3] = ["connect-configs", "connect-offsets", "connect-status"];
/// A look is as good for so many ms.
const FRESH: i64 = 700;
/// A rate is that of the last so many ms.
const RATE_OVER: i64 = 5000;
/// Older looks say nothing about now.
const STALE: i64 = 30_000;
/// So many topics a look are read for the time of their newest record.
const READ_A_LOOK: usize = 16;

/// One topic of the list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) partitions: i32,
    /// Ends minus starts: records, and the markers of transactions.
    pub(crate) offsets: i64,
    /// Offsets a second; not known at the first look.
    pub(crate) rate: Option<f64>,
    /// When the newest record was appended, ms since epoch; its own timestamp where it was there before the first look.
    pub(crate) newest: Option<i64>,
    /// Whether it is kept by a role for itself.
    pub(crate) internal: bool,
}

/// The list, kept by whoever asks for it.
#[derive(Default)]
pub(crate) struct TopicList {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    at: i64,
    rows: Vec<Row>,
    tracks: BTreeMap<String, Track>,
}

#[derive(Default)]
struct Track {
    newest: Option<i64>,
    read: bool,
    /// (ms, sum of ends), of the last seconds.
    ends: VecDeque<(i64, i64)>,
}

impl TopicList {
    /// All topics, as they were at most 0.7 s ago.
    ///
    /// # Errors
    /// The cluster's.
    pub(crate) fn rows(&self, cluster: &dyn Cluster) -> Result<Vec<Row>, ClusterError> {
        let mut kept = self.kept.lock();
        if now_ms() - kept.at < FRESH {
            return Ok(kept.rows.clone());
        }
        let topics = cluster.topics()?;
        kept.tracks.retain(|name, _| topics.iter().any(|t| t.name == *name));
        let mut reads = READ_A_LOOK;
        let mut rows = Vec::new();
        for topic in topics.iter().take(MAX_TOPICS) {
            let track = kept.tracks.entry(topic.name.clone()).or_default();
            match look(cluster, topic, track, &mut reads) {
                Ok(row) => rows.push(row),
                // Deleted meanwhile.
                Err(ClusterError::UnknownTopic(_)) => {}
                Err(error) => return Err(error),
            }
        }
        kept.at = now_ms();
        kept.rows.clone_from(&rows);
        Ok(rows)
    }
}

fn look(
    cluster: &dyn Cluster,
    topic: &TopicInfo,
    track: &mut Track,
    reads: &mut usize,
) -> Result<Row, ClusterError> {
    let (mut ends, mut offsets) = (0, 0);
    for partition in 0..topic.partitions {
        let at = TopicPartition::new(topic.name.as_str(), partition);
        let end = cluster.offset(&at, OffsetSpec::Latest)?;
        ends += end;
        offsets += end - cluster.offset(&at, OffsetSpec::Earliest)?;
    }
    let now = now_ms();
    let last = track.ends.back().copied();
    if last.is_some_and(|(t, n)| ends < n || now - t > STALE) {
        *track = Track::default();
    } else if last.is_some_and(|(_, n)| ends > n) {
        track.newest = Some(now);
    }
    track.ends.push_back((now, ends));
    while track.ends.len() > 2 && track.ends.get(1).is_some_and(|(t, _)| now - t >= RATE_OVER) {
        track.ends.pop_front();
    }
    if track.newest.is_none() && !track.read && offsets > 0 && *reads > 0 {
        *reads -= 1;
        track.read = true;
        track.newest = super::messages::newest_timestamp(cluster, topic)?.map(|t| t.min(now));
    }
    let rate = || {
        let ((from, before), (to, after)) = (track.ends.front()?, track.ends.back()?);
        (to > from).then(|| (after - before) as f64 * 1000.0 / (to - from) as f64)
    };
    Ok(Row {
        name: topic.name.clone(),
        partitions: topic.partitions,
        offsets,
        rate: rate().map(|r| (r * 10.0).round() / 10.0),
        newest: track.newest,
        internal: topic.name.starts_with('_') || CONNECTS.contains(&topic.name.as_str()),
    })
}
