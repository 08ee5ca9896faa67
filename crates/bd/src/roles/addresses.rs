//! Where each role is, here or elsewhere, and `${role:NAME}` in the configuration of connectors.

use crate::config::{Config, ConnectorSpec};
use anyhow::{Result, bail};
use std::collections::BTreeMap;

/// Where roles are: `host:port` of the cluster, URLs of the others.
#[derive(Debug, Clone, Default)]
pub(super) struct Addresses(BTreeMap<&'static str, String>);

impl Addresses {
    pub(super) fn set(&mut self, role: &'static str, address: impl Into<String>) {
        self.0.insert(role, address.into());
    }

    pub(super) fn get(&self, role: &str) -> Option<&str> {
        self.0.get(role).map(String::as_str)
    }

    /// The configuration of a connector with roles filled in. A converter whose registry is this pipeline's asks it as the worker
    /// does (`embedded`): with the credentials of the configuration, or without a socket.
    ///
    /// # Errors
    /// A role that is neither here nor configured elsewhere.
    pub(super) fn fill(&self, connector: &ConnectorSpec) -> Result<BTreeMap<String, String>> {
        let fill = |(key, value): (&String, &String)| {
            let of_converter = key.ends_with(".converter.schema.registry.url");
            if of_converter && value.trim() == "${role:registry}" && self.get("registry").is_some() {
                return Ok((key.clone(), "embedded".to_owned()));
            }
            let value =
                self.replace(value).map_err(|e| e.context(format!("connectors.{}.{key}", connector.name)))?;
            Ok((key.clone(), value))
        };
        connector.config.iter().map(fill).collect()
    }

    fn replace(&self, value: &str) -> Result<String> {
        const OPEN: &str = "${role:";
        let (mut filled, mut rest) = (String::new(), value);
        while let Some((before, after)) = rest.split_once(OPEN) {
            let Some((role, behind)) = after.split_once('}') else {
                bail!("{OPEN} has no closing }}: {value}")
            };
            let Some(address) = self.get(role) else {
                let known: Vec<_> = self.0.keys().copied().collect();
                bail!(
                    "{OPEN}{role}}}: that role neither runs here nor has a URL (roles.{role}.url); known: {}",
                    known.join(", ")
                );
            };
            filled.push_str(before);
            filled.push_str(address);
            rest = behind;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

/// The roles that are elsewhere.
pub(super) fn elsewhere(config: &Config) -> Addresses {
    use crate::config::{ClusterRole, RestRole};
    let mut addresses = Addresses::default();
    if let ClusterRole::Kafka { bootstrap, .. } = &config.cluster {
        addresses.set("cluster", bootstrap);
    }
    let roles = &config.roles;
    for (name, role) in [
        ("registry", &roles.registry),
        ("engine", &roles.engine),
        ("connect", &roles.connect),
        ("search", &roles.search),
    ] {
        if let RestRole::At { url, .. } = role {
            addresses.set(name, url);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_filled_in_and_an_unknown_one_is_named() {
        let mut addresses = Addresses::default();
        addresses.set("search", "http://127.0.0.1:9200");
        addresses.set("cluster", "k:9092");
        for (value, expected) in [
            ("plain", "plain"),
            ("${role:search}", "http://127.0.0.1:9200"),
            (
                "a ${role:search}/x, ${role:cluster} ${env:HOME}",
                "a http://127.0.0.1:9200/x, k:9092 ${env:HOME}",
            ),
        ] {
            assert_eq!(addresses.replace(value).unwrap(), expected);
        }
        let registry = ("value.converter.schema.registry.url".to_owned(), "${role:registry}".to_owned());
        let spec = ConnectorSpec { name: "c".into(), config: BTreeMap::from([registry]) };
        assert!(addresses.fill(&spec).is_err(), "there is no registry");
        let mut with_registry = addresses.clone();
        with_registry.set("registry", "https://r:8081");
        assert_eq!(with_registry.fill(&spec).unwrap()["value.converter.schema.registry.url"], "embedded");
        let error = addresses.replace("${role:lake}").unwrap_err().to_string();
        assert!(error.contains("${role:lake}") && error.contains("known: cluster, search"), "{error}");
        assert!(addresses.replace("${role:search").is_err());
    }
}
