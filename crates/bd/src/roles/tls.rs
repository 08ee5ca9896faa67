//! TLS of listeners: certificates that are read again, and REST interfaces over TLS.

use super::blocking;
use anyhow::{Context, Result};
use axum::serve::Listener;
use bd_broker::security::{Tls, TlsSettings};
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

/// How often the files of certificates are looked at.
const LOOK_AT_CERTIFICATES: Duration = Duration::from_secs(10);
/// So long a client may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// So many handshakes may go on at once; more connections wait.
const HANDSHAKES: usize = 512;

/// A certificate in use; read again when its files change, and on SIGHUP.
pub(super) struct Certificate {
    tls: Arc<Tls>,
    renewing: JoinHandle<()>,
}

impl Certificate {
    /// Reads it; `None` where there is none to read.
    ///
    /// # Errors
    /// A file that cannot be read, or that does not hold what it should.
    pub(super) async fn open(settings: Option<&TlsSettings>) -> Result<Option<Self>> {
        let Some(settings) = settings.cloned() else { return Ok(None) };
        let tls = Arc::new(blocking(move || Tls::open(settings)).await?.context("ssl.keystore")?);
        let renewing = tokio::spawn(renew(tls.clone()));
        Ok(Some(Self { tls, renewing }))
    }

    /// What listeners take.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.tls.config().clone()
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

async fn renew(tls: Arc<Tls>) {
    let watched = tls.clone().watch(LOOK_AT_CERTIFICATES);
    let hangups = async {
        let Ok(mut hangups) = signal(SignalKind::hangup()) else { return pending().await };
        while hangups.recv().await.is_some() {
            let tls = tls.clone();
            if let Ok(Err(error)) = blocking(move || tls.reload()).await {
                tracing::warn!(%error, "the certificate is not taken, the old one stays in use");
            }
        }
    };
    tokio::join!(watched, hangups);
}

/// A listener whose connections are those that came through their handshake; one that is slow holds up no other.
pub(super) struct TlsListener {
    socket: TcpListener,
    certificate: Certificate,
    handshakes: JoinSet<Option<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl TlsListener {
    pub(super) fn new(socket: TcpListener, certificate: Certificate) -> Self {
        Self { socket, certificate, handshakes: JoinSet::new() }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(connection)) = done {
                        return connection;
                    }
                }
                (stream, from) = Listener::accept(&mut self.socket), if self.handshakes.len() < HANDSHAKES => {
                    let acceptor = TlsAcceptor::from(self.certificate.config());
                    self.handshakes.spawn(handshake(acceptor, stream, from));
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

async fn handshake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    from: SocketAddr,
) -> Option<(TlsStream<TcpStream>, SocketAddr)> {
    // Without it a small answer may wait; a socket that does not take it works all the same.
    let _ = stream.set_nodelay(true);
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some((stream, from)),
        Ok(Err(error)) => {
            tracing::debug!(%from, %error, "TLS handshake");
            None
        }
        Err(_) => {
            tracing::debug!(%from, "no TLS handshake within {HANDSHAKE:?}");
            None
        }
    }
}
