//! The keys of listeners and security, as the broker takes them.

use super::properties;
use super::settings::Settings;
use anyhow::{Context, Result, anyhow, bail};
use bd_broker::security::{
    ListenerSpec, Pem, Principal, SaslMechanism, SecurityConfig, TlsSettings, read_listeners,
};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Who may come, and who may do what.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecuritySettings {
    /// Of listeners over TLS, where there is one.
    pub(crate) tls: Option<TlsSettings>,
    authorizer: bool,
    super_users: Vec<Principal>,
    allow_everyone: bool,
    mechanisms: Vec<SaslMechanism>,
    users: BTreeMap<String, String>,
    max_reauth: Duration,
    failed_delay: Duration,
    max_receive: usize,
}

/// Passwords are not for logs.
impl fmt::Debug for SecuritySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecuritySettings")
            .field("authorizer", &self.authorizer)
            .field("super_users", &self.super_users)
            .field("users", &self.users.keys())
            .finish_non_exhaustive()
    }
}

impl SecuritySettings {
    /// As the broker takes them.
    pub(crate) fn broker(&self) -> SecurityConfig {
        SecurityConfig {
            authorizer: self.authorizer,
            super_users: self.super_users.clone(),
            allow_everyone_if_no_acl_found: self.allow_everyone,
            sasl_mechanisms: self.mechanisms.clone(),
            users: self.users.clone(),
            connections_max_reauth: self.max_reauth,
            failed_authentication_delay: self.failed_delay,
            sasl_max_receive_bytes: self.max_receive,
            ..SecurityConfig::default()
        }
    }
}

/// The listeners of the embedded log.
pub(super) fn listeners(settings: &Settings) -> Result<Vec<ListenerSpec>> {
    let text = |key: &str| settings.text(key).unwrap_or_default();
    let (listeners, advertised, map) =
        (text("listeners"), text("advertised.listeners"), text("listener.security.protocol.map"));
    read_listeners(&listeners, &advertised, &map).map_err(|error| {
        let at = settings.get(error.key).map_or(String::new(), |(_, origin)| format!("{origin}: "));
        anyhow!("{at}{error}")
    })
}

/// Security of these listeners.
pub(super) fn read(settings: &Settings, listeners: &[ListenerSpec]) -> Result<SecuritySettings> {
    let text = |key: &str| settings.text(key).unwrap_or_default();
    let number = |key: &str| settings.integer(key).ok_or_else(|| anyhow!("{key} is not set"));
    let logs_in = listeners.iter().any(|l| l.protocol.is_sasl());
    let mechanisms = words(&text("sasl.enabled.mechanisms"), ',')
        .map(|name| name.parse().map_err(|e: String| anyhow!("sasl.enabled.mechanisms: {e}")))
        .collect::<Result<Vec<SaslMechanism>>>()?;
    if logs_in && mechanisms.is_empty() {
        bail!("sasl.enabled.mechanisms is empty, and a listener asks for a login");
    }
    let super_users = words(&text("super.users"), ';')
        .map(|user| {
            Principal::parse(user)
                .ok_or_else(|| anyhow!("super.users: {user}: expected User:name, separated by semicolons"))
        })
        .collect::<Result<Vec<_>>>()?;
    let tls = tls(settings, "")?;
    if let Some(listener) = listeners.iter().find(|l| l.protocol.is_tls() && tls.is_none()) {
        bail!(
            "listener {} speaks {}, which needs a certificate: set ssl.keystore.location to a PEM file of the chain and the \
             private key, or ssl.keystore.certificate.chain and ssl.keystore.key",
            listener.name,
            listener.protocol
        );
    }
    Ok(SecuritySettings {
        tls,
        authorizer: match text("authorizer").as_str() {
            "on" => true,
            "off" => false,
            _ => logs_in,
        },
        super_users,
        allow_everyone: text("allow.everyone.if.no.acl.found") == "true",
        mechanisms,
        users: properties(settings, "users"),
        max_reauth: Duration::from_millis(number("connections.max.reauth.ms")?),
        failed_delay: Duration::from_millis(number("connection.failed.authentication.delay.ms")?),
        max_receive: usize::try_from(number("sasl.server.max.receive.size")?)
            .context("sasl.server.max.receive.size")?,
    })
}

fn words(text: &str, separator: char) -> impl Iterator<Item = &str> {
    text.split(separator).map(str::trim).filter(|word| !word.is_empty())
}

/// The certificate that the keys after `prefix` name: `ssl.keystore.location` and the like, `registry.ssl.keystore.location`.
pub(super) fn tls(settings: &Settings, prefix: &str) -> Result<Option<TlsSettings>> {
    let [store_key, chain_key, key_key] =
        ["location", "certificate.chain", "key"].map(|name| format!("{prefix}ssl.keystore.{name}"));
    // A path of the pipeline file is relative to it.
    let pem = |key: &str| {
        let (_, origin) = settings.get(key)?;
        Some(match Pem::of_value(&settings.text(key)?) {
            Pem::File(path) => Pem::File(origin.base().join(path)),
            text => text,
        })
    };
    let (certificate_chain, key) = match (pem(&store_key), pem(&chain_key), pem(&key_key)) {
        (None, None, None) => return Ok(None),
        (Some(store), None, None) => (store.clone(), store),
        (None, Some(chain), Some(key)) => (chain, key),
        (Some(_), _, _) => {
            bail!("{store_key} holds both chain and key: set it, or {chain_key} and {key_key}")
        }
        (None, _, _) => bail!("set both {chain_key} and {key_key}"),
    };
    let mut versions = (false, false);
    for version in words(&settings.text("ssl.enabled.protocols").unwrap_or_default(), ',') {
        match version {
            "TLSv1.2" => versions.0 = true,
            "TLSv1.3" => versions.1 = true,
            other => bail!("ssl.enabled.protocols: {other} is not spoken, only TLSv1.2 and TLSv1.3"),
        }
    }
    match versions {
        (tls_12, true) => Ok(Some(TlsSettings { certificate_chain, key, tls_12 })),
        (_, false) => bail!("ssl.enabled.protocols: TLSv1.3 is always spoken: TLSv1.3, or TLSv1.2,TLSv1.3"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Origin;
    use super::super::{Config, Settings};
    use super::*;

    fn parse(yaml: &str) -> Result<Config> {
        let mut settings = Settings::default();
        settings.read_yaml(yaml, Origin::File("p/pipe.yaml".into()))?;
        Config::from_settings(&settings)
    }

    #[test]
    fn without_security_nothing_is_asked_and_with_a_login_rules_decide() {
        let config = parse("").unwrap();
        assert_eq!((config.security.authorizer, config.security.tls), (false, None));
        assert_eq!(config.listeners[0].bind.to_string(), "127.0.0.1:9092");
        let config = parse(
            "listeners: SASL_PLAINTEXT://:9092\nusers: {admin: secret}\nsuper.users: User:admin; User:ops",
        )
        .unwrap();
        assert!(config.security.authorizer);
        assert_eq!(config.security.super_users, [Principal::user("admin"), Principal::user("ops")]);
        assert_eq!(config.security.users["admin"], "secret");
        assert!(!format!("{config:?}").contains("secret"), "secrets are not shown");
        let off = parse("listeners: SASL_PLAINTEXT://:9092\nauthorizer: off").unwrap();
        assert!(!off.security.authorizer);
        assert!(parse("authorizer: on").unwrap().security.authorizer);
    }

    #[test]
    fn certificates_are_files_beside_the_pipeline_file_or_texts() {
        let config = parse(
            "listeners: 'IN://:1,OUT://:2'\nlistener.security.protocol.map: IN:PLAINTEXT,OUT:SASL_SSL\n\
                            ssl.keystore.location: both.pem\nssl.enabled.protocols: TLSv1.3",
        )
        .unwrap();
        let file = Pem::File("p/both.pem".into());
        let expected = TlsSettings { certificate_chain: file.clone(), key: file, tls_12: false };
        assert_eq!(config.security.tls, Some(expected));
        let config =
            parse("ssl.keystore.certificate.chain: '-----BEGIN CERTIFICATE-----'\nssl.keystore.key: /k.pem")
                .unwrap();
        let tls = config.security.tls.unwrap();
        assert_eq!(tls.key, Pem::File("/k.pem".into()));
        assert!(matches!(tls.certificate_chain, Pem::Text(_)) && tls.tls_12);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (yaml, expected) in [
            (
                "listeners: SSL://:9092",
                "listener SSL speaks SSL, which needs a certificate: set ssl.keystore.location",
            ),
            (
                "listeners: OUT://:9092",
                "p/pipe.yaml: listeners: No security protocol defined for listener OUT",
            ),
            (
                "sasl.enabled.mechanisms: GSSAPI",
                "sasl.enabled.mechanisms: GSSAPI is no SASL mechanism that is there: PLAIN, SCRAM",
            ),
            ("super.users: admin", "super.users: admin: expected User:name"),
            ("ssl.keystore.key: a", "set both ssl.keystore.certificate.chain and ssl.keystore.key"),
            ("ssl.keystore.key: a\nssl.keystore.location: b", "ssl.keystore.location holds both"),
            ("ssl.keystore.location: b\nssl.enabled.protocols: TLSv1.1", "TLSv1.1 is not spoken"),
            ("ssl.keystore.type: JKS", "expected PEM, not JKS"),
            ("ssl.client.auth: required", "expected none, not required"),
            ("authorizer: maybe", "expected auto or on or off, not maybe"),
            (
                "advertised.listeners: SSL://h:1",
                "p/pipe.yaml: advertised.listeners: listener names must be equal to",
            ),
        ] {
            let error = format!("{:#}", parse(yaml).expect_err(yaml));
            assert!(error.contains(expected), "{yaml}\n  gives    {error}\n  expected {expected}");
        }
    }
}
