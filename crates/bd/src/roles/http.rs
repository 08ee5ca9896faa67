//! A REST interface of a role.

use super::tls::{Certificate, TlsListener};
use axum::Router;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Connections that are still busy so long after the stop are cut.
const GRACE: Duration = Duration::from_secs(1);

/// A router at work.
pub(super) struct HttpServer {
    role: &'static str,
    stop: watch::Sender<bool>,
    server: JoinHandle<std::io::Result<()>>,
}

impl HttpServer {
    /// Serves `router` for the role of that name; with a certificate over TLS.
    pub(super) fn start(
        role: &'static str,
        listener: TcpListener,
        certificate: Option<Certificate>,
        router: Router,
    ) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let shutdown = async move {
            // An error means that the sender is gone, which is the end too.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let server = async move {
            match certificate {
                None => axum::serve(listener, router).with_graceful_shutdown(shutdown).await,
                Some(certificate) => {
                    let listener = TlsListener::new(listener, certificate);
                    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
                }
            }
        };
        Self { role, stop, server: tokio::spawn(server) }
    }

    /// Takes no more requests, and waits for those at work.
    pub(super) async fn stop(mut self) {
        let _ = self.stop.send(true);
        match tokio::time::timeout(GRACE, &mut self.server).await {
            Ok(Ok(Err(error))) => tracing::warn!("stopping the REST interface of {}: {error}", self.role),
            Ok(_) => {}
            Err(_) => self.server.abort(),
        }
    }
}
