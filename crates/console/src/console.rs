//! The console itself: what its handlers and feeds share.

use crate::config::ConsoleConfig;
use crate::dashboard::{Dashboard, load};
use crate::decode::Decoder;
use crate::error::ConsoleError;
use crate::feed::Feeds;
use crate::roles::{Connect, EngineRest, Search};
use crate::topics::{self, Tap, Tapping, TopicList};
use bd_cluster::{Cluster, ClusterError};
use indexmap::IndexMap;
use parking_lot::{Condvar, Mutex};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the topics of dashboards are looked at.
const TAP: Duration = Duration::from_millis(100);

/// A console at work. Clones are the same console. [`Console::close`] ends its streams and threads.
#[derive(Clone)]
pub struct Console {
    pub(crate) shared: Arc<Shared>,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.shared.dashboards.keys().collect();
        f.debug_struct("Console").field("dashboards", &names).finish_non_exhaustive()
    }
}

pub(crate) struct Shared {
    pub(crate) cluster: Arc<dyn Cluster>,
    pub(crate) dashboards: IndexMap<String, Dashboard>,
    pub(crate) search: Option<Search>,
    pub(crate) connect: Option<Connect>,
    pub(crate) engine: Option<EngineRest>,
    pub(crate) tap: Tap,
    pub(crate) feeds: Feeds,
    decoder: Decoder,
    list: TopicList,
    /// Whether the console is closed; wakes its thread.
    closed: Arc<(Mutex<bool>, Condvar)>,
}

impl Console {
    /// Reads the dashboards and starts to watch their topics. Roles need not be there yet.
    ///
    /// # Errors
    /// A dashboard that cannot be read or is not valid; a thread that cannot be started.
    pub fn new(config: ConsoleConfig) -> Result<Self, ConsoleError> {
        let dashboards = load(&config.dashboards)?;
        let topics = dashboards.values().flat_map(|d| &d.panels).flat_map(|p| p.view.topics());
        let tap = Tap::new(topics.cloned());
        let shared = Arc::new(Shared {
            search: config.search.as_ref().map(Search::new),
            connect: config.connect.as_ref().map(Connect::new),
            engine: config.engine.as_ref().map(EngineRest::new),
            tap,
            dashboards,
            feeds: Feeds::new(),
            decoder: Decoder::new(config.registry),
            list: TopicList::default(),
            closed: Arc::default(),
            cluster: config.cluster,
        });
        if !shared.tap.is_empty() {
            let (weak, closed) = (Arc::downgrade(&shared), shared.closed.clone());
            let mut tapping = Tapping::new(shared.cluster.clone());
            let watch = move || {
                loop {
                    let Some(shared) = weak.upgrade() else { return };
                    let started = Instant::now();
                    shared.tap.turn(&mut tapping);
                    drop(shared);
                    let mut closed_now = closed.0.lock();
                    if !*closed_now {
                        let _ = closed.1.wait_for(&mut closed_now, TAP.max(started.elapsed() * 4));
                    }
                    if *closed_now {
                        return;
                    }
                }
            };
            let thread = std::thread::Builder::new().name("bd-console-topics".into());
            thread.spawn(watch).map_err(|e| ConsoleError::Start(e.to_string()))?;
        }
        Ok(Self { shared })
    }

    /// Ends all event streams and threads; idempotent. Call it before a server waits for its connections to end.
    pub fn close(&self) {
        self.shared.feeds.close();
        *self.shared.closed.0.lock() = true;
        self.shared.closed.1.notify_all();
    }
}

/// What lists show. Errors are said as they are shown.
impl Shared {
    pub(crate) fn topic_rows(&self) -> Result<Value, String> {
        let rows = self.list.rows(self.cluster.as_ref());
        let rows = rows.map_err(|e| format!("the cluster {} cannot be asked: {e}", self.cluster.name()))?;
        Ok(json!({"topics": rows}))
    }

    pub(crate) fn topic_messages(&self, name: &str, asked: &topics::Asked) -> Result<Value, String> {
        match self.messages(name, asked) {
            Ok(Some(messages)) => Ok(messages),
            Ok(None) => Err(format!("The topic {name} does not exist.")),
            Err(error) => Err(format!("the messages of {name} cannot be read: {error}")),
        }
    }

    /// None where there is no such topic.
    pub(crate) fn messages(&self, name: &str, asked: &topics::Asked) -> Result<Option<Value>, ClusterError> {
        let Some(topic) = self.cluster.topic(name)? else { return Ok(None) };
        topics::messages(self.cluster.as_ref(), &self.decoder, &topic, asked).map(Some)
    }

    pub(crate) fn connector_rows(&self) -> Result<Value, String> {
        let Some(connect) = &self.connect else {
            return Err("No connect role is set; the configuration's roles.connect says where it is.".into());
        };
        let connectors = connect.connectors().map_err(|e| e.to_string())?;
        Ok(json!({"connectors": connectors}))
    }

    pub(crate) fn query_rows(&self) -> Result<Value, String> {
        let Some(engine) = &self.engine else {
            return Err("No engine role is set; the configuration's roles.engine says where it is.".into());
        };
        let queries = engine.queries().map_err(|e| e.to_string())?;
        Ok(json!({"queries": queries}))
    }
}
