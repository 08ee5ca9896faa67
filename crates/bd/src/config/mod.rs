//! The pipeline file: one YAML file is a whole pipeline.
//!
//! [`keys`] is the table of keys; [`settings`] reads file, environment and `--set` by it; here they become typed values; [`schema`]
//! publishes it for editors.

pub(crate) mod keys;
pub(crate) mod schema;
pub(crate) mod settings;

use anyhow::{Context, Result, anyhow, bail};
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

    /// `host:port`, `[v6]:port`, `:port` (all addresses), each also as Kafka writes it: `PLAINTEXT://host:port`.
    fn from_str(text: &str) -> Result<Self> {
        let address = match text.split_once("://") {
            Some((protocol, rest)) if protocol.eq_ignore_ascii_case("PLAINTEXT") => rest,
            Some((protocol, _)) => bail!("{text}: protocol {protocol} is not supported, only PLAINTEXT"),
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
    pub(crate) listener: Listener,
    pub(crate) advertised: Option<Listener>,
    pub(crate) auto_create_topics: bool,
    pub(crate) num_partitions: i32,
    pub(crate) topics: Vec<TopicSpec>,
    pub(crate) sql: Vec<PathBuf>,
    pub(crate) engine: EngineSettings,
}

impl Config {
    /// From a file (if any), the environment, `--data` and `--set`.
    ///
    /// # Errors
    /// An unknown key, with the nearest known one; a value that does not fit; each with where it was set.
    pub(crate) fn load(file: Option<&Path>, data: Option<&Path>, set: &[String]) -> Result<Self> {
        let mut settings = Settings::default();
        if let Some(file) = file {
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
        Self::from_settings(&settings)
    }

    /// The typed values.
    pub(crate) fn from_settings(settings: &Settings) -> Result<Self> {
        let text = |path: &str| settings.text(path).ok_or_else(|| anyhow!("{path} is not set"));
        let listener = |path: &str| -> Result<Listener> {
            let at = settings.get(path).map_or(String::new(), |(_, origin)| format!("{origin}: "));
            text(path)?.parse().with_context(|| format!("{at}{path}"))
        };
        let number = |path: &str| settings.integer(path).ok_or_else(|| anyhow!("{path} is not set"));
        let cluster = match settings.text("roles.cluster.bootstrap") {
            Some(bootstrap) => ClusterRole::Kafka { bootstrap, properties: properties(settings) },
            None if settings.is_set("roles.cluster.properties") => {
                bail!(
                    "roles.cluster.properties is set, and roles.cluster.bootstrap is not: add the cluster's host:port"
                )
            }
            None => ClusterRole::Embedded,
        };
        let batch_rows = settings.integer("engine.batch.rows").map(usize::try_from).transpose()?;
        Ok(Self {
            cluster,
            data: text("data")?.into(),
            listener: listener("listeners")?,
            advertised: settings
                .is_set("advertised.listeners")
                .then(|| listener("advertised.listeners"))
                .transpose()?,
            auto_create_topics: text("auto.create.topics.enable")? == "true",
            num_partitions: i32::try_from(number("num.partitions")?)?,
            topics: topics(settings),
            sql: files(settings),
            engine: EngineSettings {
                listener: listener("engine.listener")?,
                commit_interval: Duration::from_millis(number("engine.commit.interval.ms")?),
                batch_rows,
                poll_bytes: usize::try_from(number("engine.poll.bytes")?)?,
            },
        })
    }
}

fn properties(settings: &Settings) -> BTreeMap<String, String> {
    let Some((Value::Mapping(entries), _)) = settings.get("roles.cluster.properties") else {
        return BTreeMap::new();
    };
    entries.iter().filter_map(|(name, value)| Some((scalar(name)?, scalar(value)?))).collect()
}

fn files(settings: &Settings) -> Vec<PathBuf> {
    let Some((Value::Sequence(files), origin)) = settings.get("sql") else { return Vec::new() };
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
