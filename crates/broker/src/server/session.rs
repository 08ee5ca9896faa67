//! What is known of a connection: who it is, where it comes from, when it was last heard of.

use super::ListenerConfig;
use crate::security::{Principal, SaslState};
use kafka_protocol::messages::ApiKey;
use parking_lot::{Mutex, RwLock};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Longest client id, software name or version that is kept of a connection, in bytes.
const LONGEST_NAME: usize = 256;

/// A connection's state, which handlers may change: ApiVersions tells the client's software, SASL who it is.
#[derive(Debug)]
pub(crate) struct Session {
    /// The listener it came through.
    pub(crate) listener: Arc<ListenerConfig>,
    /// Its address and port.
    pub(crate) peer: SocketAddr,
    /// Its address as Kafka shows it: `/127.0.0.1`.
    pub(crate) host: String,
    /// The exchange of SASL, between its requests.
    pub(crate) sasl: Mutex<SaslState>,
    /// Told when the server stops.
    stopped: Option<watch::Receiver<bool>>,
    identity: RwLock<Identity>,
    authenticated: AtomicBool,
    closing: AtomicBool,
    stage: AtomicU8,
    /// Seconds of [`START`] when it was accepted.
    opened: u32,
    /// Seconds of [`START`] when bytes last went in or out.
    active: AtomicU32,
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// A request, or room on the socket for an answer.
    Idle,
    /// The rest of a request.
    Half,
    /// The broker.
    Answering,
}

#[derive(Debug)]
struct Identity {
    principal: Arc<Principal>,
    /// Of the last request.
    client_id: Arc<str>,
    /// Of ApiVersions 3 and later (KIP-511): name and version.
    software: Option<Arc<(String, String)>>,
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn seconds() -> u32 {
    START.elapsed().as_secs() as u32
}

impl Session {
    /// Of a connection just accepted. Through a listener without SASL it is `User:ANONYMOUS`, and authenticated.
    pub(crate) fn new(listener: Arc<ListenerConfig>, peer: SocketAddr) -> Self {
        let authenticated = AtomicBool::new(!listener.protocol.is_sasl());
        Self {
            listener,
            peer,
            host: format!("/{}", peer.ip().to_canonical()),
            sasl: Mutex::default(),
            stopped: None,
            identity: RwLock::new(Identity {
                principal: ANONYMOUS.clone(),
                client_id: EMPTY.clone(),
                software: None,
            }),
            authenticated,
            closing: AtomicBool::new(false),
            stage: AtomicU8::new(Stage::Idle as u8),
            opened: seconds(),
            active: AtomicU32::new(seconds()),
        }
    }

    /// Of a server that says when it stops.
    pub(crate) fn stopped_by(mut self, stopped: watch::Receiver<bool>) -> Self {
        self.stopped = Some(stopped);
        self
    }

    /// Ready when the server stops: what waits for news answers with what there is.
    pub(crate) async fn stopping(&self) {
        match self.stopped.clone() {
            // An error: the server is gone.
            Some(mut stopped) => drop(stopped.wait_for(|stop| *stop).await),
            None => std::future::pending().await,
        }
    }

    /// Who it acts for.
    pub(crate) fn principal(&self) -> Arc<Principal> {
        Arc::clone(&self.identity.read().principal)
    }

    /// SASL came to its end: from now on it acts for `principal`.
    pub(crate) fn authenticate(&self, principal: Principal) {
        self.identity.write().principal = Arc::new(principal);
        self.authenticated.store(true, Relaxed);
    }

    /// Whether it may ask for more than the versions and the authentication itself.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.authenticated.load(Relaxed)
    }

    /// Whether a request of this API is allowed in the present state: not before the connection has authenticated, and not
    /// after its session has ended.
    pub(crate) fn may_ask(&self, api: ApiKey) -> bool {
        let valid = || !self.listener.protocol.is_sasl() || !self.sasl.lock().has_expired(Instant::now());
        matches!(api, ApiKey::ApiVersions | ApiKey::SaslHandshake | ApiKey::SaslAuthenticate)
            || self.is_authenticated() && valid()
    }

    /// Whether what comes next is a token of SASL without a request around it.
    pub(crate) fn takes_raw_tokens(&self) -> bool {
        !self.is_authenticated() && self.sasl.lock().takes_raw_tokens()
    }

    /// How long it is open.
    pub(crate) fn age(&self) -> Duration {
        Duration::from_secs(u64::from(seconds().saturating_sub(self.opened)))
    }

    /// Has the connection closed when the answer under way is on the socket (a failed authentication).
    pub(crate) fn close_after_answer(&self) {
        self.closing.store(true, Relaxed);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// The client id of the last request, for log lines.
    pub(crate) fn client_id(&self) -> Arc<str> {
        Arc::clone(&self.identity.read().client_id)
    }

    /// Notes a request's client id, and gives it shared: clients send the same with every request.
    pub(crate) fn note_client_id(&self, client_id: &str) -> Arc<str> {
        let known = self.client_id();
        if *known == *client_id {
            return known;
        }
        let new: Arc<str> = client_id.into();
        if new.len() <= LONGEST_NAME {
            self.identity.write().client_id = Arc::clone(&new);
        }
        new
    }

    /// Notes what ApiVersions says of the client.
    pub(crate) fn note_software(&self, name: &str, version: &str) {
        if name.len() <= LONGEST_NAME && version.len() <= LONGEST_NAME {
            self.identity.write().software = Some(Arc::new((name.to_owned(), version.to_owned())));
        }
    }

    /// Bytes went in or out.
    pub(crate) fn note_active(&self, stage: Stage) {
        self.active.store(seconds(), Relaxed);
        self.stage.store(stage as u8, Relaxed);
    }

    /// What it waits for.
    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Relaxed) {
            0 => Stage::Idle,
            1 => Stage::Half,
            _ => Stage::Answering,
        }
    }

    /// How long nothing went in or out.
    pub(crate) fn silent_for(&self) -> Duration {
        Duration::from_secs(u64::from(seconds().saturating_sub(self.active.load(Relaxed))))
    }
}

static ANONYMOUS: LazyLock<Arc<Principal>> = LazyLock::new(|| Arc::new(Principal::anonymous()));
static EMPTY: LazyLock<Arc<str>> = LazyLock::new(|| "".into());

/// As log lines show it: listener, address, principal, client id and software, as far as they are known.
impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identity = self.identity.read();
        write!(f, "{} from {} ({}", self.listener.name, self.peer, identity.principal)?;
        if !identity.client_id.is_empty() {
            write!(f, ", client id {:?}", identity.client_id)?;
        }
        if let Some(software) = &identity.software {
            write!(f, ", {:?} {:?}", software.0, software.1)?;
        }
        f.write_str(")")
    }
}
