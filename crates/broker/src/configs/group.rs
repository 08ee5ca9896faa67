//! Configs of consumer groups (KIP-848): what a group may have other than the broker's defaults.

use super::Values;
use super::def::{ConfigError, Kind, Rule, canonical};

/// One config of groups.
pub(crate) struct GroupConfig {
    pub name: &'static str,
    /// The broker setting that holds for groups without a value of their own.
    pub broker: &'static str,
    /// Kafka's default, and the bounds that Kafka's broker settings have by default.
    pub default: i64,
    pub least: (&'static str, i64),
    pub most: (&'static str, i64),
    pub doc: &'static str,
}

/// All of them, by name.
pub(crate) static GROUP_CONFIGS: &[GroupConfig] = &[
    GroupConfig {
        name: "consumer.heartbeat.interval.ms",
        broker: "group.consumer.heartbeat.interval.ms",
        default: 5_000,
        least: ("group.consumer.min.heartbeat.interval.ms", 5_000),
        most: ("group.consumer.max.heartbeat.interval.ms", 15_000),
        doc: "How often members of a consumer group send heartbeats.",
    },
    GroupConfig {
        name: "consumer.session.timeout.ms",
        broker: "group.consumer.session.timeout.ms",
        default: 45_000,
        least: ("group.consumer.min.session.timeout.ms", 45_000),
        most: ("group.consumer.max.session.timeout.ms", 60_000),
        doc: "After how long without a heartbeat a member of a consumer group is out.",
    },
];

/// The config of that name.
pub(crate) fn find(name: &str) -> Option<&'static GroupConfig> {
    GROUP_CONFIGS.iter().find(|c| c.name == name)
}

/// Checks the configs that a group shall have.
pub(crate) fn check_all(configs: &Values) -> Result<Values, ConfigError> {
    let mut checked = Values::new();
    for (name, value) in configs {
        let unknown = || ConfigError::new(name, format!("Unknown group config name: {name}"));
        let config = find(name).ok_or_else(unknown)?;
        let value = canonical(name, Kind::Int, Rule::AtLeast(1), value)?;
        let number = value.parse::<i64>().unwrap_or(0);
        let wrong = |how: &str, bound: &str| {
            Err(ConfigError::new(name, format!("{name} must be {how} than or equal to {bound}")))
        };
        if number < config.least.1 {
            return wrong("greater", config.least.0);
        }
        if number > config.most.1 {
            return wrong("less", config.most.0);
        }
        checked.insert(name.clone(), value);
    }
    Ok(checked)
}
