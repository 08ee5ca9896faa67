//! What a connection's bytes go through: the socket itself, or TLS over it.

use super::ListenerConfig;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A client has so long for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A stream of bytes in both directions.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// The socket, where the bytes go to it unchanged: then files are sent without being read.
    fn plain(&self) -> Option<&TcpStream>;
}

impl Transport for TcpStream {
    fn plain(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

impl Transport for tokio::io::DuplexStream {
    fn plain(&self) -> Option<&TcpStream> {
        None
    }
}

impl Transport for TlsStream<TcpStream> {
    fn plain(&self) -> Option<&TcpStream> {
        None
    }
}

/// A connection after the handshake that its listener asks for.
pub(super) enum Secured {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Does the TLS handshake where the listener's protocol has one.
pub(super) async fn secured(listener: &ListenerConfig, socket: TcpStream) -> io::Result<Secured> {
    if !listener.protocol.is_tls() {
        return Ok(Secured::Plain(socket));
    }
    let Some(tls) = &listener.tls else {
        let reason = format!("listener {} is {} without a certificate", listener.name, listener.protocol);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    };
    let acceptor = TlsAcceptor::from(Arc::clone(tls));
    // On the heap: it is large, and connections without TLS would hold room for it.
    match Box::pin(tokio::time::timeout(HANDSHAKE, acceptor.accept(socket))).await {
        Ok(Ok(stream)) => Ok(Secured::Tls(Box::new(stream))),
        Ok(Err(error)) => Err(io::Error::new(error.kind(), format!("TLS handshake: {error}"))),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "TLS handshake not done in time")),
    }
}
