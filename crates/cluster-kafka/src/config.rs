//! Where the cluster is and how to talk to it.

use crate::error::named;
use bd_cluster::ClusterError;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use std::collections::BTreeMap;

/// Properties on which the contract of the trait rests, so that they are not the user's to set.
const OURS: &[&str] = &[
    "acks",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "isolation.level",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "request.required.acks",
    "transactional.id",
];

/// Defaults of consumers that differ from librdkafka's; the user's properties win.
const CONSUMERS: &[(&str, &str)] = &[
    // The end of a partition is noticed when a fetch comes back empty: after this long.
    ("fetch.wait.max.ms", "50"),
    // With a queue per partition this bound holds for each of them; 64 MiB would be too much.
    ("queued.max.messages.kbytes", "8192"),
    // A full queue is drained in milliseconds; a second of waiting before the next fetch would starve the reader.
    ("fetch.queue.backoff.ms", "10"),
    ("fetch.error.backoff.ms", "100"),
];

/// Defaults of producers that differ from librdkafka's; the user's properties win.
const PRODUCERS: &[(&str, &str)] = &[
    // Back-pressure: `append` blocks while as much is on its way.
    ("queue.buffering.max.kbytes", "65536"),
    ("linger.ms", "1"),
    // The topic's own limit decides; librdkafka's 1 MB would refuse what a topic with a larger one takes.
    ("message.max.bytes", "100000000"),
];

/// The bootstrap servers and librdkafka's properties (security, compression, ...), by their names in librdkafka's
/// CONFIGURATION.md. A property that concerns only readers or only writers is ignored by the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `host:port`, several separated by commas.
    pub bootstrap: String,
    /// librdkafka's properties but for those that the trait's contract fixes.
    pub properties: BTreeMap<String, String>,
}

impl KafkaConfig {
    /// The cluster at these servers, without properties.
    pub fn new(bootstrap: impl Into<String>) -> Self {
        Self { bootstrap: bootstrap.into(), properties: BTreeMap::new() }
    }

    /// The same with one property set.
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(key.into(), value.into());
        self
    }

    /// Whether all properties are known and free to be set.
    pub(crate) fn check(&self) -> Result<(), ClusterError> {
        if let Some(key) = self.properties.keys().find(|key| OURS.contains(&key.as_str())) {
            return Err(ClusterError::InvalidConfig { key: key.clone(), reason: "is set by bd".into() });
        }
        self.client("", &[]).create_native_config().map(drop).map_err(|e| named("configuration", e))
    }

    /// The configuration that all clients share, over these defaults.
    fn client(&self, client_id: &str, defaults: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Warning);
        for (key, value) in defaults {
            config.set(*key, *value);
        }
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config.set("bootstrap.servers", &self.bootstrap).set("allow.auto.create.topics", "false");
        if !client_id.is_empty() {
            config.set("client.id", client_id);
        }
        config
    }

    /// The configuration of all consumers: offsets are the caller's.
    pub(crate) fn consumer(&self, client_id: &str) -> ClientConfig {
        let mut config = self.client(client_id, CONSUMERS);
        config
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error");
        config
    }

    /// The configuration of all producers, and of the admin client, which librdkafka makes one of them.
    pub(crate) fn producer(&self, client_id: &str) -> ClientConfig {
        self.client(client_id, PRODUCERS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_of_the_contract_cannot_be_set() {
        let result = KafkaConfig::new("localhost:1").with("enable.idempotence", "false").check();
        assert!(
            matches!(result, Err(ClusterError::InvalidConfig { key, .. }) if key == "enable.idempotence")
        );
    }

    #[test]
    fn unknown_properties_are_named() {
        let result = KafkaConfig::new("localhost:1").with("no.such.property", "1").check();
        assert!(matches!(result, Err(ClusterError::InvalidConfig { key, .. }) if key == "no.such.property"));
    }

    #[test]
    fn the_users_properties_win_over_defaults() {
        let config = KafkaConfig::new("localhost:1").with("linger.ms", "20");
        assert_eq!(config.check(), Ok(()));
        assert_eq!(config.producer("x").get("linger.ms"), Some("20"));
    }
}
