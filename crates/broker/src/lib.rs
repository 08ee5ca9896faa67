//! A single-node Kafka broker over [`bd_log`], with or without sockets.
//!
//! ```text
//!  Kafka clients ──TCP──▶ server ─▶ api ─┐
//!                                        ├─▶ Broker ─┬─ topics, produce, fetch ─▶ one bd_log::Log for each partition
//!  in process (bd-cluster-embedded) ─────┘           ├─ group: consumer groups ──▶ __consumer_offsets
//!                                                    └─ txn: transactions ───────▶ __transaction_state
//! ```
//! * [`Broker`] is the core: thread-safe and without sockets; what must be durable is acknowledged by a callback after the fsync
//!   that all partitions and connections share (group commit).
//! * [`server::serve`] speaks the Kafka protocol on a listener. Record batches pass through as bytes, in both directions.
//! * [`security`]: TLS, SASL, users, ACLs. Off by default: then put it on loopback or a private network.
//! * It does not replicate.
//!
//! # On disk
//! ```text
//! <data_dir>/
//!   meta/cluster.json         the cluster's id                       ┐ replaced atomically: written beside,
//!   meta/topics.json          topics: id, partitions, configs        │ fsynced, renamed, folder fsynced
//!   meta/configs.json         configs that were set at run time      │
//!   meta/producer-ids.json    producer ids given out so far          │
//!   meta/acls.json            rules of who may do what               │
//!   meta/users.json           SCRAM credentials (mode 0600)          ┘
//!   meta/topics.log           changes since topics.json, one line each, fsynced
//!   <topic>-<partition>/      one bd_log::Log
//!   __consumer_offsets-<n>/   committed offsets and groups, Kafka's own record format
//!   __transaction_state-<n>/  transactional ids, Kafka's own record format
//!   <uuid>-delete/            a deleted partition on its way out
//! ```
//! A topic exists from the moment its line in `topics.log` is durable. After a crash at any instant the next start cuts torn writes
//! off the logs, completes transactions whose outcome was decided and aborts those that nobody remembers.
//!
//! # Example
//! ```
//! use bd_broker::{Broker, BrokerConfig};
//! let dir = tempfile::tempdir()?;
//! let broker = Broker::open(BrokerConfig::new(dir.path()))?;
//! broker.topics().create("events", 2, Default::default())?;
//! assert_eq!(broker.topics().get("events").map(|t| t.partition_count()), Some(2));
//! broker.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alarm;
mod api;
mod broker;
mod cleaner;
mod config;
mod configs;
mod error;
mod fetch;
pub mod group;
mod internal_log;
mod metrics;
mod partition;
mod produce;
mod producer_ids;
pub mod security;
pub mod server;
mod store;
mod topics;
pub mod txn;
mod validate;
mod wait;
mod wire;

pub use broker::Broker;
pub use cleaner::CleanerSnapshot;
pub use config::{BrokerConfig, Endpoint};
pub use configs::def::{ConfigChange, ConfigError, ConfigOp};
pub use error::{BrokerError, code_of};
pub use kafka_protocol::ResponseError;
pub use kafka_protocol::messages::ApiKey;
pub use metrics::{
    ApiSnapshot, Coordinated, Counters, CountersSnapshot, FetchSessionsSnapshot, GroupsSnapshot,
    HistogramSnapshot, LagSnapshot, LogsSnapshot, PartitionSnapshot, TIME_BUCKETS_US, TopicSnapshot,
    error_name,
};
pub use partition::{LEADER_EPOCH, Partition};
pub use produce::{PartitionRecords, ProduceCall, Produced};
pub use topics::{NewTopic, OFFSETS_TOPIC, TXN_TOPIC, Topic, TopicError, Topics, is_internal};
pub use txn::{ProducerIdentity, TxnVersion};
pub use wait::Signal;
