//! The sockets of all roles that run here, bound before anything else: a port that is taken is found before anything is written.

use super::addresses::{self, Addresses};
use super::reachable;
use crate::cli::RoleName;
use crate::config::{ClusterRole, Config, Listener, RestRole};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use tokio::net::TcpListener;

/// A socket for each role that runs here.
pub(super) struct Sockets {
    /// One for each of `listeners`, where the log is here.
    pub(super) cluster: Option<Vec<TcpListener>>,
    pub(super) registry: Option<TcpListener>,
    pub(super) search: Option<TcpListener>,
    pub(super) engine: Option<TcpListener>,
    pub(super) connect: Option<TcpListener>,
    pub(super) console: Option<TcpListener>,
    pub(super) metrics: Option<TcpListener>,
}

impl Sockets {
    /// Binds the sockets of the roles that are named (all, where none is) and that are not elsewhere.
    ///
    /// # Errors
    /// A port that is taken; roles that have no cluster to work on; no role at all.
    pub(super) async fn bind(config: &Config, roles: &[RoleName]) -> Result<Self> {
        let named = |role| roles.is_empty() || roles.contains(&role);
        let here = |role, at: &RestRole| named(role) && *at == RestRole::Embedded;
        let embedded = config.cluster == ClusterRole::Embedded;
        let cluster = named(RoleName::Cluster) && embedded;
        let on_cluster = [
            (RoleName::Registry, here(RoleName::Registry, &config.roles.registry)),
            (RoleName::Engine, here(RoleName::Engine, &config.roles.engine)),
            (RoleName::Connect, here(RoleName::Connect, &config.roles.connect)),
            (RoleName::Console, named(RoleName::Console)),
        ];
        let search = here(RoleName::Search, &config.roles.search);
        if let Some((role, _)) = on_cluster.iter().find(|(_, runs)| *runs && embedded && !cluster) {
            let role = role.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned());
            bail!(
                "the {role} alone needs a cluster to work on: set roles.cluster.bootstrap to its host:port \
                 (--set roles.cluster.bootstrap=127.0.0.1:9092), or start the role cluster too"
            );
        }
        let [registry, engine, connect, console] = on_cluster.map(|(_, runs)| runs);
        if ![cluster, registry, search, engine, connect, console].contains(&true) {
            bail!(
                "all roles that are asked for are elsewhere (roles.*), so that no role is left to run here"
            );
        }
        Ok(Self {
            cluster: if cluster { Some(bind_all(config).await?) } else { None },
            registry: bind(registry, "registry.listener", &config.registry.listener.at).await?,
            search: bind(search, "search.listener", &config.search_listener).await?,
            engine: bind(engine, "engine.listener", &config.engine.listener).await?,
            connect: bind(connect, "connect.listener", &config.connect_listener).await?,
            console: bind(console, "console.listener", &config.console_listener.at).await?,
            metrics: bind(true, "metrics.listener", &config.metrics_listener.at).await?,
        })
    }

    /// Where all roles are, those elsewhere too.
    pub(super) fn addresses(&self, config: &Config) -> Result<Addresses> {
        let mut addresses = addresses::elsewhere(config);
        for (role, socket) in [
            ("cluster", self.cluster.as_ref().and_then(|sockets| sockets.first())),
            ("registry", self.registry.as_ref()),
            ("search", self.search.as_ref()),
            ("engine", self.engine.as_ref()),
            ("connect", self.connect.as_ref()),
            ("console", self.console.as_ref()),
            ("metrics", self.metrics.as_ref()),
        ] {
            let Some(socket) = socket else { continue };
            let at = reachable(socket.local_addr()?);
            let listener = match role {
                "registry" => Some(&config.registry.listener),
                "console" => Some(&config.console_listener),
                "metrics" => Some(&config.metrics_listener),
                _ => None,
            };
            let scheme = if listener.is_some_and(|l| l.tls.is_some()) { "https" } else { "http" };
            match role {
                "cluster" => addresses.set(role, at.to_string()),
                "metrics" => addresses.set(role, format!("{scheme}://{at}/metrics")),
                _ => addresses.set(role, format!("{scheme}://{at}")),
            }
        }
        Ok(addresses)
    }
}

async fn bind(wanted: bool, key: &str, at: &Listener) -> Result<Option<TcpListener>> {
    if !wanted {
        return Ok(None);
    }
    bind_one(key, &at.to_string()).await.map(Some)
}

/// The listeners of the log.
async fn bind_all(config: &Config) -> Result<Vec<TcpListener>> {
    let mut sockets = Vec::new();
    for listener in &config.listeners {
        sockets.push(bind_one("listeners", &listener.bind.to_string()).await?);
    }
    Ok(sockets)
}

async fn bind_one(key: &str, at: &str) -> Result<TcpListener> {
    TcpListener::bind(at).await.with_context(|| {
        format!("{key}: cannot listen on {at}; another address: --set {key}=127.0.0.1:0 takes any free port, --free-ports for all")
    })
}
