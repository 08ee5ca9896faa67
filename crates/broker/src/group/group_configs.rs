//! Configs of single groups (Kafka's resource type GROUP), kept in `meta/groups.json`.

use crate::error::BrokerError;
use crate::store::meta::MetaStore;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const FILE: &str = "groups.json";

/// How long a member may be silent.
pub const SESSION_TIMEOUT: &str = "consumer.session.timeout.ms";
/// How often members report.
pub const HEARTBEAT_INTERVAL: &str = "consumer.heartbeat.interval.ms";

/// The bounds that `group.consumer.{min,max}.session.timeout.ms` have by default.
const SESSION_BOUNDS: std::ops::RangeInclusive<i32> = 45_000..=60_000;
/// The bounds that `group.consumer.{min,max}.heartbeat.interval.ms` have by default.
const HEARTBEAT_BOUNDS: std::ops::RangeInclusive<i32> = 5_000..=15_000;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct GroupsFile {
    configs: BTreeMap<String, BTreeMap<String, String>>,
}

/// See the module's documentation.
pub struct GroupConfigs {
    meta: MetaStore,
    /// Held while the file changes.
    writer: Mutex<()>,
    file: RwLock<GroupsFile>,
}

impl GroupConfigs {
    pub(crate) fn open(meta: MetaStore) -> Result<Self, BrokerError> {
        let file = meta.load(FILE)?.unwrap_or_default();
        Ok(Self { meta, writer: Mutex::new(()), file: RwLock::new(file) })
    }

    /// The configs that are set for a group.
    pub fn get(&self, group: &str) -> BTreeMap<String, String> {
        self.file.read().configs.get(group).cloned().unwrap_or_default()
    }

    /// The groups for which configs are set.
    pub fn groups(&self) -> Vec<String> {
        self.file.read().configs.keys().cloned().collect()
    }

    fn number(&self, group: &str, key: &str) -> Option<i32> {
        self.file.read().configs.get(group)?.get(key)?.parse().ok()
    }

    /// `consumer.session.timeout.ms` where it is set.
    pub fn session_ms(&self, group: &str) -> Option<i32> {
        self.number(group, SESSION_TIMEOUT)
    }

    /// `consumer.heartbeat.interval.ms` where it is set.
    pub fn heartbeat_ms(&self, group: &str) -> Option<i32> {
        self.number(group, HEARTBEAT_INTERVAL)
    }

    /// Sets configs (`None` removes one); durable and in force when this returns. `Err` says in words what is wrong with a value
    /// (INVALID_CONFIG).
    pub fn alter(
        &self,
        group: &str,
        changes: &[(String, Option<String>)],
        only_check: bool,
    ) -> Result<Result<(), String>, BrokerError> {
        let _writing = self.writer.lock();
        let mut next = self.file.read().clone();
        let configs = next.configs.entry(group.to_owned()).or_default();
        for (key, value) in changes {
            match value {
                Some(value) => {
                    if let Err(reason) = check(key, value) {
                        return Ok(Err(reason));
                    }
                    configs.insert(key.clone(), value.clone());
                }
                None => {
                    configs.remove(key);
                }
            }
        }
        if configs.is_empty() {
            next.configs.remove(group);
        }
        if !only_check {
            self.meta.store(FILE, &next)?;
            *self.file.write() = next;
        }
        Ok(Ok(()))
    }
}

/// What is wrong with a config of a group, in words.
pub(crate) fn check(key: &str, value: &str) -> Result<(), String> {
    let bounds = match key {
        SESSION_TIMEOUT => SESSION_BOUNDS,
        HEARTBEAT_INTERVAL => HEARTBEAT_BOUNDS,
        _ => return Err(format!("Unknown group config name: {key}")),
    };
    let number: i32 = value
        .trim()
        .parse()
        .map_err(|_| format!("Invalid value {value} for configuration {key}: Not a number of type INT"))?;
    if number < *bounds.start() {
        return Err(format!("{key} must be greater than or equal to group.{}", bound(key, "min")));
    }
    if number > *bounds.end() {
        return Err(format!("{key} must be less than or equal to group.{}", bound(key, "max")));
    }
    Ok(())
}

/// `consumer.session.timeout.ms` -> `consumer.min.session.timeout.ms`
fn bound(key: &str, which: &str) -> String {
    key.replacen("consumer.", &format!("consumer.{which}."), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bd_log::RealFs;
    use std::sync::Arc;

    #[test]
    fn configs_of_groups_are_checked_and_kept_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let open = || GroupConfigs::open(MetaStore::open(Arc::new(RealFs), dir.path()).unwrap()).unwrap();
        let set = |key: &str, value: &str| vec![(key.to_owned(), Some(value.to_owned()))];
        let configs = open();
        for (key, value) in
            [(SESSION_TIMEOUT, "1"), (HEARTBEAT_INTERVAL, "15001"), (SESSION_TIMEOUT, "x"), ("other", "1")]
        {
            assert!(configs.alter("g", &set(key, value), false).unwrap().is_err(), "{key} {value}");
        }
        configs.alter("g", &set(SESSION_TIMEOUT, "50000"), true).unwrap().unwrap();
        assert_eq!(configs.session_ms("g"), None);
        configs.alter("g", &set(SESSION_TIMEOUT, "50000"), false).unwrap().unwrap();
        assert_eq!((open().session_ms("g"), open().heartbeat_ms("g")), (Some(50_000), None));
        open().alter("g", &[(SESSION_TIMEOUT.to_owned(), None)], false).unwrap().unwrap();
        assert!(open().groups().is_empty());
    }
}
