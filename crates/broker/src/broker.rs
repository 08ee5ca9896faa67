//! The broker itself, without any socket.

use crate::alarm::Alarm;
use crate::cleaner::{Cleaner, CleanerSnapshot};
use crate::config::BrokerConfig;
use crate::configs::Configs;
use crate::error::BrokerError;
use crate::fetch::cache::SessionCache;
use crate::group::{GroupCoordinator, GroupSettings};
use crate::metrics::Counters;
use crate::producer_ids::ProducerIds;
use crate::security::{Authorizer, Users};
use crate::server::Network;
use crate::store::meta::{ClusterFile, MetaStore};
use crate::topics::{OFFSETS_TOPIC, Parts, Topic, TopicError, Topics};
use crate::txn::TxnCoordinator;
use crate::wait::now_ms;
use bd_log::{Flusher, FlusherConfig};
use kafka_protocol::ResponseError as E;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A Kafka broker in process. All methods may be called from any thread.
pub struct Broker {
    config: BrokerConfig,
    cluster_id: String,
    topics: Arc<Topics>,
    groups: Arc<GroupCoordinator>,
    txns: Arc<TxnCoordinator>,
    counters: Arc<Counters>,
    authorizer: Authorizer,
    network: Arc<Network>,
    users: Arc<Users>,
    fetch_sessions: SessionCache,
    alarm: Arc<Alarm>,
    closed: AtomicBool,
    housekeeper: Mutex<Option<JoinHandle<()>>>,
    cleaner: Cleaner,
}

impl Broker {
    /// Opens the data directory, or makes it. Before this returns, logs are recovered and decided transactions completed.
    pub fn open(config: BrokerConfig) -> Result<Arc<Broker>, BrokerError> {
        config.fs.create_dir_all(&config.data_dir).map_err(|source| BrokerError::Io {
            what: "cannot create",
            path: config.data_dir.clone(),
            source,
        })?;
        let meta = MetaStore::open(Arc::clone(&config.fs), &config.data_dir)?;
        let cluster_id = cluster_id(&meta, config.cluster_id.as_deref())?;
        let authorizer = Authorizer::open(meta.clone(), &config.security)?;
        let users = Arc::new(Users::open(meta.clone(), &config.security)?);
        let counters = Arc::new(Counters::default());
        let alarm = Arc::new(Alarm::new());
        let flushes = Arc::clone(&counters);
        let observe = Box::new(move |time| flushes.flushed(time));
        let flusher = Arc::new(Flusher::start_observed(FlusherConfig::default(), observe));
        let configs = Arc::new(Configs::open(meta.clone(), &config)?);
        let topics = Arc::new(Topics::open(Parts {
            fs: Arc::clone(&config.fs),
            meta: meta.clone(),
            data_dir: config.data_dir.clone(),
            configs: Arc::clone(&configs),
            flusher,
            counters: Arc::clone(&counters),
        })?);
        let settings = GroupSettings {
            partitions: config.offsets_partitions,
            initial_rebalance_delay_ms: config.group_initial_rebalance_delay_ms,
            min_session_timeout_ms: config.group_min_session_timeout_ms,
            max_session_timeout_ms: config.group_max_session_timeout_ms,
            max_size: config.group_max_size,
            consumer_max_size: config.group_consumer_max_size,
            consumer_session_timeout_ms: config.group_consumer_session_timeout_ms,
            consumer_heartbeat_interval_ms: config.group_consumer_heartbeat_interval_ms,
            migration_policy: config.group_consumer_migration_policy,
            max_metadata_bytes: config.offset_metadata_max_bytes,
            offsets_retention_ms: config.offsets_retention_ms,
        };
        let groups = Arc::new(GroupCoordinator::new(Arc::clone(&topics), Arc::clone(&alarm), settings));
        let txns = Arc::new(TxnCoordinator::new(
            Arc::clone(&topics),
            Arc::clone(&groups),
            Arc::clone(&alarm),
            ProducerIds::open(meta)?,
            &config,
        ));
        let unreadable = |what: &str| {
            let path = config.data_dir.join(what);
            move |e: crate::internal_log::ReplayError| BrokerError::Damaged { path, reason: e.to_string() }
        };
        groups.load().map_err(unreadable(OFFSETS_TOPIC))?;
        txns.load().map_err(unreadable(crate::topics::TXN_TOPIC))?;
        txns.recover().map_err(|code| BrokerError::Refused {
            what: "cannot complete the transactions that the last run left".into(),
            code,
        })?;
        let fetch_sessions = SessionCache::new(config.fetch_session_slots);
        let network = Arc::new(Network::new(
            config.max_connections,
            config.max_connections_per_ip,
            config.queued_max_request_bytes,
        ));
        let cleaner = Cleaner::start(&topics, configs).map_err(BrokerError::Thread)?;
        let broker = Arc::new(Broker {
            cleaner,
            config,
            cluster_id,
            topics,
            groups,
            txns,
            counters,
            authorizer,
            network,
            users,
            fetch_sessions,
            alarm,
            closed: AtomicBool::new(false),
            housekeeper: Mutex::new(None),
        });
        let weak = Arc::downgrade(&broker);
        let alarm = Arc::clone(&broker.alarm);
        let retention = broker.config.maintenance_interval.as_millis() as i64;
        let offsets = broker.config.offsets_check_interval.as_millis() as i64;
        let thread = std::thread::Builder::new().name("bd-broker".into()).spawn(move || {
            let (mut next_retention, mut next_offsets) = (alarm.now() + retention, alarm.now() + offsets);
            alarm.at(Some(next_retention.min(next_offsets)));
            while alarm.wait() {
                let Some(broker) = weak.upgrade() else { return };
                broker.groups.tick();
                broker.txns.tick();
                if alarm.now() >= next_offsets {
                    broker.groups.maintain();
                    next_offsets = alarm.now() + offsets;
                }
                if alarm.now() >= next_retention {
                    broker.maintain_logs();
                    next_retention = alarm.now() + retention;
                }
                alarm.at(Some(next_retention.min(next_offsets)));
            }
        });
        *broker.housekeeper.lock() = Some(thread.map_err(BrokerError::Thread)?);
        Ok(broker)
    }

    /// The settings it was opened with.
    pub fn config(&self) -> &BrokerConfig {
        &self.config
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The topics.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The configs of the broker and of groups, and the defaults of topics.
    pub(crate) fn configs(&self) -> &Arc<Configs> {
        self.topics.broker_configs()
    }

    /// The consumer groups.
    pub fn groups(&self) -> &Arc<GroupCoordinator> {
        &self.groups
    }

    /// The transactions.
    pub fn txns(&self) -> &Arc<TxnCoordinator> {
        &self.txns
    }

    /// Who may do what.
    pub fn authorizer(&self) -> &Authorizer {
        &self.authorizer
    }

    /// What compaction does.
    pub fn cleaner_snapshot(&self) -> CleanerSnapshot {
        self.cleaner.snapshot()
    }

    /// What its listeners share.
    pub(crate) fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// Who may log in.
    pub fn users(&self) -> &Arc<Users> {
        &self.users
    }

    /// The sessions of Fetch.
    pub(crate) fn fetch_sessions(&self) -> &SessionCache {
        &self.fetch_sessions
    }

    /// The same, to keep.
    pub(crate) fn shared_counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The topic of that name, created with the defaults where that is enabled and `create` is set.
    pub fn topic_or_create(&self, name: &str, create: bool) -> Result<Arc<Topic>, TopicError> {
        if let Some(topic) = self.topics.get(name) {
            return Ok(topic);
        }
        if !create || !self.config.auto_create_topics || crate::topics::is_internal(name) {
            // An invalid name is told apart from one that is only not there.
            crate::topics::name::check(name)?;
            return Err(TopicError::unknown());
        }
        match self.topics.create(name, self.config.num_partitions, BTreeMap::new()) {
            // Somebody else was faster.
            Err(error) if error.code() == E::TopicAlreadyExists => self.topics.get(name).ok_or(error),
            other => other,
        }
    }

    /// Changed defaults reach the logs and the cleaner.
    ///
    /// # Errors
    /// [`TopicError`]: a log could not take them.
    pub(crate) fn apply_defaults(&self) -> Result<(), TopicError> {
        self.topics.apply_defaults()?;
        self.cleaner.wake();
        Ok(())
    }

    /// Does at once what runs on its own every [`BrokerConfig::maintenance_interval`] and
    /// [`BrokerConfig::offsets_check_interval`].
    pub fn maintain(&self) {
        self.groups.maintain();
        self.maintain_logs();
    }

    /// Applies retention, expires transactional ids, has logs rest that nobody uses.
    fn maintain_logs(&self) {
        self.txns.maintain();
        for partition in self.topics.all().iter().flat_map(|t| t.partitions()) {
            if let Err(error) = partition.log().apply_retention(now_ms())
                && !partition.is_deleted()
            {
                tracing::warn!(?partition, %error, "cannot apply retention");
            }
            if let Err(error) = partition.log().rest_if_unused()
                && !partition.is_deleted()
            {
                tracing::warn!(?partition, %error, "cannot let go of a log that nobody uses");
            }
        }
    }

    /// Stops: everything appended is made durable and the logs are marked as clean, so that the next start is quick.
    pub fn close(&self) -> Result<(), BrokerError> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.alarm.stop();
        self.cleaner.stop();
        if let Some(thread) = self.housekeeper.lock().take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
        let result = self.topics.close();
        self.cleaner.join();
        if let Err(error) = self.topics.note_resting() {
            tracing::warn!(%error, "the next start looks into all logs");
        }
        result
    }

    /// Whether [`Broker::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "closing");
        }
    }
}

/// The id of an existing cluster, or a new one: 22 characters like Kafka's.
fn cluster_id(meta: &MetaStore, wanted: Option<&str>) -> Result<String, BrokerError> {
    const FILE: &str = "cluster.json";
    if let Some(file) = meta.load::<ClusterFile>(FILE)? {
        return Ok(file.cluster_id);
    }
    let cluster_id =
        wanted.map_or_else(|| uuid::Uuid::new_v4().simple().to_string()[..22].to_owned(), str::to_owned);
    meta.store(FILE, &ClusterFile { cluster_id: cluster_id.clone() })?;
    Ok(cluster_id)
}
