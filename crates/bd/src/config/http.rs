//! Listeners of REST interfaces, with TLS where they may have it.

use super::security;
use super::settings::Settings;
use super::{Listener, parsed};
use anyhow::{Result, bail};
use bd_broker::security::TlsSettings;

/// Where a REST interface listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpListener {
    pub(crate) at: Listener,
    /// Where it is `https://`.
    pub(crate) tls: Option<TlsSettings>,
}

impl HttpListener {
    /// Of `ROLE.listener`: `[http(s)://]host:port`. The certificate is the role's own (`ROLE.ssl.keystore.*`), else the one of
    /// all listeners (`ssl.keystore.*`).
    pub(super) fn read(settings: &Settings, role: &str) -> Result<Self> {
        let key = format!("{role}.listener");
        let own = security::tls(settings, &format!("{role}."))?;
        let text = settings.text(&key).unwrap_or_default();
        let Some(address) = text.strip_prefix("https://") else {
            if own.is_some() {
                let address = text.trim_start_matches("http://");
                bail!("{role}.ssl.keystore.* is set, and {key} is {text}: write https://{address}");
            }
            return Ok(Self { at: parsed(settings, &key, &text)?, tls: None });
        };
        let tls = match own {
            Some(own) => Some(own),
            None => security::tls(settings, "")?,
        };
        if tls.is_none() {
            bail!(
                "{key} is {text}, which needs a certificate: set {}ssl.keystore.location to a PEM file of the chain and the private \
                 key",
                if role == "registry" { "registry." } else { "" }
            );
        }
        Ok(Self { at: parsed(settings, &key, address)?, tls })
    }
}
