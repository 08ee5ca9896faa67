//! The conformance suite over librdkafka by SASL_SSL with SCRAM-SHA-512, as a user that has no more rights than it needs.
#![allow(clippy::unwrap_used, reason = "a test without its server has failed")]

use bd_broker::security::{
    AclBinding, CLUSTER, Operation, Pem, Principal, ResourceType, SecurityConfig, Tls, TlsSettings, WILDCARD,
};
use bd_broker::server::{ListenerConfig, SecurityProtocol};
use bd_broker::{Broker, BrokerConfig, Endpoint};
use bd_cluster::Cluster;
use bd_cluster::conformance::Setup;
use bd_cluster_kafka::{KafkaCluster, KafkaConfig};
use std::future::pending;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const PASSWORD: &str = "secret";

/// The server and what it runs on; all of it lives until the process ends.
struct Server {
    address: String,
    cluster: Arc<dyn Cluster>,
    _runtime: Runtime,
    data: TempDir,
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    // Statics are not dropped, so what is left behind is left in the build folder.
    let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let tls = certificate(data.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut config = BrokerConfig::new(data.path().join("log"));
    config.security = SecurityConfig {
        authorizer: true,
        users: [("pipeline".to_owned(), PASSWORD.to_owned())].into(),
        ..SecurityConfig::default()
    };
    let broker = {
        let _in_runtime = runtime.enter();
        Broker::open(config).unwrap()
    };
    let results = broker.authorizer().create(rights(&Principal::user("pipeline"))).unwrap();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let listening = ListenerConfig {
        name: "SASL_SSL".into(),
        advertised: Endpoint { host: "127.0.0.1".into(), port },
        protocol: SecurityProtocol::SaslSsl,
        tls: Some(tls.config().clone()),
    };
    runtime.spawn(bd_broker::server::serve(broker, listener, listening, pending()));
    let address = format!("127.0.0.1:{port}");
    let cluster = Arc::new(connect(&address, data.path(), PASSWORD).unwrap());
    Server { address, cluster, _runtime: runtime, data }
});

fn certificate(dir: &Path) -> Tls {
    let pair = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap();
    let both = dir.join("both.pem");
    std::fs::write(&both, pair.cert.pem() + &pair.signing_key.serialize_pem()).unwrap();
    let file = Pem::File(both);
    Tls::open(TlsSettings { certificate_chain: file.clone(), key: file, tls_12: true }).unwrap()
}

/// What the suite does: its topics, groups and transactional ids, and no more of the cluster than to make topics.
fn rights(user: &Principal) -> Vec<AclBinding> {
    let all = [ResourceType::Topic, ResourceType::Group, ResourceType::TransactionalId];
    let all = all.map(|resource| AclBinding::allow(user, Operation::All, resource, WILDCARD));
    let create = AclBinding::allow(user, Operation::Create, ResourceType::Cluster, CLUSTER);
    all.into_iter().chain([create]).collect()
}

fn connect(address: &str, data: &Path, password: &str) -> Result<KafkaCluster, bd_cluster::ClusterError> {
    let mut config = KafkaConfig::new(address);
    let ca = data.join("both.pem");
    config.properties = [
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", "pipeline"),
        ("sasl.password", password),
        ("ssl.ca.location", ca.to_str().unwrap()),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .into();
    KafkaCluster::connect(config)
}

#[test]
fn a_wrong_password_is_told_as_such_and_soon() {
    let error = connect(&SERVER.address, SERVER.data.path(), "wrong").unwrap_err().to_string();
    assert!(error.contains("invalid credentials with SASL mechanism SCRAM-SHA-512"), "{error}");
}

#[test]
fn a_certificate_that_is_not_trusted_is_told_as_such() {
    let other = tempfile::tempdir().unwrap();
    certificate(other.path());
    let error = connect(&SERVER.address, other.path(), PASSWORD).unwrap_err().to_string();
    assert!(error.contains("certificate verify failed"), "{error}");
}

fn setup() -> Setup {
    Setup::new(|| SERVER.cluster.clone())
}

bd_cluster::conformance_tests!(setup());
