//! What the configuration of the HTTP source means.

use super::keys::config_def;
use super::page::{CHANGED, RECORDS};
use super::template::Template;
use bd_connect::sdk::{Config, ConfigError};
use serde_json::{Map, Value};
use std::ops::RangeInclusive;
use std::time::Duration;

/// More entities than this are a mistake.
const MAX_ENTITIES: usize = 100_000;

/// What a request is made of.
#[derive(Debug)]
pub(super) struct RequestSettings {
    pub(super) method: String,
    pub(super) url: Template,
    pub(super) params: Vec<(String, Template)>,
    pub(super) secret_params: Vec<(String, Template)>,
    pub(super) headers: Vec<(String, Template)>,
    pub(super) body: Option<Template>,
    pub(super) authorization: Option<Authorization>,
}

/// How to authenticate.
#[derive(Debug)]
pub(super) enum Authorization {
    /// User and password.
    Basic(String, String),
    /// A token.
    Bearer(String),
}

/// A JSON pointer (RFC 6901); `/` alone and nothing both stand for the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer(String);

impl Pointer {
    /// What it points to.
    pub(super) fn of<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        value.pointer(&self.0)
    }
}

impl std::fmt::Display for Pointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "/" } else { &self.0 })
    }
}

/// A proxy.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    /// Username and password.
    pub(super) login: Option<(String, String)>,
}

/// How a response is read.
#[derive(Debug)]
pub(super) struct ResponseSettings {
    pub(super) list: Pointer,
    pub(super) record: Pointer,
    pub(super) record_offset: Vec<(String, Pointer)>,
    pub(super) offset: Vec<(String, Pointer)>,
    pub(super) key: Option<Pointer>,
    pub(super) timestamp: Option<Pointer>,
    /// Milliseconds in a unit of timestamps.
    pub(super) unit: i64,
    pub(super) changed: Option<Pointer>,
    pub(super) fields: Vec<Vec<String>>,
    pub(super) process: Vec<RangeInclusive<u16>>,
    pub(super) skip: Vec<RangeInclusive<u16>>,
    pub(super) max_bytes: u64,
}

/// The configuration of a task.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) topic: String,
    pub(super) request: RequestSettings,
    pub(super) response: ResponseSettings,
    pub(super) entities: Vec<Map<String, Value>>,
    pub(super) initial: Map<String, Value>,
    pub(super) interval: Duration,
    pub(super) catchup: Duration,
    /// The least time between two requests.
    pub(super) spacing: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) read_timeout: Duration,
    pub(super) idle: Duration,
    /// How to go out, where not directly.
    pub(super) proxy: Option<Proxy>,
}

impl Settings {
    /// Reads a configuration.
    ///
    /// # Errors
    /// A value that does not fit.
    pub(super) fn read(config: &Config) -> Result<Self, ConfigError> {
        let config = &config.clone().with_defaults(&config_def());
        let this = Self {
            topic: config.text("kafka.topic")?.to_owned(),
            request: request(config)?,
            response: response(config)?,
            entities: entities(config)?,
            initial: initial(config)?,
            interval: millis(config, "http.timer.interval.millis")?,
            catchup: millis(config, "http.timer.catchup.interval.millis")?,
            spacing: match config.number::<u32>("http.rate.limit.per.minute")? {
                0 => Duration::ZERO,
                limit => Duration::from_secs(60) / limit,
            },
            connect_timeout: millis(config, "http.client.connection.timeout.millis")?,
            read_timeout: millis(config, "http.client.read.timeout.millis")?,
            idle: millis(config, "http.client.connection.ttl.millis")?,
            proxy: proxy(config)?,
        };
        this.check_names()?;
        Ok(this)
    }

    /// Every name in a template must have a value before the first response: of an entity, or an initial one.
    fn check_names(&self) -> Result<(), ConfigError> {
        let request = &self.request;
        let mut all: Vec<(&str, &Template)> = vec![("http.request.url", &request.url)];
        all.extend(request.params.iter().map(|(_, t)| ("http.request.params", t)));
        all.extend(request.secret_params.iter().map(|(_, t)| ("http.request.secret.params", t)));
        all.extend(request.headers.iter().map(|(_, t)| ("http.request.headers", t)));
        all.extend(request.body.iter().map(|t| ("http.request.body", t)));
        for (key, template) in all {
            for name in template.names() {
                let known = match name.strip_prefix("entity.") {
                    Some(field) => self.entities.first().is_some_and(|e| e.contains_key(field)),
                    None => self.initial.contains_key(offset_name(name)),
                };
                if !known {
                    return Err(ConfigError::new(
                        key,
                        format!(
                            "${{{name}}} has no value: give offsets a first one in http.offset.initial, entities in \
                             http.request.entities"
                        ),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The name of an offset's property in a template; `offset.` may be left out, as in older versions of the real connector.
pub(super) fn offset_name(name: &str) -> &str {
    name.strip_prefix("offset.").unwrap_or(name)
}

fn request(config: &Config) -> Result<RequestSettings, ConfigError> {
    let url = config.text("http.request.url")?;
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(ConfigError::new("http.request.url", "must start with http:// or https://"));
    }
    let method = config.text("http.request.method")?.to_ascii_uppercase();
    let body = config.get("http.request.body");
    if body.is_some() && method == "GET" {
        return Err(ConfigError::new("http.request.body", "needs http.request.method=POST or PUT"));
    }
    let password = config.get("http.auth.password").unwrap_or_default().to_owned();
    let authorization = match config.text("http.auth.type")? {
        "Basic" => Some(Authorization::Basic(config.text("http.auth.user")?.to_owned(), password)),
        "Bearer" => {
            config.text("http.auth.password")?;
            Some(Authorization::Bearer(password))
        }
        "None" => None,
        other => {
            return Err(ConfigError::new(
                "http.auth.type",
                format!("invalid value {other}: expected None, Basic or Bearer"),
            ));
        }
    };
    Ok(RequestSettings {
        method,
        url: template("http.request.url", url)?,
        params: pairs(config, "http.request.params", '&', '=')?,
        secret_params: pairs(config, "http.request.secret.params", '&', '=')?,
        headers: pairs(config, "http.request.headers", ',', ':')?,
        body: body.map(|b| template("http.request.body", b)).transpose()?,
        authorization,
    })
}

fn response(config: &Config) -> Result<ResponseSettings, ConfigError> {
    let optional = |key: &str| config.get(key).map(|p| pointer(key, p)).transpose();
    let record_offset = pointers(config, "http.response.record.offset.pointer")?;
    let special = |name: &str| record_offset.iter().find(|(n, _)| n == name).map(|(_, p)| p.clone());
    Ok(ResponseSettings {
        list: pointer("http.response.list.pointer", config.text("http.response.list.pointer")?)?,
        record: pointer("http.response.record.pointer", config.text("http.response.record.pointer")?)?,
        key: optional("http.response.record.key.pointer")?.or_else(|| special("key")),
        timestamp: optional("http.response.record.timestamp.pointer")?.or_else(|| special("timestamp")),
        record_offset,
        offset: pointers(config, "http.response.offset.pointer")?,
        unit: if config.get("http.response.record.timestamp.unit") == Some("seconds") { 1000 } else { 1 },
        changed: optional("http.response.record.changed.pointer")?,
        fields: config
            .list("http.response.record.fields")
            .into_iter()
            .map(|f| f.split('.').map(str::to_owned).collect())
            .collect(),
        process: codes(config, "http.response.policy.codes.process")?,
        skip: codes(config, "http.response.policy.codes.skip")?,
        max_bytes: config.number("http.response.max.bytes")?,
    })
}

fn template(key: &str, text: &str) -> Result<Template, ConfigError> {
    Template::parse(text).map_err(|reason| ConfigError::new(key, reason))
}

fn millis(config: &Config, key: &str) -> Result<Duration, ConfigError> {
    Ok(Duration::from_millis(config.number::<u32>(key)?.into()))
}

fn pairs(
    config: &Config,
    key: &str,
    between: char,
    within: char,
) -> Result<Vec<(String, Template)>, ConfigError> {
    let mut pairs = Vec::new();
    let text = config.get(key).unwrap_or_default();
    for pair in text.split(between).map(str::trim).filter(|p| !p.is_empty()) {
        let Some((name, value)) = pair.split_once(within) else {
            return Err(ConfigError::new(
                key,
                format!("expected pairs of name{within}value, separated by {between}"),
            ));
        };
        pairs.push((name.trim().to_owned(), template(key, value.trim())?));
    }
    Ok(pairs)
}

fn pointer(key: &str, text: &str) -> Result<Pointer, ConfigError> {
    match text {
        "/" => Ok(Pointer(String::new())),
        text if text.starts_with('/') => Ok(Pointer(text.to_owned())),
        other => Err(ConfigError::new(key, format!("invalid JSON pointer {other}: it must start with /"))),
    }
}

fn pointers(config: &Config, key: &str) -> Result<Vec<(String, Pointer)>, ConfigError> {
    let mut pointers = Vec::new();
    for pair in config.list(key) {
        let Some((name, text)) = pair.split_once('=') else {
            return Err(ConfigError::new(key, format!("invalid value {pair}: expected name=/pointer")));
        };
        let name = name.trim();
        if [RECORDS, CHANGED].contains(&name) {
            return Err(ConfigError::new(
                key,
                format!("{name} is a property of the connector's own: use another name"),
            ));
        }
        pointers.push((name.to_owned(), pointer(key, text.trim())?));
    }
    Ok(pointers)
}

fn initial(config: &Config) -> Result<Map<String, Value>, ConfigError> {
    let key = "http.offset.initial";
    let mut initial = Map::new();
    for pair in config.list(key) {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(ConfigError::new(key, format!("invalid value {pair}: expected property=value")));
        };
        initial.insert(name.trim().to_owned(), value.trim().into());
    }
    Ok(initial)
}

fn codes(config: &Config, key: &str) -> Result<Vec<RangeInclusive<u16>>, ConfigError> {
    let mut ranges = Vec::new();
    for range in config.list(key) {
        let (from, to) = range.split_once("..").unwrap_or((range, range));
        let (Ok(from), Ok(to)) = (from.trim().parse(), to.trim().parse()) else {
            return Err(ConfigError::new(
                key,
                format!("invalid value {range}: expected a range such as 200..299"),
            ));
        };
        ranges.push(from..=to);
    }
    Ok(ranges)
}

fn entities(config: &Config) -> Result<Vec<Map<String, Value>>, ConfigError> {
    let key = "http.request.entities";
    let fields = config.list("http.request.entity.fields");
    let mut entities = Vec::new();
    for text in config.list(key) {
        if let Some((from, to)) = text.split_once("..") {
            let (Ok(from), Ok(to), [field]) = (from.parse::<u64>(), to.parse::<u64>(), fields.as_slice())
            else {
                return Err(ConfigError::new(
                    key,
                    format!("invalid range {text}: expected numbers of one field"),
                ));
            };
            if to.saturating_sub(from) >= MAX_ENTITIES as u64 {
                return Err(ConfigError::new(key, format!("{text} has more than {MAX_ENTITIES} members")));
            }
            entities
                .extend((from..=to).map(|id| Map::from_iter([((*field).to_owned(), id.to_string().into())])));
            continue;
        }
        let values: Vec<&str> = text.split(':').map(str::trim).collect();
        if values.len() != fields.len() {
            let reason =
                format!("{text} has {} values, http.request.entity.fields {}", values.len(), fields.len());
            return Err(ConfigError::new(key, reason));
        }
        entities.push(fields.iter().zip(values).map(|(f, v)| ((*f).to_owned(), v.into())).collect());
    }
    if entities.len() > MAX_ENTITIES {
        return Err(ConfigError::new(key, format!("has more than {MAX_ENTITIES} members")));
    }
    Ok(entities)
}

fn proxy(config: &Config) -> Result<Option<Proxy>, ConfigError> {
    let Some(host) = config.get("http.client.proxy.host") else { return Ok(None) };
    let login = config.get("http.client.proxy.username").map(|user| {
        (user.to_owned(), config.get("http.client.proxy.password").unwrap_or_default().to_owned())
    });
    Ok(Some(Proxy { host: host.to_owned(), port: config.number("http.client.proxy.port")?, login }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(changes: &[(&str, &str)]) -> Config {
        let config = Config::default().with("http.request.url", "http://h/p").with("kafka.topic", "t");
        changes.iter().fold(config, |config, (key, value)| config.with(key, *value))
    }

    #[test]
    fn defaults_are_those_of_the_real_connector() {
        let settings = Settings::read(&config(&[])).unwrap();
        assert_eq!((settings.interval.as_secs(), settings.catchup.as_secs()), (60, 30));
        assert_eq!((settings.read_timeout.as_secs(), settings.request.method.as_str()), (2, "GET"));
        let json = json!({"a": 1});
        assert_eq!(settings.response.list.of(&json), Some(&json));
        assert_eq!(settings.response.process, [200..=299]);
    }

    #[test]
    fn entities_are_values_ranges_and_tuples() {
        let read = |entities, fields| {
            let config =
                config(&[("http.request.entities", entities), ("http.request.entity.fields", fields)]);
            Settings::read(&config).map(|s| Value::Array(s.entities.into_iter().map(Value::Object).collect()))
        };
        assert_eq!(read("7, 9..10", "id").unwrap(), json!([{"id": "7"}, {"id": "9"}, {"id": "10"}]));
        assert_eq!(read("1.5:-2", "lat,lon").unwrap(), json!([{"lat": "1.5", "lon": "-2"}]));
        assert!(read("1:2:3", "lat,lon").is_err());
        assert!(read("1..2", "lat,lon").is_err());
        assert!(read("0..99999999", "id").is_err());
    }

    #[test]
    fn wrong_values_are_named() {
        for (key, value) in [
            ("http.request.url", "ftp://h"),
            ("http.request.url", "http://h/${offset.cursor}"),
            ("http.request.params", "id=${entity.id}"),
            ("http.request.params", "a=1&b"),
            ("http.request.headers", "Accept"),
            ("http.request.body", "x"),
            ("http.response.list.pointer", "list"),
            ("http.response.offset.pointer", "/next"),
            ("http.offset.initial", "cursor"),
            ("http.response.policy.codes.process", "ok"),
            ("http.timer.interval.millis", "-1"),
            ("http.auth.type", "Digest"),
        ] {
            assert_eq!(Settings::read(&config(&[(key, value)])).unwrap_err().key, key, "{value}");
        }
    }
}
