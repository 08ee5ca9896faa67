//! The assembly of roles: what runs in this process, in which order it starts and stops.
//!
//! ```text
//!  start: sockets ─▶ data lock ─▶ broker ─▶ Kafka protocol ─▶ topics ─▶ engine ─▶ SQL files ─▶ REST
//!  stop:  REST ─▶ queries (after a last barrier) ─▶ Kafka protocol ─▶ broker (clean markers) ─▶ data lock
//! ```
//! Nothing below this crate knows how roles are assembled.

mod cluster;
mod engine;
mod kill;
mod lock;
mod signals;

pub(crate) use engine::EngineRole;
pub(crate) use signals::Signals;

use crate::cli::RoleName;
use crate::config::{ClusterRole, Config};
use anyhow::{Context, Result, anyhow, bail};
use bd_cluster::Cluster;
use cluster::BrokerRole;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Stopping takes at most so long; what is not done by then is left to the recovery of the next start.
const STOP_WITHIN: Duration = Duration::from_secs(7);

/// The roles of this process.
pub(crate) struct Node {
    broker: Option<BrokerRole>,
    engine: Option<EngineRole>,
    /// One line a role: its name and where it is.
    pub(crate) addresses: Vec<(&'static str, String)>,
}

impl Node {
    /// Starts the roles that are named (all, where none is).
    ///
    /// # Errors
    /// A socket that is taken, a data folder that another process uses, a topic or SQL file that does not fit.
    pub(crate) async fn start(config: &Config, roles: &[RoleName]) -> Result<Self> {
        let wanted = |role| roles.is_empty() || roles.contains(&role);
        let embedded = config.cluster == ClusterRole::Embedded;
        if wanted(RoleName::Engine) && embedded && !wanted(RoleName::Cluster) {
            bail!(
                "the engine alone needs a cluster to work on: set roles.cluster.bootstrap to its host:port \
                 (--set roles.cluster.bootstrap=127.0.0.1:9092), or start the role cluster too"
            );
        }
        if !wanted(RoleName::Engine) && !embedded {
            bail!("the cluster is at roles.cluster.bootstrap, so that no role is left to run here");
        }
        // Both sockets first: a port that is taken is found before anything is written.
        let kafka = match wanted(RoleName::Cluster) && embedded {
            true => Some(bind("listeners", &config.listener.to_string()).await?),
            false => None,
        };
        let rest = match wanted(RoleName::Engine) {
            true => Some(bind("engine.listener", &config.engine.listener.to_string()).await?),
            false => None,
        };
        let kill = kill::switch()?;
        let mut node = Self { broker: None, engine: None, addresses: Vec::new() };
        let started = node.start_roles(config, kafka, rest, kill).await;
        match started {
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
        kafka: Option<TcpListener>,
        rest: Option<TcpListener>,
        kill: Option<kill::Kill>,
    ) -> Result<()> {
        let cluster: Arc<dyn Cluster> = match kafka {
            Some(listener) => {
                let address = listener.local_addr()?;
                let role = BrokerRole::start(config, listener, kill.as_ref()).await?;
                self.addresses.push(("cluster", address.to_string()));
                let cluster = role.cluster();
                self.broker = Some(role);
                cluster
            }
            None => cluster::connect(&config.cluster).await?,
        };
        cluster::create_topics(cluster.clone(), config).await?;
        if let Some(listener) = rest {
            let address = listener.local_addr()?;
            let counters = self.broker.as_ref().map(BrokerRole::counters);
            let role = EngineRole::start(config, cluster, listener, counters, kill).await?;
            self.engine = Some(role);
            self.addresses.push(("engine", format!("http://{address}")));
        }
        Ok(())
    }

    /// The engine, where it runs here.
    pub(crate) fn engine(&self) -> Option<&EngineRole> {
        self.engine.as_ref()
    }

    /// Stops all roles: queries after a last barrier, then the log.
    ///
    /// # Errors
    /// Something did not stop cleanly; the next start recovers it.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let (engine, broker) = (self.engine.take(), self.broker.take());
        let all = async {
            if let Some(engine) = engine {
                engine.stop().await;
            }
            match broker {
                Some(broker) => broker.stop().await,
                None => Ok(()),
            }
        };
        let late = || anyhow!("not stopped within {STOP_WITHIN:?}; the next start recovers");
        tokio::time::timeout(STOP_WITHIN, all).await.map_err(|_| late())?
    }
}

async fn bind(key: &str, address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "{key}: cannot listen on {address}; another address: --set {key}=127.0.0.1:0 takes any free port"
        )
    })
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
