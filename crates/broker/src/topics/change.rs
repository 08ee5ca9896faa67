//! How topics come, change and go. Several are changed by one request with one fsync of the catalog and one of the data folder.

use super::{Catalog, REMOVED, ToOpen, Topic, TopicError, Topics, name};
use crate::configs::def::ConfigChange;
use crate::configs::topic;
use crate::error::BrokerError;
use crate::partition::Partition;
use crate::store::meta::TopicEntry;
use bd_log::{LogConfig, Resting};
use kafka_protocol::ResponseError as E;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use uuid::Uuid;

/// More partitions than any single node can serve; a topic with more is a mistake.
const MAX_PARTITIONS: i32 = 100_000;

/// A topic to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Its partitions; at least 1.
    pub partitions: i32,
    /// Kafka's topic configs.
    pub configs: BTreeMap<String, String>,
}

impl Topics {
    /// Checks what [`Topics::create`] would refuse; gives the configs as Kafka shows them.
    pub fn check_new(&self, new: &NewTopic) -> Result<BTreeMap<String, String>, TopicError> {
        check_new(&self.catalog.lock(), new)
    }

    /// Creates a topic; it is durable and can be used when this returns.
    pub fn create(
        &self,
        name: &str,
        partitions: i32,
        configs: BTreeMap<String, String>,
    ) -> Result<Arc<Topic>, TopicError> {
        let new = NewTopic { name: name.to_owned(), partitions, configs };
        self.create_all(vec![new]).pop().unwrap_or_else(|| Err(TopicError::unknown()))
    }

    /// Creates topics, of different names; one result for each, in their order. They are durable and can be used when this
    /// returns.
    pub fn create_all(&self, new: Vec<NewTopic>) -> Vec<Result<Arc<Topic>, TopicError>> {
        let mut catalog = self.catalog.lock();
        let mut names = BTreeSet::new();
        let checked: Vec<Result<(String, TopicEntry), TopicError>> = new
            .into_iter()
            .map(|new| {
                let configs = check_new(&catalog, &new)?;
                if !names.insert(name::unified(&new.name).unwrap_or_else(|| new.name.clone())) {
                    let reason = format!("Topic '{}' collides with another one of this request", new.name);
                    return Err(TopicError::refused(E::InvalidTopicException, reason));
                }
                Ok((new.name, TopicEntry { id: Uuid::new_v4(), partitions: new.partitions, configs }))
            })
            .collect();
        let good: Vec<&(String, TopicEntry)> = checked.iter().flatten().collect();
        if let Err(error) = self.prepare(&mut catalog, &good) {
            let reason = error.to_string();
            let failed = || TopicError::refused(E::KafkaStorageError, reason.clone());
            return checked.into_iter().map(|checked| checked.and_then(|_| Err(failed()))).collect();
        }
        let mut opened = self.open_new(&good).into_iter();
        let created = checked.into_iter().map(|checked| {
            let (name, entry) = checked?;
            match opened.next().unwrap_or_else(|| Ok(Vec::new())) {
                Ok(partitions) => {
                    if let Some(unified) = name::unified(&name) {
                        catalog.unified.insert(unified, name.clone());
                    }
                    Ok(self.insert(&name, &entry, partitions))
                }
                Err(error) => {
                    // It was not acknowledged: it is taken back.
                    catalog.store.commit(vec![(name, None)])?;
                    Err(error.into())
                }
            }
        });
        created.collect()
    }

    /// Clears the way for new topics, and writes them down.
    fn prepare(&self, catalog: &mut Catalog, new: &[&(String, TopicEntry)]) -> Result<(), BrokerError> {
        let folders = new.iter().flat_map(|(name, entry)| (0..entry.partitions).map(move |i| (name, i)));
        let in_the_way: Vec<PathBuf> =
            folders.map(|(name, i)| self.folder(name, i)).filter(|folder| folder.exists()).collect();
        self.move_away(in_the_way, Duration::ZERO);
        if self.moved.load(Ordering::Acquire) {
            // Else a folder of old could be there again after a power loss, in place of a new one.
            self.sync_data_dir()?;
            self.moved.store(false, Ordering::Release);
        }
        catalog.store.commit(new.iter().map(|(name, entry)| (name.clone(), Some(entry.clone()))).collect())
    }

    fn sync_data_dir(&self) -> Result<(), BrokerError> {
        let path = self.data_dir.clone();
        self.fs.sync_dir(&self.data_dir).map_err(|source| BrokerError::Io {
            what: "cannot make durable",
            path,
            source,
        })
    }

    /// Opens the partitions of new topics.
    fn open_new(&self, new: &[&(String, TopicEntry)]) -> Vec<Result<Vec<Arc<Partition>>, BrokerError>> {
        let mut wanted: Vec<ToOpen> = Vec::new();
        for (name, entry) in new {
            let config = self.configs.log_config(&entry.configs);
            wanted.extend(new_partitions(&name.as_str().into(), 0..entry.partitions, config));
        }
        let mut opened = self.open_partitions(wanted).into_iter();
        let count = |entry: &TopicEntry| usize::try_from(entry.partitions).unwrap_or(0);
        new.iter().map(|(_, entry)| opened.by_ref().take(count(entry)).collect()).collect()
    }

    /// Renames folders, so that nothing lies in the way of a later topic, and has them removed after a time.
    fn move_away(&self, folders: Vec<PathBuf>, delay: Duration) {
        let mut moved = Vec::new();
        for from in folders {
            let to = self.data_dir.join(format!("{}{REMOVED}", Uuid::new_v4().simple()));
            match self.fs.rename(&from, &to) {
                Ok(()) => moved.push(to),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(folder = %from.display(), %error, "cannot move a deleted partition away");
                }
            }
        }
        if !moved.is_empty() {
            self.moved.store(true, Ordering::Release);
        }
        self.janitor.remove(moved, delay);
    }

    /// Deletes a topic with its records.
    pub fn delete(&self, name: &str) -> Result<(), TopicError> {
        self.delete_all(&[name]).pop().unwrap_or_else(|| Err(TopicError::unknown()))
    }

    /// Deletes topics with their records; one result for each, in their order. They are gone when this returns; their files
    /// stay for `file.delete.delay.ms`.
    pub fn delete_all(&self, names: &[&str]) -> Vec<Result<(), TopicError>> {
        let mut catalog = self.catalog.lock();
        let found: Vec<Option<Arc<Topic>>> = names.iter().map(|name| self.get(name)).collect();
        let changes = found.iter().flatten().map(|topic| (topic.name.to_string(), None)).collect();
        if let Err(error) = catalog.store.commit(changes) {
            let reason = error.to_string();
            let failed = || Err(TopicError::refused(E::KafkaStorageError, reason.clone()));
            let result =
                |topic: &Option<_>| topic.as_ref().map_or_else(|| Err(TopicError::unknown()), |_| failed());
            return found.iter().map(result).collect();
        }
        for topic in found.iter().flatten() {
            catalog.unified.remove(&name::unified(&topic.name).unwrap_or_default());
            self.by_name.write().remove(&*topic.name);
            self.by_id.write().remove(&topic.id);
            self.version.fetch_add(1, Ordering::Release);
            let mut folders = Vec::new();
            for partition in topic.partitions() {
                partition.log().retire();
                partition.mark_deleted();
                folders.push(self.folder(&topic.name, partition.index));
            }
            let delay = self.configs.topic_number("file.delete.delay.ms", &topic.configs());
            self.move_away(folders, Duration::from_millis(u64::try_from(delay).unwrap_or(0)));
        }
        found.into_iter().map(|topic| topic.map(|_| ()).ok_or_else(TopicError::unknown)).collect()
    }

    /// Raises the number of partitions to `total`.
    pub fn add_partitions(&self, name: &str, total: i32, only_check: bool) -> Result<(), TopicError> {
        let mut catalog = self.catalog.lock();
        let (Some(topic), Some(entry)) = (self.get(name), catalog.store.topics().get(name).cloned()) else {
            return Err(TopicError::unknown());
        };
        let now = entry.partitions;
        let refused = |reason: String| Err(TopicError::refused(E::InvalidPartitions, reason));
        if total == now {
            return refused(format!("Topic already has {now} partition(s)."));
        }
        if total < now {
            return refused(format!(
                "The topic {name} currently has {now} partition(s); {total} would not be an increase."
            ));
        }
        if total > MAX_PARTITIONS {
            return refused(format!("A topic has at most {MAX_PARTITIONS} partitions, not {total}."));
        }
        if only_check {
            return Ok(());
        }
        let in_the_way =
            (now..total).map(|i| self.folder(name, i)).filter(|folder| folder.exists()).collect();
        self.move_away(in_the_way, Duration::ZERO);
        if self.moved.swap(false, Ordering::AcqRel) {
            self.sync_data_dir()?;
        }
        let config = self.configs.log_config(&entry.configs);
        catalog.store.commit(vec![(name.to_owned(), Some(TopicEntry { partitions: total, ..entry }))])?;
        let wanted = new_partitions(&topic.name, now..total, config).collect();
        let added = self.open_partitions(wanted).into_iter().collect::<Result<Vec<_>, _>>()?;
        topic.partitions.write().extend(added);
        self.version.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Changes configs of a topic; they are in force when this returns. With `whole` what is not named is taken away
    /// (AlterConfigs).
    pub fn alter_configs(
        &self,
        name: &str,
        changes: &[ConfigChange],
        whole: bool,
        only_check: bool,
    ) -> Result<(), TopicError> {
        if name.is_empty() {
            return Err(TopicError::refused(E::InvalidRequest, "Default topic resources are not allowed."));
        }
        name::check(name)?;
        let mut catalog = self.catalog.lock();
        let entry = catalog.store.topics().get(name).cloned();
        let before = entry.as_ref().filter(|_| !whole).map(|e| e.configs.clone()).unwrap_or_default();
        let configs = self.configs.changed_topic(&before, changes)?;
        let (Some(topic), Some(entry)) = (self.get(name), entry) else {
            let reason = format!("The topic '{name}' does not exist.");
            return Err(TopicError::refused(E::UnknownTopicOrPartition, reason));
        };
        if only_check {
            return Ok(());
        }
        let entry = TopicEntry { configs: configs.clone(), ..entry };
        catalog.store.commit(vec![(name.to_owned(), Some(entry))])?;
        *topic.configs.write() = configs;
        self.apply_configs(&topic)
    }

    /// Has the topic's logs follow its configs.
    fn apply_configs(&self, topic: &Topic) -> Result<(), TopicError> {
        let configs = topic.configs();
        let min_insync = self.configs.topic_number("min.insync.replicas", &configs);
        topic.min_insync_replicas.store(i32::try_from(min_insync).unwrap_or(i32::MAX), Ordering::Relaxed);
        let log = Arc::new(self.configs.log_config(&configs));
        for partition in topic.partitions() {
            partition.log().set_config(Arc::clone(&log)).map_err(|source| BrokerError::Log {
                topic: topic.name.to_string(),
                partition: partition.index,
                source,
            })?;
        }
        Ok(())
    }

    /// Has all logs follow the broker's defaults, after these were changed.
    pub(crate) fn apply_defaults(&self) -> Result<(), TopicError> {
        let _no_other_change = self.catalog.lock();
        self.all().iter().try_for_each(|topic| self.apply_configs(topic))
    }
}

/// New partitions are logs at rest: their folders are made, durably, at their first use, so that 10 000 cost no fsync.
fn new_partitions(
    topic: &Arc<str>,
    indexes: std::ops::Range<i32>,
    config: LogConfig,
) -> impl Iterator<Item = ToOpen> + use<> {
    let (topic, config) = (Arc::clone(topic), Arc::new(config));
    indexes.map(move |index| {
        let (topic, config) = (Arc::clone(&topic), Arc::clone(&config));
        ToOpen { topic, index, config, at_rest: Some(Resting::EMPTY) }
    })
}

fn check_new(catalog: &Catalog, new: &NewTopic) -> Result<BTreeMap<String, String>, TopicError> {
    let name = &new.name;
    name::check(name)?;
    if catalog.store.topics().contains_key(name) {
        let reason = format!("Topic '{name}' already exists.");
        return Err(TopicError::refused(E::TopicAlreadyExists, reason));
    }
    if let Some(other) = name::unified(name).and_then(|unified| catalog.unified.get(&unified)) {
        let reason = format!("Topic '{name}' collides with existing topic: {other}");
        return Err(TopicError::refused(E::InvalidTopicException, reason));
    }
    let configs = topic::check_all(&new.configs)?;
    if new.partitions < 1 {
        let reason = "Number of partitions was set to an invalid non-positive value.";
        return Err(TopicError::refused(E::InvalidPartitions, reason));
    }
    if new.partitions > MAX_PARTITIONS {
        let reason = format!("A topic has at most {MAX_PARTITIONS} partitions, not {}.", new.partitions);
        return Err(TopicError::refused(E::InvalidPartitions, reason));
    }
    Ok(configs)
}
