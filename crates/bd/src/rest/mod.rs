//! The REST interface of streaming SQL: ksqlDB's, so that its clients work unchanged.
//!
//! | endpoint | what |
//! |---|---|
//! | `POST /ksql` | statements; one entity a statement ([`entities`]) |
//! | `POST /query-stream` | push and pull queries; a header line, then one JSON array a row ([`query`]) |
//! | `POST /query` | the same in the older form, one JSON array of objects |
//! | `POST /close-query` | ends a push query |
//! | `GET /info`, `/healthcheck` | ksqlDB's |
//! | `POST /drain`, `GET /drain` | plays all queries to the ends of their topics (bd's own) ([`status`]) |
//! | `GET /metrics` | Prometheus text ([`metrics`]) |
//!
//! Calls of the engine block, so they run on blocking threads. Rows of push queries pass a bounded channel: a slow client slows its
//! query down; a client that goes away ends it.

mod broker_metrics;
mod entities;
mod errors;
mod json;
mod ksql;
mod metrics;
mod query;
mod status;
mod types;

pub(crate) use broker_metrics::broker_metrics;
pub(crate) use metrics::query_metrics;

use axum::Router;
use axum::routing::{get, post};
use bd_broker::Broker;
use bd_cluster::Cluster;
use bd_engine::runtime::engine::Engine;
use bd_engine::runtime::status::QueryStatus;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// So many push queries may run at once; each has threads and memory of its own.
const MAX_PUSH_QUERIES: usize = 100;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Service(Arc<Shared>);

struct Shared {
    engine: Engine,
    cluster: Arc<dyn Cluster>,
    broker: Option<Arc<Broker>>,
    stopped: watch::Receiver<bool>,
    push_slots: Arc<Semaphore>,
    /// The push queries at work, by id.
    pushes: Mutex<HashMap<String, Arc<QueryStatus>>>,
}

impl Service {
    /// Over an engine; `broker` is there where the log is embedded, for its counters.
    pub(crate) fn new(
        engine: Engine,
        cluster: Arc<dyn Cluster>,
        broker: Option<Arc<Broker>>,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let push_slots = Arc::new(Semaphore::new(MAX_PUSH_QUERIES));
        let pushes = Mutex::new(HashMap::new());
        Self(Arc::new(Shared { engine, cluster, broker, stopped, push_slots, pushes }))
    }

    fn is_stopped(&self) -> bool {
        *self.0.stopped.borrow()
    }

    fn pushes(&self) -> MutexGuard<'_, HashMap<String, Arc<QueryStatus>>> {
        // The map is whole after every statement, whatever happened to the thread that held it.
        self.0.pushes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until `stopped` says so; push queries end then too.
///
/// # Errors
/// The listener's.
pub(crate) async fn serve(
    listener: TcpListener,
    service: Service,
    mut stopped: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/ksql", post(ksql::post))
        .route("/query", post(query::post_query))
        .route("/query-stream", post(query::post_query_stream))
        .route("/close-query", post(query::post_close))
        .route("/info", get(status::info))
        .route("/healthcheck", get(status::healthcheck))
        .route("/drain", post(status::post_drain).get(status::get_drain))
        .route("/metrics", get(metrics::get))
        .fallback(errors::not_found)
        .with_state(service);
    let shutdown = async move {
        // An error means that the sender is gone, which is the end too.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}
