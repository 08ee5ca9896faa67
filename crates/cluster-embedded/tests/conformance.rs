//! The conformance suite in process.
#![allow(clippy::unwrap_used, reason = "a test without its broker has failed")]

use bd_broker::{Broker, BrokerConfig};
use bd_cluster::Cluster;
use bd_cluster::conformance::Setup;
use bd_cluster_embedded::EmbeddedCluster;
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;

static CLUSTER: LazyLock<(Arc<dyn Cluster>, TempDir)> = LazyLock::new(|| {
    // Statics are not dropped, so what is left behind is left in the build folder.
    let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let broker = Broker::open(BrokerConfig::new(data.path())).unwrap();
    (Arc::new(EmbeddedCluster::new(broker)), data)
});

fn setup() -> Setup {
    Setup::new(|| CLUSTER.0.clone())
}

bd_cluster::conformance_tests!(setup());
