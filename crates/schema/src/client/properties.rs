//! How a registry is reached, by the names of Confluent's clients: Java's (`basic.auth.*`, `bearer.auth.*`,
//! `schema.registry.ssl.*`, the same without `schema.registry.`) and Python's (`ssl.ca.location`).
//!
//! | property | |
//! |---|---|
//! | `basic.auth.credentials.source` | `URL` or `USER_INFO` |
//! | `basic.auth.user.info` | `user:password` |
//! | `bearer.auth.credentials.source` | `STATIC_TOKEN` |
//! | `bearer.auth.token` | the token |
//! | `ssl.truststore.location`, `ssl.ca.location` | a PEM file of the authorities that are believed |
//! | `ssl.truststore.certificates` | the same as PEM text |
//! | `ssl.truststore.type` | `PEM` |
//! | `ssl.endpoint.identification.algorithm` | `https` |

use std::collections::BTreeMap;
use std::path::Path;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// A property that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct PropertyError {
    /// Its name, as given.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Who asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credentials {
    /// `user:password`.
    Basic(String),
    Bearer(String),
}

/// What the properties say.
#[derive(Debug, Default)]
pub(super) struct Properties {
    pub(super) credentials: Option<Credentials>,
    /// The authorities that are believed.
    pub(super) roots: Option<RootCerts>,
}

/// Before names that are a registry's within the configuration of something else.
const OWN: &str = "schema.registry.";

/// Whether a name among others, such as those of a converter, is one of these properties.
pub(super) fn is_one(name: &str) -> bool {
    let bare = name.strip_prefix(OWN).unwrap_or(name);
    ["basic.auth.", "bearer.auth.", "ssl."].iter().any(|group| bare.starts_with(group))
}

/// Where systems keep the certificates of public authorities.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// TLS that believes these authorities; without them those that the system believes.
pub(super) fn tls(roots: Option<RootCerts>) -> TlsConfig {
    let of_system = || BUNDLES.iter().find_map(|file| read(Path::new(file)).ok());
    let roots = roots.or_else(of_system).unwrap_or(RootCerts::WebPki);
    TlsConfig::builder().root_certs(roots).build()
}

/// Reads properties; all of them must be known.
pub(super) fn parse(given: &BTreeMap<String, String>) -> Result<Properties, PropertyError> {
    let mut out = Properties::default();
    let (mut basic, mut bearer) = (None, None);
    let (mut basic_source, mut bearer_source) = (None, None);
    for (key, value) in given {
        let failed = |reason: String| PropertyError { key: key.clone(), reason };
        let one_of = |words: &[&str]| match words.iter().any(|w| w.eq_ignore_ascii_case(value)) {
            true => Ok(()),
            false => Err(failed(format!("expected {}, not {value}", words.join(" or ")))),
        };
        match key.strip_prefix(OWN).unwrap_or(key) {
            "basic.auth.credentials.source" => {
                one_of(&["URL", "USER_INFO"])?;
                basic_source = Some((key, value.eq_ignore_ascii_case("USER_INFO")));
            }
            "basic.auth.user.info" if value.contains(':') => basic = Some(value.clone()),
            "basic.auth.user.info" => return Err(failed("expected user:password".into())),
            "bearer.auth.credentials.source" => {
                one_of(&["STATIC_TOKEN"])?;
                bearer_source = Some(key);
            }
            "bearer.auth.token" => bearer = Some(value.clone()),
            "ssl.truststore.location" | "ssl.ca.location" => {
                out.roots = Some(read(Path::new(value)).map_err(failed)?);
            }
            "ssl.truststore.certificates" => {
                out.roots = Some(certificates(value.as_bytes()).map_err(failed)?);
            }
            "ssl.truststore.type" => one_of(&["PEM"])?,
            "ssl.endpoint.identification.algorithm" => one_of(&["https"])?,
            other if other.starts_with("ssl.keystore.") || other.starts_with("ssl.certificate.") => {
                return Err(failed("is not supported: this client shows no certificate of its own".into()));
            }
            _ => {
                return Err(failed(
                    "is no property of the registry's client; there are basic.auth.user.info, bearer.auth.token, \
                     ssl.ca.location"
                        .into(),
                ));
            }
        }
    }
    let missing = |key: &str, wanted: &str| PropertyError {
        key: key.to_owned(),
        reason: format!("{wanted} is not set"),
    };
    match (basic_source, bearer_source) {
        (Some((key, true)), _) if basic.is_none() => return Err(missing(key, "basic.auth.user.info")),
        (_, Some(key)) if bearer.is_none() => return Err(missing(key, "bearer.auth.token")),
        // As asked for: what the URL says.
        (Some((_, false)), _) => basic = None,
        _ => {}
    }
    out.credentials = match (basic, bearer) {
        (Some(_), Some(_)) => {
            let reason = "set it or basic.auth.user.info, not both".to_owned();
            return Err(PropertyError { key: "bearer.auth.token".into(), reason });
        }
        (Some(user_info), None) => Some(Credentials::Basic(user_info)),
        (None, token) => token.map(Credentials::Bearer),
    };
    Ok(out)
}

fn read(path: &Path) -> Result<RootCerts, String> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|e| format!("cannot read {shown}: {e}"))?;
    certificates(&bytes).map_err(|e| format!("{shown} {e}"))
}

fn certificates(pem: &[u8]) -> Result<RootCerts, String> {
    let all: Vec<Certificate<'static>> = parse_pem(pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    match all.is_empty() {
        true => Err("holds no certificate in PEM (BEGIN CERTIFICATE)".into()),
        false => Ok(RootCerts::from(all)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(pairs: &[(&str, &str)]) -> Result<Properties, String> {
        let given = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        parse(&given).map_err(|e| e.to_string())
    }

    #[test]
    fn the_names_of_confluents_clients_are_known() {
        let basic = Some(Credentials::Basic("ann:se:cret".into()));
        let info = ("basic.auth.user.info", "ann:se:cret");
        assert_eq!(parsed(&[info]).unwrap().credentials, basic);
        let source = ("basic.auth.credentials.source", "USER_INFO");
        assert_eq!(parsed(&[source, info]).unwrap().credentials, basic);
        assert_eq!(parsed(&[("schema.registry.basic.auth.user.info", info.1)]).unwrap().credentials, basic);
        let of_url = ("basic.auth.credentials.source", "URL");
        assert_eq!(parsed(&[of_url, info]).unwrap().credentials, None);
        let bearer = [("bearer.auth.credentials.source", "STATIC_TOKEN"), ("bearer.auth.token", "t")];
        assert_eq!(parsed(&bearer).unwrap().credentials, Some(Credentials::Bearer("t".into())));
        let dir = std::env::temp_dir().join(format!("bd-ca-{}.pem", std::process::id()));
        let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(&dir, pem).unwrap();
        let file = dir.to_str().unwrap();
        for (key, value) in [
            ("ssl.ca.location", file),
            ("schema.registry.ssl.truststore.location", file),
            ("ssl.truststore.certificates", pem),
        ] {
            let roots = parsed(&[(key, value), ("ssl.truststore.type", "PEM")]).unwrap().roots;
            assert!(matches!(roots, Some(RootCerts::Specific(all)) if all.len() == 1), "{key}");
        }
        std::fs::remove_file(&dir).unwrap();
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (pairs, expected) in [
            (&[("basic.auth.user.info", "ann")][..], "basic.auth.user.info: expected user:password"),
            (
                &[("basic.auth.credentials.source", "SASL_INHERIT")],
                "basic.auth.credentials.source: expected URL or USER_INFO, not SASL_INHERIT",
            ),
            (&[("basic.auth.credentials.source", "USER_INFO")], "basic.auth.user.info is not set"),
            (&[("bearer.auth.credentials.source", "STATIC_TOKEN")], "bearer.auth.token is not set"),
            (&[("bearer.auth.credentials.source", "OAUTHBEARER")], "expected STATIC_TOKEN"),
            (&[("basic.auth.user.info", "a:b"), ("bearer.auth.token", "t")], "not both"),
            (&[("ssl.ca.location", "/no/such.pem")], "ssl.ca.location: cannot read /no/such.pem"),
            (&[("ssl.truststore.certificates", "x")], "holds no certificate in PEM"),
            (&[("schema.registry.ssl.truststore.type", "JKS")], "expected PEM, not JKS"),
            (&[("ssl.endpoint.identification.algorithm", "")], "expected https"),
            (&[("schema.registry.ssl.keystore.location", "k")], "shows no certificate of its own"),
            (&[("basic.auth.usr.info", "a:b")], "basic.auth.usr.info: is no property of the registry's"),
        ] {
            let error = parsed(pairs).unwrap_err();
            assert!(error.contains(expected), "{pairs:?}\n  gives    {error}\n  expected {expected}");
        }
    }
}
