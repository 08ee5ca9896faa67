//! Serves the Kafka protocol on listeners.
//!
//! ```text
//!  socket ─▶ frames ─▶ api::start, in order ─▶ answers under way (bounded) ─▶ output, in order ─▶ socket
//!            └──────────────────────── one task for each connection ──────────────────────────┘
//! ```
//! Produce requests of a connection overlap: each is in the log before the next one starts, and they share fsyncs. All others
//! are answered, and their answer is on the socket, before the next request is read. So a client that does not read its
//! answers is not read from, and what a connection holds is bounded.
//!
//! Connections are spread over a few threads ([`threads`]) that do nothing else.
//!
//! Who a connection acts for, and through which listener it came, is its [`session::Session`].

mod connection;
mod frames;
mod limits;
mod listener;
mod output;
pub(crate) mod session;
mod threads;
mod transport;

pub(crate) use limits::Network;
pub use listener::{ListenerConfig, SecurityProtocol};

use crate::broker::Broker;
use connection::Connection;
use limits::Slot;
use session::{Session, Stage};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use threads::Threads;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use transport::Transport;

/// How often connections are looked at that may have been silent for too long; more often where little is too long.
const LOOK_AT_SILENT: Duration = Duration::from_secs(5);
/// What is under way when the server stops is answered within this time, or not at all.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Serves one listener until `shutdown` is ready, then answers what is under way and ends the connections. Several listeners
/// of one broker share its limits. Closing the broker is left to the caller.
///
/// # Errors
/// None for single connections: they are logged. The listener's own errors are waited out.
pub async fn serve(
    broker: Arc<Broker>,
    listener: TcpListener,
    config: ListenerConfig,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let (stop, stopped) = watch::channel(false);
    let threads = broker.network().threads(broker.config().network_threads)?;
    let server = Server { broker, config: Arc::new(config), stopped };
    let mut connections = Connections::default();
    let often = (server.broker.config().connection_max_idle / 4).max(Duration::from_millis(10));
    let mut look = tokio::time::interval(LOOK_AT_SILENT.min(often));
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = server.accept(&listener) => if let Some((socket, peer, slot)) = accepted {
                connections.start(&server, &threads, socket, peer, slot);
            },
            Some(ended) = connections.tasks.join_next_with_id(), if !connections.tasks.is_empty() => {
                connections.ended(ended);
            }
            _ = look.tick() => connections.end_silent(&server.broker),
        }
    }
    let _ = stop.send(true);
    let answered =
        tokio::time::timeout(LAST_ANSWERS, async { while connections.tasks.join_next().await.is_some() {} });
    if answered.await.is_err() {
        tracing::warn!(listener = %server.config.name, "connections that did not take their last answers are cut");
        connections.tasks.shutdown().await;
    }
    Ok(())
}

/// Serves one connection over a pipe in this process, without the limits on connections: for tests and fuzzing.
///
/// # Errors
/// `InvalidData`: the client does not keep to the protocol, or asks for what is not there.
pub async fn serve_pipe(
    broker: Arc<Broker>,
    pipe: tokio::io::DuplexStream,
    config: ListenerConfig,
) -> io::Result<()> {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
    speak(broker, &Arc::new(Session::new(Arc::new(config), nobody)), pipe).await
}

/// One listener at work.
struct Server {
    broker: Arc<Broker>,
    config: Arc<ListenerConfig>,
    stopped: watch::Receiver<bool>,
}

impl Server {
    /// The next connection that the limits allow. While `max.connections` are open none is accepted, like Kafka.
    async fn accept(&self, listener: &TcpListener) -> Option<(TcpStream, SocketAddr, Slot)> {
        let network = self.broker.network();
        let place = network.place().await;
        match listener.accept().await {
            Ok((socket, peer)) => match network.admit(place, peer.ip()) {
                Some(slot) => Some((socket, peer, slot)),
                None => {
                    self.broker.counters().connection_refused();
                    tracing::info!(
                        %peer, listener = %self.config.name,
                        "refused: max.connections.per.ip connections from this address are open"
                    );
                    None
                }
            },
            Err(error) => {
                // Out of file descriptors, mostly: others must close first.
                tracing::warn!(listener = %self.config.name, %error, "cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
                None
            }
        }
    }
}

/// The connections of a listener.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    open: HashMap<Id, (Arc<Session>, AbortHandle)>,
}

impl Connections {
    fn start(&mut self, server: &Server, threads: &Threads, socket: TcpStream, peer: SocketAddr, slot: Slot) {
        let session = Session::new(Arc::clone(&server.config), peer).stopped_by(server.stopped.clone());
        let session = Arc::new(session);
        // To be waited for by the event loop that it is given to.
        let socket = match socket.into_std() {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!(%session, %error, "connection closed");
                return;
            }
        };
        let task = run(Arc::clone(&server.broker), Arc::clone(&session), socket, slot);
        let Some(event_loop) = threads.next() else { return };
        let handle = self.tasks.spawn_on(task, event_loop);
        self.open.insert(handle.id(), (session, handle));
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                let id = error.id();
                if error.is_panic() {
                    let session = self.open.get(&id).map(|(s, _)| s.to_string()).unwrap_or_default();
                    tracing::error!(%session, %error, "a connection's task panicked");
                }
                id
            }
        };
        self.open.remove(&id);
    }

    /// `connections.max.idle.ms`, and half requests that do not go on.
    fn end_silent(&mut self, broker: &Broker) {
        let max_idle = broker.config().connection_max_idle;
        let authentication = broker.config().security.authentication_timeout;
        for (session, task) in self.open.values() {
            if !session.is_authenticated() && session.age() > authentication {
                tracing::debug!(%session, "closed: not authenticated in time");
                task.abort();
                continue;
            }
            let stage = session.stage();
            let limit = match stage {
                Stage::Idle => max_idle,
                Stage::Half => max_idle.min(frames::HALF_FRAME),
                Stage::Answering => continue,
            };
            if session.silent_for() > limit {
                tracing::debug!(%session, ?stage, ?limit, "closed: silent for too long");
                task.abort();
            }
        }
    }
}

/// One connection, from the handshake to its end.
async fn run(broker: Arc<Broker>, session: Arc<Session>, socket: std::net::TcpStream, slot: Slot) {
    // Dropped with the task, also where that is cut.
    let _slot = slot;
    let _open = broker.counters().connection();
    let socket = socket.set_nodelay(true).and_then(|()| TcpStream::from_std(socket));
    let result = match socket {
        Err(error) => Err(error),
        Ok(socket) => match transport::secured(&session.listener, socket).await {
            Ok(transport::Secured::Plain(socket)) => speak(Arc::clone(&broker), &session, socket).await,
            Ok(transport::Secured::Tls(socket)) => speak(Arc::clone(&broker), &session, *socket).await,
            Err(error) => Err(error),
        },
    };
    match result {
        Ok(()) => tracing::trace!(%session, "connection ended"),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            broker.counters().malformed();
            tracing::warn!(%session, %error, "connection closed");
        }
        Err(error) => tracing::debug!(%session, %error, "connection closed"),
    }
}

async fn speak<T: Transport>(broker: Arc<Broker>, session: &Arc<Session>, socket: T) -> io::Result<()> {
    // On the heap: the states of both kinds of transport would make every task as large as the largest.
    Box::pin(Connection::new(broker, Arc::clone(session), socket).run()).await
}
