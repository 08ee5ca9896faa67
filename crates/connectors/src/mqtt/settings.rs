//! The keys of the MQTT source and what they mean.

use super::pattern::KeyPattern;
use bd_connect::sdk::{Config, ConfigDef, ConfigError, ConfigKey, ConfigType};
use std::time::Duration;

/// The keys, with their defaults.
pub(super) fn config_def() -> ConfigDef {
    use ConfigType::{Boolean, Int, List, Password, String};
    let optional = ConfigKey::optional;
    ConfigDef {
        keys: vec![
            ConfigKey::required(
                "mqtt.server.uri",
                List,
                "The brokers, as tcp://host:port; the first that answers is used.",
            ),
            ConfigKey::required("mqtt.topics", List, "The topic filters to subscribe to; + and # are wildcards."),
            ConfigKey::required("kafka.topic", String, "The topic to write to."),
            optional(
                "mqtt.qos",
                Int,
                "0",
                "The quality of service of the subscription. 2 with mqtt.clean.session.enabled=false writes every message \
                 exactly once; 1 writes it at least once; 0 as it comes.",
            )
            .one_of(&["0", "1", "2"]),
            optional(
                "mqtt.clean.session.enabled",
                Boolean,
                "true",
                "Start without a session and leave none. With false the broker keeps messages while the connector is away.",
            ),
            optional("mqtt.username", String, "", "The username, where the broker asks for one."),
            optional("mqtt.password", Password, "", "The password."),
            optional(
                "mqtt.connect.timeout.seconds",
                Int,
                "30",
                "How long to wait for a connection and for the broker's answers.",
            ),
            optional(
                "mqtt.keepalive.interval.seconds",
                Int,
                "60",
                "The broker and the connector hear of each other at least so often.",
            ),
            optional(
                "mqtt.client.id",
                String,
                "",
                "The client identifier. It names the session at the broker, so it must not change and no one else may use it. \
                 By default bd-<connector>-<task>. (A key of bd's.)",
            ),
            optional(
                "mqtt.key.pattern",
                String,
                "",
                "Where the record's key is in the MQTT topic, as in tv/{device_id}/actions. Without, and for topics that do not \
                 fit, the key is the MQTT topic. (A key of bd's.)",
            ),
            optional(
                "mqtt.headers.enabled",
                Boolean,
                "true",
                "Write mqtt.topic, mqtt.message.id, mqtt.qos, mqtt.retained and mqtt.duplicate as headers. (A key of bd's.)",
            ),
            optional(
                "mqtt.max.message.bytes",
                Int,
                "1000000",
                "Messages with a longer payload are bad input; their start goes to the dead-letter topic. A log takes batches of about \
                 1 MiB by default. (A key of bd's.)",
            ),
        ],
        // Where Confluent's connector keeps its licence: configurations made for it have these.
        prefixes: vec!["confluent."],
    }
}

/// A broker's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// A name or an address.
    pub(super) host: String,
    /// The port.
    pub(super) port: u16,
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let brackets = self.host.contains(':');
        let (open, close) = if brackets { ("[", "]") } else { ("", "") };
        write!(f, "tcp://{open}{}{close}:{}", self.host, self.port)
    }
}

/// The configuration of a task.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) servers: Vec<Server>,
    pub(super) filters: Vec<String>,
    pub(super) topic: String,
    pub(super) qos: u8,
    pub(super) clean_session: bool,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) connect_timeout: Duration,
    pub(super) keep_alive: u16,
    pub(super) client_id: String,
    pub(super) key: Option<KeyPattern>,
    pub(super) headers: bool,
    pub(super) max_message: usize,
}

impl Settings {
    /// Reads the configuration of a task of a connector.
    ///
    /// # Errors
    /// A value that does not fit.
    pub(super) fn read(config: &Config, connector: &str, task: usize) -> Result<Self, ConfigError> {
        let client_id =
            config.get("mqtt.client.id").map_or_else(|| format!("bd-{connector}-{task}"), str::to_owned);
        let (username, password) = (config.get("mqtt.username"), config.get("mqtt.password"));
        if password.is_some() && username.is_none() {
            return Err(ConfigError::new("mqtt.username", "must be set where mqtt.password is"));
        }
        for (key, text) in [
            ("mqtt.client.id", Some(client_id.as_str())),
            ("mqtt.username", username),
            ("mqtt.password", password),
        ] {
            if text.is_some_and(|t| t.len() > usize::from(u16::MAX) || t.contains('\0')) {
                return Err(ConfigError::new(key, "must have at most 65535 bytes and no zero byte"));
            }
        }
        let key = config.get("mqtt.key.pattern").map(KeyPattern::parse).transpose();
        Ok(Self {
            servers: servers(config)?,
            filters: filters(config)?,
            topic: config.text("kafka.topic")?.to_owned(),
            qos: within(config, "mqtt.qos", 0, 2)?,
            clean_session: config.boolean("mqtt.clean.session.enabled")?,
            username: username.map(str::to_owned),
            password: password.map(str::to_owned),
            connect_timeout: Duration::from_secs(within(config, "mqtt.connect.timeout.seconds", 1, 3600)?),
            keep_alive: within(config, "mqtt.keepalive.interval.seconds", 1, u16::MAX)?,
            client_id,
            key: key.map_err(|reason| ConfigError::new("mqtt.key.pattern", reason))?,
            headers: config.boolean("mqtt.headers.enabled")?,
            max_message: within(config, "mqtt.max.message.bytes", 1, 268_435_455)?,
        })
    }
}

fn within<T>(config: &Config, key: &str, least: T, most: T) -> Result<T, ConfigError>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let value: T = config.number(key)?;
    if value < least || value > most {
        return Err(ConfigError::new(key, format!("invalid value {value}: must be within {least}..={most}")));
    }
    Ok(value)
}

fn servers(config: &Config) -> Result<Vec<Server>, ConfigError> {
    let key = "mqtt.server.uri";
    config.text(key)?;
    config
        .list(key)
        .into_iter()
        .map(|uri| server(uri).map_err(|reason| ConfigError::new(key, reason)))
        .collect()
}

fn server(uri: &str) -> Result<Server, String> {
    let rest = match uri.split_once("://") {
        Some(("tcp" | "mqtt", rest)) => rest,
        Some((scheme @ ("ssl" | "tls" | "mqtts"), _)) => {
            return Err(format!(
                "{scheme}:// is not supported yet: use tcp://, over a tunnel where it leaves the host"
            ));
        }
        _ => return Err(format!("{uri} is no address of a broker: expected tcp://host:port")),
    };
    let rest = rest.trim_end_matches('/');
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            (host, port.parse().map_err(|_| format!("{uri} has no valid port: expected tcp://host:port"))?)
        }
        _ => (rest, 1883),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || host.contains(['/', '@']) {
        return Err(format!("{uri} is no address of a broker: expected tcp://host:port"));
    }
    Ok(Server { host: host.to_owned(), port })
}

fn filters(config: &Config) -> Result<Vec<String>, ConfigError> {
    config.text("mqtt.topics")?;
    let mut filters: Vec<String> = Vec::new();
    for filter in config.list("mqtt.topics") {
        let count = filter.split('/').count();
        let wrong = filter.split('/').enumerate().any(|(at, level)| match level {
            "+" => false,
            "#" => at + 1 < count,
            text => text.contains(['+', '#', '\0']),
        });
        if wrong || filter.len() > usize::from(u16::MAX) {
            return Err(ConfigError::new(
                "mqtt.topics",
                format!("invalid filter {filter}: + and # stand for whole levels, # comes last"),
            ));
        }
        if !filters.iter().any(|f| f == filter) {
            filters.push(filter.to_owned());
        }
    }
    Ok(filters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(changes: &[(&str, &str)]) -> Config {
        let mut config = Config::default()
            .with("mqtt.server.uri", "tcp://localhost:1883")
            .with("mqtt.topics", "tv/+/actions")
            .with("kafka.topic", "actions");
        for (key, value) in changes {
            config = config.with(key, *value);
        }
        config.with_defaults(&config_def())
    }

    #[test]
    fn defaults_are_those_of_the_real_connector() {
        let settings = Settings::read(&config(&[]), "actions", 0).unwrap();
        assert_eq!((settings.qos, settings.clean_session, settings.keep_alive), (0, true, 60));
        assert_eq!(settings.connect_timeout, Duration::from_secs(30));
        assert_eq!(settings.client_id, "bd-actions-0");
    }

    #[test]
    fn servers_are_read_as_a_list() {
        let uris = "tcp://a:1, tcp://b, tcp://[::1]:5/, mqtt://c:2";
        let settings = Settings::read(&config(&[("mqtt.server.uri", uris)]), "c", 0).unwrap();
        let shown: Vec<_> = settings.servers.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["tcp://a:1", "tcp://b:1883", "tcp://[::1]:5", "tcp://c:2"]);
    }

    #[test]
    fn wrong_values_are_named() {
        for (key, value) in [
            ("mqtt.server.uri", "localhost:1883"),
            ("mqtt.server.uri", "ssl://localhost:8883"),
            ("mqtt.server.uri", "tcp://localhost:port"),
            ("mqtt.topics", "a/#/b"),
            ("mqtt.topics", "a+/b"),
            ("mqtt.qos", "3"),
            ("mqtt.keepalive.interval.seconds", "0"),
            ("mqtt.key.pattern", "tv/actions"),
            ("mqtt.clean.session.enabled", "maybe"),
            ("mqtt.max.message.bytes", "0"),
        ] {
            assert_eq!(Settings::read(&config(&[(key, value)]), "c", 0).unwrap_err().key, key, "{value}");
        }
        let error = Settings::read(&config(&[("mqtt.password", "secret")]), "c", 0).unwrap_err();
        assert!(error.key == "mqtt.username" && !error.to_string().contains("secret"), "{error}");
    }
}
