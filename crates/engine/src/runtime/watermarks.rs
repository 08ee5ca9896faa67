//! Watermarks across topics: how a query that reads what another one writes learns how far event time has come.
//!
//! Each commit of a query also writes, to the internal topic [`TOPIC`], for each partition of its output: the partition's end
//! offset and the query's watermark. A reader adopts the watermark once it has read to that offset.
//! ```text
//! key   = "<query>/<topic>/<partition>"       the query too: a topic may be written by another one later
//! value = {"end": <offset>, "watermark": <ms>}   watermark = 2^63-1: the query has ended, nothing follows
//! ```

use crate::error::EngineError;
use bd_cluster::{Records, RecordsBuilder, TopicPartition};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};

/// The internal topic: one partition, compacted.
pub const TOPIC: &str = "_bd_watermarks";

/// The value of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// One past the last record of the output partition that the watermark takes into account.
    pub end: i64,
    /// ms since epoch.
    pub watermark: i64,
}

/// Adds the record of one output partition.
///
/// # Errors
/// None in practice: the value always has a JSON form.
pub fn write(
    records: &mut RecordsBuilder,
    query: &str,
    partition: &TopicPartition,
    mark: Mark,
    timestamp: i64,
) -> Result<(), EngineError> {
    let key = key_of(query, partition);
    let value = serde_json::to_vec(&mark)
        .map_err(|e| EngineError::Corrupt { what: "watermark record".into(), reason: e.to_string() })?;
    records.push(Some(key.as_bytes()), Some(&value), timestamp, &[]);
    Ok(())
}

fn key_of(query: &str, partition: &TopicPartition) -> String {
    format!("{query}/{}/{}", partition.topic, partition.partition)
}

/// Holds the marks of the partitions that a query reads, until it has read to them.
#[derive(Debug, Default)]
pub struct Adopter {
    partitions: HashMap<TopicPartition, Adopted>,
    by_key: HashMap<String, TopicPartition>,
}

#[derive(Debug)]
struct Adopted {
    /// Not reached yet, by offset.
    ahead: VecDeque<Mark>,
    position: i64,
    watermark: i64,
}

impl Adopter {
    /// Marks that `query` writes of this partition matter; `position` is where its reader stands.
    pub fn watch(&mut self, query: &str, partition: &TopicPartition, position: i64) {
        self.by_key.insert(key_of(query, partition), partition.clone());
        let adopted = Adopted { ahead: VecDeque::new(), position, watermark: i64::MIN };
        self.partitions.insert(partition.clone(), adopted);
    }

    /// Takes records of [`TOPIC`].
    ///
    /// # Errors
    /// A value that is no mark.
    pub fn read(&mut self, records: &Records) -> Result<(), EngineError> {
        for record in records.iter() {
            let key = record.key.and_then(|k| std::str::from_utf8(k).ok()).unwrap_or_default();
            let Some(partition) = self.by_key.get(key).and_then(|tp| self.partitions.get_mut(tp)) else {
                continue;
            };
            let Some(value) = record.value else { continue };
            let mark: Mark = serde_json::from_slice(value).map_err(|e| EngineError::Corrupt {
                what: format!("{TOPIC} at offset {}", record.offset),
                reason: e.to_string(),
            })?;
            partition.add(mark);
        }
        Ok(())
    }

    /// The partition's watermark as last settled.
    pub fn peek(&self, partition: &TopicPartition) -> i64 {
        self.partitions.get(partition).map_or(i64::MIN, |p| p.watermark)
    }

    /// The reader of the partition has come to `position`; gives its watermark (`i64::MIN` before the first mark).
    pub fn watermark(&mut self, partition: &TopicPartition, position: i64) -> i64 {
        self.partitions.get_mut(partition).map_or(i64::MIN, |p| {
            p.position = p.position.max(position);
            p.settle();
            p.watermark
        })
    }
}

impl Adopted {
    fn add(&mut self, mark: Mark) {
        match self.ahead.back_mut() {
            // Commits without output rows raise the watermark at the same end.
            Some(last) if last.end >= mark.end => last.watermark = last.watermark.max(mark.watermark),
            _ => self.ahead.push_back(mark),
        }
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(mark) = self.ahead.front().filter(|m| m.end <= self.position) {
            self.watermark = self.watermark.max(mark.watermark);
            self.ahead.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(end: i64, watermark: i64) -> Mark {
        Mark { end, watermark }
    }

    #[test]
    fn a_watermark_is_adopted_when_its_offset_is_reached() {
        let tp = TopicPartition::new("t", 0);
        let mut adopter = Adopter::default();
        adopter.watch("q", &tp, 0);
        let p = adopter.partitions.get_mut(&tp).unwrap();
        p.add(mark(10, 100));
        p.add(mark(20, 200));
        p.add(mark(20, 250));
        assert_eq!(adopter.watermark(&tp, 9), i64::MIN);
        assert_eq!(adopter.watermark(&tp, 10), 100);
        assert_eq!(adopter.watermark(&tp, 19), 100);
        assert_eq!(adopter.watermark(&tp, 21), 250);
    }

    #[test]
    fn a_mark_of_a_position_already_read_counts_at_once() {
        let tp = TopicPartition::new("t", 0);
        let mut adopter = Adopter::default();
        adopter.watch("q", &tp, 50);
        adopter.partitions.get_mut(&tp).unwrap().add(mark(10, 100));
        assert_eq!(adopter.watermark(&tp, 50), 100);
    }
}
