//! Reads outputs back: committed records only, from the beginning of every partition to its end.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use serde_json::Value;

use crate::CaseError;

/// A partition that gives neither a record nor its end for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads the topics of one cluster.
#[derive(Debug, Clone)]
pub struct Outputs {
    bootstrap: String,
}

impl Outputs {
    /// The cluster at `bootstrap` (`HOST:PORT`).
    pub fn at(bootstrap: impl Into<String>) -> Self {
        Self { bootstrap: bootstrap.into() }
    }

    /// The values of a stream's topic, each a JSON object. Records without a value are left out.
    ///
    /// # Errors
    /// If there is no such topic, its end does not come, or a value is not JSON.
    pub fn stream(&self, topic: &str) -> Result<Vec<Value>, CaseError> {
        let mut rows = Vec::new();
        self.each(topic, |_, value, place| {
            rows.extend(value.map(|value| json(topic, value, place)).transpose()?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The rows of a table's topic: the last value of each key, unless it is null.
    ///
    /// # Errors
    /// As [`stream`](Self::stream).
    pub fn table(&self, topic: &str) -> Result<Vec<Value>, CaseError> {
        let mut rows = HashMap::new();
        self.each(topic, |key, value, place| {
            match value {
                Some(value) => rows.insert(key.map(<[u8]>::to_vec), json(topic, value, place)?),
                None => rows.remove(&key.map(<[u8]>::to_vec)),
            };
            Ok(())
        })?;
        Ok(rows.into_values().collect())
    }

    /// How many records a topic has; 0 if there is no such topic.
    ///
    /// # Errors
    /// If its end does not come.
    pub fn count(&self, topic: &str) -> Result<usize, CaseError> {
        let mut count = 0;
        match self.each(topic, |_, _, _| {
            count += 1;
            Ok(())
        }) {
            Ok(()) | Err(CaseError::NoTopic { .. }) => Ok(count),
            Err(error) => Err(error),
        }
    }

    fn each(
        &self,
        topic: &str,
        mut take: impl FnMut(Option<&[u8]>, Option<&[u8]>, (i32, i64)) -> Result<(), CaseError>,
    ) -> Result<(), CaseError> {
        let failed = |source| CaseError::Kafka {
            what: format!("cannot read {topic} from {}", self.bootstrap),
            source,
        };
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", "tv-cases")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("allow.auto.create.topics", "false")
            .set("check.crcs", "true")
            // The end of a partition is told when a fetch comes back empty.
            .set("fetch.wait.max.ms", "50")
            .create()
            .map_err(failed)?;
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).map_err(failed)?;
        let mut open: Vec<i32> = metadata
            .topics()
            .iter()
            .filter(|found| found.name() == topic && found.error().is_none())
            .flat_map(|found| found.partitions().iter().map(|partition| partition.id()))
            .collect();
        if open.is_empty() {
            return Err(CaseError::NoTopic { topic: topic.to_owned(), bootstrap: self.bootstrap.clone() });
        }
        let mut partitions = TopicPartitionList::new();
        for partition in &open {
            partitions.add_partition_offset(topic, *partition, Offset::Beginning).map_err(failed)?;
        }
        consumer.assign(&partitions).map_err(failed)?;

        let (mut read, mut last) = (0, Instant::now());
        while !open.is_empty() {
            match consumer.poll(Duration::from_millis(200)) {
                Some(Ok(record)) => {
                    (read, last) = (read + 1, Instant::now());
                    take(record.key(), record.payload(), (record.partition(), record.offset()))?;
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    last = Instant::now();
                    open.retain(|still| *still != partition);
                }
                // librdkafka connects again by itself.
                Some(Err(error)) if !is_transient(&error) => return Err(failed(error)),
                _ if last.elapsed() > PATIENCE => {
                    return Err(CaseError::Stuck {
                        topic: topic.to_owned(),
                        seconds: PATIENCE.as_secs(),
                        read,
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn is_transient(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure)
    )
}

fn json(topic: &str, value: &[u8], (partition, offset): (i32, i64)) -> Result<Value, CaseError> {
    serde_json::from_slice(value).map_err(|source| CaseError::Output {
        topic: topic.to_owned(),
        partition,
        offset,
        source,
    })
}
