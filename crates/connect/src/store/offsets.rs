//! The topic of source offsets. What stands in it, committed, is the only truth: nothing is kept beside it.

use super::log::{TopicLog, WRITE, compacted, now_ms};
use crate::sdk::{SourceOffset, SourcePartition, StopFlag};
use crate::worker::WorkerConfig;
use bd_cluster::{
    Cluster, ClusterError, RecordsBuilder, TopicPartition, Writer, WriterConfig, partition_of_key,
};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long one holder of the lock reads before it looks around.
const TURN: Duration = Duration::from_millis(40);

/// The offsets of one connector, by the JSON text of their partition.
pub(crate) type ConnectorOffsets = BTreeMap<String, SourceOffset>;

struct Table {
    log: TopicLog,
    offsets: BTreeMap<String, ConnectorOffsets>,
    /// Where the last record of each live key stands, for [`OffsetStore::shorten`].
    places: HashMap<Vec<u8>, (i32, i64)>,
}

impl Table {
    fn read(&mut self, ends: &[i64], until: Instant) -> Result<bool, ClusterError> {
        let Self { log, offsets, places } = self;
        log.read_to(ends, until, |at, offset, key, value| {
            let Ok((connector, partition)) = serde_json::from_slice::<(String, SourcePartition)>(key) else {
                tracing::warn!(%at, offset, "not the key of a source offset; passed over");
                return;
            };
            let partition = Value::Object(partition).to_string();
            let value = value.and_then(|v| serde_json::from_slice::<Option<SourceOffset>>(v).ok().flatten());
            match value {
                Some(value) => {
                    offsets.entry(connector).or_default().insert(partition, value);
                    places.insert(key.to_vec(), (at.partition, offset));
                }
                None => {
                    if let Some(of) = offsets.get_mut(&connector) {
                        of.remove(&partition);
                    }
                    places.remove(key);
                }
            }
        })
    }
}

/// The topic of source offsets.
pub(crate) struct OffsetStore {
    cluster: Arc<dyn Cluster>,
    partitions: Vec<TopicPartition>,
    table: Mutex<Table>,
    /// Held by tasks from writing offsets until they are committed, and alone by who writes old ones again.
    committing: RwLock<()>,
    most_records: i64,
    /// The cluster refused to trim: it compacts, then, and is left to it.
    compacted: AtomicBool,
}

impl OffsetStore {
    pub(crate) fn open(cluster: &Arc<dyn Cluster>, config: &WorkerConfig) -> Result<Self, ClusterError> {
        let topic = compacted(&config.offset_topic, config.offset_partitions, config.replication_factor);
        let log = TopicLog::open(cluster, &topic, "connect-offsets")?;
        Ok(Self {
            cluster: Arc::clone(cluster),
            partitions: log.partitions.clone(),
            table: Mutex::new(Table { log, offsets: BTreeMap::new(), places: HashMap::new() }),
            committing: RwLock::new(()),
            most_records: config.offset_topic_records,
            compacted: AtomicBool::new(false),
        })
    }

    /// The committed offsets of a connector as of now. Waits for transactions that are open in the topic, at most `wait`; the flag
    /// says whether all were seen.
    pub(crate) fn read(
        &self,
        connector: &str,
        wait: Duration,
        stop: &StopFlag,
    ) -> Result<(ConnectorOffsets, bool), ClusterError> {
        let until = Instant::now() + wait;
        let ends = self.table.lock().log.ends()?;
        loop {
            let mut table = self.table.lock();
            let whole = table.read(&ends, until.min(Instant::now() + TURN))?;
            if whole || Instant::now() >= until || stop.is_set() {
                return Ok((table.offsets.get(connector).cloned().unwrap_or_default(), whole));
            }
        }
    }

    /// To be held by a task from [`OffsetStore::append`] to the end of the commit.
    pub(crate) fn begin(&self) -> RwLockReadGuard<'_, ()> {
        self.committing.read()
    }

    /// Adds the offsets to the writer's transaction.
    pub(crate) fn append(
        &self,
        writer: &mut dyn Writer,
        connector: &str,
        offsets: &[(SourcePartition, Option<SourceOffset>)],
    ) -> Result<(), ClusterError> {
        let now = now_ms();
        let mut builders: BTreeMap<usize, RecordsBuilder> = BTreeMap::new();
        for (partition, offset) in offsets {
            let key = key_of(connector, partition);
            let value = offset.as_ref().map(|o| Value::Object(o.clone()).to_string());
            let place = partition_of_key(key.as_bytes(), self.partitions.len());
            let builder = builders.entry(place).or_default();
            builder.push(Some(key.as_bytes()), value.as_deref().map(str::as_bytes), now, &[]);
        }
        for (place, builder) in builders {
            if let Some(at) = self.partitions.get(place) {
                writer.append(at, builder)?;
            }
        }
        Ok(())
    }

    /// Writes the live offsets again that stand among the older records of a topic that has grown long, and trims those.
    /// Gives how many records went.
    pub(crate) fn shorten(&self) -> Result<i64, ClusterError> {
        if self.most_records <= 0 || self.compacted.load(Ordering::Relaxed) {
            return Ok(0);
        }
        let mut trimmed = 0;
        for (place, at) in self.partitions.iter().enumerate() {
            let start = self.cluster.offset(at, bd_cluster::OffsetSpec::Earliest)?;
            let end = self.cluster.offset(at, bd_cluster::OffsetSpec::Latest)?;
            if end - start > self.most_records {
                trimmed += self.shorten_partition(place, at, start)?;
            }
        }
        Ok(trimmed)
    }

    fn shorten_partition(&self, place: usize, at: &TopicPartition, start: i64) -> Result<i64, ClusterError> {
        let _alone = self.committing.write();
        let mut table = self.table.lock();
        let ends = table.log.ends()?;
        if !table.read(&ends, Instant::now() + Duration::from_secs(1))? {
            // A transaction that nobody ends is open; the next time it may be gone.
            return Ok(0);
        }
        let Some(end) = ends.get(place).copied() else { return Ok(0) };
        let now = now_ms();
        let mut builder = RecordsBuilder::new();
        for (key, (partition, _)) in &table.places {
            if *partition != at.partition {
                continue;
            }
            let Ok((connector, partition)) = serde_json::from_slice::<(String, SourcePartition)>(key) else {
                continue;
            };
            let text = Value::Object(partition).to_string();
            if let Some(offset) = table.offsets.get(&connector).and_then(|of| of.get(&text)) {
                let value = Value::Object(offset.clone()).to_string();
                builder.push(Some(key), Some(value.as_bytes()), now, &[]);
            }
        }
        let config = WriterConfig { client_id: "connect-offsets".into(), ..WriterConfig::default() };
        let mut writer = self.cluster.open_writer(config)?;
        writer.append(at, builder)?.wait(WRITE)?;
        match self.cluster.trim(at, end) {
            Ok(_) => Ok(end - start),
            Err(error @ ClusterError::Retriable { .. }) => Err(error),
            Err(error) => {
                // Kafka refuses for topics that are only compacted.
                self.compacted.store(true, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// Writes offsets outside of a task, for a connector that is stopped.
    pub(crate) fn alter(
        &self,
        transactional_id: &str,
        connector: &str,
        offsets: &[(SourcePartition, Option<SourceOffset>)],
    ) -> Result<(), crate::ConnectError> {
        let config = WriterConfig {
            transactional_id: Some(transactional_id.to_owned()),
            client_id: "connect-offsets".into(),
            ..WriterConfig::default()
        };
        // The task's own id: what it left open is settled, and a task that still lives somewhere is fenced.
        let mut writer = self.cluster.open_writer(config)?;
        let _committing = self.begin();
        self.append(writer.as_mut(), connector, offsets)?;
        writer.commit(&[], None)?;
        Ok(())
    }
}

/// The record key: byte-stable, the partition's own order of keys.
fn key_of(connector: &str, partition: &SourcePartition) -> String {
    Value::Array(vec![Value::from(connector), Value::Object(partition.clone())]).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bd_broker::{Broker, BrokerConfig};
    use bd_cluster::OffsetSpec;
    use bd_cluster_embedded::EmbeddedCluster;

    fn map(key: &str, value: i64) -> SourceOffset {
        let mut map = SourceOffset::new();
        map.insert(key.to_owned(), value.into());
        map
    }

    fn commit(store: &OffsetStore, writer: &mut dyn Writer, file: i64, offset: Option<i64>) {
        let _committing = store.begin();
        store.append(writer, "files", &[(map("file", file), offset.map(|o| map("line", o)))]).unwrap();
        writer.commit(&[], None).unwrap();
    }

    #[test]
    fn a_long_topic_is_shortened_without_losing_an_offset() {
        let dir = tempfile::tempdir().unwrap();
        let broker = Broker::open(BrokerConfig::new(dir.path())).unwrap();
        let cluster: Arc<dyn Cluster> = Arc::new(EmbeddedCluster::new(broker));
        let config = WorkerConfig { offset_topic_records: 50, ..WorkerConfig::default() };
        let store = OffsetStore::open(&cluster, &config).unwrap();
        let id = WriterConfig { transactional_id: Some("t".into()), ..WriterConfig::default() };
        let mut writer = cluster.open_writer(id).unwrap();
        for line in 0..40 {
            commit(&store, writer.as_mut(), line % 3, Some(line));
        }
        commit(&store, writer.as_mut(), 1, None);
        let wait = Duration::from_secs(10);
        let stop = StopFlag::default();
        let before = store.read("files", wait, &stop).unwrap();
        assert!(before.1 && before.0.len() == 2, "{before:?}");
        assert!(store.shorten().unwrap() > 50);
        commit(&store, writer.as_mut(), 2, Some(77));
        let at = TopicPartition::new("connect-offsets", 0);
        let [start, end] =
            [OffsetSpec::Earliest, OffsetSpec::Latest].map(|s| cluster.offset(&at, s).unwrap());
        assert!(end - start < 10, "{start}..{end}");
        // Somebody who reads the topic anew finds the same.
        let again = OffsetStore::open(&cluster, &config).unwrap();
        for store in [&store, &again] {
            let (offsets, _) = store.read("files", wait, &stop).unwrap();
            assert_eq!(offsets["{\"file\":0}"], map("line", 39));
            assert_eq!(offsets["{\"file\":2}"], map("line", 77));
            assert_eq!(offsets.len(), 2);
        }
    }
}
