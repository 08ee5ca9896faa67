//! The role `cluster`: the embedded log with its Kafka listener, or a Kafka cluster elsewhere.

use super::kill::Kill;
use super::lock::DataLock;
use super::tls::Certificate;
use super::{blocking, reachable};
use crate::config::{ClusterRole, Config, TopicSpec};
use anyhow::{Context, Result, anyhow, bail};
use bd_broker::security::ListenerSpec;
use bd_broker::server::{self, ListenerConfig};
use bd_broker::{Broker, BrokerConfig, Endpoint};
use bd_cluster::{Cluster, ClusterError, NewTopic};
use bd_cluster_embedded::EmbeddedCluster;
use bd_cluster_kafka::{KafkaCluster, KafkaConfig};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The log's folder within the data folder.
const FOLDER: &str = "cluster";

/// The embedded log at work.
pub(super) struct BrokerRole {
    broker: Arc<Broker>,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<std::io::Result<()>>>,
    _certificate: Option<Certificate>,
    _lock: DataLock,
}

impl BrokerRole {
    /// Recovers the log and serves it, on one socket for each listener.
    pub(super) async fn start(
        config: &Config,
        sockets: Vec<TcpListener>,
        kill: Option<&Kill>,
    ) -> Result<Self> {
        let mut settings = BrokerConfig::new(config.data.join(FOLDER));
        settings.log.flush = config.flush;
        settings.auto_create_topics = config.auto_create_topics;
        settings.num_partitions = config.num_partitions;
        settings.security = config.security.broker();
        for (name, value) in &config.broker {
            settings.set(name, value).with_context(|| format!("broker.{name}"))?;
        }
        if let Some(kill) = kill {
            settings.fs = kill.fs();
        }
        let certificate = Certificate::open(config.security.tls.as_ref()).await?;
        let data = config.data.clone();
        let open = move || -> Result<_> {
            let lock = DataLock::take(&data)?;
            let broker = Broker::open(settings)
                .with_context(|| format!("cannot open the log in {}", data.display()))?;
            Ok((lock, broker))
        };
        let (lock, broker) = blocking(open).await??;
        let (stop, stopped) = watch::channel(false);
        let mut servers = Vec::new();
        for (spec, socket) in config.listeners.iter().zip(sockets) {
            let listening = listening(spec, &socket, certificate.as_ref())?;
            let mut stopped = stopped.clone();
            servers.push(tokio::spawn(server::serve(broker.clone(), socket, listening, async move {
                // An error: the role is gone.
                let _ = stopped.wait_for(|stop| *stop).await;
            })));
        }
        Ok(Self { broker, stop, servers, _certificate: certificate, _lock: lock })
    }

    /// The log, without a socket.
    pub(super) fn cluster(&self) -> Arc<dyn Cluster> {
        Arc::new(EmbeddedCluster::new(self.broker.clone()))
    }

    /// For its counters.
    pub(super) fn counters(&self) -> Arc<Broker> {
        self.broker.clone()
    }

    /// Ends the connections and closes the log.
    pub(super) async fn stop(self) -> Result<()> {
        let _ = self.stop.send(true);
        let mut served = Ok(());
        for server in self.servers {
            served = served.and(server.await.context("a Kafka listener ended by a panic")?);
        }
        let broker = self.broker;
        blocking(move || broker.close()).await?.context("cannot close the log cleanly")?;
        served.context("a Kafka listener")
    }
}

/// What a listener tells and asks of clients.
fn listening(
    spec: &ListenerSpec,
    socket: &TcpListener,
    certificate: Option<&Certificate>,
) -> Result<ListenerConfig> {
    let own = || -> Result<Endpoint> {
        let at = reachable(socket.local_addr()?);
        Ok(Endpoint { host: at.host, port: at.port })
    };
    Ok(ListenerConfig {
        name: spec.name.clone(),
        advertised: spec.advertised.clone().map_or_else(own, Ok)?,
        protocol: spec.protocol,
        tls: certificate.filter(|_| spec.protocol.is_tls()).map(Certificate::config),
    })
}

/// Connects to a cluster elsewhere.
pub(super) async fn connect(role: &ClusterRole) -> Result<Arc<dyn Cluster>> {
    let ClusterRole::Kafka { bootstrap, properties } = role else { bail!("no cluster is configured") };
    let mut config = KafkaConfig::new(bootstrap);
    config.properties.clone_from(properties);
    let cluster = blocking(move || KafkaCluster::connect(config)).await?;
    Ok(Arc::new(cluster.with_context(|| format!("roles.cluster.bootstrap: {bootstrap}"))?))
}

/// Creates the topics of the pipeline file that are not there.
pub(super) async fn create_topics(cluster: Arc<dyn Cluster>, config: &Config) -> Result<()> {
    let (topics, default) = (config.topics.clone(), config.num_partitions);
    blocking(move || topics.iter().try_for_each(|t| create_topic(cluster.as_ref(), t, default))).await?
}

fn create_topic(cluster: &dyn Cluster, spec: &TopicSpec, default: i32) -> Result<()> {
    let name = &spec.name;
    let topic =
        NewTopic { configs: spec.configs.clone(), ..NewTopic::new(name, spec.partitions.unwrap_or(default)) };
    if cluster.topic(name)?.is_none() {
        match cluster.create_topic(&topic) {
            // Another process of the same pipeline was faster.
            Ok(()) | Err(ClusterError::TopicExists(_)) => {}
            Err(error) => return Err(anyhow!("topics.{name}: {error}")),
        }
    }
    let there = cluster.topic(name)?.map_or(topic.partitions, |t| t.partitions);
    match spec.partitions {
        Some(wanted) if wanted != there => bail!(
            "topics.{name}: the topic has {there} partitions, the pipeline file says {wanted}: change the file, or leave \
             `partitions` out to use it as it is"
        ),
        _ => Ok(()),
    }
}
