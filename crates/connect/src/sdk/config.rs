//! A connector's configuration: Kafka Connect's flat keys, declared with types, defaults and documentation, so that it is
//! validated before anything runs and the REST interface can show it.

use std::collections::BTreeMap;

/// The type of a configuration value, by Kafka's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigType {
    /// `STRING`.
    String,
    /// `PASSWORD`: hidden in logs and in answers to validation.
    Password,
    /// `BOOLEAN`.
    Boolean,
    /// `INT`.
    Int,
    /// `LONG`.
    Long,
    /// `DOUBLE`.
    Double,
    /// `LIST`: separated by commas.
    List,
}

/// How much a key matters, by Kafka's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// `HIGH`.
    High,
    /// `MEDIUM`.
    Medium,
    /// `LOW`.
    Low,
}

/// One key.
#[derive(Debug, Clone)]
pub struct ConfigKey {
    /// The name, such as `mqtt.server.uri`.
    pub name: &'static str,
    /// The type.
    pub kind: ConfigType,
    /// What holds where it is not set; `None`: it must be set.
    pub default: Option<&'static str>,
    /// The values that are allowed; empty: any of its type.
    pub allowed: &'static [&'static str],
    /// How much it matters.
    pub importance: Importance,
    /// What it does, one or two sentences.
    pub doc: &'static str,
}

impl ConfigKey {
    /// A key that must be set.
    pub const fn required(name: &'static str, kind: ConfigType, doc: &'static str) -> Self {
        Self { name, kind, default: None, allowed: &[], importance: Importance::High, doc }
    }

    /// A key with a default; an empty default stands for "not set".
    pub const fn optional(
        name: &'static str,
        kind: ConfigType,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self { name, kind, default: Some(default), allowed: &[], importance: Importance::Medium, doc }
    }

    /// The same with only these values allowed.
    pub const fn one_of(mut self, allowed: &'static [&'static str]) -> Self {
        self.allowed = allowed;
        self
    }
}

/// The keys of a connector. Keys that every connector has (`connector.class`, `tasks.max`, converters, transforms, `errors.*`, ...)
/// are the worker's.
#[derive(Debug, Clone, Default)]
pub struct ConfigDef {
    /// The keys, in the order to show them.
    pub keys: Vec<ConfigKey>,
    /// Prefixes of keys that pass without being declared, such as `driver.`.
    pub prefixes: Vec<&'static str>,
}

/// A value that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct ConfigError {
    /// The key.
    pub key: String,
    /// What is wrong, and what would do.
    pub reason: String,
}

impl ConfigError {
    /// An error of that key.
    pub fn new(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { key: key.into(), reason: reason.into() }
    }
}

/// The configuration of a connector or a task: names to values, with the defaults of its [`ConfigDef`] filled in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    values: BTreeMap<String, String>,
}

impl Config {
    /// These values.
    pub fn new(values: BTreeMap<String, String>) -> Self {
        Self { values }
    }

    /// All values, by name.
    pub fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// The same with one value set.
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.values.insert(key.to_owned(), value.into());
        self
    }

    /// The same with the defaults of `def` where nothing is set.
    pub fn with_defaults(mut self, def: &ConfigDef) -> Self {
        for key in &def.keys {
            if let Some(default) = key.default.filter(|d| !d.is_empty()) {
                self.values.entry(key.name.to_owned()).or_insert_with(|| default.to_owned());
            }
        }
        self
    }

    /// The value, `None` where it is not set or empty.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(|v| v.trim()).filter(|v| !v.is_empty())
    }

    /// The value of a key that must be there.
    ///
    /// # Errors
    /// It is not set.
    pub fn text(&self, key: &str) -> Result<&str, ConfigError> {
        self.get(key).ok_or_else(|| ConfigError::new(key, "must be set: it has no default value"))
    }

    /// A number.
    ///
    /// # Errors
    /// It is not set, or no number of that type.
    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Result<T, ConfigError> {
        let text = self.text(key)?;
        text.parse()
            .map_err(|_| ConfigError::new(key, format!("invalid value {text}: not a number of its type")))
    }

    /// `true` or `false`; false where it is not set.
    ///
    /// # Errors
    /// It is set to something else.
    pub fn boolean(&self, key: &str) -> Result<bool, ConfigError> {
        match self.get(key).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => {
                Err(ConfigError::new(key, format!("invalid value {other}: expected true or false")))
            }
        }
    }

    /// The members of a list; none where it is not set.
    pub fn list(&self, key: &str) -> Vec<&str> {
        self.get(key)
            .map(|v| v.split(',').map(str::trim).filter(|v| !v.is_empty()).collect())
            .unwrap_or_default()
    }
}
