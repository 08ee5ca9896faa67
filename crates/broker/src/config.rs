//! What a broker is told when it starts.

use crate::group::MigrationPolicy;
use crate::security::SecurityConfig;
use bd_log::{Fs, LogConfig, RealFs};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// An address that clients are told to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A host name or address that clients can resolve.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The settings of a broker. Names and defaults are Kafka's where it has them, unless the text says otherwise.
#[derive(Clone)]
pub struct BrokerConfig {
    /// `node.id`.
    pub node_id: i32,
    /// Where everything is stored. One broker at a time: the caller sees to it.
    pub data_dir: PathBuf,
    /// The cluster's id for a new `data_dir`; a random one where `None`. An existing directory keeps its own.
    pub cluster_id: Option<String>,
    /// `auto.create.topics.enable`: asking for a topic's metadata creates it.
    pub auto_create_topics: bool,
    /// `delete.topic.enable`: whether clients may delete topics.
    pub delete_topics: bool,
    /// `num.partitions` of topics created without a number.
    pub num_partitions: i32,
    /// The defaults that topic configs override. Retention is off by default, other than Kafka's seven days: records often carry
    /// the time of long past events, by which retention would count.
    pub log: LogConfig,
    /// Settings under Kafka's names, as [`BrokerConfig::set`] took them; defaults of topic configs such as `log.retention.ms` are
    /// only here and win over [`BrokerConfig::log`].
    pub properties: BTreeMap<String, String>,
    /// `offsets.topic.num.partitions`; 1 by default (Kafka: 50), since more logs only mean more fsyncs on one node.
    pub offsets_partitions: i32,
    /// `transaction.state.log.num.partitions`; 1 by default, as above.
    pub txn_partitions: i32,
    /// `group.initial.rebalance.delay.ms`; 0 by default, as in Kafka's configuration for development.
    pub group_initial_rebalance_delay_ms: i64,
    /// `group.min.session.timeout.ms`.
    pub group_min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub group_max_session_timeout_ms: i32,
    /// `group.max.size`: members of a classic group.
    pub group_max_size: usize,
    /// `group.consumer.max.size`: members of a group of the consumer protocol (KIP-848).
    pub group_consumer_max_size: usize,
    /// `group.consumer.session.timeout.ms`; a group's own `consumer.session.timeout.ms` goes before.
    pub group_consumer_session_timeout_ms: i32,
    /// `group.consumer.heartbeat.interval.ms`; a group's own `consumer.heartbeat.interval.ms` goes before.
    pub group_consumer_heartbeat_interval_ms: i32,
    /// `group.consumer.migration.policy`.
    pub group_consumer_migration_policy: MigrationPolicy,
    /// `offset.metadata.max.bytes`.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`, as ms: offsets that nobody uses are kept so long.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`: how often unused offsets and groups without members and offsets are looked for.
    pub offsets_check_interval: Duration,
    /// `transactional.id.expiration.ms`.
    pub transactional_id_expiration_ms: i64,
    /// `transaction.max.timeout.ms`.
    pub transaction_max_timeout_ms: i32,
    /// `log.retention.check.interval.ms`: how often retention and the expiry of transactional ids run.
    pub maintenance_interval: Duration,
    /// `log.cleaner.backoff.ms`: how often compaction looks for logs that need it.
    pub log_cleaner_backoff: Duration,
    /// `socket.request.max.bytes`.
    pub max_request_bytes: usize,
    /// `fetch.max.bytes`: the most record bytes in one answer (unless one batch alone is larger).
    pub fetch_max_bytes: usize,
    /// `num.network.threads`.
    pub network_threads: usize,
    /// `max.incremental.fetch.session.cache.slots`.
    pub fetch_session_slots: usize,
    /// `max.request.partition.size.limit`: the most partitions in one answer to DescribeTopicPartitions.
    pub max_request_partitions: i32,
    /// `queued.max.request.bytes`: the most bytes of requests above 16 KiB that are held at once; who comes with more is not
    /// read from until there is room. 128 MiB by default (Kafka: no bound).
    pub queued_max_request_bytes: usize,
    /// `max.connections`; 20 000 by default (Kafka: no bound). More wait to be accepted.
    pub max_connections: usize,
    /// `max.connections.per.ip`. More are closed at once.
    pub max_connections_per_ip: usize,
    /// `connections.max.idle.ms`.
    pub connection_max_idle: Duration,
    /// Who may log in and do what.
    pub security: SecurityConfig,
    /// The file system.
    pub fs: Arc<dyn Fs>,
}

impl BrokerConfig {
    /// The defaults, for `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            node_id: 1,
            data_dir: data_dir.into(),
            cluster_id: None,
            auto_create_topics: true,
            delete_topics: true,
            num_partitions: 1,
            log: LogConfig::default(),
            properties: BTreeMap::new(),
            offsets_partitions: 1,
            txn_partitions: 1,
            group_initial_rebalance_delay_ms: 0,
            group_min_session_timeout_ms: 6_000,
            group_max_session_timeout_ms: 1_800_000,
            group_max_size: i32::MAX as usize,
            group_consumer_max_size: i32::MAX as usize,
            group_consumer_session_timeout_ms: 45_000,
            group_consumer_heartbeat_interval_ms: 5_000,
            group_consumer_migration_policy: MigrationPolicy::default(),
            offset_metadata_max_bytes: 4_096,
            offsets_retention_ms: 7 * 86_400_000,
            offsets_check_interval: Duration::from_secs(600),
            transactional_id_expiration_ms: 7 * 86_400_000,
            transaction_max_timeout_ms: 900_000,
            maintenance_interval: Duration::from_secs(300),
            log_cleaner_backoff: Duration::from_secs(15),
            max_request_bytes: 100 << 20,
            fetch_max_bytes: 55 << 20,
            network_threads: 3,
            fetch_session_slots: 1_000,
            max_request_partitions: 2_000,
            queued_max_request_bytes: 128 << 20,
            max_connections: 20_000,
            max_connections_per_ip: i32::MAX as usize,
            connection_max_idle: Duration::from_secs(600),
            security: SecurityConfig::default(),
            fs: Arc::new(RealFs),
        }
    }
}

impl fmt::Debug for BrokerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerConfig")
            .field("node_id", &self.node_id)
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}
