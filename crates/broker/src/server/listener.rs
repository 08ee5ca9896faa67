//! What a listener is: its name, what clients are told to connect to, and how they must prove who they are.

use crate::config::Endpoint;
use std::fmt;
use std::sync::Arc;

/// Kafka's security protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecurityProtocol {
    /// `PLAINTEXT`: neither encryption nor authentication; everybody is `User:ANONYMOUS`.
    Plaintext,
    /// `SSL`: TLS; everybody is `User:ANONYMOUS`, since client certificates are not asked for.
    Ssl,
    /// `SASL_PLAINTEXT`: authentication without encryption.
    SaslPlaintext,
    /// `SASL_SSL`: both.
    SaslSsl,
}

impl SecurityProtocol {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl];

    /// Whether bytes on the wire are encrypted.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    /// Whether a client must authenticate before it asks for anything.
    pub fn is_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    /// Kafka's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }
}

impl fmt::Display for SecurityProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One of `listeners`.
#[derive(Clone)]
pub struct ListenerConfig {
    /// Its name, such as `PLAINTEXT` or `EXTERNAL`.
    pub name: String,
    /// `advertised.listeners`: what Metadata, FindCoordinator and DescribeCluster tell clients that came through this listener.
    pub advertised: Endpoint,
    /// `listener.security.protocol.map`.
    pub protocol: SecurityProtocol,
    /// Keys and certificates, where the protocol is one over TLS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl ListenerConfig {
    /// A listener named `PLAINTEXT`, for loopback and private networks.
    pub fn plaintext(advertised: Endpoint) -> Self {
        Self { name: "PLAINTEXT".to_owned(), advertised, protocol: SecurityProtocol::Plaintext, tls: None }
    }
}

impl fmt::Debug for ListenerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerConfig")
            .field("name", &self.name)
            .field("advertised", &self.advertised)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}
