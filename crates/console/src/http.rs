//! A role over HTTP: blocking calls with time-outs, answers of bounded size.

use crate::config::{Auth, Endpoint};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::time::Duration;
use ureq::Agent;
use ureq::Body;
use ureq::http::Response;

/// Answers longer than this are refused; a panel's is a few hundred KB at most.
const MAX_ANSWER: u64 = 16 << 20;
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Why a call gave no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// Nobody answers, or not in time.
    #[error("{what} at {url} does not answer: {reason}")]
    Away { what: &'static str, url: String, reason: String },
    /// The answer is an error; `message` is the role's own words.
    #[error("{what} answers {status}: {message}")]
    Status { what: &'static str, status: u16, message: String },
    /// The answer cannot be understood.
    #[error("{what} at {url} gave an answer that is not understood: {reason}")]
    Garbled { what: &'static str, url: String, reason: String },
}

impl CallError {
    pub(crate) fn status(&self) -> Option<u16> {
        if let CallError::Status { status, .. } = self { Some(*status) } else { None }
    }
}

/// One role. Connections are kept and shared.
pub(crate) struct Remote {
    what: &'static str,
    url: String,
    authorization: Option<String>,
    agent: Agent,
}

impl Remote {
    /// `what` names the role in errors.
    pub(crate) fn new(what: &'static str, endpoint: &Endpoint) -> Self {
        let agent = Agent::config_builder()
            .timeout_connect(Some(CONNECT_WITHIN))
            .timeout_global(Some(ANSWER_WITHIN))
            .http_status_as_error(false)
            .max_idle_connections_per_host(4)
            .build()
            .new_agent();
        let authorization = endpoint.auth.as_ref().map(|auth| match auth {
            Auth::Basic { user, password } => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
            }
            Auth::ApiKey(key) => format!("ApiKey {key}"),
            Auth::Bearer(token) => format!("Bearer {token}"),
        });
        Self { what, url: endpoint.url.clone(), authorization, agent }
    }

    /// `GET path`, the body as text.
    pub(crate) fn get_text(&self, path: &str) -> Result<String, CallError> {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        self.answer(request.call())
    }

    /// `GET path`, the body as JSON.
    pub(crate) fn get(&self, path: &str) -> Result<Value, CallError> {
        self.parsed(&self.get_text(path)?)
    }

    /// `POST path` with a JSON body; `Null` where the answer has no body.
    pub(crate) fn post(&self, path: &str, body: Option<&Value>) -> Result<Value, CallError> {
        let mut request = self.agent.post(format!("{}{path}", self.url));
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let sent = match body {
            Some(body) => request.header("Content-Type", "application/json").send(body.to_string()),
            None => request.send_empty(),
        };
        let text = self.answer(sent)?;
        if text.trim().is_empty() { Ok(Value::Null) } else { self.parsed(&text) }
    }

    fn answer(&self, sent: Result<Response<Body>, ureq::Error>) -> Result<String, CallError> {
        let away = |e: ureq::Error| CallError::Away {
            what: self.what,
            url: self.url.clone(),
            reason: e.to_string(),
        };
        let mut response = sent.map_err(away)?;
        let text = response.body_mut().with_config().limit(MAX_ANSWER).read_to_string().map_err(away)?;
        if response.status().is_success() {
            return Ok(text);
        }
        let status = response.status().as_u16();
        Err(CallError::Status { what: self.what, status, message: message_of(&text) })
    }

    fn parsed(&self, text: &str) -> Result<Value, CallError> {
        serde_json::from_str(text).map_err(|e| CallError::Garbled {
            what: self.what,
            url: self.url.clone(),
            reason: e.to_string(),
        })
    }
}

/// The role's own words in an error's body: Elasticsearch's `error.reason`, Connect's and ksqlDB's `message`.
fn message_of(text: &str) -> String {
    let parsed = serde_json::from_str::<Value>(text).unwrap_or_default();
    let cause = parsed.pointer("/error/root_cause/0/reason");
    let found = cause.or_else(|| parsed.pointer("/error/reason")).or_else(|| parsed.get("message"));
    let found = found.or_else(|| parsed.get("error")).and_then(Value::as_str);
    found.unwrap_or(text).trim().chars().take(500).collect()
}

/// `text` as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_carry_the_roles_own_words() {
        let elasticsearch = r#"{"error":{"root_cause":[{"type":"x","reason":"no such index [a]"}],"reason":"all shards failed"},"status":404}"#;
        assert_eq!(message_of(elasticsearch), "no such index [a]");
        assert_eq!(message_of(r#"{"error_code":409,"message":"rebalance"}"#), "rebalance");
        assert_eq!(message_of("<html>"), "<html>");
    }

    #[test]
    fn a_segment_cannot_leave_its_place() {
        assert_eq!(segment("a/../b?c=é"), "a%2F..%2Fb%3Fc%3D%C3%A9");
    }
}
