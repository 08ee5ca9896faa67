//! The pipeline file: one YAML file is a whole pipeline.
//!
//! [`keys`] is the table of keys; [`settings`] reads file, environment and `--set` by it; here they become typed values; [`schema`]
//! publishes it for editors.

mod http;
pub(crate) mod keys;
mod registry;
pub(crate) mod schema;
mod security;
pub(crate) mod settings;

use anyhow::{Context, Result, anyhow, bail};
use bd_broker::security::ListenerSpec;
use bd_log::FlushMode;
pub(crate) use http::HttpListener;
pub(crate) use registry::RegistrySettings;
pub(crate) use security::SecuritySettings;
use serde_yaml_ng::Value;
use settings::{Settings, scalar};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Where the log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClusterRole {
    /// In this process.
    Embedded,
    /// A Kafka cluster.
    Kafka {
        /// `host:port`, several separated by commas.
        bootstrap: String,
        /// librdkafka's.
        properties: BTreeMap<String, String>,
    },
}

/// An address to listen on or to advertise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    /// Name or address, without brackets.
    pub(crate) host: String,
    /// 0 takes any free port.
    pub(crate) port: u16,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for Listener {
    type Err = anyhow::Error;

    /// `host:port`, `[v6]:port`, `:port` (all addresses), each also as others write it: `http://host:port`.
    fn from_str(text: &str) -> Result<Self> {
        let address = match text.split_once("://") {
            Some((protocol, rest)) if protocol.eq_ignore_ascii_case("http") => rest,
            Some((protocol, _)) => bail!("{text}: protocol {protocol} is not supported here, only http"),
            None => text,
        };
        if address.contains(',') {
            bail!("{text}: expected one address");
        }
        let (host, port) = address.rsplit_once(':').ok_or_else(|| anyhow!("{text}: expected host:port"))?;
        let port = port.parse().map_err(|_| anyhow!("{text}: {port} is not a port (0 to 65535)"))?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host = match bare.unwrap_or(host) {
            "" => "0.0.0.0",
            host if host.contains(':') && bare.is_none() => bail!("{text}: put an IPv6 address in brackets"),
            host => host,
        };
        Ok(Self { host: host.into(), port })
    }
}

/// A topic to be created where absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicSpec {
    /// Its name.
    pub(crate) name: String,
    /// Its partitions; `None`: `num.partitions`, or as many as it has.
    pub(crate) partitions: Option<i32>,
    /// Kafka's topic configs.
    pub(crate) configs: BTreeMap<String, String>,
}

/// Where a role with a REST interface is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RestRole {
    /// In this process.
    Embedded,
    /// Elsewhere.
    At {
        /// `http(s)://host:port`, as given.
        url: String,
        /// How to say who we are.
        auth: Option<Auth>,
    },
}

/// How to say who we are to a role elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Auth {
    /// HTTP basic.
    Basic {
        /// The user.
        user: String,
        /// Its password.
        password: String,
    },
    /// Elasticsearch's API key.
    ApiKey(String),
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Secrets are not for logs.
        f.write_str("Auth(..)")
    }
}

/// A connector to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectorSpec {
    /// Its name.
    pub(crate) name: String,
    /// Kafka Connect's keys, as given.
    pub(crate) config: BTreeMap<String, String>,
}

/// How streaming SQL runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EngineSettings {
    /// Where its REST interface listens.
    pub(crate) listener: Listener,
    /// `commit.interval.ms`.
    pub(crate) commit_interval: Duration,
    /// `batch.rows`.
    pub(crate) batch_rows: Option<usize>,
    /// `poll.bytes`.
    pub(crate) poll_bytes: usize,
}

/// A whole pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) cluster: ClusterRole,
    pub(crate) data: PathBuf,
    pub(crate) listeners: Vec<ListenerSpec>,
    pub(crate) security: SecuritySettings,
    pub(crate) auto_create_topics: bool,
    /// When the embedded log fsyncs.
    pub(crate) flush: FlushMode,
    pub(crate) num_partitions: i32,
    /// More broker settings, by Kafka's names.
    pub(crate) broker: BTreeMap<String, String>,
    pub(crate) topics: Vec<TopicSpec>,
    pub(crate) sql: Vec<PathBuf>,
    pub(crate) engine: EngineSettings,
    pub(crate) roles: RestRoles,
    pub(crate) registry: RegistrySettings,
    pub(crate) connect_listener: Listener,
    pub(crate) connect_group: String,
    pub(crate) connectors: Vec<ConnectorSpec>,
    pub(crate) search_listener: Listener,
    pub(crate) search_refresh: Duration,
    pub(crate) console_listener: HttpListener,
    pub(crate) metrics_listener: HttpListener,
    pub(crate) dashboards: Vec<PathBuf>,
}

/// Where the roles with a REST interface are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RestRoles {
    pub(crate) registry: RestRole,
    pub(crate) engine: RestRole,
    pub(crate) connect: RestRole,
    pub(crate) search: RestRole,
}

impl Config {
    /// From files (a later one wins), the environment, `--data` and `--set`. With `free_ports`, listeners that are not set take any port.
    ///
    /// # Errors
    /// An unknown key, with the nearest known one; a value that does not fit; each with where it was set.
    pub(crate) fn load(
        files: &[PathBuf],
        data: Option<&Path>,
        set: &[String],
        free_ports: bool,
    ) -> Result<Self> {
        let mut settings = Settings::default();
        for file in files {
            settings.read_file(file)?;
        }
        settings.read_environment(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )?;
        for assignment in set {
            settings.set(assignment)?;
        }
        if let Some(data) = data {
            let text = data.to_str().ok_or_else(|| anyhow!("--data {}: not UTF-8", data.display()))?;
            settings.option("data", text, "--data")?;
        }
        if free_ports {
            for listener in keys::LISTENERS.into_iter().filter(|l| !settings.is_set(l)).collect::<Vec<_>>() {
                settings.option(listener, "127.0.0.1:0", "--free-ports")?;
            }
        }
        Self::from_settings(&settings)
    }

    /// The typed values.
    pub(crate) fn from_settings(settings: &Settings) -> Result<Self> {
        let text = |path: &str| settings.text(path).ok_or_else(|| anyhow!("{path} is not set"));
        let listener = |path: &str| parsed(settings, path, &text(path)?);
        let number = |path: &str| settings.integer(path).ok_or_else(|| anyhow!("{path} is not set"));
        let cluster = match settings.text("roles.cluster.bootstrap") {
            Some(bootstrap) => {
                ClusterRole::Kafka { bootstrap, properties: properties(settings, "roles.cluster.properties") }
            }
            None if settings.is_set("roles.cluster.properties") => {
                bail!(
                    "roles.cluster.properties is set, and roles.cluster.bootstrap is not: add the cluster's host:port"
                )
            }
            None => ClusterRole::Embedded,
        };
        let listeners = security::listeners(settings)?;
        let batch_rows = settings.integer("engine.batch.rows").map(usize::try_from).transpose()?;
        Ok(Self {
            cluster,
            data: text("data")?.into(),
            security: security::read(settings, &listeners)?,
            listeners,
            flush: match text("flush")?.as_str() {
                "always" => FlushMode::Always,
                "os" => FlushMode::Os,
                _ => FlushMode::Group,
            },
            auto_create_topics: text("auto.create.topics.enable")? == "true",
            num_partitions: i32::try_from(number("num.partitions")?)?,
            broker: properties(settings, "broker"),
            topics: topics(settings),
            sql: files(settings, "sql"),
            engine: EngineSettings {
                listener: listener("engine.listener")?,
                commit_interval: Duration::from_millis(number("engine.commit.interval.ms")?),
                batch_rows,
                poll_bytes: usize::try_from(number("engine.poll.bytes")?)?,
            },
            roles: RestRoles {
                registry: rest_role(settings, "roles.registry.url")?,
                engine: rest_role(settings, "roles.engine.url")?,
                connect: rest_role(settings, "roles.connect.url")?,
                search: search_role(settings)?,
            },
            registry: registry::read(settings)?,
            connect_listener: listener("connect.listener")?,
            connect_group: text("connect.group.id")?,
            connectors: connectors(settings),
            search_listener: listener("search.listener")?,
            search_refresh: Duration::from_millis(number("search.refresh.interval.ms")?),
            console_listener: HttpListener::read(settings, "console")?,
            metrics_listener: HttpListener::read(settings, "metrics")?,
            dashboards: files(settings, "dashboards"),
        })
    }
}

/// The address in the text that was set for a key.
fn parsed(settings: &Settings, key: &str, text: &str) -> Result<Listener> {
    let at = settings.get(key).map_or(String::new(), |(_, origin)| format!("{origin}: "));
    text.parse().with_context(|| format!("{at}{key}"))
}

/// The role at the URL of that key; embedded where it is not set.
fn rest_role(settings: &Settings, key: &str) -> Result<RestRole> {
    let Some(url) = settings.text(key) else { return Ok(RestRole::Embedded) };
    if !url.starts_with("http://") && !url.starts_with("https://") {
        bail!("{key}: expected http://host:port or https://host:port, not {url}");
    }
    Ok(RestRole::At { url: url.trim_end_matches('/').to_owned(), auth: None })
}

fn search_role(settings: &Settings) -> Result<RestRole> {
    let secret = |name: &str| settings.text(&format!("roles.search.{name}"));
    let auth = match (secret("username"), secret("password"), secret("api_key")) {
        (None, None, None) => None,
        (None, None, Some(key)) => Some(Auth::ApiKey(key)),
        (Some(user), Some(password), None) => Some(Auth::Basic { user, password }),
        (Some(_), None, _) => bail!("roles.search.username is set, and roles.search.password is not"),
        (None, Some(_), _) => bail!("roles.search.password is set, and roles.search.username is not"),
        (Some(_), Some(_), Some(_)) => bail!("roles.search: set username and password, or api_key, not both"),
    };
    match (rest_role(settings, "roles.search.url")?, auth) {
        (RestRole::At { url, .. }, auth) => Ok(RestRole::At { url, auth }),
        (RestRole::Embedded, None) => Ok(RestRole::Embedded),
        (RestRole::Embedded, Some(_)) => {
            bail!("roles.search has credentials and no url: add roles.search.url")
        }
    }
}

fn connectors(settings: &Settings) -> Vec<ConnectorSpec> {
    let Some((Value::Mapping(connectors), _)) = settings.get("connectors") else { return Vec::new() };
    let spec = |(name, config): (&Value, &Value)| {
        let entries = config.as_mapping()?.iter();
        let config = entries.filter_map(|(k, v)| Some((scalar(k)?, scalar(v)?))).collect();
        Some(ConnectorSpec { name: scalar(name)?, config })
    };
    connectors.iter().filter_map(spec).collect()
}

fn properties(settings: &Settings, key: &str) -> BTreeMap<String, String> {
    let Some((Value::Mapping(entries), _)) = settings.get(key) else {
        return BTreeMap::new();
    };
    entries.iter().filter_map(|(name, value)| Some((scalar(name)?, scalar(value)?))).collect()
}

fn files(settings: &Settings, key: &str) -> Vec<PathBuf> {
    let Some((Value::Sequence(files), origin)) = settings.get(key) else { return Vec::new() };
    files.iter().filter_map(scalar).map(|file| origin.base().join(file)).collect()
}

fn topics(settings: &Settings) -> Vec<TopicSpec> {
    let Some((Value::Mapping(topics), _)) = settings.get("topics") else { return Vec::new() };
    let spec = |(name, topic): (&Value, &Value)| {
        let mut configs: BTreeMap<String, String> = topic
            .as_mapping()
            .map(|entries| entries.iter().filter_map(|(k, v)| Some((scalar(k)?, scalar(v)?))).collect())
            .unwrap_or_default();
        let partitions = configs.remove("partitions").and_then(|n| n.parse().ok());
        Some(TopicSpec { name: scalar(name)?, partitions, configs })
    };
    topics.iter().filter_map(spec).collect()
}

#[cfg(test)]
mod tests;
