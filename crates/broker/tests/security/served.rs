//! A broker with secured listeners, its users, and clients of bd and librdkafka.

use bd_broker::security::{Pem, Principal, SaslMechanism, SecurityConfig, Tls, TlsSettings};
use bd_broker::server::{ListenerConfig, SecurityProtocol};
use bd_broker::{Broker, BrokerConfig, Endpoint, server};
use bd_client::messages::create_acls_request::AclCreation;
use bd_client::messages::create_topics_request::CreatableTopic;
use bd_client::messages::*;
use bd_client::protocol::StrBytes;
use bd_client::{Client, ClientConfig, ClientError, Node};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Served {
    pub broker: Arc<Broker>,
    pub ports: Vec<u16>,
    pub tls: Arc<Tls>,
    pub dir: TempDir,
    pub _runtime: tokio::runtime::Runtime,
}

pub fn write_certificate(dir: &Path) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let pair = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(dir.join("cert.pem"), pair.cert.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
}

/// A broker with one listener for each protocol, and the users `admin` (a super user), `alice` and `bob`, password `secret`.
pub fn serve(protocols: &[SecurityProtocol], change: impl FnOnce(&mut SecurityConfig)) -> Served {
    let dir = tempfile::tempdir().unwrap();
    write_certificate(dir.path());
    let file = |name: &str| Pem::File(dir.path().join(name));
    let settings = TlsSettings { certificate_chain: file("cert.pem"), key: file("key.pem"), tls_12: true };
    let tls = Arc::new(Tls::open(settings).unwrap());
    let mut config = BrokerConfig::new(dir.path().join("data"));
    config.security = SecurityConfig {
        authorizer: true,
        super_users: vec![Principal::user("admin")],
        sasl_mechanisms: SaslMechanism::ALL.to_vec(),
        users: ["admin", "alice", "bob"].map(|user| (user.to_owned(), "secret".to_owned())).into(),
        ..SecurityConfig::default()
    };
    change(&mut config.security);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let broker = {
        let _inside = runtime.enter();
        Broker::open(config).unwrap()
    };
    let mut ports = Vec::new();
    for protocol in protocols {
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        ports.push(port);
        let config = ListenerConfig {
            name: protocol.to_string(),
            advertised: Endpoint { host: "127.0.0.1".into(), port },
            protocol: *protocol,
            tls: Some(Arc::clone(tls.config())),
        };
        runtime.spawn(server::serve(Arc::clone(&broker), listener, config, std::future::pending()));
    }
    Served { broker, ports, tls, dir, _runtime: runtime }
}

pub fn sasl_plaintext() -> Served {
    serve(&[SecurityProtocol::SaslPlaintext], |_| {})
}

impl Served {
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    pub fn settings(
        &self,
        protocol: &str,
        mechanism: &str,
        user: &str,
        password: &str,
    ) -> Vec<(String, String)> {
        let ca = self.ca();
        [
            ("bootstrap.servers", self.address().as_str()),
            ("security.protocol", protocol),
            ("sasl.mechanism", mechanism),
            ("sasl.username", user),
            ("sasl.password", password),
            ("ssl.ca.location", ca.to_str().unwrap()),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into()
    }

    /// bd's client.
    pub fn login(&self, mechanism: &str, user: &str, password: &str) -> Result<Client, ClientError> {
        let settings = self.settings("SASL_PLAINTEXT", mechanism, user, password);
        let config = settings.iter().try_fold(ClientConfig::new(""), |c, (k, v)| c.set(k, v))?;
        Client::connect(config)
    }

    pub fn client(&self, user: &str) -> Client {
        self.login("SCRAM-SHA-256", user, "secret").unwrap()
    }

    pub fn librdkafka(
        &self,
        protocol: &str,
        mechanism: &str,
        user: &str,
        password: &str,
    ) -> rdkafka::ClientConfig {
        let mut config = rdkafka::ClientConfig::new();
        self.settings(protocol, mechanism, user, password).iter().for_each(|(k, v)| {
            config.set(k, v);
        });
        config.set("broker.address.family", "v4").set("message.timeout.ms", "20000");
        config
    }
}

pub fn s(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub fn create_topic(client: &mut Client, name: &str) -> i16 {
    let topic = CreatableTopic::default()
        .with_name(TopicName(s(name)))
        .with_num_partitions(1)
        .with_replication_factor(-1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    client.request(Node::Any, &request).unwrap().topics[0].error_code
}

/// A rule for a topic: ALLOW (3), LITERAL (3).
pub fn acl(user: &str, operation: i8, topic: &str) -> AclCreation {
    AclCreation::default()
        .with_resource_type(2)
        .with_resource_name(s(topic))
        .with_resource_pattern_type(3)
        .with_principal(s(&format!("User:{user}")))
        .with_host(s("*"))
        .with_operation(operation)
        .with_permission_type(3)
}

pub fn create_acls(client: &mut Client, acls: Vec<AclCreation>) -> Vec<(i16, Option<String>)> {
    let request = CreateAclsRequest::default().with_creations(acls);
    let results = client.request(Node::Any, &request).unwrap().results;
    results.into_iter().map(|r| (r.error_code, r.error_message.map(|m| m.to_string()))).collect()
}
