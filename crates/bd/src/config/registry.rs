//! The keys of the schema registry.

use super::http::HttpListener;
use super::properties;
use super::settings::Settings;
use anyhow::{Result, anyhow, bail};
use bd_registry::{ANONYMOUS, Access, Level, RegistryConfig, Role};
use std::collections::BTreeMap;
use std::fmt;

/// How the embedded registry runs, and how one elsewhere is reached.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RegistrySettings {
    pub(crate) listener: HttpListener,
    /// Who may ask the embedded one, and what for.
    pub(crate) access: Access,
    pub(crate) store: RegistryConfig,
    /// Of the client of one elsewhere, by the names of Confluent's clients.
    pub(crate) client: BTreeMap<String, String>,
}

/// Passwords are not for logs.
impl fmt::Debug for RegistrySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrySettings")
            .field("listener", &self.listener)
            .field("access", &self.access)
            .field("store", &self.store)
            .field("client", &self.client.keys())
            .finish()
    }
}

pub(super) fn read(settings: &Settings) -> Result<RegistrySettings> {
    let text = |key: &str| settings.text(key).unwrap_or_default();
    let client = properties(settings, "roles.registry.properties");
    if !client.is_empty() && !settings.is_set("roles.registry.url") {
        bail!("roles.registry.properties is set, and roles.registry.url is not: add the registry's URL");
    }
    let level = text("registry.schema.compatibility.level");
    Ok(RegistrySettings {
        listener: HttpListener::read(settings, "registry")?,
        access: access(settings)?,
        store: RegistryConfig {
            topic: text("registry.kafkastore.topic"),
            level: Level::parse(&level).ok_or_else(|| {
                anyhow!(
                    "registry.schema.compatibility.level: expected none, backward, forward, full, backward_transitive, \
                     forward_transitive or full_transitive, not {level}"
                )
            })?,
            mode_mutability: text("registry.mode.mutability") == "true",
            leader_eligibility: text("registry.leader.eligibility") == "true",
        },
        client,
    })
}

fn access(settings: &Settings) -> Result<Access> {
    let (users, tokens) = (properties(settings, "registry.users"), properties(settings, "registry.tokens"));
    let given = properties(settings, "registry.roles");
    for (key, secrets) in [("registry.users", &users), ("registry.tokens", &tokens)] {
        for (name, secret) in secrets {
            if name == ANONYMOUS || name.is_empty() || name.contains(':') {
                bail!(
                    "{key}: {name} cannot be a name: it is neither empty nor {ANONYMOUS}, and has no colon"
                );
            }
            if secret.is_empty() {
                bail!("{key}: the secret of {name} is empty");
            }
        }
    }
    let mut roles = Vec::new();
    for (name, role) in given {
        if name != ANONYMOUS && !users.contains_key(&name) && !tokens.contains_key(&name) {
            bail!(
                "registry.roles: {name} is neither in registry.users nor in registry.tokens nor {ANONYMOUS}"
            );
        }
        let role: Role = role.parse().map_err(|e| anyhow!("registry.roles: {name}: {e}"))?;
        roles.push((name, role));
    }
    let method = settings.text("registry.authentication.method").unwrap_or_default();
    let differs = |what: &str| Err(anyhow!("registry.authentication.method is {method}, and {what}"));
    match (method.as_str(), users.is_empty(), tokens.is_empty()) {
        ("NONE", false, _) | ("BEARER", false, _) => return differs("registry.users is set"),
        ("NONE", _, false) | ("BASIC", _, false) => return differs("registry.tokens is set"),
        ("NONE", ..) if !roles.is_empty() => return differs("registry.roles is set"),
        ("BASIC", true, _) => return differs("registry.users names nobody"),
        ("BEARER", _, true) => return differs("registry.tokens names nobody"),
        _ => {}
    }
    Ok(Access::new(users, tokens).with_roles(roles))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::settings::Origin;
    use super::*;
    use bd_broker::security::Pem;

    fn parse(yaml: &str) -> Result<RegistrySettings> {
        let mut settings = Settings::default();
        settings.read_yaml(yaml, Origin::File("p/pipe.yaml".into()))?;
        Config::from_settings(&settings).map(|config| config.registry)
    }

    #[test]
    fn without_keys_everybody_may_ask_and_with_them_those_who_are_named() {
        let open = parse("").unwrap();
        assert!(open.access.is_open() && open.listener.tls.is_none());
        assert_eq!(open.store, RegistryConfig::default());
        let secured = parse(
            "registry:\n  listener: https://127.0.0.1:8081\n  users: {ann: secret}\n  tokens: {ci: t0ken}\n  \
             roles: {ci: write, ANONYMOUS: read}\n  ssl.keystore.location: tls.pem\n  mode.mutability: false\n  \
             leader.eligibility: false\n  schema.compatibility.level: FULL\n  kafkastore.topic: _s\n",
        )
        .unwrap();
        assert_eq!(secured.access.role(Some("Bearer t0ken")), Ok(Role::Write));
        assert_eq!(secured.access.role(None), Ok(Role::Read));
        assert_eq!(secured.listener.at.to_string(), "127.0.0.1:8081");
        assert_eq!(secured.listener.tls.as_ref().unwrap().key, Pem::File("p/tls.pem".into()));
        let store = RegistryConfig {
            topic: "_s".into(),
            level: Level::Full,
            mode_mutability: false,
            leader_eligibility: false,
        };
        assert_eq!(secured.store, store);
        let shown = format!("{secured:?}");
        assert!(!shown.contains("secret") && !shown.contains("t0ken"), "{shown}");
    }

    #[test]
    fn the_certificate_of_all_listeners_serves_where_there_is_no_own_one() {
        let common = "ssl.keystore.location: /common.pem\n";
        let of = |yaml: &str| parse(yaml).unwrap().listener.tls.unwrap().key;
        assert_eq!(of(&format!("{common}registry.listener: https://:8081")), Pem::File("/common.pem".into()));
        let own = "registry: {listener: 'https://:8081', ssl.keystore.location: /own.pem}";
        assert_eq!(of(&format!("{common}{own}")), Pem::File("/own.pem".into()));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (yaml, expected) in [
            ("{listener: 'https://:8081'}", "needs a certificate: set registry.ssl.keystore.location"),
            ("{ssl.keystore.location: a}", "registry.listener is 127.0.0.1:8081: write https://"),
            (
                "{ssl.keystore.key: a, listener: 'https://:1'}",
                "set both registry.ssl.keystore.certificate.chain and registry.ssl.keystore.key",
            ),
            ("{authentication.method: BASIC}", "method is BASIC, and registry.users names nobody"),
            ("{authentication.method: BEARER, users: {a: b}}", "method is BEARER, and registry.users is set"),
            ("{authentication.method: NONE, tokens: {a: b}}", "method is NONE, and registry.tokens is set"),
            ("{roles: {ann: read}}", "registry.roles: ann is neither in registry.users"),
            ("{users: {a: b}, roles: {a: owner}}", "a: expected read or write or admin, not owner"),
            ("{users: {ANONYMOUS: b}}", "registry.users: ANONYMOUS cannot be a name"),
            ("{tokens: {a: ''}}", "registry.tokens: the secret of a is empty"),
            ("{schema.compatibility.level: some}", "expected none, backward"),
        ] {
            let error = format!("{:#}", parse(&format!("registry: {yaml}")).expect_err(yaml));
            assert!(error.contains(expected), "{yaml}\n  gives    {error}\n  expected {expected}");
        }
        let error = parse("roles: {registry: {properties: {basic.auth.user.info: 'a:b'}}}").unwrap_err();
        assert!(error.to_string().contains("roles.registry.url is not"), "{error}");
    }
}
