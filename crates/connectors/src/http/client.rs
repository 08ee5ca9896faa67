//! One request and its answer. Nothing secret gets into a message.

use super::settings::{Authorization, RequestSettings, Settings, offset_name};
use super::template::{Template, percent, plain};
use base64::Engine as _;
use bd_connect::sdk::TaskError;
use serde_json::{Map, Value};
use std::io::Read;
use std::time::Duration;
use ureq::http::{Request, Response};
use ureq::{Agent, Body, Proxy, ProxyProtocol};

/// What of a body a message shows.
const SHOWN: usize = 300;
/// The longest `Retry-After` that is kept to.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// The body of an answer that is to be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// All of it.
    Body(Vec<u8>),
    /// The start of one that is too long.
    TooLong(Vec<u8>),
    /// There is nothing to read.
    Skip,
}

/// Sends requests.
pub(super) struct Client {
    agent: Agent,
}

/// A request with all its names filled in.
struct Filled {
    url: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
    /// What to name it by: no query, no user.
    shown: String,
    secrets: Vec<String>,
}

impl Client {
    /// A client.
    ///
    /// # Errors
    /// [`TaskError::Fatal`]: the proxy's address is none.
    pub(super) fn new(settings: &Settings) -> Result<Self, TaskError> {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(settings.connect_timeout))
            .timeout_global(Some(settings.connect_timeout + settings.read_timeout))
            .max_idle_age(settings.idle)
            .proxy(None);
        if let Some(super::settings::Proxy { host, port, login }) = &settings.proxy {
            let mut proxy = Proxy::builder(ProxyProtocol::Http).host(host).port(*port);
            if let Some((user, password)) = login {
                proxy = proxy.username(user).password(password);
            }
            let wrong = |_| {
                TaskError::Fatal(format!("http.client.proxy.host: {host}:{port} is no address of a proxy"))
            };
            config = config.proxy(Some(proxy.build().map_err(wrong)?));
        }
        Ok(Self { agent: config.build().new_agent() })
    }

    /// Sends a request for an entity from an offset.
    ///
    /// # Errors
    /// See [`TaskError`]; the message names URL and status, without secrets.
    pub(super) fn get(
        &self,
        settings: &Settings,
        entity: &Map<String, Value>,
        offset: &Map<String, Value>,
    ) -> Result<Answer, TaskError> {
        let request = &settings.request;
        let filled = fill(request, entity, offset)?;
        let mut result = self.send(settings, &filled)?;
        // A server may end a kept connection while the request is on its way; a GET may be repeated then (RFC 9110, 9.2.2).
        if settings.request.method == "GET" && result.as_ref().is_err_and(is_cut) {
            result = self.send(settings, &filled)?;
        }
        let response = result.map_err(|e| failed(&e, &filled))?;
        read(response, &filled, settings)
    }

    fn send(
        &self,
        settings: &Settings,
        filled: &Filled,
    ) -> Result<Result<Response<Body>, ureq::Error>, TaskError> {
        let mut builder =
            Request::builder().method(settings.request.method.as_str()).uri(filled.url.as_str());
        for (name, value) in &filled.headers {
            builder = builder.header(name, value);
        }
        let wrong = |_| TaskError::Fatal(format!("HTTP: {}: the URL or a header is not valid", filled.shown));
        Ok(match &filled.body {
            Some(body) => self.agent.run(builder.body(body.as_str()).map_err(wrong)?),
            None => self.agent.run(builder.body(()).map_err(wrong)?),
        })
    }
}

/// The text of a value in a template.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn fill(
    request: &RequestSettings,
    entity: &Map<String, Value>,
    offset: &Map<String, Value>,
) -> Result<Filled, TaskError> {
    let value = |name: &str| match name.strip_prefix("entity.") {
        Some(field) => entity.get(field).and_then(text),
        None => offset.get(offset_name(name)).and_then(text),
    };
    let fill = |template: &Template, write: fn(&str) -> String| {
        let missing =
            |name| TaskError::Fatal(format!("HTTP: ${{{name}}} has no value: set http.offset.initial"));
        template.fill(&value, write).map_err(missing)
    };
    let mut url = fill(&request.url, percent)?;
    let mut secrets = secrets_of(&url);
    let shown = shown(&request.method, &url, entity);
    for (params, secret) in [(&request.params, false), (&request.secret_params, true)] {
        for (name, template) in params {
            let value = fill(template, plain)?;
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&format!("{}={}", percent(name), percent(&value)));
            if secret || is_secret(name) {
                secrets.push(value);
            }
        }
    }
    let mut headers = Vec::new();
    for (name, template) in &request.headers {
        let value = fill(template, plain)?;
        if is_secret(name) {
            secrets.push(value.clone());
        }
        headers.push((name.clone(), value));
    }
    match &request.authorization {
        Some(Authorization::Basic(user, password)) => {
            let login = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            headers.push(("Authorization".to_owned(), format!("Basic {login}")));
            secrets.extend([login, password.clone()]);
        }
        Some(Authorization::Bearer(token)) => {
            headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
            secrets.push(token.clone());
        }
        None => {}
    }
    let body = request.body.as_ref().map(|b| fill(b, plain)).transpose()?;
    secrets.extend(secrets.iter().map(|s| percent(s)).collect::<Vec<_>>());
    secrets.retain(|s| !s.is_empty());
    Ok(Filled { url, headers, body, shown, secrets })
}

/// Whether a parameter or header of that name is not for every eye.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["appid", "key", "token", "secret", "password", "auth", "sig", "cookie"]
        .iter()
        .any(|part| name.contains(part))
}

/// The values of such parameters in a URL's query, as they stand there.
fn secrets_of(url: &str) -> Vec<String> {
    let Some((_, query)) = url.split_once('?') else { return Vec::new() };
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| is_secret(name)).map(|(_, value)| value.to_owned()).collect()
}

fn shown(method: &str, url: &str, entity: &Map<String, Value>) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let url = match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            format!("{scheme}://{host}/{path}")
        }
        None => url.to_owned(),
    };
    let fields: Vec<String> = entity.iter().filter_map(|(k, v)| Some(format!("{k}={}", text(v)?))).collect();
    if fields.is_empty() {
        format!("{method} {url}")
    } else {
        format!("{method} {url} ({})", fields.join(", "))
    }
}

/// Whether the connection ended before an answer began.
fn is_cut(error: &ureq::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error, ureq::Error::Io(e)
        if matches!(e.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
}

fn failed(error: &ureq::Error, filled: &Filled) -> TaskError {
    let shown = &filled.shown;
    match error {
        ureq::Error::Timeout(what) => TaskError::Retriable(format!(
            "HTTP: {shown} took too long ({what}): see http.client.connection.timeout.millis and http.client.read.timeout.millis"
        )),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            TaskError::Fatal(format!("HTTP: {shown}: the URL or a header is not valid"))
        }
        other => TaskError::Retriable(masked(&format!("HTTP: {shown} failed: {other}"), &filled.secrets)),
    }
}

fn masked(text: &str, secrets: &[String]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
}

fn read(mut response: Response<Body>, filled: &Filled, settings: &Settings) -> Result<Answer, TaskError> {
    let rules = &settings.response;
    let status = response.status().as_u16();
    let within = |ranges: &[std::ops::RangeInclusive<u16>]| ranges.iter().any(|r| r.contains(&status));
    if !within(&rules.process) {
        return if within(&rules.skip) { Ok(Answer::Skip) } else { Err(refused(response, status, filled)) };
    }
    let mut body = Vec::new();
    let limit = rules.max_bytes.saturating_add(1);
    let read = response.body_mut().with_config().limit(u64::MAX).reader().take(limit).read_to_end(&mut body);
    if let Err(error) = read {
        return Err(failed(&ureq::Error::from(error), filled));
    }
    if body.len() as u64 == limit {
        return Ok(Answer::TooLong(body));
    }
    Ok(if body.is_empty() { Answer::Skip } else { Answer::Body(body) })
}

/// The failure that a status stands for.
fn refused(mut response: Response<Body>, status: u16, filled: &Filled) -> TaskError {
    let wait = response
        .headers()
        .get("Retry-After")
        .and_then(|v| v.to_str().ok())
        .and_then(|v| retry_after(v, chrono::Utc::now().timestamp()));
    let mut start = Vec::new();
    // What does not come is not shown.
    let _ = response.body_mut().as_reader().take(16 * SHOWN as u64).read_to_end(&mut start);
    let start = masked(&String::from_utf8_lossy(&start), &filled.secrets);
    let start: String = start.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let message = format!("HTTP: {} answered {status}: {}", filled.shown, start.trim());
    match (status, wait) {
        (429 | 503, Some(wait)) => TaskError::RetryAfter { message, wait },
        (408 | 425 | 429 | 500.., _) => TaskError::Retriable(message),
        (401 | 403, _) => {
            TaskError::Fatal(format!("{message}; check the credentials (http.auth.*, http.request.*)"))
        }
        (404, _) => TaskError::Fatal(format!("{message}; check http.request.url")),
        _ => TaskError::Fatal(format!("{message}; check http.request.* and http.response.policy.codes.*")),
    }
}

/// `Retry-After` (RFC 9110, 10.2.3): seconds, or a date.
fn retry_after(value: &str, now: i64) -> Option<Duration> {
    let value = value.trim();
    let seconds = match value.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let date = chrono::DateTime::parse_from_rfc2822(value).ok()?;
            u64::try_from(date.timestamp() - now).unwrap_or(0)
        }
    };
    Some(Duration::from_secs(seconds).min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = 784_111_777;
        for (value, seconds) in [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", Some(0)),
            ("99999999999", Some(24 * 3600)),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(retry_after(value, now), seconds.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn what_is_shown_has_neither_query_nor_user() {
        let entity = Map::from_iter([("id".to_owned(), "17".into())]);
        assert_eq!(shown("GET", "https://u:p@h:1/a/b?appid=x", &entity), "GET https://h:1/a/b (id=17)");
        assert_eq!(shown("GET", "http://h?x=1", &Map::new()), "GET http://h/");
    }
}
