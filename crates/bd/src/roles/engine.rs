//! The role `engine`: streaming SQL over a cluster, and its REST interface.

use super::kill::Kill;
use super::{blocking, metrics};
use crate::config::Config;
use crate::rest;
use anyhow::{Context, Result};
use bd_broker::Broker;
use bd_cluster::Cluster;
use bd_engine::runtime::engine::{Engine, Query};
use bd_engine::runtime::query::QueryConfig;
use bd_engine::runtime::status::QueryState;
use bd_schema::{Codecs, SchemaRegistry};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often the states of queries are looked at while they drain.
const LOOK: Duration = Duration::from_millis(100);

/// Streaming SQL at work.
pub(crate) struct EngineRole {
    engine: Engine,
    stop: watch::Sender<bool>,
    server: JoinHandle<std::io::Result<()>>,
}

impl EngineRole {
    /// Restarts the queries that are there, applies the SQL files, serves REST.
    pub(super) async fn start(
        config: &Config,
        cluster: Arc<dyn Cluster>,
        registry: Option<Arc<dyn SchemaRegistry>>,
        listener: TcpListener,
        broker: Option<Arc<Broker>>,
        kill: Option<Kill>,
    ) -> Result<Self> {
        let settings = QueryConfig {
            commit_interval: config.engine.commit_interval,
            batch_rows: config.engine.batch_rows,
            poll_bytes: config.engine.poll_bytes,
            codecs: Codecs::new(registry),
            on_step: kill.map(|k| k.on_step()),
            ..QueryConfig::default()
        };
        let (files, of_engine) = (config.sql.clone(), cluster.clone());
        let open = move || -> Result<Engine> {
            let engine = Engine::open(of_engine, settings).context("cannot start streaming SQL")?;
            let applied = apply(&engine, &files);
            if applied.is_err() {
                engine.close();
            }
            applied.map(|()| engine)
        };
        let engine = blocking(open).await??;
        let (stop, stopped) = watch::channel(false);
        let state = rest::Service::new(engine.clone(), cluster, broker, stopped.clone());
        let server = tokio::spawn(rest::serve(listener, state, stopped));
        Ok(Self { engine, stop, server })
    }

    /// What its queries count, as Prometheus text.
    pub(super) fn metrics(&self) -> metrics::Source {
        let engine = self.engine.clone();
        Box::new(move || rest::query_metrics(&engine.queries()))
    }

    /// The queries.
    pub(crate) fn queries(&self) -> Vec<Query> {
        self.engine.queries()
    }

    /// Plays all queries to the ends that their topics have now, and waits until they are completed or one of them failed.
    ///
    /// # Errors
    /// The query that failed, and what it failed on.
    pub(crate) async fn drain(&self) -> Result<()> {
        let engine = self.engine.clone();
        blocking(move || -> Result<()> {
            engine.drain().context("cannot drain")?;
            loop {
                let queries = engine.queries();
                let mut waiting = None;
                for query in &queries {
                    match query.status.state() {
                        QueryState::Completed => {}
                        QueryState::Error(error) => anyhow::bail!("query {}: {error}", query.status.id),
                        QueryState::Stopped => return Ok(()),
                        QueryState::Starting | QueryState::Running => waiting = Some(query),
                    }
                }
                match waiting {
                    None => return Ok(()),
                    Some(query) => query.status.wait_change(LOOK),
                }
            }
        })
        .await?
    }

    /// Stops REST, then the queries after a last barrier.
    pub(super) async fn stop(self) {
        let _ = self.stop.send(true);
        let (engine, server) = (self.engine, self.server);
        if let Err(error) = blocking(move || engine.close()).await {
            tracing::warn!("stopping queries: {error:#}");
        }
        if let Ok(Err(error)) = server.await {
            tracing::warn!("stopping REST: {error}");
        }
    }
}

fn apply(engine: &Engine, files: &[PathBuf]) -> Result<()> {
    for file in files {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("sql: cannot read {}", file.display()))?;
        engine.ensure(&text).with_context(|| format!("in {}", file.display()))?;
    }
    Ok(())
}
