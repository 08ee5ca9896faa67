//! From YAML, `--set` and the environment to one value a key.
//!
//! Later sources win: the file, then the environment, then `--set`. Mappings (`topics`, `roles.cluster.properties`) are merged entry
//! by entry; every other value is replaced.

use super::keys::{self, GROUPS, KEYS, Key, Kind};
use anyhow::{Context, Result, anyhow, bail};
use serde_yaml_ng::{Mapping, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where a value was set.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// The pipeline file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// `--set` or another option.
    Option(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Option(text) => f.write_str(text),
        }
    }
}

impl Origin {
    /// What relative files are relative to.
    pub(crate) fn base(&self) -> PathBuf {
        match self {
            Self::File(path) => path.parent().map(Path::to_path_buf).unwrap_or_default(),
            _ => PathBuf::new(),
        }
    }
}

/// One value a key, from all sources.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    values: BTreeMap<&'static str, (Value, Origin)>,
}

impl Settings {
    /// Takes the keys of a pipeline file.
    pub(crate) fn read_file(&mut self, path: &Path) -> Result<()> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        self.read_yaml(&text, Origin::File(path.to_path_buf()))
    }

    /// Takes the keys of a text.
    pub(crate) fn read_yaml(&mut self, text: &str, origin: Origin) -> Result<()> {
        let mut value: Value =
            serde_yaml_ng::from_str(text).with_context(|| format!("{origin} is not YAML"))?;
        // `<<: *anchor` shares what several connectors have in common.
        value.apply_merge().with_context(|| format!("{origin}: <<"))?;
        let mut found = Vec::new();
        match value {
            Value::Null => {}
            Value::Mapping(mapping) => walk("", mapping, &origin, &mut found)?,
            _ => bail!("{origin}: expected a mapping of keys, such as `data: ./data`"),
        }
        for (i, (key, _)) in found.iter().enumerate() {
            if found[..i].iter().any(|(k, _)| k.path == key.path) {
                bail!("{origin}: {} is set twice", key.path);
            }
        }
        found.into_iter().try_for_each(|(key, value)| self.put(key, value, origin.clone()))
    }

    /// Takes `BD_...` variables. One that is no key's is an error where it may be a slip of one.
    pub(crate) fn read_environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<()> {
        let variables: BTreeMap<String, String> = variables.into_iter().collect();
        let known: Vec<String> = KEYS.iter().map(|k| keys::variable(k.path)).collect();
        let not_keys = ["BD_LOG", "BD_TEST_KILL"];
        for name in variables.keys().filter(|name| name.starts_with("BD_") && !known.contains(name)) {
            // Others may be anybody's: Kubernetes sets BD_SERVICE_HOST for a service named bd.
            let near = keys::nearest(name, known.iter().map(String::as_str));
            if let Some(near) = near.filter(|_| !not_keys.contains(&name.as_str())) {
                bail!("unknown environment variable {name}: did you mean {near}?");
            }
        }
        for key in KEYS {
            let name = keys::variable(key.path);
            if let Some(text) = variables.get(&name) {
                self.put_text(key, text, Origin::Environment(name))?;
            }
        }
        Ok(())
    }

    /// Takes `KEY=VALUE` of the command line. The value is YAML: a word, a number, `[a, b]`, `{a: 1}`.
    pub(crate) fn set(&mut self, assignment: &str) -> Result<()> {
        let origin = Origin::Option(format!("--set {assignment}"));
        let (path, text) =
            assignment.split_once('=').ok_or_else(|| anyhow!("{origin}: expected KEY=VALUE"))?;
        let path = path.trim();
        if let Some(key) = keys::find(path) {
            return self.put_text(key, text, origin);
        }
        // A single entry of a mapping: its name may hold dots, so that what follows the key is all of it.
        for key in KEYS.iter().filter(|k| k.kind == Kind::Properties) {
            if let Some(name) = path.strip_prefix(key.path).and_then(|rest| rest.strip_prefix('.')) {
                let value = Value::Mapping(Mapping::from_iter([(name.into(), text.into())]));
                return self.put(key, value, origin);
            }
        }
        if path.starts_with("topics.") {
            bail!("{origin}: set topics as a mapping: --set 'topics={{name: {{partitions: 4}}}}'");
        }
        if path.starts_with("connectors.") {
            bail!(
                "{origin}: set connectors as a mapping: --set 'connectors={{name: {{connector.class: ...}}}}'"
            );
        }
        Err(unknown(path, &origin))
    }

    /// Takes the value of an option that has a name of its own.
    pub(crate) fn option(&mut self, path: &'static str, text: &str, option: &str) -> Result<()> {
        let key = keys::find(path).ok_or_else(|| anyhow!("no key {path}"))?;
        self.put(key, Value::String(text.into()), Origin::Option(option.into()))
    }

    fn put_text(&mut self, key: &'static Key, text: &str, origin: Origin) -> Result<()> {
        // A text is taken as it stands: `a: b` or `#` mean nothing in it.
        let value = match key.kind {
            Kind::Text | Kind::Choice(_) => Value::String(text.trim().into()),
            Kind::Files if !text.trim_start().starts_with('[') => {
                Value::Sequence(text.split(',').map(|file| file.trim().into()).collect())
            }
            _ => serde_yaml_ng::from_str(text).with_context(|| format!("{origin}: the value is not YAML"))?,
        };
        self.put(key, value, origin)
    }

    fn put(&mut self, key: &'static Key, value: Value, origin: Origin) -> Result<()> {
        let value = checked(key, value).with_context(|| format!("{origin}: {}", key.path))?;
        let Some(value) = value else { return Ok(()) };
        // A key and the keys below it (`roles.cluster: embedded`, `roles.cluster.bootstrap`) are alternatives: the last one holds.
        let below = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('.'));
        self.values.retain(|path, _| !below(path, key.path) && !below(key.path, path));
        match (self.values.get_mut(key.path), value) {
            (Some((Value::Mapping(old), at)), Value::Mapping(new)) => {
                old.extend(new);
                *at = origin;
            }
            (_, value) => {
                self.values.insert(key.path, (value, origin));
            }
        }
        Ok(())
    }

    /// The value of a key: as set, else its default; `None` where there is neither.
    pub(crate) fn get(&self, path: &str) -> Option<(Value, Origin)> {
        if let Some(found) = self.values.get(path) {
            return Some(found.clone());
        }
        let key = keys::find(path)?;
        let default = Some(key.default).filter(|d| !d.is_empty())?;
        let value = match key.kind {
            Kind::Text | Kind::Choice(_) => Value::String(default.into()),
            _ => serde_yaml_ng::from_str(default).ok()?,
        };
        Some((value, Origin::Option("the default".into())))
    }

    /// Whether a key was set at all.
    pub(crate) fn is_set(&self, path: &str) -> bool {
        self.values.contains_key(path)
    }

    /// A text; `None` where it is neither set nor has a default.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        self.get(path).and_then(|(value, _)| scalar(&value))
    }

    /// A number, as [`Settings::text`].
    pub(crate) fn integer(&self, path: &str) -> Option<u64> {
        self.get(path).and_then(|(value, _)| value.as_u64())
    }
}

/// The keys in a mapping of the file.
fn walk(
    group: &str,
    mapping: Mapping,
    origin: &Origin,
    found: &mut Vec<(&'static Key, Value)>,
) -> Result<()> {
    for (name, value) in mapping {
        let name = scalar(&name).ok_or_else(|| anyhow!("{origin}: a key is not a word"))?;
        let path = if group.is_empty() { name } else { format!("{group}.{name}") };
        match (value, keys::find(&path)) {
            (Value::Mapping(inner), _) if keys::is_group(&path) => walk(&path, inner, origin, found)?,
            (value, Some(key)) => found.push((key, value)),
            (Value::Null, None) if keys::is_group(&path) => {}
            (_, None) if keys::is_group(&path) => {
                bail!("{origin}: {path} is a mapping of keys: {}", keys::members(&path).join(", "))
            }
            (_, None) => return Err(unknown(&path, origin)),
        }
    }
    Ok(())
}

/// The error for a key that is not known: names the nearest one, or those of its group.
fn unknown(path: &str, origin: &Origin) -> anyhow::Error {
    let all = KEYS.iter().map(|k| k.path).chain(GROUPS.iter().map(|(g, _)| *g));
    match keys::nearest(path, all) {
        Some(near) => anyhow!("{origin}: unknown key {path}: did you mean {near}?"),
        None => {
            let group = keys::group_of(path);
            let place = if group.is_empty() { "The keys".into() } else { format!("The keys of {group}") };
            anyhow!("{origin}: unknown key {path}. {place}: {}", keys::members(group).join(", "))
        }
    }
}

/// The value if it fits its key; `None` for null, which is as if the key were not there.
fn checked(key: &Key, value: Value) -> Result<Option<Value>> {
    let shown = serde_yaml_ng::to_string(&value).unwrap_or_default();
    let shown = shown.trim();
    let fits = match (&value, key.kind) {
        (Value::Null, _) => return Ok(None),
        (_, Kind::Text) => {
            return scalar(&value).map(|t| Some(t.into())).ok_or_else(|| anyhow!("expected a text"));
        }
        (Value::String(word), Kind::Choice(words)) => {
            if !words.contains(&word.as_str()) {
                let below = keys::members(key.path);
                let or = if below.is_empty() {
                    String::new()
                } else {
                    format!(", or a mapping of {}", below.join(", "))
                };
                bail!("expected {}{or}, not {word}", words.join(" or "));
            }
            true
        }
        (Value::Bool(_), Kind::Boolean) => true,
        (Value::Number(n), Kind::Integer(low, high)) => {
            if !n.as_u64().is_some_and(|n| (low..=high).contains(&n)) {
                bail!("expected a whole number from {low} to {high}, not {n}");
            }
            true
        }
        (Value::Sequence(files), Kind::Files) => files.iter().all(|f| f.is_string()),
        (Value::Mapping(entries), Kind::Properties) => {
            entries.iter().all(|(k, v)| scalar(k).is_some() && scalar(v).is_some())
        }
        (Value::Mapping(topics), Kind::Topics) => {
            for (name, topic) in topics {
                check_topic(name, topic)?;
            }
            true
        }
        (Value::Mapping(connectors), Kind::Connectors) => {
            for (name, connector) in connectors {
                check_connector(name, connector)?;
            }
            true
        }
        _ => false,
    };
    match fits {
        true => Ok(Some(value)),
        false => bail!(
            "expected {}, not {shown}",
            match key.kind {
                Kind::Choice(words) => words.join(" or "),
                Kind::Text => "a text".into(),
                Kind::Boolean => "true or false".into(),
                Kind::Integer(low, high) => format!("a whole number from {low} to {high}"),
                Kind::Files => "a list of files, such as [a.sql, b.sql]".into(),
                Kind::Properties => "a mapping of names to texts".into(),
                Kind::Topics => "a mapping, such as {events: {partitions: 4, retention.ms: 3600000}}".into(),
                Kind::Connectors =>
                    "a mapping, such as {users: {connector.class: MySqlConnector, ...}}".into(),
            }
        ),
    }
}

fn check_topic(name: &Value, topic: &Value) -> Result<()> {
    let name = scalar(name).ok_or_else(|| anyhow!("a topic's name is not a text"))?;
    let entries = match topic {
        Value::Null => return Ok(()),
        Value::Mapping(entries) => entries,
        _ => bail!("topic {name}: expected a mapping, such as {{partitions: 4}}"),
    };
    for (config, value) in entries {
        let config = scalar(config).ok_or_else(|| anyhow!("topic {name}: a config's name is not a text"))?;
        if scalar(value).is_none() {
            bail!("topic {name}: {config} is not a single value");
        }
        if config == "partitions" && !value.as_u64().is_some_and(|n| (1..=10_000).contains(&n)) {
            bail!("topic {name}: partitions: expected a whole number from 1 to 10000");
        }
    }
    Ok(())
}

fn check_connector(name: &Value, connector: &Value) -> Result<()> {
    let name = scalar(name).ok_or_else(|| anyhow!("a connector's name is not a text"))?;
    let Value::Mapping(entries) = connector else {
        bail!(
            "connector {name}: expected a mapping of Kafka Connect's keys, such as {{connector.class: ...}}"
        );
    };
    for (key, value) in entries {
        let key = scalar(key).ok_or_else(|| anyhow!("connector {name}: a key is not a text"))?;
        if scalar(value).is_none() {
            bail!("connector {name}: {key} is not a single value; lists are texts separated by commas");
        }
    }
    match entries.contains_key("connector.class") {
        true => Ok(()),
        false => bail!("connector {name}: connector.class is missing"),
    }
}

/// A word, number or truth value as text.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        _ => None,
    }
}
