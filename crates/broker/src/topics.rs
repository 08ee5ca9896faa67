//! The topics: which there are, where they lie, how they come and go.
//!
//! `meta/topics.json` decides: a topic exists from the moment the file that lists it is durable until the moment the file without
//! it is. Folders follow: those that are missing are made at start, and what lies in the way of a new topic is removed.

use crate::error::BrokerError;
use crate::metrics::Counters;
use crate::partition::Partition;
use crate::store::meta::{MetaStore, TopicEntry, TopicsFile};
use crate::topic_config::{self, ConfigError};
use bd_log::{Flusher, Fs, Log, LogConfig};
use kafka_protocol::ResponseError as E;
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

const FILE: &str = "topics.json";
/// Suffix of folders that are being removed.
const REMOVED: &str = "-delete";
/// More partitions than any single node can serve; a request for more is a mistake.
const MAX_PARTITIONS: i32 = 10_000;

/// The internal topic of committed offsets.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// The internal topic of transactions.
pub const TXN_TOPIC: &str = "__transaction_state";

/// Whether clients may not write to it.
pub fn is_internal(topic: &str) -> bool {
    topic == OFFSETS_TOPIC || topic == TXN_TOPIC
}

/// One topic.
#[derive(Debug)]
pub struct Topic {
    /// The name.
    pub name: Arc<str>,
    /// The id, which no other topic has, not even a later one of this name.
    pub id: Uuid,
    partitions: RwLock<Vec<Arc<Partition>>>,
    configs: RwLock<BTreeMap<String, String>>,
}

impl Topic {
    /// The partition of that index.
    pub fn partition(&self, index: i32) -> Option<Arc<Partition>> {
        self.partitions.read().get(usize::try_from(index).ok()?).cloned()
    }

    /// All partitions in order.
    pub fn partitions(&self) -> Vec<Arc<Partition>> {
        self.partitions.read().clone()
    }

    /// The number of partitions.
    pub fn partition_count(&self) -> i32 {
        self.partitions.read().len() as i32
    }

    /// Looks at the configs that were set, without a copy of them.
    pub(crate) fn with_configs<R>(&self, look: impl FnOnce(&BTreeMap<String, String>) -> R) -> R {
        look(&self.configs.read())
    }

    /// The configs that were set.
    pub fn configs(&self) -> BTreeMap<String, String> {
        self.configs.read().clone()
    }
}

/// Why a topic is not created or changed.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// The request is wrong.
    #[error("{reason}")]
    Refused {
        /// Kafka's code.
        code: E,
        /// In words.
        reason: String,
    },
    /// A config is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The disk.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl TopicError {
    fn refused(code: E, reason: impl Into<String>) -> Self {
        TopicError::Refused { code, reason: reason.into() }
    }

    /// Kafka's code.
    pub fn code(&self) -> E {
        match self {
            TopicError::Refused { code, .. } => *code,
            TopicError::Config(_) => E::InvalidConfig,
            TopicError::Broker(_) => E::KafkaStorageError,
        }
    }
}

/// All topics.
pub struct Topics {
    fs: Arc<dyn Fs>,
    meta: MetaStore,
    data_dir: PathBuf,
    defaults: LogConfig,
    flusher: Arc<Flusher>,
    counters: Arc<Counters>,
    by_name: RwLock<BTreeMap<String, Arc<Topic>>>,
    by_id: RwLock<HashMap<Uuid, Arc<Topic>>>,
    /// Held while topics change, so that file and memory change together. Holds what the file says.
    file: Mutex<TopicsFile>,
    /// Grows whenever a topic or partition comes or goes.
    version: AtomicU64,
}

impl Topics {
    /// Opens all topics there are.
    pub(crate) fn open(
        fs: Arc<dyn Fs>,
        meta: MetaStore,
        data_dir: &Path,
        defaults: LogConfig,
        flusher: Arc<Flusher>,
        counters: Arc<Counters>,
    ) -> Result<Self, BrokerError> {
        let file: TopicsFile = meta.load(FILE)?.unwrap_or_default();
        let topics = Self {
            fs,
            meta,
            data_dir: data_dir.to_path_buf(),
            defaults,
            flusher,
            counters,
            by_name: RwLock::default(),
            by_id: RwLock::default(),
            file: Mutex::new(TopicsFile::default()),
            version: AtomicU64::new(1),
        };
        topics.remove_leftovers();
        for (name, entry) in &file.topics {
            topics.insert(Arc::new(topics.open_topic(name, entry)?));
        }
        *topics.file.lock() = file;
        Ok(topics)
    }

    fn insert(&self, topic: Arc<Topic>) {
        self.by_id.write().insert(topic.id, Arc::clone(&topic));
        self.by_name.write().insert(topic.name.to_string(), topic);
        self.version.fetch_add(1, Ordering::Release);
    }

    fn folder(&self, topic: &str, partition: i32) -> PathBuf {
        self.data_dir.join(format!("{topic}-{partition}"))
    }

    fn open_topic(&self, name: &str, entry: &TopicEntry) -> Result<Topic, BrokerError> {
        let name: Arc<str> = name.into();
        let partitions = (0..entry.partitions)
            .map(|index| self.open_partition(&name, index, &entry.configs))
            .collect::<Result<_, _>>()?;
        Ok(Topic {
            name,
            id: entry.id,
            partitions: RwLock::new(partitions),
            configs: RwLock::new(entry.configs.clone()),
        })
    }

    fn open_partition(
        &self,
        topic: &Arc<str>,
        index: i32,
        configs: &BTreeMap<String, String>,
    ) -> Result<Arc<Partition>, BrokerError> {
        let dir = self.folder(topic, index);
        let failed = |source| BrokerError::Log { topic: topic.to_string(), partition: index, source };
        let config = topic_config::log_config(&self.defaults, configs);
        let (log, recovery) = Log::open(Arc::clone(&self.fs), &dir, config).map_err(failed)?;
        if recovery.truncated_bytes > 0 {
            tracing::warn!(%topic, index, bytes = recovery.truncated_bytes, "cut off an unfinished write");
        }
        let (flusher, counters) = (Arc::clone(&self.flusher), Arc::clone(&self.counters));
        Ok(Arc::new(Partition::new(Arc::clone(topic), index, log, flusher, counters)))
    }

    /// Removes folders whose removal a crash interrupted.
    fn remove_leftovers(&self) {
        let Ok(entries) = std::fs::read_dir(&self.data_dir) else { return };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().ends_with(REMOVED) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }

    /// Moves a partition's folder out of the way at once, then removes it.
    fn remove_folder(&self, topic: &str, partition: i32) {
        let from = self.folder(topic, partition);
        if !from.exists() {
            return;
        }
        let to = self.data_dir.join(format!("{}{REMOVED}", Uuid::new_v4().simple()));
        let removed = self
            .fs
            .rename(&from, &to)
            .and_then(|()| self.fs.sync_dir(&self.data_dir))
            .and_then(|()| std::fs::remove_dir_all(&to));
        if let Err(error) = removed {
            tracing::warn!(folder = %from.display(), %error, "cannot remove a deleted partition");
        }
    }

    /// A number that grows whenever a topic or partition comes or goes.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The topic of that name.
    pub fn get(&self, name: &str) -> Option<Arc<Topic>> {
        self.by_name.read().get(name).cloned()
    }

    /// The topic of that id.
    pub fn by_id(&self, id: &Uuid) -> Option<Arc<Topic>> {
        self.by_id.read().get(id).cloned()
    }

    /// A partition.
    pub fn partition(&self, topic: &str, index: i32) -> Option<Arc<Partition>> {
        self.by_name.read().get(topic)?.partition(index)
    }

    /// All topics by name, internal ones too.
    pub fn all(&self) -> Vec<Arc<Topic>> {
        self.by_name.read().values().cloned().collect()
    }

    /// Checks what [`Topics::create`] would refuse.
    pub fn check_new(
        &self,
        name: &str,
        partitions: i32,
        configs: &BTreeMap<String, String>,
    ) -> Result<(), TopicError> {
        check_name(name)?;
        if !(1..=MAX_PARTITIONS).contains(&partitions) {
            let reason =
                format!("number of partitions must be within 1..={MAX_PARTITIONS}, not {partitions}");
            return Err(TopicError::refused(E::InvalidPartitions, reason));
        }
        if self.get(name).is_some() {
            return Err(TopicError::refused(
                E::TopicAlreadyExists,
                format!("Topic '{name}' already exists."),
            ));
        }
        configs.iter().try_for_each(|(key, value)| topic_config::check(key, value))?;
        Ok(())
    }

    /// Creates a topic; it is durable and can be used when this returns.
    pub fn create(
        &self,
        name: &str,
        partitions: i32,
        configs: BTreeMap<String, String>,
    ) -> Result<Arc<Topic>, TopicError> {
        let mut file = self.file.lock();
        self.check_new(name, partitions, &configs)?;
        let entry = TopicEntry { id: Uuid::new_v4(), partitions, configs };
        (0..partitions).for_each(|index| self.remove_folder(name, index));
        let mut next = file.clone();
        next.topics.insert(name.to_owned(), entry.clone());
        self.meta.store(FILE, &next)?;
        *file = next;
        let topic = Arc::new(self.open_topic(name, &entry)?);
        self.insert(Arc::clone(&topic));
        Ok(topic)
    }

    /// Deletes a topic with its records.
    pub fn delete(&self, name: &str) -> Result<(), TopicError> {
        let mut file = self.file.lock();
        let Some(topic) = self.get(name) else {
            return Err(TopicError::refused(
                E::UnknownTopicOrPartition,
                format!("topic {name} does not exist"),
            ));
        };
        let mut next = file.clone();
        next.topics.remove(name);
        self.meta.store(FILE, &next)?;
        *file = next;
        self.by_name.write().remove(name);
        self.by_id.write().remove(&topic.id);
        self.version.fetch_add(1, Ordering::Release);
        for partition in topic.partitions() {
            partition.mark_deleted();
            if let Err(error) = partition.log().close() {
                tracing::warn!(?partition, %error, "closing a deleted partition");
            }
            self.remove_folder(name, partition.index);
        }
        Ok(())
    }

    /// Raises the number of partitions to `total`.
    pub fn add_partitions(&self, name: &str, total: i32, only_check: bool) -> Result<(), TopicError> {
        let mut file = self.file.lock();
        let (Some(topic), Some(entry)) = (self.get(name), file.topics.get(name).cloned()) else {
            return Err(TopicError::refused(
                E::UnknownTopicOrPartition,
                format!("topic {name} does not exist"),
            ));
        };
        if total <= entry.partitions || total > MAX_PARTITIONS {
            let reason = format!("topic {name} has {} partitions, {total} is not allowed", entry.partitions);
            return Err(TopicError::refused(E::InvalidPartitions, reason));
        }
        if only_check {
            return Ok(());
        }
        (entry.partitions..total).for_each(|index| self.remove_folder(name, index));
        let mut next = file.clone();
        next.topics.insert(name.to_owned(), TopicEntry { partitions: total, ..entry.clone() });
        self.meta.store(FILE, &next)?;
        *file = next;
        let added = (entry.partitions..total)
            .map(|index| self.open_partition(&topic.name, index, &entry.configs))
            .collect::<Result<Vec<_>, _>>()?;
        topic.partitions.write().extend(added);
        self.version.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Sets configs (`None` removes one); they are in force when this returns.
    pub fn alter_configs(
        &self,
        name: &str,
        changes: &[(String, Option<String>)],
        only_check: bool,
    ) -> Result<(), TopicError> {
        let mut file = self.file.lock();
        let (Some(topic), Some(entry)) = (self.get(name), file.topics.get(name).cloned()) else {
            return Err(TopicError::refused(
                E::UnknownTopicOrPartition,
                format!("topic {name} does not exist"),
            ));
        };
        let mut configs = entry.configs.clone();
        for (key, value) in changes {
            match value {
                Some(value) => {
                    topic_config::check(key, value)?;
                    configs.insert(key.clone(), value.clone());
                }
                None => {
                    configs.remove(key);
                }
            }
        }
        if only_check {
            return Ok(());
        }
        let mut next = file.clone();
        next.topics.insert(name.to_owned(), TopicEntry { configs: configs.clone(), ..entry });
        self.meta.store(FILE, &next)?;
        *file = next;
        let log = topic_config::log_config(&self.defaults, &configs);
        *topic.configs.write() = configs;
        for partition in topic.partitions() {
            partition.log().set_config(log.clone()).map_err(|source| BrokerError::Log {
                topic: name.to_owned(),
                partition: partition.index,
                source,
            })?;
        }
        Ok(())
    }

    /// The broker's defaults for topic configs.
    pub(crate) fn defaults(&self) -> &LogConfig {
        &self.defaults
    }
}

/// Kafka's rule for topic names.
fn check_name(name: &str) -> Result<(), TopicError> {
    let fits = !name.is_empty()
        && name.len() <= 249
        && name != "."
        && name != ".."
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if fits {
        return Ok(());
    }
    let reason = format!(
        "topic name '{name}' must be 1 to 249 characters of a-z, A-Z, 0-9, '.', '_' and '-', and not '.' or '..'"
    );
    Err(TopicError::refused(E::InvalidTopicException, reason))
}
