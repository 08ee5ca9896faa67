//! Which partitions a sink's task reads, and whether they are still those that it began with.

use super::{Failure, TaskSpec};
use bd_cluster::{ClusterError, OffsetSpec, Reader, TopicPartition};
use regex::Regex;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often topics are looked at, and while one is missing.
const LOOK: Duration = Duration::from_secs(5);
const LOOK_MISSING: Duration = Duration::from_millis(200);

/// The topics of a sink.
pub(super) struct SinkTopics {
    names: Vec<String>,
    pattern: Option<Regex>,
    latest: bool,
    group: String,
    /// The topics that are read, with their numbers of partitions.
    known: BTreeMap<String, i32>,
    next_look: Instant,
}

/// The consumer group of a sink.
pub(crate) fn group_of(connector: &str) -> String {
    format!("connect-{connector}")
}

impl SinkTopics {
    pub(super) fn new(spec: &TaskSpec) -> Result<Self, Failure> {
        let config = &spec.config;
        let pattern = match config.get("topics.regex") {
            None => None,
            Some(text) => Some(
                Regex::new(&format!("^(?:{text})$"))
                    .map_err(|e| Failure::Fatal(format!("topics.regex: {e}")))?,
            ),
        };
        let latest = match config.get("consumer.override.auto.offset.reset").unwrap_or("earliest") {
            "earliest" => false,
            "latest" => true,
            other => {
                return Err(Failure::Fatal(format!(
                    "consumer.override.auto.offset.reset: invalid value {other}: earliest or latest"
                )));
            }
        };
        Ok(Self {
            names: config.list("topics").into_iter().map(str::to_owned).collect(),
            pattern,
            latest,
            group: group_of(&spec.connector),
            known: BTreeMap::new(),
            next_look: Instant::now(),
        })
    }

    /// Looks for new topics and at the known ones, when it is time. Gives the partitions that were added, with the offsets to
    /// read from.
    pub(super) fn look(
        &mut self,
        spec: &TaskSpec,
        reader: &mut dyn Reader,
    ) -> Result<Vec<(TopicPartition, i64)>, Failure> {
        if Instant::now() < self.next_look {
            return Ok(Vec::new());
        }
        let cluster = spec.cluster.as_ref();
        let (mut found, mut missing) = (BTreeMap::new(), false);
        for name in &self.names {
            match cluster.topic(name)? {
                Some(info) => drop(found.insert(name.clone(), info.partitions)),
                None => missing = true,
            }
        }
        if let Some(pattern) = &self.pattern {
            let matching = cluster.topics()?.into_iter().filter(|t| pattern.is_match(&t.name));
            found.extend(matching.map(|t| (t.name, t.partitions)));
        }
        for name in self.known.keys() {
            if !found.contains_key(name) {
                return Err(Failure::retriable(format!("topic {name} was deleted; waiting for it")));
            }
        }
        let mut added = Vec::new();
        for (name, count) in found {
            if self.known.contains_key(&name) {
                self.check(spec, reader, &name, count)?;
            } else {
                added.extend(self.begin(spec, reader, &name, count)?);
                self.known.insert(name, count);
            }
        }
        self.next_look = Instant::now() + if missing { LOOK_MISSING } else { LOOK };
        Ok(added)
    }

    /// A topic that is read already.
    fn check(&self, spec: &TaskSpec, reader: &dyn Reader, name: &str, count: i32) -> Result<(), Failure> {
        let began = self.known.get(name).copied().unwrap_or(count);
        if began != count {
            return Err(Failure::Fatal(other_count(&spec.connector, name, began, count)));
        }
        for at in (0..count).map(|p| TopicPartition::new(name, p)).filter(|at| owns(spec, at)) {
            if let Some(position) = reader.position(&at) {
                self.check_end(spec, &at, position)?;
            }
        }
        Ok(())
    }

    fn check_end(&self, spec: &TaskSpec, at: &TopicPartition, position: i64) -> Result<(), Failure> {
        let end = match spec.cluster.offset(at, OffsetSpec::Latest) {
            Ok(end) => end,
            Err(ClusterError::UnknownTopic(name)) => {
                return Err(Failure::retriable(format!("topic {name} was deleted; waiting for it")));
            }
            Err(error) => return Err(error.into()),
        };
        if position > end {
            return Err(Failure::Fatal(format!(
                "{at} was read to offset {position} by group {}, and ends at {end}: the topic was deleted and created again. What came \
                 from the old one stays at the destination. To read the new topic from its start, stop the connector, DELETE \
                 /connectors/{}/offsets and resume it",
                self.group, spec.connector
            )));
        }
        Ok(())
    }

    fn begin(
        &self,
        spec: &TaskSpec,
        reader: &mut dyn Reader,
        name: &str,
        count: i32,
    ) -> Result<Vec<(TopicPartition, i64)>, Failure> {
        let began = spec.statuses.topic(&spec.connector, spec.id, name, Some(count));
        if let Some(began) = began.filter(|began| *began != count) {
            return Err(Failure::Fatal(other_count(&spec.connector, name, began, count)));
        }
        let own: Vec<TopicPartition> =
            (0..count).map(|p| TopicPartition::new(name, p)).filter(|at| owns(spec, at)).collect();
        let committed = spec.cluster.committed(&self.group, &own)?;
        let mut added = Vec::new();
        for (at, committed) in own.into_iter().zip(committed) {
            let offset = match committed {
                Some(offset) => {
                    self.check_end(spec, &at, offset)?;
                    offset
                }
                None => self.reset(spec, &at)?,
            };
            reader.assign(&at, offset)?;
            added.push((at, offset));
        }
        Ok(added)
    }

    /// Where a partition without a committed offset begins.
    fn reset(&self, spec: &TaskSpec, at: &TopicPartition) -> Result<i64, Failure> {
        let spec_of = if self.latest { OffsetSpec::Latest } else { OffsetSpec::Earliest };
        Ok(spec.cluster.offset(at, spec_of)?)
    }

    /// A position that was trimmed away moves to the start of what is left.
    pub(super) fn out_of_range(
        &self,
        spec: &TaskSpec,
        reader: &mut dyn Reader,
        at: &TopicPartition,
        offset: i64,
    ) -> Result<(), Failure> {
        self.check_end(spec, at, offset)?;
        let start = spec.cluster.offset(at, OffsetSpec::Earliest)?;
        tracing::warn!(connector = spec.connector, %at, offset, start, "records were deleted before they were delivered");
        reader.seek(at, start)?;
        Ok(())
    }
}

fn other_count(connector: &str, topic: &str, began: i32, count: i32) -> String {
    format!(
        "topic {topic} has {count} partitions, connector {connector} began with {began}: records of a key may stand in another partition \
         now, and the order of versions would be lost. To read the topic again from its start, stop the connector, DELETE \
         /connectors/{connector}/offsets and resume it"
    )
}

/// Whether the partition is this task's. The shares do not depend on which other topics there are.
fn owns(spec: &TaskSpec, at: &TopicPartition) -> bool {
    let of_topic = bd_cluster::partition_of_key(at.topic.as_bytes(), 1 << 16);
    let place = of_topic + usize::try_from(at.partition).unwrap_or(0);
    place % spec.of.max(1) == spec.id
}
