//! Settings, by the keys of Kafka's own clients and of librdkafka.

use crate::error::ClientError;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// RFC 5802 with SHA-256.
    ScramSha256,
    /// RFC 5802 with SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }

    /// From its registered name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Plain, Self::ScramSha256, Self::ScramSha512]
            .into_iter()
            .find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }
}

/// Who logs in. The password is not shown in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Sasl {
    /// How.
    pub mechanism: Mechanism,
    /// Who.
    pub username: String,
    /// With what.
    pub password: String,
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.mechanism.name(), self.username)
    }
}

/// How a server proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Certificates of authorities, PEM; the system's bundle where `None`.
    pub ca: Option<PathBuf>,
    /// Whether the certificate must be for the host that was dialled (`ssl.endpoint.identification.algorithm=https`).
    pub verify_host: bool,
}

/// What a [`Client`](crate::Client) is told.
///
/// ```
/// use bd_client::ClientConfig;
/// let config = ClientConfig::new("broker:9092")
///     .set("security.protocol", "SASL_PLAINTEXT")?
///     .set("sasl.mechanism", "SCRAM-SHA-256")?
///     .set("sasl.username", "ann")?
///     .set("sasl.password", "secret")?;
/// assert_eq!(config.sasl()?.map(|s| s.username), Some("ann".into()));
/// # Ok::<(), bd_client::ClientError>(())
/// ```
#[derive(Clone)]
pub struct ClientConfig {
    /// `bootstrap.servers`: `host:port,host:port`.
    pub bootstrap: String,
    /// `client.id`.
    pub client_id: String,
    /// `request.timeout.ms`: the longest wait for an answer (for a Fetch beyond what it asks the broker to wait).
    pub request_timeout: Duration,
    /// `socket.connection.setup.timeout.ms`.
    pub connect_timeout: Duration,
    /// The largest answer in bytes (`receive.message.max.bytes` of librdkafka).
    pub max_response_bytes: usize,
    properties: BTreeMap<String, String>,
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig").field("bootstrap", &self.bootstrap).finish_non_exhaustive()
    }
}

/// Keys of security. librdkafka has several names for some, Java's clients the last of these.
const SECURITY_KEYS: &[&str] = &[
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
    "sasl.jaas.config",
    "ssl.ca.location",
    "ssl.truststore.location",
    "ssl.truststore.type",
    "ssl.endpoint.identification.algorithm",
];

impl ClientConfig {
    /// For these servers (`host:port,...`), without security.
    pub fn new(bootstrap: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            client_id: "bd".into(),
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            max_response_bytes: 512 << 20,
            properties: BTreeMap::new(),
        }
    }

    /// Whether [`ClientConfig::set`] knows the key. Files made for other tools have more.
    pub fn knows(key: &str) -> bool {
        const OTHERS: &[&str] = &[
            "bootstrap.servers",
            "client.id",
            "request.timeout.ms",
            "socket.connection.setup.timeout.ms",
            "receive.message.max.bytes",
        ];
        SECURITY_KEYS.contains(&key) || OTHERS.contains(&key)
    }

    /// Sets a key of Kafka's clients or of librdkafka.
    ///
    /// # Errors
    /// [`ClientError::Config`] for an unknown key or a value that cannot be.
    pub fn set(mut self, key: &str, value: &str) -> Result<Self, ClientError> {
        let millis =
            || value.parse().map(Duration::from_millis).map_err(|_| config(key, "expected milliseconds"));
        match key {
            "bootstrap.servers" => self.bootstrap = value.to_owned(),
            "client.id" => self.client_id = value.to_owned(),
            "request.timeout.ms" => self.request_timeout = millis()?,
            "socket.connection.setup.timeout.ms" => self.connect_timeout = millis()?,
            "receive.message.max.bytes" => {
                self.max_response_bytes = value.parse().map_err(|_| config(key, "expected bytes"))?;
            }
            _ if SECURITY_KEYS.contains(&key) => {
                self.properties.insert(key.to_owned(), value.to_owned());
            }
            _ => return Err(config(key, "unknown key")),
        }
        Ok(self)
    }

    fn property(&self, key: &str) -> Option<&str> {
        self.properties.get(key).map(String::as_str).map(str::trim)
    }

    fn protocol(&self) -> Result<(bool, bool), ClientError> {
        let name = self.property("security.protocol").unwrap_or("PLAINTEXT");
        match name.to_ascii_uppercase().as_str() {
            "PLAINTEXT" => Ok((false, false)),
            "SSL" => Ok((true, false)),
            "SASL_PLAINTEXT" => Ok((false, true)),
            "SASL_SSL" => Ok((true, true)),
            _ => Err(config(
                "security.protocol",
                &format!("{name}: expected PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"),
            )),
        }
    }

    /// The login, if `security.protocol` asks for one.
    ///
    /// # Errors
    /// [`ClientError::Config`] if mechanism, name or password are missing or unknown.
    pub fn sasl(&self) -> Result<Option<Sasl>, ClientError> {
        if !self.protocol()?.1 {
            return Ok(None);
        }
        let name = self.property("sasl.mechanism").or_else(|| self.property("sasl.mechanisms"));
        let name = name.ok_or_else(|| config("sasl.mechanism", "needed with security.protocol=SASL_*"))?;
        let mechanism = Mechanism::from_name(name).ok_or_else(|| {
            config("sasl.mechanism", &format!("{name}: expected PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"))
        })?;
        let jaas = self.property("sasl.jaas.config").unwrap_or_default();
        let field = |key: &str, option: &str| {
            let value = self.property(key).map(str::to_owned).or_else(|| jaas_option(jaas, option));
            value.ok_or_else(|| config(key, &format!("needed with sasl.mechanism={name}")))
        };
        Ok(Some(Sasl {
            mechanism,
            username: field("sasl.username", "username")?,
            password: field("sasl.password", "password")?,
        }))
    }

    /// How servers prove themselves, if `security.protocol` asks for TLS.
    ///
    /// # Errors
    /// [`ClientError::Config`] for an unknown protocol, algorithm or a trust store that is not PEM.
    pub fn tls(&self) -> Result<Option<Tls>, ClientError> {
        if !self.protocol()?.0 {
            return Ok(None);
        }
        let store = self.property("ssl.truststore.location");
        if store.is_some()
            && !self.property("ssl.truststore.type").unwrap_or("JKS").eq_ignore_ascii_case("PEM")
        {
            let reason = "only PEM files are read: give ssl.ca.location, or ssl.truststore.type=PEM";
            return Err(config("ssl.truststore.type", reason));
        }
        let key = "ssl.endpoint.identification.algorithm";
        let verify_host = match self.property(key).unwrap_or("https") {
            "https" => true,
            "" | "none" => false,
            other => return Err(config(key, &format!("{other}: expected https, or none"))),
        };
        let ca = self.property("ssl.ca.location").or(store).map(PathBuf::from);
        Ok(Some(Tls { ca, verify_host }))
    }
}

fn config(key: &str, reason: &str) -> ClientError {
    ClientError::Config { key: key.to_owned(), reason: reason.to_owned() }
}

/// `username="ann"` in a login of Java's form: `...ScramLoginModule required username="ann" password="x";`
fn jaas_option(jaas: &str, option: &str) -> Option<String> {
    let mut rest = jaas;
    while let Some(at) = rest.find(option) {
        let starts = rest[..at].chars().next_back().is_none_or(char::is_whitespace);
        rest = &rest[at + option.len()..];
        let Some(value) = rest.trim_start().strip_prefix('=').filter(|_| starts) else { continue };
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        return match quote {
            Some(quote) => value[1..].split_once(quote).map(|(value, _)| value.to_owned()),
            None => value.split([' ', ';', '\t']).next().map(str::to_owned),
        };
    }
    None
}

/// The keys of a properties file: `key=value` or `key: value` lines, `#` and `!` comments, `\` at a line's end goes on.
///
/// ```
/// let pairs = bd_client::parse_properties("# x\nsecurity.protocol = SSL\nclient.id:\\\n  tool\n");
/// assert_eq!(pairs, [("security.protocol".into(), "SSL".into()), ("client.id".into(), "tool".into())]);
/// ```
pub fn parse_properties(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut logical = String::new();
    for line in text.lines() {
        let line = line.trim_start();
        if logical.is_empty() && (line.starts_with(['#', '!']) || line.is_empty()) {
            continue;
        }
        if let Some(part) = line.strip_suffix('\\') {
            logical.push_str(part);
            continue;
        }
        logical.push_str(line);
        let (key, value) = logical.split_once(['=', ':']).unwrap_or((&logical, ""));
        pairs.push((key.trim().to_owned(), value.trim().to_owned()));
        logical.clear();
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_read_from_either_client_s_keys() {
        let java = "org.apache.kafka.common.security.scram.ScramLoginModule required \
                    username=\"ann\" password=\"a=b;c\";";
        for (key, value) in [("sasl.jaas.config", java), ("sasl.username", "ann")] {
            let config = ClientConfig::new("x:1").set("security.protocol", "sasl_ssl").unwrap();
            let config = config.set("sasl.mechanism", "scram-sha-512").unwrap().set(key, value).unwrap();
            let config = match key {
                "sasl.username" => config.set("sasl.password", "a=b;c").unwrap(),
                _ => config,
            };
            let sasl = config.sasl().unwrap().unwrap();
            assert_eq!((sasl.username.as_str(), sasl.password.as_str()), ("ann", "a=b;c"));
            assert_eq!(sasl.mechanism, Mechanism::ScramSha512);
            assert!(!format!("{config:?} {sasl:?}").contains("a=b"));
            assert_eq!(config.tls().unwrap(), Some(Tls { ca: None, verify_host: true }));
        }
    }

    #[test]
    fn wrong_settings_say_what_is_expected() {
        let set = |key, value| ClientConfig::new("x:1").set(key, value);
        assert!(set("acks", "1").unwrap_err().to_string().contains("acks: unknown key"));
        let protocol = set("security.protocol", "TLS").unwrap().sasl().unwrap_err();
        assert!(protocol.to_string().contains("expected PLAINTEXT"), "{protocol}");
        let missing = set("security.protocol", "SASL_PLAINTEXT").unwrap();
        assert!(missing.sasl().unwrap_err().to_string().starts_with("sasl.mechanism: needed"));
        let kerberos = missing.set("sasl.mechanism", "GSSAPI").unwrap().sasl().unwrap_err();
        assert!(kerberos.to_string().contains("expected PLAIN"), "{kerberos}");
        let store = set("security.protocol", "SSL").unwrap().set("ssl.truststore.location", "x.jks").unwrap();
        assert!(store.tls().unwrap_err().to_string().contains("only PEM"));
    }
}
