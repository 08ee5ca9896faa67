//! Requests and answers.

use std::collections::BTreeMap;

use axum::http::{Method, Uri};
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::error::{EsError, EsResult};

/// A request.
pub(super) struct Call {
    pub(super) method: Method,
    /// Segments of the path, decoded.
    pub(super) path: Vec<String>,
    /// As it was sent, with parameters.
    pub(super) uri: String,
    pub(super) params: BTreeMap<String, String>,
    pub(super) body: Bytes,
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: Vec<u8>,
}

fn decode(text: &str, plus: bool) -> EsResult<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' if plus => b' ',
            b'%' => {
                let digits =
                    [rest.next(), rest.next()].map(|digit| digit.and_then(|d| char::from(d).to_digit(16)));
                match digits {
                    [Some(high), Some(low)] => (high * 16 + low) as u8,
                    _ => return Err(EsError::illegal(format!("invalid escape sequence in [{text}]"))),
                }
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| EsError::illegal(format!("[{text}] is not UTF-8")))
}

impl Call {
    pub(super) fn new(method: &Method, uri: &Uri, body: Bytes) -> EsResult<Call> {
        let path = uri.path().split('/').filter(|segment| !segment.is_empty());
        let path = path.map(|segment| decode(segment, false)).collect::<EsResult<_>>()?;
        let mut params = BTreeMap::new();
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            params.insert(decode(key, true)?, decode(value, true)?);
        }
        Ok(Call { method: method.clone(), path, uri: uri.to_string(), params, body })
    }

    /// A parameter.
    pub(super) fn param(&self, key: &str) -> Option<&str> {
        self.params.get(key).map(String::as_str)
    }

    /// Whether a parameter is given as true, or without a value.
    pub(super) fn flag(&self, key: &str) -> EsResult<bool> {
        match self.param(key) {
            None | Some("false") => Ok(false),
            Some("" | "true") => Ok(true),
            Some(other) => Err(EsError::illegal(format!(
                "Failed to parse value [{other}] as only [true] or [false] are allowed."
            ))),
        }
    }

    /// The body as JSON; null if there is none.
    pub(super) fn json(&self) -> EsResult<Value> {
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body).map_err(|e| {
            EsError::new(
                400,
                "parsing_exception",
                format!("[{}:{}] the body is not JSON: {e}", e.line(), e.column()),
            )
        })
    }

    /// Refuses parameters that the path does not know.
    pub(super) fn allow(&self, known: &[&str]) -> EsResult<()> {
        const EVERYWHERE: [&str; 3] = ["pretty", "human", "error_trace"];
        let unknown: Vec<&str> = self
            .params
            .keys()
            .map(String::as_str)
            .filter(|key| !known.contains(key) && !EVERYWHERE.contains(key))
            .collect();
        let path = self.uri.split('?').next().unwrap_or_default();
        match unknown.as_slice() {
            [] => Ok(()),
            [one] => {
                Err(EsError::illegal(format!("request [{path}] contains unrecognized parameter: [{one}]")))
            }
            many => {
                let list: Vec<String> = many.iter().map(|key| format!("[{key}]")).collect();
                Err(EsError::illegal(format!(
                    "request [{path}] contains unrecognized parameters: {}",
                    list.join(", ")
                )))
            }
        }
    }
}

impl Answer {
    pub(super) fn json(status: u16, value: &impl Serialize) -> Answer {
        match serde_json::to_vec(value) {
            Ok(body) => Answer { status, content_type: "application/json", body },
            Err(error) => {
                Answer::error(&EsError::internal(format!("the answer cannot be written: {error}")), "")
            }
        }
    }

    pub(super) fn text(status: u16, text: String) -> Answer {
        Answer { status, content_type: "text/plain; charset=UTF-8", body: text.into_bytes() }
    }

    pub(super) fn error(error: &EsError, index: &str) -> Answer {
        let body = error.body(index).to_string().into_bytes();
        Answer { status: error.status, content_type: "application/json", body }
    }

    /// Lines and indentation for people.
    pub(super) fn pretty(mut self) -> Answer {
        if self.content_type == "application/json"
            && let Ok(value) = serde_json::from_slice::<Value>(&self.body)
            && let Ok(mut body) = serde_json::to_vec_pretty(&value)
        {
            body.push(b'\n');
            self.body = body;
        }
        self
    }
}
