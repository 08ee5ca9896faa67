//! Configs of topics, of the broker and of groups: what is known, what was set, and what is in force.
//!
//! ```text
//!  topic's own ─▶ broker's dynamic ─▶ dynamic default of all brokers ─▶ what the broker was started with ─▶ Kafka's default
//!  topics.json    meta/configs.json                                      BrokerConfig
//! ```
//! The first that has a value is in force, as in Kafka. A change of a default reaches the logs at once.

pub(crate) mod broker;
pub(crate) mod def;
mod describe;
pub(crate) mod group;
pub(crate) mod topic;

pub(crate) use describe::{Entry, Source};

use crate::config::BrokerConfig;
use crate::error::BrokerError;
use crate::store::meta::MetaStore;
use crate::topics::TopicError;
use bd_log::LogConfig;
use broker::Found;
use def::{ConfigChange, Kind};
use kafka_protocol::ResponseError as E;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use topic::{TOPIC_CONFIGS, TopicConfig};

/// Configs that were set, by name.
pub(crate) type Values = BTreeMap<String, String>;

const FILE: &str = "configs.json";

const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

/// `meta/configs.json`: what was set while the broker ran.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ConfigsFile {
    /// By broker id; the empty one stands for all brokers.
    #[serde(default)]
    brokers: BTreeMap<String, Values>,
    #[serde(default)]
    groups: BTreeMap<String, Values>,
}

/// The configs of the broker and of groups, and the defaults of topics.
pub(crate) struct Configs {
    started_with: BrokerConfig,
    meta: MetaStore,
    set: RwLock<ConfigsFile>,
    /// Held while the file changes.
    changing: Mutex<()>,
}

/// A value that was set for a broker setting.
struct Layer {
    source: Source,
    name: &'static str,
    value: String,
    /// ms of the setting's unit.
    unit: i64,
}

impl Layer {
    /// As the topic config has it.
    fn in_ms(&self) -> String {
        match self.value.parse::<i64>() {
            Ok(n) if self.unit > 1 && n >= 0 => n.saturating_mul(self.unit).to_string(),
            _ => self.value.clone(),
        }
    }
}

impl Configs {
    /// Reads what was set in earlier runs.
    pub(crate) fn open(meta: MetaStore, config: &BrokerConfig) -> Result<Self, BrokerError> {
        let set = meta.load(FILE)?.unwrap_or_default();
        Ok(Self { started_with: config.clone(), meta, set: RwLock::new(set), changing: Mutex::new(()) })
    }

    fn me(&self) -> String {
        self.started_with.node_id.to_string()
    }

    /// `min.insync.replicas` of all brokers until it is set: a Kafka with eligible leader replicas (KIP-966) stores it at its first
    /// start, so that tools find it among what is set for all brokers.
    fn first_min_insync_replicas(&self) -> String {
        self.started_with.properties.get(MIN_INSYNC_REPLICAS).map_or_else(|| "1".to_owned(), Clone::clone)
    }

    /// What was set for a setting of these names (with the ms of their units), the one in force first.
    fn layers(&self, names: &[(&'static str, i64)]) -> Vec<Layer> {
        let set = self.set.read();
        let me = self.me();
        let of = |broker: &str| set.brokers.get(broker);
        let sources = [
            (Source::DynamicBroker, of(&me)),
            (Source::DynamicDefault, of("")),
            (Source::Static, Some(&self.started_with.properties)),
        ];
        let mut layers = Vec::new();
        for (source, values) in sources {
            for (name, unit) in names {
                let value = match values.and_then(|v| v.get(*name)) {
                    None if source == Source::DynamicDefault && *name == MIN_INSYNC_REPLICAS => {
                        self.first_min_insync_replicas()
                    }
                    None => continue,
                    Some(value) => value.clone(),
                };
                layers.push(Layer { source, name, value, unit: *unit });
            }
        }
        layers
    }

    /// The value that the broker was started with where it is in [`BrokerConfig::log`] and not Kafka's default.
    fn started_log_value(&self, config: &TopicConfig) -> Option<String> {
        let value = (config.field.as_ref()?.get)(&self.started_with.log);
        (value != config.default).then_some(value)
    }

    /// What topics without a value of their own have.
    fn topic_default(&self, config: &TopicConfig) -> String {
        let set = self.layers(config.broker).first().map(Layer::in_ms);
        set.or_else(|| self.started_log_value(config)).unwrap_or_else(|| config.default.to_owned())
    }

    /// The value in force of a topic config, for a topic with these of its own; empty for one that is not known.
    pub(crate) fn topic_value(&self, name: &str, own: &Values) -> String {
        match (own.get(name), topic::find(name)) {
            (Some(value), _) => value.clone(),
            (None, Some(config)) => self.topic_default(config),
            (None, None) => String::new(),
        }
    }

    /// The number in force of a topic config.
    pub(crate) fn topic_number(&self, name: &str, own: &Values) -> i64 {
        self.topic_value(name, own).parse().unwrap_or(0)
    }

    /// The settings of a log of a topic with these configs.
    pub(crate) fn log_config(&self, own: &Values) -> LogConfig {
        let mut log = self.started_with.log.clone();
        for config in TOPIC_CONFIGS {
            let Some(field) = &config.field else { continue };
            let value = own.get(config.name).cloned();
            if let Some(value) = value.or_else(|| self.layers(config.broker).first().map(Layer::in_ms)) {
                (field.set)(&mut log, &value);
            }
        }
        if let Some((config, value)) =
            topic::find(topic::INTERNAL_SEGMENT_BYTES).zip(own.get(topic::INTERNAL_SEGMENT_BYTES))
            && let Some(field) = &config.field
        {
            (field.set)(&mut log, value);
        }
        for setting in broker::BROKER_SETTINGS {
            if let Some(field) = &setting.log
                && let Some(layer) = self.layers(&[(setting.name, 1)]).first()
            {
                (field.set)(&mut log, &layer.value);
            }
        }
        topic::finish(&mut log, |name| self.topic_value(name, own));
        log
    }

    /// What changes make of a topic's configs; unknown ones and wrong values are refused.
    pub(crate) fn changed_topic(&self, own: &Values, changes: &[ConfigChange]) -> Result<Values, TopicError> {
        let mut after = own.clone();
        for change in changes {
            let known = topic::find(&change.key);
            let before = self.topic_value(&change.key, own);
            match change.apply(known.map(|c| c.kind), &before)? {
                Some(value) => after.insert(change.key.clone(), value),
                None => after.remove(&change.key),
            };
        }
        Ok(topic::check_all(&after)?)
    }

    /// Changes settings of the broker `name`, or of all brokers where that is empty; durable when this returns. With `whole`
    /// what is not named is taken away (AlterConfigs). The topics' logs must be told afterwards.
    pub(crate) fn alter_broker(
        &self,
        name: &str,
        changes: &[ConfigChange],
        whole: bool,
        only_check: bool,
    ) -> Result<(), TopicError> {
        self.check_broker(name)?;
        let fixed: Vec<&str> = changes
            .iter()
            .map(|c| c.key.as_str())
            .filter(|key| broker::find(key).is_some_and(|found| !found.is_dynamic()))
            .collect();
        // Taking away what cannot be there does nothing, as in Kafka.
        if changes.iter().any(|c| c.op != def::ConfigOp::Delete && fixed.contains(&c.key.as_str())) {
            let reason = format!("Cannot update these configs dynamically: [{}]", fixed.join(", "));
            return Err(TopicError::refused(E::InvalidRequest, reason));
        }
        self.alter(only_check, |file| {
            let mut after = Values::new();
            let before = file.brokers.get(name).cloned().unwrap_or_default();
            if !whole {
                after.clone_from(&before);
            }
            for change in changes {
                let found = broker::find(&change.key);
                let current = before.get(&change.key).cloned();
                let current =
                    current.or_else(|| found.and_then(|f| self.broker_value(f))).unwrap_or_default();
                match (change.apply(found.map(|f| f.kind()), &current)?, found) {
                    (Some(value), Some(found)) => {
                        let value = found
                            .check(&value)
                            .map_err(|e| TopicError::refused(E::InvalidRequest, e.reason))?;
                        after.insert(change.key.clone(), value);
                    }
                    (Some(_), None) => {
                        let reason = format!("Unknown broker config name: {}", change.key);
                        return Err(def::ConfigError::new(&change.key, reason).into());
                    }
                    (None, _) => {
                        after.remove(&change.key);
                    }
                }
            }
            put(&mut file.brokers, name, after);
            Ok(())
        })
    }

    /// Whether a resource of type broker is this one, or the default of all.
    pub(crate) fn check_broker(&self, name: &str) -> Result<(), TopicError> {
        if name.is_empty() || name == self.me() {
            return Ok(());
        }
        let reason = match name.parse::<i32>() {
            Ok(_) => format!("Unexpected broker id, expected {}, but received {name}", self.me()),
            Err(_) => format!("Node id must be an integer, but it is: {name}"),
        };
        Err(TopicError::refused(E::InvalidRequest, reason))
    }

    /// Changes the configs of a group; durable when this returns. With `whole` what is not named is taken away.
    pub(crate) fn alter_group(
        &self,
        name: &str,
        changes: &[ConfigChange],
        whole: bool,
        only_check: bool,
    ) -> Result<(), TopicError> {
        if name.is_empty() {
            let reason = "Default group resources are not allowed.";
            return Err(TopicError::refused(E::InvalidRequest, reason));
        }
        self.alter(only_check, |file| {
            let before = file.groups.get(name).cloned().unwrap_or_default();
            let mut after = if whole { Values::new() } else { before.clone() };
            for change in changes {
                let known = group::find(&change.key);
                let current = before.get(&change.key).map_or("", String::as_str);
                match change.apply(known.map(|_| Kind::Int), current)? {
                    Some(value) => after.insert(change.key.clone(), value),
                    None => after.remove(&change.key),
                };
            }
            put(&mut file.groups, name, group::check_all(&after)?);
            Ok(())
        })
    }

    /// The value of a group's config that was set for it.
    pub(crate) fn group_value(&self, group: &str, name: &str) -> Option<String> {
        self.set.read().groups.get(group)?.get(name).cloned()
    }

    /// The groups that have configs of their own.
    pub(crate) fn groups(&self) -> Vec<String> {
        self.set.read().groups.keys().cloned().collect()
    }

    /// The time between two looks of the cleaner, ms.
    pub(crate) fn cleaner_backoff_ms(&self) -> i64 {
        let value = broker::find(broker::CLEANER_BACKOFF).and_then(|found| self.broker_value(found));
        value.and_then(|ms| ms.parse().ok()).unwrap_or(15_000)
    }

    fn alter(
        &self,
        only_check: bool,
        change: impl FnOnce(&mut ConfigsFile) -> Result<(), TopicError>,
    ) -> Result<(), TopicError> {
        let _one_at_a_time = self.changing.lock();
        let mut next = self.set.read().clone();
        change(&mut next)?;
        if !only_check {
            self.meta.store(FILE, &next)?;
            *self.set.write() = next;
        }
        Ok(())
    }

    /// The value in force of a broker setting; `None`: null.
    fn broker_value(&self, found: Found) -> Option<String> {
        let set = self.layers(&[(found.name(), 1)]).into_iter().next().map(|layer| layer.value);
        set.or_else(|| self.started_value(found)).or_else(|| found.default())
    }

    /// What the broker was started with, where that is not Kafka's default.
    fn started_value(&self, found: Found) -> Option<String> {
        let value = match found {
            Found::Own(setting) => match (setting.get, &setting.log) {
                (Some(get), _) => Some(get(&self.started_with)),
                (None, Some(field)) => Some((field.get)(&self.started_with.log)),
                (None, None) => None,
            },
            Found::Topic(config, name, _) => {
                let is_first = config.broker.first().is_some_and(|(first, _)| *first == name);
                is_first.then(|| self.started_log_value(config)).flatten()
            }
        };
        value.filter(|value| found.default().as_ref() != Some(value))
    }
}

fn put(all: &mut BTreeMap<String, Values>, name: &str, values: Values) {
    if values.is_empty() {
        all.remove(name);
    } else {
        all.insert(name.to_owned(), values);
    }
}
