//! The configuration: Confluent's keys and defaults.

use bd_connect::sdk::{Config, ConfigDef, ConfigError, ConfigKey, ConfigType as T};
use std::collections::HashMap;
use std::time::Duration;

/// What is done with a null value (a tombstone).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnNull {
    Ignore,
    Delete,
    Fail,
}

/// What is done with a document that the index refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnMalformed {
    Ignore,
    Warn,
    Fail,
}

/// The configuration, checked.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Base addresses, without a slash at the end.
    pub(super) urls: Vec<String>,
    pub(super) credentials: Option<(String, String)>,
    /// A PEM file of the authorities to trust.
    pub(super) truststore: Option<String>,
    pub(super) key_ignore: bool,
    pub(super) topic_key_ignore: Vec<String>,
    pub(super) schema_ignore: bool,
    pub(super) topic_schema_ignore: Vec<String>,
    pub(super) on_null: OnNull,
    pub(super) on_malformed: OnMalformed,
    pub(super) drop_invalid: bool,
    pub(super) upsert: bool,
    pub(super) version_header: Option<String>,
    /// Records a request.
    pub(super) batch_size: usize,
    /// Bytes a request; one document may exceed it.
    pub(super) bulk_bytes: usize,
    pub(super) max_retries: u32,
    pub(super) backoff: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) read_timeout: Duration,
    /// Topic to index.
    pub(super) indices: HashMap<String, String>,
}

const NO_EFFECT: &str = "Accepted as Confluent's and without effect: every delivery is flushed, one request at a time, before \
                         its offsets are committed.";

/// The keys.
pub(super) fn definition() -> ConfigDef {
    let mut keys = connection_keys();
    keys.extend(conversion_keys());
    keys.extend([
        ConfigKey::optional("flush.synchronously", T::Boolean, "false", NO_EFFECT),
        ConfigKey::optional("flush.timeout.ms", T::Long, "180000", NO_EFFECT),
        ConfigKey::optional("linger.ms", T::Long, "1", NO_EFFECT),
        ConfigKey::optional("max.buffered.records", T::Int, "20000", NO_EFFECT),
        ConfigKey::optional("max.in.flight.requests", T::Int, "5", NO_EFFECT),
        ConfigKey::optional("type.name", T::String, "", "Accepted; Elasticsearch has no types since 8.0."),
    ]);
    ConfigDef { keys, prefixes: vec!["data.stream."] }
}

fn connection_keys() -> Vec<ConfigKey> {
    vec![
        ConfigKey::required(
            "connection.url",
            T::List,
            "Addresses of Elasticsearch, such as http://es1:9200,http://es2:9200. When one does not answer the next is used.",
        ),
        ConfigKey::optional("connection.username", T::String, "", "The user; used with connection.password."),
        ConfigKey::optional("connection.password", T::Password, "", "The password of the user."),
        ConfigKey::optional(
            "elastic.https.ssl.truststore.location",
            T::String,
            "",
            "A PEM file of the certificate authorities to trust; Mozilla's by default.",
        ),
        ConfigKey::optional(
            "batch.size",
            T::Int,
            "2000",
            "The number of records in a bulk request, 1 to 1000000.",
        ),
        ConfigKey::optional(
            "bulk.size.bytes",
            T::Long,
            "5242880",
            "The most bytes in a bulk request; -1 for no limit.",
        ),
        ConfigKey::optional(
            "max.retries",
            T::Int,
            "5",
            "How often a failed request, or the failed items of one, is sent again before the task fails.",
        ),
        ConfigKey::optional(
            "retry.backoff.ms",
            T::Long,
            "100",
            "The pause before the first retry; it doubles with each, up to 30 s.",
        ),
        ConfigKey::optional(
            "connection.timeout.ms",
            T::Int,
            "1000",
            "How long a connection may take to be made.",
        ),
        ConfigKey::optional(
            "read.timeout.ms",
            T::Int,
            "3000",
            "How long Elasticsearch may take to answer a request, and then to send the answer.",
        ),
    ]
}

fn conversion_keys() -> Vec<ConfigKey> {
    vec![
        ConfigKey::optional(
            "key.ignore",
            T::Boolean,
            "false",
            "Whether the document's id is topic+partition+offset instead of the record's key.",
        ),
        ConfigKey::optional("topic.key.ignore", T::List, "", "Topics for which key.ignore is true."),
        ConfigKey::optional(
            "schema.ignore",
            T::Boolean,
            "false",
            "Whether the index's mapping is left to Elasticsearch instead of being made from the records' schema.",
        ),
        ConfigKey::optional("topic.schema.ignore", T::List, "", "Topics for which schema.ignore is true."),
        ConfigKey::optional(
            "compact.map.entries",
            T::Boolean,
            "true",
            "Maps are written as objects; false is not built.",
        ),
        ConfigKey::optional(
            "behavior.on.null.values",
            T::String,
            "fail",
            "What is done with a record without a value: ignore, delete its document, or fail.",
        )
        .one_of(&["ignore", "delete", "fail", "IGNORE", "DELETE", "FAIL"]),
        ConfigKey::optional(
            "behavior.on.malformed.documents",
            T::String,
            "fail",
            "What is done with a document that the index refuses (a mapping conflict, say): ignore, warn (log), or fail \
             (dead letter or failure, as errors.tolerance says).",
        )
        .one_of(&["ignore", "warn", "fail", "IGNORE", "WARN", "FAIL"]),
        ConfigKey::optional(
            "drop.invalid.message",
            T::Boolean,
            "false",
            "Whether a record that cannot be made a document is dropped with a line in the log.",
        ),
        ConfigKey::optional(
            "write.method",
            T::String,
            "insert",
            "insert replaces a document, upsert updates the fields that the record has.",
        )
        .one_of(&["insert", "upsert", "INSERT", "UPSERT"]),
        ConfigKey::optional(
            "external.version.header",
            T::String,
            "",
            "A header whose number is the document's version instead of the record's offset.",
        ),
        ConfigKey::optional(
            "topic.to.external.resource.mapping",
            T::List,
            "",
            "topic:index pairs; the index of other topics is the topic's name in lower case. Missing indices are created.",
        ),
        ConfigKey::optional(
            "topic.index.map",
            T::List,
            "",
            "The older name of topic.to.external.resource.mapping.",
        ),
        ConfigKey::optional(
            "external.resource.usage",
            T::String,
            "DISABLED",
            "What the resources of topic.to.external.resource.mapping are.",
        )
        .one_of(&["DISABLED", "INDEX", "ALIAS_INDEX"]),
    ]
}

/// What is wrong beyond types.
pub(super) fn validate(config: &Config) -> Vec<ConfigError> {
    let mut errors: Vec<ConfigError> = Settings::new(config).err().into_iter().collect();
    for key in config.values().keys() {
        if key.starts_with("data.stream.") {
            errors.push(ConfigError::new(
                key,
                "data streams are not built: remove the key to write to an index",
            ));
        }
    }
    errors
}

impl Settings {
    /// Reads and checks a configuration; what is not set has Confluent's default.
    pub(super) fn new(config: &Config) -> Result<Self, ConfigError> {
        let config = config.clone().with_defaults(&definition());
        let credentials = match (config.get("connection.username"), config.get("connection.password")) {
            (Some(user), Some(password)) => Some((user.to_owned(), password.to_owned())),
            (Some(_), None) => {
                return Err(ConfigError::new("connection.password", "must be set with connection.username"));
            }
            (None, Some(_)) => {
                return Err(ConfigError::new("connection.username", "must be set with connection.password"));
            }
            (None, None) => None,
        };
        if !config.boolean("compact.map.entries")? {
            return Err(ConfigError::new(
                "compact.map.entries",
                "false is not built: maps are written as objects",
            ));
        }
        let owned = |key: &str| config.list(key).into_iter().map(str::to_owned).collect();
        Ok(Self {
            urls: urls(&config)?,
            credentials,
            truststore: config.get("elastic.https.ssl.truststore.location").map(str::to_owned),
            key_ignore: config.boolean("key.ignore")?,
            topic_key_ignore: owned("topic.key.ignore"),
            schema_ignore: config.boolean("schema.ignore")?,
            topic_schema_ignore: owned("topic.schema.ignore"),
            on_null: match choice(&config, "behavior.on.null.values", &["ignore", "delete", "fail"])? {
                0 => OnNull::Ignore,
                1 => OnNull::Delete,
                _ => OnNull::Fail,
            },
            on_malformed: match choice(
                &config,
                "behavior.on.malformed.documents",
                &["ignore", "warn", "fail"],
            )? {
                0 => OnMalformed::Ignore,
                1 => OnMalformed::Warn,
                _ => OnMalformed::Fail,
            },
            drop_invalid: config.boolean("drop.invalid.message")?,
            upsert: choice(&config, "write.method", &["insert", "upsert"])? == 1,
            version_header: config.get("external.version.header").map(str::to_owned),
            batch_size: bounded(&config, "batch.size", 1, 1_000_000)? as usize,
            bulk_bytes: match bounded(&config, "bulk.size.bytes", -1, i64::from(i32::MAX))? {
                -1 => usize::MAX,
                bytes => bytes as usize,
            },
            max_retries: bounded(&config, "max.retries", 0, i64::from(i32::MAX))? as u32,
            backoff: millis(&config, "retry.backoff.ms", 0)?,
            connect_timeout: millis(&config, "connection.timeout.ms", 1)?,
            read_timeout: millis(&config, "read.timeout.ms", 1)?,
            indices: indices(&config)?,
        })
    }

    /// Whether a topic's keys are no ids.
    pub(super) fn ignores_key(&self, topic: &str) -> bool {
        self.key_ignore || self.topic_key_ignore.iter().any(|t| t == topic)
    }

    /// Whether a topic's schema makes no mapping.
    pub(super) fn ignores_schema(&self, topic: &str) -> bool {
        self.schema_ignore || self.topic_schema_ignore.iter().any(|t| t == topic)
    }
}

fn urls(config: &Config) -> Result<Vec<String>, ConfigError> {
    let key = "connection.url";
    config.text(key)?;
    let secure = config.list(key).iter().any(|u| u.starts_with("https://"));
    let mut urls = Vec::new();
    for url in config.list(key) {
        let rest = match url.split_once("://") {
            Some(("http" | "https", rest)) => rest,
            Some((scheme, _)) => {
                return Err(ConfigError::new(key, format!("{url}: http or https wanted, found {scheme}")));
            }
            None => url,
        };
        // As Confluent: credentials in the address are not used.
        let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host).trim_end_matches('/');
        if rest.is_empty() {
            return Err(ConfigError::new(key, format!("{url} has no host")));
        }
        urls.push(format!("{}://{rest}", if secure { "https" } else { "http" }));
    }
    if urls.is_empty() {
        return Err(ConfigError::new(key, "must name at least one address"));
    }
    Ok(urls)
}

fn choice(config: &Config, key: &str, allowed: &[&str]) -> Result<usize, ConfigError> {
    let text = config.text(key)?.to_ascii_lowercase();
    allowed.iter().position(|a| *a == text).ok_or_else(|| {
        ConfigError::new(key, format!("invalid value {text}: must be one of {}", allowed.join(", ")))
    })
}

fn bounded(config: &Config, key: &str, min: i64, max: i64) -> Result<i64, ConfigError> {
    let number: i64 = config.number(key)?;
    if (min..=max).contains(&number) {
        return Ok(number);
    }
    Err(ConfigError::new(key, format!("invalid value {number}: must be {min} to {max}")))
}

fn millis(config: &Config, key: &str, min: i64) -> Result<Duration, ConfigError> {
    Ok(Duration::from_millis(bounded(config, key, min, i64::from(i32::MAX))? as u64))
}

fn indices(config: &Config) -> Result<HashMap<String, String>, ConfigError> {
    let mut indices = HashMap::new();
    for key in ["topic.index.map", "topic.to.external.resource.mapping"] {
        for pair in config.list(key) {
            match pair.split_once(':').map(|(topic, index)| (topic.trim(), index.trim())) {
                Some((topic, index)) if !topic.is_empty() && !index.is_empty() => {
                    indices.insert(topic.to_owned(), index.to_owned());
                }
                _ => return Err(ConfigError::new(key, format!("{pair}: topic:index wanted"))),
            }
        }
    }
    Ok(indices)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Config {
        Config::new(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn defaults_are_confluents() {
        let settings = Settings::new(&config(&[("connection.url", "localhost:9200/")])).unwrap();
        assert_eq!(settings.urls, ["http://localhost:9200"]);
        assert_eq!(settings.batch_size, 2000);
        assert_eq!(settings.bulk_bytes, 5 * 1024 * 1024);
        assert_eq!(settings.max_retries, 5);
        assert_eq!(settings.backoff, Duration::from_millis(100));
        assert!(!settings.key_ignore && !settings.schema_ignore && !settings.upsert);
        assert_eq!(settings.on_null, OnNull::Fail);
        assert_eq!(settings.on_malformed, OnMalformed::Fail);
    }

    #[test]
    fn https_of_one_address_holds_for_all() {
        let settings = Settings::new(&config(&[("connection.url", "https://u:p@a:1, b:2")])).unwrap();
        assert_eq!(settings.urls, ["https://a:1", "https://b:2"]);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_key() {
        for (key, value) in [
            ("connection.url", ""),
            ("connection.url", "ftp://a"),
            ("connection.username", "only"),
            ("batch.size", "0"),
            ("behavior.on.null.values", "explode"),
            ("write.method", "merge"),
            ("topic.index.map", "no-colon"),
            ("compact.map.entries", "false"),
            ("data.stream.dataset", "logs"),
        ] {
            let config = config(&[("connection.url", "http://a:9200")]).with(key, value);
            let errors = validate(&config);
            assert_eq!(errors.len(), 1, "{key}={value}: {errors:?}");
        }
    }
}
