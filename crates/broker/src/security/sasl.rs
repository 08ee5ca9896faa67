//! SASL exchanges, and what a connection knows of its own: both without I/O.
//!
//! ```text
//!  ApiVersions* ─▶ SaslHandshake(mechanism) ─▶ SaslAuthenticate(token)+ ─▶ authenticated ─▶ all requests
//!                                 version 0: raw tokens instead                └─▶ again before the session ends (KIP-368)
//! ```

use super::config::{SaslMechanism, SecurityConfig};
use super::scram::{ClientFirst, ScramError, ScramExchange};
use super::types::Principal;
use super::users::Users;
use std::time::{Duration, Instant};

/// What the server answers in an exchange.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The client is to go on.
    Continue(Vec<u8>),
    /// The client is who it says.
    Done { user: String, token: Vec<u8> },
}

/// An exchange fails.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SaslError {
    /// Clients are told no more than that; the reason is for the log.
    Invalid(String),
    /// Clients are told so.
    Told(String),
}

const OTHER_ID: &str =
    "Authentication failed: Client requested an authorization id that is different from username";

/// One exchange, as far as it has come.
pub(crate) enum Exchange {
    Plain,
    ScramFirst(super::ScramMechanism),
    ScramFinal {
        exchange: Box<ScramExchange>,
        /// Whether there is such a user.
        known: bool,
    },
    Over,
}

impl Exchange {
    pub(crate) fn new(mechanism: SaslMechanism) -> Self {
        match mechanism {
            SaslMechanism::Plain => Self::Plain,
            SaslMechanism::Scram(mechanism) => Self::ScramFirst(mechanism),
        }
    }

    /// Takes the client's next token. May take milliseconds of computing. After an error the exchange is over.
    pub(crate) fn respond(&mut self, users: &Users, token: &[u8]) -> Result<Reply, SaslError> {
        match std::mem::replace(self, Self::Over) {
            Self::Plain => plain(users, token),
            Self::ScramFirst(mechanism) => {
                let first = ClientFirst::parse(token).map_err(scram)?;
                let (credential, known) = users.credential(&first.user, mechanism);
                let nonce = users.nonce().map_err(|e| SaslError::Invalid(e.to_string()))?;
                let (exchange, answer) = ScramExchange::new(mechanism, first, credential, &nonce);
                *self = Self::ScramFinal { exchange: Box::new(exchange), known };
                Ok(Reply::Continue(answer))
            }
            Self::ScramFinal { exchange, known } => {
                let token = exchange.finish(token).map_err(scram)?;
                if !known {
                    return Err(SaslError::Invalid(format!("there is no user {}", exchange.user())));
                }
                Ok(Reply::Done { user: exchange.user().to_owned(), token })
            }
            Self::Over => Err(SaslError::Invalid("the exchange is over".into())),
        }
    }
}

fn scram(error: ScramError) -> SaslError {
    match error {
        ScramError::AuthorizationId => SaslError::Told(OTHER_ID.into()),
        other => SaslError::Invalid(other.to_string()),
    }
}

/// `[authorization id] NUL user NUL password` (RFC 4616).
fn plain(users: &Users, token: &[u8]) -> Result<Reply, SaslError> {
    let told = |text: &str| Err(SaslError::Told(text.to_owned()));
    let text = String::from_utf8_lossy(token);
    let parts: Vec<&str> = text.splitn(4, '\0').collect();
    let [id, user, password] = parts[..] else {
        let reason = format!("Invalid SASL/PLAIN response: expected 3 tokens, got {}", parts.len());
        return Err(SaslError::Told(reason));
    };
    if user.is_empty() {
        return told("Authentication failed: username not specified");
    }
    if password.is_empty() {
        return told("Authentication failed: password not specified");
    }
    if !users.is_password(user, password) {
        return told("Authentication failed: Invalid username or password");
    }
    if !id.is_empty() && id != user {
        return told(OTHER_ID);
    }
    Ok(Reply::Done { user: user.to_owned(), token: Vec::new() })
}

/// Authentication of one connection: where it is between two of its requests.
#[derive(Default)]
pub(crate) struct SaslState {
    /// By which mechanism, as whom.
    authenticated: Option<(SaslMechanism, Principal)>,
    /// When the client must have authenticated again.
    expires: Option<Instant>,
    /// When the last exchange began that was not the first.
    began: Option<Instant>,
    exchange: Option<Under>,
}

/// The exchange under way.
struct Under {
    mechanism: SaslMechanism,
    exchange: Exchange,
    /// SaslHandshake was version 0: tokens follow without a request around them.
    raw: bool,
}

/// A handshake is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HandshakeError {
    /// Not now.
    IllegalState,
    /// Not this one; those that are enabled are named to the client.
    Unsupported,
}

/// The answer to a token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The client is to go on.
    Continue(Vec<u8>),
    /// The client is who it says: the last token for it, and how long the session lasts, ms (0: without an end).
    Done(Principal, Vec<u8>, i64),
    /// Why, for the client; the connection is closed.
    Failed(String),
    /// Not now.
    IllegalState(&'static str),
}

impl SaslState {
    /// Whether the client should have authenticated again.
    pub(crate) fn has_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|end| now >= end)
    }

    /// Whether the next frame is a token without a request around it.
    pub(crate) fn takes_raw_tokens(&self) -> bool {
        self.exchange.as_ref().is_some_and(|under| under.raw)
    }

    /// SaslHandshake of a version. A client that is authenticated may begin again where sessions end, once in a second.
    pub(crate) fn handshake(
        &mut self,
        config: &SecurityConfig,
        mechanism: &str,
        version: i16,
        now: Instant,
    ) -> Result<(), HandshakeError> {
        let again = self.authenticated.is_some();
        let soon = self.began.is_some_and(|began| now.duration_since(began) < Duration::from_secs(1));
        if again && (self.expires.is_none() || soon) || !again && self.exchange.is_some() {
            return Err(HandshakeError::IllegalState);
        }
        let Some(mechanism) = config.sasl_mechanisms.iter().copied().find(|m| m.name() == mechanism) else {
            return Err(HandshakeError::Unsupported);
        };
        self.began = again.then_some(now);
        let exchange = Exchange::new(mechanism);
        self.exchange = Some(Under { mechanism, exchange, raw: version == 0 && !again });
        Ok(())
    }

    /// A token of the client. May take milliseconds of computing.
    pub(crate) fn token(&mut self, config: &SecurityConfig, users: &Users, token: &[u8]) -> Answer {
        let Some(mut under) = self.exchange.take() else {
            return Answer::IllegalState(match self.authenticated {
                Some(_) => AFTERWARDS,
                None => "SaslAuthenticate request received before a SaslHandshake request",
            });
        };
        let mechanism = under.mechanism;
        let result = match &self.authenticated {
            Some((before, _)) if *before != mechanism => Err(SaslError::Told(format!(
                "SASL mechanism '{mechanism}' requested by client is not supported for re-authentication of mechanism '{before}'"
            ))),
            _ => under.exchange.respond(users, token),
        };
        match result.and_then(|reply| same_user(reply, self.authenticated.as_ref())) {
            Ok(Reply::Continue(token)) => {
                self.exchange = Some(under);
                Answer::Continue(token)
            }
            Ok(Reply::Done { user, token }) => {
                let (principal, lifetime) = (Principal::user(user), config.connections_max_reauth);
                self.authenticated = Some((mechanism, principal.clone()));
                self.expires = (!lifetime.is_zero()).then(|| Instant::now() + lifetime);
                Answer::Done(principal, token, i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX))
            }
            Err(error) => {
                let again = self.authenticated.is_some();
                let during = if again { "re-authentication" } else { "authentication" };
                Answer::Failed(match error {
                    SaslError::Told(text) => text,
                    SaslError::Invalid(reason) => {
                        tracing::debug!(%mechanism, reason, "{during} failed");
                        format!(
                            "Authentication failed during {during} due to invalid credentials with SASL mechanism {mechanism}"
                        )
                    }
                })
            }
        }
    }
}

/// What clients are told that send SaslAuthenticate when there is nothing to authenticate.
pub(crate) const AFTERWARDS: &str = "SaslAuthenticate request received after successful authentication";

/// Who authenticates again must be who it was.
fn same_user(reply: Reply, before: Option<&(SaslMechanism, Principal)>) -> Result<Reply, SaslError> {
    match (&reply, before) {
        (Reply::Done { user, .. }, Some((_, before))) if before.name != *user => {
            Err(SaslError::Told(format!(
                "Cannot change principals during re-authentication from {}.{}: User.{user}",
                before.kind, before.name
            )))
        }
        _ => Ok(reply),
    }
}

impl std::fmt::Debug for SaslState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SaslState").field("authenticated", &self.authenticated).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "sasl_tests.rs"]
mod tests;
