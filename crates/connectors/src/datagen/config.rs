//! The configuration: Confluent's keys and defaults.

use super::compile;
use super::node::Node;
use crate::avro;
use bd_connect::sdk::{Config, ConfigDef, ConfigError, ConfigKey, ConfigType as T, ConnectSchema};
use std::sync::Arc;
use std::time::Duration;

/// The configuration, checked.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) topic: Arc<str>,
    /// The pause between two records is random, from none up to this.
    pub(super) max_interval: Duration,
    /// Records of each task; `None`: without end.
    pub(super) iterations: Option<u64>,
    pub(super) seed: Option<i64>,
    pub(super) schema: Arc<ConnectSchema>,
    /// What to draw: a struct of the columns.
    pub(super) record: Arc<Node>,
    /// The column that is the key, and its schema.
    pub(super) key: Option<(usize, Arc<ConnectSchema>)>,
}

/// The keys.
pub(super) fn definition() -> ConfigDef {
    let keys = vec![
        ConfigKey::required("kafka.topic", T::String, "The topic to write to."),
        ConfigKey::optional(
            "max.interval",
            T::Long,
            "500",
            "The longest pause between two records, ms; pauses are random. Less than 1: none.",
        ),
        ConfigKey::optional(
            "iterations",
            T::Long,
            "-1",
            "How many records each task gives before it fails with a word of that, as Confluent's does. Less than 1: no end.",
        ),
        ConfigKey::optional(
            "schema.string",
            T::String,
            "",
            "The Avro schema (JSON) of a record, with annotations in arg.properties.",
        ),
        ConfigKey::optional("schema.filename", T::String, "", "A file with the schema of schema.string."),
        ConfigKey::optional("schema.keyfield", T::String, "", "The field that is the record's key."),
        ConfigKey::optional("quickstart", T::String, "", "Confluent's schemas by name are not built in."),
        ConfigKey::optional(
            "random.seed",
            T::Long,
            "",
            "The same seed gives the same records. Without it one is drawn at the first start and kept.",
        ),
        ConfigKey::optional(
            "generate.timeout",
            T::Long,
            "",
            "Accepted; generating a record takes no long time.",
        ),
    ];
    ConfigDef { keys, prefixes: Vec::new() }
}

impl Settings {
    /// Reads and checks a configuration.
    pub(super) fn new(config: &Config) -> Result<Self, ConfigError> {
        let config = config.clone().with_defaults(&definition());
        let topic = config.text("kafka.topic")?.into();
        let (key, declaration) = declaration(&config)?;
        let wrong = |reason: String| ConfigError::new(key, reason);
        let json: serde_json::Value = serde_json::from_str(&declaration)
            .map_err(|e| wrong(format!("the schema is not valid JSON: {e}")))?;
        let schema =
            avro::schema_of_record(&compile::without_annotations(&json).to_string()).map_err(wrong)?;
        let record = Arc::new(compile::record(&json).map_err(wrong)?);
        let columns = schema.columns();
        let key = match config.get("schema.keyfield") {
            None => None,
            Some(name) => {
                let column = columns.fields.iter().position(|f| f.name == name).ok_or_else(|| {
                    ConfigError::new("schema.keyfield", format!("the schema has no field {name}"))
                })?;
                let data_type = columns.fields[column].data_type.clone();
                Some((column, Arc::new(ConnectSchema::single(data_type))))
            }
        };
        drop(columns);
        let max_interval: i64 = config.number("max.interval")?;
        let iterations: i64 = config.number("iterations")?;
        Ok(Self {
            topic,
            max_interval: Duration::from_millis(max_interval.max(0) as u64),
            iterations: (iterations > 0).then_some(iterations as u64),
            seed: config.get("random.seed").map(|_| config.number("random.seed")).transpose()?,
            schema: Arc::new(schema),
            record,
            key,
        })
    }
}

/// The schema's text and the key that gave it.
fn declaration(config: &Config) -> Result<(&'static str, String), ConfigError> {
    if let Some(name) = config.get("quickstart") {
        let reason =
            format!("{name}: Confluent's schemas are not built in; set schema.string or schema.filename");
        return Err(ConfigError::new("quickstart", reason));
    }
    match (config.get("schema.string"), config.get("schema.filename")) {
        (Some(text), None) => Ok(("schema.string", text.to_owned())),
        (None, Some(path)) => match std::fs::read_to_string(path) {
            Ok(text) => Ok(("schema.filename", text)),
            Err(e) => Err(ConfigError::new("schema.filename", format!("{path} cannot be read: {e}"))),
        },
        (Some(_), Some(_)) => {
            Err(ConfigError::new("schema.filename", "schema.string is set too: only one of them can be"))
        }
        (None, None) => {
            Err(ConfigError::new("schema.string", "one of schema.string and schema.filename must be set"))
        }
    }
}
