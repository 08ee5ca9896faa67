//! The topics that a source writes to: found, or created by `topic.creation.*` (KIP-158).

use super::Failure;
use crate::sdk::{Config, ConfigError};
use crate::store::ensure_topic;
use bd_cluster::{Cluster, NewTopic};
use regex::Regex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A group of topics with its settings.
struct Group {
    include: Vec<Regex>,
    exclude: Vec<Regex>,
    settings: Settings,
}

#[derive(Debug, Clone, Default)]
struct Settings {
    partitions: Option<i32>,
    replication_factor: Option<i16>,
    configs: BTreeMap<String, String>,
}

/// Knows the topics that were written to.
pub(super) struct Topics {
    groups: Vec<Group>,
    default: Settings,
    replication_factor: i16,
    /// Topics and their numbers of partitions.
    known: HashMap<Arc<str>, i32>,
}

/// More topics than this are asked for again.
const KNOWN: usize = 10_000;

impl Topics {
    /// # Errors
    /// A `topic.creation` key that does not fit.
    pub(super) fn new(config: &Config, replication_factor: i16) -> Result<Self, ConfigError> {
        let group = |name: &&str| -> Result<Group, ConfigError> {
            let regexes = |key: &str| -> Result<Vec<Regex>, ConfigError> {
                let key = format!("topic.creation.{name}.{key}");
                let one = |pattern: &str| {
                    Regex::new(&format!("^(?:{pattern})$")).map_err(|e| ConfigError::new(&key, e.to_string()))
                };
                config.list(&key).into_iter().map(one).collect()
            };
            Ok(Group {
                include: regexes("include")?,
                exclude: regexes("exclude")?,
                settings: settings(config, name)?,
            })
        };
        let groups = config.list("topic.creation.groups");
        Ok(Self {
            groups: groups.iter().filter(|g| **g != "default").map(group).collect::<Result<_, _>>()?,
            default: settings(config, "default")?,
            replication_factor,
            known: HashMap::new(),
        })
    }

    /// The number of a topic's partitions; the topic is there afterwards.
    pub(super) fn partitions(&mut self, cluster: &dyn Cluster, topic: &Arc<str>) -> Result<i32, Failure> {
        if let Some(count) = self.known.get(topic) {
            return Ok(*count);
        }
        let is = |of: &[Regex]| of.iter().any(|r| r.is_match(topic));
        let group = self.groups.iter().find(|g| is(&g.include) && !is(&g.exclude)).map(|g| &g.settings);
        let pick = |get: fn(&Settings) -> Option<i32>| group.and_then(get).or(get(&self.default));
        let new = NewTopic {
            name: topic.to_string(),
            // -1 is the cluster's default, which creation by bd does not ask for.
            partitions: pick(|s| s.partitions).filter(|p| *p > 0).unwrap_or(1),
            replication_factor: pick(|s| s.replication_factor.map(i32::from))
                .and_then(|r| i16::try_from(r).ok())
                .unwrap_or(self.replication_factor),
            configs: group.map_or_else(|| self.default.configs.clone(), |g| g.configs.clone()),
        };
        let count = ensure_topic(cluster, &new)?;
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        self.known.insert(Arc::clone(topic), count);
        Ok(count)
    }
}

fn settings(config: &Config, group: &str) -> Result<Settings, ConfigError> {
    let prefix = format!("topic.creation.{group}.");
    let mut settings = Settings::default();
    let own = config.values().iter().filter_map(|(k, v)| Some((k, k.strip_prefix(&prefix)?, v)));
    for (whole, key, value) in own {
        match key {
            "partitions" => settings.partitions = Some(config.number(whole)?),
            "replication.factor" => settings.replication_factor = Some(config.number(whole)?),
            "include" | "exclude" => {}
            _ => drop(settings.configs.insert(key.to_owned(), value.clone())),
        }
    }
    Ok(settings)
}
