//! A topic that holds the last value of each key, read to its end.

use bd_cluster::{
    Cluster, ClusterError, Isolation, NewTopic, OffsetSpec, Reader, ReaderConfig, RecordsBuilder,
    TopicPartition, Writer,
};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

const POLL_BYTES: usize = 4 << 20;
const STEP: Duration = Duration::from_millis(20);
/// How long a write may take.
pub(super) const WRITE: Duration = Duration::from_secs(30);

/// Now, ms since epoch.
pub(crate) fn now_ms() -> i64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// The topic's number of partitions; creates it where it is missing.
///
/// # Errors
/// The cluster's.
pub(crate) fn ensure_topic(cluster: &dyn Cluster, topic: &NewTopic) -> Result<i32, ClusterError> {
    if let Some(info) = cluster.topic(&topic.name)? {
        return Ok(info.partitions);
    }
    match cluster.create_topic(topic) {
        Ok(()) => Ok(topic.partitions),
        // Somebody else was faster.
        Err(ClusterError::TopicExists(_)) => {
            Ok(cluster.topic(&topic.name)?.map_or(topic.partitions, |info| info.partitions))
        }
        Err(error) => Err(error),
    }
}

/// The compacted topic of that name.
pub(super) fn compacted(name: &str, partitions: i32, replication_factor: i16) -> NewTopic {
    let topic = NewTopic::new(name, partitions).with("cleanup.policy", "compact");
    NewTopic { replication_factor, ..topic }
}

/// A reader of all partitions of a topic, which goes to the end again and again.
pub(super) struct TopicLog {
    cluster: Arc<dyn Cluster>,
    pub(super) partitions: Vec<TopicPartition>,
    reader: Box<dyn Reader>,
}

impl TopicLog {
    pub(super) fn open(
        cluster: &Arc<dyn Cluster>,
        topic: &NewTopic,
        client_id: &str,
    ) -> Result<Self, ClusterError> {
        let count = ensure_topic(cluster.as_ref(), topic)?;
        let name: Arc<str> = topic.name.as_str().into();
        let partitions: Vec<_> = (0..count).map(|p| TopicPartition::new(Arc::clone(&name), p)).collect();
        let config = ReaderConfig { isolation: Isolation::ReadCommitted, client_id: client_id.to_owned() };
        let mut reader = cluster.open_reader(config)?;
        for at in &partitions {
            reader.assign(at, cluster.offset(at, OffsetSpec::Earliest)?)?;
        }
        Ok(Self { cluster: Arc::clone(cluster), partitions, reader })
    }

    /// The ends of the partitions as of now, open transactions included.
    pub(super) fn ends(&self) -> Result<Vec<i64>, ClusterError> {
        self.partitions.iter().map(|at| self.cluster.offset(at, OffsetSpec::Latest)).collect()
    }

    fn reached(&self, ends: &[i64]) -> bool {
        let mut parts = self.partitions.iter().zip(ends);
        parts.all(|(at, end)| self.reader.position(at).unwrap_or(0) >= *end)
    }

    /// Reads towards `ends` until `until`; whether they are reached. A transaction that is open below an end holds it up.
    pub(super) fn read_to(
        &mut self,
        ends: &[i64],
        until: Instant,
        mut each: impl FnMut(&TopicPartition, i64, &[u8], Option<&[u8]>),
    ) -> Result<bool, ClusterError> {
        while !self.reached(ends) {
            match self.reader.poll(POLL_BYTES, STEP) {
                Ok(Some(records)) => {
                    for record in records.iter() {
                        let Some(key) = record.key else { continue };
                        each(&records.partition, record.offset, key, record.value);
                    }
                }
                Ok(None) if Instant::now() >= until => return Ok(false),
                Ok(None) => {}
                Err(ClusterError::OffsetOutOfRange { partition, .. }) => {
                    let start = self.cluster.offset(&partition, OffsetSpec::Earliest)?;
                    self.reader.seek(&partition, start)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Writes records of one partition and waits until they are durable.
pub(super) fn write(
    writer: &mut dyn Writer,
    at: &TopicPartition,
    records: &[(String, Option<String>)],
) -> Result<(), ClusterError> {
    let mut builder = RecordsBuilder::new();
    let now = now_ms();
    for (key, value) in records {
        builder.push(Some(key.as_bytes()), value.as_deref().map(str::as_bytes), now, &[]);
    }
    writer.append(at, builder)?.wait(WRITE).map(|_| ())
}
