//! Broker settings under Kafka's names. Those that are defaults of topic configs are in [`super::topic`].

mod moot;
mod table;

use super::def::{ConfigError, Kind, Rule, canonical};
use super::topic::{LogField, TOPIC_CONFIGS, TopicConfig};
use crate::config::BrokerConfig;
pub(crate) use table::{BROKER_SETTINGS, CLEANER_BACKOFF};

/// One broker setting.
pub(crate) struct BrokerSetting {
    pub name: &'static str,
    pub kind: Kind,
    pub rule: Rule,
    /// Kafka's default; `None`: null.
    pub default: Option<&'static str>,
    /// Whether AlterConfigs may change it.
    pub dynamic: bool,
    /// What the broker was started with, where that is a field of [`BrokerConfig`].
    pub get: Option<fn(&BrokerConfig) -> String>,
    /// Sets the field from a checked value.
    pub set: Option<fn(&mut BrokerConfig, &str)>,
    /// The same where it is a setting of all logs.
    pub log: Option<LogField>,
    pub doc: &'static str,
}

/// A broker setting, of either table.
#[derive(Clone, Copy)]
pub(crate) enum Found {
    Own(&'static BrokerSetting),
    /// The default of a topic config, with the ms of its unit; the elder names (of another unit) are read-only.
    Topic(&'static TopicConfig, &'static str, i64),
}

impl Found {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Found::Own(setting) => setting.name,
            Found::Topic(_, name, _) => name,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Found::Own(setting) => setting.kind,
            Found::Topic(config, _, 1) => config.kind,
            Found::Topic(..) => Kind::Int,
        }
    }

    pub(crate) fn doc(&self) -> &'static str {
        match self {
            Found::Own(setting) => setting.doc,
            Found::Topic(config, ..) => config.doc,
        }
    }

    pub(crate) fn is_dynamic(&self) -> bool {
        match self {
            Found::Own(setting) => setting.dynamic,
            Found::Topic(_, _, unit) => *unit == 1,
        }
    }

    /// Kafka's default: where a topic config has several names, the one with the greatest unit holds it.
    pub(crate) fn default(&self) -> Option<String> {
        match self {
            Found::Own(setting) => setting.default.map(str::to_owned),
            Found::Topic(config, name, unit) => {
                // Null in Kafka, which then asks another setting.
                if *name == "log.flush.interval.ms" {
                    return None;
                }
                let holds = config.broker.last().is_some_and(|(last, _)| last == name);
                let value = holds.then_some(config.default)?;
                let number = value.parse::<i64>().ok().filter(|_| *unit > 1);
                Some(number.map_or_else(|| value.to_owned(), |n| (n / unit).to_string()))
            }
        }
    }

    /// Checks a value.
    pub(crate) fn check(&self, value: &str) -> Result<String, ConfigError> {
        match self {
            Found::Own(setting) => canonical(setting.name, setting.kind, setting.rule, value),
            Found::Topic(config, name, 1) => canonical(name, config.kind, config.rule, value),
            Found::Topic(_, name, _) => canonical(name, Kind::Int, Rule::AtLeast(-1), value),
        }
    }
}

/// All broker settings.
pub(crate) fn all() -> impl Iterator<Item = Found> {
    let of_topics = TOPIC_CONFIGS
        .iter()
        .flat_map(|config| config.broker.iter().map(move |(name, unit)| Found::Topic(config, name, *unit)));
    BROKER_SETTINGS.iter().chain(moot::SETTINGS).map(Found::Own).chain(of_topics)
}

/// The broker setting of that name.
pub(crate) fn find(name: &str) -> Option<Found> {
    all().find(|found| found.name() == name)
}

impl BrokerConfig {
    /// Sets a broker setting by Kafka's name, such as `log.retention.ms`; names and rules are Kafka's.
    ///
    /// # Errors
    /// [`ConfigError`]: the name is not known, the value breaks its rule, or it cannot be chosen here.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        let found = find(name)
            .ok_or_else(|| ConfigError::new(name, format!("Unknown broker config name: {name}")))?;
        let value = found.check(value)?;
        match found {
            Found::Own(BrokerSetting { set: Some(set), .. }) => set(self, &value),
            Found::Own(BrokerSetting { log: Some(field), .. }) => (field.set)(&mut self.log, &value),
            Found::Own(BrokerSetting { get: Some(get), .. }) if get(self) != value => {
                let only = get(self);
                let reason = format!("Invalid value {value} for configuration {name}: it is {only} here");
                return Err(ConfigError::new(name, reason));
            }
            _ => {}
        }
        self.properties.insert(name.to_owned(), value);
        Ok(())
    }

    /// The names that [`BrokerConfig::set`] knows, with one line on each, by name.
    pub fn settings() -> Vec<(&'static str, &'static str)> {
        let mut names: Vec<_> = all().map(|found| (found.name(), found.doc())).collect();
        names.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn names_are_there_once_and_defaults_pass_their_own_rules() {
        let names = BrokerConfig::settings();
        assert!(names.windows(2).all(|w| w[0].0 != w[1].0), "{names:?}");
        for found in all().filter(|f| f.name() != "broker.id") {
            if let Some(default) = found.default() {
                assert_eq!(found.check(&default).as_deref(), Ok(default.as_str()), "{}", found.name());
            }
        }
        assert_eq!(find("log.retention.hours").and_then(|f| f.default()).as_deref(), Some("168"));
        assert_eq!(find("log.retention.ms").and_then(|f| f.default()), None);
    }

    #[test]
    fn settings_reach_their_fields_and_wrong_ones_are_refused_by_name() {
        let mut config = BrokerConfig::new("/x");
        config.set("num.partitions", "7").unwrap();
        config.set("log.retention.check.interval.ms", "50").unwrap();
        assert_eq!((config.num_partitions, config.maintenance_interval), (7, Duration::from_millis(50)));
        let refused = |name: &str, value: &str| BrokerConfig::new("/x").set(name, value).unwrap_err().reason;
        assert_eq!(refused("foo", "1"), "Unknown broker config name: foo");
        assert_eq!(
            refused("num.partitions", "0"),
            "Invalid value 0 for configuration num.partitions: Value must be at least 1"
        );
        assert!(refused("default.replication.factor", "3").contains("it is 1 here"));
    }
}
