//! HTTP to Elasticsearch: one kept connection, the next address when one does not answer.

use super::config::Settings;
use base64::Engine;
use bd_connect::sdk::TaskError;
use std::time::Duration;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// The most bytes of an answer that are read.
const MAX_ANSWER: u64 = 64 << 20;
/// The longest pause that `Retry-After` may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

/// An answer of any status.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON, null if it is none.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The status and what the body says of it.
    pub(super) fn describe(&self) -> String {
        let json = self.json();
        match json.get("error") {
            Some(error) => format!("{} ({})", super::bulk::reason(error), self.status),
            None => {
                let start = &self.body[..self.body.len().min(200)];
                format!("status {}: {}", self.status, String::from_utf8_lossy(start).trim())
            }
        }
    }

    /// Whether the same request may work later.
    pub(super) fn may_work_later(&self) -> bool {
        matches!(self.status, 408 | 429 | 500..=599)
    }
}

/// How to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call<'a> {
    Head,
    Get,
    Put(&'a [u8]),
    /// With NDJSON.
    Post(&'a [u8]),
}

pub(super) struct Client {
    agent: ureq::Agent,
    urls: Vec<String>,
    /// The address in use.
    at: usize,
    authorization: Option<String>,
}

impl Client {
    /// No connection is made yet.
    ///
    /// # Errors
    /// The trust store cannot be read.
    pub(super) fn new(settings: &Settings) -> Result<Self, TaskError> {
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .max_idle_connections(1)
            .max_idle_connections_per_host(1)
            .user_agent(concat!("bd/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(settings.connect_timeout))
            .timeout_recv_response(Some(settings.read_timeout))
            .timeout_recv_body(Some(settings.read_timeout));
        if let Some(path) = &settings.truststore {
            let tls = TlsConfig::builder().root_certs(authorities(path)?).build();
            config = config.tls_config(tls);
        }
        let authorization = settings.credentials.as_ref().map(|(user, password)| {
            let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            format!("Basic {text}")
        });
        Ok(Self { agent: config.build().into(), urls: settings.urls.clone(), at: 0, authorization })
    }

    /// The address in use.
    pub(super) fn url(&self) -> &str {
        self.urls.get(self.at).map_or("", String::as_str)
    }

    /// Calls a path, such as `/_bulk`. The next call goes to the next address if this one does not answer.
    ///
    /// # Errors
    /// No answer: says of what, and why.
    pub(super) fn call(&mut self, call: Call<'_>, path: &str) -> Result<Answer, String> {
        let url = format!("{}{path}", self.url());
        self.try_call(call, &url).map_err(|e| {
            self.turn();
            format!("Elasticsearch at {url} does not answer: {e}")
        })
    }

    /// Uses the next address from now on.
    pub(super) fn turn(&mut self) {
        self.at = (self.at + 1) % self.urls.len().max(1);
    }

    fn try_call(&self, call: Call<'_>, url: &str) -> Result<Answer, ureq::Error> {
        let auth = |name: &'static str| (name, self.authorization.as_deref().unwrap_or_default());
        let (name, value) = auth("authorization");
        let mut answer = match call {
            Call::Head | Call::Get => {
                let mut request = if call == Call::Head { self.agent.head(url) } else { self.agent.get(url) };
                if !value.is_empty() {
                    request = request.header(name, value);
                }
                request.call()?
            }
            Call::Put(body) | Call::Post(body) => {
                let (request, kind) = match call {
                    Call::Post(_) => (self.agent.post(url), "application/x-ndjson"),
                    _ => (self.agent.put(url), "application/json"),
                };
                let mut request = request.header("content-type", kind);
                if !value.is_empty() {
                    request = request.header(name, value);
                }
                request.send(body)?
            }
        };
        let retry_after = answer.headers().get("retry-after").and_then(|v| v.to_str().ok());
        let retry_after = retry_after
            .and_then(|v| v.trim().parse().ok())
            .map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec()?;
        Ok(Answer { status, retry_after, body })
    }
}

fn authorities(path: &str) -> Result<RootCerts, TaskError> {
    let key = "elastic.https.ssl.truststore.location";
    let pem = std::fs::read(path)
        .map_err(|e| TaskError::Fatal(format!("{key}: {path} cannot be read: {e}; a PEM file wanted")))?;
    let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(TaskError::Fatal(format!("{key}: {path} holds no certificate in PEM form")));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}
