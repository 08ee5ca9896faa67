//! Keeps the topic of watermarks short: only the latest mark of a partition matters.
//!
//! When more than [`TOO_MANY`] marks stand in the topic, the latest one of each partition among the older ones is written again and
//! the older ones are trimmed. Marks only ever rise, and readers take the greatest, so a mark that is written again changes
//! nothing for who has seen it; who has not adopts a later watermark, later.

use super::watermarks::{self, Mark};
use crate::error::EngineError;
use bd_cluster::{Cluster, OffsetSpec, ReaderConfig, RecordsBuilder, TopicPartition, WriterConfig};
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// More marks than this are shortened.
pub const TOO_MANY: i64 = 100_000;
/// The newest so many are left alone, for readers that are a little behind.
const LEFT_ALONE: i64 = 10_000;
const PERIOD: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_secs(30);

/// Tells the janitor's thread to stop.
#[derive(Debug, Default)]
pub(super) struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Ends the thread soon.
    pub(super) fn stop(&self) {
        *self.stopped.lock() = true;
        self.changed.notify_all();
    }

    /// Whether it came to a stop within `wait`.
    fn within(&self, wait: Duration) -> bool {
        let mut stopped = self.stopped.lock();
        if !*stopped {
            let _ = self.changed.wait_for(&mut stopped, wait);
        }
        *stopped
    }
}

/// Looks after the topic until it is told to stop.
pub(super) fn run(cluster: &Arc<dyn Cluster>, stop: &Stop) {
    while !stop.within(PERIOD) {
        if let Err(error) = shorten(cluster.as_ref(), TOO_MANY, LEFT_ALONE) {
            tracing::warn!(%error, "the topic {} could not be shortened; trying again later", watermarks::TOPIC);
        }
    }
}

/// Shortens the topic if it holds more than `too_many` records; gives how many it trimmed.
///
/// # Errors
/// The cluster's.
pub fn shorten(cluster: &dyn Cluster, too_many: i64, left_alone: i64) -> Result<i64, EngineError> {
    let topic = TopicPartition::new(watermarks::TOPIC, 0);
    let start = cluster.offset(&topic, OffsetSpec::Earliest)?;
    let end = cluster.offset(&topic, OffsetSpec::Stable)?;
    if end - start <= too_many {
        return Ok(0);
    }
    let cut = end - left_alone;
    let mut reader = cluster.open_reader(ReaderConfig::default())?;
    reader.assign(&topic, start)?;
    let mut latest: HashMap<Vec<u8>, Mark> = HashMap::new();
    let mut position = start;
    while position < cut {
        let Some(records) = reader.poll(4 << 20, WAIT)? else {
            return Err(bd_cluster::ClusterError::Retriable {
                what: format!("read {topic}"),
                reason: format!("no records within {WAIT:?}"),
            }
            .into());
        };
        for record in records.iter() {
            let (Some(key), Some(value)) = (record.key, record.value) else { continue };
            let mark: Mark = serde_json::from_slice(value).map_err(|e| EngineError::Corrupt {
                what: format!("{topic} at offset {}", record.offset),
                reason: e.to_string(),
            })?;
            let known = latest.entry(key.to_vec()).or_insert(mark);
            known.end = known.end.max(mark.end);
            known.watermark = known.watermark.max(mark.watermark);
        }
        position = records.next_offset;
    }
    let mut again = RecordsBuilder::new();
    for (key, mark) in latest {
        let value = serde_json::to_vec(&mark)
            .map_err(|e| EngineError::Corrupt { what: topic.to_string(), reason: e.to_string() })?;
        again.push(Some(&key), Some(&value), 0, &[]);
    }
    let mut writer = cluster.open_writer(WriterConfig::default())?;
    writer.append(&topic, again)?.wait(WAIT)?;
    cluster.trim(&topic, cut)?;
    Ok(cut - start)
}
