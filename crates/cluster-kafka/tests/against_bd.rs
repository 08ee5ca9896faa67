//! The conformance suite over librdkafka against bd's own broker, which is served on a free port of loopback.
#![allow(clippy::unwrap_used, reason = "a test without its server has failed")]

use bd_broker::server::ListenerConfig;
use bd_broker::{Broker, BrokerConfig, Endpoint};
use bd_cluster::Cluster;
use bd_cluster::conformance::Setup;
use bd_cluster_kafka::{KafkaCluster, KafkaConfig};
use std::future::pending;
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The server and what it runs on; all of it lives until the process ends.
struct Server {
    cluster: Arc<dyn Cluster>,
    _runtime: Runtime,
    _data: TempDir,
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    // Statics are not dropped, so what is left behind is left in the build folder.
    let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = BrokerConfig::new(data.path());
    let listening = ListenerConfig::plaintext(Endpoint { host: "127.0.0.1".into(), port });
    let broker = {
        let _in_runtime = runtime.enter();
        Broker::open(config).unwrap()
    };
    runtime.spawn(bd_broker::server::serve(broker, listener, listening, pending()));
    let cluster = KafkaCluster::connect(KafkaConfig::new(format!("127.0.0.1:{port}"))).unwrap();
    Server { cluster: Arc::new(cluster), _runtime: runtime, _data: data }
});

fn setup() -> Setup {
    Setup::new(|| SERVER.cluster.clone())
}

bd_cluster::conformance_tests!(setup());
