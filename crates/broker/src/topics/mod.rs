//! The topics: which there are, where they lie, how they come and go.
//!
//! `meta/topics.json` with its log decides: a topic exists from the moment the line that says so is durable until the moment the
//! line without it is. Folders follow: those that are missing are made at start, and what lies in the way of a new topic is moved
//! away.

mod change;
mod close;
mod janitor;
pub(crate) mod name;

pub use change::NewTopic;

use crate::configs::Configs;
use crate::configs::def::ConfigError;
use crate::error::BrokerError;
use crate::metrics::Counters;
use crate::partition::Partition;
use crate::store::meta::{MetaStore, TopicEntry};
use crate::store::topics_file::TopicsStore;
use bd_log::{Flusher, Fs, Log, LogConfig, LogError, Resting};
use janitor::Janitor;
use kafka_protocol::ResponseError as E;
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// Suffix of folders that are being removed.
const REMOVED: &str = "-delete";
/// Folders that are made or opened at once, by so many threads: their fsyncs share the disk's.
const OPENERS: usize = 8;

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
    min_insync_replicas: AtomicI32,
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

    /// The configs that were set.
    pub fn configs(&self) -> BTreeMap<String, String> {
        self.configs.read().clone()
    }

    /// `min.insync.replicas`: more than one means that records produced with acks=all are refused, since there is one replica.
    pub fn min_insync_replicas(&self) -> i32 {
        self.min_insync_replicas.load(Ordering::Relaxed)
    }
}

/// Why a topic or a config is not created or changed.
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
    pub(crate) fn refused(code: E, reason: impl Into<String>) -> Self {
        TopicError::Refused { code, reason: reason.into() }
    }

    /// The topic of that name is not there, in Kafka's words.
    pub(crate) fn unknown() -> Self {
        Self::refused(E::UnknownTopicOrPartition, "This server does not host this topic-partition.")
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

/// What topics are made of.
pub(crate) struct Parts {
    pub fs: Arc<dyn Fs>,
    pub meta: MetaStore,
    pub data_dir: PathBuf,
    pub configs: Arc<Configs>,
    pub flusher: Arc<Flusher>,
    pub counters: Arc<Counters>,
}

/// All topics.
pub struct Topics {
    fs: Arc<dyn Fs>,
    data_dir: PathBuf,
    configs: Arc<Configs>,
    flusher: Arc<Flusher>,
    counters: Arc<Counters>,
    by_name: RwLock<BTreeMap<String, Arc<Topic>>>,
    by_id: RwLock<HashMap<Uuid, Arc<Topic>>>,
    /// Held while topics change, so that file and memory change together.
    catalog: Mutex<Catalog>,
    janitor: Janitor,
    /// Folders were moved away, which the data folder does not yet show durably.
    moved: AtomicBool,
    /// Grows whenever a topic or partition comes or goes.
    version: AtomicU64,
}

/// What the file says, and the names in the form in which they must differ.
struct Catalog {
    store: TopicsStore,
    /// [`name::unified`] to the name.
    unified: HashMap<String, String>,
}

/// A partition to open.
struct ToOpen {
    topic: Arc<str>,
    index: i32,
    config: Arc<LogConfig>,
    /// What is known of it if it need not be opened before its first use.
    at_rest: Option<Resting>,
}

/// What the logs were like at the last clean shutdown.
fn resting_file(data_dir: &Path) -> PathBuf {
    data_dir.join("meta").join("resting")
}

impl Topics {
    /// Opens all topics there are.
    pub(crate) fn open(parts: Parts) -> Result<Self, BrokerError> {
        let store = TopicsStore::open(parts.meta)?;
        let unified =
            store.topics().keys().filter_map(|name| Some((name::unified(name)?, name.clone()))).collect();
        let entries = store.topics().clone();
        let path = resting_file(&parts.data_dir);
        let resting = bd_log::resting::take(&*parts.fs, &path).map_err(|source| BrokerError::Log {
            topic: path.display().to_string(),
            partition: -1,
            source,
        })?;
        let topics = Self {
            fs: parts.fs,
            data_dir: parts.data_dir,
            configs: parts.configs,
            flusher: parts.flusher,
            counters: parts.counters,
            by_name: RwLock::default(),
            by_id: RwLock::default(),
            catalog: Mutex::new(Catalog { store, unified }),
            janitor: Janitor::default(),
            moved: AtomicBool::new(false),
            version: AtomicU64::new(1),
        };
        topics.janitor.remove(topics.leftovers(), Duration::ZERO);
        topics.open_all(&entries, &resting)?;
        Ok(topics)
    }

    /// Opens the partitions of topics, and makes them known. Those in `resting` were closed well: they open at their first use.
    fn open_all(
        &self,
        entries: &BTreeMap<String, TopicEntry>,
        resting: &HashMap<String, Resting>,
    ) -> Result<(), BrokerError> {
        let mut wanted: Vec<ToOpen> = Vec::new();
        for (name, entry) in entries {
            let name: Arc<str> = name.as_str().into();
            let config = Arc::new(self.configs.log_config(&entry.configs));
            wanted.extend((0..entry.partitions).map(|index| {
                let at_rest = resting.get(&format!("{name}-{index}")).copied();
                ToOpen { topic: Arc::clone(&name), index, config: Arc::clone(&config), at_rest }
            }));
        }
        let mut partitions = self.open_partitions(wanted).into_iter();
        for (name, entry) in entries {
            let count = usize::try_from(entry.partitions).unwrap_or(0);
            let opened = partitions.by_ref().take(count).collect::<Result<Vec<_>, _>>()?;
            self.insert(name, entry, opened);
        }
        Ok(())
    }

    fn insert(&self, name: &str, entry: &TopicEntry, partitions: Vec<Arc<Partition>>) -> Arc<Topic> {
        let min_insync = self.configs.topic_number("min.insync.replicas", &entry.configs);
        let name: Arc<str> = partitions.first().map_or_else(|| name.into(), |p| Arc::clone(&p.topic));
        let topic = Arc::new(Topic {
            name,
            id: entry.id,
            partitions: RwLock::new(partitions),
            configs: RwLock::new(entry.configs.clone()),
            min_insync_replicas: AtomicI32::new(i32::try_from(min_insync).unwrap_or(i32::MAX)),
        });
        self.by_id.write().insert(topic.id, Arc::clone(&topic));
        self.by_name.write().insert(topic.name.to_string(), Arc::clone(&topic));
        self.version.fetch_add(1, Ordering::Release);
        topic
    }

    fn folder(&self, topic: &str, partition: i32) -> PathBuf {
        self.data_dir.join(format!("{topic}-{partition}"))
    }

    /// Opens partitions, several at a time where there are many; one result for each, in their order.
    fn open_partitions(&self, wanted: Vec<ToOpen>) -> Vec<Result<Arc<Partition>, BrokerError>> {
        if wanted.len() <= OPENERS {
            return wanted.into_iter().map(|wanted| self.open_partition(wanted)).collect();
        }
        let size = wanted.len().div_ceil(OPENERS);
        let mut rest = wanted.into_iter();
        let mut parts: Vec<Vec<ToOpen>> = Vec::new();
        while rest.len() > 0 {
            parts.push(rest.by_ref().take(size).collect());
        }
        std::thread::scope(|scope| {
            let open =
                |part: Vec<ToOpen>| part.into_iter().map(|w| self.open_partition(w)).collect::<Vec<_>>();
            let threads: Vec<_> = parts
                .into_iter()
                .map(|part| {
                    let lengths = part.len();
                    (lengths, scope.spawn(move || open(part)))
                })
                .collect();
            let died = || BrokerError::Thread(std::io::Error::other("a thread that opens partitions died"));
            let joined = threads.into_iter().map(|(length, thread)| {
                thread.join().unwrap_or_else(|_| (0..length).map(|_| Err(died())).collect())
            });
            joined.flatten().collect()
        })
    }

    fn open_partition(&self, wanted: ToOpen) -> Result<Arc<Partition>, BrokerError> {
        let ToOpen { topic, index, config, at_rest } = wanted;
        let dir = self.folder(&topic, index);
        let failed = |source| BrokerError::Log { topic: topic.to_string(), partition: index, source };
        let log = match at_rest {
            Some(resting) => {
                Log::open_resting(Arc::clone(&self.fs), &dir, config, resting).map_err(failed)?
            }
            None => {
                let fs = || Arc::clone(&self.fs);
                match Log::open_if_at_rest(fs(), &dir, Arc::clone(&config)).map_err(failed)? {
                    Some(log) => log,
                    None => {
                        let (log, recovery) = Log::open(fs(), &dir, config).map_err(failed)?;
                        if recovery.truncated_bytes > 0 {
                            let bytes = recovery.truncated_bytes;
                            tracing::warn!(%topic, index, bytes, "cut off an unfinished write");
                        }
                        log
                    }
                }
            }
        };
        let (flusher, counters) = (Arc::clone(&self.flusher), Arc::clone(&self.counters));
        Ok(Arc::new(Partition::new(topic, index, log, flusher, counters)))
    }

    /// Notes what the logs are like, after they were closed: the next start need not look into their folders.
    pub(crate) fn note_resting(&self) -> Result<(), LogError> {
        let partitions = self.all().iter().flat_map(|t| t.partitions()).collect::<Vec<_>>();
        let resting: Vec<(String, Resting)> =
            partitions.iter().filter_map(|p| Some((format!("{p:?}"), p.log().resting()?))).collect();
        let logs = resting.iter().map(|(name, resting)| (name.as_str(), *resting));
        bd_log::resting::write(&*self.fs, &resting_file(&self.data_dir), logs)
    }

    /// Folders of partitions that were deleted in earlier runs.
    fn leftovers(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(&self.data_dir) else { return Vec::new() };
        let is_removed = |path: &Path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(REMOVED)) && path.is_dir()
        };
        entries.flatten().map(|entry| entry.path()).filter(|path| is_removed(path)).collect()
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

    /// What is counted.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The configs of the broker and of groups, and the defaults of topics.
    pub(crate) fn broker_configs(&self) -> &Arc<Configs> {
        &self.configs
    }
}
