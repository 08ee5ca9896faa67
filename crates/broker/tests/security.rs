//! TLS, SASL, ACLs and several listeners, over sockets: raw requests, bd's client and librdkafka.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

use bd_broker::security::{Pem, Principal, SaslMechanism, ScramMechanism, SecurityConfig, Tls, TlsSettings};
use bd_broker::server::{self, ListenerConfig, SecurityProtocol};
use bd_broker::{Broker, BrokerConfig, Endpoint, ResponseError as E};
use bd_client::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use bd_client::messages::create_acls_request::AclCreation;
use bd_client::messages::create_topics_request::CreatableTopic;
use bd_client::messages::delete_acls_request::DeleteAclsFilter;
use bd_client::messages::*;
use bd_client::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use bd_client::{Client, ClientConfig, ClientError, Node};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

struct Served {
    broker: Arc<Broker>,
    ports: Vec<u16>,
    tls: Arc<Tls>,
    dir: TempDir,
    _runtime: tokio::runtime::Runtime,
}

fn write_certificate(dir: &Path) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let pair = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(dir.join("cert.pem"), pair.cert.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
}

/// A broker with one listener for each protocol, and the users `admin` (a super user), `alice` and `bob`, password `secret`.
fn serve(protocols: &[SecurityProtocol], change: impl FnOnce(&mut SecurityConfig)) -> Served {
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

fn sasl_plaintext() -> Served {
    serve(&[SecurityProtocol::SaslPlaintext], |_| {})
}

impl Served {
    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    fn ca(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    fn settings(&self, protocol: &str, mechanism: &str, user: &str, password: &str) -> Vec<(String, String)> {
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
    fn login(&self, mechanism: &str, user: &str, password: &str) -> Result<Client, ClientError> {
        let settings = self.settings("SASL_PLAINTEXT", mechanism, user, password);
        let config = settings.iter().try_fold(ClientConfig::new(""), |c, (k, v)| c.set(k, v))?;
        Client::connect(config)
    }

    fn client(&self, user: &str) -> Client {
        self.login("SCRAM-SHA-256", user, "secret").unwrap()
    }

    fn librdkafka(
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

fn s(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn create_topic(client: &mut Client, name: &str) -> i16 {
    let topic = CreatableTopic::default()
        .with_name(TopicName(s(name)))
        .with_num_partitions(1)
        .with_replication_factor(-1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    client.request(Node::Any, &request).unwrap().topics[0].error_code
}

/// A rule for a topic: ALLOW (3), LITERAL (3).
fn acl(user: &str, operation: i8, topic: &str) -> AclCreation {
    AclCreation::default()
        .with_resource_type(2)
        .with_resource_name(s(topic))
        .with_resource_pattern_type(3)
        .with_principal(s(&format!("User:{user}")))
        .with_host(s("*"))
        .with_operation(operation)
        .with_permission_type(3)
}

fn create_acls(client: &mut Client, acls: Vec<AclCreation>) -> Vec<(i16, Option<String>)> {
    let request = CreateAclsRequest::default().with_creations(acls);
    let results = client.request(Node::Any, &request).unwrap().results;
    results.into_iter().map(|r| (r.error_code, r.error_message.map(|m| m.to_string()))).collect()
}

// ---- raw requests

struct Raw(TcpStream);

impl Raw {
    fn open(served: &Served) -> Self {
        let socket = TcpStream::connect(served.address()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    fn send(&mut self, bytes: &[u8]) {
        let mut frame = (bytes.len() as u32).to_be_bytes().to_vec();
        frame.extend_from_slice(bytes);
        self.0.write_all(&frame).unwrap();
    }

    /// The next frame; `None` where the broker has closed.
    fn receive(&mut self) -> Option<Bytes> {
        let mut length = [0; 4];
        match self.0.read_exact(&mut length) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return None,
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return None,
            Err(e) => panic!("{e}"),
        }
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut frame).unwrap();
        Some(frame.into())
    }

    fn ask<R: bd_client::protocol::Request>(&mut self, version: i16, request: &R) -> Option<R::Response> {
        let header_version = R::header_version(version);
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(7)
            .with_client_id(Some(s("raw")));
        let mut frame = BytesMut::new();
        header.encode(&mut frame, header_version).unwrap();
        request.encode(&mut frame, version).unwrap();
        self.send(&frame);
        let mut answer = self.receive()?;
        assert_eq!(answer.get_i32(), 7);
        if R::Response::header_version(version) >= 1 {
            answer.advance(1);
        }
        Some(R::Response::decode(&mut answer, version).unwrap())
    }

    fn handshake(&mut self, mechanism: &str) -> SaslHandshakeResponse {
        self.ask(1, &SaslHandshakeRequest::default().with_mechanism(s(mechanism))).unwrap()
    }

    fn token(&mut self, token: &[u8]) -> SaslAuthenticateResponse {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::copy_from_slice(token));
        self.ask(2, &request).unwrap()
    }

    fn metadata(&mut self) -> Option<MetadataResponse> {
        self.ask(12, &MetadataRequest::default().with_topics(Some(vec![])))
    }
}

#[test]
fn before_authentication_only_versions_and_sasl_are_answered() {
    let served = sasl_plaintext();
    let mut raw = Raw::open(&served);
    let versions: ApiVersionsResponse = raw.ask(0, &ApiVersionsRequest::default()).unwrap();
    assert!(versions.api_keys.iter().any(|k| k.api_key == 36 && k.max_version == 2));
    assert!(raw.metadata().is_none(), "the connection is closed");

    let mut raw = Raw::open(&served);
    raw.0.write_all(&(600_u32 << 10).to_be_bytes()).unwrap();
    assert!(raw.receive().is_none(), "a large request is not waited for");

    let mut raw = Raw::open(&served);
    assert_eq!(raw.handshake("PLAIN").error_code, 0);
    assert_eq!(raw.token(b"\0alice\0secret").error_code, 0);
    assert!(raw.metadata().is_some());
    let counters = served.broker.counters().snapshot();
    assert_eq!((counters.authentications, counters.failed_authentications), (1, 0));
}

#[test]
fn another_order_or_mechanism_is_refused_by_kafka_s_codes_and_the_connection_closed() {
    let served = sasl_plaintext();
    let mut raw = Raw::open(&served);
    assert_eq!(raw.token(b"\0alice\0secret").error_code, E::IllegalSaslState.code());
    assert!(raw.receive().is_none());

    let mut raw = Raw::open(&served);
    let answer = raw.handshake("GSSAPI");
    assert_eq!(answer.error_code, E::UnsupportedSaslMechanism.code());
    let names: Vec<_> = answer.mechanisms.iter().map(|m| m.as_str()).collect();
    assert_eq!(names, ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]);
    assert!(raw.receive().is_none());

    let mut raw = Raw::open(&served);
    raw.handshake("PLAIN");
    let started = Instant::now();
    let answer = raw.token(b"\0alice\0wrong");
    assert_eq!(answer.error_code, E::SaslAuthenticationFailed.code());
    assert_eq!(answer.error_message.unwrap().as_str(), "Authentication failed: Invalid username or password");
    assert!(started.elapsed() >= Duration::from_millis(100), "the answer to a failure is held up");
    assert!(raw.receive().is_none());

    let mut raw = Raw::open(&served);
    raw.handshake("PLAIN");
    raw.token(b"\0alice\0secret");
    assert_eq!(raw.handshake("PLAIN").error_code, E::IllegalSaslState.code());
    assert_eq!(raw.token(b"\0alice\0secret").error_code, E::IllegalSaslState.code());
    assert!(raw.metadata().is_some(), "who is authenticated stays so");

    let plaintext = serve(&[SecurityProtocol::Plaintext], |c| c.authorizer = false);
    let mut raw = Raw::open(&plaintext);
    assert_eq!(raw.handshake("PLAIN").error_code, E::IllegalSaslState.code());
    assert!(raw.metadata().is_some());
}

#[test]
fn after_a_handshake_of_version_0_tokens_come_without_requests() {
    let served = sasl_plaintext();
    let mut raw = Raw::open(&served);
    raw.ask(0, &SaslHandshakeRequest::default().with_mechanism(s("PLAIN"))).unwrap();
    raw.send(b"\0alice\0secret");
    assert_eq!(raw.receive().unwrap().len(), 0);
    assert!(raw.metadata().is_some());

    let mut raw = Raw::open(&served);
    raw.ask(0, &SaslHandshakeRequest::default().with_mechanism(s("PLAIN"))).unwrap();
    raw.send(b"\0alice\0wrong");
    assert!(raw.receive().is_none());
}

#[test]
fn a_session_ends_unless_the_client_authenticates_again() {
    let lifetime = Duration::from_millis(1500);
    let served = serve(&[SecurityProtocol::SaslPlaintext], |c| c.connections_max_reauth = lifetime);
    let mut raw = Raw::open(&served);
    raw.handshake("PLAIN");
    assert_eq!(raw.token(b"\0alice\0secret").session_lifetime_ms, 1500);
    let mut idle = Raw::open(&served);
    idle.handshake("PLAIN");
    idle.token(b"\0alice\0secret");
    let started = Instant::now();
    let mut again = 0;
    // Longer than a session lasts.
    while started.elapsed() < lifetime * 2 {
        if again < started.elapsed().as_millis() / 1200 {
            again += 1;
            assert_eq!(raw.handshake("PLAIN").error_code, 0);
            assert_eq!(raw.token(b"\0alice\0secret").error_code, 0);
        }
        assert!(raw.metadata().is_some());
        std::thread::yield_now();
    }
    assert!(idle.metadata().is_none(), "its session has ended");
}

// ---- users and rules

#[test]
fn users_are_made_changed_and_removed_by_requests() {
    let served = sasl_plaintext();
    let mut admin = served.client("admin");
    let salt = Bytes::from_static(b"some salt");
    let set = |password: &str| {
        let mechanism = ScramMechanism::Sha512;
        let salted = mechanism.salted_password(password, &salt, 4096.try_into().unwrap());
        let upsertion = ScramCredentialUpsertion::default()
            .with_name(s("carol"))
            .with_mechanism(mechanism as i8)
            .with_iterations(4096)
            .with_salt(salt.clone())
            .with_salted_password(salted.into());
        AlterUserScramCredentialsRequest::default().with_upsertions(vec![upsertion])
    };
    assert!(served.login("SCRAM-SHA-512", "carol", "first").is_err());
    for password in ["first", "second"] {
        assert_eq!(admin.request(Node::Any, &set(password)).unwrap().results[0].error_code, 0);
        served.login("SCRAM-SHA-512", "carol", password).unwrap();
        served.login("PLAIN", "carol", password).unwrap();
    }
    let error = served.login("SCRAM-SHA-512", "carol", "first").err().unwrap().to_string();
    let told = "Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512";
    assert!(error.contains(told), "{error}");
    assert!(served.login("SCRAM-SHA-256", "carol", "second").is_err(), "only the mechanism that was set");

    let described = admin.request(Node::Any, &DescribeUserScramCredentialsRequest::default()).unwrap();
    let carol = described.results.iter().find(|r| r.user.as_str() == "carol").unwrap();
    assert_eq!((carol.credential_infos[0].mechanism, carol.credential_infos[0].iterations), (2, 4096));

    let mut alice = served.client("alice");
    let refused = alice.request(Node::Any, &set("mine")).unwrap();
    assert_eq!(refused.results[0].error_code, E::ClusterAuthorizationFailed.code());
    let refused = alice.request(Node::Any, &DescribeUserScramCredentialsRequest::default()).unwrap();
    assert_eq!(refused.error_code, E::ClusterAuthorizationFailed.code());

    let deletion = ScramCredentialDeletion::default().with_name(s("carol")).with_mechanism(2);
    let request = AlterUserScramCredentialsRequest::default().with_deletions(vec![deletion]);
    assert_eq!(admin.request(Node::Any, &request).unwrap().results[0].error_code, 0);
    assert!(served.login("SCRAM-SHA-512", "carol", "second").is_err());
}

#[test]
fn rules_are_made_shown_and_removed_by_requests() {
    let served = sasl_plaintext();
    let mut admin = served.client("admin");
    let wrong = [
        (acl("alice", 3, "t").with_resource_type(6), "DELEGATION_TOKEN is not supported"),
        (acl("alice", 3, "t").with_resource_type(9), "Invalid resourceType UNKNOWN"),
        (acl("alice", 1, "t"), "Invalid operation ANY"),
        (acl("alice", 3, "t").with_permission_type(1), "Invalid permissionType ANY"),
        (acl("alice", 3, "t").with_resource_pattern_type(2), "Invalid patternType MATCH"),
        (acl("alice", 3, "t").with_resource_type(4), "The only valid name for the CLUSTER resource"),
        (acl("alice", 3, ""), "Invalid empty resource name"),
    ];
    let mut acls = vec![acl("alice", 3, "t"), acl("alice", 4, "t"), acl("bob", 3, "*")];
    acls.extend(wrong.iter().map(|(acl, _)| acl.clone()));
    let results = create_acls(&mut admin, acls);
    assert!(results[..3].iter().all(|(code, _)| *code == 0));
    for ((code, message), (_, expected)) in results[3..].iter().zip(&wrong) {
        let message = message.clone().unwrap_or_default();
        assert!(*code == E::InvalidRequest.code() && message.contains(expected), "{message}");
    }

    let filter = DescribeAclsRequest::default()
        .with_resource_type_filter(2)
        .with_resource_name_filter(Some(s("t")))
        .with_pattern_type_filter(2)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1);
    let found = admin.request(Node::Any, &filter).unwrap();
    let names: Vec<_> = found.resources.iter().map(|r| (r.resource_name.as_str(), r.acls.len())).collect();
    assert_eq!(names, [("*", 1), ("t", 2)], "also the rule for all topics");

    let mut alice = served.client("alice");
    assert_eq!(alice.request(Node::Any, &filter).unwrap().error_code, E::ClusterAuthorizationFailed.code());
    let refused = create_acls(&mut alice, vec![acl("alice", 2, "*")]);
    assert_eq!(refused[0].0, E::ClusterAuthorizationFailed.code());

    let filter = DeleteAclsFilter::default()
        .with_resource_type_filter(1)
        .with_pattern_type_filter(1)
        .with_resource_name_filter(None)
        .with_principal_filter(Some(s("User:alice")))
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1);
    let request = DeleteAclsRequest::default().with_filters(vec![filter]);
    let refused = alice.request(Node::Any, &request).unwrap();
    assert_eq!(refused.filter_results[0].error_code, E::ClusterAuthorizationFailed.code());
    let removed = admin.request(Node::Any, &request).unwrap();
    assert_eq!(removed.filter_results[0].matching_acls.len(), 2);
    let removed = admin.request(Node::Any, &request).unwrap();
    assert_eq!((removed.filter_results[0].error_code, removed.filter_results[0].matching_acls.len()), (0, 0));
}

#[test]
fn without_an_authorizer_rules_are_refused_as_security_disabled() {
    let served = serve(&[SecurityProtocol::SaslPlaintext], |c| c.authorizer = false);
    let mut alice = served.client("alice");
    assert_eq!(create_acls(&mut alice, vec![acl("alice", 3, "t")])[0].0, E::SecurityDisabled.code());
    let request = DescribeAclsRequest::default()
        .with_resource_type_filter(1)
        .with_pattern_type_filter(1)
        .with_operation(1)
        .with_permission_type(1);
    let answer = alice.request(Node::Any, &request).unwrap();
    assert_eq!(answer.error_code, E::SecurityDisabled.code());
    assert_eq!(answer.error_message.unwrap().as_str(), "No Authorizer is configured on the broker");
}

// ---- listeners and TLS

#[test]
fn each_listener_tells_its_own_address() {
    let served = serve(&[SecurityProtocol::Plaintext, SecurityProtocol::SaslPlaintext], |_| {});
    let plain = Client::connect(ClientConfig::new(served.address())).unwrap();
    assert_eq!(plain.brokers()[&1], format!("127.0.0.1:{}", served.ports[0]));
    let address = format!("127.0.0.1:{}", served.ports[1]);
    let settings = served.settings("SASL_PLAINTEXT", "PLAIN", "alice", "secret");
    let config = settings.iter().fold(ClientConfig::new(""), |c, (k, v)| c.set(k, v).unwrap());
    let sasl = Client::connect(config.set("bootstrap.servers", &address).unwrap()).unwrap();
    assert_eq!(sasl.brokers()[&1], address);
}

#[test]
fn a_changed_certificate_is_used_without_a_restart() {
    let served = serve(&[SecurityProtocol::Ssl], |c| c.authorizer = false);
    let connect = || {
        let config = ClientConfig::new(served.address()).set("security.protocol", "SSL").unwrap();
        Client::connect(config.set("ssl.ca.location", served.ca().to_str().unwrap()).unwrap())
    };
    connect().unwrap();
    write_certificate(served.dir.path());
    assert!(connect().is_err(), "it still shows the old one");
    served.tls.reload().unwrap();
    connect().unwrap();
}

#[test]
fn a_client_that_does_not_speak_tls_is_turned_away() {
    let served = serve(&[SecurityProtocol::SaslSsl], |_| {});
    let mut raw = Raw::open(&served);
    let mut request = BytesMut::new();
    request.put_slice(&[0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff]);
    raw.send(&request);
    // At most an alert, and the end.
    let mut rest = Vec::new();
    let _ = raw.0.read_to_end(&mut rest);
    assert!(rest.len() < 16, "{rest:?}");
    assert_eq!(served.broker.topics().all().len(), 0);
}

// ---- librdkafka

#[test]
fn librdkafka_produces_and_consumes_by_every_protocol_and_mechanism() {
    for (protocol, name) in
        [(SecurityProtocol::SaslPlaintext, "SASL_PLAINTEXT"), (SecurityProtocol::SaslSsl, "SASL_SSL")]
    {
        let served = serve(&[protocol], |_| {});
        served.broker.topics().create("t", 1, Default::default()).unwrap();
        for (n, mechanism) in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"].into_iter().enumerate() {
            let config = served.librdkafka(name, mechanism, "admin", "secret");
            let producer: rdkafka::producer::BaseProducer = config.create().unwrap();
            producer.send(BaseRecord::<str, str>::to("t").payload(mechanism)).map_err(|(e, _)| e).unwrap();
            producer.flush(PATIENCE).unwrap();
            let mut config = config.clone();
            let consumer: BaseConsumer = config.set("group.id", "g").create().unwrap();
            let mut list = TopicPartitionList::new();
            list.add_partition_offset("t", 0, Offset::Offset(n as i64)).unwrap();
            consumer.assign(&list).unwrap();
            let message = consumer.poll(PATIENCE).unwrap().unwrap();
            assert_eq!(message.payload(), Some(mechanism.as_bytes()), "{name} {mechanism}");
        }
    }
}

#[test]
fn a_client_without_rules_may_do_nothing_and_with_them_what_they_say() {
    let served = sasl_plaintext();
    let mut admin = served.client("admin");
    assert_eq!(create_topic(&mut admin, "t"), 0);
    let produced = |served: &Served, user: &str| {
        let config = served.librdkafka("SASL_PLAINTEXT", "SCRAM-SHA-256", user, "secret");
        let results = Arc::new(std::sync::Mutex::new(Vec::new()));
        let producer: rdkafka::producer::BaseProducer<Deliveries> =
            config.create_with_context(Deliveries(Arc::clone(&results))).unwrap();
        producer.send(BaseRecord::<str, str>::to("t").payload("x")).map_err(|(e, _)| e).unwrap();
        producer.flush(PATIENCE).unwrap();
        let results = results.lock().unwrap();
        results[0].clone()
    };
    assert_eq!(produced(&served, "admin"), Ok(()));
    let error = produced(&served, "alice").unwrap_err();
    assert!(error.contains("Topic authorization failed"), "{error}");
    create_acls(&mut admin, vec![acl("alice", 4, "t")]);
    assert_eq!(produced(&served, "alice"), Ok(()));
}

struct Deliveries(Arc<std::sync::Mutex<Vec<Result<(), String>>>>);

impl rdkafka::client::ClientContext for Deliveries {}
impl rdkafka::producer::ProducerContext for Deliveries {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &rdkafka::message::DeliveryResult<'_>, (): ()) {
        let result = result.as_ref().map(|_| ()).map_err(|(error, _)| error.to_string());
        self.0.lock().unwrap().push(result);
    }
}
