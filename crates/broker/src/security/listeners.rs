//! Reads `listeners`, `advertised.listeners` and `listener.security.protocol.map`.

use crate::config::Endpoint;
use crate::server::SecurityProtocol;
use std::collections::BTreeMap;
use std::fmt;

/// A listener of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSpec {
    /// Its name, in upper case.
    pub name: String,
    /// How clients speak through it.
    pub protocol: SecurityProtocol,
    /// Where to listen; port 0 takes any free one, `0.0.0.0` is all addresses.
    pub bind: Endpoint,
    /// What clients are told to connect to; `None`: where it listens.
    pub advertised: Option<Endpoint>,
}

/// The values do not fit; what is wrong, with Kafka's words where it has them.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct ListenerError {
    /// The key whose value it is.
    pub key: &'static str,
    /// Why.
    pub reason: String,
}

const LISTENERS: &str = "listeners";
const ADVERTISED: &str = "advertised.listeners";
const MAP: &str = "listener.security.protocol.map";

/// Reads the listeners: `[NAME://]host:port` separated by commas; `advertised` and `map` (`NAME:PROTOCOL`, ...) may be empty. A
/// listener without a name is `PLAINTEXT`; without a map a name is that of a protocol.
///
/// # Errors
/// A name, address or protocol that cannot be, a listener twice, one that is advertised and is not there.
pub fn read_listeners(
    listeners: &str,
    advertised: &str,
    map: &str,
) -> Result<Vec<ListenerSpec>, ListenerError> {
    let protocols = read_map(map)?;
    let mut specs: Vec<ListenerSpec> = Vec::new();
    for (name, bind) in read_endpoints(LISTENERS, listeners)? {
        let failed = |reason: String| Err(ListenerError { key: LISTENERS, reason });
        if specs.iter().any(|s| s.name == name) {
            return failed(format!("Each listener must have a different name, listeners: {listeners}"));
        }
        if bind.port != 0 && specs.iter().any(|s| s.bind == bind) {
            return failed(format!("Each listener must have a different port, listeners: {listeners}"));
        }
        let Some(protocol) = protocols.get(&name).copied() else {
            return failed(format!(
                "No security protocol defined for listener {name}: name it in {MAP} ({name}:SASL_SSL)"
            ));
        };
        specs.push(ListenerSpec { name, protocol, bind, advertised: None });
    }
    if specs.is_empty() {
        return Err(ListenerError { key: LISTENERS, reason: "at least one listener must be given".into() });
    }
    let names = specs.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(",");
    for (name, endpoint) in read_endpoints(ADVERTISED, advertised)? {
        let failed = |reason: String| Err(ListenerError { key: ADVERTISED, reason });
        if endpoint.host == "0.0.0.0" || endpoint.host == "::" {
            return failed(format!(
                "cannot use the nonroutable meta-address {}. Use a routable IP address.",
                endpoint.host
            ));
        }
        let Some(spec) = specs.iter_mut().find(|s| s.name == name) else {
            return failed(format!(
                "listener names must be equal to or a subset of the ones defined in listeners. Found {name}. The valid options \
                 based on the current configuration are {names}"
            ));
        };
        if spec.advertised.replace(endpoint).is_some() {
            return failed(format!("listener {name} is there twice"));
        }
    }
    Ok(specs)
}

fn read_map(map: &str) -> Result<BTreeMap<String, SecurityProtocol>, ListenerError> {
    let failed = |reason: String| ListenerError { key: MAP, reason };
    if map.trim().is_empty() {
        return Ok(SecurityProtocol::ALL.into_iter().map(|p| (p.name().to_owned(), p)).collect());
    }
    let mut protocols = BTreeMap::new();
    for entry in map.split(',').map(str::trim).filter(|e| !e.is_empty()) {
        let (name, protocol) =
            entry.split_once(':').ok_or_else(|| failed(format!("{entry}: expected NAME:PROTOCOL")))?;
        let known =
            SecurityProtocol::ALL.into_iter().find(|p| p.name().eq_ignore_ascii_case(protocol.trim()));
        let protocol = known.ok_or_else(|| {
            let all = SecurityProtocol::ALL.map(SecurityProtocol::name).join(", ");
            failed(format!("{protocol} is no security protocol: {all}"))
        })?;
        if protocols.insert(name.trim().to_ascii_uppercase(), protocol).is_some() {
            return Err(failed(format!("{name} is there twice")));
        }
    }
    Ok(protocols)
}

fn read_endpoints(key: &'static str, text: &str) -> Result<Vec<(String, Endpoint)>, ListenerError> {
    let entries = text.split(',').map(str::trim).filter(|e| !e.is_empty());
    entries
        .map(|entry| {
            let failed = |reason: String| ListenerError { key, reason: format!("{entry}: {reason}") };
            let (name, address) = entry.split_once("://").unwrap_or(("PLAINTEXT", entry));
            let is_name = !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
            if !is_name {
                return Err(failed(format!("{name:?} is no listener name")));
            }
            Ok((name.to_ascii_uppercase(), address.parse().map_err(failed)?))
        })
        .collect()
}

impl std::str::FromStr for Endpoint {
    type Err = String;

    /// `host:port`, `[v6]:port`, `:port` (all addresses).
    fn from_str(address: &str) -> Result<Self, String> {
        let (host, port) = address.rsplit_once(':').ok_or("expected host:port")?;
        let port = port.parse().map_err(|_| format!("{port} is not a port (0 to 65535)"))?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host = match bare.unwrap_or(host) {
            "" => "0.0.0.0",
            host if host.contains(':') && bare.is_none() => {
                return Err("put an IPv6 address in brackets".into());
            }
            host => host,
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(specs: &[ListenerSpec]) -> Vec<String> {
        let one = |s: &ListenerSpec| {
            let advertised = s.advertised.as_ref().map_or("-".to_owned(), Endpoint::to_string);
            format!("{} {} {} {advertised}", s.name, s.protocol, s.bind)
        };
        specs.iter().map(one).collect()
    }

    #[test]
    fn listeners_have_names_protocols_and_addresses() {
        for (listeners, advertised, map, expected) in [
            ("127.0.0.1:9092", "", "", vec!["PLAINTEXT PLAINTEXT 127.0.0.1:9092 -"]),
            (
                "PLAINTEXT://:9092",
                "example.org:9092",
                "",
                vec!["PLAINTEXT PLAINTEXT 0.0.0.0:9092 example.org:9092"],
            ),
            (
                "SASL_SSL://h:1, ssl://[::1]:2",
                "SASL_SSL://a:3",
                "",
                vec!["SASL_SSL SASL_SSL h:1 a:3", "SSL SSL [::1]:2 -"],
            ),
            (
                "INTERNAL://:9092,EXTERNAL://:9093",
                "EXTERNAL://kafka.example.org:443,INTERNAL://kafka:9092",
                "INTERNAL:PLAINTEXT, external:sasl_ssl",
                vec![
                    "INTERNAL PLAINTEXT 0.0.0.0:9092 kafka:9092",
                    "EXTERNAL SASL_SSL 0.0.0.0:9093 kafka.example.org:443",
                ],
            ),
            ("A://h:0,B://h:0", "", "A:SSL,B:SSL", vec!["A SSL h:0 -", "B SSL h:0 -"]),
        ] {
            assert_eq!(shown(&read_listeners(listeners, advertised, map).unwrap()), expected, "{listeners}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_key() {
        for (listeners, advertised, map, expected) in [
            ("", "", "", "listeners: at least one"),
            ("nowhere", "", "", "listeners: nowhere: expected host:port"),
            ("a:99999", "", "", "listeners: a:99999: 99999 is not a port"),
            ("::1:9092", "", "", "put an IPv6 address in brackets"),
            ("a b://h:1", "", "", "is no listener name"),
            ("EXTERNAL://h:1", "", "", "No security protocol defined for listener EXTERNAL"),
            ("PLAINTEXT://h:1", "", "A:SSL", "No security protocol defined for listener PLAINTEXT"),
            ("SSL://h:1,SSL://h:2", "", "", "Each listener must have a different name"),
            ("SSL://h:1,PLAINTEXT://h:1", "", "", "Each listener must have a different port"),
            (
                "SSL://h:1",
                "SASL_SSL://h:1",
                "",
                "advertised.listeners: listener names must be equal to or a subset",
            ),
            ("SSL://h:1", "SSL://0.0.0.0:1", "", "cannot use the nonroutable meta-address 0.0.0.0"),
            ("SSL://h:1", "SSL://a:1,SSL://b:1", "", "listener SSL is there twice"),
            ("SSL://h:1", "", "SSL", "listener.security.protocol.map: SSL: expected NAME:PROTOCOL"),
            ("A://h:1", "", "A:TLS", "TLS is no security protocol: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
        ] {
            let error = read_listeners(listeners, advertised, map).unwrap_err().to_string();
            assert!(error.contains(expected), "{listeners}\n  gives    {error}\n  expected {expected}");
        }
    }
}
