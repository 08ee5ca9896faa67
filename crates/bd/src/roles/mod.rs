//! The assembly of roles: what runs in this process, in which order it starts and stops.
//!
//! ```text
//!  start: sockets ─▶ data lock ─▶ broker ─▶ Kafka protocol ─▶ search ─▶ topics ─▶ registry ─▶ engine ─▶ SQL files
//!         ─▶ connect ─▶ connectors ─▶ console
//!  stop:  console ─▶ connectors ─▶ queries (after a last barrier) ─▶ search ─▶ Kafka protocol ─▶ broker ─▶ data lock
//! ```
//! Nothing below this crate knows how roles are assembled. Roles reach each other by their public interfaces; only the registry's
//! clients within this process call it directly.

mod addresses;
mod cluster;
mod engine;
mod http;
mod kill;
mod lock;
mod metrics;
mod signals;
mod sockets;
mod tls;

pub(crate) use engine::EngineRole;
pub(crate) use signals::Signals;

use crate::cli::RoleName;
use crate::config::{Auth, ClusterRole, Config, HttpListener, RestRole};
use addresses::Addresses;
use anyhow::{Context, Result, anyhow};
use bd_cluster::Cluster;
use bd_connect::{Worker, WorkerConfig};
use bd_console::{Console, ConsoleConfig, Endpoint};
use bd_registry::Registry;
use bd_schema::{RegistryClient, SchemaRegistry};
use bd_search::{Search, SearchConfig};
use cluster::BrokerRole;
use http::HttpServer;
use sockets::Sockets;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tls::Certificate;
use tokio::net::TcpListener;

/// Stopping takes at most so long; what is not done by then is left to the recovery of the next start.
const STOP_WITHIN: Duration = Duration::from_secs(7);

/// The search's folder within the data folder.
const SEARCH_FOLDER: &str = "search";

/// The roles of this process.
#[derive(Default)]
pub(crate) struct Node {
    broker: Option<BrokerRole>,
    registry: Option<HttpServer>,
    search: Option<(Arc<Search>, HttpServer)>,
    engine: Option<EngineRole>,
    connect: Option<(Worker, HttpServer)>,
    console: Option<(Console, HttpServer)>,
    metrics: Option<HttpServer>,
    /// One line a role: its name and where it is.
    pub(crate) addresses: Vec<(&'static str, String)>,
}

/// What roles on a cluster need of each other.
struct Shared<'a> {
    config: &'a Config,
    addresses: &'a Addresses,
    cluster: Arc<dyn Cluster>,
    registry: Option<Arc<dyn SchemaRegistry>>,
    metrics: Vec<metrics::Source>,
}

impl Node {
    /// Starts the roles that are named (all, where none is).
    ///
    /// # Errors
    /// A socket that is taken, a data folder that another process uses, a topic, SQL file, connector or dashboard that does not fit.
    pub(crate) async fn start(config: &Config, roles: &[RoleName]) -> Result<Self> {
        let sockets = Sockets::bind(config, roles).await?;
        let kill = kill::switch()?;
        let mut node = Self::default();
        match node.start_roles(config, sockets, kill).await {
            Ok(()) => Ok(node),
            Err(error) => {
                node.stop().await.unwrap_or_else(|e| tracing::warn!("stopping: {e:#}"));
                Err(error)
            }
        }
    }

    async fn start_roles(
        &mut self,
        config: &Config,
        sockets: Sockets,
        kill: Option<kill::Kill>,
    ) -> Result<()> {
        let addresses = sockets.addresses(config)?;
        let cluster = match sockets.cluster {
            Some(listeners) => {
                let role = BrokerRole::start(config, listeners, kill.as_ref()).await?;
                let cluster = role.cluster();
                self.broker = Some(role);
                self.started("cluster", &addresses);
                Some(cluster)
            }
            // Of the roles that run here none needs a log: see Sockets::bind.
            None if config.cluster == ClusterRole::Embedded => None,
            None => Some(cluster::connect(&config.cluster).await?),
        };
        let mut metrics: Vec<metrics::Source> = Vec::new();
        if let Some(broker) = self.broker.as_ref().map(BrokerRole::counters) {
            metrics.push(Box::new(move || crate::rest::broker_metrics(&broker)));
        }
        if let Some(listener) = sockets.search {
            metrics.push(self.start_search(config, listener).await?);
            self.started("search", &addresses);
        }
        if let Some(cluster) = cluster {
            cluster::create_topics(cluster.clone(), config).await?;
            let mut shared = Shared { config, addresses: &addresses, cluster, registry: None, metrics };
            self.start_registry(&mut shared, sockets.registry).await?;
            if let Some(listener) = sockets.engine {
                self.start_engine(&mut shared, listener, kill).await?;
            }
            if let Some(listener) = sockets.connect {
                self.start_connect(&mut shared, listener).await?;
            }
            if let Some(listener) = sockets.console {
                self.start_console(&mut shared, listener).await?;
            }
            metrics = shared.metrics;
        }
        if let Some(listener) = sockets.metrics {
            let certificate = certificate(&config.metrics_listener, "metrics").await?;
            self.metrics =
                Some(HttpServer::start("metrics", listener, certificate, metrics::router(metrics)));
            self.started("metrics", &addresses);
        }
        Ok(())
    }

    fn started(&mut self, role: &'static str, addresses: &Addresses) {
        if let Some(address) = addresses.get(role) {
            self.addresses.push((role, address.to_owned()));
        }
    }

    async fn start_registry(&mut self, shared: &mut Shared<'_>, listener: Option<TcpListener>) -> Result<()> {
        if let Some(listener) = listener {
            let cluster = shared.cluster.clone();
            let settings = &shared.config.registry;
            let certificate = certificate(&settings.listener, "registry").await?;
            let store = settings.store.clone();
            let open = move || Registry::open(cluster, &store);
            let registry = Arc::new(blocking(open).await?.context("cannot start the schema registry")?);
            let router = bd_registry::secured(registry.clone(), settings.access.clone());
            self.registry = Some(HttpServer::start("registry", listener, certificate, router));
            self.started("registry", shared.addresses);
            shared.registry = Some(registry.clone());
            shared.metrics.push(Box::new(move || registry.metrics()));
        } else if let RestRole::At { url, .. } = &shared.config.roles.registry {
            let client = RegistryClient::new(url).with_properties(&shared.config.registry.client);
            shared.registry = Some(Arc::new(client.context("roles.registry.properties")?));
        }
        Ok(())
    }

    async fn start_search(&mut self, config: &Config, listener: TcpListener) -> Result<metrics::Source> {
        let mut settings = SearchConfig::new(config.data.join(SEARCH_FOLDER));
        settings.refresh_interval = config.search_refresh;
        let search = blocking(move || Search::open(settings)).await?.context("cannot start search")?;
        let server = HttpServer::start("search", listener, None, bd_search::router(search.clone()));
        self.search = Some((search.clone(), server));
        Ok(Box::new(move || search.metrics()))
    }

    async fn start_engine(
        &mut self,
        shared: &mut Shared<'_>,
        listener: TcpListener,
        kill: Option<kill::Kill>,
    ) -> Result<()> {
        let counters = self.broker.as_ref().map(BrokerRole::counters);
        let (cluster, registry) = (shared.cluster.clone(), shared.registry.clone());
        let role = EngineRole::start(shared.config, cluster, registry, listener, counters, kill).await?;
        shared.metrics.push(role.metrics());
        self.engine = Some(role);
        self.started("engine", shared.addresses);
        Ok(())
    }

    async fn start_connect(&mut self, shared: &mut Shared<'_>, listener: TcpListener) -> Result<()> {
        let mut settings =
            WorkerConfig { group_id: shared.config.connect_group.clone(), ..WorkerConfig::default() };
        settings.worker_id = listener.local_addr()?.to_string();
        let (cluster, registry) = (shared.cluster.clone(), shared.registry.clone());
        let open = move || Worker::open(cluster, bd_connectors::plugins(), registry, settings);
        let worker = blocking(open).await?.context("cannot start the Connect worker")?;
        let server = HttpServer::start("connect", listener, None, bd_connect::router(worker.clone()));
        self.connect = Some((worker.clone(), server));
        for spec in &shared.config.connectors {
            let filled = shared.addresses.fill(spec)?;
            let (worker, name) = (worker.clone(), spec.name.clone());
            let ensured = blocking(move || worker.ensure(&name, filled)).await?;
            ensured.with_context(|| format!("connectors.{}", spec.name))?;
        }
        self.started("connect", shared.addresses);
        shared.metrics.push(Box::new(move || worker.metrics()));
        Ok(())
    }

    async fn start_console(&mut self, shared: &mut Shared<'_>, listener: TcpListener) -> Result<()> {
        let endpoint = |role: &str| shared.addresses.get(role).map(Endpoint::new);
        let mut settings = ConsoleConfig::new(shared.cluster.clone());
        settings.engine = endpoint("engine");
        settings.connect = endpoint("connect");
        settings.search = endpoint("search").map(|search| match &shared.config.roles.search {
            RestRole::At { auth: Some(auth), .. } => search.with_auth(console_auth(auth)),
            _ => search,
        });
        settings.registry = shared.registry.clone();
        settings.dashboards = shared.config.dashboards.clone();
        let console = blocking(move || Console::new(settings)).await?.context("cannot start the console")?;
        let certificate = certificate(&shared.config.console_listener, "console").await?;
        let server = HttpServer::start("console", listener, certificate, bd_console::router(console.clone()));
        self.console = Some((console, server));
        self.started("console", shared.addresses);
        Ok(())
    }

    /// The engine, where it runs here.
    pub(crate) fn engine(&self) -> Option<&EngineRole> {
        self.engine.as_ref()
    }

    /// Stops all roles: first what uses others, the log last.
    ///
    /// # Errors
    /// Something did not stop cleanly; the next start recovers it.
    pub(crate) async fn stop(self) -> Result<()> {
        let late = || anyhow!("not stopped within {STOP_WITHIN:?}; the next start recovers");
        tokio::time::timeout(STOP_WITHIN, self.stop_roles()).await.map_err(|_| late())?
    }

    async fn stop_roles(self) -> Result<()> {
        if let Some(server) = self.metrics {
            server.stop().await;
        }
        if let Some((console, server)) = self.console {
            console.close();
            server.stop().await;
        }
        if let Some((worker, server)) = self.connect {
            server.stop().await;
            blocking(move || worker.close()).await?;
        }
        if let Some(engine) = self.engine {
            engine.stop().await;
        }
        if let Some((search, server)) = self.search {
            server.stop().await;
            blocking(move || search.close()).await?;
        }
        if let Some(server) = self.registry {
            server.stop().await;
        }
        match self.broker {
            Some(broker) => broker.stop().await,
            None => Ok(()),
        }
    }
}

/// The certificate of a REST interface, where it is over TLS.
async fn certificate(listener: &HttpListener, role: &str) -> Result<Option<Certificate>> {
    Certificate::open(listener.tls.as_ref()).await.with_context(|| format!("{role}.listener"))
}

fn console_auth(auth: &Auth) -> bd_console::Auth {
    match auth.clone() {
        Auth::Basic { user, password } => bd_console::Auth::Basic { user, password },
        Auth::ApiKey(key) => bd_console::Auth::ApiKey(key),
    }
}

/// Where clients on this machine reach a listener: a wildcard address is no address to connect to.
fn reachable(address: SocketAddr) -> crate::config::Listener {
    let host = if address.ip().is_unspecified() { "localhost".into() } else { address.ip().to_string() };
    crate::config::Listener { host, port: address.port() }
}

/// Runs what blocks on a thread of its own.
async fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(f).await.context("a thread ended by a panic")
}
