//! Certificates and keys of listeners, from PEM; read again when the files change.
//!
//! New connections get the certificate that was read last; those that are open keep theirs. Files that do not fit together (a key
//! of another certificate, half a file) are not taken: the old ones stay in use, and a warning says so.

use parking_lot::{Mutex, RwLock};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A PEM text, or where it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// The text itself.
    Text(String),
    /// A file, which may change.
    File(PathBuf),
}

impl Pem {
    /// As a value of the configuration: a text that begins as PEM does, else a path.
    pub fn of_value(value: &str) -> Self {
        match value.trim_start().starts_with("-----BEGIN") {
            true => Self::Text(value.to_owned()),
            false => Self::File(value.into()),
        }
    }

    fn read(&self) -> Result<Vec<u8>, TlsError> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::File(path) => std::fs::read(path)
                .map_err(|source| TlsError::Read { path: path.display().to_string(), source }),
        }
    }

    /// What changes when the file does.
    fn stamp(&self) -> Option<(SystemTime, u64)> {
        let Self::File(path) = self else { return None };
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }
}

/// A key is not for logs.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("(PEM text)"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// What a listener over TLS needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate of the broker, followed by those of the authorities between it and the root.
    pub certificate_chain: Pem,
    /// Its private key (PKCS #8, PKCS #1 or SEC 1), not encrypted. May be the same file.
    pub key: Pem,
    /// Whether TLS 1.2 is spoken beside 1.3.
    pub tls_12: bool,
}

/// Certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A text is not what it should be.
    #[error("{place}: {reason}")]
    Pem {
        /// The file.
        place: String,
        /// Why.
        reason: String,
    },
    /// Key and certificate.
    #[error("{certificate} and {key}: {source}")]
    Pair {
        /// The certificate's place.
        certificate: String,
        /// The key's place.
        key: String,
        /// Why they cannot be used together.
        source: rustls::Error,
    },
}

/// A listener's TLS at work.
pub struct Tls {
    settings: TlsSettings,
    provider: Arc<CryptoProvider>,
    resolver: Arc<Resolver>,
    config: Arc<ServerConfig>,
    /// Of the files that are in use.
    stamp: Mutex<Stamp>,
}

/// Of the chain and of the key.
type Stamp = [Option<(SystemTime, u64)>; 2];

/// Gives the certificate that was read last.
#[derive(Debug)]
struct Resolver(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read()))
    }
}

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// A file that cannot be read, that holds no certificate or key, or an encrypted key; a key of another certificate.
    pub fn open(settings: TlsSettings) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let stamp = stamp(&settings);
        let resolver = Arc::new(Resolver(RwLock::new(Arc::new(read(&settings, &provider)?))));
        let versions: &[_] = match settings.tls_12 {
            true => &[&rustls::version::TLS13, &rustls::version::TLS12],
            false => &[&rustls::version::TLS13],
        };
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|source| pair(&settings, source))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&resolver) as Arc<dyn ResolvesServerCert>);
        Ok(Self { settings, provider, resolver, config: Arc::new(config), stamp: Mutex::new(stamp) })
    }

    /// What listeners take.
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Reads the files again; whether they were taken.
    ///
    /// # Errors
    /// As [`Tls::open`]; the old ones stay in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let stamp = stamp(&self.settings);
        let read = read(&self.settings, &self.provider);
        // Also of files that do not fit: one warning is enough.
        *self.stamp.lock() = stamp;
        *self.resolver.0.write() = Arc::new(read?);
        tracing::info!(certificate = %self.settings.certificate_chain, "certificate read again");
        Ok(())
    }

    /// Reads the files again if they changed.
    ///
    /// # Errors
    /// As [`Tls::reload`].
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        if *self.stamp.lock() == stamp(&self.settings) {
            return Ok(false);
        }
        self.reload().map(|()| true)
    }

    /// Reads the files again whenever they changed; looks every `interval`. Does not end.
    pub async fn watch(self: Arc<Self>, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            let tls = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || tls.reload_if_changed()).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the changed certificate is not taken, the old one stays in use");
                }
                // The runtime ends.
                Err(_) => return,
            }
        }
    }
}

fn stamp(settings: &TlsSettings) -> Stamp {
    [settings.certificate_chain.stamp(), settings.key.stamp()]
}

fn pair(settings: &TlsSettings, source: rustls::Error) -> TlsError {
    let (certificate, key) = (settings.certificate_chain.to_string(), settings.key.to_string());
    TlsError::Pair { certificate, key, source }
}

fn read(settings: &TlsSettings, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let failed = |pem: &Pem, reason: String| TlsError::Pem { place: pem.to_string(), reason };
    let text = settings.certificate_chain.read()?;
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|e| failed(&settings.certificate_chain, e.to_string()))?;
    if chain.is_empty() {
        return Err(failed(&settings.certificate_chain, "holds no certificate (BEGIN CERTIFICATE)".into()));
    }
    let text = settings.key.read()?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        let encrypted = text.windows(9).any(|w| w == b"ENCRYPTED");
        failed(
            &settings.key,
            match encrypted {
                true => {
                    "the private key is encrypted, which is not supported: openssl pkey -in KEY -out PLAIN"
                        .into()
                }
                false => format!("holds no private key: {error}"),
            },
        )
    })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|source| pair(settings, source))
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn certificate() -> rcgen::CertifiedKey<rcgen::KeyPair> {
        rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap()
    }

    fn settings(dir: &Path) -> TlsSettings {
        let file = |name: &str| Pem::File(dir.join(name));
        TlsSettings { certificate_chain: file("cert.pem"), key: file("key.pem"), tls_12: true }
    }

    fn write(dir: &Path, pair: &rcgen::CertifiedKey<rcgen::KeyPair>) {
        std::fs::write(dir.join("cert.pem"), pair.cert.pem()).unwrap();
        std::fs::write(dir.join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
    }

    fn in_use(tls: &Tls) -> Vec<u8> {
        tls.resolver.0.read().cert[0].to_vec()
    }

    #[test]
    fn changed_files_are_taken_and_files_that_do_not_fit_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (certificate(), certificate());
        write(dir.path(), &first);
        let tls = Tls::open(settings(dir.path())).unwrap();
        assert_eq!(in_use(&tls), first.cert.der().to_vec());
        assert!(!tls.reload_if_changed().unwrap());
        // The new certificate with the old key: in the middle of a change.
        std::fs::write(dir.path().join("cert.pem"), second.cert.pem() + "\n").unwrap();
        let error = tls.reload_if_changed().unwrap_err().to_string();
        assert!(error.contains("cert.pem and") && error.contains("key.pem"), "{error}");
        assert_eq!(in_use(&tls), first.cert.der().to_vec());
        std::fs::write(dir.path().join("key.pem"), second.signing_key.serialize_pem() + "\n\n").unwrap();
        assert!(tls.reload_if_changed().unwrap());
        assert_eq!(in_use(&tls), second.cert.der().to_vec());
    }

    #[test]
    fn one_file_or_texts_may_hold_both() {
        let pair = certificate();
        let both = pair.cert.pem() + &pair.signing_key.serialize_pem();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("both.pem"), &both).unwrap();
        for pem in [Pem::of_value(&both), Pem::of_value(dir.path().join("both.pem").to_str().unwrap())] {
            let settings = TlsSettings { certificate_chain: pem.clone(), key: pem, tls_12: false };
            assert!(!format!("{settings:?}").contains("BEGIN"), "keys are not shown");
            Tls::open(settings).unwrap();
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = |settings: TlsSettings| Tls::open(settings).unwrap_err().to_string();
        assert!(error(settings(dir.path())).contains("cannot read"));
        let pair = certificate();
        write(dir.path(), &pair);
        std::fs::write(
            dir.path().join("key.pem"),
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        )
        .unwrap();
        assert!(error(settings(dir.path())).contains("encrypted"));
        std::fs::write(dir.path().join("key.pem"), "").unwrap();
        assert!(error(settings(dir.path())).contains("key.pem: holds no private key"));
        std::fs::write(dir.path().join("cert.pem"), "nothing").unwrap();
        assert!(error(settings(dir.path())).contains("cert.pem: holds no certificate"));
    }
}
