//! The role `cluster`: the embedded log with its Kafka listener, or a Kafka cluster elsewhere.

use super::kill::Kill;
use super::lock::DataLock;
use super::{blocking, reachable};
use crate::config::{ClusterRole, Config, TopicSpec};
use anyhow::{Context, Result, anyhow, bail};
use bd_broker::server::{self, ListenerConfig};
use bd_broker::{Broker, BrokerConfig, Endpoint};
use bd_cluster::{Cluster, ClusterError, NewTopic};
use bd_cluster_embedded::EmbeddedCluster;
use bd_cluster_kafka::{KafkaCluster, KafkaConfig};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The log's folder within the data folder.
const FOLDER: &str = "cluster";

/// The embedded log at work.
pub(super) struct BrokerRole {
    broker: Arc<Broker>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
    _lock: DataLock,
}

impl BrokerRole {
    /// Recovers the log and serves it.
    pub(super) async fn start(config: &Config, listener: TcpListener, kill: Option<&Kill>) -> Result<Self> {
        let advertised =
            config.advertised.clone().map_or_else(|| listener.local_addr().map(reachable), Ok)?;
        let mut settings = BrokerConfig::new(config.data.join(FOLDER));
        settings.auto_create_topics = config.auto_create_topics;
        settings.num_partitions = config.num_partitions;
        if let Some(kill) = kill {
            settings.fs = kill.fs();
        }
        let data = config.data.clone();
        let open = move || -> Result<_> {
            let lock = DataLock::take(&data)?;
            let broker = Broker::open(settings)
                .with_context(|| format!("cannot open the log in {}", data.display()))?;
            Ok((lock, broker))
        };
        let (lock, broker) = blocking(open).await??;
        let (stop, stopped) = oneshot::channel();
        let listening = ListenerConfig::plaintext(Endpoint { host: advertised.host, port: advertised.port });
        let serve = server::serve(broker.clone(), listener, listening, async {
            let _ = stopped.await;
        });
        Ok(Self { broker, stop, server: tokio::spawn(serve), _lock: lock })
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
        let _ = self.stop.send(());
        let served = self.server.await.context("the Kafka listener ended by a panic")?;
        let broker = self.broker;
        blocking(move || broker.close()).await?.context("cannot close the log cleanly")?;
        served.context("the Kafka listener")
    }
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
