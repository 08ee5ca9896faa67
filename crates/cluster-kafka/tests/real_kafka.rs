//! The conformance suite against the servers that `BD_TEST_BOOTSTRAP` (`host:port`) names, real Apache Kafka as a rule; see
//! `tests/peers/cluster-kafka.sh`. Built only with the feature `peers`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test without its server has failed")]

use bd_cluster::Cluster;
use bd_cluster::conformance::Setup;
use bd_cluster_kafka::{KafkaCluster, KafkaConfig};
use std::sync::{Arc, LazyLock};

static CLUSTER: LazyLock<Arc<dyn Cluster>> = LazyLock::new(|| {
    let bootstrap =
        std::env::var("BD_TEST_BOOTSTRAP").expect("BD_TEST_BOOTSTRAP: host:port of a Kafka to test with");
    Arc::new(KafkaCluster::connect(KafkaConfig::new(bootstrap)).unwrap())
});

fn setup() -> Setup {
    Setup::new(|| CLUSTER.clone())
}

bd_cluster::conformance_tests!(setup());
