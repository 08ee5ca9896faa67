//! What a broker is told of security.

use super::scram::ScramMechanism;
use super::types::Principal;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How clients may authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SaslMechanism {
    /// `PLAIN` (RFC 4616): the password itself.
    Plain,
    /// `SCRAM-SHA-256`, `SCRAM-SHA-512` (RFC 5802): a proof that the client knows the password.
    Scram(ScramMechanism),
}

impl SaslMechanism {
    /// All there are.
    pub const ALL: [Self; 3] =
        [Self::Plain, Self::Scram(ScramMechanism::Sha256), Self::Scram(ScramMechanism::Sha512)];

    /// The name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Scram(mechanism) => mechanism.name(),
        }
    }
}

impl fmt::Display for SaslMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SaslMechanism {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|m| m.name() == name);
        found.ok_or_else(|| format!("{name} is no SASL mechanism that is there: {}", known()))
    }
}

/// Security of a broker. Names and defaults are Kafka's where it has them, unless the text says otherwise. The default is that of
/// a broker without security.
#[derive(Clone)]
pub struct SecurityConfig {
    /// `authorizer.class.name` is set: ACLs decide.
    pub authorizer: bool,
    /// `super.users`: who may do everything.
    pub super_users: Vec<Principal>,
    /// `allow.everyone.if.no.acl.found`: what holds for resources that no rule is about.
    pub allow_everyone_if_no_acl_found: bool,
    /// `sasl.enabled.mechanisms`, offered in this order. Kafka's default is GSSAPI, which is not there.
    pub sasl_mechanisms: Vec<SaslMechanism>,
    /// Users of the configuration, with their passwords, for all mechanisms. Others come by AlterUserScramCredentials.
    pub users: BTreeMap<String, String>,
    /// `connections.max.reauth.ms`: a client must authenticate again after so long; 0: never.
    pub connections_max_reauth: Duration,
    /// `connection.failed.authentication.delay.ms`.
    pub failed_authentication_delay: Duration,
    /// `sasl.server.max.receive.size`: the longest request before authentication, bytes.
    pub sasl_max_receive_bytes: usize,
    /// TLS handshake and authentication together take at most so long. Kafka has no such limit.
    pub authentication_timeout: Duration,
}

impl Default for SecurityConfig {
    fn default() -> Self {
        Self {
            authorizer: false,
            super_users: Vec::new(),
            allow_everyone_if_no_acl_found: false,
            sasl_mechanisms: vec![
                SaslMechanism::Scram(ScramMechanism::Sha256),
                SaslMechanism::Scram(ScramMechanism::Sha512),
            ],
            users: BTreeMap::new(),
            connections_max_reauth: Duration::ZERO,
            failed_authentication_delay: Duration::from_millis(100),
            sasl_max_receive_bytes: 524_288,
            authentication_timeout: Duration::from_secs(30),
        }
    }
}
