//! Validation of configurations: each key's definition, value and errors, as `PUT .../config/validate` shows them.

use super::plugins::kind_name;
use super::{common, secrets};
use crate::convert::ConverterConfig;
use crate::sdk::{Config, ConfigError, ConfigKey, ConfigType, Importance, Plugin, PluginKind};
use crate::transform;
use bd_schema::{Role, SchemaRegistry};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What validation found.
pub(crate) struct Validation {
    pub(crate) name: String,
    /// Definition, value as configured, errors.
    pub(crate) keys: Vec<(ConfigKey, Option<String>, Vec<String>)>,
    /// Errors of keys that no definition names, such as those of transforms.
    pub(crate) others: Vec<ConfigError>,
    /// Where the connector's own keys begin.
    common: usize,
}

/// All that is wrong with the configuration; `config` still has its references.
pub(crate) fn validate(
    plugin: &dyn Plugin,
    config: &BTreeMap<String, String>,
    worker: &BTreeMap<String, String>,
    registry: Option<&Arc<dyn SchemaRegistry>>,
) -> Validation {
    let common = common::definition(plugin.kind());
    let own = plugin.config_def();
    let own_keys: Vec<ConfigKey> =
        own.keys.iter().filter(|k| common.keys.iter().all(|c| c.name != k.name)).cloned().collect();
    let (resolved, mut found) = match secrets::resolve(config) {
        Ok(resolved) => (resolved, Vec::new()),
        Err(error) => (Config::new(config.clone()), vec![error]),
    };
    let keys: Vec<ConfigKey> = common.keys.iter().cloned().chain(own_keys).collect();
    let mut validation = Validation {
        name: plugin.class().to_owned(),
        common: common.keys.len(),
        keys: Vec::with_capacity(keys.len()),
        others: Vec::new(),
    };
    for key in keys {
        let errors = check(&key, &resolved).into_iter().collect();
        validation.keys.push((key.clone(), config.get(key.name).cloned(), errors));
    }
    found.extend(of_worker(plugin.kind(), &resolved, worker, registry));
    // A connector may rely on its keys being there and of their types.
    if validation.error_count() == 0 && found.is_empty() {
        found.extend(plugin.validate(&resolved.clone().with_defaults(&own)));
    }
    for error in found {
        match validation.keys.iter_mut().find(|(key, ..)| key.name == error.key) {
            Some((_, _, errors)) => errors.push(in_connects_words(&error)),
            None => validation.others.push(error),
        }
    }
    if validation.error_count() == 0 {
        warn_of_unknown(plugin, config, &common.prefixes, &own.prefixes, &validation.keys);
    }
    validation
}

/// Connect's errors name the value and the key; messages that do already stay.
fn in_connects_words(error: &ConfigError) -> String {
    if error.reason.contains(&error.key) { error.reason.clone() } else { error.to_string() }
}

impl Validation {
    pub(crate) fn error_count(&self) -> usize {
        self.keys.iter().map(|(_, _, errors)| errors.len()).sum::<usize>() + self.others.len()
    }

    /// The text of the refusal, `None` where nothing is wrong.
    pub(crate) fn refusal(&self) -> Option<String> {
        if self.error_count() == 0 {
            return None;
        }
        let mut text = format!(
            "Connector configuration is invalid and contains the following {} error(s):",
            self.error_count()
        );
        let errors = self.keys.iter().flat_map(|(_, _, errors)| errors.clone());
        for error in errors.chain(self.others.iter().map(in_connects_words)) {
            text.push('\n');
            text.push_str(&error);
        }
        text.push_str(
            "\nYou can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`",
        );
        Some(text)
    }

    /// Connect's `ConfigInfos`.
    pub(crate) fn json(&self) -> Value {
        let mut configs: Vec<Value> = self
            .keys
            .iter()
            .enumerate()
            .map(|(order, (key, value, errors))| {
                let group = if order < self.common { "Common" } else { "Connector" };
                let shown = value.as_deref().or(key.default.filter(|d| !d.is_empty())).map(|value| {
                    let secret = key.kind == ConfigType::Password && !secrets::is_reference(value);
                    if secret { "[hidden]".to_owned() } else { value.to_owned() }
                });
                let allowed = key.allowed;
                json!({
                    "definition": definition_json(key, group, order),
                    "value": {
                        "name": key.name, "value": shown, "recommended_values": allowed,
                        "errors": errors, "visible": true
                    }
                })
            })
            .collect();
        configs.extend(self.others.iter().map(|error| {
            json!({ "definition": null, "value": {
                "name": error.key, "value": null, "recommended_values": [],
                "errors": [in_connects_words(error)], "visible": true
            } })
        }));
        json!({
            "name": self.name, "error_count": self.error_count(),
            "groups": ["Common", "Connector"], "configs": configs
        })
    }
}

fn type_name(kind: ConfigType) -> &'static str {
    match kind {
        ConfigType::String => "STRING",
        ConfigType::Password => "PASSWORD",
        ConfigType::Boolean => "BOOLEAN",
        ConfigType::Int => "INT",
        ConfigType::Long => "LONG",
        ConfigType::Double => "DOUBLE",
        ConfigType::List => "LIST",
    }
}

/// Connect's `ConfigKeyInfo`.
pub(crate) fn definition_json(key: &ConfigKey, group: &str, order: usize) -> Value {
    let importance = match key.importance {
        Importance::High => "HIGH",
        Importance::Medium => "MEDIUM",
        Importance::Low => "LOW",
    };
    json!({
        "name": key.name, "type": type_name(key.kind), "required": key.default.is_none(),
        "default_value": key.default.filter(|d| !d.is_empty()), "importance": importance, "documentation": key.doc,
        "group": group, "width": "MEDIUM", "display_name": key.name, "dependents": [], "order": order + 1
    })
}

/// Connect's `ConfigKeyInfo` of all keys of a connector.
pub(crate) fn definitions(plugin: &dyn Plugin) -> Value {
    let common = common::definition(plugin.kind()).keys;
    let own = plugin.config_def().keys;
    let own = own.iter().filter(|k| common.iter().all(|c| c.name != k.name)).map(|k| ("Connector", k));
    let all = common.iter().map(|k| ("Common", k)).chain(own).enumerate();
    all.map(|(order, (group, key))| definition_json(key, group, order)).collect()
}

/// What is wrong with the value of one key.
fn check(key: &ConfigKey, config: &Config) -> Option<String> {
    let name = key.name;
    let Some(value) = config.get(name) else {
        return key
            .default
            .is_none()
            .then(|| format!("Missing required configuration \"{name}\" which has no default value."));
    };
    let invalid = |reason: &str| {
        let value = if key.kind == ConfigType::Password { "[hidden]" } else { value };
        Some(format!("Invalid value {value} for configuration {name}: {reason}"))
    };
    let fits = match key.kind {
        ConfigType::String | ConfigType::Password | ConfigType::List => Ok(()),
        ConfigType::Boolean => match value.to_ascii_lowercase().as_str() {
            "true" | "false" => Ok(()),
            _ => Err("Expected value to be either true or false"),
        },
        ConfigType::Int => value.parse::<i32>().map(drop).map_err(|_| "Not a number of type INT"),
        ConfigType::Long => value.parse::<i64>().map(drop).map_err(|_| "Not a number of type LONG"),
        ConfigType::Double => value.parse::<f64>().map(drop).map_err(|_| "Not a number of type DOUBLE"),
    };
    if let Err(reason) = fits {
        return invalid(reason);
    }
    if name == "tasks.max" && config.number::<i32>(name).is_ok_and(|n| n < 1) {
        return invalid("Value must be at least 1");
    }
    let members: Vec<&str> = if key.kind == ConfigType::List { config.list(name) } else { vec![value] };
    if !key.allowed.is_empty() && members.iter().any(|m| !key.allowed.contains(m)) {
        return invalid(&format!("String must be one of: {}", key.allowed.join(", ")));
    }
    None
}

/// What is wrong with the keys that are the worker's: topics, converters, transforms.
fn of_worker(
    kind: PluginKind,
    config: &Config,
    worker: &BTreeMap<String, String>,
    registry: Option<&Arc<dyn SchemaRegistry>>,
) -> Vec<ConfigError> {
    let mut errors = transform::validate(config);
    for role in [Role::Key, Role::Value] {
        let opened = ConverterConfig::of(role, config, worker).and_then(|c| c.open(registry).map(drop));
        errors.extend(opened.err());
    }
    if kind == PluginKind::Sink {
        let (topics, pattern) = (config.get("topics"), config.get("topics.regex"));
        let reason = match (topics, pattern) {
            (None, None) => Some("Must configure one of topics or topics.regex".to_owned()),
            (Some(_), Some(_)) => {
                Some("topics and topics.regex are mutually exclusive options, but both are set.".to_owned())
            }
            (None, Some(pattern)) => regex::Regex::new(pattern)
                .err()
                .map(|e| format!("topics.regex is no regular expression: {e}")),
            (Some(_), None) => None,
        };
        errors.extend(reason.map(|reason| ConfigError::new("topics", reason)));
        let letters = config.get("errors.deadletterqueue.topic.name");
        if letters.is_some_and(|letters| config.list("topics").contains(&letters)) {
            let reason = "The DLQ topic may not be included in the list of topics consumed by the connector";
            errors.push(ConfigError::new("errors.deadletterqueue.topic.name", reason));
        }
    }
    errors
}

/// Keys that nobody knows are passed over, as Kafka Connect does; the log names the key that was perhaps meant.
fn warn_of_unknown(
    plugin: &dyn Plugin,
    config: &BTreeMap<String, String>,
    common: &[&str],
    own: &[&str],
    known: &[(ConfigKey, Option<String>, Vec<String>)],
) {
    for key in config.keys() {
        let declared = known.iter().any(|(k, ..)| k.name == key);
        if declared || common.iter().chain(own).any(|prefix| key.starts_with(prefix)) {
            continue;
        }
        let near = known.iter().map(|(k, ..)| (distance(k.name, key), k.name)).min();
        let hint = near.filter(|(d, _)| *d <= 3).map(|(_, name)| format!("; did you mean {name}?"));
        let (class, kind) = (plugin.class(), kind_name(plugin.kind()));
        tracing::warn!(
            "{kind} connector {class} does not know the key {key}, it is passed over{}",
            hint.unwrap_or_default()
        );
    }
}

/// Levenshtein's distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let cost = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row.last().copied().unwrap_or(0)
}
