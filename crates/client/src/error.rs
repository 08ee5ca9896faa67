//! What can go wrong, and Kafka's error codes as people know them.

use kafka_protocol::ResponseError;
use std::{fmt, io};

/// An error code of a response, shown as Kafka writes it: `UNKNOWN_TOPIC_OR_PARTITION (3)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(pub i16);

impl Code {
    /// The name in Kafka's spelling, such as `TOPIC_ALREADY_EXISTS`; `NONE` for 0.
    pub fn name(self) -> String {
        let Some(error) = ResponseError::try_from_code(self.0) else { return "NONE".into() };
        let words = match error {
            ResponseError::Unknown(_) => "UnknownServerError".to_owned(),
            error => error.to_string(),
        };
        let mut name = String::with_capacity(words.len() + 4);
        for (i, c) in words.chars().enumerate() {
            if i > 0 && c.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(c.to_ascii_uppercase());
        }
        name
    }

    /// The code as an error, `None` for 0.
    pub fn error(self) -> Option<ResponseError> {
        ResponseError::try_from_code(self.0)
    }

    /// Whether the same request may succeed later.
    pub fn is_retriable(self) -> bool {
        self.error().is_some_and(|error| error.is_retriable())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

/// Why the client could not do what it was asked. `broker` is `host:port`, `request` the API's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A setting that cannot be.
    #[error("{key}: {reason}")]
    Config {
        /// The key.
        key: String,
        /// What is wrong and what is expected.
        reason: String,
    },
    /// No connection to one broker.
    #[error("cannot connect to {broker}: {reason}")]
    Connect {
        /// Where to.
        broker: String,
        /// Why not.
        reason: String,
    },
    /// None of the bootstrap servers answers.
    #[error("no bootstrap server answers: {0}")]
    Bootstrap(String),
    /// Authentication failed.
    #[error("{broker}: SASL {mechanism} authentication failed: {reason}")]
    Authentication {
        /// Who refused.
        broker: String,
        /// The SASL mechanism.
        mechanism: String,
        /// Why.
        reason: String,
    },
    /// The connection broke.
    #[error("{broker}: {request}: {source}")]
    Io {
        /// Which broker.
        broker: String,
        /// Which request.
        request: String,
        /// What the socket said.
        source: io::Error,
    },
    /// No answer in time.
    #[error("{broker}: {request}: no answer within {ms} ms")]
    Timeout {
        /// Which broker.
        broker: String,
        /// Which request.
        request: String,
        /// How long was waited.
        ms: u128,
    },
    /// The broker does not know the request, or in no version that this client speaks.
    #[error("{broker} does not answer {request} in a version that is known here ({reason})")]
    Unsupported {
        /// Which broker.
        broker: String,
        /// Which request.
        request: String,
        /// Its versions and ours.
        reason: String,
    },
    /// Bytes that are not what the protocol says.
    #[error("{broker}: {request}: {reason}")]
    Malformed {
        /// Which broker.
        broker: String,
        /// Which request.
        request: String,
        /// What is wrong.
        reason: String,
    },
    /// The broker answered with an error code.
    #[error("{request} {resource}: {code}{}{message}", if message.is_empty() { "" } else { ": " })]
    Response {
        /// Which request.
        request: String,
        /// What it was about: `topic orders`, `orders-3`, `group billing`.
        resource: String,
        /// The code.
        code: Code,
        /// What the broker said besides, or nothing.
        message: String,
    },
    /// A topic or partition without a leader, or not there.
    #[error("{topic}-{partition}: {reason}")]
    Partition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What is wrong.
        reason: String,
    },
    /// Record batches that cannot be decoded.
    #[error("{topic}-{partition} at offset {offset}: {reason}")]
    Records {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where in it.
        offset: i64,
        /// What is wrong.
        reason: String,
    },
}

impl ClientError {
    /// The error of a response, for its checks.
    pub fn response(request: &str, resource: impl fmt::Display, code: i16, message: Option<&str>) -> Self {
        let message = message.unwrap_or_default().to_owned();
        Self::Response {
            request: request.to_owned(),
            resource: resource.to_string(),
            code: Code(code),
            message,
        }
    }

    /// `Ok` for code 0.
    ///
    /// # Errors
    /// [`ClientError::Response`] for any other code.
    pub fn check(
        request: &str,
        resource: impl fmt::Display,
        code: i16,
        message: Option<&str>,
    ) -> Result<(), Self> {
        if code == 0 { Ok(()) } else { Err(Self::response(request, resource, code, message)) }
    }

    /// Whether it may go away by itself: the connection broke, or a broker said so.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Response { code, .. } => code.is_retriable(),
            Self::Connect { .. } | Self::Bootstrap(_) | Self::Io { .. } | Self::Timeout { .. } => true,
            _ => false,
        }
    }

    /// The code, if the broker answered with one.
    pub fn code(&self) -> Option<Code> {
        if let Self::Response { code, .. } = self { Some(*code) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_shown_as_kafka_writes_them() {
        assert_eq!(Code(0).to_string(), "NONE (0)");
        assert_eq!(Code(36).to_string(), "TOPIC_ALREADY_EXISTS (36)");
        assert_eq!(Code(-1).to_string(), "UNKNOWN_SERVER_ERROR (-1)");
        assert_eq!(Code(9999).to_string(), "UNKNOWN_SERVER_ERROR (9999)");
    }

    #[test]
    fn an_answer_names_request_resource_code_and_text() {
        let error = ClientError::response("CreateTopics", "topic t", 36, Some("Topic 't' already exists."));
        let text = "CreateTopics topic t: TOPIC_ALREADY_EXISTS (36): Topic 't' already exists.";
        assert_eq!(error.to_string(), text);
        assert_eq!(
            ClientError::response("Fetch", "t-0", 1, None).to_string(),
            "Fetch t-0: OFFSET_OUT_OF_RANGE (1)"
        );
    }
}
