//! The conformance suite against the servers that `BD_TEST_BOOTSTRAP` (`host:port`) names, real Apache Kafka as a rule; see
//! `tests/peers/cluster-kafka.sh`. Without it the tests say why they are skipped.
#![allow(clippy::unwrap_used, reason = "a test without its server has failed")]

use bd_cluster::Cluster;
use bd_cluster::conformance::Setup;
use bd_cluster_kafka::{KafkaCluster, KafkaConfig};
use std::sync::{Arc, LazyLock};

static CLUSTER: LazyLock<Option<Arc<dyn Cluster>>> = LazyLock::new(|| {
    let Ok(bootstrap) = std::env::var("BD_TEST_BOOTSTRAP") else {
        eprintln!("skipped: BD_TEST_BOOTSTRAP (host:port of a Kafka to test with) is not set");
        return None;
    };
    Some(Arc::new(KafkaCluster::connect(KafkaConfig::new(bootstrap)).unwrap()))
});

fn setup() -> Option<Setup> {
    CLUSTER.as_ref().map(|cluster| Setup::new(move || cluster.clone()))
}

bd_cluster::conformance_tests!(setup());
